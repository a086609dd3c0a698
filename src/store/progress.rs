//! How far a run has come, cell by cell, and what failed in it: for people who watch.
//!
//! It only reads. What a plan is and how it moves on stands in `plans` and `runs`.

use super::{Row, Tx};
use crate::domain::cases::CaseState;
use crate::domain::id::{CaseId, EvalId, ModelId, ResultId, RunKey};
use crate::domain::results::ResultState;
use crate::domain::stats::{self, Interval};
use crate::domain::time::Millis;
use crate::error::{Error, Result};
use crate::values;

/// A model x eval cell of a run as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct CellProgress {
    /// The model.
    pub model: ModelId,
    /// Its present name.
    pub model_name: String,
    /// The eval.
    pub eval: EvalId,
    /// Its present name.
    pub eval_name: String,
    /// Whom its calls are counted against.
    pub endpoint: String,
    /// Cases planned.
    pub planned: i64,
    /// What was recorded; none before its first case.
    pub recorded: Option<Recorded>,
}

/// What is recorded of a cell.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Its result.
    pub result: ResultId,
    /// Where that stands.
    pub state: ResultState,
    /// Cases recorded.
    pub cases: i64,
    /// Of those, cases with a score.
    pub scored: i64,
    /// Mean score, once the cell is finished.
    pub score: Option<f64>,
    /// Its 95 % interval.
    pub interval: Option<Interval>,
    /// The lowest and the highest score that it can have where it is incomplete; none where epochs are not averaged.
    pub bounds: Option<Interval>,
    /// US dollars; none when any part is unknown.
    pub cost_usd: Option<f64>,
}

/// Cases of a run that could not be measured for the same reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failures {
    /// The error's code, else the reason.
    pub code: String,
    /// How many.
    pub cases: i64,
    /// One of them, in words.
    pub example: Option<String>,
}

/// Cases of one model that wait, for the same reason, before they are asked again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// The model.
    pub model: ModelId,
    /// Its present name.
    pub model_name: String,
    /// How many cases wait.
    pub cases: i64,
    /// When the first of them may be asked again.
    pub until: Millis,
    /// What went wrong the last time, in words.
    pub why: Option<String>,
}

/// A case as it is told to those who follow its run.
#[derive(Debug, Clone, PartialEq)]
pub struct News {
    /// The place behind it.
    pub place: Place,
    /// Its id.
    pub case: CaseId,
    /// Its result.
    pub result: ResultId,
    /// The model.
    pub model: ModelId,
    /// The eval.
    pub eval: EvalId,
    /// The sample's own key, else its position.
    pub sample: String,
    /// 1, 2, ... within the sample.
    pub epoch: i64,
    /// What came of it.
    pub state: CaseState,
    /// 0 to 1; none where it has no score.
    pub score: Option<f64>,
    /// Why it is wrong, or has no score.
    pub reason: Option<String>,
    /// The error's code.
    pub error: Option<String>,
}

/// How far somebody has followed what is recorded: a place between two cases of the whole board, in the order
/// in which they were recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(pub i64);

/// The place behind the last recorded case.
///
/// # Errors
/// The database's.
pub fn newest(tx: &mut Tx<'_>) -> Result<Place> {
    tx.one("SELECT COALESCE(MAX(id), 0) AS newest FROM cases", &[], |row| row.get("newest").map(Place))
}

/// The cases of a run that were recorded behind `after`, looking at `most` cases of whatever run; and the
/// place that this leads to.
///
/// # Errors
/// The database's.
pub fn news(tx: &mut Tx<'_>, run: RunKey, after: Place, most: i64) -> Result<(Vec<News>, Place)> {
    let reached = newest(tx)?.min(Place(after.0.saturating_add(most)));
    // The cross join keeps the planner from going through all cases of the run.
    let rows = tx.rows(
        "SELECT cases.id, cases.public_id, results.public_id AS result_public_id, models.public_id AS model_public_id,
                evals.public_id AS eval_public_id, COALESCE(samples.key, CAST(samples.position AS TEXT)) AS sample,
                cases.epoch, cases.state, cases.score,
                CASE WHEN overrules.case_id IS NULL THEN cases.reason END AS reason,
                CASE WHEN overrules.case_id IS NULL THEN cases.error END AS error
         FROM cases
         CROSS JOIN results ON results.id = cases.result_id
         JOIN models ON models.id = results.model_id
         JOIN evals ON evals.id = results.eval_id AND evals.deleted_at IS NULL
         JOIN samples ON samples.id = cases.sample_id
         LEFT JOIN overrules ON overrules.case_id = cases.id
         WHERE cases.id > ?2 AND cases.id <= ?3 AND results.run_id = ?1
         ORDER BY cases.id",
        values![run, after.0, reached.0],
        |row| {
            let state: String = row.get("state")?;
            Ok(News {
                place: Place(row.get("id")?),
                case: row.get("public_id")?,
                result: row.get("result_public_id")?,
                model: row.get("model_public_id")?,
                eval: row.get("eval_public_id")?,
                sample: row.get("sample")?,
                epoch: row.get("epoch")?,
                state: CaseState::parse(&state)?,
                score: row.get("score")?,
                reason: row.get("reason")?,
                error: row.get("error")?,
            })
        },
    )?;
    Ok((rows, reached.max(after)))
}

/// What waits in a run at `now`, the soonest first; at most `most` lines.
///
/// # Errors
/// The database's.
pub fn waits(tx: &mut Tx<'_>, run: RunKey, now: Millis, most: u32) -> Result<Vec<Wait>> {
    tx.rows(
        "SELECT models.public_id, models.name, COUNT(*) AS cases, MIN(work_items.run_after) AS until,
                work_items.last_error
         FROM work_items
         JOIN models ON models.id = work_items.model_id
         WHERE work_items.run_id = ?1 AND work_items.state = 'ready' AND work_items.attempt > 0
           AND work_items.run_after > ?2
         GROUP BY models.id, models.public_id, models.name, work_items.last_error
         ORDER BY until, models.id
         LIMIT ?3",
        values![run, now, most],
        |row| {
            Ok(Wait {
                model: row.get("public_id")?,
                model_name: row.get("name")?,
                cases: row.get("cases")?,
                until: row.get("until")?,
                why: row.get("last_error")?,
            })
        },
    )
}

/// The cells of a run in the order of its plan; those taken out of it are left out.
///
/// # Errors
/// The database's.
pub fn cells(tx: &mut Tx<'_>, run: RunKey) -> Result<Vec<CellProgress>> {
    tx.rows(
        "SELECT models.public_id AS model_public_id, models.name AS model_name,
                evals.public_id AS eval_public_id, evals.name AS eval_name,
                run_cells.endpoint, run_cells.samples * run_cells.epochs AS planned, results.public_id AS result_public_id,
                results.state, results.case_count, results.scored_count, results.score, results.ci_low,
                results.ci_high, results.cost_usd, results.score_sum, results.planned_count,
                CASE WHEN results.state = 'incomplete' AND (run_cells.epochs <= 1 OR eval_versions.reducer = 'mean')
                     THEN 1 ELSE 0 END AS has_bounds
         FROM run_cells
         JOIN models ON models.id = run_cells.model_id
         JOIN evals ON evals.id = run_cells.eval_id AND evals.deleted_at IS NULL
         JOIN eval_versions ON eval_versions.id = run_cells.version_id
         LEFT JOIN results ON results.run_id = run_cells.run_id AND results.model_id = run_cells.model_id
                          AND results.eval_id = run_cells.eval_id
         WHERE run_cells.run_id = ?1 AND run_cells.dropped_at IS NULL
         ORDER BY run_cells.position",
        values![run],
        |row| {
            Ok(CellProgress {
                model: row.get("model_public_id")?,
                model_name: row.get("model_name")?,
                eval: row.get("eval_public_id")?,
                eval_name: row.get("eval_name")?,
                endpoint: row.get("endpoint")?,
                planned: row.get("planned")?,
                recorded: recorded(row)?,
            })
        },
    )
}

fn recorded(row: &Row<'_>) -> Result<Option<Recorded>> {
    let Some(result) = row.get("result_public_id")? else { return Ok(None) };
    let state: String = row.get("state")?;
    let (low, high): (Option<f64>, Option<f64>) = (row.get("ci_low")?, row.get("ci_high")?);
    Ok(Some(Recorded {
        result,
        state: ResultState::parse(&state)?,
        cases: row.get("case_count")?,
        scored: row.get("scored_count")?,
        score: row.get("score")?,
        interval: low.zip(high).map(|(low, high)| Interval { low, high }),
        bounds: bounds(row)?,
        cost_usd: row.get("cost_usd")?,
    }))
}

fn bounds(row: &Row<'_>) -> Result<Option<Interval>> {
    if !row.get::<bool>("has_bounds")? {
        return Ok(None);
    }
    let count = |column| Ok::<_, Error>(usize::try_from(row.get::<i64>(column)?).unwrap_or(0));
    let bounds = stats::error_bounds(row.get("score_sum")?, count("scored_count")?, count("planned_count")?);
    Ok(bounds.map(|bounds| Interval { low: bounds.if_wrong, high: bounds.if_right }))
}

/// What failed in a run, the most frequent first.
///
/// # Errors
/// The database's.
pub fn failures(tx: &mut Tx<'_>, run: RunKey) -> Result<Vec<Failures>> {
    tx.rows(
        "SELECT COALESCE(cases.error, cases.reason, 'unknown') AS code, COUNT(*) AS cases,
                MIN(case_texts.error_message) AS example
         FROM results
         JOIN evals ON evals.id = results.eval_id AND evals.deleted_at IS NULL
         JOIN cases ON cases.result_id = results.id AND cases.state <> 'scored'
         JOIN case_texts ON case_texts.case_id = cases.id
         WHERE results.run_id = ?1 AND results.case_count > results.scored_count
         GROUP BY code
         ORDER BY cases DESC, code",
        values![run],
        |row| Ok(Failures { code: row.get("code")?, cases: row.get("cases")?, example: row.get("example")? }),
    )
}
