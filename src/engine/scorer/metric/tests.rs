//! The measures against the packages that they are named after, and against plain dynamic programming.

use std::time::Duration;

use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::cpu_clock::CpuClock;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reference {
    #[serde(rename = "about")]
    _about: String,
    packages: HashMap<String, String>,
    pairs: Vec<Pair>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    response: String,
    targets: Vec<String>,
    f1: f64,
    rouge_l: f64,
    bleu: f64,
    levenshtein: f64,
}

fn best(pair: &Pair, score: impl Fn(&str, &str) -> f64) -> f64 {
    pair.targets.iter().map(|target| score(&pair.response, target)).fold(0.0, f64::max)
}

#[test]
fn every_measure_gives_the_figures_of_its_package() {
    let reference: Reference =
        serde_json::from_str(include_str!("../../../../tests/vectors/text_metrics.json")).unwrap();
    assert!(reference.packages.len() >= 4 && reference.pairs.len() >= 25);
    for pair in &reference.pairs {
        for (name, ours, theirs) in [
            ("f1", best(pair, f1::score), pair.f1),
            ("rouge_l", best(pair, |one, other| rouge::score(one, other).score), pair.rouge_l),
            ("bleu", bleu::score(&pair.response, &pair.targets).score, pair.bleu),
            ("levenshtein", best(pair, |one, other| distance::score(one, other).score), pair.levenshtein),
        ] {
            // Their perfect BLEU is a hair off 1.
            assert!((ours - theirs).abs() < 1e-9, "{name} of {:?}: {ours}, not {theirs}", pair.response);
            assert!((0.0..=1.0).contains(&ours), "{name} of {:?}: {ours}", pair.response);
        }
    }
}

#[test]
fn a_text_of_any_length_is_compared_in_bounded_time() {
    let words = |step: usize| (0..400_000).map(|at| format!("w{} ", at * step % 5003)).collect::<String>();
    let (response, target) = (words(7), words(11));
    let started = CpuClock::start();
    assert!(rouge::score(&response, &target).is_cut);
    assert!(distance::score(&response, &target).is_cut);
    assert!(bleu::score(&response, std::slice::from_ref(&target)).is_cut);
    assert!(f1::score(&response, &target) > 0.0);
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
    assert!(!rouge::score("a b", "a").is_cut && !distance::score("é", "").is_cut);
}

/// Distance and longest common subsequence, by the book.
fn by_the_book(one: &[char], other: &[char]) -> (usize, usize) {
    let mut distances: Vec<usize> = (0..=other.len()).collect();
    let mut common = vec![0; other.len() + 1];
    for (at, a) in one.iter().enumerate() {
        let (mut above_left, mut common_left) = (at, 0);
        distances[0] = at + 1;
        for (column, b) in other.iter().enumerate() {
            let (above, common_above) = (distances[column + 1], common[column + 1]);
            distances[column + 1] =
                (above_left + usize::from(a != b)).min(above + 1).min(distances[column] + 1);
            common[column + 1] = if a == b { common_left + 1 } else { common_above.max(common[column]) };
            (above_left, common_left) = (above, common_above);
        }
    }
    (distances[other.len()], common[other.len()])
}

proptest! {
    #[test]
    fn the_quick_way_is_the_one_in_the_book(one in "[abcé字]{0,300}", other in "[abcé字]{0,300}") {
        let (left, right): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
        let (distance, common) = by_the_book(&left, &right);
        let longer = left.len().max(right.len());
        let expected = if longer == 0 { 1.0 } else { 1.0 - ratio(distance, longer) };
        prop_assert_eq!(distance::score(&one, &other).score, expected);
        let spaced = |chars: &[char]| chars.iter().map(|c| match c {
            'é' => "x ".to_owned(),
            '字' => "y ".to_owned(),
            c => format!("{c} "),
        }).collect::<String>();
        let rouge = rouge::score(&spaced(&left), &spaced(&right)).score;
        prop_assert_eq!(rouge, harmonic(common, left.len(), right.len()));
    }

    #[test]
    fn a_score_is_between_0_and_1_and_1_for_a_text_and_itself(
        one in "(the|[a-cA-C0-9.,&;<> -]|\\PC){0,30}", other in "(the|[a-c0-9., -]|\\PC){0,30}",
    ) {
        for (left, right) in [(&one, &other), (&one, &one)] {
            let bleu = bleu::score(left, std::slice::from_ref(right)).score;
            let scores = [
                f1::score(left, right), rouge::score(left, right).score, bleu, distance::score(left, right).score,
            ];
            prop_assert!(scores.iter().all(|score| (0.0..=1.0).contains(score)), "{:?}", scores);
        }
        prop_assert_eq!((f1::score(&one, &one), distance::score(&one, &one).score), (1.0, 1.0));
        prop_assert_eq!(rouge::score(&one, &one).score, f64::from(rouge::has_tokens(&one)));
    }
}
