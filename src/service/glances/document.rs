//! JSON: the file is one document.

use std::io::BufRead;

use serde::de::IgnoredAny;
use serde_json::error::Category;

use super::Fault;
use super::lines::reason;

/// Reads all of it.
///
/// # Errors
/// Where it stops to be JSON.
pub(super) fn check(input: &mut impl BufRead) -> Result<(), Fault> {
    serde_json::from_reader::<_, IgnoredAny>(input).map(drop).map_err(|cause| match cause.classify() {
        Category::Io => Fault::from(std::io::Error::from(cause)),
        _ => {
            let line = u64::try_from(cause.line()).unwrap_or(u64::MAX);
            Fault::Line(
                line,
                format!("is where it stops to be JSON ({} at character {})", reason(&cause), cause.column()),
            )
        }
    })
}
