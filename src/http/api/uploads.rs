//! What asking for an upload looks like, whatever the file is to belong to. The upload itself is taken
//! by [`super::blob`].

use serde::{Deserialize, Serialize};
use url::form_urlencoded;
use utoipa::ToSchema;

use crate::app::App;
use crate::domain::upload_token::Folder;
use crate::domain::users::User;
use crate::error::Result;
use crate::http::Site;
use crate::service::files::Label;
use crate::service::once::{Answer, Once};
use crate::service::uploads::{self as service, Granted};

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
    fn of(granted: &Granted, public_url: &str) -> Self {
        let grant = &granted.grant;
        // No slash after `blob`: curl would put its own name for the file there.
        let query =
            form_urlencoded::Serializer::new(String::new()).append_pair("pathname", &grant.pathname).finish();
        Self {
            client_token: granted.token.clone(),
            pathname: grant.pathname.clone(),
            upload_url: format!("{public_url}/api/blob?{query}"),
            max_bytes: grant.max_bytes,
            expires_at: grant.valid_until.0,
        }
    }
}

/// Grants an upload into `folder`.
///
/// # Errors
/// Those of [`service::grant`], and `Invalid` naming the field.
pub(super) async fn grant(
    app: &App,
    site: &Site,
    user: User,
    folder: Folder,
    new: &NewUpload,
    once: Once,
) -> Result<Answer> {
    let label = Label::new(&new.file_name, new.content_type.as_deref(), "file_name")?;
    let public_url = site.public_url.clone();
    let render = move |granted: &Granted| Answer::ok(&Upload::of(granted, &public_url));
    service::grant(app, user, folder, label, new.file_size, once, render).await
}
