//! Judging: from a response to a score, or to the reason why there is none. A scorer finds out by itself, or a
//! grader or a webhook is asked; a `multi` does so part by part.
//!
//! It stores nothing. What a part needs to be told stays with the part: each question about a response is made
//! for itself alone, so that nothing in one can speak for another.

use serde_json::{Value, json};

use super::cells::Cell;
use super::circuit_breaker::Open;
use super::repeat::Repeats;
use super::scorer::{Multi, Outcome, Scorer, Way};
use super::{Machine, grade, webhook};
use crate::domain::cases::{CaseState, Record};
use crate::domain::samples::Sample;

/// The reason of a case whose scorer gave no score.
pub(super) const SCORING_FAILED: &str = "scoring_failed";

/// A response that is to be judged.
#[derive(Clone, Copy)]
pub(super) struct Submission<'a> {
    pub(super) machine: &'a Machine,
    pub(super) cell: &'a Cell,
    pub(super) sample: &'a Sample,
    pub(super) response: &'a str,
}

/// What came of it.
pub(super) struct Judgement {
    pub(super) finding: Result<Outcome, Unscored>,
    /// What a grader said; none when no grader was asked.
    pub(super) grading: Option<Grading>,
}

/// Why there is no score: never a zero, never a pass.
pub(super) struct Unscored {
    pub(super) reason: &'static str,
    pub(super) message: String,
    /// What is known all the same: a JSON object.
    pub(super) details: Value,
}

impl Unscored {
    pub(super) fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), details: json!({}) }
    }
}

/// What was said between us and a grader, and what it cost.
pub(super) struct Grading {
    pub(super) transcript: Value,
    /// US dollars; none when unknown.
    pub(super) cost_usd: Option<f64>,
    /// Whether the model graded itself.
    pub(super) is_own: bool,
}

impl From<Result<Outcome, Unscored>> for Judgement {
    fn from(finding: Result<Outcome, Unscored>) -> Self {
        Self { finding, grading: None }
    }
}

impl Judgement {
    /// Writes itself into the record of its case.
    pub(super) fn write(self, record: &mut Record) {
        match self.finding {
            Ok(outcome) => {
                record.state = CaseState::Scored;
                record.score = Some(outcome.score);
                record.reason = outcome.reason.map(Into::into);
                record.answer = outcome.answer;
                record.score_details = outcome.details.to_string();
            }
            Err(unscored) => {
                record.state = CaseState::Unscored;
                record.reason = Some(unscored.reason.into());
                record.error_message = Some(unscored.message);
                record.score_details = unscored.details.to_string();
            }
        }
        if let Some(grading) = self.grading {
            record.transcript = Some(grading.transcript.to_string());
            record.grader_cost_usd = grading.cost_usd;
            record.is_self_graded = grading.is_own;
        }
    }
}

/// Why responses of a cell cannot be judged now: its grader or its webhook takes no calls, and none is due to try.
/// Its cases are better not asked before: their answers would have to be held, and in the end go unscored.
pub(super) fn hindrance(machine: &Machine, cell: &Cell) -> Option<Open> {
    let grader = cell.grader.as_ref().and_then(|grader| grader.endpoint.as_ref().ok());
    let hook = cell.hook.as_ref().and_then(|hook| hook.as_ref().ok());
    let asked = [
        grader.map(|grader| ("the grader", grader.limiter_key.clone())),
        hook.map(|hook| ("the webhook", hook.limiter_key())),
    ];
    asked
        .into_iter()
        .flatten()
        .find_map(|(who, key)| Some(machine.gates.get(&key)?.wait()?.attributed_to(who)))
}

/// Judges a response with its cell's scorer.
pub(super) async fn judge(submission: Submission<'_>) -> Judgement {
    if let Some(why) = &submission.cell.outdated {
        return Err(Unscored::new(SCORING_FAILED, why)).into();
    }
    if submission.response.trim().is_empty() {
        return Ok(Outcome::no_response()).into();
    }
    // All that is asked about one case shares its patience.
    let mut repeats = Repeats::none();
    let scorer = &submission.cell.scorer;
    match scorer.way() {
        Way::Parts(multi) => by_parts(submission, multi, &mut repeats).await,
        _ => by_one(submission, scorer, &mut repeats).await,
    }
}

async fn by_one(submission: Submission<'_>, scorer: &Scorer, repeats: &mut Repeats) -> Judgement {
    match scorer.way() {
        // Large, and rare beside scorers that ask nobody: what every case waits with has no room for them.
        Way::Graded(graded) => Box::pin(grade::grade(submission, graded, repeats)).await,
        Way::Webhook(webhook) => Box::pin(webhook::score(submission, webhook, repeats)).await.into(),
        // A part that has parts is refused when its eval is stored.
        Way::Here | Way::Parts(_) => here(submission, scorer).await.into(),
    }
}

async fn here(submission: Submission<'_>, scorer: &Scorer) -> Result<Outcome, Unscored> {
    let found = if scorer.is_slow() {
        let (scorer, sample) = (scorer.clone(), submission.sample.clone());
        let response = submission.response.to_owned();
        let scoring = tokio::task::spawn_blocking(move || scorer.score(&sample, &response));
        // A scorer that panics on a response would do so again.
        scoring.await.unwrap_or(Err("the scorer failed on this response"))
    } else {
        scorer.score(submission.sample, submission.response)
    };
    found.map_err(|why| Unscored::new(SCORING_FAILED, why))
}

/// Judges part by part, in the order of the list. Behind a part without a score nothing more is asked: it would
/// be paid for, and could not count.
async fn by_parts(submission: Submission<'_>, multi: &Multi, repeats: &mut Repeats) -> Judgement {
    let (mut found, mut details, mut bench) = (Vec::new(), Vec::new(), Bench::default());
    for (part, number) in multi.parts().iter().zip(1..) {
        let scorer = part.scorer();
        let Judgement { finding, grading } = by_one(submission, scorer, repeats).await;
        let cost_usd = grading.as_ref().map(|grading| grading.cost_usd);
        bench.extend(grading.map(|grading| (number, scorer.name(), grading)));
        match finding {
            Ok(outcome) => {
                details.push(priced(part.details(&outcome), cost_usd));
                found.push(outcome);
            }
            Err(Unscored { reason, message, .. }) => {
                let failed =
                    json!({"type": scorer.name(), "score": null, "reason": reason, "problem": message});
                details.push(priced(failed, cost_usd));
                let message = format!("part {number} ({}): {message}", scorer.name());
                let unscored = Unscored { reason, message, details: multi.details(details) };
                return Judgement { finding: Err(unscored), grading: bench.close() };
            }
        }
    }
    Judgement { finding: Ok(multi.combine(&found, details)), grading: bench.close() }
}

/// The details of a part with what its grading cost, where a grader was asked.
fn priced(mut details: Value, cost_usd: Option<Option<f64>>) -> Value {
    if let (Some(cost_usd), Some(members)) = (cost_usd, details.as_object_mut()) {
        members.insert("grader_cost_usd".to_owned(), cost_usd.into());
    }
    details
}

/// The graders of the parts, one after the other: the number of the part, its scorer, and what was said.
#[derive(Default)]
struct Bench(Vec<(usize, &'static str, Grading)>);

impl Bench {
    fn extend(&mut self, heard: Option<(usize, &'static str, Grading)>) {
        self.0.extend(heard);
    }

    /// What they all said, each part with its own transcript; none when none was asked.
    fn close(self) -> Option<Grading> {
        if self.0.is_empty() {
            return None;
        }
        let cost_usd = self.0.iter().map(|(_, _, grading)| grading.cost_usd).sum::<Option<f64>>();
        let is_own = self.0.iter().any(|(_, _, grading)| grading.is_own);
        let parts = self.0.into_iter().map(
            |(number, name, grading)| json!({"part": number, "type": name, "transcript": grading.transcript}),
        );
        let parts: Vec<Value> = parts.collect();
        Some(Grading { transcript: json!({"parts": parts, "cost_usd": cost_usd}), cost_usd, is_own })
    }
}
