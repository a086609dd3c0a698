//! Scoring the answers of a run again, and what of it can be.

use actix_web::web::Data;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::runs::Run;
use super::wire::IdParam;
use crate::app::App;
use crate::domain::id::{EvalId, RunId};
use crate::domain::rescores::{self, Skipped};
use crate::error::Result;
use crate::http::{ApiError, Id, OptionalJson, Require, Write};
use crate::service;
use crate::service::once::Answer;
use crate::service::rescores::Rescore;

/// What is to be scored again; an empty body scores all that can be.
#[derive(Deserialize, Default, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRescore {
    /// Only the answers to these evals.
    eval_ids: Option<Vec<String>>,
    /// What it is for; shown with the run.
    notes: Option<String>,
    /// Whether complete cells may move the board; as the earlier run unless said otherwise. Answers of a run that
    /// was kept off the board stay off it.
    on_board: Option<bool>,
    /// US dollars for grading, above 0: once that is spent, nothing more is scored and the run ends as cancelled.
    budget_usd: Option<f64>,
    /// Only answers what would be scored again: 200 with a RescorePlan. Nothing is stored.
    dry_run: Option<bool>,
}

impl NewRescore {
    fn rescore(self) -> Rescore {
        Rescore {
            evals: self.eval_ids.map(|ids| ids.into_iter().map(EvalId::from).collect()),
            notes: self.notes.unwrap_or_default(),
            on_board: self.on_board,
            budget_usd: self.budget_usd,
        }
    }
}

/// A cell of the earlier run that cannot be scored again.
#[derive(Serialize, ToSchema)]
pub struct SkippedCell {
    model_id: String,
    model_name: String,
    eval_id: String,
    eval_name: String,
    /// model_deleted, eval_deleted, nothing_stored, no_answer, answers_removed, prompt_changed, inputs_changed or too_few_answers.
    code: &'static str,
    /// The same in words.
    reason: String,
}

/// What would be scored again.
#[derive(Serialize, ToSchema)]
pub struct RescorePlan {
    /// Model x eval cells.
    cells: i64,
    /// Their cases, those without an answer included.
    cases: i64,
    /// Cells of the earlier run that cannot be scored again.
    skipped: Vec<SkippedCell>,
}

/// That a run was triggered which scores again.
#[derive(Serialize, ToSchema)]
pub struct Rescored {
    message: &'static str,
    /// The new run's.
    id: String,
    run: Run,
    /// Cells of the earlier run that cannot be scored again.
    skipped: Vec<SkippedCell>,
}

impl From<Skipped> for SkippedCell {
    fn from(skipped: Skipped) -> Self {
        Self {
            model_id: skipped.model.into(),
            model_name: skipped.model_name,
            eval_id: skipped.eval.into(),
            eval_name: skipped.eval_name,
            code: skipped.why.code(),
            reason: skipped.why.to_string(),
        }
    }
}

impl From<rescores::Plan> for RescorePlan {
    fn from(plan: rescores::Plan) -> Self {
        let skipped = plan.skipped.into_iter().map(SkippedCell::from).collect();
        Self { cells: plan.cells, cases: plan.cases, skipped }
    }
}

/// Scores the answers of a run that is over again, with its evals as they are now: a new run that asks no model. It
/// has a new result for each cell, marked with the earlier one (`rescored_from`), which stays as it is; the board
/// follows, unless newer answers stand there. Scorer, criteria, targets, threshold and reducer may have changed;
/// what the model was asked (prompt, inputs, choices) may not: such cells are left out and named in `skipped`.
/// Answers keep their tokens, latency and cost; the new run itself costs what its grading costs. Cases without an
/// answer stay errors. Nothing to rescore is 409. Whoever triggered the earlier run, or an admin.
#[utoipa::path(post, path = "/api/v1/runs/{id}/rescore", tag = "Runs", params(IdParam), request_body(content = Option<NewRescore>, example = json!({"notes": "the targets were corrected"})), security(("key" = [])), responses((status = 202, description = "It was accepted and goes on by itself", body = Rescored), (status = 200, description = "What it would do, where `dry_run` was asked for", body = RescorePlan)))]
pub async fn rescore(
    user: Require<Write>,
    Id(id): Id<RunId>,
    app: Data<App>,
    body: OptionalJson<NewRescore>,
) -> Result<Answer, ApiError> {
    let (new, once) = body.split(&user);
    let new = new.unwrap_or_default();
    let is_dry = new.dry_run.unwrap_or(false);
    let asked = new.rescore();
    if is_dry {
        let plan = service::rescores::plan(&app, user.into_user(), id, asked).await?;
        return Ok(Answer::ok(&RescorePlan::from(plan))?);
    }
    Ok(service::rescores::rescore(&app, user.into_user(), id, asked, once, accepted).await?)
}

fn accepted(rescored: &rescores::Rescored) -> Result<Answer> {
    let run = rescored.run.clone();
    let location = format!("/api/v1/runs/{}", run.id);
    let skipped = rescored.plan.skipped.iter().cloned().map(SkippedCell::from).collect();
    let id = run.id.to_string();
    let body = Rescored { message: "Answers are being scored again", id, run: run.into(), skipped };
    Answer::accepted(Some(location), &body)
}
