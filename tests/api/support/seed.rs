//! A board with results, written as the engine would write them, without calling anybody.

use evalboard::app::App;
use evalboard::domain::cases::{CaseState, Record, Tally, Tokens};
use evalboard::domain::evals::{Card as EvalCard, Measurement};
use evalboard::domain::id::{
    CaseId, EvalId, EvalKey, ModelId, ModelKey, PriceKey, ResultId, RunId, RunKey, SampleKey,
};
use evalboard::domain::models::{Card, Prices};
use evalboard::domain::runs::{Cell, Settings, Trigger};
use evalboard::domain::samples::{Input, Sample};
use evalboard::domain::time::Millis;
use evalboard::domain::users::User;
use evalboard::engine::record;
use evalboard::error::Result;
use evalboard::service;
use evalboard::service::evals::Draft;
use evalboard::service::once::{Answer, Once};
use evalboard::store::runs::Progress;
use evalboard::store::{self, Tx, Value};

/// The moment at which everything happens, so that pages look the same every time.
pub(crate) const NOW: Millis = Millis(1_795_270_000_000);

/// A model to be seeded.
#[derive(Clone)]
pub(crate) struct SeedModel {
    pub(crate) card: Card,
    /// Share of answers that are right.
    pub(crate) skill: f64,
    pub(crate) latency_ms: i64,
    /// How many of the evals it is measured on.
    pub(crate) evals: usize,
}

/// An eval to be seeded.
#[derive(Clone)]
pub(crate) struct SeedEval {
    pub(crate) card: EvalCard,
    pub(crate) eval_type: &'static str,
    pub(crate) samples: usize,
    /// Added to every model's skill.
    pub(crate) ease: f64,
}

/// A model with everything that a board shows of it.
pub(crate) fn model(name: &str, provider: &str, skill: f64, price: Option<f64>) -> SeedModel {
    let mut card = Card::new(name.to_owned(), format!("openrouter/{provider}/model"));
    card.provider = Some(provider.to_owned());
    card.prices = Prices { input: price, output: price.map(|price| price * 4.0), ..Prices::default() };
    SeedModel { card, skill, latency_ms: 900, evals: usize::MAX }
}

/// A right/wrong eval.
pub(crate) fn eval(name: &str, category: &str, samples: usize, ease: f64) -> SeedEval {
    let card = EvalCard { name: name.to_owned(), category: Some(category.to_owned()), ..EvalCard::default() };
    SeedEval { card, eval_type: "exact", samples, ease }
}

/// A stored model.
#[derive(Clone)]
pub(crate) struct StoredModel {
    seed: SeedModel,
    key: ModelKey,
    pub(crate) id: ModelId,
}

/// A stored eval.
#[derive(Clone)]
pub(crate) struct StoredEval {
    seed: SeedEval,
    key: EvalKey,
    pub(crate) id: EvalId,
}

/// The person that seeded things belong to.
pub(crate) async fn owner(app: &App) -> User {
    let find = |tx: &mut Tx<'_>| store::users::find_by_email(tx, "member@example.org");
    app.store.read(find).await.unwrap().unwrap()
}

/// Stores models.
pub(crate) async fn models(app: &App, user: &User, models: Vec<SeedModel>) -> Vec<StoredModel> {
    let owner = user.key;
    let insert = move |tx: &mut Tx<'_>| {
        let stored = (0..).zip(&models).map(|(at, seed)| {
            let id = ModelId::fresh();
            let key = store::models::insert(tx, &id, owner, &seed.card, NOW.plus(at))?;
            Ok(StoredModel { seed: seed.clone(), key, id })
        });
        stored.collect()
    };
    app.store.write(insert).await.unwrap()
}

/// Stores evals.
pub(crate) async fn evals(app: &App, user: &User, evals: Vec<SeedEval>) -> Vec<StoredEval> {
    for eval in &evals {
        insert_eval(app, user, eval).await;
    }
    let stored = app.store.read(store::evals::active).await.unwrap();
    let fresh = stored.into_iter().rev().take(evals.len()).rev();
    evals.into_iter().zip(fresh).map(|(seed, eval)| StoredEval { seed, key: eval.key, id: eval.id }).collect()
}

/// One run of `models` on `evals`, of which the first `cases` cases are recorded.
pub(crate) async fn run(
    app: &App,
    user: &User,
    models: &[StoredModel],
    evals: &[StoredEval],
    cases: usize,
) -> RunId {
    let (owner, models, evals) = (user.key, models.to_vec(), evals.to_vec());
    let insert = move |tx: &mut Tx<'_>| {
        let cells = cells(tx, &models, &evals)?;
        let run = RunId::fresh();
        let notes = "The first of the month".to_owned();
        let settings = Settings { notes, ..Trigger::of_model(ModelId::from(String::new())).settings };
        let planned: Vec<Cell> = cells.iter().map(|cell| cell.cell.clone()).collect();
        let key = store::runs::insert(tx, &run, owner, &settings, &planned, NOW)?;
        store::runs::begin(tx, key, NOW)?;
        while store::plans::extend(tx, 100_000, NOW)? {}
        let mut left = cases;
        for cell in &cells {
            left -= record_cell(tx, key, cell, left)?;
        }
        Ok(run)
    };
    app.store.write(insert).await.unwrap()
}

/// A cell with what its cases are made from.
struct Planned {
    cell: Cell,
    seed: u64,
    right: f64,
    latency_ms: i64,
    prices: Prices,
}

async fn insert_eval(app: &App, user: &User, eval: &SeedEval) {
    let measurement = Measurement {
        prompt: "Answer with one word.".into(),
        expected_behavior: "Names it, and nothing else.".into(),
        eval_type: eval.eval_type.into(),
        eval_criteria: "{}".into(),
        epochs: 1,
        reducer: "mean".into(),
        pass_threshold: 1.0,
    };
    let samples = (0..eval.samples).map(sample).collect();
    let draft = Draft { card: eval.card.clone(), measurement };
    let once = Once::unasked(user.key);
    service::evals::create(app, user.clone(), draft, Some(samples), once, |_| Answer::ok(&())).await.unwrap();
}

fn sample(at: usize) -> Sample {
    Sample {
        key: format!("item-{at}"),
        input: Input::Text(format!("What is {at} and {at}? <b>not bold</b>")),
        target: vec![(at * 2).to_string()],
        choices: Vec::new(),
        metadata: serde_json::Map::new(),
        cluster_id: None,
    }
}

fn cells(tx: &mut Tx<'_>, models: &[StoredModel], evals: &[StoredEval]) -> Result<Vec<Planned>> {
    let mut cells = Vec::new();
    for model in models {
        let stored = store::models::get(tx, &model.id)?;
        let price = store::models::snapshot_prices(tx, model.key, stored.card.prices, NOW)?;
        for eval in evals.iter().take(model.seed.evals) {
            let version = store::evals::get(tx, &eval.id)?.version;
            let cell = Cell {
                model: model.key,
                revision: stored.revision.key,
                price,
                eval: eval.key,
                version: version.key,
                endpoint: "test".into(),
                samples: version.samples.count,
                epochs: 1,
            };
            cells.push(Planned {
                cell,
                seed: u64::try_from(model.key.0 * 1_000 + eval.key.0).unwrap(),
                right: (model.seed.skill + eval.seed.ease).clamp(0.0, 1.0),
                latency_ms: model.seed.latency_ms,
                prices: stored.card.prices,
            });
        }
    }
    Ok(cells)
}

/// Records at most `most` cases of a cell; answers how many.
fn record_cell(tx: &mut Tx<'_>, run: RunKey, planned: &Planned, most: usize) -> Result<usize> {
    let cell = &planned.cell;
    let set = store::evals::get_version(tx, cell.version)?.samples.key;
    let samples: Vec<SampleKey> = tx.rows(
        "SELECT id FROM samples WHERE set_id = ?1 ORDER BY position LIMIT ?2",
        &[Value::from(set), Value::from(i64::try_from(most.min(1_000_000)).unwrap())],
        |row| row.get("id"),
    )?;
    let place = (run, cell.model, cell.eval);
    for (at, sample) in samples.iter().enumerate() {
        let record = case(planned, cell.price, draw(planned.seed, at), at);
        let passed = record.score == Some(1.0);
        let mut tally = Tally::default();
        tally.add(&record, passed);
        let counted = store::results::count(tx, place, &ResultId::fresh(), &tally, NOW)?.unwrap();
        let key = store::cases::next_key(tx)?;
        store::cases::insert(tx, key, &CaseId::fresh(), counted.key, (*sample, 1), &record, NOW)?;
        if counted.is_last {
            record::finish_cell(tx, place, counted.key, NOW)?;
        }
        let progress = Progress {
            cases: 1,
            failed: i64::from(record.score.is_none()),
            finished_cells: i64::from(counted.is_last),
            cost_usd: record.cost_usd,
        };
        store::runs::advance(tx, run, progress, NOW)?;
    }
    Ok(samples.len())
}

fn case(planned: &Planned, price: PriceKey, chance: f64, at: usize) -> Record {
    let failed = chance > 0.997;
    let right = chance < planned.right;
    let said = at * 2 + usize::from(!right);
    let tokens = Tokens { input: Some(180), output: Some(45), ..Tokens::default() };
    Record {
        state: if failed { CaseState::Error } else { CaseState::Scored },
        score: (!failed).then_some(if right { 1.0 } else { 0.0 }),
        reason: failed.then_some("timeout".into()),
        error: failed.then_some("provider_timeout".into()),
        error_message: failed.then(|| "no answer within 120 s".to_owned()),
        answer: (!failed).then(|| said.to_string()),
        prompt: serde_json::json!([{"role": "user", "content": "What is it? <script>alert(1)</script>"}])
            .to_string(),
        response: if failed { String::new() } else { format!("I think it is {said}.") },
        reasoning: None,
        score_details: "{}".into(),
        transcript: None,
        usage: None,
        raw: None,
        is_truncated: false,
        is_self_graded: false,
        attempts: 1,
        latency_ms: Some(planned.latency_ms + i64::try_from(at % 17).unwrap() * 13),
        tokens,
        price,
        cost_usd: planned.prices.cost(tokens.input, tokens.cached_input, tokens.output),
        grader_cost_usd: None,
        is_rescored: false,
    }
}

/// A number from 0 to 1 that looks random and is the same every time.
fn draw(seed: u64, at: usize) -> f64 {
    let mixed = (seed * 1_000_003 + u64::try_from(at).unwrap()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    f64::from(u32::try_from((mixed ^ (mixed >> 32)) & 0xffff_ffff).unwrap()) / f64::from(u32::MAX)
}
