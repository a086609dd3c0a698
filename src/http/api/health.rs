//! The health of an eval as JSON: numbers and sample ids. What they mean in words is on the eval's page.

use serde::Serialize;
use utoipa::ToSchema;

use super::wire::IdParam;
use crate::domain::direction::Direction;
use crate::domain::evals::Version;
use crate::domain::health::{self, Checks, Health, Spread, Suspect};
use crate::domain::id::EvalId;
use crate::domain::rounding;
use crate::domain::stats::{self, Agreement};
use crate::error::Result;
use crate::http::{Answered, Id, Reads, View};
use crate::store::{self, Topic, Tx};

/// Items whose difficulty is listed.
const MAX_DIFFICULTIES: usize = 1_000;

/// What can be said of an eval itself, read off the results that the board shows. What would rest on too few
/// models is null.
#[derive(Serialize, ToSchema)]
pub struct EvalHealth {
    eval_id: String,
    /// The version it is about: the one that counts for the ranking, else the present one.
    version: i64,
    /// Models that it is read off.
    n_models: usize,
    n_items: usize,
    epochs: u32,
    reducer: String,
    pass_threshold: f64,
    /// The smallest gap between two models that are compared alone, as a share of 0-1, that is found with `power` at `ci_level`:
    /// (1.96 + 0.84) times the paired standard error, as the median over neighbours in the ranking. Null where
    /// no two were measured or most neighbours answered alike.
    smallest_gap: Option<f64>,
    /// The same for one pair among all pairs of the `n_models`, corrected for them (the first step of Holm's
    /// correction): how far apart two models of a board have to be.
    smallest_gap_among_all: Option<f64>,
    /// Pairs of neighbours that `smallest_gap` is the median over.
    n_pairs: usize,
    power: f64,
    ci_level: f64,
    /// False where lower scores are better.
    higher_is_better: bool,
    /// Where scores vary; null without two items and a model.
    variance: Option<ScoreVariance>,
    /// Scores of the three best models, as the scorer gave them; null with fewer.
    best_scores: Option<Vec<f64>>,
    /// Whether those three all count for 0.95 or more, which is 0.05 or below where lower is better; null with fewer than three models.
    is_saturated: Option<bool>,
    /// Null with fewer than three models.
    items: Option<ItemChecks>,
    /// Cases planned, over all models.
    planned_count: i64,
    /// Cases of them that have no score.
    missing_count: i64,
    error_rate: Option<f64>,
    /// Null where no case was graded twice.
    grader_agreement: Option<GraderAgreement>,
}

/// Where the scores of an eval vary, as means over models, in squared score units.
#[derive(Serialize, ToSchema)]
pub struct ScoreVariance {
    /// Between the scores of items, the noise of their answers included.
    of_items: f64,
    /// Within an item: between answers of one model to it, from epochs or from the newest 5 results of one revision. Null
    /// where nothing was asked twice.
    within_item: Option<f64>,
    /// Between items without that noise; below 0 where the noise explains more than was seen. Null as `within_item`.
    between_items: Option<f64>,
    /// Models that the two are known of.
    n_models: usize,
}

/// How many models miss an item.
#[derive(Serialize, ToSchema)]
pub struct ItemDifficulty {
    sample_id: String,
    /// 1 minus the mean of what the models' scores on it count as, 0-1.
    difficulty: f64,
}

/// What items say one by one.
#[derive(Serialize, ToSchema)]
pub struct ItemChecks {
    /// Items that at least three models were measured on; the others are left out.
    n_items: usize,
    /// The hardest items first, at most 1,000 of them.
    difficulty: Vec<ItemDifficulty>,
    /// Sample ids: they tell no model apart any more.
    solved_by_all: Vec<String>,
    /// Sample ids: they tell none apart yet, or their key is wrong.
    solved_by_none: Vec<String>,
    /// Samples on which better models do worse than chance explains, the worst first: look at their key. Null with
    /// fewer than five models, of which a correlation says nothing.
    suspicious: Option<Vec<SuspiciousItem>>,
    /// Items whose correlation could be tested.
    n_tested: usize,
    /// Items of them with a correlation below 0, for whatever reason.
    n_negative: usize,
    /// How many of the suspicious are expected to be so by chance: at most 5 %.
    expected_by_chance: Option<f64>,
}

/// A sample on which better models do worse.
#[derive(Serialize, ToSchema)]
pub struct SuspiciousItem {
    sample_id: String,
    /// Correlation over models of the score on it with the score on all others, -1 to 0.
    rest_correlation: f64,
    /// How likely one so low is by chance: one-sided, of this item alone.
    p_value: f64,
    /// The same corrected for all items tested (Benjamini and Hochberg); up to 0.05 for what is listed.
    false_discovery_rate: f64,
}

/// How far the first two votes on a case agree on whether it passed.
#[derive(Serialize, ToSchema)]
pub struct GraderAgreement {
    /// Cases with two votes, the newest 5,000 at most.
    n_cases: usize,
    /// Share of cases on which they agree.
    observed: f64,
    /// Share on which they would agree by chance.
    expected: f64,
    /// Cohen's kappa; null where all votes were alike.
    kappa: Option<f64>,
}

impl EvalHealth {
    fn new(id: &EvalId, version: Version, health: Health, direction: Direction) -> Self {
        Self {
            higher_is_better: direction.is_higher(),
            variance: health.spread.map(Into::into),
            eval_id: id.to_string(),
            version: version.number,
            n_models: health.models,
            n_items: health.items,
            epochs: version.measurement.epochs,
            reducer: version.measurement.reducer,
            pass_threshold: version.measurement.pass_threshold,
            smallest_gap: health.resolution.map(|resolution| resolution.gap),
            smallest_gap_among_all: health.resolution.map(|resolution| resolution.gap_among_all),
            n_pairs: health.resolution.map_or(0, |resolution| resolution.pairs),
            power: stats::POWER,
            ci_level: stats::CI_LEVEL,
            best_scores: health.best.map(|best| best.map(|score| direction.counted(score)).to_vec()),
            is_saturated: health.is_saturated(),
            planned_count: health.planned,
            missing_count: health.missing,
            error_rate: health.error_rate(),
            grader_agreement: health.agreement.map(Into::into),
            items: health.checks.map(Into::into),
        }
    }
}

impl From<Spread> for ScoreVariance {
    fn from(spread: Spread) -> Self {
        let parts = spread.parts;
        Self {
            of_items: spread.of_items,
            within_item: parts.map(|(noise, _)| noise.within),
            between_items: parts.map(|(noise, _)| noise.between),
            n_models: parts.map_or(0, |(_, models)| models),
        }
    }
}

impl From<Checks> for ItemChecks {
    fn from(mut checks: Checks) -> Self {
        let expected_by_chance = checks.expected_by_chance();
        checks.difficulty.sort_by(|(_, a), (_, b)| rounding::compare(*b, *a));
        let hardest = checks.difficulty.into_iter().take(MAX_DIFFICULTIES);
        let hardest = hardest.map(|(sample_id, difficulty)| ItemDifficulty { sample_id, difficulty });
        let suspicious = checks.suspicious.map(|suspects| suspects.into_iter().map(Into::into).collect());
        Self {
            n_items: checks.items,
            difficulty: hardest.collect(),
            solved_by_all: checks.solved_by_all,
            solved_by_none: checks.solved_by_none,
            expected_by_chance,
            suspicious,
            n_tested: checks.tested,
            n_negative: checks.negative,
        }
    }
}

impl From<Suspect> for SuspiciousItem {
    fn from(suspect: Suspect) -> Self {
        Self {
            sample_id: suspect.key,
            rest_correlation: suspect.correlation,
            p_value: suspect.p,
            false_discovery_rate: suspect.rate,
        }
    }
}

impl From<Agreement> for GraderAgreement {
    fn from(agreement: Agreement) -> Self {
        let Agreement { answers, observed, expected, kappa } = agreement;
        Self { n_cases: answers, observed, expected, kappa }
    }
}

/// What can be said of the eval itself: resolution, saturation, dead and suspicious items, errors, graders.
#[utoipa::path(get, path = "/api/v1/evals/{id}/health", tag = "Evals", params(IdParam), responses((status = 200, description = "As the latest results say", body = EvalHealth)))]
pub async fn get(Id(id): Id<EvalId>, reads: Reads) -> Answered {
    reads.answer(&[Topic::Board, Topic::Models, Topic::Evals], move |tx| View::json(&health(tx, &id)?)).await
}

fn health(tx: &mut Tx<'_>, id: &EvalId) -> Result<EvalHealth> {
    let eval = store::evals::get(tx, id)?;
    let version = store::health::shown_version(tx, &eval)?;
    let material = store::health::material(tx, &version)?;
    let direction = material.pass.direction;
    Ok(EvalHealth::new(id, version, health::examine(&material), direction))
}
