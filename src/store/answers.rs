//! Answers that are scored again: which cells of a run have some, what was answered, and which run took them over.
//!
//! Whether a cell may be scored again is decided elsewhere.

use super::{Topic, Tx};
use crate::domain::cases::{Case, CaseState, Tokens};
use crate::domain::id::{
    CaseId, EvalId, EvalKey, ModelId, ModelKey, PriceKey, RevisionKey, RunId, RunKey, SampleSetKey,
    VersionKey,
};
use crate::domain::results::EvalResult;
use crate::domain::time::Millis;
use crate::error::Result;
use crate::values;

/// A model x eval of a run that is over, with what was answered in it.
#[derive(Debug, Clone)]
pub struct Answered {
    /// The model.
    pub model: ModelKey,
    /// Its public id.
    pub model_id: ModelId,
    /// Its present name.
    pub model_name: String,
    /// Whether it is deleted.
    pub model_is_gone: bool,
    /// The revision that answered.
    pub revision: RevisionKey,
    /// The prices of the run.
    pub price: PriceKey,
    /// The eval.
    pub eval: EvalKey,
    /// Its public id.
    pub eval_id: EvalId,
    /// Its present name.
    pub eval_name: String,
    /// Whether it is deleted.
    pub eval_is_gone: bool,
    /// The version that was asked.
    pub version: VersionKey,
    /// How often each sample was asked, 1 or more.
    pub epochs: i64,
    /// Cases that were recorded.
    pub cases: i64,
    /// Of those, cases with an answer.
    pub answers: i64,
    /// Of those, cases whose texts were removed.
    pub removed: i64,
}

/// Every cell of a run's plan that is not purged yet, in its order.
///
/// # Errors
/// The database's.
pub fn cells(tx: &mut Tx<'_>, run: RunKey) -> Result<Vec<Answered>> {
    tx.rows(
        "SELECT run_cells.model_id, models.public_id AS model_public_id, models.name AS model_name,
                models.deleted_at IS NOT NULL AS model_is_gone, run_cells.revision_id, run_cells.price_id,
                run_cells.eval_id, evals.public_id AS eval_public_id, evals.name AS eval_name,
                evals.deleted_at IS NOT NULL AS eval_is_gone, run_cells.version_id, run_cells.epochs,
                COALESCE(results.case_count, 0) AS cases,
                COALESCE(results.case_count - results.error_count, 0) AS answers,
                COALESCE(results.removed_count, 0) AS removed
         FROM run_cells
         JOIN models ON models.id = run_cells.model_id
         JOIN evals ON evals.id = run_cells.eval_id
         LEFT JOIN results ON results.run_id = run_cells.run_id AND results.model_id = run_cells.model_id
                          AND results.eval_id = run_cells.eval_id
         WHERE run_cells.run_id = ?1
         ORDER BY run_cells.position",
        values![run],
        |row| {
            Ok(Answered {
                model: row.get("model_id")?,
                model_id: row.get("model_public_id")?,
                model_name: row.get("model_name")?,
                model_is_gone: row.get("model_is_gone")?,
                revision: row.get("revision_id")?,
                price: row.get("price_id")?,
                eval: row.get("eval_id")?,
                eval_id: row.get("eval_public_id")?,
                eval_name: row.get("eval_name")?,
                eval_is_gone: row.get("eval_is_gone")?,
                version: row.get("version_id")?,
                epochs: row.get("epochs")?,
                cases: row.get("cases")?,
                answers: row.get("answers")?,
                removed: row.get("removed")?,
            })
        },
    )
}

/// Whether whoever was asked the samples of `asked` was asked all of `present`: each has one of the same key, input
/// and choices, and the same metadata where the prompt shows them. Sets never change, so neither does the answer.
///
/// # Errors
/// The database's.
pub fn covers(
    tx: &mut Tx<'_>,
    asked: SampleSetKey,
    present: SampleSetKey,
    shows_metadata: bool,
) -> Result<bool> {
    tx.one(
        "SELECT NOT EXISTS (
             SELECT 1
             FROM samples AS present
             LEFT JOIN samples AS asked ON asked.set_id = ?1 AND asked.key = present.key
                                       AND asked.input = present.input AND asked.choices = present.choices
                                       AND (NOT ?3 OR asked.metadata = present.metadata)
             WHERE present.set_id = ?2 AND asked.id IS NULL
         ) AS is_covered",
        values![asked, present, shows_metadata],
        |row| row.get("is_covered"),
    )
}

/// What an earlier run was answered to one question, or why it was not.
#[derive(Debug, Clone)]
pub struct Answer {
    /// What is known of the earlier case.
    pub state: CaseState,
    /// The category of what went wrong.
    pub reason: Option<String>,
    /// The code of an error.
    pub error: Option<String>,
    /// The error in words.
    pub error_message: Option<String>,
    /// The messages as sent, as JSON.
    pub prompt: String,
    /// What the model said; empty where it was removed.
    pub response: String,
    /// Its reasoning, as far as it was recorded.
    pub reasoning: Option<String>,
    /// Whether its texts were removed.
    pub is_removed: bool,
    /// The provider's own account of tokens, as JSON.
    pub usage: Option<String>,
    /// The provider's answer, without secrets.
    pub raw: Option<String>,
    /// Whether it was cut off at the token limit.
    pub is_truncated: bool,
    /// From the call to its answer.
    pub latency_ms: Option<i64>,
    /// Tokens of the call.
    pub tokens: Tokens,
    /// Prices it was charged with.
    pub price: PriceKey,
    /// What it cost in US dollars.
    pub cost_usd: Option<f64>,
}

/// What the run was answered to the sample of that key in that epoch; none when it was not asked.
///
/// # Errors
/// The database's.
pub fn find(
    tx: &mut Tx<'_>,
    cell: (RunKey, ModelKey, EvalKey),
    sample: &str,
    epoch: i64,
) -> Result<Option<Answer>> {
    tx.first(
        "SELECT cases.state, cases.reason, cases.error, case_texts.error_message, case_texts.prompt,
                case_texts.response, case_texts.reasoning, case_texts.removed_at IS NOT NULL AS is_removed, case_texts.usage, case_texts.raw, cases.is_truncated, cases.latency_ms,
                cases.input_tokens, cases.cached_input_tokens, cases.cache_write_tokens, cases.output_tokens,
                cases.reasoning_tokens,
                cases.price_id, cases.cost_usd
         FROM results
         JOIN eval_versions ON eval_versions.id = results.version_id
         JOIN samples ON samples.set_id = eval_versions.set_id AND samples.key = ?4
         JOIN cases ON cases.result_id = results.id AND cases.sample_id = samples.id AND cases.epoch = ?5
         JOIN case_texts ON case_texts.case_id = cases.id
         WHERE results.run_id = ?1 AND results.model_id = ?2 AND results.eval_id = ?3",
        values![cell.0, cell.1, cell.2, sample, epoch],
        |row| {
            let state: String = row.get("state")?;
            Ok(Answer {
                state: CaseState::parse(&state)?,
                reason: row.get("reason")?,
                error: row.get("error")?,
                error_message: row.get("error_message")?,
                prompt: row.get("prompt")?,
                response: row.get("response")?,
                reasoning: row.get("reasoning")?,
                is_removed: row.get("is_removed")?,
                usage: row.get("usage")?,
                raw: row.get("raw")?,
                is_truncated: row.get("is_truncated")?,
                latency_ms: row.get("latency_ms")?,
                tokens: super::cases::tokens(row)?,
                price: row.get("price_id")?,
                cost_usd: row.get("cost_usd")?,
            })
        },
    )
}

/// The case of the earlier result that a case took its answer from; none where the model was asked, and where a
/// retry took that case away since.
///
/// # Errors
/// The database's.
pub fn earlier(tx: &mut Tx<'_>, result: &EvalResult, case: &Case) -> Result<Option<CaseId>> {
    let Some(earlier) = &result.rescored_from else { return Ok(None) };
    tx.first(
        "SELECT cases.public_id
         FROM results
         JOIN eval_versions ON eval_versions.id = results.version_id
         JOIN samples ON samples.set_id = eval_versions.set_id AND samples.key = ?2
         JOIN cases ON cases.result_id = results.id AND cases.sample_id = samples.id AND cases.epoch = ?3
         WHERE results.public_id = ?1",
        values![earlier, &case.sample.key, case.epoch],
        |row| row.get("public_id"),
    )
}

/// Says of a run that it scores the answers of `earlier` again.
///
/// # Errors
/// The database's.
pub fn take_over(tx: &mut Tx<'_>, run: RunKey, earlier: RunKey) -> Result<()> {
    tx.execute(
        "UPDATE runs
         SET rescores_id = ?2,
             answers_id = (SELECT COALESCE(earlier.answers_id, earlier.id) FROM runs AS earlier WHERE earlier.id = ?2)
         WHERE id = ?1",
        values![run, earlier],
    )?;
    tx.touch(Topic::Runs);
    Ok(())
}

/// Whether a run that scores earlier answers again has cases without a score in a cell of which earlier answers were
/// removed: they cannot be looked at once more.
///
/// # Errors
/// The database's.
pub fn are_removed(tx: &mut Tx<'_>, run: RunKey) -> Result<bool> {
    tx.one(
        "SELECT EXISTS (
             SELECT 1
             FROM runs
             JOIN run_cells ON run_cells.run_id = runs.id AND run_cells.dropped_at IS NULL
             JOIN results AS earlier ON earlier.run_id = runs.rescores_id AND earlier.model_id = run_cells.model_id
                                    AND earlier.eval_id = run_cells.eval_id
             LEFT JOIN results AS own ON own.run_id = runs.id AND own.model_id = run_cells.model_id
                                     AND own.eval_id = run_cells.eval_id
             WHERE runs.id = ?1 AND earlier.removed_count > 0
               AND COALESCE(own.scored_count, 0) < run_cells.samples * run_cells.epochs
         ) AS are_removed",
        values![run],
        |row| row.get("are_removed"),
    )
}

/// Whether a run is open that takes its answers from this one, or from which this one took its own.
///
/// # Errors
/// The database's.
pub fn has_open_kin(tx: &mut Tx<'_>, run: RunKey) -> Result<bool> {
    tx.one(
        "SELECT EXISTS (
             SELECT 1
             FROM runs
             WHERE runs.state IN ('queued', 'running')
               AND (runs.rescores_id = ?1 OR runs.id = (SELECT own.rescores_id FROM runs AS own WHERE own.id = ?1))
         ) AS has_kin",
        values![run],
        |row| row.get("has_kin"),
    )
}

/// The runs that scored the answers of this one again, newest first, at most `most`, each with when it was
/// triggered.
///
/// # Errors
/// The database's.
pub fn rescored_by(tx: &mut Tx<'_>, run: RunKey, most: u32) -> Result<Vec<(RunId, Millis)>> {
    tx.rows(
        "SELECT public_id, started_at FROM runs WHERE rescores_id = ?1 ORDER BY id DESC LIMIT ?2",
        values![run, most],
        |row| Ok((row.get("public_id")?, row.get("started_at")?)),
    )
}
