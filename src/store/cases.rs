//! Cases: what came of each attempt, down to the prompt and the answer. They are not changed, but that a person may
//! overrule a verdict (`overrules`) and old texts may go (`retention`); a retry takes those without a score away, to be
//! made anew.

use std::collections::HashSet;
use std::ops::Range;

use super::{Row, Topic, Tx, case_keys, overrules, samples};
use crate::domain::cases::{Case, CaseFilter, CaseState, CaseTexts, Record, Tokens};
use crate::domain::id::{CaseId, CaseKey, ResultKey, SampleKey, SampleSetKey, VersionKey};
use crate::domain::page::{Page, RowKey, Slice};
use crate::domain::time::Millis;
use crate::error::{Error, Result};
use crate::values;

fn case(row: &Row<'_>) -> Result<Case> {
    let state: String = row.get("state")?;
    Ok(Case {
        key: row.get("id")?,
        id: row.get("public_id")?,
        result: row.get("result_public_id")?,
        sample_key: row.get("sample_id")?,
        sample: samples::sample(row)?,
        position: row.get("position")?,
        epoch: row.get("epoch")?,
        state: CaseState::parse(&state)?,
        score: row.get("score")?,
        reason: row.get("reason")?,
        error: row.get("error")?,
        error_message: row.get("error_message")?,
        overrule: overrules::overrule(row)?,
        removed_at: row.get("removed_at")?,
        answer: row.get("answer")?,
        response: row.get("response")?,
        reasoning: row.get("reasoning")?,
        score_details: row.get("score_details")?,
        is_truncated: row.get("is_truncated")?,
        is_self_graded: row.get("is_self_graded")?,
        attempts: row.get("attempts")?,
        latency_ms: row.get("latency_ms")?,
        tokens: tokens(row)?,
        cost_usd: row.get("cost_usd")?,
        grader_cost_usd: row.get("grader_cost_usd")?,
        created_at: row.get("created_at")?,
    })
}

/// The tokens of a row of `cases`.
pub(super) fn tokens(row: &Row<'_>) -> Result<Tokens> {
    Ok(Tokens {
        input: row.get("input_tokens")?,
        cached_input: row.get("cached_input_tokens")?,
        cache_write: row.get("cache_write_tokens")?,
        output: row.get("output_tokens")?,
        reasoning: row.get("reasoning_tokens")?,
    })
}

fn select() -> String {
    format!(
        "SELECT cases.id, cases.public_id, results.public_id AS result_public_id, cases.sample_id, cases.epoch,
                cases.state, cases.score, cases.reason, cases.error, case_texts.error_message, cases.answer,
                case_texts.removed_at, case_texts.response, case_texts.reasoning, case_texts.score_details, cases.is_truncated, cases.is_self_graded, cases.attempts, cases.latency_ms,
                cases.input_tokens, cases.cached_input_tokens, cases.cache_write_tokens, cases.output_tokens, cases.reasoning_tokens,
                cases.cost_usd, cases.grader_cost_usd, cases.created_at,
                {}, {}
         {FROM}
         {}",
        samples::COLUMNS,
        overrules::COLUMNS,
        overrules::JOIN
    )
}

/// What a case is read from.
pub(super) const FROM: &str = "FROM cases
    JOIN results ON results.id = cases.result_id
    JOIN evals ON evals.id = results.eval_id AND evals.deleted_at IS NULL
    JOIN eval_versions ON eval_versions.id = results.version_id
    JOIN samples ON samples.id = cases.sample_id
    JOIN case_texts ON case_texts.case_id = cases.id";
/// The condition of a filter on the cases of result `?1`, as SQL over `cases`, `eval_versions` and `evals`.
pub(super) const fn condition(filter: CaseFilter) -> &'static str {
    match filter {
        CaseFilter::All => "1 = 1",
        CaseFilter::Wrong => {
            "cases.state = 'scored'
            AND CASE evals.higher_is_better WHEN 1 THEN cases.score < eval_versions.pass_threshold
                     ELSE 1.0 - cases.score < eval_versions.pass_threshold - 0.000000001 END"
        }
        CaseFilter::In(CaseState::Scored) => "cases.state = 'scored'",
        CaseFilter::In(CaseState::Unscored) => "cases.state = 'unscored'",
        CaseFilter::In(CaseState::Error) => "cases.state = 'error'",
        CaseFilter::Overruled => "cases.id IN (SELECT case_id FROM overrules WHERE result_id = ?1)",
    }
}

/// Returns one page of the cases of a result, in the order of its samples, epochs together.
///
/// # Errors
/// The database's.
pub fn list(tx: &mut Tx<'_>, result: ResultKey, filter: CaseFilter, page: Page) -> Result<Slice<Case>> {
    let Slice { rows, total, next } = case_keys::page(tx, result, filter, page)?;
    Ok(Slice { rows: at_keys(tx, result, filter, &rows)?, total, next })
}

/// Returns the cases at `keys`, which follow each other in the list of a result with that filter. Those that are no longer
/// there are left out.
///
/// # Errors
/// The database's.
pub fn at_keys(tx: &mut Tx<'_>, result: ResultKey, filter: CaseFilter, keys: &[RowKey]) -> Result<Vec<Case>> {
    let (Some(first), Some(last)) = (keys.first(), keys.last()) else { return Ok(Vec::new()) };
    let positions = first.at.sort..last.at.sort.saturating_add(1);
    let set = span(tx, result)?.set;
    let ids: HashSet<i64> = keys.iter().map(|key| key.at.key).collect();
    let mut cases = at_positions(tx, result, set, filter, positions)?;
    cases.retain(|case| ids.contains(&case.key.0));
    Ok(cases)
}

/// The samples that the cases of a result may be of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The set of its version's samples.
    pub set: SampleSetKey,
    /// How many samples are in it: their positions are below.
    pub samples: i64,
    /// How often each was asked.
    pub epochs: i64,
}

/// Returns the samples that the cases of a result may be of.
///
/// # Errors
/// The database's.
pub fn span(tx: &mut Tx<'_>, result: ResultKey) -> Result<Span> {
    tx.one(
        "SELECT eval_versions.set_id, sample_sets.sample_count, eval_versions.epochs
         FROM results
         JOIN eval_versions ON eval_versions.id = results.version_id
         JOIN sample_sets ON sample_sets.id = eval_versions.set_id
         WHERE results.id = ?1",
        values![result],
        |row| {
            Ok(Span {
                set: row.get("set_id")?,
                samples: row.get("sample_count")?,
                epochs: row.get("epochs")?,
            })
        },
    )
}

/// Returns the condition on the cases of result `?1` whose samples are in set `?2` at positions from `?3` to below `?4`. It costs
/// what these cases cost, wherever in a result of any size they are.
pub(super) fn within_positions(filter: CaseFilter) -> String {
    format!(
        "WHERE cases.result_id = ?1 AND {}
           AND cases.sample_id IN (SELECT items.id
                                   FROM samples AS items
                                   WHERE items.set_id = ?2 AND items.position >= ?3 AND items.position < ?4)
         ORDER BY samples.position, cases.id",
        condition(filter)
    )
}

fn at_positions(
    tx: &mut Tx<'_>,
    result: ResultKey,
    set: SampleSetKey,
    filter: CaseFilter,
    positions: Range<i64>,
) -> Result<Vec<Case>> {
    tx.rows(
        &format!("{} {}", select(), within_positions(filter)),
        values![result, set, positions.start, positions.end],
        case,
    )
}

/// The case of that id, unless its eval is deleted.
///
/// # Errors
/// `NotFound`.
pub fn get(tx: &mut Tx<'_>, id: &CaseId) -> Result<Case> {
    tx.first(&format!("{} WHERE cases.public_id = ?1", select()), values![id], case)?
        .ok_or(Error::NotFound("case"))
}

/// The first case of a result in the order of its samples, if there is one.
///
/// # Errors
/// The database's.
pub fn first_of(tx: &mut Tx<'_>, result: ResultKey) -> Result<Option<Case>> {
    let page = Page { limit: 1, after: None };
    Ok(list(tx, result, CaseFilter::All, page)?.rows.into_iter().next())
}

/// The cases of one item of a result, epoch by epoch: of the sample at that position of its eval version.
///
/// # Errors
/// The database's.
pub fn of_item(tx: &mut Tx<'_>, result: ResultKey, version: VersionKey, position: i64) -> Result<Vec<Case>> {
    tx.rows(
        &format!(
            "{} WHERE cases.result_id = ?1
               AND cases.sample_id = (SELECT items.id
                                      FROM eval_versions AS versions
                                      JOIN samples AS items ON items.set_id = versions.set_id
                                      WHERE versions.id = ?2 AND items.position = ?3)
             ORDER BY cases.epoch",
            select()
        ),
        values![result, version, position],
        case,
    )
}

/// The cases before and after one of its result, among those that `filter` admits.
///
/// # Errors
/// The database's.
pub fn beside(
    tx: &mut Tx<'_>,
    result: ResultKey,
    case: &Case,
    filter: CaseFilter,
) -> Result<(Option<CaseId>, Option<CaseId>)> {
    let condition = condition(filter);
    let mut nearest = |compare: &str, direction: &str| {
        tx.first(
            &format!(
                "SELECT cases.public_id
                 FROM cases
                 JOIN results ON results.id = cases.result_id
                 JOIN evals ON evals.id = results.eval_id
                 JOIN eval_versions ON eval_versions.id = results.version_id
                 JOIN samples ON samples.id = cases.sample_id
                 WHERE cases.result_id = ?1 AND {condition}
                   AND (samples.position, cases.id) {compare} (?2, ?3)
                 ORDER BY samples.position {direction}, cases.id {direction}
                 LIMIT 1"
            ),
            values![result, case.position, case.key],
            |row| row.get("public_id"),
        )
    };
    Ok((nearest("<", "DESC")?, nearest(">", "ASC")?))
}

/// The long texts of a case.
///
/// # Errors
/// `NotFound`.
pub fn texts(tx: &mut Tx<'_>, case: &Case) -> Result<CaseTexts> {
    tx.first("SELECT prompt, transcript, raw FROM case_texts WHERE case_id = ?1", values![case.key], |row| {
        Ok(CaseTexts { prompt: row.get("prompt")?, transcript: row.get("transcript")?, raw: row.get("raw")? })
    })?
    .ok_or(Error::NotFound("case"))
}

/// The key of the next case to be stored: above that of any case that ever was.
///
/// # Errors
/// The database's.
pub fn next_key(tx: &mut Tx<'_>) -> Result<CaseKey> {
    tx.one(
        "SELECT MAX(used.id) + 1 AS next
         FROM (SELECT MAX(id) AS id FROM cases UNION ALL SELECT last FROM case_ids) AS used",
        &[],
        |row| row.get("next"),
    )
}

/// Stores a case.
///
/// # Errors
/// The database's: `Internal` when this sample and epoch of the result has a case already, or the key is taken.
pub fn insert(
    tx: &mut Tx<'_>,
    key: CaseKey,
    id: &CaseId,
    result: ResultKey,
    sample: (SampleKey, i64),
    record: &Record,
    now: Millis,
) -> Result<()> {
    tx.execute(
        "INSERT INTO cases (id, public_id, result_id, sample_id, epoch, state, score, reason, error, answer,
                            is_truncated, is_self_graded, attempts, latency_ms, input_tokens, cached_input_tokens,
                            output_tokens, reasoning_tokens, price_id, cost_usd, grader_cost_usd, created_at,
                            cache_write_tokens)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22,
                 ?23)",
        values![
            key,
            id,
            result,
            sample.0,
            sample.1,
            record.state.as_str(),
            record.score,
            record.reason.as_deref(),
            record.error.as_deref(),
            record.answer.as_deref(),
            record.is_truncated,
            record.is_self_graded,
            record.attempts,
            record.latency_ms,
            record.tokens.input,
            record.tokens.cached_input,
            record.tokens.output,
            record.tokens.reasoning,
            record.price,
            record.cost_usd,
            record.grader_cost_usd,
            now,
            record.tokens.cache_write,
        ],
    )?;
    tx.execute(
        "INSERT INTO case_texts (case_id, prompt, response, score_details, error_message, transcript, usage, raw,
                                 reasoning)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        values![
            key,
            &record.prompt,
            &record.response,
            &record.score_details,
            record.error_message.as_deref(),
            record.transcript.as_deref(),
            record.usage.as_deref(),
            record.raw.as_deref(),
            record.reasoning.as_deref(),
        ],
    )?;
    tx.touch_soon(Topic::Results);
    Ok(())
}

/// Takes the cases of a result away that have no score; answers how many. Their ids are not given again.
///
/// # Errors
/// The database's.
pub fn remove_unmeasured(tx: &mut Tx<'_>, result: ResultKey) -> Result<usize> {
    const UNMEASURED: &str = "(SELECT id FROM cases WHERE result_id = ?1 AND state <> 'scored')";
    tx.execute(
        "UPDATE case_ids SET last = newest.id
         FROM (SELECT MAX(id) AS id FROM cases) AS newest
         WHERE newest.id > case_ids.last",
        &[],
    )?;
    tx.execute(&format!("DELETE FROM case_texts WHERE case_id IN {UNMEASURED}"), values![result])?;
    tx.execute(&format!("DELETE FROM cases WHERE id IN {UNMEASURED}"), values![result])
}
