use reqwest::Method;
use serde_json::{Value, json};

use crate::support::steps::{assert_has, column, text};
use crate::support::{Board, Client};
use evalboard::domain::api_keys::ApiKey;
use evalboard::domain::time::Millis;

const KEYS: &str = "/api/v1/keys";

impl Board {
    /// A caller with the key that was just made.
    fn with_made(&self, made: &Value) -> Client {
        Client::new(self.address, Some(&ApiKey::parse(text(made, "key")).unwrap()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_answered_once_and_listed_to_its_owner_alone() {
    let board = Board::idle().await;
    let made = board.member.made(KEYS, &json!({"name": "CI"})).await;
    assert_has(&made, json!({"name": "CI", "scope": "write", "expires_at": null, "last_used_at": null}));
    assert!(text(&made, "key").starts_with(text(&made, "hint")));
    let own = board.member.read(KEYS).await;
    assert_eq!(column(&own, "name"), ["CI", "test"]);
    assert!(own[0].get("key").is_none() && !own.to_string().contains(text(&made, "key")));
    assert_eq!(column(&board.other.read(KEYS).await, "name"), ["test"]);
    let me = board.with_made(&made).read("/api/v1/me").await;
    assert_has(&me, json!({"email": "member@example.org"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_may_only_read_changes_nothing() {
    let board = Board::idle().await;
    let made = board.admin.made(KEYS, &json!({"name": "Reader", "scope": "read"})).await;
    let reader = board.with_made(&made);
    for path in ["/api/v1/me", "/api/v1/models", KEYS] {
        assert_eq!(reader.get(path).await.code(), 200, "{path}");
    }
    let key = format!("{KEYS}/{}", text(&made, "id"));
    for (method, path) in [
        (Method::POST, KEYS),
        (Method::POST, "/api/v1/models"),
        (Method::POST, "/api/v1/runs"),
        (Method::DELETE, key.as_str()),
    ] {
        let refused = reader.ask(method, path).json(&json!({"name": "More"})).send().await;
        refused.assert_refused(403, "code", "forbidden");
        assert!(text(&refused.json(), "error").contains("only read"), "{}", refused.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_ends_when_it_is_revoked_and_at_its_time() {
    let board = Board::idle().await;
    let made = board.member.made(KEYS, &json!({"name": "Short"})).await;
    let caller = board.with_made(&made);
    assert_eq!(caller.get("/api/v1/me").await.code(), 200);
    let path = format!("{KEYS}/{}", text(&made, "id"));
    assert_eq!(board.other.delete(&path).await.code(), 403);
    assert_eq!(caller.delete(&path).await.code(), 200);
    assert_eq!(caller.get("/api/v1/me").await.code(), 401);
    assert_eq!(board.member.delete(&path).await.code(), 404);

    let soon = Millis::now().plus(60_000);
    let made = board.member.made(KEYS, &json!({"name": "Ends", "expires_at": soon.0})).await;
    let caller = board.with_made(&made);
    assert_eq!(caller.get("/api/v1/me").await.code(), 200);
    let end = |tx: &mut evalboard::store::Tx<'_>| {
        tx.execute("UPDATE api_keys SET expires_at = 1 WHERE name = 'Ends'", &[])
    };
    board.house.app.store.write(end).await.unwrap();
    assert_eq!(caller.get("/api/v1/me").await.code(), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_key_can_be_is_refused_by_name() {
    let board = Board::idle().await;
    for (body, field) in [
        (json!({"name": ""}), "name"),
        (json!({"name": "a", "scope": "all"}), "scope"),
        (json!({"name": "a", "expires_at": 1}), "expires_at"),
        (json!({"name": "a", "owner": "me"}), "owner"),
    ] {
        board.member.post(KEYS, &body).await.assert_refused(400, "field", field);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_once_however_often_it_is_asked_for() {
    let board = Board::idle().await;
    let asked = || {
        let request = board.member.ask(Method::POST, KEYS).header("idempotency-key", "one");
        request.json(&json!({"name": "Once"})).send()
    };
    assert_eq!(asked().await.code(), 201);
    asked().await.assert_refused(409, "code", "already_done");
    assert_eq!(column(&board.member.read(KEYS).await, "name"), ["Once", "test"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_has_keys_without_end() {
    let board = Board::idle().await;
    for at in 0..99 {
        board.member.made(KEYS, &json!({"name": format!("{at}")})).await;
    }
    board.member.post(KEYS, &json!({"name": "more"})).await.assert_refused(409, "code", "too_many_keys");
    board.other.made(KEYS, &json!({"name": "mine"})).await;
}
