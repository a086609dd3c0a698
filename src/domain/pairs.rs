//! Two models on the evals that both are measured on: what each did there, and the items they differ on.
//!
//! Which results those are is the store's to find; how sure a difference is, [`stats::compare()`] says, and
//! [`super::compare`] puts it into words.

use serde::Deserialize;

use super::cases::Case;
use super::direction::{Direction, PassMark};
use super::id::{EvalId, EvalKey, ResultId, ResultKey, UserKey, VersionKey};
use super::leaderboard::shares;
use super::page::{Cursor, Page, Slice};
use super::pooling::{Member, PooledItems};
use super::stats::{self, Comparison, SharedEval};

/// Scores that differ by no more than this are the same: what rounding leaves of nothing.
const ROUNDING: f64 = 1e-9;

/// One of the two models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// The first.
    A,
    /// The second.
    B,
}

/// What a model took. None is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Spent {
    /// US dollars.
    pub cost_usd: Option<f64>,
    /// Median latency in milliseconds; over several evals the median of their medians.
    pub latency_p50_ms: Option<f64>,
    /// Input tokens, cached ones included.
    pub input_tokens: Option<i64>,
    /// Output tokens, reasoning included.
    pub output_tokens: Option<i64>,
    /// Cases that could not be measured; they count as wrong.
    pub missing: i64,
}

/// One model's result on an eval.
#[derive(Debug, Clone, PartialEq)]
pub struct Half {
    /// Table key.
    pub key: ResultKey,
    /// Public id.
    pub id: ResultId,
    /// What each item counts as by position, 0..1; 0 where nothing was measured.
    pub scores: Vec<f64>,
    /// What it took; of pooled results what one of them took on average, and all that is missing.
    pub spent: Spent,
    /// Complete results that it is over: 1, and more where they are pooled.
    pub pooled: i64,
}

/// An eval version on which both models have a complete result.
#[derive(Debug, Clone, PartialEq)]
pub struct PairedEval {
    /// Table key of the eval.
    pub key: EvalKey,
    /// Public id of the eval.
    pub id: EvalId,
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub owner: UserKey,
    /// Whether its targets are withheld.
    pub hidden_targets: bool,
    /// The version.
    pub version: VersionKey,
    /// From which score on a case passes, and which way scores are better.
    pub pass: PassMark,
    /// Its share relative to the others, above 0.
    pub weight: f64,
    /// Whether it counts in the overall difference.
    pub counts: bool,
    /// Cluster of the item at the same place, where the eval has clusters.
    pub clusters: Option<Vec<u64>>,
    /// What the first model did.
    pub a: Half,
    /// What the second did.
    pub b: Half,
}

/// Items that are wholly right or wrong, by who solved them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcomes {
    /// Solved by both.
    pub both: usize,
    /// Solved by the first alone.
    pub a_only: usize,
    /// Solved by the second alone.
    pub b_only: usize,
    /// Solved by neither.
    pub neither: usize,
}

/// An item with two different scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Disagreement<'p> {
    /// The eval.
    pub eval: &'p PairedEval,
    /// Position of its sample, from 0.
    pub position: i64,
    /// What the first model's score counts as, 0..1, its epochs reduced to one.
    pub a: f64,
    /// What the second's counts as.
    pub b: f64,
}

/// Which disagreements are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Those of this eval; else of all that count.
    pub eval: Option<EvalId>,
    /// Those on which this model scored more.
    pub ahead: Option<Which>,
}

/// Two models on all evals that both are measured on.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    evals: Vec<PairedEval>,
}

impl Half {
    /// The same over `pooled` items, which `members` amount to.
    #[must_use]
    pub fn pooled(self, pooled: &PooledItems, members: &[Member]) -> Self {
        let costs: Option<f64> = members.iter().map(|member| member.cost_usd).sum();
        let tokens = |of: fn(&Member) -> Option<i64>| {
            let sum: i64 = members.iter().map(of).sum::<Option<i64>>()?;
            sum.checked_div(pooled.results())
        };
        let latencies: Vec<f64> = members.iter().filter_map(|member| member.latency_p50_ms).collect();
        let spent = Spent {
            cost_usd: costs.map(|cost| cost / to_f64(members.len())),
            latency_p50_ms: stats::percentile(&latencies, 50),
            input_tokens: tokens(|member| member.input_tokens),
            output_tokens: tokens(|member| member.output_tokens),
            missing: members.iter().map(|member| member.missing).sum(),
        };
        Self { scores: pooled.means(), spent, pooled: pooled.results(), ..self }
    }

    /// Mean over the items of what they count as; none without items.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (!self.scores.is_empty()).then(|| self.scores.iter().sum::<f64>() / to_f64(self.scores.len()))
    }
}

impl PairedEval {
    /// Which way its scores are better.
    #[must_use]
    pub const fn direction(&self) -> Direction {
        self.pass.direction
    }

    /// The mean score of one of them as it is shown; none without items.
    #[must_use]
    pub fn score(&self, which: Which) -> Option<f64> {
        self.half(which).mean().map(|counted| self.direction().counted(counted))
    }

    /// What one of them did.
    #[must_use]
    pub const fn half(&self, which: Which) -> &Half {
        match which {
            Which::A => &self.a,
            Which::B => &self.b,
        }
    }

    /// The two compared on this eval alone; none without items.
    #[must_use]
    pub fn compare(&self) -> Option<Comparison> {
        stats::compare(&[self.shared(1.0)])
    }

    fn shared(&self, weight: f64) -> SharedEval<'_> {
        SharedEval { weight, a: &self.a.scores, b: &self.b.scores, clusters: self.clusters.as_deref() }
    }

    fn disagreements(&self) -> impl Iterator<Item = Disagreement<'_>> {
        let scores = (0..).zip(self.a.scores.iter().zip(&self.b.scores));
        let items = scores.map(|(position, (a, b))| Disagreement { eval: self, position, a: *a, b: *b });
        items.filter(|item| item.ahead().is_some())
    }
}

impl Disagreement<'_> {
    /// Who scored more; nobody where they agree.
    #[must_use]
    pub fn ahead(&self) -> Option<Which> {
        match self.a - self.b {
            difference if difference > ROUNDING => Some(Which::A),
            difference if difference < -ROUNDING => Some(Which::B),
            _ => None,
        }
    }

    /// The score of one of them as it is shown.
    #[must_use]
    pub fn score(&self, which: Which) -> f64 {
        let counted = match which {
            Which::A => self.a,
            Which::B => self.b,
        };
        self.eval.direction().counted(counted)
    }

    fn cursor(&self) -> Cursor {
        Cursor { sort: self.eval.version.0, key: self.position }
    }
}

impl Pair {
    /// The pair with those evals, each once, in the order they are to be shown in. Where none of them counts
    /// on the board yet, all of them count here: better than to say nothing.
    #[must_use]
    pub fn new(mut evals: Vec<PairedEval>) -> Self {
        if evals.iter().all(|eval| !eval.counts) {
            evals.iter_mut().for_each(|eval| eval.counts = true);
        }
        Self { evals }
    }

    /// All evals.
    #[must_use]
    pub fn evals(&self) -> &[PairedEval] {
        &self.evals
    }

    /// The eval of that id, if both are measured on it.
    #[must_use]
    pub fn eval(&self, id: &EvalId) -> Option<&PairedEval> {
        self.evals.iter().find(|eval| eval.id == *id)
    }

    /// Those that count in the overall difference.
    pub fn counted(&self) -> impl Iterator<Item = &PairedEval> {
        self.evals.iter().filter(|eval| eval.counts)
    }

    /// The two compared on all evals that count; none where they share no items.
    #[must_use]
    pub fn compare(&self) -> Option<Comparison> {
        // Shares, so that no weight is so small that its square is nothing.
        let weights: Vec<f64> = self.counted().map(|eval| eval.weight).collect();
        let shares = shares(&weights);
        let evals = self.counted().zip(shares).map(|(eval, share)| eval.shared(share));
        stats::compare(&evals.collect::<Vec<_>>())
    }

    /// Weighted mean score of one of them over the evals that count; none without items.
    #[must_use]
    pub fn score(&self, which: Which) -> Option<f64> {
        let means = self.counted().map(|eval| Some((eval.weight, eval.half(which).mean()?)));
        let means: Vec<(f64, f64)> = means.collect::<Option<_>>()?;
        let weight: f64 = means.iter().map(|(weight, _)| weight).sum();
        (weight > 0.0).then(|| means.iter().map(|(weight, mean)| weight * mean).sum::<f64>() / weight)
    }

    /// The most results that one score of either is over: 1, and more where they are pooled.
    #[must_use]
    pub fn most_pooled(&self) -> i64 {
        self.evals.iter().map(|eval| eval.a.pooled.max(eval.b.pooled)).max().unwrap_or(1)
    }

    /// What one of them took on the evals that count. A sum of which one part is unknown is unknown.
    #[must_use]
    pub fn spent(&self, which: Which) -> Spent {
        let parts: Vec<Spent> = self.counted().map(|eval| eval.half(which).spent).collect();
        if parts.is_empty() {
            return Spent::default();
        }
        let latencies: Vec<f64> = parts.iter().filter_map(|part| part.latency_p50_ms).collect();
        Spent {
            cost_usd: parts.iter().map(|part| part.cost_usd).sum(),
            latency_p50_ms: stats::percentile(&latencies, 50),
            input_tokens: parts.iter().map(|part| part.input_tokens).sum(),
            output_tokens: parts.iter().map(|part| part.output_tokens).sum(),
            missing: parts.iter().map(|part| part.missing).sum(),
        }
    }

    /// Who solved how many of the items of the evals that count; none unless all are wholly right or wrong.
    #[must_use]
    pub fn outcomes(&self) -> Option<Outcomes> {
        let mut outcomes = Outcomes { both: 0, a_only: 0, b_only: 0, neither: 0 };
        for (a, b) in self.counted().flat_map(|eval| eval.a.scores.iter().zip(&eval.b.scores)) {
            let slot = match (is_solved(*a)?, is_solved(*b)?) {
                (true, true) => &mut outcomes.both,
                (true, false) => &mut outcomes.a_only,
                (false, true) => &mut outcomes.b_only,
                (false, false) => &mut outcomes.neither,
            };
            *slot += 1;
        }
        Some(outcomes)
    }

    /// Items on which they differ: the eval version that was made first before the others, and each in the order
    /// of its samples.
    #[must_use]
    pub fn disagreements(&self, wanted: &Wanted, page: Page) -> Slice<Disagreement<'_>> {
        let all = self.wanted(wanted);
        let total = i64::try_from(all.len()).unwrap_or(i64::MAX);
        let position = |item: &Disagreement<'_>| (item.cursor().sort, item.cursor().key);
        let is_behind =
            |item: &Disagreement<'_>| page.after.is_none_or(|after| position(item) > (after.sort, after.key));
        // One more than the page holds says that there is more.
        let most = usize::try_from(page.limit).unwrap_or(usize::MAX).saturating_add(1);
        let rows: Vec<_> = all.into_iter().filter(is_behind).take(most).collect();
        Slice::cut(rows, page, total, Disagreement::cursor)
    }

    /// How many there are on which the first scored more, and how many on which the second did.
    #[must_use]
    pub fn count_ahead(&self, eval: Option<&EvalId>) -> (usize, usize) {
        let all = self.wanted(&Wanted { eval: eval.cloned(), ahead: None });
        let first = all.iter().filter(|item| item.ahead() == Some(Which::A)).count();
        (first, all.len() - first)
    }

    fn wanted(&self, wanted: &Wanted) -> Vec<Disagreement<'_>> {
        let is_asked = |eval: &&PairedEval| match &wanted.eval {
            Some(id) => eval.id == *id,
            None => eval.counts,
        };
        let mut evals: Vec<&PairedEval> = self.evals.iter().filter(is_asked).collect();
        evals.sort_by_key(|eval| eval.version);
        let items = evals.into_iter().flat_map(PairedEval::disagreements);
        items.filter(|item| wanted.ahead.is_none() || item.ahead() == wanted.ahead).collect()
    }
}

/// The case that stands for an item of that score: of its epochs the first whose own score is nearest to it,
/// one without a score taken as wrong. None without cases.
#[must_use]
pub fn nearest(cases: Vec<Case>, score: f64, direction: Direction) -> Option<Case> {
    let distance = |case: &Case| (case.score.unwrap_or_else(|| direction.counted(0.0)) - score).abs();
    cases.into_iter().min_by(|one, other| distance(one).total_cmp(&distance(other)))
}

/// Whether a score is right, or wrong; none where it is something between.
fn is_solved(score: f64) -> Option<bool> {
    match score {
        1.0 => Some(true),
        0.0 => Some(false),
        _ => None,
    }
}

#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "a count of items is far below 2^53")]
fn to_f64(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn half(scores: &[f64], cost_usd: Option<f64>) -> Half {
        let spent = Spent { cost_usd, latency_p50_ms: Some(100.0), ..Spent::default() };
        Half {
            key: ResultKey(1),
            id: ResultId::from("r".to_owned()),
            scores: scores.to_vec(),
            spent,
            pooled: 1,
        }
    }

    fn eval(key: i64, counts: bool, a: &[f64], b: &[f64]) -> PairedEval {
        PairedEval {
            key: EvalKey(key),
            id: EvalId::from(format!("e{key}")),
            name: format!("Eval {key}"),
            owner: UserKey(1),
            hidden_targets: false,
            version: VersionKey(key),
            pass: PassMark { threshold: 1.0, direction: Direction::Higher },
            weight: 1.0,
            counts,
            clusters: None,
            a: half(a, Some(2.0)),
            b: half(b, None),
        }
    }

    fn places(pair: &Pair, wanted: &Wanted, page: Page) -> (Vec<(i64, i64)>, i64, bool) {
        let slice = pair.disagreements(wanted, page);
        let rows = slice.rows.iter().map(|item| (item.eval.key.0, item.position)).collect();
        (rows, slice.total, slice.next.is_some())
    }

    #[test]
    fn disagreements_are_walked_in_order_and_page_by_page() {
        let evals = vec![
            eval(2, true, &[1.0, 0.0], &[0.0, 0.0]),
            eval(1, true, &[0.0, 0.5, 1.0], &[1.0, 0.25, 1.0]),
            eval(3, false, &[1.0], &[0.0]),
        ];
        let pair = Pair::new(evals);
        let all = Wanted::default();
        let page = Page { limit: 2, after: None };
        assert_eq!(places(&pair, &all, page), (vec![(1, 0), (1, 1)], 3, true));
        let after = pair.disagreements(&all, page).next;
        assert_eq!(places(&pair, &all, Page { limit: 2, after }), (vec![(2, 0)], 3, false));
        let ahead = Wanted { ahead: Some(Which::B), ..all.clone() };
        assert_eq!(places(&pair, &ahead, page), (vec![(1, 0)], 1, false));
        let provisional = Wanted { eval: Some(EvalId::from("e3".to_owned())), ..all };
        assert_eq!(places(&pair, &provisional, page), (vec![(3, 0)], 1, false));
        assert_eq!(pair.count_ahead(None), (2, 1));
    }

    #[test]
    fn only_what_counts_is_in_the_overall_difference() {
        let counted = eval(1, true, &[1.0, 1.0], &[0.0, 1.0]);
        let provisional = eval(2, false, &[0.0; 9], &[1.0; 9]);
        let pair = Pair::new(vec![counted.clone(), provisional.clone()]);
        assert_eq!(pair.compare(), counted.compare());
        assert_eq!((pair.score(Which::A), pair.score(Which::B)), (Some(1.0), Some(0.5)));
        let expected = Outcomes { both: 1, a_only: 1, b_only: 0, neither: 0 };
        assert_eq!(pair.outcomes(), Some(expected));
        let alone = Pair::new(vec![provisional.clone()]);
        assert_eq!(alone.compare(), provisional.compare());
    }

    #[test]
    fn weights_are_shares_and_one_unknown_cost_makes_the_sum_unknown() {
        let heavy = PairedEval { weight: 3.0, ..eval(1, true, &[1.0], &[0.5]) };
        let pair = Pair::new(vec![heavy, eval(2, true, &[0.0, 0.0], &[1.0, 1.0])]);
        assert_eq!((pair.score(Which::A), pair.score(Which::B)), (Some(0.75), Some(0.625)));
        assert_eq!(pair.spent(Which::A).cost_usd, Some(4.0));
        assert_eq!(pair.spent(Which::B).cost_usd, None);
        assert_eq!((pair.spent(Which::A).latency_p50_ms, pair.outcomes()), (Some(100.0), None));
    }

    #[test]
    fn nothing_shared_is_no_comparison() {
        let pair = Pair::new(Vec::new());
        assert_eq!((pair.compare(), pair.score(Which::A)), (None, None));
        assert_eq!(pair.spent(Which::A), Spent::default());
    }
}
