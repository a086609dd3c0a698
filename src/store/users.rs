//! Users in the database. Whether somebody may do something is decided in the domain.

use super::{Row, Tx};
use crate::domain::id::{UserId, UserKey};
use crate::domain::time::Millis;
use crate::domain::users::{Role, User};
use crate::error::{Error, Result};
use crate::values;

/// The user with that (lower-case) address, disabled ones included.
///
/// # Errors
/// The database's.
pub fn find_by_email(tx: &mut Tx<'_>, email: &str) -> Result<Option<User>> {
    tx.first(
        "SELECT users.id AS user_key, users.public_id AS user_id, users.email, users.role
         FROM users
         WHERE users.email = ?1",
        values![email],
        from_row,
    )
}

/// The user of that key, and whether his account counts.
///
/// # Errors
/// `NotFound`.
pub fn get(tx: &mut Tx<'_>, key: UserKey) -> Result<(User, bool)> {
    tx.first(
        "SELECT users.id AS user_key, users.public_id AS user_id, users.email, users.role,
                users.disabled_at IS NULL AS is_enabled
         FROM users
         WHERE users.id = ?1",
        values![key],
        |row| Ok((from_row(row)?, row.get("is_enabled")?)),
    )?
    .ok_or(Error::NotFound("user"))
}

/// Adds a user; the address must be free.
///
/// # Errors
/// The database's.
pub fn insert(tx: &mut Tx<'_>, email: &str, role: Role, now: Millis) -> Result<User> {
    let id = UserId::fresh();
    tx.one(
        "INSERT INTO users (public_id, email, role, created_at)
         VALUES (?1, ?2, ?3, ?4)
         RETURNING id AS user_key, public_id AS user_id, email, role",
        values![&id, email, role.as_str(), now],
        from_row,
    )
}

/// Gives a user another role.
///
/// # Errors
/// The database's.
pub fn set_role(tx: &mut Tx<'_>, user: &User, role: Role) -> Result<()> {
    tx.execute("UPDATE users SET role = ?2 WHERE id = ?1", values![user.key, role.as_str()]).map(drop)
}

/// Reads the columns `user_key`, `user_id`, `email` and `role`.
pub(super) fn from_row(row: &Row<'_>) -> Result<User> {
    Ok(User {
        key: row.get("user_key")?,
        id: row.get("user_id")?,
        email: row.get("email")?,
        role: Role::parse(&row.get::<String>("role")?)?,
    })
}
