//! The messages form of Anthropic: request body out, answer in.
//!
//! It sends nothing and knows no status codes. A JSON schema for the answer is not passed on, and thinking
//! blocks are not part of the answer.

use serde::Serialize;
use serde_json::Value;

use super::{Answer, Call, Flaw, finish::Finish, reasoning, scrub::Scrub, usage::Usage};
use crate::domain::{
    parameters::ReasoningEffort,
    samples::{Message, Role},
};

/// The version that [`Body`] and [`read`] are written for.
pub(super) const VERSION: &str = "2023-06-01";

/// Sent where the model's owner gave none, because this provider demands a limit.
const DEFAULT_MAX_TOKENS: u32 = 4096;

/// The body of a request.
#[derive(Debug, Serialize)]
pub(super) struct Body<'a> {
    model: &'a str,
    max_tokens: u32,
    messages: Vec<&'a Message>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<OutputConfig>,
    /// Unknown to this provider, and sent all the same: it then says so, where leaving it out would
    /// silently measure something else than the owner asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_sequences: Option<&'a [String]>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    system: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
}

#[derive(Debug, Serialize)]
struct OutputConfig {
    effort: ReasoningEffort,
}

impl<'a> Body<'a> {
    /// What to post for `call`, whose answer may be streamed.
    pub(super) fn new(model: &'a str, call: &'a Call, stream: bool) -> Self {
        let parameters = &call.parameters;
        Self {
            model,
            max_tokens: parameters.max_tokens.unwrap_or(DEFAULT_MAX_TOKENS),
            messages: call.messages.iter().filter(|message| message.role != Role::System).collect(),
            output_config: parameters.reasoning_effort.map(|effort| OutputConfig { effort }),
            seed: parameters.seed,
            stop_sequences: parameters.stop.as_deref(),
            stream,
            system: system(call),
            temperature: parameters.temperature,
            top_p: parameters.top_p,
        }
    }
}

/// Every system message, in order.
fn system(call: &Call) -> String {
    let messages = call.messages.iter().filter(|message| message.role == Role::System);
    let texts: Vec<&str> = messages.map(|message| message.content.as_str()).collect();
    texts.join("\n\n")
}

/// Reads the body of an answer.
pub(super) fn read(body: &Value, scrub: Scrub<'_>) -> Result<Answer, Flaw> {
    let blocks =
        body.get("content").and_then(Value::as_array).ok_or(Flaw::NoAnswer("the answer holds no content"))?;
    let reason = body.get("stop_reason").and_then(Value::as_str);
    let finish = Finish::of(reason);
    let text: String = blocks
        .iter()
        .filter(|block| block.get("type").and_then(Value::as_str) == Some("text"))
        .filter_map(|block| block.get("text")?.as_str())
        .collect();
    finish.check(reason, finish == Finish::Filtered || !text.trim().is_empty())?;
    let usage = Usage::anthropic(body.get("usage").unwrap_or(&Value::Null), scrub);
    Ok(Answer {
        usage: usage.checked(!text.is_empty()),
        text: scrub.text(&text),
        reasoning: reasoning::of_blocks(blocks).map(|text| scrub.text(&text)),
        truncated: finish == Finish::Truncated,
        refusal: finish == Finish::Filtered,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{domain::parameters::Parameters, engine::provider::support::call};

    fn sent(call: &Call) -> Value {
        serde_json::to_value(Body::new("claude-x", call, false)).unwrap()
    }

    #[test]
    fn a_limit_is_always_sent_and_nothing_else_that_was_not_given() {
        let body = sent(&call(&[(Role::User, "Hi")]));
        let messages = json!([{"role": "user", "content": "Hi"}]);
        assert_eq!(body, json!({"model": "claude-x", "max_tokens": 4096, "messages": messages}));
        let streamed = serde_json::to_value(Body::new("claude-x", &call(&[]), true)).unwrap();
        assert_eq!(streamed["stream"], true);
    }

    #[test]
    fn system_texts_and_parameters_have_their_own_places() {
        let mut call =
            call(&[(Role::System, "One."), (Role::User, "a"), (Role::User, "b"), (Role::System, "Two.")]);
        call.parameters = Parameters {
            max_tokens: Some(9),
            reasoning_effort: Some(ReasoningEffort::Low),
            seed: Some(1),
            stop: Some(vec!["END".into()]),
            stream: None,
            system_prompt: None,
            temperature: Some(1.0),
            thinking_tags: None,
            top_p: Some(0.5),
        };
        call.schema = Some(json!({"type": "object"}));
        let expected = json!({
            "model": "claude-x", "max_tokens": 9, "system": "One.\n\nTwo.", "seed": 1,
            "messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}],
            "stop_sequences": ["END"], "temperature": 1.0, "top_p": 0.5, "output_config": {"effort": "low"},
        });
        assert_eq!(sent(&call), expected);
    }

    #[test]
    fn a_recorded_answer_is_read() {
        let body = json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x",
            "content": [{"type": "thinking", "thinking": "hm", "signature": "s"},
                {"type": "text", "text": "Par"}, {"type": "text", "text": "is"}],
            "stop_reason": "end_turn", "stop_sequence": null,
            "usage": {"input_tokens": 12, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 8,
                "output_tokens": 6, "service_tier": "standard"},
        });
        let answer = read(&body, Scrub::new(None)).unwrap();
        assert_eq!((answer.text.as_str(), answer.truncated, answer.refusal), ("Paris", false, false));
        assert_eq!(answer.reasoning.as_deref(), Some("hm"));
        let usage = &answer.usage;
        assert_eq!((usage.input_tokens, usage.cached_input_tokens), (Some(12), Some(8)));
        assert_eq!((usage.output_tokens, usage.reasoning_tokens), (Some(6), None));
    }

    #[test]
    fn stop_reasons_tell_truncation_and_refusal() {
        let table = [
            ("max_tokens", true, false),
            ("model_context_window_exceeded", true, false),
            ("refusal", false, true),
            ("stop_sequence", false, false),
        ];
        for (reason, truncated, refusal) in table {
            let answer = read(&json!({"content": [], "stop_reason": reason}), Scrub::new(None)).unwrap();
            assert_eq!((answer.text.as_str(), answer.truncated, answer.refusal), ("", truncated, refusal));
        }
    }

    #[test]
    fn a_message_that_was_not_finished_is_no_answer() {
        for reason in [json!("error"), json!("pause_turn"), json!("overloaded_error")] {
            let body = json!({"content": [{"type": "text", "text": "Par"}], "stop_reason": reason});
            assert!(matches!(read(&body, Scrub::new(None)), Err(Flaw::BrokenOff(_))), "{reason}");
        }
        for reason in [json!("news"), json!(null)] {
            let body = json!({"content": [], "stop_reason": reason});
            assert!(matches!(read(&body, Scrub::new(None)), Err(Flaw::BrokenOff(_))), "{reason}");
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for body in [json!({}), json!([]), json!({"content": null}), json!({"content": "text"})] {
            assert!(read(&body, Scrub::new(None)).is_err(), "{body}");
        }
    }
}
