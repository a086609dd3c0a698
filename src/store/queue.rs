//! Queues: the items of each model at each endpoint, and where a run stands in them among others.

use super::Tx;
use crate::domain::id::{ModelKey, RevisionKey, RunKey};
use crate::error::Result;
use crate::values;

/// How many items stand before the next one of a run in the queues of its endpoints, all together: each queue is
/// read from its head, in the order in which items are leased, up to the first item of the run. A queue without one
/// is not read.
///
/// # Errors
/// The database's.
pub(super) fn ahead(tx: &mut Tx<'_>, run: RunKey) -> Result<i64> {
    tx.one(
        "WITH next AS (
             SELECT lanes.endpoint,
                    (SELECT own.priority
                     FROM work_items AS own
                     WHERE own.state = 'ready' AND own.endpoint = lanes.endpoint AND own.run_id = ?1
                     ORDER BY own.endpoint, own.priority, own.run_after, own.id
                     LIMIT 1) AS priority
             FROM (SELECT DISTINCT run_cells.endpoint
                   FROM run_cells
                   WHERE run_cells.run_id = ?1 AND run_cells.finished_at IS NULL AND run_cells.dropped_at IS NULL
                     AND EXISTS (SELECT 1
                                 FROM work_items AS own
                                 WHERE own.run_id = ?1 AND own.model_id = run_cells.model_id
                                   AND own.eval_id = run_cells.eval_id AND own.state IN ('ready', 'leased')
                                   AND own.state = 'ready')) AS lanes
         )
         SELECT COALESCE(SUM((
             SELECT COUNT(*)
             FROM work_items AS others
             WHERE others.state = 'ready' AND others.endpoint = next.endpoint AND others.priority < next.priority
         ) + (
             SELECT COUNT(*)
             FROM work_items AS others
             WHERE others.state = 'ready' AND others.endpoint = next.endpoint AND others.priority = next.priority
               AND others.run_id < ?1
         )), 0) AS ahead
         FROM next
         WHERE next.priority IS NOT NULL",
        values![run],
        |row| row.get("ahead"),
    )
}

/// Returns the models that open runs call, each with its revision and its queue. A run that scores answers again calls
/// none.
///
/// # Errors
/// The database's.
pub fn open_queues(tx: &mut Tx<'_>) -> Result<Vec<(RunKey, ModelKey, RevisionKey, String)>> {
    tx.rows(
        "SELECT DISTINCT run_cells.run_id, run_cells.model_id, run_cells.revision_id, run_cells.endpoint
         FROM runs
         JOIN run_cells ON run_cells.run_id = runs.id
         WHERE runs.state IN ('queued', 'running') AND runs.rescores_id IS NULL AND run_cells.finished_at IS NULL
           AND run_cells.dropped_at IS NULL
         ORDER BY run_cells.run_id, run_cells.model_id",
        &[],
        |row| Ok((row.get("run_id")?, row.get("model_id")?, row.get("revision_id")?, row.get("endpoint")?)),
    )
}

/// Moves the ready items of a model in a run to another queue.
///
/// # Errors
/// The database's.
pub fn move_to_queue(tx: &mut Tx<'_>, run: RunKey, model: ModelKey, endpoint: &str) -> Result<()> {
    tx.execute(
        "UPDATE run_cells SET endpoint = ?3
         WHERE run_id = ?1 AND model_id = ?2 AND finished_at IS NULL AND dropped_at IS NULL",
        values![run, model, endpoint],
    )?;
    tx.execute(
        "UPDATE work_items SET endpoint = ?3 WHERE run_id = ?1 AND model_id = ?2 AND state = 'ready'",
        values![run, model, endpoint],
    )
    .map(drop)
}

/// Returns the queues of a run that no open run has cells for.
///
/// # Errors
/// The database's.
pub fn unwanted(tx: &mut Tx<'_>, run: RunKey) -> Result<Vec<String>> {
    tx.rows(
        "SELECT DISTINCT endpoint
         FROM run_cells
         WHERE run_id = ?1
           AND endpoint NOT IN (SELECT others.endpoint
                                FROM runs
                                JOIN run_cells AS others ON others.run_id = runs.id
                                WHERE runs.state IN ('queued', 'running') AND others.finished_at IS NULL
                                  AND others.dropped_at IS NULL)
         ORDER BY endpoint",
        values![run],
        |row| row.get("endpoint"),
    )
}

/// The queue of a model at an endpoint that open runs still have cells for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeasableQueue {
    /// Its name.
    pub endpoint: String,
    /// The lowest limit that one of its models names. Where answers are only scored again, the models are not called,
    /// and theirs does not count.
    pub max_concurrency: Option<u32>,
    /// Those runs.
    pub runs: Vec<RunKey>,
}

/// Queues that open runs still have cells for, by name.
///
/// # Errors
/// The database's.
pub fn leasable(tx: &mut Tx<'_>) -> Result<Vec<LeasableQueue>> {
    let rows: Vec<(String, Option<u32>, RunKey)> = tx.rows(
        "SELECT run_cells.endpoint, run_cells.run_id,
                MIN(CASE WHEN runs.rescores_id IS NULL THEN models.max_concurrency END) AS max_concurrency
         FROM runs
         JOIN run_cells ON run_cells.run_id = runs.id
         JOIN models ON models.id = run_cells.model_id
         WHERE runs.state IN ('queued', 'running') AND run_cells.finished_at IS NULL
           AND run_cells.dropped_at IS NULL
         GROUP BY run_cells.endpoint, run_cells.run_id
         ORDER BY run_cells.endpoint, run_cells.run_id",
        &[],
        |row| Ok((row.get("endpoint")?, row.get("max_concurrency")?, row.get("run_id")?)),
    )?;
    let mut queues: Vec<LeasableQueue> = Vec::new();
    for (endpoint, limit, run) in rows {
        match queues.last_mut().filter(|queue| queue.endpoint == endpoint) {
            Some(queue) => {
                queue.max_concurrency = [queue.max_concurrency, limit].into_iter().flatten().min();
                queue.runs.push(run);
            }
            None => queues.push(LeasableQueue { endpoint, max_concurrency: limit, runs: vec![run] }),
        }
    }
    Ok(queues)
}
