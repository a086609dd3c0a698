//! Scoring the answers of a run again: a new run that asks no model, at the evals' present versions.
//!
//! What can be scored again is decided here; the rest is a run like any other, and the engine's.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::app::App;
use crate::config::Config;
use crate::domain::evals::{Eval, Version, refuse_too_few};
use crate::domain::id::{EvalId, RunId, SampleSetKey};
use crate::domain::rescores::{Obstacle, Plan, Rescored, Skipped, summary};
use crate::domain::runs::{Cell, Run, Settings};
use crate::domain::sharing::Refusal;
use crate::domain::stats::Reducer;
use crate::domain::time::Millis;
use crate::domain::users::User;
use crate::engine::Engine;
use crate::engine::scorer::Scorer;
use crate::error::{Error, Result};
use crate::service::once::{Answer, Once};
use crate::service::retries::refuse_open_kin;
use crate::service::{budgets, caps, graders, ledger, lending, runs as commands, versions};
use crate::store::answers::{self, Answered};
use crate::store::{Tx, evals, runs};

/// What is to be scored again, and how.
#[derive(Debug, Clone, Default)]
pub struct Rescore {
    /// Only these evals.
    pub evals: Option<Vec<EvalId>>,
    /// A remark, at most 1,000 characters.
    pub notes: String,
    /// Whether complete cells may move the board; those of a run that was kept off it never do.
    pub on_board: Option<bool>,
    /// US dollars for grading, above 0, after which it stops.
    pub budget_usd: Option<f64>,
}

/// Stores a run that scores the answers of `id` again, and wakes the engine.
///
/// # Errors
/// `NotFound`; `Forbidden` for another person's run; `Conflict` when the run or one that shares its answers is
/// open, when nothing can be scored again, or when the daily cap is spent that the graders would count against; `Invalid` on `rescore`'s fields.
pub async fn rescore(
    app: &App,
    user: User,
    id: RunId,
    rescore: Rescore,
    once: Once,
    render: fn(&Rescored) -> Result<Answer>,
) -> Result<Answer> {
    let planner = Planner::new(app, user, rescore);
    let (fresh, now) = (RunId::fresh(), Millis::now());
    let (mut likenesses, planner) = {
        let id = id.clone();
        app.store.read(move |tx| Ok((planner.compare(tx, &id)?, planner))).await?
    };
    let answer = app
        .store
        .write(move |tx| {
            let run = runs::get(tx, &id)?;
            once.run(tx, now, |tx| planner.store(tx, &run, &fresh, &mut likenesses, now), render)
        })
        .await?;
    app.engine.wake();
    Ok(answer)
}

/// What [`rescore`] would do, refused for the same reasons. Nothing is stored.
///
/// # Errors
/// As [`rescore`].
pub async fn plan(app: &App, user: User, id: RunId, rescore: Rescore) -> Result<Plan> {
    let planner = Planner::new(app, user, rescore);
    let survey = move |tx: &mut Tx<'_>| {
        let run = runs::get(tx, &id)?;
        let survey = planner.survey(tx, &run, &mut Likenesses::default())?;
        let cases = survey.fit.iter().map(|fit| planner.samples(&run, fit) * fit.epochs(&run)).sum();
        Ok(Plan { cells: count(survey.fit.len()), cases, skipped: survey.skipped })
    };
    app.store.read(survey).await
}

/// Which sets of samples ask the same as which earlier ones. Sets never change: what was found in a read still
/// holds in the write behind it, which need not go through a million samples then.
#[derive(Default)]
struct Likenesses(HashMap<(SampleSetKey, SampleSetKey, bool), bool>);

impl Likenesses {
    fn covers(&mut self, tx: &mut Tx<'_>, asked: &Version, present: &Version) -> Result<bool> {
        let sets = (asked.samples.key, present.samples.key);
        if sets.0 == sets.1 {
            return Ok(true);
        }
        let shows_metadata = present.measurement.prompt.contains("{{metadata.");
        let key = (sets.0, sets.1, shows_metadata);
        if let Some(known) = self.0.get(&key) {
            return Ok(*known);
        }
        let covers = answers::covers(tx, sets.0, sets.1, shows_metadata)?;
        self.0.insert(key, covers);
        Ok(covers)
    }
}

/// A cell whose answers can be scored again, and what would score them now.
struct Fit {
    cell: Answered,
    eval: Eval,
}

impl Fit {
    /// How many answers of each sample count.
    fn epochs(&self, run: &Run) -> i64 {
        epochs(run, &self.eval.version)
    }
}

fn epochs(run: &Run, version: &Version) -> i64 {
    run.settings.epochs.unwrap_or(version.measurement.epochs).into()
}

#[derive(Default)]
struct Survey {
    fit: Vec<Fit>,
    skipped: Vec<Skipped>,
}

/// Turns a request into a plan.
struct Planner {
    config: Config,
    engine: Engine,
    user: User,
    rescore: Rescore,
}

impl Planner {
    fn new(app: &App, user: User, rescore: Rescore) -> Self {
        Self { config: app.config.clone(), engine: app.engine.clone(), user, rescore }
    }

    /// Goes through the samples of what may be scored again. It refuses nothing: that comes later.
    fn compare(&self, tx: &mut Tx<'_>, id: &RunId) -> Result<Likenesses> {
        let mut likenesses = Likenesses::default();
        let run = runs::get(tx, id)?;
        for cell in answers::cells(tx, run.key)?.iter().filter(|cell| self.is_meant(cell)) {
            // What it finds is remembered; what follows from it is found again behind all that may be refused.
            drop(self.judge(tx, &run, cell, &mut likenesses)?);
        }
        Ok(likenesses)
    }

    fn store(
        &self,
        tx: &mut Tx<'_>,
        run: &Run,
        id: &RunId,
        likenesses: &mut Likenesses,
        now: Millis,
    ) -> Result<Rescored> {
        let settings = self.settings(run)?;
        let Survey { fit, skipped } = self.survey(tx, run, likenesses)?;
        let (mut cells, mut pinned) = (Vec::new(), HashMap::new());
        for fit in &fit {
            let version = match pinned.get(&fit.eval.key) {
                Some(version) => version,
                None => {
                    let version = versions::pin(tx, &self.config, &self.user, &fit.eval, now)?;
                    pinned.entry(fit.eval.key).or_insert(version)
                }
            };
            cells.push(self.cell(tx, run, fit, version)?);
        }
        if settings.budget_usd.is_some() {
            budgets::require_prices(tx, &[], pinned.values())?;
        }
        let bills = caps::bills(tx, &self.config, self.engine.providers(), &[], pinned.values())?;
        caps::require(tx, &self.config, &self.user, &bills, now)?;
        let key = runs::insert(tx, id, self.user.key, &settings, &cells, now)?;
        if !bills.is_empty() {
            runs::mark_on_operator(tx, key)?;
        }
        answers::take_over(tx, key, run.key)?;
        for version in pinned.values() {
            if versions::lacks_grader(version)? {
                commands::note_missing_grader(tx, key)?;
            }
        }
        let cases = cells.iter().map(Cell::cases).sum();
        let plan = Plan { cells: count(cells.len()), cases, skipped };
        let rescored = runs::get(tx, id)?;
        ledger::rescored(tx, &self.user, &rescored, run, now)?;
        Ok(Rescored { run: rescored, plan })
    }

    fn cell(&self, tx: &mut Tx<'_>, run: &Run, fit: &Fit, version: &Version) -> Result<Cell> {
        Ok(Cell {
            model: fit.cell.model,
            revision: fit.cell.revision,
            price: fit.cell.price,
            eval: fit.cell.eval,
            version: version.key,
            endpoint: self.lane(tx, version)?,
            samples: self.samples(run, fit),
            epochs: fit.epochs(run),
        })
    }

    /// The queue of what is scored by the same scorer's help: whoever waits for a slow grader holds up nobody
    /// else. The calls themselves are counted where they go to.
    fn lane(&self, tx: &mut Tx<'_>, version: &Version) -> Result<String> {
        let asks = match version.grader.as_ref() {
            Some(grader) => match grader.revision {
                Some(revision) => self.engine.limiter_key(tx, revision)?,
                None => grader.name.clone(),
            },
            None => match Scorer::of(&version.measurement)?.webhook() {
                Some(webhook) => webhook.url.origin().ascii_serialization(),
                None => "here".to_owned(),
            },
        };
        Ok(format!("rescore {asks}"))
    }

    fn samples(&self, run: &Run, fit: &Fit) -> i64 {
        let all = fit.eval.version.samples.count;
        run.settings.max_samples.map_or(all, |most| all.min(most.into()))
    }

    /// Epochs and samples that are not the evals' own stay so, and keep the run off the board.
    fn settings(&self, run: &Run) -> Result<Settings> {
        let was_on_board = run.settings.on_board;
        if self.rescore.on_board == Some(true) && !was_on_board {
            let message = "on_board cannot be true: the run that is rescored was kept off the board";
            return Err(Error::invalid("on_board", message));
        }
        commands::check(Settings {
            notes: self.rescore.notes.clone(),
            on_board: self.rescore.on_board.unwrap_or(was_on_board),
            epochs: run.settings.epochs,
            max_samples: run.settings.max_samples,
            budget_usd: self.rescore.budget_usd,
            give_up_after_ms: run.settings.give_up_after_ms,
        })
    }

    /// Sorts the cells of a run that may be rescored.
    fn survey(&self, tx: &mut Tx<'_>, run: &Run, likenesses: &mut Likenesses) -> Result<Survey> {
        self.user.require_owner(run.owner, "run")?;
        if run.state.is_open() {
            let message = format!("the run is {}: rescore it once it is over", run.state.as_str());
            return Err(Error::Conflict { code: "run_open", message });
        }
        refuse_open_kin(tx, run)?;
        self.settings(run)?;
        let cells = answers::cells(tx, run.key)?;
        self.refuse_strangers(&cells)?;
        let mut survey = Survey::default();
        for cell in cells.into_iter().filter(|cell| self.is_meant(cell)) {
            match self.judge(tx, run, &cell, likenesses)? {
                Ok(eval) => match self.grader_refusal(tx, &eval)? {
                    None => survey.fit.push(Fit { cell, eval }),
                    Some(refusal) => {
                        survey.skipped.push(skipped(cell, Obstacle::GraderRefused(refusal)));
                    }
                },
                Err(why) => survey.skipped.push(skipped(cell, why)),
            }
        }
        if survey.fit.is_empty() {
            let why = summary(&survey.skipped);
            if let Some(refusal) = only_refusals(&survey.skipped) {
                return Err(lending::refused("nothing to rescore: its grader ", refusal));
            }
            let message = if why.is_empty() {
                "nothing to rescore: the run has no cells any more".to_owned()
            } else {
                format!("nothing to rescore: {why}")
            };
            return Err(Error::Conflict { code: "nothing_to_rescore", message });
        }
        Ok(survey)
    }

    /// Why the eval's grader may not be called on behalf of whoever rescores.
    fn grader_refusal(&self, tx: &mut Tx<'_>, eval: &Eval) -> Result<Option<Refusal>> {
        let scorer = Scorer::of(&eval.version.measurement)?;
        let grader = graders::present(tx, &self.config, &scorer, eval)?;
        lending::grader_refusal(tx, &self.user, grader.as_ref(), Millis::now())
    }

    fn is_meant(&self, cell: &Answered) -> bool {
        self.rescore.evals.as_ref().is_none_or(|evals| evals.contains(&cell.eval_id))
    }

    /// Refuses evals that the run has no cells of.
    fn refuse_strangers(&self, cells: &[Answered]) -> Result<()> {
        let Some(evals) = &self.rescore.evals else { return Ok(()) };
        if evals.is_empty() {
            let message = "eval_ids must name at least one: leave it out to rescore all";
            return Err(Error::invalid("eval_ids", message));
        }
        let stranger = evals.iter().position(|id| !cells.iter().any(|cell| cell.eval_id == *id));
        match stranger.and_then(|at| Some((at, evals.get(at)?))) {
            Some((at, id)) => {
                Err(Error::invalid(format!("eval_ids[{at}]"), format!("{id} is no eval of this run")))
            }
            None => Ok(()),
        }
    }

    /// The eval that scores a cell's answers now, or what stands against it.
    fn judge(
        &self,
        tx: &mut Tx<'_>,
        run: &Run,
        cell: &Answered,
        likenesses: &mut Likenesses,
    ) -> Result<Result<Eval, Obstacle>> {
        let plain = [
            (cell.eval_is_gone, Obstacle::EvalDeleted),
            (cell.model_is_gone, Obstacle::ModelDeleted),
            (cell.cases == 0, Obstacle::NothingStored),
            (cell.answers == 0, Obstacle::NoAnswer),
            (cell.removed > 0, Obstacle::AnswersRemoved { removed: cell.removed, cases: cell.cases }),
        ];
        if let Some((_, why)) = plain.into_iter().find(|(is_met, _)| *is_met) {
            return Ok(Err(why));
        }
        let (eval, asked) = (evals::get(tx, &cell.eval_id)?, evals::get_version(tx, cell.version)?);
        let obstacle = match changed(&asked, &eval.version)? {
            Some(why) => Some(why),
            None if !likenesses.covers(tx, &asked, &eval.version)? => Some(Obstacle::InputsChanged),
            None => too_few(run, cell, &eval.version)?,
        };
        Ok(obstacle.map_or(Ok(eval), Err))
    }
}

/// The first of the refusals where nothing else stands against any cell.
fn only_refusals(skipped: &[Skipped]) -> Option<&Refusal> {
    let refusals = skipped.iter().map(|skipped| match &skipped.why {
        Obstacle::GraderRefused(refusal) => Some(refusal),
        _ => None,
    });
    refusals.collect::<Option<Vec<_>>>()?.into_iter().next()
}

/// What of the question has changed, as far as the samples do not say.
fn changed(asked: &Version, present: &Version) -> Result<Option<Obstacle>> {
    let (before, now) = (Scorer::of(&asked.measurement)?, Scorer::of(&present.measurement)?);
    if asked.samples.is_implied != present.samples.is_implied || before.shuffle() != now.shuffle() {
        return Ok(Some(Obstacle::InputsChanged));
    }
    let is_same = template(asked, &before) == template(present, &now);
    Ok((!is_same).then_some(Obstacle::PromptChanged))
}

/// What is sent, but for the samples.
fn template<'v>(version: &'v Version, scorer: &Scorer) -> Cow<'v, str> {
    let prompt = &version.measurement.prompt;
    // The one sample of an eval that was given none is the prompt as it is written.
    if version.samples.is_implied { Cow::Borrowed(prompt) } else { scorer.complete_prompt(prompt) }
}

/// Whether more answers of each sample are needed than the cell has.
fn too_few(run: &Run, cell: &Answered, version: &Version) -> Result<Option<Obstacle>> {
    let (wanted, stored) = (epochs(run, version), cell.epochs);
    if wanted > stored {
        return Ok(Some(Obstacle::TooFewAnswers { needed: wanted, stored }));
    }
    // Epochs of the run's own may be too few for a reducer that was chosen later.
    let (Some(own), Some(reducer)) = (run.settings.epochs, Reducer::parse(&version.measurement.reducer))
    else {
        return Ok(None);
    };
    let needed = i64::try_from(reducer.fewest_epochs()).map_err(Error::internal)?;
    Ok(refuse_too_few(reducer, own).err().map(|_| Obstacle::TooFewAnswers { needed, stored }))
}

fn skipped(cell: Answered, why: Obstacle) -> Skipped {
    let Answered { model_id, model_name, eval_id, eval_name, .. } = cell;
    Skipped { model: model_id, model_name, eval: eval_id, eval_name, why }
}

fn count(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}
