//! Old answers: when the operator keeps them for so long only, their texts go, in small steps, while whoever writes
//! waits for one step at most. It touches no number.

use std::time::Duration;

use super::Machine;
use crate::domain::id::ResultKey;
use crate::domain::time::Millis;
use crate::error::Result;
use crate::store::Tx;
use crate::store::retention::{self, Place};

/// How often to look for answers that have become old.
const EVERY: Duration = Duration::from_secs(3_600);
/// Cases that are looked at in one step, and bytes of texts after which it ends.
const STEP: (u32, i64) = (250, 2 * 1024 * 1024);
/// A day in milliseconds.
const DAY: i64 = 86_400_000;

/// Removes what has become old, now and every hour, while the machine runs.
pub(super) async fn keep(machine: std::sync::Arc<Machine>) {
    while !machine.is_stopping() {
        machine.can_store_or_stopped().await;
        match remove_old(&machine, Millis::now()).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "texts of old cases were removed"),
            Err(cause) => tracing::error!(error = ?cause, "texts of old cases could not be removed"),
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = machine.stopped() => return,
        }
    }
}

/// Removes the texts of cases that are older than they are kept at `now`; answers of how many. What was removed when
/// it is broken off stays so, and the next time goes on with the rest.
///
/// # Errors
/// The database's.
pub(super) async fn remove_old(machine: &Machine, now: Millis) -> Result<i64> {
    let Some(days) = machine.tools.keep_answers else { return Ok(0) };
    let cutoff = now.plus(-i64::from(days).saturating_mul(DAY));
    let mut removed = 0;
    for result in machine.tools.store.read(move |tx| retention::results(tx, cutoff)).await? {
        removed += of_result(machine, result, cutoff, now).await?;
    }
    Ok(removed)
}

async fn of_result(machine: &Machine, result: ResultKey, cutoff: Millis, now: Millis) -> Result<i64> {
    let store = &machine.tools.store;
    let (mut removed, mut place) = (0, Some(Place::START));
    while let Some(from) = place
        && !machine.is_stopping()
    {
        let look = move |tx: &mut Tx<'_>| retention::part(tx, result, from, cutoff, STEP);
        let part = store.read(look).await?;
        place = part.next;
        if !part.old.is_empty() {
            let old = part.old;
            removed += store.write(move |tx| retention::remove(tx, result, &old, now)).await?;
        }
    }
    Ok(removed)
}
