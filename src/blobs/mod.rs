//! Stored files: written so that what was acknowledged is on disk, whole or in parts.
//!
//! A client's words are in no path. Which row names a file is not known here: rows are written after the file and
//! deleted before it.

mod arriving;
mod local;
mod parts;
mod reading;
mod s3;

use std::path::Path;
use std::time::SystemTime;

use tokio::sync::OwnedMutexGuard;

pub use self::arriving::{Arriving, Share};
use self::local::{Leftover, Local};
pub(crate) use self::parts::Slot;
pub use self::reading::{CHUNK, Reader};
use self::s3::Remote;
use crate::domain::id;
use crate::domain::uploads::Part;
use crate::error::{Error, Result};

/// The stored files.
#[derive(Debug, Clone)]
pub struct Blobs {
    local: Local,
    /// Where new files go, if it is not the folder. Those that are in the folder stay there.
    remote: Option<Remote>,
}

impl Blobs {
    /// Opens the folder, which is made (for its owner alone) when absent.
    ///
    /// # Errors
    /// `Internal` when it cannot be made; `Full` on a full disk.
    pub fn open(folder: &Path) -> Result<Self> {
        Ok(Self { local: Local::open(folder)?, remote: None })
    }

    /// Has new files go to the bucket at `url`, `s3://bucket/prefix`, with what the environment's `variables` say.
    ///
    /// # Errors
    /// `Invalid` for a URL or variables that cannot be right.
    pub fn with_bucket(self, url: &str, variables: &[(String, String)]) -> Result<Self> {
        Ok(Self { remote: Some(Remote::open(url, variables)?), ..self })
    }

    /// Whether the file at `path` lies in a bucket.
    #[must_use]
    pub fn is_remote(path: &str) -> bool {
        path.starts_with(s3::SCHEME)
    }

    /// The bucket, if that is where `path` lies.
    fn remote_of(&self, path: &str) -> Result<Option<&Remote>> {
        match &self.remote {
            _ if !Self::is_remote(path) => Ok(None),
            Some(remote) => Ok(Some(remote)),
            None => {
                Err(Error::Unavailable("the file is in a bucket, and --blob-store names none".to_owned()))
            }
        }
    }

    /// Begins a file of at most `limit` bytes.
    ///
    /// # Errors
    /// `Full`; `Internal` when it cannot be made.
    pub async fn begin(&self, limit: u64) -> Result<Writer> {
        let inner = match &self.remote {
            Some(remote) => Inner::Remote(remote.begin()),
            None => Inner::Local(self.local.begin().await?),
        };
        Ok(Writer { inner: Some(inner), size: 0, limit })
    }

    /// Opens a stored file for reading.
    ///
    /// # Errors
    /// `NotFound` when it is gone; `Internal` when it cannot be opened.
    pub async fn open_file(&self, path: &str) -> Result<Reader> {
        match self.remote_of(path)? {
            Some(remote) => Reader::remote(remote.clone(), path).await,
            None => Reader::local(self.local.locate(path)).await,
        }
    }

    /// Removes a file; it is no error when it is gone already.
    ///
    /// # Errors
    /// `Internal` when it cannot be removed.
    pub async fn remove(&self, path: &str) -> Result<()> {
        match self.remote_of(path)? {
            Some(remote) => remote.remove(path).await,
            None => self.local.remove(path).await,
        }
    }

    /// Paths of all files, unfinished ones included, that nobody has written to since `moment`.
    ///
    /// # Errors
    /// `Internal` when a folder cannot be read.
    pub async fn untouched_since(&self, moment: SystemTime) -> Result<Vec<String>> {
        let mut found = self.local.untouched_since(moment).await?;
        if let Some(remote) = &self.remote {
            found.extend(remote.untouched_since(moment).await?);
        }
        Ok(found)
    }

    /// Begins a file that comes in parts; answers what it is known by here.
    ///
    /// # Errors
    /// `Internal` when it cannot be made.
    pub async fn draft(&self) -> Result<String> {
        match &self.remote {
            Some(remote) => remote.draft().await,
            None => Ok(id::fresh()),
        }
    }

    /// Keeps the place of a part of that size for one who is about to write it, if it can be written where the
    /// whole will have it. Ask after this whether a part is stored there already.
    #[must_use]
    pub(crate) fn slot(&self, draft: &str, number: u32, size: Option<u64>) -> Option<Slot> {
        if Self::is_remote(draft) { None } else { self.local.slot(draft, number, size) }
    }

    /// Whether a stored part lies in its place in the common file, which others may ask for.
    #[must_use]
    pub fn is_in_slot(place: &str) -> bool {
        parts::is_in_slot(place)
    }

    /// Begins a part of a draft: of `size` bytes if that is known, and at most `limit`.
    ///
    /// # Errors
    /// `Invalid` for a size that a bucket does not take, and `Unavailable` when it takes nothing; `Conflict` when the
    /// whole was put together meanwhile; `Full`; `Internal` when it cannot be made.
    pub(crate) async fn begin_part(
        &self,
        draft: &str,
        number: u32,
        slot: Option<Slot>,
        size: Option<u64>,
        limit: u64,
    ) -> Result<PartWriter> {
        let limit = size.map_or(limit, |size| size.min(limit));
        if let Some(remote) = self.remote_of(draft)? {
            let inner = Inner::RemotePart(remote.begin_part(draft, number, size).await?);
            let writer = Writer { inner: Some(inner), size: 0, limit };
            return Ok(PartWriter { writer, number, place: String::new() });
        }
        let begun = self.local.begin_part(draft, number, slot).await;
        let (writer, place) = begun.map_err(parts::explain)?;
        Ok(PartWriter { writer: Writer { inner: Some(Inner::Local(writer)), size: 0, limit }, number, place })
    }

    /// Removes a part that another took the place of.
    ///
    /// # Errors
    /// `Internal` when it cannot be removed.
    pub async fn remove_part(&self, place: &str) -> Result<()> {
        // In a bucket the later part has taken the place of the earlier one.
        if Self::is_remote(place) { Ok(()) } else { self.local.remove_part(place).await }
    }

    /// Waits until nobody else puts the file of that upload together.
    pub(crate) async fn turn(&self, upload: &str) -> OwnedMutexGuard<()> {
        self.local.drafts.turn(upload).await
    }

    /// Puts a draft together from these parts, in their order, and brings it to disk; `has_others` says whether
    /// parts were stored besides. Answers its path. After an error nothing is lost, and it may be done again.
    ///
    /// # Errors
    /// `Full`; `Internal`.
    pub async fn assemble(&self, draft: &str, parts: Vec<Part>, has_others: bool) -> Result<String> {
        match self.remote_of(draft)? {
            Some(remote) => remote.assemble(draft, &parts).await,
            None => self.local.assemble(draft, parts, has_others).await,
        }
    }

    /// Undoes [`Blobs::assemble`], as far as parts can be written again.
    ///
    /// # Errors
    /// `Internal`.
    pub async fn disassemble(&self, draft: &str) -> Result<()> {
        // The object stays, and is found by whoever tries again.
        if Self::is_remote(draft) { Ok(()) } else { self.local.disassemble(draft).await }
    }

    /// Removes what is left of a draft, with its parts.
    ///
    /// # Errors
    /// `Internal`.
    pub async fn discard(&self, draft: &str, parts: Vec<Part>) -> Result<()> {
        match self.remote_of(draft)? {
            Some(remote) => remote.discard(draft).await,
            None => self.local.discard(draft, parts).await,
        }
    }

    /// Whether the file at `path` was put together from that draft.
    #[must_use]
    pub fn is_made_of(path: &str, draft: &str) -> bool {
        if Self::is_remote(draft) { s3::path_of(draft) == path } else { parts::final_path(draft).1 == path }
    }

    /// Whether a path that [`Blobs::untouched_since`] told belongs to that draft.
    #[must_use]
    pub fn is_of_draft(path: &str, draft: &str) -> bool {
        let rest = path.strip_prefix(local::DRAFTS).and_then(|rest| rest.strip_prefix('/'));
        rest.is_some_and(|name| name.split('.').next() == Some(draft))
    }
}

/// Paths of all files below the folder of files at `folder`, unfinished ones included; none when it is absent. It
/// blocks.
///
/// # Errors
/// `Internal` when a folder cannot be read.
pub fn list(folder: &Path) -> Result<Vec<String>> {
    local::list(folder)
}

/// What writes, by where to.
#[derive(Debug)]
enum Inner {
    Local(local::Writer),
    Remote(s3::Writer),
    RemotePart(s3::PartWriter),
}

/// A file that is being written. Dropped before it is finished, it leaves nothing behind.
#[derive(Debug)]
pub struct Writer {
    /// None after a failure.
    inner: Option<Inner>,
    size: u64,
    limit: u64,
}

impl Writer {
    /// Adds `chunk` to the end.
    ///
    /// # Errors
    /// `TooLarge` beyond the limit; `Full`; `Internal` when it cannot be written. After an error the file is
    /// gone.
    pub async fn write(&mut self, chunk: &[u8]) -> Result<()> {
        let length = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        self.size = self.size.saturating_add(length);
        if self.size > self.limit {
            self.inner = None;
            return Err(Error::TooLarge(format!("a file may have at most {} bytes", self.limit)));
        }
        let mut inner = self.take()?;
        match &mut inner {
            Inner::Local(writer) => writer.write(chunk).await?,
            Inner::Remote(writer) => writer.write(chunk).await?,
            Inner::RemotePart(writer) => writer.write(chunk).await?,
        }
        self.inner = Some(inner);
        Ok(())
    }

    fn take(&mut self) -> Result<Inner> {
        self.inner.take().ok_or_else(|| Error::internal("a file was written to after it had failed"))
    }

    /// Bytes so far.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Brings the whole file to disk for good, under its final name.
    ///
    /// # Errors
    /// `Full`; `Internal` when it cannot be written. After an error the file is gone.
    pub async fn finish(mut self) -> Result<Stored> {
        let (leftover, path, sha256) = match self.take()? {
            Inner::Local(writer) => writer.finish().await?,
            Inner::Remote(writer) => {
                let (open, path, sha256) = writer.finish().await?;
                (Leftover::Object(open), path, sha256)
            }
            Inner::RemotePart(_) => return Err(Error::internal("a part is no file of its own")),
        };
        let size = i64::try_from(self.size).map_err(Error::internal)?;
        Ok(Stored { path, size, sha256, leftover })
    }
}

/// A whole file that no row names yet: it is removed when this is dropped before it was kept.
#[derive(Debug)]
pub struct Stored {
    /// What it is found by.
    pub path: String,
    /// Bytes.
    pub size: i64,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
    leftover: Leftover,
}

impl Stored {
    /// Leaves the file where it is, for a row that is about to name it; answers its path.
    #[must_use]
    pub fn keep(self) -> String {
        self.leftover.keep();
        self.path
    }
}

/// A part that is being written. Dropped before it is finished, it leaves nothing behind.
#[derive(Debug)]
pub struct PartWriter {
    writer: Writer,
    number: u32,
    place: String,
}

impl PartWriter {
    /// Adds `chunk` to the end.
    ///
    /// # Errors
    /// As [`Writer::write`]; `Conflict` when the whole was put together meanwhile.
    pub async fn write(&mut self, chunk: &[u8]) -> Result<()> {
        self.writer.write(chunk).await.map_err(parts::explain)
    }

    /// Brings the part to disk.
    ///
    /// # Errors
    /// As [`PartWriter::write`].
    pub async fn finish(mut self) -> Result<StoredPart> {
        let size = self.writer.size;
        let (place, leftover, sha256) = match self.writer.take()? {
            Inner::Local(writer) => {
                let (leftover, sha256) = writer.finish_part().await.map_err(parts::explain)?;
                (self.place, leftover, sha256)
            }
            Inner::RemotePart(writer) => {
                let (place, sha256) = writer.finish().await?;
                (place, Leftover::Nothing, sha256)
            }
            Inner::Remote(_) => return Err(Error::internal("a file is no part")),
        };
        Ok(StoredPart { part: Part { number: self.number, size, sha256, place }, leftover })
    }
}

/// A whole part that no row names yet: its place is free again when this is dropped before it was kept.
#[derive(Debug)]
pub struct StoredPart {
    /// The part, as its row will have it.
    pub part: Part,
    leftover: Leftover,
}

impl StoredPart {
    /// Leaves the part where it is: a row names it.
    pub fn keep(self) {
        self.leftover.keep();
    }
}

#[cfg(test)]
mod tests;
