//! A model's score on each eval: a row for each result that the board shows of it, and for each that too much is
//! missing of.

use std::collections::HashMap;

use crate::domain::id::ResultKey;
use crate::domain::leaderboard::{Attempts, Board, BoardCell, Column, Incomplete, Row};
use crate::domain::results::EvalResult;
use crate::domain::stats::{self, ErrorBounds};
use crate::http::pages::attempts;
use crate::http::pages::format::{self, UNKNOWN};
use crate::http::pages::links;
use crate::http::pages::score::{Mean, Scale, Score};

/// All of them.
pub(super) struct Scores {
    /// What their axis says.
    pub(super) ticks: [String; 3],
    /// Whether one of the evals says what guessing gets.
    pub(super) has_chance: bool,
    pub(super) lines: Vec<Line>,
}

/// The least luck that is worth a word beside the runs (0 to 1): less rounds to no points.
const MIN_LUCK: f64 = 0.0005;

/// Its score on one eval.
pub(super) struct Line {
    pub(super) eval: String,
    /// Which way its scores are better, where that is not the usual one.
    pub(super) direction: Option<&'static str>,
    pub(super) eval_href: String,
    /// Why it does not count, in a word.
    pub(super) apart: Option<&'static str>,
    pub(super) href: String,
    pub(super) score: Option<Score>,
    /// The same where what guessing gets is 0.
    pub(super) above: String,
    pub(super) items: String,
    pub(super) errors: String,
    /// What the score could be, given what is missing.
    pub(super) bounds: Option<String>,
    pub(super) cost: String,
    pub(super) latency: String,
    /// The latency that 95 % stay below.
    pub(super) tail: String,
    pub(super) runs: String,
    /// How many runs there were with those that were not finished.
    pub(super) attempts: Option<String>,
    /// What a later run could still have scored that could not be completed.
    pub(super) later: Option<String>,
    /// Points that the best of those runs owes to luck.
    pub(super) luck: Option<String>,
    pub(super) day: String,
}

impl Scores {
    /// Those of `row` of `board`, on a scale of their own; `results` are the model's newest.
    pub(super) fn of(board: &Board, row: Option<&Row>, results: &[EvalResult], noise: &Noise) -> Self {
        let cells = || board.columns.iter().zip(row.into_iter().flat_map(|row| &row.cells));
        let held = || cells().filter_map(|(_, cell)| cell.as_ref());
        let means: Vec<Mean> = held().map(BoardCell::shown).collect();
        let scale = Scale::over(&means);
        let gap = |column: &Column| board.gaps.get(&(row?.model.key, column.key));
        let tried = |column: &Column| board.attempts.get(&(row?.model.key, column.key));
        let line = |(column, cell): (&Column, &Option<BoardCell>)| match cell {
            Some(cell) => Some(line(column, cell, &scale, noise, tried(column))),
            None => gap(column).map(|gap| incomplete(column, gap, results, tried(column))),
        };
        Self {
            ticks: scale.ticks(),
            has_chance: held().any(|cell| cell.chance.is_some()),
            lines: cells().filter_map(line).collect(),
        }
    }
}

fn line(column: &Column, cell: &BoardCell, scale: &Scale, noise: &Noise, tried: Option<&Attempts>) -> Line {
    Line {
        eval: column.name.clone(),
        direction: (!column.direction.is_higher()).then_some("lower is better"),
        eval_href: links::eval(&column.id),
        apart: (!cell.counts).then_some("provisional"),
        href: links::result(&cell.result),
        score: Some(scale.show(cell.shown())),
        above: above_chance(cell),
        items: format::count(cell.items),
        errors: format::count(cell.missing),
        bounds: cell.bounds.map(|open| bounds(cell.direction.bounds(open))),
        cost: format::known(cell.cost_usd, format::money),
        latency: format::known(cell.latency_p50_ms, format::latency),
        tail: format::known(cell.latency_p95_ms, format::latency),
        runs: format::count(cell.runs),
        attempts: tried.and_then(Attempts::note),
        later: attempts::later_of(cell, tried),
        luck: luck(cell, noise)
            .filter(|luck| *luck >= MIN_LUCK)
            .map(|luck| format!("luck ≈ {}", points_of(luck))),
        day: format::day(cell.at),
    }
}

/// A result without a score.
fn incomplete(column: &Column, gap: &Incomplete, results: &[EvalResult], tried: Option<&Attempts>) -> Line {
    let result = results.iter().find(|result| result.id == gap.result);
    Line {
        eval: column.name.clone(),
        direction: (!column.direction.is_higher()).then_some("lower is better"),
        eval_href: links::eval(&column.id),
        apart: Some("incomplete"),
        href: links::result(&gap.result),
        score: None,
        above: UNKNOWN.to_owned(),
        items: format::count(column.items),
        errors: format::count(gap.planned - gap.scored),
        bounds: gap.bounds.map(|open| bounds(column.direction.bounds(open))),
        cost: format::known(result.and_then(|result| result.cost_usd), format::money),
        latency: UNKNOWN.to_owned(),
        tail: UNKNOWN.to_owned(),
        runs: UNKNOWN.to_owned(),
        attempts: tried.and_then(Attempts::note),
        later: None,
        luck: None,
        day: format::known(result, |result| format::day(result.created_at)),
    }
}

/// The score of a cell above chance, with as many decimals as its interval supports.
pub(in crate::http::pages) fn above_chance(cell: &BoardCell) -> String {
    format::known(cell.above_chance(), |above| format::points(above, format::decimals(cell.interval)))
}

fn bounds(bounds: ErrorBounds) -> String {
    let [low, high] = [bounds.if_wrong, bounds.if_right].map(|score| format::points(score, 1));
    format!("{low} if wrong, {high} if right")
}

/// The standard deviation over runs of a score (0 to 1), by result, where more than one run is kept.
pub(super) type Noise = HashMap<ResultKey, f64>;

/// By how much (0 to 1) the best of its runs would lie above its true score by luck alone; none for one run, and
/// where it is not known how far runs differ.
fn luck(cell: &BoardCell, noise: &Noise) -> Option<f64> {
    let runs = usize::try_from(cell.runs).ok().filter(|runs| *runs > 1)?;
    Some(stats::luck_of_best(runs) * noise.get(&cell.result_key)?)
}

/// The same in a sentence, for the eval where it is the most; none where every eval was run once.
pub(super) fn luckiest(row: &Row, noise: &Noise) -> Option<String> {
    let repeated = || row.cells.iter().flatten().filter(|cell| cell.runs > 1);
    let most = repeated().max_by_key(|cell| cell.runs)?;
    let worth = repeated().filter_map(|cell| Some((luck(cell, noise)?, cell)));
    let Some((luck, cell)) = worth.max_by(|(a, _), (b, _)| a.total_cmp(b)) else {
        return Some(format!(
            "Of {} runs: what luck alone is worth is not known, since the scores of one alone are kept. The latest run \
             counts, not the best.",
            format::count(most.runs)
        ));
    };
    Some(format!(
        "Best of {} runs: luck alone is worth about {} points on {}. The latest run counts, not the best.",
        format::count(cell.runs),
        points_of(luck),
        cell.eval_name
    ))
}

fn points_of(share: f64) -> String {
    format!("{:.1}", share * 100.0)
}
