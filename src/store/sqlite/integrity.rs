//! Checks of a database while it is served: the whole of it now and then on a thread of its own, and the first row of
//! every table whenever readiness is asked for.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::opening::{Access, open_reader};
use crate::domain::time::Millis;
use crate::error::{Error, Result, explain};
use crate::store::check;
use crate::store::condition::Monitor;
use crate::store::driver::Tx;

/// How often a database that is served is checked whole.
const CHECK_INTERVAL: Duration = Duration::from_hours(24);
/// How often the thread looks whether its store is still open.
const STEP: Duration = Duration::from_millis(500);
/// How long after one check another one is made because of a suspicion.
const MIN_PAUSE: Duration = Duration::from_mins(1);
/// Findings of one table that are kept.
const MAX_FINDINGS: i64 = 3;

/// Starts the thread that checks the database at `path` once a day and on suspicion, until its store is gone: also at
/// once, unless it was checked while it was opened.
///
/// # Errors
/// `Internal` when no thread can be started.
pub(in crate::store) fn start(path: &Path, monitor: &Arc<Monitor>) -> Result<()> {
    let Some(suspicions) = monitor.take_suspicions() else { return Ok(()) };
    let checker = Checker { path: path.to_owned(), monitor: Arc::downgrade(monitor) };
    let is_due = monitor.passed_at().is_none();
    std::thread::Builder::new()
        .name("store-check".to_owned())
        .spawn(move || checker.serve(&suspicions, is_due))
        .map(drop)
        .map_err(Error::internal)
}

struct Checker {
    path: PathBuf,
    /// Gone with the store.
    monitor: Weak<Monitor>,
}

impl Checker {
    fn serve(&self, suspicions: &Receiver<()>, is_due: bool) {
        let mut wait = if is_due { Duration::ZERO } else { CHECK_INTERVAL };
        while self.rest(suspicions, wait).is_some() {
            if let Err(cause) = self.check() {
                tracing::warn!(error = %explain(&cause), "the database could not be checked");
            }
            if self.rest_without(MIN_PAUSE).is_none() {
                return;
            }
            wait = CHECK_INTERVAL;
        }
    }

    /// Waits for that long or for a suspicion; returns none when the store is gone.
    fn rest(&self, suspicions: &Receiver<()>, wait: Duration) -> Option<()> {
        let mut left = wait;
        while !left.is_zero() && self.monitor.strong_count() > 0 {
            match suspicions.recv_timeout(STEP.min(left)) {
                Ok(()) => break,
                Err(RecvTimeoutError::Timeout) => left = left.saturating_sub(STEP),
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
        (self.monitor.strong_count() > 0).then_some(())
    }

    fn rest_without(&self, wait: Duration) -> Option<()> {
        let mut left = wait;
        while !left.is_zero() && self.monitor.strong_count() > 0 {
            std::thread::sleep(STEP.min(left));
            left = left.saturating_sub(STEP);
        }
        (self.monitor.strong_count() > 0).then_some(())
    }

    /// Checks one table after the other, so that no transaction is held for long: the log could not be cut short
    /// meanwhile.
    fn check(&self) -> Result<()> {
        let access = |monitor: &Monitor| if monitor.is_frozen() { Access::Immutable } else { Access::Shared };
        let Some(monitor) = self.monitor.upgrade() else { return Ok(()) };
        let mut connection = open_reader(&self.path, access(&monitor))?;
        drop(monitor);
        let store = Weak::clone(&self.monitor);
        connection
            .progress_handler(10_000, Some(move || store.strong_count() == 0))
            .map_err(Error::internal)?;
        for table in check::tables(&mut Tx::new(&connection))? {
            let findings = check::quick_table(&mut Tx::new(&connection), &table, MAX_FINDINGS);
            let Some(monitor) = self.monitor.upgrade() else { return Ok(()) };
            match findings {
                Ok(findings) if findings.is_empty() => {}
                Ok(findings) => {
                    monitor.report_damage(&findings.join("; ").replace('\n', " "));
                    return Ok(());
                }
                Err(Error::Damaged(found)) => {
                    monitor.report_damage(&found);
                    return Ok(());
                }
                Err(other) => return Err(other),
            }
        }
        if let Some(monitor) = self.monitor.upgrade() {
            monitor.record_pass(Millis::now());
        }
        Ok(())
    }
}

/// Reads the first row of every table and the first entry of every index over a connection of its own, whose cache is
/// empty. Damage is reported to `monitor`.
///
/// # Errors
/// `Damaged`; else the database's.
pub(in crate::store) fn probe(path: &Path, monitor: &Monitor) -> Result<()> {
    let access = if monitor.is_frozen() { Access::Immutable } else { Access::Shared };
    let probed =
        open_reader(path, access).and_then(|connection| check::first_rows(&mut Tx::new(&connection)));
    if let Err(Error::Damaged(found)) = &probed {
        monitor.report_damage(found);
    }
    probed
}
