//! The budget of bytes that wait to be sent, for all connections together.
//!
//! It counts large bodies only: what a connection holds besides is bounded by its buffers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::error::{Error, Result};

/// Bytes that one permit stands for.
const UNIT: u64 = 1_024;
/// Permits at most: 1 TiB.
const MAX_CAPACITY: u32 = 1 << 30;

/// The budget, shared by every worker.
#[derive(Debug)]
pub struct SendBudget {
    permits: Arc<Semaphore>,
    capacity: u32,
    /// How long one that is under way waits for its next part.
    patience: Duration,
    stalled: AtomicU64,
    refused: AtomicU64,
}

/// Bytes that wait to be sent, given back to the budget when they are dropped.
#[derive(Debug)]
pub struct Charge(#[expect(dead_code, reason = "it is held")] OwnedSemaphorePermit);

impl SendBudget {
    /// Makes a budget of `bytes`; a body that is under way waits for `patience` at most until there is room for its next part.
    #[must_use]
    pub fn new(bytes: u64, patience: Duration) -> Self {
        let capacity = u32::try_from(bytes / UNIT).unwrap_or(u32::MAX).clamp(1, MAX_CAPACITY);
        let permits = Arc::new(Semaphore::new(usize::try_from(capacity).unwrap_or(Semaphore::MAX_PERMITS)));
        Self { permits, capacity, patience, stalled: AtomicU64::new(0), refused: AtomicU64::new(0) }
    }

    /// Takes room for `bytes`.
    ///
    /// # Errors
    /// `Unavailable` when there is none now.
    pub fn charge(&self, bytes: usize) -> Result<Charge> {
        Arc::clone(&self.permits).try_acquire_many_owned(self.units(bytes)).map(Charge).map_err(|_| {
            self.refused.fetch_add(1, Ordering::Relaxed);
            exhausted()
        })
    }

    /// Takes room for `bytes` of a body that is under way, waiting for it.
    ///
    /// # Errors
    /// `Unavailable` when there is none for too long.
    pub async fn charge_next(&self, bytes: usize) -> Result<Charge> {
        let room = Arc::clone(&self.permits).acquire_many_owned(self.units(bytes));
        let room = timeout(self.patience, room).await.map_err(|_| exhausted())?;
        room.map(Charge).map_err(Error::internal)
    }

    /// Returns the bytes that may wait to be sent.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        u64::from(self.capacity).saturating_mul(UNIT)
    }

    /// Returns the bytes that wait to be sent.
    #[must_use]
    pub fn used(&self) -> u64 {
        let free = u64::try_from(self.permits.available_permits()).unwrap_or(u64::MAX);
        u64::from(self.capacity).saturating_sub(free).saturating_mul(UNIT)
    }

    /// Returns the number of responses that were refused for want of room, since the start.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Returns the number of connections that were ended because their client stopped reading, since the start.
    #[must_use]
    pub fn stalled(&self) -> u64 {
        self.stalled.load(Ordering::Relaxed)
    }

    /// Counts a connection that is ended because its client stopped reading.
    pub(super) fn count_stalled(&self) {
        self.stalled.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the permits for `bytes`: what is larger than the whole budget takes all of it.
    fn units(&self, bytes: usize) -> u32 {
        let units = u64::try_from(bytes).unwrap_or(u64::MAX).div_ceil(UNIT);
        u32::try_from(units).unwrap_or(u32::MAX).min(self.capacity)
    }
}

fn exhausted() -> Error {
    Error::Unavailable(
        "too much waits to be sent to other clients: try again, or ask for less at once".to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(bytes: u64) -> SendBudget {
        SendBudget::new(bytes, Duration::from_millis(1))
    }

    #[test]
    fn room_is_taken_and_given_back() {
        let budget = budget(10 * UNIT);
        let first = budget.charge(6_000).unwrap();
        assert_eq!((budget.used(), budget.capacity()), (6 * UNIT, 10 * UNIT));
        assert!(matches!(budget.charge(6_000), Err(Error::Unavailable(_))));
        assert!(budget.charge(4_096).is_ok());
        drop(first);
        assert_eq!((budget.used(), budget.refused()), (0, 1));
        assert!(budget.charge(6_000).is_ok());
    }

    #[test]
    fn body_larger_than_the_budget_takes_all_of_it() {
        let budget = budget(10 * UNIT);
        let all = budget.charge(usize::MAX).unwrap();
        assert!(budget.charge(1).is_err());
        drop(all);
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test]
    async fn body_under_way_waits_for_room() {
        let budget = SendBudget::new(UNIT, Duration::from_secs(60));
        let first = budget.charge(1).unwrap();
        let (second, ()) = tokio::join!(budget.charge_next(1), async { drop(first) });
        assert!(second.is_ok());
        let budget = SendBudget::new(UNIT, Duration::ZERO);
        let _all = budget.charge(1).unwrap();
        assert!(matches!(budget.charge_next(1).await, Err(Error::Unavailable(_))));
    }
}
