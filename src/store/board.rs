//! What the board reads: the latest complete result of each model revision on each eval version, and the
//! suite. The rules of the suite are the domain's.

use std::collections::HashSet;

use super::{Row, Topic, Tx};
use crate::domain::direction::Direction;
use crate::domain::id::{EvalKey, ModelKey, ResultKey, RevisionKey, VersionKey};
use crate::domain::leaderboard::{BoardCell, Candidate, Change, ModelLine, Suite};
use crate::domain::results::{self, CostSpread};
use crate::domain::stats::{self, ErrorBounds, Interval};
use crate::domain::time::Millis;
use crate::error::{Error, Result};
use crate::values;

/// Runs that are read to see how far they differ.
const MAX_RUNS: i64 = 50;

/// Puts a complete result on the board, in place of one of an earlier run. One that `was_complete` before its
/// gaps were asked again is no further run. Answers that were scored again are as old as the run that asked for
/// them: they take no place of newer ones, or anybody could put his best run back on the board.
///
/// # Errors
/// The database's.
pub fn put(tx: &mut Tx<'_>, result: ResultKey, was_complete: bool) -> Result<()> {
    tx.execute(
        "INSERT INTO board_cells (revision_id, version_id, model_id, eval_id, run_id, result_id, runs)
         SELECT revision_id, version_id, model_id, eval_id, run_id, id, 1 FROM results WHERE id = ?1
         ON CONFLICT (revision_id, version_id) DO UPDATE
         SET runs = board_cells.runs + ?2",
        values![result, !was_complete],
    )?;
    tx.execute(
        "UPDATE board_cells
         SET result_id = fresh.id, run_id = fresh.run_id
         FROM results AS fresh
         JOIN runs ON runs.id = fresh.run_id
         WHERE fresh.id = ?1 AND board_cells.revision_id = fresh.revision_id
           AND board_cells.version_id = fresh.version_id
           AND (COALESCE(runs.answers_id, runs.id), runs.id)
               >= (SELECT COALESCE(present.answers_id, present.id), present.id
                   FROM runs AS present
                   WHERE present.id = board_cells.run_id)",
        values![result],
    )?;
    tx.touch(Topic::Board);
    Ok(())
}

/// Takes a result off the board that is not complete any more: the complete one with the latest answers of the same
/// model and eval comes in its place, if there is one.
///
/// # Errors
/// The database's.
pub fn withdraw(tx: &mut Tx<'_>, result: ResultKey) -> Result<()> {
    tx.execute(
        "UPDATE board_cells
         SET runs = board_cells.runs - 1
         FROM results AS own
         WHERE own.id = ?1 AND board_cells.revision_id = own.revision_id
           AND board_cells.version_id = own.version_id",
        values![result],
    )?;
    tx.execute(
        "UPDATE board_cells
         SET result_id = next.id, run_id = next.run_id
         FROM (SELECT others.id, others.run_id
               FROM results AS own
               JOIN results AS others ON others.model_id = own.model_id AND others.eval_id = own.eval_id
                                     AND others.revision_id = own.revision_id
                                     AND others.version_id = own.version_id
               JOIN runs ON runs.id = others.run_id
               WHERE own.id = ?1 AND others.id <> ?1
                 -- One whose gaps are asked again keeps its score meanwhile.
                 AND others.score IS NOT NULL AND others.state <> 'incomplete'
                 AND runs.on_board = 1 AND runs.epochs IS NULL AND runs.max_samples IS NULL
               ORDER BY COALESCE(runs.answers_id, runs.id) DESC, runs.id DESC
               LIMIT 1) AS next
         WHERE board_cells.result_id = ?1",
        values![result],
    )?;
    tx.execute("DELETE FROM board_cells WHERE result_id = ?1", values![result])?;
    tx.touch(Topic::Board);
    Ok(())
}

/// Whether a model revision has a complete result on an eval version.
///
/// # Errors
/// The database's.
pub fn holds(tx: &mut Tx<'_>, revision: RevisionKey, version: VersionKey) -> Result<bool> {
    let found = tx.first(
        "SELECT result_id FROM board_cells WHERE revision_id = ?1 AND version_id = ?2",
        values![revision, version],
        |row| row.get::<i64>("result_id"),
    )?;
    Ok(found.is_some())
}

/// Brings the suite up to date with what is complete now.
///
/// # Errors
/// The database's.
pub fn settle_suite(tx: &mut Tx<'_>, now: Millis) -> Result<()> {
    remove_inactive(tx, now)?;
    let candidates = candidates(tx)?;
    if candidates.is_empty() {
        return Ok(());
    }
    let members = tx.rows("SELECT eval_id, version_id FROM suite_evals ORDER BY eval_id", &[], |row| {
        Ok((row.get("eval_id")?, row.get("version_id")?))
    })?;
    let mut suite = Suite::new(members, complete_cells(tx)?);
    for (candidate, change) in suite.admit(&candidates) {
        tx.execute(
            "INSERT INTO suite_evals (eval_id, version_id, joined_at)
             VALUES (?1, ?2, ?3)
             ON CONFLICT (eval_id) DO UPDATE SET version_id = excluded.version_id, joined_at = excluded.joined_at",
            values![candidate.eval, candidate.version, now],
        )?;
        record(tx, candidate.eval, candidate.version, change, now)?;
    }
    Ok(())
}

/// Active evals whose present version is complete somewhere and not in the suite.
fn candidates(tx: &mut Tx<'_>) -> Result<Vec<Candidate>> {
    tx.rows(
        "SELECT evals.id, evals.version_id
         FROM evals
         LEFT JOIN suite_evals ON suite_evals.eval_id = evals.id AND suite_evals.version_id = evals.version_id
         WHERE evals.deleted_at IS NULL AND evals.is_active = 1 AND suite_evals.eval_id IS NULL
           AND EXISTS (SELECT 1 FROM board_cells WHERE board_cells.version_id = evals.version_id)
         ORDER BY evals.id",
        &[],
        |row| Ok(Candidate { eval: row.get("id")?, version: row.get("version_id")? }),
    )
}

/// Which present model revisions are complete on which versions of evals that count.
fn complete_cells(tx: &mut Tx<'_>) -> Result<HashSet<(ModelKey, VersionKey)>> {
    let cells = tx.rows(
        "SELECT board_cells.model_id, board_cells.version_id
         FROM models
         JOIN board_cells ON board_cells.revision_id = models.revision_id
         JOIN evals ON evals.id = board_cells.eval_id
         WHERE models.deleted_at IS NULL AND models.is_active = 1
           AND evals.deleted_at IS NULL AND evals.is_active = 1",
        &[],
        |row| Ok((row.get("model_id")?, row.get("version_id")?)),
    )?;
    Ok(cells.into_iter().collect())
}

fn remove_inactive(tx: &mut Tx<'_>, now: Millis) -> Result<()> {
    let left: Vec<(EvalKey, VersionKey)> = tx.rows(
        "SELECT suite_evals.eval_id, suite_evals.version_id
         FROM suite_evals
         JOIN evals ON evals.id = suite_evals.eval_id
         WHERE evals.deleted_at IS NOT NULL OR evals.is_active = 0
         ORDER BY suite_evals.eval_id",
        &[],
        |row| Ok((row.get("eval_id")?, row.get("version_id")?)),
    )?;
    for (eval, version) in left {
        tx.execute("DELETE FROM suite_evals WHERE eval_id = ?1", values![eval])?;
        record(tx, eval, version, Change::Left, now)?;
    }
    Ok(())
}

fn record(tx: &mut Tx<'_>, eval: EvalKey, version: VersionKey, change: Change, now: Millis) -> Result<()> {
    tx.execute(
        "INSERT INTO suite_changes (eval_id, version_id, change, at) VALUES (?1, ?2, ?3, ?4)",
        values![eval, version, change.as_str(), now],
    )?;
    tx.touch(Topic::Board);
    Ok(())
}

/// The models that the board may show, oldest first.
///
/// # Errors
/// The database's.
pub fn models(tx: &mut Tx<'_>) -> Result<Vec<ModelLine>> {
    tx.rows(
        "SELECT id, public_id, name, provider, is_official, open_weights,
                CASE WHEN (SELECT inference_uri FROM model_revisions WHERE id = models.revision_id) LIKE 'builtin:%'
                     THEN 1 ELSE 0 END AS is_baseline
         FROM models
         WHERE deleted_at IS NULL AND is_active = 1
         ORDER BY id",
        &[],
        model_line,
    )
}

/// A row of `models` as the board names it.
pub(super) fn model_line(row: &Row<'_>) -> Result<ModelLine> {
    Ok(ModelLine {
        key: row.get("id")?,
        id: row.get("public_id")?,
        name: row.get("name")?,
        provider: row.get("provider")?,
        is_official: row.get("is_official")?,
        open_weights: row.get("open_weights")?,
        is_baseline: row.get("is_baseline")?,
    })
}

/// What a cell shows of its eval and of its result.
pub(super) const SHOWN: &str = "evals.id AS eval_id, evals.public_id AS eval_public_id,
                evals.name AS eval_name, evals.category, evals.weight, evals.chance_level, evals.higher_is_better,
                results.public_id AS result_public_id, results.score, results.stderr, results.ci_low,
                results.ci_high, results.ci_method, results.item_count, results.scored_count,
                results.planned_count, results.score_sum, results.passed_count, results.overruled_count, results.cost_usd, results.latency_p50_ms,
                results.latency_p95_ms, results.costs_squared, results.cost_times_passed, results.passed_squared,
                results.updated_at,
                CASE WHEN results.scored_count < results.planned_count
                     THEN (SELECT epochs <= 1 OR reducer = 'mean' FROM eval_versions WHERE id = results.version_id)
                     ELSE 0 END AS has_bounds";

/// Every cell of the suite's versions, and of the present versions of evals that are not in it yet.
///
/// # Errors
/// The database's.
pub fn cells(tx: &mut Tx<'_>) -> Result<Vec<BoardCell>> {
    tx.rows(
        &format!(
            "SELECT board_cells.model_id, board_cells.version_id, board_cells.result_id, board_cells.runs,
                {SHOWN},
                COALESCE(suite_evals.version_id = board_cells.version_id, 0) AS counts
         FROM models
         JOIN board_cells ON board_cells.revision_id = models.revision_id
         JOIN evals ON evals.id = board_cells.eval_id
         JOIN results ON results.id = board_cells.result_id
         LEFT JOIN suite_evals ON suite_evals.eval_id = evals.id
         WHERE models.deleted_at IS NULL AND models.is_active = 1
           AND evals.deleted_at IS NULL AND evals.is_active = 1
           AND (board_cells.version_id = suite_evals.version_id OR board_cells.version_id = evals.version_id)
         ORDER BY evals.name, evals.id, models.id"
        ),
        &[],
        cell,
    )
}

/// The item scores of a complete result.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemScores {
    /// By position; none where nothing was measured.
    pub items: Vec<Option<f64>>,
    /// Whether its samples name clusters; see [`clusters`].
    pub has_clusters: bool,
}

/// The item scores of a result; none while it has no score, and when what is stored cannot be read.
///
/// # Errors
/// The database's.
pub fn item_scores(tx: &mut Tx<'_>, result: ResultKey) -> Result<Option<ItemScores>> {
    let scores = tx.first(
        "SELECT item_scores.packed, results.cluster_count IS NOT NULL AS has_clusters
         FROM results
         JOIN item_scores ON item_scores.result_id = results.id
         WHERE results.id = ?1",
        values![result],
        |row| {
            let packed: Vec<u8> = row.get("packed")?;
            let has_clusters = row.get("has_clusters")?;
            Ok(results::unpack(&packed).map(|items| ItemScores { items, has_clusters }))
        },
    )?;
    Ok(scores.flatten())
}

/// The item scores of the newest complete runs of the same model revision on the same eval version as `result`, that
/// one among them, a missing one counting as wrong. Answers that were scored again are no run of their own.
///
/// # Errors
/// The database's.
pub fn runs(tx: &mut Tx<'_>, result: ResultKey) -> Result<Vec<Vec<f64>>> {
    let rows = tx.rows(
        "SELECT item_scores.packed
         FROM results AS own
         JOIN results AS others ON others.model_id = own.model_id AND others.eval_id = own.eval_id
                               AND others.revision_id = own.revision_id
                               AND others.version_id = own.version_id
         JOIN runs ON runs.id = others.run_id
         JOIN item_scores ON item_scores.result_id = others.id
         WHERE own.id = ?1 AND others.state = 'complete' AND runs.answers_id IS NULL
           AND runs.on_board = 1 AND runs.epochs IS NULL AND runs.max_samples IS NULL
         ORDER BY others.id DESC
         LIMIT ?2",
        values![result, MAX_RUNS],
        |row| row.get::<Vec<u8>>("packed"),
    )?;
    let items = rows.iter().filter_map(|packed| results::unpack(packed));
    Ok(items.map(|items| items.into_iter().map(|score| score.unwrap_or(0.0)).collect()).collect())
}

/// The cluster of each sample of an eval version, by position; none where no sample names one.
///
/// # Errors
/// The database's.
pub fn clusters(tx: &mut Tx<'_>, version: VersionKey) -> Result<Option<Vec<u64>>> {
    let names: Vec<Option<String>> = tx.rows(
        "SELECT samples.cluster_id
         FROM eval_versions
         JOIN samples ON samples.set_id = eval_versions.set_id
         WHERE eval_versions.id = ?1
         ORDER BY samples.position",
        values![version],
        |row| row.get("cluster_id"),
    )?;
    Ok(results::cluster_numbers(&names.iter().map(Option::as_deref).collect::<Vec<_>>()))
}

/// What the score of a row's result could be as it counts, given what is missing; none where that cannot be told.
pub(super) fn bounds(row: &Row<'_>) -> Result<Option<ErrorBounds>> {
    if !row.get::<bool>("has_bounds")? {
        return Ok(None);
    }
    let count = |column| Ok::<_, Error>(usize::try_from(row.get::<i64>(column)?).unwrap_or(0));
    let sum = direction(row)?.counted_sum(row.get("score_sum")?, row.get("scored_count")?);
    Ok(stats::error_bounds(sum, count("scored_count")?, count("planned_count")?))
}

/// Which way the scores of a row's eval are better.
pub(super) fn direction(row: &Row<'_>) -> Result<Direction> {
    Ok(Direction::of(row.get("higher_is_better")?))
}

/// A score as it counts and as it was given.
struct Counted {
    score: f64,
    raw_score: f64,
    interval: Option<Interval>,
}

/// What a row's score and interval count as. What an earlier version stored counted missing cases as 0 whichever way
/// scores are better: there the score follows from the sums, and its interval with it.
fn counted(row: &Row<'_>, bounds: Option<ErrorBounds>) -> Result<Counted> {
    let direction = direction(row)?;
    let (low, high): (Option<f64>, Option<f64>) = (row.get("ci_low")?, row.get("ci_high")?);
    let stored: Option<f64> = row.get("score")?;
    let stored = stored.ok_or_else(|| Error::internal("a complete result without a score"))?;
    let interval = low.zip(high).map(|(low, high)| direction.interval(Interval { low, high }));
    let score = direction.counted(stored);
    let Some(bounds) = bounds.filter(|_| !direction.is_higher()) else {
        return Ok(Counted { score, raw_score: stored, interval });
    };
    let shift = bounds.if_wrong - score;
    let moved = |held: Interval| Interval { low: held.low + shift, high: held.high + shift };
    let (score, raw_score) = (bounds.if_wrong, direction.counted(bounds.if_wrong));
    Ok(Counted { score, raw_score, interval: interval.map(moved) })
}

/// How a row's costs spread; none for results of earlier versions.
fn cost_spread(row: &Row<'_>) -> Result<Option<CostSpread>> {
    let (costs, both): (Option<f64>, Option<f64>) =
        (row.get("costs_squared")?, row.get("cost_times_passed")?);
    let passed: Option<f64> = row.get("passed_squared")?;
    let sums = costs.zip(both).zip(passed);
    Ok(sums.map(|((costs_squared, cost_times_passed), passed_squared)| CostSpread {
        costs_squared,
        cost_times_passed,
        passed_squared,
    }))
}

/// A row of the query of [`cells`].
pub(super) fn cell(row: &Row<'_>) -> Result<BoardCell> {
    let (scored, planned): (i64, i64) = (row.get("scored_count")?, row.get("planned_count")?);
    let (direction, bounds) = (direction(row)?, bounds(row)?);
    let Counted { score, raw_score, interval } = counted(row, bounds)?;
    let chance: Option<f64> = row.get("chance_level")?;
    Ok(BoardCell {
        model: row.get("model_id")?,
        eval: row.get("eval_id")?,
        eval_id: row.get("eval_public_id")?,
        eval_name: row.get("eval_name")?,
        category: row.get("category")?,
        direction,
        version: row.get("version_id")?,
        weight: row.get("weight")?,
        own_weight: row.get("weight")?,
        counts: row.get("counts")?,
        is_provisional: !row.get::<bool>("counts")?,
        result_key: row.get("result_id")?,
        result: row.get("result_public_id")?,
        score,
        raw_score,
        stderr: row.get("stderr")?,
        interval,
        ci_method: row.get("ci_method")?,
        items: row.get("item_count")?,
        missing: planned - scored,
        bounds,
        chance: chance.map(|chance| direction.counted(chance)),
        passed: row.get("passed_count")?,
        overruled: row.get("overruled_count")?,
        cost_usd: row.get("cost_usd")?,
        cost_spread: cost_spread(row)?,
        latency_p50_ms: row.get("latency_p50_ms")?,
        latency_p95_ms: row.get("latency_p95_ms")?,
        runs: row.get("runs")?,
        pooled: 1,
        at: row.get("updated_at")?,
    })
}
