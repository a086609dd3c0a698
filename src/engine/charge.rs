//! Charges: what a case cost on the operator's keys, and the cap of the person whose run it is of.
//!
//! Whether a run may be started at all is the service's to say.

use super::cells::Cell;
use super::record;
use crate::domain::cases::Record;
use crate::domain::id::{RunKey, UserKey};
use crate::domain::spending::Charge;
use crate::domain::time::Millis;
use crate::error::Result;
use crate::store::{Tx, runs, spending, users, work_items};

/// What cases of a run are charged with, and against what.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bill {
    /// What they cost on the operator's keys.
    pub(super) charge: Charge,
    /// The cap in US dollars a day of members who have none of their own.
    pub(super) default_cap: Option<f64>,
}

/// What the case of `record` cost there. A call that failed has no known cost and counts as nothing, as it does
/// in the run's own cost.
pub(super) fn of(cell: &Cell, record: &Record) -> Charge {
    // Where an answer is scored again, an earlier run has paid for it.
    let model = match (cell.model.on_operator && !record.is_rescored, &record.error) {
        (false, _) => Charge::Nothing,
        (true, None) => Charge::of(record.cost_usd),
        (true, Some(_)) => record.cost_usd.map_or(Charge::Nothing, Charge::Usd),
    };
    let is_graded_there = cell.grader.as_ref().is_some_and(|grader| grader.on_operator);
    // Who was asked leaves a transcript, whatever came of it.
    let was_asked = record.transcript.is_some();
    let grader =
        if is_graded_there && was_asked { Charge::of(record.grader_cost_usd) } else { Charge::Nothing };
    model.and(grader)
}

/// Adds a charge to what the owner of `run` spent today. When his cap is reached with it, his open runs that ask
/// something on the operator's keys are stopped, and say so; answers which.
pub(super) fn hold_cap(tx: &mut Tx<'_>, run: RunKey, bill: Bill, now: Millis) -> Result<Vec<RunKey>> {
    if bill.charge == Charge::Nothing {
        return Ok(Vec::new());
    }
    let owner = runs::get_by_key(tx, run)?.owner;
    spending::add(tx, owner, bill.charge, now)?;
    stop_capped(tx, (run, owner), bill.default_cap, now)
}

/// Stops the open runs of a member that ask something on the operator's keys, and `run` with them, if the member's cap
/// is reached; returns those that were stopped.
///
/// # Errors
/// The database's.
pub(super) fn stop_capped(
    tx: &mut Tx<'_>,
    (run, owner): (RunKey, UserKey),
    default_cap: Option<f64>,
    now: Millis,
) -> Result<Vec<RunKey>> {
    let (owner, _) = users::get(tx, owner)?;
    let allowance = spending::allowance(tx, &owner, default_cap, now)?;
    let Some(why) = allowance.exhausted("its owner's") else { return Ok(Vec::new()) };
    let why = format!("stopped: {why}; retry the run after {}", allowance.renewed());
    let mut open = spending::open_runs(tx, owner.key)?;
    // A model may have lost its own key since the run began.
    if !open.contains(&run) {
        open.push(run);
    }
    let mut stopped = Vec::new();
    for run in open {
        // One that ended with this very case has nothing left to stop.
        if record::cancel(tx, run, now)? {
            runs::mark_capped(tx, run, &why)?;
            // The engine clears away the rest.
            work_items::cancel_orphans(tx, run, record::CHUNK)?;
            stopped.push(run);
        }
    }
    Ok(stopped)
}
