//! Training sets: dataset files, sent along or linked.

use actix_web::web::Data;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::domain::id::TrainingSetId;
use crate::domain::training_sets::{self as domain, Card, FileType};
use crate::domain::upload_grants::Folder;
use crate::domain::uploads::Claims;
use crate::domain::users::User;
use crate::error::{Error, Result};
use crate::http::api::uploads::{self, NewUpload, Upload};
use crate::http::form::{Form, JsonOrForm};
use crate::http::{Answered, ApiError, Id, JsonBody, Paging, Reads, Require, Site, View, Write};
use crate::service::files::{Incoming, Label, Source};
use crate::service::once::{Answer, Once};
use crate::service::training_sets as service;
use crate::store::{self, Topic};

/// A training set as lists show it: without its snippet.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TrainingSetSummary)]
pub struct Summary {
    id: String,
    #[schema(example = "My Training Data")]
    name: String,
    description: String,
    #[schema(example = "data.jsonl")]
    file_name: String,
    /// `jsonl`, `csv`, `tsv`, `json`, `txt`, `parquet`, `xml`, `yaml` or `yml`.
    #[schema(example = "jsonl")]
    file_type: String,
    /// Bytes; 0 for a file elsewhere of which nobody said.
    #[schema(example = 1_048_576)]
    file_size: i64,
    #[schema(example = "application/x-ndjson")]
    content_type: String,
    /// Lines; null where none were counted: in binary files and in files elsewhere.
    #[schema(example = 5000)]
    line_count: Option<i64>,
    /// Where the file can be had.
    blob_url: String,
    /// SHA-256 in hexadecimal, where we know it.
    sha256: Option<String>,
    /// Whether size and hash are our own findings: not for files elsewhere.
    verified: bool,
    /// E-mail address of the owner.
    submitted_by: String,
    created_at: i64,
    updated_at: i64,
}

/// A training set with the start of its file.
#[derive(Debug, Serialize, ToSchema)]
pub struct TrainingSet {
    #[serde(flatten)]
    summary: Summary,
    /// The first 20 lines or 8 KB; empty where there is nothing to show.
    snippet: String,
}

impl Summary {
    fn of(set: &domain::TrainingSet, public_url: &str) -> Self {
        let file = &set.file;
        Self {
            id: set.id.to_string(),
            name: set.card.name.clone(),
            description: set.card.description.clone(),
            file_name: file.name.clone(),
            file_type: set.file_type.clone(),
            file_size: file.size.unwrap_or(0),
            content_type: file.content_type.clone(),
            line_count: set.glance.line_count,
            blob_url: file.url(public_url),
            sha256: file.sha256().map(str::to_owned),
            verified: file.is_verified(),
            submitted_by: set.submitted_by.clone(),
            created_at: set.created_at.0,
            updated_at: set.updated_at.0,
        }
    }
}

/// A training set to be added whose file is elsewhere, or was uploaded before.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTrainingSet {
    /// Of a finished upload, or any https address.
    #[schema(example = "https://example.org/data.jsonl")]
    blob_url: String,
    /// Its ending says how the file is written.
    #[schema(example = "data.jsonl")]
    file_name: String,
    /// Bytes, if known. Of an upload it must be what came.
    file_size: Option<i64>,
    /// Of an upload, in hexadecimal: it must be that of what came.
    sha256: Option<String>,
    /// What files of this name usually have unless said.
    content_type: Option<String>,
    /// 1-100 characters.
    #[schema(example = "My Training Data")]
    name: String,
    /// At most 1,000 characters.
    #[serde(default)]
    description: String,
}

/// A training set to be added with its file.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "it describes the form, which is read part by part")]
pub struct TrainingSetForm {
    /// Its ending says how it is written: jsonl, csv, tsv, json, txt, parquet, xml, yaml or yml.
    #[schema(value_type = String, format = Binary, example = "data.jsonl")]
    file: Vec<u8>,
    /// JSON with name and description.
    #[schema(example = r#"{"name":"My Dataset","description":"Training data"}"#)]
    metadata: String,
}

/// What the field `metadata` of the form may hold.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Metadata {
    name: Option<String>,
    description: String,
}

/// Lists training sets, newest first.
#[utoipa::path(get, path = "/api/v1/training-sets", tag = "Training Sets",
    params(("limit" = Option<u32>, Query, description = "1-1000, 1000 unless said"),
        ("cursor" = Option<String>, Query, description = "From a Link header")),
    responses((status = 200, description = "They are listed", body = [Summary])))]
pub async fn list(reads: Reads<Paging>, site: Data<Site>) -> Answered {
    let page = reads.page()?;
    let view = move |tx: &mut store::Tx<'_>| {
        View::list(store::training_sets::list(tx, page)?.map(|set| Summary::of(&set, &site.public_url)))
    };
    reads.answer(&[Topic::TrainingSets], view).await
}

/// One training set, with the start of its file.
#[utoipa::path(get, path = "/api/v1/training-sets/{id}", tag = "Training Sets",
    params(("id" = String, Path, description = "The training set")),
    responses((status = 200, description = "It is there", body = TrainingSet)))]
pub async fn get(Id(id): Id<TrainingSetId>, reads: Reads, site: Data<Site>) -> Answered {
    let view = move |tx: &mut store::Tx<'_>| {
        let set = store::training_sets::get(tx, &id)?;
        let summary = Summary::of(&set, &site.public_url);
        View::json(&TrainingSet { summary, snippet: set.glance.snippet })
    };
    reads.answer(&[Topic::TrainingSets], view).await
}

/// Adds a training set: JSON with the address of its file, or a form with the file itself, of any size.
#[utoipa::path(post, path = "/api/v1/training-sets", tag = "Training Sets", security(("key" = [])),
    request_body(content((NewTrainingSet = "application/json"), (TrainingSetForm = "multipart/form-data"))),
    responses((status = 201, description = "It was added", body = Summary)))]
pub async fn create(
    user: Require<Write>,
    app: Data<App>,
    site: Data<Site>,
    body: JsonOrForm<NewTrainingSet>,
) -> Result<Answer, ApiError> {
    let user = user.into_user();
    let (card, file, once) = match body {
        JsonOrForm::Json(json) => linked(json, &user, &site.public_url)?,
        JsonOrForm::Form(form) => sent(form, &user, &app).await?,
    };
    let render = move |set: &domain::TrainingSet| {
        Answer::created(format!("/api/v1/training-sets/{}", set.id), &Summary::of(set, &site.public_url))
    };
    Ok(service::create(&app, user, card, file, once, render).await?)
}

type Read = (Card, (Source, FileType), Once);

/// A training set whose file is elsewhere.
fn linked(json: JsonBody<NewTrainingSet>, user: &User, public_url: &str) -> Result<Read> {
    let (new, once) = json.split(user);
    let file_type = FileType::of(&new.file_name, "file_name")?;
    let claims = Claims {
        name: new.file_name,
        content_type: new.content_type,
        size: new.file_size,
        sha256: new.sha256,
    };
    let source = Source::at(&new.blob_url, claims, public_url)?;
    Ok((Card { name: new.name, description: new.description }, (source, file_type), once))
}

/// A training set whose file comes along.
async fn sent(form: Form, user: &User, app: &App) -> Result<Read> {
    let begin = async |name: &str, content_type: Option<&str>| {
        let label = Label::new(name, content_type, "file")?;
        // Before it is sent, not after.
        FileType::of(&label.name, "file")?;
        Incoming::begin(app, user.key, label).await
    };
    let filled = form.read(&["metadata"], begin).await?;
    let said: Metadata = filled.metadata()?;
    let missing = || Error::invalid("metadata.name", "metadata must be JSON with a name");
    let card = Card { name: said.name.ok_or_else(missing)?, description: said.description }.check()?;
    let (source, once) = filled.finish(user).await?;
    let [name, ..] = source.identity();
    let file_type = FileType::of(name, "file")?;
    Ok((card, (source, file_type), once))
}

/// Grants the upload of a large file, to be added as a training set afterwards. The token is told this once.
#[utoipa::path(post, path = "/api/v1/training-sets/request-upload", tag = "Training Sets",
    request_body = NewUpload, security(("key" = [])),
    responses((status = 200, description = "It was granted", body = Upload)))]
pub async fn request_upload(
    user: Require<Write>,
    app: Data<App>,
    site: Data<Site>,
    body: JsonBody<NewUpload>,
) -> Result<Answer, ApiError> {
    let (new, once) = body.split(&user);
    FileType::of(new.file_name(), "file_name")?;
    Ok(uploads::grant(&app, &site, user.into_user(), Folder::TrainingSets, &new, once).await?)
}

/// Deletes a training set with its file.
#[utoipa::path(delete, path = "/api/v1/training-sets/{id}", tag = "Training Sets",
    params(("id" = String, Path, description = "The training set")), security(("key" = [])),
    responses((status = 200, description = "It was deleted")))]
pub async fn delete(
    user: Require<Write>,
    Id(id): Id<TrainingSetId>,
    app: Data<App>,
) -> Result<Answer, ApiError> {
    service::delete(&app, user.into_user(), id).await?;
    Ok(Answer::ok(&serde_json::json!({"success": true}))?)
}
