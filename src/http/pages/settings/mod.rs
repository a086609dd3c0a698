//! The pages of whoever is signed in, and those on the way there. They are made for one person, and nobody keeps them.
//!
//! Rules are the services': a page says what is there, and what was wrong with a form.

pub mod api_keys;
pub mod cases;
pub mod entrance;
pub mod handle;
#[cfg(feature = "oidc")]
pub mod oidc;
pub mod password;
pub mod people;
pub mod training_sets;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;

use super::links;
use super::page::Meta;
use crate::domain::tokens::Token;
use crate::error::{Error, Result};
use crate::http::frame::IsShown;
use crate::http::headers::see_other;
use crate::http::{Answered, ApiError, SignedIn, Write};

/// Who is signed in, for the head of his pages.
struct Me {
    email: String,
    is_admin: bool,
    /// What the forms of the page carry.
    proof: String,
}

impl Me {
    fn of<P>(signed_in: &SignedIn<P>) -> Self {
        Self {
            email: signed_in.user.email.clone(),
            is_admin: signed_in.user.is_admin(),
            proof: signed_in.token.form_proof(),
        }
    }

    /// The same with forms for another session.
    fn renewed(self, token: &Token) -> Self {
        Self { proof: token.form_proof(), ..self }
    }
}

/// What was wrong with a form, for the page that asks for it again.
struct Wrong {
    status: StatusCode,
    message: String,
}

impl Wrong {
    /// What the person can mend; anything else stays an error.
    fn of(error: Error) -> Result<Self, ApiError> {
        use actix_web::ResponseError;

        let is_his = matches!(error, Error::Invalid { .. } | Error::Conflict { .. } | Error::Forbidden(_));
        let error = ApiError(error);
        if !is_his {
            return Err(error);
        }
        Ok(Self { status: error.status_code(), message: error.to_string() })
    }
}

/// Answers with a page, which says itself what was `wrong`.
fn send(page: &impl Template, wrong: Option<&Wrong>) -> Result<HttpResponse, ApiError> {
    let body = page.render().map_err(Error::internal)?;
    let status = wrong.map_or(StatusCode::OK, |wrong| wrong.status);
    let mut response = HttpResponse::build(status).content_type("text/html; charset=utf-8").body(body);
    response.extensions_mut().insert(IsShown);
    Ok(response)
}

fn meta(public_url: &str, path: &str, title: &str) -> Meta {
    Meta::new(public_url, path, title, "For whoever is signed in to this board.")
}

/// Refuses a password that was not typed the same way twice.
fn require_same(password: &str, again: &str) -> Result<()> {
    if password == again {
        return Ok(());
    }
    Err(Error::invalid("again", "the two passwords are not the same"))
}

/// Answers `GET /settings`.
pub(super) async fn first(_: SignedIn<Write>) -> Answered {
    Ok(see_other(links::API_KEYS))
}
