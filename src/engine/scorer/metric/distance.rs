//! Levenshtein's distance, as a likeness: 1 - d / length of the longer text, in characters.
//!
//! Texts are compared as they are: case, punctuation and white space count.

use rapidfuzz::distance::levenshtein;

use super::{Likeness, MOST_COMPARED, ratio};

/// 1 for equal texts, 0 for texts that share no character in its place.
pub(in super::super) fn score(response: &str, target: &str) -> Likeness {
    let ((found, cut_found), (wanted, cut_wanted)) = (head(response), head(target));
    let longer = found.len().max(wanted.len());
    let distance = levenshtein::distance(found.iter().copied(), wanted.iter().copied());
    let score = if longer == 0 { 1.0 } else { 1.0 - ratio(distance, longer) };
    Likeness { score, is_cut: cut_found || cut_wanted }
}

fn head(text: &str) -> (Vec<char>, bool) {
    let mut chars = text.chars();
    let head = chars.by_ref().take(MOST_COMPARED).collect();
    (head, chars.next().is_some())
}
