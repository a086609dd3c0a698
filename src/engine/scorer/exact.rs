//! `exact`: the whole response is the target, once both are brought into one spelling, or to the letter.
//!
//! What counts as one spelling is for `words` and `quantity` to find; `inspect` has another tool's rule.

use serde_json::{Value, json};

use super::criteria::{Criteria, invalid};
use super::inspect;
use super::normal::Case;
use super::quantity::Quantity;
use super::text::{IGNORE_CASE, LIKE, Like, blank};
use super::words::Words;
use super::{Outcome, Rule, Scored, check_targets};
use crate::domain::samples::Sample;
use crate::error::Result;

/// The scorer.
#[derive(Debug)]
pub(super) enum Exact {
    /// Equality as is.
    Literal,
    /// The same words, marks and numbers; what carries no meaning aside.
    Normalised(Case),
    /// The same words as inspect_ai sees them.
    Inspect(Case),
}

impl Exact {
    pub(super) fn parse(criteria: &Criteria<'_>) -> Result<Self> {
        criteria.only(&[IGNORE_CASE, LIKE, "literal"])?;
        let literal = criteria.flag("literal", false)?;
        let ignore_case = criteria.flag(IGNORE_CASE, !literal)?;
        let like = Like::parse(criteria)?;
        match (literal, ignore_case, like) {
            (true, true, _) => {
                Err(invalid(IGNORE_CASE, "must be false beside literal: equality as is keeps case"))
            }
            (true, false, Some(_)) => {
                Err(invalid(LIKE, "must be left out beside literal: texts are compared as they are"))
            }
            (true, false, None) => Ok(Self::Literal),
            (false, ignore, None) => Ok(Self::Normalised(Case::ignored(ignore))),
            (false, ignore, Some(Like::InspectAi)) => Ok(Self::Inspect(Case::ignored(ignore))),
        }
    }

    fn is_right(&self, sample: &Sample, response: &str) -> bool {
        match *self {
            Self::Literal => sample.target.iter().any(|target| target == response),
            Self::Inspect(case) => sample.target.iter().any(|target| inspect::equal(target, response, case)),
            Self::Normalised(case) => {
                let words = Words::of(response, case);
                let has_words = |target: &String| words.are_those_of(&Words::of(target, case));
                sample.target.iter().any(has_words) || has_quantity(sample, response)
            }
        }
    }
}

/// Whether the whole response is the number that one of the targets is.
fn has_quantity(sample: &Sample, response: &str) -> bool {
    let Some(found) = Quantity::of(response) else { return false };
    sample.target.iter().filter_map(|target| Quantity::of_target(target)).any(|wanted| wanted.equals(&found))
}

impl Rule for Exact {
    fn name(&self) -> &'static str {
        "exact"
    }

    fn canonical(&self) -> Value {
        match self {
            Self::Literal => json!({IGNORE_CASE: false, "literal": true}),
            Self::Normalised(case) => json!({IGNORE_CASE: case.is_ignored(), "literal": false}),
            Self::Inspect(case) => {
                json!({IGNORE_CASE: case.is_ignored(), LIKE: Like::InspectAi.name(), "literal": false})
            }
        }
    }

    fn check_sample(&self, sample: &Sample, field: &str) -> Result<()> {
        let wordless = "has no word and no number: use {\"literal\": true} to compare it as is";
        check_targets(sample, field, |target| {
            let has_words = match self {
                Self::Literal => return blank(target),
                Self::Normalised(case) => !Words::of(target, *case).is_empty(),
                Self::Inspect(_) => inspect::has_words(target),
            };
            (!has_words).then(|| wordless.to_owned())
        })
    }

    fn score(&self, sample: &Sample, response: &str) -> Scored {
        Ok(Outcome::verdict(self.is_right(sample, response), Some(response.trim())))
    }
}
