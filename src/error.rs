//! The one error type of the crate: what went wrong, in words for the person who asked.
//!
//! It knows nothing of HTTP; each surface renders it with an exhaustive match. Which one to use:
//! `Invalid` when the request itself is at fault (name the field), `Conflict` when it collides with
//! what is stored, `Unavailable` when the same request may work later, `Internal` for everything a
//! caller cannot mend: its text is logged and never shown.

use std::time::Duration;

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The named thing does not exist (or is deleted); holds the noun, such as `model`.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// The request is at fault: `field` is the path of the culprit where one is to blame.
    #[error("{message}")]
    Invalid {
        /// Path of the field, such as `samples[3].target`.
        field: Option<String>,
        /// What is wrong and what would be right.
        message: String,
    },
    /// The request collides with what is stored; `code` is stable and snake_case.
    #[error("{message}")]
    Conflict {
        /// Stable name, such as `idempotency_mismatch`.
        code: &'static str,
        /// What collides.
        message: String,
    },
    /// No credential, or one that does not count (unknown, revoked and expired look the same).
    #[error("a valid API key is required: send it as 'Authorization: Bearer <key>'")]
    Unauthorized,
    /// The caller is known and may not do this.
    #[error("{0}")]
    Forbidden(String),
    /// The body is larger than allowed.
    #[error("{0}")]
    TooLarge(String),
    /// The content type or encoding is not one that is read here.
    #[error("{0}")]
    Unsupported(String),
    /// Too many requests; the same one may be repeated after the time given.
    #[error("too many requests: try again in {} s", .0.as_secs().max(1))]
    Limited(Duration),
    /// Busy or not ready; the same request may work soon.
    #[error("{0}")]
    Unavailable(String),
    /// The disk is full: nothing was written.
    #[error("the server's disk is full: nothing was saved")]
    Full,
    /// Nothing can be stored at the moment for another reason: nothing was written.
    #[error("{0}")]
    ReadOnly(&'static str),
    /// The database is damaged; holds a description of the damage, which is for the log and the operator.
    #[error(
        "the board's database is damaged, so nothing is saved any more: whoever runs it checks it with `evalboard check` \
         and restores a backup with `evalboard restore`"
    )]
    Damaged(String),
    /// A fault of ours. The chain is for the log only.
    #[error("internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// The request is at fault in `field`.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid { field: Some(field.into()), message: message.into() }
    }

    /// The request is at fault as a whole.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::Invalid { field: None, message: message.into() }
    }

    /// Returns whether nothing was stored because nothing can be at the moment, which passes by itself.
    #[must_use]
    pub const fn is_read_only(&self) -> bool {
        matches!(self, Self::Full | Self::ReadOnly(_))
    }

    /// A fault of ours, with what is known of its cause.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(cause.into())
    }
}

/// An error with all its causes: for the log and the operator, never for a caller.
#[must_use]
pub fn explain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
