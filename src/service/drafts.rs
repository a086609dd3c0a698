//! Files that come in parts, in any order and several at once, and are put together at the end.

use crate::app::App;
use crate::blobs::{Blobs, PartWriter};
use crate::domain::files::{File, Place};
use crate::domain::id::{BlobId, DraftId};
use crate::domain::time::Millis;
use crate::domain::uploads::{Draft, NamedPart, State, Upload, Uploaded, in_order};
use crate::error::{Error, Result};
use crate::service::uploads::{
    Again, GRACE, complete, completed, discard_drafts, end_drafts, expired, over, sized, too_large,
};
use crate::store::{drafts, uploads};

/// Begins a file in parts. It takes the place of one that was begun before: a client that begins again does so
/// because it was not told.
///
/// # Errors
/// `Conflict` when the upload is over; `Full`, `Internal`.
pub async fn begin(app: &App, upload: &Upload) -> Result<DraftId> {
    let (id, key, now) = (upload.id.clone(), DraftId::fresh(), Millis::now());
    let place = app.blobs.draft().await?;
    let (draft, kept) = (key.clone(), place.clone());
    let begun = app.store.write(move |tx| {
        let upload = uploads::get(tx, &id)?;
        if upload.state != State::Granted {
            return Err(over("the upload is over: ask for another"));
        }
        let abandoned = end_drafts(tx, upload.key, None)?;
        drafts::insert(tx, &draft, upload.key, &kept, now)?;
        Ok(abandoned)
    });
    match begun.await {
        Ok(abandoned) => {
            discard_drafts(app, abandoned).await;
            Ok(key)
        }
        Err(error) => {
            app.blobs.discard(&place, Vec::new()).await?;
            Err(error)
        }
    }
}

/// A part on its way in.
#[derive(Debug)]
pub struct IncomingPart {
    draft: Draft,
    writer: PartWriter,
}

impl IncomingPart {
    /// Begins to take a part, `size` bytes long if that is known.
    ///
    /// # Errors
    /// `NotFound` for a draft that is not of this upload; `Invalid` when the size must be known and is not;
    /// `TooLarge`; `Conflict` when the upload is over; `Full`, `Internal`.
    pub async fn begin(
        app: &App,
        upload: &Upload,
        draft: DraftId,
        number: u32,
        size: Option<u64>,
    ) -> Result<Self> {
        if upload.state != State::Granted {
            return Err(over("the upload is over: ask for another"));
        }
        let key = upload.key;
        let draft = app.store.read(move |tx| drafts::get(tx, key, &draft)).await?;
        let slot = app.blobs.slot(&draft.place, number, size);
        let key = draft.key;
        // After the slot was taken: whoever had it before has stored his part by now, or has failed.
        let (before, total) = app
            .store
            .read(move |tx| Ok((drafts::part_of(tx, key, number)?, drafts::total(tx, key)?)))
            .await?;
        let others = total.saturating_sub(before.as_ref().map_or(0, |part| part.size));
        let left = upload.max_bytes.saturating_sub(others);
        if size.is_some_and(|size| size > left) {
            return Err(too_large(upload));
        }
        let slot = slot.filter(|_| !before.is_some_and(|part| Blobs::is_in_slot(&part.place)));
        let writer = app.blobs.begin_part(&draft.place, number, slot, size, left).await?;
        Ok(Self { draft, writer })
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// `TooLarge`; `Conflict` when the upload is over; `Full`, `Internal`.
    pub async fn take(&mut self, upload: &Upload, chunk: &[u8]) -> Result<()> {
        self.writer.write(chunk).await.map_err(sized(upload))
    }

    /// Brings it to disk, in the place of an earlier one of its number; answers what the client knows it by. Once begun
    /// this must be awaited: given up in between, a row could name a part that is gone.
    ///
    /// # Errors
    /// As [`IncomingPart::take`].
    pub async fn finish(self, app: &App, upload: &Upload) -> Result<String> {
        let stored = self.writer.finish().await?;
        let (part, draft, id, most) =
            (stored.part.clone(), self.draft.key, upload.id.clone(), upload.max_bytes);
        let before = app
            .store
            .write(move |tx| {
                let upload = uploads::get(tx, &id)?;
                let is_there = drafts::of_upload(tx, upload.key)?.iter().any(|one| one.key == draft);
                if upload.state != State::Granted || !is_there {
                    return Err(over("the upload has ended meanwhile"));
                }
                let before = drafts::put_part(tx, draft, &part)?;
                if drafts::total(tx, draft)? > most { Err(too_large(&upload)) } else { Ok(before) }
            })
            .await?;
        let part = stored.part.clone();
        stored.keep();
        if let Some(before) = before.filter(|before| *before != part.place)
            && let Err(error) = app.blobs.remove_part(&before).await
        {
            tracing::warn!(place = %before, ?error, "a part that came again stays until the next sweep");
        }
        Ok(part.sha256)
    }
}

/// Puts a file together from its parts, in whatever order they are `named`. Whoever asks for the same again gets the
/// same answer.
///
/// # Errors
/// `NotFound` for a draft that is not of this upload; `Invalid` for a list that makes no whole; `Forbidden` long
/// after the upload should have begun; `Conflict` when it is over; `Full`, `Internal`.
pub async fn assemble(app: &App, upload: &Upload, draft: DraftId, named: Vec<NamedPart>) -> Result<Uploaded> {
    let _turn = app.blobs.turn(upload.id.as_str()).await;
    let id = upload.id.clone();
    let (upload, before, draft, stored) = app
        .store
        .read(move |tx| {
            let upload = uploads::get(tx, &id)?;
            let draft = drafts::get(tx, upload.key, &draft)?;
            let stored = drafts::parts(tx, draft.key)?;
            let before = completed(tx, &upload)?;
            Ok((upload, before, draft, stored))
        })
        .await?;
    let count = stored.len();
    let parts = in_order(named, stored)?;
    if let Some(before) = before {
        return Ok(before);
    }
    match upload.state {
        State::Granted if Millis::now() < upload.expires_at.plus(GRACE) => {}
        State::Granted | State::Expired => return Err(expired()),
        State::Cancelled | State::Completed => return Err(over("the upload is over: ask for another")),
    }
    let size = i64::try_from(parts.iter().map(|part| part.size).sum::<u64>()).map_err(Error::internal)?;
    let has_others = count > parts.len();
    let path = app.blobs.assemble(&draft.place, parts, has_others).await?;
    let place = Place::Stored { blob: BlobId::fresh(), sha256: None };
    let (name, content_type) = (upload.file_name.clone(), upload.content_type.clone());
    let file = File { name, content_type, size: Some(size), place };
    match complete(app, &upload, file, path, Again::Known).await {
        Ok(uploaded) => {
            app.unhashed.notify_one();
            Ok(uploaded)
        }
        Err(error) => {
            app.blobs.disassemble(&draft.place).await?;
            Err(error)
        }
    }
}
