//! Many tests at once: p-values corrected so that one false finding among all of them stays unlikely.

use super::count;

/// Share of boards on which any pair at all may be told apart by chance alone.
pub const LEVEL: f64 = 0.05;

/// Holm's step-down correction (1979) of all p-values of one family, in their order: the i-th smallest of m
/// (from 0) becomes the largest of `min(1, (m - j) p_j)` over `j <= i`. A finding is one whose corrected value
/// is at most [`LEVEL`].
///
/// It needs no assumption about how the tests depend on each other, and pairs of models that share items do
/// depend on each other.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<(usize, f64)> = p_values.iter().copied().enumerate().collect();
    order.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut corrected = vec![1.0; p_values.len()];
    let mut largest = 0.0_f64;
    for (left, (at, p)) in (1..=order.len()).rev().zip(order) {
        largest = largest.max((count(left) * p).min(1.0));
        if let Some(place) = corrected.get_mut(at) {
            *place = largest;
        }
    }
    corrected
}

/// Benjamini and Hochberg's step-up correction (1995) of p-values, in their order: the i-th smallest of m (from 1)
/// becomes the least of `min(1, m p_j / j)` over `j >= i`. Of the findings up to a level at most that share is
/// expected to be false. Holds for independent tests and for such that depend on each other positively.
pub fn benjamini_hochberg(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<(usize, f64)> = p_values.iter().copied().enumerate().collect();
    order.sort_by(|a, b| b.1.total_cmp(&a.1));
    let mut corrected = vec![1.0; p_values.len()];
    let mut least = 1.0_f64;
    for (rank, (at, p)) in (1..=order.len()).rev().zip(order) {
        least = least.min(count(p_values.len()) * p / count(rank));
        if let Some(place) = corrected.get_mut(at) {
            *place = least;
        }
    }
    corrected
}

/// The fewest items that two of `models` must disagree on for an exact test to tell them apart after
/// [`holm`], even if all of them fell one way: the least d with `2^(1 - d) <= LEVEL / pairs`. 0 below two
/// models, 6 for two, 20 for 200.
pub fn fewest_disagreements(models: usize) -> u32 {
    let pairs = models * models.saturating_sub(1) / 2;
    let first_step = LEVEL / count(pairs);
    if pairs == 0 { 0 } else { (1_u32..).find(|d| (1.0 - f64::from(*d)).exp2() <= first_step).unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::vectors::{assert_close, numbers, section};
    use super::*;

    #[test]
    fn corrections_are_the_reference_ones() {
        for name in ["multcomp_swebench_public_p", "multcomp_textbook"] {
            let reference = section(name);
            let corrected = holm(&numbers(&reference["p"]));
            let expected = reference["holm"].as_array().unwrap();
            assert_eq!(corrected.len(), expected.len());
            for (value, expected) in corrected.iter().zip(expected) {
                assert_close(*value, expected);
            }
        }
    }

    #[test]
    fn order_is_kept_and_one_test_needs_no_correction() {
        assert_eq!(holm(&[0.04, 0.01]), [0.04, 0.02]);
        assert_eq!((holm(&[0.03]), holm(&[])), (vec![0.03], vec![]));
    }

    #[test]
    fn more_models_need_more_disagreements() {
        assert_eq!([0, 1, 2, 3, 20, 200].map(fewest_disagreements), [0, 0, 6, 7, 13, 20]);
    }

    #[test]
    fn false_discovery_rates_are_those_of_the_definition() {
        let rates = benjamini_hochberg(&[0.01, 0.5, 0.03, 0.02, 0.9]);
        for (rate, expected) in rates.iter().zip([0.05, 0.625, 0.05, 0.05, 0.9]) {
            assert!((rate - expected).abs() < 1e-12, "{rates:?}");
        }
        assert_eq!(benjamini_hochberg(&[]), Vec::<f64>::new());
    }

    proptest! {
        #[test]
        fn corrected_values_are_higher_and_in_the_same_order(
            p_values in prop::collection::vec(0.0..=1.0, 1..30),
        ) {
            let corrected = holm(&p_values);
            for (p, own) in p_values.iter().zip(&corrected) {
                prop_assert!(p <= own && *own <= 1.0);
                for (q, other) in p_values.iter().zip(&corrected) {
                    prop_assert!(p > q || own <= other);
                }
            }
        }
    }
}
