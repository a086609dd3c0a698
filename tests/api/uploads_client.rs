//! Files put up by programs that others wrote: the client of Vercel Blob as npm has it, and curl.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::Board;
use crate::support::bucket::Bucket;
use crate::support::grants::{Granted, artifact, hex, noise};

const HOUR: i64 = 3_600_000;

#[tokio::test(flavor = "multi_thread")]
async fn the_client_of_vercel_blob_puts_files_up_as_it_is() {
    run(&Board::start().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_of_vercel_blob_puts_files_into_a_bucket_as_it_is() {
    let Some(bucket) = Bucket::start().await else { return };
    run(&Board::over(&bucket, "secret").await).await;
}

/// Runs the client's tests (`tests/client`) with a grant for each of the names that they use. They need Node and
/// what `npm ci` installs; `make test` has both and says so, and otherwise this says that it is skipped.
async fn run(board: &Board) {
    if std::env::var_os("EVALBOARD_CLIENT").is_none_or(|value| value != "1") {
        println!("skipped: the client of Vercel Blob (`make unit` installs it and runs it)");
        return;
    }
    let path = format!("/api/v1/models/{}/artifacts", board.house.model("member@example.org").await);
    let mut grants = serde_json::Map::new();
    for name in [
        "buffer",
        "blob",
        "web",
        "node",
        "text",
        "parts",
        "partsOfStream",
        "byHand",
        "uploader",
        "given",
        "refused",
        "expired",
        "cancelled",
        "small",
        "aborted",
    ] {
        let ask = match name {
            "small" => json!({"file_name": "weights.bin", "file_size": 1_000}),
            _ => json!({"file_name": "weights.bin"}),
        };
        let granted = Granted::ask(board, &path, &ask).await;
        match name {
            "expired" => granted.shift(board, "expires_at", -24 * HOUR - 1).await,
            "cancelled" => drop(granted.asking(reqwest::Method::DELETE, "").send().await),
            _ => {}
        }
        grants.insert(name.to_owned(), json!({"token": granted.token, "pathname": granted.pathname}));
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/client/client.mjs");
    let mut client = Command::new("node");
    client
        .args(["--test-reporter=spec".as_ref(), script.as_os_str()])
        .env("VERCEL_BLOB_API_URL", format!("http://{}/api/blob", board.address))
        .env("GRANTS", Value::Object(grants).to_string());
    let status = tokio::task::spawn_blocking(move || client.status().expect("node")).await.unwrap();
    assert!(status.success(), "the client's tests failed: see above");
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_puts_a_file_up_in_one_line() {
    let board = Board::start().await;
    let (granted, path) = Granted::weights(&board).await;
    let bytes = noise(5_000_000);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weights.bin");
    std::fs::write(&file, &bytes).unwrap();
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--noproxy", "*", "-T"])
        .arg(&file)
        .args(["-H", &format!("Authorization: Bearer {}", granted.token)])
        .arg(format!("http://{}{}", board.address, granted.address()))
        .stdout(Stdio::piped());
    let output = tokio::task::spawn_blocking(move || curl.output().expect("curl")).await.unwrap();
    let put: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&put["size"], &put["sha256"]), (&json!(bytes.len()), &json!(hex(&bytes))), "{put}");
    assert_eq!(board.member.post(&path, &artifact(&put["url"])).await.code(), 201);
}
