//! The API's description of itself. A test holds it to the URL table.

use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{
    ClientCredentials, Flow, HttpAuthScheme, HttpBuilder, OAuth2, Scopes, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Content, OpenApi as Description, PathItem, Ref, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use super::meanings::Meanings;
use super::{
    artifacts, blob, cases, compare, evals, events, health, keys, leaderboard, ledger, me, models, oauth,
    rescores, results, runs, samples, schedules, status, training_sets,
};
use crate::http::headers::is_blob;
use crate::http::problem::{BlobErrorBody, ErrorBody};
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
        blob::put, blob::head, blob::cancel, blob::parts, blob::delete,
        leaderboard::get, leaderboard::badge, compare::get, ledger::list, me::get,
        keys::list, keys::create, keys::delete, oauth::token,
        status::health, status::readiness, status::status, document,
    ),
    components(schemas(ErrorBody, BlobErrorBody, blob::PutPart, blob::Begun, events::CaseEvent, events::Waiting)),
    modifiers(&Credentials, &Errors, &Meanings, &Names)
)]
pub struct Document;

/// The ways to prove who asks, a key or a token that was made for it, and what may be sent.
struct Credentials;

impl Modify for Credentials {
    fn modify(&self, document: &mut Description) {
        let key = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("blah_ and 36 letters and digits")
            .build();
        let scopes = Scopes::from_iter([("read", "Change nothing"), ("write", "All that the key may do")]);
        let token = OAuth2::new([Flow::ClientCredentials(ClientCredentials::new(oauth::TOKEN, scopes))]);
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("key", SecurityScheme::Http(key));
        components.add_security_scheme("token", SecurityScheme::OAuth2(token));
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("the client_token of an upload that was granted")
            .build();
        components.add_security_scheme("upload", SecurityScheme::Http(scheme));
        for (method, operation) in document.paths.paths.values_mut().flat_map(operations) {
            // Wherever a key is taken, a token is.
            let ways = operation.security.as_mut();
            if let Some(ways) =
                ways.filter(|ways| ways.contains(&SecurityRequirement::new::<_, _, &str>("key", [])))
            {
                let scope = if method == "get" { "read" } else { "write" };
                ways.push(SecurityRequirement::new("token", [scope]));
            }
        }
    }
}

/// Every operation may answer an error, and all errors look alike but those below the address of uploads.
struct Errors;

impl Modify for Errors {
    fn modify(&self, document: &mut Description) {
        let response = |schema| {
            let content = Content::new(Some(Ref::from_schema_name(schema)));
            ResponseBuilder::new().description("What went wrong").content("application/json", content).build()
        };
        for (path, item) in &mut document.paths.paths {
            let schema = if is_blob(path) { "UploadError" } else { "Error" };
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

/// The operations of one path with their methods.
fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let PathItem { get, put, post, patch, delete, .. } = item;
    let all = [("get", get), ("put", put), ("post", post), ("patch", patch), ("delete", delete)];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
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
