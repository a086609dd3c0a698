//! Giving up: a run ends although one of its models cannot be called, says why, and takes it up again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use evalboard::store::Tx;
use serde_json::{Value, json};

use super::leases::another_machine;
use crate::support::field::{Field, samples, text, until};
use crate::support::provider::{Act, Script};

const CASES: usize = 30;
const HOUR_MS: i64 = 3_600_000;

fn echo() -> Script {
    Script::answers(str::to_owned)
}

async fn questions(field: &Field) -> String {
    let rows = samples(CASES, |at| (format!("say {at}"), format!("say {at}")));
    field.eval("many", "exact", json!({"samples": rows})).await
}

/// Moves what is stored of waits an hour back, as if no server had run for that long.
fn make_an_hour_old(tx: &mut Tx<'_>) -> evalboard::error::Result<usize> {
    tx.execute(
        "UPDATE run_waits SET next_try_at = next_try_at - ?1, gives_up_at = gives_up_at - ?1",
        evalboard::values![HOUR_MS],
    )
}

/// The cases of the only result of a model in a run.
async fn cases(field: &Field, run: &str, model: &str) -> Vec<Value> {
    let results = field.results(&json!({"id": run})).await;
    let result = results.into_iter().find(|result| result["model_id"] == model).expect("a result");
    assert_eq!(result["state"], "incomplete", "{result}");
    assert_eq!(result["error"], format!("{CASES} of {CASES} failed: gave_up"), "{result}");
    field.cases(&result).await
}

/// The words of a case's error, as its owner reads them.
async fn words(field: &Field, case: &Value) -> String {
    text(&field.get(&format!("/api/v1/cases/{}", text(&case["id"]))).await["error_message"])
}

/// A run gives up on a model that never answers, beside a healthy one.
async fn gives_up(field: &Field, model: &str, reason: &str) -> String {
    let healthy = field.model("healthy", echo(), json!({})).await;
    questions(field).await;
    let run = field.trigger(json!({"give_up_after_ms": 5_000})).await;
    let ended = field.ended(&run).await;
    assert_eq!([&ended["status"], &ended["case_done"]], [&json!("completed"), &json!(2 * CASES)], "{ended}");
    assert_eq!([&ended["case_errors"], &ended["waiting"]], [&json!(CASES), &json!([])], "{ended}");
    let error = text(&ended["error"]);
    assert!(error.starts_with("gave up on troubled after ") && error.contains(reason), "{error}");
    let cases = cases(field, &run, model).await;
    assert_eq!(cases.len(), CASES);
    assert!(cases.iter().all(|case| case["state"] == "error" && case["error"] == "gave_up"), "{cases:?}");
    let said = words(field, &cases[0]).await;
    assert!(said.contains("without a case, waiting for ") && said.contains(reason), "{said}");
    let results = field.results(&json!({"id": run})).await;
    assert!(results.iter().any(|result| result["model_id"] == healthy && result["state"] == "complete"));
    assert_eq!(
        field.count("SELECT COUNT(*) AS n FROM work_items WHERE state IN ('ready', 'leased')").await,
        0
    );
    until("nothing kept", async || {
        (field.count("SELECT COUNT(*) AS n FROM run_waits").await == 0).then_some(())
    })
    .await;
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_limited_for_ever_is_given_up_and_a_retry_takes_it_up() {
    let field = Field::start().await;
    let model = field.model("troubled", Script::always(Act::Status(429, Some(3_600))), json!({})).await;
    let run = gives_up(&field, &model, "answered 429").await;

    field.provider.script("troubled", echo());
    let retried = field.board.member.post(&format!("/api/v1/runs/{run}/retry"), &json!({})).await;
    assert_eq!(retried.code(), 202, "{}", retried.text());
    let ended = field.ended(&run).await;
    assert_eq!([&ended["status"], &ended["case_errors"]], [&json!("completed"), &json!(0)], "{ended}");
    assert_eq!([&ended["error"], &ended["case_done"]], [&Value::Null, &json!(2 * CASES)], "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_limited_without_a_time_is_given_up() {
    let field = Field::start().await;
    let model = field.model("troubled", Script::always(Act::Status(429, None)), json!({})).await;
    gives_up(&field, &model, "answered 429").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_model_is_given_up() {
    let field = Field::start().await;
    let model = field.model("troubled", Script::always(Act::Status(503, None)), json!({})).await;
    gives_up(&field, &model, "answered 503").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_model_is_given_up() {
    let field = Field::start().await;
    let model = field.model("troubled", Script::always(Act::Hang), json!({"timeout_ms": 1_000})).await;
    gives_up(&field, &model, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_at_a_closed_port_is_given_up() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let field = Field::allowing(&address).await;
    let body =
        json!({"name": "troubled", "inference_uri": format!("openai-compatible:http://{address}/v1#x")});
    let model = text(&field.board.member.made("/api/v1/models", &body).await["id"]);
    gives_up(&field, &model, "could not be reached").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_at_an_unknown_host_is_given_up() {
    let field = Field::allowing("nowhere.invalid:443").await;
    let body = json!({"name": "troubled", "inference_uri": "openai-compatible:https://nowhere.invalid/v1#x"});
    let model = text(&field.board.member.made("/api/v1/models", &body).await["id"]);
    gives_up(&field, &model, "could not be reached").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_nothing_else_fails_and_says_that_it_gave_up() {
    let field = Field::start().await;
    field.model("troubled", Script::always(Act::Status(503, None)), json!({})).await;
    questions(&field).await;
    let run = field.trigger(json!({"give_up_after_ms": 1_000})).await;
    let ended = field.ended(&run).await;
    assert_eq!([&ended["status"], &ended["case_errors"]], [&json!("failed"), &json!(CASES)], "{ended}");
    assert!(text(&ended["error"]).starts_with("gave up on troubled after "), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_progresses_slowly_is_not_given_up() {
    let field = Field::start().await;
    // Each answer takes a tenth of the time that a run waits; all of them take longer than that.
    let slow = echo().thinking(Duration::from_millis(500));
    field.model("slow", slow, json!({"max_concurrency": 1})).await;
    let rows = samples(12, |at| (format!("say {at}"), format!("say {at}")));
    field.eval("few", "exact", json!({"samples": rows})).await;
    let run = field.trigger(json!({"give_up_after_ms": 5_000})).await;
    let ended = field.ended(&run).await;
    assert_eq!([&ended["status"], &ended["case_errors"]], [&json!("completed"), &json!(0)], "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_behind_another_one_is_not_given_up_while_it_waits_for_its_turn() {
    let field = Field::start().await;
    // A run takes less than the time that each waits; all of them take three times as long.
    let slow = echo().thinking(Duration::from_millis(400));
    let model = field.model("slow", slow, json!({"max_concurrency": 1})).await;
    let rows = samples(10, |at| (format!("say {at}"), format!("say {at}")));
    let eval = field.eval("few", "exact", json!({"samples": rows})).await;
    let body = json!({"model_ids": [model], "eval_ids": [eval], "give_up_after_ms": 5_000});
    let mut runs = Vec::new();
    for _ in 0..4 {
        runs.push(field.trigger(body.clone()).await);
    }
    for run in runs {
        let ended = field.ended(&run).await;
        assert_eq!([&ended["status"], &ended["case_errors"]], [&json!("completed"), &json!(0)], "{ended}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_without_progress_survives_a_restart_and_does_not_count_while_off() {
    let field = Field::start().await;
    field.model("troubled", Script::always(Act::Status(429, Some(3_600))), json!({})).await;
    questions(&field).await;
    let run = field.trigger(json!({"give_up_after_ms": 10_000})).await;
    let held = "SELECT COALESCE(MAX(held_ms), -1) AS n FROM run_waits WHERE gave_up IS NULL";
    until("some time without progress", async || (field.count(held).await > 1_000).then_some(())).await;
    field.board.house.app.engine.stop().await;
    field.board.house.app.store.write(make_an_hour_old).await.unwrap();
    let before = field.count(held).await;
    let other = another_machine(&field.board).await;

    let mut least = before;
    let ended = until("the end", async || {
        let now = field.count(held).await;
        least = if now >= 0 { least.min(now) } else { least };
        let run = field.run(&run).await;
        run["completed_at"].is_i64().then_some(run)
    })
    .await;
    assert!(least >= before, "it began anew: {least} ms of {before} ms were left");
    assert_eq!([&ended["status"], &ended["case_errors"]], [&json!("failed"), &json!(CASES)], "{ended}");
    let at_the_end =
        field.count("SELECT COALESCE(MAX(held_ms), -1) AS n FROM run_waits WHERE gave_up IS NOT NULL").await;
    assert!((10_000..HOUR_MS).contains(&at_the_end), "the time while off counted: {at_the_end} ms");
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grader_that_is_down_lets_the_run_give_up() {
    let field = Field::start().await;
    let is_down = Arc::new(AtomicBool::new(true));
    let state = Arc::clone(&is_down);
    let grader = Script::by(move |_| match state.load(Ordering::Acquire) {
        true => Act::Status(503, None),
        false => Act::Say(r#"{"reasoning": "right", "score": 1}"#.to_owned()),
    });
    let grader = field.model("grader", grader, json!({"is_active": false, "api_key": "grader"})).await;
    let model = field.model("model", echo(), json!({})).await;
    let rows = samples(CASES, |at| (format!("say {at}"), format!("say {at}")));
    let eval = json!({"samples": rows, "eval_criteria": {"grader": grader, "rubric": "Is it right?"}});
    field.eval("graded", "rubric", eval).await;
    let run = field.trigger(json!({"model_ids": [model], "give_up_after_ms": 1_500})).await;
    let ended = field.ended(&run).await;
    assert_eq!(ended["case_done"], CASES, "{ended}");
    assert!(text(&ended["error"]).contains("the grader cannot be asked"), "{ended}");
    is_down.store(false, Ordering::Release);
    field.board.member.post(&format!("/api/v1/runs/{run}/retry"), &json!({})).await;
    let ended = field.ended(&run).await;
    assert_eq!([&ended["status"], &ended["case_errors"]], [&json!("completed"), &json!(0)], "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_that_makes_no_sense_is_refused() {
    let field = Field::start().await;
    field.model("model", echo(), json!({})).await;
    questions(&field).await;
    for time in [json!(0), json!(999), json!(-1), json!(2_592_000_001_i64)] {
        let refused = field.board.member.post("/api/v1/runs", &json!({"give_up_after_ms": time})).await;
        refused.assert_refused(400, "field", "give_up_after_ms");
    }
    let run = json!({"cron": "@daily", "name": "Nightly", "run": {"give_up_after_ms": 60_000}});
    let made = field.board.admin.made("/api/v1/schedules", &run).await;
    assert_eq!(made["run"]["give_up_after_ms"], 60_000, "{made}");
}
