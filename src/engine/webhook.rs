//! Scoring with a webhook: signs what is sent, calls, and answers the score or why there is none.
//!
//! What is sent and what counts as an answer is the scorer's; where may be called is the outbound guard's
//! and the operator's. A webhook that fails leaves the case unscored: never a zero, never a pass.

use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, Request};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::Machine;
use super::judge::{SCORING_FAILED, Submission, Unscored};
use super::provider::{Failure, KEY_UNREADABLE, Scrub, wait_asked_for};
use super::repeat::Repeats;
use super::scorer::{Outcome, Webhook};
use crate::domain::id::EvalId;
use crate::domain::time::Millis;
use crate::domain::{hex, signature};
use crate::egress::{self, Fault};
use crate::store::webhook_secrets::Stored;

/// Largest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;
/// `sha256=` and the HMAC-SHA256, in hexadecimal, of the timestamp, a point, and the body.
const SIGNATURE: HeaderName = HeaderName::from_static("x-evalboard-signature");
/// Seconds since 1970, UTC: when it was signed.
const TIMESTAMP: HeaderName = HeaderName::from_static("x-evalboard-timestamp");

/// A webhook that may be called, and what calls to it are signed with.
pub(super) struct Hook {
    eval: EvalId,
    url: Url,
    secret: SecretString,
}

/// Why a webhook cannot be called.
pub(super) struct Closed {
    /// The code of the cases that it was to score.
    reason: &'static str,
    /// In words.
    message: String,
}

impl Hook {
    /// The webhook with its secret opened, as the operator's settings stand now.
    ///
    /// # Errors
    /// Why it cannot be called.
    pub(super) fn open(machine: &Machine, webhook: &Webhook, stored: Option<Stored>) -> Result<Self, Closed> {
        let closed = |message: &str| Closed { reason: SCORING_FAILED, message: message.to_owned() };
        let url = machine
            .tools
            .guard
            .check(webhook.url.as_str(), "url")
            .map_err(|cause| closed(&cause.to_string()))?;
        if !machine.tools.webhooks.allow(&url) {
            return Err(closed(
                "the operator's EVALBOARD_WEBHOOK_ALLOW does not allow this webhook any more",
            ));
        }
        let origin = egress::origin(&url);
        // A secret goes only where it was given for; a pinned version may lead elsewhere.
        let Some(Stored { eval, sealed, .. }) = stored.filter(|stored| stored.origin == origin) else {
            return Err(closed("the webhook has no secret for this host: give eval_criteria.secret again"));
        };
        let secret = machine.tools.master.open(eval.as_str(), &origin, &sealed).map_err(|cause| {
            tracing::error!(%eval, error = ?cause, "a webhook's secret cannot be opened");
            let message = "the stored secret of the webhook was sealed under another master key, or is damaged: restore \
                           the master key, or give eval_criteria.secret again";
            Closed { reason: KEY_UNREADABLE, message: message.to_owned() }
        })?;
        Ok(Self { eval, url, secret })
    }

    /// Returns the queue of its calls: evals share what the host takes at once, and the failures of one hold up no other.
    pub(super) fn limiter_key(&self) -> String {
        format!("webhook {}#none#{}", egress::origin(&self.url), self.eval)
    }

    fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    fn scrub(&self) -> Scrub<'_> {
        Scrub::new(Some(&self.secret))
    }

    /// The signature is made anew for each call, so that an old one cannot be sent again much later.
    fn request(&self, machine: &Machine, webhook: &Webhook, body: &str) -> Result<Request, Failure> {
        let timestamp = (Millis::now().0 / 1_000).to_string();
        let signed = format!("{timestamp}.{body}");
        let proof = hex::encode(&signature::sign(self.secret.expose_secret().as_bytes(), signed.as_bytes()));
        let fault = |_| Failure::fault(self.host(), Fault::NotAllowed);
        let request = machine.tools.guard.request(Method::POST, self.url.clone());
        request
            .map_err(|fault| Failure::fault(self.host(), fault))?
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header(TIMESTAMP, timestamp)
            .header(SIGNATURE, format!("sha256={proof}"))
            .timeout(webhook.timeout)
            .body(body.to_owned())
            .build()
            .map_err(fault)
    }

    /// One call: the body of a good answer.
    async fn call(&self, machine: &Machine, webhook: &Webhook, body: &str) -> Result<String, Failure> {
        let fault = |fault| Failure::fault(self.host(), fault);
        let response =
            machine.tools.guard.send(self.request(machine, webhook, body)?).await.map_err(fault)?;
        let (status, after) = (response.status(), wait_asked_for(&response));
        let answer = machine.tools.guard.read_capped(response, MAX_ANSWER).await;
        if !status.is_success() {
            let words = answer.unwrap_or_default();
            return Err(Failure::refused(self.host(), status.as_u16(), after, &words, self.scrub()));
        }
        Ok(self.scrub().text(&String::from_utf8_lossy(&answer.map_err(fault)?)))
    }
}

/// Asks the cell's webhook for a score of the submission, which is not blank.
pub(super) async fn score(
    submission: Submission<'_>,
    webhook: &Webhook,
    repeats: &mut Repeats,
) -> Result<Outcome, Unscored> {
    let answer = match &submission.cell.hook {
        None => Err("the webhook is not known".to_owned()),
        Some(Err(closed)) => return Err(Unscored::new(closed.reason, &*closed.message)),
        Some(Ok(hook)) => ask(submission, hook, webhook, repeats).await,
    };
    answer.and_then(|answer| webhook.read(&answer)).map_err(|why| Unscored::new(SCORING_FAILED, why))
}

/// Asks the webhook, again when it may recover.
async fn ask(
    submission: Submission<'_>,
    hook: &Hook,
    webhook: &Webhook,
    repeats: &mut Repeats,
) -> Result<String, String> {
    let Submission { machine, sample, response, .. } = submission;
    let body = webhook.body(sample, response);
    let gate = machine.gate(&hook.limiter_key(), None);
    repeats.next_question();
    loop {
        // The model's own permit was given back before, so that the two never wait for each other.
        let permit =
            repeats.enter(submission, ("the webhook", &gate)).await.map_err(|failure| failure.message)?;
        let answer = hook.call(machine, webhook, &body).await;
        permit.report(&answer);
        match answer {
            Ok(answer) => return Ok(answer),
            Err(failure) if repeats.wait(machine, &gate, failure.retry).await => {}
            Err(failure) => return Err(failure.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::endpoint_gate::endpoint_of;

    #[test]
    fn webhooks_of_one_host_share_a_limit_and_no_failures() {
        let key = |eval: &str, url: &str| {
            let (eval, secret) = (EvalId::from(eval.to_owned()), SecretString::from("secret"));
            Hook { eval, url: url.parse().unwrap(), secret }.limiter_key()
        };
        let (one, other) = (key("a", "https://a.test/one"), key("b", "https://a.test/other"));
        assert_ne!(one, other);
        assert_eq!(endpoint_of(&one), endpoint_of(&other));
        assert_ne!(endpoint_of(&one), endpoint_of(&key("a", "https://b.test/one")));
    }
}
