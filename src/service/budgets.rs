//! Budgets: whether what a run may spend can be held. Holding it is the engine's.

use crate::domain::evals::Version;
use crate::domain::inference_uri::InferenceUri;
use crate::domain::models::{Model, Prices};
use crate::error::{Error, Result};
use crate::store::{Tx, models};

/// Where every refusal points.
const FIELD: &str = "budget_usd";

/// Refuses an amount that is none.
pub(super) fn check(budget_usd: Option<f64>) -> Result<()> {
    if budget_usd.is_some_and(|budget| !budget.is_finite() || budget <= 0.0) {
        let message = "budget_usd is US dollars and must be above 0: leave it out for a run without a budget";
        return Err(Error::invalid(FIELD, message));
    }
    Ok(())
}

/// Refuses a budget over models and graders of which one has no known price.
pub(super) fn require_prices<'v>(
    tx: &mut Tx<'_>,
    asked: &[Model],
    versions: impl Iterator<Item = &'v Version>,
) -> Result<()> {
    for model in asked {
        let card = &model.card;
        require_price(&card.name, &card.inference_uri, card.prices)?;
    }
    for grader in versions.filter_map(|version| version.grader.as_ref()) {
        match grader.revision {
            Some(revision) => {
                let pinned = models::pinned(tx, revision)?;
                require_price(&pinned.name, &pinned.inference_uri, pinned.prices)?;
            }
            None => require_price(&grader.name, &grader.name, Prices::default())?,
        }
    }
    Ok(())
}

fn require_price(name: &str, inference_uri: &str, prices: Prices) -> Result<()> {
    let is_baseline = matches!(InferenceUri::parse(inference_uri), Ok(InferenceUri::Builtin(_)));
    if is_baseline || (prices.input.is_some() && prices.output.is_some()) {
        return Ok(());
    }
    let message = format!(
        "what {name} costs is not known, so a budget cannot be held: give the model an input_price and an \
         output_price, or leave budget_usd out"
    );
    Err(Error::invalid(FIELD, message))
}
