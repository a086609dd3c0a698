//! A server that is written to under the shim, with a ledger of what it acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use evalboard::store;
use futures_util::future::{join, join_all};
use serde_json::{Value, json};

use super::ledger::{NOW, Step};
use super::shim::Shim;
use super::uploads::Uploader;
use super::writer::Writer;
use crate::crash::audit::Audit;
use crate::support::field::{samples, text, until};
use crate::support::provider::{Provider, Script};
use crate::support::site::{Caller, Running, Site};

const WRITERS: u64 = 2;
/// Samples of the run that is under way from the start.
const SAMPLES: usize = 120;

/// Variables of every server: where files are found must not depend on which one has the folder.
pub(super) fn variables() -> [(&'static str, String); 1] {
    [("EVALBOARD_PUBLIC_URL", "http://board.test".to_owned())]
}

/// What happens while everybody works: how far they are, and what they work on.
pub(super) struct Control<'s> {
    steps: AtomicUsize,
    is_over: AtomicBool,
    pub(super) site: &'s Site,
    pub(super) shim: &'s Shim,
}

impl Control<'_> {
    /// Waits until so many more requests were made.
    pub(super) async fn more(&self, steps: usize) {
        let aim = self.steps.load(Ordering::Relaxed) + steps;
        let step = async || (self.steps.load(Ordering::Relaxed) >= aim).then_some(());
        until("more requests", step).await;
    }
}

/// A site under the shim with those who write to it.
pub(super) struct Session {
    pub(super) provider: Provider,
    pub(super) site: Site,
    pub(super) shim: Arc<Shim>,
    pub(super) caller: Caller,
    pub(super) writers: Vec<Writer>,
    pub(super) uploader: Uploader,
    /// Length of the record when the server had been set up.
    pub(super) ready: u64,
}

impl Session {
    /// A new data folder with its server; `records` says whether every change of it is recorded.
    pub(super) async fn begin(seed: u64, records: bool) -> (Self, Running) {
        let provider = Provider::start();
        let site = Site::new(&provider);
        let shim = Arc::new(Shim::new(site.path()));
        let shimmed = if records { shim.recording() } else { shim.variables() };
        let site = site.with_variables(&variables()).with_variables(&shimmed);
        let server = site.start().await;
        let caller = site.caller();
        let ready = shim.position();
        provider.script("echo", Script::answers(str::to_owned).thinking(Duration::from_millis(10)));
        provider.script("written", Script::answers(str::to_owned).thinking(Duration::from_millis(3)));
        let model = json!({"name": "echo", "inference_uri": provider.uri("echo"), "max_concurrency": 3});
        let model = caller.post("/api/v1/models", &model).await["id"].take();
        let writer = |at: u64| {
            let (name, seed) = (format!("w{at}"), seed.wrapping_add(at));
            Writer::new(name, caller.clone(), Arc::clone(&shim), provider.uri("written"), seed)
        };
        let mut writers: Vec<Writer> = (0..WRITERS).map(writer).collect();
        let (path, run) = begin_run(&caller, &shim, &model).await;
        writers[0].adopt_run(path, run);
        let artifacts = format!("/api/v1/models/{}/artifacts", text(&model));
        let uploader = Uploader::new("u".to_owned(), caller.clone(), Arc::clone(&shim), artifacts, seed);
        (Self { provider, site, shim, caller, writers, uploader, ready }, server)
    }

    /// Has everybody work for as long as `control` takes, and then finish what they have begun.
    pub(super) async fn work<T>(&mut self, control: impl AsyncFnOnce(&Control<'_>) -> T) -> T {
        let (steps, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
        let at_work = Control { steps, is_over, site: &self.site, shim: &self.shim };
        let writing = self.writers.iter_mut().map(async |writer| {
            while !at_work.is_over.load(Ordering::Relaxed) || !writer.is_settled() {
                writer.step().await;
                at_work.steps.fetch_add(1, Ordering::Relaxed);
            }
        });
        let uploading = async {
            while !at_work.is_over.load(Ordering::Relaxed) {
                self.uploader.step().await;
                at_work.steps.fetch_add(1, Ordering::Relaxed);
            }
        };
        let controlling = async {
            let controlled = control(&at_work).await;
            at_work.is_over.store(true, Ordering::Relaxed);
            controlled
        };
        let working = join(join_all(writing), uploading);
        join(working, controlling).await.1
    }

    /// Positions at which something was acknowledged, in no order.
    pub(super) fn acknowledged(&self) -> Vec<u64> {
        let writers = self.writers.iter().flat_map(|writer| &writer.acknowledged);
        writers.chain(&self.uploader.acknowledged).copied().collect()
    }

    /// Writes that were answered with a failure of the server's.
    pub(super) fn failed(&self) -> usize {
        self.writers.iter().map(|writer| writer.failed).sum()
    }

    /// What is not as it was acknowledged before `cut`, at a server that is in no trouble.
    pub(super) async fn losses(&self, caller: &Caller, cut: u64) -> Vec<String> {
        let mut losses = self.uploader.losses(caller, cut).await;
        for writer in &self.writers {
            losses.extend(writer.losses(caller, cut, false).await);
        }
        losses
    }

    /// What is told otherwise than it was acknowledged, at a server that may be in trouble.
    pub(super) async fn lies(&self) -> Vec<String> {
        let mut lies = Vec::new();
        for writer in &self.writers {
            lies.extend(writer.losses(&self.caller, NOW, true).await);
        }
        lies
    }

    /// Starts the site once more without trouble, and holds everything to the ledger; kills what runs before.
    pub(super) async fn assert_whole(&self, server: Running) {
        drop(server);
        self.shim.relent();
        self.shim.step_clock(0);
        let server = self.site.try_start().await.unwrap();
        let losses = self.losses(&self.caller, NOW).await;
        assert!(losses.is_empty(), "{losses:#?}");
        let faults = faults_after(&self.site, server).await;
        assert!(faults.is_empty(), "{faults:#?}");
    }
}

async fn begin_run(caller: &Caller, shim: &Shim, model: &Value) -> (String, Step) {
    let rows = samples(SAMPLES, |at| (format!("say {at}"), format!("say {at}")));
    let eval = json!({"name": "say", "prompt": "{{input}}", "eval_type": "exact", "samples": rows});
    let eval = caller.post("/api/v1/evals", &eval).await["id"].take();
    let sent = shim.position();
    let run = caller.post("/api/v1/runs", &json!({"model_ids": [model], "eval_ids": [eval]})).await;
    let step = Step { sent, acknowledged: Some(shim.position()), answer: Value::Null };
    (format!("/api/v1/runs/{}", text(&run["id"])), step)
}

/// Starts a server that may be unable to work: it answers, or ends with one of these words. It is killed.
pub(super) async fn answers_or_ends(site: &Site, caller: &Caller, words: &[&str]) {
    let before = std::fs::read_to_string(site.log()).unwrap().len();
    let mut server = site.spawn();
    let has_ended = until("an answer, or an end", async || {
        let answer = caller.attempt(reqwest::Method::GET, "/api/v1/leaderboard", None, None).await;
        if answer.is_some() { Some(false) } else { server.has_ended().then_some(true) }
    })
    .await;
    drop(server);
    if has_ended {
        let log = std::fs::read_to_string(site.log()).unwrap().split_off(before);
        assert!(words.iter().any(|word| log.contains(word)), "none of {words:?} is in {log}");
    }
}

/// Lets every run of a site come to its end, kills the server, and names what does not add up then.
pub(super) async fn faults_after(site: &Site, server: Running) -> Vec<String> {
    until_runs_end(site).await;
    drop(server);
    let mut faults = Vec::new();
    let audit = Audit::of(&site.database()).await;
    if audit != (Audit { cases: audit.cases, duplicates: 0, lost: 0, harmed: 0, inconsistent: 0 }) {
        faults.push(format!("{audit:?}"));
    }
    faults.extend(site.check().err());
    faults
}

/// Waits until every run of a site has come to its end.
pub(super) async fn until_runs_end(site: &Site) {
    until("the end of every run", async || {
        let open = store::read_as_is(&site.database(), |tx| {
            let sql = "SELECT COUNT(*) AS n FROM runs WHERE state IN ('queued', 'running')";
            tx.one(sql, &[], |row| row.get::<i64>("n"))
        });
        // The server may be moving its log at this moment.
        open.is_ok_and(|open| open == 0).then_some(())
    })
    .await;
}
