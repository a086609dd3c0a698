//! Models of open runs that make no progress: for how long, why, and whether their run gave them up. When a run gives
//! a model up is decided by the engine.

use super::{Row, Topic, Tx};
use crate::domain::id::{ModelKey, RunId, RunKey};
use crate::domain::runs::ModelWait;
use crate::domain::time::Millis;
use crate::error::Result;
use crate::values;

/// A model of a run.
pub type RunModel = (RunKey, ModelKey);

/// A model of an open run that has open cases.
#[derive(Debug, Clone)]
pub struct OpenModel {
    /// Which model of which run.
    pub key: RunModel,
    /// Its present name.
    pub name: String,
    /// The queue of its calls.
    pub endpoint: String,
    /// Cases recorded.
    pub recorded: i64,
    /// Cases planned and not recorded, above 0.
    pub open: i64,
    /// For how long the run waits for it without progress, in milliseconds; none is the operator's setting.
    pub give_up_after_ms: Option<i64>,
    /// Time for one answer in milliseconds, if the model names one.
    pub timeout_ms: Option<i64>,
}

/// Returns the models of open runs that have open cases.
///
/// # Errors
/// The database's.
pub fn open_models(tx: &mut Tx<'_>) -> Result<Vec<OpenModel>> {
    let rows = tx.rows(
        "SELECT run_cells.run_id, run_cells.model_id, models.name, models.timeout_ms, runs.give_up_after_ms,
                MIN(run_cells.endpoint) AS endpoint, SUM(COALESCE(results.case_count, 0)) AS recorded,
                SUM(CASE WHEN run_cells.finished_at IS NULL
                         THEN run_cells.samples * run_cells.epochs - run_cells.given_up - COALESCE(results.case_count, 0)
                         ELSE 0 END) AS open
         FROM runs
         JOIN run_cells ON run_cells.run_id = runs.id
         JOIN models ON models.id = run_cells.model_id
         LEFT JOIN results ON results.run_id = run_cells.run_id AND results.model_id = run_cells.model_id
                          AND results.eval_id = run_cells.eval_id
         WHERE runs.state IN ('queued', 'running') AND run_cells.dropped_at IS NULL
         GROUP BY run_cells.run_id, run_cells.model_id, models.name, models.timeout_ms, runs.give_up_after_ms
         ORDER BY run_cells.run_id, run_cells.model_id",
        &[],
        |row| {
            Ok(OpenModel {
                key: (row.get("run_id")?, row.get("model_id")?),
                name: row.get("name")?,
                endpoint: row.get("endpoint")?,
                recorded: row.get("recorded")?,
                open: row.get("open")?,
                give_up_after_ms: row.get("give_up_after_ms")?,
                timeout_ms: row.get("timeout_ms")?,
            })
        },
    )?;
    Ok(rows.into_iter().filter(|model| model.open > 0).collect())
}

/// A model without progress, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Which model of which run.
    pub key: RunModel,
    /// Cases that were recorded when it last made progress.
    pub recorded: i64,
    /// For how long it was held back since then, in milliseconds.
    pub held_ms: i64,
    /// Its open cases.
    pub open: i64,
    /// The host that it is called at.
    pub host: String,
    /// What it waits for; none while it is not a wait.
    pub wait: Option<Wait>,
    /// Why its run gave it up; none while it has not.
    pub gave_up: Option<String>,
}

/// What a model waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// The last failure, in words.
    pub reason: String,
    /// When it is called again.
    pub next_try_at: Millis,
    /// When the run gives it up.
    pub gives_up_at: Millis,
}

/// Returns all models of open runs that make no progress.
///
/// # Errors
/// The database's.
pub fn all(tx: &mut Tx<'_>) -> Result<Vec<Stored>> {
    tx.rows(
        "SELECT run_id, model_id, recorded, held_ms, open_cases, host, reason, next_try_at, gives_up_at, gave_up
         FROM run_waits
         ORDER BY run_id, model_id",
        &[],
        stored,
    )
}

fn stored(row: &Row<'_>) -> Result<Stored> {
    Ok(Stored {
        key: (row.get("run_id")?, row.get("model_id")?),
        recorded: row.get("recorded")?,
        held_ms: row.get("held_ms")?,
        open: row.get("open_cases")?,
        host: row.get("host")?,
        wait: wait(row)?,
        gave_up: row.get("gave_up")?,
    })
}

fn wait(row: &Row<'_>) -> Result<Option<Wait>> {
    let (reason, next_try_at): (Option<String>, Option<Millis>) =
        (row.get("reason")?, row.get("next_try_at")?);
    let gives_up_at: Option<Millis> = row.get("gives_up_at")?;
    let parts = reason.zip(next_try_at).zip(gives_up_at);
    Ok(parts.map(|((reason, next_try_at), gives_up_at)| Wait { reason, next_try_at, gives_up_at }))
}

/// Returns why a run gave a model up; none while it has not.
///
/// # Errors
/// The database's.
pub fn gave_up(tx: &mut Tx<'_>, key: RunModel) -> Result<Option<String>> {
    let found = tx.first(
        "SELECT gave_up FROM run_waits WHERE run_id = ?1 AND model_id = ?2",
        values![key.0, key.1],
        |row| row.get("gave_up"),
    )?;
    Ok(found.flatten())
}

/// Stores what holds a model back, in place of what was stored of it.
///
/// # Errors
/// The database's.
pub fn put(tx: &mut Tx<'_>, row: &Stored) -> Result<()> {
    let wait = row.wait.as_ref();
    tx.execute(
        "INSERT INTO run_waits (run_id, model_id, recorded, held_ms, open_cases, host, reason, next_try_at, gives_up_at,
                                gave_up)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (run_id, model_id) DO UPDATE
         SET recorded = excluded.recorded, held_ms = excluded.held_ms, open_cases = excluded.open_cases,
             host = excluded.host, reason = excluded.reason, next_try_at = excluded.next_try_at,
             gives_up_at = excluded.gives_up_at, gave_up = excluded.gave_up",
        values![
            row.key.0,
            row.key.1,
            row.recorded,
            row.held_ms,
            row.open,
            &row.host,
            wait.map(|wait| wait.reason.as_str()),
            wait.map(|wait| wait.next_try_at),
            wait.map(|wait| wait.gives_up_at),
            row.gave_up.as_deref(),
        ],
    )?;
    tx.touch(Topic::Runs);
    Ok(())
}

/// Forgets what held a model back: it makes progress again, or its run is over.
///
/// # Errors
/// The database's.
pub fn remove(tx: &mut Tx<'_>, key: RunModel) -> Result<()> {
    tx.execute("DELETE FROM run_waits WHERE run_id = ?1 AND model_id = ?2", values![key.0, key.1])?;
    tx.touch(Topic::Runs);
    Ok(())
}

/// Forgets what held the models of a run back.
///
/// # Errors
/// The database's.
pub(super) fn remove_of_run(tx: &mut Tx<'_>, run: RunKey) -> Result<()> {
    tx.execute("DELETE FROM run_waits WHERE run_id = ?1", values![run]).map(drop)
}

/// Returns when the next open item of a model in a run may be leased, and why it waits; none when one may be leased
/// now, or none is ready.
///
/// # Errors
/// The database's.
pub fn all_wait(
    tx: &mut Tx<'_>,
    run: RunKey,
    model: ModelKey,
    now: Millis,
) -> Result<Option<(Millis, Option<String>)>> {
    let is_due = tx.one(
        "SELECT EXISTS (SELECT 1 FROM work_items
                        WHERE run_id = ?1 AND model_id = ?2 AND state = 'ready' AND run_after <= ?3) AS is_due",
        values![run, model, now],
        |row| row.get("is_due"),
    )?;
    if is_due {
        return Ok(None);
    }
    tx.first(
        "SELECT run_after, last_error
         FROM work_items
         WHERE run_id = ?1 AND model_id = ?2 AND state = 'ready'
         ORDER BY run_after, id
         LIMIT 1",
        values![run, model],
        |row| Ok((row.get("run_after")?, row.get("last_error")?)),
    )
}

/// Returns the last failure of an open item of a model in a run.
///
/// # Errors
/// The database's.
pub fn last_error(tx: &mut Tx<'_>, run: RunKey, model: ModelKey) -> Result<Option<String>> {
    tx.first(
        "SELECT last_error
         FROM work_items
         WHERE run_id = ?1 AND model_id = ?2 AND state IN ('ready', 'leased') AND last_error IS NOT NULL
         ORDER BY attempt DESC, id DESC
         LIMIT 1",
        values![run, model],
        |row| row.get("last_error"),
    )
}

/// Returns the models that an open run waits for.
///
/// # Errors
/// The database's.
pub fn of_run(tx: &mut Tx<'_>, run: RunKey) -> Result<Vec<ModelWait>> {
    let rows = tx.rows(
        "SELECT run_waits.model_id, run_waits.run_id, models.public_id, models.name, run_waits.host,
                run_waits.open_cases, run_waits.reason, run_waits.next_try_at, run_waits.gives_up_at
         FROM run_waits
         JOIN models ON models.id = run_waits.model_id
         WHERE run_waits.run_id = ?1 AND run_waits.reason IS NOT NULL AND run_waits.gave_up IS NULL
         ORDER BY run_waits.next_try_at, run_waits.model_id",
        values![run],
        |row| {
            let Some(wait) = wait(row)? else { return Ok(None) };
            Ok(Some(ModelWait {
                model: row.get("public_id")?,
                model_name: row.get("name")?,
                host: row.get("host")?,
                cases: row.get("open_cases")?,
                reason: wait.reason,
                next_try_at: wait.next_try_at,
                gives_up_at: wait.gives_up_at,
            }))
        },
    )?;
    Ok(rows.into_iter().flatten().collect())
}

/// Returns the oldest open runs that have cases of a model to ask, at most five.
///
/// # Errors
/// The database's.
pub fn open_runs_of(tx: &mut Tx<'_>, model: ModelKey) -> Result<Vec<(RunKey, RunId)>> {
    tx.rows(
        "SELECT DISTINCT runs.id, runs.public_id
         FROM run_cells
         JOIN runs ON runs.id = run_cells.run_id
         WHERE run_cells.model_id = ?1 AND run_cells.finished_at IS NULL AND run_cells.dropped_at IS NULL
           AND runs.state IN ('queued', 'running')
         ORDER BY runs.id
         LIMIT 5",
        values![model],
        |row| Ok((row.get("id")?, row.get("public_id")?)),
    )
}
