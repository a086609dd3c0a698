//! Results: the model x eval cells of runs, and the answer behind a cell that has only one.

use serde::Serialize;
use utoipa::ToSchema;

use super::wire::IdParam;
use crate::domain::cases::Case;
use crate::domain::id::ResultId;
use crate::domain::page::{Page, Slice};
use crate::domain::results::{self, ResultState};
use crate::domain::users::Caller;
use crate::error::Result;
use crate::http::{Answered, CachePolicy, Id, Reads, View};
use crate::service::endpoints::Endpoints;
use crate::store::results::Of;
use crate::store::{self, Topic, Tx};

/// A model x eval cell of a run.
#[derive(Serialize, ToSchema)]
pub struct EvalResult {
    id: String,
    eval_run_id: String,
    eval_id: String,
    model_id: String,
    /// What the model said, for evals of one sample and one epoch, unless it was removed (`answers_removed`); else
    /// empty: see the cases.
    response: String,
    /// Mean score, 0-1, as the scorer gave it: of what is scored so far while it is running, and null when it is
    /// incomplete.
    score: Option<f64>,
    /// A JSON object as text.
    score_details: String,
    /// Mean latency; 0 when nothing answered.
    latency_ms: i64,
    /// Such as `3 of 200 failed: provider_timeout`.
    error: Option<String>,
    /// The provider's answer without secrets, in the single GET of evals of one sample; else empty.
    raw_data: String,
    created_at: i64,
    /// running, complete or incomplete.
    state: &'static str,
    case_count: i64,
    scored_count: i64,
    error_count: i64,
    passed_count: i64,
    /// Cases whose verdict a person overruled: `GET /api/v1/results/{id}/cases?state=overruled` lists them.
    overruled_count: i64,
    /// Cases whose texts were removed, since this server keeps them for a limited time only. Their numbers stay.
    answers_removed: i64,
    stderr: Option<f64>,
    ci_low: Option<f64>,
    ci_high: Option<f64>,
    /// 0.95 where there is an interval.
    ci_level: Option<f64>,
    ci_method: Option<String>,
    n_items: i64,
    n_clusters: Option<i64>,
    /// The lowest score that it can have, what is missing being 0.
    score_low: Option<f64>,
    /// The highest score that it can have, what is missing being 1.
    score_high: Option<f64>,
    epochs: i64,
    reducer: String,
    eval_version: i64,
    model_revision: String,
    input_tokens: Option<i64>,
    output_tokens: Option<i64>,
    /// US dollars; null is unknown.
    cost_usd: Option<f64>,
    provenance: String,
    /// The earlier result whose answers were scored again for this one, without asking the model; else null.
    rescored_from: Option<String>,
}

/// The one case of a result, with what only the single GET shows.
#[derive(Default)]
struct Only {
    response: String,
    score_details: Option<String>,
    raw: String,
}

impl EvalResult {
    fn new(result: results::EvalResult, only: Only) -> Self {
        let bounds = result.bounds();
        let is_running = result.state == ResultState::Running;
        let running_mean = result.running_mean().filter(|_| is_running);
        Self {
            id: result.id.into(),
            eval_run_id: result.run.into(),
            eval_id: result.eval.into(),
            model_id: result.model.into(),
            response: only.response,
            score: result.score.or(running_mean),
            score_details: only.score_details.unwrap_or_else(|| "{}".to_owned()),
            latency_ms: result.latency_ms,
            error: result.error,
            raw_data: only.raw,
            created_at: result.created_at.0,
            state: result.state.as_str(),
            case_count: result.counts.cases,
            scored_count: result.counts.scored,
            error_count: result.counts.errors,
            passed_count: result.counts.passed,
            overruled_count: result.overruled,
            answers_removed: result.removed,
            stderr: result.stderr,
            ci_low: result.interval.map(|interval| interval.clipped(0.0, 1.0).low),
            ci_high: result.interval.map(|interval| interval.clipped(0.0, 1.0).high),
            ci_level: result.interval.map(|_| crate::domain::stats::CI_LEVEL),
            ci_method: result.ci_method,
            n_items: result.item_count,
            n_clusters: result.cluster_count,
            score_low: bounds.map(|(low, _)| low),
            score_high: bounds.map(|(_, high)| high),
            epochs: result.epochs,
            reducer: result.reducer,
            eval_version: result.eval_version,
            model_revision: result.model_revision,
            input_tokens: result.input_tokens,
            output_tokens: result.output_tokens,
            cost_usd: result.cost_usd,
            provenance: result.provenance,
            rescored_from: result.rescored_from.map(String::from),
        }
    }
}

/// Who asks for results, and what they may see of the models' endpoints.
pub(super) struct Viewer {
    caller: Caller,
    endpoints: Endpoints,
}

impl Viewer {
    pub(super) fn of<Q>(reads: &Reads<Q>) -> Result<Self> {
        Ok(Self { caller: reads.caller().clone(), endpoints: reads.endpoints()? })
    }
}

/// A page of results as the lists of models and runs show them.
///
/// # Errors
/// The store's.
pub(super) fn list(tx: &mut Tx<'_>, of: Of, page: Page, viewer: &Viewer) -> Result<View> {
    let veil = viewer.endpoints.veil(tx)?;
    let slice = store::results::list(tx, of, page)?;
    let is_open = slice.rows.iter().any(|result| result.run_is_open);
    let mut rows = Vec::with_capacity(slice.rows.len());
    for result in slice.rows {
        let only = only_case(tx, &result)?;
        let only = only.map(|case| shown(&result, &viewer.caller, &veil.case(case))).unwrap_or_default();
        rows.push(EvalResult::new(result, only));
    }
    let view = View::list(Slice { rows, total: slice.total, next: slice.next })?;
    Ok(if is_open { view.policy(CachePolicy::Revalidate) } else { view })
}

/// One result.
#[utoipa::path(get, path = "/api/v1/results/{id}", tag = "Results", params(IdParam), responses((status = 200, description = "As it is now", body = EvalResult)))]
pub async fn get(Id(id): Id<ResultId>, reads: Reads) -> Answered {
    let Viewer { caller, endpoints } = Viewer::of(&reads)?;
    reads
        .answer(&[Topic::Results, Topic::Evals], move |tx| {
            let result = store::results::get(tx, &id)?;
            let mut only = Only::default();
            if let Some(case) = only_case(tx, &result)? {
                let veil = endpoints.veil(tx)?;
                let texts = veil.case_texts(store::cases::texts(tx, &case)?);
                only = shown(&result, &caller, &veil.case(case));
                only.raw = texts.raw.unwrap_or_default();
            }
            let is_open = result.run_is_open;
            let view = View::json(&EvalResult::new(result, only))?;
            Ok(if is_open { view.policy(CachePolicy::Revalidate) } else { view })
        })
        .await
}

/// The case of a result that has just one.
fn only_case(tx: &mut Tx<'_>, result: &results::EvalResult) -> Result<Option<Case>> {
    if result.counts.planned != 1 {
        return Ok(None);
    }
    store::cases::first_of(tx, result.key)
}

/// What of the one case a caller may see: its details tell the target, which may be withheld.
fn shown(result: &results::EvalResult, caller: &Caller, case: &Case) -> Only {
    let is_open_to_him = !result.hidden_targets || caller.owns(result.eval_owner);
    Only {
        response: case.response.clone(),
        score_details: is_open_to_him.then(|| case.score_details.clone()),
        raw: String::new(),
    }
}
