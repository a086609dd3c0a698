//! Ranking: from cells to rows in their final order, each with what its cells amount to.
//!
//! The order is that of the means; what it is worth is written by [`Board::judge`].

use std::cmp::Ordering;
use std::collections::HashMap;

use super::{Board, BoardCell, Column, ModelLine, Row, Scope};
use crate::domain::id::{EvalKey, ModelKey};
use crate::domain::stats::{self, CiMethod, ErrorBounds, SuiteSummary};

/// Ranks `models` by their `cells`. Models without any cell are left out. The order is final; what it is worth
/// is written by [`Board::judge`].
#[must_use]
pub fn rank(models: Vec<ModelLine>, cells: Vec<BoardCell>, scope: &Scope) -> Board {
    let admitted = cells.into_iter().filter(|cell| scope.admits(cell));
    let mut cells: Vec<BoardCell> = admitted.map(|cell| scope.weigh(cell)).collect();
    if scope.eval.is_some() && cells.iter().all(|cell| cell.is_provisional) {
        // Alone there is nothing that it could not be part of yet.
        cells.iter_mut().for_each(|cell| cell.counts = cell.weight > 0.0);
    }
    let columns = columns(&cells);
    let mut held: HashMap<(ModelKey, EvalKey), BoardCell> = HashMap::new();
    for cell in cells {
        let key = (cell.model, cell.eval);
        // A cell of the suite's version goes before one of a newer version that does not count yet.
        if !cell.is_provisional || !held.contains_key(&key) {
            held.insert(key, cell);
        }
    }
    let mut rows: Vec<Row> = models.into_iter().filter_map(|model| row(model, &columns, &mut held)).collect();
    rows.sort_by(order);
    number(&mut rows);
    let mut board = Board { columns, rows, ..Board::default() };
    write_win_rates(&mut board);
    board
}

fn columns(cells: &[BoardCell]) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::new();
    for cell in cells {
        let place = columns.iter().position(|column| column.key == cell.eval);
        match place.and_then(|place| columns.get_mut(place)) {
            // The version that counts is what the column is about, whichever cell came first.
            Some(column) if column.is_provisional && !cell.is_provisional => *column = Column::of(cell),
            Some(_) => {}
            None => columns.push(Column::of(cell)),
        }
    }
    columns.sort_by(|a, b| {
        b.counts.cmp(&a.counts).then_with(|| a.name.cmp(&b.name)).then_with(|| a.id.cmp(&b.id))
    });
    columns
}

impl Column {
    fn of(cell: &BoardCell) -> Self {
        Self {
            key: cell.eval,
            id: cell.eval_id.clone(),
            name: cell.eval_name.clone(),
            version: cell.version,
            weight: cell.weight,
            own_weight: cell.own_weight,
            items: cell.items,
            chance: cell.chance,
            counts: cell.counts,
            is_provisional: cell.is_provisional,
        }
    }
}

fn row(
    model: ModelLine,
    columns: &[Column],
    held: &mut HashMap<(ModelKey, EvalKey), BoardCell>,
) -> Option<Row> {
    let cells: Vec<Option<BoardCell>> =
        columns.iter().map(|column| held.remove(&(model.key, column.key))).collect();
    let last_run_at = cells.iter().flatten().map(|cell| cell.at).max()?;
    let counted: Vec<&BoardCell> = cells.iter().flatten().filter(|cell| cell.counts).collect();
    let parts: Vec<stats::Cell> = counted.iter().map(|cell| part(cell)).collect();
    let summary = stats::suite(&parts);
    let cost_usd =
        counted.iter().map(|cell| cell.cost_usd).sum::<Option<f64>>().filter(|_| !counted.is_empty());
    let passed: i64 = counted.iter().map(|cell| cell.passed).sum();
    let latencies: Vec<f64> = counted.iter().filter_map(|cell| cell.latency_p50_ms).collect();
    Some(Row {
        model,
        rank: None,
        range: None,
        tie_group: None,
        ci_method: ci_method(&counted, summary.as_ref()),
        summary,
        above_chance: above_chance(&counted),
        win_rate: None,
        bounds: bounds(&counted),
        measured: to_i64(counted.len()),
        suite: to_i64(columns.iter().filter(|column| column.counts).count()),
        errors: counted.iter().map(|cell| cell.missing).sum(),
        cost_usd,
        cost_per_solved: cost_usd.filter(|_| passed > 0).map(|cost| cost / to_f64(passed)),
        latency_p50_ms: stats::percentile(&latencies, 50),
        runs: cells.iter().flatten().map(|cell| cell.runs).max().unwrap_or(0),
        last_run_at,
        cells,
    })
}

/// One eval keeps the method of its own interval, which the stored text names.
fn ci_method(counted: &[&BoardCell], summary: Option<&SuiteSummary>) -> Option<String> {
    summary?.interval?;
    match counted {
        [only] => only.ci_method.clone(),
        _ => summary?.method.map(|method| method.as_str().to_owned()),
    }
}

/// The weighted mean of what is above chance; none where no eval says what chance is.
fn above_chance(counted: &[&BoardCell]) -> Option<f64> {
    let known: Vec<(f64, f64)> =
        counted.iter().filter_map(|cell| Some((cell.weight, cell.above_chance()?))).collect();
    let total: f64 = known.iter().map(|(weight, _)| weight).sum();
    (total > 0.0).then(|| known.iter().map(|(weight, above)| weight * above).sum::<f64>() / total)
}

/// The bounds of the weighted mean: those of the cells where something is missing, and the score of the others.
fn bounds(counted: &[&BoardCell]) -> Option<ErrorBounds> {
    let total: f64 = counted.iter().map(|cell| cell.weight).sum();
    if total <= 0.0 || counted.iter().all(|cell| cell.missing == 0) {
        return None;
    }
    let mean = |pick: fn(&ErrorBounds) -> Option<f64>| {
        let parts = counted.iter().map(|cell| Some(cell.weight * pick(&cell.own_bounds()?)?));
        parts.sum::<Option<f64>>().map(|sum| sum / total)
    };
    Some(ErrorBounds {
        if_wrong: mean(|bounds| Some(bounds.if_wrong))?,
        if_dropped: mean(|bounds| bounds.if_dropped),
        if_right: mean(|bounds| Some(bounds.if_right))?,
    })
}

impl BoardCell {
    /// Its score where what guessing gets is 0 and all right stays 1; none where nobody said what guessing gets.
    #[must_use]
    pub fn above_chance(&self) -> Option<f64> {
        self.chance.map(|chance| stats::chance_normalised(self.score, chance))
    }

    /// What its score could be; none where something is missing and that cannot be told.
    fn own_bounds(&self) -> Option<ErrorBounds> {
        let score = self.score;
        let sure = ErrorBounds { if_wrong: score, if_dropped: Some(score), if_right: score };
        if self.missing == 0 { Some(sure) } else { self.bounds }
    }
}

/// Writes into the ranked rows how often they win on the evals that count.
fn write_win_rates(board: &mut Board) {
    let counts: Vec<bool> = board.columns.iter().map(|column| column.counts).collect();
    let scores = |row: &Row| -> Vec<Option<f64>> {
        let counted = row.cells.iter().zip(&counts).filter(|(_, counts)| **counts);
        counted.map(|(cell, _)| cell.as_ref().map(|cell| cell.score)).collect()
    };
    let rates = stats::mean_win_rates(&board.ranked().map(scores).collect::<Vec<_>>());
    let ranked = board.rows.iter_mut().filter(|row| row.rank.is_some());
    for (row, rate) in ranked.zip(rates) {
        row.win_rate = rate;
    }
}

fn part(cell: &BoardCell) -> stats::Cell {
    stats::Cell {
        weight: cell.weight,
        mean: cell.score,
        stderr: cell.stderr,
        interval: cell.interval,
        method: cell.ci_method.as_deref().and_then(CiMethod::parse),
        items: usize::try_from(cell.items).unwrap_or(0),
    }
}

/// Models with the whole suite first; then the larger mean, a missing one last; then name and id.
fn order(a: &Row, b: &Row) -> Ordering {
    let is_whole = |row: &Row| row.suite > 0 && row.measured == row.suite;
    let mean = |row: &Row| row.summary.map_or(f64::NEG_INFINITY, |summary| summary.mean);
    is_whole(b)
        .cmp(&is_whole(a))
        .then_with(|| mean(b).total_cmp(&mean(a)))
        .then_with(|| a.model.name.cmp(&b.model.name))
        .then_with(|| a.model.id.cmp(&b.model.id))
}

fn number(rows: &mut [Row]) {
    let whole = rows.iter_mut().filter(|row| row.suite > 0 && row.measured == row.suite);
    for (row, rank) in whole.zip(1..) {
        row.rank = Some(rank);
    }
}

fn to_i64(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "a count of cases is far below 2^53")]
fn to_f64(count: i64) -> f64 {
    count as f64
}
