//! The budget of bytes that wait to be sent, for all connections together, and each caller's share of it.
//!
//! It counts large bodies only: what a connection holds besides is bounded by its buffers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::limits::Payer;
use crate::error::{Error, Result};

/// Bytes that one permit stands for.
const UNIT: u64 = 1_024;
/// Permits at most: 1 TiB.
const MAX_CAPACITY: u32 = 1 << 30;
/// One caller gets this part of the budget at most, as a divisor.
const CALLER_DIVISOR: u32 = 2;
/// Callers without a key leave this part of the budget to others, as a divisor.
const RESERVE_DIVISOR: u32 = 4;
/// Shares from which those that nobody uses any more are removed.
const SWEEP_SIZE: usize = 1_024;

/// The budget, shared by every worker.
#[derive(Debug)]
pub struct SendBudget {
    permits: Arc<Semaphore>,
    capacity: u32,
    /// The part that callers without a key may take together.
    anonymous: Pool,
    /// The share of each caller for whom something waits to be sent.
    shares: Mutex<HashMap<Payer, Weak<Semaphore>>>,
    /// How long one that is under way waits for its next part.
    patience: Duration,
    stalled: AtomicU64,
    refused: AtomicU64,
}

/// Permits that several callers take, and their number.
#[derive(Debug, Clone)]
struct Pool {
    permits: Arc<Semaphore>,
    capacity: u32,
}

impl Pool {
    fn new(capacity: u32) -> Self {
        Self { permits: Arc::new(semaphore(capacity)), capacity }
    }

    /// Takes permits for `units`; all of them for more than there are.
    fn try_take(&self, units: u32) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.permits).try_acquire_many_owned(units.min(self.capacity)).ok()
    }

    /// As [`Pool::try_take`], waiting for them.
    async fn take(&self, units: u32) -> Result<OwnedSemaphorePermit> {
        let permits = Arc::clone(&self.permits).acquire_many_owned(units.min(self.capacity));
        permits.await.map_err(Error::internal)
    }
}

fn semaphore(capacity: u32) -> Semaphore {
    Semaphore::new(usize::try_from(capacity).unwrap_or(Semaphore::MAX_PERMITS))
}

/// Bytes that wait to be sent, given back to the budget when they are dropped.
#[derive(Debug)]
pub struct Charge(#[expect(dead_code, reason = "they are held")] Vec<OwnedSemaphorePermit>);

impl SendBudget {
    /// Makes a budget of `bytes`; a body that is under way waits for `patience` at most until there is room for its next part.
    #[must_use]
    pub fn new(bytes: u64, patience: Duration) -> Self {
        let capacity = u32::try_from(bytes / UNIT).unwrap_or(u32::MAX).clamp(1, MAX_CAPACITY);
        Self {
            permits: Arc::new(semaphore(capacity)),
            capacity,
            anonymous: Pool::new((capacity - capacity / RESERVE_DIVISOR).max(1)),
            shares: Mutex::default(),
            patience,
            stalled: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// Takes room for `bytes` that are sent to `caller`.
    ///
    /// # Errors
    /// `Unavailable` when there is none now, or this caller has their share.
    pub(super) fn charge(&self, caller: &Payer, bytes: usize) -> Result<Charge> {
        let units = self.units(bytes);
        let mut held = Vec::new();
        for (pool, refusal) in self.pools(caller) {
            let Some(permits) = pool.try_take(units) else {
                self.refused.fetch_add(1, Ordering::Relaxed);
                return Err(refusal());
            };
            held.push(permits);
        }
        Ok(Charge(held))
    }

    /// Takes room for `bytes` of a body that is under way to `caller`, waiting for it.
    ///
    /// # Errors
    /// `Unavailable` when there is none for too long.
    pub(super) async fn charge_next(&self, caller: &Payer, bytes: usize) -> Result<Charge> {
        let units = self.units(bytes);
        let take = async {
            let mut held = Vec::new();
            for (pool, _) in self.pools(caller) {
                held.push(pool.take(units).await?);
            }
            Ok(Charge(held))
        };
        timeout(self.patience, take).await.map_err(|_| exhausted())?
    }

    /// Returns what a caller's bytes count against, in the order in which it is taken, each with the error of its being
    /// used up.
    fn pools(&self, caller: &Payer) -> Vec<(Pool, fn() -> Error)> {
        let mut pools: Vec<(Pool, fn() -> Error)> = vec![(self.share(caller), share_exhausted)];
        if matches!(caller, Payer::Address(_)) {
            pools.push((self.anonymous.clone(), exhausted));
        }
        pools.push((Pool { permits: Arc::clone(&self.permits), capacity: self.capacity }, exhausted));
        pools
    }

    fn share(&self, caller: &Payer) -> Pool {
        let capacity = (self.capacity / CALLER_DIVISOR).max(1);
        // Each change to the map is one call: it stays whole whatever panicked.
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(permits) = shares.get(caller).and_then(Weak::upgrade) {
            return Pool { permits, capacity };
        }
        if shares.len() >= SWEEP_SIZE {
            shares.retain(|_, share| share.strong_count() > 0);
        }
        let share = Pool::new(capacity);
        shares.insert(caller.clone(), Arc::downgrade(&share.permits));
        share
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

    /// Returns the permits for `bytes`: at most all of them. Of a pool with fewer it takes all.
    fn units(&self, bytes: usize) -> u32 {
        let units = u64::try_from(bytes).unwrap_or(u64::MAX).div_ceil(UNIT);
        u32::try_from(units).unwrap_or(u32::MAX).min(self.capacity)
    }
}

fn share_exhausted() -> Error {
    Error::Unavailable(
        "too much waits to be sent to you: read the responses to your other requests first".to_owned(),
    )
}

fn exhausted() -> Error {
    Error::Unavailable(
        "too much waits to be sent to other clients: try again, or ask for less at once".to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::UserKey;

    const KIB: usize = 1_024;

    fn budget(bytes: u64) -> SendBudget {
        SendBudget::new(bytes, Duration::from_millis(1))
    }

    fn address(last: u8) -> Payer {
        Payer::Address([192, 0, 2, last].into())
    }

    fn person(key: i64) -> Payer {
        Payer::Person(UserKey(key))
    }

    #[test]
    fn room_is_taken_and_given_back() {
        let budget = budget(20 * UNIT);
        let first = budget.charge(&person(1), 6_000).unwrap();
        assert_eq!((budget.used(), budget.capacity()), (6 * UNIT, 20 * UNIT));
        let why = budget.charge(&person(1), 6_000).unwrap_err().to_string();
        assert!(why.contains("sent to you"), "{why}");
        assert!(budget.charge(&person(1), 4_096).is_ok());
        drop(first);
        assert_eq!((budget.used(), budget.refused()), (0, 1));
        assert!(budget.charge(&person(1), 6_000).is_ok());
    }

    #[test]
    fn body_larger_than_a_share_is_sent_alone() {
        let budget = budget(20 * UNIT);
        let all = budget.charge(&person(1), usize::MAX).unwrap();
        assert!(budget.charge(&person(1), 1).is_err());
        drop(all);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn one_caller_leaves_room_for_others() {
        let budget = budget(40 * UNIT);
        let mut held = vec![budget.charge(&address(1), 20 * KIB).unwrap()];
        assert!(budget.charge(&address(1), 1).is_err());
        held.push(budget.charge(&address(2), 10 * KIB).unwrap());
        let why = budget.charge(&address(3), 1).unwrap_err().to_string();
        assert!(why.contains("other clients"), "{why}");
        held.push(budget.charge(&person(1), 10 * KIB).unwrap());
        assert_eq!(budget.used(), budget.capacity());
        held.clear();
        assert!(budget.charge(&address(1), 10 * KIB).is_ok());
    }

    #[test]
    fn shares_that_nobody_uses_are_forgotten() {
        let budget = budget(1 << 20);
        for key in 0..3_000 {
            drop(budget.charge(&person(key), 1).unwrap());
        }
        assert!(budget.shares.lock().unwrap().len() <= SWEEP_SIZE);
    }

    #[tokio::test]
    async fn body_under_way_waits_for_room() {
        let budget = SendBudget::new(UNIT, Duration::from_secs(60));
        let first = budget.charge(&person(1), 1).unwrap();
        let caller = person(1);
        let (second, ()) = tokio::join!(budget.charge_next(&caller, 1), async { drop(first) });
        assert!(second.is_ok());
        let budget = SendBudget::new(UNIT, Duration::ZERO);
        let _all = budget.charge(&person(1), 1).unwrap();
        assert!(matches!(budget.charge_next(&person(2), 1).await, Err(Error::Unavailable(_))));
    }
}
