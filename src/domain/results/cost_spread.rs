//! How sure a cost per solved item is, from sums that every result keeps: no case is read again for it.

/// Sums over the items of one result, a case belonging to its item.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CostSpread {
    /// Of the squared costs, in squared US dollars.
    pub costs_squared: f64,
    /// Of cost times passed cases, in US dollars.
    pub cost_times_passed: f64,
    /// Of the squared numbers of passed cases.
    pub passed_squared: f64,
}

/// What the items of one eval cost, and how many cases of them passed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spend {
    /// Items.
    pub items: f64,
    /// US dollars.
    pub cost: f64,
    /// Cases that passed.
    pub passed: f64,
    /// How both spread over the items.
    pub spread: CostSpread,
}

impl CostSpread {
    /// The sums over items of which each is given by its cost in US dollars and its number of passed cases.
    #[must_use]
    pub fn over(items: &[(f64, f64)]) -> Self {
        items.iter().fold(Self::default(), |sums, (cost, passed)| Self {
            costs_squared: sums.costs_squared + cost * cost,
            cost_times_passed: sums.cost_times_passed + cost * passed,
            passed_squared: sums.passed_squared + passed * passed,
        })
    }
}

/// The standard error, in US dollars, of all costs divided by all that passed: the delta method on the ratio of two
/// sums, the evals being strata. For one eval it is [`cost_per_solved`](crate::domain::stats::cost_per_solved)'s.
/// `None` where nothing passed, and where an eval has fewer than two items.
#[must_use]
pub fn cost_stderr(evals: &[Spend]) -> Option<f64> {
    let passed: f64 = evals.iter().map(|eval| eval.passed).sum();
    let ratio = evals.iter().map(|eval| eval.cost).sum::<f64>() / passed;
    if passed <= 0.0 || evals.iter().any(|eval| eval.items < 2.0) {
        return None;
    }
    let variance: f64 = evals.iter().map(|eval| eval.residual_variance(ratio)).sum();
    Some(variance.max(0.0).sqrt() / passed)
}

impl Spend {
    /// The variance of the sum of `cost - ratio * passed` over its items.
    fn residual_variance(&self, ratio: f64) -> f64 {
        let CostSpread { costs_squared, cost_times_passed, passed_squared } = self.spread;
        let squares = costs_squared - 2.0 * ratio * cost_times_passed + ratio * ratio * passed_squared;
        let sum = self.cost - ratio * self.passed;
        self.items / (self.items - 1.0) * (squares - sum * sum / self.items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::stats;

    fn spend(items: &[(f64, f64)]) -> Spend {
        Spend {
            items: f64::from(u32::try_from(items.len()).unwrap()),
            cost: items.iter().map(|item| item.0).sum(),
            passed: items.iter().map(|item| item.1).sum(),
            spread: CostSpread::over(items),
        }
    }

    #[test]
    fn one_eval_has_the_standard_error_of_the_delta_method() {
        let items = [(0.02, 1.0), (0.03, 0.0), (0.01, 1.0), (0.05, 1.0), (0.02, 0.0)];
        let (costs, solved): (Vec<f64>, Vec<bool>) =
            items.iter().map(|(cost, passed)| (*cost, *passed > 0.0)).unzip();
        let expected = stats::cost_per_solved(&costs, &solved).unwrap().stderr.unwrap();
        assert!((cost_stderr(&[spend(&items)]).unwrap() - expected).abs() < 1e-12);
    }

    #[test]
    fn evals_of_other_prices_are_strata() {
        // Neither eval has any spread of its own, so that the ratio is known exactly.
        let (cheap, dear) = (spend(&[(0.01, 1.0); 4]), spend(&[(0.5, 1.0); 4]));
        assert!(cost_stderr(&[cheap, dear]).unwrap() < 1e-9);
    }

    #[test]
    fn nothing_passed_or_one_item_has_no_standard_error() {
        assert_eq!(cost_stderr(&[spend(&[(0.1, 0.0), (0.2, 0.0)])]), None);
        assert_eq!((cost_stderr(&[spend(&[(0.1, 1.0)])]), cost_stderr(&[])), (None, None));
    }
}
