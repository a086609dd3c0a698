//! Names on disk: files and folders whose names survive a loss of power once a call returns.
//!
//! Bringing a file to disk does not bring its name there: that lies in the folder. Everything that is acknowledged or
//! takes another's place goes through here, so that the two are never done apart. All of it blocks.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// Permissions of a folder that its owner alone may open.
pub const PRIVATE: u32 = 0o700;
/// Permissions of a folder that others may open, as far as the process's umask lets them.
pub const SHARED: u32 = 0o777;

/// Returns the folder that a path is in.
#[must_use]
pub fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Brings the names in a folder to disk.
///
/// # Errors
/// The system's.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()?;
    #[cfg(test)]
    tests::note(folder);
    Ok(())
}

/// Renames a file that is on disk already, and brings its new name there. The old name is gone for good then, too.
///
/// # Errors
/// The system's. After an error the file may have either name.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)?;
    sync_folder(parent(to))?;
    if parent(from) == parent(to) { Ok(()) } else { sync_folder(parent(from)) }
}

/// Makes a folder and those above it that are missing, with these permissions, and brings the names of all that it made
/// to disk. One that was there already is left as it is.
///
/// # Errors
/// The system's.
pub fn make_folder(folder: &Path, mode: u32) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = parent(folder);
    if above != folder {
        make_folder(above, mode)?;
    }
    // Another may make it at the same moment; both bring its name to disk.
    match DirBuilder::new().mode(mode).create(folder) {
        Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists || !folder.is_dir() => Err(cause),
        _ => sync_folder(above),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::HashMap;
    use std::path::PathBuf;
    use std::sync::{Mutex, PoisonError};

    use super::*;

    /// How often each folder was brought to disk.
    static SYNCED: Mutex<Option<HashMap<PathBuf, usize>>> = Mutex::new(None);

    pub(super) fn note(folder: &Path) {
        let mut synced = SYNCED.lock().unwrap_or_else(PoisonError::into_inner);
        *synced.get_or_insert_default().entry(folder.to_owned()).or_default() += 1;
    }

    /// How often the names in `folder` were brought to disk.
    pub(crate) fn syncs(folder: &Path) -> usize {
        let synced = SYNCED.lock().unwrap_or_else(PoisonError::into_inner);
        synced.as_ref().and_then(|synced| synced.get(folder)).copied().unwrap_or(0)
    }

    #[test]
    fn every_new_folder_has_its_name_on_disk() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("a/b/c");
        make_folder(&deep, PRIVATE).unwrap();
        for made in ["", "a", "a/b"] {
            assert_eq!(syncs(&root.path().join(made).components().collect::<PathBuf>()), 1, "{made}");
        }
        make_folder(&deep, PRIVATE).unwrap();
        assert_eq!(syncs(root.path()), 1);
        std::fs::write(root.path().join("file"), "").unwrap();
        assert!(make_folder(&root.path().join("file"), PRIVATE).is_err());
    }

    #[test]
    fn rename_syncs_both_folders() {
        let root = tempfile::tempdir().unwrap();
        let (from, to) = (root.path().join("from"), root.path().join("to"));
        make_folder(&from, PRIVATE).unwrap();
        make_folder(&to, PRIVATE).unwrap();
        std::fs::write(from.join("file"), "x").unwrap();
        rename(&from.join("file"), &to.join("file")).unwrap();
        assert_eq!((syncs(&from), syncs(&to)), (1, 1));
        rename(&to.join("file"), &to.join("other")).unwrap();
        assert_eq!((syncs(&from), syncs(&to)), (1, 2));
    }

    #[test]
    fn parent_of_a_bare_name_is_the_working_folder() {
        assert_eq!(parent(Path::new("file")), Path::new("."));
        assert_eq!(parent(Path::new("a/file")), Path::new("a"));
    }
}
