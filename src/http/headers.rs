//! The headers that every answer of a kind carries. What an answer says of itself (its tag, how long it
//! may be kept) stands with the answer.

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::surfaces;

/// A header that never changes.
type Fixed = (HeaderName, HeaderValue);

/// Scripts, styles, images and connections of our own only; nothing may frame a page.
const CONTENT_SECURITY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                                connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// What a browser may read of an answer to another origin.
const EXPOSED: &str = "ETag, Link, Location, Retry-After, X-Request-Id, X-Total-Count, RateLimit-Limit, \
                       RateLimit-Remaining, RateLimit-Reset";

/// What it may read of a file.
const EXPOSED_OF_FILES: &str = "Accept-Ranges, Content-Disposition, Content-Range, ETag, X-Request-Id";

/// The request's id, on every answer that is not a shared copy.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// How many rows a list has.
pub const TOTAL_COUNT: HeaderName = HeaderName::from_static("x-total-count");

/// Whether answers at `path` are for programs: JSON errors, and open to every origin.
#[must_use]
pub fn is_api(path: &str) -> bool {
    path.strip_prefix("/api").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        || surfaces::at(path).is_some_and(|surface| surface.is_cross_origin)
}

/// Whether answers at `path` are files that people sent: open to every origin, and never of ours to a browser.
#[must_use]
pub fn is_file(path: &str) -> bool {
    path.starts_with("/files/")
}

/// What every answer at `path` carries, errors and 304 included.
#[must_use]
pub fn common(path: &str) -> Vec<Fixed> {
    let content_security = if is_file(path) { "sandbox" } else { CONTENT_SECURITY };
    let mut fixed = vec![
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(content_security)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("strict-origin-when-cross-origin")),
        (header::VARY, HeaderValue::from_static("Accept-Encoding, Authorization")),
    ];
    if is_api(path) || is_file(path) {
        let exposed = if is_file(path) { EXPOSED_OF_FILES } else { EXPOSED };
        fixed.push((header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")));
        fixed.push((header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(exposed)));
    }
    fixed
}

/// Sets what every answer at `path` carries.
pub fn set_common(headers: &mut HeaderMap, path: &str) {
    for (name, value) in common(path) {
        headers.insert(name, value);
    }
}

/// An answer that leads on to `path`, a page of ours, and has nothing to show itself.
#[must_use]
pub fn see_other(path: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, path)).finish()
}
