//! Keys of cases: which cases a list has, in its order, with about the bytes of each, before any text is read.

use std::ops::Range;

use super::cases::{FROM, condition, within_positions};
use super::{Row, Tx};
use crate::domain::cases::CaseFilter;
use crate::domain::id::{ResultKey, SampleSetKey};
use crate::domain::page::{Cursor, Page, PageRows, RowKey, Slice};
use crate::error::{Error, Result};
use crate::values;

/// The bytes of the texts that are read with a case. (`OCTET_LENGTH` of a column does not read what is in it.)
const TEXT_BYTES: &str = "OCTET_LENGTH(case_texts.response) + OCTET_LENGTH(case_texts.score_details)
    + COALESCE(OCTET_LENGTH(case_texts.reasoning), 0) + COALESCE(OCTET_LENGTH(case_texts.error_message), 0)
    + COALESCE(OCTET_LENGTH(cases.answer), 0) + OCTET_LENGTH(samples.input) + OCTET_LENGTH(samples.target)
    + OCTET_LENGTH(samples.choices) + OCTET_LENGTH(samples.metadata)";
/// About the bytes that a case takes besides its texts.
const CASE_OVERHEAD: usize = 600;

/// Reads the key of a case in the list of its result.
fn row_key(row: &Row<'_>) -> Result<RowKey> {
    let at = Cursor { sort: row.get("position")?, key: row.get("id")? };
    let texts = usize::try_from(row.get::<i64>("text_bytes")?).map_err(Error::internal)?;
    Ok(RowKey { at, bytes: texts.saturating_add(CASE_OVERHEAD) })
}

/// Returns the keys of one page of the cases of a result, in the order of its samples, epochs together.
///
/// # Errors
/// The database's.
pub fn page(tx: &mut Tx<'_>, result: ResultKey, filter: CaseFilter, page: Page) -> Result<Slice<RowKey>> {
    let condition = condition(filter);
    let total = tx.one(
        &format!(
            "SELECT COUNT(*) AS total
             FROM cases
             JOIN results ON results.id = cases.result_id
             JOIN evals ON evals.id = results.eval_id
             JOIN eval_versions ON eval_versions.id = results.version_id
             WHERE cases.result_id = ?1 AND {condition}"
        ),
        values![result],
        |row| row.get("total"),
    )?;
    let keys = tx.rows(
        &format!(
            "SELECT cases.id, samples.position, {TEXT_BYTES} AS text_bytes
             {FROM}
             WHERE cases.result_id = ?1 AND {condition}
               AND (?2 IS NULL OR (samples.position, cases.id) > (?2, ?3))
             ORDER BY samples.position, cases.id
             LIMIT ?4"
        ),
        values![result, page.after.map(|at| at.sort), page.after.map(|at| at.key), page.limit + 1],
        row_key,
    )?;
    Ok(Slice::cut(PageRows::within_bytes(keys), page, total, |key| key.at))
}

/// Returns the keys of the cases of a result whose samples are at `positions`, in the order of [`page`].
///
/// # Errors
/// The database's.
pub fn at_positions(
    tx: &mut Tx<'_>,
    result: ResultKey,
    set: SampleSetKey,
    filter: CaseFilter,
    positions: Range<i64>,
) -> Result<Vec<RowKey>> {
    tx.rows(
        &format!(
            "SELECT cases.id, samples.position, {TEXT_BYTES} AS text_bytes {FROM} {}",
            within_positions(filter)
        ),
        values![result, set, positions.start, positions.end],
        row_key,
    )
}
