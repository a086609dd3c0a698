//! The guard against real sockets on this machine, and against tables of URLs.

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

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

#[test]
fn urls_are_stored_in_one_spelling() {
    let guard = guard("");
    for (text, stored) in [
        ("https://api.openai.com/v1", "https://api.openai.com/v1"),
        ("  HTTPS://API.OpenAI.com:443/v1?a=b\n", "https://api.openai.com/v1?a=b"),
        ("https://api.openai.com./v1", "https://api.openai.com/v1"),
        ("https:\\\\api.openai.com\\v1", "https://api.openai.com/v1"),
        ("https://ａｐｉ.example/", "https://api.example/"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("https://a.example/../x/./y", "https://a.example/x/y"),
        ("https://a.example:8443", "https://a.example:8443/"),
        ("https://a.example:8000/", "https://a.example:8000/"),
        ("https://a.example:80/", "https://a.example:80/"),
        ("https://134744072/", "https://8.8.8.8/"),
        ("https://[2001:4860:4860:0::8888]/", "https://[2001:4860:4860::8888]/"),
        ("https://@a.example/", "https://a.example/"),
        ("https://mylocalhost/", "https://mylocalhost/"),
        ("https://localhost.example/", "https://localhost.example/"),
    ] {
        assert_eq!(guard.check(text, "url").unwrap().as_str(), stored, "{text}");
    }
}

#[test]
fn what_must_not_be_called_is_refused_in_every_spelling() {
    let guard = guard("");
    let long = format!("https://a.example/{}", "x".repeat(MAX_URL));
    for (text, why) in [
        ("", "https://"),
        ("not a url", "https://"),
        ("api.example.com/v1", "https://"),
        ("https://", "can be read"),
        ("https://1.2.3.4.5/", "can be read"),
        ("https://256.256.256.256/", "can be read"),
        ("https://[fe80::1%25eth0]/", "can be read"),
        ("https://a b/", "can be read"),
        ("https://./", "host"),
        ("https://../", "host"),
        (long.as_str(), "2048"),
        ("ftp://a.example/", "https://"),
        ("file:///etc/passwd", "https://"),
        ("gopher://a.example/", "https://"),
        ("data:text/plain,x", "https://"),
        ("builtin:random?seed=7", "https://"),
        ("http://a.example/", "https://"),
        ("http://8.8.8.8/", "https://"),
        ("https://user@a.example/", "user name"),
        ("https://user:secret@a.example/", "user name"),
        ("https://:secret@a.example/", "user name"),
        ("https://8.8.8.8@127.0.0.1/", "user name"),
        ("https://a.example/#model", "fragment"),
        ("https://a.example/#", "fragment"),
        ("https://a.example:22/", "not 22"),
        ("https://a.example:6379/", "not 6379"),
        ("https://a.example:11434/", "not 11434"),
        ("https://8.8.8.8:4000/", "not 4000"),
        ("https://a.example:0/", "not 0"),
    ] {
        let error = guard.check(text, "inference_uri").unwrap_err();
        let message = error.to_string();
        assert!(message.starts_with("inference_uri ") && message.contains(why), "{text}: {message}");
        assert!(!message.contains("secret"), "{message}");
    }
}

#[test]
fn addresses_that_are_not_public_are_refused_in_every_spelling() {
    let guard = guard("");
    for host in [
        // IPv4, in decimal, octal, hexadecimal, with parts left out, in other scripts' digits
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "127.0.1",
        "127.00000.0.1",
        "2130706433",
        "2130706433.",
        "0x7f000001",
        "0X7F000001",
        "0x7f.1",
        "0x7f.0x0.0x0.0x1",
        "0177.0.0.1",
        "0177.1",
        "017700000001",
        "000000000000000000000177.0.0.1",
        "１２７.０.０.１",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
        "127%2e0%2e0%2e1",
        "%31%32%37.1",
        "１２７．１",
        "0",
        "0x",
        "0.0.0.0",
        "255.255.255.255",
        "4294967295",
        "10.0.0.1",
        "167772161",
        "192.168.1.1",
        "3232235777",
        "172.16.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "169.254.43518",
        "192.0.0.192",
        // IPv6, and IPv4 inside it
        "[::]",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[0000:0000:0000:0000:0000:0000:0000:0001]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::FFFF:a9fe:a9fe]",
        "[0:0:0:0:0:ffff:169.254.169.254]",
        "[::127.0.0.1]",
        "[::7f00:1]",
        "[64:ff9b::127.0.0.1]",
        "[64:ff9b::a9fe:a9fe]",
        "[64:ff9b:1::127.0.0.1]",
        "[2002:7f00:1::]",
        "[2002:a9fe:a9fe::1]",
        "[2001::1]",
        "[2001:0:7f00:1::]",
        "[fe80::1]",
        "[fc00::1]",
        "[fd00:ec2::254]",
        "[fec0::1]",
        "[ff02::1]",
        "[100::1]",
        "[2001:db8::1]",
        // names of this machine
        "localhost",
        "localhost.",
        "localhost..",
        "LOCALHOST",
        "LocalHost.",
        "ｌｏｃａｌｈｏｓｔ",
        "loc%61lhost",
        "a.localhost",
        "a.b.localhost.",
        "localhost.localdomain",
        "localhost6",
        "ip6-localhost",
        "ip6-loopback",
    ] {
        for (scheme, port) in [("https", ""), ("https", ":8443"), ("http", ""), ("http", ":11434")] {
            let text = format!("{scheme}://{host}{port}/v1");
            let message = guard.check(&text, "url").expect_err(&text).to_string();
            assert!(message.contains("public address"), "{text}: {message}");
        }
    }
}

#[test]
fn the_operator_opens_addresses_with_their_ports_and_plain_http() {
    let guard = guard("127.0.0.1:9000,[::1]:9001,gpu.example:4000,localhost:11434,10.1.0.0/16");
    for text in [
        "http://127.0.0.1:9000/v1",
        "https://127.0.0.1:9000/v1",
        "http://2130706433:9000/",
        "http://[::ffff:127.0.0.1]:9000/",
        "http://[::1]:9001/",
        "http://gpu.example:4000/",
        "http://GPU.example.:4000/",
        "https://gpu.example:4000/",
        "https://gpu.example/",
        "http://localhost:11434/",
        "http://10.1.2.3/",
        "http://10.1.2.3:5555/",
        "http://vllm.default.svc:8000/",
        "https://other.example/",
    ] {
        assert!(guard.check(text, "url").is_ok(), "{text}");
    }
    for text in [
        "http://127.0.0.1:9001/",
        "http://127.0.0.2:9000/",
        "http://127.0.0.1/",
        "https://127.0.0.1/",
        "http://[::1]:9000/",
        "http://localhost:9000/",
        "https://localhost/",
        "http://10.2.0.1/",
        "http://8.8.8.8/",
        "http://8.8.8.8:9000/",
        "https://8.8.8.8:9000/",
    ] {
        assert!(guard.check(text, "url").is_err(), "{text}");
    }
}

#[test]
fn plain_http_to_a_name_needs_something_that_it_could_lead_to() {
    let guard = guard("127.0.0.1:9000");
    assert!(guard.check("http://gpu.example:9000/", "url").is_ok());
    assert!(guard.check("https://gpu.example:9000/", "url").is_ok());
    assert!(guard.check("http://gpu.example:9001/", "url").is_err());
    assert!(guard.check("http://gpu.example/", "url").is_err());
}

#[test]
fn every_url_that_is_accepted_has_a_client() {
    for allow in ["", "127.0.0.1:9000", "gpu.example:443", "10.0.0.0/8", "10.0.0.0/8,[::1]:1,a.example:80"] {
        let guard = guard(allow);
        let hosts = ["8.8.8.8", "127.0.0.1", "10.0.0.1", "[::1]", "a.example", "gpu.example", "b.example"];
        let ports = [1, 80, 443, 8000, 9000];
        for (scheme, host, port) in ["http", "https"]
            .iter()
            .flat_map(|scheme| hosts.iter().map(move |host| (scheme, host)))
            .flat_map(|(scheme, host)| ports.iter().map(move |port| (scheme, host, port)))
        {
            if let Ok(url) = guard.check(&format!("{scheme}://{host}:{port}/"), "url") {
                assert!(guard.client_for(&url).is_ok(), "{allow}: {url}");
            }
        }
    }
}

#[test]
fn an_origin_always_has_its_port() {
    for (url, expected) in [
        ("https://a.example/v1?x=1", "https://a.example:443"),
        ("http://a.example:80/", "http://a.example:80"),
        ("https://a.example:8443/", "https://a.example:8443"),
        ("https://[2001:db8::1]/", "https://[2001:db8::1]:443"),
    ] {
        assert_eq!(origin(&url.parse().unwrap()), expected);
    }
}

#[tokio::test]
async fn at_save_a_name_is_refused_when_any_of_its_addresses_is() {
    let url: Url = "https://rebind.example/".parse().unwrap();
    for addresses in [&["127.0.0.1"][..], &["8.8.8.8", "10.0.0.1"], &["::ffff:169.254.169.254"], &["fd00::1"]]
    {
        let error = guard_with_names("", addresses).check_resolved(&url, "url").await.unwrap_err();
        assert!(error.to_string().contains("public address"), "{addresses:?}");
    }
    for addresses in [&["8.8.8.8"][..], &["8.8.8.8", "2606:4700::1"], &[]] {
        guard_with_names("", addresses).check_resolved(&url, "url").await.unwrap();
    }
    guard_with_names("10.0.0.0/8", &["8.8.8.8", "10.0.0.1"]).check_resolved(&url, "url").await.unwrap();
    guard_with_names("rebind.example:443", &["127.0.0.1"]).check_resolved(&url, "url").await.unwrap();
}

#[tokio::test]
async fn at_save_a_name_that_does_not_resolve_is_accepted() {
    let url: Url = "https://later.example/".parse().unwrap();
    guard_without_names().check_resolved(&url, "url").await.unwrap();
    let stalled: Lookup = Arc::new(|_| Box::pin(std::future::pending()));
    let hasty = Timeouts { connect: Duration::from_millis(50), ..SHORT };
    let guard = Guard::with_lookup(Allow::default(), hasty, stalled).unwrap();
    guard.check_resolved(&url, "url").await.unwrap();
}

#[tokio::test]
async fn plain_http_reaches_what_is_opened_and_not_the_public() {
    let url: Url = "http://vllm.svc:8000/".parse().unwrap();
    guard_with_names("10.0.0.0/8", &["10.0.0.1"]).check_resolved(&url, "url").await.unwrap();
    guard_with_names("10.0.0.0/8", &["8.8.8.8"]).check_resolved(&url, "url").await.unwrap_err();
}

#[tokio::test]
async fn a_local_server_is_called_only_when_its_address_and_port_are_allowed() {
    let server = Server::answering(ok("", b"hello")).await;
    let other = SocketAddr::new(server.address.ip(), server.address.port() ^ 1);
    for guard in [guard(""), guard(&other.to_string()), guard("127.0.0.2:80,10.0.0.0/8")] {
        assert!(guard.check(&server.url(), "url").is_err());
        assert_eq!(guard.send(post(&server.url())).await.unwrap_err(), Fault::NotAllowed);
        let refused = guard.request(Method::POST, server.url().parse().unwrap());
        assert_eq!(refused.unwrap_err(), Fault::NotAllowed);
    }
    assert_eq!(server.calls(), 0);

    let guard = server.guard();
    let url = guard.check(&server.url(), "url").unwrap();
    let request = guard.request(Method::POST, url).unwrap().build().unwrap();
    let response = guard.send(request).await.unwrap();
    assert_eq!(guard.read_capped(response, 5).await.unwrap(), "hello");
    assert_eq!(server.calls(), 1);
}

#[tokio::test]
async fn a_name_that_leads_to_this_machine_is_accepted_by_its_text_and_refused_at_connect() {
    let server = Server::answering(ok("", b"hello")).await;
    let port = server.address.port();
    let unrelated = format!("127.0.0.1:{},other.example:{port}", port ^ 1);
    for allow in ["", &unrelated] {
        let guard = guard_with_names(allow, &["127.0.0.1"]);
        let url = guard.check("https://rebind.example:8443/", "url").unwrap();
        assert_eq!(guard.send(Request::new(Method::GET, url)).await.unwrap_err(), Fault::Unreachable);
    }
    assert_eq!(server.calls(), 0);
}

#[tokio::test]
async fn a_name_may_lead_to_an_allowed_address_at_its_port() {
    let server = Server::answering(ok("", b"hello")).await;
    let port = server.address.port();
    for allow in [format!("127.0.0.1:{port}"), format!("gpu.example:{port}"), "127.0.0.0/8".to_owned()] {
        let guard = guard_with_names(&allow, &["127.0.0.1"]);
        let response = guard.send(post(&format!("http://gpu.example:{port}/"))).await.unwrap();
        assert_eq!(response.status(), 200, "{allow}");
    }
    assert_eq!(server.calls(), 3);
    let mixed = guard_with_names(&format!("127.0.0.1:{port}"), &["127.0.0.1", "127.0.0.2"]);
    let fault = mixed.send(post(&format!("http://gpu.example:{port}/"))).await.unwrap_err();
    assert_eq!((fault, server.calls()), (Fault::Unreachable, 3));
}

#[tokio::test]
async fn a_refused_name_an_unknown_one_and_a_closed_port_look_the_same() {
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let faults = [
        guard_with_names("", &["10.0.0.1"]).send(post("https://a.example/")).await.unwrap_err(),
        guard_with_names("", &[]).send(post("https://a.example/")).await.unwrap_err(),
        guard_without_names().send(post("https://a.example/")).await.unwrap_err(),
        guard(&closed.to_string()).send(post(&format!("https://{closed}/"))).await.unwrap_err(),
    ];
    assert_eq!(faults, [Fault::Unreachable; 4]);
}

/// A guard with a name server that answers differently each time, as somebody who rebinds a name has one; with how
/// often it was asked.
fn guard_with_answers(allow: &str, answers: &[&str]) -> (Guard, Arc<AtomicUsize>) {
    let answers: Vec<IpAddr> = answers.iter().map(|ip| ip.parse().unwrap()).collect();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let lookup: Lookup = Arc::new(move |_| {
        let nth = count.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
        let answer = answers[nth];
        Box::pin(async move { Ok(vec![answer]) })
    });
    (Guard::with_lookup(allow.parse().unwrap(), SHORT, lookup).unwrap(), asked)
}

#[tokio::test]
async fn a_name_that_was_public_when_it_was_saved_and_leads_inside_later_is_refused_at_connect() {
    let server = Server::answering(ok("", b"secret")).await;
    let port = server.address.port();
    // Plain http to that port of names, but to no address of this machine.
    let allow = format!("198.51.100.0/24,192.0.2.1:{port}");
    for inside in ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1", "169.254.169.254"] {
        let (guard, asked) = guard_with_answers(&allow, &["198.51.100.7", inside]);
        let url = guard.check(&format!("http://rebind.example:{port}/"), "url").unwrap();
        guard.check_resolved(&url, "url").await.unwrap();
        let fault = guard.send(post(url.as_str())).await.unwrap_err();
        assert_eq!((fault, asked.load(Ordering::SeqCst)), (Fault::Unreachable, 2), "{inside}");
    }
    assert_eq!(server.calls(), 0);
}

#[tokio::test]
async fn the_address_that_is_judged_is_the_one_that_is_called() {
    let server = Server::answering(ok("", b"hello")).await;
    let port = server.address.port();
    // A second question would be answered with an address that nobody listens at.
    let (guard, asked) = guard_with_answers(&server.address.to_string(), &["127.0.0.1", "127.0.0.2"]);
    let response = guard.send(post(&format!("http://gpu.example:{port}/"))).await.unwrap();
    assert_eq!((response.status().as_u16(), asked.load(Ordering::SeqCst)), (200, 1));
}

#[tokio::test]
async fn how_long_a_refusal_takes_tells_nothing_of_what_is_inside() {
    let began = std::time::Instant::now();
    // One answers, one is closed, one is nowhere: none of them is ever tried.
    for inside in ["127.0.0.1", "127.9.9.9", "10.255.255.1"] {
        let (guard, _) = guard_with_answers("", &["8.8.8.8", inside]);
        let url = guard.check("https://rebind.example:8443/", "url").unwrap();
        guard.check_resolved(&url, "url").await.unwrap();
        assert_eq!(guard.send(post(url.as_str())).await.unwrap_err(), Fault::Unreachable);
    }
    // Whoever tried the last one would have waited until he gave up.
    assert!(began.elapsed() < SHORT.connect, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_refusal_names_no_address_that_a_name_leads_to() {
    let url: Url = "https://vault.example/".parse().unwrap();
    let refusals = ["10.0.0.1", "127.0.0.1", "169.254.169.254", "fd00::1"].map(|inside| {
        let guard = guard_with_names("", &[inside]);
        let url = url.clone();
        async move { guard.check_resolved(&url, "inference_uri").await.unwrap_err().to_string() }
    });
    let said = futures_util::future::join_all(refusals).await;
    assert!(said.iter().all(|text| *text == said[0]) && !said[0].contains("10."), "{said:?}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let target = Server::answering(ok("", b"secret")).await;
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let reply = format!("HTTP/1.1 {status}\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", target.url());
        let server = Server::answering(reply).await;
        let guard = guard(&format!("{},{}", server.address, target.address));
        assert_eq!(guard.send(post(&server.url())).await.unwrap_err(), Fault::Redirect);
    }
    assert_eq!(target.calls(), 0);
}

#[tokio::test]
async fn errors_of_the_endpoint_are_answers() {
    let server =
        Server::answering("HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nno").await;
    let response = server.guard().send(post(&server.url())).await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "7");
}

#[tokio::test]
async fn a_call_says_who_it_is_from() {
    let (heads, mut head) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start(move |mut stream| {
        let heads = heads.clone();
        async move {
            heads.send(read_head(&mut stream).await).unwrap();
            stream.write_all(&ok("", b"")).await.unwrap();
        }
    })
    .await;
    server.guard().send(post(&server.url())).await.unwrap();
    let head = head.recv().await.unwrap().to_lowercase();
    assert!(head.contains(concat!("user-agent: evalboard/", env!("CARGO_PKG_VERSION"))), "{head}");
    assert!(!head.contains("referer") && !head.contains("cookie"), "{head}");
}

#[tokio::test]
async fn a_body_is_read_up_to_its_cap_and_no_further() {
    let plain = Server::answering(ok("", &[b'x'; 1_000])).await;
    let unknown_length = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".iter().copied();
    let streamed = Server::answering(unknown_length.chain([b'x'; 1_000]).collect::<Vec<_>>()).await;
    for server in [plain, streamed] {
        let guard = server.guard();
        for (cap, read) in
            [(1_000, Ok(1_000)), (999, Err(Fault::BodyTooLarge)), (0, Err(Fault::BodyTooLarge))]
        {
            let response = guard.send(post(&server.url())).await.unwrap();
            assert_eq!(guard.read_capped(response, cap).await.map(|body| body.len()), read);
        }
    }
}

#[tokio::test]
async fn a_small_answer_that_unpacks_to_a_huge_one_is_cut_at_the_cap() {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..16 {
        packer.write_all(&[0; 1 << 20]).unwrap();
    }
    let bomb = packer.finish().unwrap();
    assert!(bomb.len() < 100_000);
    let server = Server::answering(ok("Content-Encoding: gzip\r\n", &bomb)).await;
    let guard = server.guard();
    let response = guard.send(post(&server.url())).await.unwrap();
    assert_eq!(guard.read_capped(response, 4 << 20).await.unwrap_err(), Fault::BodyTooLarge);
}

#[tokio::test]
async fn an_answer_that_breaks_off_or_makes_no_sense_is_broken() {
    for reply in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"half"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 O",
        b"",
    ] {
        let server = Server::answering(reply).await;
        let guard = server.guard();
        let outcome = match guard.send(post(&server.url())).await {
            Ok(response) => guard.read_capped(response, 1_000).await.unwrap_err(),
            Err(fault) => fault,
        };
        assert_eq!(outcome, Fault::Broken, "{:?}", String::from_utf8_lossy(reply));
    }
}

#[tokio::test]
async fn a_server_without_tls_is_a_tls_fault() {
    for reply in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b""] {
        let reply = reply.to_vec();
        let server = Server::start(move |mut stream| {
            let reply = reply.clone();
            async move {
                read_greeting(&mut stream).await;
                stream.write_all(&reply).await.ok();
            }
        })
        .await;
        let request = post(&format!("https://{}/", server.address));
        assert_eq!(server.guard().send(request).await.unwrap_err(), Fault::Tls);
    }
}

#[tokio::test]
async fn a_server_that_never_answers_runs_into_the_total_timeout() {
    let silent = Server::start(|mut stream| async move {
        read_head(&mut stream).await;
        std::future::pending::<()>().await;
    })
    .await;
    let mut request = post(&silent.url());
    *request.timeout_mut() = Some(Duration::from_millis(100));
    assert_eq!(silent.guard().send(request).await.unwrap_err(), Fault::Timeout);
}

#[tokio::test]
async fn an_answer_that_stalls_runs_into_the_idle_timeout() {
    let stalling = Server::start(|mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    let guard = stalling.guard();
    let response = guard.send(post(&stalling.url())).await.unwrap();
    assert_eq!(guard.read_capped(response, 1_000).await.unwrap_err(), Fault::Timeout);
}

#[tokio::test]
async fn an_answer_that_drips_for_ever_runs_into_the_total_timeout() {
    let dripping = Server::start(|mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").await.unwrap();
        while stream.write_all(b".").await.is_ok() {
            tokio::time::sleep(SHORT.idle / 5).await;
        }
    })
    .await;
    let guard = dripping.guard();
    let mut request = post(&dripping.url());
    *request.timeout_mut() = Some(SHORT.idle * 3);
    let response = guard.send(request).await.unwrap();
    assert_eq!(guard.read_capped(response, 1_000).await.unwrap_err(), Fault::Timeout);
}

#[tokio::test]
async fn a_model_may_think_longer_than_it_may_idle() {
    let thinking = Server::start(|mut stream| async move {
        read_head(&mut stream).await;
        tokio::time::sleep(SHORT.idle * 2).await;
        stream.write_all(&ok("", b"hello")).await.unwrap();
    })
    .await;
    let guard = thinking.guard();
    let response = guard.send(post(&thinking.url())).await.unwrap();
    assert_eq!(guard.read_capped(response, 5).await.unwrap(), "hello");
}

#[test]
fn proxies_of_the_environment_are_not_used() {
    // The environment can only be set safely for another process: this test runs another one of its kind.
    let call = "egress::tests::a_local_server_is_called_only_when_its_address_and_port_are_allowed";
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        child.env(name, "http://127.0.0.1:1");
    }
    let run = child.env_remove("NO_PROXY").env_remove("no_proxy").args(["--exact", call]).output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test]
async fn the_systems_resolver_knows_this_machine() {
    let addresses = resolve::system()("localhost".to_owned()).await.unwrap();
    assert!(!addresses.is_empty() && addresses.iter().all(IpAddr::is_loopback));
}

/// Made once: every guard reads the machine's certificates.
static CLOSED: LazyLock<Guard> = LazyLock::new(|| guard(""));

proptest! {
    #[test]
    fn no_spelling_of_an_address_inside_is_let_through(
        address in prop_oneof![
            (0_u32..1 << 24).prop_map(|low| 0x0a00_0000 | low),
            (0_u32..1 << 24).prop_map(|low| 0x7f00_0000 | low),
            (0_u32..1 << 16).prop_map(|low| 0xa9fe_0000 | low),
            (0_u32..1 << 16).prop_map(|low| 0xc0a8_0000 | low),
        ],
        spelling in 0_usize..8,
    ) {
        let [a, b, c, d] = address.to_be_bytes();
        let low = address & 0xff_ffff;
        let host = match spelling {
            0 => format!("{a}.{b}.{c}.{d}"),
            1 => format!("{address}"),
            2 => format!("0x{address:X}"),
            3 => format!("{address:#o}").replace("0o", "0"),
            4 => format!("{a}.{low}"),
            5 => format!("0x{a:x}.0{b:o}.{c}.{d}."),
            6 => format!("[::ffff:{a}.{b}.{c}.{d}]"),
            _ => format!("{a}\u{3002}{b}\u{ff0e}{c}\u{ff61}{d}"),
        };
        let read = CLOSED.check(&format!("https://{host}/"), "url");
        prop_assert!(read.is_err(), "{} was read as {}", host, read.unwrap());
    }

    #[test]
    fn what_is_accepted_is_stored_in_a_spelling_that_stays(
        text in r"(https?://)?[a-zA-Z0-9.:@\[\]%_-]{0,24}(/[ -~]{0,12})?",
    ) {
        if let Ok(url) = CLOSED.check(&text, "url") {
            prop_assert_eq!(url.scheme(), "https");
            prop_assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none());
            prop_assert_eq!(CLOSED.check(url.as_str(), "url").unwrap(), url);
        }
    }
}
