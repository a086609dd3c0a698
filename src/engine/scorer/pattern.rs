//! `pattern`: what a regular expression finds in the response is the target.
//!
//! The first hit counts. There is no look-around and no back-reference: the engine takes time linear in the
//! response, so a pattern cannot hang a worker.

use regex::{Captures, Regex, RegexBuilder};
use serde_json::{Value, json};

use super::criteria::{Criteria, invalid};
use super::normal::{Case, spell};
use super::text::blank;
use super::{Outcome, Rule, Scored, check_targets};
use crate::domain::samples::Sample;
use crate::error::Result;

/// Longest pattern, in bytes.
const MAX_PATTERN: usize = 1024;
/// Largest compiled pattern, in bytes: `\w{1000}{1000}` is short as well.
const MAX_COMPILED: usize = 1 << 20;

/// The scorer.
#[derive(Debug)]
pub(super) struct Pattern {
    regex: Regex,
    case: Case,
    match_all: bool,
}

impl Pattern {
    pub(super) fn parse(criteria: &Criteria<'_>) -> Result<Self> {
        criteria.only(&["ignore_case", "match_all", "pattern"])?;
        let case = Case::ignored(criteria.flag("ignore_case", true)?);
        let pattern = criteria.text("pattern")?;
        let pattern = pattern.ok_or_else(|| invalid("pattern", "is required: a regular expression"))?;
        Ok(Self { regex: compile(pattern, case)?, case, match_all: criteria.flag("match_all", false)? })
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
        let found = self.regex.captures(response).map(|captures| captured(&captures)).unwrap_or_default();
        let right: Vec<&str> = found.iter().copied().filter(|part| self.is_target(sample, part)).collect();
        Ok(match (found.first(), right.first()) {
            (None, _) => Outcome::unreadable(None),
            _ if self.match_all => Outcome::verdict(right.len() == found.len(), Some(&found.join(", "))),
            (Some(first), hit) => Outcome::verdict(hit.is_some(), hit.or(Some(first)).copied()),
        })
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
