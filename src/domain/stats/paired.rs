//! The textbook formulas for two models on the same items, for whoever wants to see them beside the test that
//! decides: see [`super::sign_flip`]. Items are taken as independent; clusters are not known here.

use super::{ROUNDING, count, mean, sample_variance, tails};

/// Two models on the same items, by the formulas for large samples and by Student's t.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairedDetails {
    /// Mean of a minus mean of b, in score units.
    pub difference: f64,
    /// Standard error of the mean of a: `sd / sqrt(n)`.
    pub stderr_a: f64,
    /// The same of b.
    pub stderr_b: f64,
    /// Pearson correlation of the item scores, -1..1; `None` where one model scores all items alike.
    pub correlation: Option<f64>,
    /// Standard error of the difference if the items were not shared: [`difference_stderr`] without
    /// correlation. It shows what pairing gains.
    pub stderr_unpaired: f64,
    /// Standard error of the difference: `sd(a - b) / sqrt(n)`.
    pub stderr: f64,
    /// `difference / stderr`; `None` where all differences are alike.
    pub z: Option<f64>,
    /// Two-sided p-value of `z` as a normal value.
    pub p_z: Option<f64>,
    /// Two-sided p-value of `z` as Student's t with n - 1 degrees of freedom.
    pub p_t: Option<f64>,
}

/// Compares the item scores `a` and `b`, item by item. `None` below two items or for unequal numbers of them.
pub fn paired_details(a: &[f64], b: &[f64]) -> Option<PairedDetails> {
    if a.len() != b.len() {
        return None;
    }
    let items = count(a.len());
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    let stderr_of = |values: &[f64]| Some((sample_variance(values)? / items).sqrt());
    let (stderr_a, stderr_b, stderr) = (stderr_of(a)?, stderr_of(b)?, stderr_of(&differences)?);
    let difference = mean(&differences)?;
    let z = (stderr > ROUNDING).then(|| difference / stderr);
    Some(PairedDetails {
        difference,
        stderr_a,
        stderr_b,
        correlation: correlation(a, b),
        stderr_unpaired: difference_stderr(stderr_a, stderr_b, 0.0),
        stderr,
        z,
        p_z: z.map(tails::normal),
        p_t: z.and_then(|t| tails::student(t, items - 1.0)),
    })
}

/// Standard error of a difference of two means from those of the means and the correlation (-1..1) of their
/// items: `sqrt(SE_a^2 + SE_b^2 - 2 r SE_a SE_b)`. 0 as correlation for items that are not shared.
pub fn difference_stderr(stderr_a: f64, stderr_b: f64, correlation: f64) -> f64 {
    (stderr_a.powi(2) + stderr_b.powi(2) - 2.0 * correlation * stderr_a * stderr_b).max(0.0).sqrt()
}

/// Pearson's correlation of two equally long lists; `None` where one of them does not vary.
pub(super) fn correlation(a: &[f64], b: &[f64]) -> Option<f64> {
    let (centre_a, centre_b) = (mean(a)?, mean(b)?);
    let deviations = || a.iter().zip(b).map(|(a, b)| (a - centre_a, b - centre_b));
    let shared: f64 = deviations().map(|(a, b)| a * b).sum();
    let (own_a, own_b): (f64, f64) =
        deviations().fold((0.0, 0.0), |(own_a, own_b), (a, b)| (a.mul_add(a, own_a), b.mul_add(b, own_b)));
    let varies = |squares: f64| squares > ROUNDING.powi(2) * count(a.len());
    (varies(own_a) && varies(own_b)).then(|| (shared / (own_a * own_b).sqrt()).clamp(-1.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::super::vectors::{assert_close, number, numbers, section};
    use super::*;

    #[test]
    fn paired_formulas_are_the_reference_ones() {
        let reference = section("paired");
        let (a, b) = (numbers(&reference["A"]), numbers(&reference["B"]));
        let details = paired_details(&a, &b).unwrap();
        assert_close(mean(&a).unwrap(), &reference["mean_A"]);
        assert_close(mean(&b).unwrap(), &reference["mean_B"]);
        assert_close(details.difference, &reference["diff"]);
        assert_close(details.stderr_a, &reference["se_A"]);
        assert_close(details.stderr_b, &reference["se_B"]);
        assert_close(details.correlation.unwrap(), &reference["corr"]);
        assert_close(details.stderr_unpaired, &reference["se_unpaired"]);
        assert_close(details.stderr, &reference["se_paired"]);
        assert_close(details.z.unwrap(), &reference["z"]);
        assert_close(details.p_z.unwrap(), &reference["p_z"]);
        let identity = difference_stderr(details.stderr_a, details.stderr_b, details.correlation.unwrap());
        assert_close(identity, &reference["se_identity_check"]);
    }

    /// Two intervals may overlap although the paired difference is beyond doubt, and without the pairing it
    /// is lost.
    #[test]
    fn overlapping_intervals_are_no_test() {
        let reference = section("overlap_fallacy");
        let (p_a, p_b) = (number(&reference["pa"]), number(&reference["pb"]));
        let stderr = |p: f64| (p * (1.0 - p) / number(&reference["n"])).sqrt();
        assert!(number(&reference["ci_a"][0]) < number(&reference["ci_b"][1]));
        for (correlation, name) in [(0.0, "unpaired"), (0.5, "paired_rho_0_5")] {
            let z = (p_a - p_b) / difference_stderr(stderr(p_a), stderr(p_b), correlation);
            assert_close(z, &reference[format!("z_{name}")]);
            assert_close(tails::normal(z), &reference[format!("p_{name}")]);
        }
    }

    #[test]
    fn scores_that_do_not_vary_have_no_correlation_and_differences_that_do_not_vary_no_z() {
        let details = paired_details(&[1.0; 3], &[0.1; 3]).unwrap();
        assert_eq!((details.correlation, details.p_z, details.p_t), (None, None, None));
        let alike = paired_details(&[0.1, 0.2, 0.7], &[0.1, 0.2, 0.7]).unwrap();
        assert_eq!((alike.stderr, alike.z), (0.0, None));
        assert!((alike.correlation.unwrap() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn unequal_or_too_few_items_cannot_be_compared() {
        assert_eq!(paired_details(&[1.0, 0.0], &[1.0]), None);
        assert_eq!(paired_details(&[1.0], &[0.0]), None);
        assert_eq!(paired_details(&[], &[]), None);
    }
}
