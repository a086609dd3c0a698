//! The leaderboard: what its rows and columns are, which evals count, and what a question about it may change.
//!
//! Pure rules over the latest complete results. Which ranks a paired test can tell apart is decided in
//! [`Matrix`](super::stats::Matrix) and only written into the rows here.

mod attempts;
mod moment;
mod pool;
mod ranking;
mod suite;
mod weights;

use std::collections::HashMap;

use super::direction::Direction;
use super::id::{EvalId, EvalKey, ModelId, ModelKey, ResultId, ResultKey, VersionKey};
use super::results::CostSpread;
use super::stats::{ErrorBounds, Interval, RankRange, Standings, SuiteSummary};
use super::time::Millis;
use crate::error::{Error, Result};

pub use self::attempts::{Attempts, AttemptsByCell, Later};
pub use self::moment::{day_of, read_moment};
pub use self::pool::read_pool;
pub use self::ranking::rank;
pub use self::suite::{Candidate, Change, Suite};
pub use self::weights::{Weights, shares};

/// Days over which [`Board::looks`] counts.
pub const LOOKS_DAYS: i64 = 30;
/// The least share of the largest weight that a given weight may be.
const MIN_WEIGHT_SHARE: f64 = 1e-6;

/// A model as the board names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelLine {
    /// Table key.
    pub key: ModelKey,
    /// Public id.
    pub id: ModelId,
    /// Its name.
    pub name: String,
    /// Who serves it.
    pub provider: Option<String>,
    /// Whether the operator vouches for it.
    pub is_official: bool,
    /// Whether its weights can be had.
    pub open_weights: Option<bool>,
    /// Whether it is one of the built-in ones: a yardstick that the tests of other models are not corrected for.
    pub is_baseline: bool,
}

/// The latest complete result of a model on an eval. Its score, interval and bounds are what they count as: see
/// [`Direction`].
#[derive(Debug, Clone, PartialEq)]
pub struct BoardCell {
    /// The model.
    pub model: ModelKey,
    /// The eval.
    pub eval: EvalKey,
    /// The eval's public id.
    pub eval_id: EvalId,
    /// The eval's name.
    pub eval_name: String,
    /// The heading it is grouped under.
    pub category: Option<String>,
    /// Which way the eval's scores are better.
    pub direction: Direction,
    /// The version of the eval.
    pub version: VersionKey,
    /// Its share relative to the others.
    pub weight: f64,
    /// The same as its owner set it.
    pub own_weight: f64,
    /// Whether it counts for the ranking: this version of the eval is in the suite, and its weight is not 0.
    pub counts: bool,
    /// Whether this version of the eval is not in the suite.
    pub is_provisional: bool,
    /// The result behind it.
    pub result: ResultId,
    /// Its table key.
    pub result_key: ResultKey,
    /// Mean of what the items count as, 0 to 1.
    pub score: f64,
    /// Mean of the scores as they were given, 0 to 1.
    pub raw_score: f64,
    /// Standard error of the mean.
    pub stderr: Option<f64>,
    /// 95 % interval.
    pub interval: Option<Interval>,
    /// How the interval was made.
    pub ci_method: Option<String>,
    /// Items the mean is over.
    pub items: i64,
    /// Cases that could not be measured and count as wrong.
    pub missing: i64,
    /// What the score could be, given those; none where nothing is missing, and where epochs are not averaged.
    pub bounds: Option<ErrorBounds>,
    /// What the score that guessing gets counts as, 0 to 1, where the eval says so.
    pub chance: Option<f64>,
    /// Cases that pass, over all results that it is over.
    pub passed: i64,
    /// Cases whose verdict a person overruled.
    pub overruled: i64,
    /// US dollars, over all results that it is over; none when unknown.
    pub cost_usd: Option<f64>,
    /// How that spreads over the items; none when unknown.
    pub cost_spread: Option<CostSpread>,
    /// Median latency in milliseconds.
    pub latency_p50_ms: Option<f64>,
    /// The latency that 95 % of the answers stay below, in milliseconds.
    pub latency_p95_ms: Option<f64>,
    /// Complete results that this model has had on this version.
    pub runs: i64,
    /// Results that it is over: 1, and more on a pooled board.
    pub pooled: i64,
    /// When the result was finished.
    pub at: Millis,
}

/// A column of the board.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// The eval.
    pub key: EvalKey,
    /// Its public id.
    pub id: EvalId,
    /// Its name.
    pub name: String,
    /// The version that counts, or would.
    pub version: VersionKey,
    /// Its share relative to the others.
    pub weight: f64,
    /// The same as its owner set it.
    pub own_weight: f64,
    /// Items of that version.
    pub items: i64,
    /// Which way its scores are better.
    pub direction: Direction,
    /// What the score that guessing gets counts as, 0 to 1, where the eval says so.
    pub chance: Option<f64>,
    /// Whether it counts for the ranking.
    pub counts: bool,
    /// Whether it does not count because too few models have it; else it was given a weight of 0.
    pub is_provisional: bool,
}

/// A row of the board.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The model.
    pub model: ModelLine,
    /// Position by mean among the models that hold the whole suite; none below the line.
    pub rank: Option<i64>,
    /// The ranks that paired tests leave open; none below the line, and before [`Board::judge`].
    pub range: Option<RankRange>,
    /// Its tie group from 1, see [`tie_groups`](super::stats::tie_groups); none as the range.
    pub tie_group: Option<usize>,
    /// Weighted mean over the suite cells it holds; none when it holds none.
    pub summary: Option<SuiteSummary>,
    /// How the interval was made.
    pub ci_method: Option<String>,
    /// Suite cells it holds.
    pub measured: i64,
    /// Evals in the suite.
    pub suite: i64,
    /// The same mean where what guessing gets is 0 and all right stays 1, on the evals that say what guessing gets; none
    /// where none of them does.
    pub above_chance: Option<f64>,
    /// Mean share of the other ranked models that it scores higher than on an eval, 0 to 1, an equal score counting
    /// half; none below the line. It depends on who else is ranked.
    pub win_rate: Option<f64>,
    /// Cases of those cells that could not be measured.
    pub errors: i64,
    /// What the mean could be, given those; none where nothing is missing, and where a part of it is unknown.
    pub bounds: Option<ErrorBounds>,
    /// What those cells cost in US dollars; none when any part is unknown.
    pub cost_usd: Option<f64>,
    /// The same per passed case; none when unknown or nothing passed.
    pub cost_per_solved: Option<f64>,
    /// Standard error of `cost_per_solved`; none when unknown.
    pub cost_per_solved_stderr: Option<f64>,
    /// Median over those cells of their median latencies, in milliseconds.
    pub latency_p50_ms: Option<f64>,
    /// Median over those cells of their 95th percentiles, in milliseconds.
    pub latency_p95_ms: Option<f64>,
    /// The most complete results that it has had on one of those evals.
    pub runs: i64,
    /// The most results that one of its cells is over: 1, and more on a pooled board.
    pub pooled: i64,
    /// When the latest of its results was finished.
    pub last_run_at: Millis,
    /// Its cells in the order of the columns.
    pub cells: Vec<Option<BoardCell>>,
}

/// The latest result of a model on an eval that it has no complete result on: too much of it is missing for a score.
#[derive(Debug, Clone, PartialEq)]
pub struct Incomplete {
    /// The result.
    pub result: ResultId,
    /// Cases with a score.
    pub scored: i64,
    /// Cases planned.
    pub planned: i64,
    /// What the score could be, as it counts; none where epochs are not averaged.
    pub bounds: Option<ErrorBounds>,
    /// When it was finished.
    pub at: Millis,
}

impl Incomplete {
    /// Whether anything was scored.
    #[must_use]
    pub const fn has_scores(&self) -> bool {
        self.scored > 0
    }
}

/// Incomplete results, by model and eval.
pub type Gaps = HashMap<(ModelKey, EvalKey), Incomplete>;

/// An incomplete result with what the board shows of its eval.
#[derive(Debug, Clone, PartialEq)]
pub struct GapCell {
    /// The model.
    pub model: ModelKey,
    /// The eval's column, should nobody have a complete result on it.
    pub column: Column,
    /// The heading that the eval is grouped under.
    pub category: Option<String>,
    /// The result.
    pub gap: Incomplete,
}

/// The ranked board.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Board {
    /// The evals, those of the suite first, each part by name.
    pub columns: Vec<Column>,
    /// Ranked rows best first, then those below the line.
    pub rows: Vec<Row>,
    /// What the tests of all pairs came to; none while fewer than two models are ranked, and before
    /// [`Board::judge`].
    pub tests: Option<Tests>,
    /// What stands where a cell is missing because its result is incomplete. It counts for nothing.
    pub gaps: Gaps,
    /// The runs behind the cells, finished or not; empty on a past board.
    pub attempts: AttemptsByCell,
    /// Runs that ranked the board anew in the [`LOOKS_DAYS`] days up to its latest result.
    pub looks: i64,
}

/// The tests of all pairs of ranked models, as one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tests {
    /// Models that were compared, 2 or more.
    pub models: usize,
    /// Different models that the tests are corrected for: baselines are not among them, and models that agree on
    /// every item are one.
    pub contestants: usize,
    /// Whether none of them are told apart.
    pub all_tied: bool,
    /// Whether that is because no two disagree on enough items for any outcome to pass the correction.
    pub too_few_items: bool,
}

/// Which evals and which moment the question is about. It changes means and ranks, unlike a filter that hides
/// rows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scope {
    /// Only this eval.
    pub eval: Option<EvalId>,
    /// Only evals under this heading.
    pub category: Option<String>,
    /// In place of the evals' own weights.
    pub weights: Weights,
    /// The board as it stood then; as it stands when none.
    pub as_of: Option<Millis>,
    /// Whether all complete results of a revision on a version are pooled, not only the latest.
    pub is_pooled: bool,
}

impl Scope {
    fn admits(&self, eval: &EvalId, category: Option<&String>) -> bool {
        self.eval.as_ref().is_none_or(|own| own == eval)
            && (self.category.is_none() || self.category.as_ref() == category)
    }

    /// Refuses what cannot be asked together.
    ///
    /// # Errors
    /// `Invalid` naming `pool`.
    pub fn check(&self) -> Result<()> {
        if self.is_pooled && self.as_of.is_some() {
            return Err(Error::invalid(
                "pool",
                "pool must be left out beside as_of: a past board is not pooled",
            ));
        }
        Ok(())
    }

    /// The cell with the weight that it has in this scope.
    fn weigh(&self, mut cell: BoardCell) -> BoardCell {
        cell.weight = self.weights.of(&cell.eval_id).unwrap_or(cell.own_weight);
        cell.counts &= cell.weight > 0.0;
        cell
    }
}

impl Board {
    /// The rows with a rank, best first.
    pub fn ranked(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.rank.is_some())
    }

    /// Refuses weights that leave no eval of the suite to rank by.
    ///
    /// # Errors
    /// `Invalid` naming `weights`.
    pub fn check_weights(&self) -> Result<()> {
        let mut suite = self.columns.iter().filter(|column| !column.is_provisional).peekable();
        if suite.peek().is_some() && suite.all(|column| !column.counts) {
            let message = "weights must leave at least one eval with a weight above 0";
            return Err(Error::invalid("weights", message));
        }
        Ok(())
    }

    /// Refuses weights of which one is so small beside another that its eval as good as does not count.
    ///
    /// # Errors
    /// `Invalid` naming `weights`.
    pub fn check_spread(&self) -> Result<()> {
        let weights = || self.columns.iter().filter(|column| column.counts).map(|column| column.weight);
        let largest = weights().fold(0.0, f64::max);
        if weights().all(|weight| weight >= MIN_WEIGHT_SHARE * largest) {
            return Ok(());
        }
        let message = "weights must be 0, or at least 0.000001 of the largest weight of an eval that counts";
        Err(Error::invalid("weights", message))
    }

    /// Writes into the ranked rows what the tests of all pairs of them came to.
    pub fn judge(&mut self, standings: &Standings) {
        let keys: Vec<ModelKey> = self.ranked().map(|row| row.model.key).collect();
        let groups = standings.groups(&keys);
        for (row, group) in self.rows.iter_mut().filter(|row| row.rank.is_some()).zip(groups) {
            row.range = standings.range(row.model.key);
            row.tie_group = Some(group);
        }
        let is_open = |row: &Row| row.range == Some(RankRange { low: 1, high: keys.len() });
        self.tests = (keys.len() > 1).then(|| Tests {
            models: keys.len(),
            contestants: standings.contestants(),
            all_tied: self.ranked().all(is_open),
            too_few_items: standings.cannot_separate(),
        });
    }
}

#[cfg(test)]
mod tests;
