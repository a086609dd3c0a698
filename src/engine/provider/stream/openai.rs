//! Chunks of a chat completion.

use serde_json::{Map, Value, json};

use super::append;
use crate::engine::provider::json::at;

/// A completion, as far as its chunks have come in.
#[derive(Debug, Default)]
pub(super) struct Completion {
    message: Map<String, Value>,
    /// Content that comes as parts.
    parts: Vec<Value>,
    finish: Value,
    usage: Value,
    error: Value,
    has_ended: bool,
    /// Bytes of text so far.
    pub(super) size: usize,
}

impl Completion {
    /// Adds a chunk.
    pub(super) fn add(&mut self, chunk: &Value) {
        let choice = at(chunk, "/choices/0").filter(|choice| is_first(choice));
        let usages =
            [chunk.get("usage"), at(chunk, "/x_groq/usage"), choice.and_then(|choice| choice.get("usage"))];
        if let Some(usage) = usages.into_iter().flatten().find(|usage| usage.is_object()) {
            self.usage = usage.clone();
        }
        let errors = [chunk.get("error"), choice.and_then(|choice| choice.get("error"))];
        if let Some(error) = errors.into_iter().flatten().find(|error| is_error(error)) {
            self.error = error.clone();
        }
        let Some(choice) = choice else { return };
        if let Some(finish) = choice.get("finish_reason").filter(|finish| !finish.is_null()) {
            self.finish = finish.clone();
        }
        let whole = choice.get("message").filter(|_| self.message.is_empty() && self.parts.is_empty());
        for (name, value) in choice.get("delta").or(whole).and_then(Value::as_object).into_iter().flatten() {
            self.add_field(name, value);
        }
    }

    fn add_field(&mut self, name: &str, value: &Value) {
        match value {
            Value::String(role) if name == "role" => {
                self.message.insert(name.to_owned(), Value::from(role.as_str()));
            }
            Value::String(text) if name == "content" && !self.parts.is_empty() => {
                self.size += text.len();
                self.parts.push(json!({"type": "text", "text": text}));
            }
            Value::String(text) => {
                self.size += text.len();
                append(&mut self.message, name, text);
            }
            Value::Array(parts) if name == "content" => {
                self.size += value.to_string().len();
                if let Some(Value::String(text)) = self.message.remove(name) {
                    self.parts.push(json!({"type": "text", "text": text}));
                }
                self.parts.extend(parts.iter().cloned());
            }
            // Tools are not asked for, and what else there is is no part of an answer.
            _ => {}
        }
    }

    /// Marks the end of the stream, which makes a whole of what there is, unless that is nothing.
    pub(super) fn end(&mut self) {
        self.has_ended = !self.message.is_empty() || !self.parts.is_empty() || !self.finish.is_null();
    }

    pub(super) fn has_failed(&self) -> bool {
        !self.error.is_null()
    }

    pub(super) fn is_complete(&self) -> bool {
        self.has_ended || self.has_failed() || !self.finish.is_null()
    }

    pub(super) fn into_body(mut self) -> Value {
        if !self.parts.is_empty() {
            self.message.insert("content".to_owned(), Value::from(self.parts));
        }
        let choice = json!({"index": 0, "message": self.message, "finish_reason": self.finish});
        json!({"choices": [choice], "usage": self.usage, "error": self.error})
    }
}

fn is_first(choice: &Value) -> bool {
    choice.get("index").and_then(Value::as_u64).unwrap_or(0) == 0
}

fn is_error(error: &Value) -> bool {
    match error {
        Value::String(text) => !text.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => false,
    }
}
