//! A clock that steps, few file descriptors, another master key.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::rounds;
use super::session::{Session, answers_or_ends, faults_after};
use crate::support::field::{samples, text, until};
use crate::support::provider::{Act, Script};
use crate::support::site::{Caller, Site};

const TWO_HOURS: i64 = 2 * 60 * 60;
/// Requests between two faults.
const STEPS: usize = 20;
/// Open files that the server may have, and connections that are opened to it.
const FILES: usize = 256;
const CONNECTIONS: usize = 300;

#[tokio::test(flavor = "multi_thread")]
async fn stepping_clock_holds_up_no_run_and_loses_nothing() {
    for seed in rounds() {
        step_the_clock(seed).await;
    }
}

async fn step_the_clock(seed: u64) {
    let (mut session, server) = Session::begin(seed, false).await;
    // Each case waits once before it is called again.
    let limited = Script::by(|asked| match asked.nth % 2 {
        1 => Act::Status(429, Some(1)),
        _ => Act::Say(asked.prompt().to_owned()),
    });
    session.provider.script("limited", limited);
    let model = json!({"name": "limited", "inference_uri": session.provider.uri("limited")});
    let model = session.caller.post("/api/v1/models", &model).await["id"].take();
    let rows = samples(12, |at| (format!("wait {at}"), format!("wait {at}")));
    let eval = json!({"name": "wait", "prompt": "{{input}}", "eval_type": "exact", "samples": rows});
    let eval = session.caller.post("/api/v1/evals", &eval).await["id"].take();
    let caller = session.caller.clone();
    session
        .work(async |at_work| {
            for (step, at) in [TWO_HOURS, 0].into_iter().zip(1..) {
                let run = json!({"model_ids": [model], "eval_ids": [eval], "on_board": false});
                let run = format!("/api/v1/runs/{}", text(&caller.post("/api/v1/runs", &run).await["id"]));
                until("the first cases", async || {
                    (caller.get(&run).await.body["case_done"].as_i64()? > 0).then_some(())
                })
                .await;
                at_work.shim.step_clock(step);
                assert_eq!(
                    server_clock(&caller, &format!("{at} now")).await,
                    step / TWO_HOURS,
                    "the server has another clock"
                );
                at_work.more(STEPS / 4).await;
                let ended = until("the end of the run", async || {
                    let run = caller.get(&run).await.body;
                    (run["status"] != "running" && run["status"] != "queued").then_some(run)
                })
                .await;
                assert_eq!([&ended["status"], &ended["case_errors"]], [&json!("completed"), &json!(0)]);
            }
        })
        .await;
    session.assert_whole(server).await;
}

/// How far the clock of the server is from the real one, in steps of two hours: a model of that name is made by it.
async fn server_clock(caller: &Caller, name: &str) -> i64 {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
    let model = json!({"name": name, "inference_uri": "builtin:echo"});
    let made = caller.post("/api/v1/models", &model).await["created_at"].as_i64().unwrap() / 1_000;
    (made - now + TWO_HOURS / 2).div_euclid(TWO_HOURS)
}

#[tokio::test(flavor = "multi_thread")]
async fn few_file_descriptors_lose_nothing_acknowledged() {
    for seed in rounds() {
        run_short_of_files(seed).await;
    }
}

async fn run_short_of_files(seed: u64) {
    rlimit::increase_nofile_limit(4096).unwrap();
    let (mut session, server) = Session::begin(seed, false).await;
    let address = session.site.address();
    let server = session
        .work(async |at_work| {
            drop(server);
            let mut server = at_work.site.spawn_by(limited());
            at_work.site.ready().await;
            let mut open = Vec::new();
            for _ in 0..CONNECTIONS {
                open.push(TcpStream::connect(address).await.unwrap());
            }
            at_work.more(STEPS / 4).await;
            assert!(!server.has_ended());
            drop(open);
            at_work.more(STEPS).await;
            server
        })
        .await;
    session.assert_whole(server).await;
}

/// The program, which may have few files open.
fn limited() -> Command {
    let mut shell = Command::new("sh");
    let script = format!("ulimit -n {FILES} && exec \"$@\"");
    shell.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_evalboard")]);
    shell
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_master_key_harms_nothing_that_is_sealed() {
    for seed in rounds() {
        change_the_master_key(seed).await;
    }
}

async fn change_the_master_key(seed: u64) {
    let (mut session, server) = Session::begin(seed, false).await;
    let model =
        json!({"name": "sealed", "inference_uri": session.provider.uri("sealed"), "api_key": "sk-kept"});
    let model = session.caller.post("/api/v1/models", &model).await["id"].take();
    session.provider.script("sealed", Script::answers(str::to_owned));
    session.work(async |at_work| at_work.more(STEPS).await).await;
    assert_eq!(faults_after(&session.site, server).await, Vec::<String>::new());

    let key = session.site.path().join("master.key");
    let kept = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    answers_or_ends(&session.site, &session.caller, &["master"]).await;
    // Whatever was made in its place is another one.
    let other = Site::new(&session.provider);
    drop(other.start().await);
    std::fs::copy(other.path().join("master.key"), &key).unwrap();
    answers_or_ends(&session.site, &session.caller, &["master"]).await;
    std::fs::write(&key, kept).unwrap();

    let server = session.site.try_start().await.unwrap();
    let rows = samples(1, |_| ("kept".to_owned(), "kept".to_owned()));
    let eval = json!({"name": "kept", "prompt": "{{input}}", "eval_type": "exact", "samples": rows});
    let eval = session.caller.post("/api/v1/evals", &eval).await["id"].take();
    let run: Value = json!({"model_ids": [model], "eval_ids": [eval]});
    session.caller.post("/api/v1/runs", &run).await;
    let asked = until("a call", async || session.provider.asked("sealed").first().cloned()).await;
    assert_eq!(asked.headers["authorization"], "Bearer sk-kept");
    session.assert_whole(server).await;
}
