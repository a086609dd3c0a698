//! Why an outbound call brought no usable answer.
//!
//! Faults carry no detail, so that none can leak: causes go to the log. They do not say whether to try again.

use std::error::Error as StdError;
use std::io;

/// What went wrong with a call, as far as anyone outside may know it.
///
/// An address that our resolver refused and a host that cannot be reached are the same fault, so that nobody
/// maps our network by registering names; only the log tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Fault {
    /// The URL's own text rules it out (it was stored while the operator still allowed it).
    #[error("this URL may not be called from here")]
    NotAllowed,
    /// No connection: unknown name, refused address, closed port, no route, or too slow to connect.
    #[error("the endpoint could not be reached")]
    Unreachable,
    /// The response did not begin in time.
    #[error("the endpoint did not answer in time")]
    Timeout,
    /// The response began, and no further piece of it came for longer than two pieces may be apart.
    #[error("the endpoint began to answer and then fell silent")]
    Stalled,
    /// The response began, and had not come to its end when the time of the whole call was over.
    #[error("the endpoint's response began but did not end in time: raise timeout_ms if it is only slow")]
    TooSlow,
    /// No secure connection: a certificate that does not hold, or no TLS spoken at that port.
    #[error("no secure connection to the endpoint could be made")]
    Tls,
    /// A redirect, which is never followed: it could lead anywhere.
    #[error("the endpoint answered with a redirect, which is not followed: give its final URL")]
    Redirect,
    /// The response, decompressed, is larger than the cap, in bytes.
    #[error("the endpoint's response is larger than {} KiB", .0 / 1024)]
    BodyTooLarge(usize),
    /// The head of the response has more headers, or longer ones, than are read.
    #[error("the headers of the endpoint's response are too many or too long")]
    HeadTooLarge,
    /// The connection was closed before the head of a response was whole.
    #[error("the endpoint closed the connection without a response")]
    Disconnected,
    /// The connection was reset before the head of a response was whole.
    #[error("the endpoint reset the connection without a response")]
    Reset,
    /// The response began, and the connection was closed before its end.
    #[error("the endpoint closed the connection in the middle of its response")]
    Incomplete,
    /// The response began, and the connection was reset before its end.
    #[error("the endpoint reset the connection in the middle of its response")]
    IncompleteReset,
    /// The response came in chunks, and the connection was closed before the last one.
    #[error("the endpoint closed the connection before the last chunk of its response")]
    IncompleteChunks,
    /// What came is not HTTP.
    #[error("what the endpoint sent is not HTTP")]
    NotHttp,
    /// The body is not divided into chunks as its head claims.
    #[error("the chunks of the endpoint's response have no valid sizes")]
    Chunks,
    /// The body is not compressed as its headers claim.
    #[error("the endpoint's response is not compressed as it claims")]
    Encoding,
    /// The body came whole, and what is compressed in it has no end.
    #[error("the compressed data of the endpoint's response end too early")]
    EncodingCut,
    /// The body is compressed in a way that was not asked for.
    #[error("the endpoint's response is compressed in a way that was not asked for")]
    EncodingUnknown,
}

impl Fault {
    /// The stable name of the error, as cases and runs show it. Faults that call for the same remedy share one.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotAllowed => "endpoint_not_allowed",
            Self::Unreachable => "endpoint_unreachable",
            Self::Timeout | Self::Stalled | Self::TooSlow => "provider_timeout",
            Self::Tls => "provider_tls",
            Self::Redirect => "provider_redirect",
            Self::BodyTooLarge(_) => "provider_body_too_large",
            Self::HeadTooLarge => "provider_head_too_large",
            Self::Disconnected | Self::Reset => "provider_disconnected",
            Self::Incomplete | Self::IncompleteReset | Self::IncompleteChunks => "provider_incomplete",
            Self::NotHttp | Self::Chunks => "provider_not_http",
            Self::Encoding | Self::EncodingCut | Self::EncodingUnknown => "provider_encoding",
        }
    }

    /// Names the fault behind a client's error while it waited for the head of a response, and logs its causes.
    pub(super) fn of(error: reqwest::Error) -> Self {
        logged(classify(&error), error)
    }

    /// Names the fault behind a client's error while it read a body, and logs its causes.
    pub(super) fn of_body(error: reqwest::Error, is_chunked: bool) -> Self {
        let fault = if error.is_timeout() { Self::TooSlow } else { broken_body(&error, is_chunked) };
        logged(fault, error)
    }
}

fn logged(fault: Fault, error: reqwest::Error) -> Fault {
    let origin = error.url().map(super::origin).unwrap_or_default();
    // A URL's query may hold a key; its origin says enough.
    tracing::debug!(code = fault.code(), origin, cause = chain(&error.without_url()), "outbound call failed");
    fault
}

fn classify(error: &reqwest::Error) -> Fault {
    if error.is_connect() {
        if causes(error).any(is_tls) { Fault::Tls } else { Fault::Unreachable }
    } else if error.is_timeout() {
        Fault::Timeout
    } else if hyper_errors(error).any(is_head_too_large) {
        Fault::HeadTooLarge
    } else if hyper_errors(error).any(hyper::Error::is_parse) {
        Fault::NotHttp
    } else if is_reset(error) {
        Fault::Reset
    } else {
        Fault::Disconnected
    }
}

/// The method for this is only there where hyper is built as a server.
fn is_head_too_large(error: &hyper::Error) -> bool {
    error.is_parse() && error.to_string() == "message head is too large"
}

/// Trouble with the connection is told from trouble with what came over it: only the former is an error of hyper's.
fn broken_body(error: &reqwest::Error, is_chunked: bool) -> Fault {
    let is_io = |kind| causes(error).any(|cause| io_kind(cause) == Some(kind));
    let is_connection = hyper_errors(error).next().is_some();
    match (is_connection, is_chunked) {
        (true, true) if is_io(io::ErrorKind::InvalidInput) || is_io(io::ErrorKind::InvalidData) => {
            Fault::Chunks
        }
        (true, _) if is_reset(error) => Fault::IncompleteReset,
        (true, true) => Fault::IncompleteChunks,
        (true, false) => Fault::Incomplete,
        (false, _) if is_io(io::ErrorKind::UnexpectedEof) => Fault::EncodingCut,
        (false, _) => Fault::Encoding,
    }
}

fn is_reset(error: &reqwest::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    causes(error)
        .filter_map(io_kind)
        .any(|kind| matches!(kind, BrokenPipe | ConnectionAborted | ConnectionReset))
}

fn io_kind(cause: &(dyn StdError + 'static)) -> Option<io::ErrorKind> {
    cause.downcast_ref::<io::Error>().map(io::Error::kind)
}

fn hyper_errors(error: &reqwest::Error) -> impl Iterator<Item = &hyper::Error> {
    causes(error).filter_map(|cause| cause.downcast_ref::<hyper::Error>())
}

/// While connecting, only a TLS handshake reads bytes, so only it can find them malformed or missing. The I/O
/// error that says so lies inside another one, whose `source` skips it.
fn is_tls(cause: &(dyn StdError + 'static)) -> bool {
    let Some(error) = cause.downcast_ref::<io::Error>() else {
        return false;
    };
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
        || error.get_ref().is_some_and(|inner| is_tls(inner))
}

fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

fn chain(error: &(dyn StdError + 'static)) -> String {
    causes(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
