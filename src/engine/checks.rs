//! A check of a model: one tiny call to its address, made at once and beside all runs.
//!
//! It changes no limit and no breaker, and stores nothing.

use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;

use super::cells::{Callable, stored};
use super::provider::{Call, Failure};
use super::{Engine, Machine};
use crate::domain::cases::Tokens;
use crate::domain::id::{ModelKey, RevisionKey};
use crate::domain::samples::{Message, Role};
use crate::domain::spending::Charge;
use crate::error::{Error, Result};
use crate::store::models;

/// Longest time for the answer.
const CHECK_TIMEOUT: Duration = Duration::from_secs(30);
/// Shortest time between two checks of a model.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// Longest answer, in tokens.
const MAX_TOKENS: u32 = 16;
const QUESTION: &str = "Reply with OK.";

/// The outcome of a check.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// From the request to the last byte, or to the failure.
    pub latency: Duration,
    /// The failure's stable code and its words; none when the model answered.
    pub failure: Option<(&'static str, String)>,
    /// US dollars; none when unknown.
    pub cost_usd: Option<f64>,
    /// What it cost on the operator's keys.
    pub charge: Charge,
}

impl Engine {
    /// Calls a model once with a short question.
    ///
    /// # Errors
    /// `Limited` within five seconds of the last check of that model; the database's. A call that fails is no error
    /// but an outcome.
    pub async fn check(&self, revision: RevisionKey) -> Result<Checked> {
        let machine = &self.0;
        let read = machine.tools.store.read(move |tx| {
            let pinned = models::pinned(tx, revision)?;
            stored(tx, pinned)
        });
        let model = machine.callable(read.await?, None);
        machine.take_check(model.key)?;
        Ok(machine.check(&model).await)
    }
}

impl Machine {
    /// Notes that a model is checked now.
    fn take_check(&self, model: ModelKey) -> Result<()> {
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        checked.retain(|_, at| now.saturating_duration_since(*at) < CHECK_INTERVAL);
        match checked.get(&model) {
            Some(at) => {
                Err(Error::Limited(CHECK_INTERVAL.saturating_sub(now.saturating_duration_since(*at))))
            }
            None => {
                checked.insert(model, now);
                Ok(())
            }
        }
    }

    async fn check(&self, model: &Callable) -> Checked {
        let begun = Instant::now();
        let question = vec![Message { role: Role::User, content: QUESTION.to_owned() }];
        let mut parameters = model.parameters.clone();
        parameters.max_tokens = Some(parameters.max_tokens.map_or(MAX_TOKENS, |most| most.min(MAX_TOKENS)));
        let messages = model.parameters.complete(question);
        let call = Call { messages, parameters, timeout: model.timeout.min(CHECK_TIMEOUT), schema: None };
        let answer = match &model.endpoint {
            Ok(endpoint) => self.tools.providers.call(endpoint, &call).await,
            Err(failure) => Err(failure.clone()),
        };
        match answer {
            Ok(reply) => {
                let cost_usd = model.cost(&Tokens {
                    input: reply.usage.input_tokens,
                    cached_input: reply.usage.cached_input_tokens,
                    cache_write: reply.usage.cache_write_tokens,
                    output: reply.usage.output_tokens,
                    reasoning: reply.usage.reasoning_tokens,
                });
                let charge = if model.on_operator { Charge::of(cost_usd) } else { Charge::Nothing };
                Checked { latency: reply.latency, failure: None, cost_usd, charge }
            }
            Err(Failure { code, message, .. }) => Checked {
                latency: begun.elapsed(),
                failure: Some((code, message)),
                cost_usd: None,
                charge: Charge::Nothing,
            },
        }
    }
}
