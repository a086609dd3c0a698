//! The API's description of itself. A test holds it to the URL table.

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{cases, evals, leaderboard, models, results, runs, status};
use crate::http::problem::ErrorBody;
use crate::http::{Answered, Reads, View};

/// The whole document.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Evalboard",
        description = "A public evals leaderboard. Reads need no key; writes take one as a bearer token.",
    ),
    paths(
        models::list, models::create, models::get, models::patch, models::delete, models::results,
        evals::list, evals::create, evals::get, evals::patch, evals::delete, evals::samples, evals::put_samples,
        runs::list, runs::trigger, runs::get, runs::cancel, runs::results,
        results::get, cases::list, cases::get,
        leaderboard::get,
        status::health, status::readiness, status::status, document,
    ),
    components(schemas(ErrorBody)),
    modifiers(&BearerKey)
)]
pub struct Document;

/// The one way to prove who asks.
struct BearerKey;

impl Modify for BearerKey {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("blah_ and 36 letters and digits")
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("key", SecurityScheme::Http(scheme));
    }
}

/// This document.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "Operations", responses((status = 200, description = "OpenAPI 3.1")))]
pub async fn document(reads: Reads) -> Answered {
    reads.answer_fixed(|| View::json(&Document::openapi())).await
}
