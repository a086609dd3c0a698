//! What was said between us and a grader, read back from its stored form for people.
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
    let of = transcript.votes.len();
    transcript.votes.into_iter().zip(1..).map(|(vote, number)| ballot(vote, number, of)).collect()
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
        assert_eq!(read("garbage").first().unwrap().passages.first().unwrap().text, "garbage");
    }
}
