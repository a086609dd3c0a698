//! One's own password, changed by who knows it.

use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use super::{Me, Wrong, meta, require_same, send};
use crate::domain::passwords::FEWEST;
use crate::domain::tokens::Token;
use crate::error::Result;
use crate::http::pages::links;
use crate::http::pages::page::Meta;
use crate::http::{Answered, Posted, SignedIn, Site, Write};
use crate::service::sessions as service;

#[derive(Template)]
#[template(path = "settings_password.html", whitespace = "minimize")]
struct PasswordPage {
    meta: Meta,
    me: Me,
    wrong: Option<Wrong>,
    is_done: bool,
    fewest: usize,
}

/// The form.
#[derive(Deserialize)]
pub(in super::super) struct Changing {
    current: String,
    password: String,
    again: String,
}

/// Answers `GET /settings/password`.
pub(in super::super) async fn show(me: SignedIn<Write>, site: Data<Site>) -> Answered {
    let page = page(&site, Me::of(&me), None);
    send(&page, None)
}

/// Answers `POST /settings/password`.
pub(in super::super) async fn change(
    me: SignedIn<Write>,
    Posted(form): Posted<Changing>,
    site: Data<Site>,
) -> Answered {
    site.limits.take_password(me.user.key)?;
    match changed(&site, &me, &form).await {
        Ok(token) => {
            let page = PasswordPage { is_done: true, ..page(&site, Me::of(&me).renewed(&token), None) };
            let mut response = send(&page, None)?;
            site.sessions.give(&mut response, &token)?;
            Ok(response)
        }
        Err(error) => {
            let page = page(&site, Me::of(&me), Some(Wrong::of(error)?));
            send(&page, page.wrong.as_ref())
        }
    }
}

async fn changed(site: &Site, me: &SignedIn<Write>, form: &Changing) -> Result<Token> {
    require_same(&form.password, &form.again)?;
    service::change_password(&site.app.store, me.user.clone(), &form.current, &form.password).await
}

fn page(site: &Site, me: Me, wrong: Option<Wrong>) -> PasswordPage {
    let meta = meta(&site.public_url, links::PASSWORD, "Password");
    PasswordPage { meta, me, wrong, is_done: false, fewest: FEWEST }
}
