//! Handlers of Vercel Blob's API. The holder of a token may send the one file that it is for.

use std::pin::Pin;
use std::sync::Arc;

use actix_web::dev::Payload as Stream;
use actix_web::http::header::HeaderMap;
use actix_web::web::{Data, Payload};
use actix_web::{FromRequest, HttpRequest};
use bytes::Bytes;

use super::convert::{in_client_terms, require_path};
use super::wire::{Asked, Begun, PartName, PutFile, PutFileHead, PutPart, Target, Unwanted};
use super::{credential, token};
use crate::app::App;
use crate::domain::files;
use crate::domain::id::DraftId;
use crate::domain::time::Millis;
use crate::domain::uploads::{NamedPart, Upload, Uploaded, part_number};
use crate::error::{Error, Result};
use crate::http::auth::Credential;
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
pub(super) struct Holder(Upload);

impl FromRequest for Holder {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, _: &mut Stream) -> Self::Future {
        let app = Site::of(request).map(|site| Arc::clone(&site.app));
        let token = match credential(request.head()) {
            Credential::Text(token) => token.to_owned(),
            Credential::Absent | Credential::Other => String::new(),
        };
        Box::pin(async move {
            let app = app?;
            let grant = token::verify(&token, &service::signing_key(&app)).ok_or(Error::Unauthorized)?;
            Ok(Self(service::holder(&app, grant).await?))
        })
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// Takes a whole file.
#[utoipa::path(put, path = "/api/blob", tag = "Uploads", security(("upload" = [])),
    params(("pathname" = String, Query, description = "What the token is for"),
        ("x-content-type" = Option<String>, Header, description = "What the file is, if it is to be checked")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, description = "It is here", body = PutFile)))]
pub(super) async fn put(
    Holder(upload): Holder,
    target: Params<Target>,
    app: Data<App>,
    site: Data<Site>,
    request: HttpRequest,
    payload: Payload,
) -> Result<Answer, ApiError> {
    let said = Said::of(&request, &upload, &target)?;
    let uploaded = whole(&app, &upload, &said, payload).await;
    let uploaded = uploaded.map_err(|error| said.in_client_terms(&upload, error))?;
    Ok(Answer::ok(&PutFile::of(&uploaded, &site.public_url))?)
}

async fn whole(app: &App, upload: &Upload, said: &Said, payload: Payload) -> Result<Uploaded> {
    service::require_open(upload, said.content_type.as_deref(), Millis::now())?;
    said.require_size(upload)?;
    let mut incoming = service::begin(app, upload).await?;
    let mut body = said.body(payload);
    while let Some(chunk) = body.next().await? {
        service::take(upload, &mut incoming, &chunk).await?;
    }
    service::finish(app, upload, incoming).await
}

/// The description of a body in the head of its request.
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
        require_path(upload, &target.0.pathname)?;
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

    fn in_client_terms(&self, upload: &Upload, error: Error) -> Error {
        in_client_terms(upload, self.content_type.as_deref(), error)
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
pub(super) async fn parts(
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
        Some("create") => {
            let begun = begin(&app, &upload, &said).await;
            Ok(begun.map_err(|error| said.in_client_terms(&upload, error))?)
        }
        Some("upload") => {
            let number = part_number(text(headers, "x-mpu-part-number").unwrap_or_default())?;
            let taken = part(app, upload.clone(), draft(headers)?, number, &said, payload).await;
            Ok(taken.map_err(|error| said.in_client_terms(&upload, error))?)
        }
        Some("complete") => {
            let named = list(payload).await?;
            let draft = draft(headers)?;
            // Once begun it goes on, whether or not the caller waits for it.
            let whole = async move {
                let assembled = drafts::assemble(&app, &upload, draft, named).await;
                assembled.map_err(|error| in_client_terms(&upload, None, error))
            };
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
pub(super) async fn head(asked: Params<Asked>, app: Data<App>, site: Data<Site>) -> Result<Answer, ApiError> {
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
pub(super) async fn cancel(
    Holder(upload): Holder,
    target: Params<Target>,
    app: Data<App>,
) -> Result<Answer, ApiError> {
    require_path(&upload, &target.0.pathname)?;
    service::cancel(&app, &upload).await?;
    Ok(Answer::ok(&serde_json::json!({"success": true}))?)
}

/// The same, as the client of Vercel Blob asks for it. A file that something was made of stays.
#[utoipa::path(post, path = "/api/blob/delete", tag = "Uploads", security(("upload" = [])),
    request_body = Unwanted,
    responses((status = 200, description = "It is over")))]
pub(super) async fn delete(
    Holder(upload): Holder,
    app: Data<App>,
    site: Data<Site>,
    body: JsonBody<Unwanted>,
) -> Result<Answer, ApiError> {
    for url in body.into_inner().urls {
        let key = upload.key;
        let own = app.store.read(move |tx| store::uploads::blob_of(tx, key)).await?;
        if own.is_none() || own != files::own_blob(&url, &site.public_url) {
            require_path(&upload, &url)?;
        }
        service::cancel(&app, &upload).await?;
    }
    Ok(Answer::ok(&serde_json::json!({"success": true}))?)
}
