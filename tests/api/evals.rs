use evalboard::store::Tx;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::Board;
use crate::support::steps::{ELSEWHERE, assert_has, capital, column, sums, text, with};

const EVALS: &str = "/api/v1/evals";
/// What nobody but owner and admin may read of an eval that hides its targets.
const CANARY: &str = "Canary-6b1e";

fn samples(eval: &str) -> String {
    format!("{EVALS}/{eval}/samples")
}

/// Lines of samples that `builtin:calculator` gets right.
fn lines(count: usize) -> String {
    (0..count).map(|at| format!("{{\"input\": \"{at} + 1\", \"target\": \"{}\"}}\n", at + 1)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_eval_shows_all_that_was_said_of_it() {
    let board = Board::idle().await;
    let said = with(
        sums(),
        json!({
            "description": "Adds.", "expected_behavior": "The sum.", "eval_criteria": "{\"abs_tol\": 0.5}",
            "epochs": 3, "reducer": "mean", "pass_threshold": 0.75, "category": "Maths", "tags": ["add", "easy"],
            "weight": 2.5, "chance_level": 0.25, "higher_is_better": true, "hidden_targets": false,
            "is_active": false,
        }),
    );
    let made = board.member.made(EVALS, &said).await;
    for (field, value) in said.as_object().unwrap().iter().filter(|(field, _)| *field != "samples") {
        assert_eq!(&made[field], value, "{field}");
    }
    assert_has(&made, json!({"version": 1, "sample_count": 3, "scorer": "numeric"}));
    assert_eq!(board.anonymous.read(&format!("{EVALS}/{}", text(&made, "id"))).await, made);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_out_has_its_default() {
    let board = Board::idle().await;
    let rubric =
        json!({"name": "R", "prompt": "Say it.", "eval_type": "llm-rubric", "expected_behavior": "Said."});
    for (body, scorer, threshold) in [(sums(), "numeric", 1.0), (rubric, "rubric", 0.5)] {
        let made = board.member.made(EVALS, &body).await;
        let defaults = json!({
            "scorer": scorer, "pass_threshold": threshold, "epochs": 1, "reducer": "mean", "weight": 1.0,
            "eval_criteria": "{}", "description": "", "category": null, "tags": [], "chance_level": null,
            "higher_is_better": true, "hidden_targets": false, "is_active": true, "grader": null,
        });
        assert_has(&made, defaults);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn criteria_may_be_an_object_and_are_answered_as_text() {
    let board = Board::idle().await;
    let made = board.member.made(EVALS, &with(sums(), json!({"eval_criteria": {"abs_tol": 0.5}}))).await;
    assert_eq!(made["eval_criteria"], "{\"abs_tol\":0.5}");
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_come_back_in_their_order_as_they_were_given() {
    let board = Board::idle().await;
    let given = json!([
        {"input": "What?", "target": "that", "metadata": {"page": 3}, "cluster_id": "c1"},
        {"id": "own", "input": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Who?"}],
         "target": ["me", "I"]},
    ]);
    let body = json!({"name": "E", "prompt": "{{input}}", "eval_type": "includes", "samples": given});
    let id = board.member.eval(&body).await;
    let shown = board.anonymous.read(&samples(&id)).await;
    let expected = json!([with(given[0].clone(), json!({"id": "0", "target": ["that"]})), given[1]]);
    assert_eq!(shown, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_eval_without_samples_has_its_prompt_as_the_only_one() {
    let board = Board::idle().await;
    let made = board.member.made(EVALS, &capital()).await;
    assert_eq!(made["sample_count"], 1);
    let path = format!("{EVALS}/{}", text(&made, "id"));
    board.member.changed(&path, &json!({"prompt": "Name Spain's.", "expected_behavior": "Madrid"})).await;
    let shown = board.anonymous.read(&format!("{path}/samples")).await;
    assert_eq!(shown, json!([{"id": "0", "input": "Name Spain's.", "target": ["Madrid"]}]));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_decides_a_score_makes_a_new_version_and_taking_it_back_brings_the_old_one() {
    let board = Board::idle().await;
    let path = format!("{EVALS}/{}", board.member.eval(&sums()).await);
    for (edit, version) in [
        (json!({"name": "Additions", "description": "More.", "tags": ["x"], "category": "Maths"}), 1),
        (json!({"weight": 3.0, "is_active": false, "hidden_targets": true, "chance_level": 0.1}), 1),
        (json!({"eval_criteria": {"location": "auto"}}), 1),
        (json!({"eval_criteria": {"abs_tol": 1.0}}), 2),
        (json!({"eval_criteria": {}}), 1),
        (json!({"prompt": "Add: {{input}}"}), 3),
        (json!({"epochs": 2}), 4),
        (json!({"pass_threshold": 0.5}), 5),
        (json!({"eval_type": "includes"}), 6),
        (json!({"eval_type": "icontains"}), 6),
    ] {
        let changed = board.member.changed(&path, &edit).await;
        assert_eq!(changed["version"], version, "{edit}: {changed}");
        assert_eq!(board.member.read(&path).await, changed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_the_samples_cannot_follow_is_refused_and_changes_nothing() {
    let board = Board::idle().await;
    let made = board.member.made(EVALS, &sums()).await;
    let path = format!("{EVALS}/{}", text(&made, "id"));
    let refused = board.member.patch(&path, &json!({"name": "Choose", "eval_type": "choice"})).await;
    refused.assert_refused(400, "field", "samples[0].choices");
    assert_eq!(board.anonymous.read(&path).await, made);
}

#[tokio::test(flavor = "multi_thread")]
async fn old_results_keep_the_version_and_the_samples_they_were_made_with() {
    let board = Board::busy().await;
    board.member.model("builtin:calculator").await;
    let id = board.member.eval(&sums()).await;
    let run = board.member.run(&json!({})).await;
    assert_eq!(board.member.put_samples(&id, lines(2)).await.json()["version"], 2);
    let results = board.anonymous.read(&format!("/api/v1/runs/{}/results", text(&run, "id"))).await;
    assert_eq!(results[0]["eval_version"], 1);
    let cases = format!("/api/v1/results/{}/cases", text(&results[0], "id"));
    assert_eq!(column(&board.anonymous.read(&cases).await, "sample_id"), ["two", "four", "six"]);
    assert_eq!(column(&board.anonymous.read(&samples(&id)).await, "id"), ["0", "1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_samples_replace_all_and_the_same_again_change_nothing() {
    let board = Board::idle().await;
    let id = board.member.eval(&sums()).await;
    let text =
        format!("\n{}\n  \r\n{{\"id\": \"last\", \"input\": \"9 + 1\", \"target\": \"10\"}}", lines(1_200));
    for version in [2, 2] {
        let put = board.member.put_samples(&id, text.clone()).await;
        assert_eq!(put.code(), 200, "{}", put.text());
        assert_has(&put.json(), json!({"version": version, "sample_count": 1_201}));
    }
    let page = board.anonymous.get(&samples(&id)).await;
    assert_eq!((page.header("x-total-count"), page.json().as_array().unwrap().len()), ("1201", 1_000));
    let ids = board.anonymous.pages(&samples(&id), 700).await;
    assert_eq!((ids[0].as_str(), ids[1_199].as_str(), ids[1_200].as_str()), ("0", "1199", "last"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_line_is_named_and_leaves_the_samples_as_they_were() {
    let board = Board::idle().await;
    let id = board.member.eval(&sums()).await;
    let before = board.anonymous.read(&samples(&id)).await;
    let good = lines(1);
    for (bad, field, problem) in [
        ("{", "samples[1]", "EOF"),
        ("[1]", "samples[1]", "expected struct Sample"),
        ("{\"target\": \"1\"}", "samples[1].input", "missing field `input`"),
        (
            "{\"input\": \"1\", \"target\": \"1\", \"answer\": 1}",
            "samples[1].answer",
            "unknown field `answer`",
        ),
        ("{\"input\": null, \"target\": \"1\"}", "samples[1].input", "it is null"),
        ("{\"input\": \"1\", \"target\": {}}", "samples[1].target", "target: must be text, a number"),
        ("{\"input\": \"1\", \"target\": [1, null]}", "samples[1].target", "item 2 is null"),
        ("{\"input\": \"1\", \"target\": [[1]]}", "samples[1].target", "item 1 is a list"),
        ("{\"input\": \"1\", \"target\": null}", "samples[1].target", "is required"),
        ("{\"id\": [1], \"input\": \"1\", \"target\": \"1\"}", "samples[1].id", "it is a list"),
        ("{\"input\": \"1\",", "samples[1]", "a sample must stand on one line"),
        ("{\"input\": \"1\", \"input\": \"2\"}", "samples[1].input", "duplicate field"),
        ("{\"input\": \"1\"}", "samples[1].target", "is required"),
        ("{\"input\": \"1\", \"target\": \"one\"}", "samples[1].target", "number"),
        ("{\"input\": \" \", \"target\": \"1\"}", "samples[1].input", "must hold text"),
        ("{\"id\": \"\", \"input\": \"1\", \"target\": \"1\"}", "samples[1].id", "1-100 characters"),
    ] {
        let refused = board.member.put_samples(&id, format!("{good}\n{bad}\n{good}")).await;
        assert_eq!(refused.code(), 400, "{bad}: {}", refused.text());
        let (problems, error) = (refused.json(), text(&refused.json(), "error").to_owned());
        assert_eq!(problems["field"], field, "{bad}");
        assert!(error.starts_with("line 3: ") && error.contains(problem), "{bad}: {error}");
    }
    assert_eq!(board.anonymous.read(&samples(&id)).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_that_share_an_id_are_refused_wherever_they_come_from() {
    let board = Board::idle().await;
    let id = board.member.eval(&sums()).await;
    let twice = "{\"id\": \"1\", \"input\": \"1\", \"target\": \"1\"}\n".repeat(2);
    let implied = format!("{}{}", lines(2), twice.lines().next().unwrap());
    let far = format!("{}{}", lines(800), twice.lines().next().unwrap());
    for (lines, field) in [(twice, "samples[1].id"), (implied, "samples[2].id"), (far, "samples[800].id")] {
        let refused = board.member.put_samples(&id, lines).await;
        refused.assert_refused(400, "field", field);
        assert!(refused.text().contains("unique within an eval"), "{}", refused.text());
    }
    let sample = json!({"id": "x", "input": "1", "target": "1"});
    let refused = board.member.post(EVALS, &with(sums(), json!({"samples": [sample, sample]}))).await;
    refused.assert_refused(400, "field", "samples[1].id");
    assert_eq!(board.anonymous.read(&samples(&id)).await.as_array().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_samples_at_all_are_refused() {
    let board = Board::idle().await;
    let id = board.member.eval(&sums()).await;
    for body in ["", "\n\n", "  \n"] {
        let refused = board.member.put_samples(&id, body).await;
        refused.assert_refused(400, "field", "samples");
        assert!(refused.text().contains("one JSON object per line"), "{}", refused.text());
    }
    let refused = board.member.post(EVALS, &with(sums(), json!({"samples": []}))).await;
    refused.assert_refused(400, "field", "samples");
    assert!(refused.text().contains("leave it out"), "{}", refused.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_eval_takes_its_results_along_and_its_runs_are_counted_again() {
    let board = Board::busy().await;
    for uri in ["builtin:calculator", "builtin:echo"] {
        board.member.model(uri).await;
    }
    let (doomed, kept) = (board.member.eval(&capital()).await, board.member.eval(&sums()).await);
    let run = board.member.run(&json!({})).await;
    let path = format!("/api/v1/runs/{}", text(&run, "id"));
    let results = board.anonymous.read(&format!("{path}/results")).await;
    let of_doomed = results.as_array().unwrap().iter().find(|row| row["eval_id"] == *doomed).unwrap();
    let result = format!("/api/v1/results/{}", text(of_doomed, "id"));
    let case = board.anonymous.read(&format!("{result}/cases")).await;
    let gone = [
        format!("{EVALS}/{doomed}"),
        samples(&doomed),
        result.clone(),
        format!("{result}/cases"),
        format!("/api/v1/cases/{}", text(&case[0], "id")),
    ];
    let deleted = board.member.delete(&gone[0]).await;
    assert_eq!((deleted.code(), deleted.json()), (200, json!({"success": true})));
    for path in &gone {
        assert_eq!(board.anonymous.get(path).await.code(), 404, "{path}");
    }
    let left = board.anonymous.read(&format!("{path}/results")).await;
    assert_eq!(column(&left, "eval_id"), [kept.clone(), kept.clone()]);
    let counted =
        json!({"total_evals": 1, "total_models": 2, "completed_count": 2, "case_total": 6, "case_done": 6});
    assert_has(&board.anonymous.read(&path).await, counted);
    let row = &board.anonymous.read("/api/v1/leaderboard").await[0];
    assert_has(row, json!({"eval_count": 1, "coverage": {"measured": 1, "suite": 1}}));
    assert_eq!(column(&board.anonymous.read(EVALS).await, "id"), [kept]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_only_eval_is_deleted_ends() {
    let board = Board::idle().await;
    board.member.model("builtin:calculator").await;
    let id = board.member.eval(&sums()).await;
    let run = board.member.trigger(&json!({})).await;
    board.member.delete(&format!("{EVALS}/{id}")).await;
    board.house.app.engine.start().await.unwrap();
    let over = board.member.until(&format!("/api/v1/runs/{run}"), |run| run["completed_at"].is_i64()).await;
    assert_has(&over, json!({"total_evals": 0, "case_total": 0, "case_done": 0}));
    assert_eq!(board.anonymous.read(&format!("/api/v1/runs/{run}/results")).await, json!([]));
}

/// An eval that hides its targets, with a canary in everything that it withholds.
fn hidden(more: Value) -> Value {
    let target = format!("{CANARY}-target");
    let body = json!({
        "name": "Hidden", "prompt": "{{input}}", "hidden_targets": true, "eval_type": "includes",
        "expected_behavior": format!("{CANARY}-expected"),
        "samples": [{"id": "s", "input": format!("Say {target}").to_lowercase(), "target": target}],
    });
    with(body, more)
}

#[tokio::test(flavor = "multi_thread")]
async fn hidden_targets_are_shown_to_owner_and_admin_alone() {
    let board = Board::busy().await;
    board.member.model("builtin:echo").await;
    let pattern = json!({
        "eval_type": "pattern", "eval_criteria": {"pattern": format!("({CANARY}-target)")},
    });
    let id = board.member.eval(&hidden(json!({}))).await;
    let judged = board.member.eval(&hidden(pattern)).await;
    let run = board.member.run(&json!({})).await;
    let mut paths =
        vec![EVALS.to_owned(), format!("{EVALS}/{id}"), samples(&id), format!("{EVALS}/{judged}")];
    let results = format!("/api/v1/runs/{}/results", text(&run, "id"));
    for result in column(&board.anonymous.read(&results).await, "id") {
        let cases = format!("/api/v1/results/{result}/cases");
        for case in column(&board.anonymous.read(&cases).await, "id") {
            paths.push(format!("/api/v1/cases/{case}"));
        }
        paths.extend([format!("/api/v1/results/{result}"), cases]);
    }
    paths.push(results);
    for path in &paths {
        for client in [&board.anonymous, &board.other] {
            let shown = client.get(path).await.text();
            assert!(!shown.contains(CANARY), "{path}: {shown}");
        }
    }
    let shows = [EVALS.to_owned(), format!("{EVALS}/{id}"), samples(&id), paths[4].clone()];
    for path in &shows {
        for client in [&board.member, &board.admin] {
            assert!(client.get(path).await.text().contains(CANARY), "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_withheld_has_its_field_and_says_nothing() {
    let board = Board::busy().await;
    board.member.model("builtin:echo").await;
    let id = board.member.eval(&hidden(json!({"eval_criteria": {"ignore_case": true}}))).await;
    let run = board.member.run(&json!({})).await;
    let eval = board.anonymous.read(&format!("{EVALS}/{id}")).await;
    assert_has(&eval, json!({"expected_behavior": "", "eval_criteria": "{}"}));
    let sample = board.anonymous.read(&samples(&id)).await;
    assert_eq!(sample[0].get("target"), None);
    let results = board.anonymous.read(&format!("/api/v1/runs/{}/results", text(&run, "id"))).await;
    assert_has(&results[0], json!({"score": 1.0, "score_details": "{}"}));
    let cases = format!("/api/v1/results/{}/cases", text(&results[0], "id"));
    let case = board.anonymous.read(&cases).await[0].clone();
    assert_has(&case, json!({"target": null, "score": 1.0}));
    let case = board.anonymous.read(&format!("/api/v1/cases/{}", text(&case, "id"))).await;
    assert_has(&case, json!({"target": null, "score_details": null, "transcript": null}));
}

#[tokio::test(flavor = "multi_thread")]
async fn hiding_the_targets_holds_from_the_next_read_on() {
    let board = Board::busy().await;
    board.member.model("builtin:echo").await;
    let id = board.member.eval(&hidden(json!({"hidden_targets": false}))).await;
    let run = board.member.run(&json!({})).await;
    let results = board.anonymous.read(&format!("/api/v1/runs/{}/results", text(&run, "id"))).await;
    let cases = format!("/api/v1/results/{}/cases", text(&results[0], "id"));
    let paths = [format!("{EVALS}/{id}"), samples(&id), cases];
    for hides in [true, false, true] {
        board.member.changed(&paths[0], &json!({"hidden_targets": hides})).await;
        for path in &paths {
            assert_eq!(board.anonymous.get(path).await.text().contains(CANARY), !hides, "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grader_is_named_by_id_or_name_and_pinned_to_its_revision() {
    let board = Board::idle().await;
    let grader =
        board.member.made("/api/v1/models", &json!({"name": "Judge", "inference_uri": ELSEWHERE})).await;
    let body = with(
        capital(),
        json!({"eval_type": "rubric", "eval_criteria": {"rubric": "Right?", "grader": "Judge"}}),
    );
    let made = board.member.made(EVALS, &body).await;
    assert_has(&made, json!({"grader": grader["id"], "scorer": "rubric"}));
    let unknown = with(body.clone(), json!({"eval_criteria": {"rubric": "Right?", "grader": "Nobody"}}));
    let refused = board.member.post(EVALS, &unknown).await;
    refused.assert_refused(400, "field", "eval_criteria.grader");
    board.member.made("/api/v1/models", &json!({"name": "Judge", "inference_uri": ELSEWHERE})).await;
    let refused = board.member.post(EVALS, &body).await;
    refused.assert_refused(409, "code", "ambiguous_grader");
}

#[tokio::test(flavor = "multi_thread")]
async fn evals_are_paged_newest_first() {
    let board = Board::idle().await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(board.member.eval(&sums()).await);
    }
    made.reverse();
    assert_eq!(board.anonymous.pages(EVALS, 2).await, made);
    assert_eq!(board.anonymous.pages(&samples(&made[0]), 2).await, ["two", "four", "six"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_holds_a_copy_is_told_of_each_write_at_once() {
    let board = Board::idle().await;
    let list = board.anonymous.holding(EVALS).await;
    let id = board.member.eval(&sums()).await;
    let list = list.renewed().await;
    let path = format!("{EVALS}/{id}");
    let (one, items) = (board.anonymous.holding(&path).await, board.anonymous.holding(&samples(&id)).await);
    assert_eq!(board.member.put_samples(&id, lines(2)).await.code(), 200);
    let (list, one, items) = (list.renewed().await, one.renewed().await, items.renewed().await);
    board.member.changed(&path, &json!({"name": "Renamed"})).await;
    let (list, one) = (list.renewed().await, one.renewed().await);
    board.member.delete(&path).await;
    list.renewed().await;
    one.gone().await;
    items.gone().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_go_up_as_what_is_read_here() {
    let board = Board::idle().await;
    let path = samples(&board.member.eval(&sums()).await);
    for (content_type, status) in [
        ("application/x-ndjson", 200),
        ("application/jsonl", 200),
        ("application/json", 200),
        ("application/x-www-form-urlencoded", 415),
        ("application/x-ndjson; charset=utf-16", 415),
        ("application/x-ndjson; charset=UTF-8", 200),
        ("application/xml", 415),
    ] {
        let put = board.member.ask(Method::PUT, &path).header("content-type", content_type).body(lines(1));
        assert_eq!(put.send().await.code(), status, "{content_type}");
    }
    let long = format!("{{\"input\": \"{}\"}}", "a".repeat(2 * 1024 * 1024));
    let put = board.member.ask(Method::PUT, &path).header("content-type", "application/x-ndjson").body(long);
    let refused = put.send().await;
    refused.assert_refused(413, "code", "too_large");
    assert!(refused.text().contains("line 1 is longer than 2 MB"), "{}", refused.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_misspelt_placeholder_is_refused_where_it_is_written() {
    let board = Board::busy().await;
    let eval = |prompt: &str| with(sums(), json!({"prompt": prompt}));
    let refused = board.member.post(EVALS, &eval("hi {{inpt}}")).await;
    refused.assert_refused(400, "field", "prompt");
    for words in ["{{inpt}}", "did you mean {{input}}?", "{{!inpt}}"] {
        assert!(refused.text().contains(words), "{}", refused.text());
    }
    let id = board.member.eval(&eval("{{input}} in {{unit}} {{!choice}}")).await;
    let path = format!("{EVALS}/{id}");
    board.member.patch(&path, &json!({"prompt": "{{Input}}"})).await.assert_refused(400, "field", "prompt");
    // What was stored before names were checked goes on working, and the rest of it can be changed.
    let age = |tx: &mut Tx<'_>| tx.execute("UPDATE eval_versions SET prompt = 'Old {{inpt}}'", &[]);
    board.house.app.store.write(age).await.unwrap();
    board.member.changed(&path, &json!({"name": "Renamed", "epochs": 2})).await;
    board.member.changed(&path, &json!({"prompt": "{{input}} {{!input}}"})).await;
    let written = json!([{"input": "{{inpt}} {{choices}}", "target": "1"}]);
    board.member.eval(&with(sums(), json!({"name": "Texts", "samples": written}))).await;
    board.member.model("builtin:echo").await;
    let run = board.member.run(&json!({"eval_ids": [id]})).await;
    let results = board.anonymous.read(&format!("/api/v1/runs/{}/results", text(&run, "id"))).await;
    let cases = format!("/api/v1/results/{}/cases", text(&results[0], "id"));
    let case = board.anonymous.read(&cases).await[0].clone();
    let case = board.anonymous.read(&format!("/api/v1/cases/{}", text(&case, "id"))).await;
    assert_eq!(case["prompt"][0]["content"], "1 + 1 {{input}}");
    let alone = json!({"name": "Alone", "prompt": "Say {{!name}}", "eval_type": "includes", "expected_behavior": "x"});
    let alone = board.member.eval(&alone).await;
    assert_eq!(board.member.read(&samples(&alone)).await[0]["input"], "Say {{name}}");
}
