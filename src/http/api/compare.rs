//! Two models compared on the items that both were asked, as JSON: never by the overlap of their intervals.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::domain::cases::Case;
use crate::domain::compare::{self, Side};
use crate::domain::id::{EvalId, ModelId};
use crate::domain::leaderboard::read_pool;
use crate::domain::models::Model;
use crate::domain::page::Page;
use crate::domain::pairs::{Disagreement, Pair, PairedEval, Spent, Wanted, Which};
use crate::domain::samples::Input;
use crate::domain::stats::{CI_LEVEL, Comparison};
use crate::domain::users::Caller;
use crate::error::{Error, Result};
use crate::http::pages::format;
use crate::http::{Answered, Reads, View};
use crate::service::pairs::{self, Answers, Found, LONGEST_ANSWER};
use crate::store::{Topic, Tx};

/// Disagreements of one answer.
const ITEMS: u32 = 20;

/// Two models compared.
#[derive(Serialize, ToSchema)]
pub struct Compared {
    /// The finding in words.
    sentence: String,
    /// Whether the scores are over all complete results of each model, not only the latest.
    is_pooled: bool,
    #[serde(flatten)]
    figures: Figures,
    a: ComparedModel,
    b: ComparedModel,
    /// The same for each eval that both are measured on.
    evals: Vec<ComparedEval>,
    /// Items on which the two scores differ, the first 20 of them; the `Link` header leads to more.
    disagreements: Vec<ComparedItem>,
}

/// How far apart two models are, and how sure that is.
#[derive(Serialize, ToSchema)]
pub struct Figures {
    /// Weighted mean of a minus b over the shared items, -1 to 1.
    difference: f64,
    stderr: Option<f64>,
    /// Of the paired difference; null where nothing can be said about its spread.
    ci_low: Option<f64>,
    ci_high: Option<f64>,
    ci_method: Option<&'static str>,
    /// 0.95 where there is an interval.
    ci_level: Option<f64>,
    /// Two-sided, of this pair alone: not corrected for other pairs.
    p_value: f64,
    /// mcnemar_exact, sign_flip_exact or sign_flip_mixed.
    test: &'static str,
    shared_items: usize,
    /// Items that only a solved; null unless all items are right or wrong.
    a_only: Option<usize>,
    /// Items that only b solved; null unless all items are right or wrong.
    b_only: Option<usize>,
}

/// What a model did on the shared items that count.
#[derive(Serialize, ToSchema)]
pub struct ComparedModel {
    model_id: String,
    model_name: String,
    #[serde(flatten)]
    half: ComparedHalf,
}

/// A model's side of the comparison.
#[derive(Serialize, ToSchema)]
pub struct ComparedHalf {
    /// Mean over the shared items, 0-1.
    score: Option<f64>,
    /// US dollars; null is unknown.
    cost_usd: Option<f64>,
    /// Median latency; over several evals the median of theirs.
    latency_p50_ms: Option<f64>,
    /// Cached ones included; null is unknown.
    input_tokens: Option<i64>,
    /// Reasoning included; null is unknown.
    output_tokens: Option<i64>,
    /// Cases that could not be measured and count as wrong.
    errors: i64,
}

/// Two models compared on one eval.
#[derive(Serialize, ToSchema)]
pub struct ComparedEval {
    eval_id: String,
    eval_name: String,
    weight: f64,
    /// False where lower scores are better: `score` is as the scorer gave it, and the difference is of 1 - score, so
    /// that above 0 it is a that is better.
    higher_is_better: bool,
    /// Whether it is a part of the overall difference; one that too few models have yet is not.
    counts: bool,
    sentence: String,
    #[serde(flatten)]
    figures: Figures,
    a: ComparedResult,
    b: ComparedResult,
}

/// A model's result on an eval.
#[derive(Serialize, ToSchema)]
pub struct ComparedResult {
    /// The latest.
    result_id: String,
    /// Complete results that it is over: 1, and more where they are pooled.
    pooled_runs: i64,
    #[serde(flatten)]
    half: ComparedHalf,
}

/// An item on which the two scores differ.
#[derive(Serialize, ToSchema)]
pub struct ComparedItem {
    eval_id: String,
    eval_name: String,
    /// The sample's own id, else its index as text.
    sample_id: Option<String>,
    /// What the models were given: text, or a list of messages.
    #[schema(value_type = Value)]
    input: Option<Input>,
    /// Accepted answers; null when the eval withholds them.
    target: Option<Vec<String>>,
    a: ComparedAnswer,
    b: ComparedAnswer,
}

/// What a model answered on an item. Of several epochs, the one whose score is nearest to the item's.
#[derive(Serialize, ToSchema)]
pub struct ComparedAnswer {
    /// Of the item, its epochs reduced to one, 0-1; 0 when it could not be measured.
    score: f64,
    /// Null when there is no case.
    case_id: Option<String>,
    /// 1, 2, ... within the sample.
    epoch: Option<i64>,
    /// scored, unscored or error.
    state: Option<&'static str>,
    /// Category of what went wrong, such as `refusal` or `provider_error`.
    reason: Option<String>,
    /// Code of an error, such as `provider_timeout`.
    error: Option<String>,
    /// Whether a person overruled the scorer's verdict; the case has both.
    is_overruled: Option<bool>,
    /// The first 20,000 characters of what was scored, without thinking; the case has all of it. Null when it was
    /// removed.
    response: Option<String>,
    /// When it was removed, since this server keeps answers for a limited time only.
    answer_removed_at: Option<i64>,
    /// What was extracted from the response; null when the eval withholds its targets, which it may tell.
    answer: Option<String>,
}

/// Which two models.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CompareQuery {
    /// Id of a model.
    #[param(required = true)]
    a: Option<String>,
    /// Id of another model.
    #[param(required = true)]
    b: Option<String>,
    /// Only this eval; else all that both are measured on.
    eval_id: Option<String>,
    /// `all` to pool all complete results of each model's present revision, the newest 20 of them at most, item by item.
    pool: Option<String>,
    /// Only disagreements on which this model scored more: a or b.
    #[param(value_type = Option<String>)]
    only: Option<Which>,
    /// From the `Link` header of the answer before.
    cursor: Option<String>,
}

impl CompareQuery {
    fn models(&self) -> Result<(ModelId, ModelId)> {
        Ok((model(self.a.as_deref(), "a")?, model(self.b.as_deref(), "b")?))
    }
}

fn model(given: Option<&str>, field: &str) -> Result<ModelId> {
    let given = given.filter(|id| !id.is_empty());
    let id = given.ok_or_else(|| Error::invalid(field, format!("{field} must be the id of a model")))?;
    Ok(ModelId::from(id.to_owned()))
}

impl Figures {
    fn of(comparison: &Comparison) -> Self {
        let difference = &comparison.difference;
        Self {
            difference: difference.mean,
            stderr: difference.stderr,
            ci_low: difference.interval.map(|interval| interval.clipped(-1.0, 1.0).low),
            ci_high: difference.interval.map(|interval| interval.clipped(-1.0, 1.0).high),
            ci_method: difference.method.map(|method| method.as_str()),
            ci_level: difference.interval.map(|_| CI_LEVEL),
            p_value: comparison.test.p,
            test: comparison.test.test.as_str(),
            shared_items: difference.items,
            a_only: comparison.only.map(|(a, _)| a),
            b_only: comparison.only.map(|(_, b)| b),
        }
    }
}

impl ComparedHalf {
    const fn new(score: Option<f64>, spent: Spent) -> Self {
        Self {
            score,
            cost_usd: spent.cost_usd,
            latency_p50_ms: spent.latency_p50_ms,
            input_tokens: spent.input_tokens,
            output_tokens: spent.output_tokens,
            errors: spent.missing,
        }
    }
}

impl ComparedModel {
    fn new(model: &Model, which: Which, pair: &Pair) -> Self {
        Self {
            model_id: model.id.to_string(),
            model_name: model.card.name.clone(),
            half: ComparedHalf::new(pair.score(which), pair.spent(which)),
        }
    }
}

impl ComparedResult {
    fn new(eval: &PairedEval, which: Which) -> Self {
        let half = eval.half(which);
        Self {
            result_id: half.id.to_string(),
            pooled_runs: half.pooled,
            half: ComparedHalf::new(eval.score(which), half.spent),
        }
    }
}

impl ComparedEval {
    fn new(eval: &PairedEval, a: &Model, b: &Model) -> Result<Self> {
        let comparison = eval.compare().ok_or_else(|| Error::internal("an eval without items"))?;
        let side = |model, which| side(model, eval.half(which).spent);
        Ok(Self {
            eval_id: eval.id.to_string(),
            eval_name: eval.name.clone(),
            weight: eval.weight,
            counts: eval.counts,
            higher_is_better: eval.direction().is_higher(),
            sentence: compare::sentence(side(a, Which::A), side(b, Which::B), Some(&comparison)),
            figures: Figures::of(&comparison),
            a: ComparedResult::new(eval, Which::A),
            b: ComparedResult::new(eval, Which::B),
        })
    }
}

impl ComparedItem {
    fn new(item: &Disagreement<'_>, answers: Answers, caller: &Caller) -> Self {
        let shows_targets = !item.eval.hidden_targets || caller.owns(item.eval.owner);
        let sample = answers.a.as_ref().or(answers.b.as_ref()).map(|case| &case.sample);
        Self {
            eval_id: item.eval.id.to_string(),
            eval_name: item.eval.name.clone(),
            sample_id: sample.map(|sample| sample.key.clone()),
            input: sample.map(|sample| sample.input.clone()),
            target: sample.filter(|_| shows_targets).map(|sample| sample.target.clone()),
            a: ComparedAnswer::new(item.score(Which::A), answers.a, shows_targets),
            b: ComparedAnswer::new(item.score(Which::B), answers.b, shows_targets),
        }
    }
}

impl ComparedAnswer {
    fn new(score: f64, case: Option<Case>, shows_targets: bool) -> Self {
        Self {
            score,
            case_id: case.as_ref().map(|case| case.id.to_string()),
            epoch: case.as_ref().map(|case| case.epoch),
            state: case.as_ref().map(|case| case.state.as_str()),
            reason: case.as_ref().and_then(|case| case.standing_reason()).map(str::to_owned),
            error: case.as_ref().and_then(|case| case.standing_error()).map(str::to_owned),
            is_overruled: case.as_ref().map(|case| case.overrule.is_some()),
            response: case
                .as_ref()
                .filter(|case| case.said().is_some())
                .map(|case| shortened(case.scored_response())),
            answer_removed_at: case.as_ref().and_then(|case| case.removed_at).map(|at| at.0),
            answer: case.and_then(|case| case.answer).filter(|_| shows_targets).as_deref().map(shortened),
        }
    }
}

fn shortened(text: &str) -> String {
    format::shortened(text, LONGEST_ANSWER)
}

/// A model as the sentence speaks of it.
fn side(model: &Model, spent: Spent) -> Side<'_> {
    Side { name: &model.card.name, cost: spent.cost_usd }
}

/// Two models compared on the items that both were asked, in pairs.
///
/// Refused when they share no items: there is no difference to speak of then.
#[utoipa::path(get, path = "/api/v1/leaderboard/compare", tag = "Leaderboard", params(CompareQuery), responses((status = 200, description = "The difference, and the items it is made of", body = Compared)))]
pub async fn get(reads: Reads<CompareQuery>) -> Answered {
    let query = &reads.params;
    let (a, b) = query.models()?;
    let eval = query.eval_id.clone().map(EvalId::from);
    let is_pooled = query.pool.as_deref().map_or(Ok(false), read_pool)?;
    let wanted = Wanted { eval: None, ahead: query.only };
    let page = Page { limit: ITEMS, ..Page::parse(&reads.list(), None, query.cursor.as_deref())? };
    let caller = reads.caller().clone();
    reads
        .answer(&[Topic::Board, Topic::Models, Topic::Evals, Topic::Results], move |tx| {
            let found = pairs::find(tx, &a, &b, eval.as_ref(), is_pooled)?;
            view(tx, &found, &wanted, page, &caller)
        })
        .await
}

fn view(tx: &mut Tx<'_>, found: &Found, wanted: &Wanted, page: Page, caller: &Caller) -> Result<View> {
    let Found { a, b, pair, .. } = found;
    let comparison = pair.compare();
    let sides = (side(a, pair.spent(Which::A)), side(b, pair.spent(Which::B)));
    let sentence = compare::sentence(sides.0, sides.1, comparison.as_ref());
    let Some(comparison) = comparison else {
        let fix = "Run both on one eval, and name them again.";
        return Err(Error::invalid("b", format!("{sentence} {fix}")));
    };
    let items = pair.disagreements(wanted, page);
    let shown = items.rows.iter().map(|item| {
        let answers = pairs::answers(tx, item)?;
        Ok(ComparedItem::new(item, answers, caller))
    });
    let compared = Compared {
        sentence,
        is_pooled: found.is_pooled,
        figures: Figures::of(&comparison),
        a: ComparedModel::new(a, Which::A, pair),
        b: ComparedModel::new(b, Which::B, pair),
        evals: pair.evals().iter().map(|eval| ComparedEval::new(eval, a, b)).collect::<Result<_>>()?,
        disagreements: shown.collect::<Result<_>>()?,
    };
    Ok(View::json(&compared)?.part(items.total, items.next))
}
