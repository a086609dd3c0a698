//! Runs that were not finished, in words: how many there were, and what a later one could still have scored.

use super::format;
use crate::domain::leaderboard::{Attempts, BoardCell, Later};

/// `A later run could not be completed: at best it would have 80.0 points, worse than the 90.0 that count.`
#[must_use]
pub fn later(cell: &BoardCell, later: &Later) -> String {
    let shown = |counted: f64| format::points(cell.direction.counted(counted), 1);
    match later.best {
        Some(best) if later.is_below(cell.score) => format!(
            "A later run could not be completed: at best it would have {} points, worse than the {} that count.",
            shown(best),
            shown(cell.score)
        ),
        Some(best) => {
            format!("A later run could not be completed: at best it would have {} points.", shown(best))
        }
        None => "A later run could not be completed.".to_owned(),
    }
}

/// The same where there is a later run.
#[must_use]
pub fn later_of(cell: &BoardCell, attempts: Option<&Attempts>) -> Option<String> {
    attempts?.later.as_ref().map(|own| later(cell, own))
}
