//! Static files, embedded in the binary and served for ever under names that hold a digest of their bytes.

use std::collections::HashMap;
use std::sync::LazyLock;

use actix_web::web::Path;
use rust_embed::{Embed, EmbeddedFile};

use crate::error::Error;
use crate::http::{Answered, CachePolicy, Reads, View};

#[derive(Embed)]
#[folder = "static/"]
struct Files;

/// Address of each file by its own name, and its own name by the one in the address.
struct Names {
    addresses: HashMap<String, String>,
    files: HashMap<String, String>,
}

static NAMES: LazyLock<Names> = LazyLock::new(|| {
    let mut names = Names { addresses: HashMap::new(), files: HashMap::new() };
    for file in Files::iter() {
        let Some(content) = Files::get(&file) else {
            continue;
        };
        let hashed = hashed(&file, &content);
        names.addresses.insert(file.to_string(), format!("/static/{hashed}"));
        names.files.insert(hashed, file.to_string());
    }
    names
});

/// Where the page finds the file of that name: `/static/app.0123abcd.css`. A file that does not exist has no
/// address (a test holds the templates to that).
#[must_use]
pub fn asset(name: &str) -> &'static str {
    NAMES.addresses.get(name).map_or("", String::as_str)
}

/// `app.css` as `app.0123abcd.css`.
fn hashed(name: &str, file: &EmbeddedFile) -> String {
    let digest = file.metadata.sha256_hash();
    let [a, b, c, d, ..] = digest;
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, "bin"));
    format!("{stem}.{a:02x}{b:02x}{c:02x}{d:02x}.{extension}")
}

/// Serves one file.
pub(super) async fn file(reads: Reads, name: Path<String>) -> Answered {
    reads.answer_fixed(move || read(&name)).await
}

fn read(hashed: &str) -> Result<View, Error> {
    let missing = || Error::NotFound("file");
    let name = NAMES.files.get(hashed).ok_or_else(missing)?;
    let content = Files::get(name).ok_or_else(missing)?.data;
    Ok(View::bytes(content_type(name), content).policy(CachePolicy::Immutable))
}

/// The type of the kinds of file that there are.
fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("css") => "text/css; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}
