//! How many items of an endpoint are leased beyond those that are being asked: so many that no slot waits for the
//! commit that leases more, and no more, since what is leased comes before everything that is triggered later.
//!
//! It knows how fast items go, and neither leases nor asks.

use std::time::{Duration, Instant};

/// What is leased ahead lasts at least so long, at the rate at which items went lately: several commits.
const PREFETCH_TIME: Duration = Duration::from_millis(30);
/// The shortest time over which a rate is taken.
const MIN_SAMPLE_TIME: Duration = Duration::from_millis(20);
/// Most items ahead, as a multiple of the limit.
const MAX_MULTIPLE: u32 = 4;

/// The prefetch of one queue.
#[derive(Debug)]
pub(super) struct Prefetch {
    /// Items that had gone when the rate was taken, and when that was.
    gone: u32,
    at: Instant,
    /// Items that go while the prefetch lasts.
    needed: u32,
}

impl Prefetch {
    pub(super) fn new(now: Instant) -> Self {
        Self { gone: 0, at: now, needed: 0 }
    }

    /// Items to hold beyond `limit`, 1 to [`MAX_MULTIPLE`] times as many; by `now` so many have `gone`, counted round and
    /// round.
    pub(super) fn ahead(&mut self, gone: u32, limit: u32, now: Instant) -> u32 {
        let time = now.saturating_duration_since(self.at);
        if time >= MIN_SAMPLE_TIME {
            let went = u128::from(gone.wrapping_sub(self.gone));
            self.needed =
                u32::try_from(went * PREFETCH_TIME.as_micros() / time.as_micros()).unwrap_or(u32::MAX);
            (self.gone, self.at) = (gone, now);
        }
        self.needed.clamp(limit, limit.saturating_mul(MAX_MULTIPLE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_endpoint_has_as_many_ahead_as_it_takes_and_a_fast_one_what_goes_in_thirty_milliseconds() {
        let begin = Instant::now();
        let after = |milliseconds| begin + Duration::from_millis(milliseconds);
        let mut prefetch = Prefetch::new(begin);
        assert_eq!(prefetch.ahead(0, 20, after(1)), 20, "nothing is known yet");
        assert_eq!(prefetch.ahead(100, 20, after(100)), 30, "1,000 a second");
        assert_eq!(prefetch.ahead(150, 20, after(110)), 30, "too soon for another rate");
        assert_eq!(prefetch.ahead(1_100, 20, after(200)), 80, "10,000 a second, of which there is a bound");
        assert_eq!(prefetch.ahead(1_101, 20, after(1_200)), 20, "one a second");
    }

    #[test]
    fn the_count_may_start_over() {
        let begin = Instant::now();
        let mut prefetch = Prefetch { gone: u32::MAX - 49, at: begin, needed: 0 };
        assert_eq!(prefetch.ahead(50, 10, begin + Duration::from_millis(100)), 30);
    }
}
