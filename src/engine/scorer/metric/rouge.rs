//! ROUGE-L (Lin 2004) as the `rouge-score` package on PyPI computes it, without stemming.
//!
//! Only the letters a to z and digits count; a text in another script has no tokens.

use rapidfuzz::distance::lcs_seq;

use super::{Ids, Likeness, harmonic};

/// The F-measure of the longest common subsequence of tokens; 0 where either text has none.
pub(in super::super) fn score(response: &str, target: &str) -> Likeness {
    let (response, target) = (response.to_lowercase(), target.to_lowercase());
    let mut ids = Ids::default();
    let (found, cut_found) = ids.number(tokens(&response));
    let (wanted, cut_wanted) = ids.number(tokens(&target));
    let same = lcs_seq::similarity(found.iter().copied(), wanted.iter().copied());
    Likeness { score: harmonic(same, found.len(), wanted.len()), is_cut: cut_found || cut_wanted }
}

/// Whether the text has a token.
pub(in super::super) fn has_tokens(text: &str) -> bool {
    tokens(&text.to_lowercase()).next().is_some()
}

fn tokens(lower: &str) -> impl Iterator<Item = &str> {
    let is_in_token = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    lower.split(move |c| !is_in_token(c)).filter(|token| !token.is_empty())
}
