//! Sets of samples, and the samples in them. A set counts for nothing until a version names it; from then on
//! it never changes.

use super::{Row, Tx};
use crate::domain::evals::SampleSet;
use crate::domain::id::{EvalKey, SampleSetKey};
use crate::domain::page::{Cursor, Page, PageRows, RowKey, Slice};
use crate::domain::samples::Sample;
use crate::domain::time::Millis;
use crate::error::{Error, Result};
use crate::values;

/// Makes an empty set that samples are added to; it counts for nothing until a version names it.
///
/// # Errors
/// The database's.
pub fn begin(tx: &mut Tx<'_>, key: EvalKey, is_implied: bool, now: Millis) -> Result<SampleSetKey> {
    tx.one(
        "INSERT INTO sample_sets (eval_id, hash, sample_count, is_implied, created_at)
         VALUES (?1, '', 0, ?2, ?3)
         RETURNING id",
        values![key, is_implied, now],
        |row| row.get("id"),
    )
}

/// Adds samples to a set, the first of them at `position`.
///
/// # Errors
/// `Invalid` when two samples have the same id.
pub fn add(tx: &mut Tx<'_>, set: SampleSetKey, position: i64, samples: &[Sample]) -> Result<()> {
    for (position, sample) in (position..).zip(samples) {
        let json = |value: serde_json::Result<String>| value.map_err(Error::internal);
        let added = tx.execute(
            "INSERT INTO samples (set_id, position, key, input, target, choices, metadata, cluster_id)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (set_id, key) DO NOTHING",
            values![
                set,
                position,
                &sample.key,
                json(serde_json::to_string(&sample.input))?,
                json(serde_json::to_string(&sample.target))?,
                json(serde_json::to_string(&sample.choices))?,
                json(serde_json::to_string(&sample.metadata))?,
                sample.cluster_id.clone(),
            ],
        )?;
        if added == 0 {
            let message = format!("two samples have the id {}: ids are unique within an eval", sample.key);
            return Err(Error::invalid(format!("samples[{position}].id"), message));
        }
    }
    Ok(())
}

/// Gives a filled set its hash and count.
///
/// # Errors
/// The database's.
pub fn finish(tx: &mut Tx<'_>, set: SampleSetKey, hash: &str, count: i64) -> Result<()> {
    tx.execute(
        "UPDATE sample_sets SET hash = ?2, sample_count = ?3 WHERE id = ?1",
        values![set, hash, count],
    )?;
    Ok(())
}

/// Throws away a set that no version names, at most `limit` samples at a time; answers whether it is gone.
///
/// # Errors
/// The database's.
pub fn discard(tx: &mut Tx<'_>, set: SampleSetKey, limit: u32) -> Result<bool> {
    let removed = tx.execute(
        "DELETE FROM samples WHERE id IN (SELECT id FROM samples WHERE set_id = ?1 ORDER BY position LIMIT ?2)",
        values![set, limit],
    )?;
    if removed > 0 {
        return Ok(false);
    }
    tx.execute("DELETE FROM sample_sets WHERE id = ?1", values![set])?;
    Ok(true)
}

/// The columns of a sample, to be read with [`sample`].
pub(super) const COLUMNS: &str =
    "samples.position, samples.key AS sample_name, samples.input, samples.target,
    samples.choices, samples.metadata, samples.cluster_id";

/// Reads the columns of [`COLUMNS`].
pub(super) fn sample(row: &Row<'_>) -> Result<Sample> {
    fn json<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: &str) -> Result<T> {
        serde_json::from_str(&row.get::<String>(column)?).map_err(Error::internal)
    }
    Ok(Sample {
        key: row.get("sample_name")?,
        input: json(row, "input")?,
        target: json(row, "target")?,
        choices: json(row, "choices")?,
        metadata: json(row, "metadata")?,
        cluster_id: row.get("cluster_id")?,
    })
}

/// Calls `visit` with position and content of every sample of a set, in their order.
///
/// # Errors
/// The database's, and the first one that `visit` answers.
pub fn each(
    tx: &mut Tx<'_>,
    set: SampleSetKey,
    mut visit: impl FnMut(i64, Sample) -> Result<()>,
) -> Result<()> {
    tx.rows(
        &format!("SELECT {COLUMNS} FROM samples WHERE set_id = ?1 ORDER BY position"),
        values![set],
        |row| visit(row.get("position")?, sample(row)?),
    )?;
    Ok(())
}

/// The bytes of the texts of a sample.
const TEXT_BYTES: &str = "OCTET_LENGTH(samples.input) + OCTET_LENGTH(samples.target)
    + OCTET_LENGTH(samples.choices) + OCTET_LENGTH(samples.metadata)";
/// About the bytes that a sample takes besides its texts.
const SAMPLE_OVERHEAD: usize = 100;

/// Returns the keys of one page of the samples of a set, in their order.
///
/// # Errors
/// The database's.
pub fn keys(tx: &mut Tx<'_>, set: &SampleSet, page: Page) -> Result<Slice<RowKey>> {
    let keys = tx.rows(
        &format!(
            "SELECT samples.position, {TEXT_BYTES} AS text_bytes
             FROM samples
             WHERE set_id = ?1 AND position > ?2
             ORDER BY position
             LIMIT ?3"
        ),
        values![set.key, page.after.map_or(-1, |at| at.sort), page.limit + 1],
        |row| {
            let texts = usize::try_from(row.get::<i64>("text_bytes")?).map_err(Error::internal)?;
            let at = Cursor { sort: row.get("position")?, key: 0 };
            Ok(RowKey { at, bytes: texts.saturating_add(SAMPLE_OVERHEAD) })
        },
    )?;
    Ok(Slice::cut(PageRows::within_bytes(keys), page, set.count, |key| key.at))
}

/// Returns the samples at `keys`, which follow each other in their set.
///
/// # Errors
/// The database's.
pub fn at_keys(tx: &mut Tx<'_>, set: SampleSetKey, keys: &[RowKey]) -> Result<Vec<Sample>> {
    let (Some(first), Some(last)) = (keys.first(), keys.last()) else { return Ok(Vec::new()) };
    tx.rows(
        &format!(
            "SELECT {COLUMNS}
             FROM samples
             WHERE set_id = ?1 AND position >= ?2 AND position <= ?3
             ORDER BY position"
        ),
        values![set, first.at.sort, last.at.sort],
        sample,
    )
}

/// Returns one page of the samples of a set, in their order.
///
/// # Errors
/// The database's.
pub fn list(tx: &mut Tx<'_>, set: &SampleSet, page: Page) -> Result<Slice<Sample>> {
    let Slice { rows, total, next } = keys(tx, set, page)?;
    Ok(Slice { rows: at_keys(tx, set.key, &rows)?, total, next })
}
