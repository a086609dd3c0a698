//! Thinking that a model's server leaves in the answer: what is left out of it, and what is scored.
//!
//! The answer is what stands behind the last closing tag. Tags that an answer only speaks of stay in it: see
//! [`split`] for the rules.

mod quotes;
mod tags;

use quotes::{Code, is_in_marks};
use tags::{Kind, Tag, tags};

/// What ends a message of the harmony format, and what begins one.
const HARMONY_ENDS: [&str; 4] = ["<|return|>", "<|end|>", "<|call|>", "<|start|>assistant"];
/// The same format without its special tokens, as servers that drop them send it.
const BARE_ANALYSIS: &str = "analysis";
const BARE_FINAL: &str = "assistantfinal";

/// How much of a line is looked at before a tag, in bytes, so that a long line is read once.
const MAX_LINE: usize = 200;

/// A response in its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split<'r> {
    /// The answer, possibly blank; none where the model was cut off while it thought.
    pub answer: Option<&'r str>,
    /// The thinking without its tags; empty where there was none.
    pub thinking: String,
}

impl<'r> Split<'r> {
    /// A response without thinking.
    #[must_use]
    pub const fn whole(response: &'r str) -> Self {
        Self { answer: Some(response), thinking: String::new() }
    }
}

/// Splits a response into thinking and answer. Takes time proportional to its length.
///
/// - A response that begins with an opening tag thinks: up to the last closing tag, or altogether where there is
///   none. There may be white space before it.
/// - So does one with a closing tag alone, since templates may open the block, and one that opens a block at the
///   beginning of a line.
/// - A tag in code or between quotation marks is quoted, and not meant. Neither is a closing tag in the middle of a
///   sentence, with blanks around it, nor any in a text whose first tag is an opening one within a line.
#[must_use]
pub fn split(response: &str) -> Split<'_> {
    let Some(found) = Found::read(response) else { return bare_harmony(response) };
    let (thought, rest) = match found.close {
        Some(close) => (before(response, close.start), after(response, close.end)),
        None => ("", response),
    };
    let thought = found.lead.map_or(thought, |lead| thought.get(lead.end..).unwrap_or_default());
    let thought = without_ends(thought);
    if found.lead.is_none() && thought.is_empty() && rest.trim().is_empty() {
        // A closing tag and nothing else: it is what was asked for.
        return Split::whole(response);
    }
    let Some(again) = found.unclosed else {
        let rest = if found.close.is_some() { without_ends(rest) } else { rest };
        return Split { answer: Some(rest), thinking: thought.to_owned() };
    };
    let offset = response.len() - rest.len();
    let answer = before(rest, again.start - offset).trim();
    let parts = [thought, without_ends(after(response, again.end))];
    let thinking: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    Split { answer: (!answer.is_empty()).then_some(answer), thinking: thinking.join("\n\n") }
}

/// Joins reasoning that came in a field of its own with thinking that stood in the answer, which may be a copy of it.
#[must_use]
pub fn join(reasoning: Option<String>, thinking: String) -> Option<String> {
    match reasoning {
        _ if thinking.is_empty() => reasoning,
        None => Some(thinking),
        Some(reasoning) if reasoning.trim_end().ends_with(&thinking) => Some(reasoning),
        Some(reasoning) => Some(format!("{reasoning}\n\n{thinking}")),
    }
}

/// The tags of a response that are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Found {
    /// The opening tag that the response begins with.
    lead: Option<Tag>,
    /// The closing tag before the answer.
    close: Option<Tag>,
    /// An opening tag behind that which is never closed.
    unclosed: Option<Tag>,
}

impl Found {
    /// None when there is no tag at all.
    fn read(text: &str) -> Option<Self> {
        let all = tags(text);
        let first = all.first()?;
        let lead = Some(*first).filter(|tag| tag.kind == Kind::Open && is_leading(before(text, tag.start)));
        let is_shown = |tag: &&Tag| !is_in_marks(text, tag.start..tag.end) && lead != Some(**tag);
        let shown: Vec<Tag> = all.iter().filter(is_shown).copied().collect();
        let close = match lead {
            Some(_) => last_close_of_block(text, &shown),
            None => last_close(text, &shown),
        };
        let unclosed = match (lead, close) {
            (Some(lead), None) => Some(lead),
            _ => unclosed(text, close.map_or(0, |tag| tag.end), &shown),
        };
        Some(Self { lead, close, unclosed })
    }
}

/// The last closing tag of a response that begins with its thinking. What is drafted there may leave code open, so that
/// code counts from its first closing tag on.
fn last_close_of_block(text: &str, shown: &[Tag]) -> Option<Tag> {
    let first = *shown.iter().find(|tag| tag.kind == Kind::Close)?;
    let code = Code::of(after(text, first.end));
    let is_meant = |tag: &&Tag| {
        tag.kind == Kind::Close
            && tag.start >= first.end
            && !code.holds(tag.start - first.end)
            && !is_in_sentence(text, **tag)
    };
    shown.iter().rfind(is_meant).copied().or(Some(first))
}

/// The last closing tag of a response that does not begin with an opening one.
fn last_close(text: &str, shown: &[Tag]) -> Option<Tag> {
    let code = Code::of(text);
    let mut shown = shown.iter().filter(|tag| !code.holds(tag.start)).peekable();
    if shown.peek().is_some_and(|tag| tag.kind == Kind::Open && !begins_line(text, 0, **tag)) {
        return None;
    }
    shown.rfind(|tag| tag.kind == Kind::Close && !is_in_sentence(text, **tag)).copied()
}

/// The first opening tag from `from` on that begins a line, outside of code, and is never closed.
fn unclosed(text: &str, from: usize, shown: &[Tag]) -> Option<Tag> {
    let code = Code::of(after(text, from));
    let is_meant = |tag: &&Tag| {
        tag.kind == Kind::Open
            && tag.start >= from
            && !code.holds(tag.start - from)
            && begins_line(text, from, **tag)
    };
    let open = shown.iter().find(is_meant).copied()?;
    let is_closed = shown.iter().any(|tag| tag.kind == Kind::Close && tag.start >= open.end);
    (!is_closed).then_some(open)
}

/// Whether nothing that is seen stands in `lead`, the beginning of a response.
fn is_leading(lead: &str) -> bool {
    let is_unseen = |c: char| c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200b}');
    let lead = lead.trim_matches(is_unseen);
    lead.strip_prefix("<|start|>assistant").unwrap_or(lead).is_empty()
}

/// Whether only blanks stand between a tag and the beginning of its line, or `from`.
fn begins_line(text: &str, from: usize, tag: Tag) -> bool {
    line_before(text, from, tag).trim().is_empty()
}

/// Whether a closing tag stands in the middle of a sentence: a blank and words that do not end a sentence before it,
/// and more behind it on the same line.
fn is_in_sentence(text: &str, tag: Tag) -> bool {
    let line = line_before(text, 0, tag);
    let words = line.trim_end();
    let is_apart = words.len() < line.len() && !words.is_empty();
    let ends_sentence = words.ends_with(|c| ".!?…:;。！？：；)]}>|*`\"”".contains(c));
    let ends_line = after(text, tag.end).trim_start_matches([' ', '\t', '\r']).starts_with('\n');
    is_apart && !ends_sentence && !ends_line
}

/// What stands before a tag on its line, from `from` on; of a long line its end.
fn line_before(text: &str, from: usize, tag: Tag) -> &str {
    let start = text.ceil_char_boundary(tag.start.saturating_sub(MAX_LINE).max(from));
    let lead = text.get(start..tag.start).unwrap_or_default();
    lead.rsplit_once('\n').map_or(lead, |(_, line)| line)
}

fn before(text: &str, at: usize) -> &str {
    text.get(..at).unwrap_or_default()
}

fn after(text: &str, at: usize) -> &str {
    text.get(at..).unwrap_or_default()
}

/// `text` without white space and without what delimits messages around it.
fn without_ends(text: &str) -> &str {
    let mut text = text.trim();
    while let Some(rest) = HARMONY_ENDS.iter().find_map(|end| text.strip_suffix(end)) {
        text = rest.trim_end();
    }
    text
}

fn bare_harmony(response: &str) -> Split<'_> {
    let thought = response.trim_start().strip_prefix(BARE_ANALYSIS);
    match thought.and_then(|thought| thought.rsplit_once(BARE_FINAL)) {
        Some((thought, answer)) => Split { answer: Some(answer.trim()), thinking: thought.trim().to_owned() },
        None => Split::whole(response),
    }
}

#[cfg(test)]
mod tests;
