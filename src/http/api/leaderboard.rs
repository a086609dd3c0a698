//! The leaderboard as JSON: best first, never paged. Its other forms are in the files below this one.

mod badge;
mod export;

use std::collections::BTreeMap;

use actix_web::web::Data;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

#[doc(hidden)]
pub use self::badge::__path_badge;
pub use self::badge::badge;
use self::export::Format;
use crate::app::App;
use crate::domain::id::EvalId;
use crate::domain::leaderboard::{Board, Incomplete, Row, Scope, Weights, read_moment};
use crate::domain::stats::{self, ErrorBounds, Interval};
use crate::domain::time::Millis;
use crate::error::{Error, Result};
use crate::http::{Answered, Reads, View};
use crate::leaderboard;

/// How two models are compared, and how many comparisons are corrected for.
const TEST: (&str, &str) = ("sign_flip", "holm");

/// A row of the board.
#[derive(Serialize, ToSchema)]
pub struct Entry {
    model_id: String,
    model_name: String,
    /// Weighted mean over the suite's evals that the model holds, 0-1; null when it holds none of them.
    avg_score: Option<f64>,
    /// How many those are.
    eval_count: i64,
    last_run_at: i64,
    /// Position by mean among the models that hold the whole suite; null below the line.
    rank: Option<i64>,
    /// Best rank that the paired tests leave open: 1 + the models significantly ahead of it; null below the line.
    rank_low: Option<i64>,
    /// Worst rank that they leave open: the ranked models less those it is significantly ahead of.
    rank_high: Option<i64>,
    /// From 1: a new group begins at the first row that the first row of the group before is significantly ahead
    /// of. Two models further down one group may well differ: their ranges say more. Null below the line.
    tie_group: Option<i64>,
    /// The paired test of two ranked models on the items they share: `sign_flip`, for one right/wrong eval the
    /// same as McNemar's exact test. Null where there is nobody to compare with.
    test: Option<&'static str>,
    /// How all pairs of ranked models are corrected for being many: `holm`.
    correction: Option<&'static str>,
    /// From which corrected p-value down one model is ahead of another: 0.05.
    test_level: Option<f64>,
    ci_low: Option<f64>,
    ci_high: Option<f64>,
    /// 0.95 where there is an interval.
    ci_level: Option<f64>,
    ci_method: Option<String>,
    stderr: Option<f64>,
    n_items: i64,
    coverage: Coverage,
    is_official: bool,
    open_weights: Option<bool>,
    provider: Option<String>,
    /// The same mean where what guessing gets is 0 and all right is 1, over the evals with a `chance_level`; null
    /// without one.
    above_chance: Option<f64>,
    /// Mean share of the other ranked models that it scores higher than on an eval, 0-1, ties as halves; null below the
    /// line. It changes with who else is ranked, and ranks nobody.
    win_rate: Option<f64>,
    /// Cases that could not be measured and count as wrong.
    errors: i64,
    /// What `avg_score` could be, given those; null where there are none, or where that cannot be told.
    bounds: Option<Bounds>,
    /// US dollars; null is unknown.
    cost_usd: Option<f64>,
    cost_per_solved: Option<f64>,
    /// Median over the evals of their median latencies.
    latency_p50_ms: Option<f64>,
    /// Complete results that it has had on one eval, at most.
    runs: i64,
    /// By eval id.
    scores: BTreeMap<String, Score>,
    /// Results that too much is missing of for a score, by eval id: where there is no complete one.
    incomplete: BTreeMap<String, Gap>,
}

/// What a score could be, given that something was not measured.
#[derive(Serialize, ToSchema)]
pub struct Bounds {
    /// What is missing counted as wrong.
    if_wrong: f64,
    /// Without it; null when nothing was measured.
    if_dropped: Option<f64>,
    /// All of it counted as right.
    if_right: f64,
}

/// A result without a score.
#[derive(Serialize, ToSchema)]
pub struct Gap {
    result_id: String,
    /// Cases with a score.
    scored: i64,
    planned: i64,
    bounds: Option<Bounds>,
}

/// How much of the suite a model holds.
#[derive(Serialize, ToSchema)]
pub struct Coverage {
    measured: i64,
    suite: i64,
}

/// A model's score on one eval.
#[derive(Serialize, ToSchema)]
pub struct Score {
    score: f64,
    ci_low: Option<f64>,
    ci_high: Option<f64>,
    /// The score where what guessing gets is 0; null where the eval has no `chance_level`.
    above_chance: Option<f64>,
    result_id: String,
    /// Cases whose verdict a person overruled: `GET /api/v1/results/{id}/cases?state=overruled` lists them.
    overruled: i64,
    /// Whether it counts for nothing yet: too few models have it.
    provisional: bool,
}

impl Entry {
    /// The entry of a row that was taken from `board`.
    fn new(row: Row, board: &Board) -> Self {
        let Board { columns, gaps, .. } = board;
        let is_tested = board.tests.is_some() && row.rank.is_some();
        let interval = row.summary.and_then(|summary| summary.interval).map(|own| own.clipped(0.0, 1.0));
        let scores = columns.iter().zip(row.cells).filter_map(|(column, cell)| {
            let cell = cell?;
            let score = Score {
                score: cell.score,
                ci_low: cell.interval.map(|interval| interval.clipped(0.0, 1.0).low),
                ci_high: cell.interval.map(|interval| interval.clipped(0.0, 1.0).high),
                above_chance: cell.above_chance(),
                result_id: cell.result.into(),
                overruled: cell.overruled,
                provisional: cell.is_provisional,
            };
            Some((column.id.to_string(), score))
        });
        let incomplete = columns.iter().filter_map(|column| {
            let gap = gaps.get(&(row.model.key, column.key))?;
            Some((column.id.to_string(), Gap::of(gap)))
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
            latency_p50_ms: row.latency_p50_ms,
            runs: row.runs,
        }
    }
}

impl Bounds {
    const fn of(bounds: ErrorBounds) -> Self {
        let ErrorBounds { if_wrong, if_dropped, if_right } = bounds;
        Self { if_wrong, if_dropped, if_right }
    }
}

impl Gap {
    fn of(gap: &Incomplete) -> Self {
        Self {
            result_id: gap.result.to_string(),
            scored: gap.scored,
            planned: gap.planned,
            bounds: gap.bounds.map(Bounds::of),
        }
    }
}

/// Filters hide rows and never re-rank; `eval_id`, `category`, `weights` and `as_of` rank anew.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct BoardQuery {
    /// true or false.
    official: Option<String>,
    /// true or false.
    open_weights: Option<String>,
    /// Exact.
    provider: Option<String>,
    /// Part of a model's name or provider.
    q: Option<String>,
    /// Only this eval.
    eval_id: Option<String>,
    /// Only evals of this category.
    category: Option<String>,
    /// Weights in place of the evals' own, as `evalid:2,evalid:0.5`; 0 takes an eval out of the ranking, and evals
    /// that are not named keep theirs.
    weights: Option<String>,
    /// The board as it stood at that moment, in milliseconds, or at the end of a day (UTC) such as `2026-01-31`; not
    /// one that is to come.
    as_of: Option<String>,
    /// csv, json, latex or markdown: the answer is that file. JSON without it.
    format: Option<String>,
}

/// Which rows are shown.
struct Filter {
    official: Option<bool>,
    open_weights: Option<bool>,
    provider: Option<String>,
    name: Option<String>,
}

impl BoardQuery {
    fn filter(&self) -> Result<Filter> {
        Ok(Filter {
            official: truth(self.official.as_deref(), "official")?,
            open_weights: truth(self.open_weights.as_deref(), "open_weights")?,
            provider: self.provider.clone(),
            name: self.q.as_ref().map(|name| name.to_lowercase()),
        })
    }

    fn scope(&self) -> Result<Scope> {
        let as_of = self.as_of.as_deref().map(|text| read_moment(text, Millis::now())).transpose()?;
        Ok(Scope {
            eval: self.eval_id.clone().map(EvalId::from),
            category: self.category.clone(),
            weights: self.weights.as_deref().map(str::parse::<Weights>).transpose()?.unwrap_or_default(),
            as_of: as_of.flatten(),
        })
    }
}

impl Filter {
    fn admits(&self, row: &Row) -> bool {
        let model = &row.model;
        self.official.is_none_or(|official| official == model.is_official)
            && self.open_weights.is_none_or(|open| open == (model.open_weights == Some(true)))
            && (self.provider.is_none() || self.provider == model.provider)
            && self.name.as_ref().is_none_or(|part| {
                let holds = |text: &str| text.to_lowercase().contains(part);
                holds(&model.name) || model.provider.as_deref().is_some_and(holds)
            })
    }
}

fn interval(low: Option<f64>, high: Option<f64>) -> Option<Interval> {
    low.zip(high).map(|(low, high)| Interval { low, high })
}

fn truth(given: Option<&str>, field: &str) -> Result<Option<bool>> {
    match given {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(_) => Err(Error::invalid(field, format!("{field} must be true or false"))),
    }
}

/// The entries of the rows that `filter` admits. The rows are taken out of the board.
fn entries(board: &mut Board, filter: &Filter) -> Vec<Entry> {
    let rows = std::mem::take(&mut board.rows);
    let shown = rows.into_iter().filter(|row| filter.admits(row));
    shown.map(|row| Entry::new(row, board)).collect()
}

fn to_i64(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The ranked board, best first.
#[utoipa::path(get, path = "/api/v1/leaderboard", tag = "Leaderboard", params(BoardQuery), responses((status = 200, description = "The whole board", body = [Entry])))]
pub async fn get(reads: Reads<BoardQuery>, app: Data<App>) -> Answered {
    let (filter, scope) = (reads.params.filter()?, reads.params.scope()?);
    let format = reads.params.format.as_deref().map(Format::parse).transpose()?;
    let leaderboard = app.leaderboard.clone();
    let _turn = leaderboard.turn(&scope).await?;
    reads
        .answer(leaderboard::TOPICS, move |tx| {
            let mut board = leaderboard.board(tx, &scope)?;
            let entries = entries(&mut board, &filter);
            match format {
                None => View::json(&entries),
                Some(format) => format.view(&entries, &board.columns),
            }
        })
        .await
}
