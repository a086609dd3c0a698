//! A training set: a dataset file that anybody may download, and what of it can be shown at a glance.
//!
//! It does not parse the file: lines are counted, not understood.

use super::files::{self, File};
use super::id::{TrainingSetId, TrainingSetKey, UserKey};
use super::text;
use super::time::Millis;
use crate::error::{Error, Result};

/// Lines that a snippet shows at most.
const SNIPPET_LINES: usize = 20;
/// Bytes that it shows at most.
const SNIPPET_BYTES: usize = 8 * 1024;

/// A training set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainingSet {
    /// Table key.
    pub key: TrainingSetKey,
    /// Public id.
    pub id: TrainingSetId,
    /// Whose it is.
    pub owner: UserKey,
    /// The owner's e-mail address.
    pub submitted_by: String,
    /// What the owner says of it.
    pub card: Card,
    /// The file itself.
    pub file: File,
    /// How the file is written, as the API names it.
    pub file_type: String,
    /// What was seen of it.
    pub glance: Glance,
    /// When it was added.
    pub created_at: Millis,
    /// When it was last changed.
    pub updated_at: Millis,
}

/// All that a person may say of a training set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// 1-100 characters; may repeat.
    pub name: String,
    /// At most 1,000 characters.
    pub description: String,
}

impl Card {
    /// The card in its stored form.
    ///
    /// # Errors
    /// `Invalid` naming the field at fault.
    pub fn check(self) -> Result<Self> {
        Ok(Self {
            name: text::name(&self.name, "name")?,
            description: text::clean(&self.description, "description", 1_000)?,
        })
    }
}

/// How a training set is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileType {
    /// One JSON document per line.
    Jsonl,
    /// Values by commas.
    Csv,
    /// Values by tabs.
    Tsv,
    /// One JSON document.
    Json,
    /// Plain text.
    Txt,
    /// Apache Parquet: columns in binary.
    Parquet,
    /// XML.
    Xml,
    /// YAML.
    Yaml,
    /// YAML, by its other ending.
    Yml,
}

impl FileType {
    /// All there are, in the order in which people are told of them.
    pub const ALL: [Self; 9] = [
        Self::Jsonl,
        Self::Csv,
        Self::Tsv,
        Self::Json,
        Self::Txt,
        Self::Parquet,
        Self::Xml,
        Self::Yaml,
        Self::Yml,
    ];

    /// The word in the tables and the API, and the ending of such a file's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::Json => "json",
            Self::Txt => "txt",
            Self::Parquet => "parquet",
            Self::Xml => "xml",
            Self::Yaml => "yaml",
            Self::Yml => "yml",
        }
    }

    /// The type of a file by its name.
    ///
    /// # Errors
    /// `Invalid` naming `field` when the name ends in no type that is taken.
    pub fn of(file_name: &str, field: &str) -> Result<Self> {
        let extension = files::extension(file_name);
        Self::ALL.into_iter().find(|known| known.as_str() == extension).ok_or_else(|| {
            let words = Self::ALL.map(Self::as_str).join(", ");
            Error::invalid(field, format!("{field}: the file's name must end in one of {words}"))
        })
    }

    /// The content type of such a file when its owner said nothing definite.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Jsonl => "application/x-ndjson",
            Self::Csv => "text/csv",
            Self::Tsv => "text/tab-separated-values",
            Self::Json => "application/json",
            Self::Txt => "text/plain",
            Self::Parquet => "application/vnd.apache.parquet",
            Self::Xml => "application/xml",
            Self::Yaml | Self::Yml => "application/yaml",
        }
    }

    const fn is_text(self) -> bool {
        !matches!(self, Self::Parquet)
    }
}

/// What was seen of a training set's file while it went by.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Glance {
    /// Lines; a last one without an end counts. None when the file has no lines or was not seen.
    pub line_count: Option<i64>,
    /// The first 20 lines or 8 KB; empty when there is nothing to show.
    pub snippet: String,
}

/// Takes a [`Glance`] at a file, chunk by chunk. Of the file it keeps 8 KB at most.
#[derive(Debug, Clone)]
pub struct Watcher {
    is_text: bool,
    start: Vec<u8>,
    start_lines: usize,
    line_ends: i64,
    ends_within_line: bool,
}

impl Watcher {
    /// A watcher of a file of that type.
    #[must_use]
    pub const fn new(file_type: FileType) -> Self {
        let is_text = file_type.is_text();
        Self { is_text, start: Vec::new(), start_lines: 0, line_ends: 0, ends_within_line: false }
    }

    /// Sees the next bytes.
    pub fn see(&mut self, chunk: &[u8]) {
        let Some(last) = chunk.last().filter(|_| self.is_text) else { return };
        let ends = chunk.iter().filter(|byte| **byte == b'\n').count();
        self.line_ends = self.line_ends.saturating_add(i64::try_from(ends).unwrap_or(i64::MAX));
        self.ends_within_line = *last != b'\n';
        self.keep_start(chunk);
    }

    fn keep_start(&mut self, chunk: &[u8]) {
        for line in chunk.split_inclusive(|byte| *byte == b'\n') {
            let room = SNIPPET_BYTES - self.start.len();
            if self.start_lines == SNIPPET_LINES || room == 0 {
                return;
            }
            self.start.extend(line.iter().take(room));
            self.start_lines += usize::from(line.ends_with(b"\n"));
        }
    }

    /// What was seen.
    #[must_use]
    pub fn finish(self) -> Glance {
        if !self.is_text {
            return Glance::default();
        }
        let lines = self.line_ends.saturating_add(i64::from(self.ends_within_line));
        let snippet = String::from_utf8_lossy(whole_characters(&self.start));
        Glance { line_count: Some(lines), snippet: text::replace_nul(&snippet).into_owned() }
    }
}

/// Without the character that a cut may have left a part of.
fn whole_characters(bytes: &[u8]) -> &[u8] {
    match str::from_utf8(bytes) {
        Err(cause) if cause.error_len().is_none() => bytes.get(..cause.valid_up_to()).unwrap_or(bytes),
        _ => bytes,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn glance(file_type: FileType, chunks: &[&[u8]]) -> Glance {
        let mut watcher = Watcher::new(file_type);
        chunks.iter().for_each(|chunk| watcher.see(chunk));
        watcher.finish()
    }

    #[test]
    fn a_type_is_the_ending_of_the_name() {
        for (name, expected) in
            [("data.jsonl", FileType::Jsonl), ("a.b.CSV", FileType::Csv), ("x.yml", FileType::Yml)]
        {
            assert_eq!(FileType::of(name, "file").unwrap(), expected);
        }
        for name in ["data", "data.exe", ".csv", "data.jsonl.gz", "csv"] {
            let refused = FileType::of(name, "file_name");
            assert!(
                matches!(refused, Err(Error::Invalid { field: Some(field), .. }) if field == "file_name")
            );
        }
    }

    #[test]
    fn a_last_line_without_an_end_counts() {
        for (text, lines) in [("", 0), ("a", 1), ("a\n", 1), ("a\nb", 2), ("\n\n", 2), ("a\r\nb\r\n", 2)] {
            assert_eq!(glance(FileType::Txt, &[text.as_bytes()]).line_count, Some(lines), "{text:?}");
        }
    }

    #[test]
    fn a_snippet_has_twenty_lines_or_eight_kilobytes() {
        let lines: String = (0..50).map(|number| format!("{number}\n")).collect();
        let seen = glance(FileType::Csv, &[lines.as_bytes()]);
        assert_eq!((seen.line_count, seen.snippet.lines().count()), (Some(50), 20));
        assert!(seen.snippet.ends_with("19\n"));
        let wide = "é".repeat(10_000);
        assert_eq!(glance(FileType::Txt, &[b"x", wide.as_bytes()]).snippet.len(), 8 * 1024 - 1);
    }

    #[test]
    fn what_is_no_text_is_shown_as_far_as_it_can_be() {
        assert_eq!(glance(FileType::Txt, &[b"a\xff\0b\n"]).snippet, "a\u{fffd}\u{fffd}b\n");
        assert_eq!(glance(FileType::Parquet, &[b"PAR1\n\n"]), Glance::default());
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_the_bytes_come(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..10_000),
            cut in 0..10_000_usize,
        ) {
            let (one, two) = bytes.split_at(cut.min(bytes.len()));
            prop_assert_eq!(glance(FileType::Txt, &[&bytes]), glance(FileType::Txt, &[one, two]));
        }
    }
}
