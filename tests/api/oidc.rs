//! Signing in with an OpenID Connect provider: over real HTTP, with a provider that behaves well or badly.

use evalboard::domain::time::Millis;
use evalboard::store::Tx;
use reqwest::redirect;
use serde_json::{Value, json};

use crate::support::browser::Browser;
use crate::support::idp::{CLIENT, Idp, Manners, SECRET};
use crate::support::{Board, PUBLIC_URL, Reply};

const BEGIN: &str = "/login/oidc";
const KEYS: &str = "/settings/api-keys";

/// A board whose people sign in with that provider, with these flags besides.
async fn board(idp: &Idp, flags: &[&str]) -> Board {
    let (issuer, address) = (idp.issuer(), idp.address.to_string());
    let own = [
        "--oidc-issuer",
        issuer.as_str(),
        "--oidc-client-id",
        CLIENT,
        "--oidc-client-secret",
        SECRET,
        "--oidc-name",
        "The House",
        "--egress-allow",
        address.as_str(),
    ];
    Board::with(&[&own[..], flags].concat()).await
}

/// Begins a sign-in; answers the path that the provider sends the browser back to.
async fn sent_back(browser: &mut Browser, path: &str) -> String {
    let begun = browser.open(path).await;
    assert_eq!(begun.code(), 303, "{}", begun.text());
    let http = reqwest::Client::builder().no_proxy().redirect(redirect::Policy::none()).build().unwrap();
    let answer = http.get(begun.header("location")).send().await.unwrap();
    let back = answer.headers()["location"].to_str().unwrap();
    back.strip_prefix(PUBLIC_URL).unwrap_or_else(|| panic!("{back}")).to_owned()
}

/// The whole way, by a browser that was never here.
async fn signed_in(board: &Board) -> (Browser, Reply) {
    let mut browser = Browser::new(board.address);
    let back = sent_back(&mut browser, BEGIN).await;
    let reply = browser.open(&back).await;
    (browser, reply)
}

async fn is_in(browser: &mut Browser) -> bool {
    browser.open(KEYS).await.code() == 200
}

async fn refused(board: &Board, status: u16, words: &str) {
    let (mut browser, reply) = signed_in(board).await;
    let said = reply.text();
    assert_eq!((reply.code(), said.contains(words)), (status, true), "{words}: {said}");
    assert!(said.contains("role=\"alert\"") && said.contains("<h1>Sign in</h1>"), "{said}");
    assert!(!is_in(&mut browser).await, "{words}");
}

fn claims(claims: Value) -> Manners {
    Manners { claims, ..Manners::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_the_provider_vouches_for_is_signed_in_and_led_on() {
    let idp = Idp::start().await;
    let board = board(&idp, &[]).await;
    let mut browser = Browser::new(board.address);
    let login = browser.open("/login?next=/settings/password").await.text();
    assert!(
        login.contains("href=\"/login/oidc?next=/settings/password\"") && login.contains("The House"),
        "{login}"
    );
    assert!(!login.contains("Nobody can sign in yet"), "{login}");
    let before = browser.cookie.clone();
    let back = sent_back(&mut browser, "/login/oidc?next=/settings/password").await;
    let reply = browser.open(&back).await;
    assert_eq!((reply.code(), reply.header("location")), (303, "/settings/password"), "{}", reply.text());
    assert_ne!(browser.cookie, before, "a session has an id of its own");
    assert!(reply.header("set-cookie").contains("HttpOnly"));
    assert!(browser.open(KEYS).await.text().contains("<bdi>member@example.org</bdi>"));
    assert_eq!(browser.open(BEGIN).await.header("location"), KEYS, "who is in is in");
    let mut elsewhere = Browser::new(board.address);
    let back = sent_back(&mut elsewhere, "/login/oidc?next=https://evil.example").await;
    assert_eq!(elsewhere.open(&back).await.header("location"), KEYS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_word_that_does_not_hold_lets_nobody_in() {
    let idp = Idp::start().await;
    let board = board(&idp, &[]).await;
    let now = Millis::now().0 / 1_000;
    for manners in [
        claims(json!({"nonce": "another"})),
        claims(json!({"nonce": null})),
        claims(json!({"aud": "another-board"})),
        claims(json!({"aud": [CLIENT, "another-board"]})),
        claims(json!({"iss": "https://other.example"})),
        claims(json!({"exp": now - 60, "iat": now - 120})),
        claims(json!({"email": null})),
        Manners { spoils_signatures: true, ..Manners::default() },
        Manners { signs_with_secret: true, ..Manners::default() },
    ] {
        idp.behave(manners.clone());
        refused(&board, 403, "does not vouch for you").await;
    }
    for verified in [json!(false), Value::Null] {
        idp.behave(claims(json!({"email_verified": verified})));
        refused(&board, 403, "has not verified your e-mail address").await;
    }
    // What is no id token at all is no answer.
    idp.behave(claims(json!({"exp": null})));
    refused(&board, 503, "does not answer as it should").await;
    idp.behave(Manners::default());
    assert_eq!(signed_in(&board).await.1.code(), 303, "and then all is well again");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_is_known_comes_in_unless_his_domain_may() {
    let idp = Idp::start().await;
    let board = board(&idp, &["--oidc-domains", "friends.example, Club.example"]).await;
    for stranger in ["eve@example.org", "eve@evil-friends.example", "eve@friends.example.evil"] {
        idp.behave(claims(json!({"email": stranger})));
        refused(&board, 403, "has no account here").await;
    }
    idp.behave(claims(json!({"email": "Grace@CLUB.example"})));
    let (mut grace, reply) = signed_in(&board).await;
    assert_eq!(reply.code(), 303, "{}", reply.text());
    let page = grace.open(KEYS).await.text();
    assert!(page.contains("<bdi>grace@club.example</bdi>") && !page.contains("/settings/people"), "{page}");
    let disable = |tx: &mut Tx<'_>| {
        tx.execute("UPDATE users SET disabled_at = 1 WHERE email = 'grace@club.example'", &[])
    };
    board.house.app.store.write(disable).await.unwrap();
    assert!(!is_in(&mut grace).await);
    refused(&board, 403, "or a disabled one").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_counts_once_and_in_the_browser_that_asked() {
    let idp = Idp::start().await;
    let board = board(&idp, &[]).await;
    let (mut browser, mut other) = (Browser::new(board.address), Browser::new(board.address));
    let back = sent_back(&mut browser, BEGIN).await;
    let theirs = sent_back(&mut other, BEGIN).await;
    // Somebody else's answer, as one who wants his victim signed in as himself would send it.
    let stolen = browser.open(&theirs).await;
    assert_eq!(
        (stolen.code(), stolen.text().contains("in another browser")),
        (400, true),
        "{}",
        stolen.text()
    );
    assert_eq!(browser.open(&back).await.code(), 303);
    let mut again = Browser::new(board.address);
    again.cookie = browser.cookie.clone();
    for path in [back.as_str(), "/login/oidc/callback", "/login/oidc/callback?state=x&code=y"] {
        assert_eq!(again.open(path).await.code(), 400, "{path}");
    }
    // A code of one sign-in in another: the provider asks for the proof that belongs to it.
    let mixed = |state: &str, code: &str| {
        let part = |path: &str, name: &str| {
            let (_, query) = path.split_once('?').unwrap();
            query.split('&').find(|pair| pair.starts_with(name)).unwrap().to_owned()
        };
        format!("/login/oidc/callback?{}&{}", part(state, "state="), part(code, "code="))
    };
    let (mut one, mut two) = (Browser::new(board.address), Browser::new(board.address));
    let (first, second) = (sent_back(&mut one, BEGIN).await, sent_back(&mut two, BEGIN).await);
    let refused = one.open(&mixed(&first, &second)).await;
    assert_eq!(refused.code(), 403, "{}", refused.text());
    assert_eq!(two.open(&second).await.code(), 403, "its code is used up");
    let late = sent_back(&mut one, BEGIN).await;
    let age = |tx: &mut Tx<'_>| tx.execute("UPDATE sign_ins SET created_at = created_at - 600000", &[]);
    board.house.app.store.write(age).await.unwrap();
    assert_eq!(one.open(&late).await.code(), 400, "ten minutes are over");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_down_or_refuses_is_said_on_the_page() {
    let idp = Idp::start().await;
    let board = board(&idp, &[]).await;
    for part in ["discovery", "keys"] {
        idp.behave(Manners { broken: Some(part), ..Manners::default() });
        let reply = Browser::new(board.address).open(BEGIN).await;
        assert_eq!(reply.code(), 503, "{part}");
        assert!(reply.text().contains("The House does not answer as it should"), "{}", reply.text());
    }
    idp.behave(Manners { broken: Some("token"), ..Manners::default() });
    refused(&board, 503, "does not answer as it should").await;
    idp.behave(Manners::default());
    let mut browser = Browser::new(board.address);
    let back = sent_back(&mut browser, BEGIN).await;
    let (_, state) = back.split_once("state=").unwrap();
    let denied =
        format!("/login/oidc/callback?error=access_denied&error_description=%3Cb%3Eno&state={state}");
    let reply = browser.open(&denied).await;
    assert_eq!((reply.code(), reply.text().contains("did not let you in")), (403, true), "{}", reply.text());

    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let issuer = format!("http://{nobody}");
    let flags = ["--oidc-issuer", &issuer, "--oidc-client-id", "x", "--egress-allow", "127.0.0.0/8"];
    let board = Board::with(&flags).await;
    assert_eq!(Browser::new(board.address).open(BEGIN).await.code(), 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_provider_there_is_no_such_way() {
    let board = Board::start().await;
    let mut browser = Browser::new(board.address);
    assert!(!browser.open("/login").await.text().contains("/login/oidc"));
    for path in [BEGIN, "/login/oidc/callback?state=x&code=y"] {
        assert_eq!(browser.open(path).await.code(), 404, "{path}");
    }
}

#[test]
fn an_issuer_that_may_not_be_called_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    for issuer in ["http://127.0.0.1:9", "https://10.0.0.1", "not a URL"] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_evalboard"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--oidc-client-id", "x", "--oidc-issuer", issuer]);
        let refused = command.arg("--data-dir").arg(folder.path()).output().unwrap();
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains("EVALBOARD_OIDC_ISSUER"), "{issuer}: {said}");
    }
}
