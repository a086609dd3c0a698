//! Two models side by side: which two, what both are measured on, and what they answered where they differ.
//!
//! Reads only; the caller's transaction is the one it reads in. What of it may be shown to whom is the
//! surface's to decide.

use crate::domain::cases::Case;
use crate::domain::direction::Direction;
use crate::domain::id::{EvalId, ModelId, RevisionKey, VersionKey};
use crate::domain::models::Model;
use crate::domain::pairs::{self, Disagreement, Half, Pair, PairedEval, Which};
use crate::domain::pooling::PooledItems;
use crate::error::{Error, Result};
use crate::store::{self, Tx};

/// Longest part of an answer that is shown beside another, in characters: its case has all of it, and twenty items
/// have forty answers.
pub const LONGEST_ANSWER: usize = 20_000;

/// Two models with what both are measured on.
#[derive(Debug)]
pub struct Found {
    /// The first.
    pub a: Model,
    /// The second.
    pub b: Model,
    /// Whether all complete results of each are pooled.
    pub is_pooled: bool,
    /// Their results; without evals where they share none.
    pub pair: Pair,
}

/// What two models answered on an item: the epoch that stands for it. None where there is no case.
#[derive(Debug)]
pub struct Answers {
    /// Of the first.
    pub a: Option<Case>,
    /// Of the second.
    pub b: Option<Case>,
}

/// Finds two models by their ids, and what their present revisions did on all evals, or on one: in their latest complete
/// result, or pooled over all of them.
///
/// # Errors
/// `Invalid` naming `a`, `b` or `eval_id`: one model twice, no such model or eval, an eval that not both are
/// measured on.
pub fn find(
    tx: &mut Tx<'_>,
    a: &ModelId,
    b: &ModelId,
    eval: Option<&EvalId>,
    is_pooled: bool,
) -> Result<Found> {
    if a == b {
        return Err(Error::invalid("b", "a and b are the same model: name two different ones"));
    }
    let (a, b) = (model(tx, a, "a")?, model(tx, b, "b")?);
    let mut evals = store::pairs::shared(tx, a.revision.key, b.revision.key)?;
    if let Some(id) = eval {
        evals.retain(|eval| eval.id == *id);
        if evals.is_empty() {
            return Err(Error::invalid("eval_id", unshared(tx, id, &a, &b)?));
        }
    }
    if is_pooled {
        let pooled = evals.into_iter().map(|eval| pool(tx, eval, [a.revision.key, b.revision.key]));
        evals = pooled.collect::<Result<_>>()?;
    }
    Ok(Found { a, b, is_pooled, pair: Pair::new(evals) })
}

/// Both halves of an eval over all complete results of the two revisions.
fn pool(tx: &mut Tx<'_>, eval: PairedEval, [a, b]: [RevisionKey; 2]) -> Result<PairedEval> {
    let (version, direction) = (eval.version, eval.direction());
    let a = pool_half(tx, eval.a, (a, version), direction)?;
    let b = pool_half(tx, eval.b, (b, version), direction)?;
    Ok(PairedEval { a, b, ..eval })
}

fn pool_half(
    tx: &mut Tx<'_>,
    half: Half,
    (revision, version): (RevisionKey, VersionKey),
    direction: Direction,
) -> Result<Half> {
    let (mut pooled, mut counted) = (PooledItems::default(), Vec::new());
    for member in store::pool::of_cell(tx, revision, version)? {
        let scores = store::board::item_scores(tx, member.result)?;
        if scores.is_some_and(|scores| pooled.add(&direction.counted_items(scores.items))) {
            counted.push(member);
        }
    }
    // Another number of items would be a damaged result: the latest alone is right then.
    let fits = counted.len() > 1 && pooled.means().len() == half.scores.len();
    Ok(if fits { half.pooled(&pooled, &counted) } else { half })
}

fn model(tx: &mut Tx<'_>, id: &ModelId, field: &str) -> Result<Model> {
    store::models::get(tx, id).map_err(|cause| match cause {
        Error::NotFound(_) => Error::invalid(field, format!("{field} names no model")),
        other => other,
    })
}

/// Why there is nothing to compare on that eval.
fn unshared(tx: &mut Tx<'_>, id: &EvalId, a: &Model, b: &Model) -> Result<String> {
    let eval = match store::evals::get(tx, id) {
        Err(Error::NotFound(_)) => return Ok("eval_id names no eval".to_owned()),
        other => other?,
    };
    let mut holds = |model: &Model| store::board::holds(tx, model.revision.key, eval.version.key);
    let (name, first, second) = (&eval.card.name, &a.card.name, &b.card.name);
    Ok(match (holds(a)?, holds(b)?) {
        (true, false) => format!("only {first} is measured on {name} (eval_id): run {second} on it too"),
        (false, true) => format!("only {second} is measured on {name} (eval_id): run {first} on it too"),
        _ => format!("{first} and {second} share no result on {name} (eval_id): run both on it"),
    })
}

/// What the two answered on an item.
///
/// # Errors
/// The database's.
pub fn answers(tx: &mut Tx<'_>, item: &Disagreement<'_>) -> Result<Answers> {
    let mut of = |which| {
        let half = item.eval.half(which);
        let cases = store::cases::of_item(tx, half.key, item.eval.version, item.position)?;
        Ok::<_, Error>(pairs::nearest(cases, item.score(which), item.eval.direction()))
    };
    Ok(Answers { a: of(Which::A)?, b: of(Which::B)? })
}
