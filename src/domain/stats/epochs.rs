//! Repeats of one sample: reducing them to one item score, and what they say about the noise of one answer.
//!
//! Repeats never count as items: intervals are made from reduced scores, in [`super::summarise`].

use std::fmt;

use super::{count, mean, percentile, sample_variance};

/// How the epochs of one item become its score. An epoch solves the item when its score is at least the
/// eval's pass threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reducer {
    /// The mean over epochs.
    Mean,
    /// The middle score, or the mean of the two in the middle.
    Median,
    /// 1 when more than half of the epochs solve the item, else 0.
    Majority,
    /// The best score.
    Max,
    /// 1 when at least so many epochs solve the item, else 0.
    AtLeast(usize),
    /// [`pass_at_k`] for that k.
    PassAt(usize),
    /// [`pass_hat_k`] for that k.
    Pass(usize),
}

/// What a reducer may be called, as errors say it.
pub const REDUCERS: &str = "mean, median, majority, max, at_least_k, pass_at_k or pass_k with a number for k, such \
                            as pass_at_5";

impl Reducer {
    /// Reads the name that its `Display` gives; `None` for any other text.
    pub fn parse(name: &str) -> Option<Self> {
        let counted = |prefix: &str| {
            let digits = name.strip_prefix(prefix)?;
            digits.parse().ok().filter(|k| *k > 0 && usize::to_string(k) == digits)
        };
        match name {
            "mean" => Some(Self::Mean),
            "median" => Some(Self::Median),
            "majority" => Some(Self::Majority),
            "max" => Some(Self::Max),
            _ => counted("at_least_")
                .map(Self::AtLeast)
                .or_else(|| counted("pass_at_").map(Self::PassAt))
                .or_else(|| counted("pass_").map(Self::Pass)),
        }
    }

    /// The fewest epochs that it can reduce, 1 or more.
    pub fn fewest_epochs(self) -> usize {
        match self {
            Self::Mean | Self::Median | Self::Majority | Self::Max => 1,
            Self::AtLeast(k) | Self::PassAt(k) | Self::Pass(k) => k,
        }
    }

    /// The score of one item (0..1) from its scores per epoch (each 0..1); `None` with fewer than
    /// [`Reducer::fewest_epochs`].
    pub fn reduce(self, scores: &[f64], pass_threshold: f64) -> Option<f64> {
        let (tried, solved) = (scores.len(), scores.iter().filter(|score| **score >= pass_threshold).count());
        if tried < self.fewest_epochs() {
            return None;
        }
        match self {
            Self::Mean => mean(scores),
            Self::Median => Some(percentile(scores, 50)?),
            Self::Majority => Some(f64::from(2 * solved > tried)),
            Self::Max => scores.iter().copied().reduce(f64::max),
            Self::AtLeast(k) => Some(f64::from(solved >= k)),
            Self::PassAt(k) => pass_at_k(tried, solved, k),
            Self::Pass(k) => pass_hat_k(tried, solved, k),
        }
    }
}

impl fmt::Display for Reducer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mean => out.write_str("mean"),
            Self::Median => out.write_str("median"),
            Self::Majority => out.write_str("majority"),
            Self::Max => out.write_str("max"),
            Self::AtLeast(k) => write!(out, "at_least_{k}"),
            Self::PassAt(k) => write!(out, "pass_at_{k}"),
            Self::Pass(k) => write!(out, "pass_{k}"),
        }
    }
}

/// pass@k: the chance (0..1) that at least one of `k` attempts solves the item, estimated without bias from
/// `c` solved out of `n` attempts as `1 - C(n-c, k) / C(n, k)` (Chen et al. 2021).
///
/// `None` unless `1 <= k <= n` and `c <= n`.
pub fn pass_at_k(n: usize, c: usize, k: usize) -> Option<f64> {
    let unsolved = n.checked_sub(c)?;
    Some(1.0 - all_drawn_from(unsolved, n, k)?)
}

/// pass^k: the chance (0..1) that all of `k` attempts solve the item, estimated without bias from `c` solved
/// out of `n` attempts as `C(c, k) / C(n, k)` (Yao et al. 2024).
///
/// `None` unless `1 <= k <= n` and `c <= n`.
pub fn pass_hat_k(n: usize, c: usize, k: usize) -> Option<f64> {
    all_drawn_from(c, n, k)
}

/// Chance that `k` draws without replacement from `n` attempts all fall among `marked` of them. A product of
/// ratios, because the binomial coefficients themselves overflow.
fn all_drawn_from(marked: usize, n: usize, k: usize) -> Option<f64> {
    let is_valid = 1 <= k && k <= n && marked <= n;
    is_valid.then(|| (0..k).map(|drawn| count(marked.saturating_sub(drawn)) / count(n - drawn)).product())
}

/// The variance of an eval's scores, split by where it comes from: one-way random effects, estimated by
/// moments (for evals Miller 2024). All in squared score units.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VarianceParts {
    /// Items it was estimated from; at least 2.
    pub items: usize,
    /// Between epochs of the same item: the noise of one answer, averaged over items.
    pub within: f64,
    /// Of the items' means, as observed: difficulty and the noise that is left after averaging.
    pub of_means: f64,
    /// Between items, noise taken out: `of_means - mean(within_i / K_i)` for K_i epochs of item i. Unclipped:
    /// below zero where the noise alone explains more than was seen.
    pub between: f64,
}

impl VarianceParts {
    /// Standard error of the eval's mean that the same number of items would have with `epochs` each:
    /// `sqrt((between + within / epochs) / items)`, 0 where that variance is estimated below zero. `None` for
    /// 0 epochs.
    pub fn predicted_stderr(&self, epochs: usize) -> Option<f64> {
        (epochs > 0).then(|| self.stderr_of(self.between + self.within / count(epochs)))
    }

    /// What [`VarianceParts::predicted_stderr`] falls to as epochs grow: only more items get below it.
    pub fn lowest_stderr(&self) -> f64 {
        self.stderr_of(self.between)
    }

    fn stderr_of(&self, variance: f64) -> f64 {
        (variance.max(0.0) / count(self.items)).sqrt()
    }
}

/// Splits the variance of an eval: one element of `items` for each item, holding its scores per epoch. Items
/// may differ in their number of epochs.
///
/// `None` below two items, or when any item has fewer than two epochs.
pub fn split_variance<Scores: AsRef<[f64]>>(items: &[Scores]) -> Option<VarianceParts> {
    let means: Vec<f64> = items.iter().map(|scores| mean(scores.as_ref())).collect::<Option<_>>()?;
    let within: Vec<f64> =
        items.iter().map(|scores| sample_variance(scores.as_ref())).collect::<Option<_>>()?;
    let noise: Vec<f64> =
        within.iter().zip(items).map(|(variance, scores)| variance / count(scores.as_ref().len())).collect();
    let of_means = sample_variance(&means)?;
    Some(VarianceParts {
        items: items.len(),
        within: mean(&within)?,
        of_means,
        between: of_means - mean(&noise)?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::vectors::{assert_close, examples, numbers, section, size};
    use super::super::{Measure, summarise};
    use super::*;

    fn reference_items() -> Vec<Vec<f64>> {
        section("epochs")["scores"].as_array().unwrap().iter().map(numbers).collect()
    }

    #[test]
    fn items_are_reduced_before_they_are_summarised() {
        let reference = section("epochs");
        let scores: Vec<f64> =
            reference_items().iter().map(|scores| Reducer::Mean.reduce(scores, 1.0).unwrap()).collect();
        for (score, expected) in scores.iter().zip(reference["question_means"].as_array().unwrap()) {
            assert_close(*score, expected);
        }
        let summary = summarise(&scores, None, Measure::Binary).unwrap();
        assert_close(summary.mean, &reference["mean"]);
        assert_close(summary.stderr.unwrap(), &reference["se_question_level"]);
        assert_eq!(summary.items, 4);
    }

    #[test]
    fn the_variance_splits_like_the_reference() {
        let reference = section("epochs");
        let parts = split_variance(&reference_items()).unwrap();
        assert_close(parts.within, &reference["within_var_mean"]);
        assert_close(parts.of_means, &reference["var_of_question_means"]);
        assert_close(parts.between, &reference["between_var_est"]);
        assert_close(parts.lowest_stderr(), &reference["pred_se_if_K_inf"]);
        assert_close(parts.predicted_stderr(1).unwrap(), &reference["pred_se_if_K1"]);
        assert_close(parts.predicted_stderr(3).unwrap(), &reference["se_question_level"]);
        assert_eq!(parts.predicted_stderr(0), None);
    }

    #[test]
    fn the_noise_of_each_item_is_taken_out_by_its_own_number_of_epochs() {
        let parts = split_variance(&[vec![0.0, 1.0], vec![0.0, 1.0, 0.0, 1.0]]).unwrap();
        assert_eq!(parts.of_means, 0.0);
        let noise = f64::midpoint(0.5 / 2.0, 1.0 / 3.0 / 4.0);
        assert!((parts.between + noise).abs() < 1e-12);
        assert_eq!(parts.lowest_stderr(), 0.0);
    }

    #[test]
    fn too_few_items_or_epochs_cannot_be_split() {
        assert_eq!(split_variance::<Vec<f64>>(&[]), None);
        assert_eq!(split_variance(&[[0.0, 1.0]]), None);
        assert_eq!(split_variance(&[vec![0.0, 1.0], vec![1.0]]), None);
        assert_eq!(split_variance(&[vec![0.0, 1.0], vec![]]), None);
    }

    #[test]
    fn pass_rates_are_the_reference_ones() {
        for example in examples("pass_at_k") {
            let (n, c, k) = (size(&example["n"]), size(&example["c"]), size(&example["k"]));
            assert_close(pass_at_k(n, c, k).unwrap(), &example["pass_at_k"]);
            assert_close(pass_hat_k(n, c, k).unwrap(), &example["pass_hat_k"]);
        }
    }

    #[test]
    fn pass_rates_need_k_attempts_and_no_more_solved_than_tried() {
        for (n, c, k) in [(5, 3, 0), (5, 3, 6), (5, 6, 2), (0, 0, 0), (0, 0, 1)] {
            assert_eq!((pass_at_k(n, c, k), pass_hat_k(n, c, k)), (None, None));
        }
    }

    #[test]
    fn reducers_have_a_name_that_reads_back() {
        for name in ["mean", "median", "majority", "max", "at_least_1", "at_least_12", "pass_at_5", "pass_3"]
        {
            assert_eq!(Reducer::parse(name).unwrap().to_string(), name);
        }
        for other in [
            "",
            "Mean",
            "mode",
            "at_least_",
            "at_least_k",
            "at_least_0",
            "pass_at_05",
            "pass_-1",
            "pass_at",
            "pass_1.5",
            "pass_99999999999999999999",
            "pass_at_+5",
            "mean_2",
        ] {
            assert_eq!(Reducer::parse(other), None, "{other}");
        }
    }

    #[test]
    fn each_reducer_makes_of_epochs_what_it_says() {
        let scores = [0.2, 1.0, 0.5, 1.0, 0.0];
        for (name, expected, of_four) in [
            ("mean", 0.54, 0.675),
            ("median", 0.5, 0.75),
            ("majority", 0.0, 0.0),
            ("max", 1.0, 1.0),
            ("at_least_2", 1.0, 1.0),
            ("at_least_3", 0.0, 0.0),
            ("pass_at_1", 0.4, 0.5),
            ("pass_at_2", 0.7, 1.0 - 1.0 / 6.0),
            ("pass_at_4", 1.0, 1.0),
            ("pass_1", 0.4, 0.5),
            ("pass_2", 0.1, 1.0 / 6.0),
            ("pass_3", 0.0, 0.0),
        ] {
            let reducer = Reducer::parse(name).unwrap();
            assert!((reducer.reduce(&scores, 1.0).unwrap() - expected).abs() < 1e-12, "{name}");
            assert!((reducer.reduce(&scores[..4], 1.0).unwrap() - of_four).abs() < 1e-12, "{name} of four");
        }
        // What counts as solved follows the threshold.
        assert_eq!(Reducer::Majority.reduce(&scores, 0.5), Some(1.0));
        assert_eq!(Reducer::AtLeast(3).reduce(&scores, 0.5), Some(1.0));
        assert!((Reducer::Pass(3).reduce(&scores, 0.5).unwrap() - 0.1).abs() < 1e-12);
    }

    #[test]
    fn fewer_epochs_than_a_reducer_needs_are_no_score() {
        for name in ["mean", "median", "majority", "max", "at_least_1"] {
            assert_eq!(Reducer::parse(name).unwrap().reduce(&[], 1.0), None, "{name}");
        }
        for reducer in [Reducer::AtLeast(3), Reducer::PassAt(3), Reducer::Pass(3)] {
            assert_eq!((reducer.fewest_epochs(), reducer.reduce(&[1.0, 1.0], 1.0)), (3, None));
        }
    }

    proptest! {
        #[test]
        fn one_more_attempt_helps_pass_at_k_and_hurts_pass_hat_k(
            (n, c, k) in (2_usize..300).prop_flat_map(|n| (Just(n), 0..=n, 1..n)),
        ) {
            prop_assert!(pass_at_k(n, c, k).unwrap() <= pass_at_k(n, c, k + 1).unwrap() + 1e-12);
            prop_assert!(pass_hat_k(n, c, k).unwrap() >= pass_hat_k(n, c, k + 1).unwrap());
        }
    }
}
