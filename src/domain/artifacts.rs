//! An artifact: a file that belongs to a model, such as its weights. The file's bytes are not in it.

use super::files::File;
use super::id::{ArtifactId, ArtifactKey, ModelId, UserKey};
use super::text;
use super::time::Millis;
use crate::error::{Error, Result};

/// An artifact of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Table key.
    pub key: ArtifactKey,
    /// Public id.
    pub id: ArtifactId,
    /// The model it belongs to.
    pub model: ModelId,
    /// Who may change it: the owner of the model.
    pub owner: UserKey,
    /// E-mail address of the person who added it.
    pub submitted_by: String,
    /// What is said of it.
    pub card: Card,
    /// The file itself.
    pub file: File,
    /// When it was added.
    pub created_at: Millis,
    /// When it was last changed.
    pub updated_at: Millis,
}

/// All that a person may say of an artifact; what a create sets and an edit changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// 1-100 characters; may repeat.
    pub name: String,
    /// At most 1,000 characters.
    pub description: String,
    /// What kind of file it is.
    pub artifact_type: ArtifactType,
    /// At most 100 characters; empty when nobody counts.
    pub version: String,
}

impl Card {
    /// The card in its stored form.
    ///
    /// # Errors
    /// `Invalid` naming the field at fault.
    pub fn check(mut self) -> Result<Self> {
        self.name = text::name(&self.name, "name")?;
        self.description = text::clean(&self.description, "description", 1_000)?;
        if !self.version.is_empty() {
            self.version = text::name(&self.version, "version")?;
        }
        Ok(self)
    }
}

/// What kind of file an artifact is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArtifactType {
    /// The trained parameters.
    Weights,
    /// How the model is built or served.
    Config,
    /// A state during training.
    Checkpoint,
    /// What training or serving wrote.
    Logs,
    /// What it was trained or tested on.
    Dataset,
    /// Anything else.
    Other,
}

impl ArtifactType {
    const ALL: [Self; 6] =
        [Self::Weights, Self::Config, Self::Checkpoint, Self::Logs, Self::Dataset, Self::Other];

    /// The word in the tables and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Weights => "weights",
            Self::Config => "config",
            Self::Checkpoint => "checkpoint",
            Self::Logs => "logs",
            Self::Dataset => "dataset",
            Self::Other => "other",
        }
    }

    /// The type of that word.
    ///
    /// # Errors
    /// `Invalid` naming `artifact_type`.
    pub fn parse(word: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word).ok_or_else(|| {
            let words = Self::ALL.map(Self::as_str).join(", ");
            Error::invalid("artifact_type", format!("artifact_type must be one of {words}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_read_as_it_is_written_and_nothing_else_is() {
        for artifact_type in ArtifactType::ALL {
            assert_eq!(ArtifactType::parse(artifact_type.as_str()).unwrap(), artifact_type);
        }
        for word in ["", "Weights", "weights ", "model"] {
            let refused = ArtifactType::parse(word);
            assert!(
                matches!(refused, Err(Error::Invalid { field: Some(field), .. }) if field == "artifact_type")
            );
        }
    }

    #[test]
    fn a_version_may_be_absent_but_not_blank() {
        let card = |version: &str| Card {
            name: " Base Weights ".to_owned(),
            description: String::new(),
            artifact_type: ArtifactType::Weights,
            version: version.to_owned(),
        };
        assert_eq!(card("").check().unwrap().version, "");
        let checked = card(" v1.0 ").check().unwrap();
        assert_eq!((checked.name.as_str(), checked.version.as_str()), ("Base Weights", "v1.0"));
        for version in [" ", "v1\n", "\0", &"v".repeat(101)].map(|version| format!("{version}\u{7}")) {
            assert!(card(&version).check().is_err(), "{version:?}");
        }
    }
}
