//! Retrying a run that is over: the same run is open again, for its cases that have no score, and for what a cap kept
//! it from asking.
//!
//! Only whether it may be done is decided here; how a run is opened is the store's, what then happens the engine's.

use std::collections::HashSet;

use super::runs::CHUNK;
use super::{caps, lending};
use crate::app::App;
use crate::config::Config;
use crate::domain::id::{RevisionKey, RunId};
use crate::domain::runs::Run;
use crate::domain::time::Millis;
use crate::domain::users::User;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::service::once::{Answer, Once};
use crate::store::retries::Rest;
use crate::store::{Tx, answers, model_keys, models, retries, runs, spending, users, work_items};

/// Asks the errored and unscored cases of a run again, and of one that a cap stopped the rest of its plan. One that
/// rescores looks at the earlier run's answers again.
///
/// # Errors
/// `NotFound`; `Forbidden` for another person's run, or when the operator would pay and the user is no admin and has
/// no cap, or nothing of it may be run by its owner; `Conflict` when the run is open, or one is that shares its answers, those were removed, its budget or its owner's cap is spent,
/// or every case of it has a score.
pub async fn retry(
    app: &App,
    user: User,
    id: RunId,
    once: Once,
    render: fn(&Run) -> Result<Answer>,
) -> Result<Answer> {
    let (engine, config, now) = (app.engine.clone(), app.config.clone(), Millis::now());
    let answer = app
        .store
        .write(move |tx| {
            let run = runs::get(tx, &id)?;
            let retrying = Retrying { engine: &engine, config: &config, user: &user };
            once.run(tx, now, |tx| retrying.reopen(tx, &run, now), render)
        })
        .await?;
    app.engine.wake();
    Ok(answer)
}

/// Who retries, and by which rules.
struct Retrying<'a> {
    engine: &'a Engine,
    config: &'a Config,
    user: &'a User,
}

impl Retrying<'_> {
    fn reopen(&self, tx: &mut Tx<'_>, run: &Run, now: Millis) -> Result<Run> {
        self.user.require_owner(run.owner, "run")?;
        if run.state.is_open() {
            let message = format!("the run is {}: retry it once it is over", run.state.as_str());
            return Err(Error::Conflict { code: "run_open", message });
        }
        refuse_open_kin(tx, run)?;
        if let Some(why) = run.overspent() {
            let message = format!("{why}: start another run for what is missing");
            return Err(Error::Conflict { code: "budget_spent", message });
        }
        let rest = if run.may_go_on() { retries::rest(tx, run.key)? } else { Vec::new() };
        let gaps = retries::gaps(tx, run.key)?;
        if gaps.is_empty() && rest.iter().all(|rest| rest.is_withdrawn) {
            let message =
                "nothing to retry: every case that was asked has a score, or its model or eval is deleted";
            return Err(Error::Conflict { code: "nothing_to_retry", message: message.to_owned() });
        }
        let asked = gaps.iter().map(|gap| (gap.model, gap.eval)).chain(rest.iter().map(Rest::cell));
        lending::require_some(tx, run, &asked.collect::<HashSet<_>>(), now)?;
        let (owner, _) = users::get(tx, run.owner)?;
        let allowance = spending::allowance(tx, &owner, self.config.member_daily_usd, now)?;
        let may_spend = self.user.is_admin() || allowance.cap_usd.is_some();
        let gaps = self.located(tx, run, may_spend, gaps, |gap| (gap.revision, &gap.endpoint))?;
        let rest = self.located(tx, run, may_spend, rest, |rest| (rest.revision, &rest.endpoint))?;
        if run.rescores.is_some() && answers::are_removed(tx, run.key)? {
            let message = "the answers that this run scores again were removed, since this server keeps them for a \
                           limited time: run the models instead";
            return Err(Error::Conflict { code: "answers_removed", message: message.to_owned() });
        }
        // By now it is known whether the operator's money goes on it. Whoever started it has the cap that counts.
        if runs::get(tx, &run.id)?.on_operator {
            caps::require_left(&allowance, "its owner's")?;
        }
        // What is left of a cancelled run is cleared away in steps: none of it may come back to life.
        while work_items::cancel_orphans(tx, run.key, CHUNK)? > 0 {}
        if run.may_go_on() {
            retries::resume(tx, run.key, &gaps, &rest, now)?;
        } else {
            retries::reopen(tx, run.key, &gaps, now)?;
        }
        runs::get(tx, &run.id)
    }

    /// Each with the endpoint that its model is called at now: its key may be another than when the run began. A run
    /// that rescores calls no model, and stays where it was.
    fn located<T>(
        &self,
        tx: &mut Tx<'_>,
        run: &Run,
        may_spend: bool,
        cells: Vec<T>,
        of: impl Fn(&T) -> (RevisionKey, &String),
    ) -> Result<Vec<(T, String)>> {
        let mut located = Vec::new();
        for cell in cells {
            let (revision, endpoint) = of(&cell);
            if run.rescores.is_some() {
                let endpoint = endpoint.clone();
                located.push((cell, endpoint));
                continue;
            }
            let model = models::pinned(tx, revision)?;
            let has_own_key = model_keys::get(tx, model.key)?.is_some();
            if self.engine.providers().is_paid_by_operator(&model.inference_uri, has_own_key) {
                if !may_spend {
                    return Err(caps::unpaid("", &model.name));
                }
                runs::mark_on_operator(tx, run.key)?;
            }
            let endpoint = self.engine.limiter_key(tx, revision)?;
            located.push((cell, endpoint));
        }
        Ok(located)
    }
}

/// Refuses to touch answers that an open run reads, and to read those that an open run makes.
pub(super) fn refuse_open_kin(tx: &mut Tx<'_>, run: &Run) -> Result<()> {
    if !answers::has_open_kin(tx, run.key)? {
        return Ok(());
    }
    let message = "a run is open that shares the answers of this one: try again once it is over";
    Err(Error::Conflict { code: "kin_open", message: message.to_owned() })
}
