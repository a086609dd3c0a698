//! Reasoning that a provider sends in fields of its own, beside the answer.
//!
//! It is recorded with the case and never scored. Thinking inside the answer's text is not read here.

use serde_json::Value;

/// Fields of a chat-completions message that hold reasoning as text: one server uses one of them, and some repeat
/// the same text in several.
const TEXT_FIELDS: [&str; 3] = ["reasoning_content", "reasoning", "thinking"];

/// Returns the reasoning of a chat-completions message; none when it has none.
pub(super) fn of_message(message: &Value) -> Option<String> {
    let field = |name| message.get(name).and_then(words);
    let parts = || message.get("content").and_then(Value::as_array).and_then(|parts| joined(parts, thought));
    let details = || {
        let details = message.get("reasoning_details")?.as_array()?;
        joined(details, |detail| ["text", "summary"].iter().find_map(|name| detail.get(name).and_then(words)))
    };
    TEXT_FIELDS.into_iter().find_map(field).or_else(details).or_else(parts)
}

/// Returns the reasoning among the content blocks of a message; none when there is none.
pub(super) fn of_blocks(blocks: &[Value]) -> Option<String> {
    joined(blocks, thought)
}

/// The text of a content block that holds reasoning: `thinking` is text, or a list of text parts.
fn thought(block: &Value) -> Option<String> {
    match block.get("type")?.as_str()? {
        "thinking" => block.get("thinking").and_then(words),
        "reasoning" => {
            ["reasoning", "text", "summary"].iter().find_map(|name| block.get(name).and_then(words))
        }
        _ => None,
    }
}

/// Text that is not blank: itself, or its parts in one.
fn words(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts
            .iter()
            .filter_map(|part| part.as_str().or_else(|| part.get("text")?.as_str()))
            .collect::<Vec<_>>()
            .concat(),
        _ => return None,
    };
    (!text.trim().is_empty()).then_some(text)
}

fn joined(parts: &[Value], text: impl Fn(&Value) -> Option<String>) -> Option<String> {
    let texts: Vec<String> = parts.iter().filter_map(text).collect();
    (!texts.is_empty()).then(|| texts.join("\n\n"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reasoning_is_read_from_every_field_that_holds_it() {
        for (message, expected) in [
            (json!({"content": "A", "reasoning_content": "so A"}), Some("so A")),
            (json!({"content": "A", "reasoning": "so A"}), Some("so A")),
            (json!({"content": "A", "reasoning": "so A", "reasoning_content": null}), Some("so A")),
            (json!({"content": "A", "reasoning_content": " \n"}), None),
            (json!({"content": "A", "reasoning": {"effort": "low"}}), None),
            (json!({"content": "A"}), None),
            (json!(null), None),
            (
                json!({"reasoning": "so A", "reasoning_details": [{"type": "reasoning.text", "text": "so A"}]}),
                Some("so A"),
            ),
            (
                json!({"reasoning_details": [{"type": "reasoning.summary", "summary": "First."},
                    {"type": "reasoning.encrypted", "data": "xyz"},
                    {"type": "reasoning.text", "text": "Then.", "signature": "s"}]}),
                Some("First.\n\nThen."),
            ),
            (
                json!({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                    {"type": "text", "text": "A"}]}),
                Some("hm"),
            ),
        ] {
            assert_eq!(of_message(&message).as_deref(), expected, "{message}");
        }
    }

    #[test]
    fn thinking_blocks_are_joined_and_redacted_ones_hold_no_text() {
        let blocks = [
            json!({"type": "thinking", "thinking": "One.", "signature": "s"}),
            json!({"type": "redacted_thinking", "data": "xyz"}),
            json!({"type": "text", "text": "A"}),
            json!({"type": "thinking", "thinking": "Two."}),
        ];
        assert_eq!(of_blocks(&blocks).as_deref(), Some("One.\n\nTwo."));
        assert_eq!(of_blocks(&[json!({"type": "text", "text": "A"})]), None);
    }
}
