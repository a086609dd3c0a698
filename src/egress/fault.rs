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
    /// The answer did not begin, or did not go on, in time.
    #[error("the endpoint did not answer in time")]
    Timeout,
    /// No secure connection: a certificate that does not hold, or no TLS spoken at that port.
    #[error("no secure connection to the endpoint could be made")]
    Tls,
    /// A redirect, which is never followed: it could lead anywhere.
    #[error("the endpoint answered with a redirect, which is not followed: give its final URL")]
    Redirect,
    /// The answer, decompressed, is larger than the cap, in bytes.
    #[error("the endpoint's answer is larger than {} KiB", .0 / 1024)]
    BodyTooLarge(usize),
    /// The connection was closed before an answer began.
    #[error("the endpoint closed the connection without an answer")]
    Disconnected,
    /// The answer began, and the connection was closed before its end.
    #[error("the endpoint's answer broke off before its end")]
    Incomplete,
    /// What came is not HTTP.
    #[error("what the endpoint sent is not HTTP")]
    NotHttp,
    /// The body is not compressed as its headers claim.
    #[error("the endpoint's answer is not compressed as it claims")]
    Encoding,
}

impl Fault {
    /// The stable name of the error, as cases and runs show it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotAllowed => "endpoint_not_allowed",
            Self::Unreachable => "endpoint_unreachable",
            Self::Timeout => "provider_timeout",
            Self::Tls => "provider_tls",
            Self::Redirect => "provider_redirect",
            Self::BodyTooLarge(_) => "provider_body_too_large",
            Self::Disconnected => "provider_disconnected",
            Self::Incomplete => "provider_incomplete",
            Self::NotHttp => "provider_not_http",
            Self::Encoding => "provider_encoding",
        }
    }

    /// Names the fault behind a client's error, and logs its causes.
    pub(super) fn of(error: reqwest::Error) -> Self {
        let fault = classify(&error);
        let origin = error.url().map(super::origin).unwrap_or_default();
        // A URL's query may hold a key; its origin says enough.
        tracing::debug!(
            code = fault.code(),
            origin,
            cause = chain(&error.without_url()),
            "outbound call failed"
        );
        fault
    }
}

fn classify(error: &reqwest::Error) -> Fault {
    if error.is_connect() {
        if causes(error).any(is_tls) { Fault::Tls } else { Fault::Unreachable }
    } else if error.is_timeout() {
        Fault::Timeout
    } else if error.is_body() || error.is_decode() {
        broken_body(error)
    } else if causes(error).any(is_not_http) {
        Fault::NotHttp
    } else {
        Fault::Disconnected
    }
}

/// A body whose connection is whole, and which cannot be unpacked all the same, is not what it claims; one that is
/// too short for its compression broke off like any other.
fn broken_body(error: &reqwest::Error) -> Fault {
    let is_cut = |cause: &(dyn StdError + 'static)| {
        cause.is::<hyper::Error>()
            || cause
                .downcast_ref::<io::Error>()
                .is_some_and(|error| error.kind() == io::ErrorKind::UnexpectedEof)
    };
    let is_malformed = |cause: &(dyn StdError + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::InvalidInput)
    };
    match causes(error).any(is_cut) {
        true if causes(error).any(is_malformed) => Fault::NotHttp,
        true => Fault::Incomplete,
        false => Fault::Encoding,
    }
}

fn is_not_http(cause: &(dyn StdError + 'static)) -> bool {
    cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse)
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
