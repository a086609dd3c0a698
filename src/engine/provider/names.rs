//! The names that providers give to errors, and what each means: one table for errors with a status, errors inside
//! of a 200, errors in a stream, and finish reasons. Messages are not searched: only whole names count.

/// The meaning of an error's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Too many calls; a later one may work.
    RateLimited,
    /// The server failed; a later call may work.
    Unavailable,
    /// It took too long; a later call may work.
    Timeout,
    /// The key, the account or its money.
    Auth,
    /// No such model or address.
    NotFound,
    /// The call makes no sense as it is.
    Invalid,
}

const FILTERS: &[&str] = &[
    "blocked_content",
    "blocklist",
    "content_blocked",
    "content_filter",
    "content_filtered",
    "content_moderation",
    "content_policy",
    "content_policy_violation",
    "contentfilter",
    "data_inspection_failed",
    "datainspectionfailed",
    "guardrail",
    "guardrail_intervened",
    "guardrails",
    "image_safety",
    "input_moderation",
    "language_filter",
    "moderation",
    "moderation_blocked",
    "output_moderation",
    "policy_violation",
    "prohibited_content",
    "recitation",
    "refusal",
    "responsible_ai_policy_violation",
    "responsibleaipolicyviolation",
    "safety",
    "safety_violation",
    "sensitive",
    "sensitive_content",
    "spii",
    "unsafe_content",
];

/// An account without money, which some report as a rate limit: waiting does not mend it.
const OUT_OF_CREDIT: &[&str] =
    &["billing_hard_limit_reached", "insufficient_balance", "insufficient_credits", "insufficient_quota"];

const MEANINGS: &[(Meaning, &[&str])] = &[
    (
        Meaning::RateLimited,
        &[
            "concurrency_limit",
            "concurrency_limit_exceeded",
            "rate_limit",
            "rate_limit_error",
            "rate_limit_exceeded",
            "rate_limit_exceeded_error",
            "rate_limit_reached",
            "rate_limited",
            "rate_limited_error",
            "ratelimit",
            "ratelimiterror",
            "ratelimitexceeded",
            "requests_limit_exceeded",
            "resource_exhausted",
            "throttled",
            "throttling",
            "throttling_error",
            "throttling_exception",
            "throttlingexception",
            "tokens_limit_exceeded",
            "too_many_requests",
            "too_many_requests_error",
            "toomanyrequests",
            "toomanyrequestsexception",
        ],
    ),
    (
        Meaning::Unavailable,
        &[
            "api_connection_error",
            "api_error",
            "apiconnectionerror",
            "bad_gateway",
            "capacity_exceeded",
            "connection_error",
            "connection_reset",
            "engine_overloaded",
            "engine_overloaded_error",
            "insufficient_system_resource",
            "internal",
            "internal_error",
            "internal_failure",
            "internal_server_error",
            "internalservererror",
            "internalserverexception",
            "model_loading",
            "model_overloaded",
            "model_stream_error_exception",
            "network_error",
            "no_capacity",
            "out_of_capacity",
            "overloaded",
            "overloaded_error",
            "provider_error",
            "provider_unavailable",
            "server_busy",
            "server_error",
            "server_is_overloaded",
            "server_overloaded",
            "server_unavailable",
            "service_unavailable",
            "service_unavailable_error",
            "serviceunavailable",
            "serviceunavailableexception",
            "stream_error",
            "system_error",
            "temporarily_unavailable",
            "unavailable",
            "upstream_connect_error",
            "upstream_error",
            "upstream_unavailable",
        ],
    ),
    (
        Meaning::Timeout,
        &[
            "api_timeout_error",
            "apitimeouterror",
            "deadline_exceeded",
            "gateway_timeout",
            "model_timeout",
            "model_timeout_exception",
            "read_timeout",
            "request_timed_out",
            "request_timeout",
            "timed_out",
            "timeout",
            "timeout_error",
            "timeouterror",
            "upstream_timeout",
        ],
    ),
    (
        Meaning::Auth,
        &[
            "access_denied",
            "authentication_error",
            "authentication_failed",
            "billing_error",
            "forbidden",
            "invalid_api_key",
            "invalid_authentication",
            "payment_required",
            "permission_denied",
            "permission_error",
            "unauthenticated",
            "unauthorized",
        ],
    ),
    (Meaning::NotFound, &["model_not_found", "not_found", "not_found_error"]),
    (
        Meaning::Invalid,
        &["context_length_exceeded", "invalid_argument", "invalid_request", "invalid_request_error"],
    ),
];

/// A name in the spelling of the tables: `Rate limit exceeded.` is `rate_limit_exceeded`.
pub(super) fn normalized(name: &str) -> String {
    let name = name.trim().trim_end_matches(['.', '!']);
    name.chars().map(|c| if matches!(c, ' ' | '-' | '.') { '_' } else { c.to_ascii_lowercase() }).collect()
}

/// Returns true if a filter has that name, normalized.
pub(super) fn is_filter(name: &str) -> bool {
    FILTERS.contains(&name)
}

/// Returns true if it names an account without money, normalized.
pub(super) fn is_out_of_credit(name: &str) -> bool {
    OUT_OF_CREDIT.contains(&name)
}

/// The meaning of a name, normalized; none when it is not known.
pub(super) fn meaning(name: &str) -> Option<Meaning> {
    let found = MEANINGS.iter().find(|(_, names)| names.contains(&name));
    found.map(|(meaning, _)| *meaning)
}

/// Returns true if a call that failed under that name, normalized, may work later.
pub(super) fn means_later(name: &str) -> bool {
    matches!(meaning(name), Some(Meaning::RateLimited | Meaning::Unavailable | Meaning::Timeout))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_has_two_meanings_and_each_is_normalized() {
        let all: Vec<&str> = MEANINGS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        let all: Vec<&str> = [&all, FILTERS, OUT_OF_CREDIT].concat();
        let mut once = all.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), all.len());
        assert!(all.iter().all(|name| normalized(name) == *name));
    }

    #[test]
    fn spelling_does_not_matter() {
        for name in ["Rate limit exceeded", "rate-limit-exceeded", " RATE_LIMIT_EXCEEDED. "] {
            assert_eq!(meaning(&normalized(name)), Some(Meaning::RateLimited), "{name}");
        }
        assert_eq!(meaning(&normalized("the rate limit exceeded my patience")), None);
    }
}
