//! Numbers as people and models write them: `$1,234.50`, `12%`, `−5`, `3/4`, `2 1/2`, `½`, `1e6`, `1.5 × 10^3`,
//! `\frac{3}{4}`, `2,50,000`, `43 279`, `1.234,56`, `٤٢`.
//!
//! Units are not read: a per cent sign or a currency sign beside a number is dropped, so `12%` is 12. Digits
//! that belong to a word (`H2O`), a version (`1.2.3`), a date (`2024-05-01`), an exponent (`cm^2`) or a root are no
//! numbers.

mod boxed;
mod digits;
mod forms;
mod latex;
mod plain;
mod run;
mod scan;
#[cfg(test)]
mod tests;

pub(super) use boxed::boxed;
pub(super) use plain::plain_decimal;

use latex::Braces;
use scan::Scanner;

/// The decimal mark of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Point,
    Comma,
}

/// A number found in a text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Number {
    /// Finite, unless `digits` are known: they may be too many for a float.
    pub(super) value: f64,
    /// Sign and digits, without leading zeros, of a number that is written as a whole one.
    pub(super) digits: Option<String>,
    /// The decimal mark, where its notation shows which it is.
    pub(super) mark: Option<Mark>,
    /// As written, in ordinary width and digits.
    pub(super) text: String,
}

/// Every number of `text`, in order, read with `mark` where a notation is ambiguous. Takes time proportional to its
/// length.
pub(super) fn numbers(text: &str, mark: Mark) -> Vec<Number> {
    let text = digits::ordinary(text);
    let braces = Braces::of(&text);
    Scanner::new(&text, &braces, mark).collect()
}

/// The number that `text` is: exactly one, with no letter or digit beside it. It may stand in a box.
pub(super) fn whole(text: &str, mark: Mark) -> Option<Number> {
    let text = digits::ordinary(text);
    let bare = text.trim_matches(|c: char| c.is_whitespace() || c == '$');
    let text = boxed(bare).filter(|inner| bare.len() == inner.len() + r"\boxed{}".len()).unwrap_or(&text);
    let braces = Braces::of(text);
    let mut scanner = Scanner::new(text, &braces, mark);
    let number = scanner.next()?;
    let rest = scanner.rest();
    let before = text.strip_suffix(rest)?.strip_suffix(number.text.as_str())?;
    let is_bare = |side: &str| !side.chars().any(char::is_alphanumeric);
    (is_bare(before) && is_bare(rest)).then_some(number)
}
