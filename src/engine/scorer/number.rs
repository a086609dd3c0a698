//! Numbers as people and models write them: `$1,234.50`, `12%`, `−5`, `3/4`, `2 1/2`, `½`, `1e6`, `1.5 × 10^3`.
//!
//! Units are not read: a per cent sign or a currency sign beside a number is dropped, so `12%` is 12. Digits
//! that belong to a word (`H2O`) or to a version (`1.2.3`) are no numbers.

use super::normal::{is_currency, is_dash, narrow, strip_edges};

/// A number found in a text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Number {
    /// Finite.
    pub(super) value: f64,
    /// As written, in ordinary width.
    pub(super) text: String,
}

/// Every number of `text`, in order. Takes time proportional to its length.
pub(super) fn numbers(text: &str) -> Vec<Number> {
    let text = narrow(text);
    Scanner::new(&text).map(|(found, value)| Number { value, text: found.to_owned() }).collect()
}

/// The number that `text` is: exactly one, with no letter or digit beside it.
pub(super) fn whole(text: &str) -> Option<Number> {
    let text = narrow(text);
    let mut scanner = Scanner::new(&text);
    let (found, value) = scanner.next()?;
    let rest = scanner.rest();
    let before = text.strip_suffix(rest)?.strip_suffix(found)?;
    let is_bare = |side: &str| !side.chars().any(char::is_alphanumeric);
    (is_bare(before) && is_bare(rest)).then(|| Number { value, text: found.to_owned() })
}

/// The one spelling of the plain decimal that `token` is, edge punctuation aside: `+03.10,` is `3.1`.
///
/// It works on digits, so that large integers stay apart; only exponents go through a float.
pub(super) fn plain_decimal(token: &str) -> Option<String> {
    let body = strip_edges(token);
    let (sign, digits) = match body.strip_prefix('-') {
        Some(digits) => ("-", digits.trim_start_matches(is_currency)),
        None => ("", body),
    };
    let mut scanner = Scanner::new(digits);
    let text = scanner.decimal().filter(|_| scanner.rest().is_empty())?;
    let text = if text.contains('e') { format!("{}", finite(&text)?) } else { text };
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    Some(match (whole, fraction) {
        ("", "") => "0".to_owned(),
        ("", _) => format!("{sign}0.{fraction}"),
        (_, "") => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}.{fraction}"),
    })
}

/// Walks over a text in ordinary width, forwards only.
#[derive(Debug, Clone, Copy)]
struct Scanner<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Scanner<'t> {
    fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn before(&self) -> &'t str {
        self.text.get(..self.at).unwrap_or_default()
    }

    fn take(&mut self, wanted: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let length = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    fn eat(&mut self, wanted: impl Fn(char) -> bool) -> Option<char> {
        let next = self.peek().filter(|c| wanted(*c))?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn digits(&mut self) -> Option<&'t str> {
        Some(self.take(|c| c.is_ascii_digit())).filter(|digits| !digits.is_empty())
    }

    /// Runs `step` and stays where it was when that finds nothing.
    fn attempt<T>(&mut self, step: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let mut ahead = *self;
        let found = step(&mut ahead)?;
        *self = ahead;
        Some(found)
    }

    /// Digits with commas, decimals and an exponent, as text that `f64` reads; `None` for `1.2.3`, which is
    /// passed over as a whole.
    fn decimal(&mut self) -> Option<String> {
        let mut text = self.grouped_digits();
        if let Some(fraction) = self.attempt(Self::fraction_digits) {
            text = format!("{}.{fraction}", if text.is_empty() { "0" } else { &text });
            if self.attempt(Self::fraction_digits).is_some() {
                self.take(|c| c.is_ascii_digit() || c == '.');
                return None;
            }
        }
        if text.is_empty() {
            return None;
        }
        if let Some(exponent) = self.attempt(Self::exponent) {
            text.push_str(&exponent);
        }
        Some(text)
    }

    /// `1,234` as `1234`; a comma counts where three digits follow and at most three came first.
    fn grouped_digits(&mut self) -> String {
        let first = self.digits().unwrap_or_default();
        let mut text = first.to_owned();
        while (1..=3).contains(&first.len()) {
            let Some(group) = self.attempt(Self::group) else {
                break;
            };
            text.push_str(group);
        }
        text
    }

    fn group(&mut self) -> Option<&'t str> {
        self.eat(|c| c == ',')?;
        self.digits().filter(|digits| digits.len() == 3)
    }

    fn fraction_digits(&mut self) -> Option<&'t str> {
        self.eat(|c| c == '.')?;
        self.digits()
    }

    fn exponent(&mut self) -> Option<String> {
        self.eat(|c| matches!(c, 'e' | 'E'))?;
        let sign = if self.eat(|c| matches!(c, '+' | '-')) == Some('-') { "-" } else { "" };
        let digits = self.digits()?;
        Some(format!("e{sign}{digits}"))
    }

    /// The number that begins here, whatever its form; it always moves forward.
    fn magnitude(&mut self) -> Option<f64> {
        if let Some(fraction) = self.eat(is_vulgar).and_then(vulgar) {
            return Some(fraction);
        }
        let in_date = self.before().ends_with(['/', '\u{2044}']);
        let text = self.decimal()?;
        let value = finite(&text)?;
        if !in_date && let Some(divisor) = self.attempt(Self::divisor) {
            return Some(value / divisor);
        }
        let is_integer = text.bytes().all(|b| b.is_ascii_digit());
        if is_integer && let Some(fraction) = self.attempt(Self::mixed) {
            return Some(value + fraction);
        }
        if let Some(power) = self.attempt(Self::power) {
            return Some(value.powi(power));
        }
        let factor = self.attempt(Self::ten_to_the).unwrap_or(1.0);
        Some(value * factor)
    }

    /// `/4`, but not the `/5` of `4/5/2024`.
    fn divisor(&mut self) -> Option<f64> {
        self.eat(is_slash)?;
        let divisor = finite(self.digits()?)?;
        let is_date = self.attempt(|ahead| ahead.eat(is_slash).and_then(|_| ahead.digits())).is_some();
        (!is_date).then_some(divisor)
    }

    /// What follows a whole number: `½`, ` ½` or ` 1/2`.
    fn mixed(&mut self) -> Option<f64> {
        let space = self.eat(|c| c == ' ');
        if let Some(fraction) = self.eat(is_vulgar) {
            return vulgar(fraction);
        }
        space?;
        let numerator = finite(self.digits()?)?;
        let divisor = self.divisor()?;
        (numerator < divisor).then_some(numerator / divisor)
    }

    /// `^3`, `^{-3}`, `^(3)` or `³`.
    fn power(&mut self) -> Option<i32> {
        if self.eat(|c| c == '^').is_none() {
            return superscript(self.take(|c| SUPERSCRIPTS.contains(c)));
        }
        let closing = match self.eat(|c| matches!(c, '{' | '(')) {
            Some('{') => Some('}'),
            Some(_) => Some(')'),
            None => None,
        };
        let sign = if self.eat(is_dash).is_some() { -1 } else { 1 };
        let power = small_integer(self.digits()?)?;
        if let Some(bracket) = closing {
            self.eat(|c| c == bracket)?;
        }
        Some(sign * power)
    }

    /// `× 10^3`.
    fn ten_to_the(&mut self) -> Option<f64> {
        self.take(|c| c == ' ');
        self.eat(|c| matches!(c, '×' | 'x' | 'X' | '*' | '·' | '⋅'))?;
        self.take(|c| c == ' ');
        self.digits().filter(|digits| *digits == "10")?;
        Some(10_f64.powi(self.power()?))
    }
}

impl<'t> Iterator for Scanner<'t> {
    /// The number as written, and its finite value.
    type Item = (&'t str, f64);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.at += self.rest().find(|c: char| c.is_ascii_digit() || is_vulgar(c))?;
            let in_word = is_in_word(self.before());
            if self.peek().is_some_and(|c| c.is_ascii_digit()) {
                self.at -= leading_point(self.before());
            }

            let sign = sign_position(self.before());
            let start = sign.unwrap_or(self.at);
            if let Some(value) = self.magnitude().filter(|value| value.is_finite() && !in_word) {
                let found = self.text.get(start..self.at).unwrap_or_default();
                return Some((found, if sign.is_some() { -value } else { value }));
            }
        }
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
    let before = unpriced.strip_suffix(|c| is_dash(c) && c != '—')?;
    let joins = |c: char| c.is_alphanumeric() || is_dash(c) || matches!(c, ')' | ']' | '}' | '%');
    (!before.ends_with(joins)).then_some(before.len())
}

/// Whether a digit after `lead` is part of a word: `H2`, `x_1`; but `_1_` is emphasis.
fn is_in_word(lead: &str) -> bool {
    lead.trim_end_matches('_').ends_with(|c: char| c.is_ascii_alphabetic())
}

fn finite(text: &str) -> Option<f64> {
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

/// Beyond three digits no finite number but 0 and 1 has such a power.
fn small_integer(digits: &str) -> Option<i32> {
    digits.parse().ok().filter(|power| *power <= 999)
}

fn is_slash(c: char) -> bool {
    matches!(c, '/' | '\u{2044}')
}

const SUPERSCRIPTS: &str = "⁰¹²³⁴⁵⁶⁷⁸⁹⁻";

fn superscript(marks: &str) -> Option<i32> {
    let (sign, digits) = match marks.strip_prefix('⁻') {
        Some(digits) => (-1, digits),
        None => (1, marks),
    };
    let plain =
        |mark| SUPERSCRIPTS.chars().zip('0'..='9').find_map(|(c, digit)| (c == mark).then_some(digit));
    let digits: Option<String> = digits.chars().map(plain).collect();
    Some(sign * small_integer(&digits?)?)
}

fn is_vulgar(c: char) -> bool {
    vulgar(c).is_some()
}

/// The value of a fraction that is one character.
fn vulgar(c: char) -> Option<f64> {
    Some(match c {
        '½' => 0.5,
        '⅓' => 1.0 / 3.0,
        '⅔' => 2.0 / 3.0,
        '¼' => 0.25,
        '¾' => 0.75,
        '⅕' => 0.2,
        '⅖' => 0.4,
        '⅗' => 0.6,
        '⅘' => 0.8,
        '⅙' => 1.0 / 6.0,
        '⅚' => 5.0 / 6.0,
        '⅐' => 1.0 / 7.0,
        '⅛' => 0.125,
        '⅜' => 0.375,
        '⅝' => 0.625,
        '⅞' => 0.875,
        '⅑' => 1.0 / 9.0,
        '⅒' => 0.1,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values(text: &str) -> Vec<f64> {
        numbers(text).into_iter().map(|number| number.value).collect()
    }

    #[test]
    fn numbers_are_found_as_they_are_written() {
        for (text, expected) in [
            ("", vec![]),
            ("none at all.", vec![]),
            ("It is 42.", vec![42.0]),
            ("$1,234.50 or 12%", vec![1234.5, 12.0]),
            ("-$5, $-6, −7, –8, －９", vec![-5.0, -6.0, -7.0, -8.0, -9.0]),
            ("3-5, x-5, (2)-1, 5 - 3, --4, —4", vec![3.0, 5.0, 5.0, 2.0, 1.0, 5.0, 3.0, 4.0, 4.0]),
            ("3/4 and -1/2 and 2 1/2 and 1½ and ¾", vec![0.75, -0.5, 2.5, 1.5, 0.75]),
            ("4/5/2024", vec![4.0, 5.0, 2024.0]),
            ("3/0 7", vec![7.0]),
            ("1e6 1.5E-3 2e 1e999", vec![1e6, 1.5e-3, 2.0]),
            (
                "1.5 × 10^3, 2x10^{-2}, 10⁶, 2^10, 3 * 10, 10⁻²",
                vec![1500.0, 0.02, 1e6, 1024.0, 3.0, 10.0, 0.01],
            ),
            (".5 and -.5 and ...5 and end.5 and .½", vec![0.5, -0.5, 5.0, 5.0, 0.5]),
            ("1,2,3 and 1234,567 and 1,234,567", vec![1.0, 2.0, 3.0, 1234.0, 567.0, 1_234_567.0]),
            ("H2O v1.2.3 x_1 **7** _8_ 5kg", vec![7.0, 8.0, 5.0]),
            ("答案是42。", vec![42.0]),
            ("９９", vec![99.0]),
        ] {
            assert_eq!(values(text), expected, "{text}");
        }
    }

    #[test]
    fn a_number_with_words_around_it_is_not_a_whole_number() {
        for text in ["42 apples", "3 4", "x2", "", "-", "1.2.3", "about 5", "1e999"] {
            assert_eq!(whole(text), None, "{text}");
        }
        for (text, value) in [("$1,234.50", 1234.5), (" (-5). ", -5.0), ("12 %", 12.0), ("3/4", 0.75)] {
            assert_eq!(whole(text).map(|number| number.value), Some(value), "{text}");
        }
    }

    #[test]
    fn plain_decimals_have_one_spelling() {
        for (token, expected) in [
            ("3.14", Some("3.14")),
            ("03.1400,", Some("3.14")),
            ("+5", Some("5")),
            ("-0.0", Some("0")),
            ("-.5", Some("-0.5")),
            ("-$5", Some("-5")),
            ("1,234", Some("1234")),
            ("1e3", Some("1000")),
            ("1e-2", Some("0.01")),
            ("9007199254740993", Some("9007199254740993")),
            ("1e999", None),
            ("1,23", None),
            ("1.2.3", None),
            ("3/4", None),
            ("e5", None),
            ("five", None),
            ("5kg", None),
            ("", None),
            ("-", None),
        ] {
            assert_eq!(plain_decimal(token).as_deref(), expected, "{token}");
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_searched_for_numbers(text in "([-+.,/^eE×x* {}()_0-9½³⁻⁄$%]|\\PC){0,60}") {
            for number in numbers(&text) {
                prop_assert!(number.value.is_finite());
            }
            let _ = (whole(&text), plain_decimal(&text));
        }

        #[test]
        fn every_float_reads_back(value in prop::num::f64::NORMAL) {
            prop_assert_eq!(values(&format!("{value}")), [value]);
            prop_assert_eq!(values(&format!("it is {value:e}.")), [value]);
        }
    }

    #[test]
    fn a_long_row_of_digits_is_read_in_linear_time() {
        let started = std::time::Instant::now();
        for part in ["1", "1,", "1/", "1 ", "1.", "1^", "1,234", "-", "½", "1 1/", "_1"] {
            let _ = numbers(&part.repeat((1 << 17) / part.len()));
        }
        assert!(started.elapsed().as_secs() < 15);
    }
}
