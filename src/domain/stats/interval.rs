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
mod tests;
