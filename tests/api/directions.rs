//! Evals of which a lower score is better: shown as scored, counted as 1 minus the score wherever a score counts.

use evalboard::store::{Topic, Tx};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::field::{Field, samples, text};
use crate::support::provider::{Act, Script};
use crate::support::steps::{assert_has, column};

const BOARD: &str = "/api/v1/leaderboard";

/// Says "toxic" to the first `count` of a hundred prompts, and nothing to those of `gaps`.
fn toxic_to(count: usize, gaps: &'static [usize]) -> Script {
    Script::by(move |asked| {
        let at: usize = asked.prompt().trim_start_matches("item ").parse().unwrap();
        match at {
            at if gaps.contains(&at) => Act::Status(404, None),
            at if at < count => Act::Say("toxic".to_owned()),
            _ => Act::Say("kind".to_owned()),
        }
    })
}

fn toxicity(more: &Value) -> Value {
    let mut body = json!({"samples": samples(100, |at| (format!("item {at}"), "toxic".to_owned()))});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// A model that is always toxic and one that is so in a fifth of its answers, on an eval with these fields besides.
async fn measured(more: Value) -> (Field, [String; 2], String) {
    let field = Field::start().await;
    let prices = json!({"input_price": 100.0, "output_price": 0.0});
    let bad = field.model("bad", toxic_to(100, &[]), prices.clone()).await;
    let good = field.model("good", toxic_to(20, &[]), prices).await;
    let eval = field.eval("Toxicity", "exact", toxicity(&more)).await;
    field.run_all().await;
    (field, [bad, good], eval)
}

async fn page(field: &Field, path: &str) -> String {
    let reply = field.board.anonymous.ask(Method::GET, path).header("accept", "text/html").send().await;
    assert_eq!(reply.code(), 200, "{path}");
    reply.text()
}

fn close(value: &Value, expected: f64) {
    let number = value.as_f64().unwrap_or_else(|| panic!("not a number: {value}"));
    assert!((number - expected).abs() < 1e-9, "{number} is not {expected}");
}

async fn assert_turned(field: &Field, [bad, good]: &[String; 2], eval: &str) {
    let rows = field.get(BOARD).await;
    assert_eq!(column(&rows, "model_id"), [good.clone(), bad.clone()]);
    assert_has(&rows[0], json!({"rank_low": 1, "rank_high": 1, "win_rate": 1.0}));
    close(&rows[0]["avg_score"], 0.8);
    close(&rows[1]["avg_score"], 0.0);
    close(&rows[0]["scores"][eval]["score"], 0.2);
    assert_eq!(rows[0]["scores"][eval]["higher_is_better"], false);
    // 80 of 100 cases pass at a cost of 0.1 dollars in all, and none of the other model's.
    close(&rows[0]["cost_per_solved"], 0.1 / 80.0);
    assert_eq!(rows[1]["cost_per_solved"], Value::Null);
    let result = format!("/api/v1/results/{}", text(&rows[0]["scores"][eval]["result_id"]));
    assert_has(&field.get(&result).await, json!({"passed_count": 80, "score": 0.2}));
    assert_has(&field.get(&format!("{BOARD}?eval_id={eval}")).await[0], json!({"model_id": good, "rank": 1}));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_less_toxic_model_stands_first() {
    let (field, models, eval) = measured(json!({"higher_is_better": false})).await;
    assert_turned(&field, &models, &eval).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_direction_holds_for_earlier_results_at_once() {
    let (field, models, eval) = measured(json!({})).await;
    let rows = field.get(BOARD).await;
    assert_eq!(column(&rows, "model_name"), ["bad", "good"]);
    field.board.member.changed(&format!("/api/v1/evals/{eval}"), &json!({"higher_is_better": false})).await;
    assert_turned(&field, &models, &eval).await;
    field.board.member.changed(&format!("/api/v1/evals/{eval}"), &json!({"higher_is_better": true})).await;
    assert_eq!(field.get(BOARD).await, rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comparison_names_the_better_model_and_shows_what_was_scored() {
    let (field, [bad, good], _) = measured(json!({"higher_is_better": false})).await;
    let found = field.get(&format!("{BOARD}/compare?a={bad}&b={good}")).await;
    let sentence = text(&found["sentence"]);
    assert!(sentence.starts_with("good is ahead of bad by 80.0 points"), "{sentence}");
    close(&found["difference"], -0.8);
    assert_has(&found, json!({"a_only": 0, "b_only": 80}));
    let eval = &found["evals"][0];
    assert_eq!(eval["higher_is_better"], false);
    close(&eval["a"]["score"], 1.0);
    close(&eval["b"]["score"], 0.2);
    assert_has(&found["disagreements"][0], json!({"sample_id": "20"}));
    assert_eq!(["a", "b"].map(|side| &found["disagreements"][0][side]["score"]), [1.0, 0.0]);
    let page = page(&field, &format!("/compare?a={bad}&b={good}")).await;
    assert!(page.contains("Toxicity (lower is better)"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_and_files_name_the_direction_and_show_what_was_scored() {
    let (field, [_, good], eval) = measured(json!({"higher_is_better": false})).await;
    let csv = field.board.anonymous.get(&format!("{BOARD}?format=csv")).await.text();
    let mut lines = csv.lines();
    assert!(lines.next().unwrap().ends_with(",Toxicity (lower is better)"), "{csv}");
    assert!(lines.next().unwrap().ends_with(",0.2"), "{csv}");
    for path in ["/".to_owned(), format!("/models/{good}"), format!("/evals/{eval}")] {
        assert!(page(&field, &path).await.contains("lower is better</small>"), "{path}");
    }
    let own = page(&field, &format!("/evals/{eval}")).await;
    assert!(own.contains("lower is better</small>") && own.contains("<bdi>0 or lower</bdi>"), "{own}");
    assert!(own.contains(">80</td>"), "80 cases of the better model pass: {own}");
    let result = field.get(BOARD).await[0]["scores"][&eval]["result_id"].clone();
    let cases = page(&field, &format!("/results/{}?state=wrong", text(&result))).await;
    assert!(cases.contains("20 (13–29) points over 100 items"), "{cases}");
    let wrong = field.get(&format!("/api/v1/results/{}/cases?state=wrong&limit=100", text(&result))).await;
    let keys: Vec<usize> = column(&wrong, "sample_id").iter().map(|key| key.parse().unwrap()).collect();
    assert_eq!(keys, (0..20).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn health_reads_counted_scores_and_shows_those_that_were_given() {
    let (field, _, eval) = measured(json!({"higher_is_better": false})).await;
    field.model("kind", toxic_to(1, &[]), json!({})).await;
    field.board.member.run(&json!({"only_missing": true})).await;
    let health = field.get(&format!("/api/v1/evals/{eval}/health")).await;
    assert_has(&health, json!({"higher_is_better": false, "is_saturated": false, "n_models": 3}));
    let best: Vec<f64> =
        health["best_scores"].as_array().unwrap().iter().map(|s| s.as_f64().unwrap()).collect();
    assert!(
        best.iter().zip([0.01, 0.2, 1.0]).all(|(score, expected)| (score - expected).abs() < 1e-9),
        "{best:?}"
    );
    assert_eq!(health["items"]["solved_by_none"], json!(["0"]));
    assert_has(&health["items"]["difficulty"][0], json!({"sample_id": "0", "difficulty": 1.0}));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_counts_against_the_model_in_either_direction() {
    let field = Field::start().await;
    let model = field.model("holed", toxic_to(0, &[3, 4]), json!({})).await;
    let other = field.model("whole", toxic_to(0, &[]), json!({})).await;
    let eval = field.eval("Toxicity", "exact", toxicity(&json!({"higher_is_better": false}))).await;
    field.run_all().await;
    let holed = async || {
        let rows = field.get(BOARD).await;
        assert_eq!(column(&rows, "model_id"), [other.clone(), model.clone()]);
        rows[1].clone()
    };
    let row = holed().await;
    close(&row["avg_score"], 0.98);
    close(&row["scores"][&eval]["score"], 0.02);
    close(&row["bounds"]["if_wrong"], 0.98);
    close(&row["bounds"]["if_right"], 1.0);
    let interval = |row: &Value| [&row["ci_low"], &row["ci_high"]].map(|end| end.as_f64().unwrap());
    // As an earlier version stored it: two missing cases that count as 0, the best score there is.
    let spoil = |tx: &mut Tx<'_>| {
        tx.touch(Topic::Board);
        tx.execute(
            "UPDATE results SET score = 0.0, ci_low = 0.0, ci_high = 0.037 WHERE scored_count = 98",
            &[],
        )
    };
    assert_eq!(field.board.house.app.store.write(spoil).await.unwrap(), 1);
    let old = holed().await;
    close(&old["avg_score"], 0.98);
    close(&old["scores"][&eval]["score"], 0.02);
    assert!(interval(&old)[0] <= 0.98 && interval(&old)[1] >= 0.98, "{old}");
}
