//! Recording: a case, its result, its run and the board, in one transaction. It calls nobody.

use crate::domain::cases::Record;
use crate::domain::id::{CaseId, EvalKey, ModelKey, ResultId, ResultKey, RunKey};
use crate::domain::results::{self, ResultState};
use crate::domain::stats::{Measure, Reducer};
use crate::domain::time::Millis;
use crate::error::{Error, Result};
use crate::store::work_items::{End, Leased};
use crate::store::{self, Tx, board, plans, runs, work_items};

use super::scorer;

/// Items that the transaction which stops a run cancels itself.
const CHUNK: u32 = 2_000;

/// Ids for what a recording makes; made outside the transaction, which may run twice.
#[derive(Debug, Clone)]
pub struct Fresh {
    /// For the case.
    pub case: CaseId,
    /// For the result, should this be the first case of its cell.
    pub result: ResultId,
}

/// Whether a recording counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It did.
    Counted,
    /// It did, and with it the run's budget is spent: the run was stopped.
    Exhausted,
    /// The lease was lost, or the run is over, or the cell was taken out of it: nothing was stored.
    Late,
}

/// Records what came of an item, if this attempt still holds it.
///
/// # Errors
/// The database's.
pub fn case(
    tx: &mut Tx<'_>,
    item: &Leased,
    record: &Record,
    passed: bool,
    fresh: &Fresh,
    now: Millis,
) -> Result<Recorded> {
    let end = if record.error.is_some() { End::Failed } else { End::Done };
    if !work_items::end(tx, item.key, item.attempt, end)? {
        return Ok(Recorded::Late);
    }
    let cell = (item.run, item.model, item.eval);
    let Some(counted) = store::results::count_case(tx, cell, &fresh.result, record, passed, now)? else {
        return Ok(Recorded::Late);
    };
    let sample = (item.sample_key, item.epoch);
    store::cases::insert(tx, &fresh.case, counted.key, sample, record, now)?;
    if counted.is_last {
        finish_cell(tx, cell, counted.key, now)?;
    }
    let cost_usd = match record.error {
        Some(_) => Some(record.cost_usd.unwrap_or(0.0)),
        None => record.cost_usd.map(|cost| cost + record.grader_cost_usd.unwrap_or(0.0)),
    };
    let progress =
        runs::Progress { failed: record.score.is_none(), finished_cell: counted.is_last, cost_usd };
    let has_budget = runs::advance(tx, item.run, progress, now)?;
    Ok(if has_budget && hold_budget(tx, item.run, now)? { Recorded::Exhausted } else { Recorded::Counted })
}

/// Stops a run with a budget once it is spent, and says so in it; answers whether it did.
fn hold_budget(tx: &mut Tx<'_>, key: RunKey, now: Millis) -> Result<bool> {
    let Some(why) = runs::get_by_key(tx, key)?.overspent() else { return Ok(false) };
    let was_open = cancel(tx, key, now)?;
    if was_open {
        runs::note(tx, key, &why)?;
        // The engine clears away the rest.
        work_items::cancel_orphans(tx, key, CHUNK)?;
    }
    Ok(was_open)
}

/// Brings a cell that gets no more cases to its score, and puts it on the board if it counts there.
///
/// # Errors
/// The database's.
pub fn finish_cell(
    tx: &mut Tx<'_>,
    cell: (RunKey, ModelKey, EvalKey),
    result: ResultKey,
    now: Millis,
) -> Result<()> {
    let finished = store::results::finished(tx, result)?;
    let measure = if scorer::is_binary(&finished.scorer) { Measure::Binary } else { Measure::Continuous };
    let samples = usize::try_from(finished.samples).unwrap_or(0);
    let epochs = usize::try_from(finished.epochs).unwrap_or(1);
    let reducer = Reducer::parse(&finished.reducer)
        .ok_or_else(|| Error::internal(format!("unknown reducer {}", finished.reducer)))?;
    let rules = results::Rules { measure, reducer, pass_threshold: finished.pass_threshold };
    let aggregate = results::aggregate(&finished.cases, samples, epochs, rules);
    store::results::finish(tx, result, &aggregate, now)?;
    plans::finish(tx, cell.0, cell.1, cell.2, now)?;
    if aggregate.state == ResultState::Complete && runs::get_by_key(tx, cell.0)?.settings.moves_board() {
        board::put(tx, result, finished.was_complete)?;
        board::settle_suite(tx, now)?;
    }
    Ok(())
}

/// Takes unfinished cells out of their runs: what was recorded of them becomes a result, the rest will never
/// be asked. Runs that have nothing left to do end.
///
/// # Errors
/// The database's.
pub fn drop_cells(tx: &mut Tx<'_>, cells: &[plans::OpenCell], now: Millis) -> Result<()> {
    for cell in cells {
        plans::drop_cell(tx, cell, now)?;
        let place = (cell.run, cell.model, cell.eval);
        if let Some(result) = store::results::of_cell(tx, place)? {
            finish_cell(tx, place, result, now)?;
        }
        runs::complete_if_done(tx, cell.run, now)?;
    }
    Ok(())
}

/// Cancels an open run: its cells with cases are finished as they are. Answers whether it was open.
///
/// # Errors
/// The database's.
pub fn cancel(tx: &mut Tx<'_>, run: RunKey, now: Millis) -> Result<bool> {
    if !runs::get_by_key(tx, run)?.state.is_open() {
        return Ok(false);
    }
    for cell in plans::open(tx, plans::Which::Run(run))? {
        let place = (cell.run, cell.model, cell.eval);
        if let Some(result) = store::results::of_cell(tx, place)? {
            finish_cell(tx, place, result, now)?;
        }
    }
    runs::cancel(tx, run, now)
}
