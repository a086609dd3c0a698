//! Who may call an endpoint now: cases of every run, and graders, each through the same gate.
//!
//! A gate has as many slots as the endpoint is known to take, and is shut while it takes none. It does not
//! decide who is next.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::door::{self, Door, Entry, Shut};
use super::limit::{Bounds, Limit};
use super::provider::{Failure, Retry};

/// How gates behave in time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rhythm {
    /// At most one cut of a limit in so long a time.
    pub(super) cut_every: Duration,
    /// How long the gate is kept shut.
    pub(super) door: door::Pace,
}

/// The gates of all endpoints that were called so far. What they have learnt outlives the runs.
pub(super) struct Slots {
    gates: Mutex<HashMap<String, Arc<Gate>>>,
    rhythm: Rhythm,
}

impl Slots {
    pub(super) fn new(rhythm: Rhythm) -> Self {
        Self { gates: Mutex::default(), rhythm }
    }

    /// The gate of `endpoint`, which from now on has those bounds.
    pub(super) fn bound(&self, endpoint: &str, bounds: Bounds) -> Arc<Gate> {
        let gate = self.shared(endpoint, bounds);
        let has_moved = {
            let mut state = gate.lock();
            let before = state.limit.present();
            state.limit.rebind(bounds);
            state.limit.present() != before
        };
        if has_moved {
            gate.moved.notify_waiters();
        }
        gate
    }

    /// The gate of `endpoint` as it is; with those bounds if nobody called there yet.
    pub(super) fn shared(&self, endpoint: &str, bounds: Bounds) -> Arc<Gate> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let gate =
            gates.entry(endpoint.to_owned()).or_insert_with(|| Arc::new(Gate::new(bounds, self.rhythm)));
        Arc::clone(gate)
    }

    /// The gate of `endpoint`, if anybody called there.
    pub(super) fn known(&self, endpoint: &str) -> Option<Arc<Gate>> {
        self.gates.lock().unwrap_or_else(PoisonError::into_inner).get(endpoint).cloned()
    }
}

/// What stands between callers and one endpoint.
pub(super) struct Gate {
    state: Mutex<State>,
    /// A slot was freed, the limit moved, or the door did.
    moved: Notify,
}

struct State {
    limit: Limit,
    door: Door,
    in_flight: u32,
}

impl State {
    /// What waiting callers depend on.
    fn shape(&self, now: Instant) -> (u32, bool) {
        (self.limit.present(), self.door.shut(now).is_some())
    }

    fn answered(&mut self, now: Instant) {
        self.limit.answered(self.in_flight, now);
        self.door.answered();
    }

    fn failed(&mut self, failure: &Failure, now: Instant) {
        match failure.retry {
            Retry::Later { after, counts: false } => {
                self.limit.refused(now);
                self.door.refused(now, after.map(|after| now + after), &failure.message);
            }
            Retry::Later { counts: true, .. } => {
                self.limit.failed();
                self.door.failed(now, &failure.message);
            }
            // It answered that this call makes no sense: it is there.
            Retry::Never if failure.status.is_some() => self.door.answered(),
            Retry::Never => self.door.gave_up_trying(),
        }
    }
}

/// How a gate stands, for those who decide and those who watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    /// Calls that may be under way at once.
    pub(super) limit: u32,
    /// Whether one call may try a door that is shut.
    pub(super) may_try: bool,
    /// Why nobody comes in, if so.
    pub(super) shut: Option<Shut>,
}

impl Gate {
    fn new(bounds: Bounds, rhythm: Rhythm) -> Self {
        let state =
            State { limit: Limit::new(bounds, rhythm.cut_every), door: Door::new(rhythm.door), in_flight: 0 };
        Self { state: Mutex::new(state), moved: Notify::new() }
    }

    /// Waits for a slot.
    ///
    /// # Errors
    /// When the gate is shut, or shuts meanwhile: until when.
    pub(super) async fn enter(self: &Arc<Self>) -> Result<Slot, Shut> {
        loop {
            let mut moved = std::pin::pin!(self.moved.notified());
            // Listens from here on: whatever moves after the look is not missed.
            moved.as_mut().enable();
            if let Some(entered) = self.try_enter()? {
                return Ok(entered);
            }
            moved.await;
        }
    }

    fn try_enter(self: &Arc<Self>) -> Result<Option<Slot>, Shut> {
        let (mut state, now) = (self.lock(), Instant::now());
        if state.in_flight >= state.limit.present() && state.door.shut(now).is_none() {
            return Ok(None);
        }
        let is_trial = match state.door.enter(now) {
            Entry::Open => false,
            Entry::Trial => true,
            Entry::Shut(shut) => return Err(shut),
        };
        state.in_flight += 1;
        Ok(Some(Slot { gate: Arc::clone(self), is_trial, is_told: false }))
    }

    /// How it stands now.
    pub(super) fn standing(&self) -> Standing {
        let (state, now) = (self.lock(), Instant::now());
        Standing {
            limit: state.limit.present(),
            may_try: state.door.may_try(now),
            shut: state.door.shut(now).cloned(),
        }
    }

    /// Until when nobody more may come in, and why; none when somebody may, if only to try.
    pub(super) fn wait(&self) -> Option<Shut> {
        self.lock().door.wait(Instant::now())
    }

    /// Calls that may be under way at once.
    pub(super) fn limit(&self) -> u32 {
        self.lock().limit.present()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here can panic half-way; a poisoned lock guards a whole state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that may be made. Dropping it frees its place.
pub(super) struct Slot {
    gate: Arc<Gate>,
    is_trial: bool,
    is_told: bool,
}

impl Slot {
    /// Learns from what came of the call.
    pub(super) fn tell<T>(mut self, answer: &Result<T, Failure>) {
        self.is_told = true;
        let mut state = self.gate.lock();
        let now = Instant::now();
        let before = state.shape(now);
        match answer {
            Ok(_) => state.answered(now),
            Err(failure) => state.failed(failure, now),
        }
        let has_moved = state.shape(now) != before;
        drop(state);
        // Only then: to wake everybody for every answer would cost more than the answer.
        if has_moved {
            self.gate.moved.notify_waiters();
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.gate.lock();
        state.in_flight = state.in_flight.saturating_sub(1);
        if self.is_trial && !self.is_told {
            state.door.gave_up_trying();
        }
        drop(state);
        self.gate.moved.notify_one();
    }
}
