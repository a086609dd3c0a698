//! `pattern`: what a regular expression finds in the response is the target.
//!
//! The first hit in the last box counts, else the first one, unless the criteria say where to look. There is no
//! look-around and no back-reference: the engine takes time linear in the
//! response, so a pattern cannot hang a worker.

use regex::{Captures, Regex, RegexBuilder};
use serde_json::{Value, json};

use super::criteria::{Criteria, invalid};
use super::normal::{Case, spell};
use super::number::boxed;
use super::text::blank;
use super::{Outcome, Rule, Scored, check_targets};
use crate::domain::samples::Sample;
use crate::error::Result;

/// Longest pattern, in bytes.
const MAX_PATTERN: usize = 1024;
/// Largest compiled pattern, in bytes: `\w{1000}{1000}` is short as well.
const MAX_COMPILED: usize = 1 << 20;

/// How much of the end of a response is searched for its last hit, or for all of them, in bytes: searching on behind
/// each hit takes time beyond the linear.
const MAX_SEARCHED: usize = 64 * 1024;

/// Which hit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The first one in the last box; where there is none, the first one.
    Final,
    /// The first one in the last box.
    Boxed,
    First,
    Last,
    Any,
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

/// The scorer.
#[derive(Debug)]
pub(super) struct Pattern {
    regex: Regex,
    case: Case,
    match_all: bool,
    place: Place,
}

impl Pattern {
    pub(super) fn parse(criteria: &Criteria<'_>) -> Result<Self> {
        criteria.only(&["ignore_case", "location", "match_all", "pattern"])?;
        let case = Case::ignored(criteria.flag("ignore_case", true)?);
        let pattern = criteria.text("pattern")?;
        let pattern = pattern.ok_or_else(|| invalid("pattern", "is required: a regular expression"))?;
        Ok(Self {
            regex: compile(pattern, case)?,
            case,
            match_all: criteria.flag("match_all", false)?,
            place: criteria.one_of("location", &PLACES, Place::Final)?,
        })
    }

    /// What the hits that count captured, each for itself.
    fn hits<'t>(&self, response: &'t str) -> Vec<Vec<&'t str>> {
        let first = |text: &'t str| self.regex.captures(text).map(|hit| captured(&hit));
        let in_box = || boxed(response).and_then(first);
        let end = response.get(response.ceil_char_boundary(response.len().saturating_sub(MAX_SEARCHED))..);
        let all = self.regex.captures_iter(end.unwrap_or_default()).map(|hit| captured(&hit));
        match self.place {
            Place::Final => in_box().or_else(|| first(response)).into_iter().collect(),
            Place::Boxed => in_box().into_iter().collect(),
            Place::First => first(response).into_iter().collect(),
            Place::Last => all.last().into_iter().collect(),
            Place::Any => all.collect(),
        }
    }

    /// The verdict on one hit.
    fn judge(&self, sample: &Sample, found: &[&str]) -> Outcome {
        let right: Vec<&str> = found.iter().copied().filter(|part| self.is_target(sample, part)).collect();
        match (found.first(), right.first()) {
            (None, _) => Outcome::unreadable(None),
            _ if self.match_all => Outcome::verdict(right.len() == found.len(), Some(&found.join(", "))),
            (Some(first), hit) => Outcome::verdict(hit.is_some(), hit.or(Some(first)).copied()),
        }
    }

    fn is_target(&self, sample: &Sample, captured: &str) -> bool {
        let captured = spell(captured.trim(), self.case);
        sample.target.iter().any(|target| spell(target.trim(), self.case) == captured)
    }
}

impl Rule for Pattern {
    fn name(&self) -> &'static str {
        "pattern"
    }

    fn canonical(&self) -> Value {
        json!({
            "ignore_case": self.case.is_ignored(),
            "location": PLACES.iter().find(|(_, place)| *place == self.place).map(|(word, _)| *word),
            "match_all": self.match_all,
            "pattern": self.regex.as_str(),
        })
    }

    fn check_sample(&self, sample: &Sample, field: &str) -> Result<()> {
        check_targets(sample, field, blank)
    }

    /// A person's pattern over a model's text.
    fn is_slow(&self) -> bool {
        true
    }

    fn score(&self, sample: &Sample, response: &str) -> Scored {
        let mut outcomes: Vec<Outcome> =
            self.hits(response).iter().map(|found| self.judge(sample, found)).collect();
        let right = outcomes.iter().position(|outcome| outcome.score > 0.0);
        let counts = right.or(outcomes.len().checked_sub(1));
        Ok(counts.map_or_else(|| Outcome::unreadable(None), |at| outcomes.swap_remove(at)))
    }
}

/// The groups that took part in the match, or the match itself where the pattern has no group.
fn captured<'t>(captures: &Captures<'t>) -> Vec<&'t str> {
    let skipped = usize::from(captures.len() > 1);
    captures.iter().skip(skipped).flatten().map(|part| part.as_str()).collect()
}

fn compile(pattern: &str, case: Case) -> Result<Regex> {
    if pattern.len() > MAX_PATTERN {
        return Err(invalid("pattern", "must be at most 1 KB"));
    }
    RegexBuilder::new(pattern)
        .case_insensitive(case.is_ignored())
        .size_limit(MAX_COMPILED)
        .dfa_size_limit(MAX_COMPILED)
        .build()
        .map_err(|error| invalid("pattern", explain(&error)))
}

fn explain(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => "is too large once its repetitions are unrolled".to_owned(),
        other => format!("is not a valid regular expression (Rust syntax): {other}"),
    }
}
