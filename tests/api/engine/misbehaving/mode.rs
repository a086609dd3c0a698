//! One way in which a provider misbehaves, and what is to become of it.

use std::io::Write as _;
use std::time::Duration;

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

use crate::support::raw_provider::Step;

/// How often an item may fail by its own fault.
const TRIES: u32 = 5;

/// What becomes of the only case of a model.
#[derive(Debug, Clone, Copy)]
pub(super) enum Outcome {
    /// An error with this code after so many attempts, whose message has these words.
    Error { code: &'static str, attempts: u32, words: &'static str },
    /// The run gives the model up, and names these words as the reason.
    GivenUp { words: &'static str },
    /// It is scored; a wrong one has a reason.
    Scored { wrong: Option<&'static str>, has_tokens: bool },
}

/// Where a model is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// At the address that all of them share.
    Shared,
    /// The same, by https.
    SharedByTls,
    /// At a port that is closed.
    Closed,
    /// At a port where nobody accepts the connection.
    Unaccepted,
    /// At a server of TLS with a certificate that nobody vouches for.
    SelfSigned,
}

/// One way to misbehave.
#[derive(Debug, Clone)]
pub(super) struct Mode {
    /// Unique; the name of the model.
    pub(super) name: &'static str,
    /// Modes that look alike from outside share a cause, and with it their words.
    pub(super) cause: &'static str,
    pub(super) script: Vec<Step>,
    pub(super) place: Place,
    /// Fields of the model besides name and address.
    pub(super) more: Value,
    pub(super) outcome: Outcome,
}

fn mode(name: &'static str, script: Vec<Step>, outcome: Outcome) -> Mode {
    let more = json!({"timeout_ms": 30_000});
    Mode { name, cause: name, script, place: Place::Shared, more, outcome }
}

/// It ends as an error after one call.
pub(super) fn fails(name: &'static str, script: Vec<Step>, code: &'static str, words: &'static str) -> Mode {
    mode(name, script, Outcome::Error { code, attempts: 1, words })
}

/// It ends as an error after all tries.
pub(super) fn repeats(
    name: &'static str,
    script: Vec<Step>,
    code: &'static str,
    words: &'static str,
) -> Mode {
    mode(name, script, Outcome::Error { code, attempts: TRIES, words })
}

/// It asks to be called later, for ever.
pub(super) fn puts_off(name: &'static str, script: Vec<Step>, words: &'static str) -> Mode {
    mode(name, script, Outcome::GivenUp { words })
}

/// It does no harm: its answer is right.
pub(super) fn is_right(name: &'static str, script: Vec<Step>) -> Mode {
    mode(name, script, Outcome::Scored { wrong: None, has_tokens: true })
}

/// Its answer is wrong, for this reason.
pub(super) fn is_wrong(name: &'static str, script: Vec<Step>, reason: &'static str) -> Mode {
    mode(name, script, Outcome::Scored { wrong: Some(reason), has_tokens: true })
}

impl Mode {
    /// Looks like others of that cause.
    pub(super) fn like(self, cause: &'static str) -> Self {
        Self { cause, ..self }
    }

    pub(super) fn at(self, place: Place) -> Self {
        Self { place, ..self }
    }

    /// With so long for each call.
    pub(super) fn within(self, milliseconds: u32) -> Self {
        self.with("timeout_ms", json!(milliseconds))
    }

    /// Asked for a stream.
    pub(super) fn streamed(self) -> Self {
        self.with("parameters", json!({"stream": true}))
    }

    /// Its counts of tokens cannot be.
    pub(super) fn without_tokens(self) -> Self {
        let outcome = match self.outcome {
            Outcome::Scored { wrong, .. } => Outcome::Scored { wrong, has_tokens: false },
            other => other,
        };
        Self { outcome, ..self }
    }

    pub(super) fn with(mut self, field: &str, value: Value) -> Self {
        self.more[field] = value;
        self
    }

    /// Its row in the docs.
    pub(super) fn row(&self) -> String {
        let (code, repeated, words) = match self.outcome {
            Outcome::Error { code, attempts: 1, words } => (code, "no", words),
            Outcome::Error { code, words, .. } => (code, "yes", words),
            Outcome::GivenUp { words } => ("gave_up", "until given up", words),
            Outcome::Scored { wrong: None, .. } => ("", "", ""),
            Outcome::Scored { wrong: Some(reason), .. } => (reason, "", ""),
        };
        let (code, words) = match (code, words) {
            ("", _) => ("scored".to_owned(), String::new()),
            (reason, "") => (format!("scored as wrong: `{reason}`"), String::new()),
            (code, words) => (format!("`{code}`"), format!("\"... {words} ...\"")),
        };
        format!("| {} | {code} | {repeated} | {words} |", self.name)
    }
}

pub(super) fn bytes(bytes: impl Into<Vec<u8>>) -> Step {
    Step::Write(bytes.into())
}

pub(super) fn pause(milliseconds: u64) -> Step {
    Step::Pause(Duration::from_millis(milliseconds))
}

pub(super) fn flood(piece: impl Into<Vec<u8>>, pause: u64) -> Step {
    Step::Flood(piece.into(), Duration::from_millis(pause))
}

/// A response with this status line after `HTTP/1.1 `, these header lines and this body.
pub(super) fn response(status: &str, headers: &[&str], body: impl AsRef<[u8]>) -> Vec<Step> {
    let body = body.as_ref();
    let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{lines}\r\n", body.len());
    vec![bytes([head.as_bytes(), body].concat())]
}

/// A response of status 200 with this body as JSON.
pub(super) fn body(body: impl AsRef<[u8]>) -> Vec<Step> {
    response("200 OK", &["content-type: application/json"], body)
}

pub(super) fn json_body(value: &Value) -> Vec<Step> {
    body(value.to_string())
}

/// A response of an error with this body as JSON.
pub(super) fn refusal(status: &str, headers: &[&str], error: &Value) -> Vec<Step> {
    let headers = [headers, &["content-type: application/json"]].concat();
    response(status, &headers, json!({"error": error}).to_string())
}

/// A response of an error without a body.
pub(super) fn bare(status: &str, headers: &[&str]) -> Vec<Step> {
    response(status, headers, "")
}

/// The right answer.
pub(super) fn four() -> Value {
    completion(&json!({"role": "assistant", "content": "4"}), &json!("stop"))
}

pub(super) fn completion(message: &Value, finish: &Value) -> Value {
    json!({
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5},
    })
}

pub(super) fn zipped(text: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(text).unwrap();
    packer.finish().unwrap()
}
