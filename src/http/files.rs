//! Downloads of stored files, whole or in part. A browser saves them and never shows them: they are not ours.

use actix_files::NamedFile;
use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{self, Data, Path, ServiceConfig};
use mime_guess::mime::{APPLICATION_OCTET_STREAM, Mime};

use super::cache::CachePolicy;
use super::error::Answered;
use super::table::{Row, register, resource};
use crate::app::App;
use crate::domain::files::path_segment;
use crate::domain::id::BlobId;
use crate::error::Error;
use crate::store::blobs::{self, Blob};

/// Where stored files are.
#[must_use]
pub fn table() -> Vec<Row> {
    vec![resource("/files/{id}/{file_name}").get(download)]
}

/// Adds them to the router.
pub(super) fn configure(config: &mut ServiceConfig) {
    register(config, table());
}

/// Sends one file, or the part of it that the request asks for.
async fn download(app: Data<App>, request: HttpRequest, address: Path<(String, String)>) -> Answered {
    let (id, file_name) = address.into_inner();
    let id = BlobId::from(id);
    let blob = app.store.read(move |tx| blobs::get(tx, &id)).await?;
    if blob.file_name != file_name {
        return Err(Error::NotFound("file").into());
    }
    let path = app.blobs.locate(&blob.path);
    let file = web::block(move || NamedFile::open(path)).await.map_err(Error::internal)?.map_err(missing)?;
    present(file, &blob, &request)
}

/// A file that went away after its row was read.
fn missing(cause: std::io::Error) -> Error {
    match cause.kind() {
        std::io::ErrorKind::NotFound => Error::NotFound("file"),
        _ => Error::internal(cause),
    }
}

fn present(file: NamedFile, blob: &Blob, request: &HttpRequest) -> Answered {
    let content_type: Mime = blob.content_type.parse().unwrap_or(APPLICATION_OCTET_STREAM);
    let attachment = HeaderValue::try_from(attachment(&blob.file_name)).map_err(Error::internal)?;
    let mut response = file
        .set_content_type(content_type)
        .prefer_utf8(false)
        .disable_content_disposition()
        .into_response(request);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_DISPOSITION, attachment);
    headers.insert(header::CACHE_CONTROL, CachePolicy::Revalidate.value());
    Ok(response)
}

/// To be saved under that name: spelled in ASCII for old programs, and in full (RFC 8187) for the others.
fn attachment(file_name: &str) -> String {
    let is_plain = |c: char| c == ' ' || (c.is_ascii_graphic() && !"\"\\%".contains(c));
    let plain: String = file_name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{}", path_segment(file_name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_header() {
        for (name, expected) in [
            ("weights.bin", "attachment; filename=\"weights.bin\"; filename*=UTF-8''weights.bin"),
            ("a\"; x=\"b", "attachment; filename=\"a_; x=_b\"; filename*=UTF-8''a%22%3B%20x%3D%22b"),
            ("é%41.csv", "attachment; filename=\"__41.csv\"; filename*=UTF-8''%C3%A9%2541.csv"),
        ] {
            assert_eq!(attachment(name), expected);
        }
    }
}
