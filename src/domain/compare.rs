//! What is said about two models: one sentence in fixed words, made of what [`super::stats::compare()`] found.
//!
//! Plain text: names are put in as they are, and whoever shows it escapes it. It tests nothing itself, and its
//! p is that of the one pair, not corrected for others: a reader asked for these two. On the board, where
//! nobody chose the pair, [`super::stats::Standings`] decides.

use super::stats::{Comparison, Interval, LEVEL};
use super::text;

/// A model as the sentence speaks of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Side<'a> {
    /// Its name.
    pub name: &'a str,
    /// What the shared items cost, in any unit that both have; `None` when unknown.
    pub cost: Option<f64>,
}

/// Which of two models is ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lead {
    /// The first.
    First,
    /// The second.
    Second,
    /// Neither: a tie, which is not to say that they are equal.
    Neither,
}

/// Who is ahead by this pair's own test, at [`LEVEL`].
#[must_use]
pub fn lead(comparison: &Comparison) -> Lead {
    if comparison.test.p > LEVEL {
        Lead::Neither
    } else if comparison.difference.mean > 0.0 {
        Lead::First
    } else {
        Lead::Second
    }
}

/// The sentence about `a` and `b`, such as `A and B are tied on 1,319 shared items (p = 0.38); A costs 6.1
/// times as much.` or `A is ahead of B by 3.1 points (95 % 1.2 to 5.0, p = 0.002) on 1,319 shared items.`
///
/// The first says what the dearer one costs of what the other does, where both costs are known and above 0. The
/// second leaves out the interval where there is none. `comparison` is `None` where they share no items.
#[must_use]
pub fn sentence(a: Side<'_>, b: Side<'_>, comparison: Option<&Comparison>) -> String {
    let Some(comparison) = comparison else {
        return format!("{} and {} share no items.", a.name, b.name);
    };
    let interval = comparison.difference.interval.map(|own| own.clipped(-1.0, 1.0));
    match lead(comparison) {
        Lead::Neither => tied(a, b, comparison),
        Lead::First => ahead(a, b, comparison.difference.mean, interval, comparison),
        Lead::Second => {
            let turned = interval.map(|own| Interval { low: -own.high, high: -own.low });
            ahead(b, a, -comparison.difference.mean, turned, comparison)
        }
    }
}

fn tied(a: Side<'_>, b: Side<'_>, comparison: &Comparison) -> String {
    let (items, p) = (shared_items(comparison), p_value(comparison.test.p));
    let cost = dearer(a, b).map(|cost| format!("; {cost}")).unwrap_or_default();
    format!("{} and {} are tied on {items} ({p}){cost}.", a.name, b.name)
}

fn ahead(
    leader: Side<'_>,
    other: Side<'_>,
    difference: f64,
    interval: Option<Interval>,
    comparison: &Comparison,
) -> String {
    // A lead is not shown as 0.0.
    let decimals = if difference < 0.000_5 { 3 } else { 1 };
    let interval = interval
        .map(|own| format!("95 % {} to {}, ", points(own.low, decimals), points(own.high, decimals)))
        .unwrap_or_default();
    format!(
        "{} is ahead of {} by {} points ({interval}{}) on {}.",
        leader.name,
        other.name,
        points(difference, decimals),
        p_value(comparison.test.p),
        shared_items(comparison)
    )
}

/// Which one costs more, and how many times what the other costs.
fn dearer(a: Side<'_>, b: Side<'_>) -> Option<String> {
    let (own, theirs) = a.cost.zip(b.cost).filter(|(own, theirs)| *own > 0.0 && *theirs > 0.0)?;
    let (name, ratio) = if own >= theirs { (a.name, own / theirs) } else { (b.name, theirs / own) };
    // What would read "1.0 times".
    let is_same = ratio < 1.05;
    Some(if is_same {
        "both cost the same".to_owned()
    } else {
        format!("{name} costs {ratio:.1} times as much")
    })
}

fn shared_items(comparison: &Comparison) -> String {
    let items = comparison.difference.items;
    let ending = if items == 1 { "" } else { "s" };
    format!("{} shared item{ending}", text::thousands(items))
}

/// A share in points of 100, without a sign before 0.
fn points(share: f64, decimals: usize) -> String {
    let points = format!("{:.decimals$}", 100.0 * share);
    let is_zero = points.chars().all(|each| matches!(each, '-' | '0' | '.'));
    if is_zero { points.replace('-', "") } else { points }
}

/// Three decimals where the third could matter.
fn p_value(p: f64) -> String {
    match p {
        p if p < 0.001 => "p < 0.001".to_owned(),
        p if p < 0.1 => format!("p = {p:.3}"),
        p => format!("p = {p:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::stats::{CiMethod, PairedTest, SharedEval, SignFlip, SuiteSummary, compare};
    use super::*;

    fn side(name: &str, cost: impl Into<Option<f64>>) -> Side<'_> {
        Side { name, cost: cost.into() }
    }

    fn found(difference: f64, margin: f64, p: f64) -> Comparison {
        let interval = Interval { low: difference - margin, high: difference + margin };
        let difference = SuiteSummary {
            mean: difference,
            stderr: Some(margin / 2.0),
            interval: Some(interval),
            method: Some(CiMethod::Normal),
            items: 1319,
            evals: 1,
        };
        let test = SignFlip { p, test: PairedTest::McnemarExact, least_p: 0.0 };
        Comparison { difference, test, units: 1319, only: None }
    }

    fn say(cost_a: Option<f64>, cost_b: Option<f64>, comparison: &Comparison) -> String {
        sentence(side("A", cost_a), side("B", cost_b), Some(comparison))
    }

    #[test]
    fn a_tie_names_the_dearer_one() {
        let tie = found(0.003, 0.01, 0.381);
        let said = "A and B are tied on 1,319 shared items (p = 0.38); ";
        assert_eq!(say(Some(12.2), Some(2.0), &tie), format!("{said}A costs 6.1 times as much."));
        assert_eq!(say(Some(2.0), Some(12.2), &tie), format!("{said}B costs 6.1 times as much."));
        assert_eq!(say(Some(2.0), Some(2.04), &tie), format!("{said}both cost the same."));
        let alone = "A and B are tied on 1,319 shared items (p = 0.38).";
        for (cost_a, cost_b) in [(None, Some(1.0)), (Some(1.0), None), (Some(0.0), Some(1.0))] {
            assert_eq!(say(cost_a, cost_b, &tie), alone);
        }
    }

    #[test]
    fn a_lead_is_told_from_the_side_that_has_it() {
        let said = "is ahead of";
        let rest = "by 3.1 points (95 % 1.2 to 5.0, p = 0.002) on 1,319 shared items.";
        assert_eq!(say(None, None, &found(0.031, 0.019, 0.0021)), format!("A {said} B {rest}"));
        assert_eq!(say(Some(1.0), Some(9.0), &found(-0.031, 0.019, 0.0021)), format!("B {said} A {rest}"));
    }

    #[test]
    fn small_numbers_are_not_rounded_away() {
        let text = say(None, None, &found(0.000_02, 0.000_015, 1e-9));
        assert_eq!(
            text,
            "A is ahead of B by 0.002 points (95 % 0.001 to 0.004, p < 0.001) on 1,319 shared items."
        );
        let text = say(None, None, &found(0.01, 0.0101, 0.049));
        assert_eq!(text, "A is ahead of B by 1.0 points (95 % 0.0 to 2.0, p = 0.049) on 1,319 shared items.");
    }

    #[test]
    fn a_lead_on_every_item_has_an_interval() {
        let (a, b) = ([1.0; 8], [0.0; 8]);
        let comparison = compare(&[SharedEval { weight: 1.0, a: &a, b: &b, clusters: None }]).unwrap();
        assert_eq!(lead(&comparison), Lead::First);
        assert_eq!(
            say(None, None, &comparison),
            "A is ahead of B by 100.0 points (95 % 72.3 to 100.0, p = 0.008) on 8 shared items."
        );
    }

    #[test]
    fn one_item_or_none_is_said_so() {
        let comparison =
            compare(&[SharedEval { weight: 1.0, a: &[1.0], b: &[0.0], clusters: None }]).unwrap();
        assert_eq!(say(None, None, &comparison), "A and B are tied on 1 shared item (p = 1.00).");
        assert_eq!(sentence(side("A", 1.0), side("B", 2.0), None), "A and B share no items.");
    }

    #[test]
    fn names_are_left_as_they_are() {
        let text = sentence(side("<b>{}", None), side("& co", None), None);
        assert_eq!(text, "<b>{} and & co share no items.");
    }
}
