//! A run: one trigger, its settings, its state. What it plans is the engine's.

use super::id::{
    EvalId, EvalKey, ModelId, ModelKey, PriceKey, RevisionKey, RunId, RunKey, ScheduleId, UserKey, VersionKey,
};
use super::sharing::LeftOut;
use super::time::Millis;
pub use super::waits::ModelWait;
use crate::error::{Error, Result};

/// Most cases that one run may have.
pub const MOST_CASES: i64 = 1_000_000;

/// Shortest and longest time after which a run may give a model up, in milliseconds: a second, and 30 days.
pub const GIVE_UP_AFTER_MS: std::ops::RangeInclusive<i64> = 1_000..=2_592_000_000;

/// Where a run stands. Derived from its cases, never set by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// Nothing was leased yet.
    Queued,
    /// Cases are being made.
    Running,
    /// Every case is recorded, and at least one could be measured.
    Completed,
    /// Every case is recorded, and none could be measured.
    Failed,
    /// A person stopped it, or its budget did.
    Cancelled,
}

impl RunState {
    /// The word in the tables and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of that word.
    ///
    /// # Errors
    /// `Internal`: only tables are read with this.
    pub fn parse(word: &str) -> Result<Self> {
        [Self::Queued, Self::Running, Self::Completed, Self::Failed, Self::Cancelled]
            .into_iter()
            .find(|state| state.as_str() == word)
            .ok_or_else(|| Error::internal(format!("unknown run state {word}")))
    }

    /// Whether cases may still come.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Queued | Self::Running)
    }
}

/// A stored run.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Table key.
    pub key: RunKey,
    /// Public id.
    pub id: RunId,
    /// Who triggered it.
    pub owner: UserKey,
    /// His e-mail address.
    pub triggered_by: String,
    /// What started it by itself; none when a person did.
    pub schedule: Option<(ScheduleId, String)>,
    /// Whether something that it asks is called with the operator's keys.
    pub on_operator: bool,
    /// Whether it was stopped by the cap of the person who started it: what it had not asked then can still be asked.
    pub is_capped: bool,
    /// Where it stands.
    pub state: RunState,
    /// When it was triggered.
    pub started_at: Millis,
    /// When its last case was recorded, or it was cancelled.
    pub completed_at: Option<Millis>,
    /// When the engine last did something for it.
    pub heartbeat_at: Option<Millis>,
    /// What went wrong, in words.
    pub error: Option<String>,
    /// Its settings.
    pub settings: Settings,
    /// Models planned.
    pub total_models: i64,
    /// Evals planned.
    pub total_evals: i64,
    /// Finished model x eval cells, those with errors included.
    pub completed_count: i64,
    /// Cases planned.
    pub case_total: i64,
    /// Of those, cases that will never be asked: it was stopped before, and opened again for its gaps.
    pub given_up: i64,
    /// Cases recorded.
    pub case_done: i64,
    /// Of those, cases that could not be measured.
    pub case_errors: i64,
    /// What it has cost so far in US dollars; none when any part is unknown.
    pub cost_usd: Option<f64>,
    /// Items that stand before its next ones in the queues of its endpoints; none when it is over.
    pub queue_position: Option<i64>,
    /// Models that it waits for; none when it is over.
    pub waits: Vec<ModelWait>,
    /// Since when its present rate is counted, and how many cases it had recorded by then; none before it began.
    pub pace: Option<(Millis, i64)>,
    /// The earlier run whose answers it scores again, asking no model; none for a run that asks.
    pub rescores: Option<RunId>,
    /// What it left out, since whoever started it may not run that.
    pub skipped: Vec<LeftOut>,
}

/// For how long the rate of a run of which nothing is heard is still believed, in milliseconds.
const RATE_LASTS: i64 = 60_000;

impl Run {
    /// How fast it goes, from what was recorded in about the last minute; none when that is nothing, or it is over.
    #[must_use]
    pub fn rate(&self, now: Millis) -> Option<Rate> {
        let (since, before) = self.pace.filter(|_| self.state.is_open())?;
        let last = self.heartbeat_at?;
        let rate = Rate { cases: self.case_done - before, time: last.0 - since.0 };
        (rate.cases > 0 && rate.time > 0 && now.0 - last.0 < RATE_LASTS).then_some(rate)
    }

    /// Milliseconds until the last case is recorded of the models that it does not wait for, if it goes on at its
    /// present rate; none while it waits for all that are left.
    #[must_use]
    pub fn eta_ms(&self, now: Millis) -> Option<i64> {
        let waiting: i64 = self.waits.iter().map(|wait| wait.cases).sum();
        let left = self.case_total - self.given_up - self.case_done - waiting;
        if waiting > 0 && left <= 0 {
            return None;
        }
        self.rate(now)?.time_for(left)
    }

    /// What went wrong, else what it waits for, in words.
    #[must_use]
    pub fn error_or_wait(&self) -> Option<String> {
        self.error.clone().or_else(|| self.waits.first().map(ModelWait::to_string))
    }

    /// Whether a retry asks the rest of its plan too: a cap stopped it, and it never gave anything up.
    #[must_use]
    pub const fn may_go_on(&self) -> bool {
        self.is_capped && self.given_up == 0
    }

    /// Why it may ask nothing more, in words: its budget is spent, or cannot be held any longer.
    #[must_use]
    pub fn overspent(&self) -> Option<String> {
        let budget = self.settings.budget_usd?;
        match self.cost_usd {
            None => Some(format!(
                "the budget of {} cannot be held any longer: what a case cost is not known",
                dollars(budget)
            )),
            Some(spent) if spent >= budget => Some(format!(
                "the budget of {} was reached: {} was spent, not counting calls that were broken off",
                dollars(budget),
                dollars(spent)
            )),
            Some(_) => None,
        }
    }
}

/// US dollars to the last millionth that says something, with cents at least.
pub(super) fn dollars(amount: f64) -> String {
    let text = format!("{amount:.6}");
    let short = text.trim_end_matches('0');
    let cents = text.len().saturating_sub(4);
    format!("${}", text.get(..short.len().max(cents)).unwrap_or(&text))
}

/// Cases that were recorded in some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    cases: i64,
    /// In milliseconds.
    time: i64,
}

impl Rate {
    /// Cases a minute, rounded.
    #[must_use]
    pub const fn a_minute(self) -> i64 {
        (self.cases.saturating_mul(60_000) + self.time / 2) / self.time
    }

    /// Milliseconds for so many cases.
    fn time_for(self, cases: i64) -> Option<i64> {
        cases.checked_mul(self.time)?.checked_div(self.cases)
    }
}

/// How a run differs from the plain one.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// A remark, at most 1,000 characters.
    pub notes: String,
    /// Whether its complete cells may move the board.
    pub on_board: bool,
    /// Epochs instead of the evals' own; such a run never moves the board.
    pub epochs: Option<u32>,
    /// Only the first so many samples of each eval; such a run never moves the board.
    pub max_samples: Option<u32>,
    /// US dollars, above 0, after which it stops.
    pub budget_usd: Option<f64>,
    /// For how long it waits for a model without any progress before it gives the model up, in milliseconds; none is
    /// the operator's setting.
    pub give_up_after_ms: Option<i64>,
}

impl Settings {
    /// Whether a complete cell of this run is comparable with those of other runs.
    #[must_use]
    pub const fn moves_board(&self) -> bool {
        self.on_board && self.epochs.is_none() && self.max_samples.is_none()
    }
}

/// What is to be run. Nothing named is everything that is active.
#[derive(Debug, Clone, PartialEq)]
pub struct Trigger {
    /// Only these models.
    pub models: Option<Vec<ModelId>>,
    /// Only these evals.
    pub evals: Option<Vec<EvalId>>,
    /// Only cells that have no current complete result.
    pub only_missing: bool,
    /// The rest.
    pub settings: Settings,
}

impl Trigger {
    /// One model over everything that is active.
    #[must_use]
    pub fn of_model(id: ModelId) -> Self {
        let settings = Settings {
            notes: String::new(),
            on_board: true,
            epochs: None,
            max_samples: None,
            budget_usd: None,
            give_up_after_ms: None,
        };
        Self { models: Some(vec![id]), evals: None, only_missing: false, settings }
    }
}

/// One model x eval of a plan, pinned to what both were when the run was triggered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// The model.
    pub model: ModelKey,
    /// Its revision.
    pub revision: RevisionKey,
    /// Its prices.
    pub price: PriceKey,
    /// The eval.
    pub eval: EvalKey,
    /// Its version.
    pub version: VersionKey,
    /// Whom the limiter counts the calls against.
    pub endpoint: String,
    /// Samples to ask.
    pub samples: i64,
    /// How often each.
    pub epochs: i64,
}

impl Cell {
    /// Cases in this cell.
    #[must_use]
    pub const fn cases(&self) -> i64 {
        self.samples.saturating_mul(self.epochs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(state: RunState, done: i64, heartbeat: i64) -> Run {
        Run {
            key: RunKey(1),
            id: RunId::from("r".to_owned()),
            owner: UserKey(1),
            triggered_by: String::new(),
            schedule: None,
            on_operator: false,
            is_capped: false,
            state,
            started_at: Millis(0),
            completed_at: None,
            heartbeat_at: Some(Millis(heartbeat)),
            error: None,
            settings: Settings {
                notes: String::new(),
                on_board: true,
                epochs: None,
                max_samples: None,
                budget_usd: Some(0.5),
                give_up_after_ms: None,
            },
            total_models: 1,
            total_evals: 1,
            completed_count: 0,
            case_total: 110,
            given_up: 10,
            case_done: done,
            case_errors: 0,
            cost_usd: Some(0.25),
            queue_position: None,
            waits: Vec::new(),
            pace: Some((Millis(10_000), 20)),
            rescores: None,
            skipped: Vec::new(),
        }
    }

    #[test]
    fn what_is_left_takes_as_long_as_the_last_minute_says() {
        let going = run(RunState::Running, 28, 50_000);
        assert_eq!(going.rate(Millis(50_000)).map(Rate::a_minute), Some(12));
        assert_eq!(going.eta_ms(Millis(60_000)), Some(360_000));
        assert_eq!(going.eta_ms(Millis(110_000)), None, "nothing was heard for a minute");
        assert_eq!(run(RunState::Running, 20, 50_000).eta_ms(Millis(50_000)), None, "nothing was recorded");
        assert_eq!(run(RunState::Cancelled, 28, 50_000).eta_ms(Millis(50_000)), None);
    }

    #[test]
    fn only_models_that_progress_have_an_eta() {
        let mut run = run(RunState::Running, 28, 50_000);
        let wait = |cases| ModelWait {
            model: ModelId::from("m".to_owned()),
            model_name: "slow".to_owned(),
            host: "a.test".to_owned(),
            cases,
            reason: "a.test answered 429".to_owned(),
            next_try_at: Millis(3_661_000),
            gives_up_at: Millis(7_322_000),
        };
        run.waits = vec![wait(36)];
        assert_eq!(run.eta_ms(Millis(60_000)), Some(180_000), "half of the cases wait");
        run.waits.push(wait(36));
        assert_eq!(run.eta_ms(Millis(60_000)), None, "everything waits");
        let said = "waiting for a.test (model slow): a.test answered 429; next try 01:01:01 UTC; gives up at 02:02:02 UTC";
        assert_eq!(run.error_or_wait().as_deref(), Some(said));
    }

    #[test]
    fn a_budget_is_spent_when_it_is_reached_or_the_cost_is_unknown() {
        let mut run = run(RunState::Running, 28, 50_000);
        assert_eq!(run.overspent(), None);
        run.cost_usd = Some(0.500_123);
        let said = run.overspent().unwrap();
        assert!(said.contains("$0.50 was reached: $0.500123 was spent"), "{said}");
        run.cost_usd = None;
        assert!(run.overspent().unwrap().contains("not known"));
        run.settings.budget_usd = None;
        assert_eq!(run.overspent(), None);
    }
}
