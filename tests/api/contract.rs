//! The contract's examples, as published: whatever they show is in our answers, by the same name and of the
//! same type. More fields may stand beside them.

use serde_json::{Value, json};

use crate::support::steps::{assert_has, capital, column, sums, text, with};
use crate::support::{Board, Reply};

/// What the contract shows of a model.
fn model() -> Value {
    json!({
        "id": "abc123",
        "name": "Claude Sonnet 4.6",
        "description": "Latest Anthropic model",
        "inference_uri": "anthropic/claude-sonnet-4-6",
        "is_official": true,
        "submitted_by": "admin@blah.dev",
        "created_at": 1_700_000_000_000_i64,
        "updated_at": 1_700_000_000_000_i64
    })
}

/// What it shows of an eval.
fn eval() -> Value {
    json!({
        "id": "eval123",
        "name": "Code Generation",
        "description": "Tests code generation ability",
        "prompt": "Write a function that...",
        "expected_behavior": "Should produce valid code",
        "eval_type": "rubric",
        "eval_criteria": "{}",
        "submitted_by": "admin@blah.dev",
        "created_at": 1_700_000_000_000_i64,
        "updated_at": 1_700_000_000_000_i64
    })
}

/// What it shows of a run.
fn run() -> Value {
    json!({
        "id": "run123",
        "started_at": 1_700_000_000_000_i64,
        "completed_at": 1_700_000_060_000_i64,
        "status": "completed",
        "total_evals": 10,
        "total_models": 5,
        "completed_count": 50,
        "error": null
    })
}

/// What it shows of a result.
fn result() -> Value {
    json!({
        "id": "res123",
        "eval_run_id": "run123",
        "eval_id": "eval123",
        "model_id": "abc123",
        "response": "The model's response...",
        "score": 0.85,
        "score_details": "{}",
        "latency_ms": 1200,
        "error": null,
        "raw_data": "",
        "created_at": 1_700_000_000_000_i64
    })
}

/// What it shows of a row of the board.
fn entry() -> Value {
    json!({
        "model_id": "abc123",
        "model_name": "Claude Sonnet 4.6",
        "avg_score": 0.92,
        "eval_count": 10,
        "last_run_at": 1_700_000_000_000_i64
    })
}

/// Where `answer` lacks what `example` shows: paths with what is wrong there. A list's one example holds for
/// each of its rows, and there must be some.
fn differences(example: &Value, answer: &Value, path: &str) -> Vec<String> {
    match (example, answer) {
        (Value::Object(shown), Value::Object(_)) => shown
            .iter()
            .flat_map(|(name, value)| match answer.get(name) {
                Some(given) => differences(value, given, &format!("{path}.{name}")),
                None => vec![format!("{path}.{name} is missing")],
            })
            .collect(),
        (Value::Array(_), Value::Array(given)) if given.is_empty() => vec![format!("{path} is empty")],
        (Value::Array(shown), Value::Array(given)) => {
            given.iter().flat_map(|row| differences(&shown[0], row, &format!("{path}[]"))).collect()
        }
        _ if kind(example).contains(&kind(answer)[0]) => Vec::new(),
        _ => vec![format!("{path} is {answer} where the contract shows {example}")],
    }
}

/// The JSON types that stand for a value, its own first. What is shown as null is text where there is some.
fn kind(value: &Value) -> &'static [&'static str] {
    match value {
        Value::Null => &["null", "text"],
        Value::Bool(_) => &["boolean"],
        Value::Number(number) if number.is_i64() => &["whole number"],
        Value::Number(_) => &["number", "whole number"],
        Value::String(_) => &["text"],
        Value::Array(_) => &["rows"],
        Value::Object(_) => &["object"],
    }
}

fn assert_like(example: &Value, answer: &Value, what: &str) {
    assert_eq!(differences(example, answer, what), Vec::<String>::new(), "{answer}");
}

fn assert_created(reply: &Reply, collection: &str) {
    assert_eq!(reply.code(), 201, "{}", reply.text());
    assert_eq!(reply.header("location"), format!("{collection}/{}", text(&reply.json(), "id")));
}

#[test]
fn the_comparer_finds_what_is_missing_and_what_has_another_type() {
    let shown = json!({"id": "a", "count": 1, "score": 0.5, "error": null});
    for (answer, found) in [
        (json!({"id": "b", "count": 2, "score": 1, "error": "odd", "more": 1}), vec![]),
        (json!({"count": 2, "score": 0.5, "error": null}), vec!["x.id is missing"]),
        (json!({"id": "b", "count": 2, "score": 0.5}), vec!["x.error is missing"]),
        (
            json!({"id": "b", "count": 1.5, "score": 0.5, "error": null}),
            vec!["x.count is 1.5 where the contract shows 1"],
        ),
        (
            json!({"id": null, "count": 1, "score": 0.5, "error": 1}),
            vec!["x.error is 1 where the contract shows null", "x.id is null where the contract shows \"a\""],
        ),
    ] {
        let mut differences = differences(&shown, &answer, "x");
        differences.sort();
        assert_eq!(differences, found, "{answer}");
    }
    assert_eq!(differences(&json!([1]), &json!([]), "x"), ["x is empty"]);
    assert_eq!(differences(&json!([{"a": 1}]), &json!([{"a": 1}, {}]), "x"), ["x[].a is missing"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_models_of_the_contract_are_taken_as_they_stand_and_shown_without_their_key() {
    let board = Board::idle().await;
    let sent = json!({
        "name": "My Model",
        "description": "A custom model",
        "inference_uri": "https://api.example.com/v1/chat",
        "api_key": "sk-...",
        "is_official": false
    });
    let reply = board.member.post("/api/v1/models", &sent).await;
    assert_created(&reply, "/api/v1/models");
    let made = reply.json();
    assert_like(&model(), &made, "made");
    for field in ["name", "description", "inference_uri", "is_official"] {
        assert_eq!(made[field], sent[field], "{field}");
    }
    assert_eq!(made["submitted_by"], "member@example.org");
    assert!(!reply.text().contains("sk-..."), "{}", reply.text());
    let listed = board.anonymous.get("/api/v1/models").await;
    assert_like(&json!([model()]), &listed.json(), "models");
    assert!(!listed.text().contains("sk-..."), "{}", listed.text());
    assert_eq!(board.other.read(reply.header("location")).await, made);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_evals_of_the_contract_are_taken_as_they_stand_and_deleted_with_success() {
    let board = Board::idle().await;
    let sent = json!({
        "name": "My Eval",
        "description": "Tests reasoning ability",
        "prompt": "Explain quantum computing",
        "expected_behavior": "Clear, accurate explanation",
        "eval_type": "rubric",
        "eval_criteria": "{\"rubric\":\"Rate clarity 0-1\"}"
    });
    let reply = board.member.post("/api/v1/evals", &sent).await;
    assert_created(&reply, "/api/v1/evals");
    let made = reply.json();
    assert_like(&eval(), &made, "made");
    for (field, value) in sent.as_object().unwrap() {
        assert_eq!(&made[field], value, "{field}");
    }
    let address = reply.header("location");
    assert_like(&json!([eval()]), &board.anonymous.read("/api/v1/evals").await, "evals");
    assert_eq!(board.anonymous.read(address).await, made);
    let deleted = board.member.delete(address).await;
    assert_eq!((deleted.code(), deleted.json()), (200, json!({"success": true})));
    assert_eq!(board.anonymous.get(address).await.code(), 404);
    assert_eq!(board.anonymous.read("/api/v1/evals").await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_without_a_body_is_accepted_and_everything_it_leads_to_is_as_in_the_contract() {
    let board = Board::busy().await;
    let model_id = board.member.model("builtin:constant?answer=Paris").await;
    board.member.model("builtin:calculator").await;
    board.member.eval(&capital()).await;
    board.member.eval(&sums()).await;
    let reply = board.member.ask(reqwest::Method::POST, "/api/v1/runs").send().await;
    assert_eq!(reply.code(), 202, "{}", reply.text());
    let triggered = reply.json();
    assert_like(&json!({"message": "Eval run triggered"}), &triggered, "triggered");
    assert_eq!(triggered["message"], "Eval run triggered");
    let address = format!("/api/v1/runs/{}", text(&triggered, "id"));
    assert_eq!(reply.header("location"), address);
    let over = board.anonymous.until(&address, |run| run["status"] == "completed").await;
    assert_has(&over, json!({"total_models": 2, "total_evals": 2, "completed_count": 4}));
    let (of_run, of_model) = (format!("{address}/results"), format!("/api/v1/models/{model_id}/results"));
    for (path, example) in [
        (address.as_str(), run()),
        ("/api/v1/runs", json!([run()])),
        (&of_run, json!([result()])),
        (&of_model, json!([result()])),
        ("/api/v1/leaderboard", json!([entry()])),
    ] {
        assert_like(&example, &board.anonymous.read(path).await, path);
    }
    let results = board.anonymous.read(&of_run).await;
    for id in column(&results, "id") {
        let one = board.anonymous.read(&format!("/api/v1/results/{id}")).await;
        assert_like(&result(), &one, "result");
        assert_eq!(one["eval_run_id"], triggered["id"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_without_samples_shows_its_answer_and_an_eval_with_samples_leaves_that_to_its_cases() {
    let board = Board::busy().await;
    let model_id = board.member.model("builtin:constant?answer=It+is+Paris.").await;
    let question = board.member.eval(&capital()).await;
    let set = board.member.eval(&sums()).await;
    board.member.run(&json!({})).await;
    let results = board.anonymous.read(&format!("/api/v1/models/{model_id}/results")).await;
    for (eval, response, score) in [(&question, "It is Paris.", 1.0), (&set, "", 0.0)] {
        let row = results.as_array().unwrap().iter().find(|row| row["eval_id"] == **eval).unwrap();
        assert_has(row, json!({"response": response, "score": score, "model_id": model_id}));
        let details: Value = serde_json::from_str(text(row, "score_details")).unwrap();
        assert!(details.is_object(), "{details}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_measured_is_null_and_says_why() {
    let board = Board::busy().await;
    board.member.model("builtin:flaky?error_rate=1").await;
    board.member.eval(&capital()).await;
    let over = board.member.run(&json!({})).await;
    assert_eq!(over["status"], "failed");
    assert!(over["error"].is_string(), "{over}");
    let results = board.anonymous.read(&format!("/api/v1/runs/{}/results", text(&over, "id"))).await;
    let row = &results[0];
    let error = "1 of 1 failed: provider_unavailable";
    assert_has(
        row,
        json!({"score": null, "latency_ms": 0, "error": error, "response": "", "score_details": "{}"}),
    );
    assert_eq!(board.anonymous.read("/api/v1/leaderboard").await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_run_has_no_end_and_an_empty_board_has_bare_empty_lists() {
    let board = Board::idle().await;
    for path in ["/api/v1/models", "/api/v1/evals", "/api/v1/runs", "/api/v1/leaderboard"] {
        assert_eq!(board.anonymous.read(path).await, json!([]), "{path}");
    }
    board.member.model("builtin:echo").await;
    board.member.eval(&sums()).await;
    let id = board.member.trigger(&json!({})).await;
    let open = board.anonymous.read(&format!("/api/v1/runs/{id}")).await;
    assert_has(&open, json!({"status": "queued", "completed_at": null}));
    assert_like(&with(run(), json!({"completed_at": null})), &open, "run");
}
