//! Separated values: every row has as many values as the first. Quotes are those of RFC 4180.

use std::io::BufRead;

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use super::{Fault, LONGEST};

/// Room for what is read of a row at once; none of it is looked at.
const VALUES: usize = 16 * 1024;
const ENDS: usize = 1_024;

/// Reads all of it.
///
/// # Errors
/// The first row of another width than the first, or one that does not end.
pub(super) fn check(input: &mut impl BufRead, delimiter: u8) -> Result<(), Fault> {
    let mut rows = Rows {
        reader: ReaderBuilder::new().delimiter(delimiter).build(),
        values: [0; VALUES],
        ends: [0; ENDS],
    };
    let mut width = None;
    while let Some((line, count)) = rows.next(input)? {
        let first = *width.get_or_insert(count);
        if count != first {
            return Err(Fault::Line(line, format!("has {count} values where the first has {first}")));
        }
    }
    Ok(())
}

struct Rows {
    reader: Reader,
    values: [u8; VALUES],
    ends: [usize; ENDS],
}

impl Rows {
    /// The line that the next row begins in, and how many values it has.
    fn next(&mut self, input: &mut impl BufRead) -> Result<Option<(u64, usize)>, Fault> {
        let (line, mut count, mut size) = (self.reader.line(), 0_usize, 0_usize);
        loop {
            let (result, read, written, ends) = {
                let bytes = input.fill_buf()?;
                self.reader.read_record(bytes, &mut self.values, &mut self.ends)
            };
            input.consume(read);
            count = count.saturating_add(ends);
            size = size.saturating_add(written);
            if size > LONGEST {
                return Err(Fault::Line(
                    line,
                    "begins a row that does not end: is a quote missing?".to_owned(),
                ));
            }
            match result {
                ReadRecordResult::Record => return Ok(Some((line, count))),
                ReadRecordResult::End => return Ok(None),
                _ => {}
            }
        }
    }
}
