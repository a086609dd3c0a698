//! Old answers: when the operator keeps them for so long only, their texts go, in small steps, while whoever writes
//! waits for one step at most. It touches no number.

use std::time::{Duration, Instant};

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
/// A step of the clock that is not worth noticing, in milliseconds: texts are kept for days.
const MAX_STEP: i64 = 3_600_000;
/// How long nothing is removed after a larger step.
const HOLD: Duration = Duration::from_hours(24);

/// Removes what has become old, now and every hour, while the machine runs.
pub(super) async fn keep(machine: std::sync::Arc<Machine>) {
    let mut clock = Clock::new(Millis::now(), Instant::now());
    while !machine.is_stopping() {
        machine.can_store_or_stopped().await;
        if machine.tools.keep_answers.is_some() && clock.is_ahead(Millis::now(), Instant::now()) {
            tracing::warn!("the clock went ahead: no texts are removed for a day, in case it goes back");
            pause(&machine).await;
            continue;
        }
        match remove_old(&machine, Millis::now()).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "texts of old cases were removed"),
            Err(cause) => tracing::error!(error = ?cause, "texts of old cases could not be removed"),
        }
        pause(&machine).await;
    }
}

async fn pause(machine: &Machine) {
    tokio::select! {
        () = tokio::time::sleep(EVERY) => {}
        () = machine.stopped() => {}
    }
}

/// The clock, as it was when it was read last. What is removed by a clock that is wrong is gone for good.
struct Clock {
    wall: Millis,
    at: Instant,
    ahead_since: Option<Instant>,
}

impl Clock {
    const fn new(wall: Millis, at: Instant) -> Self {
        Self { wall, at, ahead_since: None }
    }

    /// Whether the clock went ahead of the time that passed within the last day.
    fn is_ahead(&mut self, wall: Millis, at: Instant) -> bool {
        let passed = i64::try_from(at.saturating_duration_since(self.at).as_millis()).unwrap_or(i64::MAX);
        if wall.0.saturating_sub(self.wall.0).saturating_sub(passed) > MAX_STEP {
            self.ahead_since = Some(at);
        }
        (self.wall, self.at) = (wall, at);
        self.ahead_since.is_some_and(|since| at.saturating_duration_since(since) < HOLD)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_that_went_ahead_holds_removal_for_a_day() {
        let (start, hour) = (Instant::now(), Duration::from_hours(1));
        let mut clock = Clock::new(Millis(0), start);
        assert!(!clock.is_ahead(Millis(3_600_000), start + hour));
        assert!(!clock.is_ahead(Millis(3 * 3_600_000), start + hour * 2), "an hour is no step");
        let jumped = Millis(1_000 * 3_600_000);
        assert!(clock.is_ahead(jumped, start + hour * 3));
        for hours in 4..27 {
            assert!(
                clock.is_ahead(jumped.plus((i64::from(hours) - 3) * 3_600_000), start + hour * hours),
                "{hours}"
            );
        }
        assert!(!clock.is_ahead(jumped.plus(24 * 3_600_000), start + hour * 27));
        assert!(!clock.is_ahead(Millis(0), start + hour * 28), "what went back removes nothing anyway");
    }
}
