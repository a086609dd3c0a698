//! What the board shows beside ranks: columns that are chosen, what is missing and what it could mean, past days.

use evalboard::domain::time::Millis;
use evalboard::store::{Topic, Tx};
use serde_json::{Value, json};

use crate::support::Board;
use crate::support::steps::{assert_has, column, sums, text, with};

const BOARD: &str = "/api/v1/leaderboard";
/// Right on every sum, but fails on 2 of a hundred.
const HOLED: &str = "builtin:flaky?error_rate=0.01&seed=0";
/// Right on every sum, but fails on 8 of forty.
const FLAKY: &str = "builtin:flaky?error_rate=0.25&seed=1";

/// `count` sums under that name.
fn named(name: &str, count: usize, more: Value) -> Value {
    let sample = |at: usize| json!({"input": format!("{at} + 2"), "target": (at + 2).to_string()});
    let samples: Vec<Value> = (0..count).map(sample).collect();
    with(with(sums(), json!({"name": name, "samples": samples})), more)
}

/// A board on which those models were run on those evals, with the ids of both.
async fn measured(models: &[&str], evals: &[Value]) -> (Board, Vec<String>, Vec<String>) {
    let board = Board::busy().await;
    let mut ids = (Vec::new(), Vec::new());
    for uri in models {
        ids.0.push(board.member.model(uri).await);
    }
    for body in evals {
        ids.1.push(board.member.eval(body).await);
    }
    board.member.run(&json!({})).await;
    (board, ids.0, ids.1)
}

fn close(value: &Value, expected: f64) {
    assert!((value.as_f64().unwrap() - expected).abs() < 1e-9, "{value} is not {expected}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_within_the_rule_counts_as_wrong_and_says_what_it_could_be() {
    let evals = [named("Holed", 100, json!({})), named("Whole", 3, json!({}))];
    let (board, models, _) = measured(&["builtin:calculator", HOLED], &evals).await;
    let rows = board.anonymous.read(BOARD).await;
    assert_eq!(column(&rows, "model_id"), models);
    assert_has(&rows[0], json!({"errors": 0, "bounds": null}));
    assert_has(&rows[1], json!({"errors": 2, "incomplete": {}}));
    close(&rows[1]["avg_score"], 0.99);
    for (bound, expected) in [("if_wrong", 0.99), ("if_dropped", 1.0), ("if_right", 1.0)] {
        close(&rows[1]["bounds"][bound], expected);
    }
    let page = board.anonymous.get("/").await.text();
    let note = "counted as wrong, 100.0 without them, and 100.0 if it were right";
    assert!(page.contains(note) && page.contains("≤\u{202f}100.0"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incomplete_result_is_shown_with_its_bounds() {
    let evals = [named("Forty", 40, json!({})), named("One", 1, json!({}))];
    let (board, models, evals) = measured(&["builtin:calculator", FLAKY], &evals).await;
    let rows = board.anonymous.read(BOARD).await;
    assert_has(&rows[1], json!({"model_id": models[1], "rank": null, "errors": 0}));
    let gap = &rows[1]["incomplete"][&evals[0]];
    assert_has(gap, json!({"scored": 32, "planned": 40}));
    close(&gap["bounds"]["if_wrong"], 0.8);
    close(&gap["bounds"]["if_right"], 1.0);
    assert_eq!(rows[1]["scores"].as_object().unwrap().len(), 1);
    let page = board.anonymous.get("/").await.text();
    let cell = format!("class=\"holed\" href=\"/results/{}\"", text(gap, "result_id"));
    assert!(page.contains(&cell) && page.contains(">80–100</a>"), "{page}");
    assert!(page.contains("Incomplete: 32 of 40 cases were measured"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incomplete_result_says_nothing_where_the_same_model_has_a_complete_one() {
    let (board, models, evals) = measured(&["builtin:calculator"], &[named("Forty", 40, json!({}))]).await;
    board.member.run(&json!({"model_ids": models})).await;
    let spoil = |tx: &mut Tx<'_>| {
        tx.touch(Topic::Board);
        tx.execute(
            "UPDATE results SET state = 'incomplete', scored_count = 1
             WHERE id NOT IN (SELECT result_id FROM board_cells)",
            &[],
        )
    };
    let spoilt = board.house.app.store.write(spoil).await.unwrap();
    assert_eq!(spoilt, 1, "the result of the first run, which the second took the place of");
    let rows = board.anonymous.read(BOARD).await;
    assert_eq!((&rows[0]["incomplete"], &rows[0]["scores"][&evals[0]]["score"]), (&json!({}), &json!(1.0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_guessing_gets_is_taken_off_where_the_eval_says_it() {
    let evals =
        [named("Guessed", 4, json!({"chance_level": 0.25, "weight": 2})), named("Plain", 2, json!({}))];
    let (board, _, evals) = measured(&["builtin:calculator", "builtin:constant?answer=2"], &evals).await;
    let rows = board.anonymous.read(BOARD).await;
    // The second is right on the first of four, which is what guessing gets.
    for (row, above, rate) in [(0, 1.0, 1.0), (1, 0.0, 0.0)] {
        close(&rows[row]["above_chance"], above);
        close(&rows[row]["scores"][&evals[0]]["above_chance"], above);
        close(&rows[row]["win_rate"], rate);
        assert_eq!(rows[row]["scores"][&evals[1]]["above_chance"], Value::Null);
    }
    let page = board.anonymous.get("/?columns=above_chance,win_rate").await.text();
    assert!(page.contains("<td class=\"above_chance\">100</td>"), "{page}");
    assert!(page.contains("<td class=\"win_rate\">0\u{202f}%</td>"), "{page}");
    assert_eq!(page.matches("<small title=\"Above chance\">").count(), 2, "{page}");
    let usual = board.anonymous.get("/").await.text();
    assert!(!usual.contains(">Win rate</a></th>") && !usual.contains("title=\"Above chance\""), "{usual}");
    assert!(page.contains("Win rate</a></th>"), "{page}");
    let sorted = board.anonymous.get("/?columns=win_rate&sort=win_rate&order=asc").await.text();
    assert!(sorted.contains("aria-sort=\"ascending\""), "{sorted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_are_hidden_by_links_and_change_no_number() {
    let evals = [named("First", 3, json!({})), named("Second", 3, json!({}))];
    let (board, _, evals) = measured(&["builtin:calculator", "builtin:echo"], &evals).await;
    let all = board.anonymous.get("/").await.text();
    let hide = format!("href=\"/?columns=-{}\"", evals[0]);
    assert!(all.contains(&hide) && all.contains("href=\"/?columns=-cost\""), "{all}");
    let page = board.anonymous.get(&format!("/?columns=-{},-cost", evals[0])).await.text();
    assert_eq!(all.matches("<th scope=\"col\"").count() - 2, page.matches("<th scope=\"col\"").count());
    assert!(page.contains("2 columns hidden, <a href=\"/\">show all</a>"), "{page}");
    assert!(!page.contains("class=\"cost\"") && page.contains("class=\"date\""), "{page}");
    for kept in ["2 models ranked on 2 evals", "<td class=\"score\">100"] {
        assert!(all.contains(kept) && page.contains(kept), "{kept}: {page}");
    }
    let refused = board.anonymous.get("/?columns=cost").await;
    assert_eq!((refused.code(), text(&refused.json(), "field")), (400, "columns"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_is_the_board_at_its_end_and_today_is_the_board_as_it_stands() {
    let (board, _, _) = measured(&["builtin:calculator"], &[sums()]).await;
    let now = board.anonymous.read(BOARD).await;
    let today = Millis::now().to_rfc3339()[..10].to_owned();
    assert_eq!(board.anonymous.read(&format!("{BOARD}?as_of={today}")).await, now);
    assert_eq!(board.anonymous.read(&format!("{BOARD}?as_of=2020-02-29")).await, json!([]));
    let page = board.anonymous.get("/?as_of=2020-02-29").await.text();
    assert!(page.contains("type=\"date\" name=\"as_of\" value=\"2020-02-29\""), "{page}");
    assert!(page.contains("The board as of <time datetime=\"2020-02-29T23:59:59.999Z\">"), "{page}");
    for wrong in ["2020-02-30", "2999-01-01"] {
        let refused = board.anonymous.get(&format!("{BOARD}?as_of={wrong}")).await;
        assert_eq!((refused.code(), text(&refused.json(), "field")), (400, "as_of"), "{wrong}");
    }
}
