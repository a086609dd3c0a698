//! What somebody is called, chosen by himself.

use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use super::{Me, Wrong, meta, send};
use crate::config::Submitters;
use crate::http::pages::links;
use crate::http::pages::page::Meta;
use crate::http::{Answered, Posted, SignedIn, Site, Write};
use crate::service::people as service;
use crate::store::users;

#[derive(Template)]
#[template(path = "settings_handle.html", whitespace = "minimize")]
struct HandlePage {
    meta: Meta,
    me: Me,
    wrong: Option<Wrong>,
    is_done: bool,
    /// What he is called, or typed.
    handle: String,
    /// Whether anybody sees it.
    is_shown: bool,
}

/// The form.
#[derive(Deserialize)]
pub(in super::super) struct Chosen {
    handle: String,
}

/// Answers `GET /settings/handle`.
pub(in super::super) async fn show(me: SignedIn<Write>, site: Data<Site>) -> Answered {
    let key = me.user.key;
    let handle = site.app.store.read(move |tx| users::handle(tx, key)).await?;
    send(&page(&site, &me, handle, None), None)
}

/// Answers `POST /settings/handle`.
pub(in super::super) async fn change(
    me: SignedIn<Write>,
    Posted(form): Posted<Chosen>,
    site: Data<Site>,
) -> Answered {
    match service::set_handle(&site.app.store, me.user.clone(), &form.handle).await {
        Ok(handle) => send(&HandlePage { is_done: true, ..page(&site, &me, handle.to_string(), None) }, None),
        Err(error) => {
            let page = page(&site, &me, form.handle, Some(Wrong::of(error)?));
            send(&page, page.wrong.as_ref())
        }
    }
}

fn page(site: &Site, me: &SignedIn<Write>, handle: String, wrong: Option<Wrong>) -> HandlePage {
    HandlePage {
        meta: meta(&site.public_url, links::HANDLE, "Handle"),
        me: Me::of(me),
        wrong,
        is_done: false,
        handle,
        is_shown: site.app.config.submitters == Submitters::Handle,
    }
}
