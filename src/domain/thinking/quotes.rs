//! Code in a Markdown text: what stands in it is quoted and not meant.

use std::collections::HashMap;
use std::ops::Range;

/// Characters that quote what stands between them.
const PAIRS: [(char, char); 9] = [
    ('`', '`'),
    ('"', '"'),
    ('\'', '\''),
    ('“', '”'),
    ('‘', '’'),
    ('«', '»'),
    ('„', '“'),
    ('「', '」'),
    ('(', ')'),
];

/// The code spans and fenced blocks of a text, each in order, as bytes.
#[derive(Debug, Default)]
pub(super) struct Code {
    spans: Vec<Range<usize>>,
    blocks: Vec<Range<usize>>,
}

impl Code {
    /// Finds code in `text`. Takes time proportional to its length.
    ///
    /// A span ends on its line: a lone backtick quotes nothing. A block without an end is none either.
    pub(super) fn of(text: &str) -> Self {
        let (mut code, mut open, mut at) = (Self::default(), None, 0);
        for line in text.split_inclusive('\n') {
            match (fence(line), open) {
                (Some((mark, length, true)), Some((opener, least, start)))
                    if mark == opener && length >= least =>
                {
                    code.blocks.push(start..at + line.len());
                    open = None;
                }
                // A fence with a name opens a block, so that one before it was never closed.
                (Some((mark, length, false)), _) | (Some((mark, length, true)), None) => {
                    open = Some((mark, length, at));
                }
                _ => code.add_spans(line, at),
            }
            at += line.len();
        }
        code
    }

    /// Returns whether the byte at `at` stands in code.
    pub(super) fn holds(&self, at: usize) -> bool {
        holds(&self.spans, at) || holds(&self.blocks, at)
    }

    /// Adds the spans of a line that begins at `at`: from a run of backticks to the next of the same length.
    fn add_spans(&mut self, line: &str, at: usize) {
        let runs = runs(line);
        let mut nearest = HashMap::new();
        let mut partners: Vec<Option<usize>> =
            runs.iter().enumerate().rev().map(|(index, run)| nearest.insert(run.len(), index)).collect();
        partners.reverse();
        let mut next = 0;
        for (index, run) in runs.iter().enumerate() {
            let Some(partner) = partners.get(index).copied().flatten().filter(|_| index >= next) else {
                continue;
            };
            let end = runs.get(partner).map_or(run.end, |run| run.end);
            self.spans.push(at + run.start..at + end);
            next = partner + 1;
        }
    }
}

/// Returns whether quotation marks, backticks or brackets stand directly around `range` of `text`.
pub(super) fn is_in_marks(text: &str, range: Range<usize>) -> bool {
    let before = text.get(..range.start).and_then(|text| text.chars().next_back());
    let after = text.get(range.end..).and_then(|text| text.chars().next());
    before.zip(after).is_some_and(|pair| PAIRS.contains(&pair))
}

fn holds(ranges: &[Range<usize>], at: usize) -> bool {
    let after = ranges.partition_point(|range| range.start <= at);
    after.checked_sub(1).and_then(|last| ranges.get(last)).is_some_and(|range| range.contains(&at))
}

/// The mark, the length and whether nothing follows, of a line that is a fence.
fn fence(line: &str) -> Option<(char, usize, bool)> {
    let line = line.trim_end();
    let marks = line.trim_start_matches(' ');
    let mark = marks.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
    let name = marks.trim_start_matches(mark);
    let length = marks.len() - name.len();
    let is_fence = length >= 3 && line.len() - marks.len() <= 3 && !name.contains('`');
    is_fence.then_some((mark, length, name.is_empty()))
}

fn runs(line: &str) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (at, mark) in line.match_indices('`') {
        match runs.last_mut().filter(|run| run.end == at) {
            Some(run) => run.end += mark.len(),
            None => runs.push(at..at + mark.len()),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_found_in_spans_and_in_closed_blocks() {
        for (text, is_code) in [
            ("a `X` b", true),
            ("a ``b ` X`` c", true),
            ("a ` X", false),
            ("`a` X `b`", false),
            ("a `\nX`", false),
            ("```\nX\n```\n", true),
            ("~~~html\nX\n~~~", true),
            ("```\nX\n", false),
            ("```\na\n```\nX", false),
            ("```\nX\n```json\n{}\n```\n", false),
        ] {
            let (code, at) = (Code::of(text), text.find('X').unwrap());
            assert_eq!(code.holds(at), is_code, "{text}");
        }
    }
}
