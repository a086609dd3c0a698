//! A provider below HTTP: each of its models answers every request by a script of bytes, pauses and ends of the
//! connection. All models share one address, and the connections to it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::wire::write;

/// The first byte of a TLS handshake.
const HANDSHAKE: u8 = 0x16;

/// One step of a response.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Write(Vec<u8>),
    Pause(Duration),
    /// Writes the same again and again, with pauses, for as long as it is taken.
    Flood(Vec<u8>, Duration),
    /// Ends the connection in order.
    Close,
    /// Ends the connection by a reset.
    Reset,
    /// Closes its own direction, and reads on until the other side closes.
    HalfClose,
    /// Does nothing any more until the other side closes.
    Hang,
}

/// A request, as far as it matters.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) model: String,
    pub(crate) at: Instant,
}

#[derive(Default)]
struct Ledger {
    scripts: HashMap<String, Arc<[Step]>>,
    seen: Vec<Seen>,
}

/// The running provider.
pub(crate) struct RawProvider {
    pub(crate) address: SocketAddr,
    ledger: Arc<Mutex<Ledger>>,
}

impl RawProvider {
    /// A provider on a port of its own, whose models close the connection until they have a script.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let ledger = Arc::<Mutex<Ledger>>::default();
        let shared = Arc::clone(&ledger);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { address, ledger }
    }

    /// Gives a model its script. A script without an end of the connection leaves it open for further requests.
    pub(crate) fn script(&self, model: &str, steps: Vec<Step>) {
        self.ledger.lock().unwrap().scripts.insert(model.to_owned(), steps.into());
    }

    /// Where a model is called.
    pub(crate) fn uri(&self, scheme: &str, model: &str) -> String {
        format!("openai-compatible:{scheme}://{}/v1#{model}", self.address)
    }

    /// When each request to a model came in.
    pub(crate) fn seen(&self, model: &str) -> Vec<Instant> {
        let ledger = self.ledger.lock().unwrap();
        ledger.seen.iter().filter(|seen| seen.model == model).map(|seen| seen.at).collect()
    }
}

async fn serve(mut stream: TcpStream, ledger: Arc<Mutex<Ledger>>) {
    while let Some(model) = read_model(&mut stream).await {
        let script = {
            let mut ledger = ledger.lock().unwrap();
            ledger.seen.push(Seen { model: model.clone(), at: Instant::now() });
            ledger.scripts.get(&model).cloned()
        };
        let Some(script) = script else { return };
        for step in script.iter() {
            if !play(&mut stream, step).await {
                return;
            }
        }
    }
}

/// Takes one step; returns whether the connection is still of use.
async fn play(stream: &mut TcpStream, step: &Step) -> bool {
    match step {
        Step::Write(bytes) => write(stream, bytes).await,
        Step::Pause(pause) => {
            tokio::time::sleep(*pause).await;
            true
        }
        Step::Flood(bytes, pause) => {
            while write(stream, bytes).await {
                tokio::time::sleep(*pause).await;
            }
            false
        }
        Step::Close => false,
        Step::Reset => {
            stream.set_zero_linger().unwrap();
            false
        }
        Step::HalfClose => {
            stream.shutdown().await.ok();
            drain(stream).await;
            false
        }
        Step::Hang => {
            drain(stream).await;
            false
        }
    }
}

async fn drain(stream: &mut TcpStream) {
    let mut buffer = [0; 1_024];
    while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
}

/// Reads a request; returns the model it asks, none at the end of the connection. Whoever begins a TLS handshake is
/// told in plain text that this is none.
async fn read_model(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    loop {
        if let Some(body) = whole_body(&request) {
            let body: Value = serde_json::from_slice(body).unwrap();
            return Some(body["model"].as_str().unwrap().to_owned());
        }
        if stream.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
        if request.first() == Some(&HANDSHAKE) {
            write(stream, b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
            return None;
        }
    }
}

/// The body of a request, once all of it is there.
fn whole_body(request: &[u8]) -> Option<&[u8]> {
    let end = request.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&request[..end]).unwrap();
    let length =
        head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let body = &request[end + 4..];
    (body.len() >= length.unwrap_or(0)).then_some(body)
}
