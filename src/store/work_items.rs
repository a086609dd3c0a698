//! Work items: the queue that a killed process loses nothing of.
//!
//! A lease is a promise with an end. `attempt` is the fence: it grows at every lease, and only the holder of
//! the present attempt can end an item. What a case is worth is not decided here.

use super::{Topic, Tx, runs};
use crate::domain::id::{EvalKey, ModelKey, RunKey, SampleKey, WorkItemKey};
use crate::domain::samples::Sample;
use crate::domain::time::Millis;
use crate::error::Result;
use crate::values;

/// An item that this process may work on until its lease ends.
#[derive(Debug, Clone)]
pub struct Leased {
    /// Table key.
    pub key: WorkItemKey,
    /// The fence.
    pub attempt: i64,
    /// How often it failed by its own fault.
    pub tries: i64,
    /// How often a worker's lease on it ran out.
    pub expiries: i64,
    /// The run.
    pub run: RunKey,
    /// The model.
    pub model: ModelKey,
    /// The eval.
    pub eval: EvalKey,
    /// The sample's table key.
    pub sample_key: SampleKey,
    /// The sample.
    pub sample: Sample,
    /// 1, 2, ... within the sample.
    pub epoch: i64,
}

/// A lease that a worker asks for.
#[derive(Debug, Clone)]
pub struct Lease {
    /// Who asks, unique to the process.
    pub owner: String,
    /// Until when it holds unless it is renewed.
    pub until: Millis,
}

/// Leases up to `limit` ready items of an endpoint, those of the lowest priority number first.
///
/// # Errors
/// The database's.
pub fn claim(tx: &mut Tx<'_>, endpoint: &str, limit: u32, lease: &Lease, now: Millis) -> Result<Vec<Leased>> {
    let keys: Vec<WorkItemKey> = tx.rows(
        "UPDATE work_items
         SET state = 'leased', attempt = attempt + 1, lease_owner = ?3, lease_until = ?4
         WHERE id IN (
             SELECT id
             FROM work_items
             WHERE state = 'ready' AND endpoint = ?1 AND run_after <= ?5
             ORDER BY endpoint, priority, run_after, id
             LIMIT ?2
         )
         RETURNING id",
        values![endpoint, limit, &lease.owner, lease.until, now],
        |row| row.get("id"),
    )?;
    let mut items = keys.into_iter().map(|key| leased(tx, key)).collect::<Result<Vec<_>>>()?;
    items.sort_by_key(|item| item.key);
    let mut begun: Vec<RunKey> = items.iter().map(|item| item.run).collect();
    begun.sort_unstable();
    begun.dedup();
    for run in begun {
        runs::begin(tx, run, now)?;
    }
    Ok(items)
}

fn leased(tx: &mut Tx<'_>, key: WorkItemKey) -> Result<Leased> {
    tx.one(
        "SELECT work_items.attempt, work_items.tries, work_items.expiries, work_items.run_id, work_items.model_id,
                work_items.eval_id, work_items.sample_id, work_items.epoch,
                samples.position, samples.key AS sample_name, samples.input, samples.target, samples.choices,
                samples.metadata, samples.cluster_id
         FROM work_items
         JOIN samples ON samples.id = work_items.sample_id
         WHERE work_items.id = ?1",
        values![key],
        |row| {
            Ok(Leased {
                key,
                attempt: row.get("attempt")?,
                tries: row.get("tries")?,
                expiries: row.get("expiries")?,
                run: row.get("run_id")?,
                model: row.get("model_id")?,
                eval: row.get("eval_id")?,
                sample_key: row.get("sample_id")?,
                sample: super::samples::sample(row)?,
                epoch: row.get("epoch")?,
            })
        },
    )
}

/// When the endpoint's next ready item may be leased; none when it has none.
///
/// # Errors
/// The database's.
pub fn next_wake(tx: &mut Tx<'_>, endpoint: &str) -> Result<Option<Millis>> {
    tx.one(
        "SELECT MIN(run_after) AS wake FROM work_items WHERE state = 'ready' AND endpoint = ?1",
        values![endpoint],
        |row| row.get("wake"),
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

/// Ends an item if `attempt` still holds it; answers whether it did. If not, the work was late: discard it.
///
/// # Errors
/// The database's.
pub fn end(tx: &mut Tx<'_>, key: WorkItemKey, attempt: i64, end: End) -> Result<bool> {
    let state = match end {
        End::Done => "done",
        End::Failed => "failed",
    };
    let ended = tx.execute(
        "UPDATE work_items
         SET state = ?3, lease_owner = NULL, lease_until = NULL
         WHERE id = ?1 AND state = 'leased' AND attempt = ?2",
        values![key, attempt, state],
    )?;
    Ok(ended > 0)
}

/// Gives an item back, to be leased again from `run_after` on.
///
/// # Errors
/// The database's.
pub fn give_back(
    tx: &mut Tx<'_>,
    key: WorkItemKey,
    attempt: i64,
    tries: i64,
    run_after: Millis,
    why: Option<&str>,
) -> Result<()> {
    tx.execute(
        "UPDATE work_items
         SET state = 'ready', tries = ?3, run_after = ?4, last_error = COALESCE(?5, last_error),
             lease_owner = NULL, lease_until = NULL
         WHERE id = ?1 AND state = 'leased' AND attempt = ?2",
        values![key, attempt, tries, run_after, why],
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
             ORDER BY work_items.id
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
