//! Uploads of large files: granted beforehand, taken whole, and made something of afterwards.
//!
//! Parts are taken by [`super::drafts`]. What becomes of the file is the other services' matter.

use crate::app::App;
use crate::blobs::Blobs;
use crate::domain::files::{self, File, Place};
use crate::domain::id::{BlobId, UploadId, UploadKey};
use crate::domain::time::Millis;
use crate::domain::upload_grants::{Folder, UploadGrant, pathname};
use crate::domain::uploads::{Draft, Part, State, Upload, Uploaded};
use crate::domain::users::User;
use crate::error::{Error, Result};
use crate::service::files::{Incoming, Label, Source, discard, settle};
use crate::service::once::{Answer, Once};
use crate::store::{Tx, blobs, drafts, uploads};

/// How long a token for an upload counts, in milliseconds.
const GRANTED: i64 = 24 * 60 * 60 * 1_000;
/// How long after that what began in time may still end, in milliseconds.
pub(super) const GRACE: i64 = 60 * 60 * 1_000;
/// How long a file may wait for something to be made of it, in milliseconds.
const UNCLAIMED: i64 = 24 * 60 * 60 * 1_000;
/// Uploads that are ended in one transaction.
const BATCH: u32 = 100;

/// Returns the key that tokens of grants are signed with.
#[must_use]
pub fn signing_key(app: &App) -> [u8; 32] {
    app.master.derive("upload token")
}

/// Grants an upload of a large file into `folder`, and keeps so much of the owner's quota: `size` bytes if that is
/// said, else what a file may have at most or what is left.
///
/// # Errors
/// `TooLarge`; `Conflict` for a repeat (the token is told once) and beyond the quota; the store's.
pub async fn grant(
    app: &App,
    user: User,
    folder: Folder,
    label: Label,
    size: Option<u64>,
    once: Once,
    render: impl Fn(&UploadGrant) -> Result<Answer> + Send + 'static,
) -> Result<Answer> {
    let (now, id) = (Millis::now(), UploadId::fresh());
    let (most, quota) = (app.config.max_upload_bytes, app.config.owner_quota_bytes);
    if size.is_some_and(|size| size > most) {
        return Err(Error::TooLarge(format!("a file may have at most {most} bytes")));
    }
    let insert = move |tx: &mut Tx<'_>| {
        let usage = uploads::usage(tx, user.key)?;
        usage.require(quota, size.unwrap_or(1))?;
        let grant = UploadGrant {
            pathname: pathname(folder, now, &label.name),
            max_bytes: size.unwrap_or_else(|| most.min(usage.left(quota))),
            allowed_content_types: vec![label.content_type.clone()],
            valid_until: now.plus(GRANTED),
            owner: user.id.to_string(),
            upload_id: id.to_string(),
        };
        uploads::insert(tx, &id, user.key, &grant, (&label.name, &label.content_type), now)?;
        Ok(grant)
    };
    app.store.write(move |tx| once.run_secret(tx, now, &insert, &render)).await
}

/// Returns the upload of a grant whose token was verified.
///
/// # Errors
/// `Unauthorized` when there is no such upload; the store's.
pub async fn holder(app: &App, grant: UploadGrant) -> Result<Upload> {
    let id = UploadId::from(grant.upload_id);
    let upload = app.store.read(move |tx| uploads::get(tx, &id)).await;
    let upload = upload.map_err(|error| match error {
        Error::NotFound(_) => Error::Unauthorized,
        other => other,
    })?;
    let is_same = upload.owner_id.as_str() == grant.owner && upload.pathname == grant.pathname;
    if is_same { Ok(upload) } else { Err(Error::Unauthorized) }
}

/// Refuses to begin anything that is not granted any more, or not for files of the type that is `said`.
///
/// # Errors
/// `Forbidden` when its time is over; `Unsupported`; `Conflict` when the upload is over.
pub fn require_open(upload: &Upload, said: Option<&str>, now: Millis) -> Result<()> {
    if upload.state == State::Expired || now >= upload.expires_at {
        return Err(expired());
    }
    if upload.state == State::Cancelled {
        return Err(over("the upload was cancelled: ask for another"));
    }
    let kind =
        |text: &str| files::content_type(text, "content_type").ok().map(|text| essence(&text).to_owned());
    match said {
        Some(said) if kind(said).as_deref() != Some(essence(&upload.content_type)) => {
            let allowed = &upload.content_type;
            Err(Error::Unsupported(format!(
                "the content type {said:?} is not allowed: the upload is for {allowed}"
            )))
        }
        _ => Ok(()),
    }
}

/// A content type without its parameters.
fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// Returns the error for what may not begin or end any more.
pub(super) fn expired() -> Error {
    Error::Forbidden("the time for this upload is over: ask for another".to_owned())
}

pub(super) fn over(message: &str) -> Error {
    Error::Conflict { code: "upload_ended", message: message.to_owned() }
}

/// Returns the error for a file that is larger than was granted.
#[must_use]
pub fn too_large(upload: &Upload) -> Error {
    Error::TooLarge(format!("the file may have at most {} bytes", upload.max_bytes))
}

pub(super) fn sized(upload: &Upload) -> impl Fn(Error) -> Error {
    |error| match error {
        Error::TooLarge(_) => too_large(upload),
        other => other,
    }
}

/// Begins to take the whole file of an upload.
///
/// # Errors
/// `Full`, `Internal`.
pub async fn begin(app: &App, upload: &Upload) -> Result<Incoming> {
    let label = Label { name: upload.file_name.clone(), content_type: upload.content_type.clone() };
    Incoming::granted(app, label, upload.max_bytes).await
}

/// Takes the next bytes of it.
///
/// # Errors
/// `TooLarge`, `Full`, `Internal`.
pub async fn take(upload: &Upload, incoming: &mut Incoming, chunk: &[u8]) -> Result<()> {
    incoming.take(chunk).await.map_err(sized(upload))
}

/// Ends an upload with the whole file. Whoever sends the same file again gets the same answer.
///
/// # Errors
/// `Conflict` when the upload is over; `Full`, `Internal`.
pub async fn finish(app: &App, upload: &Upload, incoming: Incoming) -> Result<Uploaded> {
    let Source::Stored { label, stored } = incoming.finish().await? else {
        return Err(Error::internal("what came was not stored"));
    };
    let place = Place::Stored { blob: BlobId::fresh(), sha256: Some(stored.sha256.clone()) };
    let file = File { name: label.name, content_type: label.content_type, size: Some(stored.size), place };
    let path = stored.keep();
    let kept = path.clone();
    let uploaded = complete(app, upload, file, path, Again::SameBytes).await;
    settle(app, Some(kept)).await;
    uploaded
}

/// What makes a second file of an upload the same as the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// Its hash.
    SameBytes,
    /// Its caller made sure.
    Known,
}

/// Gives the file of an upload its row, unless it has one.
pub(super) async fn complete(
    app: &App,
    upload: &Upload,
    file: File,
    path: String,
    again: Again,
) -> Result<Uploaded> {
    let (id, quota, now) = (upload.id.clone(), app.config.owner_quota_bytes, Millis::now());
    let (uploaded, abandoned) = app
        .store
        .write(move |tx| {
            let upload = uploads::get(tx, &id)?;
            if let Some(before) = completed(tx, &upload)? {
                let is_same = again == Again::Known || before.file.sha256() == file.sha256();
                return if is_same {
                    Ok((before, Vec::new()))
                } else {
                    Err(over("another file was put up already"))
                };
            }
            match upload.state {
                State::Granted => {}
                // Its share of the quota was given back meanwhile.
                State::Expired => {
                    let size = u64::try_from(file.size.unwrap_or_default()).map_err(Error::internal)?;
                    uploads::usage(tx, upload.owner)?.require(quota, size)?;
                }
                State::Cancelled | State::Completed => {
                    return Err(over("the upload is over: ask for another"));
                }
            }
            let Place::Stored { blob, .. } = &file.place else {
                return Err(Error::internal("what came is elsewhere"));
            };
            blobs::insert(tx, upload.owner, &file, &path, now)?;
            uploads::complete(tx, upload.key, blob, now)?;
            let abandoned = end_drafts(tx, upload.key, Some(&path))?;
            let uploaded = uploads::file_of(tx, upload.key)?.ok_or_else(|| Error::internal("no file"))?;
            Ok((uploaded, abandoned))
        })
        .await?;
    discard_drafts(app, abandoned).await;
    Ok(uploaded)
}

pub(super) fn completed(tx: &mut Tx<'_>, upload: &Upload) -> Result<Option<Uploaded>> {
    if upload.state == State::Completed { uploads::file_of(tx, upload.key) } else { Ok(None) }
}

/// A draft whose bytes are wanted no more, with its parts.
pub(super) type Abandoned = (Draft, Vec<Part>);

/// Forgets the drafts of an upload, but for the rows of the one that became the file at `path`: its parts are asked
/// for when somebody wants it put together again.
pub(super) fn end_drafts(tx: &mut Tx<'_>, upload: UploadKey, path: Option<&str>) -> Result<Vec<Abandoned>> {
    let mut abandoned = Vec::new();
    for draft in drafts::of_upload(tx, upload)? {
        let parts = drafts::parts(tx, draft.key)?;
        if !path.is_some_and(|path| Blobs::is_made_of(path, &draft.place)) {
            drafts::delete(tx, draft.key)?;
        }
        abandoned.push((draft, parts));
    }
    Ok(abandoned)
}

/// Removes the bytes of drafts. The rows are what counts: what cannot be removed is left to the sweep.
pub(super) async fn discard_drafts(app: &App, abandoned: Vec<Abandoned>) {
    for (draft, parts) in abandoned {
        if let Err(error) = app.blobs.discard(&draft.place, parts).await {
            tracing::warn!(place = %draft.place, ?error, "an unfinished file stays until the next sweep");
        }
    }
}

/// Cancels an upload that has not come, or gives up its file if nothing was made of it. That it was done before is
/// no error.
///
/// # Errors
/// `Conflict` when the file belongs to something; `Internal`.
pub async fn cancel(app: &App, upload: &Upload) -> Result<()> {
    let (id, now) = (upload.id.clone(), Millis::now());
    let (path, abandoned) =
        app.store
            .write(move |tx| {
                let upload = uploads::get(tx, &id)?;
                let path = match completed(tx, &upload)? {
                    Some(uploaded) => Some(blobs::release(tx, &uploaded.file, now)?.ok_or_else(|| {
                        over("the file belongs to something that was made of it: delete that")
                    })?),
                    None => None,
                };
                if matches!(upload.state, State::Granted | State::Completed) {
                    uploads::end(tx, upload.key, State::Cancelled, now)?;
                }
                Ok((path, end_drafts(tx, upload.key, None)?))
            })
            .await?;
    discard(app, path).await;
    discard_drafts(app, abandoned).await;
    Ok(())
}

/// Ends uploads that did not come in time, and gives up files that nothing was made of for a day; answers how many.
/// Their owners have the space again.
///
/// # Errors
/// The store's.
pub async fn expire(app: &App, now: Millis) -> Result<usize> {
    let mut ended = 0;
    loop {
        let (paths, abandoned, count) = app
            .store
            .write(move |tx| {
                let (mut paths, mut abandoned) = (Vec::new(), Vec::new());
                let unclaimed = uploads::unclaimed(tx, now.plus(-UNCLAIMED), BATCH)?;
                let overdue = uploads::overdue(tx, now.plus(-GRACE), BATCH)?;
                let count = unclaimed.len() + overdue.len();
                for uploaded in &unclaimed {
                    paths.push(blobs::release(tx, &uploaded.file, now)?);
                }
                for key in unclaimed.into_iter().map(|uploaded| uploaded.upload).chain(overdue) {
                    uploads::end(tx, key, State::Expired, now)?;
                    abandoned.extend(end_drafts(tx, key, None)?);
                }
                Ok((paths, abandoned, count))
            })
            .await?;
        for path in paths {
            discard(app, path).await;
        }
        discard_drafts(app, abandoned).await;
        ended += count;
        if count == 0 {
            break;
        }
    }
    // One at a time: a draft may have 10,000 parts.
    let forget = move |tx: &mut Tx<'_>| match drafts::outlived(tx, now.plus(-UNCLAIMED), 1)?.first() {
        Some(draft) => drafts::delete(tx, draft.key).map(|()| true),
        None => Ok(false),
    };
    while app.store.write(forget).await? {}
    Ok(ended)
}
