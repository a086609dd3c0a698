//! The one way out: an HTTP client that calls only where it may, for URLs that users gave us.
//!
//! It refuses every address that is not public unless the operator opened it, judging the very addresses it
//! connects to. It follows no redirects, knows no proxies, leaves trying again to its callers, and reads no
//! meaning into answers.

mod address;
mod allow;
mod fault;
mod lane;
#[cfg(feature = "oidc")]
mod plain;
mod resolve;
#[cfg(test)]
mod tests;
mod webhooks;

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::TRANSFER_ENCODING;
use reqwest::{Client, Method, Request, RequestBuilder, Response};
use url::{Host, Url};

pub use self::address::is_public;
pub use self::allow::Allow;
pub use self::fault::Fault;
use self::lane::{Lane, Refusal};
use self::resolve::{Lookup, Screen, Unresolved};
pub use self::webhooks::Webhooks;
use crate::error::{Error, Result};

/// Longest URL that is taken, in characters.
const MAX_URL: usize = 2_048;

/// As many idle connections to one host as calls may be in flight to it.
const MAX_IDLE: usize = 100;

/// Shorter than most servers keep an idle connection, lest a call be written to one that is just closing.
const MAX_IDLE_TIME: Duration = Duration::from_secs(30);

/// How long an HTTP/2 connection with calls in flight may be silent before it is asked for a sign of life,
/// and how long it has for that: one dead connection would hold up every call on it.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the end of a body is waited for when all that matters has come.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(250);

/// How long the parts of a call may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// To look the name up, connect and agree on TLS.
    pub connect: Duration,
    /// Between two pieces of an answer. The wait for its beginning is not idling: a model thinks.
    pub idle: Duration,
    /// From the start of the call to the end of its answer, unless the request sets its own.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            idle: Duration::from_secs(30),
            total: Duration::from_secs(120),
        }
    }
}

/// Checks the URLs that users give and makes the calls to them. Clones share connections.
#[derive(Clone)]
pub struct Guard {
    allow: Arc<Allow>,
    timeouts: Timeouts,
    lookup: Lookup,
    clients: Arc<HashMap<Lane, Client>>,
}

impl Guard {
    /// A guard that opens what the operator allowed.
    ///
    /// # Errors
    /// `Internal` when TLS cannot be set up, as on a machine without certificate authorities.
    pub fn new(allow: Allow, timeouts: Timeouts) -> Result<Self> {
        Self::with_lookup(allow, timeouts, resolve::system())
    }

    fn with_lookup(allow: Allow, timeouts: Timeouts, lookup: Lookup) -> Result<Self> {
        let allow = Arc::new(allow);
        let clients = Lane::all(&allow)
            .into_iter()
            .map(|lane| {
                let screen = Screen { lane, allow: Arc::clone(&allow), lookup: Arc::clone(&lookup) };
                Ok((lane, client(screen, timeouts)?))
            })
            .collect::<Result<_>>()?;
        Ok(Self { allow, timeouts, lookup, clients: Arc::new(clients) })
    }

    /// Reads a URL once, for good: what it answers is what is stored and called, in one spelling (numeric
    /// hosts as plain addresses, no dot after a name). `field` names the culprit.
    ///
    /// # Errors
    /// `Invalid`: not https (or http to where the operator allows it), user name, password or fragment, an
    /// unusual port, an address that is not public in any spelling, or a name of this machine.
    pub fn check(&self, url: &str, field: &str) -> Result<Url> {
        self.read(url).map_err(|refusal| refuse(&refusal, field))
    }

    fn read(&self, url: &str) -> Result<Url, Refusal> {
        if url.chars().nth(MAX_URL).is_some() {
            return Err(Refusal::Length(MAX_URL));
        }
        let mut url = Url::parse(url.trim())?;
        Lane::of(&url, &self.allow)?;
        if let Some(Host::Domain(name)) = url.host() {
            let name = allow::fold(name);
            url.set_host(Some(&name))?;
        }
        Ok(url)
    }

    /// Checks where the URL's name leads now, so that a mistake shows when it is saved. A name that does not
    /// resolve (yet, or from here) is accepted: every connection is checked again.
    ///
    /// # Errors
    /// `Invalid` when any address of the name may not be called.
    pub async fn check_resolved(&self, url: &Url, field: &str) -> Result<()> {
        let lane = Lane::of(url, &self.allow).map_err(|refusal| refuse(&refusal, field))?;
        let Some(Host::Domain(name)) = url.host() else {
            return Ok(());
        };
        let screen = Screen { lane, allow: Arc::clone(&self.allow), lookup: Arc::clone(&self.lookup) };
        match tokio::time::timeout(self.timeouts.connect, screen.addresses(name)).await {
            Ok(Err(Unresolved::Refused(..))) => Err(refuse(&Refusal::Address, field)),
            _ => Ok(()),
        }
    }

    /// A request to fill in and give to [`Guard::send`].
    ///
    /// # Errors
    /// [`Fault::NotAllowed`], so that a request that exists may be sent.
    pub fn request(&self, method: Method, url: Url) -> Result<RequestBuilder, Fault> {
        Ok(self.client_for(&url)?.request(method, url))
    }

    /// Makes the call and answers with its status and headers; the body is still to be read, with
    /// [`Guard::read_capped`]. The URL is judged again: it may come from a database older than the settings,
    /// and a literal address never meets the resolver.
    ///
    /// # Errors
    /// Any [`Fault`] but a body too large. Statuses that tell of errors are answers like others.
    pub async fn send(&self, request: Request) -> Result<Response, Fault> {
        let response = self.client_for(request.url())?.execute(request).await.map_err(Fault::of)?;
        if response.status().is_redirection() {
            return Err(Fault::Redirect);
        }
        Ok(response)
    }

    /// The whole body, decompressed, if it is at most `cap` bytes. Memory stays within `cap` and one piece
    /// more, whatever is sent.
    ///
    /// # Errors
    /// [`Fault::BodyTooLarge`], [`Fault::Stalled`], [`Fault::TooSlow`] or one of a body that broke off or is not what its
    /// head claims.
    pub async fn read_capped(&self, mut response: Response, cap: usize) -> Result<Bytes, Fault> {
        let mut body = BytesMut::new();
        while let Some(piece) = self.next_piece(&mut response).await? {
            if piece.len() > cap.saturating_sub(body.len()) {
                return Err(Fault::BodyTooLarge(cap));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body.freeze())
    }

    /// Hands the body, decompressed, to `take` piece by piece, at most `cap` bytes of it, until it ends or `take` breaks.
    /// The first piece may take as long as the whole call: a model thinks, and its headers may be there at once.
    ///
    /// # Errors
    /// As of [`Guard::read_capped`].
    pub async fn read_pieces(
        &self,
        mut response: Response,
        cap: usize,
        mut take: impl FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), Fault> {
        let mut room = cap;
        let mut piece = unhurried_piece(&mut response).await?;
        while let Some(bytes) = piece {
            room = room.checked_sub(bytes.len()).ok_or(Fault::BodyTooLarge(cap))?;
            if take(&bytes).is_break() {
                drain(response).await;
                return Ok(());
            }
            piece = self.next_piece(&mut response).await?;
        }
        Ok(())
    }

    async fn next_piece(&self, response: &mut Response) -> Result<Option<Bytes>, Fault> {
        tokio::time::timeout(self.timeouts.idle, unhurried_piece(response))
            .await
            .unwrap_or(Err(Fault::Stalled))
    }

    fn client_for(&self, url: &Url) -> Result<&Client, Fault> {
        let lane = Lane::of(url, &self.allow).map_err(|refusal| {
            tracing::warn!(origin = origin(url), %refusal, "a stored URL may no longer be called");
            Fault::NotAllowed
        })?;
        self.clients.get(&lane).ok_or(Fault::NotAllowed)
    }
}

/// The next piece of a body, however long it takes within the call.
async fn unhurried_piece(response: &mut Response) -> Result<Option<Bytes>, Fault> {
    let is_chunked = response.headers().contains_key(TRANSFER_ENCODING);
    response.chunk().await.map_err(|error| Fault::of_body(error, is_chunked))
}

/// Reads what is left of a body that is good as it is, so that its connection can be used again.
async fn drain(mut response: Response) {
    let rest = async { while let Ok(Some(_)) = response.chunk().await {} };
    drop(tokio::time::timeout(DRAIN_TIMEOUT, rest).await);
}

fn client(screen: Screen, timeouts: Timeouts) -> Result<Client> {
    Client::builder()
        .user_agent(concat!("evalboard/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .dns_resolver(screen)
        .connect_timeout(timeouts.connect)
        .timeout(timeouts.total)
        .pool_max_idle_per_host(MAX_IDLE)
        .pool_idle_timeout(MAX_IDLE_TIME)
        .http2_keep_alive_interval(PING_INTERVAL)
        .http2_keep_alive_timeout(PING_TIMEOUT)
        .build()
        .map_err(Error::internal)
}

fn refuse(refusal: &Refusal, field: &str) -> Error {
    Error::invalid(field, format!("{field} {refusal}"))
}

/// `scheme://host:port`, the port always written: what a stored key is bound to and calls are limited by.
#[must_use]
pub fn origin(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or_default();
    format!("{}://{host}:{port}", url.scheme())
}
