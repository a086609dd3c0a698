//! Data folders before their database is opened: new ones, and those of a board whose database is gone.

use std::path::Path;

use super::backups::{DATABASE, FILES, HOLDS, MASTER_KEY, RESTORING};
use crate::error::{Error, Result};
use crate::store;

/// The file that a server locks in its data folder, with its address.
pub const LOCK: &str = "serve.lock";
/// How the names of backups end.
const BACKUP: &str = ".tar";

/// Refuses a folder whose database is missing or empty while other files of a board are there: a new board in its place
/// would hide what was lost.
///
/// # Errors
/// `Conflict`, in words for the operator.
pub fn require_database(folder: &Path) -> Result<()> {
    let database = folder.join(DATABASE);
    let state = match std::fs::metadata(&database) {
        Ok(file) if file.len() > 0 && store::has_schema(&database) => return Ok(()),
        Ok(_) => "is empty",
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => "is missing",
        // Whoever opens it says what is wrong with it.
        Err(_) => return Ok(()),
    };
    let left = leftovers(folder);
    if left.is_empty() {
        return Ok(());
    }
    let message = format!(
        "{} {state}, and beside it are files of an earlier board ({}): no new board is set up there. Restore a backup into \
         a new folder with `evalboard restore FILE --data-dir NEW_FOLDER`, or name an empty folder for a new board",
        database.display(),
        left.join(", ")
    );
    Err(Error::Conflict { code: "database_missing", message })
}

/// Names what a board or a restore that was interrupted left in a folder, beside its database.
fn leftovers(folder: &Path) -> Vec<String> {
    let has_content = |name: &str| std::fs::metadata(folder.join(name)).is_ok_and(|file| file.len() > 0);
    // A first start that is killed before it has made its tables may leave a log, but never beside an empty file.
    let is_cut_off = !has_content(DATABASE);
    let wal = format!("{DATABASE}-wal");
    let has_files = crate::blobs::list(&folder.join(FILES)).is_ok_and(|files| !files.is_empty());
    let mut left: Vec<String> = [
        (wal.as_str(), is_cut_off && has_content(&wal)),
        (FILES, has_files),
        (MASTER_KEY, has_content(MASTER_KEY)),
        (LOCK, has_content(LOCK)),
        (HOLDS, folder.join(HOLDS).exists()),
        (RESTORING, folder.join(RESTORING).exists()),
    ]
    .into_iter()
    .filter(|(_, is_there)| *is_there)
    .map(|(name, _)| name.to_owned())
    .collect();
    left.extend(backups(folder));
    left
}

fn backups(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(BACKUP)).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(folder: &Path) -> Option<String> {
        require_database(folder).err().map(|cause| cause.to_string())
    }

    #[test]
    fn a_new_folder_is_set_up() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(refused(folder.path()), None);
        assert_eq!(refused(&folder.path().join("absent")), None);
        std::fs::write(folder.path().join(DATABASE), "").unwrap();
        std::fs::write(folder.path().join(LOCK), "").unwrap();
        std::fs::write(folder.path().join("server.log"), "x").unwrap();
        crate::disk::make_folder(&folder.path().join("files/tmp"), crate::disk::PRIVATE).unwrap();
        assert_eq!(refused(folder.path()), None);
    }

    #[test]
    fn any_file_of_an_earlier_board_keeps_a_folder_from_being_set_up() {
        let names = [
            "evalboard.db-wal",
            "master.key",
            "serve.lock",
            "files/ab/x",
            "board.tar",
            "evalboard.db.restoring",
        ];
        for name in names {
            for has_empty_database in [true, false] {
                let folder = tempfile::tempdir().unwrap();
                if has_empty_database {
                    std::fs::write(folder.path().join(DATABASE), "").unwrap();
                }
                let path = folder.path().join(name);
                crate::disk::make_folder(path.parent().unwrap(), crate::disk::PRIVATE).unwrap();
                std::fs::write(path, "content").unwrap();
                let words = refused(folder.path()).unwrap();
                let named = name.split('/').next().unwrap();
                assert!(words.contains(named) && words.contains("evalboard restore"), "{words}");
            }
        }
    }
}
