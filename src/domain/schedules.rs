//! Schedules: runs that start by themselves, at the moments of a timetable.
//!
//! What a timetable is stands in `cron`; when one fires is the service's.

use super::id::{RunId, ScheduleId, ScheduleKey, UserKey};
use super::runs::Trigger;
use super::time::Millis;
use crate::error::{Error, Result};

/// Schedules that there may be at once: each is looked at when it is due, and shown on one page.
pub const MOST_SCHEDULES: i64 = 100;

/// A stored schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// Table key.
    pub key: ScheduleKey,
    /// Public id.
    pub id: ScheduleId,
    /// Whose runs it starts.
    pub owner: UserKey,
    /// His e-mail address.
    pub submitted_by: String,
    /// 1-100 characters; may repeat.
    pub name: String,
    /// When, as cron has it, in UTC.
    pub cron: String,
    /// What it runs.
    pub trigger: Trigger,
    /// When it fires next; none while it is paused.
    pub next_at: Option<Millis>,
    /// What came of the last time.
    pub last: Option<Firing>,
    /// The last run that it started.
    pub last_run: Option<RunId>,
    /// When it was made.
    pub created_at: Millis,
    /// When a person last changed it.
    pub updated_at: Millis,
}

/// What came of one time that a schedule was due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firing {
    /// When that was.
    pub at: Millis,
    /// Whether it started a run.
    pub outcome: Outcome,
    /// Why it did not, or what else there is to say of it.
    pub message: Option<String>,
}

/// Whether a run was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was.
    Started,
    /// It was not: the next time comes all the same.
    Skipped,
}

impl Outcome {
    /// The word in the tables and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Skipped => "skipped",
        }
    }

    /// The outcome of that word.
    ///
    /// # Errors
    /// `Internal`: only tables are read with this.
    pub fn parse(word: &str) -> Result<Self> {
        [Self::Started, Self::Skipped]
            .into_iter()
            .find(|outcome| outcome.as_str() == word)
            .ok_or_else(|| Error::internal(format!("unknown outcome {word}")))
    }
}
