//! The encoding of a text that came as bytes: UTF-8, with or without a byte order mark, and nothing else.

use crate::error::{Error, Result};

/// The mark that some programs put before UTF-8.
const UTF_8_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];
/// Bytes that decide.
pub const MARK_LENGTH: usize = 4;

/// Returns `text` without the byte order mark of UTF-8 that it may begin with. The first [`MARK_LENGTH`] bytes are
/// enough to decide, or all there are.
///
/// # Errors
/// `Invalid` when it begins as UTF-16 or UTF-32 does.
pub fn without_mark(text: &[u8]) -> Result<&[u8]> {
    let encoding = match text {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => "UTF-32",
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "UTF-16",
        // No JSON and no header of a table begins with a NUL or has one as its second byte.
        [0, _, ..] | [_, 0, ..] => "UTF-16",
        _ => return Ok(text.strip_prefix(&UTF_8_MARK).unwrap_or(text)),
    };
    Err(Error::bad_request(format!("the text is encoded as {encoding}: save it as UTF-8")))
}

/// Returns `bytes` as text.
///
/// # Errors
/// The byte that is not UTF-8 and its place, in words.
pub fn utf8(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|cause| {
        let at = cause.valid_up_to();
        let byte = bytes.get(at).copied().unwrap_or_default();
        format!("not UTF-8 text (0x{byte:02X} at byte {}): save the file as UTF-8", at + 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_of_utf_8_is_left_out() {
        for (bytes, text) in [
            (b"\xef\xbb\xbf{}".as_slice(), b"{}".as_slice()),
            (b"{}", b"{}"),
            (b"\xef\xbb\xbf", b""),
            (b"", b""),
            (b"\xef\xbb\xbf\xef\xbb\xbf", b"\xef\xbb\xbf"),
        ] {
            assert_eq!(without_mark(bytes).unwrap(), text);
        }
    }

    #[test]
    fn other_encodings_are_named() {
        for (bytes, name) in [
            (b"\xff\xfe{\0}\0".as_slice(), "UTF-16"),
            (b"\xfe\xff\0{\0}", "UTF-16"),
            (b"{\0}\0", "UTF-16"),
            (b"\0{\0}", "UTF-16"),
            (b"\xff\xfe\0\0{\0\0\0", "UTF-32"),
            (b"\0\0\xfe\xff\0\0\0{", "UTF-32"),
        ] {
            let refused = without_mark(bytes).unwrap_err().to_string();
            assert_eq!(refused, format!("the text is encoded as {name}: save it as UTF-8"), "{bytes:?}");
        }
    }

    #[test]
    fn a_byte_of_another_encoding_has_a_place() {
        assert_eq!(utf8("é".as_bytes()), Ok("é"));
        assert_eq!(utf8(b"caf\xe9").unwrap_err(), "not UTF-8 text (0xE9 at byte 4): save the file as UTF-8");
    }
}
