//! Evals, their versions and samples. What makes a new version is decided in the service.

use super::{Row, Topic, Tx};
use crate::domain::direction::{Direction, PassMark};
use crate::domain::evals::{Card, Eval, Grader, Measurement, SampleSet, Version};
use crate::domain::id::{EvalId, EvalKey, SampleSetKey, UserKey, VersionKey};
use crate::domain::page::{Cursor, Page, Slice};
use crate::domain::time::Millis;
use crate::error::{Error, Result};
use crate::values;

const VERSION_COLUMNS: &str = "eval_versions.id AS version_id, eval_versions.number, eval_versions.hash,
    eval_versions.prompt, eval_versions.expected_behavior, eval_versions.eval_type,
    eval_versions.eval_criteria, eval_versions.scorer, eval_versions.scorer_version, eval_versions.grader,
    eval_versions.grader_revision_id, eval_versions.epochs, eval_versions.reducer,
    eval_versions.pass_threshold, sample_sets.id AS set_id, sample_sets.hash AS set_hash,
    sample_sets.sample_count,
    sample_sets.is_implied";

const COLUMNS: &str = "evals.id, evals.public_id, evals.owner_id, submitters.name AS submitted_by, evals.name, evals.description,
    evals.category, evals.tags, evals.weight, evals.chance_level, evals.higher_is_better,
    evals.hidden_targets, evals.is_active, evals.created_at, evals.updated_at";

const TABLES: &str = "FROM evals
    JOIN submitters ON submitters.id = evals.owner_id
    JOIN eval_versions ON eval_versions.id = evals.version_id
    JOIN sample_sets ON sample_sets.id = eval_versions.set_id";

fn eval(row: &Row<'_>) -> Result<Eval> {
    let tags: String = row.get("tags")?;
    Ok(Eval {
        key: row.get("id")?,
        id: row.get("public_id")?,
        owner: row.get("owner_id")?,
        submitted_by: row.get("submitted_by")?,
        card: Card {
            name: row.get("name")?,
            description: row.get("description")?,
            category: row.get("category")?,
            tags: serde_json::from_str(&tags).map_err(Error::internal)?,
            weight: row.get("weight")?,
            chance_level: row.get("chance_level")?,
            higher_is_better: row.get("higher_is_better")?,
            hidden_targets: row.get("hidden_targets")?,
            is_active: row.get("is_active")?,
        },
        version: version(row)?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

fn version(row: &Row<'_>) -> Result<Version> {
    let grader: Option<String> = row.get("grader")?;
    let revision = row.get("grader_revision_id")?;
    Ok(Version {
        key: row.get("version_id")?,
        number: row.get("number")?,
        hash: row.get("hash")?,
        measurement: Measurement {
            prompt: row.get("prompt")?,
            expected_behavior: row.get("expected_behavior")?,
            eval_type: row.get("eval_type")?,
            eval_criteria: row.get("eval_criteria")?,
            epochs: row.get("epochs")?,
            reducer: row.get("reducer")?,
            pass_threshold: row.get("pass_threshold")?,
        },
        scorer: row.get("scorer")?,
        scorer_version: row.get("scorer_version")?,
        grader: grader.map(|name| Grader { name, revision }),
        samples: SampleSet {
            key: row.get("set_id")?,
            hash: row.get("set_hash")?,
            count: row.get("sample_count")?,
            is_implied: row.get("is_implied")?,
        },
    })
}

/// Evals that are not deleted, newest first.
///
/// # Errors
/// The database's.
pub fn list(tx: &mut Tx<'_>, page: Page) -> Result<Slice<Eval>> {
    let total =
        tx.one("SELECT COUNT(*) AS total FROM evals WHERE deleted_at IS NULL", &[], |row| row.get("total"))?;
    let after = page.after;
    let rows = tx.page(
        &format!(
            "SELECT {COLUMNS}, {VERSION_COLUMNS} {TABLES}
             WHERE evals.deleted_at IS NULL
               AND (?1 IS NULL OR (evals.created_at, evals.id) < (?1, ?2))
             ORDER BY evals.created_at DESC, evals.id DESC
             LIMIT ?3"
        ),
        values![after.map(|at| at.sort), after.map(|at| at.key), page.limit + 1],
        eval,
    )?;
    Ok(Slice::cut(rows, page, total, |eval| Cursor { sort: eval.created_at.0, key: eval.key.0 }))
}

/// The eval of that id, unless it is deleted.
///
/// # Errors
/// `NotFound`.
pub fn get(tx: &mut Tx<'_>, id: &EvalId) -> Result<Eval> {
    tx.first(
        &format!("SELECT {COLUMNS}, {VERSION_COLUMNS} {TABLES} WHERE evals.public_id = ?1 AND evals.deleted_at IS NULL"),
        values![id],
        eval,
    )?
    .ok_or(Error::NotFound("eval"))
}

/// The oldest eval of `owner` with exactly that name, unless it is deleted.
///
/// # Errors
/// The database's.
pub fn find_own(tx: &mut Tx<'_>, owner: UserKey, name: &str) -> Result<Option<Eval>> {
    tx.first(
        &format!(
            "SELECT {COLUMNS}, {VERSION_COLUMNS} {TABLES}
             WHERE evals.owner_id = ?1 AND evals.name = ?2 AND evals.deleted_at IS NULL
             ORDER BY evals.id
             LIMIT 1"
        ),
        values![owner, name],
        eval,
    )
}

/// Evals that runs include: active and not deleted, oldest first.
///
/// # Errors
/// The database's.
pub fn active(tx: &mut Tx<'_>) -> Result<Vec<Eval>> {
    tx.rows(
        &format!(
            "SELECT {COLUMNS}, {VERSION_COLUMNS} {TABLES}
             WHERE evals.deleted_at IS NULL AND evals.is_active = 1
             ORDER BY evals.id"
        ),
        &[],
        eval,
    )
}

/// Stores a new eval, yet without a version.
///
/// # Errors
/// The database's.
pub fn insert(tx: &mut Tx<'_>, id: &EvalId, owner: UserKey, card: &Card, now: Millis) -> Result<EvalKey> {
    let key = tx.one(
        "INSERT INTO evals (public_id, owner_id, name, description, tags, weight, higher_is_better,
                            hidden_targets, is_active, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, '[]', ?5, ?6, ?7, ?8, ?9, ?9)
         RETURNING id",
        values![
            id,
            owner,
            &card.name,
            &card.description,
            card.weight,
            card.higher_is_better,
            card.hidden_targets,
            card.is_active,
            now
        ],
        |row| row.get("id"),
    )?;
    update_card(tx, key, card, now)?;
    Ok(key)
}

/// Stores a changed card.
///
/// # Errors
/// The database's.
pub fn update_card(tx: &mut Tx<'_>, key: EvalKey, card: &Card, now: Millis) -> Result<()> {
    tx.execute(
        "UPDATE evals
         SET name = ?2, description = ?3, category = ?4, tags = ?5, weight = ?6, chance_level = ?7,
             higher_is_better = ?8, hidden_targets = ?9, is_active = ?10, updated_at = ?11
         WHERE id = ?1",
        values![
            key,
            &card.name,
            &card.description,
            card.category.clone(),
            serde_json::to_string(&card.tags).map_err(Error::internal)?,
            card.weight,
            card.chance_level,
            card.higher_is_better,
            card.hidden_targets,
            card.is_active,
            now,
        ],
    )?;
    touch(tx);
    Ok(())
}

/// A version that is about to be stored.
#[derive(Debug, Clone)]
pub struct NewVersion<'a> {
    /// Hash over all that decides a score.
    pub hash: &'a str,
    /// As its author wrote it.
    pub measurement: &'a Measurement,
    /// The scorer's canonical name.
    pub scorer: &'a str,
    /// The scorer's own version.
    pub scorer_version: u32,
    /// The grader, pinned.
    pub grader: Option<&'a Grader>,
    /// Its samples.
    pub samples: SampleSetKey,
}

/// Makes `new` the eval's present version: the stored one of that hash when there is one, so that an edit
/// that is taken back brings the old results back.
///
/// # Errors
/// The database's.
pub fn set_version(tx: &mut Tx<'_>, key: EvalKey, new: &NewVersion<'_>, now: Millis) -> Result<VersionKey> {
    let known = tx.first(
        "SELECT id FROM eval_versions WHERE eval_id = ?1 AND hash = ?2 ORDER BY id LIMIT 1",
        values![key, new.hash],
        |row| row.get("id"),
    )?;
    let version: VersionKey = match known {
        Some(version) => version,
        None => insert_version(tx, key, new, now)?,
    };
    tx.execute(
        "UPDATE evals SET version_id = ?2, updated_at = ?3 WHERE id = ?1",
        values![key, version, now],
    )?;
    touch(tx);
    Ok(version)
}

fn insert_version(tx: &mut Tx<'_>, key: EvalKey, new: &NewVersion<'_>, now: Millis) -> Result<VersionKey> {
    let measurement = new.measurement;
    tx.one(
        "INSERT INTO eval_versions (eval_id, number, hash, prompt, expected_behavior, eval_type, eval_criteria,
                                    scorer, scorer_version, grader, grader_revision_id, epochs, reducer,
                                    pass_threshold, set_id, created_at)
         SELECT ?1, COALESCE(MAX(number), 0) + 1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15
         FROM eval_versions
         WHERE eval_id = ?1
         RETURNING id",
        values![
            key,
            new.hash,
            &measurement.prompt,
            &measurement.expected_behavior,
            &measurement.eval_type,
            &measurement.eval_criteria,
            new.scorer,
            new.scorer_version,
            new.grader.map(|grader| &grader.name),
            new.grader.and_then(|grader| grader.revision),
            measurement.epochs,
            &measurement.reducer,
            measurement.pass_threshold,
            new.samples,
            now,
        ],
        |row| row.get("id"),
    )
}

/// A version by its key, deleted evals' included.
///
/// # Errors
/// `NotFound`.
pub fn get_version(tx: &mut Tx<'_>, key: VersionKey) -> Result<Version> {
    tx.first(
        &format!(
            "SELECT {VERSION_COLUMNS}
             FROM eval_versions
             JOIN sample_sets ON sample_sets.id = eval_versions.set_id
             WHERE eval_versions.id = ?1"
        ),
        values![key],
        version,
    )?
    .ok_or(Error::NotFound("eval version"))
}

/// From which score on a case of a version passes, deleted evals' included.
///
/// # Errors
/// `NotFound`.
pub fn pass_mark(tx: &mut Tx<'_>, version: VersionKey) -> Result<PassMark> {
    let mark = tx.first(
        "SELECT eval_versions.pass_threshold, evals.higher_is_better
         FROM eval_versions
         JOIN evals ON evals.id = eval_versions.eval_id
         WHERE eval_versions.id = ?1",
        values![version],
        |row| {
            let direction = Direction::of(row.get("higher_is_better")?);
            Ok(PassMark { threshold: row.get("pass_threshold")?, direction })
        },
    )?;
    mark.ok_or(Error::NotFound("eval version"))
}

/// Hides an eval; its rows are purged later, in chunks.
///
/// # Errors
/// The database's.
pub fn delete(tx: &mut Tx<'_>, key: EvalKey, now: Millis) -> Result<()> {
    tx.execute("UPDATE evals SET deleted_at = ?2, updated_at = ?2 WHERE id = ?1", values![key, now])?;
    touch(tx);
    tx.touch(Topic::Runs);
    tx.touch(Topic::Results);
    Ok(())
}

fn touch(tx: &mut Tx<'_>) {
    tx.touch(Topic::Evals);
    tx.touch(Topic::Board);
}
