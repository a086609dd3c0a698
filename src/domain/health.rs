//! The health of an eval: how small a gap it can tell apart, and which of its items tell nothing or mislead.
//!
//! It reads off what models scored on one version of the eval. What rests on too few models is not answered;
//! the formulas are those of [`super::stats`], and nothing here changes a score or a rank.

use std::cmp::Ordering;

use super::direction::PassMark;
use super::results;
use super::rounding;
use super::stats::{self, Agreement, ItemHealth, Measure, Solvers};

/// What is said of an item or of the room at the top rests on at least so many models.
pub const FEWEST_MODELS: usize = 3;
/// A correlation over models rests on at least so many: of three or four it is mostly chance.
pub const FEWEST_FOR_CORRELATION: usize = 5;
/// From which score on the best models leave little room, 0..1.
pub const SATURATED_FROM: f64 = 0.95;

/// What was measured of one version of an eval.
#[derive(Debug, Clone, PartialEq)]
pub struct Material {
    /// Its samples in their order.
    pub samples: Vec<Place>,
    /// The latest complete result of each model.
    pub rows: Vec<Measured>,
    /// Of each case that was graded at least twice, the scores (0..1) of its first two votes, as they were given.
    pub votes: Vec<(f64, f64)>,
    /// From which score on an item is solved.
    pub pass: PassMark,
}

/// A sample as far as its health goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its own id, or its index as text.
    pub key: String,
    /// The cluster it belongs to.
    pub cluster: Option<String>,
}

/// What one model was measured at. Scores are what they count as.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Mean score, 0..1.
    pub score: f64,
    /// One score (0..1) per sample in their order, none where nothing was measured.
    pub items: Vec<Option<f64>>,
    /// Cases that were planned.
    pub planned: i64,
    /// Cases of them without a score.
    pub missing: i64,
    /// Variance between answers of it to one item, and how many of them an item's score is the mean of: from epochs, or
    /// from results of the same revision. None where every item was asked once.
    pub noise: Option<Noise>,
}

/// How one model's answers to an item vary.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Noise {
    /// Variance within an item, the mean over items, in squared score units.
    pub within: f64,
    /// Variance between items with that noise taken out; below 0 where the noise explains more than was seen.
    pub between: f64,
}

/// Where the scores of an eval vary, as means over models, in squared score units.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// Between the scores of items, their noise included.
    pub of_items: f64,
    /// Within an item and between items without it, and how many models that is known of; none without epochs and
    /// repeated runs.
    pub parts: Option<(Noise, usize)>,
}

/// The health of an eval.
#[derive(Debug, Clone, PartialEq)]
pub struct Health {
    /// Models that it is read off.
    pub models: usize,
    /// Samples.
    pub items: usize,
    /// The gap it can tell apart; none where that cannot be said.
    pub resolution: Option<Resolution>,
    /// What the scores of the best [`FEWEST_MODELS`] count as (0..1), the best first; none with fewer models.
    pub best: Option<[f64; FEWEST_MODELS]>,
    /// Its items one by one; none below [`FEWEST_MODELS`].
    pub checks: Option<Checks>,
    /// Where scores vary; none without two items.
    pub spread: Option<Spread>,
    /// Cases that were planned, over all models.
    pub planned: i64,
    /// Cases of them without a score.
    pub missing: i64,
    /// How far two votes on one case agree on whether it passed; none where no case was graded twice.
    pub agreement: Option<Agreement>,
}

/// The smallest gap between two models that the eval finds with [`stats::POWER`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Resolution {
    /// For one pair alone, in score units, above 0.
    pub gap: f64,
    /// For one pair among all pairs of the models measured, corrected for them; at least `gap`.
    pub gap_among_all: f64,
    /// Pairs of neighbours in the ranking that it is the median over; at least 1.
    pub pairs: usize,
}

/// What the items say one by one; samples are named by their keys.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Checks {
    /// Items that at least [`FEWEST_MODELS`] were measured on: of the others nothing is said.
    pub items: usize,
    /// 1 - the models' mean score (0..1) of each of them, in the order of the samples.
    pub difficulty: Vec<(String, f64)>,
    /// Items that every model solves.
    pub solved_by_all: Vec<String>,
    /// Items that no model solves.
    pub solved_by_none: Vec<String>,
    /// Items on which better models do worse than chance explains, the worst first; none below
    /// [`FEWEST_FOR_CORRELATION`] models. See [`stats::benjamini_hochberg`]: of these at most [`stats::LEVEL`] is
    /// expected to be false.
    pub suspicious: Option<Vec<Suspect>>,
    /// Items whose correlation could be tested.
    pub tested: usize,
    /// Items on which better models do worse at all, the suspicious among them; half of those that tell models
    /// apart a little would by chance.
    pub negative: usize,
}

/// An item whose key may be wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Suspect {
    /// The sample's key.
    pub key: String,
    /// Correlation over models of the score on it with the score on all others, -1 to 0.
    pub correlation: f64,
    /// How likely one so low is by chance, 0 to 1.
    pub p: f64,
    /// The same corrected for the number of items tested: the share of false ones among the items up to this one.
    pub rate: f64,
}

impl Health {
    /// Whether the best models leave so little room that better ones could hardly be told apart; none with
    /// too few models.
    #[must_use]
    pub fn is_saturated(&self) -> Option<bool> {
        self.best.map(|best| best.iter().all(|score| *score >= SATURATED_FROM))
    }

    /// Share of cases without a score, 0..1; none where nothing was planned.
    #[must_use]
    pub fn error_rate(&self) -> Option<f64> {
        let (missing, planned) = (i32::try_from(self.missing).ok()?, i32::try_from(self.planned).ok()?);
        (planned > 0).then(|| f64::from(missing) / f64::from(planned))
    }
}

impl Checks {
    /// How many of the suspicious items are expected to be so by chance, at most; none where none were looked for.
    #[must_use]
    pub fn expected_by_chance(&self) -> Option<f64> {
        let found = i32::try_from(self.suspicious.as_ref()?.len()).ok()?;
        Some(stats::LEVEL * f64::from(found))
    }
}

/// Reads the health of an eval off `material`. Rows that are not over all samples are left out.
#[must_use]
pub fn examine(material: &Material) -> Health {
    let is_whole = |row: &&Measured| row.items.len() == material.samples.len();
    let mut rows: Vec<&Measured> = material.rows.iter().filter(is_whole).collect();
    rows.sort_by(|a, b| rounding::compare(b.score, a.score));
    let scores: Vec<Vec<f64>> = rows.iter().map(|row| filled(&row.items)).collect();
    Health {
        models: rows.len(),
        items: material.samples.len(),
        resolution: resolution(&scores, &material.samples),
        best: rows.first_chunk().map(|best: &[&Measured; FEWEST_MODELS]| best.map(|row| row.score)),
        checks: (rows.len() >= FEWEST_MODELS).then(|| checks(&rows, &scores, material)),
        spread: spread(&rows, &scores),
        planned: rows.iter().map(|row| row.planned).sum(),
        missing: rows.iter().map(|row| row.missing).sum(),
        agreement: agreement(&material.votes, material.pass),
    }
}

/// How the answers of one model to an item vary, given the item scores of several results of it: those are repeats
/// like epochs. None below two results or two items.
#[must_use]
pub fn noise_of_repeats(results: &[Vec<Option<f64>>]) -> Option<Noise> {
    let items = results.first()?.len();
    let repeats = |at: usize| -> Vec<f64> {
        results.iter().filter_map(|items| items.get(at).copied().flatten()).collect()
    };
    // An item that was measured fewer than twice says nothing of its noise.
    let measured: Vec<Vec<f64>> = (0..items).map(repeats).filter(|scores| scores.len() > 1).collect();
    stats::split_variance(&measured).map(|parts| Noise { within: parts.within, between: parts.between })
}

/// The same of a result with epochs, given its variance within items and how many epochs an item's score is the mean of.
#[must_use]
pub fn noise_of_epochs(items: &[Option<f64>], within: f64, epochs: u32) -> Option<Noise> {
    Some(Noise { within, between: variance(&filled(items))? - within / f64::from(epochs) })
}

/// The variance of item scores; none below two items.
fn variance(items: &[f64]) -> Option<f64> {
    let stderr = stats::summarise(items, None, Measure::Continuous)?.stderr?;
    Some(stderr.powi(2) * to_f64(items.len()))
}

fn spread(rows: &[&Measured], scores: &[Vec<f64>]) -> Option<Spread> {
    let of_items = mean(scores.iter().filter_map(|items| variance(items)))?;
    let noises = || rows.iter().filter_map(|row| row.noise);
    let parts = mean(noises().map(|noise| noise.within)).zip(mean(noises().map(|noise| noise.between)));
    let parts = parts.map(|(within, between)| (Noise { within, between }, noises().count()));
    Some(Spread { of_items, parts })
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let values: Vec<f64> = values.collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / to_f64(values.len()))
}

fn to_f64(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// What is missing counts as wrong, as it does in means and tests.
fn filled(items: &[Option<f64>]) -> Vec<f64> {
    items.iter().map(|item| item.unwrap_or(0.0)).collect()
}

/// The median, over neighbours in the ranking, of the smallest gap that the paired standard error of their
/// difference lets be found. Their items' own noise and the spread between items are both in it. None below
/// two models or two items, and where most neighbours answered all alike: then there is no spread to go by.
fn resolution(scores: &[Vec<f64>], samples: &[Place]) -> Option<Resolution> {
    let names: Vec<Option<&str>> = samples.iter().map(|place| place.cluster.as_deref()).collect();
    let clusters = results::cluster_numbers(&names);
    let stderr = |(a, b): (&Vec<f64>, &Vec<f64>)| {
        let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
        let summary = stats::summarise(&differences, clusters.as_deref(), Measure::Continuous)?;
        summary.stderr
    };
    let errors: Vec<f64> = scores.iter().zip(scores.iter().skip(1)).filter_map(stderr).collect();
    let median = stats::percentile(&errors, 50).filter(|stderr| *stderr > 0.0)?;
    Some(Resolution {
        gap: stats::smallest_gap(median),
        gap_among_all: stats::smallest_gap_among(scores.len(), median),
        pairs: errors.len(),
    })
}

fn checks(rows: &[&Measured], scores: &[Vec<f64>], material: &Material) -> Checks {
    let health = stats::item_health(scores, material.pass.threshold).unwrap_or_default();
    let measured =
        |at: usize| rows.iter().filter(|row| row.items.get(at).is_some_and(Option::is_some)).count();
    let known: Vec<(&Place, &ItemHealth)> = (0..)
        .zip(material.samples.iter().zip(&health))
        .filter(|(at, _)| measured(*at) >= FEWEST_MODELS)
        .map(|(_, item)| item)
        .collect();
    let solved_by = |solvers: Solvers| {
        let items = known.iter().filter(|(_, item)| item.solvers == solvers);
        items.map(|(place, _)| place.key.clone()).collect()
    };
    Checks {
        items: known.len(),
        difficulty: known.iter().map(|(place, item)| (place.key.clone(), item.difficulty)).collect(),
        solved_by_all: solved_by(Solvers::All),
        solved_by_none: solved_by(Solvers::None),
        suspicious: (rows.len() >= FEWEST_FOR_CORRELATION).then(|| suspicious(&known)),
        tested: known.iter().filter(|(_, item)| item.low_p.is_some()).count(),
        negative: known.iter().filter(|(_, item)| item.rest_correlation.is_some_and(|own| own < 0.0)).count(),
    }
}

fn suspicious(items: &[(&Place, &ItemHealth)]) -> Vec<Suspect> {
    let tested =
        || items.iter().filter_map(|(place, item)| Some((place, item.rest_correlation?, item.low_p?)));
    let rates = stats::benjamini_hochberg(&tested().map(|(_, _, p)| p).collect::<Vec<_>>());
    let suspect = |((place, correlation, p), rate): ((&&Place, f64, f64), f64)| Suspect {
        key: place.key.clone(),
        correlation,
        p,
        rate,
    };
    let all = tested().zip(rates).map(suspect);
    let is_found = |own: &Suspect| own.correlation < 0.0 && own.rate <= stats::LEVEL;
    let mut suspects: Vec<Suspect> = all.filter(is_found).collect();
    // Stable, so that equals stay in the order of the samples.
    suspects.sort_by(|a, b| a.correlation.partial_cmp(&b.correlation).unwrap_or(Ordering::Equal));
    suspects
}

fn agreement(votes: &[(f64, f64)], pass: PassMark) -> Option<Agreement> {
    let passed = |score: &f64| pass.passes(*score);
    let first: Vec<bool> = votes.iter().map(|(first, _)| passed(first)).collect();
    let second: Vec<bool> = votes.iter().map(|(_, second)| passed(second)).collect();
    stats::cohen_kappa(&first, &second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::direction::Direction;

    const PASS: PassMark = PassMark { threshold: 1.0, direction: Direction::Higher };

    fn material(rows: &[&[u8]]) -> Material {
        let samples = rows.first().map_or(0, |row| row.len());
        let measured = |row: &&[u8]| {
            let items: Vec<Option<f64>> = row.iter().map(|item| Some(f64::from(*item))).collect();
            let right: f64 = items.iter().flatten().sum();
            let planned = i64::try_from(items.len()).unwrap();
            let score = right / f64::from(i32::try_from(planned).unwrap());
            Measured { score, items, planned, missing: 0, noise: None }
        };
        Material {
            samples: (0..samples).map(|at| Place { key: format!("s{at}"), cluster: None }).collect(),
            rows: rows.iter().map(measured).collect(),
            votes: Vec::new(),
            pass: PASS,
        }
    }

    fn empty() -> Material {
        Material { samples: Vec::new(), ..material(&[]) }
    }

    #[test]
    fn the_resolution_is_that_of_the_paired_difference_of_neighbours() {
        // Two models that differ on 1 of 4 items: d = (1, 0, 0, 0), sd = 1/2, SE = 1/4.
        let health = examine(&material(&[&[1, 1, 0, 0], &[0, 1, 0, 0]]));
        let resolution = health.resolution.unwrap();
        assert!((resolution.gap - (1.959_963_984_540_054 + 0.841_621_233_572_914) / 4.0).abs() < 1e-9);
        assert_eq!(resolution.pairs, 1);
    }

    #[test]
    fn neighbours_that_answer_alike_say_nothing_of_the_resolution() {
        assert_eq!(examine(&material(&[&[1, 0], &[1, 0]])).resolution, None);
        assert_eq!(examine(&material(&[&[1, 0]])).resolution, None);
        assert_eq!(examine(&material(&[&[1], &[0]])).resolution, None);
        assert_eq!(examine(&empty()).resolution, None);
    }

    #[test]
    fn clusters_widen_the_gap_that_can_be_told() {
        let rows: [&[u8]; 2] = [&[1, 1, 0, 0, 1, 0], &[0, 0, 0, 0, 1, 0]];
        let alone = examine(&material(&rows)).resolution.unwrap().gap;
        let mut clustered = material(&rows);
        for at in 0..2 {
            clustered.samples[at].cluster = Some("c".into());
        }
        assert!(examine(&clustered).resolution.unwrap().gap > alone);
    }

    #[test]
    fn dead_items_are_named_from_three_models_on() {
        let two = examine(&material(&[&[1, 0, 1], &[1, 0, 0]]));
        assert_eq!((two.checks, two.best), (None, None));
        let three = examine(&material(&[&[1, 0, 1], &[1, 0, 0], &[1, 0, 0]]));
        let checks = three.checks.unwrap();
        assert_eq!((checks.solved_by_all, checks.solved_by_none), (vec!["s0".into()], vec!["s1".into()]));
        assert_eq!(checks.suspicious, None);
    }

    #[test]
    fn an_item_that_nobody_was_measured_on_is_not_called_unsolved() {
        let mut lost = material(&[&[1, 0], &[1, 0], &[0, 0]]);
        for row in &mut lost.rows {
            row.items[1] = None;
        }
        let checks = examine(&lost).checks.unwrap();
        assert_eq!((checks.items, checks.solved_by_none), (1, Vec::new()));
    }

    /// Twelve models, of which the first ones solve most items; the last item the other way round.
    fn keyed(wrong: bool) -> Material {
        let row = |model: u8| -> Vec<u8> {
            let solved = |item: u8| u8::from((item + 3 * model) % 40 < 38 - 3 * model);
            (0..29).map(solved).chain([u8::from((model >= 6) == wrong)]).collect()
        };
        let rows: Vec<Vec<u8>> = (0..12).map(row).collect();
        material(&rows.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    #[test]
    fn an_item_that_better_models_fail_is_suspicious() {
        let checks = examine(&keyed(true)).checks.unwrap();
        let suspicious = checks.suspicious.unwrap();
        assert_eq!(suspicious.iter().map(|own| own.key.as_str()).collect::<Vec<_>>(), ["s29"]);
        assert!(suspicious[0].correlation < -0.7 && suspicious[0].rate <= 0.05, "{suspicious:?}");
        assert!(suspicious[0].p < suspicious[0].rate && checks.tested > 20 && checks.negative >= 1);
        assert_eq!(examine(&keyed(false)).checks.unwrap().suspicious, Some(Vec::new()));
        let mut four = keyed(true);
        four.rows.truncate(4);
        assert_eq!(examine(&four).checks.unwrap().suspicious, None);
    }

    #[test]
    fn right_keys_are_seldom_suspicious_by_chance() {
        let mut state = 5_u64;
        let mut number = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            u32::try_from(state >> 33).unwrap()
        };
        let mut accused = 0;
        for _ in 0..20 {
            let rows: Vec<Vec<u8>> =
                (0..12).map(|_| (0..40).map(|_| u8::from(number() % 100 < 60)).collect()).collect();
            let checks =
                examine(&material(&rows.iter().map(Vec::as_slice).collect::<Vec<_>>())).checks.unwrap();
            assert!(checks.negative > 5, "many are below 0 by chance");
            accused += checks.suspicious.unwrap().len();
        }
        assert!(accused <= 4, "{accused} of 800 items");
    }

    #[test]
    fn an_eval_is_saturated_when_the_three_best_leave_no_room() {
        let of = |scores: [f64; 4]| {
            let mut material = material(&[&[1], &[1], &[1], &[1]]);
            for (row, score) in material.rows.iter_mut().zip(scores) {
                row.score = score;
            }
            examine(&material).is_saturated()
        };
        assert_eq!(of([0.2, 0.95, 1.0, 0.99]), Some(true));
        assert_eq!(of([0.2, 0.94, 1.0, 0.99]), Some(false));
        assert_eq!(examine(&material(&[&[1], &[1]])).is_saturated(), None);
    }

    #[test]
    fn votes_agree_on_whether_a_case_passed() {
        let votes = vec![(0.9, 0.6), (0.1, 0.2), (0.8, 0.1), (0.0, 0.4)];
        let agreement = examine(&Material { votes, pass: PassMark { threshold: 0.5, ..PASS }, ..empty() })
            .agreement
            .unwrap();
        // 3 of 4 alike; by chance 2/4 x 1/4 + 2/4 x 3/4 = 1/2.
        assert_eq!((agreement.answers, agreement.observed, agreement.kappa), (4, 0.75, Some(0.5)));
    }

    #[test]
    fn the_error_rate_is_over_all_models() {
        let mut material = material(&[&[1, 0], &[1, 0]]);
        material.rows[0].missing = 1;
        assert_eq!(examine(&material).error_rate(), Some(0.25));
        assert_eq!(examine(&empty()).error_rate(), None);
    }

    #[test]
    fn difficulty_is_what_the_models_miss_of_an_item() {
        let checks = examine(&material(&[&[1, 0], &[1, 0], &[0, 0], &[1, 1]])).checks.unwrap();
        assert_eq!(checks.difficulty, [("s0".to_owned(), 0.25), ("s1".to_owned(), 0.75)]);
    }

    #[test]
    fn repeats_split_the_variance_into_that_of_answers_and_that_of_items() {
        let right = |items: [u8; 4]| items.map(|item| Some(f64::from(item))).to_vec();
        let noise = noise_of_repeats(&[right([1, 1, 0, 0]), right([1, 0, 0, 1])]).unwrap();
        // Two items vary by 1/2, two not at all; the means 1, 1/2, 0, 1/2 vary by 1/6.
        assert!((noise.within - 0.25).abs() < 1e-12 && (noise.between - (1.0 / 6.0 - 0.125)).abs() < 1e-12);
        assert_eq!(noise_of_repeats(&[right([1, 1, 0, 0])]), None);
        let of_epochs = noise_of_epochs(&[Some(1.0), Some(0.5), Some(0.0), Some(0.5)], 0.25, 2).unwrap();
        assert!((of_epochs.between - noise.between).abs() < 1e-12);
    }

    #[test]
    fn an_eval_has_the_mean_spread_of_its_models() {
        let mut two = material(&[&[1, 0], &[1, 1]]);
        assert_eq!(examine(&two).spread, Some(Spread { of_items: 0.25, parts: None }));
        let noise = Noise { within: 0.2, between: 0.1 };
        two.rows[0].noise = Some(noise);
        assert_eq!(examine(&two).spread.unwrap().parts, Some((noise, 1)));
        assert_eq!(examine(&empty()).spread, None);
    }
}
