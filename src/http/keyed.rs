//! Lists whose rows may be large: which rows a page has is read first, as keys, and then the rows themselves. A page
//! that is small is made whole and kept as other reads are; a large one is sent while it is read, part by part, each in
//! a read transaction of its own. A body that cannot be read to its end breaks off; it never ends early as if it were
//! whole.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, HttpResponseBuilder};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde::Serialize;
use tokio::sync::Semaphore;

use super::Site;
use super::cache::CachePolicy;
use super::limits::Payer;
use super::send_budget::{Charge, SendBudget};
use super::sliced::SlicedParts;
use super::streams::Place;
use super::view::{Address, View};
use crate::domain::page::{RowKey, Slice, take_part};
use crate::error::{Error, Result};
use crate::store::{Store, Tx};

/// Pages up to this many bytes are made whole.
const MAX_WHOLE_BYTES: usize = 1024 * 1024;
/// Bytes of a part of a larger one, unless a single row is larger.
pub(super) const PART_BYTES: usize = 32 * 1024;

/// Writes rows one after another; the first of a body may bring a head.
pub(super) type WriteRows = Arc<dyn Fn(&mut Tx<'_>, &[RowKey], bool) -> Result<Vec<u8>> + Send + Sync>;

/// Finds the keys of the rows in a window of a list, the windows counted from 0; none behind the last.
pub(super) type NextKeys = Arc<dyn Fn(&mut Tx<'_>, i64) -> Result<Option<Vec<RowKey>>> + Send + Sync>;

/// A page of a list before its rows are read.
pub struct KeyedPage {
    keys: Slice<RowKey>,
    /// A view of no rows: what the response is besides its body.
    view: View,
    framing: Framing,
}

/// What stands around and between the rows of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// A JSON array: the rows come with commas between them.
    Array,
    /// Nothing.
    Plain,
}

impl Framing {
    const fn open(self) -> &'static [u8] {
        match self {
            Self::Array => b"[",
            Self::Plain => b"",
        }
    }

    const fn close(self) -> &'static [u8] {
        match self {
            Self::Array => b"]",
            Self::Plain => b"",
        }
    }

    /// Adds the text of rows behind others; `is_first` where there are none yet.
    fn add(self, body: &mut Vec<u8>, rows: &[u8], is_first: bool) {
        if self == Self::Array && !is_first && !rows.is_empty() {
            body.push(b',');
        }
        body.extend_from_slice(rows);
    }
}

impl KeyedPage {
    /// Makes the page of the rows at `keys`; `view` is one of no rows.
    #[must_use]
    pub fn new(keys: Slice<RowKey>, view: View, framing: Framing) -> Self {
        let view = view.part(keys.total, keys.next);
        Self { keys, view, framing }
    }

    /// Returns how long what is sent of it from `address` may be kept.
    pub(super) const fn policy_at(&self, address: &Address) -> CachePolicy {
        self.view.policy_at(address)
    }

    /// Returns whether it is sent in parts.
    pub(super) fn is_large(&self) -> bool {
        let bytes: usize = self.keys.rows.iter().map(|key| key.bytes).sum();
        bytes > MAX_WHOLE_BYTES
    }

    /// Reads all of it.
    ///
    /// # Errors
    /// What `write` returns.
    pub(super) fn whole(self, tx: &mut Tx<'_>, write: &WriteRows) -> Result<View> {
        let Self { keys, view, framing } = self;
        let mut body = framing.open().to_vec();
        framing.add(&mut body, &write(tx, &keys.rows, true)?, true);
        body.extend_from_slice(framing.close());
        Ok(view.with_body(body))
    }

    /// Sends it in parts.
    ///
    /// # Errors
    /// As [`RowStream::send`].
    pub(super) async fn send(
        self,
        site: &Site,
        caller: Payer,
        write: WriteRows,
        head: HttpResponseBuilder,
    ) -> Result<HttpResponse> {
        RowStream::new(site, caller, write, self.framing).of(self.keys.rows).send(head).await
    }

    /// Begins a response with that status and the page's headers.
    ///
    /// # Errors
    /// `Internal` when one has no valid form.
    pub(super) fn head(
        &self,
        status: StatusCode,
        address: &Address,
        tag: Option<&str>,
    ) -> Result<HttpResponseBuilder> {
        let mut head = HttpResponseBuilder::new(status);
        self.view.set_headers(address, &mut head)?;
        if let Some(tag) = tag {
            // Weak: its bytes may be read after something changed, though never the other way round.
            let tag = HeaderValue::try_from(format!("W/{tag}")).map_err(Error::internal)?;
            head.insert_header((header::ETAG, tag));
        }
        Ok(head)
    }
}

/// Writes rows as the items of a JSON array, without its brackets.
///
/// # Errors
/// `Internal` when a row has no JSON form.
pub fn json_rows(rows: impl IntoIterator<Item = impl Serialize>) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    for row in rows {
        if !text.is_empty() {
            text.push(b',');
        }
        serde_json::to_writer(&mut text, &row).map_err(Error::internal)?;
    }
    Ok(text)
}

/// Rows on their way, with room in the budget for one part at a time.
pub(super) struct RowStream {
    store: Store,
    turns: Arc<Semaphore>,
    budget: Arc<SendBudget>,
    caller: Payer,
    write: WriteRows,
    framing: Framing,
    /// The rows that are known and were not read yet.
    keys: Vec<RowKey>,
    /// Finds the keys behind those.
    more: Option<NextKeys>,
    /// The window that it looks into next.
    window: i64,
    has_head: bool,
    has_rows: bool,
    is_over: bool,
    place: Option<Place>,
}

impl RowStream {
    /// Makes a stream of no rows.
    pub(super) fn new(site: &Site, caller: Payer, write: WriteRows, framing: Framing) -> Self {
        Self {
            store: site.app.store.clone(),
            turns: Arc::clone(&site.row_turns),
            budget: Arc::clone(&site.send_budget),
            caller,
            write,
            framing,
            keys: Vec::new(),
            more: None,
            window: 0,
            has_head: false,
            has_rows: false,
            is_over: false,
            place: None,
        }
    }

    /// Adds the rows at `keys`.
    pub(super) fn of(self, keys: Vec<RowKey>) -> Self {
        Self { keys, ..self }
    }

    /// Adds the rows whose keys `more` finds, behind the others; the stream ends when `place` does.
    pub(super) fn going_on(self, more: NextKeys, place: Place) -> Self {
        Self { more: Some(more), place: Some(place), ..self }
    }

    /// Sends them as the body of `response`.
    ///
    /// # Errors
    /// `Unavailable` when too much waits to be sent; what reading the first part returns.
    pub(super) async fn send(mut self, mut response: HttpResponseBuilder) -> Result<HttpResponse> {
        let first = self.next().await?;
        let rest = stream::try_unfold(self, async |mut rows| match rows.next().await {
            Ok(part) => Ok(part.map(|part| (part, rows))),
            Err(cause) => {
                tracing::warn!(error = ?cause, "a response breaks off");
                Err(cause)
            }
        });
        let parts = stream::iter(first.map(Ok)).chain(rest);
        Ok(response.streaming(SlicedParts::new(Box::pin(parts))))
    }

    /// Reads the next part; none at the end.
    async fn next(&mut self) -> Result<Option<(Bytes, Charge)>> {
        self.find_keys().await?;
        if self.is_over {
            return Ok(None);
        }
        let (part, rest) = take_part(&self.keys, PART_BYTES);
        let (part, rest) = (part.to_vec(), rest.to_vec());
        let bytes = part.iter().map(|key| key.bytes).sum();
        let charge = if self.has_head {
            self.budget.charge_next(&self.caller, bytes).await?
        } else {
            self.budget.charge(&self.caller, bytes)?
        };
        let rows = self.read(part).await?;
        self.keys = rest;
        let mut body = if self.has_head { Vec::new() } else { self.framing.open().to_vec() };
        self.framing.add(&mut body, &rows, !self.has_rows);
        self.has_rows |= !rows.is_empty();
        self.has_head = true;
        self.find_keys().await?;
        if self.is_over {
            body.extend_from_slice(self.framing.close());
        }
        Ok(Some((body.into(), charge)))
    }

    /// Finds keys to go on with, unless there are some; it is over when there are no more, and the head was written.
    async fn find_keys(&mut self) -> Result<()> {
        while self.keys.is_empty() {
            let Some(more) = self.more.clone() else {
                self.is_over = self.has_head;
                return Ok(());
            };
            let window = self.window;
            match open(&mut self.place, read_in_turn(&self.turns, &self.store, move |tx| more(tx, window)))
                .await?
            {
                Some(keys) => self.keys = keys,
                None => self.more = None,
            }
            self.window += 1;
        }
        Ok(())
    }

    async fn read(&mut self, part: Vec<RowKey>) -> Result<Vec<u8>> {
        let (write, is_first) = (Arc::clone(&self.write), !self.has_head);
        open(&mut self.place, read_in_turn(&self.turns, &self.store, move |tx| write(tx, &part, is_first)))
            .await
    }
}

/// Reads from the store in turn with all others who read large rows: they wait without a thread.
///
/// # Errors
/// What `query` returns.
pub(super) async fn read_in_turn<T: Send + 'static>(
    turns: &Semaphore,
    store: &Store,
    query: impl FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
) -> Result<T> {
    let _turn = turns.acquire().await.map_err(Error::internal)?;
    store.read(query).await
}

/// Reads while the place is open, if there is one.
async fn open<T>(place: &mut Option<Place>, reading: impl Future<Output = Result<T>>) -> Result<T> {
    let Some(place) = place else { return reading.await };
    tokio::select! {
        read = reading => read,
        () = place.closed() => Err(Error::Unavailable("the server stops".to_owned())),
    }
}
