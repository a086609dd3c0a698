//! Folders that are not served at all, in words that name what helps; nothing of them is changed.

use std::path::Path;

use rusqlite::Connection;

use super::support::{self, Folder, expect_damaged, expect_words};
use super::{first_bytes, models};

/// That the folder is refused and its database is left as it is; answers the words.
async fn refused(folder: &Folder) -> String {
    let before = std::fs::read(folder.database()).ok();
    let words = folder.refusal().await;
    assert_eq!(std::fs::read(folder.database()).ok(), before, "{words}");
    words
}

fn change(database: &Path, sql: &str) {
    let database = Connection::open(database).unwrap();
    database.execute_batch(&format!("{sql}; PRAGMA wal_checkpoint(TRUNCATE)")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_or_missing_database_is_not_set_up_anew() {
    let folder = Folder::with_board().await;
    std::fs::write(folder.database(), "").unwrap();
    let words = refused(&folder).await;
    assert!(words.contains("is empty") && words.contains("evalboard restore"), "{words}");
    assert!(words.contains("master.key"), "{words}");
    std::fs::remove_file(folder.database()).unwrap();
    let words = refused(&folder).await;
    assert!(words.contains("is missing") && words.contains("evalboard restore"), "{words}");
    assert!(folder.check().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_beside_an_empty_database_is_kept() {
    let folder = Folder::with_board().await;
    let server = folder.start().await;
    assert_eq!(server.post_model("late").await.0, 201);
    server.kill().await;
    let wal = folder.path().join("evalboard.db-wal");
    let log = std::fs::read(&wal).unwrap();
    assert!(!log.is_empty());
    std::fs::write(folder.database(), "").unwrap();
    assert!(refused(&folder).await.contains("evalboard.db-wal"));
    assert!(folder.check().is_err());
    assert!(std::fs::read(&wal).unwrap() == log);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_tables_is_not_set_up_anew() {
    let folder = Folder::with_board().await;
    std::fs::remove_file(folder.database()).unwrap();
    change(&folder.database(), "PRAGMA journal_mode = WAL; CREATE TABLE t (x); DROP TABLE t");
    assert!(refused(&folder).await.contains("is empty"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_database_is_refused() {
    let folder = Folder::with_board().await;
    std::fs::write(folder.database(), "x".repeat(100_000)).unwrap();
    expect_words(&refused(&folder).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_whose_schema_is_damaged_is_refused() {
    let folder = Folder::with_board().await;
    let first = first_bytes(&folder.database());
    assert_eq!(&first[..15], b"SQLite format 3");
    support::overwrite(&folder.database(), 100, 3_996);
    expect_words(&refused(&folder).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_database_is_not_written_to() {
    let folder = Folder::with_board().await;
    let whole = std::fs::metadata(folder.database()).unwrap().len();
    for pages in [whole / 4096 - 3, 20] {
        std::fs::File::options().write(true).open(folder.database()).unwrap().set_len(pages * 4096).unwrap();
        let before = std::fs::read(folder.database()).unwrap();
        match folder.try_start().await {
            Ok(server) => {
                expect_damaged(&server).await;
                server.stop().await;
            }
            Err(words) => expect_words(&words),
        }
        assert!(std::fs::read(folder.database()).unwrap() == before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_schema_is_refused_in_words() {
    let folder = Folder::with_board().await;
    let newest = evalboard::store::migrate::newest();
    let row = "INSERT INTO refinery_schema_history VALUES (9999, 'later', '2030-01-01T00:00:00Z', '1')";
    change(&folder.database(), row);
    let words = refused(&folder).await;
    assert!(words.contains("of version 9999") && words.contains(&format!("up to {newest}")), "{words}");
    assert!(words.contains("newer evalboard") && words.contains("evalboard restore"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_migration_of_the_same_number_is_refused_in_words() {
    for sql in [
        "UPDATE refinery_schema_history SET checksum = '1' WHERE version = 5",
        "UPDATE refinery_schema_history SET name = 'another' WHERE version = 5",
        "DELETE FROM refinery_schema_history WHERE version = 4",
    ] {
        let folder = Folder::with_board().await;
        change(&folder.database(), sql);
        let words = refused(&folder).await;
        assert!(words.contains("step 5 of the data folder's schema"), "{sql}: {words}");
        assert!(words.contains("evalboard restore"), "{words}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_record_of_migrations_is_refused_in_words() {
    for sql in [
        "DROP TABLE refinery_schema_history",
        "DELETE FROM refinery_schema_history",
        "UPDATE refinery_schema_history SET checksum = NULL WHERE version = 3",
    ] {
        let folder = Folder::with_board().await;
        change(&folder.database(), sql);
        expect_words(&refused(&folder).await);
    }
    let folder = Folder::with_board().await;
    let database = folder.database();
    support::damage(&database, support::page_of(&database, "refinery_schema_history", "leaf", 0));
    expect_words(&refused(&folder).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_on_damaged_data_writes_nothing() {
    let folder = Folder::with_board().await;
    let database = folder.database();
    support::damage(&database, support::page_of(&database, "models", "leaf", 1));
    let before = std::fs::read(&database).unwrap();
    let made = std::process::Command::new(env!("CARGO_BIN_EXE_evalboard"))
        .args(["key", "create", "--email", "b@example.org", "--data-dir"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(!made.status.success());
    expect_words(&String::from_utf8_lossy(&made.stderr));
    assert!(std::fs::read(&database).unwrap() == before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_backup_is_served_again() {
    let folder = Folder::with_board().await;
    let backup = folder.path().with_extension("tar");
    let run = |arguments: &[&str], at: &Path| {
        let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_evalboard"));
        let done = program.args(arguments).arg(&backup).arg("--data-dir").arg(at).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    run(&["backup"], folder.path());
    std::fs::remove_dir_all(folder.path()).unwrap();
    run(&["restore"], folder.path());
    std::fs::remove_file(&backup).unwrap();
    let server = folder.start().await;
    let (status, listed) = server.get("/api/v1/models?limit=200").await;
    assert_eq!((status, models(&listed)), (200, 60));
    assert_eq!(server.post_model("another").await.0, 201);
}
