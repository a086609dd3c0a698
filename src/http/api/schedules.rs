//! Schedules: runs that start by themselves. Anybody reads them; admins make, pause and delete them.

use actix_web::web::Data;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::runs::NewRun;
use super::wire::{Done, IdParam, PageParams};
use crate::app::App;
use crate::domain::cron::Timetable;
use crate::domain::id::ScheduleId;
use crate::domain::runs::Trigger;
use crate::domain::schedules as domain;
use crate::error::{Error, Result};
use crate::http::{Admin, Answered, ApiError, Id, JsonBody, Paging, Reads, Require, View};
use crate::service::once::Answer;
use crate::service::schedules::{self as service, Draft, Edit};
use crate::store::{self, Topic, Tx};

/// A run that starts by itself, again and again.
#[derive(Serialize, ToSchema)]
pub struct Schedule {
    id: String,
    name: String,
    /// When, as cron has it: minute, hour, day of the month, month, day of the week, in UTC.
    cron: String,
    /// The same in words.
    when: String,
    /// What it runs: the body of `POST /api/v1/runs`.
    run: NewRun,
    /// Whether it fires; one that does not is paused.
    is_active: bool,
    /// When it fires next; null while it is paused.
    next_at: Option<i64>,
    /// When it fired last.
    last_at: Option<i64>,
    /// What came of that: started or skipped.
    last_outcome: Option<&'static str>,
    /// Why it was skipped, or what else there is to say of it.
    last_message: Option<String>,
    /// The last run that it started.
    last_run_id: Option<String>,
    /// The owner's e-mail address: the runs are his.
    submitted_by: String,
    created_at: i64,
    updated_at: i64,
}

impl From<domain::Schedule> for Schedule {
    fn from(schedule: domain::Schedule) -> Self {
        let (at, outcome, message) = match schedule.last {
            Some(last) => (Some(last.at.0), Some(last.outcome.as_str()), last.message),
            None => (None, None, None),
        };
        Self {
            id: schedule.id.into(),
            name: schedule.name,
            when: Timetable::in_words_of(&schedule.cron),
            cron: schedule.cron,
            run: schedule.trigger.into(),
            is_active: schedule.next_at.is_some(),
            next_at: schedule.next_at.map(|at| at.0),
            last_at: at,
            last_outcome: outcome,
            last_message: message,
            last_run_id: schedule.last_run.map(String::from),
            submitted_by: schedule.submitted_by,
            created_at: schedule.created_at.0,
            updated_at: schedule.updated_at.0,
        }
    }
}

/// A schedule to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSchedule {
    /// 1-100 characters; may repeat.
    #[schema(example = "Nightly")]
    name: String,
    /// Five fields in UTC (minute, hour, day of the month, month, day of the week), with names, lists, ranges and
    /// steps; or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`.
    #[schema(example = "0 3 * * *")]
    cron: String,
    /// What it runs, as in `POST /api/v1/runs`; everything that is active at that time unless said otherwise.
    #[schema(example = json!({"only_missing": true}))]
    run: Option<NewRun>,
    /// False makes it paused; true unless said otherwise.
    is_active: Option<bool>,
}

/// What is to be changed of a schedule. What is not named stays; `run` is replaced as a whole.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleEdit {
    name: Option<String>,
    cron: Option<String>,
    run: Option<NewRun>,
    /// False pauses it; true lets it go on, at the next of its moments.
    is_active: Option<bool>,
}

fn trigger(run: NewRun) -> Result<Trigger> {
    if run.is_dry() {
        let message =
            "run.dry_run: a schedule starts runs; POST /api/v1/runs with dry_run says what one would do";
        return Err(Error::invalid("run.dry_run", message));
    }
    Ok(run.trigger())
}

/// Lists schedules, newest first.
#[utoipa::path(get, path = "/api/v1/schedules", tag = "Schedules", params(PageParams), responses((status = 200, description = "A page of the list", body = [Schedule])))]
pub async fn list(reads: Reads<Paging>) -> Answered {
    let page = reads.page()?;
    let view = move |tx: &mut Tx<'_>| View::list(store::schedules::list(tx, page)?.map(Schedule::from));
    reads.answer(&[Topic::Schedules], view).await
}

/// One schedule.
#[utoipa::path(get, path = "/api/v1/schedules/{id}", tag = "Schedules", params(IdParam), responses((status = 200, description = "As it is now", body = Schedule)))]
pub async fn get(Id(id): Id<ScheduleId>, reads: Reads) -> Answered {
    let view = move |tx: &mut Tx<'_>| View::json(&Schedule::from(store::schedules::get(tx, &id)?));
    reads.answer(&[Topic::Schedules], view).await
}

/// Makes a schedule: runs that start by themselves at the moments of a cron expression, in UTC. Its runs are its
/// owner's, who has to be an admin when it fires. It fires once for each moment, and once for all that it missed while
/// the server was not running; while a run of it is going on it is skipped, and says so. Admins.
#[utoipa::path(post, path = "/api/v1/schedules", tag = "Schedules", request_body = NewSchedule, security(("key" = [])), responses((status = 201, description = "It was made", body = Schedule)))]
pub async fn create(
    user: Require<Admin>,
    app: Data<App>,
    body: JsonBody<NewSchedule>,
) -> Result<Answer, ApiError> {
    let (new, once) = body.split(&user);
    let draft = Draft {
        name: new.name,
        cron: new.cron,
        trigger: trigger(new.run.unwrap_or_default())?,
        is_active: new.is_active.unwrap_or(true),
    };
    Ok(service::create(&app, user.into_user(), draft, once, created).await?)
}

fn created(schedule: &domain::Schedule) -> Result<Answer> {
    Answer::created(format!("/api/v1/schedules/{}", schedule.id), &Schedule::from(schedule.clone()))
}

/// Changes a schedule, pauses it or lets it go on. Runs that it started go on as they are. Admins.
#[utoipa::path(patch, path = "/api/v1/schedules/{id}", tag = "Schedules", params(IdParam), request_body(content = ScheduleEdit, example = json!({"is_active": false})), security(("key" = [])), responses((status = 200, description = "As it is now", body = Schedule)))]
pub async fn patch(
    user: Require<Admin>,
    Id(id): Id<ScheduleId>,
    app: Data<App>,
    body: JsonBody<ScheduleEdit>,
) -> Result<Answer, ApiError> {
    let edit = body.into_inner();
    let edit = Edit {
        name: edit.name,
        cron: edit.cron,
        trigger: edit.run.map(trigger).transpose()?,
        is_active: edit.is_active,
    };
    let schedule = service::update(&app, user.into_user(), id, edit).await?;
    Ok(Answer::ok(&Schedule::from(schedule))?)
}

/// Deletes a schedule. The runs it started stay. Admins.
#[utoipa::path(delete, path = "/api/v1/schedules/{id}", tag = "Schedules", params(IdParam), security(("key" = [])), responses((status = 200, description = "It is gone", body = Done)))]
pub async fn delete(
    _user: Require<Admin>,
    Id(id): Id<ScheduleId>,
    app: Data<App>,
) -> Result<Answer, ApiError> {
    service::delete(&app, id).await?;
    Ok(Answer::ok(&Done::DONE)?)
}
