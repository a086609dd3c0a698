//! The house's rules that no compiler checks: who may import whom, and where SQL and foreign crates may be
//! named. Read off the source text, so that breaking one fails here and says where.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Layers from the outermost to the innermost; those of one line do not import each other.
const LAYERS: [&[&str]; 11] = [
    &["main"],
    &["cli"],
    &["server"],
    &["http"],
    &["service"],
    &["app"],
    &["engine", "leaderboard"],
    &["secrets"],
    &["store", "blobs", "egress", "telemetry"],
    &["domain", "config", "disk"],
    &["error", "cpu_clock"],
];

/// Crates and functions that only some places may name: by the beginning of their path below `src`.
const FOREIGN: [(&str, &[&str]); 10] = [
    // Elsewhere the name of what is made or renamed would not be brought to disk.
    ("DirBuilder", &["disk.rs"]),
    ("fs::create_dir", &["disk.rs"]),
    ("fs::rename", &["disk.rs"]),
    ("actix_", &["http/", "server.rs"]),
    ("hyper", &["egress/"]),
    ("jsonwebtoken", &["service/access_tokens.rs"]),
    ("object_store", &["blobs/s3/"]),
    ("openidconnect", &["service/oidc.rs", "egress/plain.rs"]),
    ("rusqlite", &["store/driver.rs", "store/connection_manager.rs", "store/sqlite"]),
    ("reqwest", &["blobs/s3/", "egress.rs", "egress/", "engine/provider/", "engine/webhook.rs", "cli/"]),
];

/// Beginnings of statements.
const SQL: [&str; 4] = ["SELECT ", "INSERT INTO", "UPDATE ", "DELETE FROM"];

const LONGEST_FILE: usize = 500;

/// A source file: its path below `src`, and its text.
struct Source {
    path: String,
    text: String,
}

/// What a source file is made of, comments left out.
#[derive(Default)]
struct Parts {
    /// All but comments and the insides of string literals.
    code: String,
    strings: Vec<String>,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    paths.sort();
    let source = |path: PathBuf| Source {
        text: std::fs::read_to_string(&path).unwrap(),
        path: path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned(),
    };
    paths.into_iter().map(source).collect()
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

impl Parts {
    fn of(text: &str) -> Self {
        let mut parts = Self::default();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            rest = parts.take(rest, first);
        }
        parts
    }

    /// Takes one piece off the front; answers what is left.
    fn take<'a>(&mut self, rest: &'a str, first: char) -> &'a str {
        if rest.starts_with("//") {
            return rest.find('\n').map_or("", |end| &rest[end..]);
        }
        if let Some(comment) = rest.strip_prefix("/*") {
            return comment.split_once("*/").map_or("", |(_, after)| after);
        }
        if let Some((string, after)) = raw_string(rest).or_else(|| plain_string(rest)) {
            self.strings.push(string.to_owned());
            self.code.push_str("\"\"");
            return after;
        }
        let length = character(rest).unwrap_or(first.len_utf8());
        self.code.push_str(&rest[..length]);
        &rest[length..]
    }
}

/// `"..."`, with its escapes as written.
fn plain_string(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_prefix('"')?;
    let mut is_escaped = false;
    let end = inside.find(|each: char| {
        let ends = each == '"' && !is_escaped;
        is_escaped = each == '\\' && !is_escaped;
        ends
    })?;
    Some((&inside[..end], &inside[end + 1..]))
}

/// `r"..."`, `r#"..."#` and so on.
fn raw_string(text: &str) -> Option<(&str, &str)> {
    let after = text.strip_prefix('r')?;
    let inside = after.trim_start_matches('#');
    let hashes = &after[..after.len() - inside.len()];
    let inside = inside.strip_prefix('"')?;
    inside.split_once(&format!("\"{hashes}"))
}

/// The length of a character literal; a lifetime is none.
fn character(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('\'')?;
    let skipped = if inside.starts_with('\\') { 2 } else { inside.chars().next()?.len_utf8() };
    let end = inside.get(skipped..)?.find('\'')?;
    let is_one = end == 0 || inside.starts_with("\\u") || inside.starts_with("\\x");
    is_one.then_some(1 + skipped + end + 1)
}

/// The modules of the crate that a file names: `crate::x`, also in groups, and `evalboard::x` in the program.
fn imports(source: &Source, code: &str) -> BTreeSet<String> {
    let root = if source.path == "main.rs" { "evalboard::" } else { "crate::" };
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices(root) {
        let named = &code[at + root.len()..];
        let heads = named.trim_start().strip_prefix('{').map_or_else(|| vec![word(named)], group_heads);
        found.extend(heads);
    }
    // The store's own macro, which lives at the crate's root.
    if found.remove("values") {
        found.insert("store".to_owned());
    }
    found
}

/// The first word of each part of a `{...}` group.
fn group_heads(group: &str) -> Vec<String> {
    let mut depth = 0_usize;
    let mut heads = vec![word(group)];
    for (at, each) in group.char_indices() {
        match each {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => heads.push(word(&group[at + 1..])),
            _ => {}
        }
    }
    heads.retain(|head| !head.is_empty());
    heads
}

fn word(text: &str) -> String {
    text.trim_start().chars().take_while(|each| each.is_alphanumeric() || *each == '_').collect()
}

/// Where a layer stands; none for names that are no module, such as exported macros.
fn depth(layer: &str) -> Option<usize> {
    LAYERS.iter().position(|line| line.contains(&layer))
}

fn layer_of(path: &str) -> &str {
    path.split('/').next().unwrap().trim_end_matches(".rs")
}

/// Everything in one file that breaks a rule, in words.
fn faults(source: &Source) -> Vec<String> {
    let parts = Parts::of(&source.text);
    let mut faults = Vec::new();
    faults.extend(bad_imports(source, &parts.code));
    faults.extend(foreign_names(source, &parts.code));
    faults.extend(stray_sql(source, &parts.strings));
    faults.extend(surface_faults(source, &parts.code));
    if !source.text.starts_with("//!") {
        faults.push("does not begin with a sentence on what it is (//!)".to_owned());
    }
    let length = length_without_tests(source);
    if length > LONGEST_FILE {
        faults.push(format!("has {length} lines without its tests"));
    }
    faults.into_iter().map(|fault| format!("src/{} {fault}", source.path)).collect()
}

fn bad_imports(source: &Source, code: &str) -> Vec<String> {
    let own = layer_of(&source.path);
    if own == "lib" {
        return Vec::new();
    }
    let Some(from) = depth(own) else { return vec![format!("is of no layer: {own} is not in the list")] };
    let bad = |other: &String| match depth(other) {
        _ if other == own => None,
        Some(to) if to > from => None,
        Some(_) => Some(format!("imports {other}, which is not below {own}")),
        None => Some(format!("imports {other}, which is of no layer")),
    };
    imports(source, code).iter().filter_map(bad).collect()
}

fn foreign_names(source: &Source, code: &str) -> Vec<String> {
    let names = |name: &str| {
        code.match_indices(name).any(|(at, _)| {
            let before = code[..at].chars().next_back();
            !before.is_some_and(|before| before.is_alphanumeric() || before == '_')
        })
    };
    let is_misplaced = |(name, places): &&(&str, &[&str])| {
        names(name) && !places.iter().any(|place| source.path.starts_with(place))
    };
    let misplaced = FOREIGN.iter().filter(is_misplaced);
    misplaced.map(|(name, places)| format!("names {name}, which is for {}", places.join(", "))).collect()
}

fn stray_sql(source: &Source, strings: &[String]) -> Vec<String> {
    let has_sql = |string: &&String| SQL.iter().any(|begin| string.contains(begin));
    let stray = strings.iter().filter(|_| layer_of(&source.path) != "store").filter(has_sql);
    stray.map(|string| format!("holds SQL outside the store: {string:?}")).collect()
}

/// Where surfaces are: a folder for each, below `src`.
const SURFACES: &str = "http/surfaces/";
/// Layers that a surface may import, besides what all of `http` shares.
const BELOW_SURFACES: [&str; 7] = ["app", "config", "domain", "error", "http", "service", "store"];

fn surface_names() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(SURFACES);
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let folders = entries.filter(|entry| entry.path().is_dir());
    folders.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

/// A surface imports neither another one nor the native API and the pages, and writes through services alone; nobody
/// else names a surface but the list.
fn surface_faults(source: &Source, code: &str) -> Vec<String> {
    let own = source.path.strip_prefix(SURFACES).and_then(|rest| rest.split_once('/')).map(|(own, _)| own);
    let mut faults = Vec::new();
    for name in surface_names().iter().filter(|name| Some(name.as_str()) != own) {
        let is_named = code.match_indices(&format!("{name}::")).any(|(at, _)| {
            let before = code[..at].trim_end_matches(|each: char| each == '{' || each.is_whitespace());
            before.ends_with("surfaces::") || own.is_some() && before.ends_with("super::")
        });
        if is_named {
            faults.push(format!("imports the surface {name}"));
        }
    }
    if own.is_some() {
        let strays = imports(source, code).into_iter().filter(|layer| !BELOW_SURFACES.contains(&&**layer));
        faults.extend(strays.map(|layer| format!("imports {layer}, which is not for a surface")));
        let inner =
            ["http::api", "http::pages", "store.write("].into_iter().filter(|word| code.contains(word));
        faults.extend(inner.map(|word| format!("names {word}, which is not for a surface")));
    }
    faults
}

#[test]
fn each_surface_has_one_line_and_a_default_feature() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let list = std::fs::read_to_string(root.join("src").join(SURFACES).join("mod.rs")).unwrap();
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let default = manifest.lines().find(|line| line.starts_with("default = ")).unwrap();
    let names = surface_names();
    assert!(names.len() >= 2, "{names:?}");
    for name in names {
        let feature = name.replace('_', "-");
        let line = format!("    \"{feature}\" => {name},\n");
        assert_eq!(list.matches(&line).count(), 1, "{name} is not listed once");
        assert!(default.contains(&format!("\"{feature}\"")), "{feature} is not a default feature");
    }
}

fn length_without_tests(source: &Source) -> usize {
    if source.path.ends_with("/tests.rs") {
        return 0;
    }
    let is_tests = |(line, next): &(&str, &str)| line.trim() == "#[cfg(test)]" && next.trim().ends_with('{');
    let lines = source.text.lines();
    let pairs = lines.clone().zip(lines.skip(1));
    pairs.take_while(|pair| !is_tests(pair)).count() + 1
}

#[test]
fn every_file_keeps_the_rules_of_the_house() {
    let sources = sources();
    assert!(sources.len() > 50, "the source was not found");
    let faults: Vec<String> = sources.iter().flat_map(faults).collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Where e-mail addresses are read from the database: all by which people are shown to others reads the view in their
/// place.
const ADDRESSES: [&str; 5] = [
    "store/users.rs",
    "store/api_keys.rs",
    "store/sessions.rs",
    "store/one_time_links.rs",
    // Who holds an upload's token.
    "store/uploads.rs",
];

#[test]
fn addresses_are_read_only_to_prove_who_somebody_is() {
    let is_read = |source: &&Source| {
        let strings = Parts::of(&source.text).strings;
        strings
            .iter()
            .any(|text| text.contains("JOIN users") || text.contains("users") && text.contains("email"))
            && source.path.starts_with("store/")
    };
    let sources = sources();
    let readers: Vec<&str> = sources.iter().filter(is_read).map(|source| source.path.as_str()).collect();
    let strays: Vec<&&str> = readers.iter().filter(|path| !ADDRESSES.contains(path)).collect();
    assert!(readers.len() >= ADDRESSES.len() && strays.is_empty(), "join submitters instead: {strays:?}");
}

/// The faults of a file with that path and text, besides its missing sentence.
fn faults_of(path: &str, text: &str) -> Vec<String> {
    faults(&Source { path: path.to_owned(), text: format!("//! A file.\n{text}") })
}

#[test]
fn what_breaks_a_rule_is_found() {
    let table = [
        ("domain/runs.rs", "use crate::store::Tx;", "imports store"),
        ("domain/runs.rs", "fn now() { crate::engine::Engine::now() }", "imports engine"),
        ("store/runs.rs", "use crate::{domain::{id, time}, service::runs, error};", "imports service"),
        ("store/runs.rs", "use crate::egress::Guard;", "imports egress"),
        ("engine/mod.rs", "use crate::http::Site;", "imports http"),
        ("service/runs.rs", "use crate::http::{self, View};", "imports http"),
        ("http/mod.rs", "use crate::server::Server;", "imports server"),
        ("error.rs", "use crate::domain::id;", "imports domain"),
        ("domain/runs.rs", "use crate::common::help;", "of no layer"),
        ("helpers.rs", "", "is of no layer"),
        ("engine/worker.rs", "use actix_web::rt;", "names actix_"),
        ("store/runs.rs", "fn f(c: &rusqlite::Connection) {}", "names rusqlite"),
        ("service/runs.rs", "use reqwest::Client;", "names reqwest"),
        ("blobs/local.rs", "fn f() { std::fs::rename(a, b)? }", "names fs::rename"),
        ("service/runs.rs", "const Q: &str = \"SELECT id\n FROM runs\";", "holds SQL"),
        ("http/api/runs.rs", "const Q: &str = r#\"DELETE FROM \"runs\"\"#;", "holds SQL"),
        ("http/api/runs.rs", "const C: char = '\"'; const Q: &str = \"UPDATE runs\";", "holds SQL"),
        ("domain/runs.rs", &"\n".repeat(LONGEST_FILE), "501 lines"),
        ("http/mod.rs", "use surfaces::oauth::SURFACE;", "imports the surface oauth"),
        (
            "http/api/runs.rs",
            "use crate::http::surfaces::{vercel_blob::f};",
            "imports the surface vercel_blob",
        ),
        ("http/surfaces/oauth/mod.rs", "use super::vercel_blob::f;", "imports the surface vercel_blob"),
        ("http/surfaces/oauth/mod.rs", "use crate::engine::f;", "imports engine"),
        ("http/surfaces/oauth/mod.rs", "use crate::http::api::f;", "names http::api"),
        ("http/surfaces/oauth/mod.rs", "fn f() { store.write(g) }", "names store.write("),
    ];
    for (path, text, words) in table {
        let faults = faults_of(path, text);
        assert_eq!(faults.len(), 1, "{path}: {text}: {faults:?}");
        assert!(faults[0].contains(words), "{faults:?}");
    }
    let bare = faults(&Source { path: "error.rs".to_owned(), text: "use std::fmt;".to_owned() });
    assert!(bare[0].contains("does not begin"), "{bare:?}");
}

#[test]
fn what_keeps_the_rules_is_let_be() {
    let long_tests = format!("#[cfg(test)]\nmod tests {{\n{}}}", "\n".repeat(LONGEST_FILE));
    let table = [
        ("main.rs", "use evalboard::cli::Cli;\nuse evalboard::{error, telemetry};"),
        ("http/api/runs.rs", "use actix_web::web;\nuse crate::{domain::id, store::{self, Topic}};"),
        ("store/runs.rs", "use crate::values;\n/// Not [`crate::http`].\nconst Q: &str = \"SELECT id\";"),
        ("store/driver.rs", "use rusqlite::types::ValueRef;"),
        (
            "http/surfaces/oauth/mod.rs",
            "use crate::{service::f, store::g}; use super::Surface; use self::wire::h;",
        ),
        ("egress/mod.rs", "use reqwest::Client; // for crate::engine"),
        (
            "domain/runs.rs",
            "fn f<'a>(t: &'a str) -> char { '\\'' } // SELECT is a word\nconst A: &str = \"crate::http\";",
        ),
        ("domain/runs.rs", long_tests.as_str()),
        ("engine/mod.rs", "use crate::engine::worker; use super::interactix_web;"),
    ];
    for (path, text) in table {
        assert_eq!(faults_of(path, text), Vec::<String>::new(), "{path}: {text}");
    }
}
