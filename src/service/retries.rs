//! Retrying a run that is over: the same run is open again, for its cases that have no score.
//!
//! Only whether it may be done is decided here; how a run is opened is the store's, what then happens the engine's.

use super::runs::{CHUNK, is_paid_by_operator};
use crate::app::App;
use crate::domain::id::RunId;
use crate::domain::runs::Run;
use crate::domain::time::Millis;
use crate::domain::users::User;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::service::once::{Answer, Once};
use crate::store::retries::{self, Gap};
use crate::store::{Tx, answers, models, runs, work_items};

/// Asks the errored and unscored cases of a run again. One that rescores looks at the earlier run's answers again.
///
/// # Errors
/// `NotFound`; `Forbidden` for another person's run, or when the operator would pay and the user is no admin;
/// `Conflict` when the run is open, or one is that shares its answers, its budget is spent, or every case of it
/// has a score.
pub async fn retry(
    app: &App,
    user: User,
    id: RunId,
    once: Once,
    render: fn(&Run) -> Result<Answer>,
) -> Result<Answer> {
    let (engine, now) = (app.engine.clone(), Millis::now());
    let answer = app
        .store
        .write(move |tx| {
            let run = runs::get(tx, &id)?;
            once.run(tx, now, |tx| reopen(tx, &engine, &user, &run, now), render)
        })
        .await?;
    app.engine.wake();
    Ok(answer)
}

fn reopen(tx: &mut Tx<'_>, engine: &Engine, user: &User, run: &Run, now: Millis) -> Result<Run> {
    user.require_owner(run.owner, "run")?;
    if run.state.is_open() {
        let message = format!("the run is {}: retry it once it is over", run.state.as_str());
        return Err(Error::Conflict { code: "run_open", message });
    }
    refuse_open_kin(tx, run)?;
    if let Some(why) = run.overspent() {
        let message = format!("{why}: start another run for what is missing");
        return Err(Error::Conflict { code: "budget_spent", message });
    }
    let gaps = retries::gaps(tx, run.key)?;
    if gaps.is_empty() {
        let message =
            "nothing to retry: every case that was asked has a score, or its model or eval is deleted";
        return Err(Error::Conflict { code: "nothing_to_retry", message: message.to_owned() });
    }
    let gaps = gaps.into_iter().map(|gap| located(tx, engine, user, run, gap)).collect::<Result<Vec<_>>>()?;
    // What is left of a cancelled run is cleared away in steps: none of it may come back to life.
    while work_items::cancel_orphans(tx, run.key, CHUNK)? > 0 {}
    retries::reopen(tx, run.key, &gaps, now)?;
    runs::get(tx, &run.id)
}

/// Refuses to touch answers that an open run reads, and to read those that an open run makes.
pub(super) fn refuse_open_kin(tx: &mut Tx<'_>, run: &Run) -> Result<()> {
    if !answers::has_open_kin(tx, run.key)? {
        return Ok(());
    }
    let message = "a run is open that shares the answers of this one: try again once it is over";
    Err(Error::Conflict { code: "kin_open", message: message.to_owned() })
}

/// A gap with the endpoint that its model is called at now: its key may be another than when the run began.
fn located(tx: &mut Tx<'_>, engine: &Engine, user: &User, run: &Run, gap: Gap) -> Result<(Gap, String)> {
    if run.rescores.is_some() {
        let endpoint = gap.endpoint.clone();
        return Ok((gap, endpoint));
    }
    let model = models::pinned(tx, gap.revision)?;
    let has_own_key = models::sealed_key(tx, model.key)?.is_some();
    if !user.is_admin() && is_paid_by_operator(engine, &model.inference_uri, has_own_key)? {
        let message = format!("{} is paid by the operator: only an admin may retry this run", model.name);
        return Err(Error::Forbidden(message));
    }
    let endpoint = engine.limiter_key(tx, gap.revision)?;
    Ok((gap, endpoint))
}
