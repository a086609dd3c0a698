//! Reservations: before a case is asked, the most that its calls are expected to cost is held against every budget and
//! cap that they draw on; afterwards what they cost. So what is under way counts, and all of it together stays below a
//! cap, but for the one case that may go above it.
//!
//! This is the one place that reserves, settles and releases. [`Reservation`] is a guard: whatever becomes of its case
//! (an error, a cancelled run, a task that is dropped), what it holds is free again with it. Nothing of it is stored; a
//! process that ends leaves nothing behind but leases, which run out.

mod accounts;
mod case;
mod estimate;
mod ledger;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::id::ModelKey;
use crate::domain::models::Prices;

use accounts::Account;
pub(super) use accounts::{CellAccounts, PayingRun};
pub(super) use case::Reserved;
use ledger::{Admission, Granted, Ledger, Unread};

/// The part of a case that a draw pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The call of the model.
    Model,
    /// The calls of its grader.
    Grader,
}

/// A model at its prices: what one call of it has cost is known for the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct PricedModel {
    model: ModelKey,
    /// Input and output, as bits.
    prices: [Option<u64>; 2],
}

impl PricedModel {
    fn new(model: ModelKey, prices: Prices) -> Self {
        Self { model, prices: [prices.input.map(f64::to_bits), prices.output.map(f64::to_bits)] }
    }
}

/// What one part of a case draws on, and how much at most.
#[derive(Debug, Clone)]
struct Draw {
    part: Part,
    /// One or more, each once.
    accounts: Vec<Account>,
    model: PricedModel,
    /// The host and key that are called.
    endpoint: String,
    /// US dollars; none when its price is unknown.
    estimate_usd: Option<f64>,
}

/// All amounts that are held: cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Reservations(Arc<Mutex<Ledger>>);

/// The amounts that are held for one case, until it is dropped.
pub(super) struct Reservation {
    reservations: Reservations,
    granted: Vec<Granted>,
}

/// Somebody reads the funds of accounts, until it is dropped.
struct Reading {
    reservations: Reservations,
    unread: Unread,
    is_done: bool,
}

impl Reservations {
    fn lock(&self) -> MutexGuard<'_, Ledger> {
        // Nothing in the ledger can panic half-way; a poisoned lock guards a whole state.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hold(&self, granted: Vec<Granted>) -> Reservation {
        Reservation { reservations: self.clone(), granted }
    }

    fn reading(&self, unread: Unread) -> Reading {
        Reading { reservations: self.clone(), unread, is_done: false }
    }
}

impl Reservation {
    /// Holds what a part cost in place of its estimate; none when that is unknown.
    pub(super) fn settle(&mut self, part: Part, cost_usd: Option<f64>) {
        let mut ledger = self.reservations.lock();
        for granted in self.granted.iter_mut().filter(|granted| granted.draw.part == part) {
            ledger.settle(granted, cost_usd);
        }
    }

    /// Holds nothing more for a part that was not called.
    pub(super) fn withdraw(&mut self, part: Part) {
        let mut ledger = self.reservations.lock();
        for granted in self.granted.iter_mut().filter(|granted| granted.draw.part == part) {
            ledger.withdraw(granted);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.granted.is_empty() {
            self.reservations.lock().release(&self.granted);
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if !self.is_done {
            self.reservations.lock().fund(&self.unread, None);
        }
    }
}
