//! Names to addresses, with every address judged: the only resolver that outbound calls have.
//!
//! It caches nothing, so the addresses judged are the ones connected to. Literal addresses never come here.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;

use super::allow::Allow;
use super::lane::Lane;

/// How names are looked up; tests bring their own.
pub(super) type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

/// A name server that stalls holds a blocking thread for as long as the system's resolver waits. So few at a
/// time leave the pool, which others share, its threads.
static LOOKUPS: Semaphore = Semaphore::const_new(64);

/// The operating system's resolver.
pub(super) fn system() -> Lookup {
    Arc::new(|name| Box::pin(look_up(name)))
}

async fn look_up(name: String) -> io::Result<Vec<IpAddr>> {
    let permit = LOOKUPS.acquire().await.map_err(io::Error::other)?;
    tokio::task::spawn_blocking(move || {
        // Held to the end of the lookup, which goes on when the caller has given up on it.
        let _permit = permit;
        Ok((name.as_str(), 0).to_socket_addrs()?.map(|address| address.ip()).collect())
    })
    .await
    .map_err(io::Error::other)?
}

/// Why a name has no addresses for us.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unresolved {
    #[error("{0} leads to {1}, which is not allowed")]
    Refused(String, IpAddr),
    #[error("{0} has no address")]
    Empty(String),
    #[error("{0} cannot be looked up")]
    Failed(String, #[source] io::Error),
}

/// Resolves names for the URLs of one lane.
#[derive(Clone)]
pub(super) struct Screen {
    pub(super) lane: Lane,
    pub(super) allow: Arc<Allow>,
    pub(super) lookup: Lookup,
}

impl Screen {
    /// The addresses of `name`, all of them allowed: one that is not fails the rest, since a name that mixes
    /// public and private addresses is an attempt at rebinding.
    pub(super) async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, Unresolved> {
        let addresses = (self.lookup)(name.to_owned())
            .await
            .map_err(|cause| Unresolved::Failed(name.to_owned(), cause))?;
        if let Some(ip) = addresses.iter().find(|ip| !self.lane.admits(name, **ip, &self.allow)) {
            tracing::warn!(name, address = %ip, "refused to call an address that a name leads to");
            return Err(Unresolved::Refused(name.to_owned(), *ip));
        }
        if addresses.is_empty() {
            return Err(Unresolved::Empty(name.to_owned()));
        }
        Ok(addresses)
    }
}

impl Resolve for Screen {
    fn resolve(&self, name: Name) -> Resolving {
        let screen = self.clone();
        Box::pin(async move {
            let addresses = screen.addresses(name.as_str()).await?;
            // Port 0 stands for the URL's own.
            let addresses: Addrs = Box::new(addresses.into_iter().map(|ip| SocketAddr::new(ip, 0)));
            Ok(addresses)
        })
    }
}
