//! Replacing an eval's samples by a stream of any length: chunk by chunk into a set that counts for nothing
//! until it is whole.

use crate::app::App;
use crate::config::Config;
use crate::domain::evals::{Eval, MOST_SAMPLES, SampleHash};
use crate::domain::id::{EvalId, SampleSetKey};
use crate::domain::samples::Sample;
use crate::domain::time::Millis;
use crate::domain::users::User;
use crate::engine::scorer::Scorer;
use crate::error::{Error, Result};
use crate::service::{ledger, versions};
use crate::store::{Store, board, evals, samples};

/// Samples that one transaction stores.
const CHUNK: usize = 500;

/// Samples on their way into an eval. Finish it or abandon it: what is left of one that was dropped is never
/// shown, and takes space.
pub struct Replacement {
    store: Store,
    config: Config,
    user: User,
    eval: Eval,
    scorer: Scorer,
    set: SampleSetKey,
    hash: SampleHash,
    waiting: Vec<Sample>,
    stored: usize,
}

impl Replacement {
    /// Begins to replace the samples of an eval.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`.
    pub async fn begin(app: &App, user: User, id: EvalId) -> Result<Self> {
        let (now, by) = (Millis::now(), user.clone());
        let (eval, set) = app
            .store
            .write(move |tx| {
                let eval = evals::get(tx, &id)?;
                user.require_owner(eval.owner, "eval")?;
                let set = samples::begin(tx, eval.key, false, now)?;
                Ok((eval, set))
            })
            .await?;
        Ok(Self {
            scorer: Scorer::of(&eval.version.measurement)?,
            store: app.store.clone(),
            config: app.config.clone(),
            user: by,
            eval,
            set,
            hash: SampleHash::default(),
            waiting: Vec::with_capacity(CHUNK),
            stored: 0,
        })
    }

    /// The eval as it was when this began.
    #[must_use]
    pub const fn eval(&self) -> &Eval {
        &self.eval
    }

    /// How many samples came so far: the position of the next one.
    #[must_use]
    pub fn count(&self) -> usize {
        self.stored + self.waiting.len()
    }

    /// Takes the next sample.
    ///
    /// # Errors
    /// `Invalid` naming its place; `TooLarge` when there are too many.
    pub async fn add(&mut self, sample: Sample) -> Result<()> {
        let field = format!("samples[{}]", self.count());
        versions::check_sample(&sample, &self.scorer, &self.eval.version.measurement, &field)?;
        if self.count() >= MOST_SAMPLES {
            return Err(Error::TooLarge(format!("an eval holds at most {MOST_SAMPLES} samples")));
        }
        self.hash.add(&sample)?;
        self.waiting.push(sample);
        if self.waiting.len() == CHUNK { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<()> {
        let samples = std::mem::take(&mut self.waiting);
        let (set, position) = (self.set, i64::try_from(self.stored).unwrap_or(i64::MAX));
        self.stored += samples.len();
        self.store.write(move |tx| samples::add(tx, set, position, &samples)).await
    }

    /// Makes the samples the eval's own: a new version, unless they are what it had.
    ///
    /// # Errors
    /// `Invalid` when no sample came; `NotFound` when the eval was deleted meanwhile.
    pub async fn finish(mut self) -> Result<Eval> {
        self.flush().await?;
        if self.stored == 0 {
            let message =
                "the body holds no sample: send one JSON object per line, a JSON array, or a table with rows";
            return Err(Error::invalid("samples", message));
        }
        let (set, config, id) = (self.set, self.config.clone(), self.eval.id.clone());
        let user = self.user.clone();
        let count = i64::try_from(self.stored).unwrap_or(i64::MAX);
        let hash = std::mem::take(&mut self.hash).finish();
        let now = Millis::now();
        let (eval, is_used) = self
            .store
            .write(move |tx| {
                let eval = evals::get(tx, &id)?;
                samples::finish(tx, set, &hash, count)?;
                let samples = versions::Samples { set, hash: &hash };
                let subject = versions::Subject::of(&eval, &user);
                versions::mint(tx, &config, subject, &eval.version.measurement, samples, now)?;
                board::settle_suite(tx, now)?;
                let refilled = evals::get(tx, &id)?;
                ledger::corrected(tx, &user, (&eval, &refilled), "", now)?;
                let is_used = refilled.version.samples.key == set;
                Ok((refilled, is_used))
            })
            .await?;
        if !is_used {
            self.abandon().await?;
        }
        Ok(eval)
    }

    /// Throws away what was stored.
    ///
    /// # Errors
    /// The store's.
    pub async fn abandon(self) -> Result<()> {
        let set = self.set;
        while !self.store.write(move |tx| samples::discard(tx, set, 2_000)).await? {}
        Ok(())
    }
}
