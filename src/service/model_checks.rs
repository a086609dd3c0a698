//! Checking a model: one tiny call, for its owner or an admin, counted against the caller's daily cap.

use crate::app::App;
use crate::domain::id::ModelId;
use crate::domain::time::Millis;
use crate::domain::users::User;
use crate::engine::Checked;
use crate::error::Result;
use crate::service::{caps, lending};
use crate::store::{models, spending};

/// Calls a model once and returns the outcome. What it costs on the operator's key is charged to the caller.
///
/// # Errors
/// `NotFound`; `Forbidden` for another person's model, or one that the operator pays and the caller may not run;
/// `Conflict` when the caller's cap is spent; `Limited` shortly after another check of the model.
pub async fn check(app: &App, user: User, id: ModelId) -> Result<Checked> {
    let (config, providers, caller) = (app.config.clone(), app.engine.providers().clone(), user.clone());
    let read = app.store.read(move |tx| {
        let model = models::get(tx, &id)?;
        caller.require_owner(model.owner, "model")?;
        lending::require(tx, &caller, model.key, "id", Millis::now())?;
        let bills = caps::bills(tx, &config, &providers, std::slice::from_ref(&model), std::iter::empty())?;
        caps::require(tx, &config, &caller, &bills, Millis::now())?;
        Ok(model.revision.key)
    });
    let checked = app.engine.check(read.await?).await?;
    let charge = checked.charge;
    app.store.write(move |tx| spending::add(tx, user.key, charge, Millis::now())).await?;
    Ok(checked)
}
