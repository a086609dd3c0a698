//! Two models compared, in the API and on its page: real runs against a provider that says what it is told.

use std::sync::atomic::{AtomicUsize, Ordering};

use evalboard::domain::results::cluster_numbers;
use evalboard::domain::stats::{SharedEval, compare};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::field::{Field, list, samples, text};
use crate::support::provider::{Act, Script};
use crate::support::seed::{self, SeedEval, SeedModel, StoredModel};
use crate::support::steps::{assert_has, column, with};
use crate::support::{Board, Client, Reply};

const COMPARE: &str = "/api/v1/leaderboard/compare";

fn address(a: &str, b: &str) -> String {
    format!("{COMPARE}?a={a}&b={b}")
}

/// Repeats every prompt but those that end so.
fn echo_but(gaps: &'static [&'static str]) -> Script {
    Script::answers(move |prompt| {
        if gaps.iter().any(|gap| prompt.ends_with(gap)) { "no".to_owned() } else { prompt.to_owned() }
    })
}

/// So many samples whose right answer is to repeat them.
fn items(count: usize) -> Value {
    samples(count, |at| (format!("item {at}"), format!("item {at}")))
}

fn assert_near(value: &Value, wanted: f64) {
    let number = value.as_f64().unwrap_or_else(|| panic!("not a number: {value}"));
    assert!((number - wanted).abs() < 1e-9, "{number} is not {wanted}");
}

impl Client {
    async fn page(&self, path: &str) -> Reply {
        self.ask(Method::GET, path).header("accept", "text/html").send().await
    }
}

/// Eight items: the first model repeats all but the last, the second only the first and the last.
async fn eight() -> (Field, String, String, String) {
    let field = Field::start().await;
    let prices = |input: f64| json!({"input_price": input, "output_price": 2.0 * input});
    let a = field.model("Alpha", echo_but(&["7"]), prices(2.0)).await;
    let b = field.model("Beta", echo_but(&["1", "2", "3", "4", "5", "6"]), prices(1.0)).await;
    let eval = field.eval("Repeat", "exact", json!({"samples": items(8)})).await;
    field.run_all().await;
    (field, a, b, eval)
}

#[tokio::test(flavor = "multi_thread")]
async fn right_and_wrong_answers_come_to_what_they_come_to_by_hand() {
    let (field, a, b, eval) = eight().await;
    let found = field.get(&address(&a, &b)).await;
    // Only Alpha repeats items 1 to 6, only Beta item 7: the differences are 0, 1 six times, and -1.
    assert_has(
        &found,
        json!({
            "difference": 0.625, "shared_items": 8, "a_only": 6, "b_only": 1, "test": "mcnemar_exact",
            "ci_method": "test", "ci_level": 0.95,
            "sentence": "Alpha and Beta are tied on 8 shared items (p = 0.12); Alpha costs 2.0 times as much.",
        }),
    );
    // Of the 2^7 ways that seven differences can fall, eight have one or none below zero; doubled, 16 / 128.
    assert_near(&found["p_value"], 0.125);
    // Squares sum to 7: variance (7 - 8 x 0.625^2) / 7.
    let stderr = ((7.0 - 8.0 * 0.625 * 0.625) / 7.0_f64 / 8.0).sqrt();
    assert_near(&found["stderr"], stderr);
    // The test leaves a tie and Student's t does not: 1.959964 / 1.534121 (the z of p) times the difference.
    let low = found["ci_low"].as_f64().unwrap();
    assert!((low - (0.625 - 0.625 * 1.959_964 / 1.534_121)).abs() < 1e-5, "{found}");
    assert_eq!(found["ci_high"], 1.0);

    // Each case takes 10 tokens in and 5 out.
    let side = |score: f64, cost: f64| json!({"score": score, "cost_usd": cost, "input_tokens": 80, "output_tokens": 40, "errors": 0});
    assert_has(&found["a"], with(side(0.875, 8.0 * 40e-6), json!({"model_id": a, "model_name": "Alpha"})));
    assert_has(&found["b"], with(side(0.25, 8.0 * 20e-6), json!({"model_id": b, "model_name": "Beta"})));
    let [only] = list(&found["evals"]).try_into().unwrap();
    let more = json!({"eval_id": eval, "eval_name": "Repeat", "counts": true, "weight": 1.0});
    for name in
        ["difference", "stderr", "ci_low", "ci_high", "p_value", "test", "a_only", "b_only", "sentence"]
    {
        assert_eq!(only[name], found[name], "{name}");
    }
    assert_has(&only, more);

    let turned = field.get(&address(&b, &a)).await;
    assert_has(&turned, json!({"difference": -0.625, "a_only": 1  , "b_only": 6}));
    assert_near(&turned["ci_high"], -low);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_they_differ_on_is_shown_with_both_answers() {
    let (field, a, b, eval) = eight().await;
    let found = field.get(&address(&a, &b)).await;
    let differing = list(&found["disagreements"]);
    assert_eq!(column(&found["disagreements"], "sample_id"), ["1", "2", "3", "4", "5", "6", "7"]);
    for (item, at) in differing.iter().zip(1..) {
        let (right, wrong) = if at == 7 { ("b", "a") } else { ("a", "b") };
        let said = format!("item {at}");
        assert_has(item, json!({"eval_id": eval, "input": said, "target": [said]}));
        assert_has(&item[right], json!({"score": 1.0, "state": "scored", "response": said, "epoch": 1}));
        assert_has(&item[wrong], json!({"score": 0.0, "state": "scored", "response": "no"}));
        for side in ["a", "b"] {
            let case = field.get(&format!("/api/v1/cases/{}", text(&item[side]["case_id"]))).await;
            let result = &found["evals"][0][side]["result_id"];
            assert_has(
                &case,
                json!({"result_id": result, "sample_id": at.to_string(), "score": item[side]["score"]}),
            );
        }
    }
    for (only, samples) in [("a", vec!["1", "2", "3", "4", "5", "6"]), ("b", vec!["7"])] {
        let reply = field.board.anonymous.get(&format!("{}&only={only}", address(&a, &b))).await;
        assert_eq!(column(&reply.json()["disagreements"], "sample_id"), samples);
        assert_eq!(reply.header("x-total-count"), samples.len().to_string());
        assert_eq!(reply.json()["shared_items"], 8, "a filter of the items changes no figure");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn disagreements_go_on_behind_the_first_twenty() {
    let field = Field::start().await;
    let a = field.model("A", echo_but(&[]), json!({})).await;
    let b = field.model("B", Script::says("no"), json!({})).await;
    field.eval("First", "exact", json!({"samples": items(25)})).await;
    field.eval("Second", "exact", json!({"samples": items(20)})).await;
    field.run_all().await;
    let (mut seen, mut sizes, mut next) = (Vec::new(), Vec::new(), address(&a, &b));
    while !next.is_empty() {
        let reply = field.board.anonymous.get(&next).await;
        assert_eq!((reply.code(), reply.header("x-total-count")), (200, "45"), "{}", reply.text());
        let items = list(&reply.json()["disagreements"]);
        sizes.push(items.len());
        seen.extend(items.iter().map(|item| (text(&item["eval_name"]), text(&item["sample_id"]))));
        let link = reply.header("link").to_owned();
        let path = link.split_once(COMPARE).and_then(|(_, rest)| rest.split_once('>'));
        next = path.map(|(query, _)| format!("{COMPARE}{query}")).unwrap_or_default();
    }
    let of =
        |eval: &str, count: usize| (0..count).map(|at| (eval.to_owned(), at.to_string())).collect::<Vec<_>>();
    assert_eq!((sizes, seen), (vec![20, 20, 5], [of("First", 25), of("Second", 20)].concat()));
}

/// The score of each sample of a result, its epochs averaged over `epochs`, from its cases: what is missing is 0.
async fn scores(field: &Field, result: &Value, count: usize, epochs: usize) -> Vec<f64> {
    let mut sums = vec![0.0; count];
    for case in list(&field.get(&format!("/api/v1/results/{}/cases", text(result))).await) {
        let at: usize = text(&case["sample_id"]).parse().unwrap();
        sums[at] += case["score"].as_f64().unwrap_or(0.0);
    }
    sums.into_iter().map(|sum| sum / f64::from(u32::try_from(epochs).unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn clusters_epochs_and_missing_measurements_are_what_the_statistics_say() {
    let field = Field::start().await;
    // Right in every other epoch, whatever else is asked in between.
    let wavers = AtomicUsize::new(0);
    let a = Script::by(move |asked| match asked.prompt() {
        "item 33" => Act::Status(404, None),
        "waver 0" => {
            let is_right = wavers.fetch_add(1, Ordering::AcqRel) % 2 == 1;
            Act::Say(if is_right { "yes" } else { "no" }.to_owned())
        }
        "waver 1" => Act::Say("yes".to_owned()),
        prompt => Act::Say(prompt.to_owned()),
    });
    let b = Script::answers(|prompt| match prompt {
        "graded 0" | "graded 3" | "item 5" | "item 7" => "grapes".to_owned(),
        "waver 0" | "waver 1" => "yes".to_owned(),
        prompt => prompt.to_owned(),
    });
    let a = field.model("A", a, json!({"max_concurrency": 1})).await;
    let b = field.model("B", b, json!({})).await;
    let clusters = ["x", "x", "y", "y", "z", "z"];
    let graded: Value = clusters.iter().enumerate().map(|(at, cluster)| json!({"input": format!("graded {at}"), "target": format!("graded {at}"), "cluster_id": cluster})).collect();
    field.eval("Graded", "levenshtein", json!({"samples": graded, "weight": 3.0})).await;
    let waver = samples(2, |at| (format!("waver {at}"), "yes".to_owned()));
    field.eval("Repeated", "exact", json!({"samples": waver, "epochs": 4})).await;
    field.eval("With a gap", "exact", json!({"samples": items(50)})).await;
    field.run_all().await;

    let found = field.get(&address(&a, &b)).await;
    let evals = list(&found["evals"]);
    assert_eq!(column(&found["evals"], "eval_name"), ["Graded", "Repeated", "With a gap"]);
    let numbers = cluster_numbers(&clusters.map(Some)).unwrap();
    let mut vectors = Vec::new();
    for (eval, (count, epochs)) in evals.iter().zip([(6, 1), (2, 4), (50, 1)]) {
        let first = scores(&field, &eval["a"]["result_id"], count, epochs).await;
        let second = scores(&field, &eval["b"]["result_id"], count, epochs).await;
        vectors.push((first, second));
    }
    let shared = |at: usize, weight| SharedEval {
        weight,
        a: &vectors[at].0,
        b: &vectors[at].1,
        clusters: (at == 0).then_some(numbers.as_slice()),
    };
    let all = [shared(0, 3.0), shared(1, 1.0), shared(2, 1.0)];
    let expected = [
        (&found, compare(&all)),
        (&evals[0], compare(&all[..1])),
        (&evals[1], compare(&all[1..2])),
        (&evals[2], compare(&all[2..])),
    ];
    for (figures, expected) in expected {
        let expected = expected.unwrap();
        assert_near(&figures["difference"], expected.difference.mean);
        assert_near(&figures["p_value"], expected.test.p);
        assert_eq!(figures["test"], expected.test.test.as_str());
        assert_eq!(figures["shared_items"], expected.difference.items);
        assert_eq!(figures["ci_method"], json!(expected.difference.method.map(|method| method.as_str())));
        let ends = expected.difference.interval.map(|interval| (interval.low, interval.high));
        match ends {
            Some((low, high)) => {
                assert_near(&figures["ci_low"], low.max(-1.0));
                assert_near(&figures["ci_high"], high.min(1.0));
            }
            None => assert!(figures["ci_low"].is_null() && figures["ci_high"].is_null(), "{figures}"),
        }
    }
    assert_eq!(evals[0]["ci_method"], "cluster_t");
    assert_eq!(found["a_only"], Value::Null, "not all items are right or wrong");
    // Item 33 was not measured: wrong for A. Items 5 and 7 are wrong for B.
    assert_has(&evals[2], json!({"a_only": 2, "b_only": 1, "p_value": 1.0}));
    assert_eq!((&evals[2]["a"]["errors"], &evals[2]["b"]["errors"]), (&json!(1), &json!(0)));

    let one = |sample: &str, eval: &str| {
        let items = list(&found["disagreements"]);
        items.into_iter().find(|item| item["sample_id"] == sample && item["eval_name"] == eval).unwrap()
    };
    let gap = one("33", "With a gap");
    assert_has(&gap["a"], json!({"score": 0.0, "state": "error", "error": "provider_not_found"}));
    let wavering = one("0", "Repeated");
    assert_has(&wavering["a"], json!({"score": 0.5, "epoch": 1}));
    assert_has(&wavering["b"], json!({"score": 1.0, "response": "yes"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn hidden_targets_stay_hidden() {
    let field = Field::start().await;
    let a = field.model("A", Script::says("alpha it is"), json!({})).await;
    let b = field.model("B", Script::says("no"), json!({})).await;
    let sample = json!({"input": "Which?", "target": ["alpha", "SECRET"]});
    field.eval("Hidden", "includes", json!({"samples": [sample], "hidden_targets": true})).await;
    field.run_all().await;
    let (api, page) = (address(&a, &b), format!("/compare?a={a}&b={b}"));
    let board = &field.board;
    for (client, is_shown) in
        [(&board.anonymous, false), (&board.other, false), (&board.member, true), (&board.admin, true)]
    {
        let reply = client.get(&api).await;
        let item = &reply.json()["disagreements"][0];
        assert_eq!(reply.text().contains("SECRET"), is_shown, "{}", reply.text());
        assert_eq!(item["target"].is_null(), !is_shown);
        assert_eq!(item["a"]["answer"].is_null(), !is_shown);
        assert_eq!(
            item["a"]["response"], "alpha it is",
            "what the model said is shown as on the case's page"
        );
        let shown = client.page(&page).await.text();
        assert_eq!((shown.contains("SECRET"), shown.contains("alpha it is")), (is_shown, true));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_questions_name_the_field_and_the_fix() {
    let (field, a, b, eval) = eight().await;
    let unmeasured = field.model("Gamma", Script::says("no"), json!({})).await;
    let late = field.eval("Late", "exact", json!({"samples": items(1)})).await;
    let nobodys = field.eval("Nobody's", "exact", json!({"samples": items(1)})).await;
    let run = field.trigger(json!({"model_ids": [a], "eval_ids": [late]})).await;
    field.ended(&run).await;
    for (query, culprit, fix) in [
        (String::new(), "a", "must be the id of a model"),
        (format!("b={b}"), "a", "must be the id of a model"),
        (format!("a={a}"), "b", "must be the id of a model"),
        (format!("a={a}&b="), "b", "must be the id of a model"),
        (format!("a={a}&b={a}"), "b", "name two different ones"),
        (format!("a=nobody&b={b}"), "a", "names no model"),
        (format!("a={a}&b=nobody"), "b", "names no model"),
        (format!("a={a}&b={b}&eval_id=nothing"), "eval_id", "names no eval"),
        (format!("a={a}&b={b}&eval_id={late}"), "eval_id", "only Alpha is measured on Late"),
        (format!("a={b}&b={a}&eval_id={late}"), "eval_id", "run Beta on it too"),
        (format!("a={a}&b={b}&eval_id={nobodys}"), "eval_id", "share no result on Nobody's"),
        (format!("a={a}&b={unmeasured}"), "b", "Alpha and Gamma share no items."),
        (format!("a={a}&b={b}&only=c"), "only", "only"),
        (format!("a={a}&b={b}&cursor=1.2.3"), "cursor", "Link header"),
        (format!("a={a}&a={b}&b={b}"), "a", "give it once"),
    ] {
        let reply = field.board.anonymous.get(&format!("{COMPARE}?{query}")).await;
        reply.assert_refused(400, "field", culprit);
        assert!(reply.text().contains(fix), "{query}: {}", reply.text());
    }
    let alone = field.get(&format!("{}&eval_id={eval}", address(&a, &b))).await;
    assert_has(&alone, json!({"shared_items": 8, "difference": 0.625}));

    let page = async |query: &str| field.board.anonymous.page(&format!("/compare?{query}")).await;
    for (query, words) in [
        (String::new(), "Choose two models"),
        ("a=&b=".to_owned(), "Choose two models"),
        (format!("a={a}"), "Choose two models"),
        (format!("a={a}&b={a}"), "Pick two different models"),
        (format!("a={a}&b={unmeasured}"), "share no items."),
    ] {
        let shown = page(&query).await;
        assert_eq!(shown.code(), 200, "{query}: {}", shown.text());
        assert!(shown.text().contains(words) && shown.text().contains("<select name=\"a\">"), "{query}");
    }
    for (query, words) in [
        (format!("a={a}&b=nobody"), "b names no model"),
        ("a=nobody".to_owned(), "a names no model"),
        (format!("a={a}&b={b}&eval={late}"), "eval is none that both models are measured on"),
        (format!("a={a}&b={b}&only=c"), "only"),
        (format!("a={a}&b={b}&cursor=x"), "cursor"),
    ] {
        let shown = page(&query).await;
        assert_eq!(shown.code(), 400, "{query}");
        assert!(shown.text().contains(words), "{query}: {}", shown.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comparison_follows_the_runs_and_counts_what_the_board_counts() {
    let (field, a, b, _) = eight().await;
    let address = address(&a, &b);
    let client = &field.board.anonymous;
    let before = client.get(&address).await;
    assert_eq!(before.header("cache-control"), "public, max-age=60");
    let held = client.holding(&address).await;
    let late = field.eval("Late", "exact", json!({"samples": items(2)})).await;
    field.provider.script("Beta", echo_but(&["1"]));
    field.run_all().await;
    held.renewed().await;
    let found = field.get(&address).await;
    // Beta is right on all but item 1 now, Alpha on all but item 7; of the late eval it misses item 1 as well.
    assert_has(&found, json!({"shared_items": 10, "a_only": 2, "b_only": 1}));
    assert_near(&found["difference"], (0.0 + 0.5) / 2.0);
    field.board.member.changed(&format!("/api/v1/evals/{late}"), &json!({"is_active": false})).await;
    assert_has(&field.get(&address).await, json!({"shared_items": 8, "difference": 0.0, "p_value": 1.0}));
    field.board.member.delete(&format!("/api/v1/models/{b}")).await;
    client.get(&address).await.assert_refused(400, "field", "b");
}

const HOSTILE: &str = "<script>alert(1)</script>";
const HOSTILE_SHOWN: &str = "&#60;script&#62;alert(1)&#60;/script&#62;";

/// A board of four models, seeded: one by a hostile name, the last of them on one of two evals.
async fn seeded() -> (Board, Vec<StoredModel>) {
    let board = Board::start().await;
    let (app, user) = (&board.house.app, seed::owner(&board.house.app).await);
    let part = SeedModel { evals: 1, ..seed::model("Partial", "acme", 0.5, None) };
    let models = vec![
        seed::model("Strong", "acme", 0.9, Some(1.0)),
        seed::model(HOSTILE, "<img src=x>", 0.5, Some(6.0)),
        seed::model("Twin", "acme", 0.5, Some(6.0)),
        part,
    ];
    let evals: Vec<SeedEval> =
        vec![seed::eval("Arithmetic", "maths", 150, 0.0), seed::eval("Code & <b>more</b>", "code", 100, 0.0)];
    let models = seed::models(app, &user, models).await;
    let evals = seed::evals(app, &user, evals).await;
    seed::run(app, &user, &models, &evals, usize::MAX).await;
    (board, models)
}

fn assert_sound(text: &str) {
    assert!(!text.contains("style=") && !text.contains("<script>"), "the content policy forbids it");
    assert!(!text.contains("<img src=x>") && !text.contains("<b>more"), "outside text is escaped");
    assert!(!text.contains("<b>not bold"), "questions are escaped");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_says_who_is_ahead_and_shows_where_they_differ() {
    let (board, models) = seeded().await;
    let (a, b) = (&models[0].id, &models[1].id);
    let found = board.anonymous.read(&address(a.as_str(), b.as_str())).await;
    let path = format!("/compare?a={a}&b={b}");
    let reply = board.anonymous.page(&path).await;
    let page = reply.text();
    assert_eq!(reply.code(), 200, "{page}");
    assert_sound(&page);
    // Names are set apart in the sentence, so that one from right to left does not turn it over.
    let sentence = text(&found["sentence"]).replace('<', "&#60;").replace('>', "&#62;");
    let sentence = ["Strong", HOSTILE_SHOWN]
        .iter()
        .fold(sentence, |sentence, name| sentence.replace(name, &format!("\u{2068}{name}\u{2069}")));
    assert!(page.contains(&format!("<p class=\"finding\">{sentence}</p>")), "{sentence}");
    for wanted in [
        "All that count",
        "Arithmetic",
        "Detailed statistics",
        "Agreement",
        "Cost and latency",
        "class=\"zero\"",
        &format!("href=\"/compare?a={b}&#38;b={a}\">Swap A and B"),
        &format!("https://board.example/compare?a={a}&#38;b={b}"),
    ] {
        assert!(page.contains(wanted), "{wanted}");
    }
    let only = |side: &str| found[side].as_i64().unwrap();
    assert!(page.contains(&format!("<span class=\"dim\">{}</span>", only("a_only") + only("b_only"))));
    assert!(page.contains(&format!("<td>{}</td>", only("a_only"))));

    // Ten items at a time; each leads to both cases.
    assert_eq!(page.matches("<article class=\"item\">").count(), 10);
    for item in &list(&found["disagreements"])[..10] {
        for side in ["a", "b"] {
            assert!(page.contains(&format!("href=\"/cases/{}\"", text(&item[side]["case_id"]))), "{item}");
        }
    }
    let (_, rest) = page.split_once("rel=\"next\" href=\"").unwrap();
    let next = rest.split_once('"').unwrap().0.replace("&#38;", "&");
    let further = board.anonymous.page(&next).await.text();
    assert!(
        further.contains(&format!("href=\"/cases/{}\"", text(&found["disagreements"][10]["a"]["case_id"])))
    );
    assert!(further.contains("To the start"));

    let behind = board.anonymous.page(&format!("{path}&only=b")).await.text();
    let shown = usize::try_from(only("b_only")).unwrap().min(10);
    assert_eq!(behind.matches("<article class=\"item\">").count(), shown);
}

#[tokio::test(flavor = "multi_thread")]
async fn ways_lead_to_the_comparison_from_the_board_and_from_a_model() {
    let (board, models) = seeded().await;
    assert!(board.anonymous.page("/").await.text().contains("<a href=\"/compare\">"));
    let first = board.anonymous.page(&format!("/models/{}", models[0].id)).await.text();
    assert!(
        first.contains(&format!("href=\"/compare?a={}&#38;b={}\"", models[0].id, models[1].id)),
        "{first}"
    );
    assert!(first.contains(&format!("href=\"/compare?a={}\"", models[0].id)));
    let partial = board.anonymous.page(&format!("/compare?a={}&b={}", models[2].id, models[3].id)).await;
    assert_eq!(partial.code(), 200);
    assert_sound(&partial.text());
    assert!(!partial.text().contains("All that count"), "one eval is its own whole");
}
