//! Pairs: the results of two models on the eval versions that both have a complete one on.
//!
//! The same results that the board shows, with the score of every item.

use std::collections::HashSet;

use super::{Row, Tx, board};
use crate::domain::direction::{Direction, PassMark};
use crate::domain::id::RevisionKey;
use crate::domain::pairs::{Half, PairedEval, Spent};
use crate::domain::results;
use crate::error::{Error, Result};
use crate::values;

/// What two model revisions did on each eval that both are measured on: those of the suite first, each part by
/// name. Of an eval with results of two versions, the version that counts.
///
/// # Errors
/// `Internal` when stored scores cannot be read; else the database's.
pub fn shared(tx: &mut Tx<'_>, a: RevisionKey, b: RevisionKey) -> Result<Vec<PairedEval>> {
    let mut evals = tx.rows(
        &format!(
            "SELECT evals.id AS eval_id, evals.public_id AS eval_public_id, evals.name, evals.owner_id,
                    evals.hidden_targets, evals.weight, eval_versions.id AS version_id,
                    eval_versions.pass_threshold, evals.higher_is_better,
                    COALESCE(suite_evals.version_id = eval_versions.id, 0) AS counts, {}, {}
             FROM board_cells AS a_cells
             JOIN board_cells AS b_cells ON b_cells.version_id = a_cells.version_id
             JOIN results AS a ON a.id = a_cells.result_id
             JOIN results AS b ON b.id = b_cells.result_id
             JOIN evals ON evals.id = a_cells.eval_id
             JOIN eval_versions ON eval_versions.id = a_cells.version_id
             LEFT JOIN suite_evals ON suite_evals.eval_id = evals.id
             WHERE a_cells.revision_id = ?1 AND b_cells.revision_id = ?2
               AND evals.deleted_at IS NULL AND evals.is_active = 1
               AND (eval_versions.id = suite_evals.version_id OR eval_versions.id = evals.version_id)
             ORDER BY counts DESC, evals.name, evals.id",
            columns("a"),
            columns("b"),
        ),
        values![a, b],
        eval,
    )?;
    let mut seen = HashSet::new();
    evals.retain(|(eval, _)| seen.insert(eval.key));
    evals.into_iter().map(|(eval, has_clusters)| with_clusters(tx, eval, has_clusters)).collect()
}

fn columns(side: &str) -> String {
    let names = [
        "id",
        "public_id",
        "cluster_count",
        "cost_usd",
        "latency_p50_ms",
        "input_tokens",
        "output_tokens",
        "planned_count",
        "scored_count",
    ];
    let names = names.map(|name| format!("{side}.{name} AS {side}_{name}")).join(", ");
    format!("{names}, (SELECT packed FROM item_scores WHERE result_id = {side}.id) AS {side}_item_scores")
}

/// An eval without its clusters, and whether it has any.
fn eval(row: &Row<'_>) -> Result<(PairedEval, bool)> {
    let clusters: Option<i64> = row.get("a_cluster_count")?;
    let direction = Direction::of(row.get("higher_is_better")?);
    let eval = PairedEval {
        key: row.get("eval_id")?,
        id: row.get("eval_public_id")?,
        name: row.get("name")?,
        owner: row.get("owner_id")?,
        hidden_targets: row.get("hidden_targets")?,
        version: row.get("version_id")?,
        pass: PassMark { threshold: row.get("pass_threshold")?, direction },
        weight: row.get("weight")?,
        counts: row.get("counts")?,
        clusters: None,
        a: half(row, "a", direction)?,
        b: half(row, "b", direction)?,
    };
    if eval.a.scores.len() != eval.b.scores.len() {
        return Err(Error::internal("two results of one eval version with different numbers of items"));
    }
    Ok((eval, clusters.is_some()))
}

fn half(row: &Row<'_>, side: &str, direction: Direction) -> Result<Half> {
    let column = |name: &str| format!("{side}_{name}");
    let packed: Vec<u8> = row.get(&column("item_scores"))?;
    let scores = results::unpack(&packed).ok_or_else(|| Error::internal("item scores cannot be read"))?;
    let (planned, scored): (i64, i64) =
        (row.get(&column("planned_count"))?, row.get(&column("scored_count"))?);
    Ok(Half {
        key: row.get(&column("id"))?,
        id: row.get(&column("public_id"))?,
        // What could not be measured counts as wrong, as in the score.
        scores: direction.counted_items(scores).into_iter().map(|score| score.unwrap_or(0.0)).collect(),
        spent: Spent {
            cost_usd: row.get(&column("cost_usd"))?,
            latency_p50_ms: row.get(&column("latency_p50_ms"))?,
            input_tokens: row.get(&column("input_tokens"))?,
            output_tokens: row.get(&column("output_tokens"))?,
            missing: planned - scored,
        },
        pooled: 1,
    })
}

fn with_clusters(tx: &mut Tx<'_>, eval: PairedEval, has_clusters: bool) -> Result<PairedEval> {
    let clusters = if has_clusters { board::clusters(tx, eval.version)? } else { None };
    if clusters.as_ref().is_some_and(|clusters| clusters.len() != eval.a.scores.len()) {
        return Err(Error::internal("a result with another number of items than its eval version"));
    }
    Ok(PairedEval { clusters, ..eval })
}
