//! Clients that stop reading: they are cut, cost next to nothing until then, and keep nobody from being served.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, interval, timeout};

use crate::support::field::until;
use crate::support::forms::Form;
use crate::support::provider::Provider;
use crate::support::site::Site;
use crate::support::{Board, Client, PATIENCE, PUBLIC_URL};

/// As many as ask for a long list and never read it.
const STUCK: usize = 1_000;
/// What they may cost together, in KiB.
const MAX_GROWTH: u64 = 100 * 1024;
/// Flags of a board that limits no rates.
const UNLIMITED: [&str; 4] = ["--rate-read", "1000000", "--rate-read-burst", "1000000"];

/// The address of the list of `count` samples of `size` bytes each.
async fn long_list(client: &Client, count: usize, size: usize) -> String {
    let sample =
        |at: usize| json!({"id": format!("s{at}"), "input": "wide ".repeat(size / 5), "target": "yes"});
    let eval = json!({"name": "Long", "prompt": "{{input}}", "eval_type": "exact", "samples": [sample(0)]});
    let eval = client.eval(&eval).await;
    let lines: String = (0..count).map(|at| format!("{}\n", sample(at))).collect();
    assert_eq!(client.put_samples(&eval, lines).await.code(), 200);
    format!("/api/v1/evals/{eval}/samples")
}

/// The address of a file of that size.
async fn file_of(board: &Board, size: usize) -> String {
    let model = board.member.model("builtin:echo").await;
    let metadata = r#"{"name": "Weights", "artifact_type": "weights"}"#;
    let octets = Some("application/octet-stream");
    let form = Form::default().field("metadata", metadata).file("weights.bin", octets, &vec![7; size]);
    let made = board.member.send_form(&format!("/api/v1/models/{model}/artifacts"), &form).await;
    assert_eq!(made.code(), 201, "{}", made.text());
    made.json()["blob_url"].as_str().unwrap().strip_prefix(PUBLIC_URL).unwrap().to_owned()
}

/// A connection of a client whose system holds little of what it does not read.
async fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    socket.connect(address).await.unwrap()
}

fn request(path: &str, more: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: board.example\r\n{more}\r\n")
}

/// Asks for what is at `path`, and waits until the response begins.
async fn ask(address: SocketAddr, path: &str) -> TcpStream {
    let mut stream = connect(address).await;
    stream.write_all(request(path, "").as_bytes()).await.unwrap();
    timeout(PATIENCE, stream.readable()).await.unwrap().unwrap();
    stream
}

/// Reads what is left until the connection ends, which it must; whether it ended in the middle.
async fn is_cut(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    let ended = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("a connection that ends");
    ended.is_err() || !rest.ends_with(b"0\r\n\r\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn thousand_clients_that_stop_reading_cost_little_and_end() {
    let provider = Provider::start();
    let site = Site::operated(&provider, "", &[("EVALBOARD_WRITE_TIMEOUT", "20")]);
    let running = site.start().await;
    let path = long_list(&site.member("member@example.org"), 1_000, 20_000).await;
    let anonymous = Client::bearing(site.address(), None);
    assert_eq!(anonymous.get("/").await.code(), 200);
    let before = running.memory();
    let mut stuck = Vec::new();
    for _ in 0..STUCK {
        stuck.push(ask(site.address(), &path).await);
    }
    let after = running.memory();
    assert!(after < before + MAX_GROWTH, "from {before} to {after} KiB");
    for path in ["/", "/api/v1/models", "/api/v1/leaderboard", "/api/v1/status"] {
        assert_eq!(anonymous.get(path).await.code(), 200, "{path}");
    }
    anonymous.until("/api/v1/status", |status| status["connections_stalled"] == json!(STUCK)).await;
    let status = anonymous.read("/api/v1/status").await;
    assert_eq!((&status["send_buffer_bytes"], &status["responses_refused"]), (&json!(0), &json!(0)));
    for stream in &mut stuck {
        assert!(is_cut(stream).await);
    }
    assert!(site.errors().is_empty(), "{:?}", site.errors());
}

#[tokio::test(flavor = "multi_thread")]
async fn client_that_reads_slowly_gets_everything() {
    let board = Board::with(&["--write-timeout", "3"]).await;
    let path = long_list(&board.member, 150, 20_000).await;
    let mut stream = connect(board.address).await;
    stream.write_all(request(&path, "Connection: close\r\n").as_bytes()).await.unwrap();
    let (mut body, mut piece, mut pace) =
        (Vec::new(), vec![0; 64 * 1024], interval(Duration::from_millis(200)));
    let since = Instant::now();
    loop {
        pace.tick().await;
        match timeout(PATIENCE, stream.read(&mut piece)).await.unwrap().unwrap() {
            0 => break,
            length => body.extend_from_slice(&piece[..length]),
        }
    }
    assert!(since.elapsed() > Duration::from_secs(6), "it was not slow: {:?}", since.elapsed());
    assert!(body.len() > 3_000_000 && body.ends_with(b"0\r\n\r\n"), "{} bytes", body.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn stuck_client_is_ended_whatever_it_asked_for() {
    let flags = [&["--write-timeout", "1"], UNLIMITED.as_slice()].concat();
    let board = Board::running(&flags).await;
    let samples = long_list(&board.member, 150, 20_000).await;
    board.member.model("builtin:constant?answer=yes").await;
    let run = board.member.run(&json!({})).await;
    let results =
        board.anonymous.read(&format!("/api/v1/runs/{}/results", run["id"].as_str().unwrap())).await;
    let cases = format!("/api/v1/results/{}/cases", results[0]["id"].as_str().unwrap());
    let file = file_of(&board, 3_000_000).await;
    for path in [
        samples.clone(),
        cases.clone(),
        format!("{cases}?format=csv"),
        format!("{cases}?format=ndjson&limit=200"),
        file,
    ] {
        let before = board.anonymous.read("/api/v1/status").await["connections_stalled"].as_u64();
        let mut stream = ask(board.address, &path).await;
        board
            .anonymous
            .until("/api/v1/status", |status| status["connections_stalled"].as_u64() > before)
            .await;
        assert!(is_cut(&mut stream).await, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_requests_wait_until_responses_are_read() {
    let board = Board::with(&["--write-timeout", "2"]).await;
    assert_eq!(board.anonymous.get("/api/v1/models").await.code(), 200);
    // Nothing but heads comes back: they are larger than what is sent.
    let requests = request("/api/v1/models", "If-None-Match: *\r\n").repeat(1_000);
    let mut stream = connect(board.address).await;
    let mut sent = 0;
    let ended = loop {
        match timeout(PATIENCE, stream.write(requests.as_bytes())).await.expect("an end") {
            Ok(length) => sent += length,
            Err(cause) => break cause,
        }
        assert!(sent < 64 * 1024 * 1024, "{sent} bytes of requests were read and no response");
    };
    let status = board.anonymous.read("/api/v1/status").await;
    assert_eq!(status["connections_stalled"], 1, "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn exhausted_budget_refuses_large_responses_alone() {
    let flags = [&["--send-budget-bytes", "1048576"], UNLIMITED.as_slice()].concat();
    let board = Board::with(&flags).await;
    let path = long_list(&board.member, 40, 100_000).await;
    let whole = long_list(&board.other, 9, 100_000).await;
    let mut stuck = Vec::new();
    until("a refusal", async || {
        let stream = ask(board.address, &path).await;
        let mut status = [0; 12];
        stream.peek(&mut status).await.unwrap();
        stuck.push(stream);
        status.ends_with(b"503").then_some(())
    })
    .await;
    for path in [&path, &whole] {
        let refused = board.anonymous.get(path).await;
        assert_eq!((refused.code(), refused.header("retry-after")), (503, "1"), "{path}");
        refused.assert_refused(503, "code", "unavailable");
    }
    assert_eq!(board.other.get(&path).await.code(), 200, "a member has a share of their own");
    for path in ["/", "/api/v1/models", "/api/v1/leaderboard", "/healthz"] {
        assert_eq!(board.anonymous.get(path).await.code(), 200, "{path}");
    }
    let status = board.anonymous.read("/api/v1/status").await;
    assert_eq!(status["send_budget_bytes"], 1_048_576);
    assert!(status["send_buffer_bytes"].as_u64() > Some(100_000), "{status}");
    assert!(status["responses_refused"].as_u64() >= Some(3), "{status}");
    drop(stuck);
    board.anonymous.until("/api/v1/status", |status| status["send_buffer_bytes"] == json!(0)).await;
    assert_eq!(rows(&board.anonymous.read(&path).await), 40);
    assert_eq!(rows(&board.anonymous.read(&whole).await), 9);
}

fn rows(list: &Value) -> usize {
    list.as_array().unwrap().len()
}
