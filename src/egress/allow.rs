//! What the operator opens beyond the public Internet: the value of `EVALBOARD_EGRESS_ALLOW`.
//!
//! It resolves no names: an entry for a name trusts whatever that name leads to, at that port only.

use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use url::Host;

use super::address::unembed;
use crate::error::{Error, Result};

const SETTING: &str = "EVALBOARD_EGRESS_ALLOW";

/// Destinations that the operator allows though they are not public. The default allows none.
///
/// Parsed from a comma-separated list of `host:port`, `address:port`, `[v6]:port` and CIDR ranges. An entry
/// also allows plain http there, and its port; a range allows every port.
#[derive(Debug, Clone, Default)]
pub struct Allow {
    names: HashSet<(String, u16)>,
    addresses: HashSet<(IpAddr, u16)>,
    ranges: Vec<IpNet>,
}

impl Allow {
    /// Whether the operator named this very host and port; then every address it leads to is allowed.
    pub(super) fn names(&self, name: &str, port: u16) -> bool {
        self.names.contains(&(fold(name), port))
    }

    /// Whether `ip` may be called though it is not public. Without a port, only the ranges count.
    pub(super) fn opens(&self, ip: IpAddr, port: Option<u16>) -> bool {
        let ip = unembed(ip);
        port.is_some_and(|port| self.addresses.contains(&(ip, port)))
            || self.ranges.iter().any(|range| range.contains(&ip))
    }

    /// Whether there is an address that [`Allow::opens`] at this port.
    pub(super) fn opens_some(&self, port: u16) -> bool {
        !self.ranges.is_empty() || self.addresses.iter().any(|(_, listed)| *listed == port)
    }

    /// Whether any entry holds for every port.
    pub(super) fn has_ranges(&self) -> bool {
        !self.ranges.is_empty()
    }

    /// The ports that entries are bound to.
    pub(super) fn ports(&self) -> BTreeSet<u16> {
        let names = self.names.iter().map(|(_, port)| *port);
        names.chain(self.addresses.iter().map(|(_, port)| *port)).collect()
    }

    fn add(&mut self, entry: &str) -> Result<()> {
        if entry.contains('/') {
            let range = entry.parse::<IpNet>().map_err(|_| refuse(entry, "is not a CIDR range"))?;
            self.ranges.push(range);
            return Ok(());
        }
        let (host, port) = split(entry)?;
        match Host::parse(host).map_err(|_| refuse(entry, "has no readable host"))? {
            Host::Domain(name) => self.names.insert((fold(&name), port)),
            Host::Ipv4(ip) => self.addresses.insert((ip.into(), port)),
            Host::Ipv6(ip) => self.addresses.insert((unembed(ip.into()), port)),
        };
        Ok(())
    }
}

impl FromStr for Allow {
    type Err = Error;

    fn from_str(list: &str) -> Result<Self> {
        let mut allow = Self::default();
        for entry in list.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            allow.add(entry)?;
        }
        Ok(allow)
    }
}

/// One spelling of a name: DNS knows neither case nor the final dot.
pub(super) fn fold(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

fn split(entry: &str) -> Result<(&str, u16)> {
    let (host, port) = entry.rsplit_once(':').ok_or_else(|| refuse(entry, "has no port"))?;
    if host.contains(':') && !host.starts_with('[') {
        return Err(refuse(entry, "is ambiguous: write an IPv6 address in brackets, as [::1]:8000"));
    }
    match port.parse() {
        Ok(port) if port > 0 => Ok((host, port)),
        _ => Err(refuse(entry, "has no port between 1 and 65535")),
    }
}

fn refuse(entry: &str, why: &str) -> Error {
    let forms = "entries are host:port, address:port, [v6]:port or a range such as 10.1.0.0/16";
    Error::invalid(SETTING, format!("{SETTING}: '{entry}' {why} ({forms}, separated by commas)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(list: &str) -> Allow {
        list.parse().unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_empty_list_allows_nothing() {
        for list in ["", "  ", ",", " , ,"] {
            let allow = parse(list);
            assert!(
                !allow.opens(ip("127.0.0.1"), Some(80)) && !allow.has_ranges() && allow.ports().is_empty()
            );
        }
    }

    #[test]
    fn an_address_is_allowed_at_its_port_only() {
        let allow = parse("127.0.0.1:9000, [::1]:9001");
        assert!(allow.opens(ip("127.0.0.1"), Some(9000)));
        assert!(allow.opens(ip("::ffff:127.0.0.1"), Some(9000)));
        assert!(allow.opens(ip("::1"), Some(9001)));
        for (address, port) in [("127.0.0.1", Some(9001)), ("127.0.0.2", Some(9000)), ("127.0.0.1", None)] {
            assert!(!allow.opens(ip(address), port), "{address} {port:?}");
        }
        assert!(allow.opens_some(9000) && !allow.opens_some(9002));
    }

    #[test]
    fn a_range_is_allowed_at_every_port() {
        let allow = parse("10.1.0.0/16,fd00:1::/32");
        for address in ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "fd00:1::5"] {
            assert!(allow.opens(ip(address), None), "{address}");
        }
        assert!(!allow.opens(ip("10.2.0.1"), Some(80)));
        assert!(allow.opens_some(1));
    }

    #[test]
    fn a_name_is_one_name_however_it_is_written() {
        let allow = parse("LiteLLM.Example.:4000");
        assert!(allow.names("litellm.example", 4000) && allow.names("litellm.EXAMPLE.", 4000));
        assert!(!allow.names("litellm.example", 4001) && !allow.names("example", 4000));
    }

    #[test]
    fn ports_are_those_of_names_and_addresses() {
        assert_eq!(parse("a:3,127.0.0.1:1,b:1,10.0.0.0/8").ports(), BTreeSet::from([1, 3]));
    }

    #[test]
    fn a_bad_entry_is_named_with_what_is_wrong() {
        for (list, why) in [
            ("localhost", "has no port"),
            ("127.0.0.1", "has no port"),
            ("::1:9000", "brackets"),
            ("127.0.0.1:0", "between 1 and 65535"),
            ("127.0.0.1:65536", "between 1 and 65535"),
            ("127.0.0.1:http", "between 1 and 65535"),
            ("127.0.0.1:*", "between 1 and 65535"),
            ("10.0.0.0/33", "CIDR"),
            ("http://10.0.0.1:80", "CIDR"),
            ("10.0.0.0/8:80", "CIDR"),
            (":80", "host"),
            ("a b:80", "host"),
            ("[::1:80", "host"),
            ("user@host:80", "host"),
        ] {
            let message = format!("127.0.0.1:1,{list}").parse::<Allow>().unwrap_err().to_string();
            assert!(message.contains(why) && message.contains(&format!("'{list}'")), "{list}: {message}");
        }
    }
}
