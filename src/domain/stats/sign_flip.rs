//! The one test of two models: are the differences of their items as likely to fall one way as the other?
//!
//! If neither model were better, each difference could as well have the other sign. p is the share of all
//! flips of signs whose sum is at least as far from 0 as the sum that was seen (the sign-flip form of
//! Fisher's randomisation test, 1935). What is flipped is the item, or the cluster where items come in
//! clusters: see [`super::compare`]. It does not correct for many pairs: see [`super::holm`].

use std::ops::ControlFlow;

use super::{ROUNDING, count, tails};

/// Up to so many differences, every flip is counted: 2^16 of them.
const MOST_FLIPPED: usize = 16;

/// How a p-value was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairedTest {
    /// All differences that are not 0 have one size: the exact binomial tail. For one eval of right and wrong
    /// this is McNemar's exact test.
    McnemarExact,
    /// At most 16 differences are not 0: every flip was counted.
    SignFlipExact,
    /// More, and of different sizes: the normal approximation of the same test.
    SignFlipZ,
}

impl PairedTest {
    /// The name in the API: `mcnemar_exact`, `sign_flip_exact` or `sign_flip_z`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::McnemarExact => "mcnemar_exact",
            Self::SignFlipExact => "sign_flip_exact",
            Self::SignFlipZ => "sign_flip_z",
        }
    }
}

/// The outcome of a test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SignFlip {
    /// Two-sided p-value, 0..1; 1 where nothing differs.
    pub p: f64,
    /// How it was made.
    pub test: PairedTest,
    /// The least p that differences of this number could give, had all fallen one way: `2^(1 - d)` for d of
    /// them in an exact test, 0 in the other. Where it is above the level, the test could not but end in a tie.
    pub least_p: f64,
}

/// Tests whether `differences`, one for each item or cluster, are symmetric around 0. Only their proportions
/// count, not their unit.
///
/// - All that are not 0 of one size (b above 0, c below): `p = min(1, 2 P(X <= min(b, c)))`, X binomial with
///   b + c throws and chance 1/2; 1 when nothing differs.
/// - At most 16 not 0: `p` = share of the 2^d flips with `|sum| >=` the observed one.
/// - Else `z = sum / sqrt(sum of squares)`, two-sided normal. That is the exact mean (0) and variance of the
///   flipped sum; only its shape is approximated. Random flips are not drawn: the least p they can give would
///   tie everything once it is corrected for many pairs.
pub fn sign_flip(differences: &[f64]) -> SignFlip {
    let mut tally = Tally::default();
    // Stops early where no exact case can hold any more; the sums below are over all.
    let _ = differences.iter().try_for_each(|difference| tally.add(Lot::of(*difference)));
    let squares = differences.iter().map(|difference| difference.powi(2)).sum();
    tally.finish(differences.iter().sum(), squares)
}

/// McNemar's exact test: the p-value (0..1) of `b` items that only the one solved against `c` that only the
/// other solved. `p = min(1, 2 P(X <= min(b, c)))`, X binomial with b + c throws and chance 1/2 (McNemar 1947,
/// in the exact form); 1 when b + c = 0.
pub fn mcnemar(b: u32, c: u32) -> f64 {
    tails::fair_coin(b, c)
}

/// A difference of two units (items, or sums over clusters), what only rounding has left of it taken as 0.
pub(super) fn unit_difference(a: f64, b: f64) -> f64 {
    let difference = a - b;
    if difference.abs() <= ROUNDING { 0.0 } else { difference }
}

/// Differences of one size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lot {
    /// Their size, above 0.
    pub(super) size: f64,
    /// How many are above 0.
    pub(super) plus: u32,
    /// How many are below 0.
    pub(super) minus: u32,
}

impl Lot {
    /// A lot of one, or of none where the difference is 0.
    pub(super) fn of(difference: f64) -> Self {
        Self { size: difference.abs(), plus: u32::from(difference > 0.0), minus: u32::from(difference < 0.0) }
    }
}

/// Finds out which case of the test holds, looking at no more differences than that takes.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// The first differences, as many as are flipped at most.
    few: Vec<f64>,
    plus: u32,
    minus: u32,
    smallest: f64,
    largest: f64,
}

impl Tally {
    /// Takes in some differences; breaks as soon as neither exact case can hold.
    pub(super) fn add(&mut self, lot: Lot) -> ControlFlow<()> {
        if lot.plus + lot.minus == 0 {
            return ControlFlow::Continue(());
        }
        let is_first = self.few.is_empty();
        self.smallest = if is_first { lot.size } else { self.smallest.min(lot.size) };
        self.largest = self.largest.max(lot.size);
        self.plus += lot.plus;
        self.minus += lot.minus;
        let above = (0..lot.plus).map(|_| lot.size);
        let below = (0..lot.minus).map(|_| -lot.size);
        self.few.extend(above.chain(below).take(MOST_FLIPPED - self.few.len()));
        if self.is_uniform() || self.are_few() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    /// The test, given the sum of all differences and of their squares, which only its last case reads.
    pub(super) fn finish(self, sum: f64, squares: f64) -> SignFlip {
        let least_p = (1.0 - f64::from(self.plus + self.minus)).exp2().min(1.0);
        if self.is_uniform() {
            let p = tails::fair_coin(self.plus, self.minus);
            return SignFlip { p, test: PairedTest::McnemarExact, least_p };
        }
        if self.are_few() {
            return SignFlip { p: share_of_flips(&self.few), test: PairedTest::SignFlipExact, least_p };
        }
        let p = tails::normal(sum / squares.sqrt());
        SignFlip { p, test: PairedTest::SignFlipZ, least_p: 0.0 }
    }

    fn is_uniform(&self) -> bool {
        self.largest - self.smallest <= ROUNDING * self.largest
    }

    fn are_few(&self) -> bool {
        count(self.few.len()) >= f64::from(self.plus + self.minus)
    }
}

/// Share of all flips of `differences` whose sum is at least as far from 0 as their own.
///
/// With L the sum of their sizes, a flip that makes the subset s negative sums to `L - 2 s`. So the flips that
/// reach as far to one side are the subsets of at most `min(sum of the positive, sum of the negative)`, and
/// there are as many on the other side. Subsets are counted as pairs of a subset of each half.
fn share_of_flips(differences: &[f64]) -> f64 {
    let sizes: Vec<f64> = differences.iter().map(|difference| difference.abs()).collect();
    let total: f64 = sizes.iter().sum();
    let above: f64 = differences.iter().map(|difference| difference.max(0.0)).sum();
    let reach = above.min(total - above) + ROUNDING * total;
    let (first, second) = sizes.split_at(sizes.len() / 2);
    let (first, mut second) = (subset_sums(first), subset_sums(second));
    second.sort_unstable_by(f64::total_cmp);
    let reached = first.iter().map(|sum| second.partition_point(|other| sum + other <= reach));
    (2.0 * count(reached.sum()) / count(first.len() * second.len())).min(1.0)
}

/// The sums of all subsets, the empty one included.
fn subset_sums(sizes: &[f64]) -> Vec<f64> {
    let mut sums = vec![0.0];
    for size in sizes {
        let with: Vec<f64> = sums.iter().map(|sum| sum + size).collect();
        sums.extend(with);
    }
    sums
}

#[cfg(test)]
mod tests {
    use std::iter::repeat_n;

    use proptest::prelude::*;

    use super::super::vectors::{assert_close, examples, number, numbers, section, size};
    use super::*;

    fn counted(value: &serde_json::Value) -> u32 {
        size(value).try_into().unwrap()
    }

    /// The definition, flip by flip.
    fn brute_force(differences: &[f64]) -> f64 {
        let sum_of = |flips: usize| -> f64 {
            let signed = differences.iter().enumerate();
            signed.map(|(at, d)| if flips >> at & 1 == 1 { -d } else { *d }).sum()
        };
        let all = 1_usize << differences.len();
        let reached = (0..all).filter(|flips| sum_of(*flips).abs() >= sum_of(0).abs() - 1e-9).count();
        count(reached) / count(all)
    }

    #[test]
    fn mcnemar_is_the_reference_one() {
        for example in examples("mcnemar") {
            assert_close(mcnemar(counted(&example["b"]), counted(&example["c"])), &example["exact_p"]);
        }
        let paired = section("paired");
        let p = mcnemar(counted(&paired["b_A_only"]), counted(&paired["c_B_only"]));
        assert_close(p, &paired["mcnemar_exact_p"]);
    }

    #[test]
    fn right_and_wrong_answers_are_tested_by_mcnemar() {
        for example in examples("mcnemar") {
            let (b, c) = (size(&example["b"]), size(&example["c"]));
            let differences: Vec<f64> =
                repeat_n(1.0, b).chain(repeat_n(-1.0, c)).chain(repeat_n(0.0, 7)).collect();
            let outcome = sign_flip(&differences);
            assert_close(outcome.p, &example["exact_p"]);
            assert_eq!(outcome.test, PairedTest::McnemarExact);
        }
    }

    #[test]
    fn the_exact_flip_is_the_reference_one() {
        let reference = section("sign_flip_exact");
        let differences = numbers(&reference["diffs"]);
        let outcome = sign_flip(&differences);
        assert_close(outcome.p, &reference["p"]);
        assert_close(outcome.p, &(number(&reference["count"]) / number(&reference["total"])).into());
        // The difference of 0 is no chance to flip.
        assert_eq!((outcome.test, outcome.least_p), (PairedTest::SignFlipExact, 2_f64.powi(-6)));
    }

    #[test]
    fn seventeen_differences_of_two_sizes_are_taken_as_normal() {
        let mut differences = vec![0.5; 16];
        differences.push(0.25);
        let outcome = sign_flip(&differences);
        let z: f64 = 8.25 / (16.0 * 0.25 + 0.0625_f64).sqrt();
        assert_eq!(outcome.test, PairedTest::SignFlipZ);
        assert!((outcome.p / tails::normal(z) - 1.0).abs() < 1e-12);
        assert_eq!(sign_flip(&differences[1..]).test, PairedTest::SignFlipExact);
    }

    #[test]
    fn equal_sizes_are_exact_however_many() {
        let differences: Vec<f64> = repeat_n(0.1 + 0.2, 40).chain(repeat_n(-0.3, 20)).collect();
        let outcome = sign_flip(&differences);
        assert_eq!((outcome.test, outcome.p), (PairedTest::McnemarExact, mcnemar(40, 20)));
    }

    #[test]
    fn nothing_different_is_no_evidence() {
        for differences in [&[][..], &[0.0], &[0.0; 50]] {
            let expected = SignFlip { p: 1.0, test: PairedTest::McnemarExact, least_p: 1.0 };
            assert_eq!(sign_flip(differences), expected);
        }
    }

    #[test]
    fn the_least_p_is_what_five_of_five_would_give() {
        let (split, one_way) = (sign_flip(&[1.0, -1.0, 1.0, 1.0, 1.0]), sign_flip(&[1.0; 5]));
        assert_eq!(split.least_p, 0.0625);
        assert!((one_way.p - split.least_p).abs() < 1e-12);
        assert!(split.p > one_way.p);
    }

    #[test]
    fn tests_have_their_names() {
        let tests = [PairedTest::McnemarExact, PairedTest::SignFlipExact, PairedTest::SignFlipZ];
        assert_eq!(tests.map(PairedTest::as_str), ["mcnemar_exact", "sign_flip_exact", "sign_flip_z"]);
    }

    proptest! {
        #[test]
        fn few_differences_are_flipped_as_defined(
            eighths in prop::collection::vec(-8_i32..=8, 0..11),
            unit in 0.001..10.0,
        ) {
            let differences: Vec<f64> = eighths.iter().map(|eighth| f64::from(*eighth) / 8.0).collect();
            let scaled: Vec<f64> = differences.iter().map(|difference| difference * unit).collect();
            let expected = brute_force(&differences);
            prop_assert!((sign_flip(&differences).p - expected).abs() < 1e-9);
            prop_assert!((sign_flip(&scaled).p - expected).abs() < 1e-9);
        }

        #[test]
        fn the_normal_case_is_close_to_the_exact_one(sizes in prop::collection::vec(0.5..1.0, 16)) {
            let sum = sizes[..12].iter().sum::<f64>() - sizes[12..].iter().sum::<f64>();
            let differences: Vec<f64> =
                sizes[..12].iter().copied().chain(sizes[12..].iter().map(|size| -size)).collect();
            let squares: f64 = sizes.iter().map(|size| size * size).sum();
            let approximate = tails::normal(sum / squares.sqrt());
            prop_assert!((sign_flip(&differences).p - approximate).abs() < 0.05);
        }

        #[test]
        fn changing_sides_changes_nothing(differences in prop::collection::vec(-1.0..1.0, 0..40)) {
            let turned: Vec<f64> = differences.iter().map(|difference: &f64| -difference).collect();
            prop_assert!((sign_flip(&differences).p - sign_flip(&turned).p).abs() < 1e-12);
        }
    }
}
