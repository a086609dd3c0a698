//! A person's verdict on a case in place of the scorer's: who may give it, on what, and what it may be.
//!
//! What it does to the score of a result is the result's own rule, the same as without it.

use super::cases::{Case, CaseState};
use super::direction::Direction;
use super::id::UserId;
use super::results::EvalResult;
use super::time::Millis;
use super::users::User;
use crate::error::{Error, Result};

/// A person's verdict, and the scorer's that it stands before.
#[derive(Debug, Clone, PartialEq)]
pub struct Overrule {
    /// Who gave it.
    pub by: UserId,
    /// His e-mail address, as `submitted_by` elsewhere.
    pub submitted_by: String,
    /// When.
    pub at: Millis,
    /// Why.
    pub reason: String,
    /// What the scorer knew: scored or unscored.
    pub scorer_state: CaseState,
    /// What the scorer gave, 0 to 1; none when it gave nothing.
    pub scorer_score: Option<f64>,
}

/// What a person says of an answer, before it is known what its scorer may say.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Said {
    /// 0 to 1.
    pub score: Option<f64>,
    /// Right or wrong: 1 or 0, and 0 or 1 where lower is better.
    pub correct: Option<bool>,
}

impl Said {
    /// The score that it means on an eval of that direction, for a scorer that is `binary` (says right or wrong) or is not.
    ///
    /// # Errors
    /// `Invalid` naming `score`: not exactly one of the two is said, or it is nothing that the scorer could say.
    pub fn score(self, binary: bool, direction: Direction) -> Result<f64> {
        let score = match (self.score, self.correct) {
            (Some(score), None) => score,
            (None, Some(correct)) => direction.counted(f64::from(u8::from(correct))),
            _ => return Err(Error::invalid("score", "say either score or correct, and not both")),
        };
        if !(0.0..=1.0).contains(&score) {
            return Err(Error::invalid("score", "score must be a number from 0 to 1"));
        }
        if binary && score != 0.0 && score != 1.0 {
            let message =
                "score must be 0 or 1: the scorer of this eval says right or wrong, and nothing between";
            return Err(Error::invalid("score", message));
        }
        Ok(score)
    }
}

/// Refuses who may not judge an answer. What is right on an eval is for its owner to say; only where the model is his
/// as well, he would be a judge in his own cause, and it takes an admin.
///
/// # Errors
/// `Forbidden`.
pub fn require_judge(user: &User, result: &EvalResult) -> Result<()> {
    user.require_owner(result.eval_owner, "eval")?;
    if user.is_admin() || user.key != result.model_owner {
        return Ok(());
    }
    let message = "the model is your own, so that an admin has to judge its answers";
    Err(Error::Forbidden(message.to_owned()))
}

/// Refuses to change a verdict while cases of its run may still come: the result has no score of its own yet.
///
/// # Errors
/// `Conflict` (`run_open`).
pub fn require_settled(result: &EvalResult) -> Result<()> {
    if !result.run_is_open {
        return Ok(());
    }
    let message = "the run of this case is not over: its verdicts can be overruled once it is";
    Err(Error::Conflict { code: "run_open", message: message.to_owned() })
}

/// Refuses a verdict on what nobody can judge: there must be an answer, and it must be there to be read.
///
/// # Errors
/// `Conflict` (`no_answer`, `answer_removed`).
pub fn require_answer(case: &Case) -> Result<()> {
    if case.state == CaseState::Error {
        let message = "the model gave no answer that could be judged: retry the run instead";
        return Err(Error::Conflict { code: "no_answer", message: message.to_owned() });
    }
    if case.removed_at.is_some() {
        let message = "the answer was removed, so that nobody could check what is said of it";
        return Err(Error::Conflict { code: "answer_removed", message: message.to_owned() });
    }
    Ok(())
}

/// Refuses a verdict that changes nothing: the one that counts already.
///
/// # Errors
/// `Conflict` (`same_verdict`).
pub fn refuse_same(case: &Case, score: f64) -> Result<()> {
    if case.state != CaseState::Scored || case.score != Some(score) {
        return Ok(());
    }
    let message = format!("the verdict is {score} already: nothing would change");
    Err(Error::Conflict { code: "same_verdict", message })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_a_score_that_the_scorer_could_have_given() {
        let said = |score, correct| Said { score, correct };
        assert_eq!(said(None, Some(true)).score(true, Direction::Higher).unwrap(), 1.0);
        assert_eq!(said(None, Some(false)).score(false, Direction::Higher).unwrap(), 0.0);
        assert_eq!(said(Some(0.25), None).score(false, Direction::Higher).unwrap(), 0.25);
        assert_eq!(said(None, Some(true)).score(true, Direction::Lower).unwrap(), 0.0);
        assert_eq!(said(Some(0.25), None).score(false, Direction::Lower).unwrap(), 0.25);
        let refused = [
            said(None, None).score(false, Direction::Higher),
            said(Some(1.0), Some(true)).score(false, Direction::Higher),
            said(Some(1.01), None).score(false, Direction::Higher),
            said(Some(f64::NAN), None).score(false, Direction::Higher),
            said(Some(0.5), None).score(true, Direction::Higher),
        ];
        for refused in refused {
            assert!(
                matches!(&refused, Err(Error::Invalid { field: Some(field), .. }) if field == "score"),
                "{refused:?}"
            );
        }
    }
}
