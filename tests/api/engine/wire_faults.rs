//! A provider's bad day below HTTP: what it does to the connection, and what it asks for in a header.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::support::field::{Field, list, text, until};
use crate::support::provider::{Act, Provider, Script};
use crate::support::site::Site;
use crate::support::wire::{Wire, read_request, write};

/// How often an item may fail by its own fault.
const TRIES: usize = 5;
/// The head of an answer that is as long as it pleases.
const ENDLESS: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
/// Most bytes of an answer that are read.
const CAP: u64 = 4 * 1024 * 1024;
const TEN_GIGABYTES: u64 = 10 * 1024 * 1024 * 1024;
/// A right answer, for who should not have asked.
const FOUR: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-length: 41\r\n\r\n{\"choices\":[{\"message\":{\"content\":\"4\"}}]}";

/// A fault, the scheme it is called by, its code, and how often it is asked again.
struct Fault {
    name: &'static str,
    wire: Wire,
    scheme: &'static str,
    code: &'static str,
    calls: usize,
}

async fn reset(stream: TcpStream) {
    let mut stream = stream;
    read_request(&mut stream).await;
    // Closing without lingering is a reset.
    stream.set_zero_linger().unwrap();
}

/// One byte at a time, far within the time between two pieces and never done.
async fn drip(stream: TcpStream) {
    let mut stream = stream;
    read_request(&mut stream).await;
    write(&mut stream, ENDLESS).await;
    while write(&mut stream, b" ").await {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn cut_json(stream: TcpStream) {
    let mut stream = stream;
    read_request(&mut stream).await;
    write(&mut stream, &[ENDLESS, b"{\"choices\":[{\"message\":{\"content\":\"4"].concat()).await;
}

/// Sends its caller to `inside`.
async fn lead_to(inside: String) -> Wire {
    Wire::start(move |mut stream| {
        let inside = inside.clone();
        async move {
            read_request(&mut stream).await;
            let answer = format!("HTTP/1.1 307 Elsewhere\r\nlocation: {inside}\r\ncontent-length: 0\r\n\r\n");
            write(&mut stream, answer.as_bytes()).await;
        }
    })
    .await
}

async fn sum(field: &Field) -> String {
    field.eval("sum", "exact", json!({"prompt": "2+2?", "expected_behavior": "4"})).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_of_a_connection_has_its_own_code_and_touches_no_other_model() {
    let inside = Wire::start(|mut stream| async move {
        read_request(&mut stream).await;
        write(&mut stream, FOUR).await;
    })
    .await;
    let fault = |name, wire, scheme, code, calls| Fault { name, wire, scheme, code, calls };
    let inside_url = format!("http://{}/v1/chat/completions", inside.address);
    let faults = [
        fault("reset", Wire::start(reset).await, "http", "provider_disconnected", TRIES),
        fault("dripping", Wire::start(drip).await, "http", "provider_timeout", TRIES),
        fault("cut", Wire::start(cut_json).await, "http", "provider_json_incomplete", TRIES),
        fault("leading inside", lead_to(inside_url).await, "http", "provider_redirect", 1),
        fault("self-signed", Wire::self_signed(FOUR).await, "https", "provider_tls", 1),
    ];
    // What it leads to is allowed as well: it is the redirect that is refused.
    let allowed: Vec<String> = faults.iter().map(|fault| fault.wire.address.to_string()).collect();
    let field = Field::allowing(&format!("{},{}", allowed.join(","), inside.address)).await;
    let eval = sum(&field).await;
    let good = field.model("good", Script::says("4"), json!({"api_key": "good"})).await;
    let mut models = Vec::new();
    for fault in &faults {
        let timeout = if fault.name == "dripping" { 1_000 } else { 20_000 };
        let body =
            json!({"name": fault.name, "inference_uri": fault.wire.uri(fault.scheme), "timeout_ms": timeout});
        models.push(text(&field.board.member.made("/api/v1/models", &body).await["id"]));
    }

    let run = field.run_all().await;

    assert_eq!(run["status"], "completed", "{run}");
    assert_eq!(field.only_case(&run, &good, &eval).await["score"], 1.0);
    for (fault, model) in faults.iter().zip(models) {
        let case = field.only_case(&run, &model, &eval).await;
        assert_eq!([&case["state"], &case["error"]], ["error", fault.code], "{}: {case}", fault.name);
        assert_eq!(
            [&case["score"], &case["attempts"]],
            [&Value::Null, &json!(fault.calls)],
            "{}",
            fault.name
        );
        assert_eq!(fault.wire.calls(), fault.calls, "{}", fault.name);
    }
    assert_eq!(inside.calls(), 0, "a redirect was followed");
    // Nothing but its certificate was wrong with the last one.
    let trusting = reqwest::Client::builder().no_proxy().tls_danger_accept_invalid_certs(true);
    let url = format!("https://{}/", faults[4].wire.address);
    let answer = trusting.build().unwrap().post(url).body("{}").send().await.unwrap();
    assert!(answer.text().await.unwrap().contains("choices"));
}

/// Answers with ten gigabytes, as long as anybody takes them, and counts what was taken.
async fn flood(taken: Arc<AtomicU64>) -> Wire {
    Wire::start(move |mut stream| {
        let taken = Arc::clone(&taken);
        async move {
            read_request(&mut stream).await;
            write(&mut stream, ENDLESS).await;
            let piece = vec![b' '; 256 * 1024];
            let length = u64::try_from(piece.len()).unwrap();
            for _ in 0..TEN_GIGABYTES / length {
                if !write(&mut stream, &piece).await {
                    return;
                }
                taken.fetch_add(length, Ordering::AcqRel);
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_gigabytes_are_cut_at_the_cap_and_fill_no_memory() {
    const CALLS: u64 = 10;
    let taken = Arc::new(AtomicU64::new(0));
    let flood = flood(Arc::clone(&taken)).await;
    let provider = Provider::start();
    provider.script("good", Script::says("4"));
    let site = Site::allowing(&provider, &flood.address.to_string());
    let server = site.start().await;
    let caller = site.caller();
    let rows: Vec<Value> = (0..CALLS).map(|at| json!({"input": format!("{at}"), "target": "4"})).collect();
    let eval = json!({"name": "many", "prompt": "{{input}}", "eval_type": "exact", "samples": rows});
    caller.post("/api/v1/evals", &eval).await;
    let model = |name: &str, uri: String| json!({"name": name, "inference_uri": uri, "max_concurrency": 1});
    caller.post("/api/v1/models", &model("good", provider.uri("good"))).await;
    // A first run, so that what any run needs is in memory.
    ended(&caller, CALLS).await;
    let before = server.peak_memory();

    caller.post("/api/v1/models", &model("flood", flood.uri("http"))).await;
    let run = ended(&caller, 2 * CALLS).await;

    assert_eq!([&run["status"], &run["case_errors"]], [&json!("completed"), &json!(CALLS)], "{run}");
    let results = list(&caller.get(&format!("/api/v1/runs/{}/results", text(&run["id"]))).await.body);
    let errors: Vec<&str> = results.iter().filter_map(|result| result["error"].as_str()).collect();
    assert_eq!(errors, [format!("{CALLS} of {CALLS} failed: provider_body_too_large")]);
    let (taken, grown) = (taken.load(Ordering::Acquire), server.peak_memory() - before);
    println!("{} MiB taken in {CALLS} calls, {grown} KiB more memory", taken / 1024 / 1024);
    // The cap, and what the system holds between the two sides.
    assert!((CAP * CALLS / 2..8 * CAP * CALLS).contains(&taken), "{taken} bytes were taken");
    // Less than the bodies take when they are kept.
    assert!(grown < CAP * CALLS / 1024, "{grown} KiB more memory");
}

/// A run of everything, of so many cases, once it is over.
async fn ended(caller: &crate::support::site::Caller, cases: u64) -> Value {
    let path = format!("/api/v1/runs/{}", text(&caller.post("/api/v1/runs", &json!({})).await["id"]));
    let run = until("the end of the run", async || {
        let run = caller.get(&path).await.body;
        run["completed_at"].is_i64().then_some(run)
    })
    .await;
    assert_eq!(run["case_done"], cases, "{run}");
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn absurd_waits_are_brought_into_a_second_to_ten_minutes_and_hold_up_nobody() {
    let field = Field::start().await;
    let eval = sum(&field).await;
    let patient = ["99999999", "1e300", "Tue, 01 Jan 2999 00:00:00 GMT"];
    // What says nothing leaves the wait to us, which here is short.
    let swift = ["0", "Thu, 01 Jan 1970 00:00:00 GMT", "-5", "soon", ""];
    let mut models = Vec::new();
    for (at, wait) in patient.into_iter().chain(swift).enumerate() {
        let script = Script::first(1, Act::Limited(wait), Act::Say("4".to_owned()));
        let name = format!("asks for '{wait}'");
        models.push((field.model(&name, script, json!({"api_key": format!("key-{at}")})).await, name, wait));
    }
    let id = field.trigger(json!({})).await;
    let done = json!(swift.len());
    let run = until("the others to go on", async || {
        let run = field.run(&id).await;
        (run["case_done"] == done).then_some(run)
    })
    .await;

    assert_eq!([&run["status"], &run["case_errors"]], [&json!("running"), &json!(0)], "{run}");
    for (model, name, wait) in models.iter().skip(patient.len()) {
        assert_eq!(field.only_case(&run, model, &eval).await["score"], 1.0, "{name}");
        let asked = field.provider.asked(name);
        let waited = asked[1].at - asked[0].at;
        let is_named = *wait == "0" || wait.contains("1970");
        assert!(!is_named || waited >= Duration::from_secs(1), "{name}: {waited:?}");
        assert!(waited < Duration::from_secs(10), "{name}: {waited:?}");
    }
    let in_minutes = "SELECT COUNT(*) AS n FROM work_items
         WHERE state = 'ready' AND run_after / 1000 - unixepoch() BETWEEN 540 AND 600";
    assert_eq!(field.count(in_minutes).await, i64::try_from(patient.len()).unwrap());
}
