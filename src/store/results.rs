//! Results: one row per model x eval cell of a run, its aggregates kept while cases are written.

use super::{Row, Topic, Tx};
use crate::domain::cases::Tally;
use crate::domain::direction::{Direction, PassMark};
use crate::domain::id::{CellKey, EvalKey, ModelKey, ResultId, ResultKey, RunKey, VersionKey};
use crate::domain::page::{Cursor, Page, Slice};
use crate::domain::results::{Aggregate, CaseScore, Counts, EvalResult, ResultState};
use crate::domain::runs::RunState;
use crate::domain::stats::Interval;
use crate::domain::time::Millis;
use crate::error::{Error, Result};
use crate::values;

const COLUMNS: &str = "results.id, results.public_id, results.run_id, runs.public_id AS run_public_id,
    runs.state AS run_state, models.public_id AS model_public_id, models.name AS model_name, models.owner_id AS model_owner,
    results.model_id,
    evals.public_id AS eval_public_id, evals.name AS eval_name, results.eval_id,
    evals.owner_id AS eval_owner, evals.hidden_targets, evals.higher_is_better,
    model_revisions.hash AS model_revision, results.revision_id, eval_versions.number AS eval_version,
    results.version_id, results.state, results.provenance, results.planned_count, results.case_count,
    results.scored_count, results.unscored_count, results.error_count, results.passed_count,
    results.overruled_count, results.removed_count, results.score_sum, results.score, results.stderr, results.ci_low, results.ci_high, results.ci_method, results.item_count,
    results.cluster_count, run_cells.epochs, eval_versions.reducer, results.latency_sum_ms,
    results.latency_count, results.latency_p50_ms, results.latency_p95_ms, results.input_tokens, results.output_tokens, results.cost_usd, results.error,
    results.created_at, earlier.public_id AS rescored_from
    FROM results
    JOIN runs ON runs.id = results.run_id
    JOIN models ON models.id = results.model_id
    JOIN evals ON evals.id = results.eval_id AND evals.deleted_at IS NULL
    JOIN model_revisions ON model_revisions.id = results.revision_id
    JOIN eval_versions ON eval_versions.id = results.version_id
    JOIN run_cells ON run_cells.run_id = results.run_id AND run_cells.model_id = results.model_id
                  AND run_cells.eval_id = results.eval_id
    LEFT JOIN results AS earlier ON earlier.run_id = runs.rescores_id AND earlier.model_id = results.model_id
                                AND earlier.eval_id = results.eval_id";

fn result(row: &Row<'_>) -> Result<EvalResult> {
    let run_state: String = row.get("run_state")?;
    let state: String = row.get("state")?;
    let (low, high): (Option<f64>, Option<f64>) = (row.get("ci_low")?, row.get("ci_high")?);
    Ok(EvalResult {
        key: row.get("id")?,
        id: row.get("public_id")?,
        run_key: row.get("run_id")?,
        run: row.get("run_public_id")?,
        run_is_open: RunState::parse(&run_state)?.is_open(),
        model: row.get("model_public_id")?,
        model_key: row.get("model_id")?,
        model_name: row.get("model_name")?,
        model_owner: row.get("model_owner")?,
        eval: row.get("eval_public_id")?,
        eval_key: row.get("eval_id")?,
        eval_name: row.get("eval_name")?,
        eval_owner: row.get("eval_owner")?,
        hidden_targets: row.get("hidden_targets")?,
        direction: Direction::of(row.get("higher_is_better")?),
        model_revision: row.get("model_revision")?,
        revision_key: row.get("revision_id")?,
        eval_version: row.get("eval_version")?,
        version_key: row.get("version_id")?,
        state: ResultState::parse(&state)?,
        provenance: row.get("provenance")?,
        counts: Counts {
            planned: row.get("planned_count")?,
            cases: row.get("case_count")?,
            scored: row.get("scored_count")?,
            unscored: row.get("unscored_count")?,
            errors: row.get("error_count")?,
            passed: row.get("passed_count")?,
        },
        overruled: row.get("overruled_count")?,
        removed: row.get("removed_count")?,
        score_sum: row.get("score_sum")?,
        score: row.get("score")?,
        stderr: row.get("stderr")?,
        interval: low.zip(high).map(|(low, high)| Interval { low, high }),
        ci_method: row.get("ci_method")?,
        item_count: row.get("item_count")?,
        cluster_count: row.get("cluster_count")?,
        epochs: row.get("epochs")?,
        reducer: row.get("reducer")?,
        latency_ms: mean_latency(row)?,
        latency_p50_ms: row.get("latency_p50_ms")?,
        latency_p95_ms: row.get("latency_p95_ms")?,
        input_tokens: row.get("input_tokens")?,
        output_tokens: row.get("output_tokens")?,
        cost_usd: row.get("cost_usd")?,
        error: row.get("error")?,
        created_at: row.get("created_at")?,
        rescored_from: row.get("rescored_from")?,
    })
}

fn mean_latency(row: &Row<'_>) -> Result<i64> {
    let (sum, count): (i64, i64) = (row.get("latency_sum_ms")?, row.get("latency_count")?);
    Ok((sum + count / 2).checked_div(count).unwrap_or(0))
}

/// Whose results are listed.
#[derive(Debug, Clone, Copy)]
pub enum Of {
    /// Those of a model, over all runs.
    Model(ModelKey),
    /// Those of a run.
    Run(RunKey),
}

/// Results of a model or a run, newest first.
///
/// # Errors
/// The database's.
pub fn list(tx: &mut Tx<'_>, of: Of, page: Page) -> Result<Slice<EvalResult>> {
    let (column, key) = match of {
        Of::Model(model) => ("results.model_id", model.0),
        Of::Run(run) => ("results.run_id", run.0),
    };
    let total = tx.one(
        &format!(
            "SELECT COUNT(*) AS total
             FROM results
             JOIN evals ON evals.id = results.eval_id AND evals.deleted_at IS NULL
             WHERE {column} = ?1"
        ),
        values![key],
        |row| row.get("total"),
    )?;
    let after = page.after;
    let rows = tx.page(
        &format!(
            "SELECT {COLUMNS}
             WHERE {column} = ?1 AND (?2 IS NULL OR (results.created_at, results.id) < (?2, ?3))
             ORDER BY results.created_at DESC, results.id DESC
             LIMIT ?4"
        ),
        values![key, after.map(|at| at.sort), after.map(|at| at.key), page.limit + 1],
        result,
    )?;
    Ok(Slice::cut(rows, page, total, |result| Cursor { sort: result.created_at.0, key: result.key.0 }))
}

/// The results of a model's present revision that too much is missing of, of runs that move the board, oldest
/// first.
///
/// # Errors
/// The database's.
pub fn incomplete(tx: &mut Tx<'_>, model: ModelKey) -> Result<Vec<EvalResult>> {
    tx.rows(
        &format!(
            "SELECT {COLUMNS}
             WHERE results.model_id = ?1 AND results.state = 'incomplete'
               AND results.revision_id = models.revision_id
               AND runs.on_board = 1 AND runs.epochs IS NULL AND runs.max_samples IS NULL
             ORDER BY results.id"
        ),
        values![model],
        result,
    )
}

/// The result of that id, unless its eval is deleted.
///
/// # Errors
/// `NotFound`.
pub fn get(tx: &mut Tx<'_>, id: &ResultId) -> Result<EvalResult> {
    tx.first(&format!("SELECT {COLUMNS} WHERE results.public_id = ?1"), values![id], result)?
        .ok_or(Error::NotFound("result"))
}

/// Where recorded cases went.
#[derive(Debug, Clone)]
pub struct Counted {
    /// The result they belong to.
    pub key: ResultKey,
    /// The eval's version.
    pub version: VersionKey,
    /// Whether they were the last of their cell.
    pub is_last: bool,
}

/// Counts cases in the result of their cell, which is made with its first case. None when the run is over or
/// the cell was taken out of it: then there is nothing to record.
///
/// # Errors
/// The database's.
pub fn count(
    tx: &mut Tx<'_>,
    cell: CellKey,
    fresh: &ResultId,
    tally: &Tally,
    now: Millis,
) -> Result<Option<Counted>> {
    let (run, model, eval) = cell;
    tx.first(
        "INSERT INTO results (public_id, run_id, model_id, eval_id, revision_id, version_id, state, provenance,
                              planned_count, case_count, scored_count, unscored_count, error_count, passed_count,
                              score_sum, item_count, latency_sum_ms, latency_count, input_tokens, output_tokens,
                              cost_usd, grader_cost_usd, created_at, updated_at)
         SELECT ?1, run_cells.run_id, run_cells.model_id, run_cells.eval_id, run_cells.revision_id,
                run_cells.version_id, 'running', 'run_here', run_cells.samples * run_cells.epochs,
                ?17, ?5, ?6, ?7, ?8, ?9, 0, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?16
         FROM run_cells
         JOIN runs ON runs.id = run_cells.run_id
         WHERE run_cells.run_id = ?2 AND run_cells.model_id = ?3 AND run_cells.eval_id = ?4
           AND run_cells.finished_at IS NULL AND run_cells.dropped_at IS NULL
           AND runs.state IN ('queued', 'running')
         ON CONFLICT (run_id, model_id, eval_id) DO UPDATE
         SET case_count = results.case_count + excluded.case_count,
             scored_count = results.scored_count + excluded.scored_count,
             unscored_count = results.unscored_count + excluded.unscored_count,
             error_count = results.error_count + excluded.error_count,
             passed_count = results.passed_count + excluded.passed_count,
             score_sum = results.score_sum + excluded.score_sum,
             latency_sum_ms = results.latency_sum_ms + excluded.latency_sum_ms,
             latency_count = results.latency_count + excluded.latency_count,
             input_tokens = results.input_tokens + excluded.input_tokens,
             output_tokens = results.output_tokens + excluded.output_tokens,
             cost_usd = results.cost_usd + excluded.cost_usd,
             grader_cost_usd = results.grader_cost_usd + excluded.grader_cost_usd,
             updated_at = excluded.updated_at
         RETURNING id, version_id, case_count,
                   planned_count - (SELECT given_up FROM run_cells
                                    WHERE run_id = ?2 AND model_id = ?3 AND eval_id = ?4) AS expected",
        values![
            fresh,
            run,
            model,
            eval,
            tally.scored,
            tally.unscored,
            tally.errors,
            tally.passed,
            tally.score_sum,
            tally.latency_sum_ms,
            tally.latency_count,
            tally.input_tokens,
            tally.output_tokens,
            tally.cost_usd,
            tally.grader_cost_usd,
            now,
            tally.cases,
        ],
        |row| {
            let (cases, expected): (i64, i64) = (row.get("case_count")?, row.get("expected")?);
            Ok(Counted { key: row.get("id")?, version: row.get("version_id")?, is_last: cases >= expected })
        },
    )
}

/// What is needed to bring a finished cell to its score.
#[derive(Debug, Clone)]
pub struct Finished {
    /// Samples that were planned.
    pub samples: i64,
    /// How often each.
    pub epochs: i64,
    /// The scorer's canonical name.
    pub scorer: String,
    /// How epochs become one score.
    pub reducer: String,
    /// From which score on a case passes.
    pub pass: PassMark,
    /// Whether it was finished before with a complete result: then its gaps were asked again, or verdicts changed.
    pub was_complete: bool,
    /// When its last case was recorded, or when it was finished.
    pub updated_at: Millis,
    /// One score per recorded case.
    pub cases: Vec<CaseScore>,
}

/// Reads the cases of a cell that is to be finished.
///
/// # Errors
/// `NotFound` when its plan is gone.
pub fn finished(tx: &mut Tx<'_>, key: ResultKey) -> Result<Finished> {
    let mut finished = tx
        .first(
            "SELECT run_cells.samples, run_cells.epochs, eval_versions.scorer, eval_versions.reducer,
                    eval_versions.pass_threshold, evals.higher_is_better, results.updated_at,
                    results.score IS NOT NULL AND results.state <> 'incomplete' AS was_complete
             FROM results
             JOIN run_cells ON run_cells.run_id = results.run_id AND run_cells.model_id = results.model_id
                           AND run_cells.eval_id = results.eval_id
             JOIN eval_versions ON eval_versions.id = results.version_id
             JOIN evals ON evals.id = results.eval_id
             WHERE results.id = ?1",
            values![key],
            |row| {
                Ok(Finished {
                    samples: row.get("samples")?,
                    epochs: row.get("epochs")?,
                    scorer: row.get("scorer")?,
                    reducer: row.get("reducer")?,
                    pass: PassMark {
                        threshold: row.get("pass_threshold")?,
                        direction: Direction::of(row.get("higher_is_better")?),
                    },
                    was_complete: row.get("was_complete")?,
                    updated_at: row.get("updated_at")?,
                    cases: Vec::new(),
                })
            },
        )?
        .ok_or(Error::NotFound("result"))?;
    finished.cases = tx.rows(
        "SELECT samples.position, samples.cluster_id, cases.score, cases.latency_ms,
                CASE cases.state WHEN 'error' THEN COALESCE(cases.cost_usd, 0.0) ELSE cases.cost_usd END AS cost_usd
         FROM cases
         JOIN samples ON samples.id = cases.sample_id
         WHERE cases.result_id = ?1
         ORDER BY cases.id",
        values![key],
        |row| {
            Ok(CaseScore {
                position: row.get("position")?,
                cluster: row.get("cluster_id")?,
                score: row.get("score")?,
                latency_ms: row.get("latency_ms")?,
                cost_usd: row.get("cost_usd")?,
            })
        },
    )?;
    Ok(finished)
}

/// The finished results of an eval, over all its versions, oldest first.
///
/// # Errors
/// The database's.
pub fn finished_of_eval(tx: &mut Tx<'_>, eval: EvalKey) -> Result<Vec<ResultKey>> {
    tx.rows(
        "SELECT id FROM results WHERE eval_id = ?1 AND state <> 'running' ORDER BY id",
        values![eval],
        |row| row.get("id"),
    )
}

/// Stores what a finished cell amounts to.
///
/// # Errors
/// The database's.
pub fn finish(tx: &mut Tx<'_>, key: ResultKey, aggregate: &Aggregate, now: Millis) -> Result<()> {
    let summary = aggregate.summary.as_ref();
    let interval = summary.and_then(|summary| summary.interval);
    let spread = aggregate.cost_spread;
    let error = failure(tx, key)?;
    tx.execute(
        "UPDATE results
         SET state = ?2, score = ?3, stderr = ?4, ci_low = ?5, ci_high = ?6, ci_method = ?7, item_count = ?8,
             cluster_count = ?9, latency_p50_ms = ?10, error = ?11, updated_at = ?12, passed_count = ?13,
             latency_p95_ms = ?14, costs_squared = ?15, cost_times_passed = ?16, passed_squared = ?17,
             within_variance = ?18
         WHERE id = ?1",
        values![
            key,
            aggregate.state.as_str(),
            summary.map(|summary| summary.mean),
            summary.and_then(|summary| summary.stderr),
            interval.map(|interval| interval.low),
            interval.map(|interval| interval.high),
            summary.and_then(|summary| summary.method).map(|method| method.as_str()),
            summary.map_or(0, |summary| i64::try_from(summary.items).unwrap_or(i64::MAX)),
            summary.and_then(|summary| summary.clusters).and_then(|count| i64::try_from(count).ok()),
            aggregate.latency_p50_ms,
            error,
            now,
            aggregate.passed,
            aggregate.latency_p95_ms,
            spread.map(|spread| spread.costs_squared),
            spread.map(|spread| spread.cost_times_passed),
            spread.map(|spread| spread.passed_squared),
            aggregate.within_variance,
        ],
    )?;
    tx.execute(
        "INSERT INTO item_scores (result_id, packed)
         VALUES (?1, ?2)
         ON CONFLICT (result_id) DO UPDATE SET packed = excluded.packed",
        values![key, aggregate.item_scores.as_slice()],
    )?;
    tx.touch(Topic::Results);
    tx.touch(Topic::Runs);
    tx.touch(Topic::Board);
    Ok(())
}

/// `3 of 200 failed: provider_timeout`, naming the code that occurred most; none when nothing failed.
fn failure(tx: &mut Tx<'_>, key: ResultKey) -> Result<Option<String>> {
    tx.first(
        "SELECT COALESCE(cases.error, cases.reason) AS code,
                results.planned_count - results.scored_count AS failed, results.planned_count
         FROM results
         LEFT JOIN cases ON cases.result_id = results.id AND cases.state <> 'scored'
         WHERE results.id = ?1 AND results.planned_count > results.scored_count
         GROUP BY code, results.planned_count, results.scored_count
         ORDER BY COUNT(*) DESC, code
         LIMIT 1",
        values![key],
        |row| {
            let (failed, planned): (i64, i64) = (row.get("failed")?, row.get("planned_count")?);
            let code: Option<String> = row.get("code")?;
            let code = code.unwrap_or_else(|| "cancelled".to_owned());
            Ok(format!("{failed} of {planned} failed: {code}"))
        },
    )
}

/// The result of a cell, if a case of it was recorded.
///
/// # Errors
/// The database's.
pub fn of_cell(tx: &mut Tx<'_>, cell: CellKey) -> Result<Option<ResultKey>> {
    tx.first(
        "SELECT id FROM results WHERE run_id = ?1 AND model_id = ?2 AND eval_id = ?3",
        values![cell.0, cell.1, cell.2],
        |row| row.get("id"),
    )
}

/// Brings the sums of a result back to its scored cases, which are all that it has: more are to come. A complete
/// one keeps its score until it has another, since the board shows it.
///
/// # Errors
/// The database's.
pub fn reopen(tx: &mut Tx<'_>, key: ResultKey, now: Millis) -> Result<()> {
    tx.execute(
        "UPDATE results
         SET case_count = results.scored_count, unscored_count = 0, error_count = 0, error = NULL,
             latency_sum_ms = kept.latency, latency_count = kept.timed, input_tokens = kept.input,
             output_tokens = kept.output, cost_usd = kept.cost, grader_cost_usd = kept.grader_cost,
             removed_count = CASE results.removed_count WHEN 0 THEN 0 ELSE
                 (SELECT COUNT(*)
                  FROM cases
                  JOIN case_texts ON case_texts.case_id = cases.id
                  WHERE cases.result_id = ?1 AND case_texts.removed_at IS NOT NULL) END,
             updated_at = ?2
         FROM (SELECT COALESCE(SUM(latency_ms), 0) AS latency, COUNT(latency_ms) AS timed,
                      CASE WHEN COUNT(*) = COUNT(input_tokens)
                           THEN COALESCE(SUM(input_tokens + COALESCE(cached_input_tokens, 0)
                                             + COALESCE(cache_write_tokens, 0)), 0) END AS input,
                      CASE WHEN COUNT(*) = COUNT(output_tokens)
                           THEN COALESCE(SUM(output_tokens + COALESCE(reasoning_tokens, 0)), 0) END AS output,
                      CASE WHEN COUNT(*) = COUNT(cost_usd) THEN COALESCE(SUM(cost_usd), 0.0) END AS cost,
                      CASE WHEN COUNT(*) = COUNT(grader_cost_usd)
                           THEN COALESCE(SUM(grader_cost_usd), 0.0) END AS grader_cost
               FROM cases
               WHERE result_id = ?1) AS kept
         WHERE results.id = ?1",
        values![key, now],
    )?;
    tx.execute(
        "UPDATE results
         SET score = NULL, stderr = NULL, ci_low = NULL, ci_high = NULL, ci_method = NULL, item_count = 0,
             cluster_count = NULL, latency_p50_ms = NULL
         WHERE id = ?1 AND state <> 'complete'",
        values![key],
    )?;
    tx.execute(
        "DELETE FROM item_scores
         WHERE result_id = (SELECT id FROM results WHERE id = ?1 AND state <> 'complete')",
        values![key],
    )?;
    tx.execute("UPDATE results SET state = 'running' WHERE id = ?1", values![key])?;
    Ok(())
}
