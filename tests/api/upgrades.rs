//! Databases of every version that there was, opened by the present program: made by the migrations up to that
//! version, with a few rows of its time (`tests/upgrades`).

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use evalboard::store::migrate;
use rand::RngExt;
use refinery::Target;
use rusqlite::Connection;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::support::site::Served;

/// How often a start is killed at most.
const STARTS: u64 = 150;

mod embedded {
    refinery::embed_migrations!("migrations/sqlite");
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).into()
}

/// All versions there were.
fn versions() -> Vec<usize> {
    let all = embedded::migrations::runner();
    let mut versions: Vec<usize> =
        all.get_migrations().iter().map(|each| usize::try_from(each.version()).unwrap()).collect();
    versions.sort_unstable();
    assert_eq!((versions.len(), versions.last()), (migrate::count(), Some(&migrate::newest())));
    versions
}

/// A folder with a database of that version.
pub(crate) fn folder(version: usize) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut database = Connection::open(folder.path().join("evalboard.db")).unwrap();
    for number in versions().into_iter().filter(|number| *number <= version) {
        let target = Target::Version(i32::try_from(number).unwrap());
        embedded::migrations::runner().set_target(target).run(&mut database).unwrap();
        let seed = root().join(format!("tests/upgrades/V{number:04}.sql"));
        if let Ok(rows) = std::fs::read_to_string(seed) {
            database.execute_batch(&rows).unwrap();
        }
    }
    assert_eq!(history(folder.path()).last().unwrap().0, version);
    folder
}

/// Which migrations were applied, and when.
fn history(folder: &Path) -> Vec<(usize, String)> {
    let database = Connection::open(folder.join("evalboard.db")).unwrap();
    let mut applied =
        database.prepare("SELECT version, applied_on FROM refinery_schema_history ORDER BY version").unwrap();
    let rows = applied.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?))).unwrap();
    rows.map(|row| row.map(|(version, at)| (usize::try_from(version).unwrap(), at)).unwrap()).collect()
}

/// That the folder is whole, as the program's own check sees it.
fn check(folder: &Path) {
    let checked = Command::new(env!("CARGO_BIN_EXE_evalboard"))
        .args(["check", "--data-dir"])
        .arg(folder)
        .output()
        .unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}

/// That the seeded board is shown, its ranks too.
async fn expect_board(served: &Served) {
    let board = served.get("/api/v1/leaderboard").await;
    let rows: Vec<_> = board
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["model_name"].as_str().unwrap(), row["rank"].as_i64(), row["avg_score"].as_f64()))
        .collect();
    assert_eq!(rows, [("First", Some(1), Some(1.0)), ("Second", Some(2), Some(0.0))], "{board}");
    for path in
        ["models", "evals", "runs", "models/model-1/results", "results/result-1/cases", "training-sets"]
    {
        assert!(!served.get(&format!("/api/v1/{path}")).await.as_array().unwrap().is_empty(), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_every_version_is_brought_up_to_date_once_and_its_board_is_served() {
    for version in versions() {
        let old = folder(version);
        let before = history(old.path());
        let served = Served::start(old).await;
        expect_board(&served).await;
        let first = history(served.folder.path());
        assert_eq!(first.iter().map(|(number, _)| *number).collect::<Vec<_>>(), versions());
        assert_eq!(first[..before.len()], before);
        let again = Served::start(served.stop()).await;
        expect_board(&again).await;
        assert_eq!(history(again.folder.path()), first, "migrated twice");
        check(again.folder.path());
    }
}

#[test]
fn everybody_who_was_here_has_a_handle_after_the_upgrade() {
    let upgraded = folder(migrate::newest());
    let database = Connection::open(upgraded.path().join("evalboard.db")).unwrap();
    let mut people = database.prepare("SELECT handle FROM users ORDER BY id").unwrap();
    let handles = people.query_map([], |row| row.get(0)).unwrap();
    let handles: Vec<String> = handles.map(Result::unwrap).collect();
    let expected = ["ada", "Ada-user-21", "ada-21", "ada-evals", "person", "m-ller.with.a.very.long.n"];
    assert_eq!(handles, expected);
    let named = "SELECT name FROM submitters WHERE id = 1";
    let name = |database: &Connection| database.query_row(named, [], |row| row.get::<_, String>(0)).unwrap();
    assert_eq!(name(&database), "ada@example.org");
    database.execute("UPDATE naming SET by_handle = 1", []).unwrap();
    assert_eq!(name(&database), "ada");
}

#[test]
fn no_model_is_shared_after_the_upgrade() {
    let upgraded = folder(migrate::newest());
    let database = Connection::open(upgraded.path().join("evalboard.db")).unwrap();
    let counts = "SELECT COUNT(*), SUM(shared), MIN(shared_daily_calls) FROM models";
    let read =
        |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?));
    let (models, shared, calls) = database.query_row(counts, [], read).unwrap();
    assert!(models > 0);
    assert_eq!((shared, calls), (0, 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_that_is_killed_in_the_middle_goes_on_at_the_next_start() {
    let old = folder(1);
    let database = Connection::open(old.path().join("evalboard.db")).unwrap();
    // So many rows that the indexes of later versions take a while.
    let rows = "WITH RECURSIVE numbers (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM numbers WHERE n < 300000)
                INSERT INTO work_items (run_id, model_id, eval_id, sample_id, epoch, endpoint, state, priority, run_after,
                                        attempt, tries, expiries)
                SELECT 1, 1, 1, 1, n, 'builtin', 'cancelled', n, 0, 1, 0, 0 FROM numbers";
    database.execute_batch(rows).unwrap();
    drop(database);
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut seen = Vec::new();
    // Each start lives a little longer than the one before, until one comes through.
    for lived in 0..STARTS {
        let running = Served::spawn(old.path(), address);
        tokio::time::sleep(Duration::from_millis(8 * lived + rand::rng().random_range(0..8))).await;
        drop(running);
        seen.push(history(old.path()).len());
        if seen.ends_with(&[migrate::count()]) {
            break;
        }
    }
    let killed = seen.iter().filter(|count| **count == 1).count();
    assert!(killed > 5 && seen[killed..] == [migrate::count()], "all of it or nothing: {seen:?}");
    let served = Served::start(old).await;
    expect_board(&served).await;
    let folder = served.stop();
    let applied: Vec<usize> = history(folder.path()).into_iter().map(|(number, _)| number).collect();
    assert_eq!(applied, versions());
    check(folder.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_a_newer_program_is_left_alone() {
    let newer = folder(migrate::newest());
    let database = Connection::open(newer.path().join("evalboard.db")).unwrap();
    let row = "INSERT INTO refinery_schema_history (version, name, applied_on, checksum)
               VALUES (9999, 'new', '2100-01-01T00:00:00Z', '1')";
    database.execute_batch(row).unwrap();
    let before = history(newer.path());
    let refused = Command::new(env!("CARGO_BIN_EXE_evalboard"))
        .args(["user", "add", "ada@example.org", "--data-dir"])
        .arg(newer.path())
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("9999"), "{said}");
    assert_eq!(history(newer.path()), before);
}

#[test]
fn a_migration_that_landed_is_never_edited() {
    let sums = std::fs::read_to_string(root().join("tests/upgrades/SHA256SUMS")).unwrap();
    assert!(sums.lines().count() >= 7);
    for line in sums.lines() {
        let (sum, name) = line.split_once("  ").unwrap();
        let text = std::fs::read(root().join("migrations/sqlite").join(name)).unwrap();
        let found: String = Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found, sum, "{name} was edited: make a new migration");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn earlier_results_are_turned_where_lower_is_better() {
    let old = folder(14);
    let database = Connection::open(old.path().join("evalboard.db")).unwrap();
    database.execute("UPDATE evals SET higher_is_better = 0", []).unwrap();
    drop(database);
    let served = Served::start(old).await;
    let board = served.get("/api/v1/leaderboard").await;
    let rows: Vec<_> = board.as_array().unwrap().iter().collect();
    let standing = |row: &serde_json::Value| (row["model_name"].clone(), row["avg_score"].as_f64());
    assert_eq!(standing(rows[0]), ("Second".into(), Some(1.0)), "{board}");
    assert_eq!(standing(rows[1]), ("First".into(), Some(0.0)), "{board}");
    for (result, passed, score) in [("result-1", 0, 1.0), ("result-2", 3, 0.0)] {
        let result = served.get(&format!("/api/v1/results/{result}")).await;
        assert_eq!((&result["passed_count"], &result["score"]), (&passed.into(), &score.into()), "{result}");
    }
    check(served.stop().path());
}
