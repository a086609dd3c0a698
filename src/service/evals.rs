//! Making, changing and deleting evals. Uploading samples has a file of its own.

use secrecy::SecretString;

use crate::app::App;
use crate::domain::evals::{Card, Eval, Measurement, SampleHash};
use crate::domain::id::EvalId;
use crate::domain::samples::Sample;
use crate::domain::template;
use crate::domain::time::Millis;
use crate::domain::users::User;
use crate::engine::record;
use crate::engine::scorer::Scorer;
use crate::error::{Error, Result};
use crate::service::once::{Answer, Once};
use crate::service::{ledger, versions, webhooks};
use crate::store::{Tx, board, evals, plans, samples, webhook_secrets};

/// All that an edit may change.
#[derive(Debug, Clone)]
pub struct Draft {
    /// How the eval is presented.
    pub card: Card,
    /// What decides a score; a change of it makes a new version.
    pub measurement: Measurement,
}

/// Makes an eval, with `samples` of its own or with the one that its prompt implies.
///
/// # Errors
/// `Invalid` naming the field.
pub async fn create(
    app: &App,
    user: User,
    draft: Draft,
    samples: Option<Vec<Sample>>,
    once: Once,
    render: fn(&Eval) -> Result<Answer>,
) -> Result<Answer> {
    let Checked { card, measurement, scorer, secret } = check(draft)?;
    template::check_names(&measurement.prompt)?;
    let id = EvalId::fresh();
    let webhook = webhooks::admit(app, &id, &scorer, secret, None).await?;
    let is_implied = samples.is_none();
    let samples = match samples {
        Some(samples) => checked(samples, &scorer, &measurement)?,
        None => vec![versions::implied_sample(&measurement, &scorer)?],
    };
    let (now, config) = (Millis::now(), app.config.clone());
    let insert = move |tx: &mut Tx<'_>| {
        let key = evals::insert(tx, &id, user.key, &card, now)?;
        webhook.store(tx, key, now)?;
        let (set, hash) = versions::store_samples(tx, key, &samples, is_implied, now)?;
        let subject = versions::Subject { key, owner: user.key, before: None, user: &user };
        versions::mint(tx, &config, subject, &measurement, versions::Samples { set, hash: &hash }, now)?;
        let eval = evals::get(tx, &id)?;
        ledger::inserted(tx, &user, &eval, now)?;
        Ok(eval)
    };
    app.store.write(move |tx| once.run(tx, now, &insert, render)).await
}

/// Changes an eval; what decides its scores makes a new version, and old results keep theirs. `reason` goes into the
/// ledger.
///
/// # Errors
/// `NotFound`, `Forbidden`, `Invalid`.
pub async fn update(
    app: &App,
    user: User,
    id: EvalId,
    edit: impl Fn(&mut Draft) + Send + Sync + 'static,
    reason: Option<String>,
) -> Result<Eval> {
    let reason = ledger::reason(reason.as_deref())?;
    let (before, stored) = with_secret(app, &id).await?;
    user.require_owner(before.owner, "eval")?;
    let Checked { measurement, scorer, secret, .. } = edited(&before, &edit)?;
    let asks_the_same = measurement == before.version.measurement && secret.is_none();
    let webhook = if asks_the_same && scorer.webhook().is_some() {
        webhooks::Change::Keep
    } else {
        webhooks::admit(app, &id, &scorer, secret, stored.as_deref()).await?
    };
    let (now, config) = (Millis::now(), app.config.clone());
    app.store
        .write(move |tx| {
            let eval = evals::get(tx, &id)?;
            user.require_owner(eval.owner, "eval")?;
            let Checked { card, measurement, .. } = edited(&eval, &edit)?;
            evals::update_card(tx, eval.key, &card, now)?;
            turn(tx, &eval, &card)?;
            webhook.store(tx, eval.key, now)?;
            if measurement != eval.version.measurement {
                let subject = versions::Subject::of(&eval, &user);
                revise(tx, &config, (&eval, subject), &measurement, now)?;
            }
            board::settle_suite(tx, now)?;
            let edited = evals::get(tx, &id)?;
            ledger::corrected(tx, &user, (&eval, &edited), &reason, now)?;
            Ok(edited)
        })
        .await
}

/// Makes an eval what `draft` and `samples` say, all of it at once. What is the same already stays as it is.
///
/// # Errors
/// `NotFound`, `Forbidden`, `Invalid`.
pub async fn replace(app: &App, user: User, id: EvalId, draft: Draft, samples: Vec<Sample>) -> Result<Eval> {
    let Checked { card, measurement, scorer, secret } = check(draft)?;
    let webhook = webhooks::admit(app, &id, &scorer, secret, None).await?;
    let samples = checked(samples, &scorer, &measurement)?;
    let hash = SampleHash::of(&samples)?;
    let (now, config) = (Millis::now(), app.config.clone());
    let replace = move |tx: &mut Tx<'_>| {
        let eval = evals::get(tx, &id)?;
        user.require_owner(eval.owner, "eval")?;
        let present = &eval.version;
        let has_samples = present.samples.hash == hash && !present.samples.is_implied;
        if has_samples && present.measurement == measurement && eval.card == card {
            return Ok(eval);
        }
        evals::update_card(tx, eval.key, &card, now)?;
        turn(tx, &eval, &card)?;
        webhook.store(tx, eval.key, now)?;
        let set = if has_samples {
            present.samples.key
        } else {
            versions::store_samples(tx, eval.key, &samples, false, now)?.0
        };
        let subject = versions::Subject::of(&eval, &user);
        versions::mint(tx, &config, subject, &measurement, versions::Samples { set, hash: &hash }, now)?;
        board::settle_suite(tx, now)?;
        let replaced = evals::get(tx, &id)?;
        ledger::corrected(tx, &user, (&eval, &replaced), "", now)?;
        Ok(replaced)
    };
    app.store.write(replace).await
}

/// Brings the results of an eval to their scores anew where `card` changes which way these are better.
fn turn(tx: &mut Tx<'_>, eval: &Eval, card: &Card) -> Result<()> {
    if card.higher_is_better == eval.card.higher_is_better {
        return Ok(());
    }
    record::revise_eval(tx, eval.key)
}

/// A draft that may be stored.
struct Checked {
    card: Card,
    measurement: Measurement,
    scorer: Scorer,
    /// What came along for a webhook; it is no part of the measurement any more.
    secret: Option<SecretString>,
}

fn check(draft: Draft) -> Result<Checked> {
    let (card, mut measurement) = (draft.card.check()?, draft.measurement.check()?);
    let scorer = Scorer::of(&measurement)?;
    agree_on_threshold(&scorer, &measurement)?;
    let secret = webhooks::take_secret(&mut measurement, &scorer)?;
    Ok(Checked { card, measurement, scorer, secret })
}

fn edited(eval: &Eval, edit: &impl Fn(&mut Draft)) -> Result<Checked> {
    let before = &eval.version.measurement;
    let mut draft = Draft { card: eval.card.clone(), measurement: before.clone() };
    edit(&mut draft);
    follow_threshold(before, &mut draft.measurement)?;
    // A prompt that was stored before names were checked is left alone.
    if draft.measurement.prompt != before.prompt {
        template::check_names(&draft.measurement.prompt)?;
    }
    // A weight from before there was a least one stays until somebody gives another.
    let kept = (draft.card.weight == eval.card.weight).then_some(eval.card.weight);
    if kept.is_some() {
        draft.card.weight = 1.0;
    }
    let mut checked = check(draft)?;
    checked.card.weight = kept.unwrap_or(checked.card.weight);
    Ok(checked)
}

/// An eval, and where the secret of its webhook is bound to.
async fn with_secret(app: &App, id: &EvalId) -> Result<(Eval, Option<String>)> {
    let id = id.clone();
    let read = move |tx: &mut Tx<'_>| {
        let eval = evals::get(tx, &id)?;
        let stored = webhook_secrets::get(tx, eval.key)?;
        Ok((eval, stored.map(|stored| stored.origin)))
    };
    app.store.read(read).await
}

/// Sets what counts as passed to what edited criteria say, unless the edit itself says something else.
fn follow_threshold(before: &Measurement, edited: &mut Measurement) -> Result<()> {
    let scorer = Scorer::of(edited)?;
    if let Some(threshold) = scorer.threshold().filter(|_| edited.pass_threshold == before.pass_threshold) {
        edited.pass_threshold = threshold;
    }
    Ok(())
}

/// Refuses two different answers to what counts as passed.
fn agree_on_threshold(scorer: &Scorer, measurement: &Measurement) -> Result<()> {
    match scorer.threshold() {
        Some(threshold) if threshold != measurement.pass_threshold => Err(Error::invalid(
            "pass_threshold",
            format!("pass_threshold must be left out beside eval_criteria.threshold, which is {threshold}"),
        )),
        _ => Ok(()),
    }
}

/// Gives an eval a version of another measurement, over its samples as they are.
fn revise(
    tx: &mut Tx<'_>,
    config: &crate::config::Config,
    (eval, subject): (&Eval, versions::Subject<'_>),
    measurement: &Measurement,
    now: Millis,
) -> Result<()> {
    let scorer = Scorer::of(measurement)?;
    if eval.version.samples.is_implied {
        let sample = versions::implied_sample(measurement, &scorer)?;
        let (set, hash) = versions::store_samples(tx, eval.key, &[sample], true, now)?;
        versions::mint(tx, config, subject, measurement, versions::Samples { set, hash: &hash }, now)?;
    } else {
        samples::each(tx, eval.version.samples.key, |position, sample| {
            versions::check_sample(&sample, &scorer, measurement, &format!("samples[{position}]"))
        })?;
        versions::mint(tx, config, subject, measurement, (&eval.version.samples).into(), now)?;
    }
    Ok(())
}

/// Deletes an eval with its results; the runs it was part of are counted again. All of it is hidden at once
/// and purged in small steps. `reason` goes into the ledger.
///
/// # Errors
/// `NotFound`, `Forbidden`.
pub async fn delete(app: &App, user: User, id: EvalId, reason: Option<String>) -> Result<()> {
    let (now, reason) = (Millis::now(), ledger::reason(reason.as_deref())?);
    app.store
        .write(move |tx| {
            let eval = evals::get(tx, &id)?;
            user.require_owner(eval.owner, "eval")?;
            evals::delete(tx, eval.key, now)?;
            ledger::withdrawn(tx, &user, &eval, &reason, now)?;
            webhook_secrets::remove(tx, eval.key)?;
            for run in plans::with_eval(tx, eval.key)? {
                plans::forget_eval(tx, run, eval.key, now)?;
            }
            board::settle_suite(tx, now)
        })
        .await?;
    app.engine.tidy();
    Ok(())
}

/// Refuses samples that cannot be asked or scored, naming the first one's place.
fn checked(samples: Vec<Sample>, scorer: &Scorer, measurement: &Measurement) -> Result<Vec<Sample>> {
    if samples.is_empty() {
        let message = "samples must hold at least one sample; leave it out to ask the prompt itself";
        return Err(Error::invalid("samples", message));
    }
    for (position, sample) in samples.iter().enumerate() {
        versions::check_sample(sample, scorer, measurement, &format!("samples[{position}]"))?;
    }
    Ok(samples)
}
