//! Room on the disk: whether the data folder can be written to, found out by writing.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::condition::Obstacle;

/// Bytes that must be free for writes to begin again, and below which a disk counts as full: some batches of writes.
const MIN_ROOM_BYTES: u64 = 1024 * 1024;
/// Bytes that are written at once.
const BLOCK: usize = 64 * 1024;
/// The file that is written; it loses its name before anything is in it.
const NAME: &str = "room.probe";

/// Returns whether little room is left, without writing. A file system that does not know is taken to have enough.
pub(super) fn is_low(folder: &Path) -> bool {
    rustix::fs::statvfs(folder).is_ok_and(|volume| {
        volume.f_blocks > 0 && volume.f_bavail.saturating_mul(volume.f_frsize) < MIN_ROOM_BYTES
    })
}

/// Returns what keeps files from being written to `folder`, if anything does.
pub(super) fn obstacle(folder: &Path) -> Option<Obstacle> {
    write_and_remove(folder).err().map(|cause| obstacle_of(&cause))
}

/// Returns what an error of a write means.
pub(super) fn obstacle_of(cause: &io::Error) -> Obstacle {
    match cause.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Obstacle::DiskFull,
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied | ErrorKind::NotFound => {
            Obstacle::NotWritable
        }
        _ => Obstacle::DiskFailing,
    }
}

fn write_and_remove(folder: &Path) -> io::Result<()> {
    let path = folder.join(NAME);
    let mut file = File::options().create(true).write(true).truncate(true).mode(0o600).open(&path)?;
    std::fs::remove_file(&path)?;
    // Zeros would take no room where a file system compresses.
    let mut block = [0_u8; BLOCK];
    rand::fill(&mut block);
    for _ in 0..MIN_ROOM_BYTES / u64::try_from(BLOCK).unwrap_or(1) {
        file.write_all(&block)?;
    }
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(obstacle(folder.path()), None);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert_eq!(obstacle(&folder.path().join("missing")), Some(Obstacle::NotWritable));
    }
}
