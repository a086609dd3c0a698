//! Bytes of files on their way in: what all uploads of a person have taken together, before they have rows.
//!
//! single writer: it is the memory of the one process that takes files. What has its row is counted by the database.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::id::UserKey;
use crate::domain::uploads::Usage;
use crate::error::Result;

/// Bytes on their way in, by owner: cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Arriving(Arc<Mutex<HashMap<UserKey, u64>>>);

/// The share of one file, until it is dropped.
#[derive(Debug)]
pub struct Share {
    arriving: Arriving,
    owner: UserKey,
    bytes: u64,
    /// What the owner's files took when this one began, and may take.
    usage: Usage,
    quota: u64,
}

impl Arriving {
    /// Returns the share of a file of `owner` that begins now.
    #[must_use]
    pub fn share(&self, owner: UserKey, usage: Usage, quota: u64) -> Share {
        Share { arriving: self.clone(), owner, bytes: 0, usage, quota }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UserKey, u64>> {
        // Each change to the map is one call: it stays whole whatever panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Counts the next bytes.
    ///
    /// # Errors
    /// `Conflict` when all files of the owner that are under way have more than is left of the quota.
    pub fn add(&mut self, bytes: usize) -> Result<()> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let mut arriving = self.arriving.lock();
        let all = arriving.entry(self.owner).or_default();
        if all.saturating_add(bytes) > self.usage.left(self.quota) {
            return Err(self.usage.exceeded(self.quota));
        }
        *all += bytes;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut arriving = self.arriving.lock();
        if let Some(all) = arriving.get_mut(&self.owner) {
            *all = all.saturating_sub(self.bytes);
            if *all == 0 {
                arriving.remove(&self.owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    const USAGE: Usage = Usage { stored: 300, reserved: 100 };

    #[test]
    fn uploads_of_one_person_share_what_is_left() {
        let arriving = Arriving::default();
        let mut one = arriving.share(UserKey(1), USAGE, 1_000);
        let mut other = arriving.share(UserKey(1), USAGE, 1_000);
        assert!(one.add(400).is_ok() && other.add(200).is_ok());
        let beyond = one.add(1);
        assert!(matches!(beyond, Err(Error::Conflict { code: "quota_exceeded", .. })), "{beyond:?}");
        assert!(arriving.share(UserKey(2), USAGE, 1_000).add(600).is_ok(), "everybody has a quota");
        drop(other);
        assert!(one.add(200).is_ok());
        drop(one);
        assert!(arriving.lock().is_empty());
    }
}
