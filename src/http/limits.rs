//! How often one caller may ask. Answers that are ready as bytes never come here.
//!
//! Buckets are in memory and of this process alone.

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use sha2::{Digest, Sha256};

use crate::config::Rates;
use crate::error::{Error, Result};

/// After so many questions the buckets that are full again are thrown away.
const SWEEP_EVERY: u32 = 4_096;

/// Whose bucket a request is taken from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Payer {
    /// A network address; for IPv6 the /64 that one customer gets.
    Address(IpAddr),
    /// The bucket of a presented key, or of the key that a token stands in for.
    Key([u8; 32]),
    /// The hash of the e-mail address that somebody wants to sign in as, or of the id of the key that somebody wants a
    /// token for.
    Account([u8; 32]),
}

impl Payer {
    /// Who signs in as `email`, however it is written.
    pub(super) fn account(email: &str) -> Self {
        Self::Account(Sha256::digest(email.trim().to_lowercase()).into())
    }

    /// The payer behind a peer address. Unknown peers share one bucket.
    pub(super) fn of(peer: Option<IpAddr>) -> Self {
        Self::Address(match peer {
            Some(IpAddr::V6(address)) => address.to_ipv4_mapped().map_or_else(|| subnet(address), IpAddr::V4),
            Some(address) => address,
            None => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        })
    }
}

fn subnet(address: Ipv6Addr) -> IpAddr {
    let high = address.to_bits() >> 64 << 64;
    IpAddr::V6(Ipv6Addr::from_bits(high))
}

/// The buckets of reads, of writes, of passwords that are tried, and of tokens that are asked for.
pub(super) struct Limits {
    pub(super) reads: Buckets<Payer>,
    pub(super) writes: Buckets<Payer>,
    pub(super) logins: Buckets<Payer>,
    pub(super) tokens: Buckets<Payer>,
}

impl Limits {
    /// Full buckets of these sizes.
    pub(super) fn new(rates: &Rates) -> Self {
        Self {
            reads: Buckets::new(rates.rate_read, rates.rate_read_burst),
            writes: Buckets::new(rates.rate_write, rates.rate_write_burst),
            logins: Buckets::per_minute(rates.rate_login),
            tokens: Buckets::per_minute(rates.rate_login),
        }
    }

    /// Takes one try of a password for the account `email` from its bucket, and from that of the address.
    pub(super) fn take_login(&self, email: &str, peer: Option<IpAddr>) -> Result<()> {
        self.logins.take(&Payer::of(peer)).1?;
        self.logins.take(&Payer::account(email)).1
    }

    /// The same for one try of a key as the secret of the client `id`.
    pub(super) fn take_token(&self, id: &str, peer: Option<IpAddr>) -> Result<()> {
        self.tokens.take(&Payer::of(peer)).1?;
        self.tokens.take(&Payer::account(id)).1
    }
}

type Limiter<K> = RateLimiter<K, DefaultKeyedStateStore<K>, DefaultClock, StateInformationMiddleware>;

/// One bucket per payer.
pub(super) struct Buckets<K: Hash + Eq + Clone> {
    limiter: Limiter<K>,
    burst: u32,
    per_minute: u32,
    asked: AtomicU32,
}

/// What a bucket holds after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Allowance {
    limit: u32,
    remaining: u32,
    /// Seconds until the bucket is full.
    reset: u32,
}

impl<K: Hash + Eq + Clone> Buckets<K> {
    fn new(per_second: u32, burst: u32) -> Self {
        let whole = |count| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(whole(per_second)).allow_burst(whole(burst));
        Self::with(quota, burst, per_second.max(1).saturating_mul(60))
    }

    /// Buckets of `count` that fill in a minute.
    fn per_minute(count: u32) -> Self {
        let quota = Quota::per_minute(NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN));
        Self::with(quota, count, count.max(1))
    }

    fn with(quota: Quota, burst: u32, per_minute: u32) -> Self {
        let limiter = RateLimiter::keyed(quota).with_middleware();
        Self { limiter, burst, per_minute, asked: AtomicU32::new(0) }
    }

    /// Takes one request from the payer's bucket. Answers what is left, and `Limited` (with the time after
    /// which there is one again) when there was none.
    pub(super) fn take(&self, payer: &K) -> (Allowance, Result<()>) {
        if self.asked.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY == SWEEP_EVERY - 1 {
            self.limiter.retain_recent();
        }
        match self.limiter.check_key(payer) {
            Ok(state) => (self.allowance(state.remaining_burst_capacity()), Ok(())),
            Err(until) => {
                let wait = until.wait_time_from(DefaultClock::default().now());
                (self.allowance(0), Err(Error::Limited(wait)))
            }
        }
    }

    /// What to say of a bucket that holds `remaining`.
    fn allowance(&self, remaining: u32) -> Allowance {
        let reset = self.burst.saturating_sub(remaining).saturating_mul(60).div_ceil(self.per_minute);
        Allowance { limit: self.burst, remaining, reset }
    }
}

impl Allowance {
    /// Writes the `RateLimit` headers.
    pub(super) fn write(self, headers: &mut HeaderMap) {
        for (name, value) in [
            ("ratelimit-limit", self.limit),
            ("ratelimit-remaining", self.remaining),
            ("ratelimit-reset", self.reset),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_bucket_empties_for_its_payer_alone() {
        let buckets = Buckets::new(1, 2);
        assert_eq!(buckets.take(&"a").0.remaining, 1);
        assert_eq!(buckets.take(&"a").0.remaining, 0);
        assert!(matches!(buckets.take(&"a").1, Err(Error::Limited(wait)) if wait <= Duration::from_secs(1)));
        assert!(buckets.take(&"b").1.is_ok());
    }

    #[test]
    fn an_account_is_tried_as_often_wherever_from_and_so_is_an_address() {
        let (rate_read, rate_read_burst, rate_write, rate_write_burst) = (1, 1, 1, 1);
        let rates = Rates { rate_read, rate_read_burst, rate_write, rate_write_burst, rate_login: 5 };
        let limits = Limits::new(&rates);
        let try_from = |at: u8, email: &str| limits.take_login(email, Some([192, 0, 2, at].into()));
        assert!((1..=5).all(|at| try_from(at, "ada@example.org").is_ok()));
        let refused = try_from(6, " Ada@Example.org ");
        assert!(
            matches!(refused, Err(Error::Limited(wait)) if wait <= Duration::from_secs(12)),
            "{refused:?}"
        );
        assert!((0..5).all(|at| try_from(7, &format!("{at}@example.org")).is_ok()));
        assert!(try_from(7, "bob@example.org").is_err() && try_from(8, "bob@example.org").is_ok());
    }

    #[test]
    fn an_ipv6_customer_has_one_bucket() {
        let payer = |text: &str| Payer::of(Some(text.parse().unwrap()));
        assert_eq!(payer("2001:db8:0:1::5"), payer("2001:db8:0:1:ffff::9"));
        assert_ne!(payer("2001:db8:0:1::5"), payer("2001:db8:0:2::5"));
        assert_eq!(payer("::ffff:192.0.2.1"), payer("192.0.2.1"));
    }
}
