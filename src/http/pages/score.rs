//! A score as tables show it: text, interval, and a bar on the axis that the scores of one table share.

use super::axis::{Axis, Bar};
use super::format;
use crate::domain::stats::Interval;

/// A mean score, 0 to 1, with its interval where it has one.
pub type Mean = (f64, Option<Interval>);

/// What the scores of one table share.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    axis: Axis,
    /// Most decimals of any of them.
    widest: usize,
}

/// A mean with what is drawn of it.
#[derive(Debug)]
pub struct Score {
    /// In points.
    pub text: String,
    /// Its interval in points.
    pub range: Option<String>,
    /// The same on the axis.
    pub bar: Bar,
}

impl Scale {
    /// The scale for those scores.
    #[must_use]
    pub fn over(means: &[Mean]) -> Self {
        let span = |(mean, interval): &Mean| interval.map_or((*mean, *mean), |held| (held.low, held.high));
        let decimals = means.iter().map(|(_, interval)| format::decimals(*interval));
        Self { axis: Axis::over(means.iter().map(span)), widest: decimals.max().unwrap_or(0) }
    }

    /// What the axis says at its start, middle and end, in points.
    #[must_use]
    pub fn ticks(&self) -> [String; 3] {
        self.axis.ticks()
    }

    /// One of the scores.
    #[must_use]
    pub fn show(&self, (mean, interval): Mean) -> Score {
        let decimals = format::decimals(interval);
        Score {
            text: format::aligned(mean, decimals, self.widest),
            range: interval.map(|interval| format::range(interval, decimals)),
            bar: self.axis.bar(mean, interval),
        }
    }
}

/// One score in a sentence: `89.4 (86.9–91.9)`.
#[must_use]
pub fn in_words((mean, interval): Mean) -> String {
    let decimals = format::decimals(interval);
    let points = format::points(mean, decimals);
    interval.map_or(points.clone(), |held| format!("{points} ({})", format::range(held, decimals)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_in_a_sentence_has_its_interval_beside_it() {
        let interval = Interval { low: 0.869, high: 0.919 };
        assert_eq!(in_words((0.894, Some(interval))), "89.4 (86.9–91.9)");
        assert_eq!(in_words((1.0, None)), "100");
    }

    #[test]
    fn scores_of_one_table_take_the_same_room() {
        let coarse = (0.5, Some(Interval { low: 0.4, high: 0.6 }));
        let fine = (0.9, Some(Interval { low: 0.89, high: 0.91 }));
        let scale = Scale::over(&[coarse, fine]);
        assert_eq!([coarse, fine].map(|mean| scale.show(mean).text.chars().count()), [4, 4]);
        assert_eq!(scale.ticks(), ["20", "60", "100"]);
    }
}
