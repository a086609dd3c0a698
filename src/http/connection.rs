//! Connections over which responses have to go on: one whose writes make no progress for a while is ended.
//!
//! actix-http has timeouts for reading and for idle connections, but none for writing, and it goes on reading requests
//! while responses wait to be written. Both are mended here, below it.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, Protocol, Request, Response};
use actix_service::{IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::body::BoxBody;
use actix_web::dev::AppConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::connection_limit::Connections;
use super::ready::Raw;
use super::send_budget::SendBudget;

/// Bytes of a response that are collected before they are written.
const WRITE_BUFFER_CAPACITY: usize = 16 * 1024;
/// How long a client may go on sending what is no longer read, once its response is sent.
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);

/// How long connections wait for their clients.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionTimeouts {
    /// For the next request.
    pub keep_alive: Duration,
    /// For the head of a request.
    pub head: Duration,
    /// For a write to make progress.
    pub write: Duration,
}

/// Returns what serves the connections to `address` with `app`, until `stopping` resolves and they are idle. Those beyond
/// the limit of `connections` are refused.
pub fn service<I, F, D, W>(
    app: I,
    address: SocketAddr,
    timeouts: ConnectionTimeouts,
    connections: Arc<Connections>,
    budget: Arc<SendBudget>,
    stopping: D,
) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = DispatchError, InitError = ()>
where
    I: IntoServiceFactory<F, Request>,
    F: ServiceFactory<Request, Config = AppConfig, Response = Raw> + 'static,
    F::Error: Into<Response<BoxBody>> + 'static,
    F::InitError: std::fmt::Debug,
    F::Future: 'static,
    <F::Service as Service<Request>>::Future: 'static,
    D: Fn() -> W + 'static,
    W: Future<Output = ()> + 'static,
{
    let http = HttpService::build()
        .graceful_shutdown_signal(stopping)
        .keep_alive(timeouts.keep_alive)
        .client_request_timeout(timeouts.head)
        .client_disconnect_timeout(LINGER_TIMEOUT)
        .h1_write_buffer_size(WRITE_BUFFER_CAPACITY)
        .local_addr(address)
        .on_connect_ext(move |connection: &Connection, data| connections.note(&connection.stream, data))
        .finish(map_config(app.into_factory(), |()| AppConfig::default()));
    let accept = fn_service(move |stream: TcpStream| {
        let peer = stream.peer_addr().ok();
        let connection = Connection::new(stream, timeouts.write, Arc::clone(&budget));
        std::future::ready(Ok::<_, DispatchError>((connection, Protocol::Http1, peer)))
    });
    accept.and_then(http)
}

/// The connection of a client.
struct Connection {
    stream: TcpStream,
    write_timeout: Duration,
    budget: Arc<SendBudget>,
    /// Ends the wait of a write, while one waits.
    stall: Option<Pin<Box<Sleep>>>,
    /// Whether a read was put off while a write waited.
    is_read_put_off: bool,
}

impl Connection {
    const fn new(stream: TcpStream, write_timeout: Duration, budget: Arc<SendBudget>) -> Self {
        Self { stream, write_timeout, budget, stall: None, is_read_put_off: false }
    }

    /// Passes on what a write came to, as long as one comes to something in time.
    fn written(
        &mut self,
        context: &mut Context<'_>,
        outcome: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if outcome.is_ready() {
            self.stall = None;
            if std::mem::take(&mut self.is_read_put_off) {
                // Nothing else wakes whoever wanted to read.
                context.waker().wake_by_ref();
            }
            return outcome;
        }
        let timeout = self.write_timeout;
        ready!(self.stall.get_or_insert_with(|| Box::pin(sleep(timeout))).as_mut().poll(context));
        self.budget.count_stalled();
        // What the system still holds for the client goes with the connection, and does not wait for it.
        if let Err(cause) = self.stream.set_zero_linger() {
            tracing::debug!(error = %cause, "a connection that stalled is closed with what it holds");
        }
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Who does not read its responses gets no more of them: requests wait with the client.
        if self.stall.is_some() {
            self.is_read_put_off = true;
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(context, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.written(context, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
