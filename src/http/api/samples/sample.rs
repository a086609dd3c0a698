//! The wire form of a sample. Numbers and truth values stand for their text, as they are written.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::domain::samples::{self, Input, SampleIds};
use crate::error::Result;

/// One item of an eval.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// Unique within the eval; the sample's index when absent. A number is taken as its text.
    #[serde(default, deserialize_with = "optional_text")]
    pub(super) id: Option<String>,
    /// What the model is given: text, or a list of messages with role and content. A number, true or false is taken
    /// as its text.
    #[serde(deserialize_with = "input")]
    #[schema(value_type = Value)]
    pub(super) input: Input,
    /// An accepted answer, or a list of them. A number, true or false is taken as its text, as it is written: `1.50`
    /// is "1.50".
    #[serde(default, deserialize_with = "target", skip_serializing_if = "Option::is_none")]
    pub(super) target: Option<Target>,
    /// Options of a multiple-choice item. A number, true or false is taken as its text.
    #[serde(default, deserialize_with = "choices", skip_serializing_if = "Vec::is_empty")]
    pub(super) choices: Vec<String>,
    /// Fields for the prompt's `{{metadata.key}}`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub(super) metadata: Map<String, Value>,
    /// Items with the same cluster are not independent. A number is taken as its text.
    #[serde(default, deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub(super) cluster_id: Option<String>,
}

/// An accepted answer, or a list of them.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum Target {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl Sample {
    /// Returns the domain's form of the sample at `position`, with its id checked against those before.
    ///
    /// # Errors
    /// As [`SampleIds::name`].
    pub fn read(self, ids: &mut SampleIds, position: usize) -> Result<samples::Sample> {
        Ok(samples::Sample {
            key: ids.name(self.id, position)?,
            input: self.input,
            target: match self.target {
                None => Vec::new(),
                Some(Target::One(target)) => vec![target],
                Some(Target::Several(targets)) => targets,
            },
            choices: self.choices,
            metadata: self.metadata,
            cluster_id: self.cluster_id,
        })
    }

    pub(super) fn show(sample: samples::Sample, shows_targets: bool) -> Self {
        Self {
            id: Some(sample.key),
            input: sample.input,
            target: shows_targets.then_some(Target::Several(sample.target)),
            choices: sample.choices,
            metadata: sample.metadata,
            cluster_id: sample.cluster_id,
        }
    }
}

/// Returns the domain's form of all samples of an eval.
///
/// # Errors
/// As [`Sample::read`].
pub fn read_all(samples: Vec<Sample>) -> Result<Vec<samples::Sample>> {
    let mut ids = SampleIds::default();
    let placed = samples.into_iter().enumerate();
    placed.map(|(position, sample)| sample.read(&mut ids, position)).collect()
}

/// What a JSON value is, by its first character.
enum Kind {
    Text,
    /// A number, true or false.
    Bare,
    List,
    Object,
    Null,
}

impl Kind {
    fn of(value: &RawValue) -> Self {
        match value.get().as_bytes().first() {
            Some(b'"') => Self::Text,
            Some(b'[') => Self::List,
            Some(b'{') => Self::Object,
            Some(b'n') => Self::Null,
            _ => Self::Bare,
        }
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Bare => "a number, true or false",
            Self::List => "a list",
            Self::Object => "an object",
            Self::Null => "null",
        }
    }
}

/// Reads a value that stands for a text: none when it is a list, an object or null.
fn text<E: serde::de::Error>(value: &RawValue) -> Result<Option<String>, E> {
    match Kind::of(value) {
        Kind::Text => serde_json::from_str(value.get()).map(Some).map_err(E::custom),
        Kind::Bare => Ok(Some(value.get().to_owned())),
        Kind::List | Kind::Object | Kind::Null => Ok(None),
    }
}

/// Reads a list of values that stand for texts; `wanted` is what is right.
fn texts<E: serde::de::Error>(list: &RawValue, wanted: &str) -> Result<Vec<String>, E> {
    let values: Vec<&RawValue> = serde_json::from_str(list.get()).map_err(E::custom)?;
    let read = |(at, value): (usize, &RawValue)| {
        text(value)?.ok_or_else(|| {
            let name = Kind::of(value).name();
            E::custom(format_args!("{wanted}; item {} is {name}", at + 1))
        })
    };
    values.into_iter().enumerate().map(read).collect()
}

fn raw<'de, D: Deserializer<'de>>(field: D) -> Result<Box<RawValue>, D::Error> {
    Box::deserialize(field)
}

fn optional_text<'de, D: Deserializer<'de>>(field: D) -> Result<Option<String>, D::Error> {
    let value = raw(field)?;
    let kind = Kind::of(&value);
    match (text(&value)?, &kind) {
        (None, Kind::List | Kind::Object) => {
            Err(D::Error::custom(format_args!("must be text or a number; it is {}", kind.name())))
        }
        (text, _) => Ok(text),
    }
}

fn target<'de, D: Deserializer<'de>>(field: D) -> Result<Option<Target>, D::Error> {
    const WANTED: &str = "must be text, a number, true or false, or a list of them";
    let value = raw(field)?;
    match Kind::of(&value) {
        Kind::Null => Ok(None),
        Kind::List => texts(&value, WANTED).map(Target::Several).map(Some),
        kind => match text(&value)? {
            Some(text) => Ok(Some(Target::One(text))),
            None => Err(D::Error::custom(format_args!("{WANTED}; it is {}", kind.name()))),
        },
    }
}

fn choices<'de, D: Deserializer<'de>>(field: D) -> Result<Vec<String>, D::Error> {
    const WANTED: &str = "must be a list of texts or numbers";
    let value = raw(field)?;
    match Kind::of(&value) {
        Kind::List => texts(&value, WANTED),
        kind => Err(D::Error::custom(format_args!("{WANTED}; it is {}", kind.name()))),
    }
}

fn input<'de, D: Deserializer<'de>>(field: D) -> Result<Input, D::Error> {
    const WANTED: &str =
        "must be text, or a list of messages with role (system, user, assistant) and content";
    let value = raw(field)?;
    match Kind::of(&value) {
        Kind::List => {
            let messages = serde_json::from_str(value.get());
            messages.map(Input::Messages).map_err(|_| D::Error::custom(WANTED))
        }
        kind => match text(&value)? {
            Some(text) => Ok(Input::Text(text)),
            None => Err(D::Error::custom(format_args!("{WANTED}; it is {}", kind.name()))),
        },
    }
}

/// Reads a JSON list of texts and numbers; none when `list` is anything else.
pub(super) fn list_of_texts(list: &str) -> Option<Vec<String>> {
    let value: &RawValue = serde_json::from_str(list).ok()?;
    let is_list = matches!(Kind::of(value), Kind::List);
    texts::<serde_json::Error>(value, "").ok().filter(|_| is_list)
}
