//! A disk that fails once, is full, or has a damaged page.

use std::fs::File;
use std::os::unix::fs::FileExt;

use evalboard::store::{Store, read_as_is};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::Method;
use serde_json::json;

use super::rounds;
use super::session::{Session, answers_or_ends, until_runs_end};
use super::shim::{CREATE, ENOSPC, Failure, SYNC, WRITE};
use crate::support::field::{list, text, until};

/// What fails, one at a time, on a disk that fails.
pub(super) const FAILING: [Failure; 9] = [
    Failure::once(SYNC, "=evalboard.db-wal"),
    Failure::once(WRITE, "=evalboard.db-wal"),
    Failure { is_short: true, error: ENOSPC, ..Failure::once(WRITE, "=evalboard.db-wal") },
    Failure::once(WRITE, "=evalboard.db"),
    Failure::once(SYNC, "=evalboard.db"),
    Failure::once(WRITE, "files/tmp/"),
    Failure::once(SYNC, "files/tmp/"),
    Failure::once(SYNC, "files"),
    Failure::once(CREATE, "files/"),
];
/// Requests that are made between two faults.
const STEPS: usize = 20;
const PAGE: usize = 4096;

#[tokio::test(flavor = "multi_thread")]
async fn one_failing_write_or_fsync_loses_nothing_acknowledged() {
    for seed in rounds() {
        fail_once(seed).await;
    }
}

async fn fail_once(seed: u64) {
    let (mut session, mut server) = Session::begin(seed, false).await;
    let mut random = StdRng::seed_from_u64(seed);
    session
        .work(async |at_work| {
            for failure in FAILING {
                let failure = Failure { skip: random.random_range(0..4), ..failure };
                at_work.shim.fail(&failure);
                until(&format!("{failure:?}"), async || (at_work.shim.hits() > 0).then_some(())).await;
                at_work.more(STEPS / 4).await;
            }
        })
        .await;
    assert!(!server.has_ended());
    session.assert_whole(server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_write_is_not_found_after_a_crash() {
    for seed in rounds() {
        refuse_a_commit(seed).await;
    }
}

async fn refuse_a_commit(seed: u64) {
    let (session, mut server) = Session::begin(seed, false).await;
    until_runs_end(&session.site).await;
    let (caller, name) = (&session.caller, "refused");
    for is_upload in [true, false] {
        // A write of the server's own may meet the failure in its place.
        until("a commit that fails", async || {
            let failure = Failure::once(SYNC, "=evalboard.db-wal");
            let status = if is_upload {
                session.uploader.put_once(&failure).await
            } else {
                session.shim.fail(&failure);
                let model = json!({"name": name, "inference_uri": "builtin:echo"});
                let made = caller.attempt(Method::POST, "/api/v1/models", None, Some(&model)).await.unwrap();
                if made.status < 500 {
                    let path = format!("/api/v1/models/{}", text(&made.body["id"]));
                    caller.attempt(Method::DELETE, &path, None, None).await.unwrap();
                }
                made.status
            };
            (status >= 500).then_some(())
        })
        .await;
        drop(server);
        session.shim.relent();
        assert_eq!(session.site.check(), Ok(()), "a row whose file was removed");
        server = session.site.try_start().await.unwrap();
        let models = caller.get("/api/v1/models").await.body;
        assert!(list(&models).iter().all(|model| model["name"] != name), "{models}");
    }
    session.assert_whole(server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn full_disk_refuses_writes_and_loses_nothing() {
    for seed in rounds() {
        fill_up(seed).await;
    }
}

async fn fill_up(seed: u64) {
    let (mut session, mut server) = Session::begin(seed, false).await;
    let caller = session.caller.clone();
    let server = session
        .work(async |at_work| {
            at_work.more(STEPS).await;
            at_work.shim.fail(&Failure::full());
            until("a full disk", async || (at_work.shim.hits() > 0).then_some(())).await;
            let mut count = 0;
            until("a refused write", async || {
                count += 1;
                let name = format!("full {count}");
                let model = json!({"name": name, "inference_uri": "builtin:echo"});
                let made = caller.attempt(Method::POST, "/api/v1/models", None, Some(&model)).await.unwrap();
                (made.status == 507).then_some(())
            })
            .await;
            at_work.more(STEPS).await;
            let board = caller.attempt(Method::GET, "/api/v1/leaderboard", None, None).await.unwrap();
            assert_eq!((board.status, server.has_ended()), (200, false), "reads go on");
            // Started anew, it serves what it can or refuses in words.
            drop(server);
            answers_or_ends(at_work.site, &caller, &["full", "space", "disk"]).await;
            at_work.shim.relent();
            let server = at_work.site.try_start().await.unwrap();
            at_work.more(STEPS).await;
            server
        })
        .await;
    session.assert_whole(server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_page_is_never_read_as_sound() {
    for seed in rounds() {
        damage_a_page(seed).await;
    }
}

async fn damage_a_page(seed: u64) {
    let (mut session, server) = Session::begin(seed, false).await;
    session.work(async |at_work| at_work.more(2 * STEPS).await).await;
    drop(server);
    // All of the log is brought into the database.
    Store::open(&session.site.database()).unwrap().close();
    let server = session.site.try_start().await.unwrap();
    let page = Page::of_models(&session);
    page.damage();
    let lies = session.lies().await;
    assert!(lies.is_empty(), "{lies:#?}");
    let caller = session.caller.clone();
    let server = session
        .work(async |at_work| {
            at_work.more(STEPS).await;
            drop(server);
            // A write may have brought the page back from the server's memory; then nothing is mended, and all of it must
            // be there.
            if at_work.site.check().is_err() {
                answers_or_ends(at_work.site, &caller, &["check", "malformed", "damaged"]).await;
                page.mend();
            }
            at_work.site.try_start().await.unwrap()
        })
        .await;
    session.assert_whole(server).await;
}

/// The root page of the models, in the file of the database.
struct Page {
    database: File,
    at: u64,
    sound: Vec<u8>,
}

impl Page {
    fn of_models(session: &Session) -> Self {
        let path = session.site.database();
        let root = read_as_is(&path, |tx| {
            let sql = "SELECT rootpage AS n FROM sqlite_schema WHERE type = 'table' AND name = 'models'";
            tx.one(sql, &[], |row| row.get::<i64>("n"))
        });
        let at = (u64::try_from(root.unwrap()).unwrap() - 1) * u64::try_from(PAGE).unwrap();
        let database = File::options().read(true).write(true).open(path).unwrap();
        let mut sound = vec![0; PAGE];
        database.read_exact_at(&mut sound, at).unwrap();
        Self { database, at, sound }
    }

    fn damage(&self) {
        self.database.write_all_at(&[0xA5; PAGE], self.at).unwrap();
    }

    /// Brings back what was there, unless the server has written it anew.
    fn mend(&self) {
        let mut present = vec![0; PAGE];
        self.database.read_exact_at(&mut present, self.at).unwrap();
        if present == [0xA5; PAGE] {
            self.database.write_all_at(&self.sound, self.at).unwrap();
        }
    }
}
