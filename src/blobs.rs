//! Stored files: a local folder, written so that what was acknowledged is on disk.
//!
//! A file lies at `<two hex digits>/<random name>`, and in `tmp/` until it is whole; a client's words are in
//! no path. Which row names a file is not known here: rows are written after the file and deleted before it.
//! Nothing here blocks an async thread, and of a file no more than a megabyte is held in memory.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use tokio::runtime::Handle;

use crate::domain::{hex, id};
use crate::error::{Error, Result};

/// Bytes that are gathered before a thread is asked to write them.
const GATHERED: usize = 1024 * 1024;
/// Where files are until they are whole.
const DRAFTS: &str = "tmp";

/// The folder of stored files.
#[derive(Debug, Clone)]
pub struct Blobs {
    folder: PathBuf,
}

impl Blobs {
    /// Opens the folder, which is made (for its owner alone) when absent.
    ///
    /// # Errors
    /// `Internal` when it cannot be made; `Full` on a full disk.
    pub fn open(folder: &Path) -> Result<Self> {
        make_folder(&folder.join(DRAFTS)).map_err(explain)?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Begins a file of at most `limit` bytes.
    ///
    /// # Errors
    /// `Full`; `Internal` when it cannot be made.
    pub async fn begin(&self, limit: u64) -> Result<Writer> {
        let folder = self.folder.clone();
        let sink = blocking(move || Sink::open(folder)).await?;
        Ok(Writer { sink: Some(sink), gathered: Vec::new(), size: 0, limit })
    }

    /// Where a stored file lies on disk; `path` is one that a [`Stored`] came with.
    #[must_use]
    pub fn locate(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// Removes a file; it is no error when it is gone already.
    ///
    /// # Errors
    /// `Internal` when it cannot be removed.
    pub async fn remove(&self, path: &str) -> Result<()> {
        let path = self.locate(path);
        blocking(move || match std::fs::remove_file(path) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        })
        .await
    }

    /// Paths of all files, unfinished ones included, that nobody has written to since `moment`.
    ///
    /// # Errors
    /// `Internal` when a folder cannot be read.
    pub async fn untouched_since(&self, moment: SystemTime) -> Result<Vec<String>> {
        let folder = self.folder.clone();
        blocking(move || {
            let mut found = Vec::new();
            for shard in std::fs::read_dir(folder)? {
                let shard = shard?;
                if shard.file_type()?.is_dir() {
                    list_older(&shard.path(), moment, &mut found)?;
                }
            }
            Ok(found)
        })
        .await
    }
}

/// Paths of all files below the folder of files at `folder`, unfinished ones included; none when it is absent. It
/// blocks.
///
/// # Errors
/// `Internal` when a folder cannot be read.
pub fn list(folder: &Path) -> Result<Vec<String>> {
    let all = || {
        let mut found = Vec::new();
        for shard in std::fs::read_dir(folder)? {
            let shard = shard?.path();
            if !shard.is_dir() {
                found.extend(shard.file_name().map(|name| name.to_string_lossy().into_owned()));
                continue;
            }
            for file in std::fs::read_dir(&shard)? {
                let name = file?.file_name();
                found.extend(shard.file_name().map(|shard| relative(Path::new(shard), Path::new(&name))));
            }
        }
        found.sort();
        Ok(found)
    };
    if folder.exists() { all().map_err(explain) } else { Ok(Vec::new()) }
}

fn list_older(shard: &Path, moment: SystemTime, found: &mut Vec<String>) -> io::Result<()> {
    for file in std::fs::read_dir(shard)? {
        let file = file?;
        // One that is removed meanwhile is no business of ours any more.
        let Ok(metadata) = file.metadata() else { continue };
        if metadata.is_file() && metadata.modified()? < moment {
            let name = file.file_name();
            found.extend(shard.file_name().map(|shard| relative(Path::new(shard), Path::new(&name))));
        }
    }
    Ok(())
}

fn relative(shard: &Path, name: &Path) -> String {
    shard.join(name).to_string_lossy().into_owned()
}

/// A file that is being written. Dropped before it is finished, it leaves nothing behind.
#[derive(Debug)]
pub struct Writer {
    /// None after a failure.
    sink: Option<Sink>,
    gathered: Vec<u8>,
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
            self.sink = None;
            return Err(Error::TooLarge(format!("a file may have at most {} bytes", self.limit)));
        }
        self.gathered.extend_from_slice(chunk);
        if self.gathered.len() < GATHERED { Ok(()) } else { self.flush().await }
    }

    async fn flush(&mut self) -> Result<()> {
        let (sink, gathered) = (self.take_sink()?, std::mem::take(&mut self.gathered));
        let (sink, gathered) = blocking(move || sink.append(gathered)).await?;
        (self.sink, self.gathered) = (Some(sink), gathered);
        Ok(())
    }

    fn take_sink(&mut self) -> Result<Sink> {
        self.sink.take().ok_or_else(|| Error::internal("a file was written to after it had failed"))
    }

    /// Brings the whole file to disk for good, under its final name.
    ///
    /// # Errors
    /// `Full`; `Internal` when it cannot be written. After an error the file is gone.
    pub async fn finish(mut self) -> Result<Stored> {
        self.flush().await?;
        let (sink, size) = (self.take_sink()?, self.size);
        let (draft, path, sha256) = blocking(move || sink.settle()).await?;
        let size = i64::try_from(size).map_err(Error::internal)?;
        Ok(Stored { path, size, sha256, draft })
    }
}

/// A whole file on disk that no row names yet: it is removed when this is dropped before it was kept.
#[derive(Debug)]
pub struct Stored {
    /// Where it lies in the folder of files.
    pub path: String,
    /// Bytes.
    pub size: i64,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
    draft: Draft,
}

impl Stored {
    /// Leaves the file where it is, for a row that is about to name it; answers its path.
    #[must_use]
    pub fn keep(self) -> String {
        self.draft.keep();
        self.path
    }
}

/// The writing end of an unfinished file. It moves to the thread that writes and back.
#[derive(Debug)]
struct Sink {
    folder: PathBuf,
    file: File,
    draft: Draft,
    hash: Sha256,
}

impl Sink {
    fn open(folder: PathBuf) -> io::Result<Self> {
        let path = folder.join(DRAFTS).join(id::fresh());
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self { folder, file, draft: Draft(Some(path)), hash: Sha256::new() })
    }

    /// Answers the buffer too, emptied, to be filled again.
    fn append(mut self, mut bytes: Vec<u8>) -> io::Result<(Self, Vec<u8>)> {
        self.file.write_all(&bytes)?;
        self.hash.update(&bytes);
        bytes.clear();
        Ok((self, bytes))
    }

    /// The file, then its name: a crash in between leaves a draft, never a name without its bytes.
    fn settle(self) -> io::Result<(Draft, String, String)> {
        self.file.sync_all()?;
        let sha256 = hex::encode(&self.hash.finalize());
        let shard = sha256.get(..2).unwrap_or_default();
        let path = relative(Path::new(shard), Path::new(&id::fresh()));
        make_folder(&self.folder.join(shard))?;
        let draft = self.draft.rename(self.folder.join(&path))?;
        File::open(self.folder.join(shard))?.sync_all()?;
        File::open(&self.folder)?.sync_all()?;
        Ok((draft, path, sha256))
    }
}

/// A file that is removed when this is dropped.
#[derive(Debug)]
struct Draft(Option<PathBuf>);

impl Draft {
    fn rename(mut self, to: PathBuf) -> io::Result<Self> {
        if let Some(path) = &self.0 {
            std::fs::rename(path, &to)?;
        }
        self.0 = Some(to);
        Ok(self)
    }

    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let Some(path) = self.0.take() else { return };
        let remove = move || {
            if let Err(cause) = std::fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), %cause, "an unwanted file stays until the next sweep");
            }
        };
        // Giving back the blocks of a large file takes a while, and this may be an async thread.
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(remove)),
            Err(_) => remove(),
        }
    }
}

/// Makes a folder and those above it, for their owner alone.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Runs `work` where it may wait for the disk.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)?.map_err(explain)
}

/// What an error of the disk means to us.
fn explain(cause: io::Error) -> Error {
    match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::Full,
        _ => Error::internal(cause),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use super::*;

    async fn store(blobs: &Blobs, chunks: &[&[u8]]) -> Result<Stored> {
        let mut writer = blobs.begin(10_000_000).await?;
        for chunk in chunks {
            writer.write(chunk).await?;
        }
        writer.finish().await
    }

    async fn files(blobs: &Blobs) -> Vec<String> {
        blobs.untouched_since(SystemTime::now() + Duration::from_secs(60)).await.unwrap()
    }

    async fn wait_until_empty(blobs: &Blobs) {
        for _ in 0..500 {
            if files(blobs).await.is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("left behind: {:?}", files(blobs).await);
    }

    fn open() -> (tempfile::TempDir, Blobs) {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(&folder.path().join("files")).unwrap();
        (folder, blobs)
    }

    #[tokio::test]
    async fn a_file_is_stored_with_its_size_and_hash() {
        let (_folder, blobs) = open();
        let large = vec![7; 3 * GATHERED];
        let stored = store(&blobs, &[b"a", &large, b"", b"z"]).await.unwrap();
        assert_eq!(stored.size, i64::try_from(large.len() + 2).unwrap());
        let path = stored.path.clone();
        assert!(path.starts_with(&stored.sha256[..2]) && path.as_bytes()[2] == b'/');
        assert_eq!(stored.keep(), path);
        let bytes = std::fs::read(blobs.locate(&path)).unwrap();
        assert_eq!(bytes, [b"a", large.as_slice(), b"z"].concat());
        let mode = std::fs::metadata(blobs.locate(&path)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(files(&blobs).await, std::slice::from_ref(&path));
        blobs.remove(&path).await.unwrap();
        blobs.remove(&path).await.unwrap();
        assert!(files(&blobs).await.is_empty());
    }

    #[tokio::test]
    async fn an_empty_file_is_a_file() {
        let (_folder, blobs) = open();
        let stored = store(&blobs, &[]).await.unwrap();
        assert_eq!((stored.size, &stored.sha256[..8]), (0, "e3b0c442"));
    }

    #[tokio::test]
    async fn what_is_dropped_or_too_large_leaves_nothing() {
        let (_folder, blobs) = open();
        let mut writer = blobs.begin(100).await.unwrap();
        writer.write(&[0; 100]).await.unwrap();
        assert!(matches!(writer.write(&[0]).await, Err(Error::TooLarge(_))));
        assert!(writer.write(&[0]).await.is_err(), "it stays refused");
        let mut unfinished = blobs.begin(u64::MAX).await.unwrap();
        unfinished.write(&vec![0; 2 * GATHERED]).await.unwrap();
        drop((writer, unfinished));
        drop(store(&blobs, &[b"finished and not kept"]).await.unwrap());
        wait_until_empty(&blobs).await;
    }

    #[tokio::test]
    async fn only_what_is_old_is_listed() {
        let (_folder, blobs) = open();
        let kept = store(&blobs, &[b"x"]).await.unwrap().keep();
        let unfinished = blobs.begin(1).await.unwrap();
        assert_eq!(files(&blobs).await.len(), 2);
        let earlier = SystemTime::now() - Duration::from_secs(60);
        assert!(blobs.untouched_since(earlier).await.unwrap().is_empty());
        drop(unfinished);
        assert!(blobs.locate(&kept).exists());
    }
}
