//! Forms as programs and browsers send them, and as nobody should.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;

use super::{Board, Client, PATIENCE, Reply};

/// A `multipart/form-data` body, part by part.
#[derive(Clone, Default)]
pub(crate) struct Form(Vec<u8>);

/// What stands between the parts.
pub(crate) const BOUNDARY: &str = "x-boundary-x";

impl Form {
    pub(crate) fn field(self, name: &str, value: &str) -> Self {
        self.part(&format!("name=\"{name}\""), None, value.as_bytes())
    }

    pub(crate) fn file(self, file_name: &str, content_type: Option<&str>, bytes: &[u8]) -> Self {
        self.part(&format!("name=\"file\"; filename=\"{file_name}\""), content_type, bytes)
    }

    pub(crate) fn part(mut self, disposition: &str, content_type: Option<&str>, bytes: &[u8]) -> Self {
        let content_type = content_type.map_or_else(String::new, |said| format!("Content-Type: {said}\r\n"));
        let head =
            format!("--{BOUNDARY}\r\nContent-Disposition: form-data; {disposition}\r\n{content_type}\r\n");
        self.0.extend_from_slice(head.as_bytes());
        self.0.extend_from_slice(bytes);
        self.0.extend_from_slice(b"\r\n");
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        [self.0.as_slice(), format!("--{BOUNDARY}--\r\n").as_bytes()].concat()
    }
}

impl Client {
    pub(crate) async fn send_form(&self, path: &str, form: &Form) -> Reply {
        self.send_form_once(path, form, None).await
    }

    pub(crate) async fn send_form_once(&self, path: &str, form: &Form, key: Option<&str>) -> Reply {
        let asked = self
            .ask(Method::POST, path)
            .header("content-type", &format!("multipart/form-data; boundary={BOUNDARY}"))
            .body(form.bytes());
        key.into_iter().fold(asked, |asked, key| asked.header("idempotency-key", key)).send().await
    }
}

impl Board {
    /// Every file in the folder of files, unfinished ones included.
    pub(crate) fn stored_files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        collect(&self.house.path().join("files"), &mut found);
        found
    }

    /// Waits until there are so many files: what is dropped is removed in the background.
    pub(crate) async fn expect_files(&self, count: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.stored_files().len() != count {
            assert!(Instant::now() < deadline, "not {count} files: {:?}", self.stored_files());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { collect(&path, found) } else { found.push(path) }
    }
}

/// The names of an object's fields with the kind of each: `s`tring, `n`umber, `b`ool, null `-`, else `?`.
pub(crate) fn shape(object: &Value) -> BTreeMap<String, char> {
    let kind = |value: &Value| match value {
        Value::String(_) => 's',
        Value::Number(_) => 'n',
        Value::Bool(_) => 'b',
        Value::Null => '-',
        _ => '?',
    };
    object.as_object().unwrap().iter().map(|(name, value)| (name.clone(), kind(value))).collect()
}

/// The same, written down: `id:s file_size:n`.
pub(crate) fn fields(text: &str) -> BTreeMap<String, char> {
    let pairs = text.split_whitespace().map(|pair| pair.split_once(':').unwrap());
    pairs.map(|(name, kind)| (name.to_owned(), kind.chars().next().unwrap())).collect()
}

/// The path and query of an address that begins with the server's public one.
pub(crate) fn local(url: &Value) -> String {
    url.as_str().unwrap().strip_prefix(super::PUBLIC_URL).expect("an address of ours").to_owned()
}

/// Checks status, code and field of an error.
pub(crate) fn assert_refused(reply: &Reply, status: u16, field: Option<&str>) {
    let body = reply.json();
    assert_eq!((reply.code(), body["field"].as_str()), (status, field), "{}", reply.text());
    assert!(body["error"].is_string() && body["code"].is_string());
}
