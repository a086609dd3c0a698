//! `match` and `includes`: a part of the response is the target.
//!
//! They compare spelling, not meaning, and do not look for an answer inside the response beyond its
//! beginning, its end, or anywhere.

use serde_json::{Value, json};

use super::boundary::stands_alone;
use super::criteria::{Criteria, invalid};
use super::fold::fold;
use super::inspect;
use super::normal::{Case, single_spaced, spell, squeeze, strip_marks};
use super::numeric::{self, Place, Tolerance, not_a_number};
use super::{Outcome, Rule, Scored, check_targets};
use crate::domain::samples::Sample;
use crate::error::Result;

/// Name of the parameter for letter case.
pub(super) const IGNORE_CASE: &str = "ignore_case";

/// Name of the parameter for another tool's rule.
pub(super) const LIKE: &str = "like";

/// Another tool whose rule is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Like {
    /// inspect_ai, which drops marks inside words and does not look for word boundaries.
    InspectAi,
}

impl Like {
    pub(super) fn parse(criteria: &Criteria<'_>) -> Result<Option<Self>> {
        criteria.one_of(LIKE, &[(Self::InspectAi.name(), Some(Self::InspectAi))], None)
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::InspectAi => "inspect_ai",
        }
    }
}

/// Adds `like` to a scorer's parameters where it is given.
fn with_like(mut canonical: Value, like: Option<Like>) -> Value {
    if let (Some(like), Some(members)) = (like, canonical.as_object_mut()) {
        members.insert(LIKE.to_owned(), like.name().into());
    }
    canonical
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

    /// Whether `text` has the target in that place, with word boundaries around it.
    fn holds(self, text: &str, target: &str) -> bool {
        let stands_at = |start: usize| stands_alone(text, start, start + target.len());
        match self {
            Self::Begin => text.starts_with(target) && stands_at(0),
            Self::End => text.strip_suffix(target).is_some_and(|before| stands_at(before.len())),
            Self::Any => text.match_indices(target).any(|(start, _)| stands_at(start)),
            Self::Exact => text == target,
        }
    }

    /// Whether `text` has the characters of the target in that place, inside a word or not.
    fn holds_characters(self, text: &str, target: &str) -> bool {
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
    like: Option<Like>,
}

impl Match {
    pub(super) fn parse(criteria: &Criteria<'_>) -> Result<Self> {
        criteria.only(&[IGNORE_CASE, LIKE, "location", "numeric"])?;
        let (numeric, like) = (criteria.flag("numeric", false)?, Like::parse(criteria)?);
        if numeric && like.is_some() {
            return Err(invalid(LIKE, "must be left out beside numeric: numbers are compared"));
        }
        Ok(Self {
            location: criteria.one_of("location", &LOCATIONS, Location::End)?,
            case: Case::ignored(criteria.flag(IGNORE_CASE, true)?),
            numeric,
            like,
        })
    }

    /// Returns the text that is compared.
    fn prepared(&self, text: &str) -> String {
        match self.like {
            Some(Like::InspectAi) => inspect::stripped(text, self.case),
            None => strip_marks(&squeeze(&spell(text, self.case))).to_owned(),
        }
    }

    fn holds(&self, text: &str, target: &str) -> bool {
        match self.like {
            _ if target.is_empty() => false,
            Some(Like::InspectAi) => self.location.holds_characters(text, target),
            None => self.location.holds(text, target),
        }
    }
}

impl Rule for Match {
    fn name(&self) -> &'static str {
        "match"
    }

    fn canonical(&self) -> Value {
        let canonical = json!({
            IGNORE_CASE: self.case.is_ignored(),
            "location": self.location.name(),
            "numeric": self.numeric,
        });
        with_like(canonical, self.like)
    }

    fn check_sample(&self, sample: &Sample, field: &str) -> Result<()> {
        let only_edges = |target: &str| {
            let is_empty = self.prepared(target).is_empty();
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
        let text = self.prepared(response);
        let found = sample.target.iter().find(|target| self.holds(&text, &self.prepared(target)));
        Ok(Outcome::verdict(found.is_some(), found.map(|target| target.trim())))
    }
}

/// The target stands somewhere in the response.
#[derive(Debug)]
pub(super) struct Includes {
    case: Case,
    like: Option<Like>,
}

impl Includes {
    pub(super) fn parse(criteria: &Criteria<'_>) -> Result<Self> {
        criteria.only(&[IGNORE_CASE, LIKE])?;
        let case = Case::ignored(criteria.flag(IGNORE_CASE, true)?);
        Ok(Self { case, like: Like::parse(criteria)? })
    }

    /// Returns the text that is searched or looked for.
    fn prepared(&self, text: &str) -> String {
        match self.like {
            Some(Like::InspectAi) => inspect::spell(text, self.case),
            None => single_spaced(&spell(text, self.case)),
        }
    }
}

impl Rule for Includes {
    fn name(&self) -> &'static str {
        "includes"
    }

    fn canonical(&self) -> Value {
        with_like(json!({IGNORE_CASE: self.case.is_ignored()}), self.like)
    }

    fn check_sample(&self, sample: &Sample, field: &str) -> Result<()> {
        check_targets(sample, field, blank)
    }

    fn score(&self, sample: &Sample, response: &str) -> Scored {
        let response = self.prepared(response);
        let is_in = |target: &&String| blank(target).is_none() && response.contains(&self.prepared(target));
        let found = sample.target.iter().find(is_in);
        Ok(Outcome::verdict(found.is_some(), found.map(String::as_str)))
    }
}

/// What is wrong with a target that has nothing to see in it.
pub(super) fn blank(target: &str) -> Option<String> {
    fold(target).trim().is_empty().then(|| "must not be blank: nothing would be compared".to_owned())
}
