//! The leaderboard as JSON: best first, never paged. Its other forms are in the files below this one.

mod badge;
mod entry;
mod export;

use actix_web::web::Data;
use serde::Deserialize;
use utoipa::IntoParams;

#[doc(hidden)]
pub use self::badge::__path_badge;
pub use self::badge::badge;
pub use self::entry::Entry;
use self::entry::Score;
use self::export::Format;
use crate::app::App;
use crate::domain::id::EvalId;
use crate::domain::leaderboard::{Board, Row, Scope, Weights, read_moment, read_pool};
use crate::domain::stats::Interval;
use crate::domain::time::Millis;
use crate::error::{Error, Result};
use crate::http::{Answered, Reads, View};
use crate::leaderboard;

/// Filters hide rows and never re-rank; `eval_id`, `category`, `weights`, `as_of` and `pool` rank anew.
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
    /// that are not named keep theirs. One that is not 0 is at least 0.000001 of the largest.
    weights: Option<String>,
    /// The board as it stood at that moment, in milliseconds, or at the end of a day (UTC) such as `2026-01-31`; not
    /// one that is to come.
    as_of: Option<String>,
    /// `all` to pool all complete results of each model's present revision, the newest 20 of them at most, in place of
    /// the latest alone: narrower intervals. Not with `as_of`.
    pool: Option<String>,
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
            is_pooled: self.pool.as_deref().map_or(Ok(false), read_pool)?,
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

/// The ranked board, best first.
#[utoipa::path(get, path = "/api/v1/leaderboard", tag = "Leaderboard", params(BoardQuery), responses((status = 200, description = "The whole board", body = [Entry])))]
pub async fn get(reads: Reads<BoardQuery>, app: Data<App>) -> Answered {
    let (filter, scope) = (reads.params.filter()?, reads.params.scope()?);
    let format = reads.params.format.as_deref().map(Format::parse).transpose()?;
    let (leaderboard, endpoints) = (app.leaderboard.clone(), reads.endpoints()?);
    let _turn = leaderboard.turn(&scope).await?;
    reads
        .answer(leaderboard::TOPICS, move |tx| {
            let mut board = endpoints.veil(tx)?.board(leaderboard.board(tx, &scope)?);
            let entries = entries(&mut board, &filter);
            match format {
                None => View::json(&entries),
                Some(format) => format.view(&entries, &board.columns),
            }
        })
        .await
}
