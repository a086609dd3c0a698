//! Limits on proving who one is: whoever guesses is slowed, and keeps nobody else from coming in.

use evalboard::domain::api_keys::ApiKey;
use futures_util::future::join_all;
use reqwest::Method;

use crate::support::browser::Browser;
use crate::support::{Board, Client};

const ADA: &str = "ada@example.org";
const STRANGER: &str = "stranger@example.org";
const PASSWORD: &str = "correct horse battery";
const HOME: &str = "198.51.100.7";
/// Two tries a minute, of visitors whom a proxy tells apart.
const FEW: [&str; 4] = ["--rate-login", "2", "--trusted-proxies", "127.0.0.1"];

/// A board where Ada has a password, and was signed in last nowhere but by a link.
async fn board(flags: &[&str]) -> Board {
    let board = Board::with(flags).await;
    let token = evalboard::service::people::setup_link(&board.house.app.store).await.unwrap().unwrap();
    let mut ada = Browser::new(board.address);
    let fields = [("token", token.expose()), ("email", ADA), ("password", PASSWORD), ("again", PASSWORD)];
    let done = ada.fill(&format!("/setup?token={}", token.expose()), "/setup", &fields).await;
    assert_eq!(done.code(), 303, "{}", done.text());
    board
}

/// What one try of a password from an address comes to.
async fn try_at(board: &Board, address: &str, email: &str, password: &str) -> u16 {
    let mut browser = Browser::new(board.address);
    browser.forwarded_for = Some(address.to_owned());
    browser.fill("/login", "/login", &[("email", email), ("password", password)]).await.code()
}

/// Tries of wrong passwords for `email` from three addresses at once, until each of them is refused.
async fn flood(board: &Board, email: &str) -> Vec<Vec<u16>> {
    let tries = (1..=3).map(async |at| {
        let address = format!("192.0.2.{at}");
        let mut codes = Vec::new();
        for _ in 0..3 {
            codes.push(try_at(board, &address, email, "not that one").await);
        }
        codes
    });
    join_all(tries).await
}

#[tokio::test(flavor = "multi_thread")]
async fn tries_from_elsewhere_keep_nobody_out() {
    let board = board(&FEW).await;
    let known = flood(&board, ADA).await;
    assert_eq!(known, [[403, 403, 429], [403, 403, 429], [403, 403, 429]]);
    assert_eq!(try_at(&board, HOME, ADA, PASSWORD).await, 303, "from an address that was never seen");
    let fresh = self::board(&FEW).await;
    assert_eq!(flood(&fresh, STRANGER).await, known, "an account that is not there is treated alike");
}

#[tokio::test(flavor = "multi_thread")]
async fn address_of_the_last_sign_in_is_let_through() {
    let board = board(&FEW).await;
    assert_eq!(try_at(&board, HOME, ADA, PASSWORD).await, 303);
    // Others behind the same address use up its tries.
    for status in [403, 429, 429] {
        assert_eq!(try_at(&board, HOME, STRANGER, "not that one").await, status);
    }
    assert_eq!(try_at(&board, HOME, ADA, PASSWORD).await, 303);
    assert_eq!(try_at(&board, HOME, ADA, PASSWORD).await, 303);
    assert_eq!(try_at(&board, HOME, ADA, PASSWORD).await, 429, "its own tries are counted too");
    let stored = board
        .house
        .app
        .store
        .read(|tx| evalboard::store::users::sign_in_proof(tx, ADA))
        .await
        .unwrap()
        .unwrap();
    let is_readable = stored.windows(4).any(|bytes| bytes == [198, 51, 100, 7]);
    assert!(!is_readable, "the address itself is not stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn tries_from_elsewhere_keep_nobody_from_a_new_password() {
    let board = board(&FEW).await;
    let mut ada = Browser::new(board.address);
    ada.forwarded_for = Some(HOME.to_owned());
    let fields = [("email", ADA), ("password", PASSWORD)];
    assert_eq!(ada.fill("/login", "/login", &fields).await.code(), 303);
    flood(&board, ADA).await;
    // One of them sits behind the same address.
    try_at(&board, HOME, STRANGER, "not that one").await;
    let wrong =
        [("current", "not that one"), ("password", "another long one"), ("again", "another long one")];
    for status in [400, 400, 429] {
        assert_eq!(ada.fill("/settings/password", "/settings/password", &wrong).await.code(), status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn invented_keys_share_the_bucket_of_their_address() {
    let flags =
        ["--rate-read", "1", "--rate-read-burst", "3", "--rate-write", "1", "--rate-write-burst", "3"];
    let board = Board::with(&flags).await;
    for method in [Method::GET, Method::DELETE] {
        let path = if method == Method::GET { "/api/v1/me" } else { "/api/v1/keys/nothing" };
        let mut codes = Vec::new();
        for _ in 0..4 {
            let invented = ApiKey::generate(&mut rand::rng());
            let client = Client::new(board.address, Some(&invented));
            codes.push(client.ask(method.clone(), path).send().await.code());
        }
        assert_eq!(codes, [401, 401, 401, 429], "{method}");
    }
    assert_eq!(board.member.get("/api/v1/me").await.code(), 200, "a key that counts has a bucket of its own");
    assert_eq!(board.member.delete("/api/v1/keys/nothing").await.code(), 404);
}
