//! Graders: which model grades a version of an eval. A name is looked up when it is saved, and from then on the version
//! follows that model by its id: who registers, renames or deletes a model of that name changes nothing.

use crate::config::Config;
use crate::domain::evals::{Eval, Grader, Version};
use crate::domain::id::{ModelId, UserKey};
use crate::domain::inference_uri::InferenceUri;
use crate::engine::scorer::Scorer;
use crate::error::{Error, Result};
use crate::service::model_names;
use crate::store::{Tx, models};

/// Returns who grades for a scorer that needs it: whom the eval names, else the operator's choice. `before` is the
/// version that the eval had until now, whose grader stays where the same one is named.
///
/// # Errors
/// `Invalid` naming `eval_criteria.grader` when it names nothing; `Conflict` when it names several models.
pub(super) fn resolve(
    tx: &mut Tx<'_>,
    config: &Config,
    scorer: &Scorer,
    (owner, before): (UserKey, Option<&Version>),
) -> Result<Option<Grader>> {
    let Some(graded) = scorer.graded() else { return Ok(None) };
    let Some(name) = &graded.grader else { return of_operator(tx, config) };
    if let Some(Pinned::Present(grader)) =
        before.map(|before| pinned(tx, name, before)).transpose()?.flatten()
    {
        return Ok(Some(grader));
    }
    let found = find(tx, name, Some(owner))?;
    if found.is_none() {
        let field = "eval_criteria.grader";
        let message = format!(
            "{field} names {name}, and no registered model has that id; by name it means a model of the eval's owner, an \
             admin's or an official one: name another person's model by its id"
        );
        return Err(Error::invalid(field, message));
    }
    Ok(found)
}

/// Returns who grades when a run begins: the grader of the present version at its model's present revision. One that
/// was deleted, or cannot be found any more, stays what it was: its cases will say so.
///
/// # Errors
/// The database's.
pub(super) fn present(
    tx: &mut Tx<'_>,
    config: &Config,
    scorer: &Scorer,
    eval: &Eval,
) -> Result<Option<Grader>> {
    let version = &eval.version;
    if let Some(name) = scorer.graded().and_then(|graded| graded.grader.as_ref()) {
        match pinned(tx, name, version)? {
            Some(Pinned::Present(grader)) => return Ok(Some(grader)),
            Some(Pinned::Deleted) => return Ok(version.grader.clone()),
            None => {}
        }
    }
    let is_lost = match resolve(tx, config, scorer, (eval.owner, None)) {
        Err(Error::Invalid { .. } | Error::Conflict { .. }) => true,
        Ok(None) => config.grader_model.is_some() && scorer.graded().is_some(),
        resolved => return resolved,
    };
    Ok(version.grader.clone().filter(|_| is_lost))
}

/// The registered model that a version is graded by.
enum Pinned {
    /// It is there, at its present revision.
    Present(Grader),
    Deleted,
}

/// Returns the registered model that `before` is graded by where its author named it as `name`; none where another was
/// named, or `name` is a provider's model.
fn pinned(tx: &mut Tx<'_>, name: &str, before: &Version) -> Result<Option<Pinned>> {
    let named = Scorer::of(&before.measurement)?.graded().and_then(|graded| graded.grader.clone());
    let registered = before.grader.as_ref().filter(|grader| grader.revision.is_some());
    let (Some(grader), true) = (registered, named.as_deref() == Some(name)) else { return Ok(None) };
    if is_of_provider(name) {
        return Ok(None);
    }
    match models::get(tx, &ModelId::from(grader.name.clone())) {
        Ok(model) => {
            let grader = Grader { name: grader.name.clone(), revision: Some(model.revision.key) };
            Ok(Some(Pinned::Present(grader)))
        }
        Err(Error::NotFound(_)) => Ok(Some(Pinned::Deleted)),
        Err(cause) => Err(cause),
    }
}

/// Returns the operator's choice. It names no member's model but by its id, or where an admin made it official.
pub(super) fn of_operator(tx: &mut Tx<'_>, config: &Config) -> Result<Option<Grader>> {
    let Some(name) = &config.grader_model else { return Ok(None) };
    let found = find(tx, name, None)?;
    if found.is_none() {
        tracing::warn!(
            grader = name,
            "EVALBOARD_GRADER_MODEL names no model of an admin's and no official one"
        );
    }
    Ok(found)
}

fn find(tx: &mut Tx<'_>, name: &str, owner: Option<UserKey>) -> Result<Option<Grader>> {
    if is_of_provider(name) {
        return Ok(Some(Grader { name: name.to_owned(), revision: None }));
    }
    let model = model_names::find(tx, name, owner)?;
    Ok(model.map(|model| Grader { name: model.id.into(), revision: Some(model.revision.key) }))
}

/// Whether a name is `provider/model`, which is never a registered model, whatever that is called.
fn is_of_provider(name: &str) -> bool {
    matches!(InferenceUri::parse(name), Ok(InferenceUri::Provider { .. }))
}
