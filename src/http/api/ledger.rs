//! The ledger as JSON: what moved the board, who did it and why. It is only read here.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::wire::PageParams;
use crate::domain::ledger::Line;
use crate::domain::page::Page;
use crate::http::{Answered, Reads, View};
use crate::store::{self, Topic};

/// A line of the ledger.
#[derive(Serialize, ToSchema)]
pub struct LedgerLine {
    /// Its number.
    number: i64,
    at: i64,
    /// `inserted`, `corrected`, `rescored`, `overruled` (a person's verdict stands before the scorer's), `reinstated`
    /// (the scorer's counts again), `withdrawn` or `led` (took the lead of the board).
    action: &'static str,
    /// `model`, `eval`, `run` or `case`.
    noun: &'static str,
    /// The thing's id.
    subject: String,
    /// What it was called then.
    name: String,
    /// What changed, in words.
    summary: String,
    /// Why, as the person said it; may be empty.
    reason: String,
    /// Null for what nobody did.
    submitted_by: Option<String>,
    /// The same person as an id that never changes.
    user_id: Option<String>,
    /// SHA-256 of what anybody could see of it before; null for what is new.
    before_digest: Option<String>,
    /// The same of what it is since; null for what is gone.
    after_digest: Option<String>,
    /// The hash of the line before; 64 zeros before the first.
    previous_hash: String,
    /// SHA-256 of the JSON array `[previous_hash, at, user_id, action, noun, subject, name, summary, reason,
    /// before_digest, after_digest]` without white space.
    hash: String,
}

impl From<Line> for LedgerLine {
    fn from(line: Line) -> Self {
        let event = line.event;
        Self {
            number: line.key.0,
            at: line.at.0,
            action: event.action.as_str(),
            noun: event.noun.as_str(),
            subject: event.subject,
            name: event.name,
            summary: event.summary,
            reason: event.reason,
            submitted_by: line.submitted_by,
            user_id: event.by.map(|(_, id)| id.into()),
            before_digest: event.before,
            after_digest: event.after,
            previous_hash: line.previous_hash,
            hash: line.hash,
        }
    }
}

/// Which lines.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LedgerQuery {
    /// Only those of the model, eval, run or case of that id.
    subject: Option<String>,
    #[param(ignore)]
    limit: Option<String>,
    #[param(ignore)]
    cursor: Option<String>,
}

/// What moved the board, the newest first: an append-only record in which every line names the hash of the one before.
#[utoipa::path(get, path = "/api/v1/ledger", tag = "Ledger", params(LedgerQuery, PageParams), responses((status = 200, description = "A page of the list", body = [LedgerLine])))]
pub async fn list(reads: Reads<LedgerQuery>) -> Answered {
    let page = Page::parse(&reads.list(), reads.params.limit.as_deref(), reads.params.cursor.as_deref())?;
    let subject = reads.params.subject.clone();
    reads
        .answer(&[Topic::Ledger], move |tx| {
            View::list(store::ledger::list(tx, subject.as_deref(), page)?.map(LedgerLine::from))
        })
        .await
}
