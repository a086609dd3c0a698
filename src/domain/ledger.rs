//! The ledger: what moved the board, line by line, each naming the hash of the one before. Lines are only added.
//!
//! It proves that no line was changed or taken out behind the back of whoever kept the newest hash; that what a
//! line says is true it cannot prove.

use serde_json::json;
use sha2::{Digest, Sha256};

use super::hex;
use super::id::{LedgerKey, UserId, UserKey};
use super::time::Millis;
use crate::error::{Error, Result};

/// The hash before the first line.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// Longest value that a summary repeats, in characters.
const LONGEST_VALUE: usize = 80;
/// Longest reason, in characters.
pub const LONGEST_REASON: usize = 500;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is new.
    Inserted,
    /// It was changed.
    Corrected,
    /// Stored answers were scored again.
    Rescored,
    /// A person's verdict stands before the scorer's.
    Overruled,
    /// The scorer's verdict counts again.
    Reinstated,
    /// It was deleted.
    Withdrawn,
    /// It leads the board now.
    Led,
}

/// What it happened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noun {
    /// A model.
    Model,
    /// An eval.
    Eval,
    /// A run.
    Run,
    /// A case.
    Case,
}

impl Action {
    const ALL: [Self; 7] = [
        Self::Inserted,
        Self::Corrected,
        Self::Rescored,
        Self::Overruled,
        Self::Reinstated,
        Self::Withdrawn,
        Self::Led,
    ];

    /// The word in the tables and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inserted => "inserted",
            Self::Corrected => "corrected",
            Self::Rescored => "rescored",
            Self::Overruled => "overruled",
            Self::Reinstated => "reinstated",
            Self::Withdrawn => "withdrawn",
            Self::Led => "led",
        }
    }

    /// The action of that word.
    ///
    /// # Errors
    /// `Internal`: only tables are read with this.
    pub fn parse(word: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|action| action.as_str() == word);
        found.ok_or_else(|| Error::internal(format!("unknown action {word}")))
    }
}

impl Noun {
    const ALL: [Self; 4] = [Self::Model, Self::Eval, Self::Run, Self::Case];

    /// The word in the tables and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Eval => "eval",
            Self::Run => "run",
            Self::Case => "case",
        }
    }

    /// The noun of that word.
    ///
    /// # Errors
    /// `Internal`: only tables are read with this.
    pub fn parse(word: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|noun| noun.as_str() == word);
        found.ok_or_else(|| Error::internal(format!("unknown noun {word}")))
    }
}

/// What a line says, before it has its place in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Who did it; none for what nobody did, such as taking the lead.
    pub by: Option<(UserKey, UserId)>,
    /// What happened.
    pub action: Action,
    /// To what.
    pub noun: Noun,
    /// Its public id.
    pub subject: String,
    /// What it was called then.
    pub name: String,
    /// What changed, in words.
    pub summary: String,
    /// Why, as the person says; at most 500 characters, may be empty.
    pub reason: String,
    /// The [`digest`] of what it was before; none for what is new.
    pub before: Option<String>,
    /// The same of what it is now; none for what is gone.
    pub after: Option<String>,
}

/// A line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Table key: its number, from 1.
    pub key: LedgerKey,
    /// When.
    pub at: Millis,
    /// What it says.
    pub event: Event,
    /// What everybody knows the one by who did it, as `submitted_by` elsewhere.
    pub submitted_by: Option<String>,
    /// The hash of the line before.
    pub previous_hash: String,
    /// Its own.
    pub hash: String,
}

impl Line {
    /// Whether its hash is that of what it says.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.hash == hash(&self.previous_hash, self.at, &self.event)
    }
}

/// SHA-256, as hex, of the JSON array `[previous_hash, at, user_id, action, noun, subject, name, summary, reason,
/// before_digest, after_digest]` without white space: `at` in milliseconds, what there is none of null.
#[must_use]
pub fn hash(previous: &str, at: Millis, event: &Event) -> String {
    let Event { by, action, noun, subject, name, summary, reason, before, after } = event;
    let user = by.as_ref().map(|(_, id)| id.as_str());
    let text = json!([
        previous,
        at.0,
        user,
        action.as_str(),
        noun.as_str(),
        subject,
        name,
        summary,
        reason,
        before,
        after
    ]);
    hex::encode(&Sha256::digest(text.to_string()))
}

/// What anybody may see of a thing: name and value of each field, always in the same order.
pub type Fields = Vec<(&'static str, String)>;

/// SHA-256, as hex, over the fields as a JSON array of pairs.
#[must_use]
pub fn digest(fields: &Fields) -> String {
    hex::encode(&Sha256::digest(json!(fields).to_string()))
}

/// What differs, in words: `name: "A" to "B"; weight: "1" to "2"`.
#[must_use]
pub fn difference(before: &Fields, after: &Fields) -> String {
    let changed = before.iter().zip(after).filter(|(before, after)| before != after);
    let said = |value: &str| {
        let short: String = value.chars().take(LONGEST_VALUE).collect();
        let mark = if short.len() < value.len() { "…" } else { "" };
        format!("\"{short}{mark}\"")
    };
    let words = changed.map(|((name, old), (_, new))| format!("{name}: {} to {}", said(old), said(new)));
    words.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(reason: &str) -> Event {
        Event {
            by: Some((UserKey(1), UserId::from("u".to_owned()))),
            action: Action::Corrected,
            noun: Noun::Eval,
            subject: "e".to_owned(),
            name: "Sums".to_owned(),
            summary: "version: \"1\" to \"2\"".to_owned(),
            reason: reason.to_owned(),
            before: Some("b".to_owned()),
            after: None,
        }
    }

    #[test]
    fn the_hash_is_of_the_text_that_anybody_can_write_down() {
        let text = format!(
            r#"["{GENESIS}",5,"u","corrected","eval","e","Sums","version: \"1\" to \"2\"","a typo","b",null]"#
        );
        assert_eq!(hash(GENESIS, Millis(5), &event("a typo")), hex::encode(&Sha256::digest(text)));
        assert_ne!(hash(GENESIS, Millis(5), &event("")), hash(GENESIS, Millis(5), &event("x")));
    }

    #[test]
    fn a_line_that_was_changed_is_not_sound() {
        let mut line = Line {
            key: LedgerKey(1),
            at: Millis(5),
            hash: hash(GENESIS, Millis(5), &event("")),
            event: event(""),
            submitted_by: None,
            previous_hash: GENESIS.to_owned(),
        };
        assert!(line.is_sound());
        line.event.reason = "another".to_owned();
        assert!(!line.is_sound());
    }

    #[test]
    fn what_differs_is_said_and_long_values_are_cut() {
        let fields =
            |name: &str, weight: &str| vec![("name", name.to_owned()), ("weight", weight.to_owned())];
        assert_eq!(difference(&fields("A", "1"), &fields("A", "2")), "weight: \"1\" to \"2\"");
        assert_eq!(difference(&fields("A", "1"), &fields("A", "1")), "");
        let long = difference(&fields("A", "1"), &fields(&"é".repeat(100), "1"));
        assert!(long.ends_with("…\"") && long.chars().count() < 110, "{long}");
        assert_ne!(digest(&fields("A", "1")), digest(&fields("A", "2")));
    }

    #[test]
    fn words_are_read_as_they_are_written() {
        for action in Action::ALL {
            assert_eq!(Action::parse(action.as_str()).unwrap(), action);
        }
        for noun in Noun::ALL {
            assert_eq!(Noun::parse(noun.as_str()).unwrap(), noun);
        }
        assert!(Action::parse("moved").is_err() && Noun::parse("thing").is_err());
    }
}
