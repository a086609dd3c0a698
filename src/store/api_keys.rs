//! API keys in the database: only their hashes, never their text.

use super::{Row, Tx, users};
use crate::domain::api_keys::{Listed, Scope};
use crate::domain::id::{ApiKeyId, ApiKeyKey, UserId, UserKey};
use crate::domain::page::{Cursor, Page, Slice};
use crate::domain::time::Millis;
use crate::domain::users::User;
use crate::error::{Error, Result};
use crate::values;

/// How precisely the last use of a key is known, in milliseconds.
const USE_STEP: i64 = 60_000;

/// A key that counts, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Table key of the API key.
    pub key: ApiKeyKey,
    /// Its public id.
    pub id: ApiKeyId,
    /// Its owner.
    pub user: User,
    /// What it may do.
    pub scope: Scope,
    /// When it ends; none when it does not.
    pub expires_at: Option<Millis>,
    /// Whether its last use was noted long enough ago to be noted again.
    pub is_use_due: bool,
}

/// Who holds what key, of those that count at the moment `?1`; what was used before `?2` is to be noted anew.
const HOLDERS: &str =
    "SELECT api_keys.id AS api_key, api_keys.public_id, api_keys.scope, api_keys.expires_at,
                COALESCE(api_keys.last_used_at, 0) <= ?2 AS is_use_due,
                users.id AS user_key, users.public_id AS user_id, users.email, users.role
         FROM api_keys
         JOIN users ON users.id = api_keys.user_id
         WHERE api_keys.revoked_at IS NULL
           AND (api_keys.expires_at IS NULL OR api_keys.expires_at > ?1)
           AND users.disabled_at IS NULL";

fn holder(row: &Row<'_>) -> Result<Holder> {
    Ok(Holder {
        key: row.get("api_key")?,
        id: row.get("public_id")?,
        user: users::from_row(row)?,
        scope: scope(row)?,
        expires_at: row.get("expires_at")?,
        is_use_due: row.get("is_use_due")?,
    })
}

/// Who holds the key with that hash: none when it is unknown, revoked or expired, or its owner disabled.
///
/// # Errors
/// The database's.
pub fn find_holder(tx: &mut Tx<'_>, hash: [u8; 32], now: Millis) -> Result<Option<Holder>> {
    let sql = format!("{HOLDERS} AND api_keys.hash = ?3");
    tx.first(&sql, values![now, now.plus(-USE_STEP), hash], holder)
}

/// Who holds the key of that public id, if it is that user's: none as for [`find_holder`].
///
/// # Errors
/// The database's.
pub fn find_holder_by_id(
    tx: &mut Tx<'_>,
    key: &ApiKeyId,
    user: &UserId,
    now: Millis,
) -> Result<Option<Holder>> {
    let sql = format!("{HOLDERS} AND api_keys.public_id = ?3 AND users.public_id = ?4");
    tx.first(&sql, values![now, now.plus(-USE_STEP), key, user], holder)
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
    /// What it may do.
    pub scope: Scope,
    /// When it ends; none when it does not.
    pub expires_at: Option<Millis>,
}

const COLUMNS: &str =
    "api_keys.id AS api_key, api_keys.public_id, api_keys.user_id, api_keys.name, api_keys.hint,
    api_keys.scope, api_keys.created_at, api_keys.last_used_at, api_keys.expires_at";

fn listed(row: &Row<'_>) -> Result<Listed> {
    Ok(Listed {
        key: row.get("api_key")?,
        id: row.get("public_id")?,
        owner: row.get("user_id")?,
        name: row.get("name")?,
        hint: row.get("hint")?,
        scope: scope(row)?,
        created_at: row.get("created_at")?,
        last_used_at: row.get("last_used_at")?,
        expires_at: row.get("expires_at")?,
    })
}

fn scope(row: &Row<'_>) -> Result<Scope> {
    Scope::parse(&row.get::<String>("scope")?).map_err(Error::internal)
}

/// The keys of `user` that were not revoked, newest first; those that have expired are among them.
///
/// # Errors
/// The database's.
pub fn list(tx: &mut Tx<'_>, user: UserKey, page: Page) -> Result<Slice<Listed>> {
    let total = count(tx, user)?;
    let after = page.after;
    let rows = tx.page(
        &format!(
            "SELECT {COLUMNS}
             FROM api_keys
             WHERE api_keys.user_id = ?1
               AND api_keys.revoked_at IS NULL
               AND (?2 IS NULL OR (api_keys.created_at, api_keys.id) < (?2, ?3))
             ORDER BY api_keys.created_at DESC, api_keys.id DESC
             LIMIT ?4"
        ),
        values![user, after.map(|at| at.sort), after.map(|at| at.key), page.limit + 1],
        listed,
    )?;
    let position = |each: &Listed| Cursor { sort: each.created_at.0, key: each.key.0 };
    Ok(Slice::cut(rows, page, total, position))
}

/// How many keys of `user` were not revoked.
///
/// # Errors
/// The database's.
pub fn count(tx: &mut Tx<'_>, user: UserKey) -> Result<i64> {
    tx.one(
        "SELECT COUNT(*) AS total FROM api_keys WHERE user_id = ?1 AND revoked_at IS NULL",
        values![user],
        |row| row.get("total"),
    )
}

/// The key of that id, unless it was revoked.
///
/// # Errors
/// `NotFound`.
pub fn get(tx: &mut Tx<'_>, id: &ApiKeyId) -> Result<Listed> {
    tx.first(
        &format!(
            "SELECT {COLUMNS}
             FROM api_keys
             WHERE api_keys.public_id = ?1 AND api_keys.revoked_at IS NULL"
        ),
        values![id],
        listed,
    )?
    .ok_or(Error::NotFound("API key"))
}

/// Revokes a key.
///
/// # Errors
/// The database's.
pub fn revoke(tx: &mut Tx<'_>, key: ApiKeyKey, now: Millis) -> Result<()> {
    tx.execute("UPDATE api_keys SET revoked_at = ?2 WHERE id = ?1", values![key, now]).map(drop)
}

/// Revokes every key of `user`.
///
/// # Errors
/// The database's.
pub fn revoke_all(tx: &mut Tx<'_>, user: UserKey, now: Millis) -> Result<()> {
    tx.execute(
        "UPDATE api_keys SET revoked_at = ?2 WHERE user_id = ?1 AND revoked_at IS NULL",
        values![user, now],
    )
    .map(drop)
}

/// Stores a new key of `user`.
///
/// # Errors
/// The database's.
pub fn insert(tx: &mut Tx<'_>, user: UserKey, new: &NewKey, now: Millis) -> Result<ApiKeyId> {
    let id = ApiKeyId::fresh();
    tx.execute(
        "INSERT INTO api_keys (public_id, user_id, name, hash, hint, scope, created_at, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        values![&id, user, &new.name, new.hash, &new.hint, new.scope.as_str(), now, new.expires_at],
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
