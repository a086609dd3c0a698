//! The front: answers what is ready as bytes before the app sees the request, turns HEAD into GET, and sees to it that a
//! body that nobody reads harms no connection.
//!
//! Hits are neither limited nor logged one by one, only counted. Everything else is the app's.

use std::sync::Arc;
use std::task::{Context, Poll};

use actix_http::Request;
use actix_service::{IntoServiceFactory, Service, ServiceFactory};
use actix_web::HttpMessage;
use actix_web::body::BoxBody;
use actix_web::dev::{AppConfig, ServiceResponse};
use actix_web::http::Method;
use futures_util::future::{Either, FutureExt, LocalBoxFuture, MapOk, Ready, TryFutureExt, ready};

use super::limits::Payer;
use super::ready::Raw;
use super::unread::Held;
use super::{Site, auth, connection_limit, frame, query};

/// Marks a request that asks for the head of an answer alone: what never ends is not to be begun for it.
pub(super) struct HeadOnly;

/// What turns the app's response into a raw one.
type IntoRaw = fn(ServiceResponse<BoxBody>) -> Raw;

/// An answer that is ready, or the app's.
type Answering<F, E> = Either<Ready<Result<Raw, E>>, MapOk<F, IntoRaw>>;

/// Makes the front of each worker.
pub struct Front<F> {
    app: F,
    site: Arc<Site>,
}

impl<F> Front<F> {
    /// A front before `app`, with the copies of `site`.
    pub fn new<I>(app: I, site: Arc<Site>) -> Self
    where
        I: IntoServiceFactory<F, Request>,
        F: ServiceFactory<Request>,
    {
        Self { app: app.into_factory(), site }
    }
}

impl<F> ServiceFactory<Request> for Front<F>
where
    F: ServiceFactory<Request, Config = AppConfig, Response = ServiceResponse<BoxBody>>,
    F::Future: 'static,
    F::Error: Into<Raw> + 'static,
    <F::Service as Service<Request>>::Future: 'static,
{
    type Response = Raw;
    type Error = F::Error;
    type Config = AppConfig;
    type Service = FrontService<F::Service>;
    type InitError = F::InitError;
    type Future = LocalBoxFuture<'static, Result<Self::Service, Self::InitError>>;

    fn new_service(&self, config: AppConfig) -> Self::Future {
        let site = Arc::clone(&self.site);
        self.app.new_service(config).map_ok(|app| FrontService { app, site }).boxed_local()
    }
}

/// The front of one worker.
pub struct FrontService<S> {
    app: S,
    site: Arc<Site>,
}

impl<S> Service<Request> for FrontService<S>
where
    S: Service<Request, Response = ServiceResponse<BoxBody>>,
    S::Error: Into<Raw> + 'static,
    S::Future: 'static,
{
    type Response = Raw;
    type Error = S::Error;
    type Future = Either<Answering<S::Future, S::Error>, LocalBoxFuture<'static, Result<Raw, S::Error>>>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.app.poll_ready(context)
    }

    fn call(&self, mut request: Request) -> Self::Future {
        // The connection remembers that it was asked for the head and sends no body.
        if request.method() == Method::HEAD {
            request.head_mut().method = Method::GET;
            request.extensions_mut().insert(HeadOnly);
        }
        let held = Held::of(&mut request);
        let answer = self.answer(request);
        match held {
            None => Either::Left(answer),
            Some(held) => Either::Right(held.through(answer).boxed_local()),
        }
    }
}

impl<S> FrontService<S>
where
    S: Service<Request, Response = ServiceResponse<BoxBody>>,
{
    fn answer(&self, request: Request) -> Answering<S::Future, S::Error> {
        if let Some(refusal) = connection_limit::refusal(&request) {
            return Either::Left(ready(Ok(refusal)));
        }
        if let Some(response) = find(&self.site, &request) {
            self.site.copies.count_hit();
            return Either::Left(ready(Ok(response)));
        }
        let into_raw: IntoRaw = ServiceResponse::into;
        Either::Right(self.app.call(request).map_ok(into_raw))
    }
}

/// The answer to a request, if it is everybody's and ready.
fn find(site: &Site, request: &Request) -> Option<Raw> {
    if request.method() != Method::GET || !auth::is_anonymous(request.head()) {
        return None;
    }
    let address = request.uri().path_and_query()?;
    let copy = match address.query() {
        None => site.copies.find(address.as_str()),
        Some(asked) => site.copies.find(address.as_str()).or_else(|| {
            let known = site.copies.known(address.path()).filter(|_| !frame::has_key(asked))?;
            site.copies.find(&query::canonical(address.path(), asked, known))
        }),
    }?;
    // Where there is no room for it, the app says so.
    let headers = HttpMessage::headers(request);
    let caller = || Payer::of(site.client_address(request.peer_addr(), headers));
    copy.respond(headers, &site.send_budget, caller).ok().flatten()
}
