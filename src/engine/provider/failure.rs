//! A call that gave no answer: why, in a stable code and in words, and whether asking again can help.
//!
//! It judges one call. Counting tries, waiting and opening breakers is the engine's.

use std::time::Duration;

use jiff::{Timestamp, fmt::rfc2822};
use reqwest::StatusCode;

use super::complaint::Complaint;
use super::names::Meaning;
use super::scrub::Scrub;
use crate::domain::sharing::Refusal;
use crate::egress::Fault;
use crate::error::Error;

/// The code of a case whose model, grader or webhook needs a secret that cannot be opened.
pub(in crate::engine) const KEY_UNREADABLE: &str = "key_unreadable";
const AUTH: &str = "provider_auth";
const NOT_FOUND: &str = "provider_not_found";
const RATE_LIMITED: &str = "provider_rate_limited";
const UNAVAILABLE: &str = "provider_unavailable";
const TIMEOUT: &str = "provider_timeout";
const BAD_RESPONSE: &str = "provider_bad_response";
const INTERRUPTED: &str = "provider_interrupted";
const STREAM_INCOMPLETE: &str = "provider_stream_incomplete";
const JSON_INCOMPLETE: &str = "provider_json_incomplete";

const MAX_MESSAGE_CHARS: usize = 500;
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
/// The longest that a provider can have a call wait.
pub(in crate::engine) const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// Why a call gave no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Stable name: `provider_auth`, `provider_not_found`, `provider_rate_limited`, `provider_unavailable`,
    /// `provider_timeout`, `provider_redirect`, `provider_body_too_large`, `provider_bad_response`,
    /// `provider_interrupted`, `provider_incomplete`, `provider_stream_incomplete`, `provider_json_incomplete`,
    /// `provider_disconnected`, `provider_not_http`, `provider_head_too_large`, `provider_encoding`, `provider_tls`,
    /// `endpoint_not_allowed`, `endpoint_unreachable` or `key_unreadable`.
    pub code: &'static str,
    /// One line for a person, at most 500 characters, without keys and NUL.
    pub message: String,
    /// The HTTP status, when the provider sent one.
    pub status: Option<u16>,
    /// Whether asking again can help.
    pub retry: Retry,
}

/// Whether asking again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The same call fails again.
    Never,
    /// The same call may work later.
    Later {
        /// What the provider asked for, brought into 1 second to 10 minutes.
        after: Option<Duration>,
        /// Whether it spends one of the item's tries; a rate limit does not.
        counts: bool,
    },
}

impl Retry {
    const LATER: Self = Self::Later { after: None, counts: true };
}

impl Failure {
    /// The model cannot be called as it is registered; `why` is what is wrong with it.
    pub(in crate::engine) fn cannot_call(why: &str) -> Self {
        Self::new("endpoint_not_allowed", Retry::Never, why)
    }

    /// The stored key that the call needs cannot be opened with the server's master key.
    pub(in crate::engine) fn key_unreadable() -> Self {
        let message = "the stored key of the model was sealed under another master key, or is damaged: restore the \
                       master key, or give the model its api_key again";
        Self::new(KEY_UNREADABLE, Retry::Never, message)
    }

    /// The endpoint was shut for longer than anybody waits; `why` is what it was shut for.
    pub(in crate::engine) fn given_up(why: &str) -> Self {
        Self::new(UNAVAILABLE, Retry::Never, why)
    }

    /// The model's owner lets nobody, or the borrower no more today, call it.
    pub(in crate::engine) fn not_lent(refusal: &Refusal) -> Self {
        Self::new(refusal.code(), Retry::Never, refusal.to_string())
    }

    /// The call could not be counted against its borrower's cap, and so was not made.
    pub(in crate::engine) fn unrecorded(cause: &Error) -> Self {
        tracing::error!(error = ?cause, "a borrowed call could not be counted");
        Self::new(UNAVAILABLE, Retry::Never, "this server could not count the call")
    }

    fn new(code: &'static str, retry: Retry, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), status: None, retry }
    }

    /// No usable key: `problem` says what to do about it.
    pub(super) fn auth(problem: impl Into<String>) -> Self {
        Self::new(AUTH, Retry::Never, problem)
    }

    /// A baseline that fails on purpose.
    pub(super) fn on_purpose(message: impl Into<String>) -> Self {
        Self::new(UNAVAILABLE, Retry::Never, message)
    }

    /// The provider answered, and not in a way that can be read.
    pub(super) fn bad_response(problem: &str, scrub: Scrub<'_>) -> Self {
        Self::new(BAD_RESPONSE, Retry::Never, scrub.line(problem, MAX_MESSAGE_CHARS))
    }

    /// No whole answer came from `host`.
    pub(in crate::engine) fn fault(host: &str, fault: Fault) -> Self {
        let retry = match fault {
            Fault::Unreachable
            | Fault::Timeout
            | Fault::Stalled
            | Fault::TooSlow
            | Fault::Disconnected
            | Fault::Reset
            | Fault::Incomplete
            | Fault::IncompleteReset
            | Fault::IncompleteChunks
            | Fault::NotHttp
            | Fault::Chunks
            | Fault::Encoding
            | Fault::EncodingCut => Retry::LATER,
            Fault::NotAllowed
            | Fault::Tls
            | Fault::Redirect
            | Fault::BodyTooLarge(_)
            | Fault::HeadTooLarge
            | Fault::EncodingUnknown => Retry::Never,
        };
        Self::new(fault.code(), retry, format!("{host}: {fault}"))
    }

    /// `host` answered with a `status` that means no.
    pub(in crate::engine) fn refused(
        host: &str,
        status: u16,
        after: Option<Duration>,
        body: &[u8],
        scrub: Scrub<'_>,
    ) -> Self {
        Self::complained(host, status, after, &Complaint::of_error(body), scrub)
    }

    /// `host` answered with a `status` that means no, and with a complaint.
    pub(super) fn complained(
        host: &str,
        status: u16,
        after: Option<Duration>,
        complaint: &Complaint,
        scrub: Scrub<'_>,
    ) -> Self {
        let out_of_credit = complaint.is_out_of_credit();
        let (code, retry) = if out_of_credit { (AUTH, Retry::Never) } else { verdict(status, after) };
        let message = format!("{host} answered {status}{}", status_words(status, complaint));
        Self { status: Some(status), ..Self::new(code, retry, scrub.line(&message, MAX_MESSAGE_CHARS)) }
    }

    /// An answer with status 200 of `host` holds a complaint: gateways report upstream failures like that, with the
    /// status as `code` or under a name.
    pub(super) fn inside(host: &str, complaint: &Complaint, scrub: Scrub<'_>) -> Self {
        if let Some(status) = complaint.status {
            return Self::complained(host, status, None, complaint, scrub);
        }
        let (code, retry) = match complaint.meaning() {
            _ if complaint.is_out_of_credit() => (AUTH, Retry::Never),
            Some(Meaning::RateLimited) => (RATE_LIMITED, Retry::Later { after: None, counts: false }),
            Some(Meaning::Unavailable) => (UNAVAILABLE, Retry::LATER),
            Some(Meaning::Timeout) => (TIMEOUT, Retry::LATER),
            Some(Meaning::Auth) => (AUTH, Retry::Never),
            Some(Meaning::NotFound) => (NOT_FOUND, Retry::Never),
            Some(Meaning::Invalid) | None => (BAD_RESPONSE, Retry::Never),
        };
        let message = format!("{host} answered with an error: {}", complaint.words);
        Self { status: Some(200), ..Self::new(code, retry, scrub.line(&message, MAX_MESSAGE_CHARS)) }
    }

    /// The provider ended the generation before the model did; `problem` is the evidence.
    pub(super) fn interrupted(problem: &str, scrub: Scrub<'_>) -> Self {
        Self::new(INTERRUPTED, Retry::LATER, scrub.line(problem, MAX_MESSAGE_CHARS))
    }

    /// The stream ended before the answer in it; `problem` is the evidence.
    pub(super) fn stream_incomplete(problem: &str, scrub: Scrub<'_>) -> Self {
        Self::new(STREAM_INCOMPLETE, Retry::LATER, scrub.line(problem, MAX_MESSAGE_CHARS))
    }

    /// The body came whole, and the JSON in it has no end; `problem` is the evidence.
    pub(super) fn json_incomplete(problem: &str, scrub: Scrub<'_>) -> Self {
        Self::new(JSON_INCOMPLETE, Retry::LATER, scrub.line(problem, MAX_MESSAGE_CHARS))
    }
}

/// The provider's own words, else the name of the status.
fn status_words(status: u16, complaint: &Complaint) -> String {
    let name = || StatusCode::from_u16(status).ok()?.canonical_reason();
    match complaint.words.as_str() {
        "" => name().map(|name| format!(" ({name}) without a word")).unwrap_or_default(),
        words => format!(": {words}"),
    }
}

/// What a status means, and whether to ask again. 409 and 425 ask for the same call a little later.
fn verdict(status: u16, after: Option<Duration>) -> (&'static str, Retry) {
    let later = Retry::Later { after, counts: true };
    match status {
        401..=403 => (AUTH, Retry::Never),
        404 | 410 => (NOT_FOUND, Retry::Never),
        408 => (TIMEOUT, later),
        429 => (RATE_LIMITED, Retry::Later { after, counts: false }),
        409 | 425 | 500..=599 => (UNAVAILABLE, later),
        _ => (BAD_RESPONSE, Retry::Never),
    }
}

/// The wait that a `Retry-After-Ms` header asks for, in milliseconds, brought into the same range.
pub(super) fn retry_after_ms(value: &str) -> Option<Duration> {
    let milliseconds: f64 = value.trim().parse().ok().filter(|wait: &f64| *wait >= 0.0)?;
    let wait = Duration::try_from_secs_f64(milliseconds / 1_000.0).unwrap_or(LONGEST_WAIT);
    Some(wait.clamp(SHORTEST_WAIT, LONGEST_WAIT))
}

/// The wait that a `Retry-After` header asks for, in seconds or as an HTTP date, brought into 1 second to
/// 10 minutes; `None` when it is neither.
pub(super) fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    let wait = match value.parse::<f64>() {
        Ok(seconds) if seconds.is_nan() || seconds.is_sign_negative() => return None,
        // An overflow asks for longer than we ever wait.
        Ok(seconds) => Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST_WAIT),
        Err(_) => {
            let date = rfc2822::DateTimeParser::new().parse_timestamp(value).ok()?;
            // A date that has passed means now.
            Duration::try_from(date.duration_since(now)).unwrap_or(SHORTEST_WAIT)
        }
    };
    Some(wait.clamp(SHORTEST_WAIT, LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    const HOST: &str = "api.example.com";

    fn refused(status: u16, body: &str) -> Failure {
        Failure::refused(HOST, status, None, body.as_bytes(), Scrub::new(None))
    }

    #[test]
    fn every_status_has_its_code_and_its_retry() {
        let later = Retry::LATER;
        let free = Retry::Later { after: None, counts: false };
        let table = [
            (400, BAD_RESPONSE, Retry::Never),
            (401, AUTH, Retry::Never),
            (402, AUTH, Retry::Never),
            (403, AUTH, Retry::Never),
            (404, NOT_FOUND, Retry::Never),
            (408, TIMEOUT, later),
            (409, UNAVAILABLE, later),
            (410, NOT_FOUND, Retry::Never),
            (425, UNAVAILABLE, later),
            (413, BAD_RESPONSE, Retry::Never),
            (422, BAD_RESPONSE, Retry::Never),
            (429, RATE_LIMITED, free),
            (500, UNAVAILABLE, later),
            (503, UNAVAILABLE, later),
            (529, UNAVAILABLE, later),
        ];
        for (status, code, retry) in table {
            let failure = refused(status, "");
            assert_eq!((failure.code, failure.retry, failure.status), (code, retry, Some(status)));
            assert!(failure.message.starts_with(&format!("{HOST} answered {status}")), "{}", failure.message);
        }
    }

    #[test]
    fn the_providers_own_words_are_found_wherever_they_are() {
        let table = [
            (r#"{"error":{"message":"Unknown model.","type":"x"}}"#, "Unknown model."),
            (
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"max_tokens: big"}}"#,
                "max_tokens: big",
            ),
            (r#"{"error":"model not loaded"}"#, "model not loaded"),
            (r#"{"object":"error","message":"too long"}"#, "too long"),
            (r#"{"detail":"Unauthorized"}"#, "Unauthorized"),
            (r#"{"detail":[{"loc":["seed"]}]}"#, r#"{"detail":[{"loc":["seed"]}]}"#),
            ("<!DOCTYPE html><p>secret", "an HTML page"),
            (" upstream \n gone\u{0} ", "upstream gone"),
        ];
        for (body, words) in table {
            assert_eq!(refused(400, body).message, format!("{HOST} answered 400: {words}"));
        }
        assert_eq!(refused(400, "").message, format!("{HOST} answered 400 (Bad Request) without a word"));
        assert_eq!(refused(599, " ").message, format!("{HOST} answered 599"));
        assert_eq!(refused(400, &"é".repeat(9_000)).message.chars().count(), MAX_MESSAGE_CHARS);
    }

    #[test]
    fn an_echoed_key_is_taken_out_even_at_the_edge_of_the_cut() {
        let key = SecretString::from("sk-canary-0123456789");
        for pad in [0, 440, 455, 460, 470, 490] {
            let body = format!(r#"{{"error":{{"message":"{}sk-canary-0123456789"}}}}"#, "x".repeat(pad));
            let failure = Failure::refused(HOST, 401, None, body.as_bytes(), Scrub::new(Some(&key)));
            assert!(!failure.message.contains("sk-"), "{}", failure.message);
        }
    }

    #[test]
    fn an_empty_account_is_not_waited_for() {
        let body = r#"{"error":{"message":"You exceeded your current quota","code":"insufficient_quota"}}"#;
        let failure = refused(429, body);
        assert_eq!((failure.code, failure.retry, failure.status), (AUTH, Retry::Never, Some(429)));
    }

    #[test]
    fn retry_after_is_read_in_seconds_and_as_a_date_and_brought_into_range() {
        let now: Timestamp = "1994-11-06T08:49:07Z".parse().unwrap();
        let table = [
            ("30", Some(30.0)),
            (" 1.5 ", Some(1.5)),
            ("0", Some(1.0)),
            ("86400", Some(600.0)),
            ("99999999", Some(600.0)),
            ("1e300", Some(600.0)),
            ("inf", Some(600.0)),
            ("NaN", None),
            ("-5", None),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(30.0)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(1.0)),
            ("Mon, 07 Nov 1994 08:49:37 GMT", Some(600.0)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(1.0)),
            ("Tue, 01 Jan 2999 00:00:00 GMT", Some(600.0)),
            ("Tue, 01 Jan 29990 00:00:00 GMT", None),
            ("soon", None),
            ("", None),
        ];
        for (value, seconds) in table {
            assert_eq!(retry_after(value, now), seconds.map(Duration::from_secs_f64), "{value}");
        }
    }

    #[test]
    fn waits_in_milliseconds_are_brought_into_range() {
        let table = [
            ("2500", Some(2.5)),
            ("0", Some(1.0)),
            ("1e300", Some(600.0)),
            ("-1", None),
            ("NaN", None),
            ("x", None),
        ];
        for (value, seconds) in table {
            assert_eq!(retry_after_ms(value), seconds.map(Duration::from_secs_f64), "{value}");
        }
    }

    #[test]
    fn a_connection_that_failed_is_tried_again_and_a_refused_one_is_not() {
        let table = [
            (Fault::NotAllowed, Retry::Never),
            (Fault::Unreachable, Retry::LATER),
            (Fault::Timeout, Retry::LATER),
            (Fault::Tls, Retry::Never),
            (Fault::Redirect, Retry::Never),
            (Fault::BodyTooLarge(1), Retry::Never),
            (Fault::HeadTooLarge, Retry::Never),
            (Fault::EncodingUnknown, Retry::Never),
            (Fault::Stalled, Retry::LATER),
            (Fault::TooSlow, Retry::LATER),
            (Fault::Disconnected, Retry::LATER),
            (Fault::Reset, Retry::LATER),
            (Fault::Incomplete, Retry::LATER),
            (Fault::IncompleteReset, Retry::LATER),
            (Fault::IncompleteChunks, Retry::LATER),
            (Fault::NotHttp, Retry::LATER),
            (Fault::Chunks, Retry::LATER),
            (Fault::Encoding, Retry::LATER),
            (Fault::EncodingCut, Retry::LATER),
        ];
        for (fault, retry) in table {
            let failure = Failure::fault(HOST, fault);
            assert_eq!((failure.code, failure.retry, failure.status), (fault.code(), retry, None));
            assert!(failure.message.starts_with(HOST));
        }
    }
}
