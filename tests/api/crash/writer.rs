//! Somebody who writes all the time, and keeps a ledger of what the server acknowledged.
//!
//! A write whose answer never came is sent again in the server's next life, under the same key: it must
//! happen, and once.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::field::{samples, text};
use crate::support::site::{Answer, Caller};

/// Things that are looked at again after a restart, besides those that just changed.
const OLD_THINGS: usize = 20;

/// What is to be found at an address.
#[derive(Clone, Debug)]
struct Thing {
    path: String,
    is_gone: bool,
    name: Option<String>,
    /// Of an eval: how many samples, and what the first one asks.
    samples: Option<(usize, String)>,
    is_cancelled: bool,
    /// It changed since it was last looked at.
    is_new: bool,
}

/// A write on its way.
#[derive(Clone, Debug)]
enum Op {
    Make { path: &'static str, key: String, body: Value },
    Put { at: usize, rows: Value },
    Delete { at: usize },
    Cancel { at: usize, key: String },
}

/// A caller with things of its own, which nobody else touches.
pub(super) struct Writer {
    name: String,
    caller: Caller,
    random: StdRng,
    /// Where its models are called.
    uri: String,
    things: Vec<Thing>,
    pending: Option<Op>,
    count: usize,
    /// Writes that were acknowledged.
    pub(super) acknowledged: usize,
    /// Acknowledged writes of which nothing was found.
    pub(super) lost: Vec<String>,
}

impl Writer {
    pub(super) fn new(name: String, caller: Caller, uri: String, seed: u64) -> Self {
        Self {
            name,
            caller,
            random: StdRng::seed_from_u64(seed),
            uri,
            things: Vec::new(),
            pending: None,
            count: 0,
            acknowledged: 0,
            lost: Vec::new(),
        }
    }

    /// Writes until the server does not answer any more.
    pub(super) async fn write(mut self) -> Self {
        loop {
            let op = self.pending.take().unwrap_or_else(|| self.choose());
            match self.send(&op).await {
                Some(answer) => self.settle(&op, &answer),
                None => {
                    self.pending = Some(op);
                    return self;
                }
            }
        }
    }

    /// Sends what was left without an answer, and looks for what was acknowledged: `all` of it, or what
    /// changed and a few others.
    pub(super) async fn check(&mut self, all: bool) {
        if let Some(op) = self.pending.take() {
            let answer = self.send(&op).await.expect("a server that answers");
            self.settle(&op, &answer);
        }
        let mut looked_at: Vec<usize> = (0..self.things.len()).collect();
        if !all {
            let few: Vec<usize> = looked_at.sample(&mut self.random, OLD_THINGS).copied().collect();
            looked_at.retain(|at| self.things[*at].is_new || few.contains(at));
        }
        for at in looked_at {
            self.things[at].is_new = false;
            if let Some(loss) = missing(&self.caller, &self.things[at]).await {
                self.lost.push(loss);
            }
        }
    }

    /// Addresses of the runs it triggered.
    pub(super) fn runs(&self) -> Vec<String> {
        self.things.iter().map(|thing| thing.path.clone()).filter(|path| path.contains("/runs/")).collect()
    }

    fn choose(&mut self) -> Op {
        self.count += 1;
        let key = format!("{}-{}", self.name, self.count);
        let (model, eval, run) = (self.pick("/models/"), self.pick("/evals/"), self.pick("/runs/"));
        match (self.random.random_range(0..100), model, eval, run) {
            (60..75, Some(model), Some(eval), _) => self.trigger(key, model, eval),
            (75..85, _, Some(at), _) => Op::Put { at, rows: self.rows(&key) },
            (85..90, Some(at), _, _) | (90..95, _, Some(at), _) => Op::Delete { at },
            (95.., _, _, Some(at)) => Op::Cancel { at, key },
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

    /// Samples that no other write has.
    fn rows(&mut self, key: &str) -> Value {
        let count = self.random.random_range(1..8);
        samples(count, |at| (format!("{key} {at}"), format!("{key} {at}")))
    }

    /// One of its things of a kind, mostly a late one: those are in use.
    fn pick(&mut self, kind: &str) -> Option<usize> {
        let of_kind = |at: &usize| self.things[*at].path.contains(kind) && !self.things[*at].is_gone;
        let all: Vec<usize> = (0..self.things.len()).rev().filter(of_kind).take(6).collect();
        all.choose(&mut self.random).copied()
    }

    async fn send(&self, op: &Op) -> Option<Answer> {
        let path = |at: &usize| self.things[*at].path.as_str();
        match op {
            Op::Make { path, key, body } => self.caller.ask(Method::POST, path, Some(key), Some(body)).await,
            Op::Put { at, rows } => {
                self.caller.ask(Method::PUT, &format!("{}/samples", path(at)), None, Some(rows)).await
            }
            Op::Delete { at } => self.caller.ask(Method::DELETE, path(at), None, None).await,
            Op::Cancel { at, key } => {
                let path = format!("{}/cancel", path(at));
                self.caller.ask(Method::POST, &path, Some(key), Some(&json!({}))).await
            }
        }
    }

    /// Writes an acknowledged write into the ledger.
    fn settle(&mut self, op: &Op, answer: &Answer) {
        let said = format!("{op:?}: {} {}", answer.status, answer.body);
        let is_done = (200..300).contains(&answer.status);
        match op {
            Op::Make { path, body, .. } => {
                assert!(is_done, "{said}");
                self.things.push(Thing::made(path, body, &answer.body));
            }
            Op::Put { at, rows } => {
                assert!(is_done, "{said}");
                self.things[*at].samples = Some(asked(rows));
                self.things[*at].is_new = true;
            }
            Op::Delete { at } => {
                // The first request may have done it, and its answer was lost.
                assert!(is_done || answer.status == 404, "{said}");
                self.things[*at].is_gone = true;
                self.things[*at].is_new = true;
            }
            Op::Cancel { at, .. } => {
                // It may be over before.
                assert!(is_done || answer.status == 409, "{said}");
                self.things[*at].is_cancelled |= is_done;
                self.things[*at].is_new = true;
            }
        }
        self.acknowledged += 1;
    }
}

impl Thing {
    fn made(path: &str, body: &Value, answer: &Value) -> Self {
        Self {
            path: format!("{path}/{}", text(&answer["id"])),
            is_gone: false,
            name: body["name"].as_str().map(str::to_owned),
            samples: body.get("samples").map(asked),
            is_cancelled: false,
            is_new: true,
        }
    }
}

fn asked(rows: &Value) -> (usize, String) {
    (rows.as_array().map_or(0, Vec::len), text(&rows[0]["input"]))
}

/// What is not as it was acknowledged, in words.
async fn missing(caller: &Caller, thing: &Thing) -> Option<String> {
    let found = caller.get(&thing.path).await;
    let is_there = match &thing.name {
        _ if thing.is_gone => found.status == 404,
        Some(name) => found.status == 200 && found.body["name"] == *name,
        None => found.status == 200 && (!thing.is_cancelled || found.body["status"] == "cancelled"),
    };
    if !is_there {
        return Some(format!("{thing:?}: {} {}", found.status, found.body));
    }
    let (count, first) = thing.samples.as_ref().filter(|_| !thing.is_gone)?;
    let rows = caller.get(&format!("{}/samples?limit=1", thing.path)).await;
    let is_whole = rows.total == Some(*count) && rows.body[0]["input"] == *first;
    (!is_whole).then(|| format!("{thing:?}: {:?} {}", rows.total, rows.body))
}
