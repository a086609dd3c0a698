//! Pooling: several results of one model revision on one eval version as one, item by item.
//!
//! The item stays the unit, as with epochs: its score is the mean over the results, so that an interval becomes narrower
//! by the noise of an answer, and never by counting an item twice.

use super::id::ResultKey;
use super::stats::{self, Measure, Summary};

/// The most results that are pooled, the newest: what a pooled board has to read is bounded by it.
pub const MAX_POOLED: usize = 20;

/// A result that is pooled with others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Member {
    /// The result.
    pub result: ResultKey,
    /// Cases that pass.
    pub passed: i64,
    /// US dollars; none when unknown.
    pub cost_usd: Option<f64>,
    /// Median latency in milliseconds.
    pub latency_p50_ms: Option<f64>,
    /// The latency that 95 % of the answers stay below, in milliseconds.
    pub latency_p95_ms: Option<f64>,
    /// Cases without a score.
    pub missing: i64,
    /// Input tokens; none when unknown.
    pub input_tokens: Option<i64>,
    /// Output tokens; none when unknown.
    pub output_tokens: Option<i64>,
}

/// Item scores (0 to 1, as they count) of results that are added one by one, so that only their sums are kept.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PooledItems {
    sums: Vec<f64>,
    results: u32,
}

impl PooledItems {
    /// Adds the item scores of a result; one that was not measured counts as wrong. Returns whether they fit: results
    /// of one eval version have the same items.
    pub fn add(&mut self, items: &[Option<f64>]) -> bool {
        if self.results == 0 {
            self.sums = vec![0.0; items.len()];
        } else if self.sums.len() != items.len() {
            return false;
        }
        for (sum, item) in self.sums.iter_mut().zip(items) {
            *sum += item.unwrap_or(0.0);
        }
        self.results += 1;
        true
    }

    /// Results that were added.
    #[must_use]
    pub fn results(&self) -> i64 {
        i64::from(self.results)
    }

    /// The mean of each item.
    #[must_use]
    pub fn means(&self) -> Vec<f64> {
        let results = f64::from(self.results.max(1));
        self.sums.iter().map(|sum| sum / results).collect()
    }
}

/// The score of pooled items, given their clusters where the eval has any; none without items. Items that every result
/// agrees on, each right or wrong, are those of one result.
#[must_use]
pub fn summarise(means: &[f64], clusters: Option<&[u64]>) -> Option<Summary> {
    let are_sure = means.iter().all(|mean| *mean == 0.0 || *mean == 1.0);
    let measure = if are_sure { Measure::Binary } else { Measure::Continuous };
    stats::summarise(means, clusters, measure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_has_the_mean_of_its_results() {
        let mut pooled = PooledItems::default();
        assert!(pooled.add(&[Some(1.0), Some(0.0), None]) && pooled.add(&[Some(1.0), Some(1.0), Some(0.5)]));
        assert_eq!((pooled.means(), pooled.results()), (vec![1.0, 0.5, 0.25], 2));
        assert!(!pooled.add(&[Some(1.0)]));
        assert_eq!(pooled.results(), 2);
    }

    #[test]
    fn the_item_is_the_unit_however_many_results_there_are() {
        let summary = summarise(&[1.0, 0.5, 0.25, 0.75], None).unwrap();
        assert_eq!((summary.items, summary.mean), (4, 0.625));
        let alike = summarise(&[1.0, 0.0, 1.0, 0.0], None).unwrap();
        assert_eq!(
            alike.interval,
            stats::summarise(&[1.0, 0.0, 1.0, 0.0], None, Measure::Binary).unwrap().interval
        );
    }
}
