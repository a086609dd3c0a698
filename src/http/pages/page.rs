//! What all pages share: the words in their heads, and how a template becomes an answer.
//!
//! It holds nothing of what a page shows.

use askama::Template;

use crate::error::{Error, Result};
use crate::http::View;

/// What the head of a page says of it to browsers, search engines and whoever links to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// The page's own title, without the board's name.
    pub title: String,
    /// One sentence.
    pub description: String,
    /// Its one full address, without filters.
    pub canonical: String,
}

impl Meta {
    /// The meta of the page at `path` of the site at `public_url` (which has no slash at its end).
    #[must_use]
    pub fn new(
        public_url: &str,
        path: &str,
        title: impl Into<String>,
        description: impl Into<String>,
    ) -> Self {
        let canonical = format!("{public_url}{path}");
        Self { title: title.into(), description: description.into(), canonical }
    }
}

/// The page of a template.
///
/// # Errors
/// `Internal` when the template cannot be rendered.
pub fn view(template: &impl Template) -> Result<View> {
    template.render().map(View::html).map_err(Error::internal)
}
