//! The main job from end to end: models, evals, one run, and down from the board to a single answer.

use serde_json::{Value, json};

use crate::support::field::{Field, list, text};
use crate::support::provider::{Act, Script};

/// What is asked, and what is right.
const ANSWERS: [(&str, &str); 8] = [
    ("capital of France", "Paris"),
    ("capital of Peru", "Lima"),
    ("colour of the sky", "The sky is blue."),
    ("chemical sign of gold", "It is Au, from Latin."),
    ("year of the first moon landing", "It was in 1969, in July."),
    ("price of three at 1.25", "Together: $3.75"),
    ("largest planet", "Jupiter, of course.\n\nANSWER: B"),
    ("write a greeting", "Good morning, and welcome!"),
];

/// Knows every answer.
fn scholar(prompt: &str) -> String {
    let known = ANSWERS.iter().find(|(question, _)| prompt.contains(question));
    known.map_or("I do not know.", |(_, answer)| answer).to_owned()
}

/// Knows one capital, and how to greet.
fn novice(prompt: &str) -> String {
    if prompt.contains("France") || prompt.contains("greeting") { scholar(prompt) } else { "Hm.".to_owned() }
}

/// Likes every greeting half.
fn grader() -> Script {
    Script::always(Act::verdict(5.0))
}

async fn seven_evals(field: &Field, grader: &str) -> Vec<String> {
    let one = |input: &str, target: &str| json!([{"input": input, "target": target}]);
    let capitals = json!([
        {"id": "fr", "input": "capital of France", "target": "Paris"},
        {"id": "pe", "input": "capital of Peru", "target": ["Lima", "Lima city"]},
    ]);
    let planets =
        json!([{"input": "largest planet", "target": "B", "choices": ["Mars", "Jupiter", "Venus"]}]);
    let year = json!({"pattern": "\\b(19\\d\\d)\\b"});
    let judge = json!({"rubric": "It is warm.", "max_score": 10, "grader": grader});
    let evals = [
        ("exact", json!({"samples": capitals, "prompt": "One word: {{input}}?"})),
        ("match", json!({"samples": one("colour of the sky", "blue")})),
        ("includes", json!({"samples": one("chemical sign of gold", "Au")})),
        ("pattern", json!({"samples": one("year of the first moon landing", "1969"), "eval_criteria": year})),
        ("numeric", json!({"samples": one("price of three at 1.25", "3.75")})),
        ("choice", json!({"samples": planets})),
        ("rubric", json!({"samples": [{"input": "write a greeting"}], "eval_criteria": judge})),
    ];
    let mut ids = Vec::new();
    for (kind, more) in evals {
        ids.push(field.eval(kind, kind, more).await);
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn from_two_models_and_seven_evals_to_one_answer() {
    let field = Field::start().await;
    let novice = field.model("novice", Script::answers(novice), json!({})).await;
    let scholar = field.model("scholar", Script::answers(scholar), json!({})).await;
    let judge = field.model("judge", grader(), json!({"is_active": false})).await;
    let evals = seven_evals(&field, &judge).await;

    let run = field.run_all().await;
    assert_eq!(run["status"], "completed", "{run}");
    assert_eq!([&run["completed_count"], &run["case_total"], &run["case_errors"]], [14, 16, 0]);

    let board = field.leaderboard().await;
    check_board(&board, [&scholar, &novice]);
    let scores = evals.iter().map(|eval| board[0]["scores"][eval]["score"].as_f64().unwrap());
    assert_eq!(scores.collect::<Vec<_>>(), [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5]);
    let result = text(&board[1]["scores"][&evals[0]]["result_id"]);
    follow_down(&field, &result, [&text(&run["id"]), &novice, &evals[0]]).await;
}

fn check_board(board: &[Value], order: [&String; 2]) {
    assert_eq!(board.len(), 2, "the grader is not active: {board:?}");
    for ((row, model), rank) in board.iter().zip(order).zip(1..) {
        assert_eq!([&row["model_id"], &row["rank"]], [&json!(model), &json!(rank)]);
        assert_eq!([&row["eval_count"], &row["coverage"]["suite"]], [7, 7]);
        let [low, mean, high] = ["ci_low", "avg_score", "ci_high"].map(|name| row[name].as_f64().unwrap());
        assert!(low < mean && mean < high, "{low} {mean} {high}");
    }
    let scores = [0, 1].map(|at: usize| board[at]["avg_score"].as_f64().unwrap());
    assert!((scores[0] - 6.5 / 7.0).abs() < 1e-9 && (scores[1] - 1.0 / 7.0).abs() < 1e-9, "{scores:?}");
}

/// From a cell to the prompt and the answer of one of its cases.
async fn follow_down(field: &Field, result: &str, [run, model, eval]: [&String; 3]) {
    let cell = field.get(&format!("/api/v1/results/{result}")).await;
    assert_eq!([&cell["eval_run_id"], &cell["model_id"], &cell["eval_id"]], [run, model, eval]);
    assert_eq!(
        [&cell["score"], &cell["case_count"], &cell["passed_count"]],
        [&json!(0.5), &json!(2), &json!(1)]
    );
    assert!(cell["ci_low"].as_f64() < Some(0.5) && cell["ci_high"].as_f64() > Some(0.5), "{cell}");

    let wrong = list(&field.get(&format!("/api/v1/results/{result}/cases?state=wrong")).await);
    assert_eq!(wrong.len(), 1);
    assert_eq!(wrong[0]["sample_id"], "pe");
    let case = field.get(&format!("/api/v1/cases/{}", text(&wrong[0]["id"]))).await;
    assert_eq!(case["prompt"], json!([{"role": "user", "content": "One word: capital of Peru?"}]));
    assert_eq!([&case["response"], &case["input"]], ["Hm.", "capital of Peru"]);
    assert_eq!([&case["target"], &case["score"]], [&json!(["Lima", "Lima city"]), &json!(0.0)]);
}
