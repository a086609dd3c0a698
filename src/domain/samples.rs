//! A sample: one item of an eval. Not its storage, and not how it is scored.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::evals::MOST_SAMPLES;
use crate::error::{Error, Result};

/// What the model is asked: one text, or a list of chat messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "must be text, or a list of messages with role (system, user, assistant) and content"
)]
pub enum Input {
    /// One text.
    Text(String),
    /// A conversation, oldest first.
    Messages(Vec<Message>),
}

/// One chat message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
}

/// Who speaks in a chat message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Instructions that stand above the conversation.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
}

/// One item of an eval, immutable once stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The sample's own name, unique within its eval; its index as text when it has none.
    pub key: String,
    /// What the model is asked.
    pub input: Input,
    /// Accepted answers: none, one or several.
    pub target: Vec<String>,
    /// Options of a multiple-choice item, in the order given; letters are A, B, ...
    pub choices: Vec<String>,
    /// Free fields that the prompt template may name.
    pub metadata: Map<String, Value>,
    /// Items with the same cluster are not independent (one passage, several questions).
    pub cluster_id: Option<String>,
}

/// The ids of the samples of one eval, as far as they were read: those that were given, and the positions that
/// samples without an id have in their place.
#[derive(Debug, Default)]
pub struct SampleIds {
    /// By number: an id that is written like it was given.
    given: Vec<bool>,
    /// By position: the sample there has no id of its own.
    numbered: Vec<bool>,
}

impl SampleIds {
    /// Returns the id of the sample at `position`: the given one, or the position as text. Two given ids that are the
    /// same are found by the store.
    ///
    /// # Errors
    /// `Invalid` when a position that stands in for an id is the id of another sample.
    pub fn name(&mut self, given: Option<String>, position: usize) -> Result<String> {
        let field = || format!("samples[{position}].id");
        let fix = "give every sample an id, or none (ids are unique within an eval)";
        let Some(id) = given else {
            if is_marked(&self.given, position) {
                let message = format!(
                    "samples[{position}] has no id, so its position, {position}, is its id, and an earlier sample \
                     has the id {position}: {fix}"
                );
                return Err(Error::invalid(field(), message));
            }
            mark(&mut self.numbered, position);
            return Ok(position.to_string());
        };
        if let Some(number) = as_position(&id) {
            if is_marked(&self.numbered, number) {
                let message = format!(
                    "samples[{position}] has the id {number}, and samples[{number}] has no id, so its position, \
                     {number}, is its id: {fix}"
                );
                return Err(Error::invalid(field(), message));
            }
            mark(&mut self.given, number);
        }
        Ok(id)
    }
}

/// The position that an id is written like, if it can be one.
fn as_position(id: &str) -> Option<usize> {
    id.parse().ok().filter(|number: &usize| *number < MOST_SAMPLES && number.to_string() == id)
}

fn is_marked(marks: &[bool], at: usize) -> bool {
    marks.get(at).copied().unwrap_or(false)
}

fn mark(marks: &mut Vec<bool>, at: usize) {
    if marks.len() <= at {
        marks.resize(at + 1, false);
    }
    if let Some(mark) = marks.get_mut(at) {
        *mark = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(ids: &[Option<&str>]) -> Result<Vec<String>> {
        let mut names = SampleIds::default();
        let given = ids.iter().enumerate();
        given.map(|(position, id)| names.name(id.map(str::to_owned), position)).collect()
    }

    #[test]
    fn a_position_stands_in_for_an_id() {
        assert_eq!(names(&[None, Some("a"), None, Some("01")]).unwrap(), ["0", "a", "2", "01"]);
        assert_eq!(names(&[Some("1"), Some("0")]).unwrap(), ["1", "0"]);
    }

    #[test]
    fn a_position_that_is_another_samples_id_is_explained() {
        for (ids, words) in [
            (
                vec![Some("1"), None],
                "samples[1] has no id, so its position, 1, is its id, and an earlier sample",
            ),
            (
                vec![None, Some("0")],
                "samples[1] has the id 0, and samples[0] has no id, so its position, 0, is",
            ),
        ] {
            let refused = names(&ids).unwrap_err();
            assert!(refused.to_string().starts_with(words), "{refused}");
            assert!(matches!(refused, Error::Invalid { field: Some(field), .. } if field == "samples[1].id"));
        }
    }
}
