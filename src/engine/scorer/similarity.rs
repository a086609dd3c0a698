//! `f1`, `rouge_l`, `bleu` and `levenshtein`: how alike the response and the target are, from 0 to 1.
//!
//! They look for no answer inside the response: all of it is compared, typographically folded. The measures are those of `metric`.

use serde_json::{Value, json};

use super::criteria::Criteria;
use super::fold::fold;
use super::metric::{Likeness, MOST_COMPARED, bleu, distance, f1, rouge};
use super::text::blank;
use super::{Outcome, Rule, Scored, check_targets};
use crate::domain::samples::Sample;
use crate::error::{Error, Result};

/// Most targets of a sample: the response is compared with each.
const MOST_TARGETS: usize = 50;

/// How likeness is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measure {
    /// Token overlap, whatever the order.
    F1,
    /// The longest common subsequence of tokens.
    RougeL,
    /// N-gram precision; several targets are references together.
    Bleu,
    /// Edits from one text to the other.
    Levenshtein,
}

/// The scorer.
#[derive(Debug)]
pub(super) struct Similarity {
    measure: Measure,
    threshold: Option<f64>,
}

impl Similarity {
    pub(super) fn parse(criteria: &Criteria<'_>, measure: Measure) -> Result<Self> {
        criteria.only(&["threshold"])?;
        Ok(Self { measure, threshold: criteria.threshold("threshold")? })
    }

    fn likeness(&self, sample: &Sample, response: &str) -> Likeness {
        let response = &*fold(response);
        let targets: Vec<String> = sample.target.iter().map(|target| fold(target).into_owned()).collect();
        let best = |score: fn(&str, &str) -> Likeness| {
            let each = targets.iter().map(|target| score(response, target));
            each.reduce(better).unwrap_or(Likeness { score: 0.0, is_cut: false })
        };
        match self.measure {
            Measure::F1 => {
                best(|response, target| Likeness { score: f1::score(response, target), is_cut: false })
            }
            Measure::RougeL => best(rouge::score),
            Measure::Bleu => bleu::score(response, &targets),
            Measure::Levenshtein => best(distance::score),
        }
    }

    /// What is wrong with a target in which the measure sees nothing.
    fn flaw(&self, target: &str) -> Option<String> {
        let target = &*fold(target);
        let (has_any, problem) = match self.measure {
            Measure::F1 => (f1::has_tokens(target), "has no word besides articles and punctuation"),
            Measure::RougeL => (
                rouge::has_tokens(target),
                "has no letter from a to z and no digit, and ROUGE sees no others",
            ),
            Measure::Bleu => (bleu::has_tokens(target), "has no word"),
            Measure::Levenshtein => return blank(target),
        };
        (!has_any).then(|| format!("{problem}: nothing would be compared"))
    }
}

fn better(one: Likeness, other: Likeness) -> Likeness {
    Likeness { score: one.score.max(other.score), is_cut: one.is_cut || other.is_cut }
}

impl Rule for Similarity {
    fn name(&self) -> &'static str {
        match self.measure {
            Measure::F1 => "f1",
            Measure::RougeL => "rouge_l",
            Measure::Bleu => "bleu",
            Measure::Levenshtein => "levenshtein",
        }
    }

    fn canonical(&self) -> Value {
        json!({"threshold": self.threshold})
    }

    fn threshold(&self) -> Option<f64> {
        self.threshold
    }

    fn is_slow(&self) -> bool {
        true
    }

    fn check_sample(&self, sample: &Sample, field: &str) -> Result<()> {
        if sample.target.len() > MOST_TARGETS {
            let message = format!("target must hold at most {MOST_TARGETS} texts to compare with");
            return Err(Error::invalid(format!("{field}.target"), message));
        }
        check_targets(sample, field, |target| self.flaw(target))
    }

    fn score(&self, sample: &Sample, response: &str) -> Scored {
        let Likeness { score, is_cut } = self.likeness(sample, response);
        let details = match self.measure {
            _ if !is_cut => json!({}),
            Measure::Levenshtein => json!({"compared_characters": MOST_COMPARED}),
            _ => json!({"compared_tokens": MOST_COMPARED}),
        };
        Ok(Outcome::measured(score, Some(response.trim())).with_details(details))
    }
}
