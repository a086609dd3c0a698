//! The cases of a result as one file: whole, in order, and never short without a sign of it.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::support::Board;
use crate::support::steps::{text, with};

/// A result of `count` cases, a sixth of which are right.
async fn result_of(board: &Board, count: usize, more: Value) -> Value {
    board.member.model("builtin:constant?answer=yes").await;
    let target = |at: usize| if at < count / 6 { "yes" } else { "no" };
    let samples: Vec<Value> =
        (0..count).map(|at| json!({"input": format!("q{at}"), "target": target(at)})).collect();
    let eval = json!({"name": "Many (1)", "prompt": "{{input}}", "eval_type": "exact", "samples": samples});
    board.member.eval(&with(eval, more)).await;
    let run = board.member.run(&json!({})).await;
    board.anonymous.read(&format!("/api/v1/runs/{}/results", text(&run, "id"))).await[0].clone()
}

fn cases(result: &Value) -> String {
    format!("/api/v1/results/{}/cases", text(result, "id"))
}

fn rows(body: &str) -> Vec<HashMap<String, String>> {
    csv::Reader::from_reader(body.as_bytes()).deserialize().map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_has_every_case_in_the_order_of_the_list() {
    let board = Board::busy().await;
    let result = result_of(&board, 1_260, json!({"epochs": 2})).await;
    let path = cases(&result);
    let file = board.anonymous.get(&format!("{path}?format=csv")).await;
    let name = format!(
        "attachment; filename=\"Many-1_builtin-constant-answer-yes_{}_cases.csv\"",
        text(&result, "id")
    );
    assert_eq!(file.header("content-disposition"), name);
    assert_eq!(file.header("cache-control"), "no-store");
    let rows = rows(&file.text());
    assert_eq!(rows.len(), 2_520);
    let mean = rows.iter().map(|row| row["score"].parse::<f64>().unwrap()).sum::<f64>() / 2_520.0;
    assert!((mean - result["score"].as_f64().unwrap()).abs() < 1e-12, "{mean}");
    let listed = board.anonymous.pages(&path, 1_000).await;
    assert_eq!(rows.iter().map(|row| row["id"].clone()).collect::<Vec<_>>(), listed);
    let lines = board.anonymous.get(&format!("{path}?format=ndjson")).await.text();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.iter().map(|line| text(line, "id").to_owned()).collect::<Vec<_>>(), listed);
    assert_eq!(lines[..1_000], *board.anonymous.read(&path).await.as_array().unwrap());
    let page = board.anonymous.get(&format!("/results/{}", text(&result, "id"))).await.text();
    assert!(page.contains(&format!("{path}?format=csv")) && !page.contains("cases a page"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_can_be_of_some_cases_or_one_page() {
    let board = Board::busy().await;
    let result = result_of(&board, 240, json!({})).await;
    let path = cases(&result);
    let wrong = board.anonymous.get(&format!("{path}?format=csv&state=wrong")).await;
    assert!(wrong.header("content-disposition").ends_with("_wrong-cases.csv\""));
    let wrong = rows(&wrong.text());
    assert_eq!((wrong.len(), wrong.iter().all(|row| row["score"] == "0")), (200, true));
    let none = board.anonymous.get(&format!("{path}?format=csv&state=error")).await.text();
    assert_eq!((rows(&none).len(), none.lines().count()), (0, 1));
    assert_eq!(board.anonymous.get(&format!("{path}?format=ndjson&state=error")).await.text(), "");
    let page = board.anonymous.get(&format!("{path}?format=csv&limit=7")).await;
    assert_eq!((rows(&page.text()).len(), page.header("x-total-count")), (7, "240"));
    assert!(page.header("content-disposition").ends_with("_cases-part.csv\""));
    let next = page.header("link").split(['<', '>']).nth(1).unwrap().to_owned();
    let next = board.anonymous.get(next.strip_prefix(crate::support::PUBLIC_URL).unwrap()).await;
    assert_eq!(rows(&next.text())[0]["input"], "q7");
    board.anonymous.get("/api/v1/results/nobody/cases?format=csv").await.assert_refused(
        404,
        "code",
        "not_found",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_withholds_what_the_list_withholds() {
    let board = Board::busy().await;
    let result = result_of(&board, 12, json!({"hidden_targets": true})).await;
    let path = format!("{}?format=csv", cases(&result));
    let shown = rows(&board.member.get(&path).await.text());
    assert_eq!((shown[0]["target"].as_str(), shown[0]["answer"].as_str()), ("yes", "yes"));
    for client in [&board.anonymous, &board.other] {
        let hidden = rows(&client.get(&path).await.text());
        assert!(hidden.iter().all(|row| row["target"].is_empty() && row["answer"].is_empty()));
        assert_eq!(hidden.len(), 12);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_finished_breaks_off() {
    let board = Board::busy().await;
    let long = json!({"prompt": format!("{{{{input}}}} {}", "long ".repeat(8_000)), "hidden_targets": false});
    let samples: Vec<Value> = (0..400)
        .map(|at| json!({"input": format!("q{at} {}", "wide ".repeat(20_000)), "target": "yes"}))
        .collect();
    let eval = board
        .member
        .eval(&with(long, json!({"name": "Long", "eval_type": "exact", "samples": [samples[0]]})))
        .await;
    let lines: String = samples.iter().map(|sample| format!("{sample}\n")).collect();
    assert_eq!(board.member.put_samples(&eval, lines).await.code(), 200);
    board.member.model("builtin:constant?answer=yes").await;
    let run = board.member.run(&json!({})).await;
    let result = board.anonymous.read(&format!("/api/v1/runs/{}/results", text(&run, "id"))).await[0].clone();
    let url = format!("http://{}{}?format=ndjson", board.address, cases(&result));
    let mut reply = reqwest::get(url).await.unwrap();
    let mut received = reply.chunk().await.unwrap().unwrap().len();
    // The 40 MB do not fit into what lies between: the rest is read after this.
    assert_eq!(board.member.delete(&format!("/api/v1/evals/{eval}")).await.code(), 200);
    let broken = loop {
        match reply.chunk().await {
            Ok(Some(chunk)) => received += chunk.len(),
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(broken, "the file ended as if it were whole after {received} bytes");
}
