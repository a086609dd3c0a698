//! The real program, killed again and again while it scores stored answers again: no answer is lost, none is scored
//! twice, and no model is asked a second time.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use super::audit::Audit;
use crate::support::field::{samples, text, until};
use crate::support::provider::{Act, Provider, Script};
use crate::support::site::Site;

/// Answers that are scored again.
const SAMPLES: usize = 300;
/// How often the server dies meanwhile.
const KILLS: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_while_it_rescores_scores_each_answer_once_and_asks_no_model() {
    let provider = Provider::start();
    let site = Site::new(&provider);
    let mut server = site.start().await;
    let caller = site.caller();
    provider.script("echo", Script::answers(str::to_owned));
    provider.script("grader", Script::always(Act::verdict(0.5)).thinking(Duration::from_millis(60)));
    let grader = json!({"name": "grader", "inference_uri": provider.uri("grader"), "is_active": false, "api_key": "g"});
    caller.post("/api/v1/models", &grader).await;
    caller.post("/api/v1/models", &json!({"name": "echo", "inference_uri": provider.uri("echo")})).await;
    let rows = samples(SAMPLES, |at| (format!("say {at}"), format!("say {at}")));
    let eval = json!({"name": "say", "prompt": "{{input}}", "eval_type": "exact", "samples": rows});
    let eval = text(&caller.post("/api/v1/evals", &eval).await["id"]);
    let ended = async |path: &str| {
        until("the end of a run", async || {
            let run = caller.ask(Method::GET, path, None, None).await?.body;
            (run["status"] != "running" && run["status"] != "queued").then_some(run)
        })
        .await
    };
    let first = text(&caller.post("/api/v1/runs", &json!({})).await["id"]);
    assert_eq!(ended(&format!("/api/v1/runs/{first}")).await["status"], "completed");
    let parts = json!([{"type": "exact"}, {"type": "rubric", "rubric": "Says it.", "grader": "grader"}]);
    let edit = json!({"eval_type": "multi", "eval_criteria": {"scorers": parts}, "pass_threshold": 0.5});
    let path = format!("/api/v1/evals/{eval}");
    assert_eq!(caller.ask(Method::PATCH, &path, None, Some(&edit)).await.unwrap().status, 200);
    let again = text(&caller.post(&format!("/api/v1/runs/{first}/rescore"), &json!({})).await["id"]);
    let path = format!("/api/v1/runs/{again}");

    let mut done = 0;
    for _ in 0..KILLS {
        until("some progress", async || {
            let now = caller.ask(Method::GET, &path, None, None).await?.body["case_done"].as_i64()?;
            (now > done).then(|| done = now)
        })
        .await;
        drop(server);
        server = site.start().await;
        let now = caller.get(&path).await.body["case_done"].as_i64().unwrap();
        assert!(now >= done, "{done} cases were done, and then {now}");
    }
    assert!(done < i64::try_from(SAMPLES).unwrap(), "it was over before it was killed");
    let run = ended(&path).await;
    assert_eq!([&run["status"], &run["case_errors"]], [&json!("completed"), &json!(0)], "{run}");
    let results = caller.get(&format!("{path}/results")).await.body;
    assert_eq!(
        [&results[0]["case_count"], &results[0]["score"]],
        [&json!(SAMPLES), &json!(0.75)],
        "{results}"
    );
    let board = caller.get("/api/v1/leaderboard").await.body;
    assert_eq!(board[0]["scores"][&eval]["result_id"], results[0]["id"], "{board}");
    drop(server);

    assert_eq!(provider.asked("echo").len(), SAMPLES, "a model was asked again");
    let cases = 2 * i64::try_from(SAMPLES).unwrap();
    let audit = Audit::of(&site.database()).await;
    assert_eq!(audit, Audit { cases, duplicates: 0, lost: 0, harmed: 0, inconsistent: 0 });
    assert_eq!(site.errors(), Vec::<String>::new());
}
