//! A body of lines, read one by one: as long as it likes, as long as no single line is.

use std::time::Duration;

use actix_web::dev::Payload as Raw;
use actix_web::web::{Bytes, Payload};
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use futures_util::StreamExt;
use tokio::time::{Instant, timeout_at};

use super::error::ApiError;
use super::json::{PATIENCE, SLOWEST, refuse_compressed};
use crate::error::{Error, Result};

/// Longest line, in bytes.
const LONGEST: usize = 2 * 1024 * 1024;

/// What is left of a body that was read in part.
#[derive(Default)]
pub struct Lines {
    /// Read and not yet answered.
    buffer: Vec<u8>,
    /// Where the next line starts in it.
    start: usize,
    number: usize,
    is_over: bool,
    /// When reading began, and how many bytes have come since.
    began: Option<Instant>,
    received: u64,
}

impl FromRequest for Lines {
    type Error = ApiError;
    type Future = std::future::Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Raw) -> Self::Future {
        std::future::ready(check(request).map(|()| Self::default()).map_err(ApiError))
    }
}

/// Refuses what is not lines of JSON. curl's `--data-binary` names a form unless told otherwise, so that is
/// refused with the words that mend it.
fn check(request: &HttpRequest) -> Result<()> {
    refuse_compressed(request)?;
    let accepted = ["application/x-ndjson", "application/jsonl", "application/ndjson", "text/plain"];
    if accepted.iter().any(|name| request.content_type().eq_ignore_ascii_case(name)) {
        return Ok(());
    }
    let message = "send lines of JSON with the header Content-Type: application/x-ndjson";
    Err(Error::Unsupported(message.to_owned()))
}

impl Lines {
    /// The next line that is not blank; none at the end.
    ///
    /// # Errors
    /// `TooLarge` for a line over 2 MB; `Invalid` when the body breaks off or comes too slowly.
    pub async fn next(&mut self, payload: &mut Payload) -> Result<Option<Vec<u8>>> {
        loop {
            if let Some(line) = self.take()? {
                self.number += 1;
                if !line.trim_ascii().is_empty() {
                    return Ok(Some(line));
                }
            } else if self.is_over {
                return Ok(None);
            } else {
                self.read(payload).await?;
            }
        }
    }

    /// The number of the line that was answered last, from 1.
    #[must_use]
    pub const fn number(&self) -> usize {
        self.number
    }

    /// A whole line of what was read; the last one needs no line end.
    fn take(&mut self) -> Result<Option<Vec<u8>>> {
        let rest = self.buffer.get(self.start..).unwrap_or_default();
        let end = rest.iter().position(|byte| *byte == b'\n');
        if end.unwrap_or(rest.len()) > LONGEST {
            return Err(Error::TooLarge(format!("line {} is longer than 2 MB", self.number + 1)));
        }
        let length = match end {
            Some(end) => end,
            None if self.is_over && !rest.is_empty() => rest.len(),
            None => return Ok(None),
        };
        let line = rest.get(..length).unwrap_or_default().to_vec();
        self.start = (self.start + length + 1).min(self.buffer.len());
        Ok(Some(line))
    }

    async fn read(&mut self, payload: &mut Payload) -> Result<()> {
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
