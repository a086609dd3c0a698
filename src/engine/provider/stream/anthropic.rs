//! Events of a message.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{append, overlay};
use crate::engine::provider::json::at;

/// A message, as far as its events have come in.
#[derive(Debug, Default)]
pub(super) struct Message {
    blocks: BTreeMap<u64, Map<String, Value>>,
    stop_reason: Value,
    usage: Map<String, Value>,
    error: Value,
    has_ended: bool,
    /// Bytes of text so far.
    pub(super) size: usize,
}

impl Message {
    /// Adds an event.
    pub(super) fn add(&mut self, event: &Value) {
        match event.get("type").and_then(Value::as_str).unwrap_or_default() {
            "message_start" => {
                overlay(&mut self.usage, at(event, "/message/usage").unwrap_or(&Value::Null));
            }
            "content_block_start" => {
                let block =
                    event.get("content_block").and_then(Value::as_object).cloned().unwrap_or_default();
                self.size += Value::from(block.clone()).to_string().len();
                self.blocks.insert(index(event), block);
            }
            "content_block_delta" => self.add_delta(event),
            "message_delta" => {
                // Its counts are those of the whole message so far.
                overlay(&mut self.usage, event.get("usage").unwrap_or(&Value::Null));
                if let Some(reason) = at(event, "/delta/stop_reason").filter(|reason| !reason.is_null()) {
                    self.stop_reason = reason.clone();
                }
            }
            "message_stop" => self.has_ended = true,
            "error" => self.error = event.get("error").cloned().unwrap_or_else(|| event.clone()),
            // Pings, and ends of blocks.
            _ => {}
        }
    }

    fn add_delta(&mut self, event: &Value) {
        let delta = event.get("delta").and_then(Value::as_object);
        let block = self.blocks.entry(index(event)).or_default();
        let texts =
            delta.into_iter().flatten().filter(|(name, _)| matches!(name.as_str(), "text" | "thinking"));
        for (name, text) in texts {
            let text = text.as_str().unwrap_or_default();
            self.size += text.len();
            block.entry("type").or_insert_with(|| Value::from(name.as_str()));
            append(block, name, text);
        }
    }

    pub(super) fn end(&mut self) {
        self.has_ended = true;
    }

    /// Returns true if nothing that matters can follow.
    pub(super) fn is_over(&self) -> bool {
        self.has_ended || !self.error.is_null()
    }

    pub(super) fn is_complete(&self) -> bool {
        !self.stop_reason.is_null() || !self.error.is_null()
    }

    pub(super) fn into_body(self) -> Value {
        let blocks: Vec<Value> = self.blocks.into_values().map(Value::from).collect();
        json!({"content": blocks, "stop_reason": self.stop_reason, "usage": self.usage, "error": self.error})
    }
}

fn index(event: &Value) -> u64 {
    event.get("index").and_then(Value::as_u64).unwrap_or(0)
}
