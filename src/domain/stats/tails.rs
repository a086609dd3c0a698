//! Two-sided p-values of the distributions that the tests use.
//!
//! Tails are computed as tails, never as 1 minus the rest, so that p-values far below 1e-16 keep their digits:
//! a correction over thousands of pairs multiplies them.

use statrs::distribution::{Binomial, ContinuousCDF, DiscreteCDF, Normal, StudentsT};

/// Chance (0..1) that a standard normal is at least as far from 0 as `z`.
pub(super) fn normal(z: f64) -> f64 {
    2.0 * Normal::standard().sf(z.abs())
}

/// The same for Student's t; `None` unless `degrees` is above 0.
pub(super) fn student(t: f64, degrees: f64) -> Option<f64> {
    StudentsT::new(0.0, 1.0, degrees).ok().map(|distribution| 2.0 * distribution.sf(t.abs()))
}

/// Chance that a fair coin thrown `one + other` times falls at least as unevenly as `one` against `other`:
/// `min(1, 2 P(X <= min(one, other)))`; 1 when it was never thrown.
pub(super) fn fair_coin(one: u32, other: u32) -> f64 {
    if one.abs_diff(other) <= 1 {
        // No throws could be more even, which the incomplete beta function misses by a rounding error.
        return 1.0;
    }
    let thrown = u64::from(one) + u64::from(other);
    Binomial::new(0.5, thrown).map_or(1.0, |coin| (2.0 * coin.cdf(one.min(other).into())).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Equal to `digits` digits, however small.
    fn assert_relative(actual: f64, expected: f64) {
        assert!((actual / expected - 1.0).abs() < 1e-9, "{actual:e} is not {expected:e}");
    }

    // References: complementary error function of the C library, and exact fractions.

    #[test]
    fn normal_tails_keep_their_digits() {
        for (z, tail) in [
            (1.0, 0.158_655_253_931_457_05),
            (5.0, 2.866_515_718_791_946e-7),
            (10.0, 7.619_853_024_160_593e-24),
            (37.0, 5.725_571_222_525_139e-300),
        ] {
            assert_relative(normal(z), 2.0 * tail);
            assert_relative(normal(-z), 2.0 * tail);
        }
        assert_eq!(normal(0.0), 1.0);
    }

    #[test]
    fn coin_tails_keep_their_digits() {
        for (less, more, tail) in [
            (0, 5, 0.031_25),
            (10, 25, 0.008_336_923_900_060_356),
            (100, 300, 1.295_943_453_486_038_3e-24),
            (49_000, 51_000, 1.294_358_019_173_449e-10),
            (0, 1000, 9.332_636_185_032_189e-302),
        ] {
            assert_relative(fair_coin(less, more), 2.0 * tail);
            assert_relative(fair_coin(more, less), 2.0 * tail);
        }
        assert_eq!((fair_coin(0, 0), fair_coin(3, 3), fair_coin(0, 1)), (1.0, 1.0, 1.0));
    }

    #[test]
    fn student_tails_are_those_of_the_tables() {
        assert_relative(student(1.0, 1.0).unwrap(), 0.5);
        // With two degrees of freedom the tail has a closed form: 1 - t / sqrt(t^2 + 2).
        let t = 30_f64;
        assert_relative(student(t, 2.0).unwrap(), 1.0 - t / (t * t + 2.0).sqrt());
        assert_eq!(student(1.0, 0.0), None);
    }
}
