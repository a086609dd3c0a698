//! Schedules in the database: what is due, and what came of it. When one fires is the service's.

use super::{Row, Topic, Tx};
use crate::domain::id::{EvalId, ModelId, RunId, RunKey, ScheduleId, ScheduleKey, UserKey};
use crate::domain::page::{Cursor, Page, Slice};
use crate::domain::runs::{Settings, Trigger};
use crate::domain::schedules::{Firing, Outcome, Schedule};
use crate::domain::time::Millis;
use crate::error::{Error, Result};
use crate::values;

const COLUMNS: &str =
    "schedules.id, schedules.public_id, schedules.owner_id, submitters.name AS submitted_by, schedules.name,
    schedules.cron, schedules.model_ids, schedules.eval_ids, schedules.only_missing, schedules.notes,
    schedules.on_board, schedules.epochs, schedules.max_samples, schedules.budget_usd, schedules.give_up_after_ms, schedules.next_at,
    schedules.last_at, schedules.last_outcome, schedules.last_message, schedules.created_at,
    schedules.updated_at, runs.public_id AS last_run
    FROM schedules
    JOIN submitters ON submitters.id = schedules.owner_id
    LEFT JOIN runs ON runs.id = schedules.last_run_id";

fn schedule(row: &Row<'_>) -> Result<Schedule> {
    Ok(Schedule {
        key: row.get("id")?,
        id: row.get("public_id")?,
        owner: row.get("owner_id")?,
        submitted_by: row.get("submitted_by")?,
        name: row.get("name")?,
        cron: row.get("cron")?,
        trigger: Trigger {
            models: ids(row, "model_ids", ModelId::from)?,
            evals: ids(row, "eval_ids", EvalId::from)?,
            only_missing: row.get("only_missing")?,
            settings: Settings {
                notes: row.get("notes")?,
                on_board: row.get("on_board")?,
                epochs: row.get("epochs")?,
                max_samples: row.get("max_samples")?,
                budget_usd: row.get("budget_usd")?,
                give_up_after_ms: row.get("give_up_after_ms")?,
            },
        },
        next_at: row.get("next_at")?,
        last: firing(row)?,
        last_run: row.get("last_run")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

fn firing(row: &Row<'_>) -> Result<Option<Firing>> {
    let last: (Option<Millis>, Option<String>) = (row.get("last_at")?, row.get("last_outcome")?);
    let Some((at, outcome)) = last.0.zip(last.1) else { return Ok(None) };
    Ok(Some(Firing { at, outcome: Outcome::parse(&outcome)?, message: row.get("last_message")? }))
}

/// Ids that are stored as a JSON list; null is all that are active.
fn ids<T>(row: &Row<'_>, column: &str, make: fn(String) -> T) -> Result<Option<Vec<T>>> {
    let Some(text) = row.get::<Option<String>>(column)? else { return Ok(None) };
    let ids: Vec<String> = serde_json::from_str(&text).map_err(Error::internal)?;
    Ok(Some(ids.into_iter().map(make).collect()))
}

fn listed<T: ToString>(ids: Option<&Vec<T>>) -> Result<Option<String>> {
    let texts = ids.map(|ids| ids.iter().map(ToString::to_string).collect::<Vec<_>>());
    texts.map(|texts| serde_json::to_string(&texts).map_err(Error::internal)).transpose()
}

/// Schedules that are not deleted, newest first.
///
/// # Errors
/// The database's.
pub fn list(tx: &mut Tx<'_>, page: Page) -> Result<Slice<Schedule>> {
    let total = count(tx)?;
    let after = page.after;
    let rows = tx.page(
        &format!(
            "SELECT {COLUMNS}
             WHERE schedules.deleted_at IS NULL
               AND (?1 IS NULL OR (schedules.created_at, schedules.id) < (?1, ?2))
             ORDER BY schedules.created_at DESC, schedules.id DESC
             LIMIT ?3"
        ),
        values![after.map(|at| at.sort), after.map(|at| at.key), page.limit + 1],
        schedule,
    )?;
    let position = |each: &Schedule| Cursor { sort: each.created_at.0, key: each.key.0 };
    Ok(Slice::cut(rows, page, total, position))
}

/// How many there are that are not deleted.
///
/// # Errors
/// The database's.
pub fn count(tx: &mut Tx<'_>) -> Result<i64> {
    tx.one("SELECT COUNT(*) AS total FROM schedules WHERE deleted_at IS NULL", &[], |row| row.get("total"))
}

/// The schedule of that id, unless it is deleted.
///
/// # Errors
/// `NotFound`.
pub fn get(tx: &mut Tx<'_>, id: &ScheduleId) -> Result<Schedule> {
    tx.first(
        &format!("SELECT {COLUMNS} WHERE schedules.public_id = ?1 AND schedules.deleted_at IS NULL"),
        values![id],
        schedule,
    )?
    .ok_or(Error::NotFound("schedule"))
}

/// Schedules that are due at `now`, those that waited longest first.
///
/// # Errors
/// The database's.
pub fn due(tx: &mut Tx<'_>, now: Millis) -> Result<Vec<ScheduleKey>> {
    tx.rows(
        "SELECT id FROM schedules WHERE next_at IS NOT NULL AND next_at <= ?1 ORDER BY next_at, id",
        values![now],
        |row| row.get("id"),
    )
}

/// The schedule of that key if it is due at `now`, deleted and paused ones never are.
///
/// # Errors
/// The database's.
pub fn if_due(tx: &mut Tx<'_>, key: ScheduleKey, now: Millis) -> Result<Option<Schedule>> {
    tx.first(
        &format!("SELECT {COLUMNS} WHERE schedules.id = ?1 AND schedules.next_at <= ?2"),
        values![key, now],
        schedule,
    )
}

/// A run of the schedule that is not over.
///
/// # Errors
/// The database's.
pub fn open_run(tx: &mut Tx<'_>, key: ScheduleKey) -> Result<Option<RunId>> {
    tx.first(
        "SELECT public_id
         FROM runs
         WHERE schedule_id = ?1 AND state IN ('queued', 'running')
         ORDER BY id DESC
         LIMIT 1",
        values![key],
        |row| row.get("public_id"),
    )
}

/// What a person says of a schedule.
#[derive(Debug, Clone)]
pub struct Card<'c> {
    /// Its name.
    pub name: &'c str,
    /// When, as cron has it.
    pub cron: &'c str,
    /// What it runs.
    pub trigger: &'c Trigger,
    /// When it fires next; none while it is paused.
    pub next_at: Option<Millis>,
}

/// Stores a new schedule.
///
/// # Errors
/// The database's.
pub fn insert(tx: &mut Tx<'_>, id: &ScheduleId, owner: UserKey, card: &Card<'_>, now: Millis) -> Result<()> {
    let key = tx.one(
        "INSERT INTO schedules (public_id, owner_id, name, cron, only_missing, notes, on_board, created_at,
                                updated_at)
         VALUES (?1, ?2, ?3, ?4, 0, '', 1, ?5, ?5)
         RETURNING id",
        values![id, owner, card.name, card.cron, now],
        |row| row.get("id"),
    )?;
    update(tx, key, card, now)
}

/// Stores what a person changed.
///
/// # Errors
/// The database's.
pub fn update(tx: &mut Tx<'_>, key: ScheduleKey, card: &Card<'_>, now: Millis) -> Result<()> {
    let settings = &card.trigger.settings;
    tx.execute(
        "UPDATE schedules
         SET name = ?2, cron = ?3, model_ids = ?4, eval_ids = ?5, only_missing = ?6, notes = ?7, on_board = ?8,
             epochs = ?9, max_samples = ?10, budget_usd = ?11, next_at = ?12, updated_at = ?13,
             give_up_after_ms = ?14
         WHERE id = ?1",
        values![
            key,
            card.name,
            card.cron,
            listed(card.trigger.models.as_ref())?,
            listed(card.trigger.evals.as_ref())?,
            card.trigger.only_missing,
            &settings.notes,
            settings.on_board,
            settings.epochs,
            settings.max_samples,
            settings.budget_usd,
            card.next_at,
            now,
            settings.give_up_after_ms,
        ],
    )?;
    // Its runs say its name.
    tx.touch(Topic::Runs);
    tx.touch(Topic::Schedules);
    Ok(())
}

/// Deletes a schedule; the runs it started keep its name.
///
/// # Errors
/// The database's.
pub fn delete(tx: &mut Tx<'_>, key: ScheduleKey, now: Millis) -> Result<()> {
    tx.execute(
        "UPDATE schedules SET deleted_at = ?2, updated_at = ?2, next_at = NULL WHERE id = ?1",
        values![key, now],
    )?;
    tx.touch(Topic::Schedules);
    Ok(())
}

/// Schedules whose next time was reckoned when the clock was ahead: by what is known of them, that was after `latest`.
///
/// # Errors
/// The database's.
pub fn reckoned_after(tx: &mut Tx<'_>, latest: Millis) -> Result<Vec<Schedule>> {
    tx.rows(
        &format!(
            "SELECT {COLUMNS}
             WHERE schedules.deleted_at IS NULL AND schedules.next_at > ?1
               AND (schedules.last_at > ?1 OR schedules.updated_at > ?1)
             ORDER BY schedules.id"
        ),
        values![latest],
        schedule,
    )
}

/// Has a schedule fire next at another time.
///
/// # Errors
/// The database's.
pub fn set_next(tx: &mut Tx<'_>, key: ScheduleKey, next_at: Option<Millis>) -> Result<()> {
    tx.execute("UPDATE schedules SET next_at = ?2 WHERE id = ?1", values![key, next_at])?;
    tx.touch(Topic::Schedules);
    Ok(())
}

/// Notes what came of a time that the schedule was due, and when the next one is.
///
/// # Errors
/// The database's.
pub fn note(
    tx: &mut Tx<'_>,
    key: ScheduleKey,
    firing: &Firing,
    run: Option<RunKey>,
    next_at: Option<Millis>,
) -> Result<()> {
    tx.execute(
        "UPDATE schedules
         SET last_at = ?2, last_outcome = ?3, last_message = ?4, last_run_id = COALESCE(?5, last_run_id),
             next_at = ?6
         WHERE id = ?1",
        values![key, firing.at, firing.outcome.as_str(), firing.message.as_deref(), run, next_at],
    )?;
    if let Some(run) = run {
        tx.execute("UPDATE runs SET schedule_id = ?2 WHERE id = ?1", values![run, key])?;
        tx.touch(Topic::Runs);
    }
    tx.touch(Topic::Schedules);
    Ok(())
}
