//! Triggering and cancelling runs. What happens in between is the engine's.

use std::collections::HashSet;

use crate::app::App;
use crate::config::Config;
use crate::domain::evals::{Eval, Version, refuse_too_few};
use crate::domain::id::{RunId, RunKey};
use crate::domain::models::Model;
use crate::domain::runs::{Cell, GIVE_UP_AFTER_MS, MOST_CASES, Run, Settings, Trigger};
use crate::domain::stats::Reducer;
use crate::domain::text;
use crate::domain::time::Millis;
use crate::domain::users::User;
use crate::engine::Engine;
use crate::engine::record;
use crate::error::{Error, Result};
use crate::service::lending::Permitted;
use crate::service::once::{Answer, Once};
use crate::service::{budgets, caps, versions};
use crate::store::{Tx, board, evals, lending, models, queue, runs, work_items};

/// Items that the cancelling transaction itself cancels; the engine clears away the rest.
pub(super) const CHUNK: u32 = 2_000;

/// Stores a run with its plan and wakes the engine.
///
/// # Errors
/// `Invalid` when something named is unknown or there is nothing to run; `Forbidden` when a model would be paid by
/// the operator and the user is no admin and has no cap, or its price is unknown; `Conflict` when his cap is spent.
pub async fn trigger(
    app: &App,
    user: User,
    trigger: Trigger,
    once: Once,
    render: fn(&Run) -> Result<Answer>,
) -> Result<Answer> {
    let settings = check(trigger.settings.clone())?;
    let trigger = Trigger { settings, ..trigger };
    let planner = Planner::new(app, user, trigger);
    let (id, now) = (RunId::fresh(), Millis::now());
    let answer =
        app.store.write(move |tx| once.run(tx, now, |tx| planner.store(tx, &id, now), render)).await?;
    app.engine.wake();
    Ok(answer)
}

/// Stops an open run: what is recorded stays, and its complete cells count.
///
/// # Errors
/// `NotFound`; `Forbidden` for another person's run; `Conflict` when it is over.
pub async fn cancel(
    app: &App,
    user: User,
    id: RunId,
    once: Once,
    render: fn(&Run) -> Result<Answer>,
) -> Result<Answer> {
    let now = Millis::now();
    let stop = move |tx: &mut Tx<'_>, run: &Run| {
        user.require_owner(run.owner, "run")?;
        if !record::cancel(tx, run.key, now)? {
            let message = format!("the run is over: it is {}", run.state.as_str());
            return Err(Error::Conflict { code: "run_over", message });
        }
        work_items::cancel_orphans(tx, run.key, CHUNK)?;
        runs::get(tx, &run.id)
    };
    let (answer, run, unwanted) = app
        .store
        .write(move |tx| {
            let run = runs::get(tx, &id)?;
            let answer = once.run(tx, now, |tx| stop(tx, &run), render)?;
            Ok((answer, run.key, queue::unwanted(tx, run.key)?))
        })
        .await?;
    app.engine.abandon(run);
    app.engine.expire_waits(&unwanted);
    Ok(answer)
}

pub(super) fn check(mut settings: Settings) -> Result<Settings> {
    settings.notes = text::clean(&settings.notes, "notes", 1_000)?;
    if settings.epochs.is_some_and(|epochs| !(1..=100).contains(&epochs)) {
        return Err(Error::invalid("epochs", "epochs must be a whole number from 1 to 100"));
    }
    if settings.max_samples == Some(0) {
        return Err(Error::invalid("max_samples", "max_samples must be at least 1"));
    }
    budgets::check(settings.budget_usd)?;
    if settings.give_up_after_ms.is_some_and(|time| !GIVE_UP_AFTER_MS.contains(&time)) {
        let message = "give_up_after_ms must be a whole number of milliseconds from 1000 to 2592000000 (30 days): leave \
                       it out for the operator's setting";
        return Err(Error::invalid("give_up_after_ms", message));
    }
    Ok(settings)
}

/// Turns a trigger into a plan.
pub(super) struct Planner {
    pub(super) config: Config,
    pub(super) engine: Engine,
    pub(super) user: User,
    pub(super) trigger: Trigger,
}

impl Planner {
    pub(super) fn new(app: &App, user: User, trigger: Trigger) -> Self {
        Self::of(app.config.clone(), app.engine.clone(), user, trigger)
    }

    pub(super) const fn of(config: Config, engine: Engine, user: User, trigger: Trigger) -> Self {
        Self { config, engine, user, trigger }
    }

    pub(super) fn store(&self, tx: &mut Tx<'_>, id: &RunId, now: Millis) -> Result<Run> {
        let Permitted { models, evals, skipped } = self.permitted(tx, now)?;
        let mut cells = Vec::new();
        let mut graderless = false;
        let mut pinned = Vec::new();
        for eval in &evals {
            let version = versions::pin(tx, &self.config, &self.user, eval, now)?;
            graderless |= versions::lacks_grader(&version)?;
            for model in &models {
                if !(self.trigger.only_missing && board::holds(tx, model.revision.key, version.key)?) {
                    cells.push(self.cell(tx, model, eval, &version, now)?);
                }
            }
            pinned.push(version);
        }
        self.require_prices(tx, &models, pinned.iter())?;
        let on_operator = self.require_means(tx, &models, pinned.iter(), now)?;
        refuse_size(cells.iter().map(Cell::cases))?;
        let key = runs::insert(tx, id, self.user.key, &self.trigger.settings, &cells, now)?;
        if on_operator {
            runs::mark_on_operator(tx, key)?;
        }
        lending::insert_skips(tx, key, &skipped)?;
        if graderless {
            note_missing_grader(tx, key)?;
        }
        runs::get(tx, id)
    }

    fn cell(
        &self,
        tx: &mut Tx<'_>,
        model: &Model,
        eval: &Eval,
        version: &Version,
        now: Millis,
    ) -> Result<Cell> {
        let own = self.trigger.settings.epochs.zip(Reducer::parse(&version.measurement.reducer));
        if let Some((epochs, reducer)) = own {
            refuse_too_few(reducer, epochs)?;
        }
        Ok(Cell {
            model: model.key,
            revision: model.revision.key,
            price: models::snapshot_prices(tx, model.key, model.card.prices, now)?,
            eval: eval.key,
            version: version.key,
            endpoint: self.engine.limiter_key(tx, model.revision.key)?,
            samples: self.samples(version),
            epochs: self.epochs(version),
        })
    }

    pub(super) fn samples(&self, version: &Version) -> i64 {
        let all = version.samples.count;
        self.trigger.settings.max_samples.map_or(all, |most| all.min(most.into()))
    }

    pub(super) fn epochs(&self, version: &Version) -> i64 {
        self.trigger.settings.epochs.unwrap_or(version.measurement.epochs).into()
    }

    /// With a budget, everything that would be called has a price.
    pub(super) fn require_prices<'v>(
        &self,
        tx: &mut Tx<'_>,
        models: &[Model],
        versions: impl Iterator<Item = &'v Version>,
    ) -> Result<()> {
        match self.trigger.settings.budget_usd {
            Some(_) => budgets::require_prices(tx, models, versions),
            None => Ok(()),
        }
    }

    pub(super) fn models(&self, tx: &mut Tx<'_>) -> Result<Vec<Model>> {
        let active = models::active(tx)?;
        let models = match &self.trigger.models {
            None => active,
            Some(ids) => select(active, ids, "model_ids", |model| &model.id)?,
        };
        if models.is_empty() {
            return Err(Error::bad_request("nothing to run: there is no active model"));
        }
        Ok(models)
    }

    pub(super) fn evals(&self, tx: &mut Tx<'_>) -> Result<Vec<Eval>> {
        let active = evals::active(tx)?;
        let evals = match &self.trigger.evals {
            None => active,
            Some(ids) => select(active, ids, "eval_ids", |eval| &eval.id)?,
        };
        if evals.is_empty() {
            return Err(Error::bad_request("nothing to run: there is no active eval"));
        }
        Ok(evals)
    }

    /// Whether something of it is paid by the operator; refused when the user may not spend that.
    pub(super) fn require_means<'v>(
        &self,
        tx: &mut Tx<'_>,
        models: &[Model],
        versions: impl Iterator<Item = &'v Version>,
        now: Millis,
    ) -> Result<bool> {
        let bills = caps::bills(tx, &self.config, self.engine.providers(), models, versions)?;
        caps::require(tx, &self.config, &self.user, &bills, now)?;
        Ok(!bills.is_empty())
    }
}

/// Those of `active` that are named, in their own order.
fn select<T, I: Eq + std::hash::Hash + std::fmt::Display>(
    active: Vec<T>,
    ids: &[I],
    field: &str,
    id: impl Fn(&T) -> &I,
) -> Result<Vec<T>> {
    if ids.is_empty() {
        let message = format!("{field} must name at least one: leave it out to run all that are active");
        return Err(Error::invalid(field, message));
    }
    let known: HashSet<&I> = active.iter().map(&id).collect();
    if let Some((at, unknown)) = ids.iter().enumerate().find(|(_, id)| !known.contains(id)) {
        let message = format!("{unknown} is unknown, deleted or not active");
        return Err(Error::invalid(format!("{field}[{at}]"), message));
    }
    let wanted: HashSet<&I> = ids.iter().collect();
    Ok(active.into_iter().filter(|each| wanted.contains(id(each))).collect())
}

/// Refuses a plan without cases, and one with too many.
pub(super) fn refuse_size(parts: impl Iterator<Item = i64>) -> Result<()> {
    let cases = parts.fold(0_i64, i64::saturating_add);
    if cases == 0 {
        return Err(Error::bad_request("nothing to run: every cell has a current result"));
    }
    if cases > MOST_CASES {
        return Err(Error::bad_request(format!(
            "the run would have {cases} cases: at most {MOST_CASES} are allowed"
        )));
    }
    Ok(())
}

pub(super) fn note_missing_grader(tx: &mut Tx<'_>, run: RunKey) -> Result<()> {
    let note = "an eval has no grader, so its cases stay unscored: \
                name one in eval_criteria.grader or set EVALBOARD_GRADER_MODEL";
    runs::note(tx, run, note)
}
