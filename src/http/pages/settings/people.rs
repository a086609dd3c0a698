//! Who may be here: invited, given a role, disabled. For admins.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::Deserialize;

use super::{Me, Wrong, meta, send};
use crate::config::{Endpoints, Submitters};
use crate::domain::id::UserId;
use crate::domain::sessions::until;
use crate::domain::time::Millis;
use crate::domain::tokens::Token;
use crate::domain::users::{Person, Role, User};
use crate::error::{Error, Result};
use crate::http::headers::see_other;
use crate::http::pages::links;
use crate::http::pages::page::Meta;
use crate::http::sessions::once;
use crate::http::{Admin, Answered, Id, Posted, SignedIn, Site};
use crate::service::people as service;
use crate::store::users;

#[derive(Template)]
#[template(path = "settings_people.html", whitespace = "minimize")]
struct PeoplePage {
    meta: Meta,
    me: Me,
    wrong: Option<Wrong>,
    link: Option<NewLink>,
    /// The address that was typed.
    typed: String,
    people: Vec<Entry>,
    /// Whether everybody sees where models are called.
    shows_endpoints: bool,
    /// Whether submitters are shown by their addresses.
    shows_email: bool,
}

/// A link that was just made.
struct NewLink {
    email: String,
    address: String,
    until: String,
}

/// A person of the list.
struct Entry {
    id: String,
    email: String,
    role: &'static str,
    other_role: &'static str,
    state: String,
    class: &'static str,
    keys: i64,
    since: String,
    is_me: bool,
    is_disabled: bool,
}

/// The form to invite somebody.
#[derive(Deserialize)]
pub(in super::super) struct Invitation {
    email: String,
    role: String,
}

/// What is to be changed of somebody.
#[derive(Deserialize)]
pub(in super::super) struct Change {
    change: String,
}

/// Answers `GET /settings/people`.
pub(in super::super) async fn show(me: SignedIn<Admin>, site: Data<Site>, request: HttpRequest) -> Answered {
    let link = once::shown(&site, &me.token, &request).and_then(|text| NewLink::read(&text));
    let mut response = page(&site, &me, String::new(), link, None).await?;
    once::take(&site, &request, &mut response)?;
    Ok(response)
}

/// Answers `POST /settings/people`: leads to the page that shows the link this once.
pub(in super::super) async fn invite(
    me: SignedIn<Admin>,
    Posted(form): Posted<Invitation>,
    site: Data<Site>,
) -> Answered {
    let invited = match Role::chosen(&form.role) {
        Ok(role) => service::invite(&site.app.store, me.user.clone(), &form.email, role).await,
        Err(error) => Err(error),
    };
    match invited {
        Ok((user, token)) => Ok(shown_next(&site, &me, &new_link(&site, user, &token))?),
        Err(error) => page(&site, &me, form.email, None, Some(Wrong::of(error)?)).await,
    }
}

/// Answers `POST /settings/people/{id}`.
pub(in super::super) async fn change(
    me: SignedIn<Admin>,
    Id(id): Id<UserId>,
    Posted(form): Posted<Change>,
    site: Data<Site>,
) -> Answered {
    match apply(&site, &me, id, &form.change).await {
        Ok(None) => Ok(see_other(links::PEOPLE)),
        Ok(Some(link)) => Ok(shown_next(&site, &me, &link)?),
        Err(error) => page(&site, &me, String::new(), None, Some(Wrong::of(error)?)).await,
    }
}

/// Does what a button says; answers the link when it made one.
async fn apply(site: &Site, me: &SignedIn<Admin>, id: UserId, change: &str) -> Result<Option<NewLink>> {
    let (store, admin) = (&site.app.store, me.user.clone());
    match change {
        "link" => {
            let (user, token) = service::link_again(store, admin, id).await?;
            return Ok(Some(new_link(site, user, &token)));
        }
        "disable" => service::disable(store, admin, id).await?,
        "enable" => service::enable(store, admin, id).await?,
        "admin" => service::set_role(store, admin, id, Role::Admin).await?,
        "member" => service::set_role(store, admin, id, Role::Member).await?,
        _ => return Err(Error::invalid("change", "change must be link, disable, enable, admin or member")),
    }
    Ok(None)
}

/// Leads to the page that shows a link this once.
fn shown_next(site: &Site, me: &SignedIn<Admin>, link: &NewLink) -> Result<HttpResponse> {
    once::show_at(site, &me.token, links::PEOPLE, &link.written())
}

impl NewLink {
    /// All of it as one text: neither an address of the board nor one of a person has a line break.
    fn written(&self) -> String {
        [self.email.as_str(), &self.address, &self.until].join("\n")
    }

    /// Reads what [`NewLink::written`] wrote.
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('\n').map(str::to_owned);
        Some(Self { email: parts.next()?, address: parts.next()?, until: parts.next()? })
    }
}

fn new_link(site: &Site, user: User, token: &Token) -> NewLink {
    let address = links::one_time(&site.public_url, token);
    NewLink { email: user.email, address, until: until(Millis::now()) }
}

async fn page(
    site: &Site,
    me: &SignedIn<Admin>,
    typed: String,
    link: Option<NewLink>,
    wrong: Option<Wrong>,
) -> Answered {
    let people = site.app.store.read(|tx| users::people(tx, Millis::now())).await?;
    let page = PeoplePage {
        meta: meta(&site.public_url, links::PEOPLE, "People"),
        me: Me::of(me),
        wrong,
        link,
        typed,
        people: people.into_iter().map(|person| entry(person, &me.user)).collect(),
        shows_endpoints: site.app.config.endpoints == Endpoints::Public,
        shows_email: site.app.config.submitters == Submitters::Email,
    };
    send(&page, page.wrong.as_ref())
}

fn entry(person: Person, me: &User) -> Entry {
    let (state, class) = state(&person);
    let role = person.user.role;
    let other = if role == Role::Admin { Role::Member } else { Role::Admin };
    Entry {
        role: role.as_str(),
        other_role: other.as_str(),
        state,
        class,
        keys: person.keys,
        since: person.created_at.to_minute(),
        is_me: person.user.key == me.key,
        is_disabled: person.disabled_at.is_some(),
        email: person.user.email,
        id: person.user.id.into(),
    }
}

/// What somebody can do at present, in words.
fn state(person: &Person) -> (String, &'static str) {
    match (person.disabled_at, person.has_password, person.is_invited) {
        (Some(at), _, _) => (format!("disabled since {}", at.to_minute()), "bad"),
        (None, true, false) => ("can sign in".to_owned(), "good"),
        (None, true, true) => ("can sign in, has a new link".to_owned(), "good"),
        (None, false, true) => ("invited".to_owned(), "going"),
        (None, false, false) => ("no password yet".to_owned(), "part"),
    }
}
