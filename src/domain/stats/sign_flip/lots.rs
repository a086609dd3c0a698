//! Differences of one size, which a flip turns into one binomial value.

use crate::domain::stats::ROUNDING;

/// Differences of one size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::domain::stats) struct Lot {
    /// Their size, above 0.
    pub(in crate::domain::stats) size: f64,
    /// How many are above 0.
    pub(in crate::domain::stats) plus: u32,
    /// How many are below 0.
    pub(in crate::domain::stats) minus: u32,
}

impl Lot {
    /// A lot of one, or of none where the difference is 0.
    pub(in crate::domain::stats) fn of(difference: f64) -> Self {
        Self { size: difference.abs(), plus: u32::from(difference > 0.0), minus: u32::from(difference < 0.0) }
    }

    /// How many differences there are.
    pub(super) fn units(&self) -> u32 {
        self.plus + self.minus
    }

    /// The variance of their flipped sum: `units * size^2`.
    pub(super) fn variance(&self) -> f64 {
        f64::from(self.units()) * self.size * self.size
    }
}

/// The lots of different sizes, the largest first, those that only rounding tells apart put together.
pub(super) fn merge(mut lots: Vec<Lot>) -> Vec<Lot> {
    lots.retain(|lot| lot.units() > 0);
    lots.sort_unstable_by(|a, b| b.size.total_cmp(&a.size));
    lots.dedup_by(|next, kept| {
        let is_same = kept.size - next.size <= ROUNDING * kept.size;
        if is_same {
            kept.plus += next.plus;
            kept.minus += next.minus;
        }
        is_same
    });
    lots
}
