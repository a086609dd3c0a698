//! Rescoring goes through the machine of runs: graders and budgets, what runs meanwhile, the end of it, and that it
//! happens once.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{again, change, echo, rescore, rescored, two};
use crate::control::{accepted, act};
use crate::support::field::{Field, list, samples, text, until};
use crate::support::provider::{Act, Gate, Script};

fn near(value: &Value, expected: f64) -> bool {
    value.as_f64().is_some_and(|value| (value - expected).abs() < 1e-9)
}

#[tokio::test(flavor = "multi_thread")]
async fn grading_is_asked_paid_and_limited_and_refusals_stay_refusals() {
    let field = Field::start().await;
    let grader = json!({"is_active": false, "api_key": "grader", "input_price": 10.0, "output_price": 20.0,
                        "max_concurrency": 1});
    // Longer than a case takes to be recorded, so that the call after the one that reaches a budget is broken off.
    let verdict = Script::always(Act::verdict(0.5)).thinking(Duration::from_millis(300));
    field.model("grader", verdict, grader).await;
    let says = Script::by(|asked| match asked.prompt().ends_with(" 0") {
        true => Act::Message(json!({"refusal": "No."})),
        false => Act::Say(asked.prompt().to_owned()),
    });
    let model = field.model("model", says, json!({"input_price": 1.0, "output_price": 1.0})).await;
    let rows = samples(5, |at| (format!("say {at}"), format!("say {at}")));
    let eval = field.eval("say", "exact", json!({"samples": rows})).await;
    let run = field.run_all().await;
    let id = text(&run["id"]);
    let criteria = json!({"rubric": "Says it.", "grader": "grader"});
    change(&field, &eval, json!({"eval_type": "rubric", "eval_criteria": criteria, "pass_threshold": 0.5}))
        .await;
    let after = again(&field, &id).await;
    assert_eq!(field.provider.asked("grader").len(), 4, "a refusal needs no grader");
    assert!(near(&after["cost_usd"], 800e-6), "{after}");
    let result = field.result(&after, &model, &eval).await;
    assert!(near(&result["cost_usd"], 75e-6) && near(&result["score"], 0.4), "{result}");
    let refused = field.cases(&result).await[0].clone();
    assert_eq!([&refused["reason"], &refused["score"]], [&json!("refusal"), &json!(0.0)]);

    // Two gradings are paid for, and then it stops.
    let small = rescored(&field, &id, json!({"budget_usd": 0.0004})).await;
    let stopped = field.ended(&text(&small["id"])).await;
    assert_eq!(stopped["status"], "cancelled", "{stopped}");
    assert!(text(&stopped["error"]).contains("the budget of $0.0004 was reached"), "{stopped}");
    // A budget needs the grader's price, and not the model's.
    let blind = json!({"input_price": null, "output_price": null});
    let path = "/api/v1/models?limit=10";
    for known in list(&field.get(path).await) {
        let path = format!("/api/v1/models/{}", text(&known["id"]));
        let is_grader = known["name"] == "grader";
        let edit = if is_grader { json!({}) } else { blind.clone() };
        assert_eq!(field.board.member.ask(Method::PATCH, &path).json(&edit).send().await.code(), 200);
    }
    assert_eq!(rescore(&field, &id, &json!({"budget_usd": 1.0, "dry_run": true})).await.code(), 200);
    let fine = rescored(&field, &id, json!({"budget_usd": 1.0})).await;
    assert_eq!(field.ended(&text(&fine["id"])).await["status"], "completed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grader_that_failed_is_asked_again_and_the_model_is_not() {
    let field = Field::start().await;
    field.model("grader", Script::says("No idea."), json!({"is_active": false, "api_key": "grader"})).await;
    let model = field.model("model", echo(), json!({})).await;
    let criteria = json!({"rubric": "Says it.", "grader": "grader"});
    let more = json!({"samples": two(["", ""]), "eval_criteria": criteria});
    let eval = field.eval("say", "rubric", more).await;
    let run = field.run_all().await;
    assert_eq!([&run["status"], &run["case_errors"]], [&json!("failed"), &json!(2)], "{run}");
    let first = again(&field, &text(&run["id"])).await;
    assert_eq!(first["status"], "failed", "{first}");
    field.provider.script("grader", Script::always(Act::verdict(1.0)));
    accepted(&field, &text(&first["id"]), "retry").await;
    let after = field.ended(&text(&first["id"])).await;
    assert_eq!([&after["status"], &after["case_errors"]], [&json!("completed"), &json!(0)], "{after}");
    assert_eq!(field.result(&after, &model, &eval).await["score"], 1.0);
    assert_eq!(field.provider.asked("model").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_on_at_the_version_it_began_with_and_keeps_others_from_its_answers() {
    let field = Field::start().await;
    let gate = Gate::closed();
    let held = gate.clone();
    let verdict = json!({"reasoning": "so", "score": 1}).to_string();
    let slow = Script::by(move |_| Act::Wait(held.clone(), verdict.clone()));
    field.model("grader", slow, json!({"is_active": false, "api_key": "grader"})).await;
    let failing = Script::by(|asked| match asked.prompt() {
        "say 1" => Act::Status(404, None),
        prompt => Act::Say(prompt.to_owned()),
    });
    let model = field.model("model", failing, json!({})).await;
    let eval = field
        .eval("say", "exact", json!({"samples": samples(60, |at| (format!("say {at}"), String::from("x")))}))
        .await;
    let run = field.run_all().await;
    let id = text(&run["id"]);
    let criteria = json!({"rubric": "Says it.", "grader": "grader"});
    change(&field, &eval, json!({"eval_type": "rubric", "eval_criteria": criteria, "pass_threshold": 0.5}))
        .await;
    let open = text(&rescored(&field, &id, json!({})).await["id"]);
    until("the grader to be asked", async || (!field.provider.asked("grader").is_empty()).then_some(()))
        .await;

    act(&field.board.member, &id, "retry").await.assert_refused(409, "code", "kin_open");
    act(&field.board.member, &id, "rescore").await.assert_refused(409, "code", "kin_open");
    act(&field.board.member, &open, "rescore").await.assert_refused(409, "code", "run_open");
    change(&field, &eval, json!({"prompt": "Other: {{input}}", "eval_type": "exact", "eval_criteria": {}}))
        .await;
    gate.open();
    let after = field.ended(&open).await;
    let result = field.result(&after, &model, &eval).await;
    assert_eq!(
        [&result["eval_version"], &result["scored_count"], &result["error_count"]],
        [2, 59, 1],
        "{result}"
    );
    assert_eq!(field.provider.asked("grader").len(), 59);
    act(&field.board.member, &id, "rescore").await.assert_refused(409, "code", "nothing_to_rescore");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_can_be_cancelled_and_an_eval_deleted_under_it() {
    let field = Field::start().await;
    field.model("grader", Script::always(Act::Hang), json!({"is_active": false, "api_key": "grader"})).await;
    field.model("model", echo(), json!({})).await;
    let criteria = json!({"rubric": "Says it.", "grader": "grader"});
    let eval = field.eval("say", "exact", json!({"samples": two(["a", "b"])})).await;
    let run = field.run_all().await;
    let id = text(&run["id"]);
    change(&field, &eval, json!({"eval_type": "rubric", "eval_criteria": criteria, "pass_threshold": 0.5}))
        .await;
    let first = text(&rescored(&field, &id, json!({})).await["id"]);
    until("the grader to be asked", async || (!field.provider.asked("grader").is_empty()).then_some(()))
        .await;
    assert_eq!(act(&field.board.member, &first, "cancel").await.code(), 200);
    until("no flights", async || (field.board.house.app.engine.in_flight() == 0).then_some(())).await;
    assert_eq!(field.run(&first).await["status"], "cancelled");
    let second = text(&rescored(&field, &id, json!({})).await["id"]);
    assert_eq!(field.board.member.delete(&format!("/api/v1/evals/{eval}")).await.code(), 200);
    let ended = field.ended(&second).await;
    assert_eq!([&ended["case_total"], &ended["case_done"]], [0, 0], "{ended}");
    until("an empty table", async || {
        (field.count("SELECT COUNT(*) AS n FROM results").await == 0).then_some(())
    })
    .await;
    assert_eq!(field.provider.asked("model").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rescore_is_done_once_by_its_key_and_by_owner_or_admin_only() {
    let field = Field::start().await;
    field.model("model", echo(), json!({})).await;
    let eval = field.eval("say", "exact", json!({"samples": two(["say 0", "say 1"])})).await;
    let id = text(&field.run_all().await["id"]);
    act(&field.board.anonymous, &id, "rescore").await.assert_refused(401, "code", "unauthorized");
    act(&field.board.other, &id, "rescore").await.assert_refused(403, "code", "forbidden");
    act(&field.board.member, "nobody", "rescore").await.assert_refused(404, "code", "not_found");
    let path = format!("/api/v1/runs/{id}/rescore");
    let ask = |body: Value| {
        let request = field.board.member.ask(Method::POST, &path).header("idempotency-key", "again");
        request.json(&body).send()
    };
    let first = ask(json!({})).await;
    assert_eq!(first.code(), 202, "{}", first.text());
    assert_eq!(first.header("location"), format!("/api/v1/runs/{}", text(&first.json()["id"])));
    field.ended(&text(&first.json()["id"])).await;
    // Whatever has happened since, the same key gives the same answer.
    change(&field, &eval, json!({"prompt": "Other: {{input}}"})).await;
    let second = ask(json!({})).await;
    assert_eq!((second.code(), second.json()), (202, first.json()));
    ask(json!({"notes": "x"})).await.assert_refused(409, "code", "idempotency_mismatch");
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(field.count("SELECT COUNT(*) AS n FROM runs").await, 2);
    change(&field, &eval, json!({"prompt": "{{input}}"})).await;
    assert_eq!(act(&field.board.admin, &id, "rescore").await.code(), 202);
}
