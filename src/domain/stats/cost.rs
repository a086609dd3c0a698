//! What a solved item costs, and which models no other makes pointless. Prices and tokens are not known here.

use super::{Interval, count};

/// Cost per solved item and how sure it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CostPerSolved {
    /// All costs / all solved, in the unit of the costs (US dollars on the board).
    pub cost: f64,
    /// Standard error of `cost`; `None` for one item.
    pub stderr: Option<f64>,
}

/// Cost per solved item: `costs` and whether `solved`, item by item. What was spent on unsolved items counts.
///
/// `R = sum cost / sum solved`, a ratio of two sums over the same items, whose standard error comes from the
/// delta method: `sqrt(n / (n - 1) sum (cost_i - R solved_i)^2) / sum solved` (Cochran 1977, section 2.11).
/// `None` when nothing was solved, and for unequal lists.
pub fn cost_per_solved(costs: &[f64], solved: &[bool]) -> Option<CostPerSolved> {
    let total = count(solved.iter().filter(|solved| **solved).count());
    if costs.len() != solved.len() || total == 0.0 {
        return None;
    }
    let cost = costs.iter().sum::<f64>() / total;
    let residuals = costs.iter().zip(solved).map(|(own, solved)| own - if *solved { cost } else { 0.0 });
    let squares: f64 = residuals.map(|residual| residual.powi(2)).sum();
    let degrees = costs.len().checked_sub(1).filter(|degrees| *degrees > 0);
    let stderr = degrees.map(|degrees| (count(costs.len()) / count(degrees) * squares).sqrt() / total);
    Some(CostPerSolved { cost, stderr })
}

/// A model as a point of score against cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Offer {
    /// Score; more is better.
    pub score: f64,
    /// Interval of the score, where it has one.
    pub interval: Option<Interval>,
    /// Cost, in any one unit; less is better. `None` where it is unknown.
    pub cost: Option<f64>,
}

/// What an [`Offer`] is worth beside the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worth {
    /// On the Pareto frontier: no other is at least as good in both and better in one.
    Frontier,
    /// Behind, but so little that it may be chance: its score is within the interval of each one on the
    /// frontier that it is behind. Drawn dashed. This is a hint for the eye and not a test.
    Near,
    /// Behind.
    Behind,
    /// Its cost is unknown, so it is left out and puts nobody behind.
    Unknown,
}

/// What each of `offers` is worth, in their order. Equal offers stand or fall together.
pub fn pareto(offers: &[Offer]) -> Vec<Worth> {
    let is_ahead = |other: &Offer, own: &Offer| match (other.cost, own.cost) {
        (Some(theirs), Some(ours)) => {
            other.score >= own.score && theirs <= ours && (other.score > own.score || theirs < ours)
        }
        _ => false,
    };
    let is_on_frontier = |own: &Offer| own.cost.is_some() && !offers.iter().any(|other| is_ahead(other, own));
    let frontier: Vec<&Offer> = offers.iter().filter(|offer| is_on_frontier(offer)).collect();
    let worth = |own: &Offer| {
        let mut ahead = frontier.iter().copied().filter(|other| is_ahead(other, own));
        let is_within = |other: &Offer| other.interval.is_some_and(|interval| interval.holds(own.score));
        if own.cost.is_none() {
            Worth::Unknown
        } else if is_on_frontier(own) {
            Worth::Frontier
        } else if ahead.all(is_within) {
            Worth::Near
        } else {
            Worth::Behind
        }
    };
    offers.iter().map(worth).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::vectors::{assert_close, numbers, section};
    use super::*;

    fn offer(score: f64, cost: impl Into<Option<f64>>) -> Offer {
        Offer { score, interval: None, cost: cost.into() }
    }

    #[test]
    fn the_cost_of_a_solved_item_is_the_reference_one() {
        let reference = section("cost_per_solved");
        let solved: Vec<bool> = numbers(&reference["solved"]).iter().map(|solved| *solved > 0.0).collect();
        let per_solved = cost_per_solved(&numbers(&reference["cost"]), &solved).unwrap();
        assert_close(per_solved.cost, &reference["usd_per_solved"]);
        assert_close(per_solved.stderr.unwrap(), &reference["se_delta"]);
    }

    #[test]
    fn nothing_solved_has_no_cost_per_solved() {
        assert_eq!(cost_per_solved(&[1.0, 2.0], &[false, false]), None);
        assert_eq!((cost_per_solved(&[], &[]), cost_per_solved(&[1.0], &[true, true])), (None, None));
        let one = CostPerSolved { cost: 2.0, stderr: None };
        assert_eq!(cost_per_solved(&[2.0], &[true]), Some(one));
    }

    #[test]
    fn the_frontier_is_the_reference_one() {
        let reference = section("pareto");
        let points = reference["points"].as_array().unwrap();
        let offers: Vec<Offer> =
            points.iter().map(|point| offer(point[1].as_f64().unwrap(), point[2].as_f64())).collect();
        let worths = pareto(&offers);
        let names = |wanted: Worth| -> Vec<&serde_json::Value> {
            let both = points.iter().zip(&worths);
            both.filter(|(_, worth)| **worth == wanted).map(|(point, _)| &point[0]).collect()
        };
        assert_eq!(serde_json::json!(names(Worth::Frontier)), reference["frontier"]);
        assert_eq!(names(Worth::Unknown), ["i"]);
        assert_eq!(names(Worth::Behind), ["c", "g", "h"]);
    }

    #[test]
    fn within_the_interval_of_whoever_is_ahead_is_near() {
        let wide = |score: f64, cost: f64| Offer {
            interval: Some(Interval { low: score - 0.1, high: score + 0.1 }),
            ..offer(score, cost)
        };
        let worths = pareto(&[wide(0.8, 1.0), offer(0.75, 2.0), offer(0.6, 2.0)]);
        assert_eq!(worths, [Worth::Frontier, Worth::Near, Worth::Behind]);
        // Near the one and clearly behind the other.
        let worths = pareto(&[wide(0.8, 1.0), wide(0.95, 1.5), offer(0.75, 2.0)]);
        assert_eq!(worths, [Worth::Frontier, Worth::Frontier, Worth::Behind]);
    }

    proptest! {
        #[test]
        fn the_best_and_the_cheapest_are_never_behind(
            points in prop::collection::vec((0.0..1.0, 0.0..9.0), 1..20),
        ) {
            let offers: Vec<Offer> = points.iter().map(|(score, cost)| offer(*score, *cost)).collect();
            let worths = pareto(&offers);
            let frontier: Vec<&Offer> = offers
                .iter()
                .zip(&worths)
                .filter(|(_, worth)| **worth == Worth::Frontier)
                .map(|(offer, _)| offer)
                .collect();
            for own in &offers {
                let no_worse =
                    |other: &&&Offer| other.score >= own.score && other.cost.unwrap() <= own.cost.unwrap();
                prop_assert!(frontier.iter().any(|other| no_worse(&other)));
            }
        }
    }
}
