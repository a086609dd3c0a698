//! A person's verdict in place of the scorer's: both are kept, the person's counts, and nothing of it is silent.

use std::collections::HashMap;

use evalboard::service::people;
use evalboard::store::{self, check};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::browser::{Browser, between};
use crate::support::field::{Field, count, list, samples, until};
use crate::support::provider::{Act, Gate, Script};
use crate::support::steps::{assert_has, capital, column, sums, text, with};
use crate::support::{Board, Client, Reply};

const BOARD: &str = "/api/v1/leaderboard";
const LEDGER: &str = "/api/v1/ledger";

impl Client {
    /// Says of a case that it is right, or wrong.
    async fn judge(&self, case: &str, correct: bool) -> Reply {
        self.say(case, json!({"correct": correct, "reason": "It is so"})).await
    }

    async fn say(&self, case: &str, verdict: Value) -> Reply {
        self.post(&format!("/api/v1/cases/{case}/overrule"), &verdict).await
    }

    async fn take_back(&self, case: &str, query: &str) -> Reply {
        self.delete(&format!("/api/v1/cases/{case}/overrule{query}")).await
    }

    /// The cases of a result.
    async fn cases(&self, result: &Value) -> Vec<Value> {
        list(&self.read(&format!("/api/v1/results/{}/cases", text(result, "id"))).await)
    }
}

/// What was judged must work.
fn done(reply: Reply) -> Value {
    assert_eq!(reply.code(), 200, "{}", reply.text());
    reply.json()
}

/// The eval is the member's, the models are the other's: one is right on all of three sums, one on the first.
struct Place {
    board: Board,
    /// The results of the better model and of the other one.
    results: [Value; 2],
}

impl Place {
    async fn new() -> Self {
        let board = Board::busy().await;
        let mut models = Vec::new();
        for uri in ["builtin:calculator", "builtin:constant?answer=2"] {
            models.push(board.other.model(uri).await);
        }
        board.member.eval(&sums()).await;
        let run = board.member.run(&json!({})).await;
        let results = board.anonymous.read(&format!("/api/v1/runs/{}/results", text(&run, "id"))).await;
        let of = |model: &String| list(&results).into_iter().find(|row| row["model_id"] == *model).unwrap();
        let results = [of(&models[0]), of(&models[1])];
        Self { board, results }
    }

    /// The ids of the cases of one of the results, in the order of its samples.
    async fn cases(&self, at: usize) -> Vec<String> {
        let cases = self.board.anonymous.cases(&self.results[at]).await;
        cases.iter().map(|case| text(case, "id").to_owned()).collect()
    }

    /// One of the results as it is now.
    async fn result(&self, at: usize) -> Value {
        let path = format!("/api/v1/results/{}", text(&self.results[at], "id"));
        self.board.anonymous.read(&path).await
    }

    async fn leader(&self) -> String {
        text(&self.board.anonymous.read(BOARD).await[0], "model_name").to_owned()
    }
}

/// Nothing in the folder contradicts anything else.
async fn assert_sound(board: &Board) {
    let store = &board.house.app.store;
    assert_eq!(store.read(check::counts).await.unwrap(), Vec::<String>::new());
    assert_eq!(store.read(store::ledger::first_unsound).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_persons_verdict_counts_and_the_scorers_is_kept_beside_it() {
    let place = Place::new().await;
    let Place { board, .. } = &place;
    let cases = place.cases(1).await;
    let wrong = format!("/api/v1/cases/{}", cases[1]);
    let before = board.anonymous.read(&wrong).await;
    assert_has(&before, json!({"score": 0.0, "overrule": null}));
    let said = json!({"correct": true, "reason": "  Two and two can be 2, modulo 2 "});
    let answered = done(board.member.say(&cases[1], said).await);
    let after = board.member.read(&wrong).await;
    assert_eq!(answered, after, "a GET after the answer shows the same");
    assert_has(
        &after,
        json!({"state": "scored", "score": 1.0, "reason": null, "response": before["response"]}),
    );
    let overrule = json!({
        "score": 1.0, "reason": "Two and two can be 2, modulo 2", "submitted_by": "member@example.org",
        "scorer": {"state": "scored", "score": 0.0, "reason": before["reason"], "error": null},
    });
    assert_has(&after["overrule"], overrule);
    assert!(after["overrule"]["at"].is_i64() && after["overrule"]["user_id"].is_string());

    let result = place.result(1).await;
    assert_has(&result, json!({"passed_count": 2, "scored_count": 3, "overruled_count": 1}));
    assert_eq!(result["score"], 2.0 / 3.0);
    // Wilson for 2 of 3: 20.8 to 93.9.
    assert!((result["ci_low"].as_f64().unwrap() - 0.2077).abs() < 1e-4, "{result}");
    let listed = board.anonymous.cases(&place.results[1]).await;
    let mean = listed.iter().map(|case| case["score"].as_f64().unwrap()).sum::<f64>() / 3.0;
    assert_eq!(result["score"], mean, "the cases add up to the result");
    let path = format!("/api/v1/results/{}/cases", text(&result, "id"));
    assert_eq!(column(&board.anonymous.read(&format!("{path}?state=overruled")).await, "id"), [&*cases[1]]);
    assert_eq!(column(&board.anonymous.read(&format!("{path}?state=wrong")).await, "id"), [&*cases[2]]);
    let row = &board.anonymous.read(BOARD).await[1];
    assert_eq!(row["avg_score"], 2.0 / 3.0, "{row}");
    let shown = &row["scores"][text(&result, "eval_id")];
    assert_has(shown, json!({"score": 2.0 / 3.0, "overruled": 1, "result_id": result["id"]}));

    let line = &board.anonymous.read(LEDGER).await[0];
    let told = json!({
        "action": "overruled", "noun": "case", "subject": cases[1], "submitted_by": "member@example.org",
        "name": "builtin:constant?answer=2 on Sums, sample four", "reason": "Two and two can be 2, modulo 2",
        "summary": "verdict: \"0\" to \"1\"; score of the result: \"33.3 points\" to \"66.7 points\"",
    });
    assert_has(line, told);
    assert!(line["before_digest"].is_string() && line["before_digest"] != line["after_digest"], "{line}");
    assert_sound(board).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_board_turns_with_the_verdicts_and_turns_back_to_the_very_same() {
    let place = Place::new().await;
    let Place { board, .. } = &place;
    let (better, worse) = ("builtin:calculator", "builtin:constant?answer=2");
    assert_eq!(place.leader().await, better);
    let bytes = board.anonymous.get(BOARD).await.text();
    let results = [place.result(0).await, place.result(1).await];
    let yesterday = format!("{BOARD}?as_of={}", results[0]["created_at"].as_i64().unwrap() - 1);
    let past = board.anonymous.get(&yesterday).await.text();
    let cases = place.cases(0).await;
    for case in &cases {
        done(board.member.judge(case, false).await);
    }
    assert_eq!(place.leader().await, worse);
    assert_has(&place.result(0).await, json!({"score": 0.0, "passed_count": 0, "overruled_count": 3}));
    let compared = board
        .anonymous
        .read(&format!(
            "{BOARD}/compare?a={}&b={}",
            text(&results[0], "model_id"),
            text(&results[1], "model_id")
        ))
        .await;
    assert_eq!(compared["difference"], -1.0 / 3.0, "item scores follow: {compared}");
    // The board's date is that of the answers, and so is its past.
    assert_eq!(board.anonymous.read(BOARD).await[1]["last_run_at"], {
        let before: Value = serde_json::from_str(&bytes).unwrap();
        before[0]["last_run_at"].clone()
    });
    assert_eq!(board.anonymous.get(&yesterday).await.text(), past);
    for case in &cases {
        done(board.member.take_back(case, "?reason=I%20misread%20it").await);
    }
    assert_eq!(board.anonymous.get(BOARD).await.text(), bytes);
    assert_eq!([place.result(0).await, place.result(1).await], results);
    let line = &board.anonymous.read(LEDGER).await[0];
    assert_has(line, json!({"action": "reinstated", "reason": "I misread it"}));
    assert_sound(board).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_of_the_eval_judges_but_nobody_in_his_own_cause() {
    let place = Place::new().await;
    let Place { board, .. } = &place;
    let case = &place.cases(1).await[1];
    assert_eq!(board.anonymous.judge(case, true).await.code(), 401);
    let model_owner = board.other.judge(case, true).await;
    model_owner.assert_refused(403, "error", "only the owner of this eval or an admin may do that");
    assert_eq!(board.other.take_back(case, "?reason=x").await.code(), 403);
    done(board.member.judge(case, true).await);
    done(board.admin.judge(case, false).await);
    done(board.admin.take_back(case, "?reason=x").await);
    // The member's own model on his own eval takes an admin.
    board.member.model("builtin:echo").await;
    let run = board.member.run(&json!({"only_missing": true})).await;
    let results = board.anonymous.read(&format!("/api/v1/runs/{}/results", text(&run, "id"))).await;
    let own = text(&board.anonymous.cases(&results[0]).await[0], "id").to_owned();
    let refused = board.member.judge(&own, true).await;
    assert_eq!(refused.code(), 403);
    assert!(text(&refused.json(), "error").contains("the model is your own"), "{}", refused.text());
    done(board.admin.judge(&own, true).await);
    assert_eq!(board.member.take_back(&own, "?reason=x").await.code(), 403);
    assert_sound(board).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_verdict_is_refused_with_the_field_that_is_to_blame() {
    let place = Place::new().await;
    let Place { board, .. } = &place;
    let case = &place.cases(1).await[1];
    let before = board.member.read(&format!("/api/v1/cases/{case}")).await;
    let lines = board.anonymous.read(LEDGER).await.as_array().unwrap().len();
    let long = "x".repeat(501);
    for (verdict, field) in [
        (json!({"reason": "x"}), "score"),
        (json!({"score": 1, "correct": true, "reason": "x"}), "score"),
        (json!({"score": 0.5, "reason": "x"}), "score"),
        (json!({"score": -1, "reason": "x"}), "score"),
        (json!({"score": 1e300, "reason": "x"}), "score"),
        (json!({"correct": true, "reason": " "}), "reason"),
        (json!({"correct": true, "reason": long}), "reason"),
        (json!({"correct": true, "reason": "a\u{7}b"}), "reason"),
    ] {
        board.member.say(case, verdict).await.assert_refused(400, "field", field);
    }
    for verdict in
        [json!({"correct": true}), json!({"correct": "yes", "reason": "x"}), json!({"right": true})]
    {
        assert_eq!(board.member.say(case, verdict).await.code(), 400);
    }
    board.member.take_back(case, "").await.assert_refused(400, "field", "reason");
    board.member.take_back(case, "?reason=x").await.assert_refused(409, "code", "not_overruled");
    assert_eq!(board.member.judge("nothing", true).await.code(), 404);
    assert_eq!(board.member.read(&format!("/api/v1/cases/{case}")).await, before);
    // The same said twice is told once.
    done(board.member.judge(case, true).await);
    done(board.member.judge(case, true).await);
    assert_eq!(board.anonymous.read(LEDGER).await.as_array().unwrap().len(), lines + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_that_counts_already_is_refused() {
    let place = Place::new().await;
    let Place { board, .. } = &place;
    let case = &place.cases(1).await[1];
    let lines = async || board.anonymous.read(LEDGER).await.as_array().unwrap().len();
    let before = lines().await;
    let same = board.member.say(case, json!({"correct": false, "reason": "It is wrong"})).await;
    same.assert_refused(409, "code", "same_verdict");
    assert_has(&place.result(1).await, json!({"overruled_count": 0}));
    assert_eq!(lines().await, before);
    done(board.member.say(case, json!({"correct": true, "reason": "It is right"})).await);
    let same = board.admin.say(case, json!({"score": 1, "reason": "I think so too"})).await;
    same.assert_refused(409, "code", "same_verdict");
    assert_eq!(lines().await, before + 1);
    done(board.member.say(case, json!({"correct": false, "reason": "It is wrong after all"})).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scorer_that_gives_points_takes_any_and_the_key_makes_it_happen_once() {
    let board = Board::busy().await;
    board.other.model("builtin:echo").await;
    board.member.eval(&with(capital(), json!({"eval_type": "f1"}))).await;
    let run = board.member.run(&json!({})).await;
    let results = board.anonymous.read(&format!("/api/v1/runs/{}/results", text(&run, "id"))).await;
    let case = text(&board.anonymous.cases(&results[0]).await[0], "id").to_owned();
    let ask = || {
        let path = format!("/api/v1/cases/{case}/overrule");
        let verdict = json!({"score": 0.625, "reason": "Nearly"});
        board.member.ask(Method::POST, &path).header("idempotency-key", "once").json(&verdict)
    };
    let first = done(ask().send().await);
    assert_eq!(first["score"], 0.625);
    done(board.member.judge(&case, false).await);
    assert_eq!(done(ask().send().await), first, "the first answer again, and nothing done");
    let result = board.anonymous.read(&format!("/api/v1/results/{}", text(&results[0], "id"))).await;
    assert_has(&result, json!({"score": 0.0, "overruled_count": 1}));
    let now = board.anonymous.read(&format!("/api/v1/cases/{case}")).await;
    assert_eq!(
        now["overrule"]["scorer"]["score"], results[0]["score"],
        "the scorer's is the scorer's: {now}"
    );
    assert_sound(&board).await;
}

/// A field whose grader never gives a verdict, with the result of a first run that it did grade.
async fn graded() -> (Field, String, String, Value) {
    let field = Field::start().await;
    let grader = field.model("grader", Script::always(Act::verdict(0.25)), json!({"is_active": false})).await;
    let model = field.model("model", Script::says("Four, I think."), json!({})).await;
    let criteria = json!({"rubric": "Says four.", "grader": grader});
    let rows = samples(2, |at| (format!("2 + 2? {at}"), String::new()));
    let eval = field.eval("judged", "rubric", json!({"samples": rows, "eval_criteria": criteria})).await;
    let first = field.run_all().await;
    let result = field.result(&first, &model, &eval).await;
    field.provider.script("grader", Script::says("No idea."));
    (field, model, eval, result)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unscored_answer_can_be_judged_and_counts_as_measured_for_as_long() {
    let (field, model, eval, first) = graded().await;
    let admin = &field.board.admin;
    let run = field.run_all().await;
    let path = format!("/api/v1/runs/{}", text(&run, "id"));
    assert_has(&run, json!({"status": "failed", "case_errors": 2, "error": "no case could be measured"}));
    let result = field.result(&run, &model, &eval).await;
    let cases = field.cases(&result).await;
    assert_eq!(column(&json!(cases), "state"), ["unscored"; 2]);
    let shown = |rows: &[Value]| rows[0]["scores"][&eval].clone();
    assert_eq!(shown(&field.leaderboard().await)["result_id"], first["id"]);

    let judged = done(admin.say(text(&cases[0], "id"), json!({"score": 0.75, "reason": "Says four"})).await);
    assert_has(&judged, json!({"state": "scored", "score": 0.75, "reason": null, "error": null}));
    let scorer = json!({"state": "unscored", "score": null, "reason": "grader_failed"});
    assert_has(&judged["overrule"]["scorer"], scorer);
    // One of two is measured: the run is no failure any more, the result is still incomplete.
    assert_has(&field.get(&path).await, json!({"status": "completed", "case_errors": 1, "error": null}));
    assert_eq!(field.result(&run, &model, &eval).await["state"], "incomplete");
    assert_eq!(shown(&field.leaderboard().await)["result_id"], first["id"]);
    assert_sound(&field.board).await;

    done(admin.say(text(&cases[1], "id"), json!({"score": 1, "reason": "Says four"})).await);
    let whole = field.result(&run, &model, &eval).await;
    assert_has(&whole, json!({"state": "complete", "score": 0.875, "scored_count": 2, "error": null}));
    let row = &field.leaderboard().await[0];
    assert_eq!((&row["scores"][&eval]["result_id"], &row["runs"]), (&whole["id"], &json!(2)), "{row}");
    assert_sound(&field.board).await;

    // Taken back, the earlier result stands on the board again.
    for case in &cases {
        done(admin.take_back(text(case, "id"), "?reason=I%20cannot%20tell").await);
    }
    assert_eq!(field.result(&run, &model, &eval).await, result);
    assert_has(&field.get(&path).await, json!({"status": "failed", "case_errors": 2}));
    let row = &field.leaderboard().await[0];
    assert_eq!((&row["scores"][&eval]["result_id"], &row["runs"]), (&first["id"], &json!(1)), "{row}");
    assert_sound(&field.board).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_was_no_answer_there_is_nothing_to_judge() {
    let field = Field::start().await;
    let model = field.model("model", Script::always(Act::Status(404, None)), json!({})).await;
    let rows = samples(1, |_| ("Say yes".to_owned(), "yes".to_owned()));
    let eval = field.eval("say", "exact", json!({"samples": rows})).await;
    let run = field.run_all().await;
    let case = field.only_case(&run, &model, &eval).await;
    let refused = field.board.admin.judge(text(&case, "id"), true).await;
    refused.assert_refused(409, "code", "no_answer");
    let page = field.board.anonymous.get(&format!("/cases/{}", text(&case, "id"))).await.text();
    assert!(!page.contains("/settings/cases/"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_leaves_such_a_verdict_alone_and_takes_none_meanwhile() {
    let (field, model, eval, _) = graded().await;
    let admin = &field.board.admin;
    let run = field.run_all().await;
    let id = text(&run, "id").to_owned();
    let cases = field.cases(&field.result(&run, &model, &eval).await).await;
    done(admin.say(text(&cases[0], "id"), json!({"score": 0.75, "reason": "Says four"})).await);
    let gate = Gate::closed();
    let held = gate.clone();
    let verdict = json!({"reasoning": "now it can tell", "score": 0.5}).to_string();
    field.provider.script("grader", Script::by(move |_| Act::Wait(held.clone(), verdict.clone())));
    let retried = field.board.member.post(&format!("/api/v1/runs/{id}/retry"), &json!({})).await;
    assert_eq!(retried.code(), 202, "{}", retried.text());
    admin.judge(text(&cases[0], "id"), true).await.assert_refused(409, "code", "run_open");
    admin.take_back(text(&cases[0], "id"), "?reason=x").await.assert_refused(409, "code", "run_open");
    gate.open();
    field.ended(&id).await;
    let result = field.result(&run, &model, &eval).await;
    assert_has(&result, json!({"state": "complete", "score": 0.625, "overruled_count": 1}));
    let kept = field.get(&format!("/api/v1/cases/{}", text(&cases[0], "id"))).await;
    assert_has(&kept, json!({"score": 0.75, "state": "scored"}));
    assert_sound(&field.board).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rescore_makes_a_result_of_its_own_that_nobody_has_overruled() {
    let place = Place::new().await;
    let Place { board, .. } = &place;
    let case = &place.cases(1).await[1];
    done(board.member.judge(case, true).await);
    let run = text(&place.results[1], "eval_run_id").to_owned();
    let again = board.member.post(&format!("/api/v1/runs/{run}/rescore"), &json!({})).await;
    assert_eq!(again.code(), 202, "{}", again.text());
    let again = text(&again.json(), "id").to_owned();
    board.anonymous.until(&format!("/api/v1/runs/{again}"), |run| run["completed_at"].is_i64()).await;
    let results = board.anonymous.read(&format!("/api/v1/runs/{again}/results")).await;
    let fresh =
        list(&results).into_iter().find(|row| row["rescored_from"] == place.results[1]["id"]).unwrap();
    assert_has(&fresh, json!({"overruled_count": 0, "passed_count": 1}));
    assert_has(&place.result(1).await, json!({"overruled_count": 1, "passed_count": 2}));
    // The earlier one can still be corrected, and does not come back to the board by that.
    done(board.member.judge(&place.cases(1).await[2], true).await);
    let row = &board.anonymous.read(BOARD).await[1];
    assert_eq!((&row["avg_score"], &row["runs"]), (&json!(1.0 / 3.0), &json!(2)), "{row}");
    assert_sound(board).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_have_both_verdicts_in_every_row_and_no_formula() {
    let place = Place::new().await;
    let Place { board, .. } = &place;
    let case = &place.cases(1).await[1];
    done(board.member.say(case, json!({"correct": true, "reason": "=1+1"})).await);
    let path = format!("/api/v1/results/{}/cases", text(&place.results[1], "id"));
    let file = board.anonymous.get(&format!("{path}?format=csv")).await;
    assert_eq!(file.header("content-type"), "text/csv; charset=utf-8");
    let name = format!("_{}_cases.csv\"", text(&place.results[1], "id"));
    assert!(file.header("content-disposition").ends_with(&name), "{}", file.header("content-disposition"));
    let body = file.text();
    let mut rows = csv::Reader::from_reader(body.as_bytes());
    let rows: Vec<HashMap<String, String>> = rows.deserialize().map(Result::unwrap).collect();
    let of = |at: usize, names: [&str; 5]| names.map(|name| rows[at][name].clone());
    let names = ["score", "scorer_score", "overruled_by", "overrule_reason", "answer"];
    assert_eq!(of(0, names), ["1", "1", "", "", "2"]);
    assert_eq!(of(1, names), ["1", "0", "member@example.org", "'=1+1", "2"]);
    assert_eq!(of(2, names), ["0", "0", "", "", "2"]);
    let file = board.anonymous.get(&format!("{path}?format=ndjson&limit=2")).await;
    assert_eq!(file.header("content-type"), "application/x-ndjson");
    assert!(file.header("link").contains("format=ndjson"), "{}", file.header("link"));
    let lines: Vec<Value> = file.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let listed = board.anonymous.cases(&place.results[1]).await;
    assert_eq!(lines, listed[..2]);
    board.anonymous.get(&format!("{path}?format=xls")).await.assert_refused(400, "field", "format");
    let page = board.anonymous.get(&format!("/results/{}", text(&place.results[1], "id"))).await.text();
    assert!(page.contains(&format!("{path}?format=csv")), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_eval_goes_with_all_that_was_said_of_its_answers() {
    let place = Place::new().await;
    let Place { board, .. } = &place;
    let eval = text(&place.results[1], "eval_id").to_owned();
    done(board.member.judge(&place.cases(1).await[1], true).await);
    assert_eq!(board.member.delete(&format!("/api/v1/evals/{eval}")).await.code(), 200);
    until("the purge", async || {
        let left =
            count(board, "SELECT (SELECT COUNT(*) FROM overrules) + (SELECT COUNT(*) FROM cases) AS n");
        (left.await == 0).then_some(())
    })
    .await;
    assert_sound(board).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_show_both_verdicts_and_who_said_what() {
    let place = Place::new().await;
    let Place { board, .. } = &place;
    let case = &place.cases(1).await[1];
    let (page, result) = (format!("/cases/{case}"), format!("/results/{}", text(&place.results[1], "id")));
    let before = board.anonymous.get(&page).await.text();
    assert!(before.contains(&format!("href=\"/settings/cases/{case}\"")), "{before}");
    assert!(!board.anonymous.get(&result).await.text().contains("overruled"));
    let reason = "<b>Modulo</b> \"two\"";
    done(board.member.say(case, json!({"correct": true, "reason": reason})).await);
    let after = board.anonymous.get(&page).await.text();
    assert_eq!(between(&after, "Verdict: <b class=\"good\">", "</b>").as_deref(), Some("correct"));
    assert_eq!(between(&after, "which said <b class=\"bad\">", "</b>").as_deref(), Some("incorrect"));
    for words in ["&#60;b&#62;Modulo&#60;/b&#62;", "member@example.org", "restore the scorer’s verdict"] {
        assert!(after.contains(words), "{words}: {after}");
    }
    let listed = board.anonymous.get(&result).await.text();
    assert!(listed.contains("A person overruled 1 of its 3 verdicts"), "{listed}");
    assert!(listed.contains("?state=overruled"), "{listed}");
    let only = board.anonymous.get(&format!("{result}?state=overruled")).await.text();
    assert_eq!(only.matches("<small>overruled</small>").count(), 1, "{only}");
    let ledger = board.anonymous.get("/ledger").await.text();
    assert!(ledger.contains("verdict overruled") && ledger.contains(&page), "{ledger}");
}

impl Browser {
    /// Signs that person in.
    async fn signed_in(board: &Board, email: &str) -> Self {
        let token = people::link_for(&board.house.app.store, email).await.unwrap().expose().to_owned();
        let mut browser = Self::new(board.address);
        let password = "correct horse battery";
        let fields = [("token", token.as_str()), ("email", ""), ("password", password), ("again", password)];
        let path = format!("/setup?token={token}");
        assert_eq!(browser.fill(&path, "/setup", &fields).await.code(), 303);
        browser
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_answers_for_the_eval_judges_in_the_browser_without_scripts() {
    let place = Place::new().await;
    let Place { board, .. } = &place;
    let case = &place.cases(1).await[1];
    let (form, page) = (format!("/settings/cases/{case}"), format!("/cases/{case}"));
    let stranger = Browser::new(board.address).open(&form).await;
    assert_eq!((stranger.code(), stranger.header("location")), (303, &*format!("/login?next={form}")));
    let mut model_owner = Browser::signed_in(board, "other@example.org").await;
    assert_eq!(model_owner.open(&form).await.code(), 403);

    let mut owner = Browser::signed_in(board, "member@example.org").await;
    let shown = owner.open(&form).await;
    assert_eq!(shown.header("cache-control"), "no-store");
    assert!(shown.text().contains("The scorer says <b class=\"bad\">incorrect</b>"), "{}", shown.text());
    let empty = owner.fill(&form, &form, &[("verdict", "right"), ("reason", " ")]).await;
    assert_eq!(empty.code(), 400);
    assert!(
        empty.text().contains("reason must say why") && empty.text().contains("checked"),
        "{}",
        empty.text()
    );
    for verdict in ["50", "NaN", "200", ""] {
        let bad = owner.fill(&form, &form, &[("verdict", verdict), ("reason", "x")]).await;
        assert_eq!(bad.code(), 400, "{verdict}");
    }
    let judged = owner.fill(&form, &form, &[("verdict", "right"), ("reason", "It is")]).await;
    assert_eq!((judged.code(), judged.header("location")), (303, &*page), "{}", judged.text());
    assert_has(&place.result(1).await, json!({"passed_count": 2, "overruled_count": 1}));
    let unproven = owner.submit(&form, &[("verdict", "wrong"), ("reason", "x"), ("csrf", "none")]).await;
    assert_eq!(unproven.code(), 403);

    let back = format!("{form}/reinstate");
    assert_eq!(model_owner.submit(&back, &[("reason", "x")]).await.code(), 403);
    let taken = owner.fill(&form, &back, &[("reason", "It is not")]).await;
    assert_eq!((taken.code(), taken.header("location")), (303, &*page), "{}", taken.text());
    assert_has(&place.result(1).await, json!({"passed_count": 1, "overruled_count": 0}));
}
