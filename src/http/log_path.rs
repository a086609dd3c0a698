//! A request's path as the log may have it: what a client chose is left out of it, but for ids.
//!
//! Keys come in paths by mistake, whole or encoded, also in paths that lead nowhere. So what stays is named, and all
//! else goes.

use std::collections::HashSet;
use std::sync::LazyLock;

use actix_web::http::Method;

use super::table::Row;
use super::{api, files, pages, surfaces};
use crate::domain::id;
use crate::domain::redaction::REDACTED;

/// Parts of a path that are logged; what follows is left out.
const MAX_PARTS: usize = 12;
/// Longest ending of an id, as in `.svg`.
const MAX_ENDING: usize = 5;

/// Every part that is the same for all requests of a route.
static FIXED: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    let tables =
        [("", pages::table()), ("", files::table()), ("", api::outside_table()), (api::BASE, api::table())];
    let tables: Vec<_> = tables.into_iter().chain(surfaces::tables()).collect();
    let paths = tables.iter().flat_map(|(base, rows)| rows.iter().map(Row::path).chain([*base]));
    paths.flat_map(|path| path.split('/')).filter(|part| !part.contains('{')).collect()
});

/// Returns the path with the parts that routes have and with public ids; anything else is `[redacted]`.
pub(super) fn loggable(path: &str) -> String {
    let mut parts: Vec<&str> =
        path.split('/').take(MAX_PARTS).map(|part| if is_known(part) { part } else { REDACTED }).collect();
    if path.split('/').nth(MAX_PARTS).is_some() {
        parts.push(REDACTED);
    }
    parts.join("/")
}

fn is_known(part: &str) -> bool {
    // A path may be doubled slashes.
    if part.is_empty() || FIXED.contains(part) {
        return true;
    }
    match part.split_once('.') {
        Some((stem, ending)) => {
            let is_ending =
                ending.len() <= MAX_ENDING && ending.bytes().all(|byte| byte.is_ascii_lowercase());
            is_ending && id::is_shaped(stem)
        }
        None => id::is_shaped(part),
    }
}

/// Returns the name of a method of HTTP; a word that is none may be anything.
pub(super) fn loggable_method(method: &Method) -> &str {
    match *method {
        Method::GET
        | Method::HEAD
        | Method::POST
        | Method::PUT
        | Method::PATCH
        | Method::DELETE
        | Method::OPTIONS
        | Method::CONNECT
        | Method::TRACE => method.as_str(),
        _ => REDACTED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_and_ids_are_logged() {
        for path in [
            "/",
            "/api/v1/models",
            "/api/v1/models/aB3dE5gH7jK9mN/check",
            "/api/v1/leaderboard/badge/aB3dE5gH7jK9mN.svg",
            "/login/oidc/callback",
            "/oauth2/token",
            "//api//v1",
            "/api/v1/training-sets/request-upload",
        ] {
            assert_eq!(loggable(path), path);
        }
    }

    #[test]
    fn what_a_client_chose_is_not_logged() {
        let key = "blah_0123456789012345678901234567890123456";
        for (path, expected) in [
            (format!("/api/v1/keys/{key}"), "/api/v1/keys/[redacted]"),
            (format!("/api/v1/keys/%62{}", &key[1..]), "/api/v1/keys/[redacted]"),
            (format!("//api/v1//keys/{key}/"), "//api/v1//keys/[redacted]/"),
            (format!("/{key}"), "/[redacted]"),
            (format!("/setup;token={key}"), "/[redacted]"),
            (format!("/files/aB3dE5gH7jK9mN/{key}.bin"), "/files/aB3dE5gH7jK9mN/[redacted]"),
            (format!("/settings/{key}/revoke"), "/settings/[redacted]/revoke"),
            ("/api/v1/keys/aB3dE5gH7jK9mN.secret".to_owned(), "/api/v1/keys/[redacted]"),
            ("/{id}".to_owned(), "/[redacted]"),
        ] {
            assert_eq!(loggable(&path), expected, "{path}");
        }
        assert_eq!(loggable(&"/x".repeat(100)).matches(REDACTED).count(), MAX_PARTS);
        assert_eq!(loggable_method(&Method::from_bytes(b"blah_secret").unwrap()), REDACTED);
    }
}
