//! Access tokens: what one that stands in for an API key says, and how it is recognised where it must not stand.
//!
//! Not how it is signed, and not whether it counts: that is its key's to say, with every request.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::api_keys::Scope;
use super::id::{ApiKeyId, UserId};

/// How long a token counts, in seconds.
pub const LIFE: i64 = 600;

/// What every token of ours begins with: its head says one kind and one algorithm, and nothing else.
pub const HEAD: &str = "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJIUzI1NiJ9.";

/// What a token says, by the names of RFC 9068. All of it must be there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who made it: the board's own address.
    pub iss: String,
    /// Whom it is for: the board's API.
    pub aud: String,
    /// The public id of the key's owner.
    pub sub: String,
    /// The public id of the key.
    pub client_id: String,
    /// `read` or `write`: never more than the key's.
    pub scope: String,
    /// The [`bucket`] that its writes are taken from, as hex.
    pub bucket: String,
    /// When it was made, in seconds since 1970.
    pub iat: i64,
    /// From when on it counts; the same.
    pub nbf: i64,
    /// Until when.
    pub exp: i64,
}

/// What a token that is ours and in its time stands for. Whether its key still counts is not known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The key that it was given for.
    pub key: ApiKeyId,
    /// Whose key that is.
    pub user: UserId,
    /// What it may do, unless its key may do less.
    pub scope: Scope,
    /// The bucket that its writes are taken from.
    pub bucket: [u8; 32],
}

/// Names the bucket that a key's writes are taken from, by the hash of the key: a token carries it, so that it is no
/// second bucket, and gives away neither the key nor what it is stored by.
#[must_use]
pub fn bucket(hash: &[u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update("bucket\0").chain_update(hash).finalize().into()
}

/// Whether a token of ours, or what was meant to be one, stands anywhere in `text`; for refusing it where it would be
/// logged.
#[must_use]
pub fn looks_like_token(text: &str) -> bool {
    text.contains(HEAD)
}
