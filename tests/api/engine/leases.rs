//! Leases: a worker that loses one cannot record what it was working on, and turns are kept.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use evalboard::domain::cases::{CaseState, Record, Tokens};
use evalboard::domain::spending::Charge;
use evalboard::domain::time::Millis;
use evalboard::engine::record::{self, Finished};
use evalboard::engine::{Engine, Pace, Tools};
use evalboard::error::Result;
use evalboard::store::work_items::{self, Lease, Leased};
use evalboard::store::{Tx, plans};
use serde_json::{Value, json};

use crate::support::field::{Field, count, samples, text, until};
use crate::support::provider::{Act, Gate, Script};
use crate::support::{Board, QUICK};

const ENDPOINT: &str = "builtin";
/// How long these leases hold, in milliseconds.
const LEASE: i64 = 1_000;

/// A board that stands still, so that the test is its only worker.
struct Bench {
    board: Board,
    now: Millis,
}

impl Bench {
    async fn start() -> Self {
        let board = Board::start().await;
        let model = json!({"name": "four", "inference_uri": "builtin:constant?answer=4"});
        assert_eq!(board.member.post("/api/v1/models", &model).await.code(), 201);
        Self { board, now: Millis::now() }
    }

    /// Makes an eval of that many samples and triggers a run of it. Answers the run's id.
    async fn plan(&self, count: usize) -> String {
        let rows = samples(count, |at| (format!("2+2? {at}"), "4".to_owned()));
        let eval = json!({"name": "sum", "prompt": "{{input}}", "eval_type": "exact", "samples": rows});
        let eval = self.board.member.post("/api/v1/evals", &eval).await.json();
        let run = self.board.member.post("/api/v1/runs", &json!({"eval_ids": [eval["id"]]})).await;
        let now = self.now;
        while self.write(move |tx| plans::extend(tx, 1_000, now)).await {}
        text(&run.json()["id"])
    }

    async fn write<T: Send + 'static>(
        &self,
        command: impl FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
    ) -> T {
        self.board.house.app.store.write(command).await.unwrap()
    }

    async fn claim(&self, owner: &str, limit: u32, now: Millis) -> Vec<Leased> {
        let lease = Lease { owner: owner.to_owned(), until: now.plus(LEASE) };
        self.write(move |tx| work_items::claim(tx, ENDPOINT, limit, &lease, now)).await
    }

    /// Records a right answer; answers whether it counted.
    async fn complete(&self, item: &Leased) -> bool {
        let (item, now) = (item.clone(), self.now);
        self.write(move |tx| {
            let record = right(tx, &item)?;
            let finished = Finished::new(item.held, record, true, Charge::Nothing, now);
            Ok(record::cases(tx, &[finished], None, now)?.counted == 1)
        })
        .await
    }

    async fn run(&self, id: &str) -> Value {
        self.board.anonymous.get(&format!("/api/v1/runs/{id}")).await.json()
    }
}

/// What a worker records of a right answer; the prices are those of any cell, once its own is gone.
fn right(tx: &mut Tx<'_>, item: &Leased) -> Result<Record> {
    let price = tx.one("SELECT MIN(id) AS id FROM price_snapshots", &[], |row| row.get("id"))?;
    Ok(Record {
        state: CaseState::Scored,
        score: Some(1.0),
        reason: None,
        error: None,
        error_message: None,
        answer: Some("4".to_owned()),
        prompt: "[]".to_owned(),
        response: "4".to_owned(),
        reasoning: None,
        score_details: "{}".to_owned(),
        transcript: None,
        usage: None,
        raw: None,
        is_truncated: false,
        is_self_graded: false,
        attempts: item.held.attempt,
        latency_ms: Some(1),
        tokens: Tokens::default(),
        price,
        cost_usd: None,
        grader_cost_usd: None,
        is_rescored: false,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_whose_lease_ran_out_is_anothers_and_the_late_case_is_refused() {
    let bench = Bench::start().await;
    let run = bench.plan(1).await;
    let first = bench.claim("first", 9, bench.now).await.remove(0);
    assert!(bench.claim("second", 9, bench.now).await.is_empty(), "an item was leased twice");
    let (now, later) = (bench.now, bench.now.plus(LEASE + 1));
    assert_eq!(bench.write(move |tx| work_items::reap(tx, now)).await, 0, "a lease that holds was reaped");
    assert_eq!(bench.write(move |tx| work_items::reap(tx, later)).await, 1);
    assert_eq!(bench.write(move |tx| work_items::reap(tx, later)).await, 0);

    let second = bench.claim("second", 9, later).await.remove(0);
    assert_eq!([second.held.attempt, second.expiries, second.tries], [first.held.attempt + 1, 1, 0]);
    assert!(!bench.complete(&first).await);
    assert_eq!(bench.run(&run).await["case_done"], 0);
    assert!(bench.complete(&second).await);
    assert!(!bench.complete(&second).await);
    assert!(!bench.complete(&first).await);

    let run = bench.run(&run).await;
    assert_eq!([&run["status"], &run["case_done"]], [&json!("completed"), &json!(1)]);
    let attempts = count(&bench.board, "SELECT SUM(attempts) AS n FROM cases").await;
    assert_eq!(attempts, 2, "one case, of the second attempt");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_renews_only_what_is_still_held() {
    let bench = Bench::start().await;
    bench.plan(3).await;
    let held = bench.claim("first", 3, bench.now).await;
    bench.complete(&held[0]).await;
    let until = bench.now.plus(10 * LEASE);
    let renew = |owner: &str| {
        let lease = Lease { owner: owner.to_owned(), until };
        bench.write(move |tx| work_items::renew(tx, &lease))
    };
    let mut kept = renew("first").await;
    kept.sort_unstable();
    assert_eq!(kept, [held[1].held.key, held[2].held.key]);
    assert!(renew("second").await.is_empty());
    let later = bench.now.plus(LEASE + 1);
    assert_eq!(bench.write(move |tx| work_items::reap(tx, later)).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_that_comes_after_the_cancel_is_refused() {
    let bench = Bench::start().await;
    let run = bench.plan(2).await;
    let held = bench.claim("first", 2, bench.now).await;
    assert!(bench.complete(&held[0]).await);
    let cancelled = bench.board.member.post(&format!("/api/v1/runs/{run}/cancel"), &json!({})).await;
    assert_eq!(cancelled.code(), 200, "{}", cancelled.text());
    assert!(!bench.complete(&held[1]).await);
    let run = bench.run(&run).await;
    assert_eq!([&run["status"], &run["case_done"]], [&json!("cancelled"), &json!(1)]);
    assert_eq!(count(&bench.board, "SELECT COUNT(*) AS n FROM cases").await, 1);
    let done = "SELECT COUNT(*) AS n FROM work_items WHERE state = 'done'";
    assert_eq!(
        count(&bench.board, done).await,
        1,
        "an item without a case was done: nobody would ask it again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_run_takes_turns_also_while_an_old_item_waits_for_its_next_try() {
    let bench = Bench::start().await;
    bench.plan(100).await;
    let held = bench.claim("first", 50, bench.now).await;
    let (waiting, much_later) = (held[0].clone(), bench.now.plus(600_000));
    for done in &held[1..] {
        bench.complete(done).await;
    }
    bench.write(move |tx| work_items::give_back(tx, &waiting.held, 0, much_later, None)).await;
    bench.plan(40).await;
    let next = bench.claim("first", 20, bench.now).await;
    let of_the_first = next.iter().filter(|item| item.held.run == held[0].held.run).count();
    assert!((8..=12).contains(&of_the_first), "{of_the_first} of the next 20 items are the first run's");
}

#[tokio::test(flavor = "multi_thread")]
async fn late_case_that_was_paid_for_counts_against_the_cap() {
    let bench = Bench::start().await;
    bench.plan(1).await;
    let item = bench.claim("first", 1, bench.now).await.remove(0);
    assert!(bench.complete(&item).await);
    let now = bench.now;
    let late = bench.write(move |tx| {
        let finished = Finished::new(item.held, right(tx, &item)?, true, Charge::Usd(0.25), now);
        Ok(record::cases(tx, &[finished], None, now)?.late)
    });
    assert_eq!(late.await, 1);
    let spent = |tx: &mut Tx<'_>| tx.one("SELECT SUM(usd) AS usd FROM spending", &[], |row| row.get("usd"));
    let spent: Option<f64> = bench.board.house.app.store.read(spent).await.unwrap();
    assert_eq!(spent, Some(0.25));
    assert_eq!(count(&bench.board, "SELECT COUNT(*) AS n FROM cases").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_planned_in_turn_however_large_one_is() {
    let bench = Bench::start().await;
    for cases in [500, 5] {
        let rows = samples(cases, |at| (format!("2+2? {at}"), "4".to_owned()));
        let eval = json!({"name": "sum", "prompt": "{{input}}", "eval_type": "exact", "samples": rows});
        let eval = bench.board.member.post("/api/v1/evals", &eval).await.json();
        let run = bench.board.member.post("/api/v1/runs", &json!({"eval_ids": [eval["id"]]})).await;
        assert_eq!(run.code(), 202, "{}", run.text());
    }
    let (now, mut last) = (bench.now, None);
    let mut planned = Vec::new();
    for _ in 0..3 {
        last = bench.write(move |tx| plans::extend_after(tx, last, 10, now)).await;
        planned.extend(last);
    }
    assert!(planned[0] != planned[1] && planned[0] == planned[2], "{planned:?}");
    let of_the_second = "SELECT COUNT(*) AS n FROM work_items WHERE run_id = (SELECT MAX(id) FROM runs)";
    assert_eq!(count(&bench.board, of_the_second).await, 5);
}

/// Answers the first question about each sample wrong, and any other one right: each when its gate opens.
fn late_at_first(first: &Gate, others: &Gate) -> Script {
    let (first, others, seen) = (first.clone(), others.clone(), Mutex::new(HashSet::new()));
    Script::by(move |asked| {
        let prompt = asked.prompt().to_owned();
        let is_first = seen.lock().unwrap().insert(prompt.clone());
        if is_first {
            Act::Wait(first.clone(), "wrong".to_owned())
        } else {
            Act::Wait(others.clone(), prompt)
        }
    })
}

/// A second machine over the same store, as another process would be one.
pub(super) async fn another_machine(board: &Board) -> Engine {
    let app = &board.house.app;
    let tools = Tools {
        store: app.store.clone(),
        providers: app.engine.providers().clone(),
        guard: app.guard.clone(),
        webhooks: app.webhooks.clone(),
        master: Arc::clone(&app.master),
        default_cap: None,
        give_up_after: Duration::from_secs(900),
        keep_answers: None,
    };
    let machine = Engine::new(tools, Pace { heartbeat: Duration::from_millis(50), ..QUICK });
    machine.start().await.unwrap();
    machine
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_machine_brings_that_stood_still_for_longer_than_its_leases_is_refused() {
    const CASES: usize = 12;
    // It leases, and then shows no sign of life: as a process that is stopped, or a host that is paused.
    let still = Pace { lease: Duration::from_millis(300), heartbeat: Duration::from_secs(3_600), ..QUICK };
    let field = Field::at_pace("", &[], still).await;
    let paused = &field.board.house.app.engine;
    let other = another_machine(&field.board).await;
    // The machine that is told of the run takes all of it; what it loses is the other one's.
    let (first, others) = (Gate::closed(), Gate::closed());
    let model = field.model("model", late_at_first(&first, &others), json!({})).await;
    let rows = samples(CASES, |at| (format!("say {at}"), format!("say {at}")));
    let eval = field.eval("says", "exact", json!({"samples": rows})).await;
    let run = field.trigger(json!({})).await;
    until("a second lease on everything", async || (field.provider.count() >= 2 * CASES).then_some(())).await;
    assert_eq!(paused.in_flight(), CASES, "nobody holds a result that comes too late");

    first.open();
    until("the late results", async || (paused.in_flight() == 0).then_some(())).await;
    assert_eq!(field.run(&run).await["case_done"], 0, "a late result counted");
    others.open();
    let run = field.ended(&run).await;

    assert_eq!([&run["case_done"], &run["case_errors"]], [&json!(CASES), &json!(0)], "{run}");
    assert_eq!(field.result(&run, &model, &eval).await["score"], 1.0, "a late result counted");
    let cases = field.count("SELECT COUNT(*) AS n FROM cases WHERE attempts > 1 AND score = 1").await;
    assert_eq!(cases, i64::try_from(CASES).unwrap());
    other.stop().await;
}
