//! The place of a leased item in its queue: whether it is to be asked, has its answer, or waits for a budget.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Machine;
use super::endpoint_gate::{Demand, ModelGate};
use crate::domain::id::{RunKey, WorkItemKey};
use crate::store::work_items::Held;

/// Answers of one queue that wait to be judged and recorded, beside what is to be asked.
const MAX_ASIDE: u32 = 200;

/// How many items of a queue are leased.
#[derive(Default)]
pub(super) struct Load {
    /// They are to be asked, or are being asked.
    pub(super) asked: AtomicU32,
    /// They have their answer, and wait to be judged and recorded.
    aside: AtomicU32,
    /// They wait for a budget or cap, by run.
    waiting: Mutex<HashMap<RunKey, u32>>,
    /// Items that were to be asked and are not any more, counted round and round.
    pub(super) gone: AtomicU32,
    /// More are leased once no more than so many are to be asked.
    pub(super) refill_at: AtomicU32,
}

impl Load {
    pub(super) fn leased(&self) -> u32 {
        let waiting: u32 = self.waiting().values().sum();
        self.asked.load(Ordering::Acquire) + self.aside.load(Ordering::Acquire) + waiting
    }

    /// Returns the runs of which leased items wait for a budget or cap: there is no use in leasing more.
    pub(super) fn waiting_runs(&self) -> HashSet<RunKey> {
        self.waiting().keys().copied().collect()
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<RunKey, u32>> {
        // Each change to the map leaves it whole whatever panicked.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin_wait(&self, run: RunKey) {
        *self.waiting().entry(run).or_default() += 1;
    }

    /// Counts one less; returns whether it was the last of its run.
    fn end_wait(&self, run: RunKey) -> bool {
        let mut waiting = self.waiting();
        let Some(count) = waiting.get_mut(&run) else { return false };
        *count = count.saturating_sub(1);
        let is_last = *count == 0;
        if is_last {
            waiting.remove(&run);
        }
        is_last
    }
}

/// A leased item's place in its queue and among the flights.
pub(super) struct Place {
    machine: Arc<Machine>,
    key: WorkItemKey,
    run: RunKey,
    load: Arc<Load>,
    pub(super) gate: ModelGate,
    stand: Stand,
}

/// Where an item stands.
enum Stand {
    /// In line for the model.
    Asked(Demand),
    /// Beside the queue, with its answer.
    Aside,
    /// Beside the queue, for want of a budget.
    Waiting,
}

impl Place {
    pub(super) fn take(machine: &Arc<Machine>, item: Held, load: &Arc<Load>, gate: &ModelGate) -> Self {
        load.asked.fetch_add(1, Ordering::AcqRel);
        let (machine, load, gate) = (Arc::clone(machine), Arc::clone(load), gate.clone());
        let stand = Stand::Asked(gate.announce());
        Self { machine, key: item.key, run: item.run, load, gate, stand }
    }

    /// Notes that the item's call is under way.
    pub(super) fn begin_call(&self) {
        if let Some(flight) = self.machine.flights().get_mut(&self.key) {
            flight.is_calling = true;
        }
    }

    /// Makes room in the queue for another item, now that this one has its answer; not when too many of them wait for
    /// a grader or for the store already.
    pub(super) fn step_aside(&mut self) {
        if !matches!(self.stand, Stand::Asked(_)) {
            return;
        }
        let waiting = self.load.aside.fetch_add(1, Ordering::AcqRel);
        if waiting >= MAX_ASIDE {
            self.load.aside.fetch_sub(1, Ordering::AcqRel);
            return;
        }
        self.stand = Stand::Aside;
        self.leave_the_queue();
    }

    /// Makes room in the queue for items of other runs while this one waits for a budget; no more of its own run are
    /// leased meanwhile.
    pub(super) fn begin_wait(&mut self) {
        if !matches!(self.stand, Stand::Asked(_)) {
            return;
        }
        self.load.begin_wait(self.run);
        self.stand = Stand::Waiting;
        self.leave_the_queue();
    }

    /// Takes the item back into its queue, if it waited.
    pub(super) fn end_wait(&mut self) {
        if matches!(self.stand, Stand::Waiting) {
            self.load.asked.fetch_add(1, Ordering::AcqRel);
            self.stand = Stand::Asked(self.gate.announce());
            self.stop_waiting();
        }
    }

    fn stop_waiting(&self) {
        if self.load.end_wait(self.run) {
            self.machine.stir();
        }
    }

    fn leave_the_queue(&self) {
        let left = self.load.asked.fetch_sub(1, Ordering::AcqRel).saturating_sub(1);
        self.load.gone.fetch_add(1, Ordering::AcqRel);
        if left <= self.load.refill_at.load(Ordering::Acquire).max(self.gate.limit()) {
            self.machine.ready.notify_one();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.machine.flights().remove(&self.key);
        match std::mem::replace(&mut self.stand, Stand::Aside) {
            Stand::Asked(demand) => {
                drop(demand);
                self.leave_the_queue();
            }
            Stand::Aside => {
                self.load.aside.fetch_sub(1, Ordering::AcqRel);
            }
            Stand::Waiting => self.stop_waiting(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_waits_until_its_last_item_goes_on() {
        let load = Load::default();
        load.begin_wait(RunKey(1));
        load.begin_wait(RunKey(1));
        assert!(load.waiting_runs().contains(&RunKey(1)) && load.leased() == 2);
        assert!(!load.end_wait(RunKey(1)));
        assert!(load.end_wait(RunKey(1)));
        assert!(load.waiting_runs().is_empty() && !load.end_wait(RunKey(1)));
    }
}
