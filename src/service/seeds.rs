//! Seeds: models, evals and training sets that the program brings along. They are kept as they are delivered;
//! models are measured once.
//!
//! What is on the board already is known by its owner and its exact name. Nobody else's things are touched.

use sha2::{Digest, Sha256};

use crate::app::App;
use crate::domain::evals::Eval;
use crate::domain::hex;
use crate::domain::id::{EvalId, ModelId, UserKey};
use crate::domain::models::{Card, Model};
use crate::domain::runs::{Settings, Trigger};
use crate::domain::samples::Sample;
use crate::domain::training_sets::{self as sets, FileType, TrainingSet, Watcher};
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
    pub models: Vec<Card>,
    /// Evals with their samples, no two of the same name.
    pub evals: Vec<(Draft, Vec<Sample>)>,
    /// Training sets, no two of the same name.
    pub training_sets: Vec<SeededSet>,
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
    for card in seeds.models {
        names.models.push(card.name.clone());
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
            models::update(app, user.clone(), present.id, move |present| present.clone_from(&card), None)
                .await?;
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
    let mut incoming = Incoming::begin(app, label, Some(Watcher::new(file_type))).await?;
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

/// Triggers a run of the models and evals that were never run on each other as they are now, if there are any.
/// Cells that were run and are incomplete are left to whoever looks at them.
async fn measure(app: &App, user: &User, names: Names, notes: &str) -> Result<()> {
    let owner = user.key;
    let (models, evals) = app.store.read(move |tx| names.never_run(tx, owner)).await?;
    if models.is_empty() {
        return Ok(());
    }
    let settings = Settings {
        notes: notes.to_owned(),
        on_board: true,
        epochs: None,
        max_samples: None,
        budget_usd: None,
    };
    let trigger = Trigger { models: Some(models), evals: Some(evals), only_missing: true, settings };
    let once = Once::unasked(user.key);
    runs::trigger(app, user.clone(), trigger, once, |run| Answer::ok(&run.id.as_str())).await?;
    Ok(())
}

/// What the seeds are called.
#[derive(Default)]
struct Names {
    models: Vec<String>,
    evals: Vec<String>,
}

impl Names {
    /// The models that some eval was never run on, and those evals; each as often as that is so.
    fn never_run(&self, tx: &mut Tx<'_>, owner: UserKey) -> Result<(Vec<ModelId>, Vec<EvalId>)> {
        let (models, evals) = self.find(tx, owner)?;
        let mut never_run = (Vec::new(), Vec::new());
        for model in &models {
            for eval in &evals {
                if !plans::was_planned(tx, model.key, model.revision.key, eval.version.key)? {
                    never_run.0.push(model.id.clone());
                    never_run.1.push(eval.id.clone());
                }
            }
        }
        Ok(never_run)
    }

    fn find(&self, tx: &mut Tx<'_>, owner: UserKey) -> Result<(Vec<Model>, Vec<Eval>)> {
        let mut models = Vec::new();
        for name in &self.models {
            models.extend(store::models::find_own(tx, owner, name)?);
        }
        let mut evals = Vec::new();
        for name in &self.evals {
            evals.extend(store::evals::find_own(tx, owner, name)?);
        }
        Ok((models, evals))
    }
}
