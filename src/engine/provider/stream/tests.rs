//! Streams of many servers, whole and broken off.

use serde_json::json;

use super::*;
use crate::engine::provider::scrub::Scrub;
use crate::engine::provider::{Answer, anthropic, openai};

fn streamed(dialect: Dialect, body: &[u8], size: usize) -> Result<Streamed, StreamFault> {
    let mut reader = StreamReader::new(dialect);
    let _ = body.chunks(size).try_for_each(|piece| reader.push(piece));
    reader.finish()
}

fn chunk(delta: Value, finish: Value) -> String {
    format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}))
}

fn openai(body: &str) -> Streamed {
    streamed(Dialect::OpenAi, body.as_bytes(), 7).unwrap()
}

fn answer(body: &Value) -> Answer {
    openai::read(body, Scrub::new(None)).unwrap()
}

/// A whole completion, as OpenAI streams one.
fn completion() -> String {
    let usage =
        json!({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}});
    [
        ": OPENROUTER PROCESSING\n\n".to_owned(),
        chunk(json!({"role": "assistant", "content": ""}), Value::Null),
        chunk(json!({"reasoning_content": "h"}), Value::Null),
        chunk(json!({"reasoning_content": "m", "content": null}), Value::Null),
        chunk(json!({"content": "Zü"}), Value::Null),
        chunk(json!({"content": "rich 😀"}), Value::Null),
        chunk(json!({"tool_calls": [{"index": 0, "function": {"arguments": "{"}}]}), Value::Null),
        chunk(json!({}), json!("stop")),
        format!("data: {usage}\r\n\r\n"),
        "data: [DONE]\n\n".to_owned(),
    ]
    .concat()
}

#[test]
fn a_stream_is_read_like_the_body_it_replaces() {
    for size in [1, 2, 3, 64, 100_000] {
        let streamed = streamed(Dialect::OpenAi, completion().as_bytes(), size).unwrap();
        assert!(streamed.is_complete);
        assert_eq!(streamed.raw, completion().as_bytes());
        assert_eq!(streamed.body["choices"][0]["message"]["reasoning_content"], "hm");
        let answer = answer(&streamed.body);
        assert_eq!((answer.text.as_str(), answer.truncated, answer.refusal), ("Zürich 😀", false, false));
        assert_eq!((answer.usage.input_tokens, answer.usage.output_tokens), (Some(9), Some(5)));
    }
}

#[test]
fn servers_stream_in_their_own_ways() {
    let parts = [
        chunk(json!({"content": "A"}), Value::Null),
        chunk(
            json!({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]}),
            Value::Null,
        ),
        chunk(json!({"content": [{"type": "text", "text": "B"}]}), Value::Null),
        chunk(json!({"content": "C"}), json!("stop")),
    ];
    assert_eq!(answer(&openai(&parts.concat()).body).text, "ABC");
    let refused =
        [chunk(json!({"refusal": "I can"}), Value::Null), chunk(json!({"refusal": "'t."}), json!("stop"))];
    let refused = answer(&openai(&refused.concat()).body);
    assert_eq!((refused.text.as_str(), refused.refusal), ("I can't.", true));
    let whole =
        json!({"choices": [{"message": {"content": "whole"}, "finish_reason": "stop"}], "usage": null});
    assert_eq!(answer(&openai(&format!("data: {whole}\n\n")).body).text, "whole");
    let other = json!({"choices": [{"index": 1, "delta": {"content": "no"}}]});
    let two = format!("data: {other}\n\n{}", chunk(json!({"content": "yes"}), json!("length")));
    let two = answer(&openai(&two).body);
    assert_eq!((two.text.as_str(), two.truncated), ("yes", true));
    let lenient =
        "data: {\"choices\":[{\"delta\":{\"content\":\"a \\ud835\"},\"logprobs\":NaN}]}\n\ndata: [DONE]";
    assert_eq!(answer(&openai(lenient).body).text, "a \u{fffd}");
    let grouped = json!({"choices": [{"delta": {"content": "x"}, "finish_reason": "stop"}],
        "x_groq": {"usage": {"prompt_tokens": 3, "completion_tokens": 1}}});
    assert_eq!(answer(&openai(&format!("data: {grouped}\n\n")).body).usage.input_tokens, Some(3));
}

#[test]
fn a_stream_without_an_end_is_not_complete() {
    let half = chunk(json!({"content": "The capital of"}), Value::Null);
    for body in [half.as_str(), "", ": only comments\n\n", "data: [DONE]\n\n", "event: ping\n\n"] {
        assert!(!openai(body).is_complete, "{body}");
    }
    for body in [format!("{half}data: [DONE]\n\n"), chunk(json!({"content": "x"}), json!("stop"))] {
        assert!(openai(&body).is_complete, "{body}");
    }
}

#[test]
fn an_error_in_a_stream_is_the_error_of_its_body() {
    let half = chunk(json!({"content": "The capital of"}), Value::Null);
    for error in [
        r#"data: {"error":{"type":"overloaded_error","message":"busy"}}"#,
        r#"data: {"choices":[{"delta":{},"error":{"code":"overloaded_error"}}]}"#,
        "event: error\ndata: {\"type\":\"overloaded_error\"}",
        "event: error\ndata: overloaded",
    ] {
        let streamed = openai(&format!("{half}{error}\n\n"));
        assert!(streamed.is_complete);
        assert!(streamed.body["error"].to_string().contains("overloaded"), "{error}");
    }
    let plain = openai("{\"error\":{\"code\":429}}");
    assert_eq!((plain.is_complete, &plain.body["error"]["code"]), (true, &json!(429)));
}

#[test]
fn events_that_cannot_be_read_are_faults() {
    let read = |body: &[u8]| streamed(Dialect::OpenAi, body, 1_000_000).map(drop);
    assert!(matches!(read(b"data: hello\n\n"), Err(StreamFault::Syntax(_))));
    assert!(matches!(read(b"data: {\"a\":\"\xff\"}\n\n"), Err(StreamFault::Syntax(_))));
    let long = chunk(json!({"content": "x".repeat(1_000_000)}), Value::Null).repeat(5);
    assert_eq!(read(long.as_bytes()), Err(StreamFault::TooLarge));
    let endless = format!("data: \"{}", "x".repeat(5_000_000));
    assert_eq!(read(endless.as_bytes()), Err(StreamFault::TooLarge));
    let raw = openai(&chunk(json!({"content": "x".repeat(100_000)}), json!("stop"))).raw;
    assert_eq!(raw.len(), MAX_RAW_BYTES);
}

/// A message, as Anthropic streams one.
const MESSAGE: &str = r#"event: message_start
data: {"type":"message_start","message":{"content":[],"stop_reason":null,"usage":{"input_tokens":25,"cache_creation_input_tokens":7,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":""}}

event: ping
data: {"type": "ping"}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Par"}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"is"}}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":15}}

event: message_stop
data: {"type":"message_stop"}

"#;

#[test]
fn a_streamed_message_is_put_together() {
    for size in [1, 50, 100_000] {
        let streamed = streamed(Dialect::Anthropic, MESSAGE.as_bytes(), size).unwrap();
        assert!(streamed.is_complete);
        assert_eq!(streamed.body["content"][0], json!({"type": "thinking", "thinking": "hm"}));
        let answer = anthropic::read(&streamed.body, Scrub::new(None)).unwrap();
        assert_eq!(answer.text, "Paris");
        let usage = answer.usage;
        assert_eq!(
            (usage.input_tokens, usage.cache_write_tokens, usage.output_tokens),
            (Some(25), Some(7), Some(15))
        );
    }
    let half = MESSAGE.split("event: message_delta").next().unwrap();
    assert!(!streamed(Dialect::Anthropic, half.as_bytes(), 9).unwrap().is_complete);
    let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n";
    let failed = streamed(Dialect::Anthropic, format!("{half}{error}").as_bytes(), 9).unwrap();
    assert_eq!((failed.is_complete, &failed.body["error"]["type"]), (true, &json!("overloaded_error")));
}
