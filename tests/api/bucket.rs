//! Files in a bucket: a real server that speaks S3 and checks signatures.

use evalboard::domain::time::Millis;
use evalboard::service::{files, hashing, uploads};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::Board;
use crate::support::bucket::Bucket;
use crate::support::field::until;
use crate::support::forms::{Form, local};
use crate::support::grants::{Granted, PART, artifact, assert_blob_error, hex, noise};

#[tokio::test(flavor = "multi_thread")]
async fn files_go_to_the_bucket_and_come_back_whole_and_in_part() {
    let Some(bucket) = Bucket::start().await else { return };
    let board = Board::over(&bucket, "secret").await;
    let (granted, path) = Granted::weights(&board).await;
    for bytes in [noise(20_000_000), noise(3)] {
        let (granted, path) = Granted::weights(&board).await;
        let put = granted.put(bytes.clone()).await;
        assert_eq!((put.code(), &put.json()["sha256"]), (200, &json!(hex(&bytes))), "{}", put.text());
        assert_eq!(board.member.post(&path, &artifact(&put.json()["url"])).await.code(), 201);
        let address = local(&put.json()["url"]);
        let got = board.anonymous.get(&address).await;
        assert!(got.body == bytes);
        assert_eq!(got.header("content-security-policy"), "sandbox");
        let part = board.anonymous.ask(Method::GET, &address).header("range", "bytes=-2");
        let part = part.header("if-range", got.header("etag")).send().await;
        assert_eq!((part.code(), part.body.as_slice()), (206, &bytes[bytes.len() - 2..]));
        let head = board.anonymous.head(&address).await;
        assert_eq!(head.header("content-length"), bytes.len().to_string());
    }
    assert_eq!((bucket.objects().len(), board.stored_files().len()), (2, 0));
    let form =
        Form::default().field("name", "W").field("artifact_type", "weights").file("w", None, b"by form");
    let made = board.member.send_form(&path, &form).await;
    assert_eq!(made.code(), 201, "{}", made.text());
    assert_eq!(board.anonymous.get(&local(&made.json()["blob_url"])).await.body, b"by form");
    assert_eq!(board.member.delete(made.header("location")).await.code(), 200);
    assert_eq!(bucket.objects().len(), 2);
    let refused = granted.asking(Method::PUT, "").header("x-content-length", "1").body(noise(9_000_000));
    assert_eq!(refused.send().await.code(), 400);
    until("what was refused to be gone", async || (bucket.objects().len() == 2).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_go_straight_into_an_upload_of_the_bucket() {
    let Some(bucket) = Bucket::start().await else { return };
    let board = Board::over(&bucket, "secret").await;
    let (granted, path) = Granted::weights(&board).await;
    let bytes = noise(2 * PART + 99);
    let id = granted.create().await;
    assert_eq!(granted.part(&id, "2", noise(7)).await.code(), 200);
    let mut named = Vec::new();
    for (part, number) in bytes.chunks(PART).zip(1..4_u32).rev() {
        let sent = granted.part(&id, &number.to_string(), part.to_vec()).await;
        assert_eq!((sent.code(), &sent.json()["etag"]), (200, &json!(hex(part))), "{}", sent.text());
        named.push((number, hex(part)));
    }
    assert_eq!(bucket.objects().len(), 0, "it is no object yet");
    let list: Vec<(u32, &str)> = named.iter().map(|(number, tag)| (*number, tag.as_str())).collect();
    let done = granted.complete(&id, &list).await;
    assert_eq!(done.code(), 200, "{}", done.text());
    assert_eq!(granted.complete(&id, &list).await.json()["url"], done.json()["url"]);
    let made = board.member.post(&path, &artifact(&done.json()["url"])).await;
    assert_eq!(hashing::compute(&board.house.app).await.unwrap(), 1);
    assert_eq!(board.anonymous.get(made.header("location")).await.json()["sha256"], hex(&bytes));

    let (small, _) = Granted::weights(&board).await;
    let id = small.create().await;
    for number in ["1", "2"] {
        assert_eq!(small.part(&id, number, "x").await.code(), 200);
    }
    let tag = hex(b"x");
    let refused = small.complete(&id, &[(1, &tag), (2, &tag)]).await;
    assert_blob_error(&refused, 400, "bad_request", "at least 5242880 bytes");
    assert_eq!(small.asking(Method::DELETE, "").send().await.code(), 200);
    assert_eq!(small.part(&id, "3", "x").await.code(), 409);
    assert_eq!(bucket.objects().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_row_names_is_swept_out_of_the_bucket_and_wrong_keys_are_no_fault_of_the_callers() {
    let Some(bucket) = Bucket::start().await else { return };
    let board = Board::over(&bucket, "secret").await;
    let (granted, path) = Granted::weights(&board).await;
    let url: Value = granted.put("kept").await.json()["url"].clone();
    assert_eq!(board.member.post(&path, &artifact(&url)).await.code(), 201);
    let (lost, _) = Granted::weights(&board).await;
    assert_eq!(lost.put("lost").await.code(), 200);
    lost.shift(&board, "ended_at", -25 * 3_600_000).await;
    assert_eq!(uploads::expire(&board.house.app, Millis::now()).await.unwrap(), 1);
    bucket.stray();
    bucket.age();
    assert_eq!(files::sweep(&board.house.app).await.unwrap(), 1);
    assert_eq!(bucket.objects().len(), 1);
    assert_eq!(board.anonymous.get(&local(&url)).await.body, b"kept");

    let barred = Board::over(&bucket, "other").await;
    let (granted, _) = Granted::weights(&barred).await;
    let refused = granted.put("x").await;
    assert_blob_error(&refused, 503, "service_unavailable", "store of files");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_goes_to_the_bucket_as_it_comes_and_one_that_does_not_come_whole_harms_no_other() {
    let Some(bucket) = Bucket::start().await else { return };
    let board = Board::over(&bucket, "secret").await;
    let (granted, _) = Granted::weights(&board).await;
    let id = granted.create().await;
    let first = noise(PART);
    assert_eq!(granted.part(&id, "1", first.clone()).await.code(), 200);
    granted.break_off(&board, &id, 1);

    let streamed = || {
        let pieces = [noise(3_000_000), noise(3_000_000)].map(Ok::<_, std::io::Error>);
        reqwest::Body::wrap_stream(futures_util::stream::iter(pieces))
    };
    let unknown = granted.part(&id, "2", streamed()).await;
    assert_blob_error(&unknown, 400, "bad_request", "Content-Length or x-content-length");
    let nothing = granted.part(&id, "2", "").await;
    assert_blob_error(&nothing, 400, "bad_request", "1 to 5 GiB");
    let counted = async |number: &str, said: &str| {
        let asking = granted.asking_part(&id, number).header("x-content-length", said);
        asking.body(streamed()).send().await
    };
    assert_blob_error(&counted("1", "5999999").await, 400, "bad_request", "5999999 bytes, and more came");
    assert_blob_error(&counted("1", "6000001").await, 400, "bad_request", "6000001 bytes, and less came");
    let last = counted("2", "6000000").await;
    assert_eq!(last.code(), 200, "{}", last.text());

    let last = [noise(3_000_000), noise(3_000_000)].concat();
    let done = granted.complete(&id, &[(1, &hex(&first)), (2, &hex(&last))]).await;
    assert_eq!(done.code(), 200, "{}", done.text());
    let got = board.anonymous.get(&local(&done.json()["url"])).await.body;
    assert!(got == [first, last].concat());
}
