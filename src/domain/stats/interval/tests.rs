//! Scores, intervals and clusters against references.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::vectors::{assert_close, examples, number, numbers, section, size};
use super::*;

fn assert_interval(actual: Option<Interval>, expected: &Value) {
    let actual = actual.expect("an interval");
    assert_close(actual.low, &expected[0]);
    assert_close(actual.high, &expected[1]);
}

/// Scores and cluster ids of a reference that maps a cluster's name to its scores.
fn clustered_scores(reference: &Value) -> (Vec<f64>, Vec<u64>) {
    let groups = reference["clusters"].as_object().unwrap().values().map(numbers);
    (0..).zip(groups).flat_map(|(id, scores)| scores.into_iter().map(move |score| (score, id))).unzip()
}

#[test]
fn binary_scores_have_the_reference_wilson_interval() {
    for example in examples("proportions") {
        let (successes, n) = (size(&example["k"]), size(&example["n"]));
        let scores: Vec<f64> = (0..n).map(|item| if item < successes { 1.0 } else { 0.0 }).collect();
        let summary = summarise(&scores, None, Measure::Binary).unwrap();
        assert_close(summary.mean, &example["p"]);
        assert_interval(summary.interval, &example["wilson"]);
        assert_eq!((summary.method, summary.items), (Some(CiMethod::Wilson), n));
        match &example["se_sample_n_minus_1"] {
            Value::Null => assert_eq!(summary.stderr, None),
            expected => assert_close(summary.stderr.unwrap(), expected),
        }
    }
}

#[test]
fn wilson_has_the_reference_interval_with_errors_as_wrong_and_excluded() {
    let reference = section("error_bounds");
    let correct = number(&reference["correct"]);
    let (n, errored) = (size(&reference["n"]), size(&reference["errored"]));
    assert_interval(Some(wilson(correct, n)), &reference["wilson_errors_zero"]);
    assert_interval(Some(wilson(correct, n - errored)), &reference["wilson_excluded"]);
}

#[test]
fn wilson_is_exact_at_the_ends() {
    for n in 1..500 {
        assert_eq!(wilson(0.0, n).low, 0.0);
        assert_eq!(wilson(count(n), n).high, 1.0);
    }
    assert_eq!(wilson(0.0, 0), Interval { low: 0.0, high: 1.0 });
}

#[test]
fn few_continuous_scores_have_the_reference_t_interval() {
    let reference = section("continuous");
    let scores = numbers(&reference["scores"]);
    let summary = summarise(&scores, None, Measure::Continuous).unwrap();
    assert_close(sample_variance(&scores).unwrap().sqrt(), &reference["sd_n_minus_1"]);
    assert_close(t_critical(count(scores.len()) - 1.0).unwrap(), &reference["t_crit"]);
    assert_close(summary.mean, &reference["mean"]);
    assert_close(summary.stderr.unwrap(), &reference["se"]);
    assert_interval(summary.interval, &reference["t_ci"]);
    assert_eq!((summary.method, summary.clusters), (Some(CiMethod::T), None));
}

#[test]
fn clustered_scores_have_the_reference_interval() {
    let reference = section("clustered");
    let (scores, ids) = clustered_scores(&reference);
    let summary = summarise(&scores, Some(&ids), Measure::Binary).unwrap();
    assert_close(summary.mean, &reference["mean"]);
    assert_close(summary.stderr.unwrap(), &reference["se_cr1_G_over_G_minus_1"]);
    assert_close(t_critical(3.0).unwrap(), &reference["t_crit_Gminus1"]);
    assert_interval(summary.interval, &reference["ci_t_cr1"]);
    assert_eq!((summary.method, summary.clusters), (Some(CiMethod::ClusterT), Some(4)));
    let naive = summarise(&scores, None, Measure::Binary).unwrap();
    assert_close(naive.stderr.unwrap(), &reference["se_naive"]);
}

#[test]
fn clusters_of_unequal_size_have_the_reference_standard_error() {
    let reference = section("clustered_unequal");
    let (scores, ids) = clustered_scores(&reference);
    let summary = summarise(&scores, Some(&ids), Measure::Binary).unwrap();
    assert_eq!(summary.items, size(&reference["n"]));
    assert_close(summary.mean, &reference["mean"]);
    assert_close(summary.stderr.unwrap(), &reference["se_cr1"]);
    let naive = summarise(&scores, None, Measure::Binary).unwrap();
    assert_close(naive.stderr.unwrap(), &reference["se_naive"]);
}

#[test]
fn no_failure_has_the_reference_upper_bound() {
    for (n, bounds) in section("zero_failures_upper95").as_object().unwrap() {
        assert_close(zero_failures_upper(n.parse().unwrap()), &bounds["exact_one_sided"]);
    }
    assert_eq!(zero_failures_upper(0), 1.0);
}

#[test]
fn t_quantiles_are_those_of_the_tables() {
    for (degrees, expected) in [(1.0, 12.706_205), (2.0, 4.302_653), (29.0, 2.045_230), (1000.0, 1.962_339)] {
        assert_close(t_critical(degrees).unwrap(), &json!(expected));
    }
    assert_eq!(t_critical(0.0), None);
}

#[test]
fn t_quantiles_fall_towards_the_normal_one() {
    let quantiles: Vec<f64> = (1..3000).map(|degrees| t_critical(f64::from(degrees)).unwrap()).collect();
    assert!(quantiles.is_sorted_by(|fewer, more| fewer > more));
    assert!(quantiles.last().unwrap() - NORMAL_CRITICAL < 0.001);
}

#[test]
fn nothing_has_no_summary() {
    assert_eq!(summarise(&[], None, Measure::Binary), None);
    assert_eq!(summarise(&[], Some(&[]), Measure::Continuous), None);
}

#[test]
fn clusters_of_another_length_are_refused() {
    assert_eq!(summarise(&[1.0, 0.0], Some(&[7]), Measure::Binary), None);
}

#[test]
fn one_continuous_item_has_a_mean_only() {
    let summary = summarise(&[0.4], None, Measure::Continuous).unwrap();
    let expected =
        Summary { mean: 0.4, stderr: None, interval: None, method: None, items: 1, clusters: None };
    assert_eq!(summary, expected);
}

#[test]
fn one_cluster_has_a_mean_only() {
    let summary = summarise(&[1.0, 0.0], Some(&[7, 7]), Measure::Binary).unwrap();
    let expected =
        Summary { mean: 0.5, stderr: None, interval: None, method: None, items: 2, clusters: Some(1) };
    assert_eq!(summary, expected);
}

#[test]
fn equal_continuous_scores_have_no_interval() {
    for score in [0.5, 0.1, 1.0 / 3.0] {
        let summary = summarise(&[score; 7], None, Measure::Continuous).unwrap();
        assert!(summary.stderr.unwrap() < 1e-12);
        assert_eq!((summary.interval, summary.method), (None, None));
    }
}

#[test]
fn clusters_that_all_agree_know_as_much_as_so_many_items() {
    let ids = [1, 1, 1, 2, 2, 3, 3, 3, 4];
    // Of 3, 2, 3 and 1 items: worth 81 / 23 clusters of one size.
    let effective = 81.0 / 23.0;
    for score in [1.0, 0.0] {
        let summary = summarise(&[score; 9], Some(&ids), Measure::Binary).unwrap();
        assert_eq!((summary.stderr, summary.method), (Some(0.0), Some(CiMethod::Wilson)));
        let expected = score_interval(score * effective, effective, NORMAL_CRITICAL);
        assert_eq!((summary.interval, summary.clusters), (Some(expected), Some(4)));
        assert!((wilson_items(score, expected) - effective).abs() < 1e-9);
    }
    let summary = summarise(&[1.0; 9], Some(&ids), Measure::Continuous).unwrap();
    assert_eq!((summary.stderr, summary.interval, summary.method), (Some(0.0), None, None));
}

#[test]
fn repeats_narrow_interval_and_standard_error_alike() {
    // 50 items of five epochs each, between 2 and 5 of them right.
    let scores: Vec<f64> = (0..50).map(|item| f64::from(2 + item % 4) / 5.0).collect();
    let summary = summarise(&scores, None, Measure::Binary).unwrap();
    let (stderr, interval) = (summary.stderr.unwrap(), summary.interval.unwrap());
    let width = (interval.high - interval.low) / (2.0 * stderr);
    assert!((1.9..2.1).contains(&width), "{width}");
    assert_eq!(summary.method, Some(CiMethod::Wilson));
    // Repeats that all came out alike are the items themselves.
    let alike = summarise(&[1.0, 0.0, 1.0], None, Measure::Binary).unwrap();
    assert_eq!(alike.interval, Some(wilson(2.0, 3)));
    let halves = summarise(&[0.5; 4], None, Measure::Binary).unwrap();
    assert_eq!(halves.interval, Some(wilson(2.0, 4)));
}

#[test]
fn clusters_without_spread_may_be_divided_within() {
    let summary = summarise(&[1.0, 0.0, 0.0, 1.0], Some(&[1, 1, 2, 2]), Measure::Binary).unwrap();
    assert_eq!((summary.interval, summary.method), (Some(wilson(1.0, 2)), Some(CiMethod::Wilson)));
}

#[test]
fn continuous_scores_turn_normal_at_thirty_items() {
    let scores: Vec<f64> = [0.2, 0.7].into_iter().cycle().take(30).collect();
    let method = |scores: &[f64]| summarise(scores, None, Measure::Continuous).unwrap().method;
    assert_eq!(method(&scores[..29]), Some(CiMethod::T));
    assert_eq!(method(&scores), Some(CiMethod::Normal));
    let summary = summarise(&scores, None, Measure::Continuous).unwrap();
    let interval = summary.interval.unwrap();
    let width = 2.0 * NORMAL_CRITICAL * summary.stderr.unwrap();
    assert!((interval.high - interval.low - width).abs() < 1e-12);
}

proptest! {
    #[test]
    fn wilson_holds_the_share_and_stays_within_bounds(n in 1_usize..5000, share in 0.0..=1.0) {
        let interval = wilson(share * count(n), n);
        prop_assert!(0.0 <= interval.low && interval.low <= share + 1e-12);
        prop_assert!(share - 1e-12 <= interval.high && interval.high <= 1.0);
    }

    #[test]
    fn items_in_clusters_of_their_own_are_independent(scores in prop::collection::vec(0.0..=1.0, 2..40)) {
        let ids: Vec<u64> = (0..).take(scores.len()).collect();
        let clustered = summarise(&scores, Some(&ids), Measure::Continuous).unwrap();
        let independent = summarise(&scores, None, Measure::Continuous).unwrap();
        prop_assert!((clustered.stderr.unwrap() - independent.stderr.unwrap()).abs() < 1e-12);
    }
}
