//! Downloads of stored files, whole or in part. A browser saves them and never shows them: they are not ours.

use std::ops::Range;

use actix_web::body::SizedStream;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, ETag, EntityTag, HeaderMap, HeaderValue};
use actix_web::web::{Data, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use futures_util::TryStreamExt;
use mime_guess::mime::{APPLICATION_OCTET_STREAM, Mime};

use super::Site;
use super::cache::CachePolicy;
use super::error::{Answered, ApiError};
use super::limits::Payer;
use super::send_budget::Charge;
use super::sliced::{MAX_UNCOUNTED, SlicedParts};
use super::table::{Row, register, resource};
use crate::app::App;
use crate::blobs::{CHUNK, Reader};
use crate::domain::files::path_segment;
use crate::domain::id::BlobId;
use crate::error::{Error, Result};
use crate::store::blobs::{self, Blob};

/// Bytes that a download holds: what is being sent and what is read ahead.
const HELD: u64 = 2 * CHUNK;
/// A file may be deleted at any time.
const POLICY: CachePolicy = CachePolicy::Revalidate;

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
async fn download(
    app: Data<App>,
    site: Data<Site>,
    request: HttpRequest,
    address: Path<(String, String)>,
) -> Answered {
    let (id, file_name) = address.into_inner();
    let tag = EntityTag::new_strong(id.clone());
    let id = BlobId::from(id);
    let blob = app.store.read(move |tx| blobs::get(tx, &id)).await?;
    if blob.file_name != file_name {
        return Err(Error::NotFound("file").into());
    }
    let file = app.blobs.open_file(&blob.path).await?;
    let mut response = match Wanted::of(request.headers(), &tag, file.size()) {
        Wanted::Nothing(status) => HttpResponse::build(status),
        Wanted::Beyond => {
            let mut response = HttpResponse::RangeNotSatisfiable();
            response.insert_header((header::CONTENT_RANGE, format!("bytes */{}", file.size())));
            response
        }
        Wanted::Part(range) => {
            let mut response = HttpResponse::PartialContent();
            let said = format!("bytes {}-{}/{}", range.start, range.end.saturating_sub(1), file.size());
            response.insert_header((header::CONTENT_RANGE, said));
            return send(response, charge(&request, &site, &range)?, &blob, tag, file, range);
        }
        Wanted::Whole => {
            let all = 0..file.size();
            return send(HttpResponse::Ok(), charge(&request, &site, &all)?, &blob, tag, file, all);
        }
    };
    Ok(response.insert_header(ETag(tag)).insert_header((header::CACHE_CONTROL, POLICY.value())).finish())
}

/// What a request wants of a file.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Whole,
    /// Never empty, and within the file.
    Part(Range<u64>),
    /// A part that is not there.
    Beyond,
    /// What it has is still right, or what it counts on is not there.
    Nothing(StatusCode),
}

impl Wanted {
    /// Of the conditions those count that name tags: a file never changes, and a date would say less.
    fn of(headers: &HeaderMap, tag: &EntityTag, size: u64) -> Self {
        let said = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let names = |list: &str| {
            list.split(',').any(|one| {
                let one = one.trim();
                one == "*" || one.parse().is_ok_and(|one: EntityTag| one.weak_eq(tag))
            })
        };
        if said(header::IF_MATCH).is_some_and(|list| !names(list)) {
            return Self::Nothing(StatusCode::PRECONDITION_FAILED);
        }
        if said(header::IF_NONE_MATCH).is_some_and(names) {
            return Self::Nothing(StatusCode::NOT_MODIFIED);
        }
        let holds = |one: &str| one.parse().is_ok_and(|one: EntityTag| one.strong_eq(tag));
        match said(header::RANGE) {
            Some(range) if said(header::IF_RANGE).is_none_or(holds) => Self::of_range(range, size),
            _ => Self::Whole,
        }
    }

    /// Several ranges at once are answered with the whole, which is always allowed.
    fn of_range(range: &str, size: u64) -> Self {
        match http_range::HttpRange::parse(range, size).as_deref() {
            Ok([one]) => Self::Part(one.start..one.start.saturating_add(one.length)),
            Ok(_) => Self::Whole,
            Err(_) if range.trim_start().starts_with("bytes=") => Self::Beyond,
            Err(_) => Self::Whole,
        }
    }
}

/// Takes room in the budget for what a download of `range` holds; none for a small one.
fn charge(request: &HttpRequest, site: &Site, range: &Range<u64>) -> Result<Option<Charge>> {
    let held = usize::try_from((range.end - range.start).min(HELD)).map_err(Error::internal)?;
    let charge = || site.send_budget.charge(&Payer::of_request(request, site), held);
    (held > MAX_UNCOUNTED).then(charge).transpose()
}

fn send(
    mut response: HttpResponseBuilder,
    charge: Option<Charge>,
    blob: &Blob,
    tag: EntityTag,
    file: Reader,
    range: Range<u64>,
) -> Answered {
    let content_type: Mime = blob.content_type.parse().unwrap_or(APPLICATION_OCTET_STREAM);
    let attachment = HeaderValue::try_from(attachment(&blob.file_name)).map_err(Error::internal)?;
    let length = range.end - range.start;
    let chunks = file.part(range).map_ok(move |chunk| {
        // Held as long as the stream is.
        let _charge = &charge;
        (chunk, ())
    });
    let bytes = SlicedParts::new(chunks).map_err(ApiError::from);
    Ok(response
        .insert_header((header::CONTENT_TYPE, content_type.as_ref()))
        .insert_header((header::CONTENT_DISPOSITION, attachment))
        .insert_header((header::ACCEPT_RANGES, "bytes"))
        .insert_header((header::CACHE_CONTROL, POLICY.value()))
        .insert_header(ETag(tag))
        .body(SizedStream::new(length, bytes)))
}

/// What a browser is told to do with a file: to save it under its name, spelled in ASCII for old
/// programs, and in full (RFC 8187) for the others.
pub(super) fn attachment(file_name: &str) -> String {
    let is_plain = |c: char| c == ' ' || (c.is_ascii_graphic() && !"\"\\%".contains(c));
    let plain: String = file_name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{}", path_segment(file_name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(headers: &[(&str, &str)]) -> Wanted {
        let pairs = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        Wanted::of(&pairs.collect(), &EntityTag::new_strong("b1".to_owned()), 10)
    }

    #[test]
    fn one_range_within_the_file_is_a_part_of_it() {
        for (range, expected) in [
            ("bytes=0-0", Wanted::Part(0..1)),
            ("bytes=2-", Wanted::Part(2..10)),
            ("bytes=-3", Wanted::Part(7..10)),
            ("bytes=5-100", Wanted::Part(5..10)),
            ("bytes=10-", Wanted::Beyond),
            ("bytes=5-2", Wanted::Beyond),
            ("bytes=0-1,4-5", Wanted::Whole),
            ("lines=1-2", Wanted::Whole),
        ] {
            assert_eq!(wanted(&[("range", range)]), expected, "{range}");
        }
    }

    #[test]
    fn conditions_name_the_tag() {
        let range = ("range", "bytes=0-0");
        for (headers, expected) in [
            (vec![range, ("if-range", "\"b1\"")], Wanted::Part(0..1)),
            (vec![range, ("if-range", "\"b2\"")], Wanted::Whole),
            (vec![range, ("if-range", "W/\"b1\"")], Wanted::Whole),
            (vec![range, ("if-range", "Sat, 28 Nov 2026 00:00:00 GMT")], Wanted::Whole),
            (vec![("if-none-match", "\"b2\", W/\"b1\"")], Wanted::Nothing(StatusCode::NOT_MODIFIED)),
            (vec![("if-none-match", "*")], Wanted::Nothing(StatusCode::NOT_MODIFIED)),
            (vec![("if-none-match", "\"b2\"")], Wanted::Whole),
            (vec![("if-match", "\"b2\"")], Wanted::Nothing(StatusCode::PRECONDITION_FAILED)),
        ] {
            assert_eq!(wanted(&headers), expected, "{headers:?}");
        }
    }

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
