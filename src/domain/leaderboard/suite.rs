//! The suite: which evals count. An eval joins once half of the models that hold the whole of it have a complete
//! result on it; who is ranked on it, and where, is not decided here.

use std::collections::{HashMap, HashSet};

use crate::domain::id::{EvalKey, ModelKey, VersionKey};

/// An eval that may join the suite, or replace its own older version in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// The eval.
    pub eval: EvalKey,
    /// Its present version.
    pub version: VersionKey,
}

/// What happened to an eval in the suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It counts from now on.
    Joined,
    /// A newer version counts in place of the older one.
    Replaced,
    /// It was deactivated or deleted.
    Left,
}

impl Change {
    /// The word in the tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Joined => "joined",
            Self::Replaced => "replaced",
            Self::Left => "left",
        }
    }
}

/// The evals that count, and which models are complete on which versions.
#[derive(Debug)]
pub struct Suite {
    members: HashMap<EvalKey, VersionKey>,
    complete: HashSet<(ModelKey, VersionKey)>,
}

impl Suite {
    /// The suite as it stands.
    #[must_use]
    pub fn new(members: Vec<(EvalKey, VersionKey)>, complete: HashSet<(ModelKey, VersionKey)>) -> Self {
        Self { members: members.into_iter().collect(), complete }
    }

    /// Takes in every candidate that at least half of the deciding models are complete on, until none is
    /// left that may join; answers what changed, in order.
    pub fn admit(&mut self, candidates: &[Candidate]) -> Vec<(Candidate, Change)> {
        let mut changes = Vec::new();
        let mut waiting = candidates.to_vec();
        while let Some(at) = self.next_to_join(&waiting) {
            let candidate = waiting.swap_remove(at);
            let before = self.members.insert(candidate.eval, candidate.version);
            changes.push((candidate, if before.is_some() { Change::Replaced } else { Change::Joined }));
        }
        changes
    }

    fn next_to_join(&self, waiting: &[Candidate]) -> Option<usize> {
        let deciding = self.deciding_models();
        waiting.iter().position(|candidate| {
            let holders =
                deciding.iter().filter(|model| self.complete.contains(&(**model, candidate.version)));
            let holders = holders.count();
            holders > 0 && holders * 2 >= deciding.len()
        })
    }

    /// The models that are complete on the suite; all that have any complete cell while there are none.
    fn deciding_models(&self) -> HashSet<ModelKey> {
        let any: HashSet<ModelKey> = self.complete.iter().map(|(model, _)| *model).collect();
        let is_whole = |model: &ModelKey| {
            self.members.values().all(|version| self.complete.contains(&(*model, *version)))
        };
        let whole: HashSet<ModelKey> = any.iter().copied().filter(is_whole).collect();
        if whole.is_empty() { any } else { whole }
    }
}
