//! The app as a server on a socket: built first, so that its address is known, then run.
//!
//! It starts nothing but the web workers, and handles no signals.

use std::net::SocketAddr;
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use actix_web::App as WebApp;
use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use tokio::net::TcpSocket;
use url::Url;

use crate::app::App;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::http::connection::{self, ConnectionTimeouts};
use crate::http::connection_limit::{Budget, Connections};
use crate::http::frame::frame;
use crate::http::front::Front;
use crate::http::{Site, configure};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 2_048;
/// Bytes that the system takes for a client before it can send them: what is on its way is limited by the client alone.
#[cfg(any(target_os = "linux", target_os = "android"))]
const MAX_UNSENT: u32 = 64 * 1024;
/// How long an idle connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long the head of a request may take. (Bodies have limits of their own, where they are read.)
const HEAD_PATIENCE: Duration = Duration::from_secs(20);
/// How long requests in flight may take once the server is told to stop, in seconds.
const DRAIN: u64 = 30;

/// A server that is bound to its address.
pub struct Server {
    running: actix_web::dev::Server,
    site: Arc<Site>,
    address: SocketAddr,
}

impl Server {
    /// Binds to the configured address; port 0 takes a free one. Call it on the multi-threaded runtime.
    ///
    /// # Errors
    /// `Internal` when the address cannot be had.
    pub fn build(app: Arc<App>) -> Result<Self> {
        let listener = listen(app.config.listen).map_err(|cause| {
            Error::Unavailable(format!("cannot listen on {}: {cause}", app.config.listen))
        })?;
        let address = listener.local_addr().map_err(Error::internal)?;
        let public_url = match &app.config.public_url {
            Some(url) => url.clone(),
            None => Url::parse(&format!("http://{address}")).map_err(Error::internal)?,
        };
        let site = Arc::new(Site::new(app, &public_url)?);
        let shared = Arc::clone(&site);
        let budget = budget(site.app.config.max_connections)?;
        let connections = Connections::new(budget.connections);
        let write = site.app.config.write_timeout();
        let timeouts = ConnectionTimeouts { keep_alive: KEEP_ALIVE, head: HEAD_PATIENCE, write };
        let builder = actix_web::dev::Server::build();
        let stopping = builder.graceful_shutdown_signal();
        let running = builder
            .workers(workers())
            .max_concurrent_connections(budget.worker_connections(workers()))
            .shutdown_timeout(DRAIN)
            .disable_signals()
            .listen("evalboard", listener, move || {
                let app = WebApp::new().wrap(from_fn(frame)).configure(configure(Arc::clone(&shared)));
                let front = Front::new(app, Arc::clone(&shared));
                let stopping = stopping.clone();
                let stopping = move || {
                    let stopping = stopping.clone();
                    async move { stopping.notified().await }
                };
                let (connections, budget) = (Arc::clone(&connections), Arc::clone(&shared.send_budget));
                connection::service(front, address, timeouts, connections, budget, stopping)
            })
            .map_err(Error::internal)?
            .run();
        Ok(Self { running, site, address })
    }

    /// The address it is bound to.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// How the outside reaches it, without a slash at the end.
    #[must_use]
    pub fn public_url(&self) -> &str {
        &self.site.public_url
    }

    /// What stops it, from anywhere.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper { handle: self.running.handle(), site: Arc::clone(&self.site) }
    }

    /// Serves until it is stopped.
    ///
    /// # Errors
    /// `Internal` when the workers fail.
    pub async fn run(self) -> Result<()> {
        self.running.await.map_err(Error::internal)
    }
}

/// Stops a server.
#[derive(Clone)]
pub struct Stopper {
    handle: ServerHandle,
    site: Arc<Site>,
}

impl Stopper {
    /// Takes no more requests, and waits until those in flight are answered; answers without an end are ended.
    pub async fn drain(&self) {
        self.site.close_streams();
        self.handle.stop(true).await;
    }

    /// Ends everything at once.
    pub async fn cut(&self) {
        self.handle.stop(false).await;
    }
}

/// Refuses a system whose limit on open files lets no server do its work.
///
/// # Errors
/// `Unavailable`, with the limit that is needed.
pub fn check_limits(config: &Config) -> Result<()> {
    Budget::new(config.max_connections, workers()).map(drop)
}

/// What fits of the connections that the operator wants.
fn budget(wanted: u32) -> Result<Budget> {
    let budget = Budget::new(wanted, workers())?;
    if u32::try_from(budget.connections).is_ok_and(|connections| connections < wanted) {
        tracing::warn!(
            connections = budget.connections,
            wanted,
            open_files = budget.files,
            "fewer connections than EVALBOARD_MAX_CONNECTIONS: raise the limit on open files (ulimit -n) for more"
        );
    }
    Ok(budget)
}

fn workers() -> usize {
    std::thread::available_parallelism().map_or(2, NonZero::get)
}

/// A listening socket with a backlog for bursts. Its connections inherit its options.
fn listen(address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket2::SockRef::from(&socket).set_tcp_notsent_lowat(MAX_UNSENT)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}
