//! The heads of the board's table: what each says, and the link that sorts by it.
//!
//! Which of them there are is the question's to say.

use super::columns::REST;
use super::question::{Question, Sort};
use crate::domain::leaderboard::Column;
use crate::http::pages::links;

/// Longest word of a name that sets the width of its column, in characters.
const MAX_WORD: usize = 18;

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
    /// The same with its direction.
    pub title: String,
    /// Its direction, where that is not the usual one.
    pub direction: Option<&'static str>,
    /// The eval itself.
    pub href: String,
    /// Why it does not count for the ranking, in a word and in a sentence.
    pub apart: Option<(&'static str, &'static str)>,
    /// Sorts by it.
    pub sorter: Sorter,
}

impl EvalHead {
    /// Whether a word of the name is too long to set the width of its column.
    #[must_use]
    pub fn is_endless(&self) -> bool {
        self.name.split([' ', '-']).any(|word| word.chars().nth(MAX_WORD).is_some())
    }
}

/// A link that sorts, and whether the table is sorted by it already.
#[derive(Debug)]
pub struct Sorter {
    /// The board sorted so.
    pub href: String,
    /// The value of `aria-sort`, if it is sorted so.
    pub aria: Option<&'static str>,
}

/// The heads behind the evals.
pub(super) fn rest(question: &Question) -> Vec<Head> {
    shown_rest(question)
        .map(|sort| {
            let (label, title) = words(&sort);
            head(question, sort, label, title)
        })
        .collect()
}

/// The columns behind the evals that `question` asks for.
pub(super) fn shown_rest(question: &Question) -> impl Iterator<Item = Sort> {
    REST.into_iter().filter(|sort| question.columns.has(sort.as_str()))
}

/// What the head of a column behind the evals says, and the same at length.
const fn words(sort: &Sort) -> (&'static str, &'static str) {
    match sort {
        Sort::Cost => ("$ / 1k", "US dollars per 1,000 solved items; unknown as soon as one price is"),
        Sort::Latency => ("p50", "Median latency of an answer"),
        Sort::Errors => ("Errors", "Cases that could not be measured; they count as wrong"),
        Sort::Runs => ("Runs", "The most complete runs on one of the evals; the latest counts, not the best"),
        Sort::WinRate => (
            "Win rate",
            "Mean share of the other ranked models that it scores higher than on an eval, ties as halves: it changes \
             with who else is ranked, and ranks nobody here",
        ),
        Sort::AboveChance => (
            "Above chance",
            "The mean where what guessing gets is 0 and all right is 100, on the evals that say what guessing gets",
        ),
        _ => ("Date", "When the latest result was finished"),
    }
}

/// What the column behind the evals that is sorted by `sort` is called.
#[must_use]
pub const fn label(sort: &Sort) -> &'static str {
    words(sort).0
}

/// A head that sorts by `sort`.
pub(super) fn head(question: &Question, sort: Sort, label: &'static str, title: &'static str) -> Head {
    Head { label, title, sorter: sorter(question, sort) }
}

/// The head of an eval.
pub(super) fn eval_head(question: &Question, column: &Column) -> EvalHead {
    EvalHead {
        name: column.name.clone(),
        title: column.direction.headed(&column.name),
        direction: (!column.direction.is_higher()).then_some("lower is better"),
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
