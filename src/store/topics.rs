//! What changed: a generation number per topic, so that a copy of an answer knows when it is stale.
//!
//! It does not say which row changed, and holds nothing of the answers themselves.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

/// A part of the store that answers are made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// Models and their revisions.
    Models,
    /// Evals, their versions and samples.
    Evals,
    /// Runs and their progress.
    Runs,
    /// Results and cases.
    Results,
    /// Whatever the leaderboard is made from.
    Board,
    /// Artifacts of models.
    Artifacts,
    /// Training sets.
    TrainingSets,
    /// Runs that start by themselves.
    Schedules,
    /// The record of what moved the board.
    Ledger,
}

/// How many topics there are.
const COUNT: usize = 9;

impl Topic {
    /// Every topic, in the order of their numbers.
    pub const ALL: [Self; COUNT] = [
        Self::Models,
        Self::Evals,
        Self::Runs,
        Self::Results,
        Self::Board,
        Self::Artifacts,
        Self::TrainingSets,
        Self::Schedules,
        Self::Ledger,
    ];
}

/// A set of topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TopicSet([bool; COUNT]);

impl TopicSet {
    /// Adds a topic.
    pub fn insert(&mut self, topic: Topic) {
        for (slot, each) in self.0.iter_mut().zip(Topic::ALL) {
            *slot |= each == topic;
        }
    }

    /// Adds every topic of `other`.
    pub fn merge(&mut self, other: Self) {
        for (slot, theirs) in self.0.iter_mut().zip(other.0) {
            *slot |= theirs;
        }
    }

    /// Every topic.
    #[must_use]
    pub const fn all() -> Self {
        Self([true; COUNT])
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.iter().all(|held| !held)
    }
}

/// The sum of the generations of some topics at one moment: it grows whenever any of them changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(u64);

impl Generation {
    /// Returns it as a number, which means something in this process alone.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// The present generation of each topic.
#[derive(Debug, Default)]
pub struct Topics {
    counts: [AtomicU64; COUNT],
    changed: watch::Sender<()>,
}

impl Topics {
    /// The generation of `topics` together. Read it *before* the read transaction it is to vouch for.
    #[must_use]
    pub fn generation(&self, topics: &[Topic]) -> Generation {
        let of = |(count, topic): (&AtomicU64, Topic)| {
            if topics.contains(&topic) { count.load(Ordering::Acquire) } else { 0 }
        };
        Generation(self.counts.iter().zip(Topic::ALL).map(of).sum())
    }

    /// Tells of every change from now on; several at once may be told as one.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Makes every copy that was made from one of `topics` stale.
    pub fn publish(&self, topics: TopicSet) {
        if topics.is_empty() {
            return;
        }
        for (count, _) in self.counts.iter().zip(topics.0).filter(|(_, held)| *held) {
            count.fetch_add(1, Ordering::Release);
        }
        self.changed.send_replace(());
    }
}
