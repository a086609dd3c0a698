//! The way back: an archive becomes a data folder, which is whole or is not there.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use tar::EntryType;

use super::archive::{Entry, FORMAT, Hashing, MANIFEST};
use super::{DATABASE, FILES, MASTER_KEY, Manifest, RESTORING, Step, explain, make_private, sync};
use crate::disk;
use crate::domain::time::Millis;
use crate::error::{Error, Result};

/// Bytes of a manifest at most: a million files and more.
const LONGEST_MANIFEST: u64 = 512 * 1024 * 1024;

/// A folder that was made from an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// When the backup was made.
    pub made_at: Millis,
    /// Files beside the database and the key.
    pub files: usize,
    /// Whether the master key was in it.
    pub has_key: bool,
}

/// Makes the data folder `folder` from the archive at `archive`. After an error nothing of it is left.
///
/// # Errors
/// `Conflict` when the folder is not empty; `Invalid` for an archive that is damaged, cut off or none of ours; `Full`;
/// `Internal` when something cannot be read or written.
pub fn restore(archive: &Path, folder: &Path, told: &mut dyn FnMut(Step)) -> Result<Restored> {
    let file = File::open(archive).map_err(|cause| explain(archive, cause))?;
    let size = file.metadata().map_err(|cause| explain(archive, cause))?.len();
    let target = Target::new(folder)?;
    let mut done = 0;
    let mut count = |bytes| {
        done += bytes;
        told(Step::Bytes(done, size));
    };
    let (found, manifest) = unpack(BufReader::with_capacity(256 * 1024, file), folder, &mut count)?;
    let manifest = verify(&found, manifest)?;
    settle(folder)?;
    target.keep();
    let is_file = |entry: &&Entry| entry.path.starts_with(FILES);
    Ok(Restored {
        made_at: Millis(manifest.made_at),
        files: manifest.entries.iter().filter(is_file).count(),
        has_key: manifest.entries.iter().any(|entry| entry.path == MASTER_KEY),
    })
}

/// A folder that is emptied again unless it is kept.
struct Target<'f> {
    folder: &'f Path,
    is_kept: bool,
}

impl<'f> Target<'f> {
    fn new(folder: &'f Path) -> Result<Self> {
        disk::make_folder(folder, disk::PRIVATE).map_err(|cause| explain(folder, cause))?;
        if std::fs::read_dir(folder).map_err(|cause| explain(folder, cause))?.next().is_some() {
            let message = format!("{} is not empty: name a folder that is new or empty", folder.display());
            return Err(Error::Conflict { code: "folder_not_empty", message });
        }
        Ok(Self { folder, is_kept: false })
    }

    fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Target<'_> {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        let removed = [
            std::fs::remove_dir_all(self.folder.join(FILES)),
            std::fs::remove_file(self.folder.join(MASTER_KEY)),
            std::fs::remove_file(self.folder.join(RESTORING)),
        ];
        for cause in removed.into_iter().filter_map(Result::err) {
            if cause.kind() != io::ErrorKind::NotFound {
                tracing::warn!(%cause, "a part of what was restored could not be removed");
            }
        }
    }
}

/// Writes every entry to its place; answers them with their hashes, and the manifest when it came last.
fn unpack(
    reader: impl Read,
    folder: &Path,
    count: &mut dyn FnMut(u64),
) -> Result<(Vec<Entry>, Option<Manifest>)> {
    let mut tar = tar::Archive::new(reader);
    let (mut found, mut manifest) = (Vec::new(), None);
    for entry in tar.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let path = String::from_utf8(entry.path_bytes().into_owned()).map_err(damaged)?;
        if manifest.is_some() || entry.header().entry_type() != EntryType::Regular {
            return Err(damaged("it holds what a backup does not"));
        }
        if path == MANIFEST {
            let mut text = Vec::new();
            entry.by_ref().take(LONGEST_MANIFEST).read_to_end(&mut text).map_err(damaged)?;
            manifest = Some(serde_json::from_slice(&text).map_err(damaged)?);
            continue;
        }
        let to = place(&path).ok_or_else(|| damaged("it holds what a backup does not"))?;
        found.push(write(entry, path, &folder.join(to), count)?);
    }
    Ok((found, manifest))
}

/// Where an entry goes in the folder; none where it must not go.
fn place(path: &str) -> Option<PathBuf> {
    match path.split('/').collect::<Vec<_>>().as_slice() {
        [DATABASE] => Some(RESTORING.into()),
        [MASTER_KEY] => Some(MASTER_KEY.into()),
        [FILES, shard, name] if is_plain(shard) && is_plain(name) => Some(path.into()),
        _ => None,
    }
}

/// Whether a name is one that a stored file has.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

fn write(entry: impl Read, path: String, to: &Path, count: &mut dyn FnMut(u64)) -> Result<Entry> {
    disk::make_folder(disk::parent(to), disk::PRIVATE).map_err(|cause| explain(to, cause))?;
    let mut file = make_private(to)?;
    let mut reading = Hashing::new(entry, count);
    io::copy(&mut reading, &mut file).map_err(|cause| match cause.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::Other => damaged(cause),
        _ => explain(to, cause),
    })?;
    file.sync_all().map_err(|cause| explain(to, cause))?;
    let (size, sha256) = reading.finish();
    Ok(Entry { path, size, sha256 })
}

/// Holds what was found to the manifest.
fn verify(found: &[Entry], manifest: Option<Manifest>) -> Result<Manifest> {
    let manifest = manifest.ok_or_else(|| damaged("it is cut off, or no backup: it has no manifest"))?;
    if manifest.format != FORMAT {
        return Err(Error::bad_request(format!(
            "the backup is of form {}, and this program reads {FORMAT}: restore it with evalboard {}",
            manifest.format, manifest.evalboard
        )));
    }
    let said: HashSet<&Entry> = manifest.entries.iter().collect();
    if let Some(entry) = found.iter().find(|entry| !said.contains(entry)) {
        return Err(damaged(format!("{} is not what its manifest says", entry.path)));
    }
    if found.len() != manifest.entries.len() || !found.iter().any(|entry| entry.path == DATABASE) {
        return Err(damaged("a part of it is missing"));
    }
    Ok(manifest)
}

/// Brings the names to disk, the database's last.
fn settle(folder: &Path) -> Result<()> {
    let files = folder.join(FILES);
    disk::make_folder(&files, disk::PRIVATE).map_err(|cause| explain(&files, cause))?;
    for shard in std::fs::read_dir(&files).map_err(|cause| explain(&files, cause))? {
        sync(&shard.map_err(|cause| explain(&files, cause))?.path())?;
    }
    sync(&files)?;
    sync(folder)?;
    let (draft, database) = (folder.join(RESTORING), folder.join(DATABASE));
    disk::rename(&draft, &database).map_err(|cause| explain(&database, cause))
}

fn damaged(why: impl std::fmt::Display) -> Error {
    Error::bad_request(format!("the backup is damaged: {why}"))
}
