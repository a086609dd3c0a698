//! The overall score of one model: the weighted mean over the evals of the suite.
//!
//! It treats the suite as fixed: the standard error is about the items drawn, not about which evals were
//! chosen. Which evals belong, and whether a model has them all, is decided elsewhere.

use super::{CiMethod, Interval, NORMAL_CRITICAL, ROUNDING};

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
    /// How `interval` was made.
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
/// - Several: `SE = sqrt(sum w^2 SE_e^2)` (the evals' items are independent samples) and a normal interval.
/// - Evals of one item have no standard error of their own. The k of them pool as one stratum with the weight
///   `W = sum w_i`, shares `v_i = w_i / W` and the mean `m_s = sum v_i x_i`, whose standard error comes from
///   the weighted spread, `SE_s^2 = S / (1 - S) * sum v_i (x_i - m_s)^2` with `S = sum v_i^2`: the unbiased
///   estimate for independent items of equal variance (reliability weights), `sd / sqrt(k)` for equal ones.
///   The stratum counts as one eval in the sum above.
/// - No standard error and no interval for the whole where any part has none: a single one-item eval among
///   larger ones, an eval of one cluster, or fewer than two items in all (so the overall score never rests on
///   one answer, even where that eval alone has a Wilson interval). Leaving such a part out of the sum would
///   pass it off as known exactly.
/// - No interval either where the standard error comes out as 0, because the items of each eval all agree:
///   there is no spread to make one from, and one of no width would claim certainty.
pub fn suite(cells: &[Cell]) -> Option<SuiteSummary> {
    let parts = normalised(cells)?;
    let mean = parts.iter().map(|cell| cell.weight * cell.mean).sum();
    let items = parts.iter().map(|cell| cell.items).sum();
    let (stderr, interval, method) = match parts.as_slice() {
        _ if items < 2 => (None, None, None),
        [only] => (only.stderr, only.interval, only.method),
        several => {
            let stderr = combined_stderr(several);
            let spread = stderr.filter(|stderr| *stderr > ROUNDING);
            let interval = spread.map(|stderr| Interval::around(mean, NORMAL_CRITICAL * stderr));
            (stderr, interval, interval.map(|_| CiMethod::Normal))
        }
    };
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
mod tests {
    use proptest::prelude::*;

    use super::super::vectors::{assert_close, examples, number, numbers, section};
    use super::super::{Measure, sample_variance, summarise, wilson};
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
        let expected =
            SuiteSummary { mean: 1.0, stderr: None, interval: None, method: None, items: 1, evals: 1 };
        assert_eq!(summary, expected);
    }

    #[test]
    fn evals_of_one_item_and_equal_weight_are_one_sample() {
        let scores = [1.0, 0.0, 1.0, 1.0];
        let summary = suite(&scores.map(|score| item(1.0, score))).unwrap();
        let expected = (sample_variance(&scores).unwrap() / 4.0).sqrt();
        assert!((summary.stderr.unwrap() - expected).abs() < 1e-12);
        assert_eq!((summary.method, summary.items, summary.evals), (Some(CiMethod::Normal), 4, 4));
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
    fn a_part_without_a_standard_error_leaves_the_whole_without_an_interval() {
        let one_cluster = Cell { stderr: None, ..eval(1.0, 0.5, 0.0) };
        for part in [item(1.0, 1.0), one_cluster] {
            let summary = suite(&[part, eval(1.0, 0.8, 0.04)]).unwrap();
            assert_eq!((summary.stderr, summary.interval, summary.method), (None, None, None));
        }
    }

    #[test]
    fn evals_without_any_spread_have_no_interval_together() {
        let summary = suite(&[eval(1.0, 1.0, 0.0), eval(1.0, 0.0, 0.0)]).unwrap();
        assert_eq!((summary.stderr, summary.interval, summary.method), (Some(0.0), None, None));
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
}
