//! Damaged data: pages, logs and files that are not what they were, before the start and while the real program runs.

mod refused;
mod running;
mod support;

use std::path::Path;

use rusqlite::Connection;
use serde_json::{Value, json};

use support::{Folder, damage, expect_damaged, page_of};

/// A reference of a page: what is read off it cannot be trusted, and nothing is written any more.
async fn expect_refused(folder: &Folder) {
    let before = std::fs::read(folder.database()).unwrap();
    let server = folder.start().await;
    expect_damaged(&server).await;
    let (status, evals) = server.get("/api/v1/evals").await;
    assert_eq!((status, evals.as_array().unwrap().len()), (200, 1), "what can be read is served");
    let page = server.page("/evals").await;
    assert!(page.contains("database is damaged"), "{page}");
    server.stop().await;
    assert!(std::fs::read(folder.database()).unwrap() == before, "a damaged database was written to");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_page_of_a_table_refuses_writes() {
    let folder = Folder::with_board().await;
    damage(&folder.database(), page_of(&folder.database(), "models", "leaf", 1));
    expect_refused(&folder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_page_of_an_index_refuses_writes() {
    let folder = Folder::with_board().await;
    let index = support::index_of(&folder.database(), "models");
    damage(&folder.database(), page_of(&folder.database(), &index, "leaf", 0));
    expect_refused(&folder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_index_refuses_writes() {
    let folder = Folder::with_board().await;
    let index = support::index_of(&folder.database(), "models");
    let database = Connection::open(folder.database()).unwrap();
    database.execute_batch(&format!("DROP INDEX {index}; PRAGMA wal_checkpoint(TRUNCATE)")).unwrap();
    drop(database);
    expect_refused(&folder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_database_is_served_and_checked() {
    let folder = Folder::with_board().await;
    let server = folder.start().await;
    let (status, ready) = server.get("/readyz").await;
    assert_eq!((status, &ready), (200, &json!({"status": "ok", "writable": true})));
    let (_, status) = server.get("/api/v1/status").await;
    assert_eq!(status["data"]["status"], "ok");
    assert!(status["data"]["checked_at"].as_i64().unwrap() > 0, "{status}");
    assert_eq!(server.post_model("another").await.0, 201);
    assert!(!server.page("/evals").await.contains("class=\"condition\""));
}

/// The log of one folder beside the database of another: pages of two boards in one.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_another_board_changes_nothing_on_disk() {
    let (one, other) = (Folder::with_board().await, Folder::with_board().await);
    let server = other.start().await;
    for at in 0..10 {
        assert_eq!(server.post_model(&format!("late {at}")).await.0, 201);
    }
    server.kill().await;
    // Between its own pages and those of the log nothing fits.
    let database = Connection::open(one.database()).unwrap();
    database
        .execute_batch(
            "PRAGMA foreign_keys = OFF; CREATE TABLE filler (x TEXT);
             INSERT INTO filler SELECT hex(randomblob(1500)) FROM models;
             DROP TABLE models; VACUUM; PRAGMA wal_checkpoint(TRUNCATE)",
        )
        .unwrap();
    drop(database);
    let wal = |folder: &Folder| folder.path().join("evalboard.db-wal");
    std::fs::copy(wal(&other), wal(&one)).unwrap();
    drop(std::fs::remove_file(one.path().join("evalboard.db-shm")));
    let (database, log) = (std::fs::read(one.database()).unwrap(), std::fs::read(wal(&one)).unwrap());
    match one.try_start().await {
        Ok(server) => {
            expect_damaged(&server).await;
            server.stop().await;
        }
        Err(words) => support::expect_words(&words),
    }
    assert!(std::fs::read(one.database()).unwrap() == database, "pages of another board were moved in");
    assert!(std::fs::read(wal(&one)).unwrap() == log, "the log is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destroyed_frame_of_the_log_is_no_torn_end() {
    let folder = Folder::with_board().await;
    let server = folder.start().await;
    for at in 0..10 {
        assert_eq!(server.post_model(&format!("late {at}")).await.0, 201);
    }
    server.kill().await;
    let wal = folder.path().join("evalboard.db-wal");
    support::overwrite(&wal, 32 + 24 + 4096 + 24 + 50, 64);
    let log = std::fs::read(&wal).unwrap();
    let server = folder.start().await;
    let found = expect_damaged(&server).await;
    assert!(found.contains("frame 2 of evalboard.db-wal"), "{found}");
    server.stop().await;
    assert!(std::fs::read(&wal).unwrap() == log, "what is left of the log is gone");
}

fn first_bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap().into_iter().take(4096).collect()
}

fn models(value: &Value) -> usize {
    value.as_array().unwrap().len()
}
