//! Copies: answers kept as bytes for as long as nothing they were made from has changed.
//!
//! A copy is true while the generation of its topics is the one it was made at; there is no time limit.
//! Nothing that one caller alone may see ever comes here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use super::ready::Ready;
use crate::error::{Error, Result};
use crate::store::{Generation, Store, Topic};

/// Bytes that all copies together may take.
const BUDGET: u64 = 64 * 1024 * 1024;
/// Parts of the table that lock by themselves; a copy can be as large as the budget of one part.
const SHARDS: usize = 4;
/// Addresses whose known parameters are remembered.
const KNOWN: usize = 4_096;
/// Letters that a process is told apart by.
const PROCESS_LENGTH: usize = 12;

/// The copies, shared by every worker.
pub struct Copies {
    store: Store,
    answers: Cache<String, Held, Weight>,
    /// The query parameters that mean something at an address, so that the others need not reach it.
    known: Cache<String, &'static [&'static str]>,
    hits: AtomicU64,
    misses: AtomicU64,
    /// Sets the tags of this process apart from those of others, whose generations count something else.
    process: String,
}

#[derive(Clone)]
struct Held {
    ready: Arc<Ready>,
    topics: &'static [Topic],
    generation: Generation,
}

#[derive(Clone)]
struct Weight;

impl Weighter<String, Held> for Weight {
    fn weight(&self, key: &String, held: &Held) -> u64 {
        u64::try_from(key.len().saturating_add(held.ready.weight())).unwrap_or(u64::MAX)
    }
}

impl Copies {
    /// No copies yet, of answers that are made from `store`.
    ///
    /// # Errors
    /// `Internal` when the table cannot be laid out.
    pub(super) fn new(store: Store) -> Result<Self> {
        let options = OptionsBuilder::new()
            .shards(SHARDS)
            .estimated_items_capacity(KNOWN)
            .weight_capacity(BUDGET)
            .build()
            .map_err(|cause| Error::internal(format!("the table of copies: {cause:?}")))?;
        let (hashes, lifecycle) = (DefaultHashBuilder::default(), DefaultLifecycle::default());
        let answers = Cache::with_options(options, Weight, hashes, lifecycle);
        let (hits, misses) = (AtomicU64::new(0), AtomicU64::new(0));
        let process = nanoid::nanoid!(PROCESS_LENGTH);
        Ok(Self { store, answers, known: Cache::new(KNOWN), hits, misses, process })
    }

    /// The copy under `key`, if there is one and it is still true.
    pub(super) fn find(&self, key: &str) -> Option<Arc<Ready>> {
        let held = self.answers.get(key)?;
        (held.generation == self.store.generation(held.topics)).then_some(held.ready)
    }

    /// The copy under `key`, made by `make` unless there is a true one. Many who ask at once wait for one.
    ///
    /// # Errors
    /// What `make` answers; then nothing is kept and the next one tries.
    pub(super) async fn find_or_make(
        &self,
        key: &str,
        topics: &'static [Topic],
        make: impl Future<Output = Result<Ready>>,
    ) -> Result<Arc<Ready>> {
        // What was read after this request came is true enough for it, even if more has changed since.
        let asked_at = self.store.generation(topics);
        loop {
            self.answers.remove_if(key, |held| held.generation < asked_at);
            match self.answers.get_value_or_guard_async(key).await {
                Ok(held) if held.generation >= asked_at => return Ok(held.ready),
                Ok(_) => {}
                Err(place) => {
                    self.misses.fetch_add(1, Ordering::Relaxed);
                    let generation = self.store.generation(topics);
                    let ready = Arc::new(make.await?);
                    if ready.is_keepable() {
                        let held = Held { ready: Arc::clone(&ready), topics, generation };
                        // It may be refused (too large, or removed meanwhile): then it is simply not kept.
                        drop(place.insert(held));
                    }
                    return Ok(ready);
                }
            }
        }
    }

    /// Returns the tag of an answer that is made of `topics` from now on, where none of its bytes are known yet.
    pub(super) fn weak_tag(&self, topics: &[Topic]) -> String {
        format!("\"{}-{}\"", self.process, self.store.generation(topics).number())
    }

    /// Remembers which parameters mean something at `path`.
    pub(super) fn learn(&self, path: &str, known: &'static [&'static str]) {
        if self.known.peek(path).is_none() {
            self.known.insert(path.to_owned(), known);
        }
    }

    /// The parameters that mean something at `path`, once somebody has asked there.
    pub(super) fn known(&self, path: &str) -> Option<&'static [&'static str]> {
        self.known.get(path)
    }

    /// Counts an answer that was ready.
    pub(super) fn count_hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    /// How many answers were ready, and how many had to be made.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.hits.load(Ordering::Relaxed), self.misses.load(Ordering::Relaxed))
    }
}
