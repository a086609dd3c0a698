//! BLEU of one sentence (Papineni et al. 2002) as `sentence_bleu` of the `sacrebleu` package on PyPI computes
//! it by default: tokenizer 13a, n-grams up to 4 (fewer for shorter texts), exponential smoothing.
//!
//! The tokenizer is made for languages that put spaces between words.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;

use super::{Ids, Likeness, is_python_space, number, ratio};

/// Longest n-gram.
const ORDER: usize = 4;

/// How often each n-gram of a text occurs.
type Counts<'t> = HashMap<&'t [u32], usize>;

/// BLEU of the response with all targets as references, 0 to 1.
pub(in super::super) fn score(response: &str, targets: &[String]) -> Likeness {
    let response = tokenized(response);
    let targets: Vec<String> = targets.iter().map(|target| tokenized(target)).collect();
    let mut ids = Ids::default();
    let (found, mut is_cut) = ids.number(words(&response));
    let mut wanted = Vec::new();
    for target in &targets {
        let (tokens, cut) = ids.number(words(target));
        is_cut |= cut;
        wanted.push(tokens);
    }
    Likeness { score: of_tokens(&found, &wanted), is_cut }
}

/// Whether the text has a token.
pub(in super::super) fn has_tokens(text: &str) -> bool {
    words(&tokenized(text)).next().is_some()
}

fn of_tokens(found: &[u32], references: &[Vec<u32>]) -> f64 {
    let most = most_counts(references);
    let matched = |order: usize| -> usize {
        counts(found, order)
            .iter()
            .map(|(gram, count)| (*count).min(most.get(gram).copied().unwrap_or(0)))
            .sum()
    };
    // Texts shorter than the longest n-gram are judged by the orders that they have.
    let orders = 1..=ORDER.min(found.len());
    let correct: Vec<usize> = orders.map(matched).collect();
    if correct.iter().all(|count| *count == 0) {
        return 0.0;
    }
    let logs: f64 = precisions(&correct, found.len()).map(f64::ln).sum();
    let closest =
        references.iter().map(Vec::len).min_by_key(|length| (length.abs_diff(found.len()), *length));
    let score = brevity_penalty(found.len(), closest.unwrap_or(0)) * (logs / number(correct.len())).exp();
    // Rounding may carry a perfect score a hair above 1.
    score.min(1.0)
}

/// The precision of each order, from 1 up. An order without a match counts as half a match, the next such
/// one as a quarter, and so on.
fn precisions(correct: &[usize], length: usize) -> impl Iterator<Item = f64> {
    let mut share = 1.0;
    correct.iter().enumerate().map(move |(shorter, count)| {
        let total = length - shorter;
        if *count > 0 {
            return ratio(*count, total);
        }
        share /= 2.0;
        share / number(total)
    })
}

fn brevity_penalty(found: usize, wanted: usize) -> f64 {
    if found < wanted { (1.0 - ratio(wanted, found)).exp() } else { 1.0 }
}

/// For each n-gram, how often it occurs in the reference that has it most.
fn most_counts(references: &[Vec<u32>]) -> Counts<'_> {
    let mut most = Counts::new();
    for (reference, order) in
        references.iter().flat_map(|tokens| (1..=ORDER).map(move |order| (tokens, order)))
    {
        for (gram, count) in counts(reference, order) {
            let present = most.entry(gram).or_default();
            *present = (*present).max(count);
        }
    }
    most
}

fn counts(tokens: &[u32], order: usize) -> Counts<'_> {
    let mut counts = Counts::new();
    for gram in tokens.windows(order) {
        *counts.entry(gram).or_default() += 1;
    }
    counts
}

fn words(tokenized: &str) -> impl Iterator<Item = &str> {
    tokenized.split(is_python_space).filter(|word| !word.is_empty())
}

/// The tokenizer of mteval-v13a, with spaces between the tokens: symbols stand alone, and so do points and
/// commas outside numbers and a dash after a digit.
fn tokenized(text: &str) -> String {
    let text = text.trim_end_matches(is_python_space);
    let text = text.replace("<skipped>", "").replace("-\n", "").replace('\n', " ");
    let text = [("&quot;", "\""), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">")]
        .iter()
        .fold(text, |text, (entity, meant)| text.replace(entity, meant));
    let text = format!(" {text} ");
    let separated = SEPARATIONS.iter().fold(Cow::Borrowed(text.as_str()), |text, (pattern, apart)| {
        Cow::Owned(pattern.replace_all(&text, *apart).into_owned())
    });
    separated.into_owned()
}

/// What is taken apart, in this order, and how.
static SEPARATIONS: LazyLock<[(Regex, &str); 4]> = LazyLock::new(|| {
    [
        // Every printable ASCII symbol but ' , - and .
        (compiled(r"[ -&(-+/:-@\[-`{-~]"), " $0 "),
        (compiled(r"([^0-9])([.,])"), "$1 $2 "),
        (compiled(r"([.,])([^0-9])"), " $1 $2"),
        (compiled(r"([0-9])(-)"), "$1 $2 "),
    ]
});

#[expect(clippy::expect_used, reason = "the patterns are fixed, and every test compiles them")]
fn compiled(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a valid pattern")
}
