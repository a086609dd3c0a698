//! A ledger of writes: when each was sent, when it was acknowledged, and what must be found since.
//!
//! Time is the length of the record of the disk's changes: whatever a server did before it acknowledged a write is in
//! the record before that position.

use serde_json::Value;

use crate::support::field::text;
use crate::support::site::Caller;

/// The end of time: nothing is cut off.
pub(super) const NOW: u64 = u64::MAX;

/// What is to be found at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    Gone,
    /// A model or an eval of that name; of an eval, how many samples it has and what the first one asks.
    Named(String, Option<(usize, String)>),
    /// A run, at least that many cases of which are done.
    Run {
        is_cancelled: bool,
        done: i64,
    },
}

/// A write that was sent.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) sent: u64,
    /// None when no answer came, or one that it failed: then it may be found or not.
    pub(super) acknowledged: Option<u64>,
    /// What was answered.
    pub(super) answer: Value,
}

impl Step {
    /// Whether it must be found when everything from `cut` on is lost.
    pub(super) fn is_acknowledged(&self, cut: u64) -> bool {
        self.acknowledged.is_some_and(|position| position <= cut)
    }

    /// Whether it may be found then.
    pub(super) const fn is_sent(&self, cut: u64) -> bool {
        self.sent <= cut
    }
}

/// Something with an address, and what was done to it.
#[derive(Debug)]
pub(super) struct Thing {
    pub(super) path: String,
    history: Vec<(Step, State)>,
}

impl Thing {
    pub(super) fn made(path: String, step: Step, state: State) -> Self {
        Self { path, history: vec![(step, state)] }
    }

    pub(super) fn note(&mut self, step: Step, state: State) {
        self.history.push((step, state));
    }

    /// What was last acknowledged.
    pub(super) fn state(&self) -> &State {
        let acknowledged = self.history.iter().rfind(|(step, _)| step.is_acknowledged(NOW));
        &acknowledged.expect("what was made was acknowledged").1
    }

    pub(super) fn is_gone(&self) -> bool {
        // Whatever asked for it to be deleted will do so again.
        self.history.iter().any(|(_, state)| *state == State::Gone)
    }

    /// What may be found when everything from `cut` on is lost; nothing when it need not be there at all.
    fn allowed(&self, cut: u64) -> Vec<&State> {
        let Some(last) = self.history.iter().rposition(|(step, _)| step.is_acknowledged(cut)) else {
            return Vec::new();
        };
        let later = self.history[last + 1..].iter().filter(|(step, _)| step.is_sent(cut));
        std::iter::once(&self.history[last]).chain(later).map(|(_, state)| state).collect()
    }

    /// What is not as it was acknowledged, in words. A server that is in trouble may refuse to answer.
    pub(super) async fn missing(&self, caller: &Caller, cut: u64, may_refuse: bool) -> Option<String> {
        let allowed = self.allowed(cut);
        if allowed.is_empty() {
            return None;
        }
        let found = caller.attempt(reqwest::Method::GET, &self.path, None, None).await;
        let found = found.expect("a server that answers");
        if may_refuse && found.status >= 500 {
            return None;
        }
        let mut seen = format!("{} {}", found.status, found.body);
        for state in &allowed {
            let is_found = match state {
                State::Gone => found.status == 404,
                State::Named(name, samples) => {
                    found.status == 200
                        && found.body["name"] == **name
                        && match samples {
                            Some(samples) => self.has_samples(caller, samples, may_refuse, &mut seen).await,
                            None => true,
                        }
                }
                State::Run { is_cancelled, done } => {
                    // Cases of an eval or a model that is deleted count no more.
                    let most = found.body["case_total"].as_i64().unwrap_or_default();
                    found.status == 200
                        && found.body["case_done"].as_i64() >= Some(most.min(*done))
                        && (!is_cancelled || found.body["status"] == "cancelled")
                }
            };
            if is_found {
                return None;
            }
        }
        Some(format!("{} is none of {allowed:?}: {seen}", self.path))
    }

    async fn has_samples(
        &self,
        caller: &Caller,
        (count, first): &(usize, String),
        may_refuse: bool,
        seen: &mut String,
    ) -> bool {
        let path = format!("{}/samples?limit=1", self.path);
        let rows = caller.attempt(reqwest::Method::GET, &path, None, None).await;
        let rows = rows.expect("a server that answers");
        seen.push_str(&format!(" {} {:?} {}", rows.status, rows.total, rows.body));
        (may_refuse && rows.status >= 500) || (rows.total == Some(*count) && rows.body[0]["input"] == *first)
    }
}

/// How many samples, and what the first one asks.
pub(super) fn samples_of(rows: &Value) -> (usize, String) {
    (rows.as_array().map_or(0, Vec::len), text(&rows[0]["input"]))
}
