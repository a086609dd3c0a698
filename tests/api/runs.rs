use serde_json::{Value, json};

use crate::support::Board;
use crate::support::steps::{assert_has, capital, column, sums, text, with};

const RUNS: &str = "/api/v1/runs";
const BOARD: &str = "/api/v1/leaderboard";

fn of(run: &Value) -> String {
    format!("{RUNS}/{}", text(run, "id"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_reports_what_it_did() {
    let board = Board::busy().await;
    board.member.model("builtin:calculator").await;
    board.member.model("builtin:flaky?error_rate=1").await;
    board.member.eval(&sums()).await;
    let run = board.member.run(&json!({"notes": "First."})).await;
    let expected = json!({
        "status": "completed", "total_models": 2, "total_evals": 1, "completed_count": 2, "case_total": 6,
        "case_done": 6, "case_errors": 3, "triggered_by": "member@example.org", "notes": "First.",
        "on_board": true, "epochs": null, "max_samples": null, "error": null,
    });
    assert_has(&run, expected);
    let at = |field: &str| run[field].as_i64().unwrap();
    assert!(at("started_at") <= at("completed_at") && at("completed_at") <= at("heartbeat_at"), "{run}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_counts_its_cases_and_says_how_its_numbers_were_made() {
    let board = Board::busy().await;
    let model = board.member.model("builtin:constant?answer=2").await;
    let eval = board.member.eval(&sums()).await;
    let run = board.member.run(&json!({})).await;
    let results = board.anonymous.read(&format!("{}/results", of(&run))).await;
    let revision = board.anonymous.read(&format!("/api/v1/models/{model}")).await["revision"].clone();
    let expected = json!({
        "eval_id": eval, "model_id": model, "state": "complete", "case_count": 3, "scored_count": 3,
        "error_count": 0, "passed_count": 1, "n_items": 3, "n_clusters": null, "ci_method": "wilson",
        "ci_level": 0.95, "epochs": 1, "reducer": "mean", "eval_version": 1, "model_revision": revision,
        "provenance": "run_here", "error": null, "cost_usd": 0.0, "response": "", "raw_data": "",
    });
    assert_has(&results[0], expected);
    let number = |field: &str| results[0][field].as_f64().unwrap();
    assert!((number("score") - 1.0 / 3.0).abs() < 1e-12);
    assert!(number("ci_low") < number("score") && number("score") < number("ci_high"));
    assert!((number("score_low") - number("score_high")).abs() < 1e-12);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_number_opens_down_to_the_answer() {
    let board = Board::busy().await;
    board.member.model("builtin:constant?answer=2").await;
    board.member.eval(&sums()).await;
    let run = board.member.run(&json!({})).await;
    let results = board.anonymous.read(&format!("{}/results", of(&run))).await;
    let path = format!("/api/v1/results/{}/cases", text(&results[0], "id"));
    let cases = board.anonymous.read(&path).await;
    let expected = json!({
        "result_id": results[0]["id"], "sample_id": "two", "epoch": 1, "state": "scored", "score": 1.0,
        "reason": null, "input": "1 + 1", "response": "2", "answer": "2", "target": ["2"], "error": null,
        "truncated": false, "attempts": 1,
    });
    assert_has(&cases[0], expected);
    for (filter, ids) in
        [("wrong", vec!["four", "six"]), ("scored", vec!["two", "four", "six"]), ("error", vec![])]
    {
        let filtered = board.anonymous.get(&format!("{path}?state={filter}")).await;
        assert_eq!(column(&filtered.json(), "sample_id"), ids, "{filter}");
        assert_eq!(filtered.header("x-total-count"), ids.len().to_string(), "{filter}");
    }
    let one = board.anonymous.read(&format!("/api/v1/cases/{}", text(&cases[0], "id"))).await;
    let prompt = json!([{"role": "user", "content": "What is 1 + 1?"}]);
    assert_has(
        &one,
        json!({"id": cases[0]["id"], "prompt": prompt, "score_details": {}, "transcript": null}),
    );
    assert_eq!(board.anonymous.pages(&path, 2).await, column(&cases, "id"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_asks_those_that_are_named_and_no_others() {
    let board = Board::busy().await;
    let (model, _) =
        (board.member.model("builtin:calculator").await, board.member.model("builtin:echo").await);
    let (eval, _) = (board.member.eval(&sums()).await, board.member.eval(&capital()).await);
    let run = board.member.run(&json!({"model_ids": [model, model], "eval_ids": [eval]})).await;
    assert_has(&run, json!({"total_models": 1, "total_evals": 1, "case_total": 3}));
    let results = board.anonymous.read(&format!("{}/results", of(&run))).await;
    assert_eq!((column(&results, "model_id"), column(&results, "eval_id")), (vec![model], vec![eval]));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_missing_is_run() {
    let board = Board::busy().await;
    let calculator = board.member.model("builtin:calculator").await;
    let eval = board.member.eval(&sums()).await;
    board.member.run(&json!({})).await;
    let missing = json!({"only_missing": true});
    let nothing = board.member.post(RUNS, &missing).await;
    nothing.assert_refused(400, "error", "nothing to run: every cell has a current result");
    let echo = board.member.model("builtin:echo").await;
    for (change, model) in [
        (None, &echo),
        (Some((format!("/api/v1/models/{calculator}"), json!({"parameters": {"seed": 1}}))), &calculator),
    ] {
        if let Some((path, edit)) = change {
            board.member.changed(&path, &edit).await;
        }
        let run = board.member.run(&missing).await;
        let results = board.anonymous.read(&format!("{}/results", of(&run))).await;
        assert_eq!(column(&results, "model_id"), std::slice::from_ref(model));
    }
    board.member.changed(&format!("/api/v1/evals/{eval}"), &json!({"prompt": "Add {{input}}"})).await;
    assert_has(&board.member.run(&missing).await, json!({"total_models": 2, "case_total": 6}));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incomplete_result_is_still_missing() {
    let board = Board::busy().await;
    board.member.model("builtin:flaky?error_rate=1").await;
    board.member.eval(&sums()).await;
    board.member.run(&json!({})).await;
    assert_has(&board.member.run(&json!({"only_missing": true})).await, json!({"case_total": 3}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partial_or_private_run_never_moves_the_board() {
    let board = Board::busy().await;
    board.member.model("builtin:constant?answer=2").await;
    let eval = board.member.eval(&sums()).await;
    let partial = [
        (json!({"max_samples": 1}), 1, 1.0),
        (json!({"max_samples": 1000}), 3, 1.0 / 3.0),
        (json!({"epochs": 1}), 3, 1.0 / 3.0),
        (json!({"epochs": 2}), 6, 1.0 / 3.0),
        (json!({"on_board": false}), 3, 1.0 / 3.0),
    ];
    for (body, cases, score) in &partial {
        let run = board.member.run(body).await;
        assert_has(&run, with(body.clone(), json!({"case_total": cases, "status": "completed"})));
        let results = board.anonymous.read(&format!("{}/results", of(&run))).await;
        assert!((results[0]["score"].as_f64().unwrap() - score).abs() < 1e-12, "{body}");
        assert_eq!(results[0]["state"], "complete");
        assert_eq!(board.anonymous.read(BOARD).await, json!([]), "{body}");
    }
    let run = board.member.run(&json!({})).await;
    let ranked = board.anonymous.read(BOARD).await;
    let result = board.anonymous.read(&format!("{}/results", of(&run))).await[0]["id"].clone();
    assert_eq!(ranked[0]["scores"][&eval]["result_id"], result);
    for (body, ..) in &partial {
        board.member.run(body).await;
        assert_eq!(board.anonymous.read(BOARD).await, ranked, "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn epochs_ask_each_sample_again_and_the_sample_stays_the_unit() {
    let board = Board::busy().await;
    board.member.model("builtin:constant?answer=2").await;
    board.member.eval(&with(sums(), json!({"epochs": 3}))).await;
    let run = board.member.run(&json!({})).await;
    assert_has(&run, json!({"case_total": 9, "epochs": null}));
    let results = board.anonymous.read(&format!("{}/results", of(&run))).await;
    assert_has(&results[0], json!({"case_count": 9, "n_items": 3, "epochs": 3, "passed_count": 3}));
    let cases = board.anonymous.read(&format!("/api/v1/results/{}/cases", text(&results[0], "id"))).await;
    let epochs: Vec<i64> =
        cases.as_array().unwrap().iter().map(|case| case["epoch"].as_i64().unwrap()).collect();
    let mut first: Vec<i64> = epochs[..3].to_vec();
    first.sort_unstable();
    assert_eq!(first, [1, 2, 3]);
    assert_eq!(board.anonymous.read(BOARD).await[0]["n_items"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_reads_completed_is_on_the_board() {
    let board = Board::busy().await;
    board.member.model("builtin:calculator").await;
    board.member.eval(&sums()).await;
    for runs in 1..=10 {
        let path = format!("{RUNS}/{}", board.member.trigger(&json!({})).await);
        let run = board.anonymous.until(&path, |run| run["status"] == "completed").await;
        let ranked = board.anonymous.read(BOARD).await;
        let result = board.anonymous.read(&format!("{}/results", of(&run))).await[0]["id"].clone();
        let scores: Vec<&Value> = ranked[0]["scores"].as_object().unwrap().values().collect();
        assert_eq!((&ranked[0]["runs"], &scores[0]["result_id"]), (&json!(runs), &result));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_stays_as_it_is_and_cannot_be_cancelled_again() {
    let board = Board::idle().await;
    board.member.model("builtin:calculator").await;
    board.member.eval(&sums()).await;
    let path = format!("{RUNS}/{}", board.member.trigger(&json!({})).await);
    let cancel = format!("{path}/cancel");
    let cancelled = board.member.ask(reqwest::Method::POST, &cancel).send().await;
    assert_eq!(cancelled.code(), 200, "{}", cancelled.text());
    assert_has(&cancelled.json(), json!({"status": "cancelled", "case_done": 0, "completed_count": 0}));
    board.house.app.engine.start().await.unwrap();
    let other = board.member.run(&json!({})).await;
    assert_eq!(other["status"], "completed");
    assert_eq!(board.anonymous.read(&path).await, cancelled.json());
    assert_eq!(board.anonymous.read(&format!("{path}/results")).await, json!([]));
    let again = board.member.ask(reqwest::Method::POST, &cancel).send().await;
    again.assert_refused(409, "code", "run_over");
    let over = board.member.ask(reqwest::Method::POST, &format!("{}/cancel", of(&other))).send().await;
    over.assert_refused(409, "code", "run_over");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_complete_cells_of_a_cancelled_run_count_and_the_others_do_not() {
    let board = Board::busy().await;
    board.member.model("builtin:calculator").await;
    let short = board.member.eval(&capital()).await;
    let long: Vec<Value> =
        (0..2_000).map(|at| json!({"input": format!("{at} + 1"), "target": "0"})).collect();
    board.member.eval(&with(sums(), json!({"samples": long, "epochs": 10}))).await;
    let path = format!("{RUNS}/{}", board.member.trigger(&json!({})).await);
    board.member.until(&path, |run| run["completed_count"] == 1).await;
    let cancelled = board.member.ask(reqwest::Method::POST, &format!("{path}/cancel")).send().await;
    assert_eq!(cancelled.code(), 200, "{}", cancelled.text());
    assert_eq!(cancelled.json()["status"], "cancelled");
    let ranked = board.anonymous.read(BOARD).await;
    let scores = ranked[0]["scores"].as_object().unwrap();
    assert_eq!(scores.keys().collect::<Vec<_>>(), [&short]);
    let results = board.anonymous.read(&format!("{path}/results")).await;
    for result in results.as_array().unwrap() {
        let is_short = result["eval_id"] == *short;
        assert_eq!(result["state"], if is_short { "complete" } else { "incomplete" }, "{result}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_cannot_spend_the_operators_money() {
    let board = Board::idle().await;
    let paid = json!({"name": "Paid", "inference_uri": "anthropic/claude-sonnet-4-6"});
    board.admin.made("/api/v1/models", &paid).await;
    let own = board.member.model("builtin:echo").await;
    board.member.eval(&sums()).await;
    let refused = board.member.post(RUNS, &json!({})).await;
    refused.assert_refused(403, "code", "forbidden");
    assert!(refused.text().contains("model_ids"), "{}", refused.text());
    board.member.trigger(&json!({"model_ids": [own]})).await;
    board.admin.trigger(&json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_eval_without_a_grader_leaves_its_cases_unscored_and_the_run_names_the_setting() {
    let board = Board::busy().await;
    board.member.model("builtin:echo").await;
    board.member.eval(&with(capital(), json!({"eval_type": "rubric"}))).await;
    let run = board.member.run(&json!({})).await;
    assert!(text(&run, "error").contains("EVALBOARD_GRADER_MODEL"), "{run}");
    let results = board.anonymous.read(&format!("{}/results", of(&run))).await;
    assert_has(
        &results[0],
        json!({"score": null, "state": "incomplete", "error": "1 of 1 failed: grader_failed"}),
    );
    let cases = board.anonymous.read(&format!("/api/v1/results/{}/cases", text(&results[0], "id"))).await;
    assert_has(&cases[0], json!({"state": "unscored", "reason": "grader_failed", "score": null}));
    assert_eq!(board.anonymous.read(BOARD).await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registered_model_grades_and_what_it_said_is_kept() {
    let board = Board::busy().await;
    let verdict = "builtin:constant?answer=%7B%22score%22%3A0.5%7D";
    let judge = json!({"name": "Judge", "inference_uri": verdict, "is_active": false});
    board.member.made("/api/v1/models", &judge).await;
    board.member.model("builtin:echo").await;
    let criteria = json!({"rubric": "Right?", "grader": "Judge"});
    board.member.eval(&with(capital(), json!({"eval_type": "rubric", "eval_criteria": criteria}))).await;
    let run = board.member.run(&json!({})).await;
    let results = board.anonymous.read(&format!("{}/results", of(&run))).await;
    assert_has(&results[0], json!({"score": 0.5, "state": "complete", "passed_count": 1}));
    let cases = board.anonymous.read(&format!("/api/v1/results/{}/cases", text(&results[0], "id"))).await;
    let case = board.anonymous.read(&format!("/api/v1/cases/{}", text(&cases[0], "id"))).await;
    assert_has(&case, json!({"self_graded": false, "score": 0.5}));
    assert_eq!(case["transcript"]["votes"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_trigger_sent_twice_with_one_key_is_one_run() {
    let board = Board::idle().await;
    board.member.model("builtin:echo").await;
    board.member.eval(&sums()).await;
    let ask = || board.member.ask(reqwest::Method::POST, RUNS).header("idempotency-key", "once").send();
    let (first, again) = (ask().await, ask().await);
    assert_eq!((first.code(), again.code()), (202, 202));
    assert_eq!(first.json(), again.json());
    assert_eq!(board.anonymous.get(RUNS).await.header("x-total-count"), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_and_their_results_are_paged_newest_first() {
    let board = Board::busy().await;
    for uri in ["builtin:calculator", "builtin:echo", "builtin:keyword"] {
        board.member.model(uri).await;
    }
    board.member.eval(&sums()).await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(text(&board.member.run(&json!({})).await, "id").to_owned());
    }
    made.reverse();
    assert_eq!(board.anonymous.pages(RUNS, 2).await, made);
    let results = format!("{RUNS}/{}/results", made[0]);
    let ids = column(&board.anonymous.read(&results).await, "id");
    assert_eq!(board.anonymous.pages(&results, 2).await, ids);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_an_open_run_is_asked_for_anew_and_renewed_by_each_write() {
    let board = Board::idle().await;
    board.member.model("builtin:calculator").await;
    board.member.eval(&sums()).await;
    let list = board.anonymous.holding(RUNS).await;
    let path = format!("{RUNS}/{}", board.member.trigger(&json!({})).await);
    let list = list.renewed().await;
    let results = format!("{path}/results");
    for path in [RUNS, &path, &results] {
        assert_eq!(board.anonymous.get(path).await.header("cache-control"), "no-cache", "{path}");
    }
    let one = board.anonymous.holding(&path).await;
    let none = board.anonymous.holding(&results).await;
    board.house.app.engine.start().await.unwrap();
    board.member.until(&path, |run| run["status"] == "completed").await;
    let (_, one, rows) = (list.renewed().await, one.renewed().await, none.renewed().await);
    for path in [RUNS, &path, &results] {
        assert_eq!(board.anonymous.get(path).await.header("cache-control"), "public, max-age=60", "{path}");
    }
    let eval = board.anonymous.read("/api/v1/evals").await[0]["id"].clone();
    board.member.delete(&format!("/api/v1/evals/{}", eval.as_str().unwrap())).await;
    one.renewed().await;
    rows.renewed().await;
}
