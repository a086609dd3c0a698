//! JSON objects of a body: one per line, or the elements of an array.

use actix_web::web::Payload;

use super::array::{Elements, Step};
use super::body::Body;
use super::{MAX_RECORD, line_ends};
use crate::error::{Error, Result};

/// The JSON objects of a body, from the first to the last.
pub struct JsonRecords {
    body: Body,
    shape: Shape,
    /// Line ends so far.
    lines: usize,
    /// Where the last record began.
    line: usize,
    /// Bytes of the unused part that have no line end.
    searched: usize,
}

enum Shape {
    Unknown,
    Lines,
    Array(Elements),
}

impl JsonRecords {
    pub(super) const fn new(body: Body) -> Self {
        Self { body, shape: Shape::Unknown, lines: 0, line: 0, searched: 0 }
    }

    /// Returns the next record: a line that is not blank, or an object of the array; none at the end.
    ///
    /// # Errors
    /// `TooLarge` for a record over 2 MB; `Invalid` when the body breaks off, comes too slowly, is not UTF-8 or is
    /// an array of something else.
    pub async fn next(&mut self, payload: &mut Payload) -> Result<Option<Vec<u8>>> {
        if matches!(self.shape, Shape::Unknown) {
            self.recognize(payload).await?;
        }
        loop {
            if let Some(record) = self.take()? {
                return Ok(Some(record));
            }
            if self.body.is_over() {
                return self.ended();
            }
            self.body.fill(payload).await?;
        }
    }

    /// The number of the line that the last record began on, from 1.
    #[must_use]
    pub const fn line(&self) -> usize {
        self.line
    }

    /// Whether the body is one array, where a line may be a part of an object.
    #[must_use]
    pub const fn is_array(&self) -> bool {
        matches!(self.shape, Shape::Array(_))
    }

    /// Finds out by the first character whether the body is an array.
    async fn recognize(&mut self, payload: &mut Payload) -> Result<()> {
        self.body.open(payload).await?;
        loop {
            let blank = self.body.rest().iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            self.skip(blank);
            match self.body.rest().first() {
                None if !self.body.is_over() => self.body.fill(payload).await?,
                Some(b'[') => {
                    self.skip(1);
                    self.shape = Shape::Array(Elements::default());
                    return Ok(());
                }
                _ => {
                    self.shape = Shape::Lines;
                    return Ok(());
                }
            }
        }
    }

    fn skip(&mut self, count: usize) {
        self.lines += line_ends(self.body.rest().get(..count).unwrap_or_default());
        self.body.advance(count);
    }

    /// A whole record of what was received; none when more is needed.
    fn take(&mut self) -> Result<Option<Vec<u8>>> {
        if matches!(self.shape, Shape::Array(_)) { self.take_object() } else { self.take_line() }
    }

    fn take_object(&mut self) -> Result<Option<Vec<u8>>> {
        let Shape::Array(elements) = &mut self.shape else { return Ok(None) };
        loop {
            self.line = self.lines + 1;
            match elements.step(self.body.rest())? {
                Step::More => return Ok(None),
                Step::Skip(count) => {
                    self.lines += line_ends(self.body.rest().get(..count).unwrap_or_default());
                    self.body.advance(count);
                }
                Step::Object(count) => {
                    let object = self.body.rest().get(..count).unwrap_or_default().to_vec();
                    self.lines += line_ends(&object);
                    self.body.advance(count);
                    return Ok(Some(object));
                }
            }
        }
    }

    /// The next line that is not blank; the last one needs no line end.
    fn take_line(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            let rest = self.body.rest();
            let unseen = rest.get(self.searched..).unwrap_or_default();
            let end = unseen.iter().position(|byte| *byte == b'\n').map(|end| self.searched + end);
            if end.unwrap_or(rest.len()) > MAX_RECORD {
                return Err(Error::TooLarge(format!("line {} is longer than 2 MB", self.lines + 1)));
            }
            self.searched = rest.len();
            let length = match end {
                Some(end) => end,
                None if self.body.is_over() && !rest.is_empty() => rest.len(),
                None => return Ok(None),
            };
            let line = rest.get(..length).unwrap_or_default().to_vec();
            self.searched = 0;
            self.body.advance(length + 1);
            self.lines += 1;
            self.line = self.lines;
            if !line.trim_ascii().is_empty() {
                return Ok(Some(line));
            }
        }
    }

    /// What is left to say at the end of the body.
    fn ended(&mut self) -> Result<Option<Vec<u8>>> {
        match &self.shape {
            Shape::Array(elements) if !elements.is_closed() => {
                Err(Error::bad_request("the JSON array is not closed: is the file cut off?"))
            }
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::FromRequest;
    use actix_web::test::TestRequest;

    use super::*;

    /// The records of a body with the lines they begin on.
    async fn read(text: &[u8]) -> Result<Vec<(usize, String)>> {
        let mut records = JsonRecords::new(Body::whole(text));
        let mut payload = Payload::extract(&TestRequest::default().to_http_request()).await.unwrap();
        let mut found = Vec::new();
        while let Some(record) = records.next(&mut payload).await? {
            found.push((records.line(), String::from_utf8(record).unwrap()));
        }
        Ok(found)
    }

    #[tokio::test]
    async fn lines_and_arrays_have_the_same_records() {
        let one = |line, text: &str| (line, text.to_owned());
        for (text, expected) in [
            ("{\"a\":1}\n\n {\"a\":2}", vec![one(1, "{\"a\":1}"), one(3, " {\"a\":2}")]),
            ("[{\"a\":1},\n{\"a\":2}]\n", vec![one(1, "{\"a\":1}"), one(2, "{\"a\":2}")]),
            ("\u{feff}\n [ {\"a\":\n\"]}\\\"{\"} ,{}]", vec![one(2, "{\"a\":\n\"]}\\\"{\"}"), one(3, "{}")]),
            ("[]", vec![]),
            ("", vec![]),
            ("\u{feff}{}\r\n", vec![one(1, "{}\r")]),
        ] {
            assert_eq!(read(text.as_bytes()).await.unwrap(), expected, "{text}");
        }
    }

    #[tokio::test]
    async fn an_array_that_is_broken_is_refused() {
        for (text, words) in [
            ("[{}", "not closed"),
            ("[{},", "not closed"),
            ("[{\"a\":", "not closed"),
            ("[1]", "must hold objects"),
            ("[{},]", "must hold objects"),
            ("[{}{}]", "expected a comma"),
            ("[{}] x", "text after the end"),
        ] {
            let refused = read(text.as_bytes()).await.unwrap_err().to_string();
            assert!(refused.contains(words), "{text}: {refused}");
        }
    }
}
