//! Digits: decimal digits of all scripts, fractions that are one character, and superscripts.

use crate::engine::scorer::normal::narrow;

/// The zeros of all decimal digits (category Nd, Unicode 16) beyond ASCII: nine digits follow each.
const ZEROS: [char; 75] = [
    '\u{660}',
    '\u{6f0}',
    '\u{7c0}',
    '\u{966}',
    '\u{9e6}',
    '\u{a66}',
    '\u{ae6}',
    '\u{b66}',
    '\u{be6}',
    '\u{c66}',
    '\u{ce6}',
    '\u{d66}',
    '\u{de6}',
    '\u{e50}',
    '\u{ed0}',
    '\u{f20}',
    '\u{1040}',
    '\u{1090}',
    '\u{17e0}',
    '\u{1810}',
    '\u{1946}',
    '\u{19d0}',
    '\u{1a80}',
    '\u{1a90}',
    '\u{1b50}',
    '\u{1bb0}',
    '\u{1c40}',
    '\u{1c50}',
    '\u{a620}',
    '\u{a8d0}',
    '\u{a900}',
    '\u{a9d0}',
    '\u{a9f0}',
    '\u{aa50}',
    '\u{abf0}',
    '\u{ff10}',
    '\u{104a0}',
    '\u{10d30}',
    '\u{10d40}',
    '\u{11066}',
    '\u{110f0}',
    '\u{11136}',
    '\u{111d0}',
    '\u{112f0}',
    '\u{11450}',
    '\u{114d0}',
    '\u{11650}',
    '\u{116c0}',
    '\u{116d0}',
    '\u{116da}',
    '\u{11730}',
    '\u{118e0}',
    '\u{11950}',
    '\u{11bf0}',
    '\u{11c50}',
    '\u{11d50}',
    '\u{11da0}',
    '\u{11f50}',
    '\u{16130}',
    '\u{16a60}',
    '\u{16ac0}',
    '\u{16b50}',
    '\u{16d70}',
    '\u{1ccf0}',
    '\u{1d7ce}',
    '\u{1d7d8}',
    '\u{1d7e2}',
    '\u{1d7ec}',
    '\u{1d7f6}',
    '\u{1e140}',
    '\u{1e2f0}',
    '\u{1e4f0}',
    '\u{1e5f1}',
    '\u{1e950}',
    '\u{1fbf0}',
];

/// `text` composed, in ordinary width and with the digits 0 to 9 for those of any script.
pub(super) fn ordinary(text: &str) -> String {
    if text.is_ascii() { text.to_owned() } else { narrow(text).chars().map(plain_digit).collect() }
}

fn plain_digit(c: char) -> char {
    if c.is_ascii() {
        return c;
    }
    let after = ZEROS.partition_point(|zero| *zero <= c);
    let zero = after.checked_sub(1).and_then(|at| ZEROS.get(at));
    let value = zero.map(|zero| u32::from(c) - u32::from(*zero));
    value.and_then(|value| char::from_digit(value, 10)).unwrap_or(c)
}

const SUPERSCRIPTS: &str = "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺";

pub(super) fn is_superscript(c: char) -> bool {
    SUPERSCRIPTS.contains(c)
}

/// The integer that superscripts are, as far as a power of it can be finite.
pub(super) fn superscript(marks: &str) -> Option<i32> {
    let (sign, digits) = match marks.strip_prefix('⁻') {
        Some(digits) => (-1, digits),
        None => (1, marks.strip_prefix('⁺').unwrap_or(marks)),
    };
    let plain =
        |mark| SUPERSCRIPTS.chars().zip('0'..='9').find_map(|(c, digit)| (c == mark).then_some(digit));
    let digits: Option<String> = digits.chars().map(plain).collect();
    Some(sign * small_integer(&digits?)?)
}

/// Beyond three digits no finite number but 0 and 1 has such a power.
pub(super) fn small_integer(digits: &str) -> Option<i32> {
    digits.parse().ok().filter(|power| *power <= 999)
}

pub(super) fn is_vulgar(c: char) -> bool {
    vulgar(c).is_some()
}

/// The value of a fraction that is one character.
pub(super) fn vulgar(c: char) -> Option<f64> {
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
        '↉' => 0.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_digits_of_every_script_have_values() {
        let is_digit = regex::Regex::new(r"^\p{Nd}$").unwrap();
        let mut value = 0;
        for c in '\u{80}'..=char::MAX {
            let plain = plain_digit(c);
            if is_digit.is_match(c.encode_utf8(&mut [0; 4])) {
                assert_eq!(plain.to_digit(10), Some(value % 10), "{c:?}");
                value += 1;
            } else {
                assert_eq!(plain, c);
            }
        }
    }
}
