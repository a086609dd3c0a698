//! Making users, and making and revoking API keys. Looking a key up is the store's, since it happens on every request.

use super::once::{Answer, Once};
use crate::domain::api_keys::{ApiKey, Listed, Scope};
use crate::domain::id::ApiKeyId;
use crate::domain::text;
use crate::domain::time::Millis;
use crate::domain::users::{Role, User};
use crate::error::{Error, Result};
use crate::store::api_keys::NewKey;
use crate::store::{Store, Tx, api_keys, users};

/// Keys that one person may have.
const MOST: i64 = 100;

/// What somebody asks of a new key of his.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// What he calls it.
    pub name: String,
    /// What it may do.
    pub scope: Scope,
    /// When it ends; none when it does not.
    pub expires_at: Option<Millis>,
}

/// A new key, as it is shown once.
pub struct Made {
    /// Its text.
    pub key: ApiKey,
    /// The rest of it.
    pub listed: Listed,
}

/// Makes the user unless there is one with that address. A role above his own is given, none is taken away.
///
/// # Errors
/// `Invalid` naming `email`; the store's.
pub async fn ensure_user(store: &Store, email: &str, role: Role, now: Millis) -> Result<User> {
    let email = text::email(email, "email")?;
    store.write(move |tx| ensure(tx, &email, role, now)).await
}

/// Makes a key for the user with that address, who is made when absent; answers its text, this once.
///
/// # Errors
/// `Invalid` naming `email` or `name`; the store's.
pub async fn create(store: &Store, email: &str, role: Role, name: &str, now: Millis) -> Result<ApiKey> {
    let email = text::email(email, "email")?;
    let (key, new) = generate(&Draft { name: name.to_owned(), scope: Scope::Write, expires_at: None }, now)?;
    store
        .write(move |tx| {
            let user = ensure(tx, &email, role, now)?;
            api_keys::insert(tx, user.key, &new, now)
        })
        .await?;
    Ok(key)
}

/// As [`create`], in the place of the keys of that name that the user has: those are revoked.
///
/// # Errors
/// As [`create`].
pub async fn replace(store: &Store, email: &str, role: Role, name: &str, now: Millis) -> Result<ApiKey> {
    let email = text::email(email, "email")?;
    let (key, new) = generate(&Draft { name: name.to_owned(), scope: Scope::Write, expires_at: None }, now)?;
    store
        .write(move |tx| {
            let user = ensure(tx, &email, role, now)?;
            api_keys::revoke_named(tx, user.key, &new.name, now)?;
            api_keys::insert(tx, user.key, &new, now)
        })
        .await?;
    Ok(key)
}

/// Makes a key for `user`.
///
/// # Errors
/// `Invalid` naming `name` or `expires_at`; `Conflict` (`too_many_keys`).
pub async fn make(store: &Store, user: User, draft: &Draft) -> Result<Made> {
    let now = Millis::now();
    let (key, new) = generate(draft, now)?;
    let listed = store.write(move |tx| insert(tx, &user, &new, now)).await?;
    Ok(Made { key, listed })
}

/// As [`make`], once: `render` makes the answer, which is never stored.
///
/// # Errors
/// As [`make`]; `Conflict` (`already_done`) when it was made before.
pub async fn make_once(
    store: &Store,
    user: User,
    draft: &Draft,
    once: Once,
    render: fn(&Made) -> Result<Answer>,
) -> Result<Answer> {
    let now = Millis::now();
    let (key, new) = generate(draft, now)?;
    let command = move |tx: &mut Tx<'_>| {
        let made = |tx: &mut Tx<'_>| Ok(Made { key: key.clone(), listed: insert(tx, &user, &new, now)? });
        once.run_secret(tx, now, made, render)
    };
    store.write(command).await
}

/// Revokes a key: its owner's own, or an admin anybody's. It ends at once.
///
/// # Errors
/// `NotFound`; `Forbidden`.
pub async fn revoke(store: &Store, user: User, id: ApiKeyId) -> Result<()> {
    store
        .write(move |tx| {
            let listed = api_keys::get(tx, &id)?;
            user.require_owner(listed.owner, "API key")?;
            api_keys::revoke(tx, listed.key, Millis::now())
        })
        .await
}

fn insert(tx: &mut Tx<'_>, user: &User, new: &NewKey, now: Millis) -> Result<Listed> {
    if api_keys::count(tx, user.key)? >= MOST {
        let message = format!("nobody may have more than {MOST} keys: revoke one first");
        return Err(Error::Conflict { code: "too_many_keys", message });
    }
    let id = api_keys::insert(tx, user.key, new, now)?;
    api_keys::get(tx, &id)
}

/// A new key, and what is stored of it.
fn generate(draft: &Draft, now: Millis) -> Result<(ApiKey, NewKey)> {
    let name = text::name(&draft.name, "name")?;
    if draft.expires_at.is_some_and(|at| at <= now) {
        return Err(Error::invalid("expires_at", "expires_at must be in the future"));
    }
    let key = ApiKey::generate(&mut rand::rng());
    let (hash, hint) = (key.hash(), key.hint().to_owned());
    let new = NewKey { hash, hint, name, scope: draft.scope, expires_at: draft.expires_at };
    Ok((key, new))
}

/// As [`ensure_user`], with an address that was judged already.
pub(super) fn ensure(tx: &mut Tx<'_>, email: &str, role: Role, now: Millis) -> Result<User> {
    let Some(user) = users::find_by_email(tx, email)? else {
        return users::insert(tx, email, role, now);
    };
    if role == Role::Admin && !user.is_admin() {
        users::set_role(tx, &user, role)?;
        return Ok(User { role, ..user });
    }
    Ok(user)
}
