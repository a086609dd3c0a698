//! Who is signed in. How long that lasts is the domain's.

use super::{Tx, users};
use crate::domain::id::{SessionKey, UserKey};
use crate::domain::sessions::{IDLE, LONGEST, STEP, Session};
use crate::domain::time::Millis;
use crate::error::Result;
use crate::values;

/// The session with that hash: none when there is none, when it has ended, or when its person is disabled. One that is to
/// begin much later was made before the clock went back, and would last for as long as that again: it has ended, too.
///
/// # Errors
/// The database's.
pub fn find(tx: &mut Tx<'_>, hash: [u8; 32], now: Millis) -> Result<Option<Session>> {
    tx.first(
        "SELECT sessions.id AS session_key, sessions.seen_at <= ?4 AS is_use_due,
                users.id AS user_key, users.public_id AS user_id, users.email, users.role
         FROM sessions
         JOIN users ON users.id = sessions.user_id
         WHERE sessions.hash = ?1
           AND sessions.seen_at > ?2
           AND sessions.created_at > ?3
           AND sessions.created_at <= ?5
           AND users.disabled_at IS NULL",
        values![hash, now.plus(-IDLE), now.plus(-LONGEST), now.plus(-STEP), now.plus(IDLE)],
        |row| {
            Ok(Session {
                key: row.get("session_key")?,
                user: users::from_row(row)?,
                is_use_due: row.get("is_use_due")?,
            })
        },
    )
}

/// Begins a session of `user`, and forgets all that have ended.
///
/// # Errors
/// The database's.
pub fn insert(tx: &mut Tx<'_>, user: UserKey, hash: [u8; 32], now: Millis) -> Result<()> {
    tx.execute(
        "DELETE FROM sessions WHERE seen_at <= ?1 OR created_at <= ?2 OR created_at > ?3",
        values![now.plus(-IDLE), now.plus(-LONGEST), now.plus(IDLE)],
    )?;
    tx.execute(
        "INSERT INTO sessions (hash, user_id, created_at, seen_at) VALUES (?1, ?2, ?3, ?3)",
        values![hash, user, now],
    )
    .map(drop)
}

/// Notes that a session was used.
///
/// # Errors
/// The database's.
pub fn note_use(tx: &mut Tx<'_>, key: SessionKey, now: Millis) -> Result<()> {
    tx.execute("UPDATE sessions SET seen_at = ?2 WHERE id = ?1 AND seen_at < ?2", values![key, now]).map(drop)
}

/// Ends the session with that hash.
///
/// # Errors
/// The database's.
pub fn end(tx: &mut Tx<'_>, hash: [u8; 32]) -> Result<()> {
    tx.execute("DELETE FROM sessions WHERE hash = ?1", values![hash]).map(drop)
}

/// Ends every session of `user`.
///
/// # Errors
/// The database's.
pub fn end_all(tx: &mut Tx<'_>, user: UserKey) -> Result<()> {
    tx.execute("DELETE FROM sessions WHERE user_id = ?1", values![user]).map(drop)
}
