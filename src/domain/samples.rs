//! A sample: one item of an eval. Not its storage, and not how it is scored.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

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
