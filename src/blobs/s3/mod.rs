//! Files in a bucket of an object store that speaks S3. A file is there whole or not at all: what is unfinished is no
//! object yet.
//!
//! Of a file that comes whole eight megabytes are held in memory; a part that comes by itself goes on as it comes.

mod part;

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore, ObjectStoreExt, PutPayload};
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;

pub(super) use self::part::PartWriter;
use crate::domain::uploads::Part;
use crate::domain::{hex, id};
use crate::error::{Error, Result};

/// What the path of a file, a draft or a part begins with that lies here.
pub(super) const SCHEME: &str = "s3:";
/// Bytes that are sent at once, of a file that comes whole.
const PART: usize = 8 * 1024 * 1024;
/// Bytes that all parts but the last must have.
const SMALLEST: u64 = 5 * 1024 * 1024;

/// Variables that mean something to [`AmazonS3`], and nothing to what sends parts.
const PART_BLIND: [&str; 5] = [
    "AWS_ALLOW_INVALID_CERTIFICATES",
    "AWS_CHECKSUM_ALGORITHM",
    "AWS_PROXY_URL",
    "AWS_SKIP_SIGNATURE",
    "AWS_SSE_CUSTOMER_KEY_BASE64",
];

/// A bucket, or the part of it below a prefix.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    store: Arc<AmazonS3>,
    prefix: Path,
    /// Sends what [`AmazonS3`] would first hold in memory as a whole.
    client: reqwest::Client,
}

impl Remote {
    /// Opens `s3://bucket/prefix` with what the environment's `variables` say of it: those that begin with `AWS_`.
    /// Nothing is asked yet.
    pub(super) fn open(url: &str, variables: &[(String, String)]) -> Result<Self> {
        let refuse = |why: &str| Error::invalid("blob-store", format!("--blob-store {why}"));
        let place =
            url.strip_prefix("s3://").ok_or_else(|| refuse("must be s3://bucket or s3://bucket/prefix"))?;
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let mut builder = AmazonS3Builder::new().with_bucket_name(bucket);
        for (name, value) in variables {
            if PART_BLIND.contains(&name.as_str()) {
                return Err(refuse(&format!("cannot be used with {name}: parts would be sent without it")));
            }
            let key = name.strip_prefix("AWS_").and_then(|_| name.to_ascii_lowercase().parse().ok());
            if let Some(key) = key {
                builder = builder.with_config(key, value);
            }
            // An address that is written with http was meant so.
            if name == "AWS_ENDPOINT_URL" && value.starts_with("http://") {
                builder = builder.with_allow_http(true);
            }
        }
        let store = builder.build().map_err(|cause| refuse(&format!("cannot be used: {cause}")))?;
        let prefix = Path::parse(prefix).map_err(|cause| refuse(&format!("has a bad prefix: {cause}")))?;
        Ok(Self { store: Arc::new(store), prefix, client: part::client()? })
    }

    /// A new name, as rows have it.
    fn fresh() -> String {
        let name = id::fresh();
        let shard = hex::encode(&Sha256::digest(&name));
        format!("{SCHEME}{}/{name}", shard.get(..2).unwrap_or_default())
    }

    /// Where a file lies in the bucket.
    fn locate(&self, path: &str) -> Path {
        let parts = path.strip_prefix(SCHEME).unwrap_or(path).split('/');
        self.prefix.parts().chain(parts.map(Into::into)).collect()
    }

    pub(super) fn begin(&self) -> Writer {
        let open = Open { remote: self.clone(), path: Self::fresh(), multipart: None };
        Writer { open: Some(open), sent: Vec::new(), gathered: Vec::new(), hash: Sha256::new() }
    }

    pub(super) async fn remove(&self, path: &str) -> Result<()> {
        match self.store.delete(&self.locate(path)).await {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            removed => removed.map_err(explain),
        }
    }

    pub(super) async fn untouched_since(&self, moment: SystemTime) -> Result<Vec<String>> {
        let depth = self.prefix.parts().count();
        let all = self.store.list(Some(&self.prefix)).map_err(explain);
        let old = all.try_filter_map(|object| {
            let is_old = SystemTime::from(object.last_modified) < moment;
            let parts: Vec<_> =
                object.location.parts().skip(depth).map(|part| part.as_ref().to_owned()).collect();
            std::future::ready(Ok(is_old.then(|| format!("{SCHEME}{}", parts.join("/")))))
        });
        old.try_collect().await
    }

    pub(super) async fn size(&self, path: &str) -> Result<u64> {
        Ok(self.store.head(&self.locate(path)).await.map_err(explain)?.size)
    }

    pub(super) fn read(self, path: &str, range: std::ops::Range<u64>) -> BoxStream<'static, Result<Bytes>> {
        if range.is_empty() {
            return stream::empty().boxed();
        }
        let place = self.locate(path);
        let answer = async move {
            let options = GetOptions { range: Some(range.into()), ..GetOptions::default() };
            let answer = self.store.get_opts(&place, options).await.map_err(explain)?;
            Ok(answer.into_stream().map_err(explain))
        };
        stream::once(answer).try_flatten().boxed()
    }

    /// Begins a file in parts; answers what it is known by here.
    pub(super) async fn draft(&self) -> Result<String> {
        let path = Self::fresh();
        let multipart = self.store.create_multipart(&self.locate(&path)).await.map_err(explain)?;
        Ok(format!("{path} {multipart}"))
    }

    pub(super) async fn assemble(&self, draft: &str, parts: &[Part]) -> Result<String> {
        let (path, multipart) = split(draft)?;
        if parts.iter().rev().skip(1).any(|part| part.size < SMALLEST) {
            let message = format!("parts must have at least {SMALLEST} bytes, but for the last");
            return Err(Error::bad_request(message));
        }
        let ids = parts.iter().map(|part| PartId {
            content_id: part.place.strip_prefix(SCHEME).unwrap_or_default().to_owned(),
        });
        let (place, total) = (self.locate(path), parts.iter().map(|part| part.size).sum::<u64>());
        let done = self.store.complete_multipart(&place, &multipart.to_owned(), ids.collect()).await;
        // Whoever was killed before he could say so has done it already.
        if let Err(cause) = done
            && self.store.head(&place).await.ok().is_none_or(|found| found.size != total)
        {
            return Err(explain(cause));
        }
        Ok(path.to_owned())
    }

    pub(super) async fn discard(&self, draft: &str) -> Result<()> {
        let (path, multipart) = split(draft)?;
        match self.store.abort_multipart(&self.locate(path), &multipart.to_owned()).await {
            // It is put together or was given up before.
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            aborted => aborted.map_err(explain),
        }
    }
}

fn split(draft: &str) -> Result<(&str, &str)> {
    draft.split_once(' ').ok_or_else(|| Error::internal("a draft without its multipart upload"))
}

/// The path of the file that a draft becomes.
pub(super) fn path_of(draft: &str) -> &str {
    draft.split(' ').next().unwrap_or_default()
}

/// What an error of the object store means to us.
fn explain(cause: object_store::Error) -> Error {
    match cause {
        object_store::Error::NotFound { .. } => Error::NotFound("file"),
        other => failed(&crate::error::explain(&other)),
    }
}

/// What a caller is told when the store does not do what it should; why is for the log.
fn failed(why: &str) -> Error {
    tracing::warn!(error = why, "the store of files failed");
    Error::Unavailable("the store of files does not do what it should: try again".to_owned())
}

/// An object that is not there yet, or that no row names yet: it is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Open {
    remote: Remote,
    path: String,
    multipart: Option<String>,
}

impl Open {
    async fn send(&mut self, number: usize, bytes: Vec<u8>) -> Result<PartId> {
        let place = self.remote.locate(&self.path);
        let multipart = match &self.multipart {
            Some(multipart) => multipart,
            None => {
                let begun = self.remote.store.create_multipart(&place).await.map_err(explain)?;
                self.multipart.insert(begun)
            }
        };
        self.remote.store.put_part(&place, multipart, number, bytes.into()).await.map_err(explain)
    }

    /// Leaves the object where it is.
    pub(super) fn keep(mut self) {
        self.path.clear();
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let (remote, path) = (self.remote.clone(), std::mem::take(&mut self.path));
        let Ok(runtime) = Handle::try_current() else { return };
        if path.is_empty() {
            return;
        }
        let draft = self.multipart.take().map(|multipart| format!("{path} {multipart}"));
        runtime.spawn(async move {
            if let Some(draft) = draft
                && let Err(error) = remote.discard(&draft).await
            {
                tracing::warn!(%draft, ?error, "an unfinished upload to the bucket stays");
            }
            if let Err(error) = remote.remove(&path).await {
                tracing::warn!(%path, ?error, "an unwanted file stays until the next sweep");
            }
        });
    }
}

/// A file that is being sent. Dropped before it is finished, it leaves nothing behind.
#[derive(Debug)]
pub(super) struct Writer {
    open: Option<Open>,
    sent: Vec<PartId>,
    gathered: Vec<u8>,
    hash: Sha256,
}

impl Writer {
    pub(super) async fn write(&mut self, chunk: &[u8]) -> Result<()> {
        self.gathered.extend_from_slice(chunk);
        if self.gathered.len() < PART {
            return Ok(());
        }
        self.flush().await
    }

    async fn flush(&mut self) -> Result<()> {
        let bytes = std::mem::take(&mut self.gathered);
        let (hash, bytes) = hashed(std::mem::take(&mut self.hash), bytes).await?;
        self.hash = hash;
        let open = self.open.as_mut().ok_or_else(|| Error::internal("a file that had failed"))?;
        let part = open.send(self.sent.len(), bytes).await?;
        self.sent.push(part);
        Ok(())
    }

    /// Makes the file an object: what removes it again, its path and its hash.
    pub(super) async fn finish(mut self) -> Result<(Open, String, String)> {
        if !self.sent.is_empty() && !self.gathered.is_empty() {
            self.flush().await?;
        }
        let open = self.open.take().ok_or_else(|| Error::internal("a file that had failed"))?;
        let (store, place) = (&open.remote.store, open.remote.locate(&open.path));
        let bytes = std::mem::take(&mut self.gathered);
        let (hash, bytes) = hashed(std::mem::take(&mut self.hash), bytes).await?;
        match &open.multipart {
            Some(multipart) => {
                let done = store.complete_multipart(&place, multipart, std::mem::take(&mut self.sent)).await;
                done.map_err(explain)?;
            }
            None => drop(store.put(&place, PutPayload::from(bytes)).await.map_err(explain)?),
        }
        let path = open.path.clone();
        Ok((open, path, hex::encode(&hash.finalize())))
    }
}

/// Hashes bytes where it holds nobody up.
async fn hashed(hash: Sha256, bytes: Vec<u8>) -> Result<(Sha256, Vec<u8>)> {
    let work = move || (hash.chain_update(&bytes), bytes);
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)
}
