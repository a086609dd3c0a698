//! What becomes of a run: its cells, its counters, its money, and what its failures are called.

mod answers;
mod changes;
mod checks;
mod faults;
mod giving_up;
mod grading;
mod hostile_grading;
mod leases;
mod limits;
mod misbehaving;
mod money;
mod parts;
mod reasoning;
mod reservations;
mod scoring;
mod waits;
mod wire_faults;

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::field::{Field, count, samples, text, until};
use crate::support::provider::{Act, Script, USAGE};

/// Ten questions, each of which is its own answer.
fn ten() -> Value {
    json!({"samples": samples(10, |at| (format!("say {at}"), format!("say {at}")))})
}

/// Repeats the prompt.
fn echo() -> Script {
    Script::answers(str::to_owned)
}

fn near(value: &Value, expected: f64) -> bool {
    value.as_f64().is_some_and(|value| (value - expected).abs() < 1e-9)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_over_models_and_evals_ends_completed_and_adds_up() {
    let field = Field::start().await;
    let prices = json!({"input_price": 2.0, "output_price": 8.0});
    let priced = field.model("priced", echo(), prices).await;
    let free = field.model("free", Script::says("say 0"), json!({})).await;
    let ten_of = field.eval("ten", "exact", ten()).await;
    let one = field.eval("one", "includes", json!({"prompt": "say 0", "expected_behavior": "0"})).await;

    let run = field.run_all().await;

    assert_eq!(run["status"], "completed", "{run}");
    assert_eq!([&run["total_models"], &run["total_evals"], &run["completed_count"]], [2, 2, 4]);
    assert_eq!([&run["case_total"], &run["case_done"], &run["case_errors"]], [22, 22, 0]);
    assert!(run["cost_usd"].is_null(), "one model has no price: {run}");
    let result = field.result(&run, &priced, &ten_of).await;
    let cost = (USAGE.0 * 2 + USAGE.1 * 8) * 10;
    assert!(near(&result["cost_usd"], f64::from(u32::try_from(cost).unwrap()) / 1e6), "{result}");
    assert_eq!([&result["input_tokens"], &result["output_tokens"]], [10 * USAGE.0, 10 * USAGE.1]);
    assert_eq!([&result["score"], &field.result(&run, &free, &ten_of).await["score"]], [1.0, 0.1]);
    assert_eq!(field.result(&run, &free, &one).await["score"], 1.0);
    assert_eq!(field.result(&run, &free, &ten_of).await["cost_usd"], Value::Null);
    assert_eq!(field.provider.count(), 22);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_goes_to_its_endpoint_and_the_parameters_go_along() {
    let field = Field::start().await;
    let more = json!({"api_key": "sk-canary", "parameters": {"system_prompt": "Be brief."}});
    let model = field.model("keyed", Script::says("4"), more).await;
    let eval = field.eval("sum", "exact", json!({"prompt": "2+2?", "expected_behavior": "4"})).await;
    let run = field.run_all().await;

    let asked = field.provider.asked("keyed");
    assert_eq!(asked[0].headers["authorization"], "Bearer sk-canary");
    assert_eq!(asked[0].messages[0], json!({"role": "system", "content": "Be brief."}));
    assert_eq!(asked[0].prompt(), "2+2?");
    let case = field.only_case(&run, &model, &eval).await;
    assert_eq!(case["prompt"], json!(asked[0].messages));
    assert!(!case.to_string().contains("canary"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_never_asked_more_at_once_than_it_allows() {
    let field = Field::start().await;
    let script = echo().thinking(Duration::from_millis(15));
    field.model("narrow", script.clone(), json!({"max_concurrency": 3, "api_key": "a"})).await;
    field.model("wide", script, json!({"api_key": "b"})).await;
    let many = samples(40, |at| (format!("say {at}"), format!("say {at}")));
    field.eval("many", "exact", json!({"samples": many})).await;

    assert_eq!(field.run_all().await["status"], "completed");

    assert_eq!(field.provider.most_at_once("narrow"), 3);
    let wide = field.provider.most_at_once("wide");
    assert!((4..=20).contains(&wide), "{wide}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_epoch_is_a_case_and_the_score_is_the_mean() {
    let field = Field::start().await;
    let every_other = Script::by(|asked| Act::Say(if asked.nth % 2 == 0 { "yes" } else { "no" }.to_owned()));
    let model = field.model("wavering", every_other, json!({"max_concurrency": 1})).await;
    let two = samples(2, |at| (format!("question {at}"), "yes".to_owned()));
    let eval = field.eval("epochs", "exact", json!({"samples": two, "epochs": 4})).await;
    let run = field.run_all().await;

    let result = field.result(&run, &model, &eval).await;
    assert_eq!([&result["case_count"], &result["n_items"], &result["epochs"]], [8, 2, 4]);
    assert!(near(&result["score"], 0.5), "{result}");
    let mut cases: Vec<(String, i64)> = field.cases(&result).await.iter().map(place).collect();
    cases.sort();
    let expected = ["0", "1"].iter().flat_map(|sample| (1..=4).map(|epoch| ((*sample).to_owned(), epoch)));
    assert_eq!(cases, expected.collect::<Vec<_>>());
}

fn place(case: &Value) -> (String, i64) {
    (text(&case["sample_id"]), case["epoch"].as_i64().unwrap())
}

/// Repeats every prompt but refuses those that end in one of these, for good.
fn echo_but(gaps: &'static [&'static str]) -> Script {
    Script::by(move |asked| {
        let is_gap = gaps.iter().any(|gap| asked.prompt().ends_with(gap));
        if is_gap { Act::Status(404, None) } else { Act::Say(asked.prompt().to_owned()) }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cell_with_too_many_gaps_is_shown_with_its_bounds_and_not_ranked() {
    let field = Field::start().await;
    let model = field.model("gappy", echo_but(&[" 7"]), json!({})).await;
    let eval = field.eval("ten", "exact", ten()).await;
    let run = field.run_all().await;

    assert_eq!(run["status"], "completed");
    assert_eq!(run["case_errors"], 1);
    let result = field.result(&run, &model, &eval).await;
    assert_eq!(result["state"], "incomplete");
    assert_eq!(result["error"], "1 of 10 failed: provider_not_found");
    assert!(near(&result["score_low"], 0.9) && near(&result["score_high"], 1.0), "{result}");
    assert!(result["ci_low"].is_null() && result["ci_high"].is_null(), "{result}");
    let row = &field.leaderboard().await[0];
    assert_eq!([&result["score"], &row["rank"], &row["avg_score"]], [&Value::Null; 3]);
    assert!(near(&row["incomplete"][&eval]["bounds"]["if_right"], 1.0), "{row}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_complete_cell_stays_on_the_board_when_a_later_one_has_gaps() {
    let field = Field::start().await;
    let model = field.model("declining", echo(), json!({})).await;
    field.eval("ten", "exact", ten()).await;
    field.run_all().await;
    let before = field.leaderboard().await;
    assert_eq!(before[0]["model_id"], model);
    field.provider.script("declining", echo_but(&[" 1", " 2"]));
    field.run_all().await;
    let after = field.leaderboard().await;
    for name in ["avg_score", "ci_low", "last_run_at", "rank", "runs"] {
        assert_eq!(after[0][name], before[0][name], "{name}");
    }
    assert_eq!([&after[0]["attempts"], &after[0]["unfinished"]], [2, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_few_gaps_count_as_wrong() {
    let field = Field::start().await;
    let model = field.model("nearly", echo_but(&["say 17", "say 71"]), json!({})).await;
    let hundred = samples(100, |at| (format!("say {at}"), format!("say {at}")));
    let eval = field.eval("hundred", "exact", json!({"samples": hundred})).await;
    let run = field.run_all().await;

    let result = field.result(&run, &model, &eval).await;
    assert_eq!(result["state"], "complete");
    assert!(near(&result["score"], 0.98), "{result}");
    let board = field.leaderboard().await;
    assert!(near(&board[0]["avg_score"], 0.98), "{board:?}");
    assert_eq!([&board[0]["errors"], &board[0]["n_items"]], [2, 100]);
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_on_one_endpoint_take_turns() {
    let field = Field::start().await;
    let slow = echo().thinking(Duration::from_millis(10));
    field.model("shared", slow, json!({"max_concurrency": 2})).await;
    let long = samples(300, |at| (format!("long {at}"), format!("long {at}")));
    let short = samples(20, |at| (format!("short {at}"), format!("short {at}")));
    let long = field.eval("long", "exact", json!({"samples": long})).await;
    let short = field.eval("short", "exact", json!({"samples": short})).await;

    let first = field.trigger(json!({"eval_ids": [long]})).await;
    until("the first run to be on its way", async || (field.provider.count() >= 30).then_some(())).await;
    let second = field.trigger(json!({"eval_ids": [short]})).await;
    assert_eq!(field.ended(&second).await["status"], "completed");
    assert_eq!(field.run(&first).await["status"], "running", "the second run waited for the first to end");
    assert_eq!(field.ended(&first).await["status"], "completed");

    let prompts: Vec<bool> =
        field.provider.asked("shared").iter().map(|asked| asked.prompt().starts_with("short")).collect();
    let begun = prompts.iter().position(|is_short| *is_short).unwrap();
    let ended = prompts.iter().rposition(|is_short| *is_short).unwrap();
    let between = prompts[begun..ended].iter().filter(|is_short| !**is_short).count();
    assert!((5..=60).contains(&between), "{between} calls of the long run among 20 of the short one");
    assert_eq!(count(&field.board, "SELECT COUNT(*) AS n FROM cases").await, 320);
}
