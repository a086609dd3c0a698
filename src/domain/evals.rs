//! An eval: one named, versioned measurement, and what makes one of its versions.
//!
//! It scores nothing; scorers live in the engine.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::id::{EvalId, EvalKey, RevisionKey, SampleSetKey, UserKey, VersionKey};
use super::samples::{Input, Sample};
use super::stats::{REDUCERS, Reducer};
use super::time::Millis;
use super::{template, text};
use crate::error::{Error, Result};

/// Longest prompt, in bytes.
pub const LONGEST_PROMPT: usize = 256 * 1024;
/// Most samples that one eval holds.
pub const MOST_SAMPLES: usize = 1_000_000;
/// The least weight of an eval.
pub const MIN_WEIGHT: f64 = 1e-6;
/// The largest weight of an eval.
pub const MAX_WEIGHT: f64 = 1e6;
/// Most choices of one sample: as many as there are letters.
const MOST_CHOICES: usize = 26;

/// A stored eval with its present version.
#[derive(Debug, Clone, PartialEq)]
pub struct Eval {
    /// Table key.
    pub key: EvalKey,
    /// Public id.
    pub id: EvalId,
    /// Whose it is.
    pub owner: UserKey,
    /// The owner's e-mail address.
    pub submitted_by: String,
    /// How it is presented.
    pub card: Card,
    /// What is measured, and how.
    pub version: Version,
    /// When it was made.
    pub created_at: Millis,
    /// When it was last changed.
    pub updated_at: Millis,
}

/// How an eval is presented and counted; changing it never makes a new version.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    /// 1-100 characters; may repeat.
    pub name: String,
    /// At most 1,000 characters.
    pub description: String,
    /// A heading to group it under.
    pub category: Option<String>,
    /// Words to find it by, at most 20.
    pub tags: Vec<String>,
    /// Share in the suite mean relative to the other evals, above 0.
    pub weight: f64,
    /// Score that guessing reaches, 0 up to but not including 1.
    pub chance_level: Option<f64>,
    /// Whether a larger score is the better one.
    pub higher_is_better: bool,
    /// Whether targets and criteria are withheld from everyone but owner and admin.
    pub hidden_targets: bool,
    /// Whether runs include it.
    pub is_active: bool,
}

/// What decides a score, as its author wrote it.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    /// The prompt template; the whole input when the eval has no samples of its own, without its escapes.
    pub prompt: String,
    /// What a good answer does; target or rubric where nothing else gives one. At most 2,000 characters.
    pub expected_behavior: String,
    /// The scorer's name or alias, as typed.
    pub eval_type: String,
    /// The scorer's parameters as JSON text, as typed.
    pub eval_criteria: String,
    /// How often each sample is asked, 1-100.
    pub epochs: u32,
    /// How the epochs of a sample become one score: the name of a [`Reducer`].
    pub reducer: String,
    /// From which score on a case counts as passed, above 0 up to 1.
    pub pass_threshold: f64,
}

/// A version: a measurement with its scorer resolved and its samples fixed. Immutable.
#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    /// Table key.
    pub key: VersionKey,
    /// 1, 2, 3 ... within its eval.
    pub number: i64,
    /// SHA-256 over all that decides a score, first 16 hex digits.
    pub hash: String,
    /// As its author wrote it.
    pub measurement: Measurement,
    /// The scorer's canonical name.
    pub scorer: String,
    /// The scorer's own version.
    pub scorer_version: i64,
    /// The grader that was resolved, if one is needed and known.
    pub grader: Option<Grader>,
    /// Its samples.
    pub samples: SampleSet,
}

/// Who grades, pinned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grader {
    /// What it was named by: a registered model's id, or `provider/model`.
    pub name: String,
    /// The revision of a registered model.
    pub revision: Option<RevisionKey>,
}

/// A fixed set of samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleSet {
    /// Table key.
    pub key: SampleSetKey,
    /// SHA-256 over the samples in order, first 16 hex digits.
    pub hash: String,
    /// How many there are, at least 1.
    pub count: i64,
    /// Whether it is the one sample of an eval that was given none: its input is the prompt.
    pub is_implied: bool,
}

impl Default for Card {
    fn default() -> Self {
        Self {
            name: String::new(),
            description: String::new(),
            category: None,
            tags: Vec::new(),
            weight: 1.0,
            chance_level: None,
            higher_is_better: true,
            hidden_targets: false,
            is_active: true,
        }
    }
}

impl Card {
    /// The card in its stored form.
    ///
    /// # Errors
    /// `Invalid` naming the field at fault.
    pub fn check(mut self) -> Result<Self> {
        self.name = text::name(&self.name, "name")?;
        self.description = text::clean(&self.description, "description", 1_000)?;
        self.category = self.category.map(|category| text::name(&category, "category")).transpose()?;
        if self.tags.len() > 20 {
            return Err(Error::invalid("tags", "tags holds at most 20 words"));
        }
        let tags = self.tags.iter().enumerate();
        self.tags = tags.map(|(at, tag)| text::name(tag, &format!("tags[{at}]"))).collect::<Result<_>>()?;
        if !(MIN_WEIGHT..=MAX_WEIGHT).contains(&self.weight) {
            return Err(Error::invalid(
                "weight",
                "weight must be at least 0.000001, so above 0, and at most 1000000",
            ));
        }
        if self.chance_level.is_some_and(|chance| !(0.0..1.0).contains(&chance)) {
            return Err(Error::invalid("chance_level", "chance_level must be at least 0 and below 1"));
        }
        Ok(self)
    }
}

impl Measurement {
    /// The measurement in its stored form; the scorer checks its own parameters.
    ///
    /// # Errors
    /// `Invalid` naming the field at fault.
    pub fn check(mut self) -> Result<Self> {
        if self.prompt.trim().is_empty() || self.prompt.len() > LONGEST_PROMPT {
            return Err(Error::invalid("prompt", "prompt must hold text, at most 256 KB of it"));
        }
        self.prompt = text::clean(&self.prompt, "prompt", LONGEST_PROMPT)?;
        self.expected_behavior = text::clean(&self.expected_behavior, "expected_behavior", 2_000)?;
        if !(1..=100).contains(&self.epochs) {
            return Err(Error::invalid("epochs", "epochs must be a whole number from 1 to 100"));
        }
        let reducer = Reducer::parse(&self.reducer)
            .ok_or_else(|| Error::invalid("reducer", format!("reducer must be {REDUCERS}")))?;
        refuse_too_few(reducer, self.epochs)?;
        if !(self.pass_threshold > 0.0 && self.pass_threshold <= 1.0) {
            return Err(Error::invalid("pass_threshold", "pass_threshold must be above 0 and at most 1"));
        }
        Ok(self)
    }

    /// The one sample of an eval that was given none: its input is the prompt, its target what is expected.
    #[must_use]
    pub fn only_sample(&self) -> Sample {
        let expected = self.expected_behavior.trim();
        Sample {
            key: "0".to_owned(),
            input: Input::Text(template::unescaped(&self.prompt)),
            target: if expected.is_empty() { Vec::new() } else { vec![expected.to_owned()] },
            choices: Vec::new(),
            metadata: serde_json::Map::new(),
            cluster_id: None,
        }
    }
}

/// Refuses epochs too few to be reduced.
///
/// # Errors
/// `Invalid` on `epochs`.
pub fn refuse_too_few(reducer: Reducer, epochs: u32) -> Result<()> {
    let fewest = reducer.fewest_epochs();
    if usize::try_from(epochs).is_ok_and(|epochs| epochs >= fewest) {
        return Ok(());
    }
    Err(Error::invalid(
        "epochs",
        format!("epochs must be at least {fewest}: the reducer {reducer} needs as many"),
    ))
}

/// The hash that names a version: over prompt, samples, canonical criteria, scorer, grader, epochs,
/// reducer and threshold. `criteria` is the scorer's canonical form, so that a spelled-out default
/// changes nothing.
#[must_use]
pub fn version_hash(
    measurement: &Measurement,
    scorer: (&str, u32, &Value),
    grader: Option<&Grader>,
    samples_hash: &str,
) -> String {
    let (name, scorer_version, criteria) = scorer;
    let grader = grader.map(|grader| (&grader.name, grader.revision.map(|key| key.0)));
    let identity = serde_json::json!([
        measurement.prompt,
        measurement.expected_behavior,
        name,
        scorer_version,
        criteria,
        grader,
        measurement.epochs,
        measurement.reducer,
        measurement.pass_threshold,
        samples_hash,
    ]);
    super::models::short_hex(&Sha256::digest(identity.to_string().as_bytes()))
}

/// The hash that names a set of samples, in their order.
#[derive(Default)]
pub struct SampleHash(Sha256);

impl SampleHash {
    /// The hash of `samples`.
    ///
    /// # Errors
    /// As [`SampleHash::add`].
    pub fn of(samples: &[Sample]) -> Result<String> {
        let mut hash = Self::default();
        for sample in samples {
            hash.add(sample)?;
        }
        Ok(hash.finish())
    }

    /// Takes in the next sample.
    ///
    /// # Errors
    /// `Internal` when it cannot be written as JSON, which no checked sample is.
    pub fn add(&mut self, sample: &Sample) -> Result<()> {
        self.0.update(serde_json::to_vec(sample).map_err(Error::internal)?);
        self.0.update(b"\n");
        Ok(())
    }

    /// The hash, first 16 hex digits.
    #[must_use]
    pub fn finish(self) -> String {
        super::models::short_hex(&self.0.finalize())
    }
}

/// Checks what holds for a sample of any scorer; `field` is its path, such as `samples[3]`.
///
/// # Errors
/// `Invalid` naming the field at fault.
pub fn check_sample(sample: &Sample, field: &str) -> Result<()> {
    let at = |part: &str| format!("{field}.{part}");
    let texts: Vec<&str> = match &sample.input {
        Input::Text(text) => vec![text],
        Input::Messages(messages) => messages.iter().map(|message| message.content.as_str()).collect(),
    };
    if texts.iter().all(|text| text.trim().is_empty()) {
        return Err(Error::invalid(at("input"), "input must hold text, or a list of messages with text"));
    }
    for text in &texts {
        text::clean(text, &at("input"), LONGEST_PROMPT)?;
    }
    for (part, texts) in [("target", &sample.target), ("choices", &sample.choices)] {
        for text in texts {
            text::clean(text, &at(part), LONGEST_PROMPT)?;
        }
    }
    if sample.choices.len() > MOST_CHOICES {
        return Err(Error::invalid(at("choices"), "choices holds at most 26 options, one per letter"));
    }
    if let Some(cluster) = &sample.cluster_id {
        text::name(cluster, &at("cluster_id"))?;
    }
    text::name(&sample.key, &at("id"))?;
    Ok(())
}
