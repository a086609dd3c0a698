//! Files that come in parts: which parts are whole. The bytes are not here.

use super::{Row, Tx};
use crate::domain::id::{DraftId, DraftKey, UploadKey};
use crate::domain::time::Millis;
use crate::domain::uploads::{Draft, Part};
use crate::error::{Error, Result};
use crate::values;

fn draft(row: &Row<'_>) -> Result<Draft> {
    Ok(Draft { key: row.get("id")?, upload: row.get("upload_id")?, place: row.get("place")? })
}

/// Stores a file of which no part is there yet.
///
/// # Errors
/// The database's.
pub fn insert(tx: &mut Tx<'_>, id: &DraftId, upload: UploadKey, place: &str, now: Millis) -> Result<()> {
    tx.execute(
        "INSERT INTO drafts (public_id, upload_id, place, created_at) VALUES (?1, ?2, ?3, ?4)",
        values![id, upload, place, now],
    )
    .map(drop)
}

/// The draft of that id, if it belongs to that upload.
///
/// # Errors
/// `NotFound`.
pub fn get(tx: &mut Tx<'_>, upload: UploadKey, id: &DraftId) -> Result<Draft> {
    tx.first(
        "SELECT id, upload_id, place FROM drafts WHERE public_id = ?1 AND upload_id = ?2",
        values![id, upload],
        draft,
    )?
    .ok_or(Error::NotFound("upload in parts"))
}

/// All drafts of an upload.
///
/// # Errors
/// The database's.
pub fn of_upload(tx: &mut Tx<'_>, upload: UploadKey) -> Result<Vec<Draft>> {
    tx.rows(
        "SELECT id, upload_id, place FROM drafts WHERE upload_id = ?1 ORDER BY id",
        values![upload],
        draft,
    )
}

/// Drafts of uploads that still may come.
///
/// # Errors
/// The database's.
pub fn alive(tx: &mut Tx<'_>) -> Result<Vec<Draft>> {
    tx.rows(
        "SELECT drafts.id, drafts.upload_id, drafts.place
         FROM drafts
         JOIN uploads ON uploads.id = drafts.upload_id
         WHERE uploads.state = 'granted'
         ORDER BY drafts.id",
        &[],
        draft,
    )
}

/// Forgets a draft with its parts.
///
/// # Errors
/// The database's.
pub fn delete(tx: &mut Tx<'_>, key: DraftKey) -> Result<()> {
    tx.execute("DELETE FROM draft_parts WHERE draft_id = ?1", values![key])?;
    tx.execute("DELETE FROM drafts WHERE id = ?1", values![key]).map(drop)
}

/// The parts of a draft, in order.
///
/// # Errors
/// The database's.
pub fn parts(tx: &mut Tx<'_>, draft: DraftKey) -> Result<Vec<Part>> {
    tx.rows(
        "SELECT number, size, sha256, place FROM draft_parts WHERE draft_id = ?1 ORDER BY number",
        values![draft],
        part,
    )
}

fn part(row: &Row<'_>) -> Result<Part> {
    Ok(Part {
        number: row.get("number")?,
        size: u64::try_from(row.get::<i64>("size")?).map_err(Error::internal)?,
        sha256: row.get("sha256")?,
        place: row.get("place")?,
    })
}

/// Bytes of all parts of a draft.
///
/// # Errors
/// The database's.
pub fn total(tx: &mut Tx<'_>, draft: DraftKey) -> Result<u64> {
    tx.one(
        "SELECT COALESCE(SUM(size), 0) AS total FROM draft_parts WHERE draft_id = ?1",
        values![draft],
        |row| u64::try_from(row.get::<i64>("total")?).map_err(Error::internal),
    )
}

/// The part of that number, if it is stored.
///
/// # Errors
/// The database's.
pub fn part_of(tx: &mut Tx<'_>, draft: DraftKey, number: u32) -> Result<Option<Part>> {
    tx.first(
        "SELECT number, size, sha256, place FROM draft_parts WHERE draft_id = ?1 AND number = ?2",
        values![draft, number],
        part,
    )
}

/// Drafts whose upload was completed before `moment`, at most `limit`: nobody asks again.
///
/// # Errors
/// The database's.
pub fn outlived(tx: &mut Tx<'_>, moment: Millis, limit: u32) -> Result<Vec<Draft>> {
    tx.rows(
        "SELECT drafts.id, drafts.upload_id, drafts.place
         FROM drafts
         JOIN uploads ON uploads.id = drafts.upload_id
         WHERE uploads.state = 'completed' AND uploads.ended_at < ?1
         ORDER BY drafts.id
         LIMIT ?2",
        values![moment, limit],
        draft,
    )
}

/// Stores a part in the place of an earlier one of that number; answers where that one lay.
///
/// # Errors
/// The database's.
pub fn put_part(tx: &mut Tx<'_>, draft: DraftKey, part: &Part) -> Result<Option<String>> {
    let before = part_of(tx, draft, part.number)?;
    let size = i64::try_from(part.size).map_err(Error::internal)?;
    tx.execute(
        "INSERT INTO draft_parts (draft_id, number, size, sha256, place)
         VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (draft_id, number) DO UPDATE
         SET size = excluded.size, sha256 = excluded.sha256, place = excluded.place",
        values![draft, part.number, size, &part.sha256, &part.place],
    )?;
    Ok(before.map(|before| before.place))
}
