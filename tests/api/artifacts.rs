use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use evalboard::domain::users::Role;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::forms::{BOUNDARY, Form, assert_refused, fields, local, shape};
use crate::support::{Board, Client, PATIENCE};

const MEMBER: &str = "member@example.org";
/// Fields and their types as the contract has them, and what we add.
const LISTED: &str = "id:s model_id:s name:s artifact_type:s version:s file_name:s file_size:n blob_url:s \
                      created_at:n sha256:s verified:b";
const WHOLE: &str = "description:s file_type:s content_type:s submitted_by:s updated_at:n";

async fn start() -> (Board, String) {
    let board = Board::start().await;
    let path = artifacts(&board).await;
    (board, path)
}

/// Where the artifacts of a new model of the member are.
async fn artifacts(board: &Board) -> String {
    format!("/api/v1/models/{}/artifacts", board.house.model(MEMBER).await)
}

fn form(bytes: &[u8]) -> Form {
    Form::default()
        .field("name", "Base Weights")
        .field("artifact_type", "weights")
        .field("version", "v1.0")
        .file("weights.bin", Some("application/octet-stream"), bytes)
}

fn link() -> Value {
    json!({
        "blob_url": "https://files.example/weights.bin", "file_name": "weights.bin", "file_size": 734_003_200,
        "content_type": "application/octet-stream", "name": "Base Weights", "artifact_type": "weights",
        "version": "v1.0"
    })
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sent_artifact_has_the_fields_of_the_contract_everywhere() {
    let (board, path) = start().await;
    let made = board.member.send_form(&path, &form(b"12345")).await;
    assert_eq!(made.code(), 201, "{}", made.text());
    assert_eq!(shape(&made.json()), fields(LISTED));
    let own = made.header("location").to_owned();
    assert_eq!(own, format!("{path}/{}", made.json()["id"].as_str().unwrap()));
    let listed = board.anonymous.get(&path).await;
    assert_eq!((listed.json(), listed.header("x-total-count")), (json!([made.json()]), "1"));
    let whole = board.anonymous.get(&own).await.json();
    assert_eq!(shape(&whole), fields(&format!("{LISTED} {WHOLE}")));
    assert_eq!(
        json!([
            whole["name"],
            whole["artifact_type"],
            whole["version"],
            whole["description"],
            whole["file_size"]
        ]),
        json!(["Base Weights", "weights", "v1.0", "", 5])
    );
    assert_eq!(
        json!([whole["file_name"], whole["file_type"], whole["content_type"], whole["submitted_by"]]),
        json!(["weights.bin", "bin", "application/octet-stream", MEMBER])
    );
    assert_eq!((&whole["sha256"], &whole["verified"]), (&json!(hex(b"12345")), &json!(true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_linked_artifact_is_taken_at_its_word() {
    let (board, path) = start().await;
    let made = board.member.post(&path, &link()).await;
    assert_eq!(made.code(), 201, "{}", made.text());
    assert_eq!(shape(&made.json()), fields(&LISTED.replace("sha256:s", "sha256:-")));
    let whole = board.anonymous.get(made.header("location")).await.json();
    assert_eq!(
        json!([whole["blob_url"], whole["file_size"], whole["verified"]]),
        json!(["https://files.example/weights.bin", 734_003_200, false])
    );
    let mut bare = link();
    for name in ["file_size", "content_type", "version"] {
        bare.as_object_mut().unwrap().remove(name);
    }
    let made = board.member.post(&path, &bare).await;
    assert_eq!(shape(&made.json()), fields(&LISTED.replace("sha256:s", "sha256:-")));
    assert_eq!((&made.json()["version"], &made.json()["file_size"]), (&json!(""), &json!(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_granted_once_per_key() {
    let (board, path) = start().await;
    let path = format!("{path}/request-upload");
    let ask = |client: Client| {
        let asked = client.ask(Method::POST, &path).header("idempotency-key", "k1");
        asked.json(&json!({"file_name": "weights.bin", "content_type": "application/octet-stream"})).send()
    };
    let granted = ask(board.member.clone()).await;
    assert_eq!(granted.code(), 200, "{}", granted.text());
    let body = granted.json();
    assert_eq!(shape(&body), fields("client_token:s pathname:s upload_url:s max_bytes:n expires_at:n"));
    assert!(body["client_token"].as_str().unwrap().starts_with("vercel_blob_client_evalboard_"));
    let pathname = body["pathname"].as_str().unwrap();
    assert!(pathname.starts_with("artifacts/") && pathname.ends_with("-weights.bin"), "{pathname}");
    assert_eq!(body["max_bytes"], 21_474_836_480_u64);
    assert!(local(&body["upload_url"]).starts_with("/api/blob?pathname=artifacts%2F"));
    let again = ask(board.member.clone()).await;
    assert_eq!((again.code(), &again.json()["code"]), (409, &json!("already_done")));
    let other = Client::new(board.address, Some(&board.house.key("other@example.org", Role::Member).await));
    assert_eq!(ask(other).await.code(), 403);
    for (body, field) in [
        (json!({"file_name": "a/b"}), "file_name"),
        (json!({"file_name": "a", "content_type": "x"}), "content_type"),
        (json!({"file_name": "a", "size": 1}), "size"),
        (json!({}), "file_name"),
    ] {
        assert_refused(&board.member.post(&path, &body).await, 400, Some(field));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_comes_back_as_it_went() {
    let (board, path) = start().await;
    let bytes: Vec<u8> =
        (0..30_000_000_u32).map(|n| u8::try_from(n.wrapping_mul(2_654_435_761) >> 24).unwrap()).collect();
    let made = board.member.send_form(&path, &form(&bytes)).await;
    assert_eq!(made.code(), 201, "{}", made.text());
    let made = made.json();
    assert_eq!((&made["file_size"], &made["sha256"]), (&json!(bytes.len()), &json!(hex(&bytes))));
    assert_eq!(board.stored_files().len(), 1);
    let address = local(&made["blob_url"]);
    let whole = board.anonymous.get(&address).await;
    assert_eq!((whole.code(), whole.header("accept-ranges")), (200, "bytes"));
    assert!(whole.body == bytes);
    let ask = |range: &str| board.anonymous.ask(Method::GET, &address).header("range", range);
    let part = ask("bytes=10000000-10000099").send().await;
    assert_eq!((part.code(), part.header("content-range")), (206, "bytes 10000000-10000099/30000000"));
    assert_eq!(part.body, bytes[10_000_000..10_000_100]);
    let resumed = ask("bytes=29999990-").header("if-range", whole.header("etag")).send().await;
    assert_eq!((resumed.code(), resumed.body.as_slice()), (206, &bytes[29_999_990..]));
    let changed = ask("bytes=0-1").header("if-range", "\"other\"").send().await;
    assert_eq!((changed.code(), changed.body.len()), (200, bytes.len()));
    let beyond = ask("bytes=30000000-").send().await;
    assert_eq!((beyond.code(), beyond.header("content-range")), (416, "bytes */30000000"));
    let held = board.anonymous.ask(Method::GET, &address).header("if-none-match", whole.header("etag"));
    assert_eq!(held.send().await.code(), 304);
    let head = board.anonymous.head(&address).await;
    assert_eq!((head.code(), head.header("content-length"), head.body.len()), (200, "30000000", 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_never_shows_what_people_sent() {
    let (board, path) = start().await;
    let script = b"<script>alert(1)</script>";
    for (name, content_type) in [
        ("a.html", "text/html"),
        ("a.svg", "image/svg+xml"),
        ("a.xhtml", "application/xhtml+xml"),
        ("50% of \u{e9}\u{1f600} a%2Fb;c.js", "text/javascript"),
    ] {
        let sent = Form::default()
            .field("metadata", r#"{"name": "Hostile", "artifact_type": "other"}"#)
            .file(name, Some(content_type), script);
        let made = board.member.send_form(&path, &sent).await;
        assert_eq!(made.code(), 201, "{}", made.text());
        let address = local(&made.json()["blob_url"]);
        let got = board.anonymous.ask(Method::GET, &address).header("accept", "text/html").send().await;
        assert_eq!((got.code(), got.body.as_slice()), (200, script.as_slice()), "{address}");
        assert!(got.header("content-disposition").starts_with("attachment; filename=\""));
        assert_eq!(got.header("x-content-type-options"), "nosniff");
        assert_eq!(got.header("content-security-policy"), "sandbox");
        assert_eq!(got.header("access-control-allow-origin"), "*");
        assert_eq!(got.header("content-type"), content_type);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_has_one_address() {
    let (board, path) = start().await;
    let made = board.member.send_form(&path, &form(b"x")).await.json();
    let address = local(&made["blob_url"]);
    for wrong in [
        address.replace("weights.bin", "weights.html"),
        address.replace("weights.bin", "..%2Fweights.bin"),
        "/files/nothing/weights.bin".to_owned(),
        "/files/..%2F..%2Fmaster.key/master.key".to_owned(),
    ] {
        assert_refused(&board.anonymous.get(&wrong).await, 404, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_form_is_named_and_nothing_stays() {
    let (board, path) = start().await;
    let named = |name: &str| Form::default().field("name", name).field("artifact_type", "weights");
    let file = |name: &str| named("a").file(name, None, b"x");
    let long = "x".repeat(256);
    for (form, field) in [
        (named("a"), "file"),
        (named("").file("a.bin", None, b"x"), "name"),
        (Form::default().field("artifact_type", "weights").file("a.bin", None, b"x"), "name"),
        (Form::default().field("name", "a").file("a.bin", None, b"x"), "artifact_type"),
        (
            Form::default().field("name", "a").field("artifact_type", "model").file("a", None, b"x"),
            "artifact_type",
        ),
        (file("a.bin").field("colour", "red"), "colour"),
        (file("a.bin").field("name", "b"), "name"),
        (file("a.bin").file("b.bin", None, b"y"), "file"),
        (file("a.bin").field("metadata", r#"{"name": "b"}"#), "name"),
        (file("a.bin").field("metadata", r#"{"nme": "b"}"#), "metadata.nme"),
        (file("a.bin").field("metadata", "{"), "metadata"),
        (file("a.bin").field("description", &"x".repeat(1_001)), "description"),
        (file("a.bin").field("version", &"x".repeat(70_000)), "version"),
        (file("../a.bin"), "file"),
        (file(".."), "file"),
        (file(""), "file"),
        (file("a\u{202e}b"), "file"),
        (file(&long), "file"),
        (named("a").part("name=\"file\"", None, b"x"), "file"),
    ] {
        assert_refused(&board.member.send_form(&path, &form).await, 400, Some(field));
    }
    let headed = board.member.send_form(&path, &file("a\0b")).await;
    assert_refused(&headed, 400, None);
    assert_eq!(board.anonymous.get(&path).await.json(), json!([]));
    board.expect_files(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_link_is_named() {
    let (board, path) = start().await;
    for (field, value) in [
        ("blob_url", json!("http://files.example/a")),
        ("blob_url", json!("javascript:alert(1)")),
        ("blob_url", json!("https://board.example/files/made-up/weights.bin")),
        ("blob_url", json!("https://user:password@files.example/a")),
        ("blob_url", json!(1)),
        ("file_name", json!("a/b")),
        ("file_name", json!("a\u{0}")),
        ("file_size", json!(-1)),
        ("file_size", json!(1.5)),
        ("file_size", json!("5")),
        ("content_type", json!("html")),
        ("artifact_type", json!("model")),
        ("name", json!("")),
        ("version", json!("v\u{7}")),
        ("submitted_by", json!("somebody@example.org")),
    ] {
        let mut body = link();
        body[field] = value;
        assert_refused(&board.member.post(&path, &body).await, 400, Some(field));
    }
    let text =
        board.member.ask(Method::POST, &path).header("content-type", "text/plain").body("x").send().await;
    assert_refused(&text, 415, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_beyond_the_limit_is_refused_and_leaves_nothing() {
    let board = Board::with(&["--max-upload-bytes", "1000"]).await;
    let path = artifacts(&board).await;
    assert_eq!(board.member.send_form(&path, &form(&[0; 1_000])).await.code(), 201);
    assert_refused(&board.member.send_form(&path, &form(&[0; 1_001])).await, 413, None);
    board.expect_files(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_owner_of_the_model_and_admins_may_change_anything() {
    let (board, path) = start().await;
    let own = board.member.post(&path, &link()).await.header("location").to_owned();
    let other = Client::new(board.address, Some(&board.house.key("other@example.org", Role::Member).await));
    for (client, status) in [(&board.anonymous, 401), (&other, 403)] {
        assert_eq!(client.post(&path, &link()).await.code(), status);
        assert_eq!(client.send_form(&path, &form(b"x")).await.code(), status);
        assert_eq!(client.ask(Method::PATCH, &own).json(&json!({"name": "b"})).send().await.code(), status);
        assert_eq!(client.delete(&own).await.code(), status);
    }
    board.expect_files(0).await;
    let theirs = board.admin.post(&path, &link()).await;
    assert_eq!(theirs.code(), 201);
    assert_eq!(board.member.delete(theirs.header("location")).await.code(), 200, "it is his model");
    assert_eq!(board.admin.delete(&own).await.code(), 200);
    let nowhere = "/api/v1/models/nothing/artifacts";
    assert_refused(&board.anonymous.get(nowhere).await, 404, None);
    assert_refused(&board.member.post(nowhere, &link()).await, 404, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_an_artifact_can_be_changed() {
    let (board, path) = start().await;
    let own = board.member.post(&path, &link()).await.header("location").to_owned();
    let patch = |body: Value| board.member.ask(Method::PATCH, &own).json(&body).send();
    let changed = patch(json!({"name": "Final", "artifact_type": "checkpoint"})).await;
    assert_eq!(changed.code(), 200, "{}", changed.text());
    let changed = changed.json();
    assert_eq!(
        json!([changed["name"], changed["artifact_type"], changed["version"]]),
        json!(["Final", "checkpoint", "v1.0"])
    );
    assert_eq!(board.anonymous.get(&own).await.json(), changed);
    assert_refused(&patch(json!({"artifact_type": "x"})).await, 400, Some("artifact_type"));
    assert_refused(&patch(json!({"name": ""})).await, 400, Some("name"));
    assert_refused(&patch(json!({"blob_url": "https://a.example"})).await, 400, Some("blob_url"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_artifact_belongs_to_its_model_alone() {
    let (board, path) = start().await;
    let made = board.member.post(&path, &link()).await.json();
    let other = artifacts(&board).await;
    let elsewhere = format!("{other}/{}", made["id"].as_str().unwrap());
    assert_refused(&board.anonymous.get(&elsewhere).await, 404, None);
    assert_refused(&board.member.delete(&elsewhere).await, 404, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_artifact_takes_its_file_along() {
    let (board, path) = start().await;
    let made = board.member.send_form(&path, &form(b"x")).await;
    let address = local(&made.json()["blob_url"]);
    let deleted = board.member.delete(made.header("location")).await;
    assert_eq!((deleted.code(), deleted.json()), (200, json!({"success": true})));
    assert!(board.stored_files().is_empty());
    assert_refused(&board.anonymous.get(&address).await, 404, None);
    assert_refused(&board.anonymous.get(made.header("location")).await, 404, None);
    assert_eq!(board.anonymous.get(&path).await.json(), json!([]));
    assert_refused(&board.member.delete(made.header("location")).await, 404, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_form_gets_the_first_answer_and_leaves_one_file() {
    let (board, path) = start().await;
    let first = board.member.send_form_once(&path, &form(b"x"), Some("k1")).await;
    let again = board.member.send_form_once(&path, &form(b"x"), Some("k1")).await;
    assert_eq!((again.code(), &again.body), (201, &first.body));
    assert_eq!(again.header("location"), first.header("location"));
    for other in [form(b"y"), form(b"x").field("description", "d")] {
        let refused = board.member.send_form_once(&path, &other, Some("k1")).await;
        assert_eq!((refused.code(), &refused.json()["code"]), (409, &json!("idempotency_mismatch")));
    }
    assert_eq!(board.anonymous.get(&path).await.json().as_array().unwrap().len(), 1);
    assert_eq!(board.stored_files().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let (board, path) = start().await;
    let key = board.house.key(MEMBER, Role::Member).await;
    let mut connection = TcpStream::connect(board.address).unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: 50000000\r\n\
         Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n",
        key.expose()
    );
    connection.write_all(head.as_bytes()).unwrap();
    connection.write_all(&form(&vec![1; 5_000_000]).bytes()[..4_000_000]).unwrap();
    tokio::time::timeout(PATIENCE, board.expect_files(1)).await.unwrap();
    drop(connection);
    board.expect_files(0).await;
    assert_eq!(board.anonymous.get(&path).await.json(), json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sweep_removes_only_old_files_without_a_row() {
    let (board, path) = start().await;
    let made = board.member.send_form(&path, &form(b"x")).await.json();
    let folder = board.house.path().join("files");
    std::fs::create_dir_all(folder.join("ab")).unwrap();
    let (old, draft, young) = (folder.join("ab/old"), folder.join("tmp/draft"), folder.join("ab/young"));
    for file in [&old, &draft, &young] {
        std::fs::write(file, b"x").unwrap();
    }
    let long_ago = std::time::SystemTime::now() - Duration::from_hours(25);
    for file in board.stored_files().iter().filter(|file| **file != young) {
        std::fs::File::options().write(true).open(file).unwrap().set_modified(long_ago).unwrap();
    }
    assert_eq!(evalboard::service::files::sweep(&board.house.app).await.unwrap(), 2);
    assert!(!old.exists() && !draft.exists() && young.exists());
    assert_eq!(board.anonymous.get(&local(&made["blob_url"])).await.body, b"x");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_artifacts_is_paged_newest_first() {
    let (board, path) = start().await;
    for name in ["a", "b", "c"] {
        let mut body = link();
        body["name"] = json!(name);
        assert_eq!(board.member.post(&path, &body).await.code(), 201);
    }
    let names =
        |list: Value| list.as_array().unwrap().iter().map(|one| one["name"].clone()).collect::<Vec<_>>();
    let first = board.anonymous.get(&format!("{path}?limit=2")).await;
    assert_eq!((names(first.json()), first.header("x-total-count")), (vec![json!("c"), json!("b")], "3"));
    let next = first.header("link").split(['<', '>']).nth(1).unwrap().to_owned();
    assert_eq!(names(board.anonymous.get(&local(&json!(next))).await.json()), [json!("a")]);
}
