//! `json_equals`: the response is the target's JSON value, or has all of it.
//!
//! Names of an object may come in any order; items of a list may not.

use serde_json::{Value, json};

use super::super::criteria::Criteria;
use super::super::{Outcome, Rule, Scored, check_targets};
use super::{find, read};
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
pub(in super::super) struct Equal(Beyond);

impl Equal {
    pub(in super::super) fn parse(criteria: &Criteria<'_>) -> Result<Self> {
        criteria.only(&["subset"])?;
        Ok(Self(if criteria.flag("subset", false)? { Beyond::Members } else { Beyond::Nothing }))
    }
}

impl Rule for Equal {
    fn name(&self) -> &'static str {
        "json_equals"
    }

    fn canonical(&self) -> Value {
        json!({"subset": self.0 == Beyond::Members})
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
        let (text, found) = match find(response) {
            Ok(found) => found,
            Err(unreadable) => return Ok(unreadable),
        };
        let is_it = |target: &String| read(target).is_ok_and(|wanted| holds(&found, &wanted, self.0));
        Ok(Outcome::verdict(sample.target.iter().any(is_it), Some(text)))
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
