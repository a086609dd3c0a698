//! The chat-completions form, as OpenAI and every compatible server speaks it: request body out, answer in.
//!
//! It sends nothing and knows no status codes. Tools, images and several choices are not asked for, and text that a
//! model calls its reasoning is not part of its answer.

use serde::Serialize;
use serde_json::Value;

use super::quirks::Quirks;
use super::{Answer, Call, Flaw, finish::Finish, json, reasoning, scrub::Scrub, usage::Usage};
use crate::domain::{parameters::ReasoningEffort, samples::Message};

const MAX_TOKENS: &str = "max_tokens";
const MAX_COMPLETION_TOKENS: &str = "max_completion_tokens";

/// The body of a request. It borrows: prompts can be large, and many calls are under way at once.
#[derive(Debug, Serialize)]
pub(super) struct Body<'a> {
    model: &'a str,
    messages: &'a [Message],
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    random_seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<ReasoningEffort>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<Format<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop: Option<&'a [String]>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
}

/// Without it a stream ends without its usage.
#[derive(Debug, Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Format<'a> {
    JsonSchema { json_schema: Schema<'a> },
}

#[derive(Debug, Serialize)]
struct Schema<'a> {
    name: &'static str,
    strict: bool,
    schema: &'a Value,
}

impl<'a> Body<'a> {
    /// What to post for `call`. `host` decides how two parameters are spelt, as far as `quirks` do not: OpenAI's own
    /// reasoning models refuse `max_tokens`, Mistral refuses `seed`, and most others know nothing but those.
    pub(super) fn new(model: &'a str, host: &str, call: &'a Call, quirks: Quirks) -> Self {
        let parameters = &call.parameters;
        let completion_limit = limit_name(host, quirks) == MAX_COMPLETION_TOKENS;
        let random_seed = host == "api.mistral.ai";
        Self {
            model,
            messages: &call.messages,
            max_completion_tokens: parameters.max_tokens.filter(|_| completion_limit),
            max_tokens: parameters.max_tokens.filter(|_| !completion_limit),
            random_seed: parameters.seed.filter(|_| random_seed),
            reasoning_effort: parameters.reasoning_effort,
            response_format: call.schema.as_ref().map(Format::of),
            seed: parameters.seed.filter(|_| !random_seed),
            stop: parameters.stop.as_deref(),
            stream: quirks.streams,
            stream_options: (quirks.streams && !quirks.omits_stream_options)
                .then_some(StreamOptions { include_usage: true }),
            temperature: parameters.temperature,
            top_p: parameters.top_p,
        }
    }
}

/// The name under which a request to `host` limits the answer.
pub(super) fn limit_name(host: &str, quirks: Quirks) -> &'static str {
    let is_openai = host == "api.openai.com" || host.ends_with(".api.openai.com");
    if is_openai == quirks.swaps_limit { MAX_TOKENS } else { MAX_COMPLETION_TOKENS }
}

impl<'a> Format<'a> {
    fn of(schema: &'a Value) -> Self {
        Self::JsonSchema { json_schema: Schema { name: "answer", strict: true, schema } }
    }
}

/// Reads the body of an answer.
pub(super) fn read(body: &Value, scrub: Scrub<'_>) -> Result<Answer, Flaw> {
    let choice = json::at(body, "/choices/0").ok_or(Flaw::NoAnswer("the answer holds no choices"))?;
    let reason = choice.get("finish_reason").and_then(Value::as_str);
    let finish = Finish::of(reason);
    // A filter may leave no message at all.
    let nothing = Value::Object(serde_json::Map::new());
    let message = choice
        .get("message")
        .filter(|message| message.is_object())
        .or_else(|| matches!(finish, Finish::Filtered | Finish::BrokenOff).then_some(&nothing))
        .ok_or(Flaw::NoAnswer("the first choice holds no message"))?;
    let content = message.get("content").unwrap_or(&Value::Null);
    let said =
        text(content).ok_or(Flaw::NoAnswer("the message's content is neither text nor a list of parts"))?;
    let refused = refusal(message, content);
    let refusal = refused.is_some() || finish == Finish::Filtered;
    let answer = if said.is_empty() { refused.unwrap_or_default() } else { said };
    finish.check(reason, refusal || !answer.trim().is_empty())?;
    let usage = Usage::openai(body.get("usage").unwrap_or(&Value::Null), scrub);
    Ok(Answer {
        usage: usage.checked(!answer.is_empty()),
        text: scrub.text(&answer),
        reasoning: reasoning::of_message(message).map(|text| scrub.text(&text)),
        truncated: finish == Finish::Truncated,
        refusal,
    })
}

/// The text of a content: itself, its text parts in one, or nothing where it is null.
fn text(content: &Value) -> Option<String> {
    match content {
        Value::Null => Some(String::new()),
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => Some(parts.iter().filter_map(part_text).collect()),
        _ => None,
    }
}

fn part_text(part: &Value) -> Option<&str> {
    let kind = part.get("type").and_then(Value::as_str).unwrap_or("text");
    let text = part.get("text").and_then(Value::as_str);
    text.filter(|_| matches!(kind, "text" | "output_text"))
}

/// Why the model would not answer, where it says so in the field made for that.
fn refusal(message: &Value, content: &Value) -> Option<String> {
    let parts = content.as_array().into_iter().flatten();
    let words: String =
        std::iter::once(message).chain(parts).filter_map(|part| part.get("refusal")?.as_str()).collect();
    (!words.is_empty()).then_some(words)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::samples::Role;
    use crate::{domain::parameters::Parameters, engine::provider::support::call};

    fn sent(host: &str, call: &Call) -> Value {
        sent_with(host, call, Quirks::default())
    }

    fn sent_with(host: &str, call: &Call, quirks: Quirks) -> Value {
        serde_json::to_value(Body::new("gpt-x", host, call, quirks)).unwrap()
    }

    fn answer(choice: Value) -> Answer {
        read(&json!({"choices": [choice]}), Scrub::new(None)).unwrap()
    }

    #[test]
    fn what_is_not_given_is_not_sent() {
        let call = call(&[(Role::User, "Hi")]);
        assert_eq!(
            sent("h", &call),
            json!({"model": "gpt-x", "messages": [{"role": "user", "content": "Hi"}]})
        );
    }

    #[test]
    fn every_parameter_is_sent_as_its_provider_spells_it() {
        let mut call = call(&[(Role::User, "Hi")]);
        call.parameters = Parameters {
            max_tokens: Some(9),
            reasoning_effort: Some(ReasoningEffort::Minimal),
            seed: Some(-3),
            stop: Some(vec!["END".into()]),
            stream: None,
            system_prompt: None,
            temperature: Some(0.0),
            thinking_tags: None,
            top_p: Some(0.5),
        };
        call.schema = Some(json!({"type": "object"}));
        let body = sent("localhost", &call);
        let expected = json!({
            "model": "gpt-x", "max_tokens": 9, "reasoning_effort": "minimal", "seed": -3, "stop": ["END"],
            "temperature": 0.0, "top_p": 0.5,
            "messages": [{"role": "user", "content": "Hi"}],
            "response_format": {"type": "json_schema",
                "json_schema": {"name": "answer", "strict": true, "schema": {"type": "object"}}},
        });
        assert_eq!(body, expected);
        let openai = sent("api.openai.com", &call);
        assert_eq!((&openai["max_completion_tokens"], openai.get("max_tokens")), (&json!(9), None));
        let swapped = Quirks { swaps_limit: true, ..Quirks::default() };
        let learnt = sent_with("localhost", &call, swapped);
        assert_eq!((&learnt["max_completion_tokens"], learnt.get("max_tokens")), (&json!(9), None));
        let learnt = sent_with("api.openai.com", &call, swapped);
        assert_eq!((&learnt["max_tokens"], learnt.get("max_completion_tokens")), (&json!(9), None));
        let mistral = sent("api.mistral.ai", &call);
        assert_eq!((&mistral["random_seed"], mistral.get("seed")), (&json!(-3), None));
    }

    #[test]
    fn a_stream_is_asked_for_with_its_usage_where_that_is_taken() {
        let call = call(&[(Role::User, "Hi")]);
        let streams = Quirks { streams: true, ..Quirks::default() };
        let body = sent_with("h", &call, streams);
        assert_eq!(
            [&body["stream"], &body["stream_options"]],
            [&json!(true), &json!({"include_usage": true})]
        );
        let body = sent_with("h", &call, Quirks { omits_stream_options: true, ..streams });
        assert_eq!((&body["stream"], body.get("stream_options")), (&json!(true), None));
    }

    #[test]
    fn a_recorded_answer_is_read() {
        let body = json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1_741_569_952, "model": "gpt-x",
            "choices": [{"index": 0, "finish_reason": "stop", "logprobs": null, "message": {
                "role": "assistant", "content": "Paris\u{0}", "refusal": null, "annotations": []}}],
            "usage": {"prompt_tokens": 19, "completion_tokens": 10, "total_tokens": 29,
                "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 6, "audio_tokens": 0}},
            "service_tier": "default",
        });
        let answer = read(&body, Scrub::new(None)).unwrap();
        assert_eq!(answer.text, "Paris\u{fffd}");
        assert!(!answer.truncated && !answer.refusal);
        let usage = &answer.usage;
        assert_eq!((usage.input_tokens, usage.cached_input_tokens), (Some(15), Some(4)));
        assert_eq!((usage.output_tokens, usage.reasoning_tokens), (Some(4), Some(6)));
    }

    #[test]
    fn parts_are_joined_and_reasoning_is_left_out() {
        let parts = json!([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
            {"type": "reasoning", "text": "hm"},
            {"type": "text", "text": "A"}, {"type": "text", "text": "B"}]);
        let read = answer(json!({"message": {"content": parts, "reasoning_content": "long"}}));
        assert_eq!(read.text, "AB");
        let silent = answer(
            json!({"message": {"content": null, "reasoning_content": "long"}, "finish_reason": "length"}),
        );
        assert_eq!((silent.text.as_str(), silent.truncated, silent.refusal), ("", true, false));
        assert_eq!(silent.reasoning.as_deref(), Some("long"));
    }

    #[test]
    fn refusals_are_seen_wherever_they_stand() {
        let field =
            answer(json!({"message": {"content": null, "refusal": "I can't."}, "finish_reason": "stop"}));
        assert_eq!((field.text.as_str(), field.refusal), ("I can't.", true));
        let part = answer(json!({"message": {"content": [{"type": "refusal", "refusal": "No."}]}}));
        assert_eq!((part.text.as_str(), part.refusal), ("No.", true));
        let filtered = answer(json!({"message": {"content": "Well"}, "finish_reason": "content_filter"}));
        assert_eq!((filtered.text.as_str(), filtered.refusal), ("Well", true));
    }

    #[test]
    fn finish_reasons_decide_what_an_answer_is() {
        let ended = |reason: Value, content: Value| {
            let choice = json!({"message": {"content": content}, "finish_reason": reason});
            read(&json!({"choices": [choice]}), Scrub::new(None))
        };
        for reason in ["error", "network_error", "insufficient_system_resource", "abort", "timeout"] {
            for content in [json!("The capital of"), json!(""), Value::Null] {
                let flaw = ended(json!(reason), content.clone()).unwrap_err();
                assert!(matches!(flaw, Flaw::BrokenOff(why) if why.contains(reason)), "{reason}: {content}");
            }
        }
        for reason in [json!("weird"), json!("other"), Value::Null] {
            assert!(matches!(ended(reason.clone(), json!(" ")), Err(Flaw::BrokenOff(_))), "{reason}");
            assert_eq!(ended(reason, json!("Paris")).unwrap().text, "Paris");
        }
        for reason in ["stop", "length", "tool_calls", "eos"] {
            assert_eq!(ended(json!(reason), Value::Null).unwrap().text, "", "{reason}");
        }
        let filtered = read(&json!({"choices": [{"finish_reason": "content_filter"}]}), Scrub::new(None));
        assert!(filtered.unwrap().refusal, "without a message");
    }

    #[test]
    fn what_is_no_completion_is_refused() {
        let table = [
            (json!({}), "choices"),
            (json!([]), "choices"),
            (json!({"choices": []}), "choices"),
            (json!({"choices": null}), "choices"),
            (json!({"choices": [{"text": "old"}]}), "message"),
            (json!({"choices": [{"message": "x"}]}), "message"),
            (json!({"choices": [{"message": {"content": 7}}]}), "content"),
        ];
        for (body, word) in table {
            let flaw = read(&body, Scrub::new(None)).unwrap_err();
            assert!(matches!(flaw, Flaw::NoAnswer(why) if why.contains(word)), "{body}");
        }
    }
}
