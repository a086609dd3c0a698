//! How many items it takes to tell two models apart, and the smallest gap that given items can tell apart.
//!
//! Planning by the normal approximation for one pair on independent items (Miller 2024, sections 4 and 5). It
//! takes variances as known and corrects nothing for many pairs.

use statrs::distribution::{ContinuousCDF, Normal};

use super::{CI_LEVEL, NORMAL_CRITICAL, count};

/// Chance of finding a gap that is there, in all planning here.
pub const POWER: f64 = 0.8;

/// Where the item scores of two models vary, in squared score units. All are at least 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GapVariance {
    /// Between items, of the difference of the two models' true item scores.
    pub between: f64,
    /// Within an item of the first model: the noise of one answer.
    pub within_a: f64,
    /// The same of the second model.
    pub within_b: f64,
}

impl GapVariance {
    /// Variance of the difference on one item, each model's score being the mean of `epochs` answers:
    /// `between + within_a / K + within_b / K`. `None` for 0 epochs.
    pub fn per_item(&self, epochs: usize) -> Option<f64> {
        (epochs > 0).then(|| self.between + (self.within_a + self.within_b) / count(epochs))
    }
}

/// Items needed to find a gap of `gap` (score units, above 0) at the level of [`super::CI_LEVEL`] with
/// [`POWER`]: `n = (z_a/2 + z_b)^2 (between + within_a / K + within_b / K) / gap^2`. Round it up.
///
/// `None` for 0 epochs or a gap that is not above 0.
pub fn items_needed(gap: f64, variance: GapVariance, epochs: usize) -> Option<f64> {
    let per_item = variance.per_item(epochs).filter(|_| gap > 0.0)?;
    Some(per_item * (reach() / gap).powi(2))
}

/// The smallest gap (score units) that is found with [`POWER`], given the standard error of the difference of
/// two models: `(z_a/2 + z_b) SE`.
///
/// For a plan, `SE = sqrt(per_item / n)` with [`GapVariance::per_item`]; for an eval that was run, the
/// standard error of the difference of two of its models, as [`super::compare`] gives it, clusters included.
pub fn smallest_gap(stderr_of_difference: f64) -> f64 {
    reach() * stderr_of_difference
}

/// The same where the pair is one of all pairs of `models` (2 or more) and has to pass the correction for them:
/// `(z_a/2k + z_b) SE` with k = models (models - 1) / 2, the first step of [`super::holm`] (Bonferroni's bound).
/// Holm's later steps ask for less, so a pair among many that differ is found more easily.
pub fn smallest_gap_among(models: usize, stderr_of_difference: f64) -> f64 {
    let pairs = count(models * models.saturating_sub(1) / 2).max(1.0);
    let critical = -Normal::standard().inverse_cdf((1.0 - CI_LEVEL) / (2.0 * pairs));
    (critical + power_reach()) * stderr_of_difference
}

/// How many standard errors away a gap has to be.
fn reach() -> f64 {
    NORMAL_CRITICAL + power_reach()
}

fn power_reach() -> f64 {
    Normal::standard().inverse_cdf(POWER)
}

#[cfg(test)]
mod tests {
    use super::super::vectors::{assert_close, examples, number, size};
    use super::*;

    #[test]
    fn items_needed_are_the_reference_ones() {
        for example in examples("power") {
            let variance = GapVariance {
                between: number(&example["omega2"]),
                within_a: number(&example["sigma2_A"]),
                within_b: number(&example["sigma2_B"]),
            };
            let items = items_needed(number(&example["delta"]), variance, size(&example["K"])).unwrap();
            // Printed with three decimals, from variances printed with six.
            assert!((items / number(&example["n"]) - 1.0).abs() < 2e-6, "{items} is not {example}");
            assert_eq!(items.ceil(), number(&example["n_ceil"]));
        }
    }

    #[test]
    fn smallest_gaps_are_the_reference_ones() {
        for example in examples("mde") {
            let within = number(&example["sigma2"]);
            let variance =
                GapVariance { between: number(&example["omega2"]), within_a: within, within_b: within };
            let per_item = variance.per_item(size(&example["K"])).unwrap();
            let gap = smallest_gap((per_item / number(&example["n"])).sqrt());
            assert_close(gap, &example["mde"]);
        }
    }

    #[test]
    fn many_models_need_a_larger_gap() {
        assert!((smallest_gap_among(2, 0.05) - smallest_gap(0.05)).abs() < 1e-9);
        // 66 pairs: z of 0.05 / 132 is 3.3664.
        assert!((smallest_gap_among(12, 1.0) - (3.366_4 + 0.841_6)).abs() < 2e-3);
        assert!((smallest_gap_among(1, 0.05) - smallest_gap(0.05)).abs() < 1e-9);
    }

    #[test]
    fn a_gap_that_needs_so_many_items_is_the_smallest_that_they_find() {
        let variance = GapVariance { between: 0.2, within_a: 0.1, within_b: 0.3 };
        let items = items_needed(0.04, variance, 2).unwrap();
        let gap = smallest_gap((variance.per_item(2).unwrap() / items).sqrt());
        assert!((gap - 0.04).abs() < 1e-12);
    }

    #[test]
    fn no_epochs_or_no_gap_cannot_be_planned() {
        let variance = GapVariance { between: 0.2, within_a: 0.1, within_b: 0.1 };
        assert_eq!((variance.per_item(0), items_needed(0.1, variance, 0)), (None, None));
        assert_eq!((items_needed(0.0, variance, 1), items_needed(-0.1, variance, 1)), (None, None));
        assert_eq!(items_needed(f64::NAN, variance, 1), None);
    }
}
