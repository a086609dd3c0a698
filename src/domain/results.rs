//! A result: a model x eval cell of a run, the aggregate of its cases.
//!
//! Pure rules: how cases become one score, and when a cell counts as measured.

mod cost_spread;

use super::direction::{Direction, PassMark};
use super::id::{
    EvalId, EvalKey, ModelId, ModelKey, ResultId, ResultKey, RevisionKey, RunId, RunKey, UserKey, VersionKey,
};
use super::stats::{self, Measure, Reducer};
use super::time::Millis;
use crate::error::{Error, Result};

pub use self::cost_spread::{CostSpread, Spend, cost_stderr};

/// A cell counts when at most this share of its cases could not be measured: 2 in 100.
const ALLOWED_MISSING: (i64, i64) = (2, 100);

/// Where a result stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultState {
    /// Cases are still coming.
    Running,
    /// At least 98 % of its cases were measured: it counts.
    Complete,
    /// Fewer were: it is shown with its bounds and never ranked.
    Incomplete,
}

impl ResultState {
    /// The word in the tables and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Complete => "complete",
            Self::Incomplete => "incomplete",
        }
    }

    /// The state of that word.
    ///
    /// # Errors
    /// `Internal`: only tables are read with this.
    pub fn parse(word: &str) -> Result<Self> {
        match word {
            "running" => Ok(Self::Running),
            "complete" => Ok(Self::Complete),
            "incomplete" => Ok(Self::Incomplete),
            _ => Err(Error::internal(format!("unknown result state {word}"))),
        }
    }

    /// The state of a finished cell of which `measured` of `planned` cases have a score.
    #[must_use]
    pub const fn of_finished(measured: i64, planned: i64) -> Self {
        let (share, whole) = ALLOWED_MISSING;
        let missing = planned - measured;
        if measured > 0 && missing * whole <= planned * share { Self::Complete } else { Self::Incomplete }
    }
}

/// A stored result.
#[derive(Debug, Clone, PartialEq)]
pub struct EvalResult {
    /// Table key.
    pub key: ResultKey,
    /// Public id.
    pub id: ResultId,
    /// The run's table key.
    pub run_key: RunKey,
    /// The run.
    pub run: RunId,
    /// Whether cases of its run may still come.
    pub run_is_open: bool,
    /// The model.
    pub model: ModelId,
    /// The model's table key.
    pub model_key: ModelKey,
    /// The model's present name.
    pub model_name: String,
    /// Whose the model is.
    pub model_owner: UserKey,
    /// The eval.
    pub eval: EvalId,
    /// The eval's table key.
    pub eval_key: EvalKey,
    /// The eval's present name.
    pub eval_name: String,
    /// Whose the eval is.
    pub eval_owner: UserKey,
    /// Whether the eval's targets are withheld.
    pub hidden_targets: bool,
    /// Which way the eval's scores are better.
    pub direction: Direction,
    /// The model's revision, by hash.
    pub model_revision: String,
    /// Its table key.
    pub revision_key: RevisionKey,
    /// The eval's version, by number.
    pub eval_version: i64,
    /// Its table key.
    pub version_key: VersionKey,
    /// Where it stands.
    pub state: ResultState,
    /// `run_here`, `imported` or `self_reported`.
    pub provenance: String,
    /// Counters of its cases.
    pub counts: Counts,
    /// Of how many cases a person overruled the verdict.
    pub overruled: i64,
    /// Of how many cases the texts were removed.
    pub removed: i64,
    /// Sum of the scores of the scored cases.
    pub score_sum: f64,
    /// Mean score, 0 to 1; none unless it is complete.
    pub score: Option<f64>,
    /// Standard error of the mean.
    pub stderr: Option<f64>,
    /// 95 % interval.
    pub interval: Option<stats::Interval>,
    /// How the interval was made.
    pub ci_method: Option<String>,
    /// Items that the mean is over.
    pub item_count: i64,
    /// Clusters among them.
    pub cluster_count: Option<i64>,
    /// How often each sample was asked.
    pub epochs: i64,
    /// How epochs became one score.
    pub reducer: String,
    /// Mean latency in milliseconds, rounded; 0 when nothing answered.
    pub latency_ms: i64,
    /// Median latency in milliseconds; none unless it is complete.
    pub latency_p50_ms: Option<f64>,
    /// The latency that 95 % of the answers stay below, in milliseconds; none unless it is complete.
    pub latency_p95_ms: Option<f64>,
    /// Input tokens, cached ones included; none when unknown.
    pub input_tokens: Option<i64>,
    /// Output tokens, reasoning included; none when unknown.
    pub output_tokens: Option<i64>,
    /// US dollars; none when any part is unknown.
    pub cost_usd: Option<f64>,
    /// What went wrong, such as `3 of 200 failed: provider_timeout`.
    pub error: Option<String>,
    /// When its first case was recorded.
    pub created_at: Millis,
    /// The earlier result whose answers were scored again for it; none where the model was asked.
    pub rescored_from: Option<ResultId>,
}

/// Counters of a result's cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Cases planned.
    pub planned: i64,
    /// Cases recorded.
    pub cases: i64,
    /// With a score.
    pub scored: i64,
    /// Answered, and our instrument failed.
    pub unscored: i64,
    /// Without an answer.
    pub errors: i64,
    /// Scored at or above the pass threshold.
    pub passed: i64,
}

/// The score of one case of a finished cell.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseScore {
    /// Position of its sample, from 0.
    pub position: i64,
    /// The sample's cluster.
    pub cluster: Option<String>,
    /// None when it could not be measured.
    pub score: Option<f64>,
    /// Latency in milliseconds.
    pub latency_ms: Option<i64>,
    /// What it cost in US dollars, what is known of it where there is no answer; none when unknown.
    pub cost_usd: Option<f64>,
}

/// What a finished cell amounts to.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    /// Complete or incomplete.
    pub state: ResultState,
    /// Mean and its uncertainty; none unless it is complete.
    pub summary: Option<stats::Summary>,
    /// One score per sample, packed.
    pub item_scores: Vec<u8>,
    /// Cases that pass.
    pub passed: i64,
    /// Median latency in milliseconds.
    pub latency_p50_ms: Option<f64>,
    /// The latency that 95 % of the answers stay below, in milliseconds.
    pub latency_p95_ms: Option<f64>,
    /// How the costs spread over the items; none when a cost is unknown.
    pub cost_spread: Option<CostSpread>,
    /// Variance between the epochs of one item, the mean over items; none unless every item has two or more.
    pub within_variance: Option<f64>,
}

/// How the scores of a cell are brought together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// What the scorer can give.
    pub measure: Measure,
    /// How the epochs of a sample become one score.
    pub reducer: Reducer,
    /// From which score on an epoch solves its sample.
    pub pass: PassMark,
}

/// Brings the cases of a finished cell to one score. `samples` and `epochs` are what was planned: what is
/// missing of it counts as wrong in a complete cell, and an incomplete one has no score.
#[must_use]
pub fn aggregate(cases: &[CaseScore], samples: usize, epochs: usize, rules: Rules) -> Aggregate {
    let measured = cases.iter().filter(|case| case.score.is_some()).count();
    let planned = samples.saturating_mul(epochs);
    let state = ResultState::of_finished(to_i64(measured), to_i64(planned));
    let measured_epochs = by_sample(cases, samples);
    let items: Vec<Option<f64>> = measured_epochs.iter().map(|scores| rules.item(scores, epochs)).collect();
    let latencies: Vec<f64> = cases.iter().filter_map(|case| case.latency_ms).map(to_f64).collect();
    let summary = match state {
        ResultState::Complete => {
            let scores: Vec<f64> = items.iter().map(|item| item.unwrap_or_else(|| rules.wrong())).collect();
            stats::summarise(&scores, clusters(cases, samples).as_deref(), rules.measure)
        }
        _ => None,
    };
    Aggregate {
        state,
        summary,
        item_scores: pack(&items),
        passed: to_i64(cases.iter().filter(|case| rules.passes(case)).count()),
        latency_p50_ms: stats::percentile(&latencies, 50),
        latency_p95_ms: stats::percentile(&latencies, 95),
        cost_spread: cost_spread(cases, samples, rules),
        within_variance: stats::split_variance(&measured_epochs).map(|parts| parts.within),
    }
}

impl EvalResult {
    /// The lowest and the highest score that it can have, what is missing being 0 or 1; none where epochs are not
    /// averaged: how far one case moves such a score depends on the others of its sample.
    #[must_use]
    pub fn bounds(&self) -> Option<(f64, f64)> {
        if self.is_average() { bounds(self.score_sum, &self.counts) } else { None }
    }

    /// The mean of what was scored so far; none while nothing is, and where epochs are not averaged.
    #[must_use]
    pub fn running_mean(&self) -> Option<f64> {
        let scored = Some(self.counts.scored).filter(|scored| *scored > 0 && self.is_average());
        scored.map(|scored| self.score_sum / to_f64(scored))
    }

    fn is_average(&self) -> bool {
        self.epochs <= 1 || self.reducer == Reducer::Mean.to_string()
    }
}

fn bounds(score_sum: f64, counts: &Counts) -> Option<(f64, f64)> {
    let measured = usize::try_from(counts.scored).ok()?;
    let total = usize::try_from(counts.planned).ok()?;
    stats::error_bounds(score_sum, measured, total).map(|bounds| (bounds.if_wrong, bounds.if_right))
}

/// The scores of each sample's epochs, as far as they were measured.
fn by_sample(cases: &[CaseScore], samples: usize) -> Vec<Vec<f64>> {
    let mut scores = vec![Vec::new(); samples];
    for case in cases {
        let slot = usize::try_from(case.position).ok().and_then(|position| scores.get_mut(position));
        if let (Some(slot), Some(score)) = (slot, case.score) {
            slot.push(score);
        }
    }
    scores
}

impl Rules {
    /// The score of a sample, a missing epoch counting as wrong; none when all are missing.
    fn item(self, measured: &[f64], epochs: usize) -> Option<f64> {
        if measured.is_empty() {
            return None;
        }
        let direction = self.pass.direction;
        let mut scores: Vec<f64> = measured.iter().map(|score| direction.counted(*score)).collect();
        scores.resize(epochs.max(measured.len()), 0.0);
        self.reducer.reduce(&scores, self.pass.threshold).map(|score| direction.counted(score))
    }

    /// The score of what is missing.
    fn wrong(self) -> f64 {
        self.pass.direction.counted(0.0)
    }

    fn passes(self, case: &CaseScore) -> bool {
        case.score.is_some_and(|score| self.pass.passes(score))
    }
}

/// How costs spread over the samples; none when a case's cost is unknown.
fn cost_spread(cases: &[CaseScore], samples: usize, rules: Rules) -> Option<CostSpread> {
    let mut items = vec![(0.0, 0.0); samples];
    for case in cases {
        let cost = case.cost_usd?;
        if let Some(item) = usize::try_from(case.position).ok().and_then(|at| items.get_mut(at)) {
            item.0 += cost;
            item.1 += if rules.passes(case) { 1.0 } else { 0.0 };
        }
    }
    Some(CostSpread::over(&items))
}

/// The cluster numbers of the samples of a finished cell; none when no sample names a cluster.
fn clusters(cases: &[CaseScore], samples: usize) -> Option<Vec<u64>> {
    let mut names = vec![None; samples];
    for case in cases {
        let position = usize::try_from(case.position).ok();
        if let Some(slot) = position.and_then(|at| names.get_mut(at)) {
            *slot = case.cluster.as_deref();
        }
    }
    cluster_numbers(&names)
}

/// A number per sample that samples of one cluster share, from the clusters they name; one that names none has
/// a number of its own. None when no sample names a cluster.
#[must_use]
pub fn cluster_numbers(names: &[Option<&str>]) -> Option<Vec<u64>> {
    let mut first = std::collections::HashMap::new();
    let own = (0..).zip(names);
    let numbers = own.map(|(own, name)| name.map_or(own, |name| *first.entry(name).or_insert(own))).collect();
    (!first.is_empty()).then_some(numbers)
}

/// The packed form of item scores: little-endian 64-bit floats by position, NaN where nothing was measured.
#[must_use]
pub fn pack(items: &[Option<f64>]) -> Vec<u8> {
    items.iter().flat_map(|item| item.unwrap_or(f64::NAN).to_le_bytes()).collect()
}

/// Reads what [`pack`] made; none for bytes that it cannot have made.
#[must_use]
pub fn unpack(bytes: &[u8]) -> Option<Vec<Option<f64>>> {
    let (items, rest) = bytes.as_chunks::<8>();
    let item = |bytes: &[u8; 8]| Some(f64::from_le_bytes(*bytes)).filter(|score| !score.is_nan());
    rest.is_empty().then(|| items.iter().map(item).collect())
}

fn to_i64(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "counts and milliseconds are far below 2^53"
)]
fn to_f64(number: i64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASS: PassMark = PassMark { threshold: 1.0, direction: Direction::Higher };
    const RULES: Rules = Rules { measure: Measure::Binary, reducer: Reducer::Mean, pass: PASS };
    const LOWER: Rules = Rules { pass: PassMark { direction: Direction::Lower, ..PASS }, ..RULES };

    fn case(position: i64, score: Option<f64>) -> CaseScore {
        CaseScore { position, cluster: None, score, latency_ms: Some(100), cost_usd: Some(0.5) }
    }

    #[test]
    fn two_in_a_hundred_may_be_missing_and_then_count_as_wrong() {
        let mut cases: Vec<CaseScore> = (0..98).map(|at| case(at, Some(1.0))).collect();
        cases.extend([case(98, None), case(99, None)]);
        let aggregate = aggregate(&cases, 100, 1, RULES);
        assert_eq!(aggregate.state, ResultState::Complete);
        assert!((aggregate.summary.unwrap().mean - 0.98).abs() < 1e-12);
    }

    #[test]
    fn three_missing_in_a_hundred_leave_bounds_and_no_score() {
        let mut cases: Vec<CaseScore> = (0..97).map(|at| case(at, Some(1.0))).collect();
        cases.extend((97..100).map(|at| case(at, None)));
        let aggregate = aggregate(&cases, 100, 1, RULES);
        assert_eq!(aggregate.state, ResultState::Incomplete);
        assert_eq!(aggregate.summary, None);
        let counts = Counts { planned: 100, scored: 97, ..Counts::default() };
        assert_eq!(bounds(97.0, &counts), Some((0.97, 1.0)));
    }

    #[test]
    fn nothing_measured_is_no_score_at_all() {
        let aggregate = aggregate(&[case(0, None)], 1, 1, RULES);
        assert_eq!((aggregate.state, aggregate.summary), (ResultState::Incomplete, None));
    }

    #[test]
    fn the_item_is_the_unit_and_not_the_epoch() {
        let scores = [[1.0, 1.0, 0.0], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 0.0]];
        let cases: Vec<CaseScore> = scores
            .iter()
            .zip(0..)
            .flat_map(|(epochs, at)| epochs.iter().map(move |score| case(at, Some(*score))))
            .collect();
        let summary =
            aggregate(&cases, 4, 3, Rules { measure: Measure::Continuous, ..RULES }).summary.unwrap();
        assert_eq!(summary.items, 4);
        assert!((summary.stderr.unwrap() - 0.215_166).abs() < 1e-6);
    }

    #[test]
    fn a_missing_epoch_is_wrong_in_a_complete_cell() {
        let rules = Rules { reducer: Reducer::PassAt(2), ..RULES };
        let mut cases: Vec<CaseScore> =
            (0..50).flat_map(|at| [case(at, Some(1.0)), case(at, Some(0.0))]).collect();
        cases[99].score = None;
        let complete = aggregate(&cases, 50, 2, rules);
        assert_eq!((complete.state, complete.summary.unwrap().mean), (ResultState::Complete, 1.0));
        for lost in [95, 97, 98] {
            cases[lost].score = None;
        }
        let incomplete = aggregate(&cases, 50, 2, rules);
        assert_eq!((incomplete.state, incomplete.summary), (ResultState::Incomplete, None));
    }

    #[test]
    fn missing_counts_against_the_model_where_lower_is_better() {
        let mut cases: Vec<CaseScore> = (0..98).map(|at| case(at, Some(0.0))).collect();
        cases.extend([case(98, None), case(99, None)]);
        let aggregate = aggregate(&cases, 100, 1, LOWER);
        assert!((aggregate.summary.unwrap().mean - 0.02).abs() < 1e-12);
        assert_eq!((aggregate.passed, aggregate.state), (98, ResultState::Complete));
    }

    #[test]
    fn epochs_are_solved_by_low_scores_where_lower_is_better() {
        let cases = [case(0, Some(1.0)), case(0, Some(0.0)), case(1, Some(1.0)), case(1, Some(1.0))];
        let reduced = |reducer| {
            let rules = Rules { reducer, ..LOWER };
            unpack(&aggregate(&cases, 2, 2, rules).item_scores).unwrap()
        };
        assert_eq!(reduced(Reducer::PassAt(2)), [Some(0.0), Some(1.0)]);
        assert_eq!(reduced(Reducer::Max), [Some(0.0), Some(1.0)]);
        assert_eq!(reduced(Reducer::Mean), [Some(0.5), Some(1.0)]);
    }

    #[test]
    fn latency_cost_and_noise_are_kept_beside_the_score() {
        let mut cases: Vec<CaseScore> =
            (0..20).flat_map(|at| [case(at, Some(1.0)), case(at, Some(0.0))]).collect();
        cases[39].latency_ms = Some(900);
        let kept = aggregate(&cases, 20, 2, RULES);
        assert_eq!((kept.latency_p50_ms, kept.latency_p95_ms, kept.passed), (Some(100.0), Some(100.0), 20));
        assert_eq!(kept.within_variance, Some(0.5));
        let spread = CostSpread { costs_squared: 20.0, cost_times_passed: 20.0, passed_squared: 20.0 };
        assert_eq!(kept.cost_spread, Some(spread));
        cases[0].cost_usd = None;
        assert_eq!(aggregate(&cases, 20, 2, RULES).cost_spread, None);
    }

    #[test]
    fn items_of_one_cluster_share_a_number_and_others_have_their_own() {
        let named = |position, name: Option<&str>| CaseScore {
            cluster: name.map(str::to_owned),
            ..case(position, Some(1.0))
        };
        let cases = [named(0, Some("a")), named(1, None), named(2, Some("a")), named(3, Some("b"))];
        assert_eq!(clusters(&cases, 4), Some(vec![0, 1, 0, 3]));
        assert_eq!(clusters(&[named(0, None)], 1), None);
    }
    #[test]
    fn packed_scores_read_back() {
        let items = [Some(0.0), None, Some(1.0), Some(1.0 / 3.0)];
        assert_eq!(unpack(&pack(&items)).as_deref(), Some(items.as_slice()));
        assert_eq!((unpack(&[]), unpack(&[0; 9])), (Some(vec![]), None));
    }
}
