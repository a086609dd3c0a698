//! The meaning of what a provider sent: an answer, a refusal, or a failure. It sends nothing.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::{
    Answer, Flaw, anthropic,
    complaint::{Complaint, looks_like_html},
    failure::Failure,
    json::{self, Unreadable},
    openai,
    remote::{Dialect, Remote},
    stream::{Streamed, looks_like_events},
    usage::Usage,
};

const MAX_RAW_BYTES: usize = 64 * 1024;
/// Largest body of a 200 that is searched for a complaint about the call's form.
const MAX_COMPLAINT_BYTES: usize = 16 * 1024;

/// A response, not read yet.
pub(super) struct Received {
    pub(super) status: u16,
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Body,
}

/// The body of a response.
pub(super) enum Body {
    /// As it came.
    Whole(Bytes),
    /// Put together from its events.
    Stream(Streamed),
}

impl Remote {
    /// The answer and its raw body, scrubbed and cut to 64 KB.
    pub(super) fn interpret(&self, received: &Received) -> Result<(Answer, String), Failure> {
        let Received { status, retry_after, body } = received;
        match body {
            Body::Whole(body) if !received.is_good() => self.refused(*status, *retry_after, body),
            Body::Whole(body) => {
                let text = json::decode(body).map_err(|fault| self.unreadable(*status, "", fault))?;
                let value = self.parse(*status, &text)?;
                self.read(*status, &value, &text)
            }
            Body::Stream(stream) if !stream.is_complete => Err(self.cut_stream(stream)),
            Body::Stream(stream) => self.read(*status, &stream.body, &String::from_utf8_lossy(&stream.raw)),
        }
    }

    fn cut_stream(&self, stream: &Streamed) -> Failure {
        let message = stream.body.pointer("/choices/0/message").or_else(|| stream.body.get("content"));
        let has_begun = message.and_then(|message| Some(!message.as_object()?.is_empty()));
        let problem = match has_begun.or_else(|| Some(!message?.as_array()?.is_empty())) {
            Some(true) => {
                "ended its stream before the end of the answer: no finish reason and no [DONE] came"
            }
            _ => "ended its stream without anything of an answer",
        };
        Failure::stream_incomplete(&format!("{} {problem}", self.host()), self.scrub())
    }

    /// An answer with a status that means no: a refusal where a filter sent it.
    fn refused(
        &self,
        status: u16,
        retry_after: Option<Duration>,
        body: &[u8],
    ) -> Result<(Answer, String), Failure> {
        let complaint = Complaint::of_error(body);
        if matches!(status, 400..=499) && !matches!(status, 401 | 404 | 408 | 429) && complaint.is_filter() {
            let text = json::decode(body).unwrap_or_default();
            let value = json::parse(&text).unwrap_or_default();
            return Ok((self.filtered(&value), self.scrub().head(&text, MAX_RAW_BYTES)));
        }
        Err(Failure::complained(&self.host(), status, retry_after, &complaint, self.scrub()))
    }

    /// Reads a parsed body, of which `text` is the raw form.
    fn read(&self, status: u16, body: &Value, text: &str) -> Result<(Answer, String), Failure> {
        let (host, scrub) = (self.host(), self.scrub());
        let raw = scrub.head(text, MAX_RAW_BYTES);
        if let Some(complaint) = Complaint::inside(body) {
            if complaint.is_filter() {
                return Ok((self.filtered(body), raw));
            }
            return Err(Failure::inside(&host, &complaint, scrub));
        }
        let answer = match self.dialect {
            Dialect::OpenAi => openai::read(body, scrub),
            Dialect::Anthropic => anthropic::read(body, scrub),
        };
        let failed = |failure| Failure { status: Some(status), ..failure };
        let answer = answer.map_err(|flaw| match flaw {
            Flaw::NoAnswer(problem) => {
                let problem = format!("{host} sent JSON that is no answer: {problem}");
                failed(Failure::bad_response(&problem, scrub))
            }
            Flaw::BrokenOff(problem) => failed(Failure::interrupted(&format!("{host} {problem}"), scrub)),
        })?;
        Ok((answer, raw))
    }

    /// The refusal that a filter left of an answer. Without a report of tokens it cost nothing, as other errors.
    fn filtered(&self, body: &Value) -> Answer {
        let usage = match (body.get("usage").filter(|usage| usage.is_object()), self.dialect) {
            (None, _) => Usage::nothing(),
            (Some(usage), Dialect::OpenAi) => Usage::openai(usage, self.scrub()),
            (Some(usage), Dialect::Anthropic) => Usage::anthropic(usage, self.scrub()),
        };
        Answer { refusal: true, usage, ..Answer::default() }
    }

    /// The body as JSON, whatever its content type claims.
    fn parse(&self, status: u16, text: &str) -> Result<Value, Failure> {
        let bad = |problem: &str| Failure {
            status: Some(status),
            ..Failure::bad_response(&format!("{} {problem}", self.host()), self.scrub())
        };
        if text.trim().is_empty() {
            return Err(bad(&format!("answered {status} with an empty body")));
        }
        if looks_like_html(text) {
            return Err(bad("sent an HTML page where JSON was expected: is the URL right?"));
        }
        json::parse(text).map_err(|fault| self.unreadable(status, text, fault))
    }

    /// `text` is what could not be read, where it is text.
    fn unreadable(&self, status: u16, text: &str, fault: Unreadable) -> Failure {
        let (host, scrub) = (self.host(), self.scrub());
        let failure = match fault {
            Unreadable::Encoding => {
                Failure::bad_response(&format!("{host} sent text that is not UTF-8"), scrub)
            }
            Unreadable::Incomplete(fault) => {
                let problem = format!("{host} sent a whole body in which the JSON breaks off: {fault}");
                Failure::json_incomplete(&problem, scrub)
            }
            Unreadable::Syntax(fault) => {
                let hint = form_hint(text);
                let problem = format!("{host} sent something that is not JSON{hint}: {fault}");
                Failure::bad_response(&problem, scrub)
            }
        };
        Failure { status: Some(status), ..failure }
    }
}

/// A guess at what a body is that is not JSON, as a part of a sentence.
fn form_hint(text: &str) -> &'static str {
    let first = text.trim_start().lines().next().unwrap_or_default();
    if looks_like_events(text) {
        " but an event stream under another content type (set \"stream\": true in the model's parameters)"
    } else if first.starts_with('{') && json::parse(first).is_ok() {
        " but several JSON values, one a line (is the URL that of an OpenAI-compatible API?)"
    } else {
        ""
    }
}

impl Received {
    /// The complaint that may be about the form of the call: beside a status, or inside a small body of a 200.
    pub(super) fn form_complaint(&self) -> Option<Complaint> {
        let Body::Whole(body) = &self.body else { return None };
        match self.status {
            400 | 405 | 406 | 422 | 500 | 501 => Some(Complaint::of_error(body)),
            200..=299 if body.len() <= MAX_COMPLAINT_BYTES => {
                let text = json::decode(body).ok()?;
                // Most bodies are good answers.
                if !text.contains("error") {
                    return None;
                }
                Complaint::inside(&json::parse(&text).ok()?)
            }
            _ => None,
        }
    }

    /// Returns true if its status is one of success.
    pub(super) fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use url::Url;

    use super::super::failure::Retry;
    use super::*;

    const KEY: &str = "sk-canary-0123456789";

    fn remote(dialect: Dialect) -> Remote {
        let url = Url::parse("https://api.example.com:8443/v1/chat/completions").unwrap();
        Remote { dialect, url, model: "m".into(), key: Ok(Some(KEY.into())) }
    }

    fn interpret(body: &[u8]) -> Result<(Answer, String), Failure> {
        let body = Bytes::copy_from_slice(body);
        remote(Dialect::OpenAi).interpret(&Received {
            status: 200,
            retry_after: None,
            body: Body::Whole(body),
        })
    }

    fn message_of(body: &[u8]) -> String {
        let failure = interpret(body).map(|(answer, _)| answer).unwrap_err();
        assert_eq!((failure.code, failure.retry), ("provider_bad_response", Retry::Never));
        failure.message
    }

    #[test]
    fn a_200_that_is_no_answer_says_what_it_is() {
        let table: [(&[u8], &str); 9] = [
            (b"", "answered 200 with an empty body"),
            (b" \r\n", "empty body"),
            (b"\n<!DOCTYPE html><html>", "HTML page"),
            (b"<HTML lang=en>", "HTML page"),
            (b"data: {}\n\n", "an event stream under another content type"),
            (b"{\"a\":1}\n{\"a\":2}\n", "several JSON values"),
            (b"{\"choices\":[{\"message\":{\"content\":\"\xff\"}}]}", "not UTF-8"),
            (b"{\"choices\":[]}", "no choices"),
            (b"{\"error\":\"no model loaded\"}", "no model loaded"),
        ];
        for (body, words) in table {
            let message = message_of(body);
            assert!(message.starts_with("api.example.com:8443 "), "{message}");
            assert!(message.contains(words), "{message}");
        }
        assert!(message_of("[".repeat(100_000).as_bytes()).contains("not JSON"));
        let failure = interpret(b"{\"choices\":").map(|(answer, _)| answer).unwrap_err();
        assert_eq!(failure.code, "provider_json_incomplete");
        assert!(matches!(failure.retry, Retry::Later { counts: true, .. }), "{failure:?}");
    }

    #[test]
    fn the_key_is_in_nothing_that_is_kept() {
        let echo = json!({
            "choices": [{"message": {"content": format!("your key is {KEY}")}}],
            "usage": {"prompt_tokens": 1, "account": KEY},
            "headers": {"authorization": format!("Bearer {KEY}")},
        });
        let (answer, raw) = interpret(echo.to_string().as_bytes()).unwrap();
        assert_eq!(answer.text, "your key is [key]");
        assert!(!format!("{answer:?}{raw}").contains("canary"), "{answer:?}{raw}");
        assert!(!message_of(format!(r#"{{"error":"bad key {KEY}"}}"#).as_bytes()).contains("canary"));
        assert!(!format!("{:?}", remote(Dialect::OpenAi)).contains("canary"));
    }

    #[test]
    fn the_raw_body_is_cut() {
        let body = json!({"choices": [{"message": {"content": "é".repeat(50_000)}}]}).to_string();
        let (answer, raw) = interpret(body.as_bytes()).unwrap();
        assert_eq!(answer.text.len(), 100_000);
        assert!((MAX_RAW_BYTES - 1..=MAX_RAW_BYTES).contains(&raw.len()));
    }
}
