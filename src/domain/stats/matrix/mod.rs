//! All pairs of models at once: the same test as [`super::compare`], over a whole board, kept up to date as
//! results land.
//!
//! All models of an eval were asked the same items, those of one eval version, so that nothing has to be
//! matched: a cell is a list of scores by position. It reads nothing and stores nothing; who is ranked, and in
//! which order, is decided by the caller.

mod family;
mod standings;
mod units;

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::domain::id::ModelKey;

use super::sign_flip::Sums;
use super::{SignFlip, count};

pub use self::standings::{Standings, Verdict};
pub use self::units::Units;

/// An eval version of the suite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SuiteEval {
    /// Weight, in any unit: only proportions count. An eval whose weight is not above 0 is no evidence.
    pub weight: f64,
    /// Items of the version.
    pub items: usize,
}

/// A cell that does not fit its eval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("eval {eval} of the suite has no cell of {scores} scores")]
pub struct Mismatch {
    /// Place of the eval in the suite, from 0.
    pub eval: usize,
    /// Items of the cell that was offered.
    pub scores: usize,
}

/// The tests of all pairs of models on a suite.
///
/// Building it for M models costs M^2 / 2 comparisons; after a new result only the M - 1 pairs of its model are
/// compared again. When the suite itself changes (an eval, a version, a weight) a new one is built.
///
/// How it is fast: the sum of the differences of two models is the difference of two sums that each cell
/// keeps. The sums of their powers are one pass over the units, 64 at a time where all are right or wrong. With
/// these most pairs are decided by the normal tail; differences are only looked at one by one until two sizes
/// are seen, and where a few large ones could decide.
#[derive(Debug, Clone, Default)]
pub struct Matrix {
    columns: Vec<Column>,
    models: Vec<Entrant>,
    /// For each model its pairs with those before it.
    pairs: Vec<Vec<Pair>>,
}

#[derive(Debug, Clone)]
struct Column {
    eval: SuiteEval,
    /// A cell for each model, in the order of the models.
    cells: Vec<Option<Arc<Units>>>,
}

#[derive(Debug, Clone, Copy)]
struct Entrant {
    key: ModelKey,
    /// Whether it is a yardstick rather than a contestant: see [`Standings`].
    is_baseline: bool,
    /// Whether its cells have changed since its pairs were tested.
    is_stale: bool,
}

/// Two models: the later one of the matrix minus the earlier one.
#[derive(Debug, Clone, Copy, Default)]
struct Pair {
    /// Weighted mean difference over the evals that both have.
    difference: f64,
    /// `None` where they share no item.
    test: Option<SignFlip>,
    /// Whether they were asked all the same items and have the same score on each.
    is_same: bool,
}

/// What the evals add up to for one pair.
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    weight: f64,
    evals: usize,
    sums: Sums,
}

impl Matrix {
    /// A matrix over `suite`, without models.
    #[must_use]
    pub fn new(suite: Vec<SuiteEval>) -> Self {
        let columns = suite.into_iter().map(|eval| Column { eval, cells: Vec::new() }).collect();
        Self { columns, ..Self::default() }
    }

    /// Puts in, or replaces, the scores of `model` on the eval at place `eval` of the suite. All cells of an
    /// eval have to be made with the same clusters.
    ///
    /// # Errors
    ///
    /// When the suite has no such eval, or the eval another number of items; then nothing has changed.
    pub fn put(&mut self, model: ModelKey, eval: usize, units: Arc<Units>) -> Result<(), Mismatch> {
        let mismatch = Mismatch { eval, scores: units.items() };
        self.columns.get(eval).filter(|column| column.eval.items == units.items()).ok_or(mismatch)?;
        let place = self.place(model).unwrap_or_else(|| self.enter(model));
        let cell = self.columns.get_mut(eval).and_then(|column| column.cells.get_mut(place));
        *cell.ok_or(mismatch)? = Some(units);
        if let Some(entrant) = self.models.get_mut(place) {
            entrant.is_stale = true;
        }
        Ok(())
    }

    /// Says whether `model` is a baseline: one that is compared with everybody and corrected for by nobody, see
    /// [`Standings`]. No model is one unless it is said so. Nothing happens when it is not there.
    pub fn mark_baseline(&mut self, model: ModelKey, is_baseline: bool) {
        if let Some(entrant) = self.models.iter_mut().find(|entrant| entrant.key == model) {
            entrant.is_baseline = is_baseline;
        }
    }

    /// Takes a model out, such as one that is no longer ranked. Nothing happens when it is not there.
    pub fn remove(&mut self, model: ModelKey) {
        let Some(place) = self.place(model) else { return };
        self.models.remove(place);
        self.pairs.remove(place);
        for later in self.pairs.iter_mut().skip(place) {
            later.remove(place);
        }
        for column in &mut self.columns {
            column.cells.remove(place);
        }
    }

    /// Brings the tests up to date and corrects them for the number of pairs.
    pub fn standings(&mut self) -> Standings {
        self.refresh();
        Standings::new(&self.models, &self.pairs)
    }

    fn place(&self, model: ModelKey) -> Option<usize> {
        self.models.iter().position(|entrant| entrant.key == model)
    }

    fn enter(&mut self, key: ModelKey) -> usize {
        let place = self.models.len();
        self.models.push(Entrant { key, is_baseline: false, is_stale: true });
        self.pairs.push(vec![Pair::default(); place]);
        for column in &mut self.columns {
            column.cells.push(None);
        }
        place
    }

    /// Tests every pair with a stale model again. Sums are taken eval by eval, so that the cells of one eval
    /// stay in the processor's cache while all pairs read them.
    fn refresh(&mut self) {
        let stale = self.stale_pairs();
        let mut moments = vec![Moments::default(); stale.len()];
        for column in self.columns.iter().filter(|column| column.eval.is_evidence()) {
            for ((later, earlier), moments) in stale.iter().zip(&mut moments) {
                if let Some((a, b)) = column.both(*later, *earlier) {
                    moments.add(&column.eval, a, b);
                }
            }
        }
        for ((later, earlier), moments) in stale.iter().zip(moments) {
            let pair = self.test(*later, *earlier, moments);
            if let Some(place) = self.pairs.get_mut(*later).and_then(|pairs| pairs.get_mut(*earlier)) {
                *place = pair;
            }
        }
        for entrant in &mut self.models {
            entrant.is_stale = false;
        }
    }

    fn stale_pairs(&self) -> Vec<(usize, usize)> {
        let entrants = || self.models.iter().enumerate();
        let earlier = |(later, entrant): (usize, &Entrant)| {
            let is_stale = entrant.is_stale;
            let stale = entrants().take(later).filter(move |(_, earlier)| is_stale || earlier.is_stale);
            stale.map(move |(earlier, _)| (later, earlier)).collect::<Vec<_>>()
        };
        entrants().flat_map(earlier).collect()
    }

    fn test(&self, later: usize, earlier: usize, moments: Moments) -> Pair {
        if moments.weight == 0.0 {
            return Pair::default();
        }
        let evidence = || self.columns.iter().filter(|column| column.eval.is_evidence());
        let test = moments.sums.test(|visit| {
            let _ = evidence().try_for_each(|column| match column.both(later, earlier) {
                Some((a, b)) => a.each_lot(b, column.eval.share(), visit),
                None => ControlFlow::Continue(()),
            });
        });
        Pair {
            difference: moments.sums.sum / moments.weight,
            test: Some(test),
            is_same: moments.sums.units == 0.0 && moments.evals == evidence().count(),
        }
    }
}

impl SuiteEval {
    fn is_evidence(&self) -> bool {
        self.weight > 0.0 && self.items > 0
    }

    /// What an item of this eval weighs.
    fn share(&self) -> f64 {
        self.weight / count(self.items)
    }
}

impl Column {
    /// The cells of two models, where both have one.
    fn both(&self, one: usize, other: usize) -> Option<(&Units, &Units)> {
        self.cells.get(one)?.as_deref().zip(self.cells.get(other)?.as_deref())
    }
}

impl Moments {
    fn add(&mut self, eval: &SuiteEval, a: &Units, b: &Units) {
        self.weight += eval.weight;
        self.evals += 1;
        self.sums.add(eval.share(), &a.sums(b));
    }
}

#[cfg(test)]
mod simulations;
#[cfg(test)]
mod tests;
