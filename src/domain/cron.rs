//! When something is to happen again and again: five fields of cron, or a nickname such as `@daily`, in UTC.
//!
//! Reading them and finding the next moment is a library's; what is said of a bad one stands here.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::time::Millis;
use crate::error::{Error, Result};

/// Longest expression, in characters.
const LONGEST: usize = 100;
/// What a good one looks like, for every refusal.
const EXAMPLE: &str = "a good one is \"0 3 * * *\" (every day at 03:00 UTC)";
/// The fields, in their order.
const FIELDS: [(&str, &str); 5] = [
    ("minute", "0-59"),
    ("hour", "0-23"),
    ("day of the month", "1-31, L for the last"),
    ("month", "1-12 or JAN-DEC"),
    ("day of the week", "0-7 or SUN-SAT"),
];
/// The nicknames.
const NICKNAMES: [&str; 7] =
    ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];

/// Moments that come again and again.
#[derive(Debug, Clone)]
pub struct Timetable {
    text: String,
    cron: Cron,
}

impl Timetable {
    /// Reads an expression.
    ///
    /// # Errors
    /// `Invalid` naming `field`, and which of the five fields is wrong.
    pub fn parse(text: &str, field: &str) -> Result<Self> {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let refuse = |why: String| Error::invalid(field, format!("{field} {why}; {EXAMPLE}"));
        if text.is_empty() || text.chars().nth(LONGEST).is_some() || !text.is_ascii() {
            return Err(refuse(format!("must be 1-{LONGEST} ASCII characters")));
        }
        if text.starts_with('@') && !NICKNAMES.iter().any(|known| text.eq_ignore_ascii_case(known)) {
            return Err(refuse(format!("has no {text}: there are {}", NICKNAMES.join(", "))));
        }
        let parts: Vec<&str> = text.split(' ').collect();
        if !text.starts_with('@') && parts.len() != FIELDS.len() {
            return Err(refuse(format!(
                "must have five fields (minute, hour, day of the month, month, day of the week) or be a nickname \
                 such as @daily, and has {}",
                parts.len()
            )));
        }
        match read(&text) {
            Some(cron) => Ok(Self { text, cron }),
            None => Err(refuse(blame(&parts))),
        }
    }

    /// The first moment behind `after`; none when none comes any more, such as 30 February.
    #[must_use]
    pub fn next_after(&self, after: Millis) -> Option<Millis> {
        let after = Timestamp::from_millisecond(after.0).ok()?.to_zoned(TimeZone::UTC);
        let next = self.cron.find_next_occurrence(&after, false).ok()?;
        Some(Millis(next.timestamp().as_millisecond()))
    }

    /// As it was written, with one space between its fields.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// A stored expression in words; one that this version cannot read, as it stands.
    #[must_use]
    pub fn in_words_of(text: &str) -> String {
        Self::parse(text, "cron").map_or_else(|_| text.to_owned(), |table| table.in_words())
    }

    /// In words: `Every day at 03:00 UTC`.
    #[must_use]
    pub fn in_words(&self) -> String {
        let words = self.cron.describe();
        let words = words.trim_end_matches('.');
        if let Some(often) = words.strip_prefix("At every ") {
            return format!("Every {often}");
        }
        let Some((time, days)) = words.strip_prefix("At ").and_then(|rest| rest.split_at_checked(5)) else {
            return words.to_owned();
        };
        match (is_time(time), days) {
            (true, "") => format!("Every day at {time} UTC"),
            (true, days) => format!("At {time} UTC{days}"),
            (false, _) => format!("{words}, UTC"),
        }
    }
}

/// `03:00`.
fn is_time(text: &str) -> bool {
    text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b':')
}

fn read(text: &str) -> Option<Cron> {
    let text = if text.eq_ignore_ascii_case("@midnight") { "@daily" } else { text };
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    parser.parse(text).ok()
}

/// Which field cannot be read: each is tried by itself, among others that say nothing.
fn blame(parts: &[&str]) -> String {
    let is_bad = |at: usize, part: &str| {
        let alone: Vec<&str> = (0..FIELDS.len()).map(|other| if other == at { part } else { "*" }).collect();
        read(&alone.join(" ")).is_none()
    };
    let bad = parts.iter().enumerate().find(|(at, part)| is_bad(*at, part));
    match bad.and_then(|(at, part)| Some((part, FIELDS.get(at)?))) {
        Some((part, (name, range))) => {
            format!(
                "has {part} as its {name}, which may be *, {range}, lists (1,2), ranges (1-5) and steps (*/2)"
            )
        }
        None => "cannot be read".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Millis {
        Millis(text.parse::<Timestamp>().unwrap().as_millisecond())
    }

    fn next(cron: &str, after: &str) -> Option<Millis> {
        Timetable::parse(cron, "cron").unwrap().next_after(at(after))
    }

    #[test]
    fn the_next_moment_is_behind_the_present_one() {
        for (cron, expected) in [
            ("* * * * *", "2026-11-22T03:01:00Z"),
            ("0 3 * * *", "2026-11-23T03:00:00Z"),
            ("  0   3 * *  * ", "2026-11-23T03:00:00Z"),
            ("*/15 * * * *", "2026-11-22T03:15:00Z"),
            ("@daily", "2026-11-23T00:00:00Z"),
            ("@Midnight", "2026-11-23T00:00:00Z"),
            ("@hourly", "2026-11-22T04:00:00Z"),
            ("0 9 * * mon-fri", "2026-11-23T09:00:00Z"),
            ("0 0 1 JAN *", "2027-01-01T00:00:00Z"),
            ("0 0 29 2 *", "2028-02-29T00:00:00Z"),
            ("0 0 L * *", "2026-11-30T00:00:00Z"),
            // Either of the two days counts, as cron has it.
            ("0 0 25 * FRI", "2026-11-25T00:00:00Z"),
        ] {
            assert_eq!(next(cron, "2026-11-22T03:00:00Z"), Some(at(expected)), "{cron}");
        }
        assert_eq!(next("0 0 30 2 *", "2026-11-22T03:00:00Z"), None);
        assert_eq!(next("0 0 31 4,6,9,11 *", "2026-11-22T03:00:00Z"), None);
    }

    #[test]
    fn a_bad_expression_is_refused_with_the_field_and_a_good_example() {
        for (cron, words) in [
            ("61 * * * *", "61 as its minute"),
            ("* 25 * * *", "25 as its hour"),
            ("* * 0 * *", "0 as its day of the month"),
            ("* * * FOO *", "FOO as its month"),
            ("* * * * 8", "8 as its day of the week"),
            ("*/0 * * * *", "*/0 as its minute"),
            ("5-1 * * * *", "5-1 as its minute"),
            ("* * * *", "and has 4"),
            ("0 0 3 * * *", "and has 6"),
            ("@reboot", "has no @reboot: there are @yearly"),
            ("@daily 3", "has no @daily 3"),
            ("0 3 * @daily *", "as its month"),
            ("", "1-100 ASCII"),
            ("0 3 * * Ä", "1-100 ASCII"),
            (&"1,".repeat(80), "1-100 ASCII"),
        ] {
            let refused = Timetable::parse(cron, "cron").unwrap_err().to_string();
            assert!(refused.contains(words) && refused.contains("\"0 3 * * *\""), "{cron}: {refused}");
        }
    }

    #[test]
    fn it_can_be_said_in_words() {
        for (cron, words) in [
            ("0 3 * * *", "Every day at 03:00 UTC"),
            ("@daily", "Every day at 00:00 UTC"),
            ("* * * * *", "Every minute"),
            ("*/15 * * * *", "Every 15 minutes"),
            ("@hourly", "At minute 0 past every hour, UTC"),
            ("0 9 * * MON", "At 09:00 UTC, on Monday"),
            ("30 4 1 * *", "At 04:30 UTC, on day 1"),
        ] {
            assert_eq!(Timetable::parse(cron, "cron").unwrap().in_words(), words, "{cron}");
        }
    }

    #[test]
    fn no_text_makes_it_panic() {
        use proptest::prelude::*;
        proptest!(|(text in "[0-9*/,#LW?+@A-Z -]{0,24}")| {
            if let Ok(table) = Timetable::parse(&text, "cron") {
                drop(table.in_words());
            }
        });
        proptest!(|(fields in proptest::collection::vec("[0-9*/,#LW?+-]{1,5}", 5))| {
            if let Ok(table) = Timetable::parse(&fields.join(" "), "cron") {
                drop(table.in_words());
            }
        });
    }
}
