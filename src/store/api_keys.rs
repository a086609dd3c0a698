//! API keys in the database: only their hashes, never their text.

use super::{Tx, users};
use crate::domain::id::{ApiKeyId, ApiKeyKey, UserKey};
use crate::domain::time::Millis;
use crate::domain::users::User;
use crate::error::Result;
use crate::values;

/// How precisely the last use of a key is known, in milliseconds.
const USE_STEP: i64 = 60_000;

/// A key that counts, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Table key of the API key.
    pub key: ApiKeyKey,
    /// Its owner.
    pub user: User,
    /// Whether its last use was noted long enough ago to be noted again.
    pub is_use_due: bool,
}

/// Who holds the key with that hash: none when it is unknown, revoked or expired, or its owner disabled.
///
/// # Errors
/// The database's.
pub fn find_holder(tx: &mut Tx<'_>, hash: [u8; 32], now: Millis) -> Result<Option<Holder>> {
    tx.first(
        "SELECT api_keys.id AS api_key,
                COALESCE(api_keys.last_used_at, 0) <= ?3 AS is_use_due,
                users.id AS user_key, users.public_id AS user_id, users.email, users.role
         FROM api_keys
         JOIN users ON users.id = api_keys.user_id
         WHERE api_keys.hash = ?1
           AND api_keys.revoked_at IS NULL
           AND (api_keys.expires_at IS NULL OR api_keys.expires_at > ?2)
           AND users.disabled_at IS NULL",
        values![hash, now, now.plus(-USE_STEP)],
        |row| {
            Ok(Holder {
                key: row.get("api_key")?,
                user: users::from_row(row)?,
                is_use_due: row.get("is_use_due")?,
            })
        },
    )
}

/// Notes that a key was used, at most once a minute.
///
/// # Errors
/// The database's.
pub fn note_use(tx: &mut Tx<'_>, key: ApiKeyKey, now: Millis) -> Result<()> {
    tx.execute(
        "UPDATE api_keys
         SET last_used_at = ?2
         WHERE id = ?1 AND COALESCE(last_used_at, 0) <= ?3",
        values![key, now, now.plus(-USE_STEP)],
    )
    .map(drop)
}

/// What is stored of a new key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// SHA-256 of its text.
    pub hash: [u8; 32],
    /// Its first characters.
    pub hint: String,
    /// What its owner calls it.
    pub name: String,
}

/// Stores a new key of `user`.
///
/// # Errors
/// The database's.
pub fn insert(tx: &mut Tx<'_>, user: UserKey, new: &NewKey, now: Millis) -> Result<ApiKeyId> {
    let id = ApiKeyId::fresh();
    tx.execute(
        "INSERT INTO api_keys (public_id, user_id, name, hash, hint, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        values![&id, user, &new.name, new.hash, &new.hint, now],
    )?;
    Ok(id)
}

/// Revokes every key of `user` with that name.
///
/// # Errors
/// The database's.
pub fn revoke_named(tx: &mut Tx<'_>, user: UserKey, name: &str, now: Millis) -> Result<()> {
    tx.execute(
        "UPDATE api_keys SET revoked_at = ?3 WHERE user_id = ?1 AND name = ?2 AND revoked_at IS NULL",
        values![user, name, now],
    )
    .map(drop)
}

/// Whether there is any key that was not revoked.
///
/// # Errors
/// The database's.
pub fn is_there_any(tx: &mut Tx<'_>) -> Result<bool> {
    tx.one("SELECT EXISTS (SELECT 1 FROM api_keys WHERE revoked_at IS NULL) AS any_key", values![], |row| {
        row.get("any_key")
    })
}
