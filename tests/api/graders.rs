//! Who grades: a name means a model of the eval's owner, an admin's or an official one, and what was saved stays.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::field::Field;
use crate::support::provider::{Act, Script};
use crate::support::steps::{assert_has, column, text};
use crate::support::{Board, Client};

/// The id of a model of `client`'s with that name, which answers `answer`.
async fn judge(client: &Client, name: &str, answer: &str) -> String {
    let uri = format!("builtin:constant?answer={answer}");
    let body = json!({"name": name, "inference_uri": uri, "is_active": false});
    text(&client.made("/api/v1/models", &body).await, "id").to_owned()
}

fn judged(grader: &str) -> Value {
    let criteria = json!({"rubric": "Says something.", "grader": grader});
    json!({"name": "Judged", "prompt": "Say it.", "eval_type": "rubric", "eval_criteria": criteria})
}

/// The id of whoever grades an eval now.
async fn grader(board: &Board, eval: &str) -> String {
    text(&board.anonymous.read(&format!("/api/v1/evals/{eval}")).await, "grader").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_providers_model_grades_whatever_models_are_named() {
    let field = Field::operated(&["--grader-model", "house/judge"]).await;
    field.provider.script("judge", Script::always(Act::verdict(0.5)));
    field.provider.script("impostor", Script::always(Act::verdict(1.0)));
    for name in ["house/judge", "other/judge"] {
        let impostor =
            json!({"name": name, "inference_uri": field.provider.uri("impostor"), "is_active": false});
        field.board.member.made("/api/v1/models", &impostor).await;
    }
    field.board.admin.model("builtin:echo").await;
    let unnamed = json!({"name": "Set", "prompt": "Say it.", "eval_type": "rubric",
                         "expected_behavior": "Says something."});
    let evals = [judged("house/judge"), judged("other/judge"), unnamed];
    for eval in &evals {
        field.board.admin.eval(eval).await;
    }
    let run = field.board.admin.run(&json!({})).await;
    assert_has(&run, json!({"status": "completed", "case_errors": 0}));
    assert_eq!((field.provider.asked("judge").len(), field.provider.asked("impostor").len()), (3, 0));
    let board = field.board.anonymous.read("/api/v1/evals").await;
    assert_eq!(column(&board, "grader"), ["house/judge", "other/judge", "house/judge"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_means_own_admins_and_official_models_alone() {
    let board = Board::busy().await;
    let strangers = judge(&board.other, "Judge", "1").await;
    let refused = board.member.post("/api/v1/evals", &judged("Judge")).await;
    refused.assert_refused(400, "field", "eval_criteria.grader");
    let by_id = board.member.eval(&judged(&strangers)).await;
    assert_eq!(grader(&board, &by_id).await, strangers);

    board.admin.changed(&format!("/api/v1/models/{strangers}"), &json!({"is_official": true})).await;
    let by_official = board.member.eval(&judged("Judge")).await;
    assert_eq!(grader(&board, &by_official).await, strangers);
    let admins = judge(&board.admin, "Judge", "2").await;
    let by_admins = board.member.eval(&judged("Judge")).await;
    assert_eq!(grader(&board, &by_admins).await, admins);
    // Whoever takes the name blocks nobody.
    for _ in 0..2 {
        judge(&board.other, "Judge", "3").await;
    }
    let unblocked = board.member.eval(&judged("Judge")).await;
    assert_eq!(grader(&board, &unblocked).await, admins);
    let own = judge(&board.member, "Judge", "4").await;
    let by_own = board.member.eval(&judged("Judge")).await;
    assert_eq!(grader(&board, &by_own).await, own);
    for (eval, graded_by) in [(&by_official, &strangers), (&by_admins, &admins), (&unblocked, &admins)] {
        assert_eq!(grader(&board, eval).await, *graded_by);
    }
    judge(&board.member, "Judge", "5").await;
    let refused = board.member.post("/api/v1/evals", &judged("Judge")).await;
    refused.assert_refused(409, "code", "ambiguous_grader");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saved_grader_stays_through_renames_and_deletions() {
    let board = Board::busy().await;
    board.member.model("builtin:echo").await;
    let first = judge(&board.admin, "Judge", "1").await;
    let eval = board.member.eval(&judged("Judge")).await;
    board.admin.changed(&format!("/api/v1/models/{first}"), &json!({"name": "Emeritus"})).await;
    let second = judge(&board.admin, "Judge", "2").await;
    let own = judge(&board.member, "Judge", "3").await;
    board.member.run(&json!({})).await;
    assert_eq!(grader(&board, &eval).await, first, "a run looks no name up");
    let path = format!("/api/v1/evals/{eval}");
    board.member.changed(&path, &json!({"prompt": "Say it loud."})).await;
    assert_eq!(grader(&board, &eval).await, first, "nor does an edit that names the same grader");

    assert_eq!(board.admin.delete(&format!("/api/v1/models/{first}")).await.code(), 200);
    let version = board.anonymous.read(&path).await["version"].clone();
    board.member.run(&json!({})).await;
    assert_eq!(grader(&board, &eval).await, first, "its cases say that it is gone");
    assert_eq!(board.anonymous.read(&path).await["version"], version);
    // Only whoever edits the eval changes who grades, and the ledger has it.
    board.member.changed(&path, &json!({"prompt": "Say it again."})).await;
    assert_eq!(grader(&board, &eval).await, own);
    let lines = board.anonymous.read(&format!("/api/v1/ledger?subject={eval}")).await;
    let summary = text(&lines[0], "summary");
    assert!(summary.contains(&format!("grader: \"{first}\"")) && summary.contains(&own), "{summary}");
    assert!(!lines.to_string().contains(&second), "{lines}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_default_grader_by_name_is_an_admins_or_official() {
    let board = Board::running(&["--grader-model", "Judge"]).await;
    judge(&board.other, "Judge", "1").await;
    board.member.model("builtin:echo").await;
    let own = judge(&board.member, "Judge", "2").await;
    let unnamed = json!({"name": "Set", "prompt": "Say it.", "eval_type": "rubric",
                         "expected_behavior": "Says something."});
    let eval = board.member.eval(&unnamed).await;
    let path = format!("/api/v1/evals/{eval}");
    assert_eq!(board.anonymous.read(&path).await["grader"], Value::Null);
    let admins = judge(&board.admin, "Judge", "3").await;
    board.member.run(&json!({})).await;
    assert_eq!(grader(&board, &eval).await, admins);
    let lines = board.anonymous.read(&format!("/api/v1/ledger?subject={eval}")).await;
    assert!(text(&lines[0], "summary").contains(&format!("to \"{admins}\"")), "{}", lines[0]);
    // A rename by the admin changes nothing for what is pinned.
    board.admin.changed(&format!("/api/v1/models/{admins}"), &json!({"name": "Other"})).await;
    board.member.run(&json!({})).await;
    assert_eq!(grader(&board, &eval).await, admins);
    assert_ne!(own, admins);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_official_model_takes_no_other_official_ones_name() {
    let board = Board::idle().await;
    let official = judge(&board.member, "Mine", "1").await;
    let path = format!("/api/v1/models/{official}");
    board.admin.changed(&path, &json!({"is_official": true})).await;
    let theirs = judge(&board.other, "Judge", "2").await;
    board.admin.changed(&format!("/api/v1/models/{theirs}"), &json!({"is_official": true})).await;
    let refused = board.member.patch(&path, &json!({"name": "Judge"})).await;
    refused.assert_refused(409, "code", "name_taken");
    board.member.changed(&path, &json!({"name": "Free"})).await;
    board.admin.changed(&path, &json!({"name": "Judge"})).await;
    assert_eq!(board.anonymous.ask(Method::GET, &path).send().await.json()["name"], "Judge");
}
