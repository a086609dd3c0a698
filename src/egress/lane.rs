//! What the text of a URL settles before anything is looked up: whether it may be called at all, and what
//! its name must lead to.
//!
//! It resolves nothing; names are judged again, by address, in the resolver.

use std::net::IpAddr;

use url::{Host, ParseError, Url};

use super::address::is_public;
use super::allow::{Allow, fold};

/// Ports that models are commonly served at; any other needs the operator's word.
const USUAL_PORTS: [u16; 5] = [443, 80, 8000, 8080, 8443];

/// Names that mean this machine, whatever a resolver answers.
const LOOPBACK_NAMES: [&str; 6] = [
    "localhost",
    "localhost.localdomain",
    "localhost6",
    "localhost6.localdomain6",
    "ip6-localhost",
    "ip6-loopback",
];

/// Why a URL is refused. The texts tell nothing but what the URL itself says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("is not a URL that can be read: {0}")]
    Unreadable(ParseError),
    #[error("must be a URL of at most {0} characters")]
    Length(usize),
    #[error("must begin with https:// (http:// is for addresses in the operator's EVALBOARD_EGRESS_ALLOW)")]
    Scheme,
    #[error("must not carry a user name or password: keys have their own field")]
    Userinfo,
    #[error("must not have a #fragment")]
    Fragment,
    #[error("must name a host")]
    Host,
    #[error(
        "must use port 443, 80, 8000, 8080 or 8443, not {0} (others are for addresses in the operator's \
         EVALBOARD_EGRESS_ALLOW)"
    )]
    Port(u16),
    #[error(
        "must lead to a public address (private ones need an entry in the operator's EVALBOARD_EGRESS_ALLOW)"
    )]
    Address,
}

impl From<ParseError> for Refusal {
    fn from(error: ParseError) -> Self {
        match error {
            // What is meant by "api.example.com/v1" is clear; only its beginning is missing.
            ParseError::RelativeUrlWithoutBase => Self::Scheme,
            error => Self::Unreadable(error),
        }
    }
}

/// Which addresses a name may lead to when no entry names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Reach {
    /// Public ones, and those the operator opened.
    Public,
    /// Those the operator opened: the URL is plain http, or at an unusual port.
    Opened,
}

/// What the resolver must know of a URL beyond the name it is asked for.
///
/// A resolver is not told the port, so each lane has a client of its own. There are few: two for each port in
/// the operator's list, and two for all other ports together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Lane {
    /// The URL's port if the operator's list has an entry for it.
    pub(super) port: Option<u16>,
    pub(super) reach: Reach,
}

impl Lane {
    /// Every lane that [`Lane::of`] can answer.
    pub(super) fn all(allow: &Allow) -> Vec<Self> {
        let mut lanes = vec![Self { port: None, reach: Reach::Public }];
        if allow.has_ranges() {
            lanes.push(Self { port: None, reach: Reach::Opened });
        }
        for port in allow.ports() {
            lanes.extend([Reach::Public, Reach::Opened].map(|reach| Self { port: Some(port), reach }));
        }
        lanes
    }

    /// Judges a URL by its text, with a literal address fully and a name as far as that goes.
    pub(super) fn of(url: &Url, allow: &Allow) -> Result<Self, Refusal> {
        let (host, port) = parts(url)?;
        let irregular = match url.scheme() {
            "https" if USUAL_PORTS.contains(&port) => None,
            "https" => Some(Refusal::Port(port)),
            _ => Some(Refusal::Scheme),
        };
        let lane = Self {
            port: allow.ports().contains(&port).then_some(port),
            reach: if irregular.is_none() { Reach::Public } else { Reach::Opened },
        };
        let refused = match host {
            Host::Ipv4(ip) => judge_literal(ip.into(), port, irregular, allow),
            Host::Ipv6(ip) => judge_literal(ip.into(), port, irregular, allow),
            Host::Domain(name) => judge_name(name, port, irregular, allow),
        };
        refused.map_or(Ok(lane), Err)
    }

    /// Whether a URL of this lane whose host is `name` may be connected to `ip`.
    pub(super) fn admits(self, name: &str, ip: IpAddr, allow: &Allow) -> bool {
        self.port.is_some_and(|port| allow.names(name, port))
            || allow.opens(ip, self.port)
            || (self.reach == Reach::Public && is_public(ip))
    }
}

/// Host and port of a URL that has nothing in it that we never send.
fn parts(url: &Url) -> Result<(Host<&str>, u16), Refusal> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Refusal::Scheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Refusal::Userinfo);
    }
    if url.fragment().is_some() {
        return Err(Refusal::Fragment);
    }
    url.host().zip(url.port_or_known_default()).ok_or(Refusal::Host)
}

fn judge_literal(ip: IpAddr, port: u16, irregular: Option<Refusal>, allow: &Allow) -> Option<Refusal> {
    if allow.opens(ip, Some(port)) {
        None
    } else if is_public(ip) {
        irregular
    } else {
        Some(Refusal::Address)
    }
}

fn judge_name(name: &str, port: u16, irregular: Option<Refusal>, allow: &Allow) -> Option<Refusal> {
    let name = fold(name);
    if allow.names(&name, port) {
        None
    } else if name.is_empty() {
        Some(Refusal::Host)
    } else if means_this_machine(&name) {
        // Not even a range that holds 127.0.0.1 allows these: they lead to ::1 as well, by surprise.
        Some(Refusal::Address)
    } else {
        irregular.filter(|_| !allow.opens_some(port))
    }
}

fn means_this_machine(name: &str) -> bool {
    LOOPBACK_NAMES.contains(&name) || name.ends_with(".localhost")
}
