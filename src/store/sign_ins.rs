//! Sign-ins with a provider that are under way, each of one browser, each good for one answer.

use super::Tx;
use crate::domain::sessions::SIGN_IN;
use crate::domain::time::Millis;
use crate::error::Result;
use crate::values;

/// Notes that the browser whose token has the hash `browser` went to the provider with the state of that `hash`, and
/// where its person wants to be after. Forgets those that took too long.
///
/// # Errors
/// The database's.
pub fn insert(tx: &mut Tx<'_>, hash: [u8; 32], browser: [u8; 32], next: &str, now: Millis) -> Result<()> {
    tx.execute(
        "DELETE FROM sign_ins WHERE created_at <= ?1 OR created_at > ?2",
        values![now.plus(-SIGN_IN), now.plus(SIGN_IN)],
    )?;
    tx.execute(
        "INSERT INTO sign_ins (hash, browser, next, created_at) VALUES (?1, ?2, ?3, ?4)",
        values![hash, browser, next, now],
    )
    .map(drop)
}

/// Ends a sign-in; answers where its person wants to be. None when there is none, any more or of that browser.
///
/// # Errors
/// The database's.
pub fn take(tx: &mut Tx<'_>, hash: [u8; 32], browser: [u8; 32], now: Millis) -> Result<Option<String>> {
    tx.first(
        "DELETE FROM sign_ins
         WHERE hash = ?1 AND browser = ?2 AND created_at > ?3 AND created_at <= ?4
         RETURNING next",
        values![hash, browser, now.plus(-SIGN_IN), now.plus(SIGN_IN)],
        |row| row.get("next"),
    )
}
