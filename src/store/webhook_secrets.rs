//! The sealed secrets of evals that are scored by a webhook. Sealing and opening are not done here.

use super::{Row, Topic, Tx};
use crate::domain::id::{EvalId, EvalKey};
use crate::domain::time::Millis;
use crate::error::Result;
use crate::values;

/// A secret as it is stored.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The eval's public id, which it is sealed for.
    pub eval: EvalId,
    /// The sealed bytes.
    pub sealed: Vec<u8>,
    /// `scheme://host:port` of the webhook, which it is sealed for too.
    pub origin: String,
}

/// Stores the secret of an eval in place of the one it had.
///
/// # Errors
/// The database's.
pub fn put(tx: &mut Tx<'_>, eval: EvalKey, sealed: &[u8], origin: &str, now: Millis) -> Result<()> {
    tx.execute(
        "INSERT INTO webhook_secrets (eval_id, sealed, origin, updated_at)
         VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (eval_id) DO UPDATE
         SET sealed = excluded.sealed, origin = excluded.origin, updated_at = excluded.updated_at",
        values![eval, sealed, origin, now],
    )?;
    tx.touch(Topic::Evals);
    Ok(())
}

/// The secret of an eval, if it has one.
///
/// # Errors
/// The database's.
pub fn get(tx: &mut Tx<'_>, eval: EvalKey) -> Result<Option<Stored>> {
    tx.first(
        "SELECT evals.public_id, webhook_secrets.sealed, webhook_secrets.origin
         FROM webhook_secrets
         JOIN evals ON evals.id = webhook_secrets.eval_id
         WHERE webhook_secrets.eval_id = ?1",
        values![eval],
        stored,
    )
}

/// Every secret there is, by eval.
///
/// # Errors
/// The database's.
pub fn all(tx: &mut Tx<'_>) -> Result<Vec<(EvalKey, Stored)>> {
    tx.rows(
        "SELECT evals.id, evals.public_id, webhook_secrets.sealed, webhook_secrets.origin
         FROM webhook_secrets
         JOIN evals ON evals.id = webhook_secrets.eval_id
         ORDER BY evals.id",
        &[],
        |row| Ok((row.get("id")?, stored(row)?)),
    )
}

fn stored(row: &Row<'_>) -> Result<Stored> {
    Ok(Stored { eval: row.get("public_id")?, sealed: row.get("sealed")?, origin: row.get("origin")? })
}

/// Forgets the secret of an eval.
///
/// # Errors
/// The database's.
pub fn remove(tx: &mut Tx<'_>, eval: EvalKey) -> Result<()> {
    tx.execute("DELETE FROM webhook_secrets WHERE eval_id = ?1", values![eval])?;
    tx.touch(Topic::Evals);
    Ok(())
}
