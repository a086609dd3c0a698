//! `exact`, `match` and `includes`: the response, or a part of it, is the target.
//!
//! They compare spelling, not meaning, and do not look for an answer inside the response beyond its
//! beginning, its end, or anywhere.

use serde_json::{Value, json};

use super::criteria::{Criteria, invalid};
use super::normal::{Case, is_dash, is_punctuation, spell, strip_edges};
use super::number::plain_decimal;
use super::numeric::{self, Place, Tolerance, not_a_number};
use super::{Outcome, Rule, Scored, check_targets};
use crate::domain::samples::Sample;
use crate::error::Result;

const IGNORE_CASE: &str = "ignore_case";

/// The whole response is the target: word for word once both are normalised, or to the letter.
#[derive(Debug)]
pub(super) enum Exact {
    /// Equality as is.
    Literal,
    /// The same words and numbers, articles and punctuation aside.
    Normalised(Case),
}

impl Exact {
    pub(super) fn parse(criteria: &Criteria<'_>) -> Result<Self> {
        criteria.only(&[IGNORE_CASE, "literal"])?;
        let literal = criteria.flag("literal", false)?;
        let ignore_case = criteria.flag(IGNORE_CASE, !literal)?;
        match (literal, ignore_case) {
            (true, true) => {
                Err(invalid(IGNORE_CASE, "must be false beside literal: equality as is keeps case"))
            }
            (true, false) => Ok(Self::Literal),
            (false, ignore) => Ok(Self::Normalised(Case::ignored(ignore))),
        }
    }

    fn equal(&self, target: &str, response: &str) -> bool {
        let Self::Normalised(case) = *self else {
            return target == response;
        };
        let words = words(target, case, Articles::Dropped);
        if words.is_empty() {
            return spell(target.trim(), case) == spell(response.trim(), case);
        }
        words == self::words(response, case, Articles::Dropped)
    }
}

impl Rule for Exact {
    fn name(&self) -> &'static str {
        "exact"
    }

    fn canonical(&self) -> Value {
        let (ignore_case, literal) = match self {
            Self::Literal => (false, true),
            Self::Normalised(case) => (case.is_ignored(), false),
        };
        json!({IGNORE_CASE: ignore_case, "literal": literal})
    }

    fn check_sample(&self, sample: &Sample, field: &str) -> Result<()> {
        check_targets(sample, field, |target| match self {
            Self::Literal => blank(target),
            Self::Normalised(case) => words(target, *case, Articles::Kept)
                .is_empty()
                .then(|| "has no word and no number: use {\"literal\": true} to compare it as is".to_owned()),
        })
    }

    fn score(&self, sample: &Sample, response: &str) -> Scored {
        let right = sample.target.iter().any(|target| self.equal(target, response));
        Ok(Outcome::verdict(right, Some(response.trim())))
    }
}

/// What becomes of a, an and the.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Articles {
    Dropped,
    Kept,
}

/// The words and numbers of `text`, each in its one spelling. Dashes separate words; other punctuation
/// inside a word goes (`don't` is `dont`); a number keeps its sign and its point.
fn words(text: &str, case: Case, articles: Articles) -> Vec<String> {
    let mut words = Vec::new();
    for token in spell(text, case).split_whitespace() {
        match plain_decimal(token) {
            Some(number) => words.push(number),
            None => words.extend(token.split(is_dash).map(word)),
        }
    }
    let is_article = |word: &str| ["a", "an", "the"].iter().any(|article| word.eq_ignore_ascii_case(article));
    words.retain(|word| !word.is_empty() && (articles == Articles::Kept || !is_article(word)));
    words
}

fn word(part: &str) -> String {
    plain_decimal(part).unwrap_or_else(|| part.replace(is_punctuation, ""))
}

/// Where in the response the target must stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Location {
    Begin,
    End,
    Any,
    Exact,
}

const LOCATIONS: [(&str, Location); 4] =
    [("begin", Location::Begin), ("end", Location::End), ("any", Location::Any), ("exact", Location::Exact)];

impl Location {
    fn name(self) -> &'static str {
        LOCATIONS.iter().find(|(_, location)| *location == self).map_or("", |(name, _)| name)
    }

    fn place(self) -> Place {
        match self {
            Self::Begin => Place::First,
            Self::End => Place::Final,
            Self::Any => Place::Any,
            Self::Exact => Place::Whole,
        }
    }

    fn holds(self, text: &str, target: &str) -> bool {
        match self {
            Self::Begin => text.starts_with(target),
            Self::End => text.ends_with(target),
            Self::Any => text.contains(target),
            Self::Exact => text == target,
        }
    }
}

/// The response begins with, ends with, contains or is the target, white space and punctuation at the edges
/// of both aside; or, `numeric`, so does one of its numbers.
#[derive(Debug)]
pub(super) struct Match {
    location: Location,
    case: Case,
    numeric: bool,
}

impl Match {
    pub(super) fn parse(criteria: &Criteria<'_>) -> Result<Self> {
        criteria.only(&[IGNORE_CASE, "location", "numeric"])?;
        Ok(Self {
            location: criteria.one_of("location", &LOCATIONS, Location::End)?,
            case: Case::ignored(criteria.flag(IGNORE_CASE, true)?),
            numeric: criteria.flag("numeric", false)?,
        })
    }
}

impl Rule for Match {
    fn name(&self) -> &'static str {
        "match"
    }

    fn canonical(&self) -> Value {
        json!({
            IGNORE_CASE: self.case.is_ignored(),
            "location": self.location.name(),
            "numeric": self.numeric,
        })
    }

    fn check_sample(&self, sample: &Sample, field: &str) -> Result<()> {
        let only_edges = |target: &str| {
            let is_empty = strip_edges(&spell(target, self.case)).is_empty();
            is_empty.then(|| "has nothing but punctuation, which is stripped: use includes".to_owned())
        };
        if self.numeric {
            check_targets(sample, field, not_a_number)
        } else {
            check_targets(sample, field, only_edges)
        }
    }

    fn score(&self, sample: &Sample, response: &str) -> Scored {
        if self.numeric {
            return Ok(numeric::compare(sample, response, self.location.place(), Tolerance::default()));
        }
        let spelt = spell(response, self.case);
        let text = strip_edges(&spelt);
        let found = sample.target.iter().find(|target| {
            let target = spell(target, self.case);
            let target = strip_edges(&target);
            !target.is_empty() && self.location.holds(text, target)
        });
        Ok(Outcome::verdict(found.is_some(), found.map(|target| target.trim())))
    }
}

/// The target stands somewhere in the response.
#[derive(Debug)]
pub(super) struct Includes {
    case: Case,
}

impl Includes {
    pub(super) fn parse(criteria: &Criteria<'_>) -> Result<Self> {
        criteria.only(&[IGNORE_CASE])?;
        Ok(Self { case: Case::ignored(criteria.flag(IGNORE_CASE, true)?) })
    }
}

impl Rule for Includes {
    fn name(&self) -> &'static str {
        "includes"
    }

    fn canonical(&self) -> Value {
        json!({IGNORE_CASE: self.case.is_ignored()})
    }

    fn check_sample(&self, sample: &Sample, field: &str) -> Result<()> {
        check_targets(sample, field, blank)
    }

    fn score(&self, sample: &Sample, response: &str) -> Scored {
        let response = spell(response, self.case);
        let is_in =
            |target: &&String| !target.trim().is_empty() && response.contains(&spell(target, self.case));
        let found = sample.target.iter().find(is_in);
        Ok(Outcome::verdict(found.is_some(), found.map(String::as_str)))
    }
}

/// What is wrong with a target that has nothing to see in it.
pub(super) fn blank(target: &str) -> Option<String> {
    target.trim().is_empty().then(|| "must not be blank: nothing would be compared".to_owned())
}
