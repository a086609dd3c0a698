//! Parquet as it was looked at when it came: its schema, then the first rows, each a line of JSON.

use super::{Excerpt, Sheet, json_lines};

/// The table of an excerpt; none when no rows are in it.
pub(super) fn read(excerpt: &Excerpt<'_>) -> Option<Sheet> {
    let (schema, rows) = excerpt.text.split_once("\n}\n")?;
    let sheet = json_lines::read(&Excerpt { text: rows, goes_on: false, ..*excerpt })?;
    Some(Sheet { unit: "Row", schema: Some(format!("{schema}\n}}")), ..sheet })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excerpt(text: &str) -> Excerpt<'_> {
        Excerpt { file_type: "parquet", text, goes_on: true }
    }

    #[test]
    fn rows_are_a_table_beside_their_schema() {
        let text = "message m {\n  OPTIONAL group a {\n    REQUIRED INT64 b;\n  }\n}\n{\"a\":1,\"b\":\"x\"}\n{\"a\":2}\n";
        let sheet = read(&excerpt(text)).unwrap();
        assert_eq!((sheet.unit, sheet.columns.len(), sheet.rows.len()), ("Row", 2, 2));
        assert!(sheet.schema.unwrap().ends_with("  }\n}"));
    }

    #[test]
    fn a_schema_alone_is_no_table() {
        assert!(read(&excerpt("message m {\n  REQUIRED INT64 b;\n}\n")).is_none());
        assert!(read(&excerpt("")).is_none());
    }
}
