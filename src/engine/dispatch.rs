//! Dispatch: plans runs in chunks, and leases items of every queue that has room.
//!
//! Each model at each endpoint has a queue of its own, so that a slow or limited one never holds up another. What a
//! leased item needs is the worker's concern.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};

use super::concurrency_limit::Bounds;
use super::endpoint_gate::{Demand, GateStatus, ModelGate, endpoint_of};
use super::prefetch::Prefetch;
use super::{Flight, Machine, worker};
use crate::domain::id::WorkItemKey;
use crate::domain::time::Millis;
use crate::error::Result;
use crate::store::work_items::{self, Lease, Leased};
use crate::store::{Tx, plans};

/// Work items that one transaction makes: a few milliseconds, in which nothing is recorded.
const CHUNK: i64 = 1_000;
/// Items of several queues that one transaction leases, where none of the queues alone takes more.
const CHUNK_LEASED: u32 = 500;
/// How long to wait at most before looking again: other processes' writes send no signal.
const LONGEST_REST: Duration = Duration::from_secs(5);
/// How long to wait at least for a breaker whose time is about to come.
const SHORTEST_REST: Duration = Duration::from_millis(5);
/// Answers of one queue that wait to be judged and recorded, beside what is to be asked.
const ASIDE: u32 = 200;
/// How long to wait after a failure of our own.
const AFTER_ERROR: Duration = Duration::from_millis(500);

/// Makes work items of triggered runs, a chunk a transaction, until all are planned; then waits for more.
pub(super) async fn plan(machine: Arc<Machine>) {
    while !machine.is_stopping() {
        machine.can_store_or_stopped().await;
        match machine.tools.store.write(|tx| plans::extend(tx, CHUNK, Millis::now())).await {
            Ok(true) => machine.stir(),
            Ok(false) => rest(&machine, &machine.triggered, LONGEST_REST).await,
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
struct Claim {
    queue: String,
    limit: u32,
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
            let (limit, rest) = queue.room();
            match (limit, queue.idle()) {
                (0, _) => pause = pause.min(rest.clamp(SHORTEST_REST, LONGEST_REST)),
                (_, Some(idle)) => pause = pause.min(idle),
                (limit, None) => claims.push(Claim { queue: name.clone(), limit }),
            }
        }
        for batch in batches(claims) {
            pause = pause.min(self.fill(machine, batch).await?);
        }
        Ok(pause)
    }

    /// Brings the queues up to date with the open runs, and lets each of them look for items again.
    async fn refresh(&mut self, machine: &Machine) -> Result<()> {
        let open = machine.tools.store.read(plans::open_endpoints).await?;
        let explicit: HashMap<String, Option<u32>> = open.into_iter().collect();
        self.queues.retain(|name, queue| {
            let is_kept = explicit.contains_key(name) || queue.load.leased() > 0;
            if !is_kept {
                queue.gate.expire_wait();
            }
            is_kept
        });
        let usual = machine.pace.concurrency;
        for (name, own) in &explicit {
            let bounds = Bounds::new(*own, usual);
            let new = || ModelQueue::new(machine.gates.get_or_insert(name, bounds));
            let queue = self.queues.entry(name.clone()).or_insert_with(new);
            queue.gate.rebind(bounds);
            queue.idle_until = None;
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
        let claimed = machine.tools.store.write(move |tx| claim_all(tx, &claims, &lease, now)).await?;
        let mut pause = LONGEST_REST;
        let mut ready = Vec::new();
        for Claimed { claim, items, next } in claimed {
            let Some(queue) = self.queues.get_mut(&claim.queue) else { continue };
            if u32::try_from(items.len()).unwrap_or(u32::MAX) < claim.limit {
                let due = next.map_or(LONGEST_REST, |due| until(now, due).min(LONGEST_REST));
                queue.idle_until = Some(Instant::now() + due);
                pause = pause.min(due);
            }
            ready.extend(items.into_iter().map(|item| (Place::take(machine, &item, queue), item)));
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

fn claim_all(tx: &mut Tx<'_>, claims: &[Claim], lease: &Lease, now: Millis) -> Result<Vec<Claimed>> {
    let claimed = claims.iter().map(|Claim { queue, limit }| {
        let items = work_items::claim(tx, queue, *limit, lease, now)?;
        let is_short = u32::try_from(items.len()).unwrap_or(u32::MAX) < *limit;
        let next = if is_short { work_items::next_wake(tx, queue)? } else { None };
        Ok(Claimed { claim: Claim { queue: queue.clone(), limit: *limit }, items, next })
    });
    claimed.collect()
}

/// Returns the limit that the models of each endpoint share: the highest that they name, and none while one of them
/// names none. What one model names binds that model alone, so that nobody can hold up the others by it.
fn shared_limits(explicit: &HashMap<String, Option<u32>>) -> HashMap<&str, Option<u32>> {
    let mut shared: HashMap<&str, Option<u32>> = HashMap::new();
    for (name, own) in explicit {
        let highest = shared.entry(endpoint_of(name)).or_insert(*own);
        *highest = highest.zip(*own).map(|(one, other)| one.max(other));
    }
    shared
}

/// How many items of a queue are leased.
#[derive(Default)]
struct Load {
    /// They are to be asked, or are being asked.
    asked: AtomicU32,
    /// They have their answer, and wait to be judged and recorded.
    aside: AtomicU32,
    /// Items that were to be asked and are not any more, counted round and round.
    gone: AtomicU32,
    /// More are leased once no more than so many are to be asked.
    refill_at: AtomicU32,
}

impl Load {
    fn leased(&self) -> u32 {
        self.asked.load(Ordering::Acquire) + self.aside.load(Ordering::Acquire)
    }
}

/// One model at one endpoint: its gate, and what is leased for it.
struct ModelQueue {
    gate: ModelGate,
    load: Arc<Load>,
    prefetch: Prefetch,
    /// Before then it has nothing to lease, unless something stirs.
    idle_until: Option<Instant>,
}

impl ModelQueue {
    fn new(gate: ModelGate) -> Self {
        Self { gate, load: Arc::default(), prefetch: Prefetch::new(Instant::now()), idle_until: None }
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
            worker::work(shared, item, gate, &mut place).await;
        }
    });
    let flight = Flight { run: held.run, model: held.model, is_calling: false, task: task.abort_handle() };
    machine.flights().insert(held.key, flight);
    if started.send(()).is_err() {
        tracing::debug!("the runtime is gone: a leased item is left to its lease");
    }
}

/// A leased item's place in its queue and among the flights.
pub(super) struct Place {
    machine: Arc<Machine>,
    key: WorkItemKey,
    load: Arc<Load>,
    gate: ModelGate,
    demand: Option<Demand>,
}

impl Place {
    fn take(machine: &Arc<Machine>, item: &Leased, queue: &ModelQueue) -> Self {
        queue.load.asked.fetch_add(1, Ordering::AcqRel);
        let demand = Some(queue.gate.announce());
        let (machine, load) = (Arc::clone(machine), Arc::clone(&queue.load));
        Self { machine, key: item.held.key, load, gate: queue.gate.clone(), demand }
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
        let waiting = self.load.aside.fetch_add(1, Ordering::AcqRel);
        if waiting >= ASIDE || self.demand.is_none() {
            self.load.aside.fetch_sub(1, Ordering::AcqRel);
            return;
        }
        self.leave_the_queue();
    }

    fn leave_the_queue(&mut self) {
        self.demand = None;
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
        if self.demand.is_none() {
            self.load.aside.fetch_sub(1, Ordering::AcqRel);
        } else {
            self.leave_the_queue();
        }
    }
}

impl Machine {
    /// A lease from `now` on.
    pub(super) fn lease(&self, now: Millis) -> Lease {
        let length = i64::try_from(self.pace.lease.as_millis()).unwrap_or(i64::MAX);
        Lease { owner: self.owner.clone(), until: now.plus(length) }
    }
}
