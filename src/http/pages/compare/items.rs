//! The items on which two models differ: what was asked, and what each of them answered.

use super::super::page::Pager;
use super::super::passage::Passage;
use super::super::reasons;
use super::super::verdict::{Verdict, Withheld};
use super::super::{format, links};
use crate::domain::cases::Case;
use crate::domain::id::EvalId;
use crate::domain::page::Page;
use crate::domain::pairs::{Disagreement, Pair, PairedEval, Wanted, Which};
use crate::domain::rounding;
use crate::domain::samples::{Input, Sample};
use crate::domain::time::Millis;
use crate::domain::users::Caller;
use crate::error::Result;
use crate::service::pairs::{self, Found, LONGEST_ANSWER};
use crate::store::Tx;

/// A part of the items, with what narrows them.
pub(super) struct Differing {
    pub(super) kinds: [Kind; 3],
    /// The evals to choose from; empty when there is only one.
    pub(super) evals: Vec<Choice>,
    /// What the form of the evals must keep: name and value.
    pub(super) kept: Vec<(&'static str, String)>,
    pub(super) items: Vec<Item>,
    pub(super) pager: Pager,
}

/// A link to the items of one kind.
pub(super) struct Kind {
    pub(super) before: &'static str,
    /// Of whom it is.
    pub(super) name: Option<String>,
    pub(super) after: &'static str,
    pub(super) count: String,
    pub(super) href: String,
    pub(super) is_current: bool,
}

/// An eval to choose.
pub(super) struct Choice {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) is_chosen: bool,
}

/// An item.
pub(super) struct Item {
    pub(super) eval: String,
    pub(super) eval_href: String,
    pub(super) sample: String,
    pub(super) asked: Vec<Passage>,
    pub(super) choices: Vec<String>,
    /// None when they are withheld.
    pub(super) target: Option<String>,
    pub(super) answers: [Answer; 2],
}

/// What one of them answered.
pub(super) struct Answer {
    pub(super) model: String,
    pub(super) href: Option<String>,
    pub(super) verdict: Option<Verdict>,
    /// What the verdict's code means.
    pub(super) meaning: Option<&'static str>,
    /// What all epochs of the item came to, where that is not what this one scored.
    pub(super) item: Option<String>,
    pub(super) extracted: Option<String>,
    pub(super) response: Option<Passage>,
    /// On which day the response was removed.
    pub(super) removed: Option<String>,
}

impl Differing {
    pub(super) fn read(
        tx: &mut Tx<'_>,
        found: &Found,
        wanted: &Wanted,
        part: Page,
        caller: &Caller,
        cursor: Option<&str>,
    ) -> Result<Self> {
        let slice = found.pair.disagreements(wanted, part);
        let asked = asked(found, wanted);
        let pairs: Vec<(&str, &str)> = asked.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let pager = Pager::new(&slice, "item", links::COMPARE, &pairs, cursor);
        let items = slice.rows.iter().map(|item| {
            let answers = pairs::answers(tx, item)?;
            Ok(Item::of(item, answers, [&found.a.card.name, &found.b.card.name], caller))
        });
        Ok(Self {
            items: items.collect::<Result<_>>()?,
            kinds: kinds(found, wanted),
            evals: choices(&found.pair, wanted.eval.as_ref()),
            kept: asked.iter().filter(|(name, _)| *name != "eval").cloned().collect(),
            pager,
        })
    }
}

/// The question as the address says it.
fn asked(found: &Found, wanted: &Wanted) -> Vec<(&'static str, String)> {
    let ahead = wanted.ahead.map(|which| match which {
        Which::A => "a".to_owned(),
        Which::B => "b".to_owned(),
    });
    let pairs = [
        Some(("a", found.a.id.to_string())),
        Some(("b", found.b.id.to_string())),
        wanted.eval.as_ref().map(|eval| ("eval", eval.to_string())),
        ahead.map(|ahead| ("only", ahead)),
        found.is_pooled.then(|| ("pool", "all".to_owned())),
    ];
    pairs.into_iter().flatten().collect()
}

fn kinds(found: &Found, wanted: &Wanted) -> [Kind; 3] {
    let (first, second) = found.pair.count_ahead(wanted.eval.as_ref());
    let kinds = [
        (None, None, first + second),
        (Some(Which::A), Some(&found.a.card.name), first),
        (Some(Which::B), Some(&found.b.card.name), second),
    ];
    let is_solved = all_solved(&found.pair, wanted.eval.as_ref());
    kinds.map(|(ahead, name, count)| {
        let asked = asked(found, &Wanted { ahead, ..wanted.clone() });
        let pairs: Vec<(&str, &str)> = asked.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Kind {
            before: match name {
                None => "All",
                Some(_) if is_solved => "Only",
                Some(_) => "",
            },
            after: match name {
                None => "",
                Some(_) if is_solved => "correct",
                Some(_) => "better",
            },
            name: name.cloned(),
            count: format::count(i64::try_from(count).unwrap_or(i64::MAX)),
            href: format!("{}#items", links::asked(links::COMPARE, &pairs)),
            is_current: ahead == wanted.ahead,
        }
    })
}

/// Whether all items that may be listed are wholly right or wrong.
fn all_solved(pair: &Pair, eval: Option<&EvalId>) -> bool {
    match eval.and_then(|eval| pair.eval(eval)) {
        Some(eval) => eval.compare().is_some_and(|found| found.only.is_some()),
        None => pair.outcomes().is_some(),
    }
}

fn choices(pair: &Pair, chosen: Option<&EvalId>) -> Vec<Choice> {
    if pair.evals().len() < 2 {
        return Vec::new();
    }
    let choice = |eval: &PairedEval| Choice {
        id: eval.id.to_string(),
        name: eval.name.clone(),
        is_chosen: chosen == Some(&eval.id),
    };
    pair.evals().iter().map(choice).collect()
}

impl Item {
    fn of(item: &Disagreement<'_>, answers: pairs::Answers, names: [&String; 2], caller: &Caller) -> Self {
        let withheld = Withheld::of_eval(item.eval.hidden_targets, item.eval.owner, caller);
        let sample = answers.a.as_ref().or(answers.b.as_ref()).map(|case| case.sample.clone());
        let [first, second] = names;
        let answer = |name: &String, which, case: Option<Case>| Answer::of(name, item, which, case, withheld);
        Self {
            eval: item.eval.name.clone(),
            eval_href: links::eval(&item.eval.id),
            sample: sample.as_ref().map(|sample| sample.key.clone()).unwrap_or_default(),
            asked: sample.as_ref().map(question).unwrap_or_default(),
            target: sample
                .as_ref()
                .filter(|sample| withheld == Withheld::Nothing && !sample.target.is_empty())
                .map(|sample| format::shortened(&sample.target.join(" · "), LONGEST_ANSWER)),
            choices: sample.map(|sample| sample.choices).unwrap_or_default(),
            answers: [answer(first, Which::A, answers.a), answer(second, Which::B, answers.b)],
        }
    }
}

fn question(sample: &Sample) -> Vec<Passage> {
    match &sample.input {
        Input::Text(text) => vec![Passage::new("Question", text.as_str())],
        Input::Messages(messages) => Passage::conversation(messages),
    }
}

impl Answer {
    fn of(
        model: &str,
        item: &Disagreement<'_>,
        which: Which,
        case: Option<Case>,
        withheld: Withheld,
    ) -> Self {
        let model = model.to_owned();
        let Some(case) = case else {
            return Self {
                model,
                href: None,
                verdict: None,
                meaning: None,
                item: None,
                extracted: None,
                response: None,
                removed: None,
            };
        };
        let score = item.score(which);
        let verdict = Verdict::of(&case, item.eval.pass);
        let removed = case.removed_at.map(Millis::to_day);
        let response = case.scored_response().to_owned();
        let is_whole =
            rounding::compare(case.score.unwrap_or_else(|| item.eval.direction().counted(0.0)), score)
                .is_eq();
        Self {
            model,
            href: Some(links::case(&case.id)),
            meaning: verdict.code.as_deref().map(|code| reasons::explain(code).meaning),
            verdict: Some(verdict),
            removed,
            item: (!is_whole).then(|| format::points(score, 0)),
            extracted: case
                .answer
                .filter(|answer| withheld == Withheld::Nothing && *answer != response)
                .map(|answer| format::shortened(&answer, LONGEST_ANSWER)),
            response: (!response.is_empty())
                .then(|| Passage::new("Answer", format::shortened(&response, LONGEST_ANSWER))),
        }
    }
}
