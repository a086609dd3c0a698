//! People in a browser: how they come in, what they do there, and who is kept out.

use std::process::Command;

use evalboard::domain::api_keys::ApiKey;
use evalboard::domain::users::Role;
use evalboard::http::pages::links;
use evalboard::service::people;
use evalboard::store::Tx;
use reqwest::Method;
use serde_json::json;

use crate::support::browser::{Browser, between, hidden};
use crate::support::field::until;
use crate::support::site::Served;
use crate::support::{Board, Client, PATIENCE, PUBLIC_URL, Reply};

const KEYS: &str = "/settings/api-keys";
const PEOPLE: &str = "/settings/people";
const PASSWORD: &str = "correct horse battery";
const ADA: &str = "ada@example.org";
/// As many passwords may be tried as the tests like.
const EASY: [&str; 2] = ["--rate-login", "100000"];

impl Board {
    /// A board with a browser in which its first admin, Ada, is signed in.
    pub(crate) async fn set_up() -> (Self, Browser) {
        Self::set_up_with(&EASY).await
    }

    /// The same with these flags.
    async fn set_up_with(flags: &[&str]) -> (Self, Browser) {
        let board = Self::with(flags).await;
        let mut ada = Browser::new(board.address);
        let link = board.setup_link().await;
        let in_now = ada.choose(&link, ADA, PASSWORD).await;
        assert_eq!((in_now.code(), in_now.header("location")), (303, KEYS), "{}", in_now.text());
        (board, ada)
    }

    /// The path of the link that `serve` prints.
    async fn setup_link(&self) -> String {
        let token = people::setup_link(&self.house.app.store).await.unwrap().unwrap();
        links::one_time("", &token)
    }

    async fn change_rows(&self, sql: &'static str) {
        let changed = self.house.app.store.write(move |tx: &mut Tx<'_>| tx.execute(sql, &[])).await.unwrap();
        assert!(changed > 0, "{sql}");
    }

    /// A browser in which the person whom Ada invited is signed in.
    async fn join(&self, ada: &mut Browser, email: &str, role: &str) -> Browser {
        let link = ada.invite(email, role).await;
        let mut browser = Browser::new(self.address);
        assert_eq!(browser.choose(&link, "", PASSWORD).await.code(), 303);
        browser
    }

    async fn id(&self, email: &'static str) -> String {
        let query = move |tx: &mut Tx<'_>| evalboard::store::users::find_by_email(tx, email);
        self.house.app.store.read(query).await.unwrap().unwrap().id.to_string()
    }
}

impl Browser {
    /// Opens a one-time link and chooses a password.
    async fn choose(&mut self, link: &str, email: &str, password: &str) -> Reply {
        let token = link.split_once("token=").unwrap().1;
        let fields = [("token", token), ("email", email), ("password", password), ("again", password)];
        self.fill(link, "/setup", &fields).await
    }

    async fn sign_in(&mut self, email: &str, password: &str) -> Reply {
        self.fill("/login", "/login", &[("email", email), ("password", password)]).await
    }

    /// Who is signed in, by the head of his pages; nobody when they lead to the form to sign in.
    async fn who(&mut self) -> Option<String> {
        let page = self.open(KEYS).await;
        if page.code() == 303 {
            assert_eq!(page.header("location"), "/login?next=/settings/api-keys");
            return None;
        }
        assert_eq!(page.code(), 200, "{}", page.text());
        between(&page.text(), "aria-current=\"true\"><bdi>", "</bdi>")
    }

    /// Invites somebody; answers the path of the link.
    async fn invite(&mut self, email: &str, role: &str) -> String {
        let page = self.fill_and_follow(PEOPLE, PEOPLE, &[("email", email), ("role", role)]).await;
        link_on(&page)
    }

    /// Makes a key; answers its text.
    async fn key(&mut self, fields: &[(&str, &str)]) -> String {
        let page = self.fill_and_follow(KEYS, KEYS, fields).await;
        assert_eq!(page.code(), 200, "{}", page.text());
        between(&page.text(), "<code>blah_", "</code>").map(|rest| format!("blah_{rest}")).unwrap()
    }
}

/// The path of the link that a page shows.
fn link_on(page: &Reply) -> String {
    let start = format!("<code>{PUBLIC_URL}/setup?token=");
    let token = between(&page.text(), &start, "</code>").unwrap_or_else(|| panic!("{}", page.text()));
    format!("/setup?token={token}")
}

fn client(board: &Board, key: &str) -> Client {
    Client::new(board.address, Some(&ApiKey::parse(key).unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_start_leads_to_the_first_admin_once() {
    let board = Board::with(&EASY).await;
    let older = board.setup_link().await;
    let link = board.setup_link().await;
    let mut ada = Browser::new(board.address);
    assert_eq!(ada.open(&older).await.code(), 404, "a newer link takes its place");
    assert!(ada.open("/login").await.text().contains("Nobody can sign in yet"));
    assert!(ada.open(&link).await.text().contains("Set up this board"));
    for (email, password, words) in [
        ("nobody", PASSWORD, "email"),
        (ADA, "too short", "12 to 200 characters"),
        (ADA, "aaaaaaaaaaaaaaa", "soon guessed"),
    ] {
        let refused = ada.choose(&link, email, password).await;
        assert_eq!(refused.code(), 400);
        assert!(refused.text().contains(words) && refused.text().contains("Set up this board"), "{words}");
        assert_eq!(hidden(&refused, "email").unwrap(), email, "what was typed stays");
    }
    let before = ada.cookie.clone();
    assert_eq!(ada.choose(&link, ADA, PASSWORD).await.code(), 303);
    assert_ne!(ada.cookie, before, "a session has an id of its own");
    assert_eq!(ada.who().await.as_deref(), Some(ADA));
    assert_eq!(ada.open(&link).await.code(), 404);
    assert!(people::setup_link(&board.house.app.store).await.unwrap().is_none());
    let admin = client(&board, &ada.key(&[("name", "CI"), ("scope", "write"), ("days", "")]).await);
    assert_eq!(admin.get("/api/v1/me").await.json()["role"], "admin");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setup_link_ends_when_somebody_can_sign_in() {
    let (board, mut ada) = Board::set_up().await;
    board.change_rows("UPDATE users SET password_hash = NULL WHERE email = 'ada@example.org'").await;
    let link = board.setup_link().await;
    assert_eq!(ada.open(&link).await.code(), 200);
    board.change_rows("UPDATE users SET password_hash = '$x' WHERE email = 'member@example.org'").await;
    assert_eq!(ada.open(&link).await.code(), 404);
    let token = link.split_once("token=").unwrap().1;
    let fields = [("token", token), ("email", ADA), ("password", PASSWORD), ("again", PASSWORD)];
    assert_eq!(ada.fill("/settings/password", "/setup", &fields).await.code(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_signs_in_and_out_and_a_wrong_password_tells_nothing() {
    let (board, mut ada) = Board::set_up().await;
    assert_eq!(ada.fill(KEYS, "/logout", &[]).await.header("location"), "/");
    assert_eq!((ada.cookie.clone(), ada.who().await), (None, None));
    let mut said = Vec::new();
    for (email, password) in [
        (ADA, "wrong horse battery"),
        ("stranger@example.org", PASSWORD),
        ("member@example.org", PASSWORD),
        ("no address", PASSWORD),
    ] {
        let refused = ada.sign_in(email, password).await;
        assert_eq!((refused.code(), refused.header("cache-control")), (403, "no-store"));
        said.push(between(&refused.text(), "role=\"alert\">", "</p>").unwrap());
    }
    said.dedup();
    assert_eq!(said.len(), 1, "{said:?}");
    let before = ada.cookie.clone();
    let fields = [("email", " Ada@Example.org"), ("password", PASSWORD), ("next", "/settings/password")];
    let in_now = ada.fill("/login?next=/settings/password", "/login", &fields).await;
    assert_eq!((in_now.code(), in_now.header("location")), (303, "/settings/password"));
    assert_ne!(ada.cookie, before);
    let cookie = in_now.header("set-cookie");
    assert!(cookie.starts_with("__Host-evalboard="), "{cookie}");
    for part in ["HttpOnly", "SameSite=Lax", "Secure", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert_eq!(ada.open("/login").await.header("location"), KEYS);
    let mut copy = Browser::new(board.address);
    copy.cookie = ada.cookie.clone();
    assert_eq!(copy.who().await.as_deref(), Some(ADA));
    ada.fill(KEYS, "/logout", &[]).await;
    assert_eq!(copy.who().await, None, "signing out ends the session wherever its cookie is");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_led_to_another_site() {
    let (board, _) = Board::set_up().await;
    for next in ["https://evil.example", "//evil.example", "/settings//evil.example", "/docs"] {
        let mut browser = Browser::new(board.address);
        let fields = [("email", ADA), ("password", PASSWORD), ("next", next)];
        assert_eq!(browser.fill("/login", "/login", &fields).await.header("location"), KEYS, "{next}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_counts_only_from_a_page_that_this_browser_was_shown() {
    let (board, mut ada) = Board::set_up().await;
    let mut other = board.join(&mut ada, "bob@example.org", "member").await;
    let theirs = hidden(&other.open(KEYS).await, "csrf").unwrap();
    for proof in ["", "wrong", theirs.as_str()] {
        let refused = ada.submit(KEYS, &[("name", "Stolen"), ("csrf", proof)]).await;
        assert_eq!(refused.code(), 403);
        assert!(refused.text().contains("out of date"), "{}", refused.text());
    }
    assert_eq!(ada.submit(KEYS, &[("name", "Stolen")]).await.code(), 403);
    for origin in [Some("https://evil.example"), Some("null"), Some("http://board.example"), None] {
        ada.origin = origin.map(str::to_owned);
        for (page, action) in [(KEYS, KEYS), (KEYS, "/logout"), (PEOPLE, PEOPLE)] {
            let fields = [("name", "Stolen"), ("email", "eve@example.org"), ("role", "admin")];
            let refused = ada.fill(page, action, &fields).await;
            assert_eq!(refused.code(), 403, "{origin:?} {action}");
        }
    }
    let mut visitor = Browser::new(board.address);
    assert_eq!(visitor.submit("/login", &[("email", ADA), ("password", PASSWORD)]).await.code(), 403);
    visitor.origin = Some("https://evil.example".to_owned());
    assert_eq!(visitor.sign_in(ADA, PASSWORD).await.code(), 403);
    ada.origin = Some(PUBLIC_URL.to_owned());
    let page = ada.open(KEYS).await.text();
    assert!(page.contains("No keys yet") && !page.contains("Stolen"));
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_are_tried_five_times_a_minute() {
    let board = Board::start().await;
    let mut browser = Browser::new(board.address);
    let link = board.setup_link().await;
    browser.choose(&link, ADA, PASSWORD).await;
    browser.fill(KEYS, "/logout", &[]).await;
    for _ in 0..5 {
        assert_eq!(browser.sign_in(ADA, "wrong horse battery").await.code(), 403);
    }
    for email in [ADA, "stranger@example.org"] {
        let refused = browser.sign_in(email, PASSWORD).await;
        assert_eq!(refused.code(), 429);
        let wait: u32 = refused.header("retry-after").parse().unwrap();
        assert!((1..=12).contains(&wait), "{wait}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_when_nobody_uses_it_and_after_half_a_day() {
    let (board, mut ada) = Board::set_up().await;
    board.change_rows("UPDATE sessions SET seen_at = seen_at - 29 * 60000").await;
    assert_eq!(ada.who().await.as_deref(), Some(ADA), "it is used again in time");
    // Uses are noted behind the back of who waits for the page: only one that is noted can be long ago.
    let age = "UPDATE sessions SET seen_at = seen_at - 31 * 60000 WHERE seen_at > (unixepoch() - 60) * 1000";
    until("the use to be noted", async || {
        let aged = board.house.app.store.write(|tx: &mut Tx<'_>| tx.execute(age, &[])).await.unwrap();
        (aged > 0).then_some(())
    })
    .await;
    assert_eq!(ada.who().await, None);
    ada.sign_in(ADA, PASSWORD).await;
    assert_eq!(ada.who().await.as_deref(), Some(ADA));
    let proof = hidden(&ada.open(KEYS).await, "csrf").unwrap();
    board.change_rows("UPDATE sessions SET created_at = created_at - 12 * 3600000").await;
    assert_eq!(ada.who().await, None);
    let late = ada.submit(KEYS, &[("name", "Late"), ("csrf", &proof)]).await;
    assert_eq!((late.code(), late.header("location")), (303, "/login?next=/settings/api-keys"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_shown_once_and_does_what_its_scope_says_until_it_is_revoked() {
    let (board, mut ada) = Board::set_up().await;
    let read = ada.key(&[("name", "Reader <b>"), ("scope", "read"), ("days", "30")]).await;
    let page = ada.open(KEYS).await.text();
    assert!(page.contains("Reader &#60;b&#62;") && page.contains(&read[..9]) && !page.contains(&read));
    assert!(page.contains("never</span>"), "nobody used it yet");
    let reader = client(&board, &read);
    assert_eq!(reader.get("/api/v1/me").await.json()["email"], ADA);
    assert_eq!(reader.post("/api/v1/runs", &json!({})).await.code(), 403);
    let deadline = std::time::Instant::now() + PATIENCE;
    while ada.open(KEYS).await.text().contains("never</span>") {
        assert!(std::time::Instant::now() < deadline, "its use is never shown");
    }
    for (fields, words) in [
        ([("name", ""), ("scope", "read"), ("days", "30")], "1-100 characters"),
        ([("name", "a"), ("scope", "all"), ("days", "30")], "scope must be"),
        ([("name", "a"), ("scope", "read"), ("days", "-1")], "1 to 3650 days"),
    ] {
        let refused = ada.fill(KEYS, KEYS, &fields).await;
        assert!(refused.code() == 400 && refused.text().contains(words), "{words}: {}", refused.text());
    }
    let page = ada.open(KEYS).await.text();
    let id = between(&page, "action=\"/settings/api-keys/", "/revoke").unwrap();
    let mut bob = board.join(&mut ada, "bob@example.org", "member").await;
    let action = format!("{KEYS}/{id}/revoke");
    assert_eq!(bob.fill(KEYS, &action, &[]).await.code(), 403);
    assert_eq!(ada.fill(KEYS, &action, &[]).await.header("location"), KEYS);
    assert_eq!(reader.get("/api/v1/me").await.code(), 401);
    assert!(ada.open(KEYS).await.text().contains("No keys yet"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_invited_comes_in_with_that_role_and_no_more() {
    let (board, mut ada) = Board::set_up().await;
    let link = ada.invite("Bob@example.org", "member").await;
    assert!(ada.open(PEOPLE).await.text().contains("invited"));
    let mut bob = Browser::new(board.address);
    // His address is the invitation's, whatever he says.
    assert_eq!(bob.choose(&link, "eve@example.org", PASSWORD).await.code(), 303);
    assert_eq!(bob.who().await.as_deref(), Some("bob@example.org"));
    assert_eq!(bob.open(&link).await.code(), 404);
    let refused = bob.open(PEOPLE).await;
    assert_eq!(refused.code(), 403);
    assert!(
        refused.text().contains("You are signed in") && !refused.text().contains("Sign in"),
        "{}",
        refused.text()
    );
    assert!(!bob.open(KEYS).await.text().contains(PEOPLE));
    let id = board.id("bob@example.org").await;
    let page = hidden(&bob.open(KEYS).await, "csrf").unwrap();
    let promote = [("change", "admin"), ("csrf", page.as_str())];
    assert_eq!(bob.submit(&format!("{PEOPLE}/{id}"), &promote).await.code(), 403);
    let again = ada.fill(PEOPLE, PEOPLE, &[("email", "bob@example.org"), ("role", "admin")]).await;
    assert!(again.code() == 409 && again.text().contains("is here already"));
    assert_eq!(ada.fill(PEOPLE, &format!("{PEOPLE}/{id}"), &promote[..1]).await.code(), 303);
    assert_eq!(bob.open(PEOPLE).await.code(), 200, "a role counts at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_and_a_new_link_are_shown_once_and_made_once() {
    let (board, mut ada) = Board::set_up().await;
    let shown = "class=\"once\"";
    for (path, fields) in [
        (KEYS, vec![("name", "Nightly"), ("days", "30")]),
        (PEOPLE, vec![("email", "bob@example.org"), ("role", "member")]),
    ] {
        let rows = |page: &Reply| page.text().matches("<tr><th scope=\"row\">").count();
        let before = rows(&ada.open(path).await);
        let sent = ada.fill(path, path, &fields).await;
        assert_eq!((sent.code(), sent.header("location")), (303, path));
        assert!(!sent.text().contains(shown));
        let held = ada.once.clone().unwrap();
        let cookie = sent.header("set-cookie").to_owned();
        for attribute in ["HttpOnly", "SameSite=Strict", "Secure", &format!("Path={path}"), "Max-Age=60"] {
            assert!(cookie.contains(attribute), "{attribute}: {cookie}");
        }
        // Neither another session nor another page can open it.
        let mut eve = Browser::new(board.address);
        eve.cookie = Some(board.session(ADA).await.cookie());
        eve.once = Some(held.clone());
        assert!(!eve.open(path).await.text().contains(shown));
        let other = if path == KEYS { PEOPLE } else { KEYS };
        assert!(!ada.open(other).await.text().contains(shown));
        ada.once = Some(held);
        let page = ada.open(path).await;
        assert!(page.text().contains(shown), "{}", page.text());
        assert_eq!(rows(&page), before + 1);
        let again = ada.open(path).await;
        assert!(!again.text().contains(shown), "{}", again.text());
        assert_eq!(rows(&again), before + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_ends_after_a_week_and_is_made_again() {
    let (board, mut ada) = Board::set_up().await;
    let link = ada.invite("bob@example.org", "member").await;
    board.change_rows("UPDATE one_time_links SET expires_at = expires_at - 7 * 86400000").await;
    let mut bob = Browser::new(board.address);
    let over = bob.open(&link).await;
    assert!(over.code() == 404 && over.text().contains("This link does not work"));
    let id = board.id("bob@example.org").await;
    let link = link_on(&ada.fill_and_follow(PEOPLE, &format!("{PEOPLE}/{id}"), &[("change", "link")]).await);
    assert_eq!(bob.choose(&link, "", PASSWORD).await.code(), 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_disabled_is_out_at_once() {
    let (board, mut ada) = Board::set_up().await;
    let mut bob = board.join(&mut ada, "bob@example.org", "member").await;
    let key = client(&board, &bob.key(&[("name", "Bob's"), ("days", "")]).await);
    let action = format!("{PEOPLE}/{}", board.id("bob@example.org").await);
    assert_eq!(ada.fill(PEOPLE, &action, &[("change", "disable")]).await.code(), 303);
    assert_eq!((bob.who().await, key.get("/api/v1/me").await.code()), (None, 401));
    assert_eq!(bob.sign_in("bob@example.org", PASSWORD).await.code(), 403);
    assert_eq!(ada.fill(PEOPLE, &action, &[("change", "link")]).await.code(), 409);
    assert!(ada.open(PEOPLE).await.text().contains("disabled since"));
    assert_eq!(ada.fill(PEOPLE, &action, &[("change", "enable")]).await.code(), 303);
    assert_eq!(key.get("/api/v1/me").await.code(), 401, "keys have ended for good");
    assert_eq!(bob.sign_in("bob@example.org", PASSWORD).await.code(), 303);
    let own = format!("{PEOPLE}/{}", board.id(ADA).await);
    for change in ["disable", "member"] {
        assert_eq!(ada.fill(PEOPLE, &own, &[("change", change)]).await.code(), 409);
    }
    assert_eq!(ada.fill(PEOPLE, &action, &[("change", "delete")]).await.code(), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_ends_other_sessions_and_needs_the_old_one_or_a_link() {
    let (board, mut ada) = Board::set_up().await;
    let mut elsewhere = Browser::new(board.address);
    assert_eq!(elsewhere.sign_in(ADA, PASSWORD).await.code(), 303);
    let page = "/settings/password";
    let new = "a quite different one";
    for (current, again, words) in [
        ("wrong horse battery", new, "not your present password"),
        (PASSWORD, "a quite different two", "not the same"),
    ] {
        let fields = [("current", current), ("password", new), ("again", again)];
        let refused = ada.fill(page, page, &fields).await;
        assert!(refused.code() == 400 && refused.text().contains(words), "{}", refused.text());
    }
    let changed = ada.fill(page, page, &[("current", PASSWORD), ("password", new), ("again", new)]).await;
    assert!(changed.code() == 200 && changed.text().contains("is changed"));
    assert_eq!(ada.who().await.as_deref(), Some(ADA));
    assert_eq!(elsewhere.who().await, None);
    assert_eq!(elsewhere.sign_in(ADA, PASSWORD).await.code(), 403);
    assert_eq!(elsewhere.sign_in(ADA, new).await.code(), 303);

    let token = people::link_for(&board.house.app.store, ADA).await.unwrap();
    let mut lost = Browser::new(board.address);
    assert_eq!(lost.choose(&links::one_time("", &token), "", PASSWORD).await.code(), 303);
    assert_eq!((elsewhere.who().await, lost.who().await.as_deref()), (None, Some(ADA)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_counts_on_its_own_pages_alone() {
    let (board, ada) = Board::set_up().await;
    let cookie = ada.cookie.clone().unwrap();
    for (method, path) in
        [(Method::GET, "/api/v1/me"), (Method::POST, "/api/v1/runs"), (Method::GET, "/api/v1/keys")]
    {
        let asked = board.anonymous.ask(method, path).header("cookie", &cookie);
        assert_eq!(asked.header("origin", PUBLIC_URL).send().await.code(), 401, "{path}");
    }
    for path in ["/", "/docs", "/api/v1/models"] {
        let anonymous = board.anonymous.get(path).await;
        let with_cookie = board.anonymous.ask(Method::GET, path).header("cookie", &cookie).send().await;
        assert_eq!(with_cookie.body, anonymous.body, "{path} is everybody's");
        assert_eq!(with_cookie.lasting_headers(), anonymous.lasting_headers());
    }
    for path in [KEYS, PEOPLE, "/settings/password", "/login", "/setup", "/settings"] {
        for cookie in ["", &cookie] {
            let asked = board.anonymous.ask(Method::GET, path).header("cookie", cookie);
            let reply = asked.header("origin", "https://evil.example").send().await;
            assert_eq!(reply.header("cache-control"), "no-store", "{path}");
            assert_eq!(reply.header("access-control-allow-origin"), "", "{path}");
            assert_eq!(reply.header("etag"), "", "{path}");
        }
    }
    let key = board.house.key(ADA, Role::Admin).await;
    let by_key = Client::new(board.address, Some(&key)).get(KEYS).await;
    assert!(!by_key.text().contains(ADA), "a key is no session");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_stored_as_it_is() {
    let (board, mut ada) = Board::set_up().await;
    let link = ada.invite("bob@example.org", "member").await;
    let key = ada.key(&[("name", "CI"), ("days", "")]).await;
    let cookie = ada.cookie.clone().unwrap();
    let secrets = [PASSWORD, &key, link.split_once('=').unwrap().1, cookie.split_once('=').unwrap().1];
    for file in ["evalboard.db", "evalboard.db-wal"] {
        let bytes = std::fs::read(board.house.path().join(file)).unwrap_or_default();
        for secret in secrets {
            assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{secret} in {file}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn user_link_prints_a_way_in_for_who_lost_his_password() {
    let (board, mut ada) = Board::set_up().await;
    let run = |email: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_evalboard"));
        command.args(["user", "link", email, "--public-url", PUBLIC_URL, "--data-dir"]);
        command.arg(board.house.path()).output().unwrap()
    };
    let printed = String::from_utf8(run(ADA).stdout).unwrap();
    let link = printed.trim_end().strip_prefix(PUBLIC_URL).unwrap_or_else(|| panic!("{printed}"));
    assert_eq!(ada.choose(link, "", "one more long password").await.code(), 303);
    let refused = run("stranger@example.org");
    assert!(!refused.status.success() && refused.stdout.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn user_link_starts_with_the_address_of_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let user = |command: &str| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_evalboard"));
        program.args(["user", command, ADA, "--data-dir"]).arg(&path).env_remove("EVALBOARD_PUBLIC_URL");
        let done = program.output().unwrap();
        assert!(done.status.success(), "{done:?}");
        String::from_utf8(done.stdout).unwrap()
    };
    user("add");
    assert!(user("link").starts_with("http://127.0.0.1:8080/setup?token="));
    let site = Served::start(folder).await;
    let printed = user("link");
    assert!(printed.starts_with(&format!("{}/setup?token=", site.base())), "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_that_are_tried_are_counted_by_the_visitor_behind_the_proxy() {
    let (board, _) = Board::set_up_with(&["--rate-login", "2", "--trusted-proxies", "127.0.0.1"]).await;
    let mut browser = Browser::new(board.address);
    let mut try_from = async |address: &str, email: &str| {
        browser.forwarded_for = Some(address.to_owned());
        browser.fill("/login", "/login", &[("email", email), ("password", "not that one")]).await.code()
    };
    for (address, email, status) in [
        ("192.0.2.1", "a@example.org", 403),
        ("192.0.2.1", "b@example.org", 403),
        ("192.0.2.1", "c@example.org", 429),
        ("192.0.2.2", "d@example.org", 403),
    ] {
        assert_eq!(try_from(address, email).await, status, "{email} from {address}");
    }
}
