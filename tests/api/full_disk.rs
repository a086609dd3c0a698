//! A disk that is full: a small file system in memory, which only the server of the test sees.

mod restarts;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use reqwest::{Client, Method, Response};
use serde_json::{Value, json};

use crate::support::field::{text, until};
use crate::support::forms::{BOUNDARY, Form};
use crate::support::grants::{PART, artifact, hex, noise};

/// What makes a name space in which a file system can be mounted: for anybody; for root, where others may not; and
/// for whoever may become root.
const WAYS: [&[&str]; 3] = [&["unshare", "-rm"], &["unshare", "-m"], &["sudo", "-n", "unshare", "-m"]];

/// Serves a board from a disk of 48 MB. It answers each line with the number of files on the disk, which nobody else
/// sees, and ends, with the server, when no more lines come.
const SCRIPT: &str = r#"
mount -t tmpfs -o size=48m tmpfs "$1/disk" || exit 1
"$2" key create --admin --email a@example.org --data-dir "$1/disk" || exit 1
"$2" --data-dir "$1/disk" --listen "$3" 2> "$1/log" &
while read -r _; do find "$1/disk/files" -type f | wc -l; done
kill -9 $!
"#;

/// A server on a small disk; both go with it.
struct Small {
    shell: Child,
    said: BufReader<ChildStdout>,
    base: String,
    key: String,
    client: Client,
}

impl Drop for Small {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        drop(self.shell.wait());
    }
}

/// How a file system can be mounted here. Without a way the test fails where EVALBOARD_DISK is 1, as in `make test`,
/// and elsewhere says that it is skipped.
fn way() -> Option<&'static [&'static str]> {
    let works = |way: &&&[&str]| {
        let mount = ["sh", "-c", "mount -t tmpfs -o size=1m tmpfs /mnt"];
        let tried = Command::new(way[0]).args(&way[1..]).args(mount).output();
        tried.is_ok_and(|tried| tried.status.success())
    };
    let way = WAYS.iter().find(works).copied();
    if way.is_none() {
        let why = "no file system can be mounted here: neither in a name space of one's own, nor as root";
        assert!(std::env::var_os("EVALBOARD_DISK").is_none_or(|value| value != "1"), "{why}");
        println!("skipped: {why}");
    }
    way
}

fn line(said: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    line.trim().to_owned()
}

impl Small {
    async fn start(way: &[&str], outside: &Path) -> Self {
        std::fs::create_dir(outside.join("disk")).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let mut shell = Command::new(way[0])
            .args(&way[1..])
            .args(["sh", "-c", SCRIPT, "sh"])
            .arg(outside)
            .args([env!("CARGO_BIN_EXE_evalboard"), &address])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(shell.stdout.take().unwrap());
        let key = line(&mut said);
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().unwrap();
        let small = Self { shell, said, base: format!("http://{address}"), key, client };
        until("the server to be ready", async || {
            let asked = small.client.get(format!("{}/readyz", small.base)).send().await;
            asked.ok().filter(|answer| answer.status() == 200)
        })
        .await;
        small
    }

    async fn ask(&self, method: Method, path: &str, token: &str, body: impl Into<reqwest::Body>) -> Response {
        let request = self.client.request(method, format!("{}{path}", self.base)).bearer_auth(token);
        request.header("content-type", "application/json").body(body).send().await.unwrap()
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let answer = self.ask(Method::POST, path, &self.key, body.to_string()).await;
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.unwrap()
    }

    /// Where the artifacts of a new model are.
    async fn artifacts(&self) -> String {
        let model = self.post("/api/v1/models", json!({"name": "w", "inference_uri": "builtin:echo"})).await;
        format!("/api/v1/models/{}/artifacts", text(&model["id"]))
    }

    async fn delete(&self, artifacts: &str, one: &Value) {
        let path = format!("{artifacts}/{}", text(&one["id"]));
        // What was refused gives its room back in the background, and a deletion needs a little.
        let deleted = async || {
            let status = self.ask(Method::DELETE, &path, &self.key, "").await.status().as_u16();
            assert!(matches!(status, 200 | 507), "{status}");
            (status == 200).then_some(())
        };
        until("room for a deletion", deleted).await;
    }

    /// Asks for an upload and puts this file up.
    async fn put(&self, artifacts: &str, bytes: Vec<u8>) -> (u16, Value) {
        let granted =
            self.post(&format!("{artifacts}/request-upload"), json!({"file_name": "weights.bin"})).await;
        let path = format!("/api/blob?pathname={}", text(&granted["pathname"]));
        let answer = self.ask(Method::PUT, &path, &text(&granted["client_token"]), bytes).await;
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// Begins a file in parts; answers its grant and its id.
    async fn begin(&self, artifacts: &str) -> (Value, String) {
        let granted =
            self.post(&format!("{artifacts}/request-upload"), json!({"file_name": "weights.bin"})).await;
        let (status, begun) = self.act(&granted, "create", &[], Vec::new()).await;
        assert_eq!(status, 200, "{begun}");
        (granted, text(&begun["uploadId"]))
    }

    async fn act(
        &self,
        granted: &Value,
        action: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> (u16, Value) {
        let path = format!("{}/api/blob/mpu?pathname={}", self.base, text(&granted["pathname"]));
        let request = self.client.post(path).bearer_auth(text(&granted["client_token"]));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let answer = request.header("x-mpu-action", action).body(body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn part(&self, granted: &Value, id: &str, number: usize, part: &[u8]) -> (u16, Value) {
        let number = number.to_string();
        let headers = [("x-mpu-upload-id", id), ("x-mpu-part-number", number.as_str())];
        self.act(granted, "upload", &headers, part.to_vec()).await
    }

    /// Has these parts put together.
    async fn complete(&self, granted: &Value, id: &str, parts: &[&[u8]]) -> (u16, Value) {
        let named =
            parts.iter().zip(1..).map(|(part, number)| json!({"partNumber": number, "etag": hex(part)}));
        let body = Value::from_iter(named).to_string().into_bytes();
        let headers = [("x-mpu-upload-id", id), ("content-type", "application/json")];
        self.act(granted, "complete", &headers, body).await
    }

    /// How many files are on its disk.
    fn files(&mut self) -> usize {
        writeln!(self.shell.stdin.as_ref().unwrap()).unwrap();
        line(&mut self.said).parse().unwrap()
    }

    /// Waits until that many files are on its disk.
    async fn expect_files(&mut self, files: usize) {
        until("as many files as there should be", async || (self.files() == files).then_some(())).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_files_whole_and_takes_them_again_once_there_is_room() {
    let Some(way) = way() else { return };
    let outside = tempfile::tempdir().unwrap();
    let mut small = Small::start(way, outside.path()).await;
    let artifacts = small.artifacts().await;

    let (status, first) = small.put(&artifacts, noise(20_000_000)).await;
    assert_eq!(status, 200, "{first}");
    let first = small.post(&artifacts, artifact(&first["url"])).await;
    for _ in 0..2 {
        let (status, refused) = small.put(&artifacts, noise(60_000_000)).await;
        assert_eq!((status, &refused["code"]), (507, &json!("full")), "{refused}");
        assert_eq!(refused["error"]["code"], "bad_request", "the client must not try again");
        small.expect_files(1).await;
    }
    let form = Form::default().field("name", "W").field("artifact_type", "weights");
    let form = form.file("w", None, &noise(60_000_000));
    let sent = small.client.post(format!("{}{artifacts}", small.base)).bearer_auth(&small.key);
    let sent = sent.header("content-type", format!("multipart/form-data; boundary={BOUNDARY}"));
    assert_eq!(sent.body(form.bytes()).send().await.unwrap().status(), 507);
    small.expect_files(1).await;
    let listed = small.ask(Method::GET, &artifacts, &small.key, "").await;
    assert_eq!(listed.status(), 200);
    assert_eq!(listed.json::<Value>().await.unwrap().as_array().unwrap().len(), 1, "reads go on");

    let (status, _) = small.put(&artifacts, noise(30_000_000)).await;
    assert_eq!(status, 507, "there is no room yet");
    // What came of it is removed in the background, and until then even a deletion has no room.
    small.expect_files(1).await;
    small.delete(&artifacts, &first).await;
    small.expect_files(0).await;
    let (status, second) = small.put(&artifacts, noise(30_000_000)).await;
    assert_eq!(status, 200, "{second}");
    small.post(&artifacts, artifact(&second["url"])).await;
    assert_eq!(small.files(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_parts_and_keeps_those_it_has_until_there_is_room() {
    let Some(way) = way() else { return };
    let outside = tempfile::tempdir().unwrap();
    let mut small = Small::start(way, outside.path()).await;
    let artifacts = small.artifacts().await;
    let (status, first) = small.put(&artifacts, noise(28_000_000)).await;
    assert_eq!(status, 200, "{first}");
    let first = small.post(&artifacts, artifact(&first["url"])).await;

    let bytes = noise(3 * PART);
    let parts: Vec<&[u8]> = bytes.chunks(PART).collect();
    let (granted, id) = small.begin(&artifacts).await;
    for number in [3, 1] {
        let (status, sent) = small.part(&granted, &id, number, parts[number - 1]).await;
        assert_eq!(status, 200, "{number}: {sent}");
    }
    for _ in 0..2 {
        let (status, refused) = small.part(&granted, &id, 2, parts[1]).await;
        assert_eq!((status, &refused["code"]), (507, &json!("full")), "{refused}");
    }
    // Smaller parts than the client of Vercel Blob sends are copied to the whole.
    let (other, other_id) = small.begin(&artifacts).await;
    let pieces: Vec<&[u8]> = bytes.chunks(1_500_000).take(2).collect();
    for (piece, number) in pieces.iter().zip(1..) {
        let (status, sent) = small.part(&other, &other_id, number, piece).await;
        assert_eq!(status, 200, "{number}: {sent}");
    }
    let (status, refused) = small.complete(&other, &other_id, &pieces).await;
    assert_eq!((status, &refused["code"]), (507, &json!("full")), "{refused}");

    small.delete(&artifacts, &first).await;
    small.expect_files(2).await;
    let (status, sent) = small.part(&granted, &id, 2, parts[1]).await;
    assert_eq!(status, 200, "{sent}");
    for (granted, id, parts, whole) in
        [(&granted, &id, parts, bytes.clone()), (&other, &other_id, pieces.clone(), pieces.concat())]
    {
        let (status, done) = small.complete(granted, id, &parts).await;
        assert_eq!(status, 200, "{done}");
        let got = small.client.get(text(&done["url"])).send().await.unwrap().bytes().await.unwrap();
        assert!(got == whole);
        small.post(&artifacts, artifact(&done["url"])).await;
    }
    assert_eq!(small.files(), 2);
}
