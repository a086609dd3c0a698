//! The messages of OAuth 2.0's token endpoint, field by field.

use serde::Serialize;
use utoipa::ToSchema;

/// The form of `POST /oauth2/token`. The client may authenticate by HTTP Basic instead: then the form has neither
/// `client_id` nor `client_secret`.
#[derive(Default, ToSchema)]
pub(super) struct TokenRequest {
    /// client_credentials; there is no other.
    #[schema(required, value_type = String)]
    pub(super) grant_type: Option<String>,
    /// The id of a key of yours, as `GET /api/v1/keys` and the page Settings show it.
    #[schema(value_type = String)]
    pub(super) client_id: Option<String>,
    /// The key itself.
    #[schema(value_type = String)]
    pub(super) client_secret: Option<String>,
    /// read or write: never more than the key may, which is what a token may unless this is said.
    #[schema(value_type = String)]
    pub(super) scope: Option<String>,
}

/// A token in the place of a key.
#[derive(Serialize, ToSchema)]
pub(super) struct TokenAnswer {
    /// To be sent as `Authorization: Bearer <token>`, wherever a key may be.
    pub(super) access_token: String,
    /// Bearer.
    pub(super) token_type: &'static str,
    /// For how long it counts, in seconds. It ends sooner when its key does.
    pub(super) expires_in: i64,
    /// read or write.
    pub(super) scope: &'static str,
}

/// An error in the standard's words.
#[derive(Serialize, ToSchema)]
pub(super) struct TokenError {
    /// invalid_client, invalid_request, invalid_scope or unsupported_grant_type.
    pub(super) error: &'static str,
    /// The error, for people.
    pub(super) error_description: String,
}
