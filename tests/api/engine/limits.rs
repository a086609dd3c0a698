//! Limits that are learnt: providers with limits of their own, and how many calls it takes to respect them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::field::{Field, samples, until};
use crate::support::provider::{Act, Gate, Script};

/// So many questions, each of which is its own answer.
fn questions(count: usize) -> Value {
    json!({"samples": samples(count, |at| (format!("say {at}"), format!("say {at}")))})
}

fn echo(prompt: &str) -> Act {
    Act::Say(prompt.to_owned())
}

/// Every case of a run was measured and right.
fn assert_whole(run: &Value, cases: usize) {
    assert_eq!(run["status"], "completed", "{run}");
    assert_eq!([&run["case_done"], &run["case_errors"]], [&json!(cases), &json!(0)], "{run}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_allows_twenty_at_once_is_used_to_the_full_and_hardly_refuses() {
    let field = Field::start().await;
    let refused = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&refused);
    let script = Script::by(move |asked| {
        if asked.at_once > 20 {
            count.fetch_add(1, Ordering::AcqRel);
            return Act::Status(429, None);
        }
        echo(asked.prompt())
    });
    field.model("twenty", script.after(Duration::from_millis(40)), json!({})).await;
    field.eval("many", "exact", questions(600)).await;

    let run = field.run_all().await;

    assert_whole(&run, 600);
    // About 40 where the machine is idle. Where it is busy, a call whose answer was sent still counts as under way for a
    // moment; a limit that learnt nothing is refused thousands of times.
    let refused = refused.load(Ordering::Acquire);
    assert!(refused <= 300, "{refused} of {} calls were refused", field.provider.count());
    assert!(field.provider.most_at_once("twenty") >= 20);
}

/// Allows `most` requests in any `window`; refuses the others and names the time.
fn per_window(most: usize, window: Duration) -> Script {
    let recent = Mutex::new(VecDeque::<Instant>::new());
    Script::by(move |asked| {
        let mut recent = recent.lock().unwrap();
        while recent.front().is_some_and(|at| at.elapsed() >= window) {
            recent.pop_front();
        }
        if recent.len() >= most {
            return Act::Status(429, Some(1));
        }
        recent.push_back(Instant::now());
        echo(asked.prompt())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_allows_so_many_in_a_time_is_left_alone_until_then() {
    let field = Field::start().await;
    let script = per_window(50, Duration::from_secs(1)).thinking(Duration::from_millis(10));
    field.model("windowed", script, json!({})).await;
    field.eval("many", "exact", questions(200)).await;

    let begun = Instant::now();
    let run = field.run_all().await;

    assert_whole(&run, 200);
    // The fourth fifty is allowed after three windows.
    assert!(begun.elapsed() >= Duration::from_secs(3), "{:?}", begun.elapsed());
    let wasted = field.provider.count() - 200;
    assert!(wasted <= 160, "{wasted} calls were refused: everything was asked again and again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_down_is_tried_by_one_call_at_a_time_and_costs_no_case() {
    let field = Field::start().await;
    let is_down = Arc::new(AtomicBool::new(true));
    let state = Arc::clone(&is_down);
    let script =
        Script::by(
            move |asked| {
                if state.load(Ordering::Acquire) { Act::Status(503, None) } else { echo(asked.prompt()) }
            },
        );
    field.model("down", script, json!({})).await;
    field.eval("many", "exact", questions(60)).await;
    let id = field.trigger(json!({})).await;

    let page = until("the page to say that it waits", async || {
        let page = field.board.anonymous.get(&format!("/runs/{id}")).await.text();
        page.contains("Waiting for <bdi>").then_some(page)
    })
    .await;
    assert!(page.contains("answered 503") && page.contains("failures in a row"), "{page}");
    assert!(!page.contains(&format!("{}#", field.provider.address)), "the fingerprint of the key is shown");
    let (after_shutting, begun) = (field.provider.count(), Instant::now());
    let tried = || field.provider.count() - after_shutting;
    until("more tries", async || (tried() >= 2 && begun.elapsed() >= Duration::from_secs(1)).then_some(()))
        .await;
    let (tried, took) = (u128::try_from(tried()).unwrap(), begun.elapsed());
    assert!(tried <= 10 + took.as_millis() / 75, "{tried} calls in {took:?} tried a provider that was down");
    assert_eq!(field.run(&id).await["case_done"], 0, "a case failed with its provider");

    is_down.store(false, Ordering::Release);
    assert_whole(&field.ended(&id).await, 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_model_holds_up_no_fast_one() {
    let field = Field::start().await;
    let gate = Gate::closed();
    let held = gate.clone();
    let slow = Script::by(move |asked| Act::Wait(held.clone(), asked.prompt().to_owned()));
    field.model("slow", slow, json!({"api_key": "slow", "max_concurrency": 2})).await;
    let fast = Script::by(|asked| echo(asked.prompt())).thinking(Duration::from_millis(5));
    let fast = field.model("fast", fast, json!({"api_key": "fast"})).await;
    let eval = field.eval("some", "exact", questions(12)).await;
    let id = field.trigger(json!({})).await;

    let result = until("the fast model's result", async || {
        let results = field.results(&json!({"id": id})).await;
        results.into_iter().find(|result| result["model_id"] == json!(fast) && result["state"] == "complete")
    })
    .await;
    assert_eq!((&result["eval_id"], &result["case_count"]), (&json!(eval), &json!(12)));
    let run = field.run(&id).await;
    assert_eq!([&run["status"], &run["case_done"]], [&json!("running"), &json!(12)], "{run}");
    gate.open();
    assert_whole(&field.ended(&id).await, 24);
}

#[tokio::test(flavor = "multi_thread")]
async fn models_that_share_an_endpoint_take_turns() {
    let field = Field::start().await;
    for name in ["first", "second"] {
        let script = Script::by(|asked| echo(asked.prompt())).thinking(Duration::from_millis(5));
        field.model(name, script, json!({"max_concurrency": 2})).await;
    }
    field.eval("some", "exact", questions(60)).await;
    assert_whole(&field.run_all().await, 120);
    let (first, second) = (field.provider.asked("first"), field.provider.asked("second"));
    let half = first[29].at.max(second[29].at);
    let ahead = [&first, &second].map(|asked| asked.iter().filter(|asked| asked.at <= half).count());
    assert!(ahead.iter().all(|count| (25..=36).contains(count)), "one model went first: {ahead:?}");
}
