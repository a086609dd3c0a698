//! How alike two texts are, by the measures that papers report. Each gives the figures of the package that
//! most papers take it from; `tests/vectors/text_metrics.json` holds what those packages say.
//!
//! Pure functions of two texts: no parameters, no samples, and no word on what is good enough.

pub(super) mod bleu;
pub(super) mod distance;
pub(super) mod f1;
pub(super) mod rouge;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

/// Tokens, or characters, of each text that are compared: the rest of a longer one is left out. Comparing
/// takes time that grows with the product of the lengths, and a response may hold megabytes.
pub(super) const MOST_COMPARED: usize = 65_536;

/// How alike two texts are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Likeness {
    /// 0 to 1.
    pub(super) score: f64,
    /// Whether a text had more than [`MOST_COMPARED`] parts.
    pub(super) is_cut: bool,
}

/// The harmonic mean of precision and recall for `same` parts that two texts of `found` and `wanted` parts
/// share; 0 where nothing is shared.
fn harmonic(same: usize, found: usize, wanted: usize) -> f64 {
    if same == 0 {
        return 0.0;
    }
    let (precision, recall) = (ratio(same, found), ratio(same, wanted));
    2.0 * precision * recall / (precision + recall)
}

fn ratio(part: usize, whole: usize) -> f64 {
    number(part) / number(whole)
}

/// A count to calculate with. Texts are far shorter than 2^32.
fn number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}

/// A number per distinct token, so that tokens are compared and hashed in one step.
#[derive(Default)]
struct Ids<'t>(HashMap<&'t str, u32>);

impl<'t> Ids<'t> {
    /// The numbers of the first [`MOST_COMPARED`] tokens, and whether there were more.
    fn number(&mut self, mut tokens: impl Iterator<Item = &'t str>) -> (Vec<u32>, bool) {
        let numbers = tokens.by_ref().take(MOST_COMPARED).map(|token| self.of(token)).collect();
        (numbers, tokens.next().is_some())
    }

    fn of(&mut self, token: &'t str) -> u32 {
        let fresh = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        *self.0.entry(token).or_insert(fresh)
    }
}

/// White space as Python's `str.split` and `str.rstrip` see it, which the reference packages use.
fn is_python_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}
