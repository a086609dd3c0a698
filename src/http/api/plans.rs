//! The wire form of a plan: what a run would do and take, had it been triggered.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::estimates::{Estimate, GraderPlan, ModelPlan, Plan};
use crate::domain::sharing::{LeftOut, Payer};

/// What a run would do. Tokens are estimated: the mean of all earlier results of an eval, by whatever model; for
/// an eval without any, a quarter of the characters of prompt and sample, and the model's max_tokens. Grading is
/// not part of it. What is unknown is null.
#[derive(Serialize, ToSchema)]
pub struct RunPlan {
    cases: i64,
    /// Model x eval cells.
    cells: i64,
    models: Vec<PlannedModel>,
    /// Who would grade, eval by eval; an eval that no model grades is not among them.
    graders: Vec<PlannedGrader>,
    /// Active models and evals that it would leave out, since you may not run them or their graders.
    skipped: Vec<SkippedPart>,
    /// Null when that of a model is.
    estimated_input_tokens: Option<i64>,
    /// Null when that of a model is.
    estimated_output_tokens: Option<i64>,
    /// US dollars; null when that of a model is.
    estimated_cost_usd: Option<f64>,
}

/// The model that would grade an eval.
#[derive(Serialize, ToSchema)]
pub struct PlannedGrader {
    eval_id: String,
    eval_name: String,
    /// The grader's name, or `provider/model`.
    grader: String,
    /// `operator`, `owner` (the grader's, whose API key is used) or `nobody` (called without a key, or built in).
    paid_by: &'static str,
    /// The owner who pays; null where none does.
    payer: Option<String>,
}

impl From<GraderPlan> for PlannedGrader {
    fn from(plan: GraderPlan) -> Self {
        Self {
            eval_id: plan.eval.into(),
            eval_name: plan.eval_name,
            grader: plan.grader,
            paid_by: plan.payer.as_str(),
            payer: owner(plan.payer),
        }
    }
}

/// What a run leaves out, since whoever starts it may not run it.
#[derive(Serialize, ToSchema)]
pub struct SkippedPart {
    /// `model`: all cells of that model; `eval`: all cells of that eval, whose grader may not be run.
    kind: &'static str,
    /// The id of the model or eval.
    id: String,
    name: String,
    /// `model_not_shared`, `shared_cap_reached` or `not_paid`.
    code: String,
    /// The same in words, with what helps.
    reason: String,
}

impl From<LeftOut> for SkippedPart {
    fn from(left_out: LeftOut) -> Self {
        let LeftOut { noun, id, name, code, reason } = left_out;
        Self { kind: noun, id, name, code, reason }
    }
}

fn owner(payer: Payer) -> Option<String> {
    match payer {
        Payer::Owner(owner) => Some(owner),
        Payer::Operator | Payer::Nobody => None,
    }
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
    /// Who pays for its calls, in each of its cells: `operator`, `owner` (the model's, whose API key is used) or
    /// `nobody` (called without a key, or built in).
    paid_by: &'static str,
    /// The owner who pays; null where none does.
    payer: Option<String>,
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
            graders: plan.graders.into_iter().map(PlannedGrader::from).collect(),
            skipped: plan.skipped.into_iter().map(SkippedPart::from).collect(),
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
            paid_by: model.payer.as_str(),
            payer: owner(model.payer),
        }
    }
}
