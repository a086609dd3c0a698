//! The writer while nothing can be written: it refuses every command, and opens the database once it can.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
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
/// How long reads without the log may go on before the database is written to again.
const READERS_TIMEOUT: Duration = Duration::from_secs(30);

/// What the writer shares with the store.
pub(super) struct Standby<'s> {
    pub(super) path: &'s Path,
    pub(super) monitor: &'s Monitor,
    pub(super) readers: &'s ArcSwap<Readers>,
}

impl Standby<'_> {
    /// Refuses commands until the database can be written to; returns the connection, or none when every sender is gone.
    pub(super) fn wait(&self, clock: &Runtime, jobs: &mut mpsc::Receiver<Box<dyn Job>>) -> Option<Connection> {
        let mut batch = Vec::with_capacity(BATCH);
        self.monitor.set_standing_by(true);
        let mut tried_at = Instant::now();
        loop {
            let waited = clock
                .block_on(async { tokio::time::timeout(RETRY_INTERVAL, jobs.recv_many(&mut batch, BATCH)).await });
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
        let opened = opening::open_writer(self.path, self.monitor)
            .and_then(|writer| Ok((writer, opening::open_readers(self.path, Access::Shared)?)));
        let (writer, readers) = match opened {
            Ok(opened) => opened,
            Err(cause) => {
                tracing::warn!(error = %explain(&cause), "the database cannot be written to yet");
                return None;
            }
        };
        let before = self.readers.swap(Arc::new(readers));
        // They would read pages that a checkpoint is writing.
        let since = Instant::now();
        while Arc::strong_count(&before) > 1 && since.elapsed() < READERS_TIMEOUT {
            std::thread::sleep(Duration::from_millis(10));
        }
        drop(before);
        self.monitor.set_frozen(false);
        if self.monitor.is_damaged() {
            return None;
        }
        self.monitor.set_standing_by(false);
        self.monitor.clear_obstacle();
        Some(writer)
    }
}
