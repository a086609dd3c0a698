//! Bodies that are read piece by piece, as long as they come at all quickly. What they mean is not known here.

use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use tokio::time::{Instant, timeout_at};

use super::json::{PATIENCE, SLOWEST};
use crate::error::{Error, Result};

/// The body, as long as it comes at all quickly.
pub(super) fn paced(payload: Payload) -> impl Stream<Item = Result<Bytes, PayloadError>> {
    let start = Instant::now() + PATIENCE;
    stream::try_unfold((payload, 0_u64), move |(mut payload, came)| async move {
        let next = timeout_at(start + Duration::from_secs(came / SLOWEST), payload.next()).await;
        let slow = |_| PayloadError::Io(std::io::ErrorKind::TimedOut.into());
        let Some(chunk) = next.map_err(slow)? else { return Ok(None) };
        let chunk = chunk?;
        let came = came.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        Ok(Some((chunk, (payload, came))))
    })
}

/// A body of plain bytes.
pub struct Body(Pin<Box<dyn Stream<Item = Result<Bytes, PayloadError>>>>);

impl Body {
    /// The body that `payload` brings.
    #[must_use]
    pub(super) fn new(payload: Payload) -> Self {
        Self(Box::pin(paced(payload)))
    }

    /// The next piece; none at its end.
    ///
    /// # Errors
    /// `Invalid` when it came too slowly, or ended too early.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        self.0.next().await.transpose().map_err(|cause| match cause {
            PayloadError::Io(cause) if cause.kind() == std::io::ErrorKind::TimedOut => {
                Error::bad_request("the body came too slowly")
            }
            _ => Error::bad_request("the body ended too early"),
        })
    }
}
