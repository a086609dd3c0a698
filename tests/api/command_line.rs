use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use evalboard::domain::api_keys::ApiKey;

use crate::support::{Board, Client};

#[tokio::test(flavor = "multi_thread")]
async fn key_create_prints_only_the_key_and_a_running_server_takes_it() {
    let board = Board::with_things(&[]).await;
    let made = Command::new(env!("CARGO_BIN_EXE_evalboard"))
        .args(["key", "create", "--email", "New@Example.org", "--data-dir"])
        .arg(board.house.path())
        .output()
        .unwrap();
    let printed = String::from_utf8(made.stdout).unwrap();
    let key = ApiKey::parse(printed.trim_end()).unwrap_or_else(|| panic!("{printed}"));
    let seen = Client::new(board.address, Some(&key)).get("/api/test/things/a").await;
    assert_eq!(seen.json()["seen_by"], "new@example.org");
}

#[test]
fn the_environment_stands_in_for_flags() {
    let folder = tempfile::tempdir().unwrap();
    let made = Command::new(env!("CARGO_BIN_EXE_evalboard"))
        .args(["user", "add", "ada@example.org", "--admin"])
        .env("EVALBOARD_DATA_DIR", folder.path().join("deep/data"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(made.stdout).unwrap(), "ada@example.org (admin)\n");
    let mode = std::fs::metadata(folder.path().join("deep/data")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn a_bad_address_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let refused = Command::new(env!("CARGO_BIN_EXE_evalboard"))
        .args(["user", "add", "nobody", "--data-dir"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(!refused.status.success());
    assert!(String::from_utf8(refused.stderr).unwrap().contains("email"));
}
