//! What makes a version of an eval: its scorer, its grader and its samples, fixed together.

use crate::config::Config;
use crate::domain::evals::{Eval, Grader, Measurement, SampleHash, SampleSet, Version, version_hash};
use crate::domain::id::{EvalKey, SampleSetKey, UserKey, VersionKey};
use crate::domain::samples::Sample;
use crate::domain::template;
use crate::domain::time::Millis;
use crate::domain::users::User;
use crate::engine::scorer::Scorer;
use crate::error::{Error, Result};
use crate::service::{graders, ledger, lending};
use crate::store::evals::{self, NewVersion};
use crate::store::{Tx, samples};

/// Samples of a set, and what names them.
pub(super) struct Samples<'a> {
    pub(super) set: SampleSetKey,
    pub(super) hash: &'a str,
}

impl<'a> From<&'a SampleSet> for Samples<'a> {
    fn from(set: &'a SampleSet) -> Self {
        Self { set: set.key, hash: &set.hash }
    }
}

/// An eval that gets a version, and whose it is.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) key: EvalKey,
    pub(super) owner: UserKey,
    /// Its version until now; none for a new eval.
    pub(super) before: Option<&'a Version>,
    /// Whoever saves it.
    pub(super) user: &'a User,
}

impl<'a> Subject<'a> {
    pub(super) const fn of(eval: &'a Eval, user: &'a User) -> Self {
        Self { key: eval.key, owner: eval.owner, before: Some(&eval.version), user }
    }
}

/// Makes `measurement` over `samples` the present version of an eval, with the grader that it names now.
pub(super) fn mint(
    tx: &mut Tx<'_>,
    config: &Config,
    subject: Subject<'_>,
    measurement: &Measurement,
    samples: Samples<'_>,
    now: Millis,
) -> Result<VersionKey> {
    let scorer = Scorer::of(measurement)?;
    let grader = graders::resolve(tx, config, &scorer, (subject.owner, subject.before))?;
    let was = subject.before.and_then(|before| before.grader.as_ref()).map(|grader| &grader.name);
    let names_one = scorer.graded().is_some_and(|graded| graded.grader.is_some());
    if let Some(grader) = grader.as_ref().filter(|grader| names_one && was != Some(&grader.name)) {
        lending::require_grader(tx, subject.user, grader, now)?;
    }
    store(tx, subject.key, (measurement, &scorer), grader, samples, now)
}

fn store(
    tx: &mut Tx<'_>,
    eval: EvalKey,
    (measurement, scorer): (&Measurement, &Scorer),
    grader: Option<Grader>,
    samples: Samples<'_>,
    now: Millis,
) -> Result<VersionKey> {
    let identity = (scorer.name(), scorer.version(), &scorer.canonical());
    let hash = version_hash(measurement, identity, grader.as_ref(), samples.hash);
    let new = NewVersion {
        hash: &hash,
        measurement,
        scorer: scorer.name(),
        scorer_version: scorer.version(),
        grader: grader.as_ref(),
        samples: samples.set,
    };
    evals::set_version(tx, eval, &new, now)
}

/// The version that a run of `user`'s pins: the present one, or a new one when the grader has changed since, or the
/// scorer with an update of the program; the ledger records it. A grader that cannot be found any more stays what it
/// was: its cases will say so, and the others go on.
pub(super) fn pin(
    tx: &mut Tx<'_>,
    config: &Config,
    user: &User,
    eval: &Eval,
    now: Millis,
) -> Result<Version> {
    let version = &eval.version;
    let scorer = Scorer::of(&version.measurement)?;
    let grader = graders::present(tx, config, &scorer, eval)?;
    if is_of_now(version, &scorer, &grader) {
        return Ok(version.clone());
    }
    store(tx, eval.key, (&version.measurement, &scorer), grader, (&version.samples).into(), now)?;
    let renewed = evals::get(tx, &eval.id)?;
    ledger::renewed(tx, user, (eval, &renewed), now)?;
    Ok(renewed.version)
}

/// Whether the present version is what a run would pin: its scorer has not changed, and its grader is still the right
/// one, or cannot be found.
pub(super) fn is_current(tx: &mut Tx<'_>, config: &Config, eval: &Eval) -> Result<bool> {
    let scorer = Scorer::of(&eval.version.measurement)?;
    let grader = graders::present(tx, config, &scorer, eval)?;
    Ok(is_of_now(&eval.version, &scorer, &grader))
}

fn is_of_now(version: &Version, scorer: &Scorer, grader: &Option<Grader>) -> bool {
    version.scorer_version == i64::from(scorer.version()) && version.grader == *grader
}

/// Whether a version needs a grader and knows none: its cases stay unscored.
pub(super) fn lacks_grader(version: &Version) -> Result<bool> {
    Ok(version.grader.is_none() && Scorer::of(&version.measurement)?.graded().is_some())
}

/// Refuses a sample that cannot be asked or scored; `field` is its path, such as `samples[3]`.
pub(super) fn check_sample(
    sample: &Sample,
    scorer: &Scorer,
    measurement: &Measurement,
    field: &str,
) -> Result<()> {
    crate::domain::evals::check_sample(sample, field)?;
    scorer.check_sample(sample, field)?;
    template::check_length(&scorer.complete_prompt(&measurement.prompt), sample, field)
}

/// Stores samples as a new set, all of them in this transaction.
pub(super) fn store_samples(
    tx: &mut Tx<'_>,
    eval: EvalKey,
    samples: &[Sample],
    is_implied: bool,
    now: Millis,
) -> Result<(SampleSetKey, String)> {
    let set = samples::begin(tx, eval, is_implied, now)?;
    samples::add(tx, set, 0, samples)?;
    let hash = SampleHash::of(samples)?;
    let count = i64::try_from(samples.len()).unwrap_or(i64::MAX);
    samples::finish(tx, set, &hash, count)?;
    Ok((set, hash))
}

/// The one sample of an eval that was given none, if the scorer can score it.
pub(super) fn implied_sample(measurement: &Measurement, scorer: &Scorer) -> Result<Sample> {
    let sample = measurement.only_sample();
    scorer.check_sample(&sample, "").map_err(|cause| match cause {
        Error::Invalid { message, .. } => {
            let hint = "without samples the eval is one question whose target is expected_behavior";
            Error::invalid("expected_behavior", format!("{hint}: {message}"))
        }
        other => other,
    })?;
    Ok(sample)
}
