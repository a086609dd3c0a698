//! What an `eval_type` may be: our names, and those that users of other tools will type.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::choice::Choice;
use super::criteria::Criteria;
use super::exact::Exact;
use super::graded::Graded;
use super::json::equal::Equal;
use super::json::schema::Schema;
use super::multi::Multi;
use super::numeric::Numeric;
use super::pattern::Pattern;
use super::similarity::{Measure, Similarity};
use super::text::{Includes, Match};
use super::webhook::Webhook;
use super::{Family, Rule};
use crate::error::{Error, Result};

type Build = fn(&Criteria<'_>) -> Result<Family>;

/// A spelling of `eval_type`.
pub(super) struct Spelling {
    pub(super) typed: &'static str,
    build: Build,
    preset: Option<(&'static str, bool)>,
}

const fn plain(typed: &'static str, build: Build) -> Spelling {
    Spelling { typed, build, preset: None }
}

const fn preset(typed: &'static str, name: &'static str, flag: bool, build: Build) -> Spelling {
    Spelling { typed, build, preset: Some((name, flag)) }
}

/// Every spelling that is understood.
pub(super) const SPELLINGS: &[Spelling] = &[
    plain("exact", exact),
    plain("exact_match", exact),
    preset("equals", "literal", true, exact),
    preset("string_check:eq", "literal", true, exact),
    plain("match", |criteria| local(Match::parse(criteria)?)),
    plain("includes", includes),
    plain("icontains", includes),
    preset("contains", "ignore_case", false, includes),
    plain("pattern", pattern),
    plain("regex", pattern),
    plain("numeric", |criteria| local(Numeric::parse(criteria)?)),
    plain("choice", choice),
    plain("multiple_choice", choice),
    plain("f1", |criteria| local(Similarity::parse(criteria, Measure::F1)?)),
    plain("rouge_l", |criteria| local(Similarity::parse(criteria, Measure::RougeL)?)),
    plain("bleu", |criteria| local(Similarity::parse(criteria, Measure::Bleu)?)),
    plain("levenshtein", |criteria| local(Similarity::parse(criteria, Measure::Levenshtein)?)),
    plain("json_equals", |criteria| local(Equal::parse(criteria)?)),
    plain("json_schema", json_schema),
    plain("is-json", json_schema),
    preset("contains-json", "in_prose", true, json_schema),
    plain("multi", |criteria| Ok(Family::Multi(Box::new(Multi::parse(criteria)?)))),
    plain("rubric", rubric),
    plain("llm-rubric", rubric),
    plain("score_model", rubric),
    plain("model_graded_qa", rubric),
    plain("semantic", semantic),
    plain("model_graded_fact", semantic),
    plain("factuality", semantic),
    plain("webhook", |criteria| Ok(Family::Webhook(Box::new(Webhook::parse(criteria)?)))),
];

/// The scorers' own names, as errors list them.
pub(super) const NAMES: &str = "exact, match, includes, pattern, numeric, choice, f1, rouge_l, bleu, levenshtein, \
                                json_equals, json_schema, multi, rubric, semantic, webhook";

/// Names of the scorers whose every score is 0 or 1.
const BINARY: &[&str] =
    &["exact", "match", "includes", "pattern", "numeric", "choice", "json_equals", "json_schema"];

/// Whether every score of the scorer with that canonical name is 0 or 1.
pub fn is_binary(name: &str) -> bool {
    BINARY.contains(&name)
}

/// What `eval_type` means with these parameters.
pub(super) fn build(eval_type: &str, criteria: &Map<String, Value>) -> Result<Family> {
    let spelling = SPELLINGS.iter().find(|spelling| spelling.typed == eval_type);
    let spelling = spelling.ok_or_else(|| Error::invalid("eval_type", unknown(eval_type)))?;
    (spelling.build)(&Criteria::new(spelling.typed, criteria, spelling.preset))
}

fn unknown(eval_type: &str) -> String {
    let typed: String = eval_type.chars().take(40).collect();
    format!("'{typed}' is not known; it must be one of: {NAMES}")
}

fn local(rule: impl Rule + 'static) -> Result<Family> {
    Ok(Family::Local(Arc::new(rule)))
}

fn exact(criteria: &Criteria<'_>) -> Result<Family> {
    local(Exact::parse(criteria)?)
}

fn includes(criteria: &Criteria<'_>) -> Result<Family> {
    local(Includes::parse(criteria)?)
}

fn pattern(criteria: &Criteria<'_>) -> Result<Family> {
    local(Pattern::parse(criteria)?)
}

fn choice(criteria: &Criteria<'_>) -> Result<Family> {
    local(Choice::parse(criteria)?)
}

fn json_schema(criteria: &Criteria<'_>) -> Result<Family> {
    local(Schema::parse(criteria)?)
}

fn rubric(criteria: &Criteria<'_>) -> Result<Family> {
    Ok(Family::Graded(Box::new(Graded::parse_rubric(criteria)?)))
}

fn semantic(criteria: &Criteria<'_>) -> Result<Family> {
    Ok(Family::Graded(Box::new(Graded::parse_semantic(criteria)?)))
}
