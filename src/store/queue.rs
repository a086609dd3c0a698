//! Queues: where a run stands among the others that wait for the same endpoints. It only reads.

use super::Tx;
use crate::domain::id::RunKey;
use crate::error::Result;
use crate::values;

/// How many items stand before the next one of a run in the queues of its endpoints, all together. Each endpoint
/// of the run is one look at an index, and so is its next item there: the run's other items are not read.
///
/// # Errors
/// The database's.
pub(super) fn ahead(tx: &mut Tx<'_>, run: RunKey) -> Result<i64> {
    tx.one(
        "WITH RECURSIVE lanes (endpoint) AS (
             SELECT MIN(endpoint) FROM work_items WHERE run_id = ?1 AND state = 'ready'
             UNION ALL
             SELECT (SELECT MIN(work_items.endpoint)
                     FROM work_items
                     WHERE work_items.run_id = ?1 AND work_items.state = 'ready'
                       AND work_items.endpoint > lanes.endpoint)
             FROM lanes
             WHERE lanes.endpoint IS NOT NULL
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
         FROM (SELECT lanes.endpoint,
                      (SELECT MIN(own.priority)
                       FROM work_items AS own
                       WHERE own.run_id = ?1 AND own.state = 'ready'
                         AND own.endpoint = lanes.endpoint) AS priority
               FROM lanes
               WHERE lanes.endpoint IS NOT NULL) AS next",
        values![run],
        |row| row.get("ahead"),
    )
}
