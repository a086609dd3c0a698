//! Cases: each answer behind a number, with what was asked, what was expected and why it scored as it did; and a
//! person's verdict on it in place of the scorer's.

mod download;
mod export;

use actix_web::HttpRequest;
use actix_web::web::Data;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use download::Wanted;
use export::Format;

use super::wire::{IdParam, PageParams, Why};
use crate::app::App;
use crate::domain::cases::{self, CaseFilter, CaseState};
use crate::domain::id::{CaseId, ResultId};
use crate::domain::overrules::{self, Said};
use crate::domain::page::Page;
use crate::domain::results;
use crate::domain::samples::Input;
use crate::domain::users::Caller;
use crate::error::{Error, Result};
use crate::http::keyed::KeyedPage;
use crate::http::{Answered, ApiError, CachePolicy, Id, JsonBody, Params, Reads, Require, Site, View, Write};
use crate::service;
use crate::service::once::Answer;
use crate::service::overrules::Opened;
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
    /// scored, unscored or error, by the verdict that counts: a person's where there is one.
    state: &'static str,
    /// 0-1, by the verdict that counts; null unless scored.
    score: Option<f64>,
    /// Category of what went wrong, such as `refusal` or `provider_error`; null where a person's verdict counts.
    reason: Option<String>,
    /// Both verdicts, where a person overruled the scorer's; else null.
    overrule: Option<Overrule>,
    /// What the model was given: text, or a list of messages.
    #[schema(value_type = Value)]
    input: Input,
    /// What the model said, thinking between tags included; null when it was removed.
    response: Option<String>,
    /// The model's reasoning, which is never scored: what the provider sent in a field of its own, and thinking that
    /// was left out of the answer. Null where there was none, and when it was removed.
    reasoning: Option<String>,
    /// When the texts of this case (prompt, response, reasoning, answer, details, transcript) were removed, since this server
    /// keeps them for a limited time only; null while they are there. Its numbers stay.
    answer_removed_at: Option<i64>,
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
    /// The same in words. It names the host that failed to callers who may see where models are called.
    error_message: Option<String>,
    /// Whether the answer was cut off at the token limit.
    truncated: bool,
    attempts: i64,
    created_at: i64,
}

/// A person's verdict on an answer, and the scorer's that it stands before.
#[derive(Serialize, ToSchema)]
pub struct Overrule {
    /// What the person gave, 0-1: it is what counts.
    score: Option<f64>,
    /// Why.
    reason: String,
    submitted_by: String,
    /// The same person as an id that never changes.
    user_id: String,
    /// When.
    at: i64,
    scorer: ScorerVerdict,
}

/// What the scorer said of an answer.
#[derive(Serialize, ToSchema)]
pub struct ScorerVerdict {
    /// scored or unscored.
    state: &'static str,
    /// 0-1; null when it gave no score.
    score: Option<f64>,
    /// Category of what went wrong, such as `refusal` or `grader_failed`.
    reason: Option<String>,
    /// Code of an error.
    error: Option<String>,
}

impl Overrule {
    fn new(case: &cases::Case, overrule: &overrules::Overrule) -> Self {
        let overrules::Overrule { by, submitted_by, at, reason, scorer_state, scorer_score } =
            overrule.clone();
        let scorer = ScorerVerdict {
            state: scorer_state.as_str(),
            score: scorer_score,
            reason: case.reason.clone(),
            error: case.error.clone(),
        };
        Self { score: case.score, reason, submitted_by, user_id: by.into(), at: at.0, scorer }
    }
}

/// A case with its long texts.
#[derive(Serialize, ToSchema)]
pub struct CaseDetail {
    #[serde(flatten)]
    case: Case,
    /// The messages as sent; null when they were removed.
    #[schema(value_type = Value)]
    prompt: Option<Value>,
    /// How the score came about, as the scorer says; null when it was removed, or when the eval withholds it.
    #[schema(value_type = Value)]
    score_details: Option<Value>,
    /// What was said between us and the grader; null without one, when it was removed, or when the eval withholds it.
    #[schema(value_type = Value)]
    transcript: Option<Value>,
    /// Whether the model graded itself.
    self_graded: bool,
    /// What the grading cost in US dollars.
    grader_cost_usd: Option<f64>,
    /// Of the input, what was read from a cache.
    cached_input_tokens: Option<i64>,
    /// Of the input, what was written to a cache.
    cache_write_tokens: Option<i64>,
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
            reason: case.standing_reason().map(str::to_owned),
            overrule: case.overrule.as_ref().map(|overrule| Overrule::new(case, overrule)),
            input: case.sample.input.clone(),
            response: case.said().map(str::to_owned),
            reasoning: case.reasoning.clone(),
            answer_removed_at: case.removed_at.map(|at| at.0),
            answer: case.answer.clone().filter(|_| shows_targets),
            target: shows_targets.then(|| case.sample.target.clone()),
            latency_ms: case.latency_ms,
            input_tokens: tokens.all_input(),
            output_tokens: tokens.all_output(),
            cost_usd: case.cost_usd,
            error: case.standing_error().map(str::to_owned),
            error_message: case.error_message.clone().filter(|_| case.overrule.is_none()),
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
    /// wrong, scored, unscored, error or overruled.
    state: Option<String>,
    /// json unless said otherwise; csv and ndjson are files: of all the rows, or of one page of them where there is a
    /// `limit` or a `cursor`.
    format: Option<String>,
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
            Some("overruled") => Ok(CaseFilter::Overruled),
            Some(_) => {
                Err(Error::invalid("state", "state must be wrong, scored, unscored, error or overruled"))
            }
        }
    }
}

/// The cases of a result, in the order of its samples. As `csv` or `ndjson` without `limit` and `cursor` all of them
/// come in one file; it breaks off without an end where it cannot be read on.
#[utoipa::path(get, path = "/api/v1/results/{id}/cases", tag = "Results", params(IdParam, CaseQuery, PageParams), responses((status = 200, description = "A page of the list, or a file", body = [Case])))]
pub async fn list(
    Id(id): Id<ResultId>,
    reads: Reads<CaseQuery>,
    request: HttpRequest,
    site: Data<Site>,
) -> Answered {
    let CaseQuery { state, format, limit, cursor } = &reads.params;
    let (filter, format) = (reads.params.filter()?, Format::parse(format.as_deref())?);
    let page = Page::parse(&reads.list(), limit.as_deref(), cursor.as_deref())?;
    let (caller, endpoints) = (reads.caller().clone(), reads.endpoints()?);
    let wanted = Wanted { result: id, caller, endpoints, filter, format, state: state.clone() };
    if format != Format::Json && limit.is_none() && cursor.is_none() {
        return download::send(wanted, &request, &site).await;
    }
    let found = wanted.clone();
    reads
        .answer_keyed(
            &[Topic::Results, Topic::Evals],
            move |tx| {
                let result = store::results::get(tx, &found.result)?;
                let keys = store::case_keys::page(tx, result.key, filter, page)?;
                let view = settled(&result, format.view(&format!("{}-part", found.file_name(&result))));
                Ok(KeyedPage::new(keys, view, format.framing()))
            },
            move |tx, keys, is_first| wanted.rows(tx, keys, is_first),
        )
        .await
}

/// One case, with the prompt as sent, the score's details and the grader's transcript.
#[utoipa::path(get, path = "/api/v1/cases/{id}", tag = "Results", params(IdParam), responses((status = 200, description = "As it is now", body = CaseDetail)))]
pub async fn get(Id(id): Id<CaseId>, reads: Reads) -> Answered {
    let (caller, endpoints) = (reads.caller().clone(), reads.endpoints()?);
    reads
        .answer(&[Topic::Results, Topic::Evals], move |tx| {
            let opened = Opened::read(tx, &id)?.behind(&endpoints.veil(tx)?);
            let shows_targets = shows_targets(&opened.result, &caller);
            Ok(settled(&opened.result, View::json(&CaseDetail::new(&opened, shows_targets)?)?))
        })
        .await
}

impl CaseDetail {
    fn new(opened: &Opened, shows_targets: bool) -> Result<Self> {
        let Opened { case, texts, earlier, .. } = opened;
        let is_there = case.removed_at.is_none();
        let shown =
            |text: Option<&str>, may_be: bool| text.filter(|_| may_be && is_there).map(json).transpose();
        Ok(Self {
            prompt: shown(Some(&texts.prompt), true)?,
            score_details: shown(Some(&case.score_details), shows_targets)?,
            transcript: shown(texts.transcript.as_deref(), shows_targets)?,
            self_graded: case.is_self_graded,
            grader_cost_usd: case.grader_cost_usd,
            cached_input_tokens: case.tokens.cached_input,
            cache_write_tokens: case.tokens.cache_write,
            reasoning_tokens: case.tokens.reasoning,
            rescored_from: earlier.as_ref().map(ToString::to_string),
            case: Case::new(case, shows_targets),
        })
    }
}

/// A person's verdict.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOverrule {
    /// 0-1; 0 or 1 where the eval's scorer says right or wrong. Either this or `correct`.
    score: Option<f64>,
    /// Whether the answer is right: 1 or 0, and 0 or 1 where lower scores are better.
    correct: Option<bool>,
    /// Why: 1-500 characters, shown with the verdict and in the ledger.
    reason: String,
}

/// Overrules the scorer's verdict on an answer, or an earlier verdict of a person's. The case keeps both; the result's
/// score, interval and counts and the board follow from the person's in the same moment, and the ledger tells of it.
/// Whoever owns the eval, which says what is right there, or an admin; whoever owns the model as well needs an admin.
/// An unscored case can be judged, since it has an answer, and then counts as measured; one in error cannot. Not while
/// the run is open, and not once the answer was removed. A retry leaves such cases alone; a rescore makes a new result
/// with verdicts of its own.
#[utoipa::path(post, path = "/api/v1/cases/{id}/overrule", tag = "Results", params(IdParam), request_body(content = NewOverrule, example = json!({"correct": true, "reason": "Canberra is spelt with a typo, and meant"})), security(("key" = [])), responses((status = 200, description = "As it is now", body = CaseDetail)))]
pub async fn overrule(
    user: Require<Write>,
    Id(id): Id<CaseId>,
    app: Data<App>,
    body: JsonBody<NewOverrule>,
) -> Result<Answer, ApiError> {
    let (new, once) = body.split(&user);
    let said = Said { score: new.score, correct: new.correct };
    Ok(service::overrules::overrule(&app, user.into_user(), id, (said, new.reason), once, judged).await?)
}

/// Takes a person's verdict back, so that the scorer's counts again; `reason` must say why. Whoever may overrule it.
#[utoipa::path(delete, path = "/api/v1/cases/{id}/overrule", tag = "Results", params(IdParam, Why), security(("key" = [])), responses((status = 200, description = "As it is now", body = CaseDetail)))]
pub async fn reinstate(
    user: Require<Write>,
    Id(id): Id<CaseId>,
    Params(why): Params<Why>,
    app: Data<App>,
) -> Result<Answer, ApiError> {
    let opened = service::overrules::reinstate(&app, user.into_user(), id, why.reason).await?;
    Ok(judged(&opened)?)
}

/// As whoever may judge it sees it.
fn judged(opened: &Opened) -> Result<Answer> {
    Answer::ok(&CaseDetail::new(opened, true)?)
}

fn shows_targets(result: &results::EvalResult, caller: &Caller) -> bool {
    !result.hidden_targets || caller.owns(result.eval_owner)
}

/// What belongs to an unfinished run is asked for anew each time.
fn settled(result: &results::EvalResult, view: View) -> View {
    if result.run_is_open { view.policy(CachePolicy::Revalidate) } else { view }
}

fn json(text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(Error::internal)
}
