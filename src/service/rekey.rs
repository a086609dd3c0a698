//! Changing the master key: what was sealed under the old one is sealed under the new one, all of it at once.
//!
//! Where the keys come from and go to is the caller's. A server that runs meanwhile still has the old key: it must be
//! started anew.

use crate::domain::time::Millis;
use crate::error::{Error, Result, explain};
use crate::secrets::MasterKey;
use crate::store::{Store, Tx, master_keys, model_keys, webhook_secrets};

/// What was sealed anew.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Keys of models.
    pub models: usize,
    /// Secrets of webhooks.
    pub webhooks: usize,
    /// Whose key or secret was given up, by noun and public id.
    pub forgotten: Vec<String>,
}

/// The two keys.
pub struct Keys {
    /// What was used so far.
    pub old: MasterKey,
    /// What is used from now on.
    pub new: MasterKey,
}

/// A change of keys, and what becomes of secrets that none of them opens.
struct Change {
    /// None when it is lost.
    old: Option<MasterKey>,
    new: MasterKey,
    /// Whether secrets that cannot be opened are removed, rather than being a reason to change nothing.
    is_forgetting: bool,
}

/// What becomes of one secret.
enum Outcome {
    /// It is sealed under the new key already, as after a change that was interrupted.
    Done,
    /// The secret under the new key.
    Sealed(Vec<u8>),
    /// It cannot be opened, and is given up.
    Forgotten,
}

impl Change {
    fn reseal(&self, noun: &str, row: &str, origin: &str, sealed: &[u8]) -> Result<Outcome> {
        if self.new.open(row, origin, sealed).is_ok() {
            return Ok(Outcome::Done);
        }
        let lost = || Error::internal("the key that it was sealed under is not there");
        match self.old.as_ref().ok_or_else(lost).and_then(|old| old.open(row, origin, sealed)) {
            Ok(secret) => self.new.seal_secret(row, origin, &secret).map(Outcome::Sealed),
            Err(_) if self.is_forgetting => Ok(Outcome::Forgotten),
            Err(cause) => Err(Error::internal(format!(
                "the secret of {noun} {row} cannot be opened: {} (evalboard rekey --forget gives such secrets up)",
                explain(&cause)
            ))),
        }
    }
}

/// Seals everything anew, in one transaction, and notes the new key as the one that is used.
///
/// # Errors
/// `Internal` when something was sealed under neither key and is not to be given up: then nothing is changed.
pub async fn reseal(store: &Store, keys: Keys, now: Millis) -> Result<Resealed> {
    let Keys { old, new } = keys;
    change(store, Change { old: Some(old), new, is_forgetting: false }, now).await
}

/// As [`reseal`], where the `old` key may be lost: secrets that cannot be opened are removed.
///
/// # Errors
/// The store's.
pub async fn reseal_or_forget(
    store: &Store,
    old: Option<MasterKey>,
    new: MasterKey,
    now: Millis,
) -> Result<Resealed> {
    change(store, Change { old, new, is_forgetting: true }, now).await
}

async fn change(store: &Store, keys: Change, now: Millis) -> Result<Resealed> {
    store
        .write(move |tx| {
            let mut resealed = Resealed::default();
            models(tx, &keys, &mut resealed)?;
            webhooks(tx, &keys, &mut resealed, now)?;
            master_keys::note(tx, &keys.new.id(), now)?;
            Ok(resealed)
        })
        .await
}

fn models(tx: &mut Tx<'_>, keys: &Change, resealed: &mut Resealed) -> Result<()> {
    for stored in model_keys::all(tx)? {
        match keys.reseal("model", stored.id.as_str(), &stored.origin, &stored.sealed)? {
            Outcome::Done => {}
            Outcome::Sealed(sealed) => {
                model_keys::put(tx, stored.key, Some((&sealed, &stored.origin)))?;
                resealed.models += 1;
            }
            Outcome::Forgotten => {
                model_keys::put(tx, stored.key, None)?;
                resealed.forgotten.push(format!("model {}", stored.id));
            }
        }
    }
    Ok(())
}

fn webhooks(tx: &mut Tx<'_>, keys: &Change, resealed: &mut Resealed, now: Millis) -> Result<()> {
    for (key, stored) in webhook_secrets::all(tx)? {
        match keys.reseal("eval", stored.eval.as_str(), &stored.origin, &stored.sealed)? {
            Outcome::Done => {}
            Outcome::Sealed(sealed) => {
                webhook_secrets::put(tx, key, &sealed, &stored.origin, now)?;
                resealed.webhooks += 1;
            }
            Outcome::Forgotten => {
                webhook_secrets::remove(tx, key)?;
                resealed.forgotten.push(format!("eval {}", stored.eval));
            }
        }
    }
    Ok(())
}
