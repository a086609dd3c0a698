//! The pages: a view struct and a handler per page, and the files they need.

pub mod assets;
pub mod axis;
pub mod board;
pub mod docs;
pub mod format;
pub mod links;
pub mod page;
pub mod score;

use actix_web::web::ServiceConfig;

pub use assets::asset;

use super::table::{Row, register, resource};

/// Every address that is for people.
#[must_use]
pub fn table() -> Vec<Row> {
    vec![
        resource("/").get(board::show),
        resource("/docs").get(docs::show),
        resource("/static/{file}").get(assets::file),
    ]
}

/// Adds the pages to the router.
pub(super) fn configure(config: &mut ServiceConfig) {
    register(config, table());
}
