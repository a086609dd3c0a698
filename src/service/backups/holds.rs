//! A second name for each file of a backup, so that it stays while a server deletes what it belongs to.
//!
//! Files never change once they have their name, so a name is all it takes: no byte is copied.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{FILES, HOLDS, explain, remove};
use crate::disk;
use crate::error::{Error, Result};
use crate::store::blobs::Kept;

/// What a backup locks, so that there is one at a time.
const LOCK: &str = "backup.lock";

/// Second names for files, which go when this is dropped.
pub(super) struct Holds {
    files: PathBuf,
    folder: PathBuf,
    /// Ends with the process, however it ends.
    _lock: File,
}

impl Holds {
    /// Takes the data folder for one backup, and clears away what a killed one left.
    pub(super) fn take(folder: &Path) -> Result<Self> {
        let path = folder.join(LOCK);
        let lock =
            File::options().create(true).append(true).open(&path).map_err(|cause| match cause.kind() {
                ErrorKind::NotFound => Error::bad_request(format!("no data folder at {}", folder.display())),
                _ => explain(&path, cause),
            })?;
        lock.try_lock().map_err(|cause| match cause {
            TryLockError::WouldBlock => {
                let message = format!("another backup of {} is being made", folder.display());
                Error::Conflict { code: "backup_running", message }
            }
            TryLockError::Error(cause) => explain(&path, cause),
        })?;
        let holds = Self { files: folder.join(FILES), folder: folder.join(HOLDS), _lock: lock };
        remove(&holds.folder)?;
        disk::make_folder(&holds.folder, disk::PRIVATE).map_err(|cause| explain(&holds.folder, cause))?;
        Ok(holds)
    }

    /// Holds on to these files too; answers whether all of them are there.
    pub(super) fn hold(&self, kept: &[Kept]) -> Result<bool> {
        let mut is_whole = true;
        for kept in kept {
            match std::fs::hard_link(self.files.join(&kept.path), self.held(&kept.path)) {
                Ok(()) => {}
                Err(cause) if cause.kind() == ErrorKind::AlreadyExists => {}
                Err(cause) if cause.kind() == ErrorKind::NotFound => is_whole = false,
                Err(cause) if cause.kind() == ErrorKind::StorageFull => return Err(Error::Full),
                // Some file systems know no second names: then the first has to do.
                Err(_) => is_whole &= self.files.join(&kept.path).exists(),
            }
        }
        Ok(is_whole)
    }

    /// Where a file can be read.
    pub(super) fn locate(&self, path: &str) -> PathBuf {
        let held = self.held(path);
        if held.exists() { held } else { self.files.join(path) }
    }

    fn held(&self, path: &str) -> PathBuf {
        self.folder.join(path.replace('/', "-"))
    }
}

impl Drop for Holds {
    fn drop(&mut self) {
        if let Err(cause) = remove(&self.folder) {
            tracing::warn!(?cause, "what a backup held on to stays until the next one");
        }
    }
}
