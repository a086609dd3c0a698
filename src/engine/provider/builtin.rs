//! Baselines that run inside the server: what a board's numbers are compared with, and models for a demo
//! without keys or network.
//!
//! They are given the messages and nothing else, like any model: no targets, no clock, no randomness, so the
//! same prompt and seed give the same answer for ever.
//!
//! They know no tokenizer. What they count as tokens are words, of all messages and of the answer: whatever
//! stands between white space is one. A baseline costs what its owner's prices make of that, and nothing where
//! he set none.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::{Answer, arithmetic, failure::Failure, usage::Usage};
use crate::domain::{
    inference_uri::Builtin,
    samples::{Message, Role},
};

const NO_ANSWER: &str = "I don't know";
const SHORTEST_KEYWORD: usize = 3;

/// What `builtin` answers to `messages`, and the words of both.
pub(super) fn ask(builtin: &Builtin, messages: &[Message]) -> Result<Answer, Failure> {
    let text = answer(builtin, messages)?;
    let read = messages.iter().map(|message| message.content.as_str()).flat_map(str::split_whitespace);
    let usage = Usage::counted(read.count(), text.split_whitespace().count());
    Ok(Answer { text, usage, ..Answer::default() })
}

fn answer(builtin: &Builtin, messages: &[Message]) -> Result<String, Failure> {
    Ok(match builtin {
        Builtin::Random { seed } => random(messages, *seed),
        Builtin::Constant { answer } => answer.clone(),
        Builtin::Echo => last_from_user(messages).to_owned(),
        Builtin::Calculator => calculate(messages).unwrap_or_else(|| NO_ANSWER.to_owned()),
        Builtin::Keyword => keyword(messages),
        Builtin::Flaky { error_rate, seed } => flaky(messages, *error_rate, *seed)?,
    })
}

fn random(messages: &[Message], seed: u64) -> String {
    let draw = draw("random", messages, seed);
    let prompt = whole(messages);
    let choices = Prompt::read(&prompt).choices;
    if let Some(choice) = pick(&choices, draw) {
        return choice.answer();
    }
    let words: Vec<&str> = words(last_from_user(messages)).collect();
    pick(&words, draw).map_or_else(String::new, |word| (*word).to_owned())
}

fn calculate(messages: &[Message]) -> Option<String> {
    arithmetic::solve(last_from_user(messages))
}

/// The choice, or else the sentence, that shares most words with the question; the first of equals.
fn keyword(messages: &[Message]) -> String {
    let whole = whole(messages);
    let prompt = Prompt::read(&whole);
    if !prompt.choices.is_empty() {
        let question = keywords(&prompt.question);
        let best = most(&prompt.choices, |choice| shared(choice.text, &question));
        return best.map_or_else(|| NO_ANSWER.to_owned(), |(choice, _)| choice.answer());
    }
    let (question, sentences) = question_and_rest(last_from_user(messages));
    let question = keywords(question);
    most(&sentences, |sentence| shared(sentence, &question))
        .filter(|(_, shared)| *shared > 0)
        .map_or_else(|| NO_ANSWER.to_owned(), |(sentence, _)| (*sentence).to_owned())
}

/// Fails for that share of prompts, and otherwise does what it can.
fn flaky(messages: &[Message], error_rate: f64, seed: u64) -> Result<String, Failure> {
    const STEPS: u64 = 1_000_000;
    let step = u32::try_from(draw("flaky", messages, seed) % STEPS).unwrap_or_default();
    if f64::from(step) / 1e6 < error_rate {
        return Err(Failure::on_purpose(format!(
            "builtin:flaky failed on purpose (error_rate {error_rate})"
        )));
    }
    Ok(calculate(messages).unwrap_or_else(|| keyword(messages)))
}

/// A number that looks random and depends on the baseline, the seed and every message. A cryptographic hash
/// because its value must not change with a version of a library.
fn draw(baseline: &str, messages: &[Message], seed: u64) -> u64 {
    let mut hash = Sha256::new().chain_update(baseline).chain_update(seed.to_le_bytes());
    for message in messages {
        // The end of each message counts: ("ab", "c") is not ("a", "bc").
        hash = hash.chain_update(&message.content).chain_update([0xff]);
    }
    hash.finalize().first_chunk().copied().map_or(0, u64::from_le_bytes)
}

fn pick<T>(items: &[T], draw: u64) -> Option<&T> {
    let index = draw.checked_rem(u64::try_from(items.len()).ok()?)?;
    items.get(usize::try_from(index).ok()?)
}

/// The first item with the highest value, and that value.
fn most<T>(items: &[T], value: impl Fn(&T) -> usize) -> Option<(&T, usize)> {
    items
        .iter()
        .map(|item| (item, value(item)))
        .reduce(|best, next| if next.1 > best.1 { next } else { best })
}

fn whole(messages: &[Message]) -> String {
    messages.iter().map(|message| message.content.as_str()).collect::<Vec<_>>().join("\n")
}

fn last_from_user(messages: &[Message]) -> &str {
    messages
        .iter()
        .rev()
        .find(|message| message.role == Role::User)
        .map_or("", |message| message.content.as_str())
}

/// A prompt taken apart.
struct Prompt<'a> {
    /// The last list of lettered lines, A, B and so on; empty when there is none of two lines or more.
    choices: Vec<Choice<'a>>,
    /// Everything but lettered lines.
    question: String,
}

struct Choice<'a> {
    letter: char,
    text: &'a str,
}

impl Choice<'_> {
    fn answer(&self) -> String {
        format!("ANSWER: {}", self.letter)
    }
}

impl<'a> Prompt<'a> {
    fn read(prompt: &'a str) -> Self {
        let mut read = Self { choices: Vec::new(), question: String::new() };
        let mut list: Vec<Choice<'a>> = Vec::new();
        for line in prompt.lines() {
            match lettered(line).filter(|choice| choice.letter == 'A' || follows(&list, choice.letter)) {
                Some(choice) if choice.letter == 'A' => read.keep(std::mem::replace(&mut list, vec![choice])),
                Some(choice) => list.push(choice),
                None => read.question.extend([line, "\n"]),
            }
        }
        read.keep(list);
        read
    }

    /// Lists of worked examples come before the one that is asked about.
    fn keep(&mut self, list: Vec<Choice<'a>>) {
        if list.len() > 1 {
            self.choices = list;
        }
    }
}

fn follows(list: &[Choice<'_>], letter: char) -> bool {
    ('A'..='Z').nth(list.len()) == Some(letter)
}

/// `A) text`, `(A) text`, `A. text` or `A: text`.
fn lettered(line: &str) -> Option<Choice<'_>> {
    let line = line.trim();
    let mut rest = line.strip_prefix('(').unwrap_or(line).chars();
    let letter = rest.next().filter(char::is_ascii_uppercase)?;
    rest.next().filter(|c| matches!(c, ')' | '.' | ':'))?;
    let text = rest.as_str();
    text.starts_with(char::is_whitespace).then(|| Choice { letter, text: text.trim() })
}

/// The last sentence that asks, or else the last, and the other sentences.
fn question_and_rest(text: &str) -> (&str, Vec<&str>) {
    let mut sentences = sentences(text);
    let asked = sentences.iter().rposition(|sentence| sentence.ends_with('?'));
    let Some(place) = asked.or_else(|| sentences.len().checked_sub(1)) else {
        return ("", sentences);
    };
    (sentences.remove(place), sentences)
}

/// Sentences end at a line's end, or at a mark that a space follows: 3.14 is one word.
fn sentences(text: &str) -> Vec<&str> {
    text.lines().flat_map(sentences_of).map(str::trim).filter(|sentence| !sentence.is_empty()).collect()
}

fn sentences_of(line: &str) -> Vec<&str> {
    let mut sentences = Vec::new();
    let mut rest = line;
    let pairs = line.as_bytes().windows(2).enumerate();
    let ends = pairs.filter(|(_, pair)| matches!(pair, [b'.' | b'!' | b'?', b' ' | b'\t']));
    for (end, _) in ends {
        let consumed = line.len().saturating_sub(rest.len());
        if let Some((sentence, after)) = rest.split_at_checked(end.saturating_add(1).saturating_sub(consumed))
        {
            sentences.push(sentence);
            rest = after;
        }
    }
    sentences.push(rest);
    sentences
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace()
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()))
        .filter(|word| !word.is_empty())
}

/// The distinct words worth comparing.
fn keywords(text: &str) -> BTreeSet<String> {
    words(text).map(str::to_lowercase).filter(|word| word.chars().count() >= SHORTEST_KEYWORD).collect()
}

fn shared(text: &str, question: &BTreeSet<String>) -> usize {
    keywords(text).intersection(question).count()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::engine::provider::{failure::Retry, support::message};

    fn said(builtin: &Builtin, prompt: &str) -> String {
        answer(builtin, &[message(Role::User, prompt)]).unwrap()
    }

    fn random(seed: u64) -> Builtin {
        Builtin::Random { seed }
    }

    const CHOICES: &str = "Which planet is known as the red planet?\n\n\
        A) Venus\nB) Mars, the red one\nC) Pluto\n\nANSWER: <letter>";

    #[test]
    fn random_picks_every_offered_letter_about_as_often_and_repeats_itself() {
        let mut counts = BTreeMap::<String, u32>::new();
        for seed in 0..3_000 {
            let first = said(&random(seed), CHOICES);
            assert_eq!(first, said(&random(seed), CHOICES));
            *counts.entry(first).or_default() += 1;
        }
        assert_eq!(counts.keys().collect::<Vec<_>>(), ["ANSWER: A", "ANSWER: B", "ANSWER: C"]);
        assert!(counts.values().all(|count| (900..1_100).contains(count)), "{counts:?}");
    }

    #[test]
    fn random_depends_on_the_prompt_and_on_every_message() {
        let answers =
            |seed| (0..50).map(|n| said(&random(seed), &format!("{n}\n{CHOICES}"))).collect::<Vec<_>>();
        assert_eq!(answers(7), answers(7));
        assert_ne!(answers(7), answers(8));
        assert!(answers(7).windows(2).any(|pair| pair[0] != pair[1]));
        let split = |a: &str, b: &str| draw("random", &[message(Role::User, a), message(Role::User, b)], 0);
        assert_ne!(split("ab", "c"), split("a", "bc"));
    }

    #[test]
    fn random_values_never_change_between_releases() {
        // Boards are compared over years: a changed value here is a new baseline under an old name.
        assert_eq!(draw("random", &[message(Role::User, "2 + 2")], 7), 9_101_932_271_847_126_589);
        assert_eq!(said(&random(7), CHOICES), "ANSWER: C");
    }

    #[test]
    fn random_takes_a_word_where_nothing_is_offered_and_nothing_from_nothing() {
        let word = said(&random(1), "Name one: (red), green, 42!");
        assert!(["Name", "one", "red", "green", "42"].contains(&word.as_str()), "{word}");
        assert_eq!(said(&random(1), " ?! "), "");
        assert_eq!(answer(&random(1), &[]).unwrap(), "");
    }

    #[test]
    fn choices_in_the_system_message_are_seen_and_the_last_list_counts() {
        let messages =
            [message(Role::System, "Pick.\n(A) x\n(B) y\n(C) z\n(D) w"), message(Role::User, "go")];
        assert!(answer(&random(1), &messages).unwrap().starts_with("ANSWER: "));
        let two = "A. one\nB. two\nC. three\nQ: And now?\nA: four\nB: five\nno choice\nA) alone";
        let prompt = Prompt::read(two);
        assert_eq!(prompt.choices.iter().map(|choice| choice.text).collect::<Vec<_>>(), ["four", "five"]);
        assert_eq!(prompt.question, "Q: And now?\nno choice\n");
        assert!(Prompt::read("A) x\nC) y\nAB) z\nA)x").choices.is_empty());
    }

    #[test]
    fn constant_echo_and_calculator_do_what_they_say() {
        assert_eq!(said(&Builtin::Constant { answer: "B".into() }, CHOICES), "B");
        let talk = [
            message(Role::System, "s"),
            message(Role::User, "one"),
            message(Role::User, "two"),
            message(Role::Assistant, "a"),
        ];
        assert_eq!(answer(&Builtin::Echo, &talk).unwrap(), "two");
        assert_eq!(answer(&Builtin::Echo, &[]).unwrap(), "");
        assert_eq!(said(&Builtin::Calculator, "What is 17 + 25 * 3?"), "92");
        assert_eq!(said(&Builtin::Calculator, "What is love?"), "I don't know");
    }

    #[test]
    fn every_word_that_is_read_and_said_counts_as_a_token() {
        let talk = [message(Role::System, "Be brief."), message(Role::User, " What is\n17 + 25? ")];
        let counted = |builtin| ask(&builtin, &talk).unwrap().usage;
        assert_eq!(counted(Builtin::Calculator), Usage::counted(7, 1));
        assert_eq!(counted(Builtin::Echo), Usage::counted(7, 5));
        assert_eq!(ask(&random(1), &[]).unwrap().usage, Usage::counted(0, 0));
    }

    #[test]
    fn keyword_takes_what_shares_most_words_with_the_question() {
        assert_eq!(said(&Builtin::Keyword, CHOICES), "ANSWER: B");
        let text =
            "Pi is about 3.14. The Nile is a river in Africa! Mars is red. Which river runs through Africa?";
        assert_eq!(said(&Builtin::Keyword, text), "The Nile is a river in Africa!");
        assert_eq!(
            said(&Builtin::Keyword, "Which river?\nBonn lies on the Rhine, a river."),
            "Bonn lies on the Rhine, a river."
        );
        assert_eq!(said(&Builtin::Keyword, "Why?"), "I don't know");
        assert_eq!(said(&Builtin::Keyword, ""), "I don't know");
        assert_eq!(said(&Builtin::Keyword, "Größe? ä. é"), "I don't know");
    }

    #[test]
    fn flaky_fails_for_its_share_of_prompts_and_always_for_the_same() {
        let flaky = |error_rate| Builtin::Flaky { error_rate, seed: 3 };
        let ask = |rate: f64, n: u32| answer(&flaky(rate), &[message(Role::User, &format!("{n} + 1"))]);
        let failed = (0..2_000).filter(|n| ask(0.1, *n).is_err()).count();
        assert!((150..250).contains(&failed), "{failed}");
        assert!((0..200).all(|n| ask(0.0, n) == Ok((n + 1).to_string())));
        let failure = ask(1.0, 5).unwrap_err();
        assert_eq!((failure.code, failure.retry), ("provider_unavailable", Retry::Never));
        assert_eq!(ask(1.0, 5).unwrap_err(), failure);
        assert_eq!(answer(&flaky(0.0), &[message(Role::User, CHOICES)]).unwrap(), "ANSWER: B");
    }

    #[test]
    fn large_prompts_are_answered_at_once() {
        let started = std::time::Instant::now();
        let prompt = "a. b? A) x\n".repeat(25_000);
        for builtin in [random(1), Builtin::Keyword, Builtin::Flaky { error_rate: 0.5, seed: 1 }] {
            let _ = answer(&builtin, &[message(Role::User, &prompt)]);
        }
        assert!(started.elapsed().as_secs() < 20);
    }
}
