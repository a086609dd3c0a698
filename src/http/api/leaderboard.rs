//! The leaderboard as JSON: best first, never paged.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::domain::id::EvalId;
use crate::domain::leaderboard::{self, Column, Row, Scope};
use crate::error::{Error, Result};
use crate::http::{Answered, Reads, View};
use crate::store::{self, Topic};

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
    /// Best rank that a paired test allows; null while ranks are not tested.
    rank_low: Option<i64>,
    /// Worst rank that a paired test allows; null while ranks are not tested.
    rank_high: Option<i64>,
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
    /// Cases that could not be measured and count as wrong.
    errors: i64,
    /// US dollars; null is unknown.
    cost_usd: Option<f64>,
    cost_per_solved: Option<f64>,
    /// Median over the evals of their median latencies.
    latency_p50_ms: Option<f64>,
    /// Complete results that it has had on one eval, at most.
    runs: i64,
    /// By eval id.
    scores: BTreeMap<String, Score>,
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
    result_id: String,
    /// Whether it counts for nothing yet: too few models have it.
    provisional: bool,
}

impl Entry {
    fn new(row: Row, columns: &[Column]) -> Self {
        let interval = row.summary.and_then(|summary| summary.interval);
        let scores = columns.iter().zip(row.cells).filter_map(|(column, cell)| {
            let cell = cell?;
            let score = Score {
                score: cell.score,
                ci_low: cell.interval.map(|interval| interval.low),
                ci_high: cell.interval.map(|interval| interval.high),
                result_id: cell.result.into(),
                provisional: !cell.counts,
            };
            Some((column.id.to_string(), score))
        });
        Self {
            scores: scores.collect(),
            model_id: row.model.id.into(),
            model_name: row.model.name,
            avg_score: row.summary.map(|summary| summary.mean),
            eval_count: row.measured,
            last_run_at: row.last_run_at.0,
            rank: row.rank,
            rank_low: None,
            rank_high: None,
            ci_low: interval.map(|interval| interval.low),
            ci_high: interval.map(|interval| interval.high),
            ci_level: interval.map(|_| crate::domain::stats::CI_LEVEL),
            ci_method: row.ci_method,
            stderr: row.summary.and_then(|summary| summary.stderr),
            n_items: row.summary.map_or(0, |summary| i64::try_from(summary.items).unwrap_or(i64::MAX)),
            coverage: Coverage { measured: row.measured, suite: row.suite },
            is_official: row.model.is_official,
            open_weights: row.model.open_weights,
            provider: row.model.provider,
            errors: row.errors,
            cost_usd: row.cost_usd,
            cost_per_solved: row.cost_per_solved,
            latency_p50_ms: row.latency_p50_ms,
            runs: row.runs,
        }
    }
}

/// Filters hide rows and never re-rank; `eval_id` and `category` rank anew.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct BoardQuery {
    /// true or false.
    official: Option<String>,
    /// true or false.
    open_weights: Option<String>,
    /// Exact.
    provider: Option<String>,
    /// Part of a model's name.
    q: Option<String>,
    /// Only this eval.
    eval_id: Option<String>,
    /// Only evals of this category.
    category: Option<String>,
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

    fn scope(&self) -> Scope {
        Scope { eval: self.eval_id.clone().map(EvalId::from), category: self.category.clone() }
    }
}

impl Filter {
    fn admits(&self, row: &Row) -> bool {
        let model = &row.model;
        self.official.is_none_or(|official| official == model.is_official)
            && self.open_weights.is_none_or(|open| open == (model.open_weights == Some(true)))
            && (self.provider.is_none() || self.provider == model.provider)
            && self.name.as_ref().is_none_or(|name| model.name.to_lowercase().contains(name))
    }
}

fn truth(given: Option<&str>, field: &str) -> Result<Option<bool>> {
    match given {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(_) => Err(Error::invalid(field, format!("{field} must be true or false"))),
    }
}

/// The ranked board, best first.
#[utoipa::path(get, path = "/api/v1/leaderboard", tag = "Leaderboard", params(BoardQuery), responses((status = 200, description = "The whole board", body = [Entry])))]
pub async fn get(reads: Reads<BoardQuery>) -> Answered {
    let (filter, scope) = (reads.params.filter()?, reads.params.scope());
    reads
        .answer(&[Topic::Board, Topic::Models, Topic::Evals], move |tx| {
            if let Some(eval) = &scope.eval {
                store::evals::get(tx, eval).map_err(|cause| match cause {
                    Error::NotFound(_) => Error::invalid("eval_id", "eval_id names no eval"),
                    other => other,
                })?;
            }
            let board = leaderboard::rank(store::board::models(tx)?, store::board::cells(tx)?, &scope);
            let rows = board.rows.into_iter().filter(|row| filter.admits(row));
            let entries: Vec<Entry> = rows.map(|row| Entry::new(row, &board.columns)).collect();
            View::json(&entries)
        })
        .await
}
