//! The letters of the option that a response chooses.
//!
//! It does not know which letters were offered, so that a final answer which was not offered stays the final
//! answer, and an earlier one does not count in its place.

use std::sync::LazyLock;

use regex::{Regex, RegexBuilder};

use super::answer_words::{ANSWER_WORDS, CHOOSING, LINKS, is_connective, is_filler, is_link, is_option_word};
use super::boundary::{is_in_word, is_unspaced};
use super::choice::Wanted;
use super::letters::{Word, bare_letters, before_prose, letters, unique, words};
use super::markup::without_latex;
use super::normal::{Case, spell};

/// How far after the word letters are looked for, in characters.
const REACH: usize = 200;
/// Longest response that may be an answer without an answer word, in bytes.
const MAX_BARE: usize = 1_000;
/// Most words between the word answer and its letter: `the answer would therefore be option B`.
const MAX_LEAD: usize = 6;

/// What an answer looks like, in each way that is read.
#[derive(Debug, Clone)]
pub(super) struct AnswerReader {
    /// The word and its colon, in languages other than English.
    heads: Regex,
    /// The word where a sentence goes on behind it.
    phrases: Regex,
}

/// Of the usual words, compiled once.
static USUAL: LazyLock<Option<AnswerReader>> = LazyLock::new(|| AnswerReader::compile(&[]).ok());
static ENGLISH: LazyLock<Option<Regex>> = LazyLock::new(|| head(&["answer"]).ok());

impl AnswerReader {
    /// Reads the usual words and `further` ones.
    ///
    /// # Errors
    /// When no pattern can be made of them: there are too many.
    pub(super) fn new(further: &[String]) -> Result<Self, regex::Error> {
        match USUAL.as_ref().filter(|_| further.is_empty()) {
            Some(usual) => Ok(usual.clone()),
            None => Self::compile(further),
        }
    }

    fn compile(further: &[String]) -> Result<Self, regex::Error> {
        let further = further.iter().map(String::as_str);
        let mut words: Vec<&str> = ANSWER_WORDS.iter().copied().chain(further).collect();
        // Of two words with the same beginning the longer one is tried first.
        words.sort_by_key(|word| std::cmp::Reverse(word.len()));
        let heads = head(&words)?;
        words.extend(CHOOSING.iter().copied().chain(["answer"]));
        let pattern =
            format!(r"(?:{}|(?:correct|right|best)\s+(?:option|choice|letter))s?", alternatives(&words));
        Ok(Self { heads, phrases: compiled(&pattern)? })
    }

    /// The upper-case letters, each once, that the response answers with.
    ///
    /// Of these the first that names a letter: the last `ANSWER:`; the last such word of another language; the last
    /// `\boxed{B}`; the last `the answer is B`; a response that is nothing but letters. An `ANSWER:` that names no
    /// letter is passed over. `is_option` is asked whether a text is that of the option with the letter, for
    /// `B) Berlin`.
    pub(super) fn read(
        &self,
        response: &str,
        wanted: Wanted,
        is_option: impl Fn(char, &str) -> bool,
    ) -> Option<Vec<char>> {
        let text = spell(response, Case::Kept);
        let english = ENGLISH.as_ref().and_then(|heads| last_line(heads, &text, wanted));
        english
            .or_else(|| last_line(&self.heads, &text, wanted))
            .or_else(|| boxed(&text, wanted))
            .or_else(|| self.last_phrase(&text))
            .or_else(|| whole(&text, wanted, is_option))
    }

    /// The letters of the last `the answer is B`.
    fn last_phrase(&self, text: &str) -> Option<Vec<char>> {
        let places: Vec<(usize, usize)> =
            self.phrases.find_iter(text).map(|found| (found.start(), found.end())).collect();
        places.into_iter().rev().find_map(|(start, end)| {
            let (before, after) = (text.get(..start)?, text.get(end..)?);
            // To an English answer belongs a question; in Polish it is a verb.
            let is_to = text.get(start..end)?.is_ascii() && after.starts_with(" to ");
            if is_to || is_inside_word(before, text.get(start..)?) {
                return None;
            }
            let tail = without_latex(within_reach(after));
            phrase(tail.lines().next()?, text.get(start..end)?.ends_with(['选', '選']))
        })
    }
}

/// The pattern of an answer word with its colon.
fn head(words: &[&str]) -> Result<Regex, regex::Error> {
    let (marks, links) = (r#"[ \t*_`"')\]}]*"#, alternatives(LINKS));
    compiled(&format!(
        r"(?:{})(?:s|\(s\))?{marks}(?:(?:{links}|choice|option|letter|选项|選項){marks})?:",
        alternatives(words)
    ))
}

fn alternatives(words: &[&str]) -> String {
    words.iter().map(|word| regex::escape(word)).collect::<Vec<_>>().join("|")
}

fn compiled(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).case_insensitive(true).size_limit(1 << 20).build()
}

/// The letters of the last line that a head leads to, lines without letters passed over.
fn last_line(heads: &Regex, text: &str, wanted: Wanted) -> Option<Vec<char>> {
    let places: Vec<(usize, usize)> =
        heads.find_iter(text).map(|found| (found.start(), found.end())).collect();
    places.into_iter().rev().find_map(|(start, end)| {
        let (before, after) = (text.get(..start)?, text.get(end..)?);
        if is_inside_word(before, text.get(start..)?) {
            return None;
        }
        let tail = without_latex(within_reach(after));
        let tail = tail.trim_start_matches(|c: char| c.is_whitespace() || "*_`\"'$()[]{}".contains(c));
        letters(tail.lines().next()?, wanted)
    })
}

/// Whether the word at `rest` goes on from a word in `before`. In scripts without spaces there is no telling.
fn is_inside_word(before: &str, rest: &str) -> bool {
    let first = rest.chars().next();
    before.ends_with(is_in_word)
        && !before.ends_with(is_unspaced)
        && !first.is_some_and(|c| is_unspaced(c) || matches!(c, '\u{ac00}'..='\u{d7ff}'))
}

/// The first characters of `text`. White space before the answer is not counted.
fn within_reach(text: &str) -> &str {
    let lead = text.len() - text.trim_start().len();
    let end = text.get(lead..).and_then(|rest| rest.char_indices().nth(REACH)).map(|(end, _)| lead + end);
    text.get(..end.unwrap_or(text.len())).unwrap_or_default()
}

/// The letters of the last box, when it has nothing but letters.
fn boxed(text: &str, wanted: Wanted) -> Option<Vec<char>> {
    let start = [r"\boxed{", r"\fbox{"].iter().filter_map(|command| text.rfind(command)).max()?;
    let (_, inside) = within_reach(text.get(start..)?).split_once('{')?;
    let mut depth = 1_u32;
    let end = inside.char_indices().find_map(|(at, c)| {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        (depth == 0).then_some(at)
    });
    bare_letters(inside.get(..end?)?, wanted)
}

/// The letters of what comes behind the word answer: ` is **B**`, ` would be option B because`.
///
/// Prose begins like that as well: `is a matter of taste`. A letter counts when a mark or nothing follows, or a
/// word that begins a reason. `is_linked` is whether the word before is a verb itself.
fn phrase(line: &str, is_linked: bool) -> Option<Vec<char>> {
    const STOPS: [char; 5] = ['.', ';', '?', '!', ','];
    let words = words(line);
    if line.chars().take_while(|c| !is_in_word(*c)).any(|c| STOPS.contains(&c)) {
        return None;
    }
    let leads_on = |word: &&Word<'_>| is_filler(word.text) && !word.gap.contains(STOPS);
    let lead = words.iter().take(MAX_LEAD).take_while(leads_on).count();
    let (lead, rest) = words.split_at_checked(lead)?;
    // Something with a letter before it is no link: `answer b is`.
    let is_linked =
        is_linked || lead.iter().any(|word| is_link(word.text)) || line.trim_start().starts_with([':', '-']);
    let first = rest.first().filter(|_| is_linked)?;
    let (letter, next) = (first.letter()?, rest.get(1).map(|next| next.text));
    let is_option = lead.last().is_some_and(|word| is_option_word(word.text));
    let ends = match next {
        None => !first.gap.starts_with(['+', '#']),
        Some(next) if first.gap.is_empty() => !next.is_ascii(),
        Some(next) if first.runs_on() => is_option || letter.is_ascii_uppercase() && is_connective(next),
        Some(_) if first.gap.starts_with(char::is_whitespace) => letter.is_ascii_uppercase(),
        Some(_) => first.gap.contains([' ', ')', ',', '/', ':']),
    };
    let found = if first.is_part(next) || !ends { Vec::new() } else { before_prose(rest) };
    let found = if found.is_empty() && ends && !first.is_part(next) { vec![letter] } else { found };
    unique(found)
}

/// The letters of a response that is nothing else, or one option with its letter.
fn whole(text: &str, wanted: Wanted, is_option: impl Fn(char, &str) -> bool) -> Option<Vec<char>> {
    if text.len() > MAX_BARE {
        return None;
    }
    bare_letters(text, wanted).or_else(|| {
        let plain = without_latex(text.trim());
        let first = words(&plain).into_iter().next()?;
        let letter = first.letter()?.to_ascii_uppercase();
        let (_, option) = plain.split_once(first.text)?;
        is_option(letter, option).then(|| vec![letter])
    })
}

#[cfg(test)]
mod tests;
