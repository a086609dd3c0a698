//! A circuit breaker: open while calls are of no use, and tried by one call at a time until one is answered.
//!
//! It opens after failures in a row, after refusals (429) in a row that name a time, and after a longer row of
//! refusals that name none; any answer closes it. It reads no clock and makes no call.

use std::time::Duration;

use tokio::time::Instant;

/// Failures in a row, of whatever cases, after which it opens.
pub(super) const MAX_FAILURES: u32 = 10;
/// Refusals in a row that name a time, after which all further calls wait for that time.
const MAX_TIMED_REFUSALS: u32 = 3;
/// Refusals in a row that name no time, after which calls wait: fewer only cut the concurrency limit.
const MAX_UNTIMED_REFUSALS: u32 = 20;
/// The first wait after refusals without a time is the cooldown divided by this; it doubles up to the cooldown.
const FIRST_FRACTION: u32 = 16;

/// The circuit breaker of one model at one endpoint, or of the endpoint itself.
#[derive(Debug)]
pub(super) struct CircuitBreaker {
    /// Time from a failure until the next call may try.
    cooldown: Duration,
    failures: u32,
    timed_refusals: u32,
    untimed_refusals: u32,
    /// The soonest of the times that the refusals in a row named.
    soonest: Option<Instant>,
    open: Option<Open>,
}

/// The state of a breaker that lets no calls through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Open {
    /// When the next call may try.
    pub(super) until: Instant,
    /// The last failure, in words.
    pub(super) reason: String,
    /// Whether a call is trying.
    is_tried: bool,
}

impl Open {
    /// The same with the name of what it belongs to, for callers that wanted something else.
    pub(super) fn attributed_to(self, name: &str) -> Self {
        Self { reason: format!("{name} cannot be asked: {}", self.reason), ..self }
    }
}

/// The state of a breaker for one caller.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Calls go through.
    Closed,
    /// One call may try, and this caller makes it.
    HalfOpen,
    /// No call before that time.
    Open(Open),
}

impl CircuitBreaker {
    /// Returns a closed breaker.
    pub(super) const fn new(cooldown: Duration) -> Self {
        Self { cooldown, failures: 0, timed_refusals: 0, untimed_refusals: 0, soonest: None, open: None }
    }

    /// Returns the state for a caller without changing it.
    pub(super) fn admission(&self, now: Instant) -> Admission {
        match (&self.open, self.wait(now)) {
            (None, _) => Admission::Closed,
            (Some(_), None) => Admission::HalfOpen,
            (Some(_), Some(open)) => Admission::Open(open),
        }
    }

    /// Takes the place of the half-open trial.
    pub(super) const fn begin_trial(&mut self) {
        if let Some(open) = &mut self.open {
            open.is_tried = true;
        }
    }

    /// Returns its state while it is open or half-open.
    pub(super) const fn open(&self) -> Option<&Open> {
        self.open.as_ref()
    }

    /// Returns until when no further call may be made, and why; none when one may, if only to try. While a call
    /// tries, that is a cooldown from now.
    pub(super) fn wait(&self, now: Instant) -> Option<Open> {
        let open = self.open.as_ref().filter(|_| !self.may_try(now))?;
        let until = open.until.max(now + if open.is_tried { self.cooldown } else { Duration::ZERO });
        Some(Open { until, ..open.clone() })
    }

    /// Returns whether a call may try now.
    pub(super) fn may_try(&self, now: Instant) -> bool {
        self.open.as_ref().is_some_and(|open| now >= open.until && !open.is_tried)
    }

    /// Closes it: a call was answered, well or not.
    pub(super) fn close(&mut self) {
        *self = Self::new(self.cooldown);
    }

    /// Counts a call that failed; `may_open` is false where a failure alone is no sign.
    pub(super) fn record_failure(&mut self, now: Instant, reason: &str, may_open: bool) {
        self.failures += 1;
        let is_trial = self.is_tried();
        if is_trial || (may_open && self.failures >= MAX_FAILURES && self.open.is_none()) {
            let reason =
                format!("{reason} ({} failures in a row: one call at a time tries again)", self.failures);
            self.open_until(now + self.cooldown, reason);
        }
    }

    /// Counts a call that was refused as one too many, perhaps with the time from which on calls are taken again.
    pub(super) fn record_refusal(&mut self, now: Instant, retry_at: Option<Instant>, reason: &str) {
        self.failures = 0;
        let is_trial = self.is_tried();
        let Some(retry_at) = retry_at else {
            self.untimed_refusals = self.untimed_refusals.saturating_add(1);
            if is_trial || (self.untimed_refusals >= MAX_UNTIMED_REFUSALS && self.open.is_none()) {
                self.open_until(now + self.untimed_wait(), reason.to_owned());
            }
            return;
        };
        self.timed_refusals += 1;
        let soonest = self.soonest.map_or(retry_at, |soonest| soonest.min(retry_at));
        self.soonest = Some(soonest);
        if is_trial || (self.timed_refusals >= MAX_TIMED_REFUSALS && self.open.is_none()) {
            self.open_until(if is_trial { retry_at } else { soonest }, reason.to_owned());
        }
    }

    /// Leaves the trial: the call was dropped before it came to anything.
    pub(super) const fn abandon_trial(&mut self) {
        if let Some(open) = &mut self.open {
            open.is_tried = false;
        }
    }

    /// Lets the next caller try at once: nobody waits for it any more, so that whoever comes next is not held by
    /// what others waited for.
    pub(super) fn expire_wait(&mut self, now: Instant) {
        if let Some(open) = &mut self.open {
            open.until = open.until.min(now);
        }
    }

    fn is_tried(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.is_tried)
    }

    /// Returns the wait after refusals without a time: short at first, since many quotas are renewed soon.
    fn untimed_wait(&self) -> Duration {
        let doublings = self.untimed_refusals.saturating_sub(MAX_UNTIMED_REFUSALS).min(16);
        (self.cooldown / FIRST_FRACTION).saturating_mul(1 << doublings).min(self.cooldown)
    }

    fn open_until(&mut self, until: Instant, reason: String) {
        self.open = Some(Open { until, reason, is_tried: false });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COOLDOWN: Duration = Duration::from_secs(30);

    fn failing(now: Instant) -> CircuitBreaker {
        let mut breaker = CircuitBreaker::new(COOLDOWN);
        for _ in 0..MAX_FAILURES {
            assert_eq!(breaker.admission(now), Admission::Closed);
            breaker.record_failure(now, "503", true);
        }
        breaker
    }

    fn until(breaker: &CircuitBreaker, now: Instant) -> Option<Instant> {
        breaker.wait(now).map(|open| open.until)
    }

    fn try_once(breaker: &mut CircuitBreaker, now: Instant) {
        assert_eq!(breaker.admission(now), Admission::HalfOpen);
        breaker.begin_trial();
    }

    #[test]
    fn failures_in_a_row_open_it() {
        let now = Instant::now();
        let mut breaker = CircuitBreaker::new(COOLDOWN);
        for _ in 0..MAX_FAILURES - 1 {
            breaker.record_failure(now, "503", true);
        }
        breaker.close();
        breaker.record_failure(now, "503", true);
        assert_eq!(breaker.admission(now), Admission::Closed, "an answer was between them");
        let breaker = failing(now);
        assert_eq!(until(&breaker, now), Some(now + COOLDOWN));
        assert!(breaker.open().unwrap().reason.starts_with("503 (10 failures in a row"));
    }

    #[test]
    fn failures_that_are_no_sign_do_not_open_it() {
        let now = Instant::now();
        let mut breaker = CircuitBreaker::new(COOLDOWN);
        for _ in 0..3 * MAX_FAILURES {
            breaker.record_failure(now, "unreachable", false);
        }
        assert_eq!(breaker.admission(now), Admission::Closed);
        breaker.record_failure(now, "unreachable", true);
        assert_eq!(until(&breaker, now), Some(now + COOLDOWN));
    }

    #[test]
    fn one_trial_closes_it_or_opens_it_again() {
        let start = Instant::now();
        let mut breaker = failing(start);
        let later = start + COOLDOWN;
        assert!(breaker.may_try(later));
        try_once(&mut breaker, later);
        assert_eq!(until(&breaker, later), Some(later + COOLDOWN), "only one tries");
        breaker.record_failure(later, "503", true);
        assert_eq!(until(&breaker, later), Some(later + COOLDOWN));
        try_once(&mut breaker, later + COOLDOWN);
        breaker.abandon_trial();
        try_once(&mut breaker, later + COOLDOWN);
        breaker.close();
        assert_eq!(breaker.admission(later + COOLDOWN), Admission::Closed);
    }

    #[test]
    fn it_stays_open_for_as_long_as_trials_fail() {
        let mut now = Instant::now();
        let mut breaker = failing(now);
        for _ in 0..1_000 {
            now += COOLDOWN;
            try_once(&mut breaker, now);
            breaker.record_failure(now, "503", true);
            assert_eq!(until(&breaker, now), Some(now + COOLDOWN));
        }
    }

    #[test]
    fn late_failures_do_not_move_its_time() {
        let start = Instant::now();
        let mut breaker = failing(start);
        breaker.record_failure(start + COOLDOWN / 2, "503", true);
        assert_eq!(until(&breaker, start + COOLDOWN / 2), Some(start + COOLDOWN));
    }

    #[test]
    fn timed_refusals_open_it_until_the_soonest() {
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let mut breaker = CircuitBreaker::new(COOLDOWN);
        breaker.record_refusal(now, Some(at(60)), "429");
        breaker.record_refusal(now, Some(at(20)), "429");
        assert_eq!(breaker.admission(now), Admission::Closed);
        breaker.record_refusal(now, Some(at(40)), "429");
        assert_eq!(until(&breaker, now), Some(at(20)));
        try_once(&mut breaker, at(20));
        breaker.record_refusal(at(20), Some(at(3_600)), "429");
        assert_eq!(until(&breaker, at(20)), Some(at(3_600)));
    }

    #[test]
    fn untimed_refusals_open_it_late_and_for_longer_each_time() {
        let mut now = Instant::now();
        let mut breaker = CircuitBreaker::new(COOLDOWN);
        for _ in 0..MAX_UNTIMED_REFUSALS - 1 {
            breaker.record_refusal(now, None, "429");
        }
        assert_eq!(breaker.admission(now), Admission::Closed, "they only cut the limit");
        breaker.record_refusal(now, None, "429");
        let mut waits = Vec::new();
        for _ in 0..6 {
            let next = until(&breaker, now).unwrap();
            waits.push((next - now).as_millis());
            now = next;
            try_once(&mut breaker, now);
            breaker.record_refusal(now, None, "429");
        }
        assert_eq!(waits, [1_875, 3_750, 7_500, 15_000, 30_000, 30_000]);
    }

    #[test]
    fn an_expired_wait_lets_one_call_try() {
        let now = Instant::now();
        let mut breaker = failing(now);
        breaker.expire_wait(now);
        try_once(&mut breaker, now);
        assert!(breaker.wait(now).is_some());
    }
}
