//! The master key at start: a server refuses to begin with another key than the one that secrets are sealed under.
//!
//! It would seal what comes under the new key, and open nothing of what is there. Files that can be lost, folders that were
//! restored without their key and settings that were left out all look like a first start; the database knows better.

use std::path::Path;

use crate::domain::time::Millis;
use crate::error::{Error, Result};
use crate::secrets::{ID, MasterKey};
use crate::store::{Store, master_keys};

/// What can be done about a key that does not fit.
const FIX: &str = "Restore that key: put it in the file or in EVALBOARD_MASTER_KEY. Where it is lost for good, run \
                   evalboard rekey --forget, which gives up the secrets that cannot be opened";

/// What is known of the secrets of a data folder.
struct Sealed {
    /// The id of the key that was in use last.
    noted: Option<Vec<u8>>,
    /// The id of the key of each secret. What has none is damaged, and no key opens it.
    ids: Vec<[u8; ID]>,
}

impl Sealed {
    async fn read(store: &Store) -> Result<Self> {
        store
            .read(|tx| {
                let ids =
                    master_keys::sealed(tx)?.iter().filter_map(|sealed| MasterKey::id_of(sealed)).collect();
                Ok(Self { noted: master_keys::noted(tx)?, ids })
            })
            .await
    }

    /// Whether the secrets are this key's. What was noted counts more than single secrets: those may be damaged.
    fn are_of(&self, key: &MasterKey) -> bool {
        let id = key.id();
        match &self.noted {
            _ if self.ids.is_empty() => true,
            Some(noted) => *noted == id,
            None => self.ids.contains(&id),
        }
    }

    fn others(&self, key: &MasterKey) -> usize {
        self.ids.iter().filter(|id| **id != key.id()).count()
    }
}

/// Makes sure that the key of `setting`, else that of the data folder at `folder`, is the one that its secrets are sealed
/// under, and notes it for the next start. Without secrets any key will do, and one is made when there is none. Damaged
/// data are not looked at, and where nothing can be written nothing is noted.
///
/// # Errors
/// `Conflict` (`master_key`) for a key that is another one, or is missing although there are secrets; `Invalid` and
/// `Internal` for one that cannot be read; the store's.
pub async fn check(store: &Store, setting: Option<&str>, folder: &Path, now: Millis) -> Result<()> {
    let file = MasterKey::file(folder);
    let sealed = match Sealed::read(store).await {
        // Nothing is sealed while data are damaged: what can be read is served with the key that is there.
        Err(Error::Damaged(_)) if setting.is_some() || file.exists() => return Ok(()),
        read => read?,
    };
    let key = match setting {
        Some(text) => text.parse()?,
        // The change is finished first; until then secrets may be sealed under either key.
        None if MasterKey::has_draft(&file) => return Ok(()),
        None if !sealed.ids.is_empty() && !file.exists() => return Err(missing(&file, &sealed)),
        None => MasterKey::load_or_create(&file)?,
    };
    if !sealed.are_of(&key) {
        return Err(mismatch(&file, setting.is_some(), &sealed));
    }
    let others = sealed.others(&key);
    if others > 0 {
        tracing::warn!(
            others,
            "secrets are sealed under another master key and cannot be opened: see evalboard rekey"
        );
    }
    if sealed.noted.as_deref() == Some(&key.id()[..]) {
        return Ok(());
    }
    match store.write(move |tx| master_keys::note(tx, &key.id(), now)).await {
        // What can be read is served all the same; the next start notes it.
        Err(cause) if cause.is_read_only() || matches!(cause, Error::Damaged(_)) => Ok(()),
        noted => noted,
    }
}

fn missing(file: &Path, sealed: &Sealed) -> Error {
    let (file, count) = (file.display(), sealed.ids.len());
    conflict(format!(
        "there is no master key at {file}, and {count} stored secrets are sealed under it. {FIX}."
    ))
}

fn mismatch(file: &Path, is_setting: bool, sealed: &Sealed) -> Error {
    let fits = || MasterKey::load(file).is_ok_and(|key| sealed.are_of(&key));
    let (place, count) = (file.display(), sealed.ids.len());
    conflict(match is_setting {
        true if fits() => format!(
            "the key in EVALBOARD_MASTER_KEY is not the one that {count} stored secrets are sealed under, and the one in \
             {place} is: start without EVALBOARD_MASTER_KEY, or change keys with evalboard rekey."
        ),
        true => format!(
            "the key in EVALBOARD_MASTER_KEY is not the one that {count} stored secrets of {place} are sealed under. {FIX}."
        ),
        false => {
            format!(
                "the master key at {place} is not the one that {count} stored secrets are sealed under. {FIX}."
            )
        }
    })
}

fn conflict(message: String) -> Error {
    Error::Conflict { code: "master_key", message }
}
