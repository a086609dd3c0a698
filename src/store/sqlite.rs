//! SQLite: the one writer thread with group commit, and the pool of readers.
//!
//! The writer takes what waits (never waiting for more) into one transaction, each command in a savepoint
//! of its own, and answers after COMMIT: a hundred commands share one fsync. It knows no table.

use std::os::unix::fs::OpenOptionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};
use tokio::sync::mpsc;

use super::connection_manager::ConnectionManager;
use super::driver::{Tx, explain_command};
use super::migrate;
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

/// Makes the file (mode 0600), migrates it and opens the writer's connection.
pub(super) fn open_writer(path: &Path) -> Result<Connection> {
    if rusqlite::version_number() < OLDEST {
        return Err(Error::internal(format!("SQLite {} is too old", rusqlite::version())));
    }
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .map_err(|cause| Error::internal(format!("cannot open {}: {cause}", path.display())))?;
    // One thread at a time uses a connection, so it needs no lock of its own.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(explain_command)?;
    connection
        .execute_batch(
            "PRAGMA busy_timeout = 5000;
             PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA wal_autocheckpoint = 0;
             PRAGMA secure_delete = ON;
             PRAGMA cache_size = -8192;",
        )
        .map_err(explain_command)?;
    settle(&connection).map_err(explain_command)?;
    // In one transaction: else a crash between a migration and the row that says so would have it applied twice.
    migrate::sqlite::migrations::runner()
        .set_grouped(true)
        .run(&mut connection)
        .map_err(|cause| Error::internal(format!("migration failed: {cause}")))?;
    Ok(connection)
}

/// Settings that writers and readers share.
fn settle(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(256);
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
    connection.execute_batch("PRAGMA query_only = ON;").map_err(explain_command)?;
    Ok(connection)
}

/// Opens the pool of readers over a database that the writer has made.
pub(super) fn open_readers(path: &Path) -> Result<Readers> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let manager = ConnectionManager::new(path.to_owned(), flags, |connection| {
        settle(connection)?;
        connection.execute_batch("PRAGMA query_only = ON;")
    });
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
pub(super) fn read<T>(readers: &Readers, read: impl FnOnce(&mut Tx<'_>) -> Result<T>) -> Result<T> {
    let connection =
        readers.get().map_err(|_| Error::Unavailable("too many reads at once: try again".to_owned()))?;
    read_with(&connection, read)
}

/// Runs `read` in one read transaction of a connection.
pub(super) fn read_with<T>(
    connection: &Connection,
    read: impl FnOnce(&mut Tx<'_>) -> Result<T>,
) -> Result<T> {
    let transaction = connection.unchecked_transaction().map_err(explain_command)?;
    read(&mut Tx::new(&transaction))
}

/// The thread that owns the write connection.
pub(super) struct Writer {
    connection: Connection,
    wal: PathBuf,
    topics: Arc<Topics>,
    /// Touched by progress, to be published at the next tick.
    soon: TopicSet,
    data_version: i64,
    last_tick: Instant,
}

impl Writer {
    /// A writer over `connection`, which publishes to `topics`.
    pub(super) fn new(connection: Connection, path: &Path, topics: Arc<Topics>) -> Self {
        let mut wal = path.as_os_str().to_owned();
        wal.push("-wal");
        let now = Instant::now();
        let soon = TopicSet::default();
        Self { connection, wal: wal.into(), topics, soon, data_version: 0, last_tick: now }
    }

    /// Serves jobs until every sender is gone; then brings the log into the database file.
    pub(super) fn serve(mut self, mut jobs: mpsc::Receiver<Box<dyn Job>>) {
        let Ok(clock) = tokio::runtime::Builder::new_current_thread().enable_time().build() else {
            tracing::error!("the writer cannot start its clock");
            return;
        };
        self.data_version = self.read_data_version();
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
        self.checkpoint("TRUNCATE");
    }

    /// Commits a batch, or each of its jobs alone when the batch as a whole could not be.
    fn commit(&mut self, mut batch: Vec<Box<dyn Job>>) {
        match self.transact(&mut batch) {
            Ok(()) => answer_all(batch, &mut || Ok(())),
            Err(cause) if batch.len() == 1 => {
                let mut cause = Some(cause);
                answer_all(batch, &mut || Err(cause.take().unwrap_or(Error::Full)));
            }
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
        self.command("BEGIN IMMEDIATE")?;
        let touched = match self.run_all(batch) {
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
            let mut tx = Tx::new(&self.connection);
            let outcome = catch_unwind(AssertUnwindSafe(|| job.run(&mut tx))).unwrap_or_else(|_| {
                job.panicked();
                Err(())
            });
            // A full disk and some I/O errors roll back everything, savepoints of earlier jobs included.
            if self.connection.is_autocommit() {
                return Err(Error::Full);
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
        let mut statement = self.connection.prepare_cached(sql).map_err(explain_command)?;
        statement.raw_execute().map(|_| ()).map_err(explain_command)
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
        let frames = self.wal_frames();
        if frames > RESTART_FRAMES {
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
    fn checkpoint(&self, mode: &str) {
        let patience = if mode == "RESTART" { 100 } else { 5_000 };
        let outcome = self
            .connection
            .busy_timeout(Duration::from_millis(patience))
            .and_then(|()| {
                self.connection
                    .query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| row.get::<_, i64>(0))
            })
            .and_then(|_| self.connection.busy_timeout(Duration::from_secs(5)));
        if let Err(cause) = outcome {
            tracing::warn!(%cause, mode, "checkpoint failed");
        }
    }
}

fn answer_all(batch: Vec<Box<dyn Job>>, committed: &mut dyn FnMut() -> Result<()>) {
    for job in batch {
        job.answer(committed());
    }
}
