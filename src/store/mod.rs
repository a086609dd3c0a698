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
mod connection_manager;
pub mod drafts;
pub mod driver;
pub mod estimates;
pub mod evals;
pub mod health;
pub mod idempotent_answers;
pub mod ledger;
pub mod migrate;
pub mod model_keys;
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

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

pub use driver::{Row, Tx, Value};
use sqlite::{Job, Readers, Writer};
pub use topics::{Generation, Topic, TopicSet, Topics};

use crate::error::{Error, Result};

/// Commands that may wait for the writer; beyond it callers wait, and after [`PATIENCE`] get a 503.
const QUEUE: usize = 4_096;
/// How long a command waits for a place in the queue.
const PATIENCE: Duration = Duration::from_secs(10);

/// The database: cheap to clone, shared by everybody.
#[derive(Clone)]
pub struct Store {
    readers: Readers,
    topics: Arc<Topics>,
    writer: mpsc::Sender<Box<dyn Job>>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Store {
    /// Opens (and if need be makes and migrates) the database file at `path`.
    ///
    /// # Errors
    /// `Internal` when the file cannot be opened or a migration fails; `Full` on a full disk.
    pub fn open(path: &Path) -> Result<Self> {
        let connection = sqlite::open_writer(path)?;
        let readers = sqlite::open_readers(path)?;
        let topics = Arc::new(Topics::default());
        let writer = Writer::new(connection, path, Arc::clone(&topics));
        let (sender, jobs) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.serve(jobs))
            .map_err(Error::internal)?;
        Ok(Self { readers, topics, writer: sender, thread: Arc::new(Mutex::new(Some(thread))) })
    }

    /// Runs `query` in one read transaction.
    ///
    /// # Errors
    /// `Unavailable` when no reader is free for 5 s; else what `query` answers.
    pub async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let readers = self.readers.clone();
        tokio::task::spawn_blocking(move || sqlite::read(&readers, query)).await.map_err(Error::internal)?
    }

    /// Runs `command` on the writer and answers after its commit: an `Ok` is on disk. It may run twice
    /// (when a batch has to be repeated), so it must not take anything out of itself.
    ///
    /// # Errors
    /// What `command` answers (then nothing of it is stored); `Full` or `Unavailable` when the commit failed.
    pub async fn write<T: Send + 'static>(
        &self,
        command: impl FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Write { command, outcome: None, reply });
        self.writer.send_timeout(job, PATIENCE).await.map_err(|_| busy())?;
        answer.await.map_err(|_| busy())?
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
    if path.is_file() {
        Ok(())
    } else {
        Err(Error::bad_request(format!("no database at {}", path.display())))
    }
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
