//! Every scorer and every reducer, from the registered eval to the score of a run; webhooks most of all.

use std::collections::HashMap;
use std::sync::Mutex;

use evalboard::domain::{hex, signature};
use serde_json::{Value, json};

use super::near;
use crate::support::field::{Field, text};
use crate::support::hook::Hook;
use crate::support::provider::{Act, Script};

const EVALS: &str = "/api/v1/evals";
const SECRET: &str = "Canary-webhook-5e1f";

/// A board that may call that webhook, with a model that says `answer`.
async fn hooked(hook: &Hook, answer: &str) -> (Field, String) {
    let address = hook.address.to_string();
    let field = Field::with(&address, &["--webhook-allow", &format!("http://{address}/score")]).await;
    let model = field.model("student", Script::says(answer), json!({})).await;
    (field, model)
}

/// What a webhook eval is made of.
fn criteria(hook: &Hook) -> Value {
    json!({"url": hook.url(), "secret": SECRET, "timeout_ms": 1000})
}

/// An eval of one sample that the webhook scores.
async fn judged(field: &Field, hook: &Hook) -> String {
    let samples = json!([{"input": "2+2?", "target": ["4", "four"], "metadata": {"page": 3}}]);
    field.eval("judged", "webhook", json!({"eval_criteria": criteria(hook), "samples": samples})).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_scorer_scores_what_a_model_said() {
    let field = Field::start().await;
    let answer = "```json\n{\"city\": \"Paris\", \"people\": 2100000}\n```";
    let model = field.model("student", Script::says(answer), json!({})).await;
    let form = json!({"type": "object", "required": ["city"], "properties": {"people": {"type": "integer"}}});
    let parts =
        json!([{"type": "icontains", "weight": 3}, {"type": "is-json"}, {"type": "equals", "weight": 4}]);
    let mut evals = Vec::new();
    for (eval_type, criteria, score) in [
        ("f1", json!({}), 1.0 / 3.0),
        ("rouge_l", json!({"threshold": 0.3}), 1.0 / 3.0),
        ("bleu", json!({}), 0.017272237992167868),
        ("levenshtein", json!({}), 0.10416666666666663),
        ("json_equals", json!({"subset": true}), 1.0),
        ("json_schema", json!({"schema": form}), 1.0),
        ("is-json", json!({}), 1.0),
        ("multi", json!({"scorers": parts}), 0.5),
    ] {
        let target = if eval_type == "json_equals" { "{\"city\": \"Paris\"}" } else { "Paris" };
        let more = json!({"prompt": "Which?", "expected_behavior": target, "eval_criteria": criteria});
        evals.push((field.eval(eval_type, eval_type, more).await, eval_type, score));
    }
    let run = field.run_all().await;
    assert_eq!(run["status"], "completed", "{run}");
    for (eval, eval_type, score) in evals {
        let case = field.only_case(&run, &model, &eval).await;
        assert!(near(&case["score"], score), "{eval_type}: {case}");
        if eval_type == "multi" {
            let parts = case["score_details"]["parts"].as_array().unwrap();
            let types: Vec<&str> = parts.iter().map(|part| part["type"].as_str().unwrap()).collect();
            assert_eq!(types, ["includes", "json_schema", "exact"]);
        }
        let result = field.result(&run, &model, &eval).await;
        let passes =
            case["score"].as_f64() >= field.get(&format!("{EVALS}/{eval}")).await["pass_threshold"].as_f64();
        assert_eq!(result["passed_count"], i64::from(passes), "{eval_type}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_threshold_among_the_criteria_says_what_passes() {
    let field = Field::start().await;
    let more = json!({"prompt": "Which?", "expected_behavior": "Paris", "eval_criteria": {"threshold": 0.9}});
    let eval = field.eval("close", "levenshtein", more.clone()).await;
    let path = format!("{EVALS}/{eval}");
    assert_eq!(field.get(&path).await["pass_threshold"], 0.9);
    let changed = field.board.member.changed(&path, &json!({"eval_criteria": {"threshold": 0.7}})).await;
    assert_eq!(changed["pass_threshold"], 0.7);
    let changed = field.board.member.changed(&path, &json!({"eval_criteria": {}})).await;
    assert_eq!(changed["pass_threshold"], 0.7);
    for (edit, field_name) in [
        (json!({"eval_criteria": {"threshold": 0.6}, "pass_threshold": 0.5}), "pass_threshold"),
        (json!({"eval_criteria": {"threshold": 2}}), "eval_criteria.threshold"),
    ] {
        field.board.member.patch(&path, &edit).await.assert_refused(400, "field", field_name);
    }
    let both = json!({"name": "E", "prompt": "Q", "eval_type": "f1", "expected_behavior": "Paris",
                      "eval_criteria": {"threshold": 0.9}, "pass_threshold": 0.5});
    field.board.member.post(EVALS, &both).await.assert_refused(400, "field", "pass_threshold");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reducer_makes_one_score_of_the_epochs() {
    let field = Field::start().await;
    // Right the first two times that a question is asked, wrong from then on.
    let asked: Mutex<HashMap<String, usize>> = Mutex::default();
    let script = Script::by(move |question| {
        let mut asked = asked.lock().unwrap();
        let count = asked.entry(question.prompt().to_owned()).or_default();
        *count += 1;
        Act::Say(if *count <= 2 { "yes" } else { "no" }.to_owned())
    });
    let model = field.model("student", script, json!({"max_concurrency": 1})).await;
    let mut evals = Vec::new();
    for (reducer, score) in [
        ("mean", 0.5),
        ("median", 0.5),
        ("majority", 0.0),
        ("max", 1.0),
        ("at_least_2", 1.0),
        ("at_least_3", 0.0),
        ("pass_at_2", 1.0 - 1.0 / 6.0),
        ("pass_2", 1.0 / 6.0),
    ] {
        let more = json!({"prompt": format!("By {reducer}?"), "expected_behavior": "yes", "epochs": 4, "reducer": reducer});
        evals.push((field.eval(reducer, "exact", more).await, reducer, score));
    }
    let run = field.run_all().await;
    for (eval, reducer, score) in evals {
        let result = field.result(&run, &model, &eval).await;
        assert!(near(&result["score"], score), "{reducer}: {result}");
        assert_eq!([&result["reducer"], &result["epochs"]], [&json!(reducer), &json!(4)]);
        assert_eq!(
            [&result["case_count"], &result["passed_count"], &result["n_items"]],
            [4, 2, 1],
            "{reducer}"
        );
        assert_eq!(result["score_low"].is_null(), reducer != "mean", "{reducer}");
    }
    let fewer = field.board.member.post("/api/v1/runs", &json!({"epochs": 2})).await;
    fewer.assert_refused(400, "field", "epochs");
    assert!(fewer.text().contains("at_least_3 needs as many"), "{}", fewer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_sent_the_case_with_a_signature_and_its_score_counts() {
    let hook =
        Hook::answering(&[(200, "{\"score\": 0.75, \"pass\": true, \"reason\": \"close\", \"more\": 1}")]);
    let (field, model) = hooked(&hook, "It is 4.").await;
    let eval = judged(&field, &hook).await;
    let run = field.run_all().await;
    let case = field.only_case(&run, &model, &eval).await;
    assert_eq!([&case["state"], &case["score"]], [&json!("scored"), &json!(0.75)]);
    assert_eq!(case["score_details"], json!({"pass": true, "reason": "close"}));
    let [call] = hook.calls().try_into().unwrap();
    let sent =
        json!({"output": "It is 4.", "input": "2+2?", "target": ["4", "four"], "metadata": {"page": 3}});
    assert_eq!(call.json(), sent);
    assert_eq!(call.headers["content-type"], "application/json");
    let proof = call.headers["x-evalboard-signature"].strip_prefix("sha256=").unwrap().to_owned();
    let signed = format!("{}.{}", call.headers["x-evalboard-timestamp"], call.body);
    assert!(signature::verify(SECRET.as_bytes(), signed.as_bytes(), &hex::decode(&proof).unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_is_out_for_a_moment_is_asked_again() {
    let hook = Hook::answering(&[(503, "busy"), (429, ""), (200, "{\"score\": 1}")]);
    let (field, model) = hooked(&hook, "4").await;
    let eval = judged(&field, &hook).await;
    let run = field.run_all().await;
    assert_eq!(field.only_case(&run, &model, &eval).await["score"], 1.0);
    assert_eq!((hook.calls().len(), field.provider.asked("student").len()), (3, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_gives_no_score_leaves_the_case_unscored() {
    let hook = Hook::answering(&[(200, "")]);
    let (field, model) = hooked(&hook, "4").await;
    let eval = judged(&field, &hook).await;
    let (large, echo) =
        (format!("{{\"score\": 1, \"x\": \"{}\"}}", "x".repeat(64 * 1024)), format!("bad {SECRET}"));
    for (status, body, words, calls) in [
        (500, "gone", "answered 500: gone", 5),
        (200, "{\"score\": 1.01}", "not a number from 0 to 1", 1),
        (200, "{\"score\": -0.5}", "not a number from 0 to 1", 1),
        (200, "{\"score\": \"1\"}", "the webhook's answer is not", 1),
        (200, "{\"score\": null}", "the webhook's answer is not", 1),
        (200, "{\"score\": 1e999}", "the webhook's answer is not", 1),
        (200, "{\"pass\": true}", "missing field `score`", 1),
        (200, "perfect", "the webhook's answer is not", 1),
        (200, "", "the webhook's answer is not", 1),
        (200, large.as_str(), "larger than 64 KiB", 1),
        (307, "", "redirect", 1),
        (401, echo.as_str(), "answered 401: bad [key]", 1),
        (0, "", "in time", 5),
    ] {
        hook.answer(&[(status, body)]);
        let run = field.run_all().await;
        let case = field.only_case(&run, &model, &eval).await;
        assert_eq!([&case["state"], &case["reason"]], ["unscored", "scoring_failed"], "{status} {body:.40}");
        assert_eq!(case["score"], Value::Null);
        assert!(text(&case["error_message"]).contains(words), "{case}");
        assert!(!case.to_string().contains(SECRET));
        assert_eq!(hook.calls().len(), calls, "{status} {body:.40}");
    }
    assert!(field.leaderboard().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_needs_the_operators_word() {
    let hook = Hook::answering(&[(200, "{\"score\": 1}")]);
    let body = json!({"name": "E", "prompt": "Q", "eval_type": "webhook", "eval_criteria": criteria(&hook)});
    for field in [Field::start().await, Field::with(&hook.address.to_string(), &[]).await] {
        let refused = field.board.member.post(EVALS, &body).await;
        refused.assert_refused(400, "field", "eval_criteria.url");
        assert!(refused.text().contains("EVALBOARD_"), "{}", refused.text());
        assert!(!refused.text().contains(SECRET));
    }
    // Its word for webhooks opens no private address.
    let field = Field::with("", &["--webhook-allow", "127.0.0.1"]).await;
    field.board.member.post(EVALS, &body).await.assert_refused(400, "field", "eval_criteria.url");
    let allowed = ["--webhook-allow", "hooks.example"];
    let field = Field::with(&hook.address.to_string(), &allowed).await;
    let refused = field.board.member.post(EVALS, &body).await;
    assert!(refused.text().contains("must allow 127.0.0.1 in the setting EVALBOARD_WEBHOOK_ALLOW"));
    assert!(hook.calls().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhooks_secret_goes_in_and_never_comes_out() {
    let hook = Hook::answering(&[(200, "{\"score\": 1}")]);
    let (field, model) = hooked(&hook, "4").await;
    let eval = judged(&field, &hook).await;
    let path = format!("{EVALS}/{eval}");
    let run = field.run_all().await;
    let case = field.only_case(&run, &model, &eval).await;
    let case_path = format!("/api/v1/cases/{}", text(&case["id"]));
    for place in
        [EVALS, &path, &case_path, &format!("/evals/{eval}"), &format!("/cases/{}", text(&case["id"]))]
    {
        for client in [&field.board.anonymous, &field.board.member, &field.board.admin] {
            let shown = client.get(place).await;
            assert!(shown.code() == 200 && !shown.text().contains("Canary-webhook"), "{place}");
        }
    }
    assert!(text(&field.get(&path).await["eval_criteria"]).contains("\"timeout_ms\":1000"));
    for entry in std::fs::read_dir(field.board.house.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = if path.is_file() { std::fs::read(&path).unwrap() } else { Vec::new() };
        assert!(!bytes.windows(14).any(|part| part == b"Canary-webhook"), "{}", path.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhooks_secret_stays_until_the_webhook_moves() {
    let (hook, other) =
        (Hook::answering(&[(200, "{\"score\": 1}")]), Hook::answering(&[(200, "{\"score\": 0}")]));
    let both = format!("{},{}", hook.address, other.address);
    let field = Field::with(&both, &["--webhook-allow", "127.0.0.1"]).await;
    let model = field.model("student", Script::says("4"), json!({})).await;
    let eval = judged(&field, &hook).await;
    let path = format!("{EVALS}/{eval}");
    let member = &field.board.member;
    let version = |eval: &Value| eval["version"].as_i64().unwrap();
    assert_eq!(version(&member.changed(&path, &json!({"name": "renamed"})).await), 1);
    let kept = json!({"eval_criteria": {"url": hook.url(), "timeout_ms": 2000}});
    assert_eq!(version(&member.changed(&path, &kept).await), 2);
    let run = field.run_all().await;
    assert_eq!(field.only_case(&run, &model, &eval).await["score"], 1.0);

    let moved = member.patch(&path, &json!({"eval_criteria": {"url": other.url()}})).await;
    moved.assert_refused(400, "field", "eval_criteria.secret");
    let moved = json!({"eval_criteria": {"url": other.url(), "secret": SECRET}});
    assert_eq!(version(&member.changed(&path, &moved).await), 3);
    // Another secret for the same place measures the same.
    let renewed = json!({"eval_criteria": {"url": other.url(), "secret": "Another-secret-of-16"}});
    assert_eq!(version(&member.changed(&path, &renewed).await), 3);
    let run = field.run_all().await;
    assert_eq!(field.only_case(&run, &model, &eval).await["score"], 0.0);
    let call = other.calls().pop().unwrap();
    let signed = format!("{}.{}", call.headers["x-evalboard-timestamp"], call.body);
    let proof = hex::encode(&signature::sign(b"Another-secret-of-16", signed.as_bytes()));
    assert_eq!(call.headers["x-evalboard-signature"], format!("sha256={proof}"));

    let without = json!({"eval_type": "includes", "eval_criteria": {}});
    member.changed(&path, &without).await;
    assert_eq!(field.count("SELECT COUNT(*) AS n FROM webhook_secrets").await, 0);
    let bare =
        json!({"name": "E", "prompt": "Q", "eval_type": "webhook", "eval_criteria": {"url": hook.url()}});
    member.post(EVALS, &bare).await.assert_refused(400, "field", "eval_criteria.secret");
    let again = judged(&field, &hook).await;
    member.delete(&format!("{EVALS}/{again}")).await;
    assert_eq!(field.count("SELECT COUNT(*) AS n FROM webhook_secrets").await, 0);
}
