//! Reserving what one case may cost, before any call of it.

use super::accounts::{Account, Funds};
use super::{Admission, Draw, Part, PricedModel, Reading, Reservation, estimate};
use crate::domain::id;
use crate::domain::samples::{Message, Sample};
use crate::domain::time::Millis;
use crate::engine::Machine;
use crate::engine::cells::{Callable, Cell};
use crate::engine::endpoint_gate::endpoint_of;
use crate::engine::grade;
use crate::engine::place::Place;
use crate::engine::scorer::{Graded, Scorer, Way};
use crate::error::Result;
use crate::store::{Tx, runs};

/// The outcome of reserving.
pub(in crate::engine) enum Reserved {
    /// The case may be asked.
    Held(Reservation),
    /// It may not: a budget or cap is spent, and its run was stopped.
    Stopped,
    /// The machine stops.
    Stopping,
}

impl Machine {
    /// Reserves the most that a case is expected to cost, against every account that it draws on. Where that does not fit
    /// it waits for other cases to end, outside its queue, so that it holds up no other run.
    ///
    /// # Errors
    /// The database's.
    pub(in crate::engine) async fn reserve(
        &self,
        cell: &Cell,
        (sample, messages): (&Sample, &[Message]),
        place: &mut Place,
    ) -> Result<Reserved> {
        let draws = draws(cell, sample, messages);
        if draws.is_empty() {
            return Ok(Reserved::Held(self.reservations.hold(Vec::new())));
        }
        loop {
            let admission = self.reservations.lock().admit(&draws, Millis::now());
            match admission {
                Admission::Granted(granted) => {
                    let held = self.reservations.hold(granted);
                    place.end_wait();
                    return Ok(Reserved::Held(held));
                }
                Admission::Unread(unread) => self.read_funds(self.reservations.reading(unread)).await?,
                // The sender lives as long as the account, which is kept while somebody waits.
                Admission::BeingRead(mut changed) => drop(changed.changed().await),
                Admission::Wait(mut changed) => {
                    place.begin_wait();
                    tokio::select! {
                        _ = changed.changed() => {}
                        () = self.stopped() => return Ok(Reserved::Stopping),
                    }
                }
                Admission::Spent(account) if self.stop_spent(cell, account).await? => {
                    return Ok(Reserved::Stopped);
                }
                // There is more again: a cap was raised, or a new day has begun.
                Admission::Spent(_) => {}
            }
        }
    }

    async fn read_funds(&self, mut reading: Reading) -> Result<()> {
        let accounts: Vec<Account> = reading.unread.iter().map(|(account, _)| *account).collect();
        let default_cap = self.tools.default_cap;
        let read = move |tx: &mut Tx<'_>| {
            let now = Millis::now();
            accounts.iter().map(|account| account.funds(tx, default_cap, now)).collect::<Result<Vec<Funds>>>()
        };
        let funds = self.tools.store.read(read).await?;
        self.reservations.lock().fund(&reading.unread, Some(&funds));
        reading.is_done = true;
        Ok(())
    }

    /// Stops the runs that may spend nothing more; returns whether that of `cell` is over.
    async fn stop_spent(&self, cell: &Cell, account: Account) -> Result<bool> {
        let (run, default_cap) = (cell.run, self.tools.default_cap);
        let stop = move |tx: &mut Tx<'_>| {
            let now = Millis::now();
            let stopped = account.stop_spent(tx, run, default_cap, now)?;
            let is_over = !runs::get_by_key(tx, run)?.state.is_open();
            Ok((stopped, is_over))
        };
        let (stopped, is_over) = self.tools.store.write(stop).await?;
        self.reservations.lock().refresh(account);
        for stopped in stopped {
            self.abandon(stopped);
        }
        Ok(is_over)
    }
}

/// What a case draws: the call of its model, unless an earlier answer takes its place, and those of its grader.
fn draws(cell: &Cell, sample: &Sample, messages: &[Message]) -> Vec<Draw> {
    let mut draws = Vec::new();
    if cell.rescores.is_none() && !cell.accounts.model.is_empty() {
        let model = &cell.model;
        let estimate_usd = model.estimate(estimate::input_tokens(messages), 1);
        draws.push(Draw::new(Part::Model, &cell.accounts.model, model, estimate_usd));
    }
    if let Some(grader) = cell.grader.as_ref().filter(|_| !cell.accounts.grader.is_empty()) {
        let questions = questions(&cell.scorer);
        if !questions.is_empty() {
            let estimate_usd = grading(cell, sample, grader, &questions);
            draws.push(Draw::new(Part::Grader, &cell.accounts.grader, grader, estimate_usd));
        }
    }
    // What is free waits for nothing.
    draws.retain(|draw| draw.estimate_usd != Some(0.0));
    draws
}

/// Returns what a grader is asked about one response.
fn questions(scorer: &Scorer) -> Vec<&Graded> {
    match scorer.way() {
        Way::Graded(graded) => vec![graded],
        Way::Parts(multi) => multi.parts().iter().flat_map(|part| questions(part.scorer())).collect(),
        Way::Here | Way::Webhook(_) => Vec::new(),
    }
}

/// Returns the most that all votes of a grader on one case cost: each reads the task and an answer that is as long as
/// the model may write.
fn grading(cell: &Cell, sample: &Sample, grader: &Callable, questions: &[&Graded]) -> Option<f64> {
    let task = grade::task(cell, sample);
    let answer = estimate::output_tokens(&cell.model.parameters);
    let each = questions.iter().map(|graded| {
        let asked = grader.parameters.complete(graded.question(&task, "", sample, &id::fresh()));
        let schema = estimate::text_tokens(&graded.response_schema().to_string());
        let input = estimate::input_tokens(&asked).saturating_add(answer).saturating_add(schema);
        grader.estimate(input, graded.votes)
    });
    each.sum()
}

impl Draw {
    fn new(part: Part, accounts: &[Account], model: &Callable, estimate_usd: Option<f64>) -> Self {
        let key = PricedModel::new(model.key, model.prices);
        let limiter_key = model.endpoint.as_ref().map_or("", |endpoint| endpoint.limiter_key.as_str());
        let endpoint = endpoint_of(limiter_key).to_owned();
        Self { part, accounts: accounts.to_vec(), model: key, endpoint, estimate_usd }
    }
}

impl Callable {
    /// Returns the most that so many calls of it cost in US dollars, each with so many input tokens; none when unknown.
    fn estimate(&self, input_tokens: u32, calls: u32) -> Option<f64> {
        let each =
            estimate::usd(self.known_prices(), input_tokens, estimate::output_tokens(&self.parameters));
        each.map(|usd| usd * f64::from(calls))
    }
}
