//! Runs that were not finished: counted, shown at the row, and what they could still have scored.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::field::{Field, samples, text, until};
use crate::support::provider::{Act, Gate, Script};
use crate::support::steps::assert_has;

const BOARD: &str = "/api/v1/leaderboard";

fn at(prompt: &str) -> usize {
    prompt.trim_start_matches("item ").parse().unwrap()
}

/// Right on the first `right` of a hundred items, without an answer to the last `gaps`.
fn right_on(right: usize, gaps: usize) -> Script {
    Script::by(move |asked| match at(asked.prompt()) {
        at if at >= 100 - gaps => Act::Status(404, None),
        at if at < right => Act::Say("yes".to_owned()),
        _ => Act::Say("no".to_owned()),
    })
}

async fn hundred(right: usize) -> (Field, String, String) {
    let field = Field::start().await;
    let model = field.model("m", right_on(right, 0), json!({})).await;
    let items = samples(100, |at| (format!("item {at}"), "yes".to_owned()));
    let eval = field.eval("Hundred", "exact", json!({"samples": items})).await;
    (field, model, eval)
}

async fn page(field: &Field, path: &str) -> String {
    field.board.anonymous.ask(Method::GET, path).header("accept", "text/html").send().await.text()
}

fn close(value: &Value, expected: f64) {
    assert!((value.as_f64().unwrap() - expected).abs() < 1e-9, "{value} is not {expected}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worse_run_that_was_not_completed_is_seen_at_the_row() {
    let (field, model, eval) = hundred(90).await;
    field.run_all().await;
    assert_has(
        &field.get(BOARD).await[0],
        json!({"runs": 1, "attempts": 1, "unfinished": 0, "later_unfinished": false}),
    );
    field.provider.script("m", right_on(50, 3));
    field.run_all().await;
    let row = &field.get(BOARD).await[0];
    assert_has(row, json!({"runs": 1, "attempts": 2, "unfinished": 1, "later_unfinished": true}));
    close(&row["avg_score"], 0.9);
    let later = &row["scores"][&eval]["later_unfinished"];
    close(&later["best_score"], 0.53);
    assert_eq!(later["is_below"], true);
    let home = page(&field, "/").await;
    assert!(home.contains("later run not completed") && home.contains("2 runs, 1 not finished"), "{home}");
    let said = "at best it would have 53.0 points, worse than the 90.0 that count";
    for path in [format!("/models/{model}"), format!("/evals/{eval}")] {
        let shown = page(&field, &path).await;
        assert!(shown.contains(said) && shown.contains("2 runs, 1 not finished"), "{path}: {shown}");
    }
    let csv = field.board.anonymous.get(&format!("{BOARD}?format=csv")).await.text();
    let columns: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    let value = |name| columns[1][columns[0].iter().position(|column| *column == name).unwrap()];
    assert_eq!([value("attempts"), value("unfinished"), value("later_unfinished")], ["2", "1", "true"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_complete_run_ends_the_remark_and_keeps_the_count() {
    let (field, _, eval) = hundred(90).await;
    field.run_all().await;
    field.provider.script("m", right_on(50, 3));
    field.run_all().await;
    field.provider.script("m", right_on(70, 0));
    field.run_all().await;
    let row = &field.get(BOARD).await[0];
    assert_has(row, json!({"runs": 2, "attempts": 3, "unfinished": 1, "later_unfinished": false}));
    assert_eq!(row["scores"][&eval]["later_unfinished"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_are_counted_over_all_revisions_of_a_model() {
    let (field, model, _) = hundred(90).await;
    field.run_all().await;
    field.provider.script("m", right_on(50, 3));
    field.run_all().await;
    let edit = json!({"parameters": {"temperature": 0.5}});
    field.board.member.changed(&format!("/api/v1/models/{model}"), &edit).await;
    field.provider.script("m", right_on(80, 0));
    field.run_all().await;
    assert_has(&field.get(BOARD).await[0], json!({"runs": 1, "attempts": 3, "unfinished": 1}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_counts_once_a_case_was_scored() {
    let (field, _, _) = hundred(90).await;
    field.run_all().await;
    let gate = Gate::closed();
    let held = gate.clone();
    field.provider.script(
        "m",
        Script::by(move |asked| match at(asked.prompt()) {
            0 => Act::Say("no".to_owned()),
            _ => Act::Wait(held.clone(), "no".to_owned()),
        }),
    );
    let run = field.trigger(json!({})).await;
    until("a scored case", async || {
        let scored = field.run(&run).await["case_done"].as_i64().unwrap();
        (scored > 0).then_some(())
    })
    .await;
    let cancelled = field.board.member.ask(Method::POST, &format!("/api/v1/runs/{run}/cancel")).send().await;
    assert_eq!(cancelled.code(), 200, "{}", cancelled.text());
    gate.open();
    let row = &field.get(BOARD).await[0];
    assert_has(row, json!({"runs": 1, "attempts": 2, "unfinished": 1, "later_unfinished": true}));
    close(&row["avg_score"], 0.9);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incomplete_result_has_bounds_and_no_score_anywhere() {
    let (field, model, eval) = hundred(90).await;
    field.provider.script("m", right_on(90, 3));
    let run = field.run_all().await;
    let result = field.result(&run, &model, &eval).await;
    assert_has(&result, json!({"state": "incomplete", "score": null, "ci_low": null, "n_items": 0}));
    close(&result["score_low"], 0.9);
    close(&result["score_high"], 0.93);
    // It is on the board with its range, below the line, though nobody has a complete result.
    let row = &field.get(BOARD).await[0];
    assert_has(
        row,
        json!({"model_id": model, "rank": null, "avg_score": null, "attempts": 1, "unfinished": 1}),
    );
    close(&row["incomplete"][&eval]["bounds"]["if_right"], 0.93);
    let home = page(&field, "/").await;
    assert!(home.contains(">90–93</a>") && home.contains("Not ranked: missing results"), "{home}");
    let own = page(&field, &format!("/models/{model}")).await;
    assert!(
        own.contains("Not ranked: its results are incomplete.") && own.contains(">90–93</a></td>"),
        "{own}"
    );
    let shown = page(&field, &format!("/runs/{}", text(&run["id"]))).await;
    assert!(shown.contains("90–93"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_run_that_ranks_the_board_is_a_look() {
    let (field, _, _) = hundred(90).await;
    field.run_all().await;
    assert_eq!(field.get(BOARD).await[0]["ranked_anew_30_days"], 1);
    field.run_all().await;
    assert_eq!(field.get(BOARD).await[0]["ranked_anew_30_days"], 2);
    // A run that ends without a score ranks nothing.
    field.provider.script("m", right_on(50, 3));
    field.run_all().await;
    assert_eq!(field.get(BOARD).await[0]["ranked_anew_30_days"], 2);
    let home = page(&field, "/").await;
    assert!(home.contains("Ranked anew 2 times in 30 days") && home.contains("/docs/ranking"), "{home}");
    let text = field.board.anonymous.get("/docs/ranking").await.text();
    assert!(text.contains("**Repeated looks.**"), "{text}");
}
