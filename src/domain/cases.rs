//! A case: one attempt at one sample by one model in one run, and what came of it.

use std::borrow::Cow;

use super::id::{CaseId, CaseKey, PriceKey, ResultId, SampleKey};
use super::overrules::Overrule;
use super::samples::Sample;
use super::thinking::{self, Split};
use super::time::Millis;
use crate::error::{Error, Result};

/// What is known of a case. A failed measurement is never silently a zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaseState {
    /// It has a score; a model that refused or answered nothing has a score of 0 with a reason.
    Scored,
    /// The model answered and our instrument failed: `grader_failed`, `scoring_failed`, `key_unreadable`.
    Unscored,
    /// No answer could be had: `provider_error`, `timeout`, `key_unreadable`, `cancelled`.
    Error,
}

impl CaseState {
    /// The word in the tables and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scored => "scored",
            Self::Unscored => "unscored",
            Self::Error => "error",
        }
    }

    /// The state of that word.
    ///
    /// # Errors
    /// `Internal`: only tables are read with this.
    pub fn parse(word: &str) -> Result<Self> {
        match word {
            "scored" => Ok(Self::Scored),
            "unscored" => Ok(Self::Unscored),
            "error" => Ok(Self::Error),
            _ => Err(Error::internal(format!("unknown case state {word}"))),
        }
    }
}

/// Which cases of a result are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaseFilter {
    /// All of them.
    All,
    /// Scored below the pass threshold.
    Wrong,
    /// In this state.
    In(CaseState),
    /// Whose verdict a person overruled.
    Overruled,
}

/// Disjoint token counts of one call; none is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tokens {
    /// Input that was neither read from a cache nor written to one.
    pub input: Option<i64>,
    /// Input read from a cache.
    pub cached_input: Option<i64>,
    /// Input written to a cache.
    pub cache_write: Option<i64>,
    /// Output that was not spent on reasoning.
    pub output: Option<i64>,
    /// Output spent on reasoning.
    pub reasoning: Option<i64>,
}

impl Tokens {
    /// All input, cached or not; none when the input is unknown.
    #[must_use]
    pub fn all_input(&self) -> Option<i64> {
        let cached = self.cached_input.unwrap_or(0).saturating_add(self.cache_write.unwrap_or(0));
        Some(self.input?.saturating_add(cached))
    }

    /// All output, reasoning included; none when the output is unknown.
    #[must_use]
    pub fn all_output(&self) -> Option<i64> {
        Some(self.output?.saturating_add(self.reasoning.unwrap_or(0)))
    }
}

/// What is recorded of a case, apart from which one it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// What is known of it.
    pub state: CaseState,
    /// 0 to 1; set exactly when `state` is scored.
    pub score: Option<f64>,
    /// The category of what went wrong, such as `refusal`.
    pub reason: Option<Cow<'static, str>>,
    /// The code of an error, such as `provider_timeout`.
    pub error: Option<Cow<'static, str>>,
    /// The error in words, without secrets.
    pub error_message: Option<String>,
    /// What was extracted from the response.
    pub answer: Option<String>,
    /// The messages as sent, as JSON.
    pub prompt: String,
    /// What the model said, thinking between tags included.
    pub response: String,
    /// The model's reasoning: what its provider sent beside the answer, and what was left out of the answer. It is
    /// never scored.
    pub reasoning: Option<String>,
    /// How the score came about, as JSON.
    pub score_details: String,
    /// The grader's prompt, reply, tokens and cost, as JSON.
    pub transcript: Option<String>,
    /// The provider's own account of tokens, as JSON.
    pub usage: Option<String>,
    /// The provider's answer, without secrets.
    pub raw: Option<String>,
    /// Whether the answer was cut off at the token limit.
    pub is_truncated: bool,
    /// Whether the model graded itself.
    pub is_self_graded: bool,
    /// How often the item was leased for it.
    pub attempts: i64,
    /// From the call to its answer.
    pub latency_ms: Option<i64>,
    /// Tokens of the model's call.
    pub tokens: Tokens,
    /// Prices it was charged with.
    pub price: PriceKey,
    /// What the model's call cost in US dollars.
    pub cost_usd: Option<f64>,
    /// What its grading cost in US dollars; none when unknown or not graded by a model.
    pub grader_cost_usd: Option<f64>,
    /// Whether the answer was given to an earlier run, and paid for there.
    pub is_rescored: bool,
}

impl Record {
    /// What it cost its own run in US dollars: the answer, unless an earlier run paid for it, and the grading.
    /// None when a part is unknown; an error that says nothing about its cost had none.
    #[must_use]
    pub fn spent_usd(&self) -> Option<f64> {
        let answer = match self.state {
            _ if self.is_rescored => Some(0.0),
            CaseState::Error => Some(self.cost_usd.unwrap_or(0.0)),
            CaseState::Scored | CaseState::Unscored => self.cost_usd,
        };
        let grading = if self.transcript.is_some() { self.grader_cost_usd } else { Some(0.0) };
        Some(answer? + grading?)
    }
}

/// What cases of one cell add up to. A sum of which one part is unknown is unknown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tally {
    /// How many there are.
    pub cases: i64,
    /// Of those, how many have a score.
    pub scored: i64,
    /// How many have an answer and no score.
    pub unscored: i64,
    /// How many have no answer.
    pub errors: i64,
    /// How many reached the pass threshold.
    pub passed: i64,
    /// Sum of the scores.
    pub score_sum: f64,
    /// Sum of the latencies in milliseconds.
    pub latency_sum_ms: i64,
    /// How many latencies that is.
    pub latency_count: i64,
    /// Input tokens, cached ones included. A case without an answer adds none.
    pub input_tokens: Option<i64>,
    /// Output tokens, reasoning included. A case without an answer adds none.
    pub output_tokens: Option<i64>,
    /// What the model's calls cost in US dollars. A case without an answer adds what is known of it.
    pub cost_usd: Option<f64>,
    /// What the grading cost in US dollars; a case that no model graded makes it unknown.
    pub grader_cost_usd: Option<f64>,
    /// What they cost their run in US dollars: see [`Record::spent_usd`].
    pub spent_usd: Option<f64>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            cases: 0,
            scored: 0,
            unscored: 0,
            errors: 0,
            passed: 0,
            score_sum: 0.0,
            latency_sum_ms: 0,
            latency_count: 0,
            input_tokens: Some(0),
            output_tokens: Some(0),
            cost_usd: Some(0.0),
            grader_cost_usd: Some(0.0),
            spent_usd: Some(0.0),
        }
    }
}

impl Tally {
    /// Adds a case.
    pub fn add(&mut self, record: &Record, passed: bool) {
        let has_answer = record.state != CaseState::Error;
        let tokens = |count: Option<i64>| if has_answer { count } else { Some(0) };
        let cost = if has_answer { record.cost_usd } else { Some(record.cost_usd.unwrap_or(0.0)) };
        self.cases += 1;
        self.scored += i64::from(record.state == CaseState::Scored);
        self.unscored += i64::from(record.state == CaseState::Unscored);
        self.errors += i64::from(!has_answer);
        self.passed += i64::from(passed);
        self.score_sum += record.score.unwrap_or(0.0);
        self.latency_sum_ms += record.latency_ms.unwrap_or(0);
        self.latency_count += i64::from(record.latency_ms.is_some());
        self.input_tokens = sum(self.input_tokens, tokens(record.tokens.all_input()));
        self.output_tokens = sum(self.output_tokens, tokens(record.tokens.all_output()));
        self.cost_usd = sum(self.cost_usd, cost);
        self.grader_cost_usd = sum(self.grader_cost_usd, record.grader_cost_usd);
        self.spent_usd = sum(self.spent_usd, record.spent_usd());
    }
}

/// The sum of two amounts; unknown when one of them is.
fn sum<T: std::ops::Add<Output = T>>(one: Option<T>, other: Option<T>) -> Option<T> {
    Some(one? + other?)
}

/// A stored case without its long texts' rarely read part.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// Table key.
    pub key: CaseKey,
    /// Public id.
    pub id: CaseId,
    /// The result it belongs to.
    pub result: ResultId,
    /// The sample's table key.
    pub sample_key: SampleKey,
    /// The sample, as it was asked.
    pub sample: Sample,
    /// Position of the sample in its set.
    pub position: i64,
    /// 1, 2, ... within the sample.
    pub epoch: i64,
    /// What is known of it, by the verdict that counts: a person's where there is one.
    pub state: CaseState,
    /// 0 to 1, by the verdict that counts.
    pub score: Option<f64>,
    /// Category of what went wrong, as the scorer says.
    pub reason: Option<String>,
    /// Code of an error.
    pub error: Option<String>,
    /// The error in words.
    pub error_message: Option<String>,
    /// The person's verdict, and the scorer's, where it was overruled.
    pub overrule: Option<Overrule>,
    /// When its texts were removed: then `answer` is none, `response` is empty and means nothing.
    pub removed_at: Option<Millis>,
    /// What was extracted from the response.
    pub answer: Option<String>,
    /// What the model said, thinking between tags included.
    pub response: String,
    /// The model's reasoning, in fields of its own or between tags; none where it was removed.
    pub reasoning: Option<String>,
    /// How the score came about, as JSON.
    pub score_details: String,
    /// Whether the answer was cut off.
    pub is_truncated: bool,
    /// Whether the model graded itself.
    pub is_self_graded: bool,
    /// How often the item was leased for it.
    pub attempts: i64,
    /// From the call to its answer.
    pub latency_ms: Option<i64>,
    /// Tokens of the model's call.
    pub tokens: Tokens,
    /// What the model's call cost in US dollars.
    pub cost_usd: Option<f64>,
    /// What its grading cost in US dollars.
    pub grader_cost_usd: Option<f64>,
    /// When it was recorded.
    pub created_at: Millis,
}

impl Case {
    /// Returns the response without the thinking that was left out of what was scored.
    #[must_use]
    pub fn scored_response(&self) -> &str {
        let Some(reasoning) = &self.reasoning else { return &self.response };
        let Split { answer, thinking } = thinking::split(&self.response);
        // A model whose thinking tags are left alone may have reasoning in a field of its own.
        let was_left_out = !thinking.is_empty() && reasoning.ends_with(&thinking);
        if was_left_out { answer.unwrap_or_default() } else { &self.response }
    }

    /// What the model said; none where that was removed.
    #[must_use]
    pub fn said(&self) -> Option<&str> {
        self.removed_at.is_none().then_some(self.response.as_str())
    }

    /// Why it is wrong or has no score, as far as the verdict that counts says so: a person's stands for itself.
    #[must_use]
    pub fn standing_reason(&self) -> Option<&str> {
        self.reason.as_deref().filter(|_| self.overrule.is_none())
    }

    /// The code of its error, by the same rule.
    #[must_use]
    pub fn standing_error(&self) -> Option<&str> {
        self.error.as_deref().filter(|_| self.overrule.is_none())
    }
}

/// The long texts of a case that only its own page shows; empty where they were removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseTexts {
    /// The messages as sent, as JSON.
    pub prompt: String,
    /// The grader's prompt, reply, tokens and cost, as JSON.
    pub transcript: Option<String>,
    /// The provider's answer, without secrets.
    pub raw: Option<String>,
}
