//! OAuth 2.0 (RFC 6749, 4.4): `POST /oauth2/token` gives a token in the place of a key. Its errors have that
//! standard's form, since its clients know no other.

mod convert;
mod handlers;
mod wire;

use actix_http::RequestHead;
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{
    ClientCredentials, Flow, OAuth2, Scopes, SecurityRequirement, SecurityScheme,
};

use super::Surface;
use crate::http::auth::{self, Credential};
use crate::http::operations::operations;
use crate::http::table::{Row, resource};

const TOKEN: &str = "/oauth2/token";

pub(super) static SURFACE: Surface = Surface {
    base: "/oauth2",
    routes,
    credential,
    // The handler writes errors in the standard's terms; what the middleware refuses has the native form.
    error: None,
    is_cross_origin: false,
    openapi: Part::openapi,
    amend: Some(accept_tokens),
    uploads: None,
};

fn routes() -> Vec<Row> {
    // Making a token stores nothing, and the client authenticates otherwise than by a key of its scope.
    vec![resource("/token").post(handlers::token).reading()]
}

/// Returns a bearer token if there is one. The client's own credential, by HTTP Basic or in the form, is verified by the
/// handler.
fn credential(head: &RequestHead) -> Credential<'_> {
    auth::bearer(head)
}

#[derive(OpenApi)]
#[openapi(paths(handlers::token))]
struct Part;

/// Adds the scheme of tokens, and tokens to each operation that takes a key.
fn accept_tokens(document: &mut Document) {
    let scopes = Scopes::from_iter([("read", "Change nothing"), ("write", "All that the key may do")]);
    let token = OAuth2::new([Flow::ClientCredentials(ClientCredentials::new(TOKEN, scopes))]);
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("token", SecurityScheme::OAuth2(token));
    let key = SecurityRequirement::new::<_, _, &str>("key", []);
    for (method, operation) in document.paths.paths.values_mut().flat_map(operations) {
        if let Some(ways) = operation.security.as_mut().filter(|ways| ways.contains(&key)) {
            let scope = if method == "get" { "read" } else { "write" };
            ways.push(SecurityRequirement::new("token", [scope]));
        }
    }
}
