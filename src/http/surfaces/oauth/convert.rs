//! Conversions between requests and errors of OAuth 2.0 and those of the core.

use std::borrow::Cow;

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderValue};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use url::form_urlencoded;

use super::wire::TokenRequest;
use crate::domain::api_keys::Scope;
use crate::error::{Error, Result};
use crate::service::access_tokens::Refusal;

/// Why no token is answered: what the standard has a word for, and what is an error as everywhere.
pub(super) enum Refused {
    Standard(&'static str, String),
    Other(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            Refusal::Client => Self::Standard("invalid_client", message),
            Refusal::Scope => Self::Standard("invalid_scope", message),
            Refusal::Other(error) => Self::Other(error),
        }
    }
}

pub(super) fn bad_request(message: impl Into<String>) -> Refused {
    Refused::Standard("invalid_request", message.into())
}

impl TokenRequest {
    /// Reads the fields of a form. Empty ones count as missing, unknown ones are ignored.
    pub(super) fn read(body: &[u8]) -> Result<Self, Refused> {
        let mut form = Self::default();
        for (name, value) in form_urlencoded::parse(body) {
            let field = match name.as_ref() {
                "grant_type" => &mut form.grant_type,
                "client_id" => &mut form.client_id,
                "client_secret" => &mut form.client_secret,
                "scope" => &mut form.scope,
                _ => continue,
            };
            if field.is_some() {
                return Err(bad_request(format!("{name} is there twice")));
            }
            *field = Some(value.into_owned()).filter(|value| !value.is_empty());
        }
        Ok(form)
    }
}

/// Returns name and secret of the client: by the header or by the form, never by both.
pub(super) fn client<'a>(
    request: &HttpRequest,
    form: &'a TokenRequest,
) -> Result<(Cow<'a, str>, Cow<'a, str>), Refused> {
    let basic = request.headers().get(header::AUTHORIZATION).map(|value| basic(value).ok_or_else(unknown));
    match (basic, form.client_id.as_deref(), form.client_secret.as_deref()) {
        (Some(_), _, Some(_)) => {
            Err(bad_request("say who you are by HTTP Basic or by client_secret, not by both"))
        }
        (Some(basic), id, None) => {
            let (name, secret) = basic?;
            match id {
                Some(id) if id != name => Err(bad_request("client_id is not the one of HTTP Basic")),
                _ => Ok((name.into(), secret.into())),
            }
        }
        (None, Some(id), Some(secret)) => Ok((id.into(), secret.into())),
        (None, ..) => Err(unknown()),
    }
}

fn unknown() -> Refused {
    let message = "say who you are by HTTP Basic, or by client_id and client_secret: a key's id and the key";
    Refused::Standard("invalid_client", message.to_owned())
}

/// Name and secret of HTTP Basic, each of which is encoded as in a form.
fn basic(value: &HeaderValue) -> Option<(String, String)> {
    let (scheme, text) = value.to_str().ok()?.split_once(' ')?;
    let bytes = scheme.eq_ignore_ascii_case("basic").then(|| BASE64_STANDARD.decode(text.trim()).ok())??;
    let text = String::from_utf8(bytes).ok()?;
    let (name, secret) = text.split_once(':')?;
    Some((decoded(name), decoded(secret)))
}

/// The text that was encoded as in a form.
fn decoded(text: &str) -> String {
    let mut parts = form_urlencoded::parse(text.as_bytes());
    match (parts.next(), parts.next()) {
        (Some((name, value)), None) if value.is_empty() => name.into_owned(),
        // It is no single word: neither an id nor a key.
        _ => text.to_owned(),
    }
}

/// Returns the scope of a token: of several words, the widest.
pub(super) fn scope(words: &str) -> Result<Scope, Refused> {
    let words = words.split_ascii_whitespace().map(Scope::parse);
    let words: Result<Vec<Scope>> = words.collect();
    match words.unwrap_or_default().as_slice() {
        [] => Err(Refused::Standard("invalid_scope", "scope must be read or write".to_owned())),
        words if words.contains(&Scope::Write) => Ok(Scope::Write),
        _ => Ok(Scope::Read),
    }
}
