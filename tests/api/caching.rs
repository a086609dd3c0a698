use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::Board;

const THING: &str = "/api/test/things/abc";

#[tokio::test(flavor = "multi_thread")]
async fn a_hit_looks_like_the_miss_before_it() {
    let board = Board::with_things(&[]).await;
    for path in [THING, "/page", "/api/v1/openapi.json", "/api/test/things?limit=5"] {
        let miss = board.anonymous.get(path).await;
        let hit = board.anonymous.get(path).await;
        assert_eq!(miss.code(), 200, "{}", miss.text());
        assert_eq!(miss.lasting_headers(), hit.lasting_headers(), "{path}");
        assert_eq!(miss.body, hit.body);
    }
    let thing = board.anonymous.get(THING).await;
    assert_eq!(thing.header("cache-control"), "public, max-age=60");
    assert_eq!(thing.header("vary"), "Accept-Encoding, Authorization");
    assert_eq!(thing.header("access-control-allow-origin"), "*");
    assert_eq!(thing.header("x-content-type-options"), "nosniff");
    let page = board.anonymous.get("/page").await;
    assert_eq!(page.header("cache-control"), "max-age=0, s-maxage=60");
    assert_eq!(page.header("access-control-allow-origin"), "");
    assert!(page.header("content-security-policy").contains("frame-ancestors 'none'"));
    let unfinished = board.anonymous.get("/api/test/unfinished").await;
    assert_eq!(unfinished.header("cache-control"), "no-cache");
}

#[tokio::test(flavor = "multi_thread")]
async fn head_says_what_get_would_and_sends_no_body() {
    let board = Board::with_things(&[]).await;
    for path in [THING, THING, "/page", "/healthz", "/static/nothing"] {
        let head = board.anonymous.head(path).await;
        let get = board.anonymous.get(path).await;
        assert_eq!(head.status, get.status);
        assert!(head.body.is_empty());
        assert_eq!(head.header("content-length"), get.body.len().to_string(), "{path}");
        for name in ["etag", "content-type", "cache-control", "vary"] {
            assert_eq!(head.header(name), get.header(name), "{path} {name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_follows_the_head_on_the_wire() {
    let board = Board::with_things(&[]).await;
    for _ in 0..2 {
        let mut stream = TcpStream::connect(board.address).await.unwrap();
        let request = format!("HEAD {THING} HTTP/1.1\r\nHost: board\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\n"), "{answer}");
        assert_eq!(answer.matches("\r\n\r\n").count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_caller_holds_is_not_sent_again() {
    let board = Board::with_things(&[]).await;
    let tag = board.anonymous.get(THING).await.header("etag").to_owned();
    for held in [tag.clone(), format!("W/{tag}"), format!("\"a\", {tag}"), "*".to_owned()] {
        let again = board.anonymous.ask(Method::GET, THING).header("if-none-match", &held).send().await;
        assert_eq!(again.code(), 304, "{held}");
        assert!(again.body.is_empty());
        assert_eq!(again.header("etag"), tag);
        assert_eq!(again.header("cache-control"), "public, max-age=60");
        assert_eq!(again.header("x-content-type-options"), "nosniff");
        assert_eq!(again.header("content-type"), "");
    }
    let other = board.anonymous.ask(Method::GET, THING).header("if-none-match", "\"other\"").send().await;
    assert_eq!(other.code(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_encoding_has_a_tag_of_its_own() {
    let board = Board::with_things(&[]).await;
    let mut tags = std::collections::HashSet::new();
    for (accepted, sent) in [("identity", ""), ("gzip", "gzip"), ("gzip, br", "br")] {
        for _ in 0..2 {
            let reply =
                board.anonymous.ask(Method::GET, THING).header("accept-encoding", accepted).send().await;
            assert_eq!(reply.header("content-encoding"), sent);
            tags.insert(reply.header("etag").to_owned());
        }
    }
    assert_eq!(tags.len(), 3, "{tags:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_parameters_reach_the_same_copy() {
    let board = Board::with_things(&[]).await;
    for query in ["?limit=5", "?utm=1&limit=5", "?limit=5&x=y", "?%6cimit=5"] {
        assert_eq!(board.anonymous.get(&format!("/api/test/things{query}")).await.code(), 200);
    }
    assert_eq!(board.anonymous.get("/api/test/made").await.json(), 1);
    assert_eq!(board.anonymous.get("/api/test/things?limit=6").await.code(), 200);
    assert_eq!(board.anonymous.get("/api/test/made").await.json(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_shows_in_the_next_read() {
    let board = Board::with_things(&[]).await;
    for count in 1..=20 {
        let before = board.anonymous.get("/api/test/things").await.json();
        assert_eq!(before.as_array().unwrap().len(), count - 1);
        board.member.post("/api/test/things", &json!({"name": "a"})).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_ask_at_once_wait_for_one() {
    let board = Board::with_things(&[]).await;
    let asking = (0..50).map(|_| board.anonymous.get("/api/test/things"));
    for reply in futures_util::future::join_all(asking).await {
        assert_eq!(reply.code(), 200);
    }
    assert_eq!(board.anonymous.get("/api/test/made").await.json(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_caller_sees_is_kept_by_nobody() {
    let board = Board::with_things(&[]).await;
    let own = board.member.get(THING).await;
    assert_eq!(own.json()["seen_by"], "member@example.org");
    assert_eq!(own.header("cache-control"), "no-store");
    assert_eq!(own.header("etag"), "");
    assert_eq!(board.anonymous.get(THING).await.json()["seen_by"], json!(null));
    assert_eq!(board.admin.get(THING).await.json()["seen_by"], "admin@example.org");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_links_to_its_next_page() {
    let board = Board::with_things(&[]).await;
    for name in ["a", "b", "c"] {
        board.member.post("/api/test/things", &json!({"name": name})).await;
    }
    let first = board.anonymous.get("/api/test/things?limit=2").await;
    assert_eq!(first.json(), json!(["a", "b"]));
    assert_eq!(first.header("x-total-count"), "3");
    let link = first.header("link").strip_prefix("<https://board.example").unwrap();
    let next = link.strip_suffix(">; rel=\"next\"").unwrap();
    let second = board.anonymous.get(next).await;
    assert_eq!(second.json(), json!(["c"]), "{next}");
    assert_eq!(second.header("link"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_kept_for_ever_under_a_name_that_changes_with_it() {
    let board = Board::start().await;
    for (name, content_type) in [("app.css", "text/css"), ("docs.mjs", "text/javascript")] {
        let file = board.anonymous.get(evalboard::http::pages::asset(name)).await;
        assert_eq!(file.code(), 200, "{name}");
        assert_eq!(file.header("content-type"), format!("{content_type}; charset=utf-8"));
        assert_eq!(file.header("x-content-type-options"), "nosniff");
        assert_eq!(file.header("cache-control"), "public, max-age=31536000, immutable");
    }
    assert_eq!(board.anonymous.get("/static/app.00000000.css").await.code(), 404);
}
