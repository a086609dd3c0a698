//! What stands in the body of a 200.

use serde_json::{Value, json};

use super::mode::{Mode, body, completion, fails, four, is_right, is_wrong, json_body, repeats, response};

const BAD: &str = "provider_bad_response";

pub(super) fn all() -> Vec<Mode> {
    [no_json(), odd_json(), other_forms(), contents(), endings(), usages()].concat()
}

fn no_json() -> Vec<Mode> {
    let right = four().to_string();
    let nested = format!("{{\"choices\":{}", "[".repeat(200_000));
    let page = "<!DOCTYPE html><html><form action=/login>Sign in</form></html>";
    vec![
        fails("sends plain text", body("Hello!"), BAD, "sent something that is not JSON: expected value"),
        fails(
            "sends a login page",
            response("200 OK", &["content-type: text/html"], page),
            BAD,
            "sent an HTML page where JSON was expected: is the URL right?",
        ),
        fails("sends only white space", body(" \r\n\n "), BAD, "answered 200 with an empty body")
            .like("answers 200 without a body"),
        repeats(
            "sends JSON that breaks off",
            body(&right[..right.len() / 2]),
            "provider_json_incomplete",
            "sent a whole body in which the JSON breaks off",
        )
        .like("cut JSON"),
        fails(
            "nests its JSON 200,000 levels deep",
            body(nested),
            BAD,
            "sent something that is not JSON: recursion limit exceeded",
        ),
        fails(
            "sends bytes that are not UTF-8",
            body(b"{\"choices\":[{\"message\":{\"content\":\"4\xff\"}}]}"),
            BAD,
            "sent text that is not UTF-8",
        ),
        fails(
            "sends something after its JSON",
            body(format!("{right} and more")),
            BAD,
            "sent something that is not JSON: trailing characters",
        ),
        fails(
            "sends lines of JSON",
            body(format!("{{\"response\":\"4\"}}\n{right}\n")),
            BAD,
            "but several JSON values, one a line",
        ),
        fails(
            "sends events under the type of JSON",
            body(format!("data: {right}\n\ndata: [DONE]\n\n")),
            BAD,
            "but an event stream under another content type (set \"stream\": true",
        ),
        fails(
            "sends Python's notation",
            body("{'choices': [{'message': {'content': '4'}}]}"),
            BAD,
            "sent something that is not JSON: key must be a string",
        ),
    ]
}

/// JSON that is repaired.
fn odd_json() -> Vec<Mode> {
    let right = four().to_string();
    let with = |more: &str| format!("{{{more},{}", &right[1..]);
    vec![
        is_right("begins with a byte order mark", body(format!("\u{feff}{right}"))),
        is_right("sends UTF-16", body(wide(&right))),
        is_right("sends NaN and Infinity", body(with("\"logprob\":NaN,\"score\":-Infinity,\"large\":1e999"))),
        is_right("sends lone surrogates", body(with("\"id\":\"\\ud83d\""))),
        is_right("sends raw control characters", body(with("\"id\":\"a\tb\u{1}\""))),
        is_right(
            "sends white space before its JSON to keep the connection",
            body(format!("{}{right}", "\n".repeat(500))),
        ),
    ]
}

fn wide(text: &str) -> Vec<u8> {
    "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}

/// JSON of another form.
fn other_forms() -> Vec<Mode> {
    let no_choices = |name, value: Value| {
        fails(name, json_body(&value), BAD, "sent JSON that is no answer: the answer holds no choices")
            .like("no choices")
    };
    let no_message = |name, choice: Value| {
        let words = "sent JSON that is no answer: the first choice holds no message";
        fails(name, json_body(&json!({"choices": [choice]})), BAD, words).like("no message")
    };
    vec![
        no_choices("sends an empty object", json!({})),
        no_choices("sends an empty list", json!([])),
        no_choices("sends null", Value::Null),
        no_choices("sends a string", json!("4")),
        no_choices("sends a number", json!(4)),
        no_choices("sends no choices", json!({"choices": [], "usage": {"prompt_tokens": 1}})),
        no_choices("sends null for its choices", json!({"choices": null})),
        no_choices("answers in Anthropic's form", json!({"content": [{"type": "text", "text": "4"}]})),
        no_choices(
            "answers in Gemini's form",
            json!({"candidates": [{"content": {"parts": [{"text": "4"}]}}]}),
        ),
        no_choices(
            "answers in Ollama's form",
            json!({"message": {"role": "assistant", "content": "4"}, "done": true}),
        ),
        no_message("answers in the form of old completions", json!({"text": "4", "finish_reason": "stop"})),
        no_message("sends null for its message", json!({"message": null, "finish_reason": "stop"})),
        no_message("sends a text for its message", json!({"message": "4", "finish_reason": "stop"})),
    ]
}

/// What the message holds.
fn contents() -> Vec<Mode> {
    let of = |message: Value| json_body(&completion(&message, &json!("stop")));
    let no_text = |name, content: Value| {
        let words = "sent JSON that is no answer: the message's content is neither text nor a list of parts";
        fails(name, of(json!({"content": content})), BAD, words).like("no text")
    };
    let call = json!([{"id": "1", "type": "function", "function": {"name": "add", "arguments": "{}"}}]);
    vec![
        no_text("sends a number for its content", json!(4)),
        no_text("sends an object for its content", json!({"text": "4"})),
        is_right("sends its content in parts", of(json!({"content": [{"type": "text", "text": "4"}]}))),
        is_wrong("sends null for its content", of(json!({"content": null})), "no_response"),
        is_wrong("sends an empty content", of(json!({"content": ""})), "no_response"),
        is_wrong("sends no content", of(json!({"role": "assistant"})), "no_response"),
        is_wrong(
            "only reasons",
            of(json!({"content": null, "reasoning_content": "2 and 2 ..."})),
            "no_response",
        ),
        is_wrong(
            "calls a tool that nobody offered",
            json_body(&completion(&json!({"content": null, "tool_calls": call}), &json!("tool_calls"))),
            "no_response",
        ),
        is_wrong(
            "declines in the field for that",
            of(json!({"content": null, "refusal": "I will not."})),
            "refusal",
        ),
    ]
}

fn endings() -> Vec<Mode> {
    let ended = |content: Value, finish: Value| json_body(&completion(&json!({"content": content}), &finish));
    vec![
        is_right("is cut off at the limit", ended(json!("4"), json!("length"))),
        is_wrong("is cut off before a word", ended(Value::Null, json!("length")), "no_response"),
        is_wrong("filters its answer", ended(json!("The"), json!("content_filter")), "refusal"),
        is_right("ends for an unknown reason", ended(json!("4"), json!("because"))),
        is_right("ends for no reason", ended(json!("4"), Value::Null)),
        repeats(
            "sends nothing for an unknown reason",
            ended(Value::Null, json!("because")),
            "provider_interrupted",
            "sent nothing, and no known reason for it: its finish reason is \"because\"",
        ),
        repeats(
            "sends nothing for no reason",
            ended(json!(""), Value::Null),
            "provider_interrupted",
            "sent nothing, and no known reason for it: its finish reason is none",
        ),
        repeats(
            "breaks its answer off",
            ended(json!("The sum is"), json!("error")),
            "provider_interrupted",
            "broke the answer off: its finish reason is \"error\"",
        ),
        repeats(
            "loses its own network",
            ended(json!("The"), json!("network_error")),
            "provider_interrupted",
            "broke the answer off: its finish reason is \"network_error\"",
        ),
    ]
}

fn usages() -> Vec<Mode> {
    let with = |name, usage: Value| {
        let mut body = four();
        body["usage"] = usage;
        is_right(name, json_body(&body)).without_tokens()
    };
    vec![
        with("reports no tokens", Value::Null),
        with("reports 0 tokens", json!({"prompt_tokens": 0, "completion_tokens": 0})),
        with("reports negative tokens", json!({"prompt_tokens": -10, "completion_tokens": 5})),
        with("reports more tokens than there are", json!({"prompt_tokens": 1e18, "completion_tokens": 5})),
        with("reports tokens as texts", json!({"prompt_tokens": "10", "completion_tokens": "5"})),
        with("reports half a token", json!({"prompt_tokens": 10.5, "completion_tokens": 5})),
        with(
            "reports more cached tokens than tokens",
            json!({"prompt_tokens": 1, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 9}}),
        ),
        with("reports its tokens as a list", json!([10, 5])),
    ]
}
