//! Checking a model: one tiny call that says whether its address works.

use serde_json::{Value, json};

use crate::support::field::{Field, text};
use crate::support::provider::{Act, Script};

async fn checked(field: &Field, model: &str) -> Value {
    let reply = field.board.member.post(&format!("/api/v1/models/{model}/check"), &json!({})).await;
    assert_eq!(reply.code(), 200, "{}", reply.text());
    reply.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_is_one_call_and_tells_what_came_of_it() {
    let field = Field::start().await;
    let prices = json!({"input_price": 100_000.0, "output_price": 0.0, "api_key": "a"});
    let good = field.model("good", Script::says("OK"), prices).await;
    let outcome = checked(&field, &good).await;
    assert_eq!(
        [&outcome["ok"], &outcome["error"], &outcome["cost_usd"]],
        [&json!(true), &Value::Null, &json!(1.0)]
    );
    assert!(outcome["latency_ms"].is_i64(), "{outcome}");
    assert_eq!(field.provider.asked("good").len(), 1);

    let limited = field.model("limited", Script::always(Act::Status(429, Some(60))), json!({})).await;
    let outcome = checked(&field, &limited).await;
    assert_eq!([&outcome["ok"], &outcome["error"]], [&json!(false), &json!("provider_rate_limited")]);
    assert!(text(&outcome["error_message"]).contains("answered 429"), "{outcome}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_of_a_dead_address_names_the_error() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let field = Field::allowing(&address).await;
    let body = json!({"name": "gone", "inference_uri": format!("openai-compatible:http://{address}/v1#x")});
    let model = text(&field.board.member.made("/api/v1/models", &body).await["id"]);
    assert_eq!(checked(&field, &model).await["error"], "endpoint_unreachable");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_checked_once_in_a_while() {
    let field = Field::start().await;
    let model = field.model("model", Script::says("OK"), json!({})).await;
    checked(&field, &model).await;
    let path = format!("/api/v1/models/{model}/check");
    let soon = field.board.member.post(&path, &json!({})).await;
    assert_eq!(soon.code(), 429, "{}", soon.text());
    assert!(!soon.header("retry-after").is_empty());
    assert_eq!(field.provider.asked("model").len(), 1);
}
