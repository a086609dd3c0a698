//! The first answers to requests that carried an Idempotency-Key, kept for a day. What a repeat means is
//! decided by the service.

use super::Tx;
use crate::domain::id::UserKey;
use crate::domain::time::Millis;
use crate::error::Result;
use crate::values;

/// How long an answer is kept, in milliseconds.
const KEPT: i64 = 24 * 60 * 60 * 1_000;
/// How many old answers one new one sweeps away: more than come in, and never a long transaction.
const SWEEP: i64 = 50;

/// An answer as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Digest of the request.
    pub fingerprint: Vec<u8>,
    /// HTTP status.
    pub status: u32,
    /// Where the created thing is.
    pub location: Option<String>,
    /// The body; none when it held a secret.
    pub body: Option<Vec<u8>>,
}

/// The answer that `user` got under `key` within the last day.
///
/// # Errors
/// The database's.
pub fn find(tx: &mut Tx<'_>, user: UserKey, key: &str, now: Millis) -> Result<Option<Stored>> {
    tx.first(
        "SELECT fingerprint, status, location, body
         FROM idempotent_answers
         WHERE user_id = ?1 AND key = ?2 AND created_at > ?3",
        values![user, key, now.plus(-KEPT)],
        |row| {
            Ok(Stored {
                fingerprint: row.get("fingerprint")?,
                status: row.get("status")?,
                location: row.get("location")?,
                body: row.get("body")?,
            })
        },
    )
}

/// Keeps an answer, in the place of one that is out of date.
///
/// # Errors
/// The database's.
pub fn keep(tx: &mut Tx<'_>, user: UserKey, key: &str, answer: &Stored, now: Millis) -> Result<()> {
    sweep(tx, now)?;
    tx.execute(
        "INSERT INTO idempotent_answers (user_id, key, fingerprint, status, location, body, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (user_id, key) DO UPDATE SET
             fingerprint = excluded.fingerprint,
             status = excluded.status,
             location = excluded.location,
             body = excluded.body,
             created_at = excluded.created_at",
        values![
            user,
            key,
            answer.fingerprint.as_slice(),
            answer.status,
            answer.location.clone(),
            answer.body.clone(),
            now
        ],
    )
    .map(drop)
}

/// Removes some of the answers that are out of date.
fn sweep(tx: &mut Tx<'_>, now: Millis) -> Result<()> {
    tx.execute(
        "DELETE FROM idempotent_answers
         WHERE (user_id, key) IN (
             SELECT user_id, key
             FROM idempotent_answers
             WHERE created_at <= ?1
             ORDER BY created_at, user_id, key
             LIMIT ?2
         )",
        values![now.plus(-KEPT), SWEEP],
    )
    .map(drop)
}
