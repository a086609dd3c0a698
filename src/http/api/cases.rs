//! Cases: each answer behind a number, with what was asked, what was expected and why it scored as it did.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::wire::{IdParam, PageParams};
use crate::domain::cases::{self, CaseFilter, CaseState};
use crate::domain::id::{CaseId, ResultId};
use crate::domain::page::Page;
use crate::domain::results;
use crate::domain::samples::Input;
use crate::domain::users::Caller;
use crate::error::{Error, Result};
use crate::http::{Answered, CachePolicy, Id, Reads, View};
use crate::store::{self, Topic};

/// One attempt at one sample.
#[derive(Serialize, ToSchema)]
pub struct Case {
    id: String,
    result_id: String,
    /// The sample's own id, else its index as text.
    sample_id: String,
    /// 1, 2, ... within the sample.
    epoch: i64,
    /// scored, unscored or error.
    state: &'static str,
    /// 0-1; null unless scored.
    score: Option<f64>,
    /// Category of what went wrong, such as `refusal` or `provider_error`.
    reason: Option<String>,
    /// What the model was given: text, or a list of messages.
    #[schema(value_type = Value)]
    input: Input,
    response: String,
    /// What was extracted from the response; null when the eval withholds its targets, which it may tell.
    answer: Option<String>,
    /// Accepted answers; null when the eval withholds them.
    target: Option<Vec<String>>,
    latency_ms: Option<i64>,
    /// Cached ones included; null is unknown.
    input_tokens: Option<i64>,
    /// Reasoning included; null is unknown.
    output_tokens: Option<i64>,
    /// US dollars; null is unknown.
    cost_usd: Option<f64>,
    /// Code of an error, such as `provider_timeout`.
    error: Option<String>,
    /// The same in words.
    error_message: Option<String>,
    /// Whether the answer was cut off at the token limit.
    truncated: bool,
    attempts: i64,
    created_at: i64,
}

/// A case with its long texts.
#[derive(Serialize, ToSchema)]
pub struct CaseDetail {
    #[serde(flatten)]
    case: Case,
    /// The messages as sent.
    #[schema(value_type = Value)]
    prompt: Value,
    /// How the score came about; null when the eval withholds it.
    #[schema(value_type = Value)]
    score_details: Option<Value>,
    /// What was said between us and the grader; null without one, or when the eval withholds it.
    #[schema(value_type = Value)]
    transcript: Option<Value>,
    /// Whether the model graded itself.
    self_graded: bool,
    /// What the grading cost in US dollars.
    grader_cost_usd: Option<f64>,
    cached_input_tokens: Option<i64>,
    reasoning_tokens: Option<i64>,
    /// The case of the earlier result that has the same answer, where it was scored again; else null.
    rescored_from: Option<String>,
}

impl Case {
    fn new(case: &cases::Case, shows_targets: bool) -> Self {
        let tokens = case.tokens;
        Self {
            id: case.id.to_string(),
            result_id: case.result.to_string(),
            sample_id: case.sample.key.clone(),
            epoch: case.epoch,
            state: case.state.as_str(),
            score: case.score,
            reason: case.reason.clone(),
            input: case.sample.input.clone(),
            response: case.response.clone(),
            answer: case.answer.clone().filter(|_| shows_targets),
            target: shows_targets.then(|| case.sample.target.clone()),
            latency_ms: case.latency_ms,
            input_tokens: tokens.input.map(|input| input + tokens.cached_input.unwrap_or(0)),
            output_tokens: tokens.all_output(),
            cost_usd: case.cost_usd,
            error: case.error.clone(),
            error_message: case.error_message.clone(),
            truncated: case.is_truncated,
            attempts: case.attempts,
            created_at: case.created_at.0,
        }
    }
}

/// Which cases of a result are asked for.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CaseQuery {
    /// wrong, scored, unscored or error.
    state: Option<String>,
    #[param(ignore)]
    limit: Option<String>,
    #[param(ignore)]
    cursor: Option<String>,
}

impl CaseQuery {
    fn filter(&self) -> Result<CaseFilter> {
        match self.state.as_deref() {
            None => Ok(CaseFilter::All),
            Some("wrong") => Ok(CaseFilter::Wrong),
            Some("scored") => Ok(CaseFilter::In(CaseState::Scored)),
            Some("unscored") => Ok(CaseFilter::In(CaseState::Unscored)),
            Some("error") => Ok(CaseFilter::In(CaseState::Error)),
            Some(_) => Err(Error::invalid("state", "state must be wrong, scored, unscored or error")),
        }
    }
}

/// The cases of a result, in the order of its samples.
#[utoipa::path(get, path = "/api/v1/results/{id}/cases", tag = "Results", params(IdParam, CaseQuery, PageParams), responses((status = 200, description = "A page of the list", body = [Case])))]
pub async fn list(Id(id): Id<ResultId>, reads: Reads<CaseQuery>) -> Answered {
    let filter = reads.params.filter()?;
    let page = Page::parse(reads.params.limit.as_deref(), reads.params.cursor.as_deref())?;
    let caller = reads.caller().clone();
    reads
        .answer(&[Topic::Results, Topic::Evals], move |tx| {
            let result = store::results::get(tx, &id)?;
            let shows_targets = shows_targets(&result, &caller);
            let cases = store::cases::list(tx, result.key, filter, page)?;
            settled(&result, View::list(cases.map(|case| Case::new(&case, shows_targets)))?)
        })
        .await
}

/// One case, with the prompt as sent, the score's details and the grader's transcript.
#[utoipa::path(get, path = "/api/v1/cases/{id}", tag = "Results", params(IdParam), responses((status = 200, description = "As it is now", body = CaseDetail)))]
pub async fn get(Id(id): Id<CaseId>, reads: Reads) -> Answered {
    let caller = reads.caller().clone();
    reads
        .answer(&[Topic::Results, Topic::Evals], move |tx| {
            let case = store::cases::get(tx, &id)?;
            let result = store::results::get(tx, &case.result)?;
            let texts = store::cases::texts(tx, &case)?;
            let shows_targets = shows_targets(&result, &caller);
            let earlier = store::answers::earlier(tx, &result, &case)?;
            let detail = CaseDetail {
                prompt: json(&texts.prompt)?,
                score_details: shows_targets.then(|| json(&case.score_details)).transpose()?,
                transcript: texts.transcript.filter(|_| shows_targets).map(|text| json(&text)).transpose()?,
                self_graded: case.is_self_graded,
                grader_cost_usd: case.grader_cost_usd,
                cached_input_tokens: case.tokens.cached_input,
                reasoning_tokens: case.tokens.reasoning,
                rescored_from: earlier.map(String::from),
                case: Case::new(&case, shows_targets),
            };
            settled(&result, View::json(&detail)?)
        })
        .await
}

fn shows_targets(result: &results::EvalResult, caller: &Caller) -> bool {
    !result.hidden_targets || caller.owns(result.eval_owner)
}

/// What belongs to an unfinished run is asked for anew each time.
fn settled(result: &results::EvalResult, view: View) -> Result<View> {
    Ok(if result.run_is_open { view.policy(CachePolicy::Revalidate) } else { view })
}

fn json(text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(Error::internal)
}
