//! How many calls an endpoint takes at once, learnt from its answers.
//!
//! It doubles with every clean round until the endpoint refuses for the first time, and from there on grows by a
//! twentieth. A refusal right after it grew leads back to what was known to work; any other cuts it by a fifth.
//! A round is as many answers as the limit; it is clean when nothing failed in it, and it counts only when the
//! limit was used. Failures that are no refusals stop the growth and cut nothing: they say nothing of how much
//! is too much. It keeps no time of its own and makes no call.

use std::time::Duration;

use tokio::time::Instant;

/// Most calls at once to an endpoint whose models name no limit, however well it answers.
pub(super) const MAX_CONCURRENCY: u32 = 100;

/// Where a limit starts and where it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    start: u32,
    most: u32,
    is_explicit: bool,
}

impl Bounds {
    /// Those of an endpoint of which `explicit` says how much it takes, else `usual` to start with.
    pub(super) fn new(explicit: Option<u32>, usual: u32) -> Self {
        match explicit {
            Some(limit) => Self { start: limit.max(1), most: limit.max(1), is_explicit: true },
            None => Self { start: usual.max(1), most: usual.max(MAX_CONCURRENCY), is_explicit: false },
        }
    }
}

/// The present limit of one endpoint.
#[derive(Debug)]
pub(super) struct ConcurrencyLimit {
    bounds: Bounds,
    /// For so long after a refusal it is neither cut again nor grows: a burst of refusals is one sign, not many,
    /// and what was just found to be too much need not be tried at once.
    cut_every: Duration,
    present: u32,
    /// What a whole round was clean at, before it grew to what no whole round was clean at yet.
    good: Option<u32>,
    is_doubling: bool,
    last_refusal: Option<Instant>,
    round: Round,
}

/// What has come of the calls since the limit last changed, or since as many were answered.
#[derive(Debug, Default)]
struct Round {
    answers: u32,
    /// Most calls in flight at once.
    peak: u32,
    has_failed: bool,
}

impl ConcurrencyLimit {
    /// A limit of which nothing was learnt yet.
    pub(super) fn new(bounds: Bounds, cut_every: Duration) -> Self {
        Self {
            bounds,
            cut_every,
            present: bounds.start,
            good: None,
            is_doubling: true,
            last_refusal: None,
            round: Round::default(),
        }
    }

    /// Calls at once, 1 or more.
    pub(super) const fn present(&self) -> u32 {
        self.present
    }

    /// Returns whether a model names the limit, which is never exceeded then.
    pub(super) const fn is_explicit(&self) -> bool {
        self.bounds.is_explicit
    }

    /// Takes other bounds; what was learnt within them stays.
    pub(super) fn rebind(&mut self, bounds: Bounds) {
        if bounds == self.bounds {
            return;
        }
        let is_fresh = self.is_doubling && self.good.is_none() && self.last_refusal.is_none();
        self.present = if is_fresh { bounds.start } else { self.present.min(bounds.most) };
        self.bounds = bounds;
        self.good = None;
        self.round = Round::default();
    }

    /// A call was answered while `in_flight` were under way.
    pub(super) fn answered(&mut self, in_flight: u32, now: Instant) {
        self.round.answers += 1;
        self.round.peak = self.round.peak.max(in_flight);
        if self.round.answers < self.present {
            return;
        }
        let round = std::mem::take(&mut self.round);
        // Four fifths of the limit were used, or it says nothing about more.
        if round.has_failed || round.peak * 5 < self.present * 4 {
            return;
        }
        self.good = None;
        if !self.is_held(now) {
            self.grow();
        }
    }

    /// The endpoint refused a call as one too many.
    pub(super) fn refused(&mut self, now: Instant) {
        self.round.has_failed = true;
        if self.is_held(now) {
            return;
        }
        self.present = self.good.take().unwrap_or((self.present * 4 / 5).max(1));
        self.is_doubling = false;
        self.last_refusal = Some(now);
        self.round = Round::default();
    }

    fn is_held(&self, now: Instant) -> bool {
        self.last_refusal.is_some_and(|last| now.saturating_duration_since(last) < self.cut_every)
    }

    /// A call failed for another reason.
    pub(super) const fn failed(&mut self) {
        self.round.has_failed = true;
    }

    fn grow(&mut self) {
        let step = if self.is_doubling { self.present } else { (self.present / 20).max(1) };
        let larger = self.present.saturating_add(step).min(self.bounds.most);
        self.good = (larger > self.present).then_some(self.present);
        self.present = larger;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CUT_EVERY: Duration = Duration::from_secs(15);

    fn limit() -> ConcurrencyLimit {
        ConcurrencyLimit::new(Bounds::new(None, 20), CUT_EVERY)
    }

    /// As many answers as the limit, all of it used.
    fn round(limit: &mut ConcurrencyLimit, now: Instant) {
        let present = limit.present();
        for _ in 0..present {
            limit.answered(present, now);
        }
    }

    #[test]
    fn it_doubles_while_all_is_well_and_stops_at_the_most() {
        let (mut limit, now) = (limit(), Instant::now());
        let seen: Vec<u32> = (0..4)
            .map(|_| {
                round(&mut limit, now);
                limit.present()
            })
            .collect();
        assert_eq!(seen, [40, 80, 100, 100]);
    }

    #[test]
    fn a_refusal_after_growth_leads_back_to_what_was_good_and_any_other_cuts_a_fifth() {
        let (mut limit, start) = (limit(), Instant::now());
        round(&mut limit, start);
        assert_eq!(limit.present(), 40);
        limit.refused(start);
        assert_eq!(limit.present(), 20);
        limit.refused(start + CUT_EVERY / 2);
        round(&mut limit, start + CUT_EVERY / 2);
        assert_eq!(limit.present(), 20, "a burst is one sign, and nothing grows right after it");
        let later = start + CUT_EVERY;
        round(&mut limit, later);
        assert_eq!(limit.present(), 21, "then it grows by a twentieth, at least by one");
        limit.refused(later);
        assert_eq!(limit.present(), 20, "what a fifth would have been is not lost");
        limit.refused(later + CUT_EVERY);
        assert_eq!(limit.present(), 16);
    }

    #[test]
    fn it_never_falls_below_one() {
        let (mut limit, start) = (limit(), Instant::now());
        for cut in 0..30 {
            limit.refused(start + CUT_EVERY * cut);
        }
        assert_eq!(limit.present(), 1);
        round(&mut limit, start + CUT_EVERY * 30);
        assert_eq!(limit.present(), 2);
    }

    #[test]
    fn what_is_not_used_does_not_grow_and_failures_stop_growth_without_a_cut() {
        let (mut limit, now) = (limit(), Instant::now());
        for _ in 0..60 {
            limit.answered(3, now);
        }
        assert_eq!(limit.present(), 20);
        limit.failed();
        round(&mut limit, now);
        assert_eq!(limit.present(), 20);
        round(&mut limit, now);
        assert_eq!(limit.present(), 40);
    }

    #[test]
    fn what_a_model_names_is_start_and_end() {
        let (mut limit, now) = (ConcurrencyLimit::new(Bounds::new(Some(3), 20), CUT_EVERY), Instant::now());
        round(&mut limit, now);
        assert_eq!(limit.present(), 3);
        limit.refused(now);
        assert_eq!(limit.present(), 2);
        limit.rebind(Bounds::new(Some(8), 20));
        assert_eq!(limit.present(), 2, "what was learnt stays");
        round(&mut limit, now + CUT_EVERY);
        assert_eq!(limit.present(), 3, "also that doubling is too much");
        let mut fresh = ConcurrencyLimit::new(Bounds::new(Some(3), 20), CUT_EVERY);
        fresh.rebind(Bounds::new(Some(8), 20));
        assert_eq!(fresh.present(), 8);
    }
}
