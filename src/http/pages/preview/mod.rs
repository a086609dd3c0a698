//! What is shown of a file at a glance: its start as a table where its lines make one, else as it is written.
//!
//! It is given the start of a file and never reads one. Nothing in it is read as markup.

mod json_lines;
mod parquet;
mod separated;

use super::format;
use super::passage::{self, Fold};
use crate::domain::training_sets::FileType;

/// Columns that are shown; wider files are for programs.
const MOST_COLUMNS: usize = 100;
/// From how many characters on the text of a cell is folded.
const LONG: usize = 280;
/// From how many lines on.
const TALL: usize = 6;
/// How many characters of a folded text are shown.
const BEGINNING: usize = 160;
/// A column whose cells are all at most so many characters long is not broken into lines.
const NARROW: usize = 24;
/// Longest name of a column, in characters.
const LONGEST_NAME: usize = 120;
/// Why the last line of an excerpt is not read.
const CUT: &str = "the preview ends within this line";
/// Why a file of separated values is shown as text.
const NO_HEADS: &str = "The names of its columns are not all in it: this is the text as it is.";

/// The start of a file.
#[derive(Debug, Clone, Copy)]
pub struct Excerpt<'a> {
    /// How the file is written, as the API names it.
    pub file_type: &'a str,
    /// The start.
    pub text: &'a str,
    /// Whether the file goes on behind it.
    pub goes_on: bool,
}

impl Excerpt<'_> {
    /// Whether the last line is a part of one.
    #[must_use]
    pub fn ends_within_line(&self) -> bool {
        self.goes_on && !self.text.ends_with('\n')
    }
}

/// What is shown of a file.
#[derive(Debug)]
pub enum Preview {
    /// Its first lines, value by value.
    Table(Sheet),
    /// Its start as it is written, and why not as a table, in a sentence.
    Text(String, &'static str),
}

/// A table of what was read.
#[derive(Debug)]
pub struct Sheet {
    /// The names over the values.
    pub columns: Vec<Column>,
    /// The lines.
    pub rows: Vec<Row>,
    /// What to know of it, in sentences.
    pub notes: Vec<String>,
    /// What the numbers of the rows count.
    pub unit: &'static str,
    /// The types of the columns, where the file says them.
    pub schema: Option<String>,
}

/// A column.
#[derive(Debug)]
pub struct Column {
    /// Its name in one line; empty when it has none.
    pub name: String,
    /// The classes of its cells: numbers stand to the right, texts to the left, long ones on several lines.
    pub class: &'static str,
}

/// A line of the file: a value or none for each column, or why it has no values.
#[derive(Debug)]
pub struct Row {
    /// Its number in the file.
    pub line: String,
    /// What is in it.
    pub content: Result<Vec<Option<Cell>>, Broken>,
}

/// A line that has no values.
#[derive(Debug)]
pub struct Broken {
    /// Why not.
    pub why: &'static str,
    /// The line as it is written.
    pub text: Cell,
}

/// A value.
#[derive(Debug)]
pub struct Cell {
    /// The whole of it.
    pub text: String,
    /// What is shown of it, when it is long.
    pub fold: Option<Fold>,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Code,
}

impl Cell {
    /// A value of that kind.
    fn new(text: impl Into<String>, kind: Kind) -> Self {
        let text = text.into();
        let is_long = text.chars().nth(LONG).is_some() || text.lines().nth(TALL).is_some();
        let fold = is_long.then(|| Fold::new(passage::one_line(&text, BEGINNING), &text));
        Self { text, fold, kind }
    }

    /// Whether it is JSON and no text: a list, an object, `true`, `null`.
    #[must_use]
    pub fn is_code(&self) -> bool {
        self.kind == Kind::Code
    }

    fn is_narrow(&self) -> bool {
        self.text.chars().nth(NARROW).is_none() && !self.text.contains('\n')
    }
}

impl Row {
    fn new(line: u64, content: Result<Vec<Option<Cell>>, Broken>) -> Self {
        Self { line: format::count(i64::try_from(line).unwrap_or(i64::MAX)), content }
    }
}

impl Broken {
    fn new(why: &'static str, text: &str) -> Self {
        Self { why, text: Cell::new(text, Kind::Code) }
    }
}

impl Preview {
    /// What is shown of a file that starts so.
    #[must_use]
    pub fn of(excerpt: &Excerpt<'_>) -> Self {
        // Programs put a byte order mark before text; it belongs to no name.
        let text = excerpt.text.strip_prefix('\u{feff}').unwrap_or(excerpt.text);
        let excerpt = &Excerpt { text, ..*excerpt };
        let is = |known: FileType| excerpt.file_type == known.as_str();
        let (sheet, why) = if is(FileType::Jsonl) {
            (json_lines::read(excerpt), "There is no whole JSON object in it: this is the text as it is.")
        } else if is(FileType::Csv) {
            (separated::read(excerpt, b','), NO_HEADS)
        } else if is(FileType::Tsv) {
            (separated::read(excerpt, b'\t'), NO_HEADS)
        } else if is(FileType::Parquet) {
            (parquet::read(excerpt), "This is its schema; no rows of it are shown.")
        } else {
            (None, "Files of this format are shown as they are written.")
        };
        sheet.map_or_else(|| Self::Text(excerpt.text.to_owned(), why), Self::Table)
    }
}

impl Sheet {
    /// The table of `rows` below `names`.
    fn new(names: &[String], mut rows: Vec<Row>, mut notes: Vec<String>) -> Self {
        for cells in rows.iter_mut().filter_map(|row| row.content.as_mut().ok()) {
            cells.resize_with(names.len().min(MOST_COLUMNS), || None);
        }
        if names.len() > MOST_COLUMNS {
            let all = format::counted(i64::try_from(names.len()).unwrap_or(i64::MAX), "column");
            notes.push(format!("The first {MOST_COLUMNS} of {all}."));
        }
        let shown = names.iter().take(MOST_COLUMNS).enumerate();
        let columns = shown.map(|(at, name)| Column::new(name, column_class(&rows, at))).collect();
        Self { columns, rows, notes, unit: "Line", schema: None }
    }
}

impl Column {
    fn new(name: &str, class: &'static str) -> Self {
        Self { name: passage::one_line(name, LONGEST_NAME), class }
    }
}

/// The look of the column in that place, by all that is in it.
fn column_class(rows: &[Row], place: usize) -> &'static str {
    let cells = || rows.iter().filter_map(|row| row.content.as_ref().ok()?.get(place)?.as_ref());
    let is_nothing = |cell: &Cell| cell.text.is_empty() || cell.text == "null";
    let mut told = cells().filter(|cell| !is_nothing(cell)).peekable();
    if told.peek().is_some() && told.all(|cell| cell.kind == Kind::Number) {
        return "";
    }
    if cells().all(Cell::is_narrow) { "text" } else { "text long" }
}

#[cfg(test)]
impl Sheet {
    /// Each row: its number, then its values, `-` where there is none; or why it is broken, and its text.
    fn told(&self) -> Vec<Vec<&str>> {
        fn values(row: &Row) -> Vec<&str> {
            let number = [row.line.as_str()].into_iter();
            match &row.content {
                Ok(cells) => number.chain(cells.iter().map(value)).collect(),
                Err(broken) => number.chain([broken.why, broken.text.text.as_str()]).collect(),
            }
        }
        fn value(cell: &Option<Cell>) -> &str {
            cell.as_ref().map_or("-", |cell| cell.text.as_str())
        }
        self.rows.iter().map(values).collect()
    }

    fn names(&self) -> Vec<&str> {
        self.columns.iter().map(|column| column.name.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet(file_type: &str, text: &str) -> Sheet {
        match Preview::of(&Excerpt { file_type, text, goes_on: false }) {
            Preview::Table(sheet) => sheet,
            Preview::Text(_, why) => panic!("{why}"),
        }
    }

    fn classes(sheet: &Sheet) -> Vec<&'static str> {
        sheet.columns.iter().map(|column| column.class).collect()
    }

    #[test]
    fn a_column_looks_like_what_is_in_it() {
        let text = format!(
            "number,word,text,nothing\n1.5,short,{},\n-2,\"two\nlines\",x,\n,,,\n",
            "long ".repeat(9)
        );
        assert_eq!(classes(&sheet("csv", &text)), ["", "text long", "text long", "text"]);
        let text = "{\"a\": 1, \"b\": true}\n{\"a\": null, \"b\": \"1\"}\n";
        assert_eq!(classes(&sheet("jsonl", text)), ["", "text"]);
    }

    #[test]
    fn a_long_cell_is_folded_and_whole() {
        let (wide, tall) = ("é".repeat(LONG + 1), "a\n".repeat(TALL + 1));
        let sheet = sheet("csv", &format!("a,b,c\n{wide},\"{tall}\",{}\n", "é".repeat(LONG)));
        let cells = sheet.rows[0].content.as_ref().unwrap();
        let folds: Vec<bool> = cells.iter().map(|cell| cell.as_ref().unwrap().fold.is_some()).collect();
        assert_eq!(folds, [true, true, false]);
        assert_eq!(cells[0].as_ref().unwrap().text, wide);
    }

    #[test]
    fn five_hundred_columns_are_not_all_shown() {
        let names = (0..500).map(|at| format!("c{at}")).collect::<Vec<_>>().join(",");
        let sheet = sheet("csv", &format!("{names}\n{}\n1\n", "1,".repeat(499)));
        assert_eq!(sheet.columns.len(), MOST_COLUMNS);
        assert!(sheet.rows.iter().all(|row| row.content.as_ref().unwrap().len() == MOST_COLUMNS));
        assert!(sheet.notes.contains(&"The first 100 of 500 columns.".to_owned()), "{:?}", sheet.notes);
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_a_name() {
        assert_eq!(sheet("csv", "\u{feff}\"a,\",b\n1,2\n").names(), ["a,", "b"]);
        assert_eq!(sheet("tsv", "\u{feff}a\tb\n1\t2\n").told(), [["2", "1", "2"]]);
        assert_eq!(sheet("jsonl", "\u{feff}{\"a\": 1}\n").names(), ["a"]);
    }

    #[test]
    fn other_formats_are_text() {
        for file_type in ["xml", "json", "txt", "yaml", "parquet"] {
            let preview = Preview::of(&Excerpt { file_type, text: "a,b\n", goes_on: false });
            assert!(matches!(preview, Preview::Text(text, _) if text == "a,b\n"));
        }
    }
}
