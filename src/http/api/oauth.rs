//! `POST /oauth2/token`: a key for a token that stands in for it, in the words of OAuth 2.0 (RFC 6749, 4.4). Its errors
//! have that standard's shape, since its clients know no other.

use std::borrow::Cow;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{Data, Payload};
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use url::form_urlencoded;
use utoipa::ToSchema;

use crate::domain::api_keys::Scope;
use crate::error::{Error, Result};
use crate::http::cache::CachePolicy;
use crate::http::frame::IsShown;
use crate::http::sessions::posted::KIND;
use crate::http::{Answered, Site, json};
use crate::service::access_tokens::{Asked, Refusal};

/// Where tokens are made.
pub const TOKEN: &str = "/oauth2/token";
/// Bytes of a form.
const LIMIT: usize = 16 * 1024;

/// What is asked of [`TOKEN`]. The client may say who it is by HTTP Basic instead: then the form has neither
/// `client_id` nor `client_secret`.
#[derive(Default, ToSchema)]
pub struct TokenRequest {
    /// client_credentials; there is no other.
    #[schema(required, value_type = String)]
    grant_type: Option<String>,
    /// The id of a key of yours, as `GET /api/v1/keys` and the page Settings show it.
    #[schema(value_type = String)]
    client_id: Option<String>,
    /// The key itself.
    #[schema(value_type = String)]
    client_secret: Option<String>,
    /// read or write: never more than the key may, which is what a token may unless this is said.
    #[schema(value_type = String)]
    scope: Option<String>,
}

/// A token in the place of a key.
#[derive(Serialize, ToSchema)]
pub struct TokenAnswer {
    /// To be sent as `Authorization: Bearer <token>`, wherever a key may be.
    access_token: String,
    /// Bearer.
    token_type: &'static str,
    /// For how long it counts, in seconds. It ends sooner when its key does.
    expires_in: i64,
    /// read or write.
    scope: &'static str,
}

/// An error in the standard's words.
#[derive(Serialize, ToSchema)]
pub struct TokenError {
    /// invalid_client, invalid_request, invalid_scope or unsupported_grant_type.
    error: &'static str,
    /// What went wrong, for a person.
    error_description: String,
}

/// Why no token is answered: what the standard has a word for, and what is an error as everywhere.
enum Refused {
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

fn bad_request(message: impl Into<String>) -> Refused {
    Refused::Standard("invalid_request", message.into())
}

/// Answers a token that stands in for a key of yours for ten minutes, and ends with it (OAuth 2.0, client credentials).
#[utoipa::path(post, path = "/oauth2/token", tag = "Keys", request_body(content = TokenRequest, content_type = "application/x-www-form-urlencoded", example = json!("grant_type=client_credentials&client_id=KEY_ID&client_secret=KEY")), responses((status = 200, description = "It was made", body = TokenAnswer), (status = 400, description = "It was asked for wrongly", body = TokenError), (status = 401, description = "There is no such key, or it does not count", body = TokenError)))]
pub async fn token(request: HttpRequest, payload: Payload, site: Data<Site>) -> Answered {
    match grant(&request, payload, &site).await {
        Ok(answer) => Ok(sent(HttpResponse::Ok().json(answer))),
        Err(Refused::Standard(error, error_description)) => {
            let status =
                if error == "invalid_client" { StatusCode::UNAUTHORIZED } else { StatusCode::BAD_REQUEST };
            let mut response = HttpResponse::build(status).json(TokenError { error, error_description });
            if status == StatusCode::UNAUTHORIZED {
                let how = HeaderValue::from_static("Basic realm=\"evalboard\"");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, how);
            }
            response.extensions_mut().insert(IsShown);
            Ok(sent(response))
        }
        Err(Refused::Other(error)) => Err(error.into()),
    }
}

/// Nobody keeps it, however old.
fn sent(mut response: HttpResponse) -> HttpResponse {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, CachePolicy::NoStore.value());
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

async fn grant(request: &HttpRequest, payload: Payload, site: &Site) -> Result<TokenAnswer, Refused> {
    json::refuse_compressed(request)?;
    if !request.content_type().eq_ignore_ascii_case(KIND) {
        return Err(bad_request(format!("the body must be {KIND}")));
    }
    let body = json::collect(payload.into_inner(), LIMIT).await?;
    let form = TokenRequest::read(&body)?;
    let (client_id, client_secret) = client(request, &form)?;
    match form.grant_type.as_deref() {
        Some("client_credentials") => {}
        Some(_) => {
            let message = "grant_type must be client_credentials".to_owned();
            return Err(Refused::Standard("unsupported_grant_type", message));
        }
        None => return Err(bad_request("grant_type is required")),
    }
    let scope = form.scope.as_deref().map(scope).transpose()?;
    let asked = Asked { client_id: &client_id, client_secret: &client_secret, scope };
    let granted = match site.access_tokens.exchange(&site.app.store, &asked).await {
        // Nobody guesses a key, and who holds one is kept from a token by nobody.
        Err(Refusal::Client) => {
            site.limits.take_refused_token(site.client_address(request.peer_addr(), request.headers()))?;
            return Err(Refusal::Client.into());
        }
        outcome => outcome?,
    };
    Ok(TokenAnswer {
        access_token: granted.token,
        token_type: "Bearer",
        expires_in: granted.seconds,
        scope: granted.scope.as_str(),
    })
}

impl TokenRequest {
    /// What a form says. What is empty is not said; other fields mean nothing.
    fn read(body: &[u8]) -> Result<Self, Refused> {
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

/// Who asks: by the header or by the form, never by both.
fn client<'a>(
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

/// What a token is to do: of several words, the one that is more.
fn scope(words: &str) -> Result<Scope, Refused> {
    let words = words.split_ascii_whitespace().map(Scope::parse);
    let words: Result<Vec<Scope>> = words.collect();
    match words.unwrap_or_default().as_slice() {
        [] => Err(Refused::Standard("invalid_scope", "scope must be read or write".to_owned())),
        words if words.contains(&Scope::Write) => Ok(Scope::Write),
        _ => Ok(Scope::Read),
    }
}
