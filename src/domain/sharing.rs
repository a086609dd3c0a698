//! Sharing: who may run a model that has an API key of its own, and how much of it.
//!
//! Its owner may, and admins. Others are borrowers: they may where the owner shares the model, each up to a cap a day
//! (UTC). A model without a key of its own is nobody's to lend.

use std::fmt;

use super::id::UserKey;
use super::models::Prices;
use super::runs::dollars;
use super::spending::Day;
use crate::error::{Error, Result};

/// Calls of a shared model that a borrower may make in a day unless its owner chose another number.
pub const DEFAULT_SHARED_DAILY_CALLS: u32 = 200;
/// Most calls a day that an owner may allow each borrower.
pub const MAX_SHARED_DAILY_CALLS: u32 = 1_000_000;
/// Most US dollars a day that an owner may allow each borrower.
const MAX_SHARED_DAILY_USD: f64 = 1e6;

/// Output tokens that a call is estimated at when its model names no `max_tokens`.
const ASSUMED_OUTPUT_TOKENS: i64 = 4_096;
/// Bytes of a prompt that are estimated as one token: few, so that an estimate is rather too high.
const BYTES_PER_TOKEN: usize = 3;

/// Whether a model is lent to others, and how much of it to each of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sharing {
    /// Whether people other than its owner and admins may run it on its own key.
    pub shared: bool,
    /// Calls that each borrower may make in a day, 1 to 1,000,000.
    pub daily_calls: u32,
    /// US dollars that each borrower's calls may cost in a day, above 0; none is no such cap.
    pub daily_usd: Option<f64>,
}

impl Default for Sharing {
    fn default() -> Self {
        Self { shared: false, daily_calls: DEFAULT_SHARED_DAILY_CALLS, daily_usd: None }
    }
}

impl Sharing {
    /// Checks the caps of a model with those prices.
    ///
    /// # Errors
    /// `Invalid` naming the field at fault.
    pub fn check(&self, prices: &Prices) -> Result<()> {
        if !(1..=MAX_SHARED_DAILY_CALLS).contains(&self.daily_calls) {
            let message =
                format!("shared_daily_calls must be a whole number from 1 to {MAX_SHARED_DAILY_CALLS}");
            return Err(Error::invalid("shared_daily_calls", message));
        }
        let Some(usd) = self.daily_usd else { return Ok(()) };
        if !(usd > 0.0 && usd <= MAX_SHARED_DAILY_USD) {
            let message =
                "shared_daily_usd is US dollars, above 0 and at most 1000000: leave it out for no such cap";
            return Err(Error::invalid("shared_daily_usd", message));
        }
        if prices.input.is_none() || prices.output.is_none() {
            let message = "shared_daily_usd needs an input_price and an output_price: without them nobody knows what \
                           a call costs";
            return Err(Error::invalid("shared_daily_usd", message));
        }
        Ok(())
    }

    /// Whether it lends more than `before`.
    #[must_use]
    pub fn is_wider_than(&self, before: &Self) -> bool {
        let more_usd = match (self.daily_usd, before.daily_usd) {
            (None, Some(_)) => true,
            (Some(now), Some(then)) => now > then,
            (_, None) => false,
        };
        self.shared && (!before.shared || self.daily_calls > before.daily_calls || more_usd)
    }
}

/// What decides who may run a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Lender {
    /// Whose model it is.
    pub owner: UserKey,
    /// The model's name.
    pub name: String,
    /// Whether it has an API key of its own.
    pub has_api_key: bool,
    /// Whether it is lent to others.
    pub sharing: Sharing,
    /// Its prices.
    pub prices: Prices,
}

/// What a borrower took of a model today.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Borrowed {
    /// Calls, those under way included.
    pub calls: i64,
    /// US dollars, calls under way at their estimates.
    pub usd: f64,
    /// Today.
    pub day: Day,
}

/// Why somebody may not run a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Its owner does not share it.
    NotShared {
        /// The model's name.
        model: String,
    },
    /// The borrower's cap for today is reached.
    CapReached {
        /// The model's name.
        model: String,
        /// The cap, in words.
        cap: String,
        /// When the next day begins, in words.
        renewed: String,
    },
}

impl Refusal {
    /// A call's estimated cost does not fit into what is left of the cap.
    #[must_use]
    pub fn no_room(lender: &Lender, day: Day) -> Self {
        let Sharing { daily_calls, daily_usd, .. } = lender.sharing;
        let cap = daily_usd.map_or_else(|| format!("{daily_calls} calls"), dollars);
        Self::CapReached { model: lender.name.clone(), cap, renewed: day.end().to_minute() }
    }

    /// Stable name: `model_not_shared` or `shared_cap_reached`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotShared { .. } => "model_not_shared",
            Self::CapReached { .. } => "shared_cap_reached",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotShared { model } => write!(
                out,
                "{model} is called with its owner's API key, and its owner does not share it: leave it out, or ask its \
                 owner to set shared"
            ),
            Self::CapReached { model, cap, renewed } => write!(
                out,
                "the daily cap of {cap} that the owner of {model} sets each borrower is reached; there is more from \
                 {renewed} on"
            ),
        }
    }
}

/// Decides whether a person may make another call of a model: the one rule for runs, graders, retries, rescores,
/// schedules and checks.
///
/// # Errors
/// Why not.
pub fn may_run(
    (user, is_admin): (UserKey, bool),
    lender: &Lender,
    borrowed: Borrowed,
) -> std::result::Result<(), Refusal> {
    if is_admin || lender.owner == user || !lender.has_api_key {
        return Ok(());
    }
    let model = lender.name.clone();
    let Sharing { shared, daily_calls, daily_usd } = lender.sharing;
    if !shared {
        return Err(Refusal::NotShared { model });
    }
    let renewed = borrowed.day.end().to_minute();
    if borrowed.calls >= i64::from(daily_calls) {
        return Err(Refusal::CapReached { model, cap: format!("{daily_calls} calls"), renewed });
    }
    match daily_usd {
        Some(cap) if borrowed.usd >= cap => Err(Refusal::CapReached { model, cap: dollars(cap), renewed }),
        _ => Ok(()),
    }
}

/// Estimates what a call costs in US dollars before it is made: its prompt, and as many output tokens as it may have. 0
/// when the prices are unknown.
#[must_use]
pub fn estimate(prices: &Prices, prompt_bytes: usize, max_tokens: Option<u32>) -> f64 {
    let input = i64::try_from(prompt_bytes / BYTES_PER_TOKEN + 1).unwrap_or(i64::MAX);
    let output = max_tokens.map_or(ASSUMED_OUTPUT_TOKENS, i64::from);
    prices.cost(Some(input), None, Some(output)).unwrap_or(0.0)
}

/// Something that a run of everything leaves out, since whoever started it may not run it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// `model`, or `eval` where it is the eval's grader that may not be run.
    pub noun: &'static str,
    /// Its public id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The refusal's stable name.
    pub code: String,
    /// The refusal in words.
    pub reason: String,
}

/// Who pays for the calls of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payer {
    /// The operator, whose key is used.
    Operator,
    /// The model's owner, whose key is stored with it; what everybody knows the owner by.
    Owner(String),
    /// Nobody known here: it is called without a key, or built in.
    Nobody,
}

impl Payer {
    /// The word in the API.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Owner(_) => "owner",
            Self::Nobody => "nobody",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: UserKey = UserKey(1);
    const OTHER: UserKey = UserKey(2);

    fn lender(has_api_key: bool, sharing: Sharing) -> Lender {
        Lender { owner: OWNER, name: "Paid".to_owned(), has_api_key, sharing, prices: Prices::default() }
    }

    fn borrowed(calls: i64, usd: f64) -> Borrowed {
        Borrowed { calls, usd, day: Day(0) }
    }

    #[test]
    fn a_keyed_model_is_its_owners_admins_and_borrowers() {
        let private = lender(true, Sharing::default());
        let shared = lender(true, Sharing { shared: true, ..Sharing::default() });
        assert_eq!(may_run((OWNER, false), &private, borrowed(999, 0.0)), Ok(()));
        assert_eq!(may_run((OTHER, true), &private, borrowed(999, 0.0)), Ok(()));
        assert_eq!(may_run((OTHER, false), &lender(false, Sharing::default()), borrowed(0, 0.0)), Ok(()));
        let refused = may_run((OTHER, false), &private, borrowed(0, 0.0)).unwrap_err();
        assert_eq!(refused.code(), "model_not_shared");
        assert_eq!(may_run((OTHER, false), &shared, borrowed(199, 0.0)), Ok(()));
        let refused = may_run((OTHER, false), &shared, borrowed(200, 0.0)).unwrap_err();
        assert_eq!(refused.code(), "shared_cap_reached");
        assert!(refused.to_string().contains("200 calls"), "{refused}");
    }

    #[test]
    fn a_cap_in_dollars_is_reached_at_its_amount() {
        let sharing = Sharing { shared: true, daily_usd: Some(1.5), ..Sharing::default() };
        let shared = lender(true, sharing);
        assert_eq!(may_run((OTHER, false), &shared, borrowed(1, 1.49)), Ok(()));
        let refused = may_run((OTHER, false), &shared, borrowed(1, 1.5)).unwrap_err();
        assert!(refused.to_string().contains("$1.50"), "{refused}");
    }

    #[test]
    fn caps_out_of_range_or_without_prices_are_refused() {
        let priced = Prices { input: Some(1.0), output: Some(1.0), ..Prices::default() };
        let field = |sharing: Sharing, prices: &Prices| match sharing.check(prices) {
            Err(Error::Invalid { field, .. }) => field,
            _ => None,
        };
        let of = |daily_calls, daily_usd| Sharing { shared: true, daily_calls, daily_usd };
        for calls in [0, MAX_SHARED_DAILY_CALLS + 1] {
            assert_eq!(field(of(calls, None), &priced).as_deref(), Some("shared_daily_calls"));
        }
        for usd in [0.0, -1.0, 1e7, f64::NAN] {
            assert_eq!(field(of(1, Some(usd)), &priced).as_deref(), Some("shared_daily_usd"));
        }
        assert_eq!(field(of(1, Some(1.0)), &Prices::default()).as_deref(), Some("shared_daily_usd"));
        assert_eq!(field(of(1, Some(1.0)), &priced), None);
    }

    #[test]
    fn only_what_lends_more_is_wider() {
        let of = |shared, daily_calls, daily_usd| Sharing { shared, daily_calls, daily_usd };
        let before = of(true, 100, Some(1.0));
        assert!(of(true, 100, Some(1.0)).is_wider_than(&of(false, 100, Some(1.0))));
        assert!(of(true, 101, Some(1.0)).is_wider_than(&before));
        assert!(of(true, 100, None).is_wider_than(&before));
        assert!(!of(true, 99, Some(0.5)).is_wider_than(&before));
        assert!(!of(false, 1_000, None).is_wider_than(&before));
    }
}
