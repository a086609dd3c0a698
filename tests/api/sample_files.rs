//! Sample files as people have them: with a byte order mark, as an array, with numbers, as a table.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::steps::{assert_has, column, sums, text, with};
use crate::support::{Board, Reply};

const EVALS: &str = "/api/v1/evals";

/// A board with an eval that takes samples of any text.
struct Place {
    board: Board,
    path: String,
}

impl Place {
    async fn of(eval: Value) -> Self {
        let board = Board::idle().await;
        let path = format!("{EVALS}/{}/samples", board.member.eval(&eval).await);
        Self { board, path }
    }

    async fn new() -> Self {
        Self::of(plain()).await
    }

    async fn put(&self, query: &str, content_type: &str, body: impl Into<reqwest::Body>) -> Reply {
        let put = self.board.member.ask(Method::PUT, &format!("{}{query}", self.path));
        put.header("content-type", content_type).body(body).send().await
    }

    /// The samples, after a body that must be taken.
    async fn taken(&self, query: &str, content_type: &str, body: impl Into<reqwest::Body>) -> Value {
        let put = self.put(query, content_type, body).await;
        assert_eq!(put.code(), 200, "{}", put.text());
        self.board.member.read(&self.path).await
    }

    async fn refused(
        &self,
        query: &str,
        content_type: &str,
        body: impl Into<reqwest::Body>,
    ) -> (Value, String) {
        let put = self.put(query, content_type, body).await;
        assert_eq!(put.code(), 400, "{}", put.text());
        (put.json()["field"].clone(), text(&put.json(), "error").to_owned())
    }
}

fn plain() -> Value {
    json!({"name": "E", "prompt": "{{input}}", "eval_type": "exact", "samples": [{"input": "a", "target": "b"}]})
}

const LINES: &str = "application/x-ndjson";
const CSV: &str = "text/csv";

#[tokio::test(flavor = "multi_thread")]
async fn a_byte_order_mark_is_no_part_of_a_sample() {
    let place = Place::new().await;
    for (content_type, body) in [
        (LINES, "\u{feff}{\"input\":\"q\",\"target\":\"a\"}\n"),
        (LINES, "\u{feff}\n[{\"input\":\"q\",\"target\":\"a\"}]"),
        (CSV, "\u{feff}input,target\nq,a\n"),
        (CSV, "\u{feff}\"input\",\"target\"\r\nq,a\r\n"),
    ] {
        let samples = place.taken("", content_type, body).await;
        assert_eq!(samples, json!([{"id": "0", "input": "q", "target": ["a"]}]), "{body:?}");
    }
    let body = format!("\u{feff}{}", plain());
    let post = place.board.member.ask(Method::POST, EVALS).header("content-type", "application/json");
    assert_eq!(post.body(body).send().await.code(), 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_encodings_are_refused_by_name() {
    let place = Place::new().await;
    let utf_16 = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    for (content_type, text) in [
        (LINES, "{\"input\":\"q\",\"target\":\"a\"}\n"),
        (LINES, "[{\"input\":\"q\"}]"),
        (CSV, "input,target\nq,a\n"),
    ] {
        for text in [text.to_owned(), format!("\u{feff}{text}")] {
            let (_, error) = place.refused("", content_type, utf_16(&text)).await;
            assert_eq!(error, "the text is encoded as UTF-16: save it as UTF-8", "{text:?}");
        }
    }
    let (field, error) =
        place.refused("", LINES, b"\n{\"input\":\"caf\xe9\",\"target\":\"a\"}\n".to_vec()).await;
    assert_eq!(field, "samples[0]");
    assert_eq!(error, "line 2: this is not UTF-8 text (0xE9 at byte 14): save the file as UTF-8");
    let (_, error) = place.refused("", CSV, b"input,target\nq,a\ncaf\xe9,a\n".to_vec()).await;
    assert!(error.starts_with("line 3: the row is not UTF-8 text (0xE9"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_and_truth_values_keep_their_text() {
    let place = Place::new().await;
    let body = r#"{"id": 7, "input": 1.50, "target": 42}
{"id": 1e3, "input": true, "target": [1.50, false, "x", 123456789012345678901234567890], "choices": [1, 2.0], "cluster_id": 3}
"#;
    let expected = json!([
        {"id": "7", "input": "1.50", "target": ["42"]},
        {"id": "1e3", "input": "true", "target": ["1.50", "false", "x", "123456789012345678901234567890"],
         "choices": ["1", "2.0"], "cluster_id": "3"},
    ]);
    assert_eq!(place.taken("", LINES, body).await, expected);
    let array = format!("[{}]", body.trim().replace('\n', ",\n"));
    assert_eq!(place.taken("", "application/json", array).await, expected);
    let samples: Value = json!([{"input": 5, "target": -0.0}]);
    let eval = with(plain(), json!({"samples": samples})).to_string().replace("-0.0", "-0.00");
    let post = place.board.member.ask(Method::POST, EVALS).header("content-type", "application/json");
    let made = post.body(eval).send().await;
    assert_eq!(made.code(), 201, "{}", made.text());
    let samples = place.board.member.read(&format!("{EVALS}/{}/samples", text(&made.json(), "id"))).await;
    assert_eq!(samples, json!([{"id": "0", "input": "5", "target": ["-0.00"]}]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_array_of_many_samples_is_a_file_too() {
    let place = Place::new().await;
    let objects = (0..1_300).map(|at| format!("{{\n  \"input\": \"}}{at}]\",\n  \"target\": \"{at}\"\n}}"));
    let body = format!("[\n{}\n]\n", objects.collect::<Vec<_>>().join(",\n"));
    let put = place.put("", LINES, body.clone()).await;
    assert_has(&put.json(), json!({"sample_count": 1_300}));
    let broken = body.replacen("\"target\": \"1\"", "\"target\": null", 1);
    let (field, error) = place.refused("", LINES, broken).await;
    assert_eq!(field, "samples[1].target");
    assert!(error.starts_with("line 6: "), "{error}");
    for (body, words) in [
        ("[{\"input\":\"q\",\"target\":\"a\"}", "not closed"),
        ("[\"q\"]", "must hold objects"),
        ("[]", "holds no sample"),
    ] {
        let (_, error) = place.refused("", LINES, body).await;
        assert!(error.contains(words), "{body}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_that_is_another_samples_id_is_said_to_be_one() {
    let place = Place::new().await;
    let named =
        "{\"id\":\"1\",\"input\":\"named\",\"target\":\"a\"}\n{\"input\":\"unnamed\",\"target\":\"b\"}\n";
    let (field, error) = place.refused("", LINES, named).await;
    assert_eq!(field, "samples[1].id");
    assert!(
        error.starts_with("line 2: samples[1] has no id, so its position, 1, is its id, and an earlier"),
        "{error}"
    );
    let samples: Vec<Value> = named.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let refused = place.board.member.post(EVALS, &with(plain(), json!({"samples": samples}))).await;
    refused.assert_refused(400, "field", "samples[1].id");
    assert!(refused.text().contains("samples[1] has no id"), "{}", refused.text());
    let (_, error) = place.refused("", CSV, "id,input,target\n,first,a\n0,second,b\n").await;
    assert!(error.starts_with("line 3: samples[1] has the id 0, and samples[0] has no id"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_mapped_by_its_names() {
    let place = Place::new().await;
    let table = "no;question;answer;alias;A;B;topic\n\
                 1;\"What is; \"\"one\"\"\nand one?\";2;two;1;2;sums\n\
                 2;What is 1.50?;1.50;;x;;\"a,b\"\n";
    let query = "?input=question&target=answer,alias&id=no&choices=A,B";
    let samples = place.taken(query, CSV, table).await;
    let expected = json!([
        {"id": "1", "input": "What is; \"one\"\nand one?", "target": ["2", "two"], "choices": ["1", "2"],
         "metadata": {"topic": "sums"}},
        {"id": "2", "input": "What is 1.50?", "target": ["1.50"], "choices": ["x"], "metadata": {"topic": "a,b"}},
    ]);
    assert_eq!(samples, expected);
    let tabs = table.replace("a,b", "a b").replace("is; ", "is, ").replace(';', "\t").replace("is, ", "is; ");
    let samples = place.taken(&format!("{query}&metadata=none"), "text/tab-separated-values", tabs).await;
    assert_eq!(samples[0]["metadata"], Value::Null);
    assert_eq!(samples[0]["input"], expected[0]["input"]);
    let pipes = place.taken("?separator=pipe", CSV, "input|target|x,y,z\nq|a|b\n").await;
    assert_eq!(pipes, json!([{"id": "0", "input": "q", "target": ["a"], "metadata": {"x,y,z": "b"}}]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cell_may_hold_a_list() {
    let place = Place::new().await;
    let table = "input,target,choices\nq,\"[\"\"7\"\",\"\"seven\"\"]\",\"[1, \"\"b\"\"]\"\nr,\"[1, 2]\",\n";
    let samples = place.taken("", CSV, table).await;
    assert_eq!(samples[0]["target"], json!(["7", "seven"]));
    assert_eq!(samples[0]["choices"], json!(["1", "b"]));
    assert_eq!((&samples[1]["target"], &samples[1]["choices"]), (&json!(["[1, 2]"]), &Value::Null));
    let samples = place.taken("?target_lists=false", CSV, table).await;
    assert_eq!(samples[0]["target"], json!(["[\"7\",\"seven\"]"]));
    let place = Place::of(with(
        plain(),
        json!({"eval_type": "json_equals", "samples": [{"input": "a", "target": "[]"}]}),
    ))
    .await;
    let samples = place.taken("", CSV, table).await;
    assert_eq!(samples[0]["target"], json!(["[\"7\",\"seven\"]"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_cannot_be_mapped_is_refused_by_name() {
    let place = Place::new().await;
    for (query, table, field, words) in [
        (
            "",
            "question,answer\nq,a\n",
            "input",
            "no column is named \"input\": the columns are question, answer",
        ),
        ("?target=y", "input,x\nq,a\n", "target", "no column is named \"y\": the columns are input, x"),
        ("?choices=A,Z", "input,A\nq,a\n", "choices", "no column is named \"Z\""),
        ("?id=no", "input,no,no\nq,1,2\n", "id", "two columns are named \"no\""),
        ("", "input,target,x,x\nq,a,1,2\n", "metadata", "two columns are named \"x\""),
        ("", "input,input\nq,a\n", "input", "two columns"),
        ("?metadata=all", "input,target\nq,a\n", "metadata", "must be rest or none"),
        ("?separator=x", "input,target\nq,a\n", "separator", "must be comma"),
        ("?target=,", "input,target\nq,a\n", "target", "must name a column"),
        ("?input=a&input=b", "input,target\nq,a\n", "input", "give it once"),
        (
            "",
            "input,target\n\nq,a\nq\n",
            "samples[1]",
            "line 4: the row has 1 value, and the first line names 2",
        ),
        ("", "input,target\n\"q\n\n\",a\nq,a,b\n", "samples[1]", "line 5: the row has 3 values"),
        ("", "input,target\nq,\n", "samples[0].target", "line 2: "),
        (
            "",
            "input,answer\nq,a\n",
            "samples[0].target",
            "no column is named \"target\": the columns are input, answer",
        ),
        ("", "input,target\n\"q,a\nq,a\n", "", "line 2: a quote in the row that begins here is never closed"),
        (
            "",
            "input,target,choices\nq,a,red\n",
            "samples[0].choices",
            "line 2: choices must hold a JSON list",
        ),
        ("?choices=A,B,C", "input,target,A,B,C\nq,a,1,,3\n", "samples[0].choices", "is empty"),
        ("", "", "", "the table is empty"),
        ("", "input,target\n", "samples", "holds no sample"),
    ] {
        let (blamed, error) = place.refused(query, CSV, table).await;
        assert_eq!(blamed.as_str().unwrap_or_default(), field, "{table:?}: {error}");
        assert!(error.contains(words), "{table:?}: {error}");
    }
    assert_eq!(column(&place.board.member.read(&place.path).await, "input"), ["a"]);
    let twice = place.taken("?metadata=none", CSV, "input,target,x,x,\nq,a,1,2,\n").await;
    assert_eq!(twice, json!([{"id": "0", "input": "q", "target": ["a"]}]));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_columns_do_not_become_public_unasked() {
    let hidden = json!({"hidden_targets": true});
    let place = Place::of(with(plain(), hidden)).await;
    let table = "input,target,solution\nq,a,because\n";
    let (field, error) = place.refused("", CSV, table).await;
    assert_eq!(field, "metadata");
    assert!(error.contains("metadata is public"), "{error}");
    assert_eq!(place.taken("?metadata=none", CSV, table).await[0]["metadata"], Value::Null);
    assert_eq!(
        place.taken("?metadata=rest", CSV, table).await[0]["metadata"],
        json!({"solution": "because"})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_read_while_it_comes() {
    let place = Place::of(sums()).await;
    let rows = (0..1_200).map(|at| format!("\"{at} +\n1\",{}\r\n", at + 1)).collect::<Vec<_>>();
    let chunks = std::iter::once("input,tar".to_owned()).chain(["get\r\n".to_owned()]).chain(rows);
    let chunks = chunks.map(Ok::<_, std::io::Error>);
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(chunks));
    let put = place.put("", CSV, body).await;
    assert_eq!(put.code(), 200, "{}", put.text());
    assert_has(&put.json(), json!({"sample_count": 1_200}));
}
