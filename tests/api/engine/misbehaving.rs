//! Providers that misbehave, each mode as a model of its own at one address, all at once: what becomes of each, and
//! that a healthy model beside them does not notice.

mod bodies;
mod connections;
mod mode;
mod statuses;
mod streams;

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use evalboard::engine::Pace;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use self::mode::{Mode, Outcome, Place};
use crate::support::QUICK;
use crate::support::field::{Field, list, samples, text, until};
use crate::support::raw_provider::{RawProvider, Step};
use crate::support::wire::Wire;

/// The table has at least as many.
const MIN_MODES: usize = 61;
/// Far longer than any of them takes that ends by itself, so that none of them is given up.
const LONG_MS: i64 = 60_000;
/// What those have that would be waited for without end.
const SHORT_MS: i64 = 3_000;
/// What a busy machine may take besides to notice it and to end the cases.
const SLACK_MS: i64 = 100_000;
/// Calls at once of the healthy model and of its twin.
const AT_ONCE: usize = 8;
const CASES: usize = 120;
/// The twin has more, so that it is busy for as long as the healthy model.
const TWINS_CASES: usize = 200;
/// So long that what a busy machine adds to each call is small beside it.
const LATENCY: Duration = Duration::from_millis(500);
/// Room for a call of every mode at once: here it is not the number of places that is short, of which each model has
/// its fair share.
const ROOM: [&str; 2] = ["--concurrency", "1000"];
/// No lease runs out on a busy machine, which would count as an attempt.
const PATIENT: Pace = Pace { lease: Duration::from_secs(60), ..QUICK };

fn modes() -> Vec<Mode> {
    [connections::all(), statuses::all(), bodies::all(), streams::all()].concat()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[test]
fn every_mode_has_its_row_in_the_docs() {
    let page = read("docs/misbehaving-providers.md");
    let modes = modes();
    assert!(modes.len() >= MIN_MODES, "{} modes", modes.len());
    let rows: Vec<String> = modes.iter().map(Mode::row).collect();
    let missing: Vec<&String> = rows.iter().filter(|row| !page.lines().any(|line| line == *row)).collect();
    let table = rows.join("\n");
    assert!(
        missing.is_empty(),
        "{} rows are missing, such as {}; the table:\n{table}",
        missing.len(),
        missing[0]
    );
    let shown = page.lines().filter(|line| line.starts_with("| ")).count();
    assert_eq!(shown, rows.len() + 1, "the docs have rows of modes that are gone");
}

#[test]
fn every_code_of_a_mode_is_in_the_list_of_codes() {
    let page = read("docs/providers.md");
    for mode in modes() {
        if let Outcome::Error { code, .. } = mode.outcome {
            assert!(page.contains(&format!("`{code}`")), "{code}");
        }
    }
}

/// The addresses that the modes need.
struct Addresses {
    shared: RawProvider,
    elsewhere: RawProvider,
    self_signed: Wire,
    closed: String,
    /// Its backlog takes connections, and nobody else does.
    unaccepted: TcpListener,
}

impl Addresses {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let closed = listener.local_addr().unwrap().to_string();
        drop(listener);
        Self {
            shared: RawProvider::start().await,
            elsewhere: RawProvider::start().await,
            self_signed: Wire::self_signed(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await,
            closed,
            unaccepted: TcpListener::bind("127.0.0.1:0").await.unwrap(),
        }
    }

    fn allowed(&self) -> String {
        let Self { shared, elsewhere, self_signed, closed, unaccepted } = self;
        let unaccepted = unaccepted.local_addr().unwrap();
        format!("{},{},{},{closed},{unaccepted}", shared.address, elsewhere.address, self_signed.address)
    }

    fn uri(&self, mode: &Mode) -> String {
        let at = |address: &str| format!("openai-compatible:http://{address}/v1#any");
        match mode.place {
            Place::Shared => self.shared.uri("http", mode.name),
            Place::SharedByTls => self.shared.uri("https", mode.name),
            Place::Closed => at(&self.closed),
            Place::Unaccepted => at(&self.unaccepted.local_addr().unwrap().to_string()),
            Place::SelfSigned => self.self_signed.uri("https"),
        }
    }
}

async fn register(field: &Field, name: &str, uri: &str, more: &Value) -> String {
    let mut body = json!({"name": name, "inference_uri": uri});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    text(&field.board.member.made("/api/v1/models", &body).await["id"])
}

/// Registers a healthy model at that provider, with an eval of so many cases; returns the body of its run.
async fn healthy(field: &Field, provider: &RawProvider, name: &str, cases: usize) -> Value {
    let answer = mode::json_body(&mode::four());
    provider.script(name, [vec![Step::Pause(LATENCY)], answer].concat());
    let more = json!({"max_concurrency": AT_ONCE});
    let model = register(field, name, &provider.uri("http", name), &more).await;
    let rows = samples(cases, |at| (format!("2+2? {at}"), "4".to_owned()));
    let eval = field.eval(&format!("many {name}"), "exact", json!({"samples": rows})).await;
    json!({"model_ids": [model], "eval_ids": [eval]})
}

/// The only case of each model of a run that is over, by the model.
async fn cases(field: &Field, run: &str) -> HashMap<String, Value> {
    let mut cases = HashMap::new();
    for result in list(&field.board.member.read(&format!("/api/v1/runs/{run}/results?limit=1000")).await) {
        let path = format!("/api/v1/results/{}/cases", text(&result["id"]));
        let case = list(&field.board.member.read(&path).await).remove(0);
        cases.insert(text(&result["model_id"]), case);
    }
    cases
}

/// Compares a case with what is to become of it; returns what is wrong.
fn flaw(mode: &Mode, case: &Value) -> Option<String> {
    let message = case["error_message"].as_str().unwrap_or_default();
    let is_right = match mode.outcome {
        Outcome::Error { code, attempts, words } => {
            let is_known = case["error"] == code && case["attempts"] == attempts;
            is_known && case["score"].is_null() && message.contains(words)
        }
        Outcome::GivenUp { words } => {
            case["error"] == "gave_up" && message.contains("gave up on this model") && message.contains(words)
        }
        Outcome::Scored { wrong, has_tokens } => {
            let score = if wrong.is_some() { 0.0 } else { 1.0 };
            let is_known = case["state"] == "scored" && case["score"] == score;
            let has_reason = wrong.is_none_or(|reason| case["reason"] == reason);
            is_known && has_reason && (has_tokens || case["input_tokens"].is_null())
        }
    };
    let is_clean = !case.to_string().contains("canary");
    (!is_right || !is_clean).then(|| format!("{}: {:?}\n    {case}", mode.name, mode.outcome))
}

/// Two modes with one message that differ in their cause.
fn shared_words(told: &[(&Mode, String)]) -> Vec<String> {
    let mut causes: HashMap<&str, &Mode> = HashMap::new();
    let mut shared = Vec::new();
    for (mode, message) in told {
        let first = causes.entry(message).or_insert(mode);
        if first.cause != mode.cause {
            shared.push(format!("'{}' and '{}': {message}", first.name, mode.name));
        }
    }
    shared
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mode_ends_in_time_with_its_words_and_slows_no_other() {
    let addresses = Addresses::start().await;
    let field = Field::at_pace(&addresses.allowed(), &ROOM, PATIENT).await;
    let sum = field.eval("sum", "exact", json!({"prompt": "2+2?", "expected_behavior": "4"})).await;
    let (mut ending, mut endless) = (Vec::new(), Vec::new());
    let mut of_modes = Vec::new();
    for mode in modes() {
        addresses.shared.script(mode.name, mode.script.clone());
        let model = register(&field, mode.name, &addresses.uri(&mode), &mode.more).await;
        let list = if matches!(mode.outcome, Outcome::GivenUp { .. }) { &mut endless } else { &mut ending };
        list.push(model.clone());
        of_modes.push((mode, model));
    }
    let beside = healthy(&field, &addresses.shared, "healthy", CASES).await;
    let alone = healthy(&field, &addresses.elsewhere, "twin", TWINS_CASES).await;

    let begun = Instant::now();
    let trigger = |models, limit| json!({"model_ids": models, "eval_ids": [sum], "give_up_after_ms": limit});
    let ending = field.trigger(trigger(ending, LONG_MS)).await;
    let endless = field.trigger(trigger(endless, SHORT_MS)).await;
    let beside = field.trigger(beside).await;
    let alone = field.trigger(alone).await;
    until("the end of the healthy run", async || {
        field.run(&beside).await["completed_at"].is_i64().then_some(())
    })
    .await;
    let others = [field.run(&ending).await["status"].clone(), field.run(&alone).await["status"].clone()];
    let [ended, given_up] = [field.ended(&ending).await, field.ended(&endless).await];
    println!(
        "{} modes in {:?}; when the healthy model was done: {others:?}",
        of_modes.len(),
        begun.elapsed()
    );

    field.ended(&alone).await;
    is_not_slowed(&addresses);
    let mut found = cases(&field, &ending).await;
    found.extend(cases(&field, &endless).await);
    let flaws: Vec<String> = of_modes.iter().filter_map(|(mode, model)| flaw(mode, &found[model])).collect();
    assert!(flaws.is_empty(), "{} modes end otherwise:\n{}", flaws.len(), flaws.join("\n"));
    for (run, limit) in [(&ended, LONG_MS), (&given_up, SHORT_MS)] {
        assert!(run["completed_at"].is_i64(), "{run}");
        let taken = run["completed_at"].as_i64().unwrap() - run["started_at"].as_i64().unwrap();
        println!("{taken} ms of {limit} ms until it is given up");
        assert!(taken < limit + SLACK_MS, "{taken} ms: {run}");
    }
    let errors = of_modes.iter().filter(|(mode, _)| matches!(mode.outcome, Outcome::Error { .. }));
    let told: Vec<(&Mode, String)> =
        errors.map(|(mode, model)| (mode, text(&found[model]["error_message"]))).collect();
    let shared = shared_words(&told);
    assert!(shared.is_empty(), "no words of their own:\n{}", shared.join("\n"));
    assert_eq!(field.run(&beside).await["case_errors"], 0);
}

/// While the healthy model had all its calls, its twin at another address had hardly more. Both are slowed alike by a
/// machine that is busy, which a comparison with the clock would take for a fault.
fn is_not_slowed(addresses: &Addresses) {
    let beside = addresses.shared.seen("healthy");
    let alone = addresses.elsewhere.seen("twin");
    let window = beside[0]..=beside[CASES - 1];
    let meanwhile = alone.iter().filter(|at| window.contains(*at)).count();
    let span = |calls: &[Instant]| calls[calls.len() - 1] - calls[0];
    println!(
        "{} calls beside all modes in {:?}, {meanwhile} of the twin meanwhile, and all its {} in {:?}",
        beside.len(),
        span(&beside),
        alone.len(),
        span(&alone)
    );
    assert!(meanwhile <= CASES * 11 / 10 + AT_ONCE, "{meanwhile} calls of the twin in the time of {CASES}");
}
