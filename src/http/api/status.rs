//! What watches this server asks here: whether it lives, whether it can work, and how busy it is.

use actix_web::web::Data;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::http::ApiError;
use crate::service::once::Answer;
use crate::store::api_keys;

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
    /// Commands that wait to be stored.
    pub queue_length: usize,
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
pub async fn status(app: Data<App>) -> Result<Answer, ApiError> {
    let status = Status { version: env!("CARGO_PKG_VERSION"), queue_length: app.store.waiting() };
    Ok(Answer::ok(&status)?)
}
