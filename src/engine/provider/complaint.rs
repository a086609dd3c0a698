//! Errors as providers word them: beside a status, inside of a 200, or in a stream.
//!
//! It reads names and numbers from the places where providers put them. Messages are shown and not searched, but for
//! two that only a filter writes.

use serde_json::Value;

use super::json;
use super::names::{self, Meaning};

/// Phrases that only filters write, where the name beside them is a general one.
const FILTER_PHRASES: [&str; 2] = ["Output blocked by content filtering policy", "SAFETY_CHECK_TYPE_"];

/// Where errors have names, the most telling first.
const NAMES: [&str; 11] = [
    "/code",
    "/innererror/code",
    "/inner_error/code",
    "/innererror/innererror/code",
    "/error_code",
    "/status",
    "/type",
    "/__type",
    "/error_type",
    "/metadata/error_type",
    "/reason",
];
/// Where messages are that may be no more than a name, such as `Service Unavailable`.
const SPOKEN: [&str; 2] = ["/message", "/detail"];
const NUMBERS: [&str; 6] = ["/code", "/status", "/status_code", "/http_status", "/http_code", "/error_code"];
const MESSAGES: [&str; 7] =
    ["/error/message", "/error/msg", "/error", "/message", "/detail", "/detail/message", "/msg"];
const BLOCK_REASONS: [&str; 2] = ["/prompt_feedback/block_reason", "/promptFeedback/blockReason"];

/// An error in a provider's words.
#[derive(Debug, Default)]
pub(super) struct Complaint {
    /// The message, else the whole body.
    pub(super) words: String,
    /// The parameter at fault.
    pub(super) param: Option<String>,
    /// The HTTP status that stands in it.
    pub(super) status: Option<u16>,
    /// Normalized, the most telling first.
    names: Vec<String>,
    /// Whole messages, normalized: never the name of a filter.
    spoken: Vec<String>,
    is_moderated: bool,
}

impl Complaint {
    /// Reads the body of an answer whose status is an error.
    pub(super) fn of_error(body: &[u8]) -> Self {
        let parsed = json::decode(body).ok().and_then(|text| json::parse(&text).ok());
        let Some(value) = parsed else { return Self { words: plain_words(body), ..Self::default() } };
        // Google sends a list of one.
        let value = value.get(0).unwrap_or(&value);
        let error = value.get("error").filter(|error| is_something(error)).unwrap_or(value);
        Self::read(value, error)
    }

    /// The error that an answer with status 200 holds, if any: at the top, in the first choice, or in its place.
    pub(super) fn inside(body: &Value) -> Option<Self> {
        let body = body.get(0).unwrap_or(body);
        let named = [body.get("error"), json::at(body, "/choices/0/error"), json::at(body, "/errors/0")];
        if let Some(error) = named.into_iter().flatten().find(|error| is_something(error)) {
            let alone = serde_json::json!({ "error": error });
            // Fields at the top belong to an error that is only a text.
            return Some(Self::read(if error.is_object() { &alone } else { body }, error));
        }
        let has_choices =
            |name| body.get(name).and_then(Value::as_array).is_some_and(|list| !list.is_empty());
        if has_choices("choices") || has_choices("content") {
            return None;
        }
        let blocked = BLOCK_REASONS.iter().find_map(|place| body.pointer(place)?.as_str());
        if let Some(reason) = blocked.filter(|reason| !reason.is_empty()) {
            return Some(Self { words: reason.to_owned(), is_moderated: true, ..Self::default() });
        }
        let has_words = ["message", "msg"].iter().any(|name| body.get(name).is_some_and(is_text));
        let has_detail = body.get("detail").is_some_and(is_something);
        (has_words || has_detail).then(|| Self::read(body, body))
    }

    /// Returns true if a content filter or a moderation stopped the call.
    pub(super) fn is_filter(&self) -> bool {
        self.is_moderated || self.names.iter().any(|name| names::is_filter(name))
    }

    /// Returns true if the account has no money left.
    pub(super) fn is_out_of_credit(&self) -> bool {
        self.names.iter().any(|name| names::is_out_of_credit(name))
    }

    /// The meaning of its names; none when none of them is known.
    pub(super) fn meaning(&self) -> Option<Meaning> {
        self.names.iter().chain(&self.spoken).find_map(|name| names::meaning(name))
    }

    /// Returns true if it calls a parameter of that name unknown or unsupported.
    pub(super) fn refuses(&self, parameter: &str) -> bool {
        const REFUSALS: [&str; 12] = [
            "unsupported",
            "not supported",
            "not support",
            "unknown",
            "unrecognized",
            "unrecognised",
            "unexpected",
            "not permitted",
            "not allowed",
            "extra_forbidden",
            "instead",
            "additional properties",
        ];
        let words = self.words.to_ascii_lowercase();
        let is_named = self.param.as_deref() == Some(parameter) || has_word(&words, parameter);
        let codes = ["unsupported_parameter", "unknown_parameter", "unsupported_value"];
        let is_refused = self.names.iter().any(|name| codes.contains(&name.as_str()))
            || REFUSALS.iter().any(|refusal| words.contains(refusal));
        is_named && is_refused
    }

    /// Returns true if it asks for the answer to be streamed.
    pub(super) fn demands_stream(&self) -> bool {
        const DEMANDS: [&str; 8] =
            ["only", "must", "require", "enable", "unsupported", "not support", "non-stream", "true"];
        let words = self.words.to_ascii_lowercase();
        let mut tokens = words.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let is_named = self.param.as_deref() == Some("stream")
            || tokens.any(|word| matches!(word, "stream" | "streams" | "streaming" | "streamed"));
        is_named && DEMANDS.iter().any(|demand| words.contains(demand))
    }

    fn read(body: &Value, error: &Value) -> Self {
        let words = words(body);
        let detail = error.get("detail").filter(|detail| detail.is_object());
        let places = [Some(error), detail, (!error.is_object()).then_some(body)];
        let text = error.as_str().map(|text| (text.contains(char::is_whitespace), names::normalized(text)));
        let (mut names, mut spoken) = (Vec::new(), Vec::new());
        match text {
            Some((true, message)) => spoken.push(message),
            Some((false, name)) => names.push(name),
            None => {}
        }
        let mut status = error.as_u64().and_then(|number| error_status(u16::try_from(number).ok()?));
        for place in places.into_iter().flatten() {
            let text = |name: &&str| Some(names::normalized(place.pointer(name)?.as_str()?));
            names.extend(NAMES.iter().filter_map(text));
            spoken.extend(SPOKEN.iter().filter_map(text));
            status = status.or_else(|| NUMBERS.iter().find_map(|name| number(place.pointer(name)?)));
        }
        let param = error.get("param").and_then(Value::as_str).map(str::to_owned);
        let flagged = error.pointer("/metadata/reasons").and_then(Value::as_array);
        let is_moderated = flagged.is_some_and(|reasons| !reasons.is_empty())
            || FILTER_PHRASES.iter().any(|phrase| words.contains(phrase));
        Self { words, param, status, names, spoken, is_moderated }
    }
}

/// Some servers send an empty error beside a good answer.
fn is_something(error: &Value) -> bool {
    match error {
        Value::String(text) => !text.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Number(_) => number(error).is_some(),
        Value::Null | Value::Bool(_) => false,
    }
}

fn is_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty())
}

/// A status of an error, as a number or as text: `429`, `"429"`, `"429 Too Many Requests"`.
fn number(value: &Value) -> Option<u16> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let first = text.split_whitespace().next()?;
    error_status(first.strip_suffix(".0").unwrap_or(first).parse().ok()?)
}

fn error_status(number: u16) -> Option<u16> {
    (400..600).contains(&number).then_some(number)
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|each| each == word)
}

/// The message in the places where providers put it, else the whole JSON.
fn words(value: &Value) -> String {
    MESSAGES
        .iter()
        .find_map(|place| value.pointer(place).and_then(Value::as_str))
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn plain_words(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    if looks_like_html(&text) { "an HTML page".to_owned() } else { text.trim().to_owned() }
}

/// Returns true if `text` begins as a web page does.
pub(super) fn looks_like_html(text: &str) -> bool {
    let head: String = text.trim_start().chars().take(14).collect::<String>().to_ascii_lowercase();
    head.starts_with("<!doctype html") || head.starts_with("<html")
}

#[cfg(test)]
mod tests;
