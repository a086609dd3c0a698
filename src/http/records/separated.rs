//! Rows of separated values (RFC 4180, with any of four separators) below the names in the first of them.

use actix_web::web::Payload;
use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use super::body::Body;
use super::{MAX_RECORD, line_ends};
use crate::domain::byte_order::utf8;
use crate::error::{Error, Result};

/// The separators that are found by themselves, the likelier ones first.
const SEPARATORS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// Bytes that the buffers of a row grow by.
const GROWTH: usize = 4_096;

/// A row: its values, and the line it begins on.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// From 1.
    pub line: usize,
    /// As many as were written.
    pub values: Vec<String>,
}

/// The rows of a body, from the first to the last.
pub struct Rows {
    body: Body,
    separator: Option<u8>,
    reader: Reader,
    /// Line ends so far.
    lines: usize,
}

impl Rows {
    pub(super) fn new(body: Body, separator: Option<u8>) -> Self {
        Self { body, separator, reader: Reader::new(), lines: 0 }
    }

    /// Reads the names, and with them the separator: `separator`, else the one that the content type implies, else
    /// the one that is there most often.
    ///
    /// # Errors
    /// `Invalid` when there are none; as [`Rows::next`].
    pub async fn names(&mut self, separator: Option<u8>, payload: &mut Payload) -> Result<Vec<String>> {
        self.body.open(payload).await?;
        self.skip_line_ends(payload).await?;
        while self.head().is_none() && !self.body.is_over() {
            self.body.fill(payload).await?;
        }
        let head = self.head().unwrap_or_else(|| self.body.rest());
        let separator = separator.or(self.separator).unwrap_or_else(|| sniff(head));
        self.reader = ReaderBuilder::new().delimiter(separator).build();
        let names = self.next(payload).await?;
        names.map(|row| row.values).ok_or_else(|| {
            Error::bad_request("the table is empty: its first line must hold the names of its columns")
        })
    }

    /// Returns the next row that has a value; none at the end.
    ///
    /// # Errors
    /// `TooLarge` for a row over 2 MB; `Invalid` when a quote is never closed, and when the body breaks off, comes
    /// too slowly or is not UTF-8.
    pub async fn next(&mut self, payload: &mut Payload) -> Result<Option<Row>> {
        loop {
            self.skip_line_ends(payload).await?;
            if self.body.rest().is_empty() {
                return Ok(None);
            }
            let line = self.lines + 1;
            let values = self.read(line, payload).await?;
            if values.iter().any(|value| !value.trim().is_empty()) {
                return Ok(Some(Row { line, values }));
            }
        }
    }

    /// Skips blank lines and what is left of the line end before.
    async fn skip_line_ends(&mut self, payload: &mut Payload) -> Result<()> {
        loop {
            let rest = self.body.rest();
            let ends = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            let is_decided = ends < rest.len();
            self.advance(ends);
            if is_decided || self.body.is_over() {
                return Ok(());
            }
            self.body.fill(payload).await?;
        }
    }

    /// The first line, as far as it is whole.
    fn head(&self) -> Option<&[u8]> {
        let mut is_quoted = false;
        let end = self.body.rest().iter().position(|byte| {
            is_quoted ^= *byte == b'"';
            !is_quoted && matches!(byte, b'\r' | b'\n')
        });
        self.body.rest().get(..end?)
    }

    async fn read(&mut self, line: usize, payload: &mut Payload) -> Result<Vec<String>> {
        let mut cells = Cells::default();
        loop {
            let is_closing = self.body.rest().is_empty();
            if is_closing && !self.body.is_over() {
                self.body.fill(payload).await?;
                continue;
            }
            // A line end behind the last row ends it, unless it is within quotes.
            let input = if is_closing { b"\n".as_slice() } else { self.body.rest() };
            let (result, used) = cells.read(&mut self.reader, input);
            if !is_closing {
                self.advance(used);
            }
            if cells.length > MAX_RECORD {
                let message = format!("line {line}: the row is longer than 2 MB: is a quote left open?");
                return Err(Error::TooLarge(message));
            }
            match result {
                ReadRecordResult::Record => return cells.values(line),
                ReadRecordResult::InputEmpty if is_closing => {
                    let message = format!("line {line}: a quote in the row that begins here is never closed");
                    return Err(Error::bad_request(message));
                }
                ReadRecordResult::End => return Ok(Vec::new()),
                ReadRecordResult::InputEmpty
                | ReadRecordResult::OutputFull
                | ReadRecordResult::OutputEndsFull => {}
            }
        }
    }

    fn advance(&mut self, count: usize) {
        self.lines += line_ends(self.body.rest().get(..count).unwrap_or_default());
        self.body.advance(count);
    }
}

/// The values of a row that is being read.
#[derive(Default)]
struct Cells {
    text: Vec<u8>,
    length: usize,
    ends: Vec<usize>,
    count: usize,
}

impl Cells {
    /// Reads on, and returns how many bytes of `input` were used.
    fn read(&mut self, reader: &mut Reader, input: &[u8]) -> (ReadRecordResult, usize) {
        if self.text.len() < self.length + GROWTH {
            self.text.resize(self.text.len().saturating_mul(2).max(self.length + GROWTH), 0);
        }
        if self.ends.len() < self.count + GROWTH / 64 {
            self.ends.resize(self.ends.len() + GROWTH / 8, 0);
        }
        let text = self.text.get_mut(self.length..).unwrap_or_default();
        let ends = self.ends.get_mut(self.count..).unwrap_or_default();
        let (result, used, written, ended) = reader.read_record(input, text, ends);
        self.length += written;
        self.count += ended;
        (result, used)
    }

    fn values(&self, line: usize) -> Result<Vec<String>> {
        let text = utf8(self.text.get(..self.length).unwrap_or_default())
            .map_err(|cause| Error::bad_request(format!("line {line}: the row is {cause}")))?;
        let ends = self.ends.get(..self.count).unwrap_or_default();
        let starts = std::iter::once(&0).chain(ends);
        Ok(starts
            .zip(ends)
            .map(|(start, end)| text.get(*start..*end).unwrap_or_default().to_owned())
            .collect())
    }
}

/// The separator that is there most often outside quotes.
fn sniff(head: &[u8]) -> u8 {
    let count = |separator: u8| {
        let mut is_quoted = false;
        let unquoted = head.iter().filter(|byte| {
            is_quoted ^= **byte == b'"';
            !is_quoted && **byte == separator
        });
        unquoted.count()
    };
    // The first of several that are there as often.
    SEPARATORS.into_iter().rev().max_by_key(|separator| count(*separator)).unwrap_or(b',')
}

#[cfg(test)]
mod tests {
    use actix_web::FromRequest;
    use actix_web::test::TestRequest;

    use super::*;

    /// The names and the rows of a table, each with its line.
    async fn read(text: &[u8]) -> Result<(Vec<String>, Vec<(usize, Vec<String>)>)> {
        let mut payload = Payload::extract(&TestRequest::default().to_http_request()).await.unwrap();
        let mut rows = Rows::new(Body::whole(text), None);
        let (names, mut found) = (rows.names(None, &mut payload).await?, Vec::new());
        while let Some(row) = rows.next(&mut payload).await? {
            found.push((row.line, row.values));
        }
        Ok((names, found))
    }

    fn row(line: usize, values: &[&str]) -> (usize, Vec<String>) {
        (line, values.iter().map(|value| (*value).to_owned()).collect())
    }

    #[tokio::test]
    async fn the_separator_is_found_in_the_names() {
        for text in ["a,b\n1,2", "a;b\n1;2\n", "a\tb\r\n1\t2\r\n", "a|b\n1|2", "\u{feff}\"a\";b\n1;2\n"] {
            let (names, rows) = read(text.as_bytes()).await.unwrap();
            assert_eq!((names, rows), (row(0, &["a", "b"]).1, vec![row(2, &["1", "2"])]), "{text:?}");
        }
        let (names, _) = read(b"\"a;b;c\",d\n").await.unwrap();
        assert_eq!(names, ["a;b;c", "d"]);
        assert_eq!(read(b"only\n1\n").await.unwrap().1, [row(2, &["1"])]);
    }

    #[tokio::test]
    async fn rows_have_the_line_they_begin_on() {
        let text = b"\r\na,b\r\n\r\n\"one\ntwo\",\"say \"\"yes\"\"\"\r\n,\r\nx,y,z\nlast,";
        let (_, rows) = read(text).await.unwrap();
        let expected =
            [row(4, &["one\ntwo", "say \"yes\""]), row(7, &["x", "y", "z"]), row(8, &["last", ""])];
        assert_eq!(rows, expected);
    }

    #[tokio::test]
    async fn a_long_row_is_whole() {
        let (long, many) = ("é".repeat(100_000), vec!["v"; 3_000].join(","));
        let (_, rows) = read(format!("a\n\"{long}\"\n{many}\n").as_bytes()).await.unwrap();
        assert_eq!(rows[0].1[0], long);
        assert_eq!(rows[1].1.len(), 3_000);
    }

    #[tokio::test]
    async fn a_table_that_is_broken_is_refused_with_its_line() {
        for (text, words) in [
            (b"".as_slice(), "the table is empty"),
            (b"\n\n", "the table is empty"),
            (b"a,b\n1,2\n\"3,4\n5,6\n", "line 3: a quote in the row"),
            (b"a,b\n1,caf\xe9\n", "line 2: the row is not UTF-8 text (0xE9"),
            (b"\xff\xfea\0", "UTF-16"),
        ] {
            let refused = read(text).await.unwrap_err().to_string();
            assert!(refused.contains(words), "{text:?}: {refused}");
        }
        let open = format!("a\n\"{}", "x\n".repeat(MAX_RECORD / 2 + 10));
        assert!(read(open.as_bytes()).await.unwrap_err().to_string().contains("longer than 2 MB"));
    }
}
