//! The messages of Vercel Blob's API, field by field.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The target of a request to send something.
#[derive(Debug, Deserialize)]
pub(super) struct Target {
    pub(super) pathname: String,
}

/// Which file somebody asks after.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    pub(super) url: String,
}

/// A file that was put up.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PutFile {
    /// The `blob_url` of what is to be made of it.
    pub(super) url: String,
    pub(super) download_url: String,
    /// The path that the token was granted for.
    #[schema(example = "artifacts/1700000000000-weights.bin")]
    pub(super) pathname: String,
    pub(super) content_type: String,
    pub(super) content_disposition: String,
    pub(super) etag: String,
    /// Bytes, as counted.
    pub(super) size: i64,
    /// In hexadecimal; null while it is being computed, which it is after the parts were put together.
    pub(super) sha256: Option<String>,
}

/// A file that was uploaded.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PutFileHead {
    #[serde(flatten)]
    pub(super) file: PutFile,
    pub(super) cache_control: String,
    /// When it was whole, in RFC 3339.
    pub(super) uploaded_at: String,
}

/// A file in parts that was begun.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Begun {
    /// For the header `x-mpu-upload-id`.
    pub(super) upload_id: String,
    /// For the header `x-mpu-key`.
    pub(super) key: String,
}

/// A part that is whole.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PutPart {
    /// Its SHA-256 in hexadecimal.
    pub(super) etag: String,
}

/// A part of the whole.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PartName {
    /// From 1 to 10,000.
    pub(super) part_number: u32,
    /// The `etag` of its upload.
    pub(super) etag: String,
}

/// What is to be given up.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct Unwanted {
    /// The address or the pathname of the token's own file.
    pub(super) urls: Vec<String>,
}

/// What every error below `/api/blob` answers: what went wrong twice, in the form that the client of Vercel Blob
/// reads and with our own names.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UploadError)]
pub(super) struct ErrorBody {
    pub(super) error: ErrorText,
    /// As in other errors.
    #[schema(example = "unauthorized")]
    pub(super) code: &'static str,
    /// The field or parameter to blame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) field: Option<String>,
    /// Names this request in the server's log.
    pub(super) request_id: String,
}

/// What went wrong, as the client of Vercel Blob reads it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UploadFault)]
pub(super) struct ErrorText {
    /// The client's name for it.
    #[schema(example = "forbidden")]
    pub(super) code: &'static str,
    /// For a person.
    #[schema(example = "Token expired")]
    pub(super) message: String,
}
