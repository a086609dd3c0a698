//! What providers send, in all the ways they have, and what becomes of it.

use serde_json::{Value, json};

use super::near;
use crate::support::field::{Field, samples, text};
use crate::support::provider::{Act, Script};

/// How often an item may fail by its own fault.
const TRIES: usize = 5;

async fn capital(field: &Field) -> String {
    let more = json!({"samples": [{"input": "Capital of France?", "target": "Paris"}]});
    field.eval("capital", "includes", more).await
}

/// A key of its own, so that no model waits for another.
fn key(name: &str) -> String {
    format!("key-of-{}", name.replace(' ', "-"))
}

/// Runs these models on one question; their cases, each with its model's name.
async fn cases(acts: Vec<(&'static str, Script)>) -> Vec<(&'static str, Value)> {
    let field = Field::start().await;
    let eval = capital(&field).await;
    let mut models = Vec::new();
    for (name, script) in acts {
        models.push((name, field.model(name, script, json!({"api_key": key(name)})).await));
    }
    let run = field.run_all().await;
    let mut cases = Vec::new();
    for (name, model) in models {
        cases.push((name, field.only_case(&run, &model, &eval).await));
    }
    cases
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_were_broken_off_are_asked_again_and_never_scored() {
    let half = |finish: &str| Act::completion(&json!("The capital of France is"), finish, (100, 50));
    let whole = || Act::completion(&json!("Paris"), "stop", (100, 50));
    let finishes =
        ["error", "insufficient_system_resource", "network_error", "abort", "cancelled", "timeout"];
    let mut acts: Vec<_> = finishes.iter().map(|finish| (*finish, Script::always(half(finish)))).collect();
    acts.push(("nothing", Script::always(Act::completion(&Value::Null, "mystery", (100, 0)))));
    for (name, case) in cases(acts).await {
        assert_eq!([&case["state"], &case["error"]], ["error", "provider_interrupted"], "{name}: {case}");
        assert_eq!([&case["score"], &case["attempts"]], [&Value::Null, &json!(TRIES)], "{name}");
    }
    let better = |act| Script::first(2, act, whole());
    let acts = vec![
        ("error, then whole", better(half("error"))),
        ("busy, then whole", better(Act::json(200, &json!({"error": {"type": "overloaded_error"}})))),
        ("cut, then whole", better(Act::Body(b"{\"choices\":[{\"message\":{\"content\":\"Par".to_vec()))),
    ];
    for (name, case) in cases(acts).await {
        assert_eq!([&case["score"], &case["attempts"]], [&json!(1.0), &json!(3)], "{name}: {case}");
    }
    let answered = [("unknown word", Script::always(Act::completion(&json!("Paris"), "mystery", (100, 50))))];
    for (name, case) in cases(answered.into()).await {
        assert_eq!([&case["score"], &case["attempts"]], [1.0, 1.0], "{name}: {case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_content_filter_is_a_refusal_under_any_status() {
    let field = Field::start().await;
    let filters = [
        ("in a 200", Act::completion(&Value::Null, "content_filter", (100, 0))),
        (
            "as a 400",
            Act::json(
                400,
                &json!({"error": {"message": "filtered", "code": "content_filter", "status": 400}}),
            ),
        ),
        (
            "inside",
            Act::json(
                400,
                &json!({"error": {"code": "x", "innererror": {"code": "ResponsibleAIPolicyViolation"}}}),
            ),
        ),
        (
            "moderated",
            Act::json(403, &json!({"error": {"code": 403, "metadata": {"reasons": ["violence"]}}})),
        ),
        ("code in a 200", Act::json(200, &json!({"error": {"code": "content_filter"}}))),
    ];
    let rows = samples(60, |at| (format!("{} {at}", if at < 3 { "bad" } else { "fine" }), "yes".to_owned()));
    let eval = field.eval("sixty", "exact", json!({"samples": rows})).await;
    let mut models = Vec::new();
    for (name, act) in filters {
        let script = Script::by(move |asked| {
            let is_bad = asked.prompt().starts_with("bad");
            if is_bad { act.clone() } else { Act::completion(&json!("yes"), "stop", (100, 50)) }
        });
        let more = json!({"api_key": key(name), "input_price": 10, "output_price": 50});
        models.push((name, field.model(name, script, more).await));
    }
    let run = field.run_all().await;
    for (name, model) in &models {
        let result = field.result(&run, model, &eval).await;
        assert_eq!(result["state"], "complete", "{name}: {result}");
        assert!(near(&result["score"], 0.95) && result["error"].is_null(), "{name}: {result}");
        assert!(result["cost_usd"].is_f64(), "{name}: {result}");
        let cases = field.cases(&result).await;
        let refused: Vec<&Value> = cases.iter().filter(|case| case["reason"] == "refusal").collect();
        assert_eq!(refused.len(), 3, "{name}");
        assert!(
            refused.iter().all(|case| case["score"] == 0.0 && case["attempts"] == 1),
            "{name}: {refused:?}"
        );
    }
    assert_eq!(field.leaderboard().await.len(), models.len(), "each of them is ranked");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_in_a_200_is_asked_again_by_the_names_it_has() {
    let later = |body: Value| {
        Script::first(3, Act::json(200, &body), Act::completion(&json!("Paris"), "stop", (9, 5)))
    };
    let limit = "Rate limit exceeded";
    let acts = vec![
        ("number", later(json!({"error": {"message": limit, "code": 429}}))),
        ("text", later(json!({"error": {"message": limit, "code": "429", "type": "rate_limit_error"}}))),
        ("type", later(json!({"error": {"message": limit, "type": "rate_limit_error"}}))),
        ("upstream", later(json!({"error": {"message": "bad gateway", "code": "502"}}))),
        (
            "overloaded",
            later(json!({"type": "error", "error": {"type": "overloaded_error", "message": "x"}})),
        ),
        ("server", later(json!({"error": {"type": "server_error"}}))),
        (
            "in the choice",
            later(json!({"choices": [{"error": {"code": "503"}, "message": {"content": ""}}]})),
        ),
        ("plain", later(json!({"error": limit}))),
        ("detail", later(json!({"detail": "Service Unavailable"}))),
    ];
    for (name, case) in cases(acts).await {
        assert_eq!([&case["score"], &case["attempts"]], [&json!(1.0), &json!(4)], "{name}: {case}");
    }
    let never = |body: Value| Script::always(Act::json(200, &body));
    let acts = vec![
        ("quota", never(json!({"error": {"code": "insufficient_quota", "status": "429"}}))),
        ("request", never(json!({"error": {"type": "invalid_request_error", "message": limit}}))),
    ];
    for (name, case) in cases(acts).await {
        assert_eq!([&case["state"], &case["attempts"]], [&json!("error"), &json!(1)], "{name}: {case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_read_in_spite_of_its_json() {
    let body = |text: &str| {
        format!(r#"{{"choices":[{{"finish_reason":"stop","message":{{"content":"{text}"}}}}],"x":0}}"#)
    };
    let utf16: Vec<u8> =
        format!("\u{feff}{}", body("Paris")).encode_utf16().flat_map(u16::to_le_bytes).collect();
    let bodies = [
        ("surrogate", body(r"Paris \ud835").into_bytes(), "Paris \u{fffd}"),
        ("low surrogate", body(r"\ude00Paris NaN").into_bytes(), "\u{fffd}Paris NaN"),
        (
            "nan",
            body("Paris").replace("\"x\":0", r#""x":[NaN,-Infinity,Infinity,1e999]"#).into_bytes(),
            "Paris",
        ),
        ("bom", format!("\u{feff}{}", body("Paris")).into_bytes(), "Paris"),
        ("utf-16", utf16, "Paris"),
        ("nul", body("Paris\0").into_bytes(), "Paris\u{fffd}"),
    ];
    let acts =
        bodies.iter().map(|(name, body, _)| (*name, Script::always(Act::Body(body.clone())))).collect();
    for ((name, case), (_, _, said)) in cases(acts).await.iter().zip(&bodies) {
        assert_eq!([&case["score"], &case["attempts"]], [1.0, 1.0], "{name}: {case}");
        assert_eq!(case["response"], *said, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn zero_tokens_for_a_text_are_unknown_and_stop_a_run_with_a_budget() {
    let counts = [((100, 50), false), ((0, 0), true), ((100, 0), true), ((0, 50), true)];
    for (usage, is_unknown) in counts {
        let field = Field::start().await;
        let script = Script::always(Act::completion(&json!("yes, with many more words"), "stop", usage));
        let prices = json!({"input_price": 10, "output_price": 50, "max_concurrency": 1});
        let model = field.model("model", script, prices).await;
        let rows = samples(200, |at| (format!("q{at}"), "yes".to_owned()));
        let eval = field.eval("many", "includes", json!({"samples": rows})).await;
        // Enough for all of them at what they cost.
        let id = field.trigger(json!({"budget_usd": 100})).await;
        let run = field.ended(&id).await;
        assert_eq!(run["cost_usd"].is_null(), is_unknown, "{usage:?}: {run}");
        let expected = if is_unknown { "cancelled" } else { "completed" };
        assert_eq!(run["status"], expected, "{usage:?}: {run}");
        assert!(!is_unknown || run["case_done"].as_i64().unwrap() < 100, "{usage:?}: {run}");
        let result = field.result(&run, &model, &eval).await;
        assert_eq!(result["input_tokens"].is_null(), is_unknown, "{usage:?}: {result}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graders_zero_tokens_and_filters_are_no_free_verdicts() {
    let field = Field::start().await;
    let student =
        field.model("student", Script::says("4"), json!({"input_price": 1, "output_price": 2})).await;
    let verdict = json!({"reasoning": "as the rubric says", "score": 1.0}).to_string();
    let graders = [
        ("zeros", Act::completion(&json!(verdict), "stop", (0, 0)), "scored"),
        ("filter", Act::json(400, &json!({"error": {"code": "content_filter"}})), "unscored"),
        ("half", Act::completion(&json!(verdict), "error", (10, 5)), "unscored"),
    ];
    for (name, act, state) in graders {
        let more = json!({"is_active": false, "api_key": name, "input_price": 1, "output_price": 2});
        let grader = field.model(name, Script::always(act), more).await;
        let criteria = json!({"rubric": "Says four.", "grader": grader});
        let eval = field.eval(name, "rubric", json!({"prompt": "2+2?", "eval_criteria": criteria})).await;
        let id = field.trigger(json!({"eval_ids": [eval], "model_ids": [student]})).await;
        let run = field.ended(&id).await;
        let case = field.only_case(&run, &student, &eval).await;
        assert_eq!(case["state"], state, "{name}: {case}");
        assert!(name != "zeros" || case["grader_cost_usd"].is_null(), "{name}: {case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_of_the_limit_is_learnt_and_spends_no_try() {
    let field = Field::start().await;
    let refusal = json!({"error": {
        "message": "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        "type": "invalid_request_error", "param": "max_tokens", "code": "unsupported_parameter",
    }});
    let script = Script::by(move |asked| {
        let knows = asked.body.get("max_tokens").is_none() && asked.body["max_completion_tokens"] == 64;
        if knows { Act::Say(asked.prompt().to_owned()) } else { Act::json(400, &refusal) }
    });
    let more = json!({"max_concurrency": 1, "parameters": {"max_tokens": 64}});
    let model = field.model("modern", script, more).await;
    let eval = field.eval("ten", "exact", super::ten()).await;
    let run = field.run_all().await;
    let result = field.result(&run, &model, &eval).await;
    assert_eq!([&result["state"], &result["score"]], [&json!("complete"), &json!(1.0)], "{result}");
    assert!(field.cases(&result).await.iter().all(|case| case["attempts"] == 1));
    assert_eq!(field.provider.asked("modern").len(), 11, "it is learnt with the first call");
}

/// The answer as a stream, in the chat-completions form.
fn stream(text: &str) -> Act {
    let chunk = |delta: Value, finish: Value| {
        format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}))
    };
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5}});
    let deltas = text.chars().map(|c| chunk(json!({"content": c.to_string()}), Value::Null));
    let end = [chunk(json!({}), json!("stop")), format!("data: {usage}\r\n\r\ndata: [DONE]\n\n")];
    Act::Raw(
        200,
        "text/event-stream",
        std::iter::once(": hi\n\n".to_owned()).chain(deltas).chain(end).collect(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_asked_for_where_wanted_and_read_like_any_answer() {
    let field = Field::start().await;
    let demand = json!({"error": {"message": "This model only supports streaming: set stream to true"}});
    let only_streams = Script::by(move |asked| match asked.body["stream"] == true {
        true => stream(asked.prompt()),
        false => Act::json(400, &demand),
    });
    let prices = |parameters: Value, key: &str| json!({"parameters": parameters, "api_key": key, "input_price": 1, "output_price": 2, "max_concurrency": 1});
    let told = field.model("told", only_streams.clone(), prices(json!({"stream": true}), "a")).await;
    let learning = field.model("learning", only_streams, prices(json!({}), "b")).await;
    let unasked =
        field.model("unasked", Script::by(|asked| stream(asked.prompt())), prices(json!({}), "c")).await;
    let eval = field.eval("ten", "exact", super::ten()).await;
    let run = field.run_all().await;
    for (name, model, calls) in [("told", told, 10), ("learning", learning, 11), ("unasked", unasked, 10)] {
        let result = field.result(&run, &model, &eval).await;
        assert_eq!(
            [&result["state"], &result["score"]],
            [&json!("complete"), &json!(1.0)],
            "{name}: {result}"
        );
        assert_eq!([&result["input_tokens"], &result["output_tokens"]], [100, 50], "{name}");
        assert_eq!(field.provider.asked(name).len(), calls, "{name}");
    }
    let told = &field.provider.asked("told")[0].body;
    assert_eq!(told["stream_options"], json!({"include_usage": true}));
}

#[tokio::test(flavor = "multi_thread")]
async fn writing_a_cache_has_its_price() {
    let field = Field::start().await;
    let usage = json!({"prompt_tokens": 1_000_000, "completion_tokens": 100_000,
        "prompt_tokens_details": {"cached_tokens": 200_000, "cache_write_tokens": 500_000}});
    let choice = json!({"message": {"content": "Paris"}, "finish_reason": "stop"});
    let act = Act::json(200, &json!({"choices": [choice], "usage": usage}));
    let prices = json!({"input_price": 1, "output_price": 10, "cached_input_price": 0.1, "api_key": "a"});
    let plain = field.model("plain", Script::always(act.clone()), prices.clone()).await;
    let mut with_price = prices;
    with_price["cache_write_price"] = json!(4);
    with_price["api_key"] = json!("b");
    let priced = field.model("priced", Script::always(act), with_price).await;
    let eval = capital(&field).await;
    let run = field.run_all().await;
    for (model, cost) in [(&plain, 0.3 + 0.02 + 0.5 + 1.0), (&priced, 0.3 + 0.02 + 2.0 + 1.0)] {
        let case = field.only_case(&run, model, &eval).await;
        assert!(near(&case["cost_usd"], cost), "{cost}: {case}");
        assert_eq!([&case["cached_input_tokens"], &case["cache_write_tokens"]], [200_000, 500_000]);
        assert_eq!(case["input_tokens"], 1_000_000, "all of it");
        assert_eq!(field.result(&run, model, &eval).await["input_tokens"], 1_000_000);
    }
    let snapshots = "SELECT COUNT(*) AS n FROM price_snapshots WHERE cache_write_price = 4";
    assert_eq!(field.count(snapshots).await, 1);
    let page = field.board.anonymous.get(&format!("/models/{priced}")).await.text();
    assert!(page.contains("$4.00 cache writes"), "{page}");
    let case = field.only_case(&run, &priced, &eval).await;
    let page = field.board.anonymous.get(&format!("/cases/{}", text(&case["id"]))).await.text();
    assert!(page.contains("Written to a cache") && page.contains("500,000"), "{page}");
}
