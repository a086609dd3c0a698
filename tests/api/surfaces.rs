use reqwest::Method;
use serde_json::json;

use crate::support::forms::local;
use crate::support::grants::Granted;
use crate::support::{Asking, Board, Reply};

const MEMBER: &str = "member@example.org";
const THING: &str = "/api/test/things/abc";
const FORM: &str = "application/x-www-form-urlencoded";

/// Headers that are a credential of the member somewhere, in the native API or on a surface.
async fn credentials(board: &Board) -> Vec<(&'static str, String)> {
    let key = board.member.credential().to_owned();
    let token = board.with_token_of(&board.member, "read").await.credential().to_owned();
    let upload = Granted::weights(board).await.0.token;
    vec![
        ("authorization", format!("Bearer {key}")),
        ("authorization", format!("bearer {token}")),
        ("authorization", format!("Bearer {upload}")),
        ("authorization", "Basic bWU6c2VjcmV0".to_owned()),
        ("authorization", "Digest username=me".to_owned()),
        ("authorization", String::new()),
        ("x-api-key", key),
        ("x-api-key", token),
        ("x-api-key", "unknown".to_owned()),
        ("cookie", board.session(MEMBER).await.cookie()),
    ]
}

fn get(board: &Board, path: &str) -> Asking {
    board.anonymous.ask(Method::GET, path)
}

/// Checks that nothing on the way may store a response.
fn assert_private(reply: &Reply, what: &str) {
    let headers = (reply.header("cache-control"), reply.header("etag"));
    assert_eq!(headers, ("no-store", ""), "{what}: {}", reply.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn anonymous_read_never_gets_the_response_for_a_credential() {
    let board = Board::with_things(&[]).await;
    for (name, value) in credentials(&board).await {
        let what = format!("{name}: {value}");
        // Before there is a stored response, and after.
        for _ in 0..2 {
            let own = get(&board, THING).header(name, &value).send().await;
            match own.code() {
                // A cookie is no credential of the API.
                200 if name == "cookie" => assert_eq!(own.json()["seen_by"], json!(null)),
                200 => {
                    assert_private(&own, &what);
                    assert_eq!(own.json()["seen_by"], MEMBER, "{what}");
                }
                code => {
                    assert_eq!(code, 401, "{what}");
                    assert_private(&own, &what);
                }
            }
            let anybody = board.anonymous.get(THING).await;
            assert_eq!(anybody.json()["seen_by"], json!(null), "{what}");
            assert_eq!(anybody.header("cache-control"), "public, max-age=60", "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn credential_in_a_query_is_refused_and_not_stored() {
    let board = Board::with_things(&[]).await;
    board.anonymous.get(THING).await;
    for secret in [board.member.credential(), board.with_token_of(&board.member, "read").await.credential()] {
        for path in [THING, "/api/blob", "/oauth2/token"] {
            let refused = board.anonymous.get(&format!("{path}?api_key={secret}")).await;
            assert_eq!(refused.code(), 400, "{path}: {}", refused.text());
            assert_private(&refused, path);
        }
        assert_eq!(board.anonymous.get(THING).await.code(), 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn session_page_is_not_served_to_anonymous_callers() {
    let board = Board::start().await;
    let cookie = board.session(MEMBER).await.cookie();
    let own = get(&board, "/settings/api-keys").header("cookie", &cookie).send().await;
    assert_eq!(own.code(), 200, "{}", own.text());
    assert_private(&own, "a session");
    assert_ne!(board.anonymous.get("/settings/api-keys").await.body, own.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn vercel_blob_responses_are_not_stored() {
    let board = Board::start().await;
    let (granted, _) = Granted::weights(&board).await;
    let put = granted.put("weights").await;
    assert_eq!(put.code(), 200, "{}", put.text());
    assert_private(&put, "PUT");
    let url = put.json()["url"].as_str().unwrap().to_owned();
    let query: String = url::form_urlencoded::byte_serialize(url.as_bytes()).collect();
    let path = format!("/api/blob?url={query}");
    let anybody = board.anonymous.get(&path).await;
    for (name, value) in credentials(&board).await {
        let seen = get(&board, &path).header(name, &value).send().await;
        assert_eq!((seen.code(), &seen.body), (200, &anybody.body), "{name}: {value}");
        assert_private(&seen, name);
    }
    let cancelled = granted.asking(Method::DELETE, "").send().await;
    assert_eq!(cancelled.code(), 200, "{}", cancelled.text());
    assert_private(&cancelled, "DELETE");
    // Had any of them been stored, it would be found now.
    assert_eq!(board.anonymous.get(&path).await.code(), 404);
    assert_eq!(board.anonymous.get(&local(&put.json()["url"])).await.code(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_responses_are_not_stored() {
    let board = Board::start().await;
    let id = board.key_id(&board.member).await;
    let client = (id.as_str(), board.member.credential());
    let grant = [("grant_type", "client_credentials")];
    let token = board.ask_token(Some(client), &grant).await;
    assert_eq!(token.code(), 200, "{}", token.text());
    assert_private(&token, "Basic");
    let form = [grant[0], ("client_id", client.0), ("client_secret", client.1)];
    assert_private(&board.ask_token(None, &form).await, "form");
    let nobody = board.ask_token(None, &grant).await;
    assert_eq!((nobody.code(), &nobody.json()["error"]), (401, &json!("invalid_client")));
    assert_private(&nobody, "no client");
    for (name, value) in credentials(&board).await {
        let asked = board.anonymous.ask(Method::POST, "/oauth2/token").header("content-type", FORM);
        let refused = asked.header(name, &value).body("grant_type=client_credentials").send().await;
        assert_eq!(refused.code(), 401, "{name}: {value}: {}", refused.text());
        assert_private(&refused, name);
        assert_private(&get(&board, "/oauth2/token").header(name, &value).send().await, name);
    }
    assert_eq!(board.anonymous.get("/oauth2/token").await.code(), 405);
}
