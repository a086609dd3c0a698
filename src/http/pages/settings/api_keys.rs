//! One's own API keys: made, and shown this once; when each was used last; revoked.

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use super::{Me, Wrong, meta, send};
use crate::domain::api_keys::{Listed, Scope};
use crate::domain::id::ApiKeyId;
use crate::domain::page::Page;
use crate::domain::time::Millis;
use crate::error::{Error, Result};
use crate::http::headers::see_other;
use crate::http::pages::links;
use crate::http::pages::page::Meta;
use crate::http::sessions::once;
use crate::http::sessions::posted::Nothing;
use crate::http::{Answered, Id, Posted, SignedIn, Site, Write};
use crate::service::keys::{self, Draft, Made};
use crate::store;

/// How long a key may be made to last, in days.
const LIVES: [(&str, &str); 4] = [("30", "30 days"), ("90", "90 days"), ("365", "1 year"), ("", "Never")];
const DAY: i64 = 86_400_000;

#[derive(Template)]
#[template(path = "settings_api_keys.html", whitespace = "minimize")]
struct KeysPage {
    meta: Meta,
    me: Me,
    wrong: Option<Wrong>,
    made: Option<NewKey>,
    typed: Typed,
    keys: Vec<Entry>,
}

/// A key that was just made.
struct NewKey {
    name: String,
    text: String,
}

/// A key of the list.
struct Entry {
    id: String,
    name: String,
    hint: String,
    scope: &'static str,
    made: String,
    used: Option<String>,
    ends: Option<String>,
    is_over: bool,
}

/// The form for a new key, as somebody filled it in.
#[derive(Deserialize, Default)]
pub(in super::super) struct Typed {
    name: String,
    scope: Option<String>,
    days: Option<String>,
}

impl Typed {
    fn is_read(&self) -> bool {
        self.scope.as_deref() == Some(Scope::Read.as_str())
    }

    fn lives(&self) -> impl Iterator<Item = (&'static str, &'static str, bool)> {
        let chosen = self.days.as_deref().unwrap_or("90");
        LIVES.into_iter().map(move |(days, words)| (days, words, days == chosen))
    }

    fn draft(&self, now: Millis) -> Result<Draft> {
        let scope = self.scope.as_deref().map_or(Ok(Scope::Write), Scope::parse)?;
        let days = self.days.as_deref().filter(|days| !days.is_empty());
        let of = |days: &str| days.parse().ok().filter(|days| (1..=3_650).contains(days));
        let end = |days: &str| {
            let bad = || Error::invalid("days", "a key lasts 1 to 3650 days, or never expires");
            of(days).ok_or_else(bad).map(|days: i64| now.plus(days * DAY))
        };
        Ok(Draft { name: self.name.clone(), scope, expires_at: days.map(end).transpose()? })
    }
}

/// Answers `GET /settings/api-keys`.
pub(in super::super) async fn show(me: SignedIn<Write>, site: Data<Site>, request: HttpRequest) -> Answered {
    let made = once::shown(&site, &me.token, &request).and_then(|text| NewKey::read(&text));
    let mut response = page(&site, &me, Typed::default(), made, None).await?;
    once::take(&site, &request, &mut response)?;
    Ok(response)
}

/// Answers `POST /settings/api-keys`: leads to the page that shows the key this once, so that loading it again makes no
/// second one.
pub(in super::super) async fn create(
    me: SignedIn<Write>,
    Posted(typed): Posted<Typed>,
    site: Data<Site>,
) -> Answered {
    let made = match typed.draft(Millis::now()) {
        Ok(draft) => keys::make(&site.app.store, me.user.clone(), &draft).await,
        Err(error) => Err(error),
    };
    match made {
        Ok(made) => Ok(once::show_at(&site, &me.token, links::API_KEYS, &NewKey::from(made).written())?),
        Err(error) => page(&site, &me, typed, None, Some(Wrong::of(error)?)).await,
    }
}

/// Answers `POST /settings/api-keys/{id}/revoke`.
pub(in super::super) async fn revoke(
    me: SignedIn<Write>,
    Id(id): Id<ApiKeyId>,
    _: Posted<Nothing>,
    site: Data<Site>,
) -> Answered {
    keys::revoke(&site.app.store, me.user, id).await?;
    Ok(see_other(links::API_KEYS))
}

async fn page(
    site: &Site,
    me: &SignedIn<Write>,
    typed: Typed,
    made: Option<NewKey>,
    wrong: Option<Wrong>,
) -> Answered {
    let (owner, now) = (me.user.key, Millis::now());
    // There are never more than a page holds.
    let keys = site.app.store.read(move |tx| store::api_keys::list(tx, owner, Page::default())).await?;
    let page = KeysPage {
        meta: meta(&site.public_url, links::API_KEYS, "API keys"),
        me: Me::of(me),
        wrong,
        made,
        typed,
        keys: keys.rows.into_iter().map(|key| entry(key, now)).collect(),
    };
    send(&page, page.wrong.as_ref())
}

impl From<Made> for NewKey {
    fn from(made: Made) -> Self {
        Self { name: made.listed.name, text: made.key.expose().to_owned() }
    }
}

impl NewKey {
    /// The key and its name as one text.
    fn written(&self) -> String {
        format!("{} {}", self.text, self.name)
    }

    /// Reads what [`NewKey::written`] wrote.
    fn read(text: &str) -> Option<Self> {
        let (text, name) = text.split_once(' ')?;
        Some(Self { name: name.to_owned(), text: text.to_owned() })
    }
}

fn entry(key: Listed, now: Millis) -> Entry {
    Entry {
        is_over: key.is_expired(now),
        scope: if key.scope == Scope::Read { "read only" } else { "full" },
        made: key.created_at.to_minute(),
        used: key.last_used_at.map(Millis::to_minute),
        ends: key.expires_at.map(Millis::to_minute),
        hint: key.hint,
        name: key.name,
        id: key.id.into(),
    }
}
