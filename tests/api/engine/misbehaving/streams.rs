//! What a provider streams.

use serde_json::{Value, json};

use super::mode::{Mode, bytes, fails, flood, four, is_right, json_body, pause, puts_off, repeats};
use crate::support::raw_provider::Step::{self, Close, Hang};

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
const CHUNKED: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
const DONE: &str = "data: [DONE]\n\n";
const BAD: &str = "provider_bad_response";
const INCOMPLETE: &str = "provider_stream_incomplete";

pub(super) fn all() -> Vec<Mode> {
    let all = [whole(), cut(), wrong(), endless()].concat();
    all.into_iter().map(Mode::streamed).collect()
}

fn chunk(delta: &Value, finish: &Value) -> String {
    let usage = json!({"prompt_tokens": 10, "completion_tokens": 5});
    let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
    format!("data: {}\n\n", json!({"choices": [choice], "usage": usage}))
}

fn text(text: &str) -> String {
    chunk(&json!({"content": text}), &Value::Null)
}

fn end() -> String {
    chunk(&json!({}), &json!("stop"))
}

/// A stream of these events, which ends with its connection.
fn stream(events: &[&str]) -> Vec<Step> {
    vec![bytes(HEAD), bytes(events.concat()), Close]
}

/// Odd, and read all the same.
fn whole() -> Vec<Mode> {
    let (four_, end_) = (text("4"), end());
    let whole = [&four_, &end_, DONE].concat();
    let drops = whole.as_bytes().chunks(40).flat_map(|piece| [bytes(piece), pause(1)]);
    let drops: Vec<Step> = [bytes(HEAD)].into_iter().chain(drops).chain([Close]).collect();
    vec![
        is_right("streams events cut at any byte", drops),
        is_right("streams without [DONE]", stream(&[&four_, &end_])),
        is_right("streams without a finish reason", stream(&[&four_, DONE])),
        is_right("streams two finish reasons", stream(&[&four_, &end_, &end_, DONE])),
        is_right("streams comments between events", stream(&[": ping\n\n", &four_, ":\n\n", &end_, DONE])),
        is_right("streams lines that end in CR LF", stream(&[&whole.replace('\n', "\r\n")])),
        is_right("streams garbage after its end", stream(&[&whole, "data: {garbage\n\n"])),
        is_right(
            "falls silent after its finish reason",
            vec![bytes(HEAD), bytes([four_.as_str(), &end_].concat()), Hang],
        )
        .within(3_000),
        is_right("streams a whole message in one event", stream(&[&format!("data: {}\n\n", four()), DONE])),
        is_right("sends JSON where a stream was asked", json_body(&four())),
    ]
}

fn cut() -> Vec<Mode> {
    let begun = text("The sum is");
    let half = "ended its stream before the end of the answer: no finish reason and no [DONE] came";
    let nothing = |name, events: &[&str]| {
        repeats(name, stream(events), INCOMPLETE, "ended its stream without anything of an answer")
            .like("empty stream")
    };
    let framed = format!("{CHUNKED}{:x}\r\n{begun}\r\n", begun.len());
    let long =
        format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 9999\r\n\r\n{begun}");
    vec![
        repeats("ends its stream in the middle", stream(&[&begun]), INCOMPLETE, half),
        nothing("ends its stream before an event", &[]),
        nothing("streams nothing but comments", &[": ping\n\n", ": ping\n\n"]),
        nothing("streams nothing but [DONE]", &[DONE]),
        nothing("streams lines of JSON that are no events", &["{\"response\":\"4\"}\n", "{\"done\":true}\n"]),
        repeats(
            "closes the connection in a chunk of its stream",
            vec![bytes(framed), Close],
            "provider_incomplete",
            "the endpoint closed the connection before the last chunk of its response",
        )
        .like("closed in chunks"),
        repeats(
            "closes the connection in its stream",
            vec![bytes(long), Close],
            "provider_incomplete",
            "the endpoint closed the connection in the middle of its response",
        )
        .like("closes the connection in the body of its response"),
    ]
}

fn wrong() -> Vec<Mode> {
    let begun = text("The sum is");
    let error = |name: &str| {
        format!("data: {}\n\n", json!({"error": {"type": name, "message": format!("stream: {name}")}}))
    };
    let huge = format!("data: \"{}\"\n\n", "x".repeat(5 << 20));
    vec![
        repeats(
            "reports an error in its stream",
            stream(&[&begun, &error("overloaded_error")]),
            "provider_unavailable",
            "answered with an error: stream: overloaded_error",
        ),
        repeats(
            "reports an event called error",
            stream(&[&begun, "event: error\ndata: upstream_error\n\n"]),
            "provider_unavailable",
            "answered with an error: upstream_error",
        ),
        fails(
            "reports a bad call in its stream",
            stream(&[&error("invalid_request_error")]),
            BAD,
            "answered with an error: stream: invalid_request_error",
        ),
        puts_off(
            "limits calls in its stream",
            stream(&[&error("rate_limit_error")]),
            "answered with an error: stream: rate_limit_error",
        ),
        fails(
            "streams an event that is not JSON",
            stream(&[&begun, "data: hello\n\n"]),
            BAD,
            "sent an event that is not JSON: expected value",
        ),
        fails(
            "streams half of an event",
            stream(&[&begun, "data: {\"choices\":[\n\n"]),
            BAD,
            "sent an event that is not JSON: EOF while parsing",
        ),
        fails(
            "streams an event that is not UTF-8",
            vec![bytes(HEAD), bytes(b"data: {\"a\":\"\xff\"}\n\n"), Close],
            BAD,
            "sent an event that is not JSON: not UTF-8",
        ),
        fails(
            "streams an event of 5 MB",
            stream(&[&huge]),
            "provider_body_too_large",
            "the endpoint's response is larger than 4096 KiB",
        )
        .like("large body"),
    ]
}

fn endless() -> Vec<Mode> {
    let slow = |name, piece: &str| {
        let words = "the endpoint's response began but did not end in time: raise timeout_ms";
        let script = vec![bytes(HEAD), flood(piece, 20)];
        repeats(name, script, "provider_timeout", words).like("no end in time").within(1_500)
    };
    let large = |name, piece: &str| {
        let words = "the endpoint's response is larger than 4096 KiB";
        let script = vec![bytes(HEAD), flood(piece, 0)];
        fails(name, script, "provider_body_too_large", words).like("large body")
    };
    vec![
        slow("streams without end", &text("4")),
        slow("streams comments without end", ": ping\n\n"),
        slow("streams empty events without end", &text("")),
        large("streams a text without end", &text(&"x".repeat(60_000))),
        large("streams a line without end", &"x".repeat(65_536)),
    ]
}
