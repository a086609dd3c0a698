//! `choice`: the letter of the right option, after `ANSWER:` or where else a response gives it.
//!
//! It reads the letter and never the option's text alone from the response. Options may be shown in another order
//! for each sample; letters are turned back before anything is compared.

use std::borrow::Cow;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::answer::AnswerReader;
use super::criteria::{Criteria, invalid};
use super::normal::{Case, spell, squeeze};
use super::words::Words;
use super::{Outcome, Rule, Scored, check_targets};
use crate::domain::samples::Sample;
use crate::domain::template::{Placeholder, letter, placeholders};
use crate::error::{Error, Result};

/// As many as there are letters.
const MAX_CHOICES: usize = 26;
/// Name of the parameter for further words that mean answer.
const ANSWER_WORDS: &str = "answer_words";
/// Most of them.
const MAX_ANSWER_WORDS: usize = 20;
/// Longest of them, in characters.
const MAX_ANSWER_WORD: usize = 40;

/// How many options are right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// One letter, that of any target.
    One,
    /// The letters of all targets and no other.
    All,
}

/// The scorer.
#[derive(Debug)]
pub(super) struct Choice {
    wanted: Wanted,
    shuffle: Option<u64>,
    /// Further words that mean answer, in order.
    answer_words: Vec<String>,
    reader: AnswerReader,
}

impl Choice {
    pub(super) fn parse(criteria: &Criteria<'_>) -> Result<Self> {
        criteria.only(&[ANSWER_WORDS, "multiple", "shuffle"])?;
        let wanted = if criteria.flag("multiple", false)? { Wanted::All } else { Wanted::One };
        Self::new(wanted, criteria.integer("shuffle")?, answer_words(criteria)?)
    }

    fn new(wanted: Wanted, shuffle: Option<u64>, answer_words: Vec<String>) -> Result<Self> {
        let reader =
            AnswerReader::new(&answer_words).map_err(|_| invalid(ANSWER_WORDS, "are too long together"))?;
        Ok(Self { wanted, shuffle, answer_words, reader })
    }

    /// For each place shown, the option that stands there.
    ///
    /// Options are sorted by a hash of seed, sample and place: even odds for every order, and the same order
    /// for ever, whatever a random number library does in its next version.
    fn order(&self, sample: &Sample) -> Vec<usize> {
        let mut order: Vec<usize> = (0..sample.choices.len()).collect();
        if let Some(seed) = self.shuffle {
            order.sort_by_cached_key(|index| {
                let place = letter(*index).map(String::from).unwrap_or_default();
                let hash = Sha256::new().chain_update(seed.to_be_bytes()).chain_update(&sample.key);
                hash.chain_update([0]).chain_update(place).finalize()
            });
        }
        order
    }

    fn is_right(&self, sample: &Sample, chosen: &[usize]) -> bool {
        let targets: Vec<usize> =
            sample.target.iter().filter_map(|target| position(sample, target).ok()).collect();
        match (self.wanted, chosen) {
            (Wanted::One, [only]) => targets.contains(only),
            (Wanted::One, _) => false,
            (Wanted::All, _) => {
                targets.iter().all(|target| chosen.contains(target))
                    && chosen.iter().all(|index| targets.contains(index))
            }
        }
    }

    fn instruction(&self) -> &'static str {
        match self.wanted {
            Wanted::One => {
                "End your response with a line of the form 'ANSWER: <letter>', where <letter> is the letter \
                 of the right option."
            }
            Wanted::All => {
                "More than one option may be right. End your response with a line of the form \
                 'ANSWER: <letters>', where <letters> are the letters of all right options, such as A, C."
            }
        }
    }
}

impl Rule for Choice {
    fn name(&self) -> &'static str {
        "choice"
    }

    fn canonical(&self) -> Value {
        json!({ANSWER_WORDS: self.answer_words, "multiple": self.wanted == Wanted::All, "shuffle": self.shuffle})
    }

    fn check_sample(&self, sample: &Sample, field: &str) -> Result<()> {
        if !(2..=MAX_CHOICES).contains(&sample.choices.len()) {
            let message = format!("choices must be a list of 2 to {MAX_CHOICES} options");
            return Err(Error::invalid(format!("{field}.choices"), message));
        }
        check_targets(sample, field, |target| position(sample, target).err())
    }

    fn shuffle(&self) -> Option<u64> {
        self.shuffle
    }

    fn shown_choices(&self, sample: &Sample) -> Vec<String> {
        self.order(sample).into_iter().filter_map(|index| sample.choices.get(index).cloned()).collect()
    }

    /// The input is placed too where the prompt leaves it out: it would otherwise come last, behind the
    /// options and the instruction.
    fn complete_prompt<'p>(&self, prompt: &'p str) -> Cow<'p, str> {
        let has = |wanted| placeholders(prompt).any(|placeholder| placeholder == wanted);
        let choices = (!has(Placeholder::Choices)).then_some("{{choices}}");
        let instruction = (!prompt.to_lowercase().contains("answer:")).then(|| self.instruction());
        if choices.is_none() && instruction.is_none() {
            return Cow::Borrowed(prompt);
        }
        let given = Some(prompt.trim_end()).filter(|prompt| !prompt.is_empty());
        let input = (!has(Placeholder::Input)).then_some("{{input}}");
        let parts = [given, input, choices, instruction];
        Cow::Owned(parts.into_iter().flatten().collect::<Vec<_>>().join("\n\n"))
    }

    fn score(&self, sample: &Sample, response: &str) -> Scored {
        let order = self.order(sample);
        let place = |wanted: &char| (0..order.len()).position(|place| letter(place) == Some(*wanted));
        let is_option = |wanted: char, text: &str| {
            let option = place(&wanted).and_then(|place| sample.choices.get(*order.get(place)?));
            let words = |text: &str| Words::of(text, Case::Ignored);
            option.is_some_and(|option| words(option).are_those_of(&words(text)))
        };
        let Some(shown) = self.reader.read(response, self.wanted, is_option) else {
            return Ok(Outcome::unreadable(None));
        };
        let chosen = shown.iter().map(|c| order.get(place(c)?).copied()).collect::<Option<Vec<usize>>>();
        let countable = chosen.filter(|chosen| self.wanted == Wanted::All || chosen.len() == 1);
        let Some(mut chosen) = countable else {
            return Ok(Outcome::unreadable(Some(&listed(&shown))));
        };
        chosen.sort_unstable();
        let original: Vec<char> = chosen.iter().filter_map(|index| letter(*index)).collect();
        let details = json!({"original_letters": listed(&original), "shown_letters": listed(&shown)});
        Ok(Outcome::verdict(self.is_right(sample, &chosen), Some(&listed(&original))).with_details(details))
    }
}

/// The further words for answer, in order and each once.
fn answer_words(criteria: &Criteria<'_>) -> Result<Vec<String>> {
    let Some(given) = criteria.json(ANSWER_WORDS) else { return Ok(Vec::new()) };
    let example = "[\"Svar\", \"Vastaus\"]";
    let refused = || {
        let most = format!("at most {MAX_ANSWER_WORDS} words of 1 to {MAX_ANSWER_WORD} characters");
        invalid(ANSWER_WORDS, format!("must be a list of {most}, such as {example}"))
    };
    let listed = given.as_array().filter(|listed| listed.len() <= MAX_ANSWER_WORDS).ok_or_else(refused)?;
    let mut words = Vec::new();
    for word in listed {
        let word = word.as_str().map(|word| squeeze(&spell(word, Case::Kept))).ok_or_else(refused)?;
        let word = word.trim_end_matches(':').trim();
        if !word.contains(char::is_alphanumeric) || word.chars().count() > MAX_ANSWER_WORD {
            return Err(refused());
        }
        words.push(word.to_lowercase());
    }
    words.sort_unstable();
    words.dedup();
    Ok(words)
}

fn listed(letters: &[char]) -> String {
    letters.iter().map(char::to_string).collect::<Vec<_>>().join(", ")
}

/// The option that a target means: its letter, or its exact text; what is wrong when it is neither, or both
/// of different options.
fn position(sample: &Sample, target: &str) -> std::result::Result<usize, String> {
    let target = target.trim();
    let lettered =
        |index: &usize| letter(*index).is_some_and(|c| target.eq_ignore_ascii_case(&c.to_string()));
    let named = |(index, choice): (usize, &String)| (choice.trim() == target).then_some(index);
    let mut meant: Vec<usize> = (0..sample.choices.len()).filter(lettered).collect();
    meant.extend(sample.choices.iter().enumerate().filter_map(named));
    meant.dedup();
    let last = sample.choices.len().checked_sub(1).and_then(letter).unwrap_or('A');
    match meant.as_slice() {
        [only] => Ok(*only),
        [] => Err(format!("must be a letter from A to {last} or the exact text of an option")),
        _ => Err("means more than one option: letters and texts must not collide".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;
    use crate::domain::samples::Input;

    fn sample(key: usize, choices: &[&str], target: &[&str]) -> Sample {
        Sample {
            key: key.to_string(),
            input: Input::Text("?".into()),
            target: target.iter().map(|text| (*text).into()).collect(),
            choices: choices.iter().map(|text| (*text).into()).collect(),
            metadata: Map::new(),
            cluster_id: None,
        }
    }

    #[test]
    fn shuffled_options_are_turned_back_before_they_are_compared() {
        let scorer = Choice::new(Wanted::One, Some(7), vec![]).unwrap();
        let mut places = [0; 4];
        for key in 0..400 {
            let sample = sample(key, &["one", "two", "three", "four"], &["B"]);
            let shown = scorer.shown_choices(&sample);
            let place = shown.iter().position(|choice| choice == "two").unwrap();
            places[place] += 1;
            let letter = letter(place).unwrap();
            let outcome = scorer.score(&sample, &format!("ANSWER: {letter}")).unwrap();
            assert_eq!((outcome.score, outcome.answer.as_deref()), (1.0, Some("B")));
            assert_eq!(outcome.details["shown_letters"], letter.to_string());
            assert_eq!(outcome.details["original_letters"], "B");
        }
        assert!(places.iter().all(|count| (60..140).contains(count)), "{places:?}");
    }

    #[test]
    fn an_order_depends_on_the_seed_and_the_sample_and_never_changes() {
        let orders = |seed, key| {
            let scorer = Choice::new(Wanted::One, seed, vec![]).unwrap();
            scorer.shown_choices(&sample(key, &["a1", "b2", "c3", "d4", "e5"], &["A"])).concat()
        };
        assert_eq!(orders(None, 1), "a1b2c3d4e5");
        assert_eq!(orders(Some(1), 1), orders(Some(1), 1));
        assert_ne!(orders(Some(1), 1), orders(Some(2), 1));
        assert_ne!(orders(Some(1), 1), orders(Some(1), 2));
    }

    #[test]
    fn the_prompt_gets_what_it_lacks() {
        let scorer = Choice::new(Wanted::One, None, vec![]).unwrap();
        let instruction = scorer.instruction();
        for (prompt, expected) in [
            ("", format!("{{{{input}}}}\n\n{{{{choices}}}}\n\n{instruction}")),
            ("Pick.\n", format!("Pick.\n\n{{{{input}}}}\n\n{{{{choices}}}}\n\n{instruction}")),
            ("{{input}}\n{{choices}}", format!("{{{{input}}}}\n{{{{choices}}}}\n\n{instruction}")),
            ("{{input}} End with answer: X", "{{input}} End with answer: X\n\n{{choices}}".into()),
            ("{{choices}} ANSWER: ", "{{choices}} ANSWER: ".into()),
        ] {
            assert_eq!(scorer.complete_prompt(prompt), expected, "{prompt}");
        }
        for wanted in [Wanted::One, Wanted::All] {
            let scorer = Choice::new(wanted, None, vec![]).unwrap();
            let echo = scorer.reader.read(scorer.instruction(), wanted, |_, _| true);
            assert!(echo.is_none(), "an echo is no answer: {echo:?}");
        }
    }

    #[test]
    fn a_target_is_one_option() {
        let choices = ["Paris", "Berlin", "B", "Berlin "];
        for (target, right) in
            [("A", true), ("a", true), ("Paris", true), ("paris", false), ("E", false), ("AB", false)]
        {
            assert_eq!(position(&sample(0, &choices, &[]), target).is_ok(), right, "{target}");
        }
        for ambiguous in ["B", "Berlin"] {
            assert!(position(&sample(0, &choices, &[]), ambiguous).is_err(), "{ambiguous}");
        }
        assert_eq!(position(&sample(0, &["A", "B"], &[]), "B"), Ok(1));
    }
}
