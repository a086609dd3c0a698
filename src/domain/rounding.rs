//! Comparing scores without their last bits: sums of the same items in another order differ there.

use std::cmp::Ordering;

/// Steps of the grid between 0 and 1: 2^30, finer than any difference between two scores that means something. A
/// power of two, so that a decimal fraction is never halfway between two steps.
const STEPS: f64 = 1_073_741_824.0;

/// `score` on a grid on which scores that differ only by rounding are equal.
#[must_use]
pub fn rounded(score: f64) -> f64 {
    (score * STEPS).round() / STEPS
}

/// The order of two scores, equal where they differ only by rounding.
#[must_use]
pub fn compare(a: f64, b: f64) -> Ordering {
    rounded(a).total_cmp(&rounded(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_that_differ_in_the_last_bit_are_equal() {
        assert_eq!(compare(0.5, 0.500_000_000_000_000_1), Ordering::Equal);
        let (up, down): (f64, f64) =
            ((1..=50).map(|n| 1.0 / f64::from(n)).sum(), (1..=50).rev().map(|n| 1.0 / f64::from(n)).sum());
        assert_eq!(compare(up / 50.0, down / 50.0), Ordering::Equal);
        assert_eq!(compare(0.500_001, 0.5), Ordering::Greater);
        assert_eq!(compare(f64::NEG_INFINITY, 0.0), Ordering::Less);
    }
}
