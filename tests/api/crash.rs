//! The real program, killed again and again while it runs models and is written to: what it acknowledged is
//! never lost, and nothing happens twice.

mod again;
pub(crate) mod audit;
mod uploads;
mod writer;

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::support::field::{samples, text, until};
use crate::support::provider::{Provider, Script};
use crate::support::site::{Caller, Running, Site};
use audit::Audit;
use writer::Writer;

/// How often the server is killed unless EVALBOARD_KILLS says otherwise.
const KILLS: usize = 20;
const WRITERS: u64 = 3;
/// Samples of each of the two evals that are always being run.
const SAMPLES: usize = 60;
const KEY: &str = "sk-ant-canary";

fn kills() -> usize {
    std::env::var("EVALBOARD_KILLS").map_or(KILLS, |kills| kills.parse().expect("a number"))
}

/// What makes the same choices again; when the server dies within them is not in its hands.
pub(crate) fn seed() -> u64 {
    std::env::var("EVALBOARD_SEED")
        .map_or_else(|_| rand::rng().random(), |seed| seed.parse().expect("a number"))
}

/// Two models over two evals; answers the run of them, which is triggered without a break.
async fn register(caller: &Caller, provider: &Provider) -> Value {
    let narrow = |name: &str, uri: String| json!({"name": name, "inference_uri": uri, "max_concurrency": 3, "api_key": KEY});
    let (mut models, mut evals) = (Vec::new(), Vec::new());
    for (model, uri) in [("echo", provider.uri("echo")), ("claude", "anthropic/claude".to_owned())] {
        provider.script(model, Script::answers(str::to_owned).thinking(Duration::from_millis(10)));
        models.push(caller.post("/api/v1/models", &narrow(model, uri)).await["id"].take());
    }
    for name in ["first", "second"] {
        let rows = samples(SAMPLES, |at| (format!("{name} {at}"), format!("{name} {at}")));
        let eval = json!({"name": name, "prompt": "{{input}}", "eval_type": "exact", "samples": rows});
        evals.push(caller.post("/api/v1/evals", &eval).await["id"].take());
    }
    json!({"model_ids": models, "eval_ids": evals})
}

/// The run that is always under way, and how far it was when somebody last looked.
struct Steady {
    trigger: Value,
    path: String,
    done: i64,
    ended: usize,
}

impl Steady {
    async fn begin(caller: &Caller, trigger: Value, ended: usize) -> Self {
        let run = caller.post("/api/v1/runs", &trigger).await;
        Self { trigger, path: format!("/api/v1/runs/{}", text(&run["id"])), done: 0, ended }
    }

    /// The run, which never goes back behind what it told.
    async fn look(&mut self, caller: &Caller) -> Value {
        let run = caller.get(&self.path).await.body;
        let done = run["case_done"].as_i64().unwrap();
        assert!(done >= self.done, "{} cases were done: {run}", self.done);
        self.done = done;
        run
    }

    /// The run after a restart, or the one that follows it.
    async fn go_on(mut self, caller: &Caller) -> Self {
        let run = self.look(caller).await;
        if run["status"] == "running" || run["status"] == "queued" {
            return self;
        }
        self.assert_whole(&run);
        Self::begin(caller, self.trigger, self.ended + 1).await
    }

    fn assert_whole(&self, run: &Value) {
        let cases = 4 * i64::try_from(SAMPLES).unwrap();
        assert_eq!(run["status"], "completed", "{run}");
        assert_eq!([&run["case_done"], &run["case_total"], &run["case_errors"]], [cases, cases, 0], "{run}");
    }
}

/// One life of a server that answers, from its first request to its death at any moment.
async fn live(server: Running, writers: Vec<Writer>, random: &mut StdRng) -> Vec<Writer> {
    let writing: Vec<_> = writers.into_iter().map(|writer| tokio::spawn(writer.write())).collect();
    tokio::time::sleep(Duration::from_millis(random.random_range(20..300))).await;
    if random.random_ratio(1, 4) {
        server.freeze(Duration::from_millis(random.random_range(10..200))).await;
    }
    drop(server);
    let mut back = Vec::new();
    for writer in writing {
        back.push(writer.await.expect("a writer that met nothing unforeseen"));
    }
    back
}

/// Kills the server while it starts, so often as chance has it.
async fn stumble(site: &Site, random: &mut StdRng) -> usize {
    let mut kills = 0;
    while random.random_ratio(1, 4) {
        let server = site.spawn();
        tokio::time::sleep(Duration::from_millis(random.random_range(0..150))).await;
        drop(server);
        kills += 1;
    }
    kills
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_again_and_again_loses_nothing_and_does_nothing_twice() {
    let (kills, seed) = (kills(), seed());
    println!("seed {seed}: EVALBOARD_SEED={seed} makes the same choices");
    let mut random = StdRng::seed_from_u64(seed);
    let provider = Provider::start();
    let site = Site::new(&provider);
    let mut server = site.start().await;
    let caller = site.caller();
    let trigger = register(&caller, &provider).await;
    provider.script("written", Script::answers(str::to_owned).thinking(Duration::from_millis(3)));
    let writer = |at: u64| {
        let seed = seed.wrapping_add(at);
        Writer::new(format!("w{at}"), caller.clone(), provider.uri("written"), seed)
    };
    let mut writers: Vec<Writer> = (0..WRITERS).map(writer).collect();
    let mut steady = Steady::begin(&caller, trigger, 0).await;

    let mut killed = 0;
    while killed < kills {
        writers = live(server, writers, &mut random).await;
        killed += 1 + stumble(&site, &mut random).await;
        server = site.start().await;
        for writer in &mut writers {
            writer.check(false).await;
        }
        steady = steady.go_on(&caller).await;
    }
    let runs = finish(&caller, &mut writers, &mut steady).await;
    drop(server);

    let audit = Audit::of(&site.database()).await;
    let acknowledged: usize = writers.iter().map(|writer| writer.acknowledged).sum();
    let lost: Vec<&String> = writers.iter().flat_map(|writer| &writer.lost).collect();
    println!(
        "kills {killed}, acknowledged writes {acknowledged}, runs {runs}, cases stored {}, late results refused {}, \
         duplicates {}, lost {}",
        audit.cases,
        site.late_cases(),
        audit.duplicates,
        audit.lost + i64::try_from(lost.len()).unwrap(),
    );
    assert!(lost.is_empty(), "seed {seed}: {lost:#?}");
    let clean = Audit { cases: audit.cases, duplicates: 0, lost: 0, harmed: 0, inconsistent: 0 };
    assert_eq!(audit, clean, "seed {seed}");
    assert_eq!(site.errors(), Vec::<String>::new(), "seed {seed}");
    assert!(
        acknowledged > 5 * kills && audit.cases > 10 * i64::try_from(kills).unwrap(),
        "hardly anything happened"
    );
    assert_eq!(provider.asked("claude")[0].headers["x-api-key"], KEY);
}

/// Lets every run come to its end and looks at everything once more. Answers how many runs there were.
async fn finish(caller: &Caller, writers: &mut [Writer], steady: &mut Steady) -> usize {
    let mut runs: Vec<String> = writers.iter().flat_map(Writer::runs).collect();
    runs.push(steady.path.clone());
    for path in &runs {
        until("the end of every run", async || {
            let run = caller.get(path).await.body;
            (run["status"] != "running" && run["status"] != "queued").then_some(())
        })
        .await;
    }
    let last = steady.look(caller).await;
    steady.assert_whole(&last);
    for writer in writers {
        writer.check(true).await;
    }
    runs.len() + steady.ended
}
