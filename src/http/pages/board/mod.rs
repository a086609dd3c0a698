//! The board: the ranked table with its filters and sorts, or how to fill it when nothing is ranked yet.
//!
//! It draws what was ranked elsewhere, with what the tests say of the order.

pub mod certainty;
pub mod chart;
pub mod columns;
pub mod costs;
pub mod downloads;
pub mod heads;
pub mod labels;
pub mod question;
mod start;
pub mod table;
pub mod weighing;

use std::collections::BTreeMap;

use actix_web::web::Data;
use askama::Template;

use self::certainty::Certainty;
use self::chart::Chart;
use self::columns::Choosing;
use self::downloads::Download;
use self::question::{Params, Question};
use self::start::Start;
use self::table::Table;
use self::weighing::Weighing;
use super::page::{self, Meta};
use super::{format, links};
use crate::domain::id::EvalKey;
use crate::domain::leaderboard::{Board, BoardCell, LOOKS_DAYS, day_of};
use crate::domain::page::Page;
use crate::domain::runs::Run;
use crate::domain::time::Millis;
use crate::error::Result;
use crate::http::{Answered, Reads, Site, View};
use crate::leaderboard::{Leaderboard, Material};
use crate::service::endpoints::Endpoints;
use crate::store::{self, Topic, Tx};

/// All that the page is made from.
const TOPICS: &[Topic] = &[Topic::Models, Topic::Evals, Topic::Board, Topic::Runs];
/// Most rows that the chart below the table is drawn of.
const CHARTED: usize = 40;
/// Only the newest row of a list.
const NEWEST: Page = Page { limit: 1, after: None };

#[derive(Template)]
#[template(path = "board.html", whitespace = "minimize")]
struct BoardPage {
    meta: Meta,
    /// What is ranked.
    lede: Lede,
    filters: Filters,
    weighing: Weighing,
    choosing: Choosing,
    /// What the form of a day must keep: name and value.
    kept: Vec<(&'static str, String)>,
    /// The day of a past board, as the form has it.
    day: String,
    /// The moment that the board is of, and the way back.
    past: Option<Past>,
    /// Which results the scores are over, and the other choice; none for a past board.
    pooling: Option<Pooling>,
    /// How often the board was ranked anew; none where it never was.
    looks: Option<String>,
    /// How sure the order is.
    certainty: Certainty,
    table: Table,
    /// None where it would make the page long: then it has a page of its own.
    chart: Option<Chart>,
    chart_href: String,
    downloads: Vec<Download>,
}

/// The line above the table.
struct Lede {
    models: String,
    evals: String,
    items: String,
    /// When the latest result was finished, for people and for programs.
    updated: Option<(String, String)>,
    /// The run that is under way.
    run: Option<UnderWay>,
}

/// A run that is not over.
struct UnderWay {
    href: String,
    done: String,
    total: String,
}

/// A board that is past.
struct Past {
    /// When, for people and for programs.
    at: (String, String),
    /// The same board as it stands.
    href: String,
}

/// Which results the scores are over.
struct Pooling {
    /// How many results a score is over at most, where they are pooled.
    pooled: Option<String>,
    /// The board with the other choice.
    href: String,
}

impl Pooling {
    /// None where there is nothing to choose.
    fn of(question: &Question, board: &Board) -> Option<Self> {
        let (runs, pooled) = board
            .rows
            .iter()
            .fold((0, 1), |(runs, pooled), row| (row.runs.max(runs), row.pooled.max(pooled)));
        let has_choice = question.as_of.is_none() && (question.is_pooled || runs > 1);
        has_choice.then(|| Self {
            pooled: question.is_pooled.then(|| format::counted(pooled, "run")),
            href: question.pooled(!question.is_pooled).address(),
        })
    }
}

/// `30 times in 30 days`; none where no run ranked the board.
fn looks(board: &Board) -> Option<String> {
    let noun = if board.looks == 1 { "time" } else { "times" };
    (board.looks > 0).then(|| format!("{} {noun} in {LOOKS_DAYS} days", format::count(board.looks)))
}

/// What narrows the table.
struct Filters {
    kinds: [Kind; 3],
    search: String,
    categories: Vec<String>,
    category: Option<String>,
    /// What the form must keep: name and value.
    kept: Vec<(&'static str, String)>,
    /// How many rows of how many are hidden, and where they are not.
    hidden: Option<Hidden>,
}

/// A link to the rows of one kind.
struct Kind {
    label: &'static str,
    href: String,
    is_current: bool,
}

/// Rows that a filter hides.
struct Hidden {
    rows: String,
    of: String,
    href: String,
}

/// Answers `GET /`.
pub(super) async fn show(reads: Reads<Params>, site: Data<Site>) -> Answered {
    let question = Question::parse(reads.params.clone(), Millis::now())?;
    let (public_url, kept) = (site.public_url.clone(), site.app.leaderboard.clone());
    let endpoints = reads.endpoints()?;
    let _turn = kept.turn(&question.rough_scope()).await?;
    let view = move |tx: &mut Tx<'_>| view(tx, &kept, &question, &endpoints, &public_url);
    reads.answer(TOPICS, view).await
}

fn view(
    tx: &mut Tx<'_>,
    kept: &Leaderboard,
    question: &Question,
    endpoints: &Endpoints,
    public_url: &str,
) -> Result<View> {
    let run = store::runs::list(tx, NEWEST)?.rows.into_iter().next();
    let Some((board, categories)) = ranked(tx, kept, question)? else {
        return page::view(&Start::read(tx, public_url, run.as_ref())?);
    };
    let board = endpoints.veil(tx)?.board(board);
    let run = run.filter(|run| run.state.is_open() && question.as_of.is_none());
    page::view(&board_page(question, board, categories, run.as_ref(), public_url)?)
}

/// The board in the scope of `question`, with all categories there are; none while nothing is measured.
fn ranked(tx: &mut Tx<'_>, kept: &Leaderboard, question: &Question) -> Result<Option<(Board, Vec<String>)>> {
    let material = Material::read(tx, question.as_of)?;
    if material.is_empty() && question.as_of.is_none() {
        return Ok(None);
    }
    let categories = Vec::from_iter(material.categories());
    let scope = question.scope(&categories)?;
    Ok(Some((kept.rank(tx, material, &scope)?, categories)))
}

fn board_page(
    question: &Question,
    mut board: Board,
    categories: Vec<String>,
    run: Option<&Run>,
    public_url: &str,
) -> Result<BoardPage> {
    let lede = Lede::of(&board, run);
    let all = board.rows.len();
    question.arrange(&mut board.rows, &board.columns)?;
    board.rows.retain(|row| question.admits(row));
    let description =
        format!("{} ranked on {}, with the uncertainty of every score.", lede.models, lede.evals);
    Ok(BoardPage {
        meta: Meta::new(public_url, links::BOARD, "Leaderboard", description),
        lede,
        filters: Filters::of(question, categories, all, board.rows.len()),
        weighing: Weighing::of(question, &board),
        choosing: Choosing::of(question, &board.columns),
        kept: kept(question, &["as_of", "pool"]),
        pooling: Pooling::of(question, &board),
        looks: looks(&board),
        day: question.as_of.map_or_else(String::new, day_of),
        past: question
            .as_of
            .map(|at| Past { at: (at.to_minute(), at.to_rfc3339()), href: question.of_now().address() }),
        certainty: Certainty::of(&board),
        table: Table::new(question, &board),
        chart: (board.rows.len() <= CHARTED).then(|| Chart::of(&board.rows)),
        chart_href: downloads::kept(question, links::COSTS, &[]),
        downloads: downloads::of(question),
    })
}

/// `12 models ranked on 6 evals, 710 items`
pub(super) fn ranked_on(board: &Board) -> String {
    let Lede { models, evals, items, .. } = Lede::of(board, None);
    format!("{models} ranked on {evals}, {items}")
}

impl Lede {
    fn of(board: &Board, run: Option<&Run>) -> Self {
        let ranked = board.rows.iter().filter(|row| row.rank.is_some()).count();
        let evals = board.columns.iter().filter(|column| column.counts).count();
        let updated = board.rows.iter().map(|row| row.last_run_at).max();
        Self {
            models: format::counted(size(ranked), "model"),
            evals: format::counted(size(evals), "eval"),
            items: format::counted(
                items(board.rows.iter().flat_map(|row| row.cells.iter().flatten())),
                "item",
            ),
            updated: updated.map(|at| (at.to_minute(), at.to_rfc3339())),
            run: run.map(|run| UnderWay {
                href: links::run(&run.id),
                done: format::count(run.case_done),
                total: format::count(run.case_total),
            }),
        }
    }
}

/// Items of all evals that count, each taken once.
fn items<'c>(cells: impl Iterator<Item = &'c BoardCell>) -> i64 {
    let mut largest: BTreeMap<EvalKey, i64> = BTreeMap::new();
    for cell in cells.filter(|cell| cell.counts) {
        let items = largest.entry(cell.eval).or_default();
        *items = cell.items.max(*items);
    }
    largest.values().sum()
}

impl Filters {
    fn of(question: &Question, categories: Vec<String>, all: usize, shown: usize) -> Self {
        let is_filtered = *question != question.unfiltered();
        Self {
            kinds: kinds(question),
            search: question.search.clone(),
            category: question.category.clone(),
            categories,
            kept: kept(question, &["q", "category"]),
            hidden: is_filtered.then(|| Hidden {
                rows: format::count(size(all.saturating_sub(shown))),
                of: format::count(size(all)),
                href: question.unfiltered().address(),
            }),
        }
    }

    /// Whether there is more than one category to choose from.
    fn has_categories(&self) -> bool {
        self.categories.len() > 1 || self.category.is_some()
    }
}

/// What a form keeps of `question` that does not ask for `asked` itself: name and value.
fn kept(question: &Question, asked: &[&str]) -> Vec<(&'static str, String)> {
    let kept = question.pairs().into_iter().filter(|(name, _)| !asked.contains(name));
    kept.map(|(name, value)| (name, value.into_owned())).collect()
}

fn kinds(question: &Question) -> [Kind; 3] {
    let kind = |label, official, open_weights| {
        let asked = Question { official, open_weights, ..question.clone() };
        Kind { label, href: asked.address(), is_current: asked == *question }
    };
    [kind("All", false, false), kind("Official", true, false), kind("Open weights", false, true)]
}

fn size(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
