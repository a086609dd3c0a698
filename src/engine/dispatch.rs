//! Who works next: plans runs in chunks, and leases items for every endpoint that has room.
//!
//! Each endpoint is looked after on its own, so that a slow one never holds up a fast one. What a leased item
//! needs is the worker's business.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};

use super::limit::Bounds;
use super::slots::{Gate, Standing};
use super::supply::Supply;
use super::{Flight, Machine, worker};
use crate::domain::id::WorkItemKey;
use crate::domain::time::Millis;
use crate::error::Result;
use crate::store::work_items::{self, Lease, Leased};
use crate::store::{Tx, plans};

/// Work items that one transaction makes: a few milliseconds, in which nothing is recorded.
const CHUNK: i64 = 1_000;
/// How long to wait at most before looking again: other processes' writes send no signal.
const LONGEST_REST: Duration = Duration::from_secs(5);
/// How long to wait at least for a gate whose time is about to come.
const SHORTEST_REST: Duration = Duration::from_millis(5);
/// Answers of one endpoint that wait to be judged and recorded, beside what is to be asked.
const ASIDE: u32 = 200;
/// How long to wait after a failure of our own.
const AFTER_ERROR: Duration = Duration::from_millis(500);

/// Makes work items of triggered runs, a chunk a transaction, until all are planned; then waits for more.
pub(super) async fn plan(machine: Arc<Machine>) {
    while !machine.is_stopping() {
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
    let mut lanes = Lanes::default();
    while !machine.is_stopping() {
        let pause = lanes.round(&machine).await.unwrap_or_else(|cause| {
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

/// Every endpoint that open runs have cells for.
#[derive(Default)]
struct Lanes {
    lanes: HashMap<String, Lane>,
    /// The machine's count of stirs when the endpoints were last read, and when that was.
    read: Option<(u64, Instant)>,
}

impl Lanes {
    /// Looks after every endpoint once; answers how long nothing can happen without a call.
    async fn round(&mut self, machine: &Arc<Machine>) -> Result<Duration> {
        let stirred = machine.stirred.load(Ordering::Acquire);
        if self.read.is_none_or(|(count, at)| count != stirred || at.elapsed() >= LONGEST_REST) {
            self.refresh(machine).await?;
            self.read = Some((stirred, Instant::now()));
        }
        let mut pause = LONGEST_REST;
        for (name, lane) in &mut self.lanes {
            pause = pause.min(fill(machine, name, lane).await?);
        }
        Ok(pause)
    }

    /// Brings the lanes up to date with the open runs, and lets each of them look for items again.
    async fn refresh(&mut self, machine: &Machine) -> Result<()> {
        let open = machine.tools.store.read(plans::open_endpoints).await?;
        let open: HashMap<String, Option<u32>> = open.into_iter().collect();
        self.lanes.retain(|name, lane| open.contains_key(name) || lane.load.leased() > 0);
        for (name, explicit) in open {
            let gate = machine.slots.bound(&name, Bounds::new(explicit, machine.pace.concurrency));
            let lane = self.lanes.entry(name).or_insert_with(|| Lane::new(gate));
            lane.idle_until = None;
        }
        Ok(())
    }
}

/// How many items are leased for an endpoint.
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

/// One endpoint: the gate to it, and what is leased for it.
struct Lane {
    gate: Arc<Gate>,
    load: Arc<Load>,
    supply: Supply,
    /// Before then it has nothing to lease, unless something stirs.
    idle_until: Option<Instant>,
}

impl Lane {
    fn new(gate: Arc<Gate>) -> Self {
        Self { gate, load: Arc::default(), supply: Supply::new(Instant::now()), idle_until: None }
    }

    /// Items to lease now, and how long nothing changes by itself. What is leased ahead is filled up once half of it
    /// is gone (all of it where no more than the limit is ahead), so that commits are shared. While the gate is shut
    /// there is one item for the call that tries it.
    fn room(&mut self) -> (u32, Duration) {
        let leased = self.load.asked.load(Ordering::Acquire);
        let Standing { limit, may_try, shut } = self.gate.standing();
        let ahead = self.supply.ahead(self.load.gone.load(Ordering::Acquire), limit, Instant::now());
        let refill_at = limit + ahead - limit.max(ahead / 2);
        self.load.refill_at.store(refill_at, Ordering::Release);
        match shut {
            Some(_) if may_try => (u32::from(leased <= limit), LONGEST_REST),
            // While a call tries it there is nothing to wait for but the end of that call, which wakes us.
            Some(shut) => match shut.until.saturating_duration_since(tokio::time::Instant::now()) {
                Duration::ZERO => (0, LONGEST_REST),
                rest => (0, rest),
            },
            None if leased > refill_at => (0, LONGEST_REST),
            None => ((limit + ahead).saturating_sub(leased), LONGEST_REST),
        }
    }
}

/// Leases what the lane has room for; answers how long it has nothing to do unless it is called.
async fn fill(machine: &Arc<Machine>, name: &str, lane: &mut Lane) -> Result<Duration> {
    let idle =
        lane.idle_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()));
    let (room, rest) = lane.room();
    if room == 0 || !idle.is_zero() {
        return Ok(if room == 0 { rest.clamp(SHORTEST_REST, LONGEST_REST) } else { idle });
    }
    let now = Millis::now();
    let lease = machine.lease(now);
    let endpoint = name.to_owned();
    let claim = move |tx: &mut Tx<'_>| {
        let items = work_items::claim(tx, &endpoint, room, &lease, now)?;
        let is_short = u32::try_from(items.len()).unwrap_or(u32::MAX) < room;
        let next = if is_short { work_items::next_wake(tx, &endpoint)? } else { None };
        Ok((items, is_short, next))
    };
    let (items, is_short, next) = machine.tools.store.write(claim).await?;
    for item in items {
        launch(machine, item, lane);
    }
    if !is_short {
        return Ok(LONGEST_REST);
    }
    let due = next.map_or(LONGEST_REST, |due| until(now, due).min(LONGEST_REST));
    lane.idle_until = Some(Instant::now() + due);
    Ok(due)
}

fn until(now: Millis, due: Millis) -> Duration {
    Duration::from_millis(u64::try_from(due.0.saturating_sub(now.0)).unwrap_or(0))
}

/// Starts the task of one item. Whatever becomes of it, the lane gets its place back.
fn launch(machine: &Arc<Machine>, item: Leased, lane: &Lane) {
    let (key, run) = (item.held.key, item.held.run);
    let place = Place::take(machine, key, lane);
    let gate = Arc::clone(&lane.gate);
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
    machine.flights().insert(key, Flight { run, task: task.abort_handle() });
    if started.send(()).is_err() {
        tracing::debug!("the runtime is gone: a leased item is left to its lease");
    }
}

/// A leased item's place in its lane and among the flights.
pub(super) struct Place {
    machine: Arc<Machine>,
    key: WorkItemKey,
    load: Arc<Load>,
    gate: Arc<Gate>,
    is_aside: bool,
}

impl Place {
    fn take(machine: &Arc<Machine>, key: WorkItemKey, lane: &Lane) -> Self {
        lane.load.asked.fetch_add(1, Ordering::AcqRel);
        let (machine, load) = (Arc::clone(machine), Arc::clone(&lane.load));
        Self { machine, key, load, gate: Arc::clone(&lane.gate), is_aside: false }
    }

    /// Makes room in the lane for another item, now that this one has its answer; not when too many of them wait for
    /// a grader or for the store already.
    pub(super) fn step_aside(&mut self) {
        let waiting = self.load.aside.fetch_add(1, Ordering::AcqRel);
        if waiting >= ASIDE || self.is_aside {
            self.load.aside.fetch_sub(1, Ordering::AcqRel);
            return;
        }
        self.is_aside = true;
        self.leave_the_queue();
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
        if self.is_aside {
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
