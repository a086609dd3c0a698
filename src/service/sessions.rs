//! Signing in and out, and choosing passwords. Who may do what is the domain's, limits on trying are the surface's.

use super::passwords;
pub use super::passwords::Lane;
use crate::domain::passwords::Password;
use crate::domain::sessions::Purpose;
use crate::domain::text;
use crate::domain::time::Millis;
use crate::domain::tokens::Token;
use crate::domain::users::{Role, User};
use crate::error::{Error, Result};
use crate::store::{Store, Tx, one_time_links, sessions, users};

/// Whether the account of `email`, if there is one, was last signed in from where `proof` was made.
///
/// # Errors
/// The store's.
pub async fn is_familiar(store: &Store, email: &str, proof: [u8; 32]) -> Result<bool> {
    let Ok(email) = text::email(email, "email") else { return Ok(false) };
    store.read(move |tx| Ok(users::sign_in_proof(tx, &email)?.is_some_and(|last| last == proof))).await
}

/// Signs a person in, from where `from` was made; answers what their browser is to hold. Whether there is such a person is not to be learnt from the
/// answer, nor from how long it takes.
///
/// # Errors
/// `Forbidden` when there is no such person, they cannot sign in, or it is not their password; `Unavailable` when too
/// many try at once.
pub async fn sign_in(
    store: &Store,
    email: &str,
    password: &str,
    from: [u8; 32],
    lane: Lane,
) -> Result<Token> {
    let found = match text::email(email, "email") {
        Ok(email) => store.read(move |tx| with_password(tx, &email)).await?,
        Err(_) => None,
    };
    let (user, hash) = found.unzip();
    let is_right = passwords::is_right(Password::typed(password), hash.clone(), lane).await?;
    let (Some(user), Some(hash), true) = (user, hash, is_right) else { return Err(refused()) };
    let token = Token::generate(&mut rand::rng());
    let proof = token.hash();
    store
        .write(move |tx| {
            // He may have been disabled, or changed it, while it was hashed.
            if users::password_hash(tx, &user)?.as_ref() != Some(&hash) {
                return Err(refused());
            }
            users::set_sign_in_proof(tx, user.key, from)?;
            sessions::insert(tx, user.key, proof, Millis::now())
        })
        .await?;
    Ok(token)
}

fn with_password(tx: &mut Tx<'_>, email: &str) -> Result<Option<(User, String)>> {
    let Some(user) = users::find_by_email(tx, email)? else { return Ok(None) };
    Ok(users::password_hash(tx, &user)?.map(|hash| (user, hash)))
}

fn refused() -> Error {
    Error::Forbidden("that e-mail address and that password do not go together".to_owned())
}

/// Begins a session of the person with that address, which somebody else vouches for; he is made a member when he is
/// unknown and `may_join`. Answers what his browser is to hold.
///
/// # Errors
/// `Invalid` naming `email`; `Forbidden` when there is no such person, or he is disabled.
#[cfg(feature = "oidc")]
pub async fn begin(store: &Store, email: &str, may_join: bool) -> Result<Token> {
    let email = text::email(email, "email")?;
    let token = Token::generate(&mut rand::rng());
    let proof = token.hash();
    let nobody = |email: &str| {
        Error::Forbidden(format!(
            "{email} has no account here, or a disabled one: ask an admin of this board"
        ))
    };
    store
        .write(move |tx| {
            let now = Millis::now();
            let user = match users::find_by_email(tx, &email)? {
                Some(user) => user,
                None if may_join => users::insert(tx, &email, Role::Member, now)?,
                None => return Err(nobody(&email)),
            };
            if !users::get(tx, user.key)?.1 {
                return Err(nobody(&email));
            }
            sessions::insert(tx, user.key, proof, now)
        })
        .await?;
    Ok(token)
}

/// Ends the session that `token` proves.
///
/// # Errors
/// The store's.
pub async fn sign_out(store: &Store, token: &Token) -> Result<()> {
    let hash = token.hash();
    store.write(move |tx| sessions::end(tx, hash)).await
}

/// What a one-time link that carries `token` leads to.
///
/// # Errors
/// `NotFound` when it does not work, or not any more.
pub async fn purpose(store: &Store, token: &Token) -> Result<Purpose> {
    let hash = token.hash();
    store.read(move |tx| open(tx, hash, Millis::now())).await
}

/// The link for the first admin ends as soon as anybody can sign in.
fn open(tx: &mut Tx<'_>, hash: [u8; 32], now: Millis) -> Result<Purpose> {
    let purpose = one_time_links::find(tx, hash, now)?.ok_or(Error::NotFound("link"))?;
    if purpose == Purpose::Setup && users::can_anybody_sign_in(tx)? {
        return Err(Error::NotFound("link"));
    }
    Ok(purpose)
}

/// Uses a one-time link: gives its person the password `new`, ends his sessions and signs him in. The link for the
/// board's first admin is anybody's, who says his address with it.
///
/// # Errors
/// `NotFound` as [`purpose`]; `Invalid` naming `email` or `password`.
pub async fn use_link(store: &Store, link: &Token, email: &str, new: &str) -> Result<Token> {
    let email = match purpose(store, link).await? {
        Purpose::Setup => text::email(email, "email")?,
        Purpose::Password(user) => user.email,
    };
    let hash = passwords::hash(Password::chosen(new, &email)?).await?;
    let token = Token::generate(&mut rand::rng());
    let (proof, link) = (token.hash(), link.hash());
    store
        .write(move |tx| {
            let now = Millis::now();
            let user = match open(tx, link, now)? {
                Purpose::Setup => first_admin(tx, &email, now)?,
                Purpose::Password(user) => user,
            };
            one_time_links::forget(tx, None)?;
            renew(tx, &user, &hash, proof, now)
        })
        .await?;
    Ok(token)
}

/// The person with that address as an admin who counts, made when absent.
fn first_admin(tx: &mut Tx<'_>, email: &str, now: Millis) -> Result<User> {
    let user = super::keys::ensure(tx, email, Role::Admin, now)?;
    users::set_disabled(tx, user.key, None)?;
    Ok(user)
}

/// A new password for somebody: what was open by the old one ends, and one session begins.
fn renew(tx: &mut Tx<'_>, user: &User, hash: &str, session: [u8; 32], now: Millis) -> Result<()> {
    users::set_password_hash(tx, user.key, hash)?;
    one_time_links::forget(tx, Some(user.key))?;
    sessions::end_all(tx, user.key)?;
    sessions::insert(tx, user.key, session, now)
}

/// Changes a person's own password; answers what his browser is to hold from now on. His other sessions end.
///
/// # Errors
/// `Invalid` naming `current` when that is not it, or `password`.
pub async fn change_password(store: &Store, user: User, current: &str, new: &str) -> Result<Token> {
    let wrong = || Error::invalid("current", "that is not your present password");
    let asked = user.clone();
    let old = store.read(move |tx| users::password_hash(tx, &asked)).await?;
    if !passwords::is_right(Password::typed(current), old.clone(), Lane::Known).await? {
        return Err(wrong());
    }
    let hash = passwords::hash(Password::chosen(new, &user.email)?).await?;
    let token = Token::generate(&mut rand::rng());
    let proof = token.hash();
    store
        .write(move |tx| {
            if users::password_hash(tx, &user)? != old {
                return Err(wrong());
            }
            renew(tx, &user, &hash, proof, Millis::now())
        })
        .await?;
    Ok(token)
}
