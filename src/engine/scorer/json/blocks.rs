//! Fenced blocks of a response: where they are and which of them are marked as JSON.
//!
//! A fence is a row of three or more backticks, or of tildes at the beginning of a line. Models leave fences open and
//! write them in one line; both are read.

/// What is between two fences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block<'t> {
    /// The text, without white space around it.
    pub(super) text: &'t str,
    /// Whether the opening fence is marked `json`.
    pub(super) is_json: bool,
}

/// The blocks of `response`, in order; one that is never closed goes on to the end. Takes linear time.
pub(super) fn blocks(response: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut open: Option<Open<'_>> = None;
    let mut start = 0;
    for line in response.split_inclusive('\n') {
        let end = start + line.len();
        open = match open {
            None => opened(response, start, line, &mut blocks),
            Some(block) => block.read_on(response, start, line, &mut blocks),
        };
        start = end;
    }
    if let Some(block) = open {
        blocks.extend(block.closed(response, response.len()));
    }
    blocks
}

/// A block whose end has not been found.
#[derive(Clone, Copy)]
struct Open<'t> {
    fence: &'t str,
    is_json: bool,
    /// Where its text begins, in bytes.
    begin: usize,
}

impl<'t> Open<'t> {
    fn closed(self, response: &'t str, end: usize) -> Option<Block<'t>> {
        Some(Block { text: trimmed(response.get(self.begin..end)?), is_json: self.is_json })
    }

    /// Looks for the closing fence in a line: at its beginning, or at its end.
    fn read_on(
        self,
        response: &'t str,
        start: usize,
        line: &'t str,
        blocks: &mut Vec<Block<'t>>,
    ) -> Option<Self> {
        let bare = line.trim_start();
        if let Some(rest) = bare.strip_prefix(self.fence) {
            blocks.extend(self.closed(response, start));
            let mark = self.fence.chars().next().unwrap_or('`');
            let rest = rest.trim_start_matches(mark).trim();
            // A language behind the fence opens the next block: the one before was left open.
            let is_next =
                is_json(rest) || !rest.is_empty() && rest.chars().all(is_in_language) && rest.len() < 12;
            return is_next.then(|| opened(response, start, line, blocks)).flatten();
        }
        let ended = line.trim_end();
        if ended.ends_with(self.fence) {
            let mark = self.fence.chars().next().unwrap_or('`');
            blocks.extend(self.closed(response, start + ended.trim_end_matches(mark).len()));
            return None;
        }
        Some(self)
    }
}

/// The block that a line opens, if any. Blocks that begin and end in the line are complete.
fn opened<'t>(
    response: &'t str,
    start: usize,
    line: &'t str,
    blocks: &mut Vec<Block<'t>>,
) -> Option<Open<'t>> {
    let mut at = 0;
    loop {
        let rest = line.get(at..)?;
        let (place, fence) = fence(rest, at == 0)?;
        let behind = at + place + fence.len();
        let info = line.get(behind..)?;
        let language = info.trim_start();
        let language = language.get(..language.find(|c| !is_in_language(c)).unwrap_or(language.len()))?;
        let is_marked = is_json(language);
        let Some(close) = info.find(fence) else {
            // The rest of the line is the language, or the text begins in it.
            let bare = info.trim();
            let begins = is_marked || bare.starts_with(['{', '[', '"']);
            let skipped = if begins { language_end(info, is_marked) } else { info.len() };
            return Some(Open { fence, is_json: is_marked, begin: start + behind + skipped });
        };
        let begin = start + behind + language_end(info, is_marked);
        blocks.extend(Open { fence, is_json: is_marked, begin }.closed(response, start + behind + close));
        let mark = fence.chars().next().unwrap_or('`');
        at = line.len() - line.get(behind + close..)?.trim_start_matches(mark).len();
    }
}

/// Where the text behind a fence begins: behind the language where that is JSON's or JSON follows, else at once.
fn language_end(info: &str, is_marked: bool) -> usize {
    let lead = info.len() - info.trim_start().len();
    let rest = info.trim_start();
    let word = rest.find(|c| !is_in_language(c)).unwrap_or(rest.len());
    let is_followed = rest.get(word..).is_some_and(|behind| behind.trim_start().starts_with(['{', '[']));
    if is_marked || is_followed { lead + word } else { lead }
}

/// The first fence of `text`, and where it begins.
fn fence(text: &str, is_line_start: bool) -> Option<(usize, &str)> {
    let bare = text.trim_start();
    if is_line_start && bare.starts_with("~~~") {
        let fence = bare.get(..bare.len() - bare.trim_start_matches('~').len())?;
        return Some((text.len() - bare.len(), fence));
    }
    let place = text.find("```")?;
    let rest = text.get(place..)?;
    Some((place, rest.get(..rest.len() - rest.trim_start_matches('`').len())?))
}

fn is_in_language(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+' | '/' | '.' | '#')
}

fn is_json(language: &str) -> bool {
    ["json", "jsonc", "json5", "application/json"].iter().any(|name| language.eq_ignore_ascii_case(name))
}

/// Returns `text` without white space and byte order marks around it.
pub(super) fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || super::super::fold::is_invisible(c))
}
