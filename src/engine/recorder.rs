//! Recording in company: cases that finish within a few milliseconds share one command, one commit, and one
//! update of their result and run. What is recorded is not decided here.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

use super::Machine;
use super::record::{self, Finished, Recorded};
use crate::domain::time::Millis;
use crate::error::{Error, Result};
use crate::store::Tx;

/// How long the first case waits for company.
const BEAT: Duration = Duration::from_millis(8);

/// Cases that are company enough: they wait no longer. A commit costs what a few dozen of them do.
const ENOUGH: usize = 100;

/// How long cases wait at least that could not be stored.
const FULL_INTERVAL: Duration = Duration::from_millis(500);

/// Finished cases that wait for the next beat.
#[derive(Default)]
pub(super) struct Recorder {
    waiting: Mutex<Vec<Waiting>>,
    /// There are enough of them.
    enough: Notify,
}

/// A case, and the worker that wants to know that it is stored.
struct Waiting {
    finished: Finished,
    stored: oneshot::Sender<Result<()>>,
}

impl Recorder {
    fn lock(&self) -> MutexGuard<'_, Vec<Waiting>> {
        // The list stays whole whatever panicked while holding it: each change to it is one call.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a case; answers whether it is the first.
    fn add(&self, waiting: Waiting) -> bool {
        let mut list = self.lock();
        list.push(waiting);
        if list.len() == ENOUGH {
            self.enough.notify_waiters();
        }
        list.len() == 1
    }

    fn take(&self) -> Vec<Waiting> {
        std::mem::take(&mut *self.lock())
    }
}

impl Machine {
    /// Records a case; it is on disk, or refused as late, once this answers.
    ///
    /// # Errors
    /// The database's: then it is not stored.
    pub(super) async fn record(self: &Arc<Self>, finished: Finished) -> Result<()> {
        let (stored, answer) = oneshot::channel();
        if self.recorder.add(Waiting { finished, stored }) {
            // On its own: the case that came first may be called off, and the others not.
            tokio::spawn(next_beat(Arc::clone(self)));
        }
        answer.await.map_err(|_| Error::internal("a case was dropped on its way to the store"))?
    }

    /// Records cases in one command.
    async fn record_all(&self, finished: Arc<[Finished]>) -> Result<()> {
        let default_cap = self.tools.default_cap;
        let recording = move |tx: &mut Tx<'_>| record::cases(tx, &finished, default_cap, Millis::now());
        let Recorded { late, exhausted, .. } = self.tools.store.write(recording).await?;
        for run in exhausted {
            self.abandon(run);
        }
        if late > 0 {
            tracing::info!(
                late,
                "late cases were refused: their items had another lease, or their run is over"
            );
            self.litter.notify_one();
        }
        Ok(())
    }
}

/// Records what has gathered a beat from now, or as soon as it is enough.
async fn next_beat(machine: Arc<Machine>) {
    tokio::select! {
        () = tokio::time::sleep(BEAT) => {}
        () = machine.recorder.enough.notified() => {}
    }
    record_waiting(&machine).await;
}

/// Records what has gathered.
pub(super) async fn record_waiting(machine: &Arc<Machine>) {
    let (finished, workers): (Vec<_>, Vec<_>) =
        machine.recorder.take().into_iter().map(|waiting| (waiting.finished, waiting.stored)).unzip();
    if workers.is_empty() {
        return;
    }
    let finished: Arc<[Finished]> = finished.into();
    let together = record_once_possible(machine, &finished).await;
    if let Err(cause) = &together {
        tracing::warn!(error = ?cause, "cases are recorded one by one");
    }
    for (one, worker) in finished.iter().zip(workers) {
        if together.is_ok() {
            answer(worker, Ok(()));
            continue;
        }
        // One case that cannot be stored must not take the others with it.
        let (machine, one) = (Arc::clone(machine), one.clone());
        tokio::spawn(async move { answer(worker, machine.record_all([one].into()).await) });
    }
}

/// Records cases, as often as nothing can be stored: their calls are paid.
async fn record_once_possible(machine: &Arc<Machine>, finished: &Arc<[Finished]>) -> Result<()> {
    loop {
        match machine.record_all(Arc::clone(finished)).await {
            Err(cause) if cause.is_read_only() && !machine.is_stopping() => {
                tracing::warn!(count = finished.len(), "finished cases wait until they can be stored");
                tokio::time::sleep(FULL_INTERVAL).await;
                machine.can_store_or_stopped().await;
            }
            other => return other,
        }
    }
}

fn answer(worker: oneshot::Sender<Result<()>>, outcome: Result<()>) {
    if worker.send(outcome).is_err() {
        tracing::debug!("a worker was called off while its case was recorded");
    }
}
