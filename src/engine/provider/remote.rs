//! One exchange with a provider over HTTP: request, answer, and what the answer means.
//!
//! One attempt and no waiting: retries and limits are the engine's, addresses the outbound guard's.

use std::{
    fmt,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use reqwest::{
    Method, Request, Response,
    header::{
        ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
        RETRY_AFTER,
    },
};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use url::Url;

use super::{
    Answer, Call, anthropic,
    failure::{self, Failure},
    json, openai,
    quirks::{QuirkCache, Quirks},
    received::{Body, Received},
    scrub::Scrub,
    stream::{StreamFault, StreamReader, Streamed, looks_like_events},
};
use crate::egress::{Fault, Guard};

/// Largest body that is read, after decompression.
const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;
/// Largest stream that is read: it repeats much with every piece of its answer.
const MAX_STREAM_BYTES: usize = 32 * 1024 * 1024;
/// Forms in which one call is put at most.
const MAX_FORMS: usize = 4;

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

impl Remote {
    /// Asks once, and again at once where the endpoint wants another form, which is remembered: the answer and its raw
    /// body, scrubbed and cut to 64 KB. Takes at most `call.timeout` in all.
    pub(super) async fn ask(
        &self,
        guard: &Guard,
        call: &Call,
        (cache, place): (&QuirkCache, &str),
    ) -> Result<(Answer, String), Failure> {
        let deadline = Instant::now() + call.timeout;
        let mut known = cache.get(place);
        let mut learnt = false;
        for _ in 0..MAX_FORMS {
            let streams = known.streams || call.parameters.stream == Some(true);
            let quirks = Quirks { streams, ..known };
            let left = deadline.saturating_duration_since(Instant::now());
            let received = self.exchange(guard, self.request(guard, call, quirks, left)?, streams).await?;
            if let Some(adapted) = self.adapted(call, quirks, &received) {
                known = Quirks { streams: known.streams || adapted.streams && !streams, ..adapted };
                learnt = true;
                continue;
            }
            if learnt && received.is_good() {
                cache.put(place, known);
            }
            return self.interpret(&received);
        }
        Err(Failure::bad_response(&format!("{} takes the call in no form", self.host()), self.scrub()))
    }

    /// The form to ask in again, where the endpoint refused this one for its form.
    fn adapted(&self, call: &Call, quirks: Quirks, received: &Received) -> Option<Quirks> {
        let complaint = received.form_complaint()?;
        let host = self.url.host_str().unwrap_or_default();
        let limit = call.parameters.max_tokens.map(|_| openai::limit_name(host, quirks));
        quirks.adapted(self.dialect, limit, &complaint)
    }

    /// The host, with its port where that is unusual.
    pub(super) fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    fn fault(&self, fault: Fault) -> Failure {
        Failure::fault(&self.host(), fault)
    }

    pub(super) fn scrub(&self) -> Scrub<'_> {
        Scrub::new(self.key.as_ref().ok().and_then(Option::as_ref))
    }

    fn request(
        &self,
        guard: &Guard,
        call: &Call,
        quirks: Quirks,
        timeout: Duration,
    ) -> Result<Request, Failure> {
        let host = self.url.host_str().unwrap_or_default();
        let body = match self.dialect {
            Dialect::OpenAi => encode(&openai::Body::new(&self.model, host, call, quirks)),
            Dialect::Anthropic => encode(&anthropic::Body::new(&self.model, call, quirks.streams)),
        };
        guard
            .request(Method::POST, self.url.clone())
            .map_err(|fault| self.fault(fault))?
            .headers(self.headers(quirks.streams)?)
            .timeout(timeout)
            .body(body?)
            .build()
            .map_err(|fault| unsendable(&fault.without_url()))
    }

    fn headers(&self, streams: bool) -> Result<HeaderMap, Failure> {
        let json = HeaderValue::from_static("application/json");
        let accepted = if streams {
            HeaderValue::from_static("text/event-stream, application/json")
        } else {
            json.clone()
        };
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, json), (ACCEPT, accepted)]);
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

    async fn exchange(&self, guard: &Guard, request: Request, streams: bool) -> Result<Received, Failure> {
        let response = guard.send(request).await.map_err(|fault| self.fault(fault))?;
        let status = response.status().as_u16();
        let retry_after = wait_asked_for(&response);
        let is_good = (200..300).contains(&status);
        if is_good && is_still_compressed(&response) {
            return Err(self.fault(Fault::EncodingUnknown));
        }
        if is_good && is_event_stream(&response) {
            let body = Body::Stream(self.read_stream(guard, response).await?);
            return Ok(Received { status, retry_after, body });
        }
        let body = guard.read_capped(response, MAX_BODY_BYTES).await;
        // The status of an error says more than the trouble with reading its words.
        let body = if is_good { body.map_err(|fault| self.fault(fault))? } else { body.unwrap_or_default() };
        let body = match json::decode(&body) {
            // What was asked for under the wrong content type.
            Ok(text) if is_good && streams && looks_like_events(&text) => {
                let mut reader = StreamReader::new(self.dialect);
                let _ = reader.push(&body);
                Body::Stream(self.finished(reader)?)
            }
            _ => Body::Whole(body),
        };
        Ok(Received { status, retry_after, body })
    }

    async fn read_stream(&self, guard: &Guard, response: Response) -> Result<Streamed, Failure> {
        let mut reader = StreamReader::new(self.dialect);
        let read = guard.read_pieces(response, MAX_STREAM_BYTES, |piece| reader.push(piece)).await;
        match read {
            // The answer is there; only what follows it broke off.
            Err(_) if reader.is_complete() => {}
            read => read.map_err(|fault| self.fault(fault))?,
        }
        self.finished(reader)
    }

    fn finished(&self, reader: StreamReader) -> Result<Streamed, Failure> {
        let host = self.host();
        reader.finish().map_err(|fault| match fault {
            StreamFault::TooLarge => self.fault(Fault::BodyTooLarge(MAX_BODY_BYTES)),
            StreamFault::Syntax(why) => {
                Failure::bad_response(&format!("{host} sent an event that is not JSON: {why}"), self.scrub())
            }
        })
    }
}

/// Returns true if the body is compressed in a way that the client does not undo.
fn is_still_compressed(response: &Response) -> bool {
    let encoding = response.headers().get(CONTENT_ENCODING).and_then(|encoding| encoding.to_str().ok());
    encoding.is_some_and(|encoding| !matches!(encoding.trim().to_ascii_lowercase().as_str(), "" | "identity"))
}

fn is_event_stream(response: &Response) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.trim().to_ascii_lowercase().starts_with("text/event-stream")
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

/// The wait that a response asks for by `Retry-After-Ms` or `Retry-After`, brought into 1 second to 10 minutes.
pub(in crate::engine) fn wait_asked_for(response: &Response) -> Option<Duration> {
    let header = |name: HeaderName| response.headers().get(name)?.to_str().ok();
    let exact = header(HeaderName::from_static("retry-after-ms")).and_then(failure::retry_after_ms);
    exact.or_else(|| failure::retry_after(header(RETRY_AFTER)?, Timestamp::now()))
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn each_dialect_carries_its_key_in_a_header_that_logs_do_not_print() {
        let guard = guard();
        let call = call(&[(Role::User, "Hi")]);
        let request =
            remote(Dialect::OpenAi).request(&guard, &call, Quirks::default(), call.timeout).unwrap();
        assert_eq!(request.headers()["authorization"], format!("Bearer {KEY}"));
        assert_eq!(request.headers()["content-type"], "application/json");
        assert!(!format!("{request:?}").contains("canary"));
        let request =
            remote(Dialect::Anthropic).request(&guard, &call, Quirks::default(), call.timeout).unwrap();
        assert_eq!(request.headers()["x-api-key"], KEY);
        assert_eq!(request.headers()["anthropic-version"], "2023-06-01");
        assert!(!request.headers().contains_key("authorization"));
        assert!(!format!("{request:?}").contains("canary"));
    }

    #[test]
    fn a_key_that_cannot_be_sent_or_is_missing_is_an_auth_failure() {
        let mut remote = remote(Dialect::OpenAi);
        remote.key = Ok(Some("two\nlines".into()));
        let failure = remote.headers(false).unwrap_err();
        assert_eq!(failure.code, "provider_auth");
        assert!(!failure.message.contains("lines"));
        remote.key = Err(MissingKey { provider: "openai".into(), variables: "OPENAI_API_KEY".into() });
        assert!(remote.headers(false).unwrap_err().message.contains("OPENAI_API_KEY"));
        remote.key = Ok(None);
        assert!(!remote.headers(false).unwrap().contains_key("authorization"));
    }
}
