//! Lines of JSON as rows: a column per key, in the order in which the keys first come.
//!
//! Values stay as they are written: a number keeps its digits, however many.

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Broken, CUT, Cell, Excerpt, Kind, Row, Sheet};

/// An object, its values unread.
struct Record<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Deserialize<'a> for Record<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Pairs)
    }
}

struct Pairs;

impl<'a> Visitor<'a> for Pairs {
    type Value = Record<'a>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut object: A) -> Result<Record<'a>, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = object.next_entry()? {
            pairs.push(pair);
        }
        Ok(Record(pairs))
    }
}

/// The table of an excerpt; none when no line is a whole object.
pub(super) fn read(excerpt: &Excerpt<'_>) -> Option<Sheet> {
    let lines: Vec<(u64, &str)> =
        (1..).zip(excerpt.text.lines()).filter(|(_, line)| !line.trim().is_empty()).collect();
    let records: Vec<_> =
        lines.iter().map(|(_, line)| serde_json::from_str::<Record<'_>>(line).ok()).collect();
    let names = names(records.iter().flatten())?;
    let places: HashMap<&str, usize> = names.iter().map(String::as_str).zip(0..).collect();
    let last = lines.len();
    let rows = (1..).zip(&lines).zip(&records).map(|((at, (number, line)), record)| {
        let is_cut = at == last && excerpt.ends_within_line();
        let content = record.as_ref().map(|record| cells(record, &places));
        Row::new(*number, content.ok_or_else(|| Broken::new(fault(line, is_cut), line)))
    });
    Some(Sheet::new(&names, rows.collect(), Vec::new()))
}

/// Every key, once; none when there is no record.
fn names<'r, 'a: 'r>(records: impl Iterator<Item = &'r Record<'a>>) -> Option<Vec<String>> {
    let mut records = records.peekable();
    records.peek()?;
    let mut seen = HashSet::new();
    let keys = records.flat_map(|record| &record.0).map(|(key, _)| key);
    Some(keys.filter(|key| seen.insert(key.as_str())).cloned().collect())
}

/// The values of a record below their keys. Of a key that is there twice the last value counts, as it does for
/// most programs.
fn cells(record: &Record<'_>, places: &HashMap<&str, usize>) -> Vec<Option<Cell>> {
    let mut cells: Vec<Option<Cell>> = Vec::new();
    cells.resize_with(places.len(), || None);
    for (key, value) in &record.0 {
        if let Some(cell) = places.get(key.as_str()).and_then(|place| cells.get_mut(*place)) {
            *cell = Some(shown(value.get()));
        }
    }
    cells
}

/// A value: what a string says, the digits of a number, anything else as compact JSON.
fn shown(json: &str) -> Cell {
    match (serde_json::from_str::<String>(json), json.bytes().next()) {
        (Ok(text), _) => Cell::new(text, Kind::Text),
        (_, Some(b'-' | b'0'..=b'9')) => Cell::new(json, Kind::Number),
        _ => Cell::new(compact(json), Kind::Code),
    }
}

/// JSON without the blanks between its parts.
fn compact(json: &str) -> String {
    let (mut is_string, mut is_escaped) = (false, false);
    let stays = |letter: &char| {
        if is_string {
            is_string = is_escaped || *letter != '"';
            is_escaped = *letter == '\\' && !is_escaped;
            return true;
        }
        is_string = *letter == '"';
        !letter.is_ascii_whitespace()
    };
    json.chars().filter(stays).collect()
}

/// Why a line has no values.
fn fault(line: &str, is_cut: bool) -> &'static str {
    match serde_json::from_str::<&RawValue>(line) {
        _ if is_cut => CUT,
        Ok(_) => "JSON, but not an object",
        Err(_) => "not JSON",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sheet(text: &str, goes_on: bool) -> Option<Sheet> {
        read(&Excerpt { file_type: "jsonl", text, goes_on })
    }

    #[test]
    fn every_key_has_a_column_and_every_value_its_place() {
        let text = concat!(
            r#"{"b": "one\ntwo", "a": [1, {"x y": "p \" q"}]}"#,
            "\r\n\n",
            r#"{"a": null, "c": ""}"#,
            "\n"
        );
        let sheet = sheet(text, false).unwrap();
        assert_eq!(sheet.names(), ["b", "a", "c"]);
        let expected = [["1", "one\ntwo", r#"[1,{"x y":"p \" q"}]"#, "-"], ["3", "-", "null", ""]];
        assert_eq!(sheet.told(), expected);
    }

    #[test]
    fn a_number_keeps_its_digits() {
        let text = r#"{"id": 123456789012345678901234567890, "x": 1.10, "y": 1e400}"#;
        let sheet = sheet(text, false).unwrap();
        assert_eq!(sheet.told(), [["1", "123456789012345678901234567890", "1.10", "1e400"]]);
    }

    #[test]
    fn a_line_that_is_no_object_is_shown_as_it_is() {
        let text = r#"{"a": "\ud800"}
not json
[1, 2]
{"a": 1, "a": 2}
{"a": 3"#;
        let told = |goes_on| format!("{:?}", sheet(text, goes_on).unwrap().told());
        let expected = |last| {
            let rows: [&[&str]; 5] = [
                &["1", r#""\ud800""#],
                &["2", "not JSON", "not json"],
                &["3", "JSON, but not an object", "[1, 2]"],
                &["4", "2"],
                &["5", last, r#"{"a": 3"#],
            ];
            format!("{rows:?}")
        };
        assert_eq!((told(false), told(true)), (expected("not JSON"), expected(CUT)));
    }

    #[test]
    fn a_last_line_that_is_whole_is_read_though_it_has_no_end() {
        let sheet = sheet("{\"a\": 1}\n{\"a\": 2}", true).unwrap();
        assert_eq!(sheet.told(), [["1", "1"], ["2", "2"]]);
    }

    #[test]
    fn without_an_object_there_is_no_table() {
        for text in ["", "\n", "[]\n1\n", "{\"a\": "] {
            assert!(sheet(text, true).is_none(), "{text:?}");
        }
    }

    #[test]
    fn depth_harms_nobody() {
        let deep = format!("{{\"a\": {}{}}}", "[ ".repeat(4_000), "]".repeat(4_000));
        let sheet = sheet(&deep, false).unwrap();
        assert_eq!(sheet.told()[0][1].len(), 8_000);
    }

    proptest! {
        #[test]
        fn whatever_is_in_a_file_is_read(text in "([{}\\[\\]\",:a1\\\\ \n\r\u{202e}]{0,60})", goes_on: bool) {
            let _ = sheet(&text, goes_on);
        }

        #[test]
        fn what_is_compact_means_the_same(text in "\\PC{0,20}", number: i32) {
            let value = serde_json::json!({"a b": [text, number, {"c": null}]});
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            prop_assert_eq!(compact(&pretty), value.to_string());
        }
    }
}
