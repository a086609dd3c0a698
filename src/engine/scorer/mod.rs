//! Scorers: from a sample and a response to a score in 0..=1.
//!
//! They compare and read; they do no I/O. A model-graded scorer says what to ask the grader and reads its
//! reply, a webhook likewise, and the engine makes the call.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::domain::evals::Measurement;
use crate::domain::samples::Sample;
use crate::error::{Error, Result};

mod answer;
mod answer_words;
mod boundary;
mod choice;
mod criteria;
mod exact;
mod fence;
mod fold;
mod graded;
mod inspect;
mod json;
mod letters;
mod markup;
mod metric;
mod multi;
mod names;
mod normal;
mod number;
mod numeric;
mod pattern;
mod quantity;
mod similarity;
mod text;
mod verdict;
mod webhook;
mod words;

pub use graded::Graded;
pub use multi::{Multi, Part};
pub use names::is_binary;
pub use verdict::{Grade, Mark, Panel, Scale, Verdict, panel};
pub use webhook::Webhook;

/// Reason of a wrong answer: the response is empty or blank.
pub const NO_RESPONSE: &str = "no_response";
/// Reason of a wrong answer: the model refused.
pub const REFUSAL: &str = "refusal";
/// Reason of a wrong answer: the model was cut off while it thought, so that there is no answer.
pub const UNFINISHED_REASONING: &str = "unfinished_reasoning";
/// Reason of a wrong answer: the response has no answer in the form that the scorer reads.
pub const INVALID_RESPONSE_FORMAT: &str = "invalid_response_format";

/// Longest answer that is kept beside a response, in characters.
const MAX_ANSWER: usize = 1000;

/// Version of a scorer that has none of its own. The first one also scored thinking inside the response.
const VERSION: u32 = 2;

/// A scorer with its parameters: compiled once per eval version, then shared.
#[derive(Debug, Clone)]
pub struct Scorer(Family);

#[derive(Debug, Clone)]
enum Family {
    /// Found out here.
    Local(Arc<dyn Rule>),
    /// Asked of a model.
    Graded(Box<Graded>),
    /// Asked of somebody's service.
    Webhook(Box<Webhook>),
    /// Several of those.
    Multi(Box<Multi>),
}

/// How a scorer comes to its score.
#[derive(Debug, Clone, Copy)]
pub enum Way<'s> {
    /// By [`Scorer::score`].
    Here,
    /// A grader is asked this.
    Graded(&'s Graded),
    /// A webhook is asked this.
    Webhook(&'s Webhook),
    /// Each part goes its own way, and somebody is asked for one at least.
    Parts(&'s Multi),
}

/// What the scorer found.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Finite, 0 to 1.
    pub score: f64,
    /// What was taken for the answer, at most 1,000 characters of it; for `match` and `includes` the target
    /// that was found.
    pub answer: Option<String>,
    /// Why a wrong answer is wrong, where it is more than a wrong answer: [`NO_RESPONSE`] or
    /// [`INVALID_RESPONSE_FORMAT`].
    pub reason: Option<&'static str>,
    /// A JSON object, empty for most.
    pub details: Value,
}

impl Outcome {
    /// The model refused: a wrong answer.
    pub(super) fn refused() -> Self {
        Self::wrong(REFUSAL, None)
    }

    /// The model answered nothing: a wrong answer.
    pub(super) fn no_response() -> Self {
        Self::wrong(NO_RESPONSE, None)
    }

    /// The model did not come to an answer: a wrong one.
    pub(super) fn unfinished() -> Self {
        Self::wrong(UNFINISHED_REASONING, None)
    }

    /// What a grader came to.
    pub(super) fn graded(score: f64, details: Value) -> Self {
        Self { score, answer: None, reason: None, details }
    }
}

/// What was found, or why there is no score.
pub type Scored = std::result::Result<Outcome, &'static str>;

/// A scorer that needs nothing but the sample and the response.
trait Rule: fmt::Debug + Send + Sync {
    fn name(&self) -> &'static str;
    fn canonical(&self) -> Value;

    /// Grows when the meaning of the scorer changes under the same parameters.
    fn version(&self) -> u32 {
        VERSION
    }

    fn check_sample(&self, sample: &Sample, field: &str) -> Result<()>;
    /// `response` is not blank.
    fn score(&self, sample: &Sample, response: &str) -> Scored;

    /// From which score on a case passes, as the criteria say.
    fn threshold(&self) -> Option<f64> {
        None
    }

    /// Whether a score may take long enough to be kept off the threads that others wait for.
    fn is_slow(&self) -> bool {
        false
    }

    fn needs_target(&self) -> bool {
        true
    }

    fn shuffle(&self) -> Option<u64> {
        None
    }

    fn shown_choices(&self, sample: &Sample) -> Vec<String> {
        sample.choices.clone()
    }

    fn complete_prompt<'p>(&self, prompt: &'p str) -> Cow<'p, str> {
        Cow::Borrowed(prompt)
    }
}

impl Scorer {
    /// The scorer that `eval_type`, a name or an alias, means with these parameters.
    ///
    /// # Errors
    /// `Invalid` on `eval_type` or `eval_criteria.<name>`, saying what is accepted.
    pub fn parse(eval_type: &str, criteria: &Map<String, Value>) -> Result<Self> {
        names::build(eval_type, criteria).map(Self)
    }

    /// Takes the eval's expected behaviour for the rubric where a `rubric` eval, or such a part, has none. It belongs to
    /// [`Scorer::canonical`] from then on. Other scorers stay as they are.
    ///
    /// # Errors
    /// `Invalid` when a `rubric` eval has neither.
    pub fn with_expected(self, expected_behavior: &str) -> Result<Self> {
        match self.0 {
            Family::Graded(graded) => {
                Ok(Self(Family::Graded(Box::new(graded.with_expected(expected_behavior)?))))
            }
            Family::Multi(multi) => {
                Ok(Self(Family::Multi(Box::new(multi.with_expected(expected_behavior)?))))
            }
            other => Ok(Self(other)),
        }
    }

    /// The scorer of a stored measurement, its expected behaviour taken in.
    ///
    /// # Errors
    /// As [`Scorer::parse`], and `Invalid` on `eval_criteria` when that is no JSON object.
    pub fn of(measurement: &Measurement) -> Result<Self> {
        let criteria = criteria::read(&measurement.eval_criteria)?;
        Self::parse(&measurement.eval_type, &criteria)?.with_expected(&measurement.expected_behavior)
    }

    /// The scorer's own name, whatever alias was typed.
    pub fn name(&self) -> &'static str {
        match &self.0 {
            Family::Local(rule) => rule.name(),
            Family::Graded(graded) => graded.name(),
            Family::Webhook(_) => "webhook",
            Family::Multi(_) => "multi",
        }
    }

    /// Grows when the meaning of a scorer changes, so that old and new scores are not mixed. That of a `multi` grows
    /// with each of its parts.
    pub fn version(&self) -> u32 {
        match &self.0 {
            Family::Local(rule) => rule.version(),
            Family::Graded(_) | Family::Webhook(_) => VERSION,
            Family::Multi(multi) => multi.version(),
        }
    }

    /// All parameters with defaults filled in, keys sorted: the same object for every way to write the same
    /// parameters, and one that [`Scorer::parse`] takes under [`Scorer::name`].
    pub fn canonical(&self) -> Value {
        match &self.0 {
            Family::Local(rule) => rule.canonical(),
            Family::Graded(graded) => graded.canonical(),
            Family::Webhook(webhook) => webhook.canonical(),
            Family::Multi(multi) => multi.canonical(),
        }
    }

    /// Whether every score is 0 or 1.
    pub fn is_binary(&self) -> bool {
        is_binary(self.name())
    }

    /// Whether a score may take long enough to be kept off the threads that others wait for.
    pub fn is_slow(&self) -> bool {
        match &self.0 {
            Family::Local(rule) => rule.is_slow(),
            Family::Multi(multi) => multi.is_slow(),
            Family::Graded(_) | Family::Webhook(_) => false,
        }
    }

    /// From which score on a case counts as passed, above 0 up to 1, where the criteria say so.
    pub fn threshold(&self) -> Option<f64> {
        match &self.0 {
            Family::Local(rule) => rule.threshold(),
            Family::Graded(_) | Family::Webhook(_) | Family::Multi(_) => None,
        }
    }

    /// The score from which a case counts as passed unless the eval says otherwise.
    pub fn default_pass_threshold(&self) -> f64 {
        self.threshold().unwrap_or(if self.is_binary() { 1.0 } else { 0.5 })
    }

    /// Whether every sample must have a target.
    pub fn needs_target(&self) -> bool {
        match &self.0 {
            Family::Local(rule) => rule.needs_target(),
            Family::Graded(graded) => graded.needs_target(),
            Family::Webhook(_) => false,
            Family::Multi(multi) => multi.needs_target(),
        }
    }

    /// Refuses a sample that this scorer cannot score; `field` is the sample's path, such as `samples[3]`.
    ///
    /// # Errors
    /// `Invalid` on the sample's `target` or `choices`: a target is missing, would match everything, or can
    /// never be matched.
    pub fn check_sample(&self, sample: &Sample, field: &str) -> Result<()> {
        match &self.0 {
            Family::Local(rule) => rule.check_sample(sample, field),
            Family::Graded(graded) => graded.check_sample(sample, field),
            Family::Webhook(_) => Ok(()),
            Family::Multi(multi) => multi.check_sample(sample, field),
        }
    }

    /// The seed by which options change their places; none where they are shown as they are listed.
    pub fn shuffle(&self) -> Option<u64> {
        match &self.0 {
            Family::Local(rule) => rule.shuffle(),
            Family::Multi(multi) => multi.shuffle(),
            Family::Graded(_) | Family::Webhook(_) => None,
        }
    }

    /// The sample's options in the order in which the model sees them; always the same for one sample.
    pub fn shown_choices(&self, sample: &Sample) -> Vec<String> {
        match &self.0 {
            Family::Local(rule) => rule.shown_choices(sample),
            Family::Multi(multi) => multi.shown_choices(sample),
            Family::Graded(_) | Family::Webhook(_) => sample.choices.clone(),
        }
    }

    /// The prompt template with what this scorer needs the model to be told.
    pub fn complete_prompt<'p>(&self, prompt: &'p str) -> Cow<'p, str> {
        match &self.0 {
            Family::Local(rule) => rule.complete_prompt(prompt),
            Family::Multi(multi) => multi.complete_prompt(prompt),
            Family::Graded(_) | Family::Webhook(_) => Cow::Borrowed(prompt),
        }
    }

    /// Scores the response to a sample that passed [`Scorer::check_sample`].
    ///
    /// # Errors
    /// Why there is no score: a grader or a webhook has to be asked, or the scorer gave up on the response.
    pub fn score(&self, sample: &Sample, response: &str) -> Scored {
        match &self.0 {
            Family::Graded(_) => Err("a grader has to be asked"),
            Family::Webhook(_) => Err("a webhook has to be asked"),
            _ if response.trim().is_empty() => Ok(Outcome::no_response()),
            Family::Local(rule) => rule.score(sample, response),
            Family::Multi(multi) => multi.score(sample, response),
        }
    }

    /// How it comes to its score.
    pub fn way(&self) -> Way<'_> {
        match &self.0 {
            Family::Graded(graded) => Way::Graded(graded),
            Family::Webhook(webhook) => Way::Webhook(webhook),
            Family::Multi(multi) if multi.asks() => Way::Parts(multi),
            Family::Local(_) | Family::Multi(_) => Way::Here,
        }
    }

    /// What a grader is asked, for a scorer that needs one; of several such parts the first. They share their
    /// grader.
    pub fn graded(&self) -> Option<&Graded> {
        match &self.0 {
            Family::Graded(graded) => Some(graded),
            Family::Multi(multi) => multi.parts().iter().find_map(|part| part.scorer().graded()),
            Family::Local(_) | Family::Webhook(_) => None,
        }
    }

    /// The webhook that is asked, for the scorer that is one or has one among its parts.
    pub fn webhook(&self) -> Option<&Webhook> {
        match &self.0 {
            Family::Webhook(webhook) => Some(webhook),
            Family::Multi(multi) => multi.parts().iter().find_map(|part| part.scorer().webhook()),
            Family::Local(_) | Family::Graded(_) => None,
        }
    }

    /// Which of its parts, counted from 0, [`Scorer::webhook`] is; none where it is the scorer itself.
    pub fn webhook_part(&self) -> Option<usize> {
        match &self.0 {
            Family::Multi(multi) => multi.parts().iter().position(|part| part.scorer().webhook().is_some()),
            Family::Local(_) | Family::Graded(_) | Family::Webhook(_) => None,
        }
    }
}

impl Outcome {
    fn verdict(right: bool, answer: Option<&str>) -> Self {
        Self::measured(if right { 1.0 } else { 0.0 }, answer)
    }

    fn measured(score: f64, answer: Option<&str>) -> Self {
        Self { score, answer: answer.map(clipped), reason: None, details: json!({}) }
    }

    /// Wrong, because no answer could be read; `answer` is what stood in its place.
    fn unreadable(answer: Option<&str>) -> Self {
        Self::wrong(INVALID_RESPONSE_FORMAT, answer)
    }

    fn wrong(reason: &'static str, answer: Option<&str>) -> Self {
        Self { reason: Some(reason), ..Self::verdict(false, answer) }
    }

    fn with_details(self, details: Value) -> Self {
        Self { details, ..self }
    }
}

fn clipped(answer: &str) -> String {
    answer.chars().take(MAX_ANSWER).collect()
}

/// Refuses a sample without a target, and one with a target of which `flaw` says what it must be.
fn check_targets(sample: &Sample, field: &str, flaw: impl Fn(&str) -> Option<String>) -> Result<()> {
    let missing = || sample.target.is_empty().then(|| "is required: the answer to compare with".to_owned());
    let problem = missing().or_else(|| sample.target.iter().find_map(|target| flaw(target)));
    problem
        .map_or(Ok(()), |problem| Err(Error::invalid(format!("{field}.target"), format!("target {problem}"))))
}

#[cfg(test)]
mod tests;
