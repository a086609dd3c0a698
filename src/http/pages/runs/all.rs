//! Every run on one page, newest first: what it asked, how far it is, what failed.

use actix_web::web::Data;
use askama::Template;

use super::{Progress, State, TOPICS, plan, progress, settled, state};
use crate::domain::page::Slice;
use crate::domain::runs::Run;
use crate::http::pages::page::{self, Meta, Pager, Params};
use crate::http::pages::{format, links};
use crate::http::{Answered, Reads, Site};
use crate::store;

/// Runs of one page.
const RUNS: u32 = 50;
/// Longest remark in a table, in characters.
const LONGEST_NOTE: usize = 80;

#[derive(Template)]
#[template(path = "runs.html", whitespace = "minimize")]
struct RunsPage {
    meta: Meta,
    public_url: String,
    runs: Vec<Entry>,
    pager: Pager,
}

/// A run of the list.
struct Entry {
    href: String,
    started: String,
    state: State,
    /// `12 models × 6 evals`.
    plan: String,
    /// Whether it scores the answers of an earlier run again.
    is_rescore: bool,
    progress: Progress,
    errors: String,
    cost: String,
    by: String,
    notes: String,
}

/// Answers `GET /runs`.
pub(in crate::http::pages) async fn list(reads: Reads<Params>, site: Data<Site>) -> Answered {
    let cursor = reads.params.cursor.clone();
    let part = page::part(&reads.list(), RUNS, cursor.as_deref())?;
    let public_url = site.public_url.clone();
    reads
        .answer(TOPICS, move |tx| {
            let runs = store::runs::list(tx, part)?;
            let is_open = runs.rows.iter().any(|run| run.state.is_open());
            settled(is_open, page::view(&runs_page(&runs, cursor.as_deref(), &public_url))?)
        })
        .await
}

fn runs_page(runs: &Slice<Run>, cursor: Option<&str>, public_url: &str) -> RunsPage {
    RunsPage {
        meta: Meta::new(
            public_url,
            links::RUNS,
            "Runs",
            "Every run: what it asked, how far it is, what failed.",
        ),
        public_url: public_url.to_owned(),
        runs: runs.rows.iter().map(entry).collect(),
        pager: Pager::new(runs, "run", links::RUNS, &[], cursor),
    }
}

/// Whoever started it: a person, or a schedule.
fn by(run: &Run) -> String {
    match &run.schedule {
        Some((_, name)) => format!("schedule {name}"),
        None => run.triggered_by.clone(),
    }
}

fn entry(run: &Run) -> Entry {
    Entry {
        href: links::run(&run.id),
        started: run.started_at.to_minute(),
        state: state(run.state),
        plan: plan(run),
        is_rescore: run.rescores.is_some(),
        progress: progress(run.case_done, run.case_total),
        errors: format::count(run.case_errors),
        cost: format::known(run.cost_usd, format::money),
        by: by(run),
        notes: format::shortened(&run.settings.notes, LONGEST_NOTE),
    }
}
