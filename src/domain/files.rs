//! Files as people see them: what they may be called, what they may claim to be, and where their bytes are.
//!
//! It neither reads nor writes one; where ours lie on disk is known to the store of files alone.

use mime_guess::Mime;
use url::Url;

use super::id::BlobId;
use super::text;
use crate::error::{Error, Result};

/// Longest file name, in bytes: what file systems take.
const MAX_NAME: usize = 255;
/// Longest content type, in bytes.
const MAX_CONTENT_TYPE: usize = 200;
/// Longest address of a file elsewhere, in bytes.
const MAX_LINK: usize = 2_048;
/// Largest size that may be claimed: beyond it JSON numbers are not exact.
const MAX_SIZE: i64 = 1 << 53;
/// The content type that says nothing.
pub const UNKNOWN_TYPE: &str = "application/octet-stream";

/// A file that belongs to something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// What its owner calls it.
    pub name: String,
    /// What its owner says it is.
    pub content_type: String,
    /// Bytes: counted by us, or of a file elsewhere as claimed, if it was.
    pub size: Option<i64>,
    /// Where its bytes are.
    pub place: Place,
}

/// Where the bytes of a file are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// With us.
    Stored {
        /// The stored file.
        blob: BlobId,
        /// In hexadecimal; none while it has yet to be computed.
        sha256: Option<String>,
    },
    /// Elsewhere: never fetched, so that nothing said of it was checked.
    Linked {
        /// Its https address.
        url: String,
    },
}

impl File {
    /// Where it can be had by everybody; ours are below `public_url`.
    #[must_use]
    pub fn url(&self, public_url: &str) -> String {
        match &self.place {
            Place::Stored { blob, .. } => format!("{public_url}/files/{blob}/{}", path_segment(&self.name)),
            Place::Linked { url } => url.clone(),
        }
    }

    /// What its bytes are known by, in quotes: a file with us never changes, so its id is enough.
    #[must_use]
    pub fn etag(&self) -> Option<String> {
        match &self.place {
            Place::Stored { blob, .. } => Some(format!("\"{blob}\"")),
            Place::Linked { .. } => None,
        }
    }

    /// Its SHA-256 in hexadecimal, when we know it.
    #[must_use]
    pub fn sha256(&self) -> Option<&str> {
        match &self.place {
            Place::Stored { sha256, .. } => sha256.as_deref(),
            Place::Linked { .. } => None,
        }
    }

    /// Whether size and hash are our own findings.
    #[must_use]
    pub const fn is_verified(&self) -> bool {
        matches!(self.place, Place::Stored { .. })
    }
}

/// A file's name: 1-255 bytes that name a file and nothing but a file.
///
/// # Errors
/// `Invalid` naming `field`: empty or too long, a path, or a control or text-direction character.
pub fn file_name(text: &str, field: &str) -> Result<String> {
    let refuse = |rule: &str| Error::invalid(field, format!("{field}: a file name {rule}"));
    if !(1..=MAX_NAME).contains(&text.len()) {
        return Err(refuse("must be 1-255 bytes long"));
    }
    if text.contains(['/', '\\']) || matches!(text, "." | "..") {
        return Err(refuse("must not be a path: leave out what is before the last slash"));
    }
    if text.contains(|c: char| c.is_control() || text::misleads(c)) {
        return Err(refuse("must not contain control, text-direction or invisible characters"));
    }
    Ok(text.to_owned())
}

/// What follows the last dot of a file's name, in lower case; empty when there is none.
#[must_use]
pub fn extension(file_name: &str) -> String {
    match file_name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => extension.to_lowercase(),
        _ => String::new(),
    }
}

/// A content type such as `text/csv; charset=utf-8`, spelled as it is kept.
///
/// # Errors
/// `Invalid` naming `field`: it has not that form, or has no definite type.
pub fn content_type(text: &str, field: &str) -> Result<String> {
    let parsed =
        Some(text).filter(|text| text.len() <= MAX_CONTENT_TYPE).and_then(|text| text.parse::<Mime>().ok());
    let is_definite =
        |parsed: &Mime| !parsed.essence_str().contains('*') && !parsed.subtype().as_str().is_empty();
    parsed.filter(is_definite).map(|parsed| parsed.to_string()).ok_or_else(|| {
        Error::invalid(field, format!("{field} must be a content type such as {UNKNOWN_TYPE}"))
    })
}

/// The content type that a file of that name usually has.
#[must_use]
pub fn usual_content_type(file_name: &str) -> String {
    mime_guess::from_path(file_name).first_or_octet_stream().to_string()
}

/// A size that somebody claims.
///
/// # Errors
/// `Invalid` naming `field`: negative, or too large to be written exactly.
pub fn claimed_size(size: i64, field: &str) -> Result<i64> {
    if (0..=MAX_SIZE).contains(&size) {
        return Ok(size);
    }
    Err(Error::invalid(field, format!("{field} must be a number of bytes from 0 to {MAX_SIZE}")))
}

/// The address of a file elsewhere: https, without credentials. `public_url` is our own, below which there is
/// nothing to link to.
///
/// # Errors
/// `Invalid` naming `field`.
pub fn link(text: &str, public_url: &str, field: &str) -> Result<String> {
    let refuse = |rule: &str| Error::invalid(field, format!("{field} {rule}"));
    let url = Url::parse(text).map_err(|_| refuse("must be an https address"))?;
    if Url::parse(public_url).is_ok_and(|own| own.origin() == url.origin()) {
        return Err(refuse("names no finished upload"));
    }
    if url.scheme() != "https" || !url.has_host() {
        return Err(refuse("must be an https address"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse("must not hold a user name or password: everybody can read it"));
    }
    if url.as_str().len() > MAX_LINK {
        return Err(refuse("must be at most 2048 bytes long"));
    }
    Ok(url.into())
}

/// The stored file that an address below `public_url` names, whatever comes after its name.
#[must_use]
pub fn own_blob(text: &str, public_url: &str) -> Option<BlobId> {
    let (id, _name) = text.strip_prefix(public_url)?.strip_prefix("/files/")?.split_once('/')?;
    let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_id.then(|| BlobId::from(id.to_owned()))
}

/// A file's name as one segment of an address: all but letters, digits, `-`, `.`, `_` and `~` is escaped.
#[must_use]
pub fn path_segment(file_name: &str) -> String {
    file_name
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OWN: &str = "https://board.example/evals";

    #[test]
    fn a_file_name_is_kept_as_it_is() {
        for name in
            ["weights.bin", "a b (1).tar.gz", "モデル.gguf", ".env", "100%.csv", "a\"b.txt", &"x".repeat(255)]
        {
            assert_eq!(file_name(name, "file_name").unwrap(), name);
        }
    }

    #[test]
    fn what_is_more_than_a_file_name_is_refused() {
        for name in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "a\\b",
            "a\0b",
            "a\nb",
            "a\u{7f}",
            "gpj.\u{202e}exe",
            &"é".repeat(128),
        ] {
            let refused = file_name(name, "file_name");
            assert!(
                matches!(refused, Err(Error::Invalid { field: Some(field), .. }) if field == "file_name")
            );
        }
    }

    #[test]
    fn an_extension_is_what_follows_the_last_dot() {
        for (name, expected) in [
            ("a.bin", "bin"),
            ("a.tar.GZ", "gz"),
            ("LICENSE", ""),
            (".env", ""),
            ("a.", ""),
            ("..bin", "bin"),
        ] {
            assert_eq!(extension(name), expected, "{name}");
        }
    }

    #[test]
    fn a_content_type_has_a_type_and_a_subtype() {
        for (text, expected) in [
            ("application/octet-stream", "application/octet-stream"),
            ("Text/CSV; charset=UTF-8", "text/csv; charset=utf-8"),
            ("application/x-ndjson", "application/x-ndjson"),
            ("image/svg+xml", "image/svg+xml"),
        ] {
            assert_eq!(content_type(text, "content_type").unwrap(), expected);
        }
        let long = format!("text/{}", "x".repeat(200));
        for text in
            ["", "text", "text/", "/x", "*/*", "text/*", "text/html\r\nX-Evil: 1", "text/h\0", "té/xt", &long]
        {
            assert!(content_type(text, "content_type").is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_link_is_https_and_elsewhere() {
        assert_eq!(
            link("HTTPS://Files.Example/a b?x=1", OWN, "blob_url").unwrap(),
            "https://files.example/a%20b?x=1"
        );
        let long = format!("https://files.example/{}", "x".repeat(2_048));
        for text in [
            "",
            "weights.bin",
            "http://files.example/a",
            "ftp://files.example/a",
            "javascript:alert(1)",
            "data:text/html,x",
            "https://",
            "https://user:password@files.example/a",
            "https://user@files.example/a",
            "https://board.example/files/x/a.bin",
            "https://board.example:443/anything",
            &long,
        ] {
            let refused = link(text, OWN, "blob_url");
            assert!(
                matches!(refused, Err(Error::Invalid { field: Some(field), .. }) if field == "blob_url"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_stored_file_is_below_our_address() {
        let place = Place::Stored { blob: BlobId::from("b1".to_owned()), sha256: None };
        let file =
            File { name: "a b%/é.bin".into(), content_type: UNKNOWN_TYPE.into(), size: Some(1), place };
        assert_eq!(file.url(OWN), "https://board.example/evals/files/b1/a%20b%25%2F%C3%A9.bin");
    }

    #[test]
    fn a_claimed_size_is_a_number_of_bytes() {
        assert_eq!(claimed_size(734_003_200, "file_size").unwrap(), 734_003_200);
        for size in [-1, i64::MIN, i64::MAX, MAX_SIZE + 1] {
            assert!(claimed_size(size, "file_size").is_err(), "{size}");
        }
    }

    proptest! {
        #[test]
        fn an_accepted_name_is_safe_in_a_header_and_in_an_address(name in any::<String>()) {
            if let Ok(name) = file_name(&name, "file_name") {
                prop_assert!(!name.contains(['/', '\\', '\r', '\n', '\0']));
                prop_assert!(path_segment(&name).bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/'));
            }
        }

        #[test]
        fn an_accepted_content_type_is_one_line_of_ascii(text in "[a-z*]{0,9}/[ -~\\n]{0,30}") {
            if let Ok(kept) = content_type(&text, "content_type") {
                prop_assert!(kept.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{}", kept);
                prop_assert_eq!(content_type(&kept, "content_type").unwrap(), kept);
            }
        }

        #[test]
        fn an_accepted_link_leads_elsewhere_by_https(text in "(https?:|javascript:)?(//)?[ -~]{0,40}") {
            if let Ok(link) = link(&text, OWN, "blob_url") {
                prop_assert!(link.starts_with("https://") && !link.starts_with("https://board.example/"));
                prop_assert!(!link.contains(['\n', '<', ' ']));
            }
        }
    }
}
