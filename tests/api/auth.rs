use std::time::Instant;

use evalboard::domain::api_keys::ApiKey;
use evalboard::domain::users::Role;
use reqwest::Method;
use serde_json::json;

use crate::support::{Board, Client, PATIENCE};

const THINGS: &str = "/api/test/things";

#[tokio::test(flavor = "multi_thread")]
async fn a_write_needs_a_key_and_some_need_an_admin() {
    let board = Board::with_things(&[]).await;
    let nobody = board.anonymous.post(THINGS, &json!({"bad": "body"})).await;
    assert_eq!((nobody.code(), nobody.header("www-authenticate")), (401, "Bearer"));
    assert_eq!(board.member.post(THINGS, &json!({"name": "a"})).await.code(), 201);
    for (client, status) in [(&board.anonymous, 401), (&board.member, 403), (&board.admin, 200)] {
        assert_eq!(client.delete("/api/test/things/1").await.code(), status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_does_not_count_is_refused_on_reads_too() {
    let board = Board::with_things(&[]).await;
    let stranger = Client::new(board.address, Some(&ApiKey::generate(&mut rand::rng())));
    assert_eq!(stranger.get(THINGS).await.code(), 401);
    assert_eq!(stranger.post(THINGS, &json!({"name": "a"})).await.code(), 401);
    for credential in ["Bearer garbage", "Basic YTpi", "Bearer", ""] {
        let asked = board.anonymous.ask(Method::GET, THINGS).header("authorization", credential);
        assert_eq!(asked.send().await.code(), 401, "{credential}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_counts_from_the_moment_it_is_made() {
    let board = Board::with_things(&[]).await;
    let key = ApiKey::generate(&mut rand::rng());
    assert_eq!(Client::new(board.address, Some(&key)).get(THINGS).await.code(), 401);
    let made = board.house.key("late@example.org", Role::Member).await;
    let asked = board.anonymous.ask(Method::GET, "/api/test/things/a").header("x-api-key", made.expose());
    assert_eq!(asked.send().await.json()["seen_by"], "late@example.org");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_an_address_is_refused() {
    let board = Board::with_things(&[]).await;
    board.anonymous.get("/api/test/things?limit=1").await;
    let key = ApiKey::generate(&mut rand::rng());
    for path in ["/api/test/things", "/page", "/api/v1/status"] {
        let refused = board.anonymous.get(&format!("{path}?limit=1&api_key={}", key.expose())).await;
        assert_eq!(refused.code(), 400);
        assert!(!refused.text().contains(key.expose()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_use_of_a_key_is_noted() {
    let board = Board::with_things(&[]).await;
    board.member.get(THINGS).await;
    let deadline = Instant::now() + PATIENCE;
    let used = |tx: &mut evalboard::store::Tx<'_>| {
        let sql = "SELECT COUNT(last_used_at) AS used FROM api_keys";
        tx.one(sql, &[], |row| row.get::<i64>("used"))
    };
    while board.house.app.store.read(used).await.unwrap() != 1 {
        assert!(Instant::now() < deadline, "nobody noted it");
    }
}
