//! What a member may spend on the operator's keys in a day, and whether that is spent.
//!
//! Only cases that were recorded count: calls that are broken off, or that fail, have no known cost.

use super::runs::dollars;
use super::time::Millis;

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

/// A day in UTC: days since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day(pub i64);

impl Day {
    /// The day of a moment.
    #[must_use]
    pub const fn of(at: Millis) -> Self {
        Self(at.0.div_euclid(DAY))
    }

    /// When the next one begins.
    #[must_use]
    pub const fn end(self) -> Millis {
        Millis(self.0.saturating_add(1).saturating_mul(DAY))
    }
}

/// What something cost on the operator's keys, in US dollars.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Charge {
    /// Nothing of it was asked there.
    Nothing,
    /// So much.
    Usd(f64),
    /// Something, and nobody knows how much.
    Unknown,
}

impl Charge {
    /// What was asked there, at a cost that may be unknown.
    #[must_use]
    pub fn of(cost_usd: Option<f64>) -> Self {
        cost_usd.map_or(Self::Unknown, Self::Usd)
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, one) | (one, Self::Nothing) => one,
            (Self::Usd(one), Self::Usd(more)) => Self::Usd(one + more),
            _ => Self::Unknown,
        }
    }
}

/// A member's cap, and what he spent of it today. Admins have none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Allowance {
    /// US dollars a day, 0 or more; none when the person may not spend, or is an admin and may spend anything.
    pub cap_usd: Option<f64>,
    /// US dollars; none when a part of it is unknown.
    pub spent_usd: Option<f64>,
    /// Today.
    pub day: Day,
}

impl Allowance {
    /// Why nothing more may be spent today, in words; none while something may, or there is no cap. `whose` is said in
    /// words too, such as `your`: a run's note is for everybody, and names nobody's address.
    #[must_use]
    pub fn exhausted(&self, whose: &str) -> Option<String> {
        let cap = dollars(self.cap_usd?);
        match self.spent_usd {
            None => Some(format!(
                "{whose} cap of {cap} for today cannot be held any longer: what a case cost is not known"
            )),
            Some(spent) if Some(spent) >= self.cap_usd => Some(format!(
                "{whose} cap of {cap} for today is spent: {} went to models that the operator pays, not \
                 counting calls that were broken off",
                dollars(spent)
            )),
            Some(_) => None,
        }
    }

    /// When the next day's begins, in words.
    #[must_use]
    pub fn renewed(&self) -> String {
        self.day.end().to_minute()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_a_day_in_utc() {
        let noon = Millis(1_795_305_600_000);
        let day = Day::of(noon);
        assert_eq!(day.end().to_minute(), "2026-11-23 00:00 UTC");
        assert_eq!(Day::of(day.end()).0, day.0 + 1);
        assert_eq!(Day::of(day.end().plus(-1)), day);
    }

    #[test]
    fn what_is_unknown_of_one_part_is_unknown_of_the_whole() {
        use Charge::{Nothing, Unknown, Usd};
        for (one, other, both) in [
            (Nothing, Nothing, Nothing),
            (Nothing, Usd(1.0), Usd(1.0)),
            (Usd(1.0), Usd(2.0), Usd(3.0)),
            (Unknown, Nothing, Unknown),
            (Unknown, Usd(1.0), Unknown),
        ] {
            assert_eq!((one.and(other), other.and(one)), (both, both));
        }
        assert_eq!(Charge::of(None), Unknown);
    }

    #[test]
    fn a_cap_is_spent_when_it_is_reached_or_the_cost_is_unknown() {
        let of = |cap_usd, spent_usd| {
            Allowance { cap_usd, spent_usd, day: Day(0) }.exhausted("your").unwrap_or_default()
        };
        assert_eq!(of(Some(5.0), Some(4.99)), "");
        assert_eq!((of(None, Some(9.0)), of(None, None)), (String::new(), String::new()));
        let spent = of(Some(5.0), Some(5.25));
        assert!(spent.starts_with("your cap of $5.00 for today is spent: $5.25"), "{spent}");
        assert!(of(Some(0.0), Some(0.0)).contains("cap of $0.00 for today is spent"));
        assert!(of(Some(5.0), None).contains("not known"));
    }
}
