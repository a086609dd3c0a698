//! Adding and deleting training sets. Their bytes are brought in by [`super::files`].

use crate::app::App;
use crate::domain::id::TrainingSetId;
use crate::domain::time::Millis;
use crate::domain::training_sets::{Card, FileType, Glance, TrainingSet};
use crate::domain::users::User;
use crate::error::Result;
use crate::service::files::{self, Source};
use crate::service::glances;
use crate::service::once::{Answer, Once};
use crate::store::{Tx, blobs, training_sets};

/// Adds a training set.
///
/// # Errors
/// `Invalid` naming the field, also where the file is not what its name says. Then a file that was sent is gone.
pub async fn create(
    app: &App,
    user: User,
    card: Card,
    (source, file_type): (Source, FileType),
    once: Once,
    render: impl Fn(&TrainingSet) -> Result<Answer> + Send + 'static,
) -> Result<Answer> {
    let card = card.check()?;
    let glance = look(app, &user, &source, file_type).await?;
    let deposit = source.deposit();
    let (path, quota) = (deposit.path(), app.config.owner_quota_bytes);
    let (id, now) = (TrainingSetId::fresh(), Millis::now());
    let insert = move |tx: &mut Tx<'_>| {
        let file = deposit.store(tx, &user, quota, now)?;
        training_sets::insert(tx, &id, user.key, &card, (&file, file_type, &glance), now)?;
        training_sets::get(tx, &id)
    };
    let answer = app.store.write(move |tx| once.run(tx, now, &insert, &render)).await;
    files::settle(app, path).await;
    answer
}

/// What is to be seen of a file that is with us.
async fn look(app: &App, user: &User, source: &Source, file_type: FileType) -> Result<Glance> {
    match source {
        Source::Stored { stored, .. } => glances::look(app, &stored.path, file_type, "file").await,
        Source::Uploaded { blob, .. } => {
            let (blob, user) = (blob.clone(), user.clone());
            let found = app
                .store
                .read(move |tx| files::uploaded(tx, &blob, &user).and_then(|_| blobs::get(tx, &blob)));
            glances::look(app, &found.await?.path, file_type, "blob_url").await
        }
        Source::Linked { .. } => Ok(Glance::default()),
    }
}

/// Deletes a training set, and its file when nothing else refers to it.
///
/// # Errors
/// `NotFound`, `Forbidden`.
pub async fn delete(app: &App, user: User, id: TrainingSetId) -> Result<()> {
    let now = Millis::now();
    let path = app
        .store
        .write(move |tx| {
            let set = training_sets::get(tx, &id)?;
            user.require_owner(set.owner, "training set")?;
            training_sets::delete(tx, set.key)?;
            blobs::release(tx, &set.file, now)
        })
        .await?;
    files::discard(app, path).await;
    Ok(())
}
