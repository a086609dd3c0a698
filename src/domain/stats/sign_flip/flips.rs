//! The tail of the flipped sum: exactly where there are few different sums, else with the largest differences
//! exact and the others normal.

use statrs::distribution::{ContinuousCDF, Normal};
use statrs::function::factorial::ln_binomial;

use super::lots::Lot;
use super::{PairedTest, grid, halves};
use crate::domain::stats::ROUNDING;

/// Different sums of the exact test, its most numerous size left out.
const MAX_EXACT_SUMS: f64 = 32_768.0;
/// Differences of the most numerous size in the exact test.
const MAX_EXACT_UNITS: u32 = 8_192;
/// Different sums of the largest differences in the mixed test.
const MAX_HEAD_SUMS: f64 = 4_096.0;
/// A size up to this share of the spread of what is taken as normal, itself included, may be a part of it.
const MAX_SHARE: f64 = 0.2;
/// Sizes that are far above all smaller ones give a sum with steps: such a step may change the logarithm of
/// the tail by so much.
const MAX_STEP: f64 = 0.1;
/// Newton's steps towards the tilt; it takes two to five.
const MAX_NEWTON_STEPS: usize = 60;
/// How near the tilted mean comes to the observed sum. Any tilt gives a tail, and this one is as good as the best.
const TILTED_ENOUGH: f64 = 0.01;

/// Sums that lie closer together than this share of the spread of the rest are put on a grid of that width. Each goes
/// to its two neighbours so that its mean stays, which changes a tail at z by no more than `z^2 / 2048` of itself.
const GRID: f64 = 1.0 / 16.0;

/// A value of a sum and its chance.
pub(super) type Sum = (f64, f64);

/// The two-sided p-value of merged lots, and how it was made.
pub(super) fn p_value(lots: &[Lot]) -> (f64, PairedTest) {
    let observed: f64 = lots.iter().map(|lot| lot.size * (f64::from(lot.plus) - f64::from(lot.minus))).sum();
    let total: f64 = lots.iter().map(|lot| lot.size * f64::from(lot.units())).sum();
    let (reach, slack) = (observed.abs(), ROUNDING * total);
    let two_sided = |tail: f64| if reach <= slack { 1.0 } else { (2.0 * tail).min(1.0) };
    if let Some(tail) = exact_tail(lots, reach - slack).or_else(|| halves::tail(lots, reach - slack)) {
        return (two_sided(tail), PairedTest::SignFlipExact);
    }
    let is_one_way = total - reach <= slack;
    let tail = if is_one_way {
        (-lots.iter().map(|lot| f64::from(lot.units())).sum::<f64>()).exp2()
    } else {
        grid::tail(lots, reach).unwrap_or_else(|| mixed_tail(lots, reach))
    };
    (two_sided(tail), PairedTest::SignFlipMixed)
}

/// Chance of a flipped sum of at least `reach`; `None` where there are too many different sums to count.
fn exact_tail(lots: &[Lot], reach: f64) -> Option<f64> {
    let (at, most) = lots.iter().enumerate().max_by_key(|(_, lot)| lot.units())?;
    let others: Vec<Lot> =
        lots.iter().enumerate().filter(|(place, _)| *place != at).map(|(_, lot)| *lot).collect();
    if number_of_sums(&others) > MAX_EXACT_SUMS || most.units() > MAX_EXACT_UNITS {
        return None;
    }
    let own = sums_of(most);
    let mut tails: Vec<f64> = own
        .iter()
        .rev()
        .scan(0.0, |tail, (_, chance)| {
            *tail += chance;
            Some(*tail)
        })
        .collect();
    tails.reverse();
    let tail_from = |from: f64| tails.get(own.partition_point(|(sum, _)| *sum < from)).copied();
    let reached = all_sums(&others).into_iter();
    Some(reached.map(|(sum, chance)| chance * tail_from(reach - sum).unwrap_or(0.0)).sum())
}

/// Chance of a flipped sum of at least `reach`, which is above 0 and below the sum of all sizes.
///
/// With the largest sizes as F and the others as R, for any t it is the mean over F of
/// `E_t[exp(K(t) - t R); R >= reach - F]`, K being the cumulant function of R and E_t the mean under chances
/// tilted by `exp(t R)`. Under these R is taken as normal, with t such that the whole sum has the mean
/// `reach`: so the approximation is made where the tail begins, not in the middle.
fn mixed_tail(lots: &[Lot], reach: f64) -> f64 {
    let (head, rest) = lots.split_at(head_length(lots, reach));
    let tilt = tilt(lots, reach);
    let Tilted { cumulant, mean, variance } = Tilted::of(rest, tilt);
    let normal = Normal::standard();
    let factor = (cumulant - tilt * mean + tilt * tilt * variance / 2.0).exp();
    let (centre, spread) = (mean - tilt * variance, variance.sqrt().max(f64::MIN_POSITIVE));
    let tail = |(sum, chance): Sum| chance * factor * normal.sf((reach - sum - centre) / spread);
    gridded(all_sums(head), GRID * spread).into_iter().map(tail).sum()
}

/// The sums on a grid of that width, where that leaves far fewer of them.
fn gridded(sums: Vec<Sum>, width: f64) -> Vec<Sum> {
    let (low, high) = sums
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), (sum, _)| (low.min(*sum), high.max(*sum)));
    let cells: Vec<f64> = std::iter::successors(Some(low), |at| Some(at + width))
        .take_while(|at| *at <= high + width)
        .take(sums.len() / 4)
        .collect();
    if cells.last().is_none_or(|last| *last < high) {
        return sums;
    }
    let mut grid: Vec<Sum> = cells.into_iter().map(|at| (at, 0.0)).collect();
    for (sum, chance) in sums {
        let next = grid.partition_point(|(at, _)| *at <= sum);
        if let Some([(below, lower), (_, upper)]) = grid.get_mut(next.saturating_sub(1)..=next) {
            let share = (sum - *below) / width;
            *lower += chance * (1.0 - share);
            *upper += chance * share;
        }
    }
    grid
}

/// How many of the largest sizes are flipped exactly: as long as they are large beside the spread of those that
/// follow, or make steps, and not too many.
fn head_length(lots: &[Lot], reach: f64) -> usize {
    let variance: f64 = lots.iter().map(Lot::variance).sum();
    let step = MAX_STEP * variance.sqrt() / (reach / variance.sqrt()).max(1.0);
    let (mut rest, mut sums) = (variance, 1.0);
    let is_head = |lot: &&Lot| {
        let beyond = rest - lot.variance();
        let is_large = lot.size > MAX_SHARE * rest.sqrt();
        let makes_steps = lot.size > step && lot.size > beyond.max(0.0).sqrt();
        sums *= f64::from(lot.units()) + 1.0;
        rest = beyond;
        (is_large || makes_steps) && sums <= MAX_HEAD_SUMS
    };
    lots.iter().take_while(is_head).count()
}

/// The t at which the tilted sum of all lots has the mean `reach`, nearly: `sum n c tanh(t c) = reach`. The left side
/// is concave, so that Newton's steps from below never go too far.
fn tilt(lots: &[Lot], reach: f64) -> f64 {
    let (squares, fourths) = lots.iter().fold((0.0, 0.0), |(squares, fourths), lot| {
        let own = lot.variance();
        (squares + own, fourths + own * lot.size * lot.size)
    });
    // The root of the series of tanh up to the third power, nearly, where that is a small correction.
    let first = reach / squares;
    let mut tilt = first * (1.0 + (first * first * fourths / (3.0 * squares)).min(0.2));
    for _ in 0..MAX_NEWTON_STEPS {
        let (mean, variance) = tilted_moments(lots, tilt);
        let missing = reach - mean;
        if missing.abs() <= TILTED_ENOUGH * reach || variance <= 0.0 {
            break;
        }
        tilt = (tilt + missing / variance).max(first);
    }
    tilt
}

/// Mean and variance of [`Tilted`], which is all that finding the tilt takes.
fn tilted_moments(lots: &[Lot], tilt: f64) -> (f64, f64) {
    lots.iter().fold((0.0, 0.0), |(mean, variance), lot| {
        let fallen = (-2.0 * tilt * lot.size).exp();
        let slope = (1.0 - fallen) / (1.0 + fallen);
        let own = f64::from(lot.units()) * lot.size;
        (mean + own * slope, variance + own * lot.size * (1.0 - slope * slope))
    })
}

/// The flipped sum of some lots under chances tilted by `exp(t sum)`.
struct Tilted {
    /// `ln E[exp(t sum)]` under even chances.
    cumulant: f64,
    mean: f64,
    variance: f64,
}

impl Tilted {
    fn of(lots: &[Lot], tilt: f64) -> Self {
        let mut own = Self { cumulant: 0.0, mean: 0.0, variance: 0.0 };
        for lot in lots {
            let (units, by) = (f64::from(lot.units()), tilt * lot.size);
            // ln cosh and tanh by the one exponential of which neither overflows.
            let fallen = (-2.0 * by).exp();
            let slope = (1.0 - fallen) / (1.0 + fallen);
            own.cumulant += units * (by + fallen.ln_1p() - std::f64::consts::LN_2);
            own.mean += units * lot.size * slope;
            own.variance += lot.variance() * (1.0 - slope * slope);
        }
        own
    }
}

/// How many different sums the flips of `lots` have at most.
fn number_of_sums(lots: &[Lot]) -> f64 {
    lots.iter().map(|lot| f64::from(lot.units()) + 1.0).product()
}

/// All sums of the flips of `lots` with their chances.
fn all_sums(lots: &[Lot]) -> Vec<Sum> {
    lots.iter().fold(vec![(0.0, 1.0)], |sums, lot| {
        if lot.units() == 1 {
            return sums_with_one(&sums, lot.size);
        }
        let own = sums_of(lot);
        let mut all = Vec::with_capacity(sums.len() * own.len());
        for (sum, chance) in sums {
            all.extend(own.iter().map(|(more, share)| (sum + more, chance * share)));
        }
        all
    })
}

/// The sums with one more difference of that size, which is by far the most frequent lot.
fn sums_with_one(sums: &[Sum], size: f64) -> Vec<Sum> {
    let less = sums.iter().map(|(sum, chance)| (sum - size, chance / 2.0));
    less.chain(sums.iter().map(|(sum, chance)| (sum + size, chance / 2.0))).collect()
}

/// The sums of the flips of one lot, the smallest first: `size (2 j - n)` with the chance `C(n, j) / 2^n`.
fn sums_of(lot: &Lot) -> Vec<Sum> {
    let units = lot.units();
    let chance = |j: u32| {
        let halves = f64::from(units) * std::f64::consts::LN_2;
        (ln_binomial(units.into(), j.into()) - halves).exp()
    };
    (0..=units).map(|j| (lot.size * (2.0 * f64::from(j) - f64::from(units)), chance(j))).collect()
}
