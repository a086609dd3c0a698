//! Where a request comes from: the address that connected, or the one that a trusted proxy says it spoke for.
//!
//! Only `X-Forwarded-For` is read. Proxies add to it what they saw; the standard `Forwarded` they mostly pass on as a
//! client wrote it, so that believing it would let everybody choose an address.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use actix_web::http::header::{HeaderMap, HeaderName};
use ipnet::IpNet;

use crate::error::{Error, Result};

const SETTING: &str = "EVALBOARD_TRUSTED_PROXIES";
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The proxies whose word on an address counts. The default trusts none.
///
/// Parsed from a comma-separated list of addresses and CIDR ranges.
#[derive(Debug, Clone, Default)]
pub(super) struct Proxies(Vec<IpNet>);

impl Proxies {
    /// Who asks: from the address that connected (`peer`) back along the header, the first one that is no proxy of
    /// ours. What stands further left anybody may have written.
    pub(super) fn client(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Option<IpAddr> {
        let mut client = peer?.to_canonical();
        // A list may be spread over several headers, in their order.
        let lists: Vec<&str> =
            headers.get_all(X_FORWARDED_FOR).map(|value| value.to_str().unwrap_or_default()).collect();
        for entry in lists.iter().rev().flat_map(|list| list.rsplit(',')) {
            if !self.trusts(client) {
                break;
            }
            // What cannot be read is not believed, and neither is what stands before it.
            let Some(before) = address(entry.trim()) else { break };
            client = before;
        }
        Some(client)
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|range| range.contains(&address))
    }
}

/// An address as proxies write it: alone, or with the port it came from.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    bare.parse::<IpAddr>().ok().or_else(with_port).map(|address| address.to_canonical())
}

impl FromStr for Proxies {
    type Err = Error;

    fn from_str(list: &str) -> Result<Self> {
        let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        entries.map(range).collect::<Result<_>>().map(Self)
    }
}

fn range(entry: &str) -> Result<IpNet> {
    let one = || entry.parse::<IpAddr>().ok().map(|address| IpNet::from(address.to_canonical()));
    entry.parse::<IpNet>().ok().or_else(one).ok_or_else(|| {
        let message = format!(
            "'{entry}' in {SETTING} is neither an address nor a CIDR range: write for example 127.0.0.1,10.0.0.0/8"
        );
        Error::invalid(SETTING, message)
    })
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn client(trusted: &str, peer: &str, lists: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for list in lists {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_str(list).unwrap());
        }
        let proxies: Proxies = trusted.parse().unwrap();
        proxies.client(Some(peer.parse().unwrap()), &headers).unwrap().to_string()
    }

    #[test]
    fn nobody_is_believed_unless_the_operator_says_so() {
        assert_eq!(client("", "127.0.0.1", &["192.0.2.7"]), "127.0.0.1");
        assert_eq!(client("10.0.0.0/8", "127.0.0.1", &["192.0.2.7"]), "127.0.0.1");
    }

    #[test]
    fn the_nearest_address_that_is_no_proxy_of_ours_is_who_asks() {
        for (trusted, lists, expected) in [
            ("127.0.0.1", &["192.0.2.7"][..], "192.0.2.7"),
            ("127.0.0.0/8", &["203.0.113.9, 192.0.2.7"], "192.0.2.7"),
            ("127.0.0.1,10.0.0.0/8", &["203.0.113.9, 192.0.2.7, 10.1.2.3"], "192.0.2.7"),
            ("127.0.0.1,10.0.0.0/8", &["203.0.113.9", "192.0.2.7,10.1.2.3"], "192.0.2.7"),
            ("127.0.0.1", &["192.0.2.7:4711"], "192.0.2.7"),
            ("127.0.0.1", &["[2001:db8::5]:4711"], "2001:db8::5"),
            ("127.0.0.1", &["[2001:db8::5]"], "2001:db8::5"),
            ("127.0.0.1", &["::ffff:192.0.2.7"], "192.0.2.7"),
            ("127.0.0.1,::1", &["::1"], "::1"),
        ] {
            assert_eq!(client(trusted, "127.0.0.1", lists), expected, "{lists:?}");
        }
        assert_eq!(client("127.0.0.1", "::ffff:127.0.0.1", &["192.0.2.7"]), "192.0.2.7");
    }

    #[test]
    fn what_cannot_be_read_is_not_believed_nor_what_stands_before_it() {
        for list in ["", "unknown", "192.0.2.7, _hidden", "192.0.2.7, 1.2.3", "192.0.2.7,"] {
            assert_eq!(client("127.0.0.1", "127.0.0.1", &[list]), "127.0.0.1", "{list}");
        }
    }

    #[test]
    fn a_list_that_cannot_be_read_names_its_setting_and_the_fix() {
        for list in ["localhost", "10.0.0.0/33", "127.0.0.1:8080"] {
            let error = list.parse::<Proxies>().unwrap_err().to_string();
            assert!(error.contains(SETTING) && error.contains("10.0.0.0/8"), "{error}");
        }
        assert!(" , ".parse::<Proxies>().is_ok());
    }
}
