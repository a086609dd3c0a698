//! The figures of a comparison: the differences with their tests, who solved how many items, what each took,
//! and the textbook's formulas.

use super::super::format;
use super::super::links;
use super::super::score::Mean;
use super::Name;
use super::plot::{Dot, Plot};
use crate::domain::pairs::{Outcomes, Pair, PairedEval, Spent, Which};
use crate::domain::stats::{Comparison, LEVEL, PairedTest, paired_details};
use crate::error::{Error, Result};

/// The differences, the overall one first.
pub(super) struct Contest {
    pub(super) ticks: [String; 3],
    /// None where it would say the same as the only eval.
    pub(super) overall: Option<Match>,
    pub(super) evals: Vec<Round>,
    /// Whether all items are right or wrong, so that those solved by one alone can be counted.
    pub(super) has_solved: bool,
    /// How the test was made.
    pub(super) test: String,
}

/// A difference with its test.
pub(super) struct Match {
    pub(super) dot: Dot,
    /// Whether it is beyond chance at the level of the board.
    pub(super) is_sure: bool,
    pub(super) p: String,
    /// The two scores in points.
    pub(super) a: String,
    pub(super) b: String,
    pub(super) items: String,
    pub(super) a_only: String,
    pub(super) b_only: String,
}

/// The two on one eval.
pub(super) struct Round {
    pub(super) name: String,
    pub(super) href: String,
    pub(super) is_provisional: bool,
    /// Where each one's answers are.
    pub(super) a_href: String,
    pub(super) b_href: String,
    pub(super) found: Match,
}

/// Who solved how many items.
pub(super) struct Grid {
    pub(super) both: String,
    pub(super) a_only: String,
    pub(super) b_only: String,
    pub(super) neither: String,
}

/// What a model took on the shared items.
pub(super) struct Taken {
    pub(super) model: Name,
    pub(super) cost: String,
    pub(super) latency: String,
    pub(super) input: String,
    pub(super) output: String,
    pub(super) missing: String,
}

/// The textbook's figures of an eval.
pub(super) struct Detail {
    pub(super) eval: String,
    pub(super) cells: [String; 8],
}

impl Contest {
    pub(super) fn of(pair: &Pair, overall: &Comparison) -> Result<Self> {
        let compared = |eval| {
            let found = PairedEval::compare(eval).ok_or_else(|| Error::internal("an eval without items"))?;
            Ok((eval, found))
        };
        let compared: Vec<(&PairedEval, Comparison)> =
            pair.evals().iter().map(compared).collect::<Result<_>>()?;
        let differences: Vec<Mean> =
            compared.iter().map(|(_, found)| found).chain([overall]).map(difference).collect();
        let plot = Plot::over(&differences);
        let is_alone = compared.len() == 1;
        Ok(Self {
            ticks: plot.ticks(),
            overall: (!is_alone)
                .then(|| Match::of(overall, [pair.score(Which::A), pair.score(Which::B)], &plot)),
            has_solved: compared.iter().any(|(_, found)| found.only.is_some()),
            evals: compared.iter().map(|(eval, found)| Round::of(eval, found, &plot)).collect(),
            test: test(overall),
        })
    }
}

impl Match {
    fn of(comparison: &Comparison, scores: [Option<f64>; 2], plot: &Plot) -> Self {
        // As exact as the difference, or the three would not add up.
        let decimals = format::decimals(comparison.difference.interval);
        let [a, b] = scores.map(|score| format::known(score, |score| format::points(score, decimals)));
        Self {
            a,
            b,
            dot: plot.dot(difference(comparison)),
            is_sure: comparison.test.p <= LEVEL,
            p: p_value(comparison.test.p),
            items: count(comparison.difference.items),
            a_only: format::known(comparison.only, |(a, _)| count(a)),
            b_only: format::known(comparison.only, |(_, b)| count(b)),
        }
    }
}

impl Round {
    fn of(eval: &PairedEval, comparison: &Comparison, plot: &Plot) -> Self {
        Self {
            name: eval.direction().headed(&eval.name),
            href: links::eval(&eval.id),
            is_provisional: !eval.counts,
            a_href: links::result(&eval.a.id),
            b_href: links::result(&eval.b.id),
            found: Match::of(comparison, [eval.score(Which::A), eval.score(Which::B)], plot),
        }
    }
}

impl Grid {
    pub(super) fn of(outcomes: Outcomes) -> Self {
        let Outcomes { both, a_only, b_only, neither } = outcomes;
        Self { both: count(both), a_only: count(a_only), b_only: count(b_only), neither: count(neither) }
    }
}

impl Taken {
    pub(super) fn of(model: Name, spent: Spent) -> Self {
        Self {
            model,
            cost: format::known(spent.cost_usd, format::money),
            latency: format::known(spent.latency_p50_ms, format::latency),
            input: format::known(spent.input_tokens, format::count),
            output: format::known(spent.output_tokens, format::count),
            missing: format::count(spent.missing),
        }
    }
}

impl Detail {
    /// None below two items.
    pub(super) fn of(eval: &PairedEval) -> Option<Self> {
        let details = paired_details(&eval.a.scores, &eval.b.scores)?;
        let points = |share: f64| format!("{:.2}", share * 100.0);
        Some(Self {
            eval: eval.name.clone(),
            cells: [
                points(details.stderr_a),
                points(details.stderr_b),
                format::known(details.correlation, |r| format!("{r:.2}")),
                points(details.stderr_unpaired),
                points(details.stderr),
                format::known(details.z, |z| format!("{z:.2}")),
                format::known(details.p_t, p_value),
                format::known(details.p_z, p_value),
            ],
        })
    }
}

/// A difference with its interval.
fn difference(comparison: &Comparison) -> Mean {
    (comparison.difference.mean, comparison.difference.interval)
}

/// How the test of the whole was made, in words.
fn test(comparison: &Comparison) -> String {
    let made = match comparison.test.test {
        PairedTest::McnemarExact => "the exact binomial tail (McNemar's test)",
        PairedTest::SignFlipExact => "counting every flip",
        PairedTest::SignFlipMixed => "the largest differences flipped exactly and the others taken as normal",
    };
    let together = match comparison.units < comparison.difference.items {
        true => " Items of one cluster flip together.",
        false => "",
    };
    let few = match comparison.test.least_p > LEVEL {
        true => " They differ on too few items for it to end in anything but a tie.",
        false => "",
    };
    format!(
        "If neither were better, each difference could as well have fallen the other way: p is the share of \
         such flips that come out at least as far from zero, here by {made}.{together}{few}"
    )
}

fn p_value(p: f64) -> String {
    match p {
        p if p < 0.001 => "< 0.001".to_owned(),
        p if p < 0.1 => format!("{p:.3}"),
        p => format!("{p:.2}"),
    }
}

fn count(number: usize) -> String {
    format::count(i64::try_from(number).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::stats::{SharedEval, compare};

    #[test]
    fn p_has_three_decimals_where_the_third_could_matter() {
        assert_eq!(
            [0.000_4, 0.002, 0.049_6, 0.38, 1.0].map(p_value),
            ["< 0.001", "0.002", "0.050", "0.38", "1.00"]
        );
    }

    #[test]
    fn a_test_that_could_only_end_in_a_tie_says_so() {
        let one = |a: &[f64], b: &[f64]| {
            test(&compare(&[SharedEval { weight: 1.0, a, b, clusters: None }]).unwrap())
        };
        assert!(one(&[1.0, 1.0, 0.0], &[0.0, 1.0, 0.0]).contains("too few items"));
        assert!(!one(&[1.0; 8], &[0.0; 8]).contains("too few items"));
    }
}
