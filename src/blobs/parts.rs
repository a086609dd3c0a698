//! Files in a local folder that come in parts, in any order and several at once.
//!
//! A part of at most [`SLOT`] bytes is written to its place in the file that is to be the whole; a larger one, one
//! of unknown size, and one that comes again get files of their own, so that what was acknowledged is not touched
//! until the whole is put together. When all parts but the last fill their place, that takes no copying.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use sha2::{Digest, Sha256};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use super::local::{self, DRAFTS, Local, Sink, Writer, blocking, relative, remove_if_there};
use crate::disk;
use crate::domain::uploads::Part;
use crate::domain::{hex, id};
use crate::error::{Error, Result};

/// Bytes from the beginning of a part to that of the next: what clients send at once when nothing else is asked of them.
pub(super) const SLOT: u64 = 8 * 1024 * 1024;
/// How the place of a part in the common file is written.
const IN_SLOT: &str = "slot";

/// The files in parts that this process has written to.
#[derive(Debug, Clone, Default)]
pub(super) struct Drafts(Arc<Mutex<HashMap<String, Arc<Session>>>>);

#[derive(Debug, Default)]
struct Session {
    /// Numbers of the parts that somebody is writing to the common file.
    busy: Arc<Mutex<HashSet<u32>>>,
    is_closed: RwLock<bool>,
    turn: Arc<AsyncMutex<()>>,
}

impl Session {
    /// Does `work` while the file is not being put together, nor was.
    fn while_open<T>(&self, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let is_closed = self.is_closed.read().unwrap_or_else(PoisonError::into_inner);
        if *is_closed { Err(io::Error::from(io::ErrorKind::StaleNetworkFileHandle)) } else { work() }
    }
}

impl Drafts {
    fn session(&self, place: &str) -> Arc<Session> {
        Arc::clone(locked(&self.0).entry(place.to_owned()).or_default())
    }

    /// Lets nobody write to the common file any more, once the writes under way are done. This is remembered as
    /// long as the process lives: who asked before may still come, and the file may have its name by then.
    pub(super) fn close(&self, place: &str) {
        *self.session(place).is_closed.write().unwrap_or_else(PoisonError::into_inner) = true;
    }

    /// Waits for a turn to put the file of an upload together.
    pub(super) async fn turn(&self, upload: &str) -> OwnedMutexGuard<()> {
        let turn = Arc::clone(&self.session(upload).turn);
        turn.lock_owned().await
    }

    /// Lets parts be written to the common file again: by those who come now, to places that nobody has who came
    /// before.
    pub(super) fn open(&self, place: &str) {
        let busy = Arc::clone(&self.session(place).busy);
        locked(&self.0).insert(place.to_owned(), Arc::new(Session { busy, ..Session::default() }));
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change is one call: it stays whole whatever panicked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The place of one part in the common file, until this is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    session: Arc<Session>,
    number: u32,
}

impl Slot {
    /// Where it begins.
    pub(super) fn offset(&self) -> u64 {
        offset(self.number)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        locked(&self.session.busy).remove(&self.number);
    }
}

/// What is written of a part in its place. When this is dropped before it is kept, the disk gets the space back.
#[derive(Debug)]
pub(super) struct Filled(Option<(Slot, Arc<File>)>);

impl Filled {
    /// What is about to be written to `slot` of `file`.
    pub(super) const fn new(slot: Slot, file: Arc<File>) -> Self {
        Self(Some((slot, file)))
    }

    /// Does `work` while the file is not put together.
    pub(super) fn while_open(&self, work: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let slot = self.0.as_ref().map(|(slot, _)| slot);
        slot.ok_or_else(|| io::Error::other("a part without its place"))?.session.while_open(work)
    }

    /// Leaves what was written where it is.
    pub(super) fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Filled {
    fn drop(&mut self) {
        let Some((slot, file)) = self.0.take() else { return };
        // The slot is taken until this is done.
        local::aside(move || match slot.session.while_open(|| punch(&file, slot.offset())) {
            Err(cause) if cause.kind() != io::ErrorKind::StaleNetworkFileHandle => {
                tracing::warn!(%cause, "an unwanted part takes its space until its upload ends");
            }
            _ => {}
        });
    }
}

/// Gives the disk the space of a slot back.
#[cfg(target_os = "linux")]
fn punch(file: &File, at: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    Ok(fallocate(file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, at, SLOT)?)
}

/// Elsewhere it comes back when the upload ends.
#[cfg(not(target_os = "linux"))]
const fn punch(_: &File, _: u64) -> io::Result<()> {
    Ok(())
}

fn offset(number: u32) -> u64 {
    u64::from(number.saturating_sub(1)) * SLOT
}

/// Whether a part lies in the common file, by what is known of its place.
pub(super) fn is_in_slot(place: &str) -> bool {
    place == IN_SLOT
}

impl Local {
    /// The place of a part in the common file, if its size allows it and nobody is writing to it.
    pub(super) fn slot(&self, draft: &str, number: u32, size: Option<u64>) -> Option<Slot> {
        let session = self.drafts.session(draft);
        let is_free = size.is_some_and(|size| size <= SLOT) && locked(&session.busy).insert(number);
        // Not before it is known to be free: one that is dropped makes it so.
        is_free.then(|| Slot { session, number })
    }

    /// Begins a part, in its `slot` or in a file of its own; answers where it lies too.
    pub(super) async fn begin_part(
        &self,
        draft: &str,
        number: u32,
        slot: Option<Slot>,
    ) -> Result<(Writer, String)> {
        let (folder, draft) = (self.folder.clone(), draft.to_owned());
        let session = self.drafts.session(&draft);
        let begin = move || {
            reopen(&folder, &draft)?;
            if let Some(slot) = slot {
                return Ok((Sink::within(&folder, &draft, slot)?, IN_SLOT.to_owned()));
            }
            let name = format!("{draft}.{number}-{}", id::fresh());
            Ok((Sink::open(&folder, &name)?, name))
        };
        let (sink, place) = blocking(move || session.while_open(begin)).await?;
        Ok((Writer::over(sink), place))
    }

    /// Removes a part that has a file of its own.
    pub(super) async fn remove_part(&self, place: &str) -> Result<()> {
        if is_in_slot(place) { Ok(()) } else { self.remove(&format!("{DRAFTS}/{place}")).await }
    }

    /// Puts a file together; `has_others` says whether parts were stored besides these. Answers its path. It may be
    /// done again, by whoever does not know whether it was done.
    pub(super) async fn assemble(&self, draft: &str, parts: Vec<Part>, has_others: bool) -> Result<String> {
        self.drafts.close(draft);
        let whole = Whole { folder: self.folder.clone(), draft: draft.to_owned(), parts, has_others };
        let assembled = blocking(move || whole.assemble()).await;
        if assembled.is_err() {
            self.drafts.open(draft);
        }
        assembled
    }

    /// Takes a file apart again whose row could not be written.
    pub(super) async fn disassemble(&self, draft: &str) -> Result<()> {
        let (folder, name) = (self.folder.clone(), draft.to_owned());
        blocking(move || reopen(&folder, &name)).await?;
        self.drafts.open(draft);
        Ok(())
    }

    /// Removes all that is left of a draft.
    pub(super) async fn discard(&self, draft: &str, parts: Vec<Part>) -> Result<()> {
        self.drafts.close(draft);
        let (drafts, name) = (self.folder.join(DRAFTS), draft.to_owned());
        blocking(move || {
            remove_if_there(&drafts.join(&name))?;
            remove_if_there(&drafts.join(format!("{name}.whole")))?;
            for part in parts.iter().filter(|part| !is_in_slot(&part.place)) {
                remove_if_there(&drafts.join(&part.place))?;
            }
            Ok(())
        })
        .await
    }
}

/// Where the whole of a draft will lie: known beforehand, so that it is found after a crash.
pub(super) fn final_path(draft: &str) -> (String, String) {
    let digest = hex::encode(&Sha256::digest(draft));
    let shard = digest.get(..2).unwrap_or_default().to_owned();
    let path = relative(Path::new(&shard), Path::new(draft));
    (shard, path)
}

/// Undoes an assembly whose row was never written.
fn reopen(folder: &Path, draft: &str) -> io::Result<()> {
    let (whole, common) = (folder.join(final_path(draft).1), folder.join(DRAFTS).join(draft));
    if !whole.exists() {
        return Ok(());
    }
    // It was copied from what is still there, or it is the common file itself.
    if common.exists() { remove_if_there(&whole) } else { disk::rename(&whole, &common) }
}

/// A file that is to be put together.
struct Whole {
    folder: PathBuf,
    draft: String,
    parts: Vec<Part>,
    has_others: bool,
}

impl Whole {
    fn assemble(&self) -> io::Result<String> {
        let (shard, path) = final_path(&self.draft);
        let (target, total) = (self.folder.join(&path), self.parts.iter().map(|part| part.size).sum());
        if std::fs::metadata(&target).is_ok_and(|found| found.len() == total) {
            // Whoever renamed it may not have brought its name to disk.
            disk::sync_folder(&self.folder.join(&shard))?;
            disk::sync_folder(&self.folder)?;
            return Ok(path);
        }
        disk::make_folder(&self.folder.join(&shard), disk::PRIVATE)?;
        let draft = if self.fits() { self.fill(total)? } else { self.copy()? };
        disk::rename(&draft, &target)?;
        disk::sync_folder(&self.folder)?;
        Ok(path)
    }

    fn common(&self) -> PathBuf {
        self.folder.join(DRAFTS).join(&self.draft)
    }

    /// Whether every part in the common file lies where the whole has it, and nothing else does.
    fn fits(&self) -> bool {
        let mut at = 0;
        let mut is_at_place = |part: &Part| {
            let begin = at;
            at += part.size;
            !is_in_slot(&part.place) || begin == offset(part.number)
        };
        !self.has_others && self.parts.iter().all(&mut is_at_place)
    }

    /// Makes the common file the whole: parts with files of their own are copied to their places.
    fn fill(&self, total: u64) -> io::Result<PathBuf> {
        let path = self.common();
        let mut file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        let mut at = 0;
        for part in &self.parts {
            if !is_in_slot(&part.place) {
                file.seek(SeekFrom::Start(at))?;
                self.copy_part(part, &mut file)?;
            }
            at += part.size;
        }
        file.set_len(total)?;
        file.sync_all()?;
        Ok(path)
    }

    /// Copies every part to a new file.
    fn copy(&self) -> io::Result<PathBuf> {
        let path = self.folder.join(DRAFTS).join(format!("{}.whole", self.draft));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        let copied = self.parts.iter().try_for_each(|part| self.copy_part(part, &mut file));
        if let Err(cause) = copied.and_then(|()| file.sync_all()) {
            // What was copied would stand in the way of whatever else wants to be written.
            remove_if_there(&path)?;
            return Err(cause);
        }
        Ok(path)
    }

    fn copy_part(&self, part: &Part, to: &mut File) -> io::Result<()> {
        let mut from = if is_in_slot(&part.place) {
            let mut from = File::open(self.common())?;
            from.seek(SeekFrom::Start(offset(part.number)))?;
            from
        } else {
            File::open(self.folder.join(DRAFTS).join(&part.place))?
        };
        let copied = io::copy(&mut Read::by_ref(&mut from).take(part.size), to)?;
        if copied == part.size { Ok(()) } else { Err(io::Error::other("a part is shorter than it was")) }
    }
}

/// What an error of the disk means to us when a part is written.
pub(super) fn explain(error: Error) -> Error {
    match error {
        Error::Internal(cause)
            if cause
                .downcast_ref::<io::Error>()
                .is_some_and(|cause| cause.kind() == io::ErrorKind::StaleNetworkFileHandle) =>
        {
            Error::Conflict { code: "upload_ended", message: "the upload has ended meanwhile".to_owned() }
        }
        other => other,
    }
}
