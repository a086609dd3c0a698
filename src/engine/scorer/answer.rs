//! The letters after the last `ANSWER:` of a response.
//!
//! It does not know which letters were offered, so that a final answer which was not offered stays the final
//! answer, and an earlier one does not count in its place.

use super::choice::Wanted;
use super::normal::narrow;

/// How far after `ANSWER:` letters are looked for, in characters.
const REACH: usize = 200;

/// The upper-case letters, each once, that the last `ANSWER:` with a letter names.
///
/// Tolerates `$X$`, `**X**`, `(X)`, `X) text`, a letter on the next line, and lists such as `A, B` and
/// `A and B`; `AB` where all right options are wanted. An `ANSWER:` that names no letter is passed over.
pub(super) fn last_answer(response: &str, wanted: Wanted) -> Option<Vec<char>> {
    let text = narrow(response);
    let lower = text.to_ascii_lowercase();
    let mut heads = lower.rmatch_indices("answer").map(|(start, _)| start);
    heads.find_map(|start| {
        let (before, after) = text.split_at_checked(start)?;
        let line = line_after_colon(after)?;
        (!before.ends_with(char::is_alphanumeric)).then(|| letters(line, wanted)).flatten()
    })
}

/// The line of the answer, when `text`, which begins with the word, has a colon in the right place.
fn line_after_colon(text: &str) -> Option<&str> {
    let tail = text.get("answer".len()..)?;
    let tail = tail.strip_prefix(['s', 'S']).unwrap_or(tail);
    let tail = tail.trim_start_matches([' ', '\t', '*', '_', '`', '"', '\'']).strip_prefix(':')?;
    let tail = tail.trim_start_matches(|c: char| c.is_whitespace() || "*_`\"'$([{".contains(c));
    let is_end = |(count, (_, c)): &(usize, (usize, char))| *c == '\n' || *count == REACH;
    let end = tail.char_indices().enumerate().find(is_end).map_or(tail.len(), |(_, (end, _))| end);
    tail.get(..end)
}

/// A word and what stands between it and the next.
#[derive(Clone, Copy)]
struct Word<'t> {
    text: &'t str,
    gap: &'t str,
}

impl Word<'_> {
    fn letter(self) -> Option<char> {
        let mut chars = self.text.chars();
        chars.next().filter(|c| c.is_ascii_alphabetic() && chars.next().is_none())
    }

    fn is_joiner(self) -> bool {
        ["and", "or"].iter().any(|joiner| self.text.eq_ignore_ascii_case(joiner))
    }

    /// Whether a list goes on after it: `A, ...`.
    fn is_listed(self) -> bool {
        self.gap.contains([',', ';', '/', '&', '+'])
    }

    /// Whether prose comes right after it, as after the `I` of `I think`.
    fn runs_on(self) -> bool {
        !self.gap.is_empty() && self.gap.trim().is_empty()
    }
}

fn letters(line: &str, wanted: Wanted) -> Option<Vec<char>> {
    let words = words(line);
    let found = match words.as_slice() {
        _ if words.iter().all(|word| word.letter().is_some() || word.is_joiner()) => {
            words.iter().filter_map(|word| word.letter()).collect()
        }
        [only] if wanted == Wanted::All => run_together(only.text),
        _ => before_prose(&words),
    };
    let mut unique = Vec::new();
    for letter in found.into_iter().map(|letter: char| letter.to_ascii_uppercase()) {
        if !unique.contains(&letter) {
            unique.push(letter);
        }
    }
    (!unique.is_empty()).then_some(unique)
}

fn words(line: &str) -> Vec<Word<'_>> {
    let is_in_word = |c: char| c.is_alphanumeric() || matches!(c, '\'' | '’');
    let mut words = Vec::new();
    let mut rest = line.trim_start_matches(|c| !is_in_word(c));
    while !rest.is_empty() {
        let (text, after) = rest.split_at(rest.find(|c| !is_in_word(c)).unwrap_or(rest.len()));
        let (gap, next) = after.split_at(after.find(is_in_word).unwrap_or(after.len()));
        words.push(Word { text: text.trim_matches(['\'', '’']), gap });
        rest = next;
    }
    words
}

/// `ABD`: capitals, each once.
fn run_together(text: &str) -> Vec<char> {
    let letters: Vec<char> = text.chars().collect();
    let is_unique = |letter: &char| letters.iter().filter(|other| *other == letter).count() == 1;
    if letters.iter().all(|letter| letter.is_ascii_uppercase() && is_unique(letter)) {
        letters
    } else {
        vec![]
    }
}

/// The letters at the head of a line that goes on: `B) Berlin`, `A, B because`, `C is right`.
///
/// The pronoun I and the article A are letters there only where punctuation says so, or, for A, as the
/// very first word.
fn before_prose(words: &[Word<'_>]) -> Vec<char> {
    let mut letters = Vec::new();
    let mut is_list = true;
    for word in words {
        if word.is_joiner() && !letters.is_empty() {
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
        if is_word && word.runs_on() {
            break;
        }
        letters.push(letter);
        is_list = word.is_listed();
    }
    letters
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_last_answer_is_read_through_what_models_put_around_it() {
        for (response, expected) in [
            ("ANSWER: B", "B"),
            ("answer:b", "B"),
            ("ANSWER: $B$", "B"),
            ("**ANSWER: B**", "B"),
            ("**ANSWER:** B.", "B"),
            ("ANSWER: **B**", "B"),
            ("ANSWER: (B)", "B"),
            ("ANSWER: [B]", "B"),
            ("ANSWER:\n\n B\n", "B"),
            ("ANSWER: B) Berlin", "B"),
            ("ANSWER: B. Berlin", "B"),
            ("ANSWER: b) Berlin", "B"),
            ("ANSWER: B is right", "B"),
            ("ANSWER: A is right", "A"),
            ("ANSWER: I) iodine", "I"),
            ("ANSWER：Ｂ", "B"),
            ("_Answer_: B", "B"),
            ("ANSWER: A, B", "AB"),
            ("ANSWERS: A and B", "AB"),
            ("ANSWER: A B", "AB"),
            ("ANSWER: A/B", "AB"),
            ("ANSWER: A or B", "AB"),
            ("ANSWER: A, B because both", "AB"),
            ("ANSWER: A, I think", "A"),
            ("ANSWER: A, a city", "A"),
            ("ANSWER: B, not C", "B"),
            ("ANSWER: A, A", "A"),
            ("ANSWER: A\nANSWER: C", "C"),
            ("ANSWER: A\nas I said, 'ANSWER: <letter>'", "A"),
            ("ANSWER: A\nThe answer: 42", "A"),
            ("ANSWER: A ANSWER: Z", "Z"),
            ("ANSWER: ANSWER: B", "B"),
            ("B", ""),
            ("(B)", ""),
            ("ANSWER B", ""),
            ("MYANSWER: B", ""),
            ("ANSWER: Berlin", ""),
            ("ANSWER: a dog", ""),
            ("ANSWER: I think so", ""),
            ("ANSWER: I'd say", ""),
            ("ANSWER:", ""),
            ("ANSWER: and", ""),
            ("ANSWER: $LETTER", ""),
            ("ANSWER: AB", ""),
        ] {
            let found: String = last_answer(response, Wanted::One).unwrap_or_default().into_iter().collect();
            assert_eq!(found, expected, "{response}");
        }
    }

    #[test]
    fn letters_run_together_only_where_several_are_wanted() {
        let all = |response| last_answer(response, Wanted::All);
        assert_eq!(all("ANSWER: ACD"), Some(vec!['A', 'C', 'D']));
        assert_eq!(all("ANSWER: ABBA"), None);
        assert_eq!(all("ANSWER: Abc"), None);
    }

    proptest! {
        #[test]
        fn any_text_can_be_searched_for_an_answer(text in "(ANSWER|answer:|[:*$() ,A-Da-d\n]|and|\\PC){0,60}") {
            for letter in last_answer(&text, Wanted::All).unwrap_or_default() {
                prop_assert!(letter.is_ascii_uppercase());
            }
        }
    }

    #[test]
    fn a_long_row_of_heads_is_read_in_linear_time() {
        let started = std::time::Instant::now();
        for part in ["answer:", "answer: a ", "answer", "answer*", "answer: 'A", "answer:\n", "ANSWER: É"] {
            let _ = last_answer(&part.repeat((1 << 17) / part.len()), Wanted::All);
        }
        assert!(started.elapsed().as_secs() < 15);
    }
}
