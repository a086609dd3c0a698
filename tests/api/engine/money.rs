//! What a run costs: the prices of the day it was triggered, and the grader's share apart.

use serde_json::{Value, json};

use super::near;
use crate::support::field::{Field, text};
use crate::support::provider::{Act, Gate, Script, USAGE};

/// What a call costs at these prices per million tokens.
fn cost(input: i64, output: i64) -> f64 {
    f64::from(i32::try_from(USAGE.0 * input + USAGE.1 * output).unwrap()) / 1e6
}

async fn reprice(field: &Field, model: &str, input: f64, output: f64) {
    let prices = json!({"input_price": input, "output_price": output});
    let path = format!("/api/v1/models/{model}");
    let changed = field.board.member.ask(reqwest::Method::PATCH, &path).json(&prices).send().await;
    assert_eq!(changed.code(), 200, "{}", changed.text());
}

fn assert_costs(case: &Value, own: f64, grader: f64) {
    assert!(near(&case["cost_usd"], own), "{own}: {case}");
    assert!(near(&case["grader_cost_usd"], grader), "{grader}: {case}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_run_is_charged_with_the_prices_of_its_day_and_the_grader_apart() {
    let field = Field::start().await;
    let priced = |input: f64, output: f64, more: Value| {
        let mut prices = json!({"input_price": input, "output_price": output});
        prices.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        prices
    };
    let grader = json!({"is_active": false, "api_key": "grader"});
    let grader = field.model("grader", Script::always(Act::verdict(1.0)), priced(10.0, 20.0, grader)).await;
    let model = field.model("student", Script::says("4"), priced(1.0, 2.0, json!({}))).await;
    let criteria = json!({"rubric": "Says four.", "grader": grader});
    let eval = field.eval("judged", "rubric", json!({"prompt": "2+2?", "eval_criteria": criteria})).await;

    let first = field.run_all().await;
    reprice(&field, &model, 3.0, 4.0).await;
    reprice(&field, &grader, 30.0, 40.0).await;
    let second = field.run_all().await;

    assert_costs(&field.only_case(&first, &model, &eval).await, cost(1, 2), cost(10, 20));
    assert_costs(&field.only_case(&second, &model, &eval).await, cost(3, 4), cost(30, 40));
    for (run, total) in [(&first, cost(11, 22)), (&second, cost(33, 44))] {
        let run = field.run(&text(&run["id"])).await;
        assert!(near(&run["cost_usd"], total), "{total}: {run}");
    }
    let snapshots = "SELECT COUNT(DISTINCT price_snapshots.input_price) AS n FROM cases
                     JOIN price_snapshots ON price_snapshots.id = cases.price_id";
    assert_eq!(field.count(snapshots).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_that_changes_during_a_run_counts_from_the_next_one_on() {
    let field = Field::start().await;
    let gate = Gate::closed();
    let held = Script::always(Act::Wait(gate.clone(), "4".to_owned()));
    let model = field.model("held", held, json!({"input_price": 1.0, "output_price": 2.0})).await;
    let eval = field.eval("sum", "exact", json!({"prompt": "2+2?", "expected_behavior": "4"})).await;
    let run = field.trigger(json!({})).await;
    reprice(&field, &model, 100.0, 200.0).await;
    gate.open();
    let run = field.ended(&run).await;
    let case = field.only_case(&run, &model, &eval).await;
    assert!(near(&case["cost_usd"], cost(1, 2)), "{case}");
    assert_eq!(case["grader_cost_usd"], Value::Null);
}
