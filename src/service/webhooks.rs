//! What a webhook eval needs before it is stored: the operator's word, and its secret in a safe place.
//!
//! Calling webhooks is the engine's.

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::app::App;
use crate::domain::evals::Measurement;
use crate::domain::id::{EvalId, EvalKey};
use crate::domain::time::Millis;
use crate::egress;
use crate::engine::scorer::Scorer;
use crate::error::{Error, Result};
use crate::store::{Tx, webhook_secrets};

/// The path of a parameter of the scorer's webhook, which may be a part of it.
fn field(scorer: &Scorer, name: &str) -> String {
    match scorer.webhook_part() {
        None => format!("eval_criteria.{name}"),
        Some(at) => format!("eval_criteria.scorers[{at}].{name}"),
    }
}

/// Takes the secret out of criteria that a scorer has judged: what stays is stored and shown.
pub(super) fn take_secret(measurement: &mut Measurement, scorer: &Scorer) -> Result<Option<SecretString>> {
    if scorer.webhook().is_none() {
        return Ok(None);
    }
    let mut criteria: Value = serde_json::from_str(&measurement.eval_criteria).map_err(Error::internal)?;
    let own = match scorer.webhook_part() {
        None => Some(&mut criteria),
        Some(at) => criteria.get_mut("scorers").and_then(|parts| parts.get_mut(at)),
    };
    let taken = own.and_then(Value::as_object_mut).and_then(|own| own.remove("secret"));
    let Some(taken) = taken else { return Ok(None) };
    measurement.eval_criteria = criteria.to_string();
    Ok(taken.as_str().filter(|secret| !secret.trim().is_empty()).map(SecretString::from))
}

/// What becomes of the stored secret of an eval.
pub(super) enum Change {
    /// The eval has no webhook.
    Remove,
    /// The webhook is where it was.
    Keep,
    /// Sealed bytes, and the origin that they are bound to.
    Replace(Vec<u8>, String),
}

/// Lets a webhook in that the operator allows, and seals its secret; `stored_for` is the origin that the
/// eval's present secret is bound to.
///
/// # Errors
/// `Invalid` on the URL, naming the setting, or on a secret that is missing.
pub(super) async fn admit(
    app: &App,
    id: &EvalId,
    scorer: &Scorer,
    secret: Option<SecretString>,
    stored_for: Option<&str>,
) -> Result<Change> {
    let Some(webhook) = scorer.webhook() else { return Ok(Change::Remove) };
    let field_of_url = field(scorer, "url");
    let url = app.guard.check(webhook.url.as_str(), &field_of_url)?;
    if !app.webhooks.allow(&url) {
        let host = url.host_str().unwrap_or_default();
        let message =
            format!("{field_of_url}: the operator must allow {host} in the setting EVALBOARD_WEBHOOK_ALLOW");
        return Err(Error::invalid(field_of_url, message));
    }
    app.guard.check_resolved(&url, &field_of_url).await?;
    let origin = egress::origin(&url);
    match secret {
        Some(secret) => {
            let sealed = app.master.seal(id.as_str(), &origin, secret.expose_secret())?;
            Ok(Change::Replace(sealed, origin))
        }
        None if stored_for == Some(origin.as_str()) => Ok(Change::Keep),
        None => {
            let message =
                "secret is required: calls are signed with it, and one given for another host is not used";
            Err(Error::invalid(field(scorer, "secret"), message))
        }
    }
}

impl Change {
    pub(super) fn store(&self, tx: &mut Tx<'_>, eval: EvalKey, now: Millis) -> Result<()> {
        match self {
            Self::Remove => webhook_secrets::remove(tx, eval),
            Self::Keep => Ok(()),
            Self::Replace(sealed, origin) => webhook_secrets::put(tx, eval, sealed, origin, now),
        }
    }
}
