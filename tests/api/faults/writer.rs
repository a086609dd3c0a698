//! Somebody who writes all the time: models, evals, samples, runs; who sends again whatever failed or was not answered.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use reqwest::Method;
use serde_json::{Value, json};

use super::ledger::{State, Step, Thing, samples_of};
use super::shim::Shim;
use crate::support::field::{samples, text};
use crate::support::site::{Answer, Caller};

/// How soon it is sent again.
pub(super) const PAUSE: Duration = Duration::from_millis(10);

#[derive(Clone, Debug)]
enum Op {
    Make { path: &'static str, key: String, body: Value },
    Put { at: usize, rows: Value },
    Delete { at: usize },
    Cancel { at: usize, key: String },
    Look { at: usize },
}

/// A caller with things of its own, which nobody else touches.
pub(super) struct Writer {
    name: String,
    caller: Caller,
    shim: Arc<Shim>,
    random: StdRng,
    /// Where its models are called.
    uri: String,
    things: Vec<Thing>,
    pending: Option<Op>,
    count: usize,
    /// Positions at which writes were acknowledged.
    pub(super) acknowledged: Vec<u64>,
    /// Writes that were answered with a failure of the server's.
    pub(super) failed: usize,
}

impl Writer {
    pub(super) fn new(name: String, caller: Caller, shim: Arc<Shim>, uri: String, seed: u64) -> Self {
        Self {
            name,
            caller,
            shim,
            random: StdRng::seed_from_u64(seed),
            uri,
            things: Vec::new(),
            pending: None,
            count: 0,
            acknowledged: Vec::new(),
            failed: 0,
        }
    }

    /// Takes a run that somebody else has triggered for one of its things.
    pub(super) fn adopt_run(&mut self, path: String, step: Step) {
        self.things.push(Thing::made(path, step, State::Run { is_cancelled: false, done: 0 }));
    }

    /// Sends one request, perhaps the one that failed before.
    pub(super) async fn step(&mut self) {
        let op = self.pending.take().unwrap_or_else(|| self.choose());
        let sent = self.shim.position();
        let answer = self.send(&op).await;
        let acknowledged = Some(self.shim.position());
        match answer {
            Some(answer) if answer.status < 500 => {
                self.settle(&op, Step { sent, acknowledged, answer: answer.body.clone() }, &answer);
            }
            failed => {
                self.failed += usize::from(failed.is_some());
                self.note(&op, Step { sent, acknowledged: None, answer: Value::Null });
                self.pending = Some(op);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// Whether everything it sent was acknowledged.
    pub(super) const fn is_settled(&self) -> bool {
        self.pending.is_none()
    }

    fn choose(&mut self) -> Op {
        self.count += 1;
        let key = format!("{}-{}", self.name, self.count);
        let (model, eval, run) = (self.pick("/models/"), self.pick("/evals/"), self.pick("/runs/"));
        match (self.random.random_range(0..100), model, eval, run) {
            (50..65, Some(model), Some(eval), _) => self.trigger(key, model, eval),
            (65..80, _, Some(at), _) => Op::Put { at, rows: self.rows(&key) },
            (80..84, Some(at), _, _) | (84..88, _, Some(at), _) => Op::Delete { at },
            (88..92, _, _, Some(at)) => Op::Cancel { at, key },
            (92.., _, _, Some(at)) => Op::Look { at },
            (0..20, ..) => {
                let body = json!({"name": key, "inference_uri": self.uri,
                                  "max_concurrency": 4, "api_key": "sk-writer"});
                Op::Make { path: "/api/v1/models", key, body }
            }
            _ => {
                let body = json!({"name": key, "prompt": "{{input}}", "eval_type": "exact",
                                  "samples": self.rows(&key)});
                Op::Make { path: "/api/v1/evals", key, body }
            }
        }
    }

    fn trigger(&self, key: String, model: usize, eval: usize) -> Op {
        let id = |at: usize| self.things[at].path.rsplit('/').next().unwrap_or_default();
        let body = json!({"model_ids": [id(model)], "eval_ids": [id(eval)], "on_board": false});
        Op::Make { path: "/api/v1/runs", key, body }
    }

    /// Samples that no other write has; some are long, so that the log fills.
    fn rows(&mut self, key: &str) -> Value {
        let count = self.random.random_range(1..6);
        let filler = "x".repeat(if self.random.random_ratio(1, 3) { 40_000 } else { 0 });
        samples(count, |at| {
            let text = format!("{key} {at}");
            (format!("{text}{filler}"), format!("{text}{filler}"))
        })
    }

    /// One of its things of a kind, mostly a late one: those are in use.
    fn pick(&mut self, kind: &str) -> Option<usize> {
        let of_kind = |at: &usize| self.things[*at].path.contains(kind) && !self.things[*at].is_gone();
        let all: Vec<usize> = (0..self.things.len()).rev().filter(of_kind).take(6).collect();
        all.choose(&mut self.random).copied()
    }

    async fn send(&self, op: &Op) -> Option<Answer> {
        let path = |at: &usize| self.things[*at].path.as_str();
        let attempt = async |method, path: &str, key: Option<&str>, body: Option<&Value>| {
            self.caller.attempt(method, path, key, body).await
        };
        match op {
            Op::Make { path, key, body } => attempt(Method::POST, path, Some(key), Some(body)).await,
            Op::Put { at, rows } => {
                attempt(Method::PUT, &format!("{}/samples", path(at)), None, Some(rows)).await
            }
            Op::Delete { at } => attempt(Method::DELETE, path(at), None, None).await,
            Op::Cancel { at, key } => {
                attempt(Method::POST, &format!("{}/cancel", path(at)), Some(key), Some(&json!({}))).await
            }
            Op::Look { at } => attempt(Method::GET, path(at), None, None).await,
        }
    }

    /// Writes down what may have been done.
    fn note(&mut self, op: &Op, step: Step) {
        let (at, state) = match op {
            // It has no address that is known, and happens once when it is sent again.
            Op::Make { .. } | Op::Look { .. } => return,
            Op::Put { at, rows } => {
                let State::Named(name, _) = self.things[*at].state().clone() else { return };
                (*at, State::Named(name, Some(samples_of(rows))))
            }
            Op::Delete { at } => (*at, State::Gone),
            Op::Cancel { at, .. } => {
                let State::Run { done, .. } = *self.things[*at].state() else { return };
                (*at, State::Run { is_cancelled: true, done })
            }
        };
        self.things[at].note(step, state);
    }

    /// Writes down what was acknowledged.
    fn settle(&mut self, op: &Op, step: Step, answer: &Answer) {
        let said = format!("{op:?}: {} {}", answer.status, answer.body);
        let is_done = (200..300).contains(&answer.status);
        self.acknowledged.extend(step.acknowledged);
        match op {
            Op::Make { path, body, .. } => {
                assert!(is_done, "{said}");
                let state = match body["name"].as_str() {
                    Some(name) => State::Named(name.to_owned(), body.get("samples").map(samples_of)),
                    None => State::Run { is_cancelled: false, done: 0 },
                };
                self.things.push(Thing::made(format!("{path}/{}", text(&answer.body["id"])), step, state));
            }
            Op::Put { .. } => {
                assert!(is_done, "{said}");
                self.note(op, step);
            }
            // The first request may have done it, and its answer was lost.
            Op::Delete { .. } => {
                assert!(is_done || answer.status == 404, "{said}");
                self.note(op, step);
            }
            Op::Cancel { at, .. } => {
                // It may be over before; and one that was cancelled stays so.
                assert!(is_done || answer.status == 409, "{said}");
                if is_done {
                    self.note(op, step);
                } else {
                    let state = self.things[*at].state().clone();
                    self.things[*at].note(step, state);
                }
            }
            Op::Look { at } => {
                assert!(is_done, "{said}");
                let is_cancelled = answer.body["status"] == "cancelled";
                let done = answer.body["case_done"].as_i64().unwrap();
                self.things[*at].note(step, State::Run { is_cancelled, done });
            }
        }
    }

    /// What of its things is not as it was acknowledged before `cut`.
    pub(super) async fn losses(&self, caller: &Caller, cut: u64, may_refuse: bool) -> Vec<String> {
        let mut losses = Vec::new();
        for thing in &self.things {
            losses.extend(thing.missing(caller, cut, may_refuse).await);
        }
        losses
    }
}
