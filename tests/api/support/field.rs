//! A board with a provider beside it, and the steps that most stories about runs are made of.

use std::time::{Duration, Instant};

use evalboard::engine::Pace;
use evalboard::store::Tx;
use reqwest::Method;
use serde_json::{Value, json};

use super::provider::{Provider, Script};
use super::{Board, PATIENCE, QUICK, Reply};

/// The longest that anything here is waited for.
/// How often it is looked whether it has come.
const STEP: Duration = Duration::from_millis(10);

/// Waits until `look` finds something.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(STEP).await;
    }
}

/// A board whose models are the provider's.
pub(crate) struct Field {
    pub(crate) board: Board,
    pub(crate) provider: Provider,
}

impl Field {
    /// A board with its engine running.
    pub(crate) async fn start() -> Self {
        Self::allowing("").await
    }

    /// The same, which may call these addresses as well. A test that waits for something asks more often
    /// than a visitor may.
    pub(crate) async fn allowing(others: &str) -> Self {
        Self::with(others, &[]).await
    }

    /// The same, with these flags besides.
    pub(crate) async fn with(others: &str, more: &[&str]) -> Self {
        Self::at_pace(others, more, QUICK).await
    }

    /// A board with these flags whose operator pays for the models `house/...` and `other/...`, which are the
    /// provider's; each of the two has a key of its own.
    pub(crate) async fn operated(more: &[&str]) -> Self {
        let provider = Provider::start();
        let allowed = provider.address.to_string();
        let flags = ["--egress-allow", &allowed, "--rate-read", "100000", "--rate-read-burst", "100000"];
        let variables = [
            ("EVALBOARD_PROVIDER_HOUSE_BASE_URL", format!("http://{}/v1", provider.address)),
            ("EVALBOARD_PROVIDER_HOUSE_API_KEY", "sk-house".to_owned()),
            ("EVALBOARD_PROVIDER_OTHER_BASE_URL", format!("http://{}/v1", provider.address)),
            ("EVALBOARD_PROVIDER_OTHER_API_KEY", "sk-other".to_owned()),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value)).to_vec();
        Self { board: Board::operated(&[&flags, more].concat(), variables, QUICK).await, provider }
    }

    /// A board that may call these addresses as well, has these flags, and whose engine keeps that pace.
    pub(crate) async fn at_pace(others: &str, more: &[&str], pace: Pace) -> Self {
        let provider = Provider::start();
        let allowed = format!("{},{others}", provider.address);
        let flags = ["--egress-allow", &allowed, "--rate-read", "100000", "--rate-read-burst", "100000"];
        Self { board: Board::paced(&[&flags, more].concat(), pace).await, provider }
    }

    /// Registers a model with that script; `more` are further fields. Answers its id.
    pub(crate) async fn model(&self, name: &str, script: Script, more: Value) -> String {
        self.provider.script(name, script);
        let body = json!({"name": name, "inference_uri": self.provider.uri(name)});
        self.create("/api/v1/models", merged(body, more)).await
    }

    /// Makes an eval; `more` are further fields. Answers its id.
    pub(crate) async fn eval(&self, name: &str, eval_type: &str, more: Value) -> String {
        let body = json!({"name": name, "prompt": "{{input}}", "eval_type": eval_type});
        self.create("/api/v1/evals", merged(body, more)).await
    }

    async fn create(&self, path: &str, body: Value) -> String {
        let made = self.board.member.post(path, &body).await;
        assert_eq!(made.code(), 201, "{}", made.text());
        text(&made.json()["id"])
    }

    /// Triggers a run. Answers its id.
    pub(crate) async fn trigger(&self, body: Value) -> String {
        let triggered = self.board.member.post("/api/v1/runs", &body).await;
        assert_eq!(triggered.code(), 202, "{}", triggered.text());
        text(&triggered.json()["id"])
    }

    /// The run as it is now.
    pub(crate) async fn run(&self, id: &str) -> Value {
        self.get(&format!("/api/v1/runs/{id}")).await
    }

    /// The run once it is over.
    pub(crate) async fn ended(&self, id: &str) -> Value {
        until("the end of the run", async || {
            let run = self.run(id).await;
            let is_open = ["queued", "running"].contains(&run["status"].as_str().unwrap());
            (!is_open).then_some(run)
        })
        .await
    }

    /// Runs everything that is active to its end.
    pub(crate) async fn run_all(&self) -> Value {
        let id = self.trigger(json!({})).await;
        self.ended(&id).await
    }

    /// The results of a run.
    pub(crate) async fn results(&self, run: &Value) -> Vec<Value> {
        list(&self.get(&format!("/api/v1/runs/{}/results", text(&run["id"]))).await)
    }

    /// The result of a cell.
    pub(crate) async fn result(&self, run: &Value, model: &str, eval: &str) -> Value {
        let results = self.results(run).await;
        let found =
            results.into_iter().find(|result| result["model_id"] == model && result["eval_id"] == eval);
        found.expect("a result of that cell")
    }

    /// The cases of a result.
    pub(crate) async fn cases(&self, result: &Value) -> Vec<Value> {
        list(&self.get(&format!("/api/v1/results/{}/cases", text(&result["id"]))).await)
    }

    /// The only case of a cell, with its long texts, as the eval's owner sees it.
    pub(crate) async fn only_case(&self, run: &Value, model: &str, eval: &str) -> Value {
        let result = self.result(run, model, eval).await;
        let cases = self.cases(&result).await;
        assert_eq!(cases.len(), 1);
        self.get(&format!("/api/v1/cases/{}", text(&cases[0]["id"]))).await
    }

    /// The board.
    pub(crate) async fn leaderboard(&self) -> Vec<Value> {
        list(&self.get("/api/v1/leaderboard").await)
    }

    /// What an anonymous caller reads there.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let reply: Reply = self.board.anonymous.ask(Method::GET, path).send().await;
        assert_eq!(reply.code(), 200, "{path}: {}", reply.text());
        reply.json()
    }

    /// What a query that answers one number called `n` finds in the tables.
    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        count(&self.board, sql).await
    }
}

/// What a query that answers one number called `n` finds in the board's tables.
pub(crate) async fn count(board: &Board, sql: &'static str) -> i64 {
    let query = move |tx: &mut Tx<'_>| tx.one(sql, &[], |row| row.get("n"));
    board.house.app.store.read(query).await.unwrap()
}

/// `count` samples with these inputs and targets.
pub(crate) fn samples(count: usize, sample: impl Fn(usize) -> (String, String)) -> Value {
    let rows = (0..count).map(|at| {
        let (input, target) = sample(at);
        json!({"input": input, "target": target})
    });
    rows.collect()
}

/// The text of a JSON string.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a string: {value}")).to_owned()
}

/// The rows of a JSON array.
pub(crate) fn list(value: &Value) -> Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("not a list: {value}")).clone()
}

fn merged(mut body: Value, more: Value) -> Value {
    let more = more.as_object().cloned().unwrap_or_default();
    body.as_object_mut().unwrap().extend(more);
    body
}
