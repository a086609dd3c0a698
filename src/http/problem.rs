//! The body of an error: JSON for programs, a page for people. What went wrong inside is logged, not shown.

use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use actix_web::http::header::{self, HeaderValue};
use askama::Template;
use serde::Serialize;
use utoipa::ToSchema;

use super::cache::CachePolicy;
use super::error::{ApiError, Problem};
use super::frame::Asked;
use super::surfaces;
use crate::domain::redaction::redacted;
use crate::error::{Error, explain};

/// The pages that only whoever is signed in gets to.
const SETTINGS: &str = "/settings/";

/// What every error answers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Error)]
pub struct ErrorBody {
    /// What went wrong, for a person.
    #[schema(example = "name must be 1-100 characters")]
    pub error: String,
    /// What went wrong, for a program: stable and snake_case.
    #[schema(example = "invalid")]
    pub code: String,
    /// The field or parameter to blame.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "name")]
    pub field: Option<String>,
    /// Names this request in the server's log.
    pub request_id: String,
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    status: u16,
    heading: &'a str,
    message: &'a str,
    advice: &'a str,
    request_id: &'a str,
}

/// The same response with the body of an error; headers that it has already stay.
pub(super) fn render(asked: &Asked, response: HttpResponse) -> HttpResponse {
    let ours = response.error().and_then(|error| error.as_error::<ApiError>());
    if let Some(ApiError(Error::Internal(cause))) = ours {
        tracing::error!(request_id = %asked.id, error = %redacted(&explain(cause.as_ref())), "internal error");
    }
    let problem = ours.map_or_else(|| Problem::of_status(response.status()), Problem::of);
    let (content_type, body) = if asked.wants_page {
        ("text/html; charset=utf-8", page(asked, &problem))
    } else {
        let own = surfaces::at(&asked.path).and_then(|surface| surface.error.as_ref());
        let body = match own {
            Some(format) => (format.body)(problem, &asked.id),
            None => json(problem, &asked.id),
        };
        ("application/json", body)
    };
    let mut response = response.set_body(BoxBody::new(body));
    let map = response.headers_mut();
    map.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    map.insert(header::CACHE_CONTROL, CachePolicy::NoStore.value());
    response
}

fn json(problem: Problem, request_id: &str) -> String {
    let body = ErrorBody {
        error: problem.message,
        code: problem.code.to_owned(),
        field: problem.field,
        request_id: request_id.to_owned(),
    };
    serde_json::to_string(&body).unwrap_or_else(|_| r#"{"error":"internal error"}"#.to_owned())
}

fn page(asked: &Asked, problem: &Problem) -> String {
    let status = problem.status.as_u16();
    let (heading, advice) = match status {
        // Whoever is not signed in is led to the form for it from there.
        403 if asked.path.starts_with(SETTINGS) => (
            "You don't have access",
            "You are signed in. Ask an admin of this board to do it, or to make you one.",
        ),
        401 | 403 => ("You don't have access", "Sign in, or ask an admin of this board."),
        404 => ("Nothing here", "It may have been deleted, or the address has a slip in it."),
        429 => ("Too many requests", "Wait a moment, then try again."),
        500..=599 => {
            ("That did not work", "It is our fault. Try again; if it stays, tell whoever runs this board.")
        }
        _ => ("That cannot be answered", "Go back and change what the message names."),
    };
    let page = ErrorPage { status, heading, message: &problem.message, advice, request_id: &asked.id };
    page.render().unwrap_or_else(|_| problem.message.clone())
}
