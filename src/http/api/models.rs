//! Models: register, list, change, delete, and their results. A key goes in and never comes out.

use actix_web::web::Data;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::model_checks::ModelCheck;
use super::results::{self, EvalResult, Viewer};
use super::wire::{Done, IdParam, PageParams, Why, nullable, set};
use crate::app::App;
use crate::domain::id::ModelId;
use crate::domain::models::{self, Card, Prices};
use crate::domain::parameters::Parameters;
use crate::domain::sharing::{DEFAULT_SHARED_DAILY_CALLS, Sharing};
use crate::error::Result;
use crate::http::{Answered, ApiError, Id, JsonBody, Paging, Params, Reads, Require, View, Write};
use crate::service;
use crate::service::models::Registered;
use crate::service::once::Answer;
use crate::store::results::Of;
use crate::store::{self, Topic};

/// A registered model.
#[derive(Serialize, ToSchema)]
pub struct Model {
    id: String,
    name: String,
    description: String,
    /// Where it is called. Unless the operator shows endpoints to everybody, a caller without a key sees
    /// `openai-compatible:#model` or `https://…` in the place of one that holds an address.
    inference_uri: String,
    is_official: bool,
    /// The owner's e-mail address.
    submitted_by: String,
    /// Milliseconds since 1970.
    created_at: i64,
    updated_at: i64,
    is_active: bool,
    /// Whether a key of its own is stored.
    has_api_key: bool,
    /// Names what decides the answers: inference URI and parameters.
    revision: String,
    #[schema(value_type = ModelParameters)]
    parameters: Parameters,
    /// Who serves it; null where that was read off a host that the caller may not see.
    provider: Option<String>,
    url: Option<String>,
    license: Option<String>,
    open_weights: Option<bool>,
    max_concurrency: Option<u32>,
    timeout_ms: Option<i64>,
    /// US dollars per million tokens; null is unknown.
    input_price: Option<f64>,
    output_price: Option<f64>,
    cached_input_price: Option<f64>,
    cache_write_price: Option<f64>,
    /// Whether people other than its owner and admins may run it on its own key (`api_key`). A model without one is
    /// not bound by this.
    shared: bool,
    /// Calls on its key that each of them may make in a day (UTC), as a model or as a grader.
    shared_daily_calls: u32,
    /// US dollars that the calls of each of them may cost in a day; null is no such cap.
    shared_daily_usd: Option<f64>,
    /// The run that was started with it; only in the answer to a registration that asked for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<String>,
}

impl From<models::Model> for Model {
    fn from(model: models::Model) -> Self {
        let card = model.card;
        Self {
            id: model.id.into(),
            name: card.name,
            description: card.description,
            inference_uri: card.inference_uri,
            is_official: card.is_official,
            submitted_by: model.submitted_by,
            created_at: model.created_at.0,
            updated_at: model.updated_at.0,
            is_active: card.is_active,
            has_api_key: model.has_api_key,
            revision: model.revision.hash,
            parameters: card.parameters,
            provider: card.provider,
            url: card.url,
            license: card.license,
            open_weights: card.open_weights,
            max_concurrency: card.max_concurrency,
            timeout_ms: card.timeout_ms,
            input_price: card.prices.input,
            output_price: card.prices.output,
            cached_input_price: card.prices.cached_input,
            cache_write_price: card.prices.cache_write,
            shared: card.sharing.shared,
            shared_daily_calls: card.sharing.daily_calls,
            shared_daily_usd: card.sharing.daily_usd,
            run_id: None,
        }
    }
}

/// How a model is asked; what is not given is not sent.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only the description of the parameters, which the domain reads")]
pub struct ModelParameters {
    /// Longest answer, in tokens; sent as `max_completion_tokens` where the endpoint refuses `max_tokens`.
    max_tokens: Option<u32>,
    /// none, minimal, low, medium, high or xhigh.
    reasoning_effort: Option<String>,
    /// For providers that can repeat an answer.
    seed: Option<i64>,
    /// 1-4 texts that end the answer.
    stop: Option<Vec<String>>,
    /// Streams the answers, as some endpoints demand. An endpoint that refuses anything else is asked for a
    /// stream in any case.
    stream: Option<bool>,
    /// Stands above every prompt.
    system_prompt: Option<String>,
    /// 0 to 2.
    temperature: Option<f64>,
    /// auto or off: whether thinking between tags inside the answer (`<think>` and its like) is left out of what is
    /// scored, and kept as the case's reasoning. auto unless given; not sent to the provider.
    thinking_tags: Option<String>,
    /// 0 to 1.
    top_p: Option<f64>,
}

/// A model to be registered.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewModel {
    /// 1-100 characters; may repeat.
    #[schema(example = "Random choice")]
    name: String,
    /// `provider/model`, `openai-compatible:https://host/v1#model`, `https://host/path` or `builtin:...`.
    #[schema(example = "builtin:random?seed=7")]
    inference_uri: String,
    /// At most 1,000 characters.
    description: Option<String>,
    /// Sealed at rest and never shown; bound to scheme, host and port of the inference URI.
    api_key: Option<String>,
    /// True only from an admin.
    is_official: Option<bool>,
    /// Whether runs include it and the board shows it; true unless said otherwise.
    is_active: Option<bool>,
    #[schema(value_type = Option<ModelParameters>)]
    parameters: Option<Parameters>,
    /// Who serves it; read off the inference URI unless said.
    provider: Option<String>,
    /// A page about it.
    url: Option<String>,
    /// The licence of its weights.
    license: Option<String>,
    /// Whether its weights can be had.
    open_weights: Option<bool>,
    /// Calls in flight at once, 1-1,000.
    max_concurrency: Option<u32>,
    /// Time for one answer, in milliseconds.
    timeout_ms: Option<i64>,
    /// US dollars per million input tokens; null is unknown, not free. A built-in model counts words, and is free
    /// where it has no price.
    input_price: Option<f64>,
    /// US dollars per million output tokens, reasoning included.
    output_price: Option<f64>,
    /// US dollars per million input tokens read from a cache; the input price when unknown.
    cached_input_price: Option<f64>,
    /// US dollars per million input tokens written to a cache; the input price when unknown.
    cache_write_price: Option<f64>,
    /// Lets people other than you and admins run it on its `api_key`, as a model or as a grader, each up to the caps
    /// below; false unless said otherwise.
    shared: Option<bool>,
    /// Calls that each of them may make in a day (UTC), 1 to 1,000,000; 200 unless said otherwise.
    shared_daily_calls: Option<u32>,
    /// US dollars, above 0, that the calls of each of them may cost in a day; calls under way count at an estimate.
    /// It needs an `input_price` and an `output_price`. Left out, only the number of calls is capped.
    shared_daily_usd: Option<f64>,
    /// Also starts a run of it over all active evals, whose id the answer holds as `run_id`; false unless said
    /// otherwise. When that run may not be started, nothing is registered.
    run: Option<bool>,
}

impl NewModel {
    /// What the domain makes of it, and the key.
    #[must_use]
    pub fn card(self) -> (Card, Option<String>) {
        let card = Card {
            description: self.description.unwrap_or_default(),
            is_official: self.is_official.unwrap_or(false),
            is_active: self.is_active.unwrap_or(true),
            parameters: self.parameters.unwrap_or_default(),
            provider: self.provider,
            url: self.url,
            license: self.license,
            open_weights: self.open_weights,
            max_concurrency: self.max_concurrency,
            timeout_ms: self.timeout_ms,
            prices: Prices {
                input: self.input_price,
                output: self.output_price,
                cached_input: self.cached_input_price,
                cache_write: self.cache_write_price,
            },
            sharing: Sharing {
                shared: self.shared.unwrap_or(false),
                daily_calls: self.shared_daily_calls.unwrap_or(DEFAULT_SHARED_DAILY_CALLS),
                daily_usd: self.shared_daily_usd,
            },
            ..Card::new(self.name, self.inference_uri)
        };
        (card, self.api_key)
    }
}

/// What is to be changed of a model. What is not named stays; null takes an optional field away.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelEdit {
    name: Option<String>,
    inference_uri: Option<String>,
    description: Option<String>,
    is_official: Option<bool>,
    is_active: Option<bool>,
    #[schema(value_type = Option<ModelParameters>)]
    parameters: Option<Parameters>,
    #[serde(default, deserialize_with = "nullable")]
    api_key: Option<Option<String>>,
    #[serde(default, deserialize_with = "nullable")]
    provider: Option<Option<String>>,
    #[serde(default, deserialize_with = "nullable")]
    url: Option<Option<String>>,
    #[serde(default, deserialize_with = "nullable")]
    license: Option<Option<String>>,
    #[serde(default, deserialize_with = "nullable")]
    open_weights: Option<Option<bool>>,
    #[serde(default, deserialize_with = "nullable")]
    max_concurrency: Option<Option<u32>>,
    #[serde(default, deserialize_with = "nullable")]
    timeout_ms: Option<Option<i64>>,
    #[serde(default, deserialize_with = "nullable")]
    input_price: Option<Option<f64>>,
    #[serde(default, deserialize_with = "nullable")]
    output_price: Option<Option<f64>>,
    #[serde(default, deserialize_with = "nullable")]
    cached_input_price: Option<Option<f64>>,
    #[serde(default, deserialize_with = "nullable")]
    cache_write_price: Option<Option<f64>>,
    /// Only its owner may turn this on or raise the caps; owner and admins may turn it off.
    shared: Option<bool>,
    shared_daily_calls: Option<u32>,
    #[serde(default, deserialize_with = "nullable")]
    shared_daily_usd: Option<Option<f64>>,
    /// Why, for the ledger: at most 500 characters.
    reason: Option<String>,
}

impl ModelEdit {
    fn apply(&self, card: &mut Card) {
        set(&mut card.name, &self.name);
        // The provider was read off the old URI unless somebody named one.
        if self.inference_uri.is_some() && self.provider.is_none() {
            card.provider = None;
        }
        set(&mut card.inference_uri, &self.inference_uri);
        set(&mut card.description, &self.description);
        set(&mut card.is_official, &self.is_official);
        set(&mut card.is_active, &self.is_active);
        set(&mut card.parameters, &self.parameters);
        set(&mut card.provider, &self.provider);
        set(&mut card.url, &self.url);
        set(&mut card.license, &self.license);
        set(&mut card.open_weights, &self.open_weights);
        set(&mut card.max_concurrency, &self.max_concurrency);
        set(&mut card.timeout_ms, &self.timeout_ms);
        set(&mut card.prices.input, &self.input_price);
        set(&mut card.prices.output, &self.output_price);
        set(&mut card.prices.cached_input, &self.cached_input_price);
        set(&mut card.prices.cache_write, &self.cache_write_price);
        set(&mut card.sharing.shared, &self.shared);
        set(&mut card.sharing.daily_calls, &self.shared_daily_calls);
        set(&mut card.sharing.daily_usd, &self.shared_daily_usd);
    }
}

/// Lists models, newest first. Keys are never part of an answer.
#[utoipa::path(get, path = "/api/v1/models", tag = "Models", params(PageParams), responses((status = 200, description = "A page of the list", body = [Model])))]
pub async fn list(reads: Reads<Paging>) -> Answered {
    let (page, endpoints) = (reads.page()?, reads.endpoints()?);
    reads
        .answer(&[Topic::Models], move |tx| {
            let veil = endpoints.veil(tx)?;
            View::list(store::models::list(tx, page)?.map(|model| Model::from(veil.model(model))))
        })
        .await
}

/// One model.
#[utoipa::path(get, path = "/api/v1/models/{id}", tag = "Models", params(IdParam), responses((status = 200, description = "As it is now", body = Model)))]
pub async fn get(Id(id): Id<ModelId>, reads: Reads) -> Answered {
    let endpoints = reads.endpoints()?;
    reads
        .answer(&[Topic::Models], move |tx| {
            let model = endpoints.veil(tx)?.model(store::models::get(tx, &id)?);
            View::json(&Model::from(model))
        })
        .await
}

/// Registers a model, and with `run` also starts its first run.
#[utoipa::path(post, path = "/api/v1/models", tag = "Models", request_body = NewModel, security(("key" = [])), responses((status = 201, description = "It was made", body = Model)))]
pub async fn create(
    user: Require<Write>,
    app: Data<App>,
    body: JsonBody<NewModel>,
) -> Result<Answer, ApiError> {
    let (new, once) = body.split(&user);
    let runs = new.run.unwrap_or(false);
    let (card, api_key) = new.card();
    Ok(service::models::create(&app, user.into_user(), card, (api_key, runs), once, created).await?)
}

fn created(registered: &Registered) -> Result<Answer> {
    let run_id = registered.run.clone().map(String::from);
    let model = Model { run_id, ..Model::from(registered.model.clone()) };
    Answer::created(format!("/api/v1/models/{}", registered.model.id), &model)
}

/// Changes a model; another inference URI or other parameters make another revision. Owner or admin.
#[utoipa::path(patch, path = "/api/v1/models/{id}", tag = "Models", params(IdParam), request_body(content = ModelEdit, example = json!({"description": "Answers by chance."})), security(("key" = [])), responses((status = 200, description = "As it is now", body = Model)))]
pub async fn patch(
    user: Require<Write>,
    Id(id): Id<ModelId>,
    app: Data<App>,
    body: JsonBody<ModelEdit>,
) -> Result<Answer, ApiError> {
    let edit = body.into_inner();
    let (api_key, reason) = (edit.api_key.clone(), edit.reason.clone());
    let apply = move |card: &mut Card| edit.apply(card);
    let model = service::models::update(&app, user.into_user(), id, apply, api_key, reason).await?;
    Ok(Answer::ok(&Model::from(model))?)
}

/// Deletes a model. Its results stay readable. Owner or admin.
#[utoipa::path(delete, path = "/api/v1/models/{id}", tag = "Models", params(IdParam, Why), security(("key" = [])), responses((status = 200, description = "It is gone", body = Done)))]
pub async fn delete(
    user: Require<Write>,
    Id(id): Id<ModelId>,
    Params(why): Params<Why>,
    app: Data<App>,
) -> Result<Answer, ApiError> {
    service::models::delete(&app, user.into_user(), id, why.reason).await?;
    Ok(Answer::ok(&Done::DONE)?)
}

/// Checks that a model can be called: one call with a short question and at most 16 tokens of answer, within 30
/// seconds. A call that fails is reported with status 200. Nothing is stored; what it costs on the operator's key counts
/// against the caller's daily cap. A model is checked at most every 5 seconds. Owner or admin.
#[utoipa::path(post, path = "/api/v1/models/{id}/check", tag = "Models", params(IdParam), security(("key" = [])), responses((status = 200, description = "The outcome", body = ModelCheck)))]
pub async fn check(user: Require<Write>, Id(id): Id<ModelId>, app: Data<App>) -> Result<Answer, ApiError> {
    let checked = service::model_checks::check(&app, user.into_user(), id).await?;
    Ok(Answer::ok(&ModelCheck::from(checked))?)
}

/// Every result of a model, newest first.
#[utoipa::path(get, path = "/api/v1/models/{id}/results", tag = "Models", params(IdParam, PageParams), responses((status = 200, description = "A page of the list", body = [EvalResult])))]
pub async fn results(Id(id): Id<ModelId>, reads: Reads<Paging>) -> Answered {
    let page = reads.page()?;
    let viewer = Viewer::of(&reads)?;
    reads
        .answer(&[Topic::Models, Topic::Results, Topic::Evals], move |tx| {
            let model = store::models::get(tx, &id)?;
            results::list(tx, Of::Model(model.key), page, &viewer)
        })
        .await
}
