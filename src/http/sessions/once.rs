//! Texts that are shown once, such as a new key: made by a form, and shown by the page that it leads to. In between the
//! browser holds them, sealed for its session and for a minute, so that any process can open them and nothing of them
//! is stored. The page takes them away, so that loading it again neither shows nor makes anything.

use actix_web::cookie::time::Duration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use secrecy::ExposeSecret;

use super::Rules;
use crate::domain::time::Millis;
use crate::domain::tokens::Token;
use crate::error::{Error, Result};
use crate::http::Site;
use crate::http::headers::see_other;

/// How long the browser holds a text.
const SHOWN_ONCE_TIMEOUT: Duration = Duration::MINUTE;
/// What these texts are sealed for, beside the session.
const ROW: &str = "shown once";

impl Rules {
    /// A name with this prefix is kept by browsers for https alone.
    const fn once_name(&self) -> &'static str {
        if self.is_secure { "__Secure-evalboard-once" } else { "evalboard-once" }
    }

    fn once_cookie<'c>(&self, path: &'c str, value: String, age: Duration) -> Cookie<'c> {
        Cookie::build(self.once_name(), value)
            .path(path)
            .http_only(true)
            .same_site(SameSite::Strict)
            .secure(self.is_secure)
            .max_age(age)
            .finish()
    }
}

/// Leads on to the page at `path`, which may show `text` once to the session of `token`.
///
/// # Errors
/// `Internal` when the text cannot be sealed.
pub(in crate::http) fn show_at(site: &Site, token: &Token, path: &str, text: &str) -> Result<HttpResponse> {
    let ends = Millis::now().plus(i64::try_from(SHOWN_ONCE_TIMEOUT.whole_milliseconds()).unwrap_or(0));
    let sealed = site.app.master.seal(ROW, &token.form_proof(), &format!("{} {path} {text}", ends.0))?;
    let cookie = site.sessions.once_cookie(path, BASE64_URL_SAFE_NO_PAD.encode(sealed), SHOWN_ONCE_TIMEOUT);
    let mut response = see_other(path);
    response.add_cookie(&cookie).map_err(Error::internal)?;
    Ok(response)
}

/// Returns the text that the page of `request` is to show now, if there is one.
pub(in crate::http) fn shown(site: &Site, token: &Token, request: &HttpRequest) -> Option<String> {
    let cookie = request.cookie(site.sessions.once_name())?;
    let sealed = BASE64_URL_SAFE_NO_PAD.decode(cookie.value()).ok()?;
    // What another session was given, or an earlier master key sealed, is nothing to show.
    let opened = site.app.master.open(ROW, &token.form_proof(), &sealed).ok()?;
    let (ends, rest) = opened.expose_secret().split_once(' ')?;
    let (path, text) = rest.split_once(' ')?;
    let is_due = ends.parse().is_ok_and(|ends| Millis::now() < Millis(ends)) && path == request.path();
    is_due.then(|| text.to_owned())
}

/// Takes the text away from the browser, where it sent one.
///
/// # Errors
/// `Internal` when it makes no header.
pub(in crate::http) fn take(site: &Site, request: &HttpRequest, response: &mut HttpResponse) -> Result<()> {
    if request.cookie(site.sessions.once_name()).is_none() {
        return Ok(());
    }
    let gone = site.sessions.once_cookie(request.path(), String::new(), Duration::ZERO);
    response.add_cookie(&gone).map_err(Error::internal)
}
