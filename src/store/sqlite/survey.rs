//! What the writer checks of its files every second: that they are still the ones it opened, and that there is room.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::log;
use crate::store::condition::{Condition, Monitor};
use crate::store::room;

/// How often files and room are checked.
const SURVEY_INTERVAL: Duration = Duration::from_secs(1);
/// How often a disk that seems to have little room is written to, to find out.
const PROBE_INTERVAL: Duration = Duration::from_secs(10);

/// The files of a database that is written to.
pub(super) struct Survey {
    folder: PathBuf,
    files: Vec<(PathBuf, Identity)>,
    surveyed_at: Instant,
    probed_at: Option<Instant>,
}

/// Device and inode of a file: another file of the same name has others.
type Identity = (u64, u64);

fn identity(path: &Path) -> Option<Identity> {
    std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

impl Survey {
    /// Begins with the files as they are.
    pub(super) fn new(path: &Path) -> Self {
        let files = [path.to_owned(), log::path_of(path)];
        Self {
            folder: path.parent().unwrap_or(Path::new(".")).to_owned(),
            files: files.into_iter().filter_map(|path| identity(&path).map(|found| (path, found))).collect(),
            surveyed_at: Instant::now(),
            probed_at: None,
        }
    }

    /// Checks them, if it is time, and reports to `monitor`.
    pub(super) fn run(&mut self, monitor: &Monitor) {
        if self.surveyed_at.elapsed() < SURVEY_INTERVAL {
            return;
        }
        self.surveyed_at = Instant::now();
        // Commits would go to files without a name, and be gone with this process.
        if let Some((path, _)) = self.files.iter().find(|(path, opened)| identity(path) != Some(*opened)) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            monitor.report_damage(&format!("{name} was removed or replaced while it was served"));
        }
        match monitor.condition() {
            Condition::Damaged(_) => {}
            Condition::ReadOnly(_) => match room::obstacle(&self.folder) {
                Some(obstacle) => monitor.report_obstacle(obstacle),
                None => monitor.clear_obstacle(),
            },
            Condition::Writable => self.probe_low_room(monitor),
        }
    }

    fn probe_low_room(&mut self, monitor: &Monitor) {
        let is_due = self.probed_at.is_none_or(|at| at.elapsed() >= PROBE_INTERVAL);
        if is_due && room::is_low(&self.folder) {
            self.probed_at = Some(Instant::now());
            if let Some(obstacle) = room::obstacle(&self.folder) {
                monitor.report_obstacle(obstacle);
            }
        }
    }
}
