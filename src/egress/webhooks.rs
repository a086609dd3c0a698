//! Which webhooks may be called: the value of `EVALBOARD_WEBHOOK_ALLOW`.
//!
//! It opens no private address: the guard judges every URL besides, and knows the operator's other list.

use std::str::FromStr;

use url::{Host, Url};

use super::allow::fold;
use super::origin;
use crate::error::{Error, Result};

const SETTING: &str = "EVALBOARD_WEBHOOK_ALLOW";

/// Webhooks that the operator allows. The default allows none.
///
/// Parsed from a comma-separated list of hosts (`hooks.example.com`, with or without a port) and beginnings
/// of URLs (`https://hooks.example.com/score`, which also allows what lies below that path).
#[derive(Debug, Clone, Default)]
pub struct Webhooks(Vec<Entry>);

#[derive(Debug, Clone)]
enum Entry {
    Host { host: String, port: Option<u16> },
    Below { origin: String, path: String },
}

impl Webhooks {
    /// Whether an entry allows calls to that URL.
    #[must_use]
    pub fn allow(&self, url: &Url) -> bool {
        self.0.iter().any(|entry| entry.allows(url))
    }
}

impl Entry {
    fn parse(entry: &str) -> Result<Self> {
        if !entry.contains("://") {
            return Self::host(entry);
        }
        let url = Url::parse(entry).map_err(|_| refuse(entry, "is not a URL that can be read"))?;
        let is_plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        if !matches!(url.scheme(), "http" | "https") || !is_plain || url.host().is_none() {
            return Err(refuse(
                entry,
                "must be http:// or https:// with a host and a path, and nothing else",
            ));
        }
        Ok(Self::Below { origin: origin(&url), path: url.path().trim_end_matches('/').to_owned() })
    }

    fn host(entry: &str) -> Result<Self> {
        let (name, port) = match entry.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => {
                (name, Some(port.parse().map_err(|_| refuse(entry, "has no port between 1 and 65535"))?))
            }
            _ => (entry, None),
        };
        let host = Host::parse(name).map_err(|_| refuse(entry, "has no readable host"))?;
        Ok(Self::Host { host: fold(&host.to_string()), port })
    }

    fn allows(&self, url: &Url) -> bool {
        match self {
            Self::Host { host, port } => {
                url.host_str().is_some_and(|named| fold(named) == *host)
                    && port.is_none_or(|port| url.port_or_known_default() == Some(port))
            }
            Self::Below { origin: allowed, path } => {
                let below = url.path().strip_prefix(path.as_str());
                origin(url) == *allowed && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
        }
    }
}

impl FromStr for Webhooks {
    type Err = Error;

    fn from_str(list: &str) -> Result<Self> {
        let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        entries.map(Entry::parse).collect::<Result<_>>().map(Self)
    }
}

fn refuse(entry: &str, why: &str) -> Error {
    let forms = "entries are hosts, host:port or beginnings of URLs such as https://hooks.example.com/score";
    Error::invalid(SETTING, format!("{SETTING}: '{entry}' {why} ({forms}, separated by commas)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(list: &str, url: &str) -> bool {
        list.parse::<Webhooks>().unwrap().allow(&Url::parse(url).unwrap())
    }

    #[test]
    fn nothing_is_allowed_unless_an_entry_says_so() {
        for list in ["", " , ", "other.example", "https://hooks.example:8443/", "http://hooks.example"] {
            assert!(!allows(list, "https://hooks.example/score"), "{list}");
        }
    }

    #[test]
    fn a_host_is_allowed_with_all_below_it_and_no_other_host() {
        for list in ["hooks.example", "Hooks.Example.", "a.example, hooks.example:443"] {
            assert!(allows(list, "https://hooks.example/score?x=1"), "{list}");
            assert!(!allows(list, "https://hooks.example.evil.test/"), "{list}");
            assert!(!allows(list, "https://evil.test/hooks.example"), "{list}");
        }
        assert!(!allows("hooks.example:443", "https://hooks.example:8443/"));
        assert!(allows("[::1]:9000", "http://[::1]:9000/") && !allows("[::1]", "http://[::2]/"));
        assert!(allows("127.0.0.1:9000", "http://0x7f000001:9000/"));
    }

    #[test]
    fn a_path_is_allowed_with_what_lies_below_it() {
        let list = "https://hooks.example/score";
        for (url, expected) in [
            ("https://hooks.example/score", true),
            ("https://hooks.example:443/score?version=2", true),
            ("https://hooks.example/score/strict", true),
            ("https://hooks.example/scores", false),
            ("https://hooks.example/score/../admin", false),
            ("https://hooks.example/score/%2e%2e/admin", false),
            ("http://hooks.example/score", false),
            ("https://hooks.example:8443/score", false),
            ("https://user@hooks.example/", false),
        ] {
            assert_eq!(allows(list, url), expected, "{url}");
        }
        assert!(allows("https://hooks.example/", "https://hooks.example/any"));
    }

    #[test]
    fn a_bad_entry_is_named_with_what_is_wrong() {
        for (list, why) in [
            ("ftp://hooks.example", "http:// or https://"),
            ("https://hooks.example/?key=1", "nothing else"),
            ("https://me@hooks.example/", "nothing else"),
            ("https://", "not a URL"),
            ("hooks.example:http", "between 1 and 65535"),
            ("a b", "no readable host"),
        ] {
            let message = format!("ok.example,{list}").parse::<Webhooks>().unwrap_err().to_string();
            assert!(message.contains(why) && message.contains(&format!("'{list}'")), "{list}: {message}");
        }
    }
}
