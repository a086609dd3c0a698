//! One leased item, start to end: ask, score, record, in one screen. An item of a run that rescores takes what was
//! answered to an earlier run instead of asking.
//!
//! A call that may work later is not repeated here: the item goes back to the table with a time, so that its
//! wait survives a restart and holds up nobody.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use tokio::time::Instant;

use super::Machine;
use super::cells::{Callable, Cell};
use super::charge;
use super::endpoint_gate::ModelGate;
use super::judge::{self, Judgement, Submission};
use super::place::Place;
use super::provider::{Call, Failure, KEY_UNREADABLE, Reply, Retry, Usage};
use super::record::Finished;
use super::rescore;
use super::reservations::{Part, Reservation, Reserved};
use super::scorer::Outcome;
use crate::domain::cases::{CaseState, Record, Tokens};
use crate::domain::samples::Message;
use crate::domain::template;
use crate::domain::thinking::{self, Split};
use crate::domain::time::Millis;
use crate::error::{Error, Result};
use crate::store::Tx;
use crate::store::work_items::{self, Leased};

/// Items that wait together with one whose scorer cannot be asked.
const PUT_OFF: u32 = 2_000;
/// How often an item may fail by its own fault.
const TRIES: i64 = 5;
/// How often a worker may die on an item before it is given up as poison.
const EXPIRIES: i64 = 50;

/// Works on one item. Errors are ours (the store's): the lease runs out and the item comes back.
pub(super) async fn work(machine: Arc<Machine>, item: Leased, gate: ModelGate, place: &mut Place) {
    if let Err(cause) = attempt(&machine, &item, &gate, place).await {
        tracing::error!(item = item.held.key.0, error = ?cause, "an item could not be worked on");
        // The next try calls the provider again, which costs: not at once while we are the ones who fail.
        let retry_at = Millis::now().plus(millis(machine.pace.last_retry));
        if let Err(cause) = give_back(&machine, &item, item.tries, retry_at, None).await {
            tracing::warn!(item = item.held.key.0, error = ?cause, "its lease will have to run out");
        }
    }
}

async fn attempt(machine: &Arc<Machine>, item: &Leased, gate: &ModelGate, place: &mut Place) -> Result<()> {
    let Some(cell) = machine.cell(item.held.cell()).await? else {
        machine.litter.notify_one();
        return Ok(());
    };
    let rendered = template::render(&cell.prompt, &item.sample, &cell.scorer.shown_choices(&item.sample));
    let messages = cell.model.parameters.complete(rendered);
    let mut record = blank(&cell, item, &messages)?;
    if item.expiries >= EXPIRIES {
        fail(&mut record, "poison", "a worker died on this item again and again".to_owned());
        return store(machine, &cell, item, record).await;
    }
    if let Some(refusal) = machine.lending_refusal(&cell).await? {
        fail(&mut record, refusal.code(), refusal.to_string());
        return store(machine, &cell, item, record).await;
    }
    if let Some(open) = judge::hindrance(machine, &cell) {
        return put_off(machine, item, moment(open.until), open.reason).await;
    }
    let mut reservation = match machine.reserve(&cell, (&item.sample, &messages), place).await? {
        Reserved::Held(reservation) => reservation,
        Reserved::Stopped | Reserved::Stopping => return Ok(()),
    };
    if let Some(earlier) = cell.rescores {
        place.step_aside();
        rescore::score(machine, &cell, item, earlier, &mut record).await?;
        settle_grading(&mut reservation, &record);
        return store(machine, &cell, item, record).await;
    }
    let permit = match gate.enter().await {
        Ok(permit) => permit,
        Err(open) => {
            return give_back(machine, item, item.tries, moment(open.until), Some(open.reason)).await;
        }
    };
    // It stays leased, and is given back by the heartbeat.
    if machine.is_stopping() || !machine.can_store() {
        return Ok(());
    }
    let loan = match machine.borrow(&cell.model, &messages).await? {
        Ok(loan) => loan,
        Err(refusal) => {
            drop(permit);
            fail(&mut record, refusal.code(), refusal.to_string());
            return store(machine, &cell, item, record).await;
        }
    };
    place.begin_call();
    let answer = ask(machine, &cell.model, messages).await;
    // Before the permit is another's: a model that takes one call at a time is held to its cap exactly.
    machine.settle(loan, &answer).await;
    permit.report(&answer);
    match answer {
        Err(failure) => match retry_at(machine, item, gate, &failure) {
            Some((tries, at)) => return give_back(machine, item, tries, at, Some(failure.message)).await,
            None => {
                reservation.settle(Part::Model, Some(0.0));
                reservation.withdraw(Part::Grader);
                fail(&mut record, failure.code, failure.message);
            }
        },
        Ok(reply) => {
            let is_refusal = reply.refusal;
            take_in(&mut record, &cell, reply);
            reservation.settle(Part::Model, record.cost_usd);
            place.step_aside();
            score(machine, &cell, item, is_refusal, &mut record).await;
            settle_grading(&mut reservation, &record);
        }
    }
    // What the case cost stays reserved until it is recorded.
    store(machine, &cell, item, record).await
}

/// Holds what grading cost in place of its estimate.
fn settle_grading(reservation: &mut Reservation, record: &Record) {
    match record.transcript {
        Some(_) => reservation.settle(Part::Grader, record.grader_cost_usd),
        None => reservation.withdraw(Part::Grader),
    }
}

async fn ask(machine: &Machine, model: &Callable, messages: Vec<Message>) -> Result<Reply, Failure> {
    let endpoint = model.endpoint.as_ref().map_err(Clone::clone)?;
    let parameters = model.parameters.clone();
    let call = Call { messages, parameters, timeout: model.timeout, schema: None };
    machine.tools.providers.call(endpoint, &call).await
}

/// A record of which only the question is known.
pub(super) fn blank(cell: &Cell, item: &Leased, messages: &[Message]) -> Result<Record> {
    Ok(Record {
        state: CaseState::Error,
        score: None,
        reason: None,
        error: None,
        error_message: None,
        answer: None,
        prompt: serde_json::to_string(messages).map_err(Error::internal)?,
        response: String::new(),
        reasoning: None,
        score_details: "{}".to_owned(),
        transcript: None,
        usage: None,
        raw: None,
        is_truncated: false,
        is_self_graded: false,
        attempts: item.held.attempt,
        latency_ms: None,
        tokens: Tokens::default(),
        price: cell.price,
        cost_usd: None,
        grader_cost_usd: None,
        is_rescored: cell.rescores.is_some(),
    })
}

pub(super) fn fail(record: &mut Record, code: &'static str, message: String) {
    record.state = CaseState::Error;
    let reason = match code {
        "provider_timeout" => "timeout",
        KEY_UNREADABLE => KEY_UNREADABLE,
        _ => "provider_error",
    };
    record.reason = Some(reason.into());
    record.error = Some(code.into());
    record.error_message = Some(message);
}

/// Moves what the provider answered into the record.
fn take_in(record: &mut Record, cell: &Cell, reply: Reply) {
    record.tokens = tokens(&reply.usage);
    record.cost_usd = cell.model.cost(&record.tokens);
    record.response = reply.text;
    record.reasoning = reply.reasoning;
    record.usage = reply.usage.raw;
    record.raw = Some(reply.raw).filter(|raw| !raw.is_empty());
    record.is_truncated = reply.truncated;
    record.latency_ms = Some(millis(reply.latency));
}

/// The counts of tokens that a provider reported.
pub(super) const fn tokens(usage: &Usage) -> Tokens {
    Tokens {
        input: usage.input_tokens,
        cached_input: usage.cached_input_tokens,
        cache_write: usage.cache_write_tokens,
        output: usage.output_tokens,
        reasoning: usage.reasoning_tokens,
    }
}

/// Turns `record.response` into a score, or into the reason why there is none. Thinking in it is recorded with the
/// reasoning and is not scored; the response stays whole.
pub(super) async fn score(
    machine: &Machine,
    cell: &Cell,
    item: &Leased,
    is_refusal: bool,
    record: &mut Record,
) {
    let Split { answer, thinking } = cell.model.split(&record.response);
    record.reasoning = thinking::join(record.reasoning.take(), thinking);
    let judgement: Judgement = match answer {
        _ if is_refusal => Ok(Outcome::refused()).into(),
        None => Ok(Outcome::unfinished()).into(),
        Some(response) => judge::judge(Submission { machine, cell, sample: &item.sample, response }).await,
    };
    judgement.write(record);
}

async fn store(machine: &Arc<Machine>, cell: &Cell, item: &Leased, record: Record) -> Result<()> {
    let charge = charge::of(cell, &record);
    let passed = record.score.is_some_and(|score| cell.pass.passes(score));
    machine.record(Finished::new(item.held, record, passed, charge, Millis::now())).await
}

/// Gives an item back whose scorer cannot be asked before `until`, and lets the others of its cell wait as well: they
/// would come one by one to hear the same.
async fn put_off(machine: &Machine, item: &Leased, until: Millis, why: String) -> Result<()> {
    let (item, tries) = (item.held, item.tries);
    machine.hold_back((item.run, item.model), until, why.clone());
    let putting_off = move |tx: &mut Tx<'_>| {
        work_items::give_back(tx, &item, tries, until, Some(&why))?;
        work_items::postpone(tx, item.cell(), until, PUT_OFF)
    };
    machine.tools.store.write(putting_off).await?;
    machine.stir();
    Ok(())
}

async fn give_back(
    machine: &Machine,
    item: &Leased,
    tries: i64,
    run_after: Millis,
    why: Option<String>,
) -> Result<()> {
    let item = item.held;
    let giving = move |tx: &mut Tx<'_>| work_items::give_back(tx, &item, tries, run_after, why.as_deref());
    machine.tools.store.write(giving).await?;
    machine.stir();
    Ok(())
}

/// When to ask again, and how many tries are spent then; none when it is of no use.
fn retry_at(machine: &Machine, item: &Leased, gate: &ModelGate, failure: &Failure) -> Option<(i64, Millis)> {
    let Retry::Later { after, counts } = failure.retry else { return None };
    let open = gate.status().open;
    // An endpoint that is down is not the item's fault.
    let tries = item.tries + i64::from(counts && open.is_none());
    if tries >= TRIES {
        return None;
    }
    let pause = after.unwrap_or_else(|| back_off(machine, item.held.attempt));
    let pause = Millis::now().plus(millis(pause));
    Some((tries, open.map_or(pause, |open| moment(open.until).max(pause))))
}

/// That instant on the clock that the store knows.
pub(super) fn moment(instant: Instant) -> Millis {
    Millis::now().plus(millis(instant.saturating_duration_since(Instant::now())))
}

/// Exponential with full jitter: anything from nothing to the bound, which doubles with every attempt.
fn back_off(machine: &Machine, attempt: i64) -> Duration {
    let doublings = u32::try_from(attempt.clamp(1, 16) - 1).unwrap_or(0);
    let bound = machine.pace.first_retry.saturating_mul(1 << doublings).min(machine.pace.last_retry);
    bound.mul_f64(rand::rng().random())
}

pub(super) fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
