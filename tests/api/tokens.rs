//! Tokens in the place of keys: how a program gets one, what it counts for, and when it counts no more.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use evalboard::store::Tx;
use jsonwebtoken::Algorithm;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::steps::{assert_has, text};
use crate::support::tokens::TOKEN;
use crate::support::{Board, Client, Reply};

const GRANT: (&str, &str) = ("grant_type", "client_credentials");
const ME: &str = "/api/v1/me";
/// As many tokens may be asked for as the tests like.
const EASY: [&str; 2] = ["--rate-login", "100000"];

impl Board {
    async fn change(&self, sql: &'static str) {
        let changed = self.house.app.store.write(move |tx: &mut Tx<'_>| tx.execute(sql, &[])).await.unwrap();
        assert!(changed > 0, "{sql}");
    }

    /// What everybody is told whose credential does not count, but for the name of the request.
    async fn refusal(&self, credential: &str) -> (u16, String, Value) {
        let reply = Client::bearing(self.address, Some(credential)).get(ME).await;
        let mut body = reply.json();
        body.as_object_mut().unwrap().remove("request_id").unwrap();
        (reply.code(), reply.header("www-authenticate").to_owned(), body)
    }
}

fn assert_error(reply: &Reply, status: u16, error: &str) {
    let body = reply.json();
    assert_eq!((reply.code(), body["error"].as_str()), (status, Some(error)), "{}", reply.text());
    assert!(!text(&body, "error_description").is_empty());
    assert_eq!((reply.header("cache-control"), reply.header("pragma")), ("no-store", "no-cache"));
    let how = if status == 401 { "Basic realm=\"evalboard\"" } else { "" };
    assert_eq!(reply.header("www-authenticate"), how);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_changed_for_a_token_that_counts_wherever_the_key_does() {
    let board = Board::with(&EASY).await;
    let (id, key) = (board.key_id(&board.member).await, board.member.credential());
    let by_header = board.ask_token(Some((&id, key)), &[GRANT]).await;
    let by_form = board.ask_token(None, &[GRANT, ("client_id", &id), ("client_secret", key)]).await;
    // Some clients say their name twice, and write in full what needs it not.
    let encoded = key.replace('_', "%5F");
    let by_both = board.ask_token(Some((&id, &encoded)), &[GRANT, ("client_id", &id), ("scope", "")]).await;
    for reply in [by_header, by_form, by_both] {
        assert_eq!(reply.code(), 200, "{}", reply.text());
        let answer = reply.json();
        assert_has(&answer, json!({"token_type": "Bearer", "expires_in": 600, "scope": "write"}));
        assert_eq!((reply.header("cache-control"), reply.header("pragma")), ("no-store", "no-cache"));
        let token = text(&answer, "access_token");
        let caller = Client::bearing(board.address, Some(token));
        assert_has(&caller.read(ME).await, json!({"email": "member@example.org", "role": "member"}));
        let other = board.anonymous.ask(Method::GET, ME).header("x-api-key", token).send().await;
        assert_eq!(other.json()["email"], "member@example.org");
        caller.made("/api/v1/keys", &json!({"name": "made by a token"})).await;
        let list = caller.get("/api/v1/models").await;
        assert_eq!(list.header("cache-control"), "no-store", "what is shown to one person is nobody's copy");
    }
    let used = board.member.read("/api/v1/keys").await;
    assert!(used.as_array().unwrap().iter().any(|key| key["last_used_at"].is_i64()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_wrongly_is_refused_in_the_words_of_the_standard() {
    let board = Board::with(&EASY).await;
    let (id, key) = (board.key_id(&board.member).await, board.member.credential());
    let (other, basic) = (board.key_id(&board.other).await, Some((id.as_str(), key)));
    let (name, secret) = (("client_id", id.as_str()), ("client_secret", key));
    let mistyped = format!("{}{}", &key[..40], if key.ends_with('x') { 'y' } else { 'x' });
    for (basic, fields, error) in [
        (None, vec![GRANT], "invalid_client"),
        (None, vec![GRANT, name], "invalid_client"),
        (None, vec![GRANT, secret], "invalid_client"),
        (None, vec![GRANT, name, ("client_secret", "")], "invalid_client"),
        (None, vec![GRANT, name, ("client_secret", "garbage")], "invalid_client"),
        (Some((id.as_str(), mistyped.as_str())), vec![GRANT], "invalid_client"),
        (Some((other.as_str(), key)), vec![GRANT], "invalid_client"),
        (Some(("", key)), vec![GRANT], "invalid_client"),
        (basic, vec![GRANT, secret], "invalid_request"),
        (basic, vec![GRANT, name, secret], "invalid_request"),
        (basic, vec![GRANT, ("client_id", other.as_str())], "invalid_request"),
        (basic, vec![], "invalid_request"),
        (basic, vec![("grant_type", "")], "invalid_request"),
        (basic, vec![GRANT, GRANT], "invalid_request"),
        (basic, vec![("grant_type", "password")], "unsupported_grant_type"),
        (basic, vec![("grant_type", "authorization_code")], "unsupported_grant_type"),
        (basic, vec![GRANT, ("scope", "admin")], "invalid_scope"),
        (basic, vec![GRANT, ("scope", "read admin")], "invalid_scope"),
    ] {
        let status = if error == "invalid_client" { 401 } else { 400 };
        let reply = board.ask_token(basic, &fields).await;
        assert_error(&reply, status, error);
        assert!(!reply.text().contains(key), "a key is never said again");
    }
    let asked = |kind: &str, body: &str| {
        board.anonymous.ask(Method::POST, TOKEN).header("content-type", kind).body(body.to_owned()).send()
    };
    assert_error(&asked("application/json", "{}").await, 400, "invalid_request");
    let bearer =
        board.member.ask(Method::POST, TOKEN).header("content-type", "application/x-www-form-urlencoded");
    assert_error(&bearer.body("grant_type=client_credentials").send().await, 401, "invalid_client");
    let long = "x".repeat(20_000);
    assert_eq!(asked("application/x-www-form-urlencoded", &long).await.code(), 413);
    assert_eq!(board.anonymous.get(TOKEN).await.code(), 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_may_do_what_is_asked_for_and_never_more_than_its_key() {
    let board = Board::with(&EASY).await;
    let made = board.member.made("/api/v1/keys", &json!({"name": "Reader", "scope": "read"})).await;
    let (id, key) = (text(&made, "id"), text(&made, "key"));
    let refused = board.ask_token(Some((id, key)), &[GRANT, ("scope", "write")]).await;
    assert_error(&refused, 400, "invalid_scope");
    let plain = board.ask_token(Some((id, key)), &[GRANT]).await.json();
    assert_eq!(plain["scope"], "read");
    let made = board.member.made("/api/v1/keys", &json!({"name": "Writer"})).await;
    let (id, key) = (text(&made, "id"), text(&made, "key"));
    for (asked, granted) in [("read", "read"), ("write", "write"), ("read write", "write")] {
        let answer = board.ask_token(Some((id, key)), &[GRANT, ("scope", asked)]).await.json();
        assert_eq!(answer["scope"], granted);
        let caller = Client::bearing(board.address, Some(text(&answer, "access_token")));
        let status = if granted == "write" { 201 } else { 403 };
        assert_eq!(caller.post("/api/v1/keys", &json!({"name": "more"})).await.code(), status, "{asked}");
        assert_eq!(caller.get("/api/v1/keys").await.code(), 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_wrong_with_a_token_the_answer_is_the_same() {
    let board = Board::with(&EASY).await;
    let good = board.claims().await;
    let counts = Client::bearing(board.address, Some(&board.forged(Algorithm::HS256, &good)));
    assert_eq!(counts.get(ME).await.code(), 200, "what is changed below counts as it is");
    let expected = board.refusal("blah_unknown").await;
    assert_eq!((expected.0, expected.1.as_str()), (401, "Bearer"));

    let mut bad: Vec<(String, String)> = Vec::new();
    for name in good.as_object().unwrap().keys() {
        let mut less = good.clone();
        less.as_object_mut().unwrap().shift_remove(name);
        bad.push((format!("without {name}"), board.forged(Algorithm::HS256, &less)));
    }
    let now = good["iat"].as_i64().unwrap();
    let other = board.other.read(ME).await;
    for (name, value) in [
        ("iss", json!("https://other.example")),
        ("aud", json!("https://other.example/api")),
        ("aud", json!("https://board.example")),
        ("sub", json!("nobody")),
        ("sub", other["id"].clone()),
        ("client_id", json!("nothing")),
        ("scope", json!("admin")),
        ("exp", json!(now - 1)),
        ("nbf", json!(now + 600)),
    ] {
        let mut changed = good.clone();
        changed[name] = value;
        let said = format!("{name} {}", changed[name]);
        bad.push((said, board.forged(Algorithm::HS256, &changed)));
    }
    for algorithm in [Algorithm::HS384, Algorithm::HS512] {
        bad.push((format!("{algorithm:?}"), board.forged(algorithm, &good)));
    }
    let whole = board.forged(Algorithm::HS256, &good);
    let [head, body, signature] = whole.split('.').collect::<Vec<_>>()[..] else { panic!("{whole}") };
    let encoded = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    let more = encoded(&good.to_string().replace("\"write\"", "\"read\""));
    bad.push(("another body".to_owned(), format!("{head}.{more}.{signature}")));
    bad.push(("no signature".to_owned(), format!("{head}.{body}.")));
    bad.push(("a cut signature".to_owned(), whole[..whole.len() - 4].to_owned()));
    for algorithm in ["none", "None", "HS256", "RS256"] {
        let head = encoded(&json!({"alg": algorithm, "typ": "JWT"}).to_string());
        bad.push((format!("alg {algorithm}, unsigned"), format!("{head}.{body}.")));
        bad.push((format!("alg {algorithm}"), format!("{head}.{body}.{signature}")));
    }
    for (what, token) in bad {
        assert_eq!(board.refusal(&token).await, expected, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_ends_at_once_with_its_key_and_its_owner() {
    let board = Board::with(&EASY).await;
    let expected = board.refusal("garbage").await;
    let made = board.member.made("/api/v1/keys", &json!({"name": "CI"})).await;
    let (id, key) = (text(&made, "id"), text(&made, "key"));
    let caller = board.with_token_for(id, key, "write").await;
    assert_eq!(caller.get(ME).await.code(), 200);
    assert_eq!(caller.delete(&format!("/api/v1/keys/{id}")).await.code(), 200);
    assert_eq!(board.refusal(caller.credential()).await, expected, "revoked");
    assert_error(&board.ask_token(Some((id, key)), &[GRANT]).await, 401, "invalid_client");

    let caller = board.with_token_of(&board.other, "read").await;
    assert_eq!(caller.get(ME).await.code(), 200);
    board.change("UPDATE api_keys SET expires_at = 1 WHERE user_id = (SELECT id FROM users WHERE email = 'other@example.org')").await;
    assert_eq!(board.refusal(caller.credential()).await, expected, "its key has expired");

    let caller = board.with_token_of(&board.admin, "write").await;
    assert_eq!(caller.get(ME).await.code(), 200);
    board.change("UPDATE users SET disabled_at = 1 WHERE email = 'admin@example.org'").await;
    assert_eq!(board.refusal(caller.credential()).await, expected, "its owner is disabled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_an_address_is_refused_and_not_repeated() {
    let board = Board::with(&EASY).await;
    let token = board.forged(Algorithm::HS256, &board.claims().await);
    for path in ["/", "/docs", "/api/v1/models", "/login"] {
        // So that a copy could answer.
        board.anonymous.get(path).await;
        for query in [format!("q={token}"), format!("access_token={token}"), token.clone()] {
            let refused = board.anonymous.get(&format!("{path}?{query}")).await;
            assert_eq!(refused.code(), 400, "{path}?{query}");
            assert!(!refused.text().contains(&token));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_of_tokens_are_taken_from_the_bucket_of_their_key() {
    let few = ["--rate-login", "100000", "--rate-write", "1", "--rate-write-burst", "4"];
    let board = Board::with(&few).await;
    // They are asked for by the address, not by the key.
    let [one, two] = [
        board.with_token_of(&board.member, "write").await,
        board.with_token_of(&board.member, "write").await,
    ];
    let callers = [&board.member, &one, &two, &one, &two, &board.member];
    let mut codes = Vec::new();
    for caller in callers {
        codes.push(caller.delete("/api/v1/keys/nothing").await.code());
    }
    assert_eq!(codes, [404, 404, 404, 404, 429, 429]);
    assert_eq!(board.other.delete("/api/v1/keys/nothing").await.code(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_keys_are_tried_five_times_a_minute() {
    let board = Board::start().await;
    let (id, key) = (board.key_id(&board.member).await, board.member.credential());
    for _ in 0..5 {
        let tried = board.ask_token(Some((&id, "blah_wrong")), &[GRANT]).await;
        assert_error(&tried, 401, "invalid_client");
    }
    for secret in ["blah_wrong", board.other.credential()] {
        let refused = board.ask_token(Some((&id, secret)), &[GRANT]).await;
        refused.assert_refused(429, "code", "limited");
        assert!((1..=12).contains(&refused.header("retry-after").parse::<u32>().unwrap()));
    }
    let granted = board.ask_token(Some((&id, key)), &[GRANT]).await;
    assert_eq!(granted.code(), 200, "whoever holds a key is kept from a token by nobody");
    assert_eq!(board.member.get(ME).await.code(), 200, "the key itself goes on");
}

#[cfg(feature = "oidc")]
#[tokio::test(flavor = "multi_thread")]
async fn a_library_for_oauth_gets_its_token_either_way() {
    use openidconnect::core::CoreClient;
    use openidconnect::{
        AuthType, ClientId, ClientSecret, HttpRequest, IssuerUrl, JsonWebKeySet, OAuth2TokenResponse, Scope,
        TokenUrl, http,
    };

    let board = Board::with(&EASY).await;
    let call = |request: HttpRequest| async move {
        let plain = reqwest::Client::builder().no_proxy().build()?;
        let answer = plain.execute(request.try_into()?).await?;
        let mut head = http::Response::builder().status(answer.status());
        *head.headers_mut().unwrap() = answer.headers().clone();
        Ok::<_, reqwest::Error>(head.body(answer.bytes().await?.to_vec()).unwrap())
    };
    let id = ClientId::new(board.key_id(&board.member).await);
    let base = format!("http://{}", board.address);
    let client = CoreClient::new(id, IssuerUrl::new(base.clone()).unwrap(), JsonWebKeySet::default())
        .set_client_secret(ClientSecret::new(board.member.credential().to_owned()))
        .set_token_uri(TokenUrl::new(format!("{base}{TOKEN}")).unwrap());
    for way in [AuthType::BasicAuth, AuthType::RequestBody] {
        let client = client.clone().set_auth_type(way);
        let asked = client.exchange_client_credentials().add_scope(Scope::new("read".to_owned()));
        let answer = asked.request_async(&call).await.unwrap();
        assert_eq!(answer.expires_in(), Some(std::time::Duration::from_secs(600)));
        let caller = Client::bearing(board.address, Some(answer.access_token().secret()));
        assert_eq!(caller.read(ME).await["email"], "member@example.org");
    }
}
