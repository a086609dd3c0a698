//! Requests of scripts of other origins: what a browser asks before it sends one.

use actix_cors::Cors;
use actix_web::http::Method;

/// Seconds for which a browser may keep the answer to a preflight request.
const PREFLIGHT_AGE: usize = 86_400;

/// Answers what a browser asks before a request to another origin. Never with credentials of the browser.
pub(super) fn preflight() -> Cors {
    Cors::default()
        .allow_any_origin()
        .send_wildcard()
        .allow_any_header()
        .allowed_methods([
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ])
        .max_age(PREFLIGHT_AGE)
        .disable_vary_header()
        .block_on_origin_mismatch(false)
}
