//! What the board says in words of how sure its order is. Built from a ranked board, and pure.

use crate::domain::leaderboard::{Board, Tests};
use crate::domain::stats;
use crate::http::pages::format;

/// How sure the order is.
#[derive(Debug)]
pub struct Certainty {
    /// Pairs of models that were compared; none while there are none.
    pub pairs: Option<String>,
    /// Why nobody is ahead of anybody, when that is so.
    pub all_tied: Option<String>,
}

impl Certainty {
    /// What is known of the order of `board`.
    #[must_use]
    pub fn of(board: &Board) -> Self {
        let pairs = |tests: &Tests| size(tests.contestants * tests.contestants.saturating_sub(1) / 2);
        Self {
            pairs: board.tests.as_ref().map(|tests| format::counted(pairs(tests), "pair")),
            all_tied: board.tests.filter(|tests| tests.all_tied).map(why_tied),
        }
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
        assert!(certainty.pairs.is_none() && certainty.all_tied.is_none());
    }

    #[test]
    fn the_reason_of_a_tie_is_named() {
        let tests = Tests { models: 9, contestants: 9, all_tied: true, too_few_items: true };
        let few = said(Some(tests));
        assert_eq!(few.pairs.as_deref(), Some("36 pairs"));
        assert!(few.all_tied.unwrap().contains("at least 11 items"));
        let alike = said(Some(Tests { too_few_items: false, ..tests })).all_tied.unwrap();
        assert!(alike.starts_with("All 9 models are tied: no difference"), "{alike}");
        assert!(said(Some(Tests { all_tied: false, ..tests })).all_tied.is_none());
    }
}
