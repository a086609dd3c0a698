//! The health of an eval, read off its items: which of them tell nobody apart, and which have a key that the
//! better models get wrong.

use super::paired::correlation;
use super::{count, mean, tails};

/// Who solves an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Solvers {
    /// Every model: the item tells none apart any more.
    All,
    /// No model: it does not tell any apart yet, or its key is wrong.
    None,
    /// Some do and some do not.
    Some,
}

/// One item of an eval, over the models that were measured on all of its items.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ItemHealth {
    /// 1 - mean score of the models, 0..1.
    pub difficulty: f64,
    /// Who solves it. An item that all or none solve is dead.
    pub solvers: Solvers,
    /// Correlation over models of the score on this item with the sum of their scores on the others, -1..1.
    /// Below 0 the better models do worse on it: look at its key. `None` where either does not vary.
    pub rest_correlation: Option<f64>,
    /// How likely a correlation that low is by chance, 0..1: one-sided, `t = r sqrt((M - 2) / (1 - r^2))` over M
    /// models with M - 2 degrees of freedom, and never below `1 / M!`, the share of orders of the models that
    /// could be so extreme. `None` as the correlation, and below three models.
    pub low_p: Option<f64>,
}

impl ItemHealth {
    /// Whether all solve it or none.
    pub fn is_dead(&self) -> bool {
        self.solvers != Solvers::Some
    }
}

/// The health of each item. `scores` holds a row for each model with its item scores (0..1) in one order; a
/// model solves an item whose score is at least `pass_threshold`. `None` without models or items, and when
/// rows differ in length.
///
/// With few models the correlation is mostly chance: with three of them it is often -1 or 1.
pub fn item_health<Scores: AsRef<[f64]>>(scores: &[Scores], pass_threshold: f64) -> Option<Vec<ItemHealth>> {
    let rows: Vec<&[f64]> = scores.iter().map(AsRef::as_ref).collect();
    let items = rows.first().map(|row| row.len()).filter(|items| *items > 0)?;
    if rows.iter().any(|row| row.len() != items) {
        return None;
    }
    let totals: Vec<f64> = rows.iter().map(|row| row.iter().sum()).collect();
    let health = |item: usize| {
        let own: Vec<f64> = rows.iter().filter_map(|row| row.get(item).copied()).collect();
        let rest: Vec<f64> = totals.iter().zip(&own).map(|(total, own)| total - own).collect();
        let solved = own.iter().filter(|score| **score >= pass_threshold).count();
        let solvers = match solved {
            0 => Solvers::None,
            all if all == own.len() => Solvers::All,
            _ => Solvers::Some,
        };
        let rest_correlation = correlation(&own, &rest);
        let low_p = rest_correlation.and_then(|correlation| low_p(correlation, own.len()));
        Some(ItemHealth { difficulty: 1.0 - mean(&own)?, solvers, rest_correlation, low_p })
    };
    (0..items).map(health).collect()
}

fn low_p(correlation: f64, models: usize) -> Option<f64> {
    let degrees = count(models) - 2.0;
    let orders: f64 = (1..=models).map(count).product();
    let t = correlation * (degrees / (1.0 - correlation * correlation).max(f64::EPSILON)).sqrt();
    let two_sided = tails::student(t, degrees)?;
    let own = if correlation < 0.0 { two_sided / 2.0 } else { 1.0 - two_sided / 2.0 };
    Some(own.max(1.0 / orders))
}

/// Share of items (0..1) that are dead; `None` without items.
pub fn dead_share(items: &[ItemHealth]) -> Option<f64> {
    let dead = items.iter().filter(|item| item.is_dead()).count();
    (!items.is_empty()).then(|| count(dead) / count(items.len()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::vectors::{assert_close, numbers, section};
    use super::*;

    #[test]
    fn items_are_as_healthy_as_the_reference_ones() {
        let reference = section("items");
        let scores: Vec<Vec<f64>> =
            reference["models_x_items"].as_array().unwrap().iter().map(numbers).collect();
        let items = item_health(&scores, 1.0).unwrap();
        let dead: Vec<usize> = (0..items.len()).filter(|item| items[*item].is_dead()).collect();
        assert_eq!(json!(dead), reference["dead_items"]);
        assert_close(dead_share(&items).unwrap(), &reference["dead_share"]);
        assert_eq!((items[0].solvers, items[3].solvers), (Solvers::All, Solvers::None));
        for (item, health) in items.iter().enumerate() {
            assert_close(health.difficulty, &reference["difficulty"][item]);
            match (health.rest_correlation, &reference["item_rest_corr"][item]) {
                (None, expected) => assert!(expected.is_null(), "item {item}"),
                (Some(correlation), expected) => assert_close(correlation, expected),
            }
        }
    }

    #[test]
    fn a_low_correlation_has_the_p_of_students_test() {
        // t = -0.6 sqrt(10 / 0.64) = -2.3717 with 10 degrees of freedom: 0.0392 two-sided.
        assert!((low_p(-0.6, 12).unwrap() - 0.0196).abs() < 2e-4);
        assert!((low_p(0.6, 12).unwrap() - 0.9804).abs() < 2e-4);
        assert!((low_p(-1.0, 5).unwrap() - 1.0 / 120.0).abs() < 1e-12);
        assert_eq!(low_p(-1.0, 2), None);
    }

    #[test]
    fn solved_follows_the_threshold() {
        let scores = [[0.4, 0.9], [0.6, 0.8]];
        let solvers =
            |threshold| item_health(&scores, threshold).unwrap().into_iter().map(|item| item.solvers);
        assert!(solvers(0.5).eq([Solvers::Some, Solvers::All]));
        assert!(solvers(1.0).eq([Solvers::None, Solvers::None]));
    }

    #[test]
    fn rows_of_unequal_length_and_nothing_have_no_health() {
        assert_eq!(item_health(&[vec![1.0], vec![1.0, 0.0]], 1.0), None);
        assert_eq!(item_health::<Vec<f64>>(&[], 1.0), None);
        assert_eq!(item_health(&[[0.0; 0]], 1.0), None);
        assert_eq!(dead_share(&[]), None);
    }

    #[test]
    fn one_model_leaves_every_item_dead() {
        let items = item_health(&[[1.0, 0.0]], 1.0).unwrap();
        assert_eq!(dead_share(&items), Some(1.0));
        assert!(items.iter().all(|item| item.rest_correlation.is_none()));
    }
}
