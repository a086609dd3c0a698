//! Resolving inference URIs, and whole calls against a server on the loopback address.

mod forms;

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

#[tokio::test]
async fn baselines_answer_in_process_and_count_their_words() {
    let providers = providers(&[]);
    let endpoint = resolve(&providers, "builtin:calculator", None);
    assert_eq!((endpoint.host.as_str(), &endpoint.origin), ("builtin", &None));
    let reply = providers.call(&endpoint, &call(&[(Role::User, "What is 17 + 25 * 3?")])).await.unwrap();
    assert_eq!((reply.text.as_str(), reply.usage, reply.raw.as_str()), ("92", Usage::counted(7, 1), ""));
}
