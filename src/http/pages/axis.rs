//! A shared axis for scores, and intervals as bars on it, in percent of its length.
//!
//! It is chosen from the scores shown, so that narrow intervals can be seen, and need not start at zero:
//! whoever draws it says where it starts. Bars carry no text.

use crate::domain::stats::Interval;

/// Lengths of a quarter of an axis, in points.
const QUARTERS: [f64; 7] = [1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 25.0];
/// No bar is narrower than this, or it could not be seen.
const NARROWEST: f64 = 2.5;

/// A scale of four equal quarters, in points of 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Axis {
    start: f64,
    quarter: f64,
}

/// A mean with its interval, as percent of the axis with one decimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bar {
    /// Where the mean is.
    pub mean: String,
    /// Its interval, if it has one.
    pub band: Option<Band>,
}

/// An interval on the axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Band {
    /// Where it begins.
    pub from: String,
    /// How long it is.
    pub width: String,
}

impl Axis {
    /// The shortest axis that holds all `spans` (low and high, 0 to 1 when clipped).
    #[must_use]
    pub fn over(spans: impl Iterator<Item = (f64, f64)>) -> Self {
        let (low, high) = spans.fold((100.0_f64, 0.0_f64), |(low, high), (from, to)| {
            (low.min(from.clamp(0.0, 1.0) * 100.0), high.max(to.clamp(0.0, 1.0) * 100.0))
        });
        let fits = |axis: &Self| axis.start <= low && axis.end() >= high;
        let whole = Self { start: 0.0, quarter: 25.0 };
        if low > high {
            return whole;
        }
        QUARTERS.iter().map(|quarter| Self::from(low, *quarter)).find(fits).unwrap_or(whole)
    }

    /// The axis of that quarter that starts just below `low`, and ends at 100 at most.
    fn from(low: f64, quarter: f64) -> Self {
        let start = ((low / quarter).floor() * quarter).min(100.0 - 4.0 * quarter);
        Self { start, quarter }
    }

    fn end(&self) -> f64 {
        self.start + 4.0 * self.quarter
    }

    /// Its start, middle and end, in points.
    #[must_use]
    pub fn ticks(&self) -> [String; 3] {
        [self.start, f64::midpoint(self.start, self.end()), self.end()].map(|at| format!("{at:.0}"))
    }

    /// `mean` with its interval, where it has one.
    #[must_use]
    pub fn bar(&self, mean: f64, interval: Option<Interval>) -> Bar {
        Bar { mean: percent(self.place(mean)), band: interval.map(|interval| self.band(interval)) }
    }

    fn band(&self, interval: Interval) -> Band {
        let (from, to) = (self.place(interval.low), self.place(interval.high));
        let width = (to - from).max(NARROWEST);
        let from = (f64::midpoint(from, to) - width / 2.0).clamp(0.0, 100.0 - width);
        Band { from: percent(from), width: percent(width) }
    }

    /// Where a share of 0 to 1 is, in percent of the axis and never off it.
    #[must_use]
    pub fn place(&self, share: f64) -> f64 {
        ((share * 100.0 - self.start) / (4.0 * self.quarter) * 100.0).clamp(0.0, 100.0)
    }
}

fn percent(number: f64) -> String {
    let text = format!("{number:.1}");
    text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(spans: &[(f64, f64)]) -> [String; 3] {
        Axis::over(spans.iter().copied()).ticks()
    }

    #[test]
    fn the_axis_is_as_short_as_the_scores_allow() {
        assert_eq!(ticks(&[(0.226, 0.3), (0.9, 0.934)]), ["20", "60", "100"]);
        assert_eq!(ticks(&[(0.71, 0.95)]), ["60", "80", "100"]);
        assert_eq!(ticks(&[(0.412, 0.449)]), ["41", "43", "45"]);
        assert_eq!(ticks(&[(0.975, 0.999)]), ["96", "98", "100"]);
        assert_eq!(ticks(&[(0.04, 0.45)]), ["0", "30", "60"]);
        assert_eq!(ticks(&[(-0.1, 1.2)]), ["0", "50", "100"]);
        assert_eq!(ticks(&[]), ["0", "50", "100"]);
    }

    #[test]
    fn a_bar_stays_on_its_axis_and_can_be_seen() {
        let axis = Axis::over([(0.2, 1.0)].into_iter());
        let drawn = |mean, low, high| {
            let bar = axis.bar(mean, Some(Interval { low, high }));
            let band = bar.band.unwrap();
            [bar.mean, band.from, band.width]
        };
        assert_eq!(drawn(0.6, 0.5, 0.7), ["50", "37.5", "25"]);
        assert_eq!(drawn(1.0, 1.0, 1.0), ["100", "97.5", "2.5"]);
        assert_eq!(drawn(0.0, -0.2, 0.0), ["0", "0", "2.5"]);
        assert_eq!(axis.bar(0.6, None).band, None);
    }
}
