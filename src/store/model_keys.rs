//! The sealed keys of models, by which their endpoints are called. Sealing and opening are not done here.

use super::{Topic, Tx};
use crate::domain::id::{ModelId, ModelKey};
use crate::error::Result;
use crate::values;

/// Stores the sealed key with the origin it is bound to, or removes it.
///
/// # Errors
/// The database's.
pub fn put(tx: &mut Tx<'_>, key: ModelKey, sealed: Option<(&[u8], &str)>) -> Result<()> {
    tx.execute(
        "UPDATE models SET sealed_key = ?2, key_origin = ?3 WHERE id = ?1",
        values![key, sealed.map(|(bytes, _)| bytes), sealed.map(|(_, origin)| origin)],
    )?;
    tx.touch(Topic::Models);
    Ok(())
}

/// The sealed key of a model and the origin it is bound to.
///
/// # Errors
/// The database's.
pub fn get(tx: &mut Tx<'_>, key: ModelKey) -> Result<Option<(Vec<u8>, String)>> {
    tx.one("SELECT sealed_key, key_origin FROM models WHERE id = ?1", values![key], |row| {
        let sealed: Option<Vec<u8>> = row.get("sealed_key")?;
        let origin: Option<String> = row.get("key_origin")?;
        Ok(sealed.zip(origin))
    })
}

/// A model's key as it is stored.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Table key.
    pub key: ModelKey,
    /// The model's public id, which it is sealed for.
    pub id: ModelId,
    /// The sealed bytes.
    pub sealed: Vec<u8>,
    /// `scheme://host:port`, which it is sealed for too.
    pub origin: String,
}

/// The keys of all models that have one.
///
/// # Errors
/// The database's.
pub fn all(tx: &mut Tx<'_>) -> Result<Vec<Stored>> {
    tx.rows(
        "SELECT id, public_id, sealed_key, key_origin
         FROM models
         WHERE sealed_key IS NOT NULL AND key_origin IS NOT NULL
         ORDER BY id",
        &[],
        |row| {
            Ok(Stored {
                key: row.get("id")?,
                id: row.get("public_id")?,
                sealed: row.get("sealed_key")?,
                origin: row.get("key_origin")?,
            })
        },
    )
}
