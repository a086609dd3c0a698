//! Reading `eval_criteria`: each parameter by name and type, unknown ones refused.
//!
//! It does not know what a parameter means, only how to name the one that is wrong.

use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// Longest text parameter, in bytes.
const MAX_TEXT: usize = 64 * 1024;

/// The parameters given for one scorer. A null counts as not given.
pub(super) struct Criteria<'a> {
    typed: &'a str,
    given: &'a Map<String, Value>,
    preset: Option<(&'static str, bool)>,
}

impl<'a> Criteria<'a> {
    /// `typed` is the `eval_type` as written, and `preset` what that spelling stands for beyond its scorer.
    pub(super) fn new(
        typed: &'a str,
        given: &'a Map<String, Value>,
        preset: Option<(&'static str, bool)>,
    ) -> Self {
        Self { typed, given, preset }
    }

    /// Refuses every parameter that is not `accepted`.
    pub(super) fn only(&self, accepted: &[&str]) -> Result<()> {
        match self.given.keys().find(|name| !accepted.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => {
                let name: String = name.chars().take(40).collect();
                let accepted = accepted.join(", ");
                Err(invalid(&name, format!("is no parameter of {}; it takes: {accepted}", self.typed)))
            }
        }
    }

    /// True or false.
    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool> {
        let given = match self.value(name) {
            None => None,
            Some(Value::Bool(flag)) => Some(*flag),
            Some(_) => return Err(invalid(name, "must be true or false")),
        };
        let preset = self.preset.filter(|(preset, _)| *preset == name).map(|(_, flag)| flag);
        match (given, preset) {
            (Some(given), Some(preset)) if given != preset => {
                Err(invalid(name, format!("is always {preset} with {}: leave it out", self.typed)))
            }
            _ => Ok(given.or(preset).unwrap_or(default)),
        }
    }

    /// A finite number of at least 0.
    pub(super) fn amount(&self, name: &str, default: f64) -> Result<f64> {
        let Some(value) = self.value(name) else {
            return Ok(default);
        };
        let amount = value.as_f64().filter(|amount| amount.is_finite() && *amount >= 0.0);
        amount.ok_or_else(|| invalid(name, "must be a number, 0 or more"))
    }

    /// The share of a full score from which on a case passes: above 0 up to 1.
    pub(super) fn threshold(&self, name: &str) -> Result<Option<f64>> {
        let Some(value) = self.value(name) else {
            return Ok(None);
        };
        let threshold = value.as_f64().filter(|share| *share > 0.0 && *share <= 1.0);
        threshold.map(Some).ok_or_else(|| invalid(name, "must be a number above 0 and at most 1"))
    }

    /// A whole number of at least 0.
    pub(super) fn integer(&self, name: &str) -> Result<Option<u64>> {
        let Some(value) = self.value(name) else {
            return Ok(None);
        };
        value.as_u64().map(Some).ok_or_else(|| invalid(name, "must be a whole number, 0 or more"))
    }

    /// Text that is not blank; blank counts as not given.
    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>> {
        let Some(value) = self.value(name) else {
            return Ok(None);
        };
        let text = value.as_str().ok_or_else(|| invalid(name, "must be text"))?;
        if text.len() > MAX_TEXT {
            return Err(invalid(name, "must be at most 64 KB"));
        }
        Ok(Some(text).filter(|text| !text.trim().is_empty()))
    }

    /// The choice that one of `words` stands for.
    pub(super) fn one_of<T: Copy>(&self, name: &str, words: &[(&str, T)], default: T) -> Result<T> {
        let Some(value) = self.value(name) else {
            return Ok(default);
        };
        let chosen = words.iter().find(|(word, _)| value.as_str() == Some(word));
        let listed = || words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        chosen
            .map(|(_, choice)| *choice)
            .ok_or_else(|| invalid(name, format!("must be one of: {}", listed())))
    }

    /// Whatever it is.
    pub(super) fn json(&self, name: &str) -> Option<&'a Value> {
        self.value(name)
    }

    fn value(&self, name: &str) -> Option<&'a Value> {
        self.given.get(name).filter(|value| !value.is_null())
    }
}

/// The parameter `name` is at fault: it `must be ...`.
pub(super) fn invalid(name: &str, problem: impl std::fmt::Display) -> Error {
    Error::invalid(format!("eval_criteria.{name}"), format!("{name} {problem}"))
}

/// The parameters of a stored eval: a JSON object as text; nothing at all is an object without fields.
///
/// # Errors
/// `Invalid` on `eval_criteria`.
pub(super) fn read(text: &str) -> Result<Map<String, Value>> {
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    let refused = || {
        Error::invalid("eval_criteria", "eval_criteria must be a JSON object, such as {\"rubric\":\"...\"}")
    };
    serde_json::from_str(text).map_err(|_| refused())
}
