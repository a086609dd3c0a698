//! Adding, changing and deleting artifacts of models. Their bytes are brought in by [`super::files`].

use crate::app::App;
use crate::domain::artifacts::{Artifact, Card};
use crate::domain::id::{ArtifactId, ModelId};
use crate::domain::time::Millis;
use crate::domain::users::User;
use crate::error::Result;
use crate::service::files::{self, Source};
use crate::service::once::{Answer, Once};
use crate::store::{Tx, artifacts, blobs, models};

/// Refuses who may not add to a model, before he sends gigabytes.
///
/// # Errors
/// `NotFound`, `Forbidden`.
pub async fn require_owner(app: &App, user: &User, model: &ModelId) -> Result<()> {
    let (user, model) = (user.clone(), model.clone());
    app.store.read(move |tx| user.require_owner(models::get(tx, &model)?.owner, "model")).await
}

/// Adds an artifact to a model.
///
/// # Errors
/// `NotFound`, `Forbidden`; `Invalid` naming the field. Then its file is gone.
pub async fn create(
    app: &App,
    user: User,
    model: ModelId,
    card: Card,
    source: Source,
    once: Once,
    render: impl Fn(&Artifact) -> Result<Answer> + Send + 'static,
) -> Result<Answer> {
    let card = card.check()?;
    let deposit = source.deposit();
    let (path, quota) = (deposit.path(), app.config.owner_quota_bytes);
    let (id, now) = (ArtifactId::fresh(), Millis::now());
    let insert = move |tx: &mut Tx<'_>| {
        let owned = models::get(tx, &model)?;
        user.require_owner(owned.owner, "model")?;
        let file = deposit.store(tx, &user, quota, now)?;
        artifacts::insert(tx, &id, (owned.key, user.key), &card, &file, now)?;
        artifacts::get(tx, &model, &id)
    };
    let answer = app.store.write(move |tx| once.run(tx, now, &insert, &render)).await;
    files::settle(app, path).await;
    answer
}

/// Changes what is said of an artifact: `edit` is applied to its card.
///
/// # Errors
/// `NotFound`, `Forbidden`; `Invalid` naming the field.
pub async fn update(
    app: &App,
    user: User,
    (model, id): (ModelId, ArtifactId),
    edit: impl Fn(&mut Card) + Send + 'static,
) -> Result<Artifact> {
    let now = Millis::now();
    app.store
        .write(move |tx| {
            let artifact = artifacts::get(tx, &model, &id)?;
            user.require_owner(artifact.owner, "model")?;
            let mut card = artifact.card;
            edit(&mut card);
            artifacts::update(tx, artifact.key, &card.check()?, now)?;
            artifacts::get(tx, &model, &id)
        })
        .await
}

/// Deletes an artifact, and its file when nothing else refers to it.
///
/// # Errors
/// `NotFound`, `Forbidden`.
pub async fn delete(app: &App, user: User, (model, id): (ModelId, ArtifactId)) -> Result<()> {
    let now = Millis::now();
    let path = app
        .store
        .write(move |tx| {
            let artifact = artifacts::get(tx, &model, &id)?;
            user.require_owner(artifact.owner, "model")?;
            artifacts::delete(tx, artifact.key)?;
            blobs::release(tx, &artifact.file, now)
        })
        .await?;
    files::discard(app, path).await;
    Ok(())
}
