//! A body of records, read one by one: JSON (one object per line, or an array of objects) or rows of a table. It is
//! as long as it likes, as long as no single record is.

mod array;
mod body;
mod json;
mod separated;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};

use self::body::Body;
pub use self::json::JsonRecords;
pub use self::separated::{Row, Rows};
use super::error::ApiError;
use super::json::refuse_compressed;
use crate::error::{Error, Result};

/// Longest record, in bytes.
pub(crate) const MAX_RECORD: usize = 2 * 1024 * 1024;
/// The content types of JSON; what curl names unless told otherwise is not among them.
const JSON: [&str; 5] =
    ["application/x-ndjson", "application/jsonl", "application/ndjson", "application/json", "text/plain"];

/// A body of records that was not read yet.
pub enum Records {
    /// JSON objects: one per line, or an array of them.
    Json(JsonRecords),
    /// Rows of separated values below their names.
    Separated(Box<Rows>),
}

impl FromRequest for Records {
    type Error = ApiError;
    type Future = std::future::Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(Self::of(request).map_err(ApiError))
    }
}

impl Records {
    /// Tells the format by the headers. curl's `--data-binary` names a form unless told otherwise, so that is refused
    /// with the words that mend it.
    fn of(request: &HttpRequest) -> Result<Self> {
        refuse_compressed(request)?;
        refuse_charset(request)?;
        let is = |name: &str| request.content_type().eq_ignore_ascii_case(name);
        if JSON.into_iter().any(is) {
            return Ok(Self::Json(JsonRecords::new(Body::default())));
        }
        if is("text/csv") {
            return Ok(Self::Separated(Box::new(Rows::new(Body::default(), None))));
        }
        if is("text/tab-separated-values") {
            return Ok(Self::Separated(Box::new(Rows::new(Body::default(), Some(b'\t')))));
        }
        let message = "send lines of JSON with the header Content-Type: application/x-ndjson, a JSON array with \
                       application/json, or a table with text/csv";
        Err(Error::Unsupported(message.to_owned()))
    }
}

/// Refuses a character set other than UTF-8, where one is named.
fn refuse_charset(request: &HttpRequest) -> Result<()> {
    let mime = request.mime_type().ok().flatten();
    let named = mime.as_ref().and_then(|mime| mime.get_param("charset"));
    match named {
        Some(name)
            if !["utf-8", "utf8", "us-ascii"]
                .iter()
                .any(|known| name.as_str().eq_ignore_ascii_case(known)) =>
        {
            Err(Error::Unsupported(format!("the character set {name} is not read here: send UTF-8")))
        }
        _ => Ok(()),
    }
}

/// How many line ends there are.
fn line_ends(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}
