//! What an eval's questions took so far, and how long they are: for plans that are not run. It only reads.

use super::Tx;
use crate::domain::estimates::{Lengths, Usage};
use crate::domain::id::{EvalKey, SampleSetKey};
use crate::error::Result;
use crate::values;

/// Mean tokens of an answered case over all results of an eval whose tokens are known, by whatever model of its
/// kind: baselines count words.
///
/// # Errors
/// The database's.
pub fn usage(tx: &mut Tx<'_>, eval: EvalKey, of_baselines: bool) -> Result<Usage> {
    tx.one(
        "SELECT AVG(input_tokens * 1.0 / (scored_count + unscored_count)) AS input,
                AVG(output_tokens * 1.0 / (scored_count + unscored_count)) AS output
         FROM results JOIN model_revisions ON model_revisions.id = results.revision_id
         WHERE results.eval_id = ?1 AND scored_count + unscored_count > 0
           AND input_tokens IS NOT NULL AND output_tokens IS NOT NULL
           AND (model_revisions.inference_uri LIKE 'builtin:%') = ?2",
        values![eval, of_baselines],
        |row| Ok(Usage { input: row.get("input")?, output: row.get("output")? }),
    )
}

/// How long the samples of a set are, in characters as they are stored.
///
/// # Errors
/// The database's.
pub fn lengths(tx: &mut Tx<'_>, set: SampleSetKey) -> Result<Lengths> {
    tx.one(
        "SELECT AVG(LENGTH(input) * 1.0) AS input, AVG(LENGTH(choices) * 1.0) AS choices
         FROM samples
         WHERE set_id = ?1",
        values![set],
        |row| Ok(Lengths { input: row.get("input")?, choices: row.get("choices")? }),
    )
}
