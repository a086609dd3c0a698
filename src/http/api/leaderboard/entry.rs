//! A row of the board as the API gives it.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::leaderboard::{Attempts, Board, BoardCell, Column, Incomplete, Row};
use crate::domain::stats::{self, ErrorBounds};

/// How two models are compared, and how many comparisons are corrected for.
const TEST: (&str, &str) = ("sign_flip", "holm");

/// A row of the board.
#[derive(Serialize, ToSchema)]
pub struct Entry {
    pub(super) model_id: String,
    pub(super) model_name: String,
    /// Weighted mean over the suite's evals that the model holds, 0-1; null when it holds none of them.
    pub(super) avg_score: Option<f64>,
    /// How many those are.
    pub(super) eval_count: i64,
    pub(super) last_run_at: i64,
    /// Position by mean among the models that hold the whole suite; null below the line.
    pub(super) rank: Option<i64>,
    /// Best rank that the paired tests leave open: 1 + the models significantly ahead of it; null below the line.
    pub(super) rank_low: Option<i64>,
    /// Worst rank that they leave open: the ranked models less those it is significantly ahead of.
    pub(super) rank_high: Option<i64>,
    /// From 1: a new group begins at the first row that the first row of the group before is significantly ahead
    /// of. Two models further down one group may well differ: their ranges say more. Null below the line.
    pub(super) tie_group: Option<i64>,
    /// The paired test of two ranked models on the items they share: `sign_flip`, for one right/wrong eval the
    /// same as McNemar's exact test. Null where there is nobody to compare with.
    pub(super) test: Option<&'static str>,
    /// How all pairs of ranked models are corrected for being many: `holm`.
    pub(super) correction: Option<&'static str>,
    /// From which corrected p-value down one model is ahead of another: 0.05.
    pub(super) test_level: Option<f64>,
    pub(super) ci_low: Option<f64>,
    pub(super) ci_high: Option<f64>,
    /// 0.95 where there is an interval.
    pub(super) ci_level: Option<f64>,
    pub(super) ci_method: Option<String>,
    pub(super) stderr: Option<f64>,
    pub(super) n_items: i64,
    pub(super) coverage: Coverage,
    pub(super) is_official: bool,
    pub(super) open_weights: Option<bool>,
    pub(super) provider: Option<String>,
    /// The same mean where what guessing gets is 0 and all right is 1, over the evals with a `chance_level`; null
    /// without one.
    pub(super) above_chance: Option<f64>,
    /// Mean share of the other ranked models that it scores higher than on an eval, 0-1, ties as halves; null below the
    /// line. It changes with who else is ranked, and ranks nobody.
    pub(super) win_rate: Option<f64>,
    /// Cases that could not be measured and count as wrong.
    pub(super) errors: i64,
    /// What `avg_score` could be, given those; null where there are none, or where that cannot be told.
    pub(super) bounds: Option<Bounds>,
    /// US dollars; null is unknown.
    pub(super) cost_usd: Option<f64>,
    pub(super) cost_per_solved: Option<f64>,
    /// Standard error of `cost_per_solved`, by the delta method over items; null is unknown, as of results that earlier
    /// versions of the server made.
    pub(super) cost_per_solved_stderr: Option<f64>,
    /// Median over the evals of their median latencies.
    pub(super) latency_p50_ms: Option<f64>,
    /// Median over the evals of the latencies that 95 % of the answers stay below; null is unknown.
    pub(super) latency_p95_ms: Option<f64>,
    /// Complete results of the present revision that it has had on one eval, at most.
    pub(super) runs: i64,
    /// Runs that it has had on one eval, at most, over all its revisions, finished or not; null on a past board.
    pub(super) attempts: Option<i64>,
    /// Of these the ones that ended incomplete or cancelled after at least one case was scored: on one eval, at most.
    pub(super) unfinished: Option<i64>,
    /// Whether a run later than a result that counts could not be completed.
    pub(super) later_unfinished: bool,
    /// The most complete results that one of its scores is over: 1, and more where they are pooled.
    pub(super) pooled_runs: i64,
    /// Of the board, the same in each row: runs that ranked it anew in the 30 days up to its latest result. Each is a
    /// further look at the same models, and the 5 % of the correction are for each look.
    pub(super) ranked_anew_30_days: i64,
    /// By eval id.
    pub(super) scores: BTreeMap<String, Score>,
    /// Results that too much is missing of for a score, by eval id: where there is no complete one.
    pub(super) incomplete: BTreeMap<String, Gap>,
}

/// What a score could be, given that something was not measured.
#[derive(Serialize, ToSchema)]
pub(super) struct Bounds {
    /// What is missing counted as wrong.
    if_wrong: f64,
    /// Without it; null when nothing was measured.
    if_dropped: Option<f64>,
    /// All of it counted as right.
    if_right: f64,
}

/// A result without a score.
#[derive(Serialize, ToSchema)]
pub(super) struct Gap {
    result_id: String,
    /// Cases with a score.
    scored: i64,
    planned: i64,
    bounds: Option<Bounds>,
}

/// How much of the suite a model holds.
#[derive(Serialize, ToSchema)]
pub(super) struct Coverage {
    pub(super) measured: i64,
    pub(super) suite: i64,
}

/// A model's score on one eval, as its scorer gave it.
#[derive(Serialize, ToSchema)]
pub(super) struct Score {
    pub(super) score: f64,
    pub(super) ci_low: Option<f64>,
    pub(super) ci_high: Option<f64>,
    /// False where lower scores are better: such a score counts as 1 minus itself in `avg_score` and all else.
    higher_is_better: bool,
    /// The score where what guessing gets is 0; null where the eval has no `chance_level`.
    above_chance: Option<f64>,
    result_id: String,
    /// Cases whose verdict a person overruled: `GET /api/v1/results/{id}/cases?state=overruled` lists them.
    overruled: i64,
    /// Whether it counts for nothing yet: too few models have it.
    provisional: bool,
    /// Complete results that it is over: 1, and more where they are pooled.
    pooled_runs: i64,
    /// Runs of this model on the eval's version over all its revisions, finished or not; null on a past board.
    attempts: Option<i64>,
    /// Those of them that ended incomplete or cancelled after at least one case was scored.
    unfinished: Option<i64>,
    /// A run that is later than this result and could not be completed; null without one.
    later_unfinished: Option<LaterRun>,
    /// The latency that 95 % of the answers stay below; null is unknown.
    latency_p95_ms: Option<f64>,
}

/// A run that could not be completed, later than the result that counts.
#[derive(Serialize, ToSchema)]
pub(super) struct LaterRun {
    result_id: String,
    /// The best score that it could have had; null where that cannot be told.
    best_score: Option<f64>,
    /// Whether that is worse than the score that counts.
    is_below: bool,
}

impl Entry {
    /// The entry of a row that was taken from `board`.
    pub(super) fn new(row: Row, board: &Board) -> Self {
        let Board { columns, gaps, attempts, .. } = board;
        let tried = || columns.iter().filter_map(|column| attempts.get(&(row.model.key, column.key)));
        let most = |of: fn(&Attempts) -> i64| tried().map(of).max();
        let (runs_of_all, unfinished) = (most(|own| own.runs), most(|own| own.unfinished));
        let is_later_unfinished = tried().any(|own| own.later.is_some());
        let is_tested = board.tests.is_some() && row.rank.is_some();
        let interval = row.summary.and_then(|summary| summary.interval).map(|own| own.clipped(0.0, 1.0));
        let scores = columns.iter().zip(row.cells).filter_map(|(column, cell)| {
            let cell = cell?;
            let attempts = attempts.get(&(row.model.key, column.key));
            Some((column.id.to_string(), Score::of(cell, attempts)))
        });
        let incomplete = columns.iter().filter_map(|column| {
            let gap = gaps.get(&(row.model.key, column.key))?;
            Some((column.id.to_string(), Gap::of(gap, column)))
        });
        Self {
            incomplete: incomplete.collect(),
            scores: scores.collect(),
            model_id: row.model.id.into(),
            model_name: row.model.name,
            avg_score: row.summary.map(|summary| summary.mean),
            eval_count: row.measured,
            last_run_at: row.last_run_at.0,
            rank: row.rank,
            rank_low: row.range.map(|range| to_i64(range.low)),
            rank_high: row.range.map(|range| to_i64(range.high)),
            tie_group: row.tie_group.map(to_i64),
            test: is_tested.then_some(TEST.0),
            correction: is_tested.then_some(TEST.1),
            test_level: is_tested.then_some(stats::LEVEL),
            ci_low: interval.map(|interval| interval.low),
            ci_high: interval.map(|interval| interval.high),
            ci_level: interval.map(|_| stats::CI_LEVEL),
            ci_method: row.ci_method,
            stderr: row.summary.and_then(|summary| summary.stderr),
            n_items: row.summary.map_or(0, |summary| to_i64(summary.items)),
            coverage: Coverage { measured: row.measured, suite: row.suite },
            is_official: row.model.is_official,
            open_weights: row.model.open_weights,
            provider: row.model.provider,
            above_chance: row.above_chance,
            win_rate: row.win_rate,
            errors: row.errors,
            bounds: row.bounds.map(Bounds::of),
            cost_usd: row.cost_usd,
            cost_per_solved: row.cost_per_solved,
            cost_per_solved_stderr: row.cost_per_solved_stderr,
            latency_p50_ms: row.latency_p50_ms,
            latency_p95_ms: row.latency_p95_ms,
            runs: row.runs,
            attempts: runs_of_all,
            unfinished,
            later_unfinished: is_later_unfinished,
            pooled_runs: row.pooled,
            ranked_anew_30_days: board.looks,
        }
    }
}

impl Bounds {
    const fn of(bounds: ErrorBounds) -> Self {
        let ErrorBounds { if_wrong, if_dropped, if_right } = bounds;
        Self { if_wrong, if_dropped, if_right }
    }
}

impl Score {
    fn of(cell: BoardCell, attempts: Option<&Attempts>) -> Self {
        let (score, interval) = cell.shown();
        let interval = interval.map(|own| own.clipped(0.0, 1.0));
        let later = attempts.and_then(|own| own.later.as_ref());
        Self {
            score,
            ci_low: interval.map(|interval| interval.low),
            ci_high: interval.map(|interval| interval.high),
            higher_is_better: cell.direction.is_higher(),
            above_chance: cell.above_chance(),
            attempts: attempts.map(|own| own.runs),
            unfinished: attempts.map(|own| own.unfinished),
            later_unfinished: later.map(|later| LaterRun {
                result_id: later.result.to_string(),
                best_score: later.best.map(|best| cell.direction.counted(best)),
                is_below: later.is_below(cell.score),
            }),
            latency_p95_ms: cell.latency_p95_ms,
            result_id: cell.result.into(),
            overruled: cell.overruled,
            provisional: cell.is_provisional,
            pooled_runs: cell.pooled,
        }
    }
}

impl Gap {
    fn of(gap: &Incomplete, column: &Column) -> Self {
        Self {
            result_id: gap.result.to_string(),
            scored: gap.scored,
            planned: gap.planned,
            bounds: gap.bounds.map(|bounds| Bounds::of(column.direction.bounds(bounds))),
        }
    }
}

fn to_i64(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
