//! Seeds: models, evals and training sets that the program brings along. They are kept as they are delivered;
//! models are measured once.
//!
//! What is on the board already is known by its owner and its exact name. Nobody else's things are touched.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use crate::app::App;
use crate::domain::evals::Eval;
use crate::domain::hex;
use crate::domain::id::{EvalId, ModelId, UserKey};
use crate::domain::models::{Card, Model};
use crate::domain::runs::{Settings, Trigger};
use crate::domain::samples::Sample;
use crate::domain::training_sets::{self as sets, FileType, TrainingSet};
use crate::domain::users::User;
use crate::error::Result;
use crate::service::evals::Draft;
use crate::service::files::{Incoming, Label};
use crate::service::once::{Answer, Once};
use crate::service::{evals, models, runs, training_sets};
use crate::store::{self, Tx, plans};

/// What is to be there.
#[derive(Debug, Clone)]
pub struct Seeds {
    /// Models, no two of the same name.
    pub models: Vec<SeededModel>,
    /// Evals with their samples, no two of the same name.
    pub evals: Vec<(Draft, Vec<Sample>)>,
    /// Training sets, no two of the same name.
    pub training_sets: Vec<SeededSet>,
}

/// A model with what it is measured on.
#[derive(Debug, Clone)]
pub struct SeededModel {
    /// What is said of it.
    pub card: Card,
    /// The names of the seeded evals that it is run on; all of them where none are named.
    pub evals: Option<BTreeSet<String>>,
}

/// A training set with its file.
#[derive(Debug, Clone)]
pub struct SeededSet {
    /// What is said of it.
    pub card: sets::Card,
    /// Its ending says how the file is written.
    pub file_name: &'static str,
    /// The whole file.
    pub file: &'static [u8],
}

/// Makes what `user` has not got yet, puts right what differs, and runs what was never run, with `notes` for
/// the run's remark.
///
/// # Errors
/// Those of making and changing models, evals and training sets, and of triggering a run.
pub async fn sow(app: &App, user: &User, seeds: Seeds, notes: &str) -> Result<()> {
    let mut names = Names::default();
    for SeededModel { card, evals } in seeds.models {
        names.models.push((card.name.clone(), evals));
        sow_model(app, user, card).await?;
    }
    for (draft, samples) in seeds.evals {
        names.evals.push(draft.card.name.clone());
        sow_eval(app, user, draft, samples).await?;
    }
    for set in seeds.training_sets {
        sow_training_set(app, user, set).await?;
    }
    measure(app, user, names, notes).await
}

async fn sow_model(app: &App, user: &User, card: Card) -> Result<()> {
    let card = card.check()?;
    let (owner, name) = (user.key, card.name.clone());
    let present = app.store.read(move |tx| store::models::find_own(tx, owner, &name)).await?;
    match present {
        None => {
            let once = Once::unasked(user.key);
            let render = |made: &models::Registered| Answer::ok(&made.model.id.as_str());
            models::create(app, user.clone(), card, (None, false), once, render).await?;
        }
        Some(present) if present.card != card => {
            let edit = move |present: &mut Card| present.clone_from(&card);
            models::update(app, user.clone(), present.id, edit, None, None).await?;
        }
        Some(_) => {}
    }
    Ok(())
}

async fn sow_eval(app: &App, user: &User, draft: Draft, samples: Vec<Sample>) -> Result<()> {
    let (owner, name) = (user.key, draft.card.name.clone());
    let present = app.store.read(move |tx| store::evals::find_own(tx, owner, &name)).await?;
    match present {
        None => {
            let once = Once::unasked(user.key);
            let render = |eval: &Eval| Answer::ok(&eval.id.as_str());
            evals::create(app, user.clone(), draft, Some(samples), once, render).await?;
        }
        Some(present) => {
            evals::replace(app, user.clone(), present.id, draft, samples).await?;
        }
    }
    Ok(())
}

async fn sow_training_set(app: &App, user: &User, set: SeededSet) -> Result<()> {
    let (owner, name) = (user.key, set.card.name.clone());
    let present = app.store.read(move |tx| store::training_sets::find_own(tx, owner, &name)).await?;
    match present {
        Some(present) if set.is(&present) => return Ok(()),
        // A training set cannot be changed: whoever has its address may count on its file.
        Some(present) => training_sets::delete(app, user.clone(), present.id).await?,
        None => {}
    }
    let label = Label::new(set.file_name, None, "file_name")?;
    let file_type = FileType::of(set.file_name, "file_name")?;
    let mut incoming = Incoming::begin(app, user.key, label).await?;
    incoming.take(set.file).await?;
    let file = (incoming.finish().await?, file_type);
    let render = |set: &TrainingSet| Answer::ok(&set.id.as_str());
    let once = Once::unasked(user.key);
    training_sets::create(app, user.clone(), set.card, file, once, render).await?;
    Ok(())
}

impl SeededSet {
    /// Whether it is there as it is delivered.
    fn is(&self, present: &TrainingSet) -> bool {
        let file = &present.file;
        let sha256 = hex::encode(&Sha256::digest(self.file));
        present.card == self.card && file.name == self.file_name && file.sha256() == Some(sha256.as_str())
    }
}

/// Triggers runs of the models on those of their evals that they were never run on as both are now, at the prices
/// that the models have now. Models that lack the same evals share a run, the largest of which comes last.
/// Cells that were run and are incomplete are left to whoever looks at them.
async fn measure(app: &App, user: &User, names: Names, notes: &str) -> Result<()> {
    let owner = user.key;
    let mut gaps = app.store.read(move |tx| names.never_run(tx, owner)).await?;
    gaps.sort_by_key(|gap| gap.models.len().saturating_mul(gap.evals.len()));
    for Gap { models, evals } in gaps {
        let settings = Settings {
            notes: notes.to_owned(),
            on_board: true,
            epochs: None,
            max_samples: None,
            budget_usd: None,
            give_up_after_ms: None,
        };
        let trigger = Trigger { models: Some(models), evals: Some(evals), only_missing: false, settings };
        let once = Once::unasked(user.key);
        runs::trigger(app, user.clone(), trigger, once, |run| Answer::ok(&run.id.as_str())).await?;
    }
    Ok(())
}

/// Models that were never run on the same evals.
struct Gap {
    models: Vec<ModelId>,
    evals: Vec<EvalId>,
}

/// What the seeds are called, and which evals each model is run on.
#[derive(Default)]
struct Names {
    models: Vec<(String, Option<BTreeSet<String>>)>,
    evals: Vec<String>,
}

impl Names {
    fn never_run(&self, tx: &mut Tx<'_>, owner: UserKey) -> Result<Vec<Gap>> {
        let evals = self.find_evals(tx, owner)?;
        let mut gaps: BTreeMap<Vec<EvalId>, Vec<ModelId>> = BTreeMap::new();
        for (name, wanted) in &self.models {
            let Some(model) = store::models::find_own(tx, owner, name)? else { continue };
            let wanted = |eval: &&Eval| wanted.as_ref().is_none_or(|names| names.contains(&eval.card.name));
            let lacks = lacking(tx, &model, evals.iter().filter(wanted))?;
            if !lacks.is_empty() {
                gaps.entry(lacks).or_default().push(model.id);
            }
        }
        Ok(gaps.into_iter().map(|(evals, models)| Gap { models, evals }).collect())
    }

    fn find_evals(&self, tx: &mut Tx<'_>, owner: UserKey) -> Result<Vec<Eval>> {
        let mut evals = Vec::new();
        for name in &self.evals {
            evals.extend(store::evals::find_own(tx, owner, name)?);
        }
        Ok(evals)
    }
}

/// Those of `evals` that `model` was never run on.
fn lacking<'e>(tx: &mut Tx<'_>, model: &Model, evals: impl Iterator<Item = &'e Eval>) -> Result<Vec<EvalId>> {
    let mut lacking = Vec::new();
    for eval in evals {
        let asked = (model.key, model.revision.key, model.card.prices);
        if !plans::was_planned(tx, asked, eval.version.key)? {
            lacking.push(eval.id.clone());
        }
    }
    Ok(lacking)
}
