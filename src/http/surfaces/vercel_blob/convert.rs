//! Conversions between the core's files and errors and those of Vercel Blob's API.

use super::wire::{ErrorBody, ErrorText, PutFile};
use crate::domain::uploads::{Upload, Uploaded};
use crate::error::{Error, Result};
use crate::http::error::Problem;
use crate::http::files::attachment;

impl PutFile {
    pub(super) fn of(uploaded: &Uploaded, public_url: &str) -> Self {
        let file = &uploaded.file;
        let url = file.url(public_url);
        Self {
            download_url: format!("{url}?download=1"),
            pathname: uploaded.pathname.clone(),
            content_type: file.content_type.clone(),
            content_disposition: attachment(&file.name),
            etag: file.etag().unwrap_or_default(),
            size: file.size.unwrap_or_default(),
            sha256: file.sha256().map(str::to_owned),
            url,
        }
    }
}

/// Refuses a path that is not the one the upload was granted for.
///
/// # Errors
/// `Forbidden`, with the text that the client recognises.
pub(super) fn require_path(upload: &Upload, pathname: &str) -> Result<()> {
    if upload.pathname == pathname {
        return Ok(());
    }
    let message =
        format!("\"pathname\" {pathname:?} does not match the token payload: it is for {}", upload.pathname);
    Err(Error::Forbidden(message))
}

/// Converts an error of the services on an upload to the texts by which the client tells errors apart.
pub(super) fn in_client_terms(upload: &Upload, content_type: Option<&str>, error: Error) -> Error {
    match error {
        // The services forbid nothing else to the holder of a token.
        Error::Forbidden(_) => Error::Forbidden("Token expired".to_owned()),
        Error::Unsupported(_) => {
            let (sent, allowed) = (content_type.unwrap_or_default(), &upload.content_type);
            Error::Unsupported(format!("contentType {sent:?} is not allowed: the token is for {allowed}"))
        }
        Error::TooLarge(_) => {
            Error::TooLarge(format!("the file length cannot be greater than {} bytes", upload.max_bytes))
        }
        other => other,
    }
}

/// Returns the body of an error, for the request of that id.
pub(super) fn error_body(problem: Problem, request_id: &str) -> String {
    let message = match problem.code {
        "unauthorized" => {
            "a valid upload token is required: send the client_token as 'Authorization: Bearer <token>'"
                .to_owned()
        }
        _ => problem.message,
    };
    let error = ErrorText { code: client_code(problem.code), message };
    let (code, field, request_id) = (problem.code, problem.field, request_id.to_owned());
    let body = ErrorBody { error, code, field, request_id };
    serde_json::to_string(&body)
        .unwrap_or_else(|_| r#"{"error":{"code":"internal_server_error"}}"#.to_owned())
}

/// The client's name for what went wrong. It tries `service_unavailable` and `internal_server_error` again, ten
/// times: they are for what may pass by itself.
fn client_code(code: &str) -> &'static str {
    match code {
        "unauthorized" | "forbidden" => "forbidden",
        "not_found" => "not_found",
        "limited" => "rate_limited",
        "unavailable" | "timeout" => "service_unavailable",
        "internal" => "internal_server_error",
        "too_large" => "file_too_large",
        "unsupported" => "content_type_not_allowed",
        _ => "bad_request",
    }
}
