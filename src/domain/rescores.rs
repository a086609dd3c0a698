//! Scoring the answers of a run again: what of it can be, and what stands against the rest.

use std::fmt;

use super::id::{EvalId, ModelId};
use super::runs::Run;
use super::sharing::Refusal;

/// Why the answers of a cell cannot be scored again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// Its model is deleted.
    ModelDeleted,
    /// Its eval is deleted.
    EvalDeleted,
    /// No case of it was recorded.
    NothingStored,
    /// None of its cases has an answer.
    NoAnswer,
    /// Answers of it were removed, since the server keeps them for a limited time.
    AnswersRemoved {
        /// Of how many cases.
        removed: i64,
        /// Of how many that it has.
        cases: i64,
    },
    /// The model would be asked with another prompt now.
    PromptChanged,
    /// The model would be asked other samples now, or shown other choices.
    InputsChanged,
    /// More answers of each sample are needed now than are stored.
    TooFewAnswers {
        /// How many.
        needed: i64,
        /// How many there are.
        stored: i64,
    },
    /// Whoever rescores may not run the eval's grader.
    GraderRefused(Refusal),
}

impl Obstacle {
    /// Its name in the API.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::ModelDeleted => "model_deleted",
            Self::EvalDeleted => "eval_deleted",
            Self::NothingStored => "nothing_stored",
            Self::NoAnswer => "no_answer",
            Self::AnswersRemoved { .. } => "answers_removed",
            Self::PromptChanged => "prompt_changed",
            Self::InputsChanged => "inputs_changed",
            Self::TooFewAnswers { .. } => "too_few_answers",
            Self::GraderRefused(refusal) => refusal.code(),
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ModelDeleted => write!(out, "the model is deleted"),
            Self::EvalDeleted => write!(out, "the eval is deleted"),
            Self::NothingStored => write!(out, "no case of it was recorded"),
            Self::NoAnswer => write!(out, "none of its cases was answered: retry them instead"),
            Self::AnswersRemoved { removed, cases } => write!(
                out,
                "the answers of {removed} of its {cases} cases were removed, since this server keeps them for a \
                 limited time: run it instead"
            ),
            Self::PromptChanged => write!(out, "the prompt has changed since: run it instead"),
            Self::InputsChanged => {
                write!(out, "the samples' inputs or choices have changed since: run it instead")
            }
            Self::TooFewAnswers { needed, stored } => {
                write!(out, "{needed} answers of each sample are needed now, and {stored} are stored")
            }
            Self::GraderRefused(refusal) => write!(out, "its grader {refusal}"),
        }
    }
}

/// A cell that is not scored again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The model.
    pub model: ModelId,
    /// Its present name.
    pub model_name: String,
    /// The eval.
    pub eval: EvalId,
    /// Its present name.
    pub eval_name: String,
    /// Why not.
    pub why: Obstacle,
}

/// What scoring again would do, or does.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Cells that are scored again, 1 or more.
    pub cells: i64,
    /// Their cases.
    pub cases: i64,
    /// The others.
    pub skipped: Vec<Skipped>,
}

/// A run that scores again, and what it leaves out.
#[derive(Debug, Clone, PartialEq)]
pub struct Rescored {
    /// The new run.
    pub run: Run,
    /// Its plan.
    pub plan: Plan,
}

/// `2 cells: the prompt has changed since`, for each obstacle that stands against some of these, in their order.
#[must_use]
pub fn summary(skipped: &[Skipped]) -> String {
    let mut counts: Vec<(Obstacle, usize)> = Vec::new();
    for Skipped { why, .. } in skipped {
        match counts.iter_mut().find(|(known, _)| known == why) {
            Some((_, count)) => *count += 1,
            None => counts.push((why.clone(), 1)),
        }
    }
    let lines = counts.iter().map(|(why, count)| match count {
        1 => format!("1 cell: {why}"),
        count => format!("{count} cells: {why}"),
    });
    lines.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn obstacles_are_counted_in_the_order_in_which_they_were_met() {
        let skipped = |why| Skipped {
            model: ModelId::from("m".to_owned()),
            model_name: String::new(),
            eval: EvalId::from("e".to_owned()),
            eval_name: String::new(),
            why,
        };
        let all = [Obstacle::NoAnswer, Obstacle::ModelDeleted, Obstacle::NoAnswer].map(skipped);
        let said = summary(&all);
        assert!(said.starts_with("2 cells: none of its cases was answered"), "{said}");
        assert!(said.ends_with("; 1 cell: the model is deleted"), "{said}");
        assert_eq!(summary(&[]), "");
    }
}
