//! What watches this server asks here: whether it lives, whether it can work, and how busy it is.

use actix_web::web::Data;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::domain::time::Millis;
use crate::http::{ApiError, Site};
use crate::service::once::Answer;
use crate::store::{Tx, api_keys, runs, work_items};

/// How the server is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// Always `ok`: an answer with another status says the rest.
    #[schema(example = "ok")]
    pub status: &'static str,
}

/// How busy the server is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Status {
    /// The server's version.
    #[schema(example = "0.1.0")]
    pub version: &'static str,
    /// Cases that wait to be made or are being made.
    pub queue_length: i64,
    /// For how long the first of them could have been made, in milliseconds; null when none waits.
    pub oldest_age_ms: Option<i64>,
    /// Runs that are queued or running.
    pub runs_in_progress: i64,
    /// Cases that this process works on.
    pub cases_in_flight: usize,
    /// Commands that wait to be stored.
    pub writes_waiting: usize,
    /// Bytes of large responses that wait to be sent.
    pub send_buffer_bytes: u64,
    /// How many may wait: beyond it, large responses are refused with a 503.
    pub send_budget_bytes: u64,
    /// Large responses that were refused so since the server started.
    pub responses_refused: u64,
    /// Connections that were ended since then because their client had stopped reading.
    pub connections_stalled: u64,
}

/// Whether the process answers.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "Operations",
    responses((status = 200, description = "It does", body = Health))
)]
pub async fn health() -> Result<Answer, ApiError> {
    Ok(Answer::ok(&Health { status: "ok" })?)
}

/// Whether the database answers, so that requests can be served.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "Operations",
    responses((status = 200, description = "It does", body = Health))
)]
pub async fn readiness(app: Data<App>) -> Result<Answer, ApiError> {
    app.store.read(api_keys::is_there_any).await?;
    Ok(Answer::ok(&Health { status: "ok" })?)
}

/// Version and queues.
#[utoipa::path(
    get,
    path = "/api/v1/status",
    tag = "Operations",
    responses((status = 200, description = "How busy the server is", body = Status))
)]
pub async fn status(app: Data<App>, site: Data<Site>) -> Result<Answer, ApiError> {
    let count = |tx: &mut Tx<'_>| Ok((work_items::backlog(tx)?, runs::count_open(tx)?));
    let ((queue_length, oldest), runs_in_progress) = app.store.read(count).await?;
    let age = |since: Millis| Millis::now().0.saturating_sub(since.0).max(0);
    let budget = &site.send_budget;
    Ok(Answer::ok(&Status {
        version: env!("CARGO_PKG_VERSION"),
        queue_length,
        oldest_age_ms: oldest.map(age),
        runs_in_progress,
        cases_in_flight: app.engine.in_flight(),
        writes_waiting: app.store.waiting(),
        send_buffer_bytes: budget.used(),
        send_budget_bytes: budget.capacity(),
        responses_refused: budget.refused(),
        connections_stalled: budget.stalled(),
    })?)
}
