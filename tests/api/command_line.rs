use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use evalboard::domain::api_keys::ApiKey;
use evalboard::domain::time::Millis;
use evalboard::domain::users::Role;
use evalboard::secrets::MasterKey;
use evalboard::service::rekey::{Keys, reseal};
use evalboard::store;
use secrecy::ExposeSecret;
use serde_json::json;

use crate::support::field::{Field, samples};
use crate::support::provider::{Act, Script};
use crate::support::steps::{ELSEWHERE, sums};
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
    assert_eq!(String::from_utf8(made.stdout).unwrap(), "ada@example.org (admin), called ada\n");
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

/// The program as a client of `board`, with these arguments.
async fn run(board: &Board, key: &str, arguments: &[&str]) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evalboard"));
    command.arg("run").args(arguments);
    command.env("EVALBOARD_URL", format!("http://{}", board.address)).env("EVALBOARD_KEY", key);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn run_waits_prints_the_scores_and_ends_with_what_came_of_it() {
    let board = Board::busy().await;
    let key = board.house.key("ci@example.org", Role::Member).await;
    let key = key.expose();
    board.member.model("builtin:calculator").await;
    let echo = board.member.model("builtin:echo").await;
    board.member.eval(&sums()).await;

    let all = run(&board, key, &["--wait", "--notes", "from CI"]).await;
    assert_eq!(all.status.code(), Some(0), "{}", said(&all.stderr));
    let printed = said(&all.stdout);
    let lines: Vec<Vec<&str>> = printed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!((lines.len(), lines[0][0], lines[0][2]), (2, "builtin:calculator", "1.0000"), "{printed}");
    assert_eq!((lines[1][0], lines[1][2]), ("builtin:echo", "0.0000"), "{printed}");
    assert!(said(&all.stderr).contains("of 6 cases, 0 not measured"), "{}", said(&all.stderr));
    assert_eq!(board.anonymous.read("/api/v1/runs").await[0]["notes"], "from CI");

    let good =
        run(&board, key, &["--model", "builtin:calculator", "--eval", "Sums", "--fail-under", "0.9"]).await;
    assert_eq!((good.status.code(), said(&good.stdout).lines().count()), (Some(0), 1));
    let bad = run(&board, key, &["--model", &echo, "--fail-under", "0.1"]).await;
    assert_eq!(bad.status.code(), Some(3));
    assert!(said(&bad.stderr).contains("builtin:echo: 0.0000 is below 0.1"), "{}", said(&bad.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn run_shows_what_it_waits_for_and_why_it_gave_up() {
    let field = Field::with("", &["--give-up-after", "4"]).await;
    let key = field.board.house.key("ci@example.org", Role::Member).await;
    field.model("spent", Script::always(Act::Status(429, Some(3_600))), json!({})).await;
    let rows = samples(10, |at| (format!("say {at}"), format!("say {at}")));
    field.eval("many", "exact", json!({"samples": rows})).await;
    let shown = run(&field.board, key.expose(), &["--wait"]).await;
    let text = said(&shown.stderr);
    assert_eq!(shown.status.code(), Some(4), "{text}");
    let waiting = format!("  waiting for {} (model spent): ", field.provider.address);
    assert!(text.contains(&waiting) && text.contains("answered 429"), "{text}");
    assert!(text.contains("the run is failed: gave up on spent after 4 seconds"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn run_says_what_is_wrong_and_ends_with_one() {
    let board = Board::idle().await;
    let key = board.house.key("ci@example.org", Role::Member).await;
    board.member.model("builtin:echo").await;
    board.member.model("builtin:echo").await;
    board.member.eval(&sums()).await;
    for (key, arguments, words) in [
        (key.expose(), ["--model", "nobody"], "there is no nobody"),
        (key.expose(), ["--model", "builtin:echo"], "several are called builtin:echo"),
        ("blah_wrong", ["--notes", ""], "set EVALBOARD_KEY"),
        (key.expose(), ["--max-samples", "0"], "max_samples must be at least 1"),
        (key.expose(), ["--url", "http://127.0.0.1:1"], "cannot be reached"),
    ] {
        let refused = run(&board, key, &arguments).await;
        assert_eq!(refused.status.code(), Some(1), "{arguments:?}");
        assert!(said(&refused.stderr).contains(words), "{arguments:?}: {}", said(&refused.stderr));
    }
    let left = run(&board, key.expose(), &["--only-missing"]).await;
    assert!(left.status.success() && said(&left.stdout).contains("/runs/"));
}

#[tokio::test(flavor = "multi_thread")]
async fn run_ends_with_four_when_not_everything_was_measured() {
    let board = Board::busy().await;
    let key = board.house.key("ci@example.org", Role::Member).await;
    board.member.model("builtin:flaky?error_rate=1").await;
    board.member.eval(&sums()).await;
    let failed = run(&board, key.expose(), &["--fail-under", "0"]).await;
    assert_eq!(failed.status.code(), Some(4), "{}", said(&failed.stdout));
    assert!(said(&failed.stderr).contains("no case could be measured"), "{}", said(&failed.stderr));
    let usage = run(&board, key.expose(), &["--no-such-flag"]).await;
    assert_eq!(usage.status.code(), Some(2), "a usage error is told from it");
    let help = run(&board, key.expose(), &["--help"]).await;
    assert!(said(&help.stdout).contains("4 when the run ended and not"), "{}", said(&help.stdout));
}

#[test]
fn check_and_backup_name_the_folder_that_has_no_database() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nowhere");
    for arguments in [vec!["check"], vec!["backup", "b.tar"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_evalboard"));
        command.args(&arguments).arg("--data-dir").arg(&nowhere).current_dir(folder.path());
        let refused = command.output().unwrap();
        let words = said(&refused.stderr);
        assert!(!refused.status.success() && words.contains("nowhere"), "{arguments:?}: {words}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn run_takes_nothing_for_a_board_that_is_none() {
    let elsewhere = Board::idle().await;
    let key = elsewhere.house.key("ci@example.org", Role::Member).await;
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let to = format!("http://{}", elsewhere.address);
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        let redirect =
            format!("HTTP/1.1 301 Moved\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        let page = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nHello".to_owned();
        for answer in [redirect, page] {
            let (mut stream, _) = server.accept().unwrap();
            let mut request = [0; 4_096];
            let _ = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    let url = format!("http://{address}");
    for words in ["answered 301", "does not answer like a board"] {
        let refused = run(&elsewhere, key.expose(), &["--url", &url]).await;
        assert_eq!(refused.status.code(), Some(1), "{words}");
        assert!(said(&refused.stderr).contains(words), "{}", said(&refused.stderr));
    }
}

/// `evalboard rekey` on that folder, with those variables.
fn rekey(folder: &std::path::Path, variables: &[(&str, &str)]) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evalboard"));
    command.args(["rekey", "--data-dir"]).arg(folder).env_remove("EVALBOARD_MASTER_KEY");
    command.envs(variables.iter().copied()).output().unwrap()
}

/// What the models' stored keys open to under `key`.
async fn opened(board: &Board, key: &MasterKey) -> Vec<Option<String>> {
    let sealed = board.house.app.store.read(store::model_keys::all).await.unwrap();
    let open = |sealed: &store::model_keys::Stored| {
        let secret = key.open(sealed.id.as_str(), &sealed.origin, &sealed.sealed).ok()?;
        Some(secret.expose_secret().to_owned())
    };
    sealed.iter().map(open).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_master_key_opens_what_was_sealed_and_the_old_one_does_not() {
    let board = Board::start().await;
    for key in ["sk-one", "sk-two"] {
        let model = json!({"name": key, "inference_uri": ELSEWHERE, "api_key": key});
        board.member.made("/api/v1/models", &model).await;
    }
    let (folder, secrets) = (board.house.path(), ["sk-one", "sk-two"].map(|key| Some(key.to_owned())));
    let file = MasterKey::file(folder);
    let old = MasterKey::load(&file).unwrap();
    assert_eq!(opened(&board, &old).await, secrets);

    let served = std::fs::File::options().create(true).append(true).open(folder.join("serve.lock")).unwrap();
    served.lock().unwrap();
    assert!(said(&rekey(folder, &[]).stderr).contains("another evalboard serves"));
    drop(served);

    let done = rekey(folder, &[]);
    assert!(done.status.success(), "{}", said(&done.stderr));
    assert!(said(&done.stdout).starts_with("Sealed anew: 2 keys of models, 0 secrets of webhooks."));
    let new = MasterKey::load(&file).unwrap();
    assert_eq!(opened(&board, &new).await, secrets);
    assert_eq!(opened(&board, &old).await, [None, None]);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    // Interrupted between the store and the file, it is finished by another call.
    let draft = MasterKey::draft(&file).unwrap();
    let keys = Keys { old: MasterKey::load(&file).unwrap(), new: MasterKey::draft(&file).unwrap() };
    reseal(&board.house.app.store, keys, Millis::now()).await.unwrap();
    assert!(MasterKey::has_draft(&file), "a server would not start");
    let done = rekey(folder, &[]);
    assert!(said(&done.stdout).starts_with("Sealed anew: 0 keys of models"), "{}", said(&done.stderr));
    assert_eq!(opened(&board, &draft).await, secrets);
    assert!(!MasterKey::has_draft(&file));

    // From the folder into a variable; the wrong key changes nothing.
    let text = "11".repeat(32);
    let wrong = rekey(folder, &[("EVALBOARD_MASTER_KEY", &text)]);
    assert!(
        !wrong.status.success() && said(&wrong.stderr).contains("cannot be opened"),
        "{}",
        said(&wrong.stderr)
    );
    assert_eq!(opened(&board, &draft).await, secrets);
    assert!(!MasterKey::has_draft(&file), "a server starts as before");
    let done = rekey(folder, &[("EVALBOARD_NEW_MASTER_KEY", &text)]);
    assert!(done.status.success() && !said(&done.stdout).contains(&text), "{}", said(&done.stderr));
    assert_eq!(opened(&board, &text.parse().unwrap()).await, secrets);
}
