//! The pages: a view struct and a handler per page, and the files they need.

pub mod assets;
pub mod attempts;
pub mod axis;
pub mod board;
pub mod cases;
pub mod compare;
pub mod docs;
pub mod evals;
pub mod fact;
pub mod format;
pub mod health;
pub mod history;
pub mod ledger;
pub mod links;
pub mod models;
pub mod page;
pub mod passage;
pub mod pictures;
pub mod preview;
pub mod reasons;
pub mod results;
pub mod runs;
pub mod schedules;
pub mod score;
pub mod settings;
pub mod training_sets;
pub mod transcript;
pub mod verdict;

use actix_web::web::ServiceConfig;

pub use assets::asset;

use super::table::{Row, register, resource};

/// Every address that is for people.
#[must_use]
pub fn table() -> Vec<Row> {
    let mut rows = vec![
        resource("/").get(board::show),
        resource("/costs").get(board::costs::show),
        resource("/models/{id}").get(models::show),
        resource("/compare").get(compare::show),
        resource("/evals").get(evals::list),
        resource("/evals/{id}").get(evals::show),
        resource("/runs").get(runs::list),
        resource("/runs/{id}").get(runs::show),
        resource("/schedules").get(schedules::list),
        resource("/results/{id}").get(results::show),
        resource("/cases/{id}").get(cases::show),
        resource("/training-sets").get(training_sets::list),
        resource("/training-sets/{id}").get(training_sets::show),
        resource("/ledger").get(ledger::show),
        resource("/feed.xml").get(ledger::feed),
        resource("/docs").get(docs::show),
        resource("/docs/ranking").get(docs::ranking),
        resource("/setup").get(settings::entrance::setup).post(settings::entrance::begin),
        resource("/login").get(settings::entrance::login).post(settings::entrance::enter),
        resource("/logout").post(settings::entrance::leave),
        resource("/settings").get(settings::first),
        resource("/settings/api-keys").get(settings::api_keys::show).post(settings::api_keys::create),
        resource("/settings/api-keys/{id}/revoke").post(settings::api_keys::revoke),
        resource("/settings/cases/{id}").get(settings::cases::show).post(settings::cases::overrule),
        resource("/settings/cases/{id}/reinstate").post(settings::cases::reinstate),
        resource("/settings/people").get(settings::people::show).post(settings::people::invite),
        resource("/settings/people/{id}").post(settings::people::change),
        resource("/settings/handle").get(settings::handle::show).post(settings::handle::change),
        resource("/settings/password").get(settings::password::show).post(settings::password::change),
        resource("/settings/training-sets")
            .get(settings::training_sets::show)
            .post(settings::training_sets::create),
        resource("/preview/board.png").get(pictures::board),
        resource("/preview/models/{id}.png").get(pictures::model),
        resource("/preview/evals/{id}.png").get(pictures::eval),
        resource("/preview/compare.png").get(pictures::compare),
        resource("/static/{file}").get(assets::file),
    ];
    rows.extend(with_provider());
    rows
}

/// The ways over an OpenID Connect provider.
#[cfg(feature = "oidc")]
fn with_provider() -> Vec<Row> {
    vec![
        resource(links::OIDC).get(settings::oidc::begin),
        resource(links::OIDC_BACK).get(settings::oidc::finish),
    ]
}

#[cfg(not(feature = "oidc"))]
const fn with_provider() -> Vec<Row> {
    Vec::new()
}

/// Adds the pages to the router.
pub(super) fn configure(config: &mut ServiceConfig) {
    register(config, table());
}
