//! The board's table: heads that sort, and rows as text and drawings. Built from ranked rows, and pure.
//!
//! It decides how a value looks, never who stands where.

use crate::domain::leaderboard::{BoardCell, Column, Row};
use crate::http::pages::score::{Mean, Scale, Score};
use crate::http::pages::{format, links};

use super::question::{Question, Sort};

/// Longest eval name that is repeated beside a score where a row is a card, in characters.
const LONGEST_LABEL: usize = 16;
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
    /// Over cost, latency, errors, runs and date.
    pub rest: Vec<Head>,
    /// Rows with a rank.
    pub ranked: Vec<Line>,
    /// Rows below the line.
    pub unranked: Vec<Line>,
}

/// A head that sorts.
#[derive(Debug)]
pub struct Head {
    /// What it says.
    pub label: &'static str,
    /// The same at length.
    pub title: &'static str,
    /// Where it leads.
    pub sorter: Sorter,
}

/// The head of an eval.
#[derive(Debug)]
pub struct EvalHead {
    /// The eval's name.
    pub name: String,
    /// The eval itself.
    pub href: String,
    /// Why it does not count for the ranking, in a word and in a sentence.
    pub apart: Option<(&'static str, &'static str)>,
    /// Sorts by it.
    pub sorter: Sorter,
}

/// A link that sorts, and whether the table is sorted by it already.
#[derive(Debug)]
pub struct Sorter {
    /// The board sorted so.
    pub href: String,
    /// The value of `aria-sort`, if it is sorted so.
    pub aria: Option<&'static str>,
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
    /// Mean over the suite.
    pub score: Option<Score>,
    /// Its scores per eval, in the order of the heads.
    pub cells: Vec<Option<Cell>>,
    /// Cost, latency, errors, runs and date, in the order of the heads.
    pub rest: [String; 5],
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
}

impl Table {
    /// The table of `rows`, which are those that `question` admits in the order it asks for.
    #[must_use]
    pub fn new(question: &Question, columns: &[Column], rows: &[Row]) -> Self {
        let looks = Looks::of(columns, rows);
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
            evals: columns.iter().map(|column| eval_head(question, column)).collect(),
            rest: rest(question),
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

    /// Columns in all.
    #[must_use]
    pub const fn width(&self) -> usize {
        4 + self.evals.len() + self.rest.len()
    }
}

fn rest(question: &Question) -> Vec<Head> {
    let heads = [
        (Sort::Cost, "$ / 1k", "US dollars per 1,000 solved items; unknown as soon as one price is"),
        (Sort::Latency, "p50", "Median latency of an answer"),
        (Sort::Errors, "Errors", "Cases that could not be measured; they count as wrong"),
        (Sort::Runs, "Runs", "The most complete runs on one of the evals; the latest counts, not the best"),
        (Sort::Date, "Date", "When the latest result was finished"),
    ];
    heads.into_iter().map(|(sort, label, title)| head(question, sort, label, title)).collect()
}

fn head(question: &Question, sort: Sort, label: &'static str, title: &'static str) -> Head {
    Head { label, title, sorter: sorter(question, sort) }
}

fn eval_head(question: &Question, column: &Column) -> EvalHead {
    EvalHead {
        name: column.name.clone(),
        href: links::eval(&column.id),
        apart: apart(column),
        sorter: sorter(question, Sort::Eval(column.id.clone())),
    }
}

fn apart(column: &Column) -> Option<(&'static str, &'static str)> {
    if column.counts {
        None
    } else if column.is_provisional {
        Some(("provisional", "Too few models have it yet: it counts for nothing"))
    } else {
        Some(("left out", "It was given a weight of 0: it counts for nothing"))
    }
}

fn sorter(question: &Question, sort: Sort) -> Sorter {
    let aria = (question.sort == sort).then(|| question.order.aria());
    Sorter { href: question.sorted(sort).address(), aria }
}

/// What the rows of one table share.
struct Looks {
    scale: Scale,
    /// Of each eval its name and most decimals.
    evals: Vec<(String, usize)>,
}

impl Looks {
    fn of(columns: &[Column], rows: &[Row]) -> Self {
        let means: Vec<Mean> = rows.iter().filter_map(mean).collect();
        let cells = |at: usize| rows.iter().filter_map(move |row| row.cells.get(at).and_then(Option::as_ref));
        let widest = |at| cells(at).map(|cell| format::decimals(cell.interval)).max().unwrap_or(0);
        let named = columns.iter().enumerate();
        Self {
            scale: Scale::over(&means),
            evals: named
                .map(|(at, column)| (format::shortened(&column.name, LONGEST_LABEL), widest(at)))
                .collect(),
        }
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
            is_baseline: model.provider.as_deref() == Some("builtin"),
            part: row.rank.is_none().then(|| format!("{} of {} evals", row.measured, row.suite)),
            score: mean(row).map(|mean| self.scale.show(mean)),
            cells: row
                .cells
                .iter()
                .zip(&self.evals)
                .map(|(cell, look)| Some(self::cell(cell.as_ref()?, look)))
                .collect(),
            rest: [
                format::known(row.cost_per_solved, |cost| format::money(cost * 1_000.0)),
                format::known(row.latency_p50_ms, format::latency),
                format::count(row.errors),
                format::count(row.runs),
                format::day(row.last_run_at),
            ],
        }
    }
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

fn cell(cell: &BoardCell, (label, widest): &(String, usize)) -> Cell {
    let tint = TINTS.iter().find(|(from, _)| cell.score >= *from).map_or("", |(_, class)| class);
    Cell {
        label: label.clone(),
        href: links::result(&cell.result),
        tint: if cell.counts { tint } else { "provisional" },
        text: format::aligned(cell.score, format::decimals(cell.interval), *widest),
    }
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
