//! Reasoning: what models think between tags or in fields of their own is kept, shown, and never scored.

use evalboard::domain::time::Millis;
use reqwest::Method;
use serde_json::{Value, json};

use super::near;
use crate::support::field::{Field, list, samples, text};
use crate::support::hook::Hook;
use crate::support::provider::{Act, Script};

const THOUGHT: &str = "<think>\nCould be Lisbon. No, Spain.\n</think>\n\nMadrid";
const DAY: i64 = 86_400_000;

/// Repeats the prompt.
fn echo() -> Script {
    Script::answers(str::to_owned)
}

/// A model that says `content` and reasons in a field.
fn reasoning(content: Value) -> Script {
    Script::always(Act::Message(json!({"content": content, "reasoning_content": "Spain, of course."})))
}

/// Runs one sample, which the model repeats. Answers its case.
async fn echoed(eval_type: &str, parameters: Value, response: &str, target: &str) -> Value {
    let field = Field::start().await;
    let model = field.model("echo", echo(), json!({"parameters": parameters})).await;
    let rows = json!([{"input": response, "target": target}]);
    let eval = field.eval("one", eval_type, json!({"samples": rows})).await;
    let run = field.run_all().await;
    field.only_case(&run, &model, &eval).await
}

#[tokio::test(flavor = "multi_thread")]
async fn thinking_inside_answers_is_kept_and_not_scored() {
    for (eval_type, response, target, score, reasoning) in [
        ("includes", THOUGHT, "Lisbon", 0.0, Some("Could be Lisbon. No, Spain.")),
        ("exact", THOUGHT, "Madrid", 1.0, Some("Could be Lisbon. No, Spain.")),
        ("equals", "Spain.\n</think>\n\nMadrid", "Madrid", 1.0, Some("Spain.")),
        (
            "json_equals",
            "<think>\nmaybe\n```json\n{\"a\": 2}\n```\n</think>\n{\"a\": 1}",
            "{\"a\": 1}",
            1.0,
            Some("maybe\n```json\n{\"a\": 2}\n```"),
        ),
        ("exact", "Madrid", "Madrid", 1.0, None),
        ("exact", "It ends with </think> and so on.", "It ends with </think> and so on.", 1.0, None),
    ] {
        let case = echoed(eval_type, json!({}), response, target).await;
        assert!(near(&case["score"], score), "{case}");
        assert_eq!([&case["response"], &case["reasoning"]], [&json!(response), &json!(reasoning)]);
    }
    let cut_off = "<think>\nLet me try: 3*4 = 12, but wait, maybe";
    let case = echoed("numeric", json!({}), cut_off, "12").await;
    assert_eq!([&case["state"], &case["reason"]], [&json!("scored"), &json!("unfinished_reasoning")]);
    assert!(near(&case["score"], 0.0) && case["response"] == cut_off, "{case}");
    assert_eq!(case["reasoning"], "Let me try: 3*4 = 12, but wait, maybe");
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_are_part_of_the_answer_where_the_model_says_so() {
    let case = echoed("includes", json!({"thinking_tags": "off"}), THOUGHT, "Lisbon").await;
    assert!(near(&case["score"], 1.0) && case["reasoning"].is_null(), "{case}");
    let field = Field::start().await;
    let model =
        json!({"name": "M", "inference_uri": "builtin:echo", "parameters": {"thinking_tags": "auto"}});
    let made = field.board.member.post("/api/v1/models", &model).await.json();
    let path = format!("/api/v1/models/{}", text(&made["id"]));
    let off = json!({"parameters": {"thinking_tags": "off"}});
    let changed = field.board.member.ask(Method::PATCH, &path).json(&off).send().await.json();
    assert_ne!(changed["revision"], made["revision"]);
    assert_eq!(changed["parameters"], json!({"thinking_tags": "off"}));
    let wrong = json!({"parameters": {"thinking_tags": "never"}});
    assert_eq!(field.board.member.ask(Method::PATCH, &path).json(&wrong).send().await.code(), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn graders_and_webhooks_get_the_answer_without_thinking() {
    let hook = Hook::answering(&[(200, r#"{"score": 1}"#)]);
    let address = hook.address.to_string();
    let field = Field::with(&address, &["--webhook-allow", &format!("http://{address}/score")]).await;
    // A verdict that the grader only drafts does not count.
    let verdict = "<think>{\"score\": 0} at first</think>{\"reasoning\": \"yes\", \"score\": 1}";
    let grader = field.model("grader", Script::says(verdict), json!({"is_active": false})).await;
    let model = field.model("student", reasoning(json!(THOUGHT)), json!({})).await;
    let rubric = json!({"rubric": "Names a city.", "grader": grader});
    let graded = field.eval("graded", "rubric", json!({"prompt": "Which?", "eval_criteria": rubric})).await;
    let secret = json!({"url": hook.url(), "secret": "Canary-webhook-5e1f"});
    let judged = field.eval("judged", "webhook", json!({"prompt": "Which?", "eval_criteria": secret})).await;
    let run = field.run_all().await;
    for eval in [&graded, &judged] {
        let case = field.only_case(&run, &model, eval).await;
        assert!(near(&case["score"], 1.0), "{case}");
        assert_eq!(case["reasoning"], "Spain, of course.\n\nCould be Lisbon. No, Spain.");
        assert!(!case["transcript"].to_string().contains("Lisbon"), "{case}");
    }
    let prompt = field.provider.asked("grader")[0].prompt().to_owned();
    assert!(
        prompt.contains("Madrid") && !prompt.contains("Lisbon") && !prompt.contains("of course"),
        "{prompt}"
    );
    assert_eq!(hook.calls()[0].json()["output"], "Madrid");
}

#[tokio::test(flavor = "multi_thread")]
async fn rescored_answers_are_split_again_and_keep_their_reasoning() {
    let field = Field::start().await;
    let model = field.model("student", reasoning(json!(THOUGHT)), json!({})).await;
    let eval = field.eval("one", "exact", json!({"prompt": "Which?", "expected_behavior": "Lisbon"})).await;
    let run = field.run_all().await;
    let before = field.only_case(&run, &model, &eval).await;
    let edit = json!({"expected_behavior": "Madrid"});
    field.board.member.changed(&format!("/api/v1/evals/{eval}"), &edit).await;
    let path = format!("/api/v1/runs/{}/rescore", text(&run["id"]));
    let again = field.board.member.post(&path, &json!({})).await.json();
    let again = field.ended(&text(&again["id"])).await;
    let after = field.only_case(&again, &model, &eval).await;
    assert!(near(&before["score"], 0.0) && near(&after["score"], 1.0), "{before} {after}");
    for name in ["response", "reasoning"] {
        assert_eq!(before[name], after[name]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reasoning_is_shown_exported_and_removed_with_the_answer() {
    let field = Field::with("", &["--keep-answers", "30"]).await;
    let model = field.model("student", reasoning(json!("Madrid")), json!({})).await;
    let rows = samples(1, |_| ("Which?".to_owned(), "Madrid".to_owned()));
    let hidden = json!({"samples": rows, "hidden_targets": true});
    let eval = field.eval("one", "exact", hidden).await;
    let run = field.run_all().await;
    let case = field.only_case(&run, &model, &eval).await;
    assert_eq!([&case["reasoning"], &case["response"]], ["Spain, of course.", "Madrid"]);
    let result = text(&field.result(&run, &model, &eval).await["id"]);
    let export = async |format: &str| {
        field.board.anonymous.get(&format!("/api/v1/results/{result}/cases?format={format}")).await.text()
    };
    let csv = export("csv").await;
    assert!(csv.lines().next().unwrap().ends_with(",reasoning"), "{csv}");
    assert!(csv.contains("\"Spain, of course.\""), "{csv}");
    assert!(export("ndjson").await.contains("\"reasoning\":\"Spain, of course.\""));
    let page = format!("/cases/{}", text(&case["id"]));
    let shown = field.board.anonymous.get(&page).await.text();
    let folded =
        shown.split_once("Reasoning, which is not scored</h3><details>").map(|(_, rest)| rest.to_owned());
    assert!(folded.is_some_and(|rest| rest.contains("Spain, of course.")), "{shown}");

    let later = Millis::now().plus(31 * DAY);
    assert_eq!(field.board.house.app.engine.remove_old_answers(later).await.unwrap(), 1);
    assert_eq!(field.count("SELECT COUNT(reasoning) AS n FROM case_texts").await, 0);
    assert!(!field.board.anonymous.get(&page).await.text().contains("of course"));
    let cases = list(&field.get(&format!("/api/v1/results/{result}/cases")).await);
    assert_eq!([&cases[0]["reasoning"], &cases[0]["response"]], [&Value::Null, &Value::Null]);
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_answers_are_explained_by_what_came_back() {
    for (script, meaning) in [
        (reasoning(Value::Null), "The model reasoned and gave no answer."),
        (Script::says(""), "The model answered nothing."),
        (Script::says("<think>hm"), "reasoning has no end"),
    ] {
        let field = Field::start().await;
        let model = field.model("student", script, json!({})).await;
        let eval =
            field.eval("one", "exact", json!({"prompt": "Which?", "expected_behavior": "Madrid"})).await;
        let run = field.run_all().await;
        let case = field.only_case(&run, &model, &eval).await;
        let page = field.board.anonymous.get(&format!("/cases/{}", text(&case["id"]))).await.text();
        assert!(page.contains(meaning), "{page}");
        // It was not cut off, so that a limit is not to blame.
        assert!(!page.contains("max_tokens"), "{page}");
    }
}
