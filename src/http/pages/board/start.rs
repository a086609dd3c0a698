//! The board before anything is ranked: the steps that fill it, from the first key on, and how far one has come.

use askama::Template;

use super::NEWEST;
use crate::domain::runs::Run;
use crate::error::Result;
use crate::http::pages::page::Meta;
use crate::http::pages::{format, links};
use crate::store::{self, Tx};

/// The page.
#[derive(Template)]
#[template(path = "start.html", whitespace = "minimize")]
pub(super) struct Start {
    meta: Meta,
    public_url: String,
    /// What is there already of models, evals and runs.
    models: Option<String>,
    evals: Option<String>,
    run: Option<String>,
}

impl Start {
    /// Reads how far one has come; `newest` is the newest run.
    ///
    /// # Errors
    /// The database's.
    pub(super) fn read(tx: &mut Tx<'_>, public_url: &str, newest: Option<&Run>) -> Result<Self> {
        let models = store::models::list(tx, NEWEST)?.total;
        let evals = store::evals::list(tx, NEWEST)?.total;
        let some = |total: i64, noun: &str| (total > 0).then(|| format::counted(total, noun));
        let description = "A public evals leaderboard. Nothing is ranked here yet.";
        Ok(Self {
            meta: Meta::new(public_url, links::BOARD, "Leaderboard", description),
            public_url: public_url.to_owned(),
            models: some(models, "model"),
            evals: some(evals, "eval"),
            run: newest.map(progress),
        })
    }
}

/// Where a run stands, in words.
fn progress(run: &Run) -> String {
    let state = run.state.as_str();
    format!("{state}, {} of {} cases", format::count(run.case_done), format::count(run.case_total))
}
