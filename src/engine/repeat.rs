//! When a call on behalf of one case is made again: its case is held up meanwhile, so not for ever.
//!
//! Calls to the model under test do not wait here: their items go back to the table with a time.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::endpoint_gate::{ModelGate, Permit};
use super::judge::Submission;
use super::provider::{Failure, Retry};
use super::{Machine, worker};

/// How often one question is repeated when its endpoint fails.
const REPEATS: u32 = 4;
/// From then on the wait before a repeat stays as it is.
const MOST_DOUBLINGS: u32 = 6;
/// How long the questions about one case may wait for an endpoint that is down or allows no more calls.
const PATIENCE: Duration = Duration::from_secs(900);

/// What the questions about one case have waited for so far.
pub(super) struct Repeats {
    /// Since it first had to wait; queueing for a slot is no sign of trouble.
    give_up: Option<Instant>,
    failures: u32,
    doublings: u32,
}

impl Repeats {
    /// Nothing was asked yet.
    pub(super) const fn none() -> Self {
        Self { give_up: None, failures: 0, doublings: 0 }
    }

    /// Another question is about to be asked: it may fail as often as the first, and has what is left of its
    /// patience.
    pub(super) const fn next_question(&mut self) {
        (self.failures, self.doublings) = (0, 0);
    }

    /// Waits for a permit to call `name`, also while a breaker is open.
    ///
    /// # Errors
    /// When the breaker stays open for longer than a question waits.
    pub(super) async fn enter(
        &mut self,
        Submission { machine, cell, .. }: Submission<'_>,
        (name, gate): (&str, &ModelGate),
    ) -> Result<Permit, Failure> {
        loop {
            match gate.enter().await {
                Ok(permit) => return Ok(permit),
                Err(open) if open.until < self.give_up() => {
                    let until = open.until;
                    let reason = open.attributed_to(name).reason;
                    machine.hold_back((cell.run, cell.model.key), worker::moment(until), reason);
                    sleep_until(until).await;
                }
                Err(open) => return Err(Failure::given_up(&open.reason)),
            }
        }
    }

    fn give_up(&mut self) -> Instant {
        *self.give_up.get_or_insert_with(|| Instant::now() + PATIENCE)
    }

    /// Waits before the next repeat; answers whether there is to be one. A rate limit is waited for, not
    /// counted; and an endpoint that is down is not the question's fault.
    pub(super) async fn wait(&mut self, machine: &Machine, gate: &ModelGate, retry: Retry) -> bool {
        let Retry::Later { after, counts } = retry else { return false };
        self.failures += u32::from(counts && gate.status().open.is_none());
        let pace = machine.pace;
        let doubled = pace.first_retry.saturating_mul(1 << self.doublings).min(pace.last_retry);
        let again = Instant::now() + after.unwrap_or(doubled);
        if self.failures > REPEATS || again > self.give_up() {
            return false;
        }
        self.doublings = (self.doublings + 1).min(MOST_DOUBLINGS);
        sleep_until(again).await;
        true
    }
}
