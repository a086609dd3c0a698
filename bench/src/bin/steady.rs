//! The constant-rate generator of P1: latency at a given load rather than at the most possible.
//!
//! `steady --target 127.0.0.1:8080 --path / --rate 20000 --connections 64 --seconds 5` sends on a
//! fixed schedule, a thread and a connection for each share of it, and prints
//! `{"rate":...,"p50_us":...,"p99_us":...}` with the rate it really reached. A request that had to
//! wait for the one before it counts from when it was due, so a stall is not hidden; lateness of
//! the generator's own timer is not counted. It expects 200 to every request and does not
//! reconnect.

use std::io::{Error, Result, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use evalboard_bench::{get, read_response, value, values};

fn drive(mut stream: TcpStream, request: &[u8], first: Instant, interval: Duration, end: Instant) -> Result<Vec<u64>> {
    let mut latencies = Vec::new();
    let mut response = Vec::new();
    let mut due = first;
    while due < end {
        let wait = due.saturating_duration_since(Instant::now());
        thread::sleep(wait);
        let start = if wait.is_zero() { due } else { Instant::now() };
        stream.write_all(request)?;
        read_response(&mut stream, &mut response)?;
        if !response.starts_with(b"HTTP/1.1 200 ") {
            return Err(Error::other("an answer was not 200"));
        }
        latencies.push(u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX));
        due += interval;
    }
    Ok(latencies)
}

fn main() -> Result<()> {
    let target = value("--target", "127.0.0.1:8080".to_owned())?;
    let request = get(&target, &value("--path", "/".to_owned())?, &values("--header"));
    let connections: u32 = value("--connections", 64)?;
    let rate: f64 = value("--rate", 1000.0)?;
    let seconds: f64 = value("--seconds", 5.0)?;

    let interval = Duration::from_secs_f64(f64::from(connections) / rate);
    let streams = (0..connections).map(|_| TcpStream::connect(&target)).collect::<Result<Vec<_>>>()?;
    let start = Instant::now() + Duration::from_millis(50);
    let end = start + Duration::from_secs_f64(seconds);
    let mut latencies = thread::scope(|scope| {
        let mut threads = Vec::new();
        for (index, stream) in (0..connections).zip(streams) {
            stream.set_nodelay(true)?;
            let (request, first) = (&request, start + interval * index / connections);
            threads.push(scope.spawn(move || drive(stream, request, first, interval, end)));
        }
        let mut all = Vec::new();
        for thread in threads {
            all.extend(thread.join().map_err(|_| Error::other("a connection's thread failed"))??);
        }
        Ok::<_, Error>(all)
    })?;
    let reached = f64::from(u32::try_from(latencies.len()).map_err(Error::other)?) / start.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let percentile = |percent: usize| latencies.get(latencies.len() * percent / 100).copied().unwrap_or_default();
    println!("{{\"rate\":{reached:.0},\"p50_us\":{},\"p99_us\":{}}}", percentile(50), percentile(99));
    Ok(())
}
