//! What a read shows: a body with its type, before it is made into bytes for one address.
//!
//! It does not know who asks, nor whether copies are kept.

use std::borrow::Cow;

use actix_web::HttpResponseBuilder;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use serde::Serialize;
use url::form_urlencoded;

use super::cache::CachePolicy;
use super::ready::{Plain, Ready};
use super::{headers, notice};
use crate::domain::page::{Cursor, ListName, Slice};
use crate::error::{Error, Result};
use crate::store::condition::Condition;

/// What a read shows.
#[derive(Debug)]
pub struct View {
    body: Vec<u8>,
    content_type: &'static str,
    policy: CachePolicy,
    list: Option<Position>,
    /// What it is called where it is kept as a file.
    file_name: Option<Cow<'static, str>>,
}

/// Where a page stands in its list.
#[derive(Debug)]
struct Position {
    total: i64,
    next: Option<Cursor>,
}

impl View {
    /// A JSON body; [`CachePolicy::Public`] unless said otherwise.
    ///
    /// # Errors
    /// `Internal` when `body` has no JSON form.
    pub fn json(body: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_vec(body).map_err(Error::internal)?;
        Ok(Self {
            body,
            content_type: "application/json",
            policy: CachePolicy::Public,
            list: None,
            file_name: None,
        })
    }

    /// A page of a list as a bare array, with its total and a link to the next page in the headers.
    ///
    /// # Errors
    /// As [`View::json`].
    pub fn list<T: Serialize>(slice: Slice<T>) -> Result<Self> {
        Ok(Self::json(&slice.rows)?.part(slice.total, slice.next))
    }

    /// The same as holding a part of a list of `total` rows: its headers say so, and where the list goes on.
    #[must_use]
    pub fn part(mut self, total: i64, next: Option<Cursor>) -> Self {
        self.list = Some(Position { total, next });
        self
    }

    /// A page for people; [`CachePolicy::Page`] unless said otherwise.
    #[must_use]
    pub fn html(page: String) -> Self {
        let policy = CachePolicy::Page;
        Self {
            body: page.into_bytes(),
            content_type: "text/html; charset=utf-8",
            policy,
            list: None,
            file_name: None,
        }
    }

    /// Any other body, such as CSV or an image; [`CachePolicy::Public`] unless said otherwise.
    #[must_use]
    pub fn bytes(content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), content_type, policy: CachePolicy::Public, list: None, file_name: None }
    }

    /// The same as a file to be kept under that name, which is plain ASCII without quotes.
    #[must_use]
    pub fn download(mut self, file_name: impl Into<Cow<'static, str>>) -> Self {
        self.file_name = Some(file_name.into());
        self
    }

    /// The same with another policy.
    #[must_use]
    pub fn policy(mut self, policy: CachePolicy) -> Self {
        self.policy = policy;
        self
    }

    /// The same with a notice on a page, when the data it shows are in any but their usual `condition`.
    #[must_use]
    pub(super) fn noticed(mut self, condition: &Condition) -> Self {
        if self.content_type.starts_with("text/html") {
            self.body = notice::insert(self.body, condition);
        }
        self
    }

    /// Takes another body in place of its own.
    #[must_use]
    pub(super) fn with_body(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self
    }

    /// Makes it ready to be sent from `address`.
    ///
    /// # Errors
    /// `Internal` when a header has no valid form.
    pub(super) fn ready(self, address: &Address) -> Result<Ready> {
        let (extra, policy) = (self.extra(address)?, self.policy_at(address));
        let plain = Plain { body: self.body, content_type: self.content_type, policy, extra };
        Ready::new(plain, &address.path)
    }

    /// Sets the headers of a response that has another body.
    ///
    /// # Errors
    /// `Internal` when a header has no valid form.
    pub(super) fn set_headers(&self, address: &Address, response: &mut HttpResponseBuilder) -> Result<()> {
        response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(self.content_type)));
        response.insert_header((header::CACHE_CONTROL, self.policy_at(address).value()));
        for header in self.extra(address)? {
            response.insert_header(header);
        }
        Ok(())
    }

    /// Returns how long what is sent from `address` may be kept.
    pub(super) const fn policy_at(&self, address: &Address) -> CachePolicy {
        if address.is_private { CachePolicy::NoStore } else { self.policy }
    }

    /// Returns the headers of this view alone.
    fn extra(&self, address: &Address) -> Result<Vec<(HeaderName, HeaderValue)>> {
        let mut extra = self.list.as_ref().map_or_else(|| Ok(Vec::new()), |list| list.headers(address))?;
        if let Some(name) = &self.file_name {
            let disposition = format!("attachment; filename=\"{name}\"");
            let value = HeaderValue::try_from(disposition).map_err(Error::internal)?;
            extra.push((header::CONTENT_DISPOSITION, value));
        }
        Ok(extra)
    }
}

/// What an answer must know of the request it answers.
#[derive(Debug)]
pub(super) struct Address {
    pub(super) public_url: String,
    pub(super) path: String,
    /// Name and value of the parameters that mean something.
    pub(super) query: Vec<(String, String)>,
    /// Whether the answer is for the one who asks alone.
    pub(super) is_private: bool,
}

impl Position {
    fn headers(&self, address: &Address) -> Result<Vec<(HeaderName, HeaderValue)>> {
        let mut headers = vec![(headers::TOTAL_COUNT, HeaderValue::from(self.total))];
        if let Some(next) = self.next {
            let link = format!("<{}>; rel=\"next\"", address.following(next));
            headers.push((header::LINK, HeaderValue::try_from(link).map_err(Error::internal)?));
        }
        Ok(headers)
    }
}

impl Address {
    /// Makes the address at `path` of what is not kept, and is no part of a list.
    pub(super) fn private(path: &str) -> Self {
        Self { public_url: String::new(), path: path.to_owned(), query: Vec::new(), is_private: true }
    }

    /// Returns the name of the list there.
    fn list(&self) -> ListName {
        ListName::new(&self.path, self.query.iter().map(|(name, value)| (name, value)))
    }

    /// The address of the page behind `cursor`: the same question otherwise.
    fn following(&self, cursor: Cursor) -> String {
        let start = format!("{}{}?", self.public_url, self.path);
        let length = start.len();
        let others = self.query.iter().filter(|(name, _)| name != "cursor");
        form_urlencoded::Serializer::for_suffix(start, length)
            .append_pair("cursor", &cursor.to_text(&self.list()))
            .extend_pairs(others)
            .finish()
    }
}
