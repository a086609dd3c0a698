//! A server per test, and clients for each kind of caller.

pub(crate) mod browser;
pub(crate) mod bucket;
pub(crate) mod field;
pub(crate) mod forms;
pub(crate) mod grants;
pub(crate) mod hook;
#[cfg(feature = "oidc")]
pub(crate) mod idp;
pub(crate) mod provider;
pub(crate) mod raw_provider;
pub(crate) mod seed;
pub(crate) mod site;
pub(crate) mod steps;
pub(crate) mod things;
pub(crate) mod tokens;
pub(crate) mod wire;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix_web::middleware::from_fn;
use actix_web::{App as WebApp, HttpServer};
use clap::Parser;
use evalboard::app::App;
use evalboard::config::Config;
use evalboard::domain::api_keys::ApiKey;
use evalboard::domain::id::ModelId;
use evalboard::domain::models::Card;
use evalboard::domain::time::Millis;
use evalboard::domain::users::Role;
use evalboard::engine::Pace;
use evalboard::http::frame::frame;
use evalboard::http::front::Front;
use evalboard::http::{Site, configure};
use evalboard::server::Server;
use evalboard::service::{keys, people};
use evalboard::store::{Store, models};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tempfile::TempDir;

/// How the outside reaches the server, as far as it knows.
pub(crate) const PUBLIC_URL: &str = "https://board.example";

/// An engine that waits for nothing longer than a test likes to.
pub(crate) const QUICK: Pace = Pace {
    concurrency: 20,
    cut_every: Duration::from_millis(300),
    rest: Duration::from_millis(300),
    watch_interval: Duration::from_millis(50),
    lease: Duration::from_secs(5),
    heartbeat: Duration::from_millis(200),
    first_retry: Duration::from_millis(20),
    last_retry: Duration::from_millis(100),
    drain: Duration::from_secs(5),
};

/// Longest wait for anything: only what never comes fails its test, however busy the machine is.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    config: Config,
}

/// The house of one test: a database in a folder of its own.
pub(crate) struct House {
    pub(crate) app: Arc<App>,
    pub(crate) folder: TempDir,
}

impl House {
    /// A house with these flags besides those that every test has.
    pub(crate) fn with(flags: &[&str]) -> Self {
        Self::paced(flags, QUICK)
    }

    /// A house whose engine keeps that pace.
    pub(crate) fn paced(flags: &[&str], pace: Pace) -> Self {
        Self::operated(flags, Vec::new(), pace)
    }

    /// A house whose operator has set these variables.
    pub(crate) fn operated(flags: &[&str], variables: Vec<(String, String)>, pace: Pace) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = env!("CARGO_BIN_EXE_evalboard");
        let own = [
            "test",
            "--listen",
            "127.0.0.1:0",
            "--public-url",
            PUBLIC_URL,
            "--program",
            program,
            "--data-dir",
        ];
        let path = folder.path().to_str().unwrap();
        let config = Flags::parse_from(own.iter().chain(&[path]).chain(flags)).config;
        let store = Store::open(&folder.path().join("evalboard.db")).unwrap();
        let app = App::new(config, store, variables.into_iter(), pace).unwrap();
        Self { app: Arc::new(app), folder }
    }

    /// A key for the person with that address.
    pub(crate) async fn key(&self, email: &str, role: Role) -> ApiKey {
        keys::create(&self.app.store, email, role, "test", Millis::now()).await.unwrap()
    }

    /// A model of the person with that address.
    pub(crate) async fn model(&self, email: &str) -> String {
        let (store, now) = (&self.app.store, Millis::now());
        let owner = keys::ensure_user(store, email, Role::Member, now).await.unwrap();
        let id = ModelId::fresh();
        let name = id.to_string();
        let card = Card::new("Model".to_owned(), "builtin:echo".to_owned()).check().unwrap();
        store.write(move |tx| models::insert(tx, &id, owner.key, &card, now).map(drop)).await.unwrap();
        name
    }

    /// Where its data are.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// A running server with a client for each kind of caller.
pub(crate) struct Board {
    pub(crate) house: House,
    pub(crate) address: SocketAddr,
    pub(crate) anonymous: Client,
    pub(crate) member: Client,
    /// Another member.
    pub(crate) other: Client,
    pub(crate) admin: Client,
}

impl Board {
    /// The real server, its engine standing still.
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// The real server with its engine running.
    pub(crate) async fn running(flags: &[&str]) -> Self {
        Self::paced(flags, QUICK).await
    }

    /// The real server with its engine running at that pace.
    pub(crate) async fn paced(flags: &[&str], pace: Pace) -> Self {
        Self::operated(flags, Vec::new(), pace).await
    }

    /// The same, whose operator has set these variables.
    pub(crate) async fn operated(flags: &[&str], variables: Vec<(String, String)>, pace: Pace) -> Self {
        let board = Self::in_house(House::operated(flags, variables, pace)).await;
        board.house.app.engine.start().await.unwrap();
        board
    }

    /// The real server with these flags, its engine standing still.
    pub(crate) async fn with(flags: &[&str]) -> Self {
        Self::in_house(House::with(flags)).await
    }

    async fn in_house(house: House) -> Self {
        let server = Server::build(Arc::clone(&house.app)).unwrap();
        let address = server.address();
        people::show_as(&house.app.store, house.app.config.submitters).await.unwrap();
        tokio::spawn(server.run());
        Self::at(house, address).await
    }

    /// The same stack with the routes of [`things`] added.
    pub(crate) async fn with_things(flags: &[&str]) -> Self {
        let house = House::with(flags);
        let public_url = house.app.config.public_url.clone().unwrap();
        let site = Arc::new(Site::new(Arc::clone(&house.app), &public_url).unwrap());
        let things = things::Things::default();
        let server = HttpServer::new(move || {
            let things = things.clone();
            let app = WebApp::new()
                .wrap(from_fn(frame))
                .configure(|config| things::configure(config, things))
                .configure(configure(Arc::clone(&site)));
            Front::new(app, Arc::clone(&site))
        })
        .workers(2)
        .bind("127.0.0.1:0")
        .unwrap();
        let address = server.addrs()[0];
        tokio::spawn(server.disable_signals().run());
        Self::at(house, address).await
    }

    async fn at(house: House, address: SocketAddr) -> Self {
        let member = house.key("member@example.org", Role::Member).await;
        let other = house.key("other@example.org", Role::Member).await;
        let admin = house.key("admin@example.org", Role::Admin).await;
        Self {
            anonymous: Client::new(address, None),
            member: Client::new(address, Some(&member)),
            other: Client::new(address, Some(&other)),
            admin: Client::new(address, Some(&admin)),
            house,
            address,
        }
    }
}

/// A caller.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    key: Option<String>,
    cookie: Option<String>,
}

impl Client {
    /// A caller with that key, or without.
    pub(crate) fn new(address: SocketAddr, key: Option<&ApiKey>) -> Self {
        Self::bearing(address, key.map(ApiKey::expose))
    }

    /// A caller with that key or token, or without.
    pub(crate) fn bearing(address: SocketAddr, credential: Option<&str>) -> Self {
        let http = reqwest::Client::builder().no_proxy().gzip(false).brotli(false).timeout(PATIENCE);
        let http = http.build().unwrap();
        Self { http, base: format!("http://{address}"), key: credential.map(str::to_owned), cookie: None }
    }

    /// The same caller with a browser's cookie.
    pub(crate) fn with_cookie(mut self, cookie: &str) -> Self {
        self.cookie = Some(cookie.to_owned());
        self
    }

    /// A request to be refined and then [`Asking::send`]-ed.
    pub(crate) fn ask(&self, method: Method, path: &str) -> Asking {
        let request = self.http.request(method, format!("{}{path}", self.base));
        let request = match &self.cookie {
            Some(cookie) => request.header("cookie", cookie),
            None => request,
        };
        Asking(match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        })
    }

    /// The text of its key or token.
    pub(crate) fn credential(&self) -> &str {
        self.key.as_deref().expect("a caller with a credential")
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.ask(Method::GET, path).send().await
    }

    pub(crate) async fn head(&self, path: &str) -> Reply {
        self.ask(Method::HEAD, path).send().await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.ask(Method::DELETE, path).send().await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.ask(Method::POST, path).json(body).send().await
    }
}

/// A request on its way.
pub(crate) struct Asking(reqwest::RequestBuilder);

impl Asking {
    pub(crate) fn header(self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).unwrap();
        Self(self.0.header(HeaderName::from_static(name), value))
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        Self(self.0.json(body))
    }

    pub(crate) fn body(self, body: impl Into<reqwest::Body>) -> Self {
        Self(self.0.body(body))
    }

    /// The answer with its body still to come.
    pub(crate) async fn open(self) -> reqwest::Response {
        self.0.send().await.unwrap()
    }

    pub(crate) async fn send(self) -> Reply {
        let response = self.0.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        Reply { status, headers, body: response.bytes().await.unwrap().to_vec() }
    }
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// The header of that name, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {:?}", self.text()))
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The status as a number.
    pub(crate) fn code(&self) -> u16 {
        self.status.as_u16()
    }

    /// The headers that say something of the answer, not of the moment.
    pub(crate) fn lasting_headers(&self) -> HeaderMap {
        let mut headers = self.headers.clone();
        headers.remove("date");
        headers
    }
}
