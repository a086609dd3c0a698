//! One exchange with a provider over HTTP: request, answer, and what the answer means.
//!
//! One attempt and no waiting: retries and limits are the engine's, addresses the outbound guard's.

use std::{fmt, time::Duration};

use bytes::Bytes;
use jiff::Timestamp;
use reqwest::{
    Method, Request, Response,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::Value;
use url::Url;

use super::{
    Answer, Call, anthropic,
    failure::{self, Failure},
    openai,
    scrub::Scrub,
};
use crate::egress::{Fault, Guard};

/// Largest body that is read, after decompression.
const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;
const MAX_RAW_BYTES: usize = 64 * 1024;

/// Which requests an endpoint takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Chat completions.
    OpenAi,
    /// Messages.
    Anthropic,
}

impl Dialect {
    /// What the base URL is followed by.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::OpenAi => "/chat/completions",
            Self::Anthropic => "/messages",
        }
    }
}

/// A model behind a URL.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    pub(super) dialect: Dialect,
    pub(super) url: Url,
    /// As the provider spells it.
    pub(super) model: String,
    pub(super) key: Result<Option<SecretString>, MissingKey>,
}

/// No call can work without a key, and nobody gave one.
#[derive(Debug, Clone)]
pub(super) struct MissingKey {
    pub(super) provider: String,
    /// Variables that would hold it.
    pub(super) variables: String,
}

impl fmt::Display for MissingKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { provider, variables } = self;
        write!(out, "no API key for {provider}: give the model its own api_key, or set {variables}")
    }
}

/// What came back, before anybody looked at it.
pub(super) struct Received {
    status: u16,
    retry_after: Option<Duration>,
    body: Bytes,
}

impl Remote {
    /// Ask once: the answer and its raw body, scrubbed and cut to 64 KB. Takes at most `call.timeout`.
    pub(super) async fn ask(&self, guard: &Guard, call: &Call) -> Result<(Answer, String), Failure> {
        let request = self.request(guard, call)?;
        let received = self.exchange(guard, request).await?;
        self.interpret(&received)
    }

    /// The host, with its port where that is unusual.
    pub(super) fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    fn fault(&self, fault: Fault) -> Failure {
        Failure::fault(&self.host(), fault)
    }

    fn scrub(&self) -> Scrub<'_> {
        Scrub::new(self.key.as_ref().ok().and_then(Option::as_ref))
    }

    fn request(&self, guard: &Guard, call: &Call) -> Result<Request, Failure> {
        let host = self.url.host_str().unwrap_or_default();
        let body = match self.dialect {
            Dialect::OpenAi => encode(&openai::Body::new(&self.model, host, call)),
            Dialect::Anthropic => encode(&anthropic::Body::new(&self.model, call)),
        };
        guard
            .request(Method::POST, self.url.clone())
            .map_err(|fault| self.fault(fault))?
            .headers(self.headers()?)
            .timeout(call.timeout)
            .body(body?)
            .build()
            .map_err(|fault| unsendable(&fault.without_url()))
    }

    fn headers(&self) -> Result<HeaderMap, Failure> {
        let json = HeaderValue::from_static("application/json");
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, json.clone()), (ACCEPT, json)]);
        if self.dialect == Dialect::Anthropic {
            let version = HeaderName::from_static("anthropic-version");
            headers.insert(version, HeaderValue::from_static(anthropic::VERSION));
        }
        if let Some(key) = self.key.as_ref().map_err(|missing| Failure::auth(missing.to_string()))? {
            let (name, value) = match self.dialect {
                Dialect::OpenAi => (AUTHORIZATION, format!("Bearer {}", key.expose_secret())),
                Dialect::Anthropic => (HeaderName::from_static("x-api-key"), key.expose_secret().to_owned()),
            };
            headers.insert(name, sensitive(&value)?);
        }
        Ok(headers)
    }

    async fn exchange(&self, guard: &Guard, request: Request) -> Result<Received, Failure> {
        let response = guard.send(request).await.map_err(|fault| self.fault(fault))?;
        let status = response.status().as_u16();
        let retry_after = wait_asked_for(&response);
        let body = guard.read_capped(response, MAX_BODY_BYTES).await;
        // The status of an error says more than the trouble with reading its words.
        let body = if (200..300).contains(&status) {
            body.map_err(|fault| self.fault(fault))?
        } else {
            body.unwrap_or_default()
        };
        Ok(Received { status, retry_after, body })
    }

    fn interpret(&self, received: &Received) -> Result<(Answer, String), Failure> {
        let (host, scrub) = (self.host(), self.scrub());
        if !(200..300).contains(&received.status) {
            let Received { status, retry_after, body } = received;
            return Err(Failure::refused(&host, *status, *retry_after, body, scrub));
        }
        let bad = |problem: &str| Failure {
            status: Some(received.status),
            ..Failure::bad_response(&format!("{host} {problem}"), scrub)
        };
        let text = std::str::from_utf8(&received.body).map_err(|_| bad("sent text that is not UTF-8"))?;
        let body = parse(text).map_err(|problem| bad(&problem))?;
        if let Some(failure) = Failure::inside(&host, &body, scrub) {
            return Err(failure);
        }
        let answer = match self.dialect {
            Dialect::OpenAi => openai::read(&body, scrub),
            Dialect::Anthropic => anthropic::read(&body, scrub),
        };
        let answer = answer.map_err(|problem| bad(&format!("sent JSON that is no answer: {problem}")))?;
        Ok((answer, scrub.head(text, MAX_RAW_BYTES)))
    }
}

/// The body as JSON, whatever its content type claims.
fn parse(text: &str) -> Result<Value, String> {
    if text.trim().is_empty() {
        return Err("sent an empty body".to_owned());
    }
    if failure::looks_like_html(text) {
        return Err("sent an HTML page where JSON was expected: is the URL right?".to_owned());
    }
    serde_json::from_str(text).map_err(|fault| format!("sent something that is not JSON: {fault}"))
}

fn encode(body: &impl Serialize) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(body).map_err(|fault| unsendable(&fault))
}

fn unsendable(fault: &dyn fmt::Display) -> Failure {
    Failure::bad_response(&format!("the request could not be made: {fault}"), Scrub::new(None))
}

/// A header that no log prints.
fn sensitive(value: &str) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| Failure::auth("the API key holds characters that no HTTP header can carry"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The wait that an answer's `Retry-After` asks for, brought into 1 second to 10 minutes.
pub(in crate::engine) fn wait_asked_for(response: &Response) -> Option<Duration> {
    let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    failure::retry_after(value, Timestamp::now())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        domain::samples::Role,
        engine::provider::support::{call, guard},
    };

    const KEY: &str = "sk-canary-0123456789";

    fn remote(dialect: Dialect) -> Remote {
        let url = Url::parse("https://api.example.com:8443/v1/chat/completions").unwrap();
        Remote { dialect, url, model: "m".into(), key: Ok(Some(KEY.into())) }
    }

    fn interpret(body: &[u8]) -> Result<(Answer, String), Failure> {
        let body = Bytes::copy_from_slice(body);
        remote(Dialect::OpenAi).interpret(&Received { status: 200, retry_after: None, body })
    }

    fn message_of(body: &[u8]) -> String {
        let failure = interpret(body).map(|(answer, _)| answer).unwrap_err();
        assert_eq!((failure.code, failure.retry), ("provider_bad_response", failure::Retry::Never));
        failure.message
    }

    #[test]
    fn a_200_that_is_no_answer_says_what_it_is() {
        let table: [(&[u8], &str); 9] = [
            (b"", "empty body"),
            (b" \r\n", "empty body"),
            (b"\n<!DOCTYPE html><html>", "HTML page"),
            (b"<HTML lang=en>", "HTML page"),
            (b"{\"choices\":", "not JSON"),
            (b"data: {}\n\n", "not JSON"),
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

    #[test]
    fn each_dialect_carries_its_key_in_a_header_that_logs_do_not_print() {
        let guard = guard();
        let call = call(&[(Role::User, "Hi")]);
        let request = remote(Dialect::OpenAi).request(&guard, &call).unwrap();
        assert_eq!(request.headers()["authorization"], format!("Bearer {KEY}"));
        assert_eq!(request.headers()["content-type"], "application/json");
        assert!(!format!("{request:?}").contains("canary"));
        let request = remote(Dialect::Anthropic).request(&guard, &call).unwrap();
        assert_eq!(request.headers()["x-api-key"], KEY);
        assert_eq!(request.headers()["anthropic-version"], "2023-06-01");
        assert!(!request.headers().contains_key("authorization"));
        assert!(!format!("{request:?}").contains("canary"));
    }

    #[test]
    fn a_key_that_cannot_be_sent_or_is_missing_is_an_auth_failure() {
        let mut remote = remote(Dialect::OpenAi);
        remote.key = Ok(Some("two\nlines".into()));
        let failure = remote.headers().unwrap_err();
        assert_eq!(failure.code, "provider_auth");
        assert!(!failure.message.contains("lines"));
        remote.key = Err(MissingKey { provider: "openai".into(), variables: "OPENAI_API_KEY".into() });
        assert!(remote.headers().unwrap_err().message.contains("OPENAI_API_KEY"));
        remote.key = Ok(None);
        assert!(!remote.headers().unwrap().contains_key("authorization"));
    }
}
