//! What most tests do first: models, evals and runs, and waiting for what the engine does.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, interval};

use super::{Board, Client, PATIENCE, Reply};

/// How often to look.
const STEP: Duration = Duration::from_millis(10);

/// Rates that no test meets.
const UNLIMITED: [&str; 8] = [
    "--rate-read",
    "1000000",
    "--rate-read-burst",
    "1000000",
    "--rate-write",
    "1000000",
    "--rate-write-burst",
    "1000000",
];

/// An address that is public and never called: the engine of its test stands still, or its model is inactive.
pub(crate) const ELSEWHERE: &str = "https://93.184.216.34/v1/chat";

/// An eval of three sums, all of which `builtin:calculator` gets right.
pub(crate) fn sums() -> Value {
    json!({
        "name": "Sums", "prompt": "What is {{input}}?", "eval_type": "numeric",
        "samples": [
            {"id": "two", "input": "1 + 1", "target": "2"},
            {"id": "four", "input": "2 + 2", "target": "4"},
            {"id": "six", "input": "3 + 3", "target": "6"},
        ],
    })
}

/// An eval that is one question.
pub(crate) fn capital() -> Value {
    json!({
        "name": "Capital", "prompt": "Name the capital of France.", "eval_type": "includes",
        "expected_behavior": "Paris",
    })
}

/// `body` with the fields of `more` in it.
pub(crate) fn with(mut body: Value, more: Value) -> Value {
    let fields = more.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(fields);
    body
}

/// `value` has these fields with these values, whatever else it has.
pub(crate) fn assert_has(value: &Value, fields: Value) {
    for (name, wanted) in fields.as_object().unwrap() {
        assert_eq!(value.get(name), Some(wanted), "{name} in {value}");
    }
}

/// The text of a field that has one.
pub(crate) fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().unwrap_or_else(|| panic!("no {field} in {value}"))
}

/// The texts of that field, one for each row of a list.
pub(crate) fn column(list: &Value, field: &str) -> Vec<String> {
    list.as_array().unwrap().iter().map(|row| text(row, field).to_owned()).collect()
}

impl Board {
    /// The real server whose limits are out of the way, its engine standing still.
    pub(crate) async fn idle() -> Self {
        Self::with(&UNLIMITED).await
    }

    /// The same with its engine running.
    pub(crate) async fn busy() -> Self {
        Self::running(&UNLIMITED).await
    }
}

impl Client {
    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Reply {
        self.ask(Method::PATCH, path).json(body).send().await
    }

    /// Replaces the samples of an eval by these lines.
    pub(crate) async fn put_samples(&self, eval: &str, lines: impl Into<reqwest::Body>) -> Reply {
        let path = format!("/api/v1/evals/{eval}/samples");
        self.ask(Method::PUT, &path).header("content-type", "application/x-ndjson").body(lines).send().await
    }

    /// What is at `path`.
    pub(crate) async fn read(&self, path: &str) -> Value {
        let reply = self.get(path).await;
        assert_eq!(reply.code(), 200, "{path}: {}", reply.text());
        reply.json()
    }

    /// What was made by a POST that must work.
    pub(crate) async fn made(&self, path: &str, body: &Value) -> Value {
        let reply = self.post(path, body).await;
        assert_eq!(reply.code(), 201, "{path}: {}", reply.text());
        reply.json()
    }

    /// What a PATCH that must work answered.
    pub(crate) async fn changed(&self, path: &str, body: &Value) -> Value {
        let reply = self.patch(path, body).await;
        assert_eq!(reply.code(), 200, "{path}: {}", reply.text());
        reply.json()
    }

    /// The id of a new model at that URI, named by it.
    pub(crate) async fn model(&self, uri: &str) -> String {
        let made = self.made("/api/v1/models", &json!({"name": uri, "inference_uri": uri})).await;
        text(&made, "id").to_owned()
    }

    /// The id of a new eval.
    pub(crate) async fn eval(&self, body: &Value) -> String {
        text(&self.made("/api/v1/evals", body).await, "id").to_owned()
    }

    /// The id of a run that was just triggered.
    pub(crate) async fn trigger(&self, body: &Value) -> String {
        let reply = self.post("/api/v1/runs", body).await;
        assert_eq!(reply.code(), 202, "{}", reply.text());
        text(&reply.json(), "id").to_owned()
    }

    /// A run from its trigger to its end.
    pub(crate) async fn run(&self, body: &Value) -> Value {
        let id = self.trigger(body).await;
        self.until(&format!("/api/v1/runs/{id}"), |run| run["completed_at"].is_i64()).await
    }

    /// What is at `path` once it is as wanted.
    pub(crate) async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let (deadline, mut steps) = (Instant::now() + PATIENCE, interval(STEP));
        loop {
            steps.tick().await;
            let seen = self.read(path).await;
            if wanted(&seen) {
                return seen;
            }
            assert!(Instant::now() < deadline, "{path} stayed {seen}");
        }
    }
}

impl Client {
    /// The ids of a list that is read page by page, each page as its headers promise.
    pub(crate) async fn pages(&self, path: &str, limit: usize) -> Vec<String> {
        let whole = self.get(path).await;
        let total = whole.header("x-total-count").parse().unwrap();
        let (mut ids, mut next) = (Vec::new(), Some(format!("{path}?limit={limit}")));
        while let Some(address) = next {
            let page = self.get(&address).await;
            assert_eq!(page.code(), 200, "{address}: {}", page.text());
            assert_eq!(page.header("x-total-count"), whole.header("x-total-count"), "{address}");
            ids.extend(column(&page.json(), "id"));
            next = next_page(&page);
            assert_eq!(ids.len(), if next.is_some() { ids.len().next_multiple_of(limit) } else { total });
        }
        assert!(total > limit, "{path} has one page");
        ids
    }

    /// The caller with a copy of what is at `path`.
    pub(crate) async fn holding(&self, path: &str) -> Holding<'_> {
        let reply = self.get(path).await;
        assert_eq!(reply.code(), 200, "{path}: {}", reply.text());
        let tag = reply.header("etag").to_owned();
        assert!(!tag.is_empty(), "{path} has no tag");
        let holding = Holding { client: self, path: path.to_owned(), tag };
        assert_eq!(holding.ask_again(Method::GET).await.code(), 304, "{path}");
        holding
    }
}

/// The address of the page behind this one, if there is one, as its `Link` header names it.
fn next_page(page: &Reply) -> Option<String> {
    let link = page.header("link");
    let address = link.strip_prefix('<')?.strip_suffix(">; rel=\"next\"")?;
    Some(address.strip_prefix(super::PUBLIC_URL).unwrap().to_owned())
}

/// A caller with a copy of what was at an address.
pub(crate) struct Holding<'c> {
    client: &'c Client,
    path: String,
    tag: String,
}

impl<'c> Holding<'c> {
    async fn ask_again(&self, method: Method) -> Reply {
        self.client.ask(method, &self.path).header("if-none-match", &self.tag).send().await
    }

    /// Its copy is no longer true: GET and HEAD answer with another one, which it holds from now on.
    pub(crate) async fn renewed(self) -> Holding<'c> {
        let head = self.ask_again(Method::HEAD).await;
        let get = self.ask_again(Method::GET).await;
        assert_eq!((head.code(), get.code()), (200, 200), "{} did not change", self.path);
        assert_eq!(head.header("etag"), get.header("etag"));
        assert_eq!(head.header("content-length"), get.body.len().to_string());
        assert!(head.body.is_empty());
        self.client.holding(&self.path).await
    }

    /// What it has a copy of is not there any more.
    pub(crate) async fn gone(self) {
        assert_eq!(self.ask_again(Method::GET).await.code(), 404, "{}", self.path);
        assert_eq!(self.ask_again(Method::HEAD).await.code(), 404, "{}", self.path);
    }
}

impl Reply {
    /// It is an error of that status, whose body has `value` in `field` of its own.
    pub(crate) fn assert_refused(&self, status: u16, field: &str, value: &str) {
        assert_eq!(self.code(), status, "{}", self.text());
        assert_eq!(self.json()[field], value, "{}", self.text());
    }
}
