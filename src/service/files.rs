//! Files on their way in and out of the house: bytes first and then the row, row first and then the bytes.
//!
//! What a file belongs to is the other services' matter. Nothing is ever fetched from elsewhere.

use std::time::{Duration, SystemTime};

use crate::app::App;
use crate::blobs::{Stored, Writer};
use crate::domain::files::{self, File, Place};
use crate::domain::id::{BlobId, UploadId, UserKey};
use crate::domain::time::Millis;
use crate::domain::training_sets::{FileType, Glance, Watcher};
use crate::domain::upload_token::{Folder, UploadGrant, pathname};
use crate::domain::users::User;
use crate::error::Result;
use crate::service::once::{Answer, Once};
use crate::store::{Tx, blobs, uploads};

/// How long a file may lie about that no row names: longer than any upload takes from its last byte to its row.
const UNNAMED: Duration = Duration::from_hours(24);
/// How long a token for an upload counts, in milliseconds.
const GRANTED: i64 = 24 * 60 * 60 * 1_000;
/// The part of a token that names who keeps the file.
const STORE: &str = "evalboard";

/// What is known of a file before its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: String,
    /// What it is said to be.
    pub content_type: String,
}

impl Label {
    /// A label from what a person says, the parts of which `name_field` and `content_type` are to blame for.
    /// When nothing is said of the content type, it is the one that files of this name have.
    ///
    /// # Errors
    /// `Invalid` naming the field.
    pub fn new(name: &str, content_type: Option<&str>, name_field: &str) -> Result<Self> {
        let name = files::file_name(name, name_field)?;
        let content_type = match content_type {
            Some(said) => files::content_type(said, "content_type")?,
            None => usual_content_type(&name),
        };
        Ok(Self { name, content_type })
    }
}

fn usual_content_type(name: &str) -> String {
    // Few tables of types know those of datasets.
    FileType::of(name, "")
        .map_or_else(|_| files::usual_content_type(name), |known| known.content_type().to_owned())
}

/// A file on its way in. Dropped, it leaves nothing behind.
#[derive(Debug)]
pub struct Incoming {
    label: Label,
    writer: Writer,
    watcher: Option<Watcher>,
}

impl Incoming {
    /// Begins to take a file, which `watcher` may look at as it goes by.
    ///
    /// # Errors
    /// `Full`, `Internal`.
    pub async fn begin(app: &App, label: Label, watcher: Option<Watcher>) -> Result<Self> {
        let writer = app.blobs.begin(app.config.max_upload_bytes).await?;
        Ok(Self { label, writer, watcher })
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// `TooLarge`, `Full`, `Internal`.
    pub async fn take(&mut self, chunk: &[u8]) -> Result<()> {
        if let Some(watcher) = &mut self.watcher {
            watcher.see(chunk);
        }
        self.writer.write(chunk).await
    }

    /// Brings it to disk.
    ///
    /// # Errors
    /// `Full`, `Internal`.
    pub async fn finish(self) -> Result<Source> {
        let stored = self.writer.finish().await?;
        let glance = self.watcher.map_or_else(Glance::default, Watcher::finish);
        Ok(Source::Stored { label: self.label, stored, glance })
    }
}

/// Where the file of a new thing comes from.
#[derive(Debug)]
pub enum Source {
    /// It was sent, and is on disk.
    Stored {
        /// Its name and type.
        label: Label,
        /// Its bytes.
        stored: Stored,
        /// What was seen of them.
        glance: Glance,
    },
    /// It is elsewhere.
    Linked {
        /// Its name and type.
        label: Label,
        /// Its address.
        url: String,
        /// Its size, as claimed.
        size: Option<i64>,
    },
}

impl Source {
    /// A file elsewhere, at the address `url`; `public_url` is our own.
    ///
    /// # Errors
    /// `Invalid` naming `blob_url` or `file_size`.
    pub fn link(label: Label, url: &str, size: Option<i64>, public_url: &str) -> Result<Self> {
        let url = files::link(url, public_url, "blob_url")?;
        let size = size.map(|size| files::claimed_size(size, "file_size")).transpose()?;
        Ok(Self::Linked { label, url, size })
    }

    /// What tells this file from others: its label, and its hash or address.
    #[must_use]
    pub fn identity(&self) -> [&str; 3] {
        let (label, content) = match self {
            Self::Stored { label, stored, .. } => (label, stored.sha256.as_str()),
            Self::Linked { label, url, .. } => (label, url.as_str()),
        };
        [&label.name, &label.content_type, content]
    }

    /// Makes it ready for the transaction that gives it its row. From here on its bytes stay until
    /// `settle` or the sweep finds that no row names them: whoever goes away in between, no row is
    /// without its file.
    #[must_use]
    pub fn deposit(self) -> Deposit {
        let (label, size, place, path, glance) = match self {
            Self::Stored { label, stored, glance } => {
                let place = Place::Stored { blob: BlobId::fresh(), sha256: Some(stored.sha256.clone()) };
                (label, Some(stored.size), place, Some(stored.keep()), glance)
            }
            Self::Linked { label, url, size } => {
                (label, size, Place::Linked { url }, None, Glance::default())
            }
        };
        let file = File { name: label.name, content_type: label.content_type, size, place };
        Deposit { file, glance, path }
    }
}

/// A file about to get its row.
#[derive(Debug, Clone)]
pub struct Deposit {
    /// The file as it will be known.
    pub file: File,
    /// What was seen of it.
    pub glance: Glance,
    path: Option<String>,
}

impl Deposit {
    /// Gives a file that is with us its row.
    ///
    /// # Errors
    /// The store's.
    pub fn store(&self, tx: &mut Tx<'_>, owner: UserKey, now: Millis) -> Result<()> {
        self.path.as_ref().map_or(Ok(()), |path| blobs::insert(tx, owner, &self.file, path, now))
    }

    /// Where its bytes lie, for `settle`.
    #[must_use]
    pub fn path(&self) -> Option<String> {
        self.path.clone()
    }
}

/// Removes the bytes of a file that got no row after all: its command failed, or had been done before.
pub(super) async fn settle(app: &App, path: Option<String>) {
    let Some(path) = path else { return };
    let named = {
        let path = path.clone();
        app.store.read(move |tx| blobs::is_named(tx, &path)).await
    };
    match named {
        Ok(true) => {}
        Ok(false) => discard(app, Some(path)).await,
        Err(error) => tracing::warn!(%path, ?error, "whether a file has a row is left to the next sweep"),
    }
}

/// Removes the bytes of a file whose row is gone. The row is what counts: bytes that cannot be removed are left
/// to the sweep.
pub(super) async fn discard(app: &App, path: Option<String>) {
    let Some(path) = path else { return };
    if let Err(error) = app.blobs.remove(&path).await {
        tracing::warn!(%path, ?error, "a file without a row stays until the next sweep");
    }
}

/// Removes all files that no row names and nobody has written to for a day; answers how many.
///
/// # Errors
/// `Internal` when a folder cannot be read; the store's.
pub async fn sweep(app: &App) -> Result<usize> {
    let Some(yesterday) = SystemTime::now().checked_sub(UNNAMED) else { return Ok(0) };
    let mut unnamed = app.blobs.untouched_since(yesterday).await?;
    let named = app.store.read(blobs::paths).await?;
    unnamed.retain(|path| !named.contains(path));
    for path in &unnamed {
        app.blobs.remove(path).await?;
    }
    Ok(unnamed.len())
}

/// An upload that its holder may begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// What he shows when he sends the file.
    pub token: String,
    /// What he may do with it.
    pub grant: UploadGrant,
}

/// Grants an upload of a large file into `folder`.
///
/// # Errors
/// `Conflict` for a repeat: the token is told once; the store's.
pub async fn request_upload(
    app: &App,
    user: User,
    folder: Folder,
    label: Label,
    once: Once,
    render: impl Fn(&Granted) -> Result<Answer> + Send + 'static,
) -> Result<Answer> {
    let (now, id) = (Millis::now(), UploadId::fresh());
    let grant = UploadGrant {
        pathname: pathname(folder, now, &label.name),
        max_bytes: app.config.max_upload_bytes,
        allowed_content_types: vec![label.content_type.clone()],
        valid_until: now.plus(GRANTED),
        owner: user.id.to_string(),
        upload_id: id.to_string(),
    };
    let granted = Granted { token: grant.mint(&app.master.derive("upload token"), STORE), grant };
    let insert = move |tx: &mut Tx<'_>| {
        uploads::insert(tx, &id, user.key, &granted.grant, (&label.name, &label.content_type), now)?;
        Ok(granted.clone())
    };
    app.store.write(move |tx| once.run_secret(tx, now, &insert, &render)).await
}
