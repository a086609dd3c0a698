//! The provider of P2 and P3: an OpenAI-compatible server that answers everything the same after a while.
//!
//! `provider --latency-ms 100 [--answer 42]` answers `POST /v1/chat/completions` with that text and
//! a usage block. It reads the request to its end and looks at none of it: no keys, no streaming,
//! no errors. `GET /calls` tells how many it has had, so that nobody's figures rest on their word.
//! Prints the address it listens on.

use std::io::Result;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_web::http::header::ContentType;
use actix_web::rt::time::sleep;
use actix_web::web::{self, Bytes};
use actix_web::{App, HttpResponse, HttpServer};
use evalboard_bench::value;

/// Completions asked for so far.
static CALLS: AtomicU64 = AtomicU64::new(0);

async fn calls() -> String {
    CALLS.load(Ordering::Relaxed).to_string()
}

#[actix_web::main]
async fn main() -> Result<()> {
    let latency = Duration::from_millis(value("--latency-ms", 100)?);
    let body = Bytes::from(format!(
        r#"{{"id":"chatcmpl-bench","object":"chat.completion","created":1700000000,"model":"bench","choices":[{{"index":0,"message":{{"role":"assistant","content":{:?}}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":20,"completion_tokens":2,"total_tokens":22}}}}"#,
        value("--answer", "42".to_owned())?
    ));
    let server = HttpServer::new(move || {
        let body = body.clone();
        let complete = move |_request: Bytes| {
            CALLS.fetch_add(1, Ordering::Relaxed);
            let body = body.clone();
            async move {
                if !latency.is_zero() {
                    sleep(latency).await;
                }
                HttpResponse::Ok().content_type(ContentType::json()).body(body)
            }
        };
        App::new().route("/v1/chat/completions", web::post().to(complete)).route("/calls", web::get().to(calls))
    })
    .bind(value("--listen", "127.0.0.1:0".to_owned())?)?;
    println!("{}", server.addrs()[0]);
    server.run().await
}
