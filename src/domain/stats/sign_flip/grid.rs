//! The tail of the flipped sum counted on a fine grid, for more differences than can be counted one flip at a time and
//! too few for a normal approximation to hold far out.
//!
//! `sum(+-c) >= reach` is the same as `W <= (total - reach) / 2`, W being the sum of the sizes that fall against the
//! observed direction, each with chance 1/2. W is counted from 0 up to there only, so that the grid is fine where the
//! tail lies, however thin it is.

use super::lots::Lot;
use crate::domain::stats::whole;

/// Differences that are counted: with more of them, the normal approximation of the mixed tail is near enough.
const MAX_UNITS: u32 = 256;
/// Steps of the grid in the sum of all sizes, where the tail is broad.
const TOTAL_STEPS: f64 = 4_096.0;
/// Steps that the tail has at least, where it is thin.
const MIN_STEPS: f64 = 512.0;
/// Steps beyond the bound that still count. A size between two points of the grid goes to both in parts, so that its
/// mean stays; the sum that was seen itself is spread over about so many steps, and must be counted. This errs towards a
/// larger p: by `exp(3 z step / sigma)`, less than a tenth at z = 6.4.
const MARGIN: usize = 3;

/// Chance of a flipped sum of at least `reach`, above 0 and below the sum of all sizes; `None` where there are too many
/// differences.
pub(super) fn tail(lots: &[Lot], reach: f64) -> Option<f64> {
    let units: u32 = lots.iter().map(Lot::units).sum();
    if units > MAX_UNITS {
        return None;
    }
    let total: f64 = lots.iter().map(|lot| lot.size * f64::from(lot.units())).sum();
    let bound = (total - reach) / 2.0;
    let step = (total / TOTAL_STEPS).min(bound / MIN_STEPS);
    let mut chances = vec![0.0; whole(bound / step) + MARGIN + 1];
    *chances.first_mut()? = 1.0;
    let mut before = chances.clone();
    for size in lots.iter().flat_map(|lot| (0..lot.units()).map(|_| lot.size)) {
        before.copy_from_slice(&chances);
        add(&mut chances, &before, size / step);
    }
    Some(chances.iter().sum::<f64>().min(1.0))
}

/// Adds a size of so many steps with chance 1/2 to what was `before`.
fn add(chances: &mut [f64], before: &[f64], steps: f64) {
    let below = steps.floor();
    let (near, far) = (0.5 * (below + 1.0 - steps), 0.5 * (steps - below));
    chances.iter_mut().for_each(|chance| *chance *= 0.5);
    let shift = whole(below);
    for (shift, share) in [(shift, near), (shift.saturating_add(1), far)] {
        let reached = chances.iter_mut().skip(shift);
        reached.zip(before).for_each(|(chance, before)| *chance += share * before);
    }
}
