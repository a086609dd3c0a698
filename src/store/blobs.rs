//! Stored files in the database: which file on disk is whose, and whether anything refers to it. The bytes
//! are not here.

use std::collections::HashSet;

use super::{Row, Topic, Tx};
use crate::domain::files::{File, Place};
use crate::domain::id::{BlobId, BlobKey, UserKey};
use crate::domain::time::Millis;
use crate::error::{Error, Result};
use crate::values;

/// That nothing refers to a blob.
pub(super) const UNUSED: &str = "NOT EXISTS (SELECT 1 FROM artifacts WHERE artifacts.blob_id = blobs.id)
           AND NOT EXISTS (SELECT 1 FROM training_sets WHERE training_sets.blob_id = blobs.id)";

/// A stored file, with where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// Path in the folder of files.
    pub path: String,
    /// What its owner calls it.
    pub file_name: String,
    /// What its owner says it is.
    pub content_type: String,
}

/// The stored file of that id, unless it is deleted.
///
/// # Errors
/// `NotFound`.
pub fn get(tx: &mut Tx<'_>, id: &BlobId) -> Result<Blob> {
    tx.first(
        "SELECT path, file_name, content_type
         FROM blobs
         WHERE public_id = ?1 AND deleted_at IS NULL",
        values![id],
        |row| {
            Ok(Blob {
                path: row.get("path")?,
                file_name: row.get("file_name")?,
                content_type: row.get("content_type")?,
            })
        },
    )?
    .ok_or(Error::NotFound("file"))
}

/// Names a file that lies at `path` already. A file that is not with us needs no such row.
///
/// # Errors
/// The database's.
pub fn insert(tx: &mut Tx<'_>, owner: UserKey, file: &File, path: &str, now: Millis) -> Result<()> {
    let Place::Stored { blob, sha256 } = &file.place else { return Ok(()) };
    tx.execute(
        "INSERT INTO blobs (public_id, owner_id, path, file_name, content_type, size, sha256, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        values![blob, owner, path, &file.name, &file.content_type, file.size, sha256.clone(), now],
    )
    .map(drop)
}

/// Lets go of a file once nothing refers to it; answers the path of what is to be removed after the commit.
///
/// # Errors
/// The database's.
pub fn release(tx: &mut Tx<'_>, file: &File, now: Millis) -> Result<Option<String>> {
    let Place::Stored { blob, .. } = &file.place else { return Ok(None) };
    tx.first(
        &format!(
            "UPDATE blobs
             SET deleted_at = ?2
             WHERE public_id = ?1
               AND deleted_at IS NULL
               AND {UNUSED}
             RETURNING path"
        ),
        values![blob, now],
        |row| row.get("path"),
    )
}

/// Whether a row names the file at `path`.
///
/// # Errors
/// The database's.
pub fn is_named(tx: &mut Tx<'_>, path: &str) -> Result<bool> {
    tx.one(
        "SELECT EXISTS (SELECT 1 FROM blobs WHERE path = ?1 AND deleted_at IS NULL) AS is_named",
        values![path],
        |row| row.get("is_named"),
    )
}

/// Paths of all files that rows name.
///
/// # Errors
/// The database's.
pub fn paths(tx: &mut Tx<'_>) -> Result<HashSet<String>> {
    let paths = tx.rows("SELECT path FROM blobs WHERE deleted_at IS NULL", &[], |row| row.get("path"))?;
    Ok(paths.into_iter().collect())
}

/// A file that a row names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Path in the folder of files.
    pub path: String,
    /// Bytes.
    pub size: i64,
    /// In hexadecimal; none while it has yet to be computed.
    pub sha256: Option<String>,
}

/// All files that rows name, by path.
///
/// # Errors
/// The database's.
pub fn kept(tx: &mut Tx<'_>) -> Result<Vec<Kept>> {
    tx.rows("SELECT path, size, sha256 FROM blobs WHERE deleted_at IS NULL ORDER BY path", &[], |row| {
        Ok(Kept { path: row.get("path")?, size: row.get("size")?, sha256: row.get("sha256")? })
    })
}

/// A file whose hash is still to be computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unhashed {
    /// Table key.
    pub key: BlobKey,
    /// Where it lies.
    pub path: String,
}

/// The next file after `after` whose hash is still to be computed.
///
/// # Errors
/// The database's.
pub fn next_unhashed(tx: &mut Tx<'_>, after: BlobKey) -> Result<Option<Unhashed>> {
    tx.first(
        "SELECT id, path
         FROM blobs
         WHERE sha256 IS NULL AND deleted_at IS NULL AND id > ?1
         ORDER BY id
         LIMIT 1",
        values![after],
        |row| Ok(Unhashed { key: row.get("id")?, path: row.get("path")? }),
    )
}

/// Notes the hash of a file, in hexadecimal.
///
/// # Errors
/// The database's.
pub fn note_hash(tx: &mut Tx<'_>, key: BlobKey, sha256: &str) -> Result<()> {
    tx.execute("UPDATE blobs SET sha256 = ?2 WHERE id = ?1", values![key, sha256])?;
    tx.touch(Topic::Artifacts);
    tx.touch(Topic::TrainingSets);
    Ok(())
}

/// Reads the columns `file_name`, `content_type`, `file_size`, `external_url`, and, of the blob, `blob_id` and
/// `sha256`.
pub(super) fn file(row: &Row<'_>) -> Result<File> {
    let blob: Option<BlobId> = row.get("blob_id")?;
    let place = match blob {
        Some(blob) => Place::Stored { blob, sha256: row.get("sha256")? },
        None => Place::Linked { url: row.get("external_url")? },
    };
    Ok(File {
        name: row.get("file_name")?,
        content_type: row.get("content_type")?,
        size: row.get("file_size")?,
        place,
    })
}

/// The public id of a file that is with us, and the address of one that is not.
pub(super) const fn columns(place: &Place) -> (Option<&BlobId>, Option<&String>) {
    match place {
        Place::Stored { blob, .. } => (Some(blob), None),
        Place::Linked { url } => (None, Some(url)),
    }
}
