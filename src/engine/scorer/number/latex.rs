//! Commands of LaTeX that stand in numbers: fractions, roots, and what separates groups of digits.

use std::collections::HashMap;

use super::scan::Scanner;

/// Commands of two arguments that are the quotient of them.
const FRACTIONS: [&str; 7] = ["frac", "dfrac", "tfrac", "cfrac", "nicefrac", "sfrac", "flatfrac"];
/// Longest name of a command that is looked for.
const MAX_NAME: usize = 12;
/// How deep a fraction may stand in fractions. It bounds how often the same text is read.
const MAX_DEPTH: u8 = 4;
/// Spaces that LaTeX writes between groups of digits.
const THIN_SPACES: [&str; 6] = [r"\,", r"\!", r"\ ", r"{\,}", r"\thinspace ", "~"];
/// The comma that has no space behind it, as it stands in numbers.
pub(super) const CLOSE_COMMAS: [&str; 2] = ["{,}", r",\!"];

/// Which brace closes which, in a text.
#[derive(Debug, Default)]
pub(super) struct Braces(HashMap<usize, usize>);

impl Braces {
    /// Finds the pairs. An escaped brace (`\{`) is none.
    pub(super) fn of(text: &str) -> Self {
        let (mut pairs, mut open, mut is_escaped) = (HashMap::new(), Vec::new(), false);
        for (at, byte) in text.bytes().enumerate() {
            match byte {
                b'{' if !is_escaped => open.push(at),
                b'}' if !is_escaped => {
                    pairs.extend(open.pop().map(|start| (start, at)));
                }
                _ => {}
            }
            is_escaped = byte == b'\\' && !is_escaped;
        }
        Self(pairs)
    }

    /// The place of the brace that closes the one at `open`.
    pub(super) fn closing(&self, open: usize) -> Option<usize> {
        self.0.get(&open).copied()
    }
}

/// The name of the command that `text` begins with, behind the backslash.
fn command(text: &str) -> Option<&str> {
    let rest = text.strip_prefix('\\')?;
    let length = rest.bytes().take(MAX_NAME + 1).take_while(u8::is_ascii_alphabetic).count();
    rest.get(..length).filter(|name| (1..=MAX_NAME).contains(&name.len()))
}

/// Whether `lead` ends with a command, so that a digit behind it is no part of a word.
pub(super) fn ends_with_command(lead: &str) -> bool {
    let letters = lead.bytes().rev().take(MAX_NAME + 1).take_while(u8::is_ascii_alphabetic).count();
    let before = lead.get(..lead.len() - letters).unwrap_or_default();
    letters > 0 && before.ends_with('\\')
}

/// Whether a factor stands in front of `text` that is no decimal: then the number before it is not all of the value.
pub(super) fn begins_with_factor(text: &str) -> bool {
    let text = text.strip_prefix(r"\,").unwrap_or(text).trim_start_matches(' ');
    let times = [r"\cdot", r"\times", "·", "×", "*"].iter().find_map(|times| text.strip_prefix(times));
    let factor = times.unwrap_or(text).trim_start_matches(' ');
    let is_root = factor.starts_with(['√', 'π']) || matches!(command(factor), Some("sqrt" | "pi"));
    let is_fraction = times.is_none() && command(factor).is_some_and(|name| FRACTIONS.contains(&name));
    is_root || is_fraction
}

impl Scanner<'_> {
    /// Eats the separator of groups that LaTeX writes here.
    pub(super) fn thin_space(&mut self) -> Option<&'static str> {
        THIN_SPACES.into_iter().find(|space| self.eat_text(space))
    }

    pub(super) fn close_comma(&mut self) -> bool {
        CLOSE_COMMAS.iter().any(|comma| self.eat_text(comma))
    }

    /// The quotient of `\frac{3}{4}` or `\frac34`, which begins here. What is no quotient of two numbers is passed
    /// over, and so is a root; of other commands the backslash.
    pub(super) fn command(&mut self) -> Option<f64> {
        let Some(name) = command(self.rest()) else {
            self.skip(1);
            return None;
        };
        if FRACTIONS.contains(&name) {
            self.skip(1 + name.len());
            let quotient = self.attempt(Self::quotient);
            if quotient.is_none() {
                self.skip_argument();
                self.skip_argument();
            }
            return quotient;
        }
        if name == "sqrt" {
            self.skip(1 + name.len());
            if self.rest().starts_with('[') {
                let index = self.rest().bytes().take(20).take_while(|byte| *byte != b']').count();
                self.skip(if self.rest().as_bytes().get(index) == Some(&b']') { index + 1 } else { 1 });
            }
            self.skip_argument();
            return None;
        }
        self.skip(1);
        None
    }

    /// Passes over the fraction that a number stands before as a factor.
    pub(super) fn skip_fraction(&mut self) {
        self.thin_space();
        self.take_run(|c| c == ' ');
        if self.is_at_fraction() {
            self.command();
        }
    }

    /// Whether a fraction begins here.
    pub(super) fn is_at_fraction(&self) -> bool {
        command(self.rest()).is_some_and(|name| FRACTIONS.contains(&name))
    }

    fn quotient(&mut self) -> Option<f64> {
        let deeper = self.depth + 1;
        (deeper <= MAX_DEPTH).then_some(())?;
        let (numerator, divisor) = (self.argument(deeper)?, self.argument(deeper)?);
        Some(numerator / divisor).filter(|quotient| quotient.is_finite())
    }

    /// `{12}`, or one digit.
    fn argument(&mut self, depth: u8) -> Option<f64> {
        self.take_run(|c| c == ' ');
        if self.peek() != Some('{') {
            return self.eat(|c| c.is_ascii_digit()).and_then(|digit| digit.to_digit(10)).map(f64::from);
        }
        let close = self.braces.closing(self.at)?;
        let mut inside = self.inside(close, depth)?;
        self.at = close + 1;
        inside.take_run(|c| c == ' ');
        let sign = if inside.eat(|c| matches!(c, '-' | '+')) == Some('-') { -1.0 } else { 1.0 };
        let amount = inside.magnitude()?;
        inside.take_run(|c| c == ' ');
        inside.rest().is_empty().then_some(sign * amount.value)
    }

    fn skip_argument(&mut self) {
        self.take_run(|c| c == ' ');
        if self.peek() != Some('{') {
            self.eat(|c| c.is_ascii_digit());
        } else if let Some(close) = self.braces.closing(self.at) {
            self.at = close + 1;
        } else {
            // It was cut off: what there is of it is no number either.
            self.skip(1);
            self.take_run(|c| c.is_ascii_digit() || matches!(c, '.' | ',' | '-'));
        }
    }
}
