//! The ledger for people, and as a feed for their readers.

use actix_web::web::Data;
use askama::Template;

use super::links;
use super::page::{self, Meta, Pager, Params};
use crate::domain::id::{CaseId, EvalId, ModelId, RunId};
use crate::domain::ledger::{Action, Line, Noun};
use crate::domain::page::Page;
use crate::error::{Error, Result};
use crate::http::{Answered, Reads, Site, View};
use crate::store::{self, Topic};

/// Lines of one page.
const LINES: u32 = 100;
/// Lines of the feed.
const NEWS: Page = Page { limit: 50, after: None };

#[derive(Template)]
#[template(path = "ledger.html", whitespace = "minimize")]
struct LedgerPage {
    meta: Meta,
    public_url: String,
    lines: Vec<Entry>,
    pager: Pager,
}

#[derive(Template)]
#[template(path = "feed.xml", escape = "html")]
struct Feed {
    public_url: String,
    updated: String,
    lines: Vec<Entry>,
}

/// A line.
struct Entry {
    number: i64,
    /// For people and for programs.
    at: (String, String),
    /// What happened, in words.
    what: String,
    class: &'static str,
    name: String,
    href: String,
    summary: String,
    reason: String,
    by: Option<String>,
    /// Its hash, in short and whole.
    hash: (String, String),
}

impl Entry {
    fn new(line: Line) -> Self {
        let event = line.event;
        let (what, class) = words(event.action, event.noun);
        Self {
            number: line.key.0,
            at: (line.at.to_minute(), line.at.to_rfc3339()),
            what: what.to_owned(),
            class,
            href: href(event.noun, &event.subject),
            name: if event.name.is_empty() { event.subject } else { event.name },
            summary: event.summary,
            reason: event.reason,
            by: line.submitted_by,
            hash: (line.hash.chars().take(12).collect(), line.hash),
        }
    }
}

/// What happened, in words and as a class.
const fn words(action: Action, noun: Noun) -> (&'static str, &'static str) {
    match (action, noun) {
        (Action::Inserted, Noun::Model) => ("new model", "good"),
        (Action::Inserted, Noun::Eval) => ("new eval", "good"),
        (Action::Inserted, Noun::Run) => ("new run", "good"),
        (Action::Corrected, Noun::Model) => ("model changed", "part"),
        (Action::Corrected, Noun::Eval) => ("eval changed", "part"),
        (Action::Corrected, Noun::Run) => ("run changed", "part"),
        (Action::Inserted | Action::Corrected | Action::Withdrawn, Noun::Case) => ("case changed", "part"),
        (Action::Rescored, _) => ("rescored", "part"),
        (Action::Overruled, _) => ("verdict overruled", "part"),
        (Action::Reinstated, _) => ("verdict reinstated", "part"),
        (Action::Withdrawn, Noun::Model) => ("model withdrawn", "bad"),
        (Action::Withdrawn, Noun::Eval) => ("eval withdrawn", "bad"),
        (Action::Withdrawn, Noun::Run) => ("run withdrawn", "bad"),
        (Action::Led, _) => ("takes the lead", "official"),
    }
}

fn href(noun: Noun, subject: &str) -> String {
    let subject = subject.to_owned();
    match noun {
        Noun::Model => links::model(&ModelId::from(subject)),
        Noun::Eval => links::eval(&EvalId::from(subject)),
        Noun::Run => links::run(&RunId::from(subject)),
        Noun::Case => links::case(&CaseId::from(subject)),
    }
}

/// Answers `GET /ledger`.
pub(super) async fn show(reads: Reads<Params>, site: Data<Site>) -> Answered {
    let cursor = reads.params.cursor.clone();
    let part = page::part(&reads.list(), LINES, cursor.as_deref())?;
    let public_url = site.public_url.clone();
    reads
        .answer(&[Topic::Ledger], move |tx| {
            let slice = store::ledger::list(tx, None, part)?;
            let pager = Pager::new(&slice, "line", links::LEDGER, &[], cursor.as_deref());
            let description = "What moved the board: who did it, when and why. Lines are only added.";
            page::view(&LedgerPage {
                meta: Meta::new(&public_url, links::LEDGER, "Ledger", description),
                lines: slice.rows.into_iter().map(Entry::new).collect(),
                pager,
                public_url,
            })
        })
        .await
}

/// Answers `GET /feed.xml`: the newest lines as Atom.
pub(super) async fn feed(reads: Reads, site: Data<Site>) -> Answered {
    let public_url = site.public_url.clone();
    reads
        .answer(&[Topic::Ledger], move |tx| {
            let lines: Vec<Entry> =
                store::ledger::list(tx, None, NEWS)?.rows.into_iter().map(Entry::new).collect();
            atom(lines, public_url)
        })
        .await
}

fn atom(lines: Vec<Entry>, public_url: String) -> Result<View> {
    // Before the first line there is no moment to name but the first of all.
    let updated = lines.first().map_or_else(|| "1970-01-01T00:00:00Z".to_owned(), |line| line.at.1.clone());
    let feed = Feed { public_url, updated, lines };
    Ok(View::bytes("application/atom+xml; charset=utf-8", feed.render().map_err(Error::internal)?))
}
