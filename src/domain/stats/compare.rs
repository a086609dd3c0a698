//! Two models on the items that both were asked: how far apart they are, how sure that is, and the test.
//!
//! Overlap of two intervals is not a test and is not looked at. One pair is compared here; all pairs of a
//! board at once are in [`super::Matrix`], which gives the same p-values. The sentence about it is written in
//! [`crate::domain::compare`].

use std::collections::BTreeMap;

use super::sign_flip::unit_difference;
use statrs::distribution::{ContinuousCDF, Normal};

use super::suite::suite_of_differences;
use super::{
    Cell, CiMethod, Interval, LEVEL, Measure, NORMAL_CRITICAL, SignFlip, SuiteSummary, count, sign_flip,
    summarise,
};

/// One eval version that both models have a complete result on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SharedEval<'a> {
    /// Weight of the eval, in any unit: only proportions count. An eval of weight 0 is left out.
    pub weight: f64,
    /// Item scores of the first model, 0..1, missing measurements filled in.
    pub a: &'a [f64],
    /// Item scores of the second model, in the same order.
    pub b: &'a [f64],
    /// Cluster of the item at the same place, where the eval has clusters.
    pub clusters: Option<&'a [u64]>,
}

/// Two models compared on an eval or a suite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// Weighted mean of a minus b over the shared items, -1..1, with its standard error and interval, and the
    /// number of items and evals. Its interval holds 0 exactly where the test's p is above [`LEVEL`]; there is none
    /// for a single item.
    pub difference: SuiteSummary,
    /// Whether that could be chance.
    pub test: SignFlip,
    /// What the test flipped, and so what counts as independent: items, or clusters where an eval has them.
    pub units: usize,
    /// Items that only a solved and items that only b solved; `None` unless all are wholly right or wrong.
    pub only: Option<(usize, usize)>,
}

/// Compares two models on `evals`, on one alone as on a whole suite. `None` without items, for unequal lists
/// within an eval, and for weights that [`suite`](super::suite()) refuses.
///
/// - Difference of an eval: the mean of `d_i = a_i - b_i`, with the standard error and interval that
///   [`summarise`] gives to the continuous scores `d_i` (clustered where it has clusters): `sd(d) / sqrt(n)`.
///   Over several evals they combine as in [`suite`](super::suite()); items that all differ alike have the variance
///   `2 / (n + 2)^2`, so that no interval has no width.
/// - Test: [`sign_flip`] of the item differences `c_k = w_e (a_k - b_k) / n_e`, n_e being the items of eval e.
///   Items of one cluster flip together, as their sum.
/// - One decision: where interval and test disagree on whether the difference could be 0 (p above or up to [`LEVEL`]),
///   the test decides and the interval becomes `d +- z |d| / z_p`, with z_p the normal value whose two tails are p
///   (Miettinen's test-based interval, 1976), which holds 0 exactly where p is above the level. They disagree
///   only close to it, so that either way is close to the other there.
pub fn compare(evals: &[SharedEval<'_>]) -> Option<Comparison> {
    let counted: Vec<&SharedEval<'_>> = evals.iter().filter(|eval| eval.weight != 0.0).collect();
    let cells: Vec<Cell> = counted.iter().map(|eval| eval.difference()).collect::<Option<_>>()?;
    let mut difference = suite_of_differences(&cells)?;
    let differences: Vec<f64> = counted.iter().flat_map(|eval| eval.unit_differences()).collect();
    let test = sign_flip(&differences);
    agree(&mut difference, &test);
    let only: Option<Vec<(usize, usize)>> = counted.iter().map(|eval| eval.only()).collect();
    Some(Comparison {
        difference,
        test,
        units: differences.len(),
        only: only.map(|evals| evals.iter().fold((0, 0), |sum, eval| (sum.0 + eval.0, sum.1 + eval.1))),
    })
}

/// Replaces an interval that contradicts the test.
fn agree(difference: &mut SuiteSummary, test: &SignFlip) {
    let is_tied = test.p > LEVEL;
    let agrees = |interval: Interval| interval.holds(0.0) == is_tied;
    if difference.interval.is_none_or(agrees) {
        return;
    }
    let z = Normal::standard().inverse_cdf(test.p / 2.0).abs();
    let margin = difference.mean.abs() * NORMAL_CRITICAL / z.max(f64::MIN_POSITIVE);
    // What is no more than the whole range, where p is 1.
    let margin = margin.min(1.0 + difference.mean.abs());
    difference.interval = Some(Interval::around(difference.mean, margin));
    difference.method = Some(CiMethod::Test);
}

impl SharedEval<'_> {
    fn difference(&self) -> Option<Cell> {
        if self.a.len() != self.b.len() {
            return None;
        }
        let differences: Vec<f64> = self.a.iter().zip(self.b).map(|(a, b)| unit_difference(*a, *b)).collect();
        let own = summarise(&differences, self.clusters, Measure::Continuous)?;
        Some(Cell {
            weight: self.weight,
            mean: own.mean,
            stderr: own.stderr,
            interval: own.interval,
            method: own.method,
            items: own.items,
        })
    }

    /// What is flipped, weighted.
    fn unit_differences(&self) -> Vec<f64> {
        let share = self.weight / count(self.a.len());
        let (a, b) = match self.clusters {
            None => (self.a.to_vec(), self.b.to_vec()),
            Some(clusters) => (cluster_sums(self.a, clusters), cluster_sums(self.b, clusters)),
        };
        a.iter().zip(b).map(|(a, b)| share * unit_difference(*a, b)).collect()
    }

    fn only(&self) -> Option<(usize, usize)> {
        let is_sure = |score: &f64| *score == 0.0 || *score == 1.0;
        let ahead = |first: &[f64], second: &[f64]| first.iter().zip(second).filter(|(a, b)| a > b).count();
        let are_sure = self.a.iter().chain(self.b).all(is_sure);
        are_sure.then(|| (ahead(self.a, self.b), ahead(self.b, self.a)))
    }
}

/// The sum of the scores of each cluster, in the order of the clusters' numbers.
pub(super) fn cluster_sums(scores: &[f64], clusters: &[u64]) -> Vec<f64> {
    let mut sums = BTreeMap::<u64, f64>::new();
    for (score, cluster) in scores.iter().zip(clusters) {
        *sums.entry(*cluster).or_default() += score;
    }
    sums.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::super::vectors::{assert_close, numbers, section, size};
    use super::super::{CiMethod, PairedTest, mcnemar, suite, tails};
    use super::*;

    fn one<'a>(a: &'a [f64], b: &'a [f64]) -> SharedEval<'a> {
        SharedEval { weight: 1.0, a, b, clusters: None }
    }

    #[test]
    fn one_eval_has_the_reference_difference_and_test() {
        let reference = section("paired");
        let (a, b) = (numbers(&reference["A"]), numbers(&reference["B"]));
        let comparison = compare(&[one(&a, &b)]).unwrap();
        assert_close(comparison.difference.mean, &reference["diff"]);
        assert_close(comparison.difference.stderr.unwrap(), &reference["se_paired"]);
        assert_close(comparison.test.p, &reference["mcnemar_exact_p"]);
        assert_eq!(comparison.test.test, PairedTest::McnemarExact);
        assert_eq!(comparison.only, Some((size(&reference["b_A_only"]), size(&reference["c_B_only"]))));
        assert_eq!((comparison.difference.method, comparison.units), (Some(CiMethod::T), 20));
    }

    #[test]
    fn differences_combine_over_evals_like_the_reference() {
        let reference = section("suite_difference");
        let (differences, stderrs) = (numbers(&reference["d"]), numbers(&reference["se_d"]));
        let cell = |(mean, stderr): (f64, f64)| Cell {
            weight: 1.0,
            mean,
            stderr: Some(stderr),
            interval: None,
            method: None,
            items: 50,
        };
        let cells: Vec<Cell> = differences.into_iter().zip(stderrs).map(cell).collect();
        let combined = suite(&cells).unwrap();
        let stderr = combined.stderr.unwrap();
        assert_close(combined.mean, &reference["diff"]);
        assert_close(stderr, &reference["se"]);
        assert_close(combined.mean / stderr, &reference["z"]);
        assert_close(tails::normal(combined.mean / stderr), &reference["p"]);
    }

    #[test]
    fn weights_and_sizes_of_evals_decide_how_much_an_item_flips() {
        // Weighted 3 : 1, of 2 and 4 items: item differences of 3/8 and 1/16, in units of 1/16: 6, -1, -1.
        let evals = [
            SharedEval { weight: 3.0, ..one(&[1.0, 0.0], &[0.0, 0.0]) },
            one(&[0.0, 0.0, 1.0, 0.0], &[1.0, 1.0, 1.0, 0.0]),
        ];
        let comparison = compare(&evals).unwrap();
        assert!((comparison.difference.mean - (0.75 * 0.5 - 0.25 * 0.5)).abs() < 1e-12);
        // Of the eight flips, 6+1+1, 6+1-1, 6-1+1 and 6-1-1 reach 4, and so do their opposites.
        assert_eq!((comparison.test.p, comparison.test.test), (1.0, PairedTest::SignFlipExact));
        assert_eq!((comparison.only, comparison.units), (Some((1, 2)), 6));
    }

    #[test]
    fn items_of_a_cluster_flip_together() {
        let (a, b) = ([1.0; 6], [0.0; 6]);
        let alone = compare(&[one(&a, &b)]).unwrap();
        let clusters = [1, 1, 2, 2, 3, 3];
        let clustered = compare(&[SharedEval { clusters: Some(&clusters), ..one(&a, &b) }]).unwrap();
        assert!((alone.test.p - 2.0 / 64.0).abs() < 1e-12);
        assert!((clustered.test.p - 2.0 / 8.0).abs() < 1e-12);
        assert_eq!((alone.units, clustered.units, clustered.difference.items), (6, 3, 6));
    }

    #[test]
    fn clusters_widen_the_interval_of_the_difference() {
        let (a, b) = ([1.0, 1.0, 0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
        let clusters = [1, 1, 2, 2, 3, 3];
        let alone = compare(&[one(&a, &b)]).unwrap().difference;
        let clustered = compare(&[SharedEval { clusters: Some(&clusters), ..one(&a, &b) }]).unwrap();
        assert_eq!(clustered.difference.method, Some(CiMethod::ClusterT));
        // Cluster sums of the differences are 2, 0 and 1 around a mean of 1 each.
        let expected = (2_f64).sqrt() / 6.0 * (3.0_f64 / 2.0).sqrt();
        assert!((clustered.difference.stderr.unwrap() - expected).abs() < 1e-12);
        assert!(clustered.difference.stderr > alone.stderr);
    }

    #[test]
    fn equal_answers_leave_room_for_a_difference() {
        let scores = [0.3, 0.9, 0.1];
        let comparison = compare(&[one(&scores, &scores)]).unwrap();
        let interval = comparison.difference.interval.unwrap();
        assert_eq!((comparison.difference.mean, comparison.test.p, comparison.only), (0.0, 1.0, None));
        assert!(interval.holds(0.0) && interval.high > 0.4, "{interval:?}");
        let long = [1.0; 400];
        let interval = compare(&[one(&long, &long)]).unwrap().difference.interval.unwrap();
        assert!((0.005..0.01).contains(&interval.high), "{interval:?}");
    }

    #[test]
    fn interval_and_test_are_one_decision() {
        let split = |items: usize, b: usize, c: usize| -> (Vec<f64>, Vec<f64>) {
            let score = |is_right: bool| if is_right { 1.0 } else { 0.0 };
            let a = (0..items).map(|item| score(item < b || item >= b + c)).collect();
            (a, (0..items).map(|item| score(item >= b)).collect())
        };
        for items in [8, 20, 50, 300] {
            for b in 0..=items.min(24) {
                for c in 0..=(items - b).min(12) {
                    let (a, other) = split(items, b, c);
                    let comparison = compare(&[one(&a, &other)]).unwrap();
                    let p = mcnemar(b.try_into().unwrap(), c.try_into().unwrap());
                    let interval = comparison.difference.interval.unwrap();
                    assert_eq!(interval.holds(0.0), p > LEVEL, "{b} to {c} of {items}: {interval:?} and {p}");
                    assert!(interval.holds(comparison.difference.mean));
                }
            }
        }
        let (a, other) = split(50, 7, 1);
        let tied = compare(&[one(&a, &other)]).unwrap();
        let interval = tied.difference.interval.unwrap();
        assert!(tied.test.p > LEVEL && (-0.02..0.0).contains(&interval.low), "{interval:?}");
        assert_eq!(tied.difference.method, Some(CiMethod::Test));
    }

    #[test]
    fn what_cannot_be_paired_is_not_compared() {
        assert_eq!(compare(&[]), None);
        assert_eq!(compare(&[one(&[], &[])]), None);
        assert_eq!(compare(&[one(&[1.0], &[1.0, 0.0])]), None);
        assert_eq!(compare(&[SharedEval { clusters: Some(&[1]), ..one(&[1.0, 0.0], &[1.0, 0.0]) }]), None);
        assert_eq!(compare(&[SharedEval { weight: -1.0, ..one(&[1.0], &[0.0]) }]), None);
    }

    #[test]
    fn an_eval_of_weight_zero_is_no_evidence() {
        let counted = one(&[1.0, 0.0], &[0.0, 0.0]);
        let uncounted = SharedEval { weight: 0.0, ..one(&[0.0; 40], &[1.0; 40]) };
        assert_eq!(compare(&[counted, uncounted]), compare(&[counted]));
    }
}
