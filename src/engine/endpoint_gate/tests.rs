//! The gate of an endpoint with several models.

use std::time::Duration;

use super::*;
use crate::egress::Fault;
use crate::engine::circuit_breaker::MAX_FAILURES;
use crate::engine::provider::Retry;

const COOLDOWN: Duration = Duration::from_millis(20);

fn gates() -> EndpointGates {
    EndpointGates::new(GateTiming { cut_interval: Duration::from_secs(15), cooldown: COOLDOWN })
}

fn bounds(explicit: Option<u32>) -> Bounds {
    Bounds::new(explicit, 20)
}

fn two() -> (ModelGate, ModelGate) {
    let gates = gates();
    let gate = |model: &str| gates.get_or_insert(&format!("host#key#{model}"), bounds(None));
    (gate("a"), gate("b"))
}

fn unavailable() -> Result<(), Failure> {
    Err(Failure {
        code: "provider_unavailable",
        message: "host answered 503".to_owned(),
        status: Some(503),
        retry: Retry::Later { after: None, counts: true },
    })
}

fn refused(after: u64) -> Result<(), Failure> {
    Err(Failure {
        code: "provider_rate_limited",
        message: "host answered 429".to_owned(),
        status: Some(429),
        retry: Retry::Later { after: Some(Duration::from_secs(after)), counts: false },
    })
}

fn no_connection() -> Result<(), Failure> {
    Err(Failure::fault("host", Fault::Unreachable))
}

/// A permit, which must be had at once or soon.
async fn enter(gate: &ModelGate) -> Permit {
    match gate.enter().await {
        Ok(permit) => permit,
        Err(open) => panic!("{open:?}"),
    }
}

/// Makes a call that comes to `outcome`; it must be let through at once.
async fn call(gate: &ModelGate, outcome: Result<(), Failure>) {
    enter(gate).await.report(&outcome);
}

/// Whether a breaker in front of the model is open or half-open.
fn is_open(gate: &ModelGate) -> bool {
    gate.status().open.is_some()
}

/// Whether a call would have to wait for its place.
async fn has_to_wait(gate: &ModelGate) -> bool {
    futures_util::poll!(Box::pin(gate.enter())).is_pending()
}

#[test]
fn a_queue_names_its_endpoint() {
    let names = ["api.x.ai#1f0c#92aa", "api.x.ai#1f0c", "builtin", "webhook https://a.test", "h#none#a#b"];
    let endpoints = names.map(endpoint_of);
    assert_eq!(endpoints, ["api.x.ai#1f0c", "api.x.ai#1f0c", "builtin", "webhook https://a.test", "h#none"]);
}

#[tokio::test]
async fn refusals_of_one_model_hold_back_only_that_model() {
    let (a, b) = two();
    for _ in 0..3 {
        call(&a, refused(600)).await;
    }
    assert!(is_open(&a) && !is_open(&b));
    call(&b, Ok(())).await;
    assert!(is_open(&a), "another model's answer says nothing of its quota");
    a.expire_wait();
    call(&a, Ok(())).await;
    assert!(!is_open(&a));
}

#[tokio::test]
async fn failures_of_one_model_hold_back_only_that_model() {
    let (a, b) = two();
    for _ in 0..MAX_FAILURES {
        call(&a, unavailable()).await;
        call(&b, Ok(())).await;
    }
    assert!(is_open(&a) && !is_open(&b));
}

#[tokio::test]
async fn one_model_without_a_connection_closes_no_endpoint() {
    let (a, b) = two();
    for _ in 0..MAX_FAILURES {
        call(&a, no_connection()).await;
    }
    assert!(is_open(&a) && !is_open(&b));
}

#[tokio::test]
async fn an_endpoint_that_no_model_connects_to_is_down() {
    let (a, b) = two();
    for _ in 0..MAX_FAILURES / 2 {
        call(&a, no_connection()).await;
        call(&b, no_connection()).await;
    }
    assert!(is_open(&a) && is_open(&b), "ten failures of both together");
    tokio::time::sleep(COOLDOWN).await;
    call(&a, unavailable()).await;
    assert!(!is_open(&b), "it answered, if not well");
}

#[tokio::test]
async fn trial_calls_of_an_endpoint_take_turns_among_models() {
    let gates = gates();
    let names = ["a", "b", "c"].map(|model| format!("host#key#{model}"));
    let models = names.map(|name| gates.get_or_insert(&name, bounds(None)));
    for _ in 0..MAX_FAILURES {
        for model in &models {
            if !is_open(model) {
                call(model, no_connection()).await;
            }
        }
    }
    let wanted: Vec<Demand> = models.iter().map(ModelGate::announce).collect();
    let mut tried = Vec::new();
    for _ in 0..6 {
        tokio::time::sleep(COOLDOWN).await;
        // All three ask at once: one is let through, the others are told to wait.
        let (first, second, third) = tokio::join!(models[0].enter(), models[1].enter(), async {
            let entered = models[2].enter().await;
            let is_let_through = entered.is_ok();
            drop(entered.map(|permit| permit.report(&no_connection())));
            is_let_through
        });
        let let_through = [first, second].map(|entered| match entered {
            Ok(permit) => {
                permit.report(&no_connection());
                true
            }
            Err(_) => false,
        });
        let entered = [let_through[0], let_through[1], third];
        assert_eq!(entered.iter().filter(|entered| **entered).count(), 1, "{entered:?}");
        tried.push(entered.iter().position(|entered| *entered).unwrap());
    }
    let mut seen = tried.clone();
    seen.sort_unstable();
    assert_eq!(seen, [0, 0, 1, 1, 2, 2], "{tried:?}");
    drop(wanted);
}

#[tokio::test]
async fn a_model_that_hangs_leaves_another_its_share() {
    let (a, b) = two();
    let wanted = (0..40).map(|_| (a.announce(), b.announce())).collect::<Vec<_>>();
    let mut hanging = Vec::new();
    for _ in 0..10 {
        hanging.push(enter(&a).await);
    }
    assert!(has_to_wait(&a).await, "half of the places are another's");
    for _ in 0..100 {
        call(&b, Ok(())).await;
    }
    drop((hanging, wanted));
}

#[tokio::test]
async fn a_late_model_gets_a_call_beside_one_that_hangs() {
    let (a, b) = two();
    let mut hanging = Vec::new();
    for _ in 0..20 {
        hanging.push(enter(&a).await);
    }
    for _ in 0..100 {
        call(&b, Ok(())).await;
    }
    assert_eq!(hanging.len(), 20);
}

#[tokio::test]
async fn a_limit_that_a_model_names_is_never_exceeded() {
    let gates = gates();
    let gate = |model: &str, most| gates.get_or_insert(&format!("host#key#{model}"), bounds(most));
    let (a, b) = (gate("a", None), gate("b", Some(2)));
    for _ in 0..MAX_FAILURES {
        call(&b, unavailable()).await;
    }
    let held = enter(&a).await;
    b.expire_wait();
    call(&b, Ok(())).await;
    let (first, _second) = (enter(&b).await, enter(&b).await);
    assert!(has_to_wait(&b).await);
    drop(first);
    call(&b, Ok(())).await;
    drop(held);
}

#[tokio::test]
async fn a_free_place_goes_to_the_next_in_line() {
    let gates = gates();
    let gate = gates.get_or_insert("host#key#a", bounds(Some(1)));
    let first = enter(&gate).await;
    let (line, left) = (gate.clone(), gate.clone());
    let gone = tokio::spawn(async move { left.enter().await.is_ok() });
    tokio::task::yield_now().await;
    let waiting = tokio::spawn(async move { line.enter().await.is_ok() });
    tokio::task::yield_now().await;
    gone.abort();
    tokio::task::yield_now().await;
    drop(first);
    assert!(waiting.await.unwrap(), "a caller that left the line was handed the place");
}

#[tokio::test]
async fn a_place_handed_to_a_caller_that_left_is_free_again() {
    let gates = gates();
    let gate = gates.get_or_insert("host#key#a", bounds(Some(1)));
    let first = enter(&gate).await;
    let left = gate.clone();
    let mut entering = Box::pin(async move { left.enter().await.is_ok() });
    assert!(futures_util::poll!(&mut entering).is_pending());
    drop(first);
    drop(entering);
    call(&gate, Ok(())).await;
}

#[tokio::test]
async fn callers_in_line_hear_that_a_breaker_opened() {
    let gates = gates();
    let gate = gates.get_or_insert("host#key#a", bounds(Some(1)));
    for _ in 0..MAX_FAILURES - 1 {
        call(&gate, unavailable()).await;
    }
    let last = enter(&gate).await;
    let line = gate.clone();
    let waiting = tokio::spawn(async move { line.enter().await.err().map(|open| open.reason) });
    tokio::task::yield_now().await;
    last.report(&unavailable());
    let reason = waiting.await.unwrap().expect("the breaker is open");
    assert!(reason.starts_with("host answered 503 (10 failures"), "{reason}");
}

#[tokio::test]
async fn a_refusal_of_one_model_cuts_only_its_own_limit() {
    let (a, b) = two();
    let wanted = (a.announce(), b.announce());
    call(&a, refused(1)).await;
    drop(wanted);
    assert_eq!([a.limit(), b.limit()], [16, 20]);
    let wanted = (a.announce(), b.announce());
    call(&b, refused(1)).await;
    drop(wanted);
    assert_eq!([a.limit(), b.limit()], [16, 16], "both were refused: it is the endpoint's limit");
    assert_eq!(gates().get_or_insert("host#key#c", bounds(None)).limit(), 20);
}

#[tokio::test]
async fn refusals_of_two_models_cut_no_places_of_an_answered_third() {
    let gates = gates();
    let [a, b, healthy] =
        ["a", "b", "c"].map(|model| gates.get_or_insert(&format!("host#key#{model}"), bounds(None)));
    let wanted = [a.announce(), b.announce(), healthy.announce()];
    for _ in 0..2 {
        call(&healthy, Ok(())).await;
        call(&a, refused(1)).await;
        call(&b, refused(1)).await;
    }
    drop(wanted);
    assert_eq!([a.limit(), b.limit(), healthy.limit()], [16, 16, 20]);
    let wanted = [a.announce(), b.announce(), healthy.announce()];
    call(&healthy, refused(1)).await;
    drop(wanted);
    assert_eq!(healthy.limit(), 16, "all three are refused: it is the endpoint's limit");
}

#[tokio::test]
async fn a_wait_for_which_no_item_is_left_expires() {
    let (a, _) = two();
    for _ in 0..3 {
        call(&a, refused(600)).await;
    }
    a.expire_wait();
    call(&a, refused(600)).await;
    assert!(is_open(&a), "only one call was let through");
}
