//! How often one caller may ask. Answers that are ready as bytes never come here.
//!
//! Buckets are in memory and of this process alone.

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::{Site, auth};
use crate::config::Rates;
use crate::domain::id::UserKey;
use crate::domain::signature;
use crate::domain::users::Caller;
use crate::error::{Error, Result};

/// After so many questions the buckets that are full again are thrown away.
const SWEEP_EVERY: u32 = 4_096;
/// Longest time that a try of a password is held back because others tried the same account.
const MAX_LOGIN_DELAY: Duration = Duration::from_secs(2);
/// Tries that are held back at once.
const MAX_DELAYED_LOGINS: usize = 512;
/// Sign-ins with a provider that one address may begin in a minute, for each password that it may try: many people may
/// be behind it, and nothing is guessed there.
const PROVIDER_LOGINS: u32 = 12;

/// Whose bucket a request is taken from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Payer {
    /// A network address; for IPv6 the /64 that one customer gets.
    Address(IpAddr),
    /// The bucket of a presented key, or of the key that a token stands in for.
    Key([u8; 32]),
    /// The hash of the e-mail address that somebody wants to sign in as, whether there is such an account or not.
    Account([u8; 32]),
    /// An account together with the address that it was last signed in from.
    Familiar([u8; 32]),
    /// Somebody who has proven already who they are.
    Person(UserKey),
}

impl Payer {
    /// Who signs in as `email`, however it is written.
    fn account(email: &str) -> Self {
        Self::Account(Sha256::digest(one_spelling(email)).into())
    }

    /// The payer that is known of a caller: themselves, or their address.
    pub(super) fn of_caller(caller: &Caller, peer: Option<IpAddr>) -> Self {
        match caller {
            Caller::User(user) => Self::Person(user.key),
            Caller::Anonymous => Self::of(peer),
        }
    }

    /// The payer of a request, for what its response takes: the caller if they are known, else their address.
    pub(super) fn of_request(request: &HttpRequest, site: &Site) -> Self {
        let peer = site.client_address(request.peer_addr(), request.headers());
        Self::of_caller(&auth::caller(request).unwrap_or(Caller::Anonymous), peer)
    }

    /// The payer behind a peer address. Unknown peers share one bucket.
    pub(super) fn of(peer: Option<IpAddr>) -> Self {
        Self::Address(network(peer))
    }
}

/// An address as limits know it: for IPv6 the /64 that one customer gets.
fn network(peer: Option<IpAddr>) -> IpAddr {
    match peer {
        Some(IpAddr::V6(address)) => address.to_ipv4_mapped().map_or_else(|| subnet(address), IpAddr::V4),
        Some(address) => address,
        None => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

fn subnet(address: Ipv6Addr) -> IpAddr {
    let high = address.to_bits() >> 64 << 64;
    IpAddr::V6(Ipv6Addr::from_bits(high))
}

fn one_spelling(email: &str) -> String {
    email.trim().to_lowercase()
}

/// Proves an account together with an address, to whoever has `key` alone: neither can be read off it.
pub(super) fn sign_in_proof(key: &[u8; 32], email: &str, peer: Option<IpAddr>) -> [u8; 32] {
    signature::sign(key, format!("{}\0{}", one_spelling(email), network(peer)).as_bytes())
}

/// Somebody who tries a password.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt<'a> {
    /// The account, as it was typed.
    pub(super) email: &'a str,
    /// Where it is tried from.
    pub(super) peer: Option<IpAddr>,
    /// What proves the two together; none when the account was last signed in from elsewhere.
    pub(super) familiar: Option<[u8; 32]>,
}

/// The buckets of reads, of writes, and of everything by which somebody proves who they are.
pub(super) struct Limits {
    pub(super) reads: Buckets<Payer>,
    pub(super) writes: Buckets<Payer>,
    logins: Buckets<Payer>,
    tokens: Buckets<Payer>,
    providers: Buckets<Payer>,
    delayed: Semaphore,
}

impl Limits {
    /// Full buckets of these sizes.
    pub(super) fn new(rates: &Rates) -> Self {
        Self {
            reads: Buckets::new(rates.rate_read, rates.rate_read_burst),
            writes: Buckets::new(rates.rate_write, rates.rate_write_burst),
            logins: Buckets::per_minute(rates.rate_login),
            tokens: Buckets::per_minute(rates.rate_login),
            providers: Buckets::per_minute(rates.rate_login.saturating_mul(PROVIDER_LOGINS)),
            delayed: Semaphore::const_new(MAX_DELAYED_LOGINS),
        }
    }

    /// Takes one try of a password from the bucket of its address, and waits when the account's is empty: whoever tries
    /// from elsewhere can make its owner wait for a moment, and no more. From the address that last signed in, where
    /// neither the address's tries of other accounts nor others' tries of this one count, there is a bucket besides.
    ///
    /// Accounts that do not exist are treated alike. They have a bucket only once the address's let them.
    ///
    /// # Errors
    /// `Limited`; `Unavailable` when too many are held back.
    pub(super) async fn take_login(&self, attempt: Attempt<'_>) -> Result<()> {
        match self.login_delay(attempt)? {
            Duration::ZERO => Ok(()),
            wait => self.delay(wait).await,
        }
    }

    /// How long a try has to wait.
    fn login_delay(&self, attempt: Attempt<'_>) -> Result<Duration> {
        let by_address = self.logins.take(&Payer::of(attempt.peer)).1;
        if let Some(proof) = attempt.familiar {
            let as_familiar = self.logins.take(&Payer::Familiar(proof)).1;
            return by_address.or(as_familiar).map(|()| Duration::ZERO);
        }
        by_address?;
        match self.logins.take(&Payer::account(attempt.email)).1 {
            Err(Error::Limited(wait)) => Ok(wait.min(MAX_LOGIN_DELAY)),
            other => other.map(|()| Duration::ZERO),
        }
    }

    async fn delay(&self, time: Duration) -> Result<()> {
        let busy =
            |_| Error::Unavailable("too many people sign in at once: try again in a moment".to_owned());
        let _place = self.delayed.try_acquire().map_err(busy)?;
        tokio::time::sleep(time).await;
        Ok(())
    }

    /// Takes one try of a person's own password, to change it: nobody else takes from that bucket.
    pub(super) fn take_password(&self, person: UserKey) -> Result<()> {
        self.logins.take(&Payer::Person(person)).1
    }

    /// Takes the beginning of a sign-in with a provider.
    pub(super) fn take_provider_login(&self, peer: Option<IpAddr>) -> Result<()> {
        self.providers.take(&Payer::of(peer)).1
    }

    /// Takes one try of a key that does not count, as the secret of a client.
    pub(super) fn take_refused_token(&self, peer: Option<IpAddr>) -> Result<()> {
        self.tokens.take(&Payer::of(peer)).1
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

    fn limits() -> Limits {
        let (rate_read, rate_read_burst, rate_write, rate_write_burst) = (1, 1, 1, 1);
        Limits::new(&Rates { rate_read, rate_read_burst, rate_write, rate_write_burst, rate_login: 5 })
    }

    const fn attempt(email: &str, at: u8) -> Attempt<'_> {
        Attempt { email, peer: Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, at))), familiar: None }
    }

    #[test]
    fn address_is_refused_after_five_tries() {
        let limits = limits();
        for email in ["a", "b", "c", "d", "e"] {
            assert_eq!(limits.login_delay(attempt(email, 1)).unwrap(), Duration::ZERO);
        }
        let refused = limits.login_delay(attempt("f", 1));
        assert!(
            matches!(refused, Err(Error::Limited(wait)) if wait <= Duration::from_secs(12)),
            "{refused:?}"
        );
        assert_eq!(limits.login_delay(attempt("f", 2)).unwrap(), Duration::ZERO);
    }

    #[test]
    fn account_is_slowed_and_never_refused() {
        let limits = limits();
        for at in 1..=5 {
            assert_eq!(limits.login_delay(attempt("ada@example.org", at)).unwrap(), Duration::ZERO);
        }
        for at in 6..=200 {
            let delay = limits.login_delay(attempt(" Ada@Example.org ", at)).unwrap();
            assert!((Duration::from_secs(1)..=MAX_LOGIN_DELAY).contains(&delay), "{at}: {delay:?}");
        }
    }

    #[test]
    fn familiar_address_has_a_bucket_besides() {
        let limits = limits();
        for at in 1..=6 {
            for _ in 0..5 {
                limits.login_delay(attempt("ada@example.org", at)).unwrap();
            }
        }
        let familiar = Attempt { familiar: Some([7; 32]), ..attempt("ada@example.org", 1) };
        for _ in 0..5 {
            assert_eq!(
                limits.login_delay(familiar).unwrap(),
                Duration::ZERO,
                "what others do costs it nothing"
            );
        }
        assert!(limits.login_delay(familiar).is_err());
    }

    #[tokio::test]
    async fn tries_that_are_held_back_are_bounded() {
        let limits = limits();
        let taken = limits.delayed.try_acquire_many(u32::try_from(MAX_DELAYED_LOGINS).unwrap()).unwrap();
        let refused = limits.delay(Duration::ZERO).await;
        assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
        drop(taken);
        limits.delay(Duration::ZERO).await.unwrap();
    }

    #[test]
    fn provider_logins_are_limited_by_address() {
        let limits = limits();
        let at = |last: u8| Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, last)));
        for _ in 0..5 * PROVIDER_LOGINS {
            limits.take_provider_login(at(1)).unwrap();
        }
        assert!(limits.take_provider_login(at(1)).is_err());
        assert!(limits.take_provider_login(at(2)).is_ok());
    }

    #[test]
    fn invented_accounts_take_no_memory() {
        let limits = limits();
        for at in 0..10_000 {
            drop(limits.login_delay(attempt(&format!("{at}@example.org"), 1)));
        }
        assert!(limits.logins.limiter.len() <= 6, "{}", limits.logins.limiter.len());
    }

    #[test]
    fn proofs_differ_by_account_network_and_key() {
        let proof =
            |key: u8, email: &str, peer: &str| sign_in_proof(&[key; 32], email, Some(peer.parse().unwrap()));
        let ada = proof(1, "ada@example.org", "2001:db8::1");
        assert_eq!(ada, proof(1, " Ada@example.org", "2001:db8::2"));
        for other in [
            proof(1, "bob@example.org", "2001:db8::1"),
            proof(1, "ada@example.org", "2001:db8:0:1::1"),
            proof(2, "ada@example.org", "2001:db8::1"),
        ] {
            assert_ne!(ada, other);
        }
    }

    #[test]
    fn an_ipv6_customer_has_one_bucket() {
        let payer = |text: &str| Payer::of(Some(text.parse().unwrap()));
        assert_eq!(payer("2001:db8:0:1::5"), payer("2001:db8:0:1:ffff::9"));
        assert_ne!(payer("2001:db8:0:1::5"), payer("2001:db8:0:2::5"));
        assert_eq!(payer("::ffff:192.0.2.1"), payer("192.0.2.1"));
    }
}
