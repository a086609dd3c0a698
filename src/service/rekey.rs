//! Changing the master key: what was sealed under the old one is sealed under the new one, all of it at once.
//!
//! Where the keys come from and go to is the caller's. A server that runs meanwhile still has the old key: it must be
//! started anew.

use crate::domain::time::Millis;
use crate::error::{Error, Result};
use crate::secrets::MasterKey;
use crate::store::{Store, Tx, model_keys, webhook_secrets};

/// What was sealed anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resealed {
    /// Keys of models.
    pub models: usize,
    /// Secrets of webhooks.
    pub webhooks: usize,
}

/// The two keys.
pub struct Keys {
    /// What was used so far.
    pub old: MasterKey,
    /// What is used from now on.
    pub new: MasterKey,
}

impl Keys {
    /// The secret sealed under the new key; none when it is already, as after a change that was interrupted.
    fn reseal(&self, row: &str, origin: &str, sealed: &[u8]) -> Result<Option<Vec<u8>>> {
        if self.new.open(row, origin, sealed).is_ok() {
            return Ok(None);
        }
        let secret = self.old.open(row, origin, sealed)?;
        self.new.seal_secret(row, origin, &secret).map(Some)
    }
}

/// Seals everything anew, in one transaction.
///
/// # Errors
/// `Internal` when something was sealed under neither key: then nothing is changed.
pub async fn reseal(store: &Store, keys: Keys, now: Millis) -> Result<Resealed> {
    store
        .write(move |tx| Ok(Resealed { models: models(tx, &keys)?, webhooks: webhooks(tx, &keys, now)? }))
        .await
}

fn models(tx: &mut Tx<'_>, keys: &Keys) -> Result<usize> {
    let mut count = 0;
    for stored in model_keys::all(tx)? {
        let fresh = keys.reseal(stored.id.as_str(), &stored.origin, &stored.sealed);
        if let Some(sealed) = fresh.map_err(|cause| explained(cause, "model", stored.id.as_str()))? {
            model_keys::put(tx, stored.key, Some((&sealed, &stored.origin)))?;
            count += 1;
        }
    }
    Ok(count)
}

fn webhooks(tx: &mut Tx<'_>, keys: &Keys, now: Millis) -> Result<usize> {
    let mut count = 0;
    for (key, stored) in webhook_secrets::all(tx)? {
        let fresh = keys.reseal(stored.eval.as_str(), &stored.origin, &stored.sealed);
        if let Some(sealed) = fresh.map_err(|cause| explained(cause, "eval", stored.eval.as_str()))? {
            webhook_secrets::put(tx, key, &sealed, &stored.origin, now)?;
            count += 1;
        }
    }
    Ok(count)
}

fn explained(cause: Error, noun: &str, id: &str) -> Error {
    Error::internal(format!("the secret of {noun} {id} cannot be opened: {}", crate::error::explain(&cause)))
}
