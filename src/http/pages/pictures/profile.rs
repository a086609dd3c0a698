//! A model as a picture: its score and rank, both with what is left open, and its scores on the evals.

use askama::Template;

use super::Head;
use super::letters::Letters;
use crate::domain::leaderboard::{Board, BoardCell, Column, Row};
use crate::domain::models::Model;
use crate::http::pages::axis::Bar;
use crate::http::pages::format;
use crate::http::pages::score::{Mean, Scale};

/// Evals that are shown.
const EVALS: usize = 6;
/// Where their lines begin, how far they go down, and how high one is at most.
const TOP: usize = 200;
const DOWN: usize = 406;
const HIGHEST: usize = 80;

#[derive(Template)]
#[template(path = "pictures/profile.svg")]
pub(super) struct Profile {
    head: Head,
    /// Who serves it, or that nothing is known of it yet.
    lede: String,
    /// Its score in points with its interval.
    score: Option<(String, Option<String>)>,
    /// Its ranks, and of how many.
    rank: Option<(String, String)>,
    ticks: [String; 3],
    lines: Vec<Line>,
    /// How high a line is.
    high: usize,
}

/// Its score on one eval.
struct Line {
    /// Where it begins.
    top: usize,
    eval: String,
    score: String,
    bar: Bar,
}

impl Profile {
    /// The model as it stands on `board`.
    pub(super) fn of(model: &Model, board: &Board, public_url: &str) -> Self {
        let row = board.rows.iter().find(|row| row.model.key == model.key);
        let held = held(&board.columns, row);
        let means: Vec<Mean> = held.iter().map(|(_, cell)| cell.shown()).collect();
        let scale = Scale::over(&means);
        let high = DOWN.checked_div(held.len()).map_or(HIGHEST, |high| high.min(HIGHEST));
        let lines = held.iter().enumerate().map(|(at, (column, cell))| {
            let score = scale.show(cell.shown());
            let eval = Letters::regular(28.0).fit(&column.direction.headed(&column.name), 305.0);
            Line { top: TOP + at * high, eval, score: score.text, bar: score.bar }
        });
        Self {
            head: Head::new(&model.card.name, public_url),
            lede: Letters::regular(30.0).fit(&lede(model, row), 1_100.0),
            score: row.and_then(score),
            rank: row.and_then(|row| rank(row, board)),
            ticks: scale.ticks(),
            lines: lines.collect(),
            high,
        }
    }

    /// Where the text of a line stands, from its top.
    const fn baseline(&self) -> usize {
        self.high / 2 + 10
    }

    /// Where the last line ends.
    fn bottom(&self) -> usize {
        TOP + self.high * self.lines.len()
    }
}

/// Its first scores: the board has the evals that count before the others.
fn held<'b>(columns: &'b [Column], row: Option<&'b Row>) -> Vec<(&'b Column, &'b BoardCell)> {
    let cells = columns.iter().zip(row.into_iter().flat_map(|row| &row.cells));
    cells.filter_map(|(column, cell)| Some((column, cell.as_ref()?))).take(EVALS).collect()
}

fn score(row: &Row) -> Option<(String, Option<String>)> {
    let summary = row.summary?;
    let decimals = format::decimals(summary.interval);
    let range = summary.interval.map(|interval| format::range(interval, decimals));
    Some((format::points(summary.mean, decimals), range))
}

fn rank(row: &Row, board: &Board) -> Option<(String, String)> {
    let of = board.rows.iter().filter(|row| row.rank.is_some()).count();
    Some((format::ranks(row.range, row.rank?), of.to_string()))
}

/// `anthropic · measured on 6 of 6 evals`
fn lede(model: &Model, row: Option<&Row>) -> String {
    let measured = match row {
        Some(row) => format!("measured on {} of {}", row.measured, format::counted(row.suite, "eval")),
        None => "not measured yet".to_owned(),
    };
    match &model.card.provider {
        Some(provider) => format!("{provider} · {measured}"),
        None => measured,
    }
}
