//! Cursors: one counts in the list that it was made for and in no other, whichever two they are.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::steps::{sums, text, with};
use crate::support::{Board, PUBLIC_URL};

/// Fills every list, and returns each by its path in the document and its address: lists of two parents each, and some
/// with a filter.
async fn fill(board: &Board) -> Vec<(&'static str, String)> {
    let member = &board.member;
    let models = [member.model("builtin:constant?answer=4").await, member.model("builtin:echo").await];
    let mut evals = Vec::new();
    for name in ["Sums", "More sums"] {
        evals.push(member.eval(&with(sums(), json!({"name": name}))).await);
    }
    let mut runs = Vec::new();
    for _ in 0..2 {
        runs.push(text(&member.run(&json!({})).await, "id").to_owned());
    }
    let results = board.anonymous.read(&format!("/api/v1/runs/{}/results", runs[0])).await;
    for name in ["One", "Two"] {
        let link = json!({"blob_url": "https://files.example/a.bin", "file_name": "a.bin", "file_size": 1,
                          "name": name, "artifact_type": "weights"});
        for model in &models {
            member.made(&format!("/api/v1/models/{model}/artifacts"), &link).await;
        }
        let set = json!({"name": name, "blob_url": "https://files.example/a.jsonl", "file_name": "a.jsonl",
                         "file_size": 1});
        member.made("/api/v1/training-sets", &set).await;
        member.made("/api/v1/keys", &json!({"name": name})).await;
        board.admin.made("/api/v1/schedules", &json!({"name": name, "cron": "0 3 * * *"})).await;
    }
    let mut addresses = Vec::new();
    for path in ["models", "evals", "runs", "training-sets", "keys", "schedules", "ledger"] {
        addresses.push((path, format!("/api/v1/{path}")));
    }
    for at in 0..2 {
        let result = text(&results[at], "id");
        addresses.extend([
            ("evals/{id}/samples", format!("/api/v1/evals/{}/samples", evals[at])),
            ("models/{id}/artifacts", format!("/api/v1/models/{}/artifacts", models[at])),
            ("models/{id}/results", format!("/api/v1/models/{}/results", models[at])),
            ("runs/{id}/results", format!("/api/v1/runs/{}/results", runs[at])),
            ("results/{id}/cases", format!("/api/v1/results/{result}/cases")),
        ]);
    }
    let result = text(&results[0], "id");
    addresses.push(("results/{id}/cases", format!("/api/v1/results/{result}/cases?state=scored")));
    addresses.push(("ledger", "/api/v1/ledger?subject=x".to_owned()));
    addresses
}

/// The cursor of the second page of the list at `address`, if it has one.
async fn cursor_of(board: &Board, address: &str) -> Option<String> {
    let separator = if address.contains('?') { '&' } else { '?' };
    let page = board.member.get(&format!("{address}{separator}limit=1")).await;
    assert_eq!(page.code(), 200, "{address}: {}", page.text());
    let next = page.header("link").split(['<', '>']).nth(1)?.strip_prefix(PUBLIC_URL).unwrap().to_owned();
    assert_eq!(board.member.get(&next).await.code(), 200, "{next}");
    let query = next.split_once('?').unwrap().1.to_owned();
    let pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    pairs.into_iter().find_map(|(name, value)| (name == "cursor").then_some(value))
}

/// The lists of the document: paths of reads that take a cursor, without their beginning.
fn documented(document: &Value) -> BTreeSet<String> {
    let takes_cursor = |operation: &Value| {
        operation["get"]["parameters"].as_array().into_iter().flatten().any(|each| each["name"] == "cursor")
    };
    let paths = document["paths"].as_object().unwrap().iter();
    let lists = paths.filter(|(_, operations)| takes_cursor(operations));
    lists.map(|(path, _)| path.strip_prefix("/api/v1/").unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn cursor_of_one_list_is_refused_by_every_other() {
    let board = Board::running(&["--rate-read", "100000", "--rate-read-burst", "100000"]).await;
    let addresses = fill(&board).await;
    let document = board.anonymous.read("/api/v1/openapi.json").await;
    let mut lists = documented(&document);
    assert!(lists.remove("leaderboard/compare"));
    assert_eq!(addresses.iter().map(|(list, _)| (*list).to_owned()).collect::<BTreeSet<_>>(), lists);
    let mut others: Vec<String> = addresses.iter().map(|(_, address)| address.clone()).collect();
    others.extend(["/evals", "/runs", "/ledger", "/training-sets"].map(str::to_owned));
    for (list, address) in &addresses {
        let Some(cursor) = cursor_of(&board, address).await else {
            assert!(address.contains('?'), "{list} at {address} has one page");
            continue;
        };
        for other in others.iter().filter(|other| *other != address) {
            let separator = if other.contains('?') { '&' } else { '?' };
            let refused = board.member.get(&format!("{other}{separator}cursor={cursor}")).await;
            assert_eq!(refused.code(), 400, "{other} took a cursor of {address}");
            if other.starts_with("/api/") {
                refused.assert_refused(400, "field", "cursor");
                assert!(refused.text().contains("leave it out"), "{}", refused.text());
            }
        }
    }
}
