//! A case's page: what was asked and answered, the verdict and how it came about, and the cases beside it.
//!
//! Everything is shown as it was stored; nothing is read as markup. What the eval withholds is not there.

use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;
use serde_json::Value;

use super::fact::Fact;
use super::page::{self, Meta};
use super::passage::Passage;
use super::reasons::{self, Reason};
use super::results::Shown;
use super::transcript::{self, Ballot};
use super::verdict::{Verdict, Withheld};
use super::{format, links};
use crate::domain::cases::{Case, CaseTexts};
use crate::domain::direction::PassMark;
use crate::domain::id::CaseId;
use crate::domain::overrules::require_answer;
use crate::domain::results::EvalResult;
use crate::domain::samples::Message;
use crate::domain::time::Millis;
use crate::domain::users::Caller;
use crate::domain::veil::Veil;
use crate::error::Result;
use crate::http::{Answered, CachePolicy, Id, Reads, Site, View};
use crate::store::{self, Topic, Tx};

/// All that the page is made from.
const TOPICS: &[Topic] = &[Topic::Results, Topic::Runs, Topic::Evals, Topic::Models];

/// The query parameters: among which cases the ones beside it are looked for.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Params {
    state: Option<Shown>,
}

#[derive(Template)]
#[template(path = "case.html", whitespace = "minimize")]
struct CasePage {
    meta: Meta,
    title: String,
    result: String,
    result_href: String,
    previous: Option<String>,
    next: Option<String>,
    /// Where the answer was scored before: the earlier case, or at least its result.
    rescored_from: Option<String>,
    verdict: Verdict,
    overruled: Option<Overruled>,
    /// Where the verdict can be overruled, or that taken back.
    judge_href: Option<String>,
    /// On which day its texts were removed.
    removed: Option<String>,
    reason: Option<Reason>,
    error_message: Option<String>,
    facts: Vec<Fact>,
    asked: Vec<Passage>,
    response: Passage,
    reasoning: Option<Passage>,
    answer: Option<Passage>,
    /// None when they are withheld.
    targets: Option<Vec<String>>,
    details: Option<Passage>,
    ballots: Vec<Ballot>,
}

/// A person's verdict beside the scorer's.
struct Overruled {
    by: String,
    at: String,
    why: String,
    scorer: Verdict,
    /// What the scorer's code means.
    meaning: Option<&'static str>,
}

impl Overruled {
    fn of(case: &Case, pass: PassMark) -> Option<Self> {
        let overrule = case.overrule.as_ref()?;
        let scorer = Verdict::of_scorer(case, overrule, pass);
        Some(Self {
            by: overrule.submitted_by.clone(),
            at: overrule.at.to_minute(),
            why: overrule.reason.clone(),
            meaning: scorer.code.as_deref().map(|code| reasons::explain(code).meaning),
            scorer,
        })
    }
}

/// Answers `GET /cases/{id}`.
pub(super) async fn show(Id(id): Id<CaseId>, reads: Reads<Params>, site: Data<Site>) -> Answered {
    let shown = reads.params.state;
    let (caller, public_url) = (reads.caller().clone(), site.public_url.clone());
    let endpoints = reads.endpoints()?;
    reads
        .answer(TOPICS, move |tx| {
            let veil = endpoints.veil(tx)?;
            view(tx, &id, shown, (&caller, &veil), &public_url)
        })
        .await
}

fn view(
    tx: &mut Tx<'_>,
    id: &CaseId,
    shown: Option<Shown>,
    (caller, veil): (&Caller, &Veil),
    public_url: &str,
) -> Result<View> {
    let case = veil.case(store::cases::get(tx, id)?);
    let result = store::results::get(tx, &case.result)?;
    let texts = veil.case_texts(store::cases::texts(tx, &case)?);
    let pass = store::evals::pass_mark(tx, result.version_key)?;
    let (previous, next) = store::cases::beside(tx, result.key, &case, Shown::filter(shown))?;
    let beside = |id: CaseId| Shown::address(shown, &links::case(&id));
    let withheld = Withheld::of(&result, caller);
    let before = result.rescored_from.as_ref().map(links::result);
    let rescored_from = store::answers::earlier(tx, &result, &case)?.as_ref().map(links::case).or(before);
    let view = page::view(&CasePage {
        previous: previous.map(beside),
        next: next.map(beside),
        rescored_from,
        result_href: Shown::address(shown, &links::result(&result.id)),
        ..case_page(case, &result, texts, pass, withheld, public_url)
    })?;
    Ok(if result.run_is_open { view.policy(CachePolicy::Revalidate) } else { view })
}

/// The page without its neighbours.
fn case_page(
    case: Case,
    result: &EvalResult,
    texts: CaseTexts,
    pass: PassMark,
    withheld: Withheld,
    public_url: &str,
) -> CasePage {
    let verdict = Verdict::of(&case, pass);
    let shows_targets = withheld == Withheld::Nothing;
    let title = format!("Sample {}", case.sample.key);
    let on = format!("{} on {}", result.model_name, result.eval_name);
    CasePage {
        meta: Meta::new(
            public_url,
            &links::case(&case.id),
            format!("{title}: {on}"),
            format!("{on}: {}.", verdict.word),
        ),
        overruled: Overruled::of(&case, pass),
        judge_href: can_be_judged(&case, result).then(|| links::judge(&case.id)),
        removed: case.removed_at.map(Millis::to_day),
        reason: verdict.code.as_deref().map(|code| reasons::explain_case(code, &case)),
        facts: facts(&case),
        asked: if case.removed_at.is_some() { Vec::new() } else { asked(&texts.prompt) },
        reasoning: case.reasoning.map(|text| Passage::folded("Reasoning, which is not scored", text)),
        response: Passage::new("Response", case.response),
        answer: case
            .answer
            .filter(|_| shows_targets)
            .map(|answer| Passage::brief("Extracted answer", answer)),
        targets: shows_targets.then_some(case.sample.target),
        details: case_details(&case.score_details).filter(|_| shows_targets),
        ballots: texts
            .transcript
            .filter(|_| shows_targets)
            .map(|text| transcript::read(&text))
            .unwrap_or_default(),
        error_message: case.error_message.filter(|_| case.overrule.is_none()),
        result_href: links::result(&result.id),
        result: on,
        previous: None,
        next: None,
        rescored_from: None,
        title,
        verdict,
    }
}

/// Whether a person may change what counts as the verdict: on an answer that can be read, or to take it back.
fn can_be_judged(case: &Case, result: &EvalResult) -> bool {
    let can_be_read = require_answer(case).is_ok();
    !result.run_is_open && (can_be_read || case.overrule.is_some())
}

/// The messages as sent; the text itself, should it not be messages.
fn asked(prompt: &str) -> Vec<Passage> {
    serde_json::from_str::<Vec<Message>>(prompt)
        .map_or_else(|_| vec![Passage::new("Prompt", prompt)], |messages| Passage::conversation(&messages))
}

/// How the score came about, as indented JSON; none when there is nothing to say.
fn case_details(details: &str) -> Option<Passage> {
    let value: Value = serde_json::from_str(details).ok()?;
    let is_empty = value.as_object().is_none_or(serde_json::Map::is_empty);
    (!is_empty).then(|| Passage::new("Details of the score", format!("{value:#}")))
}

fn facts(case: &Case) -> Vec<Fact> {
    let tokens = case.tokens;
    let some = |number: Option<i64>| number.filter(|number| *number > 0).map(format::count);
    let facts = [
        Fact::maybe("Epoch", (case.epoch > 1).then(|| case.epoch.to_string())),
        Fact::maybe("Latency", case.latency_ms.map(format::milliseconds)),
        Fact::maybe("Input tokens", tokens.input.map(format::count)),
        Fact::maybe("From a cache", some(tokens.cached_input)),
        Fact::maybe("Written to a cache", some(tokens.cache_write)),
        Fact::maybe("Output tokens", tokens.output.map(format::count)),
        Fact::maybe("For reasoning", some(tokens.reasoning)),
        Some(Fact::new("Cost", format::known(case.cost_usd, format::money))),
        Fact::maybe("Cost of grading", case.grader_cost_usd.map(format::money)),
        Fact::maybe("Attempts", (case.attempts > 1).then(|| format::count(case.attempts))),
        Fact::maybe("Cut off", case.is_truncated.then_some("at the token limit")),
        Fact::maybe("Graded by", case.is_self_graded.then_some("the model itself")),
        Fact::maybe("Cluster", case.sample.cluster_id.clone()),
        Some(Fact::new("Recorded", case.created_at.to_minute())),
    ];
    facts.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_shown_message_by_message_or_else_as_it_is() {
        let messages = asked(r#"[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"}]"#);
        assert_eq!(messages.iter().map(|passage| passage.label).collect::<Vec<_>>(), ["System", "User"]);
        assert_eq!(asked("not JSON").first().unwrap().text, "not JSON");
    }

    #[test]
    fn details_that_say_nothing_are_left_out() {
        assert_eq!(case_details("{}"), None);
        assert_eq!(case_details("not JSON"), None);
        assert!(case_details(r#"{"votes":[1.0]}"#).is_some());
    }
}
