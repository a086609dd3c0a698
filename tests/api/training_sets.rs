use std::sync::Arc;

use evalboard::domain::users::Role;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::forms::{Form, assert_refused, fields, local, shape};
use crate::support::{Board, Client};

const SETS: &str = "/api/v1/training-sets";
const METADATA: &str = r#"{"name":"My Dataset","description":"Training data"}"#;
/// Fields and their types as the contract has them, and what we add.
const LISTED: &str = "id:s name:s description:s file_name:s file_type:s file_size:n content_type:s line_count:n \
                      blob_url:s submitted_by:s created_at:n updated_at:n sha256:s verified:b";

fn form(file_name: &str, bytes: &[u8]) -> Form {
    Form::default().file(file_name, Some("application/octet-stream"), bytes).field("metadata", METADATA)
}

fn link() -> Value {
    json!({"blob_url": "https://files.example/data.jsonl", "file_name": "data.jsonl", "name": "My Dataset"})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sent_training_set_has_the_fields_of_the_contract_everywhere() {
    let board = Board::start().await;
    let lines: String = (0..5_000).map(|number| format!("{{\"prompt\":\"{number}\"}}\n")).collect();
    let made = board.member.send_form(SETS, &form("data.jsonl", lines.as_bytes())).await;
    assert_eq!(made.code(), 201, "{}", made.text());
    assert_eq!(shape(&made.json()), fields(LISTED));
    let own = made.header("location").to_owned();
    assert_eq!(own, format!("{SETS}/{}", made.json()["id"].as_str().unwrap()));
    assert_eq!(board.anonymous.get(SETS).await.json(), json!([made.json()]));
    let whole = board.anonymous.get(&own).await.json();
    assert_eq!(shape(&whole), fields(&format!("{LISTED} snippet:s")));
    assert_eq!(
        json!([
            whole["name"],
            whole["description"],
            whole["file_name"],
            whole["file_type"],
            whole["content_type"]
        ]),
        json!(["My Dataset", "Training data", "data.jsonl", "jsonl", "application/x-ndjson"])
    );
    assert_eq!(
        json!([whole["file_size"], whole["line_count"], whole["submitted_by"], whole["verified"]]),
        json!([lines.len(), 5_000, "member@example.org", true])
    );
    let twenty: String = lines.lines().take(20).map(|line| format!("{line}\n")).collect();
    assert_eq!(whole["snippet"], twenty);
    assert_eq!(board.anonymous.get(&local(&whole["blob_url"])).await.text(), lines);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_linked_training_set_is_taken_at_its_word() {
    let board = Board::start().await;
    let made = board.member.post(SETS, &link()).await;
    assert_eq!(made.code(), 201, "{}", made.text());
    let whole = board.anonymous.get(made.header("location")).await.json();
    let expected = LISTED.replace("sha256:s", "sha256:-").replace("line_count:n", "line_count:-");
    assert_eq!(shape(&whole), fields(&format!("{expected} snippet:s")));
    assert_eq!(
        json!([
            whole["blob_url"],
            whole["file_size"],
            whole["content_type"],
            whole["snippet"],
            whole["verified"]
        ]),
        json!(["https://files.example/data.jsonl", 0, "application/x-ndjson", "", false])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn parquet_is_counted_by_rows_and_shows_its_schema_and_the_first_of_them() {
    let board = Board::start().await;
    let made = board.member.send_form(SETS, &form("data.PARQUET", &questions(500))).await;
    assert_eq!(made.code(), 201, "{}", made.text());
    let whole = board.anonymous.get(made.header("location")).await.json();
    assert_eq!(json!([whole["file_type"], whole["line_count"]]), json!(["parquet", 500]));
    let snippet = whole["snippet"].as_str().unwrap();
    assert!(snippet.starts_with("message questions {\n  REQUIRED INT64 id;"), "{snippet}");
    assert!(snippet.contains("{\"id\":1,\"question\":\"What is 1?\"}"), "{snippet}");
    let page = board.anonymous.ask(Method::GET, made.header("location").trim_start_matches("/api/v1"));
    let page = page.header("accept", "text/html").send().await.text();
    for wanted in ["500 rows", ">Row</th>", "What is 1?", "<summary>Schema</summary>", "REQUIRED INT64 id"] {
        assert!(page.contains(wanted), "no {wanted} in {page}");
    }
}

/// A Parquet file of so many questions.
fn questions(rows: i64) -> Vec<u8> {
    let schema = "message questions { REQUIRED INT64 id; REQUIRED BYTE_ARRAY question (UTF8); }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let ids: Vec<i64> = (0..rows).collect();
    let texts: Vec<ByteArray> = ids.iter().map(|id| format!("What is {id}?").as_str().into()).collect();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<Int64Type>().write_batch(&ids, None, None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<ByteArrayType>().write_batch(&texts, None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_what_its_name_says_is_refused_with_its_line_and_leaves_nothing() {
    let board = Board::start().await;
    for (name, bytes, words) in [
        ("a.jsonl", &b"{\"a\": 1}\n{\"a\": 2\n"[..], "line 2 is no JSON"),
        ("a.csv", b"a,b\n1,2\n1,2,3\n", "line 3 has 3 values where the first has 2"),
        ("a.tsv", b"a\tb\n1\n", "line 2 has 1 values where the first has 2"),
        ("a.json", b"[1, 2", "line 1 is where it stops to be JSON"),
        ("a.parquet", b"PAR1 and so on", "is it a .parquet file?"),
        ("a.txt", b"\x7fELF\x02\x01\x01\0", "NUL bytes"),
    ] {
        let refused = board.member.send_form(SETS, &form(name, bytes)).await;
        assert_refused(&refused, 400, Some("file"));
        assert!(refused.text().contains(words), "{}", refused.text());
    }
    board.expect_files(0).await;
    assert_eq!(board.anonymous.get(SETS).await.json(), json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_may_come_before_the_file_and_a_content_type_is_kept() {
    let board = Board::start().await;
    let sent = Form::default().field("metadata", METADATA).file(
        "a.csv",
        Some("text/csv; charset=utf-8"),
        b"a\nb\xff",
    );
    let made = board.member.send_form(SETS, &sent).await;
    assert_eq!(made.code(), 201, "{}", made.text());
    let whole = board.anonymous.get(made.header("location")).await.json();
    assert_eq!(json!([whole["content_type"], whole["line_count"]]), json!(["text/csv; charset=utf-8", 2]));
    assert_eq!(whole["snippet"], "a\nb\u{fffd}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_training_set_is_named_and_nothing_stays() {
    let board = Board::start().await;
    let file = |name: &str| Form::default().file(name, None, b"x");
    for (form, field) in [
        (form("data.exe", b"x"), "file"),
        (form("data", b"x"), "file"),
        (form("a/data.csv", b"x"), "file"),
        (Form::default().field("metadata", METADATA), "file"),
        (file("a.csv"), "metadata.name"),
        (file("a.csv").field("metadata", "name"), "metadata"),
        (file("a.csv").field("metadata", r#"{"name":""}"#), "name"),
        (file("a.csv").field("metadata", r#"{"name":"a","owner":"b"}"#), "metadata.owner"),
        (file("a.csv").field("metadata", r#"{"name":"a","name":"b"}"#), "metadata.name"),
        (file("a.csv").field("name", "a"), "name"),
    ] {
        assert_refused(&board.member.send_form(SETS, &form).await, 400, Some(field));
    }
    for (field, value) in [
        ("file_name", json!("data.exe")),
        ("blob_url", json!("ftp://files.example/a")),
        ("blob_url", json!("https://board.example/files/made-up/data.jsonl")),
        ("line_count", json!(5)),
        ("name", json!("\u{202e}")),
    ] {
        let mut body = link();
        body[field] = value;
        assert_refused(&board.member.post(SETS, &body).await, 400, Some(field));
    }
    assert_eq!(board.anonymous.get(SETS).await.json(), json!([]));
    board.expect_files(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn anybody_with_a_key_may_add_one_and_only_he_and_admins_may_delete_it() {
    let board = Board::start().await;
    let other = Client::new(board.address, Some(&board.house.key("other@example.org", Role::Member).await));
    assert_eq!(board.anonymous.send_form(SETS, &form("a.csv", b"x")).await.code(), 401);
    let mut made = Vec::new();
    for _ in 0..2 {
        made.push(board.member.send_form(SETS, &form("a.csv", b"x")).await.header("location").to_owned());
    }
    assert_eq!(board.anonymous.delete(&made[0]).await.code(), 401);
    assert_eq!(other.delete(&made[0]).await.code(), 403);
    assert_eq!(board.stored_files().len(), 2);
    for (client, own) in [(&board.member, &made[0]), (&board.admin, &made[1])] {
        let address = local(&board.anonymous.get(own).await.json()["blob_url"]);
        let deleted = client.delete(own).await;
        assert_eq!((deleted.code(), deleted.json()), (200, json!({"success": true})));
        assert_refused(&board.anonymous.get(own).await, 404, None);
        assert_refused(&board.anonymous.get(&address).await, 404, None);
    }
    assert!(board.stored_files().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_training_set_gets_the_first_answer() {
    let board = Board::start().await;
    let first = board.member.send_form_once(SETS, &form("a.csv", b"x"), Some("k1")).await;
    let again = board.member.send_form_once(SETS, &form("a.csv", b"x"), Some("k1")).await;
    assert_eq!((again.code(), &again.body), (201, &first.body));
    assert_eq!(board.stored_files().len(), 1);
    let renamed = board.member.send_form_once(SETS, &form("b.csv", b"x"), Some("k1")).await;
    assert_eq!((renamed.code(), &renamed.json()["code"]), (409, &json!("idempotency_mismatch")));
    assert_eq!(board.stored_files().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_of_a_training_set_is_granted() {
    let board = Board::start().await;
    let path = format!("{SETS}/request-upload");
    let asked = json!({"file_name": "data.jsonl", "content_type": "application/x-ndjson"});
    let granted = board.member.post(&path, &asked).await;
    assert_eq!(granted.code(), 200, "{}", granted.text());
    let body = granted.json();
    assert_eq!(shape(&body), fields("client_token:s pathname:s upload_url:s max_bytes:n expires_at:n"));
    assert!(body["pathname"].as_str().unwrap().starts_with("training-sets/"));
    assert_refused(&board.member.post(&path, &json!({"file_name": "a.exe"})).await, 400, Some("file_name"));
    assert_eq!(board.anonymous.post(&path, &asked).await.code(), 401);
    let wrong = board.member.ask(Method::PUT, &path).send().await;
    assert_eq!((wrong.code(), wrong.header("allow")), (405, "POST, OPTIONS"));
}
