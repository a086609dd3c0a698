//! SQLite: the one writer thread with group commit, and the pool of readers.
//!
//! The writer takes what waits (never waiting for more) into one transaction, each command in a savepoint
//! of its own, and answers after COMMIT: a hundred commands share one fsync. It knows no table.

pub(super) mod integrity;
mod log;
pub(super) mod opening;
mod schema;
mod standby;
mod survey;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use self::standby::Standby;
use self::survey::Survey;
use super::condition::{Condition, Monitor};
use super::connection_manager::ConnectionManager;
use super::driver::{Tx, explain_command};
use super::topics::{TopicSet, Topics};
use crate::error::{Error, Result};

/// Commands that one transaction takes at most.
const BATCH: usize = 256;
/// How often the writer looks whether another process wrote, and publishes what was touched "soon".
const TICK: Duration = Duration::from_millis(200);
/// Frames (pages of 4 KiB) in the log that make a checkpoint worth it.
const CHECKPOINT_FRAMES: i64 = 1_000;
/// Frames (64 MiB) from which readers are made to wait for a moment, or the log would grow without bound.
const RESTART_FRAMES: i64 = 16_384;
/// SQLite below this can corrupt a database in WAL mode under a rare race.
const OLDEST: i32 = 3_051_003;

/// A pool of read-only connections.
pub(super) type Readers = r2d2::Pool<ConnectionManager>;

/// A command on its way through the writer: run perhaps more than once, answered once.
pub(super) trait Job: Send {
    /// Runs the command; an error means that its savepoint is to be rolled back.
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), ()>;
    /// Tells the caller: its own outcome when `committed` is `Ok`, else why nothing was stored.
    fn answer(self: Box<Self>, committed: Result<()>);
    /// Gives the job an outcome for a command that panicked.
    fn panicked(&mut self);
}

/// Settings that writers and readers share.
fn settle(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(256);
    // A statement is planned once, not anew for each value that is bound as a LIMIT.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.execute_batch(
        "PRAGMA busy_timeout = 5000;
         PRAGMA foreign_keys = ON;
         PRAGMA mmap_size = 0;
         PRAGMA trusted_schema = OFF;
         PRAGMA temp_store = MEMORY;",
    )
}

/// Opens a database as it is, to be read only: it is neither made nor migrated.
pub(super) fn open_as_is(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(explain_command)?;
    settle(&connection).map_err(explain_command)?;
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .and_then(|_| connection.execute_batch("PRAGMA query_only = ON;"))
        .map_err(explain_command)?;
    Ok(connection)
}

/// Makes a pool of connections that are opened with `flags` and prepared by `prepare`.
fn pool(
    target: PathBuf,
    flags: OpenFlags,
    prepare: fn(&Connection) -> rusqlite::Result<()>,
) -> Result<Readers> {
    let manager = ConnectionManager::new(target, flags, prepare);
    r2d2::Pool::builder()
        .max_size(8)
        .min_idle(Some(1))
        .idle_timeout(None)
        .max_lifetime(None)
        .connection_timeout(Duration::from_secs(5))
        .test_on_check_out(false)
        .build(manager)
        .map_err(Error::internal)
}

/// Runs `read` in one read transaction, so that all it sees is of one moment.
/// Damage that it meets is reported to `monitor`.
pub(super) fn read<T>(
    readers: &RwLock<Option<Readers>>,
    monitor: &Monitor,
    read: impl FnOnce(&mut Tx<'_>) -> Result<T>,
) -> Result<T> {
    let busy = || {
        let busy = || Error::Unavailable("too many reads at once: try again".to_owned());
        monitor.damage().unwrap_or_else(busy)
    };
    // Held until the end: the pool is only replaced while nobody reads.
    let readers = readers.read().unwrap_or_else(PoisonError::into_inner);
    let connection = readers.as_ref().and_then(|readers| readers.get().ok()).ok_or_else(busy)?;
    let transaction = connection.unchecked_transaction().map_err(explain_command)?;
    read(&mut Tx::of_reader(&transaction, monitor))
}

/// Runs `read` in one read transaction of a connection.
pub(super) fn read_with<T>(
    connection: &Connection,
    read: impl FnOnce(&mut Tx<'_>) -> Result<T>,
) -> Result<T> {
    let transaction = connection.unchecked_transaction().map_err(explain_command)?;
    read(&mut Tx::new(&transaction))
}

/// What the thread that writes begins with.
pub(super) struct WriterThread {
    pub(super) path: PathBuf,
    /// None where nothing can be written yet.
    pub(super) connection: Option<Connection>,
    pub(super) readers: Arc<RwLock<Option<Readers>>>,
    pub(super) topics: Arc<Topics>,
    pub(super) monitor: Arc<Monitor>,
}

impl WriterThread {
    /// Serves jobs until every sender is gone.
    pub(super) fn serve(self, mut jobs: mpsc::Receiver<Box<dyn Job>>) {
        let Ok(clock) = tokio::runtime::Builder::new_current_thread().enable_time().build() else {
            tracing::error!("the writer cannot start its clock");
            return;
        };
        let Self { path, connection, readers, topics, monitor } = self;
        let standby = Standby { path: &path, monitor: &monitor, readers: &readers };
        if let Some(connection) = connection.or_else(|| standby.wait(&clock, &mut jobs)) {
            Writer::new(connection, &path, topics, monitor).serve(&clock, jobs);
        }
    }
}

/// The owner of the write connection.
struct Writer {
    connection: Connection,
    wal: PathBuf,
    topics: Arc<Topics>,
    monitor: Arc<Monitor>,
    survey: Survey,
    /// Touched by progress, to be published at the next tick.
    soon: TopicSet,
    data_version: i64,
    last_tick: Instant,
    /// The outcome of the last checkpoint: a failure that goes on is logged once.
    is_checkpoint_failing: bool,
}

impl Writer {
    /// A writer over `connection`, which publishes to `topics`.
    fn new(connection: Connection, path: &Path, topics: Arc<Topics>, monitor: Arc<Monitor>) -> Self {
        Self {
            connection,
            wal: log::path_of(path),
            topics,
            monitor,
            survey: Survey::new(path),
            soon: TopicSet::default(),
            data_version: 0,
            last_tick: Instant::now(),
            is_checkpoint_failing: false,
        }
    }

    /// Serves jobs until every sender is gone; then brings the log into the database file, unless that is damaged.
    fn serve(mut self, clock: &Runtime, mut jobs: mpsc::Receiver<Box<dyn Job>>) {
        self.data_version = self.read_data_version();
        // A log that is in the database already is begun anew by the next commit: the less is in it, the less can be
        // lost with it.
        self.checkpoint("PASSIVE");
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let waited =
                clock.block_on(async { tokio::time::timeout(TICK, jobs.recv_many(&mut batch, BATCH)).await });
            match waited {
                Ok(0) => break,
                Ok(_) => self.commit(std::mem::take(&mut batch)),
                Err(_) => {}
            }
            self.tick();
        }
        if self.monitor.is_damaged() {
            let kept = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
            if let Err(cause) = kept {
                tracing::warn!(%cause, "the log of a damaged database may be lost");
            }
        } else {
            self.checkpoint("TRUNCATE");
        }
    }

    /// Commits a batch, or each of its jobs alone when the batch as a whole could not be.
    fn commit(&mut self, mut batch: Vec<Box<dyn Job>>) {
        match self.transact(&mut batch) {
            Ok(()) => answer_all(batch, &mut || Ok(())),
            Err(cause) if batch.len() == 1 => {
                let mut cause = Some(cause);
                answer_all(batch, &mut || Err(cause.take().unwrap_or(Error::Full)));
            }
            Err(Error::Damaged(found)) => answer_all(batch, &mut || Err(Error::Damaged(found.clone()))),
            Err(cause) => {
                tracing::warn!(error = ?cause, "a batch of writes is repeated one by one");
                for job in batch {
                    self.commit(vec![job]);
                }
            }
        }
    }

    /// One transaction over `batch`. After an error nothing of it is stored.
    fn transact(&mut self, batch: &mut [Box<dyn Job>]) -> Result<()> {
        self.refuse_damaged()?;
        self.command("BEGIN IMMEDIATE")?;
        // Whatever a command read of a damaged database may be wrong, and with it what others wrote after it.
        let run = self.run_all(batch).and_then(|touched| self.refuse_damaged().map(|()| touched));
        let touched = match run {
            Ok(touched) => touched,
            Err(cause) => return Err(self.abandon(cause)),
        };
        if let Err(cause) = self.command("COMMIT") {
            let cause = self.abandon(cause);
            self.overwrite_failed_commit();
            return Err(cause);
        }
        let (now, soon) = touched;
        self.topics.publish(now);
        self.soon.merge(soon);
        Ok(())
    }

    /// Runs every job in a savepoint of its own; an error means that the transaction itself is gone.
    fn run_all(&self, batch: &mut [Box<dyn Job>]) -> Result<(TopicSet, TopicSet)> {
        let (mut now, mut soon) = (TopicSet::default(), TopicSet::default());
        for job in batch {
            self.command("SAVEPOINT job")?;
            let mut tx = Tx::of_writer(&self.connection, &self.monitor);
            let outcome = catch_unwind(AssertUnwindSafe(|| job.run(&mut tx))).unwrap_or_else(|_| {
                job.panicked();
                Err(())
            });
            // A full disk and some I/O errors roll back everything, savepoints of earlier jobs included.
            if self.connection.is_autocommit() {
                return Err(match self.monitor.condition() {
                    Condition::ReadOnly(obstacle) => obstacle.error(),
                    _ => Error::Full,
                });
            }
            if outcome.is_ok() {
                let (touched_now, touched_soon) = tx.touched();
                now.merge(touched_now);
                soon.merge(touched_soon);
            } else {
                self.command("ROLLBACK TO job")?;
            }
            self.command("RELEASE job")?;
        }
        Ok((now, soon))
    }

    /// Rolls back what is left of a transaction and hands the cause on.
    fn abandon(&self, cause: Error) -> Error {
        if !self.connection.is_autocommit()
            && let Err(second) = self.command("ROLLBACK")
        {
            tracing::error!(error = ?second, "a transaction could not be rolled back");
        }
        cause
    }

    /// Writes a transaction that changes nothing over what a failed commit left in the log. Its frames may be whole
    /// when only their fsync failed, and after a crash they would be found as if they had been committed: rows whose
    /// files were removed when the write was refused.
    fn overwrite_failed_commit(&self) {
        let overwritten = self
            .connection
            .query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0))
            .and_then(|version| self.connection.execute_batch(&format!("PRAGMA user_version = {version}")));
        if let Err(cause) = overwritten {
            tracing::warn!(%cause, "a write that failed may be found after a crash");
        }
    }

    fn command(&self, sql: &str) -> Result<()> {
        Tx::of_writer(&self.connection, &self.monitor).command(sql)
    }

    fn refuse_damaged(&self) -> Result<()> {
        self.monitor.damage().map_or(Ok(()), Err)
    }

    /// What is done a few times a second: late publishing, other processes' writes, checkpoints.
    fn tick(&mut self) {
        if self.last_tick.elapsed() < TICK {
            return;
        }
        self.last_tick = Instant::now();
        self.topics.publish(std::mem::take(&mut self.soon));
        let version = self.read_data_version();
        if version != self.data_version {
            self.data_version = version;
            self.topics.publish(TopicSet::all());
        }
        self.survey.run(&self.monitor);
        let frames = self.wal_frames();
        if self.monitor.is_damaged() {
            // Nothing is moved over what may still be whole.
        } else if frames > RESTART_FRAMES {
            self.checkpoint("RESTART");
        } else if frames > CHECKPOINT_FRAMES {
            self.checkpoint("PASSIVE");
        }
    }

    /// A number that changes when another connection commits.
    fn read_data_version(&self) -> i64 {
        self.connection.query_row("PRAGMA data_version", [], |row| row.get(0)).unwrap_or(0)
    }

    /// Size of the log in frames of one page.
    fn wal_frames(&self) -> i64 {
        let bytes = std::fs::metadata(&self.wal).map_or(0, |file| file.len());
        i64::try_from(bytes / 4096).unwrap_or(i64::MAX)
    }

    /// Moves the log into the database file. Failing is no loss: the next one tries again.
    fn checkpoint(&mut self, mode: &str) {
        let patience = if mode == "RESTART" { 100 } else { 5_000 };
        let outcome = self
            .connection
            .busy_timeout(Duration::from_millis(patience))
            .and_then(|()| {
                self.connection
                    .query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| row.get::<_, i64>(0))
            })
            .and_then(|_| self.connection.busy_timeout(Duration::from_secs(5)));
        let is_failing = outcome.is_err();
        if let Err(cause) = outcome {
            let cause = Tx::of_writer(&self.connection, &self.monitor).fail(cause, "a checkpoint");
            if !self.is_checkpoint_failing {
                tracing::warn!(error = ?cause, mode, "checkpoint failed");
            }
        }
        self.is_checkpoint_failing = is_failing;
    }
}

fn answer_all(batch: Vec<Box<dyn Job>>, committed: &mut dyn FnMut() -> Result<()>) {
    for job in batch {
        job.answer(committed());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rusqlite::StatementStatus;

    use super::opening::open_writer;
    use crate::store::condition::Monitor;
    use crate::store::topics::Topics;

    #[test]
    fn statements_are_planned_once_whatever_is_bound() {
        let folder = tempfile::tempdir().unwrap();
        let monitor = Monitor::new(Arc::new(Topics::default()));
        let connection = open_writer(&folder.path().join("database"), &monitor).unwrap();
        let sql =
            "SELECT id FROM work_items WHERE state = 'ready' AND endpoint = ?1 AND run_id > ?2 LIMIT ?3";
        let mut statement = connection.prepare(sql).unwrap();
        for limit in [1, 200, 7] {
            assert!(statement.query(("host", limit, limit)).unwrap().next().unwrap().is_none());
        }
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
    }
}
