//! What a provider says by a status that is none of success, or by an error inside of a 200.

use serde_json::{Value, json};

use super::mode::{
    Mode, bare, fails, four, is_right, is_wrong, json_body, puts_off, refusal, repeats, response,
};

const AUTH: &str = "provider_auth";
const BAD: &str = "provider_bad_response";
const NOT_FOUND: &str = "provider_not_found";
const UNAVAILABLE: &str = "provider_unavailable";

pub(super) fn all() -> Vec<Mode> {
    [refused(), filtered(), keys_and_addresses(), down(), later(), inside_of_200(), odd()].concat()
}

fn message(words: &str) -> Value {
    json!({"message": words, "type": "invalid_request_error"})
}

/// The call is refused as it is.
fn refused() -> Vec<Mode> {
    let said = |name, status, words| fails(name, refusal(status, &[], &message(words)), BAD, words);
    let context =
        json!({"message": "maximum context length is 8192 tokens", "code": "context_length_exceeded"});
    let parameter = json!({"message": "Unsupported parameter: 'max_tokens'", "param": "max_tokens",
        "code": "unsupported_parameter"});
    vec![
        said("refuses a parameter (400)", "400 Bad Request", "temperature must be at most 2"),
        fails(
            "refuses a call without a word (400)",
            bare("400 Bad Request", &[]),
            BAD,
            "answered 400 (Bad Request)",
        ),
        fails(
            "says that the prompt is too long (400)",
            refusal("400 Bad Request", &[], &context),
            BAD,
            "answered 400: maximum context length is 8192 tokens",
        ),
        fails(
            "refuses max_tokens by either name (400)",
            refusal("400 Bad Request", &[], &parameter),
            BAD,
            "answered 400: Unsupported parameter: 'max_tokens'",
        )
        .with("parameters", json!({"max_tokens": 9})),
        fails(
            "knows no such method (405)",
            bare("405 Method Not Allowed", &[]),
            BAD,
            "answered 405 (Method Not Allowed)",
        ),
        fails(
            "takes no such type (406)",
            bare("406 Not Acceptable", &[]),
            BAD,
            "answered 406 (Not Acceptable)",
        ),
        fails(
            "finds the prompt too large (413)",
            bare("413 X", &[]),
            BAD,
            "answered 413 (Payload Too Large)",
        ),
        fails("takes no JSON (415)", bare("415 X", &[]), BAD, "answered 415 (Unsupported Media Type)"),
        fails("is a teapot (418)", bare("418 X", &[]), BAD, "answered 418 (I'm a teapot)"),
        said("cannot process a field (422)", "422 Unprocessable Entity", "body.messages: field required"),
        fails(
            "may not answer here (451)",
            bare("451 X", &[]),
            BAD,
            "answered 451 (Unavailable For Legal Reasons)",
        ),
        fails("sends a status that does not exist (799)", bare("799 Odd", &[]), BAD, "answered 799"),
    ]
}

/// A filter stops the call.
fn filtered() -> Vec<Mode> {
    let azure = json!({"message": "The response was filtered", "code": "content_filter", "status": 400});
    let flagged = json!({"message": "flagged", "code": 403, "metadata": {"reasons": ["violence"]}});
    vec![
        is_wrong("stops the prompt by a filter (400)", refusal("400 Bad Request", &[], &azure), "refusal"),
        is_wrong("stops the prompt by moderation (403)", refusal("403 Forbidden", &[], &flagged), "refusal"),
    ]
}

fn keys_and_addresses() -> Vec<Mode> {
    let key =
        json!({"message": "Incorrect API key provided: sk-canary-0123456789", "code": "invalid_api_key"});
    let page = response("404 Not Found", &["content-type: text/html"], "<!doctype html><p>nothing here");
    let quota = json!({"message": "You exceeded your quota", "code": "insufficient_quota"});
    vec![
        fails(
            "refuses the key and repeats it (401)",
            refusal("401 Unauthorized", &[], &key),
            AUTH,
            "answered 401: Incorrect API key provided: [key]",
        )
        .with("api_key", json!("sk-canary-0123456789")),
        fails("asks for money (402)", bare("402 X", &[]), AUTH, "answered 402 (Payment Required)"),
        fails("forbids the call (403)", bare("403 Forbidden", &[]), AUTH, "answered 403 (Forbidden)"),
        fails(
            "has no money left (429)",
            refusal("429 X", &[], &quota),
            AUTH,
            "answered 429: You exceeded your quota",
        ),
        fails(
            "knows no such model (404)",
            refusal("404 Not Found", &[], &message("model gpt-x does not exist")),
            NOT_FOUND,
            "answered 404: model gpt-x does not exist",
        ),
        fails("knows no such path (404)", page, NOT_FOUND, "answered 404: an HTML page"),
        fails("has retired the model (410)", bare("410 Gone", &[]), NOT_FOUND, "answered 410 (Gone)"),
    ]
}

/// A later call may work.
fn down() -> Vec<Mode> {
    let bare = |name, status, words| repeats(name, bare(status, &[]), UNAVAILABLE, words);
    let page = response("502 Bad Gateway", &["content-type: text/html"], "<html><h1>502 Bad Gateway</h1>");
    vec![
        repeats(
            "gave up waiting for the request (408)",
            super::mode::bare("408 X", &[]),
            "provider_timeout",
            "answered 408 (Request Timeout)",
        ),
        bare("works on the same call already (409)", "409 Conflict", "answered 409 (Conflict)"),
        bare("finds the call too early (425)", "425 Too Early", "answered 425 (Too Early)"),
        repeats(
            "fails (500)",
            refusal("500 X", &[], &message("CUDA out of memory")),
            UNAVAILABLE,
            "answered 500: CUDA out of memory",
        ),
        bare("has not made that yet (501)", "501 X", "answered 501 (Not Implemented)"),
        repeats(
            "stands behind a proxy that finds it gone (502)",
            page,
            UNAVAILABLE,
            "answered 502: an HTML page",
        ),
        bare("is overloaded (503)", "503 X", "answered 503 (Service Unavailable)"),
        repeats(
            "asks for a second (503)",
            super::mode::bare("503 X", &["retry-after: 1"]),
            UNAVAILABLE,
            "answered 503 (Service Unavailable)",
        )
        .like("is overloaded (503)"),
        bare("stands behind a proxy that waits in vain (504)", "504 X", "answered 504 (Gateway Timeout)"),
        bare("fails behind Cloudflare (520)", "520 X", "answered 520"),
        bare("is down behind Cloudflare (521)", "521 X", "answered 521"),
        bare("is too slow behind Cloudflare (522)", "522 X", "answered 522"),
        bare("takes too long behind Cloudflare (524)", "524 X", "answered 524"),
        repeats(
            "is overloaded in Anthropic's way (529)",
            refusal("529 X", &[], &json!({"type": "overloaded_error", "message": "Overloaded"})),
            UNAVAILABLE,
            "answered 529: Overloaded",
        ),
        bare("fails by an unknown number (599)", "599 X", "answered 599"),
    ]
}

/// It asks to be called later, and means never.
fn later() -> Vec<Mode> {
    let limited = |name, header| {
        puts_off(name, bare("429 X", &[header]), "answered 429 (Too Many Requests)").like("rate limit")
    };
    vec![
        limited("limits calls and names an hour", "retry-after: 3600"),
        limited("limits calls and names a date far off", "retry-after: Tue, 01 Jan 2999 00:00:00 GMT"),
        limited("limits calls and names an absurd number", "retry-after: 1e300"),
        limited("limits calls and names a negative time", "retry-after: -5"),
        limited("limits calls and names no time", "x: y"),
        limited("limits calls and names words", "retry-after: soon"),
        limited("limits calls and names milliseconds", "retry-after-ms: 3600000"),
        limited("limits calls by a header of its own", "x-ratelimit-reset-requests: 1h"),
        puts_off(
            "limits calls inside of a 200",
            json_body(&json!({"error": {"code": 429, "message": "slow down"}})),
            "answered 429: slow down",
        ),
        puts_off(
            "limits calls inside of a 200 by a name",
            json_body(&json!({"error": {"type": "rate_limit_error", "message": "slower"}})),
            "answered with an error: slower",
        ),
        puts_off(
            "is down and names an hour (503)",
            bare("503 X", &["retry-after: 3600"]),
            "answered 503 (Service Unavailable)",
        ),
    ]
}

fn inside_of_200() -> Vec<Mode> {
    let inside = |error: Value| json_body(&json!({"error": error}));
    vec![
        fails("reports an error in a 200", inside(json!("no model loaded")), BAD, "no model loaded"),
        fails(
            "reports a refused key in a 200",
            inside(json!({"code": 401, "message": "no key"})),
            AUTH,
            "answered 401: no key",
        ),
        repeats(
            "reports that it is down in a 200",
            inside(json!({"code": "503", "message": "busy"})),
            UNAVAILABLE,
            "answered 503: busy",
        ),
        repeats(
            "reports overload by a name in a 200",
            inside(json!({"type": "overloaded_error", "message": "too busy"})),
            UNAVAILABLE,
            "answered with an error: too busy",
        ),
        fails(
            "reports an error beside empty choices",
            json_body(&json!({"choices": [], "detail": "no worker"})),
            BAD,
            "no worker",
        ),
        is_wrong(
            "reports a filter in a 200",
            inside(json!({"code": "content_filter", "message": "filtered"})),
            "refusal",
        ),
        is_right(
            "sends an empty error beside its answer",
            json_body(&{
                let mut body = four();
                body["error"] = json!({});
                body
            }),
        ),
    ]
}

fn odd() -> Vec<Mode> {
    let right = four().to_string();
    vec![
        fails("answers 200 without a body", bare("200 OK", &[]), BAD, "answered 200 with an empty body"),
        fails("answers 204", bare("204 No Content", &[]), BAD, "answered 204 with an empty body"),
        is_right("answers 201", response("201 Created", &[], &right)),
        is_right("answers 206", response("206 Partial Content", &["content-range: bytes 0-9/10"], &right)),
    ]
}
