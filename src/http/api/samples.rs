//! The samples of an eval: listed in their order, and replaced by a file of any length.

mod columns;
mod sample;

use actix_web::web::{Data, Payload};

use self::columns::Columns;
pub use self::sample::{Sample, Target, read_all};
use super::evals::Eval;
use super::wire::{IdParam, PageParams};
use crate::app::App;
use crate::domain::byte_order::utf8;
use crate::domain::id::EvalId;
use crate::domain::samples::SampleIds;
use crate::error::{Error, Result};
use crate::http::json;
use crate::http::keyed::{Framing, KeyedPage, json_rows};
use crate::http::records::{JsonRecords, Records, Rows};
use crate::http::{Answered, ApiError, Id, Paging, Params, Reads, Require, View, Write};
use crate::service::once::Answer;
use crate::service::samples::Replacement;
use crate::store::{self, Topic};

/// The samples of an eval's present version, in their order. Targets may be withheld.
#[utoipa::path(get, path = "/api/v1/evals/{id}/samples", tag = "Evals", params(IdParam, PageParams), responses((status = 200, description = "A page of the list", body = [Sample])))]
pub async fn list(Id(id): Id<EvalId>, reads: Reads<Paging>) -> Answered {
    let page = reads.page()?;
    let caller = reads.caller().clone();
    let read = id.clone();
    reads
        .answer_keyed(
            &[Topic::Evals],
            move |tx| {
                let eval = store::evals::get(tx, &id)?;
                let keys = store::samples::keys(tx, &eval.version.samples, page)?;
                Ok(KeyedPage::new(keys, View::bytes("application/json", []), Framing::Array))
            },
            move |tx, keys, _| {
                let eval = store::evals::get(tx, &read)?;
                let shows_targets = !eval.card.hidden_targets || caller.owns(eval.owner);
                let samples = store::samples::at_keys(tx, eval.version.samples.key, keys)?;
                json_rows(samples.into_iter().map(|sample| Sample::show(sample, shows_targets)))
            },
        )
        .await
}

/// Replaces all samples by those of the body, as many as you like: one JSON object per line (`application/x-ndjson`),
/// a JSON array of objects (`application/json`), or a table with the names of its columns in the first line
/// (`text/csv`, `text/tab-separated-values`), whose parameters say which column is what. The text is UTF-8. They are
/// the eval's only once all have come and all are good. Owner or admin.
#[utoipa::path(put, path = "/api/v1/evals/{id}/samples", tag = "Evals", params(IdParam, Columns), request_body(content = String, content_type = "application/x-ndjson", description = "One `Sample` per line, a JSON array of them, or a table.", example = "{\"input\": \"2 + 2?\", \"target\": \"4\"}\n{\"input\": \"3 + 4?\", \"target\": [\"7\", \"seven\"]}"), security(("key" = [])), responses((status = 200, description = "As it is now", body = Eval)))]
pub async fn replace(
    user: Require<Write>,
    Id(id): Id<EvalId>,
    app: Data<App>,
    Params(columns): Params<Columns>,
    records: Records,
    payload: Payload,
) -> Result<Answer, ApiError> {
    let mut replacement = Replacement::begin(&app, user.into_user(), id).await?;
    let filled = match records {
        Records::Json(records) => fill(&mut replacement, records, payload).await,
        Records::Separated(rows) => fill_from_table(&mut replacement, &columns, *rows, payload).await,
    };
    let eval = match filled {
        Ok(()) => replacement.finish().await?,
        Err(cause) => {
            replacement.abandon().await?;
            return Err(cause.into());
        }
    };
    Ok(Answer::ok(&Eval::whole(&eval))?)
}

async fn fill(replacement: &mut Replacement, mut records: JsonRecords, mut payload: Payload) -> Result<()> {
    let mut ids = SampleIds::default();
    while let Some(record) = records.next(&mut payload).await? {
        let (position, line) = (replacement.count(), records.line());
        let sample = read(&record, records.is_array()).and_then(|sample| sample.read(&mut ids, position));
        let sample = sample.map_err(|cause| at(cause, position, line))?;
        replacement.add(sample).await.map_err(|cause| at(cause, position, line))?;
    }
    Ok(())
}

async fn fill_from_table(
    replacement: &mut Replacement,
    columns: &Columns,
    mut rows: Rows,
    mut payload: Payload,
) -> Result<()> {
    let names = rows.names(columns.separator()?, &mut payload).await?;
    let mapping = columns.find(&names, replacement.eval())?;
    let mut ids = SampleIds::default();
    while let Some(row) = rows.next(&mut payload).await? {
        let position = replacement.count();
        let sample = mapping.sample(&row).and_then(|sample| sample.read(&mut ids, position));
        let sample = sample.map_err(|cause| at(cause, position, row.line))?;
        let added = replacement.add(sample).await.map_err(|cause| mapping.explain(cause, &names));
        added.map_err(|cause| at(cause, position, row.line))?;
    }
    Ok(())
}

/// Reads the sample that a record is.
fn read(record: &[u8], is_array: bool) -> Result<Sample> {
    let text = utf8(record).map_err(|cause| Error::bad_request(format!("this is {cause}")))?;
    json::parse(text.as_bytes()).map_err(|cause| match cause {
        Error::Invalid { field: None, message } => {
            let hint = if is_array { "" } else { goes_on(text) };
            let message = message
                .replace("the body is not valid JSON", "not valid JSON")
                .replace(" at line 1 column", " at column");
            Error::bad_request(format!("{message}{hint}"))
        }
        other => other,
    })
}

/// What helps where an object goes on behind its line.
fn goes_on(text: &str) -> &'static str {
    let is_begun = text.trim_start().starts_with('{') && !text.trim_end().ends_with('}');
    if is_begun { ": a sample must stand on one line, unless the file is a JSON array" } else { "" }
}

/// The same with the sample and the line that are to blame: blank lines make it another number than the sample's.
fn at(cause: Error, position: usize, line: usize) -> Error {
    let Error::Invalid { field, message } = cause else { return cause };
    let sample = format!("samples[{position}]");
    let field = match field {
        Some(field) if field.starts_with(&sample) => field,
        Some(field) => format!("{sample}.{field}"),
        None => sample,
    };
    Error::Invalid { field: Some(field), message: format!("line {line}: {message}") }
}
