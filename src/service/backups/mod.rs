//! Backups of a data folder, and folders made from them again.
//!
//! A backup is one tar file: the database as it was at one moment, every file that its rows name, and last a manifest
//! with the hash of each. It may be made while a server writes. The master key is in it only when that is asked for.
//! Everything here blocks.

mod archive;
mod holds;
mod restore;

use std::fs::File;
use std::path::{Path, PathBuf};

pub(super) use self::archive::Hashing;
use self::archive::{Entry, Manifest, Writer};
use self::holds::Holds;
pub use self::restore::{Restored, restore};
use crate::blobs::Blobs;
use crate::disk::{self, parent};
use crate::domain::time::Millis;
use crate::error::{Error, Result};
use crate::store::{self, blobs};

/// Names in a data folder, and in an archive of it.
pub const DATABASE: &str = "evalboard.db";
/// The folder of files.
pub const FILES: &str = "files";
/// What seals secrets.
pub const MASTER_KEY: &str = "master.key";
/// Second names of files while a backup is made.
pub(super) const HOLDS: &str = "backup-holds";
/// The database of a restore that is not over.
pub(super) const RESTORING: &str = "evalboard.db.restoring";

/// How often a backup begins again because a file went away between the rows and it.
const ATTEMPTS: u32 = 5;

/// Whether the master key goes into the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// Who has the archive can open every sealed secret in it.
    With,
    /// It has to be kept elsewhere.
    Without,
}

/// How far a backup or its way back has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Pages of the database.
    Pages(u64, u64),
    /// Bytes of the database and the files.
    Bytes(u64, u64),
}

/// A backup that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Files that rows name.
    pub files: usize,
    /// Bytes of the archive.
    pub size: u64,
    /// What was wrong in the folder already, in words: files that are missing, or are not what their rows say.
    pub faults: Vec<String>,
}

/// Makes a backup of the data folder `folder` at `to`, under another name until it is whole and on disk.
///
/// # Errors
/// `Conflict` when `to` is there already or another backup of the folder is made; `NotFound` for a folder without
/// a database, or without the key that is asked for; `Full`; `Internal` when something cannot be read or written.
pub fn make(folder: &Path, to: &Path, key: Key, told: &mut dyn FnMut(Step)) -> Result<Made> {
    if to.exists() {
        let message = format!("{} is there already: name another file or remove it", to.display());
        return Err(Error::Conflict { code: "backup_exists", message });
    }
    let key = match key {
        Key::With => Some(folder.join(MASTER_KEY)),
        Key::Without => None,
    };
    if key.as_ref().is_some_and(|key| !key.is_file()) {
        return Err(Error::NotFound("master.key in that folder: EVALBOARD_MASTER_KEY holds it"));
    }
    let holds = Holds::take(folder)?;
    let drafts = Drafts::beside(to)?;
    let (database, archive) = (drafts.0.join(DATABASE), drafts.0.join("archive.tar"));
    let kept = copy(folder, &holds, &database, told)?;
    let mut faults = Vec::new();
    let size = write(&archive, &database, &kept, &holds, key.as_deref(), &mut faults, told)?;
    disk::rename(&archive, to).map_err(|cause| explain(to, cause))?;
    drop(drafts);
    Ok(Made { files: kept.len(), size, faults })
}

/// Copies the database to `draft` and holds on to every file that the copy names; answers those.
fn copy(folder: &Path, holds: &Holds, draft: &Path, told: &mut dyn FnMut(Step)) -> Result<Vec<blobs::Kept>> {
    make_private(draft)?;
    for left in (0..ATTEMPTS).rev() {
        let copied = store::read_as_is(&folder.join(DATABASE), |tx| {
            // What lies in a bucket is the bucket's to keep.
            let kept: Vec<_> =
                blobs::kept(tx)?.into_iter().filter(|kept| !Blobs::is_remote(&kept.path)).collect();
            // The row of a file goes before the file: one that is missing has no row any more, as a rule.
            let is_whole = holds.hold(&kept)?;
            if !is_whole && left > 0 {
                return Ok(None);
            }
            tx.copy_to(draft, &mut |done, all| told(Step::Pages(done, all)))?;
            Ok(Some(kept))
        })?;
        if let Some(kept) = copied {
            return Ok(kept);
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    Err(Error::internal("a backup ended without a copy"))
}

/// Writes the archive; answers its size.
fn write(
    archive: &Path,
    database: &Path,
    kept: &[blobs::Kept],
    holds: &Holds,
    key: Option<&Path>,
    faults: &mut Vec<String>,
    told: &mut dyn FnMut(Step),
) -> Result<u64> {
    let mut writer = Writer::create(archive)?;
    let pages = std::fs::metadata(database).map_err(|cause| explain(database, cause))?.len();
    let rows: u64 = kept.iter().filter_map(|kept| u64::try_from(kept.size).ok()).sum();
    let (all, mut done) = (pages + rows, 0);
    let mut add = |writer: &mut Writer, name: &str, from: &Path| {
        let entry = writer.add(name, from, &mut |bytes| {
            done += bytes;
            told(Step::Bytes(done.min(all), all));
        });
        entry.map_err(|cause| explain(from, cause))
    };
    add(&mut writer, DATABASE, database)?;
    if let Some(key) = key {
        add(&mut writer, MASTER_KEY, key)?;
    }
    for kept in kept {
        let from = holds.locate(&kept.path);
        if !from.exists() {
            faults.push(format!("files/{} is missing", kept.path));
            continue;
        }
        let entry = add(&mut writer, &format!("{FILES}/{}", kept.path), &from)?;
        faults.extend(difference(kept, &entry));
    }
    writer.finish(Millis::now()).map_err(|cause| explain(archive, cause))
}

/// What is wrong with a file that was read, in words.
fn difference(kept: &blobs::Kept, entry: &Entry) -> Option<String> {
    if u64::try_from(kept.size).ok() != Some(entry.size) {
        return Some(format!("files/{} has {} bytes, and its row says {}", kept.path, entry.size, kept.size));
    }
    let is_other = kept.sha256.as_ref().is_some_and(|sha256| *sha256 != entry.sha256);
    is_other.then(|| format!("files/{} is not what its row says: it has another SHA-256", kept.path))
}

/// A folder for what is not whole yet, which goes with everything in it when this is dropped.
struct Drafts(PathBuf);

impl Drafts {
    fn beside(to: &Path) -> Result<Self> {
        let name = to.file_name().ok_or_else(|| Error::bad_request("a backup needs the name of a file"))?;
        let path = parent(to).join(format!(".{}.evalboard-draft", name.to_string_lossy()));
        // What is there is of one that was killed.
        remove(&path)?;
        disk::make_folder(parent(to), disk::SHARED).map_err(|cause| explain(parent(to), cause))?;
        disk::make_folder(&path, disk::PRIVATE).map_err(|cause| explain(&path, cause))?;
        Ok(Self(path))
    }
}

impl Drop for Drafts {
    fn drop(&mut self) {
        if let Err(cause) = remove(&self.0) {
            tracing::warn!(path = %self.0.display(), ?cause, "a draft could not be removed");
        }
    }
}

/// Removes a folder with all that is in it; it is no error when there is none.
fn remove(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(explain(folder, cause)),
        _ => Ok(()),
    }
}

/// Makes an empty file for its owner alone.
fn make_private(path: &Path) -> Result<File> {
    use std::os::unix::fs::OpenOptionsExt;

    let made = File::options().write(true).create_new(true).mode(0o600).open(path);
    made.map_err(|cause| explain(path, cause))
}

/// Brings the names in a folder to disk.
fn sync(folder: &Path) -> Result<()> {
    disk::sync_folder(folder).map_err(|cause| explain(folder, cause))
}

/// What an error of the disk means.
fn explain(path: &Path, cause: std::io::Error) -> Error {
    match cause.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Error::Full,
        _ => Error::internal(format!("{}: {cause}", path.display())),
    }
}
