//! Runs: trigger, watch, cancel, retry, and their results.

use actix_web::web::Data;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::plans::{RunPlan, SkippedPart};
use super::results::{self, EvalResult, Viewer};
use super::wire::{IdParam, PageParams};
use crate::app::App;
use crate::domain::id::{EvalId, ModelId, RunId};
use crate::domain::runs::{self, Settings, Trigger};
use crate::domain::time::Millis;
use crate::error::Result;
use crate::http::idempotency::{IdempotencyKey, NO_BODY};
use crate::http::{Answered, ApiError, CachePolicy, Id, OptionalJson, Paging, Reads, Require, View, Write};
use crate::service;
use crate::service::once::Answer;
use crate::store::results::Of;
use crate::store::{self, Topic};

/// A run of models over evals.
#[derive(Serialize, ToSchema)]
pub struct Run {
    id: String,
    /// When it was triggered.
    started_at: i64,
    completed_at: Option<i64>,
    /// queued, running, completed, failed or cancelled; derived from its cases.
    status: &'static str,
    total_evals: i64,
    total_models: i64,
    /// Finished model x eval cells, those with errors included.
    completed_count: i64,
    /// What is wrong, else what it waits for, in words.
    error: Option<String>,
    case_total: i64,
    case_done: i64,
    /// Cases that could not be measured.
    case_errors: i64,
    /// US dollars so far, grading included; null when any part is unknown.
    cost_usd: Option<f64>,
    triggered_by: String,
    /// The schedule that started it; null when a person did.
    schedule_id: Option<String>,
    /// Its name.
    schedule_name: Option<String>,
    heartbeat_at: Option<i64>,
    notes: String,
    on_board: bool,
    epochs: Option<u32>,
    max_samples: Option<u32>,
    budget_usd: Option<f64>,
    /// Milliseconds without progress after which it gives a model up; null is the operator's setting.
    give_up_after_ms: Option<i64>,
    /// Models that it waits for, those that are called again soonest first.
    waiting: Vec<ModelWait>,
    /// Cases of any run that come before its next ones in the queues of its models; null when it is over.
    queue_position: Option<i64>,
    /// Milliseconds until it is over, at the rate of about the last minute, not counting models that it waits for; null
    /// when that is not known, or everything waits.
    eta_ms: Option<i64>,
    /// `run` asks models; `rescore` scores the answers of an earlier run again.
    kind: &'static str,
    /// The earlier run, where answers are scored again; else null.
    rescore_of: Option<String>,
    /// Active models and evals that it left out, since whoever triggered it may not run them or their graders.
    skipped: Vec<SkippedPart>,
}

impl From<runs::Run> for Run {
    fn from(run: runs::Run) -> Self {
        let (schedule_id, schedule_name) = run.schedule.clone().unzip();
        Self {
            schedule_id: schedule_id.map(String::from),
            schedule_name,
            eta_ms: run.eta_ms(Millis::now()),
            queue_position: run.queue_position,
            budget_usd: run.settings.budget_usd,
            give_up_after_ms: run.settings.give_up_after_ms,
            error: run.error_or_wait(),
            waiting: run.waits.into_iter().map(ModelWait::from).collect(),
            id: run.id.into(),
            started_at: run.started_at.0,
            completed_at: run.completed_at.map(|at| at.0),
            status: run.state.as_str(),
            total_evals: run.total_evals,
            total_models: run.total_models,
            completed_count: run.completed_count,
            case_total: run.case_total,
            case_done: run.case_done,
            case_errors: run.case_errors,
            cost_usd: run.cost_usd,
            triggered_by: run.triggered_by,
            heartbeat_at: run.heartbeat_at.map(|at| at.0),
            notes: run.settings.notes,
            on_board: run.settings.on_board,
            epochs: run.settings.epochs,
            max_samples: run.settings.max_samples,
            kind: if run.rescores.is_some() { "rescore" } else { "run" },
            rescore_of: run.rescores.map(String::from),
            skipped: run.skipped.into_iter().map(SkippedPart::from).collect(),
        }
    }
}

/// A model that an open run waits for.
#[derive(Serialize, ToSchema)]
pub struct ModelWait {
    model_id: String,
    model_name: String,
    /// Where it is called; `the endpoint` for a caller who may not see that, here and in the texts below.
    host: String,
    /// Its cases that are not recorded yet.
    cases: i64,
    /// The last failure, in words.
    reason: String,
    /// When it is called again; a moment that has passed while that call is under way.
    next_try_at: i64,
    /// When the run gives it up, unless a case of it is recorded before.
    gives_up_at: i64,
    /// All of that in one line.
    message: String,
}

impl From<runs::ModelWait> for ModelWait {
    fn from(wait: runs::ModelWait) -> Self {
        Self {
            message: wait.to_string(),
            model_id: wait.model.into(),
            model_name: wait.model_name,
            host: wait.host,
            cases: wait.cases,
            reason: wait.reason,
            next_try_at: wait.next_try_at.0,
            gives_up_at: wait.gives_up_at.0,
        }
    }
}

/// What is to be run; an empty body runs all active models over all active evals.
#[derive(Serialize, Deserialize, Default, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRun {
    /// Only these models. One with an API key of its own has to be yours or shared (403), and its cap for you not reached
    /// (409 `shared_cap_reached`). Left out, all active ones, without those that you may not run: `skipped` lists them.
    model_ids: Option<Vec<String>>,
    /// Only these evals. The same holds for the keys of their graders.
    eval_ids: Option<Vec<String>>,
    /// Only cells without a current result.
    only_missing: Option<bool>,
    /// Instead of the evals' own; such a run never moves the board.
    epochs: Option<u32>,
    /// Only the first so many samples of each eval; such a run never moves the board.
    max_samples: Option<u32>,
    /// What it is for; shown with the run.
    notes: Option<String>,
    /// Whether complete cells may move the board; true unless said otherwise.
    on_board: Option<bool>,
    /// US dollars, above 0: once its cost, grading included, reaches that, the run asks nothing more and ends as
    /// cancelled; its complete cells count. Calls in flight are reserved at an estimate (max_tokens at the output
    /// price, one token per byte of the prompt at the input price), so that at most one call per endpoint goes above it.
    /// Every model and grader needs an input_price and an output_price; built-in models need none.
    budget_usd: Option<f64>,
    /// Milliseconds, 1,000 to 2,592,000,000: for how long the run waits for a model of which no case is recorded and
    /// that is held back by nothing but its own endpoint. Then the rest of its cases end with the error `gave_up`,
    /// which a retry takes up again. The operator's setting (15 minutes, as it comes) unless said otherwise; never
    /// shorter than a `timeout_ms` that the model names.
    give_up_after_ms: Option<i64>,
    /// Only answers what would be run and about what it would take: 200 with a RunPlan. Nothing is stored.
    #[serde(skip_serializing)]
    dry_run: Option<bool>,
}

impl From<Trigger> for NewRun {
    fn from(trigger: Trigger) -> Self {
        let settings = trigger.settings;
        Self {
            model_ids: trigger.models.map(|ids| ids.into_iter().map(String::from).collect()),
            eval_ids: trigger.evals.map(|ids| ids.into_iter().map(String::from).collect()),
            only_missing: Some(trigger.only_missing),
            epochs: settings.epochs,
            max_samples: settings.max_samples,
            notes: Some(settings.notes),
            on_board: Some(settings.on_board),
            budget_usd: settings.budget_usd,
            give_up_after_ms: settings.give_up_after_ms,
            dry_run: None,
        }
    }
}

impl NewRun {
    /// Whether only a plan is asked for.
    pub(super) fn is_dry(&self) -> bool {
        self.dry_run.unwrap_or(false)
    }

    pub(super) fn trigger(self) -> Trigger {
        Trigger {
            models: self.model_ids.map(|ids| ids.into_iter().map(ModelId::from).collect()),
            evals: self.eval_ids.map(|ids| ids.into_iter().map(EvalId::from).collect()),
            only_missing: self.only_missing.unwrap_or(false),
            settings: Settings {
                notes: self.notes.unwrap_or_default(),
                on_board: self.on_board.unwrap_or(true),
                epochs: self.epochs,
                max_samples: self.max_samples,
                budget_usd: self.budget_usd,
                give_up_after_ms: self.give_up_after_ms,
            },
        }
    }
}

/// That a run was triggered.
#[derive(Serialize, ToSchema)]
pub struct Triggered {
    message: &'static str,
    id: String,
    run: Run,
    /// As `run.skipped`: what the run left out, and why.
    skipped: Vec<SkippedPart>,
}

/// Lists runs, newest first.
#[utoipa::path(get, path = "/api/v1/runs", tag = "Runs", params(PageParams), responses((status = 200, description = "A page of the list", body = [Run])))]
pub async fn list(reads: Reads<Paging>) -> Answered {
    let (page, endpoints) = (reads.page()?, reads.endpoints()?);
    reads
        .answer(&[Topic::Runs], move |tx| {
            let veil = endpoints.veil(tx)?;
            let runs = store::runs::list(tx, page)?;
            let is_open = runs.rows.iter().any(|run| run.state.is_open());
            settled(is_open, View::list(runs.map(|run| Run::from(veil.run(run))))?)
        })
        .await
}

/// One run.
#[utoipa::path(get, path = "/api/v1/runs/{id}", tag = "Runs", params(IdParam), responses((status = 200, description = "As it is now", body = Run)))]
pub async fn get(Id(id): Id<RunId>, reads: Reads) -> Answered {
    let endpoints = reads.endpoints()?;
    reads
        .answer(&[Topic::Runs], move |tx| {
            let run = endpoints.veil(tx)?.run(store::runs::get(tx, &id)?);
            settled(run.state.is_open(), View::json(&Run::from(run))?)
        })
        .await
}

/// What belongs to an unfinished run is asked for anew each time.
fn settled(is_open: bool, view: View) -> Result<View> {
    Ok(if is_open { view.policy(CachePolicy::Revalidate) } else { view })
}

/// Triggers a run. It is stored before the answer, and goes on by itself whatever happens to this process.
#[utoipa::path(post, path = "/api/v1/runs", tag = "Runs", request_body(content = Option<NewRun>, example = json!({"only_missing": true})), security(("key" = [])), responses((status = 202, description = "It was accepted and goes on by itself", body = Triggered), (status = 200, description = "What it would do, where `dry_run` was asked for", body = RunPlan)))]
pub async fn trigger(
    user: Require<Write>,
    app: Data<App>,
    body: OptionalJson<NewRun>,
) -> Result<Answer, ApiError> {
    let (new, once) = body.split(&user);
    let new = new.unwrap_or_default();
    let is_dry = new.is_dry();
    let trigger = new.trigger();
    if is_dry {
        let plan = service::plans::plan(&app, user.into_user(), trigger).await?;
        return Ok(Answer::ok(&RunPlan::from(plan))?);
    }
    Ok(service::runs::trigger(&app, user.into_user(), trigger, once, triggered).await?)
}

fn triggered(run: &runs::Run) -> Result<Answer> {
    let location = format!("/api/v1/runs/{}", run.id);
    let message = "Eval run triggered";
    let skipped = run.skipped.iter().cloned().map(SkippedPart::from).collect();
    let run = run.clone();
    Answer::accepted(Some(location), &Triggered { message, id: run.id.to_string(), skipped, run: run.into() })
}

/// Stops a run. What is recorded stays, and its complete cells count. Whoever triggered it, or an admin.
#[utoipa::path(post, path = "/api/v1/runs/{id}/cancel", tag = "Runs", params(IdParam), security(("key" = [])), responses((status = 200, description = "As it is now", body = Run)))]
pub async fn cancel(
    user: Require<Write>,
    Id(id): Id<RunId>,
    app: Data<App>,
    key: IdempotencyKey,
) -> Result<Answer, ApiError> {
    let once = key.once(&user, NO_BODY);
    let render = |run: &runs::Run| Answer::ok(&Run::from(run.clone()));
    Ok(service::runs::cancel(&app, user.into_user(), id, once, render).await?)
}

/// Asks the cases of a run that is over again which have no score, errored and unscored ones, and only those: the
/// run is open again until they are recorded, and its cells get another score. What a cancelled run never asked
/// stays unasked, and it ends as cancelled again; only a run that the daily cap of whoever triggered it stopped goes
/// on with the rest of its plan, once that day (UTC) is over. Cells of deleted models and evals are left as they are.
/// Its cost keeps what the earlier attempts cost. A run that rescores asks no model then either: it looks at the
/// earlier run's answers again, and at what its graders say. Whoever triggered the run, or an admin.
#[utoipa::path(post, path = "/api/v1/runs/{id}/retry", tag = "Runs", params(IdParam), security(("key" = [])), responses((status = 202, description = "It goes on by itself", body = Run)))]
pub async fn retry(
    user: Require<Write>,
    Id(id): Id<RunId>,
    app: Data<App>,
    key: IdempotencyKey,
) -> Result<Answer, ApiError> {
    let once = key.once(&user, NO_BODY);
    let render = |run: &runs::Run| {
        let location = format!("/api/v1/runs/{}", run.id);
        Answer::accepted(Some(location), &Run::from(run.clone()))
    };
    Ok(service::retries::retry(&app, user.into_user(), id, once, render).await?)
}

/// Every result of a run, newest first.
#[utoipa::path(get, path = "/api/v1/runs/{id}/results", tag = "Runs", params(IdParam, PageParams), responses((status = 200, description = "A page of the list", body = [EvalResult])))]
pub async fn results(Id(id): Id<RunId>, reads: Reads<Paging>) -> Answered {
    let page = reads.page()?;
    let viewer = Viewer::of(&reads)?;
    reads
        .answer(&[Topic::Runs, Topic::Results, Topic::Evals], move |tx| {
            let run = store::runs::get(tx, &id)?;
            let view = results::list(tx, Of::Run(run.key), page, &viewer)?;
            settled(run.state.is_open(), view)
        })
        .await
}
