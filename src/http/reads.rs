//! How a handler answers a read: it says what the answer is made from, and makes it when no copy is true.

use std::future::{Ready as Immediate, ready};
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse, web};
use serde::de::DeserializeOwned;

use super::error::{Answered, ApiError};
use super::front::HeadOnly;
use super::keyed::{KeyedPage, WriteRows, read_in_turn};
use super::limits::Payer;
use super::query::{self, NoParams, Paging};
use super::ready::{Ready, is_held};
use super::view::{Address, View};
use super::{CachePolicy, Site, auth};
use crate::domain::page::{ListName, Page, RowKey};
use crate::domain::users::Caller;
use crate::error::{Error, Result};
use crate::service::endpoints::Endpoints;
use crate::store::{Topic, Tx};

/// Marks a response that is the same for everybody, so that nothing of one request is written on it.
pub(super) struct IsShared;

/// A read: its typed query parameters `Q` (a flat struct of all that the route knows) and who asks.
pub struct Reads<Q = NoParams> {
    /// The query parameters.
    pub params: Q,
    caller: Caller,
    request: HttpRequest,
    known: &'static [&'static str],
}

impl<Q: DeserializeOwned> FromRequest for Reads<Q> {
    type Error = ApiError;
    type Future = Immediate<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let read = auth::caller(request).and_then(|caller| {
            let params = query::parse(request.query_string())?;
            Ok(Self { params, caller, request: request.clone(), known: query::names::<Q>() })
        });
        ready(read.map_err(ApiError))
    }
}

impl Reads<Paging> {
    /// Reads which page of the list is asked for.
    ///
    /// # Errors
    /// `Invalid` naming the parameter.
    pub fn page(&self) -> Result<Page> {
        Page::parse(&self.list(), self.params.limit(), self.params.cursor())
    }
}

impl<Q> Reads<Q> {
    /// Who asks. What he alone may see goes into the view only when he is not anonymous: an anonymous
    /// caller's answer is everybody's.
    #[must_use]
    pub const fn caller(&self) -> &Caller {
        &self.caller
    }

    /// What of the models' endpoints goes into the view.
    ///
    /// # Errors
    /// `Internal` when the site is not configured.
    pub fn endpoints(&self) -> Result<Endpoints> {
        Ok(Endpoints::of(&Site::of(&self.request)?.app, &self.caller))
    }

    /// Answers with the copy that is still true, or with what `view` makes. `topics` are all that `view`
    /// reads; it runs in one read transaction, off the async threads.
    ///
    /// # Errors
    /// What `view` answers.
    pub async fn answer(
        &self,
        topics: &'static [Topic],
        view: impl FnOnce(&mut Tx<'_>) -> Result<View> + Send + 'static,
    ) -> Answered {
        let site = Site::of(&self.request)?;
        let address = self.address(site);
        let store = site.app.store.clone();
        let make = site.app.store.read(move |tx| view(tx)?.noticed(&store.condition()).ready(&address));
        self.send(site, topics, make).await
    }

    /// As [`Reads::answer`], where the body is much work that reads nothing: `read` has the transaction, and what
    /// it found is made into a view by `show` afterwards, for few callers at a time.
    ///
    /// # Errors
    /// What the two answer; `Unavailable` when too many wait.
    pub async fn answer_apart<T: Send + 'static>(
        &self,
        topics: &'static [Topic],
        read: impl FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
        show: impl FnOnce(T) -> Result<View> + Send + 'static,
    ) -> Answered {
        let site = Site::of(&self.request)?;
        let address = self.address(site);
        let make = async move {
            let found = site.app.store.read(read).await?;
            let turn = site.drawing_turn().await?;
            let shown = web::block(move || {
                let _turn = turn;
                show(found)?.ready(&address)
            });
            shown.await.map_err(Error::internal)?
        };
        self.send(site, topics, make).await
    }

    /// Answers with what never changes while this server runs: no transaction is opened for it.
    ///
    /// # Errors
    /// What `view` answers.
    pub async fn answer_fixed(&self, view: impl FnOnce() -> Result<View> + Send + 'static) -> Answered {
        let site = Site::of(&self.request)?;
        let address = self.address(site);
        let make = async move { web::block(move || view()?.ready(&address)).await.map_err(Error::internal)? };
        self.send(site, &[], make).await
    }

    /// Answers with a page of a list whose rows may be large. `page` reads which rows it has, and `write` reads rows.
    ///
    /// # Errors
    /// What the two answer; `Unavailable` when the page is large and too much waits to be sent.
    pub async fn answer_keyed(
        &self,
        topics: &'static [Topic],
        page: impl Fn(&mut Tx<'_>) -> Result<KeyedPage> + Send + Sync + 'static,
        write: impl Fn(&mut Tx<'_>, &[RowKey], bool) -> Result<Vec<u8>> + Send + Sync + 'static,
    ) -> Answered {
        let site = Site::of(&self.request)?;
        let (address, page, write): (_, _, WriteRows) = (self.address(site), Arc::new(page), Arc::new(write));
        // Read before what it is to vouch for.
        let tag = site.copies.weak_tag(topics);
        let found = Arc::clone(&page);
        let first = read_in_turn(&site.row_turns, &site.app.store, move |tx| found(tx)).await?;
        if !first.is_large() {
            let whole = move |tx: &mut Tx<'_>| page(tx)?.whole(tx, &write)?.ready(&address);
            let make = read_in_turn(&site.row_turns, &site.app.store, whole);
            return self.send(site, topics, make).await;
        }
        let tag = (first.policy_at(&address) != CachePolicy::NoStore).then_some(tag);
        let is_known = tag.as_deref().is_some_and(|tag| is_held(self.request.headers(), tag));
        let status = if is_known { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
        let mut head = first.head(status, &address, tag.as_deref())?;
        if is_known || self.request.extensions().get::<HeadOnly>().is_some() {
            return Ok(head.finish());
        }
        Ok(first.send(site, Payer::of_request(&self.request, site), write, head).await?)
    }

    /// Returns the name of the list at the address that was asked.
    #[must_use]
    pub fn list(&self) -> ListName {
        ListName::new(self.request.path(), query::known_pairs(self.request.query_string(), self.known))
    }

    /// Returns `true` when the response may be shared with everybody: the middleware found that nobody in particular
    /// asks. Where the credential was sent makes no difference.
    const fn is_shareable(&self) -> bool {
        matches!(self.caller, Caller::Anonymous)
    }

    /// From the copies for an anonymous caller; made for him alone for any other.
    async fn send(
        &self,
        site: &Site,
        topics: &'static [Topic],
        make: impl Future<Output = Result<Ready>>,
    ) -> Answered {
        if !self.is_shareable() {
            let made = Arc::new(make.await?);
            return self.respond(site, made).await;
        }
        let path = self.request.path();
        if !self.known.is_empty() {
            site.copies.learn(path, self.known);
        }
        let key = query::canonical(path, self.request.query_string(), self.known);
        let copy = site.copies.find_or_make(&key, topics, make).await?;
        let mut response = self.respond(site, copy).await?;
        response.extensions_mut().insert(IsShared);
        Ok(response)
    }

    /// Sends an answer in the encoding the caller likes, which is made first when nobody asked for it yet.
    async fn respond(&self, site: &Site, answer: Arc<Ready>) -> Answered {
        let (asked, budget) = (self.request.headers(), &site.send_budget);
        let caller = || Payer::of_request(&self.request, site);
        if let Some(response) = answer.respond(asked, budget, caller)? {
            return Ok(response.into());
        }
        let encoding = answer.encoding(asked);
        let preparing = Arc::clone(&answer);
        web::block(move || preparing.prepare(encoding)).await.map_err(Error::internal)??;
        let missing = || ApiError(Error::internal("an encoding was made and is not there"));
        answer.respond(asked, budget, caller)?.map(HttpResponse::from).ok_or_else(missing)
    }

    fn address(&self, site: &Site) -> Address {
        let query = query::known_pairs(self.request.query_string(), self.known);
        Address {
            public_url: site.public_url.clone(),
            path: self.request.path().to_owned(),
            query: query.into_iter().map(|(name, value)| (name.into_owned(), value.into_owned())).collect(),
            is_private: !self.is_shareable(),
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;
    use crate::domain::id::{UserId, UserKey};
    use crate::domain::users::{Role, User};
    use crate::http::auth::Identity;

    fn read(request: TestRequest, caller: Caller) -> Reads {
        let request = request.to_http_request();
        request.extensions_mut().insert(Identity::Known(caller));
        Reads::from_request(&request, &mut Payload::None).into_inner().unwrap()
    }

    #[test]
    fn identity_alone_makes_a_response_private() {
        let user = User {
            key: UserKey(1),
            id: UserId::from("u".to_owned()),
            email: "member@example.org".to_owned(),
            role: Role::Member,
        };
        assert!(!read(TestRequest::get(), Caller::User(user)).is_shareable());
        for name in ["authorization", "cookie", "x-api-key", "x-other"] {
            let request = TestRequest::get().insert_header((name, "anything"));
            assert!(read(request, Caller::Anonymous).is_shareable(), "{name}");
        }
    }
}
