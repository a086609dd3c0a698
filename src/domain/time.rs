//! Moments as the API and the tables write them. It reads no clock but in [`Millis::now`], which only
//! the outer layers call.

use jiff::Timestamp;

/// A moment: milliseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Millis(pub i64);

impl Millis {
    /// The present moment.
    #[must_use]
    pub fn now() -> Self {
        Self(Timestamp::now().as_millisecond())
    }

    /// This moment moved by `milliseconds`, saturating.
    #[must_use]
    pub const fn plus(self, milliseconds: i64) -> Self {
        Self(self.0.saturating_add(milliseconds))
    }

    /// `2026-11-21 14:02 UTC`, for people; a moment out of range is shown as its number.
    #[must_use]
    pub fn to_minute(self) -> String {
        Timestamp::from_millisecond(self.0)
            .map_or_else(|_| self.0.to_string(), |at| at.strftime("%Y-%m-%d %H:%M UTC").to_string())
    }

    /// `2026-11-21`, the day in UTC; a moment out of range is shown as its number.
    #[must_use]
    pub fn to_day(self) -> String {
        Timestamp::from_millisecond(self.0)
            .map_or_else(|_| self.0.to_string(), |at| at.strftime("%Y-%m-%d").to_string())
    }

    /// `14:02:10 UTC`, for people who watch; a moment out of range is shown as its number.
    #[must_use]
    pub fn to_second(self) -> String {
        Timestamp::from_millisecond(self.0)
            .map_or_else(|_| self.0.to_string(), |at| at.strftime("%H:%M:%S UTC").to_string())
    }

    /// RFC 3339, for `<time datetime>`.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        Timestamp::from_millisecond(self.0).map_or_else(|_| self.0.to_string(), |at| at.to_string())
    }
}
