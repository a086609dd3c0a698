//! Surfaces: foreign APIs on our core, each in a folder and under a cargo feature of its own.
//!
//! A surface translates between the wire format of its API and the services. It knows neither other surfaces nor the
//! native API, and the rest of the code knows of it only through the list `SURFACES`.

use std::sync::LazyLock;

use actix_http::RequestHead;
use actix_web::dev::ResourceDef;
use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig};
use utoipa::openapi::OpenApi;

use super::auth::Credential;
use super::error::Problem;
use super::table::{Effect, Row, register};
use super::{nothing_here, preflight};
use crate::domain::upload_grants::UploadGrant;

/// Declares the modules of surfaces and lists them in [`SURFACES`], each where its feature is on.
macro_rules! surfaces {
    ($($feature:literal => $name:ident,)*) => {
        $(#[cfg(feature = $feature)] mod $name;)*

        /// Every surface that was compiled in.
        static SURFACES: &[&Surface] = &[$(#[cfg(feature = $feature)] &$name::SURFACE),*];
    };
}

surfaces! {
    "vercel-blob" => vercel_blob,
    "oauth" => oauth,
}

/// One foreign API.
pub(super) struct Surface {
    /// The path that all its routes are below, without a slash at the end. No other route may be there.
    pub(super) base: &'static str,
    /// Its routes, relative to `base`.
    pub(super) routes: fn() -> Vec<Row>,
    /// Returns the credential of a request, from wherever its clients send it.
    pub(super) credential: for<'r> fn(&'r RequestHead) -> Credential<'r>,
    /// The body of its errors; that of the native API if it has none of its own.
    pub(super) error: Option<ErrorFormat>,
    /// Open to scripts of other origins, as the native API is.
    pub(super) is_cross_origin: bool,
    /// Its part of the OpenAPI document.
    pub(super) openapi: fn() -> OpenApi,
    /// Changes to the whole document, made when it has the parts of all surfaces.
    pub(super) amend: Option<fn(&mut OpenApi)>,
    /// The way in which it takes files that the native API granted an upload for.
    pub(super) uploads: Option<UploadProtocol>,
}

/// The body of a surface's errors.
pub(super) struct ErrorFormat {
    /// The name of its schema in the OpenAPI document.
    pub(super) schema: &'static str,
    /// Returns the body, as JSON, for an error and the id of its request.
    pub(super) body: fn(Problem, &str) -> String,
}

/// A way to send a file that an upload was granted for.
pub(super) struct UploadProtocol {
    /// Returns the token of a grant, signed with a key.
    pub(super) token: fn(&UploadGrant, &[u8; 32]) -> String,
    /// The path that the file is to be sent to.
    pub(super) path: &'static str,
}

impl Surface {
    fn has(&self, path: &str) -> bool {
        path.strip_prefix(self.base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Returns the surface that a path belongs to.
pub(super) fn at(path: &str) -> Option<&'static Surface> {
    SURFACES.iter().copied().find(|surface| surface.has(path))
}

/// Returns the way to send files that were granted, where a surface that takes them was compiled in.
pub(super) fn upload_protocol() -> Option<&'static UploadProtocol> {
    SURFACES.iter().find_map(|surface| surface.uploads.as_ref())
}

/// Returns the base path and the rows of each surface.
#[must_use]
pub fn tables() -> Vec<(&'static str, Vec<Row>)> {
    SURFACES.iter().map(|surface| (surface.base, (surface.routes)())).collect()
}

/// Routes that only read, though their method is one that writes.
static READS: LazyLock<Vec<(ResourceDef, &'static str)>> = LazyLock::new(|| {
    let reads = |base: &str, row: &Row| -> Vec<_> {
        let path = format!("{base}{}", row.path());
        let methods = row.methods().iter().filter(|method| row.effect(method) == Some(Effect::Read));
        methods.filter(|method| **method != "GET").map(|method| (ResourceDef::new(&*path), *method)).collect()
    };
    let tables = tables();
    tables.iter().flat_map(|(base, rows)| rows.iter().flat_map(|row| reads(base, row))).collect()
});

/// Returns `true` for a route of a surface that only reads, though `method` is one that writes.
pub(super) fn only_reads(method: &Method, path: &str) -> bool {
    READS.iter().any(|(route, name)| method.as_str() == *name && route.is_match(path))
}

/// Merges the parts of all surfaces into the OpenAPI document.
pub(super) fn describe(document: &mut OpenApi) {
    for surface in SURFACES {
        document.merge((surface.openapi)());
    }
    for amend in SURFACES.iter().filter_map(|surface| surface.amend) {
        amend(document);
    }
}

/// Adds the routes of all surfaces to the router.
pub(super) fn configure(config: &mut ServiceConfig) {
    for surface in SURFACES {
        let scope = web::scope(surface.base);
        let rows = |config: &mut ServiceConfig| register(config, (surface.routes)());
        if surface.is_cross_origin {
            let scope = scope.wrap(preflight()).configure(rows);
            config.service(scope.default_service(web::to(nothing_here)));
        } else {
            config.service(scope.configure(rows).default_service(web::to(nothing_here)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surfaces_have_paths_of_their_own() {
        for surface in SURFACES {
            let at_base = SURFACES.iter().filter(|other| other.has(surface.base)).count();
            assert_eq!(at_base, 1, "{}", surface.base);
            assert!(surface.base.starts_with('/') && !surface.base.ends_with('/'));
        }
        assert!(at("/api/v1/models").is_none() && at("/api").is_none() && at("/").is_none());
    }

    #[test]
    fn only_marked_routes_read_with_a_writing_method() {
        let reading: Vec<(String, &str)> = tables()
            .iter()
            .flat_map(|(base, rows)| rows.iter().map(move |row| (base, row)))
            .flat_map(|(base, row)| {
                row.methods().iter().map(move |method| (format!("{base}{}", row.path()), *method))
            })
            .filter(|(path, method)| only_reads(&Method::from_bytes(method.as_bytes()).unwrap(), path))
            .collect();
        assert_eq!(reading, [("/oauth2/token".to_owned(), "POST")]);
        assert!(!only_reads(&Method::POST, "/api/v1/models"));
        assert!(!only_reads(&Method::DELETE, "/oauth2/token"));
    }
}
