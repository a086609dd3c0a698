//! A body that is read bit by bit: what came and was not used yet, and the pace at which it has to come.

use std::time::Duration;

use actix_web::web::{Bytes, Payload};
use futures_util::StreamExt;
use tokio::time::{Instant, timeout_at};

use crate::domain::byte_order::{MARK_LENGTH, without_mark};
use crate::error::{Error, Result};
use crate::http::json::{PATIENCE, SLOWEST};

/// The part of a body that was received and not used yet.
#[derive(Debug, Default)]
pub(super) struct Body {
    buffer: Vec<u8>,
    /// Where the unused bytes start.
    start: usize,
    is_over: bool,
    /// When reading began.
    began: Option<Instant>,
    /// Bytes since.
    received: u64,
}

impl Body {
    /// Waits for the beginning and skips its byte order mark.
    ///
    /// # Errors
    /// `Invalid` when it is encoded as UTF-16 or UTF-32, and as [`Body::fill`].
    pub(super) async fn open(&mut self, payload: &mut Payload) -> Result<()> {
        while self.rest().len() < MARK_LENGTH && !self.is_over {
            self.fill(payload).await?;
        }
        let marked = self.rest().len() - without_mark(self.rest())?.len();
        self.advance(marked);
        Ok(())
    }

    /// The bytes that came and were not used yet.
    pub(super) fn rest(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }

    /// Whether nothing comes behind [`Body::rest`].
    pub(super) const fn is_over(&self) -> bool {
        self.is_over
    }

    /// Takes `count` bytes for used.
    pub(super) fn advance(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.buffer.len());
    }

    /// Waits for more bytes, or the end.
    ///
    /// # Errors
    /// `Invalid` when the body breaks off or comes too slowly.
    pub(super) async fn fill(&mut self, payload: &mut Payload) -> Result<()> {
        let began = *self.began.get_or_insert_with(Instant::now);
        let earned = Duration::from_secs(self.received / SLOWEST);
        let next = timeout_at(began + PATIENCE + earned, payload.next()).await;
        let next = next.map_err(|_| Error::bad_request("the body came too slowly"))?;
        let chunk: Option<Bytes> =
            next.transpose().map_err(|_| Error::bad_request("the body ended too early"))?;
        self.buffer.drain(..self.start);
        self.start = 0;
        match chunk {
            Some(chunk) => {
                self.received = self.received.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
                self.buffer.extend_from_slice(&chunk);
            }
            None => self.is_over = true,
        }
        Ok(())
    }
}

#[cfg(test)]
impl Body {
    /// A body that is all there.
    pub(super) fn whole(bytes: &[u8]) -> Self {
        Self { buffer: bytes.to_vec(), is_over: true, ..Self::default() }
    }
}
