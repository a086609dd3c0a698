//! Handler of OAuth 2.0's token endpoint.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{Data, Payload};
use actix_web::{HttpMessage, HttpRequest, HttpResponse};

use super::convert::{Refused, bad_request, client, scope};
use super::wire::{TokenAnswer, TokenError, TokenRequest};
use crate::http::cache::CachePolicy;
use crate::http::frame::IsShown;
use crate::http::sessions::posted::KIND;
use crate::http::{Answered, Site, json};
use crate::service::access_tokens::{Asked, Refusal};

/// Bytes of a form.
const LIMIT: usize = 16 * 1024;

/// Answers a token that stands in for a key of yours for ten minutes, and ends with it (OAuth 2.0, client credentials).
#[utoipa::path(post, path = "/oauth2/token", tag = "Keys", request_body(content = TokenRequest, content_type = "application/x-www-form-urlencoded", example = json!("grant_type=client_credentials&client_id=KEY_ID&client_secret=KEY")), responses((status = 200, description = "It was made", body = TokenAnswer), (status = 400, description = "It was asked for wrongly", body = TokenError), (status = 401, description = "There is no such key, or it does not count", body = TokenError)))]
pub(super) async fn token(request: HttpRequest, payload: Payload, site: Data<Site>) -> Answered {
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
