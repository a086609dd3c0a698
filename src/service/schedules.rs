//! Schedules: making and changing them, and firing those that are due.
//!
//! A firing is one transaction: the run with its plan, and that the schedule has fired. So it happens once, whatever
//! becomes of this process; and one that was missed, however often, happens once when somebody looks again.

use std::sync::Arc;
use std::time::Duration;

use crate::app::App;
use crate::config::Config;
use crate::domain::cron::Timetable;
use crate::domain::id::{RunId, ScheduleId, ScheduleKey};
use crate::domain::runs::Trigger;
use crate::domain::schedules::{Firing, MOST_SCHEDULES, Outcome, Schedule};
use crate::domain::text;
use crate::domain::time::Millis;
use crate::domain::users::User;
use crate::engine::Engine;
use crate::error::{Error, Result, explain};
use crate::service::once::{Answer, Once};
use crate::service::runs::{Planner, check};
use crate::store::schedules::{self, Card};
use crate::store::{Tx, users};

/// How often to look for schedules that are due. Each time is one look at an index.
const LOOK: Duration = Duration::from_secs(1);
/// From then on what is known of a schedule shows that the clock was ahead, in milliseconds.
const CLOCK_AHEAD: i64 = 24 * 60 * 60 * 1_000;
/// How long to wait after a failure of our own.
const AFTER_ERROR: Duration = Duration::from_secs(5);
/// How late a firing may be before it is said, in milliseconds.
const LATE: i64 = 60_000;

/// A schedule to be made.
#[derive(Debug, Clone)]
pub struct Draft {
    /// What people call it.
    pub name: String,
    /// When, as cron has it.
    pub cron: String,
    /// What it runs.
    pub trigger: Trigger,
    /// Whether it fires.
    pub is_active: bool,
}

/// What is to be changed of a schedule; what is not given stays.
#[derive(Debug, Clone, Default)]
pub struct Edit {
    /// Another name.
    pub name: Option<String>,
    /// Other moments.
    pub cron: Option<String>,
    /// Something else to run.
    pub trigger: Option<Trigger>,
    /// Whether it fires: false pauses it, true lets it go on.
    pub is_active: Option<bool>,
}

/// Makes a schedule.
///
/// # Errors
/// `Invalid` naming the field; `Conflict` when there are too many.
pub async fn create(
    app: &App,
    user: User,
    draft: Draft,
    once: Once,
    render: fn(&Schedule) -> Result<Answer>,
) -> Result<Answer> {
    let name = text::name(&draft.name, "name")?;
    let (cron, next_at) = timetable(draft.cron).await?;
    let trigger = checked(draft.trigger)?;
    let rehearsal = Planner::new(app, user.clone(), trigger.clone());
    let next_at = next_at.filter(|_| draft.is_active);
    let (id, now) = (ScheduleId::fresh(), Millis::now());
    let insert = move |tx: &mut Tx<'_>| {
        if schedules::count(tx)? >= MOST_SCHEDULES {
            let message =
                format!("there are {MOST_SCHEDULES} schedules, which is the most: delete one first");
            return Err(Error::Conflict { code: "too_many_schedules", message });
        }
        rehearsal.rehearse(tx)?;
        let card = Card { name: &name, cron: &cron, trigger: &trigger, next_at };
        schedules::insert(tx, &id, user.key, &card, now)?;
        schedules::get(tx, &id)
    };
    app.store.write(move |tx| once.run(tx, now, &insert, render)).await
}

/// Changes a schedule. One whose moments change, or that goes on, fires at the next of them from now on.
///
/// # Errors
/// `NotFound`; `Invalid` naming the field.
pub async fn update(app: &App, user: User, id: ScheduleId, edit: Edit) -> Result<Schedule> {
    let name = edit.name.map(|name| text::name(&name, "name")).transpose()?;
    let trigger = edit.trigger.map(checked).transpose()?;
    let rehearsal = trigger.clone().map(|trigger| Planner::new(app, user, trigger));
    let present = {
        let id = id.clone();
        app.store.read(move |tx| schedules::get(tx, &id)).await?
    };
    let moves = edit.cron.is_some() || edit.is_active == Some(true);
    let (cron, upcoming) = timetable(edit.cron.unwrap_or(present.cron)).await?;
    let now = Millis::now();
    app.store
        .write(move |tx| {
            if let Some(rehearsal) = &rehearsal {
                rehearsal.rehearse(tx)?;
            }
            let present = schedules::get(tx, &id)?;
            let is_active = edit.is_active.unwrap_or(present.next_at.is_some());
            let next_at = if moves { upcoming } else { present.next_at };
            let card = Card {
                name: name.as_ref().unwrap_or(&present.name),
                cron: if moves { &cron } else { &present.cron },
                trigger: trigger.as_ref().unwrap_or(&present.trigger),
                next_at: next_at.filter(|_| is_active),
            };
            schedules::update(tx, present.key, &card, now)?;
            schedules::get(tx, &id)
        })
        .await
}

/// Deletes a schedule. The runs it started stay, and go on.
///
/// # Errors
/// `NotFound`.
pub async fn delete(app: &App, id: ScheduleId) -> Result<()> {
    let now = Millis::now();
    app.store
        .write(move |tx| {
            let schedule = schedules::get(tx, &id)?;
            schedules::delete(tx, schedule.key, now)
        })
        .await
}

/// Fires what is due, without end.
pub async fn keep(app: Arc<App>) {
    loop {
        if !app.store.is_writable() {
            tokio::time::sleep(AFTER_ERROR).await;
            continue;
        }
        let pause = match fire_due(&app, Millis::now()).await {
            Ok(()) => LOOK,
            Err(cause) => {
                tracing::error!(error = %explain(&cause), "schedules could not be fired");
                AFTER_ERROR
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// Fires each schedule that is due at `now`, once.
///
/// # Errors
/// The store's; what is due then stays due.
pub async fn fire_due(app: &App, now: Millis) -> Result<()> {
    reckon_again(app, now).await?;
    for key in app.store.read(move |tx| schedules::due(tx, now)).await? {
        fire(app, key, now).await?;
    }
    Ok(())
}

/// Brings schedules back that a clock which was far ahead has put off: they would wait until it is that late again. After a
/// small step their next time stays, so that none comes twice.
async fn reckon_again(app: &App, now: Millis) -> Result<()> {
    for schedule in app.store.read(move |tx| schedules::reckoned_after(tx, now.plus(CLOCK_AHEAD))).await? {
        let next = upcoming(&schedule, now)?;
        if next != schedule.next_at {
            app.store.write(move |tx| schedules::set_next(tx, schedule.key, next)).await?;
        }
    }
    Ok(())
}

async fn fire(app: &App, key: ScheduleKey, now: Millis) -> Result<()> {
    let firing =
        Firer { config: app.config.clone(), engine: app.engine.clone(), key, run: RunId::fresh(), now };
    match app.store.write(move |tx| firing.fire(tx)).await {
        Ok(()) => app.engine.wake(),
        // What refuses the run has undone the whole transaction; that it was refused is another one.
        Err(cause) => {
            let why = reason(cause)?;
            app.store.write(move |tx| skip(tx, key, &why, now)).await?;
        }
    }
    Ok(())
}

/// What a firing needs.
struct Firer {
    config: Config,
    engine: Engine,
    key: ScheduleKey,
    /// The run, should one be started.
    run: RunId,
    now: Millis,
}

impl Firer {
    fn fire(&self, tx: &mut Tx<'_>) -> Result<()> {
        // It may have been fired, paused or deleted since it was found due.
        let Some(schedule) = schedules::if_due(tx, self.key, self.now)? else { return Ok(()) };
        if let Some(open) = schedules::open_run(tx, self.key)? {
            return skip(tx, self.key, &format!("the run before it ({open}) is still going on"), self.now);
        }
        let (owner, is_enabled) = users::get(tx, schedule.owner)?;
        if !(owner.is_admin() && is_enabled) {
            let message = "its owner is no admin any more: an admin has to make it anew";
            return Err(Error::Forbidden(message.to_owned()));
        }
        let trigger = schedule.trigger.clone();
        let planner = Planner::of(self.config.clone(), self.engine.clone(), owner, trigger);
        let run = planner.store(tx, &self.run, self.now)?;
        let firing =
            Firing { at: self.now, outcome: Outcome::Started, message: lateness(&schedule, self.now) };
        schedules::note(tx, self.key, &firing, Some(run.key), upcoming(&schedule, self.now)?)
    }
}

/// Notes that a time went by without a run, if it is still due.
fn skip(tx: &mut Tx<'_>, key: ScheduleKey, why: &str, now: Millis) -> Result<()> {
    let Some(schedule) = schedules::if_due(tx, key, now)? else { return Ok(()) };
    let firing = Firing { at: now, outcome: Outcome::Skipped, message: Some(why.to_owned()) };
    schedules::note(tx, key, &firing, None, upcoming(&schedule, now)?)
}

/// Why a run was refused, in words; what may work in a moment is an error still.
fn reason(cause: Error) -> Result<String> {
    match cause {
        Error::Full | Error::Unavailable(_) => Err(cause),
        Error::Internal(_) => {
            tracing::error!(error = %explain(&cause), "a schedule could not start its run");
            Ok("an error of the server: its log says more".to_owned())
        }
        refused => Ok(refused.to_string()),
    }
}

/// What to say of a firing that comes too late, since nobody looked when it was due.
fn lateness(schedule: &Schedule, now: Millis) -> Option<String> {
    let due = schedule.next_at.filter(|due| now.0.saturating_sub(due.0) > LATE)?;
    Some(format!("late: it was due at {}, when the server was not running", due.to_minute()))
}

/// When a stored schedule is due after `now`.
fn upcoming(schedule: &Schedule, now: Millis) -> Result<Option<Millis>> {
    Ok(Timetable::parse(&schedule.cron, "cron")?.next_after(now))
}

/// An expression as it is stored, and the next moment of it. A search for one that never comes takes long enough to
/// be in nobody's way.
async fn timetable(cron: String) -> Result<(String, Option<Millis>)> {
    let search = move || {
        let table = Timetable::parse(&cron, "cron")?;
        let Some(next) = table.next_after(Millis::now()) else {
            let message = format!(
                "cron: {} never comes (as 30 February never does); a good one is \"0 3 * * *\" (every day at 03:00 UTC)",
                table.as_str()
            );
            return Err(Error::invalid("cron", message));
        };
        Ok((table.as_str().to_owned(), Some(next)))
    };
    tokio::task::spawn_blocking(search).await.map_err(Error::internal)?
}

fn checked(trigger: Trigger) -> Result<Trigger> {
    let settings = check(trigger.settings).map_err(within_run)?;
    Ok(Trigger { settings, ..trigger })
}

/// A field of the run that is to be started is a field of `run` here.
fn within_run(cause: Error) -> Error {
    match cause {
        Error::Invalid { field: Some(field), message } => Error::invalid(format!("run.{field}"), message),
        other => other,
    }
}

impl Planner {
    /// Refuses what could not be run now because it names what is not there, or has no price for its budget. That
    /// there may be nothing to run is no fault: there may be when it is due.
    fn rehearse(&self, tx: &mut Tx<'_>) -> Result<()> {
        let models =
            self.trigger.models.is_some().then(|| self.models(tx)).transpose().map_err(within_run)?;
        let evals = self.trigger.evals.is_some().then(|| self.evals(tx)).transpose().map_err(within_run)?;
        let versions = evals.iter().flatten().map(|eval| &eval.version);
        self.require_prices(tx, &models.unwrap_or_default(), versions).map_err(within_run)
    }
}
