//! Samples in a table: which column is what, and a row as a sample. The text of a cell is taken as it is written.

use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::IntoParams;

use super::sample::{Sample, Target};
use crate::domain::evals::Eval;
use crate::domain::samples::Input;
use crate::error::{Error, Result};
use crate::http::records::Row;

/// Names of columns that an error lists.
const MAX_NAMES: usize = 30;
/// Longest text of a column's name in an error, in characters.
const MAX_NAME: usize = 60;
/// Scorers whose targets may be JSON lists themselves.
const COMPARES_JSON: [&str; 3] = ["json_equals", "json_schema", "multi"];

/// Which columns of a table (CSV) are what; without effect on JSON. Names are separated by commas, a name with a comma
/// in it stands in quotes.
#[derive(Deserialize, IntoParams, Default)]
#[into_params(parameter_in = Query)]
pub struct Columns {
    /// The column of the inputs; `input` unless said.
    #[param(example = "question")]
    input: Option<String>,
    /// The column of the accepted answers, or several columns; `target` unless said, where there is one. Empty cells
    /// are no answer.
    #[param(example = "answer,alias")]
    target: Option<String>,
    /// The column of the ids; `id` unless said, where there is one.
    id: Option<String>,
    /// The columns of the options in their order, or one column of JSON lists; `choices` unless said, where there is
    /// one.
    #[param(example = "A,B,C,D")]
    choices: Option<String>,
    /// The column of the clusters; `cluster_id` unless said, where there is one.
    cluster_id: Option<String>,
    /// `rest` puts all other columns into the metadata, `none` leaves them out. `rest` unless said; to be said where
    /// the eval withholds its targets, since metadata is public.
    metadata: Option<String>,
    /// `comma`, `semicolon`, `tab` or `pipe`; found in the first line unless said.
    separator: Option<String>,
    /// Whether a target's cell that holds a JSON list of texts is several targets; true unless said, and false where
    /// the scorer compares JSON.
    target_lists: Option<bool>,
}

/// The places of what a sample is made of.
pub(super) struct Mapping {
    width: usize,
    input: usize,
    targets: Vec<usize>,
    id: Option<usize>,
    choices: Vec<usize>,
    cluster: Option<usize>,
    metadata: Vec<(String, usize)>,
    reads_lists: bool,
}

impl Columns {
    /// The separator that was named.
    ///
    /// # Errors
    /// `Invalid` naming the parameter.
    pub(super) fn separator(&self) -> Result<Option<u8>> {
        match self.separator.as_deref() {
            None => Ok(None),
            Some("comma" | ",") => Ok(Some(b',')),
            Some("semicolon" | ";") => Ok(Some(b';')),
            Some("tab" | "\t") => Ok(Some(b'\t')),
            Some("pipe" | "|") => Ok(Some(b'|')),
            Some(_) => Err(Error::invalid("separator", "separator must be comma, semicolon, tab or pipe")),
        }
    }

    /// Finds the columns among the names of a table for samples of `eval`.
    ///
    /// # Errors
    /// `Invalid` naming the parameter whose column is not there, or there twice.
    pub(super) fn find(&self, names: &[String], eval: &Eval) -> Result<Mapping> {
        let head = Head { names };
        let one = |parameter, named: &Option<String>| -> Result<Option<usize>> {
            match named {
                Some(name) => head.place(parameter, name).map(Some),
                None => head.default_place(parameter),
            }
        };
        let several = |parameter, named: &Option<String>| -> Result<Vec<usize>> {
            match named {
                Some(list) => {
                    list_of_names(parameter, list)?.iter().map(|name| head.place(parameter, name)).collect()
                }
                None => Ok(head.default_place(parameter)?.into_iter().collect()),
            }
        };
        let input = one("input", &self.input)?.ok_or_else(|| head.lacks("input", "input"))?;
        let mut mapping = Mapping {
            width: names.len(),
            input,
            targets: several("target", &self.target)?,
            id: one("id", &self.id)?,
            choices: several("choices", &self.choices)?,
            cluster: one("cluster_id", &self.cluster_id)?,
            metadata: Vec::new(),
            reads_lists: self.target_lists.unwrap_or(!COMPARES_JSON.contains(&eval.version.scorer.as_str())),
        };
        if self.takes_the_rest(&mapping, head, eval)? {
            mapping.metadata = head.others(&mapping)?;
        }
        Ok(mapping)
    }

    fn takes_the_rest(&self, mapping: &Mapping, head: Head<'_>, eval: &Eval) -> Result<bool> {
        match self.metadata.as_deref() {
            Some("rest") => Ok(true),
            Some("none") => Ok(false),
            Some(_) => Err(Error::invalid("metadata", "metadata must be rest or none")),
            None if eval.card.hidden_targets && head.unused(mapping).next().is_some() => {
                let message = "the eval withholds its targets, and metadata is public: metadata must be rest, which \
                               shows all other columns, or none";
                Err(Error::invalid("metadata", message))
            }
            None => Ok(true),
        }
    }
}

/// The names of a table.
#[derive(Clone, Copy)]
struct Head<'a> {
    names: &'a [String],
}

impl<'a> Head<'a> {
    /// The place of the column that `parameter` names.
    fn place(self, parameter: &str, name: &str) -> Result<usize> {
        let mut places = self.places(name);
        match (places.next(), places.next()) {
            (Some(place), None) => Ok(place),
            (None, _) => Err(self.lacks(parameter, name)),
            (Some(_), Some(_)) => {
                let message =
                    format!("{parameter}: two columns are named {:?}: give each its own name", short(name));
                Err(Error::invalid(parameter, message))
            }
        }
    }

    /// The place of the column that is named like the parameter itself.
    fn default_place(self, parameter: &str) -> Result<Option<usize>> {
        if self.places(parameter).next().is_none() {
            return Ok(None);
        }
        self.place(parameter, parameter).map(Some)
    }

    fn places<'n>(self, name: &'n str) -> impl Iterator<Item = usize> + use<'a, 'n> {
        let places = self.names.iter().enumerate().filter(move |(_, one)| one.trim() == name.trim());
        places.map(|(place, _)| place)
    }

    fn lacks(self, parameter: &str, name: &str) -> Error {
        let shown = self.names.iter().take(MAX_NAMES).map(|name| short(name)).collect::<Vec<_>>().join(", ");
        let more = if self.names.len() > MAX_NAMES { ", ..." } else { "" };
        let message = format!(
            "{parameter}: no column is named {:?}: the columns are {shown}{more}. Name the right one by \
             ?{parameter}=",
            short(name)
        );
        Error::invalid(parameter, message)
    }

    /// The columns with a name that nothing is made of.
    fn unused(self, mapping: &'a Mapping) -> impl Iterator<Item = (usize, &'a str)> {
        let is_used = move |place: usize| {
            let several = mapping.targets.iter().chain(&mapping.choices);
            place == mapping.input
                || several.chain(&mapping.id).chain(&mapping.cluster).any(|used| *used == place)
        };
        let named = self.names.iter().enumerate().map(|(place, name)| (place, name.trim()));
        named.filter(move |(place, name)| !name.is_empty() && !is_used(*place))
    }

    fn others(self, mapping: &Mapping) -> Result<Vec<(String, usize)>> {
        let others: Vec<(String, usize)> =
            self.unused(mapping).map(|(place, name)| (name.to_owned(), place)).collect();
        for (name, _) in &others {
            if self.places(name).count() > 1 {
                let message = format!(
                    "two columns are named {:?}, and metadata holds each name once: give each its own name, or say \
                     metadata=none",
                    short(name)
                );
                return Err(Error::invalid("metadata", message));
            }
        }
        Ok(others)
    }
}

impl Mapping {
    /// Makes a sample of a row.
    ///
    /// # Errors
    /// `Invalid` when it has more or fewer values than there are columns, or a cell of options is no list.
    pub(super) fn sample(&self, row: &Row) -> Result<Sample> {
        let count = row.values.len();
        if count != self.width {
            let values = if count == 1 { "1 value".to_owned() } else { format!("{count} values") };
            let message = format!("the row has {values}, and the first line names {} columns", self.width);
            return Err(Error::bad_request(message));
        }
        let cell = |place: usize| row.values.get(place).map(String::as_str).unwrap_or_default();
        let filled =
            |place: Option<usize>| place.map(cell).filter(|text| !text.is_empty()).map(str::to_owned);
        let targets: Vec<String> =
            self.targets.iter().flat_map(|place| self.targets_of(cell(*place))).collect();
        Ok(Sample {
            id: filled(self.id),
            input: Input::Text(cell(self.input).to_owned()),
            target: (!targets.is_empty()).then_some(Target::Several(targets)),
            choices: self.options(cell)?,
            metadata: self
                .metadata
                .iter()
                .map(|(name, at)| (name.clone(), Value::from(cell(*at))))
                .collect::<Map<_, _>>(),
            cluster_id: filled(self.cluster),
        })
    }

    /// The same error, with the columns where it is about targets and no column is one.
    pub(super) fn explain(&self, cause: Error, names: &[String]) -> Error {
        let Error::Invalid { field: Some(field), message } = cause else { return cause };
        if !self.targets.is_empty() || !field.ends_with(".target") {
            return Error::invalid(field, message);
        }
        let lacks = Head { names }.lacks("target", "target");
        Error::invalid(field, format!("{message}; {lacks}"))
    }

    fn targets_of(&self, text: &str) -> Vec<String> {
        if text.is_empty() {
            return Vec::new();
        }
        let list = Some(text).filter(|text| self.reads_lists && text.trim_start().starts_with('['));
        list.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_else(|| vec![text.to_owned()])
    }

    /// The options of a row: the cells of several columns up to the last one that is not empty, or a list in one.
    fn options<'r>(&self, cell: impl Fn(usize) -> &'r str) -> Result<Vec<String>> {
        if let [only] = self.choices.as_slice() {
            let text = cell(*only);
            return if text.trim().is_empty() { Ok(Vec::new()) } else { option_list(text) };
        }
        let mut options: Vec<String> = self.choices.iter().map(|place| cell(*place).to_owned()).collect();
        while options.pop_if(|last| last.is_empty()).is_some() {}
        if options.iter().any(String::is_empty) {
            return Err(Error::invalid("choices", "an option before the last one is empty"));
        }
        Ok(options)
    }
}

fn option_list(text: &str) -> Result<Vec<String>> {
    super::sample::list_of_texts(text).ok_or_else(|| {
        let message = "choices must hold a JSON list such as [\"red\", \"blue\"], or be several columns, such as \
                       ?choices=A,B,C,D";
        Error::invalid("choices", message)
    })
}

/// The names in a list by commas; a quoted one may hold a comma.
fn list_of_names(parameter: &str, list: &str) -> Result<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(list.as_bytes());
    let names = reader.records().next().and_then(Result::ok);
    let names: Vec<String> = names.iter().flatten().map(str::to_owned).collect();
    if names.is_empty() || names.iter().any(|name| name.trim().is_empty()) {
        return Err(Error::invalid(
            parameter,
            format!("{parameter} must name a column, or several by commas"),
        ));
    }
    Ok(names)
}

/// A name as an error repeats it.
fn short(name: &str) -> String {
    let visible = name.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
    visible.take(MAX_NAME).collect()
}
