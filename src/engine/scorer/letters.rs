//! The letters of options that a line of text names: `B) Berlin`, `A and C`, `option (B)`.
//!
//! It does not know which letters were offered, and does not look for the line.

use super::answer_words::{is_filler, is_joiner, is_option_word};
use super::boundary::{is_in_word, is_unspaced};
use super::choice::Wanted;
use super::markup::without_latex;

/// A word and what stands between it and the next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Word<'t> {
    pub(super) text: &'t str,
    pub(super) gap: &'t str,
}

impl Word<'_> {
    /// The letter that it is.
    pub(super) fn letter(self) -> Option<char> {
        let mut chars = self.text.chars();
        chars.next().filter(|c| c.is_ascii_alphabetic() && chars.next().is_none())
    }

    /// Whether a list goes on after it: `A, ...`.
    fn is_listed(self) -> bool {
        self.gap.contains([',', ';', '/', '&', '+', '、'])
    }

    /// Whether prose comes right after it, as after the `I` of `I think`.
    pub(super) fn runs_on(self) -> bool {
        !self.gap.is_empty() && self.gap.trim().is_empty()
    }

    /// Whether it begins a name rather than being one: the `C` of `C++`, `A` of `A-level`, `U` of `U.S.`. `next` is the
    /// word behind it.
    pub(super) fn is_part(self, next: Option<&str>) -> bool {
        let begins = |wanted: fn(char) -> bool| next.is_some_and(|next| next.starts_with(wanted));
        let is_letter = next.is_some_and(|next| next.chars().count() == 1);
        match self.gap {
            "-" => begins(char::is_lowercase),
            "." | "'" | "_" | "(" | "^" | "=" | "@" => begins(char::is_alphanumeric),
            gap if gap.starts_with(['+', '#']) => !is_letter,
            _ => false,
        }
    }
}

/// The upper-case letters, each once, that `line` names; none when it names none.
pub(super) fn letters(line: &str, wanted: Wanted) -> Option<Vec<char>> {
    let line = without_latex(line);
    let words = without_fillers(words(&line));
    let found = match words.as_slice() {
        [only] if only.letter().is_none() && wanted == Wanted::All => run_together(only.text),
        _ => whole_list(&words).unwrap_or_else(|| before_prose(&words)),
    };
    unique(found)
}

/// The letters of a text that names letters and nothing else.
pub(super) fn bare_letters(text: &str, wanted: Wanted) -> Option<Vec<char>> {
    let text = without_latex(text);
    let words = without_fillers(words(&text));
    let together = match words.as_slice() {
        [only] if wanted == Wanted::All && only.letter().is_none() => run_together(only.text),
        _ => Vec::new(),
    };
    unique(whole_list(&words).unwrap_or(together))
}

/// The letters of `A`, `A, B` or `A and B`, when `words` are that.
fn whole_list(words: &[Word<'_>]) -> Option<Vec<char>> {
    let is_listed = |at: usize, word: &Word<'_>| {
        let next = words.get(at + 1).map(|next| next.text);
        (word.letter().is_some() && !word.is_part(next)) || is_joiner(word.text)
    };
    let is_list = words.iter().enumerate().all(|(at, word)| is_listed(at, word));
    is_list.then(|| {
        let is_kept = |at: usize| !joins_letters(words, at);
        words
            .iter()
            .enumerate()
            .filter(|(at, _)| is_kept(*at))
            .filter_map(|(_, word)| word.letter())
            .collect()
    })
}

/// Whether the word there is an and or or of one letter: the `y` of `A y C`.
fn joins_letters(words: &[Word<'_>], at: usize) -> bool {
    let is_capital = |word: Option<&Word<'_>>| {
        word.and_then(|word| word.letter()).is_some_and(|letter| letter.is_ascii_uppercase())
    };
    let is_between = at.checked_sub(1).is_some_and(|before| is_capital(words.get(before)))
        && is_capital(words.get(at + 1));
    is_between && words.get(at).is_some_and(|word| matches!(word.text, "y" | "e" | "o" | "i" | "u"))
}

/// The letters in upper case, each once; none when there are none.
pub(super) fn unique(found: Vec<char>) -> Option<Vec<char>> {
    let mut unique = Vec::new();
    for letter in found.into_iter().map(|letter: char| letter.to_ascii_uppercase()) {
        if !unique.contains(&letter) {
            unique.push(letter);
        }
    }
    (!unique.is_empty()).then_some(unique)
}

/// The words of `text`. Where letters of a script with spaces meet those of one without, as in `选项B`, a word ends.
pub(super) fn words(text: &str) -> Vec<Word<'_>> {
    let is_part = |c: char| is_in_word(c) || c == '\'';
    let mut words = Vec::new();
    let mut rest = text.trim_start_matches(|c| !is_part(c));
    while let Some(first) = rest.chars().next() {
        let is_other = |c: char| !is_part(c) || is_latin(c) != is_latin(first);
        let (word, after) = rest.split_at(rest.find(is_other).unwrap_or(rest.len()));
        let (gap, next) = after.split_at(after.find(is_part).unwrap_or(after.len()));
        let word = word.trim_matches('\'');
        if !word.is_empty() {
            words.push(Word { text: word, gap });
        }
        rest = next;
    }
    words
}

fn is_latin(c: char) -> bool {
    !is_unspaced(c)
        && !matches!(c, '\u{1100}'..='\u{11ff}' | '\u{3130}'..='\u{318f}' | '\u{ac00}'..='\u{d7ff}')
}

/// Leaves out the words that lead to a letter: `the correct option is B`, `Option A and option C`.
fn without_fillers(words: Vec<Word<'_>>) -> Vec<Word<'_>> {
    let is_before_option = |at: usize| words.get(at + 1).is_some_and(|next| is_option_word(next.text));
    let is_lead = |at: usize, word: &Word<'_>| {
        is_filler(word.text) || word.letter().is_some_and(|c| c.is_ascii_lowercase()) && is_before_option(at)
    };
    let lead = words.iter().enumerate().take_while(|(at, word)| is_lead(*at, word)).count();
    let names_letter = |at: usize| words.get(at + 1).is_some_and(|next| next.letter().is_some());
    let is_kept =
        |(at, word): &(usize, &Word<'_>)| *at >= lead && !(names_letter(*at) && is_option_word(word.text));
    words.iter().enumerate().filter(is_kept).map(|(_, word)| *word).collect()
}

/// `ABD`: capitals, each once.
fn run_together(text: &str) -> Vec<char> {
    let letters: Vec<char> = text.chars().collect();
    let is_unique = |letter: &char| letters.iter().filter(|other| *other == letter).count() == 1;
    // More letters than there are cannot be unique.
    if letters.len() <= 26 && letters.iter().all(|letter| letter.is_ascii_uppercase() && is_unique(letter)) {
        letters
    } else {
        vec![]
    }
}

/// The letters at the head of a line that goes on: `B) Berlin`, `A, B because`, `C is right`.
///
/// The pronoun I and the article A are letters there only where punctuation shows it, or, for A, as the
/// very first word.
pub(super) fn before_prose(words: &[Word<'_>]) -> Vec<char> {
    let mut letters = Vec::new();
    let mut is_list = true;
    for (at, word) in words.iter().enumerate() {
        if !letters.is_empty() && (is_joiner(word.text) || joins_letters(words, at)) {
            is_list = true;
            continue;
        }
        let Some(letter) = word.letter().filter(|_| is_list) else {
            break;
        };
        let is_word = match letter {
            'I' => true,
            'A' => !letters.is_empty(),
            _ => letter.is_ascii_lowercase(),
        };
        if is_word && word.runs_on() || word.is_part(words.get(at + 1).map(|next| next.text)) {
            break;
        }
        letters.push(letter);
        is_list = word.is_listed();
    }
    letters
}
