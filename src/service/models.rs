//! Registering, changing and deleting models. Calling them is the engine's.

use crate::app::App;
use crate::domain::id::{ModelId, RunId};
use crate::domain::inference_uri::InferenceUri;
use crate::domain::models::{Card, Model};
use crate::domain::runs::Trigger;
use crate::domain::time::Millis;
use crate::domain::users::User;
use crate::engine::record;
use crate::error::{Error, Result};
use crate::service::once::{Answer, Once};
use crate::service::runs::Planner;
use crate::service::{ledger, model_names};
use crate::store::{Tx, board, model_keys, models, plans};

/// Longest key that is taken for an endpoint, in bytes.
const LONGEST_KEY: usize = 4_096;

/// A model that was just registered.
#[derive(Debug, Clone)]
pub struct Registered {
    /// The model.
    pub model: Model,
    /// Its first run, where that was asked for.
    pub run: Option<RunId>,
}

/// Registers a model, and where `runs` says so starts a run of it over all active evals: both or neither.
///
/// # Errors
/// `Invalid` naming the field; `Forbidden` for what only an admin may say; for the run as [`super::runs::trigger`].
pub async fn create(
    app: &App,
    user: User,
    card: Card,
    (api_key, runs): (Option<String>, bool),
    once: Once,
    render: fn(&Registered) -> Result<Answer>,
) -> Result<Answer> {
    let card = card.check()?;
    if runs && !card.is_active {
        let message = "run: an inactive model is not run: leave is_active out, or run";
        return Err(Error::invalid("run", message));
    }
    let id = ModelId::fresh();
    let key = KeyChange::of_new(api_key)?;
    let origin = reachable(app, &card).await?;
    require_admin_to_vouch(&user, &card)?;
    require_admin_to_pay(app, &user, &card, key.stores_one())?;
    let sealed = key.seal(app, &id, origin.as_deref())?;
    let (now, owner, by) = (Millis::now(), user.key, user.clone());
    let first_run = runs.then(|| (RunId::fresh(), Planner::new(app, user, Trigger::of_model(id.clone()))));
    let insert = move |tx: &mut Tx<'_>| {
        let key = models::insert(tx, &id, owner, &card, now)?;
        sealed.store(tx, key)?;
        if let Some((run, planner)) = &first_run {
            planner.store(tx, run, now).map_err(unregistered)?;
        }
        let run = first_run.as_ref().map(|(run, _)| run.clone());
        let model = models::get(tx, &id)?;
        ledger::inserted(tx, &by, &model, now)?;
        Ok(Registered { model, run })
    };
    let answer = app.store.write(move |tx| once.run(tx, now, &insert, render)).await?;
    app.engine.wake();
    Ok(answer)
}

/// What keeps a model's first run from starting keeps the model from being registered.
fn unregistered(cause: Error) -> Error {
    let explain =
        |why: &str| format!("run: {why}. Nothing was registered: leave run out to register the model alone");
    match cause {
        Error::Invalid { message, .. } => Error::invalid("run", explain(&message)),
        Error::Forbidden(message) => Error::Forbidden(explain(&message)),
        Error::Conflict { code, message } => Error::Conflict { code, message: explain(&message) },
        other => other,
    }
}

/// Changes a model: `edit` is applied to its card, and `api_key` replaces the stored key (or removes it when
/// it is null). Leading elsewhere than before clears the key unless a new one comes along. `reason` goes into the
/// ledger.
///
/// # Errors
/// `NotFound`, `Forbidden`, `Invalid`.
pub async fn update(
    app: &App,
    user: User,
    id: ModelId,
    edit: impl Fn(&mut Card) + Send + Sync + 'static,
    api_key: Option<Option<String>>,
    reason: Option<String>,
) -> Result<Model> {
    let reason = ledger::reason(reason.as_deref())?;
    let before = {
        let id = id.clone();
        app.store.read(move |tx| models::get(tx, &id)).await?
    };
    user.require_owner(before.owner, "model")?;
    let card = edited(&before, &edit)?;
    let (leads_to, led_to) = (reachable(app, &card).await?, origin(app, &before.card)?);
    let change = match api_key {
        Some(key) => KeyChange::of_edit(key)?,
        None if leads_to != led_to => KeyChange::Remove,
        None => KeyChange::Keep,
    };
    let has_key = change.leaves_one(before.has_api_key);
    let asks_otherwise =
        card.inference_uri != before.card.inference_uri || card.parameters != before.card.parameters;
    if asks_otherwise || card.is_official != before.card.is_official {
        require_admin_to_vouch(&user, &card)?;
    }
    if asks_otherwise || !has_key {
        require_admin_to_pay(app, &user, &card, has_key)?;
    }
    let sealed = change.seal(app, &id, leads_to.as_deref())?;
    let now = Millis::now();
    app.store
        .write(move |tx| {
            let model = models::get(tx, &id)?;
            refuse_other(&before, &model)?;
            let card = edited(&model, &edit)?;
            require_owner_to_share(&user, &model, &card)?;
            model_names::refuse_taken(tx, &user, (&model, &card.name))?;
            models::update(tx, model.key, &card, now)?;
            sealed.store(tx, model.key)?;
            board::settle_suite(tx, now)?;
            let edited = models::get(tx, &id)?;
            ledger::corrected(tx, &user, (&model, &edited), &reason, now)?;
            Ok(edited)
        })
        .await
}

/// Deletes a model: it is not run or ranked any more, and its results stay readable. `reason` goes into the ledger.
///
/// # Errors
/// `NotFound`, `Forbidden`.
pub async fn delete(app: &App, user: User, id: ModelId, reason: Option<String>) -> Result<()> {
    let (now, reason) = (Millis::now(), ledger::reason(reason.as_deref())?);
    app.store
        .write(move |tx| {
            let model = models::get(tx, &id)?;
            user.require_owner(model.owner, "model")?;
            models::delete(tx, model.key, now)?;
            ledger::withdrawn(tx, &user, &model, &reason, now)?;
            let cells = plans::open(tx, plans::Which::Model(model.key))?;
            record::drop_cells(tx, &cells, now)?;
            board::settle_suite(tx, now)
        })
        .await?;
    app.engine.tidy();
    Ok(())
}

/// Refuses a model of which something changed since `before` was read that the checks of an edit rest on: another edit
/// at the same time could else bring about together what neither may alone.
fn refuse_other(before: &Model, now: &Model) -> Result<()> {
    let checked = |model: &Model| {
        let card = &model.card;
        (
            model.owner,
            model.has_api_key,
            card.is_official,
            card.inference_uri.clone(),
            card.parameters.clone(),
        )
    };
    if checked(before) == checked(now) {
        return Ok(());
    }
    let message =
        "the model was changed by another request at the same time: read it again, and send the edit again";
    Err(Error::Conflict { code: "model_changed", message: message.to_owned() })
}

fn edited(model: &Model, edit: &impl Fn(&mut Card)) -> Result<Card> {
    let mut card = model.card.clone();
    edit(&mut card);
    // A short timeout of an earlier release stays until it is changed.
    let kept = card.timeout_ms.take_if(|time| model.card.timeout_ms == Some(*time));
    let mut card = card.check()?;
    card.timeout_ms = card.timeout_ms.or(kept);
    Ok(card)
}

/// Refuses a card that cannot be called from here: an unknown provider, or an address that is not allowed.
/// Answers the origin that a key would be bound to.
async fn reachable(app: &App, card: &Card) -> Result<Option<String>> {
    let uri = InferenceUri::parse(&card.inference_uri)?;
    let origin = app.engine.providers().resolve(&uri, &card.name, None)?.origin;
    if let InferenceUri::Compatible { url, .. } | InferenceUri::Direct { url } = &uri {
        let url = app.guard.check(url, "inference_uri")?;
        app.guard.check_resolved(&url, "inference_uri").await?;
    }
    Ok(origin)
}

fn origin(app: &App, card: &Card) -> Result<Option<String>> {
    let uri = InferenceUri::parse(&card.inference_uri)?;
    // A provider that is not configured any more leads nowhere.
    Ok(app.engine.providers().resolve(&uri, &card.name, None).ok().and_then(|endpoint| endpoint.origin))
}

/// What the operator vouches for answers as it did when he said so.
fn require_admin_to_vouch(user: &User, card: &Card) -> Result<()> {
    if card.is_official && !user.is_admin() {
        let message =
            "is_official: only an admin may mark a model as official, or change what an official one answers";
        return Err(Error::Forbidden(message.to_owned()));
    }
    Ok(())
}

/// The owner's key is lent by its owner: an admin may only withdraw it.
fn require_owner_to_share(user: &User, before: &Model, card: &Card) -> Result<()> {
    if user.key != before.owner && card.sharing.is_wider_than(&before.card.sharing) {
        let message = "shared: only the model's owner may share it, or raise the caps of its borrowers";
        return Err(Error::Forbidden(message.to_owned()));
    }
    Ok(())
}

/// The operator's money is spent by admins.
fn require_admin_to_pay(app: &App, user: &User, card: &Card, has_key: bool) -> Result<()> {
    if user.is_admin() {
        return Ok(());
    }
    let uri = InferenceUri::parse(&card.inference_uri)?;
    if app.engine.providers().uses_operator_key(&uri, has_key) {
        let message =
            "this endpoint is paid by the operator: give the model an api_key of its own, or ask an admin";
        return Err(Error::Forbidden(message.to_owned()));
    }
    Ok(())
}

/// What is to become of a model's key.
enum KeyChange {
    Keep,
    Remove,
    Replace(String),
}

impl KeyChange {
    fn of_new(given: Option<String>) -> Result<Self> {
        given.map_or(Ok(Self::Keep), |key| Self::of_edit(Some(key)))
    }

    fn of_edit(given: Option<String>) -> Result<Self> {
        let Some(key) = given else { return Ok(Self::Remove) };
        if key.is_empty() || key.len() > LONGEST_KEY || key.chars().any(|c| !c.is_ascii_graphic()) {
            let message = "api_key must be 1-4096 visible ASCII characters, or null to remove it";
            return Err(Error::invalid("api_key", message));
        }
        Ok(Self::Replace(key))
    }

    const fn stores_one(&self) -> bool {
        self.leaves_one(false)
    }

    const fn leaves_one(&self, had_one: bool) -> bool {
        match self {
            Self::Keep => had_one,
            Self::Remove => false,
            Self::Replace(_) => true,
        }
    }

    /// Seals a new key for the row and the origin it is given for.
    fn seal(self, app: &App, id: &ModelId, origin: Option<&str>) -> Result<SealedChange> {
        Ok(match (self, origin) {
            (Self::Keep, _) => SealedChange::Keep,
            (Self::Remove, _) => SealedChange::Remove,
            (Self::Replace(_), None) => {
                return Err(Error::invalid("api_key", "a builtin model takes no api_key"));
            }
            (Self::Replace(key), Some(origin)) => {
                SealedChange::Replace(app.master.seal(id.as_str(), origin, &key)?, origin.to_owned())
            }
        })
    }
}

/// The same, ready to be stored.
enum SealedChange {
    Keep,
    Remove,
    Replace(Vec<u8>, String),
}

impl SealedChange {
    fn store(&self, tx: &mut Tx<'_>, key: crate::domain::id::ModelKey) -> Result<()> {
        match self {
            Self::Keep => Ok(()),
            Self::Remove => model_keys::put(tx, key, None),
            Self::Replace(sealed, origin) => model_keys::put(tx, key, Some((sealed, origin))),
        }
    }
}
