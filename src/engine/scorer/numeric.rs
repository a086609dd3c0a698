//! `numeric`: a number of the response is close enough to the target.
//!
//! It reads numbers by the rules of `number.rs` and does not convert units.

use serde_json::{Value, json};

use super::criteria::Criteria;
use super::number::{Number, numbers, whole};
use super::{Outcome, Rule, Scored, check_targets};
use crate::domain::samples::Sample;
use crate::error::Result;

/// Which number of the response counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    First,
    Last,
    Any,
    /// The response is that number and nothing else.
    Whole,
}

/// How far from the target is still right; either distance will do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Tolerance {
    absolute: f64,
    /// Share of the target's size.
    relative: f64,
}

impl Default for Tolerance {
    fn default() -> Self {
        Self { absolute: 0.0, relative: 1e-6 }
    }
}

impl Tolerance {
    fn covers(self, target: f64, found: f64) -> bool {
        let distance = (found - target).abs();
        distance <= self.absolute || distance <= self.relative * target.abs()
    }
}

/// The scorer.
#[derive(Debug)]
pub(super) struct Numeric {
    place: Place,
    tolerance: Tolerance,
}

impl Numeric {
    pub(super) fn parse(criteria: &Criteria<'_>) -> Result<Self> {
        criteria.only(&["abs_tol", "location", "rel_tol"])?;
        let default = Tolerance::default();
        let tolerance = Tolerance {
            absolute: criteria.amount("abs_tol", default.absolute)?,
            relative: criteria.amount("rel_tol", default.relative)?,
        };
        let places = [("begin", Place::First), ("end", Place::Last), ("any", Place::Any)];
        Ok(Self { place: criteria.one_of("location", &places, Place::Last)?, tolerance })
    }
}

impl Rule for Numeric {
    fn name(&self) -> &'static str {
        "numeric"
    }

    fn canonical(&self) -> Value {
        let location = match self.place {
            Place::First => "begin",
            Place::Any => "any",
            Place::Last | Place::Whole => "end",
        };
        json!({"abs_tol": self.tolerance.absolute, "location": location, "rel_tol": self.tolerance.relative})
    }

    fn check_sample(&self, sample: &Sample, field: &str) -> Result<()> {
        check_targets(sample, field, not_a_number)
    }

    fn score(&self, sample: &Sample, response: &str) -> Scored {
        Ok(compare(sample, response, self.place, self.tolerance))
    }
}

/// What is wrong with a target that is to be compared as a number.
pub(super) fn not_a_number(target: &str) -> Option<String> {
    whole(target).is_none().then(|| "must be one number, such as 42, -3.5, 1,234 or 3/4".to_owned())
}

/// Scores the number at `place` in the response: right when it is close to any target.
pub(super) fn compare(sample: &Sample, response: &str, place: Place, tolerance: Tolerance) -> Outcome {
    let targets: Vec<f64> = sample.target.iter().filter_map(|text| whole(text)).map(|n| n.value).collect();
    let is_right = |found: &Number| targets.iter().any(|target| tolerance.covers(*target, found.value));
    let found = candidates(response, place);
    let right = found.iter().find(|number| is_right(number));
    match right.or(found.last()) {
        None => Outcome::unreadable(None),
        Some(answer) => Outcome::verdict(right.is_some(), Some(&answer.text)),
    }
}

fn candidates(response: &str, place: Place) -> Vec<Number> {
    match place {
        Place::Whole => whole(response).into_iter().collect(),
        Place::Any => numbers(response),
        Place::First => numbers(response).into_iter().take(1).collect(),
        Place::Last => numbers(response).pop().into_iter().collect(),
    }
}
