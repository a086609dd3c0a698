//! A disk that is full: a small file system in memory, which only the server of the test sees.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use reqwest::{Client, Method, Response};
use serde_json::{Value, json};

use crate::support::field::{text, until};
use crate::support::forms::Form;
use crate::support::grants::noise;

/// What unshare takes to make a name space in which a file system can be mounted: for anybody, and for root where
/// others may not.
const WAYS: [&str; 2] = ["-rm", "-m"];

/// A server on a disk of 48 MB; both go with it.
struct Small {
    child: Child,
    folder: PathBuf,
    base: String,
    key: String,
    client: Client,
}

impl Drop for Small {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// How a file system can be mounted here, if at all.
fn way() -> Option<&'static str> {
    let works = |way: &&str| {
        let mount = "mount -t tmpfs -o size=1m tmpfs /mnt";
        Command::new("unshare")
            .args([way, "sh", "-c", mount])
            .output()
            .is_ok_and(|tried| tried.status.success())
    };
    WAYS.into_iter().find(works)
}

impl Small {
    async fn start(way: &str, outside: &Path) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = outside.join("disk");
        std::fs::create_dir(&folder).unwrap();
        let script = "mount -t tmpfs -o size=48m tmpfs \"$1/disk\" \
                      && \"$2\" key create --admin --email a@example.org --data-dir \"$1/disk\" > \"$1/key\" \
                      && exec \"$2\" --data-dir \"$1/disk\" --listen 127.0.0.1:$3 2> \"$1/log\"";
        let child = Command::new("unshare")
            .args([way, "sh", "-c", script, "sh"])
            .arg(outside)
            .args([env!("CARGO_BIN_EXE_evalboard"), &port.to_string()])
            .spawn()
            .unwrap();
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().unwrap();
        let base = format!("http://127.0.0.1:{port}");
        until("the server to be ready", async || {
            client.get(format!("{base}/readyz")).send().await.ok().filter(|answer| answer.status() == 200)
        })
        .await;
        let key = std::fs::read_to_string(outside.join("key")).unwrap().trim().to_owned();
        Self { child, folder, base, key, client }
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

    /// Asks for an upload and puts this file up.
    async fn put(&self, artifacts: &str, bytes: Vec<u8>) -> (u16, Value) {
        let granted = self.post(&format!("{artifacts}/request-upload"), json!({"file_name": "w.bin"})).await;
        let path = format!("/api/blob?pathname={}", text(&granted["pathname"]));
        let answer = self.ask(Method::PUT, &path, &text(&granted["client_token"]), bytes).await;
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// The files on its disk: seen through the process, since nobody else sees the disk.
    fn files(&self) -> usize {
        let folder = self.folder.strip_prefix("/").unwrap().join("files");
        let seen = Path::new("/proc").join(self.child.id().to_string()).join("root").join(folder);
        evalboard::blobs::list(&seen).unwrap().len()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_files_whole_and_takes_them_again_once_there_is_room() {
    let Some(way) = way() else {
        println!(
            "CANNOT RUN: no file system can be mounted here, neither as root nor in a name space of one's own"
        );
        return;
    };
    let outside = tempfile::tempdir().unwrap();
    let small = Small::start(way, outside.path()).await;
    let model = small.post("/api/v1/models", json!({"name": "w", "inference_uri": "builtin:echo"})).await;
    let artifacts = format!("/api/v1/models/{}/artifacts", text(&model["id"]));
    let artifact =
        |url: &Value| json!({"blob_url": url, "file_name": "w.bin", "name": "W", "artifact_type": "weights"});

    let (status, first) = small.put(&artifacts, noise(20_000_000)).await;
    assert_eq!(status, 200, "{first}");
    let first = small.post(&artifacts, artifact(&first["url"])).await;
    for _ in 0..2 {
        let (status, refused) = small.put(&artifacts, noise(60_000_000)).await;
        assert_eq!((status, &refused["code"]), (507, &json!("full")), "{refused}");
        assert_eq!(refused["error"]["code"], "bad_request", "the client must not try again");
        until("what was written to be gone", async || (small.files() == 1).then_some(())).await;
    }
    let form = Form::default().field("name", "W").field("artifact_type", "weights").file(
        "w",
        None,
        &noise(60_000_000),
    );
    let boundary = format!("multipart/form-data; boundary={}", crate::support::forms::BOUNDARY);
    let sent = small.client.post(format!("{}{artifacts}", small.base)).bearer_auth(&small.key);
    let sent = sent.header("content-type", boundary).body(form.bytes()).send().await.unwrap();
    assert_eq!(sent.status(), 507);
    until("what was written to be gone", async || (small.files() == 1).then_some(())).await;
    let listed = small.ask(Method::GET, &artifacts, &small.key, "").await;
    assert_eq!(listed.status(), 200);
    assert_eq!(listed.json::<Value>().await.unwrap().as_array().unwrap().len(), 1, "reads go on");

    let (status, _) = small.put(&artifacts, noise(30_000_000)).await;
    assert_eq!(status, 507, "there is no room yet");
    let own = format!("{artifacts}/{}", text(&first["id"]));
    assert_eq!(small.ask(Method::DELETE, &own, &small.key, "").await.status(), 200);
    until("the room", async || (small.files() == 0).then_some(())).await;
    let (status, second) = small.put(&artifacts, noise(30_000_000)).await;
    assert_eq!(status, 200, "{second}");
    small.post(&artifacts, artifact(&second["url"])).await;
    assert_eq!(small.files(), 1);
}
