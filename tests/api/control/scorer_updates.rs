//! A program whose scorers changed, over evals and runs of the one before: scores of two rules are never mixed.

use reqwest::Method;
use serde_json::{Value, json};

use super::accepted;
use crate::support::field::{Field, samples, text};
use crate::support::provider::{Act, Script};

/// Makes every stored version one of an earlier scorer.
async fn age(field: &Field) {
    let sql = "UPDATE eval_versions SET scorer_version = scorer_version - 1, hash = 'of an earlier scorer'";
    field.board.house.app.store.write(move |tx| tx.execute(sql, &[])).await.unwrap();
}

async fn eval(field: &Field) -> String {
    let rows = samples(2, |at| (format!("say {at}"), format!("say {at}")));
    field.eval("say", "exact", json!({"samples": rows})).await
}

async fn version(field: &Field, eval: &str) -> Value {
    field.get(&format!("/api/v1/evals/{eval}")).await["version"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn run_after_a_scorer_update_pins_a_new_version_once() {
    let field = Field::start().await;
    field.model("model", Script::answers(str::to_owned), json!({})).await;
    let eval = eval(&field).await;
    field.run_all().await;
    age(&field).await;
    let plan = json!({"only_missing": true, "dry_run": true});
    let planned = field.board.member.post("/api/v1/runs", &plan).await;
    assert_eq!(planned.json()["cells"], 1, "{}", planned.text());
    assert_eq!(version(&field, &eval).await, 1);

    field.run_all().await;
    field.run_all().await;
    assert_eq!(version(&field, &eval).await, 2);
    let lines = field.get(&format!("/api/v1/ledger?subject={eval}")).await;
    let summaries: Vec<String> =
        lines.as_array().unwrap().iter().map(|line| text(&line["summary"])).collect();
    let change = "a run found the scorer changed: exact version 1 to exact version 2";
    assert_eq!(summaries.iter().filter(|summary| summary.ends_with(change)).count(), 1, "{summaries:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn run_of_before_a_scorer_update_is_rescored_and_never_mixed() {
    let field = Field::start().await;
    let gap = Script::by(|asked| match asked.prompt().ends_with('1') {
        true => Act::Status(404, None),
        false => Act::Say(asked.prompt().to_owned()),
    });
    let model = field.model("model", gap, json!({})).await;
    let eval = eval(&field).await;
    let run = field.run_all().await;
    let id = text(&run["id"]);
    age(&field).await;
    // An edit of the name is none of what is measured, and has the engine read the eval again.
    let path = format!("/api/v1/evals/{eval}");
    let edited = field.board.member.ask(Method::PATCH, &path).json(&json!({"name": "said"})).send().await;
    assert_eq!((edited.code(), &edited.json()["version"]), (200, &json!(1)));
    field.provider.script("model", Script::answers(str::to_owned));

    accepted(&field, &id, "retry").await;
    let retried = field.ended(&id).await;
    let cases = field.cases(&field.result(&retried, &model, &eval).await).await;
    let unscored: Vec<&Value> = cases.iter().filter(|case| case["score"].is_null()).collect();
    assert_eq!((cases.len(), unscored.len()), (2, 1), "{cases:?}");
    assert_eq!(unscored[0]["reason"], "scoring_failed");
    let why = text(&unscored[0]["error_message"]);
    assert!(
        why.contains("exact was updated from version 1 to 2") && why.contains("rescore the run"),
        "{why}"
    );

    let asked = field.provider.count();
    let again = field.board.member.post(&format!("/api/v1/runs/{id}/rescore"), &json!({})).await;
    assert_eq!(again.code(), 202, "{}", again.text());
    let rescored = field.ended(&text(&again.json()["id"])).await;
    let result = field.result(&rescored, &model, &eval).await;
    assert_eq!([&result["score"], &result["scored_count"]], [&json!(1.0), &json!(2)], "{result}");
    assert_eq!((field.provider.count(), version(&field, &eval).await), (asked, json!(2)));
}
