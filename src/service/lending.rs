//! Lending: what somebody may run of the models that have API keys of their own, what of a run is left out for that,
//! and who pays. The rule itself is `domain/sharing.rs`; holding the caps while a run goes on is the engine's.

use std::collections::HashSet;

use super::runs::Planner;
use super::{caps, graders};
use crate::config::Config;
use crate::domain::evals::{Eval, Grader};
use crate::domain::id::{EvalKey, ModelKey, RevisionKey};
use crate::domain::models::Model;
use crate::domain::runs::Run;
use crate::domain::sharing::{LeftOut, Payer, Refusal, may_run};
use crate::domain::time::Millis;
use crate::domain::users::User;
use crate::engine::provider::Providers;
use crate::engine::scorer::Scorer;
use crate::error::{Error, Result};
use crate::store::lending::CalledModel;
use crate::store::{Tx, lending, models, users};

/// Returns why a person may not run a model now; none when they may.
pub(super) fn refusal(tx: &mut Tx<'_>, user: &User, model: ModelKey, now: Millis) -> Result<Option<Refusal>> {
    let (lender, borrowed) = (lending::lender(tx, model)?, lending::borrowed(tx, model, user.key, now)?);
    Ok(may_run((user.key, user.is_admin()), &lender, borrowed).err())
}

/// Refuses what a person may not run; `field` is where they named it.
///
/// # Errors
/// `Forbidden` when the model is not shared; `Conflict` when the cap of the day is reached.
pub(super) fn require(tx: &mut Tx<'_>, user: &User, model: ModelKey, field: &str, now: Millis) -> Result<()> {
    match refusal(tx, user, model, now)? {
        Some(refusal) => Err(refused(&format!("{field}: "), &refusal)),
        None => Ok(()),
    }
}

/// The error of a request that a refusal stands against, in its words behind `prefix`.
pub(super) fn refused(prefix: &str, refusal: &Refusal) -> Error {
    let message = format!("{prefix}{refusal}");
    match refusal {
        Refusal::NotShared { .. } => Error::Forbidden(message),
        Refusal::CapReached { .. } => Error::Conflict { code: refusal.code(), message },
    }
}

/// Returns why a person may not have a grader called; a `provider/model` is nobody's.
pub(super) fn grader_refusal(
    tx: &mut Tx<'_>,
    user: &User,
    grader: Option<&Grader>,
    now: Millis,
) -> Result<Option<Refusal>> {
    let Some(revision) = grader.and_then(|grader| grader.revision) else { return Ok(None) };
    let model = models::pinned(tx, revision)?.key;
    refusal(tx, user, model, now)
}

/// Refuses to save an eval with a grader that its author may not run.
///
/// # Errors
/// `Forbidden` naming the field.
pub(super) fn require_grader(tx: &mut Tx<'_>, user: &User, grader: &Grader, now: Millis) -> Result<()> {
    match grader_refusal(tx, user, Some(grader), now)? {
        Some(refusal @ Refusal::NotShared { .. }) => Err(refused("eval_criteria.grader: ", &refusal)),
        // Tomorrow there is more.
        Some(Refusal::CapReached { .. }) | None => Ok(()),
    }
}

/// What a run may ask, and what it leaves out.
pub(super) struct Permitted {
    pub(super) models: Vec<Model>,
    pub(super) evals: Vec<Eval>,
    pub(super) skipped: Vec<LeftOut>,
}

impl Planner {
    /// Leaves out what whoever starts the run may not run: of everything that is active with a note, of what they named
    /// with a refusal.
    pub(super) fn permitted(&self, tx: &mut Tx<'_>, now: Millis) -> Result<Permitted> {
        let mut permitted = Permitted { models: Vec::new(), evals: Vec::new(), skipped: Vec::new() };
        let mut first = None;
        for model in self.models(tx)? {
            match refusal(tx, &self.user, model.key, now)? {
                None => permitted.models.push(model),
                Some(refusal) => {
                    if let Some(at) = place(self.trigger.models.as_ref(), &model.id) {
                        return Err(refused(&format!("model_ids[{at}]: "), &refusal));
                    }
                    permitted.skipped.push(left_out("model", model.id.into(), model.card.name, &refusal));
                    first.get_or_insert(refusal);
                }
            }
        }
        for eval in self.evals(tx)? {
            let grader = graders::present(tx, &self.config, &Scorer::of(&eval.version.measurement)?, &eval)?;
            let is_named = place(self.trigger.evals.as_ref(), &eval.id).is_some();
            if !is_named && let Some(reason) = self.unpaid_grader(tx, grader.as_ref(), now)? {
                let (id, name, code) = (eval.id.into(), eval.card.name, "not_paid".to_owned());
                permitted.skipped.push(LeftOut { noun: "eval", id, name, code, reason });
                continue;
            }
            match grader_refusal(tx, &self.user, grader.as_ref(), now)? {
                None => permitted.evals.push(eval),
                Some(refusal) => {
                    if let Some(at) = place(self.trigger.evals.as_ref(), &eval.id) {
                        return Err(refused(&format!("eval_ids[{at}]: its grader "), &refusal));
                    }
                    permitted.skipped.push(left_out("eval", eval.id.into(), eval.card.name, &refusal));
                    first.get_or_insert(refusal);
                }
            }
        }
        match first {
            Some(refusal) if permitted.models.is_empty() || permitted.evals.is_empty() => {
                Err(refused("nothing to run: ", &refusal))
            }
            _ if permitted.evals.is_empty() => {
                let why = permitted.skipped.pop().map_or_else(String::new, |last| last.reason);
                Err(Error::Forbidden(why))
            }
            _ => Ok(permitted),
        }
    }

    fn unpaid_grader(&self, tx: &mut Tx<'_>, grader: Option<&Grader>, now: Millis) -> Result<Option<String>> {
        caps::grader_refusal(tx, (&self.config, self.engine.providers()), &self.user, grader, now)
    }
}

/// Returns where in a list an id was named; none when there is no list.
fn place<I: PartialEq>(named: Option<&Vec<I>>, id: &I) -> Option<usize> {
    named?.iter().position(|each| each == id)
}

fn left_out(noun: &'static str, id: String, name: String, refusal: &Refusal) -> LeftOut {
    let grader = if noun == "eval" { "its grader " } else { "" };
    LeftOut { noun, id, name, code: refusal.code().to_owned(), reason: format!("{grader}{refusal}") }
}

/// Refuses to open a run again of which nothing could be asked. What else its owner may not run ends again with a code,
/// without a call.
///
/// # Errors
/// `Forbidden` when what it asks is not shared; `Conflict` when the cap of the day is reached.
pub(super) fn require_some(
    tx: &mut Tx<'_>,
    run: &Run,
    asked: &HashSet<(ModelKey, EvalKey)>,
    now: Millis,
) -> Result<()> {
    let (owner, _) = users::get(tx, run.owner)?;
    let mut first = None;
    for cell in lending::called_cells(tx, run.key)? {
        if !asked.contains(&(cell.model, cell.eval)) {
            continue;
        }
        match cell_refusal(tx, &owner, (cell.model, cell.grader), run, now)? {
            None => return Ok(()),
            Some(refusal) => first = first.or(Some(refusal)),
        }
    }
    first.map_or(Ok(()), |refusal| Err(refused("nothing of the run can be asked by its owner: ", &refusal)))
}

fn cell_refusal(
    tx: &mut Tx<'_>,
    owner: &User,
    (model, grader): (ModelKey, Option<RevisionKey>),
    run: &Run,
    now: Millis,
) -> Result<Option<Refusal>> {
    // A run that scores answers again calls no model.
    if run.rescores.is_none()
        && let Some(refusal) = refusal(tx, owner, model, now)?
    {
        return Ok(Some(refusal));
    }
    let Some(revision) = grader else { return Ok(None) };
    let grader = models::pinned(tx, revision)?.key;
    refusal(tx, owner, grader, now)
}

/// Returns who pays for calls of a model.
#[must_use]
pub fn payer(providers: &Providers, inference_uri: &str, has_api_key: bool, owner: &str) -> Payer {
    if has_api_key {
        Payer::Owner(owner.to_owned())
    } else if providers.is_paid_by_operator(inference_uri, false) {
        Payer::Operator
    } else {
        Payer::Nobody
    }
}

/// Who grades an eval, and who pays for that.
pub(super) fn grader_payer(
    tx: &mut Tx<'_>,
    (config, providers): (&Config, &Providers),
    eval: &Eval,
) -> Result<Option<(String, Payer)>> {
    let scorer = Scorer::of(&eval.version.measurement)?;
    let Some(grader) = graders::present(tx, config, &scorer, eval)? else { return Ok(None) };
    let Some(revision) = grader.revision else {
        let payer = payer(providers, &grader.name, false, "");
        return Ok(Some((grader.name, payer)));
    };
    let pinned = models::pinned(tx, revision)?;
    let owner = models::submitter(tx, pinned.key)?;
    let has_api_key = lending::lender(tx, pinned.key)?.has_api_key;
    Ok(Some((pinned.name, payer(providers, &pinned.inference_uri, has_api_key, &owner))))
}

/// A model or grader of a run, and who pays for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paid {
    /// The model's name.
    pub name: String,
    /// Whether it grades.
    pub is_grader: bool,
    /// Who pays.
    pub payer: Payer,
}

/// Returns who pays for what a run calls, as keys are now: models first, then graders.
///
/// # Errors
/// The database's.
pub fn paid(tx: &mut Tx<'_>, providers: &Providers, run: &Run) -> Result<Vec<Paid>> {
    let (asked, grading) = lending::called_models(tx, run.key)?;
    let asked = if run.rescores.is_some() { Vec::new() } else { asked };
    let of = |model: CalledModel, is_grader| Paid {
        payer: payer(providers, &model.inference_uri, model.has_api_key, &model.submitted_by),
        name: model.name,
        is_grader,
    };
    let mut paid: Vec<Paid> = asked.into_iter().map(|model| of(model, false)).collect();
    paid.extend(grading.into_iter().map(|model| of(model, true)));
    for name in lending::called_providers(tx, run.key)? {
        let payer = payer(providers, &name, false, "");
        paid.push(Paid { name, is_grader: true, payer });
    }
    Ok(paid)
}
