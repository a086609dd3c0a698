//! The real program, killed again and again in the middle of a run.

use std::collections::HashSet;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::RngExt;
use reqwest::Client;
use serde_json::{Value, json};

use crate::support::field::{list, samples, text, until};
use crate::support::provider::{Provider, Script};

const KILLS: usize = 5;
const SAMPLES: usize = 150;
const KEY: &str = "sk-ant-canary";

/// A data folder with what serves it, at an address that stays the same.
struct Site {
    folder: tempfile::TempDir,
    address: SocketAddr,
    egress: String,
    anthropic: String,
}

/// A running server, which dies with its owner.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Site {
    fn new(provider: &Provider) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        Self {
            folder: tempfile::tempdir().unwrap(),
            address,
            egress: provider.address.to_string(),
            anthropic: provider.anthropic_base_url(),
        }
    }

    async fn start(&self) -> Running {
        let server = program(self.folder.path())
            .args(["--rate-read", "100000", "--rate-read-burst", "100000"])
            .args(["--rate-write", "100000", "--rate-write-burst", "100000"])
            .args(["--listen", &self.address.to_string()])
            .env("EVALBOARD_EGRESS_ALLOW", &self.egress)
            .env("EVALBOARD_PROVIDER_ANTHROPIC_BASE_URL", &self.anthropic)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let running = Running(server);
        let url = format!("http://{}/readyz", self.address);
        let client = client();
        until("the server to be ready", async || {
            client.get(&url).send().await.ok().filter(|answer| answer.status() == 200)
        })
        .await;
        running
    }

    fn make_key(&self) -> String {
        let made = Command::new(env!("CARGO_BIN_EXE_evalboard"))
            .args(["key", "create", "--admin", "--email", "admin@example.org", "--data-dir"])
            .arg(self.folder.path())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        String::from_utf8(made.stdout).unwrap().trim_end().to_owned()
    }
}

fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evalboard"));
    command.arg("--data-dir").arg(folder);
    command
}

fn client() -> Client {
    Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().unwrap()
}

/// A caller that lives through the server's deaths.
#[derive(Clone)]
struct Caller {
    client: Client,
    base: String,
    key: String,
}

impl Caller {
    /// What was made, if the server lived long enough to say so.
    async fn try_post(&self, path: &str, body: &Value) -> Option<Value> {
        let request = self.client.post(format!("{}{path}", self.base)).bearer_auth(&self.key).json(body);
        let answer = request.send().await.ok()?;
        let status = answer.status();
        let body = answer.text().await.ok()?;
        assert!(status.is_success(), "{path}: {status} {body}");
        serde_json::from_str(&body).ok()
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.try_post(path, &body).await.expect("a server that answers")
    }

    async fn get(&self, path: &str) -> (Value, String) {
        let answer = self.client.get(format!("{}{path}", self.base)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        let total =
            answer.headers().get("x-total-count").map_or("", |total| total.to_str().unwrap()).to_owned();
        (answer.json().await.unwrap(), total)
    }

    /// Two models over two evals.
    async fn register(&self, provider: &Provider) {
        let narrow = |name: &str, uri: String, key: &str| json!({"name": name, "inference_uri": uri, "max_concurrency": 3, "api_key": key});
        let answers = || Script::answers(str::to_owned).thinking(Duration::from_millis(10));
        for (model, uri) in [("echo", provider.uri("echo")), ("claude", "anthropic/claude".to_owned())] {
            provider.script(model, answers());
            self.post("/api/v1/models", narrow(model, uri, KEY)).await;
        }
        for name in ["first", "second"] {
            let rows = samples(SAMPLES, |at| (format!("{name} {at}"), format!("{name} {at}")));
            let eval = json!({"name": name, "prompt": "{{input}}", "eval_type": "exact", "samples": rows});
            self.post("/api/v1/evals", eval).await;
        }
    }
}

/// Registers one thing after the other, and writes down the address of each that was acknowledged.
async fn keep_writing(caller: Caller, ledger: Arc<Mutex<Vec<String>>>) {
    let model = json!({"name": "idle", "inference_uri": "builtin:echo", "is_active": false});
    let eval = json!({"name": "idle", "prompt": "2+2?", "eval_type": "exact", "expected_behavior": "4",
                      "is_active": false});
    loop {
        for (path, body) in [("/api/v1/models", &model), ("/api/v1/evals", &eval)] {
            match caller.try_post(path, body).await {
                Some(made) => ledger.lock().unwrap().push(format!("{path}/{}", text(&made["id"]))),
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_outlives_a_server_that_is_killed_again_and_again() {
    let provider = Provider::start();
    let site = Site::new(&provider);
    let mut server = site.start().await;
    let base = format!("http://{}", site.address);
    let caller = Caller { client: client(), base, key: site.make_key() };
    caller.register(&provider).await;
    let run = text(&caller.post("/api/v1/runs", json!({})).await["id"]);
    let ledger = Arc::default();
    let writer = tokio::spawn(keep_writing(caller.clone(), Arc::clone(&ledger)));

    for _ in 0..KILLS {
        let enough = provider.count() + rand::rng().random_range(10..40);
        until("the run to go on", async || (provider.count() >= enough).then_some(())).await;
        drop(server);
        server = site.start().await;
    }
    let (status, _) = caller.get(&format!("/api/v1/runs/{run}")).await;
    assert_eq!(status["status"], "running", "the run ended before the last kill");
    let ended = async || {
        let (run, _) = caller.get(&format!("/api/v1/runs/{run}")).await;
        (run["status"] != "running").then_some(run)
    };
    let run = until("the end of the run", ended).await;
    assert!(!writer.is_finished(), "a write was refused");
    writer.abort();

    let cases = i64::try_from(4 * SAMPLES).unwrap();
    assert_eq!(run["status"], "completed", "{run}");
    assert_eq!([&run["case_done"], &run["case_total"], &run["case_errors"]], [cases, cases, 0]);
    every_case_is_there_once(&caller, &run).await;
    let acknowledged = ledger.lock().unwrap().clone();
    assert!(acknowledged.len() > KILLS, "the writer hardly wrote: {}", acknowledged.len());
    for path in acknowledged {
        caller.get(&path).await;
    }
    assert_eq!(provider.asked("claude")[0].headers["x-api-key"], KEY);
    drop(server);
}

async fn every_case_is_there_once(caller: &Caller, run: &Value) {
    let (results, total) = caller.get(&format!("/api/v1/runs/{}/results", text(&run["id"]))).await;
    assert_eq!(total, "4");
    for result in list(&results) {
        assert_eq!([&result["state"], &result["score"]], [&json!("complete"), &json!(1.0)]);
        let (cases, total) = caller.get(&format!("/api/v1/results/{}/cases", text(&result["id"]))).await;
        assert_eq!(total, SAMPLES.to_string());
        let samples: HashSet<String> = list(&cases).iter().map(|case| text(&case["sample_id"])).collect();
        assert_eq!(samples.len(), SAMPLES);
    }
}
