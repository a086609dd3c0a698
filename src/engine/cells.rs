//! What all cases of a cell share: the model with its key, the eval's prompt and scorer, the grader.
//!
//! Made once per cell and kept for as long as models and evals stay as they are. It calls nobody.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::Cache;
use secrecy::SecretString;

use super::provider::{Endpoint, Failure};
use super::reservations::{CellAccounts, PayingRun};
use super::scorer::Scorer;
use super::webhook::{Closed, Hook};
use super::{Engine, Machine};
use crate::domain::cases::Tokens;
use crate::domain::direction::PassMark;
use crate::domain::evals::{Grader, Version};
use crate::domain::id::{CellKey, ModelKey, PriceKey, RevisionKey, RunKey, UserKey};
use crate::domain::inference_uri::InferenceUri;
use crate::domain::models::Prices;
use crate::domain::parameters::Parameters;
use crate::domain::thinking::{self, Split};
use crate::error::{Error, Result};
use crate::store::models::{self, Pinned};
use crate::store::{Generation, Topic, Tx, evals, model_keys, plans, runs, users, webhook_secrets};

/// Time for one answer, unless the model says otherwise.
const TIMEOUT: Duration = Duration::from_secs(120);
/// Cells kept at once.
const KEPT: usize = 1_024;

/// A model that can be called.
pub(super) struct Callable {
    pub(super) key: ModelKey,
    pub(super) name: String,
    /// Where it is called, or why it cannot be.
    pub(super) endpoint: Result<Endpoint, Failure>,
    pub(super) parameters: Parameters,
    pub(super) timeout: Duration,
    /// Calls in flight at once, if it says so.
    pub(super) max_concurrency: Option<u32>,
    pub(super) prices: Prices,
    /// Whether calls of it are paid with the operator's key.
    pub(super) on_operator: bool,
    /// Whoever its calls are made for, where they are made on the key of an owner who is somebody else.
    pub(super) borrower: Option<UserKey>,
}

impl Callable {
    /// What a call of it cost in US dollars; none when unknown.
    pub(super) fn cost(&self, tokens: &Tokens) -> Option<f64> {
        self.known_prices().cost_of(tokens)
    }

    /// Returns its prices; a baseline without one is free.
    pub(super) fn known_prices(&self) -> Prices {
        let is_baseline = self.endpoint.as_ref().is_ok_and(|endpoint| endpoint.origin.is_none());
        if is_baseline { self.prices.of_a_baseline() } else { self.prices }
    }

    /// Splits a response of it into thinking and answer, unless its parameters leave thinking tags alone.
    pub(super) fn split<'r>(&self, response: &'r str) -> Split<'r> {
        if self.parameters.reads_thinking_tags() { thinking::split(response) } else { Split::whole(response) }
    }
}

/// What all cases of a cell share.
pub(super) struct Cell {
    pub(super) model: Callable,
    pub(super) run: RunKey,
    pub(super) price: PriceKey,
    /// The prompt with what the scorer demands; empty when the sample is the whole input.
    pub(super) prompt: String,
    pub(super) scorer: Scorer,
    pub(super) pass: PassMark,
    /// Why nothing may be scored: the scorer is another than the one that the cell was begun with.
    pub(super) outdated: Option<String>,
    /// Who grades; none when no grader is needed or known.
    pub(super) grader: Option<Callable>,
    /// The run whose answers are scored again; none when the model is asked.
    pub(super) rescores: Option<RunKey>,
    /// The webhook that scores, or why it cannot be called; none when no webhook is asked.
    pub(super) hook: Option<Result<Hook, Closed>>,
    /// The budgets and caps that its calls draw on.
    pub(super) accounts: CellAccounts,
}

/// The cells at hand, as models and evals stood at a moment.
pub(super) struct Cells(Cache<(CellKey, Generation), Arc<Cell>>);

impl Default for Cells {
    fn default() -> Self {
        Self(Cache::new(KEPT))
    }
}

impl Machine {
    /// The cell of that key, as models and evals stand now; none when it was taken out of its run. Items that want the
    /// same cell at once, as all do when a run begins, wait for one of them to read it.
    pub(super) async fn cell(&self, key: CellKey) -> Result<Option<Arc<Cell>>> {
        let generation = self.tools.store.generation(&[Topic::Models, Topic::Evals]);
        let place = (key, generation);
        let read = async {
            // What changed since is wanted by nobody, and holds keys.
            self.cells.0.retain(|(_, made), _| *made == generation);
            self.read_cell(key).await?.ok_or(None)
        };
        let cell = self.cells.0.get_or_insert_async(&place, read).await;
        // A cell that is not there may come back: it is not remembered.
        cell.map(Some).or_else(|absent: Option<Error>| absent.map_or(Ok(None), Err))
    }

    async fn read_cell(&self, key: CellKey) -> Result<Option<Arc<Cell>>> {
        let parts = self.tools.store.read(move |tx| Parts::read(tx, key)).await?;
        parts.map(|parts| self.assemble(parts).map(Arc::new)).transpose()
    }

    /// As [`Engine::limiter_key`].
    ///
    /// # Errors
    /// The database's.
    pub(super) fn limiter_key(&self, tx: &mut Tx<'_>, revision: RevisionKey) -> Result<String> {
        let pinned = models::pinned(tx, revision)?;
        let Stored { model, sealed } = stored(tx, pinned)?;
        let endpoint = self.endpoint(&model, sealed);
        Ok(endpoint.map_or_else(|_| format!("unreachable {}", model.id), |endpoint| endpoint.limiter_key))
    }

    fn assemble(&self, parts: Parts) -> Result<Cell> {
        let Parts { run, plan, model, version, pass, grader, secret } = parts;
        let measurement = &version.measurement;
        let scorer = Scorer::of(measurement)?;
        let prompt = if version.samples.is_implied {
            String::new()
        } else {
            scorer.complete_prompt(&measurement.prompt).into_owned()
        };
        let borrower = run.member;
        let mut model = self.callable(model, borrower);
        model.prices = plan.prices;
        let grader = grader.map(|grader| self.callable(grader, borrower));
        let is_graded_there = grader.as_ref().is_some_and(|grader| grader.on_operator);
        Ok(Cell {
            accounts: CellAccounts::new(run, model.on_operator, is_graded_there),
            model,
            run: run.key,
            price: plan.price,
            rescores: plan.rescores,
            prompt,
            pass,
            outdated: outdated(&version, &scorer),
            hook: scorer.webhook().map(|webhook| Hook::open(self, webhook, secret)),
            scorer,
            grader,
        })
    }

    /// A model with its address found and its key opened. `borrower` is whoever it is called for unless that is an admin.
    pub(super) fn callable(&self, stored: Stored, borrower: Option<UserKey>) -> Callable {
        let Stored { model, sealed } = stored;
        let bound_to = sealed.as_ref().map(|(_, origin)| origin.clone());
        let endpoint = self.endpoint(&model, sealed).map_err(|cause| match cause {
            Error::Internal(_) => Failure::key_unreadable(),
            other => Failure::cannot_call(&other.to_string()),
        });
        // A key that was given for elsewhere is not used, and then the operator's may be.
        let has_own_key =
            endpoint.as_ref().is_ok_and(|endpoint| bound_to.is_some() && endpoint.origin == bound_to);
        let on_operator = self.tools.providers.is_paid_by_operator(&model.inference_uri, has_own_key);
        Callable {
            key: model.key,
            endpoint,
            parameters: serde_json::from_str(&model.parameters).unwrap_or_default(),
            timeout: timeout(model.timeout_ms),
            max_concurrency: model.max_concurrency,
            prices: model.prices,
            on_operator,
            borrower: borrower.filter(|borrower| has_own_key && *borrower != model.owner),
            name: model.name,
        }
    }

    fn endpoint(&self, model: &Pinned, sealed: Option<(Vec<u8>, String)>) -> Result<Endpoint> {
        let uri = InferenceUri::parse(&model.inference_uri)?;
        let providers = &self.tools.providers;
        let bare = providers.resolve(&uri, &model.name, None)?;
        // A key goes only where it was given for; a pinned revision may lead elsewhere.
        let key: Option<SecretString> = match (sealed, &bare.origin) {
            (Some((sealed, origin)), Some(leads_to)) if origin == *leads_to => {
                let opened = self.tools.master.open(model.id.as_str(), &origin, &sealed);
                Some(opened.inspect_err(|cause| {
                    tracing::error!(model = %model.id, error = ?cause, "a stored key cannot be opened");
                })?)
            }
            _ => None,
        };
        if key.is_none() { Ok(bare) } else { providers.resolve(&uri, &model.name, key) }
    }
}

/// Why the cases of a version cannot be scored by the scorer of this program: scores of two rules would be mixed in
/// one result.
fn outdated(version: &Version, scorer: &Scorer) -> Option<String> {
    let (then, now) = (version.scorer_version, i64::from(scorer.version()));
    (then != now).then(|| {
        format!(
            "the scorer {} was updated from version {then} to {now} since the run began: rescore the run, which asks no \
             model",
            scorer.name()
        )
    })
}

impl Engine {
    /// Returns the queue of a model revision's calls: the endpoint's host with fingerprints of the key and of the
    /// model's name there. What cannot be called has a queue of its own.
    ///
    /// # Errors
    /// The database's.
    pub fn limiter_key(&self, tx: &mut Tx<'_>, revision: RevisionKey) -> Result<String> {
        self.0.limiter_key(tx, revision)
    }
}

fn timeout(milliseconds: Option<i64>) -> Duration {
    milliseconds.and_then(|time| u64::try_from(time).ok()).map_or(TIMEOUT, Duration::from_millis)
}

/// A model as stored, with its sealed key.
pub(super) struct Stored {
    model: Pinned,
    sealed: Option<(Vec<u8>, String)>,
}

/// What is read for a cell.
struct Parts {
    run: PayingRun,
    plan: plans::Pins,
    model: Stored,
    version: Version,
    pass: PassMark,
    grader: Option<Stored>,
    /// The eval's webhook's.
    secret: Option<webhook_secrets::Stored>,
}

impl Parts {
    fn read(tx: &mut Tx<'_>, key: CellKey) -> Result<Option<Self>> {
        let Some(plan) = plans::pins(tx, key)? else { return Ok(None) };
        let pinned = models::pinned(tx, plan.revision)?;
        let model = stored(tx, pinned)?;
        let version = evals::get_version(tx, plan.version)?;
        let pass = evals::pass_mark(tx, plan.version)?;
        let grader = version.grader.as_ref().map(|grader| stored_grader(tx, grader)).transpose()?;
        let secret = webhook_secrets::get(tx, key.2)?;
        let run = paying_run(tx, key.0)?;
        Ok(Some(Self { run, plan, model, version, pass, grader, secret }))
    }
}

fn paying_run(tx: &mut Tx<'_>, key: RunKey) -> Result<PayingRun> {
    let run = runs::get_by_key(tx, key)?;
    let (owner, _) = users::get(tx, run.owner)?;
    let member = (!owner.is_admin()).then_some(owner.key);
    Ok(PayingRun { key, has_budget: run.settings.budget_usd.is_some(), member })
}

pub(super) fn stored(tx: &mut Tx<'_>, model: Pinned) -> Result<Stored> {
    let sealed = model_keys::get(tx, model.key)?;
    Ok(Stored { model, sealed })
}

/// A registered model at its pinned revision, or a `provider/model` that nobody registered.
fn stored_grader(tx: &mut Tx<'_>, grader: &Grader) -> Result<Stored> {
    if let Some(revision) = grader.revision {
        let pinned = models::pinned(tx, revision)?;
        return stored(tx, pinned);
    }
    Ok(Stored { model: Pinned::unregistered(&grader.name), sealed: None })
}
