//! The score of one eval: mean, standard error and interval over its items.
//!
//! The item is the unit: epochs are reduced before, so that repeats of a sample never pass for new samples.
//! It does not fill in missing measurements and does not clip what it returns.

use std::collections::BTreeMap;

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::{CI_LEVEL, CiMethod, Interval, Measure, NORMAL_CRITICAL, ROUNDING, count, mean, sample_variance};

/// From this many items on, a mean of continuous scores is taken as normal.
const NORMAL_FROM_ITEMS: usize = 30;

/// The score of one eval and how sure it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Mean item score, 0..1.
    pub mean: f64,
    /// Standard error of `mean`; `None` for one item or one cluster. Zero where all items agree, which says
    /// nothing about items not asked: see [`wilson`] and [`zero_failures_upper`].
    pub stderr: Option<f64>,
    /// Interval of `mean`. [`CiMethod::T`] and [`CiMethod::ClusterT`] reach beyond 0..1 on small samples.
    pub interval: Option<Interval>,
    /// How `interval` was made; `None` exactly where there is none.
    pub method: Option<CiMethod>,
    /// Items, not items x epochs; at least 1.
    pub items: usize,
    /// Distinct clusters; `None` where items are independent.
    pub clusters: Option<usize>,
}

/// Summarises the item scores of one eval (each 0..1, epochs reduced).
///
/// `clusters` holds the cluster of the item at the same place, for evals where any item has one; an item
/// that belongs to none gets an id of its own from the caller. `None` without items, or when `clusters` has
/// another length than `scores`.
///
/// - Independent items: `SE = sd / sqrt(n)`, sd with n - 1, and none for one item. Binary: [`wilson`], also
///   for one item; where repeats made scores fractions, Wilson's interval on `n_eff = m (1 - m) / SE^2` items
///   (n at least) with Student's t in place of z, so that it is as narrow as the repeats make it. Continuous:
///   Student's t below 30 items, normal from there on; no interval for one item and none where all scores are
///   equal.
/// - Clusters, binary or continuous: `SE = sqrt(sum_c (sum_i (s_ic - m))^2) / n * sqrt(G / (G - 1))` (Liang and
///   Zeger 1986; the correction for few clusters after Cameron and Miller 2015; for evals Miller 2024). When every
///   item is its own cluster this is `sd / sqrt(n)`. One single cluster has neither standard error nor interval.
/// - The interval of clusters: t with `n^2 / sum n_c^2 - 1` degrees of freedom, at least 1 (the effective number of
///   clusters, G for equal ones, about 1 where one holds most items; Kish 1965), each squared deviation divided by
///   `1 - n_c / n` (Bell and McCaffrey 2002), which for clusters of one size is the standard error above. Binary: the
///   standard error is at least that of independent items, and the interval holds Wilson's on `m (1 - m) / SE^2`
///   items, with the mean of z and t as critical value, too: t alone covers too little near 0 and 1. That
///   mean is a choice, made by simulation: the tests show what it covers.
/// - Clusters that show no spread at all (each sums to its number of items times the mean, as when every item
///   is solved): the formula gives an interval of no width, which claims to know what was never seen.
///   Continuous scores then have none, as above. Binary ones have Wilson's on the effective number of clusters, as if
///   each were one item with the mean as its score: the least that so many independent clusters can say, reached
///   when the items of a cluster stand or fall together. Its method is [`CiMethod::Wilson`].
pub fn summarise(scores: &[f64], clusters: Option<&[u64]>, measure: Measure) -> Option<Summary> {
    let centre = mean(scores)?;
    match clusters {
        None => Some(independent(scores, centre, measure)),
        Some(ids) if ids.len() == scores.len() => Some(clustered(scores, ids, centre, measure)),
        Some(_) => None,
    }
}

/// Wilson's score interval (1927) for `successes` out of `n`, with `successes` in 0..n. It stays within 0..1.
///
/// `successes` may be fractional. Nothing tried (`n = 0`) is the whole of 0..1.
pub fn wilson(successes: f64, n: usize) -> Interval {
    score_interval(successes, count(n), NORMAL_CRITICAL)
}

/// The same with any number of effective items `n` and any critical value (Wilson with Student's for effective
/// sample sizes: Dean and Pacifico 2015).
fn score_interval(successes: f64, n: f64, critical: f64) -> Interval {
    // By symmetry the upper end is where the failures' lower end is. That makes 0 and 1 exact at the ends,
    // where the textbook form is off by a rounding error.
    let failures = n - successes;
    let low = score_low(successes, failures, critical);
    Interval { low, high: 1.0 - score_low(failures, successes, critical) }
}

/// How many independent items a Wilson interval of this width around the share `centre` is worth: the positive
/// root n of `half^2 (n + z^2)^2 = z^2 (n centre (1 - centre) + z^2 / 4)`.
pub(super) fn wilson_items(centre: f64, interval: Interval) -> f64 {
    let (half, z) = ((interval.high - interval.low) / 2.0, NORMAL_CRITICAL.powi(2));
    let variance = z * centre * (1.0 - centre);
    let free = 4.0 * half * half * (z * z / 4.0 - z * variance);
    (variance + (variance * variance + free.max(0.0)).sqrt()) / (2.0 * half * half) - z
}

/// The highest failure rate that still leaves a 5 % chance of no failure in `n` items: `1 - 0.05^(1/n)`.
///
/// The exact one-sided bound at [`CI_LEVEL`] (Clopper and Pearson 1934; about 3 / n, Hanley and Lippman-Hand
/// 1983), for evals where every item was solved, or none: then it bounds the rate of the other outcome. In
/// 0..1; 1 when nothing was tried.
pub fn zero_failures_upper(n: usize) -> f64 {
    -((1.0 - CI_LEVEL).ln() / count(n)).exp_m1()
}

fn score_low(successes: f64, failures: f64, z: f64) -> f64 {
    let n = successes + failures;
    let variance = if n > 0.0 { successes * failures / n } else { 0.0 };
    (2.0 * successes + z * z - z * (z * z + 4.0 * variance).sqrt()) / (2.0 * (n + z * z))
}

fn independent(scores: &[f64], centre: f64, measure: Measure) -> Summary {
    let items = scores.len();
    let stderr = sample_variance(scores).map(|variance| (variance / count(items)).sqrt());
    let interval = match measure {
        Measure::Binary => Some((binary_interval(scores, centre, stderr), CiMethod::Wilson)),
        Measure::Continuous => stderr.and_then(|stderr| mean_interval(centre, stderr, items)),
    };
    let (interval, method) = interval.unzip();
    Summary { mean: centre, stderr, interval, method, items, clusters: None }
}

/// Wilson on the items, or, where repeats made them fractions, on as many as vary like them.
fn binary_interval(scores: &[f64], centre: f64, stderr: Option<f64>) -> Interval {
    let items = count(scores.len());
    let is_repeated = scores.iter().any(|score| *score > 0.0 && *score < 1.0);
    let repeated = stderr.filter(|stderr| is_repeated && *stderr > ROUNDING).and_then(|stderr| {
        let effective = (centre * (1.0 - centre) / stderr.powi(2)).max(items);
        Some(score_interval(centre * effective, effective, t_critical(items - 1.0)?))
    });
    repeated.unwrap_or_else(|| wilson(scores.iter().sum(), scores.len()))
}

fn mean_interval(centre: f64, stderr: f64, items: usize) -> Option<(Interval, CiMethod)> {
    if stderr <= ROUNDING {
        return None;
    }
    let (critical, method) = if items < NORMAL_FROM_ITEMS {
        (t_critical(count(items) - 1.0)?, CiMethod::T)
    } else {
        (NORMAL_CRITICAL, CiMethod::Normal)
    };
    Some((Interval::around(centre, critical * stderr), method))
}

/// One cluster: its items and the sum of their scores less the mean.
#[derive(Default)]
struct Cluster {
    items: f64,
    deviation: f64,
}

fn clustered(scores: &[f64], ids: &[u64], centre: f64, measure: Measure) -> Summary {
    // Ordered, so that the same scores always add up to the same last digit.
    let mut clusters = BTreeMap::<u64, Cluster>::new();
    for (score, id) in scores.iter().zip(ids) {
        let cluster = clusters.entry(*id).or_default();
        cluster.items += 1.0;
        cluster.deviation += score - centre;
    }
    let clusters: Vec<Cluster> = clusters.into_values().collect();
    let items = scores.len();
    let degrees = clusters.len().checked_sub(1).filter(|degrees| *degrees > 0);
    let stderr = degrees.map(|degrees| {
        let squares: f64 = clusters.iter().map(|cluster| cluster.deviation.powi(2)).sum();
        squares.sqrt() / count(items) * (count(clusters.len()) / count(degrees)).sqrt()
    });
    let interval = stderr.and_then(|_| cluster_interval(&clusters, centre, count(items), measure));
    let (interval, method) = interval.unzip();
    Summary { mean: centre, stderr, interval, method, items, clusters: Some(clusters.len()) }
}

fn cluster_interval(
    clusters: &[Cluster],
    centre: f64,
    items: f64,
    measure: Measure,
) -> Option<(Interval, CiMethod)> {
    let effective = items.powi(2) / clusters.iter().map(|cluster| cluster.items.powi(2)).sum::<f64>();
    // The larger a cluster, the more the mean is its own and the less it deviates.
    let freed = |cluster: &Cluster| cluster.deviation.powi(2) / (1.0 - cluster.items / items);
    let stderr = clusters.iter().map(freed).sum::<f64>().sqrt() / items;
    let critical = t_critical((effective - 1.0).max(1.0))?;
    match measure {
        Measure::Continuous if stderr <= ROUNDING => None,
        Measure::Continuous => Some((Interval::around(centre, critical * stderr), CiMethod::ClusterT)),
        Measure::Binary if stderr <= ROUNDING => {
            Some((score_interval(centre * effective, effective, NORMAL_CRITICAL), CiMethod::Wilson))
        }
        Measure::Binary => {
            let stderr = stderr.max(independent_stderr(centre, items));
            let worth = (centre * (1.0 - centre) / stderr.powi(2)).clamp(0.5, items);
            let even = Interval::around(centre, critical * stderr);
            let skewed = score_interval(centre * worth, worth, f64::midpoint(NORMAL_CRITICAL, critical));
            let hull = Interval { low: even.low.min(skewed.low), high: even.high.max(skewed.high) };
            Some((hull, CiMethod::ClusterT))
        }
    }
}

/// The standard error of a share if its items were independent, by Agresti and Coull (1998):
/// `sqrt(p (1 - p) / (n + 4))` at `p = (x + 2) / (n + 4)`.
fn independent_stderr(share: f64, items: f64) -> f64 {
    let share = (share * items + 2.0) / (items + 4.0);
    (share * (1.0 - share) / (items + 4.0)).sqrt()
}

/// Two-sided critical value of Student's t at [`CI_LEVEL`]; `None` unless `degrees` is above 0.
pub(super) fn t_critical(degrees: f64) -> Option<f64> {
    let distribution = StudentsT::new(0.0, 1.0, degrees).ok()?;
    Some(distribution.inverse_cdf(f64::midpoint(1.0, CI_LEVEL)))
}

#[cfg(test)]
mod tests {
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
        for (degrees, expected) in
            [(1.0, 12.706_205), (2.0, 4.302_653), (29.0, 2.045_230), (1000.0, 1.962_339)]
        {
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
    fn repeats_narrow_the_interval_as_they_narrow_the_standard_error() {
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
}
