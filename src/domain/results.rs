//! A result: a model x eval cell of a run, the aggregate of its cases.
//!
//! Pure rules: how cases become one score, and when a cell counts as measured.

use super::id::{
    EvalId, EvalKey, ModelId, ModelKey, ResultId, ResultKey, RevisionKey, RunId, RunKey, UserKey, VersionKey,
};
use super::stats::{self, Measure, Reducer};
use super::time::Millis;
use crate::error::{Error, Result};

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
    /// Mean score, 0 to 1; none while nothing is scored.
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
}

/// What a finished cell amounts to.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    /// Complete or incomplete.
    pub state: ResultState,
    /// Mean and its uncertainty; none when nothing was measured.
    pub summary: Option<stats::Summary>,
    /// One score per sample, packed.
    pub item_scores: Vec<u8>,
    /// Median latency in milliseconds.
    pub latency_p50_ms: Option<f64>,
}

/// How the scores of a cell are brought together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// What the scorer can give.
    pub measure: Measure,
    /// How the epochs of a sample become one score.
    pub reducer: Reducer,
    /// From which score on an epoch solves its sample, above 0 up to 1.
    pub pass_threshold: f64,
}

/// Brings the cases of a finished cell to one score. `samples` and `epochs` are what was planned: what is
/// missing of it counts as wrong in a complete cell and is left out of an incomplete one, whose score has no
/// interval.
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
            let scores: Vec<f64> = items.iter().map(|item| item.unwrap_or(0.0)).collect();
            stats::summarise(&scores, clusters(cases, samples).as_deref(), rules.measure)
        }
        _ => mean_of_measured(&rules.of_measured(&measured_epochs)),
    };
    Aggregate { state, summary, item_scores: pack(&items), latency_p50_ms: stats::percentile(&latencies, 50) }
}

impl EvalResult {
    /// The score if what is missing were wrong, and if it were right; none where epochs are not averaged: how
    /// far one case moves such a score depends on the others of its sample.
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
        let mut scores = measured.to_vec();
        scores.resize(epochs.max(measured.len()), 0.0);
        self.reducer.reduce(&scores, self.pass_threshold)
    }

    /// What the mean of an incomplete cell is over: every case where epochs are averaged anyway, else the
    /// samples of which enough was measured.
    fn of_measured(self, samples: &[Vec<f64>]) -> Vec<f64> {
        if self.reducer == Reducer::Mean {
            return samples.concat();
        }
        samples.iter().filter_map(|scores| self.reducer.reduce(scores, self.pass_threshold)).collect()
    }
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

fn mean_of_measured(scores: &[f64]) -> Option<stats::Summary> {
    let mean = stats::summarise(scores, None, Measure::Continuous)?.mean;
    Some(stats::Summary {
        mean,
        stderr: None,
        interval: None,
        method: None,
        items: scores.len(),
        clusters: None,
    })
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

    const RULES: Rules = Rules { measure: Measure::Binary, reducer: Reducer::Mean, pass_threshold: 1.0 };

    fn case(position: i64, score: Option<f64>) -> CaseScore {
        CaseScore { position, cluster: None, score, latency_ms: Some(100) }
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
    fn three_missing_in_a_hundred_make_it_incomplete_with_the_mean_of_what_was_measured() {
        let mut cases: Vec<CaseScore> = (0..97).map(|at| case(at, Some(1.0))).collect();
        cases.extend((97..100).map(|at| case(at, None)));
        let aggregate = aggregate(&cases, 100, 1, RULES);
        assert_eq!(aggregate.state, ResultState::Incomplete);
        let summary = aggregate.summary.unwrap();
        assert!((summary.mean - 1.0).abs() < 1e-12);
        assert_eq!(summary.interval, None);
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
    fn a_missing_epoch_is_wrong_in_a_complete_cell_and_left_out_of_an_incomplete_one() {
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
        assert_eq!(incomplete.state, ResultState::Incomplete);
        let summary = incomplete.summary.unwrap();
        assert_eq!((summary.mean, summary.items), (1.0, 47));
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
