//! Scoring again: an answer that was given to an earlier run takes the place of a call.
//!
//! No model is asked, and what the answer took then is carried over: tokens, latency and cost say something about
//! the answer, whoever scores it. What could not be answered stays an error. Which cells may be scored again is
//! decided before, by the service.

use super::cells::Cell;
use super::{Machine, worker};
use crate::domain::cases::{CaseState, Record};
use crate::domain::id::RunKey;
use crate::error::Result;
use crate::store::answers::{self, Answer};
use crate::store::work_items::Leased;

use super::scorer::REFUSAL;

/// The code of a case that the earlier run had not come to when it was stopped.
const NEVER_ASKED: &str = "never_asked";
/// The code of a case whose earlier answer was removed since. What would come to that is refused before it begins.
const ANSWER_REMOVED: &str = "answer_removed";

/// Fills the record with what the earlier run was answered to this item, and scores that.
///
/// # Errors
/// The database's.
pub(super) async fn score(
    machine: &Machine,
    cell: &Cell,
    item: &Leased,
    earlier: RunKey,
    record: &mut Record,
) -> Result<()> {
    let place = (earlier, item.held.model, item.held.eval);
    let (sample, epoch) = (item.sample.key.clone(), item.held.epoch);
    let find = move |tx: &mut crate::store::Tx<'_>| answers::find(tx, place, &sample, epoch);
    let Some(answer) = machine.tools.store.read(find).await? else {
        unanswered(record, NEVER_ASKED, "the earlier run was stopped before it asked this");
        return Ok(());
    };
    if answer.is_removed {
        let why = "the answer was removed, since this server keeps answers for a limited time";
        unanswered(record, ANSWER_REMOVED, why);
        return Ok(());
    }
    let was_answered = answer.state != CaseState::Error;
    let is_refusal = answer.reason.as_deref() == Some(REFUSAL);
    take_over(record, answer);
    if was_answered {
        worker::score(machine, cell, item, is_refusal, record).await;
    }
    Ok(())
}

fn unanswered(record: &mut Record, code: &'static str, why: &str) {
    record.reason = Some("cancelled".into());
    record.error = Some(code.into());
    record.error_message = Some(why.to_owned());
}

/// Copies all that the earlier case says about the answer; what it says about the score only where there was no
/// answer to be scored.
fn take_over(record: &mut Record, answer: Answer) {
    record.prompt = answer.prompt;
    record.response = answer.response;
    record.reasoning = answer.reasoning;
    record.usage = answer.usage;
    record.raw = answer.raw;
    record.is_truncated = answer.is_truncated;
    record.latency_ms = answer.latency_ms;
    record.tokens = answer.tokens;
    record.price = answer.price;
    record.cost_usd = answer.cost_usd;
    if answer.state == CaseState::Error {
        record.reason = answer.reason.map(Into::into);
        record.error = answer.error.map(Into::into);
        record.error_message = answer.error_message;
    }
}
