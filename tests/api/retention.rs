//! Answers that are kept for so long only: their texts go, everything that is a number stays, and whoever looks for an
//! answer is told that it was removed.

use std::collections::HashMap;
use std::process::Command;
use std::sync::Arc;

use evalboard::app::App;
use evalboard::domain::id::ResultKey;
use evalboard::domain::time::Millis;
use evalboard::service::checks::{self, Depth};
use evalboard::store::Tx;
use evalboard::store::retention::{self, Place};
use serde_json::{Value, json};

use crate::support::field::{Field, count, list, samples, until};
use crate::support::provider::{Act, Gate, Script};
use crate::support::steps::{assert_has, column, text};
use crate::support::{Board, QUICK};

const DAY: i64 = 86_400_000;
const KEEP_30: [&str; 2] = ["--keep-answers", "30"];
/// What models and graders say, and nothing else does.
const CANARY: &str = "canary";

impl Board {
    /// Does what the server does by itself, as it would so many days from now.
    async fn after_days(&self, days: i64) -> i64 {
        let now = Millis::now().plus(days * DAY);
        self.house.app.engine.remove_old_answers(now).await.unwrap()
    }

    /// Everything in the folder as it is.
    fn assert_whole(&self) {
        let report = checks::folder(self.house.path(), Depth::Full, &mut |_| {}).unwrap();
        assert_eq!(report.faults, Vec::<String>::new());
    }

    async fn shift_rows(&self, sql: &'static str) {
        self.house.app.store.write(move |tx: &mut Tx<'_>| tx.execute(sql, &[]).map(drop)).await.unwrap();
    }
}

/// Two models on an eval that is graded twice and on one that is not, all of it answered with the canary.
async fn answered(flags: &[&str]) -> (Field, [String; 2], [String; 2], Value) {
    let field = Field::with("", flags).await;
    let verdict = json!({"reasoning": format!("{CANARY} says the grader"), "score": 0.5}).to_string();
    let grader = field.model("grader", Script::says(&verdict), json!({"is_active": false})).await;
    let mut models = Vec::new();
    for (name, script) in [
        ("echo", Script::answers(|prompt| format!("{CANARY} {prompt}"))),
        ("other", Script::says(&format!("{CANARY} and more"))),
    ] {
        models.push(field.model(name, script, json!({"input_price": 2.0, "output_price": 8.0})).await);
    }
    let rows = samples(6, |at| (format!("say {at}"), format!("{CANARY} say {at}")));
    let exact = field.eval("say", "exact", json!({"samples": rows})).await;
    let criteria = json!({"rubric": "Says it.", "grader": grader, "votes": 2});
    let rubric = json!({"samples": rows, "eval_criteria": criteria});
    let graded = field.eval("judged", "rubric", rubric).await;
    let run = field.run_all().await;
    (field, [models[0].clone(), models[1].clone()], [exact, graded], run)
}

/// A result without what says that answers were removed.
fn numbers(mut result: Value) -> Value {
    result.as_object_mut().unwrap().remove("answers_removed");
    result
}

#[tokio::test(flavor = "multi_thread")]
async fn old_texts_go_and_every_number_stays() {
    let (field, models, evals, run) = answered(&KEEP_30).await;
    let board = &field.board;
    let paths = [
        "/api/v1/leaderboard".to_owned(),
        format!("/api/v1/evals/{}/health", evals[0]),
        format!("/api/v1/evals/{}/health", evals[1]),
        format!("/api/v1/runs/{}", text(&run, "id")),
        "/".to_owned(),
        "/ledger".to_owned(),
        format!("/models/{}", models[0]),
    ];
    let mut before = Vec::new();
    for path in &paths {
        before.push(board.anonymous.get(path).await.text());
    }
    assert!(before[2].contains("\"kappa\""), "votes are compared: {}", before[2]);
    let results: Vec<Value> = field.results(&run).await.into_iter().map(numbers).collect();
    let result = field.result(&run, &models[0], &evals[1]).await;
    let path = format!("/api/v1/cases/{}", text(&field.cases(&result).await[0], "id"));
    let case = board.anonymous.read(&path).await;
    assert!(case["response"].is_string() && case["transcript"].is_object(), "{case}");

    assert_eq!(board.after_days(29).await, 0);
    assert_eq!(board.anonymous.read(&path).await, case);
    assert_eq!(board.after_days(31).await, 24);
    assert_eq!(board.after_days(31).await, 0, "what is gone is gone");

    for (path, before) in paths.iter().zip(before) {
        assert_eq!(board.anonymous.get(path).await.text(), before, "{path}");
    }
    let after: Vec<Value> = field.results(&run).await.into_iter().map(numbers).collect();
    assert_eq!(after, results);
    assert_eq!(field.result(&run, &models[0], &evals[1]).await["answers_removed"], 6);
    let removed = board.anonymous.read(&path).await;
    for (name, was) in case.as_object().unwrap() {
        match name.as_str() {
            "response" | "prompt" | "answer" | "score_details" | "transcript" => {
                assert_eq!(removed[name], Value::Null, "{name}");
            }
            "answer_removed_at" => assert!(removed[name].is_i64() && was.is_null(), "{removed}"),
            _ => assert_eq!(removed[name], *was, "{name}"),
        }
    }
    let left = "SELECT COUNT(*) AS n
        FROM cases
        JOIN case_texts ON case_texts.case_id = cases.id
        WHERE COALESCE(answer, '') || prompt || response || score_details || COALESCE(transcript, '')
              || COALESCE(reasoning, '') || COALESCE(raw, '') || COALESCE(usage, '') LIKE '%canary%'";
    assert_eq!(count(board, left).await, 0);
    let compared = format!("/api/v1/leaderboard/compare?a={}&b={}", models[0], models[1]);
    let item = board.anonymous.read(&compared).await["disagreements"][0]["a"].clone();
    assert!(item["response"].is_null() && item["answer_removed_at"].is_i64(), "{item}");
    board.assert_whole();
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_say_that_an_answer_was_removed_and_on_which_day() {
    let (field, models, evals, run) = answered(&KEEP_30).await;
    let board = &field.board;
    board.after_days(31).await;
    let day = Millis::now().plus(31 * DAY).to_day();
    let result = field.result(&run, &models[0], &evals[0]).await;
    let case = text(&field.cases(&result).await[0], "id").to_owned();
    let page = board.anonymous.get(&format!("/cases/{case}")).await.text();
    assert!(page.contains("The answer was removed") && page.contains(&format!("On {day}")), "{page}");
    assert!(!page.contains(">Prompt<") && page.contains("Verdict: <b class=\"good\">correct"), "{page}");
    let listed = board.anonymous.get(&format!("/results/{}", text(&result, "id"))).await.text();
    assert!(listed.contains("The answers of its cases were removed"), "{listed}");
    let compared = format!("/compare?a={}&b={}", models[0], models[1]);
    let compared = board.anonymous.get(&compared).await.text();
    assert!(compared.contains(&format!("The answer was removed on {day}")), "{compared}");
    let path = format!("/api/v1/results/{}/cases?format=csv", text(&result, "id"));
    let file = board.anonymous.get(&path).await.text();
    let mut rows = csv::Reader::from_reader(file.as_bytes());
    let rows: Vec<HashMap<String, String>> = rows.deserialize().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 6);
    for row in rows {
        let removed_at = Millis(row["answer_removed_at"].parse().unwrap());
        assert_eq!(
            (removed_at.to_day(), row["response"].as_str(), row["answer"].as_str()),
            (day.clone(), "", "")
        );
    }
    // Nobody can check a verdict on what is not there any more.
    let verdict = json!({"correct": false, "reason": "x"});
    let refused = board.admin.post(&format!("/api/v1/cases/{case}/overrule"), &verdict).await;
    refused.assert_refused(409, "code", "answer_removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_from_before_stays_and_can_be_taken_back() {
    let (field, models, evals, run) = answered(&KEEP_30).await;
    let board = &field.board;
    let result = field.result(&run, &models[0], &evals[0]).await;
    let path = format!("/api/v1/cases/{}/overrule", text(&field.cases(&result).await[0], "id"));
    assert_eq!(board.admin.post(&path, &json!({"correct": false, "reason": "x"})).await.code(), 200);
    board.after_days(31).await;
    assert_has(
        &field.result(&run, &models[0], &evals[0]).await,
        json!({"overruled_count": 1, "passed_count": 5}),
    );
    assert_eq!(board.admin.delete(&format!("{path}?reason=y")).await.code(), 200);
    assert_has(
        &field.result(&run, &models[0], &evals[0]).await,
        json!({"overruled_count": 0, "passed_count": 6}),
    );
    board.assert_whole();
}

#[tokio::test(flavor = "multi_thread")]
async fn unless_the_operator_says_so_answers_are_kept_for_ever() {
    let (field, _, _, _) = answered(&[]).await;
    assert_eq!(field.board.after_days(40_000).await, 0);
    for days in ["0", "-1", "soon"] {
        let serve =
            Command::new(env!("CARGO_BIN_EXE_evalboard")).args(["serve", "--keep-answers", days]).output();
        assert_eq!(serve.unwrap().status.code(), Some(2), "{days}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_starts_removes_what_became_old_while_it_was_down() {
    let (field, ..) = answered(&KEEP_30).await;
    let board = &field.board;
    for sql in [
        "UPDATE cases SET created_at = created_at - 31 * 86400000",
        "UPDATE results SET created_at = created_at - 31 * 86400000",
    ] {
        board.shift_rows(sql).await;
    }
    let shared = &board.house.app;
    let next = App::new(shared.config.clone(), shared.store.clone(), std::iter::empty(), QUICK).unwrap();
    let next = Arc::new(next);
    next.engine.start().await.unwrap();
    until("the texts to go", async || {
        let left = count(board, "SELECT COUNT(*) AS n FROM case_texts WHERE removed_at IS NULL").await;
        (left == 0).then_some(())
    })
    .await;
    next.engine.stop().await;
    board.assert_whole();
}

#[tokio::test(flavor = "multi_thread")]
async fn after_any_step_the_folder_is_whole_and_the_rest_follows() {
    let (field, models, evals, run) = answered(&KEEP_30).await;
    let board = &field.board;
    let store = &board.house.app.store;
    let cutoff = Millis::now().plus(DAY);
    let results: Vec<ResultKey> = store.read(move |tx| retention::results(tx, cutoff)).await.unwrap();
    assert_eq!(results.len(), 4);
    let result = results[0];
    let part =
        store.read(move |tx| retention::part(tx, result, Place::START, cutoff, (4, i64::MAX))).await.unwrap();
    assert_eq!(part.old.len(), 4);
    let rest = store
        .read(move |tx| retention::part(tx, result, part.next.unwrap(), cutoff, (4, i64::MAX)))
        .await
        .unwrap();
    assert_eq!((rest.old.len(), rest.next), (2, None));
    let short =
        store.read(move |tx| retention::part(tx, result, Place::START, cutoff, (4, 1))).await.unwrap();
    assert_eq!(short.old.len(), 1, "one text is more than a byte");
    let old = part.old.clone();
    let removed = store.write(move |tx| retention::remove(tx, result, &old, cutoff)).await.unwrap();
    assert_eq!(removed, 4);
    let old = part.old;
    let again = store.write(move |tx| retention::remove(tx, result, &old, cutoff)).await.unwrap();
    assert_eq!(again, 0, "nothing is counted twice");
    board.assert_whole();
    let partly: Vec<i64> =
        field.results(&run).await.iter().map(|row| row["answers_removed"].as_i64().unwrap()).collect();
    assert_eq!(partly.iter().sum::<i64>(), 4);
    assert_eq!(board.after_days(31).await, 20);
    assert_eq!(field.result(&run, &models[1], &evals[1]).await["answers_removed"], 6);
    board.assert_whole();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_scored_again_is_refused_before_it_begins_where_answers_are_gone() {
    let (field, _, evals, run) = answered(&KEEP_30).await;
    let board = &field.board;
    // The answers of one eval are of today, those of the other are old.
    board
        .shift_rows(
            "UPDATE cases SET created_at = created_at - 31 * 86400000
             WHERE result_id IN (SELECT results.id FROM results JOIN evals ON evals.id = results.eval_id
                                 WHERE evals.name = 'judged')",
        )
        .await;
    board.shift_rows("UPDATE results SET created_at = created_at - 31 * 86400000").await;
    assert_eq!(board.after_days(0).await, 12);
    let path = format!("/api/v1/runs/{}/rescore", text(&run, "id"));
    let plan = board.member.post(&path, &json!({"dry_run": true})).await.json();
    assert_has(&plan, json!({"cells": 2, "cases": 12}));
    assert_eq!(column(&plan["skipped"], "code"), ["answers_removed"; 2]);
    assert!(text(&plan["skipped"][0], "reason").contains("6 of its 6 cases were removed"), "{plan}");
    let only = board.member.post(&path, &json!({"eval_ids": [evals[1]]})).await;
    only.assert_refused(409, "code", "nothing_to_rescore");
    assert!(
        text(&only.json(), "error").contains("2 cells: the answers of 6 of its 6 cases"),
        "{}",
        only.text()
    );
    let accepted = board.member.post(&path, &json!({})).await;
    assert_eq!(accepted.code(), 202, "{}", accepted.text());
    assert_eq!(column(&accepted.json()["skipped"], "code"), ["answers_removed"; 2]);
    let again = field.ended(text(&accepted.json(), "id")).await;
    assert_has(&again, json!({"status": "completed", "case_errors": 0}));
    board.assert_whole();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_open_run_scores_again_stays_until_that_is_over() {
    let (field, _, evals, run) = answered(&KEEP_30).await;
    let board = &field.board;
    let gate = Gate::closed();
    let held = gate.clone();
    field.provider.script("grader", Script::by(move |_| Act::Wait(held.clone(), "No idea.".to_owned())));
    let path = format!("/api/v1/runs/{}/rescore", text(&run, "id"));
    let again = board.member.post(&path, &json!({"eval_ids": [evals[1]]})).await;
    assert_eq!(again.code(), 202, "{}", again.text());
    assert_eq!(board.after_days(31).await, 0);
    gate.open();
    let id = text(&again.json(), "id").to_owned();
    let ended = field.ended(&id).await;
    assert_eq!(ended["case_errors"], 12, "the grader gave no verdict, and every answer was there: {ended}");
    // Its own copies are as old as the answers.
    assert_eq!(board.after_days(31).await, 36);
    let retried = board.member.post(&format!("/api/v1/runs/{id}/retry"), &json!({})).await;
    retried.assert_refused(409, "code", "answers_removed");
    board.assert_whole();
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_were_scored_again_grow_no_younger_by_it() {
    let (field, _, evals, run) = answered(&KEEP_30).await;
    let board = &field.board;
    let path = format!("/api/v1/runs/{}/rescore", text(&run, "id"));
    let again = board.member.post(&path, &json!({"eval_ids": [evals[0]]})).await;
    field.ended(text(&again.json(), "id")).await;
    board
        .shift_rows("UPDATE runs SET completed_at = completed_at - 31 * 86400000 WHERE rescores_id IS NULL")
        .await;
    assert_eq!(board.after_days(0).await, 12, "the copies; the answers' own cases are of today");
    board.assert_whole();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_retry_asks_again_has_its_texts_until_it_is_old_itself() {
    let field = Field::with("", &KEEP_30).await;
    let board = &field.board;
    let script = Script::by(|asked| match asked.prompt().ends_with('1') {
        true => Act::Status(404, None),
        false => Act::Say(CANARY.to_owned()),
    });
    let model = field.model("model", script, json!({})).await;
    let rows = samples(3, |at| (format!("say {at}"), CANARY.to_owned()));
    let eval = field.eval("say", "exact", json!({"samples": rows})).await;
    let run = field.run_all().await;
    assert_eq!(board.after_days(31).await, 3);
    field.provider.script("model", Script::says(CANARY));
    let retried = board.member.post(&format!("/api/v1/runs/{}/retry", text(&run, "id")), &json!({})).await;
    assert_eq!(retried.code(), 202, "{}", retried.text());
    field.ended(text(&run, "id")).await;
    let result = field.result(&run, &model, &eval).await;
    assert_has(&result, json!({"state": "complete", "answers_removed": 2, "score": 1.0}));
    let responses: Vec<Value> =
        field.cases(&result).await.into_iter().map(|case| case["response"].clone()).collect();
    assert_eq!(responses, [Value::Null, json!(CANARY), Value::Null]);
    board.assert_whole();
    assert_eq!(board.after_days(31).await, 1);
    board.assert_whole();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_room_that_texts_took_is_used_again() {
    let field = Field::with("", &KEEP_30).await;
    let board = &field.board;
    field.model("model", Script::says(&"x".repeat(100_000)), json!({})).await;
    let rows = samples(40, |at| (format!("say {at}"), "y".to_owned()));
    field.eval("say", "exact", json!({"samples": rows})).await;
    field.run_all().await;
    let pages = "SELECT page_count AS n FROM pragma_page_count";
    let before = count(board, pages).await;
    assert_eq!(board.after_days(31).await, 40);
    let free = count(board, "SELECT freelist_count AS n FROM pragma_freelist_count").await;
    assert!(free > before * 4 / 5, "{free} of {before} pages are free");
    field.run_all().await;
    let after = count(board, pages).await;
    assert!(after < before + before / 20, "{before} pages have become {after}");
    let run = list(&board.anonymous.read("/api/v1/runs").await);
    assert_eq!(run.len(), 2);
    board.assert_whole();
}
