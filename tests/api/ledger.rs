//! The ledger: what moved the board is recorded in the transaction that did it, and nothing in it can be changed
//! unnoticed.

use evalboard::domain::ledger::GENESIS;
use evalboard::store::{self, Tx};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::Board;
use crate::support::field::until;
use crate::support::steps::{assert_has, capital, column, sums, text, with};

const LEDGER: &str = "/api/v1/ledger";

/// What happened, oldest first: action and name.
async fn told(board: &Board) -> Vec<(String, String)> {
    let lines = board.anonymous.read(LEDGER).await;
    let line = |line: &Value| (text(line, "action").to_owned(), text(line, "name").to_owned());
    lines.as_array().unwrap().iter().rev().map(line).collect()
}

fn said(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(action, name)| ((*action).to_owned(), (*name).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_made_changed_and_taken_away_is_told_with_who_and_why() {
    let board = Board::start().await;
    let model = json!({"name": "First", "inference_uri": "builtin:echo"});
    let model = text(&board.member.made("/api/v1/models", &model).await, "id").to_owned();
    let eval = board.member.eval(&sums()).await;
    let path = format!("/api/v1/models/{model}");
    let edit = json!({"name": "Second", "reason": "a better name"});
    board.admin.changed(&path, &edit).await;
    // Nothing is different: nothing is told.
    board.member.changed(&path, &json!({"name": "Second", "reason": "again"})).await;
    board.member.changed(&format!("/api/v1/evals/{eval}"), &json!({"weight": 2})).await;
    board.member.delete(&format!("{path}?reason=It%20was%20a%20trial")).await;
    board.member.delete(&format!("/api/v1/evals/{eval}")).await;
    let expected = [
        ("inserted", "First"),
        ("inserted", "Sums"),
        ("corrected", "Second"),
        ("corrected", "Sums"),
        ("withdrawn", "Second"),
        ("withdrawn", "Sums"),
    ];
    assert_eq!(told(&board).await, said(&expected));
    let lines = board.anonymous.read(LEDGER).await;
    let admin = text(&board.admin.read("/api/v1/me").await, "email").to_owned();
    assert_has(
        &lines[3],
        json!({
            "number": 3, "noun": "model", "subject": model, "summary": "name: \"First\" to \"Second\"",
            "reason": "a better name", "submitted_by": admin, "before_digest": lines[5]["after_digest"],
        }),
    );
    assert_has(&lines[2], json!({"summary": "weight: \"1\" to \"2\"", "reason": ""}));
    assert_has(&lines[1], json!({"reason": "It was a trial", "after_digest": null}));
    let of_it = board.anonymous.read(&format!("{LEDGER}?subject={eval}")).await;
    assert_eq!(column(&of_it, "noun"), ["eval"; 3]);
    let page = board.anonymous.get("/ledger").await.text();
    for words in ["model withdrawn", "It was a trial", "name: &#34;First&#34; to &#34;Second&#34;", &admin] {
        assert!(page.contains(words), "{words}: {page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_leaves_no_line() {
    let board = Board::start().await;
    let model = board.member.model("builtin:echo").await;
    let path = format!("/api/v1/models/{model}");
    let name = json!({"name": "Mine"});
    assert_eq!(board.other.ask(Method::PATCH, &path).json(&name).send().await.code(), 403);
    assert_eq!(board.other.delete(&path).await.code(), 403);
    let long = json!({"name": "Mine", "reason": "x".repeat(501)});
    let refused = board.member.ask(Method::PATCH, &path).json(&long).send().await;
    assert_eq!((refused.code(), text(&refused.json(), "field")), (400, "reason"));
    assert_eq!(board.anonymous.read(LEDGER).await.as_array().unwrap().len(), 1);
    assert_eq!(board.anonymous.ask(Method::DELETE, LEDGER).send().await.code(), 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_that_are_replaced_and_answers_that_are_rescored_are_told() {
    let board = Board::busy().await;
    board.member.model("builtin:calculator").await;
    let eval = board.member.eval(&sums()).await;
    let run = text(&board.member.run(&json!({})).await, "id").to_owned();
    let put = board.member.ask(Method::PUT, &format!("/api/v1/evals/{eval}/samples"));
    // The same questions with another key: the answers that were given to them can be scored again.
    let samples = [("two", "1 + 1", "3"), ("four", "2 + 2", "4"), ("six", "3 + 3", "6")];
    let lines =
        samples.map(|(id, input, target)| json!({"id": id, "input": input, "target": target}).to_string());
    let lines = lines.join("\n");
    assert_eq!(put.header("content-type", "application/x-ndjson").body(lines).send().await.code(), 200);
    let body = json!({"notes": "The key was wrong"});
    let again =
        board.member.ask(Method::POST, &format!("/api/v1/runs/{run}/rescore")).json(&body).send().await;
    assert_eq!(again.code(), 202, "{}", again.text());
    let lines = board.anonymous.read(LEDGER).await;
    assert_has(&lines[1], json!({"action": "corrected", "subject": eval}));
    assert!(text(&lines[1], "summary").starts_with("version: \"1 ("), "{}", lines[1]);
    let told = json!({
        "action": "rescored", "noun": "run", "subject": again.json()["id"], "reason": "The key was wrong",
        "summary": format!("the answers of run {run}"),
    });
    assert_has(&lines[0], told);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_a_run_makes_since_the_grader_changed_is_told_once() {
    let board = Board::busy().await;
    board.member.model("builtin:echo").await;
    let grader = json!({"name": "Judge", "inference_uri": "builtin:constant?answer=1", "is_active": false});
    let grader = text(&board.member.made("/api/v1/models", &grader).await, "id").to_owned();
    let criteria = json!({"rubric": "Says something.", "grader": grader});
    let eval =
        json!({"name": "Judged", "prompt": "Say it.", "eval_type": "rubric", "eval_criteria": criteria});
    let eval = board.member.eval(&eval).await;
    let of_it = format!("{LEDGER}?subject={eval}");
    board.other.run(&json!({})).await;
    assert_eq!(column(&board.anonymous.read(&of_it).await, "action"), ["inserted"]);
    let before = board.anonymous.read(&format!("/api/v1/models/{grader}")).await;
    let edit = json!({"inference_uri": "builtin:constant?answer=2"});
    let after = board.member.changed(&format!("/api/v1/models/{grader}"), &edit).await;
    // Only looked at, nothing is made.
    assert_eq!(board.other.post("/api/v1/runs", &json!({"dry_run": true})).await.code(), 200);
    assert_eq!(column(&board.anonymous.read(&of_it).await, "action"), ["inserted"]);
    board.other.run(&json!({})).await;
    board.other.run(&json!({})).await;
    let lines = board.anonymous.read(&of_it).await;
    assert_eq!(column(&lines, "action"), ["corrected", "inserted"]);
    let told = json!({
        "noun": "eval", "name": "Judged", "submitted_by": "other@example.org", "reason": "",
        "before_digest": lines[1]["after_digest"],
    });
    assert_has(&lines[0], told);
    let summary = text(&lines[0], "summary");
    assert!(summary.starts_with("version: \"1 ("), "{summary}");
    let (from, to) = (text(&before, "revision"), text(&after, "revision"));
    let change =
        format!("the grader changed: \"{grader}\" at revision {from} to \"{grader}\" at revision {to}");
    assert!(summary.ends_with(&change), "{summary}");
    assert_eq!(board.anonymous.read(&format!("/api/v1/evals/{eval}")).await["version"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_names_the_hash_of_the_one_before_and_a_change_is_found() {
    let board = Board::start().await;
    for uri in ["builtin:echo", "builtin:calculator", "builtin:keyword"] {
        board.member.model(uri).await;
    }
    let lines = board.anonymous.read(LEDGER).await;
    let lines: Vec<&Value> = lines.as_array().unwrap().iter().rev().collect();
    assert_eq!(lines[0]["previous_hash"], GENESIS);
    for pair in lines.windows(2) {
        assert_eq!(pair[1]["previous_hash"], pair[0]["hash"]);
    }
    let store = &board.house.app.store;
    assert_eq!(store.read(store::ledger::first_unsound).await.unwrap(), None);
    for (spoil, at) in
        [("UPDATE ledger SET reason = 'another' WHERE id = 2", 2), ("DELETE FROM ledger WHERE id = 2", 3)]
    {
        let sql = move |tx: &mut Tx<'_>| tx.execute(spoil, &[]);
        store.write(sql).await.unwrap();
        let found = store.read(store::ledger::first_unsound).await.unwrap();
        assert_eq!(found.map(|key| key.0), Some(at), "{spoil}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_the_lead_is_told_once_the_run_is_over() {
    let board = Board::busy().await;
    for uri in ["builtin:calculator", "builtin:echo"] {
        board.member.model(uri).await;
    }
    board.member.eval(&sums()).await;
    board.member.run(&json!({})).await;
    let leaderboard = board.house.app.leaderboard.clone();
    let warming = tokio::spawn(leaderboard.clone().keep_warm(board.house.app.store.clone()));
    // On three items nobody is told apart: who stands first does not lead.
    until("the first board", async || (leaderboard.kept() > 0).then_some(())).await;
    let sample = |at: usize| json!({"input": format!("{at} + 2"), "target": (at + 2).to_string()});
    let many = json!({"name": "Many", "samples": (0..40).map(sample).collect::<Vec<_>>()});
    board.member.eval(&with(sums(), many)).await;
    board.member.run(&json!({"only_missing": true})).await;
    board.anonymous.until(LEDGER, |lines| lines[0]["action"] == "led").await;
    let lines = board.anonymous.read(LEDGER).await;
    let led = json!({"noun": "model", "summary": "rank 1 of 2", "submitted_by": null, "user_id": null});
    assert_has(&lines[0], led);
    assert_has(&lines[1], json!({"action": "inserted", "noun": "eval", "name": "Many"}));
    // Another eval turns nothing around: the same model leads, and nothing is told of it.
    board.member.eval(&with(capital(), json!({"name": "Another"}))).await;
    board.member.run(&json!({"only_missing": true})).await;
    board.member.model("builtin:keyword").await;
    board.anonymous.until(LEDGER, |lines| lines[0]["action"] == "inserted").await;
    let led = told(&board).await.iter().filter(|(action, _)| action == "led").count();
    assert_eq!(led, 1);
    warming.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_is_atom_and_escapes_what_came_from_outside() {
    let board = Board::start().await;
    let before = board.anonymous.get("/feed.xml").await;
    assert!(before.text().contains("<updated>1970-01-01T00:00:00Z</updated>"), "{}", before.text());
    let model = json!({"name": "<b>&\"bold\"</b>", "inference_uri": "builtin:echo"});
    board.member.made("/api/v1/models", &model).await;
    let feed = board.anonymous.get("/feed.xml").await;
    assert_eq!(feed.header("content-type"), "application/atom+xml; charset=utf-8");
    let text = feed.text();
    assert!(text.contains("&#60;b&#62;&#38;&#34;bold&#34;&#60;/b&#62;: new model"), "{text}");
    assert!(!text.contains("<b>") && text.contains("https://board.example/models/"), "{text}");
    let home = board.anonymous.get("/ledger").await.text();
    assert!(home.contains("type=\"application/atom+xml\""), "every page names the feed");
}
