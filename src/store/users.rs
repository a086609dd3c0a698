//! Users in the database. Whether somebody may do something is decided in the domain.

use super::{Row, Topic, Tx};
use crate::domain::id::{UserId, UserKey};
use crate::domain::time::Millis;
use crate::domain::users::{Handle, Person, Role, User};
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

/// What everybody knows a person by.
///
/// # Errors
/// `NotFound`.
pub fn shown_name(tx: &mut Tx<'_>, user: UserKey) -> Result<String> {
    tx.first("SELECT name FROM submitters WHERE id = ?1", values![user], |row| row.get("name"))?
        .ok_or(Error::NotFound("user"))
}

/// The admins.
///
/// # Errors
/// The database's.
pub fn admins(tx: &mut Tx<'_>) -> Result<Vec<UserKey>> {
    tx.rows("SELECT id FROM users WHERE role = 'admin' ORDER BY id", &[], |row| row.get("id"))
}

/// Numbers that are tried behind a handle that is taken.
const TRIES: usize = 100;

/// Adds a user; the address must be free. He gets a handle that is.
///
/// # Errors
/// The database's.
pub fn insert(tx: &mut Tx<'_>, email: &str, role: Role, now: Millis) -> Result<User> {
    let id = UserId::fresh();
    let handle = free_handle(tx, &Handle::derived(email), &id)?;
    tx.one(
        "INSERT INTO users (public_id, email, role, created_at, handle)
         VALUES (?1, ?2, ?3, ?4, ?5)
         RETURNING id AS user_key, public_id AS user_id, email, role",
        values![&id, email, role.as_str(), now, handle.as_str()],
        from_row,
    )
}

/// `wanted`, or what comes next to it when it is taken.
fn free_handle(tx: &mut Tx<'_>, wanted: &Handle, id: &UserId) -> Result<Handle> {
    if !is_taken(tx, wanted)? {
        return Ok(wanted.clone());
    }
    for number in 2..TRIES {
        let next = wanted.marked(&number.to_string());
        if !is_taken(tx, &next)? {
            return Ok(next);
        }
    }
    Ok(wanted.marked(id.as_str()))
}

fn is_taken(tx: &mut Tx<'_>, handle: &Handle) -> Result<bool> {
    tx.one(
        "SELECT EXISTS (SELECT 1 FROM users WHERE handle = ?1 COLLATE NOCASE) AS is_taken",
        values![handle.as_str()],
        |row| row.get("is_taken"),
    )
}

/// What a user is called in the place of his address.
///
/// # Errors
/// `NotFound`.
pub fn handle(tx: &mut Tx<'_>, user: UserKey) -> Result<String> {
    tx.first("SELECT COALESCE(handle, public_id) AS handle FROM users WHERE id = ?1", values![user], |row| {
        row.get("handle")
    })?
    .ok_or(Error::NotFound("person"))
}

/// Gives a user another handle; whatever names him is stale then.
///
/// # Errors
/// `Conflict` (`taken`) when somebody else has it, however it is written.
pub fn set_handle(tx: &mut Tx<'_>, user: UserKey, handle: &Handle) -> Result<()> {
    let changed = tx.execute(
        "UPDATE users SET handle = ?2
         WHERE id = ?1
           AND NOT EXISTS (SELECT 1 FROM users WHERE handle = ?2 COLLATE NOCASE AND id <> ?1)",
        values![user, handle.as_str()],
    )?;
    if changed == 0 {
        let message = format!("the handle {handle} is taken: choose another");
        return Err(Error::Conflict { code: "taken", message });
    }
    Topic::ALL.into_iter().for_each(|topic| tx.touch(topic));
    Ok(())
}

/// Says whether everybody sees people by their handles, or by their e-mail addresses.
///
/// # Errors
/// The database's.
pub fn name_by_handle(tx: &mut Tx<'_>, by_handle: bool) -> Result<()> {
    if tx.execute("UPDATE naming SET by_handle = ?1 WHERE by_handle <> ?1", values![by_handle])? > 0 {
        Topic::ALL.into_iter().for_each(|topic| tx.touch(topic));
    }
    Ok(())
}

/// Returns whether people are named by their handles.
///
/// # Errors
/// The database's.
pub fn is_named_by_handle(tx: &mut Tx<'_>) -> Result<bool> {
    tx.one("SELECT by_handle FROM naming", &[], |row| row.get("by_handle"))
}

/// Gives a user another role.
///
/// # Errors
/// The database's.
pub fn set_role(tx: &mut Tx<'_>, user: &User, role: Role) -> Result<()> {
    tx.execute("UPDATE users SET role = ?2 WHERE id = ?1", values![user.key, role.as_str()])?;
    // Whose keys open runs may use depends on it.
    tx.touch(Topic::Models);
    Ok(())
}

/// The user of that public id, and whether his account counts.
///
/// # Errors
/// `NotFound`.
pub fn find(tx: &mut Tx<'_>, id: &UserId) -> Result<(User, bool)> {
    tx.first(
        "SELECT users.id AS user_key, users.public_id AS user_id, users.email, users.role,
                users.disabled_at IS NULL AS is_enabled
         FROM users
         WHERE users.public_id = ?1",
        values![id],
        |row| Ok((from_row(row)?, row.get("is_enabled")?)),
    )?
    .ok_or(Error::NotFound("person"))
}

/// Everybody, those who came first at the top.
///
/// # Errors
/// The database's.
pub fn people(tx: &mut Tx<'_>, now: Millis) -> Result<Vec<Person>> {
    tx.rows(
        "SELECT users.id AS user_key, users.public_id AS user_id, users.email, users.role, users.created_at,
                users.disabled_at, users.password_hash IS NOT NULL AS has_password,
                EXISTS (SELECT 1 FROM one_time_links
                        WHERE one_time_links.user_id = users.id AND one_time_links.expires_at > ?1) AS is_invited,
                (SELECT COUNT(*) FROM api_keys
                 WHERE api_keys.user_id = users.id AND api_keys.revoked_at IS NULL
                   AND (api_keys.expires_at IS NULL OR api_keys.expires_at > ?1)) AS keys
         FROM users
         ORDER BY users.created_at, users.id",
        values![now],
        |row| {
            Ok(Person {
                user: from_row(row)?,
                has_password: row.get("has_password")?,
                is_invited: row.get("is_invited")?,
                keys: row.get("keys")?,
                created_at: row.get("created_at")?,
                disabled_at: row.get("disabled_at")?,
            })
        },
    )
}

/// Whether anybody can sign in.
///
/// # Errors
/// The database's.
pub fn can_anybody_sign_in(tx: &mut Tx<'_>) -> Result<bool> {
    tx.one(
        "SELECT EXISTS (SELECT 1 FROM users WHERE password_hash IS NOT NULL AND disabled_at IS NULL) AS anybody",
        values![],
        |row| row.get("anybody"),
    )
}

/// The hash of a user's password; none while he has none, or nothing of his counts.
///
/// # Errors
/// The database's.
pub fn password_hash(tx: &mut Tx<'_>, user: &User) -> Result<Option<String>> {
    let hash = tx.first(
        "SELECT password_hash FROM users WHERE id = ?1 AND disabled_at IS NULL",
        values![user.key],
        |row| row.get::<Option<String>>("password_hash"),
    )?;
    Ok(hash.flatten())
}

/// What proves the address that the account of `email` was last signed in from; none when there is no such account, or
/// it never was.
///
/// # Errors
/// The database's.
pub fn sign_in_proof(tx: &mut Tx<'_>, email: &str) -> Result<Option<[u8; 32]>> {
    let proof = tx.first("SELECT sign_in_proof FROM users WHERE email = ?1", values![email], |row| {
        row.get::<Option<Vec<u8>>>("sign_in_proof")
    })?;
    Ok(proof.flatten().and_then(|proof| proof.try_into().ok()))
}

/// Notes what proves the address that a user signs in from.
///
/// # Errors
/// The database's.
pub fn set_sign_in_proof(tx: &mut Tx<'_>, user: UserKey, proof: [u8; 32]) -> Result<()> {
    tx.execute("UPDATE users SET sign_in_proof = ?2 WHERE id = ?1", values![user, proof]).map(drop)
}

/// Gives a user another password, by its hash.
///
/// # Errors
/// The database's.
pub fn set_password_hash(tx: &mut Tx<'_>, user: UserKey, hash: &str) -> Result<()> {
    tx.execute("UPDATE users SET password_hash = ?2 WHERE id = ?1", values![user, hash]).map(drop)
}

/// Makes everything of a user count no more since that moment, or again.
///
/// # Errors
/// The database's.
pub fn set_disabled(tx: &mut Tx<'_>, user: UserKey, since: Option<Millis>) -> Result<()> {
    tx.execute("UPDATE users SET disabled_at = ?2 WHERE id = ?1", values![user, since]).map(drop)
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
