//! The ways in and out: signing in, choosing a password by a link that works once, signing out.

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use super::{Wrong, meta, require_same, send};
use crate::config::{Endpoints, Submitters};
use crate::domain::passwords::FEWEST;
use crate::domain::sessions::Purpose;
use crate::domain::tokens::Token;
use crate::error::{Error, Result};
use crate::http::headers::see_other;
use crate::http::limits::Attempt;
use crate::http::pages::links;
use crate::http::pages::page::Meta;
use crate::http::query::Params;
use crate::http::sessions::posted::Nothing;
use crate::http::sessions::{LOGIN, wanted};
use crate::http::{Answered, ApiError, Posted, SignedIn, Site, Visitor, Write};
use crate::service::sessions::{self as service, Lane};
use crate::store::users;

#[derive(Template)]
#[template(path = "login.html", whitespace = "minimize")]
struct LoginPage {
    meta: Meta,
    proof: String,
    wrong: Option<Wrong>,
    email: String,
    next: String,
    /// Whether anybody could.
    is_open: bool,
    /// What else one may sign in with.
    provider: Option<String>,
}

/// Where somebody wants to go.
#[derive(Deserialize)]
pub(in super::super) struct Next {
    pub(super) next: Option<String>,
}

impl Next {
    /// Where he is led.
    pub(super) fn path(&self) -> &str {
        self.next.as_deref().and_then(wanted).unwrap_or(links::API_KEYS)
    }
}

/// The form to sign in.
#[derive(Deserialize)]
pub(in super::super) struct Login {
    email: String,
    password: String,
    next: Option<String>,
}

/// Answers `GET /login`.
pub(in super::super) async fn login(
    visitor: Visitor,
    Params(next): Params<Next>,
    site: Data<Site>,
) -> Answered {
    if visitor.user.is_some() {
        return Ok(see_other(next.path()));
    }
    login_page(&site, &visitor, String::new(), &next, None).await
}

/// Answers `POST /login`.
pub(in super::super) async fn enter(
    request: HttpRequest,
    visitor: Visitor,
    Posted(form): Posted<Login>,
    site: Data<Site>,
) -> Answered {
    let store = &site.app.store;
    let proof = site.sign_in_proof(&request, &form.email);
    let is_familiar = service::is_familiar(store, &form.email, proof).await?;
    let peer = site.client_address(request.peer_addr(), request.headers());
    let familiar = is_familiar.then_some(proof);
    site.limits.take_login(Attempt { email: &form.email, peer, familiar }).await?;
    let lane = if is_familiar { Lane::Known } else { Lane::Stranger };
    let next = Next { next: form.next };
    match service::sign_in(store, &form.email, &form.password, proof, lane).await {
        Ok(token) => {
            // One browser holds one session; what it held before is nobody's any more.
            service::sign_out(&site.app.store, &visitor.token).await?;
            go(&site, &token, next.path())
        }
        Err(error) => login_page(&site, &visitor, form.email, &next, Some(Wrong::of(error)?)).await,
    }
}

pub(super) async fn login_page(
    site: &Site,
    visitor: &Visitor,
    email: String,
    next: &Next,
    wrong: Option<Wrong>,
) -> Answered {
    let page = LoginPage {
        meta: meta(&site.public_url, LOGIN, "Sign in"),
        proof: visitor.token.form_proof(),
        wrong,
        email,
        next: next.path().to_owned(),
        is_open: site.app.store.read(users::can_anybody_sign_in).await?,
        provider: site.provider(),
    };
    let mut response = send(&page, page.wrong.as_ref())?;
    visitor.equip(site, &mut response)?;
    Ok(response)
}

/// Leads somebody on whose session has begun.
pub(super) fn go(site: &Site, token: &Token, path: &str) -> Answered {
    let mut response = see_other(path);
    site.sessions.give(&mut response, token)?;
    Ok(response)
}

/// Answers `POST /logout`.
pub(in super::super) async fn leave(me: SignedIn<Write>, _: Posted<Nothing>, site: Data<Site>) -> Answered {
    service::sign_out(&site.app.store, &me.token).await?;
    let mut response = see_other(links::BOARD);
    site.sessions.take(&mut response)?;
    Ok(response)
}

#[derive(Template)]
#[template(path = "setup.html", whitespace = "minimize")]
struct SetupPage {
    meta: Meta,
    proof: String,
    wrong: Option<Wrong>,
    /// None when the link does not work, or not any more.
    link: Option<Link>,
    fewest: usize,
    /// Whether everybody sees where models are called.
    shows_endpoints: bool,
    /// Whether submitters are shown by their addresses.
    shows_email: bool,
}

/// A link that works.
struct Link {
    token: String,
    /// Whose password it is; anybody's whose address is asked for when it is the first admin's.
    email: String,
    is_first: bool,
}

/// What a link carries.
#[derive(Deserialize)]
pub(in super::super) struct Carried {
    token: Option<String>,
}

/// The form that a link leads to.
#[derive(Deserialize)]
pub(in super::super) struct Chosen {
    token: String,
    email: String,
    password: String,
    again: String,
}

/// Answers `GET /setup`. Looking at a link does not use it up: what fetches links that are sent would do so.
pub(in super::super) async fn setup(
    visitor: Visitor,
    Params(carried): Params<Carried>,
    site: Data<Site>,
) -> Answered {
    let token = carried.token.as_deref().and_then(Token::parse);
    setup_page(&site, &visitor, token, None, None).await
}

/// Answers `POST /setup`.
pub(in super::super) async fn begin(
    visitor: Visitor,
    Posted(form): Posted<Chosen>,
    site: Data<Site>,
) -> Answered {
    let token = Token::parse(&form.token);
    let used = match (&token, require_same(&form.password, &form.again)) {
        (Some(token), Ok(())) => service::use_link(&site.app.store, token, &form.email, &form.password).await,
        (_, Err(error)) => Err(error),
        (None, _) => Err(Error::NotFound("link")),
    };
    match used {
        Ok(session) => go(&site, &session, links::API_KEYS),
        Err(Error::NotFound(_)) => setup_page(&site, &visitor, None, None, None).await,
        Err(error) => {
            let wrong = Wrong::of(error)?;
            setup_page(&site, &visitor, token, Some(form.email), Some(wrong)).await
        }
    }
}

async fn setup_page(
    site: &Site,
    visitor: &Visitor,
    token: Option<Token>,
    typed: Option<String>,
    wrong: Option<Wrong>,
) -> Answered {
    let link = match token {
        Some(token) => opened(site, &token, typed).await?,
        None => None,
    };
    let wrong = wrong.or_else(|| link.is_none().then(Wrong::no_link));
    let title = if link.as_ref().is_some_and(|link| link.is_first) {
        "Set up this board"
    } else {
        "Choose a password"
    };
    let page = SetupPage {
        meta: meta(&site.public_url, links::SETUP, title),
        proof: visitor.token.form_proof(),
        wrong,
        link,
        fewest: FEWEST,
        shows_endpoints: site.app.config.endpoints == Endpoints::Public,
        shows_email: site.app.config.submitters == Submitters::Email,
    };
    let mut response = send(&page, page.wrong.as_ref())?;
    visitor.equip(site, &mut response)?;
    Ok(response)
}

impl Wrong {
    fn no_link() -> Self {
        Self { status: actix_web::http::StatusCode::NOT_FOUND, message: String::new() }
    }
}

/// What a link leads to, with the address that was typed already.
async fn opened(site: &Site, token: &Token, typed: Option<String>) -> Result<Option<Link>, ApiError> {
    let (email, is_first) = match service::purpose(&site.app.store, token).await {
        Ok(Purpose::Setup) => (typed.unwrap_or_default(), true),
        Ok(Purpose::Password(user)) => (user.email, false),
        Err(Error::NotFound(_)) => return Ok(None),
        Err(other) => return Err(other.into()),
    };
    Ok(Some(Link { token: token.expose().to_owned(), email, is_first }))
}
