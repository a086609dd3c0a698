//! Which way the scores of an eval are better, and what a score counts as.
//!
//! A score is stored and shown as its scorer gave it. Means, tests, passes and ranks are made of *counted* scores, of
//! which more is always better: this is the only place that turns one into the other.

use super::stats::{ErrorBounds, Interval};

/// The largest distance of two numbers that differ only by rounding.
const ROUNDING: f64 = 1e-9;

/// Which way scores are better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// More is better.
    #[default]
    Higher,
    /// Less is better: a score counts as 1 minus itself.
    Lower,
}

/// From which score on a case of an eval passes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PassMark {
    /// The counted score that is needed, above 0 up to 1.
    pub threshold: f64,
    /// Which way scores are better.
    pub direction: Direction,
}

impl Direction {
    /// The direction of an eval whose higher scores are better, or are not.
    #[must_use]
    pub const fn of(higher_is_better: bool) -> Self {
        if higher_is_better { Self::Higher } else { Self::Lower }
    }

    /// Whether more is better.
    #[must_use]
    pub const fn is_higher(self) -> bool {
        matches!(self, Self::Higher)
    }

    /// The name of a column of scores: the direction stands with it where it is not the usual one.
    #[must_use]
    pub fn headed(self, name: &str) -> String {
        match self {
            Self::Higher => name.to_owned(),
            Self::Lower => format!("{name} (lower is better)"),
        }
    }

    /// What a stored score (0 to 1) counts as, and the stored score of what counts: each undoes the other.
    #[must_use]
    pub fn counted(self, score: f64) -> f64 {
        match self {
            Self::Higher => score,
            Self::Lower => 1.0 - score,
        }
    }

    /// The same of every item; what was not measured stays so.
    #[must_use]
    pub fn counted_items(self, mut items: Vec<Option<f64>>) -> Vec<Option<f64>> {
        if !self.is_higher() {
            items.iter_mut().flatten().for_each(|score| *score = self.counted(*score));
        }
        items
    }

    /// The same of an interval.
    #[must_use]
    pub fn interval(self, interval: Interval) -> Interval {
        match self {
            Self::Higher => interval,
            Self::Lower => Interval { low: 1.0 - interval.high, high: 1.0 - interval.low },
        }
    }

    /// The same of the bounds of a score; "if right" stays the better end.
    #[must_use]
    pub fn bounds(self, bounds: ErrorBounds) -> ErrorBounds {
        ErrorBounds {
            if_wrong: self.counted(bounds.if_wrong),
            if_dropped: bounds.if_dropped.map(|score| self.counted(score)),
            if_right: self.counted(bounds.if_right),
        }
    }

    /// The sum of the counted scores of `scored` cases whose stored scores add up to `sum`.
    #[must_use]
    pub fn counted_sum(self, sum: f64, scored: f64) -> f64 {
        match self {
            Self::Higher => sum,
            Self::Lower => scored - sum,
        }
    }
}

impl PassMark {
    /// Whether a case with that stored score passes.
    #[must_use]
    pub fn passes(self, score: f64) -> bool {
        match self.direction {
            Direction::Higher => score >= self.threshold,
            // 1 - 0.9 is a little less than 0.1.
            Direction::Lower => self.direction.counted(score) >= self.threshold - ROUNDING,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lower_scores_count_as_one_minus_themselves() {
        let lower = Direction::of(false);
        assert_eq!((lower.counted(0.25), Direction::of(true).counted(0.25)), (0.75, 0.25));
        assert_eq!(lower.counted_items(vec![Some(1.0), None]), [Some(0.0), None]);
        assert_eq!(lower.interval(Interval { low: 0.25, high: 0.5 }), Interval { low: 0.5, high: 0.75 });
        let bounds = ErrorBounds { if_wrong: 0.5, if_dropped: None, if_right: 0.25 };
        assert_eq!(lower.bounds(bounds), ErrorBounds { if_wrong: 0.5, if_dropped: None, if_right: 0.75 });
        assert_eq!((lower.counted_sum(1.0, 4.0), Direction::Higher.counted_sum(1.0, 4.0)), (3.0, 1.0));
    }

    #[test]
    fn pass_threshold_is_met_by_counted_scores() {
        let mark = |threshold, direction| PassMark { threshold, direction };
        assert!(mark(0.1, Direction::Lower).passes(0.9) && !mark(0.2, Direction::Lower).passes(0.9));
        assert!(mark(1.0, Direction::Lower).passes(0.0) && !mark(1.0, Direction::Lower).passes(1.0));
        assert!(mark(1.0, Direction::Higher).passes(1.0) && !mark(1.0, Direction::Higher).passes(0.0));
    }
}
