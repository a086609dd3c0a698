//! `json_equals`: the response is the target's JSON value, or has all of it.
//!
//! Names of an object may come in any order; items of a list may not.

use serde_json::{Map, Value, json};

use super::super::criteria::Criteria;
use super::super::fold::fold;
use super::super::{Outcome, Rule, Scored, check_targets};
use super::{IN_PROSE, Search, find, read};
use crate::domain::samples::Sample;
use crate::error::Result;

/// What the response may hold beyond the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beyond {
    /// Nothing.
    Nothing,
    /// More members in any object.
    Members,
}

/// The scorer.
#[derive(Debug)]
pub(in super::super) struct Equal {
    beyond: Beyond,
    search: Search,
}

impl Equal {
    pub(in super::super) fn parse(criteria: &Criteria<'_>) -> Result<Self> {
        criteria.only(&[IN_PROSE, "subset"])?;
        let beyond = if criteria.flag("subset", false)? { Beyond::Members } else { Beyond::Nothing };
        Ok(Self { beyond, search: Search::parse(criteria)? })
    }
}

impl Rule for Equal {
    fn name(&self) -> &'static str {
        "json_equals"
    }

    fn canonical(&self) -> Value {
        json!({IN_PROSE: self.search.is_in_prose(), "subset": self.beyond == Beyond::Members})
    }

    /// It may be megabytes that are read.
    fn is_slow(&self) -> bool {
        true
    }

    fn check_sample(&self, sample: &Sample, field: &str) -> Result<()> {
        check_targets(sample, field, |target| {
            let problem = read(target).err()?;
            Some(format!("must be JSON, such as {{\"a\": 1}} or \"text\" in its quotes: {problem}"))
        })
    }

    fn score(&self, sample: &Sample, response: &str) -> Scored {
        let (text, found) = match find(response, self.search) {
            Ok((text, found)) => (text, folded(found)),
            Err(unreadable) => return Ok(unreadable),
        };
        let is_it =
            |target: &String| read(target).is_ok_and(|wanted| holds(&found, &folded(wanted), self.beyond));
        Ok(Outcome::verdict(sample.target.iter().any(is_it), Some(text)))
    }
}

/// Returns the value with every text and name in it typographically folded. Of two names that fold to the same one,
/// the second stays as it is.
fn folded(value: Value) -> Value {
    match value {
        Value::String(text) => fold(&text).into_owned().into(),
        Value::Array(items) => items.into_iter().map(folded).collect(),
        Value::Object(members) => {
            let mut plain = Map::new();
            for (name, value) in members {
                let short = fold(&name).into_owned();
                let name = if plain.contains_key(&short) { name } else { short };
                plain.insert(name, folded(value));
            }
            Value::Object(plain)
        }
        other => other,
    }
}

/// Whether `found` is `wanted`, apart from what may be `beyond`. Both are at most 127 levels deep.
fn holds(found: &Value, wanted: &Value, beyond: Beyond) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => {
            let has = |(name, value): (&String, &Value)| {
                found.get(name).is_some_and(|member| holds(member, value, beyond))
            };
            (beyond == Beyond::Members || found.len() == wanted.len()) && wanted.iter().all(has)
        }
        (Value::Array(found), Value::Array(wanted)) => {
            let mut pairs = found.iter().zip(wanted);
            found.len() == wanted.len() && pairs.all(|(item, value)| holds(item, value, beyond))
        }
        // Whole numbers as such, lest two large ones be taken for the same; others as 64-bit floats.
        (Value::Number(found), Value::Number(wanted)) => {
            found == wanted || (found.is_f64() || wanted.is_f64()) && found.as_f64() == wanted.as_f64()
        }
        _ => found == wanted,
    }
}
