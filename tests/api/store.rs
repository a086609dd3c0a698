//! The store: what its writer promises to many callers at once, and what its tables look like.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use evalboard::domain::id::{EvalKey, RunKey};
use evalboard::domain::time::Millis;
use evalboard::domain::users::Role;
use evalboard::error::{Error, Result};
use evalboard::store::{Store, Topic, Tx, migrate, plans, users};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::Board;
use crate::support::field::{samples, text, until};

fn open(folder: &TempDir) -> Store {
    Store::open(&folder.path().join("evalboard.db")).unwrap()
}

/// Adds a person: the smallest command there is.
fn add(tx: &mut Tx<'_>, name: &str) -> Result<()> {
    users::insert(tx, &format!("{name}@example.org"), Role::Member, Millis(0)).map(|_| ())
}

async fn people(store: &Store) -> Vec<String> {
    let query =
        |tx: &mut Tx<'_>| tx.rows("SELECT email FROM users ORDER BY email", &[], |row| row.get("email"));
    store.read(query).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_share_a_commit_stand_or_fall_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let command = |at: usize| {
        let store = store.clone();
        tokio::spawn(async move {
            let command = move |tx: &mut Tx<'_>| {
                add(tx, &format!("{at:03}"))?;
                match at % 10 {
                    3 => Err(Error::bad_request("after its write")),
                    7 => panic!("after its write"),
                    _ => Ok(at),
                }
            };
            store.write(command).await
        })
    };
    let running: Vec<_> = (0..500).map(command).collect();
    for (at, answer) in running.into_iter().enumerate() {
        match (at % 10, answer.await.unwrap()) {
            (3, Err(Error::Invalid { .. })) | (7, Err(Error::Internal(_))) => {}
            (3 | 7, other) => panic!("{at}: {other:?}"),
            (_, answer) => assert_eq!(answer.unwrap(), at),
        }
    }
    let stored: Vec<String> =
        (0..500).filter(|at| !matches!(at % 10, 3 | 7)).map(|at| format!("{at:03}@example.org")).collect();
    assert_eq!(people(&store).await, stored);
    store.write(|tx| add(tx, "afterwards")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_fails_takes_its_whole_command_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    store.write(|tx| add(tx, "taken")).await.unwrap();
    let twice = |tx: &mut Tx<'_>| {
        add(tx, "new")?;
        add(tx, "taken")
    };
    assert!(matches!(store.write(twice).await, Err(Error::Internal(_))));
    assert_eq!(people(&store).await, ["taken@example.org"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_sees_every_write_that_was_answered_and_cannot_write_itself() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    for at in 1..=50 {
        store.write(move |tx| add(tx, &format!("{at}"))).await.unwrap();
        assert_eq!(people(&store).await.len(), at);
    }
    assert!(store.read(|tx| add(tx, "a reader's")).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_is_there_when_the_file_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    store.write(|tx| add(tx, "one")).await.unwrap();
    tokio::task::spawn_blocking(|| store.close()).await.unwrap();
    assert_eq!(people(&open(&folder)).await, ["one@example.org"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_touched_topic_is_published_before_the_answer_and_only_when_it_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    for at in 0..50 {
        let (models, runs) = (store.generation(&[Topic::Models]), store.generation(&[Topic::Runs]));
        let touch = move |tx: &mut Tx<'_>| {
            tx.touch(Topic::Models);
            if at % 2 == 0 { Ok(()) } else { Err(Error::bad_request("no")) }
        };
        let stored = store.write(touch).await.is_ok();
        assert_eq!(store.generation(&[Topic::Models]) > models, stored);
        assert_eq!(store.generation(&[Topic::Runs]), runs);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_published_soon_and_a_few_times_a_second_at_most() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let progress = |tx: &mut Tx<'_>| {
        tx.touch_soon(Topic::Runs);
        Ok(())
    };
    let before = store.generation(&[Topic::Runs]);
    let (begun, mut seen) = (Instant::now(), BTreeSet::from([before]));
    for _ in 0..300 {
        store.write(progress).await.unwrap();
        seen.insert(store.generation(&[Topic::Runs]));
    }
    let ticks = begun.elapsed().as_millis() / 200 + 2;
    assert!(u128::try_from(seen.len()).unwrap() <= ticks + 1, "{} in {:?}", seen.len(), begun.elapsed());
    until("the progress to show", async || (store.generation(&[Topic::Runs]) > before).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_process_writes_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let (store, other) = (open(&folder), open(&folder));
    // What opening the file changed may still be on its way: it could pass for the first write only.
    for at in 0..3 {
        let before = store.generation(&Topic::ALL);
        other.write(move |tx| add(tx, &format!("{at}"))).await.unwrap();
        let noticed = async || (store.generation(&Topic::ALL) > before).then_some(());
        until("the other's write to be noticed", noticed).await;
        assert_eq!(people(&store).await.len(), at + 1);
    }
}

#[test]
fn every_file_of_the_folder_is_a_migration() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), migrate::count());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_table_is_strict() {
    let folder = tempfile::tempdir().unwrap();
    let query = |tx: &mut Tx<'_>| {
        let tables = "SELECT name, strict FROM pragma_table_list
                      WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite_%'";
        tx.rows(tables, &[], |row| Ok((row.get::<String>("name")?, row.get::<bool>("strict")?)))
    };
    let tables = open(&folder).read(query).await.unwrap();
    assert!(tables.len() > 10, "{tables:?}");
    let loose: Vec<_> = tables.into_iter().filter(|(_, strict)| !strict).map(|(name, _)| name).collect();
    assert_eq!(loose, ["refinery_schema_history"], "the migrations' own table is the only loose one");
}

/// A board that stands still, with a run of two models over evals of these samples and epochs.
struct Planned {
    board: Board,
    run: String,
}

impl Planned {
    async fn new(sizes: &[(usize, i64)]) -> Self {
        let board = Board::start().await;
        for answer in ["4", "5"] {
            let model = json!({"name": answer, "inference_uri": format!("builtin:constant?answer={answer}")});
            assert_eq!(board.member.post("/api/v1/models", &model).await.code(), 201);
        }
        for (size, epochs) in sizes {
            let rows = samples(*size, |at| (format!("2+2? {at}"), "4".to_owned()));
            let eval = json!({"name": "sum", "prompt": "{{input}}", "eval_type": "exact", "samples": rows,
                              "epochs": epochs});
            assert_eq!(board.member.post("/api/v1/evals", &eval).await.code(), 201);
        }
        let run = board.member.post("/api/v1/runs", &json!({})).await.json();
        Self { board, run: text(&run["id"]) }
    }

    async fn write<T: Send + 'static>(
        &self,
        command: impl FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
    ) -> T {
        self.board.house.app.store.write(command).await.unwrap()
    }

    async fn run(&self) -> Value {
        self.board.anonymous.get(&format!("/api/v1/runs/{}", self.run)).await.json()
    }

    async fn forget(&self, eval: &'static str) {
        self.write(move |tx| {
            let run: RunKey = tx.one("SELECT id FROM runs", &[], |row| row.get("id"))?;
            let eval: EvalKey = tx.one(eval, &[], |row| row.get("id"))?;
            plans::forget_eval(tx, run, eval, Millis(2))
        })
        .await;
    }

    /// Items by all that makes one, each with how often it is there.
    async fn items(&self) -> Vec<i64> {
        let query = |tx: &mut Tx<'_>| {
            tx.rows(
                "SELECT COUNT(*) AS n FROM work_items GROUP BY model_id, eval_id, sample_id, epoch",
                &[],
                |row| row.get("n"),
            )
        };
        self.board.house.app.store.read(query).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn planning_makes_each_item_once_however_small_its_steps_are() {
    for limit in [1, 2, 7, 5_000] {
        let planned = Planned::new(&[(7, 3), (5, 1), (1, 1)]).await;
        while planned.write(move |tx| plans::extend(tx, limit, Millis(1))).await {
            assert_eq!(planned.run().await["status"], "queued");
        }
        assert_eq!(planned.items().await, vec![1; 2 * (21 + 5 + 1)], "limit {limit}");
        assert_eq!(planned.run().await["case_total"], 54);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_forgets_an_eval_as_if_it_had_never_been_planned() {
    let planned = Planned::new(&[(7, 3), (5, 1), (1, 1)]).await;
    while planned.write(|tx| plans::extend(tx, 4, Millis(1))).await {}
    let totals = async || {
        let run = planned.run().await;
        ["total_models", "total_evals", "case_total", "case_done"].map(|name| run[name].as_i64().unwrap())
    };
    assert_eq!(totals().await, [2, 3, 54, 0]);
    planned.forget("SELECT MIN(id) AS id FROM evals").await;
    assert_eq!(totals().await, [2, 2, 12, 0]);
    planned.forget("SELECT MAX(id) AS id FROM evals").await;
    assert_eq!(totals().await, [2, 1, 10, 0]);
    planned.forget("SELECT id FROM evals ORDER BY id LIMIT 1 OFFSET 1").await;
    assert_eq!(totals().await, [0, 0, 0, 0]);
    assert_eq!(planned.run().await["status"], "failed", "nothing is left that could be measured");
}
