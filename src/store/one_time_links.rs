//! Links that work once. What they lead to is the domain's.

use super::{Tx, users};
use crate::domain::id::UserKey;
use crate::domain::sessions::{LINK, Purpose};
use crate::domain::time::Millis;
use crate::error::Result;
use crate::values;

/// How much later than its time a link may end, in milliseconds: the clock may have gone back since it was made.
const DAY: i64 = 24 * 60 * 60 * 1_000;

/// What the link with that hash leads to: nothing when it is unknown, used or over, or its person disabled.
///
/// # Errors
/// The database's.
pub fn find(tx: &mut Tx<'_>, hash: [u8; 32], now: Millis) -> Result<Option<Purpose>> {
    tx.first(
        "SELECT one_time_links.user_id IS NULL AS is_setup,
                users.id AS user_key, users.public_id AS user_id, users.email, users.role
         FROM one_time_links
         LEFT JOIN users ON users.id = one_time_links.user_id
         WHERE one_time_links.hash = ?1
           AND (one_time_links.expires_at IS NULL
                OR (one_time_links.expires_at > ?2 AND one_time_links.expires_at <= ?3))
           AND users.disabled_at IS NULL",
        values![hash, now, now.plus(LINK + DAY)],
        |row| match row.get("is_setup")? {
            true => Ok(Purpose::Setup),
            false => users::from_row(row).map(Purpose::Password),
        },
    )
}

/// Stores a link in the place of earlier ones for the same `user`; none is for the board's first admin.
///
/// # Errors
/// The database's.
pub fn replace(
    tx: &mut Tx<'_>,
    user: Option<UserKey>,
    hash: [u8; 32],
    expires_at: Option<Millis>,
    now: Millis,
) -> Result<()> {
    forget(tx, user)?;
    tx.execute(
        "INSERT INTO one_time_links (hash, user_id, created_at, expires_at) VALUES (?1, ?2, ?3, ?4)",
        values![hash, user, now, expires_at],
    )
    .map(drop)
}

/// Forgets the links for `user`; none is for the board's first admin.
///
/// # Errors
/// The database's.
pub fn forget(tx: &mut Tx<'_>, user: Option<UserKey>) -> Result<()> {
    tx.execute(
        "DELETE FROM one_time_links WHERE user_id = ?1 OR (?1 IS NULL AND user_id IS NULL)",
        values![user],
    )
    .map(drop)
}
