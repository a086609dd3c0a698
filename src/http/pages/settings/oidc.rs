//! Signing in with an OpenID Connect provider: the way there, and back. Whatever goes wrong on it is said on the page to
//! sign in.

use actix_web::http::{StatusCode, header};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

use super::Wrong;
use super::entrance::{Next, go, login_page};
use crate::domain::tokens::Token;
use crate::error::{Error, Result};
use crate::http::headers::see_other;
use crate::http::query::Params;
use crate::http::{Answered, ApiError, Site, Visitor};
use crate::service::oidc::Oidc;
use crate::service::sessions as service;

/// What the provider sends along.
#[derive(Deserialize)]
pub(in super::super) struct Back {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
}

fn provider(site: &Site) -> Result<&Oidc> {
    site.oidc.as_ref().ok_or(Error::NotFound("address"))
}

/// Answers `GET /login/oidc`.
pub(in super::super) async fn begin(
    request: HttpRequest,
    visitor: Visitor,
    Params(next): Params<Next>,
    site: Data<Site>,
) -> Answered {
    let oidc = provider(&site)?;
    if visitor.user.is_some() {
        return Ok(see_other(next.path()));
    }
    site.limits.take_provider_login(site.client_address(request.peer_addr(), request.headers()))?;
    match oidc.begin(&site.app.store, &visitor.token, next.path()).await {
        Ok(address) => {
            let mut response = HttpResponse::SeeOther().insert_header((header::LOCATION, address)).finish();
            visitor.equip(&site, &mut response)?;
            Ok(response)
        }
        Err(error) => login_page(&site, &visitor, String::new(), &next, Some(said(error)?)).await,
    }
}

/// Answers `GET /login/oidc/callback`.
pub(in super::super) async fn finish(
    visitor: Visitor,
    Params(back): Params<Back>,
    site: Data<Site>,
) -> Answered {
    let oidc = provider(&site)?;
    match session(oidc, &site, &visitor, &back).await {
        Ok((token, next)) => {
            // One browser holds one session; what it held before is nobody's any more.
            service::sign_out(&site.app.store, &visitor.token).await?;
            go(&site, &token, Next { next: Some(next) }.path())
        }
        Err(error) => {
            let next = Next { next: None };
            login_page(&site, &visitor, String::new(), &next, Some(said(error)?)).await
        }
    }
}

/// A session of whom the provider vouches for, and where he wants to be.
async fn session(oidc: &Oidc, site: &Site, visitor: &Visitor, back: &Back) -> Result<(Token, String)> {
    let store = &site.app.store;
    let missing = |name: &str| Error::bad_request(format!("{name} is missing: begin the sign-in again"));
    let state = back.state.as_deref().and_then(Token::parse).ok_or_else(|| missing("state"))?;
    // Whatever comes of it, it is used up.
    let next = oidc.take(store, &visitor.token, &state).await?;
    if back.error.is_some() {
        return Err(Error::Forbidden(format!("{} did not let you in", oidc.name())));
    }
    let code = back.code.as_deref().ok_or_else(|| missing("code"))?;
    let email = oidc.vouched(&state, code).await?;
    let token = service::begin(store, &email, oidc.may_join(&email)).await?;
    Ok((token, next))
}

/// What the page says; a provider that is down is no fault of ours.
fn said(error: Error) -> Result<Wrong, ApiError> {
    match error {
        Error::Unavailable(message) => Ok(Wrong { status: StatusCode::SERVICE_UNAVAILABLE, message }),
        other => Wrong::of(other),
    }
}
