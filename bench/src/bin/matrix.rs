//! The clock of P9: the tests of all pairs of a board, against the plain z-tests of the same pairs in the same loop.
//!
//! Prints a line for each board: its kind, models, evals, items, processor seconds of the z-tests, and of the matrix.
//! Usage: `matrix [models] [rounds]`.

use std::hint::black_box;
use std::sync::Arc;

use domain::id::ModelKey;
use domain::stats::{Matrix, SuiteEval, Units};

#[allow(
    dead_code,
    unused_imports,
    unfulfilled_lint_expectations,
    clippy::pedantic,
    reason = "a part of the server's source, of which this uses a part"
)]
#[path = "../domain/mod.rs"]
mod domain;

/// Random numbers from 0 to 1 that are the same on every run: the splitmix64 generator.
struct Dice(u64);

impl Dice {
    fn number(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        f64::from((z >> 32) as u32 ^ z as u32) / (f64::from(u32::MAX) + 1.0)
    }
}

/// The kind of scores on a board.
#[derive(Clone, Copy)]
enum Kind {
    Binary,
    Graded,
    /// Thirds, as three epochs leave them.
    Thirds,
    /// Every other eval right or wrong, the others graded; sizes and weights differ.
    Mixed,
}

struct Design {
    name: &'static str,
    kind: Kind,
    evals: usize,
    items: usize,
    /// From the least to the greatest chance of the models.
    skills: (f64, f64),
}

type Cells = Vec<Vec<Vec<f64>>>;

impl Design {
    fn suite(&self) -> Vec<SuiteEval> {
        let eval = |at: usize| match self.kind {
            Kind::Mixed => SuiteEval { weight: 1.0 + (at % 3) as f64, items: self.items / 2 + at * 7 % self.items },
            _ => SuiteEval { weight: 1.0, items: self.items },
        };
        (0..self.evals).map(eval).collect()
    }

    /// For each model and eval the items' scores.
    fn cells(&self, models: usize, suite: &[SuiteEval]) -> Cells {
        let mut dice = Dice(7);
        let difficulty: Vec<Vec<f64>> =
            suite.iter().map(|eval| (0..eval.items).map(|_| dice.number()).collect()).collect();
        let model = |dice: &mut Dice, skill: f64| -> Vec<Vec<f64>> {
            let eval = |(at, items): (usize, &Vec<f64>)| {
                items.iter().map(|hard| self.score(dice, at, skill * (1.3 - 0.6 * hard))).collect()
            };
            difficulty.iter().enumerate().map(eval).collect()
        };
        let (low, high) = self.skills;
        (0..models).map(|at| model(&mut dice, low + (high - low) * at as f64 / models as f64)).collect()
    }

    fn score(&self, dice: &mut Dice, eval: usize, chance: f64) -> f64 {
        let mut answer = || f64::from(u8::from(dice.number() < chance));
        match self.kind {
            Kind::Binary => answer(),
            Kind::Thirds => (answer() + answer() + answer()) / 3.0,
            Kind::Mixed if eval % 2 == 0 => answer(),
            Kind::Graded | Kind::Mixed => (chance * (0.5 + dice.number())).min(1.0),
        }
    }
}

/// z of all pairs, each from one pass over its differences: what any ranking by pairs has to do at least.
fn z_tests(cells: &Cells, suite: &[SuiteEval]) -> f64 {
    let mut sum = 0.0;
    for (at, one) in cells.iter().enumerate() {
        for other in cells.iter().take(at) {
            let (mut difference, mut squares) = (0.0, 0.0);
            for ((a, b), eval) in one.iter().zip(other).zip(suite) {
                let share = eval.weight / eval.items as f64;
                for (a, b) in a.iter().zip(b) {
                    let own = share * (a - b);
                    difference += own;
                    squares += own * own;
                }
            }
            sum += difference / f64::max(squares, f64::MIN_POSITIVE).sqrt();
        }
    }
    sum
}

fn matrix(cells: &Cells, suite: &[SuiteEval]) -> Matrix {
    let mut matrix = Matrix::new(suite.to_vec());
    for (model, own) in (0..).zip(cells) {
        for (eval, scores) in own.iter().enumerate() {
            let scores: Vec<Option<f64>> = scores.iter().copied().map(Some).collect();
            let units = Units::new(&scores, None).expect("no clusters");
            matrix.put(ModelKey(model), eval, Arc::new(units)).expect("a cell that fits");
        }
    }
    matrix
}

/// Seconds of a processor that this process has had, by Linux: others' load is not in them.
fn processor_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanoseconds: Option<f64> = text.split(' ').next().and_then(|text| text.parse().ok());
    nanoseconds.map_or(f64::NAN, |nanoseconds| nanoseconds / 1e9)
}

/// The least processor seconds of some rounds, after `prepare` each time.
fn seconds<T, R>(rounds: usize, mut prepare: impl FnMut() -> T, run: impl Fn(T) -> R) -> f64 {
    let mut least = f64::INFINITY;
    for _ in 0..rounds {
        let input = prepare();
        let begun = processor_seconds();
        black_box(run(input));
        least = least.min(processor_seconds() - begun);
    }
    least
}

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|text| text.parse::<usize>().ok());
    let (models, rounds) = (numbers.next().unwrap_or(200), numbers.next().unwrap_or(3));
    let wide = (0.3, 0.8);
    let close = (0.55, 0.65);
    for design in [
        Design { name: "right or wrong", kind: Kind::Binary, evals: 100, items: 100, skills: wide },
        Design { name: "right or wrong, 3 evals", kind: Kind::Binary, evals: 3, items: 100, skills: wide },
        Design { name: "graded", kind: Kind::Graded, evals: 100, items: 100, skills: wide },
        Design { name: "graded, close", kind: Kind::Graded, evals: 100, items: 100, skills: close },
        Design { name: "graded, 10 evals", kind: Kind::Graded, evals: 10, items: 100, skills: wide },
        Design { name: "graded, 10 evals, close", kind: Kind::Graded, evals: 10, items: 100, skills: close },
        Design { name: "graded, 3 evals", kind: Kind::Graded, evals: 3, items: 100, skills: wide },
        Design { name: "graded, 3 evals, close", kind: Kind::Graded, evals: 3, items: 100, skills: close },
        Design { name: "graded, 1 eval of 30", kind: Kind::Graded, evals: 1, items: 30, skills: wide },
        Design { name: "thirds, 10 evals", kind: Kind::Thirds, evals: 10, items: 100, skills: wide },
        Design { name: "mixed, 10 evals", kind: Kind::Mixed, evals: 10, items: 40, skills: wide },
        Design { name: "mixed, 40 evals", kind: Kind::Mixed, evals: 40, items: 40, skills: wide },
    ] {
        let suite = design.suite();
        let cells = design.cells(models, &suite);
        let plain = seconds(rounds, || (), |()| z_tests(&cells, &suite));
        let tested = seconds(rounds, || matrix(&cells, &suite), |mut matrix| matrix.standings());
        println!("{}\t{models}\t{}\t{}\t{plain:.4}\t{tested:.4}", design.name, design.evals, design.items);
    }
}
