//! Artifacts of models. Whose it is to change them is decided elsewhere.

use super::{Row, Topic, Tx, blobs};
use crate::domain::artifacts::{Artifact, ArtifactType, Card};
use crate::domain::files::{self, File};
use crate::domain::id::{ArtifactId, ArtifactKey, ModelId, ModelKey, UserKey};
use crate::domain::page::{Cursor, Page, Slice};
use crate::domain::time::Millis;
use crate::error::{Error, Result};
use crate::values;

const COLUMNS: &str =
    "artifacts.id, artifacts.public_id, models.public_id AS model_id, models.owner_id, submitters.name AS submitted_by,
    artifacts.name, artifacts.description, artifacts.artifact_type, artifacts.version, artifacts.file_name,
    artifacts.file_size, artifacts.content_type, artifacts.external_url, artifacts.created_at,
    artifacts.updated_at, blobs.public_id AS blob_id, blobs.sha256
    FROM artifacts
    JOIN models ON models.id = artifacts.model_id
    JOIN submitters ON submitters.id = artifacts.owner_id
    LEFT JOIN blobs ON blobs.id = artifacts.blob_id";

fn artifact(row: &Row<'_>) -> Result<Artifact> {
    let artifact_type: String = row.get("artifact_type")?;
    Ok(Artifact {
        key: row.get("id")?,
        id: row.get("public_id")?,
        model: row.get("model_id")?,
        owner: row.get("owner_id")?,
        submitted_by: row.get("submitted_by")?,
        card: Card {
            name: row.get("name")?,
            description: row.get("description")?,
            artifact_type: ArtifactType::parse(&artifact_type).map_err(Error::internal)?,
            version: row.get("version")?,
        },
        file: blobs::file(row)?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

/// Artifacts of a model, newest first.
///
/// # Errors
/// The database's.
pub fn list(tx: &mut Tx<'_>, model: ModelKey, page: Page) -> Result<Slice<Artifact>> {
    let total =
        tx.one("SELECT COUNT(*) AS total FROM artifacts WHERE model_id = ?1", values![model], |row| {
            row.get("total")
        })?;
    let after = page.after;
    let rows = tx.page(
        &format!(
            "SELECT {COLUMNS}
             WHERE artifacts.model_id = ?1
               AND (?2 IS NULL OR (artifacts.created_at, artifacts.id) < (?2, ?3))
             ORDER BY artifacts.created_at DESC, artifacts.id DESC
             LIMIT ?4"
        ),
        values![model, after.map(|at| at.sort), after.map(|at| at.key), page.limit + 1],
        artifact,
    )?;
    Ok(Slice::cut(rows, page, total, |artifact| Cursor { sort: artifact.created_at.0, key: artifact.key.0 }))
}

/// The artifact of that id, if it belongs to that model and the model is not deleted.
///
/// # Errors
/// `NotFound`.
pub fn get(tx: &mut Tx<'_>, model: &ModelId, id: &ArtifactId) -> Result<Artifact> {
    tx.first(
        &format!(
            "SELECT {COLUMNS}
             WHERE artifacts.public_id = ?1 AND models.public_id = ?2 AND models.deleted_at IS NULL"
        ),
        values![id, model],
        artifact,
    )?
    .ok_or(Error::NotFound("artifact"))
}

/// Stores a new artifact; the row of a file that is with us must be there.
///
/// # Errors
/// The database's.
pub fn insert(
    tx: &mut Tx<'_>,
    id: &ArtifactId,
    (model, owner): (ModelKey, UserKey),
    card: &Card,
    file: &File,
    now: Millis,
) -> Result<()> {
    let (blob, url) = blobs::columns(&file.place);
    tx.execute(
        "INSERT INTO artifacts (public_id, model_id, owner_id, name, description, artifact_type, version, file_name,
             file_type, file_size, content_type, blob_id, external_url, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, (SELECT id FROM blobs WHERE public_id = ?12), ?13,
             ?14, ?14)",
        values![
            id,
            model,
            owner,
            &card.name,
            &card.description,
            card.artifact_type.as_str(),
            &card.version,
            &file.name,
            files::extension(&file.name),
            file.size,
            &file.content_type,
            blob,
            url,
            now,
        ],
    )?;
    tx.touch(Topic::Artifacts);
    Ok(())
}

/// Stores a changed card.
///
/// # Errors
/// The database's.
pub fn update(tx: &mut Tx<'_>, key: ArtifactKey, card: &Card, now: Millis) -> Result<()> {
    tx.execute(
        "UPDATE artifacts
         SET name = ?2, description = ?3, artifact_type = ?4, version = ?5, updated_at = ?6
         WHERE id = ?1",
        values![key, &card.name, &card.description, card.artifact_type.as_str(), &card.version, now],
    )?;
    tx.touch(Topic::Artifacts);
    Ok(())
}

/// Deletes an artifact; its file is the caller's to release.
///
/// # Errors
/// The database's.
pub fn delete(tx: &mut Tx<'_>, key: ArtifactKey) -> Result<()> {
    tx.execute("DELETE FROM artifacts WHERE id = ?1", values![key])?;
    tx.touch(Topic::Artifacts);
    Ok(())
}
