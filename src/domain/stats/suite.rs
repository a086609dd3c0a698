//! The overall score of one model: the weighted mean over the evals of the suite.
//!
//! It treats the suite as fixed: the standard error is about the items drawn, not about which evals were
//! chosen. Which evals belong, and whether a model has them all, is decided elsewhere.

mod margins;

use self::margins::Range;
use super::{CiMethod, Interval};

/// One eval's part in the overall score of a model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cell {
    /// Weight of the eval, in any unit: only proportions count. A cell of weight 0 is left out altogether.
    pub weight: f64,
    /// Mean score on the eval, 0..1.
    pub mean: f64,
    /// Standard error of `mean`, where it has one; not read for an eval of one item.
    pub stderr: Option<f64>,
    /// Interval of `mean`, where it has one.
    pub interval: Option<Interval>,
    /// How `interval` was made. Without it the interval is not read where several evals combine.
    pub method: Option<CiMethod>,
    /// Items of the eval; at least 1.
    pub items: usize,
}

/// The overall score of a model and how sure it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SuiteSummary {
    /// Weighted mean score, 0..1.
    pub mean: f64,
    /// Standard error of `mean`.
    pub stderr: Option<f64>,
    /// Interval of `mean`; unclipped.
    pub interval: Option<Interval>,
    /// How `interval` was made; `None` exactly where there is none.
    pub method: Option<CiMethod>,
    /// Items of all evals together.
    pub items: usize,
    /// Evals that count, those of weight 0 left out; at least 1.
    pub evals: usize,
}

/// The weighted mean over the evals of a suite, weights brought to a sum of 1: `m = sum w m_e`.
///
/// `None` when no weight is above 0, or any is negative or not finite.
///
/// - One eval: its own standard error, interval and method.
/// - Several: `SE = sqrt(sum w^2 SE_e^2)`: the evals' items are independent samples.
/// - Evals of one item have no standard error of their own. The k of them pool as one stratum with the weight
///   `W = sum w_i`, shares `v_i = w_i / W` and the mean `m_s = sum v_i x_i`, whose standard error comes from
///   the weighted spread, `SE_s^2 = S / (1 - S) * sum v_i (x_i - m_s)^2` with `S = sum v_i^2`: the unbiased
///   estimate for independent items of equal variance (reliability weights), `sd / sqrt(k)` for equal ones.
///   The stratum counts as one eval in the sum above. A single one leaves the whole without standard error, as
///   does an eval of one cluster.
/// - The interval is made by `Range::Scores`, from what each part could be: also where a standard error is 0
///   or missing. None for fewer than two items in all, so that the overall score never rests on one answer.
pub fn suite(cells: &[Cell]) -> Option<SuiteSummary> {
    summary(cells, Range::Scores)
}

/// The same for differences of scores, -1..1, by [`Range::Differences`].
pub(super) fn suite_of_differences(cells: &[Cell]) -> Option<SuiteSummary> {
    summary(cells, Range::Differences)
}

fn summary(cells: &[Cell], range: Range) -> Option<SuiteSummary> {
    let parts = normalised(cells)?;
    let mean = parts.iter().map(|cell| cell.weight * cell.mean).sum();
    let items = parts.iter().map(|cell| cell.items).sum();
    let (stderr, interval) = match parts.as_slice() {
        _ if items < 2 => (None, None),
        [only] => (only.stderr, only.interval.zip(only.method).or_else(|| margins::interval(&parts, range))),
        several => (combined_stderr(several), margins::interval(several, range)),
    };
    let (interval, method) = interval.unzip();
    Some(SuiteSummary { mean, stderr, interval, method, items, evals: parts.len() })
}

/// The score as a share of what chance leaves to gain: `max(0, (raw - chance) / (1 - chance))`, 0..1.
///
/// `raw` and `chance` (the expected score of guessing) are in 0..1; a chance of 1 leaves nothing to gain and
/// gives 0.
pub fn chance_normalised(raw: f64, chance: f64) -> f64 {
    if chance < 1.0 { ((raw - chance) / (1.0 - chance)).max(0.0) } else { 0.0 }
}

/// The cells that count, weights brought to a sum of 1.
fn normalised(cells: &[Cell]) -> Option<Vec<Cell>> {
    let total: f64 = cells.iter().map(|cell| cell.weight).sum();
    let is_valid = cells.iter().all(|cell| cell.weight >= 0.0) && total > 0.0 && total.is_finite();
    let counted = cells.iter().filter(|cell| cell.weight > 0.0);
    is_valid.then(|| counted.map(|cell| Cell { weight: cell.weight / total, ..*cell }).collect())
}

/// Standard error of the sum of `weight * mean`; `None` where a part has none.
fn combined_stderr(cells: &[Cell]) -> Option<f64> {
    let (single, several): (Vec<Cell>, Vec<Cell>) = cells.iter().partition(|cell| cell.items == 1);
    let variances = several.iter().map(|cell| Some((cell.weight * cell.stderr?).powi(2)));
    let variance = variances.sum::<Option<f64>>()? + stratum_variance(&single)?;
    Some(variance.sqrt())
}

/// What evals of one item add to the variance of the whole, `W^2 SE_s^2`; `None` for just one of them.
fn stratum_variance(cells: &[Cell]) -> Option<f64> {
    if cells.is_empty() {
        return Some(0.0);
    }
    if cells.len() == 1 {
        return None;
    }
    let weight: f64 = cells.iter().map(|cell| cell.weight).sum();
    let mean = cells.iter().map(|cell| cell.weight * cell.mean).sum::<f64>() / weight;
    let spread: f64 = cells.iter().map(|cell| cell.weight / weight * (cell.mean - mean).powi(2)).sum();
    let shares: f64 = cells.iter().map(|cell| (cell.weight / weight).powi(2)).sum();
    Some(weight.powi(2) * spread * shares / (1.0 - shares))
}

#[cfg(test)]
mod tests;
