//! Open connections: how many there may be, and the quick refusal of those beyond that.
//!
//! A connection beyond the limit is accepted, answered with 503 as soon as its request is there, and closed. One that
//! would wait to be accepted instead could wait for as long as others like to hold theirs.

use std::collections::VecDeque;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use actix_http::Request;
use actix_web::body::BoxBody;
use actix_web::dev::Extensions;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};

use super::cache::CachePolicy;
use super::headers;
use super::ready::Raw;
use crate::error::{Error, Result};

/// Refused connections that are open at once: a further one ends the oldest of them.
const MAX_REFUSED: usize = 16;
/// Connections that may be about to be closed.
const CLOSING: usize = 8;
/// Open files that refused connections take: one each, another to end it by, and those that are being closed.
const REFUSED_FILES: u64 = 40;
/// Open files that the database, calls to models and stored files need, where the system allows many.
const MAX_RESERVE: u64 = 512;
/// The same where the system allows few, without those of the web workers.
const MIN_RESERVE: u64 = 64;
/// Open files of each web worker.
const WORKER_FILES: u64 = 4;
/// Connections without which a server is of no use.
const MIN_CONNECTIONS: u64 = 16;
/// How long a refused caller is asked to wait, in seconds.
const RETRY_AFTER: u16 = 5;
/// Time between two lines in the log about refused connections.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);
const REFUSAL: &str = r#"{"error":"too many connections are open: try again in a few seconds","code":"unavailable","request_id":"none"}"#;

/// The connections that fit the system's limit on open files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Connections that are served at once.
    pub connections: usize,
    /// The system's limit on open files of this process.
    pub files: u64,
}

impl Budget {
    /// Returns what fits of the `wanted` connections of so many `workers`, once the limit on open files is as high as the
    /// system lets this process have it.
    ///
    /// # Errors
    /// `Unavailable` when the limit is too low for any use.
    pub fn new(wanted: u32, workers: usize) -> Result<Self> {
        let all = u64::from(wanted).saturating_add(MAX_RESERVE + REFUSED_FILES);
        let files = rlimit::increase_nofile_limit(all).unwrap_or(all);
        Self::of(wanted, workers, files)
    }

    fn of(wanted: u32, workers: usize, files: u64) -> Result<Self> {
        let workers = u64::try_from(workers).map_err(Error::internal)?;
        let least = MIN_RESERVE.saturating_add(workers.saturating_mul(WORKER_FILES));
        let reserve = (files / 2).clamp(least, least.max(MAX_RESERVE)) + REFUSED_FILES;
        let left = files.saturating_sub(reserve);
        if left < MIN_CONNECTIONS {
            let needed = least + REFUSED_FILES + MIN_CONNECTIONS;
            return Err(Error::Unavailable(format!(
                "the system allows this process {files} open files, and at least {needed} are needed: raise the limit \
                 (ulimit -n, LimitNOFILE= of systemd, --ulimit nofile= of Docker)"
            )));
        }
        let connections = usize::try_from(left.min(wanted.into())).map_err(Error::internal)?;
        Ok(Self { connections, files })
    }

    /// Returns how many connections one of so many workers may hold: those that are served, refused and being closed.
    /// When there are more, none is accepted for a moment, so that they never take the files of others.
    #[must_use]
    pub const fn worker_connections(self, workers: usize) -> usize {
        (self.connections + MAX_REFUSED + CLOSING).div_ceil(workers)
    }
}

/// The open connections of all workers.
#[derive(Debug)]
pub struct Connections {
    limit: usize,
    open: AtomicUsize,
    refused: Mutex<Refused>,
}

/// Those that are open although they were refused, oldest first, each with what ends it.
#[derive(Debug, Default)]
struct Refused {
    open: VecDeque<(u64, TcpStream)>,
    count: u64,
    warned_at: Option<Instant>,
}

impl Connections {
    /// None is open yet, and `limit` may be.
    #[must_use]
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, open: AtomicUsize::new(0), refused: Mutex::default() })
    }

    /// Notes a connection that was accepted in its `data`, until it ends.
    pub fn note(self: &Arc<Self>, connection: &impl AsFd, data: &mut Extensions) {
        let is_within = self.open.fetch_add(1, Ordering::AcqRel) < self.limit;
        let refusal = (!is_within).then(|| {
            self.open.fetch_sub(1, Ordering::AcqRel);
            self.refuse(connection)
        });
        data.insert(Held { connections: Arc::clone(self), refusal });
    }

    /// Makes room for one more refused connection; answers what it is known by.
    fn refuse(&self, connection: &impl AsFd) -> u64 {
        let mut refused = self.refused();
        refused.count += 1;
        let id = refused.count;
        let handle = connection.as_fd().try_clone_to_owned().ok();
        refused.open.extend(handle.map(|handle| (id, TcpStream::from(handle))));
        if refused.open.len() > MAX_REFUSED
            && let Some((_, oldest)) = refused.open.pop_front()
        {
            // Its worker sees the end and closes it. When that fails, it is closed already.
            drop(oldest.shutdown(Shutdown::Both));
        }
        if refused.warned_at.is_none_or(|at| at.elapsed() >= WARNING_INTERVAL) {
            refused.warned_at = Some(Instant::now());
            tracing::warn!(limit = self.limit, refused = id, "connections beyond the limit are refused");
        }
        id
    }

    fn refused(&self) -> MutexGuard<'_, Refused> {
        // Each change is one call: it stays whole whatever panicked.
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one connection.
struct Held {
    connections: Arc<Connections>,
    /// What it is known by when it is one too many.
    refusal: Option<u64>,
}

impl Drop for Held {
    fn drop(&mut self) {
        match self.refusal {
            None => drop(self.connections.open.fetch_sub(1, Ordering::AcqRel)),
            Some(refusal) => self.connections.refused().open.retain(|(id, _)| *id != refusal),
        }
    }
}

/// Returns the refusal of a request on a connection beyond the limit. What watches the process gets its answer.
pub(super) fn refusal(request: &Request) -> Option<Raw> {
    let is_refused = request.conn_data::<Held>().is_some_and(|held| held.refusal.is_some());
    (is_refused && request.path() != "/healthz").then(|| {
        let mut response = Raw::with_body(StatusCode::SERVICE_UNAVAILABLE, BoxBody::new(REFUSAL));
        response.head_mut().set_connection_type(actix_http::ConnectionType::Close);
        let map = response.headers_mut();
        headers::set_common(map, request.path());
        map.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        map.insert(header::CACHE_CONTROL, CachePolicy::NoStore.value());
        map.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER));
        response
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_other_files() {
        for (wanted, workers, files, connections) in [
            (10_000, 2, 1_048_576, 10_000),
            (10_000, 2, 10_552, 10_000),
            (10_000, 2, 4_096, 3_544),
            (10_000, 2, 1_024, 472),
            (10_000, 2, 256, 88),
            (16, 2, 256, 16),
            (10_000, 2, 128, 16),
            (10_000, 64, 1_024, 472),
        ] {
            let budget = Budget::of(wanted, workers, files).unwrap();
            assert_eq!(budget.connections, connections, "{wanted} {workers} {files}");
        }
    }

    #[test]
    fn too_few_files_are_refused_with_the_fix() {
        for (workers, files) in [(2, 127), (2, 64), (2, 0), (64, 256)] {
            let refused = Budget::of(10_000, workers, files).unwrap_err().to_string();
            assert!(
                refused.contains(&format!("{files} open files")) && refused.contains("ulimit -n"),
                "{refused}"
            );
        }
    }

    #[test]
    fn places_are_given_back_when_connections_end() {
        let connections = Connections::new(2);
        let note = || {
            let mut data = Extensions::new();
            connections.note(&std::io::stdin(), &mut data);
            data
        };
        let is_refused = |data: &Extensions| data.get::<Held>().unwrap().refusal.is_some();
        let [first, second, third] = [note(), note(), note()];
        assert_eq!([&first, &second, &third].map(is_refused), [false, false, true]);
        drop(third);
        assert!(is_refused(&note()));
        drop(first);
        assert!(!is_refused(&note()));
    }
}
