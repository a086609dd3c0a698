//! The gate in front of each endpoint: calls for cases of every run, for graders and for webhooks pass it.
//!
//! An endpoint is a host with a key. The number of calls at once is shared by all its models; waits, refusals and
//! failures are counted for each model on its own, so that one of them never holds up another. Only when no
//! connection can be made for several models is the endpoint itself taken to be down. Free places are handed out
//! in fair shares.

mod shares;
mod state;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::circuit_breaker::Open;
use super::concurrency_limit::Bounds;
use super::provider::Failure;
use state::{Entry, State, Trial};

/// Separates the parts of a queue's name: host, fingerprint of the key, fingerprint of the model.
const SEPARATOR: char = '#';

/// The durations that gates keep.
#[derive(Debug, Clone, Copy)]
pub(super) struct GateTiming {
    /// At most one cut of a concurrency limit in so long a time.
    pub(super) cut_interval: Duration,
    /// Time from a failure until an open breaker lets a call try.
    pub(super) cooldown: Duration,
}

/// The gates of all endpoints that were called so far. Their state outlives the runs.
pub(super) struct EndpointGates {
    gates: Mutex<HashMap<String, Arc<EndpointGate>>>,
    timing: GateTiming,
}

impl EndpointGates {
    pub(super) fn new(timing: GateTiming) -> Self {
        Self { gates: Mutex::default(), timing }
    }

    /// Returns the gate of `queue`, with those bounds if it is new.
    pub(super) fn get_or_insert(&self, queue: &str, bounds: Bounds) -> ModelGate {
        let endpoint = {
            let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
            let gate = gates
                .entry(endpoint_of(queue).to_owned())
                .or_insert_with(|| Arc::new(EndpointGate::new(bounds, self.timing)));
            Arc::clone(gate)
        };
        let model = endpoint.lock().model(queue, bounds);
        ModelGate { endpoint, model }
    }

    /// Returns the gate of `queue`, if it was called.
    pub(super) fn get(&self, queue: &str) -> Option<ModelGate> {
        let gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let endpoint = Arc::clone(gates.get(endpoint_of(queue))?);
        let model = endpoint.lock().find(queue)?;
        Some(ModelGate { endpoint, model })
    }

    /// Sets the bounds of an endpoint, the part of `queue` that its models share.
    pub(super) fn rebind(&self, queue: &str, bounds: Bounds) {
        let gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = gates.get(endpoint_of(queue)) {
            let mut state = gate.lock();
            state.rebind(bounds);
            state.pump(Instant::now());
        }
    }
}

/// Returns the part of a queue's name that models of one host and key share.
pub(super) fn endpoint_of(queue: &str) -> &str {
    let mut separators = queue.match_indices(SEPARATOR).map(|(at, _)| at);
    separators.nth(1).and_then(|at| queue.get(..at)).unwrap_or(queue)
}

/// The gate of one endpoint.
struct EndpointGate(Mutex<State>);

impl EndpointGate {
    fn new(bounds: Bounds, timing: GateTiming) -> Self {
        Self(Mutex::new(State::new(bounds, timing)))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here can panic half-way; a poisoned lock guards a whole state.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The gate of one model at its endpoint: cheap to clone.
#[derive(Clone)]
pub(super) struct ModelGate {
    endpoint: Arc<EndpointGate>,
    model: usize,
}

/// A snapshot of a gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GateStatus {
    /// Calls of the model that may be under way at once, 1 or more.
    pub(super) limit: u32,
    /// Whether one call may try a breaker that is open.
    pub(super) may_try: bool,
    /// The breaker that is open: the endpoint's or the model's.
    pub(super) open: Option<Open>,
}

impl ModelGate {
    /// Waits for a place among the calls under way.
    ///
    /// # Errors
    /// A breaker is open, or opens meanwhile.
    pub(super) async fn enter(&self) -> Result<Permit, Open> {
        let mut waiter = {
            let (mut state, now) = (self.endpoint.lock(), Instant::now());
            let entry = state.enter(self.model, now);
            if matches!(entry, Entry::Admitted(Trial { endpoint: true, .. })) {
                // Those that waited for their turn to try need not wait for this trial's end.
                state.pump(now);
            }
            match entry {
                Entry::Admitted(trial) => return Ok(self.permit(trial)),
                Entry::Refused(open) => return Err(open),
                Entry::Full => {
                    let (sender, receiver) = oneshot::channel();
                    state.wait_in_line(self.model, sender);
                    Waiter { gate: self, receiver: Some(receiver) }
                }
            }
        };
        waiter.admitted().await.map(|trial| self.permit(trial))
    }

    fn permit(&self, trial: Trial) -> Permit {
        Permit { gate: self.clone(), trial, is_reported: false }
    }

    /// Counts a caller that will want a place, until the guard is dropped.
    pub(super) fn announce(&self) -> Demand {
        self.endpoint.lock().add_demand(self.model);
        Demand(self.clone())
    }

    /// Sets the bounds of the model's own limit.
    pub(super) fn rebind(&self, bounds: Bounds) {
        let mut state = self.endpoint.lock();
        state.rebind_model(self.model, bounds);
        state.pump(Instant::now());
    }

    /// Returns a snapshot.
    pub(super) fn status(&self) -> GateStatus {
        self.endpoint.lock().status(self.model, Instant::now())
    }

    /// Returns until when no call of the model may be made, and why; none when one may, if only to try.
    pub(super) fn wait(&self) -> Option<Open> {
        self.endpoint.lock().wait(self.model, Instant::now())
    }

    /// Returns how many calls of the model may be under way at once.
    pub(super) fn limit(&self) -> u32 {
        self.endpoint.lock().target(self.model)
    }

    /// Lets the next call of the model try at once: no item waits for it any more.
    pub(super) fn expire_wait(&self) {
        self.endpoint.lock().expire_wait(self.model, Instant::now());
    }

    fn leave(&self, trial: Trial, is_reported: bool) {
        let (mut state, now) = (self.endpoint.lock(), Instant::now());
        state.leave(self.model, trial, is_reported);
        state.pump(now);
    }
}

/// A caller in line. Dropping it gives back a place that it was handed and did not take.
struct Waiter<'g> {
    gate: &'g ModelGate,
    receiver: Option<oneshot::Receiver<Result<Trial, Open>>>,
}

impl Waiter<'_> {
    async fn admitted(&mut self) -> Result<Trial, Open> {
        let Some(receiver) = &mut self.receiver else { return std::future::pending().await };
        let handed = receiver.await;
        self.receiver = None;
        match handed {
            Ok(handed) => handed,
            // A sender is only dropped with its gate, which this borrows.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let Some(receiver) = &mut self.receiver else { return };
        receiver.close();
        if let Ok(Ok(trial)) = receiver.try_recv() {
            self.gate.leave(trial, false);
        }
    }
}

/// A caller that wants a place now or soon. Fair shares are reckoned from these.
pub(super) struct Demand(ModelGate);

impl Drop for Demand {
    fn drop(&mut self) {
        let (mut state, now) = (self.0.endpoint.lock(), Instant::now());
        state.remove_demand(self.0.model);
        state.pump(now);
    }
}

/// A call that may be made. Dropping it frees its place.
pub(super) struct Permit {
    gate: ModelGate,
    trial: Trial,
    is_reported: bool,
}

impl Permit {
    /// Adjusts limits and breakers to the outcome of the call, and frees the place.
    pub(super) fn report<T>(mut self, outcome: &Result<T, Failure>) {
        self.is_reported = true;
        let mut state = self.gate.endpoint.lock();
        let now = Instant::now();
        match outcome {
            Ok(_) => state.record_answer(self.gate.model, now),
            Err(failure) => state.record_failure(self.gate.model, self.trial, failure, now),
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.gate.leave(self.trial, self.is_reported);
    }
}
