//! Where the board can be had as a file: the rows that are shown, in the forms that the API writes.

use crate::http::pages::links;

use super::question::Question;

/// A form and its address.
#[derive(Debug, PartialEq, Eq)]
pub struct Download {
    /// What people call it.
    pub label: &'static str,
    /// Its address.
    pub href: String,
}

/// The files of the rows that `question` asks for. They are in the board's own order, whatever it is sorted by.
#[must_use]
pub fn of(question: &Question) -> Vec<Download> {
    let forms = [("CSV", "csv"), ("JSON", "json"), ("LaTeX", "latex"), ("Markdown", "markdown")];
    let download = |(label, format)| Download {
        label,
        href: kept(question, "/api/v1/leaderboard", &[("format", format)]),
    };
    forms.map(download).into()
}

/// `path` with what chooses the rows of `question`, and `more`.
#[must_use]
pub fn kept(question: &Question, path: &str, more: &[(&str, &str)]) -> String {
    let pairs = question.pairs();
    let pairs = pairs.iter().map(|(name, value)| (*name, value.as_ref()));
    let kept = pairs.filter(|(name, _)| !matches!(*name, "sort" | "order" | "columns"));
    let pairs: Vec<(&str, &str)> = kept.chain(more.iter().copied()).collect();
    links::asked(path, &pairs)
}
