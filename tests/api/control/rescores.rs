//! Scoring again: a new run with the stored answers, at the evals' present versions, that asks no model.

mod machine;

use reqwest::Method;
use serde_json::{Value, json};

use super::{accepted, act};
use crate::support::Reply;
use crate::support::field::{Field, list, samples, text, until};
use crate::support::provider::{Act, Gate, Script, USAGE};

/// Repeats the prompt.
fn echo() -> Script {
    Script::answers(str::to_owned)
}

async fn rescored(field: &Field, run: &str, body: Value) -> Value {
    let reply = rescore(field, run, &body).await;
    assert_eq!(reply.code(), 202, "{}", reply.text());
    reply.json()
}

async fn rescore(field: &Field, run: &str, body: &Value) -> Reply {
    field.board.member.post(&format!("/api/v1/runs/{run}/rescore"), body).await
}

/// Rescores a run and waits for the end.
async fn again(field: &Field, run: &str) -> Value {
    let id = text(&rescored(field, run, json!({})).await["id"]);
    field.ended(&id).await
}

async fn change(field: &Field, eval: &str, edit: Value) {
    let path = format!("/api/v1/evals/{eval}");
    let changed = field.board.member.ask(Method::PATCH, &path).json(&edit).send().await;
    assert_eq!(changed.code(), 200, "{}", changed.text());
}

/// Puts these samples in the place of the eval's.
async fn put_samples(field: &Field, eval: &str, rows: &Value) {
    let lines: Vec<String> = list(rows).iter().map(Value::to_string).collect();
    let request = field.board.member.ask(Method::PUT, &format!("/api/v1/evals/{eval}/samples"));
    let put = request.header("content-type", "application/x-ndjson").body(lines.join("\n")).send().await;
    assert_eq!(put.code(), 200, "{}", put.text());
}

/// Two samples with these targets.
fn two(targets: [&str; 2]) -> Value {
    samples(2, |at| (format!("say {at}"), targets[at].to_owned()))
}

fn codes(rescored: &Value) -> Vec<String> {
    list(&rescored["skipped"]).iter().map(|cell| text(&cell["code"])).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_answers_are_scored_by_the_present_eval_and_the_board_follows() {
    let field = Field::start().await;
    let prices = json!({"input_price": 2.0, "output_price": 8.0});
    let model = field.model("model", echo(), prices).await;
    let eval = field.eval("say", "exact", json!({"samples": two(["say 0", "wrong"])})).await;
    let run = field.run_all().await;
    let id = text(&run["id"]);
    let before = field.result(&run, &model, &eval).await;
    assert_eq!([&before["score"], &before["rescored_from"]], [&json!(0.5), &Value::Null]);
    let asked = field.provider.count();

    put_samples(&field, &eval, &two(["say 0", "say 1"])).await;
    let answer = rescored(&field, &id, json!({"notes": "targets corrected"})).await;
    assert_eq!([&answer["run"]["kind"], &answer["run"]["rescore_of"]], ["rescore", id.as_str()]);
    assert_eq!([&answer["skipped"], &answer["run"]["notes"]], [&json!([]), &json!("targets corrected")]);
    let after = field.ended(&text(&answer["id"])).await;

    assert_eq!(field.provider.count(), asked, "a model was asked");
    assert_eq!(
        [&after["status"], &after["case_done"], &after["cost_usd"]],
        [&json!("completed"), &json!(2), &json!(0.0)]
    );
    let result = field.result(&after, &model, &eval).await;
    assert_eq!([&result["score"], &result["rescored_from"]], [&json!(1.0), &before["id"]]);
    assert_eq!([&result["eval_version"], &before["eval_version"]], [2, 1]);
    assert_eq!(result["model_revision"], before["model_revision"]);
    assert_eq!([&result["input_tokens"], &result["output_tokens"]], [2 * USAGE.0, 2 * USAGE.1]);
    assert_eq!([&result["latency_ms"], &result["cost_usd"]], [&before["latency_ms"], &before["cost_usd"]]);
    // What was there stays as it was.
    assert_eq!(field.get(&format!("/api/v1/results/{}", text(&before["id"]))).await, before);
    assert_eq!(field.run(&id).await["kind"], "run");
    assert_eq!(field.leaderboard().await[0]["scores"][&eval]["result_id"], result["id"]);

    let cases = field.cases(&result).await;
    let earlier = field.cases(&before).await;
    let case = field.get(&format!("/api/v1/cases/{}", text(&cases[1]["id"]))).await;
    assert_eq!([&case["rescored_from"], &case["response"]], [&earlier[1]["id"], &earlier[1]["response"]]);
    assert_eq!([&case["target"], &case["score"]], [&json!(["say 1"]), &json!(1.0)]);
    let old = field.get(&format!("/api/v1/cases/{}", text(&earlier[1]["id"]))).await;
    assert_eq!(
        [&old["score"], &old["rescored_from"], &old["prompt"]],
        [&json!(0.0), &Value::Null, &case["prompt"]]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_say_in_plain_words_what_was_rescored_and_lead_back() {
    let field = Field::start().await;
    let model = field.model("model", echo(), json!({})).await;
    let eval = field.eval("say", "exact", json!({"samples": two(["say 0", "wrong"])})).await;
    let run = field.run_all().await;
    let id = text(&run["id"]);
    let before = field.result(&run, &model, &eval).await;
    change(&field, &eval, json!({"eval_type": "levenshtein"})).await;
    let after = again(&field, &id).await;
    let result = field.result(&after, &model, &eval).await;
    let case = field.cases(&result).await[0].clone();
    let earlier = field.cases(&before).await[0].clone();
    let page = async |path: String| field.board.anonymous.get(&path).await.text().to_owned();
    let (old, new) = (page(format!("/runs/{id}")).await, page(format!("/runs/{}", text(&after["id"]))).await);
    assert!(
        old.contains(&format!("/api/v1/runs/{id}/rescore")) && old.contains("Scored again by the run of"),
        "{old}"
    );
    assert!(old.contains(&format!("href=\"/runs/{}\"", text(&after["id"]))), "{old}");
    assert!(new.contains("this run asks no model") && new.contains(&format!("href=\"/runs/{id}\"")), "{new}");
    let shown = page(format!("/results/{}", text(&result["id"]))).await;
    assert!(
        shown.contains("Rescored:") && shown.contains(&format!("/results/{}", text(&before["id"]))),
        "{shown}"
    );
    let shown = page(format!("/cases/{}", text(&case["id"]))).await;
    assert!(
        shown.contains("Rescored:") && shown.contains(&format!("/cases/{}", text(&earlier["id"]))),
        "{shown}"
    );
    for path in [format!("/results/{}", text(&before["id"])), format!("/cases/{}", text(&earlier["id"]))] {
        assert!(!page(path).await.contains("Rescored:"));
    }
    assert!(page(format!("/models/{model}")).await.contains("rescored"));
    assert!(page("/runs".to_owned()).await.contains("rescored"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_differently_is_left_out_by_name() {
    let field = Field::start().await;
    let model = field.model("model", echo(), json!({})).await;
    let rows = |of: &str| samples(2, |at| (format!("{of} {at}"), format!("{of} {at}")));
    let mut evals = Vec::new();
    for name in ["same", "prompt", "input", "more", "epochs", "choices", "shuffled", "implied"] {
        let options = || json!([{"input": "Pick.", "target": "red", "choices": ["red", "green", "blue"]}]);
        let eval = match name {
            "choices" | "shuffled" => field.eval(name, "choice", json!({"samples": options()})).await,
            "implied" => field.eval(name, "exact", json!({"prompt": "say", "expected_behavior": "x"})).await,
            _ => field.eval(name, "exact", json!({"samples": rows(name)})).await,
        };
        evals.push((name, eval));
    }
    let of = |name: &str| evals.iter().find(|(each, _)| *each == name).unwrap().1.clone();
    let gone = field.eval("gone", "exact", json!({"samples": rows("gone")})).await;
    let run = field.run_all().await;
    let id = text(&run["id"]);
    change(&field, &of("same"), json!({"eval_type": "includes", "pass_threshold": 0.5})).await;
    change(&field, &of("prompt"), json!({"prompt": "Please: {{input}}"})).await;
    let mut other = rows("input");
    other[1]["input"] = json!("input one");
    put_samples(&field, &of("input"), &other).await;
    put_samples(&field, &of("more"), &samples(3, |at| (format!("more {at}"), format!("more {at}")))).await;
    change(&field, &of("epochs"), json!({"epochs": 2})).await;
    let turned = json!([{"input": "Pick.", "target": "red", "choices": ["green", "red", "blue"]}]);
    put_samples(&field, &of("choices"), &turned).await;
    change(&field, &of("shuffled"), json!({"eval_criteria": {"shuffle": 7}})).await;
    change(&field, &of("implied"), json!({"prompt": "tell"})).await;
    assert_eq!(field.board.member.delete(&format!("/api/v1/evals/{gone}")).await.code(), 200);

    let plan = rescore(&field, &id, &json!({"dry_run": true})).await;
    assert_eq!(plan.code(), 200, "{}", plan.text());
    assert_eq!([&plan.json()["cells"], &plan.json()["cases"]], [1, 2]);
    let runs = "SELECT COUNT(*) AS n FROM runs";
    assert_eq!(field.count(runs).await, 1, "a dry run was stored");
    let answer = rescored(&field, &id, json!({})).await;
    let mut skipped: Vec<(String, String)> = list(&answer["skipped"])
        .iter()
        .map(|cell| (text(&cell["eval_name"]), text(&cell["code"])))
        .filter(|(name, _)| name != "gone")
        .collect();
    skipped.sort();
    let expected = [
        ("choices", "inputs_changed"),
        ("epochs", "too_few_answers"),
        ("implied", "prompt_changed"),
        ("input", "inputs_changed"),
        ("more", "inputs_changed"),
        ("prompt", "prompt_changed"),
        ("shuffled", "inputs_changed"),
    ];
    let skipped: Vec<(&str, &str)> =
        skipped.iter().map(|(name, code)| (name.as_str(), code.as_str())).collect();
    assert_eq!(skipped, expected, "{answer}");
    let after = field.ended(&text(&answer["id"])).await;
    assert_eq!([&after["total_evals"], &after["case_done"]], [1, 2], "{after}");

    // Without anything that can be scored, it is refused with the reasons, and nothing is stored.
    for (evals, words) in [
        (vec![of("prompt")], "1 cell: the prompt has changed"),
        (vec![of("input"), of("more")], "2 cells: the samples' inputs or choices have changed"),
    ] {
        let refused = rescore(&field, &id, &json!({"eval_ids": evals})).await;
        refused.assert_refused(409, "code", "nothing_to_rescore");
        assert!(refused.text().contains(words), "{}", refused.text());
    }
    rescore(&field, &id, &json!({"eval_ids": [of("same"), "nobody"]})).await.assert_refused(
        400,
        "field",
        "eval_ids[1]",
    );
    rescore(&field, &id, &json!({"eval_ids": []})).await.assert_refused(400, "field", "eval_ids");
    rescore(&field, &id, &json!({"model_ids": []})).await.assert_refused(400, "field", "model_ids");
    rescore(&field, &id, &json!({"budget_usd": 0})).await.assert_refused(400, "field", "budget_usd");
    assert_eq!(field.board.member.delete(&format!("/api/v1/models/{model}")).await.code(), 200);
    let refused = rescore(&field, &id, &json!({"eval_ids": [of("same")]})).await;
    assert!(refused.text().contains("the model is deleted"), "{}", refused.text());
    assert_eq!(field.count(runs).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_stay_errors_and_a_cell_of_nothing_else_is_left_out() {
    let field = Field::start().await;
    let script = |gap: &'static str| {
        Script::by(move |asked| match asked.prompt().ends_with(gap) {
            true => Act::Status(404, None),
            false => Act::Say(asked.prompt().to_owned()),
        })
    };
    let nearly = field.model("nearly", script(" 17"), json!({"api_key": "a"})).await;
    let down = field.model("down", Script::always(Act::Status(404, None)), json!({"api_key": "b"})).await;
    let rows = samples(100, |at| (format!("say {at}"), format!("say {at}")));
    let eval = field.eval("say", "exact", json!({"samples": rows})).await;
    let run = field.run_all().await;
    change(&field, &eval, json!({"eval_type": "includes"})).await;
    let answer = rescored(&field, &text(&run["id"]), json!({})).await;
    assert_eq!(codes(&answer), ["no_answer"]);
    assert_eq!(answer["skipped"][0]["model_id"], down);
    let after = field.ended(&text(&answer["id"])).await;
    assert_eq!([&after["case_done"], &after["case_errors"]], [100, 1], "{after}");
    let result = field.result(&after, &nearly, &eval).await;
    assert_eq!([&result["scored_count"], &result["error_count"], &result["case_count"]], [99, 1, 100]);
    assert_eq!(
        [&result["score"], &result["error"]],
        [&json!(0.99), &json!("1 of 100 failed: provider_not_found")]
    );
    let errors = field.get(&format!("/api/v1/results/{}/cases?state=error", text(&result["id"]))).await;
    assert_eq!([&errors[0]["sample_id"], &errors[0]["error"]], ["17", "provider_not_found"], "{errors}");

    // The gap is closed in the earlier run, and a retry of the later one takes the answer over.
    field.provider.script("nearly", echo());
    field.provider.script("down", echo());
    accepted(&field, &text(&run["id"]), "retry").await;
    field.ended(&text(&run["id"])).await;
    let asked = field.provider.count();
    accepted(&field, &text(&after["id"]), "retry").await;
    let whole = field.ended(&text(&after["id"])).await;
    assert_eq!([&whole["case_done"], &whole["case_errors"]], [100, 0], "{whole}");
    assert_eq!(field.provider.count(), asked, "a model was asked");
    assert_eq!(field.result(&whole, &nearly, &eval).await["score"], 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stopped_run_never_asked_stays_missing() {
    let field = Field::start().await;
    let gate = Gate::closed();
    let held = gate.clone();
    let script = Script::by(move |asked| match asked.prompt() {
        prompt if prompt < "say 2" => Act::Say(prompt.to_owned()),
        prompt => Act::Wait(held.clone(), prompt.to_owned()),
    });
    let model = field.model("model", script, json!({"max_concurrency": 4})).await;
    let rows = samples(4, |at| (format!("say {at}"), format!("say {at}")));
    let eval = field.eval("say", "exact", json!({"samples": rows})).await;
    let id = field.trigger(json!({})).await;
    until("two cases", async || (field.run(&id).await["case_done"] == 2).then_some(())).await;
    act(&field.board.member, &id, "rescore").await.assert_refused(409, "code", "run_open");
    assert_eq!(act(&field.board.member, &id, "cancel").await.code(), 200);
    let after = again(&field, &id).await;
    let result = field.result(&after, &model, &eval).await;
    assert_eq!(
        [&result["state"], &result["case_count"], &result["scored_count"]],
        [&json!("incomplete"), &json!(4), &json!(2)]
    );
    assert_eq!(result["error"], "2 of 4 failed: never_asked");
    assert_eq!(field.leaderboard().await[0]["avg_score"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rescored_run_can_be_rescored_and_samples_may_go() {
    let field = Field::start().await;
    let model = field.model("model", echo(), json!({})).await;
    let eval = field.eval("say", "exact", json!({"samples": two(["say 0", "x"])})).await;
    let run = field.run_all().await;
    put_samples(&field, &eval, &two(["x", "say 1"])).await;
    let second = again(&field, &text(&run["id"])).await;
    put_samples(&field, &eval, &samples(1, |_| ("say 0".to_owned(), "say 0".to_owned()))).await;
    let third = again(&field, &text(&second["id"])).await;
    assert_eq!(third["rescore_of"], second["id"]);
    let results = [
        field.result(&run, &model, &eval).await,
        field.result(&second, &model, &eval).await,
        field.result(&third, &model, &eval).await,
    ];
    assert_eq!(
        [&results[1]["rescored_from"], &results[2]["rescored_from"]],
        [&results[0]["id"], &results[1]["id"]]
    );
    assert_eq!([&results[2]["case_count"], &results[2]["score"]], [&json!(1), &json!(1.0)]);
    assert_eq!(field.provider.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn old_answers_take_no_place_of_newer_ones_on_the_board() {
    let field = Field::start().await;
    field.model("model", echo(), json!({})).await;
    let eval = field.eval("say", "exact", json!({"samples": two(["say 0", "say 1"])})).await;
    let lucky = field.run_all().await;
    field.provider.script("model", Script::says("say 0"));
    let newer = field.run_all().await;
    let shown = async || field.leaderboard().await[0]["scores"][&eval]["score"].clone();
    assert_eq!(shown().await, 0.5);
    again(&field, &text(&lucky["id"])).await;
    assert_eq!(shown().await, 0.5, "an old run was put back on the board");
    let now = evalboard::domain::time::Millis::now().0;
    let past = field.get(&format!("/api/v1/leaderboard?as_of={now}")).await;
    assert_eq!(
        past[0]["scores"][&eval]["score"], 0.5,
        "the board of this moment is another than the present one"
    );
    // At a version that nobody was scored at, the newest answers that were scored stand; and newer ones follow.
    change(&field, &eval, json!({"eval_type": "includes"})).await;
    let first = again(&field, &text(&newer["id"])).await;
    again(&field, &text(&lucky["id"])).await;
    assert_eq!(shown().await, 0.5);
    again(&field, &text(&first["id"])).await;
    assert_eq!(shown().await, 0.5);

    let off = field.trigger(json!({"on_board": false})).await;
    field.ended(&off).await;
    let refused = rescore(&field, &off, &json!({"on_board": true})).await;
    refused.assert_refused(400, "field", "on_board");
    let quiet = rescored(&field, &off, json!({})).await;
    assert_eq!(quiet["run"]["on_board"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn hidden_targets_stay_hidden() {
    let field = Field::start().await;
    let model = field.model("model", echo(), json!({})).await;
    let more = json!({"samples": two(["say 0", "canary-old"]), "hidden_targets": true});
    let eval = field.eval("say", "exact", more).await;
    let run = field.run_all().await;
    put_samples(&field, &eval, &two(["canary-new", "say 1"])).await;
    let reply = rescore(&field, &text(&run["id"]), &json!({})).await;
    assert!(!reply.text().contains("canary"), "{}", reply.text());
    let after = field.ended(&text(&reply.json()["id"])).await;
    let result = field.result(&after, &model, &eval).await;
    for case in field.cases(&result).await {
        let id = text(&case["id"]);
        for path in [format!("/api/v1/cases/{id}"), format!("/cases/{id}")] {
            let shown = field.board.anonymous.get(&path).await;
            assert_eq!(shown.code(), 200);
            assert!(!shown.text().contains("canary"), "{path}: {}", shown.text());
        }
    }
}
