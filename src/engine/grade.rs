//! Grading with a model: asks the grader, reads its verdicts, and answers the score with the whole transcript.
//!
//! A grader that fails leaves the case unscored: never a zero, never a pass. What is asked and what counts
//! as a verdict is the scorer's.

use serde::Serialize;
use serde_json::json;

use super::cells::{Callable, Cell};
use super::judge::{Grading, Judgement, Submission, Unscored};
use super::provider::{Call, Failure, KEY_UNREADABLE, Reply};
use super::repeat::Repeats;
use super::scorer::{Graded, Outcome, Verdict, panel};
use crate::domain::cases::Tokens;
use crate::domain::id;
use crate::domain::samples::{Input, Message, Sample};
use crate::domain::template;

/// The reason of a case that could not be graded.
const GRADER_FAILED: &str = "grader_failed";

/// One vote: what was asked and answered until there was a verdict.
#[derive(Serialize, Default)]
struct Vote {
    exchanges: Vec<Exchange>,
    score: Option<f64>,
    reasoning: Option<String>,
    problem: Option<String>,
}

#[derive(Serialize)]
struct Exchange {
    messages: Vec<Message>,
    reply: String,
    input_tokens: Option<i64>,
    output_tokens: Option<i64>,
    cost_usd: Option<f64>,
}

/// Asks the cell's grader for a score of the submission, which is not blank.
pub(super) async fn grade(submission: Submission<'_>, graded: &Graded, repeats: &mut Repeats) -> Judgement {
    let Submission { cell, sample, .. } = submission;
    let Some(grader) = &cell.grader else {
        let message = "no grader: name one in eval_criteria.grader or set EVALBOARD_GRADER_MODEL";
        return Err(Unscored::new(GRADER_FAILED, message)).into();
    };
    if let Err(failure) = &grader.endpoint
        && failure.code == KEY_UNREADABLE
    {
        return Err(Unscored::new(KEY_UNREADABLE, &*failure.message)).into();
    }
    let task = task(cell, sample);
    let asking = Asking { submission, grader, graded, task: &task };
    let mut votes = Vec::new();
    let mut verdicts = Vec::new();
    for _ in 0..graded.votes {
        let (vote, verdict) = poll(&asking, repeats).await;
        votes.push(vote);
        verdicts.push(verdict);
    }
    conclude(&asking, votes, &verdicts)
}

/// What the model was asked, as the grader reads it.
pub(super) fn task(cell: &Cell, sample: &Sample) -> String {
    let messages = template::render(&cell.prompt, sample, &cell.scorer.shown_choices(sample));
    match (&sample.input, messages.as_slice()) {
        (Input::Text(_), [only]) => only.content.clone(),
        _ => messages
            .iter()
            .map(|message| format!("{:?}: {}", message.role, message.content))
            .collect::<Vec<_>>()
            .join("\n\n"),
    }
}

/// What every vote on a case is asked with.
struct Asking<'a> {
    submission: Submission<'a>,
    grader: &'a Callable,
    graded: &'a Graded,
    task: &'a str,
}

/// One vote: a question, and one repeat that states the problem when the reply holds no verdict.
async fn poll(asking: &Asking<'_>, repeats: &mut Repeats) -> (Vote, Option<Verdict>) {
    let Asking { submission, grader, graded, task } = *asking;
    let mut vote = Vote::default();
    let mut question = graded.question(task, submission.response, submission.sample, &id::fresh());
    for _ in 0..2 {
        let reply = match ask(asking, &question, repeats).await {
            Ok(reply) => reply,
            Err(failure) => {
                vote.problem = Some(format!("{}: {}", failure.code, failure.message));
                break;
            }
        };
        // A draft of a verdict in the grader's own thinking is none.
        let said = grader.split(&reply.text).answer.unwrap_or_default();
        let verdict = graded.verdict(said);
        let next = verdict.as_ref().err().map(|problem| graded.retry_question(&question, said, problem));
        vote.exchanges.push(exchange(grader, question, &reply));
        match (verdict, next) {
            (Ok(verdict), _) => {
                vote.score = Some(verdict.score);
                vote.reasoning = Some(verdict.reasoning.clone());
                vote.problem = None;
                return (vote, Some(verdict));
            }
            (Err(problem), Some(next)) => {
                vote.problem = Some(problem);
                question = next;
            }
            (Err(problem), None) => {
                vote.problem = Some(problem);
                break;
            }
        }
    }
    (vote, None)
}

fn exchange(grader: &Callable, messages: Vec<Message>, reply: &Reply) -> Exchange {
    let usage = &reply.usage;
    let tokens = Tokens {
        input: usage.input_tokens,
        cached_input: usage.cached_input_tokens,
        cache_write: usage.cache_write_tokens,
        output: usage.output_tokens,
        reasoning: usage.reasoning_tokens,
    };
    Exchange {
        messages,
        reply: reply.text.clone(),
        input_tokens: tokens.all_input(),
        output_tokens: tokens.all_output(),
        cost_usd: grader.cost(&tokens),
    }
}

/// Asks the grader, again when its endpoint may recover, and without a schema when it takes none.
async fn ask(asking: &Asking<'_>, question: &[Message], repeats: &mut Repeats) -> Result<Reply, Failure> {
    let Asking { submission: Submission { machine, .. }, grader, graded, .. } = *asking;
    let endpoint = grader.endpoint.as_ref().map_err(Clone::clone)?;
    let mut call = Call {
        messages: grader.parameters.complete(question.to_vec()),
        parameters: grader.parameters.clone(),
        timeout: grader.timeout,
        schema: machine.takes_schema(endpoint).then(|| graded.response_schema()),
    };
    let gate = machine.gate(&endpoint.limiter_key, grader.max_concurrency);
    repeats.next_question();
    loop {
        // The model's own permit was given back before, so that the two never wait for each other.
        let permit = repeats.enter(asking.submission, ("the grader", &gate)).await?;
        let loan =
            machine.borrow(grader, &call.messages).await.map_err(|cause| Failure::unrecorded(&cause))?;
        let loan = loan.map_err(|refusal| Failure::not_lent(&refusal))?;
        let answer = machine.tools.providers.call(endpoint, &call).await;
        machine.settle(loan, &answer).await;
        permit.report(&answer);
        let failure = match answer {
            Ok(reply) => return Ok(reply),
            Err(failure) => failure,
        };
        if failure.status == Some(400) && call.schema.take().is_some() {
            machine.remember_no_schema(endpoint);
            continue;
        }
        if !repeats.wait(machine, &gate, failure.retry).await {
            return Err(failure);
        }
    }
}

/// What the votes come to.
fn conclude(asking: &Asking<'_>, votes: Vec<Vote>, verdicts: &[Option<Verdict>]) -> Judgement {
    let Asking { submission, grader, graded, .. } = *asking;
    let exchanges = votes.iter().flat_map(|vote| &vote.exchanges);
    let cost_usd = exchanges.map(|exchange| exchange.cost_usd).sum::<Option<f64>>();
    let opinion = panel(verdicts);
    let agreement = opinion.as_ref().ok().map(|panel| panel.agreement);
    let details = json!({
        "grader": grader.name,
        "max_score": graded.max_score(),
        "votes": votes.iter().map(|vote| vote.score).collect::<Vec<_>>(),
        "agreement": agreement,
        "reasoning": votes.iter().find_map(|vote| vote.reasoning.clone()),
    });
    let finding = match opinion {
        Ok(panel) => Ok(Outcome::graded(panel.score, details)),
        Err(why) => {
            let problem = votes.iter().find_map(|vote| vote.problem.clone());
            Err(Unscored::new(GRADER_FAILED, problem.unwrap_or(why)))
        }
    };
    let transcript = json!({
        "model": grader.name,
        "votes": votes,
        "cost_usd": cost_usd,
        "agreement": agreement,
    });
    let is_own = grader.key == submission.cell.model.key;
    Judgement { finding, grading: Some(Grading { transcript, cost_usd, is_own }) }
}
