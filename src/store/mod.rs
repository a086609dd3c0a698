//! The only folder with SQL: one concrete store over an embedded database.
//!
//! [`Store::read`] takes a reader from the pool; [`Store::write`] goes to the one writer. Both run their
//! closure off the async threads. The files beside this one hold free functions `(tx, args) -> domain
//! types`, one file per noun; they never open a transaction, so that they compose into one command.
//! There is no store trait and no mock: tests use a temporary file.

pub mod answers;
pub mod api_keys;
pub mod artifacts;
pub mod attempts;
pub mod blobs;
pub mod board;
pub mod case_keys;
pub mod cases;
pub mod check;
pub mod condition;
mod connection_manager;
pub mod drafts;
pub mod driver;
pub mod estimates;
pub mod evals;
pub mod health;
pub mod idempotent_answers;
pub mod ledger;
pub mod lending;
pub mod master_keys;
pub mod migrate;
pub mod model_keys;
pub mod model_names;
pub mod models;
pub mod one_time_links;
pub mod overrules;
pub mod pairs;
pub mod past_board;
pub mod plans;
pub mod pool;
pub mod progress;
pub mod purge;
pub mod queue;
pub mod results;
pub mod retention;
pub mod retries;
mod room;
pub mod run_waits;
pub mod runs;
pub mod samples;
pub mod schedules;
pub mod sessions;
#[cfg(feature = "oidc")]
pub mod sign_ins;
pub mod spending;
mod sqlite;
pub mod topics;
pub mod training_sets;
mod turns;
pub mod uploads;
pub mod users;
pub mod webhook_secrets;
pub mod work_items;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use condition::{Condition, Monitor};

pub use driver::{Row, Tx, Value};
use sqlite::opening::Opened;
use sqlite::{Job, Readers, WriterThread, integrity, opening};
pub use topics::{Generation, Topic, TopicSet, Topics};

use crate::domain::time::Millis;
use crate::error::{Error, Result};

/// Commands that may wait for the writer; beyond it callers wait, and after [`PATIENCE`] get a 503.
const QUEUE: usize = 4_096;
/// How long a command waits for a place in the queue.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often at most the database is probed for readiness.
const PROBE_INTERVAL: Duration = Duration::from_secs(3);

/// The database: cheap to clone, shared by everybody.
#[derive(Clone)]
pub struct Store {
    path: Arc<PathBuf>,
    readers: Arc<RwLock<Option<Readers>>>,
    topics: Arc<Topics>,
    monitor: Arc<Monitor>,
    /// When the database was last probed.
    probed_at: Arc<tokio::sync::Mutex<Option<Instant>>>,
    writer: mpsc::Sender<Box<dyn Job>>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Store {
    /// Opens (and if need be makes and migrates) the database file at `path`. One that is damaged, or cannot be written
    /// to, is opened all the same where it can be read: see [`Store::condition`].
    ///
    /// # Errors
    /// `Conflict` when this program cannot serve it, in words for the operator; `Internal` when it cannot be opened at
    /// all; `Full` and `ReadOnly` where it cannot be made.
    pub fn open(path: &Path) -> Result<Self> {
        let topics = Arc::new(Topics::default());
        let monitor = Arc::new(Monitor::new(Arc::clone(&topics)));
        let Opened { writer: connection, readers } = opening::open(path, &monitor)?;
        let readers = Arc::new(RwLock::new(Some(readers)));
        let writer = WriterThread {
            path: path.to_owned(),
            connection,
            readers: Arc::clone(&readers),
            topics: Arc::clone(&topics),
            monitor: Arc::clone(&monitor),
        };
        let (sender, jobs) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.serve(jobs))
            .map_err(Error::internal)?;
        integrity::start(path, &monitor)?;
        Ok(Self {
            path: Arc::new(path.to_owned()),
            readers,
            topics,
            monitor,
            probed_at: Arc::default(),
            writer: sender,
            thread: Arc::new(Mutex::new(Some(thread))),
        })
    }

    /// Runs `query` in one read transaction.
    ///
    /// # Errors
    /// `Unavailable` when no reader is free for 5 s; else what `query` answers.
    pub async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let readers = Arc::clone(&self.readers);
        let monitor = Arc::clone(&self.monitor);
        tokio::task::spawn_blocking(move || sqlite::read(&readers, &monitor, query))
            .await
            .map_err(Error::internal)?
    }

    /// Runs `command` on the writer and answers after its commit: an `Ok` is on disk. It may run twice
    /// (when a batch has to be repeated), so it must not take anything out of itself.
    ///
    /// # Errors
    /// What `command` answers (then nothing of it is stored); `Full`, `ReadOnly` or `Unavailable` when the commit failed;
    /// `Damaged` from the moment on at which damage was seen.
    pub async fn write<T: Send + 'static>(
        &self,
        command: impl FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if let Some(damage) = self.monitor.damage() {
            return Err(damage);
        }
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Write { command, outcome: None, reply });
        self.writer.send_timeout(job, PATIENCE).await.map_err(|_| busy())?;
        answer.await.map_err(|_| busy())?
    }

    /// Returns the condition of the data, as far as it is known.
    #[must_use]
    pub fn condition(&self) -> Condition {
        self.monitor.condition()
    }

    /// Returns whether writes can be stored, as far as is known.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.monitor.is_writable()
    }

    /// Returns the condition of the data, and every other one after it.
    #[must_use]
    pub fn watch_condition(&self) -> watch::Receiver<Condition> {
        self.monitor.subscribe()
    }

    /// Returns the error of every write that can be refused without trying it: the data are damaged, or were not open for
    /// writing since the start.
    #[must_use]
    pub fn refusal(&self) -> Option<Error> {
        self.monitor.refusal()
    }

    /// Returns when a check of the whole database last found nothing; none while the first is under way.
    #[must_use]
    pub fn checked_at(&self) -> Option<Millis> {
        self.monitor.passed_at()
    }

    /// Reads the first row of every table from the disk, at most once every 3 seconds, and reports damage as the data's
    /// condition.
    ///
    /// # Errors
    /// `Damaged`, also when damage was seen before; else the database's.
    pub async fn probe(&self) -> Result<()> {
        let mut probed_at = self.probed_at.lock().await;
        if probed_at.is_none_or(|at| at.elapsed() >= PROBE_INTERVAL) {
            let (path, monitor) = (Arc::clone(&self.path), Arc::clone(&self.monitor));
            let probed = tokio::task::spawn_blocking(move || integrity::probe(&path, &monitor));
            probed.await.map_err(Error::internal)??;
            *probed_at = Some(Instant::now());
        }
        self.monitor.damage().map_or(Ok(()), Err)
    }

    /// The present generation of `topics`; read it before reading what it is to vouch for.
    #[must_use]
    pub fn generation(&self, topics: &[Topic]) -> Generation {
        self.topics.generation(topics)
    }

    /// Tells of every change from now on; several at once may be told as one.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.topics.changes()
    }

    /// How many commands wait for the writer.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.writer.max_capacity().saturating_sub(self.writer.capacity())
    }

    /// Lets go of this handle and, when it was the last, waits until the writer has finished.
    pub fn close(self) {
        let Self { writer, thread, .. } = self;
        drop(writer);
        let handle = Arc::into_inner(thread).and_then(|slot| slot.into_inner().ok().flatten());
        if let Some(handle) = handle
            && handle.join().is_err()
        {
            tracing::error!("the writer thread had panicked");
        }
    }
}

/// Runs `query` in one read transaction on the database file at `path` as it is: whatever its version, and whoever
/// else has it open. It blocks.
///
/// # Errors
/// As [`require_file`]; what `query` answers.
pub fn read_as_is<T>(path: &Path, query: impl FnOnce(&mut Tx<'_>) -> Result<T>) -> Result<T> {
    require_file(path)?;
    sqlite::read_with(&sqlite::open_as_is(path)?, query)
}

/// Refuses a path where there is no database file, by name.
///
/// # Errors
/// `Invalid`.
pub fn require_file(path: &Path) -> Result<()> {
    match std::fs::metadata(path) {
        // Opened as a database, an empty file would have the log beside it removed.
        Ok(file) if file.is_file() && file.len() == 0 => Err(Error::bad_request(format!(
            "{} is empty: restore a backup into a new folder with `evalboard restore`",
            path.display()
        ))),
        Ok(file) if file.is_file() => Ok(()),
        _ => Err(Error::bad_request(format!("no database at {}", path.display()))),
    }
}

/// Returns whether the database file at `path` has tables, its log included; true for one that cannot be read, which is
/// not nothing. It blocks.
#[must_use]
pub fn has_schema(path: &Path) -> bool {
    read_as_is(path, migrate::has_schema).unwrap_or(true)
}

fn busy() -> Error {
    Error::Unavailable("the database is busy: try again".to_owned())
}

/// A command with its outcome and the one who waits for it.
struct Write<F, T> {
    command: F,
    outcome: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<F, T> Job for Write<F, T>
where
    F: FnMut(&mut Tx<'_>) -> Result<T> + Send,
    T: Send,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), ()> {
        let outcome = (self.command)(tx);
        let step = if outcome.is_ok() { Ok(()) } else { Err(()) };
        self.outcome = Some(outcome);
        step
    }

    fn panicked(&mut self) {
        self.outcome = Some(Err(Error::internal("a store command panicked")));
    }

    fn answer(self: Box<Self>, committed: Result<()>) {
        let Self { outcome, reply, .. } = *self;
        let outcome = committed.and_then(|()| outcome.unwrap_or_else(|| Err(busy())));
        // The caller may have gone away; its command is stored all the same.
        drop(reply.send(outcome));
    }
}
