//! The guard against real sockets on this machine, and against tables of URLs.

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

mod answers;
mod names;
mod urls;

/// Long enough for a busy machine, where a test does not wait for them to run out.
const SHORT: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    idle: Duration::from_millis(400),
    total: Duration::from_secs(20),
};

fn guard(allow: &str) -> Guard {
    Guard::new(allow.parse().unwrap(), SHORT).unwrap()
}

/// A guard whose names all lead to `addresses`.
fn guard_with_names(allow: &str, addresses: &[&str]) -> Guard {
    let addresses: Vec<IpAddr> = addresses.iter().map(|ip| ip.parse().unwrap()).collect();
    let lookup: Lookup = Arc::new(move |_| {
        let addresses = addresses.clone();
        Box::pin(async move { Ok(addresses) })
    });
    Guard::with_lookup(allow.parse().unwrap(), SHORT, lookup).unwrap()
}

fn guard_without_names() -> Guard {
    let lookup: Lookup = Arc::new(|_| Box::pin(async { Err(io::Error::other("no such host")) }));
    Guard::with_lookup(Allow::default(), SHORT, lookup).unwrap()
}

fn post(url: &str) -> Request {
    Request::new(Method::POST, url.parse().unwrap())
}

/// A server that says its piece to every caller, and counts them.
struct Server {
    address: SocketAddr,
    calls: Arc<AtomicUsize>,
}

impl Server {
    async fn answering(reply: impl Into<Vec<u8>>) -> Self {
        let reply = reply.into();
        Self::start(move |mut stream| {
            let reply = reply.clone();
            async move {
                read_head(&mut stream).await;
                // The caller may have heard enough before all is said.
                stream.write_all(&reply).await.ok();
                stream.shutdown().await.ok();
            }
        })
        .await
    }

    async fn start<F, T>(serve: F) -> Self
    where
        F: Fn(TcpStream) -> T + Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let calls = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&calls);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream));
            }
        });
        Self { address, calls }
    }

    fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    fn guard(&self) -> Guard {
        guard(&self.address.to_string())
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

/// A TLS greeting, whole: closing with bytes unread would reset the connection.
async fn read_greeting(stream: &mut TcpStream) {
    let mut header = [0; 5];
    stream.read_exact(&mut header).await.unwrap();
    let mut rest = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
    stream.read_exact(&mut rest).await.unwrap();
}

fn ok(headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    [head.as_bytes(), body].concat()
}
