//! `multi`: several scorers on one response, and how their scores become one.
//!
//! Its parts are scorers that need nothing but the response. Model-graded ones are none of them: each would
//! need a grader, a transcript and a bill of its own, and an eval's version pins one grader. A webhook can ask
//! whom it likes by itself, and a `multi` inside would only be a longer way to write a list.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::criteria::{Criteria, invalid};
use super::{Family, Outcome, Rule, Scored, is_binary, names};
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

/// The scorer.
#[derive(Debug)]
pub(super) struct Multi {
    combine: Combine,
    parts: Vec<Part>,
}

/// One of its scorers.
#[derive(Debug)]
struct Part {
    rule: Arc<dyn Rule>,
    /// Above 0; counts in a mean only.
    weight: f64,
}

/// What a part found.
struct Finding<'p> {
    part: &'p Part,
    outcome: Outcome,
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
        if multi.parts.iter().filter(|part| part.is_choice()).count() > 1 {
            return Err(invalid("scorers", "must hold choice at most once: options are shown in one order"));
        }
        Ok(multi)
    }

    fn combined(&self, findings: &[Finding<'_>]) -> f64 {
        let scores = || findings.iter().map(|finding| finding.outcome.score);
        match self.combine {
            Combine::All => f64::from(findings.iter().all(Finding::passes)),
            Combine::Any => f64::from(findings.iter().any(Finding::passes)),
            Combine::Min => scores().fold(1.0, f64::min),
            Combine::Mean => {
                let weighted: f64 =
                    findings.iter().map(|finding| finding.part.weight * finding.outcome.score).sum();
                let whole: f64 = findings.iter().map(|finding| finding.part.weight).sum();
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
        let refused = |why| Err(invalid("type", format!("{eval_type} cannot be part of multi: {why}")));
        if eval_type == "multi" {
            return refused("list its scorers here");
        }
        match names::build(eval_type, &own)? {
            Family::Local(rule) => Ok(Self { rule, weight }),
            Family::Graded(_) => refused("a model-graded scorer needs an eval of its own"),
            Family::Webhook(_) => refused("a webhook may call others itself"),
        }
    }

    fn is_choice(&self) -> bool {
        self.rule.name() == "choice"
    }

    fn pass_threshold(&self) -> f64 {
        self.rule.threshold().unwrap_or(if is_binary(self.rule.name()) { 1.0 } else { 0.5 })
    }

    fn canonical(&self) -> Value {
        let mut members: Vec<(String, Value)> = match self.rule.canonical() {
            Value::Object(members) => members.into_iter().collect(),
            _ => Vec::new(),
        };
        members.extend([
            ("type".to_owned(), self.rule.name().into()),
            ("weight".to_owned(), self.weight.into()),
        ]);
        members.sort_by(|(one, _), (other, _)| one.cmp(other));
        members.into_iter().collect()
    }
}

impl Finding<'_> {
    fn passes(&self) -> bool {
        self.outcome.score >= self.part.pass_threshold()
    }

    fn details(&self) -> Value {
        let Outcome { score, answer, reason, details } = &self.outcome;
        json!({
            "type": self.part.rule.name(),
            "weight": self.part.weight,
            "score": score,
            "passed": self.passes(),
            "reason": reason,
            "answer": answer,
            "details": details,
        })
    }
}

impl Rule for Multi {
    fn name(&self) -> &'static str {
        "multi"
    }

    /// The parts in an order of their own: which one was written first changes no score.
    fn canonical(&self) -> Value {
        let mut parts: Vec<Value> = self.parts.iter().map(Part::canonical).collect();
        parts.sort_by_cached_key(Value::to_string);
        json!({"combine": self.combine.name(), "scorers": parts})
    }

    fn is_slow(&self) -> bool {
        self.parts.iter().any(|part| part.rule.is_slow())
    }

    fn needs_target(&self) -> bool {
        self.parts.iter().any(|part| part.rule.needs_target())
    }

    fn check_sample(&self, sample: &Sample, field: &str) -> Result<()> {
        self.parts.iter().try_for_each(|part| part.rule.check_sample(sample, field))
    }

    fn shown_choices(&self, sample: &Sample) -> Vec<String> {
        self.choice().map_or_else(|| sample.choices.clone(), |part| part.rule.shown_choices(sample))
    }

    fn complete_prompt<'p>(&self, prompt: &'p str) -> Cow<'p, str> {
        self.choice().map_or(Cow::Borrowed(prompt), |part| part.rule.complete_prompt(prompt))
    }

    fn score(&self, sample: &Sample, response: &str) -> Scored {
        let mut findings = Vec::new();
        for part in &self.parts {
            findings.push(Finding { part, outcome: part.rule.score(sample, response)? });
        }
        let score = self.combined(&findings);
        let details: Vec<Value> = findings.iter().map(Finding::details).collect();
        let outcome = Outcome::measured(score, None)
            .with_details(json!({"combine": self.combine.name(), "parts": details}));
        let mut reasons = findings.iter().map(|finding| finding.outcome.reason);
        let shared =
            reasons.next().flatten().filter(|first| score == 0.0 && reasons.all(|each| each == Some(*first)));
        Ok(Outcome { reason: shared, ..outcome })
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
