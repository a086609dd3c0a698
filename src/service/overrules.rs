//! Overruling a scorer's verdict on a case, and letting it count again: in one transaction with the result's score, the
//! board and the ledger.
//!
//! A run that scores the same answers again makes results with verdicts of their own, which nobody has overruled.

use crate::app::App;
use crate::domain::cases::{Case, CaseState, CaseTexts};
use crate::domain::id::CaseId;
use crate::domain::ledger::{Action, Event, Fields, Noun, difference, digest};
use crate::domain::overrules::{Said, refuse_same, require_answer, require_judge, require_settled};
use crate::domain::results::EvalResult;
use crate::domain::time::Millis;
use crate::domain::users::User;
use crate::domain::veil::Veil;
use crate::engine::record;
use crate::engine::scorer::Scorer;
use crate::error::{Error, Result};
use crate::service::ledger;
use crate::service::once::{Answer, Once};
use crate::store::{self, Tx, overrules};

/// A case with all that its page and its address in the API show.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The case.
    pub case: Case,
    /// The result it belongs to.
    pub result: EvalResult,
    /// Its long texts.
    pub texts: CaseTexts,
    /// The case of the earlier result that has the same answer, where it was scored again.
    pub earlier: Option<CaseId>,
}

impl Opened {
    /// Reads the case of that id.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn read(tx: &mut Tx<'_>, id: &CaseId) -> Result<Self> {
        let case = store::cases::get(tx, id)?;
        let result = store::results::get(tx, &case.result)?;
        let texts = store::cases::texts(tx, &case)?;
        let earlier = store::answers::earlier(tx, &result, &case)?;
        Ok(Self { case, result, texts, earlier })
    }

    /// The same as someone sees it who may not see all of the endpoints.
    #[must_use]
    pub fn behind(self, veil: &Veil) -> Self {
        Self { case: veil.case(self.case), texts: veil.case_texts(self.texts), ..self }
    }

    /// What a line of the ledger calls it.
    fn name(&self) -> String {
        let (result, sample) = (&self.result, &self.case.sample.key);
        format!("{} on {}, sample {sample}", result.model_name, result.eval_name)
    }
}

/// What a line says of a case and its result, rounded for people; and the same whole, for the digest.
struct Standing {
    said: Fields,
    whole: Fields,
}

impl Standing {
    fn of(Opened { case, result, .. }: &Opened) -> Self {
        let (measured, planned) = (result.counts.scored, result.counts.planned);
        let whole = |number: Option<f64>| number.map(|number| number.to_string()).unwrap_or_default();
        let points = |number: Option<f64>| number.map(|score| format!("{:.1} points", score * 100.0));
        let verdict = match (case.state, case.score) {
            (CaseState::Scored, Some(score)) => format!("{score}"),
            (state, _) => state.as_str().to_owned(),
        };
        let by = case.overrule.as_ref().map(|overrule| overrule.by.to_string());
        let why = case.overrule.as_ref().map(|overrule| overrule.reason.clone());
        let interval = result.interval;
        Self {
            said: vec![
                ("verdict", verdict.clone()),
                ("score of the result", points(result.score).unwrap_or_else(|| "none".to_owned())),
                ("state of the result", result.state.as_str().to_owned()),
            ],
            whole: vec![
                ("verdict", verdict),
                ("overruled by", by.unwrap_or_default()),
                ("reason", why.unwrap_or_default()),
                ("result", result.id.to_string()),
                ("state", result.state.as_str().to_owned()),
                ("score", whole(result.score)),
                ("ci low", whole(interval.map(|interval| interval.low))),
                ("ci high", whole(interval.map(|interval| interval.high))),
                ("measured", format!("{measured} of {planned}")),
                ("passed", result.counts.passed.to_string()),
            ],
        }
    }
}

/// Puts `user`'s verdict on a case before the scorer's, or before an earlier one of a person's.
///
/// # Errors
/// `NotFound`; `Forbidden` for whoever is not the eval's owner, or owns the model too, and no admin; `Conflict` while
/// the run is open and where there is no answer to be judged; `Invalid` naming `score` or `reason`.
pub async fn overrule(
    app: &App,
    user: User,
    id: CaseId,
    (said, reason): (Said, String),
    once: Once,
    render: fn(&Opened) -> Result<Answer>,
) -> Result<Answer> {
    let now = Millis::now();
    let judge = move |tx: &mut Tx<'_>| {
        let before = Opened::read(tx, &id)?;
        require_judge(&user, &before.result)?;
        let reason = given(&reason)?;
        let score = said.score(is_binary(tx, &before.result)?, before.result.direction)?;
        require_settled(&before.result)?;
        require_answer(&before.case)?;
        let stands = before.case.overrule.as_ref();
        if stands.is_some_and(|stands| stands.reason == reason) && before.case.score == Some(score) {
            return Ok(before);
        }
        refuse_same(&before.case, score)?;
        overrules::put(tx, &before.case, user.key, score, &reason, now)?;
        revised(tx, &user, &before, (Action::Overruled, &reason), now)
    };
    app.store.write(move |tx| once.run(tx, now, &judge, render)).await
}

/// Lets what the scorer said of a case count again, and answers the case.
///
/// # Errors
/// As [`overrule`]; `Conflict` where nobody has overruled it.
pub async fn reinstate(app: &App, user: User, id: CaseId, reason: Option<String>) -> Result<Opened> {
    let now = Millis::now();
    app.store
        .write(move |tx| {
            let before = Opened::read(tx, &id)?;
            require_judge(&user, &before.result)?;
            let reason = given(reason.as_deref().unwrap_or_default())?;
            if before.case.overrule.is_none() {
                let message = "nobody has overruled the verdict on this case".to_owned();
                return Err(Error::Conflict { code: "not_overruled", message });
            }
            require_settled(&before.result)?;
            overrules::remove(tx, &before.case)?;
            revised(tx, &user, &before, (Action::Reinstated, &reason), now)
        })
        .await
}

/// Whether the scorer of a result says right or wrong, and nothing between.
///
/// # Errors
/// The database's.
pub fn is_binary(tx: &mut Tx<'_>, result: &EvalResult) -> Result<bool> {
    let version = store::evals::get_version(tx, result.version_key)?;
    Ok(Scorer::of(&version.measurement)?.is_binary())
}

/// The reason, without which no verdict is changed.
fn given(reason: &str) -> Result<String> {
    let reason = ledger::reason(Some(reason.trim()))?;
    if reason.is_empty() {
        return Err(Error::invalid("reason", "reason must say why: it is shown with the verdict"));
    }
    Ok(reason)
}

/// Brings the result to the score of its verdicts as they are now, and tells of it.
fn revised(
    tx: &mut Tx<'_>,
    user: &User,
    before: &Opened,
    (action, reason): (Action, &str),
    now: Millis,
) -> Result<Opened> {
    let result = &before.result;
    let cell = (result.run_key, result.model_key, result.eval_key);
    record::revise_cell(tx, cell, result.key, now)?;
    let after = Opened::read(tx, &before.case.id)?;
    let (old, new) = (Standing::of(before), Standing::of(&after));
    let event = Event {
        by: Some((user.key, user.id.clone())),
        action,
        noun: Noun::Case,
        subject: after.case.id.to_string(),
        name: after.name(),
        summary: difference(&old.said, &new.said),
        reason: reason.to_owned(),
        before: Some(digest(&old.whole)),
        after: Some(digest(&new.whole)),
    };
    store::ledger::append(tx, &event, now)?;
    Ok(after)
}
