//! Recording: cases, their results, their runs and the board, in one transaction. It calls nobody.

use std::collections::BTreeMap;

use super::charge::{self, Bill};
use super::scorer;
use crate::domain::cases::{Record, Tally};
use crate::domain::id::{CaseId, CaseKey, CellKey, EvalKey, ResultId, ResultKey, RunKey};
use crate::domain::results::{self, ResultState};
use crate::domain::spending::Charge;
use crate::domain::stats::{Measure, Reducer};
use crate::domain::time::Millis;
use crate::error::{Error, Result};
use crate::store::runs::Progress;
use crate::store::work_items::{End, Held};
use crate::store::{self, Topic, Tx, board, plans, runs, work_items};

/// Items that the transaction which stops a run cancels itself.
pub(super) const CHUNK: u32 = 2_000;

/// A case that is to be recorded. Its ids are made outside the transaction, which may run twice.
#[derive(Debug, Clone)]
pub struct Finished {
    item: Held,
    record: Record,
    passed: bool,
    /// What it cost on the operator's keys.
    charge: Charge,
    case: CaseId,
    /// For the result, should this be the first case of its cell.
    result: ResultId,
}

impl Finished {
    /// What came of an item by `now`, whether that reached the eval's pass threshold, and what it cost on the
    /// operator's keys.
    #[must_use]
    pub fn new(item: Held, record: Record, passed: bool, charge: Charge, now: Millis) -> Self {
        Self { item, record, passed, charge, case: CaseId::fresh_at(now), result: ResultId::fresh() }
    }
}

/// What became of a recording.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Cases that were stored and counted.
    pub counted: usize,
    /// Cases of which nothing was stored: the lease was lost, or the run is over, or the cell was taken out of it.
    pub late: usize,
    /// Runs whose budget is spent with this, or their owner's cap: they were stopped.
    pub exhausted: Vec<RunKey>,
}

/// Records what came of items, of those that their attempt still holds: each case, its item's end, and its share of
/// the result, the run and the board; and charges them to the owners of their runs, of whom members without a cap of
/// their own may spend `default_cap` US dollars a day.
///
/// # Errors
/// The database's; then nothing of it may be kept.
pub fn cases(
    tx: &mut Tx<'_>,
    finished: &[Finished],
    default_cap: Option<f64>,
    now: Millis,
) -> Result<Recorded> {
    let mut cells: BTreeMap<CellKey, Vec<&Finished>> = BTreeMap::new();
    let mut recorded = Recorded::default();
    // A case that comes too late was paid for all the same.
    let mut late: BTreeMap<RunKey, Charge> = BTreeMap::new();
    for one in finished {
        let end = if one.record.error.is_some() { End::Failed } else { End::Done };
        if work_items::end(tx, &one.item, end)? {
            cells.entry(one.item.cell()).or_default().push(one);
        } else {
            add_late(&mut late, one);
        }
    }
    let mut runs: BTreeMap<RunKey, (Progress, Charge)> = BTreeMap::new();
    let mut key = store::cases::next_key(tx)?;
    for (cell, cases) in cells {
        if let Some(progress) = of_cell(tx, cell, &cases, &mut key, now)? {
            recorded.counted += cases.len();
            let of_run = runs.entry(cell.0).or_insert((Progress::default(), Charge::Nothing));
            of_run.0.add(progress);
            of_run.1 = cases.iter().fold(of_run.1, |sum, one| sum.and(one.charge));
        } else {
            // Without a case they were not done: a run that goes on asks them again.
            cases.iter().try_for_each(|one| work_items::withdraw(tx, one.item.key))?;
            cases.iter().for_each(|one| add_late(&mut late, one));
        }
    }
    let mut held = Vec::new();
    // All of them before one is held to a cap, which may stop others: what ends with these cases has ended.
    for (run, (progress, charge)) in runs {
        held.push((run, charge, store::runs::advance(tx, run, progress, now)?));
    }
    for (run, charge, has_budget) in held {
        recorded.exhausted.extend(charge::hold_cap(tx, run, Bill { charge, default_cap }, now)?);
        if has_budget && hold_budget(tx, run, now)? {
            recorded.exhausted.push(run);
        }
    }
    for (run, charge) in late {
        recorded.exhausted.extend(charge::hold_cap(tx, run, Bill { charge, default_cap }, now)?);
    }
    recorded.late = finished.len() - recorded.counted;
    Ok(recorded)
}

fn add_late(late: &mut BTreeMap<RunKey, Charge>, one: &Finished) {
    let sum = late.entry(one.item.run).or_insert(Charge::Nothing);
    *sum = sum.and(one.charge);
}

/// Records cases of one cell, with keys from `key` on; none when the cell takes no more.
fn of_cell(
    tx: &mut Tx<'_>,
    cell: CellKey,
    cases: &[&Finished],
    key: &mut CaseKey,
    now: Millis,
) -> Result<Option<Progress>> {
    let mut tally = Tally::default();
    for one in cases {
        tally.add(&one.record, one.passed);
    }
    let Some(first) = cases.first() else { return Ok(None) };
    let Some(counted) = store::results::count(tx, cell, &first.result, &tally, now)? else {
        return Ok(None);
    };
    for one in cases {
        let sample = (one.item.sample, one.item.epoch);
        store::cases::insert(tx, *key, &one.case, counted.key, sample, &one.record, now)?;
        key.0 += 1;
    }
    if counted.is_last {
        finish_cell(tx, cell, counted.key, now)?;
    }
    Ok(Some(Progress {
        cases: tally.cases,
        failed: tally.cases - tally.scored,
        finished_cells: i64::from(counted.is_last),
        cost_usd: tally.spent_usd,
    }))
}

/// Stops a run with a budget once it is spent, and says so in it; answers whether it did.
///
/// # Errors
/// The database's.
pub(super) fn hold_budget(tx: &mut Tx<'_>, key: RunKey, now: Millis) -> Result<bool> {
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
pub fn finish_cell(tx: &mut Tx<'_>, cell: CellKey, result: ResultKey, now: Millis) -> Result<()> {
    let finished = store::results::finished(tx, result)?;
    plans::finish(tx, cell.0, cell.1, cell.2, now)?;
    settle(tx, cell.0, result, &finished, now, now)
}

/// Brings a finished cell to its score anew, as it was brought to it when it was finished: verdicts on its cases have
/// changed. It stays as old as its answers.
///
/// # Errors
/// The database's.
pub fn revise_cell(tx: &mut Tx<'_>, cell: CellKey, result: ResultKey, now: Millis) -> Result<()> {
    let unmeasured = store::overrules::recount(tx, result)?;
    if unmeasured != 0 {
        runs::remeasure(tx, cell.0, unmeasured)?;
    }
    let finished = store::results::finished(tx, result)?;
    settle(tx, cell.0, result, &finished, finished.updated_at, now)
}

/// Gives a cell that was finished at `at` its score, and its place on the board.
fn settle(
    tx: &mut Tx<'_>,
    run: RunKey,
    result: ResultKey,
    finished: &store::results::Finished,
    at: Millis,
    now: Millis,
) -> Result<()> {
    let aggregate = aggregate(finished)?;
    store::results::finish(tx, result, &aggregate, at)?;
    if !runs::get_by_key(tx, run)?.settings.moves_board() {
        return Ok(());
    }
    if aggregate.state == ResultState::Complete {
        board::put(tx, result, finished.was_complete)?;
    } else if finished.was_complete {
        board::withdraw(tx, result)?;
    } else {
        // It fills no cell, but the board says why.
        tx.touch(Topic::Board);
        return Ok(());
    }
    board::settle_suite(tx, now)
}

fn aggregate(finished: &store::results::Finished) -> Result<results::Aggregate> {
    let measure = if scorer::is_binary(&finished.scorer) { Measure::Binary } else { Measure::Continuous };
    let samples = usize::try_from(finished.samples).unwrap_or(0);
    let epochs = usize::try_from(finished.epochs).unwrap_or(1);
    let reducer = Reducer::parse(&finished.reducer)
        .ok_or_else(|| Error::internal(format!("unknown reducer {}", finished.reducer)))?;
    let rules = results::Rules { measure, reducer, pass: finished.pass };
    Ok(results::aggregate(&finished.cases, samples, epochs, rules))
}

/// Brings the finished results of an eval to their scores anew: which way its scores are better has changed. What
/// passed, what is missing and how epochs are reduced depends on that; which cells are complete does not.
///
/// # Errors
/// The database's.
pub fn revise_eval(tx: &mut Tx<'_>, eval: EvalKey) -> Result<()> {
    for result in store::results::finished_of_eval(tx, eval)? {
        let finished = store::results::finished(tx, result)?;
        store::results::finish(tx, result, &aggregate(&finished)?, finished.updated_at)?;
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
