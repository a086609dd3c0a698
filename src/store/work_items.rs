//! Work items: the queue that a killed process loses nothing of.
//!
//! A lease is a promise with an end. `attempt` is the fence: it grows at every lease, and only the holder of
//! the present attempt can end an item. What a case is worth is not decided here.

use std::collections::{BTreeSet, HashSet};

use super::{Row, Topic, Tx, runs};
use crate::domain::id::{CellKey, EvalKey, ModelKey, RunKey, SampleKey, WorkItemKey};
use crate::domain::samples::Sample;
use crate::domain::time::Millis;
use crate::error::Result;
use crate::values;

/// What makes an item, and the attempt that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Table key.
    pub key: WorkItemKey,
    /// The fence.
    pub attempt: i64,
    /// The run.
    pub run: RunKey,
    /// The model.
    pub model: ModelKey,
    /// The eval.
    pub eval: EvalKey,
    /// The sample.
    pub sample: SampleKey,
    /// 1, 2, ... within the sample.
    pub epoch: i64,
}

impl Held {
    /// The cell it belongs to.
    #[must_use]
    pub const fn cell(&self) -> CellKey {
        (self.run, self.model, self.eval)
    }
}

/// An item that this process may work on until its lease ends.
#[derive(Debug, Clone)]
pub struct Leased {
    /// Which item, and which attempt at it.
    pub held: Held,
    /// How often it failed by its own fault.
    pub tries: i64,
    /// How often a worker's lease on it ran out.
    pub expiries: i64,
    /// The sample.
    pub sample: Sample,
}

/// A lease that a worker asks for.
#[derive(Debug, Clone)]
pub struct Lease {
    /// Who asks, unique to the process.
    pub owner: String,
    /// Until when it holds unless it is renewed.
    pub until: Millis,
}

/// Items of an endpoint that may be leased.
#[derive(Debug, Clone, Copy)]
pub struct Lane<'l> {
    /// The endpoint.
    pub endpoint: &'l str,
    /// Runs whose items are passed over.
    pub except: &'l HashSet<RunKey>,
}

impl Lane<'_> {
    /// Returns the condition that passes over runs.
    fn condition(self) -> String {
        if self.except.is_empty() {
            return String::new();
        }
        let mut keys: Vec<i64> = self.except.iter().map(|run| run.0).collect();
        keys.sort_unstable();
        let keys: Vec<String> = keys.iter().map(i64::to_string).collect();
        format!(" AND run_id NOT IN ({})", keys.join(", "))
    }

    /// Returns the query of the items that [`claim_from`] takes: the first in the queue of endpoint `?1` at `?2`.
    fn next(self) -> String {
        format!(
            "SELECT id
             FROM work_items
             WHERE state = 'ready' AND endpoint = ?1 AND run_after <= ?2{}
             ORDER BY endpoint, priority, run_after, id
             LIMIT ?3",
            self.condition()
        )
    }
}

/// Items as they are once they are leased.
const LEASED: &str =
    "SELECT work_items.id, work_items.attempt + 1 AS attempt, work_items.tries, work_items.expiries,
                    work_items.run_id, work_items.model_id, work_items.eval_id, work_items.sample_id,
                    work_items.epoch, samples.position, samples.key AS sample_name, samples.input,
                    samples.target, samples.choices, samples.metadata, samples.cluster_id
             FROM work_items
             JOIN samples ON samples.id = work_items.sample_id";

/// Leases up to `limit` ready items of an endpoint, those of the lowest priority number first.
///
/// # Errors
/// The database's.
pub fn claim(tx: &mut Tx<'_>, endpoint: &str, limit: u32, lease: &Lease, now: Millis) -> Result<Vec<Leased>> {
    claim_from(tx, Lane { endpoint, except: &HashSet::new() }, limit, lease, now)
}

/// As [`claim`], from a lane.
///
/// # Errors
/// The database's.
pub fn claim_from(
    tx: &mut Tx<'_>,
    lane: Lane<'_>,
    limit: u32,
    lease: &Lease,
    now: Millis,
) -> Result<Vec<Leased>> {
    let (endpoint, next) = (lane.endpoint, lane.next());
    let mut items =
        tx.rows(&format!("{LEASED} WHERE work_items.id IN ({next})"), values![endpoint, now, limit], leased)?;
    tx.execute(
        &format!(
            "UPDATE work_items
             SET state = 'leased', attempt = attempt + 1, lease_owner = ?4, lease_until = ?5
             WHERE id IN ({next})"
        ),
        values![endpoint, now, limit, &lease.owner, lease.until],
    )?;
    items.sort_by_key(|item| item.held.key);
    let begun: BTreeSet<RunKey> = items.iter().map(|item| item.held.run).collect();
    for run in begun {
        runs::begin(tx, run, now)?;
    }
    Ok(items)
}

fn leased(row: &Row<'_>) -> Result<Leased> {
    let held = Held {
        key: row.get("id")?,
        attempt: row.get("attempt")?,
        run: row.get("run_id")?,
        model: row.get("model_id")?,
        eval: row.get("eval_id")?,
        sample: row.get("sample_id")?,
        epoch: row.get("epoch")?,
    };
    let (tries, expiries) = (row.get("tries")?, row.get("expiries")?);
    Ok(Leased { held, tries, expiries, sample: super::samples::sample(row)? })
}

/// When the lane's next ready item may be leased; none when it has none.
///
/// # Errors
/// The database's.
pub fn next_wake(tx: &mut Tx<'_>, lane: Lane<'_>) -> Result<Option<Millis>> {
    tx.one(
        &format!(
            "SELECT MIN(run_after) AS wake FROM work_items WHERE state = 'ready' AND endpoint = ?1{}",
            lane.condition()
        ),
        values![lane.endpoint],
        |row| row.get("wake"),
    )
}

/// Has up to `limit` ready items of an endpoint that wait until after `latest` wait until `retry_at`; answers how many.
///
/// # Errors
/// The database's.
pub fn cut_waits(
    tx: &mut Tx<'_>,
    endpoint: &str,
    latest: Millis,
    retry_at: Millis,
    limit: u32,
) -> Result<usize> {
    tx.execute(
        "UPDATE work_items
         SET run_after = ?3
         WHERE id IN (
             SELECT id
             FROM work_items
             WHERE state = 'ready' AND endpoint = ?1 AND run_after > ?2
             LIMIT ?4
         )",
        values![endpoint, latest, retry_at, limit],
    )
}

/// How an item ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Its case has an answer.
    Done,
    /// Its case is an error.
    Failed,
}

/// Ends an item if that attempt still holds it; answers whether it did. If not, the work was late: discard it.
///
/// # Errors
/// The database's.
pub fn end(tx: &mut Tx<'_>, item: &Held, end: End) -> Result<bool> {
    let state = match end {
        End::Done => "done",
        End::Failed => "failed",
    };
    let ended = tx.execute(
        "UPDATE work_items
         SET state = ?3, lease_owner = NULL, lease_until = NULL
         WHERE id = ?1 AND state = 'leased' AND attempt = ?2",
        values![item.key, item.attempt, state],
    )?;
    Ok(ended > 0)
}

/// Takes up to `limit` open items of a cell, whoever holds them, so that their cases end without a call: what is under
/// way for them comes too late.
///
/// # Errors
/// The database's.
pub fn seize(tx: &mut Tx<'_>, cell: CellKey, limit: u32, lease: &Lease) -> Result<Vec<Leased>> {
    let open = "SELECT id FROM work_items
                WHERE run_id = ?1 AND model_id = ?2 AND eval_id = ?3 AND state IN ('ready', 'leased')
                ORDER BY id
                LIMIT ?4";
    let items = tx.rows(
        &format!("{LEASED} WHERE work_items.id IN ({open}) ORDER BY work_items.id"),
        values![cell.0, cell.1, cell.2, limit],
        leased,
    )?;
    tx.execute(
        &format!(
            "UPDATE work_items
             SET state = 'leased', attempt = attempt + 1, lease_owner = ?5, lease_until = ?6
             WHERE id IN ({open})"
        ),
        values![cell.0, cell.1, cell.2, limit, &lease.owner, lease.until],
    )?;
    Ok(items)
}

/// Marks an item as never done: what came of it was not recorded, since its run takes no more.
///
/// # Errors
/// The database's.
pub fn withdraw(tx: &mut Tx<'_>, key: WorkItemKey) -> Result<()> {
    tx.execute("UPDATE work_items SET state = 'cancelled' WHERE id = ?1", values![key])?;
    Ok(())
}

/// Lets up to `limit` ready items of a cell wait until `until`, unless they wait longer anyway.
///
/// # Errors
/// The database's.
pub fn postpone(tx: &mut Tx<'_>, cell: CellKey, until: Millis, limit: u32) -> Result<()> {
    tx.execute(
        "UPDATE work_items
         SET run_after = ?4
         WHERE id IN (
             SELECT id
             FROM work_items
             WHERE run_id = ?1 AND model_id = ?2 AND eval_id = ?3 AND state = 'ready' AND run_after < ?4
             LIMIT ?5
         )",
        values![cell.0, cell.1, cell.2, until, limit],
    )?;
    Ok(())
}

/// Gives an item back, to be leased again from `run_after` on.
///
/// # Errors
/// The database's.
pub fn give_back(
    tx: &mut Tx<'_>,
    item: &Held,
    tries: i64,
    run_after: Millis,
    why: Option<&str>,
) -> Result<()> {
    tx.execute(
        "UPDATE work_items
         SET state = 'ready', tries = ?3, run_after = ?4, last_error = COALESCE(?5, last_error),
             lease_owner = NULL, lease_until = NULL
         WHERE id = ?1 AND state = 'leased' AND attempt = ?2",
        values![item.key, item.attempt, tries, run_after, why],
    )?;
    tx.touch_soon(Topic::Runs);
    Ok(())
}

/// Renews every lease of `lease.owner`; answers the items it still holds.
///
/// # Errors
/// The database's.
pub fn renew(tx: &mut Tx<'_>, lease: &Lease) -> Result<Vec<WorkItemKey>> {
    tx.rows(
        "UPDATE work_items SET lease_until = ?2 WHERE state = 'leased' AND lease_owner = ?1 RETURNING id",
        values![&lease.owner, lease.until],
        |row| row.get("id"),
    )
}

/// Makes items ready whose lease has run out; answers how many.
///
/// # Errors
/// The database's.
pub fn reap(tx: &mut Tx<'_>, now: Millis) -> Result<usize> {
    tx.execute(
        "UPDATE work_items
         SET state = 'ready', expiries = expiries + 1, run_after = ?1, lease_owner = NULL, lease_until = NULL
         WHERE state = 'leased' AND lease_until < ?1",
        values![now],
    )
}

/// Makes every leased item ready: for the start of the only process that works on this folder.
///
/// # Errors
/// The database's.
pub fn release_all(tx: &mut Tx<'_>, now: Millis) -> Result<usize> {
    tx.execute(
        "UPDATE work_items
         SET state = 'ready', expiries = expiries + 1, run_after = ?1, lease_owner = NULL, lease_until = NULL
         WHERE state = 'leased'",
        values![now],
    )
}

/// Gives back, unharmed, what `owner` holds: it is shutting down.
///
/// # Errors
/// The database's.
pub fn release_owned(tx: &mut Tx<'_>, owner: &str, now: Millis) -> Result<usize> {
    tx.execute(
        "UPDATE work_items
         SET state = 'ready', run_after = ?2, lease_owner = NULL, lease_until = NULL
         WHERE state = 'leased' AND lease_owner = ?1",
        values![owner, now],
    )
}

/// Gives back, unharmed, those of `keys` that `owner` holds, to be leased again from `run_after` on.
///
/// # Errors
/// The database's.
pub fn release(tx: &mut Tx<'_>, owner: &str, keys: &[WorkItemKey], run_after: Millis) -> Result<()> {
    for key in keys {
        tx.execute(
            "UPDATE work_items
             SET state = 'ready', run_after = ?3, lease_owner = NULL, lease_until = NULL
             WHERE id = ?1 AND state = 'leased' AND lease_owner = ?2",
            values![*key, owner, run_after],
        )?;
    }
    Ok(())
}

/// Cancels up to `limit` open items that no plan names any more: their run is over, or their cell was taken
/// out of it. Answers how many.
///
/// # Errors
/// The database's.
pub fn cancel_orphans(tx: &mut Tx<'_>, run: RunKey, limit: u32) -> Result<usize> {
    tx.execute(
        "UPDATE work_items
         SET state = 'cancelled', lease_owner = NULL, lease_until = NULL
         WHERE id IN (
             SELECT work_items.id
             FROM work_items
             JOIN runs ON runs.id = work_items.run_id
             JOIN run_cells ON run_cells.run_id = work_items.run_id
                           AND run_cells.model_id = work_items.model_id
                           AND run_cells.eval_id = work_items.eval_id
             WHERE work_items.run_id = ?1 AND work_items.state IN ('ready', 'leased')
               AND (runs.state NOT IN ('queued', 'running') OR run_cells.finished_at IS NOT NULL
                    OR run_cells.dropped_at IS NOT NULL)
             ORDER BY work_items.state = 'ready', work_items.id
             LIMIT ?2
         )",
        values![run, limit],
    )
}

/// Runs that may have open items without a plan for them.
///
/// # Errors
/// The database's.
pub fn runs_with_orphans(tx: &mut Tx<'_>) -> Result<Vec<RunKey>> {
    tx.rows(
        "SELECT DISTINCT open.run_id
         FROM (SELECT DISTINCT run_id, model_id, eval_id FROM work_items WHERE state IN ('ready', 'leased')) AS open
         JOIN runs ON runs.id = open.run_id
         JOIN run_cells ON run_cells.run_id = open.run_id AND run_cells.model_id = open.model_id
                       AND run_cells.eval_id = open.eval_id
         WHERE runs.state NOT IN ('queued', 'running') OR run_cells.finished_at IS NOT NULL
            OR run_cells.dropped_at IS NOT NULL
         ORDER BY open.run_id",
        &[],
        |row| row.get("run_id"),
    )
}

/// How many items wait or are worked on, and since when the oldest of them may be leased.
///
/// # Errors
/// The database's.
pub fn backlog(tx: &mut Tx<'_>) -> Result<(i64, Option<Millis>)> {
    tx.one(
        "SELECT COUNT(*) AS open, MIN(run_after) AS oldest FROM work_items WHERE state IN ('ready', 'leased')",
        &[],
        |row| Ok((row.get("open")?, row.get("oldest")?)),
    )
}
