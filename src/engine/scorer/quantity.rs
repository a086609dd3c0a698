//! A text that is one plain number, perhaps with a currency or a per cent sign: `3.0` is `3`, `$1,234.50` is `1234.5`.
//!
//! Fractions, times, versions and postal codes are no quantities: their digits are compared as they are written.

use super::markup::without_markup;
use super::normal::{Case, is_currency, spell};
use super::number::plain_decimal;

/// A number in its one spelling.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Quantity {
    value: String,
    unit: Option<char>,
}

impl Quantity {
    /// The quantity that the whole of `text` is.
    pub(super) fn of(text: &str) -> Option<Self> {
        // Longer texts are no number, and need not be looked through.
        if text.len() > 200 {
            return None;
        }
        let spelled = spell(&without_markup(text), Case::Kept);
        let is_edge = |c: char| c.is_whitespace() || "\"'*_()[]{},;:!?。、「」".contains(c);
        let core = spelled.trim_matches(is_edge).trim_end_matches('.').trim_end_matches(is_edge);
        let (sign, rest) = match core.strip_prefix(['+', '-']) {
            Some(rest) => (if core.starts_with('-') { "-" } else { "" }, rest),
            None => ("", core),
        };
        let (lead, rest) =
            unit(rest.chars().next()).map_or((None, rest), |c| (Some(c), rest.trim_start_matches(c)));
        let (tail, rest) =
            unit(rest.chars().next_back()).map_or((None, rest), |c| (Some(c), rest.trim_end_matches(c)));
        let (sign, rest) = match rest.trim().strip_prefix('-') {
            Some(rest) if sign.is_empty() && lead.is_some() => ("-", rest),
            _ => (sign, rest.trim()),
        };
        // Behind a lone 0 a comma is no mark of thousands.
        let rest = Some(rest).filter(|rest| !rest.starts_with("0,"))?;
        let begins = rest.starts_with(|c: char| c.is_ascii_digit() || c == '.') && !rest.starts_with("..");
        let ends = rest.ends_with(|c: char| c.is_ascii_digit());
        let value = plain_decimal(rest).filter(|_| begins && ends)?;
        let sign = if value == "0" { "" } else { sign };
        Some(Self { value: format!("{sign}{value}"), unit: lead.or(tail) })
    }

    /// The quantity that a target is. A leading zero makes it a code: `02134`, `007`.
    pub(super) fn of_target(text: &str) -> Option<Self> {
        let digits = text.trim_start_matches(|c: char| !c.is_alphanumeric());
        let is_code =
            digits.strip_prefix('0').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        if is_code { None } else { Self::of(text) }
    }

    /// Whether both are the same number. A unit may be missing beside one of them.
    pub(super) fn equals(&self, other: &Self) -> bool {
        let is_same_unit = self.unit.is_none() || other.unit.is_none() || self.unit == other.unit;
        self.value == other.value && is_same_unit
    }
}

fn unit(c: Option<char>) -> Option<char> {
    c.filter(|c| *c == '%' || is_currency(*c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn equal(target: &str, response: &str) -> bool {
        Quantity::of_target(target).zip(Quantity::of(response)).is_some_and(|(one, other)| one.equals(&other))
    }

    #[test]
    fn plain_numbers_are_compared_by_value() {
        for (target, response) in [
            ("3", "3.0"),
            ("1234", "1,234"),
            ("1234.5", "$1,234.50."),
            ("-5", "−5"),
            ("5", "+5.0"),
            ("-5", "-$5"),
            ("50%", "50"),
            ("50 %", "50%"),
            ("€5", "5 €"),
            ("0.5", ".5"),
            ("0", "-0.0"),
            ("42", "$\\boxed{42}$"),
            ("1000", "1e3"),
            ("5", "05"),
        ] {
            assert!(equal(target, response), "{target} {response}");
        }
    }

    #[test]
    fn what_is_no_plain_number_or_another_one_is_not_equal() {
        for (target, response) in [
            ("3", "-3"),
            ("02134", "2134"),
            ("007", "7"),
            ("$5", "€5"),
            ("5", "<5"),
            ("5", "5-"),
            ("5", "#5"),
            ("12", "1/2"),
            ("52", "5^2"),
            ("1030", "10:30"),
            ("15", "1.5"),
            ("123", "1.2.3"),
            ("50", "5 0"),
            ("123", "0,123"),
            ("9007199254740992", "9007199254740993"),
        ] {
            assert!(!equal(target, response), "{target} {response}");
        }
    }
}
