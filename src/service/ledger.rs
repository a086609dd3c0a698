//! What the commands write into the ledger, in the transaction of what they do.

use crate::domain::evals::Eval;
use crate::domain::ledger::{Action, Event, Fields, LONGEST_REASON, Noun, difference, digest};
use crate::domain::models::Model;
use crate::domain::runs::Run;
use crate::domain::text;
use crate::domain::time::Millis;
use crate::domain::users::User;
use crate::domain::veil::host_of;
use crate::error::Result;
use crate::store::{Tx, ledger, models};

/// A thing whose changes are recorded.
pub(super) trait Recorded {
    /// What it is.
    const NOUN: Noun;
    /// Its public id.
    fn subject(&self) -> &str;
    /// What it is called.
    fn name(&self) -> &str;
    /// What of it is hashed.
    fn fields(&self) -> Fields;
    /// What of it a line repeats, which everybody reads for ever.
    fn public_fields(&self) -> Fields {
        self.fields()
    }
    /// What has changed since `before` beside the fields, in words; empty when nothing has.
    ///
    /// # Errors
    /// The database's.
    fn more(&self, _tx: &mut Tx<'_>, _before: &Self) -> Result<String> {
        Ok(String::new())
    }
}

impl Recorded for Model {
    const NOUN: Noun = Noun::Model;

    fn subject(&self) -> &str {
        self.id.as_str()
    }

    fn name(&self) -> &str {
        &self.card.name
    }

    fn fields(&self) -> Fields {
        let card = &self.card;
        let price = |price: Option<f64>| price.map(|price| price.to_string()).unwrap_or_default();
        vec![
            ("name", card.name.clone()),
            ("description", card.description.clone()),
            ("revision", self.revision.hash.clone()),
            ("official", card.is_official.to_string()),
            ("active", card.is_active.to_string()),
            ("provider", card.provider.clone().unwrap_or_default()),
            ("url", card.url.clone().unwrap_or_default()),
            ("licence", card.license.clone().unwrap_or_default()),
            ("open weights", card.open_weights.map(|open| open.to_string()).unwrap_or_default()),
            ("input price", price(card.prices.input)),
            ("output price", price(card.prices.output)),
            ("cached input price", price(card.prices.cached_input)),
            ("cache write price", price(card.prices.cache_write)),
        ]
    }

    /// Without the host that the provider was read off.
    fn public_fields(&self) -> Fields {
        let host = host_of(&self.card.inference_uri);
        let is_host = |value: &String| host.as_ref() == Some(value);
        let shown = |(name, value)| {
            let is_hidden = name == "provider" && is_host(&value);
            (name, if is_hidden { String::new() } else { value })
        };
        self.fields().into_iter().map(shown).collect()
    }
}

impl Recorded for Eval {
    const NOUN: Noun = Noun::Eval;

    fn subject(&self) -> &str {
        self.id.as_str()
    }

    fn name(&self) -> &str {
        &self.card.name
    }

    fn fields(&self) -> Fields {
        let card = &self.card;
        vec![
            ("name", card.name.clone()),
            ("description", card.description.clone()),
            ("version", format!("{} ({})", self.version.number, self.version.hash)),
            ("category", card.category.clone().unwrap_or_default()),
            ("tags", card.tags.join(", ")),
            ("weight", card.weight.to_string()),
            ("chance level", card.chance_level.map(|chance| chance.to_string()).unwrap_or_default()),
            ("higher is better", card.higher_is_better.to_string()),
            ("hidden targets", card.hidden_targets.to_string()),
            ("active", card.is_active.to_string()),
        ]
    }

    fn more(&self, tx: &mut Tx<'_>, before: &Self) -> Result<String> {
        let (from, to) = (grader(tx, before)?, grader(tx, self)?);
        Ok(if from == to { String::new() } else { format!("grader: {from} to {to}") })
    }
}

/// What a person gives for a reason, cleaned; empty when he gives none.
///
/// # Errors
/// `Invalid` naming `reason`.
pub fn reason(given: Option<&str>) -> Result<String> {
    text::clean(given.unwrap_or_default(), "reason", LONGEST_REASON)
}

/// Records that `thing` is new.
pub(super) fn inserted(tx: &mut Tx<'_>, user: &User, thing: &impl Recorded, now: Millis) -> Result<()> {
    let after = Some(digest(&thing.fields()));
    let event = Event { after, ..event(user, Action::Inserted, thing) };
    ledger::append(tx, &event, now)
}

/// Records what of `before` is different in `after`; nothing when nothing is.
pub(super) fn corrected<T: Recorded>(
    tx: &mut Tx<'_>,
    user: &User,
    (before, after): (&T, &T),
    reason: &str,
    now: Millis,
) -> Result<()> {
    let (old, new) = (before.fields(), after.fields());
    if old == new {
        return Ok(());
    }
    let changes = [difference(&before.public_fields(), &after.public_fields()), after.more(tx, before)?];
    let event = Event {
        summary: changes.into_iter().filter(|change| !change.is_empty()).collect::<Vec<_>>().join("; "),
        reason: reason.to_owned(),
        before: Some(digest(&old)),
        after: Some(digest(&new)),
        ..event(user, Action::Corrected, after)
    };
    ledger::append(tx, &event, now)
}

/// Records that a run of `user`'s made a new version of an eval, since its grader or its scorer is another than before.
pub(super) fn renewed(
    tx: &mut Tx<'_>,
    user: &User,
    (before, after): (&Eval, &Eval),
    now: Millis,
) -> Result<()> {
    let (old, new) = (before.fields(), after.fields());
    let graders = (grader(tx, before)?, grader(tx, after)?);
    let scorers = (scorer(before), scorer(after));
    let mut changes = vec![difference(&old, &new)];
    for (what, (from, to)) in [("grader", graders), ("scorer", scorers)] {
        if from != to {
            changes.push(format!("a run found the {what} changed: {from} to {to}"));
        }
    }
    let event = Event {
        summary: changes.join("; "),
        before: Some(digest(&old)),
        after: Some(digest(&new)),
        ..event(user, Action::Corrected, after)
    };
    ledger::append(tx, &event, now)
}

/// The scorer of an eval, in words.
fn scorer(eval: &Eval) -> String {
    format!("{} version {}", eval.version.scorer, eval.version.scorer_version)
}

/// Who grades an eval, in words.
fn grader(tx: &mut Tx<'_>, eval: &Eval) -> Result<String> {
    let Some(grader) = &eval.version.grader else { return Ok("none".to_owned()) };
    let hash = grader.revision.map(|revision| models::revision_hash(tx, revision)).transpose()?;
    let at = hash.map(|hash| format!(" at revision {hash}")).unwrap_or_default();
    Ok(format!("\"{}\"{at}", grader.name))
}

/// Records that `thing` was taken away.
pub(super) fn withdrawn(
    tx: &mut Tx<'_>,
    user: &User,
    thing: &impl Recorded,
    reason: &str,
    now: Millis,
) -> Result<()> {
    let before = Some(digest(&thing.fields()));
    let event = Event { before, reason: reason.to_owned(), ..event(user, Action::Withdrawn, thing) };
    ledger::append(tx, &event, now)
}

/// Records that `run` scores the answers of `earlier` again.
pub(super) fn rescored(tx: &mut Tx<'_>, user: &User, run: &Run, earlier: &Run, now: Millis) -> Result<()> {
    let event = Event {
        by: Some((user.key, user.id.clone())),
        action: Action::Rescored,
        noun: Noun::Run,
        subject: run.id.to_string(),
        name: String::new(),
        summary: format!("the answers of run {}", earlier.id),
        reason: run.settings.notes.chars().take(LONGEST_REASON).collect(),
        before: None,
        after: None,
    };
    ledger::append(tx, &event, now)
}

fn event<T: Recorded>(user: &User, action: Action, thing: &T) -> Event {
    Event {
        by: Some((user.key, user.id.clone())),
        action,
        noun: T::NOUN,
        subject: thing.subject().to_owned(),
        name: thing.name().to_owned(),
        summary: String::new(),
        reason: String::new(),
        before: None,
        after: None,
    }
}
