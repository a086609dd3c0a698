//! What came of a case in a word or two, and what of it may be shown to whom.

use super::format;
use crate::domain::cases::{Case, CaseState};
use crate::domain::direction::PassMark;
use crate::domain::id::UserKey;
use crate::domain::overrules::Overrule;
use crate::domain::results::EvalResult;
use crate::domain::users::Caller;

/// What came of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// `correct`, `incorrect`, `75 points`, `unscored` or `error`.
    pub word: String,
    /// The class of its look.
    pub class: &'static str,
    /// The error's code, else the reason.
    pub code: Option<String>,
}

impl Verdict {
    /// The verdict that counts on a case of an eval with that pass mark.
    #[must_use]
    pub fn of(case: &Case, pass: PassMark) -> Self {
        let (word, class) = match (case.state, case.score) {
            (CaseState::Scored, Some(score)) => scored(score, pass),
            (CaseState::Error, _) => ("error".to_owned(), "part"),
            _ => ("unscored".to_owned(), "part"),
        };
        Self {
            word,
            class,
            code: case.standing_error().or_else(|| case.standing_reason()).map(str::to_owned),
        }
    }
}

impl Verdict {
    /// What the scorer said of a case whose verdict a person overruled.
    #[must_use]
    pub fn of_scorer(case: &Case, overrule: &Overrule, pass: PassMark) -> Self {
        let (state, score) = (overrule.scorer_state, overrule.scorer_score);
        Self::of(&Case { state, score, overrule: None, ..case.clone() }, pass)
    }
}

fn scored(score: f64, pass: PassMark) -> (String, &'static str) {
    let class = if pass.passes(score) { "good" } else { "bad" };
    let word = match pass.direction.counted(score) {
        1.0 => "correct".to_owned(),
        0.0 => "incorrect".to_owned(),
        _ => format!("{} points", format::points(score, 0)),
    };
    (word, class)
}

/// What of an eval's cases a caller may not see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withheld {
    /// He may see all.
    Nothing,
    /// Targets, and what tells them: criteria, the score's details, what the grader said.
    Targets,
}

impl Withheld {
    /// What is withheld from `caller` of that result.
    #[must_use]
    pub fn of(result: &EvalResult, caller: &Caller) -> Self {
        Self::of_eval(result.hidden_targets, result.eval_owner, caller)
    }

    /// What is withheld from `caller` of an eval of `owner` that hides its targets, or does not.
    #[must_use]
    pub fn of_eval(hides_targets: bool, owner: UserKey, caller: &Caller) -> Self {
        if hides_targets && !caller.owns(owner) { Self::Targets } else { Self::Nothing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::direction::Direction;

    fn mark(threshold: f64, direction: Direction) -> PassMark {
        PassMark { threshold, direction }
    }

    #[test]
    fn a_score_between_has_its_points_and_the_side_of_the_threshold() {
        let scored = |score, threshold| scored(score, mark(threshold, Direction::Higher));
        assert_eq!(scored(1.0, 1.0), ("correct".to_owned(), "good"));
        assert_eq!(scored(0.0, 0.5), ("incorrect".to_owned(), "bad"));
        assert_eq!(scored(0.75, 0.5), ("75 points".to_owned(), "good"));
        assert_eq!(scored(0.75, 1.0), ("75 points".to_owned(), "bad"));
    }

    #[test]
    fn low_scores_are_right_where_lower_is_better() {
        let scored = |score, threshold| scored(score, mark(threshold, Direction::Lower));
        assert_eq!(scored(0.0, 1.0), ("correct".to_owned(), "good"));
        assert_eq!(scored(1.0, 0.5), ("incorrect".to_owned(), "bad"));
        assert_eq!(scored(0.25, 0.5), ("25 points".to_owned(), "good"));
    }
}
