//! The overall score against references.

use proptest::prelude::*;

use super::super::vectors::{assert_close, examples, number, numbers, section};
use super::super::{Measure, NORMAL_CRITICAL, sample_variance, summarise, wilson};
use super::*;

fn eval(weight: f64, mean: f64, stderr: f64) -> Cell {
    Cell { weight, mean, stderr: Some(stderr), interval: None, method: None, items: 100 }
}

/// A binary eval of one item: it has an interval and no standard error.
fn item(weight: f64, score: f64) -> Cell {
    let interval = Some(wilson(score, 1));
    Cell { weight, mean: score, stderr: None, interval, method: Some(CiMethod::Wilson), items: 1 }
}

fn reference_cells(weights: &[f64]) -> Vec<Cell> {
    let reference = section("composite");
    let (means, stderrs) = (numbers(&reference["means"]), numbers(&reference["ses"]));
    let columns = weights.iter().zip(means).zip(stderrs);
    columns.map(|((weight, mean), stderr)| eval(*weight, mean, stderr)).collect()
}

#[test]
fn the_suite_mean_is_the_reference_one() {
    let reference = section("composite");
    let equal = suite(&reference_cells(&[1.0; 3])).unwrap();
    assert_close(equal.mean, &reference["equal_mean"]);
    assert_close(equal.stderr.unwrap(), &reference["equal_se"]);
    let weighted = suite(&reference_cells(&numbers(&reference["weights"]))).unwrap();
    assert_close(weighted.mean, &reference["w_mean"]);
    assert_close(weighted.stderr.unwrap(), &reference["w_se"]);
    assert_eq!((weighted.items, weighted.evals), (300, 3));
}

#[test]
fn several_evals_have_a_normal_interval() {
    let summary = suite(&[eval(1.0, 0.6, 0.03), eval(1.0, 0.8, 0.04)]).unwrap();
    let interval = summary.interval.unwrap();
    let margin = NORMAL_CRITICAL * 0.025;
    assert!((interval.low - (0.7 - margin)).abs() < 1e-12);
    assert!((interval.high - (0.7 + margin)).abs() < 1e-12);
    assert_eq!(summary.method, Some(CiMethod::Normal));
}

#[test]
fn one_eval_keeps_its_own_interval_and_method() {
    let own = summarise(&[1.0, 0.0, 1.0], None, Measure::Binary).unwrap();
    let (mean, stderr, interval) = (own.mean, own.stderr, own.interval);
    let cell = Cell { weight: 3.0, mean, stderr, interval, method: own.method, items: own.items };
    let method = Some(CiMethod::Wilson);
    let expected = SuiteSummary { mean, stderr, interval, method, items: 3, evals: 1 };
    assert_eq!(suite(&[cell]), Some(expected));
}

#[test]
fn one_item_in_all_has_no_interval() {
    let summary = suite(&[item(1.0, 1.0)]).unwrap();
    let expected = SuiteSummary { mean: 1.0, stderr: None, interval: None, method: None, items: 1, evals: 1 };
    assert_eq!(summary, expected);
}

#[test]
fn evals_of_one_item_and_equal_weight_are_one_sample() {
    let scores = [1.0, 0.0, 1.0, 1.0];
    let summary = suite(&scores.map(|score| item(1.0, score))).unwrap();
    let expected = (sample_variance(&scores).unwrap() / 4.0).sqrt();
    assert!((summary.stderr.unwrap() - expected).abs() < 1e-12);
    assert_eq!((summary.method, summary.items, summary.evals), (Some(CiMethod::Combined), 4, 4));
}

#[test]
fn evals_of_one_item_pool_by_their_weights() {
    // m_s = 0.75 and S = 0.375; the spread is 0.5 x 0.25^2 + 0.25 x 0.25^2 + 0.25 x 0.75^2 = 0.1875.
    let summary = suite(&[item(2.0, 1.0), item(1.0, 1.0), item(1.0, 0.0)]).unwrap();
    let variance: f64 = 0.375 / 0.625 * 0.1875;
    assert!((summary.stderr.unwrap() - variance.sqrt()).abs() < 1e-12);
}

#[test]
fn the_stratum_counts_as_one_eval_beside_larger_ones() {
    let stratum = suite(&[item(1.0, 1.0), item(1.0, 0.0)]).unwrap().stderr.unwrap();
    let whole = suite(&[item(1.0, 1.0), item(1.0, 0.0), eval(2.0, 0.8, 0.04)]).unwrap();
    let expected = (0.5 * stratum).hypot(0.5 * 0.04);
    assert!((whole.stderr.unwrap() - expected).abs() < 1e-12);
}

#[test]
fn one_lone_item_widens_the_interval_and_takes_none_away() {
    let large = [eval(10.0, 0.7, 0.045), eval(10.0, 0.8, 0.04)];
    let without = suite(&large).unwrap().interval.unwrap();
    let whole = suite(&[large[0], large[1], item(1.0, 1.0)]).unwrap();
    let interval = whole.interval.unwrap();
    assert_eq!((whole.stderr, whole.method), (None, Some(CiMethod::Combined)));
    assert!(interval.high - interval.low > without.high - without.low - 0.01);
    assert!(interval.holds(whole.mean) && interval.high - interval.low < 0.2, "{interval:?}");
    let one_cluster = Cell { stderr: None, ..eval(1.0, 0.5, 0.0) };
    let half = suite(&[one_cluster, eval(1.0, 0.8, 0.04)]).unwrap().interval.unwrap();
    assert!(half.high - half.low > 0.4, "one cluster is one unit: {half:?}");
}

#[test]
fn evals_without_any_spread_have_an_interval_together() {
    for (mean, method) in [(1.0, None), (0.0, None), (1.0, Some(CiMethod::Wilson))] {
        let interval = Some(wilson(mean * 20.0, 20)).filter(|_| method.is_some());
        let cell = Cell { weight: 1.0, mean, stderr: Some(0.0), interval, method, items: 20 };
        let summary = suite(&[cell; 4]).unwrap();
        let interval = summary.interval.unwrap();
        assert_eq!((summary.mean, summary.stderr), (mean, Some(0.0)));
        assert!(
            interval.holds(mean) && (0.05..0.2).contains(&(interval.high - interval.low)),
            "{interval:?}"
        );
    }
    let mixed = suite(&[eval(1.0, 1.0, 0.0), eval(1.0, 0.0, 0.0)]).unwrap();
    assert!(mixed.interval.unwrap().holds(0.5));
}

#[test]
fn few_items_of_fractions_have_a_t_interval_together() {
    let cell = Cell {
        method: Some(CiMethod::T),
        interval: Some(Interval::around(0.5, 0.1)),
        items: 5,
        ..eval(1.0, 0.5, 0.04)
    };
    let few = suite(&[cell; 2]).unwrap();
    let many = suite(&[cell; 20]).unwrap();
    let in_stderrs = |summary: SuiteSummary| {
        let interval = summary.interval.unwrap();
        (interval.high - interval.low) / (2.0 * summary.stderr.unwrap())
    };
    // Twice and twenty times four degrees of freedom.
    assert!((in_stderrs(few) - 2.306).abs() < 1e-3 && (in_stderrs(many) - 1.990).abs() < 1e-3);
    assert_eq!(few.method, Some(CiMethod::T));
}

#[test]
fn an_eval_of_weight_zero_counts_for_nothing() {
    let counted = eval(1.0, 0.8, 0.04);
    assert_eq!(suite(&[counted, item(0.0, 1.0)]), suite(&[counted]));
}

#[test]
fn weights_that_cannot_be_brought_to_one_give_nothing() {
    assert_eq!(suite(&[]), None);
    for weight in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(suite(&[eval(weight, 0.8, 0.04)]), None);
    }
    assert_eq!(suite(&[eval(2.0, 0.8, 0.04), eval(-1.0, 0.8, 0.04)]), None);
}

#[test]
fn scores_above_chance_are_the_reference_ones() {
    for example in examples("chance_normalised") {
        let normalised = chance_normalised(number(&example["raw"]), number(&example["chance"]));
        assert_close(normalised, &example["norm"]);
    }
    let published = &section("public_vectors")["mmlu_pro_chance_norm"];
    let normalised = chance_normalised(number(&published["raw"]), number(&published["chance"]));
    // Published in percent with four decimals.
    assert!((100.0 * normalised - number(&published["norm_pct"])).abs() <= 5e-5);
}

#[test]
fn a_sure_guess_leaves_nothing_to_gain() {
    assert_eq!((chance_normalised(1.0, 1.0), chance_normalised(0.5, 1.0)), (0.0, 0.0));
}

proptest! {
    #[test]
    fn only_proportions_of_weights_count(
        parts in prop::collection::vec((0.1..10.0, 0.0..=1.0, 0.0..0.2), 2..12),
        scale in 0.01..100.0,
    ) {
        let cells: Vec<Cell> = parts.iter().map(|(weight, mean, se)| eval(*weight, *mean, *se)).collect();
        let scaled: Vec<Cell> =
            cells.iter().map(|cell| Cell { weight: cell.weight * scale, ..*cell }).collect();
        let (plain, scaled) = (suite(&cells).unwrap(), suite(&scaled).unwrap());
        prop_assert!((plain.mean - scaled.mean).abs() < 1e-12);
        prop_assert!((plain.stderr.unwrap() - scaled.stderr.unwrap()).abs() < 1e-12);
    }
}

mod coverage;
