//! Parquet: rows as its footer counts them; what is shown is the schema and the first rows.
//!
//! The limits here go by what the file claims of itself, so that an honest large file is refused in clear words. What
//! holds against a file that lies are the limits of the process this runs in (`sandbox.rs`).

use std::panic::{AssertUnwindSafe, catch_unwind};

use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, FileReader, SerializedFileReader};
use parquet::schema::printer::print_schema;
use serde_json::Value;

use super::Fault;
use crate::domain::training_sets::Glance;

/// Rows that are shown.
const ROWS: usize = 20;
/// Bytes that are shown, of the schema and of the rows.
const SHOWN: usize = 4 * 1024;
/// Characters of a cell that are shown.
const CELL: usize = 200;
/// Columns of a file, nested ones counted.
const MAX_COLUMNS: usize = 10_000;
/// Bytes that the first row group may unpack to; of a larger one no rows are shown.
const UNPACKED: i64 = 256 * 1024 * 1024;

/// Looks at a file.
///
/// # Errors
/// It is not Parquet, or broken.
pub(super) fn look(file: impl ChunkReader + 'static) -> Result<Glance, Fault> {
    catch_unwind(AssertUnwindSafe(|| read(file)))
        .unwrap_or_else(|_| Err(Fault::Whole("it is broken".to_owned())))
}

fn read(file: impl ChunkReader + 'static) -> Result<Glance, Fault> {
    let reader = SerializedFileReader::new(file).map_err(broken)?;
    let about = reader.metadata().file_metadata();
    let columns = about.schema_descr().num_columns();
    if columns > MAX_COLUMNS {
        return Err(Fault::Whole(format!("it has {columns} columns, of {MAX_COLUMNS} at most")));
    }
    let mut schema = Vec::new();
    print_schema(&mut schema, about.schema());
    let mut snippet = cut(&String::from_utf8_lossy(&schema), SHOWN);
    if !snippet.ends_with('\n') {
        snippet.push('\n');
    }
    snippet.push_str(&rows(&reader)?);
    Ok(Glance { line_count: Some(about.num_rows()), snippet })
}

/// The first rows, each as a line of JSON.
fn rows(reader: &impl FileReader) -> Result<String, Fault> {
    let first = reader.metadata().row_groups().first();
    if first.is_none_or(|group| group.total_byte_size() > UNPACKED) {
        return Ok(String::new());
    }
    let mut text = String::new();
    for row in reader.get_row_iter(None).map_err(broken)?.take(ROWS) {
        let line = shorten(row.map_err(broken)?.to_json_value()).to_string();
        if text.len().saturating_add(line.len()) > SHOWN {
            break;
        }
        text.push_str(&line);
        text.push('\n');
    }
    Ok(text)
}

/// The value with long texts cut.
fn shorten(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(cut(&text, CELL)),
        Value::Array(items) => items.into_iter().map(shorten).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, each)| (name, shorten(each))).collect(),
        other => other,
    }
}

fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    format!("{}…", text.get(..text.floor_char_boundary(most)).unwrap_or_default())
}

fn broken(cause: ParquetError) -> Fault {
    Fault::Whole(format!("it cannot be read ({cause})"))
}
