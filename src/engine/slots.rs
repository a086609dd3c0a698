//! How many calls each endpoint may have at once, whoever makes them: cases of every run, and graders.
//!
//! It does not decide who is next.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

/// One semaphore per endpoint, with the limit it was made for.
#[derive(Default)]
pub(super) struct Slots(Mutex<HashMap<String, (u32, Arc<Semaphore>)>>);

impl Slots {
    /// The slots of `endpoint`, which from now on has `limit` of them. Calls in flight keep the slots of an
    /// earlier limit until they end.
    pub(super) fn limited(&self, endpoint: &str, limit: u32) -> Arc<Semaphore> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get(endpoint) {
            Some((present, slots)) if *present == limit => Arc::clone(slots),
            _ => {
                let slots = semaphore(limit);
                all.insert(endpoint.to_owned(), (limit, Arc::clone(&slots)));
                slots
            }
        }
    }

    /// The slots of `endpoint` as they are; `limit` of them if nobody called there yet.
    pub(super) fn shared(&self, endpoint: &str, limit: u32) -> Arc<Semaphore> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, slots) = all.entry(endpoint.to_owned()).or_insert_with(|| (limit, semaphore(limit)));
        Arc::clone(slots)
    }
}

fn semaphore(limit: u32) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(usize::try_from(limit).unwrap_or(1)))
}
