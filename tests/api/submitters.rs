//! What people are shown by: their addresses, or handles in their place, and then no address anywhere.

use std::process::Command;

use evalboard::http::pages;
use evalboard::store::Tx;
use serde_json::json;

use crate::access::{Place, documented};
use crate::support::browser::Browser;
use crate::support::steps::{assert_has, column, sums, text};
use crate::support::{Board, Client};

const BY_HANDLE: [&str; 2] = ["--submitters", "handle"];
/// What stands before the @ of everybody's address. (The reference names an address, which is nobody's.)
const PEOPLE: [&str; 3] = ["member", "other", "admin"];
const HANDLE: &str = "/settings/handle";

/// Every address whose GET is in the document or in the table of pages, with ids of things that are there, and what else
/// those addresses take.
async fn addresses(place: &Place) -> Vec<String> {
    let mut paths = Vec::new();
    let documented = documented(&place.board).await;
    let shown = pages::table();
    let shown = shown.iter().filter(|row| row.methods().contains(&"GET")).map(|row| row.path().to_owned());
    let read = documented.iter().filter_map(|operation| operation.strip_prefix("GET ").map(str::to_owned));
    for template in read.chain(shown) {
        paths.push(place.fill(&template).await);
    }
    let models = column(&place.board.anonymous.read("/api/v1/models").await, "id");
    let two = format!("a={}&b={}", models[0], models[1]);
    paths.extend(
        ["csv", "json", "latex", "markdown"].map(|format| format!("/api/v1/leaderboard?format={format}")),
    );
    paths.extend(
        ["/api/v1/leaderboard/compare", "/compare", "/preview/compare.png"].map(|at| format!("{at}?{two}")),
    );
    paths.push("/?as_of=2100-01-01".to_owned());
    paths
}

/// What an anonymous caller is answered at `path`, head and body.
async fn answered(client: &Client, path: &str) -> String {
    let reply = client.get(path).await;
    assert!(reply.code() < 500, "{path}: {}", reply.text());
    format!("{:?}\n{}", reply.headers, reply.text())
}

/// A board with something of everything, among it a run that its owner's cap stopped and a schedule that was skipped
/// since its owner is no admin any more.
async fn place() -> Place {
    let flags = ["--rate-read", "100000", "--rate-read-burst", "100000"];
    let board = Board::running(&[&flags[..], &BY_HANDLE].concat()).await;
    let place = Place::on(board).await;
    let board = &place.board;
    let schedule = place.fill("/api/v1/schedules/{id}").await;
    let demote = |role: &'static str| {
        move |tx: &mut Tx<'_>| {
            let sql = format!("UPDATE users SET role = '{role}' WHERE email = 'admin@example.org'");
            tx.execute(&sql, &[])
        }
    };
    board.house.app.store.write(demote("member")).await.unwrap();
    let due = board.anonymous.read(&schedule).await["next_at"].as_i64().unwrap();
    evalboard::service::schedules::fire_due(&board.house.app, evalboard::domain::time::Millis(due))
        .await
        .unwrap();
    board.house.app.store.write(demote("admin")).await.unwrap();
    let skipped = board.anonymous.read(&schedule).await;
    assert!(text(&skipped, "last_message").contains("its owner is no admin"), "{skipped}");
    place
}

#[tokio::test(flavor = "multi_thread")]
async fn where_handles_are_shown_no_answer_has_an_address() {
    let place = place().await;
    let board = &place.board;
    for path in addresses(&place).await {
        // The second is a copy where there are copies.
        for time in ["made", "copied"] {
            let said = answered(&board.anonymous, &path).await;
            for person in PEOPLE {
                let is_there = said.contains(&format!("{person}@")) || said.contains(&format!("{person}%40"));
                assert!(!is_there, "{path}, {time}: {said}");
            }
        }
    }
    let model = board.anonymous.read("/api/v1/models").await;
    assert!(column(&model, "submitted_by").iter().all(|name| name == "member"), "{model}");
    assert_eq!(board.anonymous.read("/api/v1/runs").await[0]["triggered_by"], "member");
    assert_has(&board.member.read("/api/v1/me").await, json!({"email": "member@example.org"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_are_shown_unless_the_operator_says_otherwise() {
    let board = Board::start().await;
    board.member.model("builtin:echo").await;
    let models = board.anonymous.read("/api/v1/models").await;
    assert_eq!(column(&models, "submitted_by"), ["member@example.org"]);
    let mut browser = Browser::new(board.address);
    browser.cookie = Some(board.session("member@example.org").await.cookie());
    assert!(browser.open(HANDLE).await.text().contains("shows e-mail addresses"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_handle_is_shown_at_once_on_all_that_was_made_before() {
    let board = Board::with(&BY_HANDLE).await;
    let id = board.member.model("builtin:echo").await;
    board.member.eval(&sums()).await;
    let paths = [format!("/api/v1/models/{id}"), format!("/models/{id}"), "/ledger".to_owned()];
    for path in &paths {
        let [made, copied] = [board.anonymous.get(path).await.text(), board.anonymous.get(path).await.text()];
        assert!(made.contains("member") && !made.contains("Countess") && made == copied, "{path}: {made}");
    }
    let mut browser = Browser::new(board.address);
    browser.cookie = Some(board.session("member@example.org").await.cookie());
    let page = browser.open(HANDLE).await.text();
    assert!(page.contains("value=\"member\"") && page.contains("everybody knows you by"), "{page}");
    for (bad, status, words) in [
        ("", 400, "handle must be"),
        ("ada@example.org", 400, "handle must be"),
        ("a\u{202e}b", 400, "handle must be"),
        ("\u{430}da", 400, "handle must be"),
        (&"a".repeat(41), 400, "handle must be"),
        ("OTHER", 409, "is taken"),
    ] {
        let refused = browser.fill(HANDLE, HANDLE, &[("handle", bad)]).await;
        assert_eq!(refused.code(), status, "{bad}");
        assert!(refused.text().contains(words), "{}", refused.text());
    }
    let done = browser.fill(HANDLE, HANDLE, &[("handle", " Countess.of-Lovelace_1 ")]).await;
    assert!(done.code() == 200 && done.text().contains("You are called"), "{}", done.text());
    for path in &paths {
        let said = board.anonymous.get(path).await.text();
        assert!(said.contains("Countess.of-Lovelace_1"), "{path}: {said}");
    }
    // Another spelling of one's own is nobody else's.
    let own = browser.fill(HANDLE, HANDLE, &[("handle", "COUNTESS.of-lovelace_1")]).await;
    assert_eq!(own.code(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_has_a_handle_of_his_own_and_user_add_names_one() {
    let board = Board::with(&BY_HANDLE).await;
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_evalboard"));
        command.args(["user", "add"]).args(arguments).arg("--data-dir").arg(board.house.path());
        let done = command.output().unwrap();
        (
            done.status.success(),
            String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).trim_end().to_owned(),
        )
    };
    for (arguments, said) in [
        (&["ada@example.org"][..], "ada@example.org (member), called ada"),
        (&["ada@example.com"], "ada@example.com (member), called ada-2"),
        (&["Ada+x@example.com", "--handle", "Countess"], "ada+x@example.com (member), called Countess"),
        (&["ada@example.org", "--handle", "first"], "ada@example.org (member), called first"),
        (&["ada@example.org"], "ada@example.org (member), called first"),
    ] {
        assert_eq!(run(arguments), (true, said.to_owned()));
    }
    for (handle, words) in [("countess", "is taken"), ("a b", "handle must be")] {
        let (is_done, said) = run(&["new@example.org", "--handle", handle]);
        assert!(!is_done && said.contains(words), "{said}");
    }
    let nobody = |tx: &mut Tx<'_>| evalboard::store::users::find_by_email(tx, "new@example.org");
    assert_eq!(board.house.app.store.read(nobody).await.unwrap(), None, "who is refused is not made");
}
