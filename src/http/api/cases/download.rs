//! All cases of a result as one file, sent while it is read: some samples at a time, each in a read transaction of its
//! own, so that memory and transactions do not grow with the file. A file that cannot be read to its end breaks off;
//! it never ends early as if it were whole.

use std::sync::Arc;

use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::web::Data;
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use bytes::Bytes;
use futures_util::stream;

use super::export::Format;
use super::shows_targets;
use crate::domain::cases::{Case, CaseFilter};
use crate::domain::id::ResultId;
use crate::domain::results::EvalResult;
use crate::domain::users::Caller;
use crate::error::{Error, Result};
use crate::http::front::HeadOnly;
use crate::http::limits::Payer;
use crate::http::streams::Place;
use crate::http::{Answered, Site};
use crate::service::endpoints::Endpoints;
use crate::store::cases::Span;
use crate::store::{self, Tx};

/// Cases that are read at a time.
const BATCH: i64 = 100;
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

/// Sends the file.
///
/// # Errors
/// `NotFound`; those of too many open streams.
pub(super) async fn send(wanted: Wanted, request: &HttpRequest, site: Data<Site>) -> Answered {
    let id = wanted.result.clone();
    let found = move |tx: &mut Tx<'_>| {
        let result = store::results::get(tx, &id)?;
        let span = store::cases::span(tx, result.key)?;
        Ok((result, span))
    };
    let (result, span) = site.app.store.read(found).await?;
    let name = format!("{}.{}", file_name(&result, wanted.state.as_deref()), wanted.format.ending());
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, wanted.format.content_type()));
    response.insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")));
    if request.extensions().get::<HeadOnly>().is_some() {
        return Ok(response.finish());
    }
    let address = site.client_address(request.peer_addr(), request.headers());
    let place = site.streams.open(Payer::of_caller(&wanted.caller, address))?;
    let download =
        Download { site, wanted: Arc::new(wanted), span, next: 0, is_begun: false, is_over: false, place };
    Ok(response.streaming(stream::unfold(download, async |mut download| {
        let piece = download.piece().await?;
        Some((piece, download))
    })))
}

/// What a file of the cases of `result` is called, without an ending: the eval, the model, the id, and which cases.
pub(super) fn file_name(result: &EvalResult, state: Option<&str>) -> String {
    let words = [word(&result.eval_name), word(&result.model_name)];
    let named = words.iter().map(String::as_str).chain([result.id.as_str()]);
    let named = named.filter(|word| !word.is_empty()).collect::<Vec<_>>().join("_");
    match state {
        Some(state) => format!("{named}_{state}-cases"),
        None => format!("{named}_cases"),
    }
}

/// A name as part of a file's name: letters and digits of ASCII, and hyphens for the rest.
fn word(name: &str) -> String {
    let plain = name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' });
    let plain: String = plain.take(MAX_WORD).collect();
    let parts = plain.split('-').map(|part| part.trim_matches('.')).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-")
}

/// A file on its way.
struct Download {
    site: Data<Site>,
    wanted: Arc<Wanted>,
    span: Span,
    /// The position of the first sample that was not read yet.
    next: i64,
    is_begun: bool,
    is_over: bool,
    place: Place,
}

impl Download {
    /// The next bytes of the file; none at its end, and an error where it breaks off.
    async fn piece(&mut self) -> Option<Result<Bytes>> {
        if self.is_over {
            return None;
        }
        let mut piece = Vec::new();
        while piece.is_empty() && (self.next < self.span.samples || !self.is_begun) {
            let reading = self.read();
            let read = tokio::select! {
                read = reading => read,
                () = self.place.closed() => Err(Error::Unavailable("the server stops".to_owned())),
            };
            match read {
                Ok(bytes) => piece = bytes,
                Err(cause) => {
                    tracing::warn!(result = %self.wanted.result, error = ?cause, "a download breaks off");
                    self.is_over = true;
                    return Some(Err(cause));
                }
            }
            self.next += self.step();
            self.is_begun = true;
        }
        if piece.is_empty() { None } else { Some(Ok(piece.into())) }
    }

    /// Samples that are read at a time.
    fn step(&self) -> i64 {
        (BATCH / self.span.epochs.max(1)).max(1)
    }

    /// Reads some samples' cases. Whether targets are shown is looked up each time: an eval may come to withhold them.
    fn read(&self) -> impl Future<Output = Result<Vec<u8>>> + use<> {
        let (store, wanted) = (self.site.app.store.clone(), Arc::clone(&self.wanted));
        let (span, is_first) = (self.span, !self.is_begun);
        let positions = self.next..self.next + self.step();
        let read = move |tx: &mut Tx<'_>| {
            let result = store::results::get(tx, &wanted.result)?;
            let shows_targets = shows_targets(&result, &wanted.caller);
            let veil = wanted.endpoints.veil(tx)?;
            let cases = store::cases::at_positions(tx, result.key, span.set, wanted.filter, positions)?;
            let cases: Vec<Case> = cases.into_iter().map(|case| veil.case(case)).collect();
            wanted.format.piece(&cases, shows_targets, is_first)
        };
        async move { store.read(read).await }
    }
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
