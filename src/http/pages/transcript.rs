//! What was said between us and a grader, read back from its stored form for people: all votes of one, or those of
//! each graded part of a `multi`.
//!
//! It reads leniently: a field that is missing is left out, and what cannot be read at all is shown as text.

use serde::Deserialize;

use super::format;
use super::passage::Passage;
use crate::domain::samples::Message;

/// One vote of a grader.
#[derive(Debug, PartialEq, Eq)]
pub struct Ballot {
    /// `Vote 1 of 3: 75 points`.
    pub heading: String,
    /// Every question and reply until there was a verdict, and why there was none.
    pub passages: Vec<Passage>,
}

#[derive(Deserialize)]
struct Transcript {
    #[serde(default)]
    votes: Vec<Vote>,
    #[serde(default)]
    parts: Vec<Part>,
}

#[derive(Deserialize)]
struct Part {
    part: u32,
    #[serde(rename = "type")]
    scorer: String,
    transcript: Box<Transcript>,
}

#[derive(Deserialize)]
struct Vote {
    #[serde(default)]
    exchanges: Vec<Exchange>,
    score: Option<f64>,
    problem: Option<String>,
}

#[derive(Deserialize)]
struct Exchange {
    #[serde(default)]
    messages: Vec<Message>,
    #[serde(default)]
    reply: String,
}

/// The votes of a stored transcript.
#[must_use]
pub fn read(text: &str) -> Vec<Ballot> {
    let Ok(transcript) = serde_json::from_str::<Transcript>(text) else {
        return vec![Ballot {
            heading: "Grader".to_owned(),
            passages: vec![Passage::new("Transcript", text)],
        }];
    };
    ballots(transcript, "")
}

/// The votes of a transcript and of its parts, each heading behind `whose`.
fn ballots(transcript: Transcript, whose: &str) -> Vec<Ballot> {
    let of = transcript.votes.len();
    let votes = transcript.votes.into_iter().zip(1..).map(|(vote, number)| ballot(vote, number, of));
    let mut ballots: Vec<Ballot> =
        votes.map(|ballot| Ballot { heading: format!("{whose}{}", ballot.heading), ..ballot }).collect();
    for Part { part, scorer, transcript } in transcript.parts {
        ballots.extend(self::ballots(*transcript, &format!("Part {part}, {scorer}. ")));
    }
    ballots
}

fn ballot(vote: Vote, number: usize, of: usize) -> Ballot {
    let came_to = vote
        .score
        .map_or_else(|| "no verdict".to_owned(), |score| format!("{} points", format::points(score, 0)));
    let which = if of > 1 { format!("Vote {number} of {of}") } else { "Grader".to_owned() };
    let mut passages: Vec<Passage> = vote.exchanges.into_iter().flat_map(exchange).collect();
    passages.extend(vote.problem.map(|problem| Passage::new("Problem", problem)));
    Ballot { heading: format!("{which}: {came_to}"), passages }
}

fn exchange(exchange: Exchange) -> Vec<Passage> {
    let mut passages = Passage::conversation(&exchange.messages);
    passages.push(Passage::new("Grader's reply", exchange.reply));
    passages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn votes_are_read_and_garbage_is_shown() {
        let text = r#"{"model":"g","votes":[
            {"exchanges":[{"messages":[{"role":"user","content":"Grade"}],"reply":"{\"score\":1}"}],"score":0.5},
            {"exchanges":[],"score":null,"problem":"no JSON"}]}"#;
        let ballots = read(text);
        let headings: Vec<&str> = ballots.iter().map(|ballot| ballot.heading.as_str()).collect();
        assert_eq!(headings, ["Vote 1 of 2: 50 points", "Vote 2 of 2: no verdict"]);
        assert_eq!(ballots.first().unwrap().passages.len(), 2);
        let parts =
            format!(r#"{{"parts":[{{"part":2,"type":"rubric","transcript":{text}}}],"cost_usd":null}}"#);
        let headings: Vec<String> = read(&parts).into_iter().map(|ballot| ballot.heading).collect();
        assert_eq!(headings[0], "Part 2, rubric. Vote 1 of 2: 50 points");
        assert_eq!(read("garbage").first().unwrap().passages.first().unwrap().text, "garbage");
    }
}
