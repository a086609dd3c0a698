use evalboard::domain::time::Millis;
use evalboard::service::once::{Answer, Once};
use evalboard::store::users;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::steps::sums;
use crate::support::{Board, Client, Reply};

async fn post(client: &Client, path: &str, key: &str, body: &Value) -> Reply {
    client.ask(Method::POST, path).header("idempotency-key", key).json(body).send().await
}

const THINGS: &str = "/api/test/things";

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_gets_the_first_answer() {
    let board = Board::with_things(&[]).await;
    let body = json!({"name": "a"});
    let first = post(&board.member, THINGS, "k1", &body).await;
    let again = post(&board.member, THINGS, "k1", &body).await;
    assert_eq!((first.code(), first.header("location")), (201, "/api/test/things/1"));
    assert_eq!((again.status, again.header("location")), (first.status, first.header("location")));
    assert_eq!(again.body, first.body);
    assert_eq!(board.anonymous.get(THINGS).await.json(), json!(["a"]));
    assert_eq!(
        post(&board.admin, THINGS, "k1", &body).await.json()["count"],
        2,
        "keys are each caller's own"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_for_another_request_is_a_conflict() {
    let board = Board::with_things(&[]).await;
    post(&board.member, THINGS, "k1", &json!({"name": "a"})).await;
    let other = post(&board.member, THINGS, "k1", &json!({"name": "b"})).await;
    assert_eq!((other.code(), &other.json()["code"]), (409, &json!("idempotency_mismatch")));
    let elsewhere = post(&board.member, "/api/test/secrets", "k1", &json!({"name": "a"})).await;
    assert_eq!(elsewhere.code(), 409);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_holds_a_secret_is_given_once() {
    let board = Board::with_things(&[]).await;
    let body = json!({"name": "a"});
    assert_eq!(post(&board.member, "/api/test/secrets", "k1", &body).await.code(), 200);
    let again = post(&board.member, "/api/test/secrets", "k1", &body).await;
    assert_eq!((again.code(), &again.json()["code"]), (409, &json!("already_done")));
    for file in ["evalboard.db", "evalboard.db-wal"] {
        let bytes = std::fs::read(board.house.path().join(file)).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"canary"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_repeats_at_once_happen_once() {
    let board = Board::with_things(&[]).await;
    let body = json!({"name": "a"});
    let asking = (0..20).map(|_| post(&board.member, THINGS, "k1", &body));
    for reply in futures_util::future::join_all(asking).await {
        assert_eq!(reply.json()["count"], 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_idempotency_key_is_refused() {
    let board = Board::with_things(&[]).await;
    for key in ["", "a b", &"k".repeat(256)] {
        let refused = post(&board.member, THINGS, key, &json!({"name": "a"})).await;
        assert_eq!((refused.code(), &refused.json()["field"]), (400, &json!("Idempotency-Key")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_forgotten_after_a_day() {
    const DAY: i64 = 24 * 60 * 60 * 1_000;
    let board = Board::start().await;
    let at = async |now: i64, count: u32| {
        let command = move |tx: &mut evalboard::store::Tx<'_>| {
            let user = users::find_by_email(tx, "member@example.org")?.unwrap();
            let once = Once::new(user.key, "k".into(), [7; 32]);
            once.run(tx, Millis(now), |_| Ok(count), Answer::ok)
        };
        board.house.app.store.write(command).await.unwrap().body
    };
    assert_eq!(at(1, 1).await, b"1");
    assert_eq!(at(DAY, 2).await, b"1");
    assert_eq!(at(DAY + 1, 3).await, b"3");
    assert_eq!(at(DAY + 2, 4).await, b"3");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_that_is_repeated_under_its_key_answers_as_before() {
    let board = Board::idle().await;
    board.member.model("builtin:echo").await;
    board.member.eval(&sums()).await;
    let path = format!("/api/v1/runs/{}/cancel", board.member.trigger(&json!({})).await);
    let cancel =
        |key: &'static str| board.member.ask(Method::POST, &path).header("idempotency-key", key).send();
    let first = cancel("once").await;
    assert_eq!((first.code(), &first.json()["status"]), (200, &json!("cancelled")));
    let again = cancel("once").await;
    assert_eq!((again.code(), again.json()), (200, first.json()));
    cancel("another").await.assert_refused(409, "code", "run_over");
}
