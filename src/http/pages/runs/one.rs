//! One run: how far it is, what it waits for, what every model has come to, what failed.
//!
//! The page shows one moment. While the run is open, a script follows it and puts the next moment in place;
//! without scripts, whoever wants the next one loads it again.

use std::collections::{BTreeSet, HashMap};

use actix_web::web::Data;
use askama::Template;

use super::lending::{Skipped, payers, skipped};
use super::{Progress, State, TOPICS, plan, progress, settled, state};
use crate::domain::id::{EvalId, RunId};
use crate::domain::results::ResultState;
use crate::domain::runs::{ModelWait, Run};
use crate::domain::time::Millis;
use crate::domain::veil::Veil;
use crate::engine::Engine;
use crate::error::Result;
use crate::http::pages::fact::Fact;
use crate::http::pages::page::{self, Meta};
use crate::http::pages::reasons::{self, Reason};
use crate::http::pages::{format, links, score};
use crate::http::{Answered, Id, Reads, Site, View};
use crate::service::lending;
use crate::store::progress::{CellProgress, Failures, Recorded, Wait};
use crate::store::{self, Tx};

/// Cells that are shown one by one; a run of more shows its models only.
const MOST_CELLS: usize = 2_000;
/// Lines of what is waited for.
const MOST_WAITS: u32 = 20;
/// Later runs that are named.
const MOST_RESCORES: u32 = 5;

#[derive(Template)]
#[template(path = "run.html", whitespace = "minimize")]
struct RunPage {
    meta: Meta,
    started: String,
    state: State,
    is_open: bool,
    href: String,
    progress: Progress,
    error: Option<String>,
    facts: Vec<Fact>,
    /// The evals over the columns; none when there are too many cells to show.
    evals: Vec<Head>,
    models: Vec<Line>,
    failures: Vec<Failed>,
    waits: Vec<Waiting>,
    held: Vec<Held>,
    /// What it left out.
    skipped: Vec<Skipped>,
    /// Where its failed cases can be asked again.
    retry: Option<String>,
    /// Where the rest of its plan can be asked, when a cap stopped it.
    go_on: Option<String>,
    /// The earlier run whose answers it scores again.
    rescores: Option<String>,
    /// The runs that scored its own answers again, newest first.
    rescored_by: Vec<Again>,
    /// Where its answers can be scored again.
    rescore: Option<String>,
}

/// A run that scored the answers of this one again.
struct Again {
    started: String,
    href: String,
}

/// A model of which nothing can be called now.
struct Held {
    host: String,
    name: String,
    href: String,
    reason: String,
    next_try: String,
    gives_up: String,
}

/// Cases of a model that wait for their next try.
struct Waiting {
    name: String,
    href: String,
    cases: String,
    until: String,
    why: String,
}

/// An eval of the plan.
struct Head {
    id: EvalId,
    name: String,
    href: String,
}

/// What one model has come to.
struct Line {
    name: String,
    href: String,
    progress: Progress,
    unmeasured: String,
    cost: String,
    /// Calls that may be under way at once, where that is known of an open run.
    at_once: Option<String>,
    /// In the order of the heads; an eval that was not planned for it has none.
    cells: Vec<Option<Cell>>,
}

/// A cell of the plan.
struct Cell {
    text: String,
    /// Its result, once there is one.
    href: Option<String>,
    /// What is special about it.
    remark: &'static str,
}

/// What failed for one reason.
struct Failed {
    code: String,
    cases: String,
    reason: Reason,
    example: Option<String>,
}

/// Answers `GET /runs/{id}`.
pub(in crate::http::pages) async fn show(Id(id): Id<RunId>, reads: Reads, site: Data<Site>) -> Answered {
    let endpoints = reads.endpoints()?;
    reads
        .answer(TOPICS, move |tx| {
            let veil = endpoints.veil(tx)?;
            view(tx, &id, &site, &veil)
        })
        .await
}

fn view(tx: &mut Tx<'_>, id: &RunId, site: &Site, veil: &Veil) -> Result<View> {
    let run = veil.run(store::runs::get(tx, id)?);
    let cells = store::progress::cells(tx, run.key)?;
    let failures = store::progress::failures(tx, run.key)?;
    let waits = store::progress::waits(tx, run.key, Millis::now(), MOST_WAITS)?;
    let rescored_by = store::answers::rescored_by(tx, run.key, MOST_RESCORES)?;
    // A run that scores answers again calls no model: its queues have no limits.
    let is_calling = run.state.is_open() && run.rescores.is_none();
    let limits = if is_calling { limits(&site.app.engine, &cells) } else { HashMap::new() };
    let evals = if cells.len() > MOST_CELLS { Vec::new() } else { heads(&cells) };
    let state = state(run.state);
    let description = format!("{}: {}, {} cases.", plan(&run), state.word, format::count(run.case_total));
    let started = run.started_at.to_minute();
    let retry = format!("{}/api/v1{}/retry", site.public_url, links::run(id));
    let view = page::view(&RunPage {
        meta: Meta::new(&site.public_url, &links::run(id), format!("Run of {started}"), description),
        started,
        state,
        is_open: run.state.is_open(),
        href: links::run(id),
        progress: progress(run.case_done, run.case_total),
        models: lines(&cells, &evals, run.state.is_open(), &limits),
        evals,
        failures: failures.into_iter().map(|failures| failed(failures, veil)).collect(),
        facts: [facts(&run, Millis::now()), payers(lending::paid(tx, site.app.engine.providers(), &run)?)]
            .concat(),
        waits: waits
            .into_iter()
            .filter(|wait| run.state.is_open() && run.waits.iter().all(|held| held.model != wait.model))
            .map(|wait| waiting(wait, veil))
            .collect(),
        held: run.waits.iter().map(held).collect(),
        skipped: run.skipped.iter().map(skipped).collect(),
        rescores: run.rescores.as_ref().map(links::run),
        rescored_by: rescored_by.into_iter().map(again).collect(),
        rescore: (!run.state.is_open() && run.case_done > run.case_errors)
            .then(|| format!("{}/api/v1{}/rescore", site.public_url, links::run(id))),
        retry: (!run.state.is_open() && run.case_errors > 0 && run.overspent().is_none() && !run.may_go_on())
            .then(|| retry.clone()),
        go_on: run.may_go_on().then_some(retry),
        error: run.error,
    })?;
    settled(run.state.is_open(), view)
}

fn again((run, at): (RunId, Millis)) -> Again {
    Again { started: at.to_minute(), href: links::run(&run) }
}

fn facts(run: &Run, now: Millis) -> Vec<Fact> {
    let settings = &run.settings;
    let own = |reason: &str| format!("{reason}; not counted on the board");
    let facts = [
        Some(Fact::new("Plan", plan(run))),
        Some(Fact::new("Cells done", format::count(run.completed_count))),
        Some(Fact::new("Not measured", format::counted(run.case_errors, "case"))),
        Fact::maybe(
            if run.rescores.is_some() { "Cost of grading" } else { "Cost" },
            run.cost_usd.map(format::money),
        ),
        Fact::maybe("Budget", settings.budget_usd.map(format::money)),
        Fact::maybe("Time left", time_left(run, now)),
        Fact::maybe("Gives a model up", settings.give_up_after_ms.map(give_up_after)),
        Fact::maybe("Queue", run.queue_position.filter(|ahead| *ahead > 0).map(queue)),
        Fact::maybe("Ended", run.completed_at.map(|at| at.to_minute())),
        Fact::maybe("Took", run.completed_at.map(|at| format::span(run.started_at, at))),
        Fact::maybe("Last seen", run.heartbeat_at.filter(|_| run.state.is_open()).map(|at| at.to_minute())),
        Fact::maybe("Epochs", settings.epochs.map(|epochs| own(&epochs.to_string()))),
        Fact::maybe(
            "Samples",
            settings.max_samples.map(|most| own(&format!("the first {most} of each eval"))),
        ),
        Fact::maybe("Board", (!settings.on_board).then(|| "not counted, as requested".to_owned())),
        Fact::maybe("Notes", Some(settings.notes.clone()).filter(|notes| !notes.is_empty())),
        Some(started_by(run)),
    ];
    facts.into_iter().flatten().collect()
}

/// Whoever started it: a person, or a schedule of his.
fn started_by(run: &Run) -> Fact {
    match &run.schedule {
        Some((id, name)) => {
            let who = format!("schedule {name}, of {}", run.triggered_by);
            Fact::link("Started by", who, links::schedule(id))
        }
        None => Fact::new("Started by", run.triggered_by.as_str()),
    }
}

/// How long it will take at the rate of the last minute.
fn time_left(run: &Run, now: Millis) -> Option<String> {
    let (left, rate) = (run.eta_ms(now)?, run.rate(now)?);
    let left = match (left + 30_000) / 60_000 {
        0 => "Less than a minute".to_owned(),
        minutes @ 1..120 => format!("About {}", format::counted(minutes, "minute")),
        minutes => format!("About {}", format::counted((minutes + 30) / 60, "hour")),
    };
    Some(format!("{left} left, {} a minute", format::counted(rate.a_minute(), "case")))
}

fn give_up_after(milliseconds: i64) -> String {
    let seconds = milliseconds / 1_000;
    let time = match seconds {
        ..120 => format::counted(seconds, "second"),
        _ => format::counted(seconds / 60, "minute"),
    };
    format!("after {time} without progress")
}

fn queue(ahead: i64) -> String {
    format!("{} of other runs first", format::counted(ahead, "case"))
}

/// The evals of the plan, each once, in its order.
fn heads(cells: &[CellProgress]) -> Vec<Head> {
    let mut heads: Vec<Head> = Vec::new();
    for cell in cells {
        if !heads.iter().any(|head| head.id == cell.eval) {
            let (id, name) = (cell.eval.clone(), cell.eval_name.clone());
            heads.push(Head { href: links::eval(&id), id, name });
        }
    }
    heads
}

/// A line per model, in the order of the plan.
fn lines(cells: &[CellProgress], evals: &[Head], is_open: bool, limits: &HashMap<&str, u32>) -> Vec<Line> {
    let mut models: Vec<Vec<&CellProgress>> = Vec::new();
    let mut places = HashMap::new();
    for cell in cells {
        let next = models.len();
        let place = *places.entry(&cell.model).or_insert(next);
        match models.get_mut(place) {
            Some(held) => held.push(cell),
            None => models.push(vec![cell]),
        }
    }
    models.iter().filter_map(|held| line(held, evals, is_open, limits)).collect()
}

fn line(held: &[&CellProgress], evals: &[Head], is_open: bool, limits: &HashMap<&str, u32>) -> Option<Line> {
    let first = held.first()?;
    let recorded = || held.iter().filter_map(|cell| cell.recorded.as_ref());
    let done = recorded().map(|cell| cell.cases).sum();
    let unmeasured: i64 = recorded().map(|cell| cell.cases - cell.scored).sum();
    let cost = recorded().map(|cell| cell.cost_usd).sum::<Option<f64>>().filter(|_| recorded().count() > 0);
    let of = |head: &Head| held.iter().find(|cell| cell.eval == head.id).map(|at| cell(at, is_open));
    Some(Line {
        name: first.model_name.clone(),
        href: links::model(&first.model),
        progress: progress(done, held.iter().map(|cell| cell.planned).sum()),
        unmeasured: format::count(unmeasured),
        cost: format::known(cost, format::money),
        at_once: limits.get(first.endpoint.as_str()).map(ToString::to_string),
        cells: evals.iter().map(of).collect(),
    })
}

fn cell(cell: &CellProgress, is_open: bool) -> Cell {
    let Some(recorded) = &cell.recorded else {
        let text = if is_open { "waiting" } else { "never asked" };
        return Cell { text: text.to_owned(), href: None, remark: "" };
    };
    Cell {
        text: result_text(recorded, cell.planned),
        href: Some(links::result(&recorded.result)),
        remark: if recorded.state == ResultState::Incomplete { "incomplete" } else { "" },
    }
}

/// The score of a finished cell, the progress of another.
fn result_text(recorded: &Recorded, planned: i64) -> String {
    match (recorded.state, recorded.score) {
        (ResultState::Running, _) => progress(recorded.cases, planned).text,
        (_, Some(score)) => score::in_words((score, recorded.interval)),
        (_, None) => format::known(recorded.bounds, |bounds| format::range(bounds, 0)),
    }
}

/// The limits of calls at once of a run's queues, as far as they were called.
fn limits<'c>(engine: &Engine, cells: &'c [CellProgress]) -> HashMap<&'c str, u32> {
    let queues: BTreeSet<&str> = cells.iter().map(|cell| cell.endpoint.as_str()).collect();
    queues.into_iter().filter_map(|queue| Some((queue, engine.concurrency(queue)?))).collect()
}

fn held(wait: &ModelWait) -> Held {
    Held {
        host: wait.host.clone(),
        name: wait.model_name.clone(),
        href: links::model(&wait.model),
        reason: wait.reason.clone(),
        next_try: wait.next_try_at.to_second(),
        gives_up: wait.gives_up_at.to_second(),
    }
}

fn waiting(wait: Wait, veil: &Veil) -> Waiting {
    Waiting {
        name: wait.model_name,
        href: links::model(&wait.model),
        cases: format::counted(wait.cases, "case"),
        until: wait.until.to_second(),
        why: wait.why.map(|why| veil.text(why)).unwrap_or_else(|| "it was given back".to_owned()),
    }
}

fn failed(failures: Failures, veil: &Veil) -> Failed {
    Failed {
        cases: format::count(failures.cases),
        reason: reasons::explain(&failures.code),
        example: failures.example.map(|example| veil.text(example)),
        code: failures.code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::{ModelId, ResultId};

    fn cell(model: &str, eval: &str, recorded: Option<(i64, i64)>) -> CellProgress {
        let recorded = recorded.map(|(cases, scored)| Recorded {
            result: ResultId::from("r".to_owned()),
            state: ResultState::Running,
            cases,
            scored,
            score: None,
            interval: None,
            bounds: None,
            cost_usd: None,
        });
        CellProgress {
            model: ModelId::from(model.to_owned()),
            model_name: model.to_owned(),
            eval: EvalId::from(eval.to_owned()),
            eval_name: eval.to_owned(),
            endpoint: "host#key".to_owned(),
            planned: 10,
            recorded,
        }
    }

    #[test]
    fn every_model_has_one_line_with_its_cells_below_their_evals() {
        let cells = [cell("a", "x", Some((4, 3))), cell("b", "x", None), cell("a", "y", None)];
        let heads = heads(&cells);
        let lines = lines(&cells, &heads, true, &HashMap::from([("host#key", 16)]));
        let names: Vec<&str> = lines.iter().map(|line| line.name.as_str()).collect();
        assert_eq!((names, heads.len()), (vec!["a", "b"], 2));
        let first = lines.first().unwrap();
        assert_eq!(first.at_once.as_deref(), Some("16"));
        assert_eq!((first.progress.text.as_str(), first.unmeasured.as_str()), ("4 of 20", "1"));
        let texts: Vec<Option<&str>> = lines
            .iter()
            .flat_map(|line| &line.cells)
            .map(|cell| cell.as_ref().map(|cell| cell.text.as_str()))
            .collect();
        assert_eq!(texts, [Some("4 of 10"), Some("waiting"), Some("waiting"), None]);
    }
}
