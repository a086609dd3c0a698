//! The board's table: rows as text and drawings below heads that sort. Built from ranked rows, and pure.
//!
//! It decides how a value looks, never who stands where.

use crate::domain::leaderboard::{Attempts, AttemptsByCell, Board, BoardCell, Column, Gaps, Incomplete, Row};
use crate::domain::stats::{ErrorBounds, Interval};
use crate::http::pages::attempts;
use crate::http::pages::score::{Mean, Scale, Score};
use crate::http::pages::{format, links};

use super::columns::Columns;
use super::heads::{EvalHead, Head, Sorter, eval_head, head, rest, shown_rest};
use super::question::{Question, Sort};

/// Between a figure and its sign: narrow, and the two never part.
const THIN: char = '\u{202f}';
/// Longest eval name that is repeated beside a score where a row is a card, in characters.
const LONGEST_LABEL: usize = 16;
/// Rows of a table in which standard errors and 95th percentiles stand beside the figures.
const MAX_ROWS_WITH_NOTES: usize = 50;
/// From which score on a cell has which tint.
const TINTS: [(f64, &str); 5] = [(0.9, "t5"), (0.8, "t4"), (0.65, "t3"), (0.5, "t2"), (0.3, "t1")];

/// All that is drawn between the filters and the footnote.
#[derive(Debug)]
pub struct Table {
    /// Over the names.
    pub model: Head,
    /// Over the scores.
    pub score: Head,
    /// What the bars' axis says at its start, middle and end, in points.
    pub ticks: [String; 3],
    /// Over each eval.
    pub evals: Vec<EvalHead>,
    /// Over what stands behind the evals.
    pub rest: Vec<Head>,
    /// Whether the columns are the usual ones, so that their places say what they are.
    pub is_usual: bool,
    /// Rows with a rank.
    pub ranked: Vec<Line>,
    /// Rows below the line.
    pub unranked: Vec<Line>,
}

/// A row.
#[derive(Debug)]
pub struct Line {
    /// The ranks that the tests leave open; none below the line.
    pub rank: Option<String>,
    /// Classes of its tie group.
    pub tie: &'static str,
    /// The model.
    pub href: String,
    /// Its name.
    pub name: String,
    /// Who serves it.
    pub provider: Option<String>,
    /// Whether the operator vouches for it.
    pub is_official: bool,
    /// Whether its weights can be had.
    pub has_open_weights: bool,
    /// Whether it is one of the server's own, there to be compared with.
    pub is_baseline: bool,
    /// `6 of 9 evals`, below the line.
    pub part: Option<String>,
    /// That a later run could not be completed, at length for each eval.
    pub later: Option<String>,
    /// Mean over the suite.
    pub score: Option<Score>,
    /// Its scores per eval, in the order of the heads.
    pub cells: Vec<Option<Cell>>,
    /// What stands behind them, in the order of the heads.
    pub rest: Vec<Figure>,
}

/// A figure behind the evals.
#[derive(Debug)]
pub struct Figure {
    /// What its column is sorted by.
    pub sort: Sort,
    /// The figure.
    pub text: String,
    /// What is to be said with it: in short and at length.
    pub note: Option<(String, String)>,
}

/// A score on one eval.
#[derive(Debug)]
pub struct Cell {
    /// The eval's name, shortened.
    pub label: String,
    /// The result.
    pub href: String,
    /// Classes of its tint.
    pub tint: &'static str,
    /// In points.
    pub text: String,
    /// The same above chance, where that is shown.
    pub above: Option<String>,
    /// What it is, where it is no score of one result.
    pub title: Option<String>,
}

impl Table {
    /// The table of `board`, whose rows are those that `question` admits in the order it asks for.
    #[must_use]
    pub fn new(question: &Question, board: &Board) -> Self {
        let (columns, rows) = (&board.columns, &board.rows);
        let looks = Looks::of(question, board);
        let lines = |is_ranked: bool| -> Vec<Line> {
            let rows = rows.iter().filter(|row| row.rank.is_some() == is_ranked);
            rows.map(|row| looks.line(row)).collect()
        };
        let mut ranked = lines(true);
        if question.sort == Sort::Score {
            let groups: Vec<usize> = rows.iter().filter_map(|row| row.tie_group).collect();
            for (line, tie) in ranked.iter_mut().zip(ties(&groups)) {
                line.tie = tie;
            }
        }
        Self {
            model: head(question, Sort::Model, "Model", "Sort by name"),
            score: head(
                question,
                Sort::Score,
                "Score",
                "Weighted mean over the evals that count, in points of 0 to 100",
            ),
            ticks: looks.scale.ticks(),
            evals: looks.shown(columns).map(|column| eval_head(question, column)).collect(),
            rest: rest(question),
            is_usual: question.columns == Columns::default(),
            ranked,
            unranked: lines(false),
        }
    }

    /// What the table can be sorted by, each with its label: what is of the whole first, then each eval.
    pub fn sorters(&self) -> impl Iterator<Item = (&str, &Sorter)> {
        let first = [&self.score, &self.model].map(|head| (head.label, &head.sorter));
        let evals = self.evals.iter().map(|head| (head.name.as_str(), &head.sorter));
        let rest = self.rest.iter().map(|head| (head.label, &head.sorter));
        first.into_iter().chain(rest).chain(evals)
    }

    /// The label of what it is sorted by, with the way.
    #[must_use]
    pub fn sorted_by(&self) -> String {
        let current = self.sorters().find_map(|(label, sorter)| Some((label, sorter.aria?)));
        let (label, way) = current.unwrap_or((self.score.label, "descending"));
        format!("{label}, {way}")
    }

    /// Whether a wide screen has room for all of it.
    #[must_use]
    pub const fn is_narrow(&self) -> bool {
        self.evals.len() + self.rest.len() <= 11
    }

    /// The class that makes room for ranks of three digits or more.
    #[must_use]
    pub const fn rank_class(&self) -> &'static str {
        match self.ranked.len() {
            0..100 => "",
            100..1_000 => " of-hundreds",
            _ => " of-thousands",
        }
    }

    /// Columns in all.
    #[must_use]
    pub const fn width(&self) -> usize {
        4 + self.evals.len() + self.rest.len()
    }
}

/// What the rows of one table share.
struct Looks<'b> {
    scale: Scale,
    /// Of each eval its name and most decimals; none where it is hidden.
    evals: Vec<Option<Look>>,
    columns: &'b [Column],
    gaps: &'b Gaps,
    tried: &'b AttemptsByCell,
    /// Whether there is room for what is said beside figures.
    has_notes: bool,
    rest: Vec<Sort>,
}

/// How the cells of one eval look.
struct Look {
    label: String,
    widest: usize,
    has_chance: bool,
}

impl<'b> Looks<'b> {
    fn of(question: &Question, board: &'b Board) -> Self {
        let Board { columns, rows, gaps, attempts: tried, .. } = board;
        let means: Vec<Mean> = rows.iter().filter_map(mean).collect();
        let cells = |at: usize| rows.iter().filter_map(move |row| row.cells.get(at).and_then(Option::as_ref));
        let widest = |at| cells(at).map(|cell| format::decimals(cell.interval)).max().unwrap_or(0);
        let has_chance = question.columns.has(Sort::AboveChance.as_str());
        let look = |(at, column): (usize, &Column)| {
            question.columns.has(column.id.as_str()).then(|| Look {
                label: format::shortened(&column.name, LONGEST_LABEL),
                widest: widest(at),
                has_chance: has_chance && column.chance.is_some(),
            })
        };
        Self {
            scale: Scale::over(&means),
            evals: columns.iter().enumerate().map(look).collect(),
            columns,
            gaps,
            tried,
            has_notes: rows.len() <= MAX_ROWS_WITH_NOTES,
            rest: shown_rest(question).collect(),
        }
    }

    /// The columns that are not hidden.
    fn shown<'c>(&self, columns: &'c [Column]) -> impl Iterator<Item = &'c Column> {
        columns.iter().zip(&self.evals).filter(|(_, look)| look.is_some()).map(|(column, _)| column)
    }

    fn line(&self, row: &Row) -> Line {
        let model = &row.model;
        Line {
            rank: row.rank.map(|rank| format::ranks(row.range, rank)),
            tie: "",
            href: links::model(&model.id),
            name: model.name.clone(),
            provider: model.provider.clone(),
            is_official: model.is_official,
            has_open_weights: model.open_weights == Some(true),
            is_baseline: model.is_baseline,
            part: row.rank.is_none().then(|| format!("{} of {} evals", row.measured, row.suite)),
            later: self.later(row),
            score: mean(row).map(|mean| self.scale.show(mean)),
            cells: self.cells(row),
            rest: self.rest.iter().map(|sort| self.figure(sort, row)).collect(),
        }
    }

    /// What stands behind the evals of a row. In a table of many rows what is only beside a figure is left to their pages.
    fn figure(&self, sort: &Sort, row: &Row) -> Figure {
        let note = match sort {
            Sort::Errors => row.bounds.map(bounds),
            Sort::Runs => self.attempts(row).and_then(unfinished),
            Sort::Cost if self.has_notes => row.cost_per_solved_stderr.map(cost_stderr),
            Sort::Latency if self.has_notes => row.latency_p95_ms.map(tail),
            _ => None,
        };
        Figure { sort: sort.clone(), text: figure(sort, row), note }
    }

    /// The runs of a model on the eval where there were most unfinished ones.
    fn attempts(&self, row: &Row) -> Option<&'b Attempts> {
        let tried = self.columns.iter().filter_map(|column| self.tried.get(&(row.model.key, column.key)));
        tried.max_by_key(|own| own.unfinished)
    }

    fn later(&self, row: &Row) -> Option<String> {
        let held = row.cells.iter().flatten();
        let said = held.filter_map(|cell| {
            let tried = self.tried.get(&(row.model.key, cell.eval));
            attempts::later_of(cell, tried).map(|words| format!("{}: {words}", cell.eval_name))
        });
        let said: Vec<String> = said.collect();
        (!said.is_empty()).then(|| said.join(" "))
    }

    fn cells(&self, row: &Row) -> Vec<Option<Cell>> {
        let cells = row.cells.iter().zip(self.columns).zip(&self.evals);
        let shown = cells.filter_map(|((held, column), look)| Some((held, column, look.as_ref()?)));
        let cell = |(held, column, look): (&Option<BoardCell>, &Column, &Look)| match held {
            Some(held) => Some(look.cell(held)),
            None => self.gaps.get(&(row.model.key, column.key)).map(|gap| look.gap(gap, column)),
        };
        shown.map(cell).collect()
    }
}

impl Look {
    fn cell(&self, cell: &BoardCell) -> Cell {
        let tint = TINTS.iter().find(|(from, _)| cell.score >= *from).map_or("", |(_, class)| class);
        let decimals = format::decimals(cell.interval);
        let above = cell.above_chance().filter(|_| self.has_chance);
        Cell {
            label: self.label.clone(),
            href: links::result(&cell.result),
            tint: if cell.counts { tint } else { "provisional" },
            text: format::aligned(cell.shown().0, decimals, self.widest),
            above: above.map(|above| format::points(above, decimals)),
            title: (cell.pooled > 1).then(|| format!("Over {} runs", format::count(cell.pooled))),
        }
    }

    /// A result that is no score, with what the score could be.
    fn gap(&self, gap: &Incomplete, column: &Column) -> Cell {
        let title = format!(
            "Incomplete: {} of {} cases were measured, too few for a score",
            format::count(gap.scored),
            format::count(gap.planned)
        );
        let open = |bounds: ErrorBounds| {
            let open = Interval { low: bounds.if_wrong, high: bounds.if_right };
            format::range(column.direction.interval(open), 0)
        };
        Cell {
            label: self.label.clone(),
            href: links::result(&gap.result),
            tint: "holed",
            text: gap.bounds.map_or_else(|| "incomplete".to_owned(), open),
            above: None,
            title: Some(title),
        }
    }
}

/// The figure of a row by which `sort` sorts.
fn figure(sort: &Sort, row: &Row) -> String {
    let share = |share: f64| format::points(share, 0);
    match sort {
        Sort::Cost => format::known(row.cost_per_solved, |cost| format::money(cost * 1_000.0)),
        Sort::Latency => format::known(row.latency_p50_ms, format::latency),
        Sort::Errors => format::count(row.errors),
        Sort::Runs => format::count(row.runs),
        Sort::WinRate => format::known(row.win_rate, |rate| format!("{}{THIN}%", share(rate))),
        Sort::AboveChance => format::known(row.above_chance, share),
        _ => format::day(row.last_run_at),
    }
}

/// How many runs were not finished, in short and at length.
fn unfinished(tried: &Attempts) -> Option<(String, String)> {
    let (note, short) = (tried.note()?, format!("{} not finished", tried.unfinished));
    let said =
        format!("{note}: over all revisions of the model, those that ended incomplete or cancelled included");
    Some((short, said))
}

/// The standard error of a cost per solved item, in short and at length.
fn cost_stderr(stderr: f64) -> (String, String) {
    let short = format!("SE{THIN}{}", format::money(stderr * 1_000.0));
    (short, "Standard error of the cost per 1,000 solved items".to_owned())
}

/// The 95th percentile of latencies, in short and at length.
fn tail(latency: f64) -> (String, String) {
    (format!("p95{THIN}{}", format::latency(latency)), "95 % of the answers took less".to_owned())
}

/// How far what is missing could move a score, in short and at length.
fn bounds(bounds: ErrorBounds) -> (String, String) {
    let [wrong, right] = [bounds.if_wrong, bounds.if_right].map(|score| format::points(score, 1));
    let dropped = bounds.if_dropped.map(|score| format!(", {} without them", format::points(score, 1)));
    let said = format!(
        "The score is {wrong} with what is missing counted as wrong{}, and {right} if it were right",
        dropped.unwrap_or_default()
    );
    (format!("≤{THIN}{right}"), said)
}

/// Classes of rows in the order of the board, or turned round, by their tie groups: every other group is tinted,
/// and each ends with a rule.
fn ties(groups: &[usize]) -> Vec<&'static str> {
    let class = |(at, group): (usize, &usize)| {
        let is_end = groups.get(at + 1).is_some_and(|next| next != group);
        match (group % 2 == 1, is_end) {
            (true, true) => "tie end",
            (true, false) => "tie",
            (false, true) => "end",
            (false, false) => "",
        }
    };
    groups.iter().enumerate().map(class).collect()
}

fn mean(row: &Row) -> Option<Mean> {
    row.summary.map(|summary| (summary.mean, summary.interval))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::stats::RankRange;

    #[test]
    fn one_rank_is_a_number_and_several_are_a_range() {
        let open = |low, high| format::ranks(Some(RankRange { low, high }), 2);
        assert_eq!([open(1, 3), open(2, 2), format::ranks(None, 2)], ["1–3", "2", "2"]);
    }

    #[test]
    fn every_other_group_is_tinted_and_rules_stand_between_them() {
        assert_eq!(ties(&[1, 1, 2, 3, 3]), ["tie", "tie end", "end", "tie", "tie"]);
        assert_eq!(ties(&[3, 2, 2]), ["tie end", "", ""]);
    }
}
