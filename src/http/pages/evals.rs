//! Evals: all of them, and each on a page of its own: what is measured, how, and who does best on it alone.
//!
//! What an eval withholds is withheld here too, from everybody but its owner and admins.

use std::collections::{BTreeMap, HashMap};

use actix_web::web::Data;
use askama::Template;

use super::attempts;
use super::fact::Fact;
use super::health::{self, Finding};
use super::models::above_chance;
use super::page::{self, Meta, Pager, Params};
use super::passage::{self, Passage};
use super::score::{self, Mean, Scale, Score};
use super::{format, links};
use crate::domain::evals::{Card, Eval, Measurement};
use crate::domain::health::{Health, examine};
use crate::domain::id::{EvalId, EvalKey};
use crate::domain::leaderboard::{Attempts, Board, BoardCell, Row, Scope};
use crate::domain::page::{Page, Slice};
use crate::domain::rounding;
use crate::domain::samples;
use crate::domain::users::Caller;
use crate::domain::veil::Veil;
use crate::error::Result;
use crate::http::{Answered, Id, Reads, Site, View};
use crate::leaderboard::Leaderboard;
use crate::store::{self, Topic, Tx};

/// All that both pages are made from.
const TOPICS: &[Topic] = &[Topic::Models, Topic::Evals, Topic::Board];
/// Evals of one page.
const EVALS: u32 = 100;
/// Samples of one page.
const SAMPLES: u32 = 50;
/// Longest line of a table, in characters.
const LINE: usize = 160;

#[derive(Template)]
#[template(path = "evals.html", whitespace = "minimize")]
struct EvalsPage {
    meta: Meta,
    public_url: String,
    evals: Vec<Entry>,
    pager: Pager,
}

/// An eval of the list.
struct Entry {
    href: String,
    name: String,
    category: Option<String>,
    /// Whether it counts for the ranking, in words.
    standing: &'static str,
    scorer: String,
    version: i64,
    samples: String,
    models: String,
    /// The best score on it, with whose it is.
    best: Option<(String, String)>,
}

#[derive(Template)]
#[template(path = "eval.html", whitespace = "minimize")]
struct EvalPage {
    meta: Meta,
    name: String,
    description: String,
    /// What and how much is asked, in words.
    summary: String,
    facts: Vec<Fact>,
    /// What is sent and what is looked for.
    texts: Vec<Passage>,
    hides_targets: bool,
    /// What it can tell apart, in words.
    resolution: String,
    findings: Vec<Finding>,
    ticks: [String; 3],
    /// What the head of the scores says of their direction.
    direction: Option<&'static str>,
    /// Whether it says what guessing gets.
    has_chance: bool,
    lines: Vec<Line>,
    /// Whether enough models were measured to say how hard samples are.
    has_difficulty: bool,
    samples: Vec<Sample>,
    pager: Pager,
}

/// A model on this eval.
struct Line {
    /// The ranks that the tests leave open.
    rank: Option<String>,
    model: String,
    model_href: String,
    provider: Option<String>,
    score: Option<Score>,
    /// The same where what guessing gets is 0.
    above: String,
    passed: String,
    errors: String,
    cost: String,
    latency: String,
    /// The latency that 95 % stay below.
    tail: String,
    /// How many runs there were with those that were not finished.
    attempts: Option<String>,
    /// What a later run could still have scored that could not be completed.
    later: Option<String>,
    day: String,
    href: String,
}

/// A sample as its table shows it.
struct Sample {
    key: String,
    input: String,
    choices: String,
    target: Option<String>,
    /// In points of 0 to 100, where 100 is an item that nobody gets anything on.
    difficulty: Option<String>,
}

/// Answers `GET /evals`.
pub(super) async fn list(reads: Reads<Params>, site: Data<Site>) -> Answered {
    let cursor = reads.params.cursor.clone();
    let part = page::part(&reads.list(), EVALS, cursor.as_deref())?;
    let public_url = site.public_url.clone();
    reads
        .answer(TOPICS, move |tx| {
            let evals = store::evals::list(tx, part)?;
            let cells = store::board::cells(tx)?;
            page::view(&evals_page(&evals, &cells, cursor.as_deref(), &public_url))
        })
        .await
}

fn evals_page(evals: &Slice<Eval>, cells: &[BoardCell], cursor: Option<&str>, public_url: &str) -> EvalsPage {
    let mut by_eval: BTreeMap<EvalKey, Vec<&BoardCell>> = BTreeMap::new();
    for cell in cells {
        by_eval.entry(cell.eval).or_default().push(cell);
    }
    let none = Vec::new();
    let entries = evals.rows.iter().map(|eval| entry(eval, by_eval.get(&eval.key).unwrap_or(&none)));
    EvalsPage {
        meta: Meta::new(public_url, links::EVALS, "Evals", "What is measured here, and how."),
        public_url: public_url.to_owned(),
        evals: entries.collect(),
        pager: Pager::new(evals, "eval", links::EVALS, &[], cursor),
    }
}

fn entry(eval: &Eval, cells: &[&BoardCell]) -> Entry {
    let counts = cells.iter().any(|cell| cell.counts);
    let compared: Vec<&&BoardCell> = cells.iter().filter(|cell| cell.counts == counts).collect();
    let best = compared.iter().rev().max_by(|a, b| rounding::compare(a.score, b.score));
    Entry {
        href: links::eval(&eval.id),
        name: eval.card.name.clone(),
        category: eval.card.category.clone(),
        standing: match (eval.card.is_active, counts, compared.is_empty()) {
            (false, ..) => "not active",
            (true, true, _) => "counts",
            (true, false, false) => "provisional",
            (true, false, true) => "no result yet",
        },
        scorer: eval.version.scorer.clone(),
        version: eval.version.number,
        samples: format::count(eval.version.samples.count),
        models: format::count(i64::try_from(compared.len()).unwrap_or(i64::MAX)),
        best: best.map(|cell| (score::in_words(cell.shown()), links::result(&cell.result))),
    }
}

/// Answers `GET /evals/{id}`.
pub(super) async fn show(Id(id): Id<EvalId>, reads: Reads<Params>, site: Data<Site>) -> Answered {
    let cursor = reads.params.cursor.clone();
    let part = page::part(&reads.list(), SAMPLES, cursor.as_deref())?;
    let (caller, public_url) = (reads.caller().clone(), site.public_url.clone());
    let kept = site.app.leaderboard.clone();
    let (scope, endpoints) = (Scope { eval: Some(id.clone()), ..Scope::default() }, reads.endpoints()?);
    let _turn = kept.turn(&scope).await?;
    reads
        .answer(TOPICS, move |tx| {
            let veil = endpoints.veil(tx)?;
            view(tx, &kept, &scope, &id, (part, cursor.as_deref()), (&caller, &veil), &public_url)
        })
        .await
}

fn view(
    tx: &mut Tx<'_>,
    kept: &Leaderboard,
    scope: &Scope,
    id: &EvalId,
    (part, cursor): (Page, Option<&str>),
    (caller, veil): (&Caller, &Veil),
    public_url: &str,
) -> Result<View> {
    let eval = store::evals::get(tx, id)?;
    let samples = store::samples::list(tx, &eval.version.samples, part)?;
    let board = veil.board(kept.board(tx, scope)?);
    let hides_targets = eval.card.hidden_targets && !caller.owns(eval.owner);
    let pager = Pager::new(&samples, "sample", &links::eval(id), &[], cursor);
    let (ticks, lines) = lines(&board);
    let version = store::health::shown_version(tx, &eval)?;
    let material = store::health::material(tx, &version)?;
    let (health, direction) = (examine(&material), material.pass.direction);
    let difficulties = difficulties(&health);
    let samples: Vec<Sample> =
        samples.rows.into_iter().map(|each| sample(each, hides_targets, &difficulties)).collect();
    page::view(&EvalPage {
        meta: Meta::new(public_url, &links::eval(id), eval.card.name.as_str(), summary(&eval)).pictured(
            public_url,
            &links::eval_picture(id),
            format!("The ranking on {} alone", eval.card.name),
        ),
        summary: summary(&eval),
        resolution: health::resolution(&health),
        findings: health::findings(&health, direction),
        facts: facts(&eval),
        texts: texts(&eval.version.measurement, hides_targets),
        direction: Some("lower is better").filter(|_| !eval.card.higher_is_better),
        has_chance: eval.card.chance_level.is_some(),
        name: eval.card.name,
        description: eval.card.description,
        hides_targets,
        ticks,
        lines,
        has_difficulty: samples.iter().any(|sample| sample.difficulty.is_some()),
        samples,
        pager,
    })
}

/// `200 samples, scored by exact, right from 1 on.`
pub(super) fn summary(eval: &Eval) -> String {
    let version = &eval.version;
    let asked = match version.measurement.epochs {
        1 => String::new(),
        epochs => format!(", each asked {epochs} times"),
    };
    format!("{}{asked}, scored by {}.", format::counted(version.samples.count, "sample"), version.scorer)
}

fn facts(eval: &Eval) -> Vec<Fact> {
    let (card, version) = (&eval.card, &eval.version);
    let measurement = &version.measurement;
    let facts = [
        Fact::maybe("Category", card.category.clone()),
        Fact::maybe("Tags", Some(card.tags.join(", ")).filter(|tags| !tags.is_empty())),
        Some(Fact::new("Scorer", format!("{} (version {})", version.scorer, version.scorer_version))),
        Fact::maybe("Grader", version.grader.as_ref().map(|grader| grader.name.clone())),
        Some(Fact::new("Version", format!("{} ({})", version.number, version.hash))),
        Some(Fact::new("Samples", format::count(version.samples.count))),
        Some(Fact::new("Epochs", format!("{} ({})", measurement.epochs, measurement.reducer))),
        Some(Fact::new("Pass threshold", passed_from(card, measurement.pass_threshold))),
        Some(Fact::new("Weight", card.weight.to_string())),
        Fact::maybe(
            "Chance",
            card.chance_level.map(|chance| format!("{} points", format::points(chance, 0))),
        ),
        Fact::maybe("Better is", Some("lower").filter(|_| !card.higher_is_better)),
        Fact::maybe("State", Some("not active: runs leave it out").filter(|_| !card.is_active)),
        Some(Fact::new("Created", format!("{} by {}", format::day(eval.created_at), eval.submitted_by))),
    ];
    facts.into_iter().flatten().collect()
}

/// From which score on a case passes, or down to which one.
fn passed_from(card: &Card, threshold: f64) -> String {
    match card.higher_is_better {
        true => format!("{threshold}"),
        false => format!("{} or lower", ((1.0 - threshold) * 1e6).round() / 1e6),
    }
}

/// The prompt, and, unless they are withheld, what is expected and by which criteria.
fn texts(measurement: &Measurement, hides_targets: bool) -> Vec<Passage> {
    let mut texts = vec![Passage::new("Prompt", measurement.prompt.as_str())];
    if !hides_targets && !measurement.expected_behavior.is_empty() {
        texts.push(Passage::new("What a good answer does", measurement.expected_behavior.as_str()));
    }
    if !hides_targets && measurement.eval_criteria != "{}" {
        texts.push(Passage::new("Criteria", measurement.eval_criteria.as_str()));
    }
    texts
}

/// The rows of the ranking with what their axis says.
fn lines(board: &Board) -> ([String; 3], Vec<Line>) {
    let held = || board.rows.iter().filter_map(|row| Some((row, row.cells.first()?.as_ref()?)));
    let means: Vec<Mean> = held().map(|(_, cell)| cell.shown()).collect();
    let scale = Scale::over(&means);
    (scale.ticks(), held().map(|(row, cell)| line(row, cell, &scale, board)).collect())
}

fn line(row: &Row, cell: &BoardCell, scale: &Scale, board: &Board) -> Line {
    let tried = board.attempts.get(&(row.model.key, cell.eval));
    Line {
        rank: row.rank.map(|rank| format::ranks(row.range, rank)),
        model: row.model.name.clone(),
        model_href: links::model(&row.model.id),
        provider: row.model.provider.clone(),
        score: Some(scale.show(cell.shown())),
        above: above_chance(cell),
        passed: format::count(cell.passed),
        errors: format::count(cell.missing),
        cost: format::known(cell.cost_usd, format::money),
        latency: format::known(cell.latency_p50_ms, format::latency),
        tail: format::known(cell.latency_p95_ms, format::latency),
        attempts: tried.and_then(Attempts::note),
        later: attempts::later_of(cell, tried),
        day: format::day(cell.at),
        href: links::result(&cell.result),
    }
}

/// How hard each sample is, by its key; none that enough models were not measured on.
fn difficulties(health: &Health) -> HashMap<&str, f64> {
    let known = health.checks.iter().flat_map(|checks| &checks.difficulty);
    known.map(|(key, difficulty)| (key.as_str(), *difficulty)).collect()
}

fn sample(sample: samples::Sample, hides_targets: bool, difficulties: &HashMap<&str, f64>) -> Sample {
    let difficulty = difficulties.get(sample.key.as_str());
    Sample {
        difficulty: difficulty.map(|difficulty| format::points(*difficulty, 0)),
        key: sample.key,
        input: passage::in_one_line(&sample.input, LINE),
        choices: passage::one_line(&sample.choices.join(" · "), LINE),
        target: (!hides_targets).then(|| passage::one_line(&sample.target.join(" · "), LINE)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_withheld_is_not_among_the_texts() {
        let measurement = Measurement {
            prompt: "Name it.".into(),
            expected_behavior: "Canberra".into(),
            eval_type: "exact".into(),
            eval_criteria: r#"{"ignore_case":true}"#.into(),
            epochs: 1,
            reducer: "mean".into(),
            pass_threshold: 1.0,
        };
        let labels = |hides| texts(&measurement, hides).iter().map(|text| text.label).collect::<Vec<_>>();
        assert_eq!(labels(false), ["Prompt", "What a good answer does", "Criteria"]);
        assert_eq!(labels(true), ["Prompt"]);
    }
}
