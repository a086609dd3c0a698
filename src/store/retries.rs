//! Retries: a run that is over is opened again for its cases that could not be measured, and one that a cap stopped
//! for what it had not asked.
//!
//! Their rows make way for new ones, and their items wait to be asked. Whether a run may be retried is decided
//! elsewhere.

use std::collections::BTreeMap;

use super::plans::{self, OpenCell};
use super::runs::GAVE_UP;
use super::{Topic, Tx, run_waits, turns};
use crate::domain::id::{EvalKey, ModelKey, ResultKey, RevisionKey, RunKey};
use crate::domain::time::Millis;
use crate::error::{Error, Result};
use crate::values;

/// A finished cell with cases that could not be measured.
#[derive(Debug, Clone)]
pub struct Gap {
    /// The model.
    pub model: ModelKey,
    /// Its pinned revision.
    pub revision: RevisionKey,
    /// The eval.
    pub eval: EvalKey,
    /// The result.
    pub result: ResultKey,
    /// Whom its calls were counted against.
    pub endpoint: String,
    /// Whether the run counts the cell as finished.
    is_counted: bool,
}

/// The cells of a run with cases that could not be measured; those of a deleted model or eval are left out.
///
/// # Errors
/// The database's.
pub fn gaps(tx: &mut Tx<'_>, run: RunKey) -> Result<Vec<Gap>> {
    tx.rows(
        "SELECT run_cells.model_id, run_cells.revision_id, run_cells.eval_id, run_cells.endpoint,
                results.id AS result_id,
                results.case_count >= results.planned_count - run_cells.given_up AS is_counted
         FROM results
         JOIN run_cells ON run_cells.run_id = results.run_id AND run_cells.model_id = results.model_id
                       AND run_cells.eval_id = results.eval_id
         JOIN models ON models.id = results.model_id AND models.deleted_at IS NULL
         JOIN evals ON evals.id = results.eval_id AND evals.deleted_at IS NULL
         WHERE results.run_id = ?1 AND results.provenance = 'run_here' AND run_cells.dropped_at IS NULL
           AND results.error_count + results.unscored_count > 0
         ORDER BY run_cells.position",
        values![run],
        |row| {
            Ok(Gap {
                model: row.get("model_id")?,
                revision: row.get("revision_id")?,
                eval: row.get("eval_id")?,
                result: row.get("result_id")?,
                endpoint: row.get("endpoint")?,
                is_counted: row.get("is_counted")?,
            })
        },
    )
}

/// A cell of a stopped run of which not every case was asked.
#[derive(Debug, Clone)]
pub struct Rest {
    /// Its pinned revision.
    pub revision: RevisionKey,
    /// Whom its calls were counted against.
    pub endpoint: String,
    /// The cell.
    cell: OpenCell,
    /// Its result, once it has a case.
    result: Option<ResultKey>,
    /// Whether its model is deleted, so that nothing more can be asked of it.
    pub is_withdrawn: bool,
}

impl Rest {
    /// Its model and its eval.
    #[must_use]
    pub const fn cell(&self) -> (ModelKey, EvalKey) {
        (self.cell.model, self.cell.eval)
    }
}

/// The cells of a stopped run of which not every case was asked.
///
/// # Errors
/// The database's.
pub fn rest(tx: &mut Tx<'_>, run: RunKey) -> Result<Vec<Rest>> {
    tx.rows(
        "SELECT run_cells.model_id, run_cells.revision_id, run_cells.eval_id, run_cells.endpoint,
                results.id AS result_id, run_cells.samples * run_cells.epochs AS cases, COALESCE(results.case_count, 0) AS recorded,
                models.deleted_at IS NOT NULL AS is_withdrawn
         FROM run_cells
         JOIN models ON models.id = run_cells.model_id
         LEFT JOIN results ON results.run_id = run_cells.run_id AND results.model_id = run_cells.model_id
                          AND results.eval_id = run_cells.eval_id
         WHERE run_cells.run_id = ?1 AND run_cells.dropped_at IS NULL
           AND COALESCE(results.case_count, 0) < run_cells.samples * run_cells.epochs
         ORDER BY run_cells.position",
        values![run],
        |row| {
            let (model, eval) = (row.get("model_id")?, row.get("eval_id")?);
            let (cases, recorded) = (row.get("cases")?, row.get("recorded")?);
            Ok(Rest {
                revision: row.get("revision_id")?,
                endpoint: row.get("endpoint")?,
                cell: OpenCell { run, model, eval, cases, recorded },
                result: row.get("result_id")?,
                is_withdrawn: row.get("is_withdrawn")?,
            })
        },
    )
}

/// Opens a run that is over again, for the gaps of these cells; each comes with the endpoint that it is asked
/// at now. What it had not asked, it never will. The run must have no open items.
///
/// # Errors
/// The database's; `Internal` when a case has no item.
pub fn reopen(tx: &mut Tx<'_>, run: RunKey, gaps: &[(Gap, String)], now: Millis) -> Result<()> {
    give_up_the_rest(tx, run)?;
    tx.execute("UPDATE runs SET planned_at = COALESCE(planned_at, ?2) WHERE id = ?1", values![run, now])?;
    open(tx, run, gaps, &[], now)
}

/// As [`reopen`], and the run goes on with the rest of its plan. It must never have given anything up.
///
/// # Errors
/// As [`reopen`].
pub fn resume(
    tx: &mut Tx<'_>,
    run: RunKey,
    gaps: &[(Gap, String)],
    rest: &[(Rest, String)],
    now: Millis,
) -> Result<()> {
    open(tx, run, gaps, rest, now)
}

fn open(
    tx: &mut Tx<'_>,
    run: RunKey,
    gaps: &[(Gap, String)],
    rest: &[(Rest, String)],
    now: Millis,
) -> Result<()> {
    // Whatever held its models back then, they have their whole time again.
    run_waits::remove_of_run(tx, run)?;
    // Read before the run's own items are back in the queues.
    let mut starts = BTreeMap::new();
    for endpoint in gaps.iter().map(|(_, at)| at).chain(rest.iter().map(|(_, at)| at)) {
        if !starts.contains_key(endpoint) {
            starts.insert(endpoint, turns::present(tx, endpoint, now)?);
        }
    }
    let (mut cases, mut counted) = (0, 0_i64);
    for (gap, endpoint) in gaps {
        cases += reopen_cell(tx, run, gap, endpoint, now)?;
        counted += i64::from(gap.is_counted);
    }
    // Behind the gaps: what is left of a cell then are its scored cases.
    for (rest, endpoint) in rest {
        resume_cell(tx, rest, endpoint, now)?;
    }
    for (endpoint, start) in starts {
        line_up(tx, run, endpoint, start)?;
    }
    tx.execute(
        "UPDATE runs
         SET state = 'running', completed_at = NULL, heartbeat_at = ?2, is_capped = 0,
             error = CASE WHEN is_capped <> 0 OR error LIKE ?6 THEN NULL ELSE NULLIF(error, ?5) END, case_done = case_done - ?3, case_errors = case_errors - ?3,
             completed_count = completed_count - ?4, pace_at = ?2, pace_done = case_done - ?3, mark_at = ?2,
             mark_done = case_done - ?3
         WHERE id = ?1",
        values![run, now, cases, counted, super::runs::NOTHING_MEASURED, &format!("{GAVE_UP}%")],
    )?;
    tx.touch(Topic::Runs);
    tx.touch(Topic::Results);
    tx.touch(Topic::Board);
    Ok(())
}

/// What a stopped run had not asked by then, it never will.
fn give_up_the_rest(tx: &mut Tx<'_>, run: RunKey) -> Result<()> {
    tx.execute(
        "UPDATE run_cells
         SET given_up = samples * epochs - COALESCE(
             (SELECT results.case_count
              FROM results
              WHERE results.run_id = run_cells.run_id AND results.model_id = run_cells.model_id
                AND results.eval_id = run_cells.eval_id), 0)
         WHERE run_id = ?1 AND dropped_at IS NULL
           AND EXISTS (SELECT 1 FROM runs WHERE runs.id = ?1 AND runs.state = 'cancelled')",
        values![run],
    )?;
    tx.execute("UPDATE runs SET given_up = case_total - case_done WHERE id = ?1", values![run])?;
    Ok(())
}

/// Takes the unmeasured cases out of a cell and makes their items ready; answers how many there were.
fn reopen_cell(tx: &mut Tx<'_>, run: RunKey, gap: &Gap, endpoint: &str, now: Millis) -> Result<i64> {
    let items = tx.execute(
        "UPDATE work_items
         SET state = 'ready', endpoint = ?4, run_after = ?5, tries = 0, expiries = 0, last_error = NULL
         WHERE run_id = ?1 AND model_id = ?2 AND eval_id = ?3
           AND (sample_id, epoch) IN (SELECT sample_id, epoch FROM cases
                                      WHERE result_id = ?6 AND state <> 'scored')",
        values![run, gap.model, gap.eval, endpoint, now, gap.result],
    )?;
    let cases = super::cases::remove_unmeasured(tx, gap.result)?;
    if items != cases {
        return Err(Error::internal(format!("{cases} unmeasured cases of a cell have {items} items")));
    }
    super::results::reopen(tx, gap.result, now)?;
    tx.execute(
        "UPDATE run_cells SET finished_at = NULL, endpoint = ?4
         WHERE run_id = ?1 AND model_id = ?2 AND eval_id = ?3",
        values![run, gap.model, gap.eval, endpoint],
    )?;
    i64::try_from(cases).map_err(Error::internal)
}

/// Makes the cancelled items of a cell ready again; a cell that nothing can be asked of is taken out of the plan.
fn resume_cell(tx: &mut Tx<'_>, rest: &Rest, endpoint: &str, now: Millis) -> Result<()> {
    let cell = rest.cell;
    if rest.is_withdrawn {
        return plans::drop_cell(tx, &cell, now);
    }
    tx.execute(
        "UPDATE work_items
         SET state = 'ready', endpoint = ?4, run_after = ?5, tries = 0, expiries = 0, last_error = NULL
         WHERE run_id = ?1 AND model_id = ?2 AND eval_id = ?3 AND state = 'cancelled'",
        values![cell.run, cell.model, cell.eval, endpoint, now],
    )?;
    if let Some(result) = rest.result {
        super::results::reopen(tx, result, now)?;
    }
    tx.execute(
        "UPDATE run_cells SET finished_at = NULL, endpoint = ?4
         WHERE run_id = ?1 AND model_id = ?2 AND eval_id = ?3",
        values![cell.run, cell.model, cell.eval, endpoint],
    )
    .map(drop)
}

/// Puts the run's items where the endpoint stands now, in their old order: those of other runs that came since
/// take turns with them.
fn line_up(tx: &mut Tx<'_>, run: RunKey, endpoint: &str, start: i64) -> Result<()> {
    tx.execute(
        "UPDATE work_items
         SET priority = ?3 + line.place
         FROM (SELECT id, ROW_NUMBER() OVER (ORDER BY priority, id) - 1 AS place
               FROM work_items
               WHERE run_id = ?1 AND endpoint = ?2 AND state = 'ready') AS line
         WHERE line.id = work_items.id",
        values![run, endpoint, start],
    )?;
    Ok(())
}
