//! `evalboard run`: triggers a run on a board, follows it to its end, and says by its exit code what came of it.
//!
//! It is a client like any other: the board works, and goes on when this ends.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};

use super::client::Client;
use crate::error::{Error, Result};

/// How often to look how far the run is.
const STEP: Duration = Duration::from_secs(1);
/// How often a line is written where no bar can be drawn.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// How long a board that is followed may be away.
const AWAY: Duration = Duration::from_secs(120);
/// The run ended and not everything was measured.
const NOT_MEASURED: u8 = 4;
/// A model is below what was asked for.
const BELOW: u8 = 3;

/// Trigger a run on a board.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code: 0 when all is well; 1 when the run could not be triggered or followed; 2 for a usage \
                        error; 3 when a model's mean is below --fail-under; 4 when the run ended and not everything \
                        was measured."
)]
pub struct Run {
    /// Where the board is
    #[arg(long, env = "EVALBOARD_URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// The API key
    #[arg(long, env = "EVALBOARD_KEY", hide_env_values = true)]
    key: Option<SecretString>,
    /// Only this model, by id or exact name (your own, else the official one); may be given again
    #[arg(long = "model", value_name = "MODEL")]
    models: Vec<String>,
    /// Only this eval, by id or exact name (your own, else the only one); may be given again
    #[arg(long = "eval", value_name = "EVAL")]
    evals: Vec<String>,
    /// Only cells without a current result
    #[arg(long)]
    only_missing: bool,
    /// Only the first so many samples of each eval; such a run never moves the board
    #[arg(long, value_name = "N")]
    max_samples: Option<u32>,
    /// A remark, shown with the run
    #[arg(long, default_value = "")]
    notes: String,
    /// Wait until the run is over
    #[arg(long)]
    wait: bool,
    /// Fail when the mean of any model over its evals is below this, 0 to 1; waits
    #[arg(long, value_name = "SCORE", value_parser = share)]
    fail_under: Option<f64>,
}

/// A share of 0 to 1.
fn share(text: &str) -> std::result::Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "it must be a number from 0 to 1, such as 0.8".to_owned())
}

impl Run {
    /// Does it. Standard output gets the scores, or the run's address when nobody waits.
    ///
    /// # Errors
    /// Those of the client; `Invalid` when something named is not on the board.
    pub(super) async fn run(self) -> Result<ExitCode> {
        let client = Client::new(&self.url, self.key.clone())?;
        let body = self.body(&client).await?;
        let triggered = client.post("/runs", &body).await?;
        let run = triggered.get("run").cloned().unwrap_or_default();
        let id = text(&run, "id").to_owned();
        if id.is_empty() {
            return Err(Error::Unavailable(format!("{} does not answer like a board", self.url)));
        }
        let address = client.address(&format!("/runs/{id}"));
        if !self.wait && self.fail_under.is_none() {
            println!("{address}");
            return Ok(ExitCode::SUCCESS);
        }
        eprintln!("{address}: {} cases", number(&run, "case_total"));
        let run = follow(&client, &id, number(&run, "case_total")).await?;
        let results = client.list(&format!("/runs/{id}/results")).await?;
        let lines = lines(&results, &names(&client).await?);
        print(&lines);
        Ok(ExitCode::from(self.verdict(&run, &lines)))
    }

    async fn body(&self, client: &Client) -> Result<Value> {
        let mut body = Map::new();
        if !self.models.is_empty() {
            body.insert("model_ids".to_owned(), ids(client, "/models", "--model", &self.models).await?);
        }
        if !self.evals.is_empty() {
            body.insert("eval_ids".to_owned(), ids(client, "/evals", "--eval", &self.evals).await?);
        }
        body.insert("only_missing".to_owned(), json!(self.only_missing));
        body.insert("notes".to_owned(), json!(self.notes));
        if let Some(most) = self.max_samples {
            body.insert("max_samples".to_owned(), json!(most));
        }
        Ok(Value::Object(body))
    }

    /// What to end with, said on standard error where it is not well.
    fn verdict(&self, run: &Value, lines: &[Line]) -> u8 {
        let status = text(run, "status");
        if status != "completed" || lines.is_empty() || lines.iter().any(|line| !line.is_complete) {
            let why = run.get("error").and_then(Value::as_str).unwrap_or("not everything was measured");
            eprintln!("the run is {status}: {why}");
            return NOT_MEASURED;
        }
        let Some(least) = self.fail_under else { return 0 };
        let low: Vec<_> = means(lines).into_iter().filter(|(_, mean)| *mean < least).collect();
        for (model, mean) in &low {
            eprintln!("{model}: {mean:.4} is below {least}");
        }
        if low.is_empty() { 0 } else { BELOW }
    }
}

/// The ids of what is named, each by its id or its exact name.
async fn ids(client: &Client, list: &str, flag: &str, named: &[String]) -> Result<Value> {
    if named.is_empty() {
        return Ok(json!([]));
    }
    let (rows, me) = (client.list(list).await?, client.get("/me").await?);
    let caller = text(&me, "submitted_by");
    let ids = named.iter().map(|name| find(&rows, caller, flag, name));
    ids.collect::<Result<Vec<String>>>().map(|ids| json!(ids))
}

/// The id of what `name` means: the row of that id, else the caller's own of that name, else the official one, else the
/// only one. So nobody takes a name from its owner by giving it to something else.
fn find(rows: &[Value], caller: &str, flag: &str, name: &str) -> Result<String> {
    if rows.iter().any(|row| text(row, "id") == name) {
        return Ok(name.to_owned());
    }
    let called: Vec<&Value> = rows.iter().filter(|row| text(row, "name") == name).collect();
    let own = |row: &&Value| text(row, "submitted_by") == caller;
    let official = |row: &&Value| row.get("is_official") == Some(&json!(true));
    let standings: [&dyn Fn(&&Value) -> bool; 3] = [&own, &official, &|_| true];
    for has_standing in standings {
        let meant: Vec<&&Value> = called.iter().filter(|row| has_standing(row)).collect();
        match meant.as_slice() {
            [] => {}
            [row] => return Ok(text(row, "id").to_owned()),
            _ => {
                let message = format!("{flag}: several are called {name}: give the id");
                return Err(Error::bad_request(message));
            }
        }
    }
    Err(Error::bad_request(format!("{flag}: there is no {name} on the board")))
}

/// Shows how far a run is until it is over; answers how it ended. A board that is away is waited for.
async fn follow(client: &Client, id: &str, total: u64) -> Result<Value> {
    let bar = Shown::new(total);
    let mut seen = Instant::now();
    loop {
        match client.get(&format!("/runs/{id}")).await {
            Ok(run) => {
                seen = Instant::now();
                bar.show(&run);
                if !matches!(text(&run, "status"), "queued" | "running") {
                    bar.bar.finish_and_clear();
                    return Ok(run);
                }
            }
            Err(Error::Unavailable(_)) if seen.elapsed() < AWAY => {}
            Err(cause) => return Err(cause),
        }
        sleep(STEP).await;
    }
}

/// A bar on a terminal, a line now and then elsewhere.
struct Shown {
    bar: ProgressBar,
    last_line: std::cell::Cell<Option<Instant>>,
    is_waiting: std::cell::Cell<bool>,
}

impl Shown {
    fn new(total: u64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} cases, {msg}") {
            bar.set_style(style);
        }
        Self { bar, last_line: std::cell::Cell::new(None), is_waiting: std::cell::Cell::new(false) }
    }

    fn show(&self, run: &Value) {
        let (done, errors) = (number(run, "case_done"), number(run, "case_errors"));
        self.bar.set_position(done);
        let waits = waits(run);
        let left = run.get("eta_ms").and_then(Value::as_u64).map(Duration::from_millis);
        let left = left.map(|left| format!(", {} left", indicatif::HumanDuration(left))).unwrap_or_default();
        let message = format!("{errors} not measured{left}");
        self.bar.set_message(if waits.is_empty() {
            message
        } else {
            format!("{message}, {}", waits.join("; "))
        });
        let is_due = self.last_line.get().is_none_or(|last| last.elapsed() >= LINE_EVERY);
        // A wait is reported as soon as it begins, and with each line for as long as it lasts.
        let is_new = self.is_waiting.replace(!waits.is_empty()) == waits.is_empty();
        if self.bar.is_hidden() && (is_due || is_new) {
            self.last_line.set(Some(Instant::now()));
            eprintln!(
                "{}: {done} of {} cases, {errors} not measured",
                text(run, "status"),
                number(run, "case_total")
            );
            waits.iter().for_each(|wait| eprintln!("  {wait}"));
        }
    }
}

/// Returns what the run waits for, a line for each model.
fn waits(run: &Value) -> Vec<&str> {
    let waits = run.get("waiting").and_then(Value::as_array).into_iter().flatten();
    waits.map(|wait| text(wait, "message")).filter(|message| !message.is_empty()).collect()
}

/// A result of the run.
struct Line {
    model_id: String,
    model: String,
    eval: String,
    score: Option<f64>,
    interval: Option<(f64, f64)>,
    /// Between which scores one without a score lies.
    bounds: Option<(f64, f64)>,
    is_complete: bool,
}

/// Names of models and evals by id.
async fn names(client: &Client) -> Result<Map<String, Value>> {
    let rows = [client.list("/models").await?, client.list("/evals").await?].concat();
    let named = |row: &Value| (text(row, "id").to_owned(), json!(text(row, "name")));
    Ok(rows.iter().map(named).collect())
}

fn lines(results: &[Value], names: &Map<String, Value>) -> Vec<Line> {
    let name = |row: &Value, field| {
        let id = text(row, field);
        names.get(id).and_then(Value::as_str).unwrap_or(id).to_owned()
    };
    let amount = |row: &Value, field| row.get(field).and_then(Value::as_f64);
    let mut lines: Vec<Line> = results
        .iter()
        .map(|row| Line {
            model_id: text(row, "model_id").to_owned(),
            model: name(row, "model_id"),
            eval: name(row, "eval_id"),
            score: amount(row, "score"),
            interval: amount(row, "ci_low").zip(amount(row, "ci_high")),
            bounds: amount(row, "score_low").zip(amount(row, "score_high")),
            is_complete: text(row, "state") == "complete",
        })
        .collect();
    lines.sort_by(|a, b| (&a.model, &a.model_id, &a.eval).cmp(&(&b.model, &b.model_id, &b.eval)));
    lines
}

fn print(lines: &[Line]) {
    let width = |of: fn(&Line) -> &str| lines.iter().map(|line| of(line).chars().count()).max().unwrap_or(0);
    let (model, eval) = (width(|line| &line.model), width(|line| &line.eval));
    for line in lines {
        let score = line.score_in_words();
        let interval =
            line.interval.map(|(low, high)| format!("  {low:.4} to {high:.4}")).unwrap_or_default();
        let remark = if line.is_complete { "" } else { "  incomplete" };
        println!("{:model$}  {:eval$}  {score}{interval}{remark}", line.model, line.eval);
    }
}

impl Line {
    /// Its score, or between which scores it lies.
    fn score_in_words(&self) -> String {
        match (self.score, self.bounds) {
            (Some(score), _) => format!("{score:.4}"),
            (None, Some((low, high))) => format!("{low:.4} to {high:.4}"),
            (None, None) => "-".to_owned(),
        }
    }
}

/// The mean of each model over its evals, each of which weighs the same.
fn means(lines: &[Line]) -> Vec<(&str, f64)> {
    let scores = |chunk: &[Line]| chunk.iter().filter_map(|line| line.score).collect::<Vec<f64>>();
    let of = |chunk: &[Line]| {
        let scores = scores(chunk);
        scores.iter().sum::<f64>() / f64::from(u32::try_from(scores.len()).unwrap_or(u32::MAX))
    };
    lines
        .chunk_by(|a, b| a.model_id == b.model_id)
        .filter(|chunk| !scores(chunk).is_empty())
        .filter_map(|chunk| Some((chunk.first()?.model.as_str(), of(chunk))))
        .collect()
}

fn text<'v>(row: &'v Value, field: &str) -> &'v str {
    row.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn number(row: &Value, field: &str) -> u64 {
    row.get(field).and_then(Value::as_u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(row: &Value) -> Line {
        lines(std::slice::from_ref(row), &Map::new()).remove(0)
    }

    #[test]
    fn an_incomplete_result_is_printed_as_a_range() {
        let open = json!({"score": null, "score_low": 0.9, "score_high": 0.93, "state": "incomplete"});
        assert_eq!(line(&open).score_in_words(), "0.9000 to 0.9300");
        let known = json!({"score": 0.5, "score_low": 0.5, "score_high": 0.5, "state": "complete"});
        assert_eq!(line(&known).score_in_words(), "0.5000");
        assert_eq!(line(&json!({"score": null, "score_low": null})).score_in_words(), "-");
    }

    #[test]
    fn a_name_means_own_then_official_rows() {
        let row = |id: &str, owner: &str, is_official: bool| json!({"id": id, "name": "A", "submitted_by": owner, "is_official": is_official});
        let (own, official) = (row("1", "me", false), row("2", "x", true));
        let others = [row("3", "y", false), row("4", "y", false)];
        let of = |rows: &[Value]| find(rows, "me", "--model", "A").ok();
        let all = [own, official.clone(), others[0].clone(), others[1].clone()];
        assert_eq!(of(&all).as_deref(), Some("1"));
        assert_eq!(of(&all[1..]).as_deref(), Some("2"));
        assert_eq!((of(&all[2..]), of(&all[3..]).as_deref()), (None, Some("4")));
        assert_eq!(find(&all, "me", "--model", "3").ok().as_deref(), Some("3"));
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn a_model_without_a_score_has_no_mean() {
        let rows = [json!({"model_id": "a", "score": 0.5}), json!({"model_id": "b", "score": null})];
        assert_eq!(means(&lines(&rows, &Map::new())), [("a", 0.5)]);
    }
}
