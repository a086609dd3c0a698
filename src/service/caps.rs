//! Caps: whether a person may spend the operator's money on something. Holding a cap while a run goes on is the
//! engine's.

use crate::config::Config;
use crate::domain::evals::{Grader, Version};
use crate::domain::models::{Model, Prices};
use crate::domain::spending::Allowance;
use crate::domain::text;
use crate::domain::time::Millis;
use crate::domain::users::User;
use crate::engine::provider::Providers;
use crate::error::{Error, Result};
use crate::service::graders;
use crate::store::{Store, Tx, model_keys, models, spending, users};

/// A model or grader that is called with the operator's key.
pub(super) struct Bill {
    name: String,
    prices: Prices,
    is_grader: bool,
    /// Whether it is the grader that the operator chose for all evals that name none.
    is_default_grader: bool,
}

impl Bill {
    const fn noun(&self) -> &'static str {
        if self.is_grader { "the grader " } else { "" }
    }
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
    config: &Config,
    providers: &Providers,
    asked: &[Model],
    versions: impl Iterator<Item = &'v Version>,
) -> Result<Vec<Bill>> {
    let mut bills = Vec::new();
    for model in asked {
        let card = &model.card;
        if providers.is_paid_by_operator(&card.inference_uri, model.has_api_key) {
            let (name, prices) = (card.name.clone(), card.prices);
            bills.push(Bill { name, prices, is_grader: false, is_default_grader: false });
        }
    }
    for grader in versions.filter_map(|version| version.grader.as_ref()) {
        bills.extend(grader_bill(tx, config, providers, grader)?);
    }
    Ok(bills)
}

/// Returns the bill of a grader; none where the operator does not pay for it.
fn grader_bill(
    tx: &mut Tx<'_>,
    config: &Config,
    providers: &Providers,
    grader: &Grader,
) -> Result<Option<Bill>> {
    let (name, uri, prices, has_own_key) = match grader.revision {
        Some(revision) => {
            let pinned = models::pinned(tx, revision)?;
            let has_own_key = model_keys::get(tx, pinned.key)?.is_some();
            (pinned.name, pinned.inference_uri, pinned.prices, has_own_key)
        }
        None => (grader.name.clone(), grader.name.clone(), Prices::default(), false),
    };
    if !providers.is_paid_by_operator(&uri, has_own_key) {
        return Ok(None);
    }
    let is_default_grader = graders::of_operator(tx, config)?.is_some_and(|own| own.name == grader.name);
    Ok(Some(Bill { name, prices, is_grader: true, is_default_grader }))
}

/// Returns why a person may not have a grader called on the operator's key, in words; none when they may.
pub(super) fn grader_refusal(
    tx: &mut Tx<'_>,
    (config, providers): (&Config, &Providers),
    user: &User,
    grader: Option<&Grader>,
    now: Millis,
) -> Result<Option<String>> {
    let Some(grader) = grader else { return Ok(None) };
    let bill = grader_bill(tx, config, providers, grader)?;
    match require(tx, config, user, bill.as_slice(), now) {
        Err(Error::Forbidden(why)) => Ok(Some(why)),
        // A cap that is spent stands against the whole run, and is refused with it.
        Ok(()) | Err(Error::Conflict { .. }) => Ok(None),
        Err(cause) => Err(cause),
    }
}

/// Refuses a person what they may not spend. Without a cap a member spends nothing, on models or on graders that an eval
/// names; only the operator's own choice of a grader is paid for them.
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
        let unpaid_bill = bills.iter().find(|bill| !bill.is_default_grader);
        return unpaid_bill.map_or(Ok(()), |bill| Err(unpaid(bill.noun(), &bill.name)));
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
pub(super) fn unpaid(noun: &str, name: &str) -> Error {
    Error::Forbidden(format!(
        "{noun}{name} is paid by the operator: only an admin may run it, or a member who has a daily cap (name other \
         models in model_ids, or other evals in eval_ids)"
    ))
}

fn unpriced(bill: &Bill) -> Error {
    Error::Forbidden(format!(
        "{}{} is paid by the operator and what it costs is not known, so your daily cap cannot be held: an admin \
         has to give the model an input_price and an output_price",
        bill.noun(),
        bill.name
    ))
}
