//! What a gate knows: places, breakers and limits of an endpoint and of each of its models. Every change is made
//! under its lock.

use std::collections::{BTreeSet, HashMap, VecDeque};

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::shares::{self, Part};
use super::{GateStatus, GateTiming};
use crate::egress::Fault;
use crate::engine::circuit_breaker::{Admission, CircuitBreaker, Open};
use crate::engine::concurrency_limit::{Bounds, ConcurrencyLimit};
use crate::engine::provider::{Failure, Retry};

/// Models without a connection that it takes to call an endpoint down: one alone has its own breaker.
const MIN_MODELS_DOWN: usize = 2;

/// Which breakers a call tries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Trial {
    pub(super) endpoint: bool,
    pub(super) model: bool,
}

/// The outcome of asking for a place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Admitted(Trial),
    Refused(Open),
    /// No place is free for this model, or it is another's turn to try.
    Full,
}

/// How a failed call reflects on its endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// The endpoint was connected to, whatever came of it.
    Reached,
    /// No connection could be made.
    NotReached,
    /// Nothing was sent.
    NotCalled,
}

impl Reach {
    fn of(failure: &Failure) -> Self {
        let no_connection = [Fault::Unreachable.code(), Fault::Tls.code()];
        match failure {
            Failure { status: Some(_), .. } => Self::Reached,
            Failure { code, .. } if no_connection.contains(code) => Self::NotReached,
            Failure { code, .. } if *code == Fault::NotAllowed.code() => Self::NotCalled,
            // A key is missing, or a built-in model fails on purpose.
            Failure { retry: Retry::Never, code: "provider_auth" | "provider_unavailable", .. } => {
                Self::NotCalled
            }
            _ => Self::Reached,
        }
    }
}

pub(super) struct State {
    timing: GateTiming,
    limit: ConcurrencyLimit,
    breaker: CircuitBreaker,
    /// Models that could not connect since the endpoint was last reached.
    unconnected: BTreeSet<usize>,
    /// The model that made the last trial call of the endpoint's breaker.
    last_trial: usize,
    models: Vec<Model>,
    names: HashMap<String, usize>,
    /// Callers in line, of all models; those that left meanwhile are counted until their turn.
    in_line: usize,
}

/// One model at the endpoint.
struct Model {
    limit: ConcurrencyLimit,
    breaker: CircuitBreaker,
    in_flight: u32,
    demand: u32,
    last_refusal: Option<Instant>,
    /// Whether its last call was answered.
    is_answered: bool,
    line: VecDeque<oneshot::Sender<Result<Trial, Open>>>,
}

impl State {
    pub(super) fn new(bounds: Bounds, timing: GateTiming) -> Self {
        Self {
            timing,
            limit: ConcurrencyLimit::new(bounds, timing.cut_interval),
            breaker: CircuitBreaker::new(timing.cooldown),
            unconnected: BTreeSet::new(),
            last_trial: 0,
            models: Vec::new(),
            names: HashMap::new(),
            in_line: 0,
        }
    }

    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }

    pub(super) fn model(&mut self, name: &str, bounds: Bounds) -> usize {
        if let Some(at) = self.find(name) {
            return at;
        }
        self.models.push(Model {
            limit: ConcurrencyLimit::new(bounds, self.timing.cut_interval),
            breaker: CircuitBreaker::new(self.timing.cooldown),
            in_flight: 0,
            demand: 0,
            last_refusal: None,
            is_answered: false,
            line: VecDeque::new(),
        });
        let at = self.models.len() - 1;
        self.names.insert(name.to_owned(), at);
        at
    }

    pub(super) fn rebind(&mut self, bounds: Bounds) {
        self.limit.rebind(bounds);
    }

    pub(super) fn rebind_model(&mut self, model: usize, bounds: Bounds) {
        if let Some(model) = self.models.get_mut(model) {
            model.limit.rebind(bounds);
        }
    }

    pub(super) fn add_demand(&mut self, model: usize) {
        if let Some(model) = self.models.get_mut(model) {
            model.demand += 1;
        }
    }

    pub(super) fn remove_demand(&mut self, model: usize) {
        if let Some(model) = self.models.get_mut(model) {
            model.demand = model.demand.saturating_sub(1);
        }
    }

    pub(super) fn wait_in_line(&mut self, model: usize, caller: oneshot::Sender<Result<Trial, Open>>) {
        if let Some(model) = self.models.get_mut(model) {
            model.line.push_back(caller);
            self.in_line += 1;
        }
    }

    /// Asks for a place for a call of `model`, and takes it where there is one.
    pub(super) fn enter(&mut self, model: usize, now: Instant) -> Entry {
        let trial = match self.admission(model, now) {
            Ok(trial) => trial,
            Err(open) => return Entry::Refused(open),
        };
        if (trial.endpoint && self.next_to_try(model, now) != Some(model)) || !self.has_room(model, trial) {
            return Entry::Full;
        }
        let Some(entered) = self.models.get_mut(model) else { return Entry::Full };
        entered.in_flight += 1;
        if trial.model {
            entered.breaker.begin_trial();
        }
        if trial.endpoint {
            self.breaker.begin_trial();
            self.last_trial = model;
        }
        Entry::Admitted(trial)
    }

    fn admission(&self, model: usize, now: Instant) -> Result<Trial, Open> {
        let is_trial = |breaker: &CircuitBreaker| match breaker.admission(now) {
            Admission::Closed => Ok(false),
            Admission::HalfOpen => Ok(true),
            Admission::Open(open) => Err(open),
        };
        let own = self.models.get(model).map(|model| is_trial(&model.breaker));
        Ok(Trial { endpoint: is_trial(&self.breaker)?, model: own.transpose()?.unwrap_or(false) })
    }

    /// Returns the model whose turn it is to try the endpoint: the next behind the last one that
    /// wants to call, as `asking` does.
    fn next_to_try(&self, asking: usize, now: Instant) -> Option<usize> {
        let wants = |at: &usize| {
            self.models.get(*at).is_some_and(|model| {
                let is_wanted = *at == asking || model.demand > 0 || !model.line.is_empty();
                is_wanted && model.breaker.wait(now).is_none()
            })
        };
        let mut behind = self.last_trial + 1..self.models.len();
        behind.find(&wants).or_else(|| (0..=self.last_trial).find(&wants))
    }

    fn has_room(&self, at: usize, trial: Trial) -> bool {
        let Some(model) = self.models.get(at) else { return false };
        // A trial need not wait for calls that hang, unless the model names its limit.
        let may_exceed = trial.model && !model.limit.is_explicit();
        if !may_exceed && model.in_flight >= model.limit.present() {
            return false;
        }
        // One model that is called alone, as most are, needs no reckoning.
        if let [only] = self.models.as_slice() {
            return may_exceed || only.in_flight < self.limit.present();
        }
        shares::has_room(self.limit.present(), &self.parts(), at)
    }

    fn parts(&self) -> Vec<Part> {
        let part = |model: &Model| {
            let in_line = u32::try_from(model.line.len()).unwrap_or(u32::MAX);
            let demand = model.demand.max(model.in_flight.saturating_add(in_line));
            Part {
                in_flight: model.in_flight,
                demand: if model.breaker.open().is_some() { 0 } else { demand },
            }
        };
        self.models.iter().map(part).collect()
    }

    /// Returns how many calls of a model may be under way at once, 1 or more.
    pub(super) fn target(&self, at: usize) -> u32 {
        let own = self.models.get(at).map_or(1, |model| model.limit.present());
        own.min(shares::entitled(self.limit.present(), &self.parts(), at)).max(1)
    }

    pub(super) fn status(&self, at: usize, now: Instant) -> GateStatus {
        let own = self.models.get(at).and_then(|model| model.breaker.open());
        let open = self.breaker.open().or(own).cloned();
        let may_try = open.is_some() && self.wait(at, now).is_none();
        GateStatus { limit: self.target(at), may_try, open }
    }

    pub(super) fn wait(&self, at: usize, now: Instant) -> Option<Open> {
        self.breaker.wait(now).or_else(|| self.models.get(at)?.breaker.wait(now))
    }

    pub(super) fn expire_wait(&mut self, at: usize, now: Instant) {
        if let Some(model) = self.models.get_mut(at) {
            model.breaker.expire_wait(now);
        }
    }

    /// Frees a place. A trial whose outcome was not reported leaves its place to another.
    pub(super) fn leave(&mut self, at: usize, trial: Trial, is_reported: bool) {
        if let Some(model) = self.models.get_mut(at) {
            model.in_flight = model.in_flight.saturating_sub(1);
            if trial.model && !is_reported {
                model.breaker.abandon_trial();
            }
        }
        if trial.endpoint && !is_reported {
            self.breaker.abandon_trial();
        }
    }

    /// Adjusts limits and breakers to a call that was answered.
    pub(super) fn record_answer(&mut self, at: usize, now: Instant) {
        self.record_reached();
        let in_flight = self.models.iter().map(|model| model.in_flight).sum();
        self.limit.answered(in_flight, now);
        if let Some(model) = self.models.get_mut(at) {
            model.limit.answered(model.in_flight, now);
            model.breaker.close();
            model.last_refusal = None;
            model.is_answered = true;
        }
    }

    fn record_reached(&mut self) {
        self.unconnected.clear();
        self.breaker.close();
    }

    /// Adjusts limits and breakers to a call that failed.
    pub(super) fn record_failure(&mut self, at: usize, trial: Trial, failure: &Failure, now: Instant) {
        match Reach::of(failure) {
            Reach::NotCalled => {
                if let Some(model) = self.models.get_mut(at).filter(|_| trial.model) {
                    model.breaker.abandon_trial();
                }
                if trial.endpoint {
                    self.breaker.abandon_trial();
                }
            }
            Reach::NotReached => self.record_no_connection(at, &failure.message, now),
            Reach::Reached => {
                self.record_reached();
                self.record_bad_answer(at, trial, failure, now);
            }
        }
    }

    /// Counts a call that found no connection against the endpoint, and against the model while the endpoint's own
    /// breaker is closed.
    fn record_no_connection(&mut self, at: usize, reason: &str, now: Instant) {
        self.unconnected.insert(at);
        self.breaker.record_failure(now, reason, self.unconnected.len() >= MIN_MODELS_DOWN);
        let is_down = self.breaker.open().is_some();
        for (index, model) in self.models.iter_mut().enumerate() {
            if is_down && self.unconnected.contains(&index) {
                model.breaker.close();
            } else if index == at {
                model.limit.failed();
                model.breaker.record_failure(now, reason, true);
            }
        }
    }

    fn record_bad_answer(&mut self, at: usize, trial: Trial, failure: &Failure, now: Instant) {
        let is_shared = self.is_shared_sign(at, now);
        let Some(model) = self.models.get_mut(at) else { return };
        model.is_answered = false;
        match failure.retry {
            Retry::Later { after, counts: false } => {
                model.last_refusal = Some(now);
                model.breaker.record_refusal(now, after.map(|after| now + after), &failure.message);
                // A trial asks for the quota, and is no sign of too many calls at once.
                if !trial.model {
                    model.limit.refused(now);
                    if is_shared {
                        self.limit.refused(now);
                    }
                }
            }
            Retry::Later { counts: true, .. } => {
                model.limit.failed();
                model.breaker.record_failure(now, &failure.message, true);
                if is_shared {
                    self.limit.failed();
                }
            }
            // It answered that this call makes no sense: it is there.
            Retry::Never => model.breaker.close(),
        }
    }

    /// Returns whether trouble with a model says something of the whole endpoint: no other model is called there, or
    /// another was refused lately as well and the last call of none that is called was answered. Two limited models
    /// must not cut the places of a healthy third.
    fn is_shared_sign(&self, at: usize, now: Instant) -> bool {
        let is_recent = |refusal: Instant| now.saturating_duration_since(refusal) < self.timing.cut_interval;
        let (mut is_alone, mut has_refused) = (true, false);
        for (_, model) in self.models.iter().enumerate().filter(|(index, _)| *index != at) {
            let is_called = model.demand > 0 || model.in_flight > 0;
            if is_called && model.is_answered {
                return false;
            }
            is_alone &= !is_called;
            has_refused |= model.last_refusal.is_some_and(is_recent);
        }
        is_alone || has_refused
    }

    /// Hands free places to callers in line: the model with the fewest calls under way comes first.
    pub(super) fn pump(&mut self, now: Instant) {
        while self.in_line > 0 && self.serve_one(now) {}
    }

    fn serve_one(&mut self, now: Instant) -> bool {
        let waiting = self.models.iter().enumerate().filter(|(_, model)| !model.line.is_empty());
        let mut order: Vec<(u32, usize)> = waiting.map(|(at, model)| (model.in_flight, at)).collect();
        order.sort_unstable();
        order.into_iter().any(|(_, at)| self.serve(at, now))
    }

    /// Serves the first caller in a model's line; returns whether there was anything to do.
    fn serve(&mut self, at: usize, now: Instant) -> bool {
        let Some(model) = self.models.get_mut(at) else { return false };
        while model.line.front().is_some_and(oneshot::Sender::is_closed) {
            model.line.pop_front();
            self.in_line = self.in_line.saturating_sub(1);
        }
        if model.line.is_empty() {
            return false;
        }
        let (handed, trial) = match self.enter(at, now) {
            Entry::Full => return false,
            Entry::Admitted(trial) => (Ok(trial), Some(trial)),
            Entry::Refused(open) => (Err(open), None),
        };
        let Some(caller) = self.models.get_mut(at).and_then(|model| model.line.pop_front()) else {
            return false;
        };
        self.in_line = self.in_line.saturating_sub(1);
        if let (Err(_), Some(trial)) = (caller.send(handed), trial) {
            self.leave(at, trial, false);
        }
        true
    }
}
