//! A part on its way into an upload of the bucket. It goes on as it comes: a few pieces of it are held in memory.
//!
//! The last piece stays here until the part is finished. One that is given up was thus never whole, and the store
//! forgets it.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use object_store::signer::{SignedUrlOptions, Signer};
use reqwest::header::{CONTENT_LENGTH, ETAG};
use reqwest::{Body, Client, Method, RequestBuilder, StatusCode};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{Remote, SCHEME, explain, hashed, split};
use crate::blobs::local::GATHERED;
use crate::domain::hex;
use crate::error::{Error, Result};

/// Pieces that wait for the store to take them.
const WAITING: usize = 1;
/// How long a request may begin after it was signed.
const VALID: Duration = Duration::from_mins(15);
/// How long the store may take to do anything at all.
const PATIENCE: Duration = Duration::from_mins(1);

/// What sends parts.
pub(super) fn client() -> Result<Client> {
    // What was sent is not kept, so that it cannot be sent elsewhere.
    let client = Client::builder().connect_timeout(PATIENCE).redirect(reqwest::redirect::Policy::none());
    client.build().map_err(Error::internal)
}

/// A part that is being sent. Dropped before it is finished, it leaves nothing behind.
#[derive(Debug)]
pub(in crate::blobs) struct PartWriter {
    pieces: mpsc::Sender<Bytes>,
    /// Answers what the store knows the part by.
    sending: JoinHandle<Result<String>>,
    gathered: Vec<u8>,
    /// Bytes that are yet to come.
    missing: u64,
    hash: Sha256,
}

impl Remote {
    /// Begins a part of `size` bytes, which the store wants to know beforehand.
    pub(in crate::blobs) async fn begin_part(
        &self,
        draft: &str,
        number: u32,
        size: Option<u64>,
    ) -> Result<PartWriter> {
        let missing = size.ok_or_else(|| {
            let message = "Content-Length or x-content-length must say how many bytes the part has";
            Error::invalid("content-length", message)
        })?;
        let (path, multipart) = split(draft)?;
        let query = [("partNumber", number.to_string()), ("uploadId", multipart.to_owned())];
        let (place, options) = (self.locate(path), SignedUrlOptions::default().with_query(query));
        let signed = self.store.signed_url_opts(Method::PUT, &place, VALID, &options).await;
        let (pieces, coming) = mpsc::channel(WAITING);
        let body = Body::wrap_stream(body(coming, missing));
        let request = self.client.put(signed.map_err(explain)?).header(CONTENT_LENGTH, missing).body(body);
        let sending = tokio::spawn(send(request));
        Ok(PartWriter { pieces, sending, gathered: Vec::new(), missing, hash: Sha256::new() })
    }
}

/// The pieces as they come. They break off, rather than end, when they are not `missing` bytes.
fn body(coming: mpsc::Receiver<Bytes>, missing: u64) -> impl Stream<Item = io::Result<Bytes>> {
    stream::unfold((coming, missing), async |(mut coming, missing)| match coming.recv().await {
        Some(piece) => {
            let left = missing.saturating_sub(u64::try_from(piece.len()).unwrap_or(u64::MAX));
            Some((Ok(piece), (coming, left)))
        }
        None if missing == 0 => None,
        None => Some((Err(io::ErrorKind::ConnectionAborted.into()), (coming, 0))),
    })
}

async fn send(request: RequestBuilder) -> Result<String> {
    // The address has a signature in it.
    let answer =
        request.send().await.map_err(|cause| failed(&crate::error::explain(&cause.without_url())))?;
    let tag = answer.headers().get(ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
    match (answer.status(), tag) {
        (StatusCode::OK, Some(tag)) => Ok(tag),
        (StatusCode::NOT_FOUND, _) => Err(Error::Conflict {
            code: "upload_ended",
            message: "the upload has ended meanwhile".to_owned(),
        }),
        (status, _) => Err(failed(&format!("it answers a part with {status}"))),
    }
}

fn failed(why: &str) -> Error {
    tracing::warn!(error = why, "the store of files failed");
    Error::Unavailable("the store of files does not do what it should: try again".to_owned())
}

impl PartWriter {
    /// Adds `chunk` to the end. After an error the part is gone.
    pub(in crate::blobs) async fn write(&mut self, chunk: &[u8]) -> Result<()> {
        let length = u64::try_from(chunk.len()).map_err(Error::internal)?;
        self.missing =
            self.missing.checked_sub(length).ok_or_else(|| Error::internal("a part is too long"))?;
        self.gathered.extend_from_slice(chunk);
        if self.missing > 0 && self.gathered.len() >= GATHERED { self.pass_on().await } else { Ok(()) }
    }

    async fn pass_on(&mut self) -> Result<()> {
        let gathered = std::mem::take(&mut self.gathered);
        let (hash, piece) = hashed(std::mem::take(&mut self.hash), gathered).await?;
        self.hash = hash;
        match timeout(PATIENCE, self.pieces.send(piece.into())).await {
            Ok(Ok(())) => Ok(()),
            // Nobody listens any more: the answer says why.
            Ok(Err(_)) => match answer(&mut self.sending).await {
                Ok(_) => Err(failed("it answers a part before it has it")),
                Err(why) => Err(why),
            },
            Err(_) => Err(failed("it takes no more of a part")),
        }
    }

    /// Sends the rest: the place of the part and its hash.
    pub(in crate::blobs) async fn finish(mut self) -> Result<(String, String)> {
        if self.missing > 0 {
            let message = format!("the part ended {} bytes before it should", self.missing);
            return Err(Error::invalid("content-length", message));
        }
        self.pass_on().await?;
        let Self { pieces, mut sending, hash, .. } = self;
        drop(pieces);
        let tag = answer(&mut sending).await?;
        Ok((format!("{SCHEME}{tag}"), hex::encode(&hash.finalize())))
    }
}

async fn answer(sending: &mut JoinHandle<Result<String>>) -> Result<String> {
    let answer = timeout(PATIENCE, sending).await;
    answer.map_err(|_| failed("it does not answer a part"))?.map_err(Error::internal)?
}
