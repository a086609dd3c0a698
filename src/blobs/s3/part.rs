//! A part on its way into an upload of the bucket. It goes on as it comes: a few pieces of it are held in memory.
//!
//! The last piece stays here until the part is finished. One that is given up was thus never whole, and the store
//! forgets it.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream;
use object_store::signer::{SignedUrlOptions, Signer};
use reqwest::header::{CONTENT_LENGTH, ETAG};
use reqwest::{Body, Client, Method, RequestBuilder, Response, StatusCode};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Remote, SCHEME, explain, failed, hashed, split};
use crate::domain::hex;
use crate::error::{Error, Result};

/// Bytes that a part may have, by the rules of S3.
const SIZES: std::ops::RangeInclusive<u64> = 1..=5 * 1024 * 1024 * 1024;
/// Bytes that are sent at once, if they come quickly.
const PIECE: usize = 64 * 1024;
/// After which time fewer are sent: a store hangs up on those who say nothing.
const PAUSE: Duration = Duration::from_secs(5);
/// Pieces that wait for the store to take them.
const WAITING: usize = 4;
/// How long a request may begin after it was signed.
const VALID: Duration = Duration::from_mins(15);
/// How long the store may take to do anything at all.
const PATIENCE: Duration = Duration::from_mins(1);
/// Characters of the store's explanation that are logged.
const EXPLAINED: usize = 500;

/// What sends parts.
pub(super) fn client() -> Result<Client> {
    // What was sent is not kept, so that it cannot be sent elsewhere.
    let client = Client::builder().connect_timeout(PATIENCE).redirect(reqwest::redirect::Policy::none());
    client.build().map_err(Error::internal)
}

/// A part that is being sent. Dropped before it is finished, it leaves nothing behind.
#[derive(Debug)]
pub(in crate::blobs) struct PartWriter {
    /// The one request, which is given up with this. It answers what the store knows the part by.
    sending: JoinSet<Result<String>>,
    pieces: mpsc::Sender<Bytes>,
    gathered: Vec<u8>,
    /// When something was last sent.
    sent_at: Instant,
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
        let missing = size.filter(|size| SIZES.contains(size)).ok_or_else(|| {
            let message =
                "Content-Length or x-content-length must say how many bytes the part has: 1 to 5 GiB";
            Error::invalid("content-length", message)
        })?;
        let (path, multipart) = split(draft)?;
        let query = [("partNumber", number.to_string()), ("uploadId", multipart.to_owned())];
        let (place, options) = (self.locate(path), SignedUrlOptions::default().with_query(query));
        let signed = self.store.signed_url_opts(Method::PUT, &place, VALID, &options).await;
        let (pieces, coming) = mpsc::channel(WAITING);
        let body = stream::unfold(coming, async |mut coming: mpsc::Receiver<Bytes>| {
            Some((Ok::<_, Infallible>(coming.recv().await?), coming))
        });
        let request = self.client.put(signed.map_err(explain)?).header(CONTENT_LENGTH, missing);
        let mut sending = JoinSet::new();
        sending.spawn(send(request.body(Body::wrap_stream(body))));
        let (gathered, sent_at) = (Vec::new(), Instant::now());
        Ok(PartWriter { sending, pieces, gathered, sent_at, missing, hash: Sha256::new() })
    }
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
        (status, _) => {
            Err(failed(&format!("it answers a part with {status}: {}", explanation(answer).await)))
        }
    }
}

/// The beginning of what the store says of an error.
async fn explanation(mut answer: Response) -> String {
    let first = answer.chunk().await.ok().flatten().unwrap_or_default();
    String::from_utf8_lossy(&first).chars().take(EXPLAINED).collect()
}

impl PartWriter {
    /// Adds `chunk` to the end. After an error the part is gone.
    pub(in crate::blobs) async fn write(&mut self, chunk: &[u8]) -> Result<()> {
        let length = u64::try_from(chunk.len()).map_err(Error::internal)?;
        self.missing =
            self.missing.checked_sub(length).ok_or_else(|| Error::internal("a part is too long"))?;
        self.gathered.extend_from_slice(chunk);
        let is_due = self.gathered.len() >= PIECE || self.sent_at.elapsed() >= PAUSE;
        if self.missing > 0 && is_due { self.pass_on().await } else { Ok(()) }
    }

    async fn pass_on(&mut self) -> Result<()> {
        let gathered = std::mem::take(&mut self.gathered);
        let (hash, piece) = hashed(std::mem::take(&mut self.hash), gathered).await?;
        (self.hash, self.sent_at) = (hash, Instant::now());
        let passed = async {
            tokio::select! {
                Ok(()) = self.pieces.send(piece.into()) => Ok(()),
                Some(answer) = self.sending.join_next() => match answer.map_err(Error::internal)? {
                    Ok(_) => Err(failed("it answers a part before it has it")),
                    Err(why) => Err(why),
                },
                else => Err(Error::internal("a part was written to after it had failed")),
            }
        };
        timeout(PATIENCE, passed).await.unwrap_or_else(|_| Err(failed("it takes no more of a part")))
    }

    /// Sends the rest: the place of the part and its hash.
    pub(in crate::blobs) async fn finish(mut self) -> Result<(String, String)> {
        if self.missing > 0 {
            let message = format!("the part ended {} bytes before it should", self.missing);
            return Err(Error::invalid("content-length", message));
        }
        self.pass_on().await?;
        let Self { pieces, mut sending, hash, .. } = self;
        // The body ends with the last who may add to it.
        drop(pieces);
        let answer = timeout(PATIENCE, sending.join_next()).await;
        let answer = answer.map_err(|_| failed("it does not answer a part"))?;
        let tag = answer.ok_or_else(|| failed("a part was not sent"))?.map_err(Error::internal)??;
        Ok((format!("{SCHEME}{tag}"), hex::encode(&hash.finalize())))
    }
}
