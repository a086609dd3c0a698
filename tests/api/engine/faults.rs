//! A provider's bad day: each fault has its own code, and nobody else suffers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::field::Field;
use crate::support::provider::{Act, Script};

/// How often an item may fail by its own fault.
const TRIES: usize = 5;

/// A fault, the code it goes by, and how often it is asked again.
type Fault = (&'static str, Act, &'static str, usize);

fn faults() -> Vec<Fault> {
    vec![
        ("unauthorised", Act::Status(401, None), "provider_auth", 1),
        ("forbidden", Act::Status(403, None), "provider_auth", 1),
        ("unknown", Act::Status(404, None), "provider_not_found", 1),
        ("failing", Act::Status(500, None), "provider_unavailable", TRIES),
        ("garbage", Act::Body(b"data: {}\n\n".to_vec()), "provider_bad_response", 1),
        ("page", Act::Body(b"<!doctype html><p>Hello".to_vec()), "provider_bad_response", 1),
        ("silent", Act::Body(Vec::new()), "provider_bad_response", 1),
        ("mojibake", Act::Body(b"{\"choices\":[\"\xff\"]}".to_vec()), "provider_bad_response", 1),
        ("broken", Act::BreakOff, "provider_incomplete", TRIES),
        ("hanging", Act::Hang, "provider_timeout", TRIES),
        ("moved", Act::Redirect, "provider_redirect", 1),
        ("huge", Act::huge(), "provider_body_too_large", 1),
        ("bomb", Act::bomb(), "provider_body_too_large", 1),
    ]
}

async fn sum(field: &Field) -> String {
    field.eval("sum", "exact", json!({"prompt": "2+2?", "expected_behavior": "4"})).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_has_its_own_code_and_touches_no_other_model() {
    let field = Field::start().await;
    let eval = sum(&field).await;
    let good = field.model("good", Script::says("4"), json!({"api_key": "good"})).await;
    let mut faulty = Vec::new();
    for (name, act, code, calls) in faults() {
        let more = json!({"api_key": name, "timeout_ms": if name == "hanging" { 1_000 } else { 20_000 }});
        faulty.push((field.model(name, Script::always(act), more).await, name, code, calls));
    }

    let run = field.run_all().await;

    assert_eq!(run["status"], "completed", "{run}");
    assert_eq!(run["case_errors"], faulty.len());
    assert_eq!(field.only_case(&run, &good, &eval).await["score"], 1.0);
    for (model, name, code, calls) in faulty {
        let case = field.only_case(&run, &model, &eval).await;
        let reason = if code == "provider_timeout" { "timeout" } else { "provider_error" };
        assert_eq!([&case["state"], &case["error"], &case["reason"]], ["error", code, reason], "{name}");
        assert_eq!(case["score"], Value::Null, "{name}");
        assert_eq!(field.provider.asked(name).len(), calls, "{name}");
        assert_eq!(case["attempts"], calls, "{name}");
        let result = field.result(&run, &model, &eval).await;
        assert_eq!(result["error"], format!("1 of 1 failed: {code}"), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_port_is_unreachable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let field = Field::allowing(&address).await;
    let eval = sum(&field).await;
    let body =
        json!({"name": "gone", "inference_uri": format!("openai-compatible:http://{address}/v1#gone")});
    let model = field.board.member.post("/api/v1/models", &body).await.json();
    let run = field.run_all().await;
    let case = field.only_case(&run, model["id"].as_str().unwrap(), &eval).await;
    assert_eq!(case["error"], "endpoint_unreachable");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_which_nothing_could_be_measured_has_failed() {
    let field = Field::start().await;
    sum(&field).await;
    field.model("unauthorised", Script::always(Act::Status(401, None)), json!({})).await;
    let run = field.run_all().await;
    assert_eq!(run["status"], "failed");
    assert_eq!(run["error"], "no case could be measured");
    assert_eq!([&run["case_total"], &run["case_done"], &run["case_errors"]], [1, 1, 1]);
    assert_eq!(field.provider.count(), 1, "a bad key is not asked twice");
    assert!(field.leaderboard().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_and_a_refusal_are_wrong_answers() {
    let field = Field::start().await;
    let eval = sum(&field).await;
    let mute = Act::Message(json!({"role": "assistant", "content": null}));
    let mute = field.model("mute", Script::always(mute), json!({})).await;
    let no = Act::Message(json!({"role": "assistant", "content": null, "refusal": "I'd rather not."}));
    let no = field.model("refusing", Script::always(no), json!({})).await;
    let run = field.run_all().await;

    assert_eq!([&run["status"], &run["case_errors"]], [&json!("completed"), &json!(0)]);
    for (model, reason) in [(mute, "no_response"), (no, "refusal")] {
        let case = field.only_case(&run, &model, &eval).await;
        assert_eq!([&case["state"], &case["reason"]], ["scored", reason]);
        assert_eq!(case["score"], 0.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_is_waited_for_and_spends_no_tries() {
    let field = Field::start().await;
    let eval = sum(&field).await;
    let busy = Script::first(TRIES + 3, Act::Status(429, None), Act::Say("4".to_owned()));
    let model = field.model("busy", busy, json!({})).await;
    let run = field.run_all().await;
    let case = field.only_case(&run, &model, &eval).await;
    assert_eq!([&case["state"], &case["error"]], [&json!("scored"), &Value::Null]);
    assert_eq!(case["attempts"], TRIES + 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_the_provider_asks_for_is_kept_while_others_go_on() {
    let field = Field::start().await;
    let eval = field.eval("two", "exact", super::ten()).await;
    let has_asked = AtomicBool::new(false);
    let asks_for_time = Script::by(move |asked| match asked.prompt() {
        "say 0" if !has_asked.swap(true, Ordering::Relaxed) => Act::Status(429, Some(1)),
        prompt => Act::Say(prompt.to_owned()),
    });
    let model = field.model("polite", asks_for_time, json!({"max_concurrency": 1})).await;
    let run = field.run_all().await;

    assert_eq!(field.result(&run, &model, &eval).await["score"], 1.0);
    let (again, others): (Vec<_>, Vec<_>) =
        field.provider.asked("polite").into_iter().partition(|asked| asked.prompt() == "say 0");
    assert_eq!([again.len(), others.len()], [2, 9]);
    assert!(again[1].at - again[0].at >= Duration::from_secs(1));
    assert!(others.iter().all(|other| other.at < again[1].at), "the others waited as well");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_fails_twice_and_then_works_is_scored() {
    let field = Field::start().await;
    let eval = sum(&field).await;
    let shaky = Script::first(2, Act::Status(500, None), Act::Say("4".to_owned()));
    let model = field.model("shaky", shaky, json!({})).await;
    let run = field.run_all().await;
    let case = field.only_case(&run, &model, &eval).await;
    assert_eq!([&case["state"], &case["error"]], [&json!("scored"), &Value::Null]);
    assert_eq!([&case["score"], &case["attempts"]], [&json!(1.0), &json!(3)]);
    assert_eq!(run["case_errors"], 0);
}
