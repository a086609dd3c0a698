//! Values by commas or tabs as rows below the names in the first of them. A quoted value may hold anything.

use csv::{ReaderBuilder, StringRecord};

use super::{Broken, CUT, Cell, Excerpt, Kind, Row, Sheet, format};

/// The table of an excerpt; none when not even the names are whole.
pub(super) fn read(excerpt: &Excerpt<'_>, delimiter: u8) -> Option<Sheet> {
    let text = excerpt.text;
    let mut records = records(text, delimiter);
    let cut = records.pop_if(|last| ends_open(last, excerpt));
    let mut records = records.into_iter();
    let heads = records.next()?;
    let ragged = records.as_slice().iter().filter(|record| record.len() != heads.len()).count();
    let width = records.as_slice().iter().map(StringRecord::len).max().unwrap_or_default().max(heads.len());
    let mut names: Vec<String> = heads.iter().map(str::to_owned).collect();
    names.resize(width, String::new());
    let whole = |record: StringRecord| Ok(record.iter().map(cell).map(Some).collect());
    let rows = records.map(|record| Row::new(line(&record, text), whole(record)));
    let broken = cut.map(|last| Row::new(line(&last, text), Err(Broken::new(CUT, from(&last, text)))));
    Some(Sheet::new(&names, rows.chain(broken).collect(), notes(ragged)))
}

fn records(text: &str, delimiter: u8) -> Vec<StringRecord> {
    let mut builder = ReaderBuilder::new();
    builder.has_headers(false).flexible(true).delimiter(delimiter);
    // Text in memory is readable, and rows may be as long as they like: there is nothing to fail.
    builder.from_reader(text.as_bytes()).records().filter_map(Result::ok).collect()
}

fn notes(ragged: usize) -> Vec<String> {
    let rows = format::counted(i64::try_from(ragged).unwrap_or(i64::MAX), "line");
    match ragged {
        0 => Vec::new(),
        1 => vec![format!("{rows} has more or fewer values than there are names.")],
        _ => vec![format!("{rows} have more or fewer values than there are names.")],
    }
}

/// Whether the file may go on within the last record: it stops in the middle of a line, or between quotes.
fn ends_open(last: &StringRecord, excerpt: &Excerpt<'_>) -> bool {
    let is_quoted = from(last, excerpt.text).matches('"').count() % 2 == 1;
    excerpt.ends_within_line() || (excerpt.goes_on && is_quoted)
}

/// The text from a record on. The reader has the line ends before it as its beginning.
fn from<'a>(record: &StringRecord, text: &'a str) -> &'a str {
    let start = record.position().and_then(|at| usize::try_from(at.byte()).ok());
    start.and_then(|start| text.get(start..)).unwrap_or_default().trim_start_matches(['\r', '\n'])
}

/// The number of the line that a record begins on.
fn line(record: &StringRecord, text: &str) -> u64 {
    let before = text.strip_suffix(from(record, text)).unwrap_or(text);
    (1..).zip(before.split('\n')).map(|(number, _)| number).last().unwrap_or(1)
}

fn cell(text: &str) -> Cell {
    Cell::new(text, if is_number(text) { Kind::Number } else { Kind::Text })
}

/// Whether it is written in digits: words such as `inf` are none.
fn is_number(text: &str) -> bool {
    text.ends_with(|last: char| last.is_ascii_digit() || last == '.') && text.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sheet(text: &str, goes_on: bool) -> Option<Sheet> {
        read(&Excerpt { file_type: "csv", text, goes_on }, b',')
    }

    #[test]
    fn quotes_hold_commas_quotes_and_line_ends() {
        let text = "\"the, name\",b\r\n\"say \"\"yes\"\"\nor no\",2\r\n\r\n<b>,\r\n";
        let sheet = sheet(text, false).unwrap();
        assert_eq!(sheet.names(), ["the, name", "b"]);
        assert_eq!(sheet.told(), [["2", "say \"yes\"\nor no", "2"], ["5", "<b>", ""]]);
        assert!(sheet.notes.is_empty());
    }

    #[test]
    fn rows_of_any_length_have_a_place_and_are_counted() {
        let sheet = sheet("a,b\n1\n1,2,3\n1,2\n", false).unwrap();
        assert_eq!(sheet.names(), ["a", "b", ""]);
        assert_eq!(sheet.told(), [["2", "1", "-", "-"], ["3", "1", "2", "3"], ["4", "1", "2", "-"]]);
        assert_eq!(sheet.notes, ["2 lines have more or fewer values than there are names."]);
    }

    #[test]
    fn a_last_row_that_is_cut_is_not_read_as_if_it_were_whole() {
        for (text, cut) in [("a,b\r\n1,2\r\n3,", "3,"), ("a,b\n1,2\n3,\"four\n", "3,\"four\n")] {
            let sheet = sheet(text, true).unwrap();
            assert_eq!(sheet.told(), [vec!["2", "1", "2"], vec!["3", CUT, cut]]);
        }
        assert_eq!(sheet("a,b\n1,2\n3,4\n", true).unwrap().told().len(), 2);
        assert_eq!(sheet("a,b\n1,2\n3,", false).unwrap().told()[1], ["3", "3", ""]);
    }

    #[test]
    fn without_names_there_is_no_table() {
        for text in ["", "\n\n", "a,b,c", "a,\"b\n"] {
            assert!(sheet(text, true).is_none(), "{text:?}");
        }
        let only_names = sheet("a,b\n", true).unwrap();
        assert_eq!((only_names.columns.len(), only_names.rows.len()), (2, 0));
    }

    #[test]
    fn numbers_are_written_in_digits() {
        for (text, expected) in
            [("1", true), ("-1.5e3", true), ("7.", true), ("inf", false), ("NaN", false), ("", false)]
        {
            assert_eq!(is_number(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_in_a_file_is_read(text in "([,\"a1é \n\r\t\u{202e}]{0,60})", goes_on: bool) {
            let _ = sheet(&text, goes_on);
        }

        #[test]
        fn what_a_program_writes_is_what_is_shown(values in proptest::collection::vec("\\PC{1,9}|[,\"\n ]{1,9}", 1..6)) {
            let mut writer = csv::Writer::from_writer(Vec::new());
            for _ in 0..2 {
                writer.write_record(&values).unwrap();
            }
            let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
            let sheet = sheet(&text, false).unwrap();
            prop_assert_eq!(&sheet.told()[0][1..], values.as_slice());
        }
    }
}
