//! Who is here, what he is called, and what admins change about it: invitations, roles, and ending what somebody may.

use crate::config::Submitters;
use crate::domain::id::{UserId, UserKey};
use crate::domain::sessions::LINK;
use crate::domain::text;
use crate::domain::time::Millis;
use crate::domain::tokens::Token;
use crate::domain::users::{Handle, Role, User};
use crate::error::{Error, Result};
use crate::store::{Store, Tx, api_keys, one_time_links, sessions, users};

/// Makes everybody see people as the operator wishes, from this commit on. A server does it before its first answer.
///
/// # Errors
/// The store's.
pub async fn show_as(store: &Store, how: Submitters) -> Result<()> {
    store.write(move |tx| users::name_by_handle(tx, how == Submitters::Handle)).await
}

/// Refuses data that show people otherwise than is wished, where that cannot be changed.
///
/// # Errors
/// `Conflict`; the store's.
pub async fn require_shown_as(store: &Store, how: Submitters) -> Result<()> {
    match store.read(users::is_named_by_handle).await {
        Ok(by_handle) if by_handle != (how == Submitters::Handle) => {
            let message =
                "people are shown otherwise than EVALBOARD_SUBMITTERS says, which cannot be changed while \
                           nothing can be written: nothing is served"
                    .to_owned();
            Err(Error::Conflict { code: "submitters_unchanged", message })
        }
        // What cannot be read is not shown either.
        Ok(_) | Err(Error::Damaged(_)) => Ok(()),
        Err(cause) => Err(cause),
    }
}

/// Makes the person with that address, or finds him, and gives him that handle when one is named. Answers what he is
/// called.
///
/// # Errors
/// `Invalid` naming `email` or `handle`; `Conflict` (`taken`): then nobody was made.
pub async fn add(store: &Store, email: &str, role: Role, handle: Option<&str>) -> Result<(User, String)> {
    let email = text::email(email, "email")?;
    let handle = handle.map(Handle::parse).transpose()?;
    store
        .write(move |tx| {
            let user = super::keys::ensure(tx, &email, role, Millis::now())?;
            if let Some(handle) = &handle {
                users::set_handle(tx, user.key, handle)?;
            }
            let handle = users::handle(tx, user.key)?;
            Ok((user, handle))
        })
        .await
}

/// What everybody knows a person by.
///
/// # Errors
/// `NotFound`.
pub async fn shown_name(store: &Store, user: UserKey) -> Result<String> {
    store.read(move |tx| users::shown_name(tx, user)).await
}

/// Gives a person the handle that he chose.
///
/// # Errors
/// `Invalid` naming `handle`; `Conflict` (`taken`).
pub async fn set_handle(store: &Store, user: User, handle: &str) -> Result<Handle> {
    let handle = Handle::parse(handle)?;
    let chosen = handle.clone();
    store.write(move |tx| users::set_handle(tx, user.key, &chosen)).await?;
    Ok(handle)
}

/// A link for the board's first admin, when nobody can sign in; it works until it is used, and takes the place of an
/// earlier one.
///
/// # Errors
/// The store's.
pub async fn setup_link(store: &Store) -> Result<Option<Token>> {
    let token = Token::generate(&mut rand::rng());
    let hash = token.hash();
    let is_due = store
        .write(move |tx| {
            let is_due = !users::can_anybody_sign_in(tx)?;
            if is_due {
                one_time_links::replace(tx, None, hash, None, Millis::now())?;
            }
            Ok(is_due)
        })
        .await?;
    Ok(is_due.then_some(token))
}

/// A link by which the person with that address chooses a new password.
///
/// # Errors
/// `Invalid` naming `email`; `NotFound` when there is no such person; `Conflict` when he is disabled.
pub async fn link_for(store: &Store, email: &str) -> Result<Token> {
    let email = text::email(email, "email")?;
    let token = Token::generate(&mut rand::rng());
    let hash = token.hash();
    store
        .write(move |tx| {
            let user = users::find_by_email(tx, &email)?.ok_or(Error::NotFound("person"))?;
            let (user, is_enabled) = users::get(tx, user.key)?;
            link(tx, &user, is_enabled, hash)
        })
        .await?;
    Ok(token)
}

/// Invites the person with that address: he is made with that role, and chooses a password by the link that carries the
/// token.
///
/// # Errors
/// `Invalid` naming `email`; `Conflict` (`known_person`) when he is here already.
pub async fn invite(store: &Store, admin: User, email: &str, role: Role) -> Result<(User, Token)> {
    let email = text::email(email, "email")?;
    let token = Token::generate(&mut rand::rng());
    let hash = token.hash();
    let user = store
        .write(move |tx| {
            require_admin(tx, &admin)?;
            if users::find_by_email(tx, &email)?.is_some() {
                let message = format!("{email} is here already: the list below has a new link for everybody");
                return Err(Error::Conflict { code: "known_person", message });
            }
            let user = users::insert(tx, &email, role, Millis::now())?;
            link(tx, &user, true, hash)?;
            Ok(user)
        })
        .await?;
    Ok((user, token))
}

/// A new link for a person, by which he chooses a password.
///
/// # Errors
/// `NotFound`; `Conflict` when he is disabled.
pub async fn link_again(store: &Store, admin: User, id: UserId) -> Result<(User, Token)> {
    let token = Token::generate(&mut rand::rng());
    let hash = token.hash();
    let user = store
        .write(move |tx| {
            require_admin(tx, &admin)?;
            let (user, is_enabled) = users::find(tx, &id)?;
            link(tx, &user, is_enabled, hash)?;
            Ok(user)
        })
        .await?;
    Ok((user, token))
}

fn link(tx: &mut Tx<'_>, user: &User, is_enabled: bool, hash: [u8; 32]) -> Result<()> {
    if !is_enabled {
        let message = format!("{} is disabled: enable that person first", user.email);
        return Err(Error::Conflict { code: "disabled", message });
    }
    let now = Millis::now();
    one_time_links::replace(tx, Some(user.key), hash, Some(now.plus(LINK)), now)
}

/// Gives a person another role.
///
/// # Errors
/// `NotFound`; `Conflict` (`own_account`) when it is the admin himself.
pub async fn set_role(store: &Store, admin: User, id: UserId, role: Role) -> Result<()> {
    store
        .write(move |tx| {
            let (user, _) = other(tx, &admin, &id)?;
            users::set_role(tx, &user, role)
        })
        .await
}

/// Ends everything a person may: his sessions, links and keys, for good. What he made stays.
///
/// # Errors
/// As [`set_role`].
pub async fn disable(store: &Store, admin: User, id: UserId) -> Result<()> {
    store
        .write(move |tx| {
            let (user, is_enabled) = other(tx, &admin, &id)?;
            if !is_enabled {
                return Ok(());
            }
            let now = Millis::now();
            users::set_disabled(tx, user.key, Some(now))?;
            sessions::end_all(tx, user.key)?;
            one_time_links::forget(tx, Some(user.key))?;
            api_keys::revoke_all(tx, user.key, now)
        })
        .await
}

/// Lets a person sign in again, with the password that he had.
///
/// # Errors
/// As [`set_role`].
pub async fn enable(store: &Store, admin: User, id: UserId) -> Result<()> {
    store
        .write(move |tx| {
            let (user, _) = other(tx, &admin, &id)?;
            users::set_disabled(tx, user.key, None)
        })
        .await
}

/// Somebody else than the admin who asks: so there is always one left.
fn other(tx: &mut Tx<'_>, admin: &User, id: &UserId) -> Result<(User, bool)> {
    require_admin(tx, admin)?;
    let (user, is_enabled) = users::find(tx, id)?;
    if user.key == admin.key {
        let message = "that is your own account: ask another admin".to_owned();
        return Err(Error::Conflict { code: "own_account", message });
    }
    Ok((user, is_enabled))
}

/// He was one when he asked; another admin may have been quicker.
fn require_admin(tx: &mut Tx<'_>, admin: &User) -> Result<()> {
    let (user, is_enabled) = users::get(tx, admin.key)?;
    if user.is_admin() && is_enabled {
        return Ok(());
    }
    Err(Error::Forbidden("only an admin may do that".to_owned()))
}
