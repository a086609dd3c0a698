//! Dispatch: plans runs in chunks, and leases items of every queue that has room.
//!
//! Each model at each endpoint has a queue of its own, so that a slow or limited one never holds up another. What a
//! leased item needs is the worker's concern.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};

use super::concurrency_limit::Bounds;
use super::endpoint_gate::{GateStatus, ModelGate, endpoint_of};
use super::place::{Load, Place};
use super::prefetch::Prefetch;
use super::provider::LONGEST_WAIT;
use super::worker::millis;
use super::{Flight, Machine, Pace, worker};
use crate::domain::id::RunKey;
use crate::domain::time::Millis;
use crate::error::Result;
use crate::store::queue::{self, LeasableQueue};
use crate::store::work_items::{self, Lane, Lease, Leased};
use crate::store::{Tx, plans};

/// Work items that one transaction makes: a few milliseconds, in which nothing is recorded.
const CHUNK: i64 = 1_000;
/// Items of several queues that one transaction leases, where none of the queues alone takes more.
const CHUNK_LEASED: u32 = 500;
/// Items whose waits one transaction cuts.
const CHUNK_CUT: u32 = 2_000;
/// How long to wait at most before looking again: other processes' writes send no signal.
const LONGEST_REST: Duration = Duration::from_secs(5);
/// How long to wait at least for a breaker whose time is about to come.
const SHORTEST_REST: Duration = Duration::from_millis(5);
/// How long to wait after a failure of our own.
const AFTER_ERROR: Duration = Duration::from_millis(500);

/// Makes work items of triggered runs, a chunk a transaction and run by run in turn, until all are planned; then waits
/// for more.
pub(super) async fn plan(machine: Arc<Machine>) {
    let mut last = None;
    while !machine.is_stopping() {
        machine.can_store_or_stopped().await;
        let extend = move |tx: &mut Tx<'_>| plans::extend_after(tx, last, CHUNK, Millis::now());
        match machine.tools.store.write(extend).await {
            Ok(Some(run)) => {
                last = Some(run);
                machine.stir();
            }
            Ok(None) => rest(&machine, &machine.triggered, LONGEST_REST).await,
            Err(cause) => {
                tracing::error!(error = ?cause, "planning failed");
                rest(&machine, &machine.triggered, AFTER_ERROR).await;
            }
        }
    }
}

/// Leases items and starts a task for each, until the machine stops.
pub(super) async fn lease(machine: Arc<Machine>) {
    let mut queues = Queues::default();
    while !machine.is_stopping() {
        // Calls whose results cannot be stored cost money for nothing.
        machine.can_store_or_stopped().await;
        let pause = queues.round(&machine).await.unwrap_or_else(|cause| {
            tracing::error!(error = ?cause, "leasing failed");
            AFTER_ERROR
        });
        rest(&machine, &machine.ready, pause).await;
    }
}

async fn rest(machine: &Machine, call: &Notify, pause: Duration) {
    tokio::select! {
        () = call.notified() => {}
        () = tokio::time::sleep(pause) => {}
        () = machine.stopped() => {}
    }
}

/// The queues of all models that open runs have cells for.
#[derive(Default)]
struct Queues {
    queues: HashMap<String, ModelQueue>,
    /// The machine's count of stirs when the queues were last read, and when that was.
    read: Option<(u64, Instant)>,
}

/// A claim on one queue.
#[derive(Clone)]
struct Claim {
    queue: String,
    limit: u32,
    /// Runs that are passed over.
    except: HashSet<RunKey>,
}

/// The outcome of a claim.
struct Claimed {
    claim: Claim,
    items: Vec<Leased>,
    /// When the queue's next item may be leased; none when it has none, or more than were claimed.
    next: Option<Millis>,
}

impl Queues {
    /// Fills every queue once; returns how long nothing can happen without a call.
    async fn round(&mut self, machine: &Arc<Machine>) -> Result<Duration> {
        let stirred = machine.stirred.load(Ordering::Acquire);
        if self.read.is_none_or(|(count, at)| count != stirred || at.elapsed() >= LONGEST_REST) {
            self.refresh(machine).await?;
            self.read = Some((stirred, Instant::now()));
        }
        let mut pause = LONGEST_REST;
        let mut claims = Vec::new();
        for (name, queue) in &mut self.queues {
            // What is leased of these waits for the end of other cases, which calls us.
            let except = queue.load.waiting_runs();
            if queue.runs.iter().all(|run| except.contains(run)) {
                continue;
            }
            let (limit, rest) = queue.room();
            match (limit, queue.idle()) {
                (0, _) => pause = pause.min(rest.clamp(SHORTEST_REST, LONGEST_REST)),
                (_, Some(idle)) => pause = pause.min(idle),
                (limit, None) => claims.push(Claim { queue: name.clone(), limit, except }),
            }
        }
        for batch in batches(claims) {
            pause = pause.min(self.fill(machine, batch).await?);
        }
        Ok(pause)
    }

    /// Brings the queues up to date with the open runs, and lets each of them look for items again.
    async fn refresh(&mut self, machine: &Machine) -> Result<()> {
        let open = machine.tools.store.read(queue::leasable).await?;
        let explicit: HashMap<&str, Option<u32>> =
            open.iter().map(|queue| (queue.endpoint.as_str(), queue.max_concurrency)).collect();
        self.queues.retain(|name, queue| {
            let is_kept = explicit.contains_key(name.as_str()) || queue.load.leased() > 0;
            if !is_kept {
                queue.gate.expire_wait();
            }
            is_kept
        });
        let usual = machine.pace.concurrency;
        for LeasableQueue { endpoint, max_concurrency, runs } in &open {
            let bounds = Bounds::new(*max_concurrency, usual);
            let new = || ModelQueue::new(machine.gates.get_or_insert(endpoint, bounds));
            let queue = self.queues.entry(endpoint.clone()).or_insert_with(new);
            queue.gate.rebind(bounds);
            queue.idle_until = None;
            queue.runs.clone_from(runs);
        }
        for (endpoint, shared) in shared_limits(&explicit) {
            machine.gates.rebind(endpoint, Bounds::new(shared, usual));
        }
        Ok(())
    }

    /// Leases items of several queues in one transaction, and starts a task for each; returns how long these queues
    /// have nothing to do unless they are called.
    async fn fill(&mut self, machine: &Arc<Machine>, claims: Vec<Claim>) -> Result<Duration> {
        let now = Millis::now();
        let lease = machine.lease(now);
        let claims = Arc::new(claims);
        let cut = Cut::new(&machine.pace, now);
        let claimed = machine.tools.store.write(move |tx| claim_all(tx, &claims, &lease, cut, now)).await?;
        let mut pause = LONGEST_REST;
        let mut ready = Vec::new();
        for Claimed { claim, items, next } in claimed {
            let Some(queue) = self.queues.get_mut(&claim.queue) else { continue };
            if u32::try_from(items.len()).unwrap_or(u32::MAX) < claim.limit {
                let due = next.map_or(LONGEST_REST, |due| until(now, due).min(LONGEST_REST));
                queue.idle_until = Some(Instant::now() + due);
                pause = pause.min(due);
            }
            ready.extend(
                items
                    .into_iter()
                    .map(|item| (Place::take(machine, item.held, &queue.load, &queue.gate), item)),
            );
        }
        // Only once all of them are known: fair shares are reckoned from what every model wants.
        for (place, item) in ready {
            launch(machine, item, place);
        }
        Ok(pause)
    }
}

/// Splits claims so that each transaction leases a bounded number of items.
fn batches(claims: Vec<Claim>) -> Vec<Vec<Claim>> {
    let (mut batches, mut items) = (Vec::<Vec<Claim>>::new(), 0_u32);
    for claim in claims {
        items = items.saturating_add(claim.limit);
        match batches.last_mut().filter(|_| items <= CHUNK_LEASED) {
            Some(batch) => batch.push(claim),
            None => {
                items = claim.limit;
                batches.push(vec![claim]);
            }
        }
    }
    batches
}

/// Times to hold waits to: nothing waits for longer than the longest back-off, unless the clock went back meanwhile.
#[derive(Clone, Copy)]
struct Cut {
    /// No item waits until later than that by itself.
    latest: Millis,
    /// When one that does is taken up.
    retry_at: Millis,
}

impl Cut {
    fn new(pace: &Pace, now: Millis) -> Self {
        let longest = LONGEST_WAIT.max(pace.last_retry);
        Self { latest: now.plus(millis(longest)), retry_at: now.plus(millis(pace.last_retry)) }
    }
}

/// When the queue's next item may be leased. Waits that only a clock that went back can explain are cut.
fn next_wake(tx: &mut Tx<'_>, lane: Lane<'_>, cut: Cut) -> Result<Option<Millis>> {
    let next = work_items::next_wake(tx, lane)?;
    if next.is_none_or(|next| next <= cut.latest) {
        return Ok(next);
    }
    let count = work_items::cut_waits(tx, lane.endpoint, cut.latest, cut.retry_at, CHUNK_CUT)?;
    tracing::warn!(count, "items waited for a time that is too far away: the clock went back");
    work_items::next_wake(tx, lane)
}

fn claim_all(
    tx: &mut Tx<'_>,
    claims: &[Claim],
    lease: &Lease,
    cut: Cut,
    now: Millis,
) -> Result<Vec<Claimed>> {
    let claimed = claims.iter().map(|claim| {
        let Claim { queue, limit, except } = claim;
        let lane = Lane { endpoint: queue, except };
        let items = work_items::claim_from(tx, lane, *limit, lease, now)?;
        let is_short = u32::try_from(items.len()).unwrap_or(u32::MAX) < *limit;
        let next = if is_short { next_wake(tx, lane, cut)? } else { None };
        Ok(Claimed { claim: claim.clone(), items, next })
    });
    claimed.collect()
}

/// Returns the limit that the models of each endpoint share: the highest that they name, and none while one of them
/// names none. What one model names binds that model alone, so that nobody can hold up the others by it.
fn shared_limits<'n>(explicit: &HashMap<&'n str, Option<u32>>) -> HashMap<&'n str, Option<u32>> {
    let mut shared: HashMap<&str, Option<u32>> = HashMap::new();
    for (name, own) in explicit {
        let highest = shared.entry(endpoint_of(name)).or_insert(*own);
        *highest = highest.zip(*own).map(|(one, other)| one.max(other));
    }
    shared
}

/// One model at one endpoint: its gate, and what is leased for it.
struct ModelQueue {
    gate: ModelGate,
    load: Arc<Load>,
    prefetch: Prefetch,
    /// Before then it has nothing to lease, unless something stirs.
    idle_until: Option<Instant>,
    /// Open runs that have cells for it.
    runs: Vec<RunKey>,
}

impl ModelQueue {
    fn new(gate: ModelGate) -> Self {
        let prefetch = Prefetch::new(Instant::now());
        Self { gate, load: Arc::default(), prefetch, idle_until: None, runs: Vec::new() }
    }

    /// Returns for how long it has nothing to lease; none when it may have.
    fn idle(&self) -> Option<Duration> {
        let rest = self.idle_until?.saturating_duration_since(Instant::now());
        (!rest.is_zero()).then_some(rest)
    }

    /// Returns how many items to lease now, and how long nothing changes by itself. What is leased ahead is filled up
    /// once half of it is gone (all of it where no more than the limit is ahead), so that commits are shared. While a
    /// breaker is open there is one item for the call that tries it.
    fn room(&mut self) -> (u32, Duration) {
        let leased = self.load.asked.load(Ordering::Acquire);
        let GateStatus { limit, may_try, open } = self.gate.status();
        let ahead = self.prefetch.ahead(self.load.gone.load(Ordering::Acquire), limit, Instant::now());
        let refill_at = limit + ahead - limit.max(ahead / 2);
        self.load.refill_at.store(refill_at, Ordering::Release);
        match open {
            Some(_) if may_try => (u32::from(leased <= limit), LONGEST_REST),
            // While a call tries it there is nothing to wait for but the end of that call, which wakes us.
            Some(open) => match open.until.saturating_duration_since(tokio::time::Instant::now()) {
                Duration::ZERO => (0, LONGEST_REST),
                rest => (0, rest),
            },
            None if leased > refill_at => (0, LONGEST_REST),
            None => ((limit + ahead).saturating_sub(leased), LONGEST_REST),
        }
    }
}

fn until(now: Millis, due: Millis) -> Duration {
    Duration::from_millis(u64::try_from(due.0.saturating_sub(now.0)).unwrap_or(0))
}

/// Starts the task of one item. Whatever becomes of it, the queue gets its place back.
fn launch(machine: &Arc<Machine>, item: Leased, place: Place) {
    let held = item.held;
    let gate = place.gate.clone();
    let shared = Arc::clone(machine);
    // The task waits until it is among the flights. No lock is held while it is made: a runtime that is
    // shutting down drops it at once, and with it the place, which takes the same lock.
    let (started, start) = oneshot::channel::<()>();
    let task = tokio::spawn(async move {
        let mut place = place;
        if start.await.is_ok() {
            // Large: on the heap it is moved once, and not with each step of making the task.
            Box::pin(worker::work(shared, item, gate, &mut place)).await;
        }
    });
    let flight = Flight { run: held.run, model: held.model, is_calling: false, task: task.abort_handle() };
    machine.flights().insert(held.key, flight);
    if started.send(()).is_err() {
        tracing::debug!("the runtime is gone: a leased item is left to its lease");
    }
}

impl Machine {
    /// A lease from `now` on.
    pub(super) fn lease(&self, now: Millis) -> Lease {
        let length = i64::try_from(self.pace.lease.as_millis()).unwrap_or(i64::MAX);
        Lease { owner: self.owner.clone(), until: now.plus(length) }
    }
}
