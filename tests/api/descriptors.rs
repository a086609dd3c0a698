//! The real program where the system lets it have few files open: it serves what it can, and refuses the rest at once.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::field::until;

/// Longest time that a refusal may take on a machine that is busy with other tests.
const AT_ONCE: Duration = Duration::from_secs(5);

struct Server {
    process: Child,
    address: SocketAddr,
    folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// The program with a limit on open files, serving `folder` at `address`.
fn limited(files: u32, folder: &Path, address: SocketAddr) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("ulimit -n {files} && exec \"$0\" \"$@\"")])
        .arg(env!("CARGO_BIN_EXE_evalboard"))
        .args(["serve", "--listen", &address.to_string(), "--data-dir"])
        .arg(folder)
        .env("RUST_LOG", "info");
    command
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Server {
    async fn start(files: u32) -> Self {
        let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
        let log = std::fs::File::create(folder.path().join("server.log")).unwrap();
        let process = limited(files, folder.path(), address).stderr(Stdio::from(log)).spawn().unwrap();
        let server = Self { process, address, folder };
        until("the server to be ready", async || {
            let asked = TcpStream::connect(address).ok().map(|stream| ask(stream, "/readyz"));
            asked.filter(|answer| answer.starts_with("HTTP/1.1 200"))
        })
        .await;
        server
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("server.log")).unwrap()
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).unwrap()
    }
}

/// What is answered to a GET, to the end of the connection.
fn ask(mut stream: TcpStream, path: &str) -> String {
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: board.example\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    // A connection that is reset has no answer.
    stream.read_to_string(&mut answer).map(|_| answer).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_files_are_refused_at_once() {
    let server = Server::start(256).await;
    assert!(server.log().contains("fewer connections than EVALBOARD_MAX_CONNECTIONS"), "{}", server.log());
    let mut idle: Vec<TcpStream> = Vec::new();
    for path in ["/api/v1/status", "/", "/api/v1/models"] {
        // More than are served, all of them idle; those that come later take the places of any that ended.
        idle.extend((0..150).map(|_| server.connect()));
        let begun = Instant::now();
        let answer = ask(server.connect(), path);
        assert!(begun.elapsed() < AT_ONCE, "{path}: {:?}", begun.elapsed());
        let head = answer.to_lowercase();
        assert!(head.starts_with("http/1.1 503"), "{path}: {answer}");
        assert!(head.contains("retry-after: 5") && head.contains("connection: close"), "{answer}");
        assert!(answer.contains(r#""code":"unavailable""#), "{answer}");
    }
    assert!(ask(server.connect(), "/healthz").starts_with("HTTP/1.1 200"));
    assert!(server.log().contains("connections beyond the limit are refused"), "{}", server.log());
    drop(idle);
    until("room for another connection", async || {
        Some(ask(server.connect(), "/api/v1/models")).filter(|answer| answer.starts_with("HTTP/1.1 200"))
    })
    .await;
    assert!(!server.log().contains("Too many open files"), "{}", server.log());
}

/// What the program ends with under that limit.
fn ended(files: u32) -> Output {
    let folder = tempfile::tempdir().unwrap();
    limited(files, folder.path(), free_address()).output().unwrap()
}

#[test]
fn a_limit_of_no_use_is_refused_at_start() {
    let ended = ended(64);
    let words = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(!ended.status.success(), "{words}");
    assert!(words.contains("64 open files") && words.contains("ulimit -n"), "{words}");
}
