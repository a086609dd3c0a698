//! The yardstick of P1: the barest actix-web handler that answers as another server does.
//!
//! `bare --mirror http://127.0.0.1:8080/api/v1/leaderboard [--header 'Accept: text/html']` fetches
//! that address once and from then on answers every request with the same status, headers and
//! bytes, all of them static. It looks nothing up, checks nothing and logs nothing; workers and all
//! other settings are actix-web's defaults. Prints the address it listens on.

use std::io::{Error, Result, Write};
use std::net::TcpStream;

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::web::{self, Bytes};
use actix_web::{App, HttpResponse, HttpServer};
use evalboard_bench::{get, read_response, value, values};

/// Headers that actix-web writes itself.
const WRITTEN_ANYWAY: [&str; 4] = ["connection", "content-length", "date", "keep-alive"];

struct Page {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: &'static [u8],
}

impl Page {
    fn fetch(url: &str, headers: &[String]) -> Result<Self> {
        let address = url.strip_prefix("http://").ok_or_else(|| Error::other("--mirror takes an http:// address"))?;
        let (host, path) = address.find('/').map_or((address, "/"), |slash| address.split_at(slash));
        let mut stream = TcpStream::connect(host)?;
        stream.write_all(&get(host, path, headers))?;
        let mut response = Vec::new();
        let start = read_response(&mut stream, &mut response)?;
        let (head, body) = response.leak().split_at(start);
        Self::parse(head, body).ok_or_else(|| Error::other("no answer that can be mirrored"))
    }

    fn parse(head: &'static [u8], body: &'static [u8]) -> Option<Self> {
        let mut lines = std::str::from_utf8(head).ok()?.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .filter(|(name, _)| !WRITTEN_ANYWAY.contains(&name.to_ascii_lowercase().as_str()))
            .map(|(name, value)| Some((name.parse().ok()?, HeaderValue::from_static(value.trim()))))
            .collect::<Option<_>>()?;
        Some(Self { status, headers, body })
    }

    fn answer(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        for (name, value) in &self.headers {
            response.append_header((name, value));
        }
        response.body(Bytes::from_static(self.body))
    }
}

#[actix_web::main]
async fn main() -> Result<()> {
    let page = Page::fetch(&value("--mirror", String::new())?, &values("--header"))?;
    let page: &'static Page = Box::leak(Box::new(page));
    let server =
        HttpServer::new(move || App::new().default_service(web::to(move || std::future::ready(page.answer()))))
            .bind(value("--listen", "127.0.0.1:0".to_owned())?)?;
    println!("{}", server.addrs()[0]);
    server.run().await
}
