//! Caps: whether a person may spend the operator's money on something. Holding a cap while a run goes on is the
//! engine's.

use crate::config::Config;
use crate::domain::evals::Version;
use crate::domain::models::{Model, Prices};
use crate::domain::spending::Allowance;
use crate::domain::text;
use crate::domain::time::Millis;
use crate::domain::users::User;
use crate::engine::provider::Providers;
use crate::error::{Error, Result};
use crate::store::{Store, Tx, model_keys, models, spending, users};

/// A model or grader that is called with the operator's key.
pub(super) struct Bill {
    name: String,
    prices: Prices,
    is_grader: bool,
}

/// What a person may spend today, and has spent.
///
/// # Errors
/// The database's.
pub async fn allowance(store: &Store, config: &Config, user: User) -> Result<Allowance> {
    let (default_cap, now) = (config.member_daily_usd, Millis::now());
    store.read(move |tx| spending::allowance(tx, &user, default_cap, now)).await
}

/// Gives the person with that address a cap of his own in US dollars a day, or takes it away. It counts from the next
/// case on that is recorded.
///
/// # Errors
/// `Invalid` naming `email`; `NotFound` when there is no such person.
pub async fn set(store: &Store, email: &str, cap_usd: Option<f64>) -> Result<User> {
    let email = text::email(email, "email")?;
    store
        .write(move |tx| {
            let user = users::find_by_email(tx, &email)?.ok_or(Error::NotFound("person"))?;
            spending::set_cap(tx, user.key, cap_usd)?;
            Ok(user)
        })
        .await
}

/// Those of the models, and of the graders of these versions, that are called with the operator's keys.
pub(super) fn bills<'v>(
    tx: &mut Tx<'_>,
    providers: &Providers,
    asked: &[Model],
    versions: impl Iterator<Item = &'v Version>,
) -> Result<Vec<Bill>> {
    let mut bills = Vec::new();
    for model in asked {
        let card = &model.card;
        if providers.is_paid_by_operator(&card.inference_uri, model.has_api_key) {
            bills.push(Bill { name: card.name.clone(), prices: card.prices, is_grader: false });
        }
    }
    for grader in versions.filter_map(|version| version.grader.as_ref()) {
        let (name, uri, prices, has_own_key) = match grader.revision {
            Some(revision) => {
                let pinned = models::pinned(tx, revision)?;
                let has_own_key = model_keys::get(tx, pinned.key)?.is_some();
                (pinned.name, pinned.inference_uri, pinned.prices, has_own_key)
            }
            None => (grader.name.clone(), grader.name.clone(), Prices::default(), false),
        };
        if providers.is_paid_by_operator(&uri, has_own_key) {
            bills.push(Bill { name, prices, is_grader: true });
        }
    }
    Ok(bills)
}

/// Refuses a person what he may not spend. Without a cap a member spends nothing on models; who grades is the
/// board's choice, and is paid for him.
pub(super) fn require(
    tx: &mut Tx<'_>,
    config: &Config,
    user: &User,
    bills: &[Bill],
    now: Millis,
) -> Result<()> {
    if user.is_admin() || bills.is_empty() {
        return Ok(());
    }
    let allowance = spending::allowance(tx, user, config.member_daily_usd, now)?;
    if allowance.cap_usd.is_none() {
        return bills.iter().find(|bill| !bill.is_grader).map_or(Ok(()), |bill| Err(unpaid(&bill.name)));
    }
    if let Some(bill) = bills.iter().find(|bill| bill.prices.input.is_none() || bill.prices.output.is_none())
    {
        return Err(unpriced(bill));
    }
    require_left(&allowance, "your")
}

/// Refuses to begin something when the cap is spent already; `whose` says it in words.
pub(super) fn require_left(allowance: &Allowance, whose: &str) -> Result<()> {
    let Some(why) = allowance.exhausted(whose) else { return Ok(()) };
    let message = format!("{why}; there is more from {} on", allowance.renewed());
    Err(Error::Conflict { code: "cap_spent", message })
}

/// Refuses a member without a cap what the operator pays.
pub(super) fn unpaid(name: &str) -> Error {
    Error::Forbidden(format!(
        "{name} is paid by the operator: only an admin may run it, or a member who has a daily cap (name other \
         models in model_ids)"
    ))
}

fn unpriced(bill: &Bill) -> Error {
    let noun = if bill.is_grader { "the grader " } else { "" };
    Error::Forbidden(format!(
        "{noun}{} is paid by the operator and what it costs is not known, so your daily cap cannot be held: an admin \
         has to give the model an input_price and an output_price",
        bill.name
    ))
}
