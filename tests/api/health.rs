//! What is said of an eval itself, and of a model over its runs: in the API and on the pages.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::field::Field;
use crate::support::provider::{Act, Script};
use crate::support::steps::{sums, text, with};
use crate::support::{Board, Reply};

/// Right on all sums, on one of three, and on none.
const THREE: [&str; 3] = ["builtin:calculator", "builtin:constant?answer=2", "builtin:echo"];

impl Board {
    async fn shown(&self, path: &str) -> String {
        let reply: Reply = self.anonymous.ask(Method::GET, path).header("accept", "text/html").send().await;
        assert_eq!(reply.code(), 200, "{path}");
        reply.text()
    }

    async fn health(&self, eval: &str) -> Value {
        self.anonymous.read(&format!("/api/v1/evals/{eval}/health")).await
    }
}

fn near(value: &Value, expected: f64) -> bool {
    (value.as_f64().unwrap() - expected).abs() < 1e-6
}

/// A board on which `models` were run over `eval`, with its id.
async fn measured(models: &[&str], eval: &Value) -> (Board, String) {
    let board = Board::busy().await;
    for uri in models {
        board.member.model(uri).await;
    }
    let eval = board.member.eval(eval).await;
    board.member.run(&json!({})).await;
    (board, eval)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_eval_says_what_it_can_tell_apart() {
    let (board, eval) = measured(&THREE, &sums()).await;
    let health = board.health(&eval).await;
    // Neighbours differ on 2 and on 1 of 3 items: sd = 1 / sqrt(3) and SE = 1 / 3 both times.
    assert!(near(&health["smallest_gap"], (1.959_963_985 + 0.841_621_234) / 3.0), "{health}");
    assert_eq!([&health["n_models"], &health["n_items"], &health["n_pairs"]], [3, 3, 2]);
    assert_eq!(
        [&health["power"], &health["ci_level"], &health["version"]],
        [&json!(0.8), &json!(0.95), &json!(1)]
    );
    let page = board.shown(&format!("/evals/{eval}")).await;
    assert!(
        page.contains("Smallest detectable gap: about 93 points between two models compared alone, about"),
        "{page}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn items_that_all_or_none_solve_are_named() {
    let unsolved = json!({"id": "<b>none</b>", "input": "1 + 1", "target": "3"});
    let solved = json!({"id": "solved", "input": "0 + 2", "target": "2"});
    let mut eval = sums();
    eval["samples"].as_array_mut().unwrap().extend([unsolved, solved]);
    let models = ["builtin:calculator", "builtin:constant?answer=2", "builtin:constant?answer=2"];
    let (board, eval) = measured(&models, &eval).await;
    let health = board.health(&eval).await;
    let items = &health["items"];
    assert_eq!(items["solved_by_none"], json!(["<b>none</b>"]));
    assert_eq!(items["solved_by_all"], json!(["two", "solved"]));
    assert_eq!([&items["suspicious"], &items["n_items"]], [&Value::Null, &json!(5)]);
    assert_eq!([&health["is_saturated"], &health["error_rate"]], [&json!(false), &json!(0.0)]);
    assert_eq!(health["best_scores"], json!([0.8, 0.4, 0.4]));
    let page = board.shown(&format!("/evals/{eval}")).await;
    assert!(page.contains("<li><bdi>&#60;b&#62;none&#60;/b&#62;</bdi></li>"), "{page}");
    assert!(page.contains("Needs results of at least 5 models."));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_better_models_get_wrong_is_suspicious() {
    let wrong = json!({"id": "wrong", "input": "4 + 4", "target": "7"});
    let mut eval = sums();
    eval["samples"].as_array_mut().unwrap().push(wrong);
    let seven = "builtin:constant?answer=7";
    let models = ["builtin:calculator", "builtin:calculator", seven, seven, seven];
    let (board, eval) = measured(&models, &eval).await;
    let health = board.health(&eval).await;
    // Who is right on all others is wrong on this one, and the other way round.
    let suspicious = &health["items"]["suspicious"];
    assert_eq!(suspicious[0]["sample_id"], "wrong");
    assert!(near(&suspicious[0]["rest_correlation"], -1.0), "{suspicious}");
    assert_eq!(suspicious.as_array().unwrap().len(), 1);
    assert!(board.shown(&format!("/evals/{eval}")).await.contains("wrong (−1.00)"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rests_on_too_few_models_is_not_said() {
    let (board, eval) = measured(&THREE[..1], &sums()).await;
    let health = board.health(&eval).await;
    for field in ["smallest_gap", "best_scores", "is_saturated", "items", "grader_agreement"] {
        assert_eq!(health[field], Value::Null, "{field}");
    }
    let page = board.shown(&format!("/evals/{eval}")).await;
    assert!(page.contains("needs results of two models") && page.contains("at least 3 models"));
    let empty = board.member.eval(&with(sums(), json!({"name": "Nothing yet"}))).await;
    assert_eq!(board.health(&empty).await["error_rate"], Value::Null);
    assert!(board.shown(&format!("/evals/{empty}")).await.contains("Nothing was asked of any model yet."));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_health_of_no_eval_is_not_found() {
    let board = Board::start().await;
    assert_eq!(board.anonymous.get("/api/v1/evals/nothing/health").await.code(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_draws_the_history_and_says_what_luck_is_worth() {
    let (board, eval) = measured(&["builtin:constant?answer=2"], &sums()).await;
    let rows = board.anonymous.read("/api/v1/leaderboard").await;
    let model = format!("/models/{}", text(&rows[0], "model_id"));
    let once = board.shown(&model).await;
    assert!(!once.contains("Over runs") && !once.contains("luck"));
    board.member.changed(&format!("/api/v1/evals/{eval}"), &json!({"name": "<i>Sums</i>"})).await;
    board.member.run(&json!({})).await;
    let twice = board.shown(&model).await;
    // Both runs answered every item alike: nothing is left to luck, however far the items differ.
    assert!(
        twice.contains("Best of 2 runs: luck alone is worth about 0.0 points on &#60;i&#62;Sums"),
        "{twice}"
    );
    assert!(twice.contains("The latest run counts, not the best."));
    assert_eq!(twice.matches("<circle").count(), 2);
    assert_eq!(twice.matches("<polyline").count(), 1);
    assert!(twice.contains("<bdi>&#60;i&#62;Sums&#60;/i&#62;</bdi> <small>2 results</small>"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flawless_result_says_what_its_interval_leaves_open() {
    let (board, _) = measured(&THREE, &sums()).await;
    let rows = board.anonymous.read("/api/v1/leaderboard").await;
    let page_of = async |row: &Value| {
        let score = row["scores"].as_object().unwrap().values().next().unwrap();
        board.shown(&format!("/results/{}", text(score, "result_id"))).await
    };
    // The interval of 3 of 3 begins at 43.9.
    let page = page_of(&rows[0]).await;
    assert!(
        page.contains(
            "All 3 items passed: the interval leaves open that up to 56 % of such items would not."
        ),
        "{page}"
    );
    assert!(!page_of(&rows[1]).await.contains("the interval leaves open"));
}

#[tokio::test(flavor = "multi_thread")]
async fn graders_that_vote_differently_are_said_to() {
    let field = Field::start().await;
    let grader = Script::by(|asked| Act::verdict(if asked.nth == 2 { 0.0 } else { 1.0 }));
    let grader = field.model("grader", grader, json!({"is_active": false})).await;
    field.model("student", Script::says("4"), json!({})).await;
    let criteria = json!({"rubric": "Says four.", "grader": grader, "votes": 3});
    let eval = field.eval("judged", "rubric", json!({"prompt": "2+2?", "eval_criteria": criteria})).await;
    field.run_all().await;
    let health = field.board.health(&eval).await;
    let expected = json!({"n_cases": 1, "observed": 0.0, "expected": 0.0, "kappa": 0.0});
    assert_eq!(health["grader_agreement"], expected);
    let page = field.board.shown(&format!("/evals/{eval}")).await;
    assert!(page.contains("agree on whether it passed in 0 % of 1 case,"), "{page}");
}
