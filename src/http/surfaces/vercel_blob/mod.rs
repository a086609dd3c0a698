//! The API of Vercel Blob: takes files that an upload was granted for, from its npm client or from `curl -T`.
//!
//! A token is for one file; API keys count for nothing here. Grants are made by the native API.

mod convert;
mod handlers;
mod token;
mod wire;

use actix_http::RequestHead;
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};

use super::{ErrorFormat, Surface, UploadProtocol};
use crate::http::auth::{self, Credential};
use crate::http::table::{Row, resource, resource_or_slash};

const BASE: &str = "/api/blob";

pub(super) static SURFACE: Surface = Surface {
    base: BASE,
    routes,
    credential,
    error: Some(ErrorFormat { schema: "UploadError", body: convert::error_body }),
    is_cross_origin: true,
    openapi,
    amend: None,
    uploads: Some(UploadProtocol { token: token::mint, path: BASE }),
};

fn routes() -> Vec<Row> {
    vec![
        resource_or_slash("").put(handlers::put).get(handlers::head).delete(handlers::cancel),
        resource("/mpu").post(handlers::parts),
        resource("/delete").post(handlers::delete),
    ]
}

/// Returns the bearer token. A key or token of ours is not refused as unknown, but gives no access to an upload.
fn credential(head: &RequestHead) -> Credential<'_> {
    auth::bearer(head)
}

#[derive(OpenApi)]
#[openapi(
    paths(handlers::put, handlers::head, handlers::cancel, handlers::parts, handlers::delete),
    components(schemas(wire::ErrorBody, wire::PutPart, wire::Begun))
)]
struct Part;

fn openapi() -> utoipa::openapi::OpenApi {
    let mut part = Part::openapi();
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("the client_token of an upload that was granted")
        .build();
    let components = part.components.get_or_insert_default();
    components.add_security_scheme("upload", SecurityScheme::Http(scheme));
    part
}
