//! Files on their way in and out of the house: bytes first and then the row, row first and then the bytes.
//!
//! What a file belongs to is the other services' matter. Nothing is ever fetched from elsewhere.

use std::time::{Duration, SystemTime};

use crate::app::App;
use crate::blobs::{Blobs, Share, Stored, Writer};
use crate::domain::files::{self, File, Place};
use crate::domain::id::{BlobId, UserKey};
use crate::domain::time::Millis;
use crate::domain::training_sets::FileType;
use crate::domain::uploads::{Claims, Uploaded};
use crate::domain::users::User;
use crate::error::{Error, Result};
use crate::store::{Tx, blobs, drafts, uploads};

/// How long a file may lie about that no row names: longer than any upload takes from its last byte to its row.
const UNNAMED: Duration = Duration::from_hours(24);

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
    /// Its part of what the owner has under way; none where that is reserved already.
    share: Option<Share>,
}

impl Incoming {
    /// Begins to take a file of `owner`.
    ///
    /// # Errors
    /// `Conflict` when his quota is used up; `Full`, `Internal`.
    pub async fn begin(app: &App, owner: UserKey, label: Label) -> Result<Self> {
        let (quota, most) = (app.config.owner_quota_bytes, app.config.max_upload_bytes);
        let usage = app.store.read(move |tx| uploads::usage(tx, owner)).await?;
        usage.require(quota, 1)?;
        let share = Some(app.arriving.share(owner, usage, quota));
        Ok(Self { label, writer: app.blobs.begin(most).await?, share })
    }

    /// Begins to take a file that was granted, of at most `limit` bytes.
    ///
    /// # Errors
    /// `Full`, `Internal`.
    pub(super) async fn granted(app: &App, label: Label, limit: u64) -> Result<Self> {
        Ok(Self { label, writer: app.blobs.begin(limit).await?, share: None })
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// `TooLarge`, or `Conflict` beyond the owner's quota; `Full`, `Internal`.
    pub async fn take(&mut self, chunk: &[u8]) -> Result<()> {
        if let Some(share) = &mut self.share {
            share.add(chunk.len())?;
        }
        self.writer.write(chunk).await
    }

    /// Brings it to disk.
    ///
    /// # Errors
    /// `Full`, `Internal`.
    pub async fn finish(self) -> Result<Source> {
        let stored = self.writer.finish().await?;
        Ok(Source::Stored { label: self.label, stored })
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
    },
    /// It was put up before.
    Uploaded {
        /// The stored file.
        blob: BlobId,
        /// What is said of it.
        claims: Claims,
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
    /// The file at the address `url`: one that was put up here before, or one elsewhere; `public_url` is our own.
    ///
    /// # Errors
    /// `Invalid` naming the field at fault.
    pub fn at(url: &str, claims: Claims, public_url: &str) -> Result<Self> {
        let name = files::file_name(&claims.name, "file_name")?;
        if let Some(blob) = files::own_blob(url, public_url) {
            let said = claims.content_type.as_deref();
            let content_type = said.map(|said| files::content_type(said, "content_type")).transpose()?;
            return Ok(Self::Uploaded { blob, claims: Claims { name, content_type, ..claims } });
        }
        let label = Label::new(&name, claims.content_type.as_deref(), "file_name")?;
        let url = files::link(url, public_url, "blob_url")?;
        let size = claims.size.map(|size| files::claimed_size(size, "file_size")).transpose()?;
        if claims.sha256.is_some() {
            return Err(Error::invalid(
                "sha256",
                "sha256 can be checked for uploaded files only: leave it out",
            ));
        }
        Ok(Self::Linked { label, url, size })
    }

    /// What tells this file from others: its label, and its hash or address.
    #[must_use]
    pub fn identity(&self) -> [&str; 3] {
        match self {
            Self::Stored { label, stored, .. } => [&label.name, &label.content_type, &stored.sha256],
            Self::Uploaded { blob, claims } => [&claims.name, "", blob.as_str()],
            Self::Linked { label, url, .. } => [&label.name, &label.content_type, url],
        }
    }

    /// Makes it ready for the transaction that gives it its row. From here on its bytes stay until
    /// `settle` or the sweep finds that no row names them: whoever goes away in between, no row is
    /// without its file.
    #[must_use]
    pub fn deposit(self) -> Deposit {
        match self {
            Self::Stored { label, stored } => {
                let place = Place::Stored { blob: BlobId::fresh(), sha256: Some(stored.sha256.clone()) };
                let size = Some(stored.size);
                let file = File { name: label.name, content_type: label.content_type, size, place };
                Deposit::New { file, path: stored.keep() }
            }
            Self::Uploaded { blob, claims } => Deposit::Uploaded { blob, claims },
            Self::Linked { label, url, size } => {
                let place = Place::Linked { url };
                Deposit::Linked(File { name: label.name, content_type: label.content_type, size, place })
            }
        }
    }
}

/// A file about to get its row.
#[derive(Debug, Clone)]
pub enum Deposit {
    /// Its bytes are here.
    New {
        /// The file as it will be known.
        file: File,
        /// Where its bytes lie.
        path: String,
    },
    /// It has a row of its own already.
    Uploaded {
        /// The stored file.
        blob: BlobId,
        /// What is said of it.
        claims: Claims,
    },
    /// Its bytes are elsewhere.
    Linked(File),
}

impl Deposit {
    /// Gives a file that is with us its row, or finds the one that it has; answers the file.
    /// `quota` is what its owner's files may take.
    ///
    /// # Errors
    /// `Conflict` beyond the quota; `Invalid` for a file that `user` did not put up, or that is not what is said of
    /// it; the store's.
    pub fn store(&self, tx: &mut Tx<'_>, user: &User, quota: u64, now: Millis) -> Result<File> {
        match self {
            Self::New { file, path } => {
                let size = u64::try_from(file.size.unwrap_or_default()).map_err(Error::internal)?;
                uploads::usage(tx, user.key)?.require(quota, size)?;
                blobs::insert(tx, user.key, file, path, now)?;
                Ok(file.clone())
            }
            Self::Uploaded { blob, claims } => {
                let found = uploaded(tx, blob, user)?;
                claims.check(&found.file)?;
                Ok(found.file)
            }
            Self::Linked(file) => Ok(file.clone()),
        }
    }

    /// Where its bytes lie, for `settle`.
    #[must_use]
    pub fn path(&self) -> Option<String> {
        match self {
            Self::New { path, .. } => Some(path.clone()),
            Self::Uploaded { .. } | Self::Linked(_) => None,
        }
    }
}

/// A file that `user` put up.
///
/// # Errors
/// `Invalid` naming `blob_url` when there is none; the store's.
pub(super) fn uploaded(tx: &mut Tx<'_>, blob: &BlobId, user: &User) -> Result<Uploaded> {
    let found = uploads::file(tx, blob)?.filter(|found| user.owns(found.owner));
    found.ok_or_else(|| Error::invalid("blob_url", "blob_url names no finished upload of yours"))
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
    let (named, drafts) = app.store.read(|tx| Ok((blobs::paths(tx)?, drafts::alive(tx)?))).await?;
    let is_of_draft = |path: &String| drafts.iter().any(|draft| Blobs::is_of_draft(path, &draft.place));
    unnamed.retain(|path| !named.contains(path) && !is_of_draft(path));
    for path in &unnamed {
        app.blobs.remove(path).await?;
    }
    Ok(unnamed.len())
}
