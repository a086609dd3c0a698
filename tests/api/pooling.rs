//! Pooled boards and comparisons: all complete results of a revision, item by item, in place of the latest.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::field::{Field, samples, text};
use crate::support::provider::Script;
use crate::support::steps::{assert_has, column};

const BOARD: &str = "/api/v1/leaderboard";

fn at(prompt: &str) -> usize {
    prompt.trim_start_matches("item ").parse().unwrap()
}

/// Right on the items of `right`, of forty.
fn right_on(right: std::ops::Range<usize>) -> Script {
    Script::answers(move |prompt| if right.contains(&at(prompt)) { "yes" } else { "no" }.to_owned())
}

/// Two models on forty items. The first is right on items 0 to 29, then on 10 to 39; the second always on the first ten.
async fn twice() -> (Field, [String; 2], String) {
    let field = Field::start().await;
    let prices = json!({"input_price": 100.0, "output_price": 0.0});
    let first = field.model("first", right_on(0..30), prices.clone()).await;
    let second = field.model("second", right_on(0..10), prices).await;
    let items = samples(40, |at| (format!("item {at}"), "yes".to_owned()));
    let eval = field.eval("Forty", "exact", json!({"samples": items})).await;
    field.run_all().await;
    field.provider.script("first", right_on(10..40));
    field.run_all().await;
    (field, [first, second], eval)
}

fn close(value: &Value, expected: f64) {
    let number = value.as_f64().unwrap_or_else(|| panic!("not a number: {value}"));
    assert!((number - expected).abs() < 1e-9, "{number} is not {expected}");
}

fn width(row: &Value) -> f64 {
    row["ci_high"].as_f64().unwrap() - row["ci_low"].as_f64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooled_score_is_the_mean_over_runs_item_by_item() {
    let (field, models, eval) = twice().await;
    let latest = field.get(BOARD).await;
    let pooled = field.get(&format!("{BOARD}?pool=all")).await;
    assert_eq!(column(&pooled, "model_id"), models);
    assert_has(&latest[0], json!({"pooled_runs": 1, "runs": 2}));
    assert_has(&pooled[0], json!({"pooled_runs": 2, "runs": 2, "n_items": 40}));
    assert_eq!(pooled[0]["scores"][&eval]["pooled_runs"], 2);
    close(&pooled[0]["avg_score"], 0.75);
    // 20 items are solved twice and 20 once: means of 1 and 0.5 vary less than answers of 0 and 1.
    let deviation = (0.0625_f64 * 40.0 / 39.0 / 40.0).sqrt();
    close(&pooled[0]["stderr"], deviation);
    assert!(width(&pooled[0]) < width(&latest[0]), "{pooled}");
    // What one run costs, and what a solved item did over both.
    close(&pooled[0]["cost_usd"], latest[0]["cost_usd"].as_f64().unwrap());
    close(&pooled[0]["cost_per_solved"], 40.0 * 0.001 / 30.0);
    // The other's answers were the same twice: its score and interval stay.
    close(&pooled[1]["avg_score"], 0.25);
    assert_eq!(pooled[1]["ci_low"], latest[1]["ci_low"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_were_scored_again_are_pooled_once() {
    let (field, _, _) = twice().await;
    let runs = field.get("/api/v1/runs").await;
    let again = format!("/api/v1/runs/{}/rescore", text(&runs[0]["id"]));
    let rescored = field.board.member.post(&again, &json!({})).await;
    assert_eq!(rescored.code(), 202, "{}", rescored.text());
    field.ended(&text(&rescored.json()["id"])).await;
    assert_has(&field.get(&format!("{BOARD}?pool=all")).await[0], json!({"pooled_runs": 2, "runs": 3}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooled_comparison_pairs_the_means_of_items() {
    let (field, [first, second], _) = twice().await;
    let address = format!("{BOARD}/compare?a={first}&b={second}");
    let latest = field.get(&address).await;
    assert_has(&latest, json!({"is_pooled": false}));
    let pooled = field.get(&format!("{address}&pool=all")).await;
    assert_has(&pooled, json!({"is_pooled": true, "shared_items": 40, "a_only": null}));
    close(&pooled["difference"], 0.5);
    assert_has(&pooled["evals"][0]["a"], json!({"pooled_runs": 2, "score": 0.75}));
    // On 0 to 9 the first has 0.5 and the second 1, on 10 to 29 1 and 0, on 30 to 39 0.5 and 0.
    let scores: Vec<[f64; 2]> = pooled["disagreements"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| ["a", "b"].map(|side| item[side]["score"].as_f64().unwrap()))
        .collect();
    assert_eq!([scores[0], scores[10]], [[0.5, 1.0], [1.0, 0.0]]);
    let page = async |path: String| field.board.anonymous.ask(Method::GET, &path).send().await.text();
    let shown = page(format!("/compare?a={first}&b={second}&pool=all")).await;
    assert!(shown.contains("up to 2 runs each, item by item"), "{shown}");
    let kept = format!("href=\"/compare?a={second}&b={first}&pool=all\"");
    assert!(
        shown.replace("&#38;", "&").contains(&kept) && shown.contains("name=\"pool\" value=\"all\""),
        "{shown}"
    );
    let usual = page(format!("/compare?a={first}&b={second}")).await;
    assert!(usual.contains("Pool all complete runs"), "{usual}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooled_page_says_so_and_keeps_it_in_its_links() {
    let (field, _, _) = twice().await;
    let page =
        |path: &'static str| async { field.board.anonymous.ask(Method::GET, path).send().await.text() };
    let usual = page("/").await;
    assert!(usual.contains("href=\"/?pool=all\">Pool all complete runs</a>"), "{usual}");
    let pooled = page("/?pool=all").await;
    assert!(pooled.contains("here up to 2 runs each, item by item"), "{pooled}");
    assert!(pooled.contains("title=\"Over 2 runs\""), "{pooled}");
    assert!(pooled.contains("/?sort=cost&#38;pool=all"), "{pooled}");
    let past = field.board.anonymous.get(&format!("{BOARD}?pool=all&as_of=1000")).await;
    past.assert_refused(400, "field", "pool");
    field.board.anonymous.get(&format!("{BOARD}?pool=best")).await.assert_refused(400, "field", "pool");
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_runs_say_how_much_of_the_spread_is_noise() {
    let (field, _, eval) = twice().await;
    let health = field.get(&format!("/api/v1/evals/{eval}/health")).await;
    let variance = &health["variance"];
    // Of the first, half of the items vary by 1/2 between two answers; the second's answers never do.
    close(&variance["within_item"], 0.125);
    assert_eq!(variance["n_models"], 2);
    let page = field.board.anonymous.ask(Method::GET, &format!("/evals/{eval}")).send().await.text();
    assert!(page.contains("(within items)") && page.contains("35.4 within"), "{page}");
}
