//! How long somebody stays signed in, and how long a link that he was given works.

use super::id::SessionKey;
use super::time::Millis;
use super::users::User;

const MINUTE: i64 = 60_000;

/// A session that nobody used for so long has ended, in milliseconds.
pub const IDLE: i64 = 30 * MINUTE;
/// However much it is used, it ends after so long, in milliseconds.
pub const LONGEST: i64 = 12 * 60 * MINUTE;
/// How long a link for a person works, in milliseconds.
pub const LINK: i64 = 7 * 24 * 60 * MINUTE;
/// How long signing in with a provider may take, in milliseconds.
pub const SIGN_IN: i64 = 10 * MINUTE;
/// How precisely the last use of a session is known, in milliseconds.
pub const STEP: i64 = MINUTE;

/// A session that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Table key.
    pub key: SessionKey,
    /// Who is signed in.
    pub user: User,
    /// Whether its last use was noted long enough ago to be noted again.
    pub is_use_due: bool,
}

/// What a one-time link leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// The board's first admin, whoever he is.
    Setup,
    /// A new password of that person.
    Password(User),
}

/// What stands for how long a link works, in words: `until 2026-11-28 15:00 UTC`.
#[must_use]
pub fn until(now: Millis) -> String {
    format!("until {}", now.plus(LINK).to_minute())
}
