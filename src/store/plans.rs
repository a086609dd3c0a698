//! Plans: the model x eval cells of a run, and the work items made from them in chunks.
//!
//! What a cell's cases amount to stands in its result, not here.

use super::turns::{Turn, Turns};
use super::{Topic, Tx, models, runs};
use crate::domain::id::{
    CellKey, EvalKey, ModelKey, PriceKey, RevisionKey, RunKey, SampleSetKey, VersionKey,
};
use crate::domain::models::Prices;
use crate::domain::runs::Cell;
use crate::domain::time::Millis;
use crate::error::Result;
use crate::values;

/// Stores the cells of a new run, each with its turns on its endpoint.
///
/// # Errors
/// The database's.
pub(super) fn insert(tx: &mut Tx<'_>, run: RunKey, cells: &[Cell], now: Millis) -> Result<()> {
    let mut turns = Turns::over(cells);
    for (position, cell) in (0_i64..).zip(cells) {
        let Turn { first, step } = turns.next(tx, cell, now)?;
        tx.execute(
            "INSERT INTO run_cells (run_id, position, model_id, revision_id, price_id, eval_id, version_id,
                                    endpoint, first_priority, samples, epochs, priority_step)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            values![
                run,
                position,
                cell.model,
                cell.revision,
                cell.price,
                cell.eval,
                cell.version,
                &cell.endpoint,
                first,
                cell.samples,
                cell.epochs,
                step,
            ],
        )?;
    }
    Ok(())
}

/// Makes about `limit` more work items of the oldest run that is not planned to its end.
/// Answers whether there may be more to plan.
///
/// # Errors
/// The database's.
pub fn extend(tx: &mut Tx<'_>, limit: i64, now: Millis) -> Result<bool> {
    Ok(extend_after(tx, None, limit, now)?.is_some())
}

/// Makes about `limit` more work items of the first run after `last` that is not planned to its end, or of the oldest
/// where there is none: runs take turns, so that a large one keeps no other from beginning. Returns which run it was;
/// none when all are planned.
///
/// # Errors
/// The database's.
pub fn extend_after(
    tx: &mut Tx<'_>,
    last: Option<RunKey>,
    limit: i64,
    now: Millis,
) -> Result<Option<RunKey>> {
    let next = tx.first(
        "SELECT id, plan_cell, plan_sample
         FROM runs
         WHERE state IN ('queued', 'running') AND planned_at IS NULL
         ORDER BY CASE WHEN id > ?1 THEN 0 ELSE 1 END, id
         LIMIT 1",
        values![last.unwrap_or(RunKey(0))],
        |row| Ok((row.get("id")?, row.get("plan_cell")?, row.get("plan_sample")?)),
    )?;
    let Some((run, mut position, mut sample)) = next else { return Ok(None) };
    let mut room = limit;
    while room > 0 {
        let Some(cell) = next_cell(tx, run, position)? else {
            tx.execute("UPDATE runs SET planned_at = ?2 WHERE id = ?1", values![run, now])?;
            runs::complete_if_done(tx, run, now)?;
            break;
        };
        // The cell that was being planned may be gone with its eval.
        if cell.position > position {
            (position, sample) = (cell.position, 0);
        }
        let chunk = (room / cell.epochs).max(1).min(cell.samples - sample);
        make_items(tx, run, &cell, sample, chunk, now)?;
        room -= chunk * cell.epochs;
        sample += chunk;
        if sample >= cell.samples {
            (position, sample) = (position + 1, 0);
        }
    }
    tx.execute(
        "UPDATE runs SET plan_cell = ?2, plan_sample = ?3 WHERE id = ?1",
        values![run, position, sample],
    )?;
    Ok(Some(run))
}

struct PlannedCell {
    position: i64,
    model: ModelKey,
    eval: EvalKey,
    set: SampleSetKey,
    endpoint: String,
    first_priority: i64,
    priority_step: i64,
    samples: i64,
    epochs: i64,
}

fn next_cell(tx: &mut Tx<'_>, run: RunKey, position: i64) -> Result<Option<PlannedCell>> {
    tx.first(
        "SELECT run_cells.position, run_cells.model_id, run_cells.eval_id, eval_versions.set_id,
                run_cells.endpoint, run_cells.first_priority, run_cells.priority_step, run_cells.samples,
                run_cells.epochs
         FROM run_cells
         JOIN eval_versions ON eval_versions.id = run_cells.version_id
         WHERE run_cells.run_id = ?1 AND run_cells.position >= ?2 AND run_cells.dropped_at IS NULL
         ORDER BY run_cells.position
         LIMIT 1",
        values![run, position],
        |row| {
            Ok(PlannedCell {
                position: row.get("position")?,
                model: row.get("model_id")?,
                eval: row.get("eval_id")?,
                set: row.get("set_id")?,
                endpoint: row.get("endpoint")?,
                first_priority: row.get("first_priority")?,
                priority_step: row.get("priority_step")?,
                samples: row.get("samples")?,
                epochs: row.get("epochs")?,
            })
        },
    )
}

fn make_items(
    tx: &mut Tx<'_>,
    run: RunKey,
    cell: &PlannedCell,
    from: i64,
    samples: i64,
    now: Millis,
) -> Result<()> {
    tx.execute(
        "WITH RECURSIVE epochs (epoch) AS (
             SELECT 1
             UNION ALL
             SELECT epoch + 1 FROM epochs WHERE epoch < ?1
         )
         INSERT INTO work_items (run_id, model_id, eval_id, sample_id, epoch, endpoint, state, priority,
                                 run_after, attempt, tries, expiries)
         SELECT ?2, ?3, ?4, samples.id, epochs.epoch, ?5, 'ready',
                ?6 + (samples.position * ?1 + epochs.epoch - 1) * ?11, ?7, 0, 0, 0
         FROM samples
         CROSS JOIN epochs
         WHERE samples.set_id = ?8 AND samples.position >= ?9 AND samples.position < ?10",
        values![
            cell.epochs,
            run,
            cell.model,
            cell.eval,
            &cell.endpoint,
            cell.first_priority,
            now,
            cell.set,
            from,
            from + samples,
            cell.priority_step,
        ],
    )?;
    Ok(())
}

/// What a cell was pinned to.
#[derive(Debug, Clone, Copy)]
pub struct Pins {
    /// The model's revision.
    pub revision: RevisionKey,
    /// The eval's version.
    pub version: VersionKey,
    /// The prices.
    pub price: PriceKey,
    /// What they are.
    pub prices: Prices,
    /// The run whose answers are scored again; none when the model is asked.
    pub rescores: Option<RunKey>,
}

/// What an unfinished cell of an open run is pinned to; none when there is no such cell any more.
///
/// # Errors
/// The database's.
pub fn pins(tx: &mut Tx<'_>, cell: CellKey) -> Result<Option<Pins>> {
    let pins = tx.first(
        "SELECT run_cells.revision_id, run_cells.version_id, run_cells.price_id, runs.rescores_id
         FROM run_cells
         JOIN runs ON runs.id = run_cells.run_id
         WHERE run_cells.run_id = ?1 AND run_cells.model_id = ?2 AND run_cells.eval_id = ?3
           AND run_cells.finished_at IS NULL AND run_cells.dropped_at IS NULL
           AND runs.state IN ('queued', 'running')",
        values![cell.0, cell.1, cell.2],
        |row| {
            let rescores: Option<RunKey> = row.get("rescores_id")?;
            Ok((row.get("revision_id")?, row.get("version_id")?, row.get("price_id")?, rescores))
        },
    )?;
    let Some((revision, version, price, rescores)) = pins else { return Ok(None) };
    let prices = models::price_snapshot(tx, price)?;
    Ok(Some(Pins { revision, version, price, prices, rescores }))
}

/// A cell that is not finished, in a run that is open.
#[derive(Debug, Clone, Copy)]
pub struct OpenCell {
    /// The run.
    pub run: RunKey,
    /// The model.
    pub model: ModelKey,
    /// The eval.
    pub eval: EvalKey,
    /// Cases planned for it.
    pub cases: i64,
    /// Cases recorded of it.
    pub recorded: i64,
}

/// Whose cells are meant.
#[derive(Debug, Clone, Copy)]
pub enum Which {
    /// Those of a run.
    Run(RunKey),
    /// Those of a model, in every run.
    Model(ModelKey),
}

/// Unfinished cells of open runs.
///
/// # Errors
/// The database's.
pub fn open(tx: &mut Tx<'_>, which: Which) -> Result<Vec<OpenCell>> {
    let (column, key) = match which {
        Which::Run(run) => ("run_cells.run_id", run.0),
        Which::Model(model) => ("run_cells.model_id", model.0),
    };
    tx.rows(
        &format!(
            "SELECT run_cells.run_id, run_cells.model_id, run_cells.eval_id,
                    run_cells.samples * run_cells.epochs AS cases, COALESCE(results.case_count, 0) AS recorded
             FROM run_cells
             JOIN runs ON runs.id = run_cells.run_id
             LEFT JOIN results ON results.run_id = run_cells.run_id AND results.model_id = run_cells.model_id
                              AND results.eval_id = run_cells.eval_id
             WHERE {column} = ?1 AND run_cells.finished_at IS NULL AND run_cells.dropped_at IS NULL
               AND runs.state IN ('queued', 'running')
             ORDER BY run_cells.id"
        ),
        values![key],
        |row| {
            Ok(OpenCell {
                run: row.get("run_id")?,
                model: row.get("model_id")?,
                eval: row.get("eval_id")?,
                cases: row.get("cases")?,
                recorded: row.get("recorded")?,
            })
        },
    )
}

/// Takes a cell out of its run's plan: what was not recorded of it will never be.
///
/// # Errors
/// The database's.
pub fn drop_cell(tx: &mut Tx<'_>, cell: &OpenCell, now: Millis) -> Result<()> {
    if cell.recorded == 0 {
        tx.execute(
            "UPDATE run_cells SET dropped_at = ?4 WHERE run_id = ?1 AND model_id = ?2 AND eval_id = ?3",
            values![cell.run, cell.model, cell.eval, now],
        )?;
    } else {
        finish(tx, cell.run, cell.model, cell.eval, now)?;
    }
    tx.execute(
        "UPDATE runs
         SET case_total = case_total - ?2, completed_count = completed_count + ?3,
             given_up = given_up - (SELECT given_up FROM run_cells
                                    WHERE run_id = ?1 AND model_id = ?4 AND eval_id = ?5),
             total_models = (SELECT COUNT(DISTINCT model_id) FROM run_cells
                             WHERE run_id = ?1 AND dropped_at IS NULL),
             total_evals = (SELECT COUNT(DISTINCT eval_id) FROM run_cells
                            WHERE run_id = ?1 AND dropped_at IS NULL)
         WHERE id = ?1",
        values![cell.run, cell.cases - cell.recorded, cell.recorded > 0, cell.model, cell.eval],
    )?;
    tx.execute(
        "UPDATE run_cells SET given_up = 0 WHERE run_id = ?1 AND model_id = ?2 AND eval_id = ?3",
        values![cell.run, cell.model, cell.eval],
    )?;
    tx.touch(Topic::Runs);
    Ok(())
}

/// Marks a cell as finished.
///
/// # Errors
/// The database's.
pub fn finish(tx: &mut Tx<'_>, run: RunKey, model: ModelKey, eval: EvalKey, now: Millis) -> Result<()> {
    tx.execute(
        "UPDATE run_cells SET finished_at = ?4 WHERE run_id = ?1 AND model_id = ?2 AND eval_id = ?3",
        values![run, model, eval, now],
    )?;
    Ok(())
}

/// Whether any run was planned for this revision of a model at these prices on this version of an eval, whatever
/// became of it.
///
/// # Errors
/// The database's.
pub fn was_planned(
    tx: &mut Tx<'_>,
    (model, revision, prices): (ModelKey, RevisionKey, Prices),
    version: VersionKey,
) -> Result<bool> {
    tx.one(
        "SELECT EXISTS (SELECT 1
                        FROM run_cells
                        JOIN price_snapshots ON price_snapshots.id = run_cells.price_id
                        WHERE run_cells.model_id = ?1 AND run_cells.revision_id = ?2 AND run_cells.version_id = ?3
                          AND price_snapshots.input_price IS NOT DISTINCT FROM ?4
                          AND price_snapshots.output_price IS NOT DISTINCT FROM ?5
                          AND price_snapshots.cached_input_price IS NOT DISTINCT FROM ?6
                          AND price_snapshots.cache_write_price IS NOT DISTINCT FROM ?7) AS was_planned",
        values![
            model,
            revision,
            version,
            prices.input,
            prices.output,
            prices.cached_input,
            prices.cache_write
        ],
        |row| row.get("was_planned"),
    )
}

/// Runs whose plan names an eval, open or not.
///
/// # Errors
/// The database's.
pub fn with_eval(tx: &mut Tx<'_>, eval: EvalKey) -> Result<Vec<RunKey>> {
    tx.rows(
        "SELECT DISTINCT run_id FROM run_cells WHERE eval_id = ?1 AND dropped_at IS NULL ORDER BY run_id",
        values![eval],
        |row| row.get("run_id"),
    )
}

/// Takes an eval out of a run as if it had never been planned, and counts the run again. Results of evals that
/// were taken out earlier may still lie about, and a cell that a deleted model left half done has no more cases
/// than it has.
///
/// # Errors
/// The database's.
pub fn forget_eval(tx: &mut Tx<'_>, run: RunKey, eval: EvalKey, now: Millis) -> Result<()> {
    tx.execute(
        "UPDATE run_cells SET dropped_at = ?3 WHERE run_id = ?1 AND eval_id = ?2",
        values![run, eval, now],
    )?;
    tx.execute(
        "UPDATE runs
         SET total_models = (SELECT COUNT(DISTINCT model_id) FROM run_cells
                             WHERE run_id = ?1 AND dropped_at IS NULL),
             total_evals = (SELECT COUNT(DISTINCT eval_id) FROM run_cells
                            WHERE run_id = ?1 AND dropped_at IS NULL),
             completed_count = (SELECT COUNT(*) FROM run_cells
                                WHERE run_id = ?1 AND dropped_at IS NULL AND finished_at IS NOT NULL),
             given_up = (SELECT COALESCE(SUM(given_up), 0) FROM run_cells
                         WHERE run_id = ?1 AND dropped_at IS NULL),
             case_total = (SELECT COALESCE(SUM(CASE WHEN cells.finished_at IS NULL OR runs.state = 'cancelled'
                                                         OR cells.given_up > 0
                                                    THEN cells.samples * cells.epochs
                                                    ELSE COALESCE(results.case_count, 0) END), 0)
                           FROM run_cells AS cells
                           LEFT JOIN results ON results.run_id = cells.run_id
                                            AND results.model_id = cells.model_id
                                            AND results.eval_id = cells.eval_id
                           WHERE cells.run_id = ?1 AND cells.dropped_at IS NULL),
             case_done = (SELECT COALESCE(SUM(results.case_count), 0)
                          FROM results
                          JOIN run_cells AS cells ON cells.run_id = results.run_id
                                                 AND cells.model_id = results.model_id
                                                 AND cells.eval_id = results.eval_id
                          WHERE results.run_id = ?1 AND cells.dropped_at IS NULL),
             case_errors = (SELECT COALESCE(SUM(results.error_count + results.unscored_count), 0)
                            FROM results
                            JOIN run_cells AS cells ON cells.run_id = results.run_id
                                                   AND cells.model_id = results.model_id
                                                   AND cells.eval_id = results.eval_id
                            WHERE results.run_id = ?1 AND cells.dropped_at IS NULL)
         WHERE id = ?1",
        values![run],
    )?;
    tx.touch(Topic::Runs);
    runs::complete_if_done(tx, run, now)
}
