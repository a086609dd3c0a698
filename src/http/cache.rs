//! How long the world may keep an answer: the words that handlers use, and the header each means.
//!
//! Our own copies do not go by these words but by what the answers were made from; see [`super::copies`].

use actix_web::http::header::HeaderValue;

/// How long browsers and shared caches may keep an answer without asking again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CachePolicy {
    /// A minute, everywhere: reads of the API.
    Public,
    /// A minute in shared caches; browsers always ask: pages.
    Page,
    /// Everybody always asks: what belongs to an unfinished run.
    Revalidate,
    /// Nobody keeps it: answers to one caller, and errors.
    NoStore,
    /// For ever: files whose name changes with their content.
    Immutable,
}

impl CachePolicy {
    /// The value of `Cache-Control`.
    #[must_use]
    pub const fn value(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Public => "public, max-age=60",
            Self::Page => "max-age=0, s-maxage=60",
            Self::Revalidate => "no-cache",
            Self::NoStore => "no-store",
            Self::Immutable => "public, max-age=31536000, immutable",
        })
    }
}
