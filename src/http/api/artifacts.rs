//! Artifacts of models: files such as weights, sent along or linked.

use actix_web::web::Data;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::domain::artifacts::{self as domain, ArtifactType, Card};
use crate::domain::files;
use crate::domain::id::{ArtifactId, ModelId};
use crate::domain::upload_grants::Folder;
use crate::domain::uploads::Claims;
use crate::domain::users::User;
use crate::error::{Error, Result};
use crate::http::api::uploads::{self, NewUpload, Upload};
use crate::http::form::{Form, JsonOrForm};
use crate::http::{Answered, ApiError, Id, JsonBody, Paging, Reads, Require, Site, View, Write};
use crate::service::artifacts as service;
use crate::service::files::{Incoming, Label, Source};
use crate::service::once::{Answer, Once};
use crate::store::{self, Topic};

/// An artifact as lists show it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ArtifactSummary)]
pub struct Summary {
    id: String,
    model_id: String,
    #[schema(example = "Base Weights")]
    name: String,
    /// `weights`, `config`, `checkpoint`, `logs`, `dataset` or `other`.
    #[schema(example = "weights")]
    artifact_type: &'static str,
    /// Empty when nobody said.
    #[schema(example = "v1.0")]
    version: String,
    #[schema(example = "weights.bin")]
    file_name: String,
    /// Bytes; 0 for a file elsewhere of which nobody said.
    #[schema(example = 734_003_200)]
    file_size: i64,
    /// Where the file can be had.
    blob_url: String,
    /// SHA-256 in hexadecimal, where we know it.
    sha256: Option<String>,
    /// Whether size and hash are our own findings: not for files elsewhere.
    verified: bool,
    created_at: i64,
}

/// An artifact with all that is known of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Artifact {
    #[serde(flatten)]
    summary: Summary,
    description: String,
    /// The ending of the file's name.
    #[schema(example = "bin")]
    file_type: String,
    #[schema(example = "application/octet-stream")]
    content_type: String,
    /// E-mail address of the person who added it.
    submitted_by: String,
    updated_at: i64,
}

impl Summary {
    fn of(artifact: &domain::Artifact, public_url: &str) -> Self {
        let (card, file) = (&artifact.card, &artifact.file);
        Self {
            id: artifact.id.to_string(),
            model_id: artifact.model.to_string(),
            name: card.name.clone(),
            artifact_type: card.artifact_type.as_str(),
            version: card.version.clone(),
            file_name: file.name.clone(),
            file_size: file.size.unwrap_or(0),
            blob_url: file.url(public_url),
            sha256: file.sha256().map(str::to_owned),
            verified: file.is_verified(),
            created_at: artifact.created_at.0,
        }
    }
}

impl Artifact {
    fn of(artifact: &domain::Artifact, public_url: &str) -> Self {
        Self {
            summary: Summary::of(artifact, public_url),
            description: artifact.card.description.clone(),
            file_type: files::extension(&artifact.file.name),
            content_type: artifact.file.content_type.clone(),
            submitted_by: artifact.submitted_by.clone(),
            updated_at: artifact.updated_at.0,
        }
    }
}

/// An artifact to be added whose file is elsewhere, or was uploaded before.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewArtifact {
    /// Of a finished upload, or any https address.
    #[schema(example = "https://example.org/weights.bin")]
    blob_url: String,
    /// What it is to be called when it is downloaded.
    #[schema(example = "weights.bin")]
    file_name: String,
    /// Bytes, if known. Of an upload it must be what came.
    file_size: Option<i64>,
    /// Of an upload, in hexadecimal: it must be that of what came.
    sha256: Option<String>,
    /// What files of this name usually have unless said.
    content_type: Option<String>,
    /// 1-100 characters.
    #[schema(example = "Base Weights")]
    name: String,
    /// `weights`, `config`, `checkpoint`, `logs`, `dataset` or `other`.
    #[schema(example = "weights")]
    artifact_type: String,
    /// Such as `v1.0`.
    #[serde(default)]
    version: String,
    /// At most 1,000 characters.
    #[serde(default)]
    description: String,
}

/// An artifact to be added with its file: the fields beside it, as fields of the form or in `metadata`.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "it describes the form, which is read part by part")]
pub struct ArtifactForm {
    /// Of any size that the server takes.
    #[schema(value_type = String, format = Binary, example = "weights.bin")]
    file: Vec<u8>,
    /// 1-100 characters.
    name: Option<String>,
    /// `weights`, `config`, `checkpoint`, `logs`, `dataset` or `other`.
    artifact_type: Option<String>,
    /// Such as `v1.0`.
    version: Option<String>,
    /// At most 1,000 characters.
    description: Option<String>,
    /// JSON with those four.
    #[schema(example = r#"{"name":"Base Weights","artifact_type":"weights"}"#)]
    metadata: Option<String>,
}

/// What may be said of an artifact, and changed; what is absent stays as it is.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ArtifactChange {
    name: Option<String>,
    artifact_type: Option<String>,
    version: Option<String>,
    description: Option<String>,
}

/// Lists artifacts of a model, newest first.
#[utoipa::path(get, path = "/api/v1/models/{id}/artifacts", tag = "Model Artifacts",
    params(("id" = String, Path, description = "The model"),
        ("limit" = Option<u32>, Query, description = "1-1000, 1000 unless said"),
        ("cursor" = Option<String>, Query, description = "From a Link header")),
    responses((status = 200, description = "They are listed", body = [Summary])))]
pub async fn list(Id(model): Id<ModelId>, reads: Reads<Paging>, site: Data<Site>) -> Answered {
    let page = reads.page()?;
    let view = move |tx: &mut store::Tx<'_>| {
        let model = store::models::get(tx, &model)?.key;
        let slice = store::artifacts::list(tx, model, page)?;
        View::list(slice.map(|artifact| Summary::of(&artifact, &site.public_url)))
    };
    reads.answer(&[Topic::Models, Topic::Artifacts], view).await
}

/// One artifact.
#[utoipa::path(get, path = "/api/v1/models/{id}/artifacts/{artifact_id}", tag = "Model Artifacts",
    params(("id" = String, Path, description = "The model"), ("artifact_id" = String, Path, description = "The artifact")),
    responses((status = 200, description = "It is there", body = Artifact)))]
pub async fn get(Id((model, id)): Id<(ModelId, ArtifactId)>, reads: Reads, site: Data<Site>) -> Answered {
    let view = move |tx: &mut store::Tx<'_>| {
        View::json(&Artifact::of(&store::artifacts::get(tx, &model, &id)?, &site.public_url))
    };
    reads.answer(&[Topic::Models, Topic::Artifacts], view).await
}

/// Adds an artifact: JSON with the address of its file, or a form with the file itself, of any size.
#[utoipa::path(post, path = "/api/v1/models/{id}/artifacts", tag = "Model Artifacts", security(("key" = [])),
    params(("id" = String, Path, description = "The model")),
    request_body(content((NewArtifact = "application/json"), (ArtifactForm = "multipart/form-data"))),
    responses((status = 201, description = "It was added", body = Summary)))]
pub async fn create(
    user: Require<Write>,
    Id(model): Id<ModelId>,
    app: Data<App>,
    site: Data<Site>,
    body: JsonOrForm<NewArtifact>,
) -> Result<Answer, ApiError> {
    let user = user.into_user();
    service::require_owner(&app, &user, &model).await?;
    let (card, source, once) = match body {
        JsonOrForm::Json(json) => linked(json, &user, &site.public_url)?,
        JsonOrForm::Form(form) => sent(form, &user, &app).await?,
    };
    let render = move |artifact: &domain::Artifact| {
        let location = format!("/api/v1/models/{}/artifacts/{}", artifact.model, artifact.id);
        Answer::created(location, &Summary::of(artifact, &site.public_url))
    };
    Ok(service::create(&app, user, model, card, source, once, render).await?)
}

/// An artifact whose file is elsewhere.
fn linked(json: JsonBody<NewArtifact>, user: &User, public_url: &str) -> Result<(Card, Source, Once)> {
    let (new, once) = json.split(user);
    let claims = Claims {
        name: new.file_name,
        content_type: new.content_type,
        size: new.file_size,
        sha256: new.sha256,
    };
    let source = Source::at(&new.blob_url, claims, public_url)?;
    let artifact_type = ArtifactType::parse(&new.artifact_type)?;
    let card = Card { name: new.name, description: new.description, artifact_type, version: new.version };
    Ok((card, source, once))
}

/// An artifact whose file comes along.
async fn sent(form: Form, user: &User, app: &App) -> Result<(Card, Source, Once)> {
    let begin = async |name: &str, content_type: Option<&str>| {
        Incoming::begin(app, user.key, Label::new(name, content_type, "file")?).await
    };
    let fields = ["name", "artifact_type", "version", "description", "metadata"];
    let filled = form.read(&fields, begin).await?;
    let said: ArtifactChange = filled.metadata()?;
    let required = |name: &str| Error::invalid(name, format!("{name} is required"));
    let artifact_type = filled.field("artifact_type", said.artifact_type)?;
    let artifact_type = ArtifactType::parse(&artifact_type.ok_or_else(|| required("artifact_type"))?)?;
    let card = Card {
        name: filled.field("name", said.name)?.ok_or_else(|| required("name"))?,
        description: filled.field("description", said.description)?.unwrap_or_default(),
        artifact_type,
        version: filled.field("version", said.version)?.unwrap_or_default(),
    };
    let card = card.check()?;
    let (source, once) = filled.finish(user).await?;
    Ok((card, source, once))
}

/// Grants the upload of a large file, to be added as an artifact afterwards. The token is told this once.
#[utoipa::path(post, path = "/api/v1/models/{id}/artifacts/request-upload", tag = "Model Artifacts",
    params(("id" = String, Path, description = "The model")),
    request_body = NewUpload, security(("key" = [])),
    responses((status = 200, description = "It was granted", body = Upload)))]
pub async fn request_upload(
    user: Require<Write>,
    Id(model): Id<ModelId>,
    app: Data<App>,
    site: Data<Site>,
    body: JsonBody<NewUpload>,
) -> Result<Answer, ApiError> {
    service::require_owner(&app, &user, &model).await?;
    let (new, once) = body.split(&user);
    Ok(uploads::grant(&app, &site, user.into_user(), Folder::Artifacts, &new, once).await?)
}

/// Changes what is said of an artifact.
#[utoipa::path(patch, path = "/api/v1/models/{id}/artifacts/{artifact_id}", tag = "Model Artifacts",
    params(("id" = String, Path, description = "The model"), ("artifact_id" = String, Path, description = "The artifact")),
    request_body(content = ArtifactChange, example = json!({"version": "v1.1"})), security(("key" = [])),
    responses((status = 200, description = "It was changed", body = Artifact)))]
pub async fn patch(
    user: Require<Write>,
    Id(ids): Id<(ModelId, ArtifactId)>,
    app: Data<App>,
    site: Data<Site>,
    body: JsonBody<ArtifactChange>,
) -> Result<Answer, ApiError> {
    let change = body.into_inner();
    let artifact_type = change.artifact_type.as_deref().map(ArtifactType::parse).transpose()?;
    let edit = move |card: &mut Card| {
        // Cloned, since a command may have to be repeated.
        set(&mut card.name, change.name.clone());
        set(&mut card.description, change.description.clone());
        set(&mut card.version, change.version.clone());
        set(&mut card.artifact_type, artifact_type);
    };
    let artifact = service::update(&app, user.into_user(), ids, edit).await?;
    Ok(Answer::ok(&Artifact::of(&artifact, &site.public_url))?)
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

/// Deletes an artifact with its file.
#[utoipa::path(delete, path = "/api/v1/models/{id}/artifacts/{artifact_id}", tag = "Model Artifacts",
    params(("id" = String, Path, description = "The model"), ("artifact_id" = String, Path, description = "The artifact")),
    security(("key" = [])),
    responses((status = 200, description = "It was deleted")))]
pub async fn delete(
    user: Require<Write>,
    Id(ids): Id<(ModelId, ArtifactId)>,
    app: Data<App>,
) -> Result<Answer, ApiError> {
    service::delete(&app, user.into_user(), ids).await?;
    Ok(Answer::ok(&serde_json::json!({"success": true}))?)
}
