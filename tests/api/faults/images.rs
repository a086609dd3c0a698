//! Loss of power: the disk of a server that is at work, cut off at any moment, and what is found then.

use std::cell::RefCell;

use evalboard::store::{blobs, read_as_is};
use futures_util::{StreamExt as _, stream};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use super::disk::{Disk, Rule};
use super::disks::FAILING;
use super::record::{Entry, entries};
use super::session::{Session, faults_after};
use super::shim::Failure;
use crate::crash::seed;
use crate::support::field::until;
use crate::support::site::{Running, Site};

/// Images per test unless EVALBOARD_IMAGES says otherwise.
const IMAGES: usize = 4;
/// Images that are made of one record at most.
const IMAGES_OF_A_RECORD: usize = 24;
/// Requests before the server is killed, and after it.
const STEPS: usize = 50;
/// Failures in a session with a failing disk.
const FAILURES: usize = 8;
/// Images that are looked at at once.
const AT_ONCE: usize = 2;

fn images() -> usize {
    std::env::var("EVALBOARD_IMAGES").map_or(IMAGES, |images| images.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn power_loss_keeps_every_acknowledged_write() {
    let seed = seed();
    for (record, images) in records(images()) {
        let seed = seed.wrapping_add(record);
        let (mut session, server) = Session::begin(seed, true).await;
        let server = session
            .work(async |at_work| {
                at_work.more(STEPS).await;
                drop(server);
                let server = at_work.site.start().await;
                at_work.more(STEPS).await;
                server
            })
            .await;
        look_at(&session, server, seed, images, true).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn power_loss_after_failed_writes_keeps_the_acknowledged() {
    let seed = seed();
    for (record, images) in records(images()) {
        let seed = seed.wrapping_add(record);
        let (mut session, server) = Session::begin(seed, true).await;
        let mut random = StdRng::seed_from_u64(seed);
        let failed = session
            .work(async |at_work| {
                let mut failed = 0;
                for _ in 0..FAILURES {
                    let failure = FAILING.choose(&mut random).unwrap();
                    at_work.shim.fail(&Failure { skip: random.random_range(0..6), ..*failure });
                    at_work.more(STEPS / 4).await;
                    failed += at_work.shim.hits();
                }
                // This one, at least.
                at_work.shim.fail(&FAILING[0]);
                until("a failed fsync of the log", async || (at_work.shim.hits() > 0).then_some(())).await;
                at_work.more(STEPS / 4).await;
                failed + at_work.shim.hits()
            })
            .await;
        println!("failed writes and fsyncs: {failed}");
        look_at(&session, server, seed, images, false).await;
    }
}

/// How many images to make of each record, with the record's number.
fn records(images: usize) -> Vec<(u64, usize)> {
    let sizes = (0..images).step_by(IMAGES_OF_A_RECORD).map(|done| IMAGES_OF_A_RECORD.min(images - done));
    (0..).zip(sizes).collect()
}

/// Cuts the power of a session at so many moments, and holds what is found to its ledger.
async fn look_at(session: &Session, server: Running, seed: u64, images: usize, is_quiet: bool) {
    drop(server);
    let record = std::fs::read(session.shim.record()).unwrap();
    let all = entries(&record);
    let acknowledged = session.acknowledged();
    let random = RefCell::new(StdRng::seed_from_u64(seed));
    let looked = stream::iter(0..images).map(|at| {
        let image = Image::choose(&mut random.borrow_mut(), session, &all, &acknowledged, at);
        let all = &all;
        async move { image.faults(session, all, is_quiet).await }
    });
    let faults: Vec<String> = looked.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await.concat();
    println!(
        "seed {seed}: record of {} changes in {} MB, acknowledged {}, failed {}, images {images}",
        all.len(),
        record.len() / 1_000_000,
        acknowledged.len(),
        session.failed(),
    );
    assert!(faults.is_empty(), "EVALBOARD_SEED={seed}: {faults:#?}");
    assert!(acknowledged.len() > STEPS / 2, "hardly anything happened");
}

/// One loss of power.
#[derive(Debug)]
struct Image {
    rule: Rule,
    cut: u64,
    seed: u64,
    /// Whether what no row names is to be swept away in the end.
    is_swept: bool,
}

impl Image {
    /// Cuts at a moment when something had just been acknowledged, or at any, or during the first start.
    fn choose(
        random: &mut StdRng,
        session: &Session,
        all: &[Entry<'_>],
        acknowledged: &[u64],
        at: usize,
    ) -> Self {
        let first = all.iter().take_while(|entry| entry.end <= session.ready).count();
        let cut = match at % 4 {
            1 => all[random.random_range(0..all.len())].end,
            2 => all[random.random_range(0..first)].end,
            _ => *acknowledged.choose(random).expect("something that was acknowledged"),
        };
        let rule = if (at + at / 4).is_multiple_of(2) { Rule::Folder } else { Rule::Journal };
        Self { rule, cut, seed: random.random(), is_swept: at.is_multiple_of(4) }
    }

    /// What is not as it should be on the disk that is found.
    async fn faults(&self, session: &Session, all: &[Entry<'_>], is_quiet: bool) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let mut disk = Disk::new(self.rule, StdRng::seed_from_u64(self.seed));
        all.iter().take_while(|entry| entry.end <= self.cut).for_each(|entry| disk.apply(entry));
        disk.lay_into(folder.path());
        let site = Site::over(folder, &session.provider, &super::session::variables());
        let mut faults = Vec::new();
        if session.ready <= self.cut {
            faults.extend(site.check().err());
        }
        match site.try_start().await {
            Ok(server) => {
                faults.extend(session.losses(&session.caller.moved_to(&site), self.cut).await);
                faults.extend(faults_after(&site, server).await);
            }
            Err(log) => faults.push(format!("it does not start: {log}")),
        }
        if faults.is_empty() && self.is_swept {
            sweep(&site).await;
        }
        faults.extend(site.errors().into_iter().filter(|_| is_quiet));
        faults.into_iter().map(|fault| format!("{self:?}: {fault}")).collect()
    }
}

/// Has everything swept away that no row names; every file has its row then, and every row its file.
async fn sweep(site: &Site) {
    site.age_files();
    let server = site.start().await;
    until("the sweep", async || {
        let rows = read_as_is(&site.database(), blobs::paths).ok()?;
        (site.files() == rows).then_some(())
    })
    .await;
    drop(server);
}
