use reqwest::Method;
use serde_json::json;

use crate::support::Board;

const FEW_READS: [&str; 4] = ["--rate-read", "1", "--rate-read-burst", "3"];
const FEW_WRITES: [&str; 4] = ["--rate-write", "1", "--rate-write-burst", "2"];

#[tokio::test(flavor = "multi_thread")]
async fn reads_that_are_not_ready_are_limited_and_say_how_many_are_left() {
    let board = Board::with_things(&FEW_READS).await;
    let first = board.anonymous.get("/api/v1/status").await;
    assert_eq!((first.header("ratelimit-limit"), first.header("ratelimit-remaining")), ("3", "2"));
    assert_eq!(first.header("ratelimit-reset"), "1");
    board.anonymous.get("/api/v1/status").await;
    board.anonymous.get("/api/v1/status").await;
    let refused = board.anonymous.get("/api/v1/status").await;
    assert_eq!((refused.code(), refused.header("retry-after")), (429, "1"));
    assert_eq!((refused.header("ratelimit-limit"), refused.header("ratelimit-remaining")), ("3", "0"));
    assert_eq!(refused.json()["code"], "limited");
    assert_eq!(refused.header("access-control-allow-origin"), "*");
    assert_eq!(board.anonymous.get("/healthz").await.code(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_ready_is_never_limited() {
    let board = Board::with_things(&FEW_READS).await;
    for _ in 0..30 {
        let reply = board.anonymous.get("/api/test/things/abc").await;
        assert_eq!((reply.code(), reply.header("ratelimit-limit")), (200, ""));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_are_limited_by_key() {
    let board = Board::with_things(&FEW_WRITES).await;
    let body = json!({"name": "a"});
    for status in [201, 201, 429] {
        assert_eq!(board.member.post("/api/test/things", &body).await.code(), status);
    }
    assert_eq!(board.admin.post("/api/test/things", &body).await.code(), 201);
}

/// The status of a read that comes through a proxy which saw these addresses.
async fn read_for(board: &Board, addresses: &str) -> u16 {
    let asked = board.anonymous.ask(Method::GET, "/api/v1/status");
    asked.header("x-forwarded-for", addresses).send().await.code()
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_trusted_proxy_every_visitor_has_a_bucket_of_his_own() {
    let flags = [&FEW_READS[..], &["--trusted-proxies", "127.0.0.1,10.0.0.0/8"]].concat();
    let board = Board::with_things(&flags).await;
    for status in [200, 200, 200, 429] {
        assert_eq!(read_for(&board, "192.0.2.1, 10.0.0.9").await, status);
    }
    assert_eq!(read_for(&board, "192.0.2.2").await, 200);
    // What a visitor writes himself stands further left, and changes nothing.
    assert_eq!(read_for(&board, "203.0.113.5, 192.0.2.1").await, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_chooses_his_bucket_by_a_header_that_the_operator_did_not_trust() {
    let board = Board::with_things(&FEW_READS).await;
    for (at, status) in [(1, 200), (2, 200), (3, 200), (4, 429)] {
        assert_eq!(read_for(&board, &format!("192.0.2.{at}")).await, status);
    }
}
