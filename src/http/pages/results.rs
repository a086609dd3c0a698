//! A result's page: one model on one eval in one run, with every case that can be opened.
//!
//! It shows the cases' ends; what was said in one of them is on that case's own page.

use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use super::fact::Fact;
use super::page::{self, Meta, Pager};
use super::verdict::{Verdict, Withheld};
use super::{format, links, passage, score};
use crate::domain::cases::{Case, CaseFilter, CaseState};
use crate::domain::direction::PassMark;
use crate::domain::id::ResultId;
use crate::domain::page::{Page, Slice};
use crate::domain::results::{EvalResult, ResultState};
use crate::domain::rounding;
use crate::domain::users::Caller;
use crate::error::Result;
use crate::http::{Answered, CachePolicy, Id, Reads, Site, View};
use crate::store::{self, Topic, Tx};

/// All that the page is made from.
const TOPICS: &[Topic] = &[Topic::Results, Topic::Runs, Topic::Evals, Topic::Models];
/// Cases of one page.
const CASES: u32 = 50;
/// Longest line of a table, in characters.
const LINE: usize = 120;

/// The query parameters: which cases, and which part of them.
#[derive(Debug, Clone, Deserialize)]
pub struct Params {
    state: Option<Shown>,
    cursor: Option<String>,
}

/// Which cases are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    /// Scored, and not passed.
    Wrong,
    /// With a score.
    Scored,
    /// Answered, and not scored.
    Unscored,
    /// Without an answer.
    Error,
    /// Overruled by a person.
    Overruled,
}

impl Shown {
    /// The word in the address.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wrong => "wrong",
            Self::Scored => "scored",
            Self::Unscored => "unscored",
            Self::Error => "error",
            Self::Overruled => "overruled",
        }
    }

    /// The filter of the store that means `shown`; all cases when nothing is said.
    #[must_use]
    pub const fn filter(shown: Option<Self>) -> CaseFilter {
        match shown {
            None => CaseFilter::All,
            Some(Self::Wrong) => CaseFilter::Wrong,
            Some(Self::Scored) => CaseFilter::In(CaseState::Scored),
            Some(Self::Unscored) => CaseFilter::In(CaseState::Unscored),
            Some(Self::Error) => CaseFilter::In(CaseState::Error),
            Some(Self::Overruled) => CaseFilter::Overruled,
        }
    }

    /// `path` with what is shown, where it is not all.
    #[must_use]
    pub fn address(shown: Option<Self>, path: &str) -> String {
        links::asked(path, &Self::pairs(shown))
    }

    fn pairs(shown: Option<Self>) -> Vec<(&'static str, &'static str)> {
        shown.map(|shown| ("state", shown.as_str())).into_iter().collect()
    }
}

#[derive(Template)]
#[template(path = "result.html", whitespace = "minimize")]
struct ResultPage {
    meta: Meta,
    model: String,
    model_href: String,
    eval: String,
    eval_href: String,
    /// The score in words.
    summary: String,
    error: Option<String>,
    /// The earlier result whose answers were scored again.
    rescored_from: Option<String>,
    /// How many verdicts a person overruled, in words, and where they are listed.
    overruled: Option<(String, String)>,
    /// How many answers were removed, in words.
    removed: Option<String>,
    facts: Vec<Fact>,
    kinds: Vec<Kind>,
    hides_targets: bool,
    lines: Vec<Line>,
    pager: Pager,
    csv_href: String,
    ndjson_href: String,
}

/// A link to the cases of one kind.
struct Kind {
    label: &'static str,
    count: String,
    href: String,
    is_current: bool,
}

/// A case.
struct Line {
    href: String,
    sample: String,
    input: String,
    answer: String,
    is_removed: bool,
    is_overruled: bool,
    target: Option<String>,
    verdict: Verdict,
    latency: String,
    cost: String,
}

/// Answers `GET /results/{id}`.
pub(super) async fn show(Id(id): Id<ResultId>, reads: Reads<Params>, site: Data<Site>) -> Answered {
    let Params { state, cursor } = reads.params.clone();
    let part = page::part(&reads.list(), CASES, cursor.as_deref())?;
    let (caller, public_url) = (reads.caller().clone(), site.public_url.clone());
    reads
        .answer(TOPICS, move |tx| {
            let asked = Asked { shown: state, part, cursor: cursor.as_deref() };
            view(tx, &id, &asked, &caller, &public_url)
        })
        .await
}

/// Which cases are asked for.
struct Asked<'a> {
    shown: Option<Shown>,
    part: Page,
    cursor: Option<&'a str>,
}

fn view(
    tx: &mut Tx<'_>,
    id: &ResultId,
    asked: &Asked<'_>,
    caller: &Caller,
    public_url: &str,
) -> Result<View> {
    let result = store::results::get(tx, id)?;
    let pass = store::evals::pass_mark(tx, result.version_key)?;
    let cases = store::cases::list(tx, result.key, Shown::filter(asked.shown), asked.part)?;
    let run_is_open = result.run_is_open;
    let view = page::view(&result_page(result, &cases, asked, pass, caller, public_url))?;
    Ok(if run_is_open { view.policy(CachePolicy::Revalidate) } else { view })
}

fn result_page(
    result: EvalResult,
    cases: &Slice<Case>,
    asked: &Asked<'_>,
    pass: PassMark,
    caller: &Caller,
    public_url: &str,
) -> ResultPage {
    let path = links::result(&result.id);
    let summary = summary(&result);
    let withheld = Withheld::of(&result, caller);
    let title = format!("{} on {}", result.model_name, result.eval_name);
    ResultPage {
        meta: Meta::new(public_url, &path, title.as_str(), format!("{title}: {summary}")),
        model_href: links::model(&result.model),
        eval_href: links::eval(&result.eval),
        rescored_from: result.rescored_from.as_ref().map(links::result),
        overruled: overruled(&result).map(|words| (words, Shown::address(Some(Shown::Overruled), &path))),
        removed: removed(&result),
        facts: facts(&result),
        kinds: kinds(&result, asked.shown, &path),
        hides_targets: withheld == Withheld::Targets,
        lines: cases.rows.iter().map(|case| line(case, asked.shown, pass, withheld)).collect(),
        pager: Pager::new(cases, "case", &path, &Shown::pairs(asked.shown), asked.cursor),
        csv_href: links::cases_file(&result.id, "csv"),
        ndjson_href: links::cases_file(&result.id, "ndjson"),
        model: result.model_name,
        eval: result.eval_name,
        error: result.error,
        summary,
    }
}

/// `2 of its 300 verdicts`; none where nobody overruled one.
fn overruled(result: &EvalResult) -> Option<String> {
    let (count, all) = (result.overruled, result.counts.cases);
    (count > 0).then(|| format!("{} of its {}", format::count(count), format::counted(all, "verdict")))
}

/// `The answers of 2 of its 300 cases`; none where all are there.
fn removed(result: &EvalResult) -> Option<String> {
    let (count, all) = (result.removed, result.counts.cases);
    if count >= all {
        return (count > 0).then(|| "The answers of its cases".to_owned());
    }
    (count > 0)
        .then(|| format!("The answers of {} of its {}", format::count(count), format::counted(all, "case")))
}

/// What it came to, in a sentence.
fn summary(result: &EvalResult) -> String {
    let counts = &result.counts;
    match (result.state, result.score) {
        (ResultState::Running, _) => {
            let so_far =
                result.running_mean().map(|mean| format!("{} points so far", score::in_words((mean, None))));
            let (done, planned) = (format::count(counts.cases), format::count(counts.planned));
            format!(
                "{}, {done} of {planned} cases.",
                so_far.unwrap_or_else(|| "Nothing scored yet".to_owned())
            )
        }
        (ResultState::Complete, Some(score)) => {
            let points = score::in_words((score, result.interval));
            let items = format::counted(result.item_count, "item");
            format!("{points} points over {items}.{}", flawless(result).unwrap_or_default())
        }
        _ => incomplete(result),
    }
}

/// How many items may be left that would not pass, where all did: what the interval leaves open. None where one did not,
/// and without an interval.
fn flawless(result: &EvalResult) -> Option<String> {
    let counted = result.direction.counted(result.score?);
    let interval = result.interval.map(|interval| result.direction.interval(interval))?;
    let is_flawless = result.counts.planned > 0 && result.counts.passed == result.counts.planned;
    (is_flawless && rounding::compare(counted, 1.0).is_eq()).then(|| {
        let items = format::counted(result.item_count, "item");
        let open = format::points(1.0 - interval.low, format::decimals(Some(interval)));
        format!(" All {items} passed: the interval leaves open that up to {open} % of such items would not.")
    })
}

/// The bounds of a result of which too much is missing.
fn incomplete(result: &EvalResult) -> String {
    let bounds = result.bounds().map(|(low, high)| {
        format!(" It lies between {} and {} points.", format::points(low, 0), format::points(high, 0))
    });
    format!("Incomplete: too few cases were measured, so it has no score.{}", bounds.unwrap_or_default())
}

fn facts(result: &EvalResult) -> Vec<Fact> {
    let counts = &result.counts;
    let method = result.ci_method.as_deref().map(|method| format!("95 % ({method})"));
    let tokens = result.input_tokens.zip(result.output_tokens);
    let facts = [
        Some(Fact::link("Run", "View run", links::run(&result.run))),
        result
            .rescored_from
            .as_ref()
            .map(|earlier| Fact::link("Rescored from", "the earlier result", links::result(earlier))),
        Some(Fact::new("Eval version", result.eval_version.to_string())),
        Some(Fact::new("Model revision", result.model_revision.as_str())),
        Some(Fact::new(
            "Cases",
            format!("{} of {}", format::count(counts.cases), format::count(counts.planned)),
        )),
        Some(Fact::new("Passed", format::count(counts.passed))),
        Some(Fact::new("Not measured", format::count(counts.unscored + counts.errors))),
        Fact::maybe("Interval", method),
        Fact::maybe("Standard error", result.stderr.map(|stderr| format!("{:.1} points", stderr * 100.0))),
        Fact::maybe("Clusters", result.cluster_count.map(format::count)),
        Fact::maybe("Epochs", (result.epochs > 1).then(|| format!("{} ({})", result.epochs, result.reducer))),
        Fact::maybe("Better is", Some("lower").filter(|_| !result.direction.is_higher())),
        Fact::maybe("Mean latency", (result.latency_ms > 0).then(|| format::milliseconds(result.latency_ms))),
        Fact::maybe("Latency p50, p95", percentiles(result)),
        Fact::maybe(
            "Tokens",
            tokens
                .map(|(input, output)| format!("{} in, {} out", format::count(input), format::count(output))),
        ),
        Some(Fact::new(
            if result.rescored_from.is_some() { "Cost of the answers" } else { "Cost" },
            format::known(result.cost_usd, format::money),
        )),
        Fact::maybe(
            "Provenance",
            Some(result.provenance.clone()).filter(|provenance| provenance != "run_here"),
        ),
        Some(Fact::new("Started", result.created_at.to_minute())),
    ];
    facts.into_iter().flatten().collect()
}

/// `90 ms, 1.2 s`; none until the result is complete.
fn percentiles(result: &EvalResult) -> Option<String> {
    let (half, most) = result.latency_p50_ms.zip(result.latency_p95_ms)?;
    Some(format!("{}, {}", format::latency(half), format::latency(most)))
}

fn kinds(result: &EvalResult, shown: Option<Shown>, path: &str) -> Vec<Kind> {
    let counts = &result.counts;
    let overruled = Some((Some(Shown::Overruled), "Overruled", result.overruled));
    let kinds = [
        (None, "All", counts.cases),
        (Some(Shown::Wrong), "Incorrect", counts.scored - counts.passed),
        (Some(Shown::Unscored), "Unscored", counts.unscored),
        (Some(Shown::Error), "Errors", counts.errors),
    ];
    let kind = |(each, label, count)| Kind {
        label,
        count: format::count(count),
        href: Shown::address(each, path),
        is_current: each == shown,
    };
    // The last is rare, and then worth a look.
    let overruled = overruled.filter(|(_, _, count)| *count > 0);
    kinds.into_iter().chain(overruled).map(kind).collect()
}

fn line(case: &Case, shown: Option<Shown>, pass: PassMark, withheld: Withheld) -> Line {
    // What was extracted may be the target itself.
    let extracted = case.answer.as_deref().filter(|_| withheld == Withheld::Nothing);
    let answer = extracted.unwrap_or_else(|| case.scored_response());
    let sample = &case.sample;
    Line {
        href: Shown::address(shown, &links::case(&case.id)),
        sample: if case.epoch > 1 { format!("{} ({})", sample.key, case.epoch) } else { sample.key.clone() },
        input: passage::in_one_line(&sample.input, LINE),
        answer: match case.removed_at {
            Some(_) => "removed".to_owned(),
            None => passage::one_line(answer, LINE),
        },
        is_removed: case.removed_at.is_some(),
        is_overruled: case.overrule.is_some(),
        target: (withheld == Withheld::Nothing).then(|| passage::one_line(&sample.target.join(" · "), LINE)),
        verdict: Verdict::of(case, pass),
        latency: format::known(case.latency_ms, format::milliseconds),
        cost: format::known(case.cost_usd, format::money),
    }
}
