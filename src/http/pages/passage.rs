//! Long texts from outside: a prompt, an answer, a grader's reply. Whole, and folded when they are long.
//!
//! Nothing in them is read as markup.

use crate::domain::samples::{Input, Message, Role};

use super::format;

/// From how many characters on a text is folded.
const LONG: usize = 3_000;
/// The same of texts that are usually a few words, in characters and in lines; and what is shown of them then.
const BRIEF: usize = 280;
const BRIEF_LINES: usize = 6;
const BRIEF_PREVIEW: usize = 160;
/// How many characters of a folded text are shown.
const PREVIEW: usize = 400;

/// A text with who said it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// Who said it, or what it is.
    pub label: &'static str,
    /// The whole text.
    pub text: String,
    /// How it begins and how long it is, when it is folded.
    pub fold: Option<Fold>,
}

/// What is shown of a folded text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fold {
    /// Its beginning.
    pub preview: String,
    /// Its characters, counted.
    pub length: String,
}

impl Fold {
    /// A fold of `text` that shows `preview`.
    #[must_use]
    pub fn new(preview: String, text: &str) -> Self {
        let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
        Self { preview, length: format::counted(length, "character") }
    }
}

impl Passage {
    /// A text under that label.
    #[must_use]
    pub fn new(label: &'static str, text: impl Into<String>) -> Self {
        let text = text.into();
        let is_long = text.chars().nth(LONG).is_some();
        let fold = is_long.then(|| Fold::new(format::shortened(&text, PREVIEW), &text));
        Self { label, text, fold }
    }

    /// A text that is usually a few words: folded as soon as it is longer than a paragraph.
    #[must_use]
    pub fn brief(label: &'static str, text: impl Into<String>) -> Self {
        let text = text.into();
        let is_long = text.chars().nth(BRIEF).is_some() || text.lines().nth(BRIEF_LINES).is_some();
        let fold = is_long.then(|| Fold::new(one_line(&text, BRIEF_PREVIEW), &text));
        Self { label, text, fold }
    }

    /// A text under that label, folded however long it is.
    #[must_use]
    pub fn folded(label: &'static str, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { label, fold: Some(Fold::new(format::shortened(&text, PREVIEW), &text)), text }
    }

    /// Each message of a conversation.
    #[must_use]
    pub fn conversation(messages: &[Message]) -> Vec<Self> {
        messages.iter().map(|message| Self::new(speaker(message.role), message.content.as_str())).collect()
    }
}

const fn speaker(role: Role) -> &'static str {
    match role {
        Role::System => "System",
        Role::User => "User",
        Role::Assistant => "Assistant",
    }
}

/// An input in one line of at most `longest` characters: its last message, where it is a conversation.
#[must_use]
pub fn in_one_line(input: &Input, longest: usize) -> String {
    let text = match input {
        Input::Text(text) => text.as_str(),
        Input::Messages(messages) => messages.last().map_or("", |message| message.content.as_str()),
    };
    one_line(text, longest)
}

/// A text in one line of at most `longest` characters.
#[must_use]
pub fn one_line(text: &str, longest: usize) -> String {
    // Only what can be shown is looked at: an answer may be megabytes long.
    let beginning: String = text.trim_start().chars().take(longest.saturating_mul(4)).collect();
    let line = beginning.split_whitespace().collect::<Vec<_>>().join(" ");
    format::shortened(&line, longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_folded_and_whole() {
        let passage = Passage::new("Answer", "é".repeat(LONG + 1));
        assert_eq!(passage.text.chars().count(), LONG + 1);
        assert_eq!(passage.fold.unwrap().length, "3,001 characters");
        assert_eq!(Passage::new("Answer", "short").fold, None);
    }

    #[test]
    fn lines_are_joined_and_cut() {
        assert_eq!(one_line("  a\n\n b\tc ", 80), "a b c");
        assert_eq!(one_line("abcdef", 4), "abc…");
    }
}
