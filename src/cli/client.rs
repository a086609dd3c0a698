//! A board as a client sees it: for commands that talk to a server instead of opening its folder.
//!
//! It knows addresses and errors of the API, and nothing of what is asked for.

use std::time::Duration;

use reqwest::{Method, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::error::{Error, Result};

/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A board somewhere, and the key to it.
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    key: Option<SecretString>,
}

impl Client {
    /// The board at `url`.
    ///
    /// # Errors
    /// `Internal` when no HTTP client can be made.
    pub(super) fn new(url: &str, key: Option<SecretString>) -> Result<Self> {
        let http = reqwest::Client::builder()
            .timeout(PATIENCE)
            // A redirect would turn a POST into a GET and leave the key behind: the right address is to be given.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(Error::internal)?;
        Ok(Self { http, base: url.trim_end_matches('/').to_owned(), key })
    }

    /// The address of `path` on the board.
    pub(super) fn address(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// What is at `path` below `/api/v1`.
    ///
    /// # Errors
    /// `Unavailable` when the board cannot be reached or is busy, else what it answered, in words.
    pub(super) async fn get(&self, path: &str) -> Result<Value> {
        Ok(self.ask(Method::GET, path, None).await?.0)
    }

    /// What the board answers to a POST.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        Ok(self.ask(Method::POST, path, Some(body)).await?.0)
    }

    /// All rows of the list at `path`, which has no query.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(super) async fn list(&self, path: &str) -> Result<Vec<Value>> {
        let mut rows = Vec::new();
        let mut next = Some(path.to_owned());
        while let Some(page) = next {
            let (answer, link) = self.ask(Method::GET, &page, None).await?;
            rows.extend(answer.as_array().cloned().unwrap_or_default());
            // The board may be reached by another name than the one it calls itself.
            next = link.as_deref().and_then(query_of).map(|query| format!("{path}?{query}"));
        }
        Ok(rows)
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(Value, Option<String>)> {
        let mut request = self.http.request(method, self.address(&format!("/api/v1{path}")));
        if let Some(key) = &self.key {
            request = request.bearer_auth(key.expose_secret());
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let unreachable = |cause: reqwest::Error| {
            Error::Unavailable(format!("{} cannot be reached: {}", self.base, cause.without_url()))
        };
        let answer = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        let link = answer.headers().get(header::LINK).and_then(|link| link.to_str().ok()).map(str::to_owned);
        let text = answer.text().await.map_err(unreachable)?;
        match serde_json::from_str(&text) {
            Ok(value) if status.is_success() => Ok((value, link)),
            // A page of whatever stands before the board.
            Err(_) if status.is_success() => {
                Err(Error::Unavailable(format!("{} does not answer like a board", self.base)))
            }
            value => Err(refusal(status, &value.unwrap_or_default())),
        }
    }
}

/// The query of the next page in a `Link` header.
fn query_of(link: &str) -> Option<&str> {
    let (address, _) = link.strip_prefix('<')?.split_once(">; rel=\"next\"")?;
    address.split_once('?').map(|(_, query)| query)
}

/// An answer that is no success, in the board's own words.
fn refusal(status: StatusCode, answer: &Value) -> Error {
    let said = answer.get("error").and_then(Value::as_str).unwrap_or("it does not answer like a board");
    let words = format!("the board answered {}: {said}", status.as_u16());
    match status.as_u16() {
        401 => Error::Forbidden(format!("{words} (set EVALBOARD_KEY)")),
        403 => Error::Forbidden(words),
        429 | 500..=599 => Error::Unavailable(words),
        _ => Error::bad_request(words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_read_off_the_link() {
        let link = "<https://board.example/api/v1/models?limit=2&cursor=1.2.3>; rel=\"next\"";
        assert_eq!(query_of(link), Some("limit=2&cursor=1.2.3"));
        assert_eq!(query_of("<https://board.example>; rel=\"prev\""), None);
    }
}
