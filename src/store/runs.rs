//! Runs and their plans. How a run moves on is the engine's; whether it may be started, the service's.

use super::{Row, Topic, Tx, lending, plans, queue, run_waits};
use crate::domain::id::{EvalKey, ModelKey, RunId, RunKey, ScheduleId, UserKey};
use crate::domain::page::{Cursor, Page, Slice};
use crate::domain::runs::{Cell, Run, RunState, Settings};
use crate::domain::time::Millis;
use crate::error::{Error, Result};
use crate::values;

const COLUMNS: &str = "runs.id, runs.public_id, runs.triggered_by, submitters.name AS submitted_by, runs.state, runs.started_at,
    runs.completed_at, runs.heartbeat_at, runs.error, runs.notes, runs.on_board, runs.epochs,
    runs.max_samples, runs.budget_usd, runs.give_up_after_ms, runs.given_up, runs.pace_at, runs.pace_done, runs.total_models, runs.total_evals, runs.completed_count, runs.case_total,
    runs.case_done, runs.case_errors, runs.cost_usd, runs.on_operator, runs.is_capped,
    earlier.public_id AS rescores, schedules.public_id AS schedule, schedules.name AS schedule_name
    FROM runs
    JOIN submitters ON submitters.id = runs.triggered_by
    LEFT JOIN runs AS earlier ON earlier.id = runs.rescores_id
    LEFT JOIN schedules ON schedules.id = runs.schedule_id";

fn run(row: &Row<'_>) -> Result<Run> {
    let state: String = row.get("state")?;
    let pace: (Option<Millis>, Option<i64>) = (row.get("pace_at")?, row.get("pace_done")?);
    let schedule: (Option<ScheduleId>, Option<String>) = (row.get("schedule")?, row.get("schedule_name")?);
    Ok(Run {
        key: row.get("id")?,
        id: row.get("public_id")?,
        owner: row.get("triggered_by")?,
        triggered_by: row.get("submitted_by")?,
        schedule: schedule.0.zip(schedule.1),
        on_operator: row.get("on_operator")?,
        is_capped: row.get("is_capped")?,
        state: RunState::parse(&state)?,
        started_at: row.get("started_at")?,
        completed_at: row.get("completed_at")?,
        heartbeat_at: row.get("heartbeat_at")?,
        error: row.get("error")?,
        settings: Settings {
            notes: row.get("notes")?,
            on_board: row.get("on_board")?,
            epochs: row.get("epochs")?,
            max_samples: row.get("max_samples")?,
            budget_usd: row.get("budget_usd")?,
            give_up_after_ms: row.get("give_up_after_ms")?,
        },
        total_models: row.get("total_models")?,
        total_evals: row.get("total_evals")?,
        completed_count: row.get("completed_count")?,
        case_total: row.get("case_total")?,
        given_up: row.get("given_up")?,
        case_done: row.get("case_done")?,
        case_errors: row.get("case_errors")?,
        cost_usd: row.get("cost_usd")?,
        queue_position: None,
        waits: Vec::new(),
        pace: pace.0.zip(pace.1),
        rescores: row.get("rescores")?,
        skipped: Vec::new(),
    })
}

/// The run with what it left out, and while it is open with its place among those that wait and what it waits for.
fn placed(tx: &mut Tx<'_>, run: Run) -> Result<Run> {
    let run = Run { skipped: lending::skips(tx, run.key)?, ..run };
    if !run.state.is_open() {
        return Ok(run);
    }
    let queue_position = Some(queue::ahead(tx, run.key)?);
    Ok(Run { queue_position, waits: run_waits::of_run(tx, run.key)?, ..run })
}

/// Runs, newest first.
///
/// # Errors
/// The database's.
pub fn list(tx: &mut Tx<'_>, page: Page) -> Result<Slice<Run>> {
    let total = tx.one("SELECT COUNT(*) AS total FROM runs", &[], |row| row.get("total"))?;
    let after = page.after;
    let rows = tx.page(
        &format!(
            "SELECT {COLUMNS}
             WHERE ?1 IS NULL OR (runs.started_at, runs.id) < (?1, ?2)
             ORDER BY runs.started_at DESC, runs.id DESC
             LIMIT ?3"
        ),
        values![after.map(|at| at.sort), after.map(|at| at.key), page.limit + 1],
        run,
    )?;
    let rows = rows.try_map(|run| placed(tx, run))?;
    Ok(Slice::cut(rows, page, total, |run| Cursor { sort: run.started_at.0, key: run.key.0 }))
}

/// The run of that id.
///
/// # Errors
/// `NotFound`.
pub fn get(tx: &mut Tx<'_>, id: &RunId) -> Result<Run> {
    let run = tx
        .first(&format!("SELECT {COLUMNS} WHERE runs.public_id = ?1"), values![id], run)?
        .ok_or(Error::NotFound("run"))?;
    placed(tx, run)
}

/// The run of that key, without its place among those that wait.
///
/// # Errors
/// `NotFound`.
pub fn get_by_key(tx: &mut Tx<'_>, key: RunKey) -> Result<Run> {
    tx.first(&format!("SELECT {COLUMNS} WHERE runs.id = ?1"), values![key], run)?
        .ok_or(Error::NotFound("run"))
}

/// Stores a run with its plan; its work items are made later, in chunks.
///
/// # Errors
/// The database's.
pub fn insert(
    tx: &mut Tx<'_>,
    id: &RunId,
    owner: UserKey,
    settings: &Settings,
    cells: &[Cell],
    now: Millis,
) -> Result<RunKey> {
    let models: std::collections::HashSet<ModelKey> = cells.iter().map(|cell| cell.model).collect();
    let evals: std::collections::HashSet<EvalKey> = cells.iter().map(|cell| cell.eval).collect();
    let key = tx.one(
        "INSERT INTO runs (public_id, triggered_by, state, started_at, notes, on_board, epochs, max_samples, budget_usd,
                           total_models, total_evals, completed_count, case_total, case_done, case_errors,
                           cost_usd, plan_cell, plan_sample, give_up_after_ms)
         VALUES (?1, ?2, 'queued', ?3, ?4, ?5, ?6, ?7, ?11, ?8, ?9, 0, ?10, 0, 0, 0.0, 0, 0, ?12)
         RETURNING id",
        values![
            id,
            owner,
            now,
            &settings.notes,
            settings.on_board,
            settings.epochs,
            settings.max_samples,
            count(models.len()),
            count(evals.len()),
            cells.iter().map(Cell::cases).sum::<i64>(),
            settings.budget_usd,
            settings.give_up_after_ms,
        ],
        |row| row.get("id"),
    )?;
    plans::insert(tx, key, cells, now)?;
    tx.touch(Topic::Runs);
    Ok(key)
}

/// Milliseconds between two marks that the rate of a run is counted from.
const MARK: i64 = 30_000;

/// What recorded cases add to their run.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// How many there are.
    pub cases: i64,
    /// How many could not be measured.
    pub failed: i64,
    /// How many cells they finished.
    pub finished_cells: i64,
    /// What models and graders cost in US dollars; none when unknown.
    pub cost_usd: Option<f64>,
}

impl Default for Progress {
    fn default() -> Self {
        Self { cases: 0, failed: 0, finished_cells: 0, cost_usd: Some(0.0) }
    }
}

impl Progress {
    /// Adds what other cases of the run add.
    pub fn add(&mut self, other: Self) {
        self.cases += other.cases;
        self.failed += other.failed;
        self.finished_cells += other.finished_cells;
        self.cost_usd = self.cost_usd.zip(other.cost_usd).map(|(one, other)| one + other);
    }
}

/// Adds recorded cases to their run, and completes the run when they were the last. Answers whether the run may
/// spend only so much.
///
/// # Errors
/// The database's.
pub fn advance(tx: &mut Tx<'_>, run: RunKey, progress: Progress, now: Millis) -> Result<bool> {
    // The rate is counted from the mark before the last one: half a minute to a minute ago.
    let has_budget = tx.one(
        "UPDATE runs
         SET pace_at = CASE WHEN ?5 - mark_at >= ?6 THEN mark_at ELSE pace_at END,
             pace_done = CASE WHEN ?5 - mark_at >= ?6 THEN mark_done ELSE pace_done END,
             mark_done = CASE WHEN ?5 - mark_at >= ?6 THEN case_done ELSE mark_done END,
             mark_at = CASE WHEN ?5 - mark_at >= ?6 THEN ?5 ELSE mark_at END,
             case_done = case_done + ?7, case_errors = case_errors + ?2, completed_count = completed_count + ?3,
             cost_usd = cost_usd + ?4, heartbeat_at = ?5
         WHERE id = ?1
         RETURNING budget_usd IS NOT NULL AS has_budget",
        values![run, progress.failed, progress.finished_cells, progress.cost_usd, now, MARK, progress.cases],
        |row| row.get("has_budget"),
    )?;
    tx.touch_soon(Topic::Runs);
    if progress.finished_cells > 0 {
        complete_if_done(tx, run, now)?;
    }
    Ok(has_budget)
}

/// Whether a case of run `?1` was measured, one of an eval that is still part of it.
const IS_MEASURED: &str = "EXISTS (
                 SELECT 1
                 FROM results
                 JOIN run_cells ON run_cells.run_id = results.run_id AND run_cells.model_id = results.model_id
                               AND run_cells.eval_id = results.eval_id
                 WHERE results.run_id = ?1 AND results.scored_count > 0 AND run_cells.dropped_at IS NULL
             )";

/// The beginning of what a run says that gave a model up.
pub(super) const GAVE_UP: &str = "gave up on ";

/// What a run says in which no case was measured.
pub(super) const NOTHING_MEASURED: &str = "no case could be measured";

/// Ends the run if it is planned and no case of it is open. Without a measured case it has failed; one that was
/// stopped before, and opened again for its gaps, is again what it was.
///
/// # Errors
/// The database's.
pub fn complete_if_done(tx: &mut Tx<'_>, run: RunKey, now: Millis) -> Result<()> {
    let ended = tx.execute(
        &format!(
            "UPDATE runs
             SET completed_at = ?2, heartbeat_at = ?2,
                 state = CASE WHEN given_up > 0 THEN 'cancelled' WHEN {IS_MEASURED} THEN 'completed'
                              ELSE 'failed' END,
                 error = CASE WHEN given_up > 0 OR {IS_MEASURED} THEN error ELSE COALESCE(error, ?3) END
             WHERE id = ?1 AND state IN ('queued', 'running') AND planned_at IS NOT NULL
               AND case_done >= case_total - given_up"
        ),
        values![run, now, NOTHING_MEASURED],
    )?;
    if ended > 0 {
        tx.touch(Topic::Runs);
        tx.touch(Topic::Results);
        tx.touch(Topic::Board);
    }
    Ok(())
}

/// Notes in a run that is over that so many more of its cases have no score (fewer, where that is negative): verdicts
/// on them have changed. Whether it failed is seen anew.
///
/// # Errors
/// The database's.
pub fn remeasure(tx: &mut Tx<'_>, run: RunKey, more: i64) -> Result<()> {
    tx.execute(
        &format!(
            "UPDATE runs
             SET case_errors = case_errors + ?2,
                 error = CASE WHEN state NOT IN ('completed', 'failed') THEN error
                              WHEN {IS_MEASURED} THEN NULLIF(error, ?3) ELSE COALESCE(error, ?3) END,
                 state = CASE WHEN state NOT IN ('completed', 'failed') THEN state
                              WHEN {IS_MEASURED} THEN 'completed' ELSE 'failed' END
             WHERE id = ?1"
        ),
        values![run, more, NOTHING_MEASURED],
    )?;
    tx.touch(Topic::Runs);
    Ok(())
}

/// Says in the run that it has begun, once.
///
/// # Errors
/// The database's.
pub fn begin(tx: &mut Tx<'_>, run: RunKey, now: Millis) -> Result<()> {
    let begun = tx.execute(
        "UPDATE runs
         SET state = 'running', heartbeat_at = ?2, pace_at = ?2, pace_done = case_done, mark_at = ?2,
             mark_done = case_done
         WHERE id = ?1 AND state = 'queued'",
        values![run, now],
    )?;
    if begun > 0 {
        tx.touch(Topic::Runs);
    }
    Ok(())
}

/// How many runs are queued or running.
///
/// # Errors
/// The database's.
pub fn count_open(tx: &mut Tx<'_>) -> Result<i64> {
    tx.one("SELECT COUNT(*) AS open FROM runs WHERE state IN ('queued', 'running')", &[], |row| {
        row.get("open")
    })
}

/// Says in words what is wrong with a run that goes on all the same.
///
/// # Errors
/// The database's.
pub fn note(tx: &mut Tx<'_>, run: RunKey, text: &str) -> Result<()> {
    tx.execute("UPDATE runs SET error = ?2 WHERE id = ?1", values![run, text])?;
    tx.touch(Topic::Runs);
    Ok(())
}

/// Says in words that the run gave a model up, unless it says something else already.
///
/// # Errors
/// The database's.
pub fn note_giving_up(tx: &mut Tx<'_>, run: RunKey, text: &str) -> Result<()> {
    tx.execute(
        "UPDATE runs SET error = COALESCE(error, ?2) WHERE id = ?1",
        values![run, &format!("{GAVE_UP}{text}")],
    )?;
    tx.touch(Topic::Runs);
    Ok(())
}

/// Marks a run as one that asks something on the operator's keys.
///
/// # Errors
/// The database's.
pub fn mark_on_operator(tx: &mut Tx<'_>, run: RunKey) -> Result<()> {
    tx.execute("UPDATE runs SET on_operator = 1 WHERE id = ?1", values![run]).map(drop)
}

/// Marks a run that was just stopped as one that the cap of its owner stopped, and says so in it.
///
/// # Errors
/// The database's.
pub fn mark_capped(tx: &mut Tx<'_>, run: RunKey, why: &str) -> Result<()> {
    tx.execute("UPDATE runs SET is_capped = 1 WHERE id = ?1", values![run])?;
    note(tx, run, why)
}

/// Marks an open run as cancelled; answers whether it was open.
///
/// # Errors
/// The database's.
pub fn cancel(tx: &mut Tx<'_>, run: RunKey, now: Millis) -> Result<bool> {
    let cancelled = tx.execute(
        "UPDATE runs
         SET state = 'cancelled', completed_at = ?2, heartbeat_at = ?2
         WHERE id = ?1 AND state IN ('queued', 'running')",
        values![run, now],
    )?;
    tx.touch(Topic::Runs);
    tx.touch(Topic::Results);
    Ok(cancelled > 0)
}

fn count(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}
