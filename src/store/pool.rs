//! Results that are pooled: all complete ones of a model revision on an eval version, not only the latest.

use std::collections::HashMap;

use super::{Row, Tx};
use crate::domain::id::{ResultKey, RevisionKey, VersionKey};
use crate::domain::pooling::{MAX_POOLED, Member};
use crate::error::Result;
use crate::values;

/// The results of each cell whose latest is the key, newest first: of answers that were scored several times the latest
/// scoring, and the newest [`MAX_POOLED`] of them. Only cells with more than one run are read.
///
/// # Errors
/// The database's.
pub fn by_latest(tx: &mut Tx<'_>) -> Result<HashMap<ResultKey, Vec<Member>>> {
    let rows = members(tx, "", &[])?;
    let mut pools: HashMap<ResultKey, Vec<Member>> = HashMap::new();
    for (latest, member) in rows {
        pools.entry(latest).or_default().push(member);
    }
    Ok(pools)
}

/// The results of one revision on one version, as [`by_latest`] has them; none where there are not two.
///
/// # Errors
/// The database's.
pub fn of_cell(tx: &mut Tx<'_>, revision: RevisionKey, version: VersionKey) -> Result<Vec<Member>> {
    let only = "AND board_cells.revision_id = ?1 AND board_cells.version_id = ?2";
    Ok(members(tx, only, values![revision, version])?.into_iter().map(|(_, member)| member).collect())
}

fn members(tx: &mut Tx<'_>, only: &str, values: &[super::Value]) -> Result<Vec<(ResultKey, Member)>> {
    tx.rows(
        &format!(
            "WITH scorings AS (
             SELECT board_cells.result_id AS latest_id, results.id, COALESCE(runs.answers_id, runs.id) AS answers_id,
                    ROW_NUMBER() OVER (PARTITION BY board_cells.result_id, COALESCE(runs.answers_id, runs.id)
                                       ORDER BY runs.id DESC) AS scoring
             FROM board_cells
             JOIN models ON models.revision_id = board_cells.revision_id
             JOIN results ON results.model_id = board_cells.model_id AND results.revision_id = board_cells.revision_id
                         AND results.version_id = board_cells.version_id
             JOIN runs ON runs.id = results.run_id
             WHERE board_cells.runs > 1 AND results.state = 'complete' {only}
               AND runs.on_board = 1 AND runs.epochs IS NULL AND runs.max_samples IS NULL
         ), pooled AS (
             SELECT latest_id, id, ROW_NUMBER() OVER (PARTITION BY latest_id ORDER BY answers_id DESC) AS age
             FROM scorings
             WHERE scoring = 1
         )
         SELECT pooled.latest_id, results.id, results.passed_count, results.cost_usd, results.latency_p50_ms,
                results.latency_p95_ms, results.planned_count - results.scored_count AS missing,
                results.input_tokens, results.output_tokens
         FROM pooled
         JOIN results ON results.id = pooled.id
         WHERE pooled.age <= {MAX_POOLED}
         ORDER BY pooled.latest_id, pooled.age"
        ),
        values,
        member,
    )
}

fn member(row: &Row<'_>) -> Result<(ResultKey, Member)> {
    let member = Member {
        result: row.get("id")?,
        passed: row.get("passed_count")?,
        cost_usd: row.get("cost_usd")?,
        latency_p50_ms: row.get("latency_p50_ms")?,
        latency_p95_ms: row.get("latency_p95_ms")?,
        missing: row.get("missing")?,
        input_tokens: row.get("input_tokens")?,
        output_tokens: row.get("output_tokens")?,
    };
    Ok((row.get("latest_id")?, member))
}
