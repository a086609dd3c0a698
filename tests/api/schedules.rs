//! Runs on a schedule: they fire once for each time, whatever becomes of the server, and say what came of it.
//!
//! Time is the test's: it says what the moment is at which somebody looks for what is due.

use std::time::Duration;

use evalboard::domain::time::Millis;
use evalboard::domain::users::Role;
use evalboard::service::{caps, schedules};
use evalboard::store::{Store, Tx, users};
use rand::RngExt;
use serde_json::{Value, json};

use crate::support::field::{count, until};
use crate::support::provider::Provider;
use crate::support::site::Site;
use crate::support::steps::{assert_has, sums, text, with};
use crate::support::{Board, Reply};

const DAY: i64 = 86_400_000;

fn nightly() -> Value {
    json!({"name": "Nightly", "cron": "0 3 * * *"})
}

impl Board {
    /// A board with a model and an eval, whose engine stands still.
    async fn with_something_to_run() -> Self {
        let board = Self::idle().await;
        board.member.model("builtin:calculator").await;
        board.member.eval(&sums()).await;
        board
    }

    /// The path of a new schedule.
    async fn schedule(&self, body: &Value) -> String {
        let made = self.admin.made("/api/v1/schedules", body).await;
        format!("/api/v1/schedules/{}", text(&made, "id"))
    }

    /// Somebody looks for what is due at that moment. Answers the schedule as it is then.
    async fn look_at(&self, path: &str, at: i64) -> Value {
        schedules::fire_due(&self.house.app, Millis(at)).await.unwrap();
        self.anonymous.read(path).await
    }

    /// When the schedule fires next.
    async fn next(&self, path: &str) -> i64 {
        self.anonymous.read(path).await["next_at"].as_i64().unwrap()
    }

    async fn refused(&self, body: Value, field: &str) -> String {
        let reply: Reply = self.admin.post("/api/v1/schedules", &body).await;
        reply.assert_refused(400, "field", field);
        text(&reply.json(), "error").to_owned()
    }

    async fn write(&self, sql: &'static str) {
        let command = move |tx: &mut Tx<'_>| tx.execute(sql, &[]).map(drop);
        self.house.app.store.write(command).await.unwrap();
    }
}

const RUNS: &str = "SELECT COUNT(*) AS n FROM runs";

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_fires_at_its_time_once_and_its_run_says_so() {
    let board = Board::with_something_to_run().await;
    let run = json!({"only_missing": true, "max_samples": 2, "budget_usd": 5, "notes": "by night"});
    let path = board.schedule(&with(nightly(), json!({"run": run}))).await;
    let due = board.next(&path).await;
    assert_eq!((due % DAY, due > Millis::now().0), (3 * 3_600_000, true), "03:00 UTC, and still to come");

    let before = board.look_at(&path, due - 1).await;
    assert_has(&before, json!({"last_at": null, "last_outcome": null, "last_run_id": null, "next_at": due}));
    let fired = board.look_at(&path, due).await;
    assert_has(&fired, json!({"last_at": due, "last_outcome": "started", "last_message": null}));
    assert_has(&fired, json!({"next_at": due + DAY, "is_active": true, "when": "Every day at 03:00 UTC"}));
    board.look_at(&path, due).await;
    board.look_at(&path, due + 1_000).await;
    assert_eq!(count(&board, RUNS).await, 1, "it fired twice for one time");

    let started = board.anonymous.read(&format!("/api/v1/runs/{}", text(&fired, "last_run_id"))).await;
    assert_has(&started, json!({"triggered_by": "admin@example.org", "schedule_name": "Nightly"}));
    assert_has(&started, json!({"schedule_id": fired["id"], "started_at": due, "notes": "by night"}));
    assert_has(&started, json!({"max_samples": 2, "budget_usd": 5.0, "case_total": 2}));
    let page = board.anonymous.get(&format!("/runs/{}", text(&started, "id"))).await.text();
    assert!(page.contains("schedule Nightly, of admin@example.org"), "{page}");
    let list = board.anonymous.get("/schedules").await.text();
    for words in ["Every day at 03:00 UTC", "started", "only what is missing", "$5.00 at most", "03:00 UTC"] {
        assert!(list.contains(words), "{words}: {list}");
    }
    assert!(board.anonymous.get("/runs").await.text().contains("schedule Nightly"));
}

#[tokio::test(flavor = "multi_thread")]
async fn times_that_were_missed_fire_once_and_say_that_they_are_late() {
    let board = Board::with_something_to_run().await;
    let path = board.schedule(&nightly()).await;
    let due = board.next(&path).await;
    let fired = board.look_at(&path, due + 10 * DAY + 1_234).await;
    assert_has(&fired, json!({"last_outcome": "started", "next_at": due + 11 * DAY}));
    assert!(text(&fired, "last_message").starts_with("late: it was due at "), "{fired}");
    assert_eq!(count(&board, RUNS).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_a_run_from_starting_is_said_and_the_next_time_comes_all_the_same() {
    let board = Board::idle().await;
    let model = board.member.model("builtin:calculator").await;
    let eval = board.member.eval(&sums()).await;
    let body = json!({"run": {"model_ids": [model], "eval_ids": [eval], "only_missing": true}});
    let path = board.schedule(&with(nightly(), body)).await;
    let mut due = board.next(&path).await;
    let mut skips = async |words: &str| {
        let skipped = board.look_at(&path, due).await;
        due += DAY;
        assert_has(&skipped, json!({"last_outcome": "skipped", "last_at": due - DAY, "next_at": due}));
        let said = text(&skipped, "last_message");
        assert!(said.contains(words), "{words}: {said}");
        skipped
    };
    // The one before it is still going on.
    let open = board.admin.changed(&path, &json!({"name": "Renamed"})).await;
    assert_has(&open, json!({"cron": "0 3 * * *", "next_at": board.next(&path).await}));
    let first = {
        let at = board.next(&path).await;
        schedules::fire_due(&board.house.app, Millis(at)).await.unwrap();
        board.anonymous.read(&path).await
    };
    let run = text(&first, "last_run_id").to_owned();
    assert_has(&first, json!({"last_outcome": "started"}));
    board.write("UPDATE schedules SET next_at = last_at").await;
    let skipped = skips("is still going on").await;
    assert_has(&skipped, json!({"last_run_id": run}));
    // Nothing is missing once it is over.
    board.house.app.engine.start().await.unwrap();
    until("the end of the run", async || {
        let run = board.anonymous.read(&format!("/api/v1/runs/{run}")).await;
        (run["status"] == "completed").then_some(())
    })
    .await;
    skips("nothing to run: every cell has a current result").await;
    board.member.changed(&format!("/api/v1/evals/{eval}"), &json!({"is_active": false})).await;
    skips(&format!("{eval} is unknown, deleted or not active")).await;
    board.member.delete(&format!("/api/v1/models/{model}")).await;
    skips(&format!("{model} is unknown, deleted or not active")).await;
    board.write("UPDATE users SET role = 'member' WHERE email = 'admin@example.org'").await;
    skips("its owner is no admin any more").await;
    assert_eq!(count(&board, RUNS).await, 1);
    let page = board.anonymous.get("/schedules").await.text();
    assert!(page.contains("skipped") && page.contains("is no admin any more"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_whose_prices_are_gone_is_a_reason_to_skip() {
    let board = Board::idle().await;
    let priced =
        json!({"name": "priced", "inference_uri": "anthropic/claude", "input_price": 1, "output_price": 1});
    let priced = board.admin.made("/api/v1/models", &priced).await;
    board.member.eval(&sums()).await;
    let run = json!({"model_ids": [priced["id"]], "budget_usd": 1});
    let path = board.schedule(&with(nightly(), json!({"run": run}))).await;
    let model = format!("/api/v1/models/{}", text(&priced, "id"));
    board.admin.changed(&model, &json!({"input_price": null})).await;
    let skipped = board.look_at(&path, board.next(&path).await).await;
    assert!(text(&skipped, "last_message").contains("what priced costs is not known"), "{skipped}");
    let said = board.refused(with(nightly(), json!({"run": run})), "run.budget_usd").await;
    assert!(said.contains("what priced costs"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_paused_goes_on_from_now_and_is_deleted() {
    let board = Board::with_something_to_run().await;
    let path = board.schedule(&with(nightly(), json!({"is_active": false}))).await;
    assert_has(&board.anonymous.read(&path).await, json!({"is_active": false, "next_at": null}));
    assert!(board.anonymous.get("/schedules").await.text().contains("paused"));
    let resumed = board.admin.changed(&path, &json!({"is_active": true})).await;
    assert!(resumed["next_at"].as_i64().unwrap() > Millis::now().0, "{resumed}");
    let due = board.next(&path).await;
    board.admin.changed(&path, &json!({"is_active": false})).await;
    board.look_at(&path, due).await;
    assert_eq!(count(&board, RUNS).await, 0, "a paused one fired");
    let moved = board.admin.changed(&path, &json!({"cron": "@hourly", "is_active": true})).await;
    assert_has(&moved, json!({"cron": "@hourly", "when": "At minute 0 past every hour, UTC"}));
    let due = board.next(&path).await;
    assert!(due % 3_600_000 == 0 && due <= Millis::now().0 + 3_600_000, "{moved}");
    let fired = board.look_at(&path, due).await;

    assert_eq!(board.admin.delete(&path).await.code(), 200);
    assert_eq!(board.anonymous.get(&path).await.code(), 404);
    schedules::fire_due(&board.house.app, Millis(due + 10 * DAY)).await.unwrap();
    assert_eq!(count(&board, RUNS).await, 1, "a deleted one fired");
    let run = board.anonymous.read(&format!("/api/v1/runs/{}", text(&fired, "last_run_id"))).await;
    assert_has(&run, json!({"schedule_name": "Nightly"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_ones_are_refused_by_field_with_the_fix() {
    let board = Board::with_something_to_run().await;
    for (cron, words) in [
        ("61 3 * * *", "61 as its minute, which may be *, 0-59"),
        ("0 3 * * FOO", "FOO as its day of the week"),
        ("0 0 3 * * *", "five fields"),
        ("@fortnightly", "has no @fortnightly"),
        ("", "1-100 ASCII"),
        ("0 0 30 2 *", "0 0 30 2 * never comes"),
    ] {
        let said = board.refused(with(nightly(), json!({"cron": cron})), "cron").await;
        assert!(said.contains(words) && said.contains("\"0 3 * * *\""), "{cron}: {said}");
    }
    for (more, field) in [
        (json!({"name": " "}), "name"),
        (json!({"run": {"dry_run": true}}), "run.dry_run"),
        (json!({"run": {"model_ids": ["nobody"]}}), "run.model_ids[0]"),
        (json!({"run": {"eval_ids": []}}), "run.eval_ids"),
        (json!({"run": {"epochs": 0}}), "run.epochs"),
        (json!({"run": {"budget_usd": 0}}), "run.budget_usd"),
        (json!({"run": {"models": []}}), "run.models"),
        (json!({"owner": "me"}), "owner"),
    ] {
        board.refused(with(nightly(), more), field).await;
    }
    let path = board.schedule(&nightly()).await;
    board.admin.patch(&path, &json!({"cron": "0 0 31 2 *"})).await.assert_refused(400, "field", "cron");
    assert_has(&board.anonymous.read(&path).await, nightly());
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_a_most_and_a_repeated_post_makes_one() {
    let board = Board::with_something_to_run().await;
    let once = async || {
        let post = board.admin.ask(reqwest::Method::POST, "/api/v1/schedules");
        post.header("idempotency-key", "nightly").json(&nightly()).send().await
    };
    let (first, second) = (once().await, once().await);
    assert_eq!((first.code(), first.body == second.body), (201, true));
    for _ in 1..100 {
        board.schedule(&nightly()).await;
    }
    let refused = board.admin.post("/api/v1/schedules", &nightly()).await;
    refused.assert_refused(409, "code", "too_many_schedules");
    let list = board.anonymous.get("/api/v1/schedules?limit=60").await;
    assert_eq!((list.json().as_array().unwrap().len(), list.header("x-total-count")), (60, "100"));
}

/// Does something with the database of a server that may be running.
async fn with_store<T: Send + 'static>(
    site: &Site,
    command: impl FnMut(&mut Tx<'_>) -> evalboard::error::Result<T> + Send + 'static,
) -> T {
    let store = Store::open(&site.database()).unwrap();
    let done = store.write(command).await.unwrap();
    tokio::task::spawn_blocking(|| store.close()).await.unwrap();
    done
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_around_a_firing_fires_once_for_each_time() {
    const TIMES: usize = 12;
    let site = Site::new(&Provider::start());
    let mut server = site.start().await;
    let caller = site.caller();
    caller.post("/api/v1/models", &json!({"name": "echo", "inference_uri": "builtin:echo"})).await;
    caller.post("/api/v1/evals", &sums()).await;
    // It comes once a year: within this test only when the test says so.
    let yearly = json!({"name": "Yearly", "cron": "0 0 1 1 *"});
    let made = caller.post("/api/v1/schedules", &yearly).await;
    let path = format!("/api/v1/schedules/{}", text(&made, "id"));
    for time in 1..=TIMES {
        drop(server);
        with_store(&site, |tx| tx.execute("UPDATE schedules SET next_at = 1000", &[]).map(drop)).await;
        // It dies while it starts, and again, wherever it is by then.
        for _ in 0..2 {
            let dying = site.spawn();
            let life = rand::rng().random_range(0..1_500);
            tokio::time::sleep(Duration::from_millis(life)).await;
            drop(dying);
        }
        server = site.start().await;
        let fired = until("the firing", async || {
            let schedule = caller.get(&path).await.body;
            (schedule["next_at"].as_i64().unwrap() > 1_000).then_some(schedule)
        })
        .await;
        assert_has(&fired, json!({"last_outcome": "started"}));
        let run = format!("/api/v1/runs/{}", text(&fired, "last_run_id"));
        let ended = until("the end of its run", async || {
            let run = caller.get(&run).await.body;
            (run["status"] == "completed").then_some(run)
        })
        .await;
        assert_has(&ended, json!({"case_done": 3, "schedule_name": "Yearly"}));
        assert_eq!(caller.get("/api/v1/runs").await.total, Some(time), "after {time} times");
    }
    drop(server);
    assert_eq!(site.errors(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cap_of_an_admin_holds_nobody() {
    let board = Board::with_something_to_run().await;
    let store = &board.house.app.store;
    caps::set(store, "admin@example.org", Some(0.0)).await.unwrap();
    let find = |tx: &mut Tx<'_>| users::find_by_email(tx, "admin@example.org");
    assert_eq!(store.read(find).await.unwrap().unwrap().role, Role::Admin);
    let me = board.admin.read("/api/v1/me").await;
    assert_has(&me, json!({"role": "admin", "daily_usd": null, "spent_usd": 0.0}));
}
