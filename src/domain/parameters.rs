//! How a model is asked: the sampling parameters its owner chose.
//!
//! What is not given is not sent: no defaults live here. Whether a provider takes a parameter is for that
//! provider to say.

use serde::{Deserialize, Serialize};

use super::samples::{Message, Role};
use crate::error::{Error, Result};

const MAX_TOKENS: u32 = 1_000_000;
const MAX_SYSTEM_PROMPT_BYTES: usize = 256 * 1024;
const MAX_STOPS: usize = 4;
const MAX_STOP_BYTES: usize = 1_000;

/// Sampling parameters, all optional. Deserialising refuses unknown names; [`Parameters::check`] the values.
///
/// The fields are in alphabetical order because [`Parameters::canonical`] writes them in theirs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// Longest answer, in tokens: 1 to 1,000,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// How long a reasoning model may think.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<ReasoningEffort>,
    /// For providers that can repeat an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// Texts that end the answer: 1 to 4, none empty, at most 1,000 bytes each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Vec<String>>,
    /// Streams answers, as some endpoints demand; the answer is the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    /// Stands above every prompt; at most 256 KB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_prompt: Option<String>,
    /// 0 to 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Whether thinking between tags inside the answer is left out of what is scored; `auto` unless given. It is not
    /// sent.
    #[serde(default, skip_serializing_if = "is_auto")]
    pub thinking_tags: Option<ThinkingTags>,
    /// 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
}

/// How long a reasoning model may think; which of these a model takes differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are the providers' own and say all there is")]
pub enum ReasoningEffort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    Xhigh,
}

/// Treatment of thinking that a model's server leaves in the answer, such as `<think>...</think>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThinkingTags {
    /// It is recognised by its tags and left out.
    Auto,
    /// The answer is scored as it came.
    Off,
}

/// The default is the same parameters whether it is given or not, and so the same revision.
fn is_auto(tags: &Option<ThinkingTags>) -> bool {
    *tags != Some(ThinkingTags::Off)
}

impl Parameters {
    /// Returns whether thinking tags in answers are recognised.
    #[must_use]
    pub fn reads_thinking_tags(&self) -> bool {
        is_auto(&self.thinking_tags)
    }

    /// The conversation as it is sent: the model's own system prompt stands above it, in one system message
    /// with the conversation's own, because several chat templates refuse a second one.
    #[must_use]
    pub fn complete(&self, mut messages: Vec<Message>) -> Vec<Message> {
        let Some(prompt) = &self.system_prompt else { return messages };
        match messages.first_mut().filter(|first| first.role == Role::System) {
            Some(first) => first.content = format!("{prompt}\n\n{}", first.content),
            None => messages.insert(0, Message { role: Role::System, content: prompt.clone() }),
        }
        messages
    }

    /// Refuse values out of range, naming `parameters.<field>`.
    pub fn check(&self) -> Result<()> {
        check_number("temperature", self.temperature, 2.0)?;
        check_number("top_p", self.top_p, 1.0)?;
        if self.max_tokens.is_some_and(|tokens| !(1..=MAX_TOKENS).contains(&tokens)) {
            return Err(invalid("max_tokens", "must be 1 to 1000000"));
        }
        if let Some(prompt) = &self.system_prompt {
            check_text("system_prompt", prompt, MAX_SYSTEM_PROMPT_BYTES)?;
        }
        self.stop.as_deref().map_or(Ok(()), check_stop)
    }

    /// The same text for the same parameters, in every version: what a model revision hashes.
    pub fn canonical(&self) -> Result<String> {
        serde_json::to_string(self).map_err(Error::internal)
    }
}

fn check_number(field: &str, value: Option<f64>, most: f64) -> Result<()> {
    match value {
        Some(number) if !(0.0..=most).contains(&number) => {
            Err(invalid(field, &format!("must be a number from 0 to {most}")))
        }
        _ => Ok(()),
    }
}

fn check_stop(stop: &[String]) -> Result<()> {
    if stop.is_empty() || stop.len() > MAX_STOPS {
        return Err(invalid("stop", "must hold 1 to 4 texts"));
    }
    for (index, text) in stop.iter().enumerate() {
        let field = format!("stop[{index}]");
        if text.is_empty() {
            return Err(invalid(&field, "must not be empty"));
        }
        check_text(&field, text, MAX_STOP_BYTES)?;
    }
    Ok(())
}

fn check_text(field: &str, text: &str, most: usize) -> Result<()> {
    if text.len() > most {
        return Err(invalid(field, &format!("must be at most {most} bytes")));
    }
    if text.contains('\0') {
        return Err(invalid(field, "must not contain NUL"));
    }
    Ok(())
}

fn invalid(field: &str, problem: &str) -> Error {
    let field = format!("parameters.{field}");
    let message = format!("{field} {problem}");
    Error::invalid(field, message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: serde_json::Value) -> Parameters {
        serde_json::from_value(value).unwrap()
    }

    fn blamed(value: serde_json::Value) -> String {
        match read(value.clone()).check() {
            Err(Error::Invalid { field: Some(field), .. }) => field,
            other => panic!("{value}: {other:?}"),
        }
    }

    #[test]
    fn every_parameter_is_read_checked_and_written_back() {
        let value = json!({
            "temperature": 0.7, "top_p": 1.0, "max_tokens": 1_000_000, "seed": -1,
            "system_prompt": "Be brief.", "stream": true,
            "reasoning_effort": "xhigh", "stop": ["\n\n", "END"], "thinking_tags": "off",
        });
        let parameters = read(value.clone());
        parameters.check().unwrap();
        assert_eq!(serde_json::to_value(&parameters).unwrap(), value);
    }

    #[test]
    fn values_out_of_range_are_blamed_by_name() {
        let table = [
            (json!({"temperature": 2.1}), "parameters.temperature"),
            (json!({"temperature": -0.1}), "parameters.temperature"),
            (json!({"top_p": 1.1}), "parameters.top_p"),
            (json!({"max_tokens": 0}), "parameters.max_tokens"),
            (json!({"max_tokens": 1_000_001}), "parameters.max_tokens"),
            (json!({"system_prompt": "x".repeat(256 * 1024 + 1)}), "parameters.system_prompt"),
            (json!({"system_prompt": "a\u{0}"}), "parameters.system_prompt"),
            (json!({"stop": []}), "parameters.stop"),
            (json!({"stop": ["1", "2", "3", "4", "5"]}), "parameters.stop"),
            (json!({"stop": ["a", ""]}), "parameters.stop[1]"),
        ];
        for (value, field) in table {
            assert_eq!(blamed(value), field);
        }
        assert!(Parameters { temperature: Some(f64::NAN), ..Parameters::default() }.check().is_err());
        assert!(Parameters { top_p: Some(f64::INFINITY), ..Parameters::default() }.check().is_err());
    }

    #[test]
    fn unknown_names_and_efforts_are_refused() {
        assert!(serde_json::from_value::<Parameters>(json!({"top_k": 3})).is_err());
        assert!(serde_json::from_value::<Parameters>(json!({"reasoning_effort": "max"})).is_err());
        assert!(serde_json::from_value::<Parameters>(json!({"thinking_tags": "on"})).is_err());
    }

    #[test]
    fn the_canonical_text_is_stable_and_holds_only_what_was_given() {
        assert_eq!(Parameters::default().canonical().unwrap(), "{}");
        let auto = read(json!({"thinking_tags": "auto"}));
        assert_eq!((auto.canonical().unwrap().as_str(), auto.reads_thinking_tags()), ("{}", true));
        assert!(!read(json!({"thinking_tags": "off"})).reads_thinking_tags());
        let given = read(json!({"top_p": 1, "seed": 7, "temperature": null, "reasoning_effort": "low"}));
        assert_eq!(given.canonical().unwrap(), r#"{"reasoning_effort":"low","seed":7,"top_p":1.0}"#);
    }

    #[test]
    fn the_models_system_prompt_joins_the_evals() {
        let message = |role, content: &str| Message { role, content: content.to_owned() };
        let parameters = Parameters { system_prompt: Some("Be brief.".into()), ..Parameters::default() };
        let asked = vec![message(Role::User, "Hi")];
        let alone = vec![message(Role::System, "Be brief."), message(Role::User, "Hi")];
        assert_eq!(parameters.complete(asked.clone()), alone);
        assert_eq!(Parameters::default().complete(asked.clone()), asked);
        let both = parameters.complete(vec![message(Role::System, "Answer."), message(Role::User, "Hi")]);
        assert_eq!(both, vec![message(Role::System, "Be brief.\n\nAnswer."), message(Role::User, "Hi")]);
    }
}
