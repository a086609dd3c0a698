//! All cases of a result as one file, sent while it is read, so that memory and transactions do not grow with it.

use std::ops::Range;
use std::sync::Arc;

use actix_web::{HttpMessage, HttpRequest, HttpResponse};

use super::export::Format;
use super::shows_targets;
use crate::domain::cases::{Case, CaseFilter};
use crate::domain::id::ResultId;
use crate::domain::page::RowKey;
use crate::domain::results::EvalResult;
use crate::domain::users::Caller;
use crate::error::Result;
use crate::http::front::HeadOnly;
use crate::http::keyed::RowStream;
use crate::http::limits::Payer;
use crate::http::view::Address;
use crate::http::{Answered, Site};
use crate::service::endpoints::Endpoints;
use crate::store::cases::Span;
use crate::store::{self, Tx};

/// Cases whose keys are read at a time.
const WINDOW: i64 = 1_000;
/// Longest part of a name in a file's name, in characters.
const MAX_WORD: usize = 40;

/// The cases that a file is to hold.
#[derive(Clone)]
pub(super) struct Wanted {
    pub(super) result: ResultId,
    pub(super) caller: Caller,
    pub(super) endpoints: Endpoints,
    pub(super) filter: CaseFilter,
    pub(super) format: Format,
    /// The word of the filter.
    pub(super) state: Option<String>,
}

impl Wanted {
    /// Reads the cases at `keys` and writes them. Whether targets are shown is looked up each time: an eval may come to
    /// withhold them.
    ///
    /// # Errors
    /// `NotFound`; the store's.
    pub(super) fn rows(&self, tx: &mut Tx<'_>, keys: &[RowKey], is_first: bool) -> Result<Vec<u8>> {
        let result = store::results::get(tx, &self.result)?;
        let shows_targets = shows_targets(&result, &self.caller);
        let veil = self.endpoints.veil(tx)?;
        let cases = store::cases::at_keys(tx, result.key, self.filter, keys)?;
        let cases: Vec<Case> = cases.into_iter().map(|case| veil.case(case)).collect();
        self.format.rows(&cases, shows_targets, is_first)
    }

    /// Returns what a file of them is called, without an ending: the eval, the model, the id, and which cases.
    pub(super) fn file_name(&self, result: &EvalResult) -> String {
        let words = [word(&result.eval_name), word(&result.model_name)];
        let named = words.iter().map(String::as_str).chain([result.id.as_str()]);
        let named = named.filter(|word| !word.is_empty()).collect::<Vec<_>>().join("_");
        match &self.state {
            Some(state) => format!("{named}_{state}-cases"),
            None => format!("{named}_cases"),
        }
    }
}

/// Sends the file.
///
/// # Errors
/// `NotFound`; those of too many open streams; `Unavailable` when too much waits to be sent.
pub(super) async fn send(wanted: Wanted, request: &HttpRequest, site: &Site) -> Answered {
    let id = wanted.result.clone();
    let found = move |tx: &mut Tx<'_>| {
        let result = store::results::get(tx, &id)?;
        let span = store::cases::span(tx, result.key)?;
        Ok((result, span))
    };
    let (result, span) = site.app.store.read(found).await?;
    let mut response = HttpResponse::Ok();
    let address = Address::private(request.path());
    wanted.format.view(&wanted.file_name(&result)).set_headers(&address, &mut response)?;
    if request.extensions().get::<HeadOnly>().is_some() {
        return Ok(response.finish());
    }
    let address = site.client_address(request.peer_addr(), request.headers());
    let caller = Payer::of_caller(&wanted.caller, address);
    let place = site.streams.open(caller.clone())?;
    let (key, filter, framing) = (result.key, wanted.filter, wanted.format.framing());
    let more = move |tx: &mut Tx<'_>, window| {
        let Some(positions) = positions(span, window) else { return Ok(None) };
        store::case_keys::at_positions(tx, key, span.set, filter, positions).map(Some)
    };
    let rows = RowStream::new(
        site,
        caller,
        Arc::new(move |tx, keys, is_first| wanted.rows(tx, keys, is_first)),
        framing,
    );
    Ok(rows.going_on(Arc::new(more), place).send(response).await?)
}

/// Returns the positions of the samples in a window of those of a result, the windows counted from 0; none behind the last.
fn positions(span: Span, window: i64) -> Option<Range<i64>> {
    let step = (WINDOW / span.epochs.max(1)).max(1);
    let start = window.saturating_mul(step);
    (start < span.samples).then(|| start..start.saturating_add(step))
}

/// A name as part of a file's name: letters and digits of ASCII, and hyphens for the rest.
fn word(name: &str) -> String {
    let plain = name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' });
    let plain: String = plain.take(MAX_WORD).collect();
    let parts = plain.split('-').map(|part| part.trim_matches('.')).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_becomes_a_part_of_a_file_name() {
        for (name, expected) in [
            ("GPT-5.1 (high)", "GPT-5.1-high"),
            ("../../etc/passwd", "etc-passwd"),
            ("\"; rm -rf /", "rm-rf"),
            ("日本語", ""),
            ("...", ""),
        ] {
            assert_eq!(word(name), expected, "{name}");
        }
        assert_eq!(word(&"a".repeat(100)).len(), MAX_WORD);
    }
}
