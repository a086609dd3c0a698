//! Queues: where a run stands among the others that wait for the same endpoints. It only reads.

use super::Tx;
use crate::domain::id::RunKey;
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
