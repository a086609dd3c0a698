//! Repeats of one sample: reducing them to one item score, and what they say about the noise of one answer.
//!
//! Repeats never count as items: intervals are made from reduced scores, in [`super::summarise`].

use super::{count, mean, sample_variance};

/// How the epochs of one item become its score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reducer {
    /// The mean over epochs.
    Mean,
}

impl Reducer {
    /// Reads the name that [`Reducer::as_str`] gives; `None` for any other text.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "mean" => Some(Self::Mean),
            _ => None,
        }
    }

    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mean => "mean",
        }
    }

    /// The score of one item (0..1) from its scores per epoch (each 0..1); `None` without epochs.
    pub fn reduce(self, scores: &[f64]) -> Option<f64> {
        match self {
            Self::Mean => mean(scores),
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
            reference_items().iter().map(|scores| Reducer::Mean.reduce(scores).unwrap()).collect();
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
        assert_eq!(Reducer::parse(Reducer::Mean.as_str()), Some(Reducer::Mean));
        assert_eq!(Reducer::parse("Mean"), None);
        assert_eq!(Reducer::Mean.reduce(&[]), None);
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
