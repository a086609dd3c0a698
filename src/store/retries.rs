//! Retries: a run that is over is opened again for its cases that could not be measured.
//!
//! Their rows make way for new ones, and their items wait to be asked. Whether a run may be retried is decided
//! elsewhere.

use std::collections::BTreeMap;

use super::{Topic, Tx, turns};
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

/// Opens a run that is over again, for the gaps of these cells; each comes with the endpoint that it is asked
/// at now. The run must have no open items.
///
/// # Errors
/// The database's; `Internal` when a case has no item.
pub fn reopen(tx: &mut Tx<'_>, run: RunKey, gaps: &[(Gap, String)], now: Millis) -> Result<()> {
    give_up_the_rest(tx, run)?;
    // Read before the run's own items are back in the queues.
    let mut starts = BTreeMap::new();
    for (_, endpoint) in gaps {
        if !starts.contains_key(endpoint) {
            starts.insert(endpoint, turns::present(tx, endpoint, now)?);
        }
    }
    let (mut cases, mut counted) = (0, 0_i64);
    for (gap, endpoint) in gaps {
        cases += reopen_cell(tx, run, gap, endpoint, now)?;
        counted += i64::from(gap.is_counted);
    }
    for (endpoint, start) in starts {
        line_up(tx, run, endpoint, start)?;
    }
    tx.execute(
        "UPDATE runs
         SET state = 'running', completed_at = NULL, heartbeat_at = ?2, planned_at = COALESCE(planned_at, ?2),
             error = NULLIF(error, ?5), case_done = case_done - ?3, case_errors = case_errors - ?3,
             completed_count = completed_count - ?4, pace_at = ?2, pace_done = case_done - ?3, mark_at = ?2,
             mark_done = case_done - ?3
         WHERE id = ?1",
        values![run, now, cases, counted, super::runs::NOTHING_MEASURED],
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
