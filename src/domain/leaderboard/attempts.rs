//! Attempts: the runs that a model has had on an eval, those included that did not end with a score.

use std::collections::HashMap;

use crate::domain::id::{EvalKey, ModelKey, ResultId};
use crate::domain::rounding;

/// The runs of a model on one eval version that may move the board, over all its revisions.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Attempts {
    /// All of them, those that were scored again once.
    pub runs: i64,
    /// Those that ended without a score after at least one case was scored: incomplete or cancelled.
    pub unfinished: i64,
    /// The latest of these, if it is later than the result that the board shows.
    pub later: Option<Later>,
}

/// A run that could not be completed, later than the result that counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Later {
    /// What is there of it.
    pub result: ResultId,
    /// What its counted score could be at best, 0 to 1; none where that cannot be told.
    pub best: Option<f64>,
}

/// Attempts by model and eval.
pub type AttemptsByCell = HashMap<(ModelKey, EvalKey), Attempts>;

impl Later {
    /// Whether it could not have reached `counted`, the counted score that stands.
    #[must_use]
    pub fn is_below(&self, counted: f64) -> bool {
        self.best.is_some_and(|best| rounding::compare(best, counted).is_lt())
    }
}

impl Attempts {
    /// `4 runs, 1 not finished`; none where all were finished.
    #[must_use]
    pub fn note(&self) -> Option<String> {
        let noun = if self.runs == 1 { "run" } else { "runs" };
        (self.unfinished > 0).then(|| format!("{} {noun}, {} not finished", self.runs, self.unfinished))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfinished_runs_are_counted_in_words() {
        let note = |runs, unfinished| Attempts { runs, unfinished, later: None }.note();
        assert_eq!(note(4, 1).as_deref(), Some("4 runs, 1 not finished"));
        assert_eq!(note(1, 1).as_deref(), Some("1 run, 1 not finished"));
        assert_eq!(note(4, 0), None);
    }

    #[test]
    fn a_later_run_is_below_only_where_its_best_is() {
        let later = |best| Later { result: ResultId::from("r".to_owned()), best };
        assert!(later(Some(0.8)).is_below(0.9) && !later(Some(0.9)).is_below(0.9));
        assert!(!later(None).is_below(0.9));
    }
}
