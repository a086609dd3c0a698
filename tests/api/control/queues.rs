//! Where a run stands among others, and how long it will take.

use std::time::Duration;

use serde_json::json;

use super::{accepted, act};
use crate::support::field::{Field, samples, text, until};
use crate::support::provider::{Act, Gate, Script};

#[tokio::test(flavor = "multi_thread")]
async fn an_open_run_says_what_comes_first_and_how_long_it_takes() {
    let field = Field::start().await;
    let gate = Gate::closed();
    let held = gate.clone();
    let script = Script::by(move |asked| Act::Wait(held.clone(), asked.prompt().to_owned()));
    let slow = script.thinking(Duration::from_millis(20));
    field.model("model", slow, json!({"max_concurrency": 1})).await;
    let rows = samples(25, |at| (format!("say {at}"), format!("say {at}")));
    field.eval("say", "exact", json!({"samples": rows})).await;

    let first = field.trigger(json!({})).await;
    let leased = "SELECT COUNT(*) AS n FROM work_items WHERE state = 'leased'";
    until("what is leased ahead", async || (field.count(leased).await == 2).then_some(())).await;
    let second = field.trigger(json!({})).await;
    let planned = "SELECT COUNT(*) AS n FROM runs WHERE planned_at IS NOT NULL";
    until("two plans", async || (field.count(planned).await == 2).then_some(())).await;
    let run = field.run(&first).await;
    assert_eq!([&run["queue_position"], &run["eta_ms"]], [&json!(0), &json!(null)], "{run}");
    assert_eq!(field.run(&second).await["queue_position"], 1);
    gate.open();

    let run = until("an estimate", async || {
        let run = field.run(&first).await;
        (run["eta_ms"].is_i64() && run["case_done"].as_i64() > Some(3)).then_some(run)
    })
    .await;
    assert!((1..60_000).contains(&run["eta_ms"].as_i64().unwrap()), "{run}");
    let page = field.board.anonymous.get(&format!("/runs/{first}")).await.text();
    assert!(page.contains(" left, ") && page.contains(" a minute"), "{page}");
    for id in [first, second] {
        let run = field.ended(&id).await;
        assert!(run["queue_position"].is_null() && run["eta_ms"].is_null(), "{run}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_a_run_with_failures_says_how_to_ask_them_again() {
    let field = Field::start().await;
    field.model("model", Script::always(Act::Status(404, None)), json!({})).await;
    field.eval("one", "exact", json!({"prompt": "4", "expected_behavior": "4"})).await;
    let id = text(&field.run_all().await["id"]);
    let path = format!("/runs/{id}");
    let line = format!("/api/v1/runs/{id}/retry");
    let page = field.board.anonymous.get(&path).await.text();
    assert!(page.contains("curl -X POST") && page.contains(&line), "{page}");
    field.provider.script("model", Script::says("4"));
    accepted(&field, &id, "retry").await;
    field.ended(&id).await;
    let page = field.board.anonymous.get(&path).await.text();
    assert!(!page.contains(&line), "{page}");
    act(&field.board.member, &id, "retry").await.assert_refused(409, "code", "nothing_to_retry");
}
