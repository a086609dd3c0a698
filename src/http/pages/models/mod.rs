//! A model's page: where it stands, its score on each eval, every result it ever had, and what it is.
//!
//! A model that was deleted has a page that says so, with its results.

mod facts;
mod scores;

use actix_web::web::Data;
use askama::Template;

use self::facts::facts;
pub(super) use self::scores::above_chance;
use self::scores::{Noise, Scores};
use super::fact::Fact;
use super::history::{self, Chart};
use super::page::{self, Meta, Pager, Params};
use super::passage::Passage;
use super::score;
use super::{format, links};
use crate::domain::artifacts;
use crate::domain::id::{ModelId, ModelKey};
use crate::domain::leaderboard::{Board, Row, Scope};
use crate::domain::models::Model;
use crate::domain::page::{Page, Slice};
use crate::domain::results::{EvalResult, ResultState};
use crate::domain::stats::{self, Interval};
use crate::domain::veil::Veil;
use crate::error::{Error, Result};
use crate::http::{Answered, Id, Reads, Site, View};
use crate::leaderboard::Leaderboard;
use crate::store::models::Withdrawn;
use crate::store::results::Of;
use crate::store::{self, Topic, Tx};

/// All that the page is made from.
const TOPICS: &[Topic] =
    &[Topic::Models, Topic::Evals, Topic::Board, Topic::Results, Topic::Artifacts, Topic::Runs];
/// Results of one page.
const RESULTS: u32 = 50;
/// Neighbours on the board to each side.
const BESIDE: usize = 2;
/// Results that its charts and bounds are read from, the newest.
const CHARTED: Page = Page { limit: 500, after: None };
/// Artifacts that are listed.
const ARTIFACTS: Page = Page { limit: 100, after: None };

#[derive(Template)]
#[template(path = "model.html", whitespace = "minimize")]
struct ModelPage {
    meta: Meta,
    name: String,
    description: String,
    is_official: bool,
    has_open_weights: bool,
    is_baseline: bool,
    /// Where it stands, in words.
    standing: String,
    facts: Vec<Fact>,
    /// What stands above every prompt.
    system_prompt: Option<Passage>,
    scores: Scores,
    /// Open runs that have cases of it to ask.
    under_way: Vec<UnderWay>,
    /// Who stands beside it on the board, the better first.
    neighbours: Vec<Neighbour>,
    /// Where it is compared with whom one likes.
    compare_href: String,
    /// What luck is worth where there was more than one run.
    luck: Option<String>,
    /// Its scores over runs, on each eval that it had more than one on.
    charts: Vec<Chart>,
    artifacts: Vec<Artifact>,
    history: History,
    /// The address of its badge, and what puts it into a README.
    badge: String,
    badge_markdown: String,
}

#[derive(Template)]
#[template(path = "withdrawn.html", whitespace = "minimize")]
struct WithdrawnPage {
    meta: Meta,
    name: String,
    day: String,
    history: History,
}

/// An open run that has cases of the model to ask.
struct UnderWay {
    href: String,
    /// What the run waits for at this model; none when it goes on.
    wait: Option<String>,
}

/// Another model, and where the two are compared.
struct Neighbour {
    name: String,
    href: String,
}

/// Every result, newest first.
struct History {
    rows: Vec<Past>,
    pager: Pager,
}

impl History {
    /// Whether anything is to be said of any of them.
    fn has_remarks(&self) -> bool {
        self.rows.iter().any(Past::is_remarkable)
    }
}

/// One result.
struct Past {
    day: String,
    href: String,
    eval: String,
    eval_href: String,
    /// The eval's version and the model's revision.
    version: i64,
    revision: String,
    score: String,
    state: &'static str,
    error: Option<String>,
    /// Said only of results that this server did not make.
    provenance: Option<String>,
    /// Whether the answers of an earlier result were scored again for it.
    is_rescored: bool,
    cost: String,
    run_href: String,
}

impl Past {
    fn is_remarkable(&self) -> bool {
        !self.state.is_empty() || self.error.is_some() || self.provenance.is_some() || self.is_rescored
    }
}

/// A file that belongs to it.
struct Artifact {
    name: String,
    href: String,
    kind: &'static str,
    version: String,
    size: String,
    /// Its SHA-256, in short and in full.
    digest: Option<(String, String)>,
    is_verified: bool,
    day: String,
}

/// Answers `GET /models/{id}`.
pub(super) async fn show(Id(id): Id<ModelId>, reads: Reads<Params>, site: Data<Site>) -> Answered {
    let cursor = reads.params.cursor.clone();
    let part = page::part(&reads.list(), RESULTS, cursor.as_deref())?;
    let (public_url, kept) = (site.public_url.clone(), site.app.leaderboard.clone());
    let endpoints = reads.endpoints()?;
    let _turn = kept.turn(&Scope::default()).await?;
    let view = move |tx: &mut Tx<'_>| {
        let veil = endpoints.veil(tx)?;
        view(tx, &kept, &id, (part, cursor.as_deref()), &veil, &public_url)
    };
    reads.answer(TOPICS, view).await
}

fn view(
    tx: &mut Tx<'_>,
    kept: &Leaderboard,
    id: &ModelId,
    (part, cursor): (Page, Option<&str>),
    veil: &Veil,
    public_url: &str,
) -> Result<View> {
    let model = match store::models::get(tx, id) {
        Err(Error::NotFound(_)) => {
            let gone = store::models::find_withdrawn(tx, id)?.ok_or(Error::NotFound("model"))?;
            return page::view(&withdrawn_page(tx, id, gone, part, cursor, public_url)?);
        }
        other => veil.model(other?),
    };
    let board = kept.board(tx, &Scope::default())?;
    let artifacts = store::artifacts::list(tx, model.key, ARTIFACTS)?;
    let results = store::results::list(tx, Of::Model(model.key), CHARTED)?.rows;
    let history = history(tx, id, model.key, part, cursor)?;
    let under_way = under_way(tx, &model, veil)?;
    let noise = noise(tx, &board, model.key)?;
    let page = model_page(model, &board, &results, &noise, artifacts, history, public_url)?;
    page::view(&ModelPage { under_way, ..page })
}

/// How far the runs of the model differ, by the result that the board shows.
fn noise(tx: &mut Tx<'_>, board: &Board, model: ModelKey) -> Result<Noise> {
    let row = board.rows.iter().find(|row| row.model.key == model);
    let repeated = row.into_iter().flat_map(|row| row.cells.iter().flatten()).filter(|cell| cell.runs > 1);
    let mut noise = Noise::new();
    for cell in repeated {
        if let Some(own) = stats::answer_noise(&store::board::runs(tx, cell.result_key)?) {
            noise.insert(cell.result_key, own);
        }
    }
    Ok(noise)
}

fn model_page(
    model: Model,
    board: &Board,
    results: &[EvalResult],
    noise: &Noise,
    artifacts: Slice<artifacts::Artifact>,
    history: History,
    public_url: &str,
) -> Result<ModelPage> {
    let row = board.rows.iter().find(|row| row.model.key == model.key);
    let standing = standing(row, board);
    let description = format!("{}: {standing}", model.card.name);
    Ok(ModelPage {
        meta: Meta::new(public_url, &links::model(&model.id), model.card.name.as_str(), description.as_str())
            .pictured(public_url, &links::model_picture(&model.id), description),
        name: model.card.name.clone(),
        description: model.card.description.clone(),
        is_official: model.card.is_official,
        has_open_weights: model.card.open_weights == Some(true),
        is_baseline: model.card.is_baseline(),
        standing,
        facts: facts(&model)?,
        system_prompt: model
            .card
            .parameters
            .system_prompt
            .as_deref()
            .map(|text| Passage::new("System prompt", text)),
        scores: Scores::of(board, row, results, noise),
        under_way: Vec::new(),
        neighbours: neighbours(&model.id, board),
        compare_href: links::compare(Some(&model.id), None),
        luck: row.and_then(|row| scores::luckiest(row, noise)),
        charts: history::charts(results),
        badge: links::badge(&model.id),
        badge_markdown: format!(
            "[![Evalboard]({public_url}{})]({public_url}{})",
            links::badge(&model.id),
            links::model(&model.id)
        ),
        artifacts: artifacts.rows.into_iter().map(|artifact| shown(artifact, public_url)).collect(),
        history,
    })
}

fn under_way(tx: &mut Tx<'_>, model: &Model, veil: &Veil) -> Result<Vec<UnderWay>> {
    let runs = store::run_waits::open_runs_of(tx, model.key)?;
    let shown = runs.into_iter().map(|(key, id)| {
        let waits = store::run_waits::of_run(tx, key)?;
        let wait =
            waits.into_iter().find(|wait| wait.model == model.id).map(|wait| veil.wait(wait).to_string());
        Ok(UnderWay { href: links::run(&id), wait })
    });
    shown.collect()
}

fn withdrawn_page(
    tx: &mut Tx<'_>,
    id: &ModelId,
    gone: Withdrawn,
    part: Page,
    cursor: Option<&str>,
    public_url: &str,
) -> Result<WithdrawnPage> {
    let description = format!("{} was withdrawn; its results stay.", gone.name);
    Ok(WithdrawnPage {
        meta: Meta::new(public_url, &links::model(id), gone.name.as_str(), description),
        day: format::day(gone.at),
        history: history(tx, id, gone.key, part, cursor)?,
        name: gone.name,
    })
}

/// `Rank 2–4 of 12: 89.4 (86.9–91.9) points over 6 evals.`
fn standing(row: Option<&Row>, board: &Board) -> String {
    let Some(row) = row else { return "No result of its present revision is on the board yet.".to_owned() };
    let Some(summary) = row.summary else {
        let has_cells = row.cells.iter().any(Option::is_some);
        let why = if has_cells { "measured on provisional evals only" } else { "its results are incomplete" };
        return format!("Not ranked: {why}.");
    };
    let points = score::in_words((summary.mean, summary.interval));
    match row.rank {
        Some(rank) => {
            let of = board.rows.iter().filter(|row| row.rank.is_some()).count();
            let evals = format::counted(row.suite, "eval");
            let rank = format::ranks(row.range, rank);
            format!("Rank {rank} of {of}: {points} points over {evals}.")
        }
        None => format!("Not ranked: {points} points on {} of {} evals.", row.measured, row.suite),
    }
}

/// Up to two models above it on the board and two below; none when it is not there.
fn neighbours(id: &ModelId, board: &Board) -> Vec<Neighbour> {
    let Some(place) = board.rows.iter().position(|row| row.model.id == *id) else { return Vec::new() };
    let beside = board.rows.iter().enumerate().filter(|(at, _)| *at != place && at.abs_diff(place) <= BESIDE);
    beside
        .map(|(_, row)| Neighbour {
            name: row.model.name.clone(),
            href: links::compare(Some(id), Some(&row.model.id)),
        })
        .collect()
}

fn history(
    tx: &mut Tx<'_>,
    id: &ModelId,
    key: ModelKey,
    part: Page,
    cursor: Option<&str>,
) -> Result<History> {
    let slice = store::results::list(tx, Of::Model(key), part)?;
    let pager = Pager::new(&slice, "result", &links::model(id), &[], cursor);
    Ok(History { rows: slice.rows.into_iter().map(past).collect(), pager })
}

fn past(result: EvalResult) -> Past {
    let score = past_score(&result);
    Past {
        day: format::day(result.created_at),
        href: links::result(&result.id),
        eval_href: links::eval(&result.eval),
        eval: result.eval_name,
        version: result.eval_version,
        revision: result.model_revision,
        score,
        state: match result.state {
            ResultState::Complete => "",
            other => other.as_str(),
        },
        error: result.error,
        provenance: Some(result.provenance).filter(|provenance| provenance != "run_here"),
        is_rescored: result.rescored_from.is_some(),
        cost: format::known(result.cost_usd, format::money),
        run_href: links::run(&result.run),
    }
}

/// Its score, or between which scores it lies where it is incomplete.
fn past_score(result: &EvalResult) -> String {
    let range = || result.bounds().filter(|_| result.state == ResultState::Incomplete);
    match (result.score, range()) {
        (Some(score), _) => score::in_words((score, result.interval)),
        (None, Some((low, high))) => format::range(Interval { low, high }, 0),
        _ => format::UNKNOWN.to_owned(),
    }
}

fn shown(artifact: artifacts::Artifact, public_url: &str) -> Artifact {
    Artifact {
        href: artifact.file.url(public_url),
        kind: artifact.card.artifact_type.as_str(),
        version: artifact.card.version,
        size: format::known(artifact.file.size, format::bytes),
        digest: artifact.file.sha256().map(|whole| (format::shortened(whole, 13), whole.to_owned())),
        is_verified: artifact.file.is_verified(),
        day: format::day(artifact.created_at),
        name: artifact.card.name,
    }
}
