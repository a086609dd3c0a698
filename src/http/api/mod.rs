//! The native API: its URL table, to be read from top to bottom. Handlers are in the files beside this one.

pub mod artifacts;
pub mod cases;
pub mod compare;
pub mod evals;
pub mod events;
pub mod health;
pub mod keys;
pub mod leaderboard;
pub mod ledger;
pub mod me;
mod meanings;
pub mod model_checks;
pub mod models;
pub mod openapi;
pub mod plans;
pub mod rescores;
pub mod results;
pub mod runs;
pub mod samples;
pub mod schedules;
pub mod status;
pub mod training_sets;
pub mod uploads;
pub mod wire;

use actix_web::web::{self, ServiceConfig};

use super::table::{Row, register, resource};
use super::{nothing_here, preflight};

/// Where the rows of [`table`] are.
pub const BASE: &str = "/api/v1";

/// What is outside the API's base: for whatever watches this server.
#[must_use]
pub fn outside_table() -> Vec<Row> {
    vec![resource("/healthz").get(status::health), resource("/readyz").get(status::readiness)]
}

/// Every route of the API, relative to [`BASE`].
#[must_use]
pub fn table() -> Vec<Row> {
    vec![
        resource("/models").get(models::list).post(models::create),
        resource("/models/{id}").get(models::get).patch(models::patch).delete(models::delete),
        resource("/models/{id}/results").get(models::results),
        resource("/models/{id}/check").post(models::check),
        resource("/models/{id}/artifacts").get(artifacts::list).post(artifacts::create),
        // Before the row whose last part is any id.
        resource("/models/{id}/artifacts/request-upload").post(artifacts::request_upload),
        resource("/models/{id}/artifacts/{artifact_id}")
            .get(artifacts::get)
            .patch(artifacts::patch)
            .delete(artifacts::delete),
        resource("/evals").get(evals::list).post(evals::create),
        resource("/evals/{id}").get(evals::get).patch(evals::patch).delete(evals::delete),
        resource("/evals/{id}/health").get(health::get),
        resource("/evals/{id}/samples").get(samples::list).put(samples::replace),
        resource("/runs").get(runs::list).post(runs::trigger),
        resource("/runs/{id}").get(runs::get),
        resource("/runs/{id}/cancel").post(runs::cancel),
        resource("/runs/{id}/retry").post(runs::retry),
        resource("/runs/{id}/rescore").post(rescores::rescore),
        resource("/runs/{id}/events").get(events::follow),
        resource("/runs/{id}/results").get(runs::results),
        resource("/schedules").get(schedules::list).post(schedules::create),
        resource("/schedules/{id}").get(schedules::get).patch(schedules::patch).delete(schedules::delete),
        resource("/results/{id}").get(results::get),
        resource("/results/{id}/cases").get(cases::list),
        resource("/cases/{id}").get(cases::get),
        resource("/cases/{id}/overrule").post(cases::overrule).delete(cases::reinstate),
        resource("/training-sets").get(training_sets::list).post(training_sets::create),
        // Before the row whose last part is any id.
        resource("/training-sets/request-upload").post(training_sets::request_upload),
        resource("/training-sets/{id}").get(training_sets::get).delete(training_sets::delete),
        resource("/ledger").get(ledger::list),
        resource("/leaderboard").get(leaderboard::get),
        resource("/me").get(me::get),
        resource("/keys").get(keys::list).post(keys::create),
        resource("/keys/{id}").delete(keys::delete),
        resource("/leaderboard/compare").get(compare::get),
        resource("/leaderboard/badge/{id}.svg").get(leaderboard::badge),
        resource("/status").get(status::status),
        resource("/openapi.json").get(openapi::document),
    ]
}

/// Adds all tables to the router.
pub(super) fn configure(config: &mut ServiceConfig) {
    register(config, outside_table());
    // A scope takes every address below it: whatever else is to live under /api comes before the last line.
    config.service(
        web::scope("/api")
            .wrap(preflight())
            .service(
                web::scope("/v1")
                    .configure(|config| register(config, table()))
                    .default_service(web::to(nothing_here)),
            )
            .default_service(web::to(nothing_here)),
    );
}
