//! A streamed answer, put together to the body that the same call without streaming would have had, so that both
//! are read by the same rules.

mod anthropic;
mod openai;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;

use serde_json::Value;

use self::{anthropic::Message, openai::Completion};
use super::json;
use super::remote::Dialect;
use super::sse::{Event, EventReader};

/// Largest answer, put together.
const MAX_TEXT_BYTES: usize = 4 * 1024 * 1024;
/// Beginning of the stream that is kept as it came.
const MAX_RAW_BYTES: usize = 64 * 1024;

/// Reads a stream as it comes in.
pub(super) struct StreamReader {
    events: EventReader,
    answer: Assembly,
    raw: Vec<u8>,
    has_events: bool,
    fault: Option<StreamFault>,
}

/// A whole stream.
#[derive(Debug)]
pub(super) struct Streamed {
    /// The body that the call without streaming would have had.
    pub(super) body: Value,
    /// The beginning of the stream as it came, at most 64 KB.
    pub(super) raw: Vec<u8>,
    /// The stream ended as streams end, with a finish reason or with an error.
    pub(super) is_complete: bool,
}

/// Why a stream cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StreamFault {
    /// One event, or the whole answer, is larger than any that is read.
    TooLarge,
    /// An event's data is not JSON; why.
    Syntax(String),
}

enum Assembly {
    OpenAi(Completion),
    Anthropic(Message),
}

impl StreamReader {
    pub(super) fn new(dialect: Dialect) -> Self {
        let answer = match dialect {
            Dialect::OpenAi => Assembly::OpenAi(Completion::default()),
            Dialect::Anthropic => Assembly::Anthropic(Message::default()),
        };
        let (events, raw) = (EventReader::default(), Vec::new());
        Self { events, answer, raw, has_events: false, fault: None }
    }

    /// Reads the next piece; breaks when nothing that matters can follow.
    pub(super) fn push(&mut self, piece: &[u8]) -> ControlFlow<()> {
        let room = MAX_RAW_BYTES.saturating_sub(self.raw.len());
        self.raw.extend(piece.iter().take(room));
        match self.events.push(piece) {
            Ok(events) => events.into_iter().try_for_each(|event| self.take(&event)),
            Err(_) => self.fail(StreamFault::TooLarge),
        }
    }

    /// Returns true if the answer is whole, so that what follows in the stream does not matter.
    pub(super) fn is_complete(&self) -> bool {
        self.fault.is_none() && self.answer.is_complete()
    }

    /// The whole stream, at its end.
    pub(super) fn finish(mut self) -> Result<Streamed, StreamFault> {
        if self.fault.is_none()
            && let Some(event) = self.events.finish()
        {
            // Nothing follows it in any case.
            let _ = self.take(&event);
        }
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        // Some errors come under the name of a stream and are none.
        let plain = if self.has_events { None } else { plain(&self.raw) };
        let is_complete = plain.is_some() || self.answer.is_complete();
        let body = plain.unwrap_or_else(|| self.answer.into_body());
        Ok(Streamed { body, raw: self.raw, is_complete })
    }

    fn take(&mut self, event: &Event) -> ControlFlow<()> {
        self.has_events = true;
        let is_end = event.data.trim_ascii() == b"[DONE]";
        if is_end {
            self.answer.end();
            return ControlFlow::Break(());
        }
        match self.read(event) {
            Ok(()) if self.answer.size() > MAX_TEXT_BYTES => self.fail(StreamFault::TooLarge),
            Ok(()) if self.answer.is_over() => ControlFlow::Break(()),
            Ok(()) => ControlFlow::Continue(()),
            Err(fault) => self.fail(fault),
        }
    }

    fn read(&mut self, event: &Event) -> Result<(), StreamFault> {
        let text = json::decode(&event.data).map_err(|_| StreamFault::Syntax("not UTF-8".to_owned()))?;
        let data = match json::parse(&text) {
            Ok(data) => data,
            // An error in plain words.
            Err(_) if event.name == "error" => Value::from(text.as_ref()),
            Err(json::Unreadable::Encoding) => return Err(StreamFault::Syntax("not UTF-8".to_owned())),
            Err(json::Unreadable::Incomplete(fault) | json::Unreadable::Syntax(fault)) => {
                return Err(StreamFault::Syntax(fault.to_string()));
            }
        };
        let data = if event.name == "error" && data.get("error").is_none() {
            serde_json::json!({ "type": "error", "error": data })
        } else {
            data
        };
        match &mut self.answer {
            Assembly::OpenAi(completion) => completion.add(&data),
            Assembly::Anthropic(message) => message.add(&data),
        }
        Ok(())
    }

    fn fail(&mut self, fault: StreamFault) -> ControlFlow<()> {
        self.fault = Some(fault);
        ControlFlow::Break(())
    }
}

impl Assembly {
    fn end(&mut self) {
        match self {
            Self::OpenAi(completion) => completion.end(),
            Self::Anthropic(message) => message.end(),
        }
    }

    /// Returns true if it has all that makes an answer or an error.
    fn is_complete(&self) -> bool {
        match self {
            Self::OpenAi(completion) => completion.is_complete(),
            Self::Anthropic(message) => message.is_complete(),
        }
    }

    /// Returns true if nothing that matters can follow.
    fn is_over(&self) -> bool {
        match self {
            Self::OpenAi(completion) => completion.has_failed(),
            Self::Anthropic(message) => message.is_over(),
        }
    }

    /// Bytes of text put together so far.
    fn size(&self) -> usize {
        match self {
            Self::OpenAi(completion) => completion.size,
            Self::Anthropic(message) => message.size,
        }
    }

    fn into_body(self) -> Value {
        match self {
            Self::OpenAi(completion) => completion.into_body(),
            Self::Anthropic(message) => message.into_body(),
        }
    }
}

/// Returns true if text begins as an event stream does.
pub(super) fn looks_like_events(text: &str) -> bool {
    let text = text.trim_start();
    ["data:", "event:", "id:", "retry:", ":"].iter().any(|field| text.starts_with(field))
}

fn plain(raw: &[u8]) -> Option<Value> {
    json::parse(&json::decode(raw).ok()?).ok().filter(Value::is_object)
}

/// Adds a text to what a field holds so far.
fn append(fields: &mut serde_json::Map<String, Value>, name: &str, text: &str) {
    match fields.get_mut(name) {
        Some(Value::String(so_far)) => so_far.push_str(text),
        _ => {
            fields.insert(name.to_owned(), Value::from(text));
        }
    }
}

/// Takes over what is not null.
fn overlay(fields: &mut serde_json::Map<String, Value>, more: &Value) {
    let more = more.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    fields.extend(more.map(|(name, value)| (name.clone(), value.clone())));
}
