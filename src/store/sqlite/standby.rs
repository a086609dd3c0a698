//! The writer while nothing can be written: it refuses every command, and opens the database once it can.

use std::path::Path;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use super::opening::{self, Access};
use super::{BATCH, Job, Readers, answer_all};
use crate::error::{Error, explain};
use crate::store::condition::{Condition, Monitor};
use crate::store::room;

/// How often it is tried whether the database can be written to.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// What the writer shares with the store.
pub(super) struct Standby<'s> {
    pub(super) path: &'s Path,
    pub(super) monitor: &'s Monitor,
    pub(super) readers: &'s RwLock<Option<Readers>>,
}

impl Standby<'_> {
    /// Refuses commands until the database can be written to; returns the connection, or none when every sender is gone.
    pub(super) fn wait(
        &self,
        clock: &Runtime,
        jobs: &mut mpsc::Receiver<Box<dyn Job>>,
    ) -> Option<Connection> {
        let mut batch = Vec::with_capacity(BATCH);
        self.monitor.set_standing_by(true);
        let mut tried_at = Instant::now();
        loop {
            let waited = clock.block_on(async {
                tokio::time::timeout(RETRY_INTERVAL, jobs.recv_many(&mut batch, BATCH)).await
            });
            match waited {
                Ok(0) => return None,
                Ok(_) => answer_all(std::mem::take(&mut batch), &mut || Err(self.refusal())),
                Err(_) => {}
            }
            if tried_at.elapsed() < RETRY_INTERVAL {
                continue;
            }
            if let Some(connection) = self.reopen() {
                return Some(connection);
            }
            tried_at = Instant::now();
        }
    }

    fn refusal(&self) -> Error {
        match self.monitor.condition() {
            Condition::Damaged(found) => Error::Damaged(found.to_string()),
            Condition::ReadOnly(obstacle) => obstacle.error(),
            Condition::Writable => Error::Unavailable("the database is being opened: try again".to_owned()),
        }
    }

    /// Opens the database for writing, if that works now, and has readers read it with its log.
    fn reopen(&self) -> Option<Connection> {
        if self.monitor.is_damaged() || self.path.parent().and_then(room::obstacle).is_some() {
            return None;
        }
        let mut readers = self.readers.write().unwrap_or_else(PoisonError::into_inner);
        // All of them have to be closed. The connections of a process share one index of the log, which stays read-only
        // while one is open that could not write it; and those without the log would read what a checkpoint writes.
        *readers = None;
        let was_frozen = self.monitor.is_frozen();
        match opening::open_writer(self.path, self.monitor) {
            Ok(writer) => {
                self.monitor.set_frozen(false);
                *readers = self.open_readers(Access::Shared);
                drop(readers);
                let writer = Some(writer).filter(|_| !self.monitor.is_damaged())?;
                self.monitor.set_standing_by(false);
                self.monitor.clear_obstacle();
                Some(writer)
            }
            Err(cause) => {
                tracing::warn!(error = %explain(&cause), "the database cannot be written to yet");
                *readers = self.open_readers(if was_frozen { Access::Immutable } else { Access::Shared });
                None
            }
        }
    }

    fn open_readers(&self, access: Access) -> Option<Readers> {
        let opened = opening::open_readers(self.path, access);
        opened
            .inspect_err(|cause| tracing::error!(error = %explain(cause), "the database cannot be read"))
            .ok()
    }
}
