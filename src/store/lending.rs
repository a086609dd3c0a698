//! Calls of shared models by people who neither own them nor are admins, day by day, and what runs left out. Whether
//! somebody may make a call is a rule of the domain.

use super::Tx;
use crate::domain::id::{EvalKey, ModelKey, RevisionKey, RunKey, UserKey};
use crate::domain::models::Prices;
use crate::domain::sharing::{Borrowed, LeftOut, Lender, Sharing};
use crate::domain::spending::Day;
use crate::domain::time::Millis;
use crate::error::{Error, Result};
use crate::values;

/// Returns what decides who may run a model; it may be deleted.
///
/// # Errors
/// `NotFound`.
pub fn lender(tx: &mut Tx<'_>, model: ModelKey) -> Result<Lender> {
    tx.first(
        "SELECT owner_id, name, sealed_key IS NOT NULL AS has_api_key, shared, shared_daily_calls, shared_daily_usd,
                input_price, output_price, cached_input_price, cache_write_price
         FROM models
         WHERE id = ?1",
        values![model],
        |row| {
            Ok(Lender {
                owner: row.get("owner_id")?,
                name: row.get("name")?,
                has_api_key: row.get("has_api_key")?,
                sharing: Sharing {
                    shared: row.get("shared")?,
                    daily_calls: row.get("shared_daily_calls")?,
                    daily_usd: row.get("shared_daily_usd")?,
                },
                prices: Prices {
                    input: row.get("input_price")?,
                    output: row.get("output_price")?,
                    cached_input: row.get("cached_input_price")?,
                    cache_write: row.get("cache_write_price")?,
                },
            })
        },
    )?
    .ok_or(Error::NotFound("model"))
}

/// Returns what a person borrowed of a model on the day of `now`.
///
/// # Errors
/// The database's.
pub fn borrowed(tx: &mut Tx<'_>, model: ModelKey, user: UserKey, now: Millis) -> Result<Borrowed> {
    let day = Day::of(now);
    let found = tx.first(
        "SELECT calls, usd FROM borrowed_calls WHERE model_id = ?1 AND user_id = ?2 AND day = ?3",
        values![model, user, day.0],
        |row| Ok((row.get("calls")?, row.get("usd")?)),
    )?;
    let (calls, usd) = found.unwrap_or((0, 0.0));
    Ok(Borrowed { calls, usd, day })
}

/// Counts a call that is about to be made, at its estimated cost in US dollars, if the model is shared and both of its
/// caps leave room for it; returns whether they did. One statement, so that calls at the same time share the caps.
///
/// # Errors
/// The database's.
pub fn take(tx: &mut Tx<'_>, model: ModelKey, user: UserKey, estimate_usd: f64, now: Millis) -> Result<bool> {
    let taken = tx.execute(
        "INSERT INTO borrowed_calls (model_id, user_id, day, calls, usd)
         SELECT id, ?2, ?3, 1, ?4
         FROM models
         WHERE id = ?1 AND shared = 1 AND shared_daily_calls >= 1
           AND (shared_daily_usd IS NULL OR ?4 <= shared_daily_usd)
         ON CONFLICT (model_id, user_id, day) DO UPDATE
         SET calls = borrowed_calls.calls + 1, usd = borrowed_calls.usd + excluded.usd
         WHERE borrowed_calls.calls < (SELECT shared_daily_calls FROM models WHERE models.id = ?1)
           AND EXISTS (SELECT 1 FROM models
                       WHERE models.id = ?1
                         AND (models.shared_daily_usd IS NULL
                              OR borrowed_calls.usd + excluded.usd <= models.shared_daily_usd))",
        values![model, user, Day::of(now).0, estimate_usd],
    )?;
    Ok(taken > 0)
}

/// Corrects what a call was counted as on the day of `at`, by that many calls and US dollars.
///
/// # Errors
/// The database's.
pub fn correct(
    tx: &mut Tx<'_>,
    (model, user, at): (ModelKey, UserKey, Millis),
    calls: i64,
    usd: f64,
) -> Result<()> {
    tx.execute(
        "UPDATE borrowed_calls
         SET calls = calls + ?4, usd = usd + ?5
         WHERE model_id = ?1 AND user_id = ?2 AND day = ?3",
        values![model, user, Day::of(at).0, calls, usd],
    )
    .map(drop)
}

/// A cell of a run, by what is called for it.
#[derive(Debug, Clone, Copy)]
pub struct CalledCell {
    /// The model.
    pub model: ModelKey,
    /// The eval.
    pub eval: EvalKey,
    /// The grader, where a registered model grades.
    pub grader: Option<RevisionKey>,
}

/// Returns the cells of a run.
///
/// # Errors
/// The database's.
pub fn called_cells(tx: &mut Tx<'_>, run: RunKey) -> Result<Vec<CalledCell>> {
    tx.rows(
        "SELECT run_cells.model_id, run_cells.eval_id, eval_versions.grader_revision_id
         FROM run_cells
         JOIN eval_versions ON eval_versions.id = run_cells.version_id
         WHERE run_cells.run_id = ?1 AND run_cells.dropped_at IS NULL
         ORDER BY run_cells.position",
        values![run],
        |row| {
            Ok(CalledCell {
                model: row.get("model_id")?,
                eval: row.get("eval_id")?,
                grader: row.get("grader_revision_id")?,
            })
        },
    )
}

/// A model that a run calls, and what says who pays for it.
#[derive(Debug, Clone)]
pub struct CalledModel {
    /// Its present name.
    pub name: String,
    /// The pinned inference URI.
    pub inference_uri: String,
    /// Whether it has an API key of its own now.
    pub has_api_key: bool,
    /// What everybody knows its owner by.
    pub submitted_by: String,
}

/// Returns the models that a run asks, then the registered models that grade for it, each once.
///
/// # Errors
/// The database's.
pub fn called_models(tx: &mut Tx<'_>, run: RunKey) -> Result<(Vec<CalledModel>, Vec<CalledModel>)> {
    let mut read = |revisions: &str| {
        tx.rows(
            &format!(
                "SELECT models.name, model_revisions.inference_uri, models.sealed_key IS NOT NULL AS has_api_key,
                        submitters.name AS submitted_by
                 FROM model_revisions
                 JOIN models ON models.id = model_revisions.model_id
                 JOIN submitters ON submitters.id = models.owner_id
                 WHERE model_revisions.id IN (SELECT {revisions} WHERE run_cells.run_id = ?1
                                                                   AND run_cells.dropped_at IS NULL)
                 ORDER BY models.id"
            ),
            values![run],
            |row| {
                Ok(CalledModel {
                    name: row.get("name")?,
                    inference_uri: row.get("inference_uri")?,
                    has_api_key: row.get("has_api_key")?,
                    submitted_by: row.get("submitted_by")?,
                })
            },
        )
    };
    let asked = read("run_cells.revision_id FROM run_cells")?;
    let graders = read(
        "eval_versions.grader_revision_id FROM run_cells
         JOIN eval_versions ON eval_versions.id = run_cells.version_id",
    )?;
    Ok((asked, graders))
}

/// Returns the `provider/model` graders of a run that are no registered models, each once.
///
/// # Errors
/// The database's.
pub fn called_providers(tx: &mut Tx<'_>, run: RunKey) -> Result<Vec<String>> {
    tx.rows(
        "SELECT DISTINCT eval_versions.grader
         FROM run_cells
         JOIN eval_versions ON eval_versions.id = run_cells.version_id
         WHERE run_cells.run_id = ?1 AND run_cells.dropped_at IS NULL AND eval_versions.grader IS NOT NULL
           AND eval_versions.grader_revision_id IS NULL
         ORDER BY eval_versions.grader",
        values![run],
        |row| row.get("grader"),
    )
}

/// Stores what a new run left out.
///
/// # Errors
/// The database's.
pub fn insert_skips(tx: &mut Tx<'_>, run: RunKey, skipped: &[LeftOut]) -> Result<()> {
    for (position, left_out) in (0_i64..).zip(skipped) {
        tx.execute(
            "INSERT INTO run_skips (run_id, position, noun, subject, name, code, reason)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            values![
                run,
                position,
                left_out.noun,
                &left_out.id,
                &left_out.name,
                &left_out.code,
                &left_out.reason
            ],
        )?;
    }
    Ok(())
}

/// Returns what a run left out.
///
/// # Errors
/// The database's.
pub fn skips(tx: &mut Tx<'_>, run: RunKey) -> Result<Vec<LeftOut>> {
    tx.rows(
        "SELECT noun, subject, name, code, reason FROM run_skips WHERE run_id = ?1 ORDER BY position",
        values![run],
        |row| {
            let noun: String = row.get("noun")?;
            Ok(LeftOut {
                noun: if noun == "eval" { "eval" } else { "model" },
                id: row.get("subject")?,
                name: row.get("name")?,
                code: row.get("code")?,
                reason: row.get("reason")?,
            })
        },
    )
}
