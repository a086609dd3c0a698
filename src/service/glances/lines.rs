//! JSON Lines: every line is one JSON document. Empty lines are let be.

use std::io::{BufRead, Read};

use serde::de::IgnoredAny;

use super::{Fault, LONGEST};

/// What some editors put before a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads all of it.
///
/// # Errors
/// The first line that is no JSON.
pub(super) fn check(input: &mut impl BufRead) -> Result<(), Fault> {
    let most = u64::try_from(LONGEST).unwrap_or(u64::MAX);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if input.by_ref().take(most).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if line.len() >= LONGEST && !line.ends_with(b"\n") {
            return Err(Fault::Line(number, format!("is longer than {} MB", LONGEST / (1024 * 1024))));
        }
        judge(line.strip_prefix(BYTE_ORDER_MARK).filter(|_| number == 1).unwrap_or(&line))
            .map_err(|what| Fault::Line(number, what))?;
    }
    Ok(())
}

fn judge(line: &[u8]) -> Result<(), String> {
    let text = str::from_utf8(line).map_err(|_| "is not UTF-8 text".to_owned())?;
    if text.trim().is_empty() {
        return Ok(());
    }
    serde_json::from_str::<IgnoredAny>(text)
        .map(drop)
        .map_err(|cause| format!("is no JSON ({} at character {})", reason(&cause), cause.column()))
}

/// What the parser says, without the place that it adds.
pub(super) fn reason(cause: &serde_json::Error) -> String {
    let said = cause.to_string();
    said.split_once(" at line ").map_or(said.clone(), |(what, _)| what.to_owned())
}
