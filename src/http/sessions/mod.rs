//! Who is signed in, by the cookie of a browser. It counts on the pages of [`super::pages::settings`] alone: the API
//! never looks at it, and what it shows is never copied.
//!
//! The cookie is there before somebody signs in, too, as what the form to sign in is proven by; it proves nobody then.

pub(in crate::http) mod once;
pub mod posted;

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;

use actix_web::cookie::{Cookie, SameSite};
use actix_web::dev::Payload;
use actix_web::http::{StatusCode, header};
use actix_web::{FromRequest, HttpRequest, HttpResponse, ResponseError};
use url::Url;

pub use posted::{Posted, PostedFile};

use super::auth::Permission;
use super::error::ApiError;
use super::{Site, headers};
use crate::domain::id::SessionKey;
use crate::domain::time::Millis;
use crate::domain::tokens::Token;
use crate::domain::users::User;
use crate::error::{Error, Result};
use crate::store::{Store, sessions};

/// Where one signs in.
pub const LOGIN: &str = "/login";

/// How this site knows its own pages and cookies.
pub(super) struct Rules {
    /// The only origin that forms come from; none when the operator did not say how the outside reaches us.
    origin: Option<String>,
    is_secure: bool,
}

impl Rules {
    /// The rules of the site at `public_url`; `is_said` is whether the operator named it.
    pub(super) fn new(public_url: &Url, is_said: bool) -> Self {
        Self {
            origin: is_said.then(|| public_url.origin().ascii_serialization()),
            is_secure: public_url.scheme() == "https",
        }
    }

    /// Refuses a form that a page of another site sent.
    fn check_origin(&self, request: &HttpRequest) -> Result<()> {
        let of =
            |name| request.headers().get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
        let (origin, host) = (of(header::ORIGIN), of(header::HOST));
        let is_ours = match &self.origin {
            Some(ours) => origin == Some(ours),
            // What the browser was told to connect to is what the page came from.
            None => origin.and_then(|origin| origin.split_once("://")).map(|(_, host)| host) == host,
        };
        if is_ours && origin.is_some() {
            return Ok(());
        }
        let board = self.origin.as_ref().map_or(String::new(), |ours| format!(", which is at {ours}"));
        Err(Error::Forbidden(format!("this form was not sent by a page of this board{board}")))
    }

    /// A name with this prefix is kept by browsers for https and this very host alone.
    const fn cookie_name(&self) -> &'static str {
        if self.is_secure { "__Host-evalboard" } else { "evalboard" }
    }

    fn held(&self, request: &HttpRequest) -> Option<Token> {
        request.cookie(self.cookie_name()).and_then(|cookie| Token::parse(cookie.value()))
    }

    fn cookie<'c>(&self, value: &'c str) -> Cookie<'c> {
        Cookie::build(self.cookie_name(), value)
            .path("/")
            .http_only(true)
            .same_site(SameSite::Lax)
            .secure(self.is_secure)
            .finish()
    }

    /// Lets the browser hold `token` from now on.
    ///
    /// # Errors
    /// `Internal` when it makes no header.
    pub(super) fn give(&self, response: &mut HttpResponse, token: &Token) -> Result<()> {
        response.add_cookie(&self.cookie(token.expose())).map_err(Error::internal)
    }

    /// Takes away what the browser holds.
    ///
    /// # Errors
    /// `Internal` when it makes no header.
    pub(super) fn take(&self, response: &mut HttpResponse) -> Result<()> {
        let mut cookie = self.cookie("");
        cookie.make_removal();
        response.add_cookie(&cookie).map_err(Error::internal)
    }
}

/// Whoever looks at a page that is not for everybody's copy: maybe signed in, and maybe with a cookie.
pub struct Visitor {
    /// Who is signed in.
    pub user: Option<User>,
    /// What the forms of the page are proven by.
    pub token: Token,
    /// Whether the browser does not hold it yet.
    is_new: bool,
}

impl Visitor {
    async fn of(request: &HttpRequest) -> Result<Self> {
        let site = Site::of(request)?;
        let Some(token) = site.sessions.held(request) else {
            return Ok(Self { user: None, token: Token::generate(&mut rand::rng()), is_new: true });
        };
        let (hash, now) = (token.hash(), Millis::now());
        let session = site.app.store.read(move |tx| sessions::find(tx, hash, now)).await?;
        if let Some(session) = session.as_ref().filter(|session| session.is_use_due) {
            note_use(site.app.store.clone(), session.key, now);
        }
        Ok(Self { user: session.map(|session| session.user), token, is_new: false })
    }

    /// Gives the browser what the page's forms are proven by, unless it holds that.
    ///
    /// # Errors
    /// `Internal` when it makes no header.
    pub fn equip(&self, site: &Site, response: &mut HttpResponse) -> Result<()> {
        if self.is_new { site.sessions.give(response, &self.token) } else { Ok(()) }
    }
}

/// Notes the use of a session without making the request wait for it.
fn note_use(store: Store, key: SessionKey, now: Millis) {
    actix_web::rt::spawn(async move {
        if let Err(cause) = store.write(move |tx| sessions::note_use(tx, key, now)).await {
            tracing::warn!(error = ?cause, "the use of a session could not be noted");
        }
    });
}

type Extracting<T, E> = Pin<Box<dyn Future<Output = Result<T, E>>>>;

impl FromRequest for Visitor {
    type Error = ApiError;
    type Future = Extracting<Self, ApiError>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { Self::of(&request).await.map_err(ApiError) })
    }
}

/// Who is signed in, and has permission `P`. Everybody else is sent to sign in, or refused.
pub struct SignedIn<P> {
    /// The person.
    pub user: User,
    /// What his session is proven by.
    pub token: Token,
    permission: PhantomData<P>,
}

impl<P: Permission> FromRequest for SignedIn<P> {
    type Error = NotIn;
    type Future = Extracting<Self, NotIn>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let Visitor { user, token, .. } = Visitor::of(&request).await.map_err(ApiError)?;
            let Some(user) = user else { return Err(NotIn::Nobody(login_for(request.path()))) };
            P::check(&user).map_err(ApiError)?;
            Ok(Self { user, token, permission: PhantomData })
        })
    }
}

/// Where somebody signs in who then wants to be at `path`.
fn login_for(path: &str) -> String {
    match wanted(path) {
        Some(path) => format!("{LOGIN}?next={path}"),
        None => LOGIN.to_owned(),
    }
}

/// The page of the settings that is at `path`, if that may be one: nobody is ever led anywhere else.
#[must_use]
pub fn wanted(path: &str) -> Option<&str> {
    let is_name = |part: &str| part.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    let is_id =
        |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    let is_page = match path.strip_prefix("/settings/")?.split_once('/') {
        None => path.strip_prefix("/settings/").is_some_and(is_name),
        // The one kind of pages that are each about something.
        Some((about, id)) => about == "cases" && !id.is_empty() && is_id(id),
    };
    is_page.then_some(path)
}

/// Why somebody is not let in.
#[derive(Debug, thiserror::Error)]
pub enum NotIn {
    /// He is not signed in; where he can.
    #[error("sign in first")]
    Nobody(String),
    /// Something else.
    #[error(transparent)]
    Refused(#[from] ApiError),
}

impl ResponseError for NotIn {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Nobody(_) => StatusCode::SEE_OTHER,
            Self::Refused(error) => error.status_code(),
        }
    }

    fn error_response(&self) -> HttpResponse {
        match self {
            Self::Nobody(login) => headers::see_other(login),
            Self::Refused(error) => error.error_response(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_out_of_the_settings() {
        assert_eq!(login_for("/settings/people"), "/login?next=/settings/people");
        assert_eq!(login_for("/settings/cases/aB_1-z"), "/login?next=/settings/cases/aB_1-z");
        for path in [
            "/",
            "//evil.example",
            "/settings//evil",
            "/settings/x/y",
            "/settings/a?b",
            "/settings/\r\n",
            "/settings/cases/",
            "/settings/cases/a/b",
            "/settings/cases/a?b",
        ] {
            assert_eq!(login_for(path), "/login", "{path}");
        }
    }
}
