//! Token overlap as the SQuAD 2.0 evaluation script counts it (Rajpurkar et al. 2018).
//!
//! Order does not count. Tokens are what white space separates: text in a script without spaces is one token.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::{harmonic, is_python_space};

/// What Python's `\w` matches: its `\b` stands at the ends of these.
#[expect(clippy::expect_used, reason = "the pattern is fixed, and every test compiles it")]
static WORD: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"[\p{L}\p{N}_]+").expect("a valid pattern"));

/// F1 of the two multisets of tokens, 0 to 1; two texts without tokens are alike. Linear in the texts.
pub(in super::super) fn score(response: &str, target: &str) -> f64 {
    let (response, target) = (normalised(response), normalised(target));
    let (found, wanted) = (tokens(&response), tokens(&target));
    if found.is_empty() || wanted.is_empty() {
        return if found == wanted { 1.0 } else { 0.0 };
    }
    harmonic(shared(&found, &wanted), found.len(), wanted.len())
}

/// Whether the text has a token once it is normalised.
pub(in super::super) fn has_tokens(text: &str) -> bool {
    !tokens(&normalised(text)).is_empty()
}

/// Lower case, without ASCII punctuation and the words a, an and the.
fn normalised(text: &str) -> String {
    let mut bare = text.to_lowercase();
    bare.retain(|c| !c.is_ascii_punctuation());
    let without_article = |found: &Captures<'_>| {
        let word = found.get(0).map_or("", |word| word.as_str());
        if ["a", "an", "the"].contains(&word) { " ".to_owned() } else { word.to_owned() }
    };
    WORD.replace_all(&bare, without_article).into_owned()
}

fn tokens(text: &str) -> Vec<&str> {
    text.split(is_python_space).filter(|token| !token.is_empty()).collect()
}

/// How many tokens the two have in common, each counted as often as in the one that has it less often.
fn shared(one: &[&str], other: &[&str]) -> usize {
    let mut left: HashMap<&str, usize> = HashMap::new();
    for token in one {
        *left.entry(token).or_default() += 1;
    }
    let take = |token: &&&str| left.get_mut(**token).is_some_and(take_one);
    other.iter().filter(take).count()
}

fn take_one(count: &mut usize) -> bool {
    let is_there = *count > 0;
    *count = count.saturating_sub(1);
    is_there
}
