//! Where models are called: shown to whoever has a key, and to everybody only where the operator wishes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use evalboard::domain::id::RunId;
use evalboard::http::pages;
use evalboard::store::{Tx, runs};
use serde_json::{Value, json};

use crate::access::{Place, documented};
use crate::events::Stream;
use crate::support::browser::Browser;
use crate::support::provider::{Act, Provider, Script};
use crate::support::steps::{column, text};
use crate::support::{Board, Client};

/// Where nothing else of these tests is.
const HOST: [u8; 4] = [127, 77, 13, 9];
const PATH: &str = "/canary-path/chat";
const PUBLIC: [&str; 2] = ["--endpoints", "public"];

/// A board with models at an address that nothing else has, and all that comes of calling them.
struct Planted {
    place: Place,
    _provider: Provider,
    /// How the address may not be told.
    canaries: [String; 3],
    /// Of what has to do with those models, by the noun of its collection.
    ids: BTreeMap<&'static str, Vec<String>>,
    /// A run that waits for one of them, and one that is over.
    runs: [String; 2],
    /// A caller whose key may only read.
    reader: Client,
}

impl Planted {
    async fn new(flags: &[&str]) -> Self {
        let provider = Provider::start_at(SocketAddr::from((HOST, 0)));
        let at = provider.address.to_string();
        let fixed = ["--egress-allow", &at, "--rate-read", "100000", "--rate-read-burst", "100000"];
        let board = Board::running(&[&fixed, flags].concat()).await;
        let complaint = format!("POST http://{at}{PATH}: no such model at {PATH}");
        let refusal = Act::json(400, &json!({"error": {"message": complaint}}));
        for (name, script) in [
            ("failing", Script::always(refusal)),
            ("grader", Script::always(Act::Status(401, None))),
            ("limited", Script::always(Act::Status(429, Some(3_600)))),
            ("student", Script::says("4")),
        ] {
            provider.script(name, script);
        }
        let mut models = BTreeMap::new();
        for name in ["failing", "grader", "limited", "student"] {
            models.insert(name, model(&board, name, &provider.uri(name)).await);
        }
        models.insert("direct", model(&board, "direct", &format!("http://{at}{PATH}")).await);
        let moved = model(&board, "moved", "builtin:echo").await;
        board
            .member
            .changed(&format!("/api/v1/models/{moved}"), &json!({"inference_uri": provider.uri("student")}))
            .await;
        let samples = json!([{"input": "2 + 2", "target": "4"}]);
        let plain =
            json!({"name": "Plain", "prompt": "{{input}}", "eval_type": "includes", "samples": samples});
        let criteria = json!({"rubric": "Says four.", "grader": models["grader"]});
        let graded = json!({"name": "Graded", "prompt": "{{input}}", "eval_type": "rubric", "eval_criteria": criteria, "samples": samples});
        let evals = [board.member.eval(&plain).await, board.member.eval(&graded).await];
        let asked = [&models["failing"], &models["student"], &models["direct"]];
        let over = board.member.run(&json!({"model_ids": asked, "eval_ids": evals})).await;
        let over = text(&over, "id").to_owned();
        let waiting = json!({"model_ids": [models["limited"]], "eval_ids": [evals[0]]});
        let waiting = board.member.trigger(&waiting).await;
        let held = |run: &Value| run["waiting"].as_array().is_some_and(|waits| !waits.is_empty());
        board.member.until(&format!("/api/v1/runs/{waiting}"), held).await;
        note_giving_up(
            &board,
            &over,
            format!("failing after 15 minutes without a case, waiting for {at}: {at} answered 503"),
        )
        .await;
        for id in models.values().chain([&moved]) {
            board.member.changed(&format!("/api/v1/models/{id}"), &json!({"is_active": false})).await;
        }
        board
            .member
            .changed(&format!("/api/v1/models/{}", models["student"]), &json!({"is_active": true}))
            .await;
        let results = column(&board.member.read(&format!("/api/v1/runs/{over}/results")).await, "id");
        let mut cases = Vec::new();
        for result in &results {
            cases.extend(column(&board.member.read(&format!("/api/v1/results/{result}/cases")).await, "id"));
        }
        let place = Place::on(board).await;
        let key = place.board.member.made("/api/v1/keys", &json!({"name": "Reader", "scope": "read"})).await;
        let reader = Client::bearing(place.board.address, Some(text(&key, "key")));
        let ids = BTreeMap::from([
            ("models", models.into_values().chain([moved]).collect()),
            ("evals", evals.to_vec()),
            ("runs", vec![waiting.clone(), over.clone()]),
            ("results", results),
            ("cases", cases),
        ]);
        let canaries = [
            provider.address.ip().to_string(),
            format!(":{}", provider.address.port()),
            "canary-path".to_owned(),
        ];
        Self { place, _provider: provider, canaries, ids, runs: [waiting, over], reader }
    }

    /// Whether a text tells of the address.
    fn is_in(&self, said: &str) -> bool {
        self.canaries.iter().any(|canary| said.contains(canary.as_str()))
    }

    /// The paths of a template, one for each thing that its variable part may name.
    async fn filled(&self, template: &str) -> Vec<String> {
        let (before, after) = template.split_once('{').unwrap_or((template, ""));
        let noun = before.trim_end_matches('/').rsplit('/').next().unwrap();
        let ids = self.ids.get(if noun == "badge" { "models" } else { noun });
        match ids.zip(after.split_once('}')) {
            Some((ids, (_, rest))) if !rest.contains('{') => {
                ids.iter().map(|id| format!("{before}{id}{rest}")).collect()
            }
            _ => vec![self.place.fill(template).await],
        }
    }

    /// Every address that is read in the API's document or in the table of pages, but the streams of events.
    async fn paths(&self) -> Vec<String> {
        let documented = documented(&self.place.board).await;
        let read =
            documented.iter().filter_map(|operation| operation.strip_prefix("GET ").map(str::to_owned));
        let shown = pages::table();
        let shown =
            shown.iter().filter(|row| row.methods().contains(&"GET")).map(|row| row.path().to_owned());
        let mut paths = Vec::new();
        for template in read.chain(shown).filter(|path| !path.ends_with("/events")) {
            paths.extend(self.filled(&template).await);
        }
        for result in &self.ids["results"] {
            let of = format!("/api/v1/results/{result}/cases");
            paths.extend(
                ["format=csv", "format=ndjson", "format=csv&limit=9"].map(|form| format!("{of}?{form}")),
            );
        }
        let board = ["csv", "json", "latex", "markdown"];
        paths.extend(board.map(|format| format!("/api/v1/leaderboard?format={format}")));
        let [a, b, ..] = self.ids["models"].as_slice() else { panic!("two models") };
        paths.extend(["/compare", "/preview/compare.png"].map(|at| format!("{at}?a={a}&b={b}")));
        paths.push("/?as_of=2100-01-01".to_owned());
        paths
    }
}

async fn model(board: &Board, name: &str, uri: &str) -> String {
    let body = json!({"name": name, "inference_uri": uri});
    text(&board.member.made("/api/v1/models", &body).await, "id").to_owned()
}

async fn note_giving_up(board: &Board, run: &str, why: String) {
    let id = RunId::from(run.to_owned());
    let note = move |tx: &mut Tx<'_>| {
        let key = runs::get(tx, &id)?.key;
        runs::note_giving_up(tx, key, &why)
    };
    board.house.app.store.write(note).await.unwrap();
}

async fn said(client: &Client, path: &str) -> String {
    let reply = client.get(path).await;
    assert!(reply.code() < 500, "{path}: {}", reply.text());
    format!("{:?}\n{}", reply.headers, String::from_utf8_lossy(&reply.body))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_anonymous_answer_has_a_models_address() {
    let planted = Planted::new(&[]).await;
    let board = &planted.place.board;
    let mut seen = BTreeSet::new();
    for path in planted.paths().await {
        // The second is a copy where there are copies.
        for time in ["made", "copied"] {
            let said = said(&board.anonymous, &path).await;
            assert!(!planted.is_in(&said), "{path}, {time}: {said}");
        }
        if planted.is_in(&said(&planted.reader, &path).await) {
            seen.insert(path);
        }
    }
    let [waiting, over] = &planted.runs;
    for run in [waiting, over] {
        for (client, is_shown) in [(&board.anonymous, false), (&planted.reader, true)] {
            let event = Stream::open(client, run, Some("0")).await.until("progress").await;
            assert_eq!(planted.is_in(&event.data.to_string()), is_shown, "{}: {}", event.name, event.data);
        }
    }
    for (client, is_shown) in [(&board.anonymous, false), (&planted.reader, true)] {
        let event = Stream::open(client, waiting, None).await.until("waiting").await;
        assert_eq!(planted.is_in(&event.data.to_string()), is_shown, "{}", event.data);
    }
    // What no caller with a key is shown either would be hidden from nobody.
    let is_seen =
        |begins: &str, ends: &str| seen.iter().any(|at| at.starts_with(begins) && at.ends_with(ends));
    for (begins, ends) in [
        ("/api/v1/models", "models"),
        ("/api/v1/models/", ""),
        ("/models/", ""),
        ("/api/v1/runs", "runs"),
        ("/api/v1/runs/", waiting),
        ("/api/v1/runs/", over),
        ("/runs/", waiting),
        ("/runs/", over),
        ("/api/v1/cases/", ""),
        ("/cases/", ""),
        ("/api/v1/results/", "/cases"),
        ("/api/v1/results/", "format=csv"),
        ("/api/v1/results/", "format=ndjson"),
        ("/api/v1/leaderboard", "leaderboard"),
        ("/api/v1/leaderboard", "format=csv"),
        ("/", "/"),
        ("/compare", ""),
    ] {
        assert!(is_seen(begins, ends), "{begins}...{ends} is not among {seen:?}");
    }
    let lines = planted.reader.read("/api/v1/ledger").await.to_string();
    assert!(lines.contains("provider") && !planted.is_in(&lines), "{lines}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_anonymous_caller_sees_uris_without_addresses() {
    let planted = Planted::new(&[]).await;
    let board = &planted.place.board;
    board.admin.made("/api/v1/models", &json!({"name": "claude", "inference_uri": "anthropic/claude"})).await;
    let models = board.anonymous.read("/api/v1/models").await;
    let of = |list: &Value, name: &str| {
        let rows = list.as_array().unwrap();
        rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("{name}: {list}")).clone()
    };
    for (name, uri, provider) in [
        ("claude", "anthropic/claude", json!("anthropic")),
        ("student", "openai-compatible:#student", Value::Null),
        ("direct", "https://…", Value::Null),
    ] {
        let shown = of(&models, name);
        assert_eq!((text(&shown, "inference_uri"), &shown["provider"]), (uri, &provider), "{shown}");
    }
    let hidden = of(&models, "direct");
    let whole = of(&planted.reader.read("/api/v1/models").await, "direct");
    assert!(planted.is_in(text(&whole, "inference_uri")), "{whole}");
    let path = format!("/api/v1/models/{}", text(&hidden, "id"));
    let back = board.member.patch(&path, &json!({"inference_uri": hidden["inference_uri"]})).await;
    back.assert_refused(400, "field", "inference_uri");
    let run = board.anonymous.read(&format!("/api/v1/runs/{}", planted.runs[0])).await;
    let said = "waiting for the endpoint (model limited): the endpoint answered 429";
    assert!(text(&run, "error").starts_with(said) && run["waiting"][0]["host"] == "the endpoint", "{run}");
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_sees_addresses_where_the_operator_wishes() {
    let planted = Planted::new(&PUBLIC).await;
    let board = &planted.place.board;
    let [waiting, over] = &planted.runs;
    let mut paths = vec!["/api/v1/models".to_owned(), "/api/v1/leaderboard".to_owned()];
    paths.extend([waiting, over].map(|run| format!("/runs/{run}")));
    for path in &paths {
        assert!(planted.is_in(&said(&board.anonymous, path).await), "{path}");
    }
    let mut browser = Browser::new(board.address);
    browser.cookie = Some(board.session("admin@example.org").await.cookie());
    assert!(browser.open("/settings/people").await.text().contains("models are called are public"));
}
