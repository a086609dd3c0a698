//! Cases as a file: CSV, or a line of JSON each. Page by page as the list is, with the same headers.
//!
//! Both verdicts stand in every row: the scorer's, and the one that counts.

use super::Case;
use crate::domain::cases;
use crate::domain::page::Slice;
use crate::domain::samples::Input;
use crate::error::{Error, Result};
use crate::http::View;
use crate::http::api::wire::plain_cell;

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

    /// A page of cases in that form.
    ///
    /// # Errors
    /// `Internal` when they cannot be written.
    pub(super) fn view(self, cases: Slice<cases::Case>, shows_targets: bool) -> Result<View> {
        let (total, next) = (cases.total, cases.next);
        let (content_type, body, name) = match self {
            Self::Json => return View::list(cases.map(|case| Case::new(&case, shows_targets))),
            Self::Csv => ("text/csv; charset=utf-8", csv(&cases.rows, shows_targets)?, "cases.csv"),
            Self::Ndjson => ("application/x-ndjson", lines(&cases.rows, shows_targets)?, "cases.ndjson"),
        };
        Ok(View::bytes(content_type, body).part(total, next).download(name))
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

fn csv(cases: &[cases::Case], shows_targets: bool) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(HEAD).map_err(Error::internal)?;
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
