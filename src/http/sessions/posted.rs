//! The forms of the pages: read whole, within limits, and only when a page of ours sent them that was shown to the same
//! browser. What the fields mean is the handler's.

use std::future::{Ready, ready};
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::http::error::ApiError;
use crate::http::form::{Form, out_of_date};
use crate::http::{Site, json, query};

/// Bytes of a form.
const LIMIT: usize = 16 * 1024;
/// The content type of forms.
pub(in crate::http) const KIND: &str = "application/x-www-form-urlencoded";

/// A form without fields of its own.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Nothing {}

/// What every form carries besides its own fields.
#[derive(Deserialize)]
struct Proof {
    csrf: Option<String>,
}

/// A form that was sent by a page of ours; `T` is a flat struct of its fields.
pub struct Posted<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Posted<T> {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move { Ok(Self(read(&request, payload).await?)) })
    }
}

/// A form with a file, sent by a page of ours. It is proven as it is read.
pub struct PostedFile(pub Form);

impl FromRequest for PostedFile {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let form = Site::of(request).and_then(|site| {
            site.sessions.check_origin(request)?;
            Form::of_page(request, payload.take(), site.sessions.held(request))
        });
        ready(form.map(Self).map_err(ApiError))
    }
}

async fn read<T: DeserializeOwned>(request: &HttpRequest, payload: Payload) -> Result<T> {
    let rules = &Site::of(request)?.sessions;
    rules.check_origin(request)?;
    json::refuse_compressed(request)?;
    if !request.content_type().eq_ignore_ascii_case(KIND) {
        return Err(Error::Unsupported(format!("a form must be {KIND}")));
    }
    let body = json::collect(payload, LIMIT).await?;
    let text = str::from_utf8(&body).map_err(|_| Error::bad_request("the form must be UTF-8 text"))?;
    let Proof { csrf } = query::parse(text)?;
    let is_proven = rules.held(request).zip(csrf).is_some_and(|(token, proof)| token.proves(&proof));
    if !is_proven {
        return Err(out_of_date());
    }
    query::parse(text)
}
