//! Who asks, and whether he may: the caller by his key or a token in its place, and permissions that handlers name in their
//! signature. Sessions of browsers are [`super::sessions`]: they count on pages that are never copied, and never here.
//!
//! The frame looks the key up before any handler runs; the extractors here only judge what it found, so
//! that a missing permission is answered before anything else is said about the request.

use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::ops::Deref;

use actix_http::RequestHead;
use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderName};
use actix_web::{FromRequest, HttpMessage, HttpRequest};

use super::error::ApiError;
use super::surfaces;
use crate::domain::access_tokens::{Access, bucket};
use crate::domain::api_keys::{ApiKey, Scope};
use crate::domain::id::ApiKeyKey;
use crate::domain::time::Millis;
use crate::domain::users::{Caller, User};
use crate::error::{Error, Result};
use crate::service::access_tokens::AccessTokens;
use crate::store::{Store, api_keys};

/// The other header that may carry a key or a token.
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// What the credentials of a request came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Identity {
    /// Nobody in particular, or a user by a key that counts.
    Known(Caller),
    /// A credential that does not count.
    Refused,
}

/// The credential that a request presents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Presented {
    Nothing,
    /// By its hash.
    Key([u8; 32]),
    /// A token of ours, in its time.
    Token(Access),
    Garbage,
}

impl Presented {
    /// The bucket that writes with it are taken from; none when the address has to pay.
    pub(super) fn bucket(&self) -> Option<[u8; 32]> {
        match self {
            Self::Nothing | Self::Garbage => None,
            Self::Key(hash) => Some(bucket(hash)),
            Self::Token(access) => Some(access.bucket),
        }
    }
}

/// The credential of a request as it was sent, before it is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Credential<'r> {
    /// None: the request is anonymous.
    Absent,
    /// A key or token, wherever it was.
    Text(&'r str),
    /// Something else, which its surface verifies itself: it identifies no user before that.
    Other,
}

/// Returns the credential of a request from where the API that it asks expects it.
fn credential(head: &RequestHead) -> Credential<'_> {
    match surfaces::at(head.uri.path()) {
        Some(surface) => (surface.credential)(head),
        None => native(head),
    }
}

/// Returns the credential in the headers of the native API.
fn native(head: &RequestHead) -> Credential<'_> {
    match (bearer(head), head.headers.get(X_API_KEY)) {
        (Credential::Absent, Some(key)) => Credential::Text(key.to_str().unwrap_or_default().trim()),
        (bearer, _) => bearer,
    }
}

/// Returns the credential in the header `Authorization`.
pub(super) fn bearer(head: &RequestHead) -> Credential<'_> {
    let Some(value) = head.headers.get(header::AUTHORIZATION) else { return Credential::Absent };
    match value.to_str().unwrap_or_default().split_once(' ') {
        Some((scheme, text)) if scheme.eq_ignore_ascii_case("bearer") => Credential::Text(text.trim()),
        _ => Credential::Other,
    }
}

/// Returns `true` when the identity of a request is known to be nobody's without a lookup: where its API expects a
/// credential there is none.
pub(super) fn is_anonymous(head: &RequestHead) -> bool {
    credential(head) == Credential::Absent
}

/// Reads the credential of a request; nothing is looked up.
pub(super) fn presented(head: &RequestHead, tokens: &AccessTokens) -> Presented {
    let text = match credential(head) {
        Credential::Absent => return Presented::Nothing,
        Credential::Other => return Presented::Garbage,
        Credential::Text(text) => text,
    };
    match ApiKey::parse(text) {
        Some(key) => Presented::Key(key.hash()),
        None => tokens.read(text).map_or(Presented::Garbage, Presented::Token),
    }
}

/// Finds out whose the credential is. That a key is unknown is never remembered: it may be made the next
/// moment. A token counts for as long as its key does, which is asked anew each time.
///
/// # Errors
/// `Forbidden` when a key or token that may only read is to do anything else; the store's.
pub(super) async fn identify(store: &Store, presented: Presented, needed: Scope) -> Result<Identity> {
    let now = Millis::now();
    let (holder, at_most) = match presented {
        Presented::Nothing => return Ok(Identity::Known(Caller::Anonymous)),
        Presented::Garbage => return Ok(Identity::Refused),
        Presented::Key(hash) => {
            (store.read(move |tx| api_keys::find_holder(tx, hash, now)).await?, Scope::Write)
        }
        Presented::Token(Access { key, user, scope, .. }) => {
            (store.read(move |tx| api_keys::find_holder_by_id(tx, &key, &user, now)).await?, scope)
        }
    };
    let Some(holder) = holder else { return Ok(Identity::Refused) };
    if holder.is_use_due {
        note_use(store.clone(), holder.key, now);
    }
    if needed == Scope::Write && [holder.scope, at_most].contains(&Scope::Read) {
        return Err(Error::Forbidden(
            "this key or token may only read: use one whose scope is write".to_owned(),
        ));
    }
    Ok(Identity::Known(Caller::User(holder.user)))
}

/// Notes the use of a key without making the request wait for it.
fn note_use(store: Store, key: ApiKeyKey, now: Millis) {
    actix_web::rt::spawn(async move {
        if let Err(cause) = store.write(move |tx| api_keys::note_use(tx, key, now)).await {
            tracing::warn!(error = ?cause, "the use of a key could not be noted");
        }
    });
}

/// Who makes the request.
///
/// # Errors
/// `Unauthorized` when a credential was presented that does not count.
pub(super) fn caller(request: &HttpRequest) -> Result<Caller> {
    match request.extensions().get::<Identity>() {
        Some(Identity::Known(caller)) => Ok(caller.clone()),
        Some(Identity::Refused) => Err(Error::Unauthorized),
        None => Err(Error::internal("the frame did not identify the caller")),
    }
}

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(caller(request).map_err(ApiError))
    }
}

/// What a user must be allowed to do.
pub trait Permission: 'static {
    /// Refuses who may not.
    ///
    /// # Errors
    /// `Forbidden`.
    fn check(user: &User) -> Result<()>;
}

/// May read what is his own: everybody with a key.
pub struct Known;

/// May change things: everybody with a key. (One that may only read is refused before, whatever it is to change.)
pub struct Write;

/// May do everything.
pub struct Admin;

impl Permission for Known {
    fn check(_: &User) -> Result<()> {
        Ok(())
    }
}

impl Permission for Write {
    fn check(_: &User) -> Result<()> {
        Ok(())
    }
}

impl Permission for Admin {
    fn check(user: &User) -> Result<()> {
        if user.is_admin() { Ok(()) } else { Err(Error::Forbidden("only an admin may do that".to_owned())) }
    }
}

/// The user who makes the request, and who has permission `P`. Put it first among a handler's arguments.
pub struct Require<P>(User, PhantomData<P>);

impl<P> Require<P> {
    /// The user himself.
    #[must_use]
    pub fn into_user(self) -> User {
        self.0
    }
}

impl<P> Deref for Require<P> {
    type Target = User;

    fn deref(&self) -> &User {
        &self.0
    }
}

impl<P: Permission> FromRequest for Require<P> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let permitted = caller(request).and_then(|caller| match caller {
            Caller::Anonymous => Err(Error::Unauthorized),
            Caller::User(user) => P::check(&user).map(|()| Self(user, PhantomData)),
        });
        ready(permitted.map_err(ApiError))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn anonymous(path: &str, headers: &[(&str, &str)]) -> bool {
        let request = headers
            .iter()
            .fold(TestRequest::with_uri(path), |request, header| request.insert_header(*header));
        is_anonymous(request.to_http_request().head())
    }

    #[test]
    fn request_with_any_credential_is_not_anonymous() {
        for path in ["/", "/api/v1/models", "/api/blob", "/api/blob/mpu", "/oauth2/token"] {
            assert!(anonymous(path, &[]), "{path}");
            for value in ["Bearer key", "bearer", "Basic YTpi", "Digest x", "", "\u{e9}"] {
                assert!(!anonymous(path, &[("authorization", value)]), "{path}: {value}");
            }
        }
        assert!(!anonymous("/api/v1/models", &[("x-api-key", "")]));
    }

    #[test]
    fn surface_is_asked_only_below_its_own_path() {
        // It reads no such header, while the native API does.
        assert!(anonymous("/api/blob", &[("x-api-key", "key")]));
        assert!(!anonymous("/api/blobs", &[("x-api-key", "key")]));
    }
}
