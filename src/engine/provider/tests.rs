//! Resolving inference URIs, and whole calls against a server on the loopback address.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::json;

use super::{
    support::{Server, call, providers, try_providers},
    *,
};
use crate::domain::samples::Role;

const ANSWER: &str = concat!(
    r#"{"choices":[{"message":{"content":"4"},"finish_reason":"stop"}],"#,
    r#""usage":{"prompt_tokens":3,"completion_tokens":1}}"#
);
const KEY: &str = "sk-canary-0123456789";

fn uri(text: &str) -> InferenceUri {
    InferenceUri::parse(text).unwrap()
}

fn key(text: &str) -> Option<SecretString> {
    Some(SecretString::from(text))
}

fn resolve(providers: &Providers, text: &str, own_key: Option<SecretString>) -> Endpoint {
    providers.resolve(&uri(text), "Named", own_key).unwrap()
}

fn remote(endpoint: &Endpoint) -> &Remote {
    match &endpoint.target {
        Target::Remote(remote) => remote,
        Target::Builtin(builtin) => panic!("{builtin}"),
    }
}

fn address(endpoint: &Endpoint) -> (String, String) {
    let remote = remote(endpoint);
    (remote.url.to_string(), remote.model.clone())
}

fn sent_key(endpoint: &Endpoint) -> Option<String> {
    remote(endpoint).key.as_ref().unwrap().as_ref().map(|key| key.expose_secret().to_owned())
}

fn refused(providers: &Providers, text: &str) -> String {
    match providers.resolve(&uri(text), "Named", None) {
        Err(Error::Invalid { field: Some(field), message }) if field == "inference_uri" => message,
        other => panic!("{other:?}"),
    }
}

async fn ask(address: &str) -> Result<Reply, Failure> {
    ask_within(address, Duration::from_secs(10)).await
}

async fn ask_within(address: &str, timeout: Duration) -> Result<Reply, Failure> {
    let providers = providers(&[]);
    let endpoint = resolve(&providers, &format!("http://{address}/v1/chat"), key(KEY));
    let question = Call { timeout, ..call(&[(Role::User, "2 + 2")]) };
    providers.call(&endpoint, &question).await
}

#[test]
fn every_form_finds_its_address_and_model() {
    let providers = providers(&[
        ("OPENAI_API_KEY", "sk-openai"),
        ("EVALBOARD_PROVIDER_MY_VLLM_BASE_URL", "http://127.0.0.1:8000/v1/"),
        ("EVALBOARD_PROVIDER_GROQ_BASE_URL", "https://proxy.example.com/groq?team=1"),
    ]);
    let table = [
        ("openai/gpt-x", "https://api.openai.com/v1/chat/completions", "gpt-x"),
        ("anthropic/claude-x", "https://api.anthropic.com/v1/messages", "claude-x"),
        ("openrouter/a/b:free", "https://openrouter.ai/api/v1/chat/completions", "a/b:free"),
        ("my-vllm/llama", "http://127.0.0.1:8000/v1/chat/completions", "llama"),
        ("groq/x", "https://proxy.example.com/groq/chat/completions?team=1", "x"),
        ("openai-compatible:https://h/v1#m", "https://h/v1/chat/completions", "m"),
        ("openai-compatible:https://h/v1/chat/completions#m", "https://h/v1/chat/completions", "m"),
        ("openai-compatible:https://h#m", "https://h/chat/completions", "m"),
        ("https://h/any/path?v=1", "https://h/any/path?v=1", "Named"),
    ];
    for (text, url, model) in table {
        assert_eq!(address(&resolve(&providers, text, None)), (url.to_owned(), model.to_owned()), "{text}");
    }
}

#[test]
fn unknown_providers_go_to_openrouter_or_name_the_variable_to_set() {
    let alone = providers(&[]);
    let message = refused(&alone, "meta-llama/llama-4");
    assert!(message.contains("EVALBOARD_PROVIDER_META_LLAMA_BASE_URL"), "{message}");
    assert!(message.contains("OPENROUTER_API_KEY") && message.contains("anthropic"), "{message}");

    let routed =
        providers(&[("OPENROUTER_API_KEY", "sk-or"), ("EVALBOARD_PROVIDER_ACME_API_KEY", "sk-acme")]);
    let endpoint = resolve(&routed, "meta-llama/llama-4", None);
    assert_eq!(address(&endpoint).1, "meta-llama/llama-4");
    assert_eq!((endpoint.host.as_str(), sent_key(&endpoint).as_deref()), ("openrouter.ai", Some("sk-or")));
    // A key without a base URL: the name was meant for another server, not for OpenRouter.
    assert!(refused(&routed, "acme/x").contains("EVALBOARD_PROVIDER_ACME_BASE_URL"));
}

#[test]
fn the_operators_key_goes_to_named_providers_only_and_the_models_own_wins() {
    let providers = providers(&[("OPENAI_API_KEY", "sk-operator")]);
    let sent = |text, own| sent_key(&resolve(&providers, text, own));
    assert_eq!(sent("openai/gpt-x", None).as_deref(), Some("sk-operator"));
    assert_eq!(sent("openai/gpt-x", key("")).as_deref(), Some("sk-operator"));
    assert_eq!(sent("openai/gpt-x", key("sk-own")).as_deref(), Some("sk-own"));
    for text in
        ["openai-compatible:https://api.openai.com/v1#gpt-x", "https://api.openai.com/v1/chat/completions"]
    {
        assert_eq!(sent(text, None), None);
        assert_eq!(sent(text, key("sk-own")).as_deref(), Some("sk-own"));
        assert!(!providers.uses_operator_key(&uri(text), false));
    }
    assert!(providers.uses_operator_key(&uri("openai/gpt-x"), false));
    assert!(!providers.uses_operator_key(&uri("openai/gpt-x"), true));
    assert!(!providers.uses_operator_key(&uri("builtin:echo"), false));
}

#[test]
fn limits_are_shared_by_host_and_key_and_never_show_the_key() {
    let providers = providers(&[]);
    let limiter = |text: &str, own: &str| resolve(&providers, text, key(own)).limiter_key;
    let one = limiter("openai/a", KEY);
    let endpoint = |text: &str| limiter(text, KEY).rsplit_once('#').map(|(endpoint, _)| endpoint.to_owned());
    assert_ne!(one, limiter("openai/b", KEY), "each model waits on its own");
    assert_eq!(one, limiter("openai-compatible:https://api.openai.com/v1#a", KEY));
    assert_eq!(endpoint("openai/a"), endpoint("openai/b"));
    assert_eq!(endpoint("openai/a"), endpoint("https://api.openai.com/v1/x"));
    assert_ne!(one, limiter("openai/a", "sk-other"));
    assert_ne!(one, limiter("groq/a", KEY));
    assert_ne!(limiter("https://h:8443/x", KEY), limiter("https://h/x", KEY));
    assert!(one.starts_with("api.openai.com#") && !one.contains("canary"), "{one}");
    assert_eq!(limiter("builtin:echo", KEY), "builtin");
    let endpoint = resolve(&providers, "openai/a", key(KEY));
    assert!(!format!("{endpoint:?}").contains("canary"));
    assert!(endpoint.origin.as_deref() == Some("https://api.openai.com:443"));
}

#[test]
fn misconfigured_providers_are_refused_at_start_by_the_name_of_the_variable() {
    for (name, value) in
        [("EVALBOARD_PROVIDER_X_BASEURL", "https://x"), ("EVALBOARD_PROVIDER_X_BASE_URL", "not a url")]
    {
        match try_providers(&[(name, value)]).map(|_| ()) {
            Err(Error::Invalid { field: Some(field), .. }) => assert_eq!(field, name),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_missing_key_fails_without_a_request_and_says_what_to_set() {
    let providers = providers(&[]);
    let endpoint = resolve(&providers, "google/gemini-x", None);
    let failure = providers.call(&endpoint, &call(&[])).await.unwrap_err();
    assert_eq!((failure.code, failure.retry, failure.status), ("provider_auth", Retry::Never, None));
    for variable in ["GEMINI_API_KEY", "GOOGLE_API_KEY", "EVALBOARD_PROVIDER_GOOGLE_API_KEY"] {
        assert!(failure.message.contains(variable), "{}", failure.message);
    }
}

#[tokio::test]
async fn a_call_posts_the_question_and_reads_the_answer_whatever_its_content_type() {
    let server = Server::answering(200, "content-type: text/html\r\n", ANSWER).await;
    let reply = ask(&server.address).await.unwrap();
    assert_eq!((reply.text.as_str(), reply.truncated, reply.refusal), ("4", false, false));
    assert_eq!((reply.usage.input_tokens, reply.usage.output_tokens), (Some(3), Some(1)));
    assert_eq!(reply.raw, ANSWER);
    assert!(reply.latency > Duration::ZERO);
    let (head, body) = server.request();
    assert!(head.starts_with("POST /v1/chat HTTP/1.1"), "{head}");
    assert!(head.contains(&format!("authorization: Bearer {KEY}")), "{head}");
    assert_eq!(body, json!({"model": "Named", "messages": [{"role": "user", "content": "2 + 2"}]}));
}

#[tokio::test]
async fn anthropic_is_called_in_its_own_way_at_the_operators_base_url() {
    let answer = r#"{"content":[{"type":"text","text":"4"}],"stop_reason":"end_turn"}"#;
    let server = Server::answering(200, "", answer).await;
    let base = format!("http://{}/v1", server.address);
    let providers =
        providers(&[("EVALBOARD_PROVIDER_ANTHROPIC_BASE_URL", &base), ("ANTHROPIC_API_KEY", KEY)]);
    let endpoint = resolve(&providers, "anthropic/claude-x", None);
    let reply = providers.call(&endpoint, &call(&[(Role::User, "2 + 2")])).await.unwrap();
    assert_eq!(reply.text, "4");
    let (head, body) = server.request();
    assert!(
        head.starts_with("POST /v1/messages HTTP/1.1") && head.contains(&format!("x-api-key: {KEY}")),
        "{head}"
    );
    assert_eq!((&body["model"], &body["max_tokens"]), (&json!("claude-x"), &json!(4096)));
}

#[tokio::test]
async fn statuses_become_codes_and_the_providers_words_lose_the_key() {
    let later =
        |seconds: Option<u64>, counts| Retry::Later { after: seconds.map(Duration::from_secs), counts };
    let table = [
        (400, "", "provider_bad_response", Retry::Never),
        (401, "", "provider_auth", Retry::Never),
        (403, "", "provider_auth", Retry::Never),
        (404, "", "provider_not_found", Retry::Never),
        (408, "", "provider_timeout", later(None, true)),
        (429, "retry-after: 7\r\n", "provider_rate_limited", later(Some(7), false)),
        (429, "retry-after: soon\r\n", "provider_rate_limited", later(None, false)),
        (500, "", "provider_unavailable", later(None, true)),
        (503, "retry-after: 9999\r\n", "provider_unavailable", later(Some(600), true)),
    ];
    for (status, headers, code, retry) in table {
        let body = format!(r#"{{"error":{{"message":"bad key {KEY}\u0000"}}}}"#);
        let failure = ask(&Server::answering(status, headers, &body).await.address).await.unwrap_err();
        assert_eq!((failure.code, failure.retry, failure.status), (code, retry, Some(status)));
        assert!(failure.message.contains("bad key [key]"), "{}", failure.message);
        assert!(!failure.message.contains('\0'));
    }
}

#[tokio::test]
async fn what_the_connection_does_becomes_a_code() {
    let (silent, _listener) = Server::silent().await;
    let failure = ask_within(&silent, Duration::from_millis(100)).await.unwrap_err();
    assert_eq!(failure.code, "provider_timeout");
    assert_eq!(failure.retry, Retry::Later { after: None, counts: true });

    let moved = Server::answering(302, "location: http://169.254.169.254/\r\n", "").await;
    let failure = ask(&moved.address).await.unwrap_err();
    assert_eq!((failure.code, failure.retry), ("provider_redirect", Retry::Never));

    let (closed, listener) = Server::silent().await;
    drop(listener);
    let failure = ask(&closed).await.unwrap_err();
    assert_eq!((failure.code, failure.status), ("endpoint_unreachable", None));

    let short = b"HTTP/1.1 200 X\r\ncontent-length: 500\r\n\r\n{\"choices\"".to_vec();
    let failure = ask(&Server::raw(short).await.address).await.unwrap_err();
    assert_eq!(failure.code, "provider_incomplete");
    assert_eq!(failure.retry, Retry::Later { after: None, counts: true });

    let huge = Server::answering(200, "", &" ".repeat(5 << 20)).await;
    assert_eq!(ask(&huge.address).await.unwrap_err().code, "provider_body_too_large");

    let huge = Server::answering(401, "", &" ".repeat(5 << 20)).await;
    assert_eq!(ask(&huge.address).await.unwrap_err().code, "provider_auth");

    let html =
        Server::answering(200, "content-type: application/json\r\n", "<!doctype html><p>Sign in").await;
    assert_eq!(ask(&html.address).await.unwrap_err().code, "provider_bad_response");
}

fn http(status: u16, kind: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n");
    format!("{head}connection: close\r\n\r\n{body}").into_bytes()
}

fn json_body(status: u16, body: &str) -> Vec<u8> {
    http(status, "application/json", body)
}

/// What was asked of a server that answers in turn, by a model with these parameters, that many times.
async fn asked(
    answers: Vec<Vec<u8>>,
    parameters: &Parameters,
    calls: usize,
) -> (Vec<Value>, Vec<Result<Reply, Failure>>) {
    let server = Server::in_turn(answers.clone()).await;
    let providers = providers(&[]);
    let endpoint = resolve(&providers, &format!("http://{}/v1/chat", server.address), key(KEY));
    let question = Call { parameters: parameters.clone(), ..call(&[(Role::User, "2 + 2")]) };
    let mut replies = Vec::new();
    for _ in 0..calls {
        replies.push(providers.call(&endpoint, &question).await);
    }
    ((0..answers.len()).map(|_| server.request().1).collect(), replies)
}

const LIMIT_REFUSED: &str = concat!(
    r#"{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use "#,
    r#"'max_completion_tokens' instead.","code":"unsupported_parameter","param":"max_tokens"}}"#
);
const STREAMED: &str = concat!(
    "data: {\"choices\":[{\"delta\":{\"content\":\"4\"},\"finish_reason\":\"stop\"}]}\n\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}\n\ndata: [DONE]\n\n"
);

fn limited() -> Parameters {
    Parameters { max_tokens: Some(9), ..Parameters::default() }
}

#[tokio::test]
async fn the_other_name_of_the_limit_is_tried_at_once_and_kept() {
    let answers = vec![json_body(400, LIMIT_REFUSED), json_body(200, ANSWER), json_body(200, ANSWER)];
    let (bodies, replies) = asked(answers, &limited(), 2).await;
    assert!(replies.iter().all(|reply| reply.as_ref().unwrap().text == "4"));
    let sent = |body: &Value| (body.get("max_tokens").is_some(), body.get("max_completion_tokens").is_some());
    assert_eq!(bodies.iter().map(sent).collect::<Vec<_>>(), [(true, false), (false, true), (false, true)]);
    assert_eq!(bodies[2]["max_completion_tokens"], 9);
}

#[tokio::test]
async fn a_limit_that_is_refused_by_both_names_is_an_error_and_not_kept() {
    let other = LIMIT_REFUSED.replace("max_tokens", "max_completion_tokens");
    let refusals = [json_body(400, LIMIT_REFUSED), json_body(400, &other)];
    let (bodies, replies) = asked([refusals.clone(), refusals].concat(), &limited(), 2).await;
    for reply in replies {
        assert_eq!(reply.unwrap_err().code, "provider_bad_response");
    }
    assert!(bodies[2].get("max_tokens").is_some(), "{bodies:?}");
    let unnamed =
        json_body(400, r#"{"error":{"message":"temperature is not supported","param":"temperature"}}"#);
    let hot = Parameters { temperature: Some(1.0), ..limited() };
    let (_, replies) = asked(vec![unnamed], &hot, 1).await;
    assert!(replies[0].as_ref().unwrap_err().message.contains("temperature is not supported"));
}

#[tokio::test]
async fn an_endpoint_that_only_streams_is_asked_for_a_stream_from_then_on() {
    let demand =
        r#"{"error":{"message":"This model only support stream mode, please enable the stream parameter"}}"#;
    let stream = || http(200, "text/event-stream; charset=utf-8", STREAMED);
    let (bodies, replies) = asked(vec![json_body(400, demand), stream(), stream()], &limited(), 2).await;
    assert!(replies.iter().all(|reply| reply.as_ref().unwrap().text == "4"));
    assert_eq!(replies[0].as_ref().unwrap().usage.output_tokens, Some(1));
    assert_eq!(replies[0].as_ref().unwrap().raw, STREAMED);
    let streams: Vec<bool> = bodies.iter().map(|body| body.get("stream") == Some(&json!(true))).collect();
    assert_eq!(streams, [false, true, true]);
}

#[tokio::test]
async fn a_demand_inside_a_200_or_a_500_is_met_as_well() {
    let demand = r#"{"error":{"message":"Only streaming is supported","code":400}}"#;
    for status in [200, 500] {
        let answers = vec![json_body(status, demand), http(200, "text/event-stream", STREAMED)];
        let (bodies, replies) = asked(answers, &Parameters::default(), 1).await;
        assert_eq!(replies[0].as_ref().unwrap().text, "4", "{status}");
        assert_eq!(bodies[1]["stream"], true, "{status}");
    }
    let answers = vec![json_body(200, LIMIT_REFUSED), json_body(200, ANSWER)];
    let (bodies, replies) = asked(answers, &limited(), 1).await;
    assert_eq!(
        (replies[0].as_ref().unwrap().text.as_str(), &bodies[1]["max_completion_tokens"]),
        ("4", &json!(9))
    );
}

#[tokio::test]
async fn a_stream_is_read_under_any_content_type_and_without_its_options() {
    let streams = Parameters { stream: Some(true), ..Parameters::default() };
    let refused = r#"{"error":{"message":"Unrecognized request argument supplied: stream_options"}}"#;
    let stream = || http(200, "text/plain", STREAMED);
    let (bodies, replies) =
        asked(vec![json_body(400, refused), stream(), json_body(200, ANSWER)], &streams, 2).await;
    assert!(replies.iter().all(|reply| reply.as_ref().unwrap().text == "4"));
    let options: Vec<bool> = bodies.iter().map(|body| body.get("stream_options").is_some()).collect();
    assert_eq!(options, [true, false, false]);
    assert!(bodies.iter().all(|body| body["stream"] == true));
    // Nobody asked for a stream, and one comes all the same.
    let (bodies, replies) =
        asked(vec![http(200, "text/event-stream", STREAMED)], &Parameters::default(), 1).await;
    assert_eq!(replies[0].as_ref().unwrap().text, "4");
    assert_eq!(bodies[0].get("stream"), None);
}

#[tokio::test]
async fn streams_that_end_badly_are_failures_of_their_kind() {
    let later = Retry::Later { after: None, counts: true };
    let half = "data: {\"choices\":[{\"delta\":{\"content\":\"The capital of\"}}]}\n\n";
    let error = |text: &str| format!("{half}data: {text}\n\n");
    let endings = [
        (half.to_owned(), "provider_incomplete", later),
        (error(r#"{"error":{"type":"overloaded_error"}}"#), "provider_unavailable", later),
        (error(r#"{"error":{"code":"401"}}"#), "provider_auth", Retry::Never),
        (error(r#"{"choices":[{"delta":{},"finish_reason":"error"}]}"#), "provider_interrupted", later),
    ];
    for (body, code, retry) in endings {
        let (_, replies) =
            asked(vec![http(200, "text/event-stream", &body)], &Parameters::default(), 1).await;
        let failure = replies[0].as_ref().unwrap_err();
        assert_eq!((failure.code, failure.retry), (code, retry), "{body}");
    }
    let cut = b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\ncontent-length: 9999\r\n\r\n";
    let (_, replies) = asked(vec![[&cut[..], half.as_bytes()].concat()], &Parameters::default(), 1).await;
    assert_eq!(replies[0].as_ref().unwrap_err().code, "provider_incomplete");
    let (_, replies) = asked(vec![[&cut[..], STREAMED.as_bytes()].concat()], &Parameters::default(), 1).await;
    assert_eq!(replies[0].as_ref().unwrap().text, "4", "all that matters came before the end");
}

#[tokio::test]
async fn a_filter_with_an_error_status_is_a_refusal() {
    for status in [400, 403, 422] {
        let body = r#"{"error":{"message":"filtered","code":"content_filter"}}"#;
        let (_, replies) = asked(vec![json_body(status, body)], &Parameters::default(), 1).await;
        let reply = replies[0].as_ref().unwrap();
        assert_eq!((reply.text.as_str(), reply.refusal, reply.raw.as_str()), ("", true, body));
        assert_eq!((reply.usage.input_tokens, reply.usage.output_tokens), (Some(0), Some(0)));
    }
    for status in [401, 404, 429, 500] {
        let body = r#"{"error":{"message":"filtered","code":"content_filter"}}"#;
        let (_, replies) = asked(vec![json_body(status, body)], &Parameters::default(), 1).await;
        assert!(replies[0].is_err(), "{status}");
    }
}

#[tokio::test]
async fn baselines_answer_in_process_and_count_their_words() {
    let providers = providers(&[]);
    let endpoint = resolve(&providers, "builtin:calculator", None);
    assert_eq!((endpoint.host.as_str(), &endpoint.origin), ("builtin", &None));
    let reply = providers.call(&endpoint, &call(&[(Role::User, "What is 17 + 25 * 3?")])).await.unwrap();
    assert_eq!((reply.text.as_str(), reply.usage, reply.raw.as_str()), ("92", Usage::counted(7, 1), ""));
}
