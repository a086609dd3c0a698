//! `webhook`: somebody else's service scores the response.
//!
//! Here are what it is sent and how its answer is read; signing and calling are the engine's. An answer that
//! cannot be read leaves the case unscored: never 0, never a pass.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::Outcome;
use super::criteria::{Criteria, invalid};
use crate::domain::samples::Sample;
use crate::error::Result;

/// Shortest and longest wait for an answer, and the one that is not asked for, in milliseconds.
const TIMEOUTS: std::ops::RangeInclusive<u64> = 1_000..=60_000;
const TIMEOUT: u64 = 10_000;
/// Length of a secret, in characters.
const SECRETS: std::ops::RangeInclusive<usize> = 16..=1_024;
/// Longest reason that is kept, in characters.
const LONGEST_REASON: usize = 2_000;

/// Where a response is sent, and how long the answer may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// As its author wrote it, read once; whether it may be called is for others to say.
    pub url: Url,
    /// For everything from connecting to the last byte of the answer, 1 to 60 seconds.
    pub timeout: Duration,
}

/// The answer that is expected.
#[derive(Deserialize)]
struct Answer {
    score: f64,
    pass: Option<bool>,
    reason: Option<String>,
}

impl Webhook {
    /// A secret among the criteria is judged and not kept: it has a place of its own.
    pub(super) fn parse(criteria: &Criteria<'_>) -> Result<Self> {
        criteria.only(&["secret", "timeout_ms", "url"])?;
        let is_fit =
            |secret: &str| SECRETS.contains(&secret.chars().count()) && !secret.contains(char::is_control);
        if criteria.text("secret")?.is_some_and(|secret| !is_fit(secret)) {
            return Err(invalid("secret", "must be 16 to 1024 characters of plain text"));
        }
        let url =
            criteria.text("url")?.ok_or_else(|| invalid("url", "is required: where responses are sent"))?;
        let url =
            Url::parse(url.trim()).map_err(|problem| invalid("url", format!("cannot be read: {problem}")))?;
        let timeout = criteria.integer("timeout_ms")?.unwrap_or(TIMEOUT);
        if !TIMEOUTS.contains(&timeout) {
            return Err(invalid("timeout_ms", "must be 1000 to 60000"));
        }
        Ok(Self { url, timeout: Duration::from_millis(timeout) })
    }

    /// What decides a score: how long it may take does not, and the secret is nobody's business.
    pub(super) fn canonical(&self) -> Value {
        let timeout = u64::try_from(self.timeout.as_millis()).unwrap_or(TIMEOUT);
        json!({"timeout_ms": timeout, "url": self.url.as_str()})
    }

    /// What the webhook is sent: `output` is the response; `input`, `target` (a list) and `metadata` are the
    /// sample's.
    pub fn body(&self, sample: &Sample, response: &str) -> String {
        let Sample { input, target, metadata, .. } = sample;
        json!({"output": response, "input": input, "target": target, "metadata": metadata}).to_string()
    }

    /// What it answered: `{"score": 0 to 1, "pass"?: true or false, "reason"?: text}`; other fields are left
    /// unread. `pass` and `reason` are kept as they are; what counts as passed is the eval's threshold.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn read(&self, answer: &str) -> std::result::Result<Outcome, String> {
        let read: Answer = serde_json::from_str(answer)
            .map_err(|problem| format!("the webhook's answer is not {{\"score\": 0 to 1}}: {problem}"))?;
        if !(0.0..=1.0).contains(&read.score) {
            return Err(format!("the webhook's score is {}, not a number from 0 to 1", read.score));
        }
        let reason: Option<String> = read.reason.map(|text| text.chars().take(LONGEST_REASON).collect());
        // A negative zero is in range, and nobody wants to read one.
        let outcome = Outcome::measured(read.score.abs(), None);
        Ok(outcome.with_details(json!({"pass": read.pass, "reason": reason})))
    }
}
