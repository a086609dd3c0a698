//! What deleted evals leave, removed in small steps: it was hidden when they were deleted.

use super::{Tx, results};
use crate::domain::id::{CellKey, ResultKey};
use crate::error::Result;
use crate::values;

/// Removes about `limit` rows that belong to deleted evals; answers whether there were any.
///
/// # Errors
/// The database's.
pub fn step(tx: &mut Tx<'_>, limit: u32) -> Result<bool> {
    let cell = tx.first(
        "SELECT run_cells.run_id, run_cells.model_id, run_cells.eval_id
         FROM evals
         JOIN run_cells ON run_cells.eval_id = evals.id
         WHERE evals.deleted_at IS NOT NULL
         ORDER BY run_cells.id
         LIMIT 1",
        &[],
        |row| Ok((row.get("run_id")?, row.get("model_id")?, row.get("eval_id")?)),
    )?;
    let Some(cell) = cell else { return Ok(false) };
    if items(tx, cell, limit)? {
        return Ok(true);
    }
    if let Some(result) = results::of_cell(tx, cell)? {
        if cases(tx, result, limit)? {
            return Ok(true);
        }
        tx.execute("DELETE FROM board_cells WHERE result_id = ?1", values![result])?;
        tx.execute("DELETE FROM item_scores WHERE result_id = ?1", values![result])?;
        tx.execute("DELETE FROM results WHERE id = ?1", values![result])?;
    }
    tx.execute(
        "DELETE FROM run_cells WHERE run_id = ?1 AND model_id = ?2 AND eval_id = ?3",
        values![cell.0, cell.1, cell.2],
    )?;
    Ok(true)
}

fn cases(tx: &mut Tx<'_>, result: ResultKey, limit: u32) -> Result<bool> {
    const CHUNK: &str = "(SELECT id FROM cases WHERE result_id = ?1 ORDER BY id LIMIT ?2)";
    tx.execute(&format!("DELETE FROM overrules WHERE case_id IN {CHUNK}"), values![result, limit])?;
    tx.execute(&format!("DELETE FROM case_texts WHERE case_id IN {CHUNK}"), values![result, limit])?;
    Ok(tx.execute(&format!("DELETE FROM cases WHERE id IN {CHUNK}"), values![result, limit])? > 0)
}

fn items(tx: &mut Tx<'_>, cell: CellKey, limit: u32) -> Result<bool> {
    let removed = tx.execute(
        "DELETE FROM work_items
         WHERE id IN (
             SELECT id
             FROM work_items
             WHERE run_id = ?1 AND model_id = ?2 AND eval_id = ?3
             ORDER BY id
             LIMIT ?4
         )",
        values![cell.0, cell.1, cell.2, limit],
    )?;
    Ok(removed > 0)
}
