//! The run machine: plans, leases, calls, scores and records until no run has anything left to do.
//!
//! It knows the store, the providers and the scorers, and nothing of HTTP. Everything that must survive lies
//! in the store; what is in memory here can be thrown away at any moment.

mod cells;
mod charge;
mod checks;
mod circuit_breaker;
mod concurrency_limit;
mod dispatch;
mod endpoint_gate;
mod give_up;
mod grade;
mod judge;
mod lending;
mod place;
mod prefetch;
pub mod provider;
pub mod record;
mod recorder;
mod repeat;
mod rescore;
mod reservations;
mod retention;
pub mod scorer;
mod upkeep;
mod waits;
mod webhook;
mod worker;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::domain::id::{ModelKey, RunKey, WorkItemKey};
use crate::domain::time::Millis;
use crate::egress::{Guard, Webhooks};
use crate::error::Result;
use crate::secrets::MasterKey;
use crate::store::Store;
use crate::store::condition::Condition;
use cells::Cells;
use concurrency_limit::Bounds;
use endpoint_gate::{EndpointGates, GateTiming, ModelGate};
use provider::{Endpoint, Providers};
use recorder::Recorder;
use reservations::Reservations;
use waits::Hindrance;

pub use checks::Checked;

/// How the engine behaves in time; tests make it quick.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Calls in flight at once to an endpoint of which nothing is known yet, unless its model says otherwise.
    pub concurrency: u32,
    /// At most one cut of what an endpoint is thought to take in so long a time.
    pub cut_every: Duration,
    /// How long an endpoint that is down is left alone before a call tries it.
    pub rest: Duration,
    /// How often it is checked which models of open runs wait, and whether a run gives one up.
    pub watch_interval: Duration,
    /// How long a lease holds without being renewed.
    pub lease: Duration,
    /// How often leases are renewed and lost ones looked for.
    pub heartbeat: Duration,
    /// Longest wait before the first repeat of a failed call; it doubles with every try.
    pub first_retry: Duration,
    /// Longest wait before any repeat.
    pub last_retry: Duration,
    /// How long a stopping engine waits for calls in flight.
    pub drain: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            concurrency: 20,
            cut_every: Duration::from_secs(15),
            rest: Duration::from_secs(30),
            watch_interval: Duration::from_secs(2),
            lease: Duration::from_secs(60),
            heartbeat: Duration::from_secs(10),
            first_retry: Duration::from_secs(1),
            last_retry: Duration::from_secs(60),
            drain: Duration::from_secs(25),
        }
    }
}

/// What the engine works with.
pub struct Tools {
    /// The database.
    pub store: Store,
    /// The ways to call a model.
    pub providers: Providers,
    /// What may be called.
    pub guard: Guard,
    /// Which webhooks may be called.
    pub webhooks: Webhooks,
    /// What opens the models' sealed keys and the webhooks' secrets.
    pub master: Arc<MasterKey>,
    /// What members may spend on the operator's keys in US dollars a day, unless they have a cap of their own.
    pub default_cap: Option<f64>,
    /// For how long a run waits for a model without any progress before it gives the model up, unless the run names
    /// a time of its own.
    pub give_up_after: Duration,
    /// For how many days the texts of answers are kept, 1 or more; for ever when it does not say.
    pub keep_answers: Option<u32>,
}

/// The handle of a machine that may be running: cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Machine>);

/// What the machine's parts share.
struct Machine {
    tools: Tools,
    pace: Pace,
    /// Unique to this process, so that its leases can be told from those of others.
    owner: String,
    cells: Cells,
    gates: EndpointGates,
    /// Models of runs whose scorers take no calls.
    hindrances: Mutex<HashMap<(RunKey, ModelKey), Hindrance>>,
    /// When each model's address was last checked.
    checked: Mutex<HashMap<ModelKey, tokio::time::Instant>>,
    recorder: Recorder,
    reservations: Reservations,
    in_flight: Mutex<HashMap<WorkItemKey, Flight>>,
    /// Endpoints that answered 400 to a JSON schema.
    schemaless: Mutex<HashSet<String>>,
    /// There may be a run to plan.
    triggered: Notify,
    /// There may be an item to lease.
    ready: Notify,
    /// Counts the times that items became ready by more than the passing of time.
    stirred: AtomicU64,
    /// There may be items or rows that nobody needs any more.
    litter: Notify,
    stopping: tokio::sync::watch::Sender<bool>,
}

/// A leased item and the task that works on it.
struct Flight {
    run: RunKey,
    model: ModelKey,
    /// Whether its call is under way.
    is_calling: bool,
    task: AbortHandle,
}

impl Engine {
    /// A machine that stands still until [`Engine::start`].
    #[must_use]
    pub fn new(tools: Tools, pace: Pace) -> Self {
        Self(Arc::new(Machine {
            cells: Cells::default(),
            tools,
            pace,
            owner: crate::domain::id::fresh(),
            gates: EndpointGates::new(GateTiming { cut_interval: pace.cut_every, cooldown: pace.rest }),
            hindrances: Mutex::default(),
            checked: Mutex::default(),
            in_flight: Mutex::default(),
            recorder: Recorder::default(),
            reservations: Reservations::default(),
            schemaless: Mutex::default(),
            triggered: Notify::new(),
            ready: Notify::new(),
            stirred: AtomicU64::new(0),
            litter: Notify::new(),
            stopping: tokio::sync::watch::Sender::new(false),
        }))
    }

    /// Takes over what an earlier process left and starts working, on the runtime this is called on (which
    /// must be the multi-threaded one: a runtime of an HTTP worker would share its thread with requests).
    ///
    /// # Errors
    /// The database's.
    pub async fn start(&self) -> Result<()> {
        let machine = Arc::clone(&self.0);
        upkeep::take_over(&machine).await?;
        tokio::spawn(dispatch::plan(Arc::clone(&machine)));
        tokio::spawn(dispatch::lease(Arc::clone(&machine)));
        tokio::spawn(upkeep::beat(Arc::clone(&machine)));
        tokio::spawn(upkeep::break_off_when_damaged(Arc::clone(&machine)));
        tokio::spawn(retention::keep(Arc::clone(&machine)));
        tokio::spawn(waits::watch(Arc::clone(&machine)));
        tokio::spawn(upkeep::tidy(machine));
        self.wake();
        Ok(())
    }

    /// The ways to call a model.
    #[must_use]
    pub fn providers(&self) -> &Providers {
        &self.0.tools.providers
    }

    /// Says that there is something to do: a run was triggered.
    pub fn wake(&self) {
        self.0.triggered.notify_one();
        self.0.stir();
    }

    /// Stops what is in flight for a run that was cancelled, and clears away what it leaves.
    pub fn abandon(&self, run: RunKey) {
        self.0.abandon(run);
    }

    /// Lets the next call of each of these queues try at once: nothing of them is wanted any more, and whoever comes next
    /// is not held by what others waited for.
    pub fn expire_waits(&self, queues: &[String]) {
        queues.iter().filter_map(|queue| self.0.gates.get(queue)).for_each(|gate| gate.expire_wait());
    }

    /// Says that items or rows may lie about that nobody needs: a model or an eval was deleted.
    pub fn tidy(&self) {
        self.0.litter.notify_one();
    }

    /// Removes the texts of cases that are older at `now` than they are kept; answers of how many. It happens by itself
    /// every hour.
    ///
    /// # Errors
    /// The database's.
    pub async fn remove_old_answers(&self, now: Millis) -> Result<i64> {
        retention::remove_old(&self.0, now).await
    }

    /// Returns how many calls of a queue (its limiter key) may be under way at once, if this process has called there.
    #[must_use]
    pub fn concurrency(&self, queue: &str) -> Option<u32> {
        Some(self.0.gates.get(queue)?.limit())
    }

    /// How many items are being worked on.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.0.flights().len()
    }

    /// Leases nothing more, waits for what is in flight and gives the rest back.
    pub async fn stop(&self) {
        self.0.stopping.send_replace(true);
        upkeep::drain(&self.0).await;
    }
}

impl Machine {
    /// Stops what is in flight for a run that was stopped, and clears away what it leaves.
    fn abandon(&self, run: RunKey) {
        for flight in self.flights().values().filter(|flight| flight.run == run) {
            flight.task.abort();
        }
        self.litter.notify_one();
    }

    /// Stops what is in flight for a model that its run gave up.
    fn abandon_model(&self, (run, model): (RunKey, ModelKey)) {
        for flight in self.flights().values().filter(|flight| (flight.run, flight.model) == (run, model)) {
            flight.task.abort();
        }
    }

    fn flights(&self) -> MutexGuard<'_, HashMap<WorkItemKey, Flight>> {
        // The map stays whole whatever panicked while holding it: each change to it is one call.
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a JSON schema is worth sending to an endpoint.
    fn takes_schema(&self, endpoint: &Endpoint) -> bool {
        let schemaless = self.schemaless.lock().unwrap_or_else(PoisonError::into_inner);
        !schemaless.contains(&endpoint.limiter_key)
    }

    fn remember_no_schema(&self, endpoint: &Endpoint) {
        let mut schemaless = self.schemaless.lock().unwrap_or_else(PoisonError::into_inner);
        schemaless.insert(endpoint.limiter_key.clone());
    }

    /// The gate to whatever has that limiter key: a grader or a webhook, which may be the first to call there.
    fn gate(&self, limiter_key: &str, max_concurrency: Option<u32>) -> ModelGate {
        self.gates.get_or_insert(limiter_key, Bounds::new(max_concurrency, self.pace.concurrency))
    }

    /// Says that items became ready.
    fn stir(&self) {
        self.stirred.fetch_add(1, Ordering::AcqRel);
        self.ready.notify_one();
    }

    fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Returns whether what a call brings can be stored.
    fn can_store(&self) -> bool {
        self.tools.store.is_writable()
    }

    /// Resolves once writes can be stored, or when the machine is to stop.
    async fn can_store_or_stopped(&self) {
        let mut condition = self.tools.store.watch_condition();
        tokio::select! {
            // The sender lives as long as the store.
            result = condition.wait_for(Condition::is_writable) => drop(result),
            () = self.stopped() => {}
        }
    }

    /// Resolves when the machine is to stop.
    async fn stopped(&self) {
        let mut stopping = self.stopping.subscribe();
        // The sender lives as long as the machine.
        drop(stopping.wait_for(|stop| *stop).await);
    }
}
