//! Training sets. Whose it is to delete them is decided elsewhere.

use super::{Row, Topic, Tx, blobs};
use crate::domain::files::File;
use crate::domain::id::{TrainingSetId, TrainingSetKey, UserKey};
use crate::domain::page::{Cursor, Page, Slice};
use crate::domain::time::Millis;
use crate::domain::training_sets::{Card, FileType, Glance, TrainingSet};
use crate::error::{Error, Result};
use crate::values;

/// All but the snippet, which a list does without.
const COLUMNS: &str =
    "training_sets.id, training_sets.public_id, training_sets.owner_id, submitters.name AS submitted_by,
    training_sets.name, training_sets.description, training_sets.file_name, training_sets.file_type,
    training_sets.file_size, training_sets.content_type, training_sets.line_count,
    training_sets.external_url, training_sets.created_at, training_sets.updated_at,
    blobs.public_id AS blob_id, blobs.sha256";
const TABLES: &str = "FROM training_sets
    JOIN submitters ON submitters.id = training_sets.owner_id
    LEFT JOIN blobs ON blobs.id = training_sets.blob_id";

fn training_set(row: &Row<'_>) -> Result<TrainingSet> {
    Ok(TrainingSet {
        key: row.get("id")?,
        id: row.get("public_id")?,
        owner: row.get("owner_id")?,
        submitted_by: row.get("submitted_by")?,
        card: Card { name: row.get("name")?, description: row.get("description")? },
        file: blobs::file(row)?,
        file_type: row.get("file_type")?,
        glance: Glance { line_count: row.get("line_count")?, snippet: row.get("snippet")? },
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

/// All training sets, newest first, without their snippets.
///
/// # Errors
/// The database's.
pub fn list(tx: &mut Tx<'_>, page: Page) -> Result<Slice<TrainingSet>> {
    let total = tx.one("SELECT COUNT(*) AS total FROM training_sets", &[], |row| row.get("total"))?;
    let after = page.after;
    let rows = tx.page(
        &format!(
            "SELECT {COLUMNS}, '' AS snippet
             {TABLES}
             WHERE (?1 IS NULL OR (training_sets.created_at, training_sets.id) < (?1, ?2))
             ORDER BY training_sets.created_at DESC, training_sets.id DESC
             LIMIT ?3"
        ),
        values![after.map(|at| at.sort), after.map(|at| at.key), page.limit + 1],
        training_set,
    )?;
    Ok(Slice::cut(rows, page, total, |set| Cursor { sort: set.created_at.0, key: set.key.0 }))
}

/// The training set of that id.
///
/// # Errors
/// `NotFound`.
pub fn get(tx: &mut Tx<'_>, id: &TrainingSetId) -> Result<TrainingSet> {
    tx.first(
        &format!("SELECT {COLUMNS}, training_sets.snippet {TABLES} WHERE training_sets.public_id = ?1"),
        values![id],
        training_set,
    )?
    .ok_or(Error::NotFound("training set"))
}

/// The oldest training set of `owner` with exactly that name.
///
/// # Errors
/// The database's.
pub fn find_own(tx: &mut Tx<'_>, owner: UserKey, name: &str) -> Result<Option<TrainingSet>> {
    tx.first(
        &format!(
            "SELECT {COLUMNS}, '' AS snippet
             {TABLES}
             WHERE training_sets.owner_id = ?1 AND training_sets.name = ?2
             ORDER BY training_sets.id
             LIMIT 1"
        ),
        values![owner, name],
        training_set,
    )
}

/// Stores a new training set; the row of a file that is with us must be there.
///
/// # Errors
/// The database's.
pub fn insert(
    tx: &mut Tx<'_>,
    id: &TrainingSetId,
    owner: UserKey,
    card: &Card,
    (file, file_type, glance): (&File, FileType, &Glance),
    now: Millis,
) -> Result<()> {
    let (blob, url) = blobs::columns(&file.place);
    tx.execute(
        "INSERT INTO training_sets (public_id, owner_id, name, description, file_name, file_type, file_size,
             content_type, line_count, snippet, blob_id, external_url, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, (SELECT id FROM blobs WHERE public_id = ?11), ?12, ?13,
             ?13)",
        values![
            id,
            owner,
            &card.name,
            &card.description,
            &file.name,
            file_type.as_str(),
            file.size,
            &file.content_type,
            glance.line_count,
            &glance.snippet,
            blob,
            url,
            now,
        ],
    )?;
    tx.touch(Topic::TrainingSets);
    Ok(())
}

/// Deletes a training set; its file is the caller's to release.
///
/// # Errors
/// The database's.
pub fn delete(tx: &mut Tx<'_>, key: TrainingSetKey) -> Result<()> {
    tx.execute("DELETE FROM training_sets WHERE id = ?1", values![key])?;
    tx.touch(Topic::TrainingSets);
    Ok(())
}
