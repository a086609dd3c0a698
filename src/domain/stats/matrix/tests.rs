//! The matrix against the comparison of one pair, which goes item by item.

use proptest::prelude::*;

use super::*;
use crate::domain::stats::{Comparison, LEVEL, PairedTest, RankRange, SharedEval, compare, holm};

/// An eval with the clusters that its cells are made with.
#[derive(Debug, Clone)]
struct Eval {
    weight: f64,
    items: usize,
    clusters: Option<Vec<u64>>,
}

/// A board: evals, and for each model a cell on each eval.
#[derive(Debug, Clone)]
struct Sheet {
    evals: Vec<Eval>,
    cells: Vec<Vec<Option<Vec<Option<f64>>>>>,
}

impl Sheet {
    fn matrix(&self) -> Matrix {
        let suite = self.evals.iter().map(|eval| SuiteEval { weight: eval.weight, items: eval.items });
        let mut matrix = Matrix::new(suite.collect());
        for model in 0..self.cells.len() {
            self.put(&mut matrix, model);
        }
        matrix
    }

    fn put(&self, matrix: &mut Matrix, model: usize) {
        for (eval, cell) in self.cells[model].iter().enumerate() {
            if let Some(scores) = cell {
                let units = Units::new(scores, self.evals[eval].clusters.as_deref()).unwrap();
                matrix.put(key(model), eval, Arc::new(units)).unwrap();
            }
        }
    }

    /// The pair by itself.
    fn compared(&self, one: usize, other: usize) -> Option<Comparison> {
        let filled = |model: usize, eval: usize| -> Option<Vec<f64>> {
            Some(self.cells[model][eval].as_ref()?.iter().map(|score| score.unwrap_or(0.0)).collect())
        };
        let scores: Vec<Option<(Vec<f64>, Vec<f64>)>> =
            (0..self.evals.len()).map(|eval| filled(one, eval).zip(filled(other, eval))).collect();
        let shared = self.evals.iter().zip(&scores).filter_map(|(eval, scores)| {
            let (a, b) = scores.as_ref()?;
            Some(SharedEval { weight: eval.weight, a, b, clusters: eval.clusters.as_deref() })
        });
        compare(&shared.collect::<Vec<_>>())
    }
}

fn key(model: usize) -> ModelKey {
    ModelKey(i64::try_from(model).unwrap())
}

fn plain(weight: f64, items: usize) -> Eval {
    Eval { weight, items, clusters: None }
}

fn cell(scores: &[f64]) -> Option<Vec<Option<f64>>> {
    Some(scores.iter().copied().map(Some).collect())
}

/// `right` items right, the others wrong.
fn first_right(right: usize, items: usize) -> Option<Vec<Option<f64>>> {
    cell(&(0..items).map(|item| if item < right { 1.0 } else { 0.0 }).collect::<Vec<_>>())
}

/// What an eval's scores are like: right or wrong, means of a few repeats, anything.
fn score(kind: u8) -> BoxedStrategy<Option<f64>> {
    let score = match kind {
        0 => prop_oneof![Just(0.0), Just(1.0)].boxed(),
        1 => (0_i32..=3).prop_map(|thirds| f64::from(thirds) / 3.0).boxed(),
        _ => (0.0..=1.0).boxed(),
    };
    prop_oneof![19 => score.prop_map(Some), 1 => Just(None)].boxed()
}

fn eval_and_cells(models: usize) -> impl Strategy<Value = (Eval, Vec<Option<Vec<Option<f64>>>>)> {
    let weight = prop_oneof![4 => Just(1.0), 1 => Just(2.0), 1 => 0.1..5.0, 1 => Just(0.0)];
    (weight, 1_usize..30, 0_u8..3, any::<bool>()).prop_flat_map(move |(weight, items, kind, has_clusters)| {
        let clusters =
            prop::collection::vec(0_u64..8, items).prop_map(move |numbers| has_clusters.then_some(numbers));
        let cell = prop::option::weighted(0.9, prop::collection::vec(score(kind), items));
        (clusters, prop::collection::vec(cell, models))
            .prop_map(move |(clusters, cells)| (Eval { weight, items, clusters }, cells))
    })
}

fn sheet() -> impl Strategy<Value = Sheet> {
    (2_usize..6).prop_flat_map(|models| {
        prop::collection::vec(eval_and_cells(models), 1..5).prop_map(move |columns| {
            let (evals, columns): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
            let cells = (0..models).map(|model| columns.iter().map(|cells| cells[model].clone()).collect());
            Sheet { cells: cells.collect(), evals }
        })
    })
}

fn assert_same(standings: &Standings, sheet: &Sheet) -> Result<(), TestCaseError> {
    let mut p_values = Vec::new();
    let mut verdicts = Vec::new();
    for one in 0..sheet.cells.len() {
        for other in 0..one {
            let Some(verdict) = standings.verdict(key(one), key(other)) else { continue };
            let expected = sheet.compared(one, other);
            prop_assert_eq!(verdict.test.map(|test| test.test), expected.map(|pair| pair.test.test));
            if let (Some(test), Some(expected)) = (verdict.test, expected) {
                prop_assert!((test.p - expected.test.p).abs() < 1e-9, "{:?} {:?}", test, expected);
                prop_assert_eq!(test.least_p, expected.test.least_p);
                prop_assert!((verdict.difference - expected.difference.mean).abs() < 1e-9);
            }
            p_values.push(expected.map_or(1.0, |expected| expected.test.p));
            verdicts.push(verdict);
        }
    }
    // Copies make the family smaller, never larger.
    for (verdict, corrected) in verdicts.iter().zip(holm(&p_values)) {
        prop_assert!(verdict.p_holm <= corrected + 1e-6);
        if standings.contestants() == sheet.cells.len() {
            prop_assert!((verdict.p_holm - corrected).abs() < 1e-6);
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn every_pair_is_tested_as_by_itself(sheet in sheet()) {
        assert_same(&sheet.matrix().standings(), &sheet)?;
    }

    #[test]
    fn a_landed_result_leaves_what_a_new_matrix_would_say(
        before in sheet(),
        columns in prop::collection::vec(prop::collection::vec(prop::option::of(0.0..=1.0), 30), 5),
        model in 0_usize..6,
        removed in 0_usize..6,
    ) {
        let mut matrix = before.matrix();
        matrix.standings();
        let mut after = before.clone();
        let model = model % after.cells.len();
        for ((cell, eval), scores) in after.cells[model].iter_mut().zip(&before.evals).zip(columns) {
            *cell = Some(scores[..eval.items].to_vec());
        }
        after.put(&mut matrix, model);
        assert_same(&matrix.standings(), &after)?;
        // Whoever left is in no pair, and all others are where they were.
        matrix.remove(key(removed));
        matrix.remove(key(removed));
        prop_assert_eq!(matrix.standings().range(key(removed)), None);
        let mut fresh = after.matrix();
        fresh.remove(key(removed));
        for one in (0..after.cells.len()).filter(|one| *one != removed) {
            prop_assert_eq!(matrix.standings().range(key(one)), fresh.standings().range(key(one)));
        }
    }
}

#[test]
fn ranks_are_ranges_and_groups_begin_where_the_first_row_is_ahead() {
    let solved = [100, 97, 60, 58, 20];
    let cells = solved.iter().map(|right| vec![first_right(*right, 100)]).collect();
    let sheet = Sheet { evals: vec![plain(1.0, 100)], cells };
    let standings = sheet.matrix().standings();
    let ranges: Vec<(usize, usize)> = (0..5)
        .map(|model| standings.range(key(model)).unwrap())
        .map(|range| (range.low, range.high))
        .collect();
    assert_eq!(ranges, [(1, 2), (1, 2), (3, 4), (3, 4), (5, 5)]);
    assert_eq!(standings.groups(&[0, 1, 2, 3, 4].map(key)), [1, 1, 2, 2, 3]);
    assert!(!standings.cannot_separate());
    // Three items decide between the first two; ten pairs make that certainly a tie.
    let verdict = standings.verdict(key(0), key(1)).unwrap();
    assert!((verdict.difference - 0.03).abs() < 1e-12 && !verdict.is_ahead());
    let test = verdict.test.unwrap();
    assert!((test.p - 0.25).abs() < 1e-12 && (verdict.p_holm - 0.5).abs() < 1e-12);
    assert_eq!(test.test, PairedTest::McnemarExact);
    let turned = standings.verdict(key(1), key(0)).unwrap();
    assert_eq!((turned.difference, turned.p_holm), (-verdict.difference, verdict.p_holm));
    assert_eq!(standings.verdict(key(0), key(0)), None);
    assert_eq!((standings.verdict(key(0), key(9)), standings.range(key(9))), (None, None));
}

#[test]
fn models_that_share_no_eval_are_tied_and_stay_in_the_family() {
    let evals = vec![plain(1.0, 40), plain(1.0, 40)];
    let (good, bad) = (first_right(40, 40), first_right(0, 40));
    let cells = vec![vec![good.clone(), None], vec![bad, None], vec![None, good]];
    let standings = Sheet { evals, cells }.matrix().standings();
    let unshared = standings.verdict(key(0), key(2)).unwrap();
    assert_eq!((unshared.test, unshared.p_holm, unshared.is_ahead()), (None, 1.0, false));
    let tested = standings.verdict(key(0), key(1)).unwrap();
    assert!((tested.p_holm / tested.test.unwrap().p - 3.0).abs() < 1e-12);
    assert_eq!(standings.range(key(2)), Some(RankRange { low: 1, high: 3 }));
    assert_eq!(standings.range(key(0)), Some(RankRange { low: 1, high: 2 }));
}

#[test]
fn too_few_items_to_tell_anyone_apart_are_named_as_the_reason() {
    let evals = vec![plain(1.0, 6)];
    let (good, bad) = (first_right(6, 6), first_right(0, 6));
    let two = Sheet { evals: evals.clone(), cells: vec![vec![good.clone()], vec![bad.clone()]] };
    let standings = two.matrix().standings();
    assert!(!standings.cannot_separate() && standings.verdict(key(0), key(1)).unwrap().is_ahead());
    let middle = first_right(3, 6);
    let three = Sheet { evals, cells: vec![vec![good.clone()], vec![bad], vec![middle]] };
    let standings = three.matrix().standings();
    assert!(standings.cannot_separate());
    assert!(standings.verdict(key(0), key(1)).unwrap().p_holm > LEVEL);
    let alone = Sheet { evals: vec![plain(1.0, 6)], cells: vec![vec![good]] }.matrix().standings();
    assert!(!alone.cannot_separate());
    assert_eq!(alone.range(key(0)), Some(RankRange { low: 1, high: 1 }));
}

#[test]
fn a_cell_that_does_not_fit_changes_nothing() {
    let mut matrix = Matrix::new(vec![SuiteEval { weight: 1.0, items: 2 }]);
    for (eval, scores) in [(0, 1), (0, 3), (1, 2)] {
        let units = Arc::new(Units::new(&vec![None; scores], None).unwrap());
        assert_eq!(matrix.put(key(0), eval, units), Err(Mismatch { eval, scores }));
    }
    assert_eq!(matrix.standings().range(key(0)), None);
    assert_eq!(matrix.standings().groups(&[]), Vec::<usize>::new());
}

/// A board of models with so many items right, some of them baselines.
fn board(right: &[usize], items: usize, is_baseline: impl Fn(usize) -> bool) -> Standings {
    let cells = right.iter().map(|right| vec![first_right(*right, items)]).collect();
    let mut matrix = Sheet { evals: vec![plain(1.0, items)], cells }.matrix();
    (0..right.len()).for_each(|model| matrix.mark_baseline(key(model), is_baseline(model)));
    matrix.standings()
}

fn range(standings: &Standings, model: usize) -> (usize, usize) {
    let range = standings.range(key(model)).unwrap();
    (range.low, range.high)
}

#[test]
fn baselines_and_copies_take_no_finding_away_from_models() {
    let two = board(&[33, 20], 40, |_| false);
    assert_eq!((range(&two, 0), range(&two, 1)), ((1, 1), (2, 2)));
    let p = two.verdict(key(0), key(1)).unwrap().p_holm;
    // Thirty baselines of all kinds, and thirty of one kind.
    for others in [(0..30).map(|at| at % 20).collect::<Vec<_>>(), vec![3; 30]] {
        let standings = board(&[vec![33, 20], others].concat(), 40, |model| model >= 2);
        assert_eq!((range(&standings, 0), standings.contestants()), ((1, 1), 2));
        assert_eq!(range(&standings, 1).0, 2);
        assert_eq!(standings.verdict(key(0), key(1)).unwrap().p_holm, p);
        // They are compared all the same.
        assert!(standings.verdict(key(0), key(5)).unwrap().is_ahead());
    }
    let copies = board(&[vec![33, 20], vec![20; 30]].concat(), 40, |_| false);
    assert_eq!((range(&copies, 0), range(&copies, 1), copies.contestants()), ((1, 1), (2, 32), 2));
    // Other models are not for free: they are chances to be wrong.
    let models = board(&[vec![33, 20], (0..30).map(|at| at % 20).collect()].concat(), 40, |_| false);
    assert!(models.verdict(key(0), key(1)).unwrap().p_holm > p);
}

#[test]
fn a_board_of_baselines_is_tested_like_any_other() {
    let (marked, plain) = (board(&[33, 20, 5], 40, |_| true), board(&[33, 20, 5], 40, |_| false));
    assert_eq!(marked, plain);
}
