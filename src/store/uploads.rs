//! Uploads that were granted a token. What the token says is signed and not kept.

use super::Tx;
use crate::domain::id::{UploadId, UserKey};
use crate::domain::time::Millis;
use crate::domain::upload_token::UploadGrant;
use crate::error::{Error, Result};
use crate::values;

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
