//! The yardstick of P3: the HTTP client that the server uses, with the same bodies and nothing else.
//!
//! `client --address HOST:PORT [--calls 20000] [--at-once 100]` posts that many chat completions, reads each
//! answer to its end and takes its text out, and prints how many it finished in a second. No limiter, no
//! scoring, no database.

use std::io::{Error, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use evalboard_bench::value;
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<()> {
    let address = value("--address", String::new())?;
    let (calls, at_once) = (value("--calls", 20_000_u64)?, value("--at-once", 100_u64)?);
    let http = reqwest::Client::builder().no_proxy().build().map_err(Error::other)?;
    let url: Arc<str> = format!("http://{address}/v1/chat/completions").into();
    let next = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let workers = (0..at_once).map(|_| tokio::spawn(work(http.clone(), Arc::clone(&url), Arc::clone(&next), calls)));
    for worker in workers.collect::<Vec<_>>() {
        worker.await.map_err(Error::other)??;
    }
    println!("{:.0}", f64::from(u32::try_from(calls).unwrap_or(u32::MAX)) / started.elapsed().as_secs_f64());
    Ok(())
}

async fn work(http: reqwest::Client, url: Arc<str>, next: Arc<AtomicU64>, calls: u64) -> Result<()> {
    loop {
        let nth = next.fetch_add(1, Ordering::Relaxed);
        if nth >= calls {
            return Ok(());
        }
        let body = json!({
            "model": "bench",
            "messages": [{"role": "user", "content": format!("Answer: Question {nth}")}],
        });
        let answer = http.post(&*url).bearer_auth("bench").json(&body).send().await.map_err(Error::other)?;
        let answer: Value =
            serde_json::from_slice(&answer.bytes().await.map_err(Error::other)?).map_err(Error::other)?;
        if answer.pointer("/choices/0/message/content").and_then(Value::as_str).is_none() {
            return Err(Error::other(format!("an answer without a text: {answer}")));
        }
    }
}
