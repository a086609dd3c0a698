//! The samples of an eval: listed in their order, and replaced by a stream of lines.

use actix_web::web::{Data, Payload};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::evals::Eval;
use super::wire::{IdParam, PageParams};
use crate::app::App;
use crate::domain::id::EvalId;
use crate::domain::samples;
use crate::error::{Error, Result};
use crate::http::ndjson::Lines;
use crate::http::{Answered, ApiError, Id, Paging, Reads, Require, View, Write};
use crate::service::once::Answer;
use crate::service::samples::Replacement;
use crate::store::{self, Topic};

/// One item of an eval.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// Unique within the eval; the sample's index when absent.
    id: Option<String>,
    /// What the model is given: text, or a list of messages with role and content.
    #[schema(value_type = Value)]
    input: samples::Input,
    /// An accepted answer, or a list of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<Target>,
    /// Options of a multiple-choice item.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    choices: Vec<String>,
    /// Fields for the prompt's `{{metadata.key}}`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    metadata: Map<String, Value>,
    /// Items with the same cluster are not independent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cluster_id: Option<String>,
}

/// An accepted answer, or a list of them.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(untagged, expecting = "must be text, or a list of texts")]
pub enum Target {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl Sample {
    /// What the domain makes of the sample at `position`.
    #[must_use]
    pub fn read(self, position: usize) -> samples::Sample {
        samples::Sample {
            key: self.id.unwrap_or_else(|| position.to_string()),
            input: self.input,
            target: match self.target {
                None => Vec::new(),
                Some(Target::One(target)) => vec![target],
                Some(Target::Several(targets)) => targets,
            },
            choices: self.choices,
            metadata: self.metadata,
            cluster_id: self.cluster_id,
        }
    }

    fn show(sample: samples::Sample, shows_targets: bool) -> Self {
        Self {
            id: Some(sample.key),
            input: sample.input,
            target: shows_targets.then_some(Target::Several(sample.target)),
            choices: sample.choices,
            metadata: sample.metadata,
            cluster_id: sample.cluster_id,
        }
    }
}

/// The samples of an eval's present version, in their order. Targets may be withheld.
#[utoipa::path(get, path = "/api/v1/evals/{id}/samples", tag = "Evals", params(IdParam, PageParams), responses((status = 200, description = "A page of the list", body = [Sample])))]
pub async fn list(Id(id): Id<EvalId>, reads: Reads<Paging>) -> Answered {
    let page = reads.params.page()?;
    let caller = reads.caller().clone();
    reads
        .answer(&[Topic::Evals], move |tx| {
            let eval = store::evals::get(tx, &id)?;
            let shows_targets = !eval.card.hidden_targets || caller.owns(eval.owner);
            let placed = store::samples::list(tx, &eval.version.samples, page)?;
            View::list(placed.map(|placed| Sample::show(placed.sample, shows_targets)))
        })
        .await
}

/// Replaces all samples by those of the body, one JSON object per line, as many as you like. They are the
/// eval's only once all have come and all are good. Owner or admin.
#[utoipa::path(put, path = "/api/v1/evals/{id}/samples", tag = "Evals", params(IdParam), request_body(content = String, content_type = "application/x-ndjson", description = "One `Sample` per line.", example = "{\"input\": \"2 + 2?\", \"target\": \"4\"}\n{\"input\": \"3 + 4?\", \"target\": [\"7\", \"seven\"]}"), security(("key" = [])), responses((status = 200, description = "As it is now", body = Eval)))]
pub async fn replace(
    user: Require<Write>,
    Id(id): Id<EvalId>,
    app: Data<App>,
    lines: Lines,
    payload: Payload,
) -> Result<Answer, ApiError> {
    let mut replacement = Replacement::begin(&app, user.into_user(), id).await?;
    let eval = match fill(&mut replacement, lines, payload).await {
        Ok(()) => replacement.finish().await?,
        Err(cause) => {
            replacement.abandon().await?;
            return Err(cause.into());
        }
    };
    Ok(Answer::ok(&Eval::whole(&eval))?)
}

async fn fill(replacement: &mut Replacement, mut lines: Lines, mut payload: Payload) -> Result<()> {
    while let Some(line) = lines.next(&mut payload).await? {
        let position = replacement.count();
        let sample: Sample = serde_json::from_slice(&line).map_err(|cause| {
            Error::invalid(format!("samples[{position}]"), format!("line {}: {cause}", lines.number()))
        })?;
        let added = replacement.add(sample.read(position)).await;
        added.map_err(|cause| on_line(cause, lines.number()))?;
    }
    Ok(())
}

/// The same with the line that is to blame: blank lines make it another number than the sample's.
fn on_line(cause: Error, number: usize) -> Error {
    match cause {
        Error::Invalid { field, message } => {
            Error::Invalid { field, message: format!("line {number}: {message}") }
        }
        other => other,
    }
}
