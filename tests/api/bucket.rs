//! Files in a bucket: a real server that speaks S3 and checks signatures.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use evalboard::domain::time::Millis;
use evalboard::service::{files, hashing, uploads};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::field::until;
use crate::support::forms::{Form, local};
use crate::support::grants::{Granted, PART, artifact, assert_blob_error, hex, noise};
use crate::support::{Board, QUICK};

/// A bucket, which goes with its server.
struct Bucket {
    server: Child,
    folder: TempDir,
    port: u16,
}

impl Drop for Bucket {
    fn drop(&mut self) {
        drop(self.server.kill());
        drop(self.server.wait());
    }
}

impl Bucket {
    /// Starts the server that EVALBOARD_S3 names; without one this says that the test is skipped.
    async fn start() -> Option<Self> {
        let Some(program) = std::env::var_os("EVALBOARD_S3") else {
            println!("skipped: files in a bucket (`make unit` installs an S3 server for them)");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("files")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Command::new(program)
            .args(["--host", "127.0.0.1", "--port", &port.to_string()])
            .args(["--access-key", "AKIATEST", "--secret-key", "secret"])
            .arg(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        until("the bucket", async || TcpStream::connect(("127.0.0.1", port)).ok()).await;
        Some(Self { server, folder, port })
    }

    fn variables(&self, secret: &str) -> Vec<(String, String)> {
        [
            ("AWS_ACCESS_KEY_ID", "AKIATEST"),
            ("AWS_SECRET_ACCESS_KEY", secret),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ENDPOINT_URL", &format!("http://127.0.0.1:{}", self.port)),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }

    async fn board(&self) -> Board {
        let flags = ["--blob-store", "s3://files/board/one"];
        Board::operated(&flags, self.variables("secret"), QUICK).await
    }

    /// Objects of the board.
    fn objects(&self) -> usize {
        evalboard::blobs::list(&self.folder.path().join("files/board/one")).map_or(0, |found| found.len())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_go_to_the_bucket_and_come_back_whole_and_in_part() {
    let Some(bucket) = Bucket::start().await else { return };
    let board = bucket.board().await;
    let (granted, path) = Granted::weights(&board).await;
    for bytes in [noise(20_000_000), noise(3)] {
        let (granted, path) = Granted::weights(&board).await;
        let put = granted.put(bytes.clone()).await;
        assert_eq!((put.code(), &put.json()["sha256"]), (200, &json!(hex(&bytes))), "{}", put.text());
        assert_eq!(board.member.post(&path, &artifact(&put.json()["url"])).await.code(), 201);
        let address = local(&put.json()["url"]);
        let got = board.anonymous.get(&address).await;
        assert!(got.body == bytes);
        assert_eq!(got.header("content-security-policy"), "sandbox");
        let part = board.anonymous.ask(Method::GET, &address).header("range", "bytes=-2");
        let part = part.header("if-range", got.header("etag")).send().await;
        assert_eq!((part.code(), part.body.as_slice()), (206, &bytes[bytes.len() - 2..]));
        let head = board.anonymous.head(&address).await;
        assert_eq!(head.header("content-length"), bytes.len().to_string());
    }
    assert_eq!((bucket.objects(), board.stored_files().len()), (2, 0));
    let form =
        Form::default().field("name", "W").field("artifact_type", "weights").file("w", None, b"by form");
    let made = board.member.send_form(&path, &form).await;
    assert_eq!(made.code(), 201, "{}", made.text());
    assert_eq!(board.anonymous.get(&local(&made.json()["blob_url"])).await.body, b"by form");
    assert_eq!(board.member.delete(made.header("location")).await.code(), 200);
    assert_eq!(bucket.objects(), 2);
    let refused = granted.asking(Method::PUT, "").header("x-content-length", "1").body(noise(9_000_000));
    assert_eq!(refused.send().await.code(), 400);
    until("what was refused to be gone", async || (bucket.objects() == 2).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_go_straight_into_an_upload_of_the_bucket() {
    let Some(bucket) = Bucket::start().await else { return };
    let board = bucket.board().await;
    let (granted, path) = Granted::weights(&board).await;
    let bytes = noise(2 * PART + 99);
    let id = granted.create().await;
    assert_eq!(granted.part(&id, "2", noise(7)).await.code(), 200);
    let mut named = Vec::new();
    for (part, number) in bytes.chunks(PART).zip(1..4_u32).rev() {
        let sent = granted.part(&id, &number.to_string(), part.to_vec()).await;
        assert_eq!((sent.code(), &sent.json()["etag"]), (200, &json!(hex(part))), "{}", sent.text());
        named.push((number, hex(part)));
    }
    assert_eq!(bucket.objects(), 0, "it is no object yet");
    let list: Vec<(u32, &str)> = named.iter().map(|(number, tag)| (*number, tag.as_str())).collect();
    let done = granted.complete(&id, &list).await;
    assert_eq!(done.code(), 200, "{}", done.text());
    assert_eq!(granted.complete(&id, &list).await.json()["url"], done.json()["url"]);
    let made = board.member.post(&path, &artifact(&done.json()["url"])).await;
    assert_eq!(hashing::compute(&board.house.app).await.unwrap(), 1);
    assert_eq!(board.anonymous.get(made.header("location")).await.json()["sha256"], hex(&bytes));

    let (small, _) = Granted::weights(&board).await;
    let id = small.create().await;
    for number in ["1", "2"] {
        assert_eq!(small.part(&id, number, "x").await.code(), 200);
    }
    let tag = hex(b"x");
    let refused = small.complete(&id, &[(1, &tag), (2, &tag)]).await;
    assert_blob_error(&refused, 400, "bad_request", "at least 5242880 bytes");
    assert_eq!(small.asking(Method::DELETE, "").send().await.code(), 200);
    assert_eq!(small.part(&id, "3", "x").await.code(), 409);
    assert_eq!(bucket.objects(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_row_names_is_swept_out_of_the_bucket_and_wrong_keys_are_no_fault_of_the_callers() {
    let Some(bucket) = Bucket::start().await else { return };
    let board = bucket.board().await;
    let (granted, path) = Granted::weights(&board).await;
    let url: Value = granted.put("kept").await.json()["url"].clone();
    assert_eq!(board.member.post(&path, &artifact(&url)).await.code(), 201);
    let (lost, _) = Granted::weights(&board).await;
    assert_eq!(lost.put("lost").await.code(), 200);
    lost.shift(&board, "ended_at", -25 * 3_600_000).await;
    assert_eq!(uploads::expire(&board.house.app, Millis::now()).await.unwrap(), 1);
    let folder = bucket.folder.path().join("files/board/one");
    std::fs::create_dir_all(folder.join("ab")).unwrap();
    std::fs::write(folder.join("ab/stray"), b"x").unwrap();
    age(&folder);
    assert_eq!(files::sweep(&board.house.app).await.unwrap(), 1);
    assert_eq!(bucket.objects(), 1);
    assert_eq!(board.anonymous.get(&local(&url)).await.body, b"kept");

    let flags = ["--blob-store", "s3://files"];
    let barred = Board::operated(&flags, bucket.variables("other"), QUICK).await;
    let (granted, _) = Granted::weights(&barred).await;
    let refused = granted.put("x").await;
    assert_blob_error(&refused, 503, "service_unavailable", "store of files");
}

/// Makes all objects look a day old.
fn age(folder: &Path) {
    for path in evalboard::blobs::list(folder).unwrap() {
        let file = std::fs::File::options().write(true).open(folder.join(path)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_hours(25)).unwrap();
    }
}
