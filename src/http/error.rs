//! Errors as HTTP: which status and which words each one means.
//!
//! The body is written by the frame, which knows the request's id and whether a person or a program asks.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, ResponseError};

use crate::error::Error;

/// The house's error on its way out through a handler.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct ApiError(#[from] pub Error);

/// What a handler answers.
pub type Answered = Result<HttpResponse, ApiError>;

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        match &self.0 {
            Error::Invalid { .. } => StatusCode::BAD_REQUEST,
            Error::Unauthorized => StatusCode::UNAUTHORIZED,
            Error::Forbidden(_) => StatusCode::FORBIDDEN,
            Error::NotFound(_) => StatusCode::NOT_FOUND,
            Error::Conflict { .. } => StatusCode::CONFLICT,
            Error::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Error::Unsupported(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Error::Limited(_) => StatusCode::TOO_MANY_REQUESTS,
            Error::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Error::Unavailable(_) | Error::ReadOnly(_) | Error::Damaged(_) => StatusCode::SERVICE_UNAVAILABLE,
            Error::Full => StatusCode::INSUFFICIENT_STORAGE,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::new(self.status_code());
        let headers = response.headers_mut();
        match &self.0 {
            Error::Unauthorized => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Error::Limited(wait) => {
                // A part of a second counts as a whole one, or the caller comes back too early.
                let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1);
                headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            Error::Unavailable(_) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}

/// An error in the words of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    /// Stable, snake_case.
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) field: Option<String>,
}

impl Problem {
    /// What the answer says of one of our errors.
    pub(super) fn of(error: &ApiError) -> Self {
        let field = match &error.0 {
            Error::Invalid { field, .. } => field.clone(),
            _ => None,
        };
        Self { status: error.status_code(), code: code(&error.0), message: error.to_string(), field }
    }

    /// What it says of an error that the framework made: the status is all there is to trust.
    pub(super) fn of_status(status: StatusCode) -> Self {
        let (code, message) = match status.as_u16() {
            401 => ("unauthorized", "a valid API key is required"),
            403 => ("forbidden", "that is not allowed"),
            404 => ("not_found", "there is nothing at this address"),
            405 => ("method_not_allowed", "this address does not take that method; see the Allow header"),
            408 => ("timeout", "the request came too slowly"),
            413 => ("too_large", "the request is too large"),
            415 => ("unsupported", "the content type is not one that is read here"),
            400..=499 => ("invalid", "the request cannot be read"),
            503 => ("unavailable", "busy: try again"),
            _ => ("internal", "internal error"),
        };
        Self { status, code, message: message.to_owned(), field: None }
    }
}

/// The stable name of an error.
const fn code(error: &Error) -> &'static str {
    match error {
        Error::NotFound(_) => "not_found",
        Error::Invalid { .. } => "invalid",
        Error::Conflict { code, .. } => code,
        Error::Unauthorized => "unauthorized",
        Error::Forbidden(_) => "forbidden",
        Error::TooLarge(_) => "too_large",
        Error::Unsupported(_) => "unsupported",
        Error::Limited(_) => "limited",
        Error::Unavailable(_) => "unavailable",
        Error::Full => "full",
        Error::ReadOnly(_) => "read_only",
        Error::Damaged(_) => "damaged",
        Error::Internal(_) => "internal",
    }
}
