//! Whether an endpoint may be called at all: shut while calling it is of no use, and tried by one call at a
//! time until it answers again.
//!
//! It shuts after failures in a row (the endpoint is down) and after refusals in a row that name a time (all of
//! it is used up); any answer opens it. It keeps no time of its own and makes no call.

use std::time::Duration;

use tokio::time::Instant;

/// Failures in a row, of whatever cases, after which an endpoint counts as down.
const FAILURES: u32 = 10;
/// Refusals in a row, each with a time, after which all further calls wait for that time.
const REFUSALS: u32 = 3;

/// How a door behaves in time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// How long it stays shut before a call may try.
    pub(super) rest: Duration,
    /// For how long in all it may keep calls from failing. From then on they all go through, to whatever end.
    pub(super) patience: Duration,
}

/// The door of one endpoint.
#[derive(Debug)]
pub(super) struct Door {
    pace: Pace,
    failures: u32,
    last_failure: Option<Instant>,
    refusals: u32,
    /// The soonest of the times that the refusals in a row named.
    soonest: Option<Instant>,
    shut: Option<Shut>,
}

/// Why nobody comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shut {
    /// Since when the endpoint has not answered.
    since: Instant,
    /// When the next call may try.
    pub(super) until: Instant,
    /// In words.
    pub(super) why: String,
    /// Whether a call is trying.
    is_tried: bool,
    /// Whether it failed, and did not only refuse: refusals are waited for without an end.
    is_down: bool,
}

impl Shut {
    /// The same, told of `who` to those who wanted something else.
    pub(super) fn told_of(self, who: &str) -> Self {
        Self { why: format!("{who} cannot be asked: {}", self.why), ..self }
    }
}

/// Whether a call may be made.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// It may.
    Open,
    /// It may, as the one that tries; its end must be told.
    Trial,
    /// It may not before that time.
    Shut(Shut),
}

impl Door {
    /// An open door.
    pub(super) const fn new(pace: Pace) -> Self {
        Self { pace, failures: 0, last_failure: None, refusals: 0, soonest: None, shut: None }
    }

    /// Asks for entry, and takes the place of the trial where there is one.
    pub(super) fn enter(&mut self, now: Instant) -> Entry {
        if let Some(shut) = self.wait(now) {
            return Entry::Shut(shut);
        }
        let is_given_up = self.is_given_up(now);
        match &mut self.shut {
            Some(shut) if !is_given_up => {
                shut.is_tried = true;
                Entry::Trial
            }
            _ => Entry::Open,
        }
    }

    /// What it is shut for, if it is.
    pub(super) fn shut(&self, now: Instant) -> Option<&Shut> {
        self.shut.as_ref().filter(|_| !self.is_given_up(now))
    }

    /// Until when nobody more may come in, and why; none when somebody may.
    pub(super) fn wait(&self, now: Instant) -> Option<Shut> {
        let shut = self.shut(now).filter(|_| !self.may_try(now))?;
        Some(self.put_off(shut, now))
    }

    /// Until when to wait in front of it: while a call tries, for as long as a rest, and not until a time that has
    /// passed.
    fn put_off(&self, shut: &Shut, now: Instant) -> Shut {
        let until = shut.until.max(now + if shut.is_tried { self.pace.rest } else { Duration::ZERO });
        Shut { until, ..shut.clone() }
    }

    /// Whether a call may try now.
    pub(super) fn may_try(&self, now: Instant) -> bool {
        self.shut(now).is_some_and(|shut| now >= shut.until && !shut.is_tried)
    }

    fn is_given_up(&self, now: Instant) -> bool {
        let is_over = |shut: &Shut| now.saturating_duration_since(shut.since) >= self.pace.patience;
        self.shut.as_ref().is_some_and(|shut| shut.is_down && is_over(shut))
    }

    /// The endpoint answered, well or not: it is there.
    pub(super) fn answered(&mut self) {
        *self = Self::new(self.pace);
    }

    /// A call came to nothing; `why` is what went wrong.
    pub(super) fn failed(&mut self, now: Instant, why: &str) {
        self.forget_what_is_long_past(now);
        self.failures += 1;
        self.last_failure = Some(now);
        let is_trial = self.shut.as_ref().is_some_and(|shut| shut.is_tried);
        if is_trial || (self.failures >= FAILURES && self.shut.is_none()) {
            let why = format!("{why} ({} failures in a row: one call at a time tries again)", self.failures);
            self.shut_until(now, now + self.pace.rest, why, true);
        }
    }

    /// The endpoint refused a call as one too many, and said perhaps when it would take one again.
    pub(super) fn refused(&mut self, now: Instant, retry_at: Option<Instant>, why: &str) {
        self.failures = 0;
        let is_trial = self.shut.as_ref().is_some_and(|shut| shut.is_tried);
        // The next trial must not follow at once where no time is named.
        let Some(retry_at) = retry_at.or_else(|| is_trial.then(|| now + self.pace.rest)) else { return };
        self.refusals += 1;
        let soonest = self.soonest.map_or(retry_at, |soonest| soonest.min(retry_at));
        self.soonest = Some(soonest);
        if is_trial || (self.refusals >= REFUSALS && self.shut.is_none()) {
            self.shut_until(now, if is_trial { retry_at } else { soonest }, why.to_owned(), false);
        }
    }

    /// The call that tried was given up before it came to anything.
    pub(super) const fn gave_up_trying(&mut self) {
        if let Some(shut) = &mut self.shut {
            shut.is_tried = false;
        }
    }

    /// A door that was given up is a new one once nobody has knocked for as long as patience lasts: whoever
    /// comes then is protected again.
    fn forget_what_is_long_past(&mut self, now: Instant) {
        let is_quiet =
            self.last_failure.is_some_and(|last| now.saturating_duration_since(last) >= self.pace.patience);
        if is_quiet && self.is_given_up(now) {
            self.answered();
        }
    }

    fn shut_until(&mut self, now: Instant, until: Instant, why: String, is_down: bool) {
        let since = self.shut.as_ref().map_or(now, |shut| shut.since);
        self.shut = Some(Shut { since, until, why, is_tried: false, is_down });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: Duration = Duration::from_secs(30);
    const PACE: Pace = Pace { rest: REST, patience: Duration::from_secs(3_600) };

    fn until(door: &mut Door, now: Instant) -> Option<Instant> {
        match door.enter(now) {
            Entry::Shut(shut) => Some(shut.until),
            Entry::Open | Entry::Trial => None,
        }
    }

    fn down(now: Instant) -> Door {
        let mut door = Door::new(PACE);
        for _ in 0..FAILURES {
            assert_eq!(door.enter(now), Entry::Open);
            door.failed(now, "503");
        }
        door
    }

    #[test]
    fn failures_in_a_row_shut_it_and_an_answer_between_them_does_not_let_them() {
        let now = Instant::now();
        let mut door = Door::new(PACE);
        for _ in 0..FAILURES - 1 {
            door.failed(now, "503");
        }
        door.answered();
        door.failed(now, "503");
        assert_eq!(door.enter(now), Entry::Open);
        let mut door = down(now);
        assert_eq!(until(&mut door, now), Some(now + REST));
        assert!(door.shut.as_ref().unwrap().why.starts_with("503 (10 failures in a row"));
    }

    #[test]
    fn one_call_tries_and_opens_it_or_shuts_it_again() {
        let start = Instant::now();
        let mut door = down(start);
        let later = start + REST;
        assert!(door.may_try(later));
        assert_eq!(door.enter(later), Entry::Trial);
        assert!(until(&mut door, later).is_some(), "only one tries");
        door.failed(later, "503");
        assert_eq!(until(&mut door, later), Some(later + REST));
        assert_eq!(door.shut.as_ref().unwrap().since, start, "it is down since it was first shut");
        assert_eq!(door.enter(later + REST), Entry::Trial);
        door.gave_up_trying();
        assert_eq!(door.enter(later + REST), Entry::Trial, "a trial that is given up leaves its place");
        door.answered();
        assert_eq!(door.enter(later + REST), Entry::Open);
    }

    #[test]
    fn who_looks_at_it_while_one_tries_waits_for_a_rest_and_not_until_a_time_that_has_passed() {
        let start = Instant::now();
        let mut door = down(start);
        assert_eq!(door.wait(start).map(|shut| shut.until), Some(start + REST));
        let later = start + REST;
        assert_eq!(door.wait(later), None, "somebody may try");
        assert_eq!(door.enter(later), Entry::Trial);
        let much_later = later + REST + REST;
        assert_eq!(door.wait(much_later).map(|shut| shut.until), Some(much_later + REST));
        door.answered();
        assert_eq!(door.wait(much_later), None);
    }

    #[test]
    fn when_patience_ends_calls_go_through_to_whatever_end() {
        let start = Instant::now();
        let mut door = down(start);
        let end = start + PACE.patience;
        assert_eq!(door.enter(end - REST), Entry::Trial);
        door.failed(end - REST, "503");
        assert!(door.shut(end - REST).is_some());
        assert_eq!((door.shut(end), door.may_try(end)), (None, false));
        for _ in 0..2 * FAILURES {
            assert_eq!(door.enter(end), Entry::Open);
            door.failed(end, "503");
        }
        let much_later = end + PACE.patience;
        door.failed(much_later, "503");
        assert_eq!((&door.shut, door.failures), (&None, 1), "whoever comes much later is protected again");
    }

    #[test]
    fn refusals_are_waited_for_without_an_end() {
        let now = Instant::now();
        let (mut door, retry_at) = (Door::new(PACE), now + 2 * PACE.patience);
        for _ in 0..REFUSALS {
            door.refused(now, Some(retry_at), "429");
        }
        assert_eq!(until(&mut door, now + PACE.patience), Some(retry_at));
    }

    #[test]
    fn what_was_under_way_when_it_shut_does_not_move_its_time() {
        let start = Instant::now();
        let mut door = down(start);
        door.failed(start + REST / 2, "503");
        assert_eq!(until(&mut door, start + REST / 2), Some(start + REST));
    }

    #[test]
    fn refusals_with_a_time_shut_it_until_the_soonest() {
        let now = Instant::now();
        let at = |seconds| Some(now + Duration::from_secs(seconds));
        let mut door = Door::new(PACE);
        door.refused(now, at(60), "429");
        door.refused(now, at(20), "429");
        assert_eq!(door.enter(now), Entry::Open);
        door.refused(now, at(40), "429");
        assert_eq!(until(&mut door, now), at(20));
        assert_eq!(door.enter(at(20).unwrap()), Entry::Trial);
        door.refused(at(20).unwrap(), at(50), "429");
        assert_eq!(until(&mut door, at(20).unwrap()), at(50));
        assert_eq!(door.enter(at(50).unwrap()), Entry::Trial);
        door.refused(at(50).unwrap(), None, "429");
        assert_eq!(until(&mut door, at(50).unwrap()), at(80), "without a time it rests as after a failure");
        door.answered();
        for _ in 0..20 {
            door.refused(now, None, "429");
        }
        assert_eq!(door.enter(now), Entry::Open, "refusals without a time only cut the limit");
    }
}
