//! Calling models: from an inference URI to an endpoint, and from an endpoint to an answer or a failure.
//!
//! One call is one attempt. Retries, limits, budgets and storage are the engine's; which addresses may be
//! called is the outbound guard's. Keys come in unsealed and go nowhere but to the endpoint.

mod anthropic;
mod arithmetic;
mod builtin;
mod complaint;
mod failure;
mod finish;
mod json;
mod known;
mod names;
mod openai;
mod operator;
mod quirks;
mod reasoning;
mod received;
mod remote;
mod scrub;
mod sse;
mod stream;
mod usage;

#[cfg(test)]
mod support;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use sha2::{Digest, Sha256};
use url::Url;

pub(in crate::engine) use self::failure::{KEY_UNREADABLE, LONGEST_WAIT};
pub use self::{
    failure::{Failure, Retry},
    operator::Operator,
    usage::Usage,
};
use self::{
    operator::Configured,
    quirks::QuirkCache,
    remote::{Dialect, MissingKey, Remote},
};
pub(in crate::engine) use self::{remote::wait_asked_for, scrub::Scrub};
use crate::{
    domain::{
        inference_uri::{Builtin, InferenceUri},
        parameters::Parameters,
        samples::Message,
    },
    egress::{self, Guard},
    error::{Error, Result},
};

const FIELD: &str = "inference_uri";
const OPENROUTER: &str = "openrouter";

/// Every way to call a model; built once and shared.
#[derive(Clone)]
pub struct Providers {
    guard: Guard,
    operator: Operator,
    quirks: QuirkCache,
}

/// Something callable: an inference URI with its address and key found.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The queue of its calls: the host and fingerprints of the key and of the model, such as `api.x.ai#1f0c…#92aa…`.
    /// Models of one host and key share a limit of calls at once; waits and failures belong to the model.
    pub limiter_key: String,
    /// Host, with its port where that is unusual; `builtin` for baselines.
    pub host: String,
    /// `scheme://host:port`, which a stored key is bound to; none for baselines.
    pub origin: Option<String>,
    target: Target,
}

#[derive(Debug, Clone)]
enum Target {
    Builtin(Builtin),
    Remote(Box<Remote>),
}

/// One question to a model.
#[derive(Debug, Clone)]
pub struct Call {
    /// The conversation, oldest first, the model's own system prompt included.
    pub messages: Vec<Message>,
    /// The model's own; its system prompt is not read here. Baselines ignore them all.
    pub parameters: Parameters,
    /// For everything from connecting to the last byte of the answer.
    pub timeout: Duration,
    /// A JSON schema that the answer must follow, in the strict form (every property required, none
    /// additional); sent to chat-completions endpoints only. One that knows no schemas answers 400.
    pub schema: Option<Value>,
}

/// What a model answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The answer, possibly empty; no NUL. For a refusal without an answer, the words of the refusal.
    pub text: String,
    /// Reasoning that the provider sent in a field of its own; no NUL, never blank.
    pub reasoning: Option<String>,
    /// What it took; words for baselines.
    pub usage: Usage,
    /// The answer was cut off at a token limit.
    pub truncated: bool,
    /// The provider says that the model refused, or filtered its answer.
    pub refusal: bool,
    /// The body as received, without keys, cut to 64 KB; empty for baselines.
    pub raw: String,
    /// From the request to the last byte.
    pub latency: Duration,
}

/// What the body of an answer says.
#[derive(Debug, Clone, Default, PartialEq)]
struct Answer {
    text: String,
    reasoning: Option<String>,
    usage: Usage,
    truncated: bool,
    refusal: bool,
}

/// Why a body that could be read is no answer.
#[derive(Debug, PartialEq, Eq)]
enum Flaw {
    /// It has another form.
    NoAnswer(&'static str),
    /// The generation did not come to its end; the evidence.
    BrokenOff(String),
}

impl Providers {
    /// Fails when the operator configured a base URL that cannot be called or a variable that means
    /// nothing, naming the variable as the field.
    pub fn new(guard: Guard, operator: Operator) -> Result<Self> {
        if let Some(name) = operator.unknown().first() {
            let message = format!("{name} is no setting: it must end in _BASE_URL or _API_KEY");
            return Err(Error::invalid(name, message));
        }
        for (variable, url) in operator.base_urls() {
            guard.check(url, &variable)?;
        }
        Ok(Self { guard, operator, quirks: QuirkCache::new() })
    }

    /// The base URLs that the operator configured for providers.
    #[must_use]
    pub fn configured_urls(&self) -> Vec<String> {
        self.operator.base_urls().map(|(_, url)| url.to_owned()).collect()
    }

    /// Find address and key for `uri`. `own_key` is the model's own and wins over the operator's, which goes
    /// to `provider/model` forms only; `model_name` is what a direct URL is asked for.
    ///
    /// A missing key is no error here but a `provider_auth` failure of the call: models may be registered
    /// before the operator sets a key. Without `own_key` this finds the origin that such a key is bound to.
    pub fn resolve(
        &self,
        uri: &InferenceUri,
        model_name: &str,
        own_key: Option<SecretString>,
    ) -> Result<Endpoint> {
        let own_key = own_key.filter(|key| !key.expose_secret().is_empty());
        match uri {
            InferenceUri::Builtin(builtin) => Ok(Endpoint::local(builtin.clone())),
            InferenceUri::Provider { provider, model } => self.provider(provider, model, own_key),
            InferenceUri::Compatible { url, model } => {
                let url = below(self.guard.check(url, FIELD)?, Dialect::OpenAi);
                Ok(Endpoint::remote(Dialect::OpenAi, url, model, Ok(own_key)))
            }
            InferenceUri::Direct { url } => {
                let url = self.guard.check(url, FIELD)?;
                Ok(Endpoint::remote(Dialect::OpenAi, url, model_name, Ok(own_key)))
            }
        }
    }

    /// Whether the operator pays for calls, which needs an admin's word: every `provider/model` without a
    /// key of its own, even while no key is configured, so that configuring one later gives nothing away.
    pub fn uses_operator_key(&self, uri: &InferenceUri, has_own_key: bool) -> bool {
        matches!(uri, InferenceUri::Provider { .. }) && !has_own_key
    }

    /// As [`Providers::uses_operator_key`], for an inference URI as it is stored; one that nobody can read is
    /// paid by nobody.
    pub fn is_paid_by_operator(&self, inference_uri: &str, has_own_key: bool) -> bool {
        InferenceUri::parse(inference_uri).is_ok_and(|uri| self.uses_operator_key(&uri, has_own_key))
    }

    /// Asks once; again at once only where an endpoint wants the same call in another form.
    pub async fn call(&self, endpoint: &Endpoint, call: &Call) -> Result<Reply, Failure> {
        let started = Instant::now();
        let (answer, raw) = match &endpoint.target {
            Target::Builtin(builtin) => (builtin::ask(builtin, &call.messages)?, String::new()),
            Target::Remote(remote) => {
                remote.ask(&self.guard, call, (&self.quirks, &endpoint.limiter_key)).await?
            }
        };
        let Answer { text, reasoning, usage, truncated, refusal } = answer;
        Ok(Reply { text, reasoning, usage, truncated, refusal, raw, latency: started.elapsed() })
    }

    /// A provider by name, else OpenRouter under that name, where the operator has it.
    fn provider(&self, name: &str, model: &str, own_key: Option<SecretString>) -> Result<Endpoint> {
        if let Some(endpoint) = self.named(name, model, own_key.clone())? {
            return Ok(endpoint);
        }
        // A key that was configured for this name is not shown to anybody else.
        let elsewhere = self.operator.find(name).is_none() && self.operator.find(OPENROUTER).is_some();
        let routed =
            if elsewhere { self.named(OPENROUTER, &format!("{name}/{model}"), own_key)? } else { None };
        routed.ok_or_else(|| unknown_provider(name))
    }

    /// A provider whose address is known or configured.
    fn named(&self, name: &str, model: &str, own_key: Option<SecretString>) -> Result<Option<Endpoint>> {
        let known = known::find(name);
        let configured = self.operator.find(name).cloned().unwrap_or_default();
        let Configured { base_url, key } = configured;
        let Some(base) = base_url.as_deref().or(known.map(|known| known.base_url)) else {
            return Ok(None);
        };
        let dialect = known.map_or(Dialect::OpenAi, |known| known.dialect);
        let url = below(self.guard.check(base, FIELD)?, dialect);
        let key = match (own_key.or(key), known) {
            // A server of the operator's own may well ask for no key.
            (None, Some(known)) if base_url.is_none() => Err(missing_key(known)),
            (key, _) => Ok(key),
        };
        Ok(Some(Endpoint::remote(dialect, url, model, key)))
    }
}

impl Endpoint {
    fn local(builtin: Builtin) -> Self {
        let host = "builtin".to_owned();
        Self { limiter_key: host.clone(), host, origin: None, target: Target::Builtin(builtin) }
    }

    fn remote(
        dialect: Dialect,
        url: Url,
        model: &str,
        key: Result<Option<SecretString>, MissingKey>,
    ) -> Self {
        let of_key = |key: &SecretString| fingerprint("key", key.expose_secret());
        let of_key = key.as_ref().ok().and_then(Option::as_ref).map_or("none".to_owned(), of_key);
        let of_model = fingerprint("model", model);
        let origin = Some(egress::origin(&url));
        let remote = Remote { dialect, url, model: model.to_owned(), key };
        let host = remote.host();
        let limiter_key = format!("{host}#{of_key}#{of_model}");
        Self { limiter_key, host, origin, target: Target::Remote(Box::new(remote)) }
    }
}

/// Returns a short hash of a key or a model's name, which tells them apart without revealing them.
fn fingerprint(kind: &str, text: &str) -> String {
    let hash =
        Sha256::new().chain_update(format!("evalboard limiter {kind}\n")).chain_update(text).finalize();
    hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// The address that requests go to, below a base URL; a query, such as an API version, stays.
fn below(mut base: Url, dialect: Dialect) -> Url {
    let path = base.path().trim_end_matches('/');
    // People paste the full address as often as the base.
    if !path.ends_with(dialect.path()) {
        let path = format!("{path}{}", dialect.path());
        base.set_path(&path);
    }
    base
}

fn missing_key(known: &known::Known) -> MissingKey {
    let mut variables = known.key_variables.to_vec();
    let ours = operator::key_variable(known.name);
    variables.push(&ours);
    MissingKey { provider: known.name.to_owned(), variables: variables.join(" or ") }
}

fn unknown_provider(name: &str) -> Error {
    let known: Vec<&str> = known::ALL.iter().map(|known| known.name).collect();
    let message = format!(
        "there is no provider '{name}': known are {}. Set {} to the base URL of an OpenAI-compatible server \
         (and {} to its key), or OPENROUTER_API_KEY to reach it through OpenRouter",
        known.join(", "),
        operator::base_url_variable(name),
        operator::key_variable(name),
    );
    Error::invalid(FIELD, message)
}
