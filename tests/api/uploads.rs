//! Files that are granted first, then put up, and then made something of.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use evalboard::domain::time::Millis;
use evalboard::service::{files, hashing, uploads};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::Board;
use crate::support::forms::{assert_refused, fields, local, shape};
use crate::support::grants::{Granted, PART, artifact, assert_blob_error, hex, noise};

const HOUR: i64 = 3_600_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_put_up_and_becomes_an_artifact() {
    let board = Board::start().await;
    let (granted, path) = Granted::weights(&board).await;
    let bytes = noise(3_000_000);
    let put = granted.put(bytes.clone()).await;
    assert_eq!(put.code(), 200, "{}", put.text());
    assert_eq!(
        shape(&put.json()),
        fields("url:s downloadUrl:s pathname:s contentType:s contentDisposition:s etag:s size:n sha256:s")
    );
    let url = put.json()["url"].clone();
    let made = board.member.post(&path, &artifact(&url)).await;
    assert_eq!(made.code(), 201, "{}", made.text());
    let made = made.json();
    assert_eq!(
        json!([made["file_size"], made["sha256"], made["verified"], made["blob_url"]]),
        json!([bytes.len(), hex(&bytes), true, url])
    );
    let got = board.anonymous.get(&local(&put.json()["downloadUrl"])).await;
    assert!(got.body == bytes);
    assert_eq!(got.header("etag"), put.json()["etag"]);
    assert_eq!(got.header("content-type"), "application/octet-stream");
    assert!(got.header("content-disposition").starts_with("attachment"));
    let head = board.anonymous.get(&format!("/api/blob?url={}", url.as_str().unwrap())).await.json();
    assert_eq!(
        json!([head["size"], head["etag"], head["pathname"]]),
        json!([bytes.len(), got.header("etag"), granted.pathname])
    );
    assert!(head["uploadedAt"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    board.expect_files(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_of_an_upload_is_there_with_and_without_a_slash() {
    let board = Board::start().await;
    for slash in ["", "/"] {
        let (granted, _) = Granted::weights(&board).await;
        let put = granted.asking(Method::PUT, slash).body("x").send().await;
        assert_eq!(put.code(), 200, "{}", put.text());
    }
    let (granted, _) = Granted::weights(&board).await;
    assert!(granted.address().starts_with("/api/blob?pathname=artifacts%2F"), "{}", granted.address());
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_come_in_any_order_and_eight_at_once() {
    let board = Board::start().await;
    let (granted, path) = Granted::weights(&board).await;
    let bytes = noise(8 * PART + 12_345);
    let id = granted.create().await;
    let sending = bytes.chunks(PART).zip(1..10_u32).rev().map(|(chunk, number)| {
        let (granted, id, chunk) = (granted.clone(), id.clone(), chunk.to_vec());
        tokio::spawn(async move { (number, granted.part(&id, &number.to_string(), chunk).await) })
    });
    let mut tags = Vec::new();
    for sent in sending.collect::<Vec<_>>() {
        let (number, reply) = sent.await.unwrap();
        assert_eq!(reply.code(), 200, "{}", reply.text());
        tags.push((number, reply.json()["etag"].as_str().unwrap().to_owned()));
    }
    tags.rotate_left(4);
    let list: Vec<(u32, &str)> = tags.iter().map(|(number, tag)| (*number, tag.as_str())).collect();
    let done = granted.complete(&id, &list).await;
    assert_eq!((done.code(), &done.json()["sha256"]), (200, &Value::Null), "{}", done.text());
    let made = board.member.post(&path, &artifact(&done.json()["url"])).await;
    assert_eq!((made.code(), &made.json()["sha256"]), (201, &Value::Null), "{}", made.text());
    assert_eq!(hashing::compute(&board.house.app).await.unwrap(), 1);
    let whole = board.anonymous.get(made.header("location")).await.json();
    assert_eq!(json!([whole["sha256"], whole["file_size"]]), json!([hex(&bytes), bytes.len()]));
    assert!(board.anonymous.get(&local(&done.json()["url"])).await.body == bytes);
    let again = granted.complete(&id, &list).await;
    assert_eq!((again.code(), &again.json()["url"]), (200, &done.json()["url"]), "the answer was lost");
    board.expect_files(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_any_size_make_a_whole_and_the_last_one_of_a_number_counts() {
    let board = Board::start().await;
    for sizes in [[100_000, 100_000, 5], [PART, 9_000_000, 7], [PART, PART, PART], [0, 1, 0]] {
        let (granted, _) = Granted::weights(&board).await;
        let id = granted.create().await;
        let bytes = noise(sizes.iter().sum());
        let (mut rest, mut tags) = (bytes.as_slice(), Vec::new());
        for (size, number) in sizes.into_iter().zip(1..) {
            let (part, after) = rest.split_at(size);
            rest = after;
            for body in [noise(size / 2), part.to_vec()] {
                let reply = granted.part(&id, &format!("{number}"), body).await;
                assert_eq!(reply.code(), 200, "{}", reply.text());
            }
            tags.push((number, hex(part)));
        }
        let stale = granted.complete(&id, &[(1, &hex(&noise(sizes[0] / 2))), (2, &tags[1].1)]).await;
        if sizes[0] > 0 {
            assert_blob_error(&stale, 400, "bad_request", "part 1 has another etag");
        }
        let list: Vec<(u32, &str)> = tags.iter().map(|(number, tag)| (*number, tag.as_str())).collect();
        let done = granted.complete(&id, &list).await;
        assert_eq!(done.code(), 200, "{}", done.text());
        assert!(board.anonymous.get(&local(&done.json()["url"])).await.body == bytes, "{sizes:?}");
    }
    board.expect_files(4).await;
    assert_eq!(hashing::compute(&board.house.app).await.unwrap(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_unknown_size_and_one_that_breaks_off_harm_no_other() {
    let board = Board::start().await;
    let (granted, _) = Granted::weights(&board).await;
    let id = granted.create().await;
    let first = noise(PART);
    assert_eq!(granted.part(&id, "1", first.clone()).await.code(), 200);
    granted.break_off(&board, &id, 1);
    granted.break_off(&board, &id, 2);
    let pieces = futures_util::stream::iter([Ok::<_, std::io::Error>("ab"), Ok("cd")]);
    let second = granted.part(&id, "2", reqwest::Body::wrap_stream(pieces)).await;
    assert_eq!((second.code(), &second.json()["etag"]), (200, &json!(hex(b"abcd"))));
    let done = granted.complete(&id, &[(2, &hex(b"abcd")), (1, &hex(&first))]).await;
    assert_eq!(done.code(), 200, "{}", done.text());
    let got = board.anonymous.get(&local(&done.json()["url"])).await.body;
    assert!(got == [first.as_slice(), b"abcd"].concat());
    board.expect_files(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_parts_that_makes_no_whole_is_refused_and_can_be_mended() {
    let board = Board::start().await;
    let (granted, _) = Granted::weights(&board).await;
    let id = granted.create().await;
    let tag = hex(b"x");
    for number in ["1", "2", "10000"] {
        assert_eq!(granted.part(&id, number, "x").await.code(), 200);
    }
    for number in ["0", "10001", "-1", "x", ""] {
        let refused = granted.part(&id, number, "x").await;
        assert_blob_error(&refused, 400, "bad_request", "x-mpu-part-number must be from 1 to 10000");
    }
    let tag = tag.as_str();
    let lists: [&[(u32, &str)]; 6] =
        [&[], &[(2, tag)], &[(1, tag), (1, tag)], &[(1, tag), (10_000, tag)], &[(0, tag)], &[(1, "other")]];
    for list in lists {
        assert_blob_error(&granted.complete(&id, list).await, 400, "bad_request", "part");
    }
    assert_blob_error(&granted.complete("nothing", &[(1, tag)]).await, 404, "not_found", "no such");
    let (other, _) = Granted::weights(&board).await;
    assert_eq!(other.part(&id, "1", "x").await.code(), 404, "it is another's");
    let text = granted.asking(Method::POST, "/mpu").header("x-mpu-action", "complete");
    let text = text.header("x-mpu-upload-id", &id).body("[1").send().await;
    assert_blob_error(&text, 400, "bad_request", "not valid JSON");
    let done = granted.complete(&id, &[(2, tag), (1, tag)]).await;
    assert_eq!((done.code(), &done.json()["size"]), (200, &json!(2)), "{}", done.text());
    board.expect_files(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_for_one_file_of_one_path_type_and_size_and_for_a_while() {
    let board = Board::start().await;
    let path = "/api/v1/training-sets";
    let ask = json!({"file_name": "a.csv", "file_size": 10});
    let granted = Granted::ask(&board, path, &ask).await;
    assert_eq!(granted.answer["max_bytes"], 10);
    let mismatch = "does not match the token payload";
    let mut other = granted.clone();
    other.pathname = "training-sets/1-a.csv".to_owned();
    assert_blob_error(&other.put("x").await, 403, "forbidden", mismatch);
    let said = granted.asking(Method::PUT, "").header("x-content-type", "text/html").body("x").send().await;
    assert_blob_error(&said, 415, "content_type_not_allowed", "is not allowed");
    assert!(said.json()["error"]["message"].as_str().unwrap().contains("contentType"));
    let large = "the file length cannot be greater than 10 bytes";
    assert_blob_error(&granted.put("12345678901").await, 413, "file_too_large", large);
    let streamed = futures_util::stream::iter([Ok::<_, std::io::Error>("123456"), Ok("78901")]);
    let streamed = granted.put(reqwest::Body::wrap_stream(streamed)).await;
    assert_blob_error(&streamed, 413, "file_too_large", large);
    let fine = granted.asking(Method::PUT, "").header("x-content-type", "text/csv; charset=utf-8");
    let fine = fine.body("1234567890").send().await;
    assert_eq!(fine.code(), 200, "{}", fine.text());
    let same = granted.put("1234567890").await;
    assert_eq!((same.code(), same.json()["url"].clone()), (200, fine.json()["url"].clone()));
    assert_blob_error(&granted.put("0987654321").await, 409, "bad_request", "another file");
    board.expect_files(1).await;

    let (late, _) = Granted::weights(&board).await;
    let id = late.create().await;
    assert_eq!(late.part(&id, "1", "x").await.code(), 200);
    late.shift(&board, "expires_at", -24 * HOUR - 1).await;
    for refused in [late.put("x").await, late.part(&id, "2", "x").await] {
        assert_eq!((refused.code(), &refused.json()["error"]["message"]), (403, &json!("Token expired")));
    }
    assert_eq!(late.complete(&id, &[(1, &hex(b"x"))]).await.code(), 200, "it began in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_token_of_ours_is_refused() {
    let board = Board::start().await;
    let (granted, _) = Granted::weights(&board).await;
    let key = board.member.ask(Method::PUT, &granted.address()).body("x").send().await;
    assert_blob_error(&key, 401, "forbidden", "client_token");
    assert_eq!(key.json()["code"], "unauthorized");
    let mut forged = granted.clone();
    let mut token = forged.token.into_bytes();
    let last = token.len() - 5;
    token[last] ^= 1;
    forged.token = String::from_utf8(token).unwrap();
    assert_blob_error(&forged.put("x").await, 401, "forbidden", "client_token");
    let none = board.anonymous.ask(Method::PUT, &granted.address()).body("x").send().await;
    assert_blob_error(&none, 401, "forbidden", "client_token");
    let nowhere = board.anonymous.get("/api/blob/nowhere").await;
    assert_blob_error(&nowhere, 404, "not_found", "address");
    let action = granted.asking(Method::POST, "/mpu").send().await;
    assert_blob_error(&action, 400, "bad_request", "x-mpu-action");
    board.expect_files(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_size_that_is_a_lie_is_refused() {
    let board = Board::start().await;
    let (granted, path) = Granted::weights(&board).await;
    for said in ["4", "6"] {
        let put = granted.asking(Method::PUT, "").header("x-content-length", said).body("12345").send().await;
        assert_blob_error(&put, 400, "bad_request", "x-content-length");
    }
    let unknown = granted.asking(Method::PUT, "").header("x-content-length", "0").body("12345").send().await;
    assert_eq!(unknown.code(), 200, "the client says 0 when it does not know");
    let url = unknown.json()["url"].clone();
    for (field, value) in [
        ("file_size", json!(4)),
        ("file_size", json!(6)),
        ("sha256", json!(hex(b"other"))),
        ("file_name", json!("other.bin")),
        ("content_type", json!("text/plain")),
        ("blob_url", json!(url.as_str().unwrap().replace("/files/", "/files/x"))),
    ] {
        let mut claim = artifact(&url);
        claim[field] = value;
        assert_refused(&board.member.post(&path, &claim).await, 400, Some(field));
    }
    let mut claim = artifact(&url);
    claim["file_size"] = json!(5);
    claim["sha256"] = json!(hex(b"12345").to_uppercase());
    claim["content_type"] = json!("application/octet-stream");
    assert_eq!(board.member.post(&path, &claim).await.code(), 201);
    let mut link = artifact(&json!("https://files.example/weights.bin"));
    link["sha256"] = json!(hex(b"x"));
    assert_refused(&board.member.post(&path, &link).await, 400, Some("sha256"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hash_that_is_still_to_be_computed_cannot_be_claimed_yet() {
    let board = Board::start().await;
    let (granted, path) = Granted::weights(&board).await;
    let id = granted.create().await;
    assert_eq!(granted.part(&id, "1", "x").await.code(), 200);
    let url = granted.complete(&id, &[(1, &hex(b"x"))]).await.json()["url"].clone();
    let mut claim = artifact(&url);
    claim["sha256"] = json!(hex(b"x"));
    let early = board.member.post(&path, &claim).await;
    assert_eq!((early.code(), &early.json()["code"]), (409, &json!("not_hashed_yet")));
    hashing::compute(&board.house.app).await.unwrap();
    assert_eq!(board.member.post(&path, &claim).await.code(), 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_its_owners_alone() {
    let board = Board::start().await;
    let path = "/api/v1/training-sets";
    let granted = Granted::ask(&board, path, &json!({"file_name": "a.jsonl"})).await;
    let url = granted.put("{}\n{}\n").await.json()["url"].clone();
    let set = json!({"blob_url": url, "file_name": "a.jsonl", "name": "Set"});
    assert_refused(&board.other.post(path, &set).await, 400, Some("blob_url"));
    let made = board.member.post(path, &set).await;
    assert_eq!(made.code(), 201, "{}", made.text());
    assert_eq!(json!([made.json()["line_count"], made.json()["file_type"]]), json!([2, "jsonl"]));
    let whole = board.anonymous.get(made.header("location")).await.json();
    assert_eq!(whole["snippet"], "{}\n{}\n");
    assert_eq!(board.member.delete(made.header("location")).await.code(), 200);
    board.expect_files(0).await;
    assert_refused(&board.member.post(path, &set).await, 400, Some("blob_url"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_training_set_in_parts_is_looked_at_once_it_is_whole() {
    let board = Board::start().await;
    let path = "/api/v1/training-sets";
    let granted = Granted::ask(&board, path, &json!({"file_name": "a.txt"})).await;
    let id = granted.create().await;
    assert_eq!(granted.part(&id, "2", "c\nd").await.code(), 200);
    assert_eq!(granted.part(&id, "1", "a\nb\n").await.code(), 200);
    let url = granted.complete(&id, &[(1, &hex(b"a\nb\n")), (2, &hex(b"c\nd"))]).await.json()["url"].clone();
    let set = json!({"blob_url": url, "file_name": "a.txt", "name": "Set"});
    let made = board.member.post(path, &set).await;
    assert_eq!((made.code(), &made.json()["line_count"]), (201, &json!(4)));
    hashing::compute(&board.house.app).await.unwrap();
    let after = board.anonymous.get(made.header("location")).await.json();
    assert_eq!(
        json!([after["line_count"], after["snippet"], after["sha256"]]),
        json!([4, "a\nb\nc\nd", hex(b"a\nb\nc\nd")])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_the_same_name_come_up_side_by_side() {
    let board = Board::start().await;
    let path = "/api/v1/training-sets";
    let sending = (0..12_u8).map(|n| {
        let (member, anonymous) = (board.member.clone(), board.anonymous.clone());
        tokio::spawn(async move {
            let asked = member.post(&format!("{path}/request-upload"), &json!({"file_name": "a.txt"})).await;
            let (token, url) = (asked.json()["client_token"].clone(), local(&asked.json()["upload_url"]));
            let token = format!("Bearer {}", token.as_str().unwrap());
            let put = anonymous.ask(Method::PUT, &url).header("authorization", &token).body(vec![n; 500_000]);
            let put = put.send().await;
            (n, put.json()["url"].clone())
        })
    });
    for sent in sending.collect::<Vec<_>>() {
        let (n, url) = sent.await.unwrap();
        assert!(board.anonymous.get(&local(&url)).await.body == vec![n; 500_000]);
    }
    board.expect_files(12).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_can_be_cancelled_and_leaves_nothing() {
    let board = Board::start().await;
    let (granted, _) = Granted::weights(&board).await;
    let id = granted.create().await;
    assert_eq!(granted.part(&id, "1", noise(PART)).await.code(), 200);
    assert_eq!(granted.part(&id, "1", noise(100)).await.code(), 200);
    board.expect_files(2).await;
    for _ in 0..2 {
        assert_eq!(granted.asking(Method::DELETE, "").send().await.code(), 200);
    }
    board.expect_files(0).await;
    assert_blob_error(&granted.put("x").await, 409, "bad_request", "cancelled");
    assert_blob_error(&granted.part(&id, "1", "x").await, 409, "bad_request", "cancelled");
    assert_eq!(granted.complete(&id, &[(1, &hex(b"x"))]).await.code(), 404);

    let (granted, path) = Granted::weights(&board).await;
    let url = granted.put("x").await.json()["url"].clone();
    let (other, _) = Granted::weights(&board).await;
    let delete = async |granted: &Granted, url: &Value| {
        granted.asking(Method::POST, "/delete").json(&json!({"urls": [url]})).send().await
    };
    let mismatch = "does not match the token payload";
    assert_blob_error(&delete(&other, &url).await, 403, "forbidden", mismatch);
    let made = board.member.post(&path, &artifact(&url)).await;
    assert_blob_error(&delete(&granted, &url).await, 409, "bad_request", "belongs to something");
    assert_eq!(board.member.delete(made.header("location")).await.code(), 200);
    for _ in 0..2 {
        assert_eq!(delete(&granted, &url).await.code(), 200);
    }
    assert_eq!(delete(&other, &json!(other.pathname)).await.code(), 200);
    board.expect_files(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn beginning_again_takes_the_place_of_what_was_begun() {
    let board = Board::start().await;
    let (granted, _) = Granted::weights(&board).await;
    let first = granted.create().await;
    assert_eq!(granted.part(&first, "1", "x").await.code(), 200);
    let second = granted.create().await;
    assert_eq!(granted.part(&first, "2", "x").await.code(), 404);
    assert_eq!(granted.part(&second, "1", "y").await.code(), 200);
    let done = granted.complete(&second, &[(1, &hex(b"y"))]).await;
    assert_eq!(board.anonymous.get(&local(&done.json()["url"])).await.body, b"y");
    board.expect_files(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_ends_is_swept_away_and_its_space_is_free_again() {
    let board = Board::with(&["--owner-quota-bytes", "20000000"]).await;
    let (granted, path) = Granted::weights(&board).await;
    let id = granted.create().await;
    assert_eq!(granted.part(&id, "1", noise(PART)).await.code(), 200);
    assert_eq!(granted.part(&id, "1", noise(10)).await.code(), 200);
    let app = &board.house.app;
    let refused = board.member.post(&format!("{path}/request-upload"), &json!({"file_name": "b.bin"})).await;
    assert_eq!((refused.code(), &refused.json()["code"]), (409, &json!("quota_exceeded")));
    assert_eq!(uploads::expire(app, Millis::now()).await.unwrap(), 0);
    granted.shift(&board, "expires_at", -25 * HOUR).await;
    assert_eq!(uploads::expire(app, Millis::now()).await.unwrap(), 1);
    board.expect_files(0).await;
    assert_eq!(granted.part(&id, "2", "x").await.json()["error"]["message"], "Token expired");
    assert_eq!(granted.complete(&id, &[]).await.code(), 404);

    let (granted, path) = Granted::weights(&board).await;
    let url = granted.put("abandoned").await.json()["url"].clone();
    let (kept, kept_path) = Granted::weights(&board).await;
    let kept_url = kept.put("kept").await.json()["url"].clone();
    assert_eq!(board.member.post(&kept_path, &artifact(&kept_url)).await.code(), 201);
    for upload in [&granted, &kept] {
        upload.shift(&board, "ended_at", -25 * HOUR).await;
    }
    assert_eq!(uploads::expire(app, Millis::now()).await.unwrap(), 1);
    assert_refused(&board.member.post(&path, &artifact(&url)).await, 400, Some("blob_url"));
    assert_eq!(board.anonymous.get(&local(&kept_url)).await.body, b"kept");
    board.expect_files(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_waits_for_the_others_is_not_swept_away() {
    let board = Board::start().await;
    let (granted, _) = Granted::weights(&board).await;
    let id = granted.create().await;
    for body in ["ab", "cd"] {
        assert_eq!(granted.part(&id, "1", body).await.code(), 200);
    }
    let long_ago = std::time::SystemTime::now() - Duration::from_hours(25);
    for file in board.stored_files() {
        std::fs::File::options().write(true).open(file).unwrap().set_modified(long_ago).unwrap();
    }
    assert_eq!(files::sweep(&board.house.app).await.unwrap(), 0);
    assert_eq!(granted.complete(&id, &[(1, &hex(b"cd"))]).await.json()["size"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_hardly_comes_is_cut() {
    let board = Board::start().await;
    let (granted, _) = Granted::weights(&board).await;
    let mut connection = TcpStream::connect(board.address).unwrap();
    let head = format!(
        "PUT {} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: 100\r\n\r\n1",
        granted.address(),
        granted.token
    );
    connection.write_all(head.as_bytes()).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let answered = tokio::task::spawn_blocking(move || {
        let mut answer = String::new();
        drop(std::io::Read::read_to_string(&mut connection, &mut answer));
        answer
    });
    let answer = answered.await.unwrap();
    assert!(answer.contains(" 400 ") && answer.contains("too slowly"), "{answer}");
    board.expect_files(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_elsewhere_may_put_files_up() {
    let board = Board::start().await;
    let (granted, _) = Granted::weights(&board).await;
    let asked = board
        .anonymous
        .ask(Method::OPTIONS, &granted.address())
        .header("origin", "https://elsewhere.example")
        .header("access-control-request-method", "PUT")
        .header("access-control-request-headers", "authorization,x-api-version,x-content-type,x-mpu-action");
    let preflight = asked.send().await;
    assert!(preflight.status.is_success());
    assert_eq!(preflight.header("access-control-allow-origin"), "*");
    assert!(preflight.header("access-control-allow-methods").contains("PUT"));
    let allowed = preflight.header("access-control-allow-headers").to_lowercase();
    assert!(allowed.contains("authorization") && allowed.contains("x-mpu-action"), "{allowed}");
    let put = granted.asking(Method::PUT, "").header("origin", "https://elsewhere.example").body("x");
    assert_eq!(put.send().await.header("access-control-allow-origin"), "*");
    let refused = board.anonymous.ask(Method::PUT, &granted.address()).header("origin", "https://a.example");
    assert_eq!(refused.send().await.header("access-control-allow-origin"), "*");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_holds_files_and_grants_and_gives_back_what_they_took() {
    let board = Board::with(&["--owner-quota-bytes", "1000", "--max-upload-bytes", "600"]).await;
    let path = format!("/api/v1/models/{}/artifacts", board.house.model("member@example.org").await);
    let ask = async |size: u64| {
        let body = json!({"file_name": "weights.bin", "file_size": size});
        board.member.post(&format!("{path}/request-upload"), &body).await
    };
    assert_eq!(ask(601).await.code(), 413);
    let first = Granted::ask(&board, &path, &json!({"file_name": "weights.bin"})).await;
    assert_eq!(first.answer["max_bytes"], 600);
    let rest = Granted::ask(&board, &path, &json!({"file_name": "weights.bin"})).await;
    assert_eq!(rest.answer["max_bytes"], 400, "what is left");
    let refused = ask(1).await;
    assert_eq!((refused.code(), &refused.json()["code"]), (409, &json!("quota_exceeded")));
    for words in ["1000 bytes", "0 are used", "1000 are kept for uploads under way"] {
        assert!(refused.text().contains(words), "{}", refused.text());
    }
    assert_eq!(rest.asking(Method::DELETE, "").send().await.code(), 200);
    let url = first.put(noise(250)).await.json()["url"].clone();
    let kept = Granted::ask(&board, &path, &json!({"file_name": "weights.bin"})).await;
    let full = ask(151).await;
    assert!(full.text().contains("250 are used, and 600 are kept"), "{}", full.text());
    assert_eq!(kept.asking(Method::DELETE, "").send().await.code(), 200);
    let form = |length: usize| {
        let form =
            crate::support::forms::Form::default().field("name", "W").field("artifact_type", "weights");
        form.file("w.bin", None, &noise(length))
    };
    assert_eq!(board.member.send_form(&path, &form(600)).await.code(), 201);
    let beyond = board.member.send_form(&path, &form(151)).await;
    assert_eq!((beyond.code(), &beyond.json()["code"]), (409, &json!("quota_exceeded")), "{}", beyond.text());
    let made = board.member.post(&path, &artifact(&url)).await;
    assert_eq!(board.member.delete(made.header("location")).await.code(), 200);
    assert_eq!(board.member.send_form(&path, &form(400)).await.code(), 201);
    board.expect_files(2).await;
    let more = json!({"file_name": "a.txt", "file_size": 600});
    let granted = board.other.post("/api/v1/training-sets/request-upload", &more).await;
    assert_eq!(granted.code(), 200, "everybody has a quota of his own");
}
