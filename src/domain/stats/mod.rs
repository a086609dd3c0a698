//! The numbers on the board: scores with intervals, the suite mean, tests of two models and of all pairs,
//! rank ranges, and what else is said about evals, attempts and money.
//!
//! Pure functions: no I/O, no clock, no randomness. Scores are finite and in 0..1, and missing measurements
//! were filled in: both are the caller's to see to (anything else gives no panic, and no meaning). Values are
//! returned as the formula gives them; clipping to 0..1 and rounding belong to the display. Two models are
//! compared on shared items by [`compare()`], never by the overlap of two intervals, which is not a test.

mod agreement;
mod bounds;
mod compare;
mod cost;
mod epochs;
mod holm;
mod interval;
mod items;
mod latency;
mod luck;
mod matrix;
mod paired;
mod power;
mod ranks;
mod sign_flip;
mod suite;
mod tails;
#[cfg(test)]
mod vectors;
mod win_rate;

pub use agreement::{Agreement, cohen_kappa};
pub use bounds::{ErrorBounds, error_bounds};
pub use compare::{Comparison, SharedEval, compare};
pub use cost::{CostPerSolved, Offer, Worth, cost_per_solved, pareto};
pub use epochs::{REDUCERS, Reducer, VarianceParts, pass_at_k, pass_hat_k, split_variance};
pub use holm::{LEVEL, benjamini_hochberg, fewest_disagreements, holm};
pub use interval::{Summary, summarise, wilson, zero_failures_upper};
pub use items::{ItemHealth, Solvers, dead_share, item_health};
pub use latency::percentile;
pub use luck::{answer_noise, luck_of_best};
pub use matrix::{Matrix, Mismatch, Standings, SuiteEval, Units, Verdict};
pub use paired::{PairedDetails, difference_stderr, paired_details};
pub use power::{GapVariance, POWER, items_needed, smallest_gap, smallest_gap_among};
pub use ranks::{RankRange, rank_ranges, tie_groups};
pub use sign_flip::{PairedTest, SignFlip, mcnemar, sign_flip};
pub use suite::{Cell, SuiteSummary, chance_normalised, suite};
pub use win_rate::mean_win_rates;

/// Share of intervals that cover the true value, for every interval and bound on the board.
pub const CI_LEVEL: f64 = 0.95;

/// Two-sided critical value of the standard normal at [`CI_LEVEL`]; a test holds the two together.
const NORMAL_CRITICAL: f64 = 1.959_963_984_540_054;

/// What rounding leaves of nothing: differences and spreads of scores up to here are 0, and sizes that differ
/// by no more than this share of themselves are equal. Far above the error of summing, far below any score.
const ROUNDING: f64 = 1e-9;

/// A two-sided interval at [`CI_LEVEL`], in the units of the value it surrounds; may reach beyond 0..1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end, never below `low`.
    pub high: f64,
}

impl Interval {
    /// `centre` plus and minus `margin`, which is not negative.
    fn around(centre: f64, margin: f64) -> Self {
        Self { low: centre - margin, high: centre + margin }
    }

    /// The same within `low..=high`: the display's, since values are returned as the formula gives them.
    #[must_use]
    pub fn clipped(self, low: f64, high: f64) -> Self {
        Self { low: self.low.clamp(low, high), high: self.high.clamp(low, high) }
    }

    /// Whether `value` lies within, ends included.
    pub fn holds(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }
}

/// How an [`Interval`] was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CiMethod {
    /// Wilson's score interval for a proportion.
    Wilson,
    /// Mean plus and minus a Student t quantile times the standard error.
    T,
    /// Mean plus and minus a normal quantile times the standard error.
    Normal,
    /// Student t on the cluster-robust standard error, with the effective number of clusters minus one degrees of
    /// freedom.
    ClusterT,
    /// The distances of the parts' own interval ends from their means, squared, weighted and added (Zou and Donner
    /// 2008).
    Combined,
    /// Mean plus and minus as many standard errors as the test of the same pair leaves: see [`compare()`].
    Test,
}

impl CiMethod {
    /// The method of that name.
    pub fn parse(name: &str) -> Option<Self> {
        let all = [Self::Wilson, Self::T, Self::Normal, Self::ClusterT, Self::Combined, Self::Test];
        all.into_iter().find(|method| method.as_str() == name)
    }

    /// The name in the API: `wilson`, `t`, `normal`, `cluster_t`, `combined` or `test`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Combined => "combined",
            Self::Test => "test",
            Self::Wilson => "wilson",
            Self::T => "t",
            Self::Normal => "normal",
            Self::ClusterT => "cluster_t",
        }
    }
}

/// What a scorer can give. A property of the scorer, never guessed from scores: a graded scorer that happened
/// to give only zeros and ones is still continuous.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// 0 or 1 for each attempt.
    Binary,
    /// Anything from 0 to 1.
    Continuous,
}

/// The arithmetic mean; `None` of nothing.
fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / count(values.len()))
}

/// The unbiased variance, with n - 1; `None` below two values.
fn sample_variance(values: &[f64]) -> Option<f64> {
    let degrees = values.len().checked_sub(1).filter(|degrees| *degrees > 0)?;
    let centre = mean(values)?;
    Some(values.iter().map(|value| (value - centre).powi(2)).sum::<f64>() / count(degrees))
}

/// A count as a number to calculate with.
#[expect(clippy::as_conversions, reason = "no lossless conversion exists; counts stay far below 2^53")]
fn count(n: usize) -> f64 {
    n as f64
}

/// The whole part of a number from 0 up; 0 below, and the largest count above.
#[expect(clippy::as_conversions, reason = "the conversion of a float saturates, which is what is wanted")]
fn whole(number: f64) -> usize {
    number as usize
}

#[cfg(test)]
mod tests {
    use statrs::distribution::{ContinuousCDF, Normal};

    use super::vectors::{assert_close, section};
    use super::*;

    #[test]
    fn the_normal_critical_value_belongs_to_the_level() {
        let quantile = Normal::standard().inverse_cdf(f64::midpoint(1.0, CI_LEVEL));
        assert!((NORMAL_CRITICAL - quantile).abs() < 1e-12);
        assert_close(NORMAL_CRITICAL, &section("z_975"));
    }

    #[test]
    fn every_method_has_its_name() {
        for name in ["wilson", "t", "normal", "cluster_t", "combined", "test"] {
            assert_eq!(CiMethod::parse(name).map(CiMethod::as_str), Some(name));
        }
        assert_eq!(CiMethod::parse("bootstrap"), None);
    }

    #[test]
    fn one_value_has_a_mean_and_no_variance() {
        assert_eq!((mean(&[0.25]), sample_variance(&[0.25])), (Some(0.25), None));
        assert_eq!((mean(&[]), sample_variance(&[])), (None, None));
    }
}
