//! Ranking: from cells to rows in their final order, each with what its cells amount to.
//!
//! The order is that of the means; what it is worth is written by [`Board::judge`].

use std::cmp::Ordering;
use std::collections::HashMap;

use super::{Board, BoardCell, Column, GapCell, Gaps, ModelLine, Row, Scope};
use crate::domain::id::{EvalKey, ModelKey};
use crate::domain::results::{self, Spend};
use crate::domain::rounding;
use crate::domain::stats::{self, CiMethod, ErrorBounds, Interval, SuiteSummary};
use crate::domain::time::Millis;

/// Ranks `models` by their `cells`. Models without any cell or gap are left out. The order is final; what it is worth
/// is written by [`Board::judge`].
#[must_use]
pub fn rank(models: Vec<ModelLine>, cells: Vec<BoardCell>, gaps: Vec<GapCell>, scope: &Scope) -> Board {
    let admitted = cells.into_iter().filter(|cell| scope.admits(&cell.eval_id, cell.category.as_ref()));
    let mut cells: Vec<BoardCell> = admitted.map(|cell| scope.weigh(cell)).collect();
    if scope.eval.is_some() && cells.iter().all(|cell| cell.is_provisional) {
        // Alone there is nothing that it could not be part of yet.
        cells.iter_mut().for_each(|cell| cell.counts = cell.weight > 0.0);
    }
    let gaps: Vec<GapCell> =
        gaps.into_iter().filter(|gap| scope.admits(&gap.column.id, gap.category.as_ref())).collect();
    let columns = columns(&cells, &gaps);
    let gaps: Gaps = gaps.into_iter().map(|own| ((own.model, own.column.key), own.gap)).collect();
    let mut held: HashMap<(ModelKey, EvalKey), BoardCell> = HashMap::new();
    for cell in cells {
        let key = (cell.model, cell.eval);
        // A cell of the suite's version goes before one of a newer version that does not count yet.
        if !cell.is_provisional || !held.contains_key(&key) {
            held.insert(key, cell);
        }
    }
    let mut rows: Vec<Row> =
        models.into_iter().filter_map(|model| row(model, &columns, &mut held, &gaps)).collect();
    rows.sort_by(order);
    number(&mut rows);
    let mut board = Board { columns, rows, gaps, ..Board::default() };
    write_win_rates(&mut board);
    board
}

/// A column for each eval with a cell, and for each that there are only incomplete results on.
fn columns(cells: &[BoardCell], gaps: &[GapCell]) -> Vec<Column> {
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
    for gap in gaps.iter().filter(|gap| gap.gap.has_scores()) {
        if columns.iter().all(|column| column.key != gap.column.key) {
            columns.push(gap.column.clone());
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
            direction: cell.direction,
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
    gaps: &Gaps,
) -> Option<Row> {
    let cells: Vec<Option<BoardCell>> =
        columns.iter().map(|column| held.remove(&(model.key, column.key))).collect();
    let last_run_at = last_run(model.key, &cells, columns, gaps)?;
    let counted: Vec<&BoardCell> = cells.iter().flatten().filter(|cell| cell.counts).collect();
    let parts: Vec<stats::Cell> = counted.iter().map(|cell| part(cell)).collect();
    let summary = stats::suite(&parts);
    let cost_usd =
        counted.iter().map(|cell| cell.own_cost()).sum::<Option<f64>>().filter(|_| !counted.is_empty());
    let passed: f64 = counted.iter().map(|cell| to_f64(cell.passed) / to_f64(cell.pooled)).sum();
    let median = |latency: fn(&BoardCell) -> Option<f64>| {
        stats::percentile(&counted.iter().filter_map(|cell| latency(cell)).collect::<Vec<f64>>(), 50)
    };
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
        cost_per_solved: cost_usd.filter(|_| passed > 0.0).map(|cost| cost / passed),
        cost_per_solved_stderr: cost_stderr(&counted),
        latency_p50_ms: median(|cell| cell.latency_p50_ms),
        latency_p95_ms: median(|cell| cell.latency_p95_ms),
        pooled: cells.iter().flatten().map(|cell| cell.pooled).max().unwrap_or(1),
        runs: cells.iter().flatten().map(|cell| cell.runs).max().unwrap_or(0),
        last_run_at,
        cells,
    })
}

/// When the latest of a model's results was finished; none where it has none in these columns, and none of its
/// incomplete ones has a score in it: of such a model nothing is known.
fn last_run(model: ModelKey, cells: &[Option<BoardCell>], columns: &[Column], gaps: &Gaps) -> Option<Millis> {
    let incomplete = || columns.iter().filter_map(|column| gaps.get(&(model, column.key)));
    let incomplete = || incomplete().filter(|gap| gap.has_scores()).map(|gap| gap.at);
    cells.iter().flatten().map(|cell| cell.at).max().or_else(|| incomplete().max())
}

/// The standard error of the cost per solved item; none where a part of it is unknown.
fn cost_stderr(counted: &[&BoardCell]) -> Option<f64> {
    let spend = |cell: &&BoardCell| {
        let (cost, spread) = cell.cost_usd.zip(cell.cost_spread)?;
        Some(Spend { items: to_f64(cell.items), cost, passed: to_f64(cell.passed), spread })
    };
    results::cost_stderr(&counted.iter().map(spend).collect::<Option<Vec<Spend>>>()?)
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

    /// Its score with its interval as they are shown: as the scorer gave them.
    #[must_use]
    pub fn shown(&self) -> (f64, Option<Interval>) {
        let interval = self.interval.map(|interval| self.direction.interval(interval));
        (self.raw_score, interval)
    }

    /// What one result of it cost in US dollars.
    #[must_use]
    pub fn own_cost(&self) -> Option<f64> {
        self.cost_usd.map(|cost| cost / to_f64(self.pooled))
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
        counted.map(|(cell, _)| cell.as_ref().map(|cell| rounding::rounded(cell.score))).collect()
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
        .then_with(|| rounding::compare(mean(b), mean(a)))
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
