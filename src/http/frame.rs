//! What surrounds every handler: request id, limits, credentials, errors in one shape, headers, access line.
//!
//! It is the outermost layer of the app; answers that are ready as bytes never come here.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{HttpMessage, HttpResponse};
use futures_util::FutureExt;

use super::auth::{self, Identity, Presented};
use super::cache::CachePolicy;
use super::error::ApiError;
use super::limits::{Allowance, Payer};
use super::log_path::{loggable, loggable_method};
use super::reads::IsShared;
use super::{Site, headers, problem, surfaces};
use crate::domain::access_tokens::looks_like_token;
use crate::domain::api_keys::{Scope, looks_like_key};
use crate::error::{Error, Result};

/// Requests that take longer get an access line.
const SLOW: Duration = Duration::from_secs(1);
/// Letters of a request id.
const ID_LENGTH: usize = 16;

/// The id of a request, in its extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(pub String);

/// Marks the answer to a form that says itself what was wrong with it.
pub(super) struct IsShown;

/// What is kept of a request while its handler has it. (A clone of the request itself would make the
/// router panic.)
pub(super) struct Asked {
    pub(super) id: String,
    pub(super) path: String,
    pub(super) wants_page: bool,
    method: Method,
    since: Instant,
}

impl Asked {
    fn of(request: &ServiceRequest) -> Self {
        let accepts = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
        let path = request.path().to_owned();
        Self {
            id: nanoid::nanoid!(ID_LENGTH),
            wants_page: !headers::is_api(&path)
                && accepts.is_some_and(|accepts| accepts.contains("text/html")),
            path,
            method: request.method().clone(),
            since: Instant::now(),
        }
    }

    fn is_read(&self) -> bool {
        is_read(&self.method)
    }
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// The middleware: wrap the app in `actix_web::middleware::from_fn(frame)`, outermost.
///
/// # Errors
/// Those of layers inside it, as complete responses.
pub async fn frame(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let asked = Asked::of(&request);
    request.extensions_mut().insert(RequestId(asked.id.clone()));
    let mut allowance = None;
    if let Err(refusal) = admit(&request, &mut allowance).await {
        let refused = HttpResponse::from_error(ApiError(refusal));
        return Ok(request.into_response(finish(&asked, allowance, refused)));
    }
    // The worker is shared by many connections: one bad handler must not take it down.
    match AssertUnwindSafe(next.call(request)).catch_unwind().await {
        Ok(Ok(response)) => {
            let (request, response) = response.into_parts();
            let response = finish(&asked, allowance, response.map_into_boxed_body());
            Ok(ServiceResponse::new(request, response))
        }
        Ok(Err(error)) => Err(finish_without_request(&asked, allowance, error)),
        Err(_) => {
            let error = ApiError(Error::internal("a handler panicked"));
            Err(finish_without_request(&asked, allowance, error.into()))
        }
    }
}

/// A finished response in the only form in which it can leave once the request is gone.
fn finish_without_request(
    asked: &Asked,
    allowance: Option<Allowance>,
    error: actix_web::Error,
) -> actix_web::Error {
    let response = finish(asked, allowance, HttpResponse::from_error(error));
    InternalError::from_response("answered", response).into()
}

/// Lets a request in: no key or token in its address, its bucket not empty, and its caller looked up. `allowance` is
/// what its bucket holds then, also when it is refused.
async fn admit(request: &ServiceRequest, allowance: &mut Option<Allowance>) -> Result<()> {
    let site = request
        .app_data::<Data<Site>>()
        .cloned()
        .ok_or_else(|| Error::internal("the site is not configured"))?;
    if has_key(request.query_string()) {
        let message = "a key or token must never be in an address: send it as 'Authorization: Bearer <key>'";
        return Err(Error::bad_request(message));
    }
    let presented = auth::presented(request.head(), &site.access_tokens);
    let payer = payer(&site, request, &presented);
    limit(&site, request, &payer, allowance)?;
    let changes = !is_read(request.method()) && !surfaces::only_reads(request.method(), request.path());
    let needed = if changes { Scope::Write } else { Scope::Read };
    let identity = auth::identify(&site.app.store, presented, needed).await?;
    if identity == Identity::Refused && matches!(payer, Payer::Key(_)) {
        // Whoever invents keys would have a full bucket for each of them.
        limit(&site, request, &address_payer(&site, request), allowance)?;
    }
    request.extensions_mut().insert(identity);
    if changes && let Some(refusal) = site.app.store.refusal() {
        return Err(refusal);
    }
    Ok(())
}

/// Whether any parameter is an API key or a token in its place.
pub(super) fn has_key(query: &str) -> bool {
    let is_secret = |text: &str| looks_like_key(text) || looks_like_token(text);
    // Most addresses have no query, and none of them needs to be taken apart.
    !query.is_empty()
        && url::form_urlencoded::parse(query.as_bytes())
            .any(|(name, value)| is_secret(&value) || is_secret(&name))
}

/// Returns whose bucket a request is taken from: that of its key, so that nobody at the same address is in its way.
fn payer(site: &Site, request: &ServiceRequest, presented: &Presented) -> Payer {
    presented.bucket().map_or_else(|| address_payer(site, request), Payer::Key)
}

fn address_payer(site: &Site, request: &ServiceRequest) -> Payer {
    Payer::of(site.client_address(request.peer_addr(), request.headers()))
}

/// Takes the request from a bucket. What watches the server, and files, cost nothing worth counting.
fn limit(
    site: &Site,
    request: &ServiceRequest,
    payer: &Payer,
    allowance: &mut Option<Allowance>,
) -> Result<()> {
    let path = request.path();
    if matches!(path, "/healthz" | "/readyz") || path.starts_with("/static/") {
        return Ok(());
    }
    let buckets = if is_read(request.method()) { &site.limits.reads } else { &site.limits.writes };
    let (left, verdict) = buckets.take(payer);
    *allowance = Some(left);
    verdict
}

/// Gives a response its body when it is an error, its headers, and its line in the log.
fn finish(asked: &Asked, allowance: Option<Allowance>, response: HttpResponse) -> HttpResponse {
    let is_shown = response.extensions().get::<IsShown>().is_some();
    let is_bare = response.status().as_u16() >= 400 && !is_shown;
    let mut response = if is_bare { problem::render(asked, response) } else { response };
    let is_shared = response.extensions().get::<IsShared>().is_some();
    let map = response.headers_mut();
    headers::set_common(map, &asked.path);
    if !map.contains_key(header::CACHE_CONTROL) {
        map.insert(header::CACHE_CONTROL, CachePolicy::NoStore.value());
    }
    if !is_shared {
        if let Ok(id) = HeaderValue::from_str(&asked.id) {
            map.insert(headers::REQUEST_ID, id);
        }
        if let Some(allowance) = allowance {
            allowance.write(map);
        }
    }
    log(asked, response.status().as_u16());
    response
}

/// One line for writes, errors and what was slow. Never the query, and of the path what is known: a client may have put
/// a key there.
fn log(asked: &Asked, status: u16) {
    let took = asked.since.elapsed();
    if asked.is_read() && status < 400 && took < SLOW {
        return;
    }
    let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let (id, method, path) = (&asked.id, loggable_method(&asked.method), loggable(&asked.path));
    tracing::info!(request_id = %id, %method, %path, status, milliseconds, "request");
}
