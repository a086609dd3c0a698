//! Which master key the sealed secrets belong to, by its id. The key itself is never in the database.

use super::{Tx, model_keys, webhook_secrets};
use crate::domain::time::Millis;
use crate::error::Result;
use crate::values;

/// The id of the key that secrets are sealed under, as it was noted last; none before the first start that notes it.
///
/// # Errors
/// The database's.
pub fn noted(tx: &mut Tx<'_>) -> Result<Option<Vec<u8>>> {
    tx.first("SELECT key_id FROM master_key WHERE id = 1", &[], |row| row.get("key_id"))
}

/// Notes the id of the key that secrets are sealed under from now on.
///
/// # Errors
/// The database's.
pub fn note(tx: &mut Tx<'_>, key_id: &[u8], now: Millis) -> Result<()> {
    tx.execute(
        "INSERT INTO master_key (id, key_id, updated_at) VALUES (1, ?1, ?2)
         ON CONFLICT (id) DO UPDATE SET key_id = excluded.key_id, updated_at = excluded.updated_at",
        values![key_id, now],
    )
    .map(drop)
}

/// Everything that is sealed: keys of models, then secrets of webhooks.
///
/// # Errors
/// The database's.
pub fn sealed(tx: &mut Tx<'_>) -> Result<Vec<Vec<u8>>> {
    let keys = model_keys::all(tx)?.into_iter().map(|stored| stored.sealed);
    let keys: Vec<_> = keys.collect();
    let secrets = webhook_secrets::all(tx)?.into_iter().map(|(_, stored)| stored.sealed);
    Ok(keys.into_iter().chain(secrets).collect())
}
