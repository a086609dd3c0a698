//! Walking over a text from number to number.

use super::digits::is_vulgar;
use super::latex::{self, Braces};
use super::{Mark, Number};
use crate::engine::scorer::normal::{is_currency, is_dash};

/// Walks over a text in ordinary width, forwards only.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scanner<'t> {
    text: &'t str,
    pub(super) at: usize,
    pub(super) braces: &'t Braces,
    /// Which mark an ambiguous notation is read with.
    pub(super) mark: Mark,
    /// In how many fractions it is.
    pub(super) depth: u8,
}

/// The size of a number, without its sign.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Amount {
    pub(super) value: f64,
    /// Its digits, where it is written as a whole number.
    pub(super) digits: Option<String>,
    /// The decimal mark, where its notation shows which it is.
    pub(super) mark: Option<Mark>,
}

impl Amount {
    pub(super) fn measured(value: f64) -> Self {
        Self { value, digits: None, mark: None }
    }
}

impl<'t> Scanner<'t> {
    pub(super) fn new(text: &'t str, braces: &'t Braces, mark: Mark) -> Self {
        Self { text, at: 0, braces, mark, depth: 0 }
    }

    /// What stands between the brace here and its closing one.
    pub(super) fn inside(&self, close: usize, depth: u8) -> Option<Self> {
        Some(Self { text: self.text.get(..close)?, at: self.at + 1, depth, ..*self })
    }

    pub(super) fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn before(&self) -> &'t str {
        self.text.get(..self.at).unwrap_or_default()
    }

    pub(super) fn skip(&mut self, bytes: usize) {
        self.at = self.text.ceil_char_boundary(self.at.saturating_add(bytes));
    }

    pub(super) fn take_run(&mut self, wanted: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let length = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    pub(super) fn eat(&mut self, wanted: impl Fn(char) -> bool) -> Option<char> {
        let next = self.peek().filter(|c| wanted(*c))?;
        self.at += next.len_utf8();
        Some(next)
    }

    pub(super) fn eat_text(&mut self, wanted: &str) -> bool {
        let is_there = self.rest().starts_with(wanted);
        if is_there {
            self.at += wanted.len();
        }
        is_there
    }

    pub(super) fn digits(&mut self) -> Option<&'t str> {
        Some(self.take_run(|c| c.is_ascii_digit())).filter(|digits| !digits.is_empty())
    }

    /// Runs `step` and stays where it was when that finds nothing.
    pub(super) fn attempt<T>(&mut self, step: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let mut ahead = *self;
        let found = step(&mut ahead)?;
        *self = ahead;
        Some(found)
    }
}

impl Iterator for Scanner<'_> {
    type Item = Number;

    fn next(&mut self) -> Option<Number> {
        loop {
            let begins = |c: char| c.is_ascii_digit() || is_vulgar(c) || matches!(c, '\\' | '√');
            self.at += self.rest().find(begins)?;
            let is_part = is_in_word(self.before()) || is_in_script(self.before());
            if self.peek().is_some_and(|c| c.is_ascii_digit()) {
                self.at -= leading_point(self.before());
            }

            let sign = sign_position(self.before());
            let start = sign.unwrap_or(self.at);
            let Some(amount) = self.magnitude().filter(|_| !is_part) else { continue };
            if latex::begins_with_factor(self.rest()) {
                self.skip_fraction();
                continue;
            }
            let text = self.text.get(start..self.at).unwrap_or_default().to_owned();
            let Amount { value, digits, mark } = amount;
            let digits = digits.map(|digits| signed(sign.is_some(), &digits));
            return Some(Number { value: if sign.is_some() { -value } else { value }, digits, mark, text });
        }
    }
}

fn signed(is_negative: bool, digits: &str) -> String {
    let digits = digits.trim_start_matches('0');
    match (is_negative, digits) {
        (_, "") => "0".to_owned(),
        (true, _) => format!("-{digits}"),
        (false, _) => digits.to_owned(),
    }
}

/// Length of the decimal point that `lead` ends with, if it is one: not an ellipsis and not a full stop.
fn leading_point(lead: &str) -> usize {
    let is_point = |rest: &str| !rest.ends_with(|c: char| c == '.' || c.is_alphanumeric());
    usize::from(lead.strip_suffix('.').is_some_and(is_point))
}

/// Where `lead` ends with a minus sign, a currency sign aside; the dash of `3-5` or `x-5` is none.
fn sign_position(lead: &str) -> Option<usize> {
    let unpriced = lead.strip_suffix(is_currency).unwrap_or(lead);
    let unpriced = unpriced.strip_suffix('\\').unwrap_or(unpriced);
    let before = unpriced.strip_suffix(|c| is_dash(c) && c != '—')?;
    let joins = |c: char| c.is_alphanumeric() || is_dash(c) || matches!(c, ')' | ']' | '}' | '%');
    // A dollar sign may end a formula: `$3$-$5$`.
    let is_formula = |text: &&str| text.ends_with(|c: char| c.is_ascii_digit() || matches!(c, ')' | '}'));
    let joined = before.strip_suffix('$').filter(is_formula).unwrap_or(before);
    (!joined.ends_with(joins)).then_some(before.len())
}

/// Whether a digit after `lead` is part of a word: `H2`, `x_1`; but `_1_` is emphasis, and `\approx1` a command.
fn is_in_word(lead: &str) -> bool {
    let lead = lead.trim_end_matches('_');
    lead.ends_with(|c: char| c.is_ascii_alphabetic()) && !latex::ends_with_command(lead)
}

/// Whether a digit after `lead` is an exponent or an index of something else, or divides a bracket: `x^2`, `x^{-2}`,
/// `a_{12}`, `(a + b)/2`.
fn is_in_script(lead: &str) -> bool {
    let lead = lead.strip_suffix(['-', '+']).unwrap_or(lead);
    let lead = lead.strip_suffix(['{', '(']).unwrap_or(lead);
    let is_based =
        |base: &str| base.ends_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, ')' | ']' | '}'));
    let is_bracket = |base: &str| base.ends_with([')', '}']);
    lead.ends_with('^')
        || lead.strip_suffix('_').is_some_and(is_based)
        || lead.strip_suffix('/').is_some_and(is_bracket)
}
