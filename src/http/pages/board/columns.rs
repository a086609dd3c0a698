//! Which columns the board shows: all but what is added only for who asks, unless the address says otherwise.
//!
//! It hides columns and changes no number: what is not shown counts as before.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::heads::label;
use super::question::{Question, Sort};
use crate::domain::leaderboard::Column;
use crate::error::{Error, Result};

/// What stands behind the evals, in that order.
pub const REST: [Sort; 7] =
    [Sort::WinRate, Sort::AboveChance, Sort::Cost, Sort::Latency, Sort::Errors, Sort::Runs, Sort::Date];
/// Those of them that are shown only when they are asked for: one depends on who else is on the board, the other is
/// about guessing.
const EXTRA: [Sort; 2] = [Sort::WinRate, Sort::AboveChance];
/// Evals that are given a link; with more of them the page would be mostly those.
const MOST: usize = 24;
/// Most columns that an address may name.
const MOST_NAMED: usize = 200;

/// What differs from the usual columns.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Columns {
    /// By the word in the address: a sort's, or an eval's id.
    hidden: BTreeSet<String>,
    shown: BTreeSet<String>,
}

/// A column that can be shown or hidden.
#[derive(Debug, PartialEq, Eq)]
pub struct Choice {
    /// What it is called.
    pub label: String,
    /// The board with or without it.
    pub href: String,
    /// Whether it is shown.
    pub is_shown: bool,
}

/// All choices, and what is hidden.
#[derive(Debug)]
pub struct Choosing {
    /// The columns that have a link.
    pub choices: Vec<Choice>,
    /// How many of the usual ones are hidden, and the board with them; none when none are.
    pub hidden: Option<(usize, String)>,
}

impl Columns {
    /// Whether the column of that word is shown.
    #[must_use]
    pub fn has(&self, word: &str) -> bool {
        if is_extra(word) { self.shown.contains(word) } else { !self.hidden.contains(word) }
    }

    /// The same with that column hidden if it is shown, and shown if it is hidden.
    #[must_use]
    pub fn toggled(&self, word: &str) -> Self {
        let mut toggled = self.clone();
        let set = if is_extra(word) { &mut toggled.shown } else { &mut toggled.hidden };
        if !set.remove(word) {
            set.insert(word.to_owned());
        }
        toggled
    }

    /// The same with nothing hidden.
    fn unhidden(&self) -> Self {
        Self { hidden: BTreeSet::new(), shown: self.shown.clone() }
    }
}

impl fmt::Display for Columns {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = self.hidden.iter().map(|word| format!("-{word}"));
        out.write_str(&hidden.chain(self.shown.iter().cloned()).collect::<Vec<_>>().join(","))
    }
}

impl FromStr for Columns {
    type Err = Error;

    /// # Errors
    /// `Invalid` naming `columns` for a word that shows nothing.
    fn from_str(text: &str) -> Result<Self> {
        let mut columns = Self::default();
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            match word.strip_prefix('-') {
                Some(hidden) if !hidden.is_empty() && !is_extra(hidden) => {
                    columns.hidden.insert(hidden.to_owned());
                }
                None if is_extra(word) => {
                    columns.shown.insert(word.to_owned());
                }
                _ => return Err(refused(word)),
            }
        }
        if columns.hidden.len() > MOST_NAMED {
            return Err(Error::invalid("columns", format!("columns must name at most {MOST_NAMED}")));
        }
        Ok(columns)
    }
}

fn refused(word: &str) -> Error {
    let word: String = word.chars().take(60).collect();
    let extra = EXTRA.map(|sort| sort.as_str().to_owned()).join(" or ");
    let message = format!(
        "columns must be like -cost,-EVALID,win_rate: a minus and what to hide, or {extra} to show; \"{word}\" is neither"
    );
    Error::invalid("columns", message)
}

fn is_extra(word: &str) -> bool {
    EXTRA.iter().any(|sort| sort.as_str() == word)
}

impl Choosing {
    /// What can be shown and hidden of a board with those `columns`.
    #[must_use]
    pub fn of(question: &Question, columns: &[Column]) -> Self {
        let choice = |word: &str, label: String| Choice {
            label,
            href: question.with_columns(question.columns.toggled(word)).address(),
            is_shown: question.columns.has(word),
        };
        let evals = columns.iter().take(MOST).map(|column| choice(column.id.as_str(), column.name.clone()));
        let rest = REST.iter().map(|sort| choice(sort.as_str(), label(sort).to_owned()));
        let is_there = |word: &&String| {
            let is_rest = REST.iter().any(|sort| sort.as_str() == word.as_str());
            is_rest || columns.iter().any(|column| column.id.as_str() == word.as_str())
        };
        let hidden = question.columns.hidden.iter().filter(is_there).count();
        let back = || question.with_columns(question.columns.unhidden()).address();
        Self { choices: evals.chain(rest).collect(), hidden: (hidden > 0).then(|| (hidden, back())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Columns {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_read_is_written_the_same_way() {
        let columns = read(" win_rate, -cost ,--oddId,");
        assert_eq!(columns.to_string(), "--oddId,-cost,win_rate");
        assert_eq!(read(&columns.to_string()), columns);
        assert!(!columns.has("cost") && !columns.has("-oddId") && columns.has("win_rate"));
        assert!(columns.has("date") && !columns.has("above_chance"));
        assert_eq!(Columns::default().to_string(), "");
    }

    #[test]
    fn a_column_is_toggled_to_and_fro() {
        for word in ["cost", "win_rate", "an-eval"] {
            let once = Columns::default().toggled(word);
            assert_ne!(once.has(word), Columns::default().has(word));
            assert_eq!(once.toggled(word), Columns::default());
        }
    }

    #[test]
    fn a_word_that_shows_nothing_is_refused() {
        for word in ["cost", "-", "-win_rate", "evalid"] {
            let refused = word.parse::<Columns>().unwrap_err().to_string();
            assert!(refused.contains(&format!("\"{word}\"")), "{refused}");
        }
    }
}
