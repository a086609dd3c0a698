//! Runs that the board's cells do not show: incomplete results, attempts that were not finished, and how often the board
//! was ranked anew. All of them of runs that may move the board.

use std::collections::HashMap;

use super::{Row, Tx, board};
use crate::domain::id::{EvalKey, ModelKey, ResultId};
use crate::domain::leaderboard::{Attempts, AttemptsByCell, Column, GapCell, Incomplete, LOOKS_DAYS, Later};
use crate::domain::time::Millis;
use crate::error::Result;
use crate::values;

const MILLIS_PER_DAY: i64 = 86_400_000;

/// The latest incomplete results of present model revisions on the versions that count, where there is no complete one.
///
/// # Errors
/// The database's.
pub fn gaps(tx: &mut Tx<'_>) -> Result<Vec<GapCell>> {
    // By id alone, the planner would go through all results in that order and not through the few that are incomplete.
    let gaps = tx.rows(
        "SELECT results.model_id, results.eval_id, results.public_id, results.scored_count, results.planned_count,
                results.score_sum, results.version_id, results.updated_at,
                CASE WHEN eval_versions.epochs <= 1 OR eval_versions.reducer = 'mean' THEN 1 ELSE 0 END AS has_bounds,
                evals.public_id AS eval_public_id, evals.name, evals.category, evals.weight, evals.chance_level,
                evals.higher_is_better, sample_sets.sample_count
         FROM results
         JOIN runs ON runs.id = results.run_id
         JOIN models ON models.revision_id = results.revision_id
         JOIN evals ON evals.id = results.eval_id
         JOIN eval_versions ON eval_versions.id = results.version_id
         JOIN sample_sets ON sample_sets.id = eval_versions.set_id
         LEFT JOIN suite_evals ON suite_evals.eval_id = evals.id
         LEFT JOIN board_cells ON board_cells.revision_id = results.revision_id
                              AND board_cells.version_id = results.version_id
         WHERE results.state = 'incomplete' AND board_cells.result_id IS NULL
           AND results.version_id = COALESCE(suite_evals.version_id, evals.version_id)
           AND models.deleted_at IS NULL AND models.is_active = 1
           AND evals.deleted_at IS NULL AND evals.is_active = 1
           AND runs.on_board = 1 AND runs.epochs IS NULL AND runs.max_samples IS NULL
         ORDER BY results.created_at, results.id",
        &[],
        gap,
    )?;
    // Of several the latest, which comes last.
    let latest: HashMap<(ModelKey, EvalKey), GapCell> =
        gaps.into_iter().map(|gap| ((gap.model, gap.column.key), gap)).collect();
    Ok(latest.into_values().collect())
}

fn gap(row: &Row<'_>) -> Result<GapCell> {
    let (direction, chance) = (board::direction(row)?, row.get::<Option<f64>>("chance_level")?);
    Ok(GapCell {
        model: row.get("model_id")?,
        column: Column {
            key: row.get("eval_id")?,
            id: row.get("eval_public_id")?,
            name: row.get("name")?,
            version: row.get("version_id")?,
            weight: row.get("weight")?,
            own_weight: row.get("weight")?,
            items: row.get("sample_count")?,
            direction,
            chance: chance.map(|chance| direction.counted(chance)),
            counts: false,
            is_provisional: true,
        },
        category: row.get("category")?,
        gap: Incomplete {
            result: row.get("public_id")?,
            scored: row.get("scored_count")?,
            planned: row.get("planned_count")?,
            bounds: board::bounds(row)?,
            at: row.get("updated_at")?,
        },
    })
}

/// The attempts of each model on the versions that the board shows, over all its revisions. A run that scored earlier
/// answers again asked nobody, so that it is no attempt when it was not finished.
///
/// # Errors
/// The database's.
pub fn by_cell(tx: &mut Tx<'_>) -> Result<AttemptsByCell> {
    let mut attempts = AttemptsByCell::new();
    let finished = tx.rows(
        "SELECT board_cells.model_id, board_cells.eval_id, SUM(board_cells.runs) AS runs
         FROM board_cells
         JOIN evals ON evals.id = board_cells.eval_id
         LEFT JOIN suite_evals ON suite_evals.eval_id = evals.id
         WHERE evals.deleted_at IS NULL AND evals.is_active = 1
           AND board_cells.version_id = COALESCE(suite_evals.version_id, evals.version_id)
         GROUP BY board_cells.model_id, board_cells.eval_id",
        &[],
        |row| Ok(((row.get("model_id")?, row.get("eval_id")?), row.get("runs")?)),
    )?;
    for (cell, runs) in finished {
        attempts.insert(cell, Attempts { runs, ..Attempts::default() });
    }
    for unfinished in unfinished(tx)? {
        let own = attempts.entry(unfinished.cell).or_default();
        own.runs += 1;
        own.unfinished += 1;
        if unfinished.is_later {
            own.later = Some(Later { result: unfinished.result, best: unfinished.best });
        }
    }
    Ok(attempts)
}

struct Unfinished {
    cell: (ModelKey, EvalKey),
    result: ResultId,
    /// The best that its counted score could be.
    best: Option<f64>,
    /// Whether it is later than the result that the board shows.
    is_later: bool,
}

/// The incomplete results with at least one score, oldest first.
fn unfinished(tx: &mut Tx<'_>) -> Result<Vec<Unfinished>> {
    tx.rows(
        "SELECT results.model_id, results.eval_id, results.public_id, results.scored_count, results.planned_count,
                results.score_sum, evals.higher_is_better,
                CASE WHEN eval_versions.epochs <= 1 OR eval_versions.reducer = 'mean' THEN 1 ELSE 0 END AS has_bounds,
                CASE WHEN results.run_id > COALESCE(shown_runs.answers_id, shown_runs.id) THEN 1 ELSE 0 END AS is_later
         FROM results
         JOIN runs ON runs.id = results.run_id
         JOIN models ON models.id = results.model_id
         JOIN evals ON evals.id = results.eval_id
         JOIN eval_versions ON eval_versions.id = results.version_id
         LEFT JOIN suite_evals ON suite_evals.eval_id = evals.id
         LEFT JOIN board_cells ON board_cells.revision_id = models.revision_id
                              AND board_cells.version_id = results.version_id
         LEFT JOIN runs AS shown_runs ON shown_runs.id = board_cells.run_id
         WHERE results.state = 'incomplete' AND results.scored_count > 0
           AND results.version_id = COALESCE(suite_evals.version_id, evals.version_id)
           AND models.deleted_at IS NULL AND models.is_active = 1
           AND evals.deleted_at IS NULL AND evals.is_active = 1
           AND runs.on_board = 1 AND runs.epochs IS NULL AND runs.max_samples IS NULL
           AND runs.rescores_id IS NULL
         ORDER BY results.created_at, results.id",
        &[],
        |row| {
            Ok(Unfinished {
                cell: (row.get("model_id")?, row.get("eval_id")?),
                result: row.get("public_id")?,
                best: board::bounds(row)?.map(|bounds| bounds.if_right),
                is_later: row.get("is_later")?,
            })
        },
    )
}

/// How many runs that started in the [`LOOKS_DAYS`] days up to `last` brought at least one complete result: each of them
/// ranked the board anew.
///
/// # Errors
/// The database's.
pub fn looks(tx: &mut Tx<'_>, last: Millis) -> Result<i64> {
    tx.one(
        "SELECT COUNT(*) AS looks
         FROM runs
         WHERE runs.started_at > ?1 AND runs.started_at <= ?2
           AND runs.on_board = 1 AND runs.epochs IS NULL AND runs.max_samples IS NULL
           AND EXISTS (SELECT 1 FROM results WHERE results.run_id = runs.id AND results.state = 'complete')",
        values![last.plus(-LOOKS_DAYS * MILLIS_PER_DAY), last],
        |row| row.get("looks"),
    )
}
