//! Evals: make, list, change, delete. Their samples have a file of their own.

use actix_web::web::Data;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::samples::{Sample, read_all};
use super::wire::{Done, IdParam, PageParams, Why, nullable, set};
use crate::app::App;
use crate::domain::evals::{self, Card, Measurement};
use crate::domain::id::EvalId;
use crate::domain::samples;
use crate::domain::users::Caller;
use crate::engine::scorer::Scorer;
use crate::error::Result;
use crate::http::json::EVAL_BODY;
use crate::http::{Answered, ApiError, Id, JsonBody, Paging, Params, Reads, Require, View, Write};
use crate::service;
use crate::service::evals::Draft;
use crate::service::once::Answer;
use crate::store::{self, Topic};

/// One named, versioned measurement.
#[derive(Serialize, ToSchema)]
pub struct Eval {
    id: String,
    name: String,
    description: String,
    /// The prompt template.
    prompt: String,
    /// What a good answer does; empty when the eval withholds its targets.
    expected_behavior: String,
    /// The scorer's name or alias, as typed.
    eval_type: String,
    /// The scorer's parameters: a JSON object as text; `{}` when the eval withholds its targets.
    eval_criteria: String,
    submitted_by: String,
    created_at: i64,
    updated_at: i64,
    is_active: bool,
    /// 1, 2, 3 ...: an edit of what decides a score makes a new one.
    version: i64,
    sample_count: i64,
    epochs: u32,
    reducer: String,
    pass_threshold: f64,
    /// The scorer's own name.
    scorer: String,
    /// Who grades, when the scorer asks a model.
    grader: Option<String>,
    category: Option<String>,
    tags: Vec<String>,
    weight: f64,
    chance_level: Option<f64>,
    higher_is_better: bool,
    hidden_targets: bool,
}

impl Eval {
    fn new(eval: evals::Eval, caller: &Caller) -> Self {
        let shows_targets = !eval.card.hidden_targets || caller.owns(eval.owner);
        let shown = |text: String, withheld: &str| if shows_targets { text } else { withheld.to_owned() };
        let (card, version) = (eval.card, eval.version);
        let measurement = version.measurement;
        Self {
            id: eval.id.into(),
            name: card.name,
            description: card.description,
            prompt: measurement.prompt,
            expected_behavior: shown(measurement.expected_behavior, ""),
            eval_type: measurement.eval_type,
            eval_criteria: shown(measurement.eval_criteria, "{}"),
            submitted_by: eval.submitted_by,
            created_at: eval.created_at.0,
            updated_at: eval.updated_at.0,
            is_active: card.is_active,
            version: version.number,
            sample_count: version.samples.count,
            epochs: measurement.epochs,
            reducer: measurement.reducer,
            pass_threshold: measurement.pass_threshold,
            scorer: version.scorer,
            grader: version.grader.map(|grader| grader.name),
            category: card.category,
            tags: card.tags,
            weight: card.weight,
            chance_level: card.chance_level,
            higher_is_better: card.higher_is_better,
            hidden_targets: card.hidden_targets,
        }
    }

    /// As its owner sees it.
    pub(super) fn whole(eval: &evals::Eval) -> Self {
        let hidden_targets = eval.card.hidden_targets;
        let card = Card { hidden_targets: false, ..eval.card.clone() };
        Self { hidden_targets, ..Self::new(evals::Eval { card, ..eval.clone() }, &Caller::Anonymous) }
    }
}

/// The scorer's parameters: a JSON object, or one as text.
#[derive(Deserialize, ToSchema, Clone)]
#[serde(untagged, expecting = "must be a JSON object, or one as text")]
pub enum Criteria {
    /// As text.
    Text(String),
    /// As it is.
    #[schema(value_type = Object)]
    Object(Map<String, Value>),
}

impl From<Criteria> for String {
    fn from(criteria: Criteria) -> Self {
        match criteria {
            Criteria::Text(text) => text,
            Criteria::Object(object) => Value::Object(object).to_string(),
        }
    }
}

/// An eval to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEval {
    /// 1-100 characters; may repeat.
    name: String,
    /// The prompt template: `{{input}}`, `{{choices}}` and `{{metadata.key}}` are filled in per sample. Another word
    /// in such braces is refused where it is close to one of them, and where the prompt has no `{{input}}`; written
    /// `{{!word}}` it is sent as `{{word}}`.
    prompt: String,
    /// exact, match, includes, pattern, numeric, choice, f1, rouge_l, bleu, levenshtein, json_equals,
    /// json_schema, multi, rubric, semantic, webhook, or an alias of one.
    eval_type: String,
    /// At most 1,000 characters.
    description: Option<String>,
    /// What a good answer does: target or rubric where nothing else gives one. At most 2,000 characters.
    expected_behavior: Option<String>,
    /// The scorer's parameters. A webhook's `secret` is kept apart, and never answered.
    eval_criteria: Option<Criteria>,
    /// Without samples the eval is one question: its prompt.
    samples: Option<Vec<Sample>>,
    /// How often each sample is asked, 1-100; 1 unless said.
    epochs: Option<u32>,
    /// How epochs become one score: mean (default), median, majority, max, at_least_k, pass_at_k or pass_k,
    /// with a number for k.
    reducer: Option<String>,
    /// From which score on a case counts as passed: 1 for scorers that say right or wrong, 0.5 for others,
    /// `eval_criteria.threshold` where there is one.
    pass_threshold: Option<f64>,
    /// A heading to group it under.
    category: Option<String>,
    /// Words to find it by, at most 20.
    tags: Option<Vec<String>>,
    /// Share in the mean of the board relative to the other evals, above 0; 1 unless said.
    weight: Option<f64>,
    /// Score that guessing reaches, 0 up to but not including 1.
    chance_level: Option<f64>,
    /// Whether a larger score is the better one; true unless said otherwise.
    higher_is_better: Option<bool>,
    /// Withholds targets, criteria and grader transcripts from everyone but owner and admins.
    hidden_targets: Option<bool>,
    /// Whether runs include it; true unless said otherwise.
    is_active: Option<bool>,
}

impl NewEval {
    /// What the domain makes of it, and the samples.
    ///
    /// # Errors
    /// `Invalid` when there is no such scorer, or two samples have one id.
    pub fn draft(self) -> Result<(Draft, Option<Vec<samples::Sample>>)> {
        let default = Card::default();
        let mut measurement = Measurement {
            prompt: self.prompt,
            expected_behavior: self.expected_behavior.unwrap_or_default(),
            eval_type: self.eval_type,
            eval_criteria: self.eval_criteria.map_or_else(|| "{}".to_owned(), String::from),
            epochs: self.epochs.unwrap_or(1),
            reducer: self.reducer.unwrap_or_else(|| "mean".to_owned()),
            pass_threshold: 1.0,
        };
        measurement.pass_threshold = match self.pass_threshold {
            Some(threshold) => threshold,
            None => Scorer::of(&measurement)?.default_pass_threshold(),
        };
        let card = Card {
            name: self.name,
            description: self.description.unwrap_or_default(),
            category: self.category,
            tags: self.tags.unwrap_or_default(),
            weight: self.weight.unwrap_or(default.weight),
            chance_level: self.chance_level,
            higher_is_better: self.higher_is_better.unwrap_or(default.higher_is_better),
            hidden_targets: self.hidden_targets.unwrap_or(default.hidden_targets),
            is_active: self.is_active.unwrap_or(default.is_active),
        };
        let samples = self.samples.map(read_all).transpose()?;
        Ok((Draft { card, measurement }, samples))
    }
}

/// What is to be changed of an eval. What is not named stays; null takes an optional field away.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EvalEdit {
    name: Option<String>,
    prompt: Option<String>,
    eval_type: Option<String>,
    description: Option<String>,
    expected_behavior: Option<String>,
    eval_criteria: Option<Criteria>,
    epochs: Option<u32>,
    reducer: Option<String>,
    pass_threshold: Option<f64>,
    tags: Option<Vec<String>>,
    weight: Option<f64>,
    higher_is_better: Option<bool>,
    hidden_targets: Option<bool>,
    is_active: Option<bool>,
    #[serde(default, deserialize_with = "nullable")]
    category: Option<Option<String>>,
    #[serde(default, deserialize_with = "nullable")]
    chance_level: Option<Option<f64>>,
    /// Why, for the ledger: at most 500 characters.
    reason: Option<String>,
}

impl EvalEdit {
    fn apply(&self, draft: &mut Draft) {
        let Draft { card, measurement } = draft;
        set(&mut measurement.prompt, &self.prompt);
        set(&mut measurement.eval_type, &self.eval_type);
        set(&mut measurement.expected_behavior, &self.expected_behavior);
        set(&mut measurement.eval_criteria, &self.eval_criteria.clone().map(String::from));
        set(&mut measurement.epochs, &self.epochs);
        set(&mut measurement.reducer, &self.reducer);
        set(&mut measurement.pass_threshold, &self.pass_threshold);
        set(&mut card.name, &self.name);
        set(&mut card.description, &self.description);
        set(&mut card.tags, &self.tags);
        set(&mut card.weight, &self.weight);
        set(&mut card.higher_is_better, &self.higher_is_better);
        set(&mut card.hidden_targets, &self.hidden_targets);
        set(&mut card.is_active, &self.is_active);
        set(&mut card.category, &self.category);
        set(&mut card.chance_level, &self.chance_level);
    }
}

/// Lists evals, newest first.
#[utoipa::path(get, path = "/api/v1/evals", tag = "Evals", params(PageParams), responses((status = 200, description = "A page of the list", body = [Eval])))]
pub async fn list(reads: Reads<Paging>) -> Answered {
    let page = reads.page()?;
    let caller = reads.caller().clone();
    reads
        .answer(&[Topic::Evals], move |tx| {
            View::list(store::evals::list(tx, page)?.map(|eval| Eval::new(eval, &caller)))
        })
        .await
}

/// One eval.
#[utoipa::path(get, path = "/api/v1/evals/{id}", tag = "Evals", params(IdParam), responses((status = 200, description = "As it is now", body = Eval)))]
pub async fn get(Id(id): Id<EvalId>, reads: Reads) -> Answered {
    let caller = reads.caller().clone();
    reads
        .answer(&[Topic::Evals], move |tx| View::json(&Eval::new(store::evals::get(tx, &id)?, &caller)))
        .await
}

/// Makes an eval, at most 8 MB of it; more samples go up by PUT.
#[utoipa::path(post, path = "/api/v1/evals", tag = "Evals", request_body(content = NewEval, example = json!({
    "name": "Capitals", "eval_type": "choice", "prompt": "{{input}}",
    "samples": [{"input": "The capital of Australia?", "choices": ["Sydney", "Canberra"], "target": "B"}],
})), security(("key" = [])), responses((status = 201, description = "It was made", body = Eval)))]
pub async fn create(
    user: Require<Write>,
    app: Data<App>,
    body: JsonBody<NewEval, EVAL_BODY>,
) -> Result<Answer, ApiError> {
    let (new, once) = body.split(&user);
    let (draft, samples) = new.draft()?;
    Ok(service::evals::create(&app, user.into_user(), draft, samples, once, created).await?)
}

fn created(eval: &evals::Eval) -> Result<Answer> {
    Answer::created(format!("/api/v1/evals/{}", eval.id), &Eval::whole(eval))
}

/// Changes an eval; an edit of what decides a score makes a new version. Owner or admin.
#[utoipa::path(patch, path = "/api/v1/evals/{id}", tag = "Evals", params(IdParam), request_body(content = EvalEdit, example = json!({"category": "Geography"})), security(("key" = [])), responses((status = 200, description = "As it is now", body = Eval)))]
pub async fn patch(
    user: Require<Write>,
    Id(id): Id<EvalId>,
    app: Data<App>,
    body: JsonBody<EvalEdit, EVAL_BODY>,
) -> Result<Answer, ApiError> {
    let edit = body.into_inner();
    let reason = edit.reason.clone();
    let apply = move |draft: &mut Draft| edit.apply(draft);
    let eval = service::evals::update(&app, user.into_user(), id, apply, reason).await?;
    Ok(Answer::ok(&Eval::whole(&eval))?)
}

/// Deletes an eval with all its results; the runs it was part of are counted again. Owner or admin.
#[utoipa::path(delete, path = "/api/v1/evals/{id}", tag = "Evals", params(IdParam, Why), security(("key" = [])), responses((status = 200, description = "It is gone", body = Done)))]
pub async fn delete(
    user: Require<Write>,
    Id(id): Id<EvalId>,
    Params(why): Params<Why>,
    app: Data<App>,
) -> Result<Answer, ApiError> {
    service::evals::delete(&app, user.into_user(), id, why.reason).await?;
    Ok(Answer::ok(&Done::DONE)?)
}
