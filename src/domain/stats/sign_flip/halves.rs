//! The exact tail of few differences, whatever their sizes: all sums of one half against all sums of the other.

use super::lots::Lot;
use crate::domain::stats::count;

/// Differences up to here are counted: twice `2^13` sums, not `2^26`.
const MAX_UNITS: u32 = 26;

/// Chance of a flipped sum of at least `reach`; `None` where there are too many differences to count.
pub(super) fn tail(lots: &[Lot], reach: f64) -> Option<f64> {
    let units: u32 = lots.iter().map(Lot::units).sum();
    if units > MAX_UNITS {
        return None;
    }
    let sizes = || lots.iter().flat_map(|lot| (0..lot.units()).map(|_| lot.size));
    // Every other size, so that both halves spread alike.
    let ascending = sorted_sums(sizes().step_by(2));
    let others = sorted_sums(sizes().skip(1).step_by(2));
    let mut partners = others.iter().peekable();
    let (mut too_small, mut reached) = (0_usize, 0.0);
    // The smaller a sum, the fewer sums of the other half reach far enough with it.
    for sum in ascending.iter().rev() {
        while partners.next_if(|other| sum + **other < reach).is_some() {
            too_small += 1;
        }
        reached += count(others.len() - too_small);
    }
    Some(reached * (-f64::from(units)).exp2())
}

/// All sums of the flips of `sizes`, the smallest first.
fn sorted_sums(sizes: impl Iterator<Item = f64>) -> Vec<f64> {
    sizes.fold(vec![0.0], |sums, size| {
        let mut all = Vec::with_capacity(2 * sums.len());
        let mut less = sums.iter().map(|sum| sum - size).peekable();
        for more in sums.iter().map(|sum| sum + size) {
            while let Some(next) = less.next_if(|next| *next <= more) {
                all.push(next);
            }
            all.push(more);
        }
        all
    })
}
