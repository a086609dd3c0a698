use std::collections::BTreeSet;
use std::sync::Arc;

use evalboard::http::api::{self, openapi::Document};
use evalboard::http::surfaces;
use evalboard::http::table::Row;
use evalboard::server::Server;
use serde_json::{Value, json};
use utoipa::OpenApi;

use crate::support::steps::{assert_has, sums};
use crate::support::{Board, House};

#[tokio::test(flavor = "multi_thread")]
async fn whoever_watches_the_server_gets_an_answer() {
    let board = Board::start().await;
    assert_eq!(board.anonymous.get("/healthz").await.json()["status"], "ok");
    assert_eq!(board.anonymous.get("/readyz").await.json()["status"], "ok");
    let status = board.anonymous.get("/api/v1/status").await;
    assert_eq!(status.json()["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status.header("cache-control"), "no-store");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_told_to_stop_finishes_and_ends() {
    let house = House::with(&[]);
    let server = Server::build(Arc::clone(&house.app)).unwrap();
    let stopper = server.stopper();
    let running = tokio::spawn(server.run());
    stopper.drain().await;
    running.await.unwrap().unwrap();
}

#[test]
fn the_document_and_the_table_agree() {
    let rows = |base: &str, table: Vec<Row>| -> Vec<(String, String)> {
        let lines = |row: &Row| -> Vec<_> {
            let path = format!("{base}{}", row.path());
            row.methods().iter().map(|method| (path.clone(), method.to_lowercase())).collect()
        };
        table.iter().flat_map(lines).collect()
    };
    let mut routes = BTreeSet::from_iter(rows(api::BASE, api::table()));
    routes.extend(rows("", api::outside_table()));
    for (base, table) in surfaces::tables() {
        routes.extend(rows(base, table));
    }
    let document: Value = serde_json::to_value(Document::openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let described = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().keys();
        methods.map(|method| (path.clone(), method.clone())).collect::<Vec<_>>()
    });
    assert_eq!(routes, BTreeSet::from_iter(described));
}

#[test]
fn every_answer_in_the_document_is_described() {
    let document: Value = serde_json::to_value(Document::openapi()).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            for (status, response) in operation["responses"].as_object().unwrap() {
                let text = response["description"].as_str().unwrap_or_default();
                assert!(!text.is_empty(), "{method} {path} {status}");
            }
            assert!(operation["responses"]["default"].is_object());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_tells_how_much_is_to_be_done() {
    let board = Board::idle().await;
    let status = || board.anonymous.read("/api/v1/status");
    let idle = json!({"queue_length": 0, "oldest_age_ms": null, "runs_in_progress": 0, "cases_in_flight": 0});
    assert_has(&status().await, idle);
    board.member.model("builtin:calculator").await;
    board.member.eval(&sums()).await;
    board.member.trigger(&json!({})).await;
    assert_has(&status().await, json!({"runs_in_progress": 1}));
    board.house.app.engine.start().await.unwrap();
    board.anonymous.until("/api/v1/status", |status| status["runs_in_progress"] == 0).await;
    assert_has(&status().await, json!({"queue_length": 0}));
}
