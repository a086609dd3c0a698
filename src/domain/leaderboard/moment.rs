//! The moment that a past board is of, as it stands in an address.
//!
//! It reads no clock: callers say what time it is.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use crate::domain::time::Millis;
use crate::error::{Error, Result};

/// The moment that `text` names: milliseconds since 1970, a time such as `2026-11-28T12:00:00Z` (in UTC where it names
/// no offset), or a day such as `2026-11-28`, which means its end in UTC.
/// None for the day of `now`: the board of today is the board as it stands.
///
/// # Errors
/// `Invalid` naming `as_of` when it is neither, or not past by `now`.
pub fn read_moment(text: &str, now: Millis) -> Result<Option<Millis>> {
    let text = text.trim();
    if let Ok(moment) = text.parse::<i64>() {
        return past(Millis(moment), now).map(Some);
    }
    if let Some(moment) = time_of(text) {
        return past(moment, now).map(Some);
    }
    let day: Date = text.parse().map_err(|_| refused("it is neither of them"))?;
    let begin = begin_of(day)?;
    let end = Millis(begin_of(day.tomorrow().map_err(|_| refused("it is too far away"))?)?.0 - 1);
    past(begin, now)?;
    Ok((end < now).then_some(end))
}

/// The time of day that `text` names with its day. In an address a plus is a space.
fn time_of(text: &str) -> Option<Millis> {
    let is_time = text.contains(':');
    let text = text.replace(' ', if text.contains(['T', 't']) { "+" } else { "T" });
    let moment = text.parse::<Timestamp>().ok();
    let local = || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    let moment = moment.or_else(local).filter(|_| is_time)?;
    Some(Millis(moment.as_millisecond()))
}

/// The day that `moment` is in, as [`read_moment`] reads it.
#[must_use]
pub fn day_of(moment: Millis) -> String {
    moment.to_rfc3339().chars().take(10).collect()
}

fn past(moment: Millis, now: Millis) -> Result<Millis> {
    if moment > now { Err(refused("this one is to come")) } else { Ok(moment) }
}

fn begin_of(day: Date) -> Result<Millis> {
    let begin = day.to_zoned(TimeZone::UTC).map_err(|_| refused("it is too far away"))?;
    Ok(Millis(begin.timestamp().as_millisecond()))
}

fn refused(why: &str) -> Error {
    let message = "as_of must be a moment that is past: milliseconds since 1970, a time such as 2026-01-31T12:00:00Z, or a day such as 2026-01-31";
    Error::invalid("as_of", format!("{message}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-28, 12:00 UTC.
    const NOON: Millis = Millis(1_795_867_200_000);

    fn read(text: &str) -> Result<Option<Millis>> {
        read_moment(text, NOON)
    }

    #[test]
    fn a_day_means_its_end_and_today_means_now() {
        let end = read("2026-11-27").unwrap().unwrap();
        assert_eq!(end.to_rfc3339(), "2026-11-27T23:59:59.999Z");
        assert_eq!(day_of(end), "2026-11-27");
        assert_eq!(read(" 2026-11-28 ").unwrap(), None);
        assert_eq!(read("1000").unwrap(), Some(Millis(1_000)));
        assert_eq!(read(&NOON.0.to_string()).unwrap(), Some(NOON));
    }

    #[test]
    fn a_time_has_an_offset_or_is_in_utc() {
        for (text, moment) in [
            ("2026-11-27T23:00:00Z", "2026-11-27T23:00:00Z"),
            ("2026-11-27T23:00:00.5Z", "2026-11-27T23:00:00.5Z"),
            ("2026-11-27t23:00:00z", "2026-11-27T23:00:00Z"),
            ("2026-11-28T00:30:00+01:00", "2026-11-27T23:30:00Z"),
            ("2026-11-28T00:30:00 01:00", "2026-11-27T23:30:00Z"),
            ("2026-11-27T23:00:00", "2026-11-27T23:00:00Z"),
            ("2026-11-27T23:00", "2026-11-27T23:00:00Z"),
            ("2026-11-27 23:00", "2026-11-27T23:00:00Z"),
        ] {
            assert_eq!(read(text).unwrap().unwrap().to_rfc3339(), moment, "{text}");
        }
    }

    #[test]
    fn what_is_to_come_or_no_moment_is_refused() {
        for (text, words) in [
            ("2026-11-29", "to come"),
            (&(NOON.0 + 1).to_string(), "to come"),
            ("2026-11-28T12:00:01Z", "to come"),
            ("2026-11-28T25:00:00Z", "neither"),
            ("9999-12-31", "too far"),
            ("yesterday", "neither"),
            ("2026-02-30", "neither"),
            ("", "neither"),
            ("99999999999999999999", "neither"),
        ] {
            let refused = read(text).unwrap_err().to_string();
            assert!(refused.contains(words) && refused.starts_with("as_of must"), "{text}: {refused}");
        }
    }
}
