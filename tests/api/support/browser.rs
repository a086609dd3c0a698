//! A browser without scripts: it holds a cookie, follows nothing by itself, and sends the forms that it was shown.

use std::net::SocketAddr;

use evalboard::domain::time::Millis;
use evalboard::domain::tokens::Token;
use evalboard::store::{Tx, sessions, users};
use reqwest::{Method, redirect};
use url::form_urlencoded;

use super::{Board, PUBLIC_URL, Reply};

/// A browser of one person.
pub(crate) struct Browser {
    http: reqwest::Client,
    base: String,
    /// As the server set it: `name=value`.
    pub(crate) cookie: Option<String>,
    /// What the next page may show once: `name=value`.
    pub(crate) once: Option<String>,
    /// What it says that its pages come from.
    pub(crate) origin: Option<String>,
    /// Whom a proxy says that it speaks for.
    pub(crate) forwarded_for: Option<String>,
    /// A key or token that it sends along, as no browser does.
    pub(crate) bearer: Option<String>,
}

/// The cookie of a session.
pub(crate) struct Session(pub(crate) Token);

impl Session {
    pub(crate) fn cookie(&self) -> String {
        format!("__Host-evalboard={}", self.0.expose())
    }
}

impl Board {
    /// A new session of the person with that address.
    pub(crate) async fn session(&self, email: &'static str) -> Session {
        let token = Token::generate(&mut rand::rng());
        let hash = token.hash();
        let begin = move |tx: &mut Tx<'_>| {
            let user = users::find_by_email(tx, email)?.expect("a person with that address");
            sessions::insert(tx, user.key, hash, Millis::now())
        };
        self.house.app.store.write(begin).await.unwrap();
        Session(token)
    }
}

impl Browser {
    /// A browser that was never here.
    pub(crate) fn new(address: SocketAddr) -> Self {
        let http = reqwest::Client::builder().no_proxy().redirect(redirect::Policy::none()).build().unwrap();
        let base = format!("http://{address}");
        let origin = Some(PUBLIC_URL.to_owned());
        Self { http, base, cookie: None, once: None, origin, forwarded_for: None, bearer: None }
    }

    /// Opens a page.
    pub(crate) async fn open(&mut self, path: &str) -> Reply {
        let request = self.http.request(Method::GET, format!("{}{path}", self.base));
        self.send(request).await
    }

    /// Opens the page at `path` and sends a form of it to `action`.
    pub(crate) async fn fill(&mut self, path: &str, action: &str, fields: &[(&str, &str)]) -> Reply {
        let page = self.open(path).await;
        let proof = hidden(&page, "csrf").unwrap_or_else(|| panic!("no form at {path}: {}", page.text()));
        let fields = [fields, &[("csrf", proof.as_str())]].concat();
        self.submit(action, &fields).await
    }

    /// As [`Browser::fill`], and opens the page that the form leads to.
    pub(crate) async fn fill_and_follow(
        &mut self,
        path: &str,
        action: &str,
        fields: &[(&str, &str)],
    ) -> Reply {
        let sent = self.fill(path, action, fields).await;
        assert_eq!(sent.code(), 303, "{action}: {}", sent.text());
        self.open(sent.header("location")).await
    }

    /// Sends these very fields.
    pub(crate) async fn submit(&mut self, action: &str, fields: &[(&str, &str)]) -> Reply {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.send_body(Method::POST, action, "application/x-www-form-urlencoded", body.into_bytes()).await
    }

    /// Sends a body of that type, as a form of its page would be sent.
    pub(crate) async fn send_body(&mut self, method: Method, path: &str, kind: &str, body: Vec<u8>) -> Reply {
        let request = self.http.request(method, format!("{}{path}", self.base));
        let request = request.header("content-type", kind).body(body);
        let request = match &self.origin {
            Some(origin) => request.header("origin", origin),
            None => request,
        };
        self.send(request).await
    }

    async fn send(&mut self, request: reqwest::RequestBuilder) -> Reply {
        let request = request.header("accept", "text/html");
        let cookies: Vec<&str> = self.cookie.iter().chain(&self.once).map(String::as_str).collect();
        let request = if cookies.is_empty() { request } else { request.header("cookie", cookies.join("; ")) };
        let request = self
            .forwarded_for
            .iter()
            .fold(request, |request, address| request.header("x-forwarded-for", address));
        let request = match &self.bearer {
            Some(credential) => request.bearer_auth(credential),
            None => request,
        };
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let reply = Reply { status, headers, body: response.bytes().await.unwrap().to_vec() };
        for cookie in reply.headers.get_all("set-cookie") {
            let (cookie, _) = cookie.to_str().unwrap().split_once(';').unwrap();
            let jar = if cookie.contains("-once=") { &mut self.once } else { &mut self.cookie };
            *jar = (!cookie.ends_with('=')).then(|| cookie.to_owned());
        }
        reply
    }
}

/// The value of a field that a form has without showing it.
pub(crate) fn hidden(page: &Reply, name: &str) -> Option<String> {
    between(&page.text(), &format!("name=\"{name}\" value=\""), "\"")
}

/// What stands once between two texts.
pub(crate) fn between(text: &str, start: &str, end: &str) -> Option<String> {
    let (_, rest) = text.split_once(start)?;
    rest.split_once(end).map(|(found, _)| found.to_owned())
}
