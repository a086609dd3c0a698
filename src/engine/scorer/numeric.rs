//! `numeric`: a number of the response is the target, or close enough to it.
//!
//! It reads numbers by the rules of `number` and does not convert units. Two whole numbers are compared digit by digit,
//! unless the criteria allow a relative distance.

use serde_json::{Value, json};

use super::criteria::Criteria;
use super::number::{Mark, Number, boxed, numbers, whole};
use super::{Outcome, Rule, Scored, check_targets};
use crate::domain::samples::Sample;
use crate::error::Result;

/// Share of the target's size that a decimal may be off by, unless the criteria say otherwise.
const DECIMAL_TOLERANCE: f64 = 1e-6;

/// Which number of the response counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The last one in the last box; of a response without a box, the last one.
    Final,
    /// The last one in the last box.
    Boxed,
    First,
    Last,
    Any,
    /// The response is that number and nothing else.
    Whole,
}

/// Spellings of places; the first of each is its own.
const PLACES: [(&str, Place); 7] = [
    ("auto", Place::Final),
    ("boxed", Place::Boxed),
    ("first", Place::First),
    ("last", Place::Last),
    ("any", Place::Any),
    ("begin", Place::First),
    ("end", Place::Last),
];

/// Spellings of decimal marks; none is by the target's notation.
const MARKS: [(&str, Option<Mark>); 5] = [
    ("auto", None),
    (".", Some(Mark::Point)),
    (",", Some(Mark::Comma)),
    ("point", Some(Mark::Point)),
    ("comma", Some(Mark::Comma)),
];

/// How far from the target is still right; either distance will do.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Tolerance {
    absolute: f64,
    /// Share of the target's size. None is [`DECIMAL_TOLERANCE`] for decimals, and nothing for whole numbers.
    relative: Option<f64>,
}

impl Tolerance {
    fn covers(self, target: &Number, found: &Number) -> bool {
        let are_whole = target.digits.is_some() && found.digits.is_some();
        if are_whole && target.digits == found.digits {
            return true;
        }
        let distance = (found.value - target.value).abs();
        let default = if are_whole { 0.0 } else { DECIMAL_TOLERANCE };
        let allowed = (self.relative.unwrap_or(default) * target.value.abs()).max(self.absolute);
        // Whole numbers that differ may be the same float, and too large ones have no distance.
        let may_differ = allowed > 0.0 || !are_whole;
        may_differ && distance.is_finite() && distance <= allowed
    }
}

/// How a number is found in a response and compared.
#[derive(Debug, Clone, Copy)]
struct Rules {
    place: Place,
    tolerance: Tolerance,
    /// None is by the target's notation.
    mark: Option<Mark>,
}

/// The scorer.
#[derive(Debug)]
pub(super) struct Numeric(Rules);

impl Numeric {
    pub(super) fn parse(criteria: &Criteria<'_>) -> Result<Self> {
        criteria.only(&["abs_tol", "decimal_mark", "location", "rel_tol"])?;
        let relative = criteria.json("rel_tol").map(|_| criteria.amount("rel_tol", DECIMAL_TOLERANCE));
        let tolerance =
            Tolerance { absolute: criteria.amount("abs_tol", 0.0)?, relative: relative.transpose()? };
        Ok(Self(Rules {
            place: criteria.one_of("location", &PLACES, Place::Final)?,
            tolerance,
            mark: criteria.one_of("decimal_mark", &MARKS, None)?,
        }))
    }
}

impl Rule for Numeric {
    fn name(&self) -> &'static str {
        "numeric"
    }

    fn canonical(&self) -> Value {
        let Rules { place, tolerance, mark } = self.0;
        json!({
            "abs_tol": tolerance.absolute,
            "decimal_mark": spelling(&MARKS, mark),
            "location": spelling(&PLACES, place),
            "rel_tol": tolerance.relative,
        })
    }

    fn check_sample(&self, sample: &Sample, field: &str) -> Result<()> {
        check_targets(sample, field, |target| read(target, self.0.mark).is_none().then(flaw))
    }

    fn score(&self, sample: &Sample, response: &str) -> Scored {
        Ok(self.0.score(sample, response))
    }
}

fn spelling<T: PartialEq>(spellings: &[(&'static str, T)], meaning: T) -> &'static str {
    spellings.iter().find(|(_, each)| *each == meaning).map_or("", |(spelling, _)| spelling)
}

/// What is wrong with a target that is to be compared as a number.
pub(super) fn not_a_number(target: &str) -> Option<String> {
    read(target, None).is_none().then(flaw)
}

fn flaw() -> String {
    "must be one number, such as 42, -3.5, 1,234 or 3/4".to_owned()
}

/// The number that a target is. Without a mark it is read with the point, and with the comma where that fails.
fn read(target: &str, mark: Option<Mark>) -> Option<Number> {
    let by_comma = || whole(target, Mark::Comma).filter(|_| mark.is_none());
    whole(target, mark.unwrap_or(Mark::Point)).or_else(by_comma)
}

/// Scores the number at `place` in the response, read with the targets' own decimal mark: right when it is close to any
/// target.
pub(super) fn compare(sample: &Sample, response: &str, place: Place, tolerance: Tolerance) -> Outcome {
    Rules { place, tolerance, mark: None }.score(sample, response)
}

impl Rules {
    fn score(self, sample: &Sample, response: &str) -> Outcome {
        let targets: Vec<Number> =
            sample.target.iter().filter_map(|target| read(target, self.mark)).collect();
        let has_comma = targets.iter().any(|target| target.mark == Some(Mark::Comma));
        let mark = self.mark.unwrap_or(if has_comma { Mark::Comma } else { Mark::Point });
        let is_right = |found: &Number| targets.iter().any(|target| self.tolerance.covers(target, found));
        let found = candidates(response, self.place, mark);
        let right = found.iter().find(|number| is_right(number));
        match right.or(found.last()) {
            None => Outcome::unreadable(None),
            Some(answer) => Outcome::verdict(right.is_some(), Some(&answer.text)),
        }
    }
}

fn candidates(response: &str, place: Place, mark: Mark) -> Vec<Number> {
    let last = |text: &str| numbers(text, mark).pop().into_iter().collect();
    match place {
        Place::Whole => whole(response, mark).into_iter().collect(),
        Place::Any => numbers(response, mark),
        Place::First => numbers(response, mark).into_iter().take(1).collect(),
        Place::Last => last(response),
        Place::Boxed => boxed(response).map(last).unwrap_or_default(),
        // A box without a number says that the answer is none: what is left would be misread.
        Place::Final => last(boxed(response).unwrap_or(response)),
    }
}
