//! Runs that start by themselves: when, what they run, and what came of the last time.
//!
//! The page makes and pauses none.

use actix_web::web::Data;
use askama::Template;

use super::page::{self, Meta};
use super::{format, links};
use crate::domain::cron::Timetable;
use crate::domain::page::Page;
use crate::domain::runs::Trigger;
use crate::domain::schedules::{Firing, Outcome, Schedule};
use crate::http::{Answered, Reads, Site};
use crate::store::{self, Topic};

#[derive(Template)]
#[template(path = "schedules.html", whitespace = "minimize")]
struct SchedulesPage {
    meta: Meta,
    public_url: String,
    schedules: Vec<Entry>,
}

/// A schedule of the list.
struct Entry {
    id: String,
    name: String,
    /// In words.
    when: String,
    cron: String,
    /// None while it is paused.
    next: Option<String>,
    last: Option<Last>,
    /// The last run that it started.
    run: Option<String>,
    what: String,
    notes: String,
    by: String,
}

/// What came of the last time.
struct Last {
    at: String,
    word: &'static str,
    class: &'static str,
    message: String,
}

/// Answers `GET /schedules`.
pub(super) async fn list(reads: Reads, site: Data<Site>) -> Answered {
    let public_url = site.public_url.clone();
    reads
        .answer(&[Topic::Schedules], move |tx| {
            // There are never more than a page holds.
            let schedules = store::schedules::list(tx, Page::default())?.rows;
            page::view(&SchedulesPage {
                meta: Meta::new(
                    &public_url,
                    links::SCHEDULES,
                    "Scheduled runs",
                    "Runs that start by themselves: when, what they run, and what came of the last time.",
                ),
                schedules: schedules.into_iter().map(entry).collect(),
                public_url,
            })
        })
        .await
}

fn entry(schedule: Schedule) -> Entry {
    Entry {
        when: Timetable::in_words_of(&schedule.cron),
        cron: schedule.cron,
        next: schedule.next_at.map(|at| at.to_minute()),
        last: schedule.last.map(last),
        run: schedule.last_run.as_ref().map(links::run),
        what: what(&schedule.trigger),
        notes: schedule.trigger.settings.notes,
        by: schedule.submitted_by,
        name: schedule.name,
        id: schedule.id.into(),
    }
}

fn last(last: Firing) -> Last {
    let class = match last.outcome {
        Outcome::Started => "good",
        Outcome::Skipped => "part",
    };
    let message = last.message.unwrap_or_default();
    Last { at: last.at.to_minute(), word: last.outcome.as_str(), class, message }
}

/// What it runs: `All active models × 3 evals, what is missing only, $5.00 at most`.
fn what(trigger: &Trigger) -> String {
    let settings = &trigger.settings;
    let models = named(trigger.models.as_ref().map(Vec::len), "model");
    let evals = named(trigger.evals.as_ref().map(Vec::len), "eval");
    let parts = [
        Some(format!("{models} × {evals}")),
        trigger.only_missing.then(|| "only what is missing".to_owned()),
        settings.epochs.map(|epochs| format::counted(epochs.into(), "epoch")),
        settings.max_samples.map(|most| format!("{} each", format::counted(most.into(), "sample"))),
        settings.budget_usd.map(|budget| format!("{} at most", format::money(budget))),
        (!settings.on_board).then(|| "not for the board".to_owned()),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn named(count: Option<usize>, noun: &str) -> String {
    match count.and_then(|count| i64::try_from(count).ok()) {
        Some(count) => format::counted(count, noun),
        None => format!("all active {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::ModelId;

    #[test]
    fn what_it_runs_is_said_in_words() {
        let mut trigger = Trigger::of_model(ModelId::from("m".to_owned()));
        assert_eq!(what(&trigger), "1 model × all active evals");
        trigger.models = None;
        trigger.only_missing = true;
        trigger.settings.budget_usd = Some(5.0);
        trigger.settings.max_samples = Some(1);
        let words =
            "all active models × all active evals, only what is missing, 1 sample each, $5.00 at most";
        assert_eq!(what(&trigger), words);
    }
}
