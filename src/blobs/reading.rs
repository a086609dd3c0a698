//! Reading stored files, whole or in part. Of a file no more than two chunks are held in memory.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use tokio::task::JoinHandle;

use super::local::{blocking, explain};
use super::s3::Remote;
use crate::error::{Error, Result};

/// Bytes that are read at once: while some are sent, as many are read ahead.
pub const CHUNK: u64 = 64 * 1024;

/// A stored file that is open.
#[derive(Debug, Clone)]
pub struct Reader {
    source: Source,
    size: u64,
}

#[derive(Debug, Clone)]
enum Source {
    Local(Arc<File>),
    Remote(Remote, String),
}

impl Reader {
    pub(super) async fn local(path: PathBuf) -> Result<Self> {
        let opened = blocking(move || match File::open(path) {
            Ok(file) => Ok(Some((file.metadata()?.len(), file))),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(cause),
        });
        let (size, file) = opened.await?.ok_or(Error::NotFound("file"))?;
        Ok(Self { source: Source::Local(Arc::new(file)), size })
    }

    pub(super) async fn remote(remote: Remote, path: &str) -> Result<Self> {
        let size = remote.size(path).await?;
        Ok(Self { source: Source::Remote(remote, path.to_owned()), size })
    }

    /// Bytes of the whole file.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// All bytes of the file.
    #[must_use]
    pub fn whole(self) -> BoxStream<'static, Result<Bytes>> {
        let all = 0..self.size;
        self.part(all)
    }

    /// The bytes of that range, which must lie within the file. What comes next is read while the reader is busy with
    /// what came before.
    #[must_use]
    pub fn part(self, range: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
        let file = match self.source {
            Source::Local(file) => file,
            Source::Remote(remote, path) => return remote.read(&path, range),
        };
        let ahead = Ahead { file, rest: range, reading: None };
        Box::pin(stream::try_unfold(ahead, async |mut ahead| {
            ahead.begin();
            let Some(reading) = ahead.reading.take() else { return Ok(None) };
            let chunk = reading.await.map_err(Error::internal)?.map_err(explain)?;
            ahead.begin();
            Ok(Some((chunk, ahead)))
        }))
    }
}

/// A file with the chunk that is being read from it.
struct Ahead {
    file: Arc<File>,
    rest: Range<u64>,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl Ahead {
    /// Begins to read the next chunk, unless that was begun or there is none.
    fn begin(&mut self) {
        if self.reading.is_some() || self.rest.is_empty() {
            return;
        }
        let (file, at) = (Arc::clone(&self.file), self.rest.start);
        let length = CHUNK.min(self.rest.end - at);
        self.rest.start += length;
        self.reading = Some(tokio::task::spawn_blocking(move || read(&file, at..at + length)));
    }
}

/// Reads the bytes of that range into memory that nobody has to clear first: that takes as long as reading.
fn read(file: &File, range: Range<u64>) -> io::Result<Bytes> {
    let length = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
    let (mut chunk, mut at) = (Vec::with_capacity(length), range.start);
    while at < range.end {
        match rustix::io::pread(file, spare_capacity(&mut chunk), at) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(more) => at += u64::try_from(more).map_err(io::Error::other)?,
            Err(Errno::INTR) => {}
            Err(cause) => return Err(cause.into()),
        }
    }
    // There may have been more room than was asked for.
    chunk.truncate(length);
    Ok(chunk.into())
}
