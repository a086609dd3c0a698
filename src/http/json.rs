//! JSON bodies: read whole, strictly, and within limits. What the fields mean is the domain's.

use std::collections::HashSet;
use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use futures_util::StreamExt;
use serde::de::{DeserializeOwned, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use sha2::{Digest, Sha256};
use tokio::time::{Instant, timeout_at};

use super::body_budget::Share;
use super::error::ApiError;
use super::idempotency::IdempotencyKey;
use super::{Site, auth};
use crate::domain::byte_order::without_mark;
use crate::domain::users::User;
use crate::error::{Error, Result};
use crate::service::once::Once;

/// Bytes of a body unless its type says otherwise.
pub const BODY: usize = 1024 * 1024;
/// Bytes of an eval, which may bring its samples along.
pub const EVAL_BODY: usize = 8 * 1024 * 1024;

/// How long a body may take to start.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes per second that it must bring after that.
pub(super) const SLOWEST: u64 = 500;

/// A JSON body of at most `LIMIT` bytes. `T` should deny unknown fields; duplicate keys are refused here.
#[derive(Debug)]
pub struct JsonBody<T, const LIMIT: usize = BODY> {
    value: T,
    once: (IdempotencyKey, [u8; 32]),
}

impl<T, const LIMIT: usize> JsonBody<T, LIMIT> {
    /// What the body says.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.value
    }

    /// What the body says, and that `user` may have asked for it to happen once.
    #[must_use]
    pub fn split(self, user: &User) -> (T, Once) {
        let (key, digest) = self.once;
        (self.value, key.once(user, digest))
    }
}

/// As [`JsonBody`], where no body at all is fine too (its content type does not matter then).
pub type OptionalJson<T, const LIMIT: usize = BODY> = JsonBody<Option<T>, LIMIT>;

impl<T: DeserializeOwned + 'static, const LIMIT: usize> FromRequest for JsonBody<T, LIMIT> {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let begun = Head::of(request, LIMIT).and_then(|head| Ok((head, share(request)?)));
        let payload = payload.take();
        Box::pin(async move {
            let (head, mut share) = begun?;
            let body = collect_within(payload, LIMIT, |bytes| share.grow(bytes)).await?;
            if !body.is_empty() && !head.is_json {
                return Err(Error::Unsupported("the body must be application/json".to_owned()).into());
            }
            let value = if body.is_empty() { absent()? } else { parse(&body)? };
            Ok(Self { value, once: (head.key, Sha256::digest(&body).into()) })
        })
    }
}

/// What the headers say of a body.
struct Head {
    key: IdempotencyKey,
    is_json: bool,
}

impl Head {
    /// Refuses what need not be read at all.
    fn of(request: &HttpRequest, limit: usize) -> Result<Self> {
        refuse_compressed(request)?;
        let allowed = u64::try_from(limit).unwrap_or(u64::MAX);
        if declared_length(request).is_some_and(|length| length > allowed) {
            return Err(too_large(limit));
        }
        let is_json = request.content_type().eq_ignore_ascii_case("application/json");
        Ok(Self { key: IdempotencyKey::read(request)?, is_json })
    }
}

/// Refuses a body in any encoding.
///
/// # Errors
/// `Unsupported`.
pub(super) fn refuse_compressed(request: &HttpRequest) -> Result<()> {
    let coding = request.headers().get(header::CONTENT_ENCODING);
    if coding.is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Ok(());
    }
    Err(Error::Unsupported("compressed bodies are not read here".to_owned()))
}

/// Bytes of the body, as far as the headers say.
pub(super) fn declared_length(request: &HttpRequest) -> Option<u64> {
    request.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The memory that a body is read into.
fn share(request: &HttpRequest) -> Result<Share> {
    // Some routes take other credentials than keys: to them everybody is anonymous here.
    let caller = auth::caller(request).ok();
    Ok(Site::of(request)?.bodies.share(caller.and_then(|caller| caller.user().map(|user| user.key))))
}

/// Reads a whole body, unless it is too large or comes too slowly.
pub(super) async fn collect(payload: Payload, limit: usize) -> Result<Vec<u8>> {
    collect_within(payload, limit, |_| Ok(())).await
}

/// The same, where each chunk needs room.
async fn collect_within(
    mut payload: Payload,
    limit: usize,
    mut make_room: impl FnMut(usize) -> Result<()>,
) -> Result<Vec<u8>> {
    let start = Instant::now() + PATIENCE;
    let mut body = Vec::new();
    loop {
        let earned = u64::try_from(body.len()).unwrap_or(u64::MAX) / SLOWEST;
        let next = timeout_at(start + Duration::from_secs(earned), payload.next()).await;
        let Some(chunk) = next.map_err(|_| Error::bad_request("the body came too slowly"))? else {
            return Ok(body);
        };
        let chunk = chunk.map_err(|_| Error::bad_request("the body ended too early"))?;
        if body.len().saturating_add(chunk.len()) > limit {
            return Err(too_large(limit));
        }
        make_room(chunk.len())?;
        body.extend_from_slice(&chunk);
    }
}

fn too_large(limit: usize) -> Error {
    Error::TooLarge(format!("the body may have at most {limit} bytes"))
}

/// What no body at all means: nothing, where the type has a nothing.
fn absent<T: DeserializeOwned>() -> Result<T> {
    serde_json::from_str("null").map_err(|_| Error::bad_request("a JSON body is required"))
}

/// Reads one JSON document and nothing after it. A byte order mark before it does not matter.
///
/// # Errors
/// `Invalid`, naming the field where one is to blame.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    let body = without_mark(body)?;
    serde_json::from_slice::<Unique>(body).map_err(|cause| unreadable(&cause, None))?;
    let mut document = serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(&mut document).map_err(|cause| {
        let path = cause.path().to_string();
        unreadable(cause.inner(), Some(path))
    })
}

/// What is wrong with a body, and where.
fn unreadable(cause: &serde_json::Error, path: Option<String>) -> Error {
    let text = cause.to_string();
    if !cause.is_data() {
        return Error::bad_request(format!("the body is not valid JSON: {text}"));
    }
    let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    let path = path.filter(|path| path != ".");
    let field = match (path, missing(message)) {
        (Some(path), Some(name)) => Some(format!("{path}.{name}")),
        (None, Some(name)) => Some(name.to_owned()),
        (path, None) => path,
    };
    Error::Invalid { message: named(field.as_deref(), message), field }
}

/// The field that an error says is missing or there twice: its path ends one step above it.
pub(super) fn missing(message: &str) -> Option<&str> {
    let rest =
        message.strip_prefix("missing field `").or_else(|| message.strip_prefix("duplicate field `"))?;
    rest.strip_suffix('`')
}

/// The message with the name of its culprit in it.
fn named(field: Option<&str>, message: &str) -> String {
    match field {
        Some(field) if !message.contains('`') => format!("{field}: {message}"),
        _ => message.to_owned(),
    }
}

/// Any JSON document in which no object has a key twice: typed maps would silently take the last one.
struct Unique;

impl<'de> serde::Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

macro_rules! scalars {
    ($($visit:ident $type:ty),* $(,)?) => { $(
        fn $visit<E>(self, _: $type) -> Result<Self, E> { Ok(self) }
    )* };
}

impl<'de> Visitor<'de> for Unique {
    type Value = Self;

    scalars!(visit_bool bool, visit_i64 i64, visit_u64 u64, visit_f64 f64, visit_str &str);

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self, A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            if seen.contains(&key) {
                return Err(A::Error::custom(format_args!("duplicate field `{key}`")));
            }
            seen.insert(key);
            entries.next_value::<Self>()?;
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Thing {
        name: String,
        #[serde(default)]
        parts: Vec<Part>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Part {
        size: u8,
    }

    fn culprit(body: &str) -> (Option<String>, String) {
        match parse::<Thing>(body.as_bytes()) {
            Err(Error::Invalid { field, message }) => (field, message),
            other => panic!("{body} gave {other:?}"),
        }
    }

    #[test]
    fn a_refused_body_names_the_field() {
        for (body, field) in [
            (r#"{}"#, "name"),
            (r#"{"name":1}"#, "name"),
            (r#"{"name":"a","nme":1}"#, "nme"),
            (r#"{"name":"a","name":"b"}"#, "name"),
            (r#"{"name":"a","parts":[{"size":300}]}"#, "parts[0].size"),
            (r#"{"name":"a","parts":[{"size":1},{}]}"#, "parts[1].size"),
            (r#"{"name":"a","parts":[{"size":1,"colour":2}]}"#, "parts[0].colour"),
        ] {
            assert_eq!(culprit(body).0.as_deref(), Some(field), "{body}");
        }
    }

    #[test]
    fn what_is_no_json_is_refused_as_a_whole() {
        for body in [r#"{"name":NaN}"#, r#"{"name":"a"} x"#, r#"{"name":"a""#, "[", r#"{"name":"a",}"#] {
            assert_eq!(culprit(body).0, None, "{body}");
        }
    }

    #[test]
    fn a_body_nested_without_end_is_refused() {
        let (field, message) = culprit(&"[".repeat(10_000));
        assert_eq!(field, None);
        assert!(message.contains("recursion limit"), "{message}");
    }

    #[test]
    fn no_body_is_nothing_where_nothing_is_allowed() {
        assert_eq!(absent::<Option<Thing>>().unwrap(), None);
        assert!(absent::<Thing>().is_err());
    }
}
