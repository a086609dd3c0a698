//! What all pages share: the words in their heads, pages of lists, and how a template becomes an answer.
//!
//! It holds nothing of what a page shows.

use askama::Template;
use serde::Deserialize;

use super::{format, links, pictures};
use crate::domain::page::{ListName, Page, Slice};
use crate::error::{Error, Result};
use crate::http::View;

/// What the board's picture shows.
const BOARD_ALT: &str = "The board: models with their rank, and their score with an interval drawn as a bar";

/// What the head of a page says of it to browsers, search engines and whoever links to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// The page's own title, without the board's name.
    pub title: String,
    /// One sentence.
    pub description: String,
    /// Its one full address, without filters.
    pub canonical: String,
    /// The full address of what is shown of it where a link to it is posted.
    pub picture: String,
    /// What that shows, for those who hear it.
    pub picture_alt: String,
}

impl Meta {
    /// The meta of the page at `path` of the site at `public_url` (which has no slash at its end). Its picture is the
    /// board's.
    #[must_use]
    pub fn new(
        public_url: &str,
        path: &str,
        title: impl Into<String>,
        description: impl Into<String>,
    ) -> Self {
        Self {
            title: title.into(),
            description: description.into(),
            canonical: format!("{public_url}{path}"),
            picture: format!("{public_url}{}", links::BOARD_PICTURE),
            picture_alt: BOARD_ALT.to_owned(),
        }
    }

    /// The same with a picture of its own, at `path` of the same site.
    #[must_use]
    pub fn pictured(mut self, public_url: &str, path: &str, alt: impl Into<String>) -> Self {
        self.picture = format!("{public_url}{path}");
        self.picture_alt = alt.into();
        self
    }

    /// How wide its picture is, in pixels.
    #[must_use]
    pub const fn picture_width(&self) -> u32 {
        pictures::SIZE.0
    }

    /// How high it is.
    #[must_use]
    pub const fn picture_height(&self) -> u32 {
        pictures::SIZE.1
    }
}

/// The query parameters of a page with a list: where it begins.
#[derive(Debug, Clone, Deserialize)]
pub struct Params {
    /// As the page before said.
    pub cursor: Option<String>,
}

/// Where a part of a list stands, and where the rest of it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pager {
    /// `50 of 1,204 cases`.
    pub shown: String,
    /// Its beginning, when this is not it.
    pub first: Option<String>,
    /// What follows.
    pub next: Option<String>,
}

impl Pager {
    /// Below `slice` of a list of `noun`s, which is at `path` with the query `pairs`; `cursor` is where it
    /// was asked to begin.
    #[must_use]
    pub fn new<T>(
        slice: &Slice<T>,
        noun: &str,
        path: &str,
        pairs: &[(&str, &str)],
        cursor: Option<&str>,
    ) -> Self {
        let following = slice.next.map(|next| {
            let text = next.to_text(&ListName::new(path, pairs.iter().copied()));
            links::asked(path, &[pairs, &[("cursor", text.as_str())]].concat())
        });
        let size = i64::try_from(slice.rows.len()).unwrap_or(i64::MAX);
        Self {
            shown: match size == slice.total {
                true => format::counted(size, noun),
                false => format!("{} of {}", format::count(size), format::counted(slice.total, noun)),
            },
            first: cursor.map(|_| links::asked(path, pairs)),
            next: following,
        }
    }

    /// Whether there is more than what is shown.
    #[must_use]
    pub const fn has_more(&self) -> bool {
        self.first.is_some() || self.next.is_some()
    }
}

/// The part of `list` that begins at `cursor`, at most `limit` rows.
///
/// # Errors
/// `Invalid` when the cursor was not made for this list.
pub fn part(list: &ListName, limit: u32, cursor: Option<&str>) -> Result<Page> {
    Ok(Page { limit, ..Page::parse(list, None, cursor)? })
}

/// The page of a template.
///
/// # Errors
/// `Internal` when the template cannot be rendered.
pub fn view(template: &impl Template) -> Result<View> {
    template.render().map(View::html).map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::page::Cursor;

    #[test]
    fn a_pager_keeps_the_question_and_leads_on() {
        let next = Some(Cursor { sort: 1, key: 2 });
        let slice = Slice { rows: vec![(), ()], total: 1_204, next };
        let pager = Pager::new(&slice, "case", "/x", &[("state", "wrong")], None);
        assert_eq!((pager.shown.as_str(), pager.first.as_deref()), ("2 of 1,204 cases", None));
        assert!(pager.next.is_some_and(|next| next.starts_with("/x?state=wrong&cursor=1.2.")));
        let last = Slice { rows: vec![()], total: 1, next: None };
        let pager = Pager::new(&last, "case", "/x", &[], Some("1.2.3"));
        assert_eq!((pager.shown.as_str(), pager.first.as_deref()), ("1 case", Some("/x")));
    }
}
