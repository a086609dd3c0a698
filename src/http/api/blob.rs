//! Taking files that were granted: by `curl -T`, or by the client of Vercel Blob, whose API this speaks below
//! `/api/blob`. Who holds a token may send the one file that it is for; API keys count for nothing here.
//!
//! Errors have the form that the client reads (see [`crate::http::problem`]).

use std::pin::Pin;
use std::sync::Arc;

use actix_web::dev::Payload as Stream;
use actix_web::http::header::{self, HeaderMap};
use actix_web::web::{Data, Payload};
use actix_web::{FromRequest, HttpRequest};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::domain::files;
use crate::domain::id::DraftId;
use crate::domain::time::Millis;
use crate::domain::uploads::{NamedPart, Upload, Uploaded, part_number};
use crate::error::{Error, Result};
use crate::http::files::attachment;
use crate::http::json::{self, declared_length};
use crate::http::pace::Body;
use crate::http::{ApiError, CachePolicy, JsonBody, Params, Site};
use crate::service::drafts::{self, IncomingPart};
use crate::service::once::Answer;
use crate::service::uploads as service;
use crate::store;

/// Bytes of a list of parts: 10,000 of them, spelled out.
const LIST: usize = 2 * 1024 * 1024;

/// The upload whose token came with the request.
pub struct Holder(Upload);

impl FromRequest for Holder {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, _: &mut Stream) -> Self::Future {
        let app = Site::of(request).map(|site| Arc::clone(&site.app));
        let said = text(request.headers(), header::AUTHORIZATION.as_str()).unwrap_or_default();
        let token = match said.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim().to_owned(),
            _ => String::new(),
        };
        Box::pin(async move { Ok(Self(service::holder(app?.as_ref(), &token).await?)) })
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// What a request to send something is about.
#[derive(Debug, Deserialize)]
pub struct Target {
    pathname: String,
}

/// Which file somebody asks after.
#[derive(Debug, Deserialize)]
pub struct Asked {
    url: String,
}

/// A file that was put up.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PutFile {
    /// The `blob_url` of what is to be made of it.
    url: String,
    download_url: String,
    /// What the token was for.
    #[schema(example = "artifacts/1700000000000-weights.bin")]
    pathname: String,
    content_type: String,
    content_disposition: String,
    etag: String,
    /// Bytes, as counted.
    size: i64,
    /// In hexadecimal; null while it is being computed, which it is after the parts were put together.
    sha256: Option<String>,
}

impl PutFile {
    fn of(uploaded: &Uploaded, public_url: &str) -> Self {
        let file = &uploaded.file;
        let url = file.url(public_url);
        Self {
            download_url: format!("{url}?download=1"),
            pathname: uploaded.pathname.clone(),
            content_type: file.content_type.clone(),
            content_disposition: attachment(&file.name),
            etag: file.etag().unwrap_or_default(),
            size: file.size.unwrap_or_default(),
            sha256: file.sha256().map(str::to_owned),
            url,
        }
    }
}

/// What is known of a file that was put up.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PutFileHead {
    #[serde(flatten)]
    file: PutFile,
    cache_control: String,
    /// When it was whole, in RFC 3339.
    uploaded_at: String,
}

/// A file in parts that was begun.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Begun {
    /// For the header `x-mpu-upload-id`.
    upload_id: String,
    /// For the header `x-mpu-key`.
    key: String,
}

/// A part that is whole.
#[derive(Debug, Serialize, ToSchema)]
pub struct PutPart {
    /// Its SHA-256 in hexadecimal.
    etag: String,
}

/// A part of the whole.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartName {
    /// From 1 to 10,000.
    part_number: u32,
    /// What its upload answered.
    etag: String,
}

/// What is to be given up.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Unwanted {
    /// The address or the pathname of the token's own file.
    urls: Vec<String>,
}

/// Takes a whole file.
#[utoipa::path(put, path = "/api/blob", tag = "Uploads", security(("upload" = [])),
    params(("pathname" = String, Query, description = "What the token is for"),
        ("x-content-type" = Option<String>, Header, description = "What the file is, if it is to be checked")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, description = "It is here", body = PutFile)))]
pub async fn put(
    Holder(upload): Holder,
    target: Params<Target>,
    app: Data<App>,
    site: Data<Site>,
    request: HttpRequest,
    payload: Payload,
) -> Result<Answer, ApiError> {
    let said = Said::of(&request, &upload, &target)?;
    service::require_open(&upload, said.content_type.as_deref(), Millis::now())?;
    said.require_size(&upload)?;
    let mut incoming = service::begin(&app, &upload).await?;
    let mut body = said.body(payload);
    while let Some(chunk) = body.next().await? {
        service::take(&upload, &mut incoming, &chunk).await?;
    }
    let uploaded = service::finish(&app, &upload, incoming).await?;
    Ok(Answer::ok(&PutFile::of(&uploaded, &site.public_url))?)
}

/// What the head of a request says of its body.
struct Said {
    /// As the client of Vercel Blob names it; programs that know no better name any in the usual header.
    content_type: Option<String>,
    /// Bytes, by the usual header.
    length: Option<u64>,
    /// Bytes, by the client, who says 0 when it does not know.
    counted: Option<u64>,
}

impl Said {
    fn of(request: &HttpRequest, upload: &Upload, target: &Params<Target>) -> Result<Self> {
        json::refuse_compressed(request)?;
        service::require_path(upload, &target.0.pathname)?;
        let headers = request.headers();
        let counted = text(headers, "x-content-length").and_then(|said| said.parse().ok());
        Ok(Self {
            content_type: text(headers, "x-content-type").map(str::to_owned),
            length: declared_length(request),
            counted: counted.filter(|counted| *counted > 0),
        })
    }

    /// Refuses a file before it comes.
    fn require_size(&self, upload: &Upload) -> Result<()> {
        let largest = self.length.max(self.counted).unwrap_or_default();
        if largest > upload.max_bytes { Err(service::too_large(upload)) } else { Ok(()) }
    }

    /// Bytes that are to come, if that is known.
    fn size(&self) -> Option<u64> {
        self.length.or(self.counted)
    }

    /// The body, which must be as long as the client says.
    fn body(&self, payload: Payload) -> Counted {
        Counted { body: Body::new(payload.into_inner()), said: self.counted, came: 0 }
    }
}

/// A body that is refused when it is not as long as was said.
struct Counted {
    body: Body,
    said: Option<u64>,
    came: u64,
}

impl Counted {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        let chunk = self.body.next().await?;
        let length = chunk.as_ref().map_or(0, Bytes::len);
        self.came = self.came.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        match self.said {
            Some(said) if self.came > said || (chunk.is_none() && self.came < said) => {
                let than = if chunk.is_none() { "less" } else { "more" };
                let message = format!("x-content-length says {said} bytes, and {than} came: {}", self.came);
                Err(Error::invalid("x-content-length", message))
            }
            _ => Ok(chunk),
        }
    }
}

/// Takes a file in parts, as the header `x-mpu-action` says: `create` begins it, `upload` takes a part, and
/// `complete` puts the parts together, whose list comes as JSON.
#[utoipa::path(post, path = "/api/blob/mpu", tag = "Uploads", security(("upload" = [])),
    params(("pathname" = String, Query, description = "What the token is for"),
        ("x-mpu-action" = String, Header, description = "create, upload or complete"),
        ("x-mpu-upload-id" = Option<String>, Header, description = "What create answered"),
        ("x-mpu-part-number" = Option<u32>, Header, description = "From 1 to 10,000; all parts but the last are best 8 MiB")),
    request_body(content((Vec<u8> = "application/octet-stream"), (Vec<PartName> = "application/json"))),
    responses((status = 200, description = "It was done: what was begun, the part, or the file",
        body = inline(serde_json::Value), example = json!({"uploadId": "...", "key": "artifacts/1700000000000-weights.bin"}))))]
pub async fn parts(
    Holder(upload): Holder,
    target: Params<Target>,
    app: Data<App>,
    site: Data<Site>,
    request: HttpRequest,
    payload: Payload,
) -> Result<Answer, ApiError> {
    let said = Said::of(&request, &upload, &target)?;
    let headers = request.headers();
    match text(headers, "x-mpu-action") {
        Some("create") => Ok(begin(&app, &upload, &said).await?),
        Some("upload") => {
            let number = part_number(text(headers, "x-mpu-part-number").unwrap_or_default())?;
            Ok(part(app, upload, draft(headers)?, number, &said, payload).await?)
        }
        Some("complete") => {
            let named = list(payload).await?;
            let draft = draft(headers)?;
            // Once begun it goes on, whether or not the caller waits for it.
            let whole = async move { drafts::assemble(&app, &upload, draft, named).await };
            let uploaded = actix_web::rt::spawn(whole).await.map_err(Error::internal)??;
            Ok(Answer::ok(&PutFile::of(&uploaded, &site.public_url))?)
        }
        _ => {
            let message = "x-mpu-action must be create, upload or complete";
            Err(Error::invalid("x-mpu-action", message).into())
        }
    }
}

fn draft(headers: &HeaderMap) -> Result<DraftId> {
    let said = text(headers, "x-mpu-upload-id").filter(|said| !said.is_empty());
    let said = said.ok_or_else(|| Error::invalid("x-mpu-upload-id", "x-mpu-upload-id is required"))?;
    Ok(DraftId::from(said.to_owned()))
}

async fn begin(app: &App, upload: &Upload, said: &Said) -> Result<Answer> {
    service::require_open(upload, said.content_type.as_deref(), Millis::now())?;
    let upload_id = drafts::begin(app, upload).await?.to_string();
    Answer::ok(&Begun { upload_id, key: upload.pathname.clone() })
}

async fn part(
    app: Data<App>,
    upload: Upload,
    draft: DraftId,
    number: u32,
    said: &Said,
    payload: Payload,
) -> Result<Answer> {
    service::require_open(&upload, said.content_type.as_deref(), Millis::now())?;
    said.require_size(&upload)?;
    let mut incoming = IncomingPart::begin(&app, &upload, draft, number, said.size()).await?;
    let mut body = said.body(payload);
    while let Some(chunk) = body.next().await? {
        incoming.take(&upload, &chunk).await?;
    }
    // Whether or not the caller waits: a part whose row is written must not be given up.
    let whole = async move { incoming.finish(&app, &upload).await };
    let etag = actix_web::rt::spawn(whole).await.map_err(Error::internal)??;
    Answer::ok(&PutPart { etag })
}

async fn list(payload: Payload) -> Result<Vec<NamedPart>> {
    let body = json::collect(payload.into_inner(), LIST).await?;
    let list: Vec<PartName> = json::parse(&body)?;
    Ok(list.into_iter().map(|PartName { part_number: number, etag }| NamedPart { number, etag }).collect())
}

/// Tells what is known of a file that was put up. Files are public, and so is this.
#[utoipa::path(get, path = "/api/blob", tag = "Uploads",
    params(("url" = String, Query, description = "Its address")),
    responses((status = 200, description = "It is there", body = PutFileHead)))]
pub async fn head(asked: Params<Asked>, app: Data<App>, site: Data<Site>) -> Result<Answer, ApiError> {
    let blob = files::own_blob(&asked.0.url, &site.public_url).ok_or(Error::NotFound("file"))?;
    let uploaded = app.store.read(move |tx| store::uploads::file(tx, &blob)).await?;
    let uploaded = uploaded.ok_or(Error::NotFound("file"))?;
    let head = PutFileHead {
        file: PutFile::of(&uploaded, &site.public_url),
        cache_control: CachePolicy::Revalidate.value().to_str().unwrap_or_default().to_owned(),
        uploaded_at: uploaded.created_at.to_rfc3339(),
    };
    Ok(Answer::ok(&head)?)
}

/// Cancels the token's upload: what came of it is removed, and the space is its owner's again.
#[utoipa::path(delete, path = "/api/blob", tag = "Uploads", security(("upload" = [])),
    params(("pathname" = String, Query, description = "What the token is for")),
    responses((status = 200, description = "It is over")))]
pub async fn cancel(
    Holder(upload): Holder,
    target: Params<Target>,
    app: Data<App>,
) -> Result<Answer, ApiError> {
    service::require_path(&upload, &target.0.pathname)?;
    service::cancel(&app, &upload).await?;
    Ok(Answer::ok(&serde_json::json!({"success": true}))?)
}

/// The same, as the client of Vercel Blob asks for it. A file that something was made of stays.
#[utoipa::path(post, path = "/api/blob/delete", tag = "Uploads", security(("upload" = [])),
    request_body = Unwanted,
    responses((status = 200, description = "It is over")))]
pub async fn delete(
    Holder(upload): Holder,
    app: Data<App>,
    site: Data<Site>,
    body: JsonBody<Unwanted>,
) -> Result<Answer, ApiError> {
    for url in body.into_inner().urls {
        let key = upload.key;
        let own = app.store.read(move |tx| store::uploads::blob_of(tx, key)).await?;
        if own.is_none() || own != files::own_blob(&url, &site.public_url) {
            service::require_path(&upload, &url)?;
        }
        service::cancel(&app, &upload).await?;
    }
    Ok(Answer::ok(&serde_json::json!({"success": true}))?)
}
