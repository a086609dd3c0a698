//! The rules of `exact`, `match` and `includes` as inspect_ai has them, for evals that ask for `like: "inspect_ai"`.
//!
//! Kept so that scores can be compared with those of that tool. They drop marks inside words and compare characters
//! where the rules of this board compare words; nothing here is improved.

use super::normal::{Case, fold_case, is_dash, is_punctuation, narrow, strip_edges};
use super::number::plain_decimal;

/// Returns `text` in ordinary width and, where case is ignored, case-folded.
pub(super) fn spell(text: &str, case: Case) -> String {
    let text = narrow(text);
    match case {
        Case::Kept => text,
        Case::Ignored => text.chars().flat_map(fold_case).collect(),
    }
}

/// Whether the words of both are the same, or, where the target has none besides articles, the texts.
pub(super) fn equal(target: &str, response: &str, case: Case) -> bool {
    let mut wanted = words(target, case);
    wanted.retain(|word| !is_article(word));
    if wanted.is_empty() {
        return spell(target.trim(), case) == spell(response.trim(), case);
    }
    let mut found = words(response, case);
    found.retain(|word| !is_article(word));
    wanted == found
}

/// Whether `text` has a word or a number.
pub(super) fn has_words(text: &str) -> bool {
    !words(text, Case::Kept).is_empty()
}

/// Returns the text between the edges that `match` strips.
pub(super) fn stripped(text: &str, case: Case) -> String {
    strip_edges(&spell(text, case)).to_owned()
}

/// The words and numbers of `text`, each number in its one spelling. Dashes separate words; other punctuation inside a
/// word goes.
fn words(text: &str, case: Case) -> Vec<String> {
    let mut words = Vec::new();
    for token in spell(text, case).split_whitespace() {
        match plain_decimal(token) {
            Some(number) => words.push(number),
            None => words.extend(token.split(is_dash).map(word)),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn word(part: &str) -> String {
    plain_decimal(part).unwrap_or_else(|| part.replace(is_punctuation, ""))
}

fn is_article(word: &str) -> bool {
    ["a", "an", "the"].iter().any(|article| word.eq_ignore_ascii_case(article))
}
