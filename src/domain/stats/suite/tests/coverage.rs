//! How often intervals hold the true value, over simulated answers: the same ones on every run, and with
//! `EVALBOARD_SIMULATIONS=50` fifty times as many.

use super::super::super::vectors::Dice;
use super::super::super::{Measure, summarise};
use super::*;

const RUNS: u32 = 600;

/// An eval of a simulated suite.
enum Design {
    /// So many items, each solved with that chance.
    Items(usize, f64),
    /// Clusters of these sizes, each item solved with that chance, two of a cluster correlated by the last number.
    Clusters(Vec<usize>, f64, f64),
}

impl Design {
    fn mean(&self) -> f64 {
        match self {
            Self::Items(_, mean) | Self::Clusters(_, mean, _) => *mean,
        }
    }

    fn cell(&self, dice: &mut Dice) -> Cell {
        let (scores, clusters) = match self {
            Self::Items(items, mean) => ((0..*items).map(|_| dice.answer(*mean)).collect::<Vec<_>>(), None),
            Self::Clusters(sizes, mean, rho) => {
                let mut scores = Vec::new();
                let mut clusters = Vec::new();
                for (size, cluster) in sizes.iter().zip(0_u64..) {
                    // An answer is the cluster's own with the chance sqrt(rho), so that two agree by rho.
                    let own = dice.answer(*mean);
                    for _ in 0..*size {
                        let copies = dice.number() < rho.sqrt();
                        scores.push(if copies { own } else { dice.answer(*mean) });
                        clusters.push(cluster);
                    }
                }
                (scores, Some(clusters))
            }
        };
        let own = summarise(&scores, clusters.as_deref(), Measure::Binary).unwrap();
        let (mean, stderr, interval) = (own.mean, own.stderr, own.interval);
        Cell { weight: 1.0, mean, stderr, interval, method: own.method, items: own.items }
    }
}

fn coverage(designs: &[Design]) -> f64 {
    let runs = Dice::runs(RUNS);
    let mut dice = Dice::new(11);
    let truth = designs.iter().map(Design::mean).sum::<f64>() / crate::domain::stats::count(designs.len());
    let mut held = 0;
    for _ in 0..runs {
        let cells: Vec<Cell> = designs.iter().map(|design| design.cell(&mut dice)).collect();
        let interval = suite(&cells).unwrap().interval.unwrap();
        held += u32::from(interval.low <= truth + 1e-12 && truth <= interval.high + 1e-12);
    }
    f64::from(held) / f64::from(runs)
}

/// Fails unless the interval covers enough, and not much too much where `most` is below 1.
fn assert_covers(name: &str, designs: &[Design], most: f64) {
    let share = coverage(designs);
    println!("covered, {name}: {:.1} %", 100.0 * share);
    let noise = 3.0 * (0.95 * 0.05 / f64::from(Dice::runs(RUNS))).sqrt();
    assert!(share >= 0.94 - noise && share <= most + noise, "{name}: {share}");
}

fn alike(evals: usize, items: usize, mean: f64) -> Vec<Design> {
    (0..evals).map(|_| Design::Items(items, mean)).collect()
}

#[test]
fn few_items_near_an_end_are_covered() {
    for (evals, items, mean) in
        [(4, 20, 0.9), (8, 5, 0.8), (4, 5, 0.8), (20, 5, 0.8), (30, 2, 0.8), (10, 30, 0.97), (3, 100, 0.6)]
    {
        assert_covers(&format!("{evals} x {items} at {mean}"), &alike(evals, items, mean), 0.97);
    }
}

#[test]
fn one_item_evals_beside_a_large_one_are_covered() {
    for mean in [0.5, 0.7, 0.9, 0.95] {
        for lone in 1..=6 {
            let mut designs = alike(lone, 1, mean);
            designs.push(Design::Items(100, 0.7));
            assert_covers(&format!("{lone} at {mean}"), &designs, 1.0);
        }
    }
}

#[test]
fn few_clusters_and_a_dominant_one_are_covered() {
    let dominant = [vec![40], vec![1; 25]].concat();
    for (sizes, mean, rho) in [
        (vec![10; 4], 0.7, 0.3),
        (vec![10; 4], 0.9, 0.2),
        (vec![10; 8], 0.8, 0.2),
        (vec![40, 5, 5, 5, 5, 5], 0.7, 0.3),
        (dominant, 0.7, 0.3),
    ] {
        let name = format!("{sizes:?} at {mean}");
        assert_covers(&name, &[Design::Clusters(sizes.clone(), mean, rho)], 1.0);
        let half = [Design::Clusters(sizes, mean, rho), Design::Items(100, 0.7)];
        assert_covers(&format!("half {name}"), &half, 1.0);
    }
}
