//! Bodies that bring a file along: a form with the file as one part, streamed to disk as it comes. Where one
//! is taken, JSON that says where the file is is taken too.
//!
//! What the fields mean, and where the file goes, is the handler's and the service's.

use std::collections::BTreeMap;
use std::pin::Pin;

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::Site;
use super::error::ApiError;
use super::idempotency::IdempotencyKey;
use super::json::{self, JsonBody};
use super::pace::paced;
use crate::domain::files::UNKNOWN_TYPE;
use crate::domain::tokens::Token;
use crate::domain::users::User;
use crate::error::{Error, Result};
use crate::service::files::{Incoming, Source};
use crate::service::once::Once;

/// Bytes of a field that is no file.
const FIELD: usize = 64 * 1024;
/// Bytes that a form may have besides its file, for all that its headers say.
const BESIDES: u64 = 1024 * 1024;
/// The part that is the file.
const FILE: &str = "file";
/// The field that may hold the others as JSON.
const METADATA: &str = "metadata";
/// The field of a page's form that proves that the browser was shown it. It comes before the file.
const PROOF: &str = "csrf";

/// A JSON body, or a form with a file. Other content types are refused.
pub enum JsonOrForm<T> {
    /// `application/json`.
    Json(JsonBody<T>),
    /// `multipart/form-data`, not read yet.
    Form(Form),
}

impl<T: DeserializeOwned + 'static> FromRequest for JsonOrForm<T> {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        if request.content_type().eq_ignore_ascii_case("multipart/form-data") {
            let form = Form::new(request, payload.take()).map(Self::Form).map_err(ApiError);
            return Box::pin(std::future::ready(form));
        }
        if !request.content_type().eq_ignore_ascii_case("application/json") {
            let message = "the body must be application/json or multipart/form-data";
            return Box::pin(std::future::ready(Err(Error::Unsupported(message.to_owned()).into())));
        }
        let json = JsonBody::from_request(request, payload);
        Box::pin(async move { Ok(Self::Json(json.await?)) })
    }
}

/// A form of which nothing is read yet.
pub struct Form {
    parts: Multipart,
    key: IdempotencyKey,
    unproven: Option<Unproven>,
}

/// Of a page's form, until it is proven: what the browser holds that it has to fit.
struct Unproven(Option<Token>);

impl Form {
    /// The form of a page of ours, in a browser that holds `token`: it is read once it is proven.
    ///
    /// # Errors
    /// `Unsupported` when it is no form with a file; `TooLarge`; `Invalid` for a bad key of repeats.
    pub(super) fn of_page(request: &HttpRequest, payload: Payload, token: Option<Token>) -> Result<Self> {
        if !request.content_type().eq_ignore_ascii_case("multipart/form-data") {
            return Err(Error::Unsupported("the form must be multipart/form-data".to_owned()));
        }
        let form = Self::new(request, payload)?;
        Ok(Self { unproven: Some(Unproven(token)), ..form })
    }

    fn new(request: &HttpRequest, payload: Payload) -> Result<Self> {
        json::refuse_compressed(request)?;
        let limit = Site::of(request)?.app.config.max_upload_bytes;
        if json::declared_length(request).is_some_and(|length| length > limit.saturating_add(BESIDES)) {
            return Err(Error::TooLarge(format!("a file may have at most {limit} bytes")));
        }
        let key = IdempotencyKey::read(request)?;
        Ok(Self { parts: Multipart::new(request.headers(), paced(payload)), key, unproven: None })
    }

    /// Reads all of it. The file is sent to what `begin` makes of its name and content type; `known` are the
    /// fields there may be besides, each once and in any order.
    ///
    /// # Errors
    /// `Invalid` naming a field that is unknown, missing or there twice; `Forbidden` for a page's form that is not
    /// proven before its file comes; what `begin` and the file answer.
    pub async fn read(
        mut self,
        known: &[&str],
        begin: impl AsyncFn(&str, Option<&str>) -> Result<Incoming>,
    ) -> Result<Filled> {
        let (mut fields, mut file) = (BTreeMap::new(), None);
        while let Some(part) = self.parts.next().await {
            let mut part = part.map_err(|cause| unreadable(&cause))?;
            let name = part.name().unwrap_or_default().to_owned();
            if fields.contains_key(&name) || (name == FILE && file.is_some()) {
                return Err(Error::invalid(name.clone(), format!("{name} is there twice")));
            }
            if name == FILE && self.unproven.is_some() {
                return Err(out_of_date());
            } else if name == FILE {
                file = Some(receive(&mut part, &begin).await?);
            } else if name == PROOF && self.unproven.is_some() {
                let said = text(&mut part, &name).await?;
                self.unproven = self.unproven.filter(|unproven| !unproven.is_met_by(&said));
            } else if known.contains(&name.as_str()) {
                let value = text(&mut part, &name).await?;
                fields.insert(name, value);
            } else {
                return Err(unknown(&name, known));
            }
        }
        let file =
            file.ok_or_else(|| Error::invalid(FILE, "file is required: send it as a part with that name"))?;
        Ok(Filled { fields, file, key: self.key })
    }
}

/// Refuses a field, which may be one that JSON in another field is to hold.
fn unknown(name: &str, known: &[&str]) -> Error {
    let hint = match known {
        [METADATA] => format!(
            ". What is said of the file goes into {METADATA} as JSON: -F '{METADATA}={{\"name\": \"...\"}}'"
        ),
        _ => String::new(),
    };
    let names = known.join(", ");
    Error::invalid(name, format!("unknown field `{name}`: known are {FILE}, {names}{hint}"))
}

impl Unproven {
    fn is_met_by(&self, proof: &str) -> bool {
        self.0.as_ref().is_some_and(|token| token.proves(proof))
    }
}

/// What to say of a form that this browser was not shown, or not lately.
pub(super) fn out_of_date() -> Error {
    Error::Forbidden("this form is out of date: load its page again, and send it from there".to_owned())
}

/// Sends the file on, chunk by chunk.
async fn receive(
    part: &mut Field,
    begin: &impl AsyncFn(&str, Option<&str>) -> Result<Incoming>,
) -> Result<Incoming> {
    let disposition = part.content_disposition();
    let name = disposition.and_then(|said| said.get_filename());
    let name = name.ok_or_else(|| Error::invalid(FILE, "file must be sent with a file name"))?;
    // Programs that know no better call everything so.
    let content_type = part.content_type().map(ToString::to_string).filter(|said| said != UNKNOWN_TYPE);
    let mut file = begin(name, content_type.as_deref()).await?;
    while let Some(chunk) = part.next().await {
        file.take(&chunk.map_err(|cause| unreadable(&cause))?).await?;
    }
    Ok(file)
}

/// The whole of a field that is text.
async fn text(part: &mut Field, name: &str) -> Result<String> {
    let refuse = |rule: &str| Error::invalid(name, format!("{name} must be {rule}"));
    let bytes = part.bytes(FIELD).await.map_err(|_| refuse("at most 65536 bytes long"))?;
    let bytes = bytes.map_err(|cause| unreadable(&cause))?;
    String::from_utf8(bytes.to_vec()).map_err(|_| refuse("UTF-8 text"))
}

/// A form that was read whole, with its file not yet on disk for good.
pub struct Filled {
    fields: BTreeMap<String, String>,
    file: Incoming,
    key: IdempotencyKey,
}

impl Filled {
    /// What the field `metadata` says; nothing when it is not there.
    ///
    /// # Errors
    /// `Invalid` naming the field in it that is at fault.
    pub fn metadata<T: DeserializeOwned + Default>(&self) -> Result<T> {
        let Some(text) = self.fields.get(METADATA) else { return Ok(T::default()) };
        json::parse(text.as_bytes()).map_err(|error| match error {
            Error::Invalid { field: Some(field), message } => {
                Error::invalid(format!("{METADATA}.{field}"), format!("{METADATA}: {message}"))
            }
            Error::Invalid { field: None, .. } => Error::invalid(METADATA, "metadata must be a JSON object"),
            other => other,
        })
    }

    /// The field of that name, or what the metadata `said` in its place.
    ///
    /// # Errors
    /// `Invalid` when both are there.
    pub fn field(&self, name: &str, said: Option<String>) -> Result<Option<String>> {
        match (self.fields.get(name), said) {
            (Some(_), Some(_)) => {
                Err(Error::invalid(name, format!("{name} is there twice: once in metadata")))
            }
            (field, said) => Ok(field.cloned().or(said)),
        }
    }

    /// Brings the file to disk, and says that `user` may have asked for all of it to happen once.
    ///
    /// # Errors
    /// `Full`, `Internal`.
    pub async fn finish(self, user: &User) -> Result<(Source, Once)> {
        let source = self.file.finish().await?;
        let mut digest = Sha256::new();
        let fields = self.fields.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
        // With their lengths, or two forms could run together into the same bytes.
        for part in source.identity().into_iter().chain(fields) {
            digest.update(part.len().to_be_bytes());
            digest.update(part);
        }
        Ok((source, self.key.once(user, digest.finalize().into())))
    }
}

/// What is wrong with a form as a whole.
fn unreadable(cause: &MultipartError) -> Error {
    match cause {
        MultipartError::Payload(PayloadError::Io(cause)) if cause.kind() == std::io::ErrorKind::TimedOut => {
            Error::bad_request("the body came too slowly")
        }
        MultipartError::Payload(PayloadError::Overflow) => {
            Error::bad_request("the head of a part is too long")
        }
        MultipartError::Payload(_) | MultipartError::Incomplete => {
            Error::bad_request("the body ended too early")
        }
        other => Error::bad_request(format!("the form cannot be read: {other}")),
    }
}
