//! The wire form of a plan: what a run would do and take, had it been triggered.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::estimates::{Estimate, ModelPlan, Plan};

/// What a run would do. Tokens are estimated: the mean of all earlier results of an eval, by whatever model; for
/// an eval without any, a quarter of the characters of prompt and sample, and the model's max_tokens. Grading is
/// not part of it. What is unknown is null.
#[derive(Serialize, ToSchema)]
pub struct RunPlan {
    cases: i64,
    /// Model x eval cells.
    cells: i64,
    models: Vec<PlannedModel>,
    /// Null when that of a model is.
    estimated_input_tokens: Option<i64>,
    /// Null when that of a model is.
    estimated_output_tokens: Option<i64>,
    /// US dollars; null when that of a model is.
    estimated_cost_usd: Option<f64>,
}

/// What a run would ask of one model.
#[derive(Serialize, ToSchema)]
pub struct PlannedModel {
    model_id: String,
    name: String,
    cases: i64,
    estimated_input_tokens: Option<i64>,
    estimated_output_tokens: Option<i64>,
    /// US dollars; null when a price or a number of tokens is unknown, 0 for built-in models.
    estimated_cost_usd: Option<f64>,
}

impl From<Plan> for RunPlan {
    fn from(plan: Plan) -> Self {
        let total = plan.models.iter().fold(Estimate::NOTHING, |total, model| total.and(model.estimate));
        Self {
            cases: plan.models.iter().map(|model| model.cases).sum(),
            cells: plan.cells,
            estimated_input_tokens: total.input_tokens,
            estimated_output_tokens: total.output_tokens,
            estimated_cost_usd: total.cost_usd,
            models: plan.models.into_iter().map(PlannedModel::from).collect(),
        }
    }
}

impl From<ModelPlan> for PlannedModel {
    fn from(model: ModelPlan) -> Self {
        Self {
            model_id: model.id.into(),
            name: model.name,
            cases: model.cases,
            estimated_input_tokens: model.estimate.input_tokens,
            estimated_output_tokens: model.estimate.output_tokens,
            estimated_cost_usd: model.estimate.cost_usd,
        }
    }
}
