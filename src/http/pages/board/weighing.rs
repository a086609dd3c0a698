//! The weights of the evals on the board's page: what was given in the address, and links that change it.

use super::question::Question;
use crate::domain::leaderboard::{Board, Column, Weights};

/// Evals that are given links; with more of them the page would be mostly those.
const MAX_EVALS: usize = 60;
/// Evals whose shares are told in words.
const MAX_SHARES: usize = 12;
/// What an eval's own weight can be multiplied by, and how a link says so.
const FACTORS: [(f64, &str); 4] = [(0.0, "leave out"), (0.5, "half"), (1.0, "as it is"), (2.0, "double")];

/// How the evals are weighted.
#[derive(Debug)]
pub struct Weighing {
    /// The evals that can be given another weight.
    pub evals: Vec<Choice>,
    /// Whether there are too many to be given links.
    pub are_too_many: bool,
    /// In words, with the way back; none while every eval has its own.
    pub given: Option<Given>,
}

/// An eval and the weights it can be given.
#[derive(Debug)]
pub struct Choice {
    /// Its name.
    pub name: String,
    /// A link for each weight.
    pub links: Vec<Link>,
}

/// A link that gives an eval a weight.
#[derive(Debug)]
pub struct Link {
    /// What it says.
    pub label: &'static str,
    /// The board with that weight.
    pub href: String,
    /// Whether the eval has it already.
    pub is_current: bool,
}

/// Weights that are not the evals' own.
#[derive(Debug)]
pub struct Given {
    /// Each eval that counts with its share.
    pub shares: Vec<(String, String)>,
    /// The board with the evals' own weights.
    pub href: String,
}

impl Weighing {
    /// How `board`, which answers `question`, is weighted.
    #[must_use]
    pub fn of(question: &Question, board: &Board) -> Self {
        let suite: Vec<&Column> = board.columns.iter().filter(|column| !column.is_provisional).collect();
        let has_links = (2..=MAX_EVALS).contains(&suite.len());
        let choices = suite.iter().filter(|_| has_links).map(|column| choice(question, column, &suite));
        // Weights of evals that do not count change nothing.
        let is_changed = suite.iter().any(|column| question.weights.of(&column.id).is_some());
        let href = || question.weighted(Weights::default()).address();
        let given = is_changed.then(|| Given { shares: shares(&suite), href: href() });
        Self { evals: choices.collect(), are_too_many: suite.len() > MAX_EVALS, given }
    }
}

fn choice(question: &Question, column: &Column, suite: &[&Column]) -> Choice {
    let is_last = suite.iter().all(|other| other.key == column.key || !other.counts);
    // Without its last eval there would be nothing to rank by.
    let is_offered =
        |factor: f64| factor * column.own_weight <= Weights::LARGEST && (factor > 0.0 || !is_last);
    let offered = FACTORS.into_iter().filter(|(factor, _)| is_offered(*factor));
    let links = offered.map(|(factor, label)| {
        let weight = factor * column.own_weight;
        let given = (factor != 1.0).then_some(weight);
        Link {
            label,
            href: question.weighted(question.weights.with(&column.id, given)).address(),
            is_current: column.weight == weight,
        }
    });
    Choice { name: column.name.clone(), links: links.collect() }
}

fn shares(suite: &[&Column]) -> Vec<(String, String)> {
    let total: f64 = suite.iter().map(|column| column.weight).sum();
    let share = |column: &&Column| {
        let words = match column.weight {
            0.0 => "left out".to_owned(),
            weight => format!("{:.0} %", 100.0 * weight / total),
        };
        (column.name.clone(), words)
    };
    suite.iter().take(MAX_SHARES).map(share).collect()
}
