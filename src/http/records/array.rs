//! A JSON array of objects, cut into its objects while it comes. What is in them is not checked here.

use super::MAX_RECORD;
use crate::error::{Error, Result};

/// The objects of an array whose `[` was read.
#[derive(Debug, Default)]
pub(super) struct Elements {
    expected: Expected,
    scan: Scan,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Expected {
    #[default]
    ObjectOrEnd,
    Object,
    CommaOrEnd,
    Nothing,
}

/// What the next bytes are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// So many bytes that are between objects.
    Skip(usize),
    /// An object of so many bytes.
    Object(usize),
    /// More bytes are needed.
    More,
}

/// The progress through an object that is not whole yet.
#[derive(Debug, Default)]
struct Scan {
    at: usize,
    depth: usize,
    is_text: bool,
    is_escaped: bool,
}

impl Elements {
    /// Whether the array was closed.
    pub(super) fn is_closed(&self) -> bool {
        self.expected == Expected::Nothing
    }

    /// Finds what `rest`, the unused bytes, begins with.
    ///
    /// # Errors
    /// `Invalid` when it is no array of objects; `TooLarge` for an object over 2 MB.
    pub(super) fn step(&mut self, rest: &[u8]) -> Result<Step> {
        let blank = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        if blank > 0 {
            return Ok(Step::Skip(blank));
        }
        let Some(first) = rest.first() else { return Ok(Step::More) };
        self.expected = match (self.expected, first) {
            (Expected::ObjectOrEnd | Expected::Object, b'{') => return self.object(rest),
            (Expected::ObjectOrEnd | Expected::CommaOrEnd, b']') => Expected::Nothing,
            (Expected::CommaOrEnd, b',') => Expected::Object,
            (expected, _) => return Err(Error::bad_request(expected.complaint())),
        };
        Ok(Step::Skip(1))
    }

    fn object(&mut self, rest: &[u8]) -> Result<Step> {
        let end = self.scan.end(rest);
        if end.unwrap_or(rest.len()) > MAX_RECORD {
            return Err(Error::TooLarge("an object of the array is longer than 2 MB".to_owned()));
        }
        let Some(end) = end else { return Ok(Step::More) };
        self.expected = Expected::CommaOrEnd;
        self.scan = Scan::default();
        Ok(Step::Object(end))
    }
}

impl Expected {
    const fn complaint(self) -> &'static str {
        match self {
            Self::ObjectOrEnd | Self::Object => "the array must hold objects, one per sample",
            Self::CommaOrEnd => "expected a comma, or the end of the array, after the object",
            Self::Nothing => "there is text after the end of the array",
        }
    }
}

impl Scan {
    /// The end of the object that `rest` begins with, if it is there.
    fn end(&mut self, rest: &[u8]) -> Option<usize> {
        for byte in rest.get(self.at..).unwrap_or_default() {
            self.at += 1;
            match (self.is_text, byte) {
                (true, _) if self.is_escaped => self.is_escaped = false,
                (true, b'\\') => self.is_escaped = true,
                (_, b'"') => self.is_text = !self.is_text,
                (false, b'{' | b'[') => self.depth += 1,
                (false, b'}' | b']') => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Some(self.at);
                    }
                }
                _ => {}
            }
        }
        None
    }
}
