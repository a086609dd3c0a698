//! `multi`: several scorers on one response, and how their scores become one.
//!
//! A part is any other scorer. Where a grader or a webhook is asked for a part, the engine does it, one part at a
//! time. A version pins one grader and an eval keeps one webhook's secret: graded parts share their grader, and
//! one part may be a webhook. A `multi` inside would only be a longer way to write a list.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::criteria::{Criteria, invalid};
use super::{Outcome, Scored, Scorer, Way, names};
use crate::domain::samples::Sample;
use crate::error::{Error, Result};

/// Most parts.
const MOST_PARTS: usize = 20;
/// Largest weight.
const MOST_WEIGHT: f64 = 1e6;

/// How the parts' scores become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Combine {
    /// The mean by weight.
    Mean,
    /// 1 when every part passes.
    All,
    /// 1 when a part passes.
    Any,
    /// The lowest score.
    Min,
}

const COMBINES: [(&str, Combine); 4] =
    [("mean", Combine::Mean), ("all", Combine::All), ("any", Combine::Any), ("min", Combine::Min)];

impl Combine {
    fn name(self) -> &'static str {
        COMBINES.iter().find(|(_, combine)| *combine == self).map_or("", |(name, _)| name)
    }
}

/// Several scorers that become one.
#[derive(Debug, Clone)]
pub struct Multi {
    combine: Combine,
    parts: Vec<Part>,
}

/// One of its scorers.
#[derive(Debug, Clone)]
pub struct Part {
    scorer: Scorer,
    /// Above 0; counts in a mean only.
    weight: f64,
}

impl Multi {
    pub(super) fn parse(criteria: &Criteria<'_>) -> Result<Self> {
        criteria.only(&["combine", "scorers"])?;
        let combine = criteria.one_of("combine", &COMBINES, Combine::Mean)?;
        let listed = criteria.json("scorers").and_then(Value::as_array);
        let listed = listed.filter(|listed| (1..=MOST_PARTS).contains(&listed.len())).ok_or_else(|| {
            let example = "{\"type\": \"includes\", \"weight\": 2}";
            invalid("scorers", format!("must be a list of 1 to {MOST_PARTS} scorers, such as {example}"))
        })?;
        let parts =
            listed.iter().enumerate().map(|(at, part)| Part::parse(part).map_err(|error| within(error, at)));
        let multi = Self { combine, parts: parts.collect::<Result<_>>()? };
        multi.refuse_rivals()?;
        Ok(multi)
    }

    /// Refuses parts that would each need what an eval has once.
    fn refuse_rivals(&self) -> Result<()> {
        let count = |is_meant: fn(&Part) -> bool| self.parts.iter().filter(|part| is_meant(part)).count();
        if count(Part::is_choice) > 1 {
            return Err(invalid("scorers", "must hold choice at most once: options are shown in one order"));
        }
        if count(|part| part.scorer.webhook().is_some()) > 1 {
            return Err(invalid("scorers", "must hold webhook at most once: an eval keeps one secret"));
        }
        let mut graders = self.parts.iter().filter_map(|part| part.scorer.graded()).map(|part| &part.grader);
        let first = graders.next();
        if graders.any(|grader| Some(grader) != first) {
            return Err(invalid(
                "scorers",
                "must name the same grader in each part that is graded by a model",
            ));
        }
        Ok(())
    }

    /// Uses the eval's expected behaviour as the rubric of each part that has none.
    pub(super) fn with_expected(self, expected: &str) -> Result<Self> {
        let parts = self.parts.into_iter().enumerate().map(|(at, part)| {
            let scorer = part.scorer.with_expected(expected).map_err(|error| within(error, at))?;
            Ok(Part { scorer, ..part })
        });
        Ok(Self { parts: parts.collect::<Result<_>>()?, ..self })
    }

    /// Its scorers, in the order in which they were listed; 1 to 20.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// What the parts' findings come to: one for each of [`Multi::parts`], in their order. `details` are theirs,
    /// as [`Part::details`] makes them.
    pub fn combine(&self, findings: &[Outcome], details: Vec<Value>) -> Outcome {
        let score = self.combined(findings);
        let mut reasons = findings.iter().map(|finding| finding.reason);
        let shared =
            reasons.next().flatten().filter(|first| score == 0.0 && reasons.all(|each| each == Some(*first)));
        let outcome = Outcome::measured(score, None).with_details(self.details(details));
        Outcome { reason: shared, ..outcome }
    }

    /// The details of the whole, also of one that has no score because a part has none.
    pub fn details(&self, parts: Vec<Value>) -> Value {
        json!({"combine": self.combine.name(), "parts": parts})
    }

    fn combined(&self, findings: &[Outcome]) -> f64 {
        let pairs = || self.parts.iter().zip(findings);
        match self.combine {
            Combine::All => f64::from(pairs().all(|(part, finding)| part.passes(finding))),
            Combine::Any => f64::from(pairs().any(|(part, finding)| part.passes(finding))),
            Combine::Min => findings.iter().map(|finding| finding.score).fold(1.0, f64::min),
            Combine::Mean => {
                let weighted: f64 = pairs().map(|(part, finding)| part.weight * finding.score).sum();
                let whole: f64 = self.parts.iter().map(|part| part.weight).sum();
                // Rounding may carry a perfect mean a hair above 1.
                (weighted / whole).min(1.0)
            }
        }
    }

    fn choice(&self) -> Option<&Part> {
        self.parts.iter().find(|part| part.is_choice())
    }
}

impl Part {
    fn parse(given: &Value) -> Result<Self> {
        let given =
            given.as_object().ok_or_else(|| invalid("type", "is required: the scorer's eval_type"))?;
        let criteria = Criteria::new("multi", given, None);
        let eval_type =
            criteria.text("type")?.ok_or_else(|| invalid("type", "is required: the scorer's eval_type"))?;
        let weight = criteria.amount("weight", 1.0)?;
        if weight == 0.0 || weight > MOST_WEIGHT {
            return Err(invalid("weight", "must be above 0 and at most 1000000"));
        }
        let own = given.iter().filter(|(name, _)| !["type", "weight"].contains(&name.as_str()));
        let own: Map<String, Value> = own.map(|(name, value)| (name.clone(), value.clone())).collect();
        if eval_type == "multi" {
            return Err(invalid("type", "multi cannot be part of multi: list its scorers here"));
        }
        Ok(Self { scorer: Scorer(names::build(eval_type, &own)?), weight })
    }

    /// Scores its share of a response.
    pub const fn scorer(&self) -> &Scorer {
        &self.scorer
    }

    fn is_choice(&self) -> bool {
        self.scorer.name() == "choice"
    }

    fn passes(&self, found: &Outcome) -> bool {
        found.score >= self.scorer.default_pass_threshold()
    }

    fn canonical(&self) -> Value {
        let mut members: Vec<(String, Value)> = match self.scorer.canonical() {
            Value::Object(members) => members.into_iter().collect(),
            _ => Vec::new(),
        };
        members.extend([
            ("type".to_owned(), self.scorer.name().into()),
            ("weight".to_owned(), self.weight.into()),
        ]);
        members.sort_by(|(one, _), (other, _)| one.cmp(other));
        members.into_iter().collect()
    }

    /// What it found, for the details of the whole.
    pub fn details(&self, found: &Outcome) -> Value {
        let Outcome { score, answer, reason, details } = found;
        json!({
            "type": self.scorer.name(),
            "weight": self.weight,
            "score": score,
            "passed": self.passes(found),
            "reason": reason,
            "answer": answer,
            "details": details,
        })
    }
}

impl Multi {
    /// The parts in an order of their own: which one was written first changes no score.
    pub(super) fn canonical(&self) -> Value {
        let mut parts: Vec<Value> = self.parts.iter().map(Part::canonical).collect();
        parts.sort_by_cached_key(Value::to_string);
        json!({"combine": self.combine.name(), "scorers": parts})
    }

    /// The sum of how often the parts changed: it grows with each of them.
    pub(super) fn version(&self) -> u32 {
        1 + self.parts.iter().map(|part| part.scorer.version() - 1).sum::<u32>()
    }

    pub(super) fn is_slow(&self) -> bool {
        self.parts.iter().any(|part| part.scorer.is_slow())
    }

    pub(super) fn needs_target(&self) -> bool {
        self.parts.iter().any(|part| part.scorer.needs_target())
    }

    /// Whether somebody has to be asked for a part.
    pub(super) fn asks(&self) -> bool {
        self.parts.iter().any(|part| !matches!(part.scorer.way(), Way::Here))
    }

    pub(super) fn check_sample(&self, sample: &Sample, field: &str) -> Result<()> {
        self.parts.iter().try_for_each(|part| part.scorer.check_sample(sample, field))
    }

    pub(super) fn shuffle(&self) -> Option<u64> {
        self.choice().and_then(|part| part.scorer.shuffle())
    }

    pub(super) fn shown_choices(&self, sample: &Sample) -> Vec<String> {
        self.choice().map_or_else(|| sample.choices.clone(), |part| part.scorer.shown_choices(sample))
    }

    pub(super) fn complete_prompt<'p>(&self, prompt: &'p str) -> Cow<'p, str> {
        self.choice().map_or(Cow::Borrowed(prompt), |part| part.scorer.complete_prompt(prompt))
    }

    /// The finding of all parts where nobody has to be asked.
    pub(super) fn score(&self, sample: &Sample, response: &str) -> Scored {
        let findings = self.parts.iter().map(|part| part.scorer.score(sample, response));
        let findings = findings.collect::<std::result::Result<Vec<_>, _>>()?;
        let details = self.parts.iter().zip(&findings).map(|(part, found)| part.details(found)).collect();
        Ok(self.combine(&findings, details))
    }
}

/// A part's error, as one of the whole.
fn within(error: Error, at: usize) -> Error {
    match error {
        Error::Invalid { field: Some(field), message } => {
            let name = field.strip_prefix("eval_criteria.").unwrap_or("type");
            Error::invalid(format!("eval_criteria.scorers[{at}].{name}"), format!("scorers[{at}]: {message}"))
        }
        other => other,
    }
}
