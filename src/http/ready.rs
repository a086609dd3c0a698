//! An answer as bytes, ready to be sent: the body per encoding, with the headers of its 200 and its 304.
//!
//! It does not know whether it is still true; see [`super::copies`].

use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use actix_web::body::{BoxBody, None as NoBody};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::cache::CachePolicy;
use super::encoding::{Encoding, chosen};
use super::headers;
use super::limits::Payer;
use super::send_budget::{Charge, SendBudget};
use super::sliced::{MAX_UNCOUNTED, sliced};
use crate::error::{Error, Result};

/// The response type in front of the app.
pub(super) type Raw = actix_http::Response<BoxBody>;
type Headers = Box<[(HeaderName, HeaderValue)]>;

/// Bodies below this many bytes gain nothing from compression.
const WORTH_COMPRESSING: usize = 1_024;
/// Bytes that an answer takes besides its bodies: three forms with two lists of headers each.
const OVERHEAD: usize = 8_192;

/// An answer before it is made ready.
#[derive(Debug)]
pub(super) struct Plain {
    pub(super) body: Vec<u8>,
    pub(super) content_type: &'static str,
    pub(super) policy: CachePolicy,
    /// Headers of this answer alone.
    pub(super) extra: Vec<(HeaderName, HeaderValue)>,
}

/// An answer as bytes.
#[derive(Debug)]
pub struct Ready {
    identity: Form,
    gzip: OnceLock<Form>,
    brotli: OnceLock<Form>,
    digest: String,
    common: Headers,
    policy: CachePolicy,
    is_compressible: bool,
}

/// The answer in one encoding.
#[derive(Debug)]
struct Form {
    body: Bytes,
    /// With its quotes; none on what may not be kept.
    tag: Option<String>,
    /// Headers of the 200.
    full: Headers,
    /// Headers of the 304.
    unchanged: Headers,
    /// Its room in the budget while it is being sent: once, however many connections it is sent over.
    charge: Mutex<Weak<Charge>>,
}

impl Ready {
    /// Makes `plain`, to be sent from `path`, ready: hashes it, so not for an async thread when it is large.
    ///
    /// # Errors
    /// `Internal` when a header has no valid form.
    pub(super) fn new(plain: Plain, path: &str) -> Result<Self> {
        let digest = hex(Sha256::digest(&plain.body).as_slice());
        let mut common = headers::common(path);
        common.push((header::CACHE_CONTROL, plain.policy.value()));
        common.extend(plain.extra);
        common.push((header::CONTENT_TYPE, HeaderValue::from_static(plain.content_type)));
        let is_compressible = plain.body.len() >= WORTH_COMPRESSING && is_text(plain.content_type);
        let common = common.into_boxed_slice();
        let identity = Form::new(plain.body.into(), Encoding::Identity, &digest, &common, plain.policy)?;
        let (gzip, brotli) = (OnceLock::new(), OnceLock::new());
        Ok(Self { identity, gzip, brotli, digest, common, policy: plain.policy, is_compressible })
    }

    /// The answer to a request of `caller` with these headers; none when its encoding has yet to be made.
    ///
    /// # Errors
    /// `Unavailable` when it is large and too much waits to be sent.
    pub(super) fn respond(
        &self,
        request: &HeaderMap,
        budget: &SendBudget,
        caller: impl FnOnce() -> Payer,
    ) -> Result<Option<Raw>> {
        self.form(self.encoding(request)).map(|form| form.respond(request, budget, caller)).transpose()
    }

    /// As [`Ready::respond`], making the encoding if need be: milliseconds of work for a large body.
    ///
    /// # Errors
    /// `Internal` when the body cannot be compressed.
    pub(super) fn prepare(&self, request: Encoding) -> Result<()> {
        let slot = match request {
            Encoding::Identity => return Ok(()),
            Encoding::Gzip => &self.gzip,
            Encoding::Brotli => &self.brotli,
        };
        if slot.get().is_none() {
            let body = compress(&self.identity.body, request).map_err(Error::internal)?;
            let form = Form::new(body.into(), request, &self.digest, &self.common, self.policy)?;
            // Somebody else may have been quicker; the bytes are the same.
            drop(slot.set(form));
        }
        Ok(())
    }

    /// The encoding in which a request with these headers is answered.
    pub(super) fn encoding(&self, request: &HeaderMap) -> Encoding {
        if self.is_compressible { chosen(request) } else { Encoding::Identity }
    }

    /// Whether shared copies of it may be kept.
    pub(super) const fn is_keepable(&self) -> bool {
        !matches!(self.policy, CachePolicy::NoStore)
    }

    /// Bytes that it will take at most, compressed bodies included.
    pub(super) fn weight(&self) -> usize {
        let body = self.identity.body.len();
        OVERHEAD + if self.is_compressible { body.saturating_add(body / 2) } else { body }
    }

    fn form(&self, encoding: Encoding) -> Option<&Form> {
        match encoding {
            Encoding::Identity => Some(&self.identity),
            Encoding::Gzip => self.gzip.get(),
            Encoding::Brotli => self.brotli.get(),
        }
    }
}

impl Form {
    fn new(
        body: Bytes,
        encoding: Encoding,
        digest: &str,
        common: &Headers,
        policy: CachePolicy,
    ) -> Result<Self> {
        let tag = (policy != CachePolicy::NoStore).then(|| format!("\"{digest}{}\"", encoding.suffix()));
        let mut unchanged = common.to_vec();
        if let Some(tag) = &tag {
            unchanged.push((header::ETAG, HeaderValue::from_str(tag).map_err(Error::internal)?));
        }
        let mut full = unchanged.clone();
        if let Some(name) = encoding.name() {
            full.push((header::CONTENT_ENCODING, HeaderValue::from_static(name)));
        }
        unchanged.retain(|(name, _)| name != header::CONTENT_TYPE);
        let (full, unchanged) = (full.into(), unchanged.into());
        Ok(Self { body, tag, full, unchanged, charge: Mutex::default() })
    }

    fn respond(
        &self,
        request: &HeaderMap,
        budget: &SendBudget,
        caller: impl FnOnce() -> Payer,
    ) -> Result<Raw> {
        let is_known = self.tag.as_deref().is_some_and(|tag| is_held(request, tag));
        let (status, body, headers) = if is_known {
            (StatusCode::NOT_MODIFIED, BoxBody::new(NoBody::new()), &self.unchanged)
        } else {
            (StatusCode::OK, self.sent(budget, caller)?, &self.full)
        };
        let mut response = Raw::with_body(status, body);
        let map = response.headers_mut();
        for (name, value) in headers {
            map.insert(name.clone(), value.clone());
        }
        Ok(response)
    }

    /// Returns the body as it is sent: a large one counts in the budget, and is copied piece by piece.
    fn sent(&self, budget: &SendBudget, caller: impl FnOnce() -> Payer) -> Result<BoxBody> {
        if self.body.len() <= MAX_UNCOUNTED {
            return Ok(sliced(self.body.clone(), None));
        }
        // One assignment changes what the lock holds: it is whole whatever panicked.
        let mut held = self.charge.lock().unwrap_or_else(PoisonError::into_inner);
        let charge = match held.upgrade() {
            Some(charge) => charge,
            None => Arc::new(budget.charge(&caller(), self.body.len())?),
        };
        *held = Arc::downgrade(&charge);
        Ok(sliced(self.body.clone(), Some(charge)))
    }
}

/// Whether the caller holds the form with that tag already (compared weakly, as RFC 9110 asks of
/// `If-None-Match`).
pub(super) fn is_held(request: &HeaderMap, tag: &str) -> bool {
    request.get_all(header::IF_NONE_MATCH).filter_map(|value| value.to_str().ok()).any(|list| {
        let same = |held: &str| held == "*" || held.strip_prefix("W/").unwrap_or(held) == tag;
        list.split(',').map(str::trim).any(same)
    })
}

fn is_text(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default();
    kind.starts_with("text/")
        || kind.ends_with("json")
        || kind.ends_with("xml")
        || kind == "application/javascript"
}

fn compress(body: &[u8], encoding: Encoding) -> std::io::Result<Vec<u8>> {
    match encoding {
        Encoding::Identity => Ok(body.to_vec()),
        Encoding::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
            encoder.write_all(body)?;
            encoder.finish()
        }
        Encoding::Brotli => {
            let params = brotli::enc::BrotliEncoderParams { quality: 5, ..Default::default() };
            let mut compressed = Vec::new();
            brotli::BrotliCompress(&mut &*body, &mut compressed, &params)?;
            Ok(compressed)
        }
    }
}

/// The first 16 bytes of a digest: plenty for a tag.
fn hex(digest: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(32);
    for byte in digest.iter().take(16) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
