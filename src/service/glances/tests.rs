//! Whole files and broken ones of every type, and bytes that are nothing at all.

use std::io::Write;

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn seen(file_type: FileType, bytes: &[u8]) -> Result<Glance, String> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let seen = match file_type {
        FileType::Parquet => parquet::look(file).map_err(|fault| fault.blame(file_type, "file")),
        _ => super::look_at(Path::new("none"), &file, file_type, "file"),
    };
    seen.map_err(|fault| fault.to_string())
}

fn lines(file_type: FileType, text: &str) -> i64 {
    seen(file_type, text.as_bytes()).unwrap().line_count.unwrap()
}

#[track_caller]
fn assert_refused(file_type: FileType, bytes: &[u8], words: &str) {
    let refused = seen(file_type, bytes).unwrap_err();
    assert!(refused.starts_with("file: ") && refused.contains(words), "{refused}");
}

#[test]
fn whole_files_are_counted_by_line() {
    assert_eq!(lines(FileType::Jsonl, "{\"a\": 1}\n\n[2]\r\n\"three\""), 4);
    assert_eq!(lines(FileType::Jsonl, "\u{feff}{}\n"), 1);
    assert_eq!(lines(FileType::Csv, "a,b\n1,\"x\ny\"\n"), 3);
    assert_eq!(lines(FileType::Tsv, "a\tb\n1\t2"), 2);
    assert_eq!(lines(FileType::Json, "{\"a\":\n [1, 2]}\n"), 2);
    assert_eq!(lines(FileType::Txt, "anything, \"goes\n"), 1);
    assert_eq!(lines(FileType::Yaml, "a: 1\n"), 1);
    for file_type in [FileType::Jsonl, FileType::Csv, FileType::Txt] {
        assert_eq!(lines(file_type, ""), 0);
    }
}

#[test]
fn a_broken_line_is_named_with_what_is_wrong() {
    assert_refused(
        FileType::Jsonl,
        b"{}\n{\"a\": }\n{}\n",
        "line 2 is no JSON (expected value at character 7)",
    );
    assert_refused(FileType::Jsonl, b"{}\n{} {}\n", "line 2 is no JSON (trailing characters");
    assert_refused(FileType::Jsonl, b"{}\n\"\xff\"\n", "line 2 is not UTF-8 text");
    assert_refused(FileType::Csv, b"a,b\n1,2\n1,2,3\n", "line 3 has 3 values where the first has 2");
    assert_refused(FileType::Csv, b"a,b\n\"x\ny\",2\n3\n", "line 4 has 1 values where the first has 2");
    assert_refused(FileType::Tsv, b"a\tb\n1,2\n", "line 2 has 1 values where the first has 2");
    assert_refused(FileType::Json, b"{\"a\": 1,\n\"b\" 2}", "line 2 is where it stops to be JSON");
    assert_refused(FileType::Json, b"{} x", "line 1 is where it stops to be JSON");
    assert_refused(FileType::Json, b"", "line 1 is where it stops to be JSON");
}

#[test]
fn what_is_no_text_is_none_whatever_it_is_called() {
    for file_type in [FileType::Jsonl, FileType::Csv, FileType::Json, FileType::Txt, FileType::Xml] {
        assert_refused(
            file_type,
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
            if file_type == FileType::Jsonl { "NUL" } else { "" },
        );
    }
    assert_refused(FileType::Txt, b"a\0b", "is it a .txt file?");
    for bytes in [&b"PAR1\n\n"[..], b"", b"PAR1", b"not a table", b"PAR1\0\0\0\0PAR1", &[b'P'; 5_000]] {
        assert_refused(FileType::Parquet, bytes, "is it a .parquet file?");
    }
}

#[test]
fn a_line_without_an_end_is_refused_without_being_held() {
    let mut file = tempfile::tempfile().unwrap();
    file.set_len(0).unwrap();
    let chunk = vec![b'7'; 1024 * 1024];
    for _ in 0..=LONGEST / chunk.len() {
        file.write_all(&chunk).unwrap();
    }
    std::io::Seek::rewind(&mut file).unwrap();
    let refused = super::look_at(Path::new("none"), &file, FileType::Jsonl, "file").unwrap_err().to_string();
    assert!(refused.contains("line 1 is longer than 64 MB"), "{refused}");
}

#[test]
fn parquet_shows_its_schema_and_its_first_rows() {
    let seen = seen(FileType::Parquet, &sample(1_000)).unwrap();
    assert_eq!(seen.line_count, Some(1_000));
    let (schema, rows) = seen.snippet.split_once("}\n").unwrap();
    assert!(
        schema.contains("message examples {") && schema.contains("OPTIONAL BYTE_ARRAY prompt"),
        "{schema}"
    );
    let rows: Vec<Value> = rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows[0]["id"], 0);
    assert!(rows.len() > 5 && rows.len() <= 20, "{rows:?}");
    let long = rows[1]["prompt"].as_str().unwrap();
    assert!(long.ends_with('…') && long.len() < 210, "{long}");
}

/// A Parquet file of so many rows: a number and a text, of which every second one is long.
fn sample(rows: usize) -> Vec<u8> {
    use ::parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
    use ::parquet::file::properties::WriterProperties;
    use ::parquet::file::writer::SerializedFileWriter;
    use ::parquet::schema::parser::parse_message_type;
    let schema = "message examples { REQUIRED INT64 id; OPTIONAL BYTE_ARRAY prompt (UTF8); }";
    let schema = std::sync::Arc::new(parse_message_type(schema).unwrap());
    let properties = std::sync::Arc::new(WriterProperties::builder().build());
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let ids: Vec<i64> = (0..i64::try_from(rows).unwrap()).collect();
    let texts: Vec<ByteArray> = ids
        .iter()
        .map(|id| if id % 2 == 0 { "short".into() } else { "long ".repeat(100).as_str().into() })
        .collect();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<Int64Type>().write_batch(&ids, None, None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<ByteArrayType>().write_batch(&texts, Some(&vec![1; rows]), None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    bytes
}

#[test]
fn a_parquet_file_that_is_damaged_anywhere_is_refused_or_read_and_never_more() {
    let whole = sample(50);
    for at in (0..whole.len()).step_by(7) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        drop(seen(FileType::Parquet, &bytes));
        drop(seen(FileType::Parquet, &whole[..at]));
    }
}

proptest! {
    #[test]
    fn no_bytes_are_too_odd_to_be_looked_at(
        bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'"'), Just(b','), Just(b'{'), any::<u8>()], 0..400),
    ) {
        for file_type in [FileType::Jsonl, FileType::Csv, FileType::Tsv, FileType::Json, FileType::Txt] {
            if let Err(words) = seen(file_type, &bytes) {
                prop_assert!(words.starts_with("file: "), "{}", words);
            }
        }
    }
}
