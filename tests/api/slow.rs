//! Callers who take their time: they are cut in the end, and until then they are in nobody's way.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::support::Board;
use crate::support::field::until;

/// As many as hold a connection each and say nothing more.
const LOITERERS: usize = 1_000;
/// Bytes of the largest body that is read whole.
const LARGE_BODY: usize = 8 * 1024 * 1024;
/// Long after what a head and the start of a body may take.
const END: Duration = Duration::from_secs(120);

/// Sends the beginning of something on a connection of its own, then nothing.
async fn begin(address: SocketAddr, beginning: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(beginning.as_bytes()).await.unwrap();
    stream
}

/// Sends a POST of JSON whose body lacks its last byte.
async fn begin_large_body(address: SocketAddr, credential: &str) -> TcpStream {
    let head = format!(
        "POST /api/v1/evals HTTP/1.1\r\nHost: board.example\r\nAuthorization: Bearer {credential}\r\n\
         Content-Type: application/json\r\nContent-Length: {LARGE_BODY}\r\n\r\n"
    );
    let mut stream = begin(address, &head).await;
    // The one that is refused may be closed before all of it was sent.
    let _closed = stream.write_all(&vec![b' '; LARGE_BODY - 1]).await;
    stream
}

/// All that the server says until it closes the connection, which it must.
async fn hear_out(mut stream: TcpStream) -> String {
    let mut said = Vec::new();
    let heard = tokio::time::timeout(END, stream.read_to_end(&mut said)).await;
    // One that is closed while we had more to say may be reset.
    let _closed = heard.unwrap_or_else(|_| panic!("not cut: {}", String::from_utf8_lossy(&said)));
    String::from_utf8_lossy(&said).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_slow_connections_are_in_nobodys_way_and_end() {
    let board = Board::start().await;
    let cut = Arc::new(AtomicUsize::new(0));
    let mut ends = JoinSet::new();
    for _ in 0..LOITERERS {
        let stream = begin(board.address, "GET / HTTP/1.1\r\nHost: board.example\r\nX-Slow: ").await;
        let cut = Arc::clone(&cut);
        ends.spawn(async move {
            let head = hear_out(stream).await;
            cut.fetch_add(1, Ordering::AcqRel);
            head
        });
    }
    // A read that had to wait for one of them would end after the first was cut.
    let mut served = 0;
    while served < 100 {
        assert_eq!(board.anonymous.get("/api/v1/models").await.code(), 200);
        if cut.load(Ordering::Acquire) > 0 {
            break;
        }
        served += 1;
    }
    assert!(served > 0, "the first read ended only once a slow connection was cut");
    let heads = ends.join_all().await;
    assert_eq!(heads.len(), LOITERERS);
    assert!(heads.iter().all(|said| said.is_empty() || said.starts_with("HTTP/1.1 408 ")), "{:?}", heads[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_come_is_cut_wherever_one_is_taken() {
    let board = Board::start().await;
    let token = board.member.credential();
    let mut ends = JoinSet::new();
    for (method, path, content_type) in [
        ("POST", "/api/v1/models", "application/json"),
        ("POST", "/api/v1/training-sets", "multipart/form-data; boundary=b"),
        ("POST", "/login", "application/x-www-form-urlencoded"),
    ] {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: board.example\r\nOrigin: https://board.example\r\n\
             Authorization: Bearer {token}\r\nContent-Type: {content_type}\r\nContent-Length: 1000\r\n\r\n"
        );
        let stream = begin(board.address, &head).await;
        ends.spawn(async move { (path, hear_out(stream).await) });
    }
    for (path, said) in ends.join_all().await {
        assert!(said.starts_with("HTTP/1.1 400 "), "{path}: {said}");
        assert!(said.contains("too slowly"), "{path}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bodies_of_one_caller_take_a_bounded_part_of_the_memory() {
    let board = Board::start().await;
    let member = board.member.credential();
    let mut open = Vec::new();
    for _ in 0..8 {
        open.push(begin_large_body(board.address, member).await);
    }
    // Whichever of them comes last to its end takes more than the caller's part.
    open.push(begin_large_body(board.address, member).await);
    let mut ends: JoinSet<String> = open.into_iter().map(hear_out).collect();
    let first = ends.join_next().await.unwrap().unwrap();
    assert!(first.is_empty() || first.starts_with("HTTP/1.1 503 "), "{first}");
    let other =
        board.admin.post("/api/v1/models", &json!({"name": "m", "inference_uri": "builtin:random"})).await;
    assert_eq!(other.code(), 201, "{}", other.text());
    drop(ends);
    until("room for the member's bodies", async || {
        let reply = board
            .member
            .post("/api/v1/models", &json!({"name": "n", "inference_uri": "builtin:random"}))
            .await;
        (reply.code() == 201).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_in_chunks_that_nobody_reads_ends_its_connection_once_it_is_answered() {
    let board = Board::start().await;
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    let mut ends = JoinSet::new();
    for (method, path, status) in [
        ("GET", "/api/v1/leaderboard", "200"),
        ("GET", "/api/v1/nothing", "404"),
        ("POST", "/api/v1/models", "401"),
        ("PUT", "/api/blob?pathname=x", "401"),
    ]
    .repeat(10)
    {
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: board.example\r\nTransfer-Encoding: chunked\r\n\r\n");
        let (address, chunk) = (board.address, chunk.clone());
        ends.spawn(async move {
            let mut stream = begin(address, &head).await;
            for _ in 0..20 {
                // It may be closed before all of this was said.
                let _closed = stream.write_all(chunk.as_bytes()).await;
            }
            (path, status, hear_out(stream).await)
        });
    }
    let ended = ends.join_all().await;
    for (path, status, said) in &ended {
        // A reset takes along what was not read yet.
        let expected = format!("HTTP/1.1 {status} ");
        assert!(said.is_empty() || said.starts_with(&expected), "{path}: {said}");
    }
    assert!(ended.iter().any(|(_, _, said)| !said.is_empty()), "nobody was answered");
}
