//! What asking for an upload looks like, whatever the file is to belong to. The upload itself is taken
//! by the surface that has an upload protocol.

use serde::{Deserialize, Serialize};
use url::form_urlencoded;
use utoipa::ToSchema;

use crate::app::App;
use crate::domain::upload_grants::{Folder, UploadGrant};
use crate::domain::users::User;
use crate::error::{Error, Result};
use crate::http::Site;
use crate::http::surfaces::upload_protocol;
use crate::service::files::Label;
use crate::service::once::{Answer, Once};
use crate::service::uploads as service;

/// A file that is to be uploaded.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUpload {
    /// Its ending says what it is.
    #[schema(example = "weights.bin")]
    file_name: String,
    /// What files of this name usually have unless said.
    #[schema(example = "application/octet-stream")]
    content_type: Option<String>,
    /// Bytes that it has at most. So much of your quota is kept for it; unless said, what one file may have.
    #[schema(example = 734_003_200)]
    file_size: Option<u64>,
}

impl NewUpload {
    /// The file's name, as somebody wrote it.
    pub(super) fn file_name(&self) -> &str {
        &self.file_name
    }
}

/// An upload that was granted.
#[derive(Debug, Serialize, ToSchema)]
pub struct Upload {
    /// To be sent with the file, as a bearer token.
    #[schema(example = "vercel_blob_client_...")]
    client_token: String,
    /// What the file goes by until it is up.
    #[schema(example = "artifacts/1700000000000-weights.bin")]
    pathname: String,
    /// Where to PUT the file.
    upload_url: String,
    /// Largest size, in bytes.
    max_bytes: u64,
    /// Until when the upload, or a part of it, may begin.
    expires_at: i64,
}

impl Upload {
    fn of(grant: &UploadGrant, token: String, address: &str) -> Self {
        // No slash after the path: curl would put its own name for the file there.
        let query =
            form_urlencoded::Serializer::new(String::new()).append_pair("pathname", &grant.pathname).finish();
        Self {
            client_token: token,
            pathname: grant.pathname.clone(),
            upload_url: format!("{address}?{query}"),
            max_bytes: grant.max_bytes,
            expires_at: grant.valid_until.0,
        }
    }
}

/// Grants an upload into `folder`.
///
/// # Errors
/// Those of [`service::grant`], and `Invalid` naming the field; `Unsupported` where this server takes no files of uploads.
pub(super) async fn grant(
    app: &App,
    site: &Site,
    user: User,
    folder: Folder,
    new: &NewUpload,
    once: Once,
) -> Result<Answer> {
    let label = Label::new(&new.file_name, new.content_type.as_deref(), "file_name")?;
    let protocol = upload_protocol().ok_or_else(|| {
        Error::Unsupported("this server was built without uploads: send the file with the request".to_owned())
    })?;
    let (address, key) = (format!("{}{}", site.public_url, protocol.path), service::signing_key(app));
    let render =
        move |grant: &UploadGrant| Answer::ok(&Upload::of(grant, (protocol.token)(grant, &key), &address));
    service::grant(app, user, folder, label, new.file_size, once, render).await
}
