//! What keeps the machine honest: renewed leases, lost ones found, litter cleared, a clean stop.
//!
//! It decides nothing about cases.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::{Machine, recorder, worker};
use crate::domain::id::WorkItemKey;
use crate::domain::time::Millis;
use crate::error::Result;
use crate::store::condition::Condition;
use crate::store::{Tx, purge, queue, work_items};

/// Rows that one transaction of tidying touches.
const CHUNK: u32 = 2_000;
/// How often to tidy without being asked.
const TIDY: Duration = Duration::from_secs(60);
/// How often a stopping machine looks whether its calls are done.
const STEP: Duration = Duration::from_millis(20);

/// Releases what an earlier process of this folder held when it ended: nobody else works on this folder.
pub(super) async fn take_over(machine: &Arc<Machine>) -> Result<()> {
    let released = machine.tools.store.write(|tx| work_items::release_all(tx, Millis::now())).await?;
    let shared = Arc::clone(machine);
    machine.tools.store.write(move |tx| renew_queues(&shared, tx)).await?;
    if released > 0 {
        tracing::info!(released, "took over items that an earlier process had leased");
    }
    Ok(())
}

/// Moves open items to the queues that their models have now: an earlier release named them otherwise, and the
/// operator's keys and addresses may have changed meanwhile.
fn renew_queues(machine: &Machine, tx: &mut Tx<'_>) -> Result<()> {
    for (run, model, revision, name) in queue::open_queues(tx)? {
        let present = machine.limiter_key(tx, revision)?;
        if present != name {
            queue::move_to_queue(tx, run, model, &present)?;
        }
    }
    Ok(())
}

/// Renews this process's leases, stops the work on items that were lost, and finds leases that ran out.
pub(super) async fn beat(machine: Arc<Machine>) {
    let mut idle = HashSet::new();
    while !machine.is_stopping() {
        tokio::select! {
            () = tokio::time::sleep(machine.pace.heartbeat) => {}
            () = machine.stopped() => return,
        }
        // Nobody else takes a lease meanwhile, however old it is: that is a write too.
        machine.can_store_or_stopped().await;
        if let Err(cause) = renew(&machine, &mut idle).await {
            tracing::error!(error = ?cause, "leases could not be renewed");
        }
    }
}

/// Breaks off all work once the database is damaged: nothing that it brings can be stored.
pub(super) async fn break_off_when_damaged(machine: Arc<Machine>) {
    let mut condition = machine.tools.store.watch_condition();
    tokio::select! {
        // The sender lives as long as the store.
        result = condition.wait_for(Condition::is_damaged) => drop(result),
        () = machine.stopped() => return,
    }
    let flights = machine.flights();
    flights.values().for_each(|flight| flight.task.abort());
    tracing::error!(count = flights.len(), "the engine stands still: the database is damaged");
}

/// `idle` are items that are leased to us and that nobody works on, as of the last time: an item may just be
/// on its way to its task, but not twice.
async fn renew(machine: &Machine, idle: &mut HashSet<WorkItemKey>) -> Result<()> {
    let held: HashSet<WorkItemKey> = machine.flights().keys().copied().collect();
    let lease = machine.lease(Millis::now());
    let kept = machine.tools.store.write(move |tx| work_items::renew(tx, &lease)).await?;
    let kept: HashSet<WorkItemKey> = kept.into_iter().collect();
    for lost in held.difference(&kept) {
        if let Some(flight) = machine.flights().get(lost) {
            flight.task.abort();
        }
    }
    let now_held: HashSet<WorkItemKey> = machine.flights().keys().copied().collect();
    let unheld: HashSet<WorkItemKey> =
        kept.iter().copied().filter(|key| !held.contains(key) && !now_held.contains(key)).collect();
    let left: Vec<WorkItemKey> = unheld.intersection(idle).copied().collect();
    *idle = unheld;
    if !left.is_empty() {
        let (count, owner) = (left.len(), machine.owner.clone());
        let retry_at = Millis::now().plus(worker::millis(machine.pace.last_retry));
        machine.tools.store.write(move |tx| work_items::release(tx, &owner, &left, retry_at)).await?;
        tracing::warn!(count, "leased items that nobody worked on were given back");
        machine.stir();
    }
    let expired = machine.tools.store.write(|tx| work_items::reap(tx, Millis::now())).await?;
    if expired > 0 {
        tracing::warn!(expired, "leases had run out");
        machine.stir();
    }
    Ok(())
}

/// Clears away, in small steps, what cancelled runs and deleted evals leave.
pub(super) async fn tidy(machine: Arc<Machine>) {
    while !machine.is_stopping() {
        machine.can_store_or_stopped().await;
        if let Err(cause) = clear(&machine).await {
            tracing::error!(error = ?cause, "tidying failed");
        }
        tokio::select! {
            () = machine.litter.notified() => {}
            () = tokio::time::sleep(TIDY) => {}
            () = machine.stopped() => return,
        }
    }
}

async fn clear(machine: &Machine) -> Result<()> {
    let store = &machine.tools.store;
    for run in store.read(work_items::runs_with_orphans).await? {
        while store.write(move |tx| work_items::cancel_orphans(tx, run, CHUNK)).await? > 0 {}
    }
    while store.write(|tx| purge::step(tx, CHUNK)).await? {}
    Ok(())
}

/// Waits for calls in flight, then stops the rest and gives their items back.
pub(super) async fn drain(machine: &Arc<Machine>) {
    let deadline = tokio::time::Instant::now() + machine.pace.drain;
    while !machine.flights().is_empty() && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(STEP).await;
    }
    for flight in machine.flights().values() {
        flight.task.abort();
    }
    // What has its answer, and only waits for company, was paid for.
    recorder::record_waiting(machine).await;
    let owner = machine.owner.clone();
    let given_back =
        machine.tools.store.write(move |tx| work_items::release_owned(tx, &owner, Millis::now())).await;
    match given_back {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "gave back items that were not finished in time"),
        Err(cause) => tracing::error!(error = ?cause, "leased items could not be given back"),
    }
}
