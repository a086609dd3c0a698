//! What watches this server asks here: whether it lives, whether it can work, and how busy it is.

use actix_web::web::Data;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::domain::time::Millis;
use crate::http::problem::ErrorBody;
use crate::http::{ApiError, Site};
use crate::service::once::Answer;
use crate::store::condition::Condition;
use crate::store::{Store, Tx, api_keys, runs, work_items};

/// The state of the process.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// Always `ok`: an answer with another status says the rest.
    #[schema(example = "ok")]
    pub status: &'static str,
}

/// The readiness of the server.
#[derive(Debug, Serialize, ToSchema)]
pub struct Readiness {
    /// `ok`, or `read_only` where nothing can be stored at the moment and reads go on.
    #[schema(example = "ok")]
    pub status: &'static str,
    /// Whether writes are stored, as far as is known.
    pub writable: bool,
    /// The reason why not: `disk_full`, `not_writable` (a read-only file system or missing permissions) or
    /// `disk_failing` (I/O errors). It passes by itself once the disk takes writes again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
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
    /// The condition of the stored data.
    pub data: DataStatus,
}

/// The condition of the stored data.
#[derive(Debug, Serialize, ToSchema)]
pub struct DataStatus {
    /// `ok`, `read_only` or `damaged`.
    #[schema(example = "ok")]
    pub status: &'static str,
    /// Whether writes are stored, as far as is known. While they are not, no model is called.
    pub writable: bool,
    /// The reason why data are read-only (`disk_full`, `not_writable`, `disk_failing`), or the damage that was found; null
    /// otherwise.
    pub reason: Option<String>,
    /// When the database was last checked whole and found sound, in milliseconds since 1970; null while the first check since the start is under
    /// way, or when it found damage.
    pub checked_at: Option<i64>,
}

impl DataStatus {
    fn of(store: &Store) -> Self {
        let condition = store.condition();
        Self {
            status: name(&condition),
            writable: condition.is_writable(),
            reason: match &condition {
                Condition::Writable => None,
                Condition::ReadOnly(obstacle) => Some(obstacle.as_str().to_owned()),
                Condition::Damaged(found) => Some(found.to_string()),
            },
            checked_at: store.checked_at().filter(|_| !condition.is_damaged()).map(|at| at.0),
        }
    }
}

const fn name(condition: &Condition) -> &'static str {
    match condition {
        Condition::Writable => "ok",
        Condition::ReadOnly(_) => "read_only",
        Condition::Damaged(_) => "damaged",
    }
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

/// Whether requests can be served.
///
/// The first row of every table is read from the disk, at most once every 3 seconds.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "Operations",
    responses(
        (status = 200, description = "Reads are served; `writable` says whether writes are stored too", body = Readiness),
        (status = 503, description = "The database is damaged (`damaged`) or does not answer", body = ErrorBody),
    )
)]
pub async fn readiness(app: Data<App>) -> Result<Answer, ApiError> {
    app.store.probe().await?;
    app.store.read(api_keys::is_there_any).await?;
    let condition = app.store.condition();
    let reason = match &condition {
        Condition::ReadOnly(obstacle) => Some(obstacle.as_str()),
        _ => None,
    };
    Ok(Answer::ok(&Readiness { status: name(&condition), writable: condition.is_writable(), reason })?)
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
        data: DataStatus::of(&app.store),
        send_buffer_bytes: budget.used(),
        send_budget_bytes: budget.capacity(),
        responses_refused: budget.refused(),
        connections_stalled: budget.stalled(),
    })?)
}
