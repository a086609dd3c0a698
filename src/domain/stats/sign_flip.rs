//! The one test of two models: are the differences of their items as likely to fall one way as the other?
//!
//! If neither model were better, each difference could as well have the other sign. p is the share of all
//! flips of signs whose sum is at least as far from 0 as the sum that was seen (the sign-flip form of
//! Fisher's randomisation test, 1935). What is flipped is the item, or the cluster where items come in
//! clusters: see [`super::compare`]. It does not correct for many pairs: see [`super::holm`].

mod flips;
mod grid;
mod halves;
mod lots;

use std::ops::ControlFlow;

pub(super) use self::lots::Lot;
use super::{ROUNDING, tails};

/// Up to this relative error by steps of the sum, the smooth tail is the p-value. The error of a step of size c is
/// `exp(z c / sigma) - 1` where all have one size, and far less where they are mixed; c is the root of
/// `sum c^4 / sum c^2`.
const MAX_STEP: f64 = 0.15;
/// The same where c is at most [`SMALL_STEP`] of sigma, so that only p-values far below any level are off by so much.
const MAX_FAR_STEP: f64 = 0.28;
/// See [`MAX_FAR_STEP`].
const SMALL_STEP: f64 = 0.05;

/// No difference may be more than this share of the spread where the smooth tail is the p-value.
const MAX_LARGEST: f64 = 0.2;

/// Up to this change of the logarithm of p by the sixth powers, which are not summed: at most
/// `z^6 sum c^4 max c^2 / (45 sigma^6)`.
const MAX_LEFT_OUT: f64 = 0.05;

/// From this z on p is below 1e-10 whatever the sizes: no sum of flipped signs reaches as far more than 3.2
/// times as often as a normal value (Pinelis 1994 and 2007). No board is large enough to ask for more digits.
const SURE_Z: f64 = 6.7;
/// The same where few differences fell nearly all one way, which the least p that they can give is better for.
const SURE_Z_OF_FEW: f64 = 8.0;

/// How a p-value was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairedTest {
    /// All differences that are not 0 have one size: the exact binomial tail. For one eval of right and wrong
    /// this is McNemar's exact test.
    McnemarExact,
    /// Every flip was counted: at most 26 differences are not 0, or they have few sizes.
    SignFlipExact,
    /// Counted on a fine grid of the sum, or the largest differences flipped exactly, where any are large, and the sum of
    /// the others taken as normal.
    SignFlipMixed,
}

impl PairedTest {
    /// The name in the API: `mcnemar_exact`, `sign_flip_exact` or `sign_flip_mixed`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::McnemarExact => "mcnemar_exact",
            Self::SignFlipExact => "sign_flip_exact",
            Self::SignFlipMixed => "sign_flip_mixed",
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
    /// them that are not 0. Where it is above the level, the test could not but end in a tie.
    pub least_p: f64,
}

/// Tests whether `differences`, one for each item or cluster, are symmetric around 0. Only their proportions
/// count, not their unit.
///
/// - All that are not 0 of one size (b above 0, c below): `p = min(1, 2 P(X <= min(b, c)))`, X binomial with
///   b + c throws and chance 1/2; 1 when nothing differs.
/// - No size far above the others, so that the normal tail of `z = sum / sqrt(sum of squares)`, with the fourth powers'
///   correction, is right to about a sixth of itself, to a third where p is far below any level (`MAX_STEP`,
///   `MAX_FAR_STEP`, `MAX_LEFT_OUT`), or |z| of about 7 and more: that tail.
/// - At most 26 not 0, or few sizes: `p` = share of the flips with `|sum| >=` the observed one, differences of
///   one size counted together as a binomial value.
/// - At most 256 not 0: the same share, counted on a fine grid of the sum, which is at most a tenth too large down to
///   1e-10.
/// - Else the largest sizes are flipped exactly, up to 4,096 of their sums F, and the others taken as normal:
///   `p = mean over F of P(|F + N| >= |sum|)`, N having the mean and variance that the others have where the
///   observed sum lies (exponential tilting; Robinson 1982 for permutation tests). Within a factor of 1.4 of the exact
///   value down to 1e-10.
///
/// Random flips are not drawn: the least p they can give would tie everything once it is corrected for many
/// pairs.
pub fn sign_flip(differences: &[f64]) -> SignFlip {
    let mut sums = Sums::default();
    for difference in differences {
        sums.add(1.0, &Sums::of_one(*difference));
    }
    sums.test(|visit| {
        let _ = differences.iter().try_for_each(|difference| visit(Lot::of(*difference)));
    })
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

/// What the differences add up to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sums {
    /// Their sum.
    pub(super) sum: f64,
    /// The sum of their squares.
    pub(super) squares: f64,
    /// The sum of their fourth powers.
    pub(super) fourths: f64,
    /// The largest size.
    pub(super) largest: f64,
    /// How many are not 0.
    pub(super) units: f64,
}

/// Takes differences of one size after the other, until it has seen enough.
pub(super) type Visit<'v> = dyn FnMut(Lot) -> ControlFlow<()> + 'v;

impl Sums {
    /// The sums of one difference.
    pub(super) fn of_one(difference: f64) -> Self {
        let square = difference * difference;
        Self {
            sum: difference,
            squares: square,
            fourths: square * square,
            largest: difference.abs(),
            units: if difference == 0.0 { 0.0 } else { 1.0 },
        }
    }

    /// Adds the sums of other differences, each of them times `share`.
    pub(super) fn add(&mut self, share: f64, other: &Self) {
        let square = share * share;
        self.sum += share * other.sum;
        self.squares += square * other.squares;
        self.fourths += square * square * other.fourths;
        self.largest = self.largest.max(share * other.largest);
        self.units += other.units;
    }

    /// The test. `each_lot` shows the differences behind these sums to a visitor until it breaks; it is called
    /// once for the sizes' equality, which is seldom more than a glance, and again where sizes matter.
    pub(super) fn test(&self, each_lot: impl Fn(&mut Visit<'_>)) -> SignFlip {
        let least_p = (1.0 - self.units).exp2().min(1.0);
        let mut uniform = Uniform::default();
        each_lot(&mut |lot| uniform.add(lot));
        if uniform.holds() {
            let p = tails::fair_coin(uniform.plus, uniform.minus);
            return SignFlip { p, test: PairedTest::McnemarExact, least_p };
        }
        if self.is_smooth() {
            let p = self.smooth_p();
            return SignFlip { p, test: PairedTest::SignFlipMixed, least_p };
        }
        let mut lots = Vec::new();
        each_lot(&mut |lot| {
            lots.push(lot);
            ControlFlow::Continue(())
        });
        let (p, test) = flips::p_value(&lots::merge(lots));
        SignFlip { p, test, least_p }
    }

    fn z(&self) -> f64 {
        self.sum / self.squares.sqrt()
    }

    /// Whether [`Sums::smooth_p`] is right without a closer look.
    fn is_smooth(&self) -> bool {
        let z = self.z().abs();
        let kurtosis = self.fourths / self.squares.powi(2);
        let largest = self.largest / self.squares.sqrt();
        let (step, reach) = (kurtosis.sqrt(), z.max(1.0));
        let is_fine = step * reach <= MAX_STEP || (step <= SMALL_STEP && step * reach <= MAX_FAR_STEP);
        let is_even = largest <= MAX_LARGEST && z.powi(6) * kurtosis * largest.powi(2) / 45.0 <= MAX_LEFT_OUT;
        let is_sure = z >= SURE_Z_OF_FEW || (z >= SURE_Z && 2.0 * z * z <= self.units);
        is_sure || (is_fine && is_even)
    }

    /// The normal tail, with the change of its logarithm by the fourth powers, the first that the tail of a flipped
    /// sum differs by: `z^4 sum c^4 / (12 sigma^4)`.
    fn smooth_p(&self) -> f64 {
        let z = self.z().abs();
        let kurtosis = self.fourths / self.squares.powi(2);
        tails::normal(z) * (-z.powi(4) * kurtosis / 12.0).exp()
    }
}

/// Finds out whether all differences have one size, looking at no more of them than that takes.
#[derive(Debug, Default)]
struct Uniform {
    plus: u32,
    minus: u32,
    smallest: f64,
    largest: f64,
}

impl Uniform {
    fn add(&mut self, lot: Lot) -> ControlFlow<()> {
        if lot.units() == 0 {
            return ControlFlow::Continue(());
        }
        let is_first = self.plus + self.minus == 0;
        self.smallest = if is_first { lot.size } else { self.smallest.min(lot.size) };
        self.largest = self.largest.max(lot.size);
        self.plus += lot.plus;
        self.minus += lot.minus;
        if self.holds() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    fn holds(&self) -> bool {
        self.largest - self.smallest <= ROUNDING * self.largest
    }
}

#[cfg(test)]
mod tests;
