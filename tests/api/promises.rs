//! SECURITY.md names the tests that hold its promises: each of them is there.

use std::path::{Path, PathBuf};

/// Fewer would mean that the page is read wrongly.
const FEWEST: usize = 30;

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn sources(folder: &Path, texts: &mut Vec<String>) {
    let entries: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    for path in entries {
        if path.is_dir() && !path.ends_with("node_modules") {
            sources(&path, texts);
        } else if path.extension().is_some_and(|ending| ending == "rs" || ending == "mjs") {
            texts.push(std::fs::read_to_string(path).unwrap());
        }
    }
}

/// What stands between two marks, each time.
fn between(text: &str, mark: char) -> impl Iterator<Item = &str> {
    text.split(mark).skip(1).step_by(2)
}

/// The cells that say what holds a promise.
fn holders(page: &str) -> impl Iterator<Item = &str> {
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| promise"));
    rows.map(|row| row.trim_end_matches(" |").rsplit(" | ").next().unwrap())
}

#[test]
fn every_promise_names_tests_that_exist() {
    let page = read("SECURITY.md");
    let (mut texts, mut named) = (Vec::new(), 0);
    for folder in ["src", "tests"] {
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut texts);
    }
    let makefile = read("Makefile");
    let is_there = |what: &str| texts.iter().any(|text| text.contains(what));
    for cell in holders(&page) {
        assert!(cell.contains('`'), "nothing holds a promise: {cell}");
        for test in between(cell, '`') {
            named += 1;
            let found = match test.strip_prefix("make ") {
                Some(target) => makefile.contains(&format!("\n{target}:")),
                None => is_there(&format!("fn {test}(")),
            };
            assert!(found, "{test} is named in SECURITY.md and nowhere else");
        }
        for title in between(cell, '*') {
            named += 1;
            assert!(is_there(&format!("test('{title}'")), "there is no test '{title}'");
        }
    }
    assert!(named > FEWEST, "{named}");
}
