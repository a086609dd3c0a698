//! What the tests of all pairs amount to: who is ahead of whom, and the rank ranges that follow.

use super::family::Family;
use super::{Entrant, Pair};
use crate::domain::id::ModelKey;
use crate::domain::stats::{LEVEL, RankRange, SignFlip, count, rank_ranges, tie_groups};

/// The tests of all pairs, corrected by [`holm`](crate::domain::stats::holm), and what follows from them.
///
/// The family is all pairs of models that are no baselines, models that agree on every item counted once: two
/// of them give one and the same test against any third. The chance of even one false "ahead" in it is at most
/// [`LEVEL`], however many baselines and copies are added. A baseline is compared with everybody: its pairs are
/// corrected as if it had joined the family alone, so that the same holds for the models and any one baseline,
/// and no other pair is corrected for it. Two baselines are corrected among the baselines. A
/// board of baselines alone is a board of models like any other.
///
/// Two models that share no items cannot be tested. They count as tied, as any two that no test tells apart,
/// and stay in the family with a p of 1: what is not known makes nobody's rank more certain.
#[derive(Debug, Clone, PartialEq)]
pub struct Standings {
    models: Vec<ModelKey>,
    /// Ranges in the order of the models.
    ranges: Vec<RankRange>,
    /// For each model its verdicts against those before it.
    verdicts: Vec<Vec<Verdict>>,
    cannot_separate: bool,
    contestants: usize,
}

/// Two models, and whether they can be told apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// Weighted mean difference over the evals that both have, -1..1: above 0 where the first is better.
    pub difference: f64,
    /// The test of this pair alone; `None` where they share no items.
    pub test: Option<SignFlip>,
    /// Its p-value after Holm's correction over its family, 0..1; 1 without a test.
    pub p_holm: f64,
}

impl Verdict {
    /// Whether the first is ahead of the second beyond what chance explains, over its family at [`LEVEL`].
    pub fn is_ahead(&self) -> bool {
        self.p_holm <= LEVEL && self.difference > 0.0
    }

    fn turned(self) -> Self {
        Self { difference: -self.difference, ..self }
    }
}

impl Standings {
    pub(super) fn new(models: &[Entrant], pairs: &[Vec<Pair>]) -> Self {
        let family = Family::new(models, pairs);
        let verdict =
            |(pair, p_holm): (&Pair, f64)| Verdict { difference: pair.difference, test: pair.test, p_holm };
        let rows = pairs.iter().zip(family.corrected());
        let verdicts: Vec<Vec<Verdict>> =
            rows.map(|(earlier, corrected)| earlier.iter().zip(corrected).map(verdict).collect()).collect();
        let first_step = LEVEL / count(family.tests().count());
        let is_hopeless = |pair: &Pair| pair.test.is_none_or(|test| test.least_p > first_step);
        let cannot_separate = family.tests().next().is_some() && family.tests().all(is_hopeless);
        let models = models.iter().map(|entrant| entrant.key).collect();
        let contestants = family.contestants();
        let mut standings = Self { models, ranges: Vec::new(), verdicts, cannot_separate, contestants };
        standings.ranges = rank_ranges(standings.models.len(), |one, other| standings.is_ahead(one, other));
        standings
    }

    /// The ranks that `model` can have: its best is 1 + the number of models significantly ahead of it, its
    /// worst the number of models less those it is significantly ahead of. `None` for a model that is not in.
    #[must_use]
    pub fn range(&self, model: ModelKey) -> Option<RankRange> {
        self.ranges.get(self.place(model)?).copied()
    }

    /// The pair of `one` and `other`, seen from `one`. `None` when either is not in, or both are the same.
    #[must_use]
    pub fn verdict(&self, one: ModelKey, other: ModelKey) -> Option<Verdict> {
        self.between(self.place(one)?, self.place(other)?)
    }

    /// The tie groups, from 1, of `rows` in board order; see [`tie_groups`] for what a group does and does not
    /// say. A row that is not in is tied with every other.
    #[must_use]
    pub fn groups(&self, rows: &[ModelKey]) -> Vec<usize> {
        let places: Vec<Option<usize>> = rows.iter().map(|model| self.place(*model)).collect();
        let place = |row: usize| places.get(row).copied().flatten();
        tie_groups(rows.len(), |one, other| {
            place(one).zip(place(other)).is_some_and(|(one, other)| self.is_ahead(one, other))
        })
    }

    /// Whether everything is tied because no pair disagrees on enough items for any outcome to pass the
    /// correction, rather than because the models are alike.
    /// [`crate::domain::stats::fewest_disagreements`] says how many it takes.
    #[must_use]
    pub fn cannot_separate(&self) -> bool {
        self.cannot_separate
    }

    /// How many different models the correction is for: those that are no baselines, copies counted once.
    #[must_use]
    pub fn contestants(&self) -> usize {
        self.contestants
    }

    fn place(&self, model: ModelKey) -> Option<usize> {
        self.models.iter().position(|own| *own == model)
    }

    fn is_ahead(&self, one: usize, other: usize) -> bool {
        self.between(one, other).is_some_and(|verdict| verdict.is_ahead())
    }

    fn between(&self, one: usize, other: usize) -> Option<Verdict> {
        let stored = |later: usize, earlier: usize| self.verdicts.get(later)?.get(earlier).copied();
        if one > other { stored(one, other) } else { stored(other, one).map(Verdict::turned) }
    }
}
