//! Forms of requests that endpoints were found to demand: remembered in memory, for each model of each endpoint.

use std::sync::Arc;

use quick_cache::sync::Cache;

use super::complaint::Complaint;
use super::remote::Dialect;

/// Models remembered at once.
const CAPACITY: usize = 4_096;

/// The form of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Quirks {
    /// The longest answer goes by the other one of `max_tokens` and `max_completion_tokens`.
    pub(super) swaps_limit: bool,
    /// The answer is streamed.
    pub(super) streams: bool,
    /// `stream_options` is left out.
    pub(super) omits_stream_options: bool,
}

/// The quirks of all endpoints.
#[derive(Debug, Clone)]
pub(super) struct QuirkCache(Arc<Cache<String, Quirks>>);

impl QuirkCache {
    pub(super) fn new() -> Self {
        Self(Arc::new(Cache::new(CAPACITY)))
    }

    /// The known quirks of a model at an endpoint.
    pub(super) fn get(&self, place: &str) -> Quirks {
        self.0.get(place).unwrap_or_default()
    }

    /// Stores quirks that worked.
    pub(super) fn put(&self, place: &str, quirks: Quirks) {
        self.0.insert(place.to_owned(), quirks);
    }
}

impl Quirks {
    /// The form to repeat a request in after a complaint, where another one may help. `limit` is the name under which it
    /// limited the answer, if it did. A name that was swapped is not swapped back.
    pub(super) fn adapted(
        self,
        dialect: Dialect,
        limit: Option<&str>,
        complaint: &Complaint,
    ) -> Option<Self> {
        let is_openai = dialect == Dialect::OpenAi;
        if self.streams && is_openai && !self.omits_stream_options {
            let refused = ["stream_options", "include_usage"].iter().any(|name| complaint.refuses(name));
            if refused {
                return Some(Self { omits_stream_options: true, ..self });
            }
        }
        let refuses_limit = limit.is_some_and(|name| complaint.refuses(name));
        if is_openai && refuses_limit && !self.swaps_limit {
            return Some(Self { swaps_limit: true, ..self });
        }
        (!self.streams && complaint.demands_stream()).then_some(Self { streams: true, ..self })
    }
}
