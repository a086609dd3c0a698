//! When a call on behalf of one case is made again: its case is held up meanwhile, so not for ever.
//!
//! Calls to the model under test do not wait here: their items go back to the table with a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::Machine;
use super::provider::{Failure, Retry};
use super::slots::{Gate, Slot};

/// How often one question is repeated when its endpoint fails.
const REPEATS: u32 = 4;
/// From then on the wait before a repeat stays as it is.
const MOST_DOUBLINGS: u32 = 6;
/// How long one question may wait for an endpoint that is down or allows no more calls.
const PATIENCE: Duration = Duration::from_secs(900);

/// What one question has waited for so far.
pub(super) struct Repeats {
    give_up: Instant,
    failures: u32,
    doublings: u32,
}

impl Repeats {
    /// A question that is about to be asked for the first time.
    pub(super) fn none() -> Self {
        Self { give_up: Instant::now() + PATIENCE, failures: 0, doublings: 0 }
    }

    /// Waits for a slot, also while the gate is shut.
    ///
    /// # Errors
    /// When the gate stays shut for longer than a question waits.
    pub(super) async fn enter(&self, gate: &Arc<Gate>) -> Result<Slot, Failure> {
        loop {
            match gate.enter().await {
                Ok(slot) => return Ok(slot),
                Err(shut) if shut.until < self.give_up => sleep_until(shut.until).await,
                Err(shut) => return Err(Failure::given_up(&shut.why)),
            }
        }
    }

    /// Waits before the next repeat; answers whether there is to be one. A rate limit is waited for, not
    /// counted.
    pub(super) async fn wait(&mut self, machine: &Machine, retry: Retry) -> bool {
        let Retry::Later { after, counts } = retry else { return false };
        self.failures += u32::from(counts);
        let pace = machine.pace;
        let doubled = pace.first_retry.saturating_mul(1 << self.doublings).min(pace.last_retry);
        let again = Instant::now() + after.unwrap_or(doubled);
        if self.failures > REPEATS || again > self.give_up {
            return false;
        }
        self.doublings = (self.doublings + 1).min(MOST_DOUBLINGS);
        sleep_until(again).await;
        true
    }
}
