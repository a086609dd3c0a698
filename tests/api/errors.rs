use reqwest::Method;
use serde_json::json;

use crate::support::{Board, Reply};

fn assert_error(reply: &Reply, status: u16, code: &str) {
    assert_eq!(reply.code(), status, "{}", reply.text());
    let body = reply.json();
    assert_eq!(body["code"], code, "{body}");
    assert!(body["error"].as_str().is_some_and(|text| !text.is_empty()));
    assert_eq!(body["request_id"], reply.header("x-request-id"));
    assert_eq!(reply.header("cache-control"), "no-store");
    assert_eq!(reply.header("content-type"), "application/json");
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_address_is_404_in_the_words_of_the_house() {
    let board = Board::start().await;
    for path in ["/api/v1/nothing", "/api/v1", "/api/v2/models", "/api", "/nothing", "/api/v1/%ff"] {
        assert_error(&board.anonymous.get(path).await, 404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_gets_an_error_page_outside_the_api() {
    let board = Board::start().await;
    let ask = |path| board.anonymous.ask(Method::GET, path).header("accept", "text/html,*/*").send();
    let page = ask("/nothing").await;
    assert_eq!(page.code(), 404);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(page.text().contains(page.header("x-request-id")));
    assert!(page.text().contains(evalboard::http::pages::asset("app.css")));
    assert_error(&ask("/api/v1/nothing").await, 404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_method_is_405_and_options_says_which_are_right() {
    let board = Board::with_things(&[]).await;
    let refused = board.member.ask(Method::PUT, "/api/test/things").send().await;
    assert_error(&refused, 405, "method_not_allowed");
    assert_eq!(refused.header("allow"), "GET, HEAD, POST, OPTIONS");
    let told = board.anonymous.ask(Method::OPTIONS, "/api/test/things/1").send().await;
    assert_eq!((told.code(), told.header("allow")), (204, "GET, HEAD, DELETE, OPTIONS"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_names_the_field() {
    let board = Board::with_things(&[]).await;
    for (body, field) in [
        (json!({}), "name"),
        (json!({"name": 1}), "name"),
        (json!({"name": "a", "size": 300}), "size"),
        (json!({"name": "a", "colour": 1}), "colour"),
    ] {
        let refused = board.member.post("/api/test/things", &body).await;
        assert_error(&refused, 400, "invalid");
        assert_eq!(refused.json()["field"], field, "{body}");
    }
    for (query, field) in [("limit=0", "limit"), ("limit=x", "limit"), ("cursor=made-up", "cursor")] {
        let refused = board.anonymous.get(&format!("/api/test/things?{query}")).await;
        assert_error(&refused, 400, "invalid");
        assert_eq!(refused.json()["field"], field);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_no_json_is_refused() {
    let board = Board::with_things(&[]).await;
    let ask = || board.member.ask(Method::POST, "/api/test/things");
    let json = || ask().header("content-type", "application/json");
    for body in ["{", r#"{"name":"a"} {}"#, r#"{"name":NaN}"#, r#"{"name":"a","name":"b"}"#, ""] {
        assert_error(&json().body(body).send().await, 400, "invalid");
    }
    assert_error(&ask().body(r#"{"name":"a"}"#).send().await, 415, "unsupported");
    let text = ask().header("content-type", "text/plain").body(r#"{"name":"a"}"#).send().await;
    assert_error(&text, 415, "unsupported");
    let compressed = json().header("content-encoding", "gzip").body("x").send().await;
    assert_error(&compressed, 415, "unsupported");
    let large = json().body(format!(r#"{{"name":"{}"}}"#, "a".repeat(1024 * 1024))).send().await;
    assert_error(&large, 413, "too_large");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_body_is_fine_where_it_is_optional() {
    let board = Board::with_things(&[]).await;
    let none = board.member.ask(Method::POST, "/api/test/optional").send().await;
    assert_eq!((none.code(), none.json()), (202, json!(null)));
    let some = board.member.post("/api/test/optional", &json!({"name": "a"})).await;
    assert_eq!((some.code(), some.json()), (202, json!("a")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_of_ours_says_nothing_of_its_cause() {
    let board = Board::with_things(&[]).await;
    let broken = board.anonymous.get("/api/test/broken").await;
    assert_error(&broken, 500, "internal");
    assert!(!broken.text().contains("canary"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_panics_is_answered_and_the_server_goes_on() {
    let board = Board::with_things(&[]).await;
    for _ in 0..8 {
        assert_error(&board.anonymous.get("/api/test/panic").await, 500, "internal");
    }
    assert_eq!(board.anonymous.get("/healthz").await.code(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_cannot_be_one_is_404() {
    let board = Board::with_things(&[]).await;
    for id in ["a%20b", "a.b", &"a".repeat(65), "missing"] {
        assert_error(&board.anonymous.get(&format!("/api/test/things/{id}")).await, 404, "not_found");
    }
}
