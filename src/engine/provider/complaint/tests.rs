//! Errors of many servers, and what each means.

use super::*;
use crate::engine::provider::failure::{Failure, Retry};
use crate::engine::provider::scrub::Scrub;

fn inside(text: &str) -> Option<Complaint> {
    Complaint::inside(&serde_json::from_str(text).unwrap())
}

fn failure(text: &str) -> Failure {
    Failure::inside("api.example.com", &inside(text).unwrap(), Scrub::new(None))
}

fn of_error(text: &str) -> Complaint {
    Complaint::of_error(text.as_bytes())
}

#[test]
fn errors_inside_a_200_are_classified_by_number_and_by_name() {
    let later = Retry::Later { after: None, counts: true };
    let free = Retry::Later { after: None, counts: false };
    let table = [
        (r#"{"error":{"code":429,"message":"slow down"}}"#, "provider_rate_limited", free),
        (
            r#"{"error":{"code":"429","type":"rate_limit_error","message":"x"}}"#,
            "provider_rate_limited",
            free,
        ),
        (r#"{"error":{"code":"429 Too Many Requests"}}"#, "provider_rate_limited", free),
        (r#"{"error":{"code":429.0}}"#, "provider_rate_limited", free),
        (r#"{"error":{"type":"rate_limit_error","code":null}}"#, "provider_rate_limited", free),
        (r#"{"error":{"code":"rate_limit_exceeded","type":"tokens"}}"#, "provider_rate_limited", free),
        (r#"{"error":{"status":"RESOURCE_EXHAUSTED","code":0}}"#, "provider_rate_limited", free),
        (r#"{"error":"Rate limit exceeded"}"#, "provider_rate_limited", free),
        (r#"{"error":{"code":"502"}}"#, "provider_unavailable", later),
        (
            r#"{"choices":[{"error":{"code":502,"message":"gone"},"message":{}}]}"#,
            "provider_unavailable",
            later,
        ),
        (
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
            "provider_unavailable",
            later,
        ),
        (r#"{"error":{"type":"server_error","code":"server_error"}}"#, "provider_unavailable", later),
        (
            r#"{"error":{"type":"api_error","message":"Internal server error"}}"#,
            "provider_unavailable",
            later,
        ),
        (r#"{"error":{"message":"Service Unavailable"}}"#, "provider_unavailable", later),
        (r#"{"detail":"Internal Server Error"}"#, "provider_unavailable", later),
        (r#"{"detail":{"code":503,"message":"busy"}}"#, "provider_unavailable", later),
        (
            r#"{"object":"error","code":500,"message":"oops","type":"InternalServerError"}"#,
            "provider_unavailable",
            later,
        ),
        (r#"[{"error":{"code":503,"status":"UNAVAILABLE"}}]"#, "provider_unavailable", later),
        (r#"{"error":503}"#, "provider_unavailable", later),
        (r#"{"error":{"type":"timeout"}}"#, "provider_timeout", later),
        (r#"{"error":{"code":"408"}}"#, "provider_timeout", later),
        (r#"{"error":{"code":"insufficient_quota","status":429}}"#, "provider_auth", Retry::Never),
        (r#"{"error":{"code":"401"}}"#, "provider_auth", Retry::Never),
        (
            r#"{"error":{"code":"invalid_api_key","type":"invalid_request_error"}}"#,
            "provider_auth",
            Retry::Never,
        ),
        (r#"{"error":{"type":"not_found_error"}}"#, "provider_not_found", Retry::Never),
        (
            r#"{"error":{"type":"invalid_request_error","message":"rate_limit_error"}}"#,
            "provider_bad_response",
            Retry::Never,
        ),
        (r#"{"error":"no model loaded"}"#, "provider_bad_response", Retry::Never),
        (
            r#"{"error":{"code":1302,"message":"a rate limit error, perhaps"}}"#,
            "provider_bad_response",
            Retry::Never,
        ),
        (r#"{"error":{"code":"200","message":"?"}}"#, "provider_bad_response", Retry::Never),
    ];
    for (text, code, retry) in table {
        let failure = failure(text);
        assert_eq!((failure.code, failure.retry), (code, retry), "{text}");
        assert!(failure.status.is_some(), "it was answered: {text}");
    }
}

#[test]
fn an_error_inside_a_200_keeps_its_words() {
    let limited = failure(r#"{"error":{"code":"429","message":"slow down"}}"#);
    assert_eq!(limited.message, "api.example.com answered 429: slow down");
    let named = failure(r#"{"error":{"type":"overloaded_error","message":"Overloaded"}}"#);
    assert_eq!(named.message, "api.example.com answered with an error: Overloaded");
    assert!(failure(r#"{"error":"no model loaded"}"#).message.contains("no model loaded"));
}

#[test]
fn a_good_answer_holds_no_complaint() {
    for nothing in ["null", "\"\"", "{}", "false", "true", "[]", "0", "200"] {
        assert!(inside(&format!(r#"{{"error":{nothing},"choices":[]}}"#)).is_none(), "{nothing}");
    }
    let choices = r#""choices":[{"message":{"content":"429"},"finish_reason":"stop"}]"#;
    for more in [r#""message":"ok""#, r#""detail":"none""#, r#""code":429"#, r#""errors":[]"#] {
        assert!(inside(&format!("{{{choices},{more}}}")).is_none(), "{more}");
    }
    assert!(inside(r#"{"message":{"content":"of another API"},"done":true}"#).is_none());
    assert!(inside(r#"{"type":"message","content":[{"type":"text","text":"error"}]}"#).is_none());
}

#[test]
fn filters_are_known_by_their_names_and_not_by_chance_words() {
    let filters = [
        r#"{"error":{"message":"filtered","code":"content_filter","status":400}}"#,
        r#"{"error":{"code":"bad_request","innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#,
        r#"{"error":{"code":"content_policy_violation","type":"image_generation_user_error"}}"#,
        r#"{"error":{"code":403,"message":"flagged","metadata":{"reasons":["violence"],"flagged_input":"x"}}}"#,
        r#"{"error":{"code":"data_inspection_failed","type":"data_inspection_failed"}}"#,
        r#"{"error":{"code":"DataInspectionFailed"}}"#,
        r#"[{"error":{"code":400,"status":"PROHIBITED_CONTENT"}}]"#,
        r#"{"error":{"type":"invalid_request_error","message":"Output blocked by content filtering policy"}}"#,
        r#"{"code":"permission","error":"Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_BIO"}"#,
        r#"{"detail":{"code":"content_filter"}}"#,
    ];
    for text in filters {
        assert!(of_error(text).is_filter(), "{text}");
        assert!(inside(text).unwrap().is_filter(), "{text}");
    }
    for text in [
        r#"{"error":{"message":"the parameter content_filter is unknown","code":"unknown_parameter"}}"#,
        r#"{"error":{"message":"unsafe content","code":400}}"#,
        r#"{"error":"Sensitive content"}"#,
        r#"{"error":{"message":"content_filter"}}"#,
        r#"{"error":{"code":403,"message":"no access","metadata":{"reasons":[]}}}"#,
        r#"{"error":"content_filter_results could not be computed"}"#,
        "content_filter",
    ] {
        assert!(!of_error(text).is_filter(), "{text}");
    }
    for text in [
        r#"{"choices":[],"prompt_feedback":{"block_reason":"PROHIBITED_CONTENT"}}"#,
        r#"{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{}}"#,
    ] {
        assert!(inside(text).unwrap().is_filter(), "{text}");
    }
}

#[test]
fn refused_parameters_are_named() {
    let table = [
        (
            r#"{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.","type":"invalid_request_error","param":"max_tokens","code":"unsupported_parameter"}}"#,
            "max_tokens",
            true,
        ),
        (
            r#"{"error":{"code":"unsupported_parameter","param":"max_tokens","message":""}}"#,
            "max_tokens",
            true,
        ),
        (
            r#"{"detail":[{"type":"extra_forbidden","loc":["body","max_completion_tokens"],"msg":"Extra inputs are not permitted"}]}"#,
            "max_completion_tokens",
            true,
        ),
        (r#"{"error":"unknown field \"max_completion_tokens\""}"#, "max_completion_tokens", true),
        ("Unrecognized request argument supplied: stream_options", "stream_options", true),
        (
            r#"{"error":{"message":"max_tokens is too large: 100000. This model supports at most 4096.","param":"max_tokens","code":"invalid_value"}}"#,
            "max_tokens",
            false,
        ),
        (
            r#"{"error":{"message":"temperature is not supported","param":"temperature"}}"#,
            "max_tokens",
            false,
        ),
        (r#"{"error":{"message":"model not found"}}"#, "max_tokens", false),
    ];
    for (text, parameter, refused) in table {
        assert_eq!(of_error(text).refuses(parameter), refused, "{text}");
    }
}

#[test]
fn a_demand_for_streams_is_understood() {
    let table = [
        (
            "This model only support stream mode, please enable the stream parameter to access the model.",
            true,
        ),
        (r#"{"error":{"message":"Non-streaming is not supported; set stream=true"}}"#, true),
        (r#"{"error":{"message":"Streaming is required for this model","code":"invalid"}}"#, true),
        (r#"{"error":{"message":"must be true","param":"stream"}}"#, true),
        (r#"{"error":{"message":"the upstream only takes text"}}"#, false),
        (r#"{"error":{"message":"temperature must be 1"}}"#, false),
    ];
    for (text, demanded) in table {
        assert_eq!(of_error(text).demands_stream(), demanded, "{text}");
    }
}

#[test]
fn plain_texts_and_pages_are_no_names() {
    assert_eq!(of_error(" upstream \n gone ").words, "upstream \n gone");
    assert_eq!(of_error("<!DOCTYPE html><p>secret").words, "an HTML page");
    assert_eq!(of_error("\u{feff}{\"error\":{\"message\":\"hi\"}}").words, "hi");
}
