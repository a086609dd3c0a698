//! What happens to a run whose ground moves: it is cancelled, or a model or an eval of it is deleted.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::field::{Field, samples, until};
use crate::support::provider::{Act, Gate, Script};

/// Rows that nothing may leave behind, by what they would be.
const ORPHANS: [(&str, &str); 5] = [
    ("violated references", "SELECT COUNT(*) AS n FROM pragma_foreign_key_check"),
    (
        "results of deleted evals",
        "SELECT COUNT(*) AS n FROM results JOIN evals ON evals.id = eval_id WHERE evals.deleted_at IS NOT NULL",
    ),
    (
        "cells of deleted evals",
        "SELECT COUNT(*) AS n FROM run_cells JOIN evals ON evals.id = eval_id
         WHERE evals.deleted_at IS NOT NULL",
    ),
    (
        "open items of runs that are over",
        "SELECT COUNT(*) AS n FROM work_items JOIN runs ON runs.id = run_id
         WHERE work_items.state IN ('ready', 'leased') AND runs.state NOT IN ('queued', 'running')",
    ),
    (
        "cases without their texts",
        "SELECT COUNT(*) AS n FROM cases LEFT JOIN case_texts ON case_id = cases.id WHERE case_id IS NULL",
    ),
];

const CASES: &str = "SELECT COUNT(*) AS n FROM cases";

async fn nothing_is_left_over(field: &Field) {
    for (what, sql) in ORPHANS {
        until(what, async || (field.count(sql).await == 0).then_some(())).await;
    }
    until("an idle engine", async || (field.board.house.app.engine.in_flight() == 0).then_some(())).await;
}

/// Repeats prompts that begin with `quick`; others wait for the gate.
fn held_by(gate: &Gate) -> Script {
    let gate = gate.clone();
    Script::by(move |asked| {
        let prompt = asked.prompt().to_owned();
        if prompt.starts_with("quick") { Act::Say(prompt) } else { Act::Wait(gate.clone(), prompt) }
    })
}

async fn eval(field: &Field, word: &'static str, count: usize) -> String {
    let rows = samples(count, |at| (format!("{word} {at}"), format!("{word} {at}")));
    field.eval(word, "exact", json!({"samples": rows})).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_keeps_what_is_complete_and_makes_no_more_cases() {
    let field = Field::start().await;
    let gate = Gate::closed();
    let model = field.model("model", held_by(&gate), json!({"max_concurrency": 8})).await;
    let quick = eval(&field, "quick", 6).await;
    let slow = field
        .eval(
            "slow",
            "exact",
            json!({"samples": samples(30, |at| {
                let word = if at < 3 { "quick" } else { "slow" };
                (format!("{word} {at}"), format!("{word} {at}"))
            })}),
        )
        .await;
    let id = field.trigger(json!({})).await;
    until("all quick cases", async || (field.run(&id).await["case_done"] == 9).then_some(())).await;
    until("eight calls that wait", async || (field.provider.count() == 17).then_some(())).await;

    let cancel = format!("/api/v1/runs/{id}/cancel");
    assert_eq!(field.board.other.post(&cancel, &json!({})).await.code(), 403);
    let cancelled = field.board.member.post(&cancel, &json!({})).await;
    assert_eq!(cancelled.json()["status"], "cancelled", "{}", cancelled.text());
    gate.open();
    nothing_is_left_over(&field).await;

    let run = field.run(&id).await;
    assert_eq!([&run["status"], &run["case_done"]], [&json!("cancelled"), &json!(9)]);
    assert_eq!(field.count(CASES).await, 9);
    assert_eq!(field.provider.count(), 17, "a call was made for a cancelled run");
    let partial = field.result(&run, &model, &slow).await;
    assert_eq!([&partial["state"], &partial["case_count"]], [&json!("incomplete"), &json!(3)]);
    assert_eq!(partial["error"], "27 of 30 failed: cancelled");
    let board = field.leaderboard().await;
    let held: Vec<&String> = board[0]["scores"].as_object().unwrap().keys().collect();
    assert_eq!(held, [&quick]);
    let again = field.board.member.post(&cancel, &json!({})).await;
    assert_eq!(again.code(), 409, "{}", again.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_model_and_an_eval_of_a_run_leaves_no_orphan_and_the_run_ends() {
    let field = Field::start().await;
    let script = Script::answers(str::to_owned).thinking(Duration::from_millis(10));
    let narrow = |key: &str| json!({"max_concurrency": 2, "api_key": key});
    let stays = field.model("stays", script.clone(), narrow("a")).await;
    let leaves = field.model("leaves", script, narrow("b")).await;
    let kept = eval(&field, "kept", 40).await;
    let dropped = eval(&field, "dropped", 40).await;
    let id = field.trigger(json!({})).await;
    let begun = async || {
        let both = ["stays", "leaves"].map(|name| field.provider.asked(name).len());
        (both.iter().min() > Some(&5)).then_some(())
    };
    until("calls to both models", begun).await;

    for path in [format!("/api/v1/models/{leaves}"), format!("/api/v1/evals/{dropped}")] {
        let deleted = field.board.member.delete(&path).await;
        assert_eq!(deleted.code(), 200, "{}", deleted.text());
        assert_eq!(field.board.anonymous.get(&path).await.code(), 404);
    }
    let run = field.ended(&id).await;
    nothing_is_left_over(&field).await;

    assert_eq!(run["status"], "completed", "{run}");
    assert_eq!(run["case_done"], run["case_total"]);
    let results = field.results(&run).await;
    let recorded: i64 = results.iter().map(|result| result["case_count"].as_i64().unwrap()).sum();
    assert_eq!(run["case_done"], recorded);
    assert_eq!(field.count(CASES).await, recorded);
    assert_eq!(field.result(&run, &stays, &kept).await["case_count"], 40);
    assert!(results.iter().all(|result| result["eval_id"] == kept), "{results:?}");
    let board = field.leaderboard().await;
    assert_eq!(board.iter().map(|row| &row["model_id"]).collect::<Vec<_>>(), [&json!(stays)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_all_that_a_run_is_about_ends_it() {
    let field = Field::start().await;
    let gate = Gate::closed();
    let model = field.model("model", held_by(&gate), json!({})).await;
    eval(&field, "slow", 5).await;
    let id = field.trigger(json!({})).await;
    until("the calls", async || (field.provider.count() == 5).then_some(())).await;
    assert_eq!(field.board.member.delete(&format!("/api/v1/models/{model}")).await.code(), 200);
    gate.open();
    let run = field.ended(&id).await;
    nothing_is_left_over(&field).await;
    assert_eq!([&run["status"], &run["case_total"]], [&json!("failed"), &json!(0)]);
    assert_eq!(field.results(&run).await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn evals_deleted_one_right_after_the_other_leave_a_run_counted_right() {
    let field = Field::start().await;
    let gate = Gate::closed();
    field.model("model", held_by(&gate), json!({"max_concurrency": 20})).await;
    let first = eval(&field, "quick", 7).await;
    let second = eval(&field, "quicker", 4).await;
    eval(&field, "slow", 5).await;
    let id = field.trigger(json!({})).await;
    until("all quick cases", async || (field.run(&id).await["case_done"] == 11).then_some(())).await;
    for eval in [first, second] {
        assert_eq!(field.board.member.delete(&format!("/api/v1/evals/{eval}")).await.code(), 200);
    }
    let run = field.run(&id).await;
    assert_eq!(
        [&run["case_done"], &run["case_total"], &run["status"]],
        [&json!(0), &json!(5), &json!("running")]
    );
    gate.open();
    let run = field.ended(&id).await;
    assert_eq!([&run["case_done"], &run["status"]], [&json!(5), &json!("completed")]);
    nothing_is_left_over(&field).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_graded_still_counts_after_another_eval_is_deleted() {
    let field = Field::start().await;
    field.model("model", Script::answers(str::to_owned), json!({})).await;
    let gone = eval(&field, "quick", 2).await;
    let criteria = json!({"rubric": "It is warm."});
    field.eval("ungraded", "rubric", json!({"prompt": "Greet!", "eval_criteria": criteria})).await;
    let before = field.run_all().await;
    assert_eq!([&before["case_done"], &before["case_errors"]], [3, 1]);
    assert_eq!(field.board.member.delete(&format!("/api/v1/evals/{gone}")).await.code(), 200);
    let after = field.run(before["id"].as_str().unwrap()).await;
    assert_eq!([&after["case_done"], &after["case_total"], &after["case_errors"]], [1, 1, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_keeps_its_total_when_one_of_its_evals_is_deleted() {
    let field = Field::start().await;
    let gate = Gate::closed();
    field.model("model", held_by(&gate), json!({})).await;
    let gone = eval(&field, "quick", 2).await;
    let words = ["quick", "slow", "slow"];
    let rows = samples(3, |at| (words[at].to_owned(), words[at].to_owned()));
    field.eval("half", "exact", json!({"samples": rows})).await;
    let id = field.trigger(json!({})).await;
    until("all quick cases", async || (field.run(&id).await["case_done"] == 3).then_some(())).await;
    field.board.member.post(&format!("/api/v1/runs/{id}/cancel"), &json!({})).await;
    assert_eq!(field.board.member.delete(&format!("/api/v1/evals/{gone}")).await.code(), 200);
    let run = field.run(&id).await;
    assert_eq!([&run["case_done"], &run["case_total"]], [1, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_a_deleted_eval_leaves_without_a_measurement_has_failed() {
    let field = Field::start().await;
    let gate = Gate::closed();
    field.model("model", held_by(&gate), json!({})).await;
    field.eval("ungraded", "rubric", json!({"prompt": "quick", "expected_behavior": "It is warm."})).await;
    let rows = samples(2, |at| (["quick", "slow"][at].to_owned(), String::from("quick")));
    let gone = field.eval("half", "exact", json!({"samples": rows})).await;
    let id = field.trigger(json!({})).await;
    until("both quick cases", async || (field.run(&id).await["case_done"] == 2).then_some(())).await;
    assert_eq!(field.board.member.delete(&format!("/api/v1/evals/{gone}")).await.code(), 200);
    let run = field.run(&id).await;
    assert_eq!([&run["status"], &run["case_done"]], [&json!("failed"), &json!(1)], "{run}");
}
