//! What is refused, and in which words: each answer has its status, its code, the field to blame and the fix.

mod criteria;

use evalboard::domain::api_keys::ApiKey;
use reqwest::Method;
use serde_json::{Value, json};

use self::criteria::bad_criteria;
use crate::support::steps::{ELSEWHERE, capital, column, sums, text, with};
use crate::support::{Board, Client, Reply};

const MODELS: &str = "/api/v1/models";
const EVALS: &str = "/api/v1/evals";
const RUNS: &str = "/api/v1/runs";

/// A body with the field that is to blame for it, if one is, and a part of the words that mend it.
type Bad = (Value, &'static str, &'static str);

/// A model that would be taken.
fn model() -> Value {
    json!({"name": "A", "inference_uri": "builtin:echo"})
}

/// The reply is an error in `field` (of the whole request when that is empty) that says how to mend it.
fn assert_blamed(reply: &Reply, status: u16, code: &str, field: &str, fix: &str, what: &str) {
    assert_eq!(reply.code(), status, "{what}: {}", reply.text());
    let body = reply.json();
    assert_eq!(body["code"], code, "{what}: {body}");
    assert_eq!(body["field"].as_str().unwrap_or_default(), field, "{what}: {body}");
    assert!(text(&body, "error").contains(fix), "{what}: {body} does not say {fix:?}");
    assert_eq!(body["request_id"], reply.header("x-request-id"), "{what}");
}

/// Each of `table` is refused by `path` when its fields are put into `base`.
async fn assert_all_refused(client: &Client, (method, path): (Method, &str), base: &Value, table: Vec<Bad>) {
    for (fields, field, fix) in table {
        let reply = client.ask(method.clone(), path).json(&with(base.clone(), fields.clone())).send().await;
        let what: String = format!("{method} {path} {fields}").chars().take(300).collect();
        assert_blamed(&reply, 400, "invalid", field, fix, &what);
    }
}

/// The fields of names, and what none of them may hold.
fn bad_names(field: &'static str) -> Vec<Bad> {
    let named = |name: &str| json!({field: name});
    vec![
        (named(""), field, "1-100 characters"),
        (named(" \t "), field, "1-100 characters"),
        (named(&"é".repeat(101)), field, "1-100 characters"),
        (named("a\u{0}b"), field, "remove U+0000"),
        (named("a\nb"), field, "remove U+000A"),
        (named("a\u{7f}b"), field, "remove U+007F"),
        (named("a\u{202e}b"), field, "remove U+202E"),
        (named("a\u{2066}b"), field, "remove U+2066"),
        (named("a\u{200b}b"), field, "remove U+200B"),
        (named("\u{200d}"), field, "visible character"),
        (json!({field: 1}), field, "expected a string"),
        (json!({field: [] }), field, "expected a string"),
    ]
}

fn bad_models() -> Vec<Bad> {
    let long = "a".repeat(1_001);
    vec![
        (json!({"name": null}), "name", "expected a string"),
        (json!({"colour": "red"}), "colour", "unknown field `colour`, expected one of `name`"),
        (json!({"id": "mine"}), "id", "unknown field `id`"),
        (json!({"submitted_by": "me@example.org"}), "submitted_by", "unknown field"),
        (json!({"has_api_key": true}), "has_api_key", "unknown field"),
        (json!({"description": long}), "description", "at most 1000 characters"),
        (json!({"description": "a\u{1b}[2J"}), "description", "remove U+001B"),
        (json!({"is_active": "yes"}), "is_active", "expected a boolean"),
        (json!({"open_weights": 1}), "open_weights", "expected a boolean"),
        (json!({"max_concurrency": 0}), "max_concurrency", "from 1 to 1000"),
        (json!({"max_concurrency": 1001}), "max_concurrency", "from 1 to 1000"),
        (json!({"max_concurrency": 1.5}), "max_concurrency", "expected u32"),
        (json!({"max_concurrency": -1}), "max_concurrency", "expected u32"),
        (json!({"timeout_ms": 0}), "timeout_ms", "from 1000 to 3600000"),
        (json!({"timeout_ms": 999}), "timeout_ms", "from 1000 to 3600000"),
        (json!({"timeout_ms": 3_600_001}), "timeout_ms", "from 1000 to 3600000"),
        (json!({"input_price": -0.1}), "input_price", "0 to 1000000"),
        (json!({"output_price": 1e7}), "output_price", "0 to 1000000"),
        (json!({"cached_input_price": "free"}), "cached_input_price", "expected f64"),
        (json!({"cache_write_price": -1}), "cache_write_price", "US dollars per million tokens"),
        (json!({"parameters": {"stream": "yes"}}), "parameters.stream", "expected a boolean"),
        (json!({"url": "javascript:alert(1)"}), "url", "http or https"),
        (json!({"url": "example.org"}), "url", "http or https"),
        (json!({"parameters": {"temperature": 2.5}}), "parameters.temperature", "from 0 to 2"),
        (json!({"parameters": {"top_k": 3}}), "parameters.top_k", "unknown field `top_k`"),
        (json!({"parameters": {"seed": "7"}}), "parameters.seed", "expected i64"),
        (json!({"parameters": {"stop": [1]}}), "parameters.stop[0]", "expected a string"),
        (
            json!({"parameters": {"reasoning_effort": "max"}}),
            "parameters.reasoning_effort",
            "expected one of",
        ),
        (json!({"inference_uri": ELSEWHERE, "api_key": ""}), "api_key", "1-4096 visible ASCII"),
        (json!({"inference_uri": ELSEWHERE, "api_key": "a b"}), "api_key", "1-4096 visible ASCII"),
        (
            json!({"inference_uri": ELSEWHERE, "api_key": "a".repeat(4_097)}),
            "api_key",
            "1-4096 visible ASCII",
        ),
        (json!({"api_key": "sk-a"}), "api_key", "builtin model takes no api_key"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_model_is_refused_where_it_is_made_and_where_it_is_changed() {
    let board = Board::idle().await;
    let path = format!("{MODELS}/{}", board.member.model("builtin:echo").await);
    let names = || [bad_names("name"), bad_names("provider"), bad_names("license")].concat();
    assert_all_refused(&board.member, (Method::POST, MODELS), &model(), [names(), bad_models()].concat())
        .await;
    let changes = bad_models().into_iter().filter(|(fields, ..)| fields != &json!({"name": null})).collect();
    assert_all_refused(&board.member, (Method::PATCH, &path), &json!({}), changes).await;
    assert_all_refused(&board.member, (Method::PATCH, &path), &json!({}), names()).await;
    assert_eq!(board.anonymous.read(MODELS).await.as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inference_uri_that_cannot_be_called_is_refused() {
    let board = Board::idle().await;
    let path = format!("{MODELS}/{}", board.member.model("builtin:echo").await);
    let public = "public address";
    let forms = "openai-compatible:https://host/v1#model-name";
    let table = [
        ("", forms),
        ("gpt-4o", forms),
        ("ftp://93.184.216.34/x", forms),
        ("file:///etc/passwd", forms),
        ("javascript:alert(1)", forms),
        ("a\nb/c", "control characters"),
        ("https://93.184.216.34/v1#m", "openai-compatible:"),
        ("https://user:secret@93.184.216.34/", "api_key"),
        ("https://", "valid URL"),
        ("http://93.184.216.34/v1", "https://"),
        ("https://93.184.216.34:22/v1", "port 443"),
        ("openai-compatible:https://93.184.216.34/v1", "model name"),
        ("openai-compatible:ftp://93.184.216.34/v1#m", "https://"),
        ("builtin:oracle", "random, constant, echo"),
        ("builtin:random?sede=1", "it takes: seed"),
        ("builtin:constant", "needs an answer"),
        ("nobody/some-model", "EVALBOARD_PROVIDER_NOBODY_BASE_URL"),
        ("https://127.0.0.1/v1", public),
        ("http://127.0.0.1:9000/v1", public),
        ("https://2130706433/v1", public),
        ("https://0x7f000001/v1", public),
        ("https://0177.0.0.1/v1", public),
        ("https://127.1/v1", public),
        ("https://１２７.0.0.1/v1", public),
        ("https://127。0。0。1/v1", public),
        ("https://0.0.0.0/v1", public),
        ("https://10.1.2.3/v1", public),
        ("https://172.16.0.1/v1", public),
        ("https://192.168.0.1/v1", public),
        ("https://169.254.169.254/latest/meta-data", public),
        ("https://100.64.0.1/v1", public),
        ("https://255.255.255.255/v1", public),
        ("https://[::1]/v1", public),
        ("https://[::]/v1", public),
        ("https://[::ffff:127.0.0.1]/v1", public),
        ("https://[::ffff:a00:1]/v1", public),
        ("https://[64:ff9b::7f00:1]/v1", public),
        ("https://[2002:7f00:1::]/v1", public),
        ("https://[fe80::1]/v1", public),
        ("https://[fd00::1]/v1", public),
        ("https://localhost/v1", public),
        ("https://LOCALHOST./v1", public),
        ("https://api.localhost/v1", public),
        ("openai-compatible:https://127.0.0.1/v1#m", public),
        ("openai-compatible:http://localhost:11434/v1#m", public),
    ];
    let table = || table.map(|(uri, fix)| (json!({"inference_uri": uri}), "inference_uri", fix)).to_vec();
    assert_all_refused(&board.member, (Method::POST, MODELS), &model(), table()).await;
    assert_all_refused(&board.admin, (Method::POST, MODELS), &model(), table()).await;
    assert_all_refused(&board.member, (Method::PATCH, &path), &json!({}), table()).await;
    let long = json!({"inference_uri": format!("https://93.184.216.34/{}", "a".repeat(2_000))});
    let reply = board.member.post(MODELS, &with(model(), long)).await;
    assert_blamed(&reply, 400, "invalid", "inference_uri", "at most 2000 characters", "a long URI");
}

fn bad_evals() -> Vec<Bad> {
    let many: Vec<String> = (0..21).map(|at| format!("tag {at}")).collect();
    vec![
        (json!({"colour": "red"}), "colour", "unknown field `colour`, expected one of `name`"),
        (json!({"version": 2}), "version", "unknown field"),
        (json!({"description": "a".repeat(1_001)}), "description", "at most 1000 characters"),
        (json!({"expected_behavior": "a".repeat(2_001)}), "expected_behavior", "at most 2000 characters"),
        (json!({"expected_behavior": "a\u{0}b"}), "expected_behavior", "remove U+0000"),
        (json!({"prompt": ""}), "prompt", "must hold text"),
        (json!({"prompt": " \n"}), "prompt", "must hold text"),
        (json!({"prompt": "a".repeat(256 * 1024 + 1)}), "prompt", "at most 256 KB"),
        (json!({"prompt": "a\u{0}b"}), "prompt", "remove U+0000"),
        (json!({"prompt": 1}), "prompt", "expected a string"),
        (json!({"eval_type": "telepathy"}), "eval_type", "exact, match, includes"),
        (json!({"eval_type": "Exact"}), "eval_type", "it must be one of"),
        (json!({"eval_criteria": 5}), "eval_criteria", "must be a JSON object, or one as text"),
        (json!({"eval_criteria": ["a"]}), "eval_criteria", "must be a JSON object, or one as text"),
        (json!({"eval_criteria": "not json"}), "eval_criteria", "must be a JSON object"),
        (json!({"eval_criteria": "[]"}), "eval_criteria", "must be a JSON object"),
        (json!({"eval_criteria": {"ignorecase": true}}), "eval_criteria.ignorecase", "it takes: ignore_case"),
        (json!({"eval_criteria": {"ignore_case": "no"}}), "eval_criteria.ignore_case", "true or false"),
        (
            json!({"eval_type": "contains", "eval_criteria": {"ignore_case": true}}),
            "eval_criteria.ignore_case",
            "leave it out",
        ),
        (
            json!({"eval_type": "match", "eval_criteria": {"location": "middle"}}),
            "eval_criteria.location",
            "begin, end, any, exact",
        ),
        (
            json!({"eval_type": "pattern", "eval_criteria": {"pattern": "("}}),
            "eval_criteria.pattern",
            "pattern",
        ),
        (json!({"eval_type": "pattern", "eval_criteria": {}}), "eval_criteria.pattern", "pattern"),
        (
            json!({"eval_type": "numeric", "eval_criteria": {"abs_tol": -1}}),
            "eval_criteria.abs_tol",
            "0 or more",
        ),
        (
            json!({"eval_type": "rubric", "eval_criteria": {"rubric": "R", "votes": 0}}),
            "eval_criteria.votes",
            "1 to",
        ),
        (
            json!({"eval_type": "rubric", "eval_criteria": {"rubric": "R", "max_score": 0}}),
            "eval_criteria.max_score",
            "more than 0",
        ),
        (
            json!({"eval_type": "rubric", "eval_criteria": {"rubric": "R", "grader": "https://a.example/v1"}}),
            "eval_criteria.grader",
            "id",
        ),
        (
            json!({"eval_type": "rubric", "eval_criteria": {"rubric": "R", "grader": "Nobody"}}),
            "eval_criteria.grader",
            "no registered model",
        ),
        (json!({"epochs": 0}), "epochs", "from 1 to 100"),
        (json!({"epochs": 101}), "epochs", "from 1 to 100"),
        (json!({"epochs": -1}), "epochs", "expected u32"),
        (json!({"reducer": "best"}), "reducer", "must be mean, median, majority"),
        (json!({"reducer": "pass_at_k"}), "reducer", "such as pass_at_5"),
        (json!({"reducer": "pass_at_5", "epochs": 4}), "epochs", "must be at least 5"),
        (json!({"pass_threshold": 0}), "pass_threshold", "above 0"),
        (json!({"pass_threshold": 1.01}), "pass_threshold", "at most 1"),
        (json!({"weight": 0}), "weight", "above 0"),
        (json!({"weight": 1e-9}), "weight", "at least 0.000001"),
        (json!({"weight": 1e7}), "weight", "at most 1000000"),
        (json!({"chance_level": 1}), "chance_level", "below 1"),
        (json!({"chance_level": -0.1}), "chance_level", "at least 0"),
        (json!({"tags": many}), "tags", "at most 20"),
        (json!({"tags": ["fine", ""]}), "tags[1]", "1-100 characters"),
        (json!({"tags": ["a\u{202e}b"]}), "tags[0]", "remove U+202E"),
        (json!({"tags": "one"}), "tags", "expected a sequence"),
        (json!({"tags": [1]}), "tags[0]", "expected a string"),
        (json!({"hidden_targets": "yes"}), "hidden_targets", "expected a boolean"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_eval_is_refused_where_it_is_made_and_where_it_is_changed() {
    let board = Board::idle().await;
    let made = board.member.made(EVALS, &capital()).await;
    let path = format!("{EVALS}/{}", text(&made, "id"));
    let table = || [bad_names("name"), bad_names("category"), bad_evals(), bad_criteria()].concat();
    assert_all_refused(&board.member, (Method::POST, EVALS), &capital(), table()).await;
    assert_all_refused(&board.member, (Method::PATCH, &path), &json!({}), table()).await;
    assert_eq!(board.anonymous.read(EVALS).await, json!([made]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_would_match_everything_or_nothing_is_refused() {
    let board = Board::idle().await;
    let table = [
        ("exact", "...", "no word and no number"),
        ("exact", " ", "no word and no number"),
        ("equals", " ", "must not be blank"),
        ("match", "?!", "target"),
        ("includes", "  ", "must not be blank"),
        ("numeric", "three", "target"),
        ("f1", "the", "no word besides articles"),
        ("rouge_l", "東京", "no letter from a to z"),
        ("levenshtein", " ", "must not be blank"),
        ("json_equals", "{a: 1}", "must be JSON"),
    ];
    let asked = |eval_type: &str| json!({"name": "E", "prompt": "{{input}}", "eval_type": eval_type});
    for (eval_type, target, fix) in table {
        for (given, field) in [
            (json!({"samples": [{"input": "q", "target": target}]}), "samples[0].target"),
            (json!({"samples": [{"input": "q", "target": ["1", target]}]}), "samples[0].target"),
        ] {
            let reply = board.member.post(EVALS, &with(asked(eval_type), given.clone())).await;
            assert_blamed(&reply, 400, "invalid", field, fix, &format!("{eval_type} {given}"));
        }
    }
    for (eval_type, target) in [("exact", "..."), ("exact", " "), ("includes", ""), ("numeric", "three")] {
        let body = with(asked(eval_type), json!({"expected_behavior": target}));
        let reply = board.member.post(EVALS, &body).await;
        let fix = "without samples the eval is one question whose target is expected_behavior";
        assert_blamed(&reply, 400, "invalid", "expected_behavior", fix, &format!("{eval_type} {target:?}"));
    }
    let reply = board.member.post(EVALS, &asked("rubric")).await;
    assert_blamed(&reply, 400, "invalid", "eval_criteria.rubric", "expected_behavior", "no rubric");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_sample_is_named_by_its_place() {
    let board = Board::idle().await;
    let good = json!({"input": "q", "target": "a"});
    let letters: Vec<String> = (0..27).map(|at| at.to_string()).collect();
    let table = [
        (json!({"target": "a"}), "samples[1].input", "missing field `input`"),
        (json!({"input": "q"}), "samples[1].target", "is required"),
        (json!({"input": " ", "target": "a"}), "samples[1].input", "must hold text"),
        (json!({"input": [], "target": "a"}), "samples[1].input", "must hold text"),
        (json!({"input": "a\u{0}b", "target": "a"}), "samples[1].input", "remove U+0000"),
        (json!({"input": "q", "target": "a\u{0}b"}), "samples[1].target", "remove U+0000"),
        (
            json!({"input": {"a": 1}, "target": "a"}),
            "samples[1].input",
            "must be text, or a list of messages",
        ),
        (json!({"input": null, "target": "a"}), "samples[1].input", "it is null"),
        (
            json!({"input": [{"role": "robot", "content": "q"}], "target": "a"}),
            "samples[1].input",
            "system, user, assistant",
        ),
        (json!({"input": "q", "target": {"a": 1}}), "samples[1].target", "it is an object"),
        (json!({"input": "q", "target": ["a", null]}), "samples[1].target", "item 2 is null"),
        (json!({"input": "q", "target": "a", "choices": "a"}), "samples[1].choices", "must be a list"),
        (
            json!({"input": "q", "target": "a", "choices": ["a", "b\u{0}"]}),
            "samples[1].choices",
            "remove U+0000",
        ),
        (json!({"input": "q", "target": "a", "choices": letters}), "samples[1].choices", "at most 26"),
        (json!({"input": "q", "target": "a", "cluster_id": ""}), "samples[1].cluster_id", "1-100 characters"),
        (json!({"input": "q", "target": "a", "id": "a\nb"}), "samples[1].id", "remove U+000A"),
        (json!({"input": "q", "target": "a", "answer": "a"}), "samples[1].answer", "unknown field `answer`"),
        (json!({"input": "q", "target": "a", "metadata": 1}), "samples[1].metadata", "expected a map"),
        (json!("q"), "samples[1]", "expected struct Sample"),
    ];
    let table = table.map(|(bad, field, fix)| (json!({"samples": [good, bad]}), field, fix)).to_vec();
    let base = json!({"name": "E", "prompt": "{{input}}", "eval_type": "includes"});
    assert_all_refused(&board.member, (Method::POST, EVALS), &base, table).await;
    let choices =
        json!({"eval_type": "choice", "samples": [{"input": "q", "target": "C", "choices": ["x", "y"]}]});
    let one = json!({"eval_type": "choice", "samples": [{"input": "q", "target": "A", "choices": ["x"]}]});
    let table = vec![(choices, "samples[0].target", "target"), (one, "samples[0].choices", "2 to 26")];
    assert_all_refused(&board.member, (Method::POST, EVALS), &base, table).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_cannot_be_is_refused() {
    let board = Board::idle().await;
    let nothing = board.member.ask(Method::POST, RUNS).send().await;
    assert_blamed(&nothing, 400, "invalid", "", "there is no active model", "no model");
    let model = board.member.model("builtin:echo").await;
    let nothing = board.member.ask(Method::POST, RUNS).send().await;
    assert_blamed(&nothing, 400, "invalid", "", "there is no active eval", "no eval");
    let eval = board.member.eval(&sums()).await;
    let table = vec![
        (json!({"models": [model]}), "models", "unknown field `models`, expected one of `model_ids`"),
        (json!({"model_ids": model}), "model_ids", "expected a sequence"),
        (json!({"model_ids": [model, "nobody"]}), "model_ids[1]", "unknown, deleted or not active"),
        (json!({"eval_ids": ["nothing"]}), "eval_ids[0]", "unknown, deleted or not active"),
        (json!({"eval_ids": [1]}), "eval_ids[0]", "expected a string"),
        (json!({"model_ids": []}), "model_ids", "leave it out"),
        (json!({"eval_ids": []}), "eval_ids", "leave it out"),
        (json!({"epochs": 0}), "epochs", "from 1 to 100"),
        (json!({"epochs": 101}), "epochs", "from 1 to 100"),
        (json!({"max_samples": 0}), "max_samples", "at least 1"),
        (json!({"max_samples": -1}), "max_samples", "expected u32"),
        (json!({"notes": "a".repeat(1_001)}), "notes", "at most 1000 characters"),
        (json!({"notes": "a\u{0}"}), "notes", "remove U+0000"),
        (json!({"only_missing": "yes"}), "only_missing", "expected a boolean"),
        (json!({"on_board": 1}), "on_board", "expected a boolean"),
        (json!({"dry_run": "yes"}), "dry_run", "expected a boolean"),
        (json!({"budget_usd": 0}), "budget_usd", "above 0"),
        (json!({"budget_usd": -1.5, "dry_run": true}), "budget_usd", "above 0"),
        (json!({"budget_usd": "5"}), "budget_usd", "expected f64"),
        (json!({"grader": "https://a.example"}), "grader", "unknown field"),
    ];
    assert_all_refused(&board.member, (Method::POST, RUNS), &json!({}), table).await;
    board.member.changed(&format!("{EVALS}/{eval}"), &json!({"is_active": false})).await;
    let resting = vec![(json!({"eval_ids": [eval]}), "eval_ids[0]", "not active")];
    assert_all_refused(&board.member, (Method::POST, RUNS), &json!({}), resting).await;
    assert_eq!(board.anonymous.read(RUNS).await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_more_cases_than_are_allowed_is_refused() {
    let board = Board::idle().await;
    board.member.model("builtin:echo").await;
    let samples: Vec<Value> = (0..10_001).map(|at| json!({"input": at.to_string(), "target": "1"})).collect();
    board.member.eval(&with(sums(), json!({"samples": samples}))).await;
    let reply = board.member.post(RUNS, &json!({"epochs": 100})).await;
    assert_blamed(&reply, 400, "invalid", "", "1000100 cases: at most 1000000 are allowed", "too many cases");
    board.member.trigger(&json!({"epochs": 100, "max_samples": 10_000})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_exist_is_404_by_its_noun() {
    let board = Board::idle().await;
    let edit = json!({"name": "B"});
    for (method, path, noun) in [
        (Method::GET, "/api/v1/models/ID", "model"),
        (Method::GET, "/api/v1/models/ID/results", "model"),
        (Method::PATCH, "/api/v1/models/ID", "model"),
        (Method::DELETE, "/api/v1/models/ID", "model"),
        (Method::GET, "/api/v1/evals/ID", "eval"),
        (Method::GET, "/api/v1/evals/ID/samples", "eval"),
        (Method::PATCH, "/api/v1/evals/ID", "eval"),
        (Method::DELETE, "/api/v1/evals/ID", "eval"),
        (Method::GET, "/api/v1/runs/ID", "run"),
        (Method::GET, "/api/v1/runs/ID/results", "run"),
        (Method::POST, "/api/v1/runs/ID/cancel", "run"),
        (Method::POST, "/api/v1/runs/ID/retry", "run"),
        (Method::GET, "/api/v1/results/ID", "result"),
        (Method::GET, "/api/v1/results/ID/cases", "result"),
        (Method::GET, "/api/v1/cases/ID", "case"),
    ] {
        for id in ["V1StGXR8_Z5j", "a.b", "%00", "-1", "..%2f..", &"a".repeat(65)] {
            let path = path.replace("ID", id);
            let request = board.admin.ask(method.clone(), &path);
            let reply = if method == Method::PATCH { request.json(&edit) } else { request }.send().await;
            assert_blamed(
                &reply,
                404,
                "not_found",
                "",
                &format!("no such {noun}"),
                &format!("{method} {path}"),
            );
        }
    }
    let put = board.admin.put_samples("V1StGXR8_Z5j", "{\"input\": \"1\", \"target\": \"1\"}").await;
    assert_blamed(&put, 404, "not_found", "", "no such eval", "PUT samples");
    let scope = board.anonymous.get("/api/v1/leaderboard?eval_id=V1StGXR8_Z5j").await;
    assert_blamed(&scope, 400, "invalid", "eval_id", "names no eval", "leaderboard");
}

/// The address of every list, with something in each.
async fn lists(board: &Board) -> Vec<String> {
    let model = board.member.model("builtin:calculator").await;
    let eval = board.member.eval(&sums()).await;
    let run = board.member.run(&json!({})).await;
    let run = format!("{RUNS}/{}/results", text(&run, "id"));
    let result = &column(&board.member.read(&run).await, "id")[0];
    vec![
        MODELS.to_owned(),
        format!("{MODELS}/{model}/results"),
        EVALS.to_owned(),
        format!("{EVALS}/{eval}/samples"),
        RUNS.to_owned(),
        run,
        format!("/api/v1/results/{result}/cases"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_limit_or_cursor_is_400_on_every_list_and_never_the_whole_list() {
    let board = Board::busy().await;
    for list in lists(&board).await {
        for (query, field, fix) in [
            ("limit=0", "limit", "from 1 to 1000"),
            ("limit=1001", "limit", "from 1 to 1000"),
            ("limit=-1", "limit", "from 1 to 1000"),
            ("limit=", "limit", "from 1 to 1000"),
            ("limit=ten", "limit", "from 1 to 1000"),
            ("limit=1e2", "limit", "from 1 to 1000"),
            ("limit=99999999999999999999", "limit", "from 1 to 1000"),
            ("limit=5&limit=6", "limit", "give it once"),
            ("cursor=", "cursor", "from a Link header"),
            ("cursor=1", "cursor", "from a Link header"),
            ("cursor=0.1.00000000", "cursor", "from a Link header"),
            ("cursor=%00", "cursor", "from a Link header"),
            ("cursor='%20OR%201=1", "cursor", "from a Link header"),
        ] {
            let path = format!("{list}?{query}");
            for client in [&board.anonymous, &board.member] {
                assert_blamed(&client.get(&path).await, 400, "invalid", field, fix, &path);
            }
        }
        assert_eq!(board.anonymous.get(&format!("{list}?limit=1000&page=2")).await.code(), 200, "{list}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_with_one_digit_changed_is_refused() {
    let board = Board::idle().await;
    for _ in 0..2 {
        board.member.model("builtin:echo").await;
    }
    let link = board.anonymous.get(&format!("{MODELS}?limit=1")).await.header("link").to_owned();
    let (_, query) = link.split_once("cursor=").unwrap();
    let cursor = &query[..query.find(['&', '>']).unwrap()];
    assert_eq!(board.anonymous.get(&format!("{MODELS}?cursor={cursor}")).await.code(), 200);
    for (at, digit) in cursor.char_indices().filter(|(_, digit)| *digit != '.') {
        let other = if digit == '0' { '1' } else { '0' };
        let forged = format!("{}{other}{}", &cursor[..at], &cursor[at + 1..]);
        let reply = board.anonymous.get(&format!("{MODELS}?cursor={forged}")).await;
        assert_blamed(&reply, 400, "invalid", "cursor", "from a Link header", &forged);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_means_nothing_is_refused() {
    let board = Board::busy().await;
    let cases = lists(&board).await.pop().unwrap();
    for (path, field, fix) in [
        (format!("{cases}?state=right"), "state", "wrong, scored, unscored, error or overruled"),
        (format!("{cases}?format=xls"), "format", "json, csv or ndjson"),
        (format!("{cases}?state="), "state", "wrong, scored, unscored, error or overruled"),
        ("/api/v1/leaderboard?official=yes".to_owned(), "official", "true or false"),
        ("/api/v1/leaderboard?open_weights=1".to_owned(), "open_weights", "true or false"),
        ("/api/v1/leaderboard?eval_id=".to_owned(), "eval_id", "names no eval"),
    ] {
        assert_blamed(&board.anonymous.get(&path).await, 400, "invalid", field, fix, &path);
    }
}

/// Every address that takes JSON, with a body that it would take.
async fn json_takers(board: &Board) -> Vec<(Method, String, Value)> {
    let model_path = format!("{MODELS}/{}", board.member.model("builtin:echo").await);
    let eval_path = format!("{EVALS}/{}", board.member.eval(&sums()).await);
    vec![
        (Method::POST, MODELS.to_owned(), model()),
        (Method::PATCH, model_path, json!({"name": "B"})),
        (Method::POST, EVALS.to_owned(), capital()),
        (Method::PATCH, eval_path, json!({"name": "B"})),
        (Method::POST, RUNS.to_owned(), json!({"notes": "B"})),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_json_is_400() {
    let board = Board::idle().await;
    for (method, path, body) in json_takers(&board).await {
        let good = body.to_string();
        let twice = format!("{{{0},{0}}}", &good[1..good.len() - 1]);
        let first = text_of_first_key(&body);
        for (bad, field, fix) in [
            ("{".to_owned(), "", "not valid JSON"),
            (good[..good.len() - 1].to_owned(), "", "not valid JSON"),
            (format!("{good} {{}}"), "", "not valid JSON"),
            (format!("{good},"), "", "not valid JSON"),
            (good.replace('"', "'"), "", "not valid JSON"),
            ("{\"name\": NaN}".to_owned(), "", "not valid JSON"),
            ("{\"name\": 1e999}".to_owned(), "", "not valid JSON"),
            ("{\"name\": \"\\ud800\"}".to_owned(), "", "not valid JSON"),
            ("[".repeat(10_000), "", "not valid JSON"),
            ("\u{feff}\u{feff}{}".to_owned(), "", "not valid JSON"),
            ("[]".to_owned(), "", "expected"),
            ("\"text\"".to_owned(), "", "expected"),
            ("5".to_owned(), "", "expected"),
            (twice, &first, "duplicate field"),
        ] {
            let request = board.member.ask(method.clone(), &path).header("content-type", "application/json");
            let reply = request.body(bad.clone()).send().await;
            let what: String = format!("{method} {path} {bad}").chars().take(200).collect();
            assert_blamed(&reply, 400, "invalid", field, fix, &what);
        }
    }
}

fn text_of_first_key(body: &Value) -> String {
    body.as_object().unwrap().keys().next().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_stands_twice_deep_inside_is_refused_too() {
    let board = Board::idle().await;
    let body = r#"{"name": "E", "prompt": "p", "eval_type": "includes", "eval_criteria": {"ignore_case": true,
                   "ignore_case": false}, "expected_behavior": "x"}"#;
    let request = board.member.ask(Method::POST, EVALS).header("content-type", "application/json");
    let reply = request.body(body).send().await;
    assert_blamed(&reply, 400, "invalid", "ignore_case", "duplicate field", "criteria");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_another_type_is_415_and_one_that_is_too_large_413() {
    let board = Board::idle().await;
    for (method, path, body) in json_takers(&board).await {
        let ask = || board.member.ask(method.clone(), &path);
        for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/xml"] {
            let reply = ask().header("content-type", content_type).body(body.to_string()).send().await;
            assert_blamed(&reply, 415, "unsupported", "", "application/json", content_type);
        }
        let compressed = ask().json(&body).header("content-encoding", "gzip").send().await;
        assert_blamed(&compressed, 415, "unsupported", "", "compressed", &path);
        let limit = if path.starts_with(EVALS) { 8 } else { 1 } * 1024 * 1024;
        let large = with(body, json!({"name": "a".repeat(limit)}));
        let reply = ask().json(&large).send().await;
        assert_blamed(&reply, 413, "too_large", "", &format!("at most {limit} bytes"), &path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_the_address_is_400_wherever_it_stands() {
    let board = Board::busy().await;
    let key = ApiKey::generate(&mut rand::rng());
    let mut paths = lists(&board).await;
    paths.extend(["/api/v1/leaderboard", "/api/v1/openapi.json", "/api/v1/status"].map(str::to_owned));
    for path in paths {
        for query in
            [format!("key={}", key.expose()), format!("limit=1&q={}", key.expose()), key.expose().to_owned()]
        {
            let reply = board.anonymous.get(&format!("{path}?{query}")).await;
            assert_blamed(&reply, 400, "invalid", "", "Authorization: Bearer", &path);
            assert!(!reply.text().contains(key.expose()), "{}", reply.text());
        }
    }
    let reply = board.member.post(&format!("{MODELS}?key={}", key.expose()), &model()).await;
    assert_blamed(&reply, 400, "invalid", "", "Authorization: Bearer", "POST");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_that_is_allowed_is_taken() {
    let board = Board::idle().await;
    let long = "é".repeat(100);
    let longest = with(model(), json!({"name": long, "description": "a".repeat(1_000)}));
    assert_eq!(board.member.made(MODELS, &longest).await["name"], long);
    let body = json!({"prompt": "a".repeat(256 * 1024), "expected_behavior": "b".repeat(2_000), "name": " Cafe\u{301} "});
    let made = board.member.made(EVALS, &with(capital(), body)).await;
    assert_eq!((&made["name"], made["prompt"].as_str().unwrap().len()), (&json!("Café"), 256 * 1024));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_that_its_samples_would_blow_up_is_refused() {
    let board = Board::idle().await;
    let large = "a".repeat(256 * 1024);
    for (slot, sample) in [
        ("{{input}}", json!({"input": large, "target": "b"})),
        ("{{metadata.text}}", json!({"input": "a", "target": "b", "metadata": {"text": large}})),
    ] {
        let body =
            json!({"name": "Large", "prompt": slot.repeat(17), "eval_type": "exact", "samples": [sample]});
        let refused = board.member.post(EVALS, &body).await;
        assert_blamed(&refused, 400, "invalid", "samples[0]", "fewer placeholders", slot);
        let fits = with(body, json!({"prompt": slot.repeat(15)}));
        let id = text(&board.member.made(EVALS, &fits).await, "id").to_owned();
        let grown = board.member.patch(&format!("{EVALS}/{id}"), &json!({"prompt": slot.repeat(17)})).await;
        assert_blamed(&grown, 400, "invalid", "samples[0]", "fewer placeholders", slot);
        let line = format!("{sample}\n");
        let one = board.member.changed(&format!("{EVALS}/{id}"), &json!({"prompt": slot})).await;
        assert_eq!(one["version"], 2);
        assert_eq!(board.member.put_samples(&id, line).await.code(), 200);
    }
}
