//! Differences as dots with whiskers on one axis around zero, in percent of its length.
//!
//! Dots carry no text: the table they stand in says the same in figures.

use super::super::format;
use super::super::score::Mean;
use crate::domain::stats::Interval;

/// Half lengths of an axis, in points.
const HALVES: [f64; 9] = [1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 40.0, 60.0, 100.0];

/// An axis from minus to plus the same number of points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::http::pages) struct Plot {
    half: f64,
    /// Most decimals of any difference on it.
    widest: usize,
}

/// A difference as text, and as a dot on the axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::http::pages) struct Dot {
    /// In points, with its sign.
    pub(in crate::http::pages) text: String,
    /// Its interval in points.
    pub(in crate::http::pages) range: Option<String>,
    /// Where it is.
    pub(in crate::http::pages) at: String,
    /// Where its interval begins and ends.
    pub(in crate::http::pages) whisker: Option<[String; 2]>,
}

impl Plot {
    /// The shortest axis that holds all `differences` (of -1 to 1 when clipped) with their intervals.
    #[must_use]
    pub(in crate::http::pages) fn over(differences: &[Mean]) -> Self {
        let reach = |(mean, interval): &Mean| {
            let [low, high] = interval.map_or([*mean, *mean], |held| [held.low, held.high]);
            low.abs().max(high.abs()) * 100.0
        };
        let farthest = differences.iter().map(reach).fold(0.0, f64::max);
        let half = HALVES.into_iter().find(|half| *half >= farthest).unwrap_or(100.0);
        let decimals = differences.iter().map(|(_, interval)| format::decimals(*interval));
        Self { half, widest: decimals.max().unwrap_or(0) }
    }

    /// What the axis says at its start, middle and end, in points.
    #[must_use]
    pub(in crate::http::pages) fn ticks(&self) -> [String; 3] {
        [-self.half, 0.0, self.half].map(|at| signed(at / 100.0, 0))
    }

    /// One of the differences.
    #[must_use]
    pub(in crate::http::pages) fn dot(&self, (mean, interval): Mean) -> Dot {
        let decimals = format::decimals(interval);
        Dot {
            text: format::padded(signed(mean, decimals), decimals, self.widest),
            range: interval.map(|interval| range(interval, decimals)),
            at: self.place(mean),
            whisker: interval.map(|interval| [self.place(interval.low), self.place(interval.high)]),
        }
    }

    fn place(&self, difference: f64) -> String {
        let at = 50.0 + difference * 100.0 / self.half * 50.0;
        format!("{:.1}", at.clamp(0.0, 100.0))
    }
}

/// `−1.2 to +5.0`, clipped to what a difference can be.
fn range(interval: Interval, decimals: usize) -> String {
    let [low, high] = [interval.low, interval.high].map(|end| signed(end.clamp(-1.0, 1.0), decimals));
    format!("{low} to {high}")
}

/// A difference in points with its sign, which 0 has none of.
fn signed(share: f64, decimals: usize) -> String {
    let size = format::points(share.abs(), decimals);
    let is_zero = size.chars().all(|each| matches!(each, '0' | '.'));
    match is_zero {
        true => size,
        false if share < 0.0 => format!("−{size}"),
        false => format!("+{size}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(mean: f64, margin: f64) -> Mean {
        (mean, Some(Interval { low: mean - margin, high: mean + margin }))
    }

    #[test]
    fn the_axis_is_as_short_as_the_differences_allow_and_has_zero_in_its_middle() {
        let ticks = |differences: &[Mean]| Plot::over(differences).ticks();
        assert_eq!(ticks(&[around(0.03, 0.012), around(-0.01, 0.005)]), ["−5", "0", "+5"]);
        assert_eq!(ticks(&[around(-0.6, 0.6)]), ["−100", "0", "+100"]);
        assert_eq!(ticks(&[]), ["−1", "0", "+1"]);
    }

    #[test]
    fn a_dot_says_in_words_what_it_shows() {
        let dot = Plot { half: 10.0, widest: 1 }.dot(around(0.031, 0.019));
        assert_eq!((dot.text.as_str(), dot.range.as_deref()), ("+3.1", Some("+1.2 to +5.0")));
        assert_eq!((dot.at.as_str(), dot.whisker), ("65.5", Some(["56.0".to_owned(), "75.0".to_owned()])));
        let even = Plot { half: 10.0, widest: 0 }.dot((-0.000_1, None));
        assert_eq!((even.text.as_str(), even.range, even.whisker), ("0", None, None));
    }

    #[test]
    fn what_reaches_beyond_the_axis_ends_with_it() {
        let dot = Plot { half: 100.0, widest: 0 }.dot(around(-0.9, 0.3));
        assert_eq!(dot.range.as_deref(), Some("−100 to −60"));
        assert_eq!(dot.whisker, Some(["0.0".to_owned(), "20.0".to_owned()]));
    }
}
