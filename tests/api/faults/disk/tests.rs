//! The simulated disk finds what it may, and everything that it must.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::{Disk, Rule};
use crate::faults::record::{Change, Entry};

/// What was laid into a folder after these changes, by path, often enough that chance shows all it can do.
fn images(rule: Rule, changes: &[(&'static str, u64, Change<'static>)]) -> Vec<BTreeMap<String, Vec<u8>>> {
    let image = |seed| {
        let mut disk = Disk::new(rule, StdRng::seed_from_u64(seed));
        for ((path, inode, change), begin) in changes.iter().zip(0..) {
            disk.apply(&Entry { begin, end: begin + 1, inode: *inode, path, change: *change });
        }
        let folder = tempfile::tempdir().unwrap();
        disk.lay_into(folder.path());
        let files = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path());
        let named = files.map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read(path).unwrap())
        });
        named.collect()
    };
    (0..60).map(image).collect()
}

#[test]
fn synced_bytes_are_always_found_and_others_sometimes() {
    const OLD: [u8; 1024] = [1; 1024];
    const NEW: [u8; 1024] = [2; 1024];
    let write = |bytes: &'static [u8]| Change::Write { offset: 0, bytes };
    let found = images(
        Rule::Folder,
        &[
            ("a", 1, Change::Create),
            ("a", 1, write(&OLD)),
            ("a", 1, Change::Sync(2)),
            ("", 9, Change::Sync(3)),
            ("a", 1, write(&NEW)),
        ],
    );
    let has = |part: &[u8]| found.iter().any(|image| image["a"] == part);
    assert!(has(&OLD) && has(&NEW), "missing, and there");
    assert!(has(&[&OLD[..512], &NEW[512..]].concat()), "torn");
    assert!(found.iter().flat_map(|image| &image["a"]).all(|byte| *byte > 0), "what was synced is there");
}

#[test]
fn failed_fsync_leaves_bytes_that_no_later_one_brings_back() {
    const BYTES: [u8; 512] = [1; 512];
    let found = images(
        Rule::Journal,
        &[
            ("a", 1, Change::Create),
            ("a", 1, Change::Write { offset: 0, bytes: &BYTES }),
            ("a", 1, Change::FailedSync(2)),
            ("a", 1, Change::Sync(3)),
        ],
    );
    assert!(found.iter().any(|image| image["a"].is_empty()) && found.iter().any(|image| image["a"] == BYTES));
}

#[test]
fn names_are_found_by_the_rule_of_their_file_system() {
    let changes = [("a", 1, Change::Create), ("b", 2, Change::Create), ("b", 2, Change::Sync(2))];
    let journal = images(Rule::Journal, &changes);
    assert!(journal.iter().all(|image| image.len() == 2), "an fsync of anything brings all names to disk");
    let folder = images(Rule::Folder, &changes);
    let alone = |name: &str| folder.iter().any(|image| image.len() == 1 && image.contains_key(name));
    assert!(alone("a") && alone("b"), "an fsync of a file brings no name to disk");
    let moved = [("a", 1, Change::Create), ("", 9, Change::Sync(1)), ("b", 1, Change::Rename("a"))];
    for rule in [Rule::Journal, Rule::Folder] {
        let found = images(rule, &moved);
        assert!(found.iter().all(|image| image.len() == 1), "a rename is whole or nothing");
        assert!(["a", "b"].iter().all(|name| found.iter().any(|image| image.contains_key(*name))));
    }
}
