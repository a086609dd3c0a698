//! The interval of a weighted mean of parts, each of which is known in its own way.

use statrs::distribution::{Beta, ContinuousCDF};

use super::Cell;
use crate::domain::stats::interval::{t_critical, wilson_items};
use crate::domain::stats::{CI_LEVEL, CiMethod, Interval, NORMAL_CRITICAL, ROUNDING, count};

/// From so many degrees of freedom on, Student's t is taken as normal.
const NORMAL_FROM_DEGREES: f64 = 1_000.0;

/// What the means of the parts can be. It decides how far a part that shows no spread may be off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Range {
    /// 0..1.
    ///
    /// - Shares, those with a Wilson interval and those whose items all agree: Price and Bonett (2004). Over m of
    ///   them `p = (x + 2 / m) / (n + 4 / m)` takes the place of the mean and `p (1 - p) / (n + 4 / m)`, or the
    ///   unbiased `m (1 - m) / (n - 1)` where all of these add up to more, that of the variance; n is what the
    ///   Wilson interval is worth in items, fewer in clusters and more with repeats.
    /// - Means with a standard error: that, with n - 1 degrees of freedom where it was Student's t; the sum of all
    ///   has as many as Satterthwaite (1946) gives it.
    /// - Clusters: the distances of the ends of their own interval from their mean, squared, weighted, added to the
    ///   rest (Zou and Donner 2008).
    /// - Evals of one item or one cluster, together: the same with the exact interval of Clopper and Pearson (1934)
    ///   for `1 / sum v_i^2` items with the mean of theirs. It is the widest of the usual ones, and the only one
    ///   that a single item leaves honest.
    Scores,
    /// -1..1. As above, but no share: items that all differ alike have the variance `2 / (n + 2)^2`, that of
    /// Bonett and Price (2012) for pairs that never disagree.
    Differences,
}

/// What adds up to the interval: squared distances of its ends from a centre.
#[derive(Default)]
struct Margins {
    centre: f64,
    /// Variance of the parts whose sum is taken as normal or t.
    variance: f64,
    /// `sum v^2 / degrees` of these, by Satterthwaite.
    uncertainty: f64,
    below: f64,
    above: f64,
}

/// The interval of `sum weight * mean` over parts whose weights sum to 1; `None` without parts.
pub(super) fn interval(parts: &[Cell], range: Range) -> Option<(Interval, CiMethod)> {
    let (units, others): (Vec<&Cell>, Vec<&Cell>) =
        parts.iter().partition(|cell| cell.items == 1 || cell.stderr.is_none());
    let is_share = |cell: &&Cell| range == Range::Scores && (cell.is_wilson() || cell.shows_no_spread());
    let (shares, means): (Vec<&Cell>, Vec<&Cell>) = others.into_iter().partition(is_share);
    let mut margins = Margins::default();
    margins.add_shares(&shares);
    means.iter().for_each(|cell| margins.add_mean(cell));
    margins.add_units(&units, range)?;
    margins.interval()
}

impl Cell {
    fn is_wilson(&self) -> bool {
        self.method == Some(CiMethod::Wilson) && self.interval.is_some()
    }

    fn shows_no_spread(&self) -> bool {
        self.stderr.is_some_and(|stderr| stderr <= ROUNDING)
    }

    /// How many items its share is worth.
    fn worth(&self) -> f64 {
        let interval = self.interval.filter(|_| self.is_wilson());
        interval.map_or(count(self.items), |interval| wilson_items(self.mean, interval))
    }
}

impl Margins {
    fn add_shares(&mut self, shares: &[&Cell]) {
        let more = 2.0 / count(shares.len().max(1));
        let (mut adjusted, mut unbiased) = (0.0, 0.0);
        for cell in shares {
            let (items, weight) = (cell.worth(), cell.weight);
            let share = (cell.mean * items + more) / (items + 2.0 * more);
            self.centre += weight * share;
            adjusted += weight * weight * share * (1.0 - share) / (items + 2.0 * more);
            unbiased += weight * weight * cell.mean * (1.0 - cell.mean) / (items - 1.0).max(1.0);
        }
        self.variance += adjusted.max(unbiased);
    }

    fn add_mean(&mut self, cell: &Cell) {
        let weight = cell.weight;
        self.centre += weight * cell.mean;
        if let (Some(CiMethod::ClusterT | CiMethod::Combined | CiMethod::Test), Some(own)) =
            (cell.method, cell.interval)
        {
            self.below += (weight * (cell.mean - own.low)).powi(2);
            self.above += (weight * (own.high - cell.mean)).powi(2);
            return;
        }
        let items = count(cell.items);
        let own = match cell.stderr {
            Some(stderr) if stderr > ROUNDING => stderr * stderr,
            _ => 2.0 / (items + 2.0).powi(2),
        };
        let variance = weight * weight * own;
        self.variance += variance;
        if cell.method == Some(CiMethod::T) {
            self.uncertainty += variance * variance / (items - 1.0).max(1.0);
        }
    }

    fn add_units(&mut self, units: &[&Cell], range: Range) -> Option<()> {
        let weight: f64 = units.iter().map(|cell| cell.weight).sum();
        if weight <= 0.0 {
            return Some(());
        }
        let mean = units.iter().map(|cell| cell.weight * cell.mean).sum::<f64>() / weight;
        let worth = 1.0 / units.iter().map(|cell| (cell.weight / weight).powi(2)).sum::<f64>();
        let own = match range {
            Range::Scores => exact(mean, worth)?,
            Range::Differences => {
                let own = exact(f64::midpoint(mean, 1.0), worth)?;
                Interval { low: 2.0 * own.low - 1.0, high: 2.0 * own.high - 1.0 }
            }
        };
        self.centre += weight * mean;
        self.below += (weight * (mean - own.low)).powi(2);
        self.above += (weight * (own.high - mean)).powi(2);
        Some(())
    }

    fn interval(&self) -> Option<(Interval, CiMethod)> {
        let degrees = self.variance * self.variance / self.uncertainty;
        let is_t = self.uncertainty > 0.0 && degrees < NORMAL_FROM_DEGREES;
        let critical = if is_t { t_critical(degrees)? } else { NORMAL_CRITICAL };
        let even = critical * critical * self.variance;
        let low = self.centre - (even + self.below).sqrt();
        let high = self.centre + (even + self.above).sqrt();
        let method = match is_t {
            _ if self.below + self.above > 0.0 => CiMethod::Combined,
            true => CiMethod::T,
            false => CiMethod::Normal,
        };
        Some((Interval { low, high }, method))
    }
}

/// The interval of Clopper and Pearson for a share of `items`, neither of which need be whole.
fn exact(share: f64, items: f64) -> Option<Interval> {
    let tail = (1.0 - CI_LEVEL) / 2.0;
    let lower = |successes: f64| -> Option<f64> {
        if successes <= ROUNDING {
            return Some(0.0);
        }
        Some(Beta::new(successes, items - successes + 1.0).ok()?.inverse_cdf(tail))
    };
    let share = share.clamp(0.0, 1.0);
    Some(Interval { low: lower(share * items)?, high: 1.0 - lower((1.0 - share) * items)? })
}
