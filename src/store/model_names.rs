//! Models by their names, which anybody may give to a model and several models may share. Which of them a name means
//! is decided elsewhere.

use super::Tx;
use crate::domain::id::{ModelId, ModelKey, UserKey};
use crate::error::Result;
use crate::values;

/// A model that has a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namesake {
    /// Table key.
    pub key: ModelKey,
    /// Public id.
    pub id: ModelId,
    /// Whose it is.
    pub owner: UserKey,
    /// Whether the operator vouches for it.
    pub is_official: bool,
}

/// Returns the models with exactly that name that are not deleted, oldest first.
///
/// # Errors
/// The database's.
pub fn namesakes(tx: &mut Tx<'_>, name: &str) -> Result<Vec<Namesake>> {
    tx.rows(
        "SELECT id, public_id, owner_id, is_official
         FROM models
         WHERE name = ?1 AND deleted_at IS NULL
         ORDER BY id",
        values![name],
        |row| {
            Ok(Namesake {
                key: row.get("id")?,
                id: row.get("public_id")?,
                owner: row.get("owner_id")?,
                is_official: row.get("is_official")?,
            })
        },
    )
}
