//! Budgets: a run stops when what it spent reaches what it may spend.

use std::time::Duration;

use serde_json::{Value, json};

use super::act;
use crate::support::field::{Field, samples, text};
use crate::support::provider::{Act, Script};

/// A dollar for the ten tokens of a question.
fn a_dollar_a_case() -> Value {
    json!({"input_price": 100_000.0, "output_price": 0.0, "max_concurrency": 1})
}

async fn questions(field: &Field, name: &str, count: usize) -> String {
    let rows = samples(count, |at| (format!("{name} {at}"), format!("{name} {at}")));
    field.eval(name, "exact", json!({"samples": rows})).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_reaches_its_budget_stops_and_says_so() {
    let field = Field::start().await;
    let refuses_one = Script::by(|asked| match asked.prompt() {
        "fail 0" => Act::Status(404, None),
        prompt => Act::Say(prompt.to_owned()),
    });
    // Longer than a case takes to be recorded, so that the call after the last one is broken off.
    let refuses_one = refuses_one.thinking(Duration::from_millis(300));
    field.model("model", refuses_one, a_dollar_a_case()).await;
    let failed = questions(&field, "fail", 1).await;
    let short = questions(&field, "short", 2).await;
    let long = questions(&field, "long", 3_000).await;
    let body = json!({"budget_usd": 4, "eval_ids": [failed, short, long]});
    let id = field.trigger(body).await;
    let run = field.ended(&id).await;

    assert_eq!(run["status"], "cancelled", "{run}");
    assert_eq!([&run["budget_usd"], &run["cost_usd"]], [4.0, 4.0], "{run}");
    assert_eq!([&run["case_done"], &run["case_errors"]], [5, 1], "{run}");
    let said = text(&run["error"]);
    assert!(said.contains("budget of $4.00 was reached: $4.00 was spent"), "{said}");
    assert!(field.provider.count() <= 8, "{} calls", field.provider.count());
    let board = field.leaderboard().await;
    let held: Vec<&String> = board[0]["scores"].as_object().unwrap().keys().collect();
    assert_eq!(held, [&short]);
    act(&field.board.member, &id, "retry").await.assert_refused(409, "code", "budget_spent");
    let page = field.board.anonymous.get(&format!("/runs/{id}")).await.text();
    assert!(page.contains("Budget") && page.contains("$4.00 was spent"), "{page}");
    assert!(!page.contains("/retry"), "what cannot be retried is not offered");
    let open = "SELECT COUNT(*) AS n FROM work_items WHERE state IN ('ready', 'leased')";
    crate::support::field::until("no open item", async || (field.count(open).await == 0).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_that_is_not_reached_changes_nothing() {
    let field = Field::start().await;
    field.model("model", Script::answers(str::to_owned), a_dollar_a_case()).await;
    questions(&field, "say", 3).await;
    let id = field.trigger(json!({"budget_usd": 3.5})).await;
    let run = field.ended(&id).await;
    assert_eq!([&run["status"], &run["error"]], [&json!("completed"), &Value::Null], "{run}");
    let last = field.trigger(json!({"budget_usd": 3})).await;
    assert_eq!(field.ended(&last).await["status"], "completed", "the last case may reach it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_without_prices_is_refused_by_the_name_of_the_model() {
    let field = Field::start().await;
    let unpriced = field.model("unpriced", Script::says("4"), json!({"input_price": 1.0})).await;
    let judge = json!({"is_active": false, "output_price": 1.0});
    let judge = field.model("judge", Script::always(Act::verdict(1.0)), judge).await;
    let priced = field.model("priced", Script::says("4"), a_dollar_a_case()).await;
    questions(&field, "say", 1).await;
    let criteria = json!({"rubric": "Right?", "grader": judge});
    let judged = field.eval("judged", "rubric", json!({"prompt": "2+2?", "eval_criteria": criteria})).await;
    for (only, name) in [
        (json!({"model_ids": [unpriced]}), "unpriced"),
        (json!({"model_ids": [priced], "eval_ids": [judged]}), "judge"),
        (json!({"model_ids": [priced], "eval_ids": [judged], "dry_run": true}), "judge"),
    ] {
        let mut body = only;
        body["budget_usd"] = json!(10);
        let refused = field.board.member.post("/api/v1/runs", &body).await;
        refused.assert_refused(400, "field", "budget_usd");
        let said = text(&refused.json()["error"]);
        assert!(said.contains(&format!("what {name} costs")) && said.contains("input_price"), "{said}");
    }
    assert_eq!(field.count("SELECT COUNT(*) AS n FROM runs").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_cost_becomes_unknown_stops_too() {
    let field = Field::start().await;
    let silent = json!({"choices": [{"index": 0, "finish_reason": "stop",
                                     "message": {"role": "assistant", "content": "say 0"}}]});
    let script = Script::always(Act::Body(silent.to_string().into_bytes()));
    // Longer than a case takes to be recorded, so that the second call is broken off.
    let script = script.thinking(Duration::from_millis(300));
    field.model("silent", script, a_dollar_a_case()).await;
    questions(&field, "say", 5).await;
    let id = field.trigger(json!({"budget_usd": 100})).await;
    let run = field.ended(&id).await;
    assert_eq!([&run["status"], &run["case_done"]], [&json!("cancelled"), &json!(1)], "{run}");
    assert!(text(&run["error"]).contains("what a case cost is not known"), "{run}");
}
