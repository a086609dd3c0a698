//! Waits: a model that is limited, fails or hangs holds up no other model of its host and key.

use std::time::{Duration, Instant};

use evalboard::domain::time::Millis;
use evalboard::store::{Tx, plans};
use serde_json::{Value, json};

use super::leases::another_machine;
use crate::support::field::{Field, samples, text, until};
use crate::support::provider::{Act, Gate, Script};

const CASES: usize = 60;

fn echo() -> Script {
    Script::answers(str::to_owned)
}

async fn questions(field: &Field) -> String {
    let rows = samples(CASES, |at| (format!("say {at}"), format!("say {at}")));
    field.eval("many", "exact", json!({"samples": rows})).await
}

/// Runs a healthy model beside one with that script until the healthy one is done; the other makes no progress.
async fn beside(script: Script, more: Value) -> (Field, String, String) {
    let field = Field::start().await;
    let troubled = field.model("troubled", script, more).await;
    let healthy = field.model("healthy", echo(), json!({})).await;
    questions(&field).await;
    let run = field.trigger(json!({})).await;
    until("the healthy model", async || result_of(&field, &run, &healthy).await).await;
    let seen = field.run(&run).await;
    assert_eq!([&seen["status"], &seen["case_done"]], [&json!("running"), &json!(CASES)], "{seen}");
    (field, run, troubled)
}

async fn result_of(field: &Field, run: &str, model: &str) -> Option<Value> {
    let results = field.results(&json!({"id": run})).await;
    results.into_iter().find(|result| result["model_id"] == model && result["state"] == "complete")
}

/// The run once it waits for a model, as a caller with a key sees it.
async fn waiting(field: &Field, run: &str) -> Value {
    until("a wait", async || {
        let run = field.board.other.read(&format!("/api/v1/runs/{run}")).await;
        run["waiting"].as_array().is_some_and(|waits| !waits.is_empty()).then_some(run)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limited_model_holds_up_no_other_and_says_what_it_waits_for() {
    let limited = Script::always(Act::Status(429, Some(3_600)));
    let (field, run, troubled) = beside(limited, json!({})).await;

    let seen = waiting(&field, &run).await;
    let wait = &seen["waiting"][0];
    assert_eq!([&wait["model_id"], &wait["model_name"]], [&json!(troubled), &json!("troubled")]);
    assert_eq!([&wait["host"], &wait["cases"]], [&json!(field.provider.address.to_string()), &json!(CASES)]);
    let seconds =
        |field: &str| (wait[field].as_i64().unwrap() - seen["started_at"].as_i64().unwrap()) / 1_000;
    assert!((540..660).contains(&seconds("next_try_at")), "ten minutes, the longest wait: {wait}");
    assert!((840..960).contains(&seconds("gives_up_at")), "{wait}");
    let message = wait["message"].as_str().unwrap();
    let beginning = format!(
        "waiting for {} (model troubled): {} answered 429",
        field.provider.address, field.provider.address
    );
    assert!(message.starts_with(&beginning) && message.contains("next try "), "{message}");
    assert!(message.contains("gives up at "), "{message}");
    assert_eq!([&seen["error"], &seen["eta_ms"]], [&json!(message), &Value::Null], "{seen}");

    let page = field.board.anonymous.get(&format!("/runs/{run}")).await.text();
    assert!(page.contains("Waiting for <bdi>") && page.contains("gives up at "), "{page}");
    assert!(!page.contains(" left, "), "{page}");
    let page = field.board.anonymous.get(&format!("/models/{troubled}")).await.text();
    assert!(page.contains("waiting for ") && !page.contains("Start a run"), "{page}");
    assert!(field.provider.asked("troubled").len() <= 20, "it was asked again and again");

    // Once nobody waits for it, its next run is not held by what the last one waited for.
    let before = field.provider.asked("troubled").len();
    field.board.member.post(&format!("/api/v1/runs/{run}/cancel"), &json!({})).await;
    field.provider.script("troubled", echo());
    let again = field.trigger(json!({"model_ids": [troubled]})).await;
    assert_eq!(field.ended(&again).await["status"], "completed");
    assert!(field.provider.asked("troubled").len() >= before + CASES);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_limited_for_moments_holds_up_no_other() {
    let (field, run, troubled) = beside(Script::always(Act::Status(429, Some(1))), json!({})).await;
    let calls = field.provider.asked("troubled").len();
    assert!(calls <= 30, "{calls} calls to a model that names a time");
    field.provider.script("troubled", echo());
    let ended = field.ended(&run).await;
    assert_eq!([&ended["status"], &ended["case_errors"]], [&json!("completed"), &json!(0)], "{ended}");
    assert!(result_of(&field, &run, &troubled).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_limited_without_a_time_is_not_hammered() {
    let (field, run, _) = beside(Script::always(Act::Status(429, None)), json!({})).await;
    waiting(&field, &run).await;
    let (before, begun) = (field.provider.asked("troubled").len(), Instant::now());
    let calls = || field.provider.asked("troubled").len() - before;
    until("more calls", async || (calls() >= 3 && begun.elapsed() >= Duration::from_secs(2)).then_some(()))
        .await;
    let (calls, took) = (u128::try_from(calls()).unwrap(), begun.elapsed());
    let is_held = calls <= 20 + took.as_millis() / 100;
    assert!(is_held, "{calls} calls in {took:?}, of which a cooldown allows one in 300 ms");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_model_holds_up_no_other() {
    let (field, run, _) = beside(Script::always(Act::Status(503, None)), json!({})).await;
    let reason = text(&waiting(&field, &run).await["waiting"][0]["reason"]);
    assert!(reason.contains("answered 503"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_model_holds_up_no_other() {
    let (field, run, _) = beside(Script::always(Act::Hang), json!({"timeout_ms": 1_000})).await;
    let reason = text(&waiting(&field, &run).await["waiting"][0]["reason"]);
    assert!(reason.contains("did not answer in time"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_under_another_key_waits_on_its_own() {
    let limited = Script::by(|asked| match asked.headers.get("authorization").map(String::as_str) {
        Some("Bearer spent") => Act::Status(429, Some(3_600)),
        _ => Act::Say(asked.prompt().to_owned()),
    });
    let field = Field::start().await;
    let spent = field.model("same", limited.clone(), json!({"api_key": "spent"})).await;
    let uri = field.provider.uri("same");
    let other = json!({"name": "other", "inference_uri": uri, "api_key": "fresh"});
    let fresh = text(&field.board.member.made("/api/v1/models", &other).await["id"]);
    let twin = json!({"name": "twin", "inference_uri": uri, "api_key": "spent"});
    let twin = text(&field.board.member.made("/api/v1/models", &twin).await["id"]);
    questions(&field).await;
    let run = field.trigger(json!({})).await;
    until("the other key's model", async || result_of(&field, &run, &fresh).await).await;
    let seen = until("two waits", async || {
        let run = field.run(&run).await;
        (run["waiting"].as_array().map(Vec::len) == Some(2)).then_some(run)
    })
    .await;
    let mut waits: Vec<String> = (0..2).map(|at| text(&seen["waiting"][at]["model_id"])).collect();
    waits.sort();
    let mut wanted = vec![spent, twin];
    wanted.sort();
    assert_eq!(waits, wanted, "the same model under the same key shares the wait");
    let calls = field.provider.asked("same").len() - CASES;
    assert!(calls <= 20, "{calls} calls: the second registration asked anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_comes_back_is_found_again_by_all_its_models() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let field = Field::allowing(&address.to_string()).await;
    let mut models = Vec::new();
    for name in ["first", "second", "third"] {
        let uri = format!("openai-compatible:http://{address}/v1#{name}");
        let made =
            field.board.member.made("/api/v1/models", &json!({"name": name, "inference_uri": uri})).await;
        models.push(text(&made["id"]));
    }
    questions(&field).await;
    let run = field.trigger(json!({})).await;
    until("three waits", async || {
        let waits = field.run(&run).await["waiting"].as_array().map(Vec::len);
        (waits == Some(3)).then_some(())
    })
    .await;
    let reason = text(&field.run(&run).await["waiting"][0]["reason"]);
    assert!(reason.contains("could not be reached"), "{reason}");

    let back = crate::support::provider::Provider::start_at(address);
    for name in ["first", "second", "third"] {
        back.script(name, echo());
    }
    let ended = field.ended(&run).await;
    assert_eq!([&ended["status"], &ended["case_errors"]], [&json!("completed"), &json!(0)], "{ended}");
    for model in models {
        assert!(result_of(&field, &run, &model).await.is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn items_of_an_earlier_release_move_to_the_queues_of_their_models() {
    let field = Field::start().await;
    field.model("troubled", Script::always(Act::Status(429, Some(3_600))), json!({})).await;
    let healthy = field.model("healthy", echo(), json!({})).await;
    questions(&field).await;
    field.board.house.app.engine.stop().await;
    let run = field.trigger(json!({})).await;
    let make_old = |tx: &mut Tx<'_>| {
        while plans::extend(tx, 1_000, Millis::now())? {}
        tx.execute("UPDATE run_cells SET endpoint = 'host#none'", &[])?;
        tx.execute("UPDATE work_items SET endpoint = 'host#none'", &[])
    };
    let moved = field.board.house.app.store.write(make_old).await.unwrap();
    assert_eq!(moved, 2 * CASES);
    let machine = another_machine(&field.board).await;
    until("the healthy model", async || result_of(&field, &run, &healthy).await).await;
    let old = "SELECT COUNT(*) AS n FROM work_items WHERE endpoint = 'host#none'";
    assert_eq!(field.count(old).await, 0);
    machine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_with_a_limit_of_one_that_hangs_holds_up_no_other() {
    let more = json!({"timeout_ms": 60_000, "max_concurrency": 1});
    let (field, _, _) = beside(Script::always(Act::Hang), more).await;
    assert_eq!(field.provider.asked("troubled").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_model_leaves_a_fast_one_of_its_key_its_share() {
    let field = Field::start().await;
    let gate = Gate::closed();
    let held = gate.clone();
    let slow = Script::by(move |asked| Act::Wait(held.clone(), asked.prompt().to_owned()));
    field.model("slow", slow, json!({})).await;
    let fast = field.model("fast", echo(), json!({})).await;
    questions(&field).await;
    let run = field.trigger(json!({})).await;
    until("the fast model", async || result_of(&field, &run, &fast).await).await;
    let asked = field.provider.asked("slow").len();
    assert!((1..CASES).contains(&asked), "the slow model was asked {asked} times");
    gate.open();
    assert_eq!(field.ended(&run).await["status"], "completed");
}
