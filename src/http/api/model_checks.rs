//! The wire form of a model's check.

use serde::Serialize;
use utoipa::ToSchema;

use crate::engine::Checked;

/// The outcome of a check.
#[derive(Serialize, ToSchema)]
pub struct ModelCheck {
    /// Whether the model answered.
    ok: bool,
    /// Milliseconds until it answered or failed.
    latency_ms: i64,
    /// The error's code, as cases have it; null when it answered.
    error: Option<&'static str>,
    /// The error in words.
    error_message: Option<String>,
    /// US dollars; null when unknown.
    cost_usd: Option<f64>,
}

impl From<Checked> for ModelCheck {
    fn from(checked: Checked) -> Self {
        let (error, error_message) = checked.failure.unzip();
        Self {
            ok: error.is_none(),
            latency_ms: i64::try_from(checked.latency.as_millis()).unwrap_or(i64::MAX),
            error,
            error_message,
            cost_usd: checked.cost_usd,
        }
    }
}
