//! The Idempotency-Key header: reads it and builds what the service needs. It remembers nothing itself.

use actix_web::dev::Payload;
use actix_web::http::header::HeaderName;
use actix_web::{FromRequest, HttpRequest};
use sha2::{Digest, Sha256};

use super::error::ApiError;
use crate::domain::users::User;
use crate::error::{Error, Result};
use crate::service::once::Once;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Longest key, in characters.
const LONGEST: usize = 255;

/// What stands for the digest of a body where a route reads none.
pub const NO_BODY: [u8; 32] = [0; 32];

/// What a request says of happening once; JSON bodies carry one of their own.
#[derive(Debug, Clone)]
pub struct IdempotencyKey {
    key: Option<String>,
    /// Method and address, to be followed by the body's digest.
    request: Sha256,
}

impl IdempotencyKey {
    /// Reads the header.
    ///
    /// # Errors
    /// `Invalid` when it is not 1-255 visible ASCII characters.
    pub(super) fn read(request: &HttpRequest) -> Result<Self> {
        let key = request.headers().get(IDEMPOTENCY_KEY).map(|value| parse(value.as_bytes())).transpose()?;
        let mut digest = Sha256::new();
        for part in [request.method().as_str(), request.path(), request.query_string()] {
            digest.update(part);
            digest.update([0]);
        }
        Ok(Self { key, request: digest })
    }

    /// That `user` wants the command with a body of that SHA-256 to happen once.
    #[must_use]
    pub fn once(&self, user: &User, body: [u8; 32]) -> Once {
        let Some(key) = &self.key else {
            return Once::unasked(user.key);
        };
        let fingerprint = self.request.clone().chain_update(body).finalize().into();
        Once::new(user.key, key.clone(), fingerprint)
    }
}

fn parse(value: &[u8]) -> Result<String> {
    let clean = (1..=LONGEST).contains(&value.len()) && value.iter().all(u8::is_ascii_graphic);
    let text = str::from_utf8(value).ok().filter(|_| clean);
    text.map(str::to_owned).ok_or_else(|| {
        Error::invalid(
            "Idempotency-Key",
            "Idempotency-Key must be 1-255 visible ASCII characters without spaces",
        )
    })
}

impl FromRequest for IdempotencyKey {
    type Error = ApiError;
    type Future = std::future::Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(Self::read(request).map_err(ApiError))
    }
}
