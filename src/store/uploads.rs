//! Uploads that were granted a token, and what they and their files take of somebody's quota. What the token says
//! is signed and not kept.

use super::{Row, Tx, blobs};
use crate::domain::files::{File, Place};
use crate::domain::id::{BlobId, UploadId, UploadKey, UserKey};
use crate::domain::time::Millis;
use crate::domain::upload_grants::UploadGrant;
use crate::domain::uploads::{State, Upload, Uploaded, Usage};
use crate::error::{Error, Result};
use crate::values;

const COLUMNS: &str = "uploads.id, uploads.public_id, uploads.owner_id, users.public_id AS owner_public_id,
    uploads.pathname, uploads.file_name, uploads.content_type, uploads.max_bytes, uploads.state, uploads.expires_at
    FROM uploads
    JOIN users ON users.id = uploads.owner_id";

/// Stores what `grant`, whose id is `id`, lets `owner` put up.
///
/// # Errors
/// `Internal` when the grant's size is beyond what the table holds; the database's.
pub fn insert(
    tx: &mut Tx<'_>,
    id: &UploadId,
    owner: UserKey,
    grant: &UploadGrant,
    (file_name, content_type): (&str, &str),
    now: Millis,
) -> Result<()> {
    let max_bytes = i64::try_from(grant.max_bytes).map_err(Error::internal)?;
    tx.execute(
        "INSERT INTO uploads (public_id, owner_id, pathname, file_name, content_type, max_bytes, state, created_at,
             expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'granted', ?7, ?8)",
        values![id, owner, &grant.pathname, file_name, content_type, max_bytes, now, grant.valid_until],
    )
    .map(drop)
}

fn upload(row: &Row<'_>) -> Result<Upload> {
    let state: String = row.get("state")?;
    Ok(Upload {
        key: row.get("id")?,
        id: row.get("public_id")?,
        owner: row.get("owner_id")?,
        owner_id: row.get("owner_public_id")?,
        pathname: row.get("pathname")?,
        file_name: row.get("file_name")?,
        content_type: row.get("content_type")?,
        max_bytes: bytes(row, "max_bytes")?,
        state: State::parse(&state)?,
        expires_at: row.get("expires_at")?,
    })
}

fn bytes(row: &Row<'_>, column: &str) -> Result<u64> {
    u64::try_from(row.get::<i64>(column)?).map_err(Error::internal)
}

/// The upload of that id, unless its owner may do nothing any more.
///
/// # Errors
/// `NotFound`.
pub fn get(tx: &mut Tx<'_>, id: &UploadId) -> Result<Upload> {
    tx.first(
        &format!("SELECT {COLUMNS} WHERE uploads.public_id = ?1 AND users.disabled_at IS NULL"),
        values![id],
        upload,
    )?
    .ok_or(Error::NotFound("upload"))
}

/// Notes that the file of an upload is here; the file's row must be there.
///
/// # Errors
/// The database's.
pub fn complete(tx: &mut Tx<'_>, key: UploadKey, blob: &BlobId, now: Millis) -> Result<()> {
    tx.execute(
        "UPDATE uploads
         SET state = 'completed', blob_id = (SELECT id FROM blobs WHERE public_id = ?2), ended_at = ?3
         WHERE id = ?1",
        values![key, blob, now],
    )
    .map(drop)
}

/// Notes that nothing will come of an upload.
///
/// # Errors
/// The database's.
pub fn end(tx: &mut Tx<'_>, key: UploadKey, state: State, now: Millis) -> Result<()> {
    tx.execute(
        "UPDATE uploads SET state = ?2, ended_at = ?3 WHERE id = ?1",
        values![key, state.as_str(), now],
    )
    .map(drop)
}

/// Uploads that should have begun before `moment` and have not come, at most `limit`.
///
/// # Errors
/// The database's.
pub fn overdue(tx: &mut Tx<'_>, moment: Millis, limit: u32) -> Result<Vec<UploadKey>> {
    tx.rows(
        "SELECT id
         FROM uploads
         WHERE state = 'granted' AND expires_at < ?1
         ORDER BY expires_at, id
         LIMIT ?2",
        values![moment, limit],
        |row| row.get("id"),
    )
}

/// Completed uploads whose file nothing refers to since before `moment`, at most `limit`, with their files.
///
/// # Errors
/// The database's.
pub fn unclaimed(tx: &mut Tx<'_>, moment: Millis, limit: u32) -> Result<Vec<Uploaded>> {
    tx.rows(
        &format!(
            "SELECT {UPLOADED}
             WHERE uploads.state = 'completed' AND uploads.ended_at < ?1 AND {} AND blobs.deleted_at IS NULL
             ORDER BY uploads.id
             LIMIT ?2",
            blobs::UNUSED
        ),
        values![moment, limit],
        uploaded,
    )
}

const UPLOADED: &str = "uploads.id AS upload_id, uploads.owner_id, uploads.pathname,
    blobs.public_id AS blob_id, blobs.file_name, blobs.content_type, blobs.size, blobs.sha256,
    blobs.created_at
    FROM uploads
    JOIN blobs ON blobs.id = uploads.blob_id";

fn uploaded(row: &Row<'_>) -> Result<Uploaded> {
    Ok(Uploaded {
        upload: row.get("upload_id")?,
        owner: row.get("owner_id")?,
        pathname: row.get("pathname")?,
        file: File {
            name: row.get("file_name")?,
            content_type: row.get("content_type")?,
            size: Some(row.get("size")?),
            place: Place::Stored { blob: row.get("blob_id")?, sha256: row.get("sha256")? },
        },
        created_at: row.get("created_at")?,
    })
}

/// The file that an upload brought, unless it is deleted.
///
/// # Errors
/// The database's.
pub fn file_of(tx: &mut Tx<'_>, key: UploadKey) -> Result<Option<Uploaded>> {
    tx.first(
        &format!("SELECT {UPLOADED} WHERE uploads.id = ?1 AND blobs.deleted_at IS NULL"),
        values![key],
        uploaded,
    )
}

/// The id of the file that an upload brought, deleted or not.
///
/// # Errors
/// The database's.
pub fn blob_of(tx: &mut Tx<'_>, key: UploadKey) -> Result<Option<BlobId>> {
    tx.first(
        "SELECT blobs.public_id
         FROM uploads
         JOIN blobs ON blobs.id = uploads.blob_id
         WHERE uploads.id = ?1",
        values![key],
        |row| row.get("public_id"),
    )
}

/// The file of that id, if an upload brought it and it is not deleted.
///
/// # Errors
/// The database's.
pub fn file(tx: &mut Tx<'_>, blob: &BlobId) -> Result<Option<Uploaded>> {
    tx.first(
        &format!("SELECT {UPLOADED} WHERE blobs.public_id = ?1 AND blobs.deleted_at IS NULL"),
        values![blob],
        uploaded,
    )
}

/// What somebody's files take.
///
/// # Errors
/// The database's.
pub fn usage(tx: &mut Tx<'_>, owner: UserKey) -> Result<Usage> {
    tx.one(
        "SELECT (SELECT COALESCE(SUM(size), 0) FROM blobs WHERE owner_id = ?1 AND deleted_at IS NULL) AS stored,
                (SELECT COALESCE(SUM(max_bytes), 0) FROM uploads WHERE owner_id = ?1 AND state = 'granted')
                    AS reserved",
        values![owner],
        |row| Ok(Usage { stored: bytes(row, "stored")?, reserved: bytes(row, "reserved")? }),
    )
}
