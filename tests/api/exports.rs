//! The board in other forms: files, badges, and the chart below its table.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::Board;
use crate::support::steps::{column, sums, text};

const BOARD: &str = "/api/v1/leaderboard";
const FORMULA: &str = "=HYPERLINK(\"https://evil.example\")";
const MARKUP: &str = r"50% of_x | \input{/etc/passwd} <b>";

/// Two models with names that spreadsheets, TeX, Markdown and browsers would act on: the first is right on all
/// of three sums, the second on one.
async fn hostile() -> (Board, Vec<String>) {
    let board = Board::busy().await;
    let mut ids = Vec::new();
    for (name, uri) in [(FORMULA, "builtin:calculator"), (MARKUP, "builtin:constant?answer=2")] {
        let made = board.member.made("/api/v1/models", &json!({"name": name, "inference_uri": uri})).await;
        ids.push(text(&made, "id").to_owned());
    }
    board.member.eval(&sums()).await;
    board.member.run(&json!({})).await;
    (board, ids)
}

async fn file(board: &Board, query: &str, content_type: &str, name: &str) -> String {
    let reply = board.anonymous.get(&format!("{BOARD}?{query}")).await;
    assert_eq!(reply.code(), 200, "{query}");
    assert_eq!(reply.header("content-type"), content_type);
    assert_eq!(reply.header("content-disposition"), format!("attachment; filename=\"{name}\""));
    reply.text()
}

#[tokio::test(flavor = "multi_thread")]
async fn csv_has_every_number_and_no_formula() {
    let (board, ids) = hostile().await;
    let body = file(&board, "format=csv", "text/csv; charset=utf-8", "leaderboard.csv").await;
    let lines: Vec<&str> = body.lines().collect();
    assert!(lines[0].starts_with("rank,rank_low,rank_high,model_id,model_name,provider,"), "{body}");
    assert!(lines[0].ends_with(",last_run_at,Sums"), "{body}");
    assert!(lines[1].contains(&format!("{},\"'=HYPERLINK(\"\"https://evil.example\"\")\",builtin,", ids[0])));
    assert!(lines[1].ends_with(",1") && lines[1].starts_with("1,"), "{body}");
    assert!(lines[2].ends_with(",0.3333333333333333"), "{body}");
    assert_eq!(lines.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn latex_and_markdown_have_the_intervals_and_no_markup_of_names() {
    let (board, _) = hostile().await;
    let latex = file(&board, "format=latex", "application/x-tex; charset=utf-8", "leaderboard.tex").await;
    let name = r"50\% of\_x | \textbackslash{}input\{/etc/passwd\} \textless{}b\textgreater{}";
    // Wilson for 1 of 3: 6.1 to 79.2.
    assert!(latex.contains(&format!("1--2 & {name} & 33 [6, 79] & 33 & \\$0 \\\\\n")), "{latex}");
    assert!(latex.contains("\\begin{tabular}{rlrrr}\n\\toprule\nRank & Model & Score & Sums & "), "{latex}");
    let markdown = file(&board, "format=markdown", "text/markdown; charset=utf-8", "leaderboard.md").await;
    let name = r"50% of\_x \| \\input{/etc/passwd} \<b\>";
    assert!(markdown.contains(&format!("| 1–2 | {name} | 33 [6, 79] | 33 | $0 |\n")), "{markdown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_have_the_rows_and_the_scope_that_were_asked_for() {
    let (board, ids) = hostile().await;
    let plain = board.anonymous.read(&format!("{BOARD}?q=of_x")).await;
    let body = file(&board, "format=json&q=of_x", "application/json", "leaderboard.json").await;
    let rows: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&rows, column(&rows, "model_id")), (&plain, vec![ids[1].clone()]));
    let csv = file(&board, "format=csv&q=of_x", "text/csv; charset=utf-8", "leaderboard.csv").await;
    assert_eq!(csv.lines().count(), 2);
    let none = file(&board, "format=csv&category=None", "text/csv; charset=utf-8", "leaderboard.csv").await;
    assert_eq!(none.lines().count(), 1);
    let refused = board.anonymous.get(&format!("{BOARD}?format=xlsx")).await;
    assert_eq!((refused.code(), &refused.json()["field"]), (400, &json!("format")));
    let page =
        board.anonymous.ask(Method::GET, "/?q=of_x&sort=model").header("accept", "text/html").send().await;
    assert!(page.text().contains("/api/v1/leaderboard?q=of_x&#38;format=csv"), "{}", page.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_badge_says_score_and_rank_and_escapes_the_name() {
    let (board, ids) = hostile().await;
    let badge = async |id: &str| board.anonymous.get(&format!("{BOARD}/badge/{id}.svg")).await;
    let reply = badge(&ids[1]).await;
    assert_eq!((reply.code(), reply.header("content-type")), (200, "image/svg+xml"));
    assert_eq!(reply.header("cache-control"), "public, max-age=60");
    let svg = reply.text();
    // Half of 6.15 to 79.23 is 36.5.
    assert!(svg.contains(">33 (6–79), rank 1–2<"), "{svg}");
    assert!(!svg.contains("<b>") && !svg.contains("style=") && svg.contains("&#60;b&#62;"), "{svg}");
    let fresh = board.member.model("builtin:echo").await;
    assert!(badge(&fresh).await.text().contains(">not measured yet<"));
    assert_eq!(badge("nobody").await.code(), 404);
    let page = board.anonymous.ask(Method::GET, &format!("/models/{}", ids[1]));
    let page = page.header("accept", "text/html").send().await.text();
    assert!(page.contains(&format!("/api/v1/leaderboard/badge/{}.svg", ids[1])), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_two_different_costs_there_is_no_chart_and_the_table_says_why() {
    let (board, _) = hostile().await;
    let page = board.anonymous.ask(Method::GET, "/").header("accept", "text/html").send().await.text();
    assert!(page.contains("Needs the costs of at least two ranked models."), "{page}");
    assert!(!page.contains("class=\"edge\"") && page.contains("on the frontier"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_of_an_eval_is_never_called_like_another() {
    let board = Board::busy().await;
    board.member.model("builtin:constant?answer=yes").await;
    let samples = json!([{"input": "a", "target": "yes"}, {"input": "b", "target": "no"}]);
    let names = ["rank", "Model_Name", "arc", "ARC ", "arc", "plain", "=x", "'=x"];
    for name in names {
        board
            .member
            .eval(&json!({"name": name, "prompt": "{{input}}", "eval_type": "exact", "samples": samples}))
            .await;
    }
    board.member.run(&json!({})).await;
    let body = file(&board, "format=csv", "text/csv; charset=utf-8", "leaderboard.csv").await;
    let mut reader = csv::Reader::from_reader(body.as_bytes());
    let heads: Vec<String> = reader.headers().unwrap().iter().map(str::to_lowercase).collect();
    let unique: std::collections::HashSet<&String> = heads.iter().collect();
    assert_eq!(unique.len(), heads.len(), "{heads:?}");
    assert!(heads.contains(&"plain".to_owned()), "{heads:?}");
    let row: std::collections::HashMap<String, String> = reader.deserialize().next().unwrap().unwrap();
    assert_eq!((row["rank"].as_str(), row["plain"].as_str()), ("1", "0.5"));
    assert!(!heads.iter().any(|head| head.starts_with('=')), "{heads:?}");
}
