//! Plans: what a run would do and take, without running it. Nothing is stored.

use super::lending::{self, Permitted};
use super::runs::{Planner, check, refuse_size};
use super::versions;
use crate::app::App;
use crate::domain::estimates::{Estimate, GraderPlan, Lengths, ModelPlan, Plan, Usage};
use crate::domain::evals::Eval;
use crate::domain::inference_uri::InferenceUri;
use crate::domain::models::Model;
use crate::domain::runs::Trigger;
use crate::domain::time::Millis;
use crate::domain::users::User;
use crate::engine::provider::Providers;
use crate::error::Result;
use crate::store::{Tx, board, estimates};

/// What `trigger` would run, refused for the same reasons.
///
/// # Errors
/// As [`super::runs::trigger`].
pub async fn plan(app: &App, user: User, trigger: Trigger) -> Result<Plan> {
    let settings = check(trigger.settings)?;
    let planner = Planner::new(app, user, Trigger { settings, ..trigger });
    let now = Millis::now();
    app.store.read(move |tx| planner.survey(tx, now)).await
}

impl Planner {
    fn survey(&self, tx: &mut Tx<'_>, now: Millis) -> Result<Plan> {
        let Permitted { models, evals, skipped } = self.permitted(tx, now)?;
        self.require_prices(tx, &models, evals.iter().map(|eval| &eval.version))?;
        self.require_means(tx, &models, evals.iter().map(|eval| &eval.version), now)?;
        let providers = self.engine.providers();
        let lines = models.iter().map(|model| blank(providers, model)).collect();
        let mut plan = Plan { cells: 0, models: lines, graders: Vec::new(), skipped };
        for eval in &evals {
            let is_current = versions::is_current(tx, &self.config, eval)?;
            let asked = Asked::read(tx, eval)?;
            let cells = plan.cells;
            for (model, line) in models.iter().zip(&mut plan.models) {
                let is_missing = !is_current || !board::holds(tx, model.revision.key, eval.version.key)?;
                if is_missing || !self.trigger.only_missing {
                    plan.cells += 1;
                    let cases = self.samples(&eval.version) * self.epochs(&eval.version);
                    line.estimate = line.estimate.and(asked.by(model, cases)?);
                    line.cases += cases;
                }
            }
            if plan.cells > cells {
                plan.graders.extend(self.graded_by(tx, eval)?);
            }
        }
        plan.models.retain(|line| line.cases > 0);
        refuse_size(plan.models.iter().map(|line| line.cases))?;
        Ok(plan)
    }

    fn graded_by(&self, tx: &mut Tx<'_>, eval: &Eval) -> Result<Option<GraderPlan>> {
        let grader = lending::grader_payer(tx, (&self.config, self.engine.providers()), eval)?;
        Ok(grader.map(|(grader, payer)| GraderPlan {
            eval: eval.id.clone(),
            eval_name: eval.card.name.clone(),
            grader,
            payer,
        }))
    }
}

fn blank(providers: &Providers, model: &Model) -> ModelPlan {
    let (id, name) = (model.id.clone(), model.card.name.clone());
    let payer = lending::payer(providers, &model.card.inference_uri, model.has_api_key, &model.submitted_by);
    ModelPlan { id, name, cases: 0, estimate: Estimate::NOTHING, payer }
}

/// What is known of an eval's cases.
struct Asked {
    /// What they took before; unknown where none was ever answered.
    usage: Usage,
    /// The same of baselines.
    words: Usage,
    /// Characters of the prompt that every question repeats.
    prompt: usize,
    lengths: Lengths,
}

impl Asked {
    fn read(tx: &mut Tx<'_>, eval: &Eval) -> Result<Self> {
        let version = &eval.version;
        // The one sample of an eval that was given none is the prompt itself.
        let prompt = if version.samples.is_implied { "" } else { &version.measurement.prompt };
        Ok(Self {
            usage: estimates::usage(tx, eval.key, false)?,
            words: estimates::usage(tx, eval.key, true)?,
            prompt: prompt.chars().count(),
            lengths: estimates::lengths(tx, version.samples.key)?,
        })
    }

    /// What so many cases would take of `model`.
    fn by(&self, model: &Model, cases: i64) -> Result<Estimate> {
        let card = &model.card;
        let is_baseline = matches!(InferenceUri::parse(&card.inference_uri)?, InferenceUri::Builtin(_));
        let known = if is_baseline { self.words } else { self.usage };
        let guessed = Usage::guessed(self.prompt, self.lengths, card.parameters.max_tokens);
        let usage = Usage { input: known.input.or(guessed.input), output: known.output.or(guessed.output) };
        Ok(Estimate::of(cases, usage, card.prices, is_baseline))
    }
}
