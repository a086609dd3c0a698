//! What the best of several attempts owes to luck alone.

use statrs::distribution::{Continuous, ContinuousCDF, Normal};

use super::{count, sample_variance};

/// Beyond so many standard deviations nothing of the integral is left, up to a trillion attempts.
const REACH: i32 = 9;

/// Steps per standard deviation. The rule converges faster than any power of the step, the integrand being
/// smooth and vanishing at both ends.
const STEPS: i32 = 64;

/// By how many standard errors of one score the best of `attempts` equally good ones is expected to lie above
/// their true mean: `E[max of N standard normals] = integral of x N phi(x) Phi(x)^(N - 1) dx`. 0 for one
/// attempt or none.
///
/// The board shows the latest result and never the best; this says how far showing the best would mislead.
pub fn luck_of_best(attempts: usize) -> f64 {
    if attempts < 2 {
        return 0.0;
    }
    let normal = Normal::standard();
    let density = |x: f64| x * count(attempts) * normal.pdf(x) * normal.cdf(x).powf(count(attempts - 1));
    let points = (-REACH * STEPS..=REACH * STEPS).map(|step| f64::from(step) / f64::from(STEPS));
    points.map(density).sum::<f64>() / f64::from(STEPS)
}

/// The standard deviation of a score over runs on the same items, in score units: `sqrt(mean within-item variance /
/// n)`. `runs` holds a row for each run with its item scores in one order. A run that asks the same items again
/// differs from the last by the model's answers alone, so the spread between items, which the standard error is
/// about, has no part in it; a model that always answers alike has 0.
///
/// `None` below two runs, without items, and for rows of unequal length: then it is not known.
pub fn answer_noise<Scores: AsRef<[f64]>>(runs: &[Scores]) -> Option<f64> {
    let items = runs.first().map(|run| run.as_ref().len()).filter(|items| *items > 0)?;
    if runs.iter().any(|run| run.as_ref().len() != items) {
        return None;
    }
    let within = |item: usize| {
        let scores: Vec<f64> = runs.iter().filter_map(|run| run.as_ref().get(item).copied()).collect();
        sample_variance(&scores)
    };
    let total: f64 = (0..items).map(within).sum::<Option<f64>>()?;
    Some(total.sqrt() / count(items))
}

#[cfg(test)]
mod tests {
    use super::super::vectors::{number, section};
    use super::*;

    #[test]
    fn luck_is_the_reference_one() {
        for (attempts, expected) in section("best_of_N_bias_in_SE").as_object().unwrap() {
            let luck = luck_of_best(attempts.parse().unwrap());
            // Printed with four decimals.
            assert!((luck - number(expected)).abs() <= 5e-5, "{luck} is not {expected}");
        }
    }

    #[test]
    fn two_and_three_attempts_have_a_closed_form() {
        let root_of_pi = std::f64::consts::PI.sqrt();
        assert!((luck_of_best(2) - 1.0 / root_of_pi).abs() < 1e-9);
        assert!((luck_of_best(3) - 1.5 / root_of_pi).abs() < 1e-9);
        assert_eq!((luck_of_best(0), luck_of_best(1)), (0.0, 0.0));
    }

    #[test]
    fn runs_differ_by_their_answers_and_not_by_their_items() {
        assert_eq!(answer_noise(&[[1.0, 0.0, 1.0]; 5]), Some(0.0));
        // Two items of four come out half of the time: variances 0, 1/2, 1/2 and 0.
        let noise = answer_noise(&[[1.0, 1.0, 0.0, 0.0], [1.0, 0.0, 1.0, 0.0]]).unwrap();
        assert!((noise - 0.25).abs() < 1e-12);
        assert_eq!(answer_noise(&[[1.0, 0.0]]), None);
        assert_eq!(answer_noise(&[vec![1.0], vec![1.0, 0.0]]), None);
        assert_eq!(answer_noise::<Vec<f64>>(&[vec![], vec![]]), None);
    }

    #[test]
    fn more_attempts_are_more_luck() {
        let luck: Vec<f64> = [1, 2, 5, 100, 10_000, 1_000_000].into_iter().map(luck_of_best).collect();
        assert!(luck.is_sorted_by(|fewer, more| fewer < more));
        assert!((4.8..5.0).contains(luck.last().unwrap()));
    }
}
