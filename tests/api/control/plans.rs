//! Dry runs: what a run would do and take, with nothing stored.

use serde_json::{Value, json};

use crate::support::field::{Field, samples, text};
use crate::support::provider::{Script, USAGE};

const RUNS: &str = "/api/v1/runs";

async fn planned(field: &Field, body: Value) -> Value {
    let reply = field.board.member.post(RUNS, &body).await;
    assert_eq!(reply.code(), 200, "{}", reply.text());
    reply.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_a_run_would_do_and_stores_nothing() {
    let field = Field::start().await;
    let priced = json!({"input_price": 2.0, "output_price": 8.0, "parameters": {"max_tokens": 100}});
    let priced = field.model("priced", Script::says("say 1"), priced).await;
    let free = field.model("free", Script::says("say 1"), json!({})).await;
    let ten = samples(10, |at| (format!("say {at}"), format!("say {at}")));
    let eval = field.eval("ten", "exact", json!({"samples": ten, "epochs": 2})).await;

    let plan = planned(&field, json!({"dry_run": true})).await;
    assert_eq!([&plan["cases"], &plan["cells"]], [40, 2], "{plan}");
    let [first, second] = [&plan["models"][0], &plan["models"][1]];
    assert_eq!([&first["model_id"], &first["name"]], [&json!(priced), &json!("priced")]);
    assert_eq!([&first["cases"], &first["estimated_output_tokens"]], [20, 2_000]);
    let tokens = first["estimated_input_tokens"].as_f64().unwrap();
    assert!((40.0..=100.0).contains(&tokens), "{plan}");
    let cost = (tokens * 2.0 + 2_000.0 * 8.0) / 1e6;
    assert!((first["estimated_cost_usd"].as_f64().unwrap() - cost).abs() < 1e-12, "{plan}");
    assert_eq!(second["model_id"], free);
    assert!(second["estimated_output_tokens"].is_null() && second["estimated_cost_usd"].is_null(), "{plan}");
    assert!(plan["estimated_output_tokens"].is_null() && plan["estimated_cost_usd"].is_null(), "{plan}");
    for table in ["SELECT COUNT(*) AS n FROM runs", "SELECT COUNT(*) AS n FROM price_snapshots"] {
        assert_eq!(field.count(table).await, 0);
    }

    let run = field.trigger(json!({"model_ids": [free]})).await;
    field.ended(&run).await;
    let plan = planned(&field, json!({"dry_run": true, "max_samples": 5, "epochs": 1})).await;
    assert_eq!([&plan["cases"], &plan["estimated_input_tokens"]], [10, 10 * USAGE.0], "{plan}");
    assert_eq!(plan["estimated_output_tokens"], 10 * USAGE.1);
    assert!(
        plan["models"][0]["estimated_cost_usd"].is_f64() && plan["estimated_cost_usd"].is_null(),
        "{plan}"
    );
    let missing = planned(&field, json!({"dry_run": true, "only_missing": true})).await;
    assert_eq!(missing["models"].as_array().unwrap().len(), 1, "{missing}");
    assert_eq!(text(&missing["models"][0]["model_id"]), priced);
    let nothing = json!({"dry_run": true, "only_missing": true, "model_ids": [free], "eval_ids": [eval]});
    let refused = field.board.member.post(RUNS, &nothing).await;
    refused.assert_refused(400, "error", "nothing to run: every cell has a current result");
    assert_eq!(field.count("SELECT COUNT(*) AS n FROM runs").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_that_is_not_asked_for_is_a_run_and_baselines_are_free() {
    let field = Field::start().await;
    let baseline = json!({"name": "echo", "inference_uri": "builtin:echo"});
    assert_eq!(field.board.member.post("/api/v1/models", &baseline).await.code(), 201);
    field.eval("one", "exact", json!({"prompt": "4", "expected_behavior": "4"})).await;
    let plan = planned(&field, json!({"dry_run": true, "budget_usd": 1})).await;
    assert_eq!(plan["estimated_cost_usd"], 0.0, "{plan}");
    let run = field.trigger(json!({"dry_run": false, "budget_usd": 1})).await;
    let run = field.ended(&run).await;
    assert_eq!(
        [&run["status"], &run["cost_usd"], &run["budget_usd"]],
        [&json!("completed"), &json!(0.0), &json!(1.0)]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_baseline_costs_what_its_owner_makes_of_its_words_which_tell_nothing_of_other_models() {
    let field = Field::start().await;
    let eval = field.eval("one", "exact", json!({"prompt": "say one word", "expected_behavior": "no"})).await;
    let baseline =
        json!({"name": "echo", "inference_uri": "builtin:echo", "input_price": 1e6, "output_price": 5e5});
    let made = field.board.member.post("/api/v1/models", &baseline).await;
    assert_eq!(made.code(), 201);
    let run = field.trigger(json!({})).await;
    let words = field.ended(&run).await["cost_usd"].as_f64().unwrap() / 1.5;
    assert!((3.0..20.0).contains(&words), "{words} words, read and repeated");

    let priced = json!({"input_price": 1e6, "output_price": 5e5});
    let other = field.model("other", Script::says("no"), priced).await;
    let plan = planned(&field, json!({"dry_run": true, "eval_ids": [eval]})).await;
    let [first, second] = [&plan["models"][0], &plan["models"][1]];
    assert_eq!(first["estimated_cost_usd"], words * 1.5, "{plan}");
    assert_eq!(second["model_id"], other);
    assert!(second["estimated_output_tokens"].is_null() && second["estimated_cost_usd"].is_null(), "{plan}");
}
