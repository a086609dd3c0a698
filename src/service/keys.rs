//! Making users and API keys. Looking a key up is the store's, since it happens on every request.

use crate::domain::api_keys::ApiKey;
use crate::domain::text;
use crate::domain::time::Millis;
use crate::domain::users::{Role, User};
use crate::error::Result;
use crate::store::api_keys::NewKey;
use crate::store::{Store, Tx, api_keys, users};

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
    let (key, new) = generate(name)?;
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
    let (key, new) = generate(name)?;
    store
        .write(move |tx| {
            let user = ensure(tx, &email, role, now)?;
            api_keys::revoke_named(tx, user.key, &new.name, now)?;
            api_keys::insert(tx, user.key, &new, now)
        })
        .await?;
    Ok(key)
}

/// A new key, and what is stored of it.
fn generate(name: &str) -> Result<(ApiKey, NewKey)> {
    let name = text::name(name, "name")?;
    let key = ApiKey::generate(&mut rand::rng());
    let new = NewKey { hash: key.hash(), hint: key.hint().to_owned(), name };
    Ok((key, new))
}

fn ensure(tx: &mut Tx<'_>, email: &str, role: Role, now: Millis) -> Result<User> {
    let Some(user) = users::find_by_email(tx, email)? else {
        return users::insert(tx, email, role, now);
    };
    if role == Role::Admin && !user.is_admin() {
        users::set_role(tx, &user, role)?;
        return Ok(User { role, ..user });
    }
    Ok(user)
}
