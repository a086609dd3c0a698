//! Files in a local folder.
//!
//! A file lies at `<two hex digits>/<random name>`, and in `tmp/` until it is whole. Nothing here blocks an async
//! thread, and of a file no more than one megabyte is held in memory.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::parts::{Drafts, Filled, Slot};
use super::s3::Open;
use crate::disk;
use crate::domain::{hex, id};
use crate::error::{Error, Result};

/// Bytes that are gathered before a thread is asked to write them.
pub(super) const GATHERED: usize = 256 * 1024;
/// Where files are until they are whole.
pub(super) const DRAFTS: &str = "tmp";

/// The folder of stored files.
#[derive(Debug, Clone)]
pub(super) struct Local {
    pub(super) folder: PathBuf,
    pub(super) drafts: Drafts,
}

impl Local {
    /// Opens the folder, which is made (for its owner alone) when absent.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        match disk::make_folder(&folder.join(DRAFTS), disk::PRIVATE) {
            // What is there can be read all the same, and where a file is put up the folder is made then.
            Err(cause) if is_unwritable(&cause) => {
                tracing::warn!(%cause, "there is no room for files that are put up");
            }
            made => made.map_err(explain)?,
        }
        Ok(Self { folder: folder.to_owned(), drafts: Drafts::default() })
    }

    /// Begins a file.
    pub(super) async fn begin(&self) -> Result<Writer> {
        let folder = self.folder.clone();
        Ok(Writer::over(blocking(move || Sink::open(&folder, &id::fresh())).await?))
    }

    pub(super) fn locate(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// Removes a file; it is no error when it is gone already.
    pub(super) async fn remove(&self, path: &str) -> Result<()> {
        let path = self.locate(path);
        blocking(move || remove_if_there(&path)).await
    }

    /// Paths of all files, unfinished ones included, that nobody has written to since `moment`.
    pub(super) async fn untouched_since(&self, moment: SystemTime) -> Result<Vec<String>> {
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
pub(super) fn list(folder: &Path) -> Result<Vec<String>> {
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

pub(super) fn relative(shard: &Path, name: &Path) -> String {
    shard.join(name).to_string_lossy().into_owned()
}

/// A sink that a thread has, with the buffer that it empties.
type Writing = JoinHandle<io::Result<(Sink, Vec<u8>)>>;

/// A file that is being written. Dropped before it is finished, it leaves nothing behind.
#[derive(Debug)]
pub(super) struct Writer {
    /// None while a thread has it, and after a failure.
    sink: Option<Sink>,
    /// What a thread is writing: the network is read meanwhile.
    writing: Option<Writing>,
    gathered: Vec<u8>,
    spare: Vec<u8>,
}

impl Writer {
    pub(super) const fn over(sink: Sink) -> Self {
        Self { sink: Some(sink), writing: None, gathered: Vec::new(), spare: Vec::new() }
    }

    /// Adds `chunk` to the end. After an error the file is gone.
    pub(super) async fn write(&mut self, chunk: &[u8]) -> Result<()> {
        self.gathered.extend_from_slice(chunk);
        if self.gathered.len() < GATHERED {
            return Ok(());
        }
        let sink = self.idle_sink().await?;
        let gathered = std::mem::replace(&mut self.gathered, std::mem::take(&mut self.spare));
        self.writing = Some(tokio::task::spawn_blocking(move || sink.append(gathered)));
        Ok(())
    }

    /// The sink, once no thread has it.
    async fn idle_sink(&mut self) -> Result<Sink> {
        if let Some(writing) = self.writing.take() {
            let (sink, spare) = writing.await.map_err(Error::internal)?.map_err(explain)?;
            (self.sink, self.spare) = (Some(sink), spare);
        }
        self.sink.take().ok_or_else(|| Error::internal("a file was written to after it had failed"))
    }

    async fn flushed(mut self) -> Result<Sink> {
        let (sink, gathered) = (self.idle_sink().await?, std::mem::take(&mut self.gathered));
        blocking(move || Ok(sink.append(gathered)?.0)).await
    }

    /// Brings the whole file to disk for good, under its final name: what removes it again, its path and its hash.
    pub(super) async fn finish(self) -> Result<(Leftover, String, String)> {
        let sink = self.flushed().await?;
        blocking(move || sink.settle()).await
    }

    /// Brings a part to disk where it is: what gives its place free again, and its hash.
    pub(super) async fn finish_part(self) -> Result<(Leftover, String)> {
        let sink = self.flushed().await?;
        blocking(move || sink.settle_part()).await
    }
}

/// The writing end of an unfinished file. It moves to the thread that writes and back.
#[derive(Debug)]
pub(super) struct Sink {
    folder: PathBuf,
    file: Arc<File>,
    /// Where the next byte goes.
    at: u64,
    leftover: Leftover,
    hash: Sha256,
}

impl Sink {
    /// A new file of that name among the drafts.
    pub(super) fn open(folder: &Path, name: &str) -> io::Result<Self> {
        disk::make_folder(&folder.join(DRAFTS), disk::PRIVATE)?;
        let path = folder.join(DRAFTS).join(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self {
            folder: folder.to_owned(),
            file: Arc::new(file),
            at: 0,
            leftover: Leftover::File(Draft(Some(path))),
            hash: Sha256::new(),
        })
    }

    /// A place of its own within the file of that name, which is made by whoever comes first.
    pub(super) fn within(folder: &Path, name: &str, slot: Slot) -> io::Result<Self> {
        disk::make_folder(&folder.join(DRAFTS), disk::PRIVATE)?;
        let path = folder.join(DRAFTS).join(name);
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        let (folder, file, at) = (folder.to_owned(), Arc::new(file), slot.offset());
        let leftover = Leftover::Slot(Filled::new(slot, Arc::clone(&file)));
        Ok(Self { folder, file, at, leftover, hash: Sha256::new() })
    }

    /// Answers the buffer too, emptied, to be filled again.
    fn append(mut self, mut bytes: Vec<u8>) -> io::Result<(Self, Vec<u8>)> {
        let (file, at) = (&self.file, self.at);
        match &self.leftover {
            Leftover::Slot(filled) => filled.while_open(|| file.write_all_at(&bytes, at))?,
            _ => file.write_all_at(&bytes, at)?,
        }
        self.hash.update(&bytes);
        self.at += u64::try_from(bytes.len()).map_err(io::Error::other)?;
        bytes.clear();
        Ok((self, bytes))
    }

    /// The file, then its name: a crash in between leaves a draft, never a name without its bytes.
    fn settle(self) -> io::Result<(Leftover, String, String)> {
        let Leftover::File(draft) = self.leftover else {
            return Err(io::Error::other("a part is no file of its own"));
        };
        self.file.sync_all()?;
        let sha256 = hex::encode(&self.hash.finalize());
        let shard = sha256.get(..2).unwrap_or_default();
        let path = relative(Path::new(shard), Path::new(&id::fresh()));
        disk::make_folder(&self.folder.join(shard), disk::PRIVATE)?;
        let draft = draft.rename(self.folder.join(&path))?;
        // Another file may be the one that made the shard, and its name may not be on disk yet.
        disk::sync_folder(&self.folder)?;
        Ok((Leftover::File(draft), path, sha256))
    }

    fn settle_part(self) -> io::Result<(Leftover, String)> {
        self.file.sync_data()?;
        // The file may be new, whoever made it: without its name the part would be lost with the power.
        disk::sync_folder(&self.folder.join(DRAFTS))?;
        Ok((self.leftover, hex::encode(&self.hash.finalize())))
    }
}

/// What is written and not kept: it is removed when this is dropped.
#[derive(Debug)]
pub(super) enum Leftover {
    /// A file of its own.
    File(Draft),
    /// A place in a file that others write to as well.
    Slot(Filled),
    /// An object in a bucket.
    Object(Open),
    /// A part in a bucket, which goes with its upload.
    Nothing,
}

impl Leftover {
    /// Leaves what was written where it is.
    pub(super) fn keep(self) {
        match self {
            Self::File(draft) => draft.keep(),
            Self::Slot(filled) => filled.keep(),
            Self::Object(open) => open.keep(),
            Self::Nothing => {}
        }
    }
}

/// Removes a file; it is no error when it is gone already.
pub(super) fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// A file that is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Draft(Option<PathBuf>);

impl Draft {
    fn rename(mut self, to: PathBuf) -> io::Result<Self> {
        if let Some(path) = self.0.take() {
            let renamed = disk::rename(&path, &to);
            // It may have its new name although that is not on disk.
            self.0 = Some(if renamed.is_err() && path.exists() { path } else { to });
            renamed?;
        }
        Ok(self)
    }

    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let Some(path) = self.0.take() else { return };
        aside(move || {
            if let Err(cause) = std::fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), %cause, "an unwanted file stays until the next sweep");
            }
        });
    }
}

/// Does what takes a while, such as to give blocks back to the disk, and is asked for where that may be an async thread.
pub(super) fn aside(work: impl FnOnce() + Send + 'static) {
    match Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn_blocking(work)),
        Err(_) => work(),
    }
}

/// Runs `work` where it may wait for the disk.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)?.map_err(explain)
}

/// Returns whether it is the disk's doing that nothing can be written.
fn is_unwritable(cause: &io::Error) -> bool {
    use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};

    matches!(cause.kind(), StorageFull | QuotaExceeded | ReadOnlyFilesystem | PermissionDenied)
}

/// What an error of the disk means to us.
pub(super) fn explain(cause: io::Error) -> Error {
    match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::Full,
        io::ErrorKind::ReadOnlyFilesystem => {
            Error::ReadOnly("the server's files cannot be written to: nothing was saved")
        }
        _ => Error::internal(cause),
    }
}
