//! Ranks as ranges: which models paired tests tell apart, over which evals, and that reads always have them.

use std::time::Duration;

use evalboard::domain::time::Millis;
use evalboard::store::{Topic, Tx};
use serde_json::{Value, json};

use crate::support::steps::{assert_has, capital, column, sums, text, with};
use crate::support::{Board, PATIENCE};

const BOARD: &str = "/api/v1/leaderboard";

/// The first is right on every sum, the second on one, the third on none.
const THREE: [&str; 3] = ["builtin:calculator", "builtin:constant?answer=2", "builtin:echo"];

/// `count` sums, of which 2 is the answer to the first only.
fn many_sums(count: usize) -> Value {
    let sample = |at: usize| json!({"input": format!("{at} + 2"), "target": (at + 2).to_string()});
    with(sums(), json!({"samples": (0..count).map(sample).collect::<Vec<_>>()}))
}

/// A board on which [`THREE`] have been run over `count` sums, with the ids of the models and the eval.
async fn ranked(count: usize) -> (Board, Vec<String>, String) {
    let board = Board::busy().await;
    let mut models = Vec::new();
    for uri in THREE {
        models.push(board.member.model(uri).await);
    }
    let eval = board.member.eval(&many_sums(count)).await;
    board.member.run(&json!({})).await;
    (board, models, eval)
}

fn ranges(rows: &Value) -> Vec<Option<(i64, i64)>> {
    let range = |row: &Value| row["rank_low"].as_i64().zip(row["rank_high"].as_i64());
    rows.as_array().unwrap().iter().map(range).collect()
}

fn groups(rows: &Value) -> Vec<Option<i64>> {
    rows.as_array().unwrap().iter().map(|row| row["tie_group"].as_i64()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_told_apart_by_paired_tests_has_a_rank_of_his_own() {
    let (board, models, _) = ranked(40).await;
    let rows = board.anonymous.read(BOARD).await;
    assert_eq!(column(&rows, "model_id"), models);
    assert_eq!(ranges(&rows), [Some((1, 1)), Some((2, 3)), Some((2, 3))]);
    assert_eq!(groups(&rows), [Some(1), Some(2), Some(2)]);
    for row in rows.as_array().unwrap() {
        assert_has(row, json!({"test": "sign_flip", "correction": "holm", "test_level": 0.05}));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_few_items_leave_everybody_tied_and_the_page_says_why() {
    let (board, _, _) = ranked(3).await;
    let rows = board.anonymous.read(BOARD).await;
    assert_eq!(ranges(&rows), [Some((1, 3)); 3]);
    assert_eq!(groups(&rows), [Some(1); 3]);
    let page = board.anonymous.get("/").await.text();
    assert!(page.contains("All 3 models are tied: no two of them disagree on enough items."), "{page}");
    assert!(page.contains("at least 6 items") && page.matches("<td>1–3</td>").count() == 3, "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_ranges_and_tints_ties() {
    let (board, _, _) = ranked(40).await;
    let page = board.anonymous.get("/").await.text();
    assert!(page.contains("<tr class=\"tie end\"><td>1</td>"), "{page}");
    assert_eq!(page.matches("<tr><td>2–3</td>").count(), 2, "{page}");
    assert!(page.contains("tests of 1 pair of models") && !page.contains("are tied"), "{page}");
    let by_name = board.anonymous.get("/?sort=model").await.text();
    assert!(!by_name.contains("class=\"tie"), "rows that do not stand by score have no groups: {by_name}");
}

#[tokio::test(flavor = "multi_thread")]
async fn below_the_line_and_alone_there_is_nothing_to_test() {
    let (board, models, _) = ranked(40).await;
    let late = board.member.eval(&capital()).await;
    board.member.run(&json!({"model_ids": models[..2], "eval_ids": [late]})).await;
    let rows = board.anonymous.read(BOARD).await;
    assert_eq!(ranges(&rows), [Some((1, 1)), Some((2, 2)), None]);
    let untested = json!({"tie_group": null, "test": null, "correction": null, "test_level": null});
    assert_has(&rows[2], untested.clone());
    board.member.delete(&format!("/api/v1/models/{}", models[1])).await;
    board.member.delete(&format!("/api/v1/models/{}", models[2])).await;
    let rows = board.anonymous.read(BOARD).await;
    assert_has(&rows[0], with(untested, json!({"rank_low": 1, "rank_high": 1, "tie_group": 1})));
}

#[tokio::test(flavor = "multi_thread")]
async fn ranks_follow_each_write_at_once() {
    let (board, models, eval) = ranked(40).await;
    assert_eq!(ranges(&board.anonymous.read(BOARD).await)[0], Some((1, 1)));
    let twin = board.member.model("builtin:calculator").await;
    board.member.run(&json!({"model_ids": [twin], "eval_ids": [eval]})).await;
    let rows = board.anonymous.read(BOARD).await;
    assert_eq!(ranges(&rows), [Some((1, 2)), Some((1, 2)), Some((3, 4)), Some((3, 4))]);
    // A new revision leaves the board until it has been run, and then has ranks of its own results.
    let path = format!("/api/v1/models/{twin}");
    board.member.changed(&path, &json!({"inference_uri": "builtin:echo"})).await;
    assert_eq!(ranges(&board.anonymous.read(BOARD).await), [Some((1, 1)), Some((2, 3)), Some((2, 3))]);
    board.member.run(&json!({"model_ids": [twin], "eval_ids": [eval]})).await;
    let rows = board.anonymous.read(BOARD).await;
    assert_eq!(ranges(&rows), [Some((1, 1)), Some((2, 4)), Some((2, 4)), Some((2, 4))]);
    board.member.delete(&format!("/api/v1/models/{}", models[0])).await;
    assert_eq!(ranges(&board.anonymous.read(BOARD).await), [Some((1, 3)); 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_has_ranks_of_its_own() {
    let (board, models, sums) = ranked(40).await;
    let parrot = json!({"input": "Say: Paris", "target": "Paris"});
    let samples: Vec<Value> = (0..40).map(|at| with(parrot.clone(), json!({"id": at.to_string()}))).collect();
    let echoes = board.member.eval(&with(capital(), json!({"samples": samples, "category": "Echoes"}))).await;
    board.member.run(&json!({"eval_ids": [echoes]})).await;
    let whole = board.anonymous.read(BOARD).await;
    assert_eq!(ranges(&whole)[2], Some((3, 3)), "{whole}");
    for (query, best) in [
        (format!("eval_id={sums}"), &models[0]),
        (format!("eval_id={echoes}"), &models[2]),
        ("category=Echoes".to_owned(), &models[2]),
        (format!("weights={echoes}:0"), &models[0]),
        (format!("weights={sums}:0"), &models[2]),
    ] {
        let rows = board.anonymous.read(&format!("{BOARD}?{query}")).await;
        assert_eq!(ranges(&rows), [Some((1, 1)), Some((2, 3)), Some((2, 3))], "{query}: {rows}");
        assert_has(&rows[0], json!({"model_id": best, "eval_count": 1}));
    }
    assert_eq!(board.anonymous.read(BOARD).await, whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_in_the_address_rank_anew() {
    let (board, models, sums) = ranked(40).await;
    let late = board.member.eval(&capital()).await;
    board.member.run(&json!({"eval_ids": [late]})).await;
    assert_has(&board.anonymous.read(BOARD).await[0], json!({"avg_score": 0.5, "eval_count": 2}));
    let rows = board.anonymous.read(&format!("{BOARD}?weights={sums}:3,{late}:1")).await;
    assert_has(&rows[0], json!({"avg_score": 0.75, "eval_count": 2, "model_id": models[0]}));
    let rows = board.anonymous.read(&format!("{BOARD}?weights={sums}:3")).await;
    assert_has(&rows[0], json!({"avg_score": 0.75}));
    let rows = board.anonymous.read(&format!("{BOARD}?weights={late}:0")).await;
    assert_has(&rows[0], json!({"avg_score": 1.0, "eval_count": 1, "coverage": {"measured": 1, "suite": 1}}));
    assert_has(&rows[0]["scores"][&late], json!({"score": 0.0, "provisional": false}));
    let page = board.anonymous.get(&format!("/?weights={late}:0")).await.text();
    for words in ["Custom weights", "left out", "Reset", "ranked on 1 eval"] {
        assert!(page.contains(words), "{words}: {page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_that_cannot_be_are_refused_by_the_api_and_the_page() {
    let (board, _, eval) = ranked(3).await;
    for (weights, words) in [
        (format!("{eval}:-1"), "from 0 to 1000000"),
        (format!("{eval}:NaN"), "from 0 to 1000000"),
        (format!("{eval}:inf"), "from 0 to 1000000"),
        (format!("{eval}:0"), "at least one eval with a weight above 0"),
        ("nobody:1".to_owned(), "weights names no eval: nobody"),
        (format!("{eval}:1,{eval}:2"), "a second time"),
        (format!("{eval}:1&weights={eval}:2"), "give it once"),
        (eval.clone(), "has no colon"),
    ] {
        let reply = board.anonymous.get(&format!("{BOARD}?weights={weights}")).await;
        assert_eq!((reply.code(), text(&reply.json(), "field")), (400, "weights"), "{weights}");
        assert!(text(&reply.json(), "error").contains(words), "{weights}: {}", reply.text());
        let asking = board.anonymous.ask(reqwest::Method::GET, &format!("/?weights={weights}"));
        let page = asking.header("accept", "text/html").send().await;
        assert!(page.code() == 400 && page.text().contains(words), "{weights}: {}", page.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_board_is_warm_before_anybody_asks() {
    let board = Board::busy().await;
    let leaderboard = board.house.app.leaderboard.clone();
    let warming = tokio::spawn(leaderboard.clone().keep_warm(board.house.app.store.clone()));
    board.member.model("builtin:calculator").await;
    board.member.model("builtin:echo").await;
    let eval = board.member.eval(&sums()).await;
    board.member.run(&json!({})).await;
    let holds = async |count: usize| {
        let wanted = async || {
            while leaderboard.kept() != count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wanted()).await.is_ok()
    };
    assert!(holds(2).await, "{} results are kept", leaderboard.kept());
    board.member.delete(&format!("/api/v1/evals/{eval}")).await;
    assert!(holds(0).await, "{} results are kept", leaderboard.kept());
    warming.abort();
}

/// The present moment, with nothing else happening in the same millisecond.
async fn moment() -> i64 {
    let pause = Duration::from_millis(3);
    tokio::time::sleep(pause).await;
    let now = Millis::now().0;
    tokio::time::sleep(pause).await;
    now
}

/// The rows without what a past board does not have.
fn without_attempts(mut rows: Value) -> Value {
    for row in rows.as_array_mut().unwrap() {
        let scores = row["scores"].as_object_mut().unwrap().values_mut();
        let mut parts: Vec<&mut serde_json::Map<String, Value>> =
            scores.filter_map(Value::as_object_mut).collect();
        for part in &mut parts {
            part.retain(|name, _| !["attempts", "unfinished"].contains(&name.as_str()));
        }
        row.as_object_mut().unwrap().retain(|name, _| !["attempts", "unfinished"].contains(&name.as_str()));
    }
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn a_past_board_is_what_was_read_then() {
    let start = moment().await;
    let (board, models, sums) = ranked(40).await;
    let (first, at_first) = (board.anonymous.read(BOARD).await, moment().await);
    let late = board.member.eval(&capital()).await;
    board.member.run(&json!({})).await;
    let (second, at_second) = (board.anonymous.read(BOARD).await, moment().await);
    assert_has(&second[0], json!({"eval_count": 2, "runs": 2}));
    // A version that takes the place of the older one, an eval and a model that rest, a model that is edited.
    board
        .member
        .changed(&format!("/api/v1/evals/{sums}"), &json!({"prompt": "Say what is {{input}}?"}))
        .await;
    board.member.run(&json!({})).await;
    board.member.changed(&format!("/api/v1/evals/{late}"), &json!({"is_active": false})).await;
    board.member.changed(&format!("/api/v1/models/{}", models[1]), &json!({"is_active": false})).await;
    board.member.changed(&format!("/api/v1/models/{}", models[2]), &json!({"parameters": {"seed": 1}})).await;
    board.member.run(&json!({})).await;
    assert_eq!(column(&board.anonymous.read(BOARD).await, "model_id"), [&*models[0], &*models[2]]);
    for (at, expected) in [(start, json!([])), (at_first, first), (at_second, second)] {
        let past = board.anonymous.read(&format!("{BOARD}?as_of={at}")).await;
        assert_eq!(without_attempts(past), without_attempts(expected));
    }
    let page = board.anonymous.get(&format!("/?as_of={at_first}&sort=model")).await.text();
    for words in
        ["The board as of <time", "href=\"/?sort=model\">Back to now", "3 models ranked on 1 eval, 40 items"]
    {
        assert!(page.contains(words), "{words}: {page}");
    }
    let empty = board.anonymous.get(&format!("/?as_of={start}")).await.text();
    assert!(empty.contains("No models were ranked on that day"), "{empty}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_board_that_is_to_come_is_refused() {
    let (board, _, _) = ranked(3).await;
    let future = (Millis::now().0 + 60_000).to_string();
    for (as_of, words) in [
        (&*future, "as_of must be a moment that is past"),
        ("noon", "or a day such as 2026-01-31: it is neither"),
    ] {
        let reply = board.anonymous.get(&format!("{BOARD}?as_of={as_of}")).await;
        assert_eq!((reply.code(), text(&reply.json(), "field")), (400, "as_of"), "{as_of}");
        assert!(text(&reply.json(), "error").contains(words), "{}", reply.text());
        let asking = board.anonymous.ask(reqwest::Method::GET, &format!("/?as_of={as_of}"));
        let page = asking.header("accept", "text/html").send().await;
        assert!(page.code() == 400 && page.text().contains(words), "{}", page.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tiny_weights_rank_as_their_proportions_do() {
    let (board, _, sums) = ranked(3).await;
    let second = board.member.eval(&with(many_sums(3), json!({"name": "Second"}))).await;
    board.member.run(&json!({"only_missing": true})).await;
    let read = async |weight: &str| {
        board.anonymous.read(&format!("{BOARD}?weights={sums}:{weight},{second}:{weight}")).await
    };
    let usual = ranges(&read("1").await);
    assert_eq!(usual, [Some((1, 3)); 3]);
    for weight in ["1e-170", "1e-320", "1e6"] {
        let rows = read(weight).await;
        assert_eq!(ranges(&rows), usual, "{weight}");
        assert!((rows[0]["avg_score"].as_f64().unwrap() - 1.0).abs() < 1e-12, "{weight}: {rows}");
    }
    let beside = board.anonymous.get(&format!("{BOARD}?weights={sums}:1e-7")).await;
    beside.assert_refused(400, "field", "weights");
    // Weights from before there was a least one stay, and rank as they should.
    let shrink = |tx: &mut Tx<'_>| {
        tx.touch(Topic::Board);
        tx.execute("UPDATE evals SET weight = 1e-170", &[])
    };
    board.house.app.store.write(shrink).await.unwrap();
    assert_eq!(ranges(&board.anonymous.read(BOARD).await), usual);
    board.member.changed(&format!("/api/v1/evals/{sums}"), &json!({"name": "Renamed"})).await;
    let refused = board.member.patch(&format!("/api/v1/evals/{sums}"), &json!({"weight": 1e-9})).await;
    refused.assert_refused(400, "field", "weight");
}
