//! The only folder that knows the web framework: routes, extractors, errors and copies of answers.
//!
//! A request meets [`front`] (answers that are ready as bytes), then [`frame`] (id, limits, credentials,
//! errors), then a handler. It holds no rules of the house: those are in the domain and the services.

pub mod answer;
pub mod api;
pub mod auth;
mod body_budget;
pub mod cache;
pub mod connection;
pub mod connection_limit;
pub mod copies;
mod encoding;
pub mod error;
pub mod extract;
pub mod files;
pub mod form;
pub mod frame;
pub mod front;
pub mod headers;
pub mod idempotency;
pub mod json;
pub mod keyed;
pub mod limits;
mod log_path;
mod notice;
mod operations;
pub mod pace;
pub mod pages;
mod preflight;
pub mod problem;
mod proxies;
pub mod query;
pub mod reads;
pub mod ready;
pub mod records;
pub mod send_budget;
pub mod sessions;
mod sliced;
mod streams;
pub mod surfaces;
pub mod table;
mod unread;
pub mod view;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::HeaderMap;
use actix_web::web::{self, Data, ServiceConfig};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

pub use auth::{Admin, Known, Require, Write};
pub use cache::CachePolicy;
pub use error::{Answered, ApiError};
pub use extract::Id;
pub use json::{JsonBody, OptionalJson};
pub use query::{NoParams, Paging, Params};
pub use reads::Reads;
pub use sessions::{Posted, PostedFile, SignedIn, Visitor};
pub use view::View;

use crate::app::App;
use crate::error::{Error, Result};
use crate::service::access_tokens::AccessTokens;
#[cfg(feature = "oidc")]
use crate::service::oidc::Oidc;
use body_budget::BodyBudget;
use copies::Copies;
use limits::Limits;
use preflight::preflight;
use proxies::Proxies;
use send_budget::SendBudget;
use streams::Streams;

/// Pictures that are drawn at once, and how long one waits to be.
const DRAWINGS: usize = 2;
/// Reads at once for lists whose rows may be large: fewer than there are readers, so that others find one.
const ROW_TURNS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(10);

/// What all workers share to serve the app over HTTP.
pub struct Site {
    /// The app itself.
    pub app: Arc<App>,
    /// Answers that are ready.
    pub copies: Copies,
    /// How the outside reaches this server, without a slash at the end.
    pub public_url: String,
    access_tokens: AccessTokens,
    limits: Limits,
    /// What addresses of sign-ins are proven by.
    address_key: [u8; 32],
    proxies: Proxies,
    sessions: sessions::Rules,
    #[cfg(feature = "oidc")]
    oidc: Option<Oidc>,
    streams: Arc<Streams>,
    bodies: Arc<BodyBudget>,
    /// What may wait to be sent.
    pub send_budget: Arc<SendBudget>,
    drawings: Arc<Semaphore>,
    /// Turns to read from the store for lists whose rows may be large.
    row_turns: Arc<Semaphore>,
}

impl Site {
    /// The site of `app`, which the outside reaches at `public_url`.
    ///
    /// # Errors
    /// `Internal` when the copies cannot be laid out; `Invalid` naming the setting at fault.
    pub fn new(app: Arc<App>, public_url: &Url) -> Result<Self> {
        let copies = Copies::new(app.store.clone())?;
        let limits = Limits::new(&app.config.rates);
        let send_budget = SendBudget::new(app.config.send_budget_bytes, app.config.write_timeout());
        let proxies = app.config.trusted_proxies.parse()?;
        let sessions = sessions::Rules::new(public_url, app.config.public_url.is_some());
        let public_url = public_url.as_str().trim_end_matches('/').to_owned();
        let access_tokens = AccessTokens::new(&app.master, &public_url)?;
        let address_key = app.master.derive("evalboard: addresses of sign-ins");
        let drawings = Arc::new(Semaphore::new(DRAWINGS));
        #[cfg(feature = "oidc")]
        let oidc = Oidc::new(&app.config.oidc, &app.guard, &app.master, &public_url)?;
        Ok(Self {
            app,
            copies,
            public_url,
            access_tokens,
            limits,
            address_key,
            proxies,
            sessions,
            #[cfg(feature = "oidc")]
            oidc,
            streams: Arc::default(),
            bodies: Arc::default(),
            send_budget: Arc::new(send_budget),
            drawings,
            row_turns: Arc::new(Semaphore::new(ROW_TURNS)),
        })
    }

    /// Where a request comes from that `peer` connected for: what limits go by.
    pub(crate) fn client_address(&self, peer: Option<SocketAddr>, headers: &HeaderMap) -> Option<IpAddr> {
        self.proxies.client(peer.map(|peer| peer.ip()), headers)
    }

    /// Proves that `request` of somebody who says to be `email` comes from where it does.
    pub(crate) fn sign_in_proof(&self, request: &HttpRequest, email: &str) -> [u8; 32] {
        let peer = self.client_address(request.peer_addr(), request.headers());
        limits::sign_in_proof(&self.address_key, email, peer)
    }

    /// Waits for a turn to draw a picture.
    ///
    /// # Errors
    /// `Unavailable` when too many wait before.
    pub(crate) async fn drawing_turn(&self) -> Result<OwnedSemaphorePermit> {
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.drawings).acquire_owned()).await;
        let busy = |_| Error::Unavailable("too many pictures are asked for at once: try again".to_owned());
        turn.map_err(busy)?.map_err(Error::internal)
    }

    /// What people know the provider by that they can sign in with, if there is one.
    pub(crate) fn provider(&self) -> Option<String> {
        #[cfg(feature = "oidc")]
        return self.oidc.as_ref().map(|oidc| oidc.name().to_owned());
        #[cfg(not(feature = "oidc"))]
        None
    }

    /// Ends the answers that would go on for ever, and begins no more of them: the server stops.
    pub fn close_streams(&self) {
        self.streams.close();
    }

    /// The site that serves this request.
    pub(crate) fn of(request: &HttpRequest) -> Result<&Self> {
        request
            .app_data::<Data<Self>>()
            .map(Data::get_ref)
            .ok_or_else(|| Error::internal("the site is not configured"))
    }
}

/// Adds every route, and what handlers take with `Data<App>` and `Data<Site>`. The frame is not in it: it
/// wraps the whole.
pub fn configure(site: Arc<Site>) -> impl FnOnce(&mut ServiceConfig) {
    move |config| {
        config
            .app_data(Data::from(Arc::clone(&site.app)))
            .app_data(Data::from(site))
            .configure(pages::configure)
            // Before the API, whose scope takes every other address below its own.
            .configure(surfaces::configure)
            .configure(api::configure)
            .configure(files::configure)
            .default_service(web::to(nothing_here));
    }
}

/// The answer where there is no route.
async fn nothing_here() -> Answered {
    Err(Error::NotFound("address").into())
}
