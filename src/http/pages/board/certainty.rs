//! What the board says in words of how sure its order is. Built from a ranked board, and pure.

use crate::domain::leaderboard::{Board, Tests};
use crate::domain::stats;
use crate::http::pages::format;

/// How sure the order is.
#[derive(Debug)]
pub struct Certainty {
    /// The tests that the order rests on; none while there are none.
    pub tests: Option<String>,
    /// Why nobody is ahead of anybody, when that is so.
    pub all_tied: Option<String>,
}

impl Certainty {
    /// What is known of the order of `board`.
    #[must_use]
    pub fn of(board: &Board) -> Self {
        Self {
            tests: board.tests.as_ref().map(tests_in_words),
            all_tied: board.tests.filter(|tests| tests.all_tied).map(why_tied),
        }
    }
}

/// `paired tests of 36 pairs of models`; without the number where only baselines were compared.
fn tests_in_words(tests: &Tests) -> String {
    match tests.contestants * tests.contestants.saturating_sub(1) / 2 {
        0 => "paired tests".to_owned(),
        pairs => format!("paired tests of {} of models", format::counted(size(pairs), "pair")),
    }
}

fn why_tied(tests: Tests) -> String {
    let models = match tests.models {
        2 => "Both models are tied".to_owned(),
        models => format!("All {} models are tied", format::count(size(models))),
    };
    if !tests.too_few_items {
        return format!("{models}: no difference between two of them is larger than chance explains.");
    }
    let fewest = stats::fewest_disagreements(tests.contestants);
    format!(
        "{models}: no two of them disagree on enough items. Among so many models a test can tell two apart only \
         when at least {fewest} items set them apart, all in favour of the same one."
    )
}

fn size(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(tests: Option<Tests>) -> Certainty {
        Certainty::of(&Board { tests, ..Board::default() })
    }

    #[test]
    fn a_board_of_one_model_says_nothing() {
        let certainty = said(None);
        assert!(certainty.tests.is_none() && certainty.all_tied.is_none());
    }

    #[test]
    fn a_board_of_baselines_names_no_number_of_pairs() {
        let tests = Tests { models: 9, contestants: 0, all_tied: false, too_few_items: false };
        assert_eq!(said(Some(tests)).tests.as_deref(), Some("paired tests"));
    }

    #[test]
    fn the_reason_of_a_tie_is_named() {
        let tests = Tests { models: 9, contestants: 9, all_tied: true, too_few_items: true };
        let few = said(Some(tests));
        assert_eq!(few.tests.as_deref(), Some("paired tests of 36 pairs of models"));
        assert!(few.all_tied.unwrap().contains("at least 11 items"));
        let alike = said(Some(Tests { too_few_items: false, ..tests })).all_tied.unwrap();
        assert!(alike.starts_with("All 9 models are tied: no difference"), "{alike}");
        assert!(said(Some(Tests { all_tied: false, ..tests })).all_tied.is_none());
    }
}
