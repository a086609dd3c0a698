//! The one spelling of a plain decimal.

use super::Mark;
use super::forms::finite;
use super::latex::Braces;
use super::scan::Scanner;
use crate::engine::scorer::normal::{is_currency, strip_edges};

/// The one spelling of the plain decimal that `token` is, edge punctuation aside: `+03.10,` is `3.1`.
///
/// It works on digits, so that large integers stay apart; only exponents go through a float.
pub(in crate::engine::scorer) fn plain_decimal(token: &str) -> Option<String> {
    let body = strip_edges(token);
    let (sign, digits) = match body.strip_prefix('-') {
        Some(digits) => ("-", digits.trim_start_matches(is_currency)),
        None => ("", body),
    };
    let braces = Braces::default();
    let mut scanner = Scanner::new(digits, &braces, Mark::Point);
    let decimal = scanner.decimal()?;
    let exponent = scanner.attempt(Scanner::exponent).unwrap_or_default();
    if !scanner.rest().is_empty() {
        return None;
    }
    let text = match exponent.as_str() {
        "" => decimal.text(),
        exponent => format!("{}", finite(&format!("{}{exponent}", decimal.text()))?),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    Some(match (whole, fraction) {
        ("", "") => "0".to_owned(),
        ("", _) => format!("{sign}0.{fraction}"),
        (_, "") => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}.{fraction}"),
    })
}
