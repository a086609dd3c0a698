//! Asking again what has no score: the same run goes on, and only those cases are asked.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::{accepted, act};
use crate::support::field::{Field, samples, text, until};
use crate::support::provider::{Act, Gate, Script, USAGE};

/// Repeats the prompt.
fn echo() -> Script {
    Script::answers(str::to_owned)
}

/// Repeats every prompt but refuses those that end in one of these, for good.
fn echo_but(gaps: &'static [&'static str]) -> Script {
    Script::by(move |asked| {
        let is_gap = gaps.iter().any(|gap| asked.prompt().ends_with(gap));
        if is_gap { Act::Status(404, None) } else { Act::Say(asked.prompt().to_owned()) }
    })
}

async fn questions(field: &Field, name: &str, count: usize) -> String {
    let rows = samples(count, |at| (format!("{name} {at}"), format!("{name} {at}")));
    field.eval(name, "exact", json!({"samples": rows})).await
}

async fn ids(field: &Field, result: &Value) -> BTreeSet<String> {
    field.cases(result).await.iter().map(|case| text(&case["id"])).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_failed_cases_are_asked_again_and_the_cell_moves_the_board() {
    let field = Field::start().await;
    let prices = json!({"input_price": 2.0, "output_price": 8.0});
    let model = field.model("model", echo_but(&[" 3", " 7"]), prices).await;
    let eval = questions(&field, "say", 10).await;
    let sound = questions(&field, "name", 3).await;
    let run = field.run_all().await;
    let id = text(&run["id"]);
    assert_eq!([&run["case_errors"], &run["completed_count"]], [2, 2], "{run}");
    assert!(field.leaderboard().await[0]["scores"].get(&eval).is_none());
    let before = field.result(&run, &model, &eval).await;
    let kept = ids(&field, &before).await;
    let untouched = field.result(&run, &model, &sound).await;

    let gate = Gate::closed();
    let held = gate.clone();
    field
        .provider
        .script("model", Script::by(move |asked| Act::Wait(held.clone(), asked.prompt().to_owned())));
    let asked_before = field.provider.count();
    let open = accepted(&field, &id, "retry").await;
    assert_eq!([&open["status"], &open["completed_at"]], [&json!("running"), &Value::Null], "{open}");
    assert_eq!([&open["case_total"], &open["case_done"], &open["case_errors"]], [13, 11, 0], "{open}");
    assert_eq!(open["completed_count"], 1);
    act(&field.board.member, &id, "retry").await.assert_refused(409, "code", "run_open");
    gate.open();

    let after = field.ended(&id).await;
    assert_eq!(after["status"], "completed");
    assert_eq!(
        [&after["case_done"], &after["case_errors"], &after["completed_count"]],
        [13, 0, 2],
        "{after}"
    );
    assert!(after["completed_at"].as_i64() >= run["completed_at"].as_i64());
    assert_eq!(field.provider.count() - asked_before, 2);
    let result = field.result(&after, &model, &eval).await;
    assert_eq!(result["id"], before["id"]);
    assert_eq!([&result["state"], &result["error"]], [&json!("complete"), &Value::Null]);
    assert_eq!([&result["case_count"], &result["scored_count"], &result["error_count"]], [10, 10, 0]);
    assert_eq!([&result["input_tokens"], &result["output_tokens"]], [10 * USAGE.0, 10 * USAGE.1]);
    assert_eq!(result["score"], 1.0);
    let cases = ids(&field, &result).await;
    assert_eq!((cases.len(), cases.intersection(&kept).count()), (10, 8));
    assert_eq!(field.result(&after, &model, &sound).await["case_count"], untouched["case_count"]);
    assert_eq!(field.leaderboard().await[0]["scores"][&eval]["result_id"], result["id"]);
    act(&field.board.member, &id, "retry").await.assert_refused(409, "code", "nothing_to_retry");
    assert_eq!(field.count("SELECT COUNT(*) AS n FROM cases").await, 13);
    assert_eq!(field.count("SELECT COUNT(*) AS n FROM case_texts").await, 13);
    let items = "SELECT COUNT(*) AS n FROM work_items WHERE state = 'done' AND attempt = 2";
    assert_eq!(field.count(items).await, 2, "the fence grew where it was asked again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_complete_cell_stays_on_the_board_while_its_few_gaps_are_asked_again() {
    let field = Field::start().await;
    field.model("nearly", echo_but(&[" 17"]), json!({})).await;
    questions(&field, "say", 100).await;
    let run = field.run_all().await;
    let before = field.leaderboard().await;
    let gate = Gate::closed();
    let held = gate.clone();
    field
        .provider
        .script("nearly", Script::by(move |asked| Act::Wait(held.clone(), asked.prompt().to_owned())));

    accepted(&field, &text(&run["id"]), "retry").await;
    let meanwhile = field.leaderboard().await;
    assert_eq!([&meanwhile[0]["avg_score"], &meanwhile[0]["runs"]], [&before[0]["avg_score"], &json!(1)]);
    gate.open();
    field.ended(&text(&run["id"])).await;
    let after = field.leaderboard().await;
    assert_eq!([&after[0]["avg_score"], &after[0]["runs"]], [&json!(1.0), &json!(1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_again_can_be_retried_again_and_a_failed_run_can_be_completed() {
    let field = Field::start().await;
    let model = field.model("down", Script::always(Act::Status(404, None)), json!({})).await;
    let eval = questions(&field, "say", 4).await;
    let run = field.run_all().await;
    let id = text(&run["id"]);
    assert_eq!([&run["status"], &run["error"]], [&json!("failed"), &json!("no case could be measured")]);

    accepted(&field, &id, "retry").await;
    let again = field.ended(&id).await;
    assert_eq!([&again["status"], &again["case_errors"]], [&json!("failed"), &json!(4)]);
    field.provider.script("down", echo());
    accepted(&field, &id, "retry").await;
    let after = field.ended(&id).await;
    assert_eq!([&after["status"], &after["error"]], [&json!("completed"), &Value::Null]);
    assert_eq!(field.result(&after, &model, &eval).await["score"], 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_is_retried_for_what_it_asked_and_stays_cancelled() {
    let field = Field::start().await;
    let gate = Gate::closed();
    let held = gate.clone();
    let script = Script::by(move |asked| match asked.prompt() {
        "say 1" => Act::Status(404, None),
        prompt if prompt < "say 4" => Act::Say(prompt.to_owned()),
        prompt => Act::Wait(held.clone(), prompt.to_owned()),
    });
    let model = field.model("model", script, json!({"max_concurrency": 2})).await;
    let eval = questions(&field, "say", 9).await;
    let id = field.trigger(json!({})).await;
    until("four cases", async || (field.run(&id).await["case_done"] == 4).then_some(())).await;
    assert_eq!(act(&field.board.member, &id, "cancel").await.code(), 200);
    until("no flights", async || (field.board.house.app.engine.in_flight() == 0).then_some(())).await;
    let asked = field.provider.count();
    field.provider.script("model", echo());

    accepted(&field, &id, "retry").await;
    let run = field.ended(&id).await;
    assert_eq!(run["status"], "cancelled", "{run}");
    assert_eq!([&run["case_total"], &run["case_done"], &run["case_errors"]], [9, 4, 0], "{run}");
    assert_eq!(field.provider.count() - asked, 1, "what was never asked stays so");
    let result = field.result(&run, &model, &eval).await;
    assert_eq!([&result["state"], &result["scored_count"]], [&json!("incomplete"), &json!(4)]);
    assert_eq!(result["error"], "5 of 9 failed: cancelled");
    act(&field.board.member, &id, "retry").await.assert_refused(409, "code", "nothing_to_retry");
}

#[tokio::test(flavor = "multi_thread")]
async fn cells_of_what_was_deleted_are_left_as_they_are() {
    let field = Field::start().await;
    let gone = field.model("gone", Script::always(Act::Status(404, None)), json!({"api_key": "a"})).await;
    field.model("stays", echo_but(&[" 1"]), json!({"api_key": "b"})).await;
    let dropped = questions(&field, "drop", 2).await;
    let eval = questions(&field, "say", 4).await;
    let run = field.run_all().await;
    let id = text(&run["id"]);
    for path in [format!("/api/v1/models/{gone}"), format!("/api/v1/evals/{dropped}")] {
        assert_eq!(field.board.member.delete(&path).await.code(), 200);
    }
    let asked = field.provider.count();
    field.provider.script("stays", echo());
    accepted(&field, &id, "retry").await;
    let after = field.ended(&id).await;
    assert_eq!([&after["status"], &after["case_errors"]], [&json!("completed"), &json!(4)], "{after}");
    assert_eq!(field.provider.count() - asked, 1);
    assert_eq!(field.result(&after, &gone, &eval).await["error_count"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retried_run_may_be_cancelled() {
    let field = Field::start().await;
    let model = field.model("model", echo_but(&[" 1"]), json!({})).await;
    let eval = questions(&field, "say", 3).await;
    let id = text(&field.run_all().await["id"]);
    field.provider.script("model", Script::always(Act::Hang));
    accepted(&field, &id, "retry").await;
    assert_eq!(act(&field.board.member, &id, "cancel").await.json()["case_done"], 2);
    let run = field.run(&id).await;
    assert_eq!([&run["status"], &run["case_total"]], [&json!("cancelled"), &json!(3)], "{run}");
    assert_eq!(field.result(&run, &model, &eval).await["error"], "1 of 3 failed: cancelled");
    // The case that was taken away was not asked to its end: it is one that was never asked.
    act(&field.board.member, &id, "retry").await.assert_refused(409, "code", "nothing_to_retry");
    assert_eq!(field.leaderboard().await[0]["avg_score"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_goes_while_its_cases_are_asked_again_ends_the_run() {
    let field = Field::start().await;
    let model = field.model("model", Script::always(Act::Status(404, None)), json!({"api_key": "a"})).await;
    field.model("other", echo(), json!({"api_key": "b"})).await;
    questions(&field, "say", 3).await;
    let id = text(&field.run_all().await["id"]);
    field.provider.script("model", Script::always(Act::Hang));
    accepted(&field, &id, "retry").await;
    assert_eq!(field.board.member.delete(&format!("/api/v1/models/{model}")).await.code(), 200);
    let run = field.ended(&id).await;
    assert_eq!(run["status"], "completed", "{run}");
    assert_eq!([&run["case_total"], &run["case_done"], &run["completed_count"]], [3, 3, 1], "{run}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_is_done_once_by_its_key_and_by_owner_or_admin_only() {
    let field = Field::start().await;
    field.model("model", echo_but(&[" 1"]), json!({})).await;
    questions(&field, "say", 3).await;
    let id = text(&field.run_all().await["id"]);
    let path = format!("/api/v1/runs/{id}/retry");
    let by = |client: &'static str| match client {
        "other" => &field.board.other,
        "anonymous" => &field.board.anonymous,
        _ => &field.board.member,
    };
    act(by("anonymous"), &id, "retry").await.assert_refused(401, "code", "unauthorized");
    act(by("other"), &id, "retry").await.assert_refused(403, "code", "forbidden");
    let ask = || {
        let request = field.board.member.ask(reqwest::Method::POST, &path);
        request.header("idempotency-key", "again").send()
    };
    let first = ask().await;
    assert_eq!((first.code(), first.header("location")), (202, format!("/api/v1/runs/{id}").as_str()));
    field.ended(&id).await;
    let asked = field.provider.count();
    let second = ask().await;
    assert_eq!((second.code(), second.json()), (202, first.json()));
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(field.provider.count(), asked);
    assert_eq!(field.run(&id).await["status"], "completed");
    assert_eq!(act(&field.board.admin, &id, "retry").await.code(), 202);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_a_run_is_told_of_the_cases_that_were_asked_again() {
    let field = Field::start().await;
    field.model("model", echo_but(&[" 2"]), json!({"max_concurrency": 1})).await;
    questions(&field, "say", 3).await;
    let id = text(&field.run_all().await["id"]);
    let newest = "SELECT MAX(id) AS n FROM cases";
    let place = field.count(newest).await;
    field.provider.script("model", echo());
    accepted(&field, &id, "retry").await;
    field.ended(&id).await;
    assert!(field.count(newest).await > place, "the last case's id was given twice");
}
