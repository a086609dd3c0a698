//! What the yardsticks share: the command line and one HTTP/1.1 response read from a socket.
//!
//! Options are `--name value` pairs. This is no HTTP client: it knows only what the servers under
//! test send, which is a `Content-Length` with every body.

use std::io::{Error, ErrorKind, Read, Result};
use std::str::FromStr;

/// All values given for `--name`, in order.
#[must_use]
pub fn values(name: &str) -> Vec<String> {
    let arguments: Vec<String> = std::env::args().collect();
    arguments.windows(2).filter(|pair| pair[0] == name).map(|pair| pair[1].clone()).collect()
}

/// The last value given for `--name`, else `default`.
///
/// # Errors
/// When the value is none of the type asked for.
pub fn value<T: FromStr>(name: &str, default: T) -> Result<T> {
    values(name).pop().map_or(Ok(default), |text| {
        text.parse().map_err(|_| Error::new(ErrorKind::InvalidInput, format!("{name}: cannot read {text:?}")))
    })
}

/// The bytes of a GET request; `headers` are whole lines.
#[must_use]
pub fn get(host: &str, path: &str, headers: &[String]) -> Vec<u8> {
    let mut lines = vec![format!("GET {path} HTTP/1.1"), format!("Host: {host}")];
    lines.extend_from_slice(headers);
    format!("{}\r\n\r\n", lines.join("\r\n")).into_bytes()
}

/// Read one response into `buffer`, which afterwards holds just that; returns where its body starts.
///
/// # Errors
/// When the connection ends or fails, or the response is chunked.
pub fn read_response(stream: &mut impl Read, buffer: &mut Vec<u8>) -> Result<usize> {
    buffer.clear();
    let mut chunk = [0; 16 * 1024];
    let mut expected = None;
    loop {
        let count = stream.read(&mut chunk)?;
        if count == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        buffer.extend_from_slice(&chunk[..count]);
        if expected.is_none()
            && let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n")
        {
            expected = Some((end + 4, end + 4 + content_length(&buffer[..end])?));
        }
        if let Some((body, end)) = expected
            && buffer.len() >= end
        {
            return Ok(body);
        }
    }
}

fn content_length(head: &[u8]) -> Result<usize> {
    let bad = |what: &str| Error::new(ErrorKind::InvalidData, what.to_owned());
    let head = std::str::from_utf8(head).map_err(|_| bad("header is not text"))?;
    for line in head.lines().skip(1) {
        let (name, value) = line.split_once(':').ok_or_else(|| bad("header line without a colon"))?;
        if name.eq_ignore_ascii_case("content-length") {
            return value.trim().parse().map_err(|_| bad("content-length is not a number"));
        }
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(bad("chunked answers are not supported"));
        }
    }
    Ok(0)
}
