//! How often equal models are told apart, over simulated answers: the same ones on every run, and with
//! `EVALBOARD_SIMULATIONS=50` fifty times as many. `--nocapture` shows the shares.

use std::sync::Arc;

use super::*;
use crate::domain::stats::sign_flip;
use crate::domain::stats::vectors::Dice;

const CONTESTANTS: usize = 6;
const BASELINES: usize = 4;
const RUNS: u32 = 150;

/// Boards of equal models with a copy and baselines beside them, evals weighing 1, 2, 3 and so on.
struct Boards {
    dice: Dice,
    /// Of each item of each eval, the chance to be solved.
    chances: Vec<Vec<f64>>,
}

impl Boards {
    fn new(dice: Dice, evals: &[usize]) -> Self {
        let mut dice = dice;
        let chances = evals.iter().map(|items| (0..*items).map(|_| dice.number()).collect()).collect();
        Self { dice, chances }
    }

    fn model(&mut self) -> Vec<Arc<Units>> {
        let dice = &mut self.dice;
        let mut cell = |chances: &Vec<f64>| {
            let scores: Vec<Option<f64>> = chances.iter().map(|chance| Some(dice.answer(*chance))).collect();
            Arc::new(Units::new(&scores, None).unwrap())
        };
        self.chances.iter().map(&mut cell).collect()
    }

    /// Another board: the same items, answered anew.
    fn next(&mut self) -> Standings {
        let weights = (1..).map(f64::from);
        let suite = weights.zip(&self.chances).map(|(weight, eval)| SuiteEval { weight, items: eval.len() });
        let mut matrix = Matrix::new(suite.collect());
        let mut models: Vec<_> = (0..CONTESTANTS + BASELINES).map(|_| self.model()).collect();
        models.push(models[0].clone());
        for (at, cells) in models.into_iter().enumerate() {
            let model = key(at);
            for (eval, units) in cells.into_iter().enumerate() {
                matrix.put(model, eval, units).unwrap();
            }
            matrix.mark_baseline(model, (CONTESTANTS..CONTESTANTS + BASELINES).contains(&at));
        }
        matrix.standings()
    }
}

fn key(model: usize) -> ModelKey {
    ModelKey(i64::try_from(model).unwrap())
}

/// Whether any two of these are told apart.
fn shows_a_lead(standings: &Standings, models: impl Iterator<Item = usize> + Clone) -> bool {
    models.clone().any(|one| {
        let is_ahead = |other| standings.verdict(key(one), key(other)).is_some_and(|own| own.is_ahead());
        models.clone().any(is_ahead)
    })
}

fn percent(part: u32, whole: u32) -> f64 {
    100.0 * f64::from(part) / f64::from(whole)
}

/// What chance adds to five in a hundred, at 2.6 standard errors.
fn allowed(runs: u32) -> f64 {
    5.0 + 100.0 * 2.6 * (0.05 * 0.95 / f64::from(runs)).sqrt()
}

#[test]
fn equal_models_show_a_false_lead_on_few_boards() {
    let runs = Dice::runs(RUNS);
    for evals in [&[60][..], &[1, 1, 1, 1, 30], &[40, 25, 10]] {
        let (mut alone, mut beside_one) = (0, 0);
        for run in 0..runs {
            let standings = Boards::new(Dice::new(7 + u64::from(run)), evals).next();
            alone += u32::from(shows_a_lead(&standings, 0..CONTESTANTS));
            beside_one += u32::from(shows_a_lead(&standings, 0..=CONTESTANTS));
        }
        let (alone, beside_one) = (percent(alone, runs), percent(beside_one, runs));
        println!(
            "false leads, {evals:?}: {alone:.2} % of {runs} boards, {beside_one:.2} % with one baseline"
        );
        assert!(alone <= allowed(runs) && beside_one <= allowed(runs), "{evals:?}: {alone} % {beside_one} %");
    }
}

#[test]
fn thirty_looks_show_more_false_leads_than_one() {
    let months = Dice::runs(20);
    let mut wrong = 0;
    for month in 0..months {
        let mut boards = Boards::new(Dice::new(1_000_000 + u64::from(month)), &[40, 25, 10]);
        let mut is_wrong = false;
        for _ in 0..30 {
            is_wrong |= shows_a_lead(&boards.next(), 0..CONTESTANTS);
        }
        wrong += u32::from(is_wrong);
    }
    let share = percent(wrong, months);
    println!("a false lead on any of 30 boards: {share:.1} % of {months} months");
    assert!(share > 2.0 * allowed(months).min(10.0), "{share} %");
}

#[test]
fn lopsided_differences_mislead_the_test_less_with_more_items() {
    // One fails a twentieth of the items wholly, the other half of them by a tenth: both have a mean of 0.95.
    let runs = Dice::runs(400);
    let mut dice = Dice::new(5);
    let shares = [20, 100, 400].map(|items| {
        let mut found = 0;
        for _ in 0..runs {
            let mut difference = || (1.0 - dice.answer(0.05)) - (1.0 - 0.1 * dice.answer(0.5));
            let differences: Vec<f64> = (0..items).map(|_| difference()).collect();
            found += u32::from(sign_flip(&differences).p <= crate::domain::stats::LEVEL);
        }
        let share = percent(found, runs);
        println!("lopsided, {items} items: {share:.2} % of {runs}");
        share
    });
    assert!(shares[0] > 20.0 && shares[1] < 20.0 && shares[2] < 10.0, "{shares:?}");
}
