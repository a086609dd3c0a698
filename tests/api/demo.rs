use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use evalboard::domain::api_keys::ApiKey;
use evalboard::domain::evals::{Card, Measurement};
use evalboard::domain::models;
use evalboard::domain::samples::{Input, Sample};
use evalboard::domain::time::Millis;
use evalboard::domain::training_sets::Card as SetCard;
use evalboard::domain::users::{Role, User};
use evalboard::service::evals::Draft;
use evalboard::service::keys;
use evalboard::service::seeds::{SeededModel, SeededSet, Seeds, sow};
use serde_json::Value;

use crate::support::forms::Form;
use crate::support::{Board, Client, PATIENCE};

/// A running `evalboard demo`, killed when it is dropped.
struct Demo {
    process: Child,
    address: SocketAddr,
    key: ApiKey,
    /// Kept open: a process that cannot write its log ends.
    _out: (BufReader<ChildStdout>, BufReader<ChildStderr>),
}

impl Demo {
    fn start(folder: &Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_evalboard"))
            .args(["demo", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(process.stdout.take().unwrap());
        let mut told = BufReader::new(process.stderr.take().unwrap());
        let address = line_with(&mut told, "The demo is on http://").parse().unwrap();
        let key = ApiKey::parse(&line_with(&mut said, "KEY=")).unwrap();
        Self { process, address, key, _out: (said, told) }
    }

    fn anonymous(&self) -> Client {
        Client::new(self.address, None)
    }

    /// The runs, once all are over.
    async fn finished_runs(&self) -> Value {
        let started = Instant::now();
        loop {
            let runs = self.anonymous().get("/api/v1/runs").await.json();
            let is_open = |run: &Value| ["queued", "running"].contains(&run["status"].as_str().unwrap());
            if !runs.as_array().unwrap().iter().any(is_open) {
                return runs;
            }
            assert!(started.elapsed() < PATIENCE, "{runs}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// What follows `start` on the first line that begins with it.
fn line_with(lines: &mut impl BufRead, start: &str) -> String {
    let mut lines = lines.lines().map(Result::unwrap);
    lines.find_map(|line| Some(line.strip_prefix(start)?.to_owned())).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_tells_its_story_and_starts_again_without_another_run() {
    let folder = tempfile::tempdir().unwrap();
    let first = Demo::start(folder.path());
    let runs = first.finished_runs().await;
    let made = runs.as_array().unwrap().iter();
    let made = made.map(|run| ["status", "total_models", "total_evals"].map(|name| run[name].clone()));
    let expected: [[Value; 3]; 2] =
        [["completed".into(), 10.into(), 8.into()], ["completed".into(), 1.into(), 6.into()]];
    assert_eq!(made.collect::<Vec<_>>(), expected);
    let (models, evals) = (list(&first, "models").await, list(&first, "evals").await);
    let sets = training_sets(&first).await;
    assert_eq!(sets.len(), 2, "{sets:?}");
    let board = list(&first, "leaderboard").await;
    assert_is_worth_a_look(&board, &models, &evals);
    assert_tells_the_story(&first, &board).await;

    let former = first.key.clone();
    drop(first);
    let second = Demo::start(folder.path());
    assert_eq!(second.finished_runs().await, runs);
    assert_eq!((list(&second, "models").await, list(&second, "evals").await), (models, evals));
    assert_eq!(training_sets(&second).await, sets);
    let refused = Client::new(second.address, Some(&former)).get("/api/v1/runs").await;
    assert_eq!(refused.code(), 401);
    let deleted = format!("/api/v1/evals/{}", list(&second, "evals").await[0]["id"].as_str().unwrap());
    assert_eq!(Client::new(second.address, Some(&second.key)).delete(&deleted).await.code(), 200);
}

async fn list(demo: &Demo, noun: &str) -> Vec<Value> {
    demo.anonymous().get(&format!("/api/v1/{noun}")).await.json().as_array().unwrap().clone()
}

/// The training sets, but for where their files are, which is on another port each time.
async fn training_sets(demo: &Demo) -> Vec<Value> {
    let mut sets = list(demo, "training-sets").await;
    for set in &mut sets {
        set.as_object_mut().unwrap().remove("blob_url").unwrap();
    }
    sets
}

fn assert_is_worth_a_look(board: &[Value], models: &[Value], evals: &[Value]) {
    assert!(models.len() >= 6 && evals.len() >= 6);
    assert!(evals.iter().all(|eval| eval["sample_count"].as_i64().unwrap() >= 20));
    let (ranked, unranked): (Vec<_>, Vec<_>) = board.iter().partition(|row| !row["rank"].is_null());
    assert!(ranked.len() >= 6, "{board:?}");
    for row in ranked {
        let bound = |name: &str| row[name].as_f64().unwrap_or_else(|| panic!("{name} in {row}"));
        assert!(bound("ci_low") < bound("avg_score") && bound("avg_score") < bound("ci_high"), "{row}");
    }
    assert_eq!(unranked.len(), 2, "{unranked:?}");
    let score = |model: &str, eval: &str| {
        let row = board.iter().find(|row| row["model_name"] == model).unwrap();
        let eval = evals.iter().find(|each| each["name"] == eval).unwrap();
        row["scores"][eval["id"].as_str().unwrap()]["score"].as_f64().unwrap()
    };
    assert!(score("Calculator", "Arithmetic") > 0.8);
    assert!(score("Keyword match", "Reading") > 0.6);
    assert!((0.1..0.45).contains(&score("Random, seed 1", "Science facts")));
    assert!(score("Always true", "True or false") > 0.5);
}

/// One clearly ahead, two tied, one expensive and equal, one partial, one incomplete.
async fn assert_tells_the_story(demo: &Demo, board: &[Value]) {
    let row = |name: &str| board.iter().find(|row| row["model_name"] == name).unwrap();
    let number = |name: &str, member: &str| row(name)[member].as_f64().unwrap();
    let compared = async |a: &str, b: &str| {
        let id = |name: &str| row(name)["model_id"].as_str().unwrap().to_owned();
        demo.anonymous().get(&format!("/api/v1/leaderboard/compare?a={}&b={}", id(a), id(b))).await.json()
    };

    let ahead = row("Calculator and keyword match");
    assert_eq!([&ahead["rank"], &ahead["rank_low"], &ahead["rank_high"]], [1, 1, 1], "{ahead}");
    assert_eq!(ahead["errors"], 2, "some may be missing");
    let said = compared("Calculator and keyword match", "Calculator").await["sentence"].clone();
    assert!(said.as_str().unwrap().contains("is ahead of Calculator by"), "{said}");

    let (tied, equal) = (row("Calculator"), row("Keyword, long prompt"));
    for name in ["Calculator", "Keyword match", "Keyword, long prompt"] {
        assert_eq!([&row(name)["tie_group"], &row(name)["rank_low"]], [2, 2], "{name}");
    }
    assert_eq!([&tied["rank"], &row("Keyword match")["rank"], &equal["rank"]], [2, 3, 4]);
    let found = compared("Calculator", "Keyword match").await;
    let said = found["sentence"].as_str().unwrap();
    assert!(said.starts_with("Calculator and Keyword match are tied on 348 shared items"), "{said}");
    assert!(found["a_only"].as_i64().unwrap() > 50 && found["b_only"].as_i64().unwrap() > 50, "{found}");

    let dearer = number("Keyword, long prompt", "cost_usd") / number("Keyword match", "cost_usd");
    assert!(dearer > 3.0, "{dearer}");
    let said = compared("Keyword, long prompt", "Keyword match").await["sentence"].clone();
    let [same, more] = ["are tied on 348", &format!("Keyword, long prompt costs {dearer:.1} times as much.")];
    assert!([same, more].iter().all(|part| said.as_str().unwrap().contains(part)), "{said}");
    let undercut = |row: &&Value| row["cost_usd"].as_f64() < equal["cost_usd"].as_f64();
    let better =
        board.iter().filter(undercut).filter(|row| row["avg_score"].as_f64() > equal["avg_score"].as_f64());
    assert!(better.count() >= 2, "it is off the frontier");

    let partial = row("Always false");
    assert_eq!(
        [&partial["rank"], &partial["coverage"]["measured"], &partial["coverage"]["suite"]],
        [&Value::Null, &6.into(), &8.into()]
    );
    let incomplete = row("Flaky");
    assert_eq!([&incomplete["rank"], &incomplete["coverage"]["measured"]], [&Value::Null, &7.into()]);
    let results = list(demo, &format!("models/{}/results", incomplete["model_id"].as_str().unwrap())).await;
    let [cut]: [_; 1] = results
        .iter()
        .filter(|result| result["state"] == "incomplete")
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    let bound = |name: &str| cut[name].as_f64().unwrap();
    assert_eq!(cut["error_count"], 4, "{cut}");
    assert!(bound("score_low") + 0.06 < bound("score_high"), "{cut}");
    let page = demo.anonymous().get("/").await.text();
    let [low, high] = ["score_low", "score_high"].map(|name| bound(name) * 100.0);
    assert!(page.contains(&format!(">{low:.0}–{high:.0}</a>")), "the board shows what it could be");
}

fn seeds(target: &str, uri: &str) -> Seeds {
    let measurement = Measurement {
        prompt: "Say it: {{input}}".to_owned(),
        expected_behavior: String::new(),
        eval_type: "includes".to_owned(),
        eval_criteria: "{}".to_owned(),
        epochs: 1,
        reducer: "mean".to_owned(),
        pass_threshold: 1.0,
    };
    let sample = Sample {
        key: "0".to_owned(),
        input: Input::Text("yes".to_owned()),
        target: vec![target.to_owned()],
        choices: Vec::new(),
        metadata: serde_json::Map::new(),
        cluster_id: None,
    };
    let card = |name: &str| Card { name: name.to_owned(), ..Card::default() };
    let draft = |name| Draft { card: card(name), measurement: measurement.clone() };
    Seeds {
        models: vec![SeededModel {
            card: models::Card::new("Seeded".to_owned(), uri.to_owned()),
            evals: None,
        }],
        evals: vec![(draft("Kept"), vec![sample.clone()]), (draft("Edited"), vec![sample])],
        training_sets: Vec::new(),
    }
}

async fn owner(board: &Board) -> User {
    keys::ensure_user(&board.house.app.store, "seeds@example.org", Role::Member, Millis::now()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn seeds_that_changed_are_put_right_and_only_what_changed_is_run_again() {
    let board = Board::start().await;
    let user = owner(&board).await;
    let plant = async |seeds| sow(&board.house.app, &user, seeds, "seeds").await.unwrap();
    let look = async |noun| board.anonymous.get(&format!("/api/v1/{noun}")).await.json();
    let cells = |run: &Value| (run["total_models"].as_i64().unwrap(), run["total_evals"].as_i64().unwrap());

    plant(seeds("yes", "builtin:echo")).await;
    let before = (look("models").await, look("evals").await, look("runs").await);
    assert_eq!(cells(&before.2[0]), (1, 2));
    plant(seeds("yes", "builtin:echo")).await;
    assert_eq!((look("models").await, look("evals").await, look("runs").await), before);

    let mut edited = seeds("yes", "builtin:echo");
    edited.evals[1].1[0].target = vec!["Yes!".to_owned()];
    plant(edited.clone()).await;
    let evals = look("evals").await;
    let versions: Vec<_> =
        evals.as_array().unwrap().iter().map(|eval| (&eval["name"], &eval["version"])).collect();
    assert_eq!(versions, [(&"Edited".into(), &2.into()), (&"Kept".into(), &1.into())]);
    assert_eq!(cells(&look("runs").await[0]), (1, 1));

    edited.models[0].card.inference_uri = "builtin:calculator".to_owned();
    plant(edited.clone()).await;
    let (models, runs) = (look("models").await, look("runs").await);
    assert_eq!((models.as_array().unwrap().len(), runs.as_array().unwrap().len()), (1, 3));
    assert_eq!((&models[0]["inference_uri"], cells(&runs[0])), (&"builtin:calculator".into(), (1, 2)));

    edited.models[0].card.prices.input = Some(2.0);
    plant(edited.clone()).await;
    plant(edited).await;
    let runs = look("runs").await;
    assert_eq!((runs.as_array().unwrap().len(), cells(&runs[0])), (4, (1, 2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seeded_model_is_run_on_the_evals_that_are_named_for_it() {
    let board = Board::start().await;
    let user = owner(&board).await;
    let plant = async |seeds| sow(&board.house.app, &user, seeds, "seeds").await.unwrap();
    let runs = async || {
        let runs = board.anonymous.get("/api/v1/runs").await.json();
        let cells = |run: &Value| ["total_models", "total_evals"].map(|name| run[name].as_i64().unwrap());
        runs.as_array().unwrap().iter().map(cells).collect::<Vec<_>>()
    };
    let mut sown = seeds("yes", "builtin:echo");
    let mut partial = sown.models[0].clone();
    partial.card.name = "Partial".to_owned();
    partial.evals = Some(["Kept".to_owned()].into());
    sown.models.push(partial);
    plant(sown.clone()).await;
    plant(sown.clone()).await;
    assert_eq!(runs().await, [[1, 2], [1, 1]], "the largest is the latest");
    sown.models[1].evals = None;
    plant(sown).await;
    assert_eq!(runs().await, [[1, 1], [1, 2], [1, 1]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seeded_training_set_is_there_once_and_as_it_is_delivered() {
    let board = Board::start().await;
    let user = owner(&board).await;
    let theirs = Form::default().file("a.csv", None, b"theirs").field("metadata", r#"{"name":"Set"}"#);
    board.member.send_form("/api/v1/training-sets", &theirs).await;
    let plant = async |description: &str, file_name, file| {
        let card = SetCard { name: "Set".to_owned(), description: description.to_owned() };
        let training_sets = vec![SeededSet { card, file_name, file }];
        let seeds = Seeds { models: Vec::new(), evals: Vec::new(), training_sets };
        sow(&board.house.app, &user, seeds, "seeds").await.unwrap();
        board.anonymous.get("/api/v1/training-sets").await.json().as_array().unwrap().clone()
    };
    let first = plant("About it", "a.csv", b"a,b\n1,2\n").await;
    assert_eq!((first.len(), &first[0]["line_count"]), (2, &2.into()));
    assert_eq!(plant("About it", "a.csv", b"a,b\n1,2\n").await, first);
    for (description, file_name, file) in [
        ("About it", "a.csv", b"a,b\n1,3\n".as_slice()),
        ("More about it", "a.csv", b"a,b\n1,3\n"),
        ("More about it", "b.csv", b"a,b\n1,3\n"),
    ] {
        let changed = plant(description, file_name, file).await;
        assert_eq!((changed.len(), &changed[1]), (2, &first[1]), "nobody else's is touched");
        let shown = [&changed[0]["description"], &changed[0]["file_name"], &changed[0]["submitted_by"]];
        assert_eq!(shown, [description, file_name, "seeds@example.org"]);
        assert_eq!(board.stored_files().len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn seeds_leave_alone_what_others_named_the_same() {
    let board = Board::start().await;
    let theirs = serde_json::json!({"name": "Seeded", "inference_uri": "builtin:keyword"});
    board.member.post("/api/v1/models", &theirs).await;
    let user = owner(&board).await;
    sow(&board.house.app, &user, seeds("yes", "builtin:echo"), "seeds").await.unwrap();
    let models = board.anonymous.get("/api/v1/models").await.json();
    let uris: Vec<_> = models.as_array().unwrap().iter().map(|model| &model["inference_uri"]).collect();
    assert_eq!(uris, ["builtin:echo", "builtin:keyword"]);
    assert_eq!(board.anonymous.get("/api/v1/runs").await.json()[0]["total_models"], 1);
}
