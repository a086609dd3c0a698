//! Waits: which models of open runs are held back by their own endpoint, and for how long.
//!
//! A model makes progress when a case of it is recorded, whatever came of it. The time without progress counts while
//! nothing but the model's endpoint (or that of its grader or webhook) holds it back: a breaker is open, a call is
//! under way, or everything of it waits for its next try. It does not count while other items come first, and not while
//! no server runs. It is stored, so that a restart does not begin it anew.

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::provider::LONGEST_WAIT;
use super::worker::{millis, moment};
use super::{Machine, give_up};
use crate::domain::id::{ModelKey, RunKey};
use crate::domain::time::Millis;
use crate::error::Result;
use crate::store::run_waits::{self, OpenModel, RunModel, Stored, Wait};

/// How often the time without progress is stored at least while nothing else changes.
const MAX_STORE_INTERVAL_MS: i64 = 10_000;
/// How often it is stored while a run waits for a model, where that is more often.
const STORED_TIMES: i64 = 20;
/// A shift of the moment of giving up that is too small to be stored.
const JITTER_MS: i64 = 3_000;
/// The reason of a wait whose last failure is not known.
const UNKNOWN: &str = "its last call failed";

/// The scorer of a run's model takes no calls.
pub(super) struct Hindrance {
    until: Millis,
    reason: String,
}

impl Machine {
    /// Notes that cases of a model in a run wait for their scorer.
    pub(super) fn hold_back(&self, key: RunModel, until: Millis, reason: String) {
        self.hindrances().insert(key, Hindrance { until, reason });
    }

    fn hindrances(&self) -> MutexGuard<'_, HashMap<RunModel, Hindrance>> {
        // The map stays whole whatever panicked while holding it: each change to it is one call.
        self.hindrances.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the leased items of each model of a run: all of them, and those whose calls are under way.
    fn flights_by_model(&self) -> HashMap<RunModel, Flights> {
        let mut counts: HashMap<RunModel, Flights> = HashMap::new();
        for flight in self.flights().values() {
            let count = counts.entry((flight.run, flight.model)).or_default();
            count.leased += 1;
            count.calling += u32::from(flight.is_calling);
        }
        counts
    }
}

/// Leased items of a model.
#[derive(Default, Clone, Copy)]
struct Flights {
    leased: u32,
    calling: u32,
}

/// What holds a model back at one moment.
enum Hold {
    /// It waits until its next try.
    Waiting { until: Millis, reason: String },
    /// A call is under way.
    Calling,
    /// Nothing of its own: it progresses, or others come first.
    Nothing,
}

/// Watches the models of open runs until the machine stops.
pub(super) async fn watch(machine: Arc<Machine>) {
    let mut watcher = Watcher { held: HashMap::new(), last: Instant::now() };
    while !machine.is_stopping() {
        tokio::select! {
            () = tokio::time::sleep(machine.pace.watch_interval) => {}
            () = machine.stopped() => return,
        }
        // A disk that takes no writes is nobody's wait.
        machine.can_store_or_stopped().await;
        if let Err(cause) = watcher.look(&machine).await {
            tracing::error!(error = ?cause, "waits could not be updated");
        }
    }
}

struct Watcher {
    /// Time without progress by model, in milliseconds, as counted here; and what of it is stored.
    held: HashMap<RunModel, Held>,
    last: Instant,
}

#[derive(Clone, Copy)]
struct Held {
    recorded: i64,
    held_ms: i64,
    is_stored: bool,
}

impl Watcher {
    async fn look(&mut self, machine: &Arc<Machine>) -> Result<()> {
        // A machine that stood still, as on a laptop that slept, has not waited for anybody.
        let elapsed =
            millis(self.last.elapsed().min(machine.pace.watch_interval * 3 + Duration::from_secs(1)));
        self.last = Instant::now();
        let (models, stored) =
            machine.tools.store.read(|tx| Ok((run_waits::open_models(tx)?, run_waits::all(tx)?))).await?;
        let mut stored: HashMap<RunModel, Stored> = stored.into_iter().map(|row| (row.key, row)).collect();
        self.held.retain(|key, _| models.iter().any(|model| model.key == *key));
        // One that ends too late was noted before the clock went back.
        let (now, latest) = (Millis::now(), Millis::now().plus(millis(LONGEST_WAIT)));
        machine.hindrances().retain(|_, hindrance| hindrance.until > now && hindrance.until <= latest);
        let flights = machine.flights_by_model();
        for model in &models {
            let row = stored.remove(&model.key);
            if row.as_ref().is_some_and(|row| row.gave_up.is_some()) {
                give_up::finish(machine, model).await?;
                continue;
            }
            let of_model = flights.get(&model.key).copied().unwrap_or_default();
            self.update(machine, model, row, of_model, elapsed).await?;
        }
        // Their runs are over, or they have no open case any more.
        for key in stored.into_keys() {
            machine.tools.store.write(move |tx| run_waits::remove(tx, key)).await?;
        }
        Ok(())
    }

    async fn update(
        &mut self,
        machine: &Arc<Machine>,
        model: &OpenModel,
        row: Option<Stored>,
        flights: Flights,
        elapsed: i64,
    ) -> Result<()> {
        let mut held = self.current(model, row.as_ref());
        if held.recorded != model.recorded {
            self.held.insert(model.key, Held { recorded: model.recorded, held_ms: 0, is_stored: false });
            return match row {
                Some(row) => machine.tools.store.write(move |tx| run_waits::remove(tx, row.key)).await,
                None => Ok(()),
            };
        }
        let hold = hold(machine, model, flights).await?;
        if !matches!(hold, Hold::Nothing) {
            held.held_ms = held.held_ms.saturating_add(elapsed);
        }
        let limit = limit(machine, model);
        if held.held_ms >= limit {
            return give_up::begin(machine, model, host(model), held.held_ms, hold_reason(hold)).await;
        }
        let next = self.next_row(model, held, hold, limit);
        let interval = (limit / STORED_TIMES).min(MAX_STORE_INTERVAL_MS);
        let is_due = is_worth_storing(row.as_ref(), &next, interval);
        held.is_stored = held.is_stored || row.is_some() || is_due;
        self.held.insert(model.key, held);
        if is_due { machine.tools.store.write(move |tx| run_waits::put(tx, &next)).await } else { Ok(()) }
    }

    /// Returns what is counted of a model. What a retry removed begins anew.
    fn current(&self, model: &OpenModel, row: Option<&Stored>) -> Held {
        let fresh = Held { recorded: model.recorded, held_ms: 0, is_stored: false };
        match (self.held.get(&model.key), row) {
            (Some(held), None) if held.is_stored => fresh,
            (Some(held), _) => *held,
            (None, Some(row)) => Held { recorded: row.recorded, held_ms: row.held_ms, is_stored: true },
            (None, None) => fresh,
        }
    }

    fn next_row(&self, model: &OpenModel, held: Held, hold: Hold, limit: i64) -> Stored {
        let wait = match hold {
            Hold::Waiting { until, reason } => Some(Wait {
                reason,
                next_try_at: until,
                gives_up_at: Millis::now().plus(limit - held.held_ms),
            }),
            Hold::Calling | Hold::Nothing => None,
        };
        Stored {
            key: model.key,
            recorded: model.recorded,
            held_ms: held.held_ms,
            open: model.open,
            host: host(model).to_owned(),
            wait,
            gave_up: None,
        }
    }
}

/// Returns the host that a model is called at, from the name of its queue.
fn host(model: &OpenModel) -> &str {
    model.endpoint.split('#').next().unwrap_or_default()
}

/// Returns for how long the run waits for a model, in milliseconds: never shorter than one answer may take, where the
/// model says so.
fn limit(machine: &Machine, model: &OpenModel) -> i64 {
    let usual = millis(machine.tools.give_up_after);
    model.give_up_after_ms.unwrap_or(usual).max(model.timeout_ms.unwrap_or(0))
}

fn hold_reason(hold: Hold) -> Option<String> {
    match hold {
        Hold::Waiting { reason, .. } => Some(reason),
        Hold::Calling | Hold::Nothing => None,
    }
}

/// Returns what holds a model back now.
async fn hold(machine: &Machine, model: &OpenModel, flights: Flights) -> Result<Hold> {
    if let Some(open) = machine.gates.get(&model.endpoint).and_then(|gate| gate.status().open) {
        return Ok(Hold::Waiting { until: moment(open.until), reason: open.reason });
    }
    if let Some(Hindrance { until, reason }) = machine.hindrances().get(&model.key) {
        return Ok(Hold::Waiting { until: *until, reason: reason.clone() });
    }
    if flights.leased > 0 {
        return Ok(if flights.calling > 0 { Hold::Calling } else { Hold::Nothing });
    }
    let (run, key): (RunKey, ModelKey) = model.key;
    let waiting =
        machine.tools.store.read(move |tx| run_waits::all_wait(tx, run, key, Millis::now())).await?;
    Ok(match waiting {
        Some((until, reason)) => {
            Hold::Waiting { until, reason: reason.unwrap_or_else(|| UNKNOWN.to_owned()) }
        }
        None => Hold::Nothing,
    })
}

/// Returns whether a row differs from the stored one in what people see, or by enough time.
fn is_worth_storing(stored: Option<&Stored>, next: &Stored, interval: i64) -> bool {
    let Some(stored) = stored else { return next.wait.is_some() || next.held_ms >= interval };
    let is_same_wait = match (&stored.wait, &next.wait) {
        (None, None) => true,
        (Some(old), Some(new)) => {
            let shift = (old.gives_up_at.0 - new.gives_up_at.0).abs();
            old.reason == new.reason
                && (old.next_try_at.0 - new.next_try_at.0).abs() < JITTER_MS
                && shift < JITTER_MS
        }
        _ => false,
    };
    !is_same_wait || stored.open != next.open || next.held_ms - stored.held_ms >= interval
}
