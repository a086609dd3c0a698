//! Cases as a file: CSV, or a line of JSON each. One page of them, as the list is paged, with the same headers; the
//! whole of them is in `download.rs`.
//!
//! Both verdicts stand in every row: the scorer's, and the one that counts.

use super::Case;
use crate::domain::cases;
use crate::domain::samples::Input;
use crate::error::{Error, Result};
use crate::http::View;
use crate::http::api::wire::plain_cell;
use crate::http::keyed::{Framing, json_rows};

/// In which form cases are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Csv,
    Json,
    Ndjson,
}

const HEAD: [&str; 28] = [
    "id",
    "result_id",
    "sample_id",
    "epoch",
    "state",
    "score",
    "reason",
    "error",
    "scorer_state",
    "scorer_score",
    "scorer_reason",
    "overruled_by",
    "overruled_at",
    "overrule_reason",
    "answer_removed_at",
    "answer",
    "target",
    "response",
    "input",
    "latency_ms",
    "input_tokens",
    "output_tokens",
    "cost_usd",
    "error_message",
    "truncated",
    "attempts",
    "created_at",
    "reasoning",
];

impl Format {
    /// # Errors
    /// `Invalid` naming the parameter.
    pub(super) fn parse(word: Option<&str>) -> Result<Self> {
        match word {
            None | Some("json") => Ok(Self::Json),
            Some("csv") => Ok(Self::Csv),
            Some("ndjson" | "jsonl") => Ok(Self::Ndjson),
            Some(_) => Err(Error::invalid("format", "format must be json, csv or ndjson")),
        }
    }

    /// Makes a view of no cases in that form; `name` is what the file is called, without an ending.
    pub(super) fn view(self, name: &str) -> View {
        let view = View::bytes(self.content_type(), []);
        match self {
            Self::Json => view,
            Self::Csv | Self::Ndjson => view.download(format!("{name}.{}", self.ending())),
        }
    }

    /// Returns what stands between cases in that form.
    pub(super) const fn framing(self) -> Framing {
        match self {
            Self::Json => Framing::Array,
            Self::Csv | Self::Ndjson => Framing::Plain,
        }
    }

    /// Writes cases in that form, the first of them with the head.
    ///
    /// # Errors
    /// `Internal` when they cannot be written.
    pub(super) fn rows(self, cases: &[cases::Case], shows_targets: bool, is_first: bool) -> Result<Vec<u8>> {
        match self {
            Self::Json => json_rows(cases.iter().map(|case| Case::new(case, shows_targets))),
            Self::Csv => csv(cases, shows_targets, is_first),
            Self::Ndjson => lines(cases, shows_targets),
        }
    }

    const fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
        }
    }

    const fn ending(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Ndjson => "ndjson",
        }
    }
}

fn lines(cases: &[cases::Case], shows_targets: bool) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    for case in cases {
        serde_json::to_writer(&mut body, &Case::new(case, shows_targets)).map_err(Error::internal)?;
        body.push(b'\n');
    }
    Ok(body)
}

fn csv(cases: &[cases::Case], shows_targets: bool, has_head: bool) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    if has_head {
        writer.write_record(HEAD).map_err(Error::internal)?;
    }
    for case in cases {
        writer.write_record(cells(case, shows_targets)?).map_err(Error::internal)?;
    }
    writer.into_inner().map_err(|cause| Error::internal(cause.to_string()))
}

fn cells(case: &cases::Case, shows_targets: bool) -> Result<[String; 28]> {
    let overrule = case.overrule.as_ref();
    let shown = Case::new(case, shows_targets);
    let (scorer_state, scorer_score) =
        overrule.map_or((case.state, case.score), |overrule| (overrule.scorer_state, overrule.scorer_score));
    let input = match &case.sample.input {
        Input::Text(text) => text.clone(),
        messages @ Input::Messages(_) => serde_json::to_string(messages).map_err(Error::internal)?,
    };
    let target = match shown.target.as_deref() {
        Some([only]) => only.clone(),
        Some(several) if !several.is_empty() => serde_json::to_string(several).map_err(Error::internal)?,
        _ => String::new(),
    };
    Ok([
        shown.id,
        shown.result_id,
        said(Some(&shown.sample_id)),
        shown.epoch.to_string(),
        shown.state.to_owned(),
        number(shown.score),
        said(shown.reason.as_deref()),
        said(shown.error.as_deref()),
        scorer_state.as_str().to_owned(),
        number(scorer_score),
        said(case.reason.as_deref()),
        said(overrule.map(|overrule| overrule.submitted_by.as_str())),
        number(overrule.map(|overrule| overrule.at.0)),
        said(overrule.map(|overrule| overrule.reason.as_str())),
        number(shown.answer_removed_at),
        said(shown.answer.as_deref()),
        said(Some(&target)),
        said(shown.response.as_deref()),
        said(Some(&input)),
        number(shown.latency_ms),
        number(shown.input_tokens),
        number(shown.output_tokens),
        number(shown.cost_usd),
        said(shown.error_message.as_deref()),
        shown.truncated.to_string(),
        shown.attempts.to_string(),
        shown.created_at.to_string(),
        said(shown.reasoning.as_deref()),
    ])
}

fn number(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// What came from outside; a number is left alone, though a formula could begin so.
fn said(text: Option<&str>) -> String {
    let text = text.unwrap_or_default();
    if text.parse::<f64>().is_ok() { text.to_owned() } else { plain_cell(text) }
}
