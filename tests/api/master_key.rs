//! The master key at start and in use: a server does not begin with another one than its secrets are sealed under.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use evalboard::secrets::MasterKey;
use evalboard::store::{Tx, model_keys, webhook_secrets};
use serde_json::json;

use crate::support::field::Field;
use crate::support::hook::Hook;
use crate::support::provider::Script;
use crate::support::site::Served;
use crate::support::steps::ELSEWHERE;
use crate::support::{Board, PATIENCE};

const SECRET: &str = "sk-canary-of-the-master-key-test";

/// A folder whose board has a model with a key of its own, and that master key.
async fn sealed() -> (Board, String) {
    let board = Board::start().await;
    let model = json!({"name": "m", "inference_uri": ELSEWHERE, "api_key": SECRET});
    let made = board.member.post("/api/v1/models", &model).await;
    assert_eq!(made.code(), 201, "{}", made.text());
    let key = std::fs::read_to_string(board.house.path().join("master.key")).unwrap();
    (board, key)
}

/// What a server on the folder says that ends by itself.
fn refused(folder: &Path, variables: &[(&str, &str)]) -> String {
    let log = folder.join("refused.log");
    let mut server = Command::new(env!("CARGO_BIN_EXE_evalboard"))
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(folder)
        .env_remove("EVALBOARD_MASTER_KEY")
        .envs(variables.iter().copied())
        .stderr(Stdio::from(std::fs::File::create(&log).unwrap()))
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let status = loop {
        match server.try_wait().unwrap() {
            Some(status) => break status,
            None if begun.elapsed() > PATIENCE
                || std::fs::read_to_string(&log).unwrap().contains("listening") =>
            {
                server.kill().unwrap();
                server.wait().unwrap();
                panic!("it was served: {}", std::fs::read_to_string(&log).unwrap());
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    let said = std::fs::read_to_string(&log).unwrap();
    assert!(!status.success(), "{said}");
    assert!(!said.contains(SECRET));
    said
}

fn rekey(folder: &Path, flags: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evalboard"));
    let done = command
        .args(["rekey", "--data-dir"])
        .arg(folder)
        .args(flags)
        .env_remove("EVALBOARD_MASTER_KEY")
        .output()
        .unwrap();
    let said = [done.stdout, done.stderr].concat();
    (done.status.success(), String::from_utf8(said).unwrap())
}

/// A copy of the database, to be served by the real program.
fn copied(board: &Board) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for name in ["evalboard.db", "evalboard.db-wal", "master.key"] {
        drop(std::fs::copy(board.house.path().join(name), copy.path().join(name)));
    }
    copy
}

#[tokio::test(flavor = "multi_thread")]
async fn another_or_no_master_key_is_refused_at_start() {
    let (board, key) = sealed().await;
    let (folder, file) = (board.house.path(), board.house.path().join("master.key"));
    let names_the_fix = |said: &str| {
        assert!(said.contains("master.key") && said.contains("evalboard rekey --forget"), "{said}");
    };

    std::fs::remove_file(&file).unwrap();
    for _ in 0..2 {
        let said = refused(folder, &[]);
        names_the_fix(&said);
        assert!(said.contains("there is no master key at"), "{said}");
        assert!(!file.exists(), "none is made in its place");
    }
    std::fs::write(&file, "11".repeat(32)).unwrap();
    let said = refused(folder, &[]);
    names_the_fix(&said);
    assert!(said.contains("is not the one that 1 stored secrets are sealed under"), "{said}");
    for contents in ["", "\n", "11", &"1".repeat(63), "not a key"] {
        std::fs::write(&file, contents).unwrap();
        let said = refused(folder, &[]);
        names_the_fix(&said);
        assert!(said.contains("holds no key of 32 bytes"), "{contents:?}: {said}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), contents, "it is left as it is");
    }
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    assert!(refused(folder, &[]).contains("master.key"));
    std::fs::remove_dir(&file).unwrap();

    let other = "22".repeat(32);
    names_the_fix(&refused(folder, &[("EVALBOARD_MASTER_KEY", &other)]));
    assert!(
        refused(folder, &[("EVALBOARD_MASTER_KEY", "")]).contains("EVALBOARD_MASTER_KEY must be 32 bytes")
    );
    std::fs::write(&file, &key).unwrap();
    let said = refused(folder, &[("EVALBOARD_MASTER_KEY", &other)]);
    assert!(said.contains("start without EVALBOARD_MASTER_KEY") && !said.contains(&other), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn right_master_key_is_taken_in_any_spelling() {
    let (board, key) = sealed().await;
    let copy = copied(&board);
    std::fs::write(copy.path().join("master.key"), format!("  {}\r\n\n", key.trim())).unwrap();
    // Twice: the first start notes which key it is.
    let copy = Served::start(copy).await.stop();
    let copy = Served::start(copy).await.stop();
    std::fs::write(copy.path().join("master.key"), "11".repeat(32)).unwrap();
    refused(copy.path(), &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn folder_without_secrets_gets_a_new_master_key() {
    let board = Board::start().await;
    let copy = copied(&board);
    std::fs::remove_file(copy.path().join("master.key")).unwrap();
    let copy = Served::start(copy).await.stop();
    let first = std::fs::read(copy.path().join("master.key")).unwrap();
    std::fs::remove_file(copy.path().join("master.key")).unwrap();
    let copy = Served::start(copy).await.stop();
    assert_ne!(std::fs::read(copy.path().join("master.key")).unwrap(), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_of_a_lost_master_key_are_given_up_on_request() {
    let (board, _) = sealed().await;
    let copy = copied(&board);
    std::fs::remove_file(copy.path().join("master.key")).unwrap();
    let (done, said) = rekey(copy.path(), &[]);
    assert!(!done && said.contains("master.key"), "{said}");
    let (done, said) = rekey(copy.path(), &["--forget"]);
    assert!(done && said.contains("the secret of model ") && said.contains("Given up: 1"), "{said}");
    let served = Served::start(copy).await;
    assert_eq!(served.get("/api/v1/models").await[0]["name"], "m", "all else is there");
    let copy = served.stop();
    let (done, said) = rekey(copy.path(), &["--forget"]);
    assert!(done && !said.contains("Given up"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_that_open_are_kept_when_others_are_given_up() {
    let (board, _) = sealed().await;
    let other = json!({"name": "other", "inference_uri": ELSEWHERE, "api_key": "sk-other"});
    assert_eq!(board.member.post("/api/v1/models", &other).await.code(), 201);
    seal_again(&board, Some("other")).await;
    let copy = copied(&board);
    let (done, said) = rekey(copy.path(), &[]);
    assert!(!done && said.contains("--forget"), "{said}");
    let (done, said) = rekey(copy.path(), &["--forget"]);
    assert!(done && said.contains("Sealed anew: 1 keys of models") && said.contains("Given up: 1"), "{said}");
}

/// Seals secrets under a key that nobody has: those of the models of that name, or all of them, and those of webhooks.
async fn seal_again(board: &Board, only: Option<&'static str>) {
    let reseal = move |tx: &mut Tx<'_>| {
        let lost: MasterKey = "33".repeat(32).parse()?;
        for stored in model_keys::all(tx)? {
            let name = evalboard::store::models::get(tx, &stored.id)?.card.name;
            if only.is_none_or(|only| only == name) {
                let sealed = lost.seal(stored.id.as_str(), &stored.origin, "sk-lost")?;
                model_keys::put(tx, stored.key, Some((&sealed, &stored.origin)))?;
            }
        }
        for (key, stored) in webhook_secrets::all(tx)? {
            let sealed = lost.seal(stored.eval.as_str(), &stored.origin, "lost")?;
            webhook_secrets::put(tx, key, &sealed, &stored.origin, evalboard::domain::time::Millis::now())?;
        }
        Ok(())
    };
    board.house.app.store.write(reseal).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn case_of_an_unreadable_key_names_it() {
    let hook = Hook::answering(&[(200, r#"{"score": 1}"#)]);
    let (address, url) = (hook.address.to_string(), format!("http://{}", hook.address));
    let field = Field::with(&address, &["--webhook-allow", &url]).await;
    let keyed = json!({"api_key": "sk-of-a-model"});
    let locked = field.model("locked", Script::says("x"), keyed.clone()).await;
    let open = field.model("open", Script::says("x"), json!({})).await;
    field.model("grader", Script::says("x"), keyed).await;
    let samples = json!([{"input": "a", "target": "x"}]);
    let plain = field.eval("plain", "exact", json!({"samples": samples})).await;
    let graded = json!({"samples": samples, "expected_behavior": "x", "eval_criteria": {"grader": "grader"}});
    let graded = field.eval("graded", "rubric", graded).await;
    let criteria = json!({"url": hook.url(), "secret": "at least 16 characters"});
    let hooked = json!({"samples": samples, "expected_behavior": "x", "eval_criteria": criteria});
    let hooked = field.eval("hooked", "webhook", hooked).await;
    seal_again(&field.board, None).await;

    let run = field.trigger(json!({"model_ids": [locked], "eval_ids": [plain]})).await;
    let run = field.ended(&run).await;
    let case = field.only_case(&run, &locked, &plain).await;
    let found = [&case["state"], &case["error"], &case["reason"]];
    assert_eq!(found, ["error", "key_unreadable", "key_unreadable"], "{case}");
    assert!(case["error_message"].as_str().unwrap().contains("master key"), "{case}");
    assert!(field.provider.asked("locked").is_empty(), "it is not called without its key");

    let run = field.trigger(json!({"model_ids": [open], "eval_ids": [graded, hooked]})).await;
    let run = field.ended(&run).await;
    for eval in [&graded, &hooked] {
        let case = field.only_case(&run, &open, eval).await;
        assert_eq!(
            (&case["state"], &case["reason"]),
            (&json!("unscored"), &json!("key_unreadable")),
            "{case}"
        );
    }
    assert!(hook.calls().is_empty() && field.provider.asked("grader").is_empty());
}
