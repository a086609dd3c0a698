//! The API's description of itself. A test holds it to the URL table.

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Content, OpenApi as Description, Ref, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use super::meanings::Meanings;
use super::{
    artifacts, cases, compare, evals, events, health, keys, leaderboard, ledger, me, models, rescores,
    results, runs, samples, schedules, status, training_sets,
};
use crate::http::operations::operations;
use crate::http::problem::ErrorBody;
use crate::http::surfaces;
use crate::http::{Answered, Reads, View};

/// The whole document.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Evalboard",
        description = "A public evals leaderboard. Reads need no key; writes take one as a bearer token.",
    ),
    paths(
        models::list, models::create, models::get, models::patch, models::delete, models::results, models::check,
        evals::list, evals::create, evals::get, evals::patch, evals::delete, health::get, samples::list, samples::replace,
        runs::list, runs::trigger, runs::get, runs::cancel, runs::retry, rescores::rescore, runs::results,
        events::follow, schedules::list, schedules::create, schedules::get, schedules::patch, schedules::delete,
        results::get, cases::list, cases::get, cases::overrule, cases::reinstate,
        artifacts::list, artifacts::create, artifacts::request_upload, artifacts::get, artifacts::patch, artifacts::delete,
        training_sets::list, training_sets::create, training_sets::request_upload, training_sets::get,
        training_sets::delete,
        leaderboard::get, leaderboard::badge, compare::get, ledger::list, me::get,
        keys::list, keys::create, keys::delete,
        status::health, status::readiness, status::status, document,
    ),
    components(schemas(ErrorBody, events::CaseEvent, events::Waiting)),
    modifiers(&Credentials, &Surfaces, &Errors, &Meanings, &Names)
)]
pub struct Document;

/// The native API's way to authenticate.
struct Credentials;

impl Modify for Credentials {
    fn modify(&self, document: &mut Description) {
        let key = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("blah_ and 36 letters and digits")
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("key", SecurityScheme::Http(key));
    }
}

/// The operations of foreign APIs.
struct Surfaces;

impl Modify for Surfaces {
    fn modify(&self, document: &mut Description) {
        surfaces::describe(document);
    }
}

/// Every operation may answer an error, and all errors look alike but those of surfaces with a format of their own.
struct Errors;

impl Modify for Errors {
    fn modify(&self, document: &mut Description) {
        let response = |schema| {
            let content = Content::new(Some(Ref::from_schema_name(schema)));
            ResponseBuilder::new().description("What went wrong").content("application/json", content).build()
        };
        for (path, item) in &mut document.paths.paths {
            let own = surfaces::at(path).and_then(|surface| surface.error.as_ref());
            let schema = own.map_or("Error", |format| format.schema);
            for (_, operation) in operations(item) {
                operation.responses.responses.insert("default".to_owned(), response(schema).into());
            }
        }
    }
}

/// An operation is named by its method and path: handlers of different nouns share their names.
struct Names;

impl Modify for Names {
    fn modify(&self, document: &mut Description) {
        for (path, item) in &mut document.paths.paths {
            let place = path.trim_start_matches("/api/v1");
            let words = place.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
            let place = words.collect::<Vec<_>>().join("_");
            for (method, operation) in operations(item) {
                operation.operation_id = Some(format!("{method}_{place}"));
            }
        }
    }
}

/// This document.
#[utoipa::path(
    get,
    path = "/api/v1/openapi.json",
    tag = "Operations",
    responses((status = 200, description = "OpenAPI 3.1"))
)]
pub async fn document(reads: Reads) -> Answered {
    reads.answer_fixed(|| View::json(&Document::openapi())).await
}
