//! Backups, the way back from them, and the check of a folder: the real program as another process.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::Board;
use crate::support::forms::Form;
use crate::support::site::Served;
use crate::support::steps::{capital, sums, with};

const SETS: &str = "/api/v1/training-sets";

/// The program with these arguments on that folder.
async fn program(arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evalboard"));
    command.args(arguments).arg("--data-dir").arg(folder).env_remove("EVALBOARD_MASTER_KEY");
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// What it ended with, and all that it said.
fn outcome(output: &Output) -> (Option<i32>, String) {
    let said = [output.stdout.as_slice(), &output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

async fn succeed(arguments: &[&str], folder: &Path) -> String {
    let (code, said) = outcome(&program(arguments, folder).await);
    assert_eq!(code, Some(0), "{arguments:?}: {said}");
    said
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Makes a folder from an archive.
async fn restored(archive: &Path) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    succeed(&["restore", text(archive)], folder.path()).await;
    folder
}

fn training_set(name: &str, bytes: &[u8]) -> Form {
    let metadata = json!({"name": name}).to_string();
    Form::default().file("data.jsonl", Some("application/jsonl"), bytes).field("metadata", &metadata)
}

/// A board with a run of two models on two evals, and two training sets.
async fn board() -> Board {
    let board = Board::busy().await;
    board.member.model("builtin:calculator").await;
    let key = json!({"name": "echo", "inference_uri": "builtin:echo"});
    board.member.made("/api/v1/models", &key).await;
    board.member.eval(&sums()).await;
    board.member.eval(&with(capital(), json!({"name": "Capital"}))).await;
    board.member.run(&json!({})).await;
    let long = format!("\"{}\"", "x".repeat(99_998));
    for (name, bytes) in [("first", &b"{\"a\": 1}\n"[..]), ("second", long.as_bytes())] {
        let made = board.member.send_form(SETS, &training_set(name, bytes)).await;
        assert_eq!(made.code(), 201, "{}", made.text());
    }
    board
}

/// An archive of such a board, made while it was served.
async fn archive() -> (TempDir, PathBuf) {
    let (board, folder) = (board().await, tempfile::tempdir().unwrap());
    let path = folder.path().join("backup.tar");
    succeed(&["backup", text(&path)], board.house.path()).await;
    (folder, path)
}

/// Writes all the time, nothing that moves the board: runs, models, training sets that come and go.
async fn write(board: &Board, stop: &AtomicBool) -> usize {
    let mut rounds = 0;
    while !stop.load(Ordering::SeqCst) {
        rounds += 1;
        let idle =
            json!({"name": format!("noise {rounds}"), "inference_uri": "builtin:echo", "is_active": false});
        board.member.made("/api/v1/models", &idle).await;
        board.member.trigger(&json!({"on_board": false})).await;
        let bytes = format!("{{\"round\": {rounds}}}\n").repeat(1 + rounds % 7_000);
        let set = board.member.send_form(SETS, &training_set("noise", bytes.as_bytes())).await;
        assert_eq!(set.code(), 201, "{}", set.text());
        if rounds % 3 > 0 {
            assert_eq!(board.member.delete(set.header("location")).await.code(), 200);
        }
    }
    rounds
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_made_while_others_write_is_whole_and_serves_the_same_board() {
    let (board, folder) = (Arc::new(board().await), tempfile::tempdir().unwrap());
    let shown = board.anonymous.read("/api/v1/leaderboard").await;
    let stop = Arc::new(AtomicBool::new(false));
    let writing = tokio::spawn({
        let (board, stop) = (Arc::clone(&board), Arc::clone(&stop));
        async move { write(&board, &stop).await }
    });
    let mut runs = 0;
    for number in 0..4 {
        let path = folder.path().join(format!("{number}.tar"));
        let said = succeed(&["backup", text(&path)], board.house.path()).await;
        assert!(said.contains("The master key is not in it"), "{said}");
        let copy = restored(&path).await;
        let said = succeed(&["check"], copy.path()).await;
        assert!(said.contains("is whole") && !said.contains("no row names"), "{said}");
        let served = Served::start(copy).await;
        assert_eq!(served.get("/api/v1/leaderboard").await, shown);
        let now = served.get("/api/v1/runs").await.as_array().unwrap().len();
        assert!(now >= runs);
        runs = now;
    }
    stop.store(true, Ordering::SeqCst);
    let rounds = writing.await.unwrap();
    assert!(rounds > 20 && runs > 2, "{rounds} rounds, {runs} runs");
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 4, "no draft is left");
    assert!(!board.house.path().join("backup-holds").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_master_key_is_in_a_backup_only_when_that_is_asked_for() {
    let board = Board::idle().await;
    let keyed =
        json!({"name": "keyed", "inference_uri": "anthropic/claude-sonnet-4-6", "api_key": "sk-canary"});
    board.member.made("/api/v1/models", &keyed).await;
    let folder = tempfile::tempdir().unwrap();
    let (without, with) = (folder.path().join("without.tar"), folder.path().join("with.tar"));
    succeed(&["backup", text(&without)], board.house.path()).await;
    succeed(&["backup", text(&with), "--with-master-key"], board.house.path()).await;
    let key = std::fs::read(board.house.path().join("master.key")).unwrap();
    for (path, has_key) in [(&without, false), (&with, true)] {
        let bytes = std::fs::read(path).unwrap();
        let holds = |words: &[u8]| bytes.windows(words.len()).any(|window| window == words);
        assert_eq!((holds(key.trim_ascii()), holds(b"sk-canary")), (has_key, false));
        let copy = restored(path).await;
        assert_eq!(std::fs::read(copy.path().join("master.key")).ok(), has_key.then(|| key.clone()));
        let said = succeed(&["check"], copy.path()).await;
        assert_eq!(said.contains("1 sealed secrets need EVALBOARD_MASTER_KEY"), !has_key, "{said}");
    }
    std::fs::remove_file(board.house.path().join("master.key")).unwrap();
    let again = folder.path().join("again.tar");
    let refused = program(&["backup", text(&again), "--with-master-key"], board.house.path()).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(!again.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_overwritten() {
    let (folder, path) = archive().await;
    let copy = restored(&path).await;
    let (code, said) = outcome(&program(&["backup", text(&path)], copy.path()).await);
    assert!(code == Some(1) && said.contains("is there already"), "{said}");
    let (code, said) = outcome(&program(&["restore", text(&path)], copy.path()).await);
    assert!(code == Some(1) && said.contains("is not empty"), "{said}");
    let nowhere = folder.path().join("nowhere");
    for (command, words) in
        [(&["check"][..], "no database at "), (&["backup", "x.tar"][..], "no data folder at ")]
    {
        let (code, said) = outcome(&program(command, &nowhere).await);
        assert!(code == Some(1) && said.contains(words), "{said}");
    }
    assert!(!nowhere.exists());
}

/// Where in an archive the bytes of an entry begin.
fn find(archive: &[u8], words: &[u8]) -> usize {
    archive.windows(words.len()).position(|window| window == words).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_backup_is_refused_and_leaves_nothing() {
    let (folder, path) = archive().await;
    let whole = std::fs::read(&path).unwrap();
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    let replaced = |from: &str, to: &str| {
        let at = find(&whole, from.as_bytes());
        let mut bytes = whole.clone();
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        bytes
    };
    let manifest = find(&whole, b"{\"format\":1");
    let damages = [
        ("cut in the database", whole[..10_000].to_vec()),
        ("cut before the manifest", whole[..manifest - 512].to_vec()),
        ("cut in the manifest", whole[..manifest + 20].to_vec()),
        ("a bit of the database", flipped(5_000)),
        ("a bit of a file", flipped(find(&whole, b"{\"a\": 1}"))),
        ("a bit of a header", flipped(find(&whole, b"files/"))),
        ("a hash in the manifest", flipped(manifest + find(&whole[manifest..], b"\"sha256\":\"") + 12)),
        ("another form", replaced("{\"format\":1", "{\"format\":2")),
        ("something else", b"PK\x03\x04 this is no tar file".repeat(100)),
        ("nothing", Vec::new()),
    ];
    for (what, bytes) in damages {
        let bad = folder.path().join("bad.tar");
        std::fs::write(&bad, bytes).unwrap();
        let target = tempfile::tempdir().unwrap();
        let (code, said) = outcome(&program(&["restore", text(&bad)], target.path()).await);
        assert_eq!(code, Some(1), "{what}: {said}");
        assert!(said.contains("damaged") || said.contains("of form 2"), "{what}: {said}");
        assert_eq!(std::fs::read_dir(target.path()).unwrap().count(), 0, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_writes_nothing_outside_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("evil.tar");
    for name in ["../evil", "/tmp/evil", "files/../evil", "files/ab/..", "files/ab/c/d", "serve.lock"] {
        let mut tar = tar::Builder::new(std::fs::File::create(&path).unwrap());
        let mut header = tar::Header::new_gnu();
        // By hand: the crate refuses to write such names.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(tar::EntryType::Regular);
        header.set_size(4);
        header.set_mode(0o600);
        header.set_cksum();
        tar.append(&header, &b"evil"[..]).unwrap();
        tar.finish().unwrap();
        let target = folder.path().join("new");
        let (code, said) = outcome(&program(&["restore", text(&path)], &target).await);
        assert!(code == Some(1) && said.contains("what a backup does not"), "{name}: {said}");
        assert!(!folder.path().join("evil").exists() && !Path::new("/tmp/evil").exists());
        assert_eq!(std::fs::read_dir(&target).unwrap().count(), 0, "{name}");
    }
}

/// Damage to a folder, and what is to be said of it.
type Damage = (Box<dyn Fn(&Path)>, &'static str);

/// Damage to rows; references are not looked after meanwhile.
fn rows(sql: &'static str, words: &'static str) -> Damage {
    let damage = move |folder: &Path| {
        let database = rusqlite::Connection::open(folder.join("evalboard.db")).unwrap();
        database.execute_batch(&format!("PRAGMA foreign_keys = OFF; {sql}")).unwrap();
        assert!(database.changes() > 0, "{sql}");
    };
    (Box::new(damage), words)
}

/// The larger of the two files.
fn large_file(folder: &Path) -> PathBuf {
    let mut files = Vec::new();
    for shard in std::fs::read_dir(folder.join("files")).unwrap() {
        files.extend(std::fs::read_dir(shard.unwrap().path()).unwrap().map(|file| file.unwrap().path()));
    }
    files.into_iter().max_by_key(|file| file.metadata().unwrap().len()).unwrap()
}

fn damages() -> Vec<Damage> {
    vec![
        rows("UPDATE results SET case_count = case_count + 1 WHERE id = 1", "counts 4 cases"),
        rows("UPDATE results SET score_sum = score_sum - 0.5 WHERE id = 1", "sum 2.5"),
        rows(
            "UPDATE item_scores SET packed = x'0000' WHERE result_id = 1",
            "2 bytes of item scores for 3 samples",
        ),
        rows("DELETE FROM item_scores WHERE result_id = 1", "no item scores"),
        rows("UPDATE cases SET state = 'error' WHERE id = 1", "counts 3 cases"),
        rows("DELETE FROM case_texts WHERE case_id = 2", "has no texts"),
        rows("UPDATE runs SET case_done = case_done - 1", "counts 7 cases"),
        rows("UPDATE runs SET case_total = case_total + 1", "8 of 9 cases"),
        rows("UPDATE board_cells SET result_id = 2 WHERE result_id = 1", "the board shows result"),
        rows("UPDATE suite_evals SET version_id = 3 - version_id", "the suite has another eval's version"),
        rows("UPDATE ledger SET summary = 'nothing' WHERE id = 2", "the ledger does not hold from line 2 on"),
        rows("DELETE FROM samples WHERE id = 1", "rows of cases point to rows of samples"),
        rows("DELETE FROM refinery_schema_history WHERE version > 6", "is of version 6"),
        rows(
            "INSERT INTO refinery_schema_history (version, name) VALUES (999, 'new')",
            "use a newer evalboard",
        ),
        (Box::new(|folder| std::fs::remove_file(large_file(folder)).unwrap()), "is missing"),
        (Box::new(|folder| std::fs::write(large_file(folder), b"short").unwrap()), "has 5 bytes"),
        (Box::new(|folder| std::fs::write(large_file(folder), [b'y'; 100_000]).unwrap()), "another SHA-256"),
        (Box::new(damage_pages), "the database"),
    ]
}

/// Writes nonsense over a part of the database file.
fn damage_pages(folder: &Path) {
    let path = folder.join("evalboard.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 20_000].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn check_finds_what_is_damaged_and_names_it() {
    let (_folder, path) = archive().await;
    let copy = restored(&path).await;
    let before = std::fs::read(copy.path().join("evalboard.db")).unwrap();
    succeed(&["check"], copy.path()).await;
    succeed(&["check", "--fast"], copy.path()).await;
    assert!(before == std::fs::read(copy.path().join("evalboard.db")).unwrap(), "a check wrote");
    for (damage, words) in damages() {
        let copy = restored(&path).await;
        damage(copy.path());
        let (code, said) = outcome(&program(&["check"], copy.path()).await);
        assert_eq!(code, Some(1), "{words}: {said}");
        assert!(said.contains(words), "{words}: {said}");
        let (fast, said) = outcome(&program(&["check", "--fast"], copy.path()).await);
        assert_eq!(fast, Some(i32::from(words != "another SHA-256")), "{words}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_no_row_names_is_told_and_harms_nobody() {
    let (_folder, path) = archive().await;
    let copy = restored(&path).await;
    std::fs::create_dir_all(copy.path().join("files/tmp")).unwrap();
    std::fs::write(copy.path().join("files/tmp/left"), b"half").unwrap();
    let said = succeed(&["check"], copy.path()).await;
    assert!(said.contains("no row names files/tmp/left"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_folder_with_a_missing_file_says_so_and_holds_the_rest() {
    let (folder, path) = archive().await;
    let copy = restored(&path).await;
    std::fs::remove_file(large_file(copy.path())).unwrap();
    let again = folder.path().join("again.tar");
    let (code, said) = outcome(&program(&["backup", text(&again)], copy.path()).await);
    assert!(code == Some(1) && said.contains("is missing"), "{said}");
    let twice = restored(&again).await;
    let (code, said) = outcome(&program(&["check"], twice.path()).await);
    assert!(code == Some(1) && said.contains("is missing"), "{said}");
    let left: Value = Served::start(twice).await.get("/api/v1/leaderboard").await;
    assert_eq!(left.as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_backup_left_is_cleared_away_by_the_next() {
    let (folder, path) = archive().await;
    let copy = restored(&path).await;
    let held = copy.path().join("backup-holds");
    let draft = folder.path().join(".next.tar.evalboard-draft");
    for left in [&held, &draft] {
        std::fs::create_dir(left).unwrap();
        std::fs::write(left.join("evalboard.db"), b"half").unwrap();
    }
    succeed(&["check"], copy.path()).await;
    let next = folder.path().join("next.tar");
    succeed(&["backup", text(&next)], copy.path()).await;
    assert!(!held.exists() && !draft.exists());
    succeed(&["check"], restored(&next).await.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_takes_one_backup_at_a_time() {
    let (folder, path) = archive().await;
    let copy = restored(&path).await;
    let lock = std::fs::File::create(copy.path().join("backup.lock")).unwrap();
    lock.lock().unwrap();
    let next = folder.path().join("next.tar");
    let (code, said) = outcome(&program(&["backup", text(&next)], copy.path()).await);
    assert!(code == Some(1) && said.contains("another backup"), "{said}");
    drop(lock);
    succeed(&["backup", text(&next)], copy.path()).await;
}
