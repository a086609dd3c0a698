//! Numbers and moments as people read them: points, money, latency, counts, dates.
//!
//! Pure text. What an unknown value looks like is one constant; no value is rounded before it is shown.
//! Moments are absolute: a page may be served long after it was made, and "4 minutes ago" would be false.

use crate::domain::stats::{Interval, RankRange};
use crate::domain::time::Millis;

/// Stands where a value is unknown or there is none.
pub const UNKNOWN: &str = "—";

/// Between a number and its unit: narrow, and the two never part.
const THIN: char = '\u{202f}';
/// As wide as a digit, where digits have one width.
const DIGIT_SPACE: char = '\u{2007}';
/// As wide as a full stop.
const POINT_SPACE: char = '\u{2008}';

/// Decimals of a score in points, 0 to 2, that `interval` supports: as far as the first figure of its half
/// width, one more when that figure is a 1 or a 2. Without an interval, or with one of no width, there is
/// nothing to say for any.
#[must_use]
pub fn decimals(interval: Option<Interval>) -> usize {
    let half = interval.map_or(0.0, |interval| (interval.high - interval.low) * 50.0);
    match half {
        half if half <= 0.0 || half >= 2.95 => 0,
        half if half >= 0.295 => 1,
        _ => 2,
    }
}

/// A share of 0 to 1 in points of 0 to 100.
#[must_use]
pub fn points(share: f64, decimals: usize) -> String {
    format!("{:.decimals$}", share.clamp(0.0, 1.0) * 100.0)
}

/// As [`points`], with room for `widest` decimals, so that the figures of a column stand below each other.
#[must_use]
pub fn aligned(share: f64, decimals: usize, widest: usize) -> String {
    padded(points(share, decimals), decimals, widest)
}

/// `text`, a figure of so many `decimals`, with room for `widest` of them.
#[must_use]
pub fn padded(mut text: String, decimals: usize, widest: usize) -> String {
    if decimals == 0 && widest > 0 {
        text.push(POINT_SPACE);
    }
    text.extend(std::iter::repeat_n(DIGIT_SPACE, widest.saturating_sub(decimals)));
    text
}

/// An interval in points, `90.8–93.4`, clipped to the scale.
#[must_use]
pub fn range(interval: Interval, decimals: usize) -> String {
    format!("{}–{}", points(interval.low, decimals), points(interval.high, decimals))
}

/// US dollars: cents where there are dollars, three figures where there are none.
#[must_use]
pub fn money(dollars: f64) -> String {
    let decimals = match dollars {
        0.0 => return "$0".to_owned(),
        dollars if dollars >= 1_000.0 => 0,
        dollars if dollars >= 0.1 => 2,
        dollars if dollars >= 0.01 => 3,
        dollars if dollars >= 0.001 => 4,
        dollars if dollars >= 0.000_01 => 5,
        _ => return format!("<{THIN}$0.00001"),
    };
    format!("${}", grouped(&format!("{dollars:.decimals$}")))
}

/// Milliseconds: `840 ms`, `1.2 s`, `75 s`.
#[must_use]
pub fn latency(milliseconds: f64) -> String {
    match milliseconds {
        time if time < 1.0 => format!("<{THIN}1{THIN}ms"),
        time if time < 999.5 => format!("{time:.0}{THIN}ms"),
        time if time < 9_950.0 => format!("{:.1}{THIN}s", time / 1_000.0),
        time => format!("{}{THIN}s", grouped(&format!("{:.0}", time / 1_000.0))),
    }
}

/// As [`latency`], from whole milliseconds.
#[must_use]
pub fn milliseconds(time: i64) -> String {
    // 32 bits hold 24 days: nothing that answers takes longer.
    latency(i32::try_from(time).map_or(f64::from(i32::MAX), f64::from))
}

/// A whole number with its thousands apart: `1,204`.
#[must_use]
pub fn count(number: i64) -> String {
    grouped(&number.to_string())
}

/// `1 model`, `2 models`: a count with its noun, whose plural ends in s.
#[must_use]
pub fn counted(number: i64, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", count(number))
}

/// A value as `show` shows it, or [`UNKNOWN`].
#[must_use]
pub fn known<T>(value: Option<T>, show: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), show)
}

/// Bytes in units of a thousand: `840 B`, `1.2 MB`.
#[must_use]
pub fn bytes(size: i64) -> String {
    let steps = [(1_000_000_000_000, "TB"), (1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    match steps.iter().find(|(step, _)| size >= *step) {
        Some((step, unit)) => format!("{}.{}{THIN}{unit}", count(size / step), size % step * 10 / step),
        None => format!("{}{THIN}B", count(size)),
    }
}

/// A limit as it was set: `20 GiB` where it is a whole number of such units, else as [`bytes()`].
#[must_use]
pub fn limit(size: i64) -> String {
    let steps = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match steps.iter().find(|(step, _)| size >= *step && size % step == 0) {
        Some((step, unit)) => format!("{}{THIN}{unit}", count(size / step)),
        None => bytes(size),
    }
}

/// How long it took from one moment to another, in the two largest units: `4 min 12 s`.
#[must_use]
pub fn span(from: Millis, to: Millis) -> String {
    let seconds = to.0.saturating_sub(from.0).max(0) / 1_000;
    match seconds {
        ..60 => format!("{seconds}{THIN}s"),
        60..3_600 => format!("{}{THIN}min {}{THIN}s", seconds / 60, seconds % 60),
        _ => format!("{}{THIN}h {}{THIN}min", count(seconds / 3_600), seconds / 60 % 60),
    }
}

/// The day of a moment in UTC, `2026-11-21`.
#[must_use]
pub fn day(at: Millis) -> String {
    at.to_rfc3339().chars().take_while(|letter| *letter != 'T').collect()
}

/// At most `longest` characters of `text`, the last of them an ellipsis when there was more.
#[must_use]
pub fn shortened(text: &str, longest: usize) -> String {
    if text.chars().nth(longest).is_none() {
        return text.to_owned();
    }
    text.chars().take(longest.saturating_sub(1)).chain(['…']).collect()
}

/// A comma before every third digit of the whole part.
fn grouped(number: &str) -> String {
    let (whole, rest) = number.find('.').map_or((number, ""), |point| number.split_at(point));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut text = sign.to_owned();
    for (left, digit) in (0..digits.len()).rev().zip(digits.chars()) {
        text.push(digit);
        if left > 0 && left % 3 == 0 {
            text.push(',');
        }
    }
    text + rest
}

/// `1–3`, or `2` where only one is left.
#[must_use]
pub fn ranks(range: Option<RankRange>, rank: i64) -> String {
    match range {
        Some(RankRange { low, high }) if low < high => format!("{low}–{high}"),
        _ => rank.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn half(points: f64) -> Option<Interval> {
        Some(Interval { low: 0.5 - points / 100.0, high: 0.5 + points / 100.0 })
    }

    #[test]
    fn a_score_has_no_more_digits_than_its_interval_supports() {
        for (half_width, expected) in
            [(13.0, 0), (3.0, 0), (2.9, 1), (1.3, 1), (0.3, 1), (0.29, 2), (0.02, 2)]
        {
            assert_eq!(decimals(half(half_width)), expected, "{half_width}");
        }
        assert_eq!((decimals(None), decimals(half(0.0))), (0, 0));
        assert_eq!(points(0.921_34, 1), "92.1");
        assert_eq!(range(Interval { low: -0.02, high: 1.01 }, 0), "0–100");
    }

    #[test]
    fn figures_of_one_column_take_the_same_room() {
        let lengths = [0, 1, 2].map(|decimals| aligned(0.921_34, decimals, 2).chars().count());
        assert_eq!(lengths, [5, 5, 5]);
        assert_eq!(aligned(0.92, 0, 0), "92");
    }

    #[test]
    fn money_shows_cents_or_what_is_below_them() {
        let table = [
            (0.0, "$0"),
            (12_345.6, "$12,346"),
            (4.1, "$4.10"),
            (0.1, "$0.10"),
            (0.0412, "$0.041"),
            (0.0041, "$0.0041"),
            (0.000_041, "$0.00004"),
            (0.000_000_1, "<\u{202f}$0.00001"),
        ];
        for (dollars, text) in table {
            assert_eq!(money(dollars), text);
        }
    }

    #[test]
    fn latency_has_two_figures_where_they_mean_something() {
        let table =
            [(0.0, "< 1 ms"), (840.4, "840 ms"), (999.7, "1.0 s"), (1_234.0, "1.2 s"), (75_400.0, "75 s")];
        for (milliseconds, text) in table {
            assert_eq!(latency(milliseconds).replace(THIN, " "), text);
        }
    }

    #[test]
    fn thousands_stand_apart() {
        let table =
            [(0, "0"), (999, "999"), (1_204, "1,204"), (-1_204, "-1,204"), (10_000_000, "10,000,000")];
        for (number, text) in table {
            assert_eq!(count(number), text);
        }
        assert_eq!((counted(1, "model"), counted(1_200, "eval")), ("1 model".into(), "1,200 evals".into()));
    }

    #[test]
    fn sizes_and_spans_are_in_the_unit_that_says_most() {
        let plain = |text: String| text.replace(THIN, " ");
        for (size, text) in [(20 << 30, "20 GiB"), (3 << 10, "3 KiB"), (1_000, "1.0 kB"), (7, "7 B")] {
            assert_eq!(limit(size).replace(THIN, " "), text);
        }
        for (size, text) in [(840, "840 B"), (1_250_000, "1.2 MB"), (20_000_000_000, "20.0 GB")] {
            assert_eq!(plain(bytes(size)), text);
        }
        for (milliseconds, text) in [(59_999, "59 s"), (252_000, "4 min 12 s"), (7_500_000, "2 h 5 min")] {
            assert_eq!(plain(span(Millis(0), Millis(milliseconds))), text);
        }
    }

    #[test]
    fn a_day_is_the_day_in_utc() {
        assert_eq!(day(Millis(1_795_000_000_000)), "2026-11-18");
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(shortened("Ägypten", 4), "Ägy…");
        assert_eq!(shortened("Ägypten", 7), "Ägypten");
    }
}
