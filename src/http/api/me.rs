//! Whose key it is that asks, and what he may still spend.

use actix_web::web::Data;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::http::{ApiError, Known, Require};
use crate::service;
use crate::service::once::Answer;

/// A person, as he sees himself.
#[derive(Serialize, ToSchema)]
pub struct Me {
    id: String,
    email: String,
    /// How others see you: as `submitted_by` of what you made.
    submitted_by: String,
    /// member or admin.
    role: &'static str,
    /// US dollars that he may spend in a day (UTC) on models and graders that are called with the operator's keys. Null
    /// for an admin, who may spend anything, and for a member who may run no such model.
    daily_usd: Option<f64>,
    /// US dollars that his runs spent there today, not counting calls that were broken off; null when a part of it is
    /// unknown.
    spent_usd: Option<f64>,
    /// When the next day begins.
    resets_at: i64,
}

/// Who you are by your key, and what your runs spent today on the operator's keys. A member who has a daily cap may run
/// models that the operator pays, up to it: then a trigger is refused (409 `cap_spent`), and his runs that ask such
/// models stop; `POST /api/v1/runs/{id}/retry` goes on with them once the day is over.
#[utoipa::path(get, path = "/api/v1/me", tag = "Operations", security(("key" = [])), responses((status = 200, description = "As it is now", body = Me)))]
pub async fn get(user: Require<Known>, app: Data<App>) -> Result<Answer, ApiError> {
    let user = user.into_user();
    let allowance = service::caps::allowance(&app.store, &app.config, user.clone()).await?;
    let submitted_by = service::people::shown_name(&app.store, user.key).await?;
    Ok(Answer::ok(&Me {
        submitted_by,
        id: user.id.into(),
        email: user.email,
        role: user.role.as_str(),
        daily_usd: allowance.cap_usd,
        spent_usd: allowance.spent_usd,
        resets_at: allowance.day.end().0,
    })?)
}
